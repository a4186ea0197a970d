//! Bitmaps: strings as rows of bits. BITFIELD's integers are in `bitmap/field`, and the work on bytes is in `types/bits`.
//!
//! Values are read where they lie, piece by piece.

mod field;

use super::string::{parts, peek, read, write};
use super::*;
use crate::base::number::{Digits, parse_i64};
use crate::store::{Entry, New, Value};
use crate::types::bits::{self, Combined, Operation, Span, Unit};

pub const COMMANDS: &[Command] = &[BITCOUNT, field::BITFIELD, field::BITFIELD_RO, BITOP, BITPOS, GETBIT, SETBIT];

const BITMAP: Command = Command { group: Group::Bitmap, ..COMMAND };

const UNITS: Arg = one_of("unit", &[token("byte", "BYTE"), token("bit", "BIT")]).optional().since("7.0.0");

const GETBIT: Command = Command {
    name: "GETBIT",
    run: getbit,
    summary: "Returns one bit of a string.",
    since: "2.2.0",
    args: &[key("key", Usage::Read), int("offset")],
    flags: Flags::READONLY.and(Flags::FAST),
    ..BITMAP
};

fn getbit(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let offset = offset(cx, args.word()?)?;
    let bit = match read(&mut cx.store, key)? {
        Some(entry) => bit_at(entry.value(), offset),
        None => {
            cx.missed(key);
            false
        }
    };
    cx.reply.int(i64::from(bit));
    REPLIED
}

fn bit_at(value: Value<'_>, offset: u64) -> bool {
    let mut left = offset;
    for part in parts(value, &mut Digits::new()) {
        let held = part.len() as u64 * 8;
        if left < held {
            return bits::get_bit(part, left);
        }
        left -= held;
    }
    false
}

const SETBIT: Command = Command {
    name: "SETBIT",
    run: setbit,
    summary: "Sets one bit of a string, which is lengthened with zeros if needed, and returns what it was.",
    complexity: "O(1), O(N) where N bytes of zeros come before it",
    since: "2.2.0",
    args: &[key("key", Usage::Update), int("offset"), int("value")],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    ..BITMAP
};

fn setbit(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let offset = offset(cx, args.word()?)?;
    let bit = match args.int() {
        Ok(bit @ 0..=1) => bit == 1,
        _ => return Err(Fault::text("ERR bit is not an integer or out of range")),
    };
    let end = bits::bytes_for(offset, 1);
    let (mut old, mut is_changed) = (false, true);
    if let Some(len) = peek(&mut cx.store, key)?.map(|entry| entry.value().len())
        && cx.store.edit_if(key, end, &|touch| touch(end - 1..end), |bytes| {
            old = bits::set_bit(bytes, offset, bit);
            is_changed = old != bit || len < end;
            is_changed
        })
    {
        cx.event_if(is_changed, Class::String, "setbit", key.bytes);
    } else {
        let mut bytes = vec![0; end];
        bits::set_bit(&mut bytes, offset, bit);
        write(cx, key, New::built(&mut bytes), None, "setbit");
    }
    cx.reply.int(i64::from(old));
    REPLIED
}

/// The offset of a bit; see [`bits::parse_offset`].
fn offset(cx: &Ctx<'_>, word: &[u8]) -> Result<u64, Fault> {
    let bytes_max = cx.node.tuning.bulk_len_max() as u64;
    bits::parse_offset(word, None, bytes_max).ok_or(NOT_AN_OFFSET)
}

const NOT_AN_OFFSET: Fault = Fault::text("ERR bit offset is not an integer or out of range");

const BITCOUNT: Command = Command {
    name: "BITCOUNT",
    run: bitcount,
    summary: "Counts the bits of a string, or of a part of it, that are 1.",
    complexity: "O(N) for N bytes",
    since: "2.6.0",
    args: &[key("key", Usage::Read), block("range", &[int("start"), int("end"), UNITS]).optional()],
    flags: Flags::READONLY,
    ..BITMAP
};

fn bitcount(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    // Without a key, Redis does not look at the range.
    let Some(entry) = read(&mut cx.store, key)? else {
        cx.missed(key);
        cx.reply.int(0);
        return REPLIED;
    };
    let span = span_to_count(args)?;
    let value = entry.value();
    let ones = bits::count(parts(value, &mut Digits::new()), value.len(), &span);
    cx.reply.int(ones as i64);
    REPLIED
}

fn span_to_count(args: &mut Args<'_>) -> Result<Span, Fault> {
    match args.len() {
        0 => Ok(Span::ALL),
        2 | 3 => {
            let span = Span { start: args.int()?, end: args.int()?, unit: Unit::Byte };
            // Redis has its answer to a range that is backwards before it reads the unit.
            if span.is_backwards() { Ok(span) } else { Ok(Span { unit: unit(args.peek())?, ..span }) }
        }
        _ => Err(Fault::Syntax),
    }
}

fn unit(word: Option<&[u8]>) -> Result<Unit, Fault> {
    match word {
        None => Ok(Unit::Byte),
        Some(word) if word.eq_ignore_ascii_case(b"BYTE") => Ok(Unit::Byte),
        Some(word) if word.eq_ignore_ascii_case(b"BIT") => Ok(Unit::Bit),
        Some(_) => Err(Fault::Syntax),
    }
}

const BITPOS: Command = Command {
    name: "BITPOS",
    run: bitpos,
    summary: "Finds the first bit of a string, or of a part of it, that is 1 or that is 0.",
    complexity: "O(N) for N bytes",
    since: "2.8.7",
    args: &[
        key("key", Usage::Read),
        int("bit"),
        block("range", &[int("start"), block("end-unit-block", &[int("end"), UNITS]).optional()]).optional(),
    ],
    flags: Flags::READONLY,
    ..BITMAP
};

fn bitpos(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let bit = match args.int()? {
        bit @ 0..=1 => bit == 1,
        _ => return Err(Fault::text("ERR The bit argument must be 1 or 0.")),
    };
    // Without a key, Redis does not look at the range: all bits are 0.
    let Some(entry) = read(&mut cx.store, key)? else {
        cx.missed(key);
        cx.reply.int(if bit { -1 } else { 0 });
        return REPLIED;
    };
    let (span, is_open) = span_to_search(args)?;
    let value = entry.value();
    let found = bits::position(parts(value, &mut Digits::new()), value.len(), bit, &span, is_open);
    cx.reply.int(found.map_or(-1, |position| position as i64));
    REPLIED
}

/// The part to search, and whether zeros follow it because its end was not given.
fn span_to_search(args: &mut Args<'_>) -> Result<(Span, bool), Fault> {
    let (start, end, unit) = match args.len() {
        0 => return Ok((Span::ALL, true)),
        1 => (args.int()?, None, Unit::Byte),
        2 | 3 => {
            let start = args.int()?;
            let end = args.word()?;
            // Redis reads the unit before the end.
            let unit = unit(args.peek())?;
            (start, Some(parse_i64(end).ok_or(Fault::NotInteger)?), unit)
        }
        _ => return Err(Fault::Syntax),
    };
    Ok((Span { start, end: end.unwrap_or(-1), unit }, end.is_none()))
}

const BITOP: Command = Command {
    name: "BITOP",
    run: bitop,
    summary: "Sets a key to the bits of several strings together, and returns how many bytes that are.",
    complexity: "O(N) for N bytes",
    since: "2.6.0",
    args: &[
        one_of("operation", &[token("and", "AND"), token("or", "OR"), token("xor", "XOR"), token("not", "NOT")]),
        key("destkey", Usage::Write),
        key("key", Usage::Read).many(),
    ],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    ..BITMAP
};

fn bitop(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let operation = operation(args.word()?)?;
    let dest = args.key()?;
    if operation.is_none() && args.len() != 1 {
        return Err(Fault::text("ERR BITOP NOT must be called with a single source key."));
    }
    let length = length_of_longest(cx, args.clone())?;
    let mut combined = Combined::new(operation.unwrap_or(Operation::Or), length);
    while !args.is_empty() {
        match cx.store.entry(args.key()?).map(Entry::value) {
            Some(value) => combined.add(parts(value, &mut Digits::new())),
            None => combined.add([]),
        }
    }
    let mut bytes = combined.into_bytes();
    if operation.is_none() {
        bits::invert(&mut bytes);
    }
    if !bytes.is_empty() {
        write(cx, dest, New::built(&mut bytes), None, "set");
    } else if cx.store.remove(dest) {
        cx.event(Class::Generic, "del", dest.bytes);
    }
    cx.reply.len(length);
    REPLIED
}

/// `None` stands for NOT.
fn operation(word: &[u8]) -> Result<Option<Operation>, Fault> {
    match word {
        word if word.eq_ignore_ascii_case(b"AND") => Ok(Some(Operation::And)),
        word if word.eq_ignore_ascii_case(b"OR") => Ok(Some(Operation::Or)),
        word if word.eq_ignore_ascii_case(b"XOR") => Ok(Some(Operation::Xor)),
        word if word.eq_ignore_ascii_case(b"NOT") => Ok(None),
        _ => Err(Fault::Syntax),
    }
}

/// Looks at all keys as a read of each does, and gives the bytes of the longest value.
fn length_of_longest(cx: &mut Ctx<'_>, mut keys: Args<'_>) -> Result<usize, Fault> {
    let mut longest = 0;
    while !keys.is_empty() {
        let key = keys.key()?;
        match read(&mut cx.store, key)? {
            Some(entry) => longest = longest.max(entry.value().len()),
            None => cx.missed(key),
        }
    }
    Ok(longest)
}

#[cfg(test)]
mod tests;
