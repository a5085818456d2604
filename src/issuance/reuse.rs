//! An approval that names an earlier application grants further APIs to the client that is there: no new secret, and
//! nothing changes when it cannot be.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::approve::{EventAnswer, seen_before};
use super::notify::{NoticeIds, Told, notices_to};
use crate::domain::agreement::AgreementKey;
use crate::domain::client::Client;
use crate::domain::credential::{Credential, CredentialState};
use crate::domain::ids::{ApiName, ApplicationId, Environment, Label};
use crate::domain::notice::NoticeKind;
use crate::domain::organisation::Party;
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::journal::actor::Actor;
use crate::journal::fact::{AgreementFollowed, ApprovalRepeated, EventIdentity, Fact, GrantAdded};
use crate::journal::subject::Subject;
use crate::store::contract::{Command, Decision, Find, Loaded, Scope, Terms};

/// An approval of further APIs for a client that exists.
pub struct Reuse {
    /// The sender.
    pub actor: Actor,
    /// The event that carried it.
    pub event: EventIdentity,
    /// The case whose client it is about.
    pub of: ApplicationId,
    /// The new case.
    pub application: ApplicationId,
    /// Test or production.
    pub environment: Environment,
    /// Whose.
    pub party: Party,
    /// What it may call in addition.
    pub apis: BTreeSet<ApiName>,
    /// The labels that the bundle must have.
    pub labels: BTreeSet<Label>,
    /// The agreement that the new APIs need, if they need one.
    pub agreement: Option<AgreementKey>,
    /// Ids for the notices.
    pub notices: NoticeIds,
    /// The agency's numbers.
    pub policy: Arc<Policy>,
}

/// Why nothing was granted. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReuseRefusal {
    /// No client goes by the earlier application id.
    UnknownApplication,
    /// The client is another organisation's.
    OtherOrganisation,
    /// The client is of the other environment.
    OtherEnvironment,
    /// The new case has a client already, or was granted to another.
    CaseTaken,
    /// No credential of the client is active: it has ended, or was never confirmed.
    NotActive,
    /// The bundle lacks a pair that the API needs: it takes new keys.
    LabelMissing(Label),
    /// The client rests on another agreement.
    OtherAgreement,
    /// The agreement is not signed, or over.
    AgreementNotInForce,
    /// The credential is older than the new APIs allow: it takes a re-issue first.
    TooOld,
}

impl Command for Reuse {
    type Answer = EventAnswer;
    type Refusal = ReuseRefusal;

    fn actor(&self) -> Actor {
        self.actor.clone()
    }

    fn scope(&self) -> Scope {
        Scope::of(Find::Application(self.of.clone()))
            .with_event(Some(self.event.event.clone()))
            .with_agreement(self.agreement.clone().map_or(Terms::None, Terms::Of))
            .with_owner_of(self.application.clone())
    }

    fn decide(&self, state: &Loaded, now: Timestamp) -> Result<Decision<EventAnswer>, ReuseRefusal> {
        if let Some(seen) = &state.slice.event {
            return Ok(seen_before(seen, &self.event));
        }
        let client = state.client().ok_or(ReuseRefusal::UnknownApplication)?;
        if client.party != self.party {
            return Err(ReuseRefusal::OtherOrganisation);
        }
        if client.environment != self.environment {
            return Err(ReuseRefusal::OtherEnvironment);
        }
        match &state.case_owner {
            Some(owner) if *owner == client.application && self.apis.is_subset(&client.apis) => {
                return Ok(self.repeated(client));
            }
            Some(_) => return Err(ReuseRefusal::CaseTaken),
            None => {}
        }
        let verifies = |credential: &&Credential| client.verifies(credential, now);
        let active = client.active().filter(verifies).ok_or(ReuseRefusal::NotActive)?;
        if let Some(label) = self.labels.iter().find(|label| !client.keys.contains_key(*label)) {
            return Err(ReuseRefusal::LabelMissing(label.clone()));
        }
        let followed = self.agreement(client, state, now)?;
        let life_ends = self.life_ends(client, active);
        if life_ends.is_some_and(|ends| ends <= now) {
            return Err(ReuseRefusal::TooOld);
        }
        Ok(self.grant(client, active, life_ends, followed))
    }
}

impl Reuse {
    /// What the client has to follow from now on, when the new APIs have it rest on an agreement for the first time.
    fn agreement(
        &self,
        client: &Client,
        state: &Loaded,
        now: Timestamp,
    ) -> Result<Option<AgreementFollowed>, ReuseRefusal> {
        let Some(key) = &self.agreement else { return Ok(None) };
        let rests_on = client.rests_on();
        if rests_on.as_ref().is_some_and(|rests_on| rests_on != key) {
            return Err(ReuseRefusal::OtherAgreement);
        }
        let in_force = state.slice.agreement.as_ref().filter(|agreement| agreement.state.in_force(now));
        let agreement = in_force.ok_or(ReuseRefusal::AgreementNotInForce)?;
        let followed = AgreementFollowed { as_of: agreement.changed, state: agreement.state };
        Ok(rests_on.is_none().then_some(followed))
    }

    /// A grant may shorten the credential's life and never prolongs it.
    fn life_ends(&self, client: &Client, active: &Credential) -> Option<Timestamp> {
        let by_rules = match active.state {
            CredentialState::Active { since } => self.policy.life_ends(client.apis.union(&self.apis), since),
            CredentialState::Generated
            | CredentialState::Mailed
            | CredentialState::Retiring { .. }
            | CredentialState::Abandoned { .. }
            | CredentialState::Ended { .. } => None,
        };
        [by_rules, active.life_ends].into_iter().flatten().min()
    }

    fn grant(
        &self,
        client: &Client,
        active: &Credential,
        life_ends: Option<Timestamp>,
        followed: Option<AgreementFollowed>,
    ) -> Decision<EventAnswer> {
        let granted = GrantAdded {
            event: self.event.event.clone(),
            body: self.event.body,
            application: self.application.clone(),
            apis: self.apis.difference(&client.apis).cloned().collect(),
            agreement: self.agreement.as_ref().map(|key| key.id.clone()),
            life_ends,
        };
        let subject = Subject::of_client(client);
        let mut facts = vec![(subject.clone(), Fact::GrantAdded(granted))];
        facts.extend(followed.map(|followed| (subject, Fact::AgreementFollowed(followed))));
        let about = Subject::of_credential(client, active);
        facts.extend(notices_to(client, &about, NoticeKind::Granted, &self.notices, Told::All));
        Decision {
            facts,
            enclosures: Vec::new(),
            answer: EventAnswer::Reused { issuance: client.issuance.id, application: client.application.clone() },
        }
    }

    fn repeated(&self, client: &Client) -> Decision<EventAnswer> {
        let fact = ApprovalRepeated { event: self.event.event.clone(), body: self.event.body };
        Decision {
            facts: vec![(Subject::of_client(client), Fact::ApprovalRepeated(fact))],
            enclosures: Vec::new(),
            answer: EventAnswer::AlreadyIssued {
                issuance: client.issuance.id,
                application: client.application.clone(),
            },
        }
    }
}
