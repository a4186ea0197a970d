//! A consumer group: how far it has read, who reads, and what was delivered and not acknowledged.
//!
//! Delivery data stand once, in the group's list; each consumer has the ids of what is its own.

use super::consumer::{Consumer, ConsumerId, Consumers};
use super::id::Id;
use super::log::Log;
use super::ordered::Ordered;

/// What is known of an entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When it was delivered last, in milliseconds since 1970.
    pub time_ms: i64,
    /// How often it was delivered.
    pub count: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) delivery: Delivery,
    pub(super) consumer: ConsumerId,
}

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct PendingEntry<'a> {
    pub id: Id,
    pub consumer: &'a Consumer,
    pub delivery: Delivery,
}

impl PendingEntry<'_> {
    /// Milliseconds since the last delivery; negative if that lies in the future.
    pub fn idle_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(self.delivery.time_ms)
    }
}

/// The group's share of what a stream holds; [`super::GroupMut`] changes it.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) name: Box<[u8]>,
    pub(super) last_id: Id,
    pub(super) entries_read: Option<u64>,
    pub(super) pending: Ordered<Pending>,
    pub(super) consumers: Consumers,
}

impl Group {
    pub(super) fn new(name: &[u8], last_id: Id, entries_read: Option<u64>) -> Self {
        Self { name: name.into(), last_id, entries_read, pending: Ordered::default(), consumers: Consumers::default() }
    }

    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The last id that was delivered, or was set as if it had been.
    pub fn last_id(&self) -> Id {
        self.last_id
    }

    /// Entries read in the group's life, as far as that is known.
    pub fn entries_read(&self) -> Option<u64> {
        self.entries_read
    }

    /// Entries in the stream that are yet to be delivered; `None` if deletions leave it unknown.
    ///
    /// Negative if the counters were set so by hand.
    pub fn lag(&self, log: &Log) -> Option<i64> {
        let added = log.counters().entries_added;
        if added == 0 {
            return Some(0);
        }
        let read = self.entries_read.filter(|_| !log.has_gap_from(self.last_id));
        let read = read.or_else(|| log.added_until(self.last_id))?;
        Some(added.wrapping_sub(read) as i64)
    }

    /// Heap bytes, as asked of the allocator.
    pub fn bytes(&self) -> usize {
        self.name.len() + self.pending.bytes() + self.consumers.bytes()
    }

    /// How many entries are pending.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The smallest and the largest pending id.
    pub fn pending_edges(&self) -> Option<(Id, Id)> {
        Some((self.pending.at(self.pending.first()?).0, self.pending.at(self.pending.last()?).0))
    }

    /// What is pending from the id `start` on, of all consumers, in the order of ids.
    pub fn pending_from(&self, start: Id) -> impl Iterator<Item = PendingEntry<'_>> {
        self.pending.iter_from(self.pending.at_or_after(start)).map(|(id, pending)| PendingEntry {
            id,
            consumer: self.consumers.at(pending.consumer),
            delivery: pending.delivery,
        })
    }

    /// As [`Group::pending_from`], of one consumer.
    pub fn pending_of<'a>(&'a self, consumer: &'a Consumer, start: Id) -> impl Iterator<Item = PendingEntry<'a>> {
        consumer
            .pending
            .iter_from(consumer.pending.at_or_after(start))
            .filter_map(move |(id, ())| Some(PendingEntry { id, consumer, delivery: self.pending.get(id)?.delivery }))
    }

    /// How an entry was delivered, if it is pending.
    pub fn pending(&self, id: Id) -> Option<PendingEntry<'_>> {
        let pending = self.pending.get(id)?;
        Some(PendingEntry { id, consumer: self.consumers.at(pending.consumer), delivery: pending.delivery })
    }

    pub fn consumers_len(&self) -> usize {
        self.consumers.len()
    }

    /// The consumers in the order of their names.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.consumers.iter()
    }

    pub fn consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.consumers.find(name).map(|id| self.consumers.at(id))
    }

    /// Makes an entry pending for `consumer`, taking it from whoever had it.
    pub(super) fn assign(&mut self, id: Id, consumer: ConsumerId, delivery: Delivery) {
        let before = self.pending.insert(id, Pending { delivery, consumer });
        if let Some(before) = before.filter(|before| before.consumer != consumer) {
            self.consumers.at_mut(before.consumer).pending.remove(id);
        }
        if before.is_none_or(|before| before.consumer != consumer) {
            self.consumers.at_mut(consumer).pending.insert(id, ());
        }
    }

    /// Ends an entry's being pending; false if it was not.
    pub(super) fn release(&mut self, id: Id) -> bool {
        let Some(pending) = self.pending.remove(id) else { return false };
        self.consumers.at_mut(pending.consumer).pending.remove(id);
        true
    }
}
