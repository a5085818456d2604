//! Agreements are signed, renewed and ended by events of their own, in any order with the approvals that name them. The
//! clients that rest on one follow it, each by a decision of its own.
//!
//! A crash between an agreement's entry and its clients' loses nothing: who is behind stands in the tables, and is
//! looked for at the start and from then on.

use std::sync::Arc;

use super::approve::{EventAnswer, seen_before};
use super::notify::{NoticeIds, Told};
use super::order::{end_all, withdraw};
use crate::domain::agreement::{AgreementKey, AgreementState};
use crate::domain::approval::Organisation;
use crate::domain::credential::{AbandonCause, EndCause};
use crate::domain::ids::{AgreementId, ApplicationId};
use crate::domain::issuance::{CancelCause, IssuanceState};
use crate::domain::name::Name;
use crate::domain::organisation::OrganisationNumber;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{AgreementEnded, AgreementFollowed, AgreementSigned, EventIdentity, Fact, IssuanceOpened};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Enclosure, Find, Loaded, Scope, Terms};

/// An agreement's event as the sender gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreementEvent {
    /// The organisation's number.
    pub number: OrganisationNumber,
    /// Its name, when the event tells it.
    pub organisation: Option<Name>,
    /// What the agency calls the agreement.
    pub agreement: AgreementId,
    /// What became of it.
    pub change: AgreementChange,
}

/// What became of an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgreementChange {
    /// It was signed, or signed anew.
    Signed {
        /// Until when it is in force; `None`: until it is ended.
        until: Option<Timestamp>,
    },
    /// It is over.
    Ended,
}

/// Puts an agreement's event on record.
pub struct RecordAgreement {
    /// The sender.
    pub actor: Actor,
    /// The event that carried it.
    pub event: EventIdentity,
    /// Which agreement.
    pub key: AgreementKey,
    /// With whom, when the event tells the name.
    pub organisation: Option<Organisation>,
    /// What became of it.
    pub change: AgreementChange,
}

impl Command for RecordAgreement {
    type Answer = EventAnswer;
    type Refusal = std::convert::Infallible;

    fn actor(&self) -> Actor {
        self.actor.clone()
    }

    fn scope(&self) -> Scope {
        let event = Some(self.event.event.clone());
        Scope::of(Find::Nothing).with_event(event).with_agreement(Terms::Of(self.key.clone()))
    }

    fn decide(&self, state: &Loaded, _now: Timestamp) -> Result<Decision<EventAnswer>, std::convert::Infallible> {
        if let Some(seen) = &state.slice.event {
            return Ok(seen_before(seen, &self.event));
        }
        let (event, body) = (self.event.event.clone(), self.event.body);
        let fact = match self.change {
            AgreementChange::Signed { until } => Fact::AgreementSigned(AgreementSigned { event, body, until }),
            AgreementChange::Ended => Fact::AgreementEnded(AgreementEnded { event, body }),
        };
        Ok(Decision {
            facts: vec![(Subject::of_agreement(&self.key), fact)],
            enclosures: self.organisation.iter().cloned().map(Enclosure::Organisation).collect(),
            answer: EventAnswer::Recorded,
        })
    }
}

/// Has one client take over where its agreement stands: a waiting order is released, a renewal prolongs what is there,
/// and an agreement that is over ends it.
pub struct FollowAgreement {
    /// The client.
    pub application: ApplicationId,
    /// Ids for the notices.
    pub notices: NoticeIds,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// The client rests on no agreement, or knows already where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NothingToFollow;

impl Command for FollowAgreement {
    type Answer = ();
    type Refusal = NothingToFollow;

    fn actor(&self) -> Actor {
        Actor::Daemon
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Application(self.application.clone())).with_agreement(Terms::OfClient)
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<()>, NothingToFollow> {
        let client = state.client().filter(|client| client.rests_on().is_some()).ok_or(NothingToFollow)?;
        let agreement = state.slice.agreement.as_ref().ok_or(NothingToFollow)?;
        if client.agreed.is_some_and(|agreed| agreed.as_of >= agreement.changed) {
            return Err(NothingToFollow);
        }
        let followed = AgreementFollowed { as_of: agreement.changed, state: agreement.state };
        let followed = (Subject::of_client(client), Fact::AgreementFollowed(followed));
        let waits = client.issuance.state == IssuanceState::WaitingForAgreement;
        let in_force = agreement.state.in_force(now);
        // What has run out stays over, also when the renewal comes before the clock has put that on record.
        let was_over = client.agreement_until().is_some_and(|until| until <= now);
        let is_over = match agreement.state {
            // It ran out before it was heard of: what waits for it may wait for its renewal.
            AgreementState::Signed { .. } => !waits && (was_over || !in_force),
            AgreementState::Ended { .. } => true,
        };
        let mut facts = Vec::new();
        if is_over {
            facts.extend(withdraw(client, AbandonCause::AgreementEnded, CancelCause::AgreementEnded));
            let told = Told::AllAndOperators(&self.policy);
            facts.extend(end_all(client, EndCause::AgreementEnded, &self.notices, told));
        }
        facts.push(followed);
        if waits && in_force {
            let opened = IssuanceOpened { replaces: client.issuance.replaces, campaign: None };
            facts.push((Subject::of_order(client), Fact::IssuanceOpened(opened)));
        }
        Ok(Decision { facts, enclosures: Vec::new(), answer: () })
    }
}
