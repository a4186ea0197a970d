//! Counting replies of memcached's text protocol (`protocol.txt` of its source: VALUE ... END, one-word lines, numbers).

use super::{Garbled, LENGTH_MAX, Tally};

/// Where the stream stands.
pub struct MemcacheScanner {
    keys_per_read: u64,
    /// Values seen of the read reply that is under way.
    values: u64,
    /// Bytes of a value and its line end yet to come.
    body: u64,
    /// The start of a line whose end has not come yet.
    partial: Vec<u8>,
}

/// The longest line: `VALUE`, a key of 250 bytes, three numbers; error texts are shorter.
const LINE_MAX: usize = 2048;

impl MemcacheScanner {
    /// A scanner at the start of a reply to commands that read `keys_per_read` keys.
    pub fn new(keys_per_read: u64) -> Self {
        Self { keys_per_read, values: 0, body: 0, partial: Vec::new() }
    }

    /// See [`super::Scanner::feed`].
    pub fn feed(&mut self, mut bytes: &[u8], tally: &mut Tally) -> Result<(), Garbled> {
        while !bytes.is_empty() {
            let used = if self.body > 0 { self.skip(bytes) } else { self.line(bytes, tally)? };
            bytes = &bytes[used..];
        }
        Ok(())
    }

    fn skip(&mut self, bytes: &[u8]) -> usize {
        let used = self.body.min(bytes.len() as u64);
        self.body -= used;
        used as usize
    }

    fn line(&mut self, bytes: &[u8], tally: &mut Tally) -> Result<usize, Garbled> {
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
            self.keep(bytes)?;
            return Ok(bytes.len());
        };
        if self.partial.is_empty() {
            self.whole_line(&bytes[..end], tally)?;
        } else {
            self.keep(&bytes[..end])?;
            let line = std::mem::take(&mut self.partial);
            self.whole_line(&line, tally)?;
        }
        Ok(end + 1)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Garbled> {
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LINE_MAX { Err(unknown(&self.partial)) } else { Ok(()) }
    }

    fn whole_line(&mut self, line: &[u8], tally: &mut Tally) -> Result<(), Garbled> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.starts_with(b"VALUE ") {
            self.body = value_length(line)? + 2;
            self.values += 1;
            tally.hits += 1;
            return Ok(());
        }
        match line {
            b"END" => {
                tally.misses += self.keys_per_read.saturating_sub(self.values);
                self.values = 0;
            }
            b"STORED" | b"NOT_STORED" | b"EXISTS" | b"DELETED" | b"TOUCHED" => {}
            b"NOT_FOUND" => tally.misses += 1,
            _ if is_number(line) || line.starts_with(b"VERSION ") => {}
            _ if is_error(line) => tally.error(line),
            _ => return Err(unknown(line)),
        }
        tally.replies += 1;
        Ok(())
    }
}

/// The fourth word of `VALUE key flags bytes [cas]`.
fn value_length(line: &[u8]) -> Result<u64, Garbled> {
    let word = line.split(|&byte| byte == b' ').nth(3).ok_or(Garbled::Length)?;
    let digits = std::str::from_utf8(word).map_err(|_| Garbled::Length)?;
    digits.parse().ok().filter(|&length| length <= LENGTH_MAX).ok_or(Garbled::Length)
}

/// What `incr` answers; older servers pad the number with spaces.
fn is_number(line: &[u8]) -> bool {
    line.first().is_some_and(u8::is_ascii_digit) && line.iter().all(|byte| byte.is_ascii_digit() || *byte == b' ')
}

fn is_error(line: &[u8]) -> bool {
    line == b"ERROR" || line.starts_with(b"CLIENT_ERROR") || line.starts_with(b"SERVER_ERROR")
}

fn unknown(line: &[u8]) -> Garbled {
    Garbled::Line(String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::super::{Protocol, tests::check_every_split};
    use super::*;

    fn check(keys: u64, bytes: &[u8], replies: u64, hits: u64, misses: u64, errors: &[&str]) {
        let first_error = errors.first().map(|text| (*text).to_owned());
        let expected = Tally { replies, hits, misses, errors: errors.len() as u64, first_error };
        check_every_split(Protocol::Memcache, keys, bytes, &expected);
    }

    #[test]
    fn a_hit_and_a_miss_are_a_reply_each() {
        check(1, b"VALUE k1 0 5\r\nhello\r\nEND\r\nEND\r\n", 2, 1, 1, &[]);
    }

    #[test]
    fn values_may_hold_what_looks_like_an_end() {
        check(1, b"VALUE k1 0 8\r\na\r\nEND\r\n\r\nEND\r\nSTORED\r\n", 2, 1, 0, &[]);
    }

    #[test]
    fn missing_keys_of_a_multi_key_read_are_counted() {
        check(3, b"VALUE a 0 1\r\nx\r\nVALUE c 0 0\r\n\r\nEND\r\n", 1, 2, 1, &[]);
    }

    #[test]
    fn numbers_and_words_are_replies() {
        check(1, b"12\r\nNOT_FOUND\r\nSTORED\r\nDELETED\r\n", 4, 0, 1, &[]);
    }

    #[test]
    fn errors_are_counted() {
        check(1, b"ERROR\r\nSERVER_ERROR out of memory storing object\r\n", 2, 0, 0, &["ERROR", "x"]);
    }

    #[test]
    fn other_lines_are_refused() {
        let feed = |bytes: &[u8]| MemcacheScanner::new(1).feed(bytes, &mut Tally::default());
        assert_eq!(feed(b"+OK\r\n"), Err(Garbled::Line("+OK".to_owned())));
        assert_eq!(feed(b"VALUE k 0 x\r\n"), Err(Garbled::Length));
        assert!(matches!(feed(&[b'a'; LINE_MAX + 1]), Err(Garbled::Line(_))));
    }
}
