//! A small sorted set: one run of bytes in the order of score and member.
//!
//! ```text
//! entry  = header, score, member
//! header = form of the score (high four bits), form of the member (low four bits)
//! score  = 0 to 7: an integer of so many bytes; 8: an f32; 9: an f64
//! member = 0 to 5: so many bytes; 6: a length of one byte, then the bytes; 7: a length of four bytes, then the bytes;
//!          8 to 15: a number of 1 to 8 bytes that stands for its decimal text
//! ```
//! All numbers are little-endian, and integers have as few bytes as their value and sign need. An entry so has at most
//! as many bytes as the two entries that Redis's listpack has for a member and its score.
//!
//! As in Redis, a score of -0.0 becomes 0.0 here: it is an integer.

use super::super::item::is_same;
use super::Inserted;
use super::member::Member;
use crate::base::number;
use std::ops::Range;

const SCORE_F32: u8 = 8;
const SCORE_F64: u8 = 9;

/// Bytes of a score by its form.
const SCORE_BYTES: [usize; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 4, 8];

/// Integers below this in magnitude are all doubles, and have at most seven bytes.
const INTEGER_LIMIT: f64 = (1u64 << 53) as f64;

const TEXT_SHORT_MAX: usize = 5;
const TEXT_BYTE: u8 = 6;
const TEXT_WORD: u8 = 7;
const TEXT_BYTE_MAX: usize = u8::MAX as usize;

/// Bytes of the length itself by the form of the member.
const LENGTH_BYTES: [usize; 16] = [0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 0, 0, 0, 0];

/// A number of `n` bytes has the form `NUMBER + n`.
const NUMBER: u8 = 7;

/// Bytes of an entry by its header; 0 for those that have a length of their own.
const ENTRY_BYTES: [u8; 256] = {
    let mut table = [0; 256];
    let mut header = 0;
    while header < SCORE_BYTES.len() * 16 {
        let member = match header % 16 {
            short @ 0..=TEXT_SHORT_MAX => Some(short),
            number @ 8.. => Some(number - NUMBER as usize),
            _ => None,
        };
        if let Some(member) = member {
            table[header] = (1 + SCORE_BYTES[header / 16] + member) as u8;
        }
        header += 1;
    }
    table
};

/// Bytes that the run grows by; it shrinks when it has four times as many too many.
const STEP: usize = 16;

/// A sorted set whose operations walk from its start.
#[derive(Default)]
pub(super) struct Small {
    bytes: Vec<u8>,
    len: usize,
}

/// What stands at a place in the run.
#[derive(Clone, Copy)]
struct Entry<'a> {
    bytes: &'a [u8],
    header: u8,
    start: usize,
    end: usize,
}

/// A member in the form that it has in the run.
enum Packed<'a> {
    Number { bytes: [u8; 8], length: usize },
    Text(&'a [u8]),
}

impl Small {
    pub(super) fn lead(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What is held of the heap.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.capacity()
    }

    pub(super) fn score(&self, member: &[u8]) -> Option<f64> {
        Some(self.find(&Packed::of(member))?.1.score())
    }

    /// `decide` gets the score that the member has and says which it shall have, or `None` to leave all as it is.
    pub(super) fn upsert(&mut self, member: &[u8], decide: impl FnOnce(Option<f64>) -> Option<f64>) -> Inserted {
        let packed = Packed::of(member);
        let Some((_, entry)) = self.find(&packed) else {
            let Some(score) = decide(None) else { return Inserted::Left };
            self.insert(0, member, &packed, score);
            return Inserted::Added;
        };
        let old = entry.score();
        match decide(Some(old)) {
            None => Inserted::Left,
            Some(score) if score == old => Inserted::Same,
            Some(score) => {
                let place = entry.start..entry.end;
                self.bytes.drain(place.clone());
                self.len -= 1;
                // What stood before it still does, if the score has grown.
                self.insert(if score > old { place.start } else { 0 }, member, &packed, score);
                Inserted::Updated
            }
        }
    }

    pub(super) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let (rank, entry) = self.find(&Packed::of(member))?;
        let score = entry.score();
        self.remove_ranks(rank..rank + 1);
        Some(score)
    }

    pub(super) fn remove_ranks(&mut self, ranks: Range<usize>) {
        if ranks.is_empty() {
            return;
        }
        let start = self.offset(ranks.start);
        let end = self.entries_from(start).nth(ranks.len() - 1).map_or(self.bytes.len(), |entry| entry.end);
        self.bytes.drain(start..end);
        self.len -= ranks.len();
        if self.bytes.capacity() - self.bytes.len() >= 4 * STEP {
            self.bytes.shrink_to(self.bytes.len().next_multiple_of(STEP));
        }
    }

    /// How many members are before this one, and its score.
    pub(super) fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let (rank, entry) = self.find(&Packed::of(member))?;
        Some((rank, entry.score()))
    }

    /// How many members `is_before` says yes to; those must be the first ones.
    pub(super) fn partition_point(&self, is_before: impl Fn(&[u8], f64) -> bool) -> usize {
        self.entries_from(0).take_while(|entry| is_before(&entry.member(), entry.score())).count()
    }

    /// The members of these ranks, which must be there.
    pub(super) fn range(&self, ranks: Range<usize>) -> Iter<'_> {
        Iter { at: self.offset(ranks.start), small: self, len: ranks.len(), starts: Vec::new() }
    }

    /// The rank and the entry of a member.
    fn find(&self, packed: &Packed) -> Option<(usize, Entry<'_>)> {
        let (form, sought) = (packed.form(), packed.bytes());
        self.entries_from(0).enumerate().find(|(_, entry)| {
            // Entries of another form are passed without a look at their members.
            entry.form() == form && is_same(&self.bytes[entry.member_start()..entry.end], sought)
        })
    }

    /// Adds an entry; all those before the one that starts at `from` are known to come before it.
    fn insert(&mut self, from: usize, member: &[u8], packed: &Packed, score: f64) {
        let behind = self.entries_from(from).find(|entry| !entry.is_before(score, member));
        let at = behind.map_or(self.bytes.len(), |entry| entry.start);
        let (score_bytes, score_form) = pack_score(score);
        let score_bytes = &score_bytes[..SCORE_BYTES[usize::from(score_form)]];
        let form = packed.form();
        let member = packed.bytes();
        let length_bytes = &member.len().to_le_bytes()[..LENGTH_BYTES[usize::from(form)]];
        self.splice(at, &[&[score_form << 4 | form], score_bytes, length_bytes, member]);
        self.len += 1;
    }

    fn splice(&mut self, at: usize, parts: &[&[u8]]) {
        let added: usize = parts.iter().map(|part| part.len()).sum();
        let old = self.bytes.len();
        if old + added > self.bytes.capacity() {
            self.bytes.reserve_exact((old + added).next_multiple_of(STEP) - old);
        }
        self.bytes.resize(old + added, 0);
        self.bytes.copy_within(at..old, at + added);
        let mut at = at;
        for part in parts {
            self.bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
    }

    fn entries_from(&self, start: usize) -> impl Iterator<Item = Entry<'_>> {
        let mut at = start;
        std::iter::from_fn(move || {
            let entry = Entry::read(&self.bytes, at)?;
            at = entry.end;
            Some(entry)
        })
    }

    /// Where the entry of this rank starts, or the end of the run.
    fn offset(&self, rank: usize) -> usize {
        match rank {
            0 => 0,
            _ => self.entries_from(0).nth(rank - 1).map_or(self.bytes.len(), |entry| entry.end),
        }
    }
}

impl Clone for Small {
    fn clone(&self) -> Small {
        let mut bytes = Vec::new();
        bytes.reserve_exact(self.bytes.len());
        bytes.extend_from_slice(&self.bytes);
        Small { bytes, len: self.len }
    }
}

impl<'a> Entry<'a> {
    /// The entry that starts at `start`, or `None` at the end of the run.
    #[inline]
    fn read(bytes: &'a [u8], start: usize) -> Option<Entry<'a>> {
        let header = *bytes.get(start)?;
        let end = match ENTRY_BYTES[usize::from(header)] {
            0 => long_end(bytes, start, header),
            known => start + usize::from(known),
        };
        Some(Entry { bytes, header, start, end })
    }

    #[inline]
    fn score(&self) -> f64 {
        let bits = unpack(self.bytes, self.start + 1, self.score_bytes());
        match self.header >> 4 {
            SCORE_F32 => f64::from(f32::from_bits(bits as u32)),
            SCORE_F64 => f64::from_bits(bits as u64),
            _ => bits as f64,
        }
    }

    fn score_bytes(&self) -> usize {
        SCORE_BYTES[usize::from(self.header >> 4)]
    }

    /// The form of the member.
    fn form(&self) -> u8 {
        self.header & 15
    }

    /// Where the bytes of the member start.
    fn member_start(&self) -> usize {
        self.start + 1 + self.score_bytes() + LENGTH_BYTES[usize::from(self.form())]
    }

    fn member(&self) -> Member<'a> {
        let start = self.member_start();
        match self.form() > NUMBER {
            true => Member::from(unpack(self.bytes, start, self.end - start)),
            false => Member::from(&self.bytes[start..self.end]),
        }
    }

    /// Whether the entry comes before this score and member.
    fn is_before(&self, score: f64, member: &[u8]) -> bool {
        let own = self.score();
        own < score || (own == score && *self.member() < *member)
    }
}

/// Where an entry ends that says itself how long its member is.
fn long_end(bytes: &[u8], start: usize, header: u8) -> usize {
    let at = start + 1 + SCORE_BYTES[usize::from(header >> 4)];
    let length_bytes = LENGTH_BYTES[usize::from(header & 15)];
    let length = bytes[at..at + length_bytes].iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    at + length_bytes + length
}

impl<'a> Packed<'a> {
    fn of(member: &'a [u8]) -> Packed<'a> {
        match number::parse_i64(member) {
            Some(number) => Packed::Number { bytes: number.to_le_bytes(), length: integer_bytes(number) },
            None => Packed::Text(member),
        }
    }

    /// What stands for it, without a length.
    fn bytes(&self) -> &[u8] {
        match self {
            Packed::Number { bytes, length } => &bytes[..*length],
            Packed::Text(text) => text,
        }
    }

    fn form(&self) -> u8 {
        match self {
            Packed::Number { length, .. } => NUMBER + *length as u8,
            Packed::Text(text) => match text.len() {
                length @ ..=TEXT_SHORT_MAX => length as u8,
                ..=TEXT_BYTE_MAX => TEXT_BYTE,
                _ => TEXT_WORD,
            },
        }
    }
}

/// The bytes of a score and its form, which says how many of them count.
fn pack_score(score: f64) -> ([u8; 8], u8) {
    let integer = score as i64;
    if score.abs() < INTEGER_LIMIT && integer as f64 == score {
        let form = if integer == 0 { 0 } else { integer_bytes(integer) as u8 };
        return (integer.to_le_bytes(), form);
    }
    let short = score as f32;
    if f64::from(short) == score {
        return (u64::from(short.to_bits()).to_le_bytes(), SCORE_F32);
    }
    (score.to_le_bytes(), SCORE_F64)
}

/// How many bytes hold the integer with its sign, 1 to 8.
fn integer_bytes(integer: i64) -> usize {
    let magnitude = integer ^ (integer >> 63);
    (64 - magnitude.leading_zeros() as usize + 1).div_ceil(8)
}

/// The integer of 0 to 8 bytes, with its sign, that stands at `at`.
#[inline]
fn unpack(bytes: &[u8], at: usize, length: usize) -> i64 {
    // One wide read is faster than one of the length at hand; near the end of the run there is too little for it.
    let wide = match bytes[at..].first_chunk() {
        Some(wide) => *wide,
        None => {
            let mut wide = [0; 8];
            wide[..length].copy_from_slice(&bytes[at..at + length]);
            wide
        }
    };
    let unused = 64 - 8 * length as u32;
    if unused == 64 { 0 } else { i64::from_le_bytes(wide) << unused >> unused }
}

/// Goes through a range from both ends. From the back it needs a list of where entries start, made when first needed.
#[derive(Clone)]
pub(super) struct Iter<'a> {
    small: &'a Small,
    /// Where the next entry from the front starts.
    at: usize,
    /// Entries still to come.
    len: usize,
    /// Where those still to come start, from the first on; empty if nobody has come from the back.
    starts: Vec<usize>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (Member<'a>, f64);

    fn next(&mut self) -> Option<(Member<'a>, f64)> {
        self.len = self.len.checked_sub(1)?;
        let entry = Entry::read(&self.small.bytes, self.at)?;
        self.at = entry.end;
        Some((entry.member(), entry.score()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len, Some(self.len))
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    fn next_back(&mut self) -> Option<(Member<'a>, f64)> {
        if self.starts.is_empty() {
            self.starts = self.small.entries_from(self.at).take(self.len).map(|entry| entry.start).collect();
        }
        self.len = self.len.checked_sub(1)?;
        let entry = Entry::read(&self.small.bytes, self.starts.pop()?)?;
        Some((entry.member(), entry.score()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_read_back_from_as_few_bytes_as_they_need() {
        let cases = [
            (0.0, 0),
            (1.0, 1),
            (-128.0, 1),
            (128.0, 2),
            (-8_388_608.0, 3),
            (1e12, 6),
            (9_007_199_254_740_991.0, 7),
            (-9_007_199_254_740_991.0, 7),
            (9_007_199_254_740_992.0, 4),
            (9_007_199_254_740_994.0, 8),
            (0.5, 4),
            (0.1, 8),
            (f64::INFINITY, 4),
            (f64::NEG_INFINITY, 4),
            (f64::MAX, 8),
            (5e-324, 8),
        ];
        for (score, bytes) in cases {
            let mut small = Small::default();
            small.upsert(b"m", |_| Some(score));
            assert_eq!(small.score(b"m"), Some(score));
            assert_eq!(small.bytes.len(), 1 + bytes + 1, "{score}");
        }
    }

    #[test]
    fn members_read_back_from_as_few_bytes_as_they_need() {
        let long = vec![b'x'; 300];
        let cases: [(&[u8], usize); 14] = [
            (b"", 0),
            (b"abcde", 5),
            (b"abcdef", 7),
            (&long[..255], 256),
            (&long, 304),
            (b"0", 1),
            (b"-128", 1),
            (b"12345", 2),
            (b"9223372036854775807", 8),
            (b"-9223372036854775808", 8),
            (b"9223372036854775808", 20),
            (b"007", 3),
            (b"-0", 2),
            (b"1.5", 3),
        ];
        for (member, bytes) in cases {
            let mut small = Small::default();
            small.upsert(member, |_| Some(0.0));
            assert_eq!(small.bytes.len(), 1 + bytes, "{}", member.escape_ascii());
            let (shown, _) = small.range(0..1).next().expect("there is one");
            assert_eq!(&*shown, member);
            assert_eq!(small.remove(member), Some(0.0));
        }
    }
}
