//! The `client_secret`: made, checked, turned into a verifier and a proof, and split. It knows no store and no wire.
//!
//! A secret is never cloned, serialised or shown. It is filled in place on the heap and wiped when dropped; splitting
//! it turns its own buffer into the pickup share, so that the whole secret is gone when the two parts exist.

use std::fmt;

use ring::hmac;
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::digest::{ProofDigest, Verifier};
use super::ids::{Environment, Prefix};
use super::random::{Randomness, RandomnessFailed};
use super::reference::Reference;
use super::share::{MailShare, PickupShare};

/// The alphabet of the random part and of the checksum, in the order of their digits.
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Random characters: 43 × log₂ 62 = 256.03 bits.
const RANDOM_LENGTH: usize = 43;

/// Characters of checksum: 62⁶ > 2³².
const CHECKSUM_LENGTH: usize = 6;

/// The longest secret, so that a relying party that still uses bcrypt sees all of it.
pub const MAX_SECRET_LENGTH: usize = 72;

/// Up to [`MAX_SECRET_LENGTH`] bytes in one heap block that is wiped on drop.
pub(super) struct SecretBytes {
    length: usize,
    bytes: [u8; MAX_SECRET_LENGTH],
}

impl SecretBytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }

    fn push(&mut self, more: &[u8]) {
        let end = self.length + more.len();
        self.bytes[self.length..end].copy_from_slice(more);
        self.length = end;
    }
}

impl Default for SecretBytes {
    fn default() -> Self {
        Self { length: 0, bytes: [0; MAX_SECRET_LENGTH] }
    }
}

impl Zeroize for SecretBytes {
    fn zeroize(&mut self) {
        self.bytes.zeroize();
        self.length.zeroize();
    }
}

/// A whole `client_secret`: `<prefix>_<test|prod>_`, 43 random characters, 6 of checksum.
pub struct ClientSecret(SecretBox<SecretBytes>);

/// What is wrong with a text that should be a `client_secret`. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotASecret {
    /// Not of the form at all.
    #[error("not a client_secret: it looks like <prefix>_<test|prod>_ and 49 letters and digits")]
    Form,
    /// The form is right, the checksum is not: mistyped or cut off.
    #[error("the client_secret's checksum does not fit: it was mistyped or cut off")]
    Checksum,
}

impl ClientSecret {
    /// Draws a new secret, in place.
    pub fn generate(
        prefix: &Prefix,
        environment: Environment,
        random: &dyn Randomness,
    ) -> Result<Self, RandomnessFailed> {
        let mut secret = SecretBox::new(Box::<SecretBytes>::default());
        let text = secret.expose_secret_mut();
        text.push(prefix.as_str().as_bytes());
        text.push(b"_");
        text.push(environment.short().as_bytes());
        text.push(b"_");
        push_random_base62(text, random)?;
        let checksum = checksum(text.as_slice());
        text.push(&checksum);
        Ok(Self(secret))
    }

    /// Reads a secret that somebody presented, and checks form and checksum before anything is looked up.
    pub fn parse(text: &[u8]) -> Result<Self, NotASecret> {
        let mut parts = text.splitn(3, |byte| *byte == b'_');
        let (Some(prefix), Some(environment), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NotASecret::Form);
        };
        let prefix_fits = std::str::from_utf8(prefix).is_ok_and(|prefix| prefix.parse::<Prefix>().is_ok());
        let environment_fits = environment == b"test" || environment == b"prod";
        let rest_fits = rest.len() == RANDOM_LENGTH + CHECKSUM_LENGTH && rest.iter().all(u8::is_ascii_alphanumeric);
        if !(prefix_fits && environment_fits && rest_fits) {
            return Err(NotASecret::Form);
        }
        let (body, found) = text.split_at(text.len() - CHECKSUM_LENGTH);
        if checksum(body) != found {
            return Err(NotASecret::Checksum);
        }
        let mut secret = SecretBox::new(Box::<SecretBytes>::default());
        secret.expose_secret_mut().push(text);
        Ok(Self(secret))
    }

    /// SHA-256 of the text: what gateways compare with.
    pub fn verifier(&self) -> Verifier {
        Verifier::of(self.0.expose_secret().as_slice())
    }

    /// The proof of possession for one delivery (DESIGN, section 5).
    pub fn proof(&self, reference: &Reference) -> Proof {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret().as_slice());
        let mut context = hmac::Context::with_key(&key);
        context.update(b"tallyd confirm v1\n");
        context.update(reference.plain().as_bytes());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.sign().as_ref());
        Proof(bytes)
    }

    /// Splits the secret with a one-time pad of its own length. The pad becomes the mail share; the secret's own
    /// buffer becomes the pickup share, in place.
    pub fn split(self, random: &dyn Randomness) -> Result<(MailShare, PickupShare), RandomnessFailed> {
        let Self(mut secret) = self;
        let mut pad = SecretBox::new(Box::<SecretBytes>::default());
        let length = secret.expose_secret().length;
        pad.expose_secret_mut().length = length;
        random.fill(pad.expose_secret_mut().as_mut_slice())?;
        xor(secret.expose_secret_mut().as_mut_slice(), pad.expose_secret().as_slice());
        Ok((MailShare::from_pad(pad), PickupShare::from_masked(secret)))
    }

    /// Puts two payloads of equal length together again.
    pub(super) fn join(mail: &[u8], pickup: &[u8]) -> Result<Self, NotASecret> {
        if mail.len() != pickup.len() || mail.len() > MAX_SECRET_LENGTH {
            return Err(NotASecret::Form);
        }
        let mut joined = SecretBox::new(Box::<SecretBytes>::default());
        joined.expose_secret_mut().push(mail);
        xor(joined.expose_secret_mut().as_mut_slice(), pickup);
        Self::parse(joined.expose_secret().as_slice())
    }

    /// The text, for the one who is entitled to it: the recipient's own command line.
    pub fn reveal_to_recipient(&self) -> &str {
        // `parse` and `generate` let ASCII through only.
        std::str::from_utf8(self.0.expose_secret().as_slice()).unwrap_or_default()
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret")
    }
}

/// Proof that somebody holds the whole secret of one delivery; as lower-case hexadecimal on the wire.
///
/// It does not give the secret away, but whoever has it can confirm: it is not logged either, and wiped on drop.
#[derive(ZeroizeOnDrop)]
pub struct Proof([u8; 32]);

/// The text is not 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a proof is 64 lower-case hexadecimal digits")]
pub struct NotAProof;

impl Proof {
    /// Reads the wire form.
    fn parse(text: &str) -> Result<Self, NotAProof> {
        let mut bytes = [0; 32];
        let length = data_encoding::HEXLOWER.decode_len(text.len()).map_err(|_| NotAProof)?;
        if length != bytes.len() {
            return Err(NotAProof);
        }
        data_encoding::HEXLOWER.decode_mut(text.as_bytes(), &mut bytes).map_err(|_| NotAProof)?;
        Ok(Self(bytes))
    }

    /// The wire form.
    pub fn to_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }

    /// SHA-256 of the proof: what is stored beforehand and compared with.
    pub fn digest(&self) -> ProofDigest {
        ProofDigest::of(&self.0)
    }
}

impl std::str::FromStr for Proof {
    type Err = NotAProof;

    fn from_str(text: &str) -> Result<Self, NotAProof> {
        Self::parse(text)
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proof")
    }
}

/// Appends uniformly drawn characters: bytes of 248 and above are thrown away, since 4 × 62 = 248.
fn push_random_base62(text: &mut SecretBytes, random: &dyn Randomness) -> Result<(), RandomnessFailed> {
    let mut drawn = zeroize::Zeroizing::new([0_u8; 64]);
    let end = text.length + RANDOM_LENGTH;
    // One draw of 64 bytes gives 43 usable ones all but once in 10^11; sixteen draws always do unless the generator is broken.
    for _ in 0..16 {
        random.fill(drawn.as_mut_slice())?;
        for byte in drawn.iter().filter(|byte| **byte < 248) {
            if text.length == end {
                return Ok(());
            }
            text.push(&[BASE62[usize::from(byte % 62)]]);
        }
    }
    Err(RandomnessFailed)
}

/// CRC-32 (IEEE) of `body` in base 62, left-padded with `0`.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_LENGTH] {
    let mut rest = crc32fast::hash(body);
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

fn xor(target: &mut [u8], pad: &[u8]) {
    for (byte, mask) in target.iter_mut().zip(pad) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::dice::{Broken, Counting, Dice, Repeating};

    fn generate(environment: Environment, random: &dyn Randomness) -> Result<ClientSecret, RandomnessFailed> {
        ClientSecret::generate(&"ex".parse().unwrap(), environment, random)
    }

    /// The values were worked out by another program from DESIGN, section 5.
    #[test]
    fn secret_verifier_and_proof_are_golden() {
        let secret = generate(Environment::Production, &Counting::default()).unwrap();
        assert_eq!(secret.reveal_to_recipient(), "ex_prod_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefg4Qp0pN");
        let verifier = "bffbe314b1d53fb97230e960f7945e88b8b4174ecf43662e7e9cefaf19c95fdb";
        assert_eq!(secret.verifier().to_string(), verifier);
        let proof = secret.proof(&"k7qf-2m9d".parse().unwrap());
        assert_eq!(proof.to_hex(), "a2b83f8a41acdab53e7cde0e7cf8b1e597d20bf05e85a6578fa57495f6c03cba");
        let digest = "a8608475248fc74fc4855b0cc7081091bd799f69d21d1b991b7ce1304a421d31";
        assert_eq!(proof.digest().to_string(), digest);
        assert_eq!(Proof::parse(&proof.to_hex()).unwrap().digest(), proof.digest());
    }

    #[test]
    fn checksums_are_golden_and_left_padded() {
        // CRC-32 of "123456789" is 0xCBF43926, its check value.
        assert_eq!(&checksum(b"123456789"), b"3jZRME");
        assert_eq!(&checksum(b""), b"000000");
        assert_eq!(&checksum(b"ex_test_275"), b"00ENo0");
    }

    #[test]
    fn a_proof_is_64_lower_case_hexadecimal_digits() {
        for text in ["", "a2", &"A2".repeat(32), &"a2".repeat(31), &"a2".repeat(33), &"g2".repeat(32), &"ä".repeat(32)]
        {
            assert_eq!(Proof::parse(text).err(), Some(NotAProof), "{text}");
        }
    }

    #[test]
    fn a_presented_secret_is_checked_before_anything_is_looked_up() {
        let secret = generate(Environment::Test, &Dice::new(1)).unwrap();
        let text = secret.reveal_to_recipient();
        assert_eq!(ClientSecret::parse(text.as_bytes()).unwrap().verifier(), secret.verifier());
        for place in 0..text.len() {
            for replacement in [b'0', b'z', b'_', b' ', 0, 0xFF] {
                let mut changed = text.as_bytes().to_vec();
                changed[place] = replacement;
                assert!(changed == text.as_bytes() || ClientSecret::parse(&changed).is_err(), "{place}");
            }
            assert_eq!(ClientSecret::parse(&text.as_bytes()[..place]).err(), Some(NotASecret::Form));
        }
        let swapped = format!("{}{}{}", &text[..10], &text[11..12], &text[10..11]) + &text[12..];
        assert!(swapped == text || ClientSecret::parse(swapped.as_bytes()).err() == Some(NotASecret::Checksum));
    }

    #[test]
    fn no_secret_is_made_without_randomness() {
        assert!(generate(Environment::Test, &Broken).is_err());
        // A generator that gives nothing but what is thrown away is broken, and does not hold the daemon up.
        assert!(generate(Environment::Test, &Repeating(vec![255])).is_err());
        assert!(generate(Environment::Test, &Dice::new(1)).unwrap().split(&Broken).is_err());
    }

    #[test]
    fn debug_shows_the_type_and_nothing_else() {
        let secret = generate(Environment::Test, &Dice::new(1)).unwrap();
        let proof = secret.proof(&"K7QF-2M9D".parse().unwrap());
        assert_eq!(format!("{secret:?} {proof:?}"), "ClientSecret Proof");
    }

    /// Pearson's chi-square of how often each of the 62 characters was drawn; 61 degrees of freedom.
    fn chi_square(draws: impl Iterator<Item = u8>) -> f64 {
        let mut counts = [0_u32; 62];
        draws.for_each(|draw| counts[BASE62.iter().position(|known| *known == draw).unwrap()] += 1);
        let expected = f64::from(counts.iter().sum::<u32>()) / 62.0;
        counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum()
    }

    #[test]
    fn characters_are_drawn_uniformly() {
        let dice = Dice::new(11);
        let secrets: Vec<_> = (0..4000).map(|_| generate(Environment::Test, &dice).unwrap()).collect();
        let fair = secrets.iter().flat_map(|secret| secret.reveal_to_recipient().as_bytes()[8..51].to_vec());
        // One fair source in a thousand exceeds 100.9.
        assert!(chi_square(fair) < 100.9);
        // The control: the same number of characters by remainder alone, without throwing any byte away.
        let biased = (0..4000 * 43).map(|_| BASE62[usize::from(dice.next() as u8) % 62]);
        assert!(chi_square(biased) > 1000.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_secret_fits_its_form_and_72_bytes(seed in any::<u64>(), prefix in "[a-z0-9]{2,8}", test in any::<bool>()) {
            let environment = if test { Environment::Test } else { Environment::Production };
            let secret = ClientSecret::generate(&prefix.parse().unwrap(), environment, &Dice::new(seed)).unwrap();
            let text = secret.reveal_to_recipient();
            prop_assert!(text.len() <= MAX_SECRET_LENGTH);
            let start = format!("{prefix}_{}_", environment.short());
            prop_assert!(text.starts_with(&start));
            prop_assert!(ClientSecret::parse(text.as_bytes()).is_ok());
        }

        #[test]
        fn any_bytes_are_parsed_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(ClientSecret::parse(&bytes).is_err());
        }
    }
}
