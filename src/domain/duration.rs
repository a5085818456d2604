//! Lengths of time as people write them: `14d`, `12h`, `30m`, `45s`, `250ms`. One number, one unit.

use std::time::Duration;

/// The text is not a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a whole number and a unit: ms, s, m, h or d, such as 7d")]
pub struct NotADuration;

/// Reads one.
pub fn parse_duration(text: &str) -> Result<Duration, NotADuration> {
    let split = text.find(|character: char| !character.is_ascii_digit()).ok_or(NotADuration)?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().map_err(|_| NotADuration)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(NotADuration),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or(NotADuration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_and_one_unit() {
        assert_eq!(parse_duration("14d"), Ok(Duration::from_secs(14 * 86_400)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for text in ["", "7", "d", "-1d", "1.5h", "1w", "1h30m", "99999999999999999999d", "18446744073709551615d", "7 d"] {
            assert_eq!(parse_duration(text), Err(NotADuration), "{text}");
        }
    }
}
