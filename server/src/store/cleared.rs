//! Prefixes of which all keys of a stripe were declared wrong, until all of its keys have been looked at.
//!
//! A prefix has no list of its keys. So those that are written anew meanwhile are remembered, and the others are wrong.

use super::table::ScanAt;
use super::tagged::{ById, Doom, KeyId};

/// Prefixes that may wait at a time.
pub const CLEARS_MAX: usize = 16;

struct Clear {
    number: u64,
    db: u8,
    prefix: Box<[u8]>,
    doom: Doom,
}

/// How far the keys have been looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    pub db: usize,
    pub local: usize,
    pub from: ScanAt,
    /// The last prefix that all of them are held against.
    last: u64,
}

#[derive(Default)]
pub struct Clears {
    waiting: Vec<Clear>,
    /// How many there have been.
    last: u64,
    /// Keys that were written since, with the number of the last prefix that was there before.
    renewed: ById<u64>,
    look: Option<Look>,
}

impl Clears {
    #[inline]
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub fn is_full(&self) -> bool {
        self.waiting.len() >= CLEARS_MAX
    }

    pub fn bytes(&self) -> usize {
        self.waiting.iter().map(|clear| size_of::<Clear>() + clear.prefix.len()).sum::<usize>()
            + self.renewed.capacity() * 8 / 7 * (size_of::<(KeyId, u64)>() + 1)
    }

    /// Declares all keys of a database with a prefix wrong.
    pub fn add(&mut self, db: u8, prefix: &[u8], doom: Doom) {
        self.last += 1;
        self.waiting.push(Clear { number: self.last, db, prefix: prefix.into(), doom });
    }

    /// What is to become of a key, if it is wrong.
    pub fn doom_of(&self, id: KeyId, key: &[u8]) -> Option<Doom> {
        let renewed = self.renewed.get(&id).copied().unwrap_or(0);
        let is_of = |clear: &&Clear| clear.number > renewed && clear.db == id.db && key.starts_with(&clear.prefix);
        self.waiting.iter().filter(is_of).map(|clear| clear.doom).reduce(Doom::and)
    }

    /// A key is written anew.
    pub fn renew(&mut self, id: KeyId, key: &[u8]) {
        if self.waiting.iter().any(|clear| clear.db == id.db && key.starts_with(&clear.prefix)) {
            self.renewed.insert(id, self.last);
        }
    }

    /// How far the keys have been looked at.
    pub fn look(&mut self) -> Look {
        *self.look.get_or_insert(Look { last: self.last, ..Look::default() })
    }

    /// They have been looked at up to there; `None` once all of them have been.
    pub fn looked(&mut self, to: Option<(usize, usize, ScanAt)>) {
        let look = self.look();
        self.look = to.map(|(db, local, from)| Look { db, local, from, ..look });
        if self.look.is_none() {
            self.waiting.retain(|clear| clear.number > look.last);
            self.renewed.retain(|_, number| *number > look.last);
        }
        if self.waiting.is_empty() {
            (self.renewed, self.look) = (ById::default(), None);
        }
    }
}
