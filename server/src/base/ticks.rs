//! How long commands take, on a clock that is cheap to read.
//!
//! A reading is a count of the CPU where that counts at a steady rate, and nanoseconds of the system's clock elsewhere.
//! Asking the system costs 25 ns, which is a tenth of what a command of a pipeline takes; the CPU's count costs 8.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

#[cfg(target_arch = "x86_64")]
use super::ticks_x86_64 as cpu;

/// CPUs without a file of their own are not asked.
#[cfg(not(target_arch = "x86_64"))]
mod cpu {
    pub fn is_steady() -> bool {
        false
    }

    pub fn count() -> u64 {
        0
    }
}

/// A moment; only the time between two of them means something.
#[derive(Clone, Copy, Debug)]
pub struct Ticks(u64);

/// Where counting began, on both clocks.
struct Origin {
    steady: bool,
    instant: Instant,
    count: u64,
}

static ORIGIN: OnceLock<Origin> = OnceLock::new();

/// Nanoseconds of a tick in units of 2^-32; 0 before they are known.
static SCALE: AtomicU64 = AtomicU64::new(0);

fn origin() -> &'static Origin {
    ORIGIN.get_or_init(|| Origin { steady: cpu::is_steady(), instant: Instant::now(), count: cpu::count() })
}

/// Measures the CPU's rate against the system's clock. The longer the process runs the better it is known, so this is
/// called now and then.
pub fn calibrate() {
    let origin = origin();
    let (nanos, ticks) = (origin.instant.elapsed().as_nanos(), cpu::count().wrapping_sub(origin.count));
    let scale = if origin.steady && ticks > 0 { (nanos << 32) / u128::from(ticks) } else { 1 << 32 };
    SCALE.store(u64::try_from(scale).unwrap_or(u64::MAX).max(1), Relaxed);
}

impl Ticks {
    #[inline]
    pub fn now() -> Ticks {
        let origin = origin();
        Ticks(if origin.steady { cpu::count() } else { origin.instant.elapsed().as_nanos() as u64 })
    }

    /// Nanoseconds since an earlier moment; 0 if it is not earlier.
    #[inline]
    pub fn nanos_since(self, earlier: Ticks) -> u64 {
        let mut scale = SCALE.load(Relaxed);
        if scale == 0 {
            calibrate();
            scale = SCALE.load(Relaxed);
        }
        let ticks = self.0.saturating_sub(earlier.0);
        ((u128::from(ticks) * u128::from(scale)) >> 32) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_agrees_with_the_system_s_clock() {
        let (ticks, instant) = (Ticks::now(), Instant::now());
        while instant.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let (nanos, exact) = (Ticks::now().nanos_since(ticks), instant.elapsed().as_nanos() as u64);
        // Another thread may have the CPU between the two readings.
        assert!(nanos.abs_diff(exact) < exact / 4, "{nanos} ns, the system says {exact} ns");
        calibrate();
        assert_eq!(ticks.nanos_since(Ticks::now()), 0);
    }
}
