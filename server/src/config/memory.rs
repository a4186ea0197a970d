//! Amounts of memory and whole numbers as Redis reads and writes them.

use std::fmt;

/// The units, smallest first. As in Redis, the short names are decimal and the ones with a `b` binary.
const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("k", 1000),
    ("kb", 1 << 10),
    ("m", 1_000_000),
    ("mb", 1 << 20),
    ("g", 1_000_000_000),
    ("gb", 1 << 30),
];

/// An amount of memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&shortest(self.0))
    }
}

/// Reads `512`, `64kb`, `2gb` and the like; an empty word is 0, as in Redis. Nothing if it is not an amount, or more
/// than 64 bits hold.
pub fn parse(word: &str) -> Option<u64> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = word.split_at(digits);
    let factor = UNITS.iter().find(|(name, _)| unit.eq_ignore_ascii_case(name))?.1;
    let number: u64 = if number.is_empty() { 0 } else { number.parse().ok()? };
    number.checked_mul(factor)
}

/// Reads `75%`; nothing if it is not a percentage of at most three digits.
pub fn parse_percent(word: &str) -> Option<u16> {
    let digits = word.strip_suffix('%')?;
    let plain = !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// The amount in the largest binary unit that divides it, such as `2gb` or `1000`.
pub fn shortest(bytes: u64) -> String {
    for (unit, factor) in [("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10)] {
        if bytes >= factor && bytes.is_multiple_of(factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    bytes.to_string()
}

/// The amount for a reader's eye, such as `17.7 GiB`.
pub fn rounded(bytes: u64) -> String {
    for (unit, factor) in [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor {
            return format!("{:.1} {unit}", bytes as f64 / factor as f64);
        }
    }
    format!("{bytes} bytes")
}

/// Reads a whole number as strictly as Redis does: no sign but `-`, no leading zeros, no blanks.
pub fn parse_whole(word: &str) -> Option<i64> {
    let digits = word.strip_prefix('-').unwrap_or(word);
    let lean = digits == "0" && word == "0" || !digits.starts_with('0');
    if lean && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        word.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_of_redis() {
        for (word, bytes) in [
            ("0", 0),
            ("1k", 1000),
            ("1kb", 1024),
            ("2M", 2_000_000),
            ("2MB", 2 << 20),
            ("3g", 3_000_000_000),
        ] {
            assert_eq!(parse(word), Some(bytes), "{word}");
        }
        assert_eq!(parse("7GB"), Some(7 << 30));
        assert_eq!(parse("12b"), Some(12));
        assert_eq!(parse(""), Some(0));
        assert_eq!(parse("18446744073709551615"), Some(u64::MAX));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for word in [
            "abc",
            "-1",
            "1.5gb",
            "1KiB",
            "1 kb",
            "10%",
            "18446744073709551616",
            "99999999999gb",
            "1tb",
        ] {
            assert_eq!(parse(word), None, "{word}");
        }
    }

    #[test]
    fn whole_numbers_are_strict() {
        assert_eq!(parse_whole("0"), Some(0));
        assert_eq!(parse_whole("-1"), Some(-1));
        assert_eq!(parse_whole("9223372036854775807"), Some(i64::MAX));
        for word in ["", "-", "+1", " 1", "01", "-0", "1.5", "0x10", "9223372036854775808"] {
            assert_eq!(parse_whole(word), None, "{word}");
        }
    }

    #[test]
    fn percentages_are_whole() {
        assert_eq!(parse_percent("75%"), Some(75));
        assert_eq!(parse_percent("101%"), Some(101));
        for word in ["75", "%", "7.5%", "-5%", "5%%", "1000%"] {
            assert_eq!(parse_percent(word), None, "{word}");
        }
    }

    #[test]
    fn the_shortest_text_is_exact() {
        for (bytes, text) in [
            (0, "0"),
            (1000, "1000"),
            (2048, "2kb"),
            (5 << 20, "5mb"),
            (3 << 30, "3gb"),
        ] {
            assert_eq!(shortest(bytes), text);
            assert_eq!(parse(text), Some(bytes));
        }
    }
}
