//! Streams: entries in the order of their ids, and groups of consumers who share the reading.
//!
//! The structure behind XADD and its relatives, with the state that their replies show and that files store. Entries
//! are packed about a hundred to a node ([`Log`]); a [`Group`] knows how far it has read and what is not acknowledged.
//! Everything behaves as in Redis 7.2, down to which entries an approximate trim removes.

mod consumer;
mod deliver;
pub mod element;
mod group;
mod id;
mod listpack;
mod log;
mod node;
mod ordered;
mod radix;
mod range;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trim;

use super::shared::SharedBox;

pub use consumer::{Consumer, ConsumerId};
pub use deliver::{AutoClaim, AutoClaimed, Claim, Claimed, GroupMut};
pub use element::Text;
pub use group::{Delivery, Group, PendingEntry};
pub use id::{Bound, Id, IdText, InvalidId, NewId};
pub use listpack::{Corrupt, Listpacks};
pub use log::{AppendError, Counters, Log, SetIdError};
pub use node::{Entry, NodeLimits, Pairs};
pub use range::{Range, RangeBack};
pub use trim::{Trim, TrimTo};

/// A stream.
///
/// A clone has everything, groups too, and shares what neither of the two has changed since: so it costs a count for
/// some thousand entries, and one for each group.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    log: Log,
    /// In the order of their names.
    groups: Vec<SharedBox<Group>>,
    /// Heap bytes of the groups themselves.
    groups_bytes: usize,
}

impl Stream {
    pub fn new() -> Self {
        Self::default()
    }

    /// Entries that are not deleted.
    pub fn len(&self) -> u64 {
        self.log.len()
    }

    /// Whether there are no entries; an empty stream is still a key.
    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// The entries, to read.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The entries, to add, delete and trim. No group hears of it: what it has pending stays pending.
    pub fn log_mut(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Heap bytes, as asked of the allocator, beside those of the `Stream` itself.
    pub fn bytes(&self) -> usize {
        self.log.bytes() + self.groups.capacity() * size_of::<SharedBox<Group>>() + self.groups_bytes
    }

    /// The groups in the order of their names.
    pub fn groups(&self) -> impl ExactSizeIterator<Item = &Group> {
        self.groups.iter().map(|group| &**group)
    }

    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.search(name).ok().map(|place| &*self.groups[place])
    }

    pub fn group_mut(&mut self, name: &[u8]) -> Option<GroupMut<'_>> {
        let place = self.search(name).ok()?;
        Some(GroupMut::new(&self.log, &mut self.groups[place], &mut self.groups_bytes))
    }

    /// Makes a group that has read up to `last_id`; false if there is one with this name.
    pub fn create_group(&mut self, name: &[u8], last_id: Id, entries_read: Option<u64>) -> bool {
        let Err(place) = self.search(name) else { return false };
        let group = SharedBox::new(Group::new(name, last_id, entries_read));
        self.groups_bytes += group_bytes(&group);
        self.groups.insert(place, group);
        true
    }

    /// Removes a group and gives it away, since to free it may take a while; `None` if there is none with this name.
    pub fn destroy_group(&mut self, name: &[u8]) -> Option<SharedBox<Group>> {
        let place = self.search(name).ok()?;
        let group = self.groups.remove(place);
        self.groups_bytes -= group_bytes(&group);
        Some(group)
    }

    /// What `groups_bytes` must be, counted group by group.
    #[cfg(test)]
    fn count_groups_bytes(&self) -> usize {
        self.groups.iter().map(|group| group_bytes(group)).sum()
    }

    fn search(&self, name: &[u8]) -> Result<usize, usize> {
        self.groups.binary_search_by(|group| group.name().cmp(name))
    }
}

fn group_bytes(group: &Group) -> usize {
    SharedBox::<Group>::BYTES + group.bytes()
}
