//! One lock's part of the store: the records of 64 neighbouring slots and all that concerns them.

use super::arena::{Arena, NIL, Ref};
use super::edit::Touches;
use super::evict::{ghost::Ghost, queues::Queues};
use super::hash::{KeyHasher, Place, SLOTS_PER_STRIPE};
use super::header::{CLOCK_STEP_MS, Header, Shape};
use super::lines::Lines;
pub use super::moment::{Moment, Sight};
use super::news::{Heed, How, News};
use super::pages::Pool;
use super::pieces;
use super::policy::{Family, lfu, lru};
use super::record::{self, New, Placed, Value};
use super::table::{self, At, Table};
use super::wheel::Wheel;
use crate::types::object::Object;
use crate::types::shared::SharedBox;
use crate::types::stream::Group;
use aside::Negatives;
use capture::Walk;
use groups::Groups;
use std::ptr::NonNull;
use std::sync::Arc;

mod aside;
mod capture;
mod chain;
mod expiry;
mod groups;
mod hot;
mod opened;
mod prefetch;
mod queued;
mod rekey;
mod visit;

/// Databases of a node.
pub const DATABASES: usize = 16;

/// A key and its place.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub bytes: &'a [u8],
    pub place: Place,
}

/// What has happened in a stripe since the node started.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counters {
    pub hits: u64,
    pub misses: u64,
    pub expired: u64,
    pub evicted: u64,
    /// Those that were declared wrong, by a tag or a prefix.
    pub invalidated: u64,
    /// Changes to keys, as `rdb_changes_since_last_save` counts them.
    pub changes: u64,
}

pub struct Stripe {
    hasher: KeyHasher,
    dbs: [Option<Box<Db>>; DATABASES],
    pub(super) arena: Arena,
    /// The first of the pieces that were written for a value which has no record yet, or [`NIL`].
    chain: Ref,
    wheel: Wheel,
    pub(super) queues: Queues,
    pub(super) ghost: Ghost,
    /// A bit for each slot that may have entries in queues which tell more of a name than others do.
    split: u64,
    lines: Lines,
    db_bytes: usize,
    heap_bytes: usize,
    /// Bytes last told to the node.
    pub(super) told_bytes: i64,
    /// Bytes last told that its ghost will take.
    pub(super) told_owed: i64,
    /// What the policy's bits of the records mean now.
    family: Family,
    /// What takes too long to be freed under the lock.
    pub(super) discarded: Vec<Discarded>,
    pub counters: Counters,
    /// Keys that belong together.
    groups: Groups,
    negatives: Negatives,
    /// Why changes are noted, if they are.
    pub(super) heed: Heed,
    /// Changes that have not been told yet.
    pub(super) news: Vec<News>,
    /// The era of records that no snapshot has still to capture; see [`super::snapshot`].
    era: bool,
    /// The walk of a snapshot through this stripe.
    walk: Option<Box<Walk>>,
}

struct Db {
    tables: [Table; SLOTS_PER_STRIPE],
    /// A bit for each slot that has keys.
    filled: u64,
    keys: usize,
    expiring: usize,
    /// Records that are no keys to whoever counts keys.
    aside: usize,
}

/// Buffers of at least this size are freed by the reaper, not by a worker.
pub const DISCARD_MIN: usize = 256 * 1024;

/// Collections of at least this size are freed by the reaper: they may be thousands of small blocks.
const DISCARD_OBJECT_MIN: usize = 16 * 1024;

/// A value that has gone: dropping it is all that is left to do.
#[expect(dead_code, reason = "it is only ever dropped")]
pub(super) enum Discarded {
    Buffer(Vec<u8>),
    Object(Box<Object>),
    Group(SharedBox<Group>),
}

const _: () = assert!(pieces::PIECES_MAX <= DISCARD_MIN, "what is too long for pieces is freed by the reaper");

/// A record found, while the stripe is borrowed.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    at: NonNull<u8>,
    arena: &'a Arena,
}

impl<'a> Entry<'a> {
    pub fn key(self) -> &'a [u8] {
        record::key(self.at)
    }

    pub fn value(self) -> Value<'a> {
        record::value(self.at, self.arena)
    }

    /// When it expires, in milliseconds since 1970.
    pub fn expiry(self) -> Option<u64> {
        record::expiry(self.at)
    }

    pub fn shape(self) -> Shape {
        record::header(self.at).shape()
    }

    /// Bytes of the record and its buffer or pieces: what the policy counts.
    pub fn footprint(self) -> u32 {
        self.bytes().min(u32::MAX as usize) as u32
    }

    /// Bytes the entry takes: record, buffer or pieces, and its share of table, queue and wheel.
    pub fn memory(self) -> usize {
        let indexes = 8 + 2 + if self.expiry().is_some() { 2 } else { 0 };
        self.bytes() + indexes
    }

    fn bytes(self) -> usize {
        record::units(self.at) * super::arena::UNIT + record::bytes_beside(self.at)
    }

    /// Milliseconds since the last access, as finely as the policy in force keeps it.
    pub fn idle_ms(self, moment: Moment) -> u64 {
        let header = record::header(self.at);
        if moment.eviction.family() == Family::Lru {
            return lru::idle_ms(header.policy(), moment.ms);
        }
        u64::from(moment.clock().wrapping_sub(header.clock()) & 0xFFF) * CLOCK_STEP_MS
    }

    /// The access frequency, 0 to 255, as LFU policies count it.
    pub fn frequency(self, moment: Moment) -> u8 {
        lfu::decayed(record::header(self.at).policy(), moment).0
    }
}

impl Stripe {
    pub fn new(hasher: KeyHasher, pool: Arc<Pool>, family: Family) -> Stripe {
        let lines_pool = pool.clone();
        Stripe {
            hasher,
            dbs: Default::default(),
            arena: Arena::new(pool),
            chain: NIL,
            wheel: Wheel::default(),
            queues: Queues::default(),
            ghost: Ghost::default(),
            split: 0,
            lines: Lines::new(lines_pool),
            db_bytes: 0,
            heap_bytes: 0,
            told_bytes: 0,
            told_owed: 0,
            family,
            discarded: Vec::new(),
            counters: Counters::default(),
            groups: Groups::default(),
            negatives: Negatives::default(),
            heed: Heed::default(),
            news: Vec::new(),
            era: false,
            walk: None,
        }
    }

    /// Bytes the stripe holds, holes included.
    pub fn used_bytes(&self) -> usize {
        self.arena.footprint() + self.heap_bytes + self.index_bytes()
    }

    /// Bytes that the first eviction will take for what it remembers.
    pub fn owed_bytes(&self) -> usize {
        self.ghost.bytes_owed(self.queues.len())
    }

    /// Bytes of tables, queues, ghost and wheel.
    pub fn index_bytes(&self) -> usize {
        let queues = self.queues.bytes_used() + self.ghost.bytes_used();
        self.db_bytes
            + self.lines.footprint()
            + self.wheel.bytes()
            + queues
            + self.groups.bytes
            + self.negatives.bytes_used()
    }

    /// Bytes of keys and values, with their headers.
    pub fn live_bytes(&self) -> usize {
        self.arena.live_bytes() + self.heap_bytes
    }

    /// Keys in a database, expired ones that still lie there included.
    pub fn keys(&self, db: usize) -> usize {
        self.dbs[db].as_ref().map_or(0, |db| db.keys)
    }

    /// Keys of a database that have an expiry.
    pub fn expiring(&self, db: usize) -> usize {
        self.dbs[db].as_ref().map_or(0, |db| db.expiring)
    }

    /// Keys of a database in one slot.
    pub fn keys_in_slot(&self, db: usize, local: usize) -> usize {
        self.dbs[db].as_ref().map_or(0, |db| db.tables[local].len())
    }

    // --- reading

    /// The entry of a key, if it is there and has not expired. Counts a hit or a miss, and the access.
    #[inline]
    pub fn get(&mut self, db: usize, key: Key<'_>, moment: Moment) -> Option<Entry<'_>> {
        match self.live(db, key, moment) {
            Some((_, found)) => {
                self.counters.hits += 1;
                if !moment.quiet {
                    self.touch(found, moment);
                }
                Some(self.entry(found))
            }
            None => {
                self.counters.misses += 1;
                None
            }
        }
    }

    /// As [`Stripe::get`], but neither counted nor taken for an access.
    pub fn peek(&mut self, db: usize, key: Key<'_>, moment: Moment) -> Option<Entry<'_>> {
        let (_, found) = self.live(db, key, moment)?;
        Some(self.entry(found))
    }

    #[inline]
    fn find(&self, db: usize, key: Key<'_>) -> Option<(At, Ref)> {
        let table = &self.dbs[db].as_ref()?.tables[key.place.local()];
        table.find(key.place.hash, |found| record::key(self.arena.at(found)) == key.bytes)
    }

    /// Finds a key; one that has expired is deleted instead.
    #[inline]
    pub(super) fn live(&mut self, db: usize, key: Key<'_>, moment: Moment) -> Option<(At, Ref)> {
        let (at, found) = self.find(db, key)?;
        if self.groups.is_waiting() && self.settle_wrong(db, key.place, at, found, moment) {
            return None;
        }
        if expiry::is_gone(self.arena.at(found), moment.due_ms()) {
            if moment.decides() && expiry::is_over(self.arena.at(found), moment.ms) {
                self.bury(db, key.place, at, found, moment.ms);
            }
            return None;
        }
        Some((at, found))
    }

    /// The entry of a key, as it can be seen without deleting what has expired.
    pub(super) fn entry_of(&self, db: usize, key: Key<'_>, moment: Moment) -> Option<Entry<'_>> {
        let entry = self.entry(self.find(db, key)?.1);
        (!self.is_lost(entry.at, moment)).then_some(entry)
    }

    // --- telling

    /// Counts a change to a key, and tells who has asked.
    #[inline]
    pub(super) fn changed(&mut self, db: usize, key: &[u8], how: How) {
        self.counters.changes += 1;
        if self.heed.has_changes() {
            self.tell(db, key, how);
        }
    }

    #[cold]
    fn tell(&mut self, db: usize, key: &[u8], how: How) {
        self.news.push(News { db, key: key.into(), how, fields: Vec::new() });
    }

    /// Tells that fields of a hash have expired.
    #[cold]
    fn tell_fields(&mut self, found: Ref, is_last: bool, fields: Vec<Box<[u8]>>) {
        let at = self.arena.at(found);
        let (db, key) = (record::header(at).db() as usize, record::key(at).into());
        self.news.push(News { db, key, how: How::FieldsExpired { is_last }, fields });
    }

    /// Counts a record that goes because its time has come, and tells who has asked.
    pub(super) fn expired(&mut self, found: Ref) {
        self.counters.expired += 1;
        self.tell_of(found, How::Expired);
    }

    /// Counts a record that goes to make room, and tells who has asked.
    pub(super) fn evicted(&mut self, found: Ref) {
        self.counters.evicted += 1;
        self.tell_of(found, How::Evicted);
    }

    fn tell_of(&mut self, found: Ref, how: How) {
        if self.heed.is_any() {
            let at = self.arena.at(found);
            self.tell(record::header(at).db() as usize, record::key(at), how);
        }
    }

    /// The place of a record.
    pub(super) fn place_of(&self, found: Ref) -> Place {
        self.hasher.place(record::key(self.arena.at(found)))
    }

    /// Counts heap bytes that a value has come to take.
    pub(super) fn count_heap(&mut self, before: usize, now: usize) {
        self.heap_bytes = self.heap_bytes + now - before;
    }

    // --- writing

    /// Sets a key to a value that takes `placed` room, whatever it was before.
    ///
    /// The caller has made sure that there is room; see [`Stripe::lacks`]. What belongs into pieces is there already:
    /// [`Stripe::begin_chain`], then [`Stripe::add_piece`] from the last to the first.
    pub fn put(&mut self, db: usize, key: Key<'_>, mut placed: Placed<'_>, expiry: Option<u64>, moment: Moment) {
        placed.set_chain(self.chain);
        self.heap_bytes += placed.heap_bytes();
        let units = record::units_for(key.bytes.len(), placed.len, expiry.is_some());
        match self.find(db, key) {
            Some((at, found)) => self.overwrite(db, key, at, found, units, placed, expiry, moment),
            None => self.insert(db, key, units, placed, expiry, moment),
        }
    }

    /// Bytes that must be found elsewhere before a value of this size can be [`Stripe::put`]: 0 if a hole takes it.
    pub fn lacks(&mut self, db: usize, key: Key<'_>, placed: &Placed<'_>, expires: bool) -> usize {
        let units = record::units_for(key.bytes.len(), placed.len, expires);
        if let Some((_, found)) = self.find(db, key)
            && record::units(self.arena.at(found)) == units
        {
            return placed.heap_bytes();
        }
        placed.heap_bytes() + self.arena.growth_for(units)
    }

    #[expect(clippy::too_many_arguments, reason = "one record's parts, passed on between two private functions")]
    fn overwrite(
        &mut self,
        db: usize,
        key: Key<'_>,
        at: At,
        found: Ref,
        units: usize,
        placed: Placed<'_>,
        expiry: Option<u64>,
        moment: Moment,
    ) {
        let old_at = self.arena.at(found);
        let old = record::header(old_at);
        let old_units = record::units(old_at);
        let old_expiry = record::expiry(old_at);
        if moment.decides() && old_expiry.is_some_and(|expiry| expiry <= moment.ms) {
            // It may have been kept to be served stale: for everybody else it goes now.
            self.expired(found);
            self.forget_tags(db, key.place);
        }
        self.preserve_going(found);
        self.step_back(self.arena.at(found));
        self.drop_value(found);
        let block = if old_units == units { found } else { self.arena.alloc_or_grow(units) };
        let to = self.arena.at(block);
        let header = Header::record(placed.shape, old.db(), key.bytes.len(), placed.len, expiry.is_some())
            .with_policy(old.policy())
            .with_clock(old.clock())
            .with_era(self.era)
            .with_prev_free(record::header(to).prev_free());
        record::write(to, header, expiry, key.bytes, placed);
        self.own_chain(block);
        if block != found {
            let db = self.dbs[db].as_mut().expect("a key was found in it");
            db.tables[key.place.local()].set(at, block);
            self.arena.free(found, old_units);
        }
        let keyspace = self.dbs[db].as_mut().expect("a key was found in it");
        keyspace.expiring = keyspace.expiring + usize::from(expiry.is_some()) - usize::from(old_expiry.is_some());
        self.note_expiry(db, key.place, old_expiry, expiry, moment);
        self.note_fields(db, key.place, None, block, moment);
        self.requeue(db, key.place, block);
        self.touch(block, moment);
    }

    fn insert(
        &mut self,
        db: usize,
        key: Key<'_>,
        units: usize,
        placed: Placed<'_>,
        expiry: Option<u64>,
        moment: Moment,
    ) {
        let block = self.arena.alloc_or_grow(units);
        let at = self.arena.at(block);
        let header = Header::record(placed.shape, db as u8, key.bytes.len(), placed.len, expiry.is_some())
            .with_clock(moment.clock())
            .with_era(self.era)
            .with_prev_free(record::header(at).prev_free());
        record::write(at, header, expiry, key.bytes, placed);
        self.own_chain(block);
        let table = self.dbs[db].as_ref().map(|db| &db.tables[key.place.local()]);
        if let Some(lines) = table.and_then(|table| table.wants(key.place.hash))
            && self.lines.is_loose_for(lines)
        {
            self.repack();
        }
        let (arena, hasher) = (&self.arena, &self.hasher);
        let keyspace = self.dbs[db].get_or_insert_with(|| {
            self.db_bytes += size_of::<Db>();
            Box::new(Db::new())
        });
        let hash_of = |found: Ref| hasher.hash(record::key(arena.at(found)));
        let table = &mut keyspace.tables[key.place.local()];
        let was_wide = table.is_wide();
        table.insert(key.place.hash, block, &mut self.lines, &hash_of);
        let has_split = table.is_wide() && !was_wide;
        keyspace.filled |= 1 << key.place.local();
        keyspace.keys += 1;
        keyspace.expiring += usize::from(expiry.is_some());
        if has_split {
            // Before anything looks for a record by a name that the table no longer knows.
            self.rename_all(db, key.place.local(), block);
        }
        self.note_expiry(db, key.place, None, expiry, moment);
        self.note_fields(db, key.place, None, block, moment);
        self.enqueue_new(db, key.place, block, moment);
    }

    /// Gives the records of a slot longer names in queues and wheel, as its table has split for the first time; all but
    /// the one that made it split, which has one.
    ///
    /// So a short name means nothing in a table that has split, where it would lead to a part in 512 of all records.
    #[cold]
    fn rename_all(&mut self, db: usize, local: usize, but: Ref) {
        let mut all = Vec::new();
        self.dbs[db].as_ref().expect("the table is there").tables[local].each(|found| all.push(found));
        for found in all.into_iter().filter(|&found| found != but) {
            if self.family == Family::Larder {
                self.push_again(db, self.place_of(found), found);
            }
            self.rewheel_all(found);
        }
    }

    /// Deletes a key. Returns whether it was there and had not expired.
    pub fn remove(&mut self, db: usize, key: Key<'_>, moment: Moment) -> bool {
        let Some((at, found)) = self.live(db, key, moment) else {
            self.remove_stale(db, key, moment);
            if self.heed.has_changes() {
                self.tell(db, key.bytes, How::NotThere);
            }
            return false;
        };
        self.changed(db, key.bytes, How::Removed);
        self.preserve_going(found);
        self.remove_at(db, key.place, at, found);
        true
    }

    pub(super) fn remove_at(&mut self, db: usize, place: Place, at: At, found: Ref) {
        let policy = record::header(self.arena.at(found)).policy();
        self.take_away(db, place, at, found);
        self.unqueue(policy);
    }

    /// Deletes a record that stands in no queue.
    fn take_away(&mut self, db: usize, place: Place, at: At, found: Ref) {
        self.step_back(self.arena.at(found));
        let units = record::units(self.arena.at(found));
        let expires = record::header(self.arena.at(found)).expires();
        let (arena, hasher) = (&self.arena, &self.hasher);
        let keyspace = self.dbs[db].as_mut().expect("a key was found in it");
        let hash_of = |found: Ref| hasher.hash(record::key(arena.at(found)));
        let table = &mut keyspace.tables[place.local()];
        table.remove(at, place.hash, &mut self.lines, &hash_of);
        if table.is_empty() {
            keyspace.filled &= !(1 << place.local());
        }
        keyspace.keys -= 1;
        keyspace.expiring -= usize::from(expires);
        self.drop_value(found);
        self.arena.free(found, units);
        self.forget_tags(db, place);
    }

    /// Deletes the record that a reference leads to.
    pub(super) fn remove_ref(&mut self, found: Ref) {
        let (db, place, at) = self.whereabouts(found);
        self.remove_at(db, place, at, found);
    }

    /// The database, the place and the reference in its table of a record.
    fn whereabouts(&self, found: Ref) -> (usize, Place, At) {
        let key = record::key(self.arena.at(found));
        let db = record::header(self.arena.at(found)).db() as usize;
        let place = self.hasher.place(key);
        let table = &self.dbs[db].as_ref().expect("a record belongs to a database").tables[place.local()];
        let (at, _) = table.find(place.hash, |other| other == found).expect("a record hangs in its table");
        (db, place, at)
    }

    /// Gives a key an expiry, or takes it away. Returns whether the key is there.
    pub fn set_expiry(&mut self, db: usize, key: Key<'_>, expiry: Option<u64>, moment: Moment) -> bool {
        let Some((at, found)) = self.live(db, key, moment) else {
            return false;
        };
        self.changed(db, key.bytes, How::Written);
        self.preserve_touched(found, &|_| ());
        let from = self.arena.at(found);
        let keep = record::keep(from);
        self.step_back(from);
        let old = record::expiry(from);
        match (old, expiry) {
            (Some(_), Some(expiry)) => {
                record::set_expiry(from, expiry);
                if keep.is_hidden() && expiry <= moment.ms {
                    // Its primary says when it was declared wrong.
                    self.set_keep_of(found, keep);
                }
            }
            (None, None) => return true,
            _ => self.reshape(db, key, at, found, expiry),
        }
        self.note_expiry(db, key.place, old, expiry, moment);
        true
    }

    /// Moves a record to a block with, or without, room for an expiry.
    fn reshape(&mut self, db: usize, key: Key<'_>, at: At, found: Ref, expiry: Option<u64>) {
        let from = self.arena.at(found);
        let header = record::header(from);
        let old_units = record::units(from);
        let units = record::units_for(key.bytes.len(), header.value_len(), expiry.is_some());
        let block = self.arena.alloc_or_grow(units);
        let to = self.arena.at(block);
        let header = header.with_expires(expiry.is_some()).with_prev_free(record::header(to).prev_free());
        record::copy_reshaped(self.arena.at(found), to, header, expiry);
        if header.shape() == Shape::Pieces {
            pieces::follow_record(&self.arena, block);
        }
        let keyspace = self.dbs[db].as_mut().expect("a key was found in it");
        keyspace.tables[key.place.local()].set(at, block);
        keyspace.expiring = keyspace.expiring + usize::from(expiry.is_some()) - usize::from(expiry.is_none());
        self.arena.free(found, old_units);
    }

    /// Changes the bytes of a string in place, after making it at least `len_min` bytes long with zeros behind.
    ///
    /// The key must be there; an integer becomes its text, and pieces a buffer, which can be lengthened. The caller has
    /// made sure that there is room, and notes the change.
    pub fn edit(
        &mut self,
        db: usize,
        key: Key<'_>,
        len_min: usize,
        moment: Moment,
        touches: Touches<'_>,
        change: impl FnOnce(&mut [u8]),
    ) {
        let (_, found) = self.live(db, key, moment).expect("only keys that are there are edited");
        self.preserve_touched(found, touches);
        let at = self.arena.at(found);
        let header = record::header(at);
        if header.shape() == Shape::Heap {
            return self.edit_heap(db, key.place, found, len_min, moment, change);
        }
        if matches!(header.shape(), Shape::Bytes | Shape::Edited) && header.value_len() >= len_min {
            record::set_header(at, header.with_shape(Shape::Edited));
            self.touch(found, moment);
            return change(record::inline_mut(at));
        }
        let value = record::value(at, &self.arena);
        let mut text = Vec::with_capacity(len_min.max(value.len()));
        value.append_to(&mut text);
        if text.len() < len_min {
            text.resize(len_min, 0);
        }
        change(&mut text);
        let expiry = record::expiry(at);
        self.put(db, key, New::built(&mut text).place(), expiry, moment);
    }

    /// Bytes that must be found elsewhere before a string can be [`Stripe::edit`]ed to `len_min` bytes; 0 if it is not
    /// there.
    pub fn lacks_to_edit(&mut self, db: usize, key: Key<'_>, len_min: usize, moment: Moment) -> usize {
        let Some((_, found)) = self.live(db, key, moment) else { return 0 };
        let at = self.arena.at(found);
        let header = record::header(at);
        match header.shape() {
            Shape::Heap => {
                let capacity = record::heap_bytes(at);
                if capacity >= len_min { 0 } else { record::roomy(len_min) - capacity }
            }
            Shape::Bytes | Shape::Edited if header.value_len() >= len_min => 0,
            _ => {
                let (inline, heap) = record::split(len_min.max(record::value(at, &self.arena).len()));
                let units = record::units_for(key.bytes.len(), inline, header.expires());
                heap + self.arena.growth_for(units)
            }
        }
    }

    /// Changes an integer where it lies, and returns what it has become.
    ///
    /// `None` if nothing was done: the key is not there or holds no integer, `change` gave none, or the new one takes
    /// more or fewer bytes than the old one.
    #[inline]
    pub fn change_int(
        &mut self,
        db: usize,
        key: Key<'_>,
        moment: Moment,
        change: impl FnOnce(i64) -> Option<i64>,
    ) -> Option<i64> {
        let (_, found) = self.live(db, key, moment)?;
        let at = self.arena.at(found);
        let Value::Int(old) = record::value(at, &self.arena) else { return None };
        self.preserve(found);
        let new = change(old)?;
        if !record::set_int(at, new) {
            return None;
        }
        self.changed(db, key.bytes, How::Written);
        self.touch(found, moment);
        Some(new)
    }

    fn edit_heap(
        &mut self,
        db: usize,
        place: Place,
        found: Ref,
        len_min: usize,
        moment: Moment,
        change: impl FnOnce(&mut [u8]),
    ) {
        let at = self.arena.at(found);
        self.heap_bytes -= record::heap_bytes(at);
        record::with_heap(at, |buffer| {
            if buffer.capacity() < len_min {
                buffer.reserve_exact(record::roomy(len_min) - buffer.len());
            }
            if buffer.len() < len_min {
                buffer.resize(len_min, 0);
            }
            change(buffer);
        });
        self.heap_bytes += record::heap_bytes(at);
        self.requeue(db, place, found);
        self.touch(found, moment);
    }

    /// Frees what a record's value holds beside the record, which must be overwritten or freed next.
    fn drop_value(&mut self, found: Ref) {
        self.cut(found);
        self.drop_heap(found);
    }

    fn drop_heap(&mut self, found: Ref) {
        let at = self.arena.at(found);
        let bytes = record::heap_bytes(at);
        self.heap_bytes -= bytes;
        match record::header(at).shape() {
            Shape::Heap => {
                let buffer = record::take_heap(at);
                match self.take_original(found) {
                    // It has expired or is evicted, but not as what it was when the snapshot began.
                    Some(original) => self.leave_changed(found, buffer, original),
                    None => self.discard(Discarded::Buffer(buffer), bytes >= DISCARD_MIN),
                }
            }
            Shape::Object => self.discard(Discarded::Object(record::take_object(at)), bytes >= DISCARD_OBJECT_MIN),
            _ => {}
        }
    }

    /// Frees something, or leaves it to the reaper.
    fn discard(&mut self, discarded: Discarded, is_large: bool) {
        if is_large {
            self.discarded.push(discarded);
        }
    }

    // --- whole databases

    /// Forgets all keys of a database.
    pub fn flush(&mut self, db: usize) {
        let keys = self.keys(db);
        if keys == 0 {
            return;
        }
        self.counters.changes += keys as u64;
        if self.walk.is_none() && (0..DATABASES).all(|other| other == db || self.keys(other) == 0) {
            self.discard_heaps(db);
            self.arena.clear();
            self.chain = NIL;
            self.wheel.clear();
            self.clear_queues();
            self.dbs = Default::default();
            self.db_bytes = 0;
            self.lines.clear();
            (self.groups, self.negatives) = (Groups::default(), Negatives::default());
            return;
        }
        let mut all = Vec::with_capacity(keys);
        self.dbs[db].iter().flat_map(|db| &db.tables).for_each(|table| table.each(|found| all.push(found)));
        for found in all {
            self.preserve_going(found);
            self.remove_ref(found);
        }
    }

    /// Whether no database has keys.
    pub fn is_empty(&self) -> bool {
        (0..DATABASES).all(|db| self.keys(db) == 0)
    }

    /// Whether no other database has keys.
    pub fn holds_only(&self, db: usize) -> bool {
        (0..DATABASES).all(|other| other == db || self.keys(other) == 0)
    }

    /// Leaves the stripe without keys, and returns all that it held, to be dropped where there is time.
    pub(super) fn replace(&mut self) -> Stripe {
        let mut empty = Stripe::new(self.hasher.clone(), self.arena.pool(), self.family);
        let keys: usize = (0..DATABASES).map(|db| self.keys(db)).sum();
        empty.counters = Counters { changes: self.counters.changes + keys as u64, ..self.counters };
        empty.told_bytes = self.told_bytes;
        empty.told_owed = self.told_owed;
        empty.heed = self.heed;
        empty.era = self.era;
        empty.queues.catch_up(self.queues.age());
        std::mem::swap(&mut empty.discarded, &mut self.discarded);
        std::mem::replace(self, empty)
    }

    fn discard_heaps(&mut self, db: usize) {
        let mut heaps = Vec::new();
        for table in self.dbs[db].iter().flat_map(|db| &db.tables) {
            table.each(|found| {
                if matches!(record::header(self.arena.at(found)).shape(), Shape::Heap | Shape::Object) {
                    heaps.push(found);
                }
            });
        }
        heaps.into_iter().for_each(|found| self.drop_heap(found));
    }

    /// The entry of a reference drawn by [`Stripe::sample`].
    pub(super) fn entry(&self, found: Ref) -> Entry<'_> {
        Entry { at: self.arena.at(found), arena: &self.arena }
    }

    /// Moves the tables' lines together.
    fn repack(&mut self) {
        let mut tables: Vec<&mut Table> = self.dbs.iter_mut().flatten().flat_map(|db| &mut db.tables).collect();
        let mut runs: Vec<_> = tables.iter_mut().flat_map(|table| table.runs()).collect();
        self.lines.repack(&mut runs);
        tables.iter_mut().for_each(|table| table.moved(&self.lines));
    }

    /// Moves records together when holes make up too much, so that segments go back to the pool.
    pub(super) fn tighten(&mut self) -> bool {
        let Stripe { arena, dbs, hasher, chain, .. } = self;
        arena.evacuate(|arena, from, to| follow(dbs, hasher, chain, arena, from, to))
    }

    /// Makes one hole of those in a segment, so that records fit which no hole would take. `false` if none are worth it.
    pub(super) fn gather(&mut self) -> bool {
        let Stripe { arena, dbs, hasher, chain, .. } = self;
        arena.gather(|arena, from, to| follow(dbs, hasher, chain, arena, from, to))
    }

    /// Writes the policy's bits of all records anew, after the policy has changed to another family.
    pub fn change_family(&mut self, moment: Moment) {
        self.family = moment.eviction.family();
        self.clear_queues();
        let mut all = Vec::new();
        for db in self.dbs.iter().flatten() {
            db.tables.iter().for_each(|table| table.each(|found| all.push(found)));
        }
        for found in all {
            let at = self.arena.at(found);
            let place = self.hasher.place(record::key(at));
            self.enqueue_new(record::header(at).db() as usize, place, found, moment);
        }
    }

    /// As [`Stripe::get`], but not counted: how commands that write look at what is there.
    pub fn access(&mut self, db: usize, key: Key<'_>, moment: Moment) -> Option<Entry<'_>> {
        let (_, found) = self.live(db, key, moment)?;
        self.touch(found, moment);
        Some(self.entry(found))
    }
}

/// Lets all that refer to a block refer to its new place: to a record its table and the first of its pieces, to a piece
/// its neighbours.
fn follow(
    dbs: &mut [Option<Box<Db>>; DATABASES],
    hasher: &KeyHasher,
    chain: &mut Ref,
    arena: &Arena,
    from: Ref,
    to: Ref,
) {
    let at = arena.at(to);
    match record::header(at).shape() {
        Shape::Piece => return pieces::follow(arena, to, chain),
        Shape::Pieces => pieces::follow_record(arena, to),
        _ => {}
    }
    let place = hasher.place(record::key(at));
    let db = dbs[record::header(at).db() as usize].as_mut().expect("a record belongs to a database");
    let table = &mut db.tables[place.local()];
    let (found, _) = table.find(place.hash, |other| other == from).expect("a record hangs in its table");
    table.set(found, to);
}

impl Db {
    fn new() -> Db {
        Db { tables: std::array::from_fn(|_| Table::default()), filled: 0, keys: 0, expiring: 0, aside: 0 }
    }
}

impl Drop for Stripe {
    fn drop(&mut self) {
        for db in 0..DATABASES {
            self.discard_heaps(db);
        }
    }
}

#[cfg(test)]
mod check;

#[cfg(test)]
mod tests {
    use super::super::shared::{Options, Store};
    use super::*;

    #[test]
    fn queues_count_the_records_that_evictions_leave() {
        let store = Store::with_hasher(Options { memory_max: 12 << 20, ..Options::default() }, KeyHasher::seeded(1));
        let moment = store.moment(1);
        for n in 0..60_000u32 {
            let (name, value) = (n.to_string(), vec![b'x'; 300 + n as usize % 400]);
            let key = store.key(name.as_bytes());
            store.lock_one(key.place.stripe(), 0, moment).set(key, New::Set(&value), None);
        }
        assert!(store.totals().counters.evicted > 20_000);
        store.each_stripe(|stripe| assert_eq!(stripe.queues.len(), stripe.keys(0)));
    }

    #[test]
    fn evictions_reach_every_record_though_its_table_has_split_since() {
        for count in [600, 1_250, 1_400, 2_000, 3_000] {
            let store = Store::with_hasher(Options::default(), KeyHasher::seeded(1));
            for n in 0..count {
                let name = format!("{{tag}}{n}");
                let key = store.key(name.as_bytes());
                store.lock_one(key.place.stripe(), n % 2, store.moment(1)).set(key, New::Set(b"value"), None);
            }
            store.each_stripe(|stripe| assert_eq!(stripe.drain_by_queues(), 0, "of {count} keys"));
        }
    }

    #[test]
    fn evictions_reach_a_key_of_two_databases_in_one_of_which_its_table_has_split() {
        for first in [0, 1] {
            let store = Store::with_hasher(Options::default(), KeyHasher::seeded(1));
            for n in 0..4_000 {
                let name = format!("{{tag}}{n}");
                let key = store.key(name.as_bytes());
                let databases = [first, 1 - first].into_iter().filter(|&db| db == 0 || n % 4 == 3);
                for db in databases {
                    store.lock_one(key.place.stripe(), db, store.moment(1)).set(key, New::Set(b"value"), None);
                }
            }
            store.each_stripe(|stripe| stripe.check());
            store.each_stripe(|stripe| assert_eq!(stripe.drain_by_queues(), 0, "database {first} first"));
        }
    }

    #[test]
    fn names_from_before_a_split_lead_to_no_work() {
        let store = Store::with_hasher(Options::default(), KeyHasher::seeded(1));
        let moment = store.moment(1);
        for n in 0..50_000 {
            let name = format!("{{tag}}{n}");
            let key = store.key(name.as_bytes());
            store.lock_one(key.place.stripe(), 0, moment).set(key, New::Set(b"value"), Some(1_000));
        }
        let number = store.key(b"{tag}").place.stripe();
        let later = store.moment(5_000);
        let mut steps = 0;
        let mut keys = store.keys(0);
        while store.expire(number, later, 64) {
            steps += 1;
            assert!(keys - store.keys(0) <= 80, "a step took {} keys", keys - store.keys(0));
            keys = store.keys(0);
        }
        assert_eq!(store.keys(0), 0, "after {steps} steps");
    }
}
