//! A latency histogram: log-linear buckets, so that every value is kept to within 1 %, whatever its size.
//!
//! Recording is an index computation and an addition; histograms of several threads merge by adding their buckets.

/// Each power of two is cut into this many buckets. 128 of them make a bucket at most 1/128 (0.8 %) wide.
const BUCKETS_PER_DOUBLING: u64 = 1 << SUB_BITS;
const SUB_BITS: u32 = 7;

/// Values from 2^40 ns on (18 minutes) share the last bucket; [`Histogram::max`] is exact all the same.
const VALUE_BITS_MAX: u32 = 40;
const BUCKETS: usize = ((VALUE_BITS_MAX - SUB_BITS + 1) as usize) << SUB_BITS;

/// Counts of values in nanoseconds.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    sum: u128,
    max: u64,
}

impl Histogram {
    /// An empty histogram of 34 KiB.
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS].into_boxed_slice(), total: 0, sum: 0, max: 0 }
    }

    /// Counts `times` values of `nanos`: the replies of one read share their arrival time.
    pub fn record(&mut self, nanos: u64, times: u64) {
        if times == 0 {
            return;
        }
        self.counts[index_of(nanos)] += times;
        self.total += times;
        self.sum += u128::from(nanos) * u128::from(times);
        self.max = self.max.max(nanos);
    }

    /// Adds what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.sum += other.sum;
        self.max = self.max.max(other.max);
    }

    /// The value that a share of `quantile` (0 to 1) of all values does not exceed, at most 1 % too high; 0 if empty.
    pub fn quantile(&self, quantile: f64) -> u64 {
        let rank = ((self.total as f64 * quantile).ceil() as u64).clamp(1, self.total.max(1));
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return highest_in(index).min(self.max);
            }
        }
        self.max
    }

    /// The exact mean in nanoseconds; 0 if empty.
    pub fn mean(&self) -> f64 {
        if self.total == 0 { 0.0 } else { self.sum as f64 / self.total as f64 }
    }

    /// The exact largest value.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// How many values were counted.
    pub fn len(&self) -> u64 {
        self.total
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// Values below 128 have a bucket each; above, the seven bits after the leading one name the bucket.
fn index_of(nanos: u64) -> usize {
    if nanos < BUCKETS_PER_DOUBLING {
        return nanos as usize;
    }
    let shift = nanos.ilog2() - SUB_BITS;
    let index = (u64::from(shift) << SUB_BITS) + (nanos >> shift);
    (index as usize).min(BUCKETS - 1)
}

/// The largest value that falls into a bucket.
fn highest_in(index: usize) -> u64 {
    let index = index as u64;
    if index < BUCKETS_PER_DOUBLING {
        return index;
    }
    let shift = (index >> SUB_BITS) - 1;
    let leading = (index & (BUCKETS_PER_DOUBLING - 1)) | BUCKETS_PER_DOUBLING;
    ((leading + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_holds_its_own_highest_value_and_the_next_value_opens_the_next() {
        for index in 0..BUCKETS - 1 {
            assert_eq!(index_of(highest_in(index)), index);
            assert_eq!(index_of(highest_in(index) + 1), index + 1);
        }
    }

    #[test]
    fn a_value_is_known_to_within_one_percent() {
        let mut value = 1u64;
        while value < 1 << VALUE_BITS_MAX {
            let told = highest_in(index_of(value));
            assert!(told >= value && (told - value) as f64 <= value as f64 / 100.0, "{value} was told as {told}");
            value += value / 7 + 1;
        }
    }

    #[test]
    fn quantiles_of_an_even_spread_are_where_they_should_be() {
        let mut histogram = Histogram::new();
        for micros in 1..=1000u64 {
            histogram.record(micros * 1000, 1);
        }
        for (quantile, expected) in [(0.5, 500e3), (0.99, 990e3), (0.999, 999e3), (1.0, 1000e3)] {
            let got = histogram.quantile(quantile) as f64;
            assert!((got / expected - 1.0).abs() < 0.01, "{quantile}: {got}");
        }
        assert_eq!(histogram.mean(), 500_500.0);
        assert_eq!(histogram.max(), 1_000_000);
    }

    #[test]
    fn merging_is_the_same_as_recording_in_one() {
        let (mut left, mut right, mut both) = (Histogram::new(), Histogram::new(), Histogram::new());
        for value in 0..5000u64 {
            let side = if value % 3 == 0 { &mut left } else { &mut right };
            side.record(value * value, value);
            both.record(value * value, value);
        }
        left.merge(&right);
        assert_eq!(left.len(), both.len());
        assert_eq!(left.mean(), both.mean());
        for quantile in [0.01, 0.5, 0.9, 0.999, 1.0] {
            assert_eq!(left.quantile(quantile), both.quantile(quantile));
        }
    }

    #[test]
    fn values_beyond_the_last_bucket_keep_an_exact_maximum() {
        let mut histogram = Histogram::new();
        histogram.record(u64::MAX, 1);
        assert_eq!(histogram.max(), u64::MAX);
        assert!(histogram.quantile(1.0) >= (1 << VALUE_BITS_MAX) - 1);
    }

    #[test]
    fn an_empty_histogram_answers_zero() {
        assert_eq!(Histogram::new().quantile(0.99), 0);
        assert_eq!(Histogram::new().mean(), 0.0);
    }
}
