//! What consumers do: read, acknowledge, claim. A group is changed here alone, with its stream's entries in sight.

use super::consumer::{Consumer, ConsumerId};
use super::group::{Delivery, Group, Pending};
use super::id::Id;
use super::log::Log;
use super::node::Entry;
use crate::types::shared::SharedBox;

/// A group that may change, beside the entries of its stream. All of [`Group`] can be read through it.
///
/// Times are in milliseconds since 1970.
pub struct GroupMut<'a> {
    log: &'a Log,
    group: &'a mut Group,
    /// Heap bytes of all groups, and this one's when it was taken.
    groups_bytes: &'a mut usize,
    bytes_before: usize,
}

impl std::ops::Deref for GroupMut<'_> {
    type Target = Group;

    fn deref(&self) -> &Group {
        self.group
    }
}

impl Drop for GroupMut<'_> {
    fn drop(&mut self) {
        *self.groups_bytes = *self.groups_bytes - self.bytes_before + self.group.bytes();
    }
}

/// How XCLAIM takes an entry over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Entries delivered later than so many milliseconds ago are left where they are.
    pub idle_min_ms: i64,
    /// What to set as the time of delivery; times before 1970 or ahead of now mean now, as none does.
    pub time_ms: Option<i64>,
    /// What to set as the number of deliveries.
    pub count: Option<u64>,
    /// Whether to count a delivery where `count` says nothing: all but JUSTID.
    pub is_delivery: bool,
    /// Whether entries that are not pending become so.
    pub is_forced: bool,
}

/// What became of an entry to be claimed.
#[derive(Clone, Debug)]
pub enum Claimed<'a> {
    /// It is the claimer's now.
    Taken(Entry<'a>, Delivery),
    /// It was pending but is in the stream no longer, so it is not pending any more either.
    Gone,
    /// It is not pending, is in the stream no longer, or was delivered too recently.
    Left,
}

/// Where XAUTOCLAIM ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AutoClaimed {
    /// Where to go on; 0-0 after the last pending entry.
    pub next: Id,
    /// Pending entries that were in the stream no longer, which are not pending any more.
    pub gone: Vec<Id>,
}

/// How XAUTOCLAIM takes entries over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AutoClaim {
    /// The first pending id to look at.
    pub start: Id,
    pub idle_min_ms: i64,
    /// The most entries to take or to report as gone; ten times as many are looked at.
    pub count: u64,
    /// Whether to count a delivery: all but JUSTID.
    pub is_delivery: bool,
}

impl<'a> GroupMut<'a> {
    pub(super) fn new(log: &'a Log, group: &'a mut SharedBox<Group>, groups_bytes: &'a mut usize) -> Self {
        // Asked before the group is made the stream's own: what is copied may have less room to spare.
        let bytes_before = group.bytes();
        Self { bytes_before, log, group, groups_bytes }
    }

    /// The stream's entries.
    pub fn log(&self) -> &'a Log {
        self.log
    }

    /// XGROUP SETID.
    pub fn set_last_id(&mut self, id: Id, entries_read: Option<u64>) {
        self.group.last_id = id;
        self.group.entries_read = entries_read;
    }

    /// Moves the last delivered id forward, never back: XCLAIM's LASTID. True if it moved.
    pub fn advance_last_id(&mut self, id: Id) -> bool {
        let moves = id > self.group.last_id;
        self.group.last_id = self.group.last_id.max(id);
        moves
    }

    /// The consumer with this name, who is made if there is none. True if so.
    pub fn find_or_add_consumer(&mut self, name: &[u8], now_ms: i64) -> (ConsumerId, bool) {
        self.group.consumers.find_or_add(name, now_ms)
    }

    /// Notes that a consumer tries to read or to claim.
    pub fn see(&mut self, consumer: ConsumerId, now_ms: i64) {
        self.group.consumers.at_mut(consumer).seen_ms = now_ms;
    }

    /// Sets a consumer's times, as a file has them.
    pub fn set_times(&mut self, consumer: ConsumerId, seen_ms: i64, active_ms: Option<i64>) {
        let mut consumer = self.group.consumers.at_mut(consumer);
        consumer.seen_ms = seen_ms;
        consumer.active_ms = active_ms;
    }

    pub fn consumer_at(&self, consumer: ConsumerId) -> &Consumer {
        self.group.consumers.at(consumer)
    }

    /// Deletes a consumer and what is pending for it. Returns how many entries that were.
    pub fn delete_consumer(&mut self, name: &[u8]) -> Option<usize> {
        /// A pass over all that is pending costs about as much as looking for a sixteenth of it.
        const PASS_SHARE: usize = 16;
        let (id, consumer) = self.group.consumers.remove(name)?;
        let owned = consumer.pending_len();
        if owned > self.group.pending_len() / PASS_SHARE {
            self.group.pending.retain(|_, pending| pending.consumer != id);
        } else {
            consumer.pending_ids().for_each(|entry| {
                self.group.pending.remove(entry);
            });
        }
        Some(owned)
    }

    /// Makes an entry pending for `consumer`, be it in the stream or not; false if it is pending already.
    ///
    /// For what is read from a file, where every pending entry has one consumer.
    pub fn load_pending(&mut self, consumer: ConsumerId, id: Id, delivery: Delivery) -> bool {
        let is_new = self.group.pending.get(id).is_none();
        if is_new {
            self.group.assign(id, consumer, delivery);
        }
        is_new
    }

    /// Delivers at most `count` entries that the group has not read yet: XREADGROUP with `>`. Returns how many.
    ///
    /// They become pending, unless `no_ack`. An entry that is pending already, since the group was set back, is taken
    /// from whoever had it.
    pub fn read_new(
        &mut self,
        consumer: ConsumerId,
        count: usize,
        no_ack: bool,
        now_ms: i64,
        mut deliver: impl FnMut(Entry<'a>),
    ) -> usize {
        let Some(start) = self.group.last_id.next() else { return 0 };
        let mut delivered = 0;
        for entry in self.log.range(start, Id::MAX).take(count) {
            self.count_read(entry.id);
            if !no_ack {
                self.group.assign(entry.id, consumer, Delivery { time_ms: now_ms, count: 1 });
            }
            delivered += 1;
            deliver(entry);
        }
        if delivered > 0 && !no_ack {
            self.group.consumers.at_mut(consumer).active_ms = Some(now_ms);
        }
        delivered
    }

    /// Moves the group on to an entry that it reads.
    fn count_read(&mut self, id: Id) {
        let known = self.group.entries_read.filter(|_| !self.log.has_gap_from(id));
        if let Some(read) = known {
            self.group.entries_read = Some(read.wrapping_add(1));
        } else if self.log.counters().entries_added > 0 {
            self.group.entries_read = self.log.added_until(id);
        }
        self.group.last_id = id;
    }

    /// Delivers again, from the id `start` on, at most `count` entries that are pending for a consumer: XREADGROUP with
    /// an id. Those that are in the stream no longer are given without an entry, and are not counted as delivered.
    pub fn read_again(
        &mut self,
        consumer: ConsumerId,
        start: Id,
        count: usize,
        now_ms: i64,
        mut deliver: impl FnMut(Id, Option<Entry<'a>>),
    ) -> usize {
        let Group { consumers, pending, .. } = &mut *self.group;
        let own = &consumers.at(consumer).pending;
        let mut delivered = 0;
        for (id, ()) in own.iter_from(own.at_or_after(start)).take(count) {
            let entry = self.log.range(id, id).next();
            if entry.is_some()
                && let Some(pending) = pending.get_mut(id)
            {
                let count = pending.delivery.count.wrapping_add(1);
                pending.delivery = Delivery { time_ms: now_ms, count };
            }
            delivered += 1;
            deliver(id, entry);
        }
        delivered
    }

    /// Acknowledges an entry; false if it was not pending.
    pub fn acknowledge(&mut self, id: Id) -> bool {
        self.group.release(id)
    }

    /// Takes one entry over: XCLAIM.
    pub fn claim(&mut self, consumer: ConsumerId, id: Id, claim: Claim, now_ms: i64) -> Claimed<'a> {
        let pending = self.group.pending.get(id).copied();
        let Some(entry) = self.log.range(id, id).next() else {
            return if self.group.release(id) { Claimed::Gone } else { Claimed::Left };
        };
        let count = match pending {
            None if !claim.is_forced => return Claimed::Left,
            Some(pending) if is_fresh(&pending, claim.idle_min_ms, now_ms) => return Claimed::Left,
            Some(pending) => pending.delivery.count,
            // As Redis counts: an entry that is made pending was delivered once before it is claimed.
            None => 1,
        };
        let count = claim.count.unwrap_or(count.wrapping_add(u64::from(claim.is_delivery)));
        let time_ms = claim.time_ms.filter(|time| (0..=now_ms).contains(time)).unwrap_or(now_ms);
        let delivery = Delivery { time_ms, count };
        self.group.assign(id, consumer, delivery);
        self.group.consumers.at_mut(consumer).active_ms = Some(now_ms);
        Claimed::Taken(entry, delivery)
    }

    /// Takes over what is pending for too long: XAUTOCLAIM. `deliver` gets the entries taken.
    pub fn auto_claim(
        &mut self,
        consumer: ConsumerId,
        claim: AutoClaim,
        now_ms: i64,
        mut deliver: impl FnMut(Entry<'a>, Delivery),
    ) -> AutoClaimed {
        /// Pending entries looked at for each one that may be taken.
        const LOOKS: u64 = 10;
        let (mut looks, mut left) = (claim.count.saturating_mul(LOOKS), claim.count);
        let mut gone = Vec::new();
        let mut place = self.group.pending.at_or_after(claim.start);
        while looks > 0
            && left > 0
            && let Some(here) = place
        {
            looks -= 1;
            let (id, pending) = self.group.pending.at(here);
            let pending = *pending;
            let Some(entry) = self.log.range(id, id).next() else {
                self.group.release(id);
                gone.push(id);
                left -= 1;
                place = self.group.pending.at_or_after(id);
                continue;
            };
            place = self.group.pending.after(here);
            if is_fresh(&pending, claim.idle_min_ms, now_ms) {
                continue;
            }
            let count = pending.delivery.count.wrapping_add(u64::from(claim.is_delivery));
            let delivery = Delivery { time_ms: now_ms, count };
            // The id is there already, so all places stay what they are.
            self.group.assign(id, consumer, delivery);
            self.group.consumers.at_mut(consumer).active_ms = Some(now_ms);
            left -= 1;
            deliver(entry, delivery);
        }
        let next = place.map_or(Id::MIN, |place| self.group.pending.at(place).0);
        AutoClaimed { next, gone }
    }
}

fn is_fresh(pending: &Pending, idle_min_ms: i64, now_ms: i64) -> bool {
    idle_min_ms > 0 && now_ms.saturating_sub(pending.delivery.time_ms) < idle_min_ms
}
