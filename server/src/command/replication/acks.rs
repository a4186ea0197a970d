//! What replicas have acknowledged, and who waits for it: `WAIT`, and replies that are held (`CLIENT DURABILITY`).
//!
//! At `quorum` the reply to a read is held, too, until what it shows *lasts*: until all that may lead after this node hold the
//! stream up to the last write of the stripes that were read. Each stripe keeps that offset beside its lock. So no read shows what
//! the next primary may not have, and with the lease, by which two never serve at a time, commands at `quorum` are
//! linearizable. Of an own word nothing is expected of others: who alone may lead has said it.

use super::{Phase, Replication, State};
use crate::cluster::attendance::Following;
use crate::cluster::id::Id;
use crate::command::clients::Client;
use crate::command::shared::Shared;
use crate::config::{Durability, Named};
use crate::store::Store;
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
    /// All that may lead after this node.
    Heirs,
    /// All that are in sync.
    Synced,
}

/// A place in the stream that the node leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub offset: u64,
    /// Of the node's part in replication: in a later one the offset means nothing.
    generation: u64,
}

impl Mark {
    /// The same, as that of a part which is over: nobody will acknowledge it.
    pub fn over(self) -> Mark {
        Mark { generation: u64::MAX, ..self }
    }

    /// Whichever comes later, unless it is of another part than this.
    pub fn or_later(self, other: Option<Mark>) -> Mark {
        let offset = other.filter(|other| other.generation == self.generation).map_or(0, |other| other.offset);
        Mark { offset: self.offset.max(offset), ..self }
    }
}

impl Hold {
    /// Who must have acknowledged what the reply tells of.
    pub fn needed(&self) -> Needed {
        match self.durability {
            _ if self.is_everywhere => Needed::Synced,
            _ if self.is_read => Needed::Heirs,
            Durability::Quorum => Needed::Quorum,
            _ => Needed::Replicas(1),
        }
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
    /// A time of `steady_ms`; all ones for ever.
    pub until_ms: u64,
}

/// A connection that waits until so many replicas hold the stream up to an offset.
pub struct Waiting {
    pub client: Arc<Client>,
    pub offset: u64,
    pub needed: Needed,
}

/// A reply that is held back until replicas have acknowledged its write, or the writes that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The bytes of the reply, in what waits to be sent.
    pub from: usize,
    pub to: usize,
    pub mark: Mark,
    pub durability: Durability,
    /// Whether its command has written nothing.
    pub is_read: bool,
    /// Whether its command is about all of the cluster: all replicas in sync are to know of it.
    pub is_everywhere: bool,
    /// A time of `steady_ms` after which an error is sent instead.
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
            Needed::Quorum => self.acked_by_quorum(&self.quorum_of) >= offset,
            Needed::Heirs => self.acked_by_quorum(&self.heirs) >= offset,
            Needed::Synced => self.acked_by_quorum(&self.synced) >= offset,
        }
    }

    /// The offset up to which a quorum holds the stream.
    fn acked_by_quorum(&self, of: &QuorumOf) -> u64 {
        match of {
            QuorumOf::Majority => self.acked_by_all_of(self.quorum()),
            QuorumOf::Nobody => 0,
            QuorumOf::All(nodes) => nodes.iter().map(|node| self.acked_by_node(*node)).min().unwrap_or(self.ring.end()),
        }
    }

    fn acked_by_node(&self, node: Id) -> u64 {
        // If the one before had lost that, the topology would not name it.
        let before = self.forebear.filter(|(id, _)| *id == node).map_or(0, |(_, offset)| offset);
        let online = self.followers.values().filter(|follower| follower.phase == Phase::Online);
        online
            .filter(|follower| follower.who.node.is_some_and(|(id, _)| id == node))
            .map(|it| it.acked)
            .fold(before, u64::max)
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
        self.acked[1].fetch_max(state.acked_by_quorum(&state.quorum_of), Relaxed);
        self.acked[2].fetch_max(state.acked_by_quorum(&state.heirs), Relaxed);
        self.acked[3].fetch_max(state.acked_by_quorum(&state.synced), Relaxed);
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

    /// Whether what was written up to this offset lasts, whoever leads next.
    #[inline]
    fn lasts(&self, offset: u64) -> bool {
        self.has_no_heir.load(Relaxed) || self.acked[2].load(Relaxed) >= offset
    }

    /// Whether a reply is to be sent: what it tells of is held by those it takes.
    #[inline]
    pub fn is_due(&self, hold: &Hold) -> bool {
        let offset = hold.mark.offset;
        let is_met = match hold.needed() {
            Needed::Heirs => self.lasts(offset),
            Needed::Synced => self.has_none_synced.load(Relaxed) || self.acked[3].load(Relaxed) >= offset,
            _ => self.is_durable(offset, hold.durability),
        };
        is_met && !self.is_late(hold)
    }

    /// Whether a reply is of a part in replication that the node has not any more: nobody will acknowledge what it tells of.
    pub fn is_late(&self, hold: &Hold) -> bool {
        hold.mark.generation != self.generation.load(Relaxed)
    }

    /// A place in the stream as it is now. The caller is in a gate of the barrier.
    pub fn mark(&self, offset: u64) -> Mark {
        Mark { offset, generation: self.generation.load(Relaxed) }
    }

    /// The place in the stream behind the last write to any of some stripes; that of their stream alone says whether it lasts, so
    /// there is none for a node that follows.
    pub fn mark_of(&self, store: &Store, stripes: impl Iterator<Item = usize>) -> Option<Mark> {
        self.notes().then(|| self.mark(store.noted(stripes).max(self.floor.load(Relaxed))))
    }

    /// The place in the stream behind all writes.
    pub fn mark_of_all(&self) -> Option<Mark> {
        self.notes().then(|| self.mark(self.offset()))
    }

    /// Has every stripe count as written up to an offset. The caller holds the barrier, or all stripes.
    pub(super) fn raise_floor(&self, offset: u64) {
        self.floor.fetch_max(offset, Relaxed);
    }

    /// Says whose word it takes for a write to be held by a quorum, for what is read to last, and for something to be known to all in
    /// sync.
    pub fn set_quorum(&self, of: QuorumOf, heirs: QuorumOf, synced: QuorumOf) {
        let mut state = self.state.lock();
        if state.quorum_of == of && state.heirs == heirs && state.synced == synced {
            return;
        }
        // What was enough until now was.
        self.settle_acks(&mut state);
        let nobody = QuorumOf::All(BTreeSet::new());
        self.is_quorum_alone.store(of == nobody, Relaxed);
        self.has_no_heir.store(heirs == nobody, Relaxed);
        self.has_none_synced.store(synced == nobody, Relaxed);
        (state.quorum_of, state.heirs, state.synced) = (of, heirs, synced);
        self.settle_acks(&mut state);
    }

    /// Whether all that the node holds is held by whom it follows, as it has gone on from there.
    pub fn shares_all(&self) -> bool {
        self.state.lock().upstream.as_ref().is_some_and(|upstream| upstream.is_shared)
    }

    /// Notes that the node which was followed until this one was promoted holds all that this one does. The caller holds the barrier.
    pub fn set_forebear(&self, node: Id) {
        let mut state = self.state.lock();
        state.forebear = Some((node, state.ring.end()));
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
