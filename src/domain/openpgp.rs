//! A contact's OpenPGP key (RFC 4880, RFC 9580), to which part 1 is encrypted. Personal data: it holds names and addresses,
//! so it lies beside the contact's address and stands in the journal as a keyed hash.
//!
//! Whoever asks for encryption is never mailed part 1 in plain text, so a key is known to every build; only one with the
//! feature `openpgp` can look into it and encrypt. A key is parsed anew for each mail: what was fit when it was given may
//! have expired since.

#[cfg_attr(not(feature = "openpgp"), path = "openpgp/absent.rs")]
mod transferable;

use std::fmt;
use std::str::FromStr;

use super::random::{Randomness, RandomnessFailed};
use super::time::Timestamp;

/// The longest key. One with ten subkeys and no picture has less than 20 KiB.
const BYTES_MAX: usize = 64 * 1024;

/// Text that says that it is a public key: one block of ASCII armour (RFC 9580, section 6.2), of at most 64 KiB. Whether the
/// key in it can be encrypted to is asked with the time at which it is to be used.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenPgpKey(Box<str>);

/// Why a key is not one that part 1 can be encrypted to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// This build has no OpenPGP.
    #[error(
        "mail is not encrypted here, so an approval that asks for it is refused; leave the key out if part 1, which is of no \
         use alone, may go by TLS only"
    )]
    NotBuilt,
    /// Not one block of armour.
    #[error("must be one public key in ASCII armour (-----BEGIN PGP PUBLIC KEY BLOCK-----), and nothing else")]
    Armour,
    /// Larger than anything that a contact's key needs.
    #[error(
        "must have at most 65536 bytes; leave out pictures and others' signatures (gpg --export-options export-minimal)"
    )]
    TooLarge,
    /// It is secret.
    #[error(
        "is a private key: nobody but its owner may have it; it must be replaced, and its public key be given here"
    )]
    Private,
    /// Cut off, changed, or of a kind that is not understood.
    #[error("is damaged, or holds what is not understood here")]
    Damaged,
    /// Several in one block.
    #[error("must be exactly one key")]
    NotOne,
    /// More signatures than a contact's key has.
    #[error("has too many signatures; leave out others' (gpg --export-options export-minimal)")]
    TooManySignatures,
    /// Of a version that GnuPG does not understand.
    #[error("must be of version 4 (RFC 4880)")]
    Version,
    /// Nothing of its owner's says what it is for.
    #[error("has no valid signature of its own over its name or over the key")]
    Unsigned,
    /// Its owner took it back.
    #[error("was revoked")]
    Revoked,
    /// Its time is over.
    #[error("has expired")]
    Expired,
    /// Its time has not come.
    #[error("is made later than now")]
    NotYet,
    /// It can only sign.
    #[error("has no part that one may encrypt to")]
    NotForEncryption,
    /// It can be broken, or nobody here can use it.
    #[error("must encrypt with RSA of 2048 bits or more, Curve25519, or NIST P-256, P-384 or P-521")]
    Algorithm,
    /// The tables hold another key than the journal vouches for, or none.
    #[error("is not the key that was given for this contact")]
    NotOnRecord,
}

/// Nothing was encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotEncrypted {
    /// The key cannot be used now.
    #[error("the contact's OpenPGP key {0}")]
    Key(#[from] BadKey),
    /// No random bytes.
    #[error(transparent)]
    Randomness(#[from] RandomnessFailed),
    /// The library refused what it cannot refuse.
    #[error("the text could not be encrypted")]
    Failed,
}

impl OpenPgpKey {
    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether something can be encrypted to it at this time.
    pub fn usable(&self, now: Timestamp) -> Result<(), BadKey> {
        transferable::check(&self.0, now)
    }

    /// An OpenPGP message in ASCII armour, in lines that end with LF: the text, encrypted to this key with AES-256 in a
    /// packet that shows changes (RFC 9580, section 5.13.1), which is what GnuPG reads.
    pub fn encrypt(&self, text: String, now: Timestamp, random: &dyn Randomness) -> Result<String, NotEncrypted> {
        transferable::encrypt(&self.0, text, now, random)
    }
}

impl FromStr for OpenPgpKey {
    type Err = BadKey;

    fn from_str(text: &str) -> Result<Self, BadKey> {
        if text.len() > BYTES_MAX {
            return Err(BadKey::TooLarge);
        }
        if text.contains("PRIVATE KEY BLOCK-----") {
            return Err(BadKey::Private);
        }
        let block = text.trim_ascii();
        let plain = |byte: u8| byte.is_ascii_graphic() || b" \t\r\n".contains(&byte);
        let framed = block.starts_with("-----BEGIN PGP PUBLIC KEY BLOCK-----")
            && block.ends_with("-----END PGP PUBLIC KEY BLOCK-----")
            && block.matches("-----BEGIN ").count() == 1;
        if framed && block.bytes().all(plain) { Ok(Self(block.into())) } else { Err(BadKey::Armour) }
    }
}

/// Names its type only.
impl fmt::Debug for OpenPgpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenPgpKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(inside: &str) -> String {
        format!("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{inside}\n-----END PGP PUBLIC KEY BLOCK-----")
    }

    #[test]
    fn one_block_of_armour_passes_and_is_not_shown() {
        let key: OpenPgpKey = format!("\r\n{}\n\n", block("mDMEZ")).parse().unwrap();
        assert_eq!(key.as_str(), block("mDMEZ"));
        assert_eq!(format!("{key:?}"), "OpenPgpKey");
    }

    #[test]
    fn what_is_no_public_key_is_told_apart() {
        let two = format!("{}\n{}", block("a"), block("b"));
        for text in ["", "-----BEGIN PGP PUBLIC KEY BLOCK-----", "A key: ", &two, &block("å"), &block("\0")] {
            assert_eq!(text.parse::<OpenPgpKey>(), Err(BadKey::Armour), "{text:?}");
        }
        assert_eq!(block("x").replace("PUBLIC", "PRIVATE").parse::<OpenPgpKey>(), Err(BadKey::Private));
        assert_eq!(block(&"x".repeat(BYTES_MAX)).parse::<OpenPgpKey>(), Err(BadKey::TooLarge));
    }
}
