//! The words of a request: places in the buffer they were read into, so that nothing is copied.

use super::context::Outcome;
use super::fault::Fault;
use super::row::KeyRange;
use crate::base::number::{parse_f64, parse_i64};
use crate::store::hash::Place;
use crate::store::{Key, Store};

/// One word: where it begins in the buffer, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: u32,
    pub len: u32,
}

/// The words of one request.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    pub buffer: &'a [u8],
    pub spans: &'a [Span],
}

impl<'a> Words<'a> {
    /// How many there are; a request has at least one.
    pub fn len(self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(self) -> bool {
        self.spans.is_empty()
    }

    /// The word at a position; 0 is the command's name.
    #[inline]
    pub fn get(self, index: usize) -> &'a [u8] {
        let Span { start, len } = self.spans[index];
        &self.buffer[start as usize..start as usize + len as usize]
    }

    pub fn iter(self) -> impl ExactSizeIterator<Item = &'a [u8]> {
        (0..self.len()).map(move |index| self.get(index))
    }

    /// Bytes of all words.
    pub fn bytes(self) -> usize {
        self.spans.iter().map(|span| span.len as usize).sum()
    }
}

/// The words of a request, kept beyond the buffer that they were read into.
#[derive(Debug)]
pub struct Kept {
    buffer: Vec<u8>,
    spans: Vec<Span>,
}

impl Kept {
    pub fn of<'a>(words: impl Iterator<Item = &'a [u8]>) -> Kept {
        let mut kept = Kept { buffer: Vec::new(), spans: Vec::new() };
        for word in words {
            kept.spans.push(Span { start: kept.buffer.len() as u32, len: word.len() as u32 });
            kept.buffer.extend_from_slice(word);
        }
        kept
    }

    pub fn words(&self) -> Words<'_> {
        Words { buffer: &self.buffer, spans: &self.spans }
    }
}

/// Where the keys of a request were found to live.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    pub range: KeyRange,
    pub places: &'a [Place],
}

/// The arguments of a command, taken from the front one by one. A copy takes them once more.
#[derive(Clone)]
pub struct Args<'a> {
    words: Words<'a>,
    at: usize,
    placed: Placed<'a>,
    store: &'a Store,
}

impl<'a> Args<'a> {
    /// The arguments behind the first `depth` words.
    pub fn new(words: Words<'a>, depth: usize, placed: Placed<'a>, store: &'a Store) -> Args<'a> {
        Args { words, at: depth, placed, store }
    }

    /// All words of the request, the name included.
    pub fn words(&self) -> Words<'a> {
        self.words
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.words.len() - self.at
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next word, untaken.
    pub fn peek(&self) -> Option<&'a [u8]> {
        (!self.is_empty()).then(|| self.words.get(self.at))
    }

    /// The next word; a missing one is a syntax error, for the arity gate has seen to the required ones.
    #[inline]
    pub fn word(&mut self) -> Result<&'a [u8], Fault> {
        if self.is_empty() {
            return Err(Fault::Syntax);
        }
        self.at += 1;
        Ok(self.words.get(self.at - 1))
    }

    /// The next word as a key.
    #[inline]
    pub fn key(&mut self) -> Result<Key<'a>, Fault> {
        let bytes = self.word()?;
        let index = self.at - 1;
        let Placed { range, places } = self.placed;
        let known = index.checked_sub(range.first).and_then(|offset| places.get(offset / range.step.max(1)));
        match known {
            Some(&place) if range.first != 0 && (index - range.first).is_multiple_of(range.step.max(1)) => {
                Ok(Key { bytes, place })
            }
            _ => Ok(self.store.key(bytes)),
        }
    }

    /// The next word as a 64-bit integer.
    pub fn int(&mut self) -> Result<i64, Fault> {
        parse_i64(self.word()?).ok_or(Fault::NotInteger)
    }

    /// The next word as a double.
    pub fn float(&mut self) -> Result<f64, Fault> {
        parse_f64(self.word()?).ok_or(Fault::NotFloat)
    }

    /// The next word as an integer that is not below `least`; whatever is wrong with it, the refusal is the same.
    pub fn at_least(&mut self, least: usize, refusal: &'static str) -> Result<usize, Fault> {
        let number = parse_i64(self.word()?).and_then(|number| usize::try_from(number).ok());
        number.filter(|&number| number >= least).ok_or(Fault::text(refusal))
    }

    /// The next word as an integer whose opposite is one as well.
    pub fn negatable(&mut self) -> Result<i64, Fault> {
        const REFUSAL: Fault =
            Fault::text("ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807");
        self.int().and_then(|number| if number == i64::MIN { Err(REFUSAL) } else { Ok(number) })
    }

    /// Takes the next word if it is this one, in any case.
    pub fn take(&mut self, token: &str) -> bool {
        let is_it = self.peek().is_some_and(|word| word.eq_ignore_ascii_case(token.as_bytes()));
        self.at += usize::from(is_it);
        is_it
    }

    /// Takes so many words unseen, or all that are left.
    pub fn skip(&mut self, words: usize) {
        self.at += words.min(self.len());
    }

    /// An error unless all have been taken.
    pub fn end(&self) -> Result<(), Fault> {
        if self.is_empty() { Ok(()) } else { Err(Fault::Syntax) }
    }

    /// Every word left, taken.
    pub fn rest(&mut self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let (from, words) = (self.at, self.words);
        self.at = words.len();
        (from..words.len()).map(move |index| words.get(index))
    }
}

/// Text that a handler compares with names, in lower case.
pub fn lower(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_lowercase()
}

/// The answer of a handler that has written its reply.
pub const REPLIED: Outcome = Ok(super::context::Done::Replied);
