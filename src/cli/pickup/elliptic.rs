//! Private keys on elliptic curves that came without their public key, which RFC 5915 leaves to the writer: Java's
//! `keytool` writes such, and ring takes none. The certificate has it. It knows no files.

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use x509_parser::asn1_rs::{Any, Class, FromBer};
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use super::choice::public_key;
use super::pkcs12::ber::{Malformed, Values};

/// Of a private key on P-384, the longest curve that is understood here.
const SCALAR_BYTES_MAX: usize = 48;

/// Whether it is such a key.
pub(super) fn lacks_public_key(key: &PrivateKeyDer<'_>) -> bool {
    scalar(key).is_some()
}

/// Such a key with the public key of a certificate in it, if it belongs to it.
pub(super) fn completed(
    key: &PrivateKeyDer<'_>,
    certificate: &SubjectPublicKeyInfo<'_>,
) -> Option<PrivateKeyDer<'static>> {
    let scalar = scalar(key)?;
    let point = &certificate.subject_public_key.data;
    // An uncompressed point is one octet and two coordinates; old versions of Java wrote the scalar without leading zeros.
    let padding = (point.len() / 2).checked_sub(scalar.len())?;
    let scalar = value(0x04, &[[0; SCALAR_BYTES_MAX].get(..padding)?, &scalar])?;
    // RFC 5915, section 3: version 1, and the public key under the tag [1].
    let public = value(0xA1, &[&value(0x03, &[&[0], point])?])?;
    let key = value(0x30, &[&[0x02, 1, 1], &scalar, &public])?;
    // RFC 5208, section 5. The algorithm is written in both as in the certificate (RFC 5480, section 2.1.1).
    let whole = value(0x30, &[&[0x02, 1, 0], algorithm(certificate)?, &value(0x04, &[&key])?])?;
    let whole = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(whole.to_vec()));
    // ring holds the one against the other when it reads them.
    (public_key(&whole)? == certificate.raw).then_some(whole)
}

/// Without leading zeros.
fn scalar(key: &PrivateKeyDer<'_>) -> Option<Zeroizing<Vec<u8>>> {
    let scalar = match key {
        PrivateKeyDer::Pkcs8(key) => of_pkcs8(key.secret_pkcs8_der()).ok()??,
        PrivateKeyDer::Sec1(key) => of_elliptic(key.secret_sec1_der()).ok()??,
        PrivateKeyDer::Pkcs1(_) | _ => return None,
    };
    (scalar.len() <= SCALAR_BYTES_MAX).then_some(scalar)
}

fn of_pkcs8(der: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Malformed> {
    let mut values = Values::of_sequence(der)?;
    values.number()?;
    values.sequence()?;
    of_elliptic(&values.octets()?)
}

fn of_elliptic(der: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Malformed> {
    let mut values = Values::of_sequence(der)?;
    values.number()?;
    let scalar = values.octets()?;
    if values.next_is(Class::ContextSpecific, 0) {
        values.explicit_zero()?;
    }
    let zeros = scalar.iter().take_while(|octet| **octet == 0).count();
    Ok(values.is_empty().then(|| Zeroizing::new(scalar[zeros..].to_vec())))
}

/// The first of the two values in it, as it stands.
fn algorithm<'a>(certificate: &SubjectPublicKeyInfo<'a>) -> Option<&'a [u8]> {
    let (_, inside) = Any::from_ber(certificate.raw).ok()?;
    let (rest, _) = Any::from_ber(inside.data).ok()?;
    inside.data.get(..inside.data.len() - rest.len())
}

/// A value in DER of less than 256 octets; no key that is understood here has more.
fn value(tag: u8, parts: &[&[u8]]) -> Option<Zeroizing<Vec<u8>>> {
    let length = u8::try_from(parts.iter().map(|part| part.len()).sum::<usize>()).ok()?;
    let head: &[u8] = if length < 0x80 { &[tag, length] } else { &[tag, 0x81, length] };
    Some(Zeroizing::new([&[head], parts].concat().concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What old versions of Java wrote has to be completed on the left.
    #[test]
    fn leading_zeros_do_not_count() {
        let bare = |scalar: &[u8]| value(0x30, &[&[0x02, 1, 1], &value(0x04, &[scalar]).unwrap()]).unwrap();
        for written in [&[7, 9][..], &[0, 0, 7, 9]] {
            assert_eq!(of_elliptic(&bare(written)).unwrap().unwrap().as_slice(), [7, 9]);
        }
        assert_eq!(of_elliptic(&[0x04, 2, 1, 2]).err(), Some(Malformed), "what Ed25519 has there");
    }
}
