//! The parts that all values are written in: lengths, strings, times and doubles.

use crate::base::lzf;
use crate::base::number::parse_i64;

/// The forms of a string in place of its length.
pub(super) const ENCODED_INT8: u8 = 0xc0;
pub(super) const ENCODED_INT16: u8 = 0xc1;
pub(super) const ENCODED_INT32: u8 = 0xc2;
pub(super) const ENCODED_LZF: u8 = 0xc3;

/// Longer strings are compressed, if that saves at least [`SAVING_MIN`] bytes.
const PLAIN_MAX: usize = 20;
const SAVING_MIN: usize = 4;

/// The longest text that can be an integer of 32 bits.
const INTEGER_TEXT_MAX: usize = 11;

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

/// Appends a time in milliseconds since 1970, in eight bytes.
pub fn push_millis(out: &mut Vec<u8>, millis: i64) {
    out.extend_from_slice(&millis.to_le_bytes());
}

/// Appends a double in eight bytes.
pub(super) fn push_double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}
