//! Lengths of time as people write them: `14d`, `12h`, `30m`, `45s`, `250ms`. One number, one unit.

use std::time::Duration;

/// The units, the largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The text is not a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a whole number and a unit: ms, s, m, h or d, such as 7d")]
pub struct NotADuration;

/// Reads one.
pub fn parse_duration(text: &str) -> Result<Duration, NotADuration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(NotADuration)?;
    let number: u64 = number.parse().map_err(|_| NotADuration)?;
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(NotADuration)?;
    number.checked_mul(*millis).map(Duration::from_millis).ok_or(NotADuration)
}

/// Writes one, in the largest unit that gives a whole number.
pub fn spelled(time: Duration) -> String {
    let millis = time.as_millis();
    let unit = UNITS.iter().find(|(_, unit)| millis > 0 && millis.is_multiple_of(u128::from(*unit)));
    let (name, unit) = unit.unwrap_or(&("s", 1_000));
    format!("{}{name}", millis / u128::from(*unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_and_one_unit() {
        assert_eq!(parse_duration("14d"), Ok(Duration::from_secs(14 * 86_400)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for text in [
            "",
            "7",
            "d",
            "-1d",
            "1.5h",
            "1w",
            "1S",
            "1h30m",
            "99999999999999999999d",
            "18446744073709551615d",
            "7 d",
            "１s",
        ] {
            assert_eq!(parse_duration(text), Err(NotADuration), "{text}");
        }
    }

    #[test]
    fn the_largest_unit_that_fits() {
        for text in ["90s", "1d", "36h", "250ms", "0s"] {
            assert_eq!(spelled(parse_duration(text).unwrap()), text);
        }
    }
}
