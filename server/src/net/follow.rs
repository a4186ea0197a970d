//! Following a primary: the link to it, what it says, and running that. One thread does all of it.

mod lost;

use super::connection::{Bench, Connection};
use crate::command::Session;
use crate::command::clients::Client;
use crate::command::cluster::Cluster;
use crate::command::replication::{self, Goal, LinkState, NOT_LEADING, Receiving};
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

/// How long after a failure the next try comes; in a cluster, where others wait for the replica.
const RETRY: Duration = Duration::from_secs(1);
const RETRY_IN_CLUSTER: Duration = Duration::from_millis(200);

/// In a cluster: after how many looks at the link, so far apart, at which nothing has come it is given up. The primary says something
/// several times in that time. Looks are counted rather than time, so that a node which stood still itself reads first what has come.
const LOOKS_MAX: u32 = 10;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// In a cluster: how long the primary may take to answer while it is greeted, and to say what comes when it has been asked for
/// the stream, which may make it wait for another snapshot. As long as a snapshot comes, `repl-timeout` holds.
const GREETING_MAX: Duration = Duration::from_secs(1);
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// In a cluster: how long a try to connect may take, and after how long the next is begun beside it. What is asked for in a cut gets
/// no answer, and would be asked for again by TCP only after a second.
const CONNECT_MAX: Duration = Duration::from_secs(1);
const CONNECT_EVERY: Duration = Duration::from_millis(250);

/// How often it is looked whether the cluster counts on the node no more.
const RENOUNCED_YET: Duration = Duration::from_millis(5);

/// How often the primary is told how far the node is.
const ACK_EVERY: Duration = Duration::from_secs(1);

/// What is said of a primary that the node is not to follow any longer.
const LATE: &str = "is not to be followed any longer";

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
        let look = node.step_failover();
        let goal = node.replication.goal();
        let Some((host, port)) = goal.upstream.clone().filter(|_| !node.loading.is_on()) else {
            // What is being loaded tells where to go on from.
            let again = if goal.upstream.is_some() { Duration::from_millis(20) } else { look };
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
        let retry = if node.cluster.is_on() { RETRY_IN_CLUSTER } else { RETRY };
        // One that has just been promoted leads as soon as it has its lease.
        if why != told && !why.contains(NOT_LEADING) {
            tracing::warn!(%host, port, "the link to the primary is down: it {why}. It is tried again every {retry:?}");
            told = why;
        }
        tokio::select! {
            () = changed(node, &mut bell, goal.generation) => {}
            () = tokio::time::sleep(retry) => {}
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
    let late = |_| LATE.to_owned();
    let timeout = replication::timeout(node);
    node.replication.set_link(goal.generation, LinkState::Connecting).map_err(late)?;
    let is_in_cluster = node.cluster.is_on();
    let stream = match is_in_cluster {
        true => connect_quickly((host, port)).await?,
        false => connect((host, port), timeout).await?,
    };
    // Acknowledgements are short and others wait for them; without it they come late.
    let _ = stream.set_nodelay(true);
    let mut link = Link { node, stream, buffer: vec![0; READ_BYTES], timeout, is_in_cluster };
    let config = node.live.config();
    let announced_port = config.replica_announce_port;
    let mut greeting = Greeting::new(Manners {
        user: config.masteruser,
        // The nodes of a cluster have one password.
        password: if config.masterauth.is_empty() && node.cluster.is_on() {
            config.requirepass
        } else {
            config.masterauth
        },
        listening_port: if announced_port == 0 { node.port } else { announced_port },
        announced_ip: config.replica_announce_ip,
        place: goal.place.clone(),
        asks_to_lead: goal.asks_to_lead,
        node: node.cluster.announced(),
    });
    let greeted = link.greet(&mut greeting).await;
    if goal.asks_to_lead {
        match &greeted {
            Ok(_) => node.end_failover(goal.generation),
            Err(_) => node.fail_failover(goal.generation, greeting.has_asked(), greeting.refusal()),
        }
    }
    let next = greeted?;
    let (db, rest) = match next {
        Next::Full { id, offset, kin, snapshot } => {
            tracing::info!(%host, port, offset, "all data comes from the primary");
            let shared = goal.place.as_ref().and_then(|(own, _)| kin.shared_with(own));
            let tell_lost = || {
                if let Some(shared) = shared {
                    lost::tell(node, goal.generation, shared);
                }
            };
            if !Receiving::keeps_until_whole(node) {
                link.renounce(goal.generation).await?;
                tell_lost();
            }
            *receiving = Some(Receiving::begin(node, goal.generation, (id, offset, kin), snapshot)?);
            link.receive_all(goal.generation, greeting.take_rest(), receiving).await?;
            tell_lost();
            let rest = link.take_over(receiving)?;
            tracing::info!(%host, port, keys = node.store.totals().keys.iter().sum::<usize>(), "the data is here");
            (node.replication.selected(), rest)
        }
        Next::Continue { id, kin } => {
            node.replication.go_on(goal.generation, id, kin).map_err(late)?;
            tracing::info!(%host, port, "goes on where it was");
            (goal.db, greeting.take_rest())
        }
        Next::Send(_) | Next::Read => unreachable!("a greeting ends with neither"),
    };
    node.replication.set_link(goal.generation, LinkState::Connected).map_err(late)?;
    link.run_stream(Runner::new(node, goal.generation, db, link_addresses(&link.stream)), rest).await
}

async fn connect(to: (&str, u16), within: Duration) -> Result<TcpStream, String> {
    let connecting = tokio::time::timeout(within, TcpStream::connect(to)).await;
    connecting.map_err(|_| "does not answer".to_owned())?.map_err(broke("cannot be reached"))
}

/// Begins a further try as long as none has come to an end, and takes whichever does so first.
async fn connect_quickly((host, port): (&str, u16)) -> Result<TcpStream, String> {
    let mut tries = tokio::task::JoinSet::new();
    let begin = Instant::now();
    loop {
        if begin.elapsed() < CONNECT_MAX {
            let host = host.to_owned();
            tries.spawn(async move { connect((&host, port), CONNECT_MAX).await });
        }
        tokio::select! {
            Some(ended) = tries.join_next() => return ended.unwrap_or_else(|error| Err(format!("cannot be reached: {error}"))),
            () = tokio::time::sleep(CONNECT_EVERY) => {}
        }
    }
}

fn link_addresses(stream: &TcpStream) -> (SocketAddr, SocketAddr) {
    let none = SocketAddr::from(([0, 0, 0, 0], 0));
    (stream.peer_addr().unwrap_or(none), stream.local_addr().unwrap_or(none))
}

/// For as long as it lives, the node asks its cluster not to count on what it holds.
struct Renouncing<'a>(&'a Cluster);

impl Renouncing<'_> {
    fn begin(cluster: &Cluster) -> Renouncing<'_> {
        cluster.set_renouncing(true);
        Renouncing(cluster)
    }
}

impl Drop for Renouncing<'_> {
    fn drop(&mut self) {
        self.0.set_renouncing(false);
    }
}

struct Link<'a> {
    node: &'a Arc<Shared>,
    stream: TcpStream,
    buffer: Vec<u8>,
    /// As `repl-timeout` says.
    timeout: Duration,
    is_in_cluster: bool,
}

impl Link<'_> {
    /// Reads some bytes, which come within so long.
    async fn read(&mut self, within: Duration) -> Result<usize, String> {
        let reading = tokio::time::timeout(within, self.stream.read(&mut self.buffer)).await;
        let read = reading.map_err(|_| self.silent_for(within))?;
        match read.map_err(broke("cannot be read"))? {
            0 => Err("has closed it".to_owned()),
            read => Ok(read),
        }
    }

    fn silent_for(&self, time: Duration) -> String {
        let setting = if time == self.timeout { " (repl-timeout)" } else { "" };
        format!("has been silent for {time:?}{setting}")
    }

    async fn greet(&mut self, greeting: &mut Greeting) -> Result<Next, String> {
        loop {
            match greeting.go_on().map_err(|failed| failed.0)? {
                Next::Send(bytes) => self.stream.write_all(&bytes).await.map_err(broke("cannot be written to"))?,
                Next::Read => {
                    let within = match (self.is_in_cluster, greeting.has_asked()) {
                        (false, _) => self.timeout,
                        (true, false) => GREETING_MAX.min(self.timeout),
                        (true, true) => ANSWER_MAX.min(self.timeout),
                    };
                    let read = self.read(within).await?;
                    greeting.feed(&self.buffer[..read]);
                }
                next => return Ok(next),
            }
        }
    }

    /// Waits until the cluster does not count on what the node holds any more, which is to be thrown away.
    async fn renounce(&mut self, generation: u64) -> Result<(), String> {
        let cluster = &self.node.cluster;
        let known = cluster.announced();
        let _renouncing = Renouncing::begin(cluster);
        while cluster.view().is_counted_on() {
            if !self.node.replication.is_current(generation) {
                return Err(LATE.to_owned());
            }
            tokio::time::sleep(RENOUNCED_YET).await;
            let _ = self.stream.try_write(b"\n");
        }
        let Some((_, memory)) = cluster.announced().filter(|now| known.as_ref() != Some(now)) else { return Ok(()) };
        let (mut out, memory) = (Vec::new(), memory.to_string());
        push_command(&mut out, [&b"REPLCONF"[..], b"memory", memory.as_bytes()].into_iter());
        self.stream.write_all(&out).await.map_err(broke("cannot be written to"))
    }

    /// Takes all data, until nothing is left but to let it take the place of what is there.
    async fn receive_all(
        &mut self,
        generation: u64,
        first: Vec<u8>,
        receiving: &mut Option<Receiving>,
    ) -> Result<(), String> {
        let mut is_whole = match receiving {
            Some(receiving) if !first.is_empty() => receiving.take(self.node, &first)?,
            _ => false,
        };
        let mut alive = Instant::now();
        while !is_whole {
            let read = self.read(self.timeout).await?;
            is_whole = match receiving {
                Some(receiving) => receiving.take(self.node, &self.buffer[..read])?,
                None => return Err(LATE.to_owned()),
            };
            if alive.elapsed() > ACK_EVERY {
                // It says that the node is alive. What is not taken now need not be.
                let _ = self.stream.try_write(b"\n");
                alive = Instant::now();
            }
        }
        self.renounce(generation).await
    }

    /// Lets the data take the place of what is there. Returns what came behind it.
    fn take_over(&self, receiving: &mut Option<Receiving>) -> Result<Vec<u8>, String> {
        let stream = &self.stream;
        let rest = receiving.as_mut().ok_or(LATE)?.finish(self.node, &mut || {
            let _ = stream.try_write(b"\n");
        })?;
        *receiving = None;
        Ok(rest)
    }

    /// Runs what comes, and tells the primary how far the node is.
    async fn run_stream(&mut self, mut runner: Runner<'_>, rest: Vec<u8>) -> Result<(), String> {
        // The first word that the node is there: a primary that has sent its data begins the stream with it.
        let mut offset = runner.run(&rest)?;
        self.acknowledge(offset).await?;
        let mut look = tokio::time::interval(if self.is_in_cluster { LOOK_EVERY } else { ACK_EVERY });
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut heard, mut looks, mut acknowledged) = (Instant::now(), 0, Instant::now());
        loop {
            tokio::select! {
                read = self.stream.read(&mut self.buffer) => match read.map_err(broke("cannot be read"))? {
                    0 => return Err("has closed it".to_owned()),
                    read => {
                        (heard, looks) = (Instant::now(), 0);
                        offset = runner.run(&self.buffer[..read])?;
                        if runner.takes_wish_for_ack() {
                            self.acknowledge(offset).await?;
                        }
                    }
                },
                _ = look.tick() => {
                    if heard.elapsed() > self.timeout {
                        return Err(self.silent_for(self.timeout));
                    }
                    looks += 1;
                    if self.is_in_cluster && looks > LOOKS_MAX {
                        return Err(self.silent_for(LOOK_EVERY * LOOKS_MAX));
                    }
                    if acknowledged.elapsed() + LOOK_EVERY / 2 > ACK_EVERY {
                        self.acknowledge(offset).await?;
                        acknowledged = Instant::now();
                    }
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
    /// Whether the primary says that it is there by empty lines, which are no part of its stream.
    skips_blanks: bool,
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
        let skips_blanks = node.cluster.is_on();
        Runner { node, generation, connection, bench, held: Vec::new(), passed: 0, skips_blanks }
    }

    /// Runs what is whole, and passes it on. Returns the offset up to which the node holds the stream.
    ///
    /// # Errors
    ///
    /// Why the link is to be given up.
    pub fn run(&mut self, bytes: &[u8]) -> Result<u64, String> {
        let number = self.node.follow_number();
        let mut pass = self.node.barrier.enter(number);
        // A change of the upstream takes the barrier, so it is seen here, or waits, or calls off what gives it way.
        if !self.node.replication.is_current(self.generation) {
            return Err(LATE.to_owned());
        }
        if self.connection.session.client.is_killed() {
            return Err("was cut off by CLIENT KILL".to_owned());
        }
        let Runner { node, generation, connection, bench, held, passed, skips_blanks } = self;
        held.extend_from_slice(bytes);
        connection.receive(bytes, node, bench, &mut pass);
        let mut offset = Err(LATE.to_owned());
        // A transaction that has begun is passed on, and counted, as a whole.
        connection.run_on(node, bench, &mut pass, &mut |connection| {
            let settled = connection.settled();
            let before = std::mem::replace(passed, settled);
            let mut done = (settled - before) as usize;
            let blanks = connection.blanks().iter().filter(|blank| *skips_blanks && blank.start >= before);
            for blank in blanks.rev().filter(|blank| blank.end <= settled) {
                done -= held.drain((blank.start - before) as usize..(blank.end - before) as usize).len();
            }
            let db = connection.session.db;
            offset = node.replication.pass_on(*generation, &held[..done], db).map_err(|_| LATE.to_owned());
            held.drain(..done);
            offset.clone().map(drop)
        })?;
        connection.forget_blanks();
        drop(pass);
        node.replication.nudge();
        connection.session.client.active_ms.store(now_ms(), std::sync::atomic::Ordering::Relaxed);
        offset
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::replication::NewFollower;
    use crate::command::testing::Desk;
    use crate::repl::history::Kin;
    use crate::repl::spell::push_command;
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

    /// Commands about everything give way for a moment; whoever comes in then must find what the stream says.
    #[test]
    fn whoever_takes_the_barrier_finds_what_the_stream_says() {
        let desk = Desk::new();
        let node = &desk.node;
        node.barrier.alone(|| node.follow(Some(("primary".to_owned(), 1))));
        let generation = node.replication.goal().generation;
        let (mut stream, mut pieces, mut sums) = (Vec::new(), Vec::new(), HashMap::from([(0, 0)]));
        let mut sum = 0;
        for number in 0..6_000u64 {
            let words: &[&[u8]] = match number % 3 {
                0 => &[b"SWAPDB", b"0", b"0"],
                _ => &[b"INCR", b"n"],
            };
            sum += u64::from(words.len() == 2);
            push_command(&mut stream, words.iter().copied());
            sums.insert(stream.len() as u64, sum);
            if number % 20 == 19 {
                pieces.push(stream.len());
            }
        }
        let (is_over, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let looking = scope.spawn(|| {
                while !is_over.load(Relaxed) {
                    let moment = node.store.moment(now_ms());
                    let key = node.store.key(b"n");
                    let (offset, held) = node.barrier.alone(|| {
                        let keys = node.store.lock_one(key.place.stripe(), 0, moment);
                        let mut text = b"0".to_vec();
                        keys.entry(key).into_iter().for_each(|entry| entry.value().append_to(&mut text));
                        let held = String::from_utf8(text).expect("INCR counts").parse().expect("INCR counts");
                        (node.replication.offset(), held)
                    });
                    assert_eq!(sums.get(&offset), Some(&held), "at offset {offset}");
                    looks.fetch_add(1, Relaxed);
                }
            });
            let address = SocketAddr::from(([127, 0, 0, 1], 1));
            let mut runner = Runner::new(node, generation, 0, (address, address));
            let mut from = 0;
            for (number, to) in pieces.into_iter().enumerate() {
                runner.run(&stream[from..to]).expect("it is followed");
                from = to;
                // Now and then until somebody has looked, however busy the machine is.
                while number % 30 == 0 && looks.load(Relaxed) <= number / 30 && !looking.is_finished() {
                    std::thread::yield_now();
                }
            }
            is_over.store(true, Relaxed);
            looking.join().expect("nothing else was found");
        });
        assert_eq!(node.replication.offset(), stream.len() as u64);
    }

    /// A primary that has nothing to say says so by empty lines, wherever they come among what it says.
    #[test]
    fn empty_lines_are_no_part_of_the_stream() {
        let mut desk = Desk::in_empty_cluster();
        let node = desk.node.clone();
        node.barrier.alone(|| node.follow(Some(("primary".to_owned(), 1))));
        let (generation, id) = (node.replication.goal().generation, "a".repeat(40));
        node.replication.begin_at(generation, (id.clone(), 0, Kin::default()), 0).expect("it is followed");
        let client = desk.again().session.client.clone();
        let who = NewFollower { client, host: "h".into(), port: 1, is_mute: true, node: None };
        let number = node.replication.enter_partial(who, &id, 0).expect("it begins where the stream does").number;
        let (mut stream, mut said) = (Vec::new(), Vec::new());
        for step in 0..100u64 {
            let from = stream.len();
            if step % 5 == 0 {
                push_command(&mut stream, [&b"MULTI"[..]].into_iter());
            }
            push_command(&mut stream, [&b"INCR"[..], b"n"].into_iter());
            if step % 5 == 0 {
                push_command(&mut stream, [&b"EXEC"[..]].into_iter());
            }
            said.extend_from_slice(&stream[from..]);
            (0..step % 3).for_each(|_| said.push(b'\n'));
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let mut runner = Runner::new(&node, generation, 0, (address, address));
        let mut rest = &said[..];
        for len in (1..=60).cycle() {
            let (now, later) = rest.split_at(len.min(rest.len()));
            runner.run(now).expect("it is followed");
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        assert_eq!(node.replication.offset(), stream.len() as u64);
        let mut passed_on = Vec::new();
        while let Some(part) = node.replication.take_part(number, false).expect("it is not cut off") {
            passed_on.extend_from_slice(part.bytes());
        }
        assert_eq!(passed_on, stream);
        desk.session.is_primary = true;
        desk.check("GET n", "$3 100");
    }
}
