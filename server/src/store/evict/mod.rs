//! Which record goes when memory is full: `allkeys-larder`, GDSF over FIFO queues.
//!
//! A record is worth `H = L + w(f) / size`: `f` counts its uses, `size` is its footprint in bytes, and `L` is the
//! age of the stripe when the record was queued. The record with the lowest `H` goes and `L` rises to that `H`, so
//! whatever is no longer used sinks in time, and a byte is kept where it answers most requests. This is GDSF
//! (Cherkasova, 1998) as CAMP runs it (Ghandeharizadeh et al., Middleware'14), a few queues instead of one ordered
//! tree, and with S3-FIFO's ghost (Yang et al., SOSP'23):
//!
//! * [`queues`]: the FIFO queues of a stripe. A hit touches none of them: it adds one to the record's `p`, and the
//!   hits are counted when the record reaches the tail of its queue ([`Seen::fate`]).
//! * [`ghost`]: what was evicted lately, so that a record that comes back resumes its `f`.
//! * [`duel`]: what a single use is worth, `w(1)`, found by running two small shadow caches.
//!
//! The caller keeps three things in a record's header: [`Mark`] (15 bits), `f` and `p` (4 bits each).
//!
//! * A new record: `f` from [`uses`] and [`ghost::Ghost::recall`], `p = 0`, and the mark that [`queues::Queues::push`]
//!   returns. An overwritten record keeps all three as long as [`queue_of`] its new footprint is its mark's queue;
//!   otherwise it is removed and pushed.
//! * A hit: `p = min(15, p + 1)`.
//! * A record that is deleted, expires or moves to another stripe: [`queues::Queues::removed`].
//! * After each of these but a hit: [`queues::Queues::sweep`].
//! * Over the limit: [`queues::Queues::lowest`], and what its [`Fate`] says, until there is room.
//!
//! The limit is the node's, and the stripe to evict from is the one with the lowest [`queues::Queues::age`] of the
//! one written to and two others drawn at random (one is nearly as good). With 300 records a stripe this costs
//! nothing against a single stripe, where eviction from the stripe written to costs five points of hit ratio. A
//! stripe that was empty must first [`queues::Queues::catch_up`].

mod chunk;
pub mod duel;
pub mod ghost;
mod lane;
pub mod queues;
mod shadow;

#[cfg(test)]
mod replay;

/// The highest `f` and `p`: four bits each.
pub const USES_MAX: u8 = 15;

/// Names a record inside its stripe by hash, not by place, so that the record may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Name {
    /// Which of the stripe's 64 slots.
    pub slot: u8,
    /// The top 32 bits of the key's hash. The top bits choose the line in the slot's table.
    pub hash: u32,
    /// Whether the table is so large that [`Partial::NARROW`] bits of hash do not name a line.
    pub wide: bool,
}

/// What an entry of a queue knows of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Partial {
    /// Which of the stripe's 64 slots.
    pub slot: u8,
    /// The top `bits` bits of the key's hash.
    pub prefix: u32,
    /// [`Partial::NARROW`] or [`Partial::WIDE`].
    pub bits: u8,
}

impl Partial {
    /// Bits of hash in an entry of two bytes: enough for a table of 512 lines.
    pub const NARROW: u8 = 9;
    /// Bits of hash in an entry of four bytes.
    pub const WIDE: u8 = 24;
}

impl From<Name> for Partial {
    fn from(name: Name) -> Partial {
        let bits = if name.wide { Partial::WIDE } else { Partial::NARROW };
        Partial { slot: name.slot, prefix: name.hash >> (32 - bits), bits }
    }
}

/// Where a record is queued; it stands in the record's header.
///
/// An entry whose mark differs from that of the record it names is stale: the record it meant was deleted, or has been
/// queued anew. Two records may share a [`Partial`] and a mark; then either entry may stand for either record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The queue's id, below [`queues::QUEUES_MAX`].
    pub queue: u8,
    /// The low 8 bits of the number of the chunk that holds the entry.
    pub chunk: u8,
}

/// A record as the caller found it for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its footprint.
    pub bytes: u32,
    /// Uses that count already, 1 to [`USES_MAX`].
    pub f: u8,
    /// Hits since it was queued, up to [`USES_MAX`].
    pub p: u8,
    /// Whatever lets the caller act on the record at once; this room hands it back unread.
    pub handle: u64,
}

/// What becomes of a record that [`queues::Queues::lowest`] took out of its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was hit while it stood in the queue: set its `f` to this and its `p` to 0, and push it.
    Requeue {
        /// The uses that now count.
        f: u8,
    },
    /// Nobody asked for it: drop it, remember it in the ghost and report [`queues::Queues::evicted`].
    Evict,
}

impl Seen {
    /// Every return to a queue is paid for by a hit, so the loop that makes room ends.
    pub fn fate(&self) -> Fate {
        match self.p {
            0 => Fate::Evict,
            p => Fate::Requeue { f: self.f.saturating_add(p).min(USES_MAX) },
        }
    }
}

/// The `f` of a new record, given what the ghost remembers of its key.
pub fn uses(remembered: Option<u8>) -> u8 {
    remembered.map_or(1, |f| f.saturating_add(1).min(USES_MAX))
}

/// The id of the queue for a record of this footprint and `f`: one per power of two and level of `f` (1, 2, 3-4,
/// 5-8, 9+).
pub fn queue_of(bytes: u32, f: u8) -> u8 {
    let bits = 32 - bytes.leading_zeros();
    let class = bits.saturating_sub(queues::SMALLEST_BITS).min(queues::CLASSES - 1);
    let level = match f {
        0..=1 => 0,
        2 => 1,
        3..=4 => 2,
        5..=8 => 3,
        _ => 4,
    };
    class as u8 * queues::LEVELS + level
}

/// What `f` uses count for; `first` is what a single one does.
fn weight(f: u8, first: f32) -> f64 {
    if f < 2 { f64::from(first) } else { f64::from(f) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(f: u8, p: u8) -> Seen {
        Seen { bytes: 100, f, p, handle: 0 }
    }

    #[test]
    fn a_record_that_was_hit_is_queued_again_with_its_hits_counted() {
        assert_eq!(seen(1, 0).fate(), Fate::Evict);
        assert_eq!(seen(15, 0).fate(), Fate::Evict);
        assert_eq!(seen(1, 1).fate(), Fate::Requeue { f: 2 });
        assert_eq!(seen(9, 9).fate(), Fate::Requeue { f: 15 });
        assert_eq!(seen(255, 255).fate(), Fate::Requeue { f: 15 });
    }

    #[test]
    fn a_key_that_comes_back_counts_one_use_more_than_the_ghost_remembers() {
        assert_eq!(uses(None), 1);
        assert_eq!(uses(Some(1)), 2);
        assert_eq!(uses(Some(15)), 15);
    }

    #[test]
    fn queues_part_at_powers_of_two_and_at_levels_of_use() {
        assert_eq!(queue_of(0, 1), 0);
        assert_eq!(queue_of(15, 1), 0);
        assert_eq!(queue_of(16, 1), 5);
        assert_eq!(queue_of(31, 1), 5);
        assert_eq!(queue_of(32, 1), 10);
        assert_eq!([0, 1, 2, 3, 4, 5, 8, 9, 15].map(|f| queue_of(0, f)), [0, 0, 1, 2, 2, 3, 3, 4, 4]);
        assert!(usize::from(queue_of(u32::MAX, 15)) < queues::QUEUES_MAX);
    }

    #[test]
    fn a_partial_name_keeps_the_top_bits() {
        let name = Name { slot: 63, hash: 0xabcd_ef01, wide: false };
        assert_eq!(Partial::from(name), Partial { slot: 63, prefix: 0xabcd_ef01 >> 23, bits: 9 });
        assert_eq!(Partial::from(Name { wide: true, ..name }), Partial { slot: 63, prefix: 0xabcdef, bits: 24 });
    }
}
