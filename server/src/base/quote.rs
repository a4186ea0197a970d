//! Quoting: the words of an inline command line or of a `redis.conf` line, and the quoted form in which Redis shows
//! bytes to people (MONITOR, SLOWLOG, DEBUG).

/// The quotes of a line are not closed, or a closing quote has something directly behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unbalanced;

impl std::fmt::Display for Unbalanced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("unbalanced quotes in request")
    }
}

impl std::error::Error for Unbalanced {}

/// The words of one line. Splitting another line reuses the memory.
///
/// All words lie in one buffer, since most lines have no escapes and the words are needed for one command only.
#[derive(Debug, Default)]
pub struct Words {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Words {
    pub fn new() -> Self {
        Self::default()
    }

    /// Splits `line` into words, in place of those held before.
    ///
    /// Words are separated by white space. In double quotes, `\n` `\r` `\t` `\b` `\a` and `\xHH` are what they are in
    /// C and `\` takes any other byte as it is; in single quotes only `\'` is an escape. A quote may begin within a
    /// word, but a word ends where its quote does. A NUL byte ends the line.
    ///
    /// # Errors
    ///
    /// [`Unbalanced`]; then no words are held.
    pub fn split(&mut self, line: &[u8]) -> Result<(), Unbalanced> {
        self.clear();
        let mut rest = line.split(|&byte| byte == 0).next().unwrap_or_default();
        loop {
            rest = skip_space(rest);
            if rest.is_empty() {
                return Ok(());
            }
            match push_word(&mut self.bytes, rest) {
                Some(behind) => rest = behind,
                None => {
                    self.clear();
                    return Err(Unbalanced);
                }
            }
            self.ends.push(self.bytes.len());
        }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        Some(&self.bytes[start..end])
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| self.get(index).unwrap_or_default())
    }

    /// Gives back the memory above `bytes_max` that a long line left behind.
    pub fn shrink_to(&mut self, bytes_max: usize) {
        self.clear();
        self.bytes.shrink_to(bytes_max);
        self.ends.shrink_to(bytes_max / size_of::<usize>());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Appends the word at the start of `line`, which is no space; gives what is behind it, or `None` if unbalanced.
fn push_word<'a>(out: &mut Vec<u8>, mut line: &'a [u8]) -> Option<&'a [u8]> {
    loop {
        match line {
            // A vertical tab and a form feed separate words but do not end one: so it is in Redis.
            [] | [b' ' | b'\n' | b'\r' | b'\t', ..] => return Some(line),
            [b'"', quoted @ ..] => return behind_quote(push_double_quoted(out, quoted)?),
            [b'\'', quoted @ ..] => return behind_quote(push_single_quoted(out, quoted)?),
            [byte, rest @ ..] => {
                out.push(*byte);
                line = rest;
            }
        }
    }
}

fn behind_quote(line: &[u8]) -> Option<&[u8]> {
    line.first().is_none_or(is_space).then_some(line)
}

fn push_double_quoted<'a>(out: &mut Vec<u8>, mut line: &'a [u8]) -> Option<&'a [u8]> {
    loop {
        line = match line {
            [] => return None,
            [b'"', behind @ ..] => return Some(behind),
            [b'\\', b'x', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                out.push(nibble(*high) << 4 | nibble(*low));
                rest
            }
            [b'\\', escaped, rest @ ..] => {
                out.push(unescape(*escaped));
                rest
            }
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        };
    }
}

fn push_single_quoted<'a>(out: &mut Vec<u8>, mut line: &'a [u8]) -> Option<&'a [u8]> {
    loop {
        line = match line {
            [] => return None,
            [b'\'', behind @ ..] => return Some(behind),
            [b'\\', b'\'', rest @ ..] => {
                out.push(b'\'');
                rest
            }
            [byte, rest @ ..] => {
                out.push(*byte);
                rest
            }
        };
    }
}

fn unescape(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 0x08,
        b'a' => 0x07,
        other => other,
    }
}

fn nibble(hex: u8) -> u8 {
    (hex as char).to_digit(16).unwrap_or(0) as u8
}

fn skip_space(line: &[u8]) -> &[u8] {
    &line[line.iter().take_while(|&byte| is_space(byte)).count()..]
}

/// C's `isspace`, which unlike `is_ascii_whitespace` counts the vertical tab.
fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Appends `text` in double quotes, with escapes for what is not printable ASCII; [`Words::split`] reads it back.
pub fn push_quoted(out: &mut Vec<u8>, text: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.reserve(text.len() + 2);
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(byte),
            _ => out.extend_from_slice(&[b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, Unbalanced> {
        let mut words = Words::new();
        words.split(line)?;
        Ok(words.iter().map(<[u8]>::to_vec).collect())
    }

    #[track_caller]
    fn check(line: &[u8], words: &[&[u8]]) {
        assert_eq!(split(line).unwrap(), words, "{}", line.escape_ascii());
    }

    #[test]
    fn words_are_separated_by_white_space() {
        check(b"", &[]);
        check(b" \t\r\n\x0b\x0c", &[]);
        check(b"set key  value ", &[b"set", b"key", b"value"]);
        check(b"\x0bping\x0b", &[b"ping\x0b"]);
        check(b"ping\0junk \"", &[b"ping"]);
        check(b"\xff\xfe", &[b"\xff\xfe"]);
    }

    #[test]
    fn double_quotes_know_escapes() {
        check(br#"set k "a b""#, &[b"set", b"k", b"a b"]);
        check(br#""\n\r\t\b\a\\\"\q""#, &[b"\n\r\t\x08\x07\\\"q"]);
        check(br#""\x41\xfF\x00\x4z""#, &[b"A\xff\0x4z"]);
        check(br#""" a"#, &[b"", b"a"]);
        check(br#"foo"bar" x"#, &[b"foobar", b"x"]);
        check(b"\"a\"\x0bb", &[b"a", b"b"]);
    }

    #[test]
    fn single_quotes_know_one_escape() {
        check(br"'a b' '\n' 'it\'s'", &[b"a b", br"\n", b"it's"]);
        check(br#"'"' "'""#, &[b"\"", b"'"]);
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in [
            &br#""a"#[..],
            br#""a"b"#,
            br"'a",
            br"'a'b",
            br#""a\"#,
            br#""a\""#,
            br#""\x4"#,
            br#"a"b"c"#,
            b"\"a\0\"",
            br#""a"'b'"#,
        ] {
            assert_eq!(split(line), Err(Unbalanced), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn the_buffers_hold_one_line_at_a_time() {
        let mut words = Words::new();
        words.split(b"set key value").unwrap();
        assert_eq!((words.len(), words.get(1), words.get(3)), (3, Some(&b"key"[..]), None));
        words.split(b"get 'key'").unwrap();
        assert_eq!((words.len(), words.get(1)), (2, Some(&b"key"[..])));
        words.split(b"get 'key").unwrap_err();
        assert!(words.is_empty());
    }

    #[test]
    fn bytes_are_shown_as_redis_shows_them() {
        let mut out = b"> ".to_vec();
        push_quoted(&mut out, b"a \"b\" \\ \n\r\t\x07\x08\0\x1f~\x7f\xff'");
        assert_eq!(out, br#"> "a \"b\" \\ \n\r\t\a\b\x00\x1f~\x7f\xff'""#);
    }

    proptest::proptest! {
        #[test]
        fn what_is_quoted_splits_back_into_itself(words: Vec<Vec<u8>>) {
            let mut line = Vec::new();
            for word in &words {
                push_quoted(&mut line, word);
                line.push(b' ');
            }
            proptest::prop_assert_eq!(split(&line), Ok(words));
        }

        #[test]
        fn no_line_makes_the_splitter_fail_otherwise(line: Vec<u8>) {
            let _ = split(&line);
        }
    }
}
