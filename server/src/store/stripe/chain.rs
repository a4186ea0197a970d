//! Values in pieces, as a stripe writes and frees them.
//!
//! A chain is built from its last piece to its first, before its record is written, so that the caller can make room for
//! each piece alone, and records and pieces may move in between.

use super::super::arena::NIL;
use super::super::pieces::{self, PIECE_BYTES, PIECE_LEN, PIECE_UNITS};
use super::*;

impl Stripe {
    /// Begins the chain of a value that a key is to have, whose pieces hold `bytes`. Returns whether it is complete: if the
    /// value that the key has now has as many pieces, they are written anew. If not, they are freed for the new ones.
    ///
    /// The end of the old value, which lies in its record, stays until [`Stripe::put`].
    pub fn begin_chain(&mut self, db: usize, key: Key<'_>, bytes: &[u8]) -> bool {
        // One that a broken command has left.
        let left = std::mem::replace(&mut self.chain, NIL);
        self.free_chain(left);
        let Some((_, found)) = self.find(db, key) else { return false };
        let at = self.arena.at(found);
        if record::header(at).shape() != Shape::Pieces {
            return false;
        }
        self.preserve(found);
        if record::bytes_beside(at) != bytes.len() / PIECE_LEN * PIECE_BYTES {
            self.cut(found);
            return false;
        }
        self.chain = pieces::take_chain(at, &self.arena);
        self.rewrite_chain(bytes);
        true
    }

    fn rewrite_chain(&mut self, bytes: &[u8]) {
        let mut piece = self.chain;
        for part in bytes.chunks_exact(PIECE_LEN) {
            let at = self.arena.at(piece);
            piece = pieces::next_soon(at, &self.arena);
            pieces::rewrite(at, part);
        }
    }

    /// Puts a piece in front of the chain. The caller has made sure that there is room; see [`Stripe::lacks_for_piece`].
    pub fn add_piece(&mut self, bytes: &[u8]) {
        let piece = self.arena.alloc_or_grow(PIECE_UNITS);
        pieces::write(self.arena.at(piece), self.chain, bytes);
        if self.chain != NIL {
            pieces::set_before(self.arena.at(self.chain), piece);
        }
        self.chain = piece;
    }

    /// Bytes that must be found elsewhere before a piece can be added: 0 if a hole takes it.
    pub fn lacks_for_piece(&self) -> usize {
        self.arena.growth_for(PIECE_UNITS)
    }

    /// Makes the chain that was built that of a record which refers to it already.
    pub(super) fn own_chain(&mut self, record: Ref) {
        if record::header(self.arena.at(record)).shape() == Shape::Pieces {
            pieces::follow_record(&self.arena, record);
            self.chain = NIL;
        }
    }

    /// Frees the pieces of a record's value, if it has any.
    pub(super) fn cut(&mut self, found: Ref) {
        let at = self.arena.at(found);
        if record::header(at).shape() == Shape::Pieces {
            let first = pieces::take_chain(at, &self.arena);
            self.free_chain(first);
        }
    }

    fn free_chain(&mut self, first: Ref) {
        let mut piece = first;
        while piece != NIL {
            let next = pieces::next_soon(self.arena.at(piece), &self.arena);
            self.arena.free(piece, PIECE_UNITS);
            piece = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::shared::{Options, Store};
    use super::*;

    fn store() -> Store {
        Store::with_hasher(Options::default(), KeyHasher::seeded(1))
    }

    fn set(store: &Store, name: &str, len: usize) {
        let key = store.key(name.as_bytes());
        store.lock_one(key.place.stripe(), 0, store.moment(1)).set(key, New::Set(&vec![b'x'; len]), None);
    }

    #[test]
    fn a_chain_that_got_no_record_is_counted_and_freed_by_the_next() {
        let store = store();
        set(&store, "key", 10_000);
        let key = store.key(b"key");
        store.with_stripe(key.place.stripe(), |stripe| {
            let before = stripe.live_bytes();
            assert!(!stripe.begin_chain(0, store.key(b"{key}other"), &[b'y'; 3 * PIECE_LEN]));
            (0..3).for_each(|_| stripe.add_piece(&[b'y'; PIECE_LEN]));
            stripe.check();
            assert_eq!(stripe.live_bytes() - before, 3 * PIECE_UNITS * 8);
        });
        for len in [100, 10_000] {
            set(&store, "key", len);
            store.with_stripe(key.place.stripe(), |stripe| stripe.check());
        }
        store.with_stripe(key.place.stripe(), |stripe| assert!(stripe.live_bytes() < 10_500));
        store.flush_all();
        assert_eq!(store.used_bytes(), 0);
    }

    #[test]
    fn a_value_written_over_another_needs_no_room_for_both() {
        let store = store();
        set(&store, "key", 60_000);
        let used = store.used_bytes();
        set(&store, "key", 60_000);
        assert_eq!(store.used_bytes(), used);
        set(&store, "key", 10);
        store.tighten_all();
        assert!(store.used_bytes() < used - 50_000, "{} of {used}", store.used_bytes());
    }

    #[test]
    fn what_is_counted_for_a_value_is_what_it_takes() {
        for len in [2_000, 2_001, 5_000, 65_536] {
            let store = store();
            set(&store, "key", len);
            let key = store.key(b"key");
            let mut keys = store.lock_one(key.place.stripe(), 0, store.moment(1));
            let footprint = keys.peek(key).unwrap().footprint() as usize;
            drop(keys);
            assert_eq!(footprint, store.totals().live_bytes, "{len}");
            assert!((len..len + len / 50 + 64).contains(&footprint), "{footprint} for {len}");
        }
    }
}
