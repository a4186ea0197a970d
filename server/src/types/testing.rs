//! What the tests of this room share: random numbers from a seed, and texts of all the kinds that are kept differently.

/// Random numbers that a seed repeats (SplitMix64).
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

/// A text: a small integer, a large one, a short word that comes often, or now and then something long.
pub fn text(random: &mut Random) -> Vec<u8> {
    match random.below(20) {
        0..6 => (random.below(300) as i64 - 100).to_string().into_bytes(),
        6..8 => ((random.next() as i64) >> random.below(64)).to_string().into_bytes(),
        8..17 => format!("word{}", random.below(200)).into_bytes(),
        17 => Vec::new(),
        18 => vec![b'a' + random.below(4) as u8; random.below(300)],
        _ => vec![b'a' + random.below(4) as u8; random.below(5000)],
    }
}
