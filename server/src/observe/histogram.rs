//! How long commands take: counts in buckets that are fine enough to name a percentile within 7 %.
//!
//! Buckets grow with the time: eight to each power of two of nanoseconds. One writer, any number of readers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Buckets to each power of two.
const STEPS: usize = 1 << STEP_BITS;
const STEP_BITS: u32 = 3;

/// Powers of two that have buckets of their own: the last begins at 34 seconds. What takes longer counts there.
const POWERS: usize = 36;

const BUCKETS: usize = POWERS * STEPS;

/// Counts of one command on one worker.
pub struct Histogram(Box<[AtomicU64]>);

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Histogram {
    /// Counts calls that took so long each. Without a locked instruction: only one thread may call it.
    #[inline]
    pub fn add(&self, nanos: u64, calls: u64) {
        let count = &self.0[bucket_of(nanos)];
        count.store(count.load(Relaxed).wrapping_add(calls), Relaxed);
    }

    /// Forgets all calls.
    pub fn clear(&self) {
        self.0.iter().for_each(|count| count.store(0, Relaxed));
    }
}

/// The bucket of a time. Below [`STEPS`] nanoseconds there is a bucket for each.
#[inline]
fn bucket_of(nanos: u64) -> usize {
    if nanos < STEPS as u64 {
        return nanos as usize;
    }
    let power = nanos.ilog2() - STEP_BITS;
    let step = (nanos >> power) as usize;
    (power as usize * STEPS + step).min(BUCKETS - 1)
}

/// The longest time, in nanoseconds, that counts in a bucket.
fn end_of(bucket: usize) -> u64 {
    if bucket < 2 * STEPS {
        return bucket as u64;
    }
    let power = bucket / STEPS - 1;
    let step = bucket % STEPS + STEPS;
    ((step as u64 + 1) << power) - 1
}

/// Counts of one command, of all workers together.
#[derive(Clone, Debug)]
pub struct Distribution {
    counts: Vec<u64>,
    calls: u64,
}

impl Default for Distribution {
    fn default() -> Distribution {
        Distribution { counts: vec![0; BUCKETS], calls: 0 }
    }
}

impl Distribution {
    pub fn add(&mut self, histogram: &Histogram) {
        for (sum, count) in self.counts.iter_mut().zip(&histogram.0) {
            let count = count.load(Relaxed);
            *sum += count;
            self.calls += count;
        }
    }

    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// The time, in microseconds, within which so many percent of the calls were done.
    pub fn percentile_micros(&self, percent: f64) -> f64 {
        let wanted = ((percent / 100.0 * self.calls as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        let bucket = self.counts.iter().position(reached).unwrap_or(0);
        end_of(bucket) as f64 / 1000.0
    }

    /// Microseconds by powers of two, each with the calls that took no longer: from the first power that some call
    /// kept within, and those where the count grows, to the one that all calls kept within.
    pub fn cumulative(&self) -> Vec<(u64, u64)> {
        let mut powers = Vec::new();
        let (mut seen, mut bucket) = (0, 0);
        for exponent in 0.. {
            let before = seen;
            let limit_ns = 1024u64 << exponent;
            while bucket < BUCKETS && end_of(bucket) < limit_ns {
                seen += self.counts[bucket];
                bucket += 1;
            }
            if seen > before {
                // Redis shows the end of its histogram's bucket, which is up to one part in 128 wide: 33, not 32.
                powers.push(((limit_ns + limit_ns / 128) / 1000, seen));
            }
            if seen >= self.calls {
                return powers;
            }
        }
        powers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_narrow_and_leave_no_gap() {
        let mut last = 0;
        for nanos in 1..100_000u64 {
            let bucket = bucket_of(nanos);
            assert!(bucket == last || bucket == last + 1, "{nanos}");
            assert!(nanos <= end_of(bucket), "{nanos}");
            assert!(bucket == 0 || end_of(bucket - 1) < nanos, "{nanos}");
            assert!(end_of(bucket) as f64 <= nanos as f64 * 1.125, "{nanos}");
            last = bucket;
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_come_from_all_workers() {
        let (one, other) = (Histogram::default(), Histogram::default());
        one.add(1_000, 90);
        other.add(1_000_000, 10);
        let mut both = Distribution::default();
        both.add(&one);
        both.add(&other);
        assert_eq!(both.calls(), 100);
        assert!((0.9..1.15).contains(&both.percentile_micros(50.0)));
        assert!((900.0..1130.0).contains(&both.percentile_micros(99.0)));
        assert_eq!(both.cumulative(), [(1, 90), (1056, 100)]);
        one.clear();
        let mut rest = Distribution::default();
        rest.add(&one);
        assert_eq!((rest.calls(), rest.cumulative().len()), (0, 0));
    }
}
