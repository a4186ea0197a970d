//! The store with a million keys: one command's keys at a time, and batches whose keys are prefetched.

mod common;

use common::{KEY_BYTES, VALUE, key, numbers};
use criterion::{BatchSize, Criterion, Throughput};
use larder::store::hash::{KeyHasher, Place, STRIPES};
use larder::store::{Key, New, Options, Store};
use std::hint::black_box;
use std::time::{Duration, Instant};

const KEYS: u64 = 1_000_000;
const NOW_MS: u64 = 1_700_000_000_000;

/// Keys that are drawn before the measurement, so that it measures the store alone.
const DRAWN: usize = 1 << 18;

/// Keys that come and go in one measurement of coming or going.
const GUESTS: u64 = 10_000;

fn main() {
    let store = filled();
    let drawn: Vec<[u8; KEY_BYTES]> = numbers(KEYS).take(DRAWN).map(key).collect();
    let mut criterion = common::criterion();
    reads(&mut criterion, &store, &drawn);
    writes(&mut criterion, &store, &drawn);
    comings_and_goings(&mut criterion, &store);
    criterion.final_summary();
}

fn filled() -> Store {
    let store = Store::with_hasher(Options::default(), KeyHasher::seeded(1));
    (0..KEYS).for_each(|number| set(&store, store.key(&key(number)), None));
    store
}

fn set(store: &Store, key: Key<'_>, expiry: Option<u64>) {
    store.lock_one(key.place.stripe(), 0, store.moment(NOW_MS)).set(key, New::Set(VALUE), expiry);
}

fn get(store: &Store, key: Key<'_>) {
    let mut keys = store.lock_one(key.place.stripe(), 0, store.moment(NOW_MS));
    black_box(keys.get(key).expect("every key is there").value());
}

fn reads(criterion: &mut Criterion, store: &Store, drawn: &[[u8; KEY_BYTES]]) {
    let mut group = criterion.benchmark_group("store/get");
    for batch in [1, 16, 64] {
        group.throughput(Throughput::Elements(batch as u64));
        let mut batches = drawn.chunks_exact(batch).cycle();
        group.bench_function(format!("{batch} at a time"), |bench| {
            bench.iter_batched(
                || batches.next().expect("the keys go round"),
                |keys| each(store, keys, get),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn writes(criterion: &mut Criterion, store: &Store, drawn: &[[u8; KEY_BYTES]]) {
    let mut group = criterion.benchmark_group("store/overwrite");
    for batch in [1, 16, 64] {
        group.throughput(Throughput::Elements(batch as u64));
        let mut batches = drawn.chunks_exact(batch).cycle();
        group.bench_function(format!("{batch} at a time"), |bench| {
            bench.iter_batched(
                || batches.next().expect("the keys go round"),
                |keys| each(store, keys, |store, key| set(store, key, None)),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Runs a command for each key, prefetched if there are several.
fn each(store: &Store, keys: &[[u8; KEY_BYTES]], run: impl Fn(&Store, Key<'_>)) {
    const NOWHERE: Place = Place { slot: 0, hash: 0 };
    let mut places = [NOWHERE; 64];
    let places = &mut places[..keys.len()];
    for (place, key) in places.iter_mut().zip(keys) {
        *place = store.place(key);
    }
    if keys.len() > 1 {
        store.prefetch(0, places);
    }
    for (bytes, &mut place) in keys.iter().zip(places) {
        run(store, Key { bytes, place });
    }
}

/// New keys, among the million, are set and removed or expire; one half is timed and the other undoes it.
fn comings_and_goings(criterion: &mut Criterion, store: &Store) {
    let guests: Vec<[u8; KEY_BYTES]> = (KEYS..KEYS + GUESTS).map(key).collect();
    let come = |expiry| guests.iter().for_each(|key| set(store, store.key(key), expiry));
    let go = || {
        for key in &guests {
            let key = store.key(key);
            store.lock_one(key.place.stripe(), 0, store.moment(NOW_MS)).remove(key);
        }
    };
    let mut group = criterion.benchmark_group("store/10000 keys");
    group.throughput(Throughput::Elements(GUESTS)).sample_size(10);
    group.bench_function("set", |bench| {
        bench.iter_custom(|times| (0..times).map(|_| timed(|| come(None), go)).sum());
    });
    group.bench_function("remove", |bench| {
        bench.iter_custom(|times| {
            let round = |_| {
                come(None);
                timed(go, || ())
            };
            (0..times).map(round).sum()
        });
    });
    let mut now_ms = NOW_MS;
    group.bench_function("expire", |bench| {
        bench.iter_custom(|times| {
            let mut round = || {
                now_ms += 10_000;
                come(Some(now_ms));
                timed(|| expire(store, now_ms + 1_000), || ())
            };
            (0..times).map(|_| round()).sum()
        });
    });
    group.finish();
    assert_eq!(store.keys(0), KEYS as usize, "all guests have gone");
}

fn timed(measured: impl FnOnce(), undo: impl FnOnce()) -> Duration {
    let start = Instant::now();
    measured();
    let took = start.elapsed();
    undo();
    took
}

fn expire(store: &Store, now_ms: u64) {
    for stripe in 0..STRIPES {
        while store.expire(stripe, store.moment(now_ms), 64) {}
    }
}
