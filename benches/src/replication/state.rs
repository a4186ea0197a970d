//! What `INFO replication` tells of a primary and of a replica.

use std::io;

use crate::{ask::ask, compare::Running};

/// A primary that should have one replica.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Primary {
    pub is_replica_online: bool,
    /// Bytes that were written to the stream of changes.
    pub offset: u64,
}

impl Primary {
    /// Asks a primary.
    ///
    /// # Errors
    ///
    /// As [`ask`].
    pub fn of(server: &Running) -> io::Result<Primary> {
        ask(server.address(), "INFO replication").map(|info| Primary::read(&info))
    }

    fn read(info: &str) -> Primary {
        let replica = field(info, "slave0").unwrap_or_default();
        Primary {
            is_replica_online: replica.split(',').any(|part| part == "state=online"),
            offset: number(info, "master_repl_offset"),
        }
    }
}

/// A server that should be a replica.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Replica {
    /// Whether it has what its primary had and gets what comes.
    pub is_up: bool,
    /// Bytes of the stream of changes that it has taken.
    pub offset: u64,
}

impl Replica {
    /// Asks a replica.
    ///
    /// # Errors
    ///
    /// As [`ask`].
    pub fn of(server: &Running) -> io::Result<Replica> {
        ask(server.address(), "INFO replication").map(|info| Replica::read(&info))
    }

    fn read(info: &str) -> Replica {
        Replica { is_up: field(info, "master_link_status") == Some("up"), offset: number(info, "slave_repl_offset") }
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}

/// A number, or 0 where there is none yet.
fn number(info: &str, name: &str) -> u64 {
    field(info, name).and_then(|text| text.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_primary_tells_of_its_replica() {
        let info = "# Replication\r\nrole:master\r\nconnected_slaves:1\r\n\
                    slave0:ip=127.0.0.1,port=7001,state=online,offset=28,lag=0\r\nmaster_repl_offset:42\r\n";
        assert_eq!(Primary::read(info), Primary { is_replica_online: true, offset: 42 });
        let waiting = info.replace("online", "wait_bgsave");
        assert_eq!(Primary::read(&waiting), Primary { is_replica_online: false, offset: 42 });
        assert_eq!(Primary::read("role:master\r\n"), Primary { is_replica_online: false, offset: 0 });
    }

    #[test]
    fn a_replica_tells_how_far_it_is() {
        let info = "role:slave\r\nmaster_link_status:up\r\nslave_read_repl_offset:50\r\nslave_repl_offset:42\r\n";
        assert_eq!(Replica::read(info), Replica { is_up: true, offset: 42 });
        let down = "role:slave\r\nmaster_link_status:down\r\nmaster_sync_in_progress:1\r\nslave_repl_offset:-1\r\n";
        assert_eq!(Replica::read(down), Replica { is_up: false, offset: 0 });
    }
}
