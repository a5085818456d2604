//! A new credential for a client that exists. The old one lives until the new one is proven and a grace has passed, or
//! is ended at once.

use std::sync::Arc;

use super::approve::{EventAnswer, seen_before};
use super::contacts::{ContactRefusal, NewAddress, Replaced};
use super::notify::{NoticeIds, Told};
use super::order::{Order, OrderRefusal, end_all, withdraw};
use crate::domain::client::Client;
use crate::domain::contact::Language;
use crate::domain::contacts::ContactMisfit;
use crate::domain::credential::{AbandonCause, EndCause};
use crate::domain::ids::{CampaignId, IssuanceId};
use crate::domain::issuance::{CancelCause, IssuanceState, Replacement};
use crate::domain::policy::Policy;
use crate::domain::request::Asked;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{Fact, IssuanceOpened};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Loaded, Scope};

/// An order for a new credential.
pub struct Reissue {
    /// Who, for whom, why.
    pub order: Order,
    /// What becomes of the old credential.
    pub replaces: Replacement,
    /// The id of the new order.
    pub issuance: IssuanceId,
    /// Ids for the notices.
    pub notices: NoticeIds,
    /// Another address for the technical contact, when that is what was wrong.
    pub contact: Option<NewTechnical>,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// Another address for the technical contact, with the ids of the notices that tell of it.
pub struct NewTechnical {
    /// The address.
    pub address: NewAddress,
    /// Its language; the one before it when none is given.
    pub language: Option<Language>,
    /// Ids for the notices.
    pub notices: NoticeIds,
}

/// What a re-issue began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reissued {
    /// As an event is answered.
    pub event: EventAnswer,
    /// What becomes of the credentials that verified when the order was given.
    pub old: OldFate,
}

/// What becomes of the credential that a re-issue replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldFate {
    /// None verified.
    None,
    /// It verifies until the new one is proven, and for the grace after that.
    LivesUntilProven,
    /// It verifies no more.
    Ended,
}

impl Command for Reissue {
    type Answer = Reissued;
    type Refusal = OrderRefusal;

    fn actor(&self) -> Actor {
        self.order.actor.clone()
    }

    fn scope(&self) -> Scope {
        self.order.scope()
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<Reissued>, OrderRefusal> {
        if let (Some(seen), Some(event)) = (&state.slice.event, &self.order.event) {
            let Decision { facts, enclosures, answer } = seen_before(seen, event);
            return Ok(Decision { facts, enclosures, answer: Reissued { event: answer, old: OldFate::None } });
        }
        if let Some(asked) = Asked::reissue(self.replaces) {
            self.order.permitted(&asked, &self.policy)?;
        }
        let client = state.client().ok_or(OrderRefusal::UnknownClient)?;
        if self.replaces.grace() > self.policy.grace_max {
            return Err(OrderRefusal::GraceTooLong);
        }
        if client.issuance.state == IssuanceState::WaitingForAgreement {
            return Err(OrderRefusal::AgreementAwaited);
        }
        if !client.is_agreed(now) {
            return Err(OrderRefusal::AgreementOver);
        }
        let replaced = match &self.contact {
            None => client.contacts.technical().map(|_| None).ok_or(OrderRefusal::ContactErased)?,
            Some(new) => Some(new.decide(client, &self.policy).map_err(OrderRefusal::Contact)?),
        };
        if let Some(replaced) = &replaced {
            let asked = Asked::ReissueTo { replaces: self.replaces, contact: replaced.contact().clone() };
            self.order.permitted(&asked, &self.policy)?;
        }
        let told = replaced.as_ref().zip(self.contact.as_ref());
        let opening = Opening {
            order: &self.order,
            replaces: self.replaces,
            issuance: self.issuance,
            notices: &self.notices,
            campaign: None,
            contact: told.map(|(replaced, new)| (replaced, &new.notices, &*self.policy)),
        };
        Ok(opening.of(client))
    }
}

impl NewTechnical {
    fn decide(&self, client: &Client, policy: &Policy) -> Result<Replaced, ContactRefusal> {
        let place = client.contacts.technical_place().ok_or(ContactMisfit::Unknown)?;
        Replaced::by(client, place.id, &self.address, self.language, policy)
    }
}

/// A new order that was decided on, for this client alone or with others.
pub(super) struct Opening<'a> {
    pub(super) order: &'a Order,
    pub(super) replaces: Replacement,
    pub(super) issuance: IssuanceId,
    pub(super) notices: &'a NoticeIds,
    pub(super) campaign: Option<CampaignId>,
    /// Another address for the technical contact, and what it takes to tell of it.
    pub(super) contact: Option<(&'a Replaced, &'a NoticeIds, &'a Policy)>,
}

impl Opening<'_> {
    /// What it puts on record: whatever is under way makes room, and where it must, the old credential ends. A part that
    /// is on its way is void before another address takes the place of the one that it went to.
    pub(super) fn of(&self, client: &Client) -> Decision<Reissued> {
        let subject = Subject::Issuance { application: client.application.clone(), issuance: self.issuance };
        let mut facts = vec![(subject.clone(), Fact::ReissueOrdered(self.order.ordered()))];
        facts.extend(withdraw(client, AbandonCause::Superseded, CancelCause::Superseded));
        let verified = client.active().is_some() || client.retiring().next().is_some();
        let old = match self.replaces {
            Replacement::Compromised if verified => OldFate::Ended,
            Replacement::GraceSeconds(_) | Replacement::First if verified => OldFate::LivesUntilProven,
            Replacement::Compromised | Replacement::GraceSeconds(_) | Replacement::First => OldFate::None,
        };
        if old == OldFate::Ended {
            facts.extend(end_all(client, EndCause::Compromised, self.notices, Told::All));
        }
        let mut enclosures = Vec::new();
        let told = self.contact.map(|(replaced, notices, policy)| {
            facts.push(replaced.fact(client, self.order));
            enclosures.push(replaced.enclosure(client));
            replaced.told(client, notices, policy)
        });
        let opened = IssuanceOpened { replaces: self.replaces, campaign: self.campaign };
        facts.push((subject, Fact::IssuanceOpened(opened)));
        facts.extend(told.into_iter().flatten());
        let accepted = EventAnswer::Accepted { issuance: self.issuance, application: client.application.clone() };
        Decision { facts, enclosures, answer: Reissued { event: accepted, old } }
    }
}
