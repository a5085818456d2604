//! What a mail system says of a mail by number (RFC 3463): `5.1.1`.

use std::fmt;
use std::str::FromStr;

use super::ids::BadId;
use super::text::serde_as_text;

/// A class (2: done, 4: not now, 5: never), a subject and a detail, the last two of at most three digits. Nothing else of
/// what a mail system says is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailStatus {
    class: u8,
    subject: u16,
    detail: u16,
}

impl MailStatus {
    /// 2, 4 or 5.
    pub fn class(self) -> u8 {
        self.class
    }
}

impl FromStr for MailStatus {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        const RULE: BadId = BadId::new("a status of RFC 3463, such as 5.1.1");
        let number = |digits: &str| {
            let fits = (1..=3).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|_| fits).ok_or(RULE)
        };
        let mut parts = text.split('.');
        let (Some(class), Some(subject), Some(detail), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(RULE);
        };
        let class = match class {
            "2" => 2,
            "4" => 4,
            "5" => 5,
            _ => return Err(RULE),
        };
        Ok(Self { class, subject: number(subject)?, detail: number(detail)? })
    }
}

impl fmt::Display for MailStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

serde_as_text!(MailStatus);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_three_numbers_and_nothing_else() {
        for text in ["5.1.1", "4.4.1", "2.0.0", "5.7.509", "5.999.999"] {
            assert_eq!(text.parse::<MailStatus>().unwrap().to_string(), text);
        }
        for text in
            ["", "5", "5.1", "5.1.1.1", "3.1.1", "55.1.1", "5.1.1000", "5..1", "5.1.x", "5.+1.1", " 5.1.1", "5.1.1\n"]
        {
            assert!(text.parse::<MailStatus>().is_err(), "{text:?}");
        }
    }
}
