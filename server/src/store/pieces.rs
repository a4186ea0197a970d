//! Values in pieces: how those lie in the arena that are too long for one block and too short for a buffer of their own.
//!
//! ```text
//! record   header 8 | expiry, if any, 8 | key | first piece 4 | length 4 | the end of the value
//! piece    header 8, of which 4 say what stands before | next piece 4 | bytes of the value
//! ```
//! An allocator's buffers cannot be moved, so what it keeps beside them stays: almost half of what it was asked for, when
//! values of all lengths come and go. Pieces are blocks like records: they move, their holes are gathered, and their
//! segments go back. All have one size, so what one leaves another takes; the rest of a value lies in its record.
//!
//! A chain is linked both ways by references, for a piece that moves must be found by both of its neighbours. Before the
//! first piece stands the record, or [`NIL`] while the chain has no record yet.

use super::arena::{Arena, NIL, Ref, UNIT};
use super::header::{Header, Shape};
use super::record;
use super::table::prefetch;
use std::fmt;
use std::ops::Range;
use std::ptr::NonNull;

/// The longest value in pieces: freeing them takes some tens of microseconds under the stripe's lock. What is longer has
/// a buffer, which the reaper frees.
pub const PIECES_MAX: usize = 256 * 1024;

/// Units of a piece: an eighth of a segment.
pub const PIECE_UNITS: usize = 128;

/// Bytes of memory that a piece takes.
pub const PIECE_BYTES: usize = PIECE_UNITS * UNIT;

/// Bytes in front of those of the value in a piece.
const PIECE_HEAD: usize = 8 + 4;

/// Bytes of a value that a piece holds.
pub const PIECE_LEN: usize = PIECE_BYTES - PIECE_HEAD;

/// Bytes in front of the end of the value in a record: its first piece and its length.
pub(super) const RECORD_HEAD: usize = 4 + 4;

/// Cache lines of a piece that are asked for ahead; the CPU guesses the rest.
const LINES_AHEAD: usize = 3;

const _: () = assert!(RECORD_HEAD + PIECE_LEN < 1 << 11, "the end of a value and what leads to the rest fit a record");

/// Pieces that a value of `len` bytes takes; what is left over lies in the record.
pub(super) fn count_for(len: usize) -> usize {
    len / PIECE_LEN
}

// --- the record's part

/// Writes the value's part of a record: the first piece, the length of the whole and the bytes behind the last piece.
///
/// # Safety
///
/// `to` has room for them.
pub(super) unsafe fn write_parts(to: *mut u8, first: Ref, value: &[u8]) {
    let rest = &value[count_for(value.len()) * PIECE_LEN..];
    // SAFETY: the caller vouches for the room; the fields may lie unaligned.
    unsafe {
        to.cast::<Ref>().write_unaligned(first);
        to.add(4).cast::<u32>().write_unaligned(value.len() as u32);
        to.add(RECORD_HEAD).copy_from_nonoverlapping(rest.as_ptr(), rest.len());
    }
}

/// The first piece of a record's value, [`NIL`] if it has none.
pub(super) fn first(record: NonNull<u8>) -> Ref {
    // SAFETY: a record of this shape holds it here.
    unsafe { parts(record).cast::<Ref>().read_unaligned() }
}

pub(super) fn set_first(record: NonNull<u8>, first: Ref) {
    // SAFETY: as in `first`; writers hold the stripe's lock.
    unsafe { parts(record).cast::<Ref>().write_unaligned(first) };
}

/// Bytes of the whole value.
pub(super) fn len(record: NonNull<u8>) -> usize {
    // SAFETY: as in `first`.
    unsafe { parts(record).add(4).cast::<u32>().read_unaligned() as usize }
}

/// Takes the chain from a record, and leaves it with the end of its value alone. Returns the first piece, if any.
pub(super) fn take_chain(record: NonNull<u8>, arena: &Arena) -> Ref {
    let (first, rest) = (first(record), len(record) % PIECE_LEN);
    set_first(record, NIL);
    // SAFETY: as in `set_first`.
    unsafe { parts(record).add(4).cast::<u32>().write_unaligned(rest as u32) };
    if first != NIL {
        set_before(arena.at(first), NIL);
    }
    first
}

fn parts(at: NonNull<u8>) -> *mut u8 {
    debug_assert_eq!(record::header(at).shape(), Shape::Pieces);
    record::value_start(at)
}

// --- a piece

/// Writes a piece into a block of [`PIECE_UNITS`], keeping the mark of its neighbour in the segment.
pub(super) fn write(at: NonNull<u8>, next: Ref, bytes: &[u8]) {
    record::set_header(at, Header::piece(NIL).with_prev_free(record::header(at).prev_free()));
    set_next(at, next);
    rewrite(at, bytes);
}

/// Writes the bytes of a piece, [`PIECE_LEN`] of them.
pub(super) fn rewrite(at: NonNull<u8>, bytes: &[u8]) {
    assert_eq!(bytes.len(), PIECE_LEN, "a piece is full");
    // SAFETY: the block has room for so many bytes behind the head of a piece.
    unsafe { at.as_ptr().add(PIECE_HEAD).copy_from_nonoverlapping(bytes.as_ptr(), PIECE_LEN) };
}

/// What stands before a piece: another, its record, or [`NIL`].
pub(super) fn before(at: NonNull<u8>) -> Ref {
    record::header(at).piece_before()
}

pub(super) fn set_before(at: NonNull<u8>, before: Ref) {
    record::set_header(at, record::header(at).with_piece_before(before));
}

/// The next piece, [`NIL`] after the last.
pub(super) fn next(at: NonNull<u8>) -> Ref {
    debug_assert_eq!(record::header(at).shape(), Shape::Piece);
    // SAFETY: it stands behind the header of every piece.
    unsafe { at.as_ptr().add(8).cast::<Ref>().read() }
}

/// As [`next`], and asks the CPU for that one. A walk from piece to piece would wait for memory at each step.
#[inline]
pub(super) fn next_soon(at: NonNull<u8>, arena: &Arena) -> Ref {
    let next = next(at);
    if next != NIL {
        let start = arena.at(next).as_ptr();
        (0..LINES_AHEAD).for_each(|line| prefetch(start.wrapping_add(line * 64)));
    }
    next
}

pub(super) fn set_next(at: NonNull<u8>, next: Ref) {
    // SAFETY: as in `next`; writers hold the stripe's lock.
    unsafe { at.as_ptr().add(8).cast::<Ref>().write(next) };
}

/// Lets the neighbours of a piece that has moved refer to its new place. `head` is the first piece of the chain that is
/// being built.
pub(super) fn follow(arena: &Arena, to: Ref, head: &mut Ref) {
    let at = arena.at(to);
    let (before, next) = (before(at), next(at));
    if next != NIL {
        set_before(arena.at(next), to);
    }
    if before == NIL {
        *head = to;
        return;
    }
    let before = arena.at(before);
    match record::header(before).shape() {
        Shape::Piece => set_next(before, to),
        _ => set_first(before, to),
    }
}

/// Lets the first piece know that its record is at another place.
pub(super) fn follow_record(arena: &Arena, to: Ref) {
    let first = first(arena.at(to));
    if first != NIL {
        set_before(arena.at(first), to);
    }
}

// --- reading

/// A value in pieces, as a reader sees it.
#[derive(Clone, Copy)]
pub struct Pieces<'a> {
    record: NonNull<u8>,
    arena: &'a Arena,
}

impl<'a> Pieces<'a> {
    /// The caller holds the stripe for as long as the value is read.
    pub(super) fn of(record: NonNull<u8>, arena: &'a Arena) -> Pieces<'a> {
        Pieces { record, arena }
    }

    /// Bytes of the value.
    #[expect(clippy::len_without_is_empty, reason = "what is empty is never in pieces")]
    pub fn len(self) -> usize {
        len(self.record)
    }

    /// The bytes in their order, slice by slice.
    pub fn slices(self) -> Slices<'a> {
        Slices { of: Some(self), next: first(self.record) }
    }

    /// Appends the bytes of a range, which must lie in the value.
    pub fn append_range(self, range: Range<usize>, to: &mut Vec<u8>) {
        assert!(range.start <= range.end && range.end <= self.len(), "{range:?} of a value of {} bytes", self.len());
        to.reserve(range.len());
        let mut start = 0;
        for slice in self.slices() {
            let end = start + slice.len();
            if end > range.start {
                to.extend_from_slice(&slice[range.start.max(start) - start..range.end.min(end) - start]);
            }
            if end >= range.end {
                return;
            }
            start = end;
        }
    }

    /// The bytes in one piece.
    pub fn to_vec(self) -> Vec<u8> {
        let mut whole = Vec::new();
        self.append_range(0..self.len(), &mut whole);
        whole
    }
}

impl PartialEq for Pieces<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.to_vec() == other.to_vec()
    }
}

impl Eq for Pieces<'_> {}

impl fmt::Debug for Pieces<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes in pieces", self.len())
    }
}

/// See [`Pieces::slices`].
pub struct Slices<'a> {
    /// The value, until its end has been seen.
    of: Option<Pieces<'a>>,
    next: Ref,
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let of = self.of?;
        if self.next == NIL {
            self.of = None;
            return Some(rest(of.record));
        }
        let at = of.arena.at(self.next);
        self.next = next_soon(at, of.arena);
        // SAFETY: a piece holds so many bytes, and stays as long as the stripe is borrowed.
        Some(unsafe { std::slice::from_raw_parts(at.as_ptr().add(PIECE_HEAD), PIECE_LEN) })
    }
}

/// The end of the value, which lies in the record.
fn rest<'a>(at: NonNull<u8>) -> &'a [u8] {
    let len = len(at) % PIECE_LEN;
    // SAFETY: the record holds so many bytes behind what leads to the pieces.
    unsafe { std::slice::from_raw_parts(parts(at).add(RECORD_HEAD), len) }
}

#[cfg(test)]
mod tests {
    use super::super::record::New;
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    /// Bytes of which each tells where it stands.
    fn bytes(len: usize, name: u8) -> Vec<u8> {
        (0..len).map(|at| (at / 7) as u8 ^ name).collect()
    }

    /// Writes a record, its pieces first; `between` runs after each piece.
    fn put(arena: &mut Arena, value: &[u8], mut between: impl FnMut(&mut Arena, &mut Ref)) -> Ref {
        let mut placed = New::Text(value).place();
        let mut chain = NIL;
        for piece in placed.pieces().rchunks_exact(PIECE_LEN) {
            let block = arena.alloc_or_grow(PIECE_UNITS);
            write(arena.at(block), chain, piece);
            if chain != NIL {
                set_before(arena.at(chain), block);
            }
            chain = block;
            between(arena, &mut chain);
        }
        placed.set_chain(chain);
        let (shape, len) = (placed.shape, placed.len);
        let block = arena.alloc_or_grow(record::units_for(3, len, false));
        let at = arena.at(block);
        let header = Header::record(shape, 0, 3, len, false).with_prev_free(record::header(at).prev_free());
        record::write(at, header, None, b"key", placed);
        if shape == Shape::Pieces {
            follow_record(arena, block);
        }
        block
    }

    fn free(arena: &mut Arena, block: Ref) {
        let at = arena.at(block);
        if record::header(at).shape() == Shape::Pieces {
            let mut piece = first(at);
            while piece != NIL {
                let next = next(arena.at(piece));
                arena.free(piece, PIECE_UNITS);
                piece = next;
            }
        }
        let units = record::units(at);
        arena.free(block, units);
    }

    fn read(arena: &Arena, block: Ref) -> Vec<u8> {
        let mut read = Vec::new();
        record::value(arena.at(block), arena).append_to(&mut read);
        read
    }

    #[test]
    fn a_range_is_that_of_the_whole() {
        let mut arena = Arena::new(Arc::default());
        for len in [2_001, 2 * PIECE_LEN, 2 * PIECE_LEN + 1, 5 * PIECE_LEN - 1] {
            let value = bytes(len, 9);
            let block = put(&mut arena, &value, |_, _| {});
            let record::Value::Pieces(pieces) = record::value(arena.at(block), &arena) else {
                panic!("{len} bytes lie in pieces")
            };
            assert_eq!((pieces.len(), pieces.to_vec()), (len, value.clone()));
            let places = [0, 1, PIECE_LEN - 1, PIECE_LEN, PIECE_LEN + 1, 2 * PIECE_LEN - 1, 2_000, len - 1, len];
            for (start, end) in places.iter().flat_map(|&start| places.map(|end| (start, end))) {
                if start <= end && end <= len {
                    let mut part = vec![b'.'];
                    pieces.append_range(start..end, &mut part);
                    assert_eq!(part[1..], value[start..end], "{start}..{end} of {len}");
                }
            }
            free(&mut arena, block);
        }
        assert_eq!(arena.footprint(), 0);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(usize),
        Free(usize),
        Evacuate,
        Gather,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let whole = (1usize..4, 0usize..3).prop_map(|(pieces, more)| pieces * PIECE_LEN + more - 1);
        let len = prop_oneof![4 => 21usize..800, 2 => 1_900usize..9_000, 1 => whole];
        let step = prop_oneof![
            5 => len.prop_map(Step::Put),
            4 => any::<usize>().prop_map(Step::Free),
            1 => Just(Step::Evacuate),
            1 => Just(Step::Gather),
        ];
        prop::collection::vec(step, 1..if cfg!(miri) { 50 } else { 1000 })
    }

    /// Moves blocks as a stripe does, with `live` in the place of its tables.
    fn move_blocks(arena: &mut Arena, gathers: bool, live: &mut [(Ref, Vec<u8>)], chain: &mut Ref) {
        let moved = |arena: &Arena, from: Ref, to: Ref| {
            match record::header(arena.at(to)).shape() {
                Shape::Piece => return follow(arena, to, chain),
                Shape::Pieces => follow_record(arena, to),
                _ => {}
            }
            live.iter_mut().find(|(block, _)| *block == from).expect("only live blocks move").0 = to;
        };
        if gathers {
            arena.gather(moved)
        } else {
            arena.evacuate(moved)
        };
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 3 } else { 64 }))]
        /// The naive twin is a list of values, which must survive whatever moves, chains that are being built included.
        #[test]
        fn values_keep_their_bytes_wherever_their_blocks_go(steps in steps()) {
            let mut arena = Arena::new(Arc::default());
            let mut live: Vec<(Ref, Vec<u8>)> = Vec::new();
            for (name, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Put(len) => {
                        let value = bytes(len, name as u8);
                        let mut turn = name;
                        let block = put(&mut arena, &value, |arena, chain| {
                            turn += 1;
                            if turn.is_multiple_of(3) {
                                move_blocks(arena, turn.is_multiple_of(2), &mut live, chain);
                            }
                        });
                        live.push((block, value));
                    }
                    Step::Free(which) if !live.is_empty() => {
                        let (block, value) = live.swap_remove(which % live.len());
                        prop_assert!(read(&arena, block) == value, "a value of {} bytes", value.len());
                        free(&mut arena, block);
                    }
                    Step::Free(_) => {}
                    Step::Gather => move_blocks(&mut arena, true, &mut live, &mut { NIL }),
                    Step::Evacuate => move_blocks(&mut arena, false, &mut live, &mut { NIL }),
                }
                let bytes = |block: Ref| record::units(arena.at(block)) * UNIT + record::bytes_beside(arena.at(block));
                prop_assert_eq!(arena.live_bytes(), live.iter().map(|&(block, _)| bytes(block)).sum::<usize>());
            }
            for (block, value) in live {
                prop_assert!(read(&arena, block) == value, "a value of {} bytes", value.len());
                free(&mut arena, block);
            }
            prop_assert_eq!(arena.footprint(), 0);
        }
    }
}
