//! Who follows the node: how far each is, and what may be kept for it.

use super::{Replication, State};
use crate::cluster::id::Id;
use crate::command::clients::Client;
use crate::command::shared::Shared;
use crate::config::OutputLimit;
use crate::repl::history::Kin;
use crate::repl::ring::{Part, Ring};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Bytes that may be on their way to a replica: about what the system takes of one that is not reached.
const ON_THE_WAY_BYTES: u64 = 4 << 20;

/// How long, and for how many bytes, what a node of the cluster needs next is kept when its link has ended: it comes back at once.
const LEFT_FOR: Duration = Duration::from_secs(3);
const LEFT_BYTES_MAX: u64 = 16 << 20;

/// How far the node has come with a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for a snapshot to begin.
    Waiting,
    /// It is sent a snapshot.
    Sending,
    /// It is sent the stream.
    Online,
}

impl Phase {
    /// As `INFO` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Waiting => "wait_bgsave",
            Phase::Sending => "send_bulk",
            Phase::Online => "online",
        }
    }
}

/// A replica that asks to be sent the stream.
#[derive(Clone)]
pub struct NewFollower {
    pub client: Arc<Client>,
    /// Where it can be reached, as it says.
    pub host: String,
    pub port: u16,
    /// Whether it takes what it is sent but tells nobody how far it is: a tool, not a replica.
    pub is_mute: bool,
    /// Its id in the cluster, and when what it holds began, as the topology has it.
    pub node: Option<(Id, u64)>,
}

pub(super) struct Follower {
    pub who: NewFollower,
    pub phase: Phase,
    /// The offset of the next byte that it is to be sent.
    pub position: u64,
    /// Where it began.
    begun: u64,
    pub acked: u64,
    pub acked_at: Instant,
    /// Since when it has been further behind than the soft limit allows.
    slow_since: Option<Instant>,
    /// Whether nothing is kept for it any more.
    pub is_lost: bool,
}

impl Follower {
    pub fn lag(&self) -> Duration {
        self.acked_at.elapsed()
    }

    /// From where on the stream is kept for it. A node of the cluster gives a silent link up soon, and what was on its way by it is
    /// asked for again by the next one.
    pub(super) fn needs(&self) -> u64 {
        match self.who.node {
            Some(_) => {
                self.position.saturating_sub(ON_THE_WAY_BYTES).max(self.begun).max(self.acked).min(self.position)
            }
            None => self.position,
        }
    }
}

/// A node of the cluster whose link has ended, and from where on it will ask for the stream if it comes back at once.
pub(super) struct Left {
    node: Id,
    needs: u64,
    until: Instant,
}

/// How a replica came to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// What it is known by.
    pub number: u64,
    pub id: String,
    pub offset: u64,
}

/// What a replica needs next is not kept: it has fallen too far behind, or the stream is another one now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost;

impl State {
    fn enter(&mut self, who: NewFollower, phase: Phase, position: u64) -> Entered {
        self.next_follower += 1;
        let number = self.next_follower;
        let now = Instant::now();
        self.drop_links_of(&who);
        let follower = Follower {
            who,
            phase,
            position,
            begun: position,
            acked: 0,
            acked_at: now,
            slow_since: None,
            is_lost: false,
        };
        self.followers.insert(number, follower);
        Entered { number, id: self.history.id.clone(), offset: position }
    }

    /// Cuts replicas off that are further behind than may be kept for them.
    pub(super) fn cut_slow(&mut self, limit: OutputLimit) {
        let end = self.ring.end();
        for follower in self.followers.values_mut().filter(|follower| !follower.is_lost) {
            let behind = end.saturating_sub(follower.position);
            let is_above = |bytes: u64| bytes > 0 && behind > bytes;
            if !is_above(limit.soft) {
                follower.slow_since = None;
            } else {
                follower.slow_since.get_or_insert_with(Instant::now);
            }
            let soft_time = Duration::from_secs(limit.soft_seconds.into());
            let is_late = follower.slow_since.is_some_and(|since| since.elapsed() > soft_time);
            if is_above(limit.hard) || is_late {
                let (host, port) = (&follower.who.host, follower.who.port);
                tracing::warn!(%host, port, behind, "a replica is cut off: it does not keep up (client-output-buffer-limit)");
                follower.is_lost = true;
                follower.who.client.kill();
            }
        }
    }

    /// From where on the stream is kept for those whose links have just ended.
    pub(super) fn needed_by_left(&mut self) -> Option<u64> {
        if self.left.is_empty() {
            return None;
        }
        let (now, end) = (Instant::now(), self.ring.end());
        self.left.retain(|left| now < left.until && end.saturating_sub(left.needs) <= LEFT_BYTES_MAX);
        self.left.iter().map(|left| left.needs).min()
    }

    /// A node that comes anew has given its earlier links up.
    fn drop_links_of(&mut self, who: &NewFollower) {
        let Some((id, _)) = who.node else { return };
        self.left.retain(|left| left.node != id);
        let is_same = |other: &&mut Follower| other.who.node.is_some_and(|(other, _)| other == id);
        for follower in self.followers.values_mut().filter(is_same) {
            follower.is_lost = true;
            follower.who.client.kill();
        }
    }

    /// Ends all replicas' connections: what they would be sent next is not theirs. They come back and ask.
    pub(super) fn drop_followers(&mut self) {
        self.left.clear();
        for follower in self.followers.values_mut() {
            follower.is_lost = true;
            follower.who.client.kill();
        }
    }
}

impl Replication {
    /// Lets a replica that has followed a history up to an offset go on from there, if that is possible.
    pub fn enter_partial(&self, who: NewFollower, id: &str, offset: u64) -> Option<Entered> {
        let mut state = self.state.lock();
        if !state.is_active || !state.history.includes(id, offset) || !state.ring.holds(offset) {
            if id != "?" {
                self.counts.partial_refused.fetch_add(1, Relaxed);
            }
            return None;
        }
        self.counts.partial.fetch_add(1, Relaxed);
        Some(state.enter(who, Phase::Online, offset))
    }

    /// The kin of the node's history, if that is `id`.
    pub fn kin(&self, id: &str) -> Kin {
        let history = &self.state.lock().history;
        if history.id == id { history.kin.clone() } else { Kin::default() }
    }

    /// Notes how far the node has come with a replica.
    pub fn set_phase(&self, number: u64, phase: Phase) {
        let mut state = self.state.lock();
        let Some(follower) = state.followers.get_mut(&number) else { return };
        follower.phase = phase;
        follower.acked_at = Instant::now();
        self.settle_acks(&mut state);
        let asks = !state.waiting.is_empty() && state.upstream.is_none();
        drop(state);
        if asks {
            // Those who came before it wait for it, too.
            self.ask_for_acks();
        }
    }

    /// A replica has thrown away what it held, and begins anew.
    pub fn set_memory(&self, number: u64, memory: u64) {
        if let Some(Follower { who: NewFollower { node: Some((_, known)), .. }, .. }) =
            self.state.lock().followers.get_mut(&number)
        {
            *known = memory;
        }
    }

    /// Takes the next bytes for a replica; `None` if it has been given all there are. If it `sleeps` then, those who wait
    /// are woken once there are more.
    ///
    /// # Errors
    ///
    /// [`Lost`]
    pub fn take_part(&self, number: u64, sleeps: bool) -> Result<Option<Part>, Lost> {
        let mut state = self.state.lock();
        let State { followers, ring, .. } = &mut *state;
        let follower = followers.get_mut(&number).filter(|follower| !follower.is_lost).ok_or(Lost)?;
        if !ring.holds(follower.position) {
            return Err(Lost);
        }
        let part = ring.read(follower.position);
        match &part {
            Some(part) => follower.position += part.bytes().len() as u64,
            None if sleeps => self.is_asleep.store(true, Relaxed),
            None => {}
        }
        Ok(part)
    }

    /// Whether there is something for a replica that it has not been given.
    pub fn has_more(&self, number: u64) -> bool {
        let state = self.state.lock();
        state.followers.get(&number).is_some_and(|follower| follower.is_lost || follower.position < state.ring.end())
    }

    /// Bytes that a replica has not been given yet.
    pub fn behind(&self, number: u64) -> u64 {
        let state = self.state.lock();
        state.followers.get(&number).map_or(0, |follower| state.ring.end().saturating_sub(follower.position))
    }

    /// Ends what `enter` began.
    pub fn leave(&self, number: u64) {
        let mut state = self.state.lock();
        let left = state.followers.remove(&number).filter(|left| left.phase == Phase::Online && !left.is_lost);
        if let Some(follower) = left
            && let Some((node, _)) = follower.who.node
        {
            let needs = follower.needs();
            state.left.push(Left { node, needs, until: Instant::now() + LEFT_FOR });
        }
        state.alone_since = state.followers.is_empty().then(Instant::now);
        state.trim();
        self.settle_acks(&mut state);
    }

    /// Replicas that have acknowledged something lately, within so long.
    pub fn good(&self, lag_max: Option<Duration>) -> usize {
        let state = self.state.lock();
        let is_good = |follower: &&Follower| {
            follower.phase == Phase::Online && !follower.is_lost && lag_max.is_none_or(|max| follower.lag() <= max)
        };
        state.followers.values().filter(is_good).count()
    }
}

impl Shared {
    /// Lets a replica follow from this moment on; a snapshot of this moment is what it begins with. The caller holds the
    /// barrier.
    pub fn enter_now(&self, who: NewFollower) -> Entered {
        self.begin_notes();
        let mut state = self.replication.state.lock();
        // The snapshot does not tell which database the stream has selected, so the stream says it again.
        if state.upstream.is_none() {
            state.selected = None;
        }
        let end = state.ring.end();
        if state.ring.start() > end {
            state.ring = Ring::at(end);
        }
        state.alone_since = None;
        state.enter(who, Phase::Sending, end)
    }
}
