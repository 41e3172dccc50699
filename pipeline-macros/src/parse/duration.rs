//! Durations as people write them: `"250ms"`, `"2s"`, `"1h 30m"`.

use std::time::Duration;

/// Longest first, so that `ms` is not read as `m`.
const UNITS: [(&str, u128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// The sum of one or more whole numbers, each with its unit.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    let mut sum = 0u128;
    if rest.is_empty() {
        return Err("it is empty".to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            return Err(format!("there is no whole number before `{rest}`"));
        }
        let after = after.trim_start();
        let letters = after.len() - after.trim_start_matches(char::is_alphabetic).len();
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            return Err(format!("`{number}` has no unit"));
        }
        let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("`{unit}` is not a unit"));
        };
        let part = number
            .parse::<u128>()
            .ok()
            .and_then(|n| n.checked_mul(*nanos));
        sum = part
            .and_then(|part| sum.checked_add(part))
            .ok_or("it is too long")?;
        rest = after.trim_start();
    }
    let seconds = u64::try_from(sum / 1_000_000_000).map_err(|_| "it is too long")?;
    let nanos = u32::try_from(sum % 1_000_000_000).unwrap_or_default();
    Ok(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_sums_of_numbers_with_units() {
        let good = [
            ("7ns", Duration::from_nanos(7)),
            ("250us", Duration::from_micros(250)),
            ("250µs", Duration::from_micros(250)),
            ("50ms", Duration::from_millis(50)),
            ("2s", Duration::from_secs(2)),
            (" 2 s ", Duration::from_secs(2)),
            ("5m", Duration::from_secs(300)),
            ("1h 30m", Duration::from_secs(5_400)),
            ("1m30s", Duration::from_secs(90)),
            ("0s", Duration::ZERO),
        ];
        for (text, duration) in good {
            assert_eq!(parse(text), Ok(duration), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused_with_the_reason() {
        let bad = [
            ("", "it is empty"),
            ("2", "`2` has no unit"),
            ("2 parsecs", "`parsecs` is not a unit"),
            ("1.5s", "`1` has no unit"),
            ("-1s", "there is no whole number before `-1s`"),
            ("s", "there is no whole number before `s`"),
            ("99999999999999999999h", "it is too long"),
        ];
        for (text, reason) in bad {
            assert_eq!(parse(text), Err(reason.to_owned()), "{text}");
        }
    }
}
