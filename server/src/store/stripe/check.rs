//! What must hold of a stripe between any two commands, checked by walking all of it. For tests alone.

use super::super::arena::UNIT;
use super::super::pieces::PIECE_BYTES;
use super::*;

/// Sums over the records of a stripe.
#[derive(Default, Debug, PartialEq, Eq)]
struct Sums {
    keys: usize,
    expiring: usize,
    aside: usize,
    record_bytes: usize,
    heap_bytes: usize,
}

impl Stripe {
    /// Panics if the stripe's parts disagree: its tables, its arena, its queues and its counts.
    pub fn check(&self) {
        let mut all = Sums::default();
        for (number, db) in self.dbs.iter().enumerate() {
            let Some(db) = db else { continue };
            let sums = self.check_db(number, db);
            let counts = (db.keys, db.expiring, db.aside);
            assert_eq!(counts, (sums.keys, sums.expiring, sums.aside), "counts of database {number}");
            all.keys += sums.keys;
            all.record_bytes += sums.record_bytes;
            all.heap_bytes += sums.heap_bytes;
        }
        let building = self.check_chain(NIL, self.chain);
        assert_eq!(self.arena.live_bytes(), all.record_bytes + building, "live bytes of the arena");
        assert_eq!(self.heap_bytes, all.heap_bytes, "bytes of buffers");
        assert_eq!(self.db_bytes, self.dbs.iter().flatten().count() * size_of::<Db>(), "bytes of databases");
        let queued = if self.family == Family::Larder { all.keys } else { 0 };
        assert_eq!(self.queues.len(), queued, "records in queues");
    }

    fn check_db(&self, number: usize, db: &Db) -> Sums {
        let mut sums = Sums::default();
        for (local, table) in db.tables.iter().enumerate() {
            assert_eq!(table.is_empty(), db.filled >> local & 1 == 0, "the mark of slot {local}");
            let before = sums.keys;
            table.each(|found| {
                self.check_record(number, local, table, found);
                let at = self.arena.at(found);
                sums.keys += 1;
                sums.expiring += usize::from(record::expiry(at).is_some());
                sums.aside += usize::from(record::keep(at).is_aside());
                sums.record_bytes += record::units(at) * UNIT;
                if record::header(at).shape() == Shape::Pieces {
                    let pieces = self.check_chain(found, pieces::first(at));
                    assert_eq!(pieces, record::bytes_beside(at), "the pieces of a value");
                    sums.record_bytes += pieces;
                }
                sums.heap_bytes += record::heap_bytes(at);
            });
            assert_eq!(table.len(), sums.keys - before, "the count of slot {local}");
        }
        sums
    }

    /// A record hangs where its key says, and is found there.
    fn check_record(&self, db: usize, local: usize, table: &Table, found: Ref) {
        let at = self.arena.at(found);
        assert_eq!(record::header(at).db() as usize, db, "the database in the header");
        let place = self.hasher.place(record::key(at));
        assert_eq!(place.local(), local, "the slot of the key");
        let seen = table.find(place.hash, |other| record::key(self.arena.at(other)) == record::key(at));
        assert_eq!(seen.map(|(_, other)| other), Some(found), "a key is found, once");
    }

    /// The pieces of a chain refer to each other, and the first to what stands `before` it. Returns the bytes they take.
    fn check_chain(&self, mut before: Ref, mut piece: Ref) -> usize {
        let mut bytes = 0;
        while piece != NIL {
            let at = self.arena.at(piece);
            assert_eq!(record::header(at).shape(), Shape::Piece, "the shape of a piece");
            assert_eq!(pieces::before(at), before, "what stands before a piece");
            bytes += PIECE_BYTES;
            (before, piece) = (piece, pieces::next(at));
        }
        bytes
    }

    /// Evicts by the queues until they have nothing more to give. Returns how many keys are left, which no eviction
    /// would ever reach.
    pub fn drain_by_queues(&mut self) -> usize {
        while self.evict_lowest(0.5).is_some() {}
        (0..DATABASES).map(|db| self.keys(db)).sum()
    }
}
