//! Every kind of fact, by name: a new kind does not compile without a name here, and its name fails the tests that
//! find no sample and no answer for it.

use std::collections::BTreeMap;

use super::entry::Entry;
use super::fact::Fact;
use super::sample::History;

macro_rules! kinds {
    ($($kind:ident),+ $(,)?) => {
        /// The names of all kinds.
        pub(super) const ALL: &[&str] = &[$(stringify!($kind)),+];

        /// The name of a fact's kind.
        pub(super) fn kind(fact: &Fact) -> &'static str {
            match fact { $(Fact::$kind(_) => stringify!($kind)),+ }
        }
    };
}

kinds!(
    JournalOpened,
    JournalRecovered,
    ServiceStarted,
    ClockStepped,
    EventConflicted,
    EventRefused,
    ApprovalAccepted,
    ApprovalRepeated,
    GrantAdded,
    AgreementSigned,
    AgreementEnded,
    AgreementFollowed,
    CampaignOpened,
    CampaignClosed,
    ReissueOrdered,
    RevocationOrdered,
    RequestMade,
    RequestApproved,
    RequestDenied,
    RequestExpired,
    RequestFailed,
    RequestContested,
    RequestReported,
    ContactAdded,
    ContactReplaced,
    ContactLanguageChanged,
    ContactForgotten,
    ContactErased,
    ContactsTold,
    IssuanceOpened,
    IssuanceQueued,
    IssuanceFailed,
    IssuanceCancelled,
    IssuanceCompleted,
    CredentialGenerated,
    MailAccepted,
    MailReturned,
    CredentialAbandoned,
    ShareCollected,
    PickupReminded,
    PickupRefused,
    ProofRefused,
    CredentialActivated,
    CredentialRetiring,
    CredentialEnded,
    EndingAnnounced,
    NoticeQueued,
    NoticeAccepted,
    NoticeDeferred,
    NoticeDropped,
    EpochOpened,
    EpochDestroyed,
);

/// One entry of every kind, out of one history.
pub(super) fn one_of_each() -> BTreeMap<&'static str, Entry> {
    let history = History::of_length(5, 2500);
    history.entries.into_iter().map(|entry| (kind(&entry.fact), entry)).collect()
}

#[test]
fn every_kind_has_a_sample() {
    let samples = one_of_each();
    for name in ALL {
        assert!(samples.contains_key(name), "no sample of {name}");
    }
}

#[test]
fn every_kind_is_written_as_the_reference_form_of_rfc_8785_and_read_back() {
    for entry in History::of_length(5, 2500).entries {
        let bytes = entry.canonical();
        assert_eq!(bytes, serde_json_canonicalizer::to_vec(&entry).unwrap());
        assert_eq!(Entry::parse(&bytes), Ok(entry));
    }
}

#[test]
fn every_kind_stands_under_one_kind_of_subject() {
    let samples = one_of_each();
    for entry in samples.values() {
        let places = samples.values().filter(|other| entry.fact.fits(&other.subject));
        let same = |other: &&Entry| std::mem::discriminant(&other.subject) == std::mem::discriminant(&entry.subject);
        assert!(places.clone().count() > 0 && places.into_iter().all(|other| same(&other)), "{:?}", entry.fact);
    }
}
