//! The store of a node: its stripes, its memory limit, and what a command sees of the stripes it has locked.

use super::edit::Touches;
use super::hash::{KeyHasher, Place, STRIPES};
use super::header::Shape;
use super::lock::{Cell, Held, Numbers};
use super::news::{Heed, How, Listener};
use super::pages::Pool;
use super::pieces::PIECE_LEN;
use super::policy::Eviction;
use super::policy::lfu::random;
use super::record::{self, New};
use super::room::Room;
use super::stripe::{self, Counters, DATABASES, Entry, Key, Moment, Sight, Stripe};
use super::taken::Taken;
use crate::base::keep::Keep;
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What a store needs to know at its start; all of it can be changed while it runs.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bytes the store may take; 0 for no limit.
    pub memory_max: u64,
    pub eviction: Eviction,
    /// Records a sampling policy looks at before it chooses.
    pub samples: u32,
    pub lfu_log_factor: u32,
    pub lfu_decay_minutes: u32,
}

impl Default for Options {
    fn default() -> Options {
        let eviction = Eviction::AllkeysLarder;
        Options { memory_max: 0, eviction, samples: 5, lfu_log_factor: 10, lfu_decay_minutes: 1 }
    }
}

/// Batches of large buffers that wait for the reaper; when it cannot follow, workers free them themselves.
const REAPER_QUEUE_MAX: usize = 1024;

/// Negative entries take no more of the limit than one in so many bytes.
const NEGATIVES_SHARE: usize = 16;

/// How often the reaper looks for other work when there is nothing to free.
const REAPER_PAUSE: Duration = Duration::from_millis(100);

/// What is freed off the workers: dropping it is all that is left to do.
#[expect(dead_code, reason = "it is only ever dropped")]
enum Discarded {
    /// Large values.
    Values(Vec<stripe::Discarded>),
    /// All that a stripe held when it was flushed.
    Stripe(Box<Stripe>),
}

pub struct Store {
    cells: Box<[Cell]>,
    hasher: KeyHasher,
    /// Which database a number means; `SWAPDB` changes it, under the barrier.
    databases: [AtomicU8; DATABASES],
    eviction: AtomicU8,
    lfu: [AtomicU32; 2],
    pub(super) room: Room,
    reaper: SyncSender<Discarded>,
    listener: OnceLock<Box<dyn Listener>>,
    follows: AtomicBool,
    /// Whether a snapshot is on its way.
    pub(super) snapshotting: AtomicBool,
    /// How many there have been.
    pub(super) snapshots: AtomicU32,
    /// Stripes that were emptied as a whole before the snapshot had been through them.
    pub(super) emptied: Mutex<Vec<Stripe>>,
}

/// Sums over all stripes.
#[derive(Clone, Copy, Default, Debug)]
pub struct Totals {
    pub counters: Counters,
    /// Bytes of tables, queues, ghosts and wheels.
    pub index_bytes: usize,
    /// Bytes of records and their buffers.
    pub live_bytes: usize,
    /// Bytes of everything, holes included.
    pub used_bytes: usize,
    pub keys: [usize; DATABASES],
    pub expiring: [usize; DATABASES],
}

impl Store {
    pub fn new(options: Options) -> Store {
        Store::with_hasher(options, KeyHasher::random())
    }

    /// A store whose order of keys is the same in each run, for tests.
    pub fn with_hasher(options: Options, hasher: KeyHasher) -> Store {
        let pool = Arc::new(Pool::default());
        let (reaper, discarded) = sync_channel(REAPER_QUEUE_MAX);
        std::thread::Builder::new()
            .name("larder-reaper".into())
            .spawn({
                let pool = pool.clone();
                move || reap(&discarded, &pool)
            })
            .expect("a thread can be started when the node starts");
        let family = options.eviction.family();
        let cell = |_| Cell::new(Stripe::new(hasher.clone(), pool.clone(), family));
        Store {
            cells: (0..STRIPES).map(cell).collect(),
            hasher: hasher.clone(),
            databases: std::array::from_fn(|number| AtomicU8::new(number as u8)),
            eviction: AtomicU8::new(options.eviction as u8),
            lfu: [AtomicU32::new(options.lfu_log_factor), AtomicU32::new(options.lfu_decay_minutes)],
            room: Room::new(options.memory_max, options.samples),
            reaper,
            listener: OnceLock::new(),
            follows: AtomicBool::new(false),
            snapshotting: AtomicBool::new(false),
            snapshots: AtomicU32::new(0),
            emptied: Mutex::default(),
        }
    }

    /// Says who is to be told of changes. It can be said once.
    pub fn set_listener(&self, listener: Box<dyn Listener>) {
        assert!(self.listener.set(listener).is_ok(), "a store has one listener");
    }

    /// Lets all stripes note every change, or no longer. The caller holds the barrier, or no stripe.
    pub fn heed_all(&self, on: bool) {
        self.each_stripe(|stripe| stripe.heed.set(Heed::ALL, on));
    }

    /// Lets one stripe note its changes, or no longer.
    ///
    /// `decide` is asked under the stripe's lock, so that what it goes by cannot have changed by then.
    pub fn heed_some(&self, number: usize, decide: impl FnOnce() -> bool) {
        self.with_stripe(number, |stripe| stripe.heed.set(Heed::SOME, decide()));
    }

    /// The number by which a physical database goes now; the inverse of [`Store::database`].
    pub fn logical(&self, physical: usize) -> usize {
        (0..DATABASES).find(|&number| self.database(number) == physical).unwrap_or(physical)
    }

    /// The place of a key.
    #[inline]
    pub fn place(&self, key: &[u8]) -> Place {
        self.hasher.place(key)
    }

    /// A key with its place.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key { bytes, place: self.place(bytes) }
    }

    /// The present, with the policy in force.
    pub fn moment(&self, ms: u64) -> Moment {
        Moment {
            ms,
            by: 0,
            eviction: self.eviction(),
            lfu_log_factor: self.lfu[0].load(Relaxed),
            lfu_decay_minutes: self.lfu[1].load(Relaxed),
            quiet: false,
            sight: if self.follows.load(Relaxed) { Sight::Replica } else { Sight::Own },
        }
    }

    /// Says whether the node is a replica, so that what expires or has to make room is decided elsewhere. The caller holds
    /// the barrier.
    pub fn set_follows(&self, follows: bool) {
        self.follows.store(follows, Relaxed);
    }

    /// Whether the node is a replica.
    #[inline]
    pub fn follows(&self) -> bool {
        self.follows.load(Relaxed)
    }

    /// Lets all stripes note what goes without a command that says so, or no longer. The caller holds the barrier.
    pub fn heed_gone(&self, on: bool) {
        self.each_stripe(|stripe| stripe.heed.set(Heed::GONE, on));
    }

    pub fn eviction(&self) -> Eviction {
        Eviction::ALL[self.eviction.load(Relaxed) as usize]
    }

    /// The physical database that a number means now.
    #[inline]
    pub fn database(&self, number: usize) -> usize {
        self.databases[number].load(Relaxed) as usize
    }

    /// Asks the CPU for what leads to these keys: first all table lines, then all records.
    ///
    /// One look-up among millions of keys costs two cache misses one after the other; those of a batch overlap.
    #[inline]
    pub fn prefetch(&self, db: usize, places: &[Place]) {
        places.iter().for_each(|&place| self.prefetch_line(db, place));
        places.iter().for_each(|&place| self.prefetch_record(db, place));
    }

    /// As [`Store::prefetch`], for keys that hold collections: it goes on to what their records lead to.
    pub fn prefetch_deep(&self, db: usize, places: &[Place]) {
        self.prefetch(db, places);
        let db = self.database(db);
        let stripe = |place: &Place| Held::one(&self.cells, place.stripe());
        places.iter().for_each(|place| stripe(place).stripe(place.stripe()).prefetch_object(db, *place));
        places.iter().for_each(|place| stripe(place).stripe(place.stripe()).prefetch_elements(db, *place));
    }

    /// The first half of [`Store::prefetch`], for a key whose command has not begun.
    #[inline]
    pub fn prefetch_line(&self, db: usize, place: Place) {
        let db = self.database(db);
        Held::one(&self.cells, place.stripe()).stripe(place.stripe()).prefetch_line(db, place);
    }

    /// The second half of [`Store::prefetch`].
    #[inline]
    pub fn prefetch_record(&self, db: usize, place: Place) {
        let db = self.database(db);
        Held::one(&self.cells, place.stripe()).stripe(place.stripe()).prefetch_record(db, place);
    }

    /// Locks the stripe of one key.
    #[inline]
    pub fn lock_one(&self, stripe: usize, db: usize, moment: Moment) -> Keys<'_> {
        Keys::new(self, Held::one(&self.cells, stripe), db, moment)
    }

    /// Locks several stripes.
    pub fn lock(&self, stripes: Numbers, db: usize, moment: Moment) -> Keys<'_> {
        Keys::new(self, Held::several(&self.cells, stripes), db, moment)
    }

    /// Locks nothing, for commands without keys.
    pub fn lock_none(&self, db: usize, moment: Moment) -> Keys<'_> {
        self.lock(Numbers::default(), db, moment)
    }

    /// The numbers of all stripes.
    pub fn stripes(&self) -> Range<usize> {
        0..STRIPES
    }

    /// Runs `visit` on each stripe in turn, one locked at a time.
    pub fn each_stripe(&self, mut visit: impl FnMut(&mut Stripe)) {
        (0..STRIPES).for_each(|number| self.with_stripe(number, &mut visit));
    }

    /// Runs `visit` on one stripe, and accounts for what it changed.
    pub fn with_stripe<R>(&self, number: usize, visit: impl FnOnce(&mut Stripe) -> R) -> R {
        let mut held = Held::one(&self.cells, number);
        let result = visit(held.stripe(number));
        self.settle(held.stripe(number));
        self.tell(held.stripe(number), number, 0);
        result
    }

    /// Notes the offset of the stream behind a write to a stripe, whose lock the caller holds.
    #[inline]
    pub fn note(&self, number: usize, offset: u64) {
        self.cells[number].noted.store(offset, Relaxed);
    }

    /// The offset of the stream behind the last write to any of some stripes. Who has held their locks before gets that of what it
    /// saw there, or a later one.
    pub fn noted(&self, numbers: impl Iterator<Item = usize>) -> u64 {
        numbers.map(|number| self.cells[number].noted.load(Relaxed)).max().unwrap_or(0)
    }

    /// Forgets what was noted of the stream: it is another one now. The caller holds the barrier.
    pub fn forget_noted(&self) {
        self.cells.iter().for_each(|cell| cell.noted.store(0, Relaxed));
    }

    /// Sums over all stripes, each as it is when its turn comes.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for number in 0..STRIPES {
            let mut held = Held::one(&self.cells, number);
            let stripe = held.stripe(number);
            let counters = stripe.counters;
            totals.counters.hits += counters.hits;
            totals.counters.misses += counters.misses;
            totals.counters.expired += counters.expired;
            totals.counters.evicted += counters.evicted;
            totals.counters.invalidated += counters.invalidated;
            totals.counters.changes += counters.changes;
            totals.index_bytes += stripe.index_bytes();
            totals.live_bytes += stripe.live_bytes();
            totals.used_bytes += stripe.used_bytes();
            for db in 0..DATABASES {
                let physical = self.database(db);
                totals.keys[db] += stripe.visible_keys(physical);
                totals.expiring[db] += stripe.visible_expiring(physical);
            }
        }
        totals
    }

    /// Sets the counters of all stripes to zero.
    pub fn reset_counters(&self) {
        self.each_stripe(|stripe| {
            let changes = stripe.counters.changes;
            stripe.counters = Counters { changes, ..Counters::default() };
        });
    }

    /// Bytes the store takes.
    pub fn used_bytes(&self) -> u64 {
        self.room.used_bytes()
    }

    /// Exchanges the contents of two databases. The caller holds the barrier.
    pub fn swap_databases(&self, one: usize, other: usize) {
        let (a, b) = (self.database(one), self.database(other));
        self.databases[one].store(b as u8, Relaxed);
        self.databases[other].store(a as u8, Relaxed);
    }

    /// Deletes keys of one stripe that are due, at most about `keys_max`. Returns whether more are.
    pub fn expire(&self, number: usize, moment: Moment, keys_max: usize) -> bool {
        moment.decides() && self.with_stripe(number, |stripe| stripe.expire(moment, keys_max))
    }

    /// Tells the store how much of the process is resident, so that its limit holds for that as well.
    pub fn watch_resident(&self, bytes: u64) {
        self.room.watch_resident(bytes);
    }

    /// Bytes that the store keeps free of its limit because more is resident than it counts.
    pub fn squeezed_bytes(&self) -> u64 {
        self.room.squeeze()
    }

    // --- live settings

    /// The memory limit in bytes, 0 for none.
    pub fn memory_max(&self) -> u64 {
        self.room.memory_max()
    }

    /// Bytes of negative entries that a stripe may hold.
    fn negatives_max(&self) -> usize {
        match self.memory_max() {
            0 => usize::MAX,
            max => max as usize / STRIPES / NEGATIVES_SHARE,
        }
    }

    /// Changes the memory limit. What is beyond it goes as commands and time go on.
    pub fn set_memory_max(&self, bytes: u64) {
        self.room.set_memory_max(bytes);
    }

    pub fn set_samples(&self, samples: u32) {
        self.room.set_samples(samples);
    }

    pub fn set_lfu(&self, log_factor: u32, decay_minutes: u32) {
        self.lfu[0].store(log_factor, Relaxed);
        self.lfu[1].store(decay_minutes, Relaxed);
    }

    /// Changes the policy. Where another family's bits are in the records they are written anew, so this takes a while
    /// with many keys; the caller holds the barrier.
    pub fn set_eviction(&self, eviction: Eviction, ms: u64) {
        let old = self.eviction();
        self.eviction.store(eviction as u8, Relaxed);
        if old.family() != eviction.family() {
            let moment = self.moment(ms);
            self.each_stripe(|stripe| stripe.change_family(moment));
        }
    }

    // --- the store as a whole

    /// Keys of a database, expired ones that still lie there included.
    pub fn keys(&self, db: usize) -> usize {
        let physical = self.database(db);
        (0..STRIPES).map(|number| Held::one(&self.cells, number).stripe(number).visible_keys(physical)).sum()
    }

    /// Deletes every key of a database. The caller holds the barrier.
    pub fn flush(&self, db: usize) {
        let physical = self.database(db);
        for number in 0..STRIPES {
            let old = self.with_stripe(number, |stripe| {
                if !stripe.holds_only(physical) {
                    stripe.flush(physical);
                    return None;
                }
                // One whose keys went one by one still holds the tables they hung in.
                (stripe.used_bytes() > 0).then(|| stripe.replace())
            });
            self.discard(old);
        }
    }

    /// Deletes every key of every database. The caller holds the barrier.
    ///
    /// Takes the same time however many keys there are: another thread frees what the stripes held.
    pub fn flush_all(&self) {
        for number in 0..STRIPES {
            let old = self.with_stripe(number, |stripe| (stripe.used_bytes() > 0).then(|| stripe.replace()));
            self.discard(old);
        }
    }

    /// Tells the listener what a stripe has noted.
    #[inline]
    pub(super) fn tell(&self, stripe: &mut Stripe, number: usize, by: u64) {
        if !stripe.news.is_empty() {
            self.tell_news(stripe, number, by);
        }
    }

    #[cold]
    fn tell_news(&self, stripe: &mut Stripe, number: usize, by: u64) {
        if let Some(listener) = self.listener.get() {
            listener.hear(number, by, &mut stripe.news);
        }
        stripe.news.clear();
    }

    pub(super) fn discard(&self, stripe: Option<Stripe>) {
        if let Some(stripe) = stripe {
            if stripe.is_walked() {
                return self.emptied.lock().push(stripe);
            }
            // A full queue gives the stripe back and it is freed here.
            let _ = self.reaper.try_send(Discarded::Stripe(Box::new(stripe)));
        }
    }

    /// The mean time that keys of a database have left, in milliseconds, from a sample; 0 if the sample has no expiry.
    pub fn mean_ttl_ms(&self, db: usize, now_ms: u64) -> u64 {
        const DRAWS: usize = 64;
        let physical = self.database(db);
        let (mut sum_ms, mut count) = (0, 0);
        for _ in 0..DRAWS {
            let number = random() as usize % STRIPES;
            let mut held = Held::one(&self.cells, number);
            let stripe = held.stripe(number);
            let expiry = stripe.sample(physical, random).and_then(|found| stripe.entry(found).expiry());
            if let Some(expiry) = expiry {
                sum_ms += expiry.saturating_sub(now_ms);
                count += 1;
            }
        }
        u64::checked_div(sum_ms, count).unwrap_or(0)
    }

    /// Moves a stripe's records together, a segment's worth at the most, if holes make up much of it: memory goes back
    /// to the system. Returns whether it did.
    pub fn tighten(&self, number: usize) -> bool {
        self.with_stripe(number, |stripe| stripe.arena.is_loose() && stripe.tighten())
    }

    /// Moves records together wherever holes make up much.
    pub fn tighten_all(&self) {
        for number in 0..STRIPES {
            while self.tighten(number) {}
        }
    }

    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Tells the node what a stripe has come to hold, and sends large buffers to the reaper.
    pub(super) fn settle(&self, stripe: &mut Stripe) {
        let now = stripe.used_bytes() as i64;
        if now != stripe.told_bytes {
            self.room.add_used(now - stripe.told_bytes);
            stripe.told_bytes = now;
            let owed = stripe.owed_bytes() as i64;
            self.room.add_owed(owed - stripe.told_owed);
            stripe.told_owed = owed;
        }
        if !stripe.discarded.is_empty() {
            let values = std::mem::take(&mut stripe.discarded);
            // A full queue gives the values back and they are freed here.
            let _ = self.reaper.try_send(Discarded::Values(values));
        }
    }
}

/// Frees what workers have no time to free, and makes huge pages of small ones, until the store is gone.
fn reap(discarded: &Receiver<Discarded>, pool: &Pool) {
    loop {
        match discarded.recv_timeout(REAPER_PAUSE) {
            Ok(discarded) => drop(discarded),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        while pool.enlarge() {}
    }
}

/// The keys of a command: the stripes it has locked, as seen from its database.
pub struct Keys<'a> {
    pub(super) store: &'a Store,
    pub(super) held: Held<'a>,
    /// Physical.
    pub(super) db: usize,
    pub(super) moment: Moment,
    pub(super) wrote: bool,
}

impl<'a> Keys<'a> {
    fn new(store: &'a Store, held: Held<'a>, db: usize, moment: Moment) -> Keys<'a> {
        Keys { store, held, db: store.database(db), moment, wrote: false }
    }

    pub fn moment(&self) -> Moment {
        self.moment
    }

    /// The same keys in another database, for commands that reach across.
    pub fn switch(&mut self, db: usize) {
        self.db = self.store.database(db);
    }

    /// The same keys for one of the commands of a transaction, in the database that it is about.
    pub fn lend(&mut self, db: usize, moment: Moment) -> Keys<'_> {
        Keys::new(self.store, self.held.lend(), db, moment)
    }

    /// Lets the stripe of a key that is locked note its changes.
    pub fn heed(&mut self, key: Key<'_>) {
        self.held.stripe(key.place.stripe()).heed.set(Heed::SOME, true);
    }

    /// Whether the stripe of a key that is locked notes its changes because somebody has asked about one of its keys.
    #[inline]
    pub fn is_heeded(&self, key: Key<'_>) -> bool {
        self.held.look(key.place.stripe()).heed.has(Heed::SOME)
    }

    /// Changes so far to keys of the stripes that are locked.
    #[inline]
    pub fn changes(&self) -> u64 {
        self.held.numbers().map(|number| self.held.look(number).counters.changes).fold(0, u64::wrapping_add)
    }

    /// Notes the offset of the stream behind a write to the stripes that are locked.
    #[inline]
    pub fn note(&self, offset: u64) {
        self.held.numbers().for_each(|number| self.store.note(number, offset));
    }

    /// The offset of the stream behind the last write to any of the stripes that are locked.
    pub fn noted(&self) -> u64 {
        self.store.noted(self.held.numbers())
    }

    /// Whether a stripe is locked by this.
    pub fn holds(&self, stripe: usize) -> bool {
        self.held.holds(stripe)
    }

    /// Tells the listener what the stripes have noted so far.
    pub fn tell(&mut self) {
        for number in self.held.numbers() {
            self.store.tell(self.held.stripe(number), number, self.moment.by);
        }
    }

    /// The physical number of the database.
    pub fn db(&self) -> usize {
        self.db
    }

    /// The entry of a key, as it can be seen without changing anything: neither counted nor taken for an access.
    pub fn entry(&self, key: Key<'_>) -> Option<Entry<'_>> {
        self.held.look(key.place.stripe()).entry_of(self.db, key, self.moment)
    }

    /// The entry of a key, if it is there. Counts a hit or a miss, and the access.
    #[inline]
    pub fn get(&mut self, key: Key<'_>) -> Option<Entry<'_>> {
        let (db, moment) = (self.db, self.moment);
        let found = self.held.stripe(key.place.stripe()).get(db, key, moment);
        if !moment.quiet {
            self.store.room.watch_read(key.place.hash, found);
        }
        found
    }

    /// As [`Keys::get`], but neither counted nor taken for an access.
    pub fn peek(&mut self, key: Key<'_>) -> Option<Entry<'_>> {
        let (db, moment) = (self.db, self.moment);
        self.held.stripe(key.place.stripe()).peek(db, key, moment)
    }

    /// As [`Keys::peek`], but counted as a hit or a miss.
    pub fn look(&mut self, key: Key<'_>) -> Option<Entry<'_>> {
        let (db, moment) = (self.db, self.moment);
        let stripe = self.held.stripe(key.place.stripe());
        let found = stripe.peek(db, key, moment).is_some();
        stripe.counters.hits += u64::from(found);
        stripe.counters.misses += u64::from(!found);
        stripe.peek(db, key, moment)
    }

    /// Sets a key to a value, whatever it was before; without an expiry if `expiry` is `None`.
    ///
    /// Evicts as much as the value needs, as far as the policy allows.
    #[inline]
    pub fn set(&mut self, key: Key<'_>, value: New<'_>, expiry: Option<u64>) {
        let (db, moment) = (self.db, self.moment);
        let stripe = self.held.stripe(key.place.stripe());
        stripe.renew(db, key, moment);
        stripe.forget_tags(db, key.place);
        self.rewrite(key, value, expiry);
    }

    /// As [`Keys::set`], for a key that a command changes: it keeps its tags.
    #[inline]
    pub fn rewrite(&mut self, key: Key<'_>, value: New<'_>, expiry: Option<u64>) {
        self.write(key, value, expiry);
        let db = self.db;
        self.held.stripe(key.place.stripe()).changed(db, key.bytes, How::Written);
    }

    /// As [`Keys::rewrite`], but nobody hears of it.
    #[inline]
    pub(super) fn write(&mut self, key: Key<'_>, value: New<'_>, expiry: Option<u64>) {
        self.wrote = true;
        let placed = value.place();
        let (number, db, moment) = (key.place.stripe(), self.db, self.moment);
        self.held.stripe(number).renew(db, key, moment);
        let is_tight = self.store.room.is_tight(key.bytes.len(), &placed);
        if is_tight {
            self.store.settle(self.held.stripe(number));
            self.store.revive(self.held.stripe(number), number);
            self.store.room.watch_write(key.place.hash, key.bytes.len() + placed.len + placed.bytes_beside());
        }
        if placed.shape == Shape::Pieces {
            self.write_pieces(key, placed.pieces(), is_tight);
        }
        if is_tight {
            let (db, moment) = (self.db, self.moment);
            self.store.make_room_for(&mut self.held, number, moment, |stripe| {
                stripe.lacks(db, key, &placed, expiry.is_some())
            });
        }
        let (db, moment) = (self.db, self.moment);
        self.held.stripe(number).put(db, key, placed, expiry, moment);
    }

    /// Writes the pieces of a value, each new one once there is room for it, so that the limit holds piece by piece.
    #[inline(never)]
    fn write_pieces(&mut self, key: Key<'_>, bytes: &[u8], is_tight: bool) {
        let number = key.place.stripe();
        if self.held.stripe(number).begin_chain(self.db, key, bytes) {
            return;
        }
        for piece in bytes.rchunks_exact(PIECE_LEN) {
            if is_tight {
                self.store.settle(self.held.stripe(number));
                self.store.make_room_for(&mut self.held, number, self.moment, |stripe| stripe.lacks_for_piece());
            }
            self.held.stripe(number).add_piece(piece);
        }
        if is_tight {
            self.store.settle(self.held.stripe(number));
        }
    }

    /// Keeps what a rule says beside the expiry of a key that was just written.
    pub fn keep_stale(&mut self, key: Key<'_>, keep: Keep) {
        let (db, moment) = (self.db, self.moment);
        let stripe = self.held.stripe(key.place.stripe());
        stripe.keep_stale(db, key, keep, moment);
        if keep.is_negative() && moment.decides() && moment.eviction != Eviction::NoEviction {
            stripe.bound_negatives(self.store.negatives_max());
        }
    }

    /// The entry of a key that has expired and may be served stale. Neither counted nor taken for an access.
    pub fn stale(&self, key: Key<'_>) -> Option<Entry<'_>> {
        self.held.look(key.place.stripe()).stale(self.db, key, self.moment)
    }

    /// Deletes a key. Returns whether it was there.
    pub fn remove(&mut self, key: Key<'_>) -> bool {
        self.wrote = true;
        let (db, moment) = (self.db, self.moment);
        self.held.stripe(key.place.stripe()).remove(db, key, moment)
    }

    /// Gives a key an expiry in milliseconds since 1970, or takes it away. Returns whether the key is there.
    pub fn set_expiry(&mut self, key: Key<'_>, expiry: Option<u64>) -> bool {
        self.wrote = true;
        let (db, moment) = (self.db, self.moment);
        self.held.stripe(key.place.stripe()).set_expiry(db, key, expiry, moment)
    }

    /// Changes the bytes of a string that is there, after making it at least `len_min` long with zeros behind.
    ///
    /// The expiry stays, an integer becomes its text, and the encoding becomes `raw`. Returns whether this was done:
    /// it is not if the key itself had to go to make room, as if it had been evicted before the command.
    pub fn edit(&mut self, key: Key<'_>, len_min: usize, touches: Touches<'_>, change: impl FnOnce(&mut [u8])) -> bool {
        self.edit_if(key, len_min, touches, |bytes| {
            change(bytes);
            true
        })
    }

    /// As [`Keys::edit`], where `change` tells whether it changed anything: if not, nobody hears of it.
    pub fn edit_if(
        &mut self,
        key: Key<'_>,
        len_min: usize,
        touches: Touches<'_>,
        change: impl FnOnce(&mut [u8]) -> bool,
    ) -> bool {
        self.wrote = true;
        let (db, moment) = (self.db, self.moment);
        let number = key.place.stripe();
        if self.store.room.is_tight_for(record::roomy(len_min)) {
            self.store.settle(self.held.stripe(number));
            self.store
                .make_room_for(&mut self.held, number, moment, |stripe| stripe.lacks_to_edit(db, key, len_min, moment));
            if self.held.stripe(number).peek(db, key, moment).is_none() {
                return false;
            }
        }
        let mut is_changed = false;
        self.held.stripe(number).edit(db, key, len_min, moment, touches, |bytes| is_changed = change(bytes));
        if is_changed {
            self.held.stripe(number).changed(db, key.bytes, How::Written);
        }
        true
    }

    /// Changes an integer where it lies; see [`Stripe::change_int`]. It takes no room, so nothing is evicted.
    #[inline]
    pub fn change_int(&mut self, key: Key<'_>, change: impl FnOnce(i64) -> Option<i64>) -> Option<i64> {
        let (db, moment) = (self.db, self.moment);
        self.held.stripe(key.place.stripe()).change_int(db, key, moment, change)
    }

    /// As [`Keys::get`], but not counted: how commands that write look at what is there.
    pub fn access(&mut self, key: Key<'_>) -> Option<Entry<'_>> {
        let (db, moment) = (self.db, self.moment);
        self.held.stripe(key.place.stripe()).access(db, key, moment)
    }

    /// Takes the value of a key out and deletes the key.
    pub fn take(&mut self, key: Key<'_>) -> Option<Taken> {
        self.wrote = true;
        let (db, moment) = (self.db, self.moment);
        self.held.stripe(key.place.stripe()).take(db, key, moment)
    }

    /// Gives a key a value that was taken or copied, and its expiry.
    pub fn put(&mut self, key: Key<'_>, mut taken: Taken) {
        let (expiry, frequency) = (taken.expiry, taken.frequency);
        let tags = std::mem::take(&mut taken.tags);
        self.set(key, taken.value(), expiry);
        self.tag(key, tags.iter().map(|tag| &tag[..]));
        if let Some(frequency) = frequency {
            self.set_frequency(key, frequency);
        }
    }

    /// Makes a key look unused for so long; see [`Stripe::set_idle`].
    pub fn set_idle(&mut self, key: Key<'_>, idle_ms: u64) {
        let (db, moment) = (self.db, self.moment);
        self.held.stripe(key.place.stripe()).set_idle(db, key, idle_ms, moment);
    }

    /// Gives a key the access frequency that LFU policies count.
    pub fn set_frequency(&mut self, key: Key<'_>, frequency: u8) {
        let (db, moment) = (self.db, self.moment);
        self.held.stripe(key.place.stripe()).set_frequency(db, key, frequency, moment);
    }
}

impl Drop for Keys<'_> {
    #[inline]
    fn drop(&mut self) {
        let by = self.moment.by;
        for number in self.held.numbers() {
            let stripe = self.held.stripe(number);
            if self.wrote {
                self.store.settle(stripe);
            }
            // A key may expire although nothing was written.
            self.store.tell(stripe, number, by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flush_gives_back_what_keys_that_went_before_have_left() {
        let flushes: [fn(&Store); 2] = [|store| store.flush(3), Store::flush_all];
        for flush in flushes {
            let store = Store::with_hasher(Options::default(), KeyHasher::seeded(1));
            for n in 0..1000u32 {
                let name = n.to_string();
                let key = store.key(name.as_bytes());
                let mut keys = store.lock_one(key.place.stripe(), 3, store.moment(1));
                keys.set(key, New::Set(b"value"), Some(5_000));
                keys.remove(key);
            }
            assert_eq!(store.keys(3), 0);
            assert!(store.used_bytes() > 100_000);
            flush(&store);
            assert_eq!(store.used_bytes(), 0);
        }
    }
}
