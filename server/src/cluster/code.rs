//! Bytes that nodes exchange and keep: numbers as LEB128, texts and lists with their lengths before them. Whatever comes,
//! reading it neither panics nor takes more memory than the bytes that are there.

use super::id::{ID_BYTES, Id};
use std::fmt;

/// Why bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodeError {
    /// They end too early.
    Short,
    /// So many are left over.
    Rest(usize),
    /// They are of a version of which this node knows nothing.
    Version { found: u8, known: u8 },
    /// Something is not what it can be.
    Wrong(&'static str),
}

impl fmt::Display for CodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodeError::Short => write!(f, "it ends too early"),
            CodeError::Rest(bytes) => write!(f, "{bytes} bytes are left over at its end"),
            CodeError::Version { found, known } => {
                write!(f, "it is of version {found}, and this node knows versions up to {known}: it is too old")
            }
            CodeError::Wrong(what) => write!(f, "{what}"),
        }
    }
}

impl std::error::Error for CodeError {}

/// Writes values behind each other.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn byte(&mut self, byte: u8) -> &mut Writer {
        self.0.push(byte);
        self
    }

    pub fn flag(&mut self, flag: bool) -> &mut Writer {
        self.byte(flag.into())
    }

    pub fn number(&mut self, mut number: u64) -> &mut Writer {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8)
    }

    pub fn text(&mut self, text: &str) -> &mut Writer {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub fn id(&mut self, id: &Id) -> &mut Writer {
        self.0.extend_from_slice(id.bytes());
        self
    }

    /// A list: its length, then each item as `write` does it.
    pub fn list<T>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
        mut write: impl FnMut(&mut Writer, T),
    ) -> &mut Writer {
        self.number(items.len() as u64);
        items.for_each(|item| write(self, item));
        self
    }
}

/// Reads what a [`Writer`] has written.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], CodeError> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(CodeError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Result<u8, CodeError> {
        Ok(self.take(1)?[0])
    }

    pub fn flag(&mut self) -> Result<bool, CodeError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(CodeError::Wrong("a flag is neither 0 nor 1")),
        }
    }

    pub fn number(&mut self) -> Result<u64, CodeError> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(CodeError::Wrong("a number has more than 64 bits"))
    }

    /// A number that has to fit into a smaller type.
    pub fn small<T: TryFrom<u64>>(&mut self) -> Result<T, CodeError> {
        T::try_from(self.number()?).map_err(|_| CodeError::Wrong("a number is too large for its place"))
    }

    pub fn text(&mut self, bytes_max: usize) -> Result<String, CodeError> {
        let bytes: usize = self.small()?;
        if bytes > bytes_max {
            return Err(CodeError::Wrong("a text is longer than it may be"));
        }
        let text = std::str::from_utf8(self.take(bytes)?).map_err(|_| CodeError::Wrong("a text is not UTF-8"))?;
        Ok(text.to_owned())
    }

    pub fn id(&mut self) -> Result<Id, CodeError> {
        let bytes: [u8; ID_BYTES] = self.take(ID_BYTES)?.try_into().map_err(|_| CodeError::Short)?;
        Ok(Id::new(bytes))
    }

    /// A list of at most so many items, each of which takes a byte at least.
    pub fn list<T>(
        &mut self,
        items_max: usize,
        mut read: impl FnMut(&mut Reader<'a>) -> Result<T, CodeError>,
    ) -> Result<Vec<T>, CodeError> {
        let items: usize = self.small()?;
        if items > items_max {
            return Err(CodeError::Wrong("a list is longer than it may be"));
        }
        if items > self.0.len() {
            return Err(CodeError::Short);
        }
        (0..items).map(|_| read(self)).collect()
    }

    /// All that has not been read.
    pub fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// Checks that everything has been read.
    pub fn end(&self) -> Result<(), CodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(CodeError::Rest(self.0.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_have_64_bits() {
        for bytes in [&[0xff; 10][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], &[0x80; 11]] {
            assert!(matches!(Reader::new(bytes).number(), Err(CodeError::Wrong(_))), "{bytes:?}");
        }
        assert_eq!(Reader::new(&[0x80, 0x80]).number(), Err(CodeError::Short));
        assert_eq!(Reader::new(&[0x80, 2]).small::<u8>().ok(), None);
    }

    #[test]
    fn a_list_does_not_take_memory_for_what_is_not_there() {
        let mut writer = Writer::default();
        writer.number(1 << 40);
        assert_eq!(Reader::new(&writer.0).list(usize::MAX, |reader| reader.byte()), Err(CodeError::Short));
        assert_eq!(Reader::new(&[3, 1, 1, 1]).list(2, |reader| reader.byte()).ok(), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number: u64, text in ".{0,40}", items: Vec<u64>, flag: bool) {
            let mut writer = Writer::default();
            writer.number(number).text(&text).flag(flag);
            writer.list(items.iter(), |writer, item| { writer.number(*item); });
            let mut reader = Reader::new(&writer.0);
            prop_assert_eq!(reader.number(), Ok(number));
            prop_assert_eq!(reader.text(1000), Ok(text));
            prop_assert_eq!(reader.flag(), Ok(flag));
            prop_assert_eq!(reader.list(1000, Reader::number), Ok(items));
            prop_assert_eq!(reader.end(), Ok(()));
        }
    }
}
