//! What is asked of a server: the operation, the keys, the values.

use crate::{
    error::Error,
    keys::{Choice, ZIPF_KEYS_MAX},
    reply::Protocol,
};

/// The command, or mix of commands, that is sent over and over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    Get,
    Set,
    /// SET with this probability (0 to 1), GET otherwise.
    Mix {
        set_share: f64,
    },
    Incr,
    /// One command that sets this many keys.
    Mset {
        keys: usize,
    },
    /// One command that reads this many keys.
    Mget {
        keys: usize,
    },
    /// A new value at the head of a list.
    Lpush,
    /// This many values from the head of a list.
    Lrange {
        elements: usize,
    },
    Sadd,
    /// A value for a field of a hash.
    Hset,
    /// A member of a sorted set, with a random score.
    Zadd {
        score: Score,
    },
    /// This many members of a sorted set, from the lowest score.
    Zrange {
        elements: usize,
    },
    /// An entry of one field for a stream, which, if trimmed, forgets what is older than the last hundred or so.
    Xadd {
        trimmed: bool,
    },
    /// A transaction of this many commands: SET and GET of one key after another, in turn.
    Exec {
        commands: usize,
    },
}

/// What scores look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Score {
    /// Ten digits, as times in seconds have.
    Whole,
    /// Nine digits behind the point.
    Fraction,
}

impl Operation {
    /// Whether its keys are collections, so that a key and a member are drawn together.
    pub fn is_on_collection(self) -> bool {
        !matches!(self.filling(), Self::Set | Self::Incr)
    }

    /// The operation that stores what this one works on, once for each key or for each member.
    pub fn filling(self) -> Self {
        match self {
            Self::Incr => Self::Incr,
            Self::Lpush | Self::Lrange { .. } => Self::Lpush,
            Self::Zrange { .. } => Self::Zadd { score: Score::Whole },
            Self::Sadd | Self::Hset | Self::Zadd { .. } | Self::Xadd { .. } => self,
            Self::Get | Self::Set | Self::Mix { .. } | Self::Mset { .. } | Self::Mget { .. } | Self::Exec { .. } => {
                Self::Set
            }
        }
    }

    /// The first byte of its keys: an operation on the wrong type would be an error.
    fn prefix(self) -> u8 {
        match self.filling() {
            Self::Incr => b'c',
            Self::Lpush => b'l',
            Self::Sadd => b's',
            Self::Hset => b'h',
            Self::Zadd { .. } => b'z',
            Self::Xadd { .. } => b'x',
            _ => b'k',
        }
    }
}

/// Everything that determines the bytes of the requests, but for the seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    pub protocol: Protocol,
    pub operation: Operation,
    /// The first byte of every key; the rest is the zero-padded decimal number of the key.
    pub prefix: u8,
    /// Bytes of a key, prefix included.
    pub key_length: usize,
    /// Keys in the key space, at least 1.
    pub key_count: u64,
    /// Members there are to choose from in each collection, at least 1. Other operations have no use for it.
    pub members: u64,
    pub choice: Choice,
    pub value_length: usize,
    /// Seconds to live given to each SET.
    pub ttl: Option<u32>,
}

/// Bytes of a member or a field: a letter and its padded number.
pub const MEMBER_LENGTH: usize = 10;

/// As many as the digits of a member can tell apart.
const MEMBERS_MAX: u64 = 1_000_000_000;
/// memcached refuses longer keys.
const MEMCACHE_KEY_MAX: usize = 250;
/// A bound for both lengths, so that a slip of the keyboard does not take the machine's memory.
const LENGTH_MAX: usize = 512 << 20;
/// The most keys of one command: Redis takes 1,048,576 arguments, two of them for each key of MSET.
const KEYS_PER_COMMAND_MAX: usize = 500_000;

impl Workload {
    /// 64-byte values under a million keys of 16 bytes, chosen evenly, over RESP.
    pub fn standard(operation: Operation) -> Self {
        Self {
            protocol: Protocol::Resp,
            operation,
            prefix: operation.prefix(),
            key_length: 16,
            key_count: 1_000_000,
            members: 100,
            choice: Choice::Uniform,
            value_length: 64,
            ttl: None,
        }
    }

    /// How many numbers keys are drawn from. A collection's key and member are one number, the key its remainder.
    pub fn draws(&self) -> u64 {
        if self.operation.is_on_collection() { self.key_count.saturating_mul(self.members) } else { self.key_count }
    }

    /// Replies to one request: a transaction has one for each of its commands, for MULTI and for EXEC.
    pub fn replies_per_request(&self) -> u64 {
        if let Operation::Exec { commands } = self.operation { commands as u64 + 2 } else { 1 }
    }

    /// How many keys one read command names.
    pub fn keys_per_read(&self) -> usize {
        if let Operation::Mget { keys } = self.operation { keys } else { 1 }
    }

    /// Whether the parts fit together.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] with what was asked and what is allowed.
    pub fn check(&self) -> Result<(), Error> {
        self.check_keys()?;
        self.check_operation()
    }

    fn check_keys(&self) -> Result<(), Error> {
        if self.key_count == 0 {
            return refuse("the key space (--keys) is empty; give at least 1".into());
        }
        let needed = 1 + (self.key_count - 1).max(1).ilog10() as usize + 1;
        if self.key_length < needed {
            let Self { key_length, key_count, .. } = self;
            return refuse(format!(
                "{key_count} different keys need {needed} bytes each (one letter and the number); --key-length is {key_length}"
            ));
        }
        if self.protocol == Protocol::Memcache && self.key_length > MEMCACHE_KEY_MAX {
            return refuse(format!(
                "memcached takes keys of at most {MEMCACHE_KEY_MAX} bytes; --key-length is {}",
                self.key_length
            ));
        }
        if self.key_length > LENGTH_MAX || self.value_length > LENGTH_MAX {
            return refuse(format!("--key-length and --value-length can be at most {LENGTH_MAX}"));
        }
        match self.choice {
            Choice::Zipf { theta } if !theta.is_finite() || theta <= 0.0 => {
                refuse(format!("--zipf is {theta}; it has to be above 0, 0.99 is usual"))
            }
            Choice::Zipf { .. } if self.draws() > ZIPF_KEYS_MAX => refuse(format!(
                "Zipf keys are drawn from at most {ZIPF_KEYS_MAX} keys or members; there are {}",
                self.draws()
            )),
            _ => Ok(()),
        }
    }

    fn check_operation(&self) -> Result<(), Error> {
        match self.operation {
            Operation::Mset { .. } if self.protocol == Protocol::Memcache => {
                refuse("memcached has no command that sets many keys; use set with --pipeline".into())
            }
            Operation::Exec { .. } if self.protocol == Protocol::Memcache => {
                refuse("memcached has no transactions".into())
            }
            operation if self.protocol == Protocol::Memcache && operation.is_on_collection() => {
                refuse("memcached knows no lists, sets, hashes, sorted sets or streams".into())
            }
            operation if operation.is_on_collection() && !(1..=MEMBERS_MAX).contains(&self.members) => {
                refuse(format!("--members is {}; allowed are 1 to {MEMBERS_MAX}", self.members))
            }
            Operation::Mset { keys: count }
            | Operation::Mget { keys: count }
            | Operation::Lrange { elements: count }
            | Operation::Zrange { elements: count }
            | Operation::Exec { commands: count }
                if !(1..=KEYS_PER_COMMAND_MAX).contains(&count) =>
            {
                refuse(format!("--per-command is {count}; allowed are 1 to {KEYS_PER_COMMAND_MAX}"))
            }
            Operation::Mix { set_share } if !(0.0..=1.0).contains(&set_share) => {
                refuse(format!("--set-share is {set_share}; allowed are 0 to 1"))
            }
            _ => Ok(()),
        }
    }
}

fn refuse(text: String) -> Result<(), Error> {
    Err(Error::Usage(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_too_short_for_their_numbers_are_refused() {
        let mut workload = Workload::standard(Operation::Get);
        for (count, length, fits) in
            [(1, 2, true), (10, 2, true), (11, 2, false), (1_000_000, 7, true), (1_000_001, 7, false)]
        {
            (workload.key_count, workload.key_length) = (count, length);
            assert_eq!(workload.check().is_ok(), fits, "{count} keys in {length} bytes");
        }
    }

    #[test]
    fn what_the_protocol_lacks_is_refused() {
        let mset = Workload { protocol: Protocol::Memcache, ..Workload::standard(Operation::Mset { keys: 10 }) };
        assert!(mset.check().is_err());
        let long = Workload { protocol: Protocol::Memcache, key_length: 251, ..Workload::standard(Operation::Get) };
        assert!(long.check().is_err());
    }

    #[test]
    fn figures_out_of_range_are_refused() {
        for operation in [Operation::Mget { keys: 0 }, Operation::Mix { set_share: 1.5 }] {
            assert!(Workload::standard(operation).check().is_err());
        }
        let choice = Choice::Zipf { theta: 0.0 };
        assert!(Workload { choice, ..Workload::standard(Operation::Get) }.check().is_err());
    }
}
