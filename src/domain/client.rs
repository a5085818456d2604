//! The aggregate that every decision is made on: one application's client with its order, its credentials and its
//! pending notices. It is a fold of the journal and holds nothing that the journal may not hold.

use std::collections::{BTreeMap, BTreeSet};

use super::contact::{ContactReference, Role};
use super::credential::{Credential, CredentialState};
use super::digest::SpkiPin;
use super::ids::{AgreementId, ApiName, ApplicationId, ClientId, Environment, Label, NoticeId};
use super::issuance::{Issuance, IssuanceState};
use super::name::Name;
use super::notice::Notice;
use super::organisation::Party;
use super::time::Timestamp;

/// One application's registered bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    pub contacts: Vec<ContactReference>,
    /// The agreement that it rests on.
    pub agreement: Option<AgreementId>,
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

    /// The one contact that mail shares go to.
    pub fn technical_contact(&self) -> Option<&ContactReference> {
        self.contacts.iter().find(|contact| contact.role == Role::Technical)
    }

    /// Whether the client has, or is about to have, a credential that verifies.
    pub fn is_live(&self) -> bool {
        self.issuance.state.is_open() || self.credentials.values().any(|c| !c.state.is_final())
    }

    /// The next instant at which time alone changes something: a window closes or a grace ends.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let of_credential = |credential: &Credential| match credential.state {
            CredentialState::Mailed => Some(credential.window_ends),
            CredentialState::Retiring { until } => Some(until),
            CredentialState::Generated
            | CredentialState::Active { .. }
            | CredentialState::Abandoned { .. }
            | CredentialState::Ended { .. } => None,
        };
        self.credentials.values().filter_map(of_credential).min()
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
