//! Tags, and keys that are declared wrong together, as commands and the node see them; [`super::stripe`] does it.

use super::shared::{Keys, Store};
use super::stripe::{Key, Moment};
use super::tagged::{Doom, TagList};

/// Records that a sweep has go, or looks at, before it lets the stripe go.
const SWEEP_MAX: usize = 64;

impl Keys<'_> {
    /// Gives a key that is there tags. Returns how many of them it did not have; `None` if it is not there.
    pub fn tag<'t>(&mut self, key: Key<'_>, tags: impl Iterator<Item = &'t [u8]>) -> Option<usize> {
        self.wrote = true;
        let (db, moment) = (self.db, self.moment);
        self.held.stripe(key.place.stripe()).tag(db, key, tags, moment)
    }

    /// The tags of a key, in no order; none if it is not there.
    pub fn tags(&self, key: Key<'_>) -> TagList {
        let is_there = self.entry(key).is_some();
        if is_there { self.held.look(key.place.stripe()).tags_of(self.db, key.place) } else { TagList::new() }
    }
}

impl Store {
    /// Declares all keys of a database with a tag wrong. Returns how many those are. The caller holds the barrier.
    pub fn doom_tag(&self, db: usize, tag: &[u8], doom: Doom) -> usize {
        let physical = self.database(db);
        self.stripes().map(|number| self.with_stripe(number, |stripe| stripe.doom_tag(physical, tag, doom))).sum()
    }

    /// Declares all keys of a database with a prefix wrong. The caller holds the barrier.
    ///
    /// Takes longer if many prefixes were declared wrong just before: what waits for one of them goes first then.
    pub fn doom_prefix(&self, db: usize, prefix: &[u8], doom: Doom, moment: Moment) {
        let physical = self.database(db);
        for number in self.stripes() {
            while !self.with_stripe(number, |stripe| stripe.doom_prefix(physical, prefix, doom)) {
                self.sweep(number, moment);
            }
        }
    }

    /// Has some keys of a stripe go that are wrong. Returns whether there may be more.
    pub fn sweep(&self, number: usize, moment: Moment) -> bool {
        self.with_stripe(number, |stripe| stripe.sweep_groups(moment, SWEEP_MAX))
    }

    /// Has all keys go that are wrong.
    pub fn sweep_all(&self, moment: Moment) {
        self.stripes().for_each(|number| while self.sweep(number, moment) {});
    }
}
