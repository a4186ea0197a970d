//! Zipmaps: small hashes of Redis 2.4. They are read, and never written.
//!
//! ```text
//! zipmap = count entry* 0xff                                        254 and above: as many as there are
//! entry  = length field length unused value byte{unused}            a length is one byte, or 0xfe and four
//! ```
//! Source: the description in Redis's `zipmap.c`.

use super::read::{LoadError, Loaded};

const END: u8 = 0xff;
const LENGTH_LONG: u8 = 0xfe;
const COUNT_UNKNOWN: u8 = 0xfe;

/// A zipmap that was found to be sound from end to end.
pub(super) struct Zipmap<'a> {
    entries: &'a [u8],
}

impl<'a> Zipmap<'a> {
    /// Checks end, count and every entry.
    pub(super) fn open(bytes: &'a [u8]) -> Loaded<Zipmap<'a>> {
        Zipmap::parse(bytes).ok_or(LoadError::Corrupt)
    }

    fn parse(bytes: &'a [u8]) -> Option<Zipmap<'a>> {
        let (&count, rest) = bytes.split_first()?;
        let (_, entries) = rest.split_last().filter(|&(&end, _)| end == END)?;
        let (mut len, mut rest) = (0, entries);
        while !rest.is_empty() {
            (_, _, rest) = step(rest)?;
            len += 1;
        }
        (count >= COUNT_UNKNOWN || usize::from(count) == len).then_some(Zipmap { entries })
    }

    /// Fields and values in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.entries;
        std::iter::from_fn(move || {
            let (field, value, behind) = step(rest)?;
            rest = behind;
            Some((field, value))
        })
    }
}

/// The first field, its value, and what is behind them.
fn step(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (length, rest) = length(bytes)?;
    let (field, rest) = rest.split_at_checked(length)?;
    let (length, rest) = self::length(rest)?;
    let (&unused, rest) = rest.split_first()?;
    let (value, rest) = rest.split_at_checked(length)?;
    Some((field, value, rest.get(usize::from(unused)..)?))
}

fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match bytes.split_first()? {
        (&END, _) => None,
        (&LENGTH_LONG, rest) => rest.split_first_chunk().map(|(long, rest)| (u32::from_le_bytes(*long) as usize, rest)),
        (&short, rest) => Some((usize::from(short), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
        Some(Zipmap::open(bytes).ok()?.iter().collect())
    }

    #[test]
    fn entries_are_read_past_unused_bytes() {
        let zipmap = b"\x02\x03foo\x03\x00bar\x05hello\x05\x02worldxx\xff";
        assert_eq!(entries(zipmap), Some(vec![(&b"foo"[..], &b"bar"[..]), (b"hello", b"world")]));
        assert_eq!(entries(b"\x00\xff"), Some(vec![]));
        let long = [&b"\xfe\x01f\xfe\x00\x01\x00\x00\x00"[..], &[b'v'; 256], b"\xff"].concat();
        assert_eq!(entries(&long), Some(vec![(&b"f"[..], &[b'v'; 256][..])]));
    }

    #[test]
    fn a_damaged_zipmap_is_refused() {
        let bad: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x01\xff",
            b"\x01\x03foo\x03\x00bar",
            b"\x01\x03foo\x03\x01bar\xff",
            b"\x02\x03foo\x03\x00bar\xff",
            b"\x01\x03foo\xff\x00bar\xff",
            b"\x01\xfe\xff\xff\xff\xfffoo\x03\x00bar\xff",
        ];
        for bytes in bad {
            assert_eq!(entries(bytes), None, "{}", bytes.escape_ascii());
        }
    }
}
