//! TLS as every listener speaks it: mutual, version 1.2 or 1.3, never resumed, no early data, HTTP/1.1 only.
//!
//! A resumed session skips the client's certificate, so an expired or revoked one would get back in: sessions are not
//! stored and no tickets are sent. What a connection is judged by (server key, client authorities, revocation lists, and
//! who is known) is swapped as one; each swap has a generation, so that kept connections notice.
//! This file does not read files and knows nothing of HTTP.

mod example;
mod material;
mod verifier;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, ServerConfig};

pub use example::{EXAMPLE_ORGANISATION, is_example_certificate};
pub(super) use material::instant;
pub use material::{Expiry, NamedFile, TlsMaterial, TlsProblem};

use super::Clock;
use super::keeper::Keeper;
use super::refusals::Refusals;
use crate::domain::time::Timestamp;
use material::RevocationList;
use verifier::WatchedVerifier;

/// The only protocol that is agreed on by ALPN (RFC 7301).
const HTTP_1_1: &[u8] = b"http/1.1";

/// What new connections of one listener are judged by, and kept ones again when it has changed.
pub struct TlsDoor {
    current: ArcSwap<Standard>,
    clock: Clock,
    refusals: Arc<Refusals>,
}

/// One generation of the rules.
pub(super) struct Standard {
    pub(super) generation: u64,
    pub(super) config: Arc<ServerConfig>,
    pub(super) keeper: Keeper,
    verifier: Arc<dyn ClientCertVerifier>,
    lists: Vec<RevocationList>,
}

impl TlsDoor {
    /// Sets up a listener's TLS. `keeper` says who is behind a certificate that was verified.
    pub fn new(
        material: &TlsMaterial,
        keeper: Keeper,
        clock: Clock,
        refusals: Arc<Refusals>,
    ) -> Result<Self, TlsProblem> {
        let standard = Standard::build(0, material, keeper, &clock, &refusals)?;
        Ok(Self { current: ArcSwap::from_pointee(standard), clock, refusals })
    }

    /// Takes new files, and a new answer to who is known. On an error everything stays as it was.
    ///
    /// Connections that are open stay open; the next request on each is judged anew.
    pub fn reload(&self, material: &TlsMaterial, keeper: Keeper) -> Result<(), TlsProblem> {
        let generation = self.current.load().generation + 1;
        let standard = Standard::build(generation, material, keeper, &self.clock, &self.refusals)?;
        self.current.store(Arc::new(standard));
        Ok(())
    }

    /// The configuration that the next connection gets.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }

    pub(super) fn current(&self) -> arc_swap::Guard<Arc<Standard>> {
        self.current.load()
    }

    /// By the clock that certificates are judged by.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

/// TLS for a door that anybody may come through: no client certificates; all else as at the other doors.
pub fn public(certificate: &NamedFile, key: &NamedFile) -> Result<Arc<ServerConfig>, TlsProblem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let certified = certified_key(certificate, key, &provider)?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| key.unusable(cause))?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    Ok(Arc::new(as_everywhere(config)))
}

/// No resumption, no early data, HTTP/1.1 only.
fn as_everywhere(mut config: ServerConfig) -> ServerConfig {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    config
}

impl fmt::Debug for TlsDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsDoor(generation {})", self.current.load().generation)
    }
}

impl Standard {
    fn build(
        generation: u64,
        material: &TlsMaterial,
        keeper: Keeper,
        clock: &Clock,
        refusals: &Arc<Refusals>,
    ) -> Result<Self, TlsProblem> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = certified_key(&material.certificate, &material.key, &provider)?;
        let (verifier, lists) = client_verifier(material, &provider, refusals)?;
        let config = ServerConfig::builder_with_details(provider, Arc::new(RustlsClock(Arc::clone(clock))))
            .with_safe_default_protocol_versions()
            .map_err(|cause| material.key.unusable(cause))?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
        Ok(Self { generation, config: Arc::new(as_everywhere(config)), keeper, verifier, lists })
    }

    /// Verifies a chain in full, as a new handshake would.
    pub(super) fn verify(&self, chain: &[CertificateDer<'_>], now: Timestamp) -> Result<(), rustls::Error> {
        let (end_entity, intermediates) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        let now = unix_time(now).ok_or(CertificateError::NotValidYet)?;
        self.verifier.verify_client_cert(end_entity, intermediates, now).map(|_verified| ())
    }

    /// The earliest nextUpdate of the lists of one issuer, given by the DER of its name.
    pub(super) fn next_update(&self, issuer: &[u8]) -> Option<Timestamp> {
        self.lists.iter().filter(|list| list.issuer == issuer).map(|list| list.next_update).min()
    }
}

/// The listener's clock, as rustls asks for it.
struct RustlsClock(Clock);

impl TimeProvider for RustlsClock {
    fn current_time(&self) -> Option<UnixTime> {
        unix_time((self.0)())
    }
}

impl fmt::Debug for RustlsClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RustlsClock")
    }
}

fn unix_time(at: Timestamp) -> Option<UnixTime> {
    let millis = u64::try_from(at.millis()).ok()?;
    Some(UnixTime::since_unix_epoch(std::time::Duration::from_millis(millis)))
}

fn certified_key(
    certificate: &NamedFile,
    key: &NamedFile,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, TlsProblem> {
    CertifiedKey::from_der(certificate.certificates()?, key.private_key()?, provider).map_err(|cause| {
        if matches!(cause, rustls::Error::InconsistentKeys(_)) {
            let (certificate, key) = (certificate.name.clone(), key.name.clone());
            TlsProblem::KeyMismatch { certificate, key }
        } else if matches!(cause, rustls::Error::InvalidCertificate(_)) {
            certificate.unusable(cause)
        } else {
            key.unusable(cause)
        }
    })
}

fn client_verifier(
    material: &TlsMaterial,
    provider: &Arc<CryptoProvider>,
    refusals: &Arc<Refusals>,
) -> Result<(Arc<dyn ClientCertVerifier>, Vec<RevocationList>), TlsProblem> {
    let roots = Arc::new(material.client_ca.trust_anchors()?);
    let (mut ders, mut lists) = (Vec::new(), Vec::new());
    for file in &material.crls {
        for der in file.revocation_lists()? {
            lists.push(RevocationList::read(file, &der)?);
            // Parsed once alone, so that an error names its file.
            webpki::BorrowedCertRevocationList::from_der(&der).map_err(|cause| file.unusable(cause))?;
            ders.push(der);
        }
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(provider))
        .with_crls(ders)
        .only_check_end_entity_revocation()
        .enforce_revocation_expiration()
        .build()
        .map_err(|cause| material.client_ca.unusable(cause))?;
    Ok((Arc::new(WatchedVerifier::new(verifier, Arc::clone(refusals))), lists))
}
