//! An approval event registers a client and opens its first order.

use std::sync::Arc;

use crate::domain::approval::Approval;
use crate::domain::client::Client;
use crate::domain::ids::{ApplicationId, EventKey, IssuanceId};
use crate::domain::issuance::Replacement;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{ApprovalAccepted, ApprovalRepeated, EventConflicted, EventIdentity, Fact, IssuanceOpened};
use crate::journal::fold::SeenEvent;
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Enclosure, Find, Loaded, Scope};

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
    /// The identity is taken by another body. That is on record.
    Conflict,
}

/// Why an approval was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApproveRefusal {
    /// The application has a client of another organisation or environment.
    Differs,
    /// The application's client has no order under way and no credential that verifies: it takes a re-issue.
    NotLive,
}

impl Command for Approve {
    type Answer = EventAnswer;
    type Refusal = ApproveRefusal;

    fn actor(&self) -> Actor {
        self.actor.clone()
    }

    fn scope(&self) -> Scope {
        Scope { client: Find::Application(self.approval.application.clone()), event: Some(self.event.event.clone()) }
    }

    fn decide(&self, state: &Loaded, _now: Timestamp) -> Result<Decision<EventAnswer>, ApproveRefusal> {
        if let Some(seen) = &state.slice.event {
            return Ok(seen_before(seen, &self.event));
        }
        match state.client() {
            Some(client) => self.repeated(client),
            None => Ok(self.first()),
        }
    }
}

impl Approve {
    fn first(&self) -> Decision<EventAnswer> {
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
            pins: approval.pins.clone(),
        };
        let contacts = approval.contacts.iter().cloned();
        let mut enclosures: Vec<_> =
            contacts.map(|contact| Enclosure::Contact(approval.application.clone(), contact)).collect();
        enclosures.push(Enclosure::Organisation(approval.organisation.clone()));
        Decision {
            facts: vec![
                (subject.clone(), Fact::ApprovalAccepted(Box::new(accepted))),
                (subject, Fact::IssuanceOpened(IssuanceOpened { replaces: Replacement::First })),
            ],
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
        let (issuance, application) = (seen.issuance, seen.application.clone());
        let answer = if seen.already_issued {
            EventAnswer::AlreadyIssued { issuance, application }
        } else {
            EventAnswer::Accepted { issuance, application }
        };
        return Decision { facts: Vec::new(), enclosures: Vec::new(), answer };
    }
    Decision {
        facts: vec![(Subject::Service {}, Fact::EventConflicted(conflict(&seen.key, seen, event)))],
        enclosures: Vec::new(),
        answer: EventAnswer::Conflict,
    }
}

fn conflict(key: &EventKey, seen: &SeenEvent, event: &EventIdentity) -> EventConflicted {
    EventConflicted { event: key.clone(), first: seen.body, second: event.body }
}
