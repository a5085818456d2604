//! What a recipient shows and trusts: the organisation's certificate and key, and the authorities of servers. It explains
//! the files that people have in their place, such as PKCS#12; it opens no connection.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use zeroize::Zeroizing;

use super::super::output::{Exit, Failure};
use crate::domain::digest::Fingerprint;

/// This system's list of authorities, where Debian and its kin keep it.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A system's list of authorities has some 250 KiB.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The first byte of DER, in which PKCS#12 is written too.
const DER_SEQUENCE: u8 = 0x30;

/// Ready to be shown.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Papers {
    tls: Arc<ClientConfig>,
    /// Of the organisation's certificate, to find own fetches among earlier ones.
    pub(super) certificate: Fingerprint,
    /// The mode of the key's file, if others can read it.
    pub(super) key_is_open: Option<u32>,
}

impl Papers {
    /// Reads the files.
    pub(in crate::cli) fn read(cert: &Path, key: &Path, ca: Option<&Path>) -> Result<Self, Failure> {
        let chain = certificates(cert)?;
        let certificate = chain.first().map(|der| Fingerprint::of(der)).ok_or_else(|| no_pem(cert, "CERTIFICATE"))?;
        let (private_key, key_is_open) = private_key(key)?;
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
            .map_err(|cause| refused(cert, cause))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, private_key)
            .map_err(|cause| unusable(cert, key, &cause))?;
        Ok(Self { tls: Arc::new(tls), certificate, key_is_open })
    }

    /// For the handshake.
    pub(in crate::cli) fn tls(&self) -> &Arc<ClientConfig> {
        &self.tls
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let bytes = read(path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|cause| refused(path, format_args!("{cause:?}")))?;
    if !found.is_empty() {
        return Ok(found);
    }
    Err(if bytes.first() == Some(&DER_SEQUENCE) { not_pem(path) } else { no_pem(path, "CERTIFICATE") })
}

fn private_key(path: &Path) -> Result<(PrivateKeyDer<'static>, Option<u32>), Failure> {
    let bytes = read(path)?;
    let mode = fs::metadata(path).map(|found| found.mode() & 0o7777).unwrap_or(0o600);
    let open = (mode & 0o044 != 0).then_some(mode);
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok((key, open)),
        Err(_) if bytes.first() == Some(&DER_SEQUENCE) => Err(not_pem(path)),
        Err(_) if contains(&bytes, b"ENCRYPTED") => {
            Err(refused(path, "the key is encrypted with a password").hint(format!(
                "umask 077; openssl pkey -in {0} -out {0}.plain, use that with --key, and remove it afterwards",
                path.display()
            )))
        }
        Err(_) => Err(no_pem(path, "PRIVATE KEY")),
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed =
        |cause: std::io::Error| refused(path, cause).hint("name the file that the certificate's issuer gave you");
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    // One allocation, because a buffer that grows leaves copies.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length.min(FILE_BYTES_MAX)).unwrap_or(0) + 1));
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

fn refused(path: &Path, cause: impl std::fmt::Display) -> Failure {
    Failure::new("use", path.display(), cause).exit(Exit::Refused)
}

fn no_pem(path: &Path, wanted: &str) -> Failure {
    let hint = format!("a PEM file has a line -----BEGIN {wanted}-----");
    refused(path, format_args!("there is no {wanted} in it")).hint(hint)
}

fn not_pem(path: &Path) -> Failure {
    refused(path, "it is not PEM; it looks like PKCS#12 or DER")
        .hint("tallyd pickup --help says how openssl makes PEM files from a .p12 or .pfx file")
}

fn unusable(cert: &Path, key: &Path, cause: &rustls::Error) -> Failure {
    if matches!(cause, rustls::Error::InconsistentKeys(_)) {
        let cause = format!("it does not belong to the certificate in {}", cert.display());
        return refused(key, cause).hint("the first certificate in --cert must be the organisation's own");
    }
    refused(key, cause).hint("keys of RSA, P-256, P-384 and Ed25519 are understood; P-521 is not")
}
