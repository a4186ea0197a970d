//! What a node has heard of the others lately. The topology does not say who is alive; whoever listens to the others feeds
//! this, and commands show it.

use crate::cluster::id::Id;
use std::collections::BTreeMap;

/// Of every node that something is known of. Of others, all is well.
pub type Everyone = BTreeMap<Id, Heard>;

/// What was heard of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub health: Health,
    /// The offset of its stream; 0 if that is unknown.
    pub offset: u64,
    /// Milliseconds since 1970; 0 if it was never heard.
    pub heard_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    Online,
    /// It is being brought up to date, so that clients need not be sent to it yet.
    Loading,
    /// It has been silent for a while.
    Suspected,
    /// It is taken for dead.
    Failed,
}

impl Health {
    /// Whether it can be talked to.
    pub fn is_up(self) -> bool {
        matches!(self, Health::Online | Health::Loading)
    }
}
