//! Looking ahead at keys whose commands have not begun: the requests of several connections that are run together.

use super::shared::Shared;
use crate::store::hash::Place;

/// Keys that are looked ahead at; more would push the first out of the cache.
const KEYS_MAX: usize = 64;

/// Keys whose table lines are on their way. One per worker, used again and again.
#[derive(Default)]
pub struct Ahead {
    keys: Vec<(usize, Place)>,
}

impl Ahead {
    /// Adds a key of a database, and asks for its table line.
    pub fn add(&mut self, key: &[u8], db: usize, node: &Shared) {
        if self.keys.len() < KEYS_MAX {
            let place = node.store.place(key);
            node.store.prefetch_line(db, place);
            self.keys.push((db, place));
        }
    }

    /// Asks for the records of all keys, now that their lines are there, and forgets the keys.
    pub fn close(&mut self, node: &Shared) {
        for (db, place) in self.keys.drain(..) {
            node.store.prefetch_record(db, place);
        }
    }
}
