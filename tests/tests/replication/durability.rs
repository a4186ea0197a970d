//! `CLIENT DURABILITY replica`: what is answered is on a replica, whatever becomes of the primary.

use larder_client::resp::Reply;
use larder_tests::chain::{Make, Pair, makes};
use larder_tests::random::{Random, seed, setting};
use larder_tests::{Client, Node, wait_until};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

const ROUNDS: u64 = 2;

/// Acknowledged writes of a round after which the primary is killed.
const WRITES: u64 = 2_000;

const CONNECTIONS: usize = 4;

/// On a loaded machine a second may not be enough to answer, and a refusal is a failure here.
const FLAGS: [(&str, &str); 1] = [("--durability-timeout", "10000")];

/// Whether this can be asked of the servers at hand: Redis has no such thing.
fn is_possible() -> bool {
    if !makes().contains(&Make::Larder) {
        eprintln!("skipped: is about Larder alone, which has no place in the chain");
        return false;
    }
    Node::larder().is_some()
}

#[test]
fn no_acknowledged_write_is_lost_with_its_primary() {
    if !is_possible() {
        return;
    }
    let rounds = setting("LARDER_TEST_ROUNDS").unwrap_or(ROUNDS);
    let mut random = Random::new(seed());
    let mut total = 0;
    for round in 0..rounds {
        let Some(mut pair) = Pair::start([Make::Larder, Make::Larder], &FLAGS) else { return };
        let depth_max = 1 + random.below(100);
        eprintln!("round {round}: pipelines of up to {depth_max} writes");
        total += kill_and_count(&mut pair, depth_max);
        eprintln!("round {round}: {total} acknowledged writes in total");
    }
}

/// Writes until the primary is killed in the middle of it; each acknowledged write has to be on its replica then. Returns
/// how many these were.
fn kill_and_count(pair: &mut Pair, depth_max: usize) -> usize {
    let enough = setting("LARDER_TEST_WRITES").unwrap_or(WRITES) as usize;
    let acknowledged = AtomicUsize::new(0);
    let counts: Vec<usize> = thread::scope(|scope| {
        let writers: Vec<_> = (0..CONNECTIONS)
            .map(|number| {
                let mut client = pair.primary.connect();
                client.check("CLIENT DURABILITY replica", "OK");
                let (acknowledged, depth) = (&acknowledged, 1 + (depth_max + number) % depth_max);
                scope.spawn(move || write_to_the_end(&mut client, number, depth, acknowledged, enough * 10))
            })
            .collect();
        wait_until("some writes are acknowledged", || acknowledged.load(Relaxed) > 0);
        // A patience of its own for each part, since many writes may be asked for.
        let mut seen = 0;
        while seen < enough {
            wait_until("more writes are acknowledged", || acknowledged.load(Relaxed) > seen);
            seen = acknowledged.load(Relaxed);
        }
        pair.primary.signal("KILL");
        writers.into_iter().map(|writer| writer.join().expect("a writer ends well")).collect()
    });
    assert!(!pair.primary.wait_for_exit().success());
    pair.replica.check("REPLICAOF NO ONE", "OK");
    for (number, &count) in counts.iter().enumerate() {
        check_held(&mut pair.replica, number, count);
    }
    counts.iter().sum()
}

/// Writes one key after the other in pipelines and returns how many were acknowledged when the primary was gone.
fn write_to_the_end(
    client: &mut Client,
    number: usize,
    depth: usize,
    acknowledged: &AtomicUsize,
    writes_max: usize,
) -> usize {
    let mut count = 0;
    while count < writes_max {
        for at in count..count + depth {
            if client.connection().send(&words(number, at)).is_err() {
                // What was sent may still have been answered.
                return count + replies_left(client, depth);
            }
        }
        for _ in 0..depth {
            match client.connection().receive() {
                Ok(reply) => assert_eq!(reply, Reply::Simple("OK".into()), "write {count} of {number}"),
                Err(_) => return count,
            }
            count += 1;
            acknowledged.fetch_add(1, Relaxed);
        }
    }
    count
}

fn replies_left(client: &mut Client, depth: usize) -> usize {
    let is_ok = |reply: Reply| reply == Reply::Simple("OK".into());
    (0..depth).take_while(|_| client.connection().receive().is_ok_and(is_ok)).count()
}

fn words(number: usize, at: usize) -> [String; 3] {
    ["SET".to_owned(), format!("key:{number}:{at}"), format!("value {at}")]
}

fn check_held(replica: &mut Node, number: usize, count: usize) {
    const DEPTH: usize = 500;
    let all: Vec<_> = (0..count).collect();
    for some in all.chunks(DEPTH) {
        let gets: Vec<_> = some.iter().map(|at| ["GET".to_owned(), format!("key:{number}:{at}")]).collect();
        let replies = replica.connection().pipeline(&gets).expect("the replica answers");
        for (at, reply) in some.iter().zip(&replies) {
            let expected = format!("value {at}");
            assert_eq!(reply.as_bytes(), Some(expected.as_bytes()), "write {at} of {count} of connection {number}");
        }
    }
}
