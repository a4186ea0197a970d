//! Servers in a row, each of which follows the one before.

use larder_tests::chain::{Make, follow, makes, settle_within};
use larder_tests::digest::check_alike;
use larder_tests::random::{Random, seed, setting};
use larder_tests::writes::Writes;
use larder_tests::{Node, wait_long};
use std::time::{Duration, Instant};

const KEYS: u64 = 20_000;

/// How long a row of full resyncs may take: a minute, and for a million keys six more.
fn patience(keys: usize) -> Duration {
    Duration::from_secs(60) + Duration::from_micros(360) * keys as u32
}

#[test]
fn a_chain_that_is_linked_under_load_holds_the_same_everywhere() {
    link_under_load(makes(), setting("LARDER_TEST_KEYS").unwrap_or(KEYS));
}

#[test]
fn a_chain_with_valkey_at_both_ends_holds_the_same_everywhere() {
    // More keys are for the chain that is asked for.
    link_under_load(vec![Make::Valkey, Make::Larder, Make::Larder, Make::Valkey], KEYS);
}

fn link_under_load(makes: Vec<Make>, keys: u64) {
    let Some(mut nodes) = makes.into_iter().map(|make| make.start(&[])).collect::<Option<Vec<Node>>>() else {
        return;
    };
    let seed = seed();
    let keys = keys as usize;
    let writes = Writes { seed, keys, writers: 3, commands: 200_000 + 5 * keys };
    writes.fill(&nodes[0]);
    let (primary, replicas) = nodes.split_first_mut().expect("a chain has a primary");
    let addresses: Vec<_> = [primary.address()].into_iter().chain(replicas.iter().map(|node| node.address())).collect();
    let start = Instant::now();
    let ((), tally) = writes.beside(primary, || {
        // In any order: who follows a replica that only now begins to follow has to begin again with it.
        let mut order: Vec<_> = (0..replicas.len()).collect();
        let mut random = Random::new(seed);
        while !order.is_empty() {
            let at = order.swap_remove(random.below(order.len()));
            follow(&mut replicas[at], addresses[at]);
        }
        wait_long(patience(keys), "the whole chain is linked", || {
            let links: Vec<_> = replicas.iter_mut().map(|node| node.info("master_link_status")).collect();
            (links.iter().all(|link| link.as_deref() == Some("up")), format!("{links:?}"))
        });
    });
    eprintln!("linked after {:?}, beside which {tally:?}", start.elapsed());
    assert!(!tally.is_broken, "the primary has closed a connection");
    check(&mut nodes, keys);
    // Now all is passed on as it comes.
    let tally = Writes { seed: seed + 1, commands: 10_000, ..writes }.run(&nodes[0]);
    eprintln!("on the linked chain: {tally:?}");
    assert!(!tally.is_broken, "the primary has closed a connection");
    check(&mut nodes, keys);
    for node in &mut nodes[1..] {
        node.check_matches("ROLE", r#"["slave", "127.0.0.1", #, "connected", #]"#);
    }
}

fn check(nodes: &mut [Node], keys: usize) {
    settle_within(patience(keys), &mut nodes.iter_mut().collect::<Vec<_>>());
    let start = Instant::now();
    let held = check_alike(&nodes.iter().collect::<Vec<_>>());
    eprintln!("{held} keys are compared in {:?}", start.elapsed());
    assert!(held > keys / 2, "only {held} of {keys} keys are left to compare");
}
