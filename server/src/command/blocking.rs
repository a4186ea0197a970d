//! Commands that wait for a key to get what they want.
//!
//! A handler that finds nothing calls [`Ctx::wait_for`]. The command is then *parked*: its words are kept, and it stands in
//! the line of each of its keys (`audience`). Who changes such a key serves the line when its own command is done: it runs
//! the parked commands on behalf of their clients, in the order in which they came, and leaves each the reply. So a
//! client that waited is served before the reply to who fed it, and nothing that was fed is seen by others in between but
//! by commands that run at the same time on other workers. Of those, one that could wait itself takes nothing from who
//! waited before: it stands behind them in the line, and serves it. The connection's own worker sends the reply, or ends the
//! wait when its time is over, its peer has gone or `CLIENT UNBLOCK` says so.

use super::audience::{self, Ready};
use super::clients::{Client, Unblocked};
use super::context::{Ctx, Done, Outcome, Wait};
use super::dispatch::Call;
use super::fault::Fault;
use super::replication::Mark;
use super::reply::Reply;
use super::row::Flags;
use super::session::Session;
use super::shared::{Shared, steady_ms};
use super::table::Found;
use super::words::{Kept, REPLIED};
use crate::base::long_double::LongDouble;
use crate::base::number::{parse_f64, parse_i64};
use crate::config::Durability;
use crate::store::{Key, Keys, Moment};
use crate::types::object::{Kind, Object};
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};

/// What a key must hold for a waiting command to have a chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    List,
    ZSet,
    Stream,
    /// A stream with a consumer group: it is told when the key is gone.
    Group,
    /// A string that another connection is loading.
    Value,
}

impl Awaited {
    /// Whether what one gets is gone for the others.
    fn is_taken(self) -> bool {
        matches!(self, Awaited::List | Awaited::ZSet)
    }
}

/// A command's wait: for any of its keys, all of which its row names.
pub struct Await<'a> {
    pub keys: &'a [Key<'a>],
    pub what: Awaited,
    /// Milliseconds; for ever if `None`.
    pub for_ms: Option<u64>,
    /// What is answered when the time is over, or where nothing may wait.
    pub nothing: fn(&mut Reply),
    /// The words to run the command with once there may be something, name included; its own if `None`. `XREAD` puts the
    /// last id in place of `$`.
    pub words: Option<Vec<Vec<u8>>>,
}

/// A command that waits.
pub struct Parked {
    client: Arc<Client>,
    found: &'static Found,
    words: Kept,
    /// The number of the database, as the client knows it.
    db: usize,
    protocol: u8,
    /// The stripes and the keys in whose lines it stands.
    keys: Vec<(usize, Box<[u8]>)>,
    pub what: Awaited,
    /// Its number among all that have waited.
    pub arrival: u64,
    /// Whether its reply may be sent only once what it shows lasts.
    is_at_quorum: bool,
    /// A time of `steady_ms`; for ever if `None`.
    until_ms: Option<u64>,
    nothing: fn(&mut Reply),
    /// Held while somebody runs it. Its lock is taken before those of stripes.
    state: Mutex<State>,
    /// Whether its reply is there. Its connection looks at this rather than at `state`, which others may hold at any
    /// moment: several may try to serve it at once.
    is_served: AtomicBool,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// It was run: this is the reply, and what it shows of the stream.
    Served(Vec<u8>, Option<Mark>),
    /// Its time was over, or its client has gone.
    Over,
}

/// How a parked command stands when its connection looks at it again.
enum Resumed {
    /// It goes on waiting.
    Waits(Wait),
    /// Its reply is written; it shows that of the stream.
    Replied(Option<Mark>),
    /// Its wait was ended with an error.
    Refused(Fault),
}

/// What came of the attempt to serve a parked command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// It has its reply.
    Served,
    /// There is nothing for it, so it goes on waiting.
    Nothing,
    /// It does not wait any more: another has served it, or its wait was ended.
    Over,
}

/// A wait of so many seconds in milliseconds, `None` for ever.
///
/// # Errors
///
/// Redis's, for what is no such time.
pub fn wait_seconds(seconds: &[u8], now_ms: u64) -> Result<Option<u64>, Fault> {
    let Some(number) = parse_f64(seconds) else {
        // Redis reads more than fits here, and finds only then that it is too much.
        return Err(Fault::text(match LongDouble::parse(seconds) {
            Some(_) if seconds.starts_with(b"-") => "ERR timeout is negative",
            Some(_) => "ERR timeout is out of range",
            None => "ERR timeout is not a float or out of range",
        }));
    };
    let ms = (number * 1000.0).ceil();
    if ms > i64::MAX as f64 {
        return Err(Fault::text("ERR timeout is out of range"));
    }
    checked(ms as i64, now_ms)
}

/// A wait of so many milliseconds, `None` for ever.
///
/// # Errors
///
/// Redis's, for what is no such time.
pub fn wait_millis(millis: &[u8], now_ms: u64) -> Result<Option<u64>, Fault> {
    checked(parse_i64(millis).ok_or(Fault::text("ERR timeout is not an integer or out of range"))?, now_ms)
}

fn checked(ms: i64, now_ms: u64) -> Result<Option<u64>, Fault> {
    let ms = u64::try_from(ms).map_err(|_| Fault::text("ERR timeout is negative"))?;
    if ms > i64::MAX as u64 - now_ms {
        return Err(Fault::text("ERR timeout is out of range"));
    }
    Ok((ms > 0).then_some(ms))
}

impl Ctx<'_> {
    /// Ends a command that found nothing: it is run again when one of its keys may have got what it waits for. In a
    /// transaction it answers that there was nothing.
    ///
    /// Nothing may have been changed or replied before.
    pub fn wait_for(&mut self, wait: Await<'_>) -> Outcome {
        if self.session.is_proxy {
            return Ok(Done::Wait(Wait::Until(u64::MAX)));
        }
        if self.session.in_transaction {
            (wait.nothing)(self.reply);
            return REPLIED;
        }
        let parked = Arc::new(self.park(&wait));
        let db = self.store.db();
        for key in wait.keys {
            let stripe = key.place.stripe();
            self.store.heed(*key);
            self.node.audience.wait(stripe, db, key.bytes, &parked);
            // What is there is due to others, who are served before this command once it is done.
            if wait.what.is_taken() && self.store.entry(*key).is_some() {
                audience::make_ready(stripe, db, key.bytes);
            }
        }
        self.session.client.block(wait.for_ms.is_some());
        let until = parked.wait();
        self.session.parked = Some(parked);
        Ok(Done::Wait(until))
    }

    /// Whether one of some keys holds what others have waited for longer. They have not been served yet, as that was
    /// written at this moment on another worker. Who could wait as well must [wait](Ctx::wait_for) behind them.
    #[inline]
    pub fn is_behind<'k, K: Kind>(&self, mut keys: impl Iterator<Item = Key<'k>>, what: Awaited) -> bool {
        keys.any(|key| self.store.is_heeded(key) && self.has_line::<K>(key, what))
    }

    #[cold]
    fn has_line<K: Kind>(&self, key: Key<'_>, what: Awaited) -> bool {
        !self.session.is_proxy
            && !self.session.in_transaction
            && self.store.view::<K>(key).is_ok_and(|found| found.is_some())
            && self.node.audience.has_line(key.place.stripe(), self.store.db(), key.bytes, what)
    }

    fn park(&self, wait: &Await<'_>) -> Parked {
        let words = match &wait.words {
            Some(words) => Kept::of(words.iter().map(Vec::as_slice)),
            None => Kept::of(self.words.iter()),
        };
        let name = |key: &Key<'_>| (key.place.stripe(), key.bytes.into());
        Parked {
            client: self.session.client.clone(),
            found: self.found,
            words,
            db: self.session.db,
            protocol: self.reply.protocol(),
            keys: wait.keys.iter().map(name).collect(),
            what: wait.what,
            arrival: self.node.audience.arrive(),
            is_at_quorum: self.session.durability(self.node) == Durability::Quorum,
            // The millisecond that has begun does not count, and what ran before in the same batch took its time.
            until_ms: wait.for_ms.map(|ms| steady_ms() + ms + 1),
            nothing: wait.nothing,
            state: Mutex::new(State::Waiting),
            is_served: AtomicBool::new(false),
        }
    }
}

impl Parked {
    fn wait(&self) -> Wait {
        Wait::Until(self.until_ms.unwrap_or(u64::MAX))
    }

    /// Whether its connection has something to do for it.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until| until <= now_ms) || self.is_served.load(Acquire)
    }

    /// Takes it out of all lines it stands in. The caller holds no stripe.
    fn leave(self: &Arc<Parked>, node: &Shared) {
        let db = node.store.database(self.db);
        for (stripe, key) in &self.keys {
            node.audience.leave(&node.store, *stripe, db, key, self);
        }
    }

    /// The keys it waits for.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|(_, key)| &**key)
    }

    /// Whose command it is.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Those of its command.
    pub fn flags(&self) -> Flags {
        self.found.row.flags
    }

    /// Ends the wait with an error, if it has not ended. The caller holds no stripe.
    pub fn refuse(self: &Arc<Parked>, node: &Shared, fault: &Fault) {
        let state = self.state.lock();
        if *state != State::Waiting {
            return;
        }
        let mut reply = Reply::default();
        reply.error(fault);
        node.stats.error(fault.code());
        self.answer(node, state, reply.out, None);
    }

    /// Leaves its connection the reply, and what it shows of the stream.
    fn answer(self: &Arc<Parked>, node: &Shared, mut state: MutexGuard<'_, State>, reply: Vec<u8>, read: Option<Mark>) {
        // From now on it is not blocked, whenever its connection comes to see it. It cannot wait anew before `state` is free.
        self.client.take_unblocked();
        *state = State::Served(reply, read);
        self.is_served.store(true, Release);
        drop(state);
        self.leave(node);
        self.client.wake();
    }

    /// Ends the wait for good, whatever came of it.
    pub fn end(self: &Arc<Parked>, node: &Shared) {
        *self.state.lock() = State::Over;
        self.leave(node);
    }

    /// Sees how it stands, for its connection.
    fn resume(self: &Arc<Parked>, node: &Shared, reply: &mut Reply) -> Resumed {
        let mut state = self.state.lock();
        if let State::Served(bytes, read) = &*state {
            reply.out.extend_from_slice(bytes);
            return Resumed::Replied(*read);
        }
        let ended = if self.client.is_unblocked() { self.client.take_unblocked() } else { None };
        let is_late = self.until_ms.is_some_and(|until| until <= steady_ms());
        if ended.is_none() && !is_late {
            return Resumed::Waits(self.wait());
        }
        *state = State::Over;
        drop(state);
        self.leave(node);
        self.client.take_unblocked();
        // Who reads is told nil rather than that the node has become a replica.
        let is_read = self.what == Awaited::Value && ended == Some(Unblocked::Demoted);
        if let Some(fault) = ended.filter(|_| !is_read).and_then(Unblocked::fault) {
            return Resumed::Refused(fault);
        }
        (self.nothing)(reply);
        Resumed::Replied(None)
    }

    /// Runs it for its client, whose worker is another, because of a key that is ready.
    fn serve(self: &Arc<Parked>, node: &Shared, worker: usize, moment: Moment, ready: &Ready) -> Attempt {
        let state = self.state.lock();
        if *state != State::Waiting || self.client.is_unblocked() || self.client.is_killed() {
            return Attempt::Over;
        }
        if node.store.follows() && self.found.row.flags.has(Flags::WRITE) {
            // It has been called off, and only its connection has not come to see that yet.
            return Attempt::Over;
        }
        let mut session = Session::proxy(self.client.clone(), self.db, worker);
        let mut reply = Reply::default();
        reply.set_protocol(self.protocol);
        let words = self.words.words();
        let places = Call::places(self.found, words, node);
        let moment = Moment { by: self.client.id, ..moment };
        let call = Call { node, words, places: &places, moment };
        // Who waits for a group is told that it is gone, and who waits for a value may be sent for it.
        let has_chance = |keys: &Keys<'_>| {
            matches!(self.what, Awaited::Group | Awaited::Value)
                || held(keys, node.store.key(&ready.key)) == Some(self.what)
        };
        match call.act_if(self.found, &mut session, &mut reply, has_chance) {
            Ok(Done::Wait(_)) => return Attempt::Nothing,
            Ok(_) => {}
            Err(fault) => {
                reply.out.clear();
                reply.error(&fault);
                node.stats.error(fault.code());
            }
        }
        let read = if self.is_at_quorum { call.mark(self.found) } else { None };
        self.answer(node, state, reply.out, read);
        Attempt::Served
    }
}

/// Who has a chance with what a key holds; `None` if only those who are told that it is gone.
fn held(keys: &Keys<'_>, key: Key<'_>) -> Option<Awaited> {
    match keys.entry(key)?.object()? {
        Object::List(_) => Some(Awaited::List),
        Object::ZSet(_) => Some(Awaited::ZSet),
        Object::Stream(_) => Some(Awaited::Stream),
        Object::Hash(_) | Object::Set(_) | Object::Bloom(_) => None,
    }
}

/// Looks after the parked command of a connection whose turn it is; `None` if it has none.
pub fn resume(node: &Shared, session: &mut Session, reply: &mut Reply) -> Option<Outcome> {
    let parked = session.parked.clone()?;
    let outcome = match parked.resume(node, reply) {
        Resumed::Waits(wait) => return Some(Ok(Done::Wait(wait))),
        Resumed::Replied(read) => {
            session.read = read;
            REPLIED
        }
        Resumed::Refused(fault) => Err(fault),
    };
    session.parked = None;
    Some(outcome)
}

/// Serves who waits for keys that commands of this thread have made ready. The caller holds no stripe.
#[cold]
pub fn serve_ready(node: &Shared, worker: usize, moment: Moment) {
    while let Some(ready) = audience::take_ready() {
        serve(node, worker, moment, &ready);
    }
}

fn serve(node: &Shared, worker: usize, moment: Moment, ready: &Ready) {
    let key = node.store.key(&ready.key);
    let held = held(&node.store.lock_one(ready.stripe, node.store.logical(ready.db), moment), key);
    if let Some(what @ (Awaited::List | Awaited::ZSet)) = held {
        serve_line(node, worker, moment, ready, what);
    }
    // All of them, even where it is no stream any more: readers of a group are told.
    serve_line(node, worker, moment, ready, Awaited::Stream);
    serve_line(node, worker, moment, ready, Awaited::Value);
}

/// Serves those who wait for a key to hold something, in the order of their arrival.
fn serve_line(node: &Shared, worker: usize, moment: Moment, ready: &Ready, what: Awaited) {
    let mut last = None;
    while let Some(parked) = node.audience.next(ready, what, last) {
        last = Some(parked.arrival);
        let attempt = parked.serve(node, worker, moment, ready);
        // Of those that take things away, who comes later finds nothing where an earlier one did.
        if attempt == Attempt::Nothing && what.is_taken() {
            return;
        }
    }
}
