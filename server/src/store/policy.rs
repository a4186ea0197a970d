//! The eviction policies by name, and the bits that the sampling ones keep in a record's header.

use super::header::Policy;
use super::stripe::Moment;

/// Who goes when memory is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Eviction {
    /// Nobody: writes that need room are refused.
    NoEviction = 0,
    /// The least value per byte: see [`super::evict`].
    AllkeysLarder = 1,
    AllkeysLru = 2,
    AllkeysLfu = 3,
    AllkeysRandom = 4,
    VolatileLru = 5,
    VolatileLfu = 6,
    VolatileRandom = 7,
    VolatileTtl = 8,
}

/// What the policy's bits in a header mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Uses, hits and the place in a queue.
    Larder,
    /// The time of the last access.
    Lru,
    /// A counter and the minute it was last decayed.
    Lfu,
}

impl Eviction {
    pub const ALL: [Eviction; 9] = [
        Eviction::NoEviction,
        Eviction::AllkeysLarder,
        Eviction::AllkeysLru,
        Eviction::AllkeysLfu,
        Eviction::AllkeysRandom,
        Eviction::VolatileLru,
        Eviction::VolatileLfu,
        Eviction::VolatileRandom,
        Eviction::VolatileTtl,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Eviction::NoEviction => "noeviction",
            Eviction::AllkeysLarder => "allkeys-larder",
            Eviction::AllkeysLru => "allkeys-lru",
            Eviction::AllkeysLfu => "allkeys-lfu",
            Eviction::AllkeysRandom => "allkeys-random",
            Eviction::VolatileLru => "volatile-lru",
            Eviction::VolatileLfu => "volatile-lfu",
            Eviction::VolatileRandom => "volatile-random",
            Eviction::VolatileTtl => "volatile-ttl",
        }
    }

    /// The policy of a name.
    pub fn named(name: &str) -> Option<Eviction> {
        Eviction::ALL.into_iter().find(|policy| policy.name() == name)
    }

    pub fn family(self) -> Family {
        match self {
            Eviction::AllkeysLarder => Family::Larder,
            Eviction::AllkeysLfu | Eviction::VolatileLfu => Family::Lfu,
            _ => Family::Lru,
        }
    }

    /// Whether only keys with an expiry may go.
    pub fn volatile_only(self) -> bool {
        matches!(self, Eviction::VolatileLru | Eviction::VolatileLfu | Eviction::VolatileRandom | Eviction::VolatileTtl)
    }
}

/// The time of the last access, in tenths of a second, modulo nine days.
pub mod lru {
    use super::Policy;

    const STEP_MS: u64 = 100;
    const MASK: u32 = (1 << 23) - 1;

    pub fn now(ms: u64) -> Policy {
        Policy((ms / STEP_MS) as u32 & MASK)
    }

    /// As noted so long ago, or half the clock's turn ago if it was longer.
    pub fn idle_for(idle_ms: u64, ms: u64) -> Policy {
        now(ms.saturating_sub(idle_ms.min(STEP_MS << 22)))
    }

    /// Milliseconds since the noted access.
    pub fn idle_ms(policy: Policy, ms: u64) -> u64 {
        u64::from(now(ms).0.wrapping_sub(policy.0) & MASK) * STEP_MS
    }
}

/// Morris's approximate counter with decay, as Redis's LFU keeps it: 8 bits of counter, 15 bits of minutes.
pub mod lfu {
    use super::{Moment, Policy};
    use std::cell::Cell;

    /// Where a new key starts, so that it is not the first to go.
    const INITIAL: u8 = 5;
    const MINUTES_MASK: u64 = 0x7FFF;

    fn pack(counter: u8, ms: u64) -> Policy {
        Policy(u32::from(counter) | (((ms / 60_000) & MINUTES_MASK) as u32) << 8)
    }

    pub fn fresh(moment: Moment) -> Policy {
        pack(INITIAL, moment.ms)
    }

    /// A counter that was given from outside.
    pub fn of(counter: u8, moment: Moment) -> Policy {
        pack(counter, moment.ms)
    }

    /// The counter after what has decayed since it was noted.
    pub fn decayed(policy: Policy, moment: Moment) -> (u8, Policy) {
        let counter = policy.0 as u8;
        let then = u64::from(policy.0 >> 8);
        let elapsed = (moment.ms / 60_000).wrapping_sub(then) & MINUTES_MASK;
        let periods = match moment.lfu_decay_minutes {
            0 => 0,
            minutes => elapsed / u64::from(minutes),
        };
        let counter = counter.saturating_sub(periods.min(255) as u8);
        (counter, pack(counter, moment.ms))
    }

    /// The counter after one access more: it rises with a probability that falls with its height.
    pub fn hit(policy: Policy, moment: Moment) -> Policy {
        let (counter, _) = decayed(policy, moment);
        let base = f64::from(counter.saturating_sub(INITIAL));
        let chance = 1.0 / (base * f64::from(moment.lfu_log_factor) + 1.0);
        let draw = (random() >> 11) as f64 / (1u64 << 53) as f64;
        pack(if draw < chance { counter.saturating_add(1) } else { counter }, moment.ms)
    }

    /// xorshift64*, one per thread: drawing lots needs no secrecy.
    pub fn random() -> u64 {
        thread_local!(static STATE: Cell<u64> = const { Cell::new(0x9E37_79B9_7F4A_7C15) });
        STATE.with(|state| {
            let mut x = state.get();
            x ^= x >> 12;
            x ^= x << 25;
            x ^= x >> 27;
            state.set(x);
            x.wrapping_mul(0x2545_F491_4F6C_DD1D)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Sight;

    fn moment(ms: u64) -> Moment {
        Moment {
            ms,
            by: 0,
            eviction: Eviction::AllkeysLfu,
            lfu_log_factor: 10,
            lfu_decay_minutes: 1,
            quiet: false,
            sight: Sight::Own,
        }
    }

    #[test]
    fn names_lead_to_policies_and_back() {
        for policy in Eviction::ALL {
            assert_eq!(Eviction::named(policy.name()), Some(policy));
        }
        assert_eq!(Eviction::named("lru"), None);
    }

    #[test]
    fn idle_time_survives_the_turn_of_the_clock() {
        let then = (1u64 << 23) * 100 - 500;
        assert_eq!(lru::idle_ms(lru::now(then), then + 3_000), 3_000);
    }

    #[test]
    fn the_counter_rises_slowly_and_decays_by_the_minute() {
        let start = 1_700_000_000_000;
        let mut policy = lfu::fresh(moment(start));
        for _ in 0..10_000 {
            policy = lfu::hit(policy, moment(start));
        }
        let (high, _) = lfu::decayed(policy, moment(start));
        assert!((20..120).contains(&high), "{high}");
        assert_eq!(lfu::decayed(policy, moment(start + 3 * 60_000)).0, high - 3);
    }
}
