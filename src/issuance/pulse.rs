//! A command that changes nothing: when it comes back, the writer works.

use std::convert::Infallible;

use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope};

/// Asks the writer for a sign of life.
#[derive(Debug, Clone, Copy)]
pub struct Pulse;

impl Command for Pulse {
    type Answer = ();
    type Refusal = Infallible;

    fn actor(&self) -> Actor {
        Actor::Daemon
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Nothing)
    }

    fn decide(&self, _state: &Loaded, _now: Timestamp) -> Result<Decision<()>, Infallible> {
        Ok(Decision { facts: Vec::new(), enclosures: Vec::new(), answer: () })
    }
}
