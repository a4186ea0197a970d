//! Client tracking: connections that keep copies of what they read are told when it changes.
//!
//! What a connection reads is remembered with the key's stripe (`audience`), under the lock that the read holds; the first
//! change after that tells the connection and forgets the key. In broadcasting mode nothing is remembered: every change
//! to a key with one of the connection's prefixes is told. Keys of all databases are one to this protocol, as in Redis.

use super::audience::Forgotten;
use super::clients::Client;
use super::shared::Shared;
use crate::base::number::push_integer;
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// The channel on which a redirected RESP2 connection is told.
const CHANNEL: &[u8] = b"__redis__:invalidate";

/// Keys that are forgotten in a tick.
const TRIMMED_MAX: usize = 1024;

/// What a connection has said with `CLIENT TRACKING`.
#[derive(Clone, Debug, Default)]
pub struct Tracking {
    /// Only what follows `CLIENT CACHING YES` is remembered.
    pub opt_in: bool,
    /// What follows `CLIENT CACHING NO` is not.
    pub opt_out: bool,
    /// What `CLIENT CACHING` said about the next command.
    pub caching: Option<bool>,
    /// Prefixes of broadcasting mode; an empty one stands for all keys.
    pub prefixes: Vec<Box<[u8]>>,
}

impl Tracking {
    /// Whether the keys of a command that reads are to be remembered; not asked in broadcasting mode.
    pub fn remembers(&self) -> bool {
        if self.opt_in { self.caching == Some(true) } else { !(self.opt_out && self.caching == Some(false)) }
    }
}

/// What others must know of a connection's tracking.
#[derive(Default)]
pub struct Tracked {
    modes: AtomicU8,
    /// The connection that is told in its stead; 0 for none.
    redirect: AtomicU64,
}

/// Modes of [`Tracked`].
const ON: u8 = 1;
const BROADCAST: u8 = 1 << 1;
const NO_LOOP: u8 = 1 << 2;
/// The connection that was to be told is gone.
const BROKEN: u8 = 1 << 3;

impl Tracked {
    fn has(&self, mode: u8) -> bool {
        self.modes.load(Relaxed) & mode != 0
    }

    pub fn is_on(&self) -> bool {
        self.has(ON)
    }

    pub fn is_broadcast(&self) -> bool {
        self.has(BROADCAST)
    }

    pub fn is_no_loop(&self) -> bool {
        self.has(NO_LOOP)
    }

    pub fn is_broken(&self) -> bool {
        self.has(BROKEN)
    }

    /// The connection that is told in its stead; 0 for none.
    pub fn redirect(&self) -> u64 {
        self.redirect.load(Relaxed)
    }

    /// Turns tracking on.
    pub fn turn_on(&self, is_broadcast: bool, is_no_loop: bool, redirect: u64) {
        let broadcast = if is_broadcast { BROADCAST } else { 0 };
        let no_loop = if is_no_loop { NO_LOOP } else { 0 };
        self.redirect.store(redirect, Relaxed);
        self.modes.store(ON | broadcast | no_loop, Relaxed);
    }

    fn turn_off(&self) {
        self.modes.store(0, Relaxed);
        self.redirect.store(0, Relaxed);
    }
}

/// The prefixes of all connections in broadcasting mode.
#[derive(Default)]
pub struct Broadcasts(RwLock<Vec<(Box<[u8]>, u64)>>);

impl Broadcasts {
    pub fn add(&self, prefix: &[u8], client: u64) {
        self.0.write().push((prefix.into(), client));
    }

    fn remove(&self, client: u64) {
        self.0.write().retain(|(_, other)| *other != client);
    }

    pub fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    /// Different prefixes.
    pub fn len(&self) -> usize {
        let mut prefixes: Vec<Box<[u8]>> = self.0.read().iter().map(|(prefix, _)| prefix.clone()).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        prefixes.len()
    }
}

impl Shared {
    /// Tells all connections in broadcasting mode of a change to a key.
    pub fn broadcast_change(&self, key: &[u8], by: u64) {
        for (prefix, id) in self.broadcasts.0.read().iter() {
            if key.starts_with(prefix) {
                self.tell_changed(*id, Some(key), by);
            }
        }
    }

    /// Tells a connection that a key it has read was changed by a connection; or all keys, if there is none.
    pub fn tell_changed(&self, id: u64, key: Option<&[u8]>, by: u64) {
        let Some(client) = self.clients.get(id).filter(|client| client.tracked.is_on()) else { return };
        if client.tracked.is_no_loop() && by == id {
            return;
        }
        let redirect = client.tracked.redirect();
        if redirect == 0 {
            return self.send_change(&client, key, false);
        }
        match self.clients.get(redirect).filter(|target| !target.is_killed()) {
            Some(target) => self.send_change(&target, key, true),
            None => self.tell_broken(&client, redirect),
        }
    }

    /// Tells those who had read a key that is not remembered any more.
    pub fn tell_forgotten(&self, (key, readers): &Forgotten) {
        readers.iter().for_each(|reader| self.tell_changed(*reader, Some(key), 0));
    }

    /// Forgets keys beyond `tracking-table-max-keys`, as there may be since that was lowered.
    pub fn trim_tracked(&self) {
        let forgotten = self.audience.forget_some(self.limits.tracked_keys_max(), TRIMMED_MAX);
        forgotten.iter().for_each(|forgotten| self.tell_forgotten(forgotten));
    }

    fn send_change(&self, to: &Arc<Client>, key: Option<&[u8]>, is_redirected: bool) {
        let is_3 = to.protocol.load(Relaxed) == 3;
        let mut message = Vec::with_capacity(64 + key.map_or(0, <[u8]>::len));
        if is_3 {
            message.extend_from_slice(b"2\r\n$10\r\ninvalidate\r\n");
        } else if is_redirected && to.subscribed.is_any() {
            message.extend_from_slice(b"3\r\n$7\r\nmessage\r\n");
            push_bulk(&mut message, CHANNEL);
        } else {
            // It could not tell the message from a reply.
            return;
        }
        match key {
            Some(key) => {
                message.extend_from_slice(b"*1\r\n");
                push_bulk(&mut message, key);
            }
            None => message.extend_from_slice(if is_3 { &b"_\r\n"[..] } else { b"$-1\r\n" }),
        }
        self.cut_above(self.tuning.pubsub_output().hard, to, to.push(&message));
    }

    /// Tells a connection that the one that was told in its stead is gone.
    fn tell_broken(&self, client: &Arc<Client>, redirect: u64) {
        client.tracked.modes.fetch_or(BROKEN, Relaxed);
        if client.protocol.load(Relaxed) == 3 {
            let mut message = b"2\r\n$21\r\ntracking-redir-broken\r\n:".to_vec();
            push_integer(&mut message, redirect);
            message.extend_from_slice(b"\r\n");
            self.cut_above(self.tuning.pubsub_output().hard, client, client.push(&message));
        }
    }

    /// Tells every connection with tracking that any key may have changed, and forgets what they have read. Who has flushed
    /// is told as well, as in Redis.
    pub fn tell_flushed(&self) {
        let all = self.clients.all();
        all.iter().filter(|client| client.tracked.is_on()).for_each(|client| self.tell_changed(client.id, None, 0));
        self.audience.forget_tracked();
    }

    /// Ends a connection's tracking. The caller holds no stripe.
    pub fn stop_tracking(&self, client: &Client) {
        if client.tracked.is_on() {
            let was_broadcast = client.tracked.is_broadcast();
            client.tracked.turn_off();
            if was_broadcast {
                self.broadcasts.remove(client.id);
                self.heed();
            }
        }
    }
}

fn push_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    push_integer(out, bytes.len());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
