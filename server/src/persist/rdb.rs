//! The RDB encoding of objects, as in Redis 7.2 (format 11), and the payload of DUMP and RESTORE around one object.
//!
//! An object is one byte for its type and then its parts. Strings, the part that all types are made of, are a length
//! and bytes, or an encoded form: an integer of 8, 16 or 32 bits, or LZF. A DUMP payload ends with the format's number
//! (2 bytes) and the CRC-64 of all before it (8 bytes), both little-endian.
//!
//! Another type is a variant of [`Object`], an arm in [`Reader::object`] and a function beside [`dump_string`].

use crate::base::crc64::crc64;
use crate::base::lzf;
use crate::base::number::{Digits, parse_i64};

/// The format that is written, and the newest that is read.
pub const VERSION: u16 = 11;

/// The type bytes, and the forms of a string in place of its length.
const TYPE_STRING: u8 = 0;
const ENCODED_INT8: u8 = 0xc0;
const ENCODED_INT16: u8 = 0xc1;
const ENCODED_INT32: u8 = 0xc2;
const ENCODED_LZF: u8 = 0xc3;

/// Format number and check sum.
const FOOTER_BYTES: usize = 2 + 8;

/// Longer strings are compressed, if that saves at least [`SAVING_MIN`] bytes.
const PLAIN_MAX: usize = 20;
const SAVING_MIN: usize = 4;

/// The longest text that can be an integer of 32 bits.
const INTEGER_TEXT_MAX: usize = 11;

/// A value as it was written, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {
    String(Vec<u8>),
}

/// Why RESTORE refuses a payload; the texts are Redis's, less `ERR `.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreError {
    /// Too short, written by a newer format, or changed since.
    Footer,
    /// The check sum is right, and yet there is no object of a known type in it.
    Format,
}

impl std::fmt::Display for RestoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RestoreError::Footer => "DUMP payload version or checksum are wrong",
            RestoreError::Format => "Bad data format",
        })
    }
}

impl std::error::Error for RestoreError {}

/// Appends the DUMP payload of a string; `compress` is the setting `rdbcompression`.
pub fn dump_string(out: &mut Vec<u8>, text: &[u8], compress: bool) {
    let start = out.len();
    out.push(TYPE_STRING);
    push_string(out, text, compress);
    push_footer(out, start);
}

/// Ends the payload that began at `start`.
fn push_footer(out: &mut Vec<u8>, start: usize) {
    out.extend_from_slice(&VERSION.to_le_bytes());
    let sum = crc64(0, &out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// Appends a string in its shortest form.
pub fn push_string(out: &mut Vec<u8>, text: &[u8], compress: bool) {
    if push_integer(out, text) || (compress && push_compressed(out, text)) {
        return;
    }
    push_length(out, text.len() as u64);
    out.extend_from_slice(text);
}

/// Appends a text that is an integer of at most 32 bits; false, and nothing is appended, if it is none.
fn push_integer(out: &mut Vec<u8>, text: &[u8]) -> bool {
    if text.len() > INTEGER_TEXT_MAX {
        return false;
    }
    let Some(value) = parse_i64(text) else {
        return false;
    };
    if let Ok(value) = i8::try_from(value) {
        out.push(ENCODED_INT8);
        out.extend_from_slice(&value.to_le_bytes());
    } else if let Ok(value) = i16::try_from(value) {
        out.push(ENCODED_INT16);
        out.extend_from_slice(&value.to_le_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        out.push(ENCODED_INT32);
        out.extend_from_slice(&value.to_le_bytes());
    } else {
        return false;
    }
    true
}

/// Appends `text` compressed; false, and nothing is appended, if that is not worth it.
fn push_compressed(out: &mut Vec<u8>, text: &[u8]) -> bool {
    if text.len() <= PLAIN_MAX {
        return false;
    }
    let Some(packed) = lzf::compress(text, text.len() - SAVING_MIN) else {
        return false;
    };
    out.push(ENCODED_LZF);
    push_length(out, packed.len() as u64);
    push_length(out, text.len() as u64);
    out.extend_from_slice(&packed);
    true
}

/// Appends a length in 1, 2, 5 or 9 bytes; two bits say which, and the rest is big-endian.
pub fn push_length(out: &mut Vec<u8>, length: u64) {
    match length {
        ..0x40 => out.push(length as u8),
        0x40..0x4000 => out.extend_from_slice(&(length as u16 | 0x4000).to_be_bytes()),
        0x4000..=0xffff_ffff => {
            out.push(0x80);
            out.extend_from_slice(&(length as u32).to_be_bytes());
        }
        _ => {
            out.push(0x81);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
}

/// Reads a DUMP payload of any format up to [`VERSION`].
///
/// Memory is only taken for bytes that are there, or that LZF can make of them (88 for one at most). What stands
/// between the object and the footer is ignored, as in Redis.
///
/// # Errors
///
/// [`RestoreError`]
pub fn restore(payload: &[u8]) -> Result<Object, RestoreError> {
    let body = check_footer(payload).ok_or(RestoreError::Footer)?;
    Reader { rest: body }.object().ok_or(RestoreError::Format)
}

/// What the footer vouches for.
fn check_footer(payload: &[u8]) -> Option<&[u8]> {
    let body_bytes = payload.len().checked_sub(FOOTER_BYTES)?;
    let (summed, sum) = payload.split_last_chunk::<8>()?;
    let (_, version) = summed.split_last_chunk::<2>()?;
    let valid = u16::from_le_bytes(*version) <= VERSION && u64::from_le_bytes(*sum) == crc64(0, summed);
    valid.then(|| &payload[..body_bytes])
}

/// What is left to read. Every method takes its part off the front, or gives `None` if the bytes do not hold it.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// A type byte and the object behind it.
    pub fn object(&mut self) -> Option<Object> {
        match self.byte()? {
            TYPE_STRING => self.string().map(Object::String),
            _ => None,
        }
    }

    /// A string in any form.
    pub fn string(&mut self) -> Option<Vec<u8>> {
        match *self.rest.first()? {
            ENCODED_INT8 => self.encoded().map(|bytes| decimal(i8::from_le_bytes(bytes).into())),
            ENCODED_INT16 => self.encoded().map(|bytes| decimal(i16::from_le_bytes(bytes).into())),
            ENCODED_INT32 => self.encoded().map(|bytes| decimal(i32::from_le_bytes(bytes).into())),
            ENCODED_LZF => self.compressed(),
            _ => {
                let length = self.length()?;
                self.bytes(length).map(<[u8]>::to_vec)
            }
        }
    }

    /// A length in any of its four sizes, needlessly long ones included.
    pub fn length(&mut self) -> Option<u64> {
        let first = self.byte()?;
        match first >> 6 {
            0 => Some(first.into()),
            1 => Some(u64::from(first & 0x3f) << 8 | u64::from(self.byte()?)),
            _ => match first {
                0x80 => self.chunk().map(|bytes| u32::from_be_bytes(bytes).into()),
                0x81 => self.chunk().map(u64::from_be_bytes),
                _ => None,
            },
        }
    }

    fn compressed(&mut self) -> Option<Vec<u8>> {
        self.byte()?;
        let packed_length = self.length()?;
        let length = usize::try_from(self.length()?).ok()?;
        lzf::decompress(self.bytes(packed_length)?, length).ok()
    }

    fn encoded<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.byte()?;
        self.chunk()
    }

    fn byte(&mut self) -> Option<u8> {
        self.chunk().map(|[byte]| byte)
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*chunk)
    }

    fn bytes(&mut self, length: u64) -> Option<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(bytes)
    }
}

fn decimal(value: i64) -> Vec<u8> {
    Digits::new().format(value).as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        dump_string(&mut out, text, true);
        out
    }

    fn body(text: &[u8]) -> Vec<u8> {
        let payload = dump(text);
        payload[..payload.len() - FOOTER_BYTES].to_vec()
    }

    /// A payload with a right check sum, whatever is in it.
    fn seal(body: &[u8], version: u16) -> Vec<u8> {
        let mut payload = body.to_vec();
        payload.extend_from_slice(&version.to_le_bytes());
        let sum = crc64(0, &payload);
        payload.extend_from_slice(&sum.to_le_bytes());
        payload
    }

    #[track_caller]
    fn check(body: &[u8], expected: Result<&[u8], RestoreError>) {
        let expected = expected.map(|text| Object::String(text.to_vec()));
        assert_eq!(restore(&seal(body, VERSION)), expected, "{}", body.escape_ascii());
    }

    #[test]
    fn a_payload_is_body_version_and_sum() {
        // What redis-server 7.0.15, whose format is 10, gives for DUMP of "hello".
        let redis = b"\x00\x05hello\n\x00cr\xdfve4 \n";
        assert_eq!(seal(b"\x00\x05hello", 10), redis);
        assert_eq!(restore(redis), Ok(Object::String(b"hello".to_vec())));
        assert_eq!(dump(b"hello"), seal(b"\x00\x05hello", 11));
    }

    #[test]
    fn integers_take_the_fewest_bytes() {
        assert_eq!(body(b"5"), b"\x00\xc0\x05");
        assert_eq!(body(b"-128"), b"\x00\xc0\x80");
        assert_eq!(body(b"128"), b"\x00\xc1\x80\x00");
        assert_eq!(body(b"-32769"), b"\x00\xc2\xff\x7f\xff\xff");
        assert_eq!(body(b"-2147483648"), b"\x00\xc2\x00\x00\x00\x80");
        assert_eq!(body(b"2147483648"), b"\x00\x0a2147483648");
        assert_eq!(body(b"007"), b"\x00\x03007");
    }

    #[test]
    fn strings_over_twenty_bytes_are_compressed_if_that_helps() {
        assert_eq!(body(&[b'a'; 20]), [&b"\x00\x14"[..], &[b'a'; 20]].concat());
        assert!(body(&[b'a'; 21]).starts_with(b"\x00\xc3"));
        assert_eq!(body(b"abcdefghijklmnopqrstuvwxyz"), b"\x00\x1aabcdefghijklmnopqrstuvwxyz");
        let mut out = Vec::new();
        push_string(&mut out, &[b'a'; 21], false);
        assert_eq!(out, [&b"\x15"[..], &[b'a'; 21]].concat());
    }

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
            assert_eq!(Reader::new(bytes).length(), Some(length));
        }
    }

    #[test]
    fn a_wrong_footer_is_refused() {
        let good = dump(b"hello");
        let mut changed = good.clone();
        changed[3] ^= 1;
        let mut unsigned = good.clone();
        unsigned[9..].fill(0); // A check sum of zero means none in RDB files, but not in a payload.
        for payload in [&b""[..], b"abc", &good[..good.len() - 1], &changed, &unsigned] {
            assert_eq!(restore(payload), Err(RestoreError::Footer), "{}", payload.escape_ascii());
        }
        assert_eq!(restore(&seal(b"\x00\x05hello", 12)), Err(RestoreError::Footer));
        assert_eq!(restore(&seal(b"\x00\x05hello", 0)), Ok(Object::String(b"hello".to_vec())));
        assert_eq!(RestoreError::Footer.to_string(), "DUMP payload version or checksum are wrong");
    }

    #[test]
    fn bodies_are_taken_and_refused_as_by_redis() {
        let good: [(&[u8], &[u8]); 9] = [
            (b"\x00\x00", b""),
            (b"\x00\x05helloXX", b"hello"),
            (b"\x00\xc0\xff", b"-1"),
            (b"\x00\xc1\xff\x7f", b"32767"),
            (b"\x00\xc2\x00\x00\x00\x80", b"-2147483648"),
            (b"\x00\x80\x00\x00\x00\x01a", b"a"),
            (b"\x00\x81\x00\x00\x00\x00\x00\x00\x00\x01a", b"a"),
            (b"\x00\xc3\x02\x01\x00a", b"a"),
            (b"\x00\xc3\x00\x00", b""),
        ];
        for (body, text) in good {
            check(body, Ok(text));
        }
        let bad: [&[u8]; 14] = [
            b"",
            b"\x00",
            b"\x00\x06hello",
            b"\x00\x40",
            b"\x00\x82aaaa",
            b"\x00\xbf",
            b"\x00\xc0",
            b"\x00\xc2\x01\x02\x03",
            b"\x00\xc4\x01a",
            b"\x00\xc3\x01\x01\x00a",
            b"\x00\xc3\x02\x02\x00a",
            b"\x00\x81\xff\xff\xff\xff\xff\xff\xff\xffa",
            b"\x63\x01a",
            b"\xff",
        ];
        for body in bad {
            check(body, Err(RestoreError::Format));
        }
    }

    #[test]
    fn an_announced_length_takes_no_memory() {
        let huge = b"\x7f\xff\xff\xff\xff\xff\xff\xff";
        check(&[b"\x00\x81", &huge[..], b"a"].concat(), Err(RestoreError::Format));
        check(&[b"\x00\xc3\x02\x81", &huge[..], b"\x00a"].concat(), Err(RestoreError::Format));
        check(&[b"\x00\xc3\x81", &huge[..], b"\x01\x00a"].concat(), Err(RestoreError::Format));
    }

    proptest::proptest! {
        #[test]
        fn every_string_comes_back(text in proptest::collection::vec(0u8..3, 0..300), raw: Vec<u8>, number: i64) {
            for text in [text, raw, number.to_string().into_bytes()] {
                proptest::prop_assert_eq!(restore(&dump(&text)), Ok(Object::String(text)));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = restore(&bytes);
            let _ = restore(&seal(&bytes, VERSION));
            let _ = restore(&seal(&[&b"\x00\xc3"[..], &bytes].concat(), VERSION));
        }

        #[test]
        fn a_changed_payload_is_an_error_or_another_string(
            text in proptest::collection::vec(0u8..3, 0..100),
            place: proptest::sample::Index,
            change in 1u8..,
        ) {
            let mut payload = dump(&text);
            let place = place.index(payload.len());
            payload[place] ^= change;
            proptest::prop_assert_eq!(restore(&payload), Err(RestoreError::Footer));
            let _ = restore(&seal(&payload[..payload.len() - FOOTER_BYTES], VERSION));
        }
    }
}
