//! Who leads a shard whose primary is gone.

use super::View;
use crate::cluster::id::{Id, ShardId};
use crate::cluster::topology::{Change, Shard};
use std::cmp::Reverse;
use std::time::Duration;

/// A promotion that is due: another node in the place of the primary of an epoch.
pub(super) struct Due {
    pub shard: ShardId,
    pub epoch: u64,
    pub node: Id,
    pub forced: bool,
}

impl From<Due> for Change {
    fn from(Due { shard, epoch, node, forced }: Due) -> Change {
        Change::Promote { shard, epoch, node, forced }
    }
}

/// The promotions that are due.
pub(super) fn decide(view: &View<'_>) -> Vec<Due> {
    let due = |(&id, shard): (&ShardId, &Shard)| {
        let is_over = is_lease_over(view, id, shard);
        let asked_for = view.conductor.requests.get(&id).filter(|request| request.forced).map(|request| request.node);
        let forced = asked_for.is_some();
        let node = is_over.then(|| asked_for.or_else(|| successor(view, shard))).flatten()?;
        Some(Due { shard: id, epoch: shard.epoch, node, forced })
    };
    view.topology.shards().iter().filter_map(due).collect()
}

/// Whether the primary has no lease any longer, nor one of which the leader of before knew.
fn is_lease_over(view: &View<'_>, id: ShardId, shard: &Shard) -> bool {
    let lease = view.settings().lease + view.settings().lease_slack;
    // One that has come back from a crash has no lease and gets none: there is nothing to wait for.
    let led = view.conductor.led.get(&id).filter(|(epoch, _)| *epoch == shard.epoch);
    let last = led.map_or(view.conductor.since, |(_, at)| *at);
    // The leader of before may have granted some for as long as it did not doubt.
    let doubt = if shard.is_fit() { view.settings().doubt_max } else { Duration::ZERO };
    view.now.saturating_sub(last) > lease && view.now.saturating_sub(view.conductor.since) > lease + doubt
}

/// The replica that is to lead: of those that hold all writes acknowledged at `quorum`, the one that is furthest.
fn successor(view: &View<'_>, shard: &Shard) -> Option<Id> {
    let candidates = shard.replicas.iter().copied().filter(|id| shard.has_all(*id) && view.is_alive(*id));
    candidates.min_by_key(|id| {
        // One that leaves would have to hand over again.
        (view.is_leaving(*id), Reverse(view.report(*id).map_or(0, |report| report.offset)), *id)
    })
}
