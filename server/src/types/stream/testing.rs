//! What the tests of streams share: random numbers that a seed repeats.

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(super) struct Random(u64);

impl Random {
    /// So many seeds, each printed when it is taken; the one that stands last in a failing test's output has failed.
    ///
    /// `STREAM_SEED` in the environment asks for one seed alone.
    pub(super) fn seeds(count: u64) -> impl Iterator<Item = u64> {
        let wanted = std::env::var("STREAM_SEED").ok().and_then(|seed| seed.parse().ok());
        let seeds = match wanted {
            Some(seed) => seed..seed + 1,
            None => 1..count + 1,
        };
        seeds.inspect(|seed| println!("STREAM_SEED={seed}"))
    }

    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// True once in `odds` times.
    pub(super) fn once_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }
}
