//! Counting RESP2 replies: headers are read, bodies are skipped, nesting is a single number.

use super::{ERROR_TEXT_MAX, Garbled, LENGTH_MAX, Tally};

/// Where the stream stands.
pub struct RespScanner {
    /// They count as one: a transaction is answered once for each of its commands.
    replies_per_request: u64,
    state: State,
    /// Elements yet to come of the reply that is under way; an array adds its elements, so no stack is needed.
    owed: u64,
    error: Vec<u8>,
}

#[derive(Clone, Copy)]
enum State {
    /// Before the first byte of an element.
    Kind,
    /// Inside the number of `$` or `*`.
    Length { array: bool, negative: bool, value: u64 },
    /// Inside a line whose content does not matter.
    Line,
    /// Inside the text of an error.
    Error,
    /// Inside a bulk's body and its line end, with this many bytes to come.
    Body(u64),
}

impl RespScanner {
    /// A scanner at the start of a reply. This many replies to one request are counted as one.
    pub fn new(replies_per_request: u64) -> Self {
        Self { replies_per_request, state: State::Kind, owed: 0, error: Vec::new() }
    }

    /// See [`super::Scanner::feed`].
    pub fn feed(&mut self, mut bytes: &[u8], tally: &mut Tally) -> Result<(), Garbled> {
        while let Some(&first) = bytes.first() {
            let used = match self.state {
                State::Kind => self.kind(first)?,
                State::Length { .. } => self.length(bytes, tally)?,
                State::Line => self.line(bytes, tally),
                State::Error => self.error(bytes, tally),
                State::Body(left) => self.body(left, bytes.len(), tally),
            };
            bytes = &bytes[used..];
        }
        Ok(())
    }

    fn kind(&mut self, byte: u8) -> Result<usize, Garbled> {
        if self.owed == 0 {
            self.owed = self.replies_per_request;
        }
        self.state = match byte {
            b'$' | b'*' => State::Length { array: byte == b'*', negative: false, value: 0 },
            b'+' | b':' => State::Line,
            b'-' => State::Error,
            other => return Err(Garbled::Kind(other)),
        };
        Ok(1)
    }

    fn length(&mut self, bytes: &[u8], tally: &mut Tally) -> Result<usize, Garbled> {
        let State::Length { array, mut negative, mut value } = self.state else {
            return Ok(0);
        };
        for (at, &byte) in bytes.iter().enumerate() {
            match byte {
                b'0'..=b'9' if value <= LENGTH_MAX => value = value * 10 + u64::from(byte - b'0'),
                b'-' => negative = true,
                b'\r' => {}
                b'\n' => {
                    self.length_known(array, negative, value, tally);
                    return Ok(at + 1);
                }
                _ => return Err(Garbled::Length),
            }
        }
        self.state = State::Length { array, negative, value };
        Ok(bytes.len())
    }

    fn length_known(&mut self, array: bool, negative: bool, value: u64, tally: &mut Tally) {
        self.state = State::Kind;
        match (array, negative) {
            (_, true) => {
                tally.misses += 1;
                self.element_done(tally);
            }
            (true, false) => {
                self.owed = self.owed.saturating_add(value);
                self.element_done(tally);
            }
            (false, false) => {
                tally.hits += 1;
                self.state = State::Body(value + 2);
            }
        }
    }

    fn line(&mut self, bytes: &[u8], tally: &mut Tally) -> usize {
        let Some(end) = bytes.iter().position(|&byte| byte == b'\n') else {
            return bytes.len();
        };
        self.element_done(tally);
        end + 1
    }

    fn error(&mut self, bytes: &[u8], tally: &mut Tally) -> usize {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let room = ERROR_TEXT_MAX.saturating_sub(self.error.len());
        let text = &bytes[..end.unwrap_or(bytes.len())];
        self.error.extend_from_slice(&text[..text.len().min(room)]);
        if end.is_some() {
            tally.error(&self.error);
            self.error.clear();
            self.element_done(tally);
        }
        end.map_or(bytes.len(), |end| end + 1)
    }

    fn body(&mut self, left: u64, available: usize, tally: &mut Tally) -> usize {
        let used = left.min(available as u64);
        if used == left {
            self.element_done(tally);
        } else {
            self.state = State::Body(left - used);
        }
        used as usize
    }

    fn element_done(&mut self, tally: &mut Tally) {
        self.state = State::Kind;
        self.owed -= 1;
        if self.owed == 0 {
            tally.replies += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Protocol, tests::check_every_split};
    use super::*;

    fn check(bytes: &[u8], replies: u64, hits: u64, misses: u64, errors: &[&str]) {
        let first_error = errors.first().map(|text| (*text).to_owned());
        let expected = Tally { replies, hits, misses, errors: errors.len() as u64, first_error };
        check_every_split(Protocol::Resp, 1, bytes, &expected);
    }

    #[test]
    fn lines_and_bulks_count_once_wherever_they_are_split() {
        check(b"+OK\r\n:12345\r\n$5\r\nhello\r\n$-1\r\n$0\r\n\r\n", 5, 2, 1, &[]);
    }

    #[test]
    fn bodies_may_hold_what_looks_like_replies() {
        check(b"$14\r\n+OK\r\n$-1\r\n*1\r\n\r\n+OK\r\n", 2, 1, 0, &[]);
    }

    #[test]
    fn an_array_is_one_reply_and_its_elements_are_hits_and_misses() {
        check(b"*3\r\n$1\r\na\r\n$-1\r\n$2\r\nbc\r\n*0\r\n*-1\r\n+OK\r\n", 4, 2, 2, &[]);
    }

    #[test]
    fn nested_arrays_end_with_their_last_element() {
        check(b"*2\r\n*2\r\n:1\r\n*1\r\n+x\r\n*0\r\n:7\r\n", 2, 0, 0, &[]);
    }

    #[test]
    fn errors_are_counted_and_the_first_is_kept() {
        check(b"-ERR one\r\n+OK\r\n*2\r\n-WRONGTYPE two\r\n:1\r\n", 3, 0, 0, &["ERR one", "WRONGTYPE two"]);
    }

    #[test]
    fn replies_to_one_request_count_as_one() {
        let mut scanner = RespScanner::new(3);
        let mut tally = Tally::default();
        for byte in b"+OK\r\n+QUEUED\r\n*1\r\n$1\r\nv\r\n+OK\r\n-ERR no\r\n-EXECABORT\r\n+OK\r\n" {
            scanner.feed(&[*byte], &mut tally).unwrap();
        }
        assert_eq!((tally.replies, tally.hits, tally.errors), (2, 1, 2));
    }

    #[test]
    fn unknown_kinds_and_wild_lengths_are_refused() {
        let feed = |bytes: &[u8]| RespScanner::new(1).feed(bytes, &mut Tally::default());
        assert_eq!(feed(b"VALUE"), Err(Garbled::Kind(b'V')));
        assert_eq!(feed(b"$12x\r\n"), Err(Garbled::Length));
        assert_eq!(feed(b"$99999999999999999999\r\n"), Err(Garbled::Length));
    }
}
