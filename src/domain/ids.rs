//! Names of things. Each is a type of its own; each text form is checked where it enters.

use std::fmt;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use super::random::{Randomness, RandomnessFailed};
use super::text::{Ascii, serde_as_text};
use super::words::words_of;

/// Why a name was refused: says the whole rule, so that the caller need not ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadId(&'static str);

impl BadId {
    /// With the rule that was broken, as a whole.
    pub(crate) const fn new(rule: &'static str) -> Self {
        Self(rule)
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $length:expr, $allowed:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let allowed: fn(&u8) -> bool = $allowed;
                let starts_well = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
                if starts_well && $length.contains(&text.len()) && text.as_bytes().iter().all(allowed) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadId($rule))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        serde_as_text!($name, Self::as_str);
    };
}

fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._:/-".contains(byte)
}

fn is_lower_word(byte: &u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-'
}

text_id!(
    /// The case at the agency. One application has one client.
    ApplicationId,
    (1..=64),
    is_word,
    "1 to 64 characters of A-Z a-z 0-9 . _ : / -, beginning with a letter or digit"
);
text_id!(
    /// An agreement between the agency and an organisation.
    AgreementId,
    (1..=64),
    is_word,
    "1 to 64 characters of A-Z a-z 0-9 . _ : / -, beginning with a letter or digit"
);
text_id!(
    /// An API that the agency publishes.
    ApiName,
    (1..=64),
    is_word,
    "1 to 64 characters of A-Z a-z 0-9 . _ : / -, beginning with a letter or digit"
);
text_id!(
    /// A kind of API, in the agency's own words, such as `partner` or `restricted`.
    ApiCategory,
    (1..=32),
    is_lower_word,
    "1 to 32 characters of a-z 0-9 -, beginning with a letter or digit"
);
text_id!(
    /// The name of one pair in a bundle, such as `oauth2` or `apigw`. It stands in share tokens, so it has no dot.
    Label,
    (1..=32),
    is_lower_word,
    "1 to 32 characters of a-z 0-9 -, beginning with a letter or digit"
);
text_id!(
    /// What the configuration calls a sender or a gateway.
    PeerName,
    (1..=64),
    is_word,
    "1 to 64 characters of A-Z a-z 0-9 . _ : / -, beginning with a letter or digit"
);
text_id!(
    /// What `client_id` and `client_secret` begin with at this agency.
    Prefix,
    (2..=8),
    |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit(),
    "2 to 8 characters of a-z 0-9"
);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A UUID version 7 (RFC 9562, section 5.7) from the instant and random bytes that are passed in.
            pub fn new(now: super::time::Timestamp, random: &dyn Randomness) -> Result<Self, RandomnessFailed> {
                let mut bytes = [0; 10];
                random.fill(&mut bytes)?;
                Ok(Self::from_parts(now, &bytes))
            }

            fn from_parts(now: super::time::Timestamp, random: &[u8; 10]) -> Self {
                let millis = u64::try_from(now.millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, random).into_uuid())
            }

            fn text(&self) -> Ascii<36> {
                let mut text = [0; 36];
                self.0.hyphenated().encode_lower(&mut text);
                Ascii(text)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                const RULE: BadId = BadId("a UUID in lower-case hyphenated form");
                let id = Self(Uuid::try_parse(text).map_err(|_| RULE)?);
                // One id has one spelling: braces, URN and upper case are refused.
                if id.text().as_ref() == text { Ok(id) } else { Err(RULE) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.text().as_ref())
            }
        }

        serde_as_text!($name, Self::text);
    };
}

uuid_id!(
    /// The order to bring one credential to a recipient.
    IssuanceId
);
uuid_id!(
    /// One re-issue of many clients.
    CampaignId
);
uuid_id!(
    /// One contact of one application. Stands in the journal instead of the address.
    ContactId
);
uuid_id!(
    /// One notice or receipt to one contact. Also the left part of its Message-ID.
    NoticeId
);

impl NoticeId {
    /// So many at once, with one call for random bytes.
    pub fn several<const COUNT: usize>(
        now: super::time::Timestamp,
        random: &dyn Randomness,
    ) -> Result<[Self; COUNT], RandomnessFailed> {
        let mut bytes = [[0; 10]; COUNT];
        random.fill(bytes.as_flattened_mut())?;
        Ok(bytes.map(|bytes| Self::from_parts(now, &bytes)))
    }
}

uuid_id!(
    /// Tells one request from another of the same content.
    RequestNonce
);
uuid_id!(
    /// The left part of the Message-ID of the mail that carries one credential version. Tells nothing about it.
    MessageId
);

/// Which world a client belongs to. Its certificates, listeners and keys are apart from the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Environment {
    /// For trying out.
    Test,
    /// For real cases.
    Production,
}

impl Environment {
    /// As inside `client_id` and `client_secret`: `test` or `prod`.
    pub fn short(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Production => "prod",
        }
    }
}

words_of!(Environment { Test => "test", Production => "production" });

/// The public half of a pair: `<prefix>-<test|prod>-` and 20 characters of lower-case base32 (100 random bits).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(String);

impl ClientId {
    /// Draws a new one.
    pub fn generate(
        prefix: &Prefix,
        environment: Environment,
        random: &dyn Randomness,
    ) -> Result<Self, RandomnessFailed> {
        let mut bytes = [0; 13];
        random.fill(&mut bytes)?;
        let mut text = base32_lower().encode(&bytes);
        text.truncate(20);
        Ok(Self(format!("{prefix}-{}-{text}", environment.short())))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        const RULE: BadId = BadId("<prefix>-<test|prod>-<20 characters of a-z 2-7>");
        let mut parts = text.splitn(3, '-');
        let (Some(prefix), Some(environment), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(RULE);
        };
        let random_part =
            rest.len() == 20 && rest.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b));
        if prefix.parse::<Prefix>().is_ok() && ["test", "prod"].contains(&environment) && random_part {
            Ok(Self(text.to_owned()))
        } else {
            Err(RULE)
        }
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(ClientId, Self::as_str);

/// RFC 4648 base32, lower case, no padding.
fn base32_lower() -> &'static Encoding {
    static ENCODING: std::sync::LazyLock<Encoding> = std::sync::LazyLock::new(|| {
        let mut specification = Specification::new();
        specification.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
        // The specification is a constant; a mistake in it shows in the first test.
        specification.encoding().unwrap_or(data_encoding::BASE32_NOPAD)
    });
    &ENCODING
}

/// Who sent an event and what he calls it: the identity of an event (CloudEvents 1.0, `source` and `id`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct EventKey {
    /// The CloudEvents `source`, a URI reference.
    pub source: EventPart,
    /// The CloudEvents `id`, unique within the source.
    pub id: EventPart,
}

/// In the order of the journal's canonical form, which is not that of the tables.
impl Serialize for EventKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("EventKey", 2)?;
        members.serialize_field("id", &self.id)?;
        members.serialize_field("source", &self.source)?;
        members.end()
    }
}

/// One half of an event's identity: 1 to 255 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPart(String);

impl EventPart {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventPart {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        if (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadId("1 to 255 printable ASCII characters without spaces"))
        }
    }
}

impl fmt::Display for EventPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(EventPart, Self::as_str);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dice::{Broken, Counting, Dice};
    use crate::domain::time::Timestamp;

    /// The value was worked out by another program from DESIGN, section 5.
    #[test]
    fn a_client_id_is_golden() {
        let prefix = "ex".parse().unwrap();
        let id = ClientId::generate(&prefix, Environment::Production, &Counting::default()).unwrap();
        assert_eq!(id.as_str(), "ex-prod-aaaqeayeaudaocajbifq");
        assert!(ClientId::generate(&prefix, Environment::Production, &Broken).is_err());
    }

    #[test]
    fn a_generated_client_id_reads_back_and_nothing_else_does() {
        let dice = Dice::new(1);
        let id = ClientId::generate(&"exempel1".parse().unwrap(), Environment::Test, &dice).unwrap();
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in [
            "",
            "ex",
            "ex-prod-",
            "ex-prod-aaaqeayeaudaocajbif",
            "ex-prod-aaaqeayeaudaocajbifqa",
            "ex-prod-aaaqeayeaudaocajbif1",
            "ex-prod-AAAQEAYEAUDAOCAJBIFQ",
            "ex-production-aaaqeayeaudaocajbifq",
            "e-prod-aaaqeayeaudaocajbifq",
            "e.-prod-aaaqeayeaudaocajbifq",
            "exempel12-prod-aaaqeayeaudaocajbifq",
            "ex-prod-aaaqeayeaudaocajbifq ",
        ] {
            assert!(bad.parse::<ClientId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn drawn_ids_are_in_order_of_time_and_have_one_spelling() {
        let dice = Dice::new(2);
        let at = |millis| IssuanceId::new(Timestamp::from_millis(millis).unwrap(), &dice).unwrap();
        let (first, second) = (at(1_795_419_000_000), at(1_795_419_000_001));
        assert!(first < second);
        let text = first.to_string();
        assert_eq!(text.parse(), Ok(first));
        for other in [text.to_uppercase(), format!("{{{text}}}"), text.replace('-', ""), format!("urn:uuid:{text}")] {
            assert!(other.parse::<IssuanceId>().is_err(), "{other}");
        }
    }

    #[test]
    fn names_of_things_keep_to_their_characters_and_lengths() {
        for good in ["A-1", "2026/117", "a", "urn:x:1_2.3"] {
            assert_eq!(good.parse::<ApplicationId>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", ".", "/a", "a b", "a\n", "å", "a%2e", "a?", &"a".repeat(65)] {
            assert!(bad.parse::<ApplicationId>().is_err(), "{bad:?}");
        }
        for bad in ["", "-a", "A", "a.b", "a_b", &"a".repeat(33)] {
            assert!(bad.parse::<Label>().is_err(), "{bad:?}");
        }
        for bad in ["a", "abcdefghi", "a_", "Ab", "a-b"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad:?}");
        }
        for bad in ["", "a b", "a\u{7f}", "ä", &"a".repeat(256)] {
            assert!(bad.parse::<EventPart>().is_err(), "{bad:?}");
        }
    }
}
