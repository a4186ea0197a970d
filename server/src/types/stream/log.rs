//! The entries of a stream: nodes ordered by the id they begin with, and the counters that outlive entries.

use std::fmt;

use super::id::{Id, NewId};
use super::node::{Node, NodeLimits};
use super::ordered::{Ordered, Place};
use super::range::{Range, RangeBack};

/// The most fields of one entry. No request is that long; it keeps offsets in nodes within 32 bits.
const FIELDS_MAX: usize = 1 << 27;

/// Why an entry was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The last id has been used.
    Exhausted,
    /// The id is not above the last one.
    TooSmall,
    /// Fields and values are larger than [`NodeLimits::LISTPACK_MAX`] together.
    TooLarge,
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exhausted => "The stream has exhausted the last possible ID, unable to add more items",
            Self::TooSmall => "The ID specified in XADD is equal or smaller than the target stream top item",
            Self::TooLarge => "Elements are too large to be stored",
        })
    }
}

impl std::error::Error for AppendError {}

/// Why a stream's last id was not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetIdError {
    /// It is below the largest deleted id that came with it.
    BelowGivenDeleted,
    /// It is below the largest id that was ever deleted.
    BelowDeleted,
    /// It is below the last entry.
    BelowLast,
    /// More entries are there than are said to have been added.
    AddedBelowLength,
}

impl fmt::Display for SetIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BelowGivenDeleted => "The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
            Self::BelowDeleted => "The ID specified in XSETID is smaller than current max_deleted_entry_id",
            Self::BelowLast => "The ID specified in XSETID is smaller than the target stream top item",
            Self::AddedBelowLength => "The entries_added specified in XSETID is smaller than the target stream length",
        })
    }
}

impl std::error::Error for SetIdError {}

/// What a stream remembers beside its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The largest id ever given, or set by XSETID.
    pub last_id: Id,
    /// The id of the first entry; 0-0 in an empty stream.
    pub first_id: Id,
    /// The largest id deleted by XDEL; 0-0 if none was. Trimming leaves it as it is.
    pub max_deleted_id: Id,
    /// Entries added in the stream's life, or what XSETID says.
    pub entries_added: u64,
}

/// The entries and counters of a stream; see [`super::Stream`], which adds the groups.
#[derive(Clone, Debug, Default)]
pub struct Log {
    pub(super) nodes: Ordered<Node>,
    pub(super) length: u64,
    pub(super) counters: Counters,
    /// Heap bytes of the nodes themselves.
    pub(super) nodes_bytes: usize,
}

impl Log {
    /// Entries that are not deleted.
    pub fn len(&self) -> u64 {
        self.length
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Heap bytes, as asked of the allocator.
    pub fn bytes(&self) -> usize {
        self.nodes.bytes() + self.nodes_bytes
    }

    /// What `nodes_bytes` must be, counted node by node.
    #[cfg(test)]
    pub(super) fn count_nodes_bytes(&self) -> usize {
        self.nodes.iter().map(|(_, node)| node.bytes()).sum()
    }

    /// The entries from `start` to `end`, both included, in order.
    pub fn range(&self, start: Id, end: Id) -> Range<'_> {
        Range::new(self, start, end)
    }

    /// The entries from `end` down to `start`, both included.
    pub fn range_back(&self, start: Id, end: Id) -> RangeBack<'_> {
        RangeBack::new(self, start, end)
    }

    /// The id of the last entry that is there, which [`Counters::last_id`] may be above.
    pub fn last_entry_id(&self) -> Option<Id> {
        self.range_back(Id::MIN, Id::MAX).next().map(|entry| entry.id)
    }

    /// Whether there are entries after `id`: whether XREAD has something to say.
    pub fn has_after(&self, id: Id) -> bool {
        self.counters.last_id > id && self.last_entry_id().is_some_and(|last| last > id)
    }

    /// Adds an entry at the end and returns its id. `now_ms` is the time since 1970.
    ///
    /// # Errors
    ///
    /// [`AppendError`]; then nothing has changed.
    pub fn append<'f, P>(&mut self, id: NewId, pairs: P, now_ms: u64, limits: NodeLimits) -> Result<Id, AppendError>
    where
        P: Iterator<Item = (&'f [u8], &'f [u8])> + Clone,
    {
        let id = self.next_id(id, now_ms)?;
        let (count, text_bytes) =
            pairs.clone().fold((0, 0), |(count, sum), (field, value)| (count + 1, sum + field.len() + value.len()));
        if text_bytes > NodeLimits::LISTPACK_MAX || count > FIELDS_MAX {
            return Err(AppendError::TooLarge);
        }
        let place = self.open_node(id, pairs.clone().map(|(field, _)| field), limits, text_bytes);
        let (master, node) = self.nodes.at_mut(place);
        self.nodes_bytes -= node.bytes();
        node.push(master, id, pairs);
        self.nodes_bytes += node.bytes();
        self.length += 1;
        self.counters.entries_added = self.counters.entries_added.wrapping_add(1);
        self.counters.last_id = id;
        if self.length == 1 {
            self.counters.first_id = id;
        }
        Ok(id)
    }

    /// The id that `id` stands for now.
    fn next_id(&self, id: NewId, now_ms: u64) -> Result<Id, AppendError> {
        let last = self.counters.last_id;
        let after_last = last.next().ok_or(AppendError::Exhausted)?;
        match id {
            NewId::Auto if now_ms > last.ms => Ok(Id::new(now_ms, 0)),
            NewId::Auto => Ok(after_last),
            NewId::AutoSeq(ms) if ms > last.ms => Ok(Id::new(ms, 0)),
            NewId::AutoSeq(ms) if ms == after_last.ms => Ok(after_last),
            NewId::Given(id) if id > last => Ok(id),
            _ => Err(AppendError::TooSmall),
        }
    }

    /// The last node, or a new one behind it if there is none or if it is full.
    fn open_node<'f>(
        &mut self,
        id: Id,
        fields: impl Iterator<Item = &'f [u8]> + Clone,
        limits: NodeLimits,
        text_bytes: usize,
    ) -> Place {
        if let Some(place) = self.nodes.last() {
            let (_, node) = self.nodes.at_mut(place);
            if !node.is_full(limits, text_bytes) {
                return place;
            }
            self.nodes_bytes -= node.bytes();
            node.close();
            self.nodes_bytes += node.bytes();
        }
        self.push_node(id, Node::new(id, fields))
    }

    /// Puts a node behind all others.
    pub(super) fn push_node(&mut self, master: Id, node: Node) -> Place {
        self.nodes_bytes += node.bytes();
        self.length += u64::from(node.live());
        self.nodes.insert(master, node);
        self.nodes.last().expect("a node has just been put in")
    }

    /// Deletes an entry; false if there is none with this id.
    pub fn delete(&mut self, id: Id) -> bool {
        let Some(place) = self.nodes.at_or_before(id) else { return false };
        let (master, node) = self.nodes.at_mut(place);
        let found = node.scan(master).take_while(|raw| raw.id <= id).find(|raw| raw.id == id && !raw.is_deleted);
        let Some(raw) = found else { return false };
        node.delete_at(raw.at);
        self.length -= 1;
        if node.live() == 0 {
            self.remove_node(place);
        }
        self.counters.max_deleted_id = self.counters.max_deleted_id.max(id);
        if self.length == 0 || id == self.counters.first_id {
            self.find_first();
        }
        true
    }

    /// Removes a node whose entries are counted no longer.
    pub(super) fn remove_node(&mut self, place: Place) {
        let node = self.nodes.remove_at(place);
        self.nodes_bytes -= node.bytes();
    }

    /// Sets the counter of the first entry anew.
    pub(super) fn find_first(&mut self) {
        self.counters.first_id = self.range(Id::MIN, Id::MAX).next().map_or(Id::MIN, |entry| entry.id);
    }

    /// Sets the last id, so that entries follow it; with `entries_added` and `max_deleted_id` where given (0-0 is as
    /// good as not given).
    ///
    /// # Errors
    ///
    /// [`SetIdError`]; then nothing has changed.
    pub fn set_last_id(
        &mut self,
        id: Id,
        entries_added: Option<u64>,
        max_deleted_id: Option<Id>,
    ) -> Result<(), SetIdError> {
        if max_deleted_id.is_some_and(|deleted| id < deleted) {
            return Err(SetIdError::BelowGivenDeleted);
        }
        if id < self.counters.max_deleted_id {
            return Err(SetIdError::BelowDeleted);
        }
        if self.last_entry_id().is_some_and(|last| id < last) {
            return Err(SetIdError::BelowLast);
        }
        if entries_added.is_some_and(|added| added < self.length) {
            return Err(SetIdError::AddedBelowLength);
        }
        self.counters.last_id = id;
        if let Some(added) = entries_added {
            self.counters.entries_added = added;
        }
        if let Some(deleted) = max_deleted_id.filter(|&deleted| deleted != Id::MIN) {
            self.counters.max_deleted_id = deleted;
        }
        Ok(())
    }

    /// Whether an entry at or after `start` may have been deleted from among those that are there.
    pub(super) fn has_gap_from(&self, start: Id) -> bool {
        let Counters { first_id, max_deleted_id, .. } = self.counters;
        self.length > 0 && max_deleted_id != Id::MIN && first_id <= max_deleted_id && start <= max_deleted_id
    }

    /// How many entries had been added when `id` was, which is known only at the ends of the stream.
    pub fn added_until(&self, id: Id) -> Option<u64> {
        let Counters { last_id, first_id, max_deleted_id, entries_added } = self.counters;
        if entries_added == 0 {
            return Some(0);
        }
        if id == last_id || (self.length == 0 && id < last_id) {
            return Some(entries_added);
        }
        let has_gaps = max_deleted_id != Id::MIN && max_deleted_id >= first_id;
        if id > last_id || has_gaps || id > first_id {
            return None;
        }
        let before_first = entries_added.wrapping_sub(self.length);
        Some(if id == first_id { before_first.wrapping_add(1) } else { before_first })
    }
}
