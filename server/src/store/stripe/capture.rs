//! What a stripe does for a snapshot: every record is captured as it was when the snapshot began, by the walk or by the
//! first who changes it.
//!
//! A record's header says whether it is captured already: its era is the stripe's then. A snapshot begins by turning the
//! stripe's era, which makes all records that are there ones to be captured, and no others.

use super::super::header::Shape;
use super::super::record::{self, Value};
use super::super::snapshot::{Captor, Item, Large, LargeValue, Loan, Pile, Step};
use super::super::table::ScanAt;
use super::{DATABASES, Discarded, Key, Ref, SLOTS_PER_STRIPE, Stripe};
use std::ptr::NonNull;
use std::sync::Arc;

/// Buffers of more bytes are not captured under the lock, but lent to the walk.
const LENT_MIN: usize = 64 * 1024;

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
    /// The buffer that is read outside of the lock just now.
    loan: Option<Loan>,
    /// Buffers whose record has gone while they were lent.
    kept: Vec<Discarded>,
}

impl Walk {
    fn pile_up(&mut self, bytes: usize) {
        self.held += bytes;
        self.pile.add(bytes);
    }

    pub fn keep(&mut self, value: Discarded) {
        self.kept.push(value);
    }
}

impl Stripe {
    /// Begins a snapshot. The last one must have come to its end.
    pub(in crate::store) fn begin_walk(&mut self, captor: Box<dyn Captor>, pile: Arc<Pile>) {
        debug_assert!(self.walk.is_none(), "one snapshot at a time");
        self.era = !self.era;
        let (owned, loan, kept) = Default::default();
        let (held, db, local, from) = Default::default();
        self.walk = Some(Box::new(Walk { captor, pile, held, db, local, from, owned, loan, kept }));
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

    /// Whether the value of a record is being read outside of the lock.
    #[inline]
    pub(super) fn is_lent(&self, found: Ref) -> bool {
        self.walk.is_some() && self.loan_of(found).is_some()
    }

    #[cold]
    fn loan_of(&self, found: Ref) -> Option<&Loan> {
        let address = record::heap_address(self.arena.at(found))?;
        self.walk.as_ref()?.loan.as_ref().filter(|loan| loan.address == address)
    }

    #[cold]
    fn capture_now(&mut self, found: Ref) {
        if let Some(loan) = self.loan_of(found) {
            loan.wait();
            self.end_loan();
            return;
        }
        self.capture_or_share(found);
    }

    fn capture_or_share(&mut self, found: Ref) {
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
        let header = record::header(at);
        let Some(walk) = self.walk.as_mut().filter(|walk| !walk.pile.is_too_high()) else { return };
        // SAFETY: the stripe is held mutably, and nothing else reaches the collection now.
        let value = LargeValue::Object(Box::new(unsafe { record::object(at).as_mut() }.share()));
        let (db, key, expiry) = (header.db().into(), record::key(at).into(), record::expiry(at));
        walk.owned.push(Large { db, key, expiry, value });
    }

    #[cold]
    fn capture_going(&mut self, found: Ref) {
        if self.is_lent(found) {
            // It is kept until it has been read: see `drop_heap`.
            return;
        }
        let at = self.arena.at(found);
        let bytes = record::heap_bytes(at);
        let is_void = self.walk.as_ref().is_none_or(|walk| walk.pile.is_too_high());
        if !is_large(at) || is_void {
            return self.capture(found);
        }
        let header = record::header(at);
        let (db, key, expiry) = (header.db().into(), record::key(at).into(), record::expiry(at));
        let value = match header.shape() {
            Shape::Heap => LargeValue::Buffer(self.detach_heap(found)),
            _ => LargeValue::Object(self.detach_object(found)),
        };
        self.mark_captured(found);
        if let Some(walk) = &mut self.walk {
            walk.pile_up(bytes);
            // One too many is let go with the snapshot, which is void then.
            walk.owned.push(Large { db, key, expiry, value });
        }
    }

    fn capture(&mut self, found: Ref) {
        self.mark_captured(found);
        let Some(walk) = &mut self.walk else { return };
        let at = self.arena.at(found);
        let (db, key, expiry) = (record::header(at).db().into(), record::key(at), record::expiry(at));
        if !walk.pile.is_too_high() {
            let before = walk.captor.held();
            walk.captor.take(Item { db, key, expiry, value: record::value(at, &self.arena) });
            walk.pile_up(walk.captor.held() - before);
        }
    }

    fn mark_captured(&mut self, found: Ref) {
        let at = self.arena.at(found);
        record::set_header(at, record::header(at).with_era(self.era));
    }

    /// Takes one more line of the order, and what was captured since the last step. `None` if no walk is on its way here.
    ///
    /// The loan of the step before must have been read.
    pub(in crate::store) fn step_walk(&mut self) -> Option<Step> {
        self.end_loan();
        let mut line = Vec::new();
        let next = self.next_line(&mut line)?;
        let mut lent = None;
        for found in line {
            let at = self.arena.at(found);
            if record::header(at).era() == self.era {
                continue;
            }
            if record::header(at).shape() != Shape::Heap || !is_large(at) {
                self.capture_or_share(found);
            } else if lent.is_none() {
                lent = self.lend(found);
            }
        }
        let is_over = next.is_none();
        let walk = self.walk.as_mut()?;
        if let (Some(next), None) = (next, &lent) {
            // A line with large buffers is come to again, until none of them is left.
            (walk.db, walk.local, walk.from) = next;
        }
        let step = self.collect(lent);
        if is_over {
            self.walk = None;
        }
        Some(step)
    }

    /// What was captured since the last step, without a step.
    pub(in crate::store) fn collect_walk(&mut self) -> Option<Step> {
        self.walk.is_some().then(|| self.collect(None))
    }

    fn collect(&mut self, lent: Option<Large>) -> Step {
        match &mut self.walk {
            Some(walk) => {
                walk.pile.remove(std::mem::take(&mut walk.held));
                Step { captured: walk.captor.drain(), owned: std::mem::take(&mut walk.owned), lent }
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

    fn lend(&mut self, found: Ref) -> Option<Large> {
        let at = self.arena.at(found);
        let header = record::header(at);
        let (db, key, expiry) = (usize::from(header.db()), Box::from(record::key(at)), record::expiry(at));
        let loan = Loan::new(db, record::key(at), record::heap_address(at)?);
        let Value::Bytes(bytes) = record::value(at, &self.arena) else { return None };
        let value = LargeValue::lent(bytes, &loan);
        self.walk.as_mut()?.loan = Some(loan);
        Some(Large { db, key, expiry, value })
    }

    /// Takes back what was lent, which has been read: its record is captured, if it is still there.
    fn end_loan(&mut self) {
        let Some(walk) = &mut self.walk else { return };
        let Some(loan) = walk.loan.take() else { return };
        assert!(loan.is_over(), "the step of before is dropped before the next");
        let kept = std::mem::take(&mut walk.kept);
        self.discarded.extend(kept);
        let key = Key { bytes: &loan.key, place: self.hasher.place(&loan.key) };
        if let Some((_, found)) = self.find(loan.db, key)
            && record::heap_address(self.arena.at(found)) == Some(loan.address)
        {
            self.mark_captured(found);
        }
    }
}

/// Whether a value is not to be captured under the lock.
fn is_large(at: NonNull<u8>) -> bool {
    match record::header(at).shape() {
        Shape::Object => record::heap_bytes(at) >= SHARED_MIN,
        _ => record::heap_bytes(at) >= LENT_MIN,
    }
}
