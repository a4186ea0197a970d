//! A node without a network, for the tests of handlers: lines in, replies out.

use super::clients::Client;
use super::dispatch::{Batch, Ended};
use super::replication::NewFollower;
use super::reply::Reply;
use super::session::Session;
use super::shared::{Parts, Shared};
use super::words::Span;
use crate::base::quote;
use crate::cluster::id::{Id, ShardId};
use crate::cluster::ranges::Ranges;
use crate::cluster::topology::{Address, Change, Facts};
use crate::config::checked::Values;
use crate::config::{Config, Live, Machine, Raw, table};
use crate::store::hash::KeyHasher;
use crate::store::{Options, Store};
use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

thread_local! {
    static FROZEN_MS: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What the clock of this thread's nodes shows, if a test has stopped it.
pub fn frozen_ms() -> Option<u64> {
    FROZEN_MS.get()
}

/// Stops the clock of this thread's nodes at a time in milliseconds since 1970, or lets it go again.
pub fn freeze(ms: Option<u64>) {
    FROZEN_MS.set(ms);
}

/// One connection to a node of its own.
pub struct Desk {
    pub node: Arc<Shared>,
    pub session: Session,
    reply: Reply,
    pub ended: Ended,
}

impl Default for Desk {
    fn default() -> Desk {
        Desk::new()
    }
}

impl Desk {
    pub fn new() -> Desk {
        Desk::with(Options::default())
    }

    pub fn with(options: Options) -> Desk {
        Desk::set_up(options, &[])
    }

    /// A node with settings that may only be given at the start.
    pub fn set_up(options: Options, settings: &[(&str, &str)]) -> Desk {
        let node = node(options, settings);
        node.listen();
        Desk::on(node)
    }

    /// A node that leaves it to the test to hear what its store tells.
    pub fn deaf() -> Desk {
        Desk::on(node(Options::default(), &[]))
    }

    /// Another connection to the same node.
    pub fn again(&self) -> Desk {
        Desk::on(self.node.clone())
    }

    /// The first node of a cluster of two shards, with the lease of a primary. Shard 1, nodes 1 and 2, has the slots up to
    /// 8191, shard 2, nodes 3 and 4, the others; node 5 is a witness. They are at 10.0.0.1:7001 and so on, but for the
    /// fourth, which has a name.
    pub fn in_cluster() -> Desk {
        let desk = Desk::in_empty_cluster();
        desk.change(&[Change::Found { cluster: Id::new([9; 20]), first: 0, replicas_wanted: 1 }]);
        for number in 1..=5 {
            let incarnation = if number == 1 { desk.node.cluster.incarnation() } else { 1 };
            let facts = Facts { incarnation, ..facts(number) };
            desk.change(&[Change::Join { node: id(number), number: None, facts }]);
        }
        let half = |first, last| Ranges::checked(&[(first, last)]).expect("it is a run");
        desk.change(&[
            Change::NewShard { primary: id(1), replicas: vec![id(2)] },
            Change::NewShard { primary: id(3), replicas: vec![id(4)] },
            Change::Assign { shard: ShardId(1), slots: half(0, 8191) },
            Change::Assign { shard: ShardId(2), slots: half(8192, 16383) },
        ]);
        desk.lead();
        desk
    }

    /// A node that is to be in a cluster, and has not heard of it yet.
    pub fn in_empty_cluster() -> Desk {
        let node = node_of(Options::default(), &[], Some(id(1)));
        node.listen();
        Desk::on(node)
    }

    /// Changes the topology, and installs it.
    #[track_caller]
    pub fn change(&self, changes: &[Change]) {
        let mut topology = self.node.cluster.view().topology.clone();
        for change in changes {
            let index = topology.epoch() + 1;
            topology.apply(index, change).unwrap_or_else(|refused| panic!("{change:?}: {refused}"));
        }
        let view = self.node.cluster.prepare(topology);
        self.node.barrier.alone(|| self.node.install_topology(view));
    }

    /// Gives the node the lease of the primary of its shard, as it is now.
    pub fn lead(&self) {
        let epoch = self.node.cluster.view().own_shard().expect("it has a shard").epoch;
        self.node.cluster.set_lease(epoch, self.node.cluster.now() + Duration::from_secs(3600));
    }

    fn on(node: Arc<Shared>) -> Desk {
        let id = node.clients.next_id();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000 + id as u16));
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 6379));
        let client = Arc::new(Client::new(id, address, local, -1, 0, super::shared::now_ms()));
        node.clients.add(client.clone());
        let session = Session::new(client, node.password().is_none());
        Desk { node, session, reply: Reply::default(), ended: Ended::Done }
    }

    /// Speaks RESP3 (3) or RESP2 (2) from now on.
    pub fn set_protocol(&mut self, protocol: u8) {
        self.reply.set_protocol(protocol);
    }

    /// Runs one command given as its words, and returns the bytes of the reply.
    pub fn call(&mut self, words: &[&[u8]]) -> Vec<u8> {
        let mut buffer = Vec::new();
        let mut spans = Vec::new();
        for word in words {
            spans.push(Span { start: buffer.len() as u32, len: word.len() as u32 });
            buffer.extend_from_slice(word);
        }
        let mut batch = Batch::default();
        batch.add(&spans, 0, buffer.len());
        let node = self.node.clone();
        let mut pass = node.barrier.enter(0);
        self.ended = batch.run(&buffer, &node, &mut self.session, &mut self.reply, &mut pass);
        std::mem::take(&mut self.reply.out)
    }

    /// A node that leads, with the number of one who follows it and takes what [`Desk::stream`] gives.
    pub fn leading(options: Options) -> (Desk, u64) {
        let desk = Desk::with(options);
        let client = desk.again().session.client.clone();
        let who = NewFollower { client, host: "h".into(), port: 1, is_mute: true, node: None };
        let entered = desk.node.barrier.alone(|| desk.node.enter_now(who));
        (desk, entered.number)
    }

    /// A node that follows, and the connection of its primary.
    pub fn following() -> Desk {
        let mut desk = Desk::new();
        desk.node.barrier.alone(|| desk.node.follow(Some(("h".into(), 1))));
        desk.session.is_primary = true;
        desk
    }

    /// The commands that have come into the stream since this was asked last.
    pub fn stream(&self, number: u64) -> Vec<Vec<Vec<u8>>> {
        let mut bytes = Vec::new();
        while let Some(part) = self.node.replication.take_part(number, false).expect("the follower is not cut off") {
            bytes.extend_from_slice(part.bytes());
        }
        let mut rest = &bytes[..];
        let mut number_behind = |mark: u8, skip: usize| {
            rest = &rest[skip..];
            let end = rest.iter().position(|&byte| byte == b'\n')? + 1;
            assert_eq!(rest[0], mark, "{}", rest[..rest.len().min(60)].escape_ascii());
            let number = std::str::from_utf8(&rest[1..end - 2]).unwrap().parse::<usize>().unwrap();
            rest = &rest[end..];
            Some((number, rest))
        };
        let (mut commands, mut skip) = (Vec::new(), 0);
        while let Some((words, _)) = number_behind(b'*', skip) {
            skip = 0;
            let mut command = Vec::with_capacity(words);
            for _ in 0..words {
                let (len, text) = number_behind(b'$', skip).expect("the stream holds whole commands");
                command.push(text[..len].to_vec());
                skip = len + 2;
            }
            commands.push(command);
        }
        commands
    }

    /// Runs a line as one would type it, and returns the reply as it is on the wire.
    pub fn run(&mut self, line: &str) -> String {
        let mut words = quote::Words::default();
        words.split(line.as_bytes()).expect("quotes in tests are balanced");
        let words: Vec<Vec<u8>> = words.iter().map(<[u8]>::to_vec).collect();
        let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        String::from_utf8_lossy(&self.call(&words)).into_owned()
    }

    /// Checks what a line answers on the wire; line ends may be written as spaces.
    #[track_caller]
    pub fn check(&mut self, line: &str, expected: &str) {
        let seen = self.run(line);
        let shown = seen.trim_end().replace("\r\n", " ");
        assert_eq!(shown, expected, "{line}");
    }
}

/// The id of the node of a cluster that has this number.
pub fn id(number: u8) -> Id {
    Id::new([number; 20])
}

fn facts(number: u8) -> Facts {
    let host = if number == 4 { "four.example".into() } else { format!("10.0.0.{number}") };
    let address = Address { host, port: 7000 + u16::from(number), bus_port: 17_000 + u16::from(number) };
    Facts { address, incarnation: 1, is_witness: number == 5, weight: 100, zone: "a".into() }
}

fn node(options: Options, settings: &[(&str, &str)]) -> Arc<Shared> {
    node_of(options, settings, None)
}

fn node_of(options: Options, settings: &[(&str, &str)], cluster_id: Option<Id>) -> Arc<Shared> {
    let store = Store::with_hasher(options, KeyHasher::seeded(1));
    let live = Arc::new(live(options, settings));
    let parts =
        Parts { store, live, port: 6379, workers: 1, cluster_id, stop: Box::new(|| ()), room: |clients| clients };
    Arc::new(Shared::new(parts))
}

/// Live settings that agree with the options of the store.
fn live(options: Options, settings: &[(&str, &str)]) -> Live {
    const MACHINE: Machine = Machine { memory: 8 << 30, cores: 1 };
    let limit = options.memory_max.to_string();
    // Whoever wants snapshots says so, and where.
    let of_store = [("maxmemory", limit.as_str()), ("maxmemory-policy", options.eviction.name()), ("save", "")];
    let mut values = Values::defaults(&MACHINE);
    for (name, text) in of_store.iter().chain(settings) {
        let id = table::find(name).expect("tests know the names of settings");
        let value = id.row().kind.check(&[text], values.get(id), &MACHINE).expect("tests know what settings take");
        values.set(id, value);
    }
    Live::new(&Config::new(values), Raw::default(), MACHINE)
}

#[test]
fn a_line_is_answered() {
    let mut desk = Desk::new();
    desk.check("GET k", "$-1");
    desk.check("SET k v", "+OK");
    desk.check("GET k", "$1 v");
    desk.check("GET", "-ERR wrong number of arguments for 'get' command");
    desk.check("NOPE a", "-ERR unknown command 'NOPE', with args beginning with: 'a'");
}
