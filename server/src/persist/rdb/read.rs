//! What is left to read of a payload or a file, and the parts that all values are made of.

use std::borrow::Cow;
use std::fmt;

use super::write::{ENCODED_INT8, ENCODED_INT16, ENCODED_INT32, ENCODED_LZF};
use crate::base::lzf;
use crate::base::number::{Digits, parse_f64};

/// Why no value could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadError {
    /// The bytes end too early, or contradict themselves: wrong lengths, unknown forms, members that come twice.
    Corrupt,
    /// A collection without elements, which no key holds. Redis refuses it in RESTORE, and passes over its key in a file.
    Empty,
    /// There is no such type, or none that is read in this version: a module's value, or something newer.
    UnknownType(u8),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Corrupt => f.write_str("a value that is cut short or contradicts itself"),
            LoadError::Empty => f.write_str("a collection without elements"),
            LoadError::UnknownType(kind) => write!(f, "a value of the unknown type {kind}"),
        }
    }
}

impl std::error::Error for LoadError {}

/// What the methods of [`Reader`] give.
pub type Loaded<T> = Result<T, LoadError>;

/// What is left to read. Every method takes its part off the front; after an error the rest is of no use.
///
/// Memory is only taken for bytes that are there, or that LZF can make of them (88 for one at most).
pub struct Reader<'a> {
    rest: &'a [u8],
    version: u16,
}

impl<'a> Reader<'a> {
    /// Bytes of a format: the number in the footer of a payload or in the head of a file.
    pub fn new(bytes: &'a [u8], version: u16) -> Self {
        Self { rest: bytes, version }
    }

    /// The format's number, which says what [`super::kind::HASH_2`] means.
    pub fn version(&self) -> u16 {
        self.version
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// A string in any form; plain ones are not copied.
    pub fn string(&mut self) -> Loaded<Cow<'a, [u8]>> {
        match *self.rest.first().ok_or(LoadError::Corrupt)? {
            ENCODED_INT8 => self.encoded().map(|bytes| decimal(i8::from_le_bytes(bytes).into())),
            ENCODED_INT16 => self.encoded().map(|bytes| decimal(i16::from_le_bytes(bytes).into())),
            ENCODED_INT32 => self.encoded().map(|bytes| decimal(i32::from_le_bytes(bytes).into())),
            ENCODED_LZF => self.compressed().map(Cow::Owned),
            _ => {
                let length = self.length()?;
                self.bytes(length).map(Cow::Borrowed)
            }
        }
    }

    /// A length in any of its four sizes, needlessly long ones included.
    pub fn length(&mut self) -> Loaded<u64> {
        let first = self.byte()?;
        match first >> 6 {
            0 => Ok(first.into()),
            1 => Ok(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            _ => match first {
                0x80 => self.chunk().map(|bytes| u32::from_be_bytes(bytes).into()),
                0x81 => self.chunk().map(u64::from_be_bytes),
                _ => Err(LoadError::Corrupt),
            },
        }
    }

    /// How many elements a collection has, of which there is at least one.
    pub(super) fn count(&mut self) -> Loaded<u64> {
        match self.length()? {
            0 => Err(LoadError::Empty),
            count => Ok(count),
        }
    }

    /// A time in milliseconds since 1970, in eight bytes.
    pub fn millis(&mut self) -> Loaded<i64> {
        self.chunk().map(i64::from_le_bytes)
    }

    /// A double in eight bytes, or NaN.
    pub(super) fn double(&mut self) -> Loaded<f64> {
        self.chunk().map(f64::from_le_bytes)
    }

    /// A double as text, whose length is one byte; three lengths mean what is no number.
    pub(super) fn text_double(&mut self) -> Loaded<f64> {
        const NAN: u8 = 253;
        const INFINITY: u8 = 254;
        const NEGATIVE_INFINITY: u8 = 255;
        match self.byte()? {
            NAN => Ok(f64::NAN),
            INFINITY => Ok(f64::INFINITY),
            NEGATIVE_INFINITY => Ok(f64::NEG_INFINITY),
            length => parse_f64(self.bytes(length.into())?).ok_or(LoadError::Corrupt),
        }
    }

    fn compressed(&mut self) -> Loaded<Vec<u8>> {
        self.byte()?;
        let packed_length = self.length()?;
        let length = usize::try_from(self.length()?).map_err(|_| LoadError::Corrupt)?;
        lzf::decompress(self.bytes(packed_length)?, length).map_err(|_| LoadError::Corrupt)
    }

    fn encoded<const N: usize>(&mut self) -> Loaded<[u8; N]> {
        self.byte()?;
        self.chunk()
    }

    /// One byte, such as a type.
    pub fn byte(&mut self) -> Loaded<u8> {
        self.chunk().map(|[byte]| byte)
    }

    /// As many bytes as the caller's type says.
    pub fn chunk<const N: usize>(&mut self) -> Loaded<[u8; N]> {
        let (chunk, rest) = self.rest.split_first_chunk().ok_or(LoadError::Corrupt)?;
        self.rest = rest;
        Ok(*chunk)
    }

    /// So many bytes.
    pub fn bytes(&mut self, length: u64) -> Loaded<&'a [u8]> {
        let length = usize::try_from(length).map_err(|_| LoadError::Corrupt)?;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(LoadError::Corrupt)?;
        self.rest = rest;
        Ok(bytes)
    }
}

fn decimal(value: i64) -> Cow<'static, [u8]> {
    Cow::Owned(Digits::new().format(value).as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::super::write::push_length;
    use super::*;

    #[test]
    fn lengths_have_four_sizes() {
        for (length, bytes) in [
            (0, &b"\x00"[..]),
            (63, b"\x3f"),
            (64, b"\x40\x40"),
            (16_383, b"\x7f\xff"),
            (16_384, b"\x80\x00\x00\x40\x00"),
            (0xffff_ffff, b"\x80\xff\xff\xff\xff"),
            (0x1_0000_0000, b"\x81\x00\x00\x00\x01\x00\x00\x00\x00"),
        ] {
            let mut out = Vec::new();
            push_length(&mut out, length);
            assert_eq!(out, bytes);
            assert_eq!(Reader::new(bytes, 11).length(), Ok(length));
        }
    }

    #[test]
    fn doubles_as_text_have_three_lengths_of_their_own() {
        let cases: [(&[u8], Loaded<f64>); 7] = [
            (b"\x011", Ok(1.0)),
            (b"\x130.10000000000000001", Ok(0.1)),
            (b"\xfe", Ok(f64::INFINITY)),
            (b"\xff", Ok(f64::NEG_INFINITY)),
            (b"\x00", Err(LoadError::Corrupt)),
            (b"\x02x1", Err(LoadError::Corrupt)),
            (b"\x051", Err(LoadError::Corrupt)),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Reader::new(bytes, 11).text_double(), expected, "{}", bytes.escape_ascii());
        }
        assert!(Reader::new(b"\xfd", 11).text_double().is_ok_and(f64::is_nan));
    }
}
