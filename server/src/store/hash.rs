//! Where a key lives: its slot, and the 64-bit hash that finds it inside its slot.

use crate::base::hash::Seeded;
use larder_client::slot;

/// How many slots a stripe has. Neighbouring slots share one lock and one arena.
pub const SLOTS_PER_STRIPE: usize = 64;

/// How many stripes a node has.
pub const STRIPES: usize = slot::SLOTS as usize / SLOTS_PER_STRIPE;

/// The place of a key: which slot serves it and the hash that finds it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// 0 to 16 383.
    pub slot: u16,
    /// Differs from process to process.
    pub hash: u64,
}

impl Place {
    /// The stripe that holds the slot, 0 to 255.
    pub fn stripe(self) -> usize {
        self.slot as usize / SLOTS_PER_STRIPE
    }

    /// The number of the slot inside its stripe, 0 to 63.
    pub fn local(self) -> usize {
        self.slot as usize % SLOTS_PER_STRIPE
    }
}

/// Hashes keys with a seed that differs from process to process, so that nobody can choose keys that collide.
#[derive(Clone)]
pub struct KeyHasher(Seeded);

impl KeyHasher {
    /// A hasher with a seed that outsiders cannot know.
    pub fn random() -> KeyHasher {
        KeyHasher(Seeded::random())
    }

    /// A hasher that gives the same hashes in each run, for tests and benchmarks.
    pub fn seeded(seed: u64) -> KeyHasher {
        KeyHasher(Seeded::with(seed))
    }

    /// The hash of a key.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.0.hash(key)
    }

    /// The slot and the hash of a key.
    #[inline]
    pub fn place(&self, key: &[u8]) -> Place {
        Place { slot: slot::of(key).number(), hash: self.hash(key) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stripe_is_a_run_of_64_slots() {
        let place = Place { slot: 12182, hash: 0 };
        assert_eq!((place.stripe(), place.local()), (190, 22));
        assert_eq!(STRIPES, 256);
    }

    #[test]
    fn hashes_differ_between_seeds_and_agree_within_one() {
        let (a, b) = (KeyHasher::seeded(1), KeyHasher::seeded(2));
        assert_ne!(a.hash(b"key"), b.hash(b"key"));
        assert_eq!(a.place(b"key"), a.clone().place(b"key"));
    }
}
