//! What replicas have acknowledged, and who waits for it: `WAIT`, and replies that are held (`CLIENT DURABILITY`).

use super::{Phase, Replication, State};
use crate::cluster::attendance::Following;
use crate::cluster::id::Id;
use crate::command::clients::Client;
use crate::command::shared::Shared;
use crate::config::{Durability, Named};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

/// Whose word it takes for a write to be held by a quorum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum QuorumOf {
    /// That of any replicas which, with the node, are more than half of all there are.
    #[default]
    Majority,
    /// That of each of these nodes of the cluster; if there is none, the node's own will do.
    All(BTreeSet<Id>),
    /// There are too few for a quorum.
    Nobody,
}

/// How many replicas must have acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    Replicas(usize),
    Quorum,
}

impl Hold {
    /// How many replicas must have acknowledged the write.
    pub fn needed(&self) -> Needed {
        if self.durability == Durability::Quorum { Needed::Quorum } else { Needed::Replicas(1) }
    }

    /// What was asked for, as it is called.
    pub fn durability_name(&self) -> &'static str {
        self.durability.name()
    }
}

/// What a connection's `WAIT` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AwaitedAcks {
    pub offset: u64,
    pub replicas: usize,
    /// Milliseconds since 1970; all ones for ever.
    pub until_ms: u64,
}

/// A connection that waits until so many replicas hold the stream up to an offset.
pub struct Waiting {
    pub client: Arc<Client>,
    pub offset: u64,
    pub needed: Needed,
}

/// A reply that is held back until replicas have acknowledged its write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The bytes of the reply, in what waits to be sent.
    pub from: usize,
    pub to: usize,
    pub offset: u64,
    pub durability: Durability,
    /// Milliseconds since 1970 after which an error is sent instead.
    pub until_ms: u64,
}

impl State {
    /// Replicas that hold the stream up to an offset.
    pub(super) fn acked_by(&self, offset: u64) -> usize {
        let has = |follower: &&super::Follower| follower.phase == Phase::Online && follower.acked >= offset;
        self.followers.values().filter(has).count()
    }

    /// Replicas that make up more than half of all copies, together with the node.
    fn quorum(&self) -> usize {
        let replicas = self.followers.values().filter(|follower| !follower.who.is_mute).count();
        replicas.div_ceil(2).max(1)
    }

    fn is_met(&self, offset: u64, needed: Needed) -> bool {
        match needed {
            Needed::Replicas(count) => self.acked_by(offset) >= count,
            Needed::Quorum => self.acked_by_quorum() >= offset,
        }
    }

    /// The offset up to which a quorum holds the stream.
    fn acked_by_quorum(&self) -> u64 {
        match &self.quorum_of {
            QuorumOf::Majority => self.acked_by_all_of(self.quorum()),
            QuorumOf::Nobody => 0,
            QuorumOf::All(nodes) => nodes.iter().map(|node| self.acked_by_node(*node)).min().unwrap_or(self.ring.end()),
        }
    }

    fn acked_by_node(&self, node: Id) -> u64 {
        let online = self.followers.values().filter(|follower| follower.phase == Phase::Online);
        online
            .filter(|follower| follower.who.node.is_some_and(|(id, _)| id == node))
            .map(|it| it.acked)
            .max()
            .unwrap_or(0)
    }

    /// The offset that so many replicas have acknowledged.
    fn acked_by_all_of(&self, count: usize) -> u64 {
        let online = self.followers.values().filter(|follower| follower.phase == Phase::Online);
        let mut acked: Vec<u64> = online.map(|follower| follower.acked).collect();
        acked.sort_unstable_by(|a, b| b.cmp(a));
        acked.get(count - 1).copied().unwrap_or(0)
    }
}

impl Replication {
    /// Notes that a replica holds the stream up to an offset, and wakes those who have waited for that.
    pub fn acknowledged(&self, number: u64, offset: u64) {
        let mut state = self.state.lock();
        let end = state.ring.end();
        let Some(follower) = state.followers.get_mut(&number) else { return };
        // Nobody holds what has not been said.
        follower.acked = follower.acked.max(offset.min(end));
        follower.acked_at = Instant::now();
        self.settle_acks(&mut state);
        if state.failover.is_some() {
            drop(state);
            self.wake_follow();
        }
    }

    pub(super) fn settle_acks(&self, state: &mut State) {
        // A write that was acknowledged once stays so, whoever leaves.
        self.acked[0].fetch_max(state.acked_by_all_of(1), Relaxed);
        self.acked[1].fetch_max(state.acked_by_quorum(), Relaxed);
        if state.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut state.waiting);
        let (met, left): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|one| state.is_met(one.offset, one.needed));
        state.waiting = left;
        met.iter().for_each(|waiting| waiting.client.wake());
    }

    /// Replicas that hold the stream up to an offset.
    pub fn acked_by(&self, offset: u64) -> usize {
        self.state.lock().acked_by(offset)
    }

    /// Whether a write up to this offset is held by as many as a durability asks for.
    #[inline]
    pub fn is_durable(&self, offset: u64, durability: Durability) -> bool {
        match durability {
            Durability::Async => true,
            Durability::Replica => self.acked[0].load(Relaxed) >= offset,
            Durability::Quorum => self.is_quorum_alone.load(Relaxed) || self.acked[1].load(Relaxed) >= offset,
        }
    }

    /// Says whose word it takes for a write to be held by a quorum.
    pub fn set_quorum(&self, of: QuorumOf) {
        let mut state = self.state.lock();
        if state.quorum_of == of {
            return;
        }
        self.is_quorum_alone.store(of == QuorumOf::All(BTreeSet::new()), Relaxed);
        state.quorum_of = of;
        self.settle_acks(&mut state);
    }

    /// The nodes of the cluster that follow this one and are sent the stream.
    pub fn following(&self) -> Vec<Following> {
        let state = self.state.lock();
        let online = state.followers.values().filter(|one| one.phase == Phase::Online && !one.is_lost);
        let named = online.filter_map(|follower| {
            let (node, memory) = follower.who.node?;
            Some(Following { node, memory, acked: follower.acked })
        });
        named.collect()
    }

    /// Has a connection woken once so many replicas hold the stream up to an offset, and asks them to say how far they
    /// are. Returns whether they do already.
    pub fn wait_for(&self, waiting: Waiting) -> bool {
        let mut state = self.state.lock();
        if state.is_met(waiting.offset, waiting.needed) {
            return true;
        }
        // One question is enough for all who ask before it is sent.
        let is_first = state.waiting.iter().all(|other| other.offset < waiting.offset);
        state.waiting.retain(|other| other.client.id != waiting.client.id);
        state.waiting.push(waiting);
        let asks = is_first && !state.followers.is_empty() && state.upstream.is_none();
        drop(state);
        if asks {
            self.ask_for_acks();
        }
        false
    }

    /// Asks replicas to say how far they are.
    pub fn ask_for_acks(&self) {
        self.append_plain(&[b"REPLCONF", b"GETACK", b"*"]);
    }

    /// Who must hold a write of a connection before it is answered, if it has not said otherwise.
    #[inline]
    pub fn durability(&self) -> Durability {
        Durability::ALL[self.durability.load(Relaxed) as usize]
    }

    /// How long a reply is held for that, in milliseconds.
    pub fn durability_timeout_ms(&self) -> u64 {
        self.durability_timeout_ms.load(Relaxed)
    }

    /// Ends what [`Replication::wait_for`] began.
    pub fn wait_no_more(&self, client: u64) {
        self.state.lock().waiting.retain(|waiting| waiting.client.id != client);
    }
}

impl Shared {
    /// Notes writes from now on whether anybody follows or not: somebody is answered only once a replica holds them. The
    /// caller holds the barrier.
    pub fn want_durability(&self) {
        self.replication.wants_durability.store(true, Relaxed);
        self.begin_notes();
    }
}
