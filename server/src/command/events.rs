//! Events of keys, published to whoever subscribed to them: what happened to a key on `__keyspace@DB__:KEY`, and to which
//! key it happened on `__keyevent@DB__:EVENT`.
//!
//! Which are published is said by `notify-keyspace-events`. Handlers tell each event where Redis does and by its name; while
//! nobody asked for them, that costs a load and a compare.

use super::pubsub::{Audience, publish};
use super::{Ctx, Shared};
use crate::base::number::push_integer;
use crate::config::Events;
use crate::store::Key;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// What an event is about; the setting chooses by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Class {
    Generic = Events::GENERIC.bits(),
    String = Events::STRING.bits(),
    List = Events::LIST.bits(),
    Set = Events::SET.bits(),
    Hash = Events::HASH.bits(),
    ZSet = Events::ZSET.bits(),
    Expired = Events::EXPIRED.bits(),
    Evicted = Events::EVICTED.bits(),
    Stream = Events::STREAM.bits(),
    Module = Events::MODULE.bits(),
    New = Events::NEW.bits(),
    KeyMiss = Events::MISS.bits(),
}

/// The classes that are published, and on which channels: the bits of [`Events`], none if there is no channel.
#[derive(Default)]
pub struct Wanted(AtomicU32);

impl Wanted {
    pub fn set(&self, events: Events) {
        self.0.store(if events.any() { events.bits() } else { 0 }, Relaxed);
    }

    #[inline]
    fn has(&self, class: Class) -> bool {
        self.0.load(Relaxed) & class as u32 != 0
    }

    fn channels(&self) -> Events {
        Events::from_bits(self.0.load(Relaxed))
    }
}

impl Shared {
    /// Publishes that something has happened to a key of a database, if somebody wants to know. The caller may hold
    /// stripes, but no lock of the registry of subscribers.
    #[inline]
    pub fn key_event(&self, class: Class, name: &'static str, db: usize, key: &[u8]) {
        if self.events.has(class) {
            self.publish_event(name, db, key);
        }
    }

    /// Whether events of a class are published.
    #[inline]
    pub fn wants_events(&self, class: Class) -> bool {
        self.events.has(class)
    }

    #[cold]
    fn publish_event(&self, name: &str, db: usize, key: &[u8]) {
        if self.pubsub.channels.is_empty() && self.pubsub.patterns.is_empty() {
            return;
        }
        let channels = self.events.channels();
        if channels.has(Events::KEYSPACE) {
            publish(self, Audience::All, &channel(b"__keyspace@", db, key), name.as_bytes());
        }
        if channels.has(Events::KEYEVENT) {
            publish(self, Audience::All, &channel(b"__keyevent@", db, name.as_bytes()), key);
        }
    }
}

fn channel(kind: &[u8], db: usize, behind: &[u8]) -> Vec<u8> {
    let mut channel = Vec::with_capacity(kind.len() + 8 + behind.len());
    channel.extend_from_slice(kind);
    push_integer(&mut channel, db);
    channel.extend_from_slice(b"__:");
    channel.extend_from_slice(behind);
    channel
}

impl Ctx<'_> {
    /// Tells what the command did to a key of its database.
    #[inline]
    pub fn event(&self, class: Class, name: &'static str, key: &[u8]) {
        self.event_in(self.session.db, class, name, key);
    }

    /// As [`Ctx::event`], if that has happened.
    #[inline]
    pub fn event_if(&self, happened: bool, class: Class, name: &'static str, key: &[u8]) {
        if happened {
            self.event(class, name, key);
        }
    }

    /// Tells what the command did to a key of another database.
    #[inline]
    pub fn event_in(&self, db: usize, class: Class, name: &'static str, key: &[u8]) {
        self.node.key_event(class, name, db, key);
    }

    /// Tells that a key was read which is not there.
    #[inline]
    pub fn missed(&self, key: Key<'_>) {
        self.event(Class::KeyMiss, "keymiss", key.bytes);
    }

    /// Tells that a key of the command's database is about to be created, unless it is there: to be called before it is
    /// written.
    #[inline]
    pub fn event_if_new(&mut self, key: Key<'_>) {
        if self.node.wants_events(Class::New) && self.store.peek(key).is_none() {
            self.event(Class::New, "new", key.bytes);
        }
    }
}
