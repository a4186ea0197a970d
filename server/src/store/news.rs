//! What a stripe tells of changes to its keys, if anybody has asked.
//!
//! Who waits for a key, watches it or keeps a copy of it asks its stripe to take notes. The notes are handed to the node's
//! [`Listener`] before the stripe's lock is given back, so in the order of the changes, and no change is missed between
//! asking and hearing. Where nobody has asked, a change costs the look at one byte.

/// How a key changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It has a new value, or another expiry.
    Written,
    /// A command deleted it, or its last element.
    Removed,
    /// A command was to delete it, and it was not there. That changes nothing, but who is loading it has something that may be wrong.
    NotThere,
    /// A group of its stream was destroyed. That is no change of the key for those who watch or have read it.
    GroupGone,
    /// Its time has come.
    Expired,
    /// It had to make room.
    Evicted,
    /// It was declared wrong, by a tag or a prefix.
    Invalidated,
    /// It was declared wrong, and expired at that time, in milliseconds since 1970. What is there may be served stale.
    Outdated { at_ms: u64 },
    /// The time of some fields of a hash has come; the key goes with the last one.
    FieldsExpired { is_last: bool },
}

/// A change to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// The physical number of the database; see [`super::Store::logical`].
    pub db: usize,
    pub key: Box<[u8]>,
    pub how: How,
    /// The fields that expired, if the stripe heeds [`Heed::GONE`].
    pub fields: Vec<Box<[u8]>>,
}

/// Who is told of changes.
pub trait Listener: Send + Sync {
    /// Takes the news of a stripe, whose lock the caller holds; `by` is the client whose command it was, 0 if it was
    /// none's. The listener must not take the lock of any stripe.
    fn hear(&self, stripe: usize, by: u64, news: &mut Vec<News>);
}

/// Why a stripe takes notes, as bits.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Heed(u8);

impl Heed {
    /// Somebody wants to know of every key of the node.
    pub const ALL: Heed = Heed(1);
    /// Somebody wants to know of a key of this stripe.
    pub const SOME: Heed = Heed(2);

    /// Somebody wants to know what goes without a command that says so: by expiry and eviction.
    pub const GONE: Heed = Heed(4);

    pub fn is_any(self) -> bool {
        self.0 != 0
    }

    /// Whether somebody wants to know of changes that commands make.
    #[inline]
    pub fn has_changes(self) -> bool {
        self.0 & (Heed::ALL.0 | Heed::SOME.0) != 0
    }

    pub fn has(self, why: Heed) -> bool {
        self.0 & why.0 != 0
    }

    pub fn set(&mut self, why: Heed, on: bool) {
        self.0 = if on { self.0 | why.0 } else { self.0 & !why.0 };
    }
}
