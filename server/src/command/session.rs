//! What a connection has said about itself: its database, protocol, login and modes.

use super::blocking::Parked;
use super::cache;
use super::clients::Client;
use super::cluster;
use super::forward::{Evidence, Forwarding};
use super::pubsub::Subscriptions;
use super::replication::{Ask, Asked, AwaitedAcks, Hold, Mark};
use super::row::Flags;
use super::shared::Shared;
use super::tracking::Tracking;
use super::transaction::{Queue, Watched};
use crate::config::Durability;
use crate::store::snapshot::Ahead;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Which replies a connection wants: `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Replies {
    #[default]
    On,
    Off,
    /// Not the reply to the next command.
    SkipNext,
    /// Not the reply to this command.
    Skip,
}

/// One connection's state, known to its worker alone.
pub struct Session {
    pub client: Arc<Client>,
    /// The number of the selected database, 0 to 15.
    pub db: usize,
    /// Whether the password, if there is one, was given.
    pub authenticated: bool,
    pub replies: Replies,
    /// The worker that runs it.
    pub worker: usize,
    /// The command that waits for a key.
    pub parked: Option<Arc<Parked>>,
    /// The commands that wait for `EXEC`, if `MULTI` was said.
    pub queue: Option<Box<Queue>>,
    pub watched: Vec<Watched>,
    /// Whether nothing is known of requests behind the one at hand.
    pub is_alone: bool,
    /// Whether `EXEC` is running: nothing may wait.
    pub in_transaction: bool,
    /// Whether this stands for a connection of which another worker looks after the rest.
    pub is_proxy: bool,
    /// What `CLIENT TRACKING` has said, if it is on.
    pub tracking: Option<Box<Tracking>>,
    /// Whether it stands for the node's primary: its commands pass all gates, and see what has expired.
    pub is_primary: bool,
    /// Whether it brings keys of slots that are on their way here.
    pub imports: bool,
    /// Whether it brings commands of other nodes' clients.
    pub is_forwarder: bool,
    /// What other nodes are asked to run for it.
    pub forwarding: Option<Box<Forwarding>>,
    /// Whether it has shown that it finds its way in a cluster, and what speaks for that.
    pub knows_cluster: bool,
    pub evidence: Evidence,
    /// The version of the topology that its subscriptions were looked through for.
    pub topology_seen: u64,
    /// The change of the cluster that its command has asked for.
    pub asked_cluster: Option<cluster::Ticket>,
    /// How far its command has come, if that is done bit by bit.
    pub walk: Option<Box<cache::Walk>>,
    /// The list of the hottest keys that its command has asked for.
    pub asked_list: Option<u64>,
    /// The long string that is read for a snapshot before the command at hand changes its key.
    pub ahead: Option<Ahead>,
    /// Whether the primary wants to know how far the node is.
    pub wants_ack: bool,
    /// What it has said of itself as a replica, and what it asks for.
    pub asked: Option<Box<Asked>>,
    pub ask: Option<Box<Ask>>,
    /// Whether it has acknowledged something since this was last looked at.
    pub has_acked: bool,
    /// What `WAIT` waits for.
    pub awaited: Option<AwaitedAcks>,
    /// Who must hold its writes before they are answered, if it has said so.
    pub durability: Option<Durability>,
    /// Replies that are held until they do, oldest first.
    pub holds: VecDeque<Hold>,
    /// The offset behind the last write whose reply was looked at for that.
    pub seen_written: u64,
    /// What the reply to its command shows of the stream, where that is known from when the command was run.
    pub read: Option<Mark>,
    /// `None` if it is subscribed to nothing.
    pub subscriptions: Option<Box<Subscriptions>>,
}

impl Session {
    pub fn new(client: Arc<Client>, authenticated: bool) -> Session {
        let worker = client.worker;
        Session {
            client,
            db: 0,
            authenticated,
            replies: Replies::On,
            worker,
            parked: None,
            queue: None,
            watched: Vec::new(),
            is_alone: true,
            in_transaction: false,
            is_proxy: false,
            tracking: None,
            is_primary: false,
            imports: false,
            is_forwarder: false,
            forwarding: None,
            knows_cluster: false,
            evidence: Evidence::default(),
            topology_seen: 0,
            asked_cluster: None,
            walk: None,
            asked_list: None,
            ahead: None,
            wants_ack: false,
            asked: None,
            ask: None,
            has_acked: false,
            awaited: None,
            durability: None,
            holds: VecDeque::new(),
            seen_written: 0,
            read: None,
            subscriptions: None,
        }
    }

    /// What stands for a connection while another worker runs a command for it.
    pub fn proxy(client: Arc<Client>, db: usize, worker: usize) -> Session {
        Session { db, worker, is_proxy: true, ..Session::new(client, true) }
    }

    pub fn select(&mut self, db: usize) {
        self.db = db;
        self.client.db.store(db as u8, Relaxed);
    }

    /// What it wants to do with keys by a command of these flags.
    #[inline]
    pub fn want(&self, flags: Flags, is_channel: bool) -> cluster::Want {
        cluster::Want::new(flags, self.client.reads_replica.load(Relaxed), is_channel)
    }

    /// Who must hold what its replies tell of before they are sent.
    #[inline]
    pub fn durability(&self, node: &Shared) -> Durability {
        self.durability.unwrap_or_else(|| node.replication.durability())
    }

    /// Whether the connection's command waits for a key, and goes on waiting.
    pub fn is_waiting(&self, now_ms: u64) -> bool {
        self.parked.as_ref().is_some_and(|parked| !self.client.is_unblocked() && !parked.is_over(now_ms))
    }

    /// Whether it watches keys of another node.
    pub fn is_watching_elsewhere(&self) -> bool {
        self.forwarding.as_ref().is_some_and(|forwarding| forwarding.watching().is_some())
    }

    /// Whether its next command waits until other nodes have answered those before.
    pub fn awaits_others(&self) -> bool {
        self.forwarding.as_ref().is_some_and(|forwarding| forwarding.is_awaited())
    }

    /// Whether it stood for a primary that the node does not follow any longer.
    pub fn is_late(&self) -> bool {
        self.is_primary && self.client.is_killed()
    }

    /// Whether the connection's `WAIT` goes on waiting.
    pub fn awaits_acks(&self, node: &Shared, now_ms: u64) -> bool {
        self.awaited.is_some_and(|awaited| {
            !self.client.is_unblocked()
                && now_ms < awaited.until_ms
                && node.replication.acked_by(awaited.offset) < awaited.replicas
        })
    }

    /// Bytes of the commands that wait for `EXEC`.
    pub fn queued_bytes(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.bytes())
    }

    /// Whether it is subscribed to anything.
    #[inline]
    pub fn is_subscriber(&self) -> bool {
        self.subscriptions.is_some()
    }

    /// Whether the connection shows every command that any connection runs.
    pub fn is_monitor(&self) -> bool {
        self.client.monitor.load(Relaxed)
    }

    /// Shows the connection every command from now on.
    pub fn start_monitor(&mut self, node: &Shared) {
        if !self.client.monitor.swap(true, Relaxed) {
            node.monitors.fetch_add(1, Relaxed);
        }
    }

    /// Ends what [`Session::start_monitor`] began, if it did. `RESET` and the end of a connection call it.
    pub fn leave_monitor(&mut self, node: &Shared) {
        if self.client.monitor.swap(false, Relaxed) {
            node.monitors.fetch_sub(1, Relaxed);
        }
    }
}
