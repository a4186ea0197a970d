//! A worker: one thread, one runtime, and the connections that were given to it for life.

use super::connection::{Bench, Connection, Wish};
use super::round::{HELD_MAX, HeldRead, likely_key};
use crate::command::Session;
use crate::command::ahead::Ahead;
use crate::command::clients::Client;
use crate::command::shared::{Shared, now_ms, time_to};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{Shutdown, TcpStream as StdStream};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::LocalSet;
use tokio::time::Sleep;

/// Bytes read at a time.
const READ_BYTES: usize = 64 * 1024;

/// How often a worker looks for keys that are due, and for other small duties.
const TICK: Duration = Duration::from_millis(50);

/// Keys that are expired under one hold of a stripe's lock.
const EXPIRE_KEYS: usize = 64;

/// Work of a tick after which connections get their turn. A step of it takes some 40 microseconds, so no request waits
/// longer than 150 for the duties, and a worker that has nothing else to do spends 3 % of its time on looking for requests.
const DUTY_SLICE: Duration = Duration::from_micros(100);

/// Keys that are evicted before connections get their turn while the store is over its limit, as it is once the limit is
/// lowered, and how often that is done in a tick.
const ROOM_KEYS: usize = 64;
const ROOM_SLICES: usize = 512;

/// Once the node is to stop, a connection is over when nothing has come for so long: what its peer had sent by then is
/// on its way through the system's buffers.
const STOP_QUIET: Duration = Duration::from_millis(20);

/// A peer that goes on sending is not listened to for longer than this once the node is to stop.
const STOP_READ_MAX: Duration = Duration::from_secs(2);

/// A connection that has been accepted.
pub struct Accepted {
    pub stream: StdStream,
    pub client: Arc<Client>,
    /// Whether no password is asked of it.
    pub authenticated: bool,
}

/// What the connections of a worker use in turn.
struct Worker {
    node: Arc<Shared>,
    number: usize,
    lent: RefCell<Lent>,
}

struct Lent {
    bench: Bench,
    read: Box<[u8]>,
    /// The keys of reads that are held.
    ahead: Ahead,
}

/// Runs a worker until its channel is closed and its connections have ended.
///
/// # Errors
///
/// If the system gives no runtime.
pub fn run(number: usize, node: Arc<Shared>, mut accepted: UnboundedReceiver<Accepted>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let lent = Lent { bench: Bench::default(), read: vec![0; READ_BYTES].into(), ahead: Ahead::default() };
    let worker = Rc::new(Worker { node, number, lent: RefCell::new(lent) });
    let tasks = LocalSet::new();
    tasks.spawn_local(keep_on(worker.clone()));
    runtime.block_on(tasks.run_until(async move {
        let mut serving = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                next = accepted.recv() => match next {
                    Some(accepted) => { serving.spawn_local(serve(accepted, worker.clone())); }
                    None => break,
                },
                Some(_) = serving.join_next() => {}
            }
        }
        while serving.join_next().await.is_some() {}
    }));
    Ok(())
}

/// Serves one connection to its end.
async fn serve(accepted: Accepted, worker: Rc<Worker>) {
    let Accepted { stream, client, authenticated } = accepted;
    let Ok(stream) = TcpStream::from_std(stream) else {
        return;
    };
    let mut served = Served {
        stream,
        connection: Connection::new(Session::new(client.clone(), authenticated)),
        worker,
        held: HeldRead::default(),
        sleep: None,
        soft: None,
        stop: None,
        is_unpublished: false,
        has_waker: false,
    };
    poll_fn(|cx| served.poll(cx)).await;
    let Served { stream, connection, worker, .. } = served;
    worker.node.leave(connection.session);
    if let Ok(stream) = stream.into_std() {
        // The peer may be gone already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

struct Served {
    stream: TcpStream,
    connection: Connection,
    worker: Rc<Worker>,
    /// A read that waits for those of other connections.
    held: HeldRead,
    /// The time at which a request that waits is run again.
    sleep: Option<Pin<Box<Sleep>>>,
    /// The time at which replies that wait are too many for too long; set while they are above the soft limit.
    soft: Option<Pin<Box<Sleep>>>,
    /// Whether requests have been run since others were last shown this connection's state.
    is_unpublished: bool,
    /// Whether others know how to wake this connection.
    has_waker: bool,
    /// Set once the node is to stop.
    stop: Option<Box<Stop>>,
}

/// The end of listening to a peer, because the node is to stop.
struct Stop {
    quiet: Pin<Box<Sleep>>,
    last: Instant,
}

/// How a read went.
enum Received {
    /// There may be more.
    Some,
    /// It is held until the other connections have read.
    Held,
    /// The buffer was filled: very likely there is more.
    Full,
    /// The peer has closed the connection, or it is broken.
    End,
}

impl Served {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.has_waker {
            // It stays the same, as a connection is a task of its own.
            self.connection.session.client.set_waker(cx.waker());
            self.has_waker = true;
        }
        if !self.held.is_empty() {
            self.run_held();
        }
        let over = self.advance(cx);
        self.connection.publish_output();
        over
    }

    /// Moves bytes until nothing moves, or others have waited long enough. Ready when the connection is over.
    fn advance(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let client = self.connection.session.client.clone();
        let mut had_turn = false;
        loop {
            if client.is_killed() {
                return Poll::Ready(());
            }
            if let Some(pushed) = client.take_inbox() {
                self.connection.push(pushed);
            }
            let sent_all = match self.poll_send(cx) {
                Poll::Ready(Ok(())) => true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending if self.is_over_output(cx) => return Poll::Ready(()),
                Poll::Pending => false,
            };
            // What is shown is what is left once replies are sent: a peer that reads has nothing waiting.
            if std::mem::take(&mut self.is_unpublished) {
                self.connection.publish(now_ms());
            }
            if had_turn && matches!(self.connection.wish(), Wish::Run | Wish::Read) {
                // One peer with very much to ask keeps no other waiting.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.connection.wish() {
                Wish::Close if sent_all => return Poll::Ready(()),
                Wish::Close => return Poll::Pending,
                Wish::Run => {
                    self.run();
                    had_turn = true;
                }
                Wish::Wait { .. } if self.worker.node.is_stopping() => return Poll::Ready(()),
                Wish::Wait { until_ms } if self.poll_wait(cx, until_ms).is_ready() => self.run(),
                // Reading goes on while a request waits, as the peer may hang up. What it sends is due behind that request.
                Wish::Wait { .. } | Wish::Read => match self.poll_receive(cx) {
                    Poll::Ready(Received::End) => return Poll::Ready(()),
                    Poll::Ready(Received::Full) => had_turn = true,
                    Poll::Ready(Received::Held) => {
                        self.note_noise();
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Poll::Ready(Received::Some) => {}
                    Poll::Pending if sent_all && self.worker.node.is_stopping() => return self.poll_stop(cx),
                    Poll::Pending => return Poll::Pending,
                },
            }
            if self.is_past_stop() {
                return Poll::Ready(());
            }
        }
    }

    /// Ready when the peer has been quiet for long enough, now that the node is to stop.
    fn poll_stop(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stop = self.stop.get_or_insert_with(|| {
            let quiet = Box::pin(tokio::time::sleep(STOP_QUIET));
            Box::new(Stop { quiet, last: Instant::now() + STOP_READ_MAX })
        });
        stop.quiet.as_mut().poll(cx)
    }

    /// Notes that the peer is not quiet, which matters once the node is to stop.
    fn note_noise(&mut self) {
        if let Some(stop) = &mut self.stop {
            stop.quiet.as_mut().reset((Instant::now() + STOP_QUIET).into());
        }
    }

    /// Whether the peer has been listened to for long enough, now that the node is to stop.
    fn is_past_stop(&mut self) -> bool {
        self.note_noise();
        self.stop.as_ref().is_some_and(|stop| Instant::now() > stop.last) && self.connection.output().is_empty()
    }

    /// Sends what there is to send; pending while the peer does not take it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.connection.output().is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, self.connection.output()))?;
            let stats = self.worker.node.stats.worker(self.worker.number);
            stats.output_bytes.add(sent as u64);
            stats.writes.add(1);
            self.connection.sent(sent, &mut self.worker.lent.borrow_mut().bench);
            if !self.connection.output().is_empty() {
                // Who takes a long reply bit by bit is not idle.
                self.connection.session.client.active_ms.store(now_ms(), Relaxed);
            }
        }
        self.soft = None;
        Poll::Ready(Ok(()))
    }

    /// Whether the peer has left so many replies lying, or many for so long, that it is cut off.
    fn is_over_output(&mut self, cx: &mut Context<'_>) -> bool {
        let waiting = self.connection.output().len() as u64;
        let tuning = &self.worker.node.tuning;
        let session = &self.connection.session;
        let limit = if session.is_monitor() || session.is_subscriber() {
            tuning.pubsub_output()
        } else {
            tuning.normal_output()
        };
        if waiting <= limit.soft {
            self.soft = None;
        }
        let is_over = waiting > limit.hard
            || waiting > limit.soft && {
                let soft = self.soft.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit.soft_time)));
                soft.as_mut().poll(cx).is_ready()
            };
        if is_over {
            let client = &self.connection.session.client;
            tracing::warn!(client = client.id, address = %client.address, waiting, "closed: it does not read its replies");
            self.worker.node.stats.killed_for_output.fetch_add(1, Relaxed);
        }
        is_over
    }

    /// Reads once and runs what came.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        let worker = self.worker.clone();
        let Lent { bench, read, ahead } = &mut *worker.lent.borrow_mut();
        let mut buffer = ReadBuf::new(read);
        if ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)).is_err() {
            return Poll::Ready(Received::End);
        }
        let bytes = buffer.filled();
        if bytes.is_empty() {
            return Poll::Ready(Received::End);
        }
        let stats = worker.node.stats.worker(worker.number);
        stats.input_bytes.add(bytes.len() as u64);
        stats.reads.add(1);
        if bytes.len() <= HELD_MAX && self.connection.is_at_rest() {
            if let Some(key) = likely_key(bytes) {
                ahead.add(key, self.connection.session.db, &worker.node);
            }
            self.held.hold(bytes);
            return Poll::Ready(Received::Held);
        }
        let mut pass = worker.node.barrier.enter(worker.number);
        self.connection.receive(bytes, &worker.node, bench, &mut pass);
        self.is_unpublished = true;
        Poll::Ready(if bytes.len() == READ_BYTES { Received::Full } else { Received::Some })
    }

    /// Runs the read that was held: the other connections that had something to read have read it by now.
    fn run_held(&mut self) {
        let worker = self.worker.clone();
        let Lent { bench, ahead, .. } = &mut *worker.lent.borrow_mut();
        ahead.close(&worker.node);
        let mut pass = worker.node.barrier.enter(worker.number);
        self.connection.receive(self.held.take(), &worker.node, bench, &mut pass);
        self.is_unpublished = true;
    }

    fn run(&mut self) {
        let worker = self.worker.clone();
        let mut pass = worker.node.barrier.enter(worker.number);
        self.connection.run(&worker.node, &mut worker.lent.borrow_mut().bench, &mut pass);
        self.is_unpublished = true;
    }

    /// Ready at a time, or when a pause has ended early.
    fn poll_wait(&mut self, cx: &mut Context<'_>, until_ms: u64) -> Poll<()> {
        let now = now_ms();
        let held_back = self.worker.node.clients.paused(now).is_some() || self.connection.session.is_waiting(now);
        if now >= until_ms || !held_back {
            self.sleep = None;
            return Poll::Ready(());
        }
        if until_ms == u64::MAX {
            // Whoever ends it wakes the connection; a timer would only take room.
            return Poll::Pending;
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(time_to(until_ms))));
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }
}

/// Runs the duties, and runs them again should they break: keys must expire whatever happens.
async fn keep_on(worker: Rc<Worker>) {
    while let Err(broken) = tokio::task::spawn_local(duties(worker.clone())).await {
        tracing::error!(worker = worker.number, %broken, "the duties of a worker broke; please report this with the lines above");
        tokio::time::sleep(TICK).await;
    }
}

/// How long the duties have run since connections had their turn.
struct Slice {
    began: Instant,
}

impl Slice {
    fn begin() -> Slice {
        Slice { began: Instant::now() }
    }

    /// Between two steps of work: lets connections have their turn if they have waited for [`DUTY_SLICE`].
    async fn step(&mut self) {
        if self.began.elapsed() > DUTY_SLICE {
            take_turn().await;
            self.began = Instant::now();
        }
    }
}

/// Lets all connections that have something to read read it, and run it: a short read is held at their first turn, and
/// would wait for one more slice if there were no second.
async fn take_turn() {
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
}

/// What a worker does beside serving: its share of the stripes is kept free of what has expired.
async fn duties(worker: Rc<Worker>) {
    let node = &worker.node;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut count: u64 = 0;
    loop {
        ticks.tick().await;
        let mut slice = Slice::begin();
        for stripe in node.store.stripes().skip(worker.number).step_by(node.workers) {
            let is_due = || node.expires_actively.load(Relaxed);
            while node.on_duty(worker.number, |moment| is_due() && node.store.expire(stripe, moment, EXPIRE_KEYS)) {
                slice.step().await;
            }
            slice.step().await;
            node.store.tighten(stripe);
            slice.step().await;
        }
        if worker.number == 0 {
            node.tick(now_ms(), count);
        }
        for _ in 0..ROOM_SLICES {
            if !node
                .on_duty(worker.number, |moment| node.store.is_over() && node.store.make_some_room(moment, ROOM_KEYS))
            {
                break;
            }
            take_turn().await;
        }
        count += 1;
    }
}
