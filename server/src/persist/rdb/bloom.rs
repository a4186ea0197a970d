//! Bloom filters, as the module RedisBloom writes them (encoding 4).
//!
//! ```text
//! module = type-number part* 0          0, 2 and so on are opcodes, which are lengths, too
//! part   = 2 number | 4 double | 5 string
//! filter = items layers options growth layer{layers}
//! layer  = capacity error hashes bits-per-item bits n2 bits-as-string items
//! ```
//! Errors and bits per item are doubles, the bits a string, all others numbers. `n2` is 0 where the number of bits is not a power of two,
//! which is so in all filters that commands make.

use super::read::{LoadError, Loaded, Reader};
use super::write::{push_double, push_length, push_string};
use crate::types::bloom::{Bloom, BloomError, EXPANSION, Layer, Shape};

/// The number of RedisBloom's type with its encoding: nine letters of six bits, and ten bits.
const NUMBER: u64 = type_number(b"MBbloom--", 4);

const END: u64 = 0;
const UNSIGNED: u64 = 2;
const DOUBLE: u64 = 4;
const STRING: u64 = 5;

/// The options of a filter: its bits are no power of two, and its hashes have 64 bits.
const OPTIONS: u64 = 1 | 4;
const NOT_SCALING: u64 = 8;

/// Bits up to this length are compressed, if that is wanted.
const COMPRESSED_MAX: u64 = 16 << 10;

const fn type_number(name: &[u8; 9], encoding: u64) -> u64 {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut number, mut at) = (0, 0);
    while at < name.len() {
        let mut digit = 0;
        while LETTERS[digit] != name[at] {
            digit += 1;
        }
        number = number << 6 | digit as u64;
        at += 1;
    }
    number << 10 | encoding
}

/// Appends a filter.
pub(super) fn push(out: &mut Vec<u8>, bloom: &Bloom, compress: bool) {
    push_length(out, NUMBER);
    push_unsigned(out, bloom.len());
    push_unsigned(out, bloom.layers().len() as u64);
    push_unsigned(out, options(bloom));
    push_unsigned(out, bloom.expansion().unwrap_or(EXPANSION).into());
    bloom.layers().iter().for_each(|layer| push_layer(out, layer, compress));
    push_length(out, END);
}

fn push_layer(out: &mut Vec<u8>, layer: &Layer, compress: bool) {
    let Shape { capacity, error_rate, bits, hashes, bits_per_item } = layer.shape;
    push_unsigned(out, capacity);
    push_length(out, DOUBLE);
    push_double(out, error_rate);
    push_unsigned(out, hashes.into());
    push_length(out, DOUBLE);
    push_double(out, bits_per_item);
    push_unsigned(out, bits);
    push_unsigned(out, 0);
    push_length(out, STRING);
    let mut parts = layer.bytes_from(0);
    match parts.next() {
        Some(whole) if layer.shape.bytes() <= COMPRESSED_MAX => push_string(out, whole, compress),
        first => {
            push_length(out, layer.shape.bytes());
            first.into_iter().chain(parts).for_each(|part| out.extend_from_slice(part));
        }
    }
    push_unsigned(out, layer.items);
}

fn push_unsigned(out: &mut Vec<u8>, number: u64) {
    push_length(out, UNSIGNED);
    push_length(out, number);
}

fn options(bloom: &Bloom) -> u64 {
    OPTIONS | if bloom.expansion().is_none() { NOT_SCALING } else { 0 }
}

/// Whether a filter grows and how, by its options and its growth; `None` if it is of a kind that is not read: with hashes of 32 bits,
/// as RedisBloom made them once, or bits that are a power of two.
fn expansion(options: u64, growth: u64) -> Option<Option<u32>> {
    match options {
        OPTIONS => u32::try_from(growth).ok().filter(|growth| *growth > 0).map(Some),
        _ if options == OPTIONS | NOT_SCALING => Some(None),
        _ => None,
    }
}

/// Reads a filter.
pub(super) fn load(reader: &mut Reader<'_>) -> Loaded<Bloom> {
    if reader.length()? != NUMBER {
        return Err(LoadError::UnknownType(super::kind::MODULE_2));
    }
    let (items, layers) = (unsigned(reader)?, unsigned(reader)?);
    let (options, growth) = (unsigned(reader)?, unsigned(reader)?);
    let mut bloom = Bloom::without_layers(expansion(options, growth).ok_or(LoadError::Corrupt)?);
    if layers == 0 {
        return Err(LoadError::Corrupt);
    }
    let mut at = 0;
    for _ in 0..layers {
        let (shape, n2) = shape(reader)?;
        part(reader, STRING)?;
        let bits = reader.string()?;
        let items = unsigned(reader)?;
        if n2 != 0 || bits.len() as u64 != shape.bytes() {
            return Err(LoadError::Corrupt);
        }
        bloom.push_layer(shape, items).map_err(|_| LoadError::Corrupt)?;
        bloom.write(at, &bits).map_err(|_| LoadError::Corrupt)?;
        at += shape.bytes();
    }
    part(reader, END)?;
    if bloom.len() == items { Ok(bloom) } else { Err(LoadError::Corrupt) }
}

/// A layer up to its bits.
fn shape(reader: &mut Reader<'_>) -> Loaded<(Shape, u64)> {
    let capacity = unsigned(reader)?;
    part(reader, DOUBLE)?;
    let error_rate = reader.double()?;
    let hashes = u32::try_from(unsigned(reader)?).map_err(|_| LoadError::Corrupt)?;
    part(reader, DOUBLE)?;
    let bits_per_item = reader.double()?;
    let (bits, n2) = (unsigned(reader)?, unsigned(reader)?);
    Ok((Shape { capacity, error_rate, bits, hashes, bits_per_item }, n2))
}

fn part(reader: &mut Reader<'_>, expected: u64) -> Loaded<()> {
    if reader.length()? == expected { Ok(()) } else { Err(LoadError::Corrupt) }
}

fn unsigned(reader: &mut Reader<'_>) -> Loaded<u64> {
    part(reader, UNSIGNED)?;
    reader.length()
}

/// The first chunk of `BF.SCANDUMP`: what a filter is like, without its bits. Its fields have fixed lengths.
///
/// ```text
/// head  = items:8 layers:4 options:4 growth:4 layer{layers}
/// layer = bytes:8 bits:8 items:8 error:double bits-per-item:double hashes:4 capacity:8 n2:1
/// ```
pub fn chunk_of_shapes(bloom: &Bloom) -> Vec<u8> {
    let mut out = Vec::with_capacity(CHUNK_HEAD + bloom.layers().len() * CHUNK_LAYER);
    out.extend_from_slice(&bloom.len().to_le_bytes());
    out.extend_from_slice(&(bloom.layers().len() as u32).to_le_bytes());
    out.extend_from_slice(&(options(bloom) as u32).to_le_bytes());
    out.extend_from_slice(&bloom.expansion().unwrap_or(EXPANSION).to_le_bytes());
    for Layer { shape, items, .. } in bloom.layers() {
        [shape.bytes(), shape.bits, *items].iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        push_double(&mut out, shape.error_rate);
        push_double(&mut out, shape.bits_per_item);
        out.extend_from_slice(&shape.hashes.to_le_bytes());
        out.extend_from_slice(&shape.capacity.to_le_bytes());
        out.push(0);
    }
    out
}

const CHUNK_HEAD: usize = 20;
const CHUNK_LAYER: usize = 53;

/// A filter without bits, of which the first chunk was read.
///
/// # Errors
///
/// [`BloomError::Unsound`] if the chunk is none, else what is wrong with the filter.
pub fn of_shapes(chunk: &[u8]) -> Result<Bloom, BloomError> {
    let mut reader = Reader::new(chunk, super::VERSION);
    let unsound = |_| BloomError::Unsound;
    let mut head = || -> Loaded<_> {
        let (items, layers) = (u64_of(&mut reader)?, u32_of(&mut reader)?);
        Ok((items, layers, u32_of(&mut reader)?, u32_of(&mut reader)?))
    };
    let (items, layers, options, growth) = head().map_err(unsound)?;
    if layers == 0 || reader.rest().len() as u64 != u64::from(layers) * CHUNK_LAYER as u64 {
        return Err(BloomError::Unsound);
    }
    let mut bloom = Bloom::without_layers(expansion(options.into(), growth.into()).ok_or(BloomError::Unsound)?);
    for _ in 0..layers {
        let mut layer = || -> Loaded<_> {
            let (bytes, bits, items) = (u64_of(&mut reader)?, u64_of(&mut reader)?, u64_of(&mut reader)?);
            let (error_rate, bits_per_item) = (reader.double()?, reader.double()?);
            let (hashes, capacity, n2) = (u32_of(&mut reader)?, u64_of(&mut reader)?, reader.byte()?);
            Ok((bytes, items, Shape { capacity, error_rate, bits, hashes, bits_per_item }, n2))
        };
        let (bytes, items, shape, n2) = layer().map_err(unsound)?;
        if n2 != 0 || bytes != shape.bytes() {
            return Err(BloomError::Unsound);
        }
        bloom.push_layer(shape, items)?;
    }
    if bloom.len() == items { Ok(bloom) } else { Err(BloomError::Unsound) }
}

fn u64_of(reader: &mut Reader<'_>) -> Loaded<u64> {
    reader.chunk().map(u64::from_le_bytes)
}

fn u32_of(reader: &mut Reader<'_>) -> Loaded<u32> {
    reader.chunk().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, RestoreError, Value, dump_object, kind, restore};
    use super::*;
    use crate::base::crc64::crc64;
    use crate::types::bloom::Hashes;
    use crate::types::object::{Kind, Object};

    /// A filter of so many items that has grown.
    fn filled(items: u64, expansion: Option<u32>) -> Bloom {
        let mut bloom =
            Bloom::reserve(items.div_ceil(2) * if expansion.is_none() { 2 } else { 1 }, 0.01, expansion).unwrap();
        for number in 0..items {
            let item = Hashes::of(&number.to_le_bytes());
            if !bloom.has(item) {
                bloom.add(item).unwrap();
            }
        }
        bloom
    }

    fn is_same(one: &Bloom, other: &Bloom) -> bool {
        let told = |bloom: &Bloom| (bloom.expansion(), bloom.len());
        let pairs = || one.layers().iter().zip(other.layers());
        told(one) == told(other)
            && one.layers().len() == other.layers().len()
            && pairs().all(|(a, b)| a.shape == b.shape && a.items == b.items)
            && pairs().all(|(a, b)| a.bytes_from(0).flatten().eq(b.bytes_from(0).flatten()))
    }

    fn loaded(bytes: &[u8]) -> Loaded<Bloom> {
        load(&mut Reader::new(bytes, 11))
    }

    /// A payload of RESTORE whose sum is right.
    fn payload(body: &[u8]) -> Vec<u8> {
        let mut out = [&[kind::MODULE_2], body, &11u16.to_le_bytes()[..]].concat();
        let sum = crc64(0, &out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    #[test]
    fn what_redisbloom_has_written_is_read() {
        // A filter of one item, from a file of RedisBloom 2.2 that is shown in its issue 317; the number of the type is not.
        let parts = b"\x02\x01\x02\x01\x02\x05\x02\x02\x02\x40\x64\x04\x7b\x14\xae\x47\xe1\x7a\x74\x3f\x02\x08\x04\xe9\x86\x2f\xb2\x35\x0e\x26\x40\
            \x02\x44\x80\x02\x00\x05\xc3\x33\x40\x90\x01\x00\x00\xe0\x24\x00\x00\x01\xe0\x00\x2d\x00\x02\xe0\x00\x09\xe0\x07\x00\x00\x04\xe0\x00\x10\x00\
            \x08\xe0\x00\x09\x00\x10\xe0\x00\x09\x00\x20\xe0\x00\x09\x00\x40\xe0\x00\x09\x00\x80\xc0\x09\x01\x00\x00\x02\x01\x00";
        let mut bytes = Vec::new();
        push_length(&mut bytes, NUMBER);
        bytes.extend_from_slice(parts);
        let bloom = loaded(&bytes).expect("it is sound");
        assert_eq!((bloom.len(), bloom.capacity(), bloom.expansion()), (1, 100, Some(2)));
        // What stands in it is what we make of its capacity and rate.
        assert_eq!(bloom.layers()[0].shape, Bloom::new().layers()[0].shape);
        let set = bloom.layers()[0].bytes_from(0).flatten().map(|byte| byte.count_ones()).sum::<u32>();
        assert_eq!(set, bloom.layers()[0].shape.hashes);
        let mut again = Vec::new();
        push(&mut again, &bloom, true);
        let bits = |bytes: &[u8]| bytes.iter().position(|byte| *byte == 0xc3);
        assert_eq!(again[..bits(&again).unwrap()], bytes[..bits(&bytes).unwrap()]);
        assert!(is_same(&loaded(&again).unwrap(), &bloom));
    }

    #[test]
    fn the_number_is_made_of_the_name_and_the_encoding() {
        assert_eq!(NUMBER, 0x3016_e5a2_89be_f804);
        assert_eq!(type_number(b"AAAAAAAAA", 3), 3);
        assert_eq!(type_number(b"AAAAAAAAB", 0), 1 << 10);
    }

    #[test]
    fn filters_come_back_as_they_were() {
        for bloom in
            [Bloom::new(), filled(50, Some(3)), filled(3000, None), filled(60_000, Some(2)), filled(90_000, Some(1))]
        {
            for compress in [false, true] {
                let mut out = Vec::new();
                dump_object(&mut out, &bloom.clone().into_object(), compress);
                let Ok(Value::Object(Object::Bloom(read))) = restore(&out, &Limits::default()) else {
                    panic!("{} items", bloom.len())
                };
                assert!(is_same(&read, &bloom));
            }
            let mut read = of_shapes(&chunk_of_shapes(&bloom)).unwrap();
            let mut at = 0;
            for part in bloom.layers().iter().flat_map(|layer| layer.bytes_from(0)) {
                read.write(at, part).unwrap();
                at += part.len() as u64;
            }
            assert!(is_same(&read, &bloom));
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let mut sound = Vec::new();
        push(&mut sound, &filled(50, Some(3)), false);
        assert!(loaded(&sound).is_ok());
        for cut in 0..sound.len() {
            assert_eq!(loaded(&sound[..cut]).err(), Some(LoadError::Corrupt), "{cut}");
        }
        // Whatever byte is wrong, it is refused, or it is another filter that may be read and written.
        for at in 0..sound.len() {
            for wrong in [0, 1, 0x7f, 0x80, 0x81, 0xc3, 0xff] {
                let mut bytes = sound.clone();
                bytes[at] = wrong;
                if let Ok(bloom) = loaded(&bytes) {
                    (0..100u64).for_each(|number| _ = bloom.has(Hashes::of(&number.to_le_bytes())));
                }
                let _ = restore(&payload(&bytes), &Limits::default());
            }
        }
        let chunk = chunk_of_shapes(&filled(50, Some(3)));
        assert_eq!(of_shapes(&chunk).map(|bloom| bloom.layers().len()).ok(), Some(2));
        for cut in 0..chunk.len() {
            assert!(of_shapes(&chunk[..cut]).is_err());
        }
        for at in 0..chunk.len() {
            for wrong in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = chunk.clone();
                bytes[at] = wrong;
                if let Ok(mut bloom) = of_shapes(&bytes) {
                    let _ = bloom.add(Hashes::of(b"x"));
                }
            }
        }
    }

    #[test]
    fn other_modules_and_other_kinds_of_filters_are_not_read() {
        let mut other = Vec::new();
        push_length(&mut other, type_number(b"ReJSON-RL", 3));
        push_length(&mut other, END);
        assert_eq!(loaded(&other).err(), Some(LoadError::UnknownType(kind::MODULE_2)));
        assert_eq!(restore(&payload(&other), &Limits::default()).err(), Some(RestoreError::Format));
        for (options, growth, expected) in
            [(5, 2, Some(Some(2))), (13, 0, Some(None)), (5, 0, None), (1, 2, None), (4, 2, None), (7, 2, None)]
        {
            assert_eq!(expansion(options, growth), expected, "{options}");
        }
        assert_eq!(expansion(5, 1 << 32), None);
    }
}
