//! Facts about the service itself, and about senders who may not send what they sent.

use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::Fact;
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope};

/// Puts one fact about the service on record.
pub struct Note {
    /// Who acted.
    pub actor: Actor,
    /// The fact; its subject is the service.
    pub fact: Fact,
}

impl Command for Note {
    type Answer = ();
    type Refusal = std::convert::Infallible;

    fn actor(&self) -> Actor {
        self.actor.clone()
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Nothing)
    }

    fn decide(&self, _state: &Loaded, _now: Timestamp) -> Result<Decision<()>, std::convert::Infallible> {
        Ok(Decision { facts: vec![(Subject::Service {}, self.fact.clone())], enclosures: Vec::new(), answer: () })
    }
}
