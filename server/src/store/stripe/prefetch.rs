//! Asking the CPU for memory ahead of the commands that will need it: the line of a key, its records, and the collections
//! that these lead to. Each step needs what the one before has asked for.

use super::{Place, Shape, Stripe, record, table};
use crate::types::object::Object;
use std::ptr::NonNull;

impl Stripe {
    /// Asks the CPU for the line a key hangs in.
    #[inline]
    pub fn prefetch_line(&self, db: usize, place: Place) {
        if let Some(db) = &self.dbs[db] {
            db.tables[place.local()].prefetch_line(place.hash);
        }
    }

    /// Asks the CPU for the records that may be a key's.
    #[inline]
    pub fn prefetch_record(&self, db: usize, place: Place) {
        if let Some(db) = &self.dbs[db] {
            db.tables[place.local()].candidates(place.hash, |found| {
                let at = self.arena.at(found).as_ptr();
                table::prefetch(at);
                table::prefetch(at.wrapping_add(64));
            });
        }
    }

    /// Asks the CPU for the collections that may be a key's, whose records are there.
    #[inline]
    pub fn prefetch_object(&self, db: usize, place: Place) {
        self.candidate_objects(db, place, |object| table::prefetch(object.as_ptr().cast()));
    }

    /// Asks the CPU for the first elements, or for what leads to them, of the collections that may be a key's.
    #[inline]
    pub fn prefetch_elements(&self, db: usize, place: Place) {
        self.candidate_objects(db, place, |object| {
            // SAFETY: the object is its record's, and neither is changed while `self` is borrowed.
            let at = unsafe { object.as_ref() }.lead();
            table::prefetch(at);
            table::prefetch(at.wrapping_add(64));
        });
    }

    #[inline]
    fn candidate_objects(&self, db: usize, place: Place, mut each: impl FnMut(NonNull<Object>)) {
        if let Some(db) = &self.dbs[db] {
            db.tables[place.local()].candidates(place.hash, |found| {
                let block = self.arena.at(found);
                if record::header(block).shape() == Shape::Object {
                    each(record::object(block));
                }
            });
        }
    }
}
