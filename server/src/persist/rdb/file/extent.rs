//! Where an item of a file ends, found out while its bytes come in.
//!
//! What an item is made of is known from its first byte: lengths, strings, fixed numbers of bytes, and repetitions of
//! these. So its end is found by stepping from length to length, without a look at what strings hold. A step is taken
//! once, however many pieces the bytes come in, and only once an item is whole is its value read. That is cheaper
//! than to try to read the value again with each piece, and tells "not yet" from "wrong" without doubt: a length that
//! promises too much is waited for, and nothing is reserved for it.

use super::super::read::{LoadError, Loaded};
use super::super::write::{ENCODED_INT8, ENCODED_INT16, ENCODED_INT32, ENCODED_LZF};
use super::super::{VERSION_VALKEY, kind};
use Part::{Bytes, Double, Length, Module, Text, Times};

/// What items are made of.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// So many bytes.
    Bytes(u64),
    /// A number in the form of a length.
    Length,
    /// A string in any form.
    Text,
    /// A double as text behind one byte for its length.
    Double,
    /// A length, and then these parts as often; there is at least one.
    Times(&'static [Part]),
    /// What a module has saved: numbers and strings, each behind its kind, up to a mark.
    Module,
}

/// A key, and nothing else.
const KEY: &[Part] = &[Text];
const NOTHING: &[Part] = &[];

const NODES: Part = Times(&[Text, Text]);
const PENDING: Part = Times(&[Bytes(16), Bytes(8), Length]);
const CONSUMERS: Part = Times(&[Text, Bytes(8), Times(&[Bytes(16)])]);
const CONSUMERS_ACTIVE: Part = Times(&[Text, Bytes(8), Bytes(8), Times(&[Bytes(16)])]);

/// The parts of a value; `None` if there is no such type.
pub(super) fn value(kind: u8, version: u16) -> Option<&'static [Part]> {
    Some(match kind {
        kind::STRING
        | kind::HASH_ZIPMAP
        | kind::LIST_ZIPLIST
        | kind::SET_INTSET
        | kind::ZSET_ZIPLIST
        | kind::HASH_ZIPLIST
        | kind::HASH_LISTPACK
        | kind::ZSET_LISTPACK
        | kind::SET_LISTPACK
        | kind::HASH_LISTPACK_EX_EARLY => &[Text],
        kind::LIST | kind::SET | kind::LIST_QUICKLIST => &[Times(&[Text])],
        kind::LIST_QUICKLIST_2 => &[Times(&[Length, Text])],
        kind::ZSET => &[Times(&[Text, Double])],
        kind::ZSET_2 => &[Times(&[Text, Bytes(8)])],
        kind::HASH => &[Times(&[Text, Text])],
        kind::HASH_2 if version >= VERSION_VALKEY => &[Times(&[Text, Text, Bytes(8)])],
        kind::HASH_METADATA_EARLY => &[Times(&[Length, Text, Text])],
        kind::HASH_METADATA => &[Bytes(8), Times(&[Length, Text, Text])],
        kind::HASH_LISTPACK_EX => &[Bytes(8), Text],
        kind::STREAM_LISTPACKS => &[NODES, Length, Length, Length, Times(&[Text, Length, Length, PENDING, CONSUMERS])],
        kind::STREAM_LISTPACKS_2 => {
            const GROUPS: Part = Times(&[Text, Length, Length, Length, PENDING, CONSUMERS]);
            &[NODES, Length, Length, Length, Length, Length, Length, Length, Length, GROUPS]
        }
        kind::STREAM_LISTPACKS_3 => {
            const GROUPS: Part = Times(&[Text, Length, Length, Length, PENDING, CONSUMERS_ACTIVE]);
            &[NODES, Length, Length, Length, Length, Length, Length, Length, Length, GROUPS]
        }
        kind::MODULE_2 => &[Length, Module],
        _ => return None,
    })
}

/// Repetitions within repetitions: a stream's groups, their consumers, and what is pending of these, beside the value
/// itself and the key.
const DEPTH: usize = 5;

/// An item whose end is being looked for.
#[derive(Debug)]
pub(super) struct Extent {
    /// Bytes of the item that have been passed.
    len: usize,
    /// Bytes behind these that belong to a part whose length is known.
    ahead: u64,
    /// What is to come: the innermost repetition last.
    runs: [Run; DEPTH],
    depth: usize,
}

/// Parts that come so often, the current round included.
#[derive(Clone, Copy, Debug)]
struct Run {
    parts: &'static [Part],
    at: usize,
    rounds: u64,
}

/// The beginning of a part: how many bytes tell what it is, and what follows from it.
struct Head {
    len: usize,
    then: Then,
}

enum Then {
    /// So many bytes make up the rest of the part.
    Bytes(u64),
    /// These parts come so often.
    Repeat(&'static [Part], u64),
    /// So many bytes, and then the same part once more.
    Again(u64),
    /// A string, and then the same part once more.
    AgainBehindText,
}

impl Extent {
    /// An item of one byte that tells what it is, and of these parts.
    pub(super) fn of(parts: &'static [Part]) -> Extent {
        let mut extent = Extent { len: 0, ahead: 1, runs: [Run { parts: NOTHING, at: 0, rounds: 1 }; DEPTH], depth: 0 };
        extent.push(parts, 1);
        extent
    }

    /// The same with a key between the byte and the parts.
    pub(super) fn of_entry(parts: &'static [Part]) -> Extent {
        let mut extent = Extent::of(parts);
        extent.push(KEY, 1);
        extent
    }

    /// Bytes of the item passed so far; all of them once it is whole.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Goes on in a window that begins with the item; it must hold what the last one did. True once the item is whole.
    ///
    /// # Errors
    ///
    /// [`LoadError::Corrupt`] if something is no length or no string, whatever may follow.
    pub(super) fn advance(&mut self, window: &[u8]) -> Loaded<bool> {
        loop {
            let passed = self.ahead.min((window.len() - self.len) as u64);
            self.len += passed as usize;
            self.ahead -= passed;
            if self.ahead > 0 {
                return Ok(false);
            }
            let Some(run) = self.runs[..self.depth].last_mut() else { return Ok(true) };
            let Some(&part) = run.parts.get(run.at) else {
                run.at = 0;
                run.rounds -= 1;
                self.depth -= usize::from(run.rounds == 0);
                continue;
            };
            let Some(head) = part.head(&window[self.len..])? else { return Ok(false) };
            self.len += head.len;
            run.at += 1;
            match head.then {
                Then::Bytes(bytes) => self.ahead = bytes,
                Then::Repeat(_, 0) => {}
                Then::Repeat(parts, rounds) => self.push(parts, rounds),
                Then::Again(bytes) => {
                    run.at -= 1;
                    self.ahead = bytes;
                }
                Then::AgainBehindText => {
                    run.at -= 1;
                    self.push(KEY, 1);
                }
            }
        }
    }

    fn push(&mut self, parts: &'static [Part], rounds: u64) {
        self.runs[self.depth] = Run { parts, at: 0, rounds };
        self.depth += 1;
    }
}

impl Part {
    /// What the first bytes say about the part; `None` if they do not suffice.
    fn head(self, bytes: &[u8]) -> Loaded<Option<Head>> {
        let head = |len, then| Ok(Some(Head { len, then }));
        match self {
            Bytes(count) => head(0, Then::Bytes(count)),
            Length => Ok(length(bytes)?.map(|(_, len)| Head { len, then: Then::Bytes(0) })),
            Text => Ok(text(bytes)?.map(|(rest, len)| Head { len, then: Then::Bytes(rest) })),
            Double => match bytes.first() {
                None => Ok(None),
                // Not a number, and the two infinities.
                Some(253..) => head(1, Then::Bytes(0)),
                Some(&count) => head(1, Then::Bytes(count.into())),
            },
            Times(parts) => Ok(length(bytes)?.map(|(count, len)| Head { len, then: Then::Repeat(parts, count) })),
            Module => module(bytes),
        }
    }
}

/// A value of a module's behind its kind: a number, a float, a double or a string; or the mark that ends them.
fn module(bytes: &[u8]) -> Loaded<Option<Head>> {
    let Some((kind, len)) = length(bytes)? else { return Ok(None) };
    let then = match kind {
        0 => Then::Bytes(0),
        1 | 2 => match length(&bytes[len..])? {
            None => return Ok(None),
            Some((_, number)) => Then::Again(number as u64),
        },
        3 => Then::Again(4),
        4 => Then::Again(8),
        5 => Then::AgainBehindText,
        _ => return Err(LoadError::Corrupt),
    };
    Ok(Some(Head { len, then }))
}

/// A length and the bytes it is written in.
fn length(bytes: &[u8]) -> Loaded<Option<(u64, usize)>> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    Ok(match first {
        0x00..0x40 => Some((first.into(), 1)),
        0x40..0x80 => bytes.get(1).map(|&low| (u64::from(first & 0x3f) << 8 | u64::from(low), 2)),
        0x80 => bytes[1..].first_chunk().map(|&bytes| (u32::from_be_bytes(bytes).into(), 5)),
        0x81 => bytes[1..].first_chunk().map(|&bytes| (u64::from_be_bytes(bytes), 9)),
        _ => return Err(LoadError::Corrupt),
    })
}

/// The bytes that a string has behind what says so, and the bytes that say so.
fn text(bytes: &[u8]) -> Loaded<Option<(u64, usize)>> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    match first {
        ENCODED_INT8 => Ok(Some((1, 1))),
        ENCODED_INT16 => Ok(Some((2, 1))),
        ENCODED_INT32 => Ok(Some((4, 1))),
        ENCODED_LZF => {
            let Some((packed, one)) = length(&bytes[1..])? else { return Ok(None) };
            Ok(length(&bytes[1 + one..])?.map(|(_, two)| (packed, 1 + one + two)))
        }
        _ => length(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Limits, Reader, push_length, push_string};
    use super::*;

    /// The bytes of an item of these parts, found whole, and byte by byte; 0 for its first byte.
    fn len(parts: &'static [Part], bytes: &[u8]) -> Loaded<Option<usize>> {
        let item = [&[0], bytes].concat();
        let mut extent = Extent::of(parts);
        let found = extent.advance(&item).map(|is_whole| is_whole.then(|| extent.len() - 1));
        let mut extent = Extent::of(parts);
        let mut piecewise = Ok(None);
        for end in 0..=item.len() {
            piecewise = extent.advance(&item[..end]).map(|is_whole| is_whole.then(|| extent.len() - 1));
            if piecewise != Ok(None) {
                break;
            }
        }
        assert_eq!(piecewise, found, "{}", bytes.escape_ascii());
        found
    }

    #[test]
    fn parts_end_where_their_lengths_say() {
        let cases: [(&[Part], &[u8], usize); 14] = [
            (&[], b"x", 0),
            (&[Bytes(3)], b"abcd", 3),
            (&[Length, Length], b"\x3f\x40\x40x", 3),
            (&[Length, Length], b"\x80\0\0\0\x01\x81\0\0\0\0\0\0\0\x01x", 14),
            (&[Text], b"\x03foox", 4),
            (&[Text, Text, Text], b"\xc0\x01\xc1\x01\x02\xc2\x01\x02\x03\x04x", 10),
            (&[Text], b"\xc3\x03\x40\x40abcx", 7),
            (&[Double, Double, Double], b"\x031.5\xfe\xfdx", 6),
            (&[Times(&[Text, Length])], b"\x02\x01a\x01\x01b\x02x", 7),
            (&[Times(&[Text]), Length], b"\x00\x05x", 2),
            (&[Times(&[Times(&[Length])])], b"\x03\x01\x09\x00\x02\x07\x08x", 7),
            (&[Module], b"\x01\x05\x02\x40\x40\x03abcd\x04abcdefgh\x05\x03foo\x00x", 25),
            (&[Module, Length], b"\x00\x00x", 2),
            (&[Module], b"\x05\xc0\x07\x00x", 4),
        ];
        for (parts, bytes, expected) in cases {
            assert_eq!(len(parts, bytes), Ok(Some(expected)), "{}", bytes.escape_ascii());
            for cut in 0..expected {
                assert_eq!(len(parts, &bytes[..cut]), Ok(None), "{}", bytes[..cut].escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_no_length_is_wrong_at_once() {
        for bytes in [&b"\x82"[..], b"\xbf", b"\xc0", b"\xff"] {
            assert_eq!(len(&[Length], bytes), Err(LoadError::Corrupt));
            assert_eq!(len(&[Times(&[Text])], bytes), Err(LoadError::Corrupt));
        }
        for bytes in [&b"\x82"[..], b"\xc4", b"\xff", b"\xc3\xc0", b"\xc3\x01\xc0"] {
            assert_eq!(len(&[Text], bytes), Err(LoadError::Corrupt));
        }
        assert_eq!(len(&[Module], b"\x06"), Err(LoadError::Corrupt));
    }

    #[test]
    fn promises_are_waited_for_and_cost_nothing() {
        let huge = b"\x81\xff\xff\xff\xff\xff\xff\xff\xff";
        for parts in [&[Text][..], &[Times(&[Text])], &[Times(&[Times(&[Bytes(16)])])]] {
            assert_eq!(len(parts, huge), Ok(None));
        }
        assert_eq!(len(&[Text], b"\xc3\x81\x10\0\0\0\0\0\0\0\x01abc"), Ok(None));
    }

    #[test]
    fn every_type_that_is_read_has_parts() {
        for version in [11, 12, 80] {
            for kind in 0..=u8::MAX {
                let loaded = Reader::new(b"", version).value(kind, &Limits::default()).err();
                let is_unknown = matches!(loaded, Some(LoadError::UnknownType(_)));
                assert_eq!(value(kind, version).is_none(), is_unknown, "{kind}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn the_reader_takes_what_was_found(text: Vec<u8>, count: u64, compress: bool) {
            let mut bytes = Vec::new();
            push_string(&mut bytes, &text, compress);
            push_length(&mut bytes, count);
            proptest::prop_assert_eq!(len(&[Text, Length], &bytes), Ok(Some(bytes.len())));
        }
    }
}
