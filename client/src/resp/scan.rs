//! Finding where a frame ends, within bounds, however the bytes arrive.
//!
//! The scan looks at lengths and line ends only. It remembers where it stopped, so a frame that comes in a thousand pieces
//! costs one pass, and it refuses a length or a depth as soon as it is announced, so a peer cannot make the buffer grow
//! towards something that will be refused anyway.

use std::fmt;

/// What a frame may measure. Each bound is inclusive.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Arrays, maps, sets, pushes and attributes inside one another.
    pub depth_max: usize,
    /// Values in one frame, at all depths together.
    pub elements_max: u64,
    /// Bytes of one string that is announced with its length.
    pub bulk_bytes_max: u64,
    /// Bytes of one line: a status, an error, a number, or the line that announces a length.
    pub line_bytes_max: usize,
    /// Bytes of one frame, everything counted.
    pub frame_bytes_max: usize,
}

impl Limits {
    /// The most that is accepted unless told otherwise: strings as long as a server may store (512 MiB), and frames that
    /// hold two of them.
    pub const DEFAULT: Self = Self {
        depth_max: 32,
        elements_max: 1 << 26,
        bulk_bytes_max: 512 << 20,
        line_bytes_max: 1 << 20,
        frame_bytes_max: (1 << 30) + (1 << 20),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const _: () = assert!(Limits::DEFAULT.bulk_bytes_max < Limits::DEFAULT.frame_bytes_max as u64);

/// Bytes that are not RESP, or more of them than was agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A value starts with a byte that announces no type.
    Type(u8),
    /// A length is not a plain decimal number, or is one that its type cannot have.
    Length(String),
    /// A line is not ended by a carriage return and a line feed.
    LineEnd,
    /// A string is not followed by a carriage return and a line feed.
    BulkEnd,
    /// The value itself, such as a number, cannot be read.
    Value(String),
    /// A request is something else than an array of strings.
    Request,
    /// One of the [`Limits`] is exceeded.
    TooLarge {
        /// What was limited, in words.
        what: &'static str,
        /// The limit.
        max: u64,
    },
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(byte) => write!(f, "no RESP type starts with '{}'", byte.escape_ascii()),
            Self::Length(text) => write!(f, "'{text}' is not a length"),
            Self::LineEnd => f.write_str("a line is not ended by CR LF"),
            Self::BulkEnd => f.write_str("a string is not followed by CR LF"),
            Self::Value(reason) => write!(f, "a value cannot be read: {reason}"),
            Self::Request => f.write_str("a request has to be an array of strings"),
            Self::TooLarge { what, max } => write!(f, "more than {max} {what}"),
        }
    }
}

impl std::error::Error for Malformed {}

/// A pass over one frame that can be left and resumed.
#[derive(Debug)]
pub struct Scan {
    limits: Limits,
    /// Where the next element starts.
    at: usize,
    /// Bytes of the element at `at` that are known to hold no line end.
    searched: usize,
    /// For each aggregate that is open, how many elements it still lacks. Never empty while a frame is unfinished.
    open: Vec<u64>,
    /// Elements announced so far.
    elements: u64,
}

impl Scan {
    /// Begins where a frame begins.
    pub fn new(limits: Limits) -> Self {
        Self { limits, at: 0, searched: 0, open: vec![1], elements: 0 }
    }

    /// Goes on in `bytes`, which begin where the frame begins and only ever grow between calls.
    ///
    /// Returns the length of the frame once it is all there, and is then ready for the next one.
    ///
    /// # Errors
    ///
    /// If the bytes are no RESP, or more than the limits allow.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        while !self.open.is_empty() {
            if !self.element(bytes)? {
                return self.check_frame(bytes.len()).map(|()| None);
            }
            self.close_filled();
        }
        let len = self.at;
        self.check_frame(len)?;
        self.restart();
        Ok(Some(len))
    }

    /// Forgets the frame it is in. The next call looks at a frame's first byte.
    pub fn restart(&mut self) {
        self.at = 0;
        self.searched = 0;
        self.elements = 0;
        self.open.clear();
        self.open.push(1);
    }

    /// Passes one element, or the head of an aggregate; false if it is not all there.
    fn element(&mut self, bytes: &[u8]) -> Result<bool, Malformed> {
        let Some(line_len) = self.line_len(&bytes[self.at..])? else {
            return Ok(false);
        };
        let line = &bytes[self.at..self.at + line_len];
        let next = self.at + line_len + 2;
        let Some((&kind, rest)) = line.split_first() else {
            return Err(Malformed::Type(b'\r'));
        };
        match Shape::of(kind)? {
            Shape::Line => self.pass(next),
            Shape::Text => match length(rest)? {
                None if kind == b'$' => self.pass(next),
                None => return Err(not_a_length(rest)),
                Some(len) => return self.text(bytes, next, len),
            },
            Shape::Aggregate { per_item, extra } => match length(rest)? {
                None if kind == b'*' => self.pass(next),
                None => return Err(not_a_length(rest)),
                Some(items) => {
                    self.pass(next);
                    self.enter(items, per_item, extra)?;
                }
            },
        }
        Ok(true)
    }

    /// The length of the line that starts here, without its end; `None` if the end is not there.
    fn line_len(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        let found = bytes[self.searched..].iter().position(|&byte| byte == b'\r');
        let len = found.map_or(bytes.len(), |offset| self.searched + offset);
        if len > self.limits.line_bytes_max {
            return Err(Malformed::TooLarge { what: "bytes in a line", max: self.limits.line_bytes_max as u64 });
        }
        self.searched = len;
        match bytes.get(len + 1) {
            Some(b'\n') => Ok(Some(len)),
            Some(_) => Err(Malformed::LineEnd),
            None => Ok(None),
        }
    }

    /// Passes a string of `len` bytes that starts at `start`; false if it is not all there.
    fn text(&mut self, bytes: &[u8], start: usize, len: u64) -> Result<bool, Malformed> {
        if len > self.limits.bulk_bytes_max {
            return Err(Malformed::TooLarge { what: "bytes in a string", max: self.limits.bulk_bytes_max });
        }
        let end = usize::try_from(len).ok().and_then(|len| start.checked_add(len)).ok_or(Malformed::BulkEnd)?;
        self.check_frame(end)?;
        match bytes.get(end..end + 2) {
            Some(b"\r\n") => self.pass(end + 2),
            Some(_) => return Err(Malformed::BulkEnd),
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Notes that an element ended before `next`.
    fn pass(&mut self, next: usize) {
        self.at = next;
        self.searched = 0;
        if let Some(lacking) = self.open.last_mut() {
            *lacking -= 1;
        }
    }

    /// Opens an aggregate.
    fn enter(&mut self, items: u64, per_item: u64, extra: u64) -> Result<(), Malformed> {
        let limits = self.limits;
        if self.open.len() > limits.depth_max {
            return Err(Malformed::TooLarge { what: "levels of nesting", max: limits.depth_max as u64 });
        }
        let elements = items.saturating_mul(per_item).saturating_add(extra);
        self.elements = self.elements.saturating_add(elements);
        if self.elements > limits.elements_max {
            return Err(Malformed::TooLarge { what: "elements in a frame", max: limits.elements_max });
        }
        self.open.push(elements);
        Ok(())
    }

    /// Leaves the aggregates that lack nothing any more.
    fn close_filled(&mut self) {
        while self.open.last() == Some(&0) {
            self.open.pop();
        }
    }

    fn check_frame(&self, len: usize) -> Result<(), Malformed> {
        let max = self.limits.frame_bytes_max;
        if len > max { Err(Malformed::TooLarge { what: "bytes in a frame", max: max as u64 }) } else { Ok(()) }
    }
}

/// How an element is laid out on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// All in one line.
    Line,
    /// A line with a length, then so many bytes and a line end.
    Text,
    /// A line with a count, then `count * per_item + extra` elements.
    Aggregate { per_item: u64, extra: u64 },
}

impl Shape {
    pub(super) fn of(kind: u8) -> Result<Self, Malformed> {
        Ok(match kind {
            b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(' => Self::Line,
            b'$' | b'!' | b'=' => Self::Text,
            b'*' | b'~' | b'>' => Self::Aggregate { per_item: 1, extra: 0 },
            b'%' => Self::Aggregate { per_item: 2, extra: 0 },
            // The reply that the attributes are about counts as one of its elements, as neither stands without the other.
            b'|' => Self::Aggregate { per_item: 2, extra: 1 },
            _ => return Err(Malformed::Type(kind)),
        })
    }
}

/// Reads a length: `None` for -1, which stands for null.
///
/// Strict, as servers are: no sign but that one, no leading zeros, no blanks. RESP3's lengths left open (`?`) are refused;
/// no server of this family sends them.
pub(super) fn length(text: &[u8]) -> Result<Option<u64>, Malformed> {
    if text == b"-1" {
        return Ok(None);
    }
    let plain = !text.is_empty() && text.iter().all(u8::is_ascii_digit) && (text[0] != b'0' || text.len() == 1);
    let number = plain.then(|| str::from_utf8(text).ok()?.parse().ok()).flatten();
    number.map(Some).ok_or_else(|| not_a_length(text))
}

fn not_a_length(text: &[u8]) -> Malformed {
    const SHOWN_MAX: usize = 32;
    Malformed::Length(text[..text.len().min(SHOWN_MAX)].escape_ascii().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        Scan::new(Limits::DEFAULT).advance(bytes)
    }

    #[test]
    fn a_frame_ends_where_its_last_element_ends() {
        for frame in [
            "+OK\r\n",
            "$-1\r\n",
            "*-1\r\n",
            "*0\r\n",
            "$0\r\n\r\n",
            "*2\r\n$1\r\na\r\n:1\r\n",
            "*2\r\n*0\r\n%1\r\n+a\r\n~0\r\n",
            "|1\r\n+ttl\r\n:3\r\n*1\r\n_\r\n",
        ] {
            assert_eq!(scan(format!("{frame}+next\r\n").as_bytes()), Ok(Some(frame.len())), "{frame:?}");
        }
    }

    #[test]
    fn every_proper_prefix_of_a_frame_is_incomplete() {
        let frame = b"*3\r\n$3\r\nfoo\r\n%1\r\n+a\r\n,1.5\r\n=7\r\ntxt:abc\r\n";
        for len in 0..frame.len() {
            assert_eq!(scan(&frame[..len]), Ok(None), "first {len} bytes");
        }
    }

    #[test]
    fn nesting_is_refused_at_the_first_level_too_many() {
        let mut frame = b"*1\r\n".repeat(32);
        assert_eq!(scan(&frame), Ok(None));
        frame.extend_from_slice(b"*1\r\n");
        assert_eq!(scan(&frame), Err(Malformed::TooLarge { what: "levels of nesting", max: 32 }));
    }

    #[test]
    fn lengths_are_refused_when_announced() {
        let max = |what, max| Err(Malformed::TooLarge { what, max });
        assert_eq!(scan(b"$536870913\r\n"), max("bytes in a string", 512 << 20));
        assert_eq!(scan(b"*4611686018427387904\r\n"), max("elements in a frame", 1 << 26));
        assert_eq!(scan(b"%9223372036854775807\r\n"), max("elements in a frame", 1 << 26));
        assert_eq!(scan(&[b'+'; (1 << 20) + 1]), max("bytes in a line", 1 << 20));
    }

    #[test]
    fn counts_of_nested_arrays_add_up() {
        let mut scan = Scan::new(Limits { elements_max: 10, ..Limits::DEFAULT });
        let refused = Err(Malformed::TooLarge { what: "elements in a frame", max: 10 });
        assert_eq!(scan.advance(b"*4\r\n*4\r\n+a\r\n+a\r\n+a\r\n+a\r\n*3\r\n"), refused);
    }

    #[test]
    fn a_frame_longer_than_allowed_is_refused_when_announced() {
        let mut scan = Scan::new(Limits { frame_bytes_max: 20, ..Limits::DEFAULT });
        assert_eq!(scan.advance(b"*2\r\n$20\r\n"), Err(Malformed::TooLarge { what: "bytes in a frame", max: 20 }));
    }

    #[test]
    fn odd_lengths_are_no_lengths() {
        for text in ["", "-2", "+1", "01", " 1", "1 ", "1a", "?", "18446744073709551616", "--1"] {
            assert_eq!(length(text.as_bytes()), Err(Malformed::Length(text.to_owned())), "{text:?}");
        }
        assert_eq!(scan(b"%-1\r\n"), Err(Malformed::Length("-1".to_owned())));
        assert_eq!(scan(b"=-1\r\n"), Err(Malformed::Length("-1".to_owned())));
    }

    #[test]
    fn ends_are_looked_at() {
        assert_eq!(scan(b"+OK\rx"), Err(Malformed::LineEnd));
        assert_eq!(scan(b"$2\r\nabXY"), Err(Malformed::BulkEnd));
        assert_eq!(scan(b"hello\r\n"), Err(Malformed::Type(b'h')));
        assert_eq!(scan(b"\r\n"), Err(Malformed::Type(b'\r')));
    }
}
