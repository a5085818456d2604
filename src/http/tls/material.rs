//! PEM files → certificates, keys and revocation lists, with errors that name the file. Reading the files, and judging
//! their modes, is the caller's.

use std::fmt;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use x509_parser::prelude::{ASN1Time, CertificateRevocationList, FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::domain::time::Timestamp;

/// The bytes of one file together with what the operator calls it.
#[derive(Clone)]
pub struct NamedFile {
    /// The path, for errors.
    pub name: String,
    /// The content. Wiped on drop, because it may be a private key.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Everything that one TLS listener is made of.
#[derive(Debug, Clone)]
pub struct TlsMaterial {
    /// The server's certificate, then its intermediates.
    pub certificate: NamedFile,
    /// The server's private key.
    pub key: NamedFile,
    /// The certificate authorities that client certificates must come from.
    pub client_ca: NamedFile,
    /// Their revocation lists, PEM or DER. When there is one, every client certificate's issuer needs a current one;
    /// when there is none, revocation is not checked at all.
    pub crls: Vec<NamedFile>,
}

/// Why a listener's TLS cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsProblem {
    /// The file has nothing of that kind in it.
    #[error("{file}: no {wanted} in it")]
    Missing {
        /// Which file.
        file: String,
        /// What should have been there.
        wanted: &'static str,
    },
    /// The file has something in it that cannot be used.
    #[error("{file}: {reason}")]
    Unusable {
        /// Which file.
        file: String,
        /// Why.
        reason: String,
    },
    /// The key belongs to another certificate.
    #[error("the key in {key} does not belong to the certificate in {certificate}")]
    KeyMismatch {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
    },
}

/// When a piece of the material stops being good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// The file it stands in.
    pub file: String,
    /// What it is.
    pub what: &'static str,
    /// Its notAfter or nextUpdate.
    pub at: Timestamp,
    /// How long before its end somebody should look.
    pub soon: Duration,
}

impl NamedFile {
    /// A file's name and content.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: Zeroizing::new(bytes.into()) }
    }

    /// All certificates in the file, in its order; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&self.bytes)
            .collect::<Result<_, _>>()
            .map_err(|cause| self.unusable(cause))?;
        // rustls gives an empty list and no error for a file without PEM.
        if certificates.is_empty() { Err(self.missing("CERTIFICATE")) } else { Ok(certificates) }
    }

    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsProblem> {
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|_| self.missing("PRIVATE KEY"))
    }

    pub(super) fn trust_anchors(&self) -> Result<RootCertStore, TlsProblem> {
        let mut roots = RootCertStore::empty();
        for certificate in self.certificates()? {
            roots.add(certificate).map_err(|cause| self.unusable(cause))?;
        }
        Ok(roots)
    }

    /// Authorities publish their lists as DER more often than as PEM, so both are read.
    pub(super) fn revocation_lists(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsProblem> {
        const DER_SEQUENCE: u8 = 0x30;
        let lists: Vec<_> = if self.bytes.first() == Some(&DER_SEQUENCE) {
            vec![CertificateRevocationListDer::from(self.bytes.to_vec())]
        } else {
            CertificateRevocationListDer::pem_slice_iter(&self.bytes)
                .collect::<Result<_, _>>()
                .map_err(|cause| self.unusable(cause))?
        };
        if lists.is_empty() { Err(self.missing("X509 CRL")) } else { Ok(lists) }
    }

    pub(super) fn unusable(&self, reason: impl fmt::Display) -> TlsProblem {
        TlsProblem::Unusable { file: self.name.clone(), reason: reason.to_string() }
    }

    fn missing(&self, wanted: &'static str) -> TlsProblem {
        TlsProblem::Missing { file: self.name.clone(), wanted }
    }
}

/// The content may be a key, so only the name is shown.
impl fmt::Debug for NamedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NamedFile({})", self.name)
    }
}

impl TlsMaterial {
    /// When each certificate and revocation list of the material stops being good, for `check` and for metrics.
    pub fn expiries(&self) -> Result<Vec<Expiry>, TlsProblem> {
        let mut found = Vec::new();
        for (file, what) in [(&self.certificate, "server certificate"), (&self.client_ca, "client authority")] {
            for der in file.certificates()? {
                let (_, certificate) = X509Certificate::from_der(&der).map_err(|cause| file.unusable(cause))?;
                let at = instant(certificate.validity().not_after).ok_or_else(|| file.unusable(OUT_OF_RANGE))?;
                found.push(Expiry { file: file.name.clone(), what, at, soon: CERTIFICATE_SOON });
            }
        }
        for file in &self.crls {
            for der in file.revocation_lists()? {
                let list = RevocationList::read(file, &der)?;
                let (what, at) = ("revocation list", list.next_update);
                found.push(Expiry { file: file.name.clone(), what, at, soon: LIST_SOON });
            }
        }
        Ok(found)
    }
}

/// A certificate is renewed by people, who need time.
const CERTIFICATE_SOON: Duration = Duration::from_secs(30 * 86_400);

/// A list is published anew by a machine, every few days at least; one that ends within a day was not fetched.
const LIST_SOON: Duration = Duration::from_secs(86_400);

const OUT_OF_RANGE: &str = "a date outside of the years 1970 to 9999";

/// What is remembered of a revocation list: whose it is, and until when it counts.
#[derive(Debug, Clone)]
pub(super) struct RevocationList {
    pub(super) issuer: Vec<u8>,
    pub(super) next_update: Timestamp,
}

impl RevocationList {
    pub(super) fn read(file: &NamedFile, der: &[u8]) -> Result<Self, TlsProblem> {
        let (_, list) = CertificateRevocationList::from_der(der).map_err(|cause| file.unusable(cause))?;
        let next_update = list.next_update().ok_or_else(|| file.unusable("a revocation list without nextUpdate"))?;
        let next_update = instant(next_update).ok_or_else(|| file.unusable(OUT_OF_RANGE))?;
        Ok(Self { issuer: list.issuer().as_raw().to_vec(), next_update })
    }
}

/// `None` before 1970 and after 9999.
pub(in crate::http) fn instant(time: ASN1Time) -> Option<Timestamp> {
    time.timestamp().checked_mul(1000).and_then(Timestamp::from_millis)
}
