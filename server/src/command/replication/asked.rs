//! What a connection says of itself before it asks to be sent the stream (`REPLCONF`), and the question itself (`PSYNC`).

use crate::persist::rdb::Version;

/// What a replica has said of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The port on which it can be reached, and the address if it is not the one it comes from.
    pub port: u16,
    pub host: String,
    /// Whether it finds the end of a snapshot whose length it is not told.
    pub knows_eof: bool,
    /// Whether it can be told of a new history when it goes on.
    pub knows_psync2: bool,
    /// The format of snapshots that it reads; that of Redis 7.0 if it does not say.
    pub reads_newest: bool,
    /// Whether it wants the snapshot alone.
    pub only_snapshot: bool,
    /// How it is known once it follows.
    pub number: Option<u64>,
}

impl Asked {
    /// The format of snapshots that it is sent.
    pub fn version(&self) -> Version {
        if self.reads_newest { Version::V11 } else { Version::V10 }
    }
}

/// The question of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To go on from a place in a history; `?` if it has none. Replicas count the byte they want next, from 1 on.
    /// One who `asks_to_lead` was the primary of the node that it asks, which leads from here on.
    Continue { id: String, next: i64, asks_to_lead: bool },
    /// For everything, in the manner of Redis 2.6: the answer is the snapshot.
    Everything,
}
