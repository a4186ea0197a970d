//! Collections that are changed where they lie: what a stripe does before and after.

use super::super::edit::Opened;
use super::super::news::How;
use super::super::record;
use super::super::table::At;
use super::{DISCARD_OBJECT_MIN, Discarded, Key, Moment, Ref, Stripe, expiry};
use crate::types::shared::SharedBox;
use crate::types::stream::Group;

impl Stripe {
    /// Finds a key that is to be changed where it lies: an access, not counted.
    pub(in crate::store) fn open(&mut self, db: usize, key: Key<'_>, moment: Moment) -> Option<(At, Ref)> {
        let (at, found) = self.live(db, key, moment)?;
        self.preserve(found);
        self.touch(found, moment);
        self.take_fields(db, key.place, found, moment);
        Some((at, found))
    }

    /// When the next field of a record's hash expires.
    pub(in crate::store) fn fields_due(&self, found: Ref) -> Option<u64> {
        expiry::fields_due(self.arena.at(found))
    }

    /// Counts what a collection has come to take, notes when its next field expires, and deletes the key if it is spent.
    pub(in crate::store) fn close(&mut self, db: usize, opened: Opened, is_changed: bool, moment: Moment) {
        let block = self.arena.at(opened.found);
        // SAFETY: the edit is over, so this is the one reference.
        let is_spent = expiry::is_spent(unsafe { record::object(block).as_ref() }, moment.due_ms());
        let bytes = record::heap_bytes(block);
        self.count_heap(opened.bytes, bytes);
        let place = self.place_of(opened.found);
        if is_changed {
            let how = if is_spent { How::Removed } else { How::Written };
            self.changed(db, record::key(block), how);
        }
        if is_spent {
            return self.remove_at(db, place, opened.at, opened.found);
        }
        self.note_fields(db, place, opened.fields_due, opened.found, moment);
        if bytes != opened.bytes {
            self.requeue(db, place, opened.found);
        }
    }

    /// Frees a group that was taken out of a stream, or leaves it to the reaper if a lot is pending in it.
    pub(in crate::store) fn discard_group(&mut self, group: SharedBox<Group>) {
        let is_large = group.bytes() >= DISCARD_OBJECT_MIN;
        self.discard(Discarded::Group(group), is_large);
    }
}
