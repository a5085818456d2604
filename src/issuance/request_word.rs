//! The word of the second person: yes, and exactly what was asked is carried out in the same moment; or no.
//!
//! What is carried out is decided on the state as it is then. If it cannot be carried out any more, the request is closed
//! with the reason: it does not lie in wait for other circumstances than those that the second person was shown.

use std::sync::Arc;

use super::contacts::ContactRefusal;
use super::desk::{Desk, DeskError};
use super::order::OrderRefusal;
use super::request::{CarryOut, Drawn, Effect, HeldAddress, report};
use crate::domain::ids::NoticeId;
use crate::domain::name::Name;
use crate::domain::policy::Policy;
use crate::domain::request::{Obstacle, Person, Request, RequestId, RequestState};
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{Fact, RequestContested, RequestDenied, RequestDone, RequestFailed};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope};

/// A yes.
pub struct ApproveRequest {
    /// Who says it.
    pub actor: Actor,
    /// To which request.
    pub request: RequestId,
    /// The address that lay beside it when this was made up.
    pub address: Option<HeldAddress>,
    /// What is drawn beforehand.
    pub drawn: Drawn,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// A no.
pub struct DenyRequest {
    /// Who says it.
    pub actor: Actor,
    /// To which request.
    pub request: RequestId,
    /// Why.
    pub reason: Name,
    /// The id of the mail to the agency's operators.
    pub report: NoticeId,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// What a yes came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Approved {
    /// What was asked has been done.
    CarriedOut(Box<Request>, Effect),
    /// It could not be done any more; the request is closed.
    Failed(OrderRefusal),
    /// Nobody is his own second person. The attempt is on record.
    Own,
}

/// What a no came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// The request is closed.
    Closed(Box<Request>),
    /// Nobody decides his own request. The attempt is on record.
    Own,
}

/// Why nobody's word was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WordRefusal {
    /// There is no such request.
    Unknown,
    /// It is decided already, or was closed.
    Closed(RequestState),
    /// Its time is over.
    Expired(Timestamp),
    /// It is his own, and as many attempts are on record as are recorded.
    Own,
    /// The kernel cannot say who it is.
    NotAPerson,
}

impl Command for ApproveRequest {
    type Answer = Approved;
    type Refusal = WordRefusal;

    fn actor(&self) -> Actor {
        self.actor.clone()
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Request(self.request))
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<Approved>, WordRefusal> {
        let (by, request) = listen(&self.actor, state, now)?;
        let subject = Subject::of_request(request);
        if by.may_be(&request.content.by) {
            let contested = contested(request, &self.policy)?;
            return Ok(Decision { facts: vec![contested], enclosures: Vec::new(), answer: Approved::Own });
        }
        let report = report(&self.policy, self.drawn.report);
        let lies_there = |held: &&HeldAddress| state.asked_address.as_ref() == Some(&held.email);
        let address = self.address.as_ref().filter(lies_there);
        let order = CarryOut { actor: &self.actor, request, address, drawn: &self.drawn, policy: &self.policy };
        match order.decide(state, now) {
            Ok(Decision { facts: effects, enclosures, answer }) => {
                let mut facts = vec![(subject, Fact::RequestApproved(RequestDone { report }))];
                facts.extend(effects);
                let answer = Approved::CarriedOut(Box::new(request.clone()), answer);
                Ok(Decision { facts, enclosures, answer })
            }
            Err(refusal) => {
                let failed = Fact::RequestFailed(RequestFailed { cause: obstacle(refusal)?, report });
                let answer = Approved::Failed(refusal);
                Ok(Decision { facts: vec![(subject, failed)], enclosures: Vec::new(), answer })
            }
        }
    }
}

impl Command for DenyRequest {
    type Answer = Denied;
    type Refusal = WordRefusal;

    fn actor(&self) -> Actor {
        self.actor.clone()
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Request(self.request))
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<Denied>, WordRefusal> {
        let (by, request) = listen(&self.actor, state, now)?;
        if by.may_be(&request.content.by) {
            let contested = contested(request, &self.policy)?;
            return Ok(Decision { facts: vec![contested], enclosures: Vec::new(), answer: Denied::Own });
        }
        let denied = RequestDenied { reason: self.reason.clone(), report: report(&self.policy, self.report) };
        let facts = vec![(Subject::of_request(request), Fact::RequestDenied(denied))];
        Ok(Decision { facts, enclosures: Vec::new(), answer: Denied::Closed(Box::new(request.clone())) })
    }
}

/// Who speaks, and the request that he speaks to, if it still waits.
fn listen<'a>(actor: &Actor, state: &'a Loaded, now: Timestamp) -> Result<(Person, &'a Request), WordRefusal> {
    let by = actor.person().filter(|person| !person.is_nobody()).ok_or(WordRefusal::NotAPerson)?;
    let request = state.slice.request.as_ref().ok_or(WordRefusal::Unknown)?;
    if request.state != RequestState::Waiting {
        return Err(WordRefusal::Closed(request.state.clone()));
    }
    if !request.waits(now) {
        return Err(WordRefusal::Expired(request.content.expires));
    }
    Ok((by, request))
}

/// The record of an attempt at one's own request. It is bounded, as are those at others' deliveries.
fn contested(request: &Request, policy: &Policy) -> Result<(Subject, Fact), WordRefusal> {
    if request.own_attempts >= policy.refusals_recorded_max {
        return Err(WordRefusal::Own);
    }
    let count = request.own_attempts.saturating_add(1);
    Ok((Subject::of_request(request), Fact::RequestContested(RequestContested { count })))
}

/// What stands in the way of something that two people want.
fn obstacle(refusal: OrderRefusal) -> Result<Obstacle, WordRefusal> {
    match refusal {
        OrderRefusal::UnknownClient => Ok(Obstacle::UnknownClient),
        OrderRefusal::NothingToRevoke => Ok(Obstacle::NothingToRevoke),
        OrderRefusal::GraceTooLong => Ok(Obstacle::GraceTooLong),
        OrderRefusal::AgreementAwaited => Ok(Obstacle::AgreementAwaited),
        OrderRefusal::AgreementOver => Ok(Obstacle::AgreementOver),
        OrderRefusal::NothingMatches => Ok(Obstacle::NothingMatches),
        OrderRefusal::CaseRequired => Ok(Obstacle::CaseRequired),
        OrderRefusal::ContactErased => Ok(Obstacle::ContactErased),
        OrderRefusal::AddressGone => Ok(Obstacle::AddressGone),
        OrderRefusal::Contact(refusal) => of_contact(refusal),
        // Both were asked for before.
        OrderRefusal::NotAPerson | OrderRefusal::SecondPersonRequired => Err(WordRefusal::NotAPerson),
    }
}

fn of_contact(refusal: ContactRefusal) -> Result<Obstacle, WordRefusal> {
    match refusal {
        ContactRefusal::UnknownClient => Ok(Obstacle::UnknownClient),
        ContactRefusal::ClientOver => Ok(Obstacle::ClientOver),
        ContactRefusal::OnItsWay(_) => Ok(Obstacle::DeliveryOnItsWay),
        ContactRefusal::Personal => Ok(Obstacle::PersonalMailbox),
        ContactRefusal::Misfit(_) => Ok(Obstacle::ContactsChanged),
        ContactRefusal::CaseRequired => Ok(Obstacle::CaseRequired),
        ContactRefusal::SecondPersonRequired => Err(WordRefusal::NotAPerson),
    }
}

impl Desk {
    /// Takes a yes. When this returns with what was carried out, it has taken effect.
    pub async fn approve_request(&self, actor: Actor, request: RequestId) -> Result<Approved, DeskError<WordRefusal>> {
        let address = self.read(move |queries| queries.asked_address(request)).await?;
        let address = address.map(|email| self.held(email));
        let (drawn, policy) = (self.draw_for_request()?, Arc::clone(&self.policy));
        let answer = self.submit(ApproveRequest { actor, request, address, drawn, policy }).await?.into_answer();
        self.work.notify_one();
        Ok(answer)
    }

    /// Takes a no.
    pub async fn deny_request(
        &self,
        actor: Actor,
        request: RequestId,
        reason: Name,
    ) -> Result<Denied, DeskError<WordRefusal>> {
        let report = NoticeId::new(self.clock.now(), &*self.random)?;
        let policy = Arc::clone(&self.policy);
        let answer = self.submit(DenyRequest { actor, request, reason, report, policy }).await?.into_answer();
        self.work.notify_one();
        Ok(answer)
    }
}
