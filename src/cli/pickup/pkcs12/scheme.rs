//! Encryption by password: the schemes of PKCS#12 itself (RFC 7292, appendices B and C) and PBES2 (RFC 8018). It knows
//! neither files nor what is encrypted.
//!
//! How often a password is hashed is written in the file, so all of it is paid from a budget that the caller sets: a file
//! made to keep the machine busy is refused.

use std::num::NonZeroU32;

use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, InnerIvInit, KeyInit};
use des::{TdesEde2, TdesEde3};
use rc2::Rc2;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use ring::pbkdf2;
use x509_parser::asn1_rs::oid;
use x509_parser::oid_registry::Oid;
use zeroize::Zeroizing;

use super::ber::{Malformed, Values};

/// A password in the two spellings that the schemes use.
pub(in crate::cli::pickup) struct Password {
    text: Zeroizing<String>,
    /// 16-bit characters and a zero one at the end (RFC 7292, appendix B.1).
    wide: Zeroizing<Vec<u8>>,
}

impl Password {
    /// From what was typed.
    pub(in crate::cli::pickup) fn new(text: Zeroizing<String>) -> Self {
        let mut wide = Zeroizing::new(Vec::with_capacity(2 * text.len() + 2));
        for unit in text.encode_utf16().chain([0]) {
            wide.extend_from_slice(&unit.to_be_bytes());
        }
        Self { text, wide }
    }

    /// No password at all, which some programs tell apart from an empty one.
    pub(super) fn none() -> Self {
        Self { text: Zeroizing::new(String::new()), wide: Zeroizing::new(Vec::new()) }
    }

    /// In 16-bit characters.
    pub(super) fn wide(&self) -> &[u8] {
        &self.wide
    }

    /// Whether nothing was typed.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Rounds of hashing that may still be spent.
#[derive(Debug)]
pub(super) struct Budget(pub(super) u64);

impl Budget {
    pub(super) fn pay(&mut self, rounds: u32, blocks: usize) -> Result<(), Locked> {
        self.0 = self.0.checked_sub(u64::from(rounds) * blocks as u64).ok_or(Locked::TooMuchWork)?;
        Ok(())
    }
}

/// Why something stays encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Locked {
    /// With this password it gives nothing.
    Password,
    /// It is encrypted in a way that is not read here.
    Scheme(String),
    /// More rounds than the budget has.
    TooMuchWork,
    /// The parameters are not well-formed.
    Malformed,
}

impl From<Malformed> for Locked {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// How something is encrypted.
pub(super) struct Scheme {
    cipher: Cipher,
    salt: Vec<u8>,
    rounds: NonZeroU32,
    derivation: Derivation,
}

enum Derivation {
    /// Key and initialisation vector by RFC 7292, appendix B, over SHA-1.
    Pkcs12,
    Pbkdf2 {
        prf: pbkdf2::Algorithm,
        output_length: usize,
        iv: Vec<u8>,
    },
}

#[derive(Clone, Copy)]
enum Cipher {
    Aes128,
    Aes192,
    Aes256,
    TripleDes,
    TripleDesOfTwoKeys,
    /// With the length of its key in bytes.
    Rc2(usize),
}

const TRIPLE_DES: &[u8] = &oid!(raw 1.2.840.113549.1.12.1.3);
const TRIPLE_DES_OF_TWO_KEYS: &[u8] = &oid!(raw 1.2.840.113549.1.12.1.4);
const RC2_128: &[u8] = &oid!(raw 1.2.840.113549.1.12.1.5);
const RC2_40: &[u8] = &oid!(raw 1.2.840.113549.1.12.1.6);
const PBES2: &[u8] = &oid!(raw 1.2.840.113549.1.5.13);
const PBKDF2: &[u8] = &oid!(raw 1.2.840.113549.1.5.12);
const HMAC_SHA1: &[u8] = &oid!(raw 1.2.840.113549.2.7);
const HMAC_SHA256: &[u8] = &oid!(raw 1.2.840.113549.2.9);
const HMAC_SHA384: &[u8] = &oid!(raw 1.2.840.113549.2.10);
const HMAC_SHA512: &[u8] = &oid!(raw 1.2.840.113549.2.11);
const AES_128_CBC: &[u8] = &oid!(raw 2.16.840.1.101.3.4.1.2);
const AES_192_CBC: &[u8] = &oid!(raw 2.16.840.1.101.3.4.1.22);
const AES_256_CBC: &[u8] = &oid!(raw 2.16.840.1.101.3.4.1.42);
const DES_EDE3_CBC: &[u8] = &oid!(raw 1.2.840.113549.3.7);

impl Scheme {
    /// Reads an `AlgorithmIdentifier`.
    pub(super) fn read(algorithm: &mut Values<'_>) -> Result<Self, Locked> {
        let mut algorithm = algorithm.sequence()?;
        let cipher = match algorithm.oid()? {
            PBES2 => return Self::read_pbes2(algorithm.sequence()?),
            TRIPLE_DES => Cipher::TripleDes,
            TRIPLE_DES_OF_TWO_KEYS => Cipher::TripleDesOfTwoKeys,
            RC2_128 => Cipher::Rc2(16),
            RC2_40 => Cipher::Rc2(5),
            other => return Err(unknown(other)),
        };
        let mut parameters = algorithm.sequence()?;
        let salt = parameters.octets()?.into_owned();
        Ok(Self { cipher, salt, rounds: rounds(&mut parameters)?, derivation: Derivation::Pkcs12 })
    }

    fn read_pbes2(mut parameters: Values<'_>) -> Result<Self, Locked> {
        let mut derivation = parameters.sequence()?;
        match derivation.oid()? {
            PBKDF2 => {}
            other => return Err(unknown(other)),
        }
        let mut derivation = derivation.sequence()?;
        let salt = derivation.octets()?.into_owned();
        let rounds = rounds(&mut derivation)?;
        // The length of the key follows from the cipher; it may be written as well.
        if derivation.next_is(x509_parser::asn1_rs::Class::Universal, 2) {
            derivation.number()?;
        }
        let (prf, output_length) = match derivation.is_empty() {
            true => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
            false => match derivation.sequence()?.oid()? {
                HMAC_SHA1 => (pbkdf2::PBKDF2_HMAC_SHA1, 20),
                HMAC_SHA256 => (pbkdf2::PBKDF2_HMAC_SHA256, 32),
                HMAC_SHA384 => (pbkdf2::PBKDF2_HMAC_SHA384, 48),
                HMAC_SHA512 => (pbkdf2::PBKDF2_HMAC_SHA512, 64),
                other => return Err(unknown(other)),
            },
        };
        let mut encryption = parameters.sequence()?;
        let cipher = match encryption.oid()? {
            AES_128_CBC => Cipher::Aes128,
            AES_192_CBC => Cipher::Aes192,
            AES_256_CBC => Cipher::Aes256,
            DES_EDE3_CBC => Cipher::TripleDes,
            other => return Err(unknown(other)),
        };
        let iv = encryption.octets()?.into_owned();
        Ok(Self { cipher, salt, rounds, derivation: Derivation::Pbkdf2 { prf, output_length, iv } })
    }

    /// Pays for what decrypting takes.
    pub(super) fn pay(&self, budget: &mut Budget) -> Result<(), Locked> {
        let (key_length, block_length) = self.cipher.lengths();
        let blocks = match &self.derivation {
            Derivation::Pkcs12 => {
                key_length.div_ceil(Hash::SHA1.0.output_len()) + block_length.div_ceil(Hash::SHA1.0.output_len())
            }
            Derivation::Pbkdf2 { output_length, .. } => key_length.div_ceil(*output_length),
        };
        budget.pay(self.rounds.get(), blocks)
    }

    /// What was encrypted.
    pub(super) fn decrypt(
        &self,
        encrypted: &[u8],
        password: &Password,
        budget: &mut Budget,
    ) -> Result<Zeroizing<Vec<u8>>, Locked> {
        self.pay(budget)?;
        let (key_length, block_length) = self.cipher.lengths();
        let (key, iv) = match &self.derivation {
            Derivation::Pkcs12 => {
                let part =
                    |purpose, length| derive(Hash::SHA1, purpose, &password.wide, &self.salt, self.rounds, length);
                (part(Purpose::Key, key_length), part(Purpose::InitialisationVector, block_length))
            }
            Derivation::Pbkdf2 { prf, iv, .. } => {
                let mut key = Zeroizing::new(vec![0; key_length]);
                pbkdf2::derive(*prf, self.rounds, &self.salt, password.text.as_bytes(), &mut key);
                (key, Zeroizing::new(iv.clone()))
            }
        };
        let mut text = Zeroizing::new(encrypted.to_vec());
        let length = match self.cipher {
            Cipher::Aes128 => in_place::<Aes128>(Aes128::new_from_slice(&key).ok(), &iv, &mut text),
            Cipher::Aes192 => in_place::<Aes192>(Aes192::new_from_slice(&key).ok(), &iv, &mut text),
            Cipher::Aes256 => in_place::<Aes256>(Aes256::new_from_slice(&key).ok(), &iv, &mut text),
            Cipher::TripleDes => in_place::<TdesEde3>(TdesEde3::new_from_slice(&key).ok(), &iv, &mut text),
            Cipher::TripleDesOfTwoKeys => in_place::<TdesEde2>(TdesEde2::new_from_slice(&key).ok(), &iv, &mut text),
            Cipher::Rc2(_) => in_place::<Rc2>(Rc2::new_from_slice(&key).ok(), &iv, &mut text),
        }?;
        text.truncate(length);
        // One wrong password in some 256 leaves a fitting end. Everything that is encrypted here is one sequence.
        match Values::of_sequence(&text) {
            Ok(_) => Ok(text),
            Err(Malformed) => Err(Locked::Password),
        }
    }
}

impl Cipher {
    /// Of key and block, in bytes.
    fn lengths(self) -> (usize, usize) {
        match self {
            Self::Aes128 => (16, 16),
            Self::Aes192 => (24, 16),
            Self::Aes256 => (32, 16),
            Self::TripleDes => (24, 8),
            Self::TripleDesOfTwoKeys => (16, 8),
            Self::Rc2(length) => (length, 8),
        }
    }
}

fn in_place<C: BlockCipherDecrypt>(cipher: Option<C>, iv: &[u8], text: &mut [u8]) -> Result<usize, Locked> {
    let cipher = cipher.ok_or(Locked::Malformed)?;
    let iv = iv.try_into().map_err(|_| Locked::Malformed)?;
    let decrypted = Decryptor::inner_iv_init(cipher, iv).decrypt_padded::<Pkcs7>(text);
    decrypted.map(<[u8]>::len).map_err(|_| Locked::Password)
}

fn rounds(values: &mut Values<'_>) -> Result<NonZeroU32, Locked> {
    NonZeroU32::new(values.number()?).ok_or(Locked::Malformed)
}

/// By its number, which people can look up.
pub(super) fn unknown(oid: &[u8]) -> Locked {
    Locked::Scheme(Oid::new(oid.into()).to_id_string())
}

/// A hash function with the sizes that the derivation needs.
#[derive(Clone, Copy)]
pub(super) struct Hash(pub(super) &'static ring::digest::Algorithm);

impl Hash {
    const SHA1: Self = Self(&SHA1_FOR_LEGACY_USE_ONLY);
}

/// What derived bytes are for (RFC 7292, appendix B.3).
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Key = 1,
    InitialisationVector = 2,
    Mac = 3,
}

/// The derivation of RFC 7292, appendix B.2; its letters. The caller has paid for it.
pub(super) fn derive(
    hash: Hash,
    purpose: Purpose,
    wide_password: &[u8],
    salt: &[u8],
    rounds: NonZeroU32,
    length: usize,
) -> Zeroizing<Vec<u8>> {
    let (u, v) = (hash.0.output_len(), hash.0.block_len());
    let filled = |bytes: &[u8]| bytes.iter().copied().cycle().take(v * bytes.len().div_ceil(v)).collect::<Vec<u8>>();
    let d = vec![purpose as u8; v];
    let mut i = Zeroizing::new([filled(salt), filled(wide_password)].concat());
    let mut derived = Zeroizing::new(Vec::with_capacity(length + u));
    loop {
        let mut a = Context::new(hash.0);
        a.update(&d);
        a.update(&i);
        let mut a = a.finish();
        for _ in 1..rounds.get() {
            a = ring::digest::digest(hash.0, a.as_ref());
        }
        derived.extend_from_slice(a.as_ref());
        if derived.len() >= length {
            derived.truncate(length);
            return derived;
        }
        for block in i.chunks_mut(v) {
            add_with_one(block, a.as_ref());
        }
    }
}

/// `block + added (repeated) + 1`, as numbers of the block's length.
fn add_with_one(block: &mut [u8], added: &[u8]) {
    let mut carry = 1_u16;
    for (place, byte) in block.iter_mut().enumerate().rev() {
        let sum = u16::from(*byte) + u16::from(added.get(place % added.len()).copied().unwrap_or(0)) + carry;
        *byte = u8::try_from(sum & 0xFF).unwrap_or(0);
        carry = sum >> 8;
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use ring::digest::{SHA256, SHA512};

    use super::*;

    fn derived(hash: Hash, purpose: Purpose, password: &str, rounds: u32, length: usize) -> String {
        let password = Password::new(Zeroizing::new(password.to_owned()));
        let (salt, rounds) = ([1, 2, 3, 4, 5, 6, 7, 8], NonZeroU32::new(rounds).unwrap());
        HEXLOWER.encode(&derive(hash, purpose, &password.wide, &salt, rounds, length))
    }

    /// The values are those of other programs: OpenSSL's `PKCS12_key_gen_utf8`.
    #[test]
    fn the_derivation_is_golden() {
        let sha256 = |purpose, length| derived(Hash(&SHA256), purpose, "ge@äheim", 100, length);
        assert_eq!(sha256(Purpose::Key, 32), "fae4d4957a3cc781e1180b9d4fb79c1e0c8579b746a3177e5b0768a3118bf863");
        let iv = "e5ff813bc6547de5155b14d2fada85b3201a977349db6e26ccc998d9e8f83d6c";
        assert_eq!(sha256(Purpose::InitialisationVector, 32), iv);
        assert_eq!(sha256(Purpose::Mac, 32), "136355ed9434516682534f46d63956db5ff06b844702c2c1f3b46321e2524a4d");
        // A part of a longer derivation is the derivation of a part, but for what carries over between blocks.
        assert_eq!(sha256(Purpose::Key, 100)[..64], sha256(Purpose::Key, 32));
        assert_eq!(derived(Hash(&SHA512), Purpose::Key, "", 1, 70).len(), 140);
    }

    #[test]
    fn work_is_paid_from_one_budget() {
        let mut budget = Budget(100);
        assert_eq!(budget.pay(30, 2), Ok(()));
        assert_eq!(budget.pay(41, 1), Err(Locked::TooMuchWork));
        assert_eq!((budget.pay(40, 1), budget.pay(1, 1)), (Ok(()), Err(Locked::TooMuchWork)));
    }

    #[test]
    fn a_block_carries_over_from_its_end() {
        let mut block = [0, 0xFF, 0xFF];
        add_with_one(&mut block, &[0, 0, 1]);
        assert_eq!(block, [1, 0, 1]);
        let mut all = [0xFF; 4];
        add_with_one(&mut all, &[0xFF, 0xFF]);
        assert_eq!(all, [0xFF; 4]);
    }
}
