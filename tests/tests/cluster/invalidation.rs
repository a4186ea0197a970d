//! What is declared wrong by a tag is read on no node once that is answered, while slots move and a primary dies.

use crate::alone;
use crate::load::Ending;
use crate::moves::wait_until_even;
use larder_client::connection::Connection;
use larder_client::resp::Reply;
use larder_tests::cluster::{Cluster, PATIENCE};
use larder_tests::random::{Random, seed};
use larder_tests::wait_long;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

const TAGS: usize = 8;
const KEYS: usize = 240;

/// A database: each of its rows has a version, and many keys are made of one row.
#[derive(Default)]
struct Origin {
    rows: [AtomicU64; TAGS],
    /// The version from which on each row's keys may be read, as everything older was declared wrong.
    floor: [AtomicU64; TAGS],
}

/// What was seen.
#[derive(Default, Debug)]
struct Tally {
    /// Of those who read replicas, and of those who load.
    hits: [AtomicU64; 2],
    fills: AtomicU64,
    refused: AtomicU64,
    invalidations: AtomicU64,
    again: AtomicU64,
    /// Each with the key, what was read, and what was the least that is right.
    stale: Mutex<Vec<(String, u64, u64)>>,
}

fn number(reply: &Reply) -> Option<u64> {
    std::str::from_utf8(reply.as_bytes()?).ok()?.parse().ok()
}

/// A field of the map that `CACHE.GET` answers.
fn field<'a>(reply: &'a Reply, name: &str) -> Option<&'a Reply> {
    let mut pairs = reply.as_slice()?.chunks_exact(2);
    pairs.find(|pair| pair[0].as_bytes() == Some(name.as_bytes())).map(|pair| &pair[1])
}

/// A connection that is made anew where it breaks: a node closes it if a write was on its way to one that died.
struct Link {
    address: SocketAddr,
    is_reader: bool,
    connection: Option<Connection>,
}

impl Link {
    fn new(address: SocketAddr, is_reader: bool) -> Link {
        Link { address, is_reader, connection: None }
    }

    /// The reply to a command, if there is one.
    fn call(&mut self, command: &str) -> Option<Reply> {
        if self.connection.is_none() {
            let mut connection = Connection::open(self.address).ok()?;
            if self.is_reader {
                connection.call(&["READONLY"]).ok()?;
            }
            self.connection = Some(connection);
        }
        let reply = self.connection.as_mut()?.call(&command.split(' ').collect::<Vec<_>>()).ok();
        if reply.is_none() {
            self.connection = None;
        }
        reply
    }
}

struct Stage<'a> {
    origin: &'a Origin,
    tally: &'a Tally,
    is_over: &'a AtomicBool,
}

impl Stage<'_> {
    /// Reads keys at any node. `loads` says whether what is missing is loaded, or the node's own copies are read, if it is a replica.
    fn read(&self, mut links: Vec<Link>, mut random: Random, loads: bool) {
        while !self.is_over.load(SeqCst) {
            let number_of_key = random.below(KEYS);
            let (row, key) = (number_of_key % TAGS, format!("page:{number_of_key}"));
            let at = random.below(links.len());
            let floor = self.origin.floor[row].load(SeqCst);
            let (version, token) = if loads {
                let Some(reply) = links[at].call(&format!("CACHE.GET {key}")) else { continue };
                let token = field(&reply, "token").and_then(Reply::as_int).unwrap_or(0);
                (field(&reply, "value").and_then(number), token)
            } else {
                // It sends nobody.
                let Some(reply) = links[at].call(&format!("MGET {key}")) else { continue };
                (reply.as_slice().and_then(|values| number(&values[0])), 0)
            };
            if let Some(version) = version {
                self.tally.hits[usize::from(loads)].fetch_add(1, SeqCst);
                if version < floor {
                    self.tally.stale.lock().expect("nobody panics who holds it").push((key, version, floor));
                }
            } else if token > 0 {
                self.load(&mut links[at], &key, token, row);
            }
        }
    }

    /// Loads a key for a lease.
    fn load(&self, link: &mut Link, key: &str, token: i64, row: usize) {
        let version = self.origin.rows[row].load(SeqCst);
        let filled = link.call(&format!("CACHE.FILL {key} {token} {version} EX 100 TAGS 1 row:{row}"));
        let count = if filled.is_none_or(|reply| reply.is_error()) { &self.tally.refused } else { &self.tally.fills };
        count.fetch_add(1, SeqCst);
    }

    /// Changes rows, and declares wrong what was made of them.
    fn change(&self, mut links: Vec<Link>, mut random: Random) {
        while !self.is_over.load(SeqCst) {
            let row = random.below(TAGS);
            let version = self.origin.rows[row].fetch_add(1, SeqCst) + 1;
            let at = random.below(links.len());
            // Whoever is refused says it again.
            while links[at].call(&format!("CACHE.INVALIDATE row:{row}")).and_then(|reply| reply.as_int()).is_none() {
                self.tally.again.fetch_add(1, SeqCst);
                if self.is_over.load(SeqCst) {
                    return;
                }
            }
            self.origin.floor[row].fetch_max(version, SeqCst);
            self.tally.invalidations.fetch_add(1, SeqCst);
        }
    }
}

#[test]
fn nothing_stale_is_read_anywhere_once_a_tag_is_invalidated() {
    let _alone = alone();
    let mut cluster = Cluster::start(6, &[("--cluster-replicas", "1"), ("--routing", "auto")]);
    wait_until_even(&cluster, 3);
    cluster.client(0).check("CACHE.RULE SET page: lease on lease-time 1s back-off 10ms", "OK");
    cluster.wait_until("all have the rule", |cluster| {
        (0..6).all(|node| cluster.client(node).text("CACHE.RULE LIST") != "[]")
    });
    let (origin, tally, is_over) = (Origin::default(), Tally::default(), AtomicBool::new(false));
    let stage = &Stage { origin: &origin, tally: &tally, is_over: &is_over };
    let seed = seed();
    let victim = cluster.primary_of("page:0");
    let asked: Vec<usize> = (0..6).filter(|node| *node != victim).collect();
    let links = |is_reader: bool| -> Vec<Link> {
        asked.iter().map(|node| Link::new(cluster.address(*node), is_reader)).collect()
    };
    let readers: Vec<_> = (0..4).map(|number| links(number % 2 == 0)).collect();
    let changers: Vec<_> = (0..2).map(|_| links(false)).collect();
    let count = |of: &AtomicU64| of.load(SeqCst);
    thread::scope(|scope| {
        let _ending = Ending(&is_over);
        for (number, links) in readers.into_iter().enumerate() {
            scope.spawn(move || stage.read(links, Random::new(seed + number as u64), number % 2 == 1));
        }
        for (number, links) in changers.into_iter().enumerate() {
            scope.spawn(move || stage.change(links, Random::new(seed + 100 + number as u64)));
        }
        let wait_for_more = |what: &str| {
            let (invalidations, fills) = (count(&tally.invalidations), count(&tally.fills));
            wait_long(PATIENCE, what, || {
                let is_more = count(&tally.invalidations) > invalidations + 300 && count(&tally.fills) > fills + 1000;
                (is_more, format!("{tally:?}"))
            });
            eprintln!("{what}: {tally:?}");
        };
        wait_for_more("with all at rest");
        for _ in 0..2 {
            let node = cluster.add();
            cluster.run(node);
        }
        wait_until_even(&cluster, 4);
        wait_for_more("after slots have moved");
        cluster.kill(victim);
        wait_for_more("after a primary was killed");
        is_over.store(true, SeqCst);
    });
    let stale = tally.stale.into_inner().expect("nobody panics who holds it");
    assert!(stale.is_empty(), "{} stale reads: {:?}", stale.len(), &stale[..stale.len().min(5)]);
    assert!(tally.hits.into_iter().all(|hits| hits.into_inner() > 1000), "hardly anything was read");
}
