//! Hash slots: which of the 16384 parts of the key space a key belongs to.
//!
//! The rule is that of the Redis Cluster specification ("Key distribution model" and "Hash tags"), so that every cluster
//! client finds the same slot as the server: CRC16 in its XMODEM form, over the key or over its hash tag, modulo 16384.
//! The server computes it once for every key of every command, hence the tables that take sixteen bytes at a time.

use std::fmt;

/// How many slots there are.
pub const SLOTS: u16 = 16384;

/// One of the [`SLOTS`] parts of the key space.
///
/// The number inside is always below [`SLOTS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u16);

impl Slot {
    /// The slot with this number, or `None` if there is no such slot.
    pub const fn new(number: u16) -> Option<Self> {
        if number < SLOTS { Some(Self(number)) } else { None }
    }

    /// Its number, from 0 to 16383.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// Its number as an index into a table of [`SLOTS`] rows.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All slots in ascending order.
    pub fn all() -> impl ExactSizeIterator<Item = Self> + DoubleEndedIterator {
        (0..SLOTS).map(Self)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The slot of `key`.
///
/// Keys that share a hash tag share a slot: see [`hashed_part`].
#[inline]
pub fn of(key: &[u8]) -> Slot {
    Slot(crc16(hashed_part(key)) % SLOTS)
}

/// The part of `key` that decides its slot: what stands between the first `{` and the first `}` after it, if that is not
/// empty, and otherwise the whole key.
#[inline]
pub fn hashed_part(key: &[u8]) -> &[u8] {
    if has_open_brace(key) { tag(key).unwrap_or(key) } else { key }
}

/// What stands between the braces; `None` if they are not closed or hold nothing.
#[cold]
fn tag(key: &[u8]) -> Option<&[u8]> {
    let start = key.iter().position(|&byte| byte == b'{')? + 1;
    let len = key[start..].iter().position(|&byte| byte == b'}')?;
    (len > 0).then(|| &key[start..start + len])
}

/// Whether there is a `{` anywhere. Most keys have none, and eight bytes are ruled out at a time: a byte of `word` is zero
/// exactly where the key has a brace, and the classic borrow trick finds a zero byte.
#[inline]
fn has_open_brace(key: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const BRACES: u64 = ONES * b'{' as u64;
    let (words, rest) = key.as_chunks::<8>();
    let mut found = 0;
    for word in words {
        let word = u64::from_le_bytes(*word) ^ BRACES;
        found |= word.wrapping_sub(ONES) & !word & (ONES << 7);
    }
    found != 0 || rest.contains(&b'{')
}

/// CRC16 as XMODEM has it: polynomial 0x1021, start 0, nothing reflected.
#[inline]
pub fn crc16(bytes: &[u8]) -> u16 {
    let (blocks, rest) = bytes.as_chunks::<16>();
    let crc = blocks.iter().fold(0, step);
    let (blocks, rest) = rest.as_chunks::<8>();
    let crc = blocks.iter().fold(crc, step);
    rest.iter().fold(crc, |crc, &byte| (crc << 8) ^ TABLES[0][usize::from((crc >> 8) as u8 ^ byte)])
}

/// Takes a block of at least two bytes into `crc`. Each byte is looked up in the table that knows how many bytes follow
/// it in the block, so the lookups do not wait for one another.
#[inline]
fn step<const LEN: usize>(crc: u16, block: &[u8; LEN]) -> u16 {
    let mut block = *block;
    let [high, low] = crc.to_be_bytes();
    block[0] ^= high;
    block[1] ^= low;
    let mut sum = 0;
    for (position, &byte) in block.iter().enumerate() {
        sum ^= TABLES[LEN - 1 - position][usize::from(byte)];
    }
    sum
}

/// `TABLES[n][b]` is the CRC of the byte `b` followed by `n` zero bytes: 8 KiB in all.
static TABLES: [[u16; 256]; 16] = tables();

const fn tables() -> [[u16; 256]; 16] {
    let mut tables = [[0; 256]; 16];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut zeros = 1;
    while zeros < 16 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[zeros - 1][byte];
            tables[zeros][byte] = (before << 8) ^ tables[0][(before >> 8) as usize];
            byte += 1;
        }
        zeros += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The check value that catalogues of CRCs give for XMODEM.
    #[test]
    fn crc_has_the_check_value_of_xmodem() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }

    /// What `CLUSTER KEYSLOT` answers.
    #[test]
    fn keys_fall_where_a_redis_cluster_puts_them() {
        let known: &[(&[u8], u16)] = &[
            (b"", 0),
            (b"a", 15495),
            (b"foo", 12182),
            (b"bar", 5061),
            (b"123456789", 12739),
            (b"hello", 866),
            (b"{user1000}.following", 3443),
            (b"foo{}{bar}", 8363),
            (b"foo{{bar}}zap", 4015),
            (b"foo{bar}{zap}", 5061),
            (b"foo{bar", 15278),
            (b"sixteen-byte-key", 15208),
            (b"sixteen-byte-keysixteen-byte-key!", 5367),
            (b"a-key-of-24-bytes-length", 15861),
            (b"{}", 15257),
        ];
        for &(key, slot) in known {
            assert_eq!(of(key).number(), slot, "key {:?}", key.escape_ascii().to_string());
        }
    }

    #[test]
    fn keys_with_one_tag_share_a_slot() {
        assert_eq!(of(b"{user1000}.following"), of(b"{user1000}.followers"));
        assert_eq!(of(b"{user1000}.following"), of(b"user1000"));
    }

    #[test]
    fn only_the_first_closed_and_filled_braces_are_a_tag() {
        assert_eq!(hashed_part(b"foo{}{bar}"), b"foo{}{bar}");
        assert_eq!(hashed_part(b"foo{{bar}}zap"), b"{bar");
        assert_eq!(hashed_part(b"foo{bar}{zap}"), b"bar");
        assert_eq!(hashed_part(b"}{a}"), b"a");
        assert_eq!(hashed_part(b"foo{bar"), b"foo{bar");
        assert_eq!(hashed_part(b"foo}bar{"), b"foo}bar{");
        assert_eq!(hashed_part(b""), b"");
    }

    #[test]
    fn numbers_beyond_the_last_slot_are_no_slots() {
        assert_eq!(Slot::new(16383).map(Slot::number), Some(16383));
        assert_eq!(Slot::new(16384), None);
        assert_eq!(Slot::all().len(), 16384);
    }

    /// The definition, one bit at a time.
    fn crc16_by_bits(bytes: &[u8]) -> u16 {
        let mut crc = 0u16;
        for &byte in bytes {
            crc ^= u16::from(byte) << 8;
            for _ in 0..8 {
                crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
            }
        }
        crc
    }

    /// The rule of hash tags as the specification words it.
    fn hashed_part_by_the_book(key: &[u8]) -> &[u8] {
        let Some(open) = key.iter().position(|&byte| byte == b'{') else {
            return key;
        };
        let Some(close) = key.iter().skip(open + 1).position(|&byte| byte == b'}') else {
            return key;
        };
        if close == 0 { key } else { &key[open + 1..open + 1 + close] }
    }

    proptest! {
        #[test]
        fn tables_agree_with_the_definition(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(crc16(&bytes), crc16_by_bits(&bytes));
        }

        #[test]
        fn tags_agree_with_the_definition(key in "[a{}z|\u{7f}]{0,40}") {
            prop_assert_eq!(hashed_part(key.as_bytes()), hashed_part_by_the_book(key.as_bytes()));
        }
    }
}
