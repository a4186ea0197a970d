//! The consumers of a group.

use std::mem::size_of;

use super::id::Id;
use super::ordered::Ordered;

/// Names a consumer within its group until it is deleted; the number may then be given to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u32);

/// One who reads for a group.
#[derive(Clone, Debug)]
pub struct Consumer {
    name: Box<[u8]>,
    pub(super) seen_ms: i64,
    pub(super) active_ms: Option<i64>,
    pub(super) pending: Ordered<()>,
}

impl Consumer {
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// When the consumer last tried to read or claim, in milliseconds since 1970: `seen-time`.
    pub fn seen_ms(&self) -> i64 {
        self.seen_ms
    }

    /// When it last read or claimed something, in milliseconds since 1970: `active-time`, which is -1 for never.
    pub fn active_ms(&self) -> Option<i64> {
        self.active_ms
    }

    /// How many entries are pending.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The ids of what is pending, in order.
    pub fn pending_ids(&self) -> impl Iterator<Item = Id> {
        self.pending.iter().map(|(id, ())| id)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.pending.bytes()
    }
}

/// All consumers of a group, found by number and by name.
#[derive(Debug, Default)]
pub(super) struct Consumers {
    slots: Vec<Option<Box<Consumer>>>,
    /// Taken slots in the order of the names.
    by_name: Vec<u32>,
    free: Vec<u32>,
    /// Heap bytes of the consumers themselves, but for what a [`Changed`] is about to change.
    pub(super) consumers_bytes: usize,
}

impl Clone for Consumers {
    fn clone(&self) -> Self {
        let (slots, by_name, free) = (self.slots.clone(), self.by_name.clone(), self.free.clone());
        let mut copy = Self { slots, by_name, free, consumers_bytes: 0 };
        copy.consumers_bytes = copy.count_consumers_bytes();
        copy
    }
}

impl Consumers {
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<Box<Consumer>>>()
            + (self.by_name.capacity() + self.free.capacity()) * size_of::<u32>()
            + self.consumers_bytes
    }

    /// What `consumers_bytes` must be, counted consumer by consumer.
    pub(super) fn count_consumers_bytes(&self) -> usize {
        self.slots.iter().flatten().map(|consumer| consumer.bytes()).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Consumer> {
        self.by_name.iter().map(|&slot| self.at(ConsumerId(slot)))
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<ConsumerId> {
        self.search(name).ok().map(|place| ConsumerId(self.by_name[place]))
    }

    pub(super) fn at(&self, id: ConsumerId) -> &Consumer {
        self.slots[id.0 as usize].as_ref().expect("a consumer's number stands for it until it is deleted")
    }

    /// The consumer, whose bytes are counted again once it is let go.
    pub(super) fn at_mut(&mut self, id: ConsumerId) -> Changed<'_> {
        let slot = &mut self.slots[id.0 as usize];
        let consumer = slot.as_mut().expect("a consumer's number stands for it until it is deleted");
        Changed { bytes_before: consumer.bytes(), consumer, bytes: &mut self.consumers_bytes }
    }

    /// The number of the consumer with this name, who is made if there is none. True if so.
    pub(super) fn find_or_add(&mut self, name: &[u8], seen_ms: i64) -> (ConsumerId, bool) {
        match self.search(name) {
            Ok(place) => (ConsumerId(self.by_name[place]), false),
            Err(place) => {
                let slot = self.free.pop().unwrap_or_else(|| {
                    self.slots.push(None);
                    self.slots.len() as u32 - 1
                });
                let consumer = Consumer { name: name.into(), seen_ms, active_ms: None, pending: Ordered::default() };
                self.consumers_bytes += consumer.bytes();
                self.slots[slot as usize] = Some(Box::new(consumer));
                self.by_name.insert(place, slot);
                (ConsumerId(slot), true)
            }
        }
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Option<(ConsumerId, Box<Consumer>)> {
        let place = self.search(name).ok()?;
        let slot = self.by_name.remove(place);
        let consumer = self.slots[slot as usize].take()?;
        self.consumers_bytes -= consumer.bytes();
        self.free.push(slot);
        Some((ConsumerId(slot), consumer))
    }

    fn search(&self, name: &[u8]) -> Result<usize, usize> {
        self.by_name.binary_search_by(|&slot| self.at(ConsumerId(slot)).name().cmp(name))
    }
}

/// A consumer that may change.
pub(super) struct Changed<'a> {
    consumer: &'a mut Consumer,
    bytes_before: usize,
    bytes: &'a mut usize,
}

impl std::ops::Deref for Changed<'_> {
    type Target = Consumer;

    fn deref(&self) -> &Consumer {
        self.consumer
    }
}

impl std::ops::DerefMut for Changed<'_> {
    fn deref_mut(&mut self) -> &mut Consumer {
        self.consumer
    }
}

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        *self.bytes = *self.bytes - self.bytes_before + self.consumer.bytes();
    }
}
