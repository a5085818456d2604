//! After the journal had to go on from an older state: what was in flight is given up, since it may have been delivered,
//! picked up or taken back in the entries that are missing. The order is parked for an operator; nothing goes out by itself.

use crate::domain::credential::AbandonCause;
use crate::domain::ids::ApplicationId;
use crate::domain::issuance::{FailCause, IssuanceState};
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{CredentialAbandoned, Fact, IssuanceFailed};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope};

/// Gives up what one client has in flight.
pub struct GiveUpLost {
    /// The client.
    pub application: ApplicationId,
}

/// It has nothing in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NothingInFlight;

impl Command for GiveUpLost {
    type Answer = ();
    type Refusal = NothingInFlight;

    fn actor(&self) -> Actor {
        Actor::Daemon
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Application(self.application.clone()))
    }

    fn decide(&self, state: &Loaded, _now: Timestamp) -> Result<Decision<()>, NothingInFlight> {
        let client = state.client().ok_or(NothingInFlight)?;
        let mut facts = Vec::new();
        if let Some(credential) = client.on_its_way() {
            let abandoned = CredentialAbandoned { cause: AbandonCause::StateLost };
            facts.push((Subject::of_credential(client, credential), Fact::CredentialAbandoned(abandoned)));
        }
        match client.issuance.state {
            IssuanceState::Queued { .. } | IssuanceState::Delivering { .. } | IssuanceState::AwaitingPickup { .. } => {
                let failed = IssuanceFailed { cause: FailCause::StateLost };
                facts.push((Subject::of_order(client), Fact::IssuanceFailed(failed)));
            }
            // What waits for its agreement was never tried and does nothing until an event comes.
            IssuanceState::WaitingForAgreement
            | IssuanceState::Completed { .. }
            | IssuanceState::Failed { .. }
            | IssuanceState::Cancelled { .. } => {}
        }
        if facts.is_empty() {
            return Err(NothingInFlight);
        }
        Ok(Decision { facts, enclosures: Vec::new(), answer: () })
    }
}
