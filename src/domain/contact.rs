//! Contacts of an application: shared mailboxes, one of them technical. Personal data, so they live in an erasable
//! table and stand in the journal as an id and a keyed hash.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::digest::Pseudonym;
use super::ids::ContactId;
use super::openpgp::OpenPgpKey;
use super::text::serde_as_text;
use super::words::words_of;

/// An e-mail address: `dot-atom@domain` of RFC 5321 in ASCII, no quoted local part, no address literal.
///
/// The domain is held in lower case; the local part as it was given.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(String);

/// The address was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Not the strict form.
    #[error("an address such as api@exempel.se: no display name, quotes, comments or spaces, at most 254 characters")]
    Form,
    /// Not ASCII.
    #[error("an address in ASCII; write an international domain in its xn-- form (RFC 5891)")]
    NotAscii,
}

impl EmailAddress {
    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it looks like a person's own: two words of letters before the `@`, none of which is a function's.
    /// A guess, which is why it only ever leads to what the agency has chosen.
    pub fn looks_personal(&self) -> bool {
        let local = self.0.split_once('@').map_or("", |(local, _)| local).to_ascii_lowercase();
        let words: Vec<&str> = local.split(['.', '-', '_']).collect();
        let is_name = |word: &&str| {
            word.len() >= 2 && word.bytes().all(|byte| byte.is_ascii_lowercase()) && !FUNCTION_WORDS.contains(word)
        };
        words.len() == 2 && words.iter().all(is_name)
    }

    /// What stands after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }
}

/// Words in addresses that belong to a function rather than to a person, in Swedish and English, in their order.
const FUNCTION_WORDS: &[&str] = &[
    "abuse",
    "access",
    "admin",
    "administration",
    "adm",
    "alert",
    "alerts",
    "api",
    "apis",
    "app",
    "apps",
    "arende",
    "arkiv",
    "avtal",
    "bokning",
    "bookings",
    "box",
    "butik",
    "cert",
    "certifikat",
    "cloud",
    "contact",
    "customer",
    "data",
    "desk",
    "dev",
    "devops",
    "digital",
    "diarium",
    "drift",
    "e",
    "ekonomi",
    "epost",
    "external",
    "faktura",
    "finance",
    "forvaltning",
    "funktion",
    "gateway",
    "group",
    "grupp",
    "help",
    "helpdesk",
    "hello",
    "hr",
    "ict",
    "info",
    "infra",
    "integration",
    "integrationer",
    "it",
    "jour",
    "kansli",
    "keys",
    "kontakt",
    "kund",
    "kundtjanst",
    "leverans",
    "mail",
    "mejl",
    "mottagare",
    "myndighet",
    "nat",
    "noc",
    "no",
    "noreply",
    "nycklar",
    "office",
    "operations",
    "ops",
    "order",
    "partner",
    "partners",
    "platform",
    "plattform",
    "post",
    "postmaster",
    "prod",
    "production",
    "produktion",
    "projekt",
    "registrator",
    "registrering",
    "reply",
    "sales",
    "security",
    "server",
    "service",
    "servicedesk",
    "sakerhet",
    "soc",
    "software",
    "stab",
    "stod",
    "support",
    "system",
    "systems",
    "team",
    "tech",
    "teknik",
    "technical",
    "test",
    "tjanst",
    "user",
    "utv",
    "utveckling",
    "vakt",
    "web",
    "webb",
    "webmaster",
];

impl FromStr for EmailAddress {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if !text.is_ascii() {
            return Err(BadAddress::NotAscii);
        }
        let (local, domain) = text.split_once('@').ok_or(BadAddress::Form)?;
        if text.len() <= 254 && is_dot_atom(local) && is_domain(domain) {
            Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase())))
        } else {
            Err(BadAddress::Form)
        }
    }
}

/// RFC 5321, section 4.1.2: `Dot-string`, at most 64 octets.
fn is_dot_atom(local: &str) -> bool {
    let is_atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty() && atom.bytes().all(is_atext))
}

/// RFC 5321, section 4.1.2: at least two LDH labels of at most 63 octets, the last not a number.
fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last_is_name = domain.rsplit('.').next().is_some_and(|last| last.bytes().any(|b| b.is_ascii_alphabetic()));
    domain.contains('.') && domain.split('.').all(is_label) && last_is_name
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Addresses are personal data and never reach a log by way of `Debug`.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress")
    }
}

serde_as_text!(EmailAddress, Self::as_str);

/// The language of mails and pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    /// Swedish.
    Sv,
    /// English.
    En,
}

/// What a contact is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Gets the mail share. Exactly one contact is technical.
    Technical,
    /// Gets notices and receipts, never a part.
    Administrative,
}

/// A contact with its address, as it stands in the erasable table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// What the journal calls it.
    pub reference: ContactReference,
    /// Where its mail goes.
    pub email: EmailAddress,
    /// What its part is encrypted to.
    pub openpgp_key: Option<OpenPgpKey>,
}

/// A contact as the journal knows it: no address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContactReference {
    /// Its id.
    pub id: ContactId,
    /// Keyed hash of the address.
    pub address: Pseudonym,
    /// What it is told.
    pub role: Role,
    /// In which language.
    pub language: Language,
    /// Keyed hash of the OpenPGP key that its part is encrypted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openpgp_key: Option<Pseudonym>,
}

words_of!(Language { Sv => "sv", En => "en" });
words_of!(Role { Technical => "technical", Administrative => "administrative" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_mailboxes_in_their_usual_forms_pass() {
        for address in
            ["api@exempel.se", "team.api+prod@mail.exempel.se", "x@xn--exempel-9ta.se", "o'neill_1@a-b.example"]
        {
            assert_eq!(address.parse::<EmailAddress>().unwrap().as_str(), address);
        }
        assert_eq!("Api@EXEMPEL.se".parse::<EmailAddress>().unwrap().as_str(), "Api@exempel.se");
    }

    #[test]
    fn what_could_end_up_elsewhere_is_refused() {
        for address in [
            "",
            "a",
            "@exempel.se",
            "a@",
            "a@se",
            "a@b@exempel.se",
            "a b@exempel.se",
            "a@exempel.se\r\nBcc: b@exempel.se",
            "\"a\"@exempel.se",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            ".a@exempel.se",
            "a..b@exempel.se",
            "a.@exempel.se",
            "Exempel <a@exempel.se>",
            "a@-exempel.se",
            "a@exempel..se",
            "a@exempel.se,b@exempel.se",
            "a@exempel.se ",
        ] {
            assert_eq!(address.parse::<EmailAddress>(), Err(BadAddress::Form), "{address:?}");
        }
        assert_eq!("a@exämpel.se".parse::<EmailAddress>(), Err(BadAddress::NotAscii));
        assert_eq!(format!("{}@exempel.se", "a".repeat(65)).parse::<EmailAddress>(), Err(BadAddress::Form));
    }

    #[test]
    fn two_words_that_name_no_function_look_like_a_person() {
        let looks = |address: &str| address.parse::<EmailAddress>().unwrap().looks_personal();
        for address in ["anna.svensson@exempel.se", "Anna-Svensson@exempel.se", "bo_ek@exempel.se"] {
            assert!(looks(address), "{address}");
        }
        for address in [
            "api@exempel.se",
            "api-drift@exempel.se",
            "it.support@exempel.se",
            "team.anna@exempel.se",
            "anna@exempel.se",
            "a.svensson@exempel.se",
            "anna.b.svensson@exempel.se",
            "anna.svensson2@exempel.se",
            "anna.svensson+api@exempel.se",
        ] {
            assert!(!looks(address), "{address}");
        }
    }

    #[test]
    fn debug_shows_no_address() {
        let address: EmailAddress = "api@exempel.se".parse().unwrap();
        assert_eq!(format!("{address:?}"), "EmailAddress");
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            cases: 2000,
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn nothing_that_could_end_a_header_or_an_address_survives(
            text in "[a-zA-Z0-9.!#%+-]{1,8}[\\PC\\x00-\\x1f\\x7f]{0,2}@[a-z0-9-]{1,6}[\\PC\\x00-\\x1f]?\\.(se|com|1)[\\x00-\\x20]?"
        ) {
            if let Ok(address) = text.parse::<EmailAddress>() {
                let harmless = |byte: u8| byte.is_ascii_graphic() && !b"<>()[]\\,;:\"".contains(&byte);
                proptest::prop_assert!(address.as_str().bytes().all(harmless), "{:?}", text);
                proptest::prop_assert_eq!(address.as_str().matches('@').count(), 1);
                proptest::prop_assert_eq!(address.as_str().parse(), Ok(address));
            }
        }

        #[test]
        fn any_text_is_parsed_without_panic(text in "\\PC{0,300}") {
            drop(text.parse::<EmailAddress>());
        }
    }
}
