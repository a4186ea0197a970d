//! Whom the node follows, how that stands, and what its stream brings.

use super::{QuorumOf, Replication, State};
use crate::command::clients::Unblocked;
use crate::command::fault::Fault;
use crate::command::row::Flags;
use crate::command::shared::{Shared, random_id};
use crate::config::Durability;
use crate::repl::history::{History, Kin};
use crate::repl::ring::Ring;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How the link to the primary stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// It is to be made.
    Connect,
    /// It is being made.
    Connecting,
    /// The data comes.
    Sync,
    /// The stream comes.
    Connected,
}

impl LinkState {
    /// As `ROLE` calls it.
    pub fn name(self) -> &'static str {
        match self {
            LinkState::Connect => "connect",
            LinkState::Connecting => "connecting",
            LinkState::Sync => "sync",
            LinkState::Connected => "connected",
        }
    }
}

/// Whom a node follows.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub host: String,
    pub port: u16,
    pub link: LinkState,
    /// When something last came.
    pub heard: Instant,
    /// Since when the link has been down.
    pub down_since: Instant,
    /// Bytes of the data that have come.
    pub sync_bytes: u64,
    /// Whether all that the node holds is of the stream of this one.
    pub is_shared: bool,
}

/// What a node is to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// Another number means another goal.
    pub generation: u64,
    /// Host and port, unless it leads.
    pub upstream: Option<(String, u16)>,
    /// The history it has seen and the offset up to which, if it has seen one.
    pub place: Option<(String, u64)>,
    /// The database that the stream has selected by then.
    pub db: usize,
    /// Whether the upstream, a replica so far, is asked to lead.
    pub asks_to_lead: bool,
}

/// What was begun for an upstream is late: the node follows another one by now, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

impl State {
    fn link(&mut self, generation: u64) -> Result<&mut Upstream, Refused> {
        let is_current = self.generation == generation;
        self.upstream.as_mut().filter(|_| is_current).ok_or(Refused)
    }
}

impl Replication {
    /// What the node is to follow now.
    pub fn goal(&self) -> Goal {
        let state = self.state.lock();
        Goal {
            generation: state.generation,
            upstream: state.upstream.as_ref().map(|upstream| (upstream.host.clone(), upstream.port)),
            place: state.is_active.then(|| (state.history.id.clone(), state.ring.end())),
            db: state.selected.unwrap_or(0),
            asks_to_lead: state.failover.as_ref().is_some_and(|failover| !failover.is_waiting()),
        }
    }

    /// Whom the node follows.
    pub fn upstream(&self) -> Option<Upstream> {
        self.state.lock().upstream.clone()
    }

    /// Notes how the link stands.
    ///
    /// # Errors
    ///
    /// [`Refused`]
    pub fn set_link(&self, generation: u64, link: LinkState) -> Result<(), Refused> {
        let mut state = self.state.lock();
        let upstream = state.link(generation)?;
        if upstream.link == LinkState::Connected && link != LinkState::Connected {
            upstream.down_since = Instant::now();
        }
        upstream.link = link;
        upstream.heard = Instant::now();
        self.review_bars(&state);
        Ok(())
    }

    /// Notes that bytes of the data have come.
    ///
    /// # Errors
    ///
    /// [`Refused`]
    pub fn note_synced(&self, generation: u64, bytes: usize) -> Result<(), Refused> {
        let mut state = self.state.lock();
        let upstream = state.link(generation)?;
        upstream.sync_bytes += bytes as u64;
        upstream.heard = Instant::now();
        Ok(())
    }

    /// Goes on in the stream of the primary, which may have given it another id.
    ///
    /// # Errors
    ///
    /// [`Refused`]
    pub fn go_on(&self, generation: u64, id: Option<String>, kin: Kin) -> Result<(), Refused> {
        let mut state = self.state.lock();
        state.link(generation)?.is_shared = true;
        let (end, id) = (state.ring.end(), id.unwrap_or_else(|| state.history.id.clone()));
        let is_news = id != state.history.id;
        state.history.follow(id, end, kin);
        if is_news {
            state.drop_followers();
        }
        Ok(())
    }

    /// Begins at a place in the stream of the primary, whose data the node holds now.
    ///
    /// # Errors
    ///
    /// [`Refused`]
    pub fn begin_at(&self, generation: u64, (id, offset, kin): (String, u64, Kin), db: usize) -> Result<(), Refused> {
        let mut state = self.state.lock();
        state.link(generation)?.is_shared = true;
        state.history = History { kin, ..History::new(id) };
        state.ring = Ring::at(offset);
        state.selected = Some(db);
        state.is_active = true;
        state.drop_followers();
        Ok(())
    }

    /// Forgets up to where the node has followed its primary: the data that went with that is thrown away.
    pub fn forget_place(&self) {
        let mut state = self.state.lock();
        state.history = History::new(random_id());
        state.ring = Ring::at(0);
        state.is_active = false;
        state.drop_followers();
    }

    /// Whether the node still follows what it did.
    pub fn is_current(&self, generation: u64) -> bool {
        self.state.lock().link(generation).is_ok()
    }

    /// Passes on bytes of the primary's stream, which have been run, to those who follow the node; `db` is the database
    /// that they have selected in the end. The caller holds a gate. Returns the offset behind them.
    ///
    /// # Errors
    ///
    /// [`Refused`]
    pub fn pass_on(&self, generation: u64, bytes: &[u8], db: usize) -> Result<u64, Refused> {
        let mut state = self.state.lock();
        state.link(generation)?.heard = Instant::now();
        state.selected = Some(db);
        if state.ring.push(bytes) {
            state.trim();
        }
        if self.is_asleep.load(Relaxed) {
            self.is_fresh.store(true, Relaxed);
        }
        Ok(state.ring.end())
    }
}

impl Shared {
    /// Makes the node follow another one, or none. Returns whether that is news. The caller holds the barrier.
    pub fn follow(&self, target: Option<(String, u16)>) -> bool {
        let mut state = self.replication.state.lock();
        let now = state.upstream.as_ref().map(|upstream| (upstream.host.clone(), upstream.port));
        if now == target {
            return false;
        }
        state.generation += 1;
        state.drop_followers();
        self.replication.generation.store(state.generation, Relaxed);
        self.replication.acked.iter().for_each(|acked| acked.store(0, Relaxed));
        state.forebear = None;
        if self.cluster.is_on() {
            // Nothing counts as held before the next look at the replicas, whatever was known in an earlier part.
            (state.quorum_of, state.heirs, state.synced) = (QuorumOf::Nobody, QuorumOf::Nobody, QuorumOf::Nobody);
            self.replication.is_quorum_alone.store(false, Relaxed);
            self.replication.has_no_heir.store(false, Relaxed);
            self.replication.has_none_synced.store(false, Relaxed);
        }
        // Replies that are held are late.
        state.waiting.drain(..).for_each(|waiting| waiting.client.wake());
        state.upstream = target.clone().map(|(host, port)| Upstream {
            host,
            port,
            link: LinkState::Connect,
            heard: Instant::now(),
            down_since: Instant::now(),
            sync_bytes: 0,
            is_shared: false,
        });
        // What it is in the midst of saying ends here.
        let clients = self.clients.all();
        clients.iter().filter(|client| client.is_primary.load(Relaxed)).for_each(|client| {
            client.kill();
        });
        self.live.note_primary(target.as_ref());
        let leads_again = target.is_none();
        if leads_again {
            // Its replicas have followed the history so far, and go on from there; so do those of its primary.
            let end = state.ring.end();
            state.history.fork(random_id(), end);
            state.selected = None;
        }
        // Who holds what the node has come to hold by now is known only once they say so.
        let floor = if leads_again { state.ring.end() } else { 0 };
        self.replication.floor.store(floor, Relaxed);
        self.store.forget_noted();
        state.is_active |= self.replication.wants_durability.load(Relaxed);
        let notes = leads_again && state.is_active;
        self.replication.notes.store(notes, Relaxed);
        drop(state);
        self.store.set_follows(target.is_some());
        self.store.heed_gone(notes);
        if !leads_again {
            // What they wait for may come from the primary alone now.
            clients.iter().for_each(|client| {
                client.unblock(Unblocked::Demoted);
            });
        }
        self.review_replication();
        self.replication.wake_follow();
        self.replication.wake_feed();
        true
    }

    /// Brings the settings to where they are looked at, and sees anew what may be refused.
    pub fn review_replication(&self) {
        let (config, replication) = (self.live.config(), &self.replication);
        replication.serves_stale.store(config.replica_serve_stale_data, Relaxed);
        replication.is_read_only.store(config.replica_read_only, Relaxed);
        let lag_max = config.min_replicas_max_lag;
        let needed = if lag_max.is_some() { config.min_replicas_to_write } else { 0 };
        replication.replicas_min.store(needed.into(), Relaxed);
        replication.lag_max_ms.store(lag_max.map_or(0, |lag| lag.as_millis() as u64), Relaxed);
        replication.durability.store(config.durability as u8, Relaxed);
        replication.durability_timeout_ms.store(config.durability_timeout.as_millis() as u64, Relaxed);
        if config.durability != Durability::Async {
            self.want_durability();
        }
        let mut state = replication.state.lock();
        state.backlog_bytes = config.repl_backlog_size.0;
        replication.review_bars(&state);
    }
}

/// Why commands may be refused, as bits.
const READ_ONLY: u8 = 1;
const DOWN: u8 = 2;
const ALONE: u8 = 4;

impl Replication {
    /// Sees anew whether some command may be refused because of replication.
    fn review_bars(&self, state: &State) {
        let mut bars = 0;
        match &state.upstream {
            Some(upstream) => {
                bars |= if self.is_read_only.load(Relaxed) { READ_ONLY } else { 0 };
                let is_down = upstream.link != LinkState::Connected && !self.serves_stale.load(Relaxed);
                bars |= if is_down { DOWN } else { 0 };
            }
            None => bars |= if self.replicas_min.load(Relaxed) > 0 { ALONE } else { 0 },
        }
        self.bars.store(bars, Relaxed);
    }

    /// Whether a command may run, as far as replication is concerned; the primary's own may.
    ///
    /// # Errors
    ///
    /// Redis's.
    #[inline]
    pub fn gate(&self, flags: Flags) -> Result<(), Fault> {
        match self.bars.load(Relaxed) {
            0 => Ok(()),
            bars => self.check(bars, flags),
        }
    }

    fn check(&self, bars: u8, flags: Flags) -> Result<(), Fault> {
        let is_write = flags.has(Flags::WRITE);
        if bars & READ_ONLY != 0 && is_write {
            return Err(Fault::text("READONLY You can't write against a read only replica."));
        }
        if bars & DOWN != 0 && !flags.has(Flags::STALE) {
            return Err(Fault::text(
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            ));
        }
        let lag_max = Duration::from_millis(self.lag_max_ms.load(Relaxed));
        if bars & ALONE != 0 && is_write && (self.good(Some(lag_max)) as u64) < self.replicas_min.load(Relaxed) {
            return Err(Fault::text("NOREPLICAS Not enough good replicas to write."));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::command::replication::Receiving;
    use crate::command::testing::Desk;
    use crate::repl::greeting::Snapshot;
    use crate::repl::history::Kin;

    fn demoted(desk: &Desk) {
        desk.node.barrier.alone(|| desk.node.follow(Some(("primary".to_owned(), 1))));
    }

    #[test]
    fn whose_data_is_thrown_away_does_not_go_on_where_it_was() {
        let desk = Desk::new();
        demoted(&desk);
        let replication = &desk.node.replication;
        let generation = replication.goal().generation;
        replication.begin_at(generation, ("a".repeat(40), 700, Kin::default()), 0).unwrap();
        assert_eq!(replication.goal().place, Some(("a".repeat(40), 700)));
        let begin = || {
            Receiving::begin(&desk.node, generation, ("b".repeat(40), 900, Kin::default()), Snapshot::Bytes(9)).unwrap()
        };
        assert_eq!(desk.node.held_offset(), Some(700));
        let receiving = begin();
        assert_eq!(desk.node.held_offset(), None, "it is loading");
        receiving.give_up(&desk.node);
        assert_eq!(replication.goal().place, None);
        assert_eq!(desk.node.held_offset(), Some(0));
    }

    #[test]
    fn who_was_promoted_tells_up_to_where_it_has_followed() {
        let desk = Desk::new();
        let (replication, followed) = (&desk.node.replication, "a".repeat(40));
        demoted(&desk);
        replication.begin_at(replication.goal().generation, (followed.clone(), 700, Kin::default()), 0).unwrap();
        let shared = |own: &str, asked: &str| replication.kin(own).shared_with(asked);
        assert_eq!(shared(&followed, &followed), None, "all of it is its own");
        desk.node.barrier.alone(|| desk.node.follow(None));
        let own = replication.id();
        assert_eq!(shared(&own, &followed), Some(700));
        assert_eq!(shared(&own, &"b".repeat(40)), None);
        assert_eq!(shared(&followed, &followed), None, "it has another history by now");
        demoted(&desk);
        let next = "c".repeat(40);
        let kin = Kin::of_word(&format!("{followed}:650,{own}:800"), 900).unwrap();
        replication.go_on(replication.goal().generation, Some(next.clone()), kin).unwrap();
        assert_eq!(shared(&next, &followed), Some(650), "its primary knows better");
        assert_eq!(shared(&next, &own), Some(800));
    }

    #[test]
    fn who_waits_at_a_node_that_follows_is_called_off() {
        let mut desk = Desk::new();
        let mut waiting = desk.again();
        waiting.check("BLPOP l 0", "");
        demoted(&desk);
        desk.session.is_primary = true;
        desk.check("RPUSH l 1", ":1");
        desk.check("LLEN l", ":1");
        waiting.check(
            "BLPOP l 0",
            "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
        );
        waiting.check("BLPOP l 0", "-READONLY You can't write against a read only replica.");
        waiting.check("WAIT 1 0", "-ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the default) writes to replicas are just local and are not propagated.");
    }

    #[test]
    fn a_replica_hides_what_has_expired_and_leaves_it_there() {
        let mut desk = Desk::new();
        desk.run("SET k v PX 1");
        demoted(&desk);
        let mut primary = desk.again();
        primary.session.is_primary = true;
        let gone = |reply: &String| reply == "$-1\r\n";
        assert!(std::iter::repeat_with(|| desk.run("GET k")).any(|reply| gone(&reply)));
        desk.check("DBSIZE", ":1");
        primary.check("GET k", "$1 v");
        primary.check("DEL k", ":1");
        desk.check("DBSIZE", ":0");
    }

    #[test]
    fn only_the_primary_of_a_node_hands_over_to_it() {
        let mut desk = Desk::new();
        desk.check("PSYNC id 1 FAILOVER", "-ERR PSYNC FAILOVER can't be sent to a master.");
        demoted(&desk);
        desk.check("PSYNC id 1 FAILOVER", "-ERR PSYNC FAILOVER replid must match my replid.");
        desk.check("PSYNC id 1", "-NOMASTERLINK Can't SYNC while not connected with my master");
    }

    #[test]
    fn what_a_primary_says_that_is_not_known_costs_no_transaction() {
        let mut desk = Desk::new();
        desk.session.is_primary = true;
        desk.check("MULTI", "+OK");
        desk.check("SET k v", "+QUEUED");
        desk.check("NOSUCH a", "-ERR unknown command 'NOSUCH', with args beginning with: 'a'");
        desk.check("EXEC", "*1 +OK");
        desk.check("GET k", "$1 v");
    }

    #[test]
    fn a_primary_ends_nothing_and_points_nowhere() {
        let mut desk = Desk::new();
        desk.session.is_primary = true;
        for line in ["SHUTDOWN NOSAVE", "REPLICAOF h 1", "CONFIG SET maxmemory 1", "CLIENT KILL ID 1", "DEBUG SLEEP 1"]
        {
            desk.check(line, "-ERR the stream of a primary has no such commands; this one is passed over");
        }
    }
}
