//! What the store keeps beside a value's expiry, in sixteen bits: for how long after it the value may be served stale, and how long it
//! took to load.
//!
//! Both are rough and never too long: 32 steps to an octave for the time, 4 for the cost.

/// Steps to an octave, as powers of two.
const GRACE_STEPS: u32 = 5;
const COST_STEPS: u32 = 2;

const COST_BITS: u32 = 6;
const COST_MASK: u64 = (1 << COST_BITS) - 1;

/// In place of a cost: it is a negative entry, and it has expired and is kept.
const NEGATIVE: u64 = COST_MASK;
const HIDDEN: u64 = COST_MASK - 1;
const COST_MAX: u64 = COST_MASK - 2;
const GRACE_MAX: u64 = (1 << (16 - COST_BITS)) - 1;

/// The sixteen bits. None are set for a value without a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep(pub u16);

impl Keep {
    /// For a value that may be served stale for so many milliseconds and took so many to load; 0 where that is not known.
    pub fn new(grace_ms: u64, cost_ms: u64) -> Keep {
        let grace = code(grace_ms, GRACE_STEPS).min(GRACE_MAX);
        let cost = code(cost_ms, COST_STEPS).min(COST_MAX);
        Keep((grace << COST_BITS | cost) as u16)
    }

    /// Milliseconds after its expiry for which the value may be served stale.
    pub fn grace_ms(self) -> u64 {
        value(u64::from(self.0) >> COST_BITS, GRACE_STEPS)
    }

    /// Milliseconds that it took to load the value.
    pub fn cost_ms(self) -> u64 {
        if self.is_aside() { 0 } else { value(u64::from(self.0) & COST_MASK, COST_STEPS) }
    }

    /// For what says that there is nothing. It is never served stale.
    pub fn negative() -> Keep {
        Keep(NEGATIVE as u16)
    }

    pub fn is_negative(self) -> bool {
        u64::from(self.0) & COST_MASK == NEGATIVE
    }

    /// The same for a value that has expired: from then on nobody asks what it took to load.
    pub fn hidden(self) -> Keep {
        Keep(self.0 & !(COST_MASK as u16) | HIDDEN as u16)
    }

    /// Whether it is of a value that has expired and is kept.
    pub fn is_hidden(self) -> bool {
        u64::from(self.0) & COST_MASK == HIDDEN
    }

    /// Whether it is of what is no key to whoever counts keys.
    #[inline]
    pub fn is_aside(self) -> bool {
        u64::from(self.0) & COST_MASK >= HIDDEN
    }
}

/// The number of the highest step that is not above a number: 0 for 0, then as a float has them, with `steps` bits behind the first.
fn code(number: u64, steps: u32) -> u64 {
    let whole = 1 << steps;
    if number < whole {
        return number;
    }
    let octave = u64::from(number.ilog2() - steps);
    // The first bit of what is left is set, and stands for the octave's own step.
    whole + octave * whole + ((number >> octave) - whole)
}

/// The number of a step.
fn value(code: u64, steps: u32) -> u64 {
    let whole = 1 << steps;
    if code < whole {
        return code;
    }
    let (octave, rest) = ((code - whole) / whole, (code - whole) % whole);
    (whole + rest) << octave
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_nearly_and_never_too_long() {
        for millis in (0..2000).chain([30_000, 59_999, 600_000, 86_400_000, 2_592_000_000]) {
            let keep = Keep::new(millis, millis);
            let grace = keep.grace_ms();
            assert!(grace <= millis && millis - grace <= millis / 32, "{millis} is kept as {grace}");
            let cost = keep.cost_ms();
            assert!(cost <= millis && (millis - cost <= millis / 4 || millis > 40_000), "{millis} costs {cost}");
        }
        assert_eq!(Keep::new(0, 0), Keep::default());
        // A year, and what has no end.
        let year = 366 * 86_400_000;
        assert!(Keep::new(year, 0).grace_ms() > year / 33 * 32);
        let most = Keep::new(u64::MAX, u64::MAX);
        assert!(most.grace_ms() > year && most.cost_ms() > 40_000 && !most.is_aside());
        assert!(
            most.hidden().is_aside() && !most.hidden().is_negative() && most.hidden().grace_ms() == most.grace_ms()
        );
        assert!(Keep::negative().is_aside() && Keep::negative().is_negative() && Keep::negative().grace_ms() == 0);
    }
}
