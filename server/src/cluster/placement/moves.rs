//! What leads from one map to another, and in which order.

use std::collections::{BTreeMap, BTreeSet};

use larder_client::slot::Slot;

use super::SlotMap;
use crate::cluster::id::ShardId;

/// A slot that changes its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    pub slot: Slot,
    /// Who has it now. If nobody does, there is nothing to transfer.
    pub from: Option<ShardId>,
    pub to: ShardId,
}

/// The moves from `current` to `target`, in the order in which to make them. How many at a time is the caller's choice.
///
/// Slots that nobody has come first: until then their keys are refused, and taking them costs nothing. Both those and the
/// rest come in rounds, as many as the largest pair of shards has moves. A pair makes at most one move in a round, and skips
/// rounds evenly if it has fewer; so all donors are relieved together, all receivers fill together, and moves that
/// follow one another seldom have a shard in common if that can be.
///
/// A slot that has no owner in `target` is not moved.
pub fn moves(current: &SlotMap, target: &SlotMap) -> Vec<Move> {
    let mut pairs: BTreeMap<(Option<ShardId>, ShardId), Vec<Slot>> = BTreeMap::new();
    for ((slot, from), (_, to)) in current.iter().zip(target.iter()) {
        if let Some(to) = to.filter(|_| from != to) {
            pairs.entry((from, to)).or_default().push(slot);
        }
    }
    let donors = numbered(pairs.keys().map(|(from, _)| *from));
    let receivers = numbered(pairs.keys().map(|(_, to)| *to));
    let side = donors.len().max(receivers.len());
    let rounds = pairs.values().map(Vec::len).max().unwrap_or_default();

    let mut dated = Vec::new();
    for ((from, to), slots) in pairs {
        // Within a round they go by the diagonals of the square of donors and receivers: a shard comes once on each.
        let diagonal = (side + receivers[&to] - donors[&from]) % side;
        for (number, &slot) in slots.iter().enumerate() {
            let round = (2 * number + 1) * rounds / (2 * slots.len());
            dated.push(((from.is_some(), round, diagonal, from), Move { slot, from, to }));
        }
    }
    dated.sort_by_key(|(date, _)| *date);
    dated.into_iter().map(|(_, step)| step).collect()
}

/// The shards with their places in ascending order.
fn numbered<T: Ord>(shards: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    shards.collect::<BTreeSet<T>>().into_iter().zip(0..).collect()
}
