//! An approval as the use cases take it: every field parsed, the keys of the bundle named, personal data apart.

use std::collections::{BTreeMap, BTreeSet};

use super::agreement::AgreementKey;
use super::contact::{Contact, ContactReference, EmailAddress, Language, Role};
use super::digest::SpkiPin;
use super::ids::{AgreementId, ApiName, ApplicationId, ClientId, Environment, Label};
use super::name::Name;
use super::openpgp::OpenPgpKey;
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
    /// The agreement that it names, if any.
    pub agreement: Option<AgreementId>,
    /// Whether it rests on that agreement, by the agency's rules; then it names one.
    pub needs_agreement: bool,
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
    /// The agreement that it rests on.
    pub fn rests_on(&self) -> Option<AgreementKey> {
        let id = self.agreement.clone().filter(|_| self.needs_agreement)?;
        Some(AgreementKey { party: self.organisation.party.clone(), id })
    }

    /// The contacts as the journal knows them.
    pub fn contact_references(&self) -> Vec<ContactReference> {
        self.contacts.iter().map(|contact| contact.reference.clone()).collect()
    }
}

/// An approval as the case system gives it: before ids are drawn and personal data is set apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requested {
    /// The case.
    pub application: ApplicationId,
    /// Test or production.
    pub environment: Environment,
    /// The organisation's number.
    pub number: OrganisationNumber,
    /// The organisation's name.
    pub organisation: Name,
    /// The software that will call.
    pub software: Name,
    /// The APIs that it may call; not empty.
    pub apis: BTreeSet<ApiName>,
    /// The labels of the bundle, when the approval names them.
    pub keys: Option<BTreeSet<Label>>,
    /// Whom to tell; exactly one is technical.
    pub contacts: Vec<ContactGiven>,
    /// The agreement that it rests on.
    pub agreement: Option<AgreementId>,
    /// The case of a client that the APIs are to be granted to, instead of new keys.
    pub reuse: Option<ApplicationId>,
    /// Pinned public keys.
    pub pins: BTreeSet<SpkiPin>,
}

/// One contact as the case system gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContactGiven {
    /// Its mailbox.
    pub email: EmailAddress,
    /// Its language.
    pub language: Language,
    /// What it is told.
    pub role: Role,
    /// What its part is to be encrypted to.
    pub openpgp_key: Option<OpenPgpKey>,
}
