//! Certificates that `tallyd certs` and `tallyd demo` make, told from real ones by their issuer. Whether they are let in is
//! for the configuration to say.

use x509_parser::prelude::{FromDer, X509Certificate};

/// The organisation in the issuer's name of every example certificate.
pub const EXAMPLE_ORGANISATION: &str = "tallyd example, not for use";

/// Whether a certificate (DER) comes from an example authority. What is no certificate is none of ours either.
pub fn is_example_certificate(der: &[u8]) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return false;
    };
    certificate.issuer().iter_organization().any(|attribute| attribute.as_str() == Ok(EXAMPLE_ORGANISATION))
}
