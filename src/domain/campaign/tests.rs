//! Whom a campaign is about, and whom it leaves alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::domain::agreement::{Agreed, AgreementState};
use crate::domain::contact::{ContactReference, Language, Role};
use crate::domain::contacts::Contacts;
use crate::domain::credential::{Credential, CredentialState};
use crate::domain::dice::Dice;
use crate::domain::digest::Pseudonym;
use crate::domain::ids::{ContactId, IssuanceId, MessageId};
use crate::domain::issuance::{FailCause, Issuance};
use crate::domain::reference::Reference;

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_419_000_000).unwrap()
}

fn party(number: &str) -> Party {
    Party::Organisation(number.parse().unwrap())
}

/// A client with one active credential, whose order is completed.
fn client() -> Client {
    let dice = Dice::new(1);
    let issuance = IssuanceId::new(now(), &dice).unwrap();
    let credential = Credential {
        version: 1,
        issuance,
        reference: Reference::generate(&dice).unwrap(),
        message_id: MessageId::new(now(), &dice).unwrap(),
        state: CredentialState::Active { since: now() },
        generated: now(),
        window_ends: now().after(DAY),
        life_ends: Some(now().after(DAY * 100)),
        told_days: None,
        reminded: false,
        keys: BTreeMap::new(),
        fetches: 1,
        wrong_proofs: 0,
        refusals: 0,
    };
    let contact = ContactReference {
        id: ContactId::new(now(), &dice).unwrap(),
        address: Pseudonym::of(b"api@exempel.se"),
        role: Role::Technical,
        language: Language::Sv,
        openpgp_key: None,
    };
    Client {
        application: "A-1".parse().unwrap(),
        environment: Environment::Production,
        party: party("5590000005"),
        software: "Exempel Bokföring".parse().unwrap(),
        apis: ["register", "permits"].iter().map(|api| api.parse().unwrap()).collect(),
        keys: BTreeMap::new(),
        contacts: Contacts::new(vec![contact]),
        agreement: None,
        needs_agreement: false,
        agreed: None,
        cases: BTreeSet::new(),
        pins: BTreeSet::new(),
        registered: now(),
        last_version: 1,
        issuance: Issuance {
            id: issuance,
            state: IssuanceState::Completed { version: 1 },
            replaces: Replacement::First,
            opened: now(),
            changed: now(),
            attempts: 1,
            campaign: None,
        },
        credentials: [(1, credential)].into(),
        notices: BTreeMap::new(),
    }
}

fn with(change: impl FnOnce(&mut Client)) -> Client {
    let mut client = client();
    change(&mut client);
    client
}

fn stands(client: &mut Client, order: IssuanceState, credential: CredentialState) {
    client.issuance.state = order;
    client.credentials.values_mut().for_each(|it| it.state = credential);
}

#[test]
fn a_filter_lets_through_what_matches_all_of_it() {
    let matches = |filter: Filter| filter.matches(&client());
    let any = Filter::default;
    let before = |days: u32| Filter { ends_before: Some(now().after(DAY * days)), ..any() };
    assert!(matches(any()));
    for (filter, expected) in [
        (Filter { environment: Some(Environment::Production), ..any() }, true),
        (Filter { environment: Some(Environment::Test), ..any() }, false),
        (Filter { api: Some("permits".parse().unwrap()), ..any() }, true),
        (Filter { api: Some("permit".parse().unwrap()), ..any() }, false),
        (Filter { party: Some(party("5590000005")), ..any() }, true),
        (Filter { party: Some(party("2021000001")), ..any() }, false),
        (before(101), true),
        (before(100), false),
        (Filter { environment: Some(Environment::Test), ..before(101) }, false),
        (Filter { environment: Some(Environment::Production), ..before(101) }, true),
    ] {
        assert_eq!(matches(filter.clone()), expected, "{filter:?}");
    }
}

#[test]
fn what_has_no_end_or_nothing_active_does_not_end_before_anything() {
    let late = Filter { ends_before: Some(Timestamp::LAST), ..Filter::default() };
    assert!(late.matches(&client()));
    assert!(!late.matches(&with(|it| it.credentials.values_mut().for_each(|it| it.life_ends = None))));
    assert!(!late.matches(&with(|it| it.credentials.clear())));
    let agreed = AgreementState::Signed { until: Some(now().after(DAY * 5)) };
    let rests = with(|it| {
        (it.agreement, it.needs_agreement) = (Some("AVT-1".parse().unwrap()), true);
        it.agreed = Some(Agreed { as_of: 1, state: agreed });
    });
    let soon = Filter { ends_before: Some(now().after(DAY * 6)), ..Filter::default() };
    assert!(soon.matches(&rests) && !soon.matches(&client()), "the agreement's end counts as well");
}

#[test]
fn whoever_came_after_it_was_opened_is_no_member() {
    let campaign = Campaign {
        id: CampaignId::new(now(), &Dice::new(2)).unwrap(),
        opened: now(),
        filter: Filter::default(),
        replaces: Replacement::GraceSeconds(0),
        reason: "byte".parse().unwrap(),
        case: None,
        matched: 1,
        limit: Some(2),
        ordered: 1,
        state: CampaignState::Open,
    };
    assert!(campaign.has_member(&client()));
    assert!(!campaign.has_member(&with(|it| it.registered = now().after(Duration::from_millis(1)))));
    assert!(!campaign.is_spent() && Campaign { ordered: 2, ..campaign.clone() }.is_spent());
    assert!(!Campaign { limit: None, ordered: u64::MAX, ..campaign }.is_spent());
}

#[test]
fn it_replaces_what_works_and_says_why_it_leaves_the_rest_alone() {
    let (grace, compromised) = (Replacement::GraceSeconds(3600), Replacement::Compromised);
    let active = CredentialState::Active { since: now() };
    let queued = IssuanceState::Queued { not_before: now() };
    let ended = CredentialState::Ended { cause: crate::domain::credential::EndCause::Revoked, at: now() };
    let failed = IssuanceState::Failed { cause: FailCause::Unclaimed };
    let retiring = |until| CredentialState::Retiring { until };
    let (past, future) = (now(), now().after(DAY));
    let completed = IssuanceState::Completed { version: 1 };
    for (name, order, credential, with_grace, when_compromised) in [
        ("works", completed, active, None, None),
        ("works, and the last order failed", failed, active, None, None),
        ("works, and new keys are on their way", queued, active, Some(Skip::OrderOpen), None),
        ("lives out its grace", completed, retiring(future), None, None),
        ("its grace is over", completed, retiring(past), Some(Skip::NoLiveCredential), Some(Skip::NoLiveCredential)),
        (
            "its first keys are on their way",
            queued,
            CredentialState::Mailed,
            Some(Skip::OrderOpen),
            Some(Skip::OrderOpen),
        ),
        ("it was revoked", completed, ended, Some(Skip::NoLiveCredential), Some(Skip::NoLiveCredential)),
        ("its order failed", failed, ended, Some(Skip::NoLiveCredential), Some(Skip::NoLiveCredential)),
        (
            "it waits for its agreement",
            IssuanceState::WaitingForAgreement,
            ended,
            Some(Skip::WaitingForAgreement),
            Some(Skip::WaitingForAgreement),
        ),
    ] {
        let client = with(|client| stands(client, order, credential));
        assert_eq!(skip(&client, grace, now()), with_grace, "{name}");
        assert_eq!(skip(&client, compromised, now()), when_compromised, "{name}, compromised");
    }
    let over = with(|it| (it.agreement, it.needs_agreement) = (Some("AVT-1".parse().unwrap()), true));
    assert_eq!(skip(&over, grace, now()), Some(Skip::AgreementOver));
    let run_out = now().after(DAY * 100);
    assert_eq!(skip(&client(), grace, run_out), Some(Skip::NoLiveCredential), "the end counts before it is on record");
    let erased = with(|it| it.contacts.erase(it.contacts.technical().unwrap().id).unwrap());
    assert_eq!(skip(&erased, grace, now()), Some(Skip::NoTechnicalContact));
}
