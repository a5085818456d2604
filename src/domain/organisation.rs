//! Who a client belongs to: an organisation's number in one normal form, whatever spelling it came in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::digest::Pseudonym;
use super::text::serde_as_text;

/// A Swedish number or an identifier by ETSI EN 319 412-1, in normal form.
///
/// Ten digits for a Swedish legal person, so that `5590000005`, `559000-0005`, `165590000005` and `NTRSE-5590000005`
/// are one; twelve digits beginning with 19 or 20 for a sole trader, whose number is a person's; otherwise
/// the identifier itself (`VATDE-123456789`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrganisationNumber(String);

/// Why a number was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadNumber {
    /// No known scheme.
    #[error(
        "ten digits, with or without a dash, twelve digits beginning with 16, 19 or 20, or an identifier such as NTRSE-5590000005"
    )]
    Form,
    /// The Luhn check digit is wrong.
    #[error("the check digit is wrong")]
    CheckDigit,
    /// Ten digits that could be a person's identity number of either century.
    #[error("a sole trader's number needs twelve digits, beginning with 19 or 20")]
    Century,
}

impl OrganisationNumber {
    /// The normal form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the number is a person's identity number, which is never written in clear to the journal.
    pub fn is_person(&self) -> bool {
        self.0.len() == 12 && self.0.bytes().all(|b| b.is_ascii_digit())
    }
}

impl FromStr for OrganisationNumber {
    type Err = BadNumber;

    fn from_str(text: &str) -> Result<Self, BadNumber> {
        if !text.is_ascii() || text.len() > 64 {
            return Err(BadNumber::Form);
        }
        // A Swedish VAT number is the number and 01; a sole trader's is a person's number as well, and refused below.
        if let Some(vat) = text.strip_prefix("VATSE-") {
            return vat.strip_suffix("01").ok_or(BadNumber::Form).and_then(ten_digits).map(Self);
        }
        let swedish = text.strip_prefix("NTRSE-").unwrap_or(text);
        if swedish.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
            return swedish_number(swedish).map(Self);
        }
        etsi_identifier(text).map(Self)
    }
}

impl fmt::Display for OrganisationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sole trader's number is a person's: it is not shown by `Debug`, which ends up in logs.
impl fmt::Debug for OrganisationNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_person() {
            f.write_str("OrganisationNumber(person)")
        } else {
            write!(f, "OrganisationNumber({})", self.0)
        }
    }
}

serde_as_text!(OrganisationNumber, Self::as_str);

/// An organisation as the journal may name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Party {
    /// A legal person, by its number.
    Organisation(OrganisationNumber),
    /// A sole trader, by the keyed hash of the number.
    Person(Pseudonym),
}

fn ten_digits(text: &str) -> Result<String, BadNumber> {
    let fits = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit());
    if fits { swedish_number(text) } else { Err(BadNumber::Form) }
}

fn swedish_number(text: &str) -> Result<String, BadNumber> {
    let digits = match text.split_once('-') {
        None => text.to_owned(),
        // The dash stands before the last four digits.
        Some((head, tail)) if tail.len() == 4 && !tail.contains('-') => format!("{head}{tail}"),
        Some(_) => return Err(BadNumber::Form),
    };
    let (century, ten) = match digits.len() {
        10 => ("", digits.as_str()),
        12 => digits.split_at(2),
        _ => return Err(BadNumber::Form),
    };
    if !["", "16", "19", "20"].contains(&century) {
        return Err(BadNumber::Form);
    }
    if !luhn(ten) {
        return Err(BadNumber::CheckDigit);
    }
    // The third digit of a legal person's number is at least 2; of a person's it is the first digit of a month.
    let legal_person = ten.as_bytes()[2] >= b'2';
    match (century, legal_person) {
        ("16" | "", true) => Ok(ten.to_owned()),
        ("19" | "20", false) => Ok(digits),
        ("", false) => Err(BadNumber::Century),
        _ => Err(BadNumber::Form),
    }
}

/// ISO/IEC 7812-1, annex B: every second digit from the right is doubled.
fn luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0') << (place % 2);
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// ETSI EN 319 412-1, section 5.1.4: three letters of scheme, two of country, a dash, the reference.
fn etsi_identifier(text: &str) -> Result<String, BadNumber> {
    let (scheme, reference) = text.split_once('-').ok_or(BadNumber::Form)?;
    let scheme_fits = scheme.len() == 5 && scheme.bytes().all(|b| b.is_ascii_uppercase());
    let reference_fits =
        !reference.is_empty() && reference.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:+".contains(&b));
    // Section 5.1.3: these schemes number people, whose numbers never stand in clear in the journal.
    let of_person = ["PAS", "IDC", "PNO", "TAX", "TIN"].iter().any(|kind| scheme.starts_with(kind));
    // A Swedish identifier has digits and was read above: letters in one are a mistake, not another scheme.
    if scheme_fits && reference_fits && !of_person && scheme != "NTRSE" {
        Ok(text.to_owned())
    } else {
        Err(BadNumber::Form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<OrganisationNumber, BadNumber> {
        text.parse()
    }

    #[test]
    fn every_spelling_of_one_organisation_is_the_same_number() {
        let number = parse("5590000005").unwrap();
        for spelling in ["559000-0005", "165590000005", "16559000-0005", "NTRSE-5590000005", "NTRSE-559000-0005"] {
            assert_eq!(parse(spelling).unwrap(), number, "{spelling}");
        }
        assert!(!number.is_person());
    }

    #[test]
    fn a_sole_trader_is_a_person_and_is_not_shown_by_debug() {
        let number = parse("191212121212").unwrap();
        assert!(number.is_person());
        assert!(!format!("{number:?}").contains("1212"));
        assert_eq!(parse("1212121212"), Err(BadNumber::Century));
    }

    #[test]
    fn no_spelling_takes_a_persons_number_for_an_organisations() {
        assert_eq!(parse("VATSE-121212121201"), Err(BadNumber::Century));
        for text in ["PNOSE-191212121212", "TINSE-191212121212", "PASSE-AA1234567", "IDCSE-1", "TAXDE-1"] {
            assert_eq!(parse(text), Err(BadNumber::Form), "{text}");
        }
        for text in ["NTRSE-191212121212", "19121212-1212", "NTRSE-19121212-1212"] {
            assert!(parse(text).unwrap().is_person(), "{text}");
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig {
            failure_persistence: None,
            ..proptest::prelude::ProptestConfig::default()
        })]

        #[test]
        fn the_normal_form_of_what_is_read_reads_as_itself(text in "([A-Z]{5}-)?[0-9]{0,6}-?[0-9]{0,6}|\\PC{0,70}") {
            if let Ok(number) = parse(&text) {
                proptest::prop_assert_eq!(parse(number.as_str()), Ok(number));
            }
        }

        #[test]
        fn one_wrong_digit_is_always_found(head in 200_000_000..1_000_000_000_u32, place in 0..10_usize, by in 1..10_u8) {
            // The third digit tells a legal person; then the one check digit that fits.
            let head = format!("55{:07}", head % 8_000_000 + 2_000_000);
            let fitting = (0..10).map(|digit| format!("{head}{digit}")).find(|number| luhn(number));
            let Some(number) = fitting else { panic!("a check digit exists for {head}") };
            proptest::prop_assert!(parse(&number).is_ok());
            let mut digits = number.into_bytes();
            digits[place] = b'0' + (digits[place] - b'0' + by) % 10;
            let changed = String::from_utf8(digits).unwrap();
            proptest::prop_assert_eq!(parse(&changed), Err(BadNumber::CheckDigit));
        }
    }

    #[test]
    fn other_countries_come_as_etsi_identifiers() {
        assert_eq!(parse("VATDE-123456789").unwrap().as_str(), "VATDE-123456789");
    }

    #[test]
    fn wrong_numbers_are_refused_with_the_reason() {
        assert_eq!(parse("5590000006"), Err(BadNumber::CheckDigit));
        for text in [
            "",
            "559000",
            "55-90000005",
            "155590000005",
            "SE559000000501",
            "VATDE-",
            "VATDE-1 2",
            "VATSE-5590000005",
            "VATSE-559000000502",
            "VATSE-559000-000501",
            "vatde-1",
            "NTRSE-x",
            "５５９００００００５",
            "16121212-1212",
        ] {
            assert_eq!(parse(text), Err(BadNumber::Form), "{text}");
        }
    }
}
