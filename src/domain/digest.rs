//! Fixed-length digests, one type for each thing that is digested, so that none can stand where another belongs.

use std::fmt;

use data_encoding::HEXLOWER;
use subtle::ConstantTimeEq;

use super::text::{Ascii, serde_as_text};

/// A digest's text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not 64 lower-case hexadecimal digits")]
pub struct NotADigest;

macro_rules! digest_kind {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Takes 32 bytes that are already such a digest (from a table or a hash function).
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// SHA-256 of `bytes`.
            pub fn of(bytes: &[u8]) -> Self {
                let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
                let mut out = [0; 32];
                out.copy_from_slice(digest.as_ref());
                Self(out)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            fn text(&self) -> Ascii<64> {
                let mut text = [0; 64];
                HEXLOWER.encode_mut(&self.0, &mut text);
                Ascii(text)
            }

            /// Equality in time that does not depend on where the two differ.
            pub fn matches(&self, other: &Self) -> bool {
                self.0.ct_eq(&other.0).into()
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = NotADigest;

            fn try_from(bytes: &[u8]) -> Result<Self, NotADigest> {
                bytes.try_into().map(Self).map_err(|_| NotADigest)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotADigest;

            fn from_str(text: &str) -> Result<Self, NotADigest> {
                let mut bytes = [0; 32];
                // Two digits a byte: another length has no place to go.
                if text.len() != 64 {
                    return Err(NotADigest);
                }
                HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).map_err(|_| NotADigest)?;
                Ok(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text().as_ref())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        serde_as_text!($name, Self::text);
    };
}

digest_kind!(
    /// SHA-256 of the ASCII `client_secret`: what a gateway compares with. A uniformly random secret of 256 bits
    /// needs no slow hash.
    Verifier
);
digest_kind!(
    /// SHA-256 of the 32 proof bytes: what a confirmation is compared with.
    ProofDigest
);
digest_kind!(
    /// SHA-256 of a sealed pickup share, so that the journal vouches for the stored ciphertext.
    SealedDigest
);
digest_kind!(
    /// SHA-256 of a certificate's DER bytes.
    Fingerprint
);
digest_kind!(
    /// SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 7469, section 2.4).
    SpkiPin
);
digest_kind!(
    /// SHA-256 of the canonical content of an event, to tell a re-sent event from another one under the same id.
    BodyDigest
);
digest_kind!(
    /// HMAC-SHA-256 of a piece of personal data under the agency's pseudonym key: stands in the journal for what
    /// must stay erasable.
    Pseudonym
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_lower_case_hexadecimal_and_nothing_else() {
        let digest = Verifier::of(b"abc");
        assert_eq!(digest.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(digest.to_string().to_uppercase().parse::<Verifier>(), Err(NotADigest));
        assert_eq!("ba78".parse::<Verifier>(), Err(NotADigest));
    }
}
