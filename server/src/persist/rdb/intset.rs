//! Sets of integers as one sorted array.
//!
//! ```text
//! intset = width:u32 members:u32 member*         width: 2, 4 or 8 bytes; everything is little-endian
//! ```

use super::read::{LoadError, Loaded};

const HEAD: usize = 8;

/// The array of members that ascend. They are as wide as the widest needs; Redis's own are as wide as it ever was.
pub(super) fn collect(members: &[i64]) -> Vec<u8> {
    let width = members.iter().map(|&member| width_of(member)).max().unwrap_or(2);
    let mut out = Vec::with_capacity(HEAD + members.len() * width);
    out.extend_from_slice(&(width as u32).to_le_bytes());
    out.extend_from_slice(&(members.len() as u32).to_le_bytes());
    for member in members {
        out.extend_from_slice(&member.to_le_bytes()[..width]);
    }
    out
}

fn width_of(value: i64) -> usize {
    match value {
        -0x8000..=0x7fff => 2,
        -0x8000_0000..=0x7fff_ffff => 4,
        _ => 8,
    }
}

/// The members of an array, which must ascend, each once; there is at least one.
pub(super) fn open(bytes: &[u8]) -> Loaded<impl ExactSizeIterator<Item = i64> + Clone + '_> {
    parse(bytes)
        .filter(|members| members.len() > 0 && members.clone().is_sorted_by(|a, b| a < b))
        .ok_or(LoadError::Corrupt)
}

fn parse(bytes: &[u8]) -> Option<impl ExactSizeIterator<Item = i64> + Clone + '_> {
    let (width, rest) = bytes.split_first_chunk()?;
    let (count, members) = rest.split_first_chunk()?;
    let (width, count) = (u32::from_le_bytes(*width) as usize, u32::from_le_bytes(*count) as usize);
    let is_whole = matches!(width, 2 | 4 | 8) && count.checked_mul(width) == Some(members.len());
    is_whole.then(|| members.chunks_exact(width).map(integer))
}

/// A little-endian integer of 2, 4 or 8 bytes with its sign.
fn integer(bytes: &[u8]) -> i64 {
    let mut wide = [0; 8];
    wide[8 - bytes.len()..].copy_from_slice(bytes);
    i64::from_le_bytes(wide) >> (8 * (8 - bytes.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(bytes: &[u8]) -> Option<Vec<i64>> {
        Some(open(bytes).ok()?.collect())
    }

    #[test]
    fn the_widest_member_decides_the_width() {
        for (all, width) in [(vec![-5, 0, 32_767], 2), (vec![-32_769, 1], 4), (vec![i64::MIN, 0, i64::MAX], 8)] {
            let bytes = collect(&all);
            assert_eq!((bytes[0], bytes.len()), (width, HEAD + all.len() * usize::from(width)));
            assert_eq!(members(&bytes), Some(all));
        }
        assert_eq!(members(b"\x04\0\0\0\x01\0\0\0\xff\xff\xff\xff"), Some(vec![-1]), "wider than it need be");
    }

    #[test]
    fn a_damaged_array_is_refused() {
        let bad: [&[u8]; 8] = [
            b"",
            b"\x02\0\0\0\x01\0\0",
            b"\x02\0\0\0\0\0\0\0",
            b"\x03\0\0\0\x01\0\0\0\x01\0\0",
            b"\x02\0\0\0\x02\0\0\0\x01\0",
            b"\x02\0\0\0\x01\0\0\0\x01\0\x02\0",
            b"\x02\0\0\0\x02\0\0\0\x02\0\x01\0",
            b"\x02\0\0\0\x02\0\0\0\x01\0\x01\0",
        ];
        for bytes in bad {
            assert_eq!(members(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
