//! What a connection says of itself before it asks to be sent the stream (`REPLCONF`), and the question itself (`PSYNC`).

use crate::base::number::parse_i64;
use crate::cluster::id::Id;
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
    /// Whether it is a Larder, which reads the newest form of snapshots.
    pub is_larder: bool,
    /// Whether it is a Valkey of version 9 or later.
    pub is_valkey_9: bool,
    /// Whether it wants the snapshot alone.
    pub only_snapshot: bool,
    /// Its id in the cluster of this node, and when what it holds began, as the topology has it.
    pub node: Option<Id>,
    pub memory: u64,
    /// How it is known once it follows.
    pub number: Option<u64>,
}

impl Asked {
    /// The format of snapshots that it is sent; that of Redis 7.0 if it does not say what it is.
    pub fn version(&self) -> Version {
        match self {
            Asked { is_larder: true, .. } => Version::V11,
            Asked { is_valkey_9: true, .. } => Version::Valkey,
            _ => Version::V10,
        }
    }

    /// Notes the version that it tells, which only a Valkey does.
    pub fn note_version(&mut self, version: &[u8]) {
        let major = version.split(|&byte| byte == b'.').next().and_then(parse_i64);
        self.is_valkey_9 = major.is_some_and(|major| major >= 9);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_what_it_is_is_sent_what_it_reads() {
        let told = |version: &str| {
            let mut asked = Asked::default();
            asked.note_version(version.as_bytes());
            asked.version()
        };
        assert_eq!(["9.0.0", "9.1.2", "10.0.0"].map(told), [Version::Valkey; 3]);
        assert_eq!(
            ["8.1.9", "255.255", "", "x.9"].map(told),
            [Version::V10, Version::Valkey, Version::V10, Version::V10]
        );
        // A Larder says both.
        let asked = Asked { is_larder: true, is_valkey_9: true, ..Asked::default() };
        assert_eq!(asked.version(), Version::V11);
    }
}
