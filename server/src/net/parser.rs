//! Requests out of bytes: RESP arrays of bulk strings, and lines typed by hand.
//!
//! The parser borrows: a request is the places of its words in the buffer. It resumes: bytes it has seen are not read
//! again when more arrive, so a request of a hundred thousand words costs one pass however it was split. Limits and
//! error texts are Redis's (`processMultibulkBuffer`, as observed from outside).

use crate::base::number::{parse_count, parse_length};
use crate::command::words::Span;
use memchr::memchr;

/// Bytes of a line, be it a header or typed by hand.
pub const LINE_MAX: usize = 64 * 1024;

/// Words of a request.
const WORDS_MAX: usize = i32::MAX as usize;

/// Words, and bytes of one, while the connection has not logged in.
const WORDS_MAX_BEFORE_LOGIN: usize = 10;
const BULK_MAX_BEFORE_LOGIN: usize = 16 * 1024;

/// What a request may be like.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of one word, `proto-max-bulk-len`.
    pub bulk_len_max: usize,
    pub logged_in: bool,
}

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A request whose words are in [`Parser::words`]. It ends at this offset of the buffer.
    Request { end: usize },
    /// A line typed by hand, between two offsets, without its end. The next request begins at `end`.
    Line { from: usize, to: usize, end: usize },
    /// An empty request, which is passed over.
    Nothing { end: usize },
    /// More bytes are needed, at least this many.
    Incomplete { missing: usize },
}

/// Bytes that are no request. `Display` is the text on the wire, which the connection is closed after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(Vec<u8>);

impl Malformed {
    fn new(text: &str) -> Malformed {
        Malformed(format!("ERR Protocol error: {text}").into_bytes())
    }

    /// A word that begins with this byte, or with the end of its line, which a reply cannot show.
    fn no_bulk(first: Option<u8>) -> Malformed {
        let shown = first.filter(|byte| !b"\r\n".contains(byte)).unwrap_or(b' ');
        let mut fault = Malformed::new("expected '$', got '");
        fault.0.extend_from_slice(&[shown, b'\'']);
        fault
    }

    /// An error of the same kind that was found elsewhere.
    pub fn because(text: &str) -> Malformed {
        Malformed::new(text)
    }

    /// The text on the wire, without the leading `-`.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }
}

/// Where the parser is in an unfinished request. Offsets are from the beginning of that request.
#[derive(Default, Debug)]
pub struct Parser {
    words: Vec<Span>,
    /// Words still to come; 0 before the header.
    left: usize,
    /// The length of the word whose bytes are awaited.
    bulk: Option<usize>,
    /// Bytes dealt with.
    at: usize,
    /// Bytes of the present line that hold no line end.
    searched: usize,
}

impl Parser {
    /// The words of the request just parsed, as offsets from its beginning.
    pub fn words(&self) -> &[Span] {
        &self.words
    }

    /// Forgets the request just parsed, to begin the next.
    pub fn begin(&mut self) {
        self.words.clear();
        (self.left, self.bulk, self.at, self.searched) = (0, None, 0, 0);
    }

    /// Gives up room for words beyond so many, if no request has been begun.
    pub fn shrink_to(&mut self, words: usize) {
        if !self.is_inside() && self.words.capacity() > words {
            self.words.shrink_to(words);
        }
    }

    /// Whether a request has been begun.
    pub fn is_inside(&self) -> bool {
        self.left > 0
    }

    /// Goes on with the request that begins at `start`.
    pub fn parse(&mut self, buffer: &[u8], start: usize, limits: Limits) -> Result<Parsed, Malformed> {
        let request = &buffer[start..];
        if self.left == 0 {
            match request.first() {
                None => return Ok(Parsed::Incomplete { missing: 1 }),
                Some(b'*') => {}
                Some(_) => return self.line(request, start),
            }
            match self.header(request, limits)? {
                None => return Ok(Parsed::Incomplete { missing: 1 }),
                Some(0) => return Ok(Parsed::Nothing { end: start + self.at }),
                Some(words) => self.left = words,
            }
        }
        while self.left > 0 {
            if let Some(missing) = self.bulk(request, limits)? {
                return Ok(Parsed::Incomplete { missing });
            }
        }
        Ok(Parsed::Request { end: start + self.at })
    }

    /// The number of words, once the header is whole.
    fn header(&mut self, request: &[u8], limits: Limits) -> Result<Option<usize>, Malformed> {
        if limits.logged_in
            && let Some(words) = self.short_header(request, b'*')
        {
            return Ok(Some(words));
        }
        let Some(text) = self.header_line(request, "too big mbulk count string")? else {
            return Ok(None);
        };
        let words = parse_count(&text[1..], WORDS_MAX).ok_or_else(|| Malformed::new("invalid multibulk length"))?;
        if words > WORDS_MAX_BEFORE_LOGIN && !limits.logged_in {
            return Err(Malformed::new("unauthenticated multibulk length"));
        }
        Ok(Some(words))
    }

    /// Takes one word. Returns how many bytes are missing for it, if any.
    fn bulk(&mut self, request: &[u8], limits: Limits) -> Result<Option<usize>, Malformed> {
        if self.bulk.is_none() {
            self.bulk = self.short_header(request, b'$');
        }
        let len = match self.bulk {
            Some(len) => len,
            None => {
                let Some(text) = self.header_line(request, "too big bulk count string")? else {
                    return Ok(Some(1));
                };
                if text.first() != Some(&b'$') {
                    return Err(Malformed::no_bulk(text.first().copied()));
                }
                let len = parse_length(&text[1..], limits.bulk_len_max)
                    .ok_or_else(|| Malformed::new("invalid bulk length"))?;
                if len > BULK_MAX_BEFORE_LOGIN && !limits.logged_in {
                    return Err(Malformed::new("unauthenticated bulk length"));
                }
                self.bulk = Some(len);
                len
            }
        };
        let end = self.at + len + 2;
        if request.len() < end {
            return Ok(Some(end - request.len()));
        }
        self.words.push(Span { start: self.at as u32, len: len as u32 });
        self.bulk = None;
        self.left -= 1;
        self.at = end;
        Ok(None)
    }

    /// The number of the header that begins at `self.at`, which is passed over, if it has one to three digits as nearly
    /// all have. Such a number breaks no limit but those before login.
    #[inline]
    fn short_header(&mut self, request: &[u8], mark: u8) -> Option<usize> {
        let line = request.get(self.at..self.at + 6)?;
        let digit = |at: usize| usize::from(line[at].wrapping_sub(b'0'));
        let ends = |at: usize| line[at] == b'\r' && line[at + 1] == b'\n';
        if line[0] != mark || self.searched > 0 || !(1..=9).contains(&digit(1)) {
            return None;
        }
        let (number, end) = match (digit(2), digit(3)) {
            _ if ends(2) => (digit(1), 4),
            (tens, _) if tens < 10 && ends(3) => (digit(1) * 10 + tens, 5),
            (tens, ones) if tens < 10 && ones < 10 && ends(4) => (digit(1) * 100 + tens * 10 + ones, 6),
            _ => return None,
        };
        self.at += end;
        Some(number)
    }

    /// The header that begins at `self.at`, without its line end, which is passed over.
    #[inline]
    fn header_line<'b>(&mut self, request: &'b [u8], too_big: &str) -> Result<Option<&'b [u8]>, Malformed> {
        let line = &request[self.at..];
        // Headers are a few bytes long: a plain search beats a vectorized one.
        let from = self.searched;
        let end = match line[from..].iter().take(24).position(|&byte| byte == b'\r') {
            Some(end) => Some(from + end),
            None => memchr(b'\r', &line[from..]).map(|end| from + end),
        };
        // Bytes that were searched in vain count as the line's, so that it is as long however it was split.
        if end.unwrap_or(line.len()) > LINE_MAX {
            return Err(Malformed::new(too_big));
        }
        let Some(end) = end else {
            self.searched = line.len();
            return Ok(None);
        };
        if line.len() < end + 2 {
            self.searched = end;
            return Ok(None);
        }
        self.searched = 0;
        self.at += end + 2;
        Ok(Some(&line[..end]))
    }

    fn line(&mut self, request: &[u8], start: usize) -> Result<Parsed, Malformed> {
        let end = memchr(b'\n', &request[self.searched..]).map(|end| self.searched + end);
        if end.unwrap_or(request.len()) > LINE_MAX {
            return Err(Malformed::new("too big inline request"));
        }
        let Some(end) = end else {
            self.searched = request.len();
            return Ok(Parsed::Incomplete { missing: 1 });
        };
        self.searched = 0;
        let to = if end > 0 && request[end - 1] == b'\r' { end - 1 } else { end };
        Ok(Parsed::Line { from: start, to: start + to, end: start + end + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use larder_client::resp;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { bulk_len_max: 512 << 20, logged_in: true };

    /// Feeds bytes cut at the given places, as a connection would, and returns the requests, or the error.
    fn feed(bytes: &[u8], cuts: &[usize], limits: Limits) -> Result<Vec<Vec<Vec<u8>>>, String> {
        let mut parser = Parser::default();
        let mut requests = Vec::new();
        let (mut start, mut received) = (0, 0);
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
        ends.push(bytes.len());
        ends.sort_unstable();
        for end in ends {
            received = received.max(end);
            loop {
                let buffer = &bytes[..received];
                match parser.parse(buffer, start, limits) {
                    Ok(Parsed::Request { end }) => {
                        let word = |s: &Span| buffer[start + s.start as usize..][..s.len as usize].to_vec();
                        requests.push(parser.words().iter().map(word).collect());
                        start = end;
                        parser.begin();
                    }
                    Ok(Parsed::Line { from, to, end }) => {
                        requests.push(buffer[from..to].split(|b| *b == b' ').map(<[u8]>::to_vec).collect());
                        start = end;
                        parser.begin();
                    }
                    Ok(Parsed::Nothing { end }) => {
                        start = end;
                        parser.begin();
                    }
                    Ok(Parsed::Incomplete { missing }) => {
                        assert!(missing > 0);
                        break;
                    }
                    Err(fault) => return Err(String::from_utf8_lossy(fault.wire()).into_owned()),
                }
            }
        }
        Ok(requests)
    }

    fn fault(bytes: &[u8]) -> String {
        feed(bytes, &[], LIMITS).expect_err("these bytes are malformed")
    }

    #[test]
    fn malformed_frames_get_their_texts() {
        assert_eq!(fault(b"*x\r\n"), "ERR Protocol error: invalid multibulk length");
        assert_eq!(fault(b"*2147483648\r\n"), "ERR Protocol error: invalid multibulk length");
        assert_eq!(fault(b"*1\r\nPING\r\n"), "ERR Protocol error: expected '$', got 'P'");
        for bytes in [&b"*1\r\n\r\n"[..], b"*1\r\n\nx\r\n"] {
            assert_eq!(fault(bytes), "ERR Protocol error: expected '$', got ' '");
        }
        assert_eq!(fault(b"*1\r\n$-1\r\n"), "ERR Protocol error: invalid bulk length");
        assert_eq!(fault(b"*1\r\n$536870913\r\n"), "ERR Protocol error: invalid bulk length");
        assert_eq!(fault(b"*1\r\n$abc\r\n"), "ERR Protocol error: invalid bulk length");
        let long = vec![b'1'; LINE_MAX + 2];
        assert_eq!(fault(&[b"*", &long[..]].concat()), "ERR Protocol error: too big mbulk count string");
        assert_eq!(fault(&[b"*1\r\n$", &long[..]].concat()), "ERR Protocol error: too big bulk count string");
        assert_eq!(fault(&long), "ERR Protocol error: too big inline request");
    }

    #[test]
    fn lines_are_as_long_however_they_were_split() {
        for (start, end, text) in [
            ("*", "\r\n", "ERR Protocol error: too big mbulk count string"),
            ("*1\r\n$", "\r\n", "ERR Protocol error: too big bulk count string"),
            ("", "\n", "ERR Protocol error: too big inline request"),
        ] {
            for len in [LINE_MAX - 1, LINE_MAX, LINE_MAX + 1, LINE_MAX + 2, LINE_MAX + 100] {
                let line = vec![b'1'; len - start.len().min(1)];
                let bytes = [start.as_bytes(), &line, end.as_bytes()].concat();
                let whole = feed(&bytes, &[], LIMITS);
                assert_eq!(whole == Err(text.to_owned()), len > LINE_MAX, "{len}");
                for cut in [1, LINE_MAX, LINE_MAX + 1, LINE_MAX + 2, bytes.len() - 1] {
                    assert_eq!(feed(&bytes, &[cut], LIMITS), whole, "{len} bytes cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn less_is_allowed_before_login() {
        let limits = Limits { logged_in: false, ..LIMITS };
        let fault = |bytes: &[u8]| feed(bytes, &[], limits).expect_err("too much before login");
        assert_eq!(fault(b"*11\r\n"), "ERR Protocol error: unauthenticated multibulk length");
        assert_eq!(fault(b"*1\r\n$16385\r\n"), "ERR Protocol error: unauthenticated bulk length");
    }

    #[test]
    fn empty_requests_are_passed_over() {
        let requests = feed(b"*0\r\n*-5\r\n*1\r\n$4\r\nPING\r\n", &[], LIMITS).unwrap();
        assert_eq!(requests, [[b"PING"]]);
    }

    #[test]
    fn lines_may_end_with_one_byte_or_two() {
        let requests = feed(b"PING\r\nECHO x\n", &[2, 5], LIMITS).unwrap();
        assert_eq!(requests, vec![vec![b"PING".to_vec()], vec![b"ECHO".to_vec(), b"x".to_vec()]]);
    }

    fn requests() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
        let word = prop::collection::vec(any::<u8>(), 0..40);
        prop::collection::vec(prop::collection::vec(word, 1..6), 1..8)
    }

    fn encode(requests: &[Vec<Vec<u8>>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for words in requests {
            bytes.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
            for word in words {
                bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
                bytes.extend_from_slice(word);
                bytes.extend_from_slice(b"\r\n");
            }
        }
        bytes
    }

    proptest! {
        #[test]
        fn requests_survive_any_split(requests in requests(), cuts in prop::collection::vec(any::<usize>(), 0..20)) {
            prop_assert_eq!(feed(&encode(&requests), &cuts, LIMITS).unwrap(), requests);
        }

        /// The oracle is the client's codec: it reads what we read, word for word.
        #[test]
        fn the_oracle_reads_the_same(requests in requests(), cuts in prop::collection::vec(any::<usize>(), 0..20)) {
            let bytes = encode(&requests);
            let ours = feed(&bytes, &cuts, LIMITS).unwrap();
            let mut rest = &bytes[..];
            let mut theirs = Vec::new();
            while let Some((words, used)) = resp::decode_request(rest, resp::Limits::default()).expect("well-formed") {
                theirs.push(words.iter().map(|word| word.to_vec()).collect::<Vec<_>>());
                rest = &rest[used..];
            }
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn no_bytes_break_the_parser(bytes in prop::collection::vec(any::<u8>(), 0..300), cuts in prop::collection::vec(any::<usize>(), 0..20)) {
            let whole = feed(&bytes, &[], LIMITS);
            prop_assert_eq!(feed(&bytes, &cuts, LIMITS), whole);
        }
    }
}
