//! The hash ring: blocks of slots and the virtual nodes of shards in one order.
//!
//! `hashring` sorts by SipHash-2-4 with a key of zeros, and is asked for nothing but that order: its look-ups would copy the
//! ring for each block. The blocks lie on the ring as points too, so the points between a block and a virtual node
//! are a measure of how far apart they are.
//!
//! Slots go by blocks, since clients are told who has what as runs of slots: of single slots there would be eleven thousand
//! runs in a cluster of three shards, and its `CLUSTER SLOTS` would take a megabyte.

use std::hash::{Hash, Hasher};

use hashring::HashRing;
use larder_client::slot::{SLOTS, Slot};

use super::Weights;
use crate::cluster::id::ShardId;

/// Virtual nodes of a shard of average weight. More of them would only make the ring's own balance better, for which it
/// is not needed.
const VIRTUAL_NODES: u64 = 64;

/// Neighbouring slots that lie on the ring as one point: as many as a node keeps under one lock.
pub const BLOCK_SLOTS: u16 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// A block of slots, by its number.
    Block(u16),
    /// A virtual node, by its number among those of its shard.
    Shard(ShardId, u32),
}

impl Point {
    /// What is hashed. Written by hand, since the order must be the same on every machine and in every version, and what
    /// `derive(Hash)` feeds a hasher promises neither.
    fn bytes(self) -> [u8; 9] {
        let (kind, first, second) = match self {
            Point::Block(block) => (0, u32::from(block), 0),
            Point::Shard(shard, number) => (1, shard.0, number),
        };
        let mut bytes = [0; 9];
        bytes[0] = kind;
        bytes[1..5].copy_from_slice(&first.to_le_bytes());
        bytes[5..].copy_from_slice(&second.to_le_bytes());
        bytes
    }
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.bytes());
    }
}

/// The slots of a block, in ascending order.
pub fn slots_of(block: u16) -> impl Iterator<Item = Slot> {
    Slot::all().skip(usize::from(block * BLOCK_SLOTS)).take(BLOCK_SLOTS.into())
}

/// All blocks, and the virtual nodes of all shards, in ring order.
///
/// Weights enter in proportion to their average, so that 1000 shards of weight 1000 need no more virtual nodes than 1000 of
/// weight 1. When the average changes, all shards have a few more or fewer of them, which moves no slot by itself.
pub fn order(weights: &Weights) -> Vec<Point> {
    let total: u64 = weights.values().map(|weight| u64::from(weight.get())).sum();
    let mut points: Vec<Point> = (0..SLOTS / BLOCK_SLOTS).map(Point::Block).collect();
    for (&shard, weight) in weights {
        let count = (VIRTUAL_NODES * weights.len() as u64 * u64::from(weight.get())).div_ceil(total);
        points.extend((0..count as u32).map(|number| Point::Shard(shard, number)));
    }
    // The sort is stable: should two points have one hash, they stay as they are here.
    let mut ring = HashRing::new();
    ring.batch_add(points);
    ring.into_iter().collect()
}
