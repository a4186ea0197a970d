//! Expiry on time: what a stripe writes into its wheel, and what it does when a bucket is due.
//!
//! A record hangs in the wheel for its own expiry, and a hash also for that of its next field. Whatever changes either
//! notes the new time; the name that was noted for the old one becomes stale and is dropped when its turn comes.

use super::super::header::Shape;
use super::super::news::{Heed, How};
use super::super::record;
use super::super::table::{self, At};
use super::super::wheel::Work;
use super::{Entry, Key, Moment, Place, Ref, Stripe};
use crate::base::keep::Keep;
use crate::base::number::Digits;
use crate::types::object::Object;
use std::ptr::NonNull;

/// Fields that are taken out of a hash before a command changes it. What is due beyond that stays hidden, and goes with
/// the wheel: a command must not wait for a million of them.
const FIELDS_PER_COMMAND: usize = 256;

/// A record that a name of the wheel may mean.
struct Candidate {
    found: Ref,
    /// When the key goes.
    expiry: Option<u64>,
    /// When its next field expires.
    fields: Option<u64>,
}

/// When the next field of a record's hash expires, in milliseconds since 1970.
#[inline]
pub(super) fn fields_due(at: NonNull<u8>) -> Option<u64> {
    if record::header(at).shape() != Shape::Object {
        return None;
    }
    // SAFETY: the collection lives as long as the record, and the stripe's lock is held.
    match unsafe { record::object(at).as_ref() } {
        Object::Hash(hash) => hash.next_due(),
        _ => None,
    }
}

/// Whether a collection has no element left that anybody can see.
pub(super) fn is_spent(object: &Object, now_ms: u64) -> bool {
    match object {
        Object::Hash(hash) if hash.next_due().is_some_and(|due| due <= now_ms) => hash.len_at(now_ms) == 0,
        object => object.is_spent(),
    }
}

/// Whether the time of all fields of a record's hash has come: the key is gone, though nobody has taken it away yet.
#[inline]
fn are_fields_gone(at: NonNull<u8>, now_ms: u64) -> bool {
    fields_due(at).is_some_and(|due| due <= now_ms) && {
        // SAFETY: as in `fields_due`, which has seen that this is a collection.
        is_spent(unsafe { record::object(at).as_ref() }, now_ms)
    }
}

/// Whether a record is as good as gone: its time, or that of all its fields, has come.
#[inline]
pub(super) fn is_gone(at: NonNull<u8>, now_ms: u64) -> bool {
    record::expiry(at).is_some_and(|expiry| expiry <= now_ms) || are_fields_gone(at, now_ms)
}

/// Whether a record that is as good as gone may be deleted: nobody may be served it stale.
#[inline]
pub(super) fn is_over(at: NonNull<u8>, now_ms: u64) -> bool {
    record::keep(at) == Keep::default() || record::lasts_until(at).is_none_or(|until| until <= now_ms)
}

impl Entry<'_> {
    /// What a rule keeps beside the expiry.
    #[inline]
    pub fn keep(self) -> Keep {
        record::keep(self.at)
    }
}

impl Stripe {
    /// Deletes a record that is as good as gone, and tells why it went.
    pub(in crate::store) fn bury(&mut self, db: usize, place: Place, at: At, found: Ref, now_ms: u64) {
        if record::expiry(self.arena.at(found)).is_some_and(|expiry| expiry <= now_ms) {
            self.expired(found);
        } else {
            self.tell_of(found, How::FieldsExpired { is_last: true });
        }
        self.remove_at(db, place, at, found);
    }

    /// Whether the time of the record that a reference leads to has come, or it is wrong. It is deleted then, if the node decides that.
    pub(in crate::store) fn bury_ref(&mut self, found: Ref, moment: Moment) -> bool {
        if self.is_wrong(self.arena.at(found)) {
            let (db, place, at) = self.whereabouts(found);
            return self.settle_wrong(db, place, at, found, moment);
        }
        let is_gone = is_gone(self.arena.at(found), moment.due_ms());
        if is_gone && moment.decides() && is_over(self.arena.at(found), moment.ms) {
            let (db, place, at) = self.whereabouts(found);
            self.bury(db, place, at, found, moment.ms);
        }
        is_gone
    }

    /// Notes in the wheel that a field of a record expires, unless it hangs in the right bucket already.
    pub(super) fn note_fields(&mut self, db: usize, place: Place, old: Option<u64>, found: Ref, moment: Moment) {
        let new = fields_due(self.arena.at(found));
        if new != old {
            self.note_expiry(db, place, old, new, moment);
        }
    }

    /// Takes expired fields out of a hash that is to be changed.
    pub(super) fn take_fields(&mut self, db: usize, place: Place, found: Ref, moment: Moment) {
        if moment.decides() && fields_due(self.arena.at(found)).is_some_and(|due| due <= moment.ms) {
            self.take_fields_due(found, moment, FIELDS_PER_COMMAND);
            self.note_fields(db, place, None, found, moment);
        }
    }

    /// Takes at most `max` expired fields out of a record's hash, and returns how many that were.
    fn take_fields_due(&mut self, found: Ref, moment: Moment, max: usize) -> usize {
        let at = self.arena.at(found);
        if fields_due(at).is_none() {
            return 0;
        }
        self.preserve(found);
        let before = record::heap_bytes(at);
        // SAFETY: it is a collection, the stripe is held mutably, and nothing else refers to it.
        let Object::Hash(hash) = (unsafe { record::object(at).as_mut() }) else { return 0 };
        let mut fields: Vec<Box<[u8]>> = Vec::new();
        let names = self.heed.has(Heed::GONE);
        let taken = hash.take_due(moment.ms, max, |field| {
            if names {
                fields.push(field.text(&mut Digits::new()).into());
            }
        });
        let is_last = hash.is_empty();
        self.count_heap(before, record::heap_bytes(at));
        if taken > 0 && self.heed.is_any() {
            self.tell_fields(found, is_last, fields);
        }
        taken
    }

    /// Notes in the wheel that a record expires, unless it hangs in the right bucket already.
    pub(super) fn note_expiry(&mut self, db: usize, place: Place, old: Option<u64>, new: Option<u64>, moment: Moment) {
        let Some(new) = new else { return };
        if old.is_some_and(|old| self.wheel.same_bucket(old, new)) {
            return;
        }
        self.wheel.start(moment.ms);
        let wide = self.is_wide(db, place);
        self.wheel.add(place.local() as u8, table::name_of(place.hash), wide, new);
    }

    /// Keeps what a rule says beside the expiry of a key, if it has one: it may be served stale after that.
    pub fn keep_stale(&mut self, db: usize, key: Key<'_>, keep: Keep, moment: Moment) {
        let Some((_, found)) = self.find(db, key) else { return };
        let has_expired = record::expiry(self.arena.at(found)).is_some_and(|expiry| expiry <= moment.ms);
        self.set_keep_of(found, if has_expired && keep.grace_ms() > 0 { keep.hidden() } else { keep });
        let at = self.arena.at(found);
        if keep.grace_ms() > 0 {
            self.note_expiry(db, key.place, record::expiry(at), record::lasts_until(at), moment);
        }
    }

    /// The entry of a key that has expired and may be served stale.
    pub fn stale(&self, db: usize, key: Key<'_>, moment: Moment) -> Option<Entry<'_>> {
        let entry = self.entry(self.find(db, key)?.1);
        let is_stale = is_gone(entry.at, moment.ms) && !is_over(entry.at, moment.ms);
        (is_stale && !self.is_wrong(entry.at)).then_some(entry)
    }

    /// Deletes what is kept of a key that has expired: it may not be served stale any more either.
    pub(super) fn remove_stale(&mut self, db: usize, key: Key<'_>, moment: Moment) {
        if moment.decides()
            && let Some((at, found)) = self.find(db, key)
        {
            self.bury(db, key.place, at, found, moment.ms);
        }
    }

    /// Deletes keys and fields whose time has come, at most about `keys_max` of them. Returns whether more are due.
    pub fn expire(&mut self, moment: Moment, keys_max: usize) -> bool {
        self.wheel.advance(moment.ms);
        let mut left = keys_max;
        let mut found = Vec::new();
        while left > 0 {
            let Some(mut work) = self.wheel.work() else {
                return false;
            };
            while left > 0 {
                let Some(name) = work.take_name() else { break };
                if let Some(ahead) = work.peek(4) {
                    self.prefetch_named(ahead.slot, ahead.prefix, ahead.bits);
                }
                self.expiring_named(name.slot, name.prefix, name.bits, &mut found);
                left -= 1;
                let mut is_done = true;
                for candidate in &found {
                    is_done &= self.expire_one(candidate, &work, moment, &mut left);
                }
                if !is_done {
                    // The hash has more fields to give than this step may take.
                    work.keep(name);
                    left = 0;
                }
            }
            self.wheel.put_back(work);
        }
        self.wheel.has_work()
    }

    /// Does what a record's times ask for now. Returns whether that is all; `left` is what may still be taken.
    fn expire_one(&mut self, candidate: &Candidate, work: &Work, moment: Moment, left: &mut usize) -> bool {
        let &Candidate { found, expiry, fields } = candidate;
        let is_due = |time: Option<u64>| time.is_some_and(|time| time <= moment.ms);
        let in_bucket = |time: &u64| (work.from_ms..work.to_ms).contains(time);
        if is_due(expiry) {
            self.expired(found);
            self.remove_ref(found);
            return true;
        }
        if is_due(record::expiry(self.arena.at(found))) {
            self.hide(found);
        }
        expiry.filter(in_bucket).into_iter().for_each(|time| self.rewheel(found, time));
        if !is_due(fields) {
            fields.filter(in_bucket).into_iter().for_each(|time| self.rewheel(found, time));
            return true;
        }
        // A step takes one at least, so that it comes to an end.
        *left -= self.take_fields_due(found, moment, (*left).max(1)).min(*left);
        self.after_fields(found, moment)
    }

    /// Puts a record whose fields went where it belongs now. Returns `false` if more of them are due.
    fn after_fields(&mut self, found: Ref, moment: Moment) -> bool {
        let at = self.arena.at(found);
        // SAFETY: fields were taken out of this collection just now.
        if is_spent(unsafe { record::object(at).as_ref() }, 0) {
            self.remove_ref(found);
            return true;
        }
        let db = record::header(at).db() as usize;
        self.requeue(db, self.place_of(found), found);
        match fields_due(at) {
            Some(next) if next <= moment.ms => false,
            next => {
                next.into_iter().for_each(|time| self.rewheel(found, time));
                true
            }
        }
    }

    fn prefetch_named(&self, slot: u8, prefix: u32, bits: u8) {
        for db in self.dbs.iter().flatten() {
            db.tables[slot as usize].prefetch_named(prefix, bits);
        }
    }

    /// Notes a record in the wheel for all its times, whether it hangs there or not.
    pub(super) fn rewheel_all(&mut self, found: Ref) {
        let at = self.arena.at(found);
        let times = [record::lasts_until(at), fields_due(at)];
        times.into_iter().flatten().for_each(|time| self.rewheel(found, time));
    }

    /// Records with an expiry, their own or of fields, that a name may mean.
    fn expiring_named(&self, slot: u8, prefix: u32, bits: u8, found: &mut Vec<Candidate>) {
        found.clear();
        for db in self.dbs.iter().flatten() {
            db.tables[slot as usize].each_named(prefix, bits, |candidate| {
                let at = self.arena.at(candidate);
                let (expiry, fields) = (record::lasts_until(at), fields_due(at));
                if expiry.or(fields).is_some() && table::has_name(self.hasher.hash(record::key(at)), prefix, bits) {
                    found.push(Candidate { found: candidate, expiry, fields });
                }
            });
        }
    }

    fn rewheel(&mut self, found: Ref, expiry: u64) {
        let at = self.arena.at(found);
        let place = self.hasher.place(record::key(at));
        let wide = self.is_wide(record::header(at).db() as usize, place);
        self.wheel.add(place.local() as u8, table::name_of(place.hash), wide, expiry);
    }
}
