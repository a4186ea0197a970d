//! Transactions: commands that are queued, and run as one if no watched key has changed.
//!
//! `EXEC` locks the stripes of all keys of its commands, and of all that are watched, in ascending order, and runs the
//! commands under these locks: so no other client on any worker sees a part of it. A transaction with a command whose keys
//! cannot be told beforehand, or that is about the whole keyspace, takes the barrier instead.

use super::cluster::{Seen, Slots};
use super::context::{Ctx, Done, Outcome};
use super::dispatch::{Call, guarded};
use super::fault::Fault;
use super::replication::Transaction;
use super::reply::Reply;
use super::row::{COMMAND, Command, Flags, Group, KeyUse, Scope, Usage, key};
use super::session::Session;
use super::shared::{Pass, Shared};
use super::table::Found;
use super::words::{Args, REPLIED, Span, Words};
use crate::base::ticks::Ticks;
use crate::config::Durability;
use crate::repl::spell::push_command;
use crate::store::hash::Place;
use crate::store::{Key, Numbers};
use std::sync::atomic::Ordering::Relaxed;

pub const COMMANDS: &[Command] = &[DISCARD, EXEC, MULTI, UNWATCH, WATCH];

const TRANSACTION: Command = Command { group: Group::Transactions, since: "1.2.0", ..COMMAND };

/// What may be said while the node loads, or cannot reach its primary.
const CONTROL: Flags = Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE);

/// Commands that wait for `EXEC`.
#[derive(Default)]
pub struct Queue {
    buffer: Vec<u8>,
    spans: Vec<Span>,
    requests: Vec<Queued>,
    /// Whether one was refused, so that nothing may be run.
    is_spoilt: bool,
    /// Flags of any of its commands.
    flags: u32,
    /// Where the keys of its commands are.
    slots: Option<Slots>,
}

struct Queued {
    found: &'static Found,
    /// Its words in `spans`.
    words: (usize, usize),
}

/// A key that is watched.
pub struct Watched {
    /// The number of its database, as the client knows it.
    db: usize,
    stripe: usize,
    key: Box<[u8]>,
    /// Whether it was there: if it is not any more, its time has come since.
    existed: bool,
}

impl Queue {
    /// Adds a command that may be run.
    fn add(&mut self, found: &'static Found, words: Words<'_>, slots: Option<Slots>) {
        let from = self.spans.len();
        for word in words.iter() {
            self.spans.push(Span { start: self.buffer.len() as u32, len: word.len() as u32 });
            self.buffer.extend_from_slice(word);
        }
        self.flags |= found.row.flags.0;
        self.slots = Slots::merged(self.slots, slots);
        self.requests.push(Queued { found, words: (from, self.spans.len()) });
    }

    /// Flags that any of its commands has.
    pub fn flags(&self) -> Flags {
        Flags(self.flags)
    }

    /// Where the keys of its commands are.
    pub fn slots(&self) -> Option<Slots> {
        self.slots
    }

    /// The slots of all keys of its commands.
    pub fn each_slot(&self, node: &Shared) -> Vec<u16> {
        let each = self.requests.iter().flat_map(|request| Call::places(request.found, self.words(request), node));
        each.map(|place| place.slot).collect()
    }

    /// All of it as it is said, and how many commands that are.
    pub fn spelled(&self) -> (Vec<u8>, usize) {
        let mut spelled = Vec::with_capacity(self.buffer.len() + 32 * self.requests.len());
        push_command(&mut spelled, [&b"MULTI"[..]].into_iter());
        self.requests.iter().for_each(|request| push_command(&mut spelled, self.words(request).iter()));
        push_command(&mut spelled, [&b"EXEC"[..]].into_iter());
        (spelled, self.requests.len() + 2)
    }

    /// Whether a command was refused.
    pub fn is_spoilt(&self) -> bool {
        self.is_spoilt
    }

    /// Says that a command was refused.
    pub fn spoil(&mut self) {
        self.is_spoilt = true;
    }

    /// Bytes of its words.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    fn words<'a>(&'a self, request: &Queued) -> Words<'a> {
        Words { buffer: &self.buffer, spans: &self.spans[request.words.0..request.words.1] }
    }
}

/// Puts a command into the queue if its connection has said `MULTI`, unless it is one of those that end or steer that.
///
/// # Errors
///
/// If it may not stand in a transaction.
pub fn enqueue(
    found: &'static Found,
    call: &Call<'_>,
    session: &mut Session,
    reply: &mut Reply,
) -> Result<bool, Fault> {
    let Some(queue) = &mut session.queue else { return Ok(false) };
    if ["exec", "discard", "multi", "watch", "quit", "reset"].contains(&&*found.name) {
        return Ok(false);
    }
    if found.row.flags.has(Flags::NO_MULTI) {
        return Err(Fault::text("ERR Command not allowed inside a transaction"));
    }
    queue.add(found, call.words, call.slots(found));
    session.client.queued.store(queue.requests.len() as i64, Relaxed);
    reply.simple("QUEUED");
    Ok(true)
}

const MULTI: Command = Command {
    name: "MULTI",
    run: multi,
    summary: "Queues the commands that follow until EXEC runs them as one.",
    flags: CONTROL.and(Flags::FAST).and(Flags::ALLOW_BUSY),
    ..TRANSACTION
};

fn multi(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    if cx.session.queue.is_some() {
        return Err(Fault::text("ERR MULTI calls can not be nested"));
    }
    cx.session.queue = Some(Box::default());
    cx.session.client.queued.store(0, Relaxed);
    cx.reply.ok();
    REPLIED
}

const DISCARD: Command = Command {
    name: "DISCARD",
    run: discard,
    summary: "Forgets the commands that were queued.",
    complexity: "O(N) for N queued commands",
    since: "2.0.0",
    flags: CONTROL.and(Flags::FAST).and(Flags::ALLOW_BUSY),
    ..TRANSACTION
};

fn discard(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    if cx.session.queue.is_none() {
        return Err(Fault::text("ERR DISCARD without MULTI"));
    }
    end(cx.node, cx.session);
    cx.reply.ok();
    REPLIED
}

const WATCH: Command = Command {
    name: "WATCH",
    run: watch,
    summary: "Lets the next transaction be run only if these keys have not changed by then.",
    complexity: "O(N) for N keys",
    since: "2.2.0",
    args: &[key("key", Usage::Read).many()],
    flags: CONTROL.and(Flags::FAST).and(Flags::ALLOW_BUSY),
    key_use: KeyUse::Flags(&["RO"]),
    ..TRANSACTION
};

fn watch(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    if cx.session.queue.is_some() {
        return Err(Fault::text("ERR WATCH inside MULTI is not allowed"));
    }
    while !args.is_empty() {
        watch_one(cx, args.key()?);
    }
    cx.session.client.watching.store(cx.session.watched.len() as u64, Relaxed);
    cx.reply.ok();
    REPLIED
}

fn watch_one(cx: &mut Ctx<'_>, key: Key<'_>) {
    let (db, stripe) = (cx.session.db, key.place.stripe());
    cx.store.heed(key);
    if !cx.node.audience.watch(stripe, cx.store.db(), key.bytes, &cx.session.client) {
        return;
    }
    let existed = cx.store.entry(key).is_some();
    cx.session.watched.push(Watched { db, stripe, key: key.bytes.into(), existed });
}

const UNWATCH: Command = Command {
    name: "UNWATCH",
    run: unwatch,
    summary: "Watches no keys any longer.",
    since: "2.2.0",
    flags: CONTROL.and(Flags::FAST).and(Flags::ALLOW_BUSY),
    ..TRANSACTION
};

fn unwatch(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    // In a transaction the keys are let go of when it ends, as its stripes are held until then.
    if !cx.session.in_transaction {
        forget_watched(cx.node, cx.session);
    }
    cx.reply.ok();
    REPLIED
}

/// Ends a transaction that was begun, if one was, and watches nothing any longer. The caller holds no stripe.
pub fn end(node: &Shared, session: &mut Session) {
    session.queue = None;
    session.client.queued.store(-1, Relaxed);
    forget_watched(node, session);
}

/// Watches nothing any longer. The caller holds no stripe.
fn forget_watched(node: &Shared, session: &mut Session) {
    session.leave_watching();
    for Watched { db, stripe, key, .. } in std::mem::take(&mut session.watched) {
        node.audience.unwatch(&node.store, stripe, node.store.database(db), &key, &session.client);
    }
    session.client.watching.store(0, Relaxed);
    session.client.mend_watch();
}

const EXEC: Command = Command {
    name: "EXEC",
    // Dispatch calls `exec`, which has more at hand than a handler.
    scope: Scope::Transaction,
    summary: "Runs the commands that were queued.",
    complexity: "Depends on the commands in the transaction",
    flags: Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::SKIP_SLOWLOG).and(Flags::SKIP_MONITOR),
    ..TRANSACTION
};

/// What is answered to a command that is not even tried. It spoils the transaction of its connection; an `EXEC` that is
/// refused ends it, and says why, even where there is none. Whose keys are elsewhere is told nothing but that, as clients know
/// what to do about it.
pub fn refused(found: Option<&Found>, node: &Shared, session: &mut Session, fault: Fault) -> Fault {
    if found.is_some_and(|found| found.row.scope == Scope::Transaction) {
        end(node, session);
        if fault.is_about_slots() {
            return fault;
        }
        let why = fault.to_string();
        let why = why.strip_prefix("ERR ").unwrap_or(&why);
        return Fault::owned(format!("EXECABORT Transaction discarded because of: {why}"));
    }
    // What a primary has run is run as far as it can be: the rest of it is worth more than none.
    if let Some(queue) = session.queue.as_mut().filter(|_| !session.is_primary) {
        queue.spoil();
    }
    fault
}

/// Runs what was queued.
pub fn exec(
    found: &'static Found,
    call: &Call<'_>,
    session: &mut Session,
    reply: &mut Reply,
    pass: &mut Pass<'_>,
) -> Outcome {
    let Some(queue) = session.queue.take() else {
        return Err(Fault::text("ERR EXEC without MULTI"));
    };
    let outcome = if queue.is_spoilt {
        Err(Fault::text("EXECABORT Transaction discarded because of previous errors."))
    } else {
        session.in_transaction = true;
        let run = Run { call, queue: &queue };
        let ran = guarded("exec", || match run.needs_everything() {
            true => pass.alone(|| match session.is_late() {
                true => Ok(Done::Close),
                false => run.alone(session, reply),
            }),
            false => run.locked(session, reply),
        });
        session.in_transaction = false;
        // Behind what it ran, so that the log can be run again.
        call.show_to_monitors(found, session);
        ran
    };
    end(call.node, session);
    if let Some(tracking) = &mut session.tracking {
        tracking.caching = None;
    }
    outcome
}

/// Ends what was gathered for the stream, while the stripes are held.
fn note_end(noted: Transaction<'_>, session: &Session) {
    if let Some(offset) = noted.end() {
        session.client.written.store(offset, Relaxed);
    }
}

/// A transaction that is being run.
struct Run<'a> {
    call: &'a Call<'a>,
    queue: &'a Queue,
}

impl Run<'_> {
    /// Whether a command reaches for what the keys in its words do not tell. One without keys may.
    fn needs_everything(&self) -> bool {
        self.queue.requests.iter().any(|request| {
            let row = request.found.row;
            match row.scope {
                Scope::Everything => true,
                Scope::AllKeys | Scope::AllKeysBeyond(_) | Scope::Transaction => false,
                Scope::Keys => {
                    let has_keys = !row.specs.is_empty() || request.found.keys.first != 0;
                    !has_keys && !matches!(row.group, Group::Connection | Group::PubSub | Group::Transactions)
                }
            }
        })
    }

    /// Runs the commands while no other worker runs any; each locks what it needs.
    fn alone(&self, session: &mut Session, reply: &mut Reply) -> Outcome {
        // The way here led out of the gate, and the topology may be another since.
        if let Some(stand) = Seen::default().look(&self.call.node.cluster)
            && !session.is_primary
            && !session.imports
        {
            let want = session.want(self.queue.flags(), false);
            let each = self.queue.each_slot(self.call.node).into_iter();
            each.map(|first| Some(Slots { first, crosses: false })).try_for_each(|slots| stand.admit(slots, want))?;
        }
        if session.durability(self.call.node) == Durability::Quorum {
            session.read = self.call.node.replication.mark_of_all();
        }
        if session.client.is_watch_broken() || self.is_any_gone_unlocked(session) {
            reply.null_array();
            return REPLIED;
        }
        reply.array(self.queue.requests.len());
        let noted = Transaction::begin(self.call.node, Numbers::all());
        for request in &self.queue.requests {
            let words = self.queue.words(request);
            let places = Call::places(request.found, words, self.call.node);
            let call = Call { words, places: &places, ..*self.call };
            self.complete(request, &call, session, reply, |session, reply| call.act(request.found, session, reply));
        }
        note_end(noted, session);
        REPLIED
    }

    /// Runs the commands under the locks of all their keys.
    fn locked(&self, session: &mut Session, reply: &mut Reply) -> Outcome {
        let Call { node, moment, .. } = *self.call;
        let mut stripes = Numbers::default();
        session.watched.iter().for_each(|watched| stripes.add(watched.stripe));
        let mut places: Vec<Vec<Place>> = Vec::with_capacity(self.queue.requests.len());
        for request in &self.queue.requests {
            if request.found.row.scope.is_all(self.queue.words(request)) {
                stripes = Numbers::all();
            }
            let words = self.queue.words(request);
            if node.store.has_snapshot() {
                Call { words, places: &[], ..*self.call }.capture_ahead(request.found, session, usize::MAX);
            }
            let of_request = Call::places(request.found, words, node);
            of_request.iter().for_each(|place| stripes.add(place.stripe()));
            places.push(of_request);
        }
        let mut keys = node.store.lock(stripes, session.db, moment);
        if session.durability(node) == Durability::Quorum {
            session.read = node.replication.mark_of(&node.store, stripes.iter());
        }
        if session.client.is_watch_broken() || is_any_gone(&mut keys, node, session) {
            reply.null_array();
            return REPLIED;
        }
        reply.array(self.queue.requests.len());
        let noted = Transaction::begin(node, stripes);
        for (request, places) in self.queue.requests.iter().zip(&places) {
            let call = Call { words: self.queue.words(request), places, ..*self.call };
            let lent = keys.lend(session.db, call.moment_of(request.found, session));
            self.complete(request, &call, session, reply, |session, reply| {
                call.run_with(request.found, lent, session, reply)
            });
        }
        note_end(noted, session);
        REPLIED
    }

    /// Runs one command, completes its reply, and counts it.
    fn complete(
        &self,
        request: &Queued,
        call: &Call<'_>,
        session: &mut Session,
        reply: &mut Reply,
        run: impl FnOnce(&mut Session, &mut Reply) -> Outcome,
    ) {
        let (node, found) = (call.node, request.found);
        let (start, since) = (reply.out.len(), Ticks::now());
        call.show_to_monitors(found, session);
        let outcome = run(session, reply);
        let nanos = Ticks::now().nanos_since(since);
        let counters = node.stats.worker(session.worker);
        counters.commands.add(1);
        let of_command = counters.of(found.number);
        of_command.calls.add(1);
        of_command.nanos.add(nanos);
        if let Err(fault) = outcome {
            reply.out.truncate(start);
            reply.error(&fault);
            node.stats.error(fault.code());
            of_command.failed.add(1);
        }
        if nanos >= node.tuning.slow_nanos() {
            call.note_slow(found, session, nanos);
        }
    }

    fn is_any_gone_unlocked(&self, session: &Session) -> bool {
        let node = self.call.node;
        session.watched.iter().any(|watched| {
            let key = node.store.key(&watched.key);
            let keys = node.store.lock_one(watched.stripe, watched.db, self.call.moment);
            watched.existed && keys.entry(key).is_none()
        })
    }
}

/// Whether the time of a watched key has come since it was watched.
fn is_any_gone(keys: &mut crate::store::Keys<'_>, node: &Shared, session: &Session) -> bool {
    let gone = session.watched.iter().any(|watched| {
        keys.switch(watched.db);
        watched.existed && keys.entry(node.store.key(&watched.key)).is_none()
    });
    keys.switch(session.db);
    gone
}

#[cfg(test)]
mod tests;
