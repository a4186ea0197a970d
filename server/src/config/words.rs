//! Splitting a line into words, and quoting words, by the rules of `redis.conf` and of `redis-cli`.

/// Splits a line at blanks. `"..."` understands `\n \r \t \b \a \xHH` and a backslash before any other byte; `'...'`
/// understands `\'` alone. A closing quote must be followed by a blank or the end.
///
/// Returns nothing if quotes are unbalanced, or if escapes make a word that is not UTF-8.
pub fn split(line: &str) -> Option<Vec<String>> {
    let mut rest = line.as_bytes();
    let mut words = Vec::new();
    loop {
        rest = rest.trim_ascii_start();
        let Some(first) = rest.first() else { return Some(words) };
        let (word, after) = match first {
            b'"' => double_quoted(&rest[1..])?,
            b'\'' => single_quoted(&rest[1..])?,
            _ => bare(rest)?,
        };
        words.push(String::from_utf8(word).ok()?);
        rest = after;
    }
}

/// Takes a word up to the next blank. As in Redis, a quote in its middle opens a quoted part that ends the word.
fn bare(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let end = text
        .iter()
        .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\''));
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    let (tail, rest) = match rest.first() {
        Some(b'"') => double_quoted(&rest[1..])?,
        Some(b'\'') => single_quoted(&rest[1..])?,
        _ => (Vec::new(), rest),
    };
    Some(([word, &tail].concat(), rest))
}

fn double_quoted(mut text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        match *text {
            [b'"', ref rest @ ..] => return closed(word, rest),
            [b'\\', b'x', high, low, ref rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(hex(high) << 4 | hex(low));
                text = rest;
            }
            [b'\\', letter, ref rest @ ..] => {
                word.push(escaped(letter));
                text = rest;
            }
            [byte, ref rest @ ..] => {
                word.push(byte);
                text = rest;
            }
            [] => return None,
        }
    }
}

fn single_quoted(mut text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    loop {
        match *text {
            [b'\\', b'\'', ref rest @ ..] => {
                word.push(b'\'');
                text = rest;
            }
            [b'\'', ref rest @ ..] => return closed(word, rest),
            [byte, ref rest @ ..] => {
                word.push(byte);
                text = rest;
            }
            [] => return None,
        }
    }
}

/// The word, if what follows its closing quote is a blank or nothing.
fn closed(word: Vec<u8>, rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    rest.first().is_none_or(u8::is_ascii_whitespace).then_some((word, rest))
}

fn escaped(letter: u8) -> u8 {
    match letter {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

/// The word as it must be written so that [`split`] gives it back: bare where that is enough.
pub fn quote(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\' | b'#') || byte >= 0x80;
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    let mut quoted = String::from("\"");
    for letter in word.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            control if control.is_ascii_control() => quoted.push_str(&format!("\\x{:02x}", control as u32)),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        split(line).unwrap_or_else(|| panic!("{line} is balanced"))
    }

    #[test]
    fn blanks_part_words() {
        assert_eq!(words("  save 900\t1 "), ["save", "900", "1"]);
        assert!(words("   ").is_empty());
    }

    #[test]
    fn quotes_hold_a_word_together() {
        assert_eq!(
            words(r#"dir "/var/my data" '' "" 'it\'s'"#),
            ["dir", "/var/my data", "", "", "it's"]
        );
        assert_eq!(words(r#""a\x41\n\t\"\\""#), ["aA\n\t\"\\"]);
        assert_eq!(words(r#"abc"d e""#), ["abcd e"]);
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in [r#"port "12"#, r#"port "1"2"#, "dir 'a", r#"a "\xff""#, r#"a "b\"#] {
            assert_eq!(split(line), None, "{line}");
        }
    }

    #[test]
    fn a_quoted_word_reads_back() {
        for word in [
            "",
            "plain",
            "two words",
            "quo\"te",
            "back\\slash",
            "tab\tnew\nline",
            "#sharp",
            "é",
            "\u{1}",
        ] {
            assert_eq!(words(&quote(word)), [word], "{word:?} was written as {}", quote(word));
        }
    }
}
