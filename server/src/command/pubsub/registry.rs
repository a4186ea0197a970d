//! Who is subscribed to what: channels and shard channels by name, patterns in one list.
//!
//! Whoever publishes reads, under a lock that other publishers share; whoever subscribes or leaves writes. Channels are
//! spread over parts, each with a lock of its own, so that neither keeps the whole node waiting.

use crate::base::hash::{self, OfProcess};
use crate::command::clients::Client;
use parking_lot::RwLock;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Parts of the channels. Enough for two of a few dozen workers to meet seldom.
const PARTS: usize = 64;

/// All subscriptions of a node.
#[derive(Default)]
pub struct PubSub {
    pub channels: Channels,
    pub patterns: Patterns,
    pub shard_channels: Channels,
    clients: AtomicUsize,
}

impl PubSub {
    /// Connections that are subscribed to something.
    pub fn clients(&self) -> usize {
        self.clients.load(Relaxed)
    }

    pub(super) fn client_came(&self) {
        self.clients.fetch_add(1, Relaxed);
    }

    pub(super) fn client_left(&self) {
        self.clients.fetch_sub(1, Relaxed);
    }
}

/// Channels that somebody is subscribed to.
pub struct Channels {
    parts: Box<[Part]>,
    count: AtomicUsize,
}

/// Some of the channels, alone on their cache lines.
#[repr(align(128))]
#[derive(Default)]
struct Part(RwLock<HashMap<Arc<[u8]>, Receivers, OfProcess>>);

impl Default for Channels {
    fn default() -> Channels {
        Channels { parts: (0..PARTS).map(|_| Part::default()).collect(), count: AtomicUsize::new(0) }
    }
}

impl Channels {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a subscriber.
    pub fn add(&self, name: &Arc<[u8]>, client: &Arc<Client>) {
        let mut part = self.part(name).write();
        let receivers = part.entry(name.clone()).or_insert_with(|| {
            self.count.fetch_add(1, Relaxed);
            Receivers::default()
        });
        receivers.add(client);
    }

    /// Takes a subscriber away. Once this returns, nothing more comes to it from this channel.
    pub fn remove(&self, name: &[u8], client: &Client) {
        let mut part = self.part(name).write();
        if part.get_mut(name).is_some_and(|receivers| receivers.remove(client)) {
            part.remove(name);
            self.count.fetch_sub(1, Relaxed);
            if part.capacity() > 64 && part.len() < part.capacity() / 8 {
                part.shrink_to_fit();
            }
        }
    }

    /// Takes out all channels that `is_meant` says, with their subscribers. Nothing more comes to these from there.
    pub fn take_out(&self, is_meant: &impl Fn(&[u8]) -> bool) -> Vec<(Arc<[u8]>, Receivers)> {
        let mut taken = Vec::new();
        for part in self.parts.iter().filter(|_| !self.is_empty()) {
            taken.extend(part.0.write().extract_if(|name, _| is_meant(name)));
        }
        self.count.fetch_sub(taken.len(), Relaxed);
        taken
    }

    /// Hands the subscribers of a channel to `visit`, if there are any.
    #[inline]
    pub fn with(&self, name: &[u8], visit: impl FnOnce(&Receivers)) {
        // Most keys have events that nobody is subscribed to, and most nodes no shard channels.
        if self.is_empty() {
            return;
        }
        if let Some(receivers) = self.part(name).read().get(name) {
            visit(receivers);
        }
    }

    /// How many are subscribed to a channel.
    pub fn subscribers(&self, name: &[u8]) -> usize {
        let mut count = 0;
        self.with(name, |receivers| count = receivers.iter().len());
        count
    }

    /// The names of all channels that pass a filter, in no order.
    pub fn names(&self, passes: impl Fn(&[u8]) -> bool) -> Vec<Arc<[u8]>> {
        let mut names = Vec::new();
        for part in &self.parts {
            names.extend(part.0.read().keys().filter(|name| passes(name)).cloned());
        }
        names
    }

    fn part(&self, name: &[u8]) -> &RwLock<HashMap<Arc<[u8]>, Receivers, OfProcess>> {
        // The map finds its groups by the low bits and tells names apart by the top seven.
        &self.parts[(hash::of(name) >> 48) as usize % PARTS].0
    }
}

/// Patterns that somebody is subscribed to.
#[derive(Default)]
pub struct Patterns {
    all: RwLock<BTreeMap<Arc<[u8]>, Receivers>>,
    /// Read before the lock is taken.
    count: AtomicUsize,
}

impl Patterns {
    /// How many different ones there are.
    pub fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a subscriber.
    pub fn add(&self, pattern: &Arc<[u8]>, client: &Arc<Client>) {
        let mut all = self.all.write();
        all.entry(pattern.clone()).or_default().add(client);
        self.count.store(all.len(), Relaxed);
    }

    /// Takes a subscriber away. Once this returns, nothing more comes to it by this pattern.
    pub fn remove(&self, pattern: &[u8], client: &Client) {
        let mut all = self.all.write();
        if all.get_mut(pattern).is_some_and(|receivers| receivers.remove(client)) {
            all.remove(pattern);
        }
        self.count.store(all.len(), Relaxed);
    }

    /// Hands each pattern and its subscribers to `visit`, in the order of the patterns' bytes.
    pub fn each(&self, mut visit: impl FnMut(&[u8], &Receivers)) {
        if self.is_empty() {
            return;
        }
        self.all.read().iter().for_each(|(pattern, receivers)| visit(pattern, receivers));
    }
}

/// The subscribers of one channel or pattern, by id, which is the order in which they connected.
#[derive(Default)]
pub struct Receivers(Vec<Arc<Client>>);

impl Receivers {
    pub fn iter(&self) -> std::slice::Iter<'_, Arc<Client>> {
        self.0.iter()
    }

    pub fn has(&self, client: &Client) -> bool {
        self.0.binary_search_by_key(&client.id, |other| other.id).is_ok()
    }

    fn add(&mut self, client: &Arc<Client>) {
        if let Err(at) = self.0.binary_search_by_key(&client.id, |other| other.id) {
            self.0.insert(at, client.clone());
        }
    }

    /// Returns whether nobody is left.
    fn remove(&mut self, client: &Client) -> bool {
        if let Ok(at) = self.0.binary_search_by_key(&client.id, |other| other.id) {
            self.0.remove(at);
        }
        if self.0.len() < self.0.capacity() / 4 {
            self.0.shrink_to(self.0.len() * 2);
        }
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::net::{Ipv4Addr, SocketAddr};

    fn client(id: u64) -> Arc<Client> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        Arc::new(Client::new(id, address, address, -1, 0, 0))
    }

    fn ids(receivers: &Receivers) -> Vec<u64> {
        receivers.iter().map(|client| client.id).collect()
    }

    #[test]
    fn channels_agree_with_a_naive_list() {
        let seed = 7;
        println!("seed {seed}");
        let mut state: u64 = seed;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let clients: Vec<_> = (0..20).map(client).collect();
        let names: Vec<Arc<[u8]>> = (0..40).map(|n| format!("channel:{n}").into_bytes().into()).collect();
        let (channels, patterns) = (Channels::default(), Patterns::default());
        let mut twin: BTreeSet<(usize, u64)> = BTreeSet::new();
        for _ in 0..20_000 {
            let (name, id) = (draw(40) as usize, draw(20));
            let client = &clients[id as usize];
            if draw(3) > 0 {
                channels.remove(&names[name], client);
                patterns.remove(&names[name], client);
                twin.remove(&(name, id));
            } else {
                channels.add(&names[name], client);
                patterns.add(&names[name], client);
                twin.insert((name, id));
            }
            let expected: Vec<u64> = twin.iter().filter(|(other, _)| *other == name).map(|(_, id)| *id).collect();
            let mut seen = Vec::new();
            channels.with(&names[name], |receivers| seen = ids(receivers));
            assert_eq!(seen, expected);
            seen.clear();
            patterns.each(|pattern, receivers| {
                if *pattern == *names[name] {
                    seen = ids(receivers);
                }
            });
            assert_eq!(seen, expected);
            let channels_expected = twin.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len();
            assert_eq!((channels.len(), patterns.len()), (channels_expected, channels_expected));
        }
        assert_eq!(channels.names(|_| true).len(), channels.len());
    }
}
