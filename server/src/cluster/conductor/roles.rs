//! Which node belongs to which shard.
//!
//! Every shard is to have as many replicas as the cluster wants. Who comes is a replica where one is missing. As soon as enough
//! nodes are free for a shard with all its replicas they become one; until then they are further replicas, which make
//! room again when enough of them have come together. So a shard never serves with fewer replicas than it should because a
//! node was added. Who leaves does so backwards.

use super::View;
use crate::cluster::id::{Id, ShardId};
use crate::cluster::topology::{Change, Shard};
use std::collections::{BTreeMap, BTreeSet};

/// The next changes of roles, and the primaries that are to hand over to one of their replicas.
pub(super) fn decide(view: &View<'_>) -> (Vec<Change>, BTreeMap<ShardId, Id>) {
    let mut changes = leave(view);
    let hand_overs = hand_overs(view);
    let mut free = free_nodes(view);
    match lacking(view) {
        lacking if lacking.is_empty() => {
            changes.extend(found(view, &mut free));
            changes.extend(keep_as_spares(view, free));
        }
        lacking => changes.extend(fill(view, lacking, &mut free)),
    }
    (changes, hand_overs)
}

/// Nodes that can be given a part, in the order in which they should be.
fn free_nodes(view: &View<'_>) -> Vec<Id> {
    let is_free = |id: Id| {
        let node = view.topology.node(id);
        let has_none = node.is_some_and(|node| node.shard.is_none() && !node.facts.is_witness && !node.is_leaving);
        has_none && view.is_alive(id)
    };
    let mut free: Vec<Id> = view.topology.nodes().keys().copied().filter(|id| is_free(*id)).collect();
    free.sort_by_key(|id| view.topology.node(*id).map(|node| node.number));
    free
}

fn zone<'a>(view: &View<'a>, id: Id) -> &'a str {
    view.topology.node(id).map_or("", |node| &node.facts.zone)
}

/// Replicas of a shard that are counted on.
fn staying_replicas(view: &View<'_>, shard: &Shard) -> usize {
    let others = shard.replicas.iter().filter(|id| view.is_staying(**id)).count();
    // Who leads now and leaves will be replaced by one of them.
    if view.is_leaving(shard.primary) { others.saturating_sub(1) } else { others }
}

fn wanted(view: &View<'_>) -> usize {
    view.topology.replicas_wanted().into()
}

/// Shards that have fewer replicas than they should, the neediest first.
fn lacking(view: &View<'_>) -> Vec<ShardId> {
    let staying = view.staying_shards();
    let mut lacking: Vec<(usize, ShardId)> = view
        .topology
        .shards()
        .iter()
        .filter(|(id, _)| staying.contains(id))
        .map(|(id, shard)| (staying_replicas(view, shard), *id))
        .filter(|(replicas, _)| *replicas < wanted(view))
        .collect();
    lacking.sort_unstable();
    lacking.into_iter().map(|(_, id)| id).collect()
}

/// Gives free nodes to shards that lack a replica, or frees replicas of shards that have more than they need.
fn fill(view: &View<'_>, lacking: Vec<ShardId>, free: &mut Vec<Id>) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut spares = spares(view);
    for id in lacking {
        if let Some(node) = take_apart(view, free, id) {
            changes.push(Change::Attach { shard: id, node });
        } else if let Some((shard, node)) = spares.pop() {
            changes.push(Change::Detach { shard, node });
        }
    }
    changes
}

/// Takes a free node for a shard, from another zone than those of its members if there is one.
fn take_apart(view: &View<'_>, free: &mut Vec<Id>, shard: ShardId) -> Option<Id> {
    let shard = view.topology.shard(shard)?;
    let zones: BTreeSet<&str> = shard.members().map(|id| zone(view, id)).collect();
    let at = free.iter().position(|id| !zones.contains(zone(view, *id))).unwrap_or(0);
    (at < free.len()).then(|| free.remove(at))
}

/// Whether a replica can leave its shard without taking along what no other has: it does not hold everything, or the
/// primary lives and enough others that stay are in sync and live. One that is silent may have lost what it held.
fn can_be_spared(view: &View<'_>, shard: &Shard, node: Id, replicas: usize) -> bool {
    let counts = |id: Id| id != node && view.is_staying(id) && view.is_alive(id);
    let others = shard.in_sync.iter().filter(|id| counts(**id)).count();
    let is_led = view.is_alive(shard.primary) && shard.is_fit();
    !shard.has_all(node) && !shard.is_bereft() || is_led && others > replicas
}

/// Replicas beyond those that their shards are to have, with their shards.
fn spares(view: &View<'_>) -> Vec<(ShardId, Id)> {
    let mut spares = Vec::new();
    for (id, shard) in view.topology.shards() {
        let beyond = staying_replicas(view, shard).saturating_sub(wanted(view));
        let mut staying: Vec<Id> = shard.replicas.iter().copied().filter(|id| view.is_staying(*id)).collect();
        // One that is not in sync is missed less.
        staying.retain(|node| can_be_spared(view, shard, *node, wanted(view)));
        staying.sort_by_key(|id| (shard.in_sync.contains(id), view.topology.node(*id).map(|node| node.number)));
        spares.extend(staying.into_iter().take(beyond).map(|node| (*id, node)));
    }
    spares
}

/// Makes shards of free nodes, each with all its replicas. The first one is made of what there is.
fn found(view: &View<'_>, free: &mut Vec<Id>) -> Vec<Change> {
    if view.topology.shards().is_empty() && !is_complete(view) {
        return Vec::new();
    }
    let mut changes = Vec::new();
    while free.len() > wanted(view) {
        changes.push(shard_of(view, free));
    }
    if changes.is_empty() && view.topology.shards().is_empty() && !free.is_empty() {
        changes.push(shard_of(view, free));
    }
    changes
}

/// Whether all first nodes are there, or have been waited for long enough.
fn is_complete(view: &View<'_>) -> bool {
    let all_alive = view.topology.nodes().keys().all(|id| view.is_alive(*id));
    let all_joined = view.topology.nodes().len() as u64 >= view.topology.first_nodes();
    all_alive && all_joined || view.now.saturating_sub(view.conductor.since) > view.settings().patience
}

/// A shard of the first free node and others, from as many zones as there are.
fn shard_of(view: &View<'_>, free: &mut Vec<Id>) -> Change {
    let primary = free.remove(0);
    let mut zones = BTreeSet::from([zone(view, primary)]);
    let mut replicas = Vec::new();
    while replicas.len() < wanted(view) && !free.is_empty() {
        let at = free.iter().position(|id| !zones.contains(zone(view, *id))).unwrap_or(0);
        let node = free.remove(at);
        zones.insert(zone(view, node));
        replicas.push(node);
    }
    Change::NewShard { primary, replicas }
}

/// Nodes that are left over become further replicas, until there are enough of them for a shard.
fn keep_as_spares(view: &View<'_>, free: Vec<Id>) -> Vec<Change> {
    let staying = view.staying_shards();
    let spares = spares(view);
    if spares.len() + free.len() > wanted(view) {
        // With those that are free already, if any.
        let needed = (wanted(view) + 1).saturating_sub(free.len());
        return spares.into_iter().take(needed).map(|(shard, node)| Change::Detach { shard, node }).collect();
    }
    let mut replicas: BTreeMap<ShardId, usize> = view
        .topology
        .shards()
        .iter()
        .filter(|(id, _)| staying.contains(id))
        .map(|(id, shard)| (*id, staying_replicas(view, shard)))
        .collect();
    let attach = |node: Id| {
        let (shard, count) = replicas.iter_mut().min_by_key(|(id, count)| (**count, **id))?;
        *count += 1;
        Some(Change::Attach { shard: *shard, node })
    };
    free.into_iter().filter_map(attach).collect()
}

/// What nodes do that leave and are not primaries, and shards that have nothing left to serve.
fn leave(view: &View<'_>) -> Vec<Change> {
    let staying = view.staying_shards();
    let needed = wanted(view).min(available(view));
    let mut changes = Vec::new();
    for (id, shard) in view.topology.shards() {
        if !staying.contains(id) {
            let is_empty =
                view.topology.slots_of(*id).is_empty() && view.topology.moves().values().all(|a| a.to != *id);
            changes.extend(is_empty.then_some(Change::EndShard { shard: *id }));
            continue;
        }
        let may_go = |node: &Id| view.is_leaving(*node) && can_be_spared(view, shard, *node, needed);
        let leaving = shard.replicas.iter().filter(|node| may_go(node));
        changes.extend(leaving.map(|node| Change::Detach { shard: *id, node: *node }));
    }
    changes
}

/// Replicas that each shard could have of the nodes that stay.
fn available(view: &View<'_>) -> usize {
    let shards = view.staying_shards().len().max(1);
    let data = view.topology.nodes().iter().filter(|(id, node)| !node.facts.is_witness && view.is_staying(**id));
    (data.count() / shards).saturating_sub(1)
}

/// Primaries that leave, or of whose replicas one was asked for to lead, with the replica that is to take over.
fn hand_overs(view: &View<'_>) -> BTreeMap<ShardId, Id> {
    let leaving = view.topology.shards().iter().filter(|(_, shard)| view.is_leaving(shard.primary));
    leaving
        .filter_map(|(id, shard)| {
            let is_fit = |node: &Id| *node != shard.primary && view.is_alive(*node) && !view.is_leaving(*node);
            shard.in_sync.iter().copied().find(is_fit).map(|to| (*id, to))
        })
        .chain(view.conductor.requests.iter().filter(|(_, request)| !request.forced).map(|(id, it)| (*id, it.node)))
        .collect()
}
