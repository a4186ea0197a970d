//! Servers that follow each other.

use crate::node::Node;
use crate::wait::wait_long;
use std::env;
use std::net::SocketAddr;
use std::time::Duration;

/// How long servers may take until they agree: a loaded machine moves much data slowly.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// What servers that replicate are started with: nobody waits for more replicas, and what was missed can be had again.
pub const FLAGS: &[(&str, &str)] =
    &[("--repl-diskless-sync-delay", "0"), ("--repl-backlog-size", "134217728"), ("--repl-ping-replica-period", "1")];

/// Which server to start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Make {
    /// The one under test, which is Larder unless `LARDER_TEST_SERVER` says otherwise.
    Tested,
    /// The `redis-server` that the machine has.
    Redis,
}

impl Make {
    /// Those that a variable names, such as `redis,larder,larder,redis`, or else `usual`.
    ///
    /// # Panics
    ///
    /// If it names others.
    pub fn list(variable: &str, usual: &str) -> Vec<Self> {
        let named = env::var(variable).ok().filter(|text| !text.is_empty());
        let make = |name| match name {
            "redis" => Self::Redis,
            "larder" => Self::Tested,
            other => panic!("{variable} names '{other}'; there are redis and larder"),
        };
        named.as_deref().unwrap_or(usual).split(',').map(make).collect()
    }

    /// Starts one with [`FLAGS`] and more; `None`, and a note, if the machine does not have it.
    pub fn start(self, flags: &[(&str, &str)]) -> Option<Node> {
        let flags = [FLAGS, flags].concat();
        match self {
            Self::Tested => Some(Node::start_with(&flags)),
            Self::Redis => Node::reference(&flags),
        }
    }
}

/// Has a server follow another, whose address may be a [`crate::Link`]'s.
#[track_caller]
pub fn follow(replica: &mut Node, primary: SocketAddr) {
    replica.check(&format!("REPLICAOF {} {}", primary.ip(), primary.port()), "OK");
}

/// Waits until a server's link to its primary stands.
#[track_caller]
pub fn wait_for_link(replica: &mut Node) {
    wait_long(PATIENCE, "the replica has its primary's data", || {
        let status = replica.info("master_link_status").unwrap_or_default();
        (status == "up", format!("its link is {status}"))
    });
}

/// Waits until replicas have all that the primary has written so far. Nobody may write to it meanwhile.
#[track_caller]
pub fn wait_for_agreement(primary: &mut Node, replicas: &mut [&mut Node]) {
    let wanted = primary.info_number("master_repl_offset");
    let history = primary.info("master_replid").unwrap_or_default();
    for (at, replica) in replicas.iter_mut().enumerate() {
        wait_long(PATIENCE, &format!("replica {at} has offset {wanted} of {history}"), || {
            let mut field = |name| replica.info(name).unwrap_or_default();
            let (status, id, offset) =
                (field("master_link_status"), field("master_replid"), field("master_repl_offset"));
            let is_there = status == "up" && id == history && offset.parse().is_ok_and(|offset: i64| offset >= wanted);
            (is_there, format!("it is {status}, at {offset} of {id}"))
        });
    }
}
