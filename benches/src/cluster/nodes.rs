//! The nodes of a cluster on this machine: each a process with a folder of its own, ended together with this one.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use larder_client::{
    connection::Connection,
    slot::{self, SLOTS},
};

use crate::{
    ask::ask,
    compare::{Contestant, Running, free_port},
    error::Error,
    os,
    workload::Workload,
};

/// Keys that are stored with one round trip.
const FILL_AT_ONCE: u64 = 1000;

pub struct Nodes {
    program: PathBuf,
    cores: Vec<usize>,
    running: Vec<Running>,
    /// How the first is reached by those that join.
    first: String,
}

/// The owner of each slot, by its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotMap(Vec<u16>);

impl SlotMap {
    pub const LEN: usize = SLOTS as usize;

    /// The port of the slot's owner.
    pub fn owner(&self, slot: usize) -> u16 {
        self.0[slot]
    }

    /// Reads `CLUSTER NODES`. Returns whether slots move, too.
    fn parse(text: &str) -> Option<(SlotMap, bool)> {
        let mut map = SlotMap(vec![0; Self::LEN]);
        let mut moves = false;
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let port = words.get(1)?.split('@').next()?.rsplit_once(':')?.1.parse().ok()?;
            for run in words.get(8..).unwrap_or_default() {
                if run.starts_with('[') {
                    moves = true;
                    continue;
                }
                let (first, last) = run.split_once('-').unwrap_or((run, run));
                map.0.get_mut(first.parse().ok()?..=last.parse().ok()?)?.fill(port);
            }
        }
        Some((map, moves))
    }

    /// Whether so many nodes share all slots, and none has two more than another.
    fn is_even(&self, nodes: usize) -> bool {
        let mut held: BTreeMap<u16, usize> = BTreeMap::new();
        self.0.iter().for_each(|port| *held.entry(*port).or_default() += 1);
        let (least, most) = (held.values().min(), held.values().max());
        held.len() == nodes && !held.contains_key(&0) && least.zip(most).is_some_and(|(least, most)| most - least <= 1)
    }
}

impl Nodes {
    /// None yet. Each will run on the given cores, if any.
    pub fn new(program: PathBuf, cores: &[usize]) -> Self {
        Self { program, cores: cores.to_vec(), running: Vec::new(), first: String::new() }
    }

    /// Starts one more: the first begins a cluster, the others join it.
    ///
    /// # Errors
    ///
    /// As [`Running::start`].
    pub fn add(&mut self) -> Result<(), Error> {
        let bus = free_port().map_err(Error::io("cannot find a free port"))?.to_string();
        let mut contestant = Contestant::larder(&format!("node {}", self.running.len() + 1), &self.program, 1);
        let mut words = vec!["--dir", "{dir}", "--cluster-replicas", "0", "--bus-port", &bus];
        match self.running.is_empty() {
            true => words.extend(["--cluster-enabled", "yes"]),
            false => words.extend(["--join", &self.first]),
        }
        contestant.command.extend(words.into_iter().map(str::to_owned));
        let cores = Some(&self.cores[..]).filter(|cores| !cores.is_empty());
        let node = Running::start(&contestant, cores)?;
        if self.running.is_empty() {
            self.first = format!("{}@{bus}", node.address());
        }
        self.running.push(node);
        Ok(())
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.running.iter().map(Running::address).collect()
    }

    /// Whether all nodes say that nothing moves and that they share all slots evenly.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] if one has ended.
    pub fn is_even(&self) -> Result<bool, Error> {
        for node in &self.running {
            if !node.is_alive() {
                return Err(Error::Server(format!("a node has ended{}", node.last_words())));
            }
            let seen = ask(node.address(), "CLUSTER NODES").ok().and_then(|text| SlotMap::parse(&text));
            if !seen.is_some_and(|(map, moves)| !moves && map.is_even(self.running.len())) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// # Errors
    ///
    /// [`Error::Server`] if it takes longer than `limit` or a node has ended.
    pub fn wait_until_even(&self, limit: Duration) -> Result<(), Error> {
        let until = Instant::now() + limit;
        while !self.is_even()? {
            if Instant::now() > until {
                let seconds = limit.as_secs();
                return Err(Error::Server(format!(
                    "the nodes do not share the slots after {seconds} s{}",
                    self.last_words()
                )));
            }
            if os::interrupted() {
                return Err(Error::Interrupted);
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Who has which slot.
    ///
    /// # Errors
    ///
    /// If the first node does not say.
    pub fn slots(&self) -> Result<SlotMap, Error> {
        let text = ask(self.running[0].address(), "CLUSTER NODES").map_err(Error::io("cannot ask a node"))?;
        let parsed = SlotMap::parse(&text).map(|(map, _)| map);
        parsed.ok_or_else(|| Error::Server(format!("CLUSTER NODES makes no sense: {text}")))
    }

    /// How many keys all nodes have, once those are deleted that have moved.
    ///
    /// # Errors
    ///
    /// If a node does not say.
    pub fn keys(&self) -> Result<u64, Error> {
        let count = |node: &Running| {
            // `DBSIZE` would be of all nodes for one that shows no sign of knowing the cluster.
            let text = ask(node.address(), "INFO keyspace").map_err(Error::io("cannot ask a node"))?;
            let keys = text.split_once("db0:keys=").map_or("0", |(_, rest)| rest.split(',').next().unwrap_or(rest));
            keys.parse::<u64>().map_err(|_| Error::Server(format!("INFO keyspace is {text}")))
        };
        self.running.iter().map(count).sum()
    }

    /// Stores every key at its owner.
    ///
    /// # Errors
    ///
    /// If a node refuses one.
    pub fn fill(&self, base: &Workload) -> Result<(), Error> {
        let map = self.slots()?;
        let value = vec![b'v'; base.value_length];
        for node in &self.running {
            let refused = |error| Error::Server(format!("a node does not take the keys: {error}"));
            let mut connection = Connection::open(node.address()).map_err(refused)?;
            let mut batch: Vec<[Vec<u8>; 3]> = Vec::new();
            for number in 0..base.key_count {
                let key = key(base, number);
                if map.owner(slot::of(&key).index()) == node.address().port() {
                    batch.push([b"SET".to_vec(), key, value.clone()]);
                }
                if batch.len() as u64 == FILL_AT_ONCE || number + 1 == base.key_count {
                    let replies = connection.pipeline(&batch).map_err(refused)?;
                    if let Some(reply) = replies.iter().find(|reply| reply.is_error()) {
                        return Err(Error::Server(format!("a node refuses a key: {reply:?}")));
                    }
                    batch.clear();
                }
            }
        }
        Ok(())
    }

    pub fn last_words(&self) -> String {
        self.running.iter().map(Running::last_words).collect()
    }
}

/// The name of a key: a letter and its padded number, as everywhere here.
pub fn key(base: &Workload, number: u64) -> Vec<u8> {
    format!("k{number:0width$}", width = base.key_length - 1).into_bytes()
}

/// How many of the keys each slot has.
pub fn keys_by_slot(base: &Workload) -> Vec<u64> {
    let mut counts = vec![0; SlotMap::LEN];
    (0..base.key_count).for_each(|number| counts[slot::of(&key(base, number)).index()] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_read_and_counted() {
        let told = "a 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-8190 8192 [8191->-b]\n\
                    b 127.0.0.1:7002@17002 master - 0 0 2 connected 8191 8193-16383\n\
                    c 127.0.0.1:7003@17003 slave a 0 0 1 connected\n";
        let (map, moves) = SlotMap::parse(told).unwrap();
        assert!(moves);
        assert_eq!([0, 8191, 8192, 16383].map(|slot| map.owner(slot)), [7001, 7002, 7001, 7002]);
        assert!(map.is_even(2));
        assert!(!map.is_even(3));
    }

    #[test]
    fn a_map_with_a_gap_is_not_even() {
        let (map, moves) =
            SlotMap::parse("a h:1@2 master - 0 0 1 connected 0-8191\nb h:2@3 master - 0 0 1 connected 8192-16382")
                .unwrap();
        assert!(!moves && !map.is_even(2) && !map.is_even(3));
        assert!(SlotMap::parse("nonsense").is_none());
        assert!(SlotMap::parse("a h:1@2 master - 0 0 1 connected 9-99999").is_none());
    }

    #[test]
    fn every_key_is_counted_in_its_slot() {
        let base = Workload { key_count: 5000, ..Workload::standard(crate::workload::Operation::Get) };
        let counts = keys_by_slot(&base);
        assert_eq!(counts.iter().sum::<u64>(), 5000);
        assert!(counts[slot::of(&key(&base, 7)).index()] > 0);
    }
}
