//! Expiry on time: what a stripe writes into its wheel, and what it does when a bucket is due.

use super::super::record;
use super::super::table;
use super::{Moment, Place, Ref, Stripe};

impl Stripe {
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

    /// Deletes keys whose time has come, at most about `keys_max` of them. Returns whether more are due.
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
                for &(found, expiry) in &found {
                    if expiry <= moment.ms {
                        self.expired(found);
                        self.remove_ref(found);
                    } else if (work.from_ms..work.to_ms).contains(&expiry) {
                        self.rewheel(found, expiry);
                    }
                }
            }
            self.wheel.put_back(work);
        }
        self.wheel.has_work()
    }

    fn prefetch_named(&self, slot: u8, prefix: u32, bits: u8) {
        for db in self.dbs.iter().flatten() {
            db.tables[slot as usize].prefetch_named(prefix, bits);
        }
    }

    /// Records with an expiry that a name may mean.
    fn expiring_named(&self, slot: u8, prefix: u32, bits: u8, found: &mut Vec<(Ref, u64)>) {
        found.clear();
        for db in self.dbs.iter().flatten() {
            db.tables[slot as usize].each_named(prefix, bits, |candidate| {
                let at = self.arena.at(candidate);
                if let Some(expiry) = record::expiry(at)
                    && table::has_name(self.hasher.hash(record::key(at)), prefix, bits)
                {
                    found.push((candidate, expiry));
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
