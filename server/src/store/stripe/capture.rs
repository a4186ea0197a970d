//! What a stripe does for a snapshot: every record is captured as it was when the snapshot began, by the walk or by the
//! first who changes it.
//!
//! A record's header says whether it is captured already: its era is the stripe's then. A snapshot begins by turning the
//! stripe's era, which makes all records that are there ones to be captured, and no others.

use super::super::edit::Touches;
use super::super::header::Shape;
use super::super::record::{self, Value};
use super::super::snapshot::{BLOCK, Captor, Gathered, Item, Large, LargeValue, Original, Pile, Reading, Step};
use super::super::table::ScanAt;
use super::{DATABASES, Key, Ref, SLOTS_PER_STRIPE, Stripe};
use std::collections::HashMap;
use std::ptr::NonNull;
use std::sync::Arc;

/// Buffers of more bytes are not captured under the lock, but read block by block.
const READ_MIN: usize = 64 * 1024;

/// Collections of more heap bytes are not captured under the lock, but shared with the walk. Turning so much into
/// something takes about ten microseconds, and a share less than one.
const SHARED_MIN: usize = 4 * 1024;

/// A snapshot on its way through a stripe.
pub(in crate::store) struct Walk {
    captor: Box<dyn Captor>,
    pile: Arc<Pile>,
    /// What of the pile is of this stripe.
    held: usize,
    db: usize,
    local: usize,
    from: ScanAt,
    /// Large values that were to be changed, deleted or replaced before they were captured.
    owned: Vec<Large>,
    /// By database and key, buffers that were changed before all of them was read.
    originals: HashMap<(usize, Box<[u8]>), Original>,
}

impl Walk {
    fn pile_up(&mut self, bytes: usize) {
        self.held += bytes;
        self.pile.add(bytes);
    }
}

impl Stripe {
    /// Begins a snapshot. The last one must have come to its end.
    pub(in crate::store) fn begin_walk(&mut self, captor: Box<dyn Captor>, pile: Arc<Pile>) {
        debug_assert!(self.walk.is_none(), "one snapshot at a time");
        self.era = !self.era;
        let (held, db, local, from) = Default::default();
        let (owned, originals) = Default::default();
        self.walk = Some(Box::new(Walk { captor, pile, held, db, local, from, owned, originals }));
    }

    /// Whether a snapshot is on its way through it.
    pub(in crate::store) fn is_walked(&self) -> bool {
        self.walk.is_some()
    }

    /// Has a record captured before it is changed.
    #[inline]
    pub(super) fn preserve(&mut self, found: Ref) {
        if record::header(self.arena.at(found)).era() != self.era {
            self.capture_now(found);
        }
    }

    /// Has a record captured before it is deleted or its value replaced: what is large is handed over as it is.
    #[inline]
    pub(super) fn preserve_going(&mut self, found: Ref) {
        if record::header(self.arena.at(found)).era() != self.era {
            self.capture_going(found);
        }
    }

    /// Has a string captured before some of its bytes are changed in place, or the parts of it that are.
    #[inline]
    pub(super) fn preserve_touched(&mut self, found: Ref, touches: Touches<'_>) {
        if record::header(self.arena.at(found)).era() != self.era {
            self.capture_touched(found, touches);
        }
    }

    #[cold]
    fn capture_touched(&mut self, found: Ref, touches: Touches<'_>) {
        let at = self.arena.at(found);
        if record::header(at).shape() != Shape::Heap || !is_large(at) || self.is_void() {
            return self.capture_now(found);
        }
        let key = (usize::from(record::header(at).db()), Box::from(record::key(at)));
        let (Value::Bytes(bytes), Some(walk)) = (record::value(at, &self.arena), &mut self.walk) else { return };
        let original = walk.originals.entry(key).or_insert_with(|| Original::new(record::expiry(at), bytes.len()));
        let mut kept = 0;
        touches(&mut |touched| kept += original.keep(touched, bytes));
        walk.pile_up(kept);
    }

    /// Leaves a buffer that was changed since the snapshot began to the walk.
    pub(super) fn leave_changed(&mut self, found: Ref, buffer: Vec<u8>, original: Original) {
        let at = self.arena.at(found);
        let (db, key, expiry) = (record::header(at).db().into(), record::key(at).into(), original.expiry);
        let tags = self.tags_at(at);
        if let Some(walk) = &mut self.walk {
            walk.pile_up(buffer.capacity());
            walk.owned.push(Large { db, key, expiry, tags, value: LargeValue::Changed(buffer, original) });
        }
    }

    /// Takes what is known of a buffer that was changed since the snapshot began.
    pub(super) fn take_original(&mut self, found: Ref) -> Option<Original> {
        let at = self.arena.at(found);
        let originals = &mut self.walk.as_mut()?.originals;
        if originals.is_empty() || record::header(at).shape() != Shape::Heap {
            return None;
        }
        originals.remove(&(usize::from(record::header(at).db()), Box::from(record::key(at))))
    }

    #[cold]
    fn capture_now(&mut self, found: Ref) {
        let at = self.arena.at(found);
        match record::header(at).shape() {
            Shape::Object if is_large(at) => self.share(found),
            _ => self.capture(found),
        }
    }

    /// Leaves a collection to the walk as it is now.
    fn share(&mut self, found: Ref) {
        self.mark_captured(found);
        let at = self.arena.at(found);
        let (header, tags) = (record::header(at), self.tags_at(at));
        let Some(walk) = self.walk.as_mut().filter(|walk| !walk.pile.is_too_high()) else { return };
        // SAFETY: the stripe is held mutably, and nothing else reaches the collection now.
        let value = LargeValue::Object(Box::new(unsafe { record::object(at).as_mut() }.share()));
        let (db, key, expiry) = (header.db().into(), record::key(at).into(), record::expiry(at));
        walk.owned.push(Large { db, key, expiry, tags, value });
    }

    #[cold]
    fn capture_going(&mut self, found: Ref) {
        let at = self.arena.at(found);
        let bytes = record::heap_bytes(at);
        if !is_large(at) || self.is_void() {
            return self.capture(found);
        }
        let (header, tags) = (record::header(at), self.tags_at(at));
        let (db, key, expiry) = (header.db().into(), record::key(at).into(), record::expiry(at));
        let original = self.take_original(found);
        let expiry = original.as_ref().map_or(expiry, |original| original.expiry);
        let value = match (header.shape(), original) {
            (Shape::Heap, None) => LargeValue::Buffer(self.detach_heap(found)),
            (Shape::Heap, Some(original)) => LargeValue::Changed(self.detach_heap(found), original),
            _ => LargeValue::Object(self.detach_object(found)),
        };
        self.mark_captured(found);
        if let Some(walk) = &mut self.walk {
            walk.pile_up(bytes);
            // One too many is let go with the snapshot, which is void then.
            walk.owned.push(Large { db, key, expiry, tags, value });
        }
    }

    fn capture(&mut self, found: Ref) {
        self.mark_captured(found);
        let original = self.take_original(found);
        let at = self.arena.at(found);
        let tags = &self.tags_at(at)[..];
        let Some(walk) = &mut self.walk else { return };
        let (db, key, value) = (record::header(at).db().into(), record::key(at), record::value(at, &self.arena));
        if walk.pile.is_too_high() {
            return;
        }
        let before = walk.captor.held();
        match (original, value) {
            (Some(original), Value::Bytes(bytes)) => {
                let mut bytes = bytes.to_vec();
                original.restore(&mut bytes);
                walk.captor.take(Item { db, key, expiry: original.expiry, tags, value: Value::Bytes(&bytes) });
            }
            _ => walk.captor.take(Item { db, key, expiry: record::expiry(at), tags, value }),
        }
        walk.pile_up(walk.captor.held() - before);
    }

    /// Keeps a record out of the snapshot, if that has not come to it yet.
    pub(super) fn leave_out(&mut self, found: Ref) {
        if record::header(self.arena.at(found)).era() != self.era {
            drop(self.take_original(found));
            self.mark_captured(found);
        }
    }

    fn mark_captured(&mut self, found: Ref) {
        let at = self.arena.at(found);
        record::set_header(at, record::header(at).with_era(self.era));
    }

    /// Takes one more line of the order, and what was captured since the last step. `None` if no walk is on its way here.
    pub(in crate::store) fn step_walk(&mut self) -> Option<Step> {
        let mut line = Vec::new();
        let next = self.next_line(&mut line)?;
        let mut wanted = None;
        for found in line {
            let at = self.arena.at(found);
            if record::header(at).era() == self.era {
                continue;
            }
            if self.is_wrong(at) {
                // It goes soon, and whoever loaded it would have it again.
                self.leave_out(found);
                continue;
            }
            if record::header(at).shape() != Shape::Heap || !is_large(at) || self.is_void() {
                self.capture_now(found);
            } else if wanted.is_none() {
                wanted = self.want(found);
            }
        }
        let is_over = next.is_none();
        let walk = self.walk.as_mut()?;
        if let (Some(next), None) = (next, &wanted) {
            // A line with large buffers is come to again, until none of them is left.
            (walk.db, walk.local, walk.from) = next;
        }
        let step = self.collect(wanted);
        if is_over {
            self.walk = None;
        }
        Some(step)
    }

    /// What was captured since the last step, without a step.
    pub(in crate::store) fn collect_walk(&mut self) -> Option<Step> {
        self.walk.is_some().then(|| self.collect(None))
    }

    fn is_void(&self) -> bool {
        self.walk.as_ref().is_none_or(|walk| walk.pile.is_too_high())
    }

    fn collect(&mut self, wanted: Option<Gathered>) -> Step {
        match &mut self.walk {
            Some(walk) => {
                walk.pile.remove(std::mem::take(&mut walk.held));
                Step { captured: walk.captor.drain(), owned: std::mem::take(&mut walk.owned), wanted }
            }
            None => Step::default(),
        }
    }

    /// The records of the next line of the order that has any, and where the order goes on; `Some(None)` at its end.
    fn next_line(&self, line: &mut Vec<Ref>) -> Option<Option<(usize, usize, ScanAt)>> {
        let walk = self.walk.as_ref()?;
        let (mut db, mut local, mut from) = (walk.db, walk.local, walk.from);
        let hash_of = |found: Ref| self.hasher.hash(record::key(self.arena.at(found)));
        while db < DATABASES {
            let Some(filled) = (local < SLOTS_PER_STRIPE).then(|| self.next_filled(db, local)).flatten() else {
                (db, local, from) = (db + 1, 0, ScanAt::default());
                continue;
            };
            if filled != local {
                (local, from) = (filled, ScanAt::default());
            }
            let table = &self.dbs[db].as_ref()?.tables[local];
            let next = match table.scan(from, &hash_of, |found| line.push(found)) {
                Some(next) => (db, local, next),
                None => (db, local + 1, ScanAt::default()),
            };
            if !line.is_empty() {
                return Some(Some(next));
            }
            (db, local, from) = next;
        }
        Some(None)
    }

    /// What is needed to read a large buffer block by block.
    fn want(&self, found: Ref) -> Option<Gathered> {
        let at = self.arena.at(found);
        let (db, key) = (usize::from(record::header(at).db()), Box::from(record::key(at)));
        let Value::Bytes(bytes) = record::value(at, &self.arena) else { return None };
        let original = self.walk.as_ref()?.originals.get(&(db, Box::from(record::key(at))));
        let len = original.map_or(bytes.len(), |original| original.len);
        Some(Gathered { db, key, bytes: Vec::with_capacity(len), read: 0 })
    }

    /// Reads the next block of a large buffer, for which there is room. At its end the record is captured.
    pub(in crate::store) fn read_on(&mut self, gathered: &mut Gathered) -> Reading {
        let key = Key { bytes: &gathered.key, place: self.hasher.place(&gathered.key) };
        let Some((_, found)) = self.find(gathered.db, key) else { return Reading::Gone };
        let at = self.arena.at(found);
        let is_there = record::header(at).era() != self.era && record::header(at).shape() == Shape::Heap;
        let (Value::Bytes(bytes), true, Some(walk)) = (record::value(at, &self.arena), is_there, &self.walk) else {
            return Reading::Gone;
        };
        let original = walk.originals.get(&(gathered.db, gathered.key.clone()));
        let len = original.map_or(bytes.len(), |original| original.len);
        let range = gathered.read..(gathered.read + BLOCK).min(len);
        let kept = original.and_then(|original| original.kept(range.start / BLOCK));
        gathered.bytes[range.clone()].copy_from_slice(kept.unwrap_or(&bytes[range.clone()]));
        gathered.read = range.end;
        if range.end < len {
            return Reading::On;
        }
        let expiry = original.map_or(record::expiry(at), |original| original.expiry);
        self.take_original(found);
        self.mark_captured(found);
        let tags = self.tags_at(at);
        let Gathered { db, key, mut bytes, .. } = std::mem::take(gathered);
        bytes.truncate(len);
        Reading::Whole(Large { db, key, expiry, tags, value: LargeValue::Buffer(bytes) })
    }
}

impl Stripe {
    /// As the walk wants a large buffer: one whose record is about to change its key, and is not captured yet.
    pub(in crate::store) fn want_ahead(&self, db: usize, key: Key<'_>) -> Option<Gathered> {
        let (_, found) = self.find(db, key)?;
        let at = self.arena.at(found);
        let is_due = record::header(at).era() != self.era && record::header(at).shape() == Shape::Heap;
        if is_due && is_large(at) && !self.is_void() { self.want(found) } else { None }
    }

    /// Reads the next block of it. Returns whether there are more; what is whole is left to the walk.
    pub(in crate::store) fn read_ahead(&mut self, gathered: &mut Gathered) -> bool {
        let bytes = gathered.bytes.capacity();
        match self.read_on(gathered) {
            Reading::On => return true,
            Reading::Gone => {}
            Reading::Whole(large) => {
                if let Some(walk) = &mut self.walk {
                    walk.pile_up(bytes);
                    walk.owned.push(large);
                }
            }
        }
        false
    }
}

/// Whether a value is not to be captured under the lock.
fn is_large(at: NonNull<u8>) -> bool {
    match record::header(at).shape() {
        Shape::Object => record::heap_bytes(at) >= SHARED_MIN,
        _ => record::heap_bytes(at) >= READ_MIN,
    }
}
