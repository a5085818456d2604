//! Names that people gave: of organisations and of software. Shown in mails and tables, so nothing in them may
//! control a terminal, a header or the direction of text.

use std::fmt;
use std::str::FromStr;

use unicode_normalization::is_nfc;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

use super::text::serde_as_text;

/// 1 to 200 characters in NFC: letters, marks, numbers, punctuation, symbols and plain spaces between them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a name was refused. It is refused rather than rewritten: what is shown is what was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Empty, blank at an end, or too long.
    #[error("1 to 200 characters, not beginning or ending with a space")]
    Length,
    /// A character that could control something.
    #[error("no control, formatting, bidirectional, line-breaking, private or unassigned characters")]
    Character,
    /// Not in Normalization Form C (Unicode Standard Annex 15).
    #[error("text in Unicode Normalization Form C")]
    Form,
}

impl Name {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        let blank_end = text.starts_with(' ') || text.ends_with(' ');
        if text.is_empty() || blank_end || text.chars().count() > 200 {
            return Err(BadName::Length);
        }
        if !text.chars().all(may_be_shown) {
            return Err(BadName::Character);
        }
        if !is_nfc(text) {
            return Err(BadName::Form);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(Name, Self::as_str);

/// Whether a character controls nothing: an allow-list by general category. Cf (format) holds the bidirectional controls and the zero-width characters.
pub fn may_be_shown(character: char) -> bool {
    use GeneralCategory as G;
    match character.general_category() {
        G::UppercaseLetter | G::LowercaseLetter | G::TitlecaseLetter | G::ModifierLetter | G::OtherLetter => true,
        G::NonspacingMark | G::SpacingMark => true,
        G::DecimalNumber | G::LetterNumber | G::OtherNumber => true,
        G::ConnectorPunctuation | G::DashPunctuation | G::OpenPunctuation | G::ClosePunctuation => true,
        G::InitialPunctuation | G::FinalPunctuation | G::OtherPunctuation => true,
        G::MathSymbol | G::CurrencySymbol | G::ModifierSymbol | G::OtherSymbol => true,
        G::SpaceSeparator => character == ' ',
        G::EnclosingMark | G::LineSeparator | G::ParagraphSeparator => false,
        G::Control | G::Format | G::Surrogate | G::PrivateUse | G::Unassigned => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_and_firms_pass_unchanged() {
        for name in ["Exempel AB", "Åkeri & Söner (i likvidation)", "Müller GmbH", "株式会社例", "Ex-empel 24/7 ☂"]
        {
            assert_eq!(name.parse::<Name>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_could_control_a_header_a_terminal_or_the_direction_of_text_is_refused() {
        for name in [
            "a\r\nBcc: x",
            "a\u{0}",
            "a\u{1b}[2J",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{200b}b",
            "a\u{2028}b",
            "a\tb",
            "a\u{e000}",
            "a\u{a0}b",
        ] {
            assert_eq!(name.parse::<Name>(), Err(BadName::Character), "{name:?}");
        }
        assert_eq!("A\u{30a}kesson".parse::<Name>(), Err(BadName::Form));
        assert_eq!("".parse::<Name>(), Err(BadName::Length));
        assert_eq!(" a".parse::<Name>(), Err(BadName::Length));
        assert_eq!("a".repeat(201).parse::<Name>(), Err(BadName::Length));
    }
}
