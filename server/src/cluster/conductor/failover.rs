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
        let asked_for = view.conductor.requests.get(&id).filter(|request| request.forced).map(|request| request.node);
        let forced = asked_for.is_some();
        let node = match shard.is_bereft() {
            // Nobody can have a lease.
            true => asked_for.or_else(|| furthest(view, shard)),
            false if is_lease_over(view, id, shard) => asked_for.or_else(|| successor(view, shard)),
            false => None,
        };
        Some(Due { shard: id, epoch: shard.epoch, node: node?, forced })
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
        (view.is_leaving(*id), Reverse(view.report(*id).and_then(|report| report.offset)), *id)
    })
}

/// Where the last member that held everything has been started again: whichever member holds most now, once all have said
/// how much that is. Those that are silent are not waited for for ever; one that loads is, since it may hold most.
fn furthest(view: &View<'_>, shard: &Shard) -> Option<Id> {
    let mut held = Vec::new();
    for id in shard.members() {
        match view.report(id).filter(|report| view.is_alive(id) && view.is_of_this_start(report)) {
            Some(report) => held.push((Reverse(report.offset?), view.is_leaving(id), id != shard.primary, id)),
            None if view.silence(id) > view.settings().patience => {}
            None => return None,
        }
    }
    held.into_iter().min().map(|(.., id)| id)
}
