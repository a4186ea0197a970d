//! What one connection is subscribed to.

use super::registry::PubSub;
use crate::base::hash::OfProcess;
use crate::command::clients::{Client, Subscribed};
use crate::command::{Session, Shared};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

type Names = HashSet<Arc<[u8]>, OfProcess>;

/// What a connection can be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Channel,
    Pattern,
    ShardChannel,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Channel, Kind::Pattern, Kind::ShardChannel];

    /// What the message says that confirms a subscription.
    pub fn subscribed(self) -> &'static str {
        match self {
            Kind::Channel => "subscribe",
            Kind::Pattern => "psubscribe",
            Kind::ShardChannel => "ssubscribe",
        }
    }

    /// What the message says that confirms its end.
    pub fn unsubscribed(self) -> &'static str {
        match self {
            Kind::Channel => "unsubscribe",
            Kind::Pattern => "punsubscribe",
            Kind::ShardChannel => "sunsubscribe",
        }
    }

    fn add(self, registry: &PubSub, name: &Arc<[u8]>, client: &Arc<Client>) {
        match self {
            Kind::Channel => registry.channels.add(name, client),
            Kind::Pattern => registry.patterns.add(name, client),
            Kind::ShardChannel => registry.shard_channels.add(name, client),
        }
    }

    fn remove(self, registry: &PubSub, name: &[u8], client: &Client) {
        match self {
            Kind::Channel => registry.channels.remove(name, client),
            Kind::Pattern => registry.patterns.remove(name, client),
            Kind::ShardChannel => registry.shard_channels.remove(name, client),
        }
    }

    /// The number of them that other connections see.
    fn shown(self, subscribed: &Subscribed) -> &AtomicU32 {
        match self {
            Kind::Channel => &subscribed.channels,
            Kind::Pattern => &subscribed.patterns,
            Kind::ShardChannel => &subscribed.shard_channels,
        }
    }
}

/// The names by kind. A connection without any has no such thing.
#[derive(Default)]
pub struct Subscriptions {
    channels: Names,
    patterns: Names,
    shard_channels: Names,
}

impl Subscriptions {
    fn of(&self, kind: Kind) -> &Names {
        match kind {
            Kind::Channel => &self.channels,
            Kind::Pattern => &self.patterns,
            Kind::ShardChannel => &self.shard_channels,
        }
    }

    fn of_mut(&mut self, kind: Kind) -> &mut Names {
        match kind {
            Kind::Channel => &mut self.channels,
            Kind::Pattern => &mut self.patterns,
            Kind::ShardChannel => &mut self.shard_channels,
        }
    }

    fn is_empty(&self) -> bool {
        Kind::ALL.iter().all(|&kind| self.of(kind).is_empty())
    }

    /// As confirmations count: channels and patterns together, shard channels alone.
    fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Channel | Kind::Pattern => self.channels.len() + self.patterns.len(),
            Kind::ShardChannel => self.shard_channels.len(),
        }
    }
}

impl Session {
    /// Subscribes the connection to a name, unless it is. Returns how many subscriptions a confirmation tells.
    pub fn subscribe(&mut self, node: &Shared, kind: Kind, name: &[u8]) -> usize {
        let subscriptions = self.subscriptions.get_or_insert_with(|| {
            node.pubsub.client_came();
            Box::default()
        });
        let names = subscriptions.of_mut(kind);
        if !names.contains(name) {
            let name: Arc<[u8]> = name.into();
            names.insert(name.clone());
            // Whoever looks at the connection takes it for a subscriber before the first message comes.
            kind.shown(&self.client.subscribed).store(names.len() as u32, Relaxed);
            kind.add(&node.pubsub, &name, &self.client);
        }
        subscriptions.count(kind)
    }

    /// Ends a subscription, if there is one. Returns how many subscriptions a confirmation tells.
    pub fn unsubscribe(&mut self, node: &Shared, kind: Kind, name: &[u8]) -> usize {
        let Some(subscriptions) = &mut self.subscriptions else {
            return 0;
        };
        let names = subscriptions.of_mut(kind);
        if names.remove(name) {
            kind.remove(&node.pubsub, name, &self.client);
            kind.shown(&self.client.subscribed).store(names.len() as u32, Relaxed);
        }
        let count = subscriptions.count(kind);
        if subscriptions.is_empty() {
            self.subscriptions = None;
            node.pubsub.client_left();
        }
        count
    }

    /// Forgets the shard channels that it was taken off because they are served elsewhere.
    pub fn forget_ended_channels(&mut self, node: &Shared) {
        for name in self.subscribed_to(Kind::ShardChannel) {
            let mut is_there = false;
            node.pubsub.shard_channels.with(&name, |receivers| is_there = receivers.has(&self.client));
            if !is_there {
                self.unsubscribe(node, Kind::ShardChannel, &name);
            }
        }
    }

    /// The names of a kind that the connection is subscribed to.
    pub fn subscribed_to(&self, kind: Kind) -> Vec<Arc<[u8]>> {
        self.subscriptions.as_ref().map_or_else(Vec::new, |names| names.of(kind).iter().cloned().collect())
    }

    /// How many subscriptions a confirmation tells.
    pub fn subscription_count(&self, kind: Kind) -> usize {
        self.subscriptions.as_ref().map_or(0, |names| names.count(kind))
    }

    /// Ends all subscriptions. `RESET` and the end of a connection call it.
    pub fn leave_pubsub(&mut self, node: &Shared) {
        for kind in Kind::ALL {
            for name in self.subscribed_to(kind) {
                self.unsubscribe(node, kind, &name);
            }
        }
    }
}
