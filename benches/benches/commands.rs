//! Commands from their words to their replies, without sockets: batches of 16 on a node with a million keys.

mod common;

use common::{VALUE, key, numbers};
use criterion::Throughput;
use larder::command::clients::Client;
use larder::command::dispatch::{Batch, Ended};
use larder::command::shared::{Parts, Shared, now_ms};
use larder::command::words::Span;
use larder::command::{Reply, Session};
use larder::config::checked::Values;
use larder::config::{Config, Live, Machine, Raw};
use larder::rules::Policy;
use larder::store::{New, Options, Store};
use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

const KEYS: u64 = 1_000_000;

/// Requests in a batch.
const DEPTH: usize = 16;

/// Batches that are made before the measurement.
const BATCHES: usize = 4_096;

fn main() {
    let node = node();
    let mut criterion = common::criterion();
    let get = |number| vec![b"GET".to_vec(), key(number).to_vec()];
    let set = |number| vec![b"SET".to_vec(), key(number).to_vec(), VALUE.to_vec()];
    let incr = |number| vec![b"INCR".to_vec(), format!("counter:{}", number % 1000).into_bytes()];
    let mset = |number| {
        let pairs = (number..number + 10).flat_map(|number| [key(number % KEYS).to_vec(), VALUE.to_vec()]);
        std::iter::once(b"MSET".to_vec()).chain(pairs).collect()
    };
    let mut group = criterion.benchmark_group("commands");
    group.throughput(Throughput::Elements(DEPTH as u64));
    bench(&mut group, &node, "GET", get);
    bench(&mut group, &node, "SET", set);
    bench(&mut group, &node, "INCR", incr);
    bench(&mut group, &node, "MSET of 10", mset);
    group.finish();
    rules(&mut criterion, &node);
    criterion.final_summary();
}

/// The same with a thousand rules, none of which is for these keys; and looking one up.
fn rules(criterion: &mut criterion::Criterion, node: &Shared) {
    let policy = || Policy::parse("lease on ttl-jitter 20%".split(' ')).expect("it is a policy");
    for number in 0..1000 {
        node.rules.set(format!("app{}:user{}:", number % 40, number / 40).as_bytes(), policy());
    }
    node.rules.set(b"key:none:", policy());
    let mut group = criterion.benchmark_group("commands with 1000 rules");
    group.throughput(Throughput::Elements(DEPTH as u64));
    bench(&mut group, node, "GET", |number| vec![b"GET".to_vec(), key(number).to_vec()]);
    bench(&mut group, node, "SET", |number| vec![b"SET".to_vec(), key(number).to_vec(), VALUE.to_vec()]);
    group.finish();
    let mut group = criterion.benchmark_group("rule of a key");
    for name in ["app17:user13:1234567", "app17:users", "key:0000000000", "other:1"] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| node.rules.look(black_box(name.as_bytes()), |rule| rule.policy.lease))
        });
    }
    group.finish();
}

fn node() -> Shared {
    const MACHINE: Machine = Machine { memory: 8 << 30, cores: 1 };
    let live = Arc::new(Live::new(&Config::new(Values::defaults(&MACHINE)), Raw::default(), MACHINE));
    let store = Store::new(Options::default());
    let node = Shared::new(Parts {
        store,
        live,
        port: 6379,
        workers: 1,
        cluster_id: None,
        stop: Box::new(|| ()),
        room: |clients| clients,
    });
    node.settings_changed();
    for number in 0..KEYS {
        let bytes = key(number);
        let key = node.store.key(&bytes);
        node.store.lock_one(key.place.stripe(), 0, node.store.moment(now_ms())).set(key, New::Set(VALUE), None);
    }
    node
}

fn session(node: &Shared) -> Session {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
    let client = Arc::new(Client::new(node.clients.next_id(), address, address, -1, 0, now_ms()));
    node.clients.add(client.clone());
    Session::new(client, true)
}

/// Requests as they lie in a buffer that was read: their words, without the protocol between them.
struct Pipeline {
    buffer: Vec<u8>,
    requests: Vec<(Vec<Span>, usize, usize)>,
}

impl Pipeline {
    fn new(requests: impl Iterator<Item = Vec<Vec<u8>>>) -> Pipeline {
        let mut pipeline = Pipeline { buffer: Vec::new(), requests: Vec::new() };
        for words in requests {
            let start = pipeline.buffer.len();
            let mut spans = Vec::new();
            for word in words {
                spans.push(Span { start: (pipeline.buffer.len() - start) as u32, len: word.len() as u32 });
                pipeline.buffer.extend(word);
            }
            pipeline.requests.push((spans, start, pipeline.buffer.len()));
        }
        pipeline
    }
}

fn bench(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    node: &Shared,
    name: &str,
    request: impl Fn(u64) -> Vec<Vec<u8>>,
) {
    let mut drawn = numbers(KEYS);
    let pipelines: Vec<Pipeline> =
        (0..BATCHES).map(|_| Pipeline::new(drawn.by_ref().take(DEPTH).map(&request))).collect();
    let mut next = pipelines.iter().cycle();
    let mut session = session(node);
    let (mut batch, mut reply) = (Batch::default(), Reply::default());
    group.bench_function(format!("16 times {name}"), |bench| {
        bench.iter(|| {
            let pipeline = next.next().expect("the pipelines go round");
            batch.clear();
            pipeline.requests.iter().for_each(|(spans, start, end)| batch.add(spans, *start, *end));
            let mut pass = node.barrier.enter(0);
            let ended = batch.run(&pipeline.buffer, node, &mut session, &mut reply, &mut pass);
            assert!(ended == Ended::Done && reply.out[0] != b'-', "commands succeed");
            reply.out.clear();
        });
    });
    node.leave(session);
}
