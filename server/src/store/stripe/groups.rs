//! Keys that are declared wrong together: by a tag, or by a prefix.
//!
//! Declaring takes no longer for many keys than for few. Whoever meets a key that is wrong has it go first ([`Stripe::live`]), who
//! walks passes over it, and what nobody meets goes in steps ([`Stripe::sweep_groups`]). Where nothing waits to go, a look-up pays for this
//! with the look at one byte.

use super::super::cleared::Clears;
use super::super::news::How;
use super::super::record;
use super::super::table::ScanAt;
use super::super::tagged::{Doom, KeyId, TagList, Tags};
use super::{At, DATABASES, Key, Moment, NonNull, Place, Ref, SLOTS_PER_STRIPE, Stripe, expiry};
use crate::base::keep::Keep;

/// What a stripe knows of keys that belong together.
#[derive(Default)]
pub(in crate::store) struct Groups {
    tags: Tags,
    clears: Clears,
    /// Whether a key may be wrong.
    is_waiting: bool,
    /// Whether there is anything at all.
    is_any: bool,
    /// Bytes that it takes.
    pub(in crate::store) bytes: usize,
}

impl Groups {
    /// Whether a key may be wrong.
    #[inline]
    pub(in crate::store) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    fn changed(&mut self) {
        self.is_waiting = self.tags.is_waiting() || self.clears.is_waiting();
        self.is_any = self.is_waiting || !self.tags.is_empty();
        self.bytes = if self.is_any { self.tags.bytes() + self.clears.bytes() } else { 0 };
    }

    fn doom_of(&self, id: KeyId, key: &[u8]) -> Option<Doom> {
        self.tags.doom_of(id).into_iter().chain(self.clears.doom_of(id, key)).reduce(Doom::and)
    }
}

fn id(db: usize, place: Place) -> KeyId {
    KeyId { hash: place.hash, local: place.local() as u8, db: db as u8 }
}

impl Stripe {
    /// Gives a key that is there tags. Returns how many of them it did not have; `None` if it is not there.
    pub fn tag<'t>(
        &mut self,
        db: usize,
        key: Key<'_>,
        tags: impl Iterator<Item = &'t [u8]>,
        moment: Moment,
    ) -> Option<usize> {
        self.live(db, key, moment)?;
        let id = id(db, key.place);
        let new = tags.filter(|tag| self.groups.tags.add(id, tag)).count();
        self.groups.changed();
        if new > 0 {
            self.changed(db, key.bytes, How::Written);
        }
        Some(new)
    }

    /// The tags of a key, in no order.
    pub fn tags_of(&self, db: usize, place: Place) -> TagList {
        if self.groups.is_any { self.groups.tags.of(id(db, place)).map(Box::from).collect() } else { Vec::new() }
    }

    /// The tags of a record.
    pub(super) fn tags_at(&self, at: NonNull<u8>) -> TagList {
        if !self.groups.is_any {
            return Vec::new();
        }
        self.tags_of(record::header(at).db().into(), self.hasher.place(record::key(at)))
    }

    /// Declares all keys of a database with a tag wrong. Returns how many those are.
    pub fn doom_tag(&mut self, db: usize, tag: &[u8], doom: Doom) -> usize {
        let count = self.groups.tags.doom(db as u8, tag, doom);
        self.groups.changed();
        count
    }

    /// Declares all keys of a database with a prefix wrong. Returns whether it could: too many may be waiting.
    pub fn doom_prefix(&mut self, db: usize, prefix: &[u8], doom: Doom) -> bool {
        if self.keys(db) == 0 {
            return true;
        }
        let has_room = !self.groups.clears.is_full();
        if has_room {
            self.groups.clears.add(db as u8, prefix, doom);
            self.groups.changed();
        }
        has_room
    }

    /// A key is about to be written: it is not wrong then.
    #[inline]
    pub(in crate::store) fn renew(&mut self, db: usize, key: Key<'_>, moment: Moment) {
        if self.groups.is_waiting {
            // What is wrong goes as what it is, and is not kept for a snapshot.
            let _ = self.live(db, key, moment);
            self.groups.clears.renew(id(db, key.place), key.bytes);
            self.groups.changed();
        }
    }

    /// A record goes, or gets another value, and its key's tags go.
    #[inline]
    pub(in crate::store) fn forget_tags(&mut self, db: usize, place: Place) {
        if self.groups.is_any {
            self.groups.tags.forget(id(db, place));
            self.groups.changed();
        }
    }

    /// Whether a record is wrong, for those who only look.
    #[inline]
    pub(super) fn is_wrong(&self, at: NonNull<u8>) -> bool {
        self.groups.is_waiting && self.doom_at(at).is_some()
    }

    #[cold]
    fn doom_at(&self, at: NonNull<u8>) -> Option<Doom> {
        let key = record::key(at);
        self.groups.doom_of(id(record::header(at).db().into(), self.hasher.place(key)), key)
    }

    /// Has a record go if it is wrong. Returns whether it was.
    #[cold]
    pub(super) fn settle_wrong(&mut self, db: usize, place: Place, at: At, found: Ref, moment: Moment) -> bool {
        let Some(doom) = self.doom_at(self.arena.at(found)) else { return false };
        if let Doom::Stale { at_ms, keep_ms } = doom
            && self.outdate(db, place, at, found, at_ms, keep_ms, moment)
        {
            return true;
        }
        self.tell_of(found, How::Invalidated);
        self.counters.invalidated += 1;
        self.remove_at(db, place, at, found);
        true
    }

    /// Lets a record expire at a time that has passed; it may be served stale for as long as it would have lasted. Returns whether that
    /// is any longer.
    #[expect(clippy::too_many_arguments, reason = "a record's place in all its parts, and what is to become of it")]
    fn outdate(
        &mut self,
        db: usize,
        place: Place,
        at: At,
        found: Ref,
        at_ms: u64,
        keep_ms: u64,
        moment: Moment,
    ) -> bool {
        let from = self.arena.at(found);
        let until = record::lasts_until(from).unwrap_or(at_ms + keep_ms);
        if until <= moment.ms {
            return false;
        }
        // What has expired before that is as old as it was.
        let expiry = record::expiry(from).map_or(at_ms, |expiry| expiry.min(at_ms));
        self.tell_of(found, How::Outdated { at_ms: expiry });
        self.counters.invalidated += 1;
        // As for what goes: who loaded a snapshot with it would have it fresh.
        self.leave_out(found);
        self.step_back(from);
        let name: Box<[u8]> = record::key(from).into();
        let key = Key { bytes: &name, place };
        if record::expiry(from).is_some() {
            record::set_expiry(from, expiry);
        } else {
            self.reshape(db, key, at, found, Some(expiry));
        }
        if let Some((_, found)) = self.find(db, key) {
            self.set_keep_of(found, Keep::new(until - expiry, 0).hidden());
        }
        self.note_expiry(db, place, None, Some(until), moment);
        // What is kept has its tags, and is not to be met again for the same reason.
        let tags = self.tags_of(db, place);
        self.forget_tags(db, place);
        self.groups.clears.renew(id(db, place), key.bytes);
        for tag in &tags {
            self.groups.tags.add(id(db, place), tag);
        }
        self.groups.changed();
        true
    }

    /// Has about so many records go that are wrong, or looks at so many. Returns whether there may be more.
    pub(in crate::store) fn sweep_groups(&mut self, moment: Moment, records_max: usize) -> bool {
        for _ in 0..records_max {
            let Some(id) = self.groups.tags.next_doomed() else { break };
            self.sweep_key(id, moment);
        }
        if !self.groups.tags.is_waiting() && self.groups.clears.is_waiting() {
            self.sweep_some(moment, records_max);
        }
        self.groups.changed();
        self.groups.is_waiting
    }

    fn sweep_key(&mut self, id: KeyId, moment: Moment) {
        let db = usize::from(id.db);
        let of_key = |found: Ref| self.hasher.hash(record::key(self.arena.at(found))) == id.hash;
        let table = self.dbs[db].as_ref().map(|db| &db.tables[usize::from(id.local)]);
        if let Some((at, found)) = table.and_then(|table| table.find(id.hash, of_key)) {
            let place = self.place_of(found);
            self.settle_wrong(db, place, at, found, moment);
        }
        if self.groups.tags.doom_of(id).is_some() {
            // No record has it, which cannot be; it must not be met for ever.
            self.groups.tags.forget(id);
        }
    }

    /// Looks at the next records in the order of `SCAN`.
    fn sweep_some(&mut self, moment: Moment, records_max: usize) {
        let look = self.groups.clears.look();
        let (mut db, mut local, mut from) = (look.db, look.local, look.from);
        let mut seen = 0;
        while db < DATABASES && seen < records_max {
            let Some(filled) = (local < SLOTS_PER_STRIPE).then(|| self.next_filled(db, local)).flatten() else {
                (db, local, from) = (db + 1, 0, ScanAt::default());
                continue;
            };
            if filled != local {
                (local, from) = (filled, ScanAt::default());
            }
            let mut line = Vec::new();
            let hash_of = |found: Ref| self.hasher.hash(record::key(self.arena.at(found)));
            let tables = &self.dbs[db].as_ref().expect("a slot of it has keys").tables;
            let next = tables[local].scan(from, &hash_of, |found| line.push(found));
            seen += line.len().max(1);
            for found in line {
                if self.is_wrong(self.arena.at(found)) {
                    let (db, place, at) = self.whereabouts(found);
                    self.settle_wrong(db, place, at, found, moment);
                }
            }
            match next {
                Some(next) => from = next,
                None => (local, from) = (local + 1, ScanAt::default()),
            }
        }
        self.groups.clears.looked((db < DATABASES).then_some((db, local, from)));
    }

    /// Whether the record of a key is as good as gone, for those who only look.
    #[inline]
    pub(super) fn is_lost(&self, at: NonNull<u8>, moment: Moment) -> bool {
        expiry::is_gone(at, moment.due_ms()) || self.is_wrong(at)
    }
}
