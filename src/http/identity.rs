//! A certificate that was verified → the facts in it that may say who is calling. Facts are decoded attributes, never a
//! name's text form, never the CN: those are spelled differently from tool to tool.

use std::fmt;

use rustls::pki_types::CertificateDer;
use x509_parser::der_parser::{Oid, oid};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::domain::digest::{Fingerprint, SpkiPin};
use crate::domain::organisation::{BadNumber, OrganisationNumber};

/// What one end-entity certificate says.
#[derive(Clone, PartialEq, Eq)]
pub struct Peer {
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// SHA-256 of its public key.
    pub pin: SpkiPin,
    /// The DNS names of its subject alternative name, in lower case.
    pub dns_names: Vec<String>,
    serial_numbers: Vec<Value>,
    organisation_identifiers: Vec<Value>,
}

/// A subject attribute's value; `None` when it is not one of the string types that a number is written in.
type Value = Option<String>;

/// The certificate cannot be read, though it was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the certificate cannot be read")]
pub struct Unreadable;

/// Which subject attribute holds the organisation's number, as configured for the authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrganisationAttribute {
    /// `serialNumber` (2.5.4.5): Swedish organisation certificates, `16` and ten digits.
    SerialNumber,
    /// `organizationIdentifier` (2.5.4.97): ETSI EN 319 412-1, `NTRSE-…`.
    OrganisationIdentifier,
}

/// Why no organisation can be read from a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoOrganisation {
    /// The attribute is not there.
    #[error("its subject has no {0}")]
    Missing(OrganisationAttribute),
    /// The attribute is there more than once: which one counts would be a guess.
    #[error("its subject has more than one {0}")]
    Repeated(OrganisationAttribute),
    /// The attribute's value is not text.
    #[error("the {0} in its subject is not text")]
    Undecodable(OrganisationAttribute),
    /// The attribute's value is not an organisation's number.
    #[error("the {0} in its subject is not an organisation's number: {1}")]
    NotANumber(OrganisationAttribute, BadNumber),
}

impl Peer {
    /// Reads an end-entity certificate.
    pub fn read(certificate: &CertificateDer<'_>) -> Result<Self, Unreadable> {
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| Unreadable)?;
        let values = |oid: &Oid<'_>| -> Vec<Value> {
            parsed.subject().iter_by_oid(oid).map(|found| found.as_str().ok().map(str::to_owned)).collect()
        };
        let alternative = parsed.subject_alternative_name().map_err(|_| Unreadable)?;
        let names = alternative.iter().flat_map(|extension| &extension.value.general_names);
        Ok(Self {
            fingerprint: Fingerprint::of(certificate),
            pin: SpkiPin::of(parsed.public_key().raw),
            dns_names: names.filter_map(dns_name).collect(),
            serial_numbers: values(&oid!(2.5.4.5)),
            organisation_identifiers: values(&oid!(2.5.4.97)),
        })
    }

    /// The organisation's number, from exactly one attribute.
    pub fn organisation(&self, attribute: OrganisationAttribute) -> Result<OrganisationNumber, NoOrganisation> {
        let values = match attribute {
            OrganisationAttribute::SerialNumber => &self.serial_numbers,
            OrganisationAttribute::OrganisationIdentifier => &self.organisation_identifiers,
        };
        match values.as_slice() {
            [] => Err(NoOrganisation::Missing(attribute)),
            [None] => Err(NoOrganisation::Undecodable(attribute)),
            [Some(text)] => text.parse().map_err(|cause| NoOrganisation::NotANumber(attribute, cause)),
            _ => Err(NoOrganisation::Repeated(attribute)),
        }
    }
}

/// The subject of a sole trader's certificate holds a person's number, so only the fingerprint is shown.
impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({})", self.fingerprint)
    }
}

impl fmt::Display for OrganisationAttribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SerialNumber => "serialNumber (2.5.4.5)",
            Self::OrganisationIdentifier => "organizationIdentifier (2.5.4.97)",
        })
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "another crate's enum of name kinds, of which we use one")]
fn dns_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(text) => Some(text.to_ascii_lowercase()),
        _ => None,
    }
}
