//! How writes come into the stream: in an order that agrees with every key's, and in a form that means the same whenever and
//! wherever it is run.
//!
//! A command is noted when it is done and its stripes are still held: its own words, unless the handler has said what to note
//! instead ([`Ctx::replicate`]). A command that changed nothing is not noted. What expires or is evicted is noted as deleted
//! where that happens, by the store's listener. A transaction is gathered and noted as a whole.

use super::Replication;
use crate::base::number::Digits;
use crate::command::clients::Client;
use crate::command::context::Ctx;
use crate::command::row::{Flags, Scope};
use crate::command::shared::Shared;
use crate::repl::spell;
use crate::store::{How, Key, News, Numbers, Store};
use std::cell::RefCell;
use std::sync::atomic::Ordering::Relaxed;

/// What this thread gathers for the stream.
#[derive(Default)]
struct Gather {
    /// What the running command has said to note instead of its words, and how many commands that are.
    out: Vec<u8>,
    commands: usize,
    /// Whether it has said anything, which may be that there is nothing to note.
    is_said: bool,
    /// Whether a command that is noted is running.
    is_running: bool,
    /// Keys that had to go while it ran: stripe, database, key.
    evicted: Vec<(usize, usize, Box<[u8]>)>,
    transaction: Option<Gathered>,
}

/// A transaction so far.
struct Gathered {
    /// The stripes that are held until it ends.
    held: Numbers,
    bytes: Vec<u8>,
    commands: usize,
    /// The databases of the first and the last command.
    databases: Option<(usize, usize)>,
}

thread_local! {
    static GATHER: RefCell<Gather> = RefCell::default();
}

impl Gathered {
    fn add(&mut self, db: usize, bytes: &[u8], commands: usize) {
        match &mut self.databases {
            None => self.databases = Some((db, db)),
            Some((_, last)) if *last != db => {
                spell::push_select(&mut self.bytes, db);
                *last = db;
            }
            Some(_) => {}
        }
        self.bytes.extend_from_slice(bytes);
        self.commands += commands;
    }
}

/// Begins to note what a command does.
pub fn begin_command() {
    GATHER.with_borrow_mut(|gather| {
        gather.out.clear();
        gather.evicted.clear();
        (gather.commands, gather.is_said, gather.is_running) = (0, false, true);
    });
}

/// Notes what a command has done; `before` is the count of its stripes' changes when it began. They are still held.
pub fn end_command(cx: &mut Ctx<'_>, before: u64, succeeded: bool) {
    // What has expired or had to go went before the command changed anything.
    cx.store.tell();
    let is_changed = match cx.command.scope {
        Scope::Everything => succeeded && cx.command.flags.has(Flags::WRITE),
        _ => cx.store.changes() != before,
    };
    let db = cx.session.db;
    let gathered = GATHER.with_borrow_mut(|gather| {
        gather.is_running = false;
        if !gather.is_said && is_changed {
            spell::push_command(&mut gather.out, cx.words.iter());
            gather.commands = 1;
        }
        let bytes = std::mem::take(&mut gather.out);
        match &mut gather.transaction {
            _ if gather.commands == 0 => None,
            Some(transaction) => {
                transaction.add(db, &bytes, gather.commands);
                None
            }
            None => Some((bytes, gather.commands)),
        }
    });
    if let Some((bytes, commands)) = gathered {
        let written = cx.node.replication.append((db, db), whole(bytes, commands));
        cx.session.client.written.store(written, Relaxed);
        match cx.command.scope {
            Scope::Everything => cx.node.replication.raise_floor(written),
            _ => cx.store.note(written),
        }
    }
    again_evicted(cx);
}

/// A command that made room may have lost a key that it had written itself: what was noted for that stands before the
/// command, and is said again behind it.
fn again_evicted(cx: &Ctx<'_>) {
    let evicted = GATHER.with_borrow_mut(|gather| std::mem::take(&mut gather.evicted));
    for (stripe, db, key) in evicted {
        let of_key = cx.node.store.key(&key);
        let is_held = cx.store.holds(stripe);
        if is_held && db == cx.session.db && cx.store.entry(of_key).is_none() {
            cx.node.replication.note_deleted(&cx.node.store, stripe, db, &key, &[]);
        }
    }
}

/// Several commands belong together, so that who runs them stops before or behind them.
fn whole(bytes: Vec<u8>, commands: usize) -> Vec<u8> {
    if commands < 2 {
        return bytes;
    }
    let mut out = Vec::with_capacity(bytes.len() + 32);
    spell::push_command(&mut out, [&b"MULTI"[..]].into_iter());
    out.extend_from_slice(&bytes);
    spell::push_command(&mut out, [&b"EXEC"[..]].into_iter());
    out
}

/// A transaction whose commands are gathered until [`Transaction::end`].
pub struct Transaction<'a> {
    node: &'a Shared,
    is_on: bool,
}

impl<'a> Transaction<'a> {
    /// Begins one that holds stripes until its end; all of them if it holds the barrier.
    pub fn begin(node: &'a Shared, held: Numbers) -> Transaction<'a> {
        let is_on = node.replication.notes();
        if is_on {
            let gathered = Gathered { held, bytes: Vec::new(), commands: 0, databases: None };
            GATHER.with_borrow_mut(|gather| gather.transaction = Some(gathered));
        }
        Transaction { node, is_on }
    }

    /// Notes it. Returns the offset behind it, if there was anything to note. Its stripes are still held.
    pub fn end(mut self) -> Option<u64> {
        self.flush()
    }

    fn flush(&mut self) -> Option<u64> {
        if !std::mem::take(&mut self.is_on) {
            return None;
        }
        let gathered = GATHER.with_borrow_mut(|gather| gather.transaction.take())?;
        let databases = gathered.databases?;
        let offset = self.node.replication.append(databases, whole(gathered.bytes, gathered.commands));
        if gathered.held == Numbers::all() {
            self.node.replication.raise_floor(offset);
        } else {
            gathered.held.iter().for_each(|stripe| self.node.store.note(stripe, offset));
        }
        Some(offset)
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // A handler that broke has not undone what those before it did.
        self.flush();
    }
}

impl Ctx<'_> {
    /// Whether what the command does is noted in the stream, for handlers to which saying how costs something.
    #[inline]
    pub fn is_noted(&self) -> bool {
        self.node.replication.notes() && !self.session.is_primary
    }

    /// Says what to note in the stream instead of the command's words: these words. Called several times, all of them.
    #[inline]
    pub fn replicate(&self, words: &[&[u8]]) {
        if self.is_noted() {
            note(words.iter().copied());
        }
    }

    /// As [`Ctx::replicate`], for words that are gathered.
    pub fn replicate_all(&self, words: &[Vec<u8>]) {
        if self.is_noted() {
            note(words.iter().map(Vec::as_slice));
        }
    }

    /// As [`Ctx::replicate`], for a key that expires at a time in milliseconds since 1970.
    pub fn replicate_time(&self, key: Key<'_>, at_ms: u64) {
        if self.is_noted() {
            note([b"PEXPIREAT", key.bytes, Digits::new().format(at_ms).as_bytes()].into_iter());
        }
    }

    /// Says that the command's words are to be noted, although no key has changed.
    pub fn replicate_as_is(&self) {
        if self.is_noted() {
            note(self.words.iter());
        }
    }

    /// Says that there is nothing to note, whatever has changed.
    pub fn replicate_nothing(&self) {
        if self.is_noted() {
            GATHER.with_borrow_mut(|gather| gather.is_said = true);
        }
    }
}

#[cold]
fn note<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>) {
    GATHER.with_borrow_mut(|gather| {
        gather.is_said = true;
        gather.commands += 1;
        spell::push_command(&mut gather.out, words);
    });
}

impl Replication {
    /// Notes what went without a command that says so. The caller holds the stripe.
    pub fn note_gone(&self, store: &Store, stripe: usize, db: usize, news: &News) {
        match news.how {
            How::Outdated { at_ms } if self.notes() => self.note_outdated(store, stripe, db, &news.key, at_ms),
            How::Expired | How::Evicted | How::Invalidated | How::FieldsExpired { .. } if self.notes() => {
                if news.how == How::Evicted {
                    GATHER.with_borrow_mut(|gather| {
                        if gather.is_running {
                            gather.evicted.push((stripe, db, news.key.clone()));
                        }
                    });
                }
                self.note_deleted(store, stripe, db, &news.key, &news.fields);
            }
            _ => {}
        }
    }

    /// Notes that a key of the first database was deleted, beside any command. The caller holds its stripe.
    pub fn note_key_gone(&self, store: &Store, key: Key<'_>) {
        if self.notes() {
            let mut bytes = Vec::with_capacity(key.bytes.len() + 32);
            spell::push_command(&mut bytes, [&b"DEL"[..], key.bytes].into_iter());
            store.note(key.place.stripe(), self.append((0, 0), bytes));
        }
    }

    /// Notes a command about a key, beside the one that runs and before it. The caller holds the key's stripe.
    pub fn note_beside(&self, store: &Store, client: &Client, db: usize, key: Key<'_>, words: &[&[u8]]) {
        let mut bytes = Vec::with_capacity(words.iter().map(|word| word.len() + 16).sum());
        spell::push_command(&mut bytes, words.iter().copied());
        let offset = self.append((db, db), bytes);
        store.note(key.place.stripe(), offset);
        client.written.store(offset, Relaxed);
    }

    /// Notes that a key was given a value beside any command, in the form that replicas read. The caller holds its stripe.
    pub fn note_restored(&self, store: &Store, db: usize, key: Key<'_>, payload: &[u8], expiry_ms: Option<u64>) {
        let mut digits = Digits::new();
        let expiry = digits.format(expiry_ms.unwrap_or(0)).as_bytes();
        let mut bytes = Vec::with_capacity(key.bytes.len() + payload.len() + 64);
        spell::push_command(&mut bytes, [&b"RESTORE"[..], key.bytes, expiry, payload, b"ABSTTL"].into_iter());
        store.note(key.place.stripe(), self.append((db, db), bytes));
    }

    /// Notes that a key, or some fields of it, are deleted.
    fn note_deleted(&self, store: &Store, stripe: usize, db: usize, key: &[u8], fields: &[Box<[u8]>]) {
        let mut bytes = Vec::with_capacity(key.len() + 32);
        match fields {
            [] => spell::push_command(&mut bytes, [&b"DEL"[..], key].into_iter()),
            fields => {
                let mut words = vec![&b"HDEL"[..], key];
                words.extend(fields.iter().map(|field| &field[..]));
                spell::push_command(&mut bytes, words.into_iter());
            }
        }
        self.note_aside(store, stripe, db, bytes);
    }

    /// Notes that a key has expired at a time that has passed.
    fn note_outdated(&self, store: &Store, stripe: usize, db: usize, key: &[u8], at_ms: u64) {
        let mut bytes = Vec::with_capacity(key.len() + 64);
        let mut at = Digits::new();
        spell::push_command(&mut bytes, [&b"PEXPIREAT"[..], key, at.format(at_ms).as_bytes()].into_iter());
        self.note_aside(store, stripe, db, bytes);
    }

    /// Notes what no command says. The caller holds the stripe.
    fn note_aside(&self, store: &Store, stripe: usize, db: usize, bytes: Vec<u8>) {
        let bytes = GATHER.with_borrow_mut(|gather| match &mut gather.transaction {
            // Another may write a key of a stripe that is not held before the transaction ends.
            Some(transaction) if transaction.held.contains(stripe) => {
                transaction.add(db, &bytes, 1);
                None
            }
            _ => Some(bytes),
        });
        if let Some(bytes) = bytes {
            store.note(stripe, self.append((db, db), bytes));
        }
    }
}
