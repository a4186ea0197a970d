//! A command line becomes words by the rules of `redis-cli`.

/// Splits `line` at blanks.
///
/// Within double quotes `\n`, `\r`, `\t`, `\a`, `\b` and `\xHH` stand for one byte each, and a backslash takes any other byte as it
/// is; within single quotes only `\'` is special. Quoted words may hold blanks and may be empty.
///
/// # Panics
///
/// If a quote is not closed, or something follows it without a blank: the test is written wrongly.
pub fn split(line: &str) -> Vec<Vec<u8>> {
    let mut rest = line.as_bytes().trim_ascii_start();
    let mut words = Vec::new();
    while !rest.is_empty() {
        let word;
        (word, rest) = take_word(rest).unwrap_or_else(|| panic!("unbalanced quotes in: {line}"));
        words.push(word);
        rest = rest.trim_ascii_start();
    }
    words
}

/// The first word and what follows it.
fn take_word(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    let mut rest = line;
    loop {
        match rest {
            [] => return Some((word, rest)),
            [byte, ..] if byte.is_ascii_whitespace() => return Some((word, rest)),
            [quote @ (b'"' | b'\''), after @ ..] => {
                rest = take_quoted(*quote, after, &mut word)?;
                let ended = rest.first().is_none_or(u8::is_ascii_whitespace);
                return ended.then_some((word, rest));
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

/// Appends what stands before the closing quote to `word`, and returns what stands behind it.
fn take_quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        let byte;
        (byte, rest) = match rest {
            [] => return None,
            [first, after @ ..] if *first == quote => return Some(after),
            [b'\\', b'\'', after @ ..] if quote == b'\'' => (b'\'', after),
            [b'\\', b'x', high, low, after @ ..] if quote == b'"' && is_hex(*high) && is_hex(*low) => {
                (hex(*high) << 4 | hex(*low), after)
            }
            [b'\\', escaped, after @ ..] if quote == b'"' => (unescape(*escaped), after),
            [byte, after @ ..] => (*byte, after),
        };
        word.push(byte);
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'a' => 7,
        b'b' => 8,
        other => other,
    }
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

fn hex(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => byte.to_ascii_lowercase() - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_blanks_outside_quotes() {
        assert_eq!(split("  SET  key\tvalue "), [&b"SET"[..], b"key", b"value"]);
        assert_eq!(split(r#"SET "a b" '' """#), [&b"SET"[..], b"a b", b"", b""]);
        assert!(split("   ").is_empty());
    }

    #[test]
    fn escapes_stand_for_bytes() {
        assert_eq!(split(r#""\x00\xFf\n\"\\\q""#), [b"\x00\xff\n\"\\q"]);
        assert_eq!(split(r"'it\'s \x41'"), [br"it's \x41"]);
        assert_eq!(split(r#"a"b c""#), [b"ab c"]);
    }

    #[test]
    #[should_panic = "unbalanced quotes"]
    fn a_quote_must_be_closed() {
        split(r#"SET "key"#);
    }

    #[test]
    #[should_panic = "unbalanced quotes"]
    fn a_blank_must_follow_a_quote() {
        split(r#"SET "key"value"#);
    }
}
