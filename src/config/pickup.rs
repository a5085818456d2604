//! `[[pickup]]`: where partners fetch, one listener per environment with its own CA.

use std::collections::BTreeSet;

use super::limits::Limits;
use super::listener::TlsListener;
use super::section::Section;
use super::values::{PublicUrl, text, word};
use crate::domain::ids::Environment;

/// Where partners of one environment fetch.
#[derive(Debug, Clone)]
pub struct Pickup {
    /// Which environment.
    pub environment: Environment,
    /// The listener.
    pub listener: TlsListener,
    /// Which attribute of the subject holds the organisation's number, at this CA.
    pub organisation_from: OrganisationFrom,
    /// Its address as mails give it.
    pub url: PublicUrl,
}

/// The subject attribute that holds an organisation's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganisationFrom {
    /// `serialNumber`, 2.5.4.5, as in Swedish organisation certificates.
    SerialNumber,
    /// `organizationIdentifier`, 2.5.4.97 (ETSI EN 319 412-1).
    OrganizationIdentifier,
}

impl Pickup {
    pub(super) fn read(section: &mut Section<'_>, limits: Limits) -> Option<Self> {
        let environments: Vec<_> = Environment::ALL.iter().map(|one| (one.as_str(), *one)).collect();
        let environment = section.required("environment", word(environments));
        let listener = TlsListener::read(section, limits);
        let attributes = [
            ("serialNumber", OrganisationFrom::SerialNumber),
            ("organizationIdentifier", OrganisationFrom::OrganizationIdentifier),
        ];
        let organisation_from = section.or("organisation_from", OrganisationFrom::SerialNumber, word(attributes));
        let url = section.required("url", text);
        Some(Self { environment: environment?, listener: listener?, organisation_from: organisation_from?, url: url? })
    }
}

/// At least one listener, and none that shares its environment with another.
pub(super) fn one_per_environment(root: &Section<'_>, pickups: Vec<Pickup>) -> Option<Vec<Pickup>> {
    let mut seen = BTreeSet::new();
    if let Some(double) = pickups.iter().find(|pickup| !seen.insert(pickup.environment)) {
        let reason = format!("two of them are for {}", double.environment);
        root.fault_at("pickup", reason, "one [[pickup]] per environment".to_owned());
        return None;
    }
    if pickups.is_empty() {
        root.fault_at("pickup", "is missing".to_owned(), "name at least one [[pickup]]".to_owned());
        return None;
    }
    Some(pickups)
}
