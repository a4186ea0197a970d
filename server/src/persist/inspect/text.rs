//! Numbers, sizes, times, keys and tables as people read them.

use crate::base::json::json_text;
use crate::base::quote::push_quoted;

/// A key is shown up to so many bytes.
const KEY_SHOWN: usize = 60;

/// A number with a comma before each three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the unit a person would choose.
pub(super) fn size(bytes: u64) -> String {
    for (unit, factor) in [("GiB", 1u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= factor {
            return format!("{:.1} {unit}", bytes as f64 / factor as f64);
        }
    }
    format!("{bytes} bytes")
}

/// A part of a whole, in percent.
pub(super) fn share(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

/// Seconds since 1970 as a date and a time of day in UTC.
pub(super) fn date(seconds: u64) -> String {
    const DAY: u64 = 86_400;
    let (day, rest) = (seconds / DAY, seconds % DAY);
    // Counted from the 1st of March of the year 0, so that a leap day ends a year; 400 years repeat.
    let days = day + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (date, month) = (of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{date:02} {:02}:{:02}:{:02} UTC", rest / 3600, rest / 60 % 60, rest % 60)
}

/// A key in quotes, cut off if it is long.
pub(super) fn key_shown(key: &[u8]) -> String {
    let mut text = Vec::new();
    push_quoted(&mut text, &key[..key.len().min(KEY_SHOWN)]);
    let mut text = String::from_utf8_lossy(&text).into_owned();
    if key.len() > KEY_SHOWN {
        text += &format!("... ({} bytes)", key.len());
    }
    text
}

/// A key as a field of a JSON object: `"key"` if it is UTF-8, else `"key_hex"`.
pub(super) fn key_json(key: &[u8]) -> String {
    match str::from_utf8(key) {
        Ok(text) => format!("\"key\":{}", json_text(text)),
        Err(_) => format!("\"key_hex\":\"{}\"", key.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
    }
}

/// Rows under a head: the first `names` columns to the left, numbers to the right.
pub(super) fn table(head: &[&str], names: usize, rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let mut line = String::from(" ");
        for (column, (cell, &width)) in cells.into_iter().zip(&widths).enumerate() {
            line += &if column < names { format!(" {cell:width$} ") } else { format!(" {cell:>width$} ") };
        }
        line.trim_end().to_owned() + "\n"
    };
    let mut out = line(head.to_vec());
    rows.iter().for_each(|row| out += &line(row.iter().map(String::as_str).collect()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_700_000_000, "2023-11-14 22:13:20 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(date(seconds), text);
        }
        // No number of seconds is too large.
        assert!(date(u64::MAX).ends_with(" UTC"));
    }

    #[test]
    fn keys_are_shown_safely() {
        assert_eq!(key_shown(b"a\x1b[2J"), r#""a\x1b[2J""#);
        assert!(key_shown(&[b'k'; 100]).ends_with("k\"... (100 bytes)"));
        assert_eq!(key_json(b"a\"b"), r#""key":"a\"b""#);
        assert_eq!(key_json(b"\xff\x00"), r#""key_hex":"ff00""#);
    }

    #[test]
    fn columns_line_up() {
        let rows = [vec!["hash".to_owned(), "1".to_owned()], vec!["x".to_owned(), "1,000".to_owned()]];
        assert_eq!(table(&["type", "keys"], 1, &rows), "  type   keys\n  hash      1\n  x     1,000\n");
    }
}
