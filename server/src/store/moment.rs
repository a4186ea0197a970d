//! The present, as a batch of commands sees it.

use super::header::CLOCK_STEP_MS;
use super::policy::Eviction;

/// The time and the policy that hold while a batch of commands runs.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub ms: u64,
    /// The client whose commands they are; 0 for the node itself.
    pub by: u64,
    pub eviction: Eviction,
    pub lfu_log_factor: u32,
    pub lfu_decay_minutes: u32,
    /// Whether reads leave no trace in what eviction goes by: `CLIENT NO-TOUCH`.
    pub quiet: bool,
    /// What becomes of keys whose time has come.
    pub sight: Sight,
}

/// Who decides that a key whose time has come goes, or one that has to make room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// The node itself: what has expired is deleted where it is met.
    #[default]
    Own,
    /// The node's primary, for clients of a replica: what has expired cannot be seen, but stays.
    Replica,
    /// The primary, whose commands these are: what it has not deleted is there.
    Primary,
}

impl Moment {
    /// Milliseconds since 1970 up to which keys and fields have expired: none has for the commands of a primary.
    #[inline]
    pub fn due_ms(self) -> u64 {
        if self.sight == Sight::Primary { 0 } else { self.ms }
    }

    /// Whether the node deletes what expires and what has to make room.
    #[inline]
    pub fn decides(self) -> bool {
        self.sight == Sight::Own
    }

    pub fn clock(self) -> u16 {
        (self.ms / CLOCK_STEP_MS) as u16 & 0xFFF
    }
}
