//! A cluster of hundreds of nodes with everything that can happen to it, in one thread and by a seed.
//!
//! What is real: the topology, the conductor, the leases and what nodes do by them. What is made simple: the Raft log is a list
//! that the leader appends to while it reaches most voters (`consensus` has its own simulation), and a shard's data
//! is a list of writes, which replicas copy.
//!
//! Checked at each step: no slot has two nodes that would accept a write, even if they disagree about the topology; no write that
//! was acknowledged at `quorum` is missing where writes go on; most voters can be reached after each change of the voters.
//! In the end, when all is well again: every slot has an owner, all is balanced and at rest, and every shard has its replicas.

mod world;

use crate::types::testing::Random;
use std::time::Instant;
use world::World;

/// The seed, which `LARDER_TEST_SEED` sets.
fn seed() -> u64 {
    let seed = std::env::var("LARDER_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_nanos());
        now as u64 % 1_000_000
    });
    eprintln!("LARDER_TEST_SEED={seed}");
    seed
}

/// Lets things happen to a cluster, then lets it come to rest.
fn run(seed: u64, nodes: usize, replicas: u8, events: usize) -> World {
    // In a large cluster more happens in the same time.
    let steps_max = if nodes < 100 { 6 } else { 2 };
    let mut random = Random::new(seed);
    let mut world = World::new(seed, nodes, replicas);
    world.run_until_at_rest("the cluster has begun");
    for _ in 0..events {
        world.happen();
        for _ in 0..1 + random.below(steps_max) {
            world.step();
        }
    }
    world.heal();
    world.run_until_at_rest("all is well again");
    world
}

#[test]
fn small_clusters_come_through_everything() {
    let seed = seed();
    for round in 0..8 {
        let nodes = [1, 2, 3, 4, 6, 9][round % 6];
        run(seed + round as u64, nodes, (round % 3) as u8, 120);
    }
}

#[test]
fn five_hundred_nodes_come_through_five_thousand_events() {
    let start = Instant::now();
    let seed = seed();
    let world = run(seed, 500, 1, 5_000);
    eprintln!("{} in {:?}", world.tally(), start.elapsed());
}

#[test]
fn shards_come_and_go_without_a_slot_too_many() {
    let mut world = World::new(7, 3, 0);
    world.run_until_at_rest("three shards");
    assert_eq!(world.shares(), [5461, 5461, 5462]);
    let before = world.tally().moved;
    world.add_node();
    world.run_until_at_rest("four shards");
    assert_eq!(world.shares(), [4096, 4096, 4096, 4096]);
    assert_eq!(world.tally().moved - before, 4096);
    let (fifth, before) = (world.add_node(), world.tally().moved);
    world.run_until_at_rest("five shards");
    assert_eq!(world.shares(), [3276, 3277, 3277, 3277, 3277]);
    assert_eq!(world.tally().moved - before, world.slots_of(fifth));
    let before = world.tally().moved;
    let had = world.slots_of(fifth);
    world.drain(fifth);
    world.run_until_at_rest("four shards again");
    assert_eq!(world.shares(), [4096, 4096, 4096, 4096]);
    assert_eq!(world.tally().moved - before, had);
}

#[test]
fn a_node_that_comes_alone_is_a_spare_until_another_one_comes() {
    let mut world = World::new(7, 6, 1);
    world.run_until_at_rest("three shards with a replica each");
    assert_eq!(world.sizes(), [2, 2, 2]);
    world.add_node();
    world.run_until_at_rest("one node more");
    assert_eq!(world.sizes(), [2, 2, 3]);
    world.add_node();
    world.run_until_at_rest("two nodes more");
    assert_eq!(world.sizes(), [2, 2, 2, 2]);
}

#[test]
fn a_node_that_is_refused_does_not_keep_the_others_from_rest() {
    let mut world = World::new(7, 3, 0);
    world.add_misfit();
    world.run_until_at_rest("three shards");
    assert_eq!(world.shares(), [5461, 5461, 5462]);
    assert!(world.tally().refused > 0);
}

#[test]
fn two_nodes_and_a_witness_survive_the_loss_of_one() {
    let mut world = World::new(7, 2, 1);
    world.add_witness();
    world.run_until_at_rest("a shard of two, and a witness");
    assert_eq!(world.voters(), 3);
    let primary = world.primaries()[0];
    world.kill(primary);
    let steps = world.steps_until(|world| world.serves_all());
    assert!(steps < 60, "{steps} steps of 50 ms until another one serves");
    world.restart(primary);
    world.run_until_at_rest("it is a replica");
    assert_ne!(world.primaries()[0], primary);
}
