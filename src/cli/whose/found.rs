//! Secrets and client_ids in a text that somebody found. Secrets leave this file as verifiers only.

use std::collections::BTreeSet;
use std::fmt;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::cli::combine::without_breaks;
use crate::domain::digest::Verifier;
use crate::domain::ids::{ClientId, Prefix};
use crate::domain::secret::ClientSecret;

/// The two environments, as secrets and client_ids write them.
const ENVIRONMENTS: [&str; 2] = ["test", "prod"];

/// Letters and digits after the last `_` of a secret.
const SECRET_TAIL: usize = 49;

/// Letters and digits after the last `-` of a client_id.
const CLIENT_ID_TAIL: usize = 20;

/// With fewer letters and digits after it, `x_test_…` is a name in somebody's program and no secret that was cut off.
const DAMAGED_TAIL: usize = 16;

/// How many characters a prefix has.
const PREFIX: std::ops::RangeInclusive<usize> = 2..=8;

/// What a text holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Whole secrets, then client_ids; none twice.
    pub(super) things: Vec<Thing>,
    /// What begins like a secret and is none, each beginning once.
    pub(super) damaged: BTreeSet<Start>,
}

/// Something that can be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Thing {
    /// A secret, as what is left of it.
    Secret {
        /// Its SHA-256.
        verifier: Verifier,
        /// How it begins.
        start: Start,
    },
    /// A public id.
    ClientId(ClientId),
}

/// What a secret begins with, and what every secret of one agency and environment begins with: `ex_prod_`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Start {
    prefix: Prefix,
    environment: &'static str,
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_", self.prefix, self.environment)
    }
}

impl Thing {
    /// The word for its kind.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "client_secret",
            Self::ClientId(_) => "client_id",
        }
    }
}

impl Found {
    /// Looks through a text, and through what `Authorization: Basic` hides in it.
    pub(super) fn in_text(text: &str) -> Self {
        // Where UTF-16 is read as ASCII, every second byte is NUL.
        let text = Zeroizing::new(text.replace('\0', ""));
        let hidden = basic_credentials(&text);
        let texts = || std::iter::once(text.as_str()).chain(hidden.iter().map(|hidden| hidden.as_str()));
        let joined: Vec<Zeroizing<String>> = texts().map(without_breaks).collect();
        let mut found = Self::default();
        let mut whole: BTreeSet<&str> = BTreeSet::new();
        let mut in_order: Vec<(&str, Start)> = joined.iter().flat_map(|text| secrets(text)).collect();
        in_order.retain(|(secret, _)| whole.insert(secret));
        let verifier = |secret: &str| ClientSecret::parse(secret.as_bytes()).ok().map(|secret| secret.verifier());
        found.things = in_order
            .iter()
            .filter_map(|(secret, start)| Some(Thing::Secret { verifier: verifier(secret)?, start: start.clone() }))
            .collect();
        let ids: BTreeSet<ClientId> = texts().flat_map(client_ids).collect();
        found.things.extend(ids.into_iter().map(Thing::ClientId));
        // Where a whole one was broken over lines, its beginning looks cut off.
        let is_of_whole_one = |head: &str| whole.range(head..).next().is_some_and(|secret| secret.starts_with(head));
        let remains = texts().flat_map(remains).filter(|(head, _)| !is_of_whole_one(head));
        found.damaged = remains.map(|(_, start)| start).collect();
        found
    }
}

/// Where `separator`, an environment and `separator` stand: the place of the first, the environment, what comes after.
fn middles(text: &str, separator: char) -> impl Iterator<Item = (usize, &'static str, &str)> {
    ENVIRONMENTS.into_iter().flat_map(move |environment| {
        let middle = format!("{separator}{environment}{separator}");
        let places: Vec<_> = text.match_indices(&middle).map(|(place, _)| place).collect();
        places.into_iter().map(move |place| (place, environment, &text[place + middle.len()..]))
    })
}

/// The text before `place` that could be a prefix, the longest first.
fn prefixes(text: &str, place: usize) -> impl Iterator<Item = (usize, Prefix)> {
    PREFIX.rev().filter_map(move |length| {
        let start = place.checked_sub(length)?;
        Some((start, text.get(start..place)?.parse().ok()?))
    })
}

/// Every text of a whole secret. Its checksum says where its prefix begins when letters stand before it.
fn secrets(text: &str) -> Vec<(&str, Start)> {
    let mut found = Vec::new();
    for (place, environment, after) in middles(text, '_') {
        let end = place + environment.len() + 2 + SECRET_TAIL;
        if after.len() < SECRET_TAIL {
            continue;
        }
        let whole = prefixes(text, place).find_map(|(start, prefix)| {
            let secret = text.get(start..end)?;
            ClientSecret::parse(secret.as_bytes()).ok()?;
            Some((secret, Start { prefix, environment }))
        });
        found.extend(whole);
    }
    found
}

/// What begins like a secret in a text as it is: a prefix that begins a word, an environment, and a good deal more.
fn remains(text: &str) -> Vec<(&str, Start)> {
    let mut found = Vec::new();
    for (place, environment, after) in middles(text, '_') {
        let tail = after.bytes().take_while(u8::is_ascii_alphanumeric).count().min(SECRET_TAIL);
        let begins_word =
            |start: &usize| !text[..*start].ends_with(|before: char| before.is_alphanumeric() || before == '_');
        let prefix = prefixes(text, place).find(|(start, _)| begins_word(start));
        if let Some((start, prefix)) = prefix.filter(|_| tail >= DAMAGED_TAIL) {
            found.push((&text[start..place + environment.len() + 2 + tail], Start { prefix, environment }));
        }
    }
    found
}

fn client_ids(text: &str) -> Vec<ClientId> {
    let mut found = Vec::new();
    for (place, environment, after) in middles(text, '-') {
        let end = place + environment.len() + 2 + CLIENT_ID_TAIL;
        let ends_word = !after.get(CLIENT_ID_TAIL..).is_some_and(|rest| rest.starts_with(char::is_alphanumeric));
        let begins_word = |start: &usize| !text[..*start].ends_with(char::is_alphanumeric);
        let start = prefixes(text, place).map(|(start, _)| start).find(begins_word);
        if let Some(id) = start.filter(|_| ends_word).and_then(|start| text.get(start..end)?.parse().ok()) {
            found.push(id);
        }
    }
    found
}

/// What stands after `Basic ` in requests and logs (RFC 7617), decoded.
fn basic_credentials(text: &str) -> Vec<Zeroizing<String>> {
    const WORD: &str = "Basic ";
    let in_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let decoded = text.match_indices(WORD).filter_map(|(place, _)| {
        let encoded = &text[place + WORD.len()..];
        let length = encoded.bytes().take_while(in_base64).count();
        let bytes = Zeroizing::new(Base64::decode_vec(&encoded[..length]).ok()?);
        std::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(text.to_owned()))
    });
    decoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dice::Dice;
    use crate::domain::ids::Environment;

    const ID: &str = "ex-prod-abcdefghijklmnopqrst";

    fn secret(seed: u64) -> String {
        let secret = ClientSecret::generate(&"ex".parse().unwrap(), Environment::Production, &Dice::new(seed)).unwrap();
        secret.reveal_to_recipient().to_owned()
    }

    fn verifier(secret: &str) -> Verifier {
        Verifier::of(secret.as_bytes())
    }

    /// The verifiers, the client_ids, and how many are damaged.
    fn found(text: &str) -> (Vec<Verifier>, Vec<String>, usize) {
        let found = Found::in_text(text);
        let (mut verifiers, mut ids) = (Vec::new(), Vec::new());
        for thing in found.things {
            match thing {
                Thing::Secret { verifier, .. } => verifiers.push(verifier),
                Thing::ClientId(id) => ids.push(id.to_string()),
            }
        }
        (verifiers, ids, found.damaged.len())
    }

    #[test]
    fn a_secret_is_found_wherever_it_stands() {
        let one = secret(1);
        let (head, tail) = one.split_at(30);
        let basic = Base64::encode_string(format!("{ID}:{one}").as_bytes());
        for text in [
            one.clone(),
            format!("{one}\n"),
            format!("CLIENT_SECRET={one}"),
            format!("export KEY='{one}'; run"),
            format!("{{\"client_secret\":\"{one}\",\"x\":1}}"),
            format!("my secret is {one} and more text after it"),
            format!("https://host/?client_secret={one}&grant_type=client_credentials"),
            format!("wordbefore{one}wordafter"),
            format!("{head}\n{tail}"),
            format!("> {head}=\r\n> {tail}"),
            format!("{one}\n{one}\n"),
            one.chars().flat_map(|character| [character, '\0']).collect(),
            format!("Authorization: Basic {basic}\r\nHost: x"),
        ] {
            let (verifiers, _, damaged) = found(&text);
            assert_eq!((verifiers, damaged), (vec![verifier(&one)], 0), "{text}");
        }
    }

    #[test]
    fn a_client_id_is_found_as_a_word_of_its_own() {
        for text in [ID.to_owned(), format!("id={ID};"), format!("[{ID}]"), format!("{ID}:x {ID}"), format!("a-{ID}-b")]
        {
            assert_eq!(found(&text), (vec![], vec![ID.to_owned()], 0), "{text}");
        }
        for text in [
            &ID[..27],
            &format!("{ID}a"),
            &format!("EX{ID}"),
            "ex-prod-ABCDEFGHIJKLMNOPQRST",
            "ex-stag-abcdefghijklmnopqrst",
        ] {
            assert_eq!(found(text).1, [""; 0], "{text}");
        }
        let basic = Base64::encode_string(format!("{ID}:{}", secret(1)).as_bytes());
        assert_eq!(found(&format!("Basic {basic}")).1, [ID]);
    }

    #[test]
    fn several_in_one_text_are_told_apart() {
        let (one, two) = (secret(1), secret(2));
        let text = format!("a: {one}\nb: {two}\nc: {one}\nid: {ID}\ncut: {}", &secret(3)[..40]);
        assert_eq!(found(&text), (vec![verifier(&one), verifier(&two)], vec![ID.to_owned()], 1));
    }

    #[test]
    fn a_secret_that_is_cut_off_or_mistyped_is_no_secret_and_told() {
        let one = secret(1);
        for length in 8 + DAMAGED_TAIL..one.len() {
            assert_eq!(found(&one[..length]), (vec![], vec![], 1), "{length}");
            assert_eq!(found(&format!("key={} and more", &one[..length])).0, [], "{length}");
        }
        for place in 8..one.len() {
            let other = if one.as_bytes()[place] == b'0' { "1" } else { "0" };
            let mistyped = format!("{}{other}{}", &one[..place], &one[place + 1..]);
            assert_eq!(found(&mistyped), (vec![], vec![], 1), "{place}");
        }
    }

    #[test]
    fn names_in_programs_are_no_secrets() {
        for text in [
            "my_test_case",
            "fn it_test_everything() {}",
            "a_prod_b c_prod_d",
            "unit_test_framework_name_of_some_length",
            "_test_",
            "ex_prod_",
            "x-test-y",
            "",
        ] {
            assert_eq!(found(text), (vec![], vec![], 0), "{text}");
        }
    }

    #[test]
    fn any_text_is_looked_through() {
        for text in [
            "å_test_åäö",
            "ååååååååå_prod_ååååååååååååååååååååååååååååååååååååååååååååååååååååå",
            "é-test-ééééééééééééééééééééééé",
            "Basic ",
            "Basic ====",
            "Basic w6U=",
        ] {
            assert_eq!(found(text), (vec![], vec![], 0), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let one = secret(1);
        let shown = format!("{:?}", Found::in_text(&format!("{one} {}", &one[..40])));
        assert!(!shown.contains(&one[8..24]), "{shown}");
    }
}
