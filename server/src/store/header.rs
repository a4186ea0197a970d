//! The 8-byte header in front of every block of an arena, live or free.
//!
//! ```text
//! bits  0..3   shape of the value; 0 marks a free block
//!       3      the era of the stripe when the record was captured last, or made; see [`super::snapshot`]
//!       4      the block before this one is free
//!       5      an expiry word follows the header
//!       6..10  database
//!      10..18  key length; 255 says that a 32-bit length stands in front of the key
//!      18..29  value length in the record, 0 to 2 047
//!      29..52  the policy's own bits
//!      52..64  access clock, in steps of 8 seconds
//! ```
//! In a free block bits 16..32 are its length in units, and bits 32..64 link it to its neighbour in the free list.
//! In a piece of a value bits 32..64 refer to what stands before it; see [`super::pieces`].

/// What a value looks like inside its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shape {
    /// Not a record: a hole in the arena.
    Free = 0,
    /// Bytes as they were set, in the record.
    Bytes = 1,
    /// Bytes in the record that a command changed in place (`APPEND`, `SETRANGE`): Redis calls them `raw` at any length.
    Edited = 2,
    /// An integer of 0, 1, 2, 4 or 8 bytes.
    Int = 3,
    /// A buffer on the heap.
    Heap = 4,
    /// Pieces of one size, linked to each other, and the end of the value in the record.
    Pieces = 5,
    /// Not a record: a piece of a value.
    Piece = 6,
    /// A collection, on the heap.
    Object = 7,
}

/// The longest key whose length fits the header.
pub const SHORT_KEY_MAX: usize = 254;

/// Steps of the access clock, in milliseconds.
pub const CLOCK_STEP_MS: u64 = 8_000;

/// The header, read and written as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header(pub u64);

const SHAPE_MASK: u64 = 7;
const ERA: u64 = 1 << 3;
const PREV_FREE: u64 = 1 << 4;
const EXPIRES: u64 = 1 << 5;
const POLICY_SHIFT: u32 = 29;
const POLICY_MASK: u64 = (1 << 23) - 1;
const CLOCK_SHIFT: u32 = 52;

impl Header {
    /// A record's header; `key_len` is cut to what fits, the caller writes a longer length beside the key.
    pub fn record(shape: Shape, db: u8, key_len: usize, value_len: usize, expires: bool) -> Header {
        debug_assert!(value_len < 1 << 11 && db < 16);
        let key_len = key_len.min(SHORT_KEY_MAX + 1) as u64;
        Header(
            shape as u64
                | if expires { EXPIRES } else { 0 }
                | (db as u64) << 6
                | key_len << 10
                | (value_len as u64) << 18,
        )
    }

    /// A hole of `units` units, linked to `prev`.
    pub fn hole(units: usize, prev: u32) -> Header {
        Header((units as u64) << 16 | (prev as u64) << 32)
    }

    /// The header of a piece behind `before`.
    pub fn piece(before: u32) -> Header {
        Header(Shape::Piece as u64).with_piece_before(before)
    }

    pub fn shape(self) -> Shape {
        match self.0 & SHAPE_MASK {
            1 => Shape::Bytes,
            2 => Shape::Edited,
            3 => Shape::Int,
            4 => Shape::Heap,
            5 => Shape::Pieces,
            6 => Shape::Piece,
            7 => Shape::Object,
            _ => Shape::Free,
        }
    }

    pub fn is_hole(self) -> bool {
        self.0 & SHAPE_MASK == 0
    }

    pub fn hole_units(self) -> usize {
        (self.0 >> 16 & 0xFFFF) as usize
    }

    pub fn hole_prev(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// What stands before a piece of a value.
    pub fn piece_before(self) -> u32 {
        (self.0 >> 32) as u32
    }

    pub fn with_piece_before(self, before: u32) -> Header {
        Header(self.0 & u64::from(u32::MAX) | u64::from(before) << 32)
    }

    pub fn era(self) -> bool {
        self.0 & ERA != 0
    }

    pub fn with_era(self, era: bool) -> Header {
        Header(if era { self.0 | ERA } else { self.0 & !ERA })
    }

    pub fn prev_free(self) -> bool {
        self.0 & PREV_FREE != 0
    }

    pub fn with_prev_free(self, free: bool) -> Header {
        Header(if free { self.0 | PREV_FREE } else { self.0 & !PREV_FREE })
    }

    pub fn expires(self) -> bool {
        self.0 & EXPIRES != 0
    }

    pub fn with_expires(self, expires: bool) -> Header {
        Header(if expires { self.0 | EXPIRES } else { self.0 & !EXPIRES })
    }

    pub fn with_shape(self, shape: Shape) -> Header {
        Header(self.0 & !SHAPE_MASK | shape as u64)
    }

    pub fn db(self) -> u8 {
        (self.0 >> 6 & 15) as u8
    }

    /// The key length as far as it fits: 255 stands for "longer".
    pub fn key_len(self) -> usize {
        (self.0 >> 10 & 0xFF) as usize
    }

    pub fn value_len(self) -> usize {
        (self.0 >> 18 & 0x7FF) as usize
    }

    pub fn policy(self) -> Policy {
        Policy((self.0 >> POLICY_SHIFT & POLICY_MASK) as u32)
    }

    pub fn with_policy(self, policy: Policy) -> Header {
        debug_assert!(policy.0 as u64 <= POLICY_MASK);
        Header(self.0 & !(POLICY_MASK << POLICY_SHIFT) | (policy.0 as u64) << POLICY_SHIFT)
    }

    /// The access clock when the record was last touched, modulo 4 096 steps.
    pub fn clock(self) -> u16 {
        (self.0 >> CLOCK_SHIFT) as u16
    }

    pub fn with_clock(self, clock: u16) -> Header {
        debug_assert!(clock < 1 << 12);
        Header(self.0 & ((1 << CLOCK_SHIFT) - 1) | (clock as u64) << CLOCK_SHIFT)
    }
}

/// The 23 bits that belong to the eviction policy in force.
///
/// `allkeys-larder`: applied accesses `f` (4 bits), hits since then `p` (4), queue (7), chunk (8).
/// LRU policies: the time of the last access. LFU policies: an 8-bit counter and the minute of its last decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Policy(pub u32);

impl Policy {
    pub fn larder(f: u8, p: u8, queue: u8, chunk: u8) -> Policy {
        debug_assert!(f < 16 && p < 16 && queue < 128);
        Policy(f as u32 | (p as u32) << 4 | (queue as u32) << 8 | (chunk as u32) << 15)
    }

    pub fn f(self) -> u8 {
        (self.0 & 15) as u8
    }

    pub fn p(self) -> u8 {
        (self.0 >> 4 & 15) as u8
    }

    pub fn queue(self) -> u8 {
        (self.0 >> 8 & 127) as u8
    }

    pub fn chunk(self) -> u8 {
        (self.0 >> 15 & 255) as u8
    }

    /// One hit more, up to 15.
    pub fn hit(self) -> Policy {
        if self.p() < 15 { Policy(self.0 + (1 << 4)) } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_touch_each_other() {
        let header = Header::record(Shape::Int, 15, 300, 2047, true)
            .with_policy(Policy::larder(15, 14, 127, 255))
            .with_clock(4095)
            .with_prev_free(true)
            .with_era(true);
        assert_eq!(header.shape(), Shape::Int);
        assert_eq!(header.with_shape(Shape::Object).with_shape(Shape::Int), header);
        assert!(header.era() && !header.with_era(false).era());
        assert_eq!((header.db(), header.key_len(), header.value_len()), (15, 255, 2047));
        assert!(header.expires() && header.prev_free() && !header.is_hole());
        let policy = header.policy();
        assert_eq!((policy.f(), policy.p(), policy.queue(), policy.chunk()), (15, 14, 127, 255));
        assert_eq!(policy.hit().hit().p(), 15);
        assert_eq!(policy.hit().queue(), 127);
        assert_eq!(header.clock(), 4095);
        assert_eq!(header.with_clock(0).with_policy(Policy(0)).value_len(), 2047);
    }
}
