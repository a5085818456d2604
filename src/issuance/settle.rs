//! What the relay said goes on record: the version is mailed, or it is abandoned and the order goes back to the queue.

use std::sync::Arc;

use super::notify::{NoticeIds, Told, notices_to};
use super::retry::{Setback, after_setback};
use crate::domain::client::Client;
use crate::domain::credential::{AbandonCause, CredentialState};
use crate::domain::ids::{ApplicationId, ContactId, IssuanceId};
use crate::domain::issuance::IssuanceState;
use crate::domain::notice::NoticeKind;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{CredentialAbandoned, Fact, Nothing};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope};

/// How an attempt at the relay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 250 after the mail.
    Accepted,
    /// Before a version was made: the recipient was put off or refused. No secret existed.
    NoVersion(Setback),
    /// After a version was made: it is void, whatever became of the mail.
    Void(AbandonCause),
}

/// Closes one attempt.
pub struct Settle {
    /// The application.
    pub application: ApplicationId,
    /// The order.
    pub issuance: IssuanceId,
    /// The version that was made, if one was.
    pub version: Option<u32>,
    /// The contact that the mail was for; none when there was none.
    pub to: Option<ContactId>,
    /// How it ended.
    pub outcome: Outcome,
    /// Spreads the next attempt.
    pub jitter: u8,
    /// Ids for the notices that follow.
    pub notices: Arc<NoticeIds>,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// The order or the version is no longer under way: it was superseded or revoked meanwhile. What was mailed is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overtaken;

impl Command for Settle {
    type Answer = ();
    type Refusal = Overtaken;

    fn actor(&self) -> Actor {
        Actor::Daemon
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Application(self.application.clone()))
    }

    fn can_wait(&self) -> bool {
        true
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<()>, Overtaken> {
        let client = state.client().filter(|client| client.issuance.id == self.issuance).ok_or(Overtaken)?;
        let facts = match self.outcome {
            Outcome::Accepted => self.mailed(client)?,
            Outcome::NoVersion(setback) => {
                let to = client.contacts.technical().map(|contact| contact.id);
                // What the relay said of one address says nothing of the one that has taken its place since.
                let replaced = to.is_some() && to != self.to;
                if replaced || !matches!(client.issuance.state, IssuanceState::Queued { .. }) {
                    return Err(Overtaken);
                }
                let attempts = client.issuance.attempts.saturating_add(1);
                vec![after_setback(client, &self.policy, setback, attempts, self.jitter, now)]
            }
            Outcome::Void(cause) => self.void(client, cause, now)?,
        };
        Ok(Decision { facts, enclosures: Vec::new(), answer: () })
    }
}

impl Settle {
    fn mailed(&self, client: &Client) -> Result<Vec<(Subject, Fact)>, Overtaken> {
        let subject = self.generated(client)?;
        let mut facts = vec![(subject.clone(), Fact::MailAccepted(Nothing {}))];
        // The technical contact has the mail itself; the others learn that it is out.
        facts.extend(notices_to(client, &subject, NoticeKind::Delivered, &self.notices, Told::Administrative));
        Ok(facts)
    }

    fn void(&self, client: &Client, cause: AbandonCause, now: Timestamp) -> Result<Vec<(Subject, Fact)>, Overtaken> {
        let subject = self.generated(client)?;
        let setback = if cause == AbandonCause::MailRefused { Setback::Permanent } else { Setback::Passing };
        let attempts = client.issuance.attempts;
        Ok(vec![
            (subject, Fact::CredentialAbandoned(CredentialAbandoned { cause })),
            after_setback(client, &self.policy, setback, attempts, self.jitter, now),
        ])
    }

    /// The version that this attempt made, if it is still the one that is being delivered.
    fn generated(&self, client: &Client) -> Result<Subject, Overtaken> {
        let version = self.version.ok_or(Overtaken)?;
        let credential = client.credentials.get(&version).ok_or(Overtaken)?;
        if credential.state == CredentialState::Generated {
            Ok(Subject::of_credential(client, credential))
        } else {
            Err(Overtaken)
        }
    }
}
