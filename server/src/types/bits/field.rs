//! BITFIELD's integers of any width, anywhere in a string, their highest bit first.

use super::bytes_for;
use crate::base::number;

/// The kind of an integer in a string: `i1` to `i64`, `u1` to `u63`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    is_signed: bool,
    /// 1 to 64.
    width: u32,
}

impl Kind {
    /// Reads a kind such as `i16`; there is no `u64`, since replies are signed.
    pub fn parse(text: &[u8]) -> Option<Kind> {
        let (is_signed, digits, width_max) = match text {
            [b'i', digits @ ..] => (true, digits, 64),
            [b'u', digits @ ..] => (false, digits, 63),
            _ => return None,
        };
        // A C string ends at its first NUL, which Redis does not look behind.
        let digits = digits.split(|&byte| byte == 0).next().unwrap_or_default();
        let width = number::parse_i64(digits).filter(|width| (1..=width_max).contains(width))?;
        Some(Kind { is_signed, width: width as u32 })
    }

    /// Bits, 1 to 64.
    pub fn width(self) -> u32 {
        self.width
    }

    /// The greatest integer of the kind.
    fn max(self) -> i64 {
        let unused = 64 - self.width;
        if self.is_signed { i64::MAX >> unused } else { (u64::MAX >> unused) as i64 }
    }

    fn min(self) -> i64 {
        if self.is_signed { !self.max() } else { 0 }
    }

    /// The low bits of a number as an integer of the kind.
    fn wrap(self, number: i64) -> i64 {
        let unused = 64 - self.width;
        if self.is_signed { number << unused >> unused } else { ((number as u64) << unused >> unused) as i64 }
    }
}

/// What becomes of an integer that the kind cannot hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// Its low bits stay.
    #[default]
    Wrap,
    /// The kind's nearest one takes its place.
    Saturate,
    /// Nothing is changed.
    Fail,
}

/// The integer at `offset`, in bits.
pub fn get(bytes: &[u8], offset: u64, kind: Kind) -> i64 {
    let (word, shift) = read(bytes, offset, kind);
    kind.wrap((word >> shift) as i64)
}

/// Writes an integer and gives the one that was there; `None` if it overflows and must not.
///
/// # Panics
///
/// If the string is too short: see [`bytes_for`].
pub fn set(bytes: &mut [u8], offset: u64, kind: Kind, number: i64, overflow: Overflow) -> Option<i64> {
    let old = get(bytes, offset, kind);
    // To an unsigned kind, a negative number is one above 2^63.
    let number = match Range::of(number, 0, kind) {
        Range::Within => Some(number),
        Range::Above => resolve(number, kind.max(), kind, overflow),
        Range::Below => resolve(number, kind.min(), kind, overflow),
    }?;
    write(bytes, offset, kind, number);
    Some(old)
}

/// Adds to an integer and gives the sum; `None` if it overflows and must not.
///
/// # Panics
///
/// If the string is too short: see [`bytes_for`].
pub fn increment(bytes: &mut [u8], offset: u64, kind: Kind, by: i64, overflow: Overflow) -> Option<i64> {
    let old = get(bytes, offset, kind);
    let sum = old.wrapping_add(by);
    let sum = match Range::of(old, by, kind) {
        Range::Within => Some(sum),
        Range::Above => resolve(sum, kind.max(), kind, overflow),
        Range::Below => resolve(sum, kind.min(), kind, overflow),
    }?;
    write(bytes, offset, kind, sum);
    Some(sum)
}

/// Where a sum lies, seen from the integers of a kind.
enum Range {
    Below,
    Within,
    Above,
}

impl Range {
    fn of(number: i64, by: i64, kind: Kind) -> Range {
        if kind.is_signed { Range::of_signed(number, by, kind) } else { Range::of_unsigned(number, by, kind) }
    }

    fn of_signed(number: i64, by: i64, kind: Kind) -> Range {
        // Redis computes the room above a number in 64 bits, so one that is further than 2^63 below the kind's greatest
        // counts as above it, and is saturated to the greatest. Only SET can bring such a number.
        let room_wraps = kind.width < 64 && kind.max().checked_sub(number).is_none();
        let sum = i128::from(number) + i128::from(by);
        match () {
            () if sum > i128::from(kind.max()) || room_wraps => Range::Above,
            () if sum < i128::from(kind.min()) => Range::Below,
            () => Range::Within,
        }
    }

    fn of_unsigned(number: i64, by: i64, kind: Kind) -> Range {
        let sum = i128::from(number as u64) + i128::from(by);
        match () {
            () if sum > i128::from(kind.max()) => Range::Above,
            () if sum < 0 => Range::Below,
            () => Range::Within,
        }
    }
}

fn resolve(number: i64, nearest: i64, kind: Kind, overflow: Overflow) -> Option<i64> {
    match overflow {
        Overflow::Wrap => Some(kind.wrap(number)),
        Overflow::Saturate => Some(nearest),
        Overflow::Fail => None,
    }
}

/// The bytes that an integer touches, at most nine, as one number; and how far it is shifted in there.
fn read(bytes: &[u8], offset: u64, kind: Kind) -> (u128, u64) {
    let (start, end) = (offset as usize / 8, bytes_for(offset, kind.width));
    let word = (start..end).fold(0, |word, at| word << 8 | u128::from(bytes.get(at).copied().unwrap_or(0)));
    (word, end as u64 * 8 - offset - u64::from(kind.width))
}

fn write(bytes: &mut [u8], offset: u64, kind: Kind, number: i64) {
    let (word, shift) = read(bytes, offset, kind);
    let mask = (1 << kind.width) - 1u128;
    let mut word = word & !(mask << shift) | (u128::from(number as u64) & mask) << shift;
    let touched = offset as usize / 8..bytes_for(offset, kind.width);
    for byte in bytes[touched].iter_mut().rev() {
        *byte = word as u8;
        word >>= 8;
    }
}

#[cfg(test)]
mod tests {
    use super::super::get_bit;
    use super::*;
    use proptest::prelude::*;

    fn kind(text: &str) -> Kind {
        Kind::parse(text.as_bytes()).expect("it is a kind")
    }

    #[test]
    fn kinds_have_a_sign_and_a_width() {
        assert_eq!((kind("i64").width(), kind("u1").width()), (64, 1));
        for text in ["", "i", "u", "i0", "i65", "u64", "u08", "I8", "8", "i-1", "u 8"] {
            assert_eq!(Kind::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Kind::parse(b"u8\0x"), Kind::parse(b"u8"));
    }

    #[test]
    fn overflow_is_as_redis_has_it() {
        use Overflow::{Fail, Saturate, Wrap};
        // The kind, what is set, and then what GET answers (redis-server 7.0.15).
        let cases = [
            ("i8", i64::MIN, Saturate, 127),
            ("i8", -9_223_372_036_854_775_681, Saturate, 127),
            ("i8", -9_223_372_036_854_775_680, Saturate, -128),
            ("i8", -129, Saturate, -128),
            ("u8", -1, Saturate, 255),
            ("u8", -1, Wrap, 255),
            ("i8", 200, Wrap, -56),
            ("i64", i64::MIN, Saturate, i64::MIN),
            ("u63", i64::MAX, Fail, i64::MAX),
        ];
        for (name, number, overflow, after) in cases {
            let mut bytes = [0; 8];
            assert_eq!(set(&mut bytes, 0, kind(name), number, overflow), Some(0));
            assert_eq!(get(&bytes, 0, kind(name)), after, "{name} {number}");
        }
        let mut bytes = [7; 2];
        assert_eq!(set(&mut bytes, 3, kind("i8"), 128, Fail), None);
        assert_eq!(increment(&mut bytes, 3, kind("u4"), -20, Fail), None);
        assert_eq!(bytes, [7; 2]);
        assert_eq!(increment(&mut bytes, 3, kind("u4"), -20, Saturate), Some(0));
        assert_eq!(increment(&mut bytes, 3, kind("u4"), -1, Wrap), Some(15));
    }

    #[test]
    fn an_integer_beyond_the_end_is_zero() {
        assert_eq!(get(b"\xff", 4, kind("u8")), 0xf0);
        assert_eq!(get(b"\xff", 4_294_967_295, kind("i64")), 0);
    }

    proptest! {
        #[test]
        fn an_integer_reads_back_and_touches_nothing_else(
            before in prop::collection::vec(any::<u8>(), 20),
            offset in 0..90u64,
            is_signed: bool,
            width in 1..=63u32,
            number: i64,
        ) {
            let kind = Kind { is_signed, width };
            let mut bytes = before.clone();
            let old = get(&before, offset, kind);
            prop_assert_eq!(set(&mut bytes, offset, kind, number, Overflow::Wrap), Some(old));
            prop_assert_eq!(get(&bytes, offset, kind), kind.wrap(number));
            prop_assert!((kind.min()..=kind.max()).contains(&kind.wrap(number)));
            for bit in (0..160).filter(|bit| !(offset..offset + u64::from(width)).contains(bit)) {
                prop_assert_eq!(get_bit(&before, bit), get_bit(&bytes, bit));
            }
            // One bit after the other makes the same number.
            let bits = (offset..offset + u64::from(width)).map(|bit| i64::from(get_bit(&bytes, bit)));
            let bits = bits.fold(0, |sum, bit| sum << 1 | bit);
            prop_assert_eq!(kind.wrap(bits), kind.wrap(number));
            prop_assert_eq!(set(&mut bytes, offset, kind, old, Overflow::Fail), Some(kind.wrap(number)));
            prop_assert_eq!(bytes, before);
        }

        #[test]
        fn sums_are_those_of_wider_integers(old: i64, by: i64, is_signed: bool, width in 1..=64u32) {
            let kind = Kind { is_signed, width: if is_signed { width } else { width.min(63) } };
            let old = kind.wrap(old);
            let sum = i128::from(old) + i128::from(by);
            let nearest = sum.clamp(i128::from(kind.min()), i128::from(kind.max())) as i64;
            let start = {
                let mut bytes = [0; 8];
                set(&mut bytes, 0, kind, old, Overflow::Fail);
                bytes
            };
            let added = |overflow| increment(&mut start.clone(), 0, kind, by, overflow);
            prop_assert_eq!(added(Overflow::Saturate), Some(nearest));
            prop_assert_eq!(added(Overflow::Wrap), Some(kind.wrap(sum as i64)));
            prop_assert_eq!(added(Overflow::Fail), (i128::from(nearest) == sum).then_some(nearest));
        }
    }
}
