//! The aggregate that every decision is made on: one application's client with its order, its credentials and its
//! pending notices. It is a fold of the journal and holds nothing that the journal may not hold.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::agreement::{Agreed, AgreementKey};
use super::contact::ContactReference;
use super::contacts::Contacts;
use super::credential::{Credential, CredentialState};
use super::digest::SpkiPin;
use super::ending::End;
use super::ids::{AgreementId, ApiName, ApplicationId, ClientId, Environment, Label, NoticeId};
use super::issuance::{Issuance, IssuanceState};
use super::name::Name;
use super::notice::Notice;
use super::organisation::Party;
use super::time::Timestamp;

/// One application's registered bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// The case that it belongs to; one application has one client.
    pub application: ApplicationId,
    /// Test or production.
    pub environment: Environment,
    /// Whose it is.
    pub party: Party,
    /// The software that uses it.
    pub software: Name,
    /// What it may call.
    pub apis: BTreeSet<ApiName>,
    /// Label → public id. The ids stay over all versions.
    pub keys: BTreeMap<Label, ClientId>,
    /// Whom to tell.
    pub contacts: Contacts,
    /// The agreement that its approval named.
    pub agreement: Option<AgreementId>,
    /// Whether it rests on that agreement: waits for it, and ends with it. As the agency's rules were when it was
    /// approved.
    pub needs_agreement: bool,
    /// What it knows of that agreement.
    pub agreed: Option<Agreed>,
    /// Later cases that were granted to it, beside its own.
    pub cases: BTreeSet<ApplicationId>,
    /// Public keys that a pickup certificate is held to, when not empty.
    pub pins: BTreeSet<SpkiPin>,
    /// When it was registered.
    pub registered: Timestamp,
    /// The newest version number that was ever used.
    pub last_version: u32,
    /// The latest order, open or done.
    pub issuance: Issuance,
    /// Credentials by version. A client that was loaded to decide on holds those that are not final.
    pub credentials: BTreeMap<u32, Credential>,
    /// Notices. A client that was loaded to decide on holds those that are still to be sent.
    pub notices: BTreeMap<NoticeId, Notice>,
}

impl Client {
    /// The version that is on its way to the recipient; there is at most one.
    pub fn on_its_way(&self) -> Option<&Credential> {
        self.credentials.values().find(|credential| credential.state.is_on_its_way())
    }

    /// The active version; there is at most one.
    pub fn active(&self) -> Option<&Credential> {
        self.credentials.values().find(|credential| matches!(credential.state, CredentialState::Active { .. }))
    }

    /// The versions that live out their grace.
    pub fn retiring(&self) -> impl Iterator<Item = (&Credential, Timestamp)> {
        self.credentials.values().filter_map(|credential| match credential.state {
            CredentialState::Retiring { until } => Some((credential, until)),
            CredentialState::Generated
            | CredentialState::Mailed
            | CredentialState::Active { .. }
            | CredentialState::Abandoned { .. }
            | CredentialState::Ended { .. } => None,
        })
    }

    /// The one contact that mail shares go to, unless it is erased.
    pub fn technical_contact(&self) -> Option<&ContactReference> {
        self.contacts.technical()
    }

    /// Whether the client has, or is about to have, a credential that verifies.
    pub fn is_live(&self) -> bool {
        self.issuance.state.is_open() || self.credentials.values().any(|c| !c.state.is_final())
    }

    /// Whether it is over: nothing verifies, nothing is under way, and no order is parked.
    pub fn is_over(&self) -> bool {
        let parked = matches!(self.issuance.state, IssuanceState::Failed { .. });
        !parked && !self.is_live()
    }

    /// The agreement that it rests on.
    pub fn rests_on(&self) -> Option<AgreementKey> {
        let id = self.agreement.clone().filter(|_| self.needs_agreement)?;
        Some(AgreementKey { party: self.party.clone(), id })
    }

    /// Whether nothing that it rests on is missing at `now`.
    pub fn is_agreed(&self, now: Timestamp) -> bool {
        !self.needs_agreement || self.agreed.is_some_and(|agreed| agreed.state.in_force(now))
    }

    /// When the agreement that it rests on runs out by itself.
    pub fn agreement_until(&self) -> Option<Timestamp> {
        self.agreed.filter(|_| self.needs_agreement)?.state.until()
    }

    /// When one of its credentials ends by itself, its grace aside.
    pub fn end_of(&self, credential: &Credential) -> Option<End> {
        End::earlier(credential.life_ends, self.agreement_until())
    }

    /// Whether a gateway accepts one of its credentials at `now`.
    pub fn verifies(&self, credential: &Credential, now: Timestamp) -> bool {
        let over = |at: Timestamp| at <= now;
        let grace_over = match credential.state {
            CredentialState::Retiring { until } => over(until),
            CredentialState::Generated
            | CredentialState::Mailed
            | CredentialState::Active { .. }
            | CredentialState::Abandoned { .. }
            | CredentialState::Ended { .. } => false,
        };
        credential.state.is_live() && !grace_over && !self.end_of(credential).is_some_and(|end| over(end.at))
    }

    /// The next instant at which time alone changes something: a window closes, a grace or a life ends, an agreement
    /// runs out, or people are to be told that one of these comes.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let under_way = match self.issuance.state {
            IssuanceState::Queued { .. } | IssuanceState::Delivering { .. } | IssuanceState::AwaitingPickup { .. } => {
                self.agreement_until()
            }
            IssuanceState::WaitingForAgreement
            | IssuanceState::Completed { .. }
            | IssuanceState::Failed { .. }
            | IssuanceState::Cancelled { .. } => None,
        };
        let of_credential = |credential: &Credential| {
            let end = self.end_of(credential);
            match credential.state {
                CredentialState::Mailed if credential.reminded => Some(credential.window_ends),
                CredentialState::Mailed => Some(credential.window_half()),
                CredentialState::Active { .. } => {
                    let next_step = end.and_then(|end| end.next_step(credential.told_days));
                    end.map(|end| next_step.map_or(end.at, |step| step.min(end.at)))
                }
                CredentialState::Retiring { until } => Some(end.map_or(until, |end| end.at.min(until))),
                CredentialState::Generated | CredentialState::Abandoned { .. } | CredentialState::Ended { .. } => None,
            }
        };
        self.credentials.values().filter_map(of_credential).chain(under_way).min()
    }

    /// When a worker should next try to deliver, if the order is queued.
    pub fn next_attempt(&self) -> Option<Timestamp> {
        match self.issuance.state {
            IssuanceState::Queued { not_before } => Some(not_before),
            IssuanceState::WaitingForAgreement
            | IssuanceState::Delivering { .. }
            | IssuanceState::AwaitingPickup { .. }
            | IssuanceState::Completed { .. }
            | IssuanceState::Failed { .. }
            | IssuanceState::Cancelled { .. } => None,
        }
    }
}
