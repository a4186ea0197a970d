//! The path of a request: find the command, pass the gates, lock, run, reply.
//!
//! Requests come in batches. The keys of a batch are hashed first and what they lead to is prefetched, so that the
//! memory of one key is on its way while another is served (`ARCHITECTURE.md`, "A batch").

use super::context::{Ctx, Done, Outcome, Wait};
use super::fault::Fault;
use super::gate;
use super::reply::Reply;
use super::row::{Flags, KeyRange, Scope};
use super::session::{Replies, Session};
use super::shared::{Pass, Shared, now_ms};
use super::table::Found;
use super::words::{Args, Placed, Span, Words};
use crate::base::ticks::Ticks;
use crate::store::hash::Place;
use crate::store::{Keys, Moment, Numbers};
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

/// Keys of a batch whose memory is asked for ahead.
const PREFETCH_MAX: usize = 1024;

/// Requests that were read together, and room for what is worked out about them. One per worker, used again and again.
#[derive(Default)]
pub struct Batch {
    spans: Vec<Span>,
    requests: Vec<Request>,
    places: Vec<Place>,
    recent: Recent,
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

/// How a batch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All requests were run.
    Done,
    /// The connection is to be closed once its output is sent.
    Close,
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
        let moment = Moment { by: session.client.id, ..node.store.moment(now_ms()) };
        self.place(buffer, node);
        self.prefetch(node, session);
        let mut last_end = 0;
        let output_max = reply.out.len() + OUTPUT_PAUSE;
        let mut timed = Timed::new();
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
            let done = call.run(request, session, reply, pass, &mut timed);
            if done != Done::Replied {
                timed.account(node, session);
            }
            match done {
                Done::Replied => {}
                Done::Close => return Ended::Close,
                Done::Wait(wait) => return Ended::Wait { from: last_end, wait },
            }
            last_end = request.end;
        }
        Ended::Done
    }

    /// Finds the commands and the places of their keys.
    fn place(&mut self, buffer: &[u8], node: &Shared) {
        let Batch { spans, requests, places, recent } = self;
        for request in requests {
            let words = Words { buffer, spans: &spans[request.words.0 as usize..request.words.1 as usize] };
            match recent.find(words) {
                Ok(found) => {
                    request.found = Some(found);
                    request.fault = gate::arity(found, words.len()).err();
                }
                Err(fault) => request.fault = Some(fault),
            }
            let from = places.len() as u32;
            if let (Some(found), None) = (request.found, &request.fault) {
                if found.row.specs.is_empty() {
                    places.extend(found.keys.positions(words.len()).map(|at| node.store.place(words.get(at))));
                } else {
                    place_by_specs(found, words, node, places);
                }
            }
            request.places = (from, places.len() as u32);
        }
    }

    fn prefetch(&self, node: &Shared, session: &Session) {
        if self.places.len() > 1 {
            node.store.prefetch(session.db, &self.places[..self.places.len().min(PREFETCH_MAX)]);
        }
    }
}

/// The places of keys whose positions depend on other words.
#[cold]
fn place_by_specs(found: &Found, words: Words<'_>, node: &Shared, places: &mut Vec<Place>) {
    let words: Vec<&[u8]> = words.iter().collect();
    let positions = found.row.specs.iter().flat_map(|spec| spec.positions(&words));
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
struct Call<'a> {
    node: &'a Shared,
    words: Words<'a>,
    places: &'a [Place],
    moment: Moment,
}

impl Call<'_> {
    fn run(
        &self,
        request: &Request,
        session: &mut Session,
        reply: &mut Reply,
        pass: &mut Pass<'_>,
        timed: &mut Timed,
    ) -> Done {
        let start = reply.out.len();
        if request.found.is_none() && gate::is_web(self.words) {
            let address = session.client.address;
            tracing::warn!(%address, "closed: a web browser's request, which may be an attack on a user of this machine");
            return Done::Close;
        }
        let passed = match (request.found, &request.fault) {
            (Some(found), None) => self.pass_gates(found, session, reply, pass),
            (_, Some(fault)) => Err(fault.clone()),
            (None, None) => unreachable!("`Batch::place` finds the command or says why not"),
        };
        if let Ok(Ok(Done::Wait(wait))) = passed {
            reply.out.truncate(start);
            if session.wait_until_ms.is_some()
                && request.found.is_some_and(|found| found.row.flags.has(Flags::BLOCKING))
            {
                session.client.block();
            }
            return Done::Wait(wait);
        }
        if let Ok(Err(fault)) | Err(fault) = &passed {
            reply.out.truncate(start);
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
        hush(session, reply, start);
        passed.flatten().unwrap_or(Done::Replied)
    }

    /// All decisions of the path. The outer error is a gate's refusal, the inner one the handler's.
    fn pass_gates(
        &self,
        found: &'static Found,
        session: &mut Session,
        reply: &mut Reply,
        pass: &mut Pass<'_>,
    ) -> Result<Outcome, Fault> {
        let flags = found.row.flags;
        let store = &self.node.store;
        gate::login(session.authenticated || self.node.password().is_none(), flags)?;
        gate::memory(store.is_over(), flags, || store.make_some_room(self.moment, EVICTIONS_MAX) || self.has_holes())?;
        if let Some(until) = gate::pause(self.node.clients.paused(self.moment.ms), found) {
            return Ok(Ok(Done::Wait(Wait::Until(until))));
        }
        if session.wait_until_ms.is_some()
            && let Err(fault) = session.take_unblocked()
        {
            return Ok(Err(fault));
        }
        session.client.set_last(found);
        if self.node.monitors.load(Relaxed) > 0 {
            self.show_monitors(found, session);
        }
        let run = |session: &mut Session, reply: &mut Reply| {
            let keys = self.lock(found.row.scope, session.db, self.moment_of(found, session));
            // Where words decide where keys stand, only the command itself can tell which place is whose.
            let range = if found.row.specs.is_empty() { found.keys } else { KeyRange::default() };
            let placed = Placed { range, places: self.places };
            let mut args = Args::new(self.words, found.depth, placed, store);
            let mut cx = Ctx { command: found.row, store: keys, reply, session, node: self.node };
            (found.row.run)(&mut cx, &mut args)
        };
        let guarded = AssertUnwindSafe(|| match found.row.scope {
            Scope::Keys | Scope::AllKeys | Scope::AllKeysBeyond(_) => run(session, reply),
            Scope::Everything => pass.alone(|| run(session, reply)),
        });
        Ok(catch_unwind(guarded).unwrap_or_else(|_| {
            tracing::error!(command = found.name, "a handler panicked; please report this with the lines above");
            Err(Fault::Internal)
        }))
    }

    /// Whether what the request brings fits into holes, at the most as one value for each key.
    #[cold]
    fn has_holes(&self) -> bool {
        let longest = self.words.iter().map(<[u8]>::len).max().unwrap_or(0);
        self.node.store.has_holes(self.places, 0, 2 * longest)
    }

    #[inline]
    fn moment_of(&self, found: &Found, session: &Session) -> Moment {
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
    fn note_slow(&self, found: &Found, session: &Session, nanos: u64) {
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
        if found.row.flags.has(Flags::SKIP_MONITOR.and(Flags::ADMIN)) {
            return;
        }
        let now_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        let line =
            gate::monitor_line(now_us, session.db, &session.client.address.to_string(), gate::shown(found, self.words));
        let output_max = self.node.tuning.pubsub_output().hard;
        for client in self.node.clients.all() {
            let is_watching = client.monitor.load(Relaxed) && !client.is_killed();
            if is_watching && client.send(&line) as u64 > output_max {
                self.node.stats.killed_for_output.fetch_add(1, Relaxed);
                client.kill();
            }
        }
    }
}

/// Takes back a reply that the connection does not want.
fn hush(session: &mut Session, reply: &mut Reply, start: usize) {
    match session.replies {
        Replies::On => {}
        Replies::Off => reply.out.truncate(start),
        Replies::SkipNext => {
            reply.out.truncate(start);
            session.replies = Replies::Skip;
        }
        Replies::Skip => {
            reply.out.truncate(start);
            session.replies = Replies::On;
        }
    }
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
