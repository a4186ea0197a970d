//! The time stamp counter of x86-64.

use std::arch::x86_64::{__cpuid, _rdtsc};

/// Whether it counts at one rate whatever the core does, and goes on while it sleeps: the bit `InvariantTsc`.
pub fn is_steady() -> bool {
    const POWER_MANAGEMENT: u32 = 0x8000_0007;
    __cpuid(0x8000_0000).eax >= POWER_MANAGEMENT && __cpuid(POWER_MANAGEMENT).edx >> 8 & 1 == 1
}

#[inline]
pub fn count() -> u64 {
    // SAFETY: every x86-64 CPU has the counter; systems that forbid reading it are not known to run this.
    unsafe { _rdtsc() }
}
