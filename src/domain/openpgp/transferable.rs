//! What is in the armour, and the one part of it that is encrypted to. The only file that knows the OpenPGP library.
//!
//! A key's owner says by signatures what it is for and until when. Others' signatures are not looked at: that the key is
//! the contact's is what the approval says.

use std::io::Read;

use pgp::armor::Dearmor;
use pgp::composed::{ArmorOptions, Deserializable, MessageBuilder, SignedPublicKey, SignedPublicSubKey};
use pgp::crypto::public_key::PublicKeyAlgorithm;
use pgp::crypto::sym::SymmetricKeyAlgorithm;
use pgp::packet::{Packet, PacketParser, PacketTrait, PublicKey, PublicSubkey, Signature, SignatureType};
use pgp::ser::Serialize;
use pgp::types::{EcdhPublicParams, KeyDetails, KeyVersion, PublicParams, Tag};
use rand::SeedableRng;
use rand::rngs::StdRng;
use zeroize::Zeroizing;

use super::{BadKey, NotEncrypted};
use crate::domain::random::Randomness;
use crate::domain::time::Timestamp;

/// Each is checked, which takes work.
const SIGNATURES_MAX: usize = 64;

/// NIST SP 800-57 part 1, table 2: what is left of smaller ones may be broken.
const RSA_BITS_MIN: u16 = 2048;

pub(super) fn check(armour: &str, now: Timestamp) -> Result<(), BadKey> {
    Transferable::read(armour)?.recipient(now).map(drop)
}

pub(super) fn encrypt(
    armour: &str,
    text: String,
    now: Timestamp,
    random: &dyn Randomness,
) -> Result<String, NotEncrypted> {
    Transferable::read(armour)?.recipient(now)?.encrypt(text, random)
}

/// A transferable public key (RFC 9580, section 10.1).
struct Transferable(SignedPublicKey);

/// The part of a key that one encrypts to.
enum Recipient<'a> {
    Primary(&'a PublicKey),
    Subkey(&'a PublicSubkey),
}

impl Transferable {
    /// The one key in the armour.
    fn read(armour: &str) -> Result<Self, BadKey> {
        let mut bytes = Vec::new();
        let mut dearmour = Dearmor::new(armour.as_bytes());
        dearmour.read_header().map_err(|_| BadKey::Armour)?;
        dearmour.read_to_end(&mut bytes).map_err(|_| BadKey::Armour)?;
        let packets: Vec<Packet> =
            PacketParser::new(bytes.as_slice()).collect::<Result<_, _>>().map_err(|_| BadKey::Damaged)?;
        let (mut keys, mut signatures) = (0, 0);
        for packet in &packets {
            let tag = packet.tag();
            if [Tag::SecretKey, Tag::SecretSubkey].contains(&tag) {
                return Err(BadKey::Private);
            }
            if ![Tag::PublicKey, Tag::Signature, Tag::UserId, Tag::UserAttribute, Tag::PublicSubkey].contains(&tag) {
                return Err(BadKey::Damaged);
            }
            keys += usize::from(tag == Tag::PublicKey);
            signatures += usize::from(tag == Tag::Signature);
        }
        match (keys, signatures) {
            (1, ..=SIGNATURES_MAX) => {}
            (1, _) => return Err(BadKey::TooManySignatures),
            (_, _) => return Err(BadKey::NotOne),
        }
        let mut read = SignedPublicKey::from_packets(packets.into_iter().map(Ok).peekable());
        match (read.next(), read.next()) {
            (Some(Ok(key)), None) => Ok(Self(key)),
            (_, _) => Err(BadKey::Damaged),
        }
    }

    /// The newest part that may be encrypted to at this time.
    fn recipient(&self, now: Timestamp) -> Result<Recipient<'_>, BadKey> {
        let now = u32::try_from(now.millis().div_euclid(1000)).unwrap_or(u32::MAX);
        let primary = &self.0.primary_key;
        if primary.version() != KeyVersion::V4 {
            return Err(BadKey::Version);
        }
        // Also where it is another's, named by the owner to revoke it: then it is not for us to say.
        if !self.0.details.revocation_signatures.is_empty() {
            return Err(BadKey::Revoked);
        }
        if primary.created_at().as_secs() > now {
            return Err(BadKey::NotYet);
        }
        let own = newest(self.own_signatures(), now).ok_or(BadKey::Unsigned)?;
        in_its_time(primary, own, now)?;
        let mut refusal = BadKey::NotForEncryption;
        let mut subkeys: Vec<_> = self.0.public_subkeys.iter().collect();
        subkeys.sort_by_key(|subkey| std::cmp::Reverse(subkey.key.created_at()));
        for subkey in subkeys {
            match self.subkey(subkey, now) {
                Ok(()) => return Ok(Recipient::Subkey(&subkey.key)),
                Err(BadKey::NotForEncryption) => {}
                // Of several, the newest says why.
                Err(why) if refusal == BadKey::NotForEncryption => refusal = why,
                Err(_) => {}
            }
        }
        if may_encrypt(own) {
            return acceptable(primary).map(|()| Recipient::Primary(primary));
        }
        Err(refusal)
    }

    fn subkey(&self, subkey: &SignedPublicSubKey, now: u32) -> Result<(), BadKey> {
        let binds = |signature: &&Signature| {
            signature.typ() == Some(SignatureType::SubkeyBinding)
                && signature.verify_subkey_binding(&self.0.primary_key, &subkey.key).is_ok()
        };
        let binding = newest(subkey.signatures.iter().filter(binds), now).ok_or(BadKey::NotForEncryption)?;
        if !may_encrypt(binding) {
            return Err(BadKey::NotForEncryption);
        }
        if subkey.signatures.iter().any(|signature| signature.typ() == Some(SignatureType::SubkeyRevocation)) {
            return Err(BadKey::Revoked);
        }
        in_its_time(&subkey.key, binding, now)?;
        acceptable(&subkey.key)
    }

    /// The owner's own over the key and over its names, but for those that he took back.
    fn own_signatures(&self) -> impl Iterator<Item = &Signature> {
        let (primary, details) = (&self.0.primary_key, &self.0.details);
        let over_key = details.direct_signatures.iter().filter(|signature| signature.verify_key(primary).is_ok());
        let over_names = details.users.iter().flat_map(move |user| {
            let own =
                move |signature: &&Signature| signature.verify_certification(primary, Tag::UserId, &user.id).is_ok();
            let revokes = |signature: &Signature| signature.typ() == Some(SignatureType::CertRevocation);
            let revoked = user.signatures.iter().filter(own).any(revokes);
            user.signatures.iter().filter(own).filter(move |_| !revoked)
        });
        over_key.chain(over_names)
    }
}

impl Recipient<'_> {
    /// Encrypts to it. The generator is seeded by the operating system for this one message; it cannot fail half-way.
    fn encrypt(&self, text: String, random: &dyn Randomness) -> Result<String, NotEncrypted> {
        let mut seed = Zeroizing::new([0; 32]);
        random.fill(seed.as_mut_slice())?;
        let mut rng = StdRng::from_seed(*seed);
        let mut message =
            MessageBuilder::from_bytes("", text.into_bytes()).seipd_v1(&mut rng, SymmetricKeyAlgorithm::AES256);
        let addressed = match self {
            Self::Primary(key) => message.encrypt_to_key(&mut rng, key).map(drop),
            Self::Subkey(key) => message.encrypt_to_key(&mut rng, key).map(drop),
        };
        addressed.map_err(|_| NotEncrypted::Failed)?;
        let armour = ArmorOptions { headers: None, include_checksum: true };
        message.to_armored_string(&mut rng, armour).map_err(|_| NotEncrypted::Failed)
    }
}

/// The one that counts: made last, and in force.
fn newest<'a>(signatures: impl Iterator<Item = &'a Signature>, now: u32) -> Option<&'a Signature> {
    let in_force = |signature: &&Signature| {
        let made = signature.created().map(|made| made.as_secs()).filter(|made| *made <= now);
        made.is_some_and(|made| !is_over(made, signature.signature_expiration_time(), now))
    };
    signatures.filter(in_force).max_by_key(|signature| signature.created())
}

/// Whether a key's time is not over, as its owner's signature says.
fn in_its_time(key: &impl KeyDetails, signature: &Signature, now: u32) -> Result<(), BadKey> {
    if is_over(key.created_at().as_secs(), signature.key_expiration_time(), now) {
        Err(BadKey::Expired)
    } else {
        Ok(())
    }
}

/// RFC 9580, section 5.2.3.13: no time, or none at all, is without end.
fn is_over(made: u32, lasts: Option<pgp::types::Duration>, now: u32) -> bool {
    let lasts = lasts.map_or(0, |lasts| lasts.as_secs());
    lasts != 0 && made.saturating_add(lasts) <= now
}

fn may_encrypt(signature: &Signature) -> bool {
    let flags = signature.key_flags();
    flags.encrypt_comms() || flags.encrypt_storage()
}

fn acceptable(key: &impl KeyDetails) -> Result<(), BadKey> {
    let is_acceptable = match (key.algorithm(), key.public_params()) {
        (PublicKeyAlgorithm::RSA | PublicKeyAlgorithm::RSAEncrypt, PublicParams::RSA(parameters)) => {
            // A number in OpenPGP begins with its length in bits (RFC 9580, section 3.2); the modulus is the first.
            let written = parameters.to_bytes().map_err(|_| BadKey::Damaged)?;
            let bits = written.first_chunk().map_or(0, |bits| u16::from_be_bytes(*bits));
            bits >= RSA_BITS_MIN
        }
        (_, PublicParams::ECDH(curve)) => matches!(
            curve,
            EcdhPublicParams::Curve25519Legacy { .. }
                | EcdhPublicParams::P256 { .. }
                | EcdhPublicParams::P384 { .. }
                | EcdhPublicParams::P521 { .. }
        ),
        (_, PublicParams::X25519(_)) => true,
        (_, _) => false,
    };
    if is_acceptable { Ok(()) } else { Err(BadKey::Algorithm) }
}
