//! Servers that follow each other, of which each may be Larder, Redis or Valkey.
//!
//! `LARDER_TEST_CHAIN` says which stands where, from the first primary to the last replica: `redis,larder,larder,redis`
//! without it. `larder` is the server under test, so that `LARDER_TEST_SERVER` counts for it; `redis` is the `redis-server`
//! that the machine has; `valkey` is the `valkey-server` that `LARDER_TEST_VALKEY` names, or that the machine has. Tests of fewer servers are run for all neighbours that differ, so that one run has Larder follow
//! Redis, Larder follow Larder, and Redis follow Larder.

use crate::digest::check_alike;
use crate::link::Link;
use crate::node::Node;
use crate::process::is_other_server;
use crate::wait::{wait_long, wait_until};
use std::env;
use std::net::SocketAddr;
use std::time::Duration;

/// What stands where if nobody says otherwise.
const CHAIN: &str = "redis,larder,larder,redis";

/// How long servers may take until they hold the same.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which server stands at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Make {
    /// The server under test.
    Larder,
    /// The machine's `redis-server`.
    Redis,
    /// The `valkey-server` that is named, or the machine's.
    Valkey,
}

impl Make {
    /// Starts one that saves nothing and does not wait for more replicas before it sends them its data; `None`, and a note,
    /// if there is none.
    pub fn start(self, flags: &[(&str, &str)]) -> Option<Node> {
        let hurried: Vec<_> = [("--repl-diskless-sync-delay", "0")].iter().chain(flags).copied().collect();
        match self {
            // It never waits.
            Self::Larder if !is_other_server() => Some(Node::start_with(flags)),
            Self::Larder => Some(Node::start_with(&hurried)),
            Self::Redis => Node::reference(&hurried),
            Self::Valkey => Node::valkey(&hurried),
        }
    }
}

/// What stands where.
///
/// # Panics
///
/// If `LARDER_TEST_CHAIN` names something else.
pub fn makes() -> Vec<Make> {
    let chain = env::var("LARDER_TEST_CHAIN").unwrap_or_else(|_| CHAIN.to_owned());
    let make = |name: &str| match name.trim() {
        "larder" => Make::Larder,
        "redis" => Make::Redis,
        "valkey" => Make::Valkey,
        other => {
            panic!("LARDER_TEST_CHAIN has '{other}'; it is a list of 'larder', 'redis' and 'valkey', such as {CHAIN}")
        }
    };
    chain.split(',').map(make).collect()
}

/// Runs a test for a primary and its replica, once for each two neighbours in the chain.
pub fn for_pairs(test: impl FnMut([Make; 2])) {
    for_neighbours(test);
}

/// Runs a test for so many servers, once for each row of neighbours in the chain that differs from the rows before.
pub fn for_neighbours<const N: usize>(mut test: impl FnMut([Make; N])) {
    let chain = makes();
    let mut rows: Vec<[Make; N]> = Vec::new();
    for row in chain.windows(N) {
        let row: [Make; N] = row.try_into().expect("a window has its width");
        if !rows.contains(&row) {
            rows.push(row);
        }
    }
    assert!(!rows.is_empty(), "LARDER_TEST_CHAIN is shorter than the {N} servers of this test");
    for row in rows {
        eprintln!("from the first primary to the last replica: {row:?}");
        test(row);
    }
}

/// A primary, its replica, and what is between them.
#[derive(Debug)]
pub struct Pair {
    pub primary: Node,
    pub replica: Node,
    pub link: Link,
}

impl Pair {
    /// Starts two servers, the second a replica of the first, and waits until it gets what the first writes.
    pub fn start([primary, replica]: [Make; 2], flags: &[(&str, &str)]) -> Option<Self> {
        let primary = primary.start(flags)?;
        let mut replica = replica.start(flags)?;
        let link = Link::to(primary.address());
        follow(&mut replica, link.address());
        let mut pair = Self { primary, replica, link };
        pair.settle();
        // A Redis holds writes back for a moment longer: until it has seen to the end of its child that saved.
        wait_until("the replica is online", || {
            pair.primary.info("slave0").is_some_and(|line| line.contains("state=online"))
        });
        Some(pair)
    }

    /// Waits until the replica has all of the primary's writes.
    #[track_caller]
    pub fn settle(&mut self) {
        settle(&mut [&mut self.primary, &mut self.replica]);
    }

    /// Like [`Pair::settle`], and expects both to hold the same then.
    #[track_caller]
    pub fn settle_alike(&mut self) -> usize {
        self.settle();
        check_alike(&[&self.primary, &self.replica])
    }
}

/// Makes a server follow the one at this address.
#[track_caller]
pub fn follow(replica: &mut Node, primary: SocketAddr) {
    replica.check(&format!("REPLICAOF {} {}", primary.ip(), primary.port()), "OK");
}

/// What `--replicaof` needs to follow the server at this address from the start.
pub fn following(primary: SocketAddr) -> String {
    format!("{} {}", primary.ip(), primary.port())
}

/// Waits until all that follow the first server, directly or through each other, are linked and have all its writes, which
/// must not go on meanwhile.
#[track_caller]
pub fn settle(nodes: &mut [&mut Node]) {
    settle_within(PATIENCE, nodes);
}

/// Like [`settle`], with another patience than a minute.
#[track_caller]
pub fn settle_within(patience: Duration, nodes: &mut [&mut Node]) {
    wait_long(patience, "all replicas have what the primary has", || {
        let (primary, replicas) = nodes.split_first_mut().expect("there is a primary");
        let before = Standing::of(primary);
        let standings: Vec<_> = replicas.iter_mut().map(|replica| Standing::of(replica)).collect();
        // A primary sends pings, which count as well.
        let is_steady = Standing::of(primary) == before;
        let is_met = standings.iter().all(|one| one.is_up && one.id == before.id && one.offset == before.offset);
        (is_met && is_steady, format!("the primary is at {before:?}, its replicas at {standings:?}"))
    });
}

/// How far a server is.
#[derive(PartialEq, Eq, Debug)]
struct Standing {
    is_up: bool,
    id: String,
    offset: i64,
}

impl Standing {
    #[track_caller]
    fn of(node: &mut Node) -> Self {
        // In one piece, since the id and the offset have to be of one moment.
        let info = node.call("INFO replication");
        let info = String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned();
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = |name| field(name).and_then(|text| text.parse().ok());
        Self {
            is_up: field("role") == Some("master") || field("master_link_status") == Some("up"),
            id: field("master_replid").unwrap_or_default().to_owned(),
            // What a replica has applied; it may have heard of more.
            offset: number("slave_repl_offset").or_else(|| number("master_repl_offset")).unwrap_or(-1),
        }
    }
}

/// Resyncs that a primary has granted since it was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resyncs {
    pub full: i64,
    pub partial: i64,
    /// Wishes for a partial one that were answered by a full one.
    pub refused: i64,
}

impl Resyncs {
    #[track_caller]
    pub fn of(primary: &mut Node) -> Self {
        Self {
            full: primary.info_number("sync_full"),
            partial: primary.info_number("sync_partial_ok"),
            refused: primary.info_number("sync_partial_err"),
        }
    }
}
