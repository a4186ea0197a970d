//! Which shard has which slot.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use larder_client::slot::{SLOTS, Slot};

use crate::cluster::id::ShardId;

/// The shard of each slot, or none.
///
/// A clone shares the table until one of the two is changed; so clones and comparisons of equal maps cost next to nothing,
/// and the first change of a clone copies 128 KiB.
#[derive(Clone, PartialEq, Eq)]
pub struct SlotMap(Arc<[Option<ShardId>; SLOTS as usize]>);

/// Nobody has a slot.
impl Default for SlotMap {
    fn default() -> SlotMap {
        SlotMap(Arc::new([None; SLOTS as usize]))
    }
}

impl SlotMap {
    pub fn owner(&self, slot: Slot) -> Option<ShardId> {
        self.0[slot.index()]
    }

    pub fn set(&mut self, slot: Slot, owner: Option<ShardId>) {
        Arc::make_mut(&mut self.0)[slot.index()] = owner;
    }

    /// The owners, by the numbers of their slots.
    pub fn owners(&self) -> &[Option<ShardId>; SLOTS as usize] {
        &self.0
    }

    /// All slots with their owners, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, Option<ShardId>)> {
        Slot::all().zip(self.0.iter().copied())
    }

    /// How many slots each shard has that has any.
    pub fn held(&self) -> BTreeMap<ShardId, usize> {
        let mut held = BTreeMap::new();
        for shard in self.0.iter().flatten() {
            *held.entry(*shard).or_default() += 1;
        }
        held
    }
}

impl From<[Option<ShardId>; SLOTS as usize]> for SlotMap {
    fn from(owners: [Option<ShardId>; SLOTS as usize]) -> SlotMap {
        SlotMap(Arc::new(owners))
    }
}

/// Runs of slots with one owner, as people write them: `0-5460: 1, 5461-16383: none`.
impl fmt::Debug for SlotMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut start = 0;
        for run in self.0.chunk_by(|a, b| a == b) {
            let end = start + run.len() - 1;
            let comma = if start == 0 { "" } else { ", " };
            match run[0] {
                Some(shard) => write!(f, "{comma}{start}-{end}: {shard}")?,
                None => write!(f, "{comma}{start}-{end}: none")?,
            }
            start = end + 1;
        }
        Ok(())
    }
}
