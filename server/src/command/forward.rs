//! Commands that other nodes are asked to run: a client that knows of no cluster may ask any node, and sees one cache.
//!
//! Who knows of clusters is told where a key is (`MOVED`) and asks there. Who does not is served by the node it has asked: that
//! node asks the others, about each key the one that has it, and puts their replies together. Which of the two a connection
//! is, the setting `routing` says, or what it does ([`Evidence`]).
//!
//! A connection's replies come in the order of its requests, as ever, and so do the effects of its commands on one key: those
//! for one node go over one line in their order, and whatever a node refuses is said again, in its order, before anything else
//! is said. A command that is about no key waits until all before it are answered. Commands on keys of different nodes may
//! take effect in another order than they were said in, as those of different connections may.
//!
//! This is without sockets: what is to be sent is [taken](Forwarding::take_outgoing) by the connection's worker, whose lines
//! (`net`) leave the answers where they belong ([`Answer`]).

mod answer;
mod errand;
mod route;
mod spread;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Came, LEASED, Manner, Outgoing, is_refusal};
pub use errand::{Errand, Lone, Outcome, Work};
pub use route::{Evidence, Journey, Way, is_everywhere};
pub use spread::{Cursor, Gather, Spread};

use super::clients::{Client, Unblocked};
use super::cluster::View;
use super::reply::Reply;
use crate::cluster::id::Id;
use std::collections::VecDeque;
use std::sync::Arc;

/// How often what was refused is tried again while the topology stays the same, in milliseconds.
const AGAIN_MS: u64 = 20;

/// Commands of one connection that may be under way, and bytes of them.
const UNDER_WAY_MAX: usize = 4096;
const UNDER_WAY_BYTES: usize = 32 << 20;

/// What a connection has under way on other nodes.
#[derive(Default)]
pub struct Forwarding {
    /// Oldest first.
    errands: VecDeque<Errand>,
    /// Bytes of these.
    bytes: usize,
    outgoing: Vec<Outgoing>,
    /// The topology by which those under way were sent.
    version: u64,
    /// Lines of their own that it has had.
    lines: u64,
    /// The node where it watches keys, and the line on which it has said so.
    watching: Option<(Id, u64)>,
    /// Whether its next command waits until all are answered.
    is_awaited: bool,
    /// Whether some are to be said again.
    has_due: bool,
    /// Whether this node is asked as well, by a line of its own, since there was nothing under way.
    asks_itself: bool,
    /// When that which was refused is tried again, a time of `steady_ms`.
    again_ms: u64,
}

impl Forwarding {
    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.errands.is_empty()
    }

    /// Where the oldest reply that is still to come belongs in the output.
    #[inline]
    pub fn first_at(&self) -> Option<usize> {
        self.errands.front().map(|errand| errand.at)
    }

    /// Whether a command waits until those under way are answered.
    pub fn is_awaited(&self) -> bool {
        self.is_awaited && !self.is_idle()
    }

    /// Whether a command must wait until those under way are answered: one that is about no key, as it is ordered with all; any
    /// while one is to be said again, or has a line of its own, or once the topology is another, as its key may have been
    /// another node's.
    pub fn must_wait(&mut self, has_keys: bool, view: &View) -> bool {
        let is_in_order = has_keys
            && self.version == view.version
            && self.errands.len() < UNDER_WAY_MAX
            && self.bytes < UNDER_WAY_BYTES
            && !self.has_due
            && self.errands.back().is_none_or(|last| last.lone.is_none());
        self.is_awaited = !self.is_idle() && !is_in_order;
        self.is_awaited
    }

    /// Whether a command that is to be run here must wait until those under way are answered: one of them is to be run here,
    /// too, and comes by a line.
    pub fn must_wait_here(&mut self) -> bool {
        self.is_awaited = self.asks_itself && !self.is_idle();
        self.is_awaited
    }

    /// Sends a command on its way.
    ///
    /// # Errors
    ///
    /// If some slot is nobody's.
    pub fn begin(&mut self, mut errand: Errand, view: &View, client: &Arc<Client>) -> Result<(), super::Fault> {
        errand.divide(view)?;
        self.asks_itself &= !self.is_idle();
        self.asks_itself |= errand.send(view, client, &mut self.outgoing);
        self.version = view.version;
        self.bytes += errand.bytes();
        self.errands.push_back(errand);
        Ok(())
    }

    /// Sends something for which no reply is wanted.
    pub fn tell(&mut self, outgoing: Outgoing) {
        self.outgoing.push(outgoing);
    }

    /// What is to be sent.
    pub fn take_outgoing(&mut self) -> Vec<Outgoing> {
        std::mem::take(&mut self.outgoing)
    }

    pub fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// The first of so many numbers for lines of its own.
    pub fn new_lines(&mut self, count: u64) -> u64 {
        self.lines += count;
        self.lines - count
    }

    /// Where it watches keys, and on which line.
    pub fn watching(&self) -> Option<(Id, u64)> {
        self.watching
    }

    pub fn watch_at(&mut self, node: Id, line: u64) {
        self.watching = Some((node, line));
    }

    /// Watches nothing any longer. Returns where it did.
    pub fn watch_no_more(&mut self) -> Option<(Id, u64)> {
        self.watching.take()
    }

    /// Sees what has come, and says again what was refused, once all others are answered. Returns when to look again if nothing
    /// comes, a time of `steady_ms`.
    pub fn settle(&mut self, view: &View, client: &Arc<Client>, now_ms: u64) -> Option<u64> {
        if client.is_unblocked() {
            self.call_off(client);
        }
        for errand in &mut self.errands {
            errand.hear(now_ms);
            if errand.begin_second_round() {
                self.asks_itself |= errand.send(view, client, &mut self.outgoing);
            }
        }
        self.has_due = self.errands.iter().any(Errand::is_due);
        if !self.has_due {
            return None;
        }
        self.errands.iter_mut().for_each(|errand| errand.expire(now_ms));
        if self.errands.iter().any(Errand::is_under_way) {
            return None;
        }
        if self.version == view.version && now_ms < self.again_ms {
            return Some(self.again_ms);
        }
        self.version = view.version;
        self.again_ms = now_ms + AGAIN_MS;
        for errand in self.errands.iter_mut().filter(|errand| errand.is_due()) {
            self.asks_itself |= errand.send(view, client, &mut self.outgoing);
        }
        self.has_due = self.errands.iter().any(Errand::is_due);
        self.has_due.then_some(self.again_ms)
    }

    /// Ends the wait of a command on another node, as somebody has asked for.
    fn call_off(&mut self, client: &Client) {
        let fault = client.take_unblocked().and_then(Unblocked::fault);
        for errand in &mut self.errands {
            let Some(nothing) = errand.nothing else { continue };
            let mut reply = Reply::default();
            match &fault {
                Some(fault) => reply.error(fault),
                None => reply.out.extend_from_slice(nothing),
            }
            errand.call_off(&reply.out);
        }
    }

    /// Takes the oldest command if all of its reply is there: where it belongs in the output, and what came of it.
    pub fn take_done(&mut self, view: &View, client: &Client) -> Option<(usize, Outcome)> {
        let front = self.errands.front()?;
        let shards = if front.counts_shards() { errand::shards(view).len() } else { 0 };
        let outcome = front.outcome(shards)?;
        let errand = self.errands.pop_front()?;
        self.bytes -= errand.bytes();
        if errand.nothing.is_some() {
            client.take_unblocked();
        }
        let outcome = match outcome {
            Outcome::Reply(_) if errand.is_hushed => Outcome::Reply(Vec::new()),
            outcome => outcome,
        };
        Some((errand.at, outcome))
    }

    /// Notes that the output has become longer by `by` bytes, or shorter, before the replies that belong at `from` or behind.
    pub fn shift(&mut self, from: usize, by: isize) {
        let behind = self.errands.iter_mut().filter(|errand| errand.at >= from);
        behind.for_each(|errand| errand.at = errand.at.saturating_add_signed(by));
    }
}
