//! Replication as commands see it: the node's part in it, the stream of its writes, and who follows it.
//!
//! A node leads or follows. One that leads notes each write in the stream once somebody has asked for it: bytes that every
//! replica is sent, and that one which comes back may go on from (`repl`). One that follows runs what its primary's stream
//! says and passes the same bytes on to replicas of its own, so that in a chain all have one history. Sockets are `net`'s.
//!
//! Locks are taken in the order stripe, then [`Replication`]'s: the state, then the losses.

mod acks;
mod asked;
mod commands;
mod failover;
mod followers;
mod info;
mod libraries;
mod lost;
mod receive;
mod shard;
mod tell;
mod upstream;

#[cfg(test)]
mod tests;

pub use acks::{AwaitedAcks, Hold, Mark, Needed, QuorumOf, Waiting};
pub use asked::{Ask, Asked};
pub use commands::{COMMANDS, NOT_LEADING};
pub use failover::FailoverWish;
pub use followers::{Entered, Lost, NewFollower, Phase};
pub use info::{fill_info, role};
pub use libraries::heed;
pub use lost::{Tail, Tally};
pub use receive::Receiving;
pub use shard::{HandOver, Part};
pub use tell::{Transaction, begin_command, end_command};
pub use upstream::{Goal, LinkState, Refused, Upstream};

use super::shared::{Shared, random_id};
use crate::cluster::id::Id;
use crate::repl::history::History;
use crate::repl::ring::Ring;
use crate::repl::spell;
use failover::Failover;
use followers::{Follower, Left};
use lost::Losses;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Called to wake a thread of `net`.
type Bell = OnceLock<Box<dyn Fn() + Send + Sync>>;

/// A node's part in replication.
pub struct Replication {
    /// Whether writes are noted: the node leads, and somebody follows or has followed.
    notes: AtomicBool,
    /// Why some command may be refused, as bits: `READ_ONLY`, `DOWN`, `ALONE`.
    bars: AtomicU8,
    serves_stale: AtomicBool,
    is_read_only: AtomicBool,
    /// How many replicas a write needs, and how long each may have been silent, in milliseconds.
    replicas_min: AtomicU64,
    lag_max_ms: AtomicU64,
    /// Whether those who send the stream wait to be woken, and whether there is something for them since.
    is_asleep: AtomicBool,
    is_fresh: AtomicBool,
    /// The settings `durability` and `durability-timeout`, and whether anybody has ever asked for more than `async`.
    durability: AtomicU8,
    durability_timeout_ms: AtomicU64,
    wants_durability: AtomicBool,
    /// Offsets that one replica, a quorum of all copies, and all that may lead after this node have acknowledged.
    acked: [AtomicU64; 4],
    /// Whether the node's own word is enough for a quorum, and whether nobody else may lead after it.
    is_quorum_alone: AtomicBool,
    has_no_heir: AtomicBool,
    has_none_synced: AtomicBool,
    /// An offset at which the last write of every stripe counts at the least, whatever the stripe itself has noted.
    floor: AtomicU64,
    /// As in the state, to be read without its lock.
    generation: AtomicU64,
    pub counts: Counts,
    losses: Mutex<Losses>,
    state: Mutex<State>,
    feed_bell: Bell,
    follow_bell: Bell,
}

/// How replicas were brought up to date, for `INFO`.
#[derive(Default)]
pub struct Counts {
    pub full: AtomicU64,
    pub partial: AtomicU64,
    pub partial_refused: AtomicU64,
}

struct State {
    history: History,
    /// Its offsets go on where there is no backlog, too.
    ring: Ring,
    /// Whether there is a backlog.
    is_active: bool,
    /// The database that the stream has selected; `None` if the next write has to say it.
    selected: Option<usize>,
    upstream: Option<Upstream>,
    failover: Option<Failover>,
    /// Changes with every change of the upstream, so that what was begun for an old one is seen to be late.
    generation: u64,
    followers: BTreeMap<u64, Follower>,
    next_follower: u64,
    left: Vec<Left>,
    waiting: Vec<Waiting>,
    quorum_of: QuorumOf,
    /// Whose word it takes for what the node shows to last.
    heirs: QuorumOf,
    /// Whose word it takes for something to be known to all in sync.
    synced: QuorumOf,
    /// The node that was followed before this one was promoted, and up to where it holds the stream for sure.
    forebear: Option<(Id, u64)>,
    /// Since when nobody follows.
    alone_since: Option<Instant>,
    backlog_bytes: u64,
}

impl Default for Replication {
    fn default() -> Replication {
        Replication {
            notes: AtomicBool::new(false),
            bars: AtomicU8::new(0),
            serves_stale: AtomicBool::new(true),
            is_read_only: AtomicBool::new(true),
            replicas_min: AtomicU64::new(0),
            lag_max_ms: AtomicU64::new(10_000),
            is_asleep: AtomicBool::new(false),
            is_fresh: AtomicBool::new(false),
            durability: AtomicU8::new(0),
            durability_timeout_ms: AtomicU64::new(1000),
            wants_durability: AtomicBool::new(false),
            acked: Default::default(),
            is_quorum_alone: AtomicBool::new(false),
            has_no_heir: AtomicBool::new(false),
            has_none_synced: AtomicBool::new(false),
            floor: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            counts: Counts::default(),
            losses: Mutex::default(),
            state: Mutex::new(State {
                history: History::new(random_id()),
                ring: Ring::default(),
                is_active: false,
                selected: None,
                upstream: None,
                failover: None,
                generation: 0,
                followers: BTreeMap::new(),
                next_follower: 0,
                left: Vec::new(),
                waiting: Vec::new(),
                quorum_of: QuorumOf::default(),
                heirs: QuorumOf::default(),
                synced: QuorumOf::default(),
                forebear: None,
                alone_since: None,
                backlog_bytes: 1 << 20,
            }),
            feed_bell: OnceLock::new(),
            follow_bell: OnceLock::new(),
        }
    }
}

/// The place of a snapshot in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPlace {
    pub id: String,
    pub offset: u64,
    pub db: Option<usize>,
}

impl Replication {
    /// Whether writes are noted in the stream.
    #[inline]
    pub fn notes(&self) -> bool {
        self.notes.load(Relaxed)
    }

    /// Says whom to wake when the stream has grown, and when the upstream has changed. Called once.
    pub fn set_bells(&self, feed: Box<dyn Fn() + Send + Sync>, follow: Box<dyn Fn() + Send + Sync>) {
        // A second call is the same node's.
        let _ = (self.feed_bell.set(feed), self.follow_bell.set(follow));
    }

    /// Adds whole commands to the stream, the first for one database and the last for another. Returns the offset behind
    /// them. The caller holds the stripes they are about.
    fn append(&self, (first, last): (usize, usize), bytes: Vec<u8>) -> u64 {
        let mut state = self.state.lock();
        if state.selected != Some(first) {
            let mut select = Vec::with_capacity(24);
            spell::push_select(&mut select, first);
            state.ring.push(&select);
        }
        state.selected = Some(last);
        if state.ring.push_owned(bytes) {
            state.trim();
        }
        // Those who send look for more under this lock before they fall asleep.
        if self.is_asleep.load(Relaxed) {
            self.is_fresh.store(true, Relaxed);
        }
        state.ring.end()
    }

    /// Adds a command that is about no database, if the node leads.
    fn append_plain(&self, words: &[&[u8]]) {
        let mut bytes = Vec::new();
        spell::push_command(&mut bytes, words.iter().copied());
        let mut state = self.state.lock();
        if state.upstream.is_some() {
            return;
        }
        state.ring.push(&bytes);
        drop(state);
        self.wake_feed();
    }

    /// Wakes those who send the stream if there is something that they have not seen. Called when a batch is done.
    #[inline]
    pub fn nudge(&self) {
        if self.is_fresh.load(Relaxed) {
            self.wake_feed();
        }
    }

    /// Wakes those who send the stream.
    #[cold]
    pub fn wake_feed(&self) {
        self.is_fresh.store(false, Relaxed);
        self.is_asleep.store(false, Relaxed);
        if let Some(bell) = self.feed_bell.get() {
            bell();
        }
    }

    /// Wakes all threads of replication: the node is to stop.
    pub fn wake_all(&self) {
        self.wake_follow();
        self.wake_feed();
    }

    fn wake_follow(&self) {
        if let Some(bell) = self.follow_bell.get() {
            bell();
        }
    }

    /// The id of the node's history of writes: 40 hexadecimal digits.
    pub fn id(&self) -> String {
        self.state.lock().history.id.clone()
    }

    /// The offset behind the last byte of the stream.
    pub fn offset(&self) -> u64 {
        self.state.lock().ring.end()
    }

    /// Begins a history of its own, as tests of replication ask for.
    pub fn change_id(&self) {
        self.state.lock().history = History::new(random_id());
    }

    /// Bytes of memory that the stream takes.
    pub fn footprint(&self) -> usize {
        self.state.lock().ring.footprint()
    }

    /// The place in the stream at this moment, if there is one. The caller holds the barrier.
    pub fn place(&self) -> Option<StreamPlace> {
        let state = self.state.lock();
        state.is_active.then(|| StreamPlace {
            id: state.history.id.clone(),
            offset: state.ring.end(),
            db: state.selected,
        })
    }

    /// The database that the stream has selected last.
    pub fn selected(&self) -> usize {
        self.state.lock().selected.unwrap_or(0)
    }
}

impl State {
    fn trim(&mut self) {
        let left = self.needed_by_left();
        let needed = self.followers.values().filter(|follower| !follower.is_lost).map(Follower::needs).min();
        let needed = needed.into_iter().chain(left).min();
        self.ring.trim(needed.unwrap_or(u64::MAX), self.backlog_bytes);
    }
}

impl Shared {
    /// Up to where the node holds the data of its stream; `None` while it is loading.
    pub fn held_offset(&self) -> Option<u64> {
        (!self.loading.is_on()).then(|| self.replication.offset())
    }

    /// Begins to note writes in the stream, if that is not done yet. The caller holds the barrier.
    fn begin_notes(&self) {
        let mut state = self.replication.state.lock();
        state.is_active = true;
        if state.upstream.is_none() && !self.replication.notes.swap(true, Relaxed) {
            state.selected = None;
            drop(state);
            self.store.heed_gone(true);
        }
    }

    /// Goes on from the place that a snapshot was taken at, which is what the store holds now. A node that leads has a
    /// history of its own from there on, as others may have seen more of the old one.
    pub fn resume_stream(&self, place: &StreamPlace) {
        self.barrier.alone(|| {
            let mut state = self.replication.state.lock();
            state.history = History::new(place.id.clone());
            state.ring = Ring::at(place.offset);
            state.selected = place.db;
            state.is_active = true;
            if state.upstream.is_none() {
                state.history.fork(random_id(), place.offset);
                state.selected = None;
                // Who holds that, too, is not known before they say so.
                self.replication.raise_floor(place.offset);
                self.replication.notes.store(true, Relaxed);
                drop(state);
                self.store.heed_gone(true);
            }
        });
    }

    /// What is done about replication once a second.
    pub fn tick_replication(&self, seconds: u64) {
        let config = self.live.config();
        let mut state = self.replication.state.lock();
        state.backlog_bytes = config.repl_backlog_size.0;
        if state.followers.is_empty() {
            let since = *state.alone_since.get_or_insert_with(Instant::now);
            // A replica keeps its backlog: it may be promoted.
            let is_over = config.repl_backlog_ttl.is_some_and(|ttl| since.elapsed() > ttl);
            let is_wanted = self.replication.wants_durability.load(Relaxed);
            if is_over && !is_wanted && state.is_active && state.upstream.is_none() {
                drop(state);
                self.end_notes();
            }
            return;
        }
        state.alone_since = None;
        let (limits, is_primary) = (self.live.output_limits().replica, state.upstream.is_none());
        state.cut_slow(limits);
        drop(state);
        let period = config.repl_ping_replica_period.as_secs().max(1);
        if is_primary && seconds.is_multiple_of(period) {
            self.replication.append_plain(&[b"PING"]);
        }
    }

    /// Forgets the stream, and begins another history: nobody could follow this one any longer.
    fn end_notes(&self) {
        self.barrier.alone(|| {
            let mut state = self.replication.state.lock();
            if !state.followers.is_empty() || state.upstream.is_some() {
                return;
            }
            self.replication.notes.store(false, Relaxed);
            state.is_active = false;
            state.history = History::new(random_id());
            state.ring = Ring::at(state.ring.end());
            drop(state);
            self.store.heed_gone(false);
            tracing::info!("nobody has followed for repl-backlog-ttl: the backlog is given up");
        });
    }
}

/// How long a link may be silent.
pub fn timeout(node: &Shared) -> Duration {
    node.live.config().repl_timeout
}
