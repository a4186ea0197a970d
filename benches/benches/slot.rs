//! Finding the slot of a key, and its whole place.

#[expect(dead_code, reason = "shared by benchmarks that use different parts of it")]
mod common;

use criterion::Criterion;
use larder::store::hash::KeyHasher;
use larder_client::slot;
use std::hint::black_box;

fn main() {
    let mut criterion = common::criterion();
    slots(&mut criterion);
    criterion.final_summary();
}

fn slots(criterion: &mut Criterion) {
    let hasher = KeyHasher::seeded(1);
    let tagged = b"user:{1234567}:profile";
    let keys: [(&str, &[u8]); 4] = [
        ("8 bytes", b"user:123"),
        ("16 bytes", b"key:000000123456"),
        ("a tag in 22 bytes", tagged),
        ("100 bytes", &[b'k'; 100]),
    ];
    let mut group = criterion.benchmark_group("slot");
    for (name, key) in keys {
        group.bench_function(format!("slot of {name}"), |bench| bench.iter(|| slot::of(black_box(key))));
    }
    group.bench_function("place of 16 bytes", |bench| bench.iter(|| hasher.place(black_box(keys[1].1))));
    group.finish();
}
