//! An approval event registers a client and opens its first order.

use std::sync::Arc;

use super::reuse::ReuseRefusal;
use crate::domain::agreement::Agreement;
use crate::domain::approval::Approval;
use crate::domain::client::Client;
use crate::domain::ids::{ApplicationId, EventKey, IssuanceId};
use crate::domain::issuance::Replacement;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{
    AgreementFollowed, ApprovalAccepted, ApprovalRepeated, EventConflicted, EventIdentity, Fact, IssuanceOpened,
};
use crate::journal::fold::{AnsweredWith, Outcome, SeenEvent};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Enclosure, Find, Loaded, Scope, Terms};

/// An approval that was authenticated and parsed.
pub struct Approve {
    /// The sender.
    pub actor: Actor,
    /// The event that carried it.
    pub event: EventIdentity,
    /// What was approved.
    pub approval: Arc<Approval>,
    /// The id of the order, should one be opened.
    pub issuance: IssuanceId,
}

/// What became of an event that orders something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventAnswer {
    /// It is on record, now or from an earlier time that it was sent; the order is this one.
    Accepted {
        /// The order.
        issuance: IssuanceId,
        /// Its application.
        application: ApplicationId,
    },
    /// The application already has a live client; this is its latest order. Nothing was issued.
    AlreadyIssued {
        /// The order.
        issuance: IssuanceId,
        /// Its application.
        application: ApplicationId,
    },
    /// The APIs were granted to a client that was there; this is its latest order. Nothing was issued.
    Reused {
        /// The order.
        issuance: IssuanceId,
        /// The client's own application.
        application: ApplicationId,
    },
    /// It is on record and was about no client alone.
    Recorded,
    /// The identity is taken by another body. That is on record.
    Conflict,
}

/// Why an approval was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApproveRefusal {
    /// The application has a client of another organisation or environment.
    Differs,
    /// The application's client has no order under way and no credential that verifies: it takes a re-issue.
    NotLive,
    /// The APIs cannot be granted to the client of the case that it names.
    Reuse(ReuseRefusal),
}

impl Command for Approve {
    type Answer = EventAnswer;
    type Refusal = ApproveRefusal;

    fn actor(&self) -> Actor {
        self.actor.clone()
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Application(self.approval.application.clone()))
            .with_event(Some(self.event.event.clone()))
            .with_agreement(self.approval.rests_on().map_or(Terms::None, Terms::Of))
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<EventAnswer>, ApproveRefusal> {
        if let Some(seen) = &state.slice.event {
            return Ok(seen_before(seen, &self.event));
        }
        match state.client() {
            Some(client) => self.repeated(client),
            None => Ok(self.first(state.slice.agreement.as_ref(), now)),
        }
    }
}

impl Approve {
    /// What needs an agreement waits for it, unless it is in force already.
    fn first(&self, agreement: Option<&Agreement>, now: Timestamp) -> Decision<EventAnswer> {
        let approval = &self.approval;
        let subject = Subject::Issuance { application: approval.application.clone(), issuance: self.issuance };
        let accepted = ApprovalAccepted {
            event: self.event.event.clone(),
            body: self.event.body,
            environment: approval.environment,
            party: approval.organisation.party.clone(),
            software: approval.software.clone(),
            apis: approval.apis.clone(),
            keys: approval.keys.clone(),
            contacts: approval.contact_references(),
            agreement: approval.agreement.clone(),
            needs_agreement: approval.needs_agreement,
            pins: approval.pins.clone(),
        };
        let contacts = approval.contacts.iter().cloned();
        let mut enclosures: Vec<_> =
            contacts.map(|contact| Enclosure::Contact(approval.application.clone(), contact)).collect();
        enclosures.push(Enclosure::Organisation(approval.organisation.clone()));
        let mut facts = vec![(subject.clone(), Fact::ApprovalAccepted(Box::new(accepted)))];
        if let Some(agreement) = agreement {
            let client = Subject::Application { application: approval.application.clone() };
            let followed = AgreementFollowed { as_of: agreement.changed, state: agreement.state };
            facts.push((client, Fact::AgreementFollowed(followed)));
        }
        if !approval.needs_agreement || agreement.is_some_and(|agreement| agreement.state.in_force(now)) {
            facts
                .push((subject, Fact::IssuanceOpened(IssuanceOpened { replaces: Replacement::First, campaign: None })));
        }
        Decision {
            facts,
            enclosures,
            answer: EventAnswer::Accepted { issuance: self.issuance, application: approval.application.clone() },
        }
    }

    fn repeated(&self, client: &Client) -> Result<Decision<EventAnswer>, ApproveRefusal> {
        let same = client.environment == self.approval.environment && client.party == self.approval.organisation.party;
        if !same {
            return Err(ApproveRefusal::Differs);
        }
        if !client.is_live() {
            return Err(ApproveRefusal::NotLive);
        }
        let fact = ApprovalRepeated { event: self.event.event.clone(), body: self.event.body };
        Ok(Decision {
            facts: vec![(Subject::of_client(client), Fact::ApprovalRepeated(fact))],
            enclosures: Vec::new(),
            answer: EventAnswer::AlreadyIssued {
                issuance: client.issuance.id,
                application: client.application.clone(),
            },
        })
    }
}

/// An event that was accepted before: the same answer for the same body, and a conflict on record for another.
pub(super) fn seen_before(seen: &SeenEvent, event: &EventIdentity) -> Decision<EventAnswer> {
    if seen.body == event.body {
        return Decision { facts: Vec::new(), enclosures: Vec::new(), answer: answer_again(&seen.outcome) };
    }
    Decision {
        facts: vec![(Subject::Service {}, Fact::EventConflicted(conflict(&seen.key, seen, event)))],
        enclosures: Vec::new(),
        answer: EventAnswer::Conflict,
    }
}

fn answer_again(outcome: &Outcome) -> EventAnswer {
    match outcome.clone() {
        Outcome::Ordered(AnsweredWith { application, issuance }) => EventAnswer::Accepted { issuance, application },
        Outcome::AlreadyIssued(AnsweredWith { application, issuance }) => {
            EventAnswer::AlreadyIssued { issuance, application }
        }
        Outcome::Reused(AnsweredWith { application, issuance }) => EventAnswer::Reused { issuance, application },
        Outcome::Recorded => EventAnswer::Recorded,
    }
}

fn conflict(key: &EventKey, seen: &SeenEvent, event: &EventIdentity) -> EventConflicted {
    EventConflicted { event: key.clone(), first: seen.body, second: event.body }
}
