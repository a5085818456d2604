//! Instants as the journal and the tables keep them: milliseconds since 1970-01-01T00:00:00Z, no zone.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::text::{Ascii, serde_as_text};

/// An instant in UTC, to the millisecond.
///
/// Written in the journal and in answers as RFC 3339 with exactly three decimals and `Z`; in tables as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self(0);

    /// 9999-12-30T22:00:00.000Z, the last instant that has a local time in every zone, which is as far as RFC 3339
    /// and the calendar behind it can write.
    pub const LAST: Self = Self(253_402_207_200_000);

    /// From milliseconds since the epoch. `None` before 1970 and after [`Self::LAST`].
    pub fn from_millis(millis: i64) -> Option<Self> {
        (0..=Self::LAST.0).contains(&millis).then_some(Self(millis))
    }

    /// Milliseconds since the epoch.
    pub fn millis(self) -> i64 {
        self.0
    }

    /// This instant moved forward, stopping at [`Self::LAST`].
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        let moved = i64::try_from(by.as_millis()).ok().and_then(|ms| self.0.checked_add(ms));
        moved.and_then(Self::from_millis).unwrap_or(Self::LAST)
    }

    /// This instant moved back, stopping at the epoch.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        let moved = i64::try_from(by.as_millis()).ok().and_then(|ms| self.0.checked_sub(ms));
        moved.and_then(Self::from_millis).unwrap_or(Self::EPOCH)
    }

    /// How long from `earlier` to this instant; zero when it lies before.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }

    /// The beginning of a calendar date in UTC, `YYYY-MM-DD`. `None` for any other text, and before 1970.
    pub fn beginning_of_day(text: &str) -> Option<Self> {
        let date: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == 10)?;
        let since = date.duration_since(jiff::civil::date(1970, 1, 1));
        Duration::try_from(since).ok().map(|since| Self::EPOCH.after(since))
    }

    /// Any spelling of RFC 3339, with any offset, to the millisecond. `None` for any other text, and before 1970.
    pub fn of_rfc3339(text: &str) -> Option<Self> {
        // The calendar reads more than that: a day and a time with a space between them, a zone by its name.
        let is_of_it = |byte: &u8| byte.is_ascii_digit() || b"-:.+TZtz".contains(byte);
        let instant: jiff::Timestamp = text.parse().ok().filter(|_| text.as_bytes().iter().all(is_of_it))?;
        Self::from_millis(instant.as_millisecond())
    }

    /// As RFC 3339 has it.
    fn text(&self) -> Ascii<24> {
        // The constructor keeps the value inside jiff's range, so the fallback is never written.
        let instant = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let local = Offset::UTC.to_datetime(instant);
        let mut text = *TEXT;
        let mut put = |from: usize, digits: usize, number: i32| {
            let mut left = number.unsigned_abs();
            for place in text.iter_mut().skip(from).take(digits).rev() {
                *place = b"0123456789"[left as usize % 10];
                left /= 10;
            }
        };
        put(0, 4, local.year().into());
        put(5, 2, local.month().into());
        put(8, 2, local.day().into());
        put(11, 2, local.hour().into());
        put(14, 2, local.minute().into());
        put(17, 2, local.second().into());
        put(20, 3, local.subsec_nanosecond() / 1_000_000);
        Ascii(text)
    }

    /// `2026-12-07 08:00 UTC`, for people.
    pub fn to_the_minute(self) -> String {
        let text = self.to_string();
        let (date, time) = text.split_once('T').unwrap_or((&text, ""));
        format!("{date} {} UTC", time.get(..5).unwrap_or(time))
    }

    /// The calendar date in UTC, `YYYY-MM-DD`, for people.
    pub fn date(self) -> String {
        let mut text = self.to_string();
        text.truncate(10);
        text
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_ref())
    }
}

/// The text is not RFC 3339 in UTC with three decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an instant of the form 2026-11-23T07:30:00.000Z")]
pub struct NotATimestamp;

impl FromStr for Timestamp {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        let text: &[u8; TEXT.len()] = text.as_bytes().try_into().map_err(|_| NotATimestamp)?;
        let number = |from: usize, digits: usize| {
            let digits = text.get(from..from + digits).unwrap_or_default();
            digits.iter().fold(0_i16, |number, digit| number * 10 + i16::from(digit.wrapping_sub(b'0')))
        };
        // One instant has one spelling: each character is the digit or the sign that stands there.
        let fits = |(found, form): (&u8, &u8)| if *form == b'0' { found.is_ascii_digit() } else { found == form };
        if !text.iter().zip(TEXT).all(fits) {
            return Err(NotATimestamp);
        }
        let short = |from| i8::try_from(number(from, 2)).map_err(|_| NotATimestamp);
        let (year, nanoseconds) = (number(0, 4), i32::from(number(20, 3)) * 1_000_000);
        let (hour, minute, second) = (short(11)?, short(14)?, short(17)?);
        let local = DateTime::new(year, short(5)?, short(8)?, hour, minute, second, nanoseconds);
        let instant = local.and_then(|local| Offset::UTC.to_timestamp(local)).map_err(|_| NotATimestamp)?;
        Self::from_millis(instant.as_millisecond()).ok_or(NotATimestamp)
    }
}

serde_as_text!(Timestamp, Self::text);

/// The form: a digit stands for any digit.
const TEXT: &[u8; 24] = b"0000-00-00T00:00:00.000Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_has_one_spelling() {
        let instant = Timestamp::from_millis(1_795_419_000_120).unwrap();
        assert_eq!(instant.to_string().parse(), Ok(instant));
        assert!(instant.to_string().ends_with(".120Z"), "{instant}");
        for other in ["2026-11-23T07:30:00Z", "2026-11-23T08:30:00.000+01:00", "2026-11-23 07:30:00.000Z", ""] {
            assert_eq!(other.parse::<Timestamp>(), Err(NotATimestamp), "{other}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_and_only_dates_have_one() {
        assert_eq!(Timestamp::beginning_of_day("2027-12-31").unwrap().to_string(), "2027-12-31T00:00:00.000Z");
        assert_eq!(Timestamp::beginning_of_day("9999-12-31"), Some(Timestamp::LAST));
        for text in ["2027-02-30", "2027-1-1", "2027", "", "1969-12-31", "2027-12-31T00:00:00Z", "20271231"] {
            assert_eq!(Timestamp::beginning_of_day(text), None, "{text}");
        }
    }

    #[test]
    fn rfc_3339_is_read_with_any_offset_and_nothing_else_is() {
        let instant: Timestamp = "2026-11-23T07:30:00.120Z".parse().unwrap();
        for text in ["2026-11-23T07:30:00.12Z", "2026-11-23T08:30:00.120+01:00", "2026-11-23t07:30:00.1209z"] {
            assert_eq!(Timestamp::of_rfc3339(text), Some(instant), "{text}");
        }
        for text in ["", "2026-11-23", "2026-11-23T07:30:00", "2026-11-23 07:30:00Z", "1969-12-31T00:00:00Z"] {
            assert_eq!(Timestamp::of_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let last = Timestamp::LAST;
        assert_eq!(last.to_string(), "9999-12-30T22:00:00.000Z");
        assert_eq!(last.to_string().parse(), Ok(last));
        assert_eq!(Timestamp::from_millis(last.millis() + 1), None);
        assert_eq!(last.after(Duration::from_secs(1)), last);
        assert_eq!(Timestamp::EPOCH.before(Duration::from_secs(1)), Timestamp::EPOCH);
        assert_eq!(last.before(Duration::from_millis(1)).after(Duration::from_millis(1)), last);
        assert_eq!(Timestamp::from_millis(0).unwrap().since(last), Duration::ZERO);
    }
}
