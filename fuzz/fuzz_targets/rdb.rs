//! RDB files: items with any lengths, sound files with damage (the corpus has some), and any bytes, in pieces of any size.
//!
//! Nothing may panic, what comes out must not depend on the pieces, and no byte may be held twice or lost.

#![no_main]

use larder::base::crc64::crc64;
use larder::persist::rdb::file::{Checksum, Entry, FileReader, Step};
use larder::persist::rdb::{Limits, Value, dump_object, dump_string, push_length, push_string};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

const ITEMS_MAX: usize = 32;

/// First bytes of items that are no entries.
const OPCODES: [u8; 13] = [243, 244, 245, 246, 247, 248, 249, 250, 251, 252, 253, 254, 255];

const MAGICS: [&[u8]; 6] = [b"REDIS0003", b"REDIS0006", b"REDIS0009", b"REDIS0011", b"REDIS0012", b"VALKEY080"];

fuzz_target!(|input: &[u8]| {
    // Input that ends early has run all the same.
    let _ = run(Unstructured::new(input));
});

fn run(mut input: Unstructured<'_>) -> Result<()> {
    let is_raw = input.ratio(1, 3)?;
    let mut pieces = Vec::new();
    for _ in 0..input.int_in_range(1..=8)? {
        pieces.push(1 + usize::from(input.arbitrary::<u8>()?));
    }
    let mut file = Vec::new();
    if !is_raw {
        file.extend_from_slice(input.choose(&MAGICS)?);
        for _ in 0..input.int_in_range(0..=ITEMS_MAX)? {
            push_item(&mut file, &mut input)?;
        }
        if input.ratio(1, 2)? {
            file.push(255);
            file.extend(crc64(0, &file).to_le_bytes());
        }
    }
    file.extend_from_slice(input.take_rest());
    let whole = read(&file, &[usize::MAX]);
    assert_eq!(read(&file, &pieces), whole, "pieces of {pieces:?}");
    Ok(())
}

/// Something that may be an item, with lengths that may be anything.
fn push_item(file: &mut Vec<u8>, input: &mut Unstructured<'_>) -> Result<()> {
    match input.int_in_range(0..=5)? {
        0 => file.extend_from_slice(input.arbitrary()?),
        1 => file.push(*input.choose(&OPCODES)?),
        2 => push_length(file, input.arbitrary()?),
        3 => push_string(file, input.arbitrary()?, input.arbitrary()?),
        4 => {
            // A string that is sound, and its key.
            file.push(0);
            push_string(file, input.arbitrary()?, false);
            push_string(file, input.arbitrary()?, true);
        }
        _ => {
            // A type, a key, and what may be its value.
            file.push(input.int_in_range(0..=26)?);
            push_string(file, input.arbitrary()?, false);
            push_length(file, input.int_in_range(0..=9)?);
            for _ in 0..input.int_in_range(0..=9)? {
                push_string(file, input.arbitrary()?, input.arbitrary()?);
            }
        }
    }
    Ok(())
}

/// What is seen of a file that comes in pieces of these sizes, in turns.
fn read(file: &[u8], pieces: &[usize]) -> (Vec<String>, std::result::Result<Checksum, String>) {
    let mut reader = FileReader::new(Limits::default());
    let (mut seen, mut rest) = (Vec::new(), file);
    for &piece in pieces.iter().cycle() {
        let (now, later) = rest.split_at(piece.min(rest.len()));
        reader.feed(now);
        rest = later;
        loop {
            assert!(reader.offset() as usize + reader.unread().len() + rest.len() == file.len(), "no byte is lost");
            match reader.next() {
                Ok(Step::NeedMore) => break,
                Ok(Step::End(checksum)) => return (seen, Ok(checksum)),
                Ok(step) => seen.push(told(step)),
                Err(error) => return (seen, Err(error.to_string())),
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    (seen, reader.end_of_input().map_err(|error| error.to_string()))
}

fn told(step: Step) -> String {
    match step {
        Step::NeedMore | Step::End(_) => unreachable!("they are told apart before"),
        Step::Aux { name, value } => format!("aux {name:?} {value:?}"),
        Step::Database(number) => format!("database {number}"),
        Step::Resize { keys, expiring } => format!("resize {keys} {expiring}"),
        Step::Library(code) => format!("library {code:?}"),
        Step::Skipped(skipped) => format!("{skipped:?}"),
        Step::Entry(entry) => told_entry(&entry),
    }
}

/// An entry; its value is written again, which must not fail either.
fn told_entry(entry: &Entry) -> String {
    let mut payload = Vec::new();
    match &entry.value {
        Value::String(text) => dump_string(&mut payload, text, true),
        Value::Object(object) => dump_object(&mut payload, object, true),
    }
    let Entry { database, key, expiry_ms, idle_s, frequency, kind, bytes, .. } = entry;
    format!("{database} {key:?} {expiry_ms:?} {idle_s:?} {frequency:?} {kind} {bytes}: {}", payload.len())
}
