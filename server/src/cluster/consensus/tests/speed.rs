//! How fast it is: in one process, three nodes, no network.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::super::journal::{Disk, Folder, Identity, Journal, Start};
use super::super::{Consensus, Member, Options, Role, Settled, Ticket};
use crate::cluster::id::Id;

/// A real folder, of which nothing is asked to be on the disk.
struct Unsynced(Folder);

impl Disk for Unsynced {
    fn list(&self) -> std::io::Result<Vec<String>> {
        self.0.list()
    }
    fn read(&self, name: &str) -> std::io::Result<Vec<u8>> {
        self.0.read(name)
    }
    fn create(&mut self, name: &str) -> std::io::Result<()> {
        self.0.create(name)
    }
    fn append(&mut self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        self.0.append(name, bytes)
    }
    fn sync(&mut self, _: &str) -> std::io::Result<()> {
        Ok(())
    }
    fn truncate(&mut self, name: &str, len: u64) -> std::io::Result<()> {
        self.0.truncate(name, len)
    }
    fn rename(&mut self, from: &str, to: &str) -> std::io::Result<()> {
        self.0.rename(from, to)
    }
    fn remove(&mut self, name: &str) -> std::io::Result<()> {
        self.0.remove(name)
    }
    fn sync_folder(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Trio {
    nodes: BTreeMap<Member, (Consensus, Journal<Box<dyn Disk>>)>,
    committed: usize,
}

impl Disk for Box<dyn Disk> {
    fn list(&self) -> std::io::Result<Vec<String>> {
        (**self).list()
    }
    fn read(&self, name: &str) -> std::io::Result<Vec<u8>> {
        (**self).read(name)
    }
    fn create(&mut self, name: &str) -> std::io::Result<()> {
        (**self).create(name)
    }
    fn append(&mut self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        (**self).append(name, bytes)
    }
    fn sync(&mut self, name: &str) -> std::io::Result<()> {
        (**self).sync(name)
    }
    fn truncate(&mut self, name: &str, len: u64) -> std::io::Result<()> {
        (**self).truncate(name, len)
    }
    fn rename(&mut self, from: &str, to: &str) -> std::io::Result<()> {
        (**self).rename(from, to)
    }
    fn remove(&mut self, name: &str) -> std::io::Result<()> {
        (**self).remove(name)
    }
    fn sync_folder(&mut self) -> std::io::Result<()> {
        (**self).sync_folder()
    }
}

impl Trio {
    fn new(mut disk: impl FnMut(u64) -> Box<dyn Disk>) -> Trio {
        let voters: BTreeSet<Member> = (1..=3).map(Member).collect();
        let node = |member: Member| {
            let identity = Identity { cluster: Id::new([1; 20]), node: Id::new([member.0 as u8; 20]), member };
            let start = Start::Found { voters: voters.clone(), state: Vec::new() };
            let (journal, recovered) = Journal::create(disk(member.0), identity, start).unwrap();
            let consensus = Consensus::new(Options { member, incarnation: member.0 }, recovered).unwrap();
            (member, (consensus, journal))
        };
        let nodes = voters.clone().into_iter().map(node).collect();
        Trio { nodes, committed: 0 }
    }

    /// Works until nobody has anything to do.
    fn settle(&mut self) {
        loop {
            let mut sent = Vec::new();
            for (member, (consensus, journal)) in &mut self.nodes {
                while let Some(then) = consensus.step(|durable| journal.save(durable)).unwrap() {
                    let is_committed = |(_, settled): &&(Ticket, Settled)| matches!(settled, Settled::Committed(_));
                    self.committed += then.settled.iter().filter(is_committed).count();
                    sent.extend(then.send.into_iter().map(|parcel| (*member, parcel)));
                }
            }
            if sent.is_empty() {
                return;
            }
            for (from, parcel) in sent {
                let (consensus, _) = self.nodes.get_mut(&parcel.to).unwrap();
                consensus.receive(from, &parcel.bytes).unwrap();
            }
        }
    }

    fn measure(&mut self, proposals: usize, at_once: usize) -> f64 {
        let leads = |trio: &Trio| {
            let mut nodes = trio.nodes.iter();
            nodes.find(|(_, (consensus, _))| consensus.standing().role == Role::Leader).map(|(member, _)| *member)
        };
        while leads(self).is_none() {
            self.nodes.values_mut().for_each(|(consensus, _)| consensus.tick());
            self.settle();
        }
        let leader = leads(self).unwrap();
        let (before, start) = (self.committed, Instant::now());
        for round in 0..proposals / at_once {
            let (consensus, _) = self.nodes.get_mut(&leader).unwrap();
            for ticket in 0..at_once {
                consensus.propose(Ticket((round * at_once + ticket) as u64), vec![7; 100]).unwrap();
            }
            self.settle();
            let (consensus, _) = self.nodes.get_mut(&leader).unwrap();
            if consensus.log_bytes() > 4 << 20 {
                consensus.compact(consensus.applied(), vec![0; 10_000]).unwrap();
            }
        }
        assert_eq!(self.committed - before, proposals);
        proposals as f64 / start.elapsed().as_secs_f64()
    }
}

#[test]
#[ignore = "a measurement; cargo test -p larder --lib cluster::consensus::tests::speed -- --ignored --nocapture"]
fn commits_per_second() {
    let root = std::env::temp_dir().join(format!("larder-speed-{}", std::process::id()));
    for (is_synced, at_once, proposals) in
        [(false, 1, 20_000), (false, 64, 192_000), (true, 1, 300), (true, 64, 19_200)]
    {
        let mut trio = Trio::new(|member| {
            let folder = Folder::open(&root.join(format!("{is_synced}-{at_once}-{member}"))).unwrap();
            if is_synced { Box::new(folder) } else { Box::new(Unsynced(folder)) }
        });
        let speed = trio.measure(proposals, at_once);
        let synced = if is_synced { "synced" } else { "not synced" };
        println!("{synced}, {at_once} at a time: {speed:.0} commits per second");
    }
    std::fs::remove_dir_all(root).unwrap();
}
