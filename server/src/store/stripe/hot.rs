//! What a stripe tells of how hot its records are, and where they are found again.

use super::super::header::Policy;
use super::super::hot;
use super::super::policy::{Family, lfu};
use super::super::record;
use super::{Entry, Moment, Place, Stripe};

impl Entry<'_> {
    /// How hot the record is, by the uses that the policy in force counts and the time of the last.
    pub fn heat(self, moment: Moment) -> u32 {
        let policy: Policy = record::header(self.at).policy();
        let uses = match moment.eviction.family() {
            Family::Larder => u32::from(policy.f()) + u32::from(policy.p()),
            Family::Lru => 1,
            Family::Lfu => u32::from(lfu::decayed(policy, moment).0),
        };
        hot::heat(uses, self.idle_ms(moment))
    }
}

impl Stripe {
    /// The entry of a key whose place alone is known, if it is there for who lists keys.
    pub(in crate::store) fn entry_at(&self, db: usize, place: Place, moment: Moment) -> Option<Entry<'_>> {
        let table = &self.dbs[db].as_ref()?.tables[place.local()];
        let is_it = |found| self.hasher.hash(record::key(self.arena.at(found))) == place.hash;
        let entry = self.entry(table.find(place.hash, is_it)?.1);
        (!self.is_unlisted(entry.at, moment)).then_some(entry)
    }
}
