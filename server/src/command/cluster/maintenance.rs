//! What clients are told that ask for it (`CLIENT MAINT_NOTIFICATIONS ON`): slots that begin to move or have moved, and a shard
//! that gets another primary. Redis's clients wait longer for answers meanwhile, and learn anew who serves what.
//!
//! The messages are those of Redis's clients for clusters: `SMIGRATING epoch slots`, `SMIGRATED epoch [[from to slots] ...]`,
//! `FAILING_OVER epoch seconds` and `FAILED_OVER epoch`, as pushes of RESP3. The number of a message is the topology's epoch, so
//! that a client which hears it from several nodes knows it again. A client that knows of no cluster, for which others were asked,
//! gets the messages for such: `MIGRATING epoch seconds`, `MIGRATED epoch`, and, when the node is about to stop, `MOVING epoch seconds
//! host:port`, upon which it connects to that other node. Slots move a few at a time, many times a second; clients
//! connect anew for each message, so they are told once that it begins, and at most every two seconds what has moved.

use super::heard::Health;
use super::view::View;
use crate::base::number::push_integer;
use crate::cluster::id::Id;
use crate::cluster::ranges::Ranges;
use crate::cluster::topology::Address;
use crate::command::clients::Client;
use crate::command::shared::Shared;
use larder_client::slot::Slot;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// The time from one word about slots that have moved to the next, unless nothing moves any more.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Seconds for which a client without knowledge of clusters waits longer for answers, unless it hears earlier that slots have moved.
const MIGRATING_SECONDS: u64 = 30;

/// Seconds for which such a client stays at the node it is sent to, before it tries the one that has stopped.
const MOVING_SECONDS: u64 = 30;

/// How long a node that is to stop waits for such clients to have gone.
const MOVING_MAX: Duration = Duration::from_secs(2);

/// Seconds within which a shard that is handed over has another primary.
const HAND_OVER_SECONDS: u64 = 2;

/// What clients have been told, and are to be told soon.
#[derive(Debug, Default)]
pub(super) struct Maintenance(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether clients know that slots of this shard move.
    is_migrating: bool,
    /// Slots that have moved and of which clients do not know, by the addresses of their primaries before and after.
    moved: BTreeMap<(String, String), BTreeSet<Slot>>,
    told: Duration,
    /// The epoch of the shard of which clients know that it is about to get another primary.
    failing_over: Option<u64>,
}

impl State {
    /// Takes note of a topology that follows another one. Returns what is to be told at once.
    fn note(&mut self, before: &View, view: &View) -> Vec<Message> {
        let mut messages = Vec::new();
        self.note_moved(before, view);
        let moving = view.topology.moves().iter().filter(|(_, a)| Some(a.from) == view.shard);
        let moving: Ranges = moving.map(|(slot, _)| *slot).collect();
        if !moving.is_empty() && !std::mem::replace(&mut self.is_migrating, true) {
            messages.push(migrating(view.topology.epoch(), &moving));
        }
        let primary = |view: &View| view.own_shard().map(|shard| shard.primary);
        let is_succeeded = before.shard == view.shard && primary(before) != primary(view);
        let has_ended = self.failing_over.is_some_and(|epoch| view.own_shard().map(|shard| shard.epoch) != Some(epoch));
        if is_succeeded && before.shard.is_some() || has_ended {
            self.failing_over = None;
            messages.push(failed_over(view.topology.epoch()));
        }
        messages
    }

    fn note_moved(&mut self, before: &View, view: &View) {
        if before.topology.slots() == view.topology.slots() {
            return;
        }
        let address = |view: &View, slot| view.primary_of(slot).map(|(host, port)| format!("{host}:{port}"));
        for (slot, owner) in view.topology.slots().iter() {
            if before.topology.owner(slot) != owner
                && let (Some(from), Some(to)) = (address(before, slot), address(view, slot))
            {
                self.moved.entry((from, to)).or_default().insert(slot);
            }
        }
    }

    /// What is to be told by now of slots that have moved.
    fn due(&mut self, now: Duration, view: &View) -> Option<Message> {
        let is_over = view.topology.moves().is_empty();
        let is_news = !self.moved.is_empty() || self.is_migrating && is_over;
        if !is_news || !is_over && now.saturating_sub(self.told) < TELL_EVERY {
            return None;
        }
        (self.told, self.is_migrating) = (now, false);
        Some(migrated(view.topology.epoch(), &std::mem::take(&mut self.moved)))
    }
}

impl Shared {
    /// Tells clients what a topology means for them. The caller holds the barrier.
    pub(super) fn tell_of_topology(&self, before: &View, view: &View) {
        let messages = self.cluster.maintenance.0.lock().note(before, view);
        messages.iter().for_each(|message| self.tell_maintenance(message));
    }

    /// Tells clients that the node hands its shard over, which it leads since an epoch.
    pub fn tell_of_hand_over(&self, epoch: u64) {
        if self.cluster.maintenance.0.lock().failing_over.replace(epoch) != Some(epoch) {
            self.tell_maintenance(&failing_over(epoch));
        }
    }

    /// Tells clients what it is time to tell. To be called some times a second.
    pub fn tell_of_moves(&self, view: &View) {
        if let Some(message) = self.cluster.maintenance.0.lock().due(self.cluster.now(), view) {
            self.tell_maintenance(&message);
        }
    }

    fn tell_maintenance(&self, message: &Message) {
        for client in self.clients.all().iter().filter(|client| wants_to_know(client)) {
            let is_plain = client.is_plain.load(Relaxed);
            self.push_maintenance(client, if is_plain { &message.to_plain } else { &message.to_others });
        }
    }

    fn push_maintenance(&self, client: &Client, message: &[u8]) {
        let output_max = self.tuning.pubsub_output().hard;
        self.cut_above(output_max, client, client.push(message));
    }

    /// Tells clients that know of no cluster to connect to other nodes, since this one is about to stop. Returns how many these
    /// are.
    pub(super) fn tell_of_leaving(&self) -> usize {
        let view = self.cluster.view();
        let heard = self.cluster.heard();
        let is_online = |id: &Id| heard.get(id).is_none_or(|heard| heard.health == Health::Online);
        let others = view.topology.nodes().iter().filter(|(id, node)| node.shard.is_some() && **id != view.me);
        let others: Vec<&Address> =
            others.filter(|(id, _)| is_online(id)).map(|(_, node)| &node.facts.address).collect();
        let clients = self.clients.all();
        let plain: Vec<_> = clients.iter().filter(|it| wants_to_know(it) && it.is_plain.load(Relaxed)).collect();
        if others.is_empty() {
            return 0;
        }
        for (at, client) in plain.iter().enumerate() {
            let address = Some(others[at % others.len()]).filter(|_| !client.wants_no_endpoint.load(Relaxed));
            self.push_maintenance(client, &moving(view.topology.epoch(), address));
        }
        plain.len()
    }

    /// Lets others take over what they can, so that the node may stop without being missed. That takes some seconds at the most; whoever
    /// runs the node's commands must not call this.
    pub fn leave_cluster(&self) {
        if !self.cluster.is_on() {
            return;
        }
        let told = self.tell_of_leaving();
        self.cluster.leave();
        if told > 0 {
            self.await_leaving();
        }
    }

    /// Waits until clients that were told to go have gone, for a time.
    fn await_leaving(&self) {
        let until = Instant::now() + MOVING_MAX;
        let is_there = |client: &Arc<Client>| wants_to_know(client) && client.is_plain.load(Relaxed);
        while Instant::now() < until && self.clients.all().iter().any(is_there) {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn wants_to_know(client: &Client) -> bool {
    client.maintenance.load(Relaxed) && client.protocol.load(Relaxed) == 3
}

// --- the messages, without their first byte

/// What clients of both kinds are told.
#[derive(Debug)]
struct Message {
    to_plain: Vec<u8>,
    to_others: Vec<u8>,
}

fn begun(name: &str, words: usize, epoch: u64) -> Vec<u8> {
    let mut message = format!("{words}\r\n${}\r\n{name}\r\n:", name.len()).into_bytes();
    push_integer(&mut message, epoch);
    message.extend_from_slice(b"\r\n");
    message
}

fn push_text(message: &mut Vec<u8>, text: &str) {
    message.extend_from_slice(format!("${}\r\n{text}\r\n", text.len()).as_bytes());
}

/// Slots as these messages have them: `1-99,105`.
fn slots_text(slots: &Ranges) -> String {
    slots.to_string().replace(' ', ",")
}

fn migrating(epoch: u64, slots: &Ranges) -> Message {
    let mut to_others = begun("SMIGRATING", 3, epoch);
    push_text(&mut to_others, &slots_text(slots));
    let mut to_plain = begun("MIGRATING", 3, epoch);
    push_seconds(&mut to_plain, MIGRATING_SECONDS);
    Message { to_plain, to_others }
}

fn moving(epoch: u64, address: Option<&Address>) -> Vec<u8> {
    let mut message = begun("MOVING", 4, epoch);
    push_seconds(&mut message, MOVING_SECONDS);
    match address {
        Some(address) => push_text(&mut message, &format!("{}:{}", address.host, address.port)),
        None => message.extend_from_slice(b"_\r\n"),
    }
    message
}

fn push_seconds(message: &mut Vec<u8>, seconds: u64) {
    message.extend_from_slice(format!(":{seconds}\r\n").as_bytes());
}

fn migrated(epoch: u64, moved: &BTreeMap<(String, String), BTreeSet<Slot>>) -> Message {
    let mut message = begun("SMIGRATED", 3, epoch);
    message.extend_from_slice(format!("*{}\r\n", moved.len()).as_bytes());
    for ((from, to), slots) in moved {
        message.extend_from_slice(b"*3\r\n");
        let slots: Ranges = slots.iter().copied().collect();
        [from, to, &slots_text(&slots)].iter().for_each(|text| push_text(&mut message, text));
    }
    Message { to_plain: begun("MIGRATED", 2, epoch), to_others: message }
}

fn failing_over(epoch: u64) -> Message {
    let mut message = begun("FAILING_OVER", 3, epoch);
    push_seconds(&mut message, HAND_OVER_SECONDS);
    Message { to_plain: message.clone(), to_others: message }
}

fn failed_over(epoch: u64) -> Message {
    let message = begun("FAILED_OVER", 2, epoch);
    Message { to_plain: message.clone(), to_others: message }
}
