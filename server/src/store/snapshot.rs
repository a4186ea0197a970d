//! Snapshots: all records as they were at one point in time, without a copy of the process and without a stall.
//!
//! A snapshot begins while nothing else runs, which takes some microseconds; then its owner walks the stripes line by
//! line, and whoever changes a record that the walk has not come to has it captured first. What a captured record is
//! turned into, and where it goes, is up to the [`Captor`].
//!
//! Large values are not captured under the lock. Of a collection the walk gets a share, which takes microseconds however
//! large it is: the walk's own when it comes to the record, or one that was made before somebody changed the collection in
//! place. A buffer is read block by block, with the lock let go in between: whoever changes it in place keeps the blocks
//! that it changes as they were ([`Original`]), and a buffer whose record goes is left to the walk. One whose record is to
//! change its key is read block by block before, by whoever changes it.
//!
//! What others have captured waits until the walk collects it. There is a bound for that: a snapshot whose owner cannot
//! keep up with the writes becomes void. Shares are not counted: what they take is what the changes have copied, and is
//! never more than the collections themselves.
//!
//! Keys that expire or are evicted before the walk comes to them are not captured: who loads a snapshot, or follows the
//! stream behind it, would lose them at once.

use super::record::Value;
use super::shared::Store;
use super::stripe::{Key, Stripe};
use super::tagged::TagList;
use crate::types::object::Object;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A record as a captor sees it.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// The physical number of the database; see [`Store::logical`].
    pub db: usize,
    pub key: &'a [u8],
    /// When it expires, in milliseconds since 1970.
    pub expiry: Option<u64>,
    pub tags: &'a [Box<[u8]>],
    pub value: Value<'a>,
}

/// What captured records are turned into. There is one in each stripe, which is used under its lock.
pub trait Captor: Send {
    /// Takes a record.
    fn take(&mut self, item: Item<'_>);

    /// Gives what the records were turned into since the last time.
    fn drain(&mut self) -> Captured;

    /// Bytes that [`Captor::drain`] would give.
    fn held(&self) -> usize;
}

/// What has been captured and not collected, in all stripes.
#[derive(Debug)]
pub(super) struct Pile {
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl Pile {
    pub fn new(bytes_max: usize) -> Pile {
        Pile { bytes: AtomicUsize::new(0), bytes_max }
    }

    pub fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Takes away what was collected, unless it has become too much before.
    pub fn remove(&self, bytes: usize) {
        // A pile that was too high once stays so: something was left out.
        let down = |now: usize| (now <= self.bytes_max).then(|| now.saturating_sub(bytes));
        let _ = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, down);
    }

    /// Whether more waits than may. Then nothing more is captured.
    pub fn is_too_high(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.bytes_max
    }
}

/// What records were turned into: bytes, and strings that are still to be turned into bytes, which takes too long under a
/// lock. Each of these belongs where it says into the bytes.
#[derive(Default)]
pub struct Captured {
    pub bytes: Vec<u8>,
    pub strings: Vec<(usize, Vec<u8>)>,
}

/// A record that is too large to be captured under the lock.
pub struct Large {
    pub(super) db: usize,
    pub(super) key: Box<[u8]>,
    pub(super) expiry: Option<u64>,
    pub(super) tags: TagList,
    pub(super) value: LargeValue,
}

pub(super) enum LargeValue {
    Buffer(Vec<u8>),
    /// A buffer that was changed, and what it was.
    Changed(Vec<u8>, Original),
    /// A share, or the collection itself.
    Object(Box<Object>),
}

impl Large {
    pub fn item(&self) -> Item<'_> {
        let Large { db, key, expiry, tags, value } = self;
        let value = match value {
            LargeValue::Buffer(bytes) | LargeValue::Changed(bytes, _) => Value::Bytes(bytes),
            LargeValue::Object(object) => Value::Object(object),
        };
        Item { db: *db, key, expiry: *expiry, tags, value }
    }

    /// Takes back what was changed in a buffer.
    fn restore(&mut self) {
        if let LargeValue::Changed(bytes, original) = &mut self.value {
            original.restore(bytes);
        }
    }
}

/// Bytes that are read, or kept, at a time. Copying them takes some microseconds.
pub(super) const BLOCK: usize = 64 * 1024;

/// What a buffer was when the snapshot began, beside what it is now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub expiry: Option<u64>,
    pub len: usize,
    /// By number, the blocks that were changed since, as they were.
    blocks: BTreeMap<usize, Box<[u8]>>,
}

impl Original {
    pub fn new(expiry: Option<u64>, len: usize) -> Original {
        Original { expiry, len, blocks: BTreeMap::new() }
    }

    fn block(&self, number: usize) -> Range<usize> {
        number * BLOCK..((number + 1) * BLOCK).min(self.len)
    }

    /// Keeps what is about to be changed. Returns how many bytes that takes.
    pub fn keep(&mut self, touched: Range<usize>, bytes: &[u8]) -> usize {
        let touched = touched.start..touched.end.min(self.len);
        if touched.is_empty() {
            return 0;
        }
        let mut kept = 0;
        for number in touched.start / BLOCK..=(touched.end - 1) / BLOCK {
            let range = self.block(number);
            self.blocks.entry(number).or_insert_with(|| {
                kept += range.len();
                bytes[range].into()
            });
        }
        kept
    }

    /// Makes a buffer what it was.
    pub fn restore(&self, bytes: &mut Vec<u8>) {
        bytes.truncate(self.len);
        self.blocks.iter().for_each(|(number, block)| bytes[self.block(*number)].copy_from_slice(block));
    }

    /// A block as it was; `None` if it still is so.
    pub fn kept(&self, number: usize) -> Option<&[u8]> {
        self.blocks.get(&number).map(|block| &block[..])
    }
}

/// A buffer that is read block by block, and what has been read of it.
#[derive(Default)]
pub(super) struct Gathered {
    pub db: usize,
    pub key: Box<[u8]>,
    pub bytes: Vec<u8>,
    /// How many of the bytes have been read; there is room for one more block behind them.
    pub read: usize,
}

/// A buffer that is read ahead of a snapshot's walk.
pub struct Ahead {
    gathered: Gathered,
    /// Which of all snapshots it is read for.
    snapshot: u32,
}

impl Ahead {
    fn is_of(&self, db: usize, key: Key<'_>) -> bool {
        self.gathered.db == db && *self.gathered.key == *key.bytes
    }
}

impl Gathered {
    /// Makes room for one more block. Fresh memory is written to without the lock: the first time takes longest.
    fn make_room(&mut self) {
        let len = (self.read + BLOCK).min(self.bytes.capacity());
        self.bytes.resize(len, 0);
    }
}

/// How far a buffer was read.
pub(super) enum Reading {
    /// There is more.
    On,
    Whole(Large),
    /// Its record has gone, and left it to the walk.
    Gone,
}

/// What one step of a walk gives.
#[derive(Default)]
pub struct Step {
    pub captured: Captured,
    /// Shares of large values, and large values that their records have lost.
    pub(super) owned: Vec<Large>,
    /// A buffer that is to be read block by block before the walk goes on.
    pub(super) wanted: Option<Gathered>,
}

impl Step {
    /// What was too large to be captured.
    pub fn larges(&self) -> impl Iterator<Item = Item<'_>> {
        self.owned.iter().map(Large::item)
    }
}

/// A snapshot on its way through the store. If it is dropped before its end, the rest is passed over.
pub struct Snapshot<'a> {
    store: &'a Store,
    /// The stripe that the walk is in.
    stripe: usize,
    /// Stripes after it that have not been asked yet for what others have captured there.
    asked: usize,
    pile: Arc<Pile>,
}

impl Store {
    /// Begins a snapshot, for which `captor` makes the captors of all stripes; `None` while there is another. At most
    /// `pile_max` bytes that others have captured may wait to be collected. The caller holds the barrier.
    pub fn begin_snapshot(&self, pile_max: usize, mut captor: impl FnMut() -> Box<dyn Captor>) -> Option<Snapshot<'_>> {
        if self.snapshotting.swap(true, Ordering::Acquire) {
            return None;
        }
        let pile = Arc::new(Pile::new(pile_max));
        self.snapshots.fetch_add(1, Ordering::Relaxed);
        self.each_stripe(|stripe| stripe.begin_walk(captor(), pile.clone()));
        Some(Snapshot { store: self, stripe: 0, asked: 0, pile })
    }

    /// Whether a snapshot is on its way.
    #[inline]
    pub fn has_snapshot(&self) -> bool {
        self.snapshotting.load(Ordering::Relaxed)
    }

    /// Has a large buffer captured whose record is about to change its key, if a snapshot has not come to it yet: block by block, with
    /// the lock let go in between, and at most so many blocks. Returns whether there are more, which `ahead` leads to. `db` is the
    /// number that clients know. The caller is in one gate of the barrier meanwhile, and holds no stripe.
    pub fn capture_ahead(&self, ahead: &mut Option<Ahead>, db: usize, key: Key<'_>, blocks: usize) -> bool {
        let (db, stripe) = (self.database(db), key.place.stripe());
        let snapshot = self.snapshots.load(Ordering::Relaxed);
        // What was read for an earlier snapshot is not what this one is to have.
        let begun = ahead.take().filter(|begun| begun.snapshot == snapshot && begun.is_of(db, key));
        let begun = begun.or_else(|| {
            let gathered = self.with_stripe(stripe, |stripe| stripe.want_ahead(db, key))?;
            Some(Ahead { gathered, snapshot })
        });
        let Some(mut begun) = begun else { return false };
        for _ in 0..blocks {
            begun.gathered.make_room();
            if !self.with_stripe(stripe, |stripe| stripe.read_ahead(&mut begun.gathered)) {
                return false;
            }
        }
        *ahead = Some(begun);
        true
    }
}

impl Snapshot<'_> {
    /// The share of the walk that is done, 0 to 1.
    pub fn progress(&self) -> f64 {
        self.stripe as f64 / self.store.stripes().len() as f64
    }

    /// Whether it is void, as more was captured at a time than may wait.
    pub fn is_void(&self) -> bool {
        self.pile.is_too_high()
    }

    /// Goes on by one line of one stripe, under its lock. `None` at the end.
    pub fn next_step(&mut self) -> Option<Step> {
        let mut step = self.take_step()?;
        if let Some(gathered) = step.wanted.take() {
            step.owned.extend(self.gather(gathered));
        }
        step.owned.iter_mut().for_each(Large::restore);
        Some(step)
    }

    /// Reads a buffer of the stripe that the walk is in.
    fn gather(&self, mut gathered: Gathered) -> Option<Large> {
        loop {
            gathered.make_room();
            let reading = if self.stripe < self.store.stripes().len() {
                self.store.with_stripe(self.stripe, |stripe| stripe.read_on(&mut gathered))
            } else {
                self.store.emptied.lock().last_mut()?.read_on(&mut gathered)
            };
            match reading {
                Reading::On => {}
                Reading::Whole(large) => return Some(large),
                Reading::Gone => return None,
            }
        }
    }

    fn take_step(&mut self) -> Option<Step> {
        loop {
            if self.asked > self.stripe {
                // Once a stripe is done, the others give what has been captured there: so that does not pile up.
                self.asked -= 1;
                if let Some(step) = self.store.with_stripe(self.asked, Stripe::collect_walk) {
                    return Some(step);
                }
                continue;
            }
            if self.stripe < self.store.stripes().len() {
                match self.store.with_stripe(self.stripe, Stripe::step_walk) {
                    Some(step) => return Some(step),
                    None => {
                        self.stripe += 1;
                        self.asked = self.store.stripes().len();
                        continue;
                    }
                }
            }
            // Stripes that were emptied as a whole while the walk had not been through them.
            let mut emptied = self.store.emptied.lock();
            let stripe = emptied.last_mut()?;
            match stripe.step_walk() {
                Some(step) => return Some(step),
                None => self.store.discard(emptied.pop()),
            }
        }
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        while self.next_step().is_some() {}
        self.store.snapshotting.store(false, Ordering::Release);
    }
}
