//! Following a primary: the link to it, what it says, and running that. One thread does all of it.

use super::connection::{Bench, Connection};
use crate::command::Session;
use crate::command::clients::Client;
use crate::command::replication::{self, Goal, LinkState, Receiving};
use crate::command::shared::{Shared, now_ms};
use crate::repl::greeting::{Greeting, Manners, Next};
use crate::repl::spell::push_command;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Bytes read at a time.
const READ_BYTES: usize = 256 * 1024;

/// How long after a failure the next try comes.
const RETRY: Duration = Duration::from_secs(1);

/// How often the primary is told how far the node is.
const ACK_EVERY: Duration = Duration::from_secs(1);

/// Follows whom the node is to follow, until it stops. `bell` changes when that may have changed.
pub fn run(node: &Arc<Shared>, bell: watch::Receiver<u64>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "the thread that follows a primary could not start"),
    };
    runtime.block_on(follow(node, bell));
}

async fn follow(node: &Arc<Shared>, mut bell: watch::Receiver<u64>) {
    let mut told = String::new();
    while !node.is_stopping() {
        bell.borrow_and_update();
        let goal = node.replication.goal();
        let Some((host, port)) = goal.upstream.clone().filter(|_| !node.loading.is_on()) else {
            // What is being loaded tells where to go on from.
            let again = if goal.upstream.is_some() { Duration::from_millis(20) } else { Duration::MAX };
            tokio::select! {
                _ = bell.changed() => {}
                () = tokio::time::sleep(again) => {}
            }
            continue;
        };
        let mut receiving = None;
        let ended = tokio::select! {
            ended = link(node, &goal, (&host, port), &mut receiving) => Some(ended),
            () = changed(node, &mut bell, goal.generation) => None,
        };
        if let Some(receiving) = receiving.take() {
            receiving.give_up(node);
        }
        let Some(Err(why)) = ended else { continue };
        // If it is late, somebody else says how the link stands.
        let _ = node.replication.set_link(goal.generation, LinkState::Connect);
        if why != told {
            tracing::warn!(%host, port, "the link to the primary is down: it {why}. It is tried again every second");
            told = why;
        }
        tokio::select! {
            () = changed(node, &mut bell, goal.generation) => {}
            () = tokio::time::sleep(RETRY) => {}
        }
    }
}

/// Returns when the node is to follow another one, or to stop.
async fn changed(node: &Shared, bell: &mut watch::Receiver<u64>, generation: u64) {
    while !node.is_stopping() && node.replication.goal().generation == generation {
        if bell.changed().await.is_err() {
            return;
        }
    }
}

/// What went wrong with an operation on the link.
fn broke(what: &str) -> impl Fn(io::Error) -> String {
    move |error| format!("{what}: {error}")
}

/// A link from its beginning to its end, which is always an error.
async fn link(
    node: &Arc<Shared>,
    goal: &Goal,
    (host, port): (&str, u16),
    receiving: &mut Option<Receiving>,
) -> Result<(), String> {
    let late = |_| "is not to be followed any longer".to_owned();
    let timeout = replication::timeout(node);
    node.replication.set_link(goal.generation, LinkState::Connecting).map_err(late)?;
    let connecting = tokio::time::timeout(timeout, TcpStream::connect((host, port))).await;
    let stream = connecting.map_err(|_| "does not answer".to_owned())?.map_err(broke("cannot be reached"))?;
    // Acknowledgements are short and others wait for them; without it they come late.
    let _ = stream.set_nodelay(true);
    let mut link = Link { node, stream, buffer: vec![0; READ_BYTES], timeout };
    let config = node.live.config();
    let announced_port = config.replica_announce_port;
    let mut greeting = Greeting::new(Manners {
        user: config.masteruser,
        password: config.masterauth,
        listening_port: if announced_port == 0 { node.port } else { announced_port },
        announced_ip: config.replica_announce_ip,
        place: goal.place.clone(),
    });
    let next = link.greet(&mut greeting).await?;
    let (db, rest) = match next {
        Next::Full { id, offset, snapshot } => {
            tracing::info!(%host, port, offset, "all data comes from the primary");
            *receiving = Some(Receiving::begin(node, goal.generation, (id, offset), snapshot)?);
            let rest = link.receive_all(greeting.take_rest(), receiving).await?;
            tracing::info!(%host, port, keys = node.store.totals().keys.iter().sum::<usize>(), "the data is here");
            (node.replication.selected(), rest)
        }
        Next::Continue { id } => {
            node.replication.go_on(goal.generation, id).map_err(late)?;
            tracing::info!(%host, port, "goes on where it was");
            (goal.db, greeting.take_rest())
        }
        Next::Send(_) | Next::Read => unreachable!("a greeting ends with neither"),
    };
    node.replication.set_link(goal.generation, LinkState::Connected).map_err(late)?;
    link.run_stream(Runner::new(node, goal.generation, db, link_addresses(&link.stream)), rest).await
}

fn link_addresses(stream: &TcpStream) -> (SocketAddr, SocketAddr) {
    let none = SocketAddr::from(([0, 0, 0, 0], 0));
    (stream.peer_addr().unwrap_or(none), stream.local_addr().unwrap_or(none))
}

struct Link<'a> {
    node: &'a Arc<Shared>,
    stream: TcpStream,
    buffer: Vec<u8>,
    timeout: Duration,
}

impl Link<'_> {
    /// Reads some bytes.
    async fn read(&mut self) -> Result<usize, String> {
        let reading = tokio::time::timeout(self.timeout, self.stream.read(&mut self.buffer)).await;
        let read = reading.map_err(|_| format!("has been silent for {:?} (repl-timeout)", self.timeout))?;
        match read.map_err(broke("cannot be read"))? {
            0 => Err("has closed it".to_owned()),
            read => Ok(read),
        }
    }

    async fn greet(&mut self, greeting: &mut Greeting) -> Result<Next, String> {
        loop {
            match greeting.go_on().map_err(|failed| failed.0)? {
                Next::Send(bytes) => self.stream.write_all(&bytes).await.map_err(broke("cannot be written to"))?,
                Next::Read => {
                    let read = self.read().await?;
                    greeting.feed(&self.buffer[..read]);
                }
                next => return Ok(next),
            }
        }
    }

    /// Takes all data. Returns what came behind it.
    async fn receive_all(&mut self, first: Vec<u8>, receiving: &mut Option<Receiving>) -> Result<Vec<u8>, String> {
        let mut is_whole = match receiving {
            Some(receiving) if !first.is_empty() => receiving.take(self.node, &first)?,
            _ => false,
        };
        let mut alive = Instant::now();
        while !is_whole {
            let read = self.read().await?;
            is_whole = match receiving {
                Some(receiving) => receiving.take(self.node, &self.buffer[..read])?,
                None => return Err("is not to be followed any longer".to_owned()),
            };
            if alive.elapsed() > ACK_EVERY {
                // It says that the node is alive. What is not taken now need not be.
                let _ = self.stream.try_write(b"\n");
                alive = Instant::now();
            }
        }
        let whole = receiving.take().ok_or("is not to be followed any longer")?;
        let stream = &self.stream;
        whole.finish(self.node, &mut || {
            let _ = stream.try_write(b"\n");
        })
    }

    /// Runs what comes, and tells the primary how far the node is.
    async fn run_stream(&mut self, mut runner: Runner<'_>, rest: Vec<u8>) -> Result<(), String> {
        // The first word that the node is there: a primary that has sent its data begins the stream with it.
        let mut offset = runner.run(&rest)?;
        self.acknowledge(offset).await?;
        let mut acknowledge = tokio::time::interval(ACK_EVERY);
        acknowledge.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                read = self.stream.read(&mut self.buffer) => match read.map_err(broke("cannot be read"))? {
                    0 => return Err("has closed it".to_owned()),
                    read => {
                        heard = Instant::now();
                        offset = runner.run(&self.buffer[..read])?;
                        if runner.takes_wish_for_ack() {
                            self.acknowledge(offset).await?;
                        }
                    }
                },
                _ = acknowledge.tick() => {
                    if heard.elapsed() > self.timeout {
                        return Err(format!("has been silent for {:?} (repl-timeout)", self.timeout));
                    }
                    self.acknowledge(offset).await?;
                }
            }
        }
    }

    async fn acknowledge(&mut self, offset: u64) -> Result<(), String> {
        let (mut out, offset) = (Vec::new(), offset.to_string());
        push_command(&mut out, [&b"REPLCONF"[..], b"ACK", offset.as_bytes()].into_iter());
        self.stream.write_all(&out).await.map_err(broke("cannot be written to"))
    }
}

/// Runs the commands of a stream, and passes them on.
pub struct Runner<'a> {
    node: &'a Arc<Shared>,
    generation: u64,
    connection: Connection,
    bench: Bench,
    /// Bytes that have come and are not passed on: those of commands that have not been run.
    held: Vec<u8>,
    /// Bytes that were passed on.
    passed: u64,
}

impl<'a> Runner<'a> {
    /// For the stream of the upstream with this generation, which has selected a database; between these addresses.
    pub fn new(
        node: &'a Arc<Shared>,
        generation: u64,
        db: usize,
        (peer, local): (SocketAddr, SocketAddr),
    ) -> Runner<'a> {
        let number = node.follow_number();
        let client = Arc::new(Client::new(node.clients.next_id(), peer, local, -1, number, now_ms()));
        client.is_primary.store(true, std::sync::atomic::Ordering::Relaxed);
        node.clients.add(client.clone());
        let mut session = Session::new(client, true);
        session.is_primary = true;
        session.select(db);
        let (connection, bench) = (Connection::new(session), Bench::default());
        Runner { node, generation, connection, bench, held: Vec::new(), passed: 0 }
    }

    /// Runs what is whole, and passes it on. Returns the offset up to which the node holds the stream.
    ///
    /// # Errors
    ///
    /// Why the link is to be given up.
    pub fn run(&mut self, bytes: &[u8]) -> Result<u64, String> {
        let number = self.node.follow_number();
        // A command about everything gives its gate up for a moment, when what ran before it is not passed on.
        let applying = self.node.replication.applying();
        let mut pass = self.node.barrier.enter(number);
        if self.connection.session.client.is_killed() {
            return Err("was cut off by CLIENT KILL".to_owned());
        }
        // A change of the upstream takes the barrier, so it is either seen here, or waits until this is done.
        if !self.node.replication.is_current(self.generation) {
            return Err("is not to be followed any longer".to_owned());
        }
        self.held.extend_from_slice(bytes);
        self.connection.receive(bytes, self.node, &mut self.bench, &mut pass);
        self.connection.run_on(self.node, &mut self.bench, &mut pass).map_err(str::to_owned)?;
        // A transaction that has begun is passed on, and counted, as a whole.
        let settled = self.connection.settled();
        let done = (settled - std::mem::replace(&mut self.passed, settled)) as usize;
        let db = self.connection.session.db;
        let passed = self.node.replication.pass_on(self.generation, &self.held[..done], db);
        self.held.drain(..done);
        drop(pass);
        drop(applying);
        self.node.replication.nudge();
        self.connection.session.client.active_ms.store(now_ms(), std::sync::atomic::Ordering::Relaxed);
        passed.map_err(|_| "is not to be followed any longer".to_owned())
    }

    /// Whether the primary has asked how far the node is.
    fn takes_wish_for_ack(&mut self) -> bool {
        std::mem::take(&mut self.connection.session.wants_ack)
    }
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        self.node.clients.remove(self.connection.session.client.id);
    }
}
