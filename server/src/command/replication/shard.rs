//! A node's part in its shard: whom it follows, whose data it holds, and which replicas a quorum takes.

use super::{QuorumOf, Shared};
use crate::cluster::attendance::Attendance;
use crate::cluster::id::{Id, ShardId};
use crate::cluster::topology::Change;
use crate::command::cluster::View;

/// What a node has made of the topologies so far.
#[derive(Debug, Default)]
pub struct Part {
    /// The shard whose data the node holds.
    shard: Option<ShardId>,
    /// Whether what it held when it was started is of the shard that it is found to be in.
    keeps_data: bool,
    /// Whether the cluster has known the node.
    is_known: bool,
    /// Whom it follows.
    followed: Option<Id>,
    attendance: Attendance,
    /// The epoch in which the node is handing its shard over, and whether it has given that up.
    handing_over: Option<(u64, bool)>,
}

/// What is to be done to hand a shard over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOver {
    /// The node accepts nothing more in this epoch.
    pub epoch: u64,
    /// Then this is to be asked for, again and again.
    pub change: Change,
}

impl Part {
    /// For a node that `keeps_data` which it was started with, as it has been a member before.
    pub fn new(keeps_data: bool) -> Part {
        Part { keeps_data, ..Part::default() }
    }

    /// Takes the part that a topology gives to the node. The caller holds the barrier.
    pub fn take(&mut self, node: &Shared, view: &View) {
        if view.shard != self.shard {
            let is_own = self.shard.is_none() && std::mem::take(&mut self.keeps_data);
            self.shard = view.shard;
            if !is_own {
                // It is of slots that others have now.
                node.flush(None);
            }
        }
        if self.handing_over.is_some_and(|(epoch, _)| view.own_shard().map(|shard| shard.epoch) != Some(epoch)) {
            self.end_hand_over(node);
        }
        let was_known = std::mem::replace(&mut self.is_known, view.topology.node(view.me).is_some());
        if was_known && !self.is_known {
            tracing::warn!(
                "this node was taken out of its cluster: stop it; to let it join again, empty its data folder"
            );
        }
        let primary = view.own_shard().filter(|_| !view.is_primary).map(|shard| shard.primary);
        let target = primary.and_then(|id| view.address_of(id)).map(|(host, port)| (host.to_owned(), port));
        let followed = std::mem::replace(&mut self.followed, primary);
        let forebear = followed.filter(|_| view.is_primary && node.replication.shares_all());
        if node.follow(target.clone()) {
            forebear.into_iter().for_each(|id| node.replication.set_forebear(id));
            match (target, view.shard) {
                (Some((host, port)), _) => tracing::info!(%host, port, "follows the primary of its shard"),
                (None, Some(shard)) => tracing::info!(%shard, "leads its shard"),
                (None, None) => tracing::info!("is in no shard"),
            }
        }
    }

    /// Hands the shard over to a replica, if that is wished for: writes are held back until the replica has them all. Then the
    /// node gives its epoch up, and everything waits for the next one, which begins with the promotion of the replica or, if
    /// that cannot be any more, of this node.
    pub fn hand_over(&mut self, node: &Shared, view: &View, to: Option<Id>) -> Option<HandOver> {
        let shard = view.own_shard().filter(|_| view.is_primary);
        let (Some(id), Some(shard)) = (view.shard, shard) else {
            self.end_hand_over(node);
            return None;
        };
        let epoch = shard.epoch;
        if self.handing_over.is_some_and(|(of, _)| of != epoch) {
            self.end_hand_over(node);
        }
        let to = to.filter(|to| shard.in_sync.contains(to) && *to != view.me);
        let has_given_up = self.handing_over.is_some_and(|(_, has_given_up)| has_given_up);
        if !has_given_up {
            let Some(to) = to else {
                self.end_hand_over(node);
                return None;
            };
            if self.handing_over.is_none() {
                self.handing_over = Some((epoch, false));
                node.barrier.alone(|| node.clients.hold_writes(true));
                node.tell_of_hand_over(epoch);
                tracing::info!(%to, "hands its shard over");
            }
            let end = node.replication.offset();
            if !node.replication.following().iter().any(|one| one.node == to && one.acked >= end) {
                node.replication.ask_for_acks();
                return None;
            }
            self.handing_over = Some((epoch, true));
            node.cluster.set_handing_over(true);
        }
        let change = Change::Promote { shard: id, epoch, node: to.unwrap_or(view.me), forced: false };
        Some(HandOver { epoch, change })
    }

    /// Who would take over from this node if it stopped: of the replicas in sync that follow it, the one that has most.
    pub fn heir(&self, node: &Shared, view: &View) -> Option<Id> {
        let shard = view.own_shard().filter(|_| view.is_primary)?;
        let following = node.replication.following();
        let fit = following.iter().filter(|one| shard.in_sync.contains(&one.node));
        fit.max_by_key(|one| one.acked).map(|one| one.node)
    }

    fn end_hand_over(&mut self, node: &Shared) {
        if self.handing_over.take().is_some() {
            node.cluster.set_handing_over(false);
            node.clients.hold_writes(false);
        }
    }

    /// Looks after the replicas, if the node leads its shard. Returns what is to be changed in the topology.
    pub fn tend(&mut self, node: &Shared, view: &View) -> Vec<Change> {
        let shard = view.shard.filter(|_| node.cluster.holds_lease(view));
        let Some(shard) = shard else {
            node.replication.set_quorum(QuorumOf::Nobody, QuorumOf::Nobody, QuorumOf::Nobody);
            return Vec::new();
        };
        let (now, end) = (node.cluster.now(), node.replication.offset());
        let review = self.attendance.review(now, &view.topology, shard, end, &node.replication.following());
        let all_of = |nodes: Option<_>| nodes.map_or(QuorumOf::Nobody, QuorumOf::All);
        let synced = QuorumOf::All(review.synced);
        node.replication.set_quorum(all_of(review.required), all_of(review.heirs), synced);
        if review.asks_for_acks {
            node.replication.ask_for_acks();
        }
        review.changes
    }
}

impl Shared {
    /// Whether replicas of the cluster may have the stream from this node: it leads their shard for sure. One that has come
    /// back from a crash, and is not known yet to have forgotten what it held, would have them forget it, too.
    pub fn may_feed_cluster(&self) -> bool {
        self.cluster.is_on() && self.cluster.holds_lease(&self.cluster.view())
    }
}
