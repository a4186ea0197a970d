//! The parser of requests: any bytes, cut anywhere. It must not panic, and what it makes of the bytes must not depend on
//! the cuts.

#![no_main]

use larder::net::parser::{Limits, Parsed, Parser};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;

/// A small limit, so that the fuzzer finds what lies on both sides of it.
const BULK_LEN_MAX: usize = 100_000;

/// This byte and the one behind it stand for many of the latter: lines beyond the limits fit a short input.
const REPEAT: u8 = 0xFE;
const REPEATS: usize = 33_000;

/// Bytes beyond which the repeating stops.
const BYTES_MAX: usize = 400_000;

#[derive(Debug, PartialEq)]
enum Seen {
    Words(Vec<Vec<u8>>),
    Line(Vec<u8>),
    Malformed(Vec<u8>),
    /// Bytes that wait for more.
    Rest(usize),
}

fuzz_target!(|input: &[u8]| {
    let _ = run(Unstructured::new(input));
});

fn run(mut input: Unstructured<'_>) -> Result<()> {
    let limits = Limits { bulk_len_max: BULK_LEN_MAX, logged_in: input.arbitrary()? };
    let mut cuts = Vec::new();
    for _ in 0..input.int_in_range(0..=8)? {
        cuts.push(input.arbitrary::<u16>()? as usize * input.int_in_range(1..=8)?);
    }
    cuts.sort_unstable();
    let bytes = expand(input.take_rest());
    assert_eq!(feed(&bytes, &cuts, limits), feed(&bytes, &[], limits));
    Ok(())
}

fn expand(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut packed = packed.iter();
    while let Some(&byte) = packed.next() {
        match packed.as_slice().first() {
            Some(&repeated) if byte == REPEAT && bytes.len() < BYTES_MAX => {
                bytes.extend(std::iter::repeat_n(repeated, REPEATS));
                packed.next();
            }
            _ => bytes.push(byte),
        }
    }
    bytes
}

/// Gives the parser the bytes up to each cut, as a connection does, and all of them at last.
fn feed(bytes: &[u8], cuts: &[usize], limits: Limits) -> Vec<Seen> {
    let mut parser = Parser::default();
    let mut seen = Vec::new();
    let mut start = 0;
    for &cut in cuts.iter().chain([&bytes.len()]) {
        let buffer = &bytes[..cut.min(bytes.len())];
        loop {
            let end = match parser.parse(buffer, start, limits) {
                Ok(Parsed::Request { end }) => {
                    let word = |span: &larder::command::words::Span| {
                        buffer[start + span.start as usize..][..span.len as usize].to_vec()
                    };
                    seen.push(Seen::Words(parser.words().iter().map(word).collect()));
                    end
                }
                Ok(Parsed::Line { from, to, end }) => {
                    seen.push(Seen::Line(buffer[from..to].to_vec()));
                    end
                }
                Ok(Parsed::Nothing { end }) => end,
                Ok(Parsed::Incomplete { missing }) => {
                    assert!(missing > 0, "the parser waits for nothing");
                    break;
                }
                Err(malformed) => {
                    seen.push(Seen::Malformed(malformed.wire().to_vec()));
                    return seen;
                }
            };
            assert!(end > start && end <= buffer.len(), "a request takes some of the bytes that are there");
            start = end;
            parser.begin();
        }
    }
    seen.push(Seen::Rest(bytes.len() - start));
    seen
}
