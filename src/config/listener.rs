//! What every listener with mutual TLS has: an address, four files and its limits.

use std::net::SocketAddr;

use super::limits::Limits;
use super::section::Section;
use super::values::{socket_address, text};
use crate::platform::files::FileSource;

/// A listener with mutual TLS.
#[derive(Debug, Clone)]
pub struct TlsListener {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its files.
    pub files: TlsFiles,
    /// What it grants a stranger.
    pub limits: Limits,
}

/// The PEM files of a listener with mutual TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate chain, its own first.
    pub certificate: FileSource,
    /// The server's private key.
    pub key: FileSource,
    /// The CA certificates that clients' certificates are held to.
    pub client_ca: FileSource,
    /// A CRL of each of these CAs.
    pub client_crl: FileSource,
}

impl TlsListener {
    pub(super) fn read(section: &mut Section<'_>, limits: Limits) -> Option<Self> {
        let listen = section.required("listen", socket_address);
        let files = TlsFiles::read(section);
        Some(Self { listen: listen?, files: files?, limits })
    }
}

impl TlsFiles {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let certificate = section.required("certificate", text);
        let key = section.required("key", text);
        let client_ca = section.required("client_ca", text);
        let client_crl = section.required("client_crl", text);
        Some(Self { certificate: certificate?, key: key?, client_ca: client_ca?, client_crl: client_crl? })
    }
}
