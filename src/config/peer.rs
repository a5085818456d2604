//! A machine that may call, known by one thing in its certificate (RFC 8705, section 2.1: exactly one attribute).

use super::section::Section;
use super::values::{DnsName, text};
use crate::domain::digest::SpkiPin;
use crate::domain::ids::PeerName;
use crate::domain::organisation::OrganisationNumber;

/// A machine that may call.
#[derive(Debug, Clone)]
pub struct Peer {
    /// What journal and log call it.
    pub name: PeerName,
    /// How it is known.
    pub identity: Identity,
}

/// What in a certificate tells who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// A DNS name among the subject alternative names.
    SanDns(DnsName),
    /// The organisation in the subject.
    Organisation(OrganisationNumber),
    /// The public key itself.
    SpkiSha256(SpkiPin),
}

impl Peer {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let name = section.required("name", text);
        let identity = Identity::read(section);
        Some(Self { name: name?, identity: identity? })
    }

    /// Refuses two peers with one name, or whom one certificate would fit.
    pub(super) fn refuse_doubles<'p>(
        section: &Section<'_>,
        key: &str,
        peers: impl Iterator<Item = &'p Self>,
    ) -> Option<()> {
        let mut seen: Vec<&Self> = Vec::new();
        for peer in peers {
            if seen.iter().any(|other| other.name == peer.name) {
                section.fault_at(
                    key,
                    format!("two of them are named {}", peer.name),
                    "give each its own name".to_owned(),
                );
                return None;
            }
            if let Some(other) = seen.iter().find(|other| other.identity == peer.identity) {
                let reason = format!("{} and {} are known by the same thing", other.name, peer.name);
                section.fault_at(key, reason, "one certificate must fit one of them only".to_owned());
                return None;
            }
            seen.push(peer);
        }
        Some(())
    }
}

impl Identity {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let dns = section.optional("san_dns", text);
        let organisation = section.optional("organisation", text);
        let pin = section.optional("spki_sha256", text);
        match (dns?, organisation?, pin?) {
            (Some(name), None, None) => Some(Self::SanDns(name)),
            (None, Some(number), None) => Some(Self::Organisation(number)),
            (None, None, Some(pin)) => Some(Self::SpkiSha256(pin)),
            (None, None, None) => refuse(section, "is missing, and so are its alternatives"),
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (None, Some(_), Some(_)) => {
                refuse(section, "is not the only one of its kind")
            }
        }
    }
}

fn refuse(section: &Section<'_>, reason: &str) -> Option<Identity> {
    section.fault_at("san_dns", reason.to_owned(), "exactly one of san_dns, organisation and spki_sha256".to_owned());
    None
}
