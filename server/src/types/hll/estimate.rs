//! The estimate that follows from how many registers have which count: Ertl's improved raw estimator, algorithm 6 of
//! his paper.

use super::{COUNT_BITS, REGISTERS};

/// Counts that a register can have, in six bits.
const COUNTS: usize = 64;

/// How many registers have each count.
pub(super) struct Histogram([u32; COUNTS]);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram([0; COUNTS])
    }
}

impl Histogram {
    /// Adds registers that have a count below 64.
    pub(super) fn add(&mut self, count: u8, registers: usize) {
        self.0[usize::from(count)] += registers as u32;
    }

    pub(super) fn add_all(&mut self, other: &Histogram) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own += other;
        }
    }
}

/// How many different elements there were.
pub(super) fn of(histogram: &Histogram) -> u64 {
    /// 0.5 / ln 2, the limit of the factor for many registers.
    const ALPHA: f64 = 0.721_347_520_444_481_7;
    let registers = REGISTERS as f64;
    let with = |count: u32| f64::from(histogram.0[count as usize]);
    let mut sum = registers * tau((registers - with(COUNT_BITS + 1)) / registers);
    for count in (1..=COUNT_BITS).rev() {
        sum = (sum + with(count)) * 0.5;
    }
    sum += registers * sigma(with(0) / registers);
    (ALPHA * registers * registers / sum).round() as u64
}

/// What the registers that are full stand for.
fn tau(share: f64) -> f64 {
    if share == 0.0 || share == 1.0 {
        return 0.0;
    }
    let (mut root, mut factor, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        root = root.sqrt();
        factor *= 0.5;
        let before = sum;
        sum -= (1.0 - root) * (1.0 - root) * factor;
        if sum == before {
            return sum / 3.0;
        }
    }
}

/// What the registers that are empty stand for; infinite if all are.
fn sigma(share: f64) -> f64 {
    if share == 1.0 {
        return f64::INFINITY;
    }
    let (mut square, mut factor, mut sum) = (share, 1.0, share);
    loop {
        square *= square;
        let before = sum;
        sum += square * factor;
        factor += factor;
        if sum == before {
            return sum;
        }
    }
}
