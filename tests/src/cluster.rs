//! A cluster of processes on loopback, whose nodes can be killed, held, and started again, also elsewhere.
//!
//! ```no_run
//! use larder_tests::cluster::Cluster;
//!
//! let mut cluster = Cluster::start(6, &[("--cluster-replicas", "1")]);
//! let primary = cluster.primary_of("greeting");
//! cluster.client(primary).check("SET greeting hello", "OK");
//! cluster.kill(primary);
//! cluster.wait_until("another leads", |cluster| cluster.primary_of("greeting") != primary);
//! ```
//!
//! Nodes are known by their number, from 0. Whatever is waited for is asked again and again, up to [`PATIENCE`].

mod clock;
mod guide;
mod history;
mod lost;
mod member;
mod network;
mod readings;
mod seen;

pub use guide::{Attempt, Guide};
pub use history::{History, check_histories, check_losses};
pub use network::{Network, Route, on_a_network};
pub use readings::{Promise, Readings, Sum, check_readings, read};
pub use seen::{NodeLine, Seen};

use crate::client::Client;
use crate::launch::Ended;
use crate::process::{free_address, new_folder};
use crate::wait::wait_long;
use clock::Clock;
use larder_client::slot;
use member::{Member, Way};
use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long anything may take. Generous, since a loaded machine is no reason to fail.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The nodes of a cluster. Dropping it kills them and removes their folders; if the test has failed, it prints the ends of
/// their logs before.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    members: Vec<Member>,
    /// What all nodes are started with.
    flags: Vec<(String, String)>,
}

/// Flags by which nodes tell clients where to ask, unless a test says otherwise: so it sees which node does what.
fn with_routing<'a>(flags: impl Iterator<Item = &'a (&'a str, &'a str)>) -> Vec<(String, String)> {
    let mut flags: Vec<(String, String)> = flags.map(|(name, value)| (name.to_string(), value.to_string())).collect();
    if !flags.iter().any(|(name, _)| name == "--routing") {
        flags.push(("--routing".to_owned(), "redirect".to_owned()));
    }
    flags
}

impl Cluster {
    /// Starts so many nodes that begin a cluster together, all with these flags (name and value), and waits until it is whole.
    #[track_caller]
    pub fn start(nodes: usize, flags: &[(&str, &str)]) -> Self {
        let mut cluster = Self::prepare(nodes, flags);
        cluster.run_all();
        cluster.wait_until_whole();
        cluster
    }

    /// Prepares so many nodes that are to begin a cluster together, and starts none.
    pub fn prepare(nodes: usize, flags: &[(&str, &str)]) -> Self {
        let folder = new_folder();
        let flags = with_routing(flags.iter());
        let members = (0..nodes).map(|number| Member::new(&folder, number, Way::Together)).collect();
        Self { folder, members, flags }
    }

    /// Prepares the nodes of a network, one in each place and with a clock of its own, that are to begin a cluster together.
    pub fn prepare_on(network: &Network, flags: &[(&str, &str)]) -> Self {
        // What a node asks for that listens on more than its own machine, and clients who come from elsewhere.
        const OPEN: &[(&str, &str)] = &[("--cluster-secret", "of these tests alone"), ("--protected-mode", "no")];
        let folder = new_folder();
        let flags = with_routing(OPEN.iter().chain(flags));
        let library = clock::build(&folder).expect("a clock can be built");
        let member = |number| {
            let address = network.address(number);
            let mut member = Member::at(address, address.port() + 10_000, &folder, number, Way::Together);
            member.network = Some(network.namespace(number));
            member.clock = Some(Clock::new(&library, &member.folder).expect("a file can be written"));
            member
        };
        let members = (0..network.nodes()).map(member).collect();
        Self { folder, members, flags }
    }

    /// Prepares the nodes of a folder of `cluster-configs`, with free ports in place of theirs.
    pub fn ready_made(name: &str) -> Self {
        let folder = new_folder();
        let configs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster-configs").join(name);
        let files = (1..).map(|number| configs.join(format!("node-{number}.toml"))).take_while(|file| file.exists());
        let mut texts: Vec<_> =
            files.map(|file| fs::read_to_string(file).expect("a configuration can be read")).collect();
        let addresses: Vec<_> = texts.iter().map(|_| address_below_its_bus()).collect();
        for (at, address) in addresses.iter().enumerate() {
            let (theirs, ours) = (format!("70{:02}", at + 1), address.port().to_string());
            assert!(texts.iter().all(|text| text.contains(&theirs)), "every file of {name} names port {theirs}");
            texts.iter_mut().for_each(|text| *text = text.replace(&theirs, &ours));
        }
        let member = |(number, (text, address)): (usize, (&String, &SocketAddr))| {
            let file = folder.join(format!("node-{}.toml", number + 1));
            fs::write(&file, text).expect("a file can be written");
            Member::at(*address, address.port() + 10_000, &folder, number, Way::File(file))
        };
        let members = texts.iter().zip(&addresses).enumerate().map(member).collect();
        Self { folder, members, flags: Vec::new() }
    }

    /// Prepares one more node, which is told of all that there are, and does not start it. Returns its number.
    pub fn add(&mut self) -> usize {
        self.members.push(Member::new(&self.folder, self.members.len(), Way::Join));
        self.members.len() - 1
    }

    /// Gives one node a flag beside or instead of the common ones, from its next start on.
    pub fn set(&mut self, node: usize, name: &str, value: &str) {
        let flags = &mut self.members[node].flags;
        flags.retain(|(other, _)| other != name);
        flags.push((name.to_owned(), value.to_owned()));
    }

    /// Gives a node that does not run other ports, of which others are told when they are started next.
    pub fn move_elsewhere(&mut self, node: usize) {
        let member = &mut self.members[node];
        assert!(!member.is_running(), "a node can't be moved while it runs");
        (member.address, member.bus_port) = (free_address(), free_address().port());
    }

    /// Has a node be told of others by `join` from now on, in place of the list.
    pub fn let_join(&mut self, node: usize) {
        self.members[node].way = Way::Join;
    }

    /// Starts a node, and waits until it listens or has left.
    #[track_caller]
    pub fn run(&mut self, node: usize) {
        let arguments = self.arguments(node);
        self.members[node].run(&arguments, &self.folder);
    }

    /// Starts all nodes that do not run.
    #[track_caller]
    pub fn run_all(&mut self) {
        (0..self.members.len()).for_each(|node| {
            if !self.members[node].is_running() {
                self.run(node);
            }
        });
    }

    /// Starts a node that is expected to leave by itself, and returns how it did.
    #[track_caller]
    pub fn run_in_vain(&mut self, node: usize) -> Ended {
        let arguments = self.arguments(node);
        let folder = self.folder.clone();
        self.members[node].run_to_its_end(&arguments, &folder)
    }

    /// Kills a node: SIGKILL.
    pub fn kill(&mut self, node: usize) {
        self.note_incarnation(node);
        self.members[node].kill();
    }

    /// Kills all nodes in one moment.
    pub fn kill_all(&mut self) {
        self.awake().into_iter().for_each(|node| self.note_incarnation(node));
        self.end_all();
    }

    fn end_all(&mut self) {
        self.members.iter_mut().for_each(Member::begin_to_kill);
        self.members.iter_mut().for_each(Member::kill);
    }

    /// Sets the clock of a node that is on a network: to how many milliseconds it is ahead of the machine's.
    pub fn set_clock(&self, node: usize, millis: i64) {
        let clock = self.members[node].clock.as_ref().expect("nodes on a network have clocks");
        clock.set(millis).expect("a file can be written");
    }

    /// The elements that nodes say to have lost: what they appended to which list, and kept in their files.
    pub fn told_lost(&self) -> BTreeSet<(String, String)> {
        self.members.iter().flat_map(|member| lost::appended(&member.folder)).collect()
    }

    /// Lets every thread of a node stand still: SIGSTOP.
    pub fn hold(&mut self, node: usize) {
        self.members[node].hold();
    }

    /// Lets a node that stands still go on: SIGCONT.
    pub fn release(&mut self, node: usize) {
        self.members[node].release();
    }

    /// A connection to a node.
    #[track_caller]
    pub fn client(&self, node: usize) -> Client {
        Client::open(self.address(node), self.members[node].log_file())
    }

    /// A connection to another address of a node.
    #[track_caller]
    pub fn client_at(&self, node: usize, address: SocketAddr) -> Client {
        Client::open(address, self.members[node].log_file())
    }

    /// A client that is told of all nodes and finds the right one by itself.
    pub fn guide(&self) -> Guide {
        Guide::new(self.members.iter().map(|member| member.address).collect())
    }

    pub fn address(&self, node: usize) -> SocketAddr {
        self.members[node].address
    }

    /// Where the node keeps what it keeps.
    pub fn data(&self, node: usize) -> PathBuf {
        self.members[node].folder.clone()
    }

    /// Everything that a node has logged in all its runs.
    pub fn log(&self, node: usize) -> String {
        self.members[node].log()
    }

    /// How a node has left by itself, if it has.
    pub fn has_left(&mut self, node: usize) -> bool {
        self.members[node].has_left()
    }

    /// The numbers of the nodes that run and are not held.
    pub fn awake(&self) -> Vec<usize> {
        (0..self.members.len()).filter(|node| self.members[*node].is_awake()).collect()
    }

    /// What a node says of its cluster; `None` if it does not answer.
    pub fn ask(&self, node: usize) -> Option<Seen> {
        Seen::by(self.address(node))
    }

    /// What the cluster says of itself: the first node that answers.
    #[track_caller]
    pub fn seen(&self) -> Seen {
        let mut seen = None;
        self.wait_until("a node tells of its cluster", |cluster| {
            seen = cluster.awake().into_iter().find_map(|node| cluster.ask(node));
            seen.is_some()
        });
        seen.expect("it was just seen")
    }

    /// The number of the node at this port.
    #[track_caller]
    pub fn at_port(&self, port: u16) -> usize {
        let found = self.members.iter().position(|member| member.address.port() == port);
        found.unwrap_or_else(|| panic!("no node of this cluster has port {port}"))
    }

    /// The id of a node, which it says itself.
    #[track_caller]
    pub fn id(&self, node: usize) -> String {
        let mut client = self.client(node);
        client.text("CLUSTER MYID")
    }

    /// The primary of a key's slot, as the cluster says.
    #[track_caller]
    pub fn primary_of(&self, key: &str) -> usize {
        let slot = slot::of(key.as_bytes()).number();
        let mut primary = None;
        self.wait_until("somebody serves the key", |cluster| {
            let line = cluster.seen().nodes.into_iter().find(|line| line.has_slot(slot));
            primary = line.map(|line| line.port);
            primary.is_some()
        });
        self.at_port(primary.expect("it was just found"))
    }

    /// The replicas of a node, as the cluster says.
    #[track_caller]
    pub fn replicas_of(&self, node: usize) -> Vec<usize> {
        let seen = self.seen();
        let id = seen.at(self.address(node).port()).map(|line| line.id.clone());
        let replicas = seen.nodes.iter().filter(|line| line.primary.is_some() && line.primary == id);
        replicas.map(|line| self.at_port(line.port)).collect()
    }

    /// Waits until something holds.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        wait_long(PATIENCE, what, || (condition(self), "it does not".to_owned()));
    }

    /// Waits until a node has logged a text.
    #[track_caller]
    pub fn wait_for_log(&self, node: usize, text: &str) {
        wait_long(PATIENCE, &format!("node {node} logs {text:?}"), || {
            let log = self.log(node);
            (log.contains(text), log)
        });
    }

    /// Waits until all nodes that run agree that all slots are served, by nodes that run, and each of them has its part: a
    /// primary with slots, a replica that is in sync, or a witness.
    #[track_caller]
    pub fn wait_until_whole(&self) {
        wait_long(PATIENCE, "the cluster is whole", || match self.lack() {
            None => (true, String::new()),
            Some(lack) => (false, lack),
        });
    }

    /// What a cluster that is to be whole lacks.
    fn lack(&self) -> Option<String> {
        let awake = self.awake();
        let mut first: Option<Seen> = None;
        for node in &awake {
            let Some(seen) = self.ask(*node) else { return Some(format!("node {node} does not answer")) };
            if !seen.is_ok {
                return Some(format!("node {node} says that the cluster is down: {seen:?}"));
            }
            let port = self.address(*node).port();
            if seen.at(port).is_some_and(|line| line.primary.is_some() && !seen.in_sync.contains(&line.id)) {
                return Some(format!("node {node} says that it is not in sync: {seen:?}"));
            }
            if !seen.is_up_to_date {
                return Some(format!("node {node} has no link to its primary: {seen:?}"));
            }
            match &first {
                None => first = Some(seen),
                Some(first) if first.roles() != seen.roles() => {
                    return Some(format!("node {node} does not agree with node {}: {seen:?}", awake[0]));
                }
                Some(_) => {}
            }
        }
        let seen = first?;
        let is_awake = |line: &NodeLine| awake.iter().any(|node| self.address(*node).port() == line.port);
        if let Some(gone) = seen.nodes.iter().find(|line| !line.slots.is_empty() && !is_awake(line)) {
            return Some(format!("{gone:?} does not run and has slots"));
        }
        for node in awake {
            let member = &self.members[node];
            let Some(line) = seen.at(member.address.port()) else { return Some(format!("node {node} is not known")) };
            if member.last_incarnation.as_ref() == Some(&line.incarnation) {
                // It may be said to be in sync as what it was before.
                return Some(format!("it is not known yet that node {node} was started again"));
            }
            let is_in_place = match &line.primary {
                None => !line.slots.is_empty() || self.is_witness(node),
                Some(_) => seen.in_sync.contains(&line.id),
            };
            if line.is_failed || !is_in_place {
                return Some(format!("node {node} has no part yet: {line:?}, in sync are {:?}", seen.in_sync));
            }
        }
        None
    }

    fn note_incarnation(&mut self, node: usize) {
        let port = self.address(node).port();
        let seen = std::iter::once(node).chain(self.awake()).find_map(|node| self.ask(node));
        let known = seen.and_then(|seen| Some(seen.at(port)?.incarnation.clone()));
        let member = &mut self.members[node];
        member.last_incarnation = known.or(member.last_incarnation.take());
    }

    fn is_witness(&self, node: usize) -> bool {
        self.members[node].flags.iter().any(|(name, value)| name == "--cluster-witness" && value == "yes")
    }

    fn arguments(&self, node: usize) -> Vec<String> {
        let member = &self.members[node];
        let listed = |is_listed: &dyn Fn(&Member) -> bool| {
            let listed = self.members.iter().filter(|member| is_listed(member));
            listed.map(|member| format!("{}@{}", member.address, member.bus_port)).collect::<Vec<_>>().join(",")
        };
        let others = |other: &Member| other.address != member.address;
        let told = match &member.way {
            Way::File(file) => return vec![file.to_str().expect("temporary folders have plain names").to_owned()],
            Way::Together => ("--cluster-nodes", listed(&|member| matches!(member.way, Way::Together))),
            Way::Join => ("--join", listed(&others)),
        };
        let folder = member.folder.to_str().expect("temporary folders have plain names");
        let own = [
            ("--port", member.address.port().to_string()),
            ("--bus-port", member.bus_port.to_string()),
            ("--bind", member.address.ip().to_string()),
            ("--dir", folder.to_owned()),
            ("--save", String::new()),
            ("--workers", "2".to_owned()),
            told,
        ];
        let mut flags: Vec<(String, String)> = own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        for (name, value) in self.flags.iter().chain(&member.flags) {
            flags.retain(|(other, _)| other != name);
            flags.push((name.clone(), value.clone()));
        }
        flags.into_iter().flat_map(|(name, value)| [name, value]).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.members
                .iter()
                .enumerate()
                .for_each(|(node, member)| eprintln!("node {node}, {}\n", member.log_tail()));
        }
        self.end_all();
        // It may be gone already.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A port that is free together with the one that is 10000 higher.
fn address_below_its_bus() -> SocketAddr {
    loop {
        let address = free_address();
        if address.port().checked_add(10_000).is_some_and(|bus| TcpListener::bind(("127.0.0.1", bus)).is_ok()) {
            return address;
        }
    }
}
