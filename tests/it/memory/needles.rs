//! What a part or a secret looks like in memory, and the search for pieces of it in a core.
//!
//! Pieces of eight bytes are looked up at every eighth byte of the core, and grown from there in both directions. So
//! every piece of fifteen bytes is found, wherever it begins, and shorter ones by luck; twelve bytes are reported. By
//! chance, twelve random bytes of a hundred needles of a hundred bytes stand in a core of 30 MB once in 10^17 cores.

use std::collections::HashMap;

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// The bytes that are looked up at once.
const WORD: usize = 8;

/// The shortest piece that counts.
const PIECE_MIN: usize = 12;

/// All forms of what is searched for.
#[derive(Default)]
pub(super) struct Needles {
    forms: Vec<Form>,
    /// Where each word of each form stands.
    words: HashMap<u64, Vec<(usize, usize)>>,
    /// A quick no for most words: a bit for the low bits of each that there is.
    perhaps: Vec<bool>,
}

struct Form {
    /// Of what, in which form.
    name: String,
    /// What of.
    of: What,
    bytes: Vec<u8>,
}

/// What a piece belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    MailShare,
    PickupShare,
    Secret,
}

/// A piece that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) what: What,
    pub(super) form: String,
    pub(super) length: usize,
}

const LOW_BITS: u32 = 20;

impl Needles {
    /// The payload of a share token. Its text in a token is one of the forms in base64url, also inside of a JSON or a
    /// quoted-printable text, which change none of its characters and break it at the end of a line only.
    pub(super) fn share(&mut self, what: What, token: &str) {
        let text = token.split('.').nth(4).unwrap();
        let payload = data_encoding::BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        self.all_forms(what, "its bytes", &payload);
        self.all_forms(what, "its text", text.as_bytes());
    }

    /// A whole secret; what everybody's secret begins with is left out.
    pub(super) fn secret(&mut self, secret: &str) {
        let random = secret.rsplit('_').next().unwrap();
        self.all_forms(What::Secret, "its text", random.as_bytes());
    }

    fn all_forms(&mut self, what: What, of: &str, bytes: &[u8]) {
        let mut add = |form: &str, bytes: Vec<u8>| self.form(Form { name: format!("{of} {form}"), of: what, bytes });
        add("as it is", bytes.to_vec());
        add("in hexadecimal", HEXLOWER.encode(bytes).into_bytes());
        add("in hexadecimal", HEXUPPER.encode(bytes).into_bytes());
        for skipped in 0..3 {
            // Without the characters that the neighbours decide.
            let whole = &bytes[skipped..skipped + (bytes.len() - skipped) / 3 * 3];
            add("in base64", BASE64.encode(whole).into_bytes());
            add("in base64url", BASE64URL.encode(whole).into_bytes());
        }
    }

    fn form(&mut self, form: Form) {
        self.perhaps.resize(1 << LOW_BITS, false);
        for (place, word) in form.bytes.windows(WORD).enumerate() {
            let word = u64::from_le_bytes(word.try_into().unwrap());
            self.perhaps[low_bits(word)] = true;
            self.words.entry(word).or_default().push((self.forms.len(), place));
        }
        self.forms.push(form);
    }

    /// Every piece in a core, the longest of each kind and form.
    pub(super) fn search(&self, core: &[u8]) -> Vec<Piece> {
        let mut found: Vec<Piece> = Vec::new();
        for (index, word) in core.chunks_exact(WORD).enumerate() {
            let word = u64::from_le_bytes(word.try_into().unwrap());
            if !self.perhaps[low_bits(word)] {
                continue;
            }
            for (form, place) in self.words.get(&word).into_iter().flatten() {
                let form = &self.forms[*form];
                let length = grown(core, index * WORD, &form.bytes, *place);
                if length < PIECE_MIN {
                    continue;
                }
                match found.iter_mut().find(|piece| piece.what == form.of && piece.form == form.name) {
                    Some(piece) => piece.length = piece.length.max(length),
                    None => found.push(Piece { what: form.of, form: form.name.clone(), length }),
                }
            }
        }
        found
    }
}

fn low_bits(word: u64) -> usize {
    // Text differs little in its lowest bits; multiplying spreads it.
    (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - LOW_BITS)) as usize
}

/// How many bytes around the word are the same.
fn grown(core: &[u8], at: usize, form: &[u8], place: usize) -> usize {
    let after = core[at..].iter().zip(&form[place..]).take_while(|(one, other)| one == other).count();
    let before = core[..at].iter().rev().zip(form[..place].iter().rev()).take_while(|(one, other)| one == other);
    before.count() + after
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "tally1.K7QF2M9D.mail.oauth2.3q2-7wABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY.0f1e2d3c";

    #[test]
    fn a_piece_of_fifteen_bytes_is_found_in_every_form_and_at_every_place() {
        let mut needles = Needles::default();
        needles.share(What::MailShare, TOKEN);
        needles.secret("ex_test_2vF8kQ0zLr7Yb4NwT9cXe1Gj5HmPsUaDi3RoKqWJBxV000000");
        let noise: Vec<u8> = (0..4096_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        assert_eq!(needles.search(&noise), []);
        for form in &needles.forms {
            for (begin, at) in (0..form.bytes.len() - 15).zip(1000..) {
                let mut core = noise.clone();
                core[at..at + 15].copy_from_slice(&form.bytes[begin..begin + 15]);
                let found = needles.search(&core);
                assert!(found.iter().any(|piece| piece.what == form.of), "{} from {begin}", form.name);
            }
        }
    }
}
