//! Sending the stream to replicas: the data first, where they need it, then every write. One thread serves all of them; the
//! data is gathered by a thread of its own.

use super::connection::{Bench, Connection};
use crate::command::clients::Client;
use crate::command::replication::{self, Ask, Asked, Entered, Lost, NewFollower, Phase};
use crate::command::shared::{Shared, now_ms, random_id};
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::TcpStream as StdStream;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{Receiver, UnboundedReceiver, channel};
use tokio::sync::watch;
use tokio::task::LocalSet;

/// Pieces of a snapshot that may wait to be sent.
const PIECES_MAX: usize = 4;

/// Bytes of a piece, where it is read from a file.
const PIECE_BYTES: usize = 256 * 1024;

/// A replica is sent what has been written at most so often, unless somebody waits for it or much has come together.
const PACE: Duration = Duration::from_millis(1);
const PACE_BYTES: u64 = 64 * 1024;

/// How often a node of the cluster that follows is sent something, if only an empty line, which is no part of the stream: one that
/// hears nothing for some time gives the link up and comes anew, as what is sent into a cut is tried again only when TCP thinks fit.
const SPEAK_EVERY: Duration = Duration::from_millis(250);

/// How long replicas may take for what is left when the node stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A connection that has asked to be sent the stream.
pub struct HandedOver {
    pub stream: StdStream,
    pub connection: Connection,
}

/// Serves replicas until the node stops and no more can come. `bell` changes when the stream has grown.
pub fn run(node: Arc<Shared>, mut handed: UnboundedReceiver<HandedOver>, bell: &watch::Receiver<u64>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => return tracing::error!(%error, "the thread that serves replicas could not start"),
    };
    let tasks = LocalSet::new();
    let common = Rc::new(Common::default());
    runtime.block_on(tasks.run_until(async move {
        let mut serving = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                next = handed.recv() => match next {
                    Some(handed) => { serving.spawn_local(serve(node.clone(), handed, bell.clone(), common.clone())); }
                    None => break,
                },
                Some(_) = serving.join_next() => {}
            }
        }
        common.is_last.set(true);
        // Workers are gone, so the stream does not grow any longer: who is there gets the end of it.
        node.replication.wake_feed();
        let _ = tokio::time::timeout(LAST_WORDS, async { while serving.join_next().await.is_some() {} }).await;
    }));
}

/// What all replicas' tasks use.
#[derive(Default)]
struct Common {
    bench: RefCell<Bench>,
    /// Whether the stream does not grow any longer.
    is_last: Cell<bool>,
}

async fn serve(node: Arc<Shared>, handed: HandedOver, bell: watch::Receiver<u64>, common: Rc<Common>) {
    let HandedOver { stream, mut connection } = handed;
    let client = connection.session.client.clone();
    connection.session.worker = node.feed_number();
    let asked = connection.session.asked.take().map(|asked| *asked).unwrap_or_default();
    let ask = connection.session.ask.take().map_or(Ask::Everything, |ask| *ask);
    let Ok(stream) = TcpStream::from_std(stream) else { return node.leave(connection.session) };
    // Writes go out as they come; others wait for them.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    let who = NewFollower {
        host: if asked.host.is_empty() { client.address.ip().to_string() } else { asked.host.clone() },
        port: asked.port,
        is_mute: asked.only_snapshot || ask == Ask::Everything,
        node: asked.node.map(|node| (node, asked.memory)),
        client: client.clone(),
    };
    let mut feeding = Feeding { node: &node, client: &client, write, bell, timeout: replication::timeout(&node) };
    client.is_replica.store(true, Relaxed);
    let mut ears = Ears { node: &node, read, connection, common, buffer: vec![0; 16 * 1024], heard: Instant::now() };
    ears.connection.session.asked = Some(Box::new(asked.clone()));
    let ended = tokio::select! {
        ended = feeding.feed(who, &asked, &ask, &mut ears) => ended,
        () = killed(&client) => Err("it was cut off".to_owned()),
    };
    if let Some(number) = ears.connection.session.asked.as_ref().and_then(|asked| asked.number) {
        node.replication.leave(number);
    }
    match ended {
        Ok(()) => tracing::info!(address = %client.address, "a replica has left"),
        Err(why) => tracing::warn!(address = %client.address, "a replica has left: {why}"),
    }
    node.leave(ears.connection.session);
}

/// Returns once the connection is to end.
async fn killed(client: &Client) {
    poll_fn(|cx| {
        client.set_waker(cx.waker());
        if client.is_killed() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// What a replica says: mostly how far it is.
struct Ears<'a> {
    node: &'a Arc<Shared>,
    read: OwnedReadHalf,
    connection: Connection,
    common: Rc<Common>,
    buffer: Vec<u8>,
    heard: Instant,
}

impl Ears<'_> {
    /// Reads once, and runs what came. There is no answer.
    async fn listen(&mut self) -> Result<(), String> {
        let read = self.read.read(&mut self.buffer).await.map_err(|error| format!("it cannot be read: {error}"))?;
        if read == 0 {
            return Err("it has closed the link".to_owned());
        }
        self.heard = Instant::now();
        let mut pass = self.node.barrier.enter(self.node.feed_number());
        let bench = &mut *self.common.bench.borrow_mut();
        self.connection.receive(&self.buffer[..read], self.node, bench, &mut pass);
        self.connection.run_on(self.node, bench, &mut pass, &mut |_| Ok(()))?;
        self.connection.session.client.active_ms.store(now_ms(), Relaxed);
        Ok(())
    }

    fn set_number(&mut self, number: u64) {
        self.connection.session.asked.get_or_insert_default().number = Some(number);
    }
}

/// A snapshot on its way from the thread that gathers it.
struct Gathering {
    pieces: Receiver<Vec<u8>>,
    entered: Arc<Mutex<Option<Entered>>>,
    result: std::thread::JoinHandle<io::Result<()>>,
}

struct Feeding<'a> {
    node: &'a Arc<Shared>,
    client: &'a Arc<Client>,
    write: OwnedWriteHalf,
    bell: watch::Receiver<u64>,
    timeout: Duration,
}

impl Feeding<'_> {
    async fn feed(&mut self, who: NewFollower, asked: &Asked, ask: &Ask, ears: &mut Ears<'_>) -> Result<(), String> {
        let partial = match ask {
            Ask::Continue { id, next, asks_to_lead } => {
                if *asks_to_lead && let Err(fault) = self.node.take_over(id) {
                    self.send(format!("-{fault}\r\n").as_bytes()).await?;
                    return Err(format!("it asked the node to lead: {fault}"));
                }
                let offset = u64::try_from(next - 1).unwrap_or(u64::MAX);
                self.node.replication.enter_partial(who.clone(), id, offset)
            }
            Ask::Everything => None,
        };
        let number = match partial {
            Some(Entered { number, id, offset }) => {
                ears.set_number(number);
                tracing::info!(address = %self.client.address, offset, "a replica goes on where it was");
                let answer = match asked.knows_psync2 {
                    true => format!("+CONTINUE {id}{}\r\n", self.kin_word(&id, asked)),
                    false => "+CONTINUE\r\n".to_owned(),
                };
                self.send(answer.as_bytes()).await?;
                number
            }
            None => self.send_everything(who, asked, ask, ears).await?,
        };
        if asked.only_snapshot {
            return Ok(());
        }
        self.send_stream(number, asked.node.is_some() && self.node.cluster.is_on(), ears).await
    }

    /// What a replica is told of the kin of the history `id`, with a space before it. Redis and Valkey take no such word.
    fn kin_word(&self, id: &str, asked: &Asked) -> String {
        let kin = self.node.replication.kin(id).to_word();
        if asked.is_larder && !kin.is_empty() { format!(" {kin}") } else { String::new() }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let sending = tokio::time::timeout(self.timeout, self.write.write_all(bytes)).await;
        let sent = sending.map_err(|_| format!("it has taken nothing for {:?} (repl-timeout)", self.timeout))?;
        self.node.stats.worker(self.node.feed_number()).output_bytes.add(bytes.len() as u64);
        sent.map_err(|error| format!("it cannot be written to: {error}"))
    }

    /// Sends the data of this moment. Returns by what the replica is known; the stream goes on from that moment.
    async fn send_everything(
        &mut self,
        who: NewFollower,
        asked: &Asked,
        ask: &Ask,
        ears: &mut Ears<'_>,
    ) -> Result<u64, String> {
        self.node.replication.counts.full.fetch_add(1, Relaxed);
        tracing::info!(address = %self.client.address, "a replica is sent all data");
        let mark = random_id();
        let mut gathering = self.gather(who, asked, asked.knows_eof)?;
        let mut number = None;
        let mut alive = tokio::time::interval(Duration::from_secs(1));
        loop {
            let piece = tokio::select! {
                piece = gathering.pieces.recv() => piece,
                // Another snapshot may be on its way, or this one is written to a file: the replica is told to wait.
                _ = alive.tick() => { self.send(b"\n").await?; continue; }
                heard = ears.listen() => { heard?; continue; }
            };
            let entered = gathering.entered.lock().expect("nobody panics who holds it").take();
            if let Some(Entered { number: new, id, offset }) = entered {
                number = Some(new);
                ears.set_number(new);
                if let Ask::Continue { .. } = ask {
                    let kin = self.kin_word(&id, asked);
                    self.send(format!("+FULLRESYNC {id} {offset}{kin}\r\n").as_bytes()).await?;
                }
                if asked.knows_eof {
                    self.send(format!("$EOF:{mark}\r\n").as_bytes()).await?;
                }
            }
            match piece {
                Some(piece) => {
                    alive.reset();
                    self.send(&piece).await?;
                }
                None => break,
            }
        }
        let result = gathering.result.join().unwrap_or_else(|_| Err(io::Error::other("gathering it broke")));
        result.map_err(|error| format!("the data could not be sent: {error}"))?;
        if asked.knows_eof {
            self.send(mark.as_bytes()).await?;
        }
        let number = number.ok_or("no data was sent")?;
        if asked.knows_eof && !asked.only_snapshot {
            self.await_first_word(ears).await?;
        }
        self.node.replication.set_phase(number, Phase::Online);
        Ok(number)
    }

    /// A replica that finds the end of the data by a mark must not be sent more before it has found it.
    async fn await_first_word(&mut self, ears: &mut Ears<'_>) -> Result<(), String> {
        ears.connection.session.has_acked = false;
        while !ears.connection.session.has_acked {
            let listening = tokio::time::timeout(self.timeout, ears.listen()).await;
            listening.map_err(|_| format!("it has been silent for {:?} (repl-timeout)", self.timeout))??;
        }
        Ok(())
    }

    /// Starts a thread that gathers the data of a moment as soon as no other does.
    fn gather(&self, who: NewFollower, asked: &Asked, is_streamed: bool) -> Result<Gathering, String> {
        let (sender, pieces) = channel(PIECES_MAX);
        let entered = Arc::new(Mutex::new(None));
        let (node, noted, version) = (self.node.clone(), entered.clone(), asked.version());
        let gather = move || {
            let send = |bytes: &[u8]| {
                sender.blocking_send(bytes.to_vec()).map_err(|_| io::Error::other("the replica has left"))
            };
            let mut spool = if is_streamed { None } else { Some(spool(&node)?) };
            loop {
                let mut at_start = || {
                    *noted.lock().expect("nobody panics who holds it") = Some(node.enter_now(who.clone()));
                };
                let result = node.send_snapshot(version, &mut at_start, &mut |bytes| match &mut spool {
                    Some(file) => file.write_all(bytes),
                    None => send(bytes),
                });
                match result {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy && !sender.is_closed() => {
                        std::thread::sleep(Duration::from_millis(20));
                    }
                    Err(error) => return Err(error),
                    Ok(()) => break,
                }
            }
            spool.map_or(Ok(()), |file| send_file(file, &send))
        };
        let spawned = std::thread::Builder::new().name("larder-sync".into()).spawn(gather);
        let result = spawned.map_err(|error| format!("no thread could be started for its data: {error}"))?;
        Ok(Gathering { pieces, entered, result })
    }

    /// Sends the stream for as long as the replica takes it.
    async fn send_stream(&mut self, number: u64, is_in_cluster: bool, ears: &mut Ears<'_>) -> Result<(), String> {
        let mut tick = tokio::time::interval(if is_in_cluster { SPEAK_EVERY } else { Duration::from_secs(1) });
        ears.heard = Instant::now();
        loop {
            self.bell.borrow_and_update();
            let sent = self.send_parts(number).await?;
            if ears.common.is_last.get() && !sent {
                return Ok(());
            }
            if sent {
                // Writes that come within this time go together.
                tokio::select! {
                    () = tokio::time::sleep(PACE), if self.node.replication.behind(number) < PACE_BYTES => {}
                    _ = self.bell.changed() => {}
                    heard = ears.listen() => heard?,
                }
                continue;
            }
            tokio::select! {
                _ = self.bell.changed() => {}
                heard = ears.listen() => heard?,
                _ = tick.tick() => {
                    if ears.heard.elapsed() > self.timeout {
                        return Err(format!("it has been silent for {:?} (repl-timeout)", self.timeout));
                    }
                    // All that it was sent so far is whole commands.
                    if is_in_cluster {
                        self.send(b"\n").await?;
                    }
                }
            }
        }
    }

    /// Sends what there is. Returns whether there was anything; if not, the bell is rung when there is.
    async fn send_parts(&mut self, number: u64) -> Result<bool, String> {
        let mut sent = false;
        loop {
            match self.node.replication.take_part(number, !sent) {
                Ok(Some(part)) => self.send(part.bytes()).await?,
                Ok(None) => return Ok(sent),
                Err(Lost) => return Err("what it needs next is not kept any more".to_owned()),
            }
            sent = true;
        }
    }
}

/// A file without a name, for data whose length is to be told first.
fn spool(node: &Shared) -> io::Result<File> {
    let path = format!("temp-{}-{}.replica.rdb", std::process::id(), node.clients.next_id());
    let file = File::options().create_new(true).read(true).write(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

fn send_file(mut file: File, send: &dyn Fn(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let length = file.stream_position()?;
    file.seek(SeekFrom::Start(0))?;
    send(format!("${length}\r\n").as_bytes())?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(()),
            read => send(&piece[..read])?,
        }
    }
}
