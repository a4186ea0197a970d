//! Visits of a stripe's records, in the order of `SCAN` or at random.

use super::super::table::ScanAt;
use super::{Entry, Moment, Ref, SLOTS_PER_STRIPE, Stripe, record};

impl Stripe {
    /// Visits the keys of a slot from a place in its order; see [`Table::scan`]. Expired keys are passed over.
    pub fn scan(
        &self,
        db: usize,
        local: usize,
        from: ScanAt,
        moment: Moment,
        mut each: impl FnMut(Entry<'_>),
    ) -> Option<ScanAt> {
        let table = &self.dbs[db].as_ref()?.tables[local];
        let hash_of = |found: Ref| self.hasher.hash(record::key(self.arena.at(found)));
        table.scan(from, &hash_of, |found| {
            let at = self.arena.at(found);
            if !self.is_unlisted(at, moment) {
                each(Entry { at, arena: &self.arena });
            }
        })
    }

    /// Visits every entry of a database that has not expired.
    pub fn each(&self, db: usize, moment: Moment, mut each: impl FnMut(Entry<'_>)) {
        for table in self.dbs[db].iter().flat_map(|db| &db.tables) {
            table.each(|found| {
                let at = self.arena.at(found);
                if !self.is_unlisted(at, moment) {
                    each(Entry { at, arena: &self.arena });
                }
            });
        }
    }

    /// The first slot from `local` on that has keys in a database.
    pub fn next_filled(&self, db: usize, local: usize) -> Option<usize> {
        let filled = self.dbs[db].as_ref()?.filled >> local;
        (filled != 0).then(|| local + filled.trailing_zeros() as usize)
    }

    /// A reference drawn at random from a database, `None` if it has no keys.
    pub(in crate::store) fn sample(&self, db: usize, mut random: impl FnMut() -> u64) -> Option<Ref> {
        let db = self.dbs[db].as_ref().filter(|db| db.keys > 0)?;
        loop {
            // A slot with keys, at or after a random one.
            let start = random() % SLOTS_PER_STRIPE as u64;
            let local = (start + u64::from(db.filled.rotate_right(start as u32).trailing_zeros())) % 64;
            if let Some(found) = db.tables[local as usize].sample(random()) {
                return Some(found);
            }
        }
    }

    /// A reference drawn at random from a slot, `None` if it has no keys.
    pub(in crate::store) fn sample_slot(
        &self,
        db: usize,
        local: usize,
        mut random: impl FnMut() -> u64,
    ) -> Option<Ref> {
        let table = self.dbs[db].as_ref().map(|db| &db.tables[local]).filter(|table| !table.is_empty())?;
        loop {
            if let Some(found) = table.sample(random()) {
                return Some(found);
            }
        }
    }
}
