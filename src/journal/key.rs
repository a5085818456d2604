//! Keys of Ed25519 with a name: who signs checkpoints, who cosigns them, and by what others know them (C2SP `signed-note`,
//! `tlog-cosignature`).
//!
//! It knows the text forms of keys, not where they are kept.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Encoding};
use data_encoding::BASE64;
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use zeroize::Zeroizing;

use crate::domain::ids::BadId;
use crate::domain::random::{Randomness, RandomnessFailed};

/// The signature type of plain Ed25519 (C2SP `signed-note`, section "Signature types").
const PLAIN: u8 = 0x01;

/// The signature type of Ed25519 cosignatures with a time (C2SP `tlog-cosignature`, section "Format").
const COSIGNATURE: u8 = 0x04;

/// The journal's key, which signs its checkpoints.
pub type SigningKey = Signer<PLAIN>;

/// Its public half, as an auditor holds it.
pub type VerifyingKey = Verifier<PLAIN>;

/// A witness's key, which cosigns the checkpoints of logs.
pub type CosigningKey = Signer<COSIGNATURE>;

/// Its public half, as a log and its auditors hold it.
pub type WitnessKey = Verifier<COSIGNATURE>;

/// Name of a log and of its key: 1 to 200 printable ASCII characters without spaces and `+`, usually a URL
/// without its scheme, such as `exempel.se/tallyd`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

impl Origin {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'+';
        if (1..=200).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId::new("1 to 200 printable ASCII characters without spaces and +"))
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// First four bytes of `SHA-256(name || 0x0A || type || public key)`: tells keys of one name apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHash(pub(super) [u8; 4]);

impl KeyHash {
    fn of(origin: &Origin, kind: u8, public: &[u8]) -> Self {
        let named = [origin.0.as_bytes(), &[b'\n', kind], public].concat();
        let hash = digest(&SHA256, &named);
        let mut first = [0; 4];
        first.copy_from_slice(&hash.as_ref()[..4]);
        Self(first)
    }
}

/// Eight lower-case hexadecimal digits.
impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// Why a key's text was refused. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Not of the form.
    #[error("not a key of the form {0}")]
    Form(&'static str),
    /// A key, but not an Ed25519 key for this use.
    #[error("a key of another type than Ed25519 for this use")]
    Type,
    /// The hash in the text is not the hash of the name and the key: one of the three was changed.
    #[error("the key's hash does not fit its name and key")]
    Hash,
}

/// The private half: an Ed25519 seed with the name that it signs as, for signatures of one type.
pub struct Signer<const TYPE: u8> {
    origin: Origin,
    hash: KeyHash,
    /// Wiped on drop.
    seed: SecretBox<[u8; 32]>,
    /// What ring makes of the seed. On the heap, where the process's allocator wipes what is freed.
    pair: Box<Ed25519KeyPair>,
}

impl<const TYPE: u8> Signer<TYPE> {
    const FORM: BadKey = BadKey::Form("PRIVATE+KEY+<origin>+<hash>+<base64>");

    /// Draws a new key.
    pub fn generate(origin: Origin, random: &dyn Randomness) -> Result<Self, RandomnessFailed> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(seed.as_mut_slice())?;
        // Every 32 bytes are an Ed25519 seed (RFC 8032, section 5.1.5).
        Self::from_seed(origin, &seed).map_err(|_| RandomnessFailed)
    }

    /// From the 32 bytes of an Ed25519 seed.
    pub fn from_seed(origin: Origin, seed: &[u8; 32]) -> Result<Self, BadKey> {
        let pair = Box::new(Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| Self::FORM)?);
        let hash = KeyHash::of(&origin, TYPE, pair.public_key().as_ref());
        let seed = SecretBox::init_with_mut(|kept: &mut [u8; 32]| kept.copy_from_slice(seed));
        Ok(Self { origin, hash, seed, pair })
    }

    /// Reads the text of a key file: `PRIVATE+KEY+<origin>+<hash>+<base64>`, as `golang.org/x/mod/sumdb/note`
    /// writes signer keys. One line end may follow.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let rest = line.strip_prefix("PRIVATE+KEY+").ok_or(Self::FORM)?;
        let (origin, hash, encoded) = three_parts(rest).ok_or(Self::FORM)?;
        let mut bytes = Zeroizing::new([0; 33]);
        let decoded = Base64::decode(encoded, bytes.as_mut_slice()).map_err(|_| Self::FORM)?;
        let [kind, seed @ ..] = decoded else {
            return Err(Self::FORM);
        };
        if *kind != TYPE {
            return Err(BadKey::Type);
        }
        let key = Self::from_seed(origin, seed.try_into().map_err(|_| Self::FORM)?)?;
        if key.hash.to_string() != hash {
            return Err(BadKey::Hash);
        }
        Ok(key)
    }

    /// The text for the key file. Only whoever creates the state directory has a use for it.
    pub fn to_text(&self) -> SecretString {
        let mut bytes = Zeroizing::new([TYPE; 33]);
        bytes[1..].copy_from_slice(self.seed.expose_secret());
        let mut buffer = Zeroizing::new([0; 44]);
        // 33 bytes are 44 characters.
        let encoded = Base64::encode(bytes.as_slice(), buffer.as_mut_slice()).unwrap_or_default();
        SecretString::from(format!("PRIVATE+KEY+{}+{}+{encoded}\n", self.origin, self.hash))
    }

    /// The public half, to hand out.
    pub fn verifying_key(&self) -> Verifier<TYPE> {
        let mut public = [0; 32];
        public.copy_from_slice(self.pair.public_key().as_ref());
        Verifier { origin: self.origin.clone(), hash: self.hash, public }
    }

    /// The name that it signs as: a log's origin, or a witness's name.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Signs a message and gives the whole signature line; `before` stands between the key's hash and the signature.
    pub(super) fn line_over(&self, message: &str, before: &[u8]) -> String {
        let signature = self.pair.sign(message.as_bytes());
        let signed = [self.hash.0.as_slice(), before, signature.as_ref()].concat();
        format!("\u{2014} {} {}\n", self.origin, BASE64.encode(&signed))
    }
}

impl SigningKey {
    /// Signs a note's text and gives the whole signature line.
    pub(super) fn signature_line(&self, text: &str) -> String {
        self.line_over(text, &[])
    }
}

impl<const TYPE: u8> fmt::Debug for Signer<TYPE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// The public half, for signatures of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verifier<const TYPE: u8> {
    origin: Origin,
    hash: KeyHash,
    public: [u8; 32],
}

impl<const TYPE: u8> Verifier<TYPE> {
    const FORM: BadKey = BadKey::Form("<origin>+<hash>+<base64>");

    /// The name that it verifies signatures by: a log's origin, or a witness's name.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What signatures by it are marked with.
    pub fn hash(&self) -> KeyHash {
        self.hash
    }

    pub(super) fn accepts(&self, text: &str, signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(text.as_bytes(), signature).is_ok()
    }
}

impl<const TYPE: u8> FromStr for Verifier<TYPE> {
    type Err = BadKey;

    /// Reads the standard text of a verifier key (C2SP `signed-note`, section "Verifier keys").
    fn from_str(text: &str) -> Result<Self, BadKey> {
        let (origin, hash, encoded) = three_parts(text).ok_or(Self::FORM)?;
        let decoded = BASE64.decode(encoded.as_bytes()).map_err(|_| Self::FORM)?;
        let [kind, public @ ..] = decoded.as_slice() else {
            return Err(Self::FORM);
        };
        if *kind != TYPE {
            return Err(BadKey::Type);
        }
        let public: [u8; 32] = public.try_into().map_err(|_| Self::FORM)?;
        let expected = KeyHash::of(&origin, TYPE, &public);
        if expected.to_string() != hash {
            return Err(BadKey::Hash);
        }
        Ok(Self { origin, hash: expected, public })
    }
}

/// `<origin>+<hash>+<base64>`.
impl<const TYPE: u8> fmt::Display for Verifier<TYPE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed = [&[TYPE], self.public.as_slice()].concat();
        write!(f, "{}+{}+{}", self.origin, self.hash, BASE64.encode(&typed))
    }
}

/// Origins and hashes have no `+`; base64 may.
fn three_parts(text: &str) -> Option<(Origin, &str, &str)> {
    let (origin, rest) = text.split_once('+')?;
    let (hash, encoded) = rest.split_once('+')?;
    Some((origin.parse().ok()?, hash, encoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of `golang.org/x/mod/sumdb/note`.
    const GO_PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const GO_PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

    #[test]
    fn the_published_example_reads_as_a_pair_and_writes_itself_back() {
        let key = SigningKey::parse(GO_PRIVATE).unwrap();
        assert_eq!(key.verifying_key().to_string(), GO_PUBLIC);
        assert_eq!(GO_PUBLIC.parse(), Ok(key.verifying_key()));
        assert_eq!(key.to_text().expose_secret(), format!("{GO_PRIVATE}\n"));
        assert!(SigningKey::parse(key.to_text().expose_secret()).is_ok());
    }

    #[test]
    fn a_signing_key_shows_its_name_and_nothing_else() {
        assert_eq!(format!("{:?}", SigningKey::parse(GO_PRIVATE).unwrap()), "SigningKey");
    }

    #[test]
    fn changed_keys_are_refused_with_the_reason() {
        let refused = |text: &str| SigningKey::parse(text).err();
        assert_eq!(refused(&GO_PRIVATE.replace("c74f", "c74e")), Some(BadKey::Hash));
        assert_eq!(refused(&GO_PRIVATE.replace("Peter", "Pieter")), Some(BadKey::Hash));
        assert_eq!(refused(&GO_PRIVATE.replace("+AYE", "+AoE")), Some(BadKey::Type));
        for bad in ["", "x", GO_PUBLIC, &GO_PRIVATE[..70], "PRIVATE+KEY+a+00000000+"] {
            assert!(matches!(refused(bad), Some(BadKey::Form(_))), "{bad}");
        }
        assert!(matches!(refused(&format!("{GO_PRIVATE}\n\n")), Some(BadKey::Form(_))));
        let public = |text: &str| text.parse::<VerifyingKey>();
        assert_eq!(public(&GO_PUBLIC.replace("c74f20a3", "c74f20a4")), Err(BadKey::Hash));
        assert_eq!(public(&GO_PUBLIC.replace("c74f20a3", "C74F20A3")), Err(BadKey::Hash));
        assert_eq!(public(&GO_PUBLIC.replace("+AR", "+BR")), Err(BadKey::Type));
        assert_eq!(public(&GO_PUBLIC[..60]), Err(VerifyingKey::FORM));
        assert_eq!(public(GO_PRIVATE), Err(VerifyingKey::FORM));
    }

    #[test]
    fn an_origin_fits_a_line_and_a_key() {
        for bad in ["", "a b", "a+b", "a\nb", "exämpel.se", &"a".repeat(201)] {
            assert!(bad.parse::<Origin>().is_err(), "{bad:?}");
        }
        assert_eq!("exempel.se/tallyd".parse::<Origin>().unwrap().as_str(), "exempel.se/tallyd");
    }
}
