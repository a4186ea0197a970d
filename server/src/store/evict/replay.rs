//! Replays a request trace through this room as a node would use it, with a plain map for a store.
//!
//! It is a measurement, so it runs only when asked for, and best with `--release`:
//!
//! ```text
//! LARDER_TRACE=scarab-recs.txt.gz cargo test --release -p larder --lib evict::replay -- --ignored --nocapture
//! ```
//! A trace is text, gzipped or not, a request a line: `key [value_bytes]`. Each request is a GET, a miss is followed
//! by a SET. `LARDER_COPIES` interleaves so many copies with distinct keys (1), `LARDER_SHARES` are the limits in
//! percent of all key and value bytes (10), `LARDER_OVERHEAD` is what a record costs beside 16 bytes of key and its
//! value (20). Where the trace has no sizes, or with `LARDER_META_KV=1`, they are drawn from [`META_KV`].

use std::collections::HashMap;
use std::io::BufRead;
use std::process::Command;
use std::time::Instant;

use super::duel::Duel;
use super::ghost::Ghost;
use super::queues::Queues;
use super::{Fate, Mark, Name, Partial, Seen, USES_MAX, queue_of, uses};

/// Value sizes of a large key-value cache as (ten-thousandths of the keys, bytes), linear between the points; from
/// the distribution `kvcache_reg` that comes with CacheLib's cachebench, cut at 64 KiB.
const META_KV: [(u32, u32); 22] = [
    (0, 31),
    (300, 102),
    (1000, 119),
    (2000, 135),
    (3000, 149),
    (4000, 160),
    (5000, 167),
    (6000, 173),
    (7000, 180),
    (8000, 186),
    (9000, 218),
    (9400, 322),
    (9600, 472),
    (9700, 541),
    (9800, 694),
    (9850, 756),
    (9900, 969),
    (9950, 1680),
    (9980, 4626),
    (9990, 13_009),
    (9995, 65_536),
    (10_000, 65_536),
];
const KEY: u32 = 16;

/// Which stripe gives way when the node is over its limit.
#[derive(Clone, Copy, Debug)]
enum Victim {
    /// The one that is written to.
    Own,
    /// The one with the lowest age among that and so many others, drawn at random.
    LowestAge(u32),
}

struct Trace {
    /// Key and value bytes.
    requests: Vec<(u32, u32)>,
    /// Key and value bytes of all distinct keys.
    payload: u64,
}

struct Record {
    mark: Mark,
    bytes: u32,
    f: u8,
    p: u8,
}

#[derive(Default)]
struct Stripe {
    bytes: u64,
    queues: Queues,
    ghost: Ghost,
    records: HashMap<u32, Record>,
    by_entry: HashMap<Partial, Vec<u32>>,
}

struct Node {
    limit: u64,
    used: u64,
    stripes: Vec<Stripe>,
    duel: Option<Duel>,
    victim: Victim,
    random: u64,
    age: f64,
    looks: u64,
    evictions: u64,
}

/// A number's 64-bit mix (SplitMix64).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn name_of(key: u32, wide: bool) -> Name {
    let hash = mix(u64::from(key));
    Name { slot: (mix(hash) % 64) as u8, hash: (hash >> 32) as u32, wide }
}

fn drawn_size(key: u32) -> u32 {
    let drawn = (mix(u64::from(key) ^ 0x5151) >> 11) as f64 / (1u64 << 53) as f64 * 10_000.0;
    let above = META_KV.partition_point(|point| f64::from(point.0) <= drawn).min(META_KV.len() - 1);
    let ((p0, s0), (p1, s1)) = (META_KV[above - 1], META_KV[above]);
    (f64::from(s0) + (drawn - f64::from(p0)) / f64::from(p1 - p0) * (f64::from(s1) - f64::from(s0))) as u32
}

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn read_trace(path: &str, copies: u32, meta_kv: bool) -> Trace {
    let text = if path.ends_with(".gz") {
        Command::new("gzip").args(["-dc", path]).output().expect("gzip runs").stdout
    } else {
        std::fs::read(path).expect("LARDER_TRACE names a readable file")
    };
    let mut keys = HashMap::new();
    let mut lines = Vec::new();
    for line in text.lines().map(|line| line.expect("the trace is text")) {
        let mut words = line.split_ascii_whitespace();
        let Some(key) = words.next().filter(|key| !key.starts_with('#')) else {
            continue;
        };
        let next = keys.len() as u32;
        let key = *keys.entry(key.to_owned()).or_insert(next);
        lines.push((key, words.next().and_then(|size| size.parse().ok()).filter(|_| !meta_kv)));
    }
    let distinct = keys.len() as u32;
    let copied = lines.iter().flat_map(|&(key, size)| (0..copies).map(move |copy| (key + copy * distinct, size)));
    let requests: Vec<(u32, u32)> = copied.map(|(key, size)| (key, size.unwrap_or_else(|| drawn_size(key)))).collect();
    let last: HashMap<u32, u32> = requests.iter().copied().collect();
    let payload = last.values().map(|&size| u64::from(size + KEY)).sum();
    Trace { requests, payload }
}

impl Node {
    fn new(limit: u64, stripes: usize, victim: Victim, duel: bool) -> Node {
        let duel = duel.then(|| Duel::new(limit));
        let stripes = (0..stripes).map(|_| Stripe::default()).collect();
        Node { limit, used: 0, stripes, duel, victim, random: 1, age: 0.0, looks: 0, evictions: 0 }
    }

    fn get_or_set(&mut self, key: u32, bytes: u32) -> bool {
        let hash = mix(u64::from(key));
        let own = (mix(hash ^ 0xabcd) % self.stripes.len() as u64) as usize;
        let found = self.stripes[own].records.get_mut(&key);
        let found = found.map(|record| {
            record.p = (record.p + 1).min(USES_MAX);
            record.bytes
        });
        let mut duel = self.duel.as_mut().filter(|duel| duel.sampled(hash));
        if let Some(duel) = &mut duel {
            duel.read(hash, found);
        }
        if found.is_none() && u64::from(bytes) <= self.limit {
            if let Some(duel) = duel.filter(|duel| duel.sampled(hash)) {
                duel.write(hash, bytes);
            }
            self.insert(own, key, bytes);
        }
        found.is_some()
    }

    fn insert(&mut self, own: usize, key: u32, bytes: u32) {
        let f = uses(self.stripes[own].ghost.recall(mix(u64::from(key))));
        while self.used + u64::from(bytes) > self.limit {
            self.evict(own);
        }
        let wide = self.stripes.len() == 1;
        let stripe = &mut self.stripes[own];
        stripe.queues.catch_up(self.age);
        stripe.push(key, bytes, f, wide);
        self.used += u64::from(bytes);
    }

    fn draw(&mut self) -> usize {
        self.random += 1;
        (mix(self.random) % self.stripes.len() as u64) as usize
    }

    fn victim(&mut self, own: usize) -> usize {
        let others = match self.victim {
            Victim::Own => 0,
            Victim::LowestAge(others) => others,
        };
        let mut best = own;
        for _ in 0..others {
            let other = self.draw();
            let (a, b) = (&self.stripes[best].queues, &self.stripes[other].queues);
            if !b.is_empty() && (a.is_empty() || b.age() < a.age()) {
                best = other;
            }
        }
        while self.stripes[best].queues.is_empty() {
            best = self.draw();
        }
        best
    }

    fn evict(&mut self, own: usize) {
        let victim = self.victim(own);
        let first = self.duel.as_ref().map_or(0.5, Duel::first);
        let wide = self.stripes.len() == 1;
        let stripe = &mut self.stripes[victim];
        while let Some((key, seen, value)) = stripe.lowest(first, &mut self.looks) {
            stripe.take(key);
            if let Fate::Requeue { f } = seen.fate() {
                stripe.push(key, seen.bytes, f, wide);
                continue;
            }
            stripe.queues.evicted(value);
            stripe.ghost.resize((stripe.bytes as f64 * 0.9) as u64, (stripe.records.len() as f64 * 0.9) as usize);
            stripe.ghost.remember(mix(u64::from(key)), seen.f, seen.bytes);
            self.used -= u64::from(seen.bytes);
            self.age = stripe.queues.age();
            self.evictions += 1;
            return;
        }
    }
}

impl Stripe {
    fn push(&mut self, key: u32, bytes: u32, f: u8, wide: bool) {
        let name = name_of(key, wide);
        let mark = self.queues.push(name, bytes, f);
        debug_assert_eq!(mark.queue, queue_of(bytes, f));
        self.bytes += u64::from(bytes);
        self.records.insert(key, Record { mark, bytes, f, p: 0 });
        self.by_entry.entry(name.into()).or_default().push(key);
        let Stripe { queues, records, by_entry, .. } = self;
        queues.sweep(|partial, old, new| {
            let key = by_entry.get(&partial).and_then(|keys| keys.iter().find(|key| records[key].mark == old));
            key.and_then(|key| records.get_mut(key)).map(|record| record.mark = new).is_some()
        });
    }

    fn lowest(&mut self, first: f32, looks: &mut u64) -> Option<(u32, Seen, f64)> {
        let Stripe { queues, records, by_entry, .. } = self;
        let candidate = queues.lowest(first, |partial, mark| {
            *looks += 1;
            let &key = by_entry.get(&partial)?.iter().find(|key| records[key].mark == mark)?;
            let record = &records[&key];
            Some(Seen { bytes: record.bytes, f: record.f, p: record.p, handle: u64::from(key) })
        })?;
        Some((candidate.seen.handle as u32, candidate.seen, candidate.value))
    }

    fn take(&mut self, key: u32) {
        let record = self.records.remove(&key).expect("the candidate is a record");
        self.bytes -= u64::from(record.bytes);
        for wide in [false, true] {
            if let Some(keys) = self.by_entry.get_mut(&Partial::from(name_of(key, wide))) {
                keys.retain(|&other| other != key);
            }
        }
    }
}

fn run(trace: &Trace, limit: u64, overhead: u32, stripes: usize, victim: Victim, duel: bool) {
    let mut node = Node::new(limit, stripes, victim, duel);
    let started = Instant::now();
    let (mut hits, mut hit_bytes, mut all_bytes) = (0u64, 0u64, 0u64);
    for &(key, size) in &trace.requests {
        let bytes = size + KEY + overhead;
        let hit = node.get_or_set(key, bytes);
        all_bytes += u64::from(bytes);
        hits += u64::from(hit);
        hit_bytes += u64::from(bytes) * u64::from(hit);
    }
    let records = node.stripes.iter().map(|stripe| stripe.queues.len()).sum::<usize>() as f64;
    let queues = node.stripes.iter().map(|stripe| stripe.queues.bytes_used()).sum::<usize>() as f64;
    let ghosts = node.stripes.iter().map(|stripe| stripe.ghost.bytes_used()).sum::<usize>() as f64;
    println!(
        "{stripes:3} stripes, {:13}, {}: {:.4}/{:.4}  {records} records, bytes each: queues {:.2}, ghost {:.2}, duel {:.2}; \
         looks an eviction {:.2}; first {}; {:.1} s",
        format!("{victim:?}"),
        if duel { "duel" } else { "0.5 " },
        hits as f64 / trace.requests.len() as f64,
        hit_bytes as f64 / all_bytes as f64,
        queues / records,
        ghosts / records,
        node.duel.as_ref().map_or(0, Duel::bytes_used) as f64 / records,
        node.looks as f64 / node.evictions as f64,
        node.duel.as_ref().map_or(0.5, Duel::first),
        started.elapsed().as_secs_f64(),
    );
}

#[test]
#[ignore = "a measurement; needs LARDER_TRACE"]
fn replay_a_trace() {
    let path = setting("LARDER_TRACE").expect("LARDER_TRACE names a trace");
    let copies = setting("LARDER_COPIES").map_or(1, |n| n.parse().expect("LARDER_COPIES is a number"));
    let overhead = setting("LARDER_OVERHEAD").map_or(20, |n| n.parse().expect("LARDER_OVERHEAD is a number of bytes"));
    let trace = read_trace(&path, copies, setting("LARDER_META_KV").is_some());
    for share in setting("LARDER_SHARES").as_deref().unwrap_or("10").split(',') {
        let share: f64 = share.parse().expect("LARDER_SHARES are percentages");
        let limit = (trace.payload as f64 * share / 100.0) as u64;
        println!("{} requests, {share} % of {} bytes", trace.requests.len(), trace.payload);
        run(&trace, limit, overhead, 1, Victim::Own, true);
        run(&trace, limit, overhead, 256, Victim::Own, true);
        run(&trace, limit, overhead, 256, Victim::LowestAge(1), true);
        run(&trace, limit, overhead, 256, Victim::LowestAge(2), true);
        run(&trace, limit, overhead, 256, Victim::LowestAge(4), true);
        run(&trace, limit, overhead, 256, Victim::LowestAge(2), false);
    }
}

#[test]
fn a_node_of_stripes_keeps_what_is_asked_for_and_its_limit() {
    for victim in [Victim::Own, Victim::LowestAge(2)] {
        let mut node = Node::new(1 << 20, 16, victim, true);
        let mut hits = 0;
        for i in 0..200_000u64 {
            // Half of the requests are for a set that fits, the rest are a scan.
            let key = if i % 2 == 0 { (mix(i) % 2_000) as u32 } else { 1_000_000 + i as u32 };
            hits += u32::from(node.get_or_set(key, 100 + key % 200));
            assert!(node.used <= node.limit);
        }
        assert!(hits > 90_000, "{victim:?}: {hits}");
        assert_eq!(node.used, node.stripes.iter().map(|stripe| stripe.bytes).sum::<u64>());
        assert!(node.stripes.iter().all(|stripe| stripe.queues.len() == stripe.records.len()));
    }
}
