//! Random numbers and the seeds that repeat them.

pub use crate::types::testing::Random;

/// The seeds of a test: so many that no run had before, or the one that `LARDER_TEST_SEED` tells. Each is printed, so that a
/// failure can be had again.
pub fn seeds(count: u64) -> Vec<u64> {
    let told = std::env::var("LARDER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64);
    let mut random = Random::new(now);
    told.map_or_else(|| (0..count).map(|_| random.next() % 1_000_000_007).collect(), |seed| vec![seed])
}

pub fn say(seed: u64) -> Random {
    eprintln!("to have this run again: LARDER_TEST_SEED={seed}");
    Random::new(seed)
}
