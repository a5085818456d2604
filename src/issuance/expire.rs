//! What time alone does: windows close, graces and lives end, agreements run out, and people are told ahead. And what a start finds: versions that a crash left behind.

use std::sync::Arc;

use super::notify::{NoticeIds, Told, notices_to};
use super::order::{end_all, withdraw};
use super::retry::{Setback, after_setback};
use crate::domain::client::Client;
use crate::domain::credential::{AbandonCause, Credential, CredentialState, EndCause};
use crate::domain::ids::ApplicationId;
use crate::domain::issuance::{CancelCause, FailCause, IssuanceState};
use crate::domain::notice::NoticeKind;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{CredentialAbandoned, CredentialEnded, EndingAnnounced, Fact, IssuanceFailed, Nothing};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope};

/// Does for one client what its time has come for.
pub struct Expire {
    /// The client.
    pub application: ApplicationId,
    /// Ids for the notices.
    pub notices: NoticeIds,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// Nothing is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NothingDue;

impl Command for Expire {
    type Answer = ();
    type Refusal = NothingDue;

    fn actor(&self) -> Actor {
        Actor::Daemon
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Application(self.application.clone()))
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<()>, NothingDue> {
        let client = state.client().ok_or(NothingDue)?;
        // One decision tells people of one thing at most, so that its ids suffice; the next thing is due at once after.
        let mut facts = self.endings(client, now);
        if facts.is_empty() {
            facts = self.announcement(client, now);
        }
        if facts.is_empty() {
            facts = self.reminder(client, now);
        }
        if facts.is_empty() { Err(NothingDue) } else { Ok(Decision { facts, enclosures: Vec::new(), answer: () }) }
    }
}

impl Expire {
    /// Whatever is over: the agreement and all with it, or single windows, graces and lives.
    fn endings(&self, client: &Client, now: Timestamp) -> Vec<(Subject, Fact)> {
        let told = Told::AllAndOperators(&self.policy);
        let waits = client.issuance.state == IssuanceState::WaitingForAgreement;
        if !waits && client.agreement_until().is_some_and(|until| until <= now) {
            let mut facts = withdraw(client, AbandonCause::AgreementEnded, CancelCause::AgreementEnded);
            facts.extend(end_all(client, EndCause::AgreementEnded, &self.notices, told));
            return facts;
        }
        let mut facts = Vec::new();
        let mut life_over = None;
        for credential in client.credentials.values() {
            let subject = Subject::of_credential(client, credential);
            let ended = |cause| Fact::CredentialEnded(CredentialEnded { cause });
            match credential.state {
                CredentialState::Mailed if credential.window_ends <= now => {
                    let cause = AbandonCause::Unclaimed;
                    facts.push((subject, Fact::CredentialAbandoned(CredentialAbandoned { cause })));
                    let cause = FailCause::Unclaimed;
                    facts.push((Subject::of_order(client), Fact::IssuanceFailed(IssuanceFailed { cause })));
                }
                CredentialState::Retiring { until } if until <= now => {
                    facts.push((subject, ended(EndCause::GraceEnded)));
                }
                CredentialState::Active { .. } | CredentialState::Retiring { .. }
                    if credential.life_ends.is_some_and(|ends| ends <= now) =>
                {
                    facts.push((subject.clone(), ended(EndCause::Expired)));
                    life_over = Some(subject);
                }
                CredentialState::Generated
                | CredentialState::Mailed
                | CredentialState::Active { .. }
                | CredentialState::Retiring { .. }
                | CredentialState::Abandoned { .. }
                | CredentialState::Ended { .. } => {}
            }
        }
        facts
            .extend(life_over.and_then(|subject| notices_to(client, &subject, NoticeKind::Ended, &self.notices, told)));
        facts
    }

    /// The most urgent step ahead of the active credential's end that nobody was told of.
    fn announcement(&self, client: &Client, now: Timestamp) -> Vec<(Subject, Fact)> {
        let active = client.active().and_then(|active| Some((active, client.end_of(active)?)));
        let due = active.and_then(|(active, end)| Some((active, end, end.step_due(now, active.told_days)?)));
        let Some((active, end, days)) = due else { return Vec::new() };
        let subject = Subject::of_credential(client, active);
        let announced = Fact::EndingAnnounced(EndingAnnounced { days, ends: end.at });
        let told = Told::AllAndOperators(&self.policy);
        let notices = notices_to(client, &subject, NoticeKind::Ending, &self.notices, told);
        [(subject, announced)].into_iter().chain(notices).collect()
    }

    fn reminder(&self, client: &Client, now: Timestamp) -> Vec<(Subject, Fact)> {
        let waits = |credential: &&Credential| {
            credential.state == CredentialState::Mailed && !credential.reminded && credential.window_half() <= now
        };
        let Some(credential) = client.on_its_way().filter(waits) else { return Vec::new() };
        let subject = Subject::of_credential(client, credential);
        let notices = notices_to(client, &subject, NoticeKind::Reminder, &self.notices, Told::All);
        [(subject, Fact::PickupReminded(Nothing {}))].into_iter().chain(notices).collect()
    }
}

/// Clears up one client after a crash, before anything listens, or at the end of a stop: a version whose mail has no
/// answer on record is void.
pub struct Recover {
    /// The client.
    pub application: ApplicationId,
    /// `Crashed` or `Stopped`.
    pub cause: AbandonCause,
    /// Spreads the next attempt.
    pub jitter: u8,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

impl Command for Recover {
    type Answer = ();
    type Refusal = NothingDue;

    fn actor(&self) -> Actor {
        Actor::Daemon
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Application(self.application.clone()))
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<()>, NothingDue> {
        let client: &Client = state.client().ok_or(NothingDue)?;
        let left_behind = client.on_its_way().filter(|credential| credential.state == CredentialState::Generated);
        let credential = left_behind.ok_or(NothingDue)?;
        let cause = self.cause;
        let attempts = client.issuance.attempts;
        let facts = vec![
            (Subject::of_credential(client, credential), Fact::CredentialAbandoned(CredentialAbandoned { cause })),
            // The attempts count over restarts too, so that a crash loop does not burn versions for ever.
            after_setback(client, &self.policy, Setback::Passing, attempts, self.jitter, now),
        ];
        Ok(Decision { facts, enclosures: Vec::new(), answer: () })
    }
}
