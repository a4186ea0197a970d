//! Placement as a cluster lives it, and its promises on random histories.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::time::Instant;

use larder_client::slot::{SLOTS, Slot, crc16};
use proptest::prelude::*;
use proptest::sample::Index;

use super::quota::quotas;
use super::ring::{self, Point};
use super::{Balance, Move, SlotMap, Weights, moves, place};
use crate::cluster::id::ShardId;

/// A cluster that carries out each plan at once.
#[derive(Clone, Default)]
struct Cluster {
    map: SlotMap,
    weights: Weights,
    /// Of the last change.
    last: Option<Balance>,
}

impl Cluster {
    fn of(shards: &[u32]) -> Cluster {
        Cluster::weighing(shards.iter().map(|&shard| (shard, 1)))
    }

    fn weighing(shards: impl IntoIterator<Item = (u32, u32)>) -> Cluster {
        let mut cluster = Cluster { weights: weights(shards), ..Cluster::default() };
        cluster.settle();
        cluster
    }

    fn join(&mut self, shard: u32) {
        self.weigh(shard, 1);
    }

    fn leave(&mut self, shard: u32) {
        self.weights.remove(&ShardId(shard));
        self.settle();
    }

    fn weigh(&mut self, shard: u32, units: u32) {
        self.weights.insert(ShardId(shard), weight(units));
        self.settle();
    }

    fn settle(&mut self) {
        let before = std::mem::take(&mut self.map);
        self.map = place(&before, &self.weights);
        self.last = Some(Balance::of(&before, &self.map, &self.weights));
    }

    /// Checks who has how many slots, and how many were moved by the last change.
    #[track_caller]
    fn check(&self, held: &str, moved: usize) {
        let mut found = String::new();
        for (shard, held) in self.map.held() {
            let _ = write!(found, "{}{shard}: {held}", if found.is_empty() { "" } else { ", " });
        }
        let last = self.last.as_ref().unwrap();
        assert_eq!((found.as_str(), last.moved, last.moved_min), (held, moved, moved));
    }
}

fn weight(units: u32) -> NonZeroU32 {
    NonZeroU32::new(units).unwrap()
}

fn weights(shards: impl IntoIterator<Item = (u32, u32)>) -> Weights {
    shards.into_iter().map(|(shard, units)| (ShardId(shard), weight(units))).collect()
}

fn slot(number: u16) -> Slot {
    Slot::new(number).unwrap()
}

/// How many slots have the same owner in both.
fn alike(a: &SlotMap, b: &SlotMap) -> usize {
    a.owners().iter().zip(b.owners()).filter(|(a, b)| a == b).count()
}

#[test]
fn three_shards_become_four_and_five_and_four_again() {
    let mut cluster = Cluster::of(&[1, 2, 3]);
    cluster.check("1: 5462, 2: 5461, 3: 5461", 16384);
    cluster.join(4);
    cluster.check("1: 4096, 2: 4096, 3: 4096, 4: 4096", 4096);
    cluster.join(5);
    cluster.check("1: 3277, 2: 3277, 3: 3277, 4: 3277, 5: 3276", 3276);
    cluster.leave(2);
    cluster.check("1: 4096, 3: 4096, 4: 4096, 5: 4096", 3277);
    cluster.settle();
    cluster.check("1: 4096, 3: 4096, 4: 4096, 5: 4096", 0);
}

#[test]
fn a_shard_of_twice_the_weight_has_twice_the_slots() {
    let mut cluster = Cluster::of(&[1, 2, 3]);
    cluster.weigh(3, 2);
    cluster.check("1: 4096, 2: 4096, 3: 8192", 2731);
    cluster.weigh(1, 5);
    cluster.check("1: 10240, 2: 2048, 3: 4096", 6144);
    cluster.weigh(2, 1000);
    cluster.check("1: 81, 2: 16270, 3: 33", 14222);
}

/// One that joins while another leaves gets its slots, and nothing else moves.
#[test]
fn a_shard_is_replaced_by_another() {
    let mut cluster = Cluster::of(&[1, 2, 3, 4]);
    let before = cluster.map.clone();
    cluster.weights = weights([(1, 1), (5, 1), (3, 1), (4, 1)]);
    cluster.settle();
    cluster.check("1: 4096, 3: 4096, 4: 4096, 5: 4096", 4096);
    for Move { from, to, .. } in moves(&before, &cluster.map) {
        assert_eq!((from, to), (Some(ShardId(2)), ShardId(5)));
    }
}

#[test]
fn the_first_shard_gets_all_and_the_last_leaves_none() {
    let mut cluster = Cluster::of(&[]);
    cluster.check("", 0);
    cluster.join(7);
    cluster.check("7: 16384", 16384);
    cluster.leave(7);
    assert_eq!(cluster.map, SlotMap::default());
}

#[test]
fn a_weight_too_small_for_a_slot_gets_one_or_none() {
    let mut cluster = Cluster::weighing([(1, 1000), (2, 1), (3, 1_000_000)]);
    cluster.check("1: 16, 3: 16368", 16384);
    cluster.leave(3);
    cluster.check("1: 16368, 2: 16", 16368);
}

#[test]
fn more_shards_than_slots_have_one_slot_each_or_none() {
    let all = weights((1..=20_000).map(|shard| (shard, 1)));
    let map = place(&SlotMap::default(), &all);
    assert_eq!(map.held().len(), 16384);
    assert_eq!(place(&map, &all), map);
}

#[test]
fn the_largest_weights_there_can_be_do_not_overflow() {
    let map = place(&SlotMap::default(), &weights((0..1000).map(|shard| (u32::MAX - shard, u32::MAX))));
    let held: BTreeSet<usize> = map.held().into_values().collect();
    assert_eq!(held, BTreeSet::from([16, 17]));
}

/// Nodes of different versions must agree on the plan: what stands here never changes.
#[test]
fn placements_are_the_same_for_ever() {
    let sum = |map: &SlotMap| {
        let owner = |owner: &Option<ShardId>| owner.map_or(0, |shard| shard.0).to_le_bytes();
        crc16(&map.owners().iter().flat_map(owner).collect::<Vec<u8>>())
    };
    let owners =
        |map: &SlotMap| map.owners().iter().step_by(64).take(16).flatten().map(ShardId::to_string).collect::<String>();
    let order = ring::order(&weights([(1, 1), (2, 3)]));
    assert_eq!(order.len(), 256 + 32 + 96);
    let first = order.iter().find(|point| matches!(point, Point::Shard(..)));
    assert_eq!((&order[..3], first), (&[230, 176, 224].map(Point::Block)[..], Some(&Point::Shard(ShardId(2), 17))));

    let mut cluster = Cluster::of(&[1, 2, 3]);
    let mut seen = vec![(owners(&cluster.map), sum(&cluster.map))];
    cluster.join(4);
    seen.push((owners(&cluster.map), sum(&cluster.map)));
    cluster.weigh(2, 3);
    seen.push((owners(&cluster.map), sum(&cluster.map)));
    cluster.leave(1);
    seen.push((owners(&cluster.map), sum(&cluster.map)));
    let expected = [
        ("3322121322321131", 25111),
        ("4322421322321434", 42267),
        ("4322422322222422", 23876),
        ("4322422322222422", 3097),
    ];
    assert_eq!(seen, expected.map(|(owners, sum)| (owners.to_owned(), sum)));
}

/// What clients are told of who has what is a list of runs.
#[test]
fn blocks_are_seldom_torn_apart() {
    for shards in [1, 3, 16, 100] {
        let mut cluster = Cluster::of(&(1..=shards).collect::<Vec<_>>());
        cluster.join(shards + 1);
        let runs = cluster.map.owners().chunk_by(|a, b| a == b).count();
        assert!(runs <= 256 + 3 * shards as usize, "{shards} shards and one more have {runs} runs");
    }
}

/// Maps that know nothing of each other would agree on a fifth of the slots.
#[test]
fn clusters_look_alike_however_they_came_about() {
    let fresh = Cluster::of(&[1, 2, 3, 4, 5]);
    let mut grown = Cluster::of(&[1, 2, 3]);
    grown.join(4);
    grown.join(5);
    let mut otherwise = Cluster::of(&[5, 6, 2]);
    otherwise.join(1);
    otherwise.join(3);
    otherwise.leave(6);
    otherwise.join(4);
    for (a, b) in [(&fresh, &grown), (&fresh, &otherwise), (&grown, &otherwise)] {
        let alike = alike(&a.map, &b.map);
        assert!(alike > 9830, "{alike} slots of 16384 are less than 60 %");
    }
}

#[test]
fn slots_that_nobody_has_are_taken_first() {
    let mut torn = Cluster::of(&[1, 2]).map;
    for number in 0..100 {
        torn.set(slot(number), None);
    }
    let target = place(&torn, &weights([(1, 1), (2, 1), (3, 1)]));
    let plan = moves(&torn, &target);
    let homeless = plan.iter().take_while(|step| step.from.is_none()).count();
    assert_eq!(homeless, 100);
    assert!(plan[100..].iter().all(|step| step.from.is_some()));
}

/// Two shards join four: at any time all four have given about as much, and both have received about as much.
#[test]
fn moves_are_spread_over_donors_and_receivers() {
    let before = Cluster::of(&[1, 2, 3, 4]).map;
    let target = place(&before, &weights((1..=6).map(|shard| (shard, 1))));
    let plan = moves(&before, &target);
    assert_eq!(plan.len(), 5460);
    let first: Vec<String> = plan[..8].iter().map(|step| format!("{} to {}", step.from.unwrap(), step.to)).collect();
    assert_eq!(first.join(", "), "1 to 5, 2 to 6, 1 to 6, 4 to 5, 3 to 5, 4 to 6, 2 to 5, 3 to 6");
    for made in (0..plan.len()).step_by(60) {
        let mut count: BTreeMap<ShardId, usize> = BTreeMap::new();
        for step in &plan[..made] {
            *count.entry(step.from.unwrap()).or_default() += 1;
            *count.entry(step.to).or_default() += 1;
        }
        for (shard, count) in count {
            let part = if shard.0 <= 4 { 4 } else { 2 };
            assert!(count.abs_diff(made / part) <= 4, "after {made} moves shard {shard} has made {count}");
        }
    }
}

#[test]
fn the_report_names_shares_and_moves() {
    let before = Cluster::of(&[1, 2, 3]).map;
    let wanted = weights([(1, 1), (2, 1), (4, 3)]);
    let now = Balance::of(&before, &before, &wanted);
    assert_eq!(
        now.to_string(),
        "1: 5462 of 3276.8, 2: 5461 of 3276.8, 3: 5461 of 0.0, 4: 0 of 9830.4; moved 0 of at least 9830; 0 homeless"
    );
    assert_eq!(now.excess_max(), 5461.0);
    let then = Balance::of(&before, &place(&before, &wanted), &wanted);
    assert_eq!(
        then.to_string(),
        "1: 3277 of 3276.8, 2: 3277 of 3276.8, 4: 9830 of 9830.4; moved 9830 of at least 9830; 0 homeless"
    );
    assert!(then.excess_max() < 1.0);
}

#[test]
fn a_map_is_shown_as_runs() {
    let mut map = SlotMap::default();
    map.set(slot(0), Some(ShardId(2)));
    map.set(slot(1), Some(ShardId(2)));
    assert_eq!(format!("{map:?}"), "0-1: 2, 2-16383: none");
}

// --- promises

/// Something that happens to a cluster.
#[derive(Clone, Debug)]
enum Change {
    Join(u32),
    Leave(Index),
    Weigh(Index, u32),
    /// A slot is lost, as when a shard is given up.
    Lose(u16),
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (1..=20u32).prop_map(Change::Join),
        2 => any::<Index>().prop_map(Change::Leave),
        2 => (any::<Index>(), 1..=20u32).prop_map(|(which, units)| Change::Weigh(which, units)),
        1 => (0..SLOTS).prop_map(Change::Lose),
    ]
}

/// Weights at the start, and steps of one or several changes at once.
fn any_history() -> impl Strategy<Value = (Vec<u32>, Vec<Vec<Change>>)> {
    let shards = prop_oneof![1..=6usize, 1..=200usize];
    let start = shards.prop_flat_map(|count| proptest::collection::vec(1..=20u32, count));
    let step = prop_oneof![proptest::collection::vec(any_change(), 1), proptest::collection::vec(any_change(), 1..12)];
    (start, proptest::collection::vec(step, 1..6))
}

/// The states that a history leads through: the map before each step is planned, and the weights then.
fn lived(start: &[u32], steps: &[Vec<Change>]) -> Vec<(SlotMap, Weights)> {
    let mut ids = 1..;
    let mut wanted = weights(ids.by_ref().zip(start.iter().copied()).take(start.len()));
    let mut map = SlotMap::default();
    let mut states = vec![(map.clone(), wanted.clone())];
    for step in steps {
        map = place(&map, &wanted);
        for change in step {
            let known: Vec<ShardId> = wanted.keys().copied().collect();
            match change {
                Change::Join(units) => {
                    wanted.insert(ShardId(ids.next().unwrap()), weight(*units));
                }
                Change::Leave(which) if !known.is_empty() => {
                    wanted.remove(which.get(&known));
                }
                Change::Weigh(which, units) if !known.is_empty() => {
                    wanted.insert(*which.get(&known), weight(*units));
                }
                Change::Lose(number) => map.set(slot(*number), None),
                _ => {}
            }
        }
        states.push((map.clone(), wanted.clone()));
    }
    states
}

/// Floor, and whether a fraction was cut off, of each shard's share.
fn floors(wanted: &Weights) -> BTreeMap<ShardId, (usize, bool)> {
    let total: usize = wanted.values().map(|weight| weight.get() as usize).sum();
    let share = |weight: &NonZeroU32| usize::from(SLOTS) * weight.get() as usize;
    wanted.iter().map(|(&shard, weight)| (shard, (share(weight) / total, share(weight) % total > 0))).collect()
}

/// The fewest moves by which any balanced map can be reached: what shards lack to their floors, and one for each ceil
/// that finds no shard which holds that much already.
fn moves_min(map: &SlotMap, wanted: &Weights) -> usize {
    let held = map.held();
    let mut ceils = usize::from(SLOTS);
    let mut lacking = 0;
    let mut ready = 0;
    for (shard, (floor, is_cut)) in floors(wanted) {
        let held = held.get(&shard).copied().unwrap_or_default();
        ceils -= floor;
        lacking += floor.saturating_sub(held);
        ready += usize::from(is_cut && held > floor);
    }
    lacking + ceils.saturating_sub(ready)
}

/// The definition of what goes where: all offers, the nearest first, each taken while both sides want it.
fn place_by_the_book(map: &SlotMap, wanted: &Weights) -> SlotMap {
    let order = ring::order(wanted);
    let quotas = quotas(map, wanted);
    let mut surplus: BTreeMap<_, _> = quotas.iter().map(|quota| (quota.shard, quota.surplus())).collect();
    let mut shortage: BTreeMap<_, _> = quotas.iter().map(|quota| (quota.shard, quota.shortage())).collect();
    let mut offers = Vec::new();
    for (place, point) in order.iter().enumerate() {
        let Point::Block(block) = *point else { continue };
        let mut met = BTreeSet::new();
        for distance in 1..order.len() {
            let Point::Shard(shard, _) = order[(place + distance) % order.len()] else { continue };
            if met.insert(shard) {
                offers.extend(ring::slots_of(block).map(|slot| (distance, slot, shard)));
            }
            if met.len() == wanted.len() {
                break;
            }
        }
    }
    offers.sort();
    let mut target = map.clone();
    for (_, slot, receiver) in offers {
        let from = map.owner(slot);
        let donor = from.filter(|shard| wanted.contains_key(shard));
        let is_wanted = donor.is_none_or(|donor| surplus[&donor] > 0) && shortage[&receiver] > 0;
        if is_wanted && target.owner(slot) == from {
            target.set(slot, Some(receiver));
            *shortage.get_mut(&receiver).unwrap() -= 1;
            if let Some(left) = donor.and_then(|donor| surplus.get_mut(&donor)) {
                *left -= 1;
            }
        }
    }
    target
}

/// `PROPTEST_CASES` asks for more than the usual count.
fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(if cfg!(miri) { 1 } else { usual }))
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn every_plan_is_balanced_and_moves_as_little_as_can_be((start, steps) in any_history()) {
        for (map, wanted) in lived(&start, &steps) {
            let target = place(&map, &wanted);
            if wanted.is_empty() {
                prop_assert_eq!(&target, &SlotMap::default());
                continue;
            }
            let balance = Balance::of(&map, &target, &wanted);
            prop_assert_eq!(balance.homeless, 0);
            prop_assert!(balance.excess_max() < 1.0);
            prop_assert_eq!(balance.loads.len(), wanted.len(), "only those who are to have slots have any");
            let floors = floors(&wanted);
            for load in &balance.loads {
                let (floor, is_cut) = floors[&load.shard];
                prop_assert!((floor..=floor + usize::from(is_cut)).contains(&load.held), "{:?}", load);
            }
            prop_assert_eq!(balance.moved, moves_min(&map, &wanted));
            prop_assert_eq!(balance.moved, balance.moved_min);
            prop_assert_eq!(place(&target, &wanted), target, "what is placed stays");
        }
    }

    #[test]
    fn nobody_both_gives_and_receives((start, steps) in any_history()) {
        for (map, wanted) in lived(&start, &steps) {
            let plan = moves(&map, &place(&map, &wanted));
            let donors: BTreeSet<ShardId> = plan.iter().filter_map(|step| step.from).collect();
            let receivers: BTreeSet<ShardId> = plan.iter().map(|step| step.to).collect();
            prop_assert!(donors.is_disjoint(&receivers));
        }
    }

    #[test]
    fn moves_lead_to_the_target((start, steps) in any_history()) {
        for (mut map, wanted) in lived(&start, &steps) {
            let target = place(&map, &wanted);
            if wanted.is_empty() {
                continue;
            }
            for Move { slot, from, to } in moves(&map, &target) {
                prop_assert_eq!(map.owner(slot), from);
                prop_assert_ne!(from, Some(to));
                map.set(slot, Some(to));
            }
            prop_assert_eq!(map, target);
        }
    }

    #[test]
    fn a_plan_made_anew_amid_its_moves_is_the_same((start, steps) in any_history(), made in any::<[bool; 32]>()) {
        for (map, wanted) in lived(&start, &steps) {
            let target = place(&map, &wanted);
            if wanted.is_empty() {
                continue;
            }
            let mut amid = map.clone();
            for (step, _) in moves(&map, &target).into_iter().zip(made.iter().cycle()).filter(|(_, made)| **made) {
                amid.set(step.slot, Some(step.to));
            }
            prop_assert_eq!(place(&amid, &wanted), target);
        }
    }

    #[test]
    fn the_order_in_which_shards_are_listed_does_not_matter(
        listed in Just((1..=40u32).collect::<Vec<_>>()).prop_shuffle(),
        again in Just((1..=40u32).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let weigh = |shards: Vec<u32>| weights(shards.into_iter().map(|shard| (shard, 1 + shard % 7)));
        let map = Cluster::of(&[3, 5, 50]).map;
        prop_assert_eq!(place(&map, &weigh(listed)), place(&map, &weigh(again)));
    }

    #[test]
    fn who_leaves_and_comes_back_has_its_quota_again(units in proptest::collection::vec(1..=20u32, 1..60), who in any::<Index>()) {
        let all = weights((1..).zip(units));
        let shards: Vec<ShardId> = all.keys().copied().collect();
        let mut rest = all.clone();
        rest.remove(who.get(&shards));
        let full = place(&SlotMap::default(), &all);
        let back = place(&place(&full, &rest), &all);
        let balance = Balance::of(&full, &back, &all);
        prop_assert_eq!(balance.homeless, 0);
        prop_assert!(balance.excess_max() < 1.0);
    }
}

proptest! {
    #![proptest_config(cases(8))]

    #[test]
    fn slots_go_as_the_definition_says(
        start in proptest::collection::vec(1..=20u32, 1..6),
        steps in proptest::collection::vec(proptest::collection::vec(any_change(), 1..4), 1..4),
    ) {
        for (map, wanted) in lived(&start, &steps) {
            if !wanted.is_empty() {
                prop_assert_eq!(place(&map, &wanted), place_by_the_book(&map, &wanted));
            }
        }
    }
}

#[test]
#[ignore = "a measurement; run it alone with --release --nocapture"]
fn how_long_a_plan_takes() {
    for shards in [3, 16, 64, 256, 1000] {
        let all = weights((1..=shards).map(|shard| (shard, 1)));
        let mut more = all.clone();
        more.insert(ShardId(shards + 1), weight(1));
        let mut less = all.clone();
        less.remove(&ShardId(2));
        let uneven = weights((1..=shards).map(|shard| (shard, 1 + shard * shard % 1000)));
        let map = place(&SlotMap::default(), &all);
        let time = |map: &SlotMap, wanted: &Weights| {
            let mut times: Vec<_> = (0..15)
                .map(|_| {
                    let start = Instant::now();
                    let target = place(map, wanted);
                    let planned = start.elapsed();
                    let _ = moves(map, &target);
                    (planned, start.elapsed() - planned)
                })
                .collect();
            times.sort();
            let (plan, moves) = times[times.len() / 2];
            format!("{:.2} + {:.2}", plan.as_secs_f64() * 1e3, moves.as_secs_f64() * 1e3)
        };
        println!(
            "{shards} shards, ms of plan + moves: from nothing {}, a join {}, a leave {}, other weights {}",
            time(&SlotMap::default(), &all),
            time(&map, &more),
            time(&map, &less),
            time(&map, &uneven)
        );
    }
}
