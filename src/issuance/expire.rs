//! What time alone does: windows close and graces end. And what a start finds: versions that a crash left behind.

use std::sync::Arc;

use super::retry::{Setback, after_setback};
use crate::domain::client::Client;
use crate::domain::credential::{AbandonCause, CredentialState, EndCause};
use crate::domain::ids::ApplicationId;
use crate::domain::issuance::FailCause;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{CredentialAbandoned, CredentialEnded, Fact, IssuanceFailed};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope};

/// Does for one client what its time has come for.
pub struct Expire {
    /// The client.
    pub application: ApplicationId,
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
        Scope { client: Find::Application(self.application.clone()), event: None }
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<()>, NothingDue> {
        let client = state.client().ok_or(NothingDue)?;
        let mut facts = Vec::new();
        for credential in client.credentials.values() {
            let subject = Subject::of_credential(client, credential);
            match credential.state {
                CredentialState::Mailed if credential.window_ends <= now => {
                    let cause = AbandonCause::Unclaimed;
                    facts.push((subject, Fact::CredentialAbandoned(CredentialAbandoned { cause })));
                    let cause = FailCause::Unclaimed;
                    facts.push((Subject::of_order(client), Fact::IssuanceFailed(IssuanceFailed { cause })));
                }
                CredentialState::Retiring { until } if until <= now => {
                    let cause = EndCause::GraceEnded;
                    facts.push((subject, Fact::CredentialEnded(CredentialEnded { cause })));
                }
                CredentialState::Generated
                | CredentialState::Mailed
                | CredentialState::Active { .. }
                | CredentialState::Retiring { .. }
                | CredentialState::Abandoned { .. }
                | CredentialState::Ended { .. } => {}
            }
        }
        if facts.is_empty() { Err(NothingDue) } else { Ok(Decision { facts, enclosures: Vec::new(), answer: () }) }
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
        Scope { client: Find::Application(self.application.clone()), event: None }
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
