//! The answer of the fold to every fact in every state, and what holds whatever is applied to it.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;

use super::fact::*;
use super::fold::{Slice, apply};
use super::kinds::{kind, one_of_each};
use super::sample::{History, START_MILLIS};
use super::subject::Subject;
use crate::domain::client::Client;
use crate::domain::credential::{AbandonCause, CredentialState, EndCause, KeyDigests};
use crate::domain::dice::Dice;
use crate::domain::digest::{Fingerprint, ProofDigest, Pseudonym, SealedDigest, Verifier};
use crate::domain::ids::{CampaignId, IssuanceId, MessageId, NoticeId};
use crate::domain::issuance::{CancelCause, FailCause, IssuanceState, Replacement};
use crate::domain::notice::NoticeKind;
use crate::domain::time::Timestamp;

/// Columns: where a credential stands. Rows: every fact that stands under a credential.
const CREDENTIAL_ANSWERS: &str = "
                      generated mailed active retiring abandoned ended
CredentialGenerated           .      .      .        .         .     .
MailAccepted                  x      .      .        .         .     .
MailReturned                  x      x      .        .         .     .
CredentialAbandoned           x      x      .        .         .     .
ShareCollected                .      x      .        .         .     .
PickupRefused                 x      x      x        x         x     x
ProofRefused                  .      x      .        .         .     .
PickupReminded                .      x      .        .         .     .
CredentialActivated           .      x      .        .         .     .
CredentialRetiring            .      .      x        .         .     .
CredentialEnded               .      .      x        x         .     .
EndingAnnounced               .      .      x        .         .     .
NoticeQueued                  x      x      x        x         x     x
";

/// Columns: where an order stands. Rows: every fact that stands under an order, and the one that makes it move on;
/// `IssuanceOpened` opens this order, `ReissueOrdered` and `anew` another one after it.
const ISSUANCE_ANSWERS: &str = "
                      waiting-for-agreement queued delivering awaiting-pickup completed failed cancelled
ApprovalAccepted                          .      .          .               .         .      .         .
ReissueOrdered                            x      x          x               x         x      x         x
IssuanceOpened                            x      .          .               .         .      .         .
IssuanceOpened anew                       .      .          .               .         x      x         x
IssuanceQueued                            .      x          x               .         .      .         .
IssuanceFailed                            .      x          x               x         .      .         .
IssuanceCancelled                         x      x          x               x         .      .         .
IssuanceCompleted                         .      .          .               x         .      .         .
CredentialGenerated                       .      x          .               .         .      .         .
";

fn now() -> Timestamp {
    Timestamp::from_millis(START_MILLIS).unwrap()
}

/// Every state once. A new one does not compile without its place here.
fn next_credential_state(state: CredentialState) -> Option<CredentialState> {
    use CredentialState as S;
    match state {
        S::Generated => Some(S::Mailed),
        S::Mailed => Some(S::Active { since: now() }),
        S::Active { .. } => Some(S::Retiring { until: now() }),
        S::Retiring { .. } => Some(S::Abandoned { cause: AbandonCause::Unclaimed, at: now() }),
        S::Abandoned { .. } => Some(S::Ended { cause: EndCause::Revoked, at: now() }),
        S::Ended { .. } => None,
    }
}

/// Every state once. A new one does not compile without its place here.
fn next_issuance_state(state: IssuanceState) -> Option<IssuanceState> {
    use IssuanceState as S;
    match state {
        S::WaitingForAgreement => Some(S::Queued { not_before: now() }),
        S::Queued { .. } => Some(S::Delivering { version: 1 }),
        S::Delivering { .. } => Some(S::AwaitingPickup { version: 1 }),
        S::AwaitingPickup { .. } => Some(S::Completed { version: 1 }),
        S::Completed { .. } => Some(S::Failed { cause: FailCause::Unclaimed }),
        S::Failed { .. } => Some(S::Cancelled { cause: CancelCause::Revoked }),
        S::Cancelled { .. } => None,
    }
}

pub(crate) fn credential_states() -> impl Iterator<Item = CredentialState> {
    std::iter::successors(Some(CredentialState::Generated), |state| next_credential_state(*state))
}

pub(crate) fn issuance_states() -> impl Iterator<Item = IssuanceState> {
    std::iter::successors(Some(IssuanceState::WaitingForAgreement), |state| next_issuance_state(*state))
}

/// Where the order of a credential stands while the credential stands there.
fn order_of(state: CredentialState) -> IssuanceState {
    match state {
        CredentialState::Generated => IssuanceState::Delivering { version: 1 },
        CredentialState::Mailed => IssuanceState::AwaitingPickup { version: 1 },
        CredentialState::Active { .. } | CredentialState::Retiring { .. } | CredentialState::Ended { .. } => {
            IssuanceState::Completed { version: 1 }
        }
        CredentialState::Abandoned { .. } => IssuanceState::Failed { cause: FailCause::Unclaimed },
    }
}

/// A client with one version, both as asked for.
fn client(order: IssuanceState, credential: Option<CredentialState>) -> (History, Client) {
    let mut history = History::new(1);
    let application = history.approve();
    let registered = history.world.clients()[&application].clone();
    if credential.is_some() {
        history.generate(&registered);
    }
    let mut client = history.world.clients()[&application].clone();
    client.issuance.state = order;
    for version in client.credentials.values_mut() {
        version.state = credential.unwrap_or(version.state);
    }
    (history, client)
}

/// Facts about the client's version that nothing but the state can be a reason to refuse.
fn credential_facts(client: &Client) -> Vec<Fact> {
    let notice = NoticeId::new(now(), &Dice::new(4)).unwrap();
    let notices = client.contacts.told().map(|contact| (notice, contact.id)).take(1).collect();
    vec![
        generated(client),
        Fact::MailAccepted(Nothing {}),
        Fact::MailReturned(MailReturned { status: "5.1.1".parse().ok() }),
        Fact::CredentialAbandoned(CredentialAbandoned { cause: AbandonCause::Revoked }),
        Fact::ShareCollected(ShareCollected { fetch: 1, network: Pseudonym::of(b"network") }),
        Fact::PickupRefused(PickupRefused { count: 1, certificate: Fingerprint::of(b"certificate") }),
        Fact::ProofRefused(ProofRefused { count: 1 }),
        Fact::PickupReminded(Nothing {}),
        Fact::CredentialActivated(CredentialActivated { life_ends: None }),
        Fact::CredentialRetiring(CredentialRetiring { until: now() }),
        Fact::CredentialEnded(CredentialEnded { cause: EndCause::Revoked }),
        Fact::EndingAnnounced(EndingAnnounced { days: 1, ends: now() }),
        Fact::NoticeQueued(NoticeQueued { what: NoticeKind::Ended, notices, operators: None }),
    ]
}

fn generated(client: &Client) -> Fact {
    let digests = KeyDigests {
        verifier: Verifier::of(b"secret"),
        proof: ProofDigest::of(b"proof"),
        sealed: SealedDigest::of(b"sealed"),
    };
    Fact::CredentialGenerated(CredentialGenerated {
        message_id: MessageId::new(now(), &Dice::new(5)).unwrap(),
        keys: client.keys.keys().map(|label| (label.clone(), digests)).collect(),
        window_ends: now().after(Duration::from_secs(1)),
        epoch: 1,
    })
}

/// Facts about the client's order and about one after it, each with the name of its row.
fn issuance_facts(client: &Client) -> Vec<(&'static str, Subject, Fact)> {
    let same = Subject::of_order(client);
    let application = client.application.clone();
    let issuance = IssuanceId::new(now(), &Dice::new(3)).unwrap();
    let anew = Subject::Issuance { application: application.clone(), issuance };
    let reference = "K7QF-2M9D".parse().unwrap();
    let version = Subject::Credential {
        application,
        issuance: client.issuance.id,
        version: client.last_version.saturating_add(1),
        reference,
    };
    let opened = || Fact::IssuanceOpened(IssuanceOpened { replaces: Replacement::Compromised, campaign: None });
    let ordered = Ordered { reason: "byte".parse().unwrap(), case: None, event: None, request: None };
    // An attempt that made a version was counted then; one that did not is counted now.
    let counted = matches!(client.issuance.state, IssuanceState::Queued { .. });
    let attempts = client.issuance.attempts.saturating_add(u32::from(counted));
    let approved = SAMPLES.iter().find(|fact| matches!(fact, Fact::ApprovalAccepted(_))).unwrap().clone();
    vec![
        ("", same.clone(), approved),
        ("", anew.clone(), Fact::ReissueOrdered(ordered)),
        ("", same.clone(), opened()),
        (" anew", anew, opened()),
        ("", same.clone(), Fact::IssuanceQueued(IssuanceQueued { attempts, not_before: now() })),
        ("", same.clone(), Fact::IssuanceFailed(IssuanceFailed { cause: FailCause::AttemptsSpent })),
        ("", same.clone(), Fact::IssuanceCancelled(IssuanceCancelled { cause: CancelCause::Revoked })),
        ("", same, Fact::IssuanceCompleted(Nothing {})),
        ("", version, generated(client)),
    ]
}

/// Applies the fact to the client alone; a refusal must leave everything as it was.
fn accepts(history: &History, client: &Client, subject: Subject, fact: Fact) -> bool {
    let mut slice = Slice { client: Some(client.clone()), ..Slice::default() };
    let accepted = apply(&mut slice, &history.entry(subject, fact)).is_ok();
    assert!(accepted || slice.client.as_ref() == Some(client), "half applied");
    accepted
}

/// The kinds that stand under a subject like this one.
fn kinds_under(subject: &Subject) -> BTreeSet<&'static str> {
    SAMPLES.iter().filter(|fact| fact.fits(subject)).map(kind).collect()
}

fn grid(states: &[&str], rows: &[(String, Vec<bool>)]) -> String {
    let mut text = format!("\n{:22}{}\n", "", states.join(" "));
    for (name, answers) in rows {
        let mut line = format!("{name:22}");
        for (state, accepted) in states.iter().zip(answers) {
            let mark = if *accepted { 'x' } else { '.' };
            write!(line, "{mark:>width$} ", width = state.len()).unwrap();
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[test]
fn every_credential_fact_has_its_answer_in_every_credential_state() {
    let states: Vec<_> = credential_states().collect();
    let mut rows: Vec<(String, Vec<bool>)> = Vec::new();
    let mut under = BTreeSet::new();
    for state in &states {
        let (history, client) = client(order_of(*state), Some(*state));
        let subject = Subject::of_credential(&client, &client.credentials[&1]);
        under = kinds_under(&subject);
        for (row, fact) in credential_facts(&client).into_iter().enumerate() {
            if rows.len() == row {
                rows.push((kind(&fact).to_owned(), Vec::new()));
            }
            rows[row].1.push(accepts(&history, &client, subject.clone(), fact));
        }
    }
    let names: Vec<_> = states.iter().map(|state| state.as_str()).collect();
    assert_eq!(grid(&names, &rows), CREDENTIAL_ANSWERS);
    assert_eq!(rows.iter().map(|(name, _)| name.as_str()).collect::<BTreeSet<_>>(), under);
}

#[test]
fn every_order_fact_has_its_answer_in_every_order_state() {
    let states: Vec<_> = issuance_states().collect();
    let mut rows: Vec<(String, Vec<bool>)> = Vec::new();
    let mut under = BTreeSet::new();
    for state in &states {
        let before_any = matches!(state, IssuanceState::WaitingForAgreement | IssuanceState::Queued { .. });
        let void = CredentialState::Abandoned { cause: AbandonCause::MailUnknown, at: now() };
        let (history, withdrawn) = client(*state, (!before_any).then_some(void));
        under = kinds_under(&Subject::of_order(&withdrawn));
        for (row, (suffix, subject, fact)) in issuance_facts(&withdrawn).into_iter().enumerate() {
            if rows.len() == row {
                rows.push((format!("{}{suffix}", kind(&fact)), Vec::new()));
            }
            // An order is completed by the version that it brought.
            let mut client = withdrawn.clone();
            if let (Fact::IssuanceCompleted(_), Some(version)) = (&fact, client.credentials.get_mut(&1)) {
                version.state = CredentialState::Active { since: now() };
            }
            rows[row].1.push(accepts(&history, &client, subject, fact));
        }
    }
    let names: Vec<_> = states.iter().map(|state| state.as_str()).collect();
    assert_eq!(grid(&names, &rows), ISSUANCE_ANSWERS);
    under.insert("CredentialGenerated");
    let answered = rows.iter().map(|(name, _)| name.trim_end_matches(" anew")).collect::<BTreeSet<_>>();
    assert_eq!(answered, under);
}

#[test]
fn an_order_does_not_move_on_while_a_version_of_it_is_on_its_way() {
    for state in [CredentialState::Generated, CredentialState::Mailed] {
        let (history, client) = client(order_of(state), Some(state));
        for (_, subject, fact) in issuance_facts(&client) {
            let accepted = accepts(&history, &client, subject, fact.clone());
            assert_eq!(accepted, matches!(fact, Fact::ReissueOrdered(_)), "{fact:?}");
        }
    }
}

#[test]
fn a_second_credential_is_not_activated_beside_an_active_one() {
    let (history, mut client) = client(order_of(CredentialState::Mailed), Some(CredentialState::Mailed));
    let subject = Subject::of_credential(&client, &client.credentials[&1]);
    let mut older = client.credentials[&1].clone();
    (older.version, older.state) = (0, CredentialState::Active { since: now() });
    client.credentials.insert(0, older);
    assert!(!accepts(&history, &client, subject, Fact::CredentialActivated(CredentialActivated { life_ends: None })));
}

/// Any fact, put under the subject that this client would give it, with the count that would fit or one that does not.
fn arbitrary_entry(history: &History, client: &Client, dice: &Dice, samples: &[Fact]) -> (Subject, Fact) {
    let mut facts = credential_facts(client);
    facts.extend(samples.iter().cloned());
    let orders = issuance_facts(client);
    facts.extend(orders.iter().map(|(_, _, fact)| fact.clone()));
    facts.push(Fact::IssuanceQueued(IssuanceQueued { attempts: dice.next() as u32, not_before: now() }));
    facts.push(Fact::IssuanceQueued(IssuanceQueued { attempts: u32::MAX, not_before: now() }));
    let fact = facts.swap_remove(dice.roll(facts.len()));
    let campaign = CampaignId::new(now(), &Dice::new(6)).unwrap();
    let mut subjects = vec![Subject::Service {}, Subject::Campaign { campaign }, Subject::of_client(client)];
    let request = "K7QF-2M9D-0R4T-8WXZ".parse().unwrap();
    subjects.push(Subject::Request { request, application: Some(client.application.clone()) });
    subjects.extend(orders.into_iter().map(|(_, subject, _)| subject));
    subjects.extend(client.credentials.values().map(|version| Subject::of_credential(client, version)));
    subjects.extend(history.entries.iter().map(|entry| entry.subject.clone()));
    // Mostly a subject that the fact may stand under, sometimes any.
    if dice.roll(8) > 0 {
        subjects.retain(|subject| fact.fits(subject));
    }
    let subject = subjects.swap_remove(dice.roll(subjects.len()));
    (subject, fact)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_applied_the_state_keeps_its_promises(seed in any::<u64>(), spent in any::<bool>()) {
        let dice = Dice::new(seed);
        let samples: Vec<Fact> = SAMPLES.clone();
        let (history, mut client) = client(IssuanceState::Queued { not_before: now() }, None);
        if spent {
            client.issuance.attempts = u32::MAX - 2;
            client.last_version = u32::MAX - 2;
        }
        let mut slice = Slice { client: Some(client), ..Slice::default() };
        let mut accepted = 0;
        for _ in 0..120 {
            let Some(before) = slice.client.clone() else { break };
            let (subject, fact) = arbitrary_entry(&history, &before, &dice, &samples);
            slice.event = None;
            let verdict = apply(&mut slice, &history.entry(subject, fact.clone()));
            let after = slice.client.clone().unwrap();
            match verdict {
                Err(_) => prop_assert_eq!(&before, &after, "half applied: {:?}", fact),
                Ok(()) => accepted += 1,
            }
            let states = || after.credentials.values().map(|credential| credential.state);
            prop_assert!(states().filter(|state| state.is_on_its_way()).count() <= 1);
            let active = states().filter(|state| matches!(state, CredentialState::Active { .. })).count();
            prop_assert!(active <= 1);
            let generated = u32::from(after.credentials.len() > before.credentials.len());
            prop_assert_eq!(after.last_version, before.last_version + generated);
            prop_assert_eq!(after.credentials.keys().next_back().copied().unwrap_or(after.last_version), after.last_version);
            for (version, credential) in &before.credentials {
                if credential.state.is_final() {
                    prop_assert_eq!(credential.state, after.credentials[version].state);
                }
            }
        }
        // The walk goes somewhere: it is not refused from beginning to end.
        prop_assert!(accepted > 5, "{accepted}");
    }
}

static SAMPLES: LazyLock<Vec<Fact>> = LazyLock::new(|| one_of_each().into_values().map(|entry| entry.fact).collect());
