//! A client of the cluster that uses it as a cache beside an origin, in an open loop.
//!
//! It has a pool of connections to each node, one request at a time on each, as most clients do. It follows `MOVED`, and asks for
//! all slots anew when it meets one. Requests are due at fixed times, whatever the nodes do, and a latency counts from there to
//! the answer, redirections included. What is read and not there is stored, as if it had come from an origin.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read},
    net::{SocketAddr, TcpStream},
    os::fd::AsRawFd,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    time::{Duration, Instant},
};

use larder_client::{
    resp::{Decoder, Reply, encode_request},
    slot,
};

use super::{
    Options,
    nodes::{SlotMap, key},
};
use crate::{
    engine::{self, SILENCE_MAX},
    error::Error,
    histogram::Histogram,
    os::{self, Epoll},
    random::Random,
    workload::Workload,
};

/// Connections to each node.
const CONNECTIONS: usize = 16;

/// A request that is sent on so often has failed, as with redis-py and others.
const REDIRECTIONS_MAX: u8 = 16;

/// The least time from one question for all slots to the next.
const REFRESH_EVERY: Duration = Duration::from_millis(100);

/// The longest sleep. Short ones are sleeps here, too, unlike in the other open loop: the nodes have no core of their own, and need
/// all that there is. What a sleep is longer than asked is in all latencies, before the move as well.
const WAIT_MAX: Duration = Duration::from_millis(10);

const BUFFER_BYTES: usize = 64 << 10;

/// What the load is told, and tells.
#[derive(Default)]
pub struct Signals {
    /// The [`super::Period`] in which a request is due that is due now.
    pub period: AtomicUsize,
    pub is_over: AtomicBool,
    /// It has ended early.
    pub is_broken: AtomicBool,
}

/// What was seen of the requests that were due in one period.
#[derive(Clone, Debug, Default)]
pub struct Load {
    pub latencies: Histogram,
    pub hits: u64,
    pub misses: u64,
    pub writes: u64,
    /// Times a request was sent on.
    pub redirections: u64,
    pub errors: u64,
    pub first_error: Option<String>,
}

impl Load {
    /// The share of reads that found something.
    pub fn hit_ratio(&self) -> f64 {
        self.hits as f64 / (self.hits + self.misses).max(1) as f64
    }

    pub fn merge(&mut self, other: &Load) {
        self.latencies.merge(&other.latencies);
        self.hits += other.hits;
        self.misses += other.misses;
        self.writes += other.writes;
        self.redirections += other.redirections;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or_else(|| other.first_error.clone());
    }

    fn fail(&mut self, text: String) {
        self.errors += 1;
        self.first_error.get_or_insert(text);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    /// The application's own.
    Write,
    /// Of what was not there.
    Store,
    /// For all slots.
    Slots,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    kind: Kind,
    key: u64,
    /// Nanoseconds since the beginning.
    due: u64,
    period: usize,
    redirections: u8,
}

/// A node, by its place in the client's list.
struct Node {
    address: SocketAddr,
    /// Connections with nothing under way.
    idle: Vec<usize>,
    waiting: VecDeque<Request>,
}

struct Link {
    node: usize,
    socket: TcpStream,
    out: Vec<u8>,
    taken: usize,
    decoder: Decoder,
    under_way: Option<Request>,
}

pub struct Client {
    base: Workload,
    /// Nanoseconds from one request to the next.
    interval: f64,
    set_share: f64,
    random: Random,
    value: Vec<u8>,
    epoll: Epoll,
    nodes: Vec<Node>,
    links: Vec<Link>,
    /// The node of each slot.
    owners: Vec<usize>,
    loads: [Load; 4],
    owed: usize,
    refreshes: bool,
    refreshed: u64,
    started: Instant,
    now: u64,
}

impl Client {
    /// Connects to all nodes.
    ///
    /// # Errors
    ///
    /// If that is refused.
    pub fn connect(options: &Options, nodes: &[SocketAddr], slots: &SlotMap) -> Result<Self, Error> {
        let mut client = Self {
            base: options.base.clone(),
            interval: 1e9 / options.rate,
            set_share: options.set_share,
            random: Random::new(1),
            value: vec![b'w'; options.base.value_length],
            epoll: Epoll::new().map_err(Error::io("cannot create an epoll"))?,
            nodes: Vec::new(),
            links: Vec::new(),
            owners: vec![0; SlotMap::LEN],
            loads: Default::default(),
            owed: 0,
            refreshes: false,
            refreshed: 0,
            started: Instant::now(),
            now: 0,
        };
        for address in nodes {
            client.node(*address)?;
        }
        for slot in 0..SlotMap::LEN {
            let owner = nodes.iter().position(|address| address.port() == slots.owner(slot));
            client.owners[slot] = owner.ok_or_else(|| Error::Server(format!("nobody has slot {slot}")))?;
        }
        Ok(client)
    }

    /// The place of a node, which is connected to if it is new.
    fn node(&mut self, address: SocketAddr) -> Result<usize, Error> {
        if let Some(known) = self.nodes.iter().position(|node| node.address == address) {
            return Ok(known);
        }
        let node = self.nodes.len();
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS {
            let refused = || Error::io(format!("cannot connect to {address}"));
            let socket = TcpStream::connect(address).map_err(refused())?;
            socket.set_nodelay(true).map_err(refused())?;
            socket.set_nonblocking(true).map_err(refused())?;
            let token = self.links.len();
            self.epoll.add(socket.as_raw_fd(), token).map_err(Error::io("cannot watch a socket"))?;
            let (out, decoder) = (Vec::new(), Decoder::default());
            self.links.push(Link { node, socket, out, taken: 0, decoder, under_way: None });
            idle.push(token);
        }
        self.nodes.push(Node { address, idle, waiting: VecDeque::new() });
        Ok(node)
    }

    /// Sends requests until it is over, and waits for their answers. Returns what was seen in each period.
    ///
    /// # Errors
    ///
    /// Whatever ends a connection; the signals say so, too.
    pub fn run(mut self, signals: &Signals) -> Result<[Load; 4], Error> {
        let ended = self.go_on(signals);
        signals.is_broken.store(ended.is_err(), Relaxed);
        ended.map(|()| self.loads)
    }

    fn go_on(&mut self, signals: &Signals) -> Result<(), Error> {
        let mut buffer = vec![0; BUFFER_BYTES];
        self.started = Instant::now();
        let (mut count, mut heard_at) = (0u64, 0);
        let due = |count: u64, interval: f64| (count as f64 * interval) as u64;
        loop {
            self.look();
            let is_over = signals.is_over.load(Relaxed);
            if is_over && self.owed == 0 {
                return Ok(());
            }
            while !is_over && due(count, self.interval) <= self.now {
                let request = self.draw(due(count, self.interval), signals.period.load(Relaxed));
                self.send(request)?;
                count += 1;
                self.look();
            }
            if os::interrupted() {
                return Err(Error::Interrupted);
            }
            let until_due = Duration::from_nanos(due(count, self.interval).saturating_sub(self.now));
            let wait = if is_over { WAIT_MAX } else { until_due.min(WAIT_MAX) };
            for index in 0..self.epoll.wait_for(wait).map_err(Error::io("cannot wait for replies"))? {
                let ready = self.epoll.ready(index);
                if ready.writable {
                    self.links[ready.token].flush()?;
                }
                if ready.readable {
                    self.receive(ready.token, &mut buffer)?;
                    heard_at = self.now;
                }
            }
            if self.owed == 0 {
                heard_at = self.now;
            }
            if self.now.saturating_sub(heard_at) > SILENCE_MAX.as_nanos() as u64 {
                return Err(Error::Silent);
            }
        }
    }

    fn look(&mut self) -> u64 {
        self.now = self.started.elapsed().as_nanos() as u64;
        self.now
    }

    fn draw(&mut self, due: u64, period: usize) -> Request {
        let kind = if self.random.unit() < self.set_share { Kind::Write } else { Kind::Read };
        Request { kind, key: self.random.below(self.base.key_count), due, period, redirections: 0 }
    }

    /// Sends a request to the owner of its slot, or has it wait for a connection there.
    fn send(&mut self, request: Request) -> Result<(), Error> {
        let node = self.owners[slot::of(&key(&self.base, request.key)).index()];
        self.send_to(node, request)
    }

    fn send_to(&mut self, node: usize, request: Request) -> Result<(), Error> {
        self.owed += 1;
        match self.nodes[node].idle.pop() {
            Some(token) => self.put(token, request),
            None => {
                self.nodes[node].waiting.push_back(request);
                Ok(())
            }
        }
    }

    fn put(&mut self, token: usize, request: Request) -> Result<(), Error> {
        let key = key(&self.base, request.key);
        let words: &[&[u8]] = match request.kind {
            Kind::Read => &[b"GET", &key],
            Kind::Write | Kind::Store => &[b"SET", &key, &self.value],
            Kind::Slots => &[b"CLUSTER", b"SLOTS"],
        };
        let link = &mut self.links[token];
        encode_request(words, &mut link.out);
        link.under_way = Some(request);
        link.flush()
    }

    fn receive(&mut self, token: usize, buffer: &mut [u8]) -> Result<(), Error> {
        loop {
            match self.links[token].socket.read(buffer) {
                Ok(0) => return Err(Error::Closed { hint: None }),
                Ok(count) => self.links[token].decoder.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("cannot read replies")(error)),
            }
        }
        let nonsense = |error| Error::Server(format!("a node answers what makes no sense: {error}"));
        while let Some(reply) = self.links[token].decoder.next().map_err(nonsense)? {
            let request = self.links[token].under_way.take().ok_or(Error::TooManyReplies)?;
            self.owed -= 1;
            let node = self.links[token].node;
            match self.nodes[node].waiting.pop_front() {
                Some(next) => self.put(token, next)?,
                None => self.nodes[node].idle.push(token),
            }
            self.look();
            self.hear(node, request, &reply)?;
        }
        Ok(())
    }

    /// Takes an answer.
    fn hear(&mut self, from: usize, request: Request, reply: &Reply) -> Result<(), Error> {
        if request.kind == Kind::Slots {
            self.refreshes = false;
            return self.learn(reply);
        }
        if let Reply::Error(text) = reply {
            return self.hear_refusal(from, request, &String::from_utf8_lossy(text));
        }
        let load = &mut self.loads[request.period];
        load.latencies.record(self.now.saturating_sub(request.due), 1);
        match (request.kind, reply) {
            (Kind::Read, Reply::Bulk(_)) => load.hits += 1,
            (Kind::Read, Reply::Null) => {
                load.misses += 1;
                return self.send(Request { kind: Kind::Store, due: self.now, redirections: 0, ..request });
            }
            (Kind::Write, Reply::Simple(_)) => load.writes += 1,
            (Kind::Store, Reply::Simple(_)) => {}
            (kind, reply) => load.fail(format!("{kind:?} is answered with {reply:?}")),
        }
        Ok(())
    }

    fn hear_refusal(&mut self, from: usize, request: Request, text: &str) -> Result<(), Error> {
        let load = &mut self.loads[request.period];
        let Some(to) = moved_to(text, self.nodes[from].address).filter(|_| request.redirections < REDIRECTIONS_MAX)
        else {
            load.fail(text.to_owned());
            return Ok(());
        };
        load.redirections += 1;
        let to = self.node(to)?;
        self.owners[slot::of(&key(&self.base, request.key)).index()] = to;
        self.send_to(to, Request { redirections: request.redirections + 1, ..request })?;
        if !self.refreshes && self.now.saturating_sub(self.refreshed) >= REFRESH_EVERY.as_nanos() as u64 {
            (self.refreshes, self.refreshed) = (true, self.now);
            self.send_to(to, Request { kind: Kind::Slots, ..request })?;
        }
        Ok(())
    }

    /// Learns from `CLUSTER SLOTS` who has what.
    fn learn(&mut self, reply: &Reply) -> Result<(), Error> {
        for range in reply.as_slice().unwrap_or_default() {
            let Some([first, last, primary, ..]) = range.as_slice() else { continue };
            let (Some(first), Some(last), Some(address)) = (first.as_int(), last.as_int(), address_of(primary)) else {
                continue;
            };
            let node = self.node(address)?;
            if let Some(owners) = self.owners.get_mut(first as usize..=last as usize) {
                owners.fill(node);
            }
        }
        Ok(())
    }
}

impl Link {
    fn flush(&mut self) -> Result<(), Error> {
        engine::send(&mut self.socket, &mut self.out, &mut self.taken)
    }
}

/// Where `MOVED slot host:port` sends; no host is the one that said so.
fn moved_to(text: &str, from: SocketAddr) -> Option<SocketAddr> {
    let (host, port) = text.strip_prefix("MOVED ")?.split_once(' ')?.1.rsplit_once(':')?;
    let port = port.trim().parse().ok()?;
    match host {
        "" => Some(SocketAddr::new(from.ip(), port)),
        host => Some(SocketAddr::new(host.parse().ok()?, port)),
    }
}

/// The address of a node in `CLUSTER SLOTS`.
fn address_of(node: &Reply) -> Option<SocketAddr> {
    let [host, port, ..] = node.as_slice()? else { return None };
    let host = std::str::from_utf8(host.as_bytes()?).ok()?;
    Some(SocketAddr::new(host.parse().ok()?, u16::try_from(port.as_int()?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirection_names_a_node_or_the_host_that_says_so() {
        let from: SocketAddr = "127.0.0.1:1".parse().unwrap();
        assert_eq!(moved_to("MOVED 7 127.0.0.2:7002", from), "127.0.0.2:7002".parse().ok());
        assert_eq!(moved_to("MOVED 7 :7002", from), "127.0.0.1:7002".parse().ok());
        assert_eq!(moved_to("CLUSTERDOWN Hash slot not served", from), None);
        assert_eq!(moved_to("MOVED 7", from), None);
    }

    #[test]
    fn loads_add_up() {
        let mut load = Load { hits: 3, misses: 1, ..Load::default() };
        assert_eq!(load.hit_ratio(), 0.75);
        load.fail("first".to_owned());
        let mut other = Load { hits: 4, writes: 2, ..Load::default() };
        other.fail("second".to_owned());
        load.merge(&other);
        assert_eq!((load.hits, load.misses, load.writes, load.errors), (7, 1, 2, 2));
        assert_eq!(load.first_error.as_deref(), Some("first"));
    }

    #[test]
    fn addresses_are_read_from_the_slots() {
        let node = Reply::Array(vec![Reply::Bulk("127.0.0.1".into()), Reply::Int(7001), Reply::Bulk("id".into())]);
        assert_eq!(address_of(&node), "127.0.0.1:7001".parse().ok());
        assert_eq!(address_of(&Reply::Null), None);
    }
}
