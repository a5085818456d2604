//! An operator asks for what needs a second person: nothing is carried out, and exactly what was asked goes on record.
//!
//! What could not be carried out now is refused at once, so that nobody is asked to approve a mistake.

use std::sync::Arc;

use super::desk::{Desk, DeskError};
use super::notify::NoticeIds;
use super::order::{Order, OrderRefusal};
use super::reissue::{Reissue, Reissued};
use super::revoke::{Revoke, Revoked};
use crate::domain::ids::{IssuanceId, NoticeId, RequestNonce};
use crate::domain::policy::Policy;
use crate::domain::random::RandomnessFailed;
use crate::domain::request::{Asked, Content, Request, RequestId, RequestState};
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{Fact, RequestMade};
use crate::journal::request_id;
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Loaded, Scope};

/// The word of a second person: an order that has it may be carried out. Only the files about requests make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seconded(RequestId);

impl Seconded {
    /// For the decision on a request.
    pub(super) fn by(request: &Request) -> Self {
        Self(request.id)
    }

    /// The request that it was given to.
    pub fn request(&self) -> RequestId {
        self.0
    }
}

/// What a decision about a request needs and cannot draw.
#[derive(Clone)]
pub struct Drawn {
    /// The id of the order, if the request brings one.
    pub issuance: IssuanceId,
    /// Ids for the notices that the order brings.
    pub notices: NoticeIds,
    /// The id of the mail to the agency's operators.
    pub report: NoticeId,
    /// Tells the request from others.
    pub nonce: RequestNonce,
}

/// An order that is put on record instead of being carried out.
pub struct MakeRequest {
    /// Who asks, about whom, why.
    pub order: Order,
    /// What for.
    pub asked: Asked,
    /// What is drawn beforehand.
    pub drawn: Drawn,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

impl Command for MakeRequest {
    type Answer = Request;
    type Refusal = OrderRefusal;

    fn actor(&self) -> Actor {
        self.order.actor.clone()
    }

    fn scope(&self) -> Scope {
        self.order.scope()
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<Request>, OrderRefusal> {
        let by = self.order.actor.person().filter(|person| !person.is_nobody()).ok_or(OrderRefusal::NotAPerson)?;
        let client = state.client().ok_or(OrderRefusal::UnknownClient)?;
        let content = Content {
            application: Some(client.application.clone()),
            asked: self.asked.clone(),
            by,
            reason: self.order.reason.clone(),
            case: self.order.case.clone(),
            made: now,
            expires: now.after(self.policy.request_life),
            nonce: self.drawn.nonce,
        };
        let state_of = RequestState::Waiting;
        let reports = Default::default();
        let request = Request { id: request_id(&content), content, state: state_of, own_attempts: 0, reports };
        // What would come of it, if the second person said yes at once.
        CarryOut { actor: &self.order.actor, request: &request, drawn: &self.drawn, policy: &self.policy }
            .decide(state, now)?;
        let made = RequestMade {
            asked: self.asked.clone(),
            reason: request.content.reason.clone(),
            case: request.content.case.clone(),
            expires: request.content.expires,
            nonce: request.content.nonce,
            report: report(&self.policy, self.drawn.report),
        };
        let facts = vec![(Subject::of_request(&request), Fact::RequestMade(made))];
        Ok(Decision { facts, enclosures: Vec::new(), answer: request })
    }
}

/// What a request brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A new order.
    Reissued(Reissued),
    /// The end of credentials.
    Revoked(Revoked),
}

/// The order that a request is for, as the second person gives it.
pub(super) struct CarryOut<'a> {
    pub(super) actor: &'a Actor,
    pub(super) request: &'a Request,
    pub(super) drawn: &'a Drawn,
    pub(super) policy: &'a Arc<Policy>,
}

impl CarryOut<'_> {
    /// The decision of the command that was asked for, on the state as it is now.
    pub(super) fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<Effect>, OrderRefusal> {
        let Content { application, asked, reason, case, .. } = &self.request.content;
        let order = Order {
            actor: self.actor.clone(),
            application: application.clone().ok_or(OrderRefusal::UnknownClient)?,
            reason: reason.clone(),
            case: case.clone(),
            event: None,
            seconded: Some(Seconded::by(self.request)),
        };
        let (notices, policy) = (self.drawn.notices.clone(), Arc::clone(self.policy));
        let Some(replaces) = asked.replaces() else {
            return Ok(effect(Revoke { order, notices, policy }.decide(state, now)?, Effect::Revoked));
        };
        let reissue = Reissue { order, replaces, issuance: self.drawn.issuance, notices, contact: None, policy };
        Ok(effect(reissue.decide(state, now)?, Effect::Reissued))
    }
}

fn effect<A>(decision: Decision<A>, of: impl FnOnce(A) -> Effect) -> Decision<Effect> {
    let Decision { facts, enclosures, answer } = decision;
    Decision { facts, enclosures, answer: of(answer) }
}

/// The id of the mail to the agency's operators, if they have a mailbox.
pub(super) fn report(policy: &Policy, id: NoticeId) -> Option<NoticeId> {
    policy.tells_operators.then_some(id)
}

impl Desk {
    /// Whether an operator cannot have this done alone.
    pub fn needs_second_person(&self, asked: &Asked) -> bool {
        self.policy.four_eyes.contains(&asked.command())
    }

    /// Puts an order on record for a second person. Nothing else happens.
    pub async fn request(&self, order: Order, asked: Asked) -> Result<Request, DeskError<OrderRefusal>> {
        let (drawn, policy) = (self.draw_for_request()?, Arc::clone(&self.policy));
        let request = self.submit(MakeRequest { order, asked, drawn, policy }).await?.into_answer();
        self.work.notify_one();
        Ok(request)
    }

    pub(super) fn draw_for_request(&self) -> Result<Drawn, RandomnessFailed> {
        let now = self.clock.now();
        Ok(Drawn {
            issuance: IssuanceId::new(now, &*self.random)?,
            notices: self.notice_ids()?,
            report: NoticeId::new(now, &*self.random)?,
            nonce: RequestNonce::new(now, &*self.random)?,
        })
    }
}
