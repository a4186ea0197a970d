//! Taking slots over: what the owner of slots that are on their way to this node says to it (`CLUSTER IMPORT`, `CLUSTER
//! CLEARSLOTS`), and what the owner holds back while it hands them over.
//!
//! The owner copies keys with `RESTORE`, and repeats what is written to them; so to this node, and to its replicas, all of that
//! is commands like any others. They are let in for slots that are on their way here alone, from whoever has proved to
//! be of the cluster.

use super::gate::{Slots, Stand};
use super::view::{Cluster, Serving};
use super::{Args, Ctx, Fault, Outcome, REPLIED, peer, view};
use crate::cluster::bus::Purpose;
use crate::command::generic::dump::payload_of;
use crate::command::shared::{Shared, now_ms};
use crate::config::Durability;
use crate::store::{Moment, Sight, TagList};
use larder_client::slot::{SLOTS, Slot};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What an owner is told that brings what is not awaited.
pub const NOT_AWAITED: &str = "ERR the slot is not on its way to this node, or this node does not lead";

/// Names that are looked up at a time when a slot is emptied.
const NAMES_AT_ONCE: usize = 128;

/// What a node knows beside the topology about slots that move.
#[derive(Default)]
pub struct Moving {
    /// Slots of this node whose writes are held back, as bits.
    frozen: Frozen,
    /// How many these are.
    frozen_count: AtomicUsize,
    /// Whether their reads are held back as well.
    holds_reads_back: AtomicBool,
    /// The step at which a test has moves stand still: its place in [`Step::ALL`], from 1 on.
    stop: AtomicU8,
}

/// The steps of a move of slots, as the owner that moves them away takes them, each by what has just been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The target has deleted what it held of them.
    Cleared,
    /// Some keys have been copied.
    Copied,
    /// All keys are there, and the target's quorum has them.
    Confirmed,
    /// Writes are held back.
    Held,
    /// Nothing is missing any more.
    Brought,
    /// The cluster has been asked to end the move.
    Asked,
    /// They are the target's, and clients are still kept waiting.
    HandedOver,
}

impl Step {
    pub const ALL: &[(&'static str, Step)] = &[
        ("cleared", Step::Cleared),
        ("copied", Step::Copied),
        ("confirmed", Step::Confirmed),
        ("held", Step::Held),
        ("brought", Step::Brought),
        ("asked", Step::Asked),
        ("handed-over", Step::HandedOver),
    ];
}

struct Frozen([AtomicU64; SLOTS as usize / 64]);

impl Default for Frozen {
    fn default() -> Frozen {
        Frozen(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Cluster {
    /// Whether writes to a slot are held back.
    #[inline]
    pub fn is_frozen(&self, slot: u16) -> bool {
        self.moving.frozen.0[usize::from(slot) / 64].load(Relaxed) >> (slot % 64) & 1 == 1
    }

    /// Whether writes to some slots are held back. Then those are, too, that may be about all keys, as they name none: `FLUSHALL` has
    /// to be done on one side or the other.
    #[inline]
    pub fn holds_some_back(&self) -> bool {
        self.moving.frozen_count.load(Relaxed) > 0
    }

    /// Whether reads of these slots are held back, too: the new owner may know already that it is, and take writes.
    pub fn holds_reads_back(&self) -> bool {
        self.moving.holds_reads_back.load(Relaxed)
    }

    /// Says whether they are.
    pub fn hold_reads_back(&self, is_on: bool) {
        self.moving.holds_reads_back.store(is_on, Relaxed);
    }

    /// Lets moves stand still once they have taken this step, as tests ask for, or go on.
    pub fn stop_moves_at(&self, step: Option<Step>) {
        let place = |step| Step::ALL.iter().position(|(_, other)| *other == step).map_or(0, |at| at + 1);
        self.moving.stop.store(step.map_or(0, place) as u8, Relaxed);
    }

    /// Where moves are to stand still.
    pub fn stop(&self) -> Option<Step> {
        let place = usize::from(self.moving.stop.load(Relaxed));
        place.checked_sub(1).map(|at| Step::ALL[at].1)
    }

    /// Holds writes to some slots back, or no longer. Once this has been called under the barrier, no write is under way.
    pub fn freeze(&self, slots: impl Iterator<Item = Slot>, is_on: bool) {
        for slot in slots {
            let (word, bit) = (&self.moving.frozen.0[slot.index() / 64], 1 << (slot.index() % 64));
            let was_on = match is_on {
                true => word.fetch_or(bit, Relaxed) & bit > 0,
                false => word.fetch_and(!bit, Relaxed) & bit > 0,
            };
            match (was_on, is_on) {
                (false, true) => self.moving.frozen_count.fetch_add(1, Relaxed),
                (true, false) => self.moving.frozen_count.fetch_sub(1, Relaxed),
                _ => 0,
            };
        }
    }
}

impl Stand<'_> {
    /// Whether what an owner of slots brings may be taken: they are on their way here, and this node leads.
    ///
    /// # Errors
    ///
    /// A refusal, upon which the owner begins anew.
    pub fn admit_import(&self, slots: Option<Slots>) -> Result<(), Fault> {
        let Some(slots) = slots else { return Ok(()) };
        let is_awaited = self.leads && !slots.crosses && self.view.serving(slots.first) == Serving::Importing;
        if is_awaited { Ok(()) } else { Err(Fault::text(NOT_AWAITED)) }
    }
}

/// `CLUSTER IMPORT node-id proof`: the connection brings slots. What it is answered is held by a quorum.
pub fn import(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let refusal = Fault::text("ERR only the nodes of the cluster bring slots; use 'larder cluster rebalance'");
    let is_peer = peer::is_shown(cx, args, Purpose::Import)?;
    if !is_peer {
        return Err(refusal);
    }
    cx.session.imports = true;
    cx.session.durability = Some(Durability::Quorum);
    cx.reply.ok();
    REPLIED
}

/// `CLUSTER CLEARSLOTS slot [slot ...]`: what is left of an earlier attempt to bring slots is deleted.
pub fn clear(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let view = view(cx)?;
    if !cx.session.imports {
        return Err(Fault::text("ERR only a connection that brings slots empties them; it says CLUSTER IMPORT first"));
    }
    let stand = Stand { leads: cx.node.cluster.holds_lease(&view), view: &view };
    while !args.is_empty() {
        let slot =
            u16::try_from(args.int()?).ok().filter(|slot| *slot < SLOTS).ok_or(Fault::text("ERR Invalid slot"))?;
        stand.admit_import(Some(Slots { first: slot, crosses: false }))?;
        while cx.node.empty_some(slot) {}
    }
    // Others' replicas are to have done so, too, before this is answered.
    cx.session.client.written.store(cx.node.replication.offset(), Relaxed);
    cx.reply.ok();
    REPLIED
}

/// A key as it was at some offset of the stream.
pub struct Copied {
    /// All that the stream says before it is in the copy, and nothing of what it says behind it.
    pub offset: u64,
    /// The value in the form of `DUMP`, and when it expires in milliseconds since 1970; `None` if there is no such key.
    pub value: Option<(Vec<u8>, Option<u64>)>,
    pub tags: TagList,
}

impl Shared {
    /// Copies a key of the first database. The caller holds no stripe.
    pub fn copy_key(&self, name: &[u8]) -> Copied {
        let key = self.store.key(name);
        let keys = self.store.lock_one(key.place.stripe(), 0, self.store.moment(now_ms()));
        let tags = keys.tags(key);
        let value = keys.entry(key).map(|entry| (payload_of(entry, false), entry.expiry()));
        // Writers note what they do while they hold the stripe.
        Copied { offset: self.replication.offset(), value, tags }
    }

    /// Deletes some keys of a slot that this node does not serve, and says so in the stream. Returns whether there are more. The
    /// caller holds no stripe.
    pub fn empty_some(&self, slot: u16) -> bool {
        // Also what has expired and may be served stale here: the slot may come back with other values.
        let moment = Moment { sight: Sight::Primary, ..self.store.moment(now_ms()) };
        let names = self.store.some_keys_in_slot(slot, NAMES_AT_ONCE, moment);
        for name in &names {
            let key = self.store.key(name);
            let mut keys = self.store.lock_one(key.place.stripe(), 0, moment);
            if keys.remove(key) {
                self.replication.note_key_gone(&self.store, key);
            }
        }
        !names.is_empty()
    }
}
