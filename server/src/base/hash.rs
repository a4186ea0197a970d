//! The keyed hash of byte strings behind every table that clients fill: keys of the store, members of large collections.

use foldhash::SharedSeed;
use foldhash::fast::FoldHasher;
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Hashes byte strings with secret keys, so that nobody outside can choose strings that collide.
///
/// Both of foldhash's seeds are secret. With its fixed shared seed, which is printed in its source, all 16-byte strings
/// that end in one of those constants would have the same hash, whatever the seed of the hasher.
#[derive(Clone)]
pub struct Seeded {
    seed: u64,
    shared: SharedSeed,
}

impl Seeded {
    /// Keys that outsiders cannot know.
    pub fn random() -> Seeded {
        Seeded { seed: random_seed(), shared: SharedSeed::from_u64(random_seed()) }
    }

    /// The same hashes in each run, for tests and benchmarks.
    pub fn with(seed: u64) -> Seeded {
        Seeded { seed, shared: SharedSeed::from_u64(!seed) }
    }

    /// The hash of a string.
    #[inline]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = self.build_hasher();
        hasher.write(bytes);
        hasher.finish()
    }

    fn build_hasher(&self) -> FoldHasher<'_> {
        FoldHasher::with_seed(self.seed, &self.shared)
    }
}

fn random_seed() -> u64 {
    // The standard library's own random keys are the one source of randomness that needs no crate.
    let mut seed = std::hash::RandomState::new().build_hasher();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    seed.write_u128(now.as_nanos());
    seed.finish()
}

// Tests print the seeds of their inputs, and must come to the same tables again.
static OF_PROCESS: LazyLock<Seeded> = LazyLock::new(|| if cfg!(test) { Seeded::with(1) } else { Seeded::random() });

/// The hash of a string under this process's own keys, which are drawn when it is first asked for.
///
/// It never changes while the process lives, so a collection can be moved, copied and scanned in the order of it.
#[inline]
pub fn of(bytes: &[u8]) -> u64 {
    OF_PROCESS.hash(bytes)
}

/// The same keys for the standard library's maps: `HashMap<K, V, OfProcess>`.
#[derive(Clone, Copy, Debug, Default)]
pub struct OfProcess;

impl BuildHasher for OfProcess {
    type Hasher = FoldHasher<'static>;

    #[inline]
    fn build_hasher(&self) -> FoldHasher<'static> {
        OF_PROCESS.build_hasher()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_differ_between_seeds_and_agree_within_one() {
        let (a, b) = (Seeded::with(1), Seeded::with(2));
        assert_ne!(a.hash(b"key"), b.hash(b"key"));
        assert_eq!(a.hash(b"key"), Seeded::with(1).hash(b"key"));
        assert_ne!(Seeded::random().hash(b"key"), Seeded::random().hash(b"key"));
        assert_eq!(of(b"key"), of(b"key"));
    }

    #[test]
    fn strings_made_of_the_fixed_seed_do_not_collide() {
        // The second word of foldhash's fixed shared seed: a product with zero, for whoever uses it.
        const FIXED: u64 = 0x3f84_d5b5_b547_0917;
        let text = |start: u64| [start.to_le_bytes(), FIXED.to_le_bytes()].concat();
        let fixed = foldhash::fast::FixedState::with_seed(7);
        let fixed = |start| {
            let mut hasher = fixed.build_hasher();
            hasher.write(&text(start));
            hasher.finish()
        };
        assert_eq!(fixed(1), fixed(2));
        let keyed = Seeded::with(1);
        assert_ne!(keyed.hash(&text(1)), keyed.hash(&text(2)));
    }
}
