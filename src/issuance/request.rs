//! An operator asks for what needs a second person: nothing is carried out, and exactly what was asked goes on record.
//!
//! What could not be carried out now is refused at once, so that nobody is asked to approve a mistake.

use std::sync::Arc;

use super::campaign::{CampaignOrder, CampaignRefusal, OpenCampaign};
use super::contacts::{ContactRefusal, ContactsChanged, NewAddress};
use super::contacts_change::{AddContact, ChangeContact};
use super::contacts_forget::ForgetContact;
use super::desk::{Desk, DeskError};
use super::notify::NoticeIds;
use super::order::{Order, OrderRefusal};
use super::reissue::{NewTechnical, Reissue, Reissued};
use super::revoke::{Revoke, Revoked};
use crate::domain::campaign::Filter;
use crate::domain::contact::{ContactReference, EmailAddress};
use crate::domain::contacts::{ContactMisfit, Standing};
use crate::domain::digest::Pseudonym;
use crate::domain::ids::{ApplicationId, CampaignId, EventPart, IssuanceId, NoticeId, RequestNonce};
use crate::domain::issuance::Replacement;
use crate::domain::name::Name;
use crate::domain::policy::Policy;
use crate::domain::random::RandomnessFailed;
use crate::domain::request::{Asked, Content, Request, RequestId, RequestState};
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{Fact, RequestMade};
use crate::journal::request_id;
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Enclosure, Find, Loaded, Scope};

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
    /// The id of the campaign, if it brings one.
    pub campaign: CampaignId,
    /// Ids for the notices that the order brings.
    pub notices: NoticeIds,
    /// The same for notices about another contact, beside those.
    pub told_of_contacts: NoticeIds,
    /// The id of the mail to the agency's operators.
    pub report: NoticeId,
    /// Tells the request from others.
    pub nonce: RequestNonce,
}

/// An order that is put on record instead of being carried out.
pub struct MakeRequest {
    /// Who asks.
    pub actor: Actor,
    /// About which client; none when it is about several.
    pub application: Option<ApplicationId>,
    /// Why, in his words.
    pub reason: Name,
    /// The agency's case, where one is given.
    pub case: Option<EventPart>,
    /// What for.
    pub asked: Asked,
    /// The address that it brings, where it does.
    pub address: Option<HeldAddress>,
    /// What is drawn beforehand.
    pub drawn: Drawn,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// An address that is asked for, with its keyed hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldAddress {
    /// The address.
    pub email: EmailAddress,
    /// What the request says of it.
    pub hash: Pseudonym,
}

impl Command for MakeRequest {
    type Answer = Request;
    type Refusal = OrderRefusal;

    fn actor(&self) -> Actor {
        self.actor.clone()
    }

    fn scope(&self) -> Scope {
        Scope::of(self.application.clone().map_or(Find::Nothing, Find::Application))
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<Request>, OrderRefusal> {
        let by = self.actor.person().filter(|person| !person.is_nobody()).ok_or(OrderRefusal::NotAPerson)?;
        let application = match &self.application {
            // By whichever of its names it was asked for.
            Some(_) => Some(state.client().ok_or(OrderRefusal::UnknownClient)?.application.clone()),
            None => None,
        };
        let content = Content {
            application,
            asked: self.asked.clone(),
            by,
            reason: self.reason.clone(),
            case: self.case.clone(),
            made: now,
            expires: now.after(self.policy.request_life),
            nonce: self.drawn.nonce,
        };
        let (id, reports) = (request_id(&content), Default::default());
        let request = Request { id, content, state: RequestState::Waiting, own_attempts: 0, reports };
        // What would come of it, if the second person said yes at once.
        let (drawn, policy, address) = (&self.drawn, &self.policy, self.address.as_ref());
        CarryOut { actor: &self.actor, request: &request, address, drawn, policy }.decide(state, now)?;
        let Content { reason, case, expires, nonce, .. } = request.content.clone();
        let report = report(&self.policy, self.drawn.report);
        let made = RequestMade { asked: self.asked.clone(), reason, case, expires, nonce, report };
        let facts = vec![(Subject::of_request(&request), Fact::RequestMade(made))];
        let held = |address: &HeldAddress| Enclosure::Asked(id, address.email.clone());
        Ok(Decision { facts, enclosures: self.address.iter().map(held).collect(), answer: request })
    }
}

/// What a request brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A new order.
    Reissued(Reissued),
    /// A campaign, of which nothing is re-issued yet.
    Opened(CampaignId),
    /// The end of credentials.
    Revoked(Revoked),
    /// Other contacts.
    Contacts(ContactsChanged),
}

/// The order that a request is for, as the second person gives it.
pub(super) struct CarryOut<'a> {
    pub(super) actor: &'a Actor,
    pub(super) request: &'a Request,
    /// The address that lies beside it.
    pub(super) address: Option<&'a HeldAddress>,
    pub(super) drawn: &'a Drawn,
    pub(super) policy: &'a Arc<Policy>,
}

impl CarryOut<'_> {
    /// The decision of the command that was asked for, on the state as it is now.
    pub(super) fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<Effect>, OrderRefusal> {
        let (notices, policy) = (self.drawn.notices.clone(), Arc::clone(self.policy));
        let issuance = self.drawn.issuance;
        match &self.request.content.asked {
            Asked::Reissue { grace_seconds } => {
                let replaces = Replacement::GraceSeconds(*grace_seconds);
                let reissue = Reissue { order: self.order()?, replaces, issuance, notices, contact: None, policy };
                Ok(effect(reissue.decide(state, now)?, Effect::Reissued))
            }
            Asked::ReissueCompromised {} => {
                let replaces = Replacement::Compromised;
                let reissue = Reissue { order: self.order()?, replaces, issuance, notices, contact: None, policy };
                Ok(effect(reissue.decide(state, now)?, Effect::Reissued))
            }
            Asked::ReissueAll { filter, replaces, matched, limit } => {
                let campaign = self.drawn.campaign;
                let opened = self.campaign(filter, *replaces, *matched, *limit).decide(state, now);
                let opened = opened.map_err(|refusal| of_campaign(&refusal))?;
                Ok(effect(opened, |()| Effect::Opened(campaign)))
            }
            Asked::Revoke {} => {
                let revoke = Revoke { order: self.order()?, notices, policy };
                Ok(effect(revoke.decide(state, now)?, Effect::Revoked))
            }
            Asked::ReissueTo { replaces, contact } => {
                let told = self.drawn.told_of_contacts.clone();
                let new =
                    NewTechnical { address: self.address(contact)?, language: Some(contact.language), notices: told };
                let (replaces, contact) = (*replaces, Some(new));
                let reissue = Reissue { order: self.order()?, replaces, issuance, notices, contact, policy };
                Ok(effect(reissue.decide(state, now)?, Effect::Reissued))
            }
            Asked::ContactsAdd { contact } => {
                let (order, address) = (self.order()?, self.address(contact)?);
                let (language, role) = (contact.language, contact.role);
                of_contacts(AddContact { order, address, language, role, notices, policy }.decide(state, now))
            }
            Asked::ContactsChange { contact, to } => {
                let is = state.client().and_then(|client| client.contacts.find(*contact));
                // The same address in another language is another order.
                if is.is_some_and(|(is, standing)| standing == Standing::Current && is.address == to.address) {
                    return Err(OrderRefusal::Contact(ContactMisfit::Unchanged.into()));
                }
                let (order, address) = (self.order()?, Some(self.address(to)?));
                let (contact, language) = (*contact, Some(to.language));
                of_contacts(ChangeContact { order, contact, address, language, notices, policy }.decide(state, now))
            }
            Asked::ContactsSpeak { contact, language } => {
                let (order, contact, language) = (self.order()?, *contact, Some(*language));
                let change = ChangeContact { order, contact, address: None, language, notices, policy };
                of_contacts(change.decide(state, now))
            }
            Asked::ContactsForget { contact } => {
                let (order, contact) = (self.order()?, *contact);
                of_contacts(ForgetContact { order, contact, notices, policy }.decide(state, now))
            }
        }
    }

    /// The address is used only if it is the one that was asked for and looked at.
    fn address(&self, contact: &ContactReference) -> Result<NewAddress, OrderRefusal> {
        let held = self.address.filter(|held| held.hash == contact.address).ok_or(OrderRefusal::AddressGone)?;
        Ok(NewAddress { id: contact.id, email: held.email.clone(), hash: held.hash })
    }

    fn order(&self) -> Result<Order, OrderRefusal> {
        let Content { application, reason, case, .. } = &self.request.content;
        Ok(Order {
            actor: self.actor.clone(),
            application: application.clone().ok_or(OrderRefusal::UnknownClient)?,
            reason: reason.clone(),
            case: case.clone(),
            event: None,
            seconded: Some(Seconded::by(self.request)),
        })
    }

    fn campaign(&self, filter: &Filter, replaces: Replacement, matched: u64, limit: u64) -> OpenCampaign {
        let (reason, case) = (self.request.content.reason.clone(), self.request.content.case.clone());
        OpenCampaign {
            actor: self.actor.clone(),
            campaign: self.drawn.campaign,
            order: CampaignOrder { filter: filter.clone(), replaces, reason, case, limit: Some(limit) },
            matched,
            seconded: Some(Seconded::by(self.request)),
            policy: Arc::clone(self.policy),
        }
    }
}

/// Why a campaign is not opened, as an order is refused.
pub(super) fn of_campaign(refusal: &CampaignRefusal) -> OrderRefusal {
    match refusal {
        CampaignRefusal::GraceTooLong => OrderRefusal::GraceTooLong,
        CampaignRefusal::CaseRequired => OrderRefusal::CaseRequired,
        CampaignRefusal::SecondPersonRequired => OrderRefusal::SecondPersonRequired,
        CampaignRefusal::NothingMatches
        // None of these is said of one that is only to be opened.
        | CampaignRefusal::Unknown
        | CampaignRefusal::Over
        | CampaignRefusal::Spent
        | CampaignRefusal::NotAMember
        | CampaignRefusal::Reissued
        | CampaignRefusal::Skipped(_) => OrderRefusal::NothingMatches,
    }
}

fn of_contacts(changed: Result<Decision<ContactsChanged>, ContactRefusal>) -> Result<Decision<Effect>, OrderRefusal> {
    Ok(effect(changed.map_err(OrderRefusal::Contact)?, Effect::Contacts))
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
        self.policy.takes_two(asked)
    }

    /// Puts an order on record for a second person. Nothing else happens.
    pub async fn request(
        &self,
        actor: Actor,
        application: Option<ApplicationId>,
        reason: Name,
        case: Option<EventPart>,
        asked: Asked,
        address: Option<EmailAddress>,
    ) -> Result<Request, DeskError<OrderRefusal>> {
        let address = address.map(|email| self.held(email));
        let (drawn, policy) = (self.draw_for_request()?, Arc::clone(&self.policy));
        let make = MakeRequest { actor, application, reason, case, asked, address, drawn, policy };
        let request = self.submit(make).await?;
        self.work.notify_one();
        Ok(request.into_answer())
    }

    pub(super) fn held(&self, email: EmailAddress) -> HeldAddress {
        HeldAddress { hash: self.pseudonyms.of_address(&email), email }
    }

    pub(super) fn draw_for_request(&self) -> Result<Drawn, RandomnessFailed> {
        let now = self.clock.now();
        Ok(Drawn {
            issuance: IssuanceId::new(now, &*self.random)?,
            campaign: CampaignId::new(now, &*self.random)?,
            notices: self.notice_ids()?,
            told_of_contacts: self.notice_ids()?,
            report: NoticeId::new(now, &*self.random)?,
            nonce: RequestNonce::new(now, &*self.random)?,
        })
    }
}
