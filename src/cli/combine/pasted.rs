//! Shares in a text that people pasted: an e-mail with quoting marks, broken lines and soft line breaks, or the source of
//! one. It finds them and says which are not whole; what belongs together is decided elsewhere.

use std::collections::BTreeSet;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};
use zeroize::Zeroizing;

use crate::domain::ids::Label;
use crate::domain::reference::Reference;
use crate::domain::share::{NotAShare, Share, ShareToken, Side};

/// An e-mail with twenty pairs has forty shares, in its text and in its HTML. A text with more than this was made to keep
/// the machine busy; what comes after them is not looked at.
const FOUND_MAX: usize = 1000;

/// What every token begins with.
const START: &str = "tally1.";

/// The longest field of a token: a payload has 72 bytes at most, which base64 writes with 96 characters.
const FIELD_MAX: usize = 128;

/// Hexadecimal digits of the checksum that a token ends with.
const CHECKSUM_LENGTH: usize = 8;

/// What a text holds.
#[derive(Debug, Default)]
pub(in crate::cli) struct Pasted {
    /// Whole shares; none twice.
    pub(in crate::cli) shares: Vec<Share>,
    /// What begins like a share and is none.
    pub(in crate::cli) broken: Vec<Broken>,
}

/// The remains of a share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Broken {
    /// Of which delivery, as far as it can be read.
    pub(in crate::cli) reference: Option<Reference>,
    /// By which channel it came.
    pub(in crate::cli) side: Option<Side>,
    /// Of which pair.
    pub(in crate::cli) label: Option<Label>,
    /// What is wrong.
    pub(in crate::cli) why: Damage,
}

/// What is wrong with a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Damage {
    /// Its end is missing.
    CutOff,
    /// All of it is there, but not as it was.
    Changed,
}

impl Pasted {
    /// Looks through a text.
    pub(in crate::cli) fn find(text: &str) -> Self {
        let text = without_breaks(text);
        let mut found = Self::default();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for (place, _) in text.match_indices(START) {
            if found.shares.len() + found.broken.len() >= FOUND_MAX {
                break;
            }
            let rest = text.get(place..).unwrap_or_default();
            match token(rest) {
                // A mail holds each share twice: in its text and in its HTML.
                Ok(token) if !seen.insert(token) => {}
                Ok(token) => match ShareToken::from_text(token.to_owned()).read() {
                    Ok(share) => found.shares.push(share),
                    Err(NotAShare::Checksum | NotAShare::Form) => found.broken.push(Broken::of(rest, Damage::Changed)),
                },
                Err(CutOff) => found.broken.push(Broken::of(rest, Damage::CutOff)),
            }
        }
        found
    }

    /// The deliveries that whole shares of one channel belong to.
    pub(in crate::cli) fn references(&self, side: Side) -> BTreeSet<Reference> {
        self.shares.iter().filter(|share| share.side == side).map(|share| share.reference).collect()
    }
}

impl Broken {
    fn of(rest: &str, why: Damage) -> Self {
        let mut fields = rest.split('.').skip(1);
        let reference = fields.next().and_then(|field| field.parse().ok());
        let side = match fields.next() {
            Some("mail") => Some(Side::Mail),
            Some("pickup") => Some(Side::Pickup),
            Some(_) | None => None,
        };
        // Without a dot after it, the label itself may be cut.
        let label = fields.next().filter(|_| fields.next().is_some()).and_then(|field| field.parse().ok());
        Self { reference, side, label, why }
    }
}

/// The text without what mail programs put into a long word: white space, quoting marks, soft line breaks, characters that
/// are not seen or turn the direction of writing, the same in HTML and in quoted-printable, and NUL, which is every second
/// byte where UTF-16 is read as ASCII. The page's script does the same.
pub(in crate::cli) fn without_breaks(text: &str) -> Zeroizing<String> {
    let mut joined = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let (written, length) = match character {
            '=' | '<' | '&' => spelled_out(rest).unwrap_or((character, 1)),
            other => (other, other.len_utf8()),
        };
        // Quoted-printable (RFC 2045, section 6.7): "=" and a line end is nothing.
        if written != '=' && !is_noise(written) {
            joined.push(written);
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    joined
}

/// What programs write in place of a single character, and the character.
const SPELLED_OUT: [(&str, char); 21] = [
    // Encoded though it need not be.
    ("=2D", '-'),
    ("=2E", '.'),
    ("=5F", '_'),
    ("=20", ' '),
    ("=09", ' '),
    ("=3E", '>'),
    ("=C2=A0", ' '),
    ("=C2=AD", ' '),
    ("=E2=80=8B", ' '),
    // The source of HTML, quoted by it as well.
    ("<wbr>", ' '),
    ("<br>", ' '),
    ("<br/>", ' '),
    ("<br />", ' '),
    ("&gt;", '>'),
    ("&nbsp;", ' '),
    ("&shy;", ' '),
    ("&zwnj;", ' '),
    ("&#46;", '.'),
    ("&#160;", ' '),
    ("&#8203;", ' '),
    ("&#x200B;", ' '),
];

fn spelled_out(rest: &str) -> Option<(char, usize)> {
    let begins = |spelled: &str| rest.get(..spelled.len()).is_some_and(|found| found.eq_ignore_ascii_case(spelled));
    SPELLED_OUT.iter().find(|(spelled, _)| begins(spelled)).map(|(spelled, written)| (*written, spelled.len()))
}

fn is_noise(character: char) -> bool {
    match character.is_ascii() {
        true => character.is_whitespace() || matches!(character, '>' | '|' | '*' | '\0'),
        false => character.is_whitespace() || character.general_category() == GeneralCategory::Format,
    }
}

/// The text ends, or goes over into something else, before the token does.
struct CutOff;

/// The token that a text begins with. Its end is known by the length of the checksum, since the text goes on without
/// white space.
fn token(text: &str) -> Result<&str, CutOff> {
    let mut end = START.len();
    for _ in ["reference", "side", "label", "payload"] {
        let field = text.get(end..).unwrap_or_default();
        let length = field.find(|character: char| !is_of_field(character)).ok_or(CutOff)?;
        if length > FIELD_MAX || field.as_bytes().get(length) != Some(&b'.') {
            return Err(CutOff);
        }
        end += length + 1;
    }
    let checksum = text.get(end..end + CHECKSUM_LENGTH).ok_or(CutOff)?;
    if !checksum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(CutOff);
    }
    text.get(..end + CHECKSUM_LENGTH).ok_or(CutOff)
}

fn is_of_field(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::super::bundle::tests::{Counting, tokens};
    use super::*;

    fn found(text: &str) -> (usize, Vec<Damage>) {
        let pasted = Pasted::find(text);
        (pasted.shares.len(), pasted.broken.iter().map(|broken| broken.why).collect())
    }

    #[test]
    fn a_share_is_found_however_the_mail_was_mangled() {
        let (mail, _) = tokens("K7QF2M9D", "oauth2", &Counting(1));
        let (head, tail) = mail.split_at(60);
        for text in [
            mail.clone(),
            format!("Part 1:\n{mail}\n\nPair: apigw"),
            format!("{head}=\r\n{tail}"),
            format!("> Part 1:\n> {head}\n> {tail}\n> \n> more"),
            format!(">> {head}\r\n>> {tail}"),
            format!("{head} {tail}"),
            format!("{head}\u{a0}\u{200b}{tail}"),
            format!("{head}\u{202e}\u{2066}{tail}\u{2069}\u{200f}"),
            format!("{head}=20\r\n=3E {tail}"),
            format!("{head}=C2=A0=\r\n{tail}"),
            format!("{head}<wbr>{tail}<BR />"),
            format!("&gt; {head}&nbsp;<br>\n&gt; {tail}"),
            mail.replace('.', "=2e"),
            format!("*{mail}*"),
            format!("Part1:{mail}abcdef.and.so.on"),
            mail.replace('.', "=2E").replace('-', "=2D").replace('_', "=5F"),
            mail.chars().flat_map(|character| [character, '\0']).collect(),
            format!("{mail}\n<pre>{mail}</pre>\n{mail}"),
        ] {
            assert_eq!(found(&text), (1, vec![]), "{text}");
        }
    }

    #[test]
    fn a_share_that_is_cut_off_is_told_wherever_the_cut_is() {
        let (mail, _) = tokens("K7QF2M9D", "oauth2", &Counting(1));
        for length in START.len()..mail.len() {
            assert_eq!(found(&mail[..length]), (0, vec![Damage::CutOff]), "{length}");
            assert_eq!(found(&format!("{}\nRegards, E.", &mail[..length])).0, 0, "{length}");
        }
        let pasted = Pasted::find(&mail[..mail.len() - 20]);
        assert_eq!(pasted.broken[0].reference, "K7QF2M9D".parse().ok());
        assert_eq!((pasted.broken[0].side, pasted.broken[0].label.clone()), (Some(Side::Mail), "oauth2".parse().ok()));
    }

    #[test]
    fn a_share_after_a_broken_one_is_found() {
        let (one, _) = tokens("K7QF2M9D", "oauth2", &Counting(1));
        let (two, _) = tokens("K7QF2M9D", "apigw", &Counting(2));
        assert_eq!(found(&format!("{}\n{two}", &one[..50])), (1, vec![Damage::CutOff]));
    }

    #[test]
    fn a_changed_share_is_told_from_a_whole_one() {
        let (mail, _) = tokens("K7QF2M9D", "oauth2", &Counting(1));
        let changed = mail.replacen("oauth2", "oauth3", 1);
        assert_eq!(found(&changed), (0, vec![Damage::Changed]));
    }

    #[test]
    fn megabytes_of_anything_are_looked_through_at_once() {
        let (mail, _) = tokens("K7QF2M9D", "oauth2", &Counting(1));
        let began = std::time::Instant::now();
        let distinct: String = (0..50_000).map(|number| format!("tally1.....{number:08x} ")).collect();
        for text in [
            "tally1.".repeat(200_000),
            distinct,
            format!("tally1.{}", "a".repeat(1_000_000)),
            "=".repeat(1_000_000),
            "\u{202e}".repeat(500_000),
        ] {
            let pasted = Pasted::find(&format!("{mail}\n{text}"));
            assert!(pasted.shares.len() == 1 && pasted.broken.len() < FOUND_MAX);
        }
        assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    }

    #[test]
    fn a_text_without_shares_holds_none() {
        assert_eq!(found(""), (0, vec![]));
        assert_eq!(found("=\u{e5}\u{e5}tally1="), (0, vec![]));
    }
}
