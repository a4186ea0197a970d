//! How many slots each shard is to have.

use std::cmp::Reverse;

use larder_client::slot::SLOTS;

use super::{SlotMap, Weights};
use crate::cluster::id::ShardId;

/// What a shard has and what it is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    pub shard: ShardId,
    /// The slots it has.
    pub held: usize,
    /// The slots it is to have: the floor or the ceil of its share.
    pub slots: usize,
}

impl Quota {
    /// How many slots it lacks.
    pub fn shortage(&self) -> usize {
        self.slots.saturating_sub(self.held)
    }

    /// How many slots it is to give away.
    pub fn surplus(&self) -> usize {
        self.held.saturating_sub(self.slots)
    }
}

/// The quotas of the shards of `weights`, in the order of their ids. They add up to all slots.
///
/// The floors are fixed; what is free is who has the slots that the floors leave. They go
///
/// 1. to shards that hold more than their floor, each of which has to give one slot less then;
/// 2. where the fraction that the floor cuts off is largest;
/// 3. to the lowest ids.
///
/// The first rule makes the moves the fewest. It asks whether a shard holds more, not how many, because quotas must not change
/// while they are being worked towards: who holds more of two shards that both give would change with each slot they give.
pub fn quotas(map: &SlotMap, weights: &Weights) -> Vec<Quota> {
    let held = map.held();
    let total: u64 = weights.values().map(|weight| u64::from(weight.get())).sum();
    let mut quotas = Vec::with_capacity(weights.len());
    let mut fractions = Vec::with_capacity(weights.len());
    for (&shard, weight) in weights {
        let share = u64::from(SLOTS) * u64::from(weight.get());
        let held = held.get(&shard).copied().unwrap_or_default();
        quotas.push(Quota { shard, held, slots: (share / total) as usize });
        fractions.push(share % total);
    }

    let given: usize = quotas.iter().map(|quota| quota.slots).sum();
    let mut rows: Vec<usize> = (0..quotas.len()).filter(|&row| fractions[row] > 0).collect();
    rows.sort_by_key(|&row| (quotas[row].held <= quotas[row].slots, Reverse(fractions[row]), quotas[row].shard));
    // The fractions add up to what is left, and each is less than one: so there are enough rows.
    for row in rows.into_iter().take(usize::from(SLOTS).saturating_sub(given)) {
        quotas[row].slots += 1;
    }
    quotas
}
