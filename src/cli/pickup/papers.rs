//! What a recipient shows and trusts: the organisation's certificate and key, and the authorities of servers, made ready for
//! the handshake. It opens no connection.

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};

use super::super::output::Failure;
use super::choice::UNDERSTOOD;
use super::identity::{Identity, Named, certificates, not_its_key, refused};
use crate::domain::digest::Fingerprint;

/// This system's list of authorities, where Debian and its kin keep it.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Ready to be shown.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Papers {
    tls: Arc<ClientConfig>,
    /// Of the organisation's certificate, to find own fetches among earlier ones.
    pub(super) certificate: Fingerprint,
    /// What is to be said about the files.
    pub(super) warnings: Vec<String>,
}

impl Papers {
    /// Reads the files.
    pub(in crate::cli) fn read(named: Named<'_>, ca: Option<&Path>) -> Result<Self, Failure> {
        let Identity { chain, key, warnings } = Identity::read(named)?;
        let own = chain.first().map(|der| Fingerprint::of(der));
        let certificate = own.ok_or_else(|| refused(named.cert, "there is no certificate in it"))?;
        let mut roots = RootCertStore::empty();
        let path = ca.unwrap_or(Path::new(SYSTEM_ROOTS));
        // One unusable certificate in a system's list is no reason to trust none.
        let (usable, _) = roots.add_parsable_certificates(certificates(path)?);
        if usable == 0 {
            return Err(refused(path, "none of the certificates in it can be trusted as an authority"));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|cause| refused(named.cert, cause))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|cause| unusable(named, &cause))?;
        Ok(Self { tls: Arc::new(tls), certificate, warnings })
    }

    /// For the handshake.
    pub(in crate::cli) fn tls(&self) -> &Arc<ClientConfig> {
        &self.tls
    }
}

fn unusable(named: Named<'_>, cause: &rustls::Error) -> Failure {
    let key = named.key.unwrap_or(named.cert);
    if matches!(cause, rustls::Error::InconsistentKeys(_)) {
        return not_its_key(key, named.cert);
    }
    refused(key, cause).hint(UNDERSTOOD)
}
