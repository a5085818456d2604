//! The delivery reference: eight characters that name one credential version to people, on the telephone as well.

use std::fmt;
use std::str::FromStr;

use super::random::{Randomness, RandomnessFailed};
use super::text::{Ascii, serde_as_text};

/// Crockford's base32, in groups of four characters: what people read to each other on the telephone.
pub(super) mod crockford {
    use std::fmt;

    /// No I, L, O or U.
    const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

    /// The character for the lowest five bits.
    pub(in crate::domain) fn character(bits: u16) -> u8 {
        ALPHABET[usize::from(bits % 32)]
    }

    /// Reads it in any case, with or without the dashes, and with the letters that Crockford lets people confuse (`O` for
    /// `0`; `I` and `L` for `1`).
    pub(in crate::domain) fn read<const LENGTH: usize>(text: &str) -> Option<[u8; LENGTH]> {
        let mut groups = text.split('-');
        let in_groups = groups.clone().count() == LENGTH / 4 && groups.all(|group| group.len() == 4);
        let joined = if in_groups { text.replace('-', "") } else { text.to_owned() };
        let mut out: [u8; LENGTH] = joined.as_bytes().try_into().ok()?;
        for character in &mut out {
            *character = match character.to_ascii_uppercase() {
                b'O' => b'0',
                b'I' | b'L' => b'1',
                other => other,
            };
        }
        out.iter().all(|character| ALPHABET.contains(character)).then_some(out)
    }

    /// Writes it with its dashes.
    pub(in crate::domain) fn show(characters: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, character) in characters.iter().enumerate() {
            let dash = if place > 0 && place % 4 == 0 { "-" } else { "" };
            write!(f, "{dash}{}", char::from(*character))?;
        }
        Ok(())
    }
}

/// Forty bits in Crockford base32, shown as `K7QF-2M9D`.
///
/// It is a name, not a key: whoever knows it still needs the organisation's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference([u8; 8]);

/// The text is not a delivery reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delivery reference is eight characters such as K7QF-2M9D")]
pub struct NotAReference;

impl Reference {
    /// Draws a new one. Uniqueness is the store's to check.
    pub fn generate(random: &dyn Randomness) -> Result<Self, RandomnessFailed> {
        let mut bytes = [0; 8];
        random.fill(&mut bytes)?;
        // 32 divides 256, so the remainder is uniform.
        Ok(Self(bytes.map(|byte| crockford::character(byte.into()))))
    }

    /// The eight characters without the dash, as share tokens, URLs and the proof's message hold it.
    pub fn plain(&self) -> &str {
        // The bytes come from the alphabet only.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    fn shown(&self) -> Ascii<9> {
        let [a, b, c, d, e, f, g, h] = self.0;
        Ascii([a, b, c, d, b'-', e, f, g, h])
    }
}

impl FromStr for Reference {
    type Err = NotAReference;

    /// Reads it as people write it: in either case, with or without the dash.
    fn from_str(text: &str) -> Result<Self, NotAReference> {
        crockford::read(text).map(Self).ok_or(NotAReference)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shown().as_ref())
    }
}

serde_as_text!(Reference, Self::shown);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_may_write_it_in_several_ways() {
        let reference: Reference = "K7QF-2M9D".parse().unwrap();
        for spelling in ["k7qf2m9d", "K7QF2M9D", "k7qf-2m9d"] {
            assert_eq!(spelling.parse(), Ok(reference));
        }
        assert_eq!("OIL0-1111".parse::<Reference>().unwrap().to_string(), "0110-1111");
        assert_eq!(reference.to_string(), "K7QF-2M9D");
        assert_eq!(reference.plain(), "K7QF2M9D");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "K7QF", "K7QF-2M9", "K7Q-F2M9D", "K7QF-2M9U", "K7QF--2M9D", "K7QF 2M9D", "ÄÄÄÄ", "K7QF-2M9D-"]
        {
            assert_eq!(text.parse::<Reference>(), Err(NotAReference), "{text}");
        }
    }

    #[test]
    fn a_drawn_reference_is_golden_and_reads_back() {
        let drawn = Reference::generate(&crate::domain::dice::Counting::default()).unwrap();
        assert_eq!(drawn.to_string(), "0123-4567");
        let dice = crate::domain::dice::Dice::new(1);
        for _ in 0..100 {
            let drawn = Reference::generate(&dice).unwrap();
            assert_eq!(drawn.to_string().parse(), Ok(drawn));
            assert_eq!(drawn.plain().to_ascii_lowercase().parse(), Ok(drawn));
        }
    }
}
