//! What a primary says: a greeting, a snapshot and a stream, each sound, damaged or of any bytes, in pieces of any size.
//!
//! Nothing may panic or hang. What is refused leaves the node as it was, if it held data; and the memory that it counts is
//! what its stripes hold.

#![no_main]

#[expect(dead_code, reason = "sessions of clients need more of it")]
mod node;
#[expect(dead_code, reason = "sessions of clients need more of it")]
mod words;

use larder::command::replication::Receiving;
use larder::command::shared::Shared;
use larder::net::follow::Runner;
use larder::persist::rdb::push_string;
use larder::repl::greeting::{Greeting, Manners, Next};
use larder_client::resp::encode_request;
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use std::net::SocketAddr;
use std::sync::Arc;
use words::Request;

const ID: &str = "00112233445566778899aabbccddeeff00112233";
const ENTRIES_MAX: usize = 8;
const REQUESTS_MAX: usize = 32;

fuzz_target!(|input: &[u8]| {
    let node = Arc::new(node::start());
    node.listen();
    // Input that ends early has run all the same.
    let _ = run(&node, Unstructured::new(input));
    assert_eq!(node.store.totals().used_bytes as u64, node.store.used_bytes(), "what the node was told it holds");
    assert!(!node.loading.is_on(), "clients wait for nothing");
});

fn run(node: &Arc<Shared>, mut input: Unstructured<'_>) -> Result<()> {
    node.barrier.alone(|| node.follow(Some(("primary".to_owned(), 1))));
    let generation = node.replication.goal().generation;
    let bytes = said(&mut input)?;
    let piece = 1 + usize::from(input.arbitrary::<u16>()?);
    let mut pieces = bytes.chunks(piece);
    let mut greeting = Greeting::new(Manners { place: Some((ID.to_owned(), 0)), ..Manners::default() });
    let rest = loop {
        match greeting.go_on() {
            Ok(Next::Send(_)) => {}
            Ok(Next::Read) => match pieces.next() {
                Some(piece) => greeting.feed(piece),
                None => return Ok(()),
            },
            Ok(Next::Continue { .. }) => break greeting.take_rest(),
            Ok(Next::Full { id, offset, kin, snapshot }) => {
                let begun = Receiving::begin(node, generation, (id, offset, kin), snapshot);
                let mut receiving = begun.expect("an empty node needs no file");
                let mut next = Some(greeting.take_rest());
                loop {
                    let Some(bytes) = next else {
                        receiving.give_up(node);
                        return Ok(());
                    };
                    match receiving.take(node, &bytes) {
                        Ok(true) => break,
                        Ok(false) => next = pieces.next().map(<[u8]>::to_vec),
                        Err(_) => {
                            receiving.give_up(node);
                            return Ok(());
                        }
                    }
                }
                break receiving.finish(node, &mut || ()).expect("nothing else has changed whom the node follows");
            }
            Err(_) => return Ok(()),
        }
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let mut runner = Runner::new(node, generation, 0, (address, address));
    let mut offset = 0;
    for piece in std::iter::once(&rest[..]).chain(pieces) {
        match runner.run(piece) {
            Ok(next) => {
                assert!(next >= offset, "offsets do not go back");
                offset = next;
            }
            Err(_) => break,
        }
    }
    Ok(())
}

/// All that a primary says.
fn said(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for answer in ["+PONG", "+OK", "+OK", "+OK"] {
        push_line(&mut bytes, answer.as_bytes(), input)?;
    }
    if input.ratio(1, 2)? {
        let kin = if input.ratio(1, 2)? { format!(" {ID}:5") } else { String::new() };
        push_line(&mut bytes, format!("+FULLRESYNC {ID} 17{kin}").as_bytes(), input)?;
        let snapshot = snapshot(input)?;
        if input.ratio(1, 2)? {
            push_line(&mut bytes, format!("$EOF:{ID}").as_bytes(), input)?;
            bytes.extend_from_slice(&snapshot);
            bytes.extend_from_slice(ID.as_bytes());
        } else {
            push_line(&mut bytes, format!("${}", snapshot.len()).as_bytes(), input)?;
            bytes.extend_from_slice(&snapshot);
        }
    } else {
        push_line(&mut bytes, b"+CONTINUE", input)?;
    }
    for _ in 0..REQUESTS_MAX {
        if input.is_empty() {
            break;
        }
        match words::request(input)? {
            Request::Words(words) => encode_request(&words, &mut bytes),
            Request::Line(line) => bytes.extend_from_slice(&line),
            Request::Raw(raw) => bytes.extend_from_slice(&raw),
        }
    }
    Ok(bytes)
}

/// A line, which is mostly the right one.
fn push_line(bytes: &mut Vec<u8>, line: &[u8], input: &mut Unstructured<'_>) -> Result<()> {
    match input.int_in_range(0..=15)? {
        0 => bytes.extend_from_slice(input.arbitrary()?),
        1 => bytes.extend_from_slice(b"\n\n"),
        _ => {}
    }
    bytes.extend_from_slice(line);
    bytes.extend_from_slice(b"\r\n");
    Ok(())
}

/// A snapshot of strings, with or without what may be damage.
fn snapshot(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut file = b"REDIS0010".to_vec();
    for _ in 0..input.int_in_range(0..=ENTRIES_MAX)? {
        file.push(if input.ratio(1, 8)? { input.arbitrary()? } else { 0 });
        push_string(&mut file, input.arbitrary()?, false);
        push_string(&mut file, input.arbitrary()?, true);
    }
    file.push(255);
    file.extend_from_slice(&[0; 8]);
    Ok(file)
}
