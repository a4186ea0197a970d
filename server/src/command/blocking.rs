//! Commands that wait for a key to get what they want.
//!
//! A handler that finds nothing calls [`Ctx::wait_for`]. The command is then *parked*: its words are kept, and it stands in
//! the line of each of its keys (`audience`). Who changes such a key serves the line when its own command is done: it runs
//! the parked commands on behalf of their clients, in the order in which they came, and leaves each the reply. So a
//! client that waited is served before the reply to who fed it, and nothing that was fed is seen by others in between but
//! by commands that run at the same time on other workers. The connection's own worker sends the reply, or ends the
//! wait when its time is over, its peer has gone or `CLIENT UNBLOCK` says so.

use super::audience::{self, Ready};
use super::clients::{Client, Unblocked};
use super::context::{Ctx, Done, Outcome, Wait};
use super::dispatch::Call;
use super::fault::Fault;
use super::reply::Reply;
use super::session::Session;
use super::shared::Shared;
use super::table::Found;
use super::words::{REPLIED, Span, Words};
use crate::base::long_double::LongDouble;
use crate::base::number::{parse_f64, parse_i64};
use crate::store::{Key, Moment};
use crate::types::object::Object;
use parking_lot::Mutex;
use std::sync::Arc;

/// What a key must hold for a waiting command to have a chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    List,
    ZSet,
    Stream,
    /// A stream with a consumer group: it is told when the key is gone.
    Group,
}

/// A command's wait: for any of its keys, all of which its row names.
pub struct Await<'a> {
    pub keys: &'a [Key<'a>],
    pub what: Awaited,
    /// Milliseconds since 1970; for ever if `None`.
    pub until_ms: Option<u64>,
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
    buffer: Vec<u8>,
    spans: Vec<Span>,
    /// The number of the database, as the client knows it.
    db: usize,
    protocol: u8,
    /// The stripes and the keys in whose lines it stands.
    keys: Vec<(usize, Box<[u8]>)>,
    pub what: Awaited,
    until_ms: Option<u64>,
    nothing: fn(&mut Reply),
    /// Held while somebody runs it. Its lock is taken before those of stripes.
    state: Mutex<State>,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// It was run: this is the reply.
    Served(Vec<u8>),
    /// Its time was over, or its client has gone.
    Over,
}

/// What came of serving a parked command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    /// It has got what it waited for.
    Served,
    /// There is nothing for it, and so nothing for those who came later and want the like.
    Nothing,
    /// Its wait was over already, which says nothing about those who came later.
    Gone,
}

/// How a parked command stands when its connection looks at it again.
enum Resumed {
    /// It goes on waiting.
    Waits(Wait),
    /// Its reply is written.
    Replied,
    /// Its wait was ended with an error.
    Refused(Fault),
}

/// The time at which a wait is over: `seconds` from now, `None` for ever.
///
/// # Errors
///
/// Redis's, for what is no such time.
pub fn until_seconds(seconds: &[u8], now_ms: u64) -> Result<Option<u64>, Fault> {
    let number = match parse_f64(seconds) {
        Some(number) => number,
        // Redis reads times as numbers of 80 bits, of which some are too long for 64.
        None if LongDouble::parse(seconds).is_some() => {
            f64::INFINITY.copysign(if seconds[0] == b'-' { -1.0 } else { 1.0 })
        }
        None => return Err(Fault::text("ERR timeout is not a float or out of range")),
    };
    let ms = (number * 1000.0).ceil();
    if ms > i64::MAX as f64 {
        return Err(Fault::text("ERR timeout is out of range"));
    }
    until(ms as i64, now_ms)
}

/// The time at which a wait is over: `millis` from now, `None` for ever.
///
/// # Errors
///
/// Redis's, for what is no such time.
pub fn until_millis(millis: &[u8], now_ms: u64) -> Result<Option<u64>, Fault> {
    until(parse_i64(millis).ok_or(Fault::text("ERR timeout is not an integer or out of range"))?, now_ms)
}

fn until(ms: i64, now_ms: u64) -> Result<Option<u64>, Fault> {
    let ms = u64::try_from(ms).map_err(|_| Fault::text("ERR timeout is negative"))?;
    if ms > i64::MAX as u64 - now_ms {
        return Err(Fault::text("ERR timeout is out of range"));
    }
    Ok((ms > 0).then(|| now_ms + ms))
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
        let arrival = self.node.audience.arrive();
        for key in wait.keys {
            self.store.heed(*key);
            self.node.audience.wait(key.place.stripe(), self.store.db(), key.bytes, arrival, &parked);
        }
        self.session.client.block();
        let until = parked.wait();
        self.session.parked = Some(parked);
        Ok(Done::Wait(until))
    }

    fn park(&self, wait: &Await<'_>) -> Parked {
        let (mut buffer, mut spans) = (Vec::new(), Vec::new());
        let mut keep = |word: &[u8]| {
            spans.push(Span { start: buffer.len() as u32, len: word.len() as u32 });
            buffer.extend_from_slice(word);
        };
        match &wait.words {
            Some(words) => words.iter().for_each(|word| keep(word)),
            None => self.words.iter().for_each(keep),
        }
        let name = |key: &Key<'_>| (key.place.stripe(), key.bytes.into());
        Parked {
            client: self.session.client.clone(),
            found: self.found,
            buffer,
            spans,
            db: self.session.db,
            protocol: self.reply.protocol(),
            keys: wait.keys.iter().map(name).collect(),
            what: wait.what,
            until_ms: wait.until_ms,
            nothing: wait.nothing,
            state: Mutex::new(State::Waiting),
        }
    }
}

impl Parked {
    fn wait(&self) -> Wait {
        Wait::Until(self.until_ms.unwrap_or(u64::MAX))
    }

    /// Whether its connection has something to do for it.
    pub fn is_over(&self, now_ms: u64) -> bool {
        self.until_ms.is_some_and(|until| until <= now_ms)
            || self.state.try_lock().is_some_and(|state| *state != State::Waiting)
    }

    /// Takes it out of all lines it stands in. The caller holds no stripe.
    fn leave(self: &Arc<Parked>, node: &Shared) {
        let db = node.store.database(self.db);
        for (stripe, key) in &self.keys {
            node.audience.leave(&node.store, *stripe, db, key, self);
        }
    }

    /// Ends the wait for good, whatever came of it.
    pub fn end(self: &Arc<Parked>, node: &Shared) {
        *self.state.lock() = State::Over;
        self.leave(node);
    }

    /// Sees how it stands, for its connection.
    fn resume(self: &Arc<Parked>, node: &Shared, now_ms: u64, reply: &mut Reply) -> Resumed {
        let mut state = self.state.lock();
        if let State::Served(bytes) = &*state {
            reply.out.extend_from_slice(bytes);
            self.client.take_unblocked();
            return Resumed::Replied;
        }
        let ended = if self.client.is_unblocked() { self.client.take_unblocked() } else { None };
        let is_late = self.until_ms.is_some_and(|until| until <= now_ms);
        if ended.is_none() && !is_late {
            return Resumed::Waits(self.wait());
        }
        *state = State::Over;
        drop(state);
        self.leave(node);
        self.client.take_unblocked();
        if ended == Some(Unblocked::Refused) {
            return Resumed::Refused(Fault::text("UNBLOCKED client unblocked via CLIENT UNBLOCK"));
        }
        (self.nothing)(reply);
        Resumed::Replied
    }

    /// Runs it for its client, whose worker is another.
    fn serve(self: &Arc<Parked>, node: &Shared, worker: usize, moment: Moment) -> Tried {
        let mut state = self.state.lock();
        if *state != State::Waiting || self.client.is_unblocked() || self.client.is_killed() {
            return Tried::Gone;
        }
        let tried = self.run(node, worker, moment, &mut state);
        drop(state);
        if tried == Tried::Served {
            // From here on it does not wait, whenever its connection sends the reply. A `CLIENT UNBLOCK` that came while the
            // command ran has answered that it did.
            self.client.take_unblocked();
            self.leave(node);
            self.client.wake();
        }
        tried
    }

    fn run(&self, node: &Shared, worker: usize, moment: Moment, state: &mut State) -> Tried {
        let mut session = Session::proxy(self.client.clone(), self.db, worker);
        let mut reply = Reply::default();
        reply.set_protocol(self.protocol);
        let words = Words { buffer: &self.buffer, spans: &self.spans };
        let places = Call::places(self.found, words, node);
        let moment = Moment { by: self.client.id, ..moment };
        match (Call { node, words, places: &places, moment }).act(self.found, &mut session, &mut reply) {
            Ok(Done::Wait(_)) => return Tried::Nothing,
            Ok(_) => {}
            Err(fault) => {
                reply.out.clear();
                reply.error(&fault);
                node.stats.error(fault.code());
            }
        }
        *state = State::Served(reply.out);
        Tried::Served
    }
}

/// Looks after the parked command of a connection whose turn it is; `None` if it has none.
pub fn resume(node: &Shared, session: &mut Session, now_ms: u64, reply: &mut Reply) -> Option<Outcome> {
    let parked = session.parked.clone()?;
    let outcome = match parked.resume(node, now_ms, reply) {
        Resumed::Waits(wait) => return Some(Ok(Done::Wait(wait))),
        Resumed::Replied => REPLIED,
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
    let mut last = None;
    // Of those that take things away, who comes later finds nothing where an earlier one did.
    let mut exhausted = None;
    loop {
        let held = held(node, moment, ready).filter(|held| exhausted != Some(*held));
        let wants = |what| what == Awaited::Group || held == Some(what);
        let Some((arrival, parked)) = node.audience.next(ready, last, wants) else { return };
        last = Some(arrival);
        let takes = matches!(parked.what, Awaited::List | Awaited::ZSet);
        if parked.serve(node, worker, moment) == Tried::Nothing && takes {
            exhausted = Some(parked.what);
        }
    }
}

/// What there is to wait for in a key that was made ready. It may be gone by now, and who waits for several keys does not
/// go ahead of those who came earlier to another.
fn held(node: &Shared, moment: Moment, ready: &Ready) -> Option<Awaited> {
    let store = node.store.lock_one(ready.stripe, node.store.logical(ready.db), moment);
    match store.entry(node.store.key(&ready.key))?.object()? {
        Object::List(_) => Some(Awaited::List),
        Object::ZSet(_) => Some(Awaited::ZSet),
        Object::Stream(_) => Some(Awaited::Stream),
        Object::Hash(_) | Object::Set(_) => None,
    }
}
