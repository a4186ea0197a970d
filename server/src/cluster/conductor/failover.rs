//! Who leads a shard whose primary is gone.

use super::View;
use crate::cluster::id::{Id, ShardId};
use crate::cluster::topology::{Change, Shard};
use std::cmp::Reverse;

/// The promotions that are due.
pub(super) fn decide(view: &View<'_>) -> Vec<Change> {
    let due = |(&id, shard): (&ShardId, &Shard)| {
        let node = successor(view, shard).filter(|_| is_lease_over(view, id, shard))?;
        Some(Change::Promote { shard: id, epoch: shard.epoch, node, forced: false })
    };
    view.topology.shards().iter().filter_map(due).collect()
}

/// Whether the primary has no lease any longer, nor one of which the leader of before knew.
fn is_lease_over(view: &View<'_>, id: ShardId, shard: &Shard) -> bool {
    let lease = view.settings().lease + view.settings().lease_slack;
    let granted = view.conductor.granted.get(&id).filter(|(epoch, _)| *epoch == shard.epoch);
    let is_own_over = granted.is_none_or(|(_, at)| view.now.saturating_sub(*at) > lease);
    // The leader of before may have granted some for as long as it did not doubt.
    is_own_over && view.now.saturating_sub(view.conductor.since) > lease + view.settings().doubt_max
}

/// The replica that is to lead: of those that hold all writes acknowledged at `quorum`, the one that is furthest.
fn successor(view: &View<'_>, shard: &Shard) -> Option<Id> {
    let candidates = shard.replicas.iter().copied().filter(|id| shard.has_all(*id) && view.is_alive(*id));
    candidates.min_by_key(|id| {
        // One that leaves would have to hand over again.
        (view.is_leaving(*id), Reverse(view.report(*id).map_or(0, |report| report.offset)), *id)
    })
}
