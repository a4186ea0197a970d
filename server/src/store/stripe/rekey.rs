//! Values that change keys: what RENAME, MOVE and COPY take out of a stripe, and what RESTORE says about a key's past.

use super::super::header::CLOCK_STEP_MS;
use super::super::news::How;
use super::super::policy::{Family, lfu, lru};
use super::super::record;
use super::super::taken::Taken;
use super::{Key, Moment, Ref, Shape, Stripe};
use crate::types::object::Object;

/// The longest idle time that the access clock is set back by: half its turn, so that it does not soon look like new.
const IDLE_MAX_MS: u64 = CLOCK_STEP_MS << 11;

impl Stripe {
    /// Takes the value of a key out and deletes the key. A buffer is handed over, not copied.
    pub fn take(&mut self, db: usize, key: Key<'_>, moment: Moment) -> Option<Taken> {
        let (at, found) = self.live(db, key, moment)?;
        self.preserve(found);
        let entry = self.entry(found);
        let (expiry, frequency) = (entry.expiry(), entry.frequency(moment));
        let shape = entry.shape();
        let mut taken = match shape {
            Shape::Heap => Taken::buffer(self.detach_heap(found), expiry),
            Shape::Object => Taken::object(self.detach_object(found), expiry),
            _ => Taken::copy_of(entry),
        };
        taken.tags = self.tags_of(db, key.place);
        self.changed(db, key.bytes, How::Removed);
        taken.frequency = (self.family == Family::Lfu).then_some(frequency);
        self.remove_at(db, key.place, at, found);
        Some(taken)
    }

    /// Takes the buffer of a heap value, and leaves a record that is only good for being freed.
    pub(super) fn detach_heap(&mut self, found: Ref) -> Vec<u8> {
        let at = self.arena.at(found);
        let buffer = record::take_heap(at);
        self.heap_bytes -= buffer.capacity();
        // What is left of the buffer's parts are bytes like any others, so that nobody frees the buffer again.
        record::set_header(at, record::header(at).with_shape(Shape::Edited));
        buffer
    }

    /// Takes the collection of a record, as [`Stripe::detach_heap`] takes a buffer.
    pub(super) fn detach_object(&mut self, found: Ref) -> Box<Object> {
        let at = self.arena.at(found);
        self.heap_bytes -= record::heap_bytes(at);
        let object = record::take_object(at);
        record::set_header(at, record::header(at).with_shape(Shape::Edited));
        object
    }

    /// Makes a key look unused for so long, as far back as the policy in force keeps it.
    pub fn set_idle(&mut self, db: usize, key: Key<'_>, idle_ms: u64, moment: Moment) {
        let Some((_, found)) = self.live(db, key, moment) else { return };
        let at = self.arena.at(found);
        let header = record::header(at);
        let clock = Moment { ms: moment.ms.saturating_sub(idle_ms.min(IDLE_MAX_MS)), ..moment }.clock();
        let policy = if self.family == Family::Lru { lru::idle_for(idle_ms, moment.ms) } else { header.policy() };
        record::set_header(at, header.with_clock(clock).with_policy(policy));
    }

    /// Gives a key the access frequency that LFU policies count; others keep none.
    pub fn set_frequency(&mut self, db: usize, key: Key<'_>, frequency: u8, moment: Moment) {
        if self.family != Family::Lfu {
            return;
        }
        let Some((_, found)) = self.live(db, key, moment) else { return };
        let at = self.arena.at(found);
        record::set_header(at, record::header(at).with_policy(lfu::of(frequency, moment)));
    }
}
