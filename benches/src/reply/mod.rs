//! Counting replies in a stream of bytes, split anywhere, without keeping or fully parsing them.

mod memcache;
mod resp;

use std::fmt;

pub use memcache::MemcacheScanner;
pub use resp::RespScanner;

/// The wire protocol a server is asked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Redis's protocol, version 2.
    Resp,
    /// memcached's text protocol.
    Memcache,
}

/// What was counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Whole replies, errors among them.
    pub replies: u64,
    /// Values that were there; a multi-key read has many.
    pub hits: u64,
    /// Values that were not there.
    pub misses: u64,
    /// Error replies, or errors inside a reply.
    pub errors: u64,
    /// The text of the first error, cut at [`ERROR_TEXT_MAX`] bytes.
    pub first_error: Option<String>,
}

/// How much of an error text is kept.
pub const ERROR_TEXT_MAX: usize = 200;

impl Tally {
    fn error(&mut self, text: &[u8]) {
        self.errors += 1;
        if self.first_error.is_none() {
            let kept = &text[..text.len().min(ERROR_TEXT_MAX)];
            self.first_error = Some(String::from_utf8_lossy(kept).trim_end().to_owned());
        }
    }

    /// Adds another count to this one; the earlier first error stays.
    pub fn merge(&mut self, other: Self) {
        self.replies += other.replies;
        self.hits += other.hits;
        self.misses += other.misses;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

/// Bytes that are no reply of the protocol.
#[derive(Debug, PartialEq, Eq)]
pub enum Garbled {
    /// No reply starts with this byte.
    Kind(u8),
    /// A length is not a number, or is far too large.
    Length,
    /// A line that no reply of memcached's consists of.
    Line(String),
}

impl fmt::Display for Garbled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(byte) => write!(f, "a reply starts with {:?}, which is none of + - : $ *", char::from(*byte)),
            Self::Length => write!(f, "a reply has a length that is not a number of at most 2^40"),
            Self::Line(text) => write!(f, "the line {text:?} is no reply of memcached's text protocol"),
        }
    }
}

/// The scanner of one connection.
pub enum Scanner {
    Resp(RespScanner),
    Memcache(MemcacheScanner),
}

impl Scanner {
    /// A scanner at the start of a reply. `keys_per_read` is how many keys a read command names (memcached's reply does
    /// not mention the missing ones); `replies_per_request` how many of Redis's replies count as one.
    pub fn new(protocol: Protocol, keys_per_read: u64, replies_per_request: u64) -> Self {
        match protocol {
            Protocol::Resp => Self::Resp(RespScanner::new(replies_per_request)),
            Protocol::Memcache => Self::Memcache(MemcacheScanner::new(keys_per_read)),
        }
    }

    /// Counts what `bytes` complete.
    ///
    /// # Errors
    ///
    /// [`Garbled`] if the bytes break the protocol; the connection is of no use afterwards.
    pub fn feed(&mut self, bytes: &[u8], tally: &mut Tally) -> Result<(), Garbled> {
        match self {
            Self::Resp(scanner) => scanner.feed(bytes, tally),
            Self::Memcache(scanner) => scanner.feed(bytes, tally),
        }
    }
}

/// Lengths beyond this are taken for garbage.
const LENGTH_MAX: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the bytes whole, byte by byte, and cut in two at every place; all must count the same.
    pub(super) fn check_every_split(protocol: Protocol, keys_per_read: u64, bytes: &[u8], expected: &Tally) {
        for pieces in splits(bytes) {
            let mut scanner = Scanner::new(protocol, keys_per_read, 1);
            let mut tally = Tally::default();
            for piece in &pieces {
                scanner.feed(piece, &mut tally).expect("the bytes keep the protocol");
            }
            assert_eq!(&tally, expected, "split as {:?}", pieces.iter().map(|p| p.len()).collect::<Vec<_>>());
        }
    }

    fn splits(bytes: &[u8]) -> Vec<Vec<&[u8]>> {
        let mut all = vec![vec![bytes], bytes.chunks(1).collect(), bytes.chunks(3).collect()];
        all.extend((0..bytes.len()).map(|at| vec![&bytes[..at], &bytes[at..]]));
        all
    }

    #[test]
    fn the_first_error_text_is_kept_and_cut() {
        let mut tally = Tally::default();
        tally.error(&[b'x'; 1000]);
        tally.error(b"second");
        assert_eq!(tally.errors, 2);
        assert_eq!(tally.first_error.unwrap().len(), ERROR_TEXT_MAX);
    }
}
