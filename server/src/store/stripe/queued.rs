//! The policy's side of a stripe: accesses noted in headers, records queued, and the least valuable evicted.

use super::super::evict::{self, Mark, Name, Partial, Seen};
use super::super::header::Policy;
use super::super::policy::{Family, lfu, lru};
use super::super::{record, table};
use super::*;

/// Records that are met and spared before it is said that nothing can go: some microseconds.
const SPARED_MAX: usize = 256;

impl Stripe {
    /// Notes an access in the record's header; most accesses find nothing to change.
    #[inline]
    pub(super) fn touch(&self, found: Ref, moment: Moment) {
        let at = self.arena.at(found);
        let header = record::header(at);
        let policy = match self.family {
            Family::Larder => header.policy().hit(),
            Family::Lru => lru::now(moment.ms),
            Family::Lfu => lfu::hit(header.policy(), moment),
        };
        let touched = header.with_policy(policy).with_clock(moment.clock());
        if touched != header {
            record::set_header(at, touched);
        }
    }

    /// What a record counts for in the policy: its block and its buffer or pieces.
    pub(super) fn footprint(&self, found: Ref) -> u32 {
        self.entry(found).footprint()
    }

    pub(super) fn is_wide(&self, db: usize, place: Place) -> bool {
        self.dbs[db].as_ref().is_some_and(|db| db.tables[place.local()].is_wide())
    }

    /// Puts a record at the end of its queue.
    fn push(&mut self, db: usize, place: Place, bytes: u32, f: u8) -> Mark {
        let wide = self.is_wide(db, place);
        self.split |= u64::from(wide) << place.local();
        self.queues.push(Name { slot: place.local() as u8, hash: table::name_of(place.hash), wide }, bytes, f)
    }

    /// Forgets what the queues and the ghost hold.
    pub(super) fn clear_queues(&mut self) {
        self.queues.clear();
        self.ghost.clear();
        self.split = 0;
    }

    pub(super) fn enqueue_new(&mut self, db: usize, place: Place, block: Ref, moment: Moment) {
        let at = self.arena.at(block);
        let header = record::header(at);
        let policy = match self.family {
            Family::Lru => lru::now(moment.ms),
            Family::Lfu => lfu::fresh(moment),
            Family::Larder => {
                let f = evict::uses(self.ghost.recall(place.hash));
                let mark = self.push(db, place, self.footprint(block), f);
                Policy::larder(f, 0, mark.queue, mark.chunk)
            }
        };
        record::set_header(at, header.with_policy(policy));
        if self.family == Family::Larder {
            self.sweep();
        }
    }

    /// Queues a record anew whose size has changed class.
    pub(super) fn requeue(&mut self, db: usize, place: Place, block: Ref) {
        if self.family != Family::Larder {
            return;
        }
        let policy = record::header(self.arena.at(block)).policy();
        if evict::queue_of(self.footprint(block), policy.f()) == policy.queue() {
            return;
        }
        self.push_again(db, place, block);
        self.sweep();
    }

    /// Takes a record out of its queue and puts it at the end of the one that is now its own.
    pub(super) fn push_again(&mut self, db: usize, place: Place, block: Ref) {
        let at = self.arena.at(block);
        let policy = record::header(at).policy();
        self.queues.removed(Mark { queue: policy.queue(), chunk: policy.chunk() });
        let mark = self.push(db, place, self.footprint(block), policy.f());
        let policy = Policy::larder(policy.f(), policy.p(), mark.queue, mark.chunk);
        record::set_header(at, record::header(at).with_policy(policy));
    }

    /// Tells the queues that a record with these bits is gone.
    pub(super) fn unqueue(&mut self, policy: Policy) {
        if self.family == Family::Larder {
            self.queues.removed(Mark { queue: policy.queue(), chunk: policy.chunk() });
            self.sweep();
        }
    }

    pub(super) fn sweep(&mut self) {
        let Stripe { queues, dbs, arena, hasher, split, .. } = self;
        let mut doubtful = Vec::new();
        queues.sweep(|partial, old, new| {
            let Some(seen) = see(dbs, arena, hasher, *split, partial, old, &mut doubtful) else {
                return false;
            };
            let at = arena.at(seen.handle as Ref);
            let header = record::header(at);
            let policy = header.policy();
            let marked = Policy::larder(policy.f(), policy.p(), new.queue, new.chunk);
            record::set_header(at, header.with_policy(marked));
            true
        });
        self.queue_anew(doubtful);
    }

    /// Queues records under names that their tables tell apart now.
    pub(super) fn queue_anew(&mut self, doubtful: Vec<Ref>) {
        for found in doubtful {
            let at = self.arena.at(found);
            let place = self.hasher.place(record::key(at));
            self.push_again(record::header(at).db() as usize, place, found);
        }
    }

    /// Evicts the record that is worth least, by the queues. `None` if there is none to evict.
    pub(in crate::store) fn evict_lowest(&mut self, first: f32) -> Option<()> {
        let mut spared = 0;
        loop {
            let Stripe { queues, dbs, arena, hasher, split, .. } = self;
            let mut doubtful = Vec::new();
            let look = |partial, mark| see(dbs, arena, hasher, *split, partial, mark, &mut doubtful);
            let lowest = queues.lowest(first, look);
            self.queue_anew(doubtful);
            let lowest = lowest?;
            let found = lowest.seen.handle as Ref;
            let at = self.arena.at(found);
            let place = self.hasher.place(record::key(at));
            match lowest.seen.fate() {
                evict::Fate::Requeue { f } => {
                    let db = record::header(at).db() as usize;
                    let mark = self.push(db, place, lowest.seen.bytes, f);
                    let policy = Policy::larder(f, 0, mark.queue, mark.chunk);
                    record::set_header(at, record::header(at).with_policy(policy));
                }
                evict::Fate::Evict if self.entry(found).is_spared() => {
                    let db = record::header(at).db() as usize;
                    let mark = self.push(db, place, lowest.seen.bytes, lowest.seen.f);
                    let policy = Policy::larder(lowest.seen.f, 0, mark.queue, mark.chunk);
                    record::set_header(at, record::header(at).with_policy(policy));
                    spared += 1;
                    if spared == SPARED_MAX {
                        return None;
                    }
                }
                evict::Fate::Evict => {
                    self.queues.evicted(lowest.value);
                    let (bytes, records) = (self.live_bytes() as u64, self.queues.len());
                    self.ghost.resize(bytes / 10 * 9, records / 10 * 9);
                    self.ghost.remember(place.hash, lowest.seen.f, lowest.seen.bytes);
                    self.evicted(found);
                    // It left its queue when it was found to be the lowest.
                    let (db, place, at) = self.whereabouts(found);
                    self.take_away(db, place, at, found);
                    self.sweep();
                    return Some(());
                }
            }
        }
    }
}

/// Finds the record that an entry of a queue means. Other records that it may mean are added to `doubtful`.
///
/// A line holds other names too, and one of those with the same mark has an entry of its own: taking it for this one
/// would leave that entry without a record, or, once the table has grown, the record without an entry. So the whole of
/// the known name counts. Records of one name may stand in for each other, as their entries find them all. But if a
/// table of the slot has ever `split`, some entries know more of the name than others and find some of the records alone,
/// and those that know less find nothing in it. Then all but the one that is taken are in doubt.
fn see(
    dbs: &[Option<Box<Db>>; DATABASES],
    arena: &Arena,
    hasher: &KeyHasher,
    split: u64,
    partial: Partial,
    mark: Mark,
    doubtful: &mut Vec<Ref>,
) -> Option<Seen> {
    let mut seen = None;
    let has_split = split >> partial.slot & 1 == 1;
    for table in dbs.iter().flatten().map(|db| &db.tables[partial.slot as usize]) {
        table.each_named(partial.prefix, partial.bits, |candidate| {
            let at = arena.at(candidate);
            let policy = record::header(at).policy();
            let is_marked = policy.queue() == mark.queue && policy.chunk() == mark.chunk;
            if !is_marked || !table::has_name(hasher.hash(record::key(at)), partial.prefix, partial.bits) {
                return;
            }
            if seen.is_some() {
                if has_split {
                    doubtful.push(candidate);
                }
                return;
            }
            seen = Some(Seen {
                bytes: Entry { at, arena }.footprint(),
                f: policy.f(),
                p: policy.p(),
                handle: u64::from(candidate),
            });
        });
    }
    seen
}
