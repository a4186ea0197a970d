//! A client that finds the node of a key by itself, as cluster clients do: it follows `MOVED`.

use larder_client::connection::{Connection, Error, Options};
use larder_client::resp::Reply;
use larder_client::slot;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// How long a reply is waited for unless a test says otherwise.
const WAIT: Duration = Duration::from_secs(1);

/// Redirections that are followed in one attempt.
const MOVES_MAX: usize = 5;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// Refusals of a node that has not done what it was asked for.
const REFUSALS: &[&[u8]] =
    &[b"MOVED ", b"CLUSTERDOWN ", b"LOADING ", b"MASTERDOWN ", b"READONLY ", b"TRYAGAIN ", b"ASK "];

/// What came of one attempt.
#[derive(Debug)]
pub enum Attempt {
    /// The node has answered.
    Answered(Reply),
    /// It was not done, for sure: nobody was reached, or whoever was has refused.
    Refused(String),
    /// It was sent, and what came of it is not known.
    Unknown(String),
}

/// One client of a cluster. It belongs to one thread, and asks one thing at a time.
#[derive(Debug)]
pub struct Guide {
    nodes: Vec<SocketAddr>,
    connections: BTreeMap<SocketAddr, Connection>,
    /// Where the keys of a slot were found last.
    places: BTreeMap<u16, SocketAddr>,
    /// Which of the nodes is asked next if nothing better is known.
    turn: usize,
    /// What each connection begins with.
    greeting: Option<&'static [&'static str]>,
    wait: Duration,
}

impl Guide {
    /// A client that is told of these nodes.
    pub fn new(nodes: Vec<SocketAddr>) -> Self {
        Self { nodes, connections: BTreeMap::new(), places: BTreeMap::new(), turn: 0, greeting: None, wait: WAIT }
    }

    /// Has writes answered only once a quorum holds them.
    pub fn at_quorum(mut self) -> Self {
        self.greeting = Some(&["CLIENT", "DURABILITY", "quorum"]);
        self
    }

    /// Waits for so long for each reply, in place of a second: a node that stands still takes connections and answers nothing.
    pub fn waiting(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// Sends a command whose second word is its key, until it is answered. Returns the answer, and how long that took.
    ///
    /// # Panics
    ///
    /// If nobody answers it within `patience`. A command may have been done several times then, or if an answer was lost.
    #[track_caller]
    pub fn call(&mut self, patience: Duration, words: &[&str]) -> (Reply, Duration) {
        let begin = Instant::now();
        loop {
            match self.attempt(words) {
                Attempt::Answered(reply) => return (reply, begin.elapsed()),
                Attempt::Refused(why) | Attempt::Unknown(why) => {
                    assert!(begin.elapsed() < patience, "{words:?} in vain for {:?}: {why}", begin.elapsed());
                }
            }
            thread::sleep(PAUSE);
        }
    }

    /// Sends a command whose second word is its key, once, to the node that is to serve it.
    pub fn attempt(&mut self, words: &[&str]) -> Attempt {
        let slot = slot::of(words[1].as_bytes()).number();
        let mut why = String::new();
        for _ in 0..MOVES_MAX {
            let address = self.places.get(&slot).copied().unwrap_or_else(|| self.next_node());
            let Some(connection) = self.connection(address) else {
                self.places.remove(&slot);
                return Attempt::Refused(format!("{address} can't be reached"));
            };
            let reply = match connection.call(words) {
                Ok(reply) => reply,
                Err(error) => {
                    self.connections.remove(&address);
                    self.places.remove(&slot);
                    return Attempt::Unknown(format!("{address}: {error}"));
                }
            };
            let Reply::Error(text) = &reply else {
                self.places.insert(slot, address);
                return Attempt::Answered(reply);
            };
            why = format!("{address}: {}", String::from_utf8_lossy(text));
            if !REFUSALS.iter().any(|refusal| text.starts_with(refusal)) {
                return Attempt::Unknown(why);
            }
            self.places.remove(&slot);
            let Some(place) = place_of(text) else { return Attempt::Refused(why) };
            self.places.insert(slot, place);
        }
        Attempt::Refused(why)
    }

    fn next_node(&mut self) -> SocketAddr {
        self.turn += 1;
        self.nodes[self.turn % self.nodes.len()]
    }

    fn connection(&mut self, address: SocketAddr) -> Option<&mut Connection> {
        if !self.connections.contains_key(&address) {
            let connection = open(address, self.greeting, self.wait).ok()?;
            self.connections.insert(address, connection);
        }
        self.connections.get_mut(&address)
    }
}

fn open(address: SocketAddr, greeting: Option<&[&str]>, wait: Duration) -> Result<Connection, Error> {
    let wait = Some(wait);
    let options = Options { connect_timeout: wait, read_timeout: wait, write_timeout: wait, ..Options::default() };
    let mut connection = Connection::open_with(address, options)?;
    if let Some(words) = greeting {
        let reply = connection.call(words)?;
        assert!(!reply.is_error(), "{words:?} is refused: {reply:?}");
    }
    Ok(connection)
}

/// Where a `MOVED` leads.
fn place_of(text: &[u8]) -> Option<SocketAddr> {
    std::str::from_utf8(text).ok()?.strip_prefix("MOVED ")?.split(' ').nth(1)?.parse().ok()
}
