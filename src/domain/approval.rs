//! An approval as the use cases take it: every field parsed, the keys of the bundle named, personal data apart.

use std::collections::{BTreeMap, BTreeSet};

use super::contact::{Contact, ContactReference};
use super::digest::SpkiPin;
use super::ids::{AgreementId, ApiName, ApplicationId, ClientId, Environment, Label};
use super::name::Name;
use super::organisation::{OrganisationNumber, Party};

/// What the case officer said yes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The case.
    pub application: ApplicationId,
    /// Test or production.
    pub environment: Environment,
    /// Whose.
    pub organisation: Organisation,
    /// The software that will call.
    pub software: Name,
    /// The APIs that it may call; not empty.
    pub apis: BTreeSet<ApiName>,
    /// The bundle: label → the public id drawn for it; not empty.
    pub keys: BTreeMap<Label, ClientId>,
    /// Exactly one of them is technical.
    pub contacts: Vec<Contact>,
    /// The agreement that it rests on, if any.
    pub agreement: Option<AgreementId>,
    /// Public keys that the pickup certificate must have one of; empty: any of the organisation's certificates.
    pub pins: BTreeSet<SpkiPin>,
}

/// An organisation with its name, as the erasable part of the tables knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// As the journal may name it.
    pub party: Party,
    /// Its number.
    pub number: OrganisationNumber,
    /// Its name.
    pub name: Name,
}

impl Approval {
    /// The contacts as the journal knows them.
    pub fn contact_references(&self) -> Vec<ContactReference> {
        self.contacts.iter().map(|contact| contact.reference.clone()).collect()
    }
}
