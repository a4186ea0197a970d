//! The path of a request: find the command, pass the gates, lock, run, reply.
//!
//! Requests come in batches. The keys of a batch are hashed first and what they lead to is prefetched, so that the
//! memory of one key is on its way while another is served (`ARCHITECTURE.md`, "A batch").

use super::cluster::{Seen, Slots, Stand};
use super::context::{Ctx, Done, Outcome, Wait};
use super::fault::Fault;
use super::forward::{self, Way};
use super::gate;
use super::replication::{Hold, Mark};
use super::reply::Reply;
use super::row::{Flags, Group, KeyRange, Scope};
use super::session::{Replies, Session};
use super::shared::{Pass, Shared, now_ms, steady_ms};
use super::table::Found;
use super::words::{Args, Placed, REPLIED, Span, Words};
use super::{audience, blocking, cache, replication, transaction};
use crate::base::ticks::Ticks;
use crate::config::Durability;
use crate::store::hash::Place;
use crate::store::{Keys, Moment, Numbers, Sight};
use larder_client::slot;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{SystemTime, UNIX_EPOCH};

/// Requests that are looked ahead at once. More would push the first records out of the cache again.
pub const BATCH_MAX: usize = 64;

/// Bytes of replies after which a batch is interrupted, so that they can be sent before more come.
pub const OUTPUT_PAUSE: usize = 256 * 1024;

/// Keys that are evicted ahead of one command while the node is over its limit. Fewer would leave a node of a few
/// megabytes over it for a while, as its memory comes free a segment at a time.
const EVICTIONS_MAX: usize = 1024;

/// How long a command waits before it looks again whether its slot, or the shard, has been handed over.
pub const HELD_MS: u64 = 1;

/// Blocks of a long string that are read for a snapshot at a time before its key changes: some hundred microseconds.
const AHEAD_BLOCKS: usize = 4;

/// Keys of a batch whose memory is asked for ahead.
const PREFETCH_MAX: usize = 1024;

/// Requests that were read together, and room for what is worked out about them. One per worker, used again and again.
#[derive(Default)]
pub struct Batch {
    spans: Vec<Span>,
    requests: Vec<Request>,
    places: Vec<Place>,
    /// Whether some of its commands are on collections.
    is_deep: bool,
    recent: Recent,
    seen: Seen,
}

/// The command that was asked for last: most pipelines repeat one.
#[derive(Default)]
struct Recent {
    name: [u8; RECENT_MAX],
    len: usize,
    found: Option<&'static Found>,
}

/// Names up to this long are remembered.
const RECENT_MAX: usize = 8;

struct Request {
    /// Its words in `spans`.
    words: (u32, u32),
    /// Its keys in `places`.
    places: (u32, u32),
    /// The command, if its name is known.
    found: Option<&'static Found>,
    /// Why it cannot be run, whatever the state of the node.
    fault: Option<Fault>,
    /// Bytes of the buffer up to its end.
    end: usize,
}

impl Request {
    /// Whether others may have run while it did, so that the topology may be another now.
    fn has_let_others_in(&self) -> bool {
        self.found.is_some_and(|found| matches!(found.row.scope, Scope::Everything | Scope::Transaction))
    }
}

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All requests were run.
    Done,
    /// The connection is to be closed once its output is sent.
    Close,
    /// The connection goes to those who send the stream to replicas.
    HandOver,
    /// The requests from this offset of the buffer on are to be run once the driver has tried to send.
    Paused { from: usize },
    /// The request at this offset of the buffer, and those behind it, wait.
    Wait { from: usize, wait: Wait },
}

impl Batch {
    pub fn clear(&mut self) {
        self.spans.clear();
        self.requests.clear();
        self.places.clear();
        self.is_deep = false;
    }

    pub fn len(&self) -> usize {
        self.requests.len()
    }

    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.requests.len() >= BATCH_MAX
    }

    /// Adds a request that begins at `start` of the buffer that [`Batch::run`] will be given, and ends at `end`.
    ///
    /// The places of its words are counted from its beginning.
    pub fn add(&mut self, spans: &[Span], start: usize, end: usize) {
        let from = self.spans.len() as u32;
        let start = start as u32;
        self.spans.extend(spans.iter().map(|span| Span { start: start + span.start, len: span.len }));
        let words = (from, self.spans.len() as u32);
        self.requests.push(Request { words, places: (0, 0), found: None, fault: None, end });
    }

    /// Runs the requests in order and writes their replies.
    pub fn run(
        &mut self,
        buffer: &[u8],
        node: &Shared,
        session: &mut Session,
        reply: &mut Reply,
        pass: &mut Pass<'_>,
    ) -> Ended {
        let mut moment = Moment { by: session.client.id, ..node.store.moment(now_ms()) };
        if session.is_primary {
            moment.sight = Sight::Primary;
        }
        self.place(buffer, node);
        self.prefetch(node, session);
        let mut last_end = 0;
        let output_max = reply.out.len() + OUTPUT_PAUSE;
        let mut timed = Timed::new();
        let mut stand = self.seen.look(&node.cluster);
        if let Some(stand) = stand {
            session.see_topology(stand.view, node);
        }
        for (index, request) in self.requests.iter().enumerate() {
            if reply.out.len() >= output_max {
                timed.account(node, session);
                return Ended::Paused { from: last_end };
            }
            timed.goes_on = request.end - last_end <= BRIEF_MAX
                && self.requests.get(index + 1).is_some_and(|next| is_same(request.found, next.found));
            let spans = &self.spans[request.words.0 as usize..request.words.1 as usize];
            let places = &self.places[request.places.0 as usize..request.places.1 as usize];
            let call = Call { node, words: Words { buffer, spans }, places, moment };
            let done = call.run(request, stand, session, reply, pass, &mut timed);
            if stand.is_some() && request.has_let_others_in() {
                stand = self.seen.look(&node.cluster);
                stand.iter().for_each(|stand| session.see_topology(stand.view, node));
            }
            if done != Done::Replied {
                timed.account(node, session);
            }
            match done {
                Done::Replied => {}
                Done::Close => return Ended::Close,
                Done::HandOver => return Ended::HandOver,
                Done::Wait(wait) => return Ended::Wait { from: last_end, wait },
            }
            last_end = request.end;
        }
        node.replication.nudge();
        Ended::Done
    }

    /// Finds the commands and the places of their keys.
    fn place(&mut self, buffer: &[u8], node: &Shared) {
        let Batch { spans, requests, places, is_deep, recent, .. } = self;
        for request in requests {
            let words = Words { buffer, spans: &spans[request.words.0 as usize..request.words.1 as usize] };
            match recent.find(words) {
                Ok(found) => {
                    request.found = Some(found);
                    *is_deep |= found.row.group.is_on_collections();
                    request.fault = gate::arity(found, words.len()).err();
                }
                Err(fault) => request.fault = Some(fault),
            }
            let from = places.len() as u32;
            if let (Some(found), None) = (request.found, &request.fault) {
                place(found, words, node, places);
            }
            request.places = (from, places.len() as u32);
        }
    }

    fn prefetch(&self, node: &Shared, session: &Session) {
        if self.places.len() > 1 {
            let places = &self.places[..self.places.len().min(PREFETCH_MAX)];
            match self.is_deep {
                true => node.store.prefetch_deep(session.db, places),
                false => node.store.prefetch(session.db, places),
            }
        }
    }
}

/// Adds the places of all keys that a command's words name.
#[inline]
fn place(found: &Found, words: Words<'_>, node: &Shared, places: &mut Vec<Place>) {
    if found.row.specs.is_empty() {
        places.extend(found.placed.positions(words.len()).map(|at| node.store.place(words.get(at))));
    } else {
        place_by_specs(found, words, node, places);
    }
}

/// Runs a part of a command; a panic is answered, and logged with the command's name.
pub fn guarded(name: &str, run: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        tracing::error!(command = name, "a handler panicked; please report this with the lines above");
        Err(Fault::Internal)
    })
}

/// The places of keys whose positions depend on other words.
#[cold]
fn place_by_specs(found: &Found, words: Words<'_>, node: &Shared, places: &mut Vec<Place>) {
    let words: Vec<&[u8]> = words.iter().collect();
    let positions = found.row.specs.iter().flat_map(|spec| spec.reach(&words));
    places.extend(positions.map(|at| node.store.place(words[at])));
}

impl Recent {
    /// As [`gate::find`].
    #[inline]
    fn find(&mut self, words: Words<'_>) -> Result<&'static Found, Fault> {
        let name = words.get(0);
        if let Some(found) = self.found
            && name == &self.name[..self.len]
        {
            return Ok(found);
        }
        let found = gate::find(words)?;
        if name.len() <= RECENT_MAX && found.subcommands.is_empty() && found.depth == 1 {
            self.name[..name.len()].copy_from_slice(name);
            *self = Recent { name: self.name, len: name.len(), found: Some(found) };
        }
        Ok(found)
    }
}

/// One request with all that surrounds it.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    pub node: &'a Shared,
    pub words: Words<'a>,
    pub places: &'a [Place],
    pub moment: Moment,
}

impl Call<'_> {
    fn run(
        &self,
        request: &Request,
        stand: Option<Stand<'_>>,
        session: &mut Session,
        reply: &mut Reply,
        pass: &mut Pass<'_>,
        timed: &mut Timed,
    ) -> Done {
        let start = reply.begin();
        if request.found.is_none() && gate::is_web(self.words) {
            let address = session.client.address;
            tracing::warn!(%address, "closed: a web browser's request, which may be an attack on a user of this machine");
            return Done::Close;
        }
        // As in Redis, a command that is refused counts as well.
        session.client.set_last(request.found);
        let passed = match (request.found, &request.fault) {
            (Some(found), None) => self.pass_gates(found, stand, session, reply, pass),
            (None, Some(_)) if session.is_primary && replication::heed(self.node, self.words) => Ok(REPLIED),
            (_, Some(fault)) => Err(fault.clone()),
            (None, None) => unreachable!("`Batch::place` finds the command or says why not"),
        }
        .map_err(|fault| transaction::refused(request.found, self.node, session, fault));
        if audience::is_ready() {
            blocking::serve_ready(self.node, session.worker, self.moment);
        }
        if let Ok(Ok(Done::Wait(wait))) = passed {
            reply.take_back();
            return Done::Wait(wait);
        }
        if let Ok(Err(fault)) | Err(fault) = &passed {
            if session.is_primary {
                let command = request.found.map_or("unknown", |found| &found.name);
                tracing::warn!(command, "a command of the primary was answered: {fault}");
            }
            reply.take_back();
            reply.error(fault);
            self.node.stats.error(fault.code());
        }
        if let Some(found) = request.found {
            match &passed {
                Ok(outcome) => timed.add(found, self.node, session, outcome.is_err()),
                Err(_) => self.node.stats.worker(session.worker).of(found.number).rejected.add(1),
            }
            if !timed.takes_another(found, self.node, reply.out.len() - start) {
                let nanos = timed.account(self.node, session);
                if nanos >= self.node.tuning.slow_nanos() {
                    self.note_slow(found, session, nanos);
                }
            }
        }
        hush(session, reply, request.found);
        let durability = session.durability(self.node);
        let is_everywhere = |found: &Found| self.node.cluster.is_on() && forward::is_everywhere(found);
        if durability != Durability::Async || passed.is_ok() && request.found.is_some_and(is_everywhere) {
            self.hold(request.found.filter(|_| passed.is_ok()), stand, durability, session, reply, start);
        }
        // What a command sends to its own connection stands behind its reply.
        if let Some(sent) = session.client.take_inbox() {
            reply.out.extend_from_slice(&sent);
        }
        passed.flatten().unwrap_or(Done::Replied)
    }

    /// Holds the reply that begins at `start` if the command has written something, until others hold that, too; and at `quorum`
    /// if it has `run` and may show what somebody has written.
    #[cold]
    fn hold(
        &self,
        run: Option<&'static Found>,
        stand: Option<Stand<'_>>,
        durability: Durability,
        session: &mut Session,
        reply: &Reply,
        start: usize,
    ) {
        let replication = &self.node.replication;
        let written = session.client.written.load(Relaxed);
        let is_read = written == std::mem::replace(&mut session.seen_written, written);
        let read = session.read.take().filter(|_| durability == Durability::Quorum);
        let to = reply.out.len();
        if to == start || session.is_primary {
            return;
        }
        let is_everywhere = run.is_some_and(forward::is_everywhere);
        let mark = match run {
            // All that it can have seen stands before it in the stream.
            _ if is_everywhere => replication.mark_of_all(),
            _ if !is_read => Some(replication.mark(written)),
            Some(found) if durability == Durability::Quorum && session.queue.is_none() => self.mark(found),
            _ => None,
        };
        let Some(mark) = read.map(|read| read.or_later(mark)).or(mark) else { return };
        // Whoever stood still before it read may have a successor by then: the lease has to have lasted.
        let reads_anywhere = || session.client.reads_replica.load(Relaxed);
        let has_led = |stand: Stand<'_>| self.node.cluster.holds_lease(stand.view) || reads_anywhere();
        let mark = if is_read && !stand.is_none_or(has_led) { mark.over() } else { mark };
        let mut hold = Hold { from: start, to, mark, durability, is_read, is_everywhere, until_ms: 0 };
        if !replication.is_due(&hold) {
            hold.until_ms = steady_ms() + replication.durability_timeout_ms();
            session.holds.push_back(hold);
        }
    }

    /// What the reply of a command that was run just now may show of the stream; `None` if nothing. The stripes it has locked are
    /// looked at again, without their locks: what they have noted since only makes the reply come later.
    pub fn mark(&self, found: &Found) -> Option<Mark> {
        let Found { row, keys, .. } = found;
        let replication = &self.node.replication;
        let is_keyless = keys.first == 0 && row.specs.is_empty();
        if row.scope.is_all(self.words) || is_keyless && row.shows_keys() {
            return replication.mark_of_all();
        }
        // What is watched is told by EXEC.
        let shows_some = !self.places.is_empty() && row.group != Group::Transactions;
        let stripes = self.places.iter().map(|place| place.stripe());
        if shows_some { replication.mark_of(&self.node.store, stripes) } else { None }
    }

    /// All decisions of the path. The outer error is a gate's refusal, the inner one the handler's.
    fn pass_gates(
        &self,
        found: &'static Found,
        stand: Option<Stand<'_>>,
        session: &mut Session,
        reply: &mut Reply,
        pass: &mut Pass<'_>,
    ) -> Result<Outcome, Fault> {
        if let Some(outcome) = blocking::resume(self.node, session, reply) {
            return Ok(outcome);
        }
        if session.is_primary {
            // What the primary has run is run, whatever the state of the node.
            gate::stream(found)?;
        } else {
            match self.pass_clients_gates(found, stand, session, reply)? {
                Way::Here | Way::Queued => {}
                Way::Wait(wait) => return Ok(Ok(Done::Wait(wait))),
                Way::Away(journey) => {
                    if !found.row.flags.has(Flags::SKIP_MONITOR) {
                        self.show_to_monitors(found, session);
                    }
                    let stand = stand.ok_or(Fault::ClusterDown)?;
                    return self.depart(found, journey, stand, session, reply).map(|()| REPLIED);
                }
            }
        }
        if transaction::enqueue(found, self, session, reply)? {
            return Ok(REPLIED);
        }
        if self.node.store.has_snapshot() {
            // What a primary has run is run at once.
            let blocks = if session.is_primary { usize::MAX } else { AHEAD_BLOCKS };
            if self.capture_ahead(found, session, blocks) {
                return Ok(Ok(Done::Wait(Wait::Again(steady_ms() + HELD_MS))));
            }
        }
        if !found.row.flags.has(Flags::SKIP_MONITOR) {
            self.show_to_monitors(found, session);
        }
        Ok(match found.row.scope {
            Scope::Keys | Scope::AllKeys | Scope::AllKeysBeyond(_) => self.act(found, session, reply),
            Scope::Transaction => transaction::exec(found, self, session, reply, pass),
            Scope::Everything => pass.alone(|| match session.is_late() {
                true => Ok(Done::Close),
                false => self.act(found, session, reply),
            }),
        })
    }

    /// Whether a client's command may run, and where; if it is held back, until when.
    #[inline]
    fn pass_clients_gates(
        &self,
        found: &'static Found,
        stand: Option<Stand<'_>>,
        session: &mut Session,
        reply: &Reply,
    ) -> Result<Way, Fault> {
        let flags = found.row.flags;
        let store = &self.node.store;
        gate::login(session.authenticated || self.node.password().is_none(), flags)?;
        let queue = session.queue.as_ref().filter(|_| found.row.scope == Scope::Transaction);
        let all_flags = queue.map_or(flags, |queue| flags.and(queue.flags()));
        if let Some(stand) = stand {
            let slots = queue.map_or_else(|| self.slots(found), |queue| queue.slots());
            if !stand.leads && slots.is_some() && self.node.cluster.is_between_leases() {
                return Ok(Way::Wait(Wait::Again(steady_ms() + HELD_MS)));
            }
            if session.imports {
                stand.admit_import(slots)?;
            } else {
                let way = self.find_way(found, stand, session)?;
                if !matches!(way, Way::Here) {
                    return self.pass_others_gates(found, all_flags, way, session, reply);
                }
            }
            if self.node.cluster.holds_some_back() && !session.imports && self.is_held_back(found, all_flags, session) {
                return Ok(Way::Wait(Wait::Again(steady_ms() + HELD_MS)));
            }
        }
        gate::memory(store.is_over(), all_flags, || {
            store.make_some_room(self.moment, EVICTIONS_MAX) || self.has_holes()
        })?;
        gate::disk(self.node.bars_writes(), &found.name, all_flags)?;
        self.node.replication.gate(all_flags)?;
        gate::subscriber(session.is_subscriber() && reply.protocol() == 2, found)?;
        gate::loading(self.node.loading.is_on(), flags)?;
        let pause = gate::pause(self.node.clients.paused(), found, all_flags);
        Ok(pause.map_or(Way::Here, |until_ms| Way::Wait(Wait::Until(until_ms))))
    }

    /// Whether a command waits until slots have been handed over.
    #[cold]
    fn is_held_back(&self, found: &Found, flags: Flags, session: &Session) -> bool {
        let (cluster, is_write) = (&self.node.cluster, flags.has(Flags::WRITE));
        let each = self.each_slot(found, session);
        match each.is_empty() {
            true => is_write,
            false => (is_write || cluster.holds_reads_back()) && each.into_iter().any(|slot| cluster.is_frozen(slot)),
        }
    }

    /// The gates of a command that is not run here, or not yet: the others are those of the node that runs it.
    #[cold]
    fn pass_others_gates(
        &self,
        found: &'static Found,
        all_flags: Flags,
        way: Way,
        session: &Session,
        reply: &Reply,
    ) -> Result<Way, Fault> {
        gate::subscriber(session.is_subscriber() && reply.protocol() == 2, found)?;
        let pause = gate::pause(self.node.clients.paused(), found, all_flags);
        Ok(pause.map_or(way, |until_ms| Way::Wait(Wait::Until(until_ms))))
    }

    /// The slots of the keys, or of the shard channels, that a command's words name.
    #[inline]
    pub fn slots(&self, found: &Found) -> Option<Slots> {
        if found.is_of_channels {
            let channels = found.keys.positions(self.words.len());
            return Slots::of(channels.map(|at| slot::of(self.words.get(at)).number()));
        }
        Slots::of(self.places.iter().map(|place| place.slot))
    }

    /// Locks what a command needs and runs it. One about everything is called while no other worker runs any.
    pub fn act(&self, found: &'static Found, session: &mut Session, reply: &mut Reply) -> Outcome {
        guarded(&found.name, || {
            let keys = self.lock(found.row.scope, session.db, self.moment_of(found, session));
            self.run_with(found, keys, session, reply)
        })
    }

    /// Has a snapshot take a long string before its key changes: it would be copied under the lock then. Returns whether there is more
    /// to take, for which others are let have their turn first. The caller holds no stripe.
    #[cold]
    pub fn capture_ahead(&self, found: &Found, session: &mut Session, blocks: usize) -> bool {
        let store = &self.node.store;
        let changes_key = matches!(found.row.name, "RENAME" | "RENAMENX" | "MOVE");
        changes_key && store.capture_ahead(&mut session.ahead, session.db, store.key(self.words.get(1)), blocks)
    }

    /// As [`Call::act`], if `has_chance` says so of the keys that are locked; else the command goes on waiting.
    pub fn act_if(
        &self,
        found: &'static Found,
        session: &mut Session,
        reply: &mut Reply,
        has_chance: impl FnOnce(&Keys<'_>) -> bool,
    ) -> Outcome {
        guarded(&found.name, || {
            let keys = self.lock(found.row.scope, session.db, self.moment_of(found, session));
            if !has_chance(&keys) {
                return Ok(Done::Wait(Wait::Until(u64::MAX)));
            }
            self.run_with(found, keys, session, reply)
        })
    }

    /// Runs a command on keys that are locked.
    #[inline]
    pub fn run_with(
        &self,
        found: &'static Found,
        mut keys: Keys<'_>,
        session: &mut Session,
        reply: &mut Reply,
    ) -> Outcome {
        if session.tracking.is_some() {
            self.remember_read(found, &mut keys, session);
        }
        // Where words decide where keys stand, only the command itself can tell which place is whose.
        let range = if found.row.specs.is_empty() { found.placed } else { KeyRange::default() };
        let placed = Placed { range, places: self.places };
        let mut args = Args::new(self.words, found.depth, placed, &self.node.store);
        let (words, node) = (self.words, self.node);
        let is_noted = node.replication.notes()
            && found.row.flags.has(Flags::WRITE.and(Flags::MAY_REPLICATE))
            && !session.is_primary;
        let is_guarded = found.is_write() && node.rules.are_guards() && !session.is_primary;
        let changes = if is_noted || is_guarded { keys.changes() } else { 0 };
        let mut cx = Ctx { command: found.row, found, words, store: keys, reply, session, node };
        if is_noted {
            replication::begin_command();
        }
        let outcome = (found.row.run)(&mut cx, &mut args);
        if is_guarded && cx.store.changes() != changes {
            cache::admit(&mut cx, found, self.places);
        }
        if is_noted {
            replication::end_command(&mut cx, changes, outcome.is_ok());
        }
        // What CLIENT CACHING said is about one command, or one transaction.
        let Session { tracking, queue, in_transaction, .. } = &mut *cx.session;
        if let Some(tracking) = tracking
            && queue.is_none()
            && !*in_transaction
            && found.row.name != "CACHING"
        {
            tracking.caching = None;
        }
        outcome
    }

    /// Remembers the keys of a command that reads, for a connection that keeps copies. That is done before they are read, and
    /// under the same lock, so that no change is missed.
    #[cold]
    fn remember_read(&self, found: &'static Found, keys: &mut Keys<'_>, session: &mut Session) {
        let Some(tracking) = &mut session.tracking else { return };
        let client = &session.client;
        if !client.tracked.is_broadcast() && found.row.flags.has(Flags::READONLY) && tracking.remembers() {
            let keys_max = self.node.limits.tracked_keys_max();
            for at in found.key_positions(self.words) {
                let key = self.node.store.key(self.words.get(at));
                keys.heed(key);
                let stripe = key.place.stripe();
                let is_there = |id| self.node.clients.get(id).is_some_and(|client| client.tracked.is_on());
                let forgotten = self.node.audience.remember(stripe, key.bytes, client.id, keys_max, is_there);
                forgotten.iter().for_each(|forgotten| self.node.tell_forgotten(forgotten));
            }
        }
    }

    /// The places of all keys that a command's words name.
    pub fn places(found: &Found, words: Words<'_>, node: &Shared) -> Vec<Place> {
        let mut places = Vec::new();
        place(found, words, node, &mut places);
        places
    }

    /// Shows a command to who watches all commands, if anybody does.
    pub fn show_to_monitors(&self, found: &Found, session: &Session) {
        if self.node.monitors.load(Relaxed) > 0 {
            self.show_monitors(found, session);
        }
    }

    /// Whether what the request brings fits into holes, at the most as one value for each key.
    #[cold]
    fn has_holes(&self) -> bool {
        let longest = self.words.iter().map(<[u8]>::len).max().unwrap_or(0);
        self.node.store.has_holes(self.places, 0, 2 * longest)
    }

    #[inline]
    pub fn moment_of(&self, found: &Found, session: &Session) -> Moment {
        // TOUCH is there to touch, whatever its client said.
        let quiet = session.client.no_touch.load(Relaxed) && found.row.name != "TOUCH";
        Moment { quiet, ..self.moment }
    }

    #[inline]
    fn lock(&self, scope: Scope, db: usize, moment: Moment) -> Keys<'_> {
        let store = &self.node.store;
        match self.places {
            _ if scope.is_all(self.words) => store.lock(Numbers::all(), db, moment),
            [place] => store.lock_one(place.stripe(), db, moment),
            [] => store.lock_none(db, moment),
            several => {
                let mut stripes = Numbers::default();
                several.iter().for_each(|place| stripes.add(place.stripe()));
                store.lock(stripes, db, moment)
            }
        }
    }

    #[cold]
    pub fn note_slow(&self, found: &Found, session: &Session, nanos: u64) {
        let tuning = &self.node.tuning;
        let micros = nanos / 1000;
        let time_s = self.moment.ms / 1000;
        if tuning.is_slow(micros) && !found.row.flags.has(Flags::SKIP_SLOWLOG) {
            let address = session.client.address.to_string();
            let name = session.client.names().name;
            self.node.slowlog.add(
                tuning.slowlog_len_max(),
                time_s,
                micros,
                gate::shown(found, self.words),
                address,
                name,
            );
        }
        let threshold = tuning.latency_threshold_ms();
        if threshold > 0 && micros / 1000 >= threshold {
            let event = if found.row.flags.has(Flags::FAST) { "fast-command" } else { "command" };
            self.node.latency.add(event, time_s, micros / 1000);
        }
    }

    #[cold]
    fn show_monitors(&self, found: &Found, session: &Session) {
        if found.row.flags.has(Flags::ADMIN) {
            return;
        }
        let now_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let line =
            gate::monitor_line(now_us, session.db, &session.client.address.to_string(), gate::shown(found, self.words));
        let output_max = self.node.tuning.pubsub_output().hard;
        for client in self.node.clients.all() {
            let is_watching = client.monitor.load(Relaxed) && !client.is_killed();
            if is_watching {
                self.node.cut_above(output_max, &client, client.send(&line));
            }
        }
    }
}

/// Takes back a reply that the connection does not want. Messages come all the same.
fn hush(session: &mut Session, reply: &mut Reply, found: Option<&'static Found>) {
    if session.replies == Replies::On {
        return;
    }
    if !found.is_some_and(|found| found.row.flags.has(Flags::ANSWERS_BY_MESSAGES)) {
        reply.take_back();
    }
    session.replies = match session.replies {
        Replies::SkipNext => Replies::Skip,
        Replies::Skip => Replies::On,
        unchanged => unchanged,
    };
}

fn is_same(one: Option<&'static Found>, other: Option<&'static Found>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if std::ptr::eq(one, other))
}

/// Calls of one command that are timed together: reading the clock takes a twentieth of what a brief one takes.
///
/// Their time is shared out evenly. Only commands that are fast by their row, asked briefly and answered briefly are timed
/// so, and only while nobody wants to know of times that short.
struct Timed {
    since: Ticks,
    found: Option<&'static Found>,
    calls: u64,
    /// Whether the request is brief and the next is for the same command.
    goes_on: bool,
}

/// Calls that are timed together at the most.
const TOGETHER_MAX: u64 = 16;

/// Bytes of a request, and of a reply, that are brief.
const BRIEF_MAX: usize = 1024;

/// Where times below this one are to be noted, each call is timed alone.
const ALONE_BELOW_NANOS: u64 = 1_000_000;

impl Timed {
    fn new() -> Timed {
        Timed { since: Ticks::now(), found: None, calls: 0, goes_on: false }
    }

    /// Counts a call whose time is still to be told.
    #[inline]
    fn add(&mut self, found: &'static Found, node: &Shared, session: &Session, failed: bool) {
        self.found = Some(found);
        self.calls += 1;
        node.stats.worker(session.worker).of(found.number).failed.add(u64::from(failed));
    }

    /// Whether the next call may be timed together with those so far.
    #[inline]
    fn takes_another(&self, found: &'static Found, node: &Shared, reply_len: usize) -> bool {
        self.goes_on
            && self.calls < TOGETHER_MAX
            && reply_len <= BRIEF_MAX
            && found.is_brief
            && node.tuning.slow_nanos() >= ALONE_BELOW_NANOS
    }

    /// Reads the clock and shares the time out. Returns how much it was in all.
    #[inline]
    fn account(&mut self, node: &Shared, session: &Session) -> u64 {
        let now = Ticks::now();
        let nanos = now.nanos_since(self.since);
        self.since = now;
        let calls = std::mem::take(&mut self.calls);
        let Some(found) = self.found.take().filter(|_| calls > 0) else {
            return 0;
        };
        let stats = node.stats.worker(session.worker);
        stats.commands.add(calls);
        let counters = stats.of(found.number);
        counters.calls.add(calls);
        counters.nanos.add(nanos);
        if node.tuning.tracks_latency() {
            counters.took(nanos / calls, calls);
        }
        nanos
    }
}
