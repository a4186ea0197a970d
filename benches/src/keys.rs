//! Which key a request names: evenly at random, by Zipf's law, or each in turn.

use crate::random::Random;

/// How keys are chosen from the key space.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Choice {
    /// Every key is as likely as any other.
    Uniform,
    /// The key of rank r is chosen with a probability proportional to 1 / r^theta.
    Zipf {
        /// The skew, above 0: 0.99 is what YCSB uses, larger is more skewed.
        theta: f64,
    },
    /// 0, 1, 2, ... and from the start again.
    InTurn,
}

/// An endless sequence of key numbers below a bound.
pub struct Keys {
    count: u64,
    source: Source,
}

enum Source {
    Uniform(Random),
    Drawn { sample: Vec<u32>, at: usize },
    InTurn { next: u64 },
}

/// Zipf keys are drawn ahead of time, because a draw costs two logarithms and the generator must not be the bottleneck.
/// Four million draws hold the tail well, and reading them in order costs about a nanosecond each.
const SAMPLE: usize = 1 << 22;

/// The largest key space that [`Choice::Zipf`] can draw from, as the sample holds 32-bit numbers.
pub const ZIPF_KEYS_MAX: u64 = 1 << 32;

impl Keys {
    /// Numbers below `count` (at least 1; at most [`ZIPF_KEYS_MAX`] for Zipf), the same for the same `seed`.
    pub fn new(count: u64, choice: Choice, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let source = match choice {
            Choice::Uniform => Source::Uniform(random),
            Choice::Zipf { theta } => Source::Drawn { sample: draw(count, theta, &mut random), at: 0 },
            Choice::InTurn => Source::InTurn { next: 0 },
        };
        Self { count, source }
    }

    /// The number of the next key.
    pub fn next(&mut self) -> u64 {
        match &mut self.source {
            Source::Uniform(random) => random.below(self.count),
            Source::Drawn { sample, at } => {
                let key = sample[*at];
                *at = (*at + 1) % SAMPLE;
                u64::from(key)
            }
            Source::InTurn { next } => {
                let key = *next;
                *next = if key + 1 == self.count { 0 } else { key + 1 };
                key
            }
        }
    }
}

fn draw(count: u64, theta: f64, random: &mut Random) -> Vec<u32> {
    let zipf = Zipf::new(count, theta);
    (0..SAMPLE).map(|_| (zipf.rank(random) - 1) as u32).collect()
}

/// Zipf's distribution by rejection-inversion (Hörmann and Derflinger, "Rejection-inversion to generate variates from
/// monotone discrete distributions", 1996): exact for any skew above 0, constant time, no table of the key space.
///
/// The density 1 / x^theta is inverted over \[0.5, n + 0.5\]; the draw is rounded to a rank and accepted if it falls under
/// that rank's bar. Fewer than one draw in ten is rejected.
struct Zipf {
    count: f64,
    theta: f64,
    area_of_first: f64,
    area_of_all: f64,
    always_accept: f64,
}

impl Zipf {
    fn new(count: u64, theta: f64) -> Self {
        let count = count as f64;
        let mut zipf = Self { count, theta, area_of_first: 0.0, area_of_all: 0.0, always_accept: 0.0 };
        zipf.area_of_first = zipf.area(1.5) - 1.0;
        zipf.area_of_all = zipf.area(count + 0.5);
        zipf.always_accept = 2.0 - zipf.area_inverse(zipf.area(2.5) - zipf.density(2.0));
        zipf
    }

    /// A rank from 1 to the count.
    fn rank(&self, random: &mut Random) -> u64 {
        loop {
            let area = self.area_of_all + random.unit() * (self.area_of_first - self.area_of_all);
            let x = self.area_inverse(area);
            let rank = x.round().clamp(1.0, self.count);
            if rank - x <= self.always_accept || area >= self.area(rank + 0.5) - self.density(rank) {
                return rank as u64;
            }
        }
    }

    fn density(&self, x: f64) -> f64 {
        (-self.theta * x.ln()).exp()
    }

    /// The integral of the density from 1 to `x`, (x^(1 - theta) - 1) / (1 - theta), in a form that holds at theta = 1.
    fn area(&self, x: f64) -> f64 {
        let log = x.ln();
        expm1_over((1.0 - self.theta) * log) * log
    }

    fn area_inverse(&self, area: f64) -> f64 {
        // Rounding may take the argument of the logarithm just below its limit of -1.
        let t = (area * (1.0 - self.theta)).max(-1.0);
        (ln1p_over(t) * area).exp()
    }
}

/// (e^x - 1) / x, and its limit near 0.
fn expm1_over(x: f64) -> f64 {
    if x.abs() > 1e-8 { x.exp_m1() / x } else { 1.0 + x / 2.0 }
}

/// ln(1 + x) / x, and its limit near 0.
fn ln1p_over(x: f64) -> f64 {
    if x.abs() > 1e-8 { x.ln_1p() / x } else { 1.0 - x / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frequencies(count: u64, theta: f64, draws: u32) -> Vec<f64> {
        let zipf = Zipf::new(count, theta);
        let mut random = Random::new(42);
        let mut seen = vec![0.0; count as usize];
        for _ in 0..draws {
            seen[zipf.rank(&mut random) as usize - 1] += 1.0 / f64::from(draws);
        }
        seen
    }

    #[test]
    fn zipf_ranks_are_as_frequent_as_the_law_says() {
        for theta in [0.5, 0.99, 1.0, 1.3] {
            let seen = frequencies(1000, theta, 1_000_000);
            let whole: f64 = (1..=1000).map(|rank| f64::from(rank).powf(-theta)).sum();
            for rank in [1usize, 2, 3, 10, 100] {
                let expected = (rank as f64).powf(-theta) / whole;
                let error = (seen[rank - 1] / expected - 1.0).abs();
                // Five standard deviations of a binomial count.
                assert!(error < 5.0 / (expected * 1e6).sqrt(), "theta {theta}, rank {rank}: {error}");
            }
            let tail: f64 = seen[500..].iter().sum();
            let expected: f64 = (501..=1000).map(|rank| f64::from(rank).powf(-theta)).sum::<f64>() / whole;
            assert!((tail / expected - 1.0).abs() < 0.02, "theta {theta}, second half: {tail} for {expected}");
        }
    }

    #[test]
    fn zipf_over_one_key_always_names_it() {
        let mut keys = Keys::new(1, Choice::Zipf { theta: 0.99 }, 3);
        assert!((0..100).all(|_| keys.next() == 0));
    }

    #[test]
    fn zipf_keys_come_from_the_key_space() {
        let mut keys = Keys::new(50, Choice::Zipf { theta: 0.99 }, 3);
        assert!((0..10_000).map(|_| keys.next()).all(|key| key < 50));
    }

    #[test]
    fn keys_in_turn_visit_each_once_and_start_again() {
        let mut keys = Keys::new(3, Choice::InTurn, 0);
        assert_eq!((0..7).map(|_| keys.next()).collect::<Vec<_>>(), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn the_same_seed_gives_the_same_keys() {
        let draw = |seed| {
            let mut keys = Keys::new(1 << 30, Choice::Uniform, seed);
            (0..10).map(|_| keys.next()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
