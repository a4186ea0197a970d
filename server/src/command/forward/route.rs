//! Where a client's command is run: here, or by others; and who is told where instead.

use super::errand::{Errand, Lone, Work};
use super::spread::{Cursor, Gather, Spread};
use super::{Forwarding, Manner, Outgoing};
use crate::cluster::id::Id;
use crate::command::cluster::{Slots, Stand, View, Want};
use crate::command::context::Wait;
use crate::command::dispatch::{Call, HELD_MS};
use crate::command::fault::Fault;
use crate::command::reply::Reply;
use crate::command::row::{Flags, Group, Scope};
use crate::command::session::{Replies, Session};
use crate::command::shared::{Shared, steady_ms};
use crate::command::table::Found;
use crate::command::transaction;
use crate::command::words::Kept;
use crate::config::Routing;
use crate::repl::spell::push_command;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// What speaks for a connection's knowing of the cluster by itself: all its commands were for this node.
///
/// Where a node has a part of all slots, a client that knows of none asks it for keys of others sooner or later. So each slot
/// that was asked for rightly counts, the more the smaller that part is; and once the topology changes, it is known who has
/// found the way alone, and is to be told of the new one. Slots are counted by 64 buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    seen: u64,
    /// Bits of evidence in a slot, by the topology that the connection has seen last.
    weight: f32,
}

/// Bits of evidence that are taken for certainty: one connection in 10^12 has as much by chance.
const CERTAIN_BITS: f32 = 40.0;

impl Evidence {
    /// Begins anew where a node has this share of all slots.
    pub fn of_share(share: f32) -> Evidence {
        Evidence { seen: 0, weight: if share > 0.0 { -share.log2() } else { 0.0 } }
    }

    #[inline]
    pub fn note(&mut self, slot: u16) {
        self.seen |= 1 << (slot % 64);
    }

    /// Whether chance is ruled out.
    pub fn is_certain(self) -> bool {
        self.seen.count_ones() as f32 * self.weight >= CERTAIN_BITS
    }
}

/// What is to be done with a command.
pub enum Way {
    /// It is run here.
    Here,
    /// It is queued, and where it is run is seen when the transaction is.
    Queued,
    Wait(Wait),
    Away(Journey),
}

/// A command that others are asked to run.
pub struct Journey {
    work: Work,
    lone: Option<Lone>,
    is_repeatable: bool,
    /// If it may wait there for long: the reply where that is called off.
    nothing: Option<&'static [u8]>,
    /// Whether it is about the whole cluster, whoever asks: all of it has to have happened everywhere.
    is_everywhere: bool,
}

impl Session {
    /// Whether the connection is served as one that knows of no cluster.
    pub fn is_forwarded(&self, node: &Shared) -> bool {
        let is_client = !(self.is_primary || self.imports || self.is_forwarder || self.is_proxy);
        is_client
            && self.tracking.is_none()
            && match node.cluster.routing(self.client.local.port()) {
                Routing::Redirect => false,
                Routing::Forward => true,
                Routing::Auto => !self.knows_cluster,
            }
    }

    /// Sees whether the connection has found its way by itself until the topology changed.
    pub fn judge(&mut self, view: &View) {
        self.knows_cluster |= self.evidence.is_certain();
        self.evidence = Evidence::of_share(view.share());
    }

    /// What is under way on other nodes for it.
    pub fn forwarding(&mut self) -> &mut Forwarding {
        self.forwarding.get_or_insert_default()
    }

    /// Sends a message to all other nodes: each primary passes it on to its replicas.
    pub fn broadcast(&mut self, node: &Shared, words: &[&[u8]]) {
        let view = node.cluster.view();
        let request = spelled(words.iter().copied());
        let alone = view.topology.nodes().iter().filter(|(_, node)| node.shard.is_none()).map(|(id, _)| *id);
        let primaries = view.topology.shards().values().map(|shard| shard.primary);
        for to in primaries.chain(alone).filter(|id| *id != view.me) {
            self.forwarding().tell(Outgoing::told(to, request.clone()));
        }
    }

    /// Gives up the line on which it watches keys of another node.
    pub fn leave_watching(&mut self) {
        let Some(forwarding) = &mut self.forwarding else { return };
        let Some((to, number)) = forwarding.watch_no_more() else { return };
        let owner = (self.client.id, number);
        forwarding.tell(Outgoing {
            lone: Some(owner),
            is_last: true,
            goes_on: true,
            ..Outgoing::told(to, spelled([&b"UNWATCH"[..]].into_iter()))
        });
    }
}

impl Call<'_> {
    /// Where the command of a client is to be run.
    ///
    /// # Errors
    ///
    /// Where the client is to ask instead, or why nobody can serve it.
    pub fn find_way(&self, found: &'static Found, stand: Stand<'_>, session: &mut Session) -> Result<Way, Fault> {
        let is_exec = found.row.scope == Scope::Transaction;
        let queue = session.queue.as_ref().filter(|_| is_exec);
        let flags = queue.map_or(found.row.flags, |queue| found.row.flags.and(queue.flags()));
        let slots = queue.map_or_else(|| self.slots(found), |queue| queue.slots());
        let is_lone = is_lone(found);
        if let Some(forwarding) = &mut session.forwarding
            && (session.queue.is_none() || is_exec)
            && forwarding.must_wait(slots.is_some() && !is_lone, stand.view)
        {
            return Ok(Way::Wait(Wait::Until(u64::MAX)));
        }
        if is_everywhere(found) && !session.is_forwarder && !session.imports {
            return self.leave_for_all(found);
        }
        let want = session.want(flags, found.is_of_channels);
        let fault = match stand.admit(slots, want) {
            Ok(()) if slots.is_some() => {
                slots.iter().for_each(|slots| session.evidence.note(slots.first));
                if session.is_watching_elsewhere() && (is_exec || found.row.name == "WATCH") {
                    return self.leave_for_watched(found, stand, session);
                }
                return Ok(way_here(session));
            }
            Ok(()) if found.spread == Spread::No && !is_exec => return Ok(Way::Here),
            Ok(()) => None,
            // The new owner may not know yet that it is.
            Err(Fault::Moved { .. }) if slots.is_some_and(|slots| self.node.cluster.is_frozen(slots.first)) => {
                return Ok(Way::Wait(Wait::Again(steady_ms() + HELD_MS)));
            }
            Err(fault) => Some(fault),
        };
        if session.is_forwarder && fault.is_some() {
            return self.admit_each(found, stand, session, want).map(|()| Way::Here);
        }
        if !session.is_forwarded(self.node) {
            return fault.map_or(Ok(Way::Here), Err);
        }
        if session.queue.is_some() && !is_exec {
            let is_scattered = slots.is_some_and(|slots| slots.crosses);
            return if is_scattered { Err(Fault::CrossSlot) } else { Ok(Way::Queued) };
        }
        if is_exec && (session.is_watching_elsewhere() || fault.is_some()) {
            return self.leave_for_exec(stand, session, want);
        }
        if fault.is_some() {
            // Who finds the way alone would not have asked here, as long as the topology stays the same.
            session.evidence = Evidence::default();
        }
        match (fault, slots) {
            (None, _) => self.leave_for_all(found),
            (Some(fault), Some(slots)) => self.leave_for_keys(found, stand, session, slots, fault),
            (Some(fault), None) => Err(fault),
        }
    }

    /// The slots of all keys of a command, or of those that are queued.
    pub fn each_slot(&self, found: &Found, session: &Session) -> Vec<u16> {
        match session.queue.as_ref().filter(|_| found.row.scope == Scope::Transaction) {
            Some(queue) => queue.each_slot(self.node),
            None if found.is_of_channels => self.slots(found).iter().map(|slots| slots.first).collect(),
            None => self.places.iter().map(|place| place.slot).collect(),
        }
    }

    /// Whether all keys are served here, if in several slots.
    fn admit_each(&self, found: &Found, stand: Stand<'_>, session: &Session, want: Want) -> Result<(), Fault> {
        let each = self.each_slot(found, session);
        each.into_iter().try_for_each(|first| stand.admit(Some(Slots { first, crosses: false }), want))
    }

    /// A command about all keys is asked of all shards.
    fn leave_for_all(&self, found: &'static Found) -> Result<Way, Fault> {
        let request = spelled(self.words.iter());
        let work = match found.spread {
            Spread::All(gather) => Work::All { request, gather },
            Spread::Scan => {
                let Some(cursor) = Cursor::parse(self.words.get(1)) else { return Ok(Way::Here) };
                let inner = cursor.inner.to_string();
                let mut words: Vec<&[u8]> = self.words.iter().collect();
                words[1] = inner.as_bytes();
                Work::Scan { request: spelled(words.into_iter()), cursor }
            }
            Spread::No | Spread::Keys(_) => return Ok(Way::Here),
        };
        let is_everywhere = is_everywhere(found);
        let is_repeatable = is_everywhere || !found.row.flags.has(Flags::WRITE);
        Ok(Way::Away(Journey { work, lone: None, is_repeatable, nothing: None, is_everywhere }))
    }

    /// A command is asked of who has its keys.
    fn leave_for_keys(
        &self,
        found: &'static Found,
        stand: Stand<'_>,
        session: &mut Session,
        slots: Slots,
        fault: Fault,
    ) -> Result<Way, Fault> {
        let flags = found.row.flags;
        // One that this node would serve if it had its lease is said to itself, again and again, until it has, or another has.
        if !matches!(fault, Fault::Moved { .. } | Fault::CrossSlot | Fault::ClusterDown) {
            return Err(fault);
        }
        if found.is_of_channels && !flags.has(Flags::MAY_REPLICATE) {
            // Messages would have to be passed on for as long as it listens; a client that can listen to shard channels
            // goes where it is told.
            return Err(fault);
        }
        if found.row.name == "WATCH" {
            return self.leave_for_watched(found, stand, session);
        }
        let work = match (slots.crosses, found.spread) {
            (false, _) => Work::Slot { slot: slots.first, request: spelled(self.words.iter()), commands: 1 },
            (true, Spread::Keys(gather)) => {
                if self.admit_each(found, stand, session, session.want(flags, false)).is_ok() {
                    return Ok(way_here(session));
                }
                match self.work_by_keys(found, gather) {
                    Some(work) => work,
                    // The handler says what is wrong with it, before it looks at any key.
                    None => return Ok(Way::Here),
                }
            }
            (true, _) => return Err(fault),
        };
        Ok(Way::Away(Journey {
            work,
            lone: None,
            is_repeatable: !flags.has(Flags::WRITE),
            nothing: None,
            is_everywhere: false,
        }))
    }

    fn work_by_keys(&self, found: &Found, gather: Gather) -> Option<Work> {
        let (first, step) = (found.placed.first, found.placed.step.max(1));
        let is_whole = (self.words.len() - first).is_multiple_of(step);
        is_whole.then(|| Work::Keys { words: Kept::of(self.words.iter()), first, step, gather })
    }

    /// `WATCH` on another node goes over a line of its own, over which `EXEC` comes later. All that is watched must be there.
    fn leave_for_watched(&self, found: &'static Found, stand: Stand<'_>, session: &mut Session) -> Result<Way, Fault> {
        if found.row.scope == Scope::Transaction {
            return self.leave_for_exec(stand, session, session.want(Flags::WRITE, false));
        }
        let (node, slot) = one_node(stand.view, &self.each_slot(found, session)).ok_or(Fault::CrossSlot)?;
        let before = session.forwarding().watching();
        if before.is_some_and(|(at, _)| at != node) || !session.watched.is_empty() {
            return Err(Fault::CrossSlot);
        }
        let number = before.map_or_else(|| session.forwarding().new_lines(1), |(_, line)| line);
        session.forwarding().watch_at(node, number);
        let otherwise = before.map(|_| &b"+OK\r\n"[..]);
        let work = Work::Slot { slot, request: spelled(self.words.iter()), commands: 1 };
        let lone = Some(Lone { number, is_last: false, otherwise });
        Ok(Way::Away(Journey { work, lone, is_repeatable: false, nothing: None, is_everywhere: false }))
    }

    /// A transaction is run by the node that has all its keys, or here.
    fn leave_for_exec(&self, stand: Stand<'_>, session: &mut Session, want: Want) -> Result<Way, Fault> {
        let watching = session.forwarding.as_ref().and_then(|forwarding| forwarding.watching());
        let Some(queue) = session.queue.as_ref().filter(|queue| !queue.is_spoilt()) else { return Ok(Way::Here) };
        let slots = queue.each_slot(self.node);
        if watching.is_none() {
            let is_here = |slot: &u16| stand.admit(Some(Slots { first: *slot, crosses: false }), want).is_ok();
            if slots.iter().all(is_here) {
                return Ok(way_here(session));
            }
        }
        let asked = match (one_node(stand.view, &slots), watching) {
            (None, None) => return Err(Fault::CrossSlot),
            (None, Some(_)) if !slots.is_empty() => return Err(Fault::CrossSlot),
            (None, Some((at, _))) => (at, slot_of(stand.view, at).ok_or(Fault::SlotUnserved)?),
            (Some((node, _)), Some((at, _))) if node != at => return Err(Fault::CrossSlot),
            (Some(asked), _) => asked,
        };
        if !session.watched.is_empty() {
            // What was watched is here, and what is to be run is not; or this node has lost its lease.
            return Err(if asked.0 == stand.view.me { Fault::ClusterDown } else { Fault::CrossSlot });
        }
        let (request, commands) = queue.spelled();
        let work = Work::Slot { slot: asked.1, request: request.into(), commands };
        let is_3 = session.client.protocol.load(Relaxed) == 3;
        let otherwise = Some(if is_3 { &b"_\r\n"[..] } else { b"*-1\r\n" });
        let lone = watching.map(|(_, number)| Lone { number, is_last: true, otherwise });
        if watching.is_some() {
            session.forwarding().watch_no_more();
        }
        Ok(Way::Away(Journey { work, lone, is_repeatable: false, nothing: None, is_everywhere: false }))
    }

    /// Sends a command on its way. Its reply is to come where the output ends now.
    ///
    /// # Errors
    ///
    /// If some slot is nobody's.
    pub fn depart(
        &self,
        found: &'static Found,
        journey: Journey,
        stand: Stand<'_>,
        session: &mut Session,
        reply: &Reply,
    ) -> Result<(), Fault> {
        let Journey { work, mut lone, is_repeatable, mut nothing, is_everywhere } = journey;
        if found.row.flags.has(Flags::BLOCKING) && found.row.scope != Scope::Transaction {
            // One for each shard that may be asked.
            let number = session.forwarding().new_lines(stand.view.topology.shards().len() as u64);
            lone = Some(Lone { number, is_last: true, otherwise: None });
            nothing = Some(nothing_of(found, reply.protocol()));
        }
        let manner = Manner {
            protocol: reply.protocol(),
            durability: session.durability,
            is_quiet: session.client.no_touch.load(Relaxed),
        };
        let until_ms = steady_ms() + self.node.cluster.forward_timeout_ms();
        let mut errand = Errand::new(reply.out.len(), work, manner, until_ms);
        (errand.lone, errand.is_repeatable, errand.nothing) = (lone, is_repeatable, nothing);
        errand.has_second_round = is_everywhere;
        errand.may_wait = session.is_alone;
        errand.is_hushed = matches!(session.replies, Replies::Off | Replies::Skip);
        let client = session.client.clone();
        session.forwarding().begin(errand, stand.view, &client)?;
        if nothing.is_some() {
            client.block(true);
        }
        if session.is_forwarded(self.node) {
            client.is_plain.store(true, Relaxed);
        }
        self.node.stats.forwarded.fetch_add(1, Relaxed);
        if found.row.scope == Scope::Transaction {
            transaction::end(self.node, session);
        }
        Ok(())
    }
}

/// What is to be done with a command whose keys are all served here.
fn way_here(session: &mut Session) -> Way {
    let waits = session.forwarding.as_mut().is_some_and(|forwarding| forwarding.must_wait_here());
    if waits { Way::Wait(Wait::Until(u64::MAX)) } else { Way::Here }
}

/// Whether a command is about the whole cluster, whoever asks.
pub fn is_everywhere(found: &Found) -> bool {
    found.row.group == Group::Cache && matches!(found.spread, Spread::All(_))
}

/// Whether a command is said on a line of its own: it may wait for long, or what it says holds for what is said behind it.
fn is_lone(found: &Found) -> bool {
    found.row.flags.has(Flags::BLOCKING) || found.row.name == "WATCH"
}

/// What a command that may wait is answered where its wait is called off.
fn nothing_of(found: &Found, protocol: u8) -> &'static [u8] {
    match (found.row.name, protocol) {
        ("WAIT", _) => b":0\r\n",
        (_, 3) => b"_\r\n",
        ("BLMOVE" | "BRPOPLPUSH", _) => b"$-1\r\n",
        _ => b"*-1\r\n",
    }
}

/// A command as it is said.
fn spelled<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>) -> Arc<[u8]> {
    let mut request = Vec::new();
    push_command(&mut request, words);
    request.into()
}

/// The node that serves all of these slots, and one of them.
fn one_node(view: &View, slots: &[u16]) -> Option<(Id, u16)> {
    let mut nodes = slots.iter().map(|slot| Some((view.primary_id_of(*slot)?, *slot)));
    let first = nodes.next()??;
    nodes.all(|node| node.is_some_and(|(id, _)| id == first.0)).then_some(first)
}

/// A slot that a node serves.
fn slot_of(view: &View, node: Id) -> Option<u16> {
    view.runs()
        .iter()
        .find(|run| view.topology.shard(run.shard).is_some_and(|shard| shard.primary == node))
        .map(|run| run.first)
}
