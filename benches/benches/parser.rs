//! The parser of requests, on pipelines of 16.

mod common;

use common::{VALUE, key, numbers};
use criterion::{Criterion, Throughput};
use larder::net::parser::{Limits, Parsed, Parser};
use larder_client::resp::encode_request;
use std::hint::black_box;

const DEPTH: usize = 16;
const LIMITS: Limits = Limits { bulk_len_max: 512 << 20, logged_in: true };

fn main() {
    let mut criterion = common::criterion();
    pipelines(&mut criterion);
    criterion.final_summary();
}

fn pipelines(criterion: &mut Criterion) {
    let get = pipeline(|key| vec![b"GET".to_vec(), key]);
    let set = pipeline(|key| vec![b"SET".to_vec(), key, VALUE.to_vec()]);
    let mget = pipeline(|key| std::iter::once(b"MGET".to_vec()).chain(std::iter::repeat_n(key, 100)).collect());
    let mut group = criterion.benchmark_group("parser");
    group.throughput(Throughput::Elements(DEPTH as u64));
    for (name, bytes) in [("GET", &get), ("SET", &set), ("MGET of 100", &mget)] {
        group.bench_function(format!("16 times {name}"), |bench| {
            let mut parser = Parser::default();
            bench.iter(|| parse_all(&mut parser, black_box(bytes)));
        });
    }
    group.finish();
}

fn pipeline(words: impl Fn(Vec<u8>) -> Vec<Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    numbers(1_000_000).take(DEPTH).for_each(|number| encode_request(&words(key(number).to_vec()), &mut bytes));
    bytes
}

/// Parses every request, and returns how many words there were.
fn parse_all(parser: &mut Parser, bytes: &[u8]) -> usize {
    let (mut start, mut words) = (0, 0);
    while let Ok(Parsed::Request { end }) = parser.parse(bytes, start, LIMITS) {
        words += parser.words().len();
        parser.begin();
        start = end;
    }
    assert_eq!(start, bytes.len());
    words
}
