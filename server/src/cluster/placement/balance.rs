//! How even a map is and what it cost to get there, for people.

use std::fmt;

use larder_client::slot::SLOTS;

use super::quota::{Quota, quotas};
use super::{SlotMap, Weights};
use crate::cluster::id::ShardId;

/// The figures of a change from one map to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    /// Of each shard that has or is to have slots, by id.
    pub loads: Vec<Load>,
    /// Slots that nobody has.
    pub homeless: usize,
    /// Slots that have another owner than before.
    pub moved: usize,
    /// The fewest that had to move.
    pub moved_min: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    pub shard: ShardId,
    /// The slots it has.
    pub held: usize,
    /// Its share by weight, with the fraction; 0 for a shard that is to have none.
    pub fair: f64,
}

impl Balance {
    /// The figures of `after`, if it was made of `before` for the shards of `weights`.
    pub fn of(before: &SlotMap, after: &SlotMap, weights: &Weights) -> Balance {
        let total: f64 = weights.values().map(|weight| f64::from(weight.get())).sum();
        let fair = |shard: &ShardId| {
            weights.get(shard).map_or(0.0, |weight| f64::from(SLOTS) * f64::from(weight.get()) / total)
        };
        let mut held = after.held();
        for shard in weights.keys() {
            held.entry(*shard).or_default();
        }
        Balance {
            loads: held.iter().map(|(&shard, &held)| Load { shard, held, fair: fair(&shard) }).collect(),
            homeless: after.owners().iter().filter(|owner| owner.is_none()).count(),
            moved: before.owners().iter().zip(after.owners()).filter(|(before, after)| before != after).count(),
            moved_min: quotas(before, weights).iter().map(Quota::shortage).sum(),
        }
    }

    /// How many slots the fullest shard has beyond its share. Less than 1 when the map is balanced.
    ///
    /// A difference and not a ratio: a shard whose weight is worth a tenth of a slot may rightly have ten times its share.
    pub fn excess_max(&self) -> f64 {
        self.loads.iter().map(|load| load.held as f64 - load.fair).fold(0.0, f64::max)
    }
}

/// `1: 4096 of 4096.0, 2: 12288 of 12288.0; moved 4096 of at least 4096; 0 homeless`.
impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Load { shard, held, fair }) in self.loads.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{shard}: {held} of {fair:.1}")?;
        }
        write!(f, "; moved {} of at least {}; {} homeless", self.moved, self.moved_min, self.homeless)
    }
}
