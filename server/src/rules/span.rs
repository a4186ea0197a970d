//! Spans of time as people write them in rules: `500ms`, `10s`, `5m`, `2h`, `30d`.

use std::time::Duration;

/// Units from the largest to the smallest, with their milliseconds.
const UNITS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest span: a year.
const MAX: Duration = Duration::from_secs(366 * 86_400);

/// Reads a span.
///
/// # Errors
///
/// What is wrong with it, and what would be right.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.len() - text.trim_start_matches(|byte: char| byte.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 =
        number.parse().map_err(|_| format!("'{text}' is no span of time: write 500ms, 10s, 5m, 2h or 30d"))?;
    let unit = UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name)).map(|(_, millis)| *millis);
    let unit = unit.ok_or(format!(
        "'{text}' has no unit that is known: write {number}ms, {number}s, {number}m, {number}h or {number}d"
    ))?;
    let span = Duration::from_millis(number.saturating_mul(unit));
    if span > MAX { Err(format!("'{text}' is more than a year")) } else { Ok(span) }
}

/// Writes a span in the largest unit of which it is a whole number.
pub fn show(span: Duration) -> String {
    let millis = span.as_millis() as u64;
    let fits = UNITS.iter().find(|(_, unit)| millis > 0 && millis.is_multiple_of(*unit));
    fits.map_or("0s".to_owned(), |(name, unit)| format!("{}{name}", millis / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_they_are_shown() {
        for text in ["500ms", "1s", "90s", "5m", "2h", "30d", "1500ms"] {
            assert_eq!(show(parse(text).unwrap()), text);
        }
        assert_eq!(show(parse("120S").unwrap()), "2m");
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        assert_eq!(show(Duration::ZERO), "0s");
    }

    #[test]
    fn what_is_no_span_is_refused_with_what_would_be() {
        for (text, expected) in [
            ("soon", "'soon' is no span of time: write 500ms, 10s, 5m, 2h or 30d"),
            ("", "'' is no span of time: write 500ms, 10s, 5m, 2h or 30d"),
            ("500", "'500' has no unit that is known: write 500ms, 500s, 500m, 500h or 500d"),
            ("5y", "'5y' has no unit that is known: write 5ms, 5s, 5m, 5h or 5d"),
            ("400d", "'400d' is more than a year"),
            ("99999999999999999999s", "'99999999999999999999s' is no span of time: write 500ms, 10s, 5m, 2h or 30d"),
        ] {
            assert_eq!(parse(text), Err(expected.to_owned()));
        }
    }
}
