//! A client's credentials end: what is active, what is in its grace, and what is on its way.

use std::sync::Arc;

use super::approve::{EventAnswer, seen_before};
use super::notify::{NoticeIds, Told};
use super::order::{Order, OrderRefusal, end_all, withdraw};
use crate::domain::credential::{AbandonCause, EndCause};
use crate::domain::issuance::CancelCause;
use crate::domain::policy::Policy;
use crate::domain::request::Asked;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::Fact;
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Loaded, Scope};

/// An order to end a client's credentials.
pub struct Revoke {
    /// Who, whose, why.
    pub order: Order,
    /// Ids for the notices.
    pub notices: NoticeIds,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// What a revocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// As an event is answered.
    pub event: EventAnswer,
    /// How many credentials verified and do no more.
    pub ended: usize,
    /// Whether a delivery under way was taken back.
    pub withdrawn: bool,
}

impl Command for Revoke {
    type Answer = Revoked;
    type Refusal = OrderRefusal;

    fn actor(&self) -> Actor {
        self.order.actor.clone()
    }

    fn scope(&self) -> Scope {
        self.order.scope()
    }

    fn decide(&self, state: &Loaded, _now: Timestamp) -> Result<Decision<Revoked>, OrderRefusal> {
        if let (Some(seen), Some(event)) = (&state.slice.event, &self.order.event) {
            let Decision { facts, enclosures, answer } = seen_before(seen, event);
            return Ok(Decision { facts, enclosures, answer: Revoked { event: answer, ended: 0, withdrawn: false } });
        }
        self.order.permitted(&Asked::Revoke {}, &self.policy)?;
        let client = state.client().ok_or(OrderRefusal::UnknownClient)?;
        let withdrawn = withdraw(client, AbandonCause::Revoked, CancelCause::Revoked);
        let ending = end_all(client, EndCause::Revoked, &self.notices, Told::All);
        if withdrawn.is_empty() && ending.is_empty() {
            return Err(OrderRefusal::NothingToRevoke);
        }
        let answer = Revoked {
            event: EventAnswer::Accepted { issuance: client.issuance.id, application: client.application.clone() },
            ended: ending.iter().filter(|(_, fact)| matches!(fact, Fact::CredentialEnded(_))).count(),
            withdrawn: !withdrawn.is_empty(),
        };
        let mut facts = vec![(Subject::of_client(client), Fact::RevocationOrdered(self.order.ordered()))];
        facts.extend(withdrawn);
        facts.extend(ending);
        Ok(Decision { facts, enclosures: Vec::new(), answer })
    }
}
