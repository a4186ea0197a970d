//! Records that are no keys to whoever counts or lists keys: values that have expired and are kept to be served stale, and negative
//! entries, which say that there is nothing.
//!
//! Negative entries make room before anything else does, the oldest first, and a stripe holds so many bytes of them at most.

use super::super::arena::UNIT;
use super::super::record;
use super::super::tagged::KeyId;
use super::{Moment, NonNull, Place, Ref, Stripe};
use crate::base::keep::Keep;
use std::collections::VecDeque;

/// The negative entries of a stripe.
#[derive(Default)]
pub(in crate::store) struct Negatives {
    /// In the order in which they were written, with others that are none any more.
    order: VecDeque<KeyId>,
    count: usize,
    /// Bytes of their records.
    bytes: usize,
}

impl Negatives {
    /// Bytes that it takes itself.
    pub(in crate::store) fn bytes_used(&self) -> usize {
        self.order.capacity() * size_of::<KeyId>()
    }
}

/// Names of what is no negative entry any more that may stand in the order beside as many that are.
const STALE_MIN: usize = 64;

impl Stripe {
    /// Keys of a database as who counts them sees them.
    pub fn visible_keys(&self, db: usize) -> usize {
        self.dbs[db].as_ref().map_or(0, |db| db.keys - db.aside)
    }

    /// Those of them that have an expiry: what stands aside has one.
    pub fn visible_expiring(&self, db: usize) -> usize {
        self.dbs[db].as_ref().map_or(0, |db| db.expiring - db.aside)
    }

    /// Keeps that beside the expiry of a record.
    pub(super) fn set_keep_of(&mut self, found: Ref, keep: Keep) {
        let at = self.arena.at(found);
        self.step_back(at);
        record::set_keep(at, keep);
        if !record::keep(at).is_aside() {
            return;
        }
        let db = usize::from(record::header(at).db());
        if let Some(db) = &mut self.dbs[db] {
            db.aside += 1;
        }
        if keep.is_negative() {
            self.negatives.count += 1;
            self.negatives.bytes += record::units(at) * UNIT;
            let Place { hash, .. } = self.place_of(found);
            let local = self.place_of(found).local() as u8;
            self.negatives.order.push_back(KeyId { hash, local, db: db as u8 });
            self.drop_stale_names();
        }
    }

    /// A record stands aside no longer, as it goes or gets another value or expiry.
    #[inline]
    pub(super) fn step_back(&mut self, at: NonNull<u8>) {
        let header = record::header(at);
        if !header.expires() {
            return;
        }
        let keep = record::keep(at);
        if keep.is_aside() {
            self.step_back_as(keep, usize::from(header.db()), record::units(at) * UNIT);
        }
    }

    #[cold]
    fn step_back_as(&mut self, keep: Keep, db: usize, bytes: usize) {
        if let Some(db) = &mut self.dbs[db] {
            db.aside -= 1;
        }
        if keep.is_negative() {
            self.negatives.count -= 1;
            self.negatives.bytes -= bytes;
        }
    }

    /// A value has expired and is kept.
    pub(super) fn hide(&mut self, found: Ref) {
        let keep = record::keep(self.arena.at(found));
        if keep != Keep::default() && !keep.is_aside() {
            self.set_keep_of(found, keep.hidden());
        }
    }

    /// Has the oldest negative entry go. Returns whether there was one.
    pub(in crate::store) fn evict_negative(&mut self) -> bool {
        while self.negatives.count > 0
            && let Some(id) = self.negatives.order.pop_front()
        {
            if let Some(found) = self.negative_of(id) {
                self.evicted(found);
                self.remove_ref(found);
                return true;
            }
        }
        false
    }

    /// Has negative entries go until they take so many bytes at most.
    pub(in crate::store) fn bound_negatives(&mut self, bytes_max: usize) {
        while self.negatives.bytes > bytes_max && self.evict_negative() {}
    }

    /// The record of a name, if it is a negative entry.
    fn negative_of(&self, id: KeyId) -> Option<Ref> {
        let hash_of = |found: Ref| self.hasher.hash(record::key(self.arena.at(found)));
        let table = &self.dbs[usize::from(id.db)].as_ref()?.tables[usize::from(id.local)];
        let (_, found) = table.find(id.hash, |found| hash_of(found) == id.hash)?;
        record::keep(self.arena.at(found)).is_negative().then_some(found)
    }

    fn drop_stale_names(&mut self) {
        if self.negatives.order.len() > 2 * self.negatives.count + STALE_MIN {
            let mut order = std::mem::take(&mut self.negatives.order);
            // One that was written again stands there twice; the later of the two is dropped when its turn comes.
            order.retain(|id| self.negative_of(*id).is_some());
            order.truncate(2 * self.negatives.count + STALE_MIN);
            self.negatives.order = order;
        }
    }

    /// Whether a record is passed over by a client that lists keys.
    #[inline]
    pub(super) fn is_unlisted(&self, at: NonNull<u8>, moment: Moment) -> bool {
        self.is_lost(at, moment) || moment.due_ms() > 0 && record::keep(at).is_negative()
    }
}
