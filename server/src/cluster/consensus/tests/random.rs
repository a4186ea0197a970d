//! Random numbers that a seed repeats.

/// SplitMix64.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Whether something happens that happens once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }
}

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
