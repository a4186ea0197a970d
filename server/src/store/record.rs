//! A record: the header, an expiry if there is one, the key, and the value, in one block of the arena.
//!
//! ```text
//! header 8 | expiry in ms since 1970 (48 bits) and what a rule keeps (16), if any, 8 | length 4, if the key is long | key | value
//! ```
//! The functions here read and write raw memory and are private to the store; [`super::stripe`] hands out slices
//! whose lifetime is the stripe's lock.

use super::arena::{Arena, NIL, Ref, UNIT, UNITS_MIN};
use super::header::{Header, SHORT_KEY_MAX, Shape};
use super::pieces::{self, PIECE_BYTES, PIECE_LEN, PIECE_UNITS, PIECES_MAX, Pieces};
use crate::base::keep::Keep;
use crate::types::object::Object;
use std::ptr::NonNull;

/// The longest value that lies in the record whole. Longer ones would leave holes that are hard to fill.
pub const INLINE_MAX: usize = 2000;

/// Expiry times are kept up to this one (the year 10 889); later ones mean the same as this one.
pub const EXPIRY_MAX: u64 = (1 << EXPIRY_BITS) - 1;

const EXPIRY_BITS: u32 = 48;

/// The longest value: its length and its capacity are kept in 32 bits each.
pub const LEN_MAX: usize = u32::MAX as usize;

/// Bytes of a heap buffer's parts in the record: address, length, capacity.
const HEAP_PARTS: usize = 8 + 4 + 4;

/// Bytes of a collection's address in the record.
const OBJECT_PARTS: usize = 8;

/// A value as a reader sees it.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Bytes(&'a [u8]),
    /// Bytes that do not lie in one place.
    Pieces(Pieces<'a>),
    Int(i64),
    /// What is no string. It has no text.
    Object(&'a Object),
}

/// A value on its way into a record.
pub enum New<'a> {
    /// Bytes that came as they are: kept as an integer if they are the text of one.
    Set(&'a [u8]),
    /// Bytes that a command built; Redis calls them `raw` from then on.
    Edited(&'a [u8]),
    /// Bytes that are kept as they are, though they may be the text of an integer.
    Text(&'a [u8]),
    Int(i64),
    /// A buffer that goes to the heap as it is.
    Heap(Vec<u8>),
    /// What is no string.
    Object(Box<Object>),
}

/// A value with its place decided.
pub struct Placed<'a> {
    pub shape: Shape,
    /// Bytes it takes in the record.
    pub len: usize,
    part: Part<'a>,
}

enum Part<'a> {
    Bytes(&'a [u8]),
    /// All bytes of the value, and the first of the pieces that hold most of them.
    Pieces(&'a [u8], Ref),
    Int(i64),
    Heap(Vec<u8>),
    Object(Box<Object>),
}

impl<'a> New<'a> {
    /// Decides where the value goes: as an integer, in the record, in pieces, or on the heap.
    pub fn place(self) -> Placed<'a> {
        match self {
            New::Int(n) => Placed { shape: Shape::Int, len: int_width(n), part: Part::Int(n) },
            New::Heap(buffer) => Placed { shape: Shape::Heap, len: HEAP_PARTS, part: Part::Heap(buffer) },
            New::Object(object) => Placed { shape: Shape::Object, len: OBJECT_PARTS, part: Part::Object(object) },
            New::Set(bytes) => match crate::base::number::parse_i64(bytes) {
                Some(n) => New::Int(n).place(),
                None => place_bytes(bytes, Shape::Bytes),
            },
            New::Edited(bytes) => place_bytes(bytes, Shape::Edited),
            New::Text(bytes) => place_bytes(bytes, Shape::Bytes),
        }
    }

    /// What a command built in a buffer: the buffer itself if it is too long for the record, its bytes otherwise.
    pub fn built(buffer: &'a mut Vec<u8>) -> New<'a> {
        if buffer.len() > INLINE_MAX { New::Heap(std::mem::take(buffer)) } else { New::Edited(buffer) }
    }
}

/// Decides where bytes go that are no integer; `inline` is their shape if they lie in the record.
fn place_bytes(bytes: &[u8], inline: Shape) -> Placed<'_> {
    match bytes.len() {
        0..=INLINE_MAX => Placed { shape: inline, len: bytes.len(), part: Part::Bytes(bytes) },
        len @ ..=PIECES_MAX => Placed { shape: Shape::Pieces, len: len_in_record(len), part: Part::Pieces(bytes, NIL) },
        _ => New::Heap(bytes.to_vec()).place(),
    }
}

impl<'a> Placed<'a> {
    /// Bytes on the heap beside the record.
    pub fn heap_bytes(&self) -> usize {
        match &self.part {
            Part::Heap(buffer) => buffer.capacity(),
            Part::Object(object) => object_bytes(object),
            _ => 0,
        }
    }

    /// Bytes beside the record: those of the buffer, or of the pieces.
    pub fn bytes_beside(&self) -> usize {
        self.heap_bytes() + self.pieces().len() / PIECE_LEN * PIECE_BYTES
    }

    /// The bytes that belong into pieces, a whole number of which they fill; none for other values.
    pub(super) fn pieces(&self) -> &'a [u8] {
        match self.part {
            Part::Pieces(bytes, _) => &bytes[..pieces::count_for(bytes.len()) * PIECE_LEN],
            _ => &[],
        }
    }

    /// Lets the record lead to the pieces that hold [`Placed::pieces`].
    pub(super) fn set_chain(&mut self, first: Ref) {
        if let Part::Pieces(_, chain) = &mut self.part {
            *chain = first;
        }
    }
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Bytes(one), Value::Bytes(other)) => one == other,
            (Value::Pieces(one), Value::Pieces(other)) => one == other,
            (Value::Int(one), Value::Int(other)) => one == other,
            // Two views of one collection.
            (Value::Object(one), Value::Object(other)) => std::ptr::eq(*one, *other),
            _ => false,
        }
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Bytes(bytes) => f.debug_tuple("Bytes").field(bytes).finish(),
            Value::Pieces(pieces) => f.debug_tuple("Pieces").field(pieces).finish(),
            Value::Int(n) => f.debug_tuple("Int").field(n).finish(),
            Value::Object(object) => write!(f, "{} of {}", object.type_name(), object.len()),
        }
    }
}

impl Value<'_> {
    /// Appends the text of the value.
    pub fn append_to(self, text: &mut Vec<u8>) {
        match self {
            Value::Bytes(bytes) => text.extend_from_slice(bytes),
            Value::Pieces(pieces) => pieces.append_range(0..pieces.len(), text),
            Value::Int(n) => crate::base::number::push_integer(text, n),
            Value::Object(_) => {}
        }
    }

    /// Bytes of the value's text.
    pub fn len(self) -> usize {
        match self {
            Value::Bytes(bytes) => bytes.len(),
            Value::Pieces(pieces) => pieces.len(),
            Value::Int(n) => crate::base::number::Digits::new().format(n).len(),
            Value::Object(_) => 0,
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// The capacity of a buffer that a command lengthens to `len` bytes: an eighth more, so that a value built in many small
/// steps is copied about eight times in all, whatever the number of steps, and wastes no more than that eighth.
pub(super) fn roomy(len: usize) -> usize {
    (len + len / 8).min(LEN_MAX)
}

/// Bytes that a value in pieces takes in the record.
fn len_in_record(len: usize) -> usize {
    pieces::RECORD_HEAD + len % PIECE_LEN
}

/// Units of the record, and pieces beside it, for a key and a value of these lengths that is neither an integer nor too
/// long for pieces.
pub(super) fn blocks_for(key_len: usize, value_len: usize, expires: bool) -> (usize, usize) {
    if value_len <= INLINE_MAX {
        return (units_for(key_len, value_len, expires), 0);
    }
    (units_for(key_len, len_in_record(value_len), expires), pieces::count_for(value_len))
}

/// Bytes of a buffer's parts in the record and of the buffer, or of the value in the record, for a value of `len` bytes
/// that a command built and that is no integer.
pub(super) fn split(len: usize) -> (usize, usize) {
    if len > INLINE_MAX { (HEAP_PARTS, len) } else { (len, 0) }
}

/// Bytes an integer takes: none for 0, then 1, 2, 4 or 8.
fn int_width(n: i64) -> usize {
    match n {
        0 => 0,
        -0x80..=0x7F => 1,
        -0x8000..=0x7FFF => 2,
        -0x8000_0000..=0x7FFF_FFFF => 4,
        _ => 8,
    }
}

/// Units of a record with a key and a value of these lengths.
pub fn units_for(key_len: usize, value_len: usize, expires: bool) -> usize {
    let long = if key_len > SHORT_KEY_MAX { 4 } else { 0 };
    let bytes = 8 + if expires { 8 } else { 0 } + long + key_len + value_len;
    bytes.div_ceil(UNIT).max(UNITS_MIN)
}

/// Units of the record or piece at an address.
pub(super) fn units(at: NonNull<u8>) -> usize {
    let header = header(at);
    if header.shape() == Shape::Piece {
        return PIECE_UNITS;
    }
    units_for(key_len(at), header.value_len(), header.expires())
}

/// Writes a record into a block of the right size. The heap buffer of a value passes to the record.
pub(super) fn write(at: NonNull<u8>, header: Header, expiry: Option<u64>, key: &[u8], value: Placed<'_>) {
    set_header(at, header);
    // SAFETY: the block was sized by `units_for` with the same key, value and expiry.
    unsafe {
        let mut to = at.as_ptr().add(8);
        if header.expires() {
            to.cast::<u64>().write(expiry.unwrap_or(0).min(EXPIRY_MAX));
            to = to.add(8);
        }
        if key.len() > SHORT_KEY_MAX {
            to.cast::<u32>().write_unaligned(key.len() as u32);
            to = to.add(4);
        }
        to.copy_from_nonoverlapping(key.as_ptr(), key.len());
        to = to.add(key.len());
        match value.part {
            Part::Bytes(bytes) => to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()),
            Part::Int(n) => to.copy_from_nonoverlapping(n.to_le_bytes().as_ptr(), value.len),
            Part::Pieces(bytes, first) => pieces::write_parts(to, first, bytes),
            Part::Heap(buffer) => write_heap(to, buffer),
            Part::Object(object) => to.cast::<*mut Object>().write_unaligned(Box::into_raw(object)),
        }
    }
}

/// Bytes that a collection takes on the heap.
fn object_bytes(object: &Object) -> usize {
    size_of::<Object>() + object.bytes()
}

/// Where the collection of a record lies. It stays there for as long as the record has this value, wherever that moves.
pub(super) fn object(at: NonNull<u8>) -> NonNull<Object> {
    debug_assert_eq!(header(at).shape(), Shape::Object);
    // SAFETY: a record of this shape holds the address that `write` took from a box.
    unsafe { NonNull::new_unchecked(value_start(at).cast::<*mut Object>().read_unaligned()) }
}

/// The collection of a record, owned; the record must be overwritten or freed next.
pub(super) fn take_object(at: NonNull<u8>) -> Box<Object> {
    // SAFETY: the address came from a box, and the caller gives up the record.
    unsafe { Box::from_raw(object(at).as_ptr()) }
}

/// # Safety
///
/// `to` has room for the parts.
unsafe fn write_heap(to: *mut u8, buffer: Vec<u8>) {
    let mut buffer = std::mem::ManuallyDrop::new(buffer);
    let (len, capacity) = (buffer.len() as u32, buffer.capacity().min(u32::MAX as usize) as u32);
    // SAFETY: the caller vouches for the room; the fields may lie unaligned.
    unsafe {
        to.cast::<*mut u8>().write_unaligned(buffer.as_mut_ptr());
        to.add(8).cast::<u32>().write_unaligned(len);
        to.add(12).cast::<u32>().write_unaligned(capacity);
    }
}

/// The buffer of a heap value, owned; the record must be overwritten or freed next.
pub(super) fn take_heap(at: NonNull<u8>) -> Vec<u8> {
    debug_assert_eq!(header(at).shape(), Shape::Heap);
    let parts = value_start(at);
    // SAFETY: `write_heap` put the parts of a `Vec` here, and the caller gives up the record.
    unsafe {
        let start = parts.cast::<*mut u8>().read_unaligned();
        let len = parts.add(8).cast::<u32>().read_unaligned() as usize;
        let capacity = parts.add(12).cast::<u32>().read_unaligned() as usize;
        Vec::from_raw_parts(start, len, capacity)
    }
}

/// Changes a heap value in place.
pub(super) fn with_heap<R>(at: NonNull<u8>, change: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    let mut buffer = take_heap(at);
    let result = change(&mut buffer);
    // SAFETY: the record has the room it had before.
    unsafe { write_heap(value_start(at), buffer) };
    result
}

/// Bytes the value holds on the heap.
pub(super) fn heap_bytes(at: NonNull<u8>) -> usize {
    match header(at).shape() {
        // SAFETY: a heap record holds its parts here.
        Shape::Heap => unsafe { value_start(at).add(12).cast::<u32>().read_unaligned() as usize },
        // SAFETY: the collection lives as long as the record, and the stripe's lock is held.
        Shape::Object => object_bytes(unsafe { object(at).as_ref() }),
        _ => 0,
    }
}

/// Bytes the value holds beside the record: those of its buffer, or of its pieces.
pub(super) fn bytes_beside(at: NonNull<u8>) -> usize {
    match header(at).shape() {
        Shape::Heap | Shape::Object => heap_bytes(at),
        Shape::Pieces => pieces::count_for(pieces::len(at)) * PIECE_BYTES,
        _ => 0,
    }
}

#[inline]
pub(super) fn header(at: NonNull<u8>) -> Header {
    // SAFETY: blocks are 8-byte aligned and start with their header.
    Header(unsafe { at.as_ptr().cast::<u64>().read() })
}

#[inline]
pub(super) fn set_header(at: NonNull<u8>, header: Header) {
    // SAFETY: as in `header`; writers hold the stripe's lock.
    unsafe { at.as_ptr().cast::<u64>().write(header.0) };
}

/// When the record expires, in milliseconds since 1970.
#[inline]
pub(super) fn expiry(at: NonNull<u8>) -> Option<u64> {
    if !header(at).expires() {
        return None;
    }
    // SAFETY: the flag says that the word is there.
    let word = unsafe { at.as_ptr().cast::<u64>().add(1).read() };
    Some(word & EXPIRY_MAX)
}

/// What a rule keeps beside the expiry; nothing if there is none.
pub(super) fn keep(at: NonNull<u8>) -> Keep {
    if !header(at).expires() {
        return Keep::default();
    }
    // SAFETY: the flag says that the word is there.
    let word = unsafe { at.as_ptr().cast::<u64>().add(1).read() };
    Keep((word >> EXPIRY_BITS) as u16)
}

/// Keeps that beside the expiry of a record that has one.
pub(super) fn set_keep(at: NonNull<u8>, keep: Keep) {
    let Some(expiry) = expiry(at) else { return };
    // SAFETY: as in `expiry`.
    unsafe { at.as_ptr().cast::<u64>().add(1).write(expiry | u64::from(keep.0) << EXPIRY_BITS) };
}

/// When a record goes: at its expiry, or once it is not even served stale any more.
pub(super) fn lasts_until(at: NonNull<u8>) -> Option<u64> {
    expiry(at).map(|expiry| expiry + keep(at).grace_ms())
}

/// Changes the expiry of a record that has one. What a rule kept beside it is gone.
pub(super) fn set_expiry(at: NonNull<u8>, expiry: u64) {
    debug_assert!(header(at).expires());
    // SAFETY: as in `expiry`.
    unsafe { at.as_ptr().cast::<u64>().add(1).write(expiry.min(EXPIRY_MAX)) };
}

/// Copies a record to a block that differs only in having room for an expiry, or not.
pub(super) fn copy_reshaped(from: NonNull<u8>, to: NonNull<u8>, header: Header, expiry: Option<u64>) {
    let long = if key_len(from) > SHORT_KEY_MAX { 4 } else { 0 };
    let bytes = long + key_len(from) + self::header(from).value_len();
    let (skip_from, skip_to) = (prefix_len(self::header(from)), prefix_len(header));
    set_header(to, header);
    // SAFETY: both blocks were sized for the same key and value, and for the expiry their headers tell of.
    unsafe {
        if header.expires() {
            to.as_ptr().cast::<u64>().add(1).write(expiry.unwrap_or(0).min(EXPIRY_MAX));
        }
        to.as_ptr().add(skip_to).copy_from_nonoverlapping(from.as_ptr().add(skip_from), bytes);
    }
}

/// Bytes in front of the key, its length aside.
fn prefix_len(header: Header) -> usize {
    if header.expires() { 16 } else { 8 }
}

fn key_at(at: NonNull<u8>) -> (*const u8, usize) {
    let header = header(at);
    let start = prefix_len(header);
    // SAFETY: the length, where there is one, and the key lie in the block.
    unsafe {
        let key = at.as_ptr().add(start).cast_const();
        if header.key_len() <= SHORT_KEY_MAX {
            return (key, header.key_len());
        }
        (key.add(4), key.cast::<u32>().read_unaligned() as usize)
    }
}

fn key_len(at: NonNull<u8>) -> usize {
    key_at(at).1
}

/// The key. The caller chooses a lifetime during which the record neither moves nor is freed.
#[inline]
pub(super) fn key<'a>(at: NonNull<u8>) -> &'a [u8] {
    let (start, len) = key_at(at);
    // SAFETY: the bytes lie in the block, which the caller keeps.
    unsafe { std::slice::from_raw_parts(start, len) }
}

pub(super) fn value_start(at: NonNull<u8>) -> *mut u8 {
    let (start, len) = key_at(at);
    // SAFETY: the value follows the key inside the block.
    unsafe { start.add(len).cast_mut() }
}

/// The value of a record in this arena. The caller chooses a lifetime during which the record neither moves nor is freed.
#[inline]
pub(super) fn value<'a>(at: NonNull<u8>, arena: &'a Arena) -> Value<'a> {
    let header = header(at);
    let start = value_start(at);
    let len = header.value_len();
    // SAFETY: the value lies in the block, or in the buffer whose parts lie there.
    unsafe {
        match header.shape() {
            Shape::Int => {
                let mut bytes = [0; 8];
                bytes.as_mut_ptr().copy_from_nonoverlapping(start, len);
                Value::Int(sign_extend(u64::from_le_bytes(bytes), len))
            }
            Shape::Heap => {
                let buffer = start.cast::<*const u8>().read_unaligned();
                let len = start.add(8).cast::<u32>().read_unaligned() as usize;
                Value::Bytes(std::slice::from_raw_parts(buffer, len))
            }
            Shape::Pieces => Value::Pieces(Pieces::of(at, arena)),
            Shape::Object => Value::Object(object(at).as_ref()),
            _ => Value::Bytes(std::slice::from_raw_parts(start, len)),
        }
    }
}

/// Changes an integer in place. Returns whether it could: the new one must take as many bytes as the old one.
pub(super) fn set_int(at: NonNull<u8>, n: i64) -> bool {
    let header = header(at);
    let width = header.value_len();
    if header.shape() != Shape::Int || width != int_width(n) {
        return false;
    }
    // SAFETY: the value has `width` bytes in the block, and the caller holds the stripe mutably.
    unsafe { value_start(at).copy_from_nonoverlapping(n.to_le_bytes().as_ptr(), width) };
    true
}

/// The bytes of a value in the record, to be changed in place. Not for integers, pieces and heap values.
pub(super) fn inline_mut<'a>(at: NonNull<u8>) -> &'a mut [u8] {
    let header = header(at);
    debug_assert!(matches!(header.shape(), Shape::Bytes | Shape::Edited));
    // SAFETY: the value lies in the block, and the caller holds the stripe mutably.
    unsafe { std::slice::from_raw_parts_mut(value_start(at), header.value_len()) }
}

fn sign_extend(bits: u64, width: usize) -> i64 {
    if width == 0 {
        return 0;
    }
    let shift = 64 - width as u32 * 8;
    (bits << shift) as i64 >> shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    /// A block on the test's own stack of memory.
    fn block(units: usize) -> Vec<u64> {
        vec![0; units]
    }

    fn written(key: &[u8], value: New<'_>, expiry: Option<u64>) -> Vec<u64> {
        let value = value.place();
        let units = units_for(key.len(), value.len, expiry.is_some());
        let mut memory = block(units);
        let at = NonNull::new(memory.as_mut_ptr().cast()).unwrap();
        let header = Header::record(value.shape, 3, key.len(), value.len, expiry.is_some());
        write(at, header, expiry, key, value);
        assert_eq!(super::units(at), units);
        memory
    }

    fn at(memory: &mut [u64]) -> NonNull<u8> {
        NonNull::new(memory.as_mut_ptr().cast()).unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let arena = Arena::new(Arc::default());
        let mut memory = written(b"key", New::Set(b"value"), Some(1_700_000_000_123));
        let at = at(&mut memory);
        assert_eq!(key(at), b"key");
        assert_eq!(value(at, &arena), Value::Bytes(b"value"));
        assert_eq!(expiry(at), Some(1_700_000_000_123));
        assert_eq!(header(at).db(), 3);
        set_expiry(at, 5);
        assert_eq!((expiry(at), key(at)), (Some(5), &b"key"[..]));
    }

    #[test]
    fn integers_take_the_bytes_they_need() {
        let arena = Arena::new(Arc::default());
        for (n, width) in
            [(0, 0), (-1, 1), (127, 1), (128, 2), (-32768, 2), (70_000, 4), (-1 << 40, 8), (i64::MIN, 8), (i64::MAX, 8)]
        {
            let text = n.to_string();
            assert_eq!(New::Set(text.as_bytes()).place().len, width, "{n}");
            let mut memory = written(b"k", New::Set(text.as_bytes()), None);
            assert_eq!(value(at(&mut memory), &arena), Value::Int(n));
        }
        let mut memory = written(b"k", New::Set(b"007"), None);
        assert_eq!(value(at(&mut memory), &arena), Value::Bytes(b"007"));
    }

    #[test]
    fn long_keys_and_values_are_whole() {
        let arena = Arena::new(Arc::default());
        let long = vec![b'x'; 300_000];
        let mut memory = written(&long, New::Set(&long), None);
        let at = at(&mut memory);
        assert!(key(at) == long);
        assert!(value(at, &arena) == Value::Bytes(&long));
        with_heap(at, |buffer| buffer.push(b'y'));
        assert!(heap_bytes(at) > 300_000);
        assert_eq!(take_heap(at).len(), 300_001);
    }
}
