//! A worker: one thread, one runtime, and the connections that were given to it for life.

use super::connection::{Bench, Connection, Wish};
use crate::command::Session;
use crate::command::clients::Client;
use crate::command::shared::{Shared, now_ms};
use crate::store::hash::STRIPES;
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

/// Work of a tick after which connections get their turn.
const EXPIRE_SLICE: Duration = Duration::from_micros(300);

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
}

/// Runs a worker until its channel is closed and its connections have ended.
///
/// # Errors
///
/// If the system gives no runtime.
pub fn run(number: usize, node: Arc<Shared>, mut accepted: UnboundedReceiver<Accepted>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let lent = Lent { bench: Bench::default(), read: vec![0; READ_BYTES].into() };
    let worker = Rc::new(Worker { node, number, lent: RefCell::new(lent) });
    let tasks = LocalSet::new();
    tasks.spawn_local(duties(worker.clone()));
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
        sleep: None,
        is_unpublished: false,
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
    sleep: Option<Pin<Box<Sleep>>>,
    /// Whether requests have been run since others were last shown this connection's state.
    is_unpublished: bool,
}

impl Served {
    /// Moves bytes until nothing moves. Ready when the connection is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let client = self.connection.session.client.clone();
        client.set_waker(cx.waker());
        loop {
            if client.is_killed() {
                return Poll::Ready(());
            }
            if let Some(pushed) = client.take_inbox() {
                self.connection.push(&pushed);
            }
            let sent_all = match self.poll_send(cx) {
                Poll::Ready(Ok(())) => true,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending if self.is_over_output() => return Poll::Ready(()),
                Poll::Pending => false,
            };
            // What is shown is what is left once replies are sent: a peer that reads has nothing waiting.
            if std::mem::take(&mut self.is_unpublished) {
                self.connection.publish(now_ms());
            }
            match self.connection.wish() {
                Wish::Close if sent_all => return Poll::Ready(()),
                Wish::Close => return Poll::Pending,
                Wish::Run => self.run(),
                Wish::Wait { until_ms } => {
                    ready!(self.poll_wait(cx, until_ms));
                    self.run();
                }
                Wish::Read => {
                    if sent_all && self.worker.node.is_stopping() {
                        return Poll::Ready(());
                    }
                    if !ready!(self.poll_receive(cx)) {
                        return Poll::Ready(());
                    }
                }
            }
        }
    }

    /// Sends what there is to send; pending while the peer does not take it.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.connection.output().is_empty() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, self.connection.output()))?;
            let stats = self.worker.node.stats.worker(self.worker.number);
            stats.output_bytes.add(sent as u64);
            stats.writes.add(1);
            self.connection.sent(sent, &mut self.worker.lent.borrow_mut().bench);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the peer has left so many replies lying that it is cut off.
    fn is_over_output(&self) -> bool {
        let waiting = self.connection.output().len() as u64;
        let node = &self.worker.node;
        let limit = if self.connection.session.is_monitor() {
            node.tuning.pubsub_output_max()
        } else {
            node.tuning.output_max()
        };
        if waiting <= limit {
            return false;
        }
        let client = &self.connection.session.client;
        tracing::warn!(client = client.id, address = %client.address, waiting, "closed: it does not read its replies");
        node.stats.killed_for_output.fetch_add(1, Relaxed);
        true
    }

    /// Reads once and runs what came. Ready with `false` at the end of the stream.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let worker = self.worker.clone();
        let Lent { bench, read } = &mut *worker.lent.borrow_mut();
        let mut buffer = ReadBuf::new(read);
        if ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)).is_err() {
            return Poll::Ready(false);
        }
        let bytes = buffer.filled();
        if bytes.is_empty() {
            return Poll::Ready(false);
        }
        let stats = worker.node.stats.worker(worker.number);
        stats.input_bytes.add(bytes.len() as u64);
        stats.reads.add(1);
        let mut pass = worker.node.barrier.enter(worker.number);
        self.connection.receive(bytes, &worker.node, bench, &mut pass);
        self.is_unpublished = true;
        Poll::Ready(true)
    }

    fn run(&mut self) {
        let worker = self.worker.clone();
        let mut pass = worker.node.barrier.enter(worker.number);
        self.connection.run(&worker.node, &mut worker.lent.borrow_mut().bench, &mut pass);
        self.is_unpublished = true;
    }

    /// Ready at a time, or when the node stops or a pause has ended early.
    fn poll_wait(&mut self, cx: &mut Context<'_>, until_ms: u64) -> Poll<()> {
        let now = now_ms();
        let held_back =
            self.worker.node.clients.paused(now).is_some() || self.connection.session.wait_until_ms.is_some();
        if now >= until_ms || !held_back || self.worker.node.is_stopping() {
            self.sleep = None;
            return Poll::Ready(());
        }
        let sleep =
            self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(Duration::from_millis(until_ms - now))));
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }
}

/// What a worker does beside serving: its share of the stripes is kept free of what has expired.
async fn duties(worker: Rc<Worker>) {
    let node = &worker.node;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut count: u64 = 0;
    loop {
        ticks.tick().await;
        let now = now_ms();
        let moment = node.store.moment(now);
        let mut slice = Instant::now();
        for stripe in (worker.number..STRIPES).step_by(node.workers) {
            while node.expires_actively.load(Relaxed) && node.store.expire(stripe, moment, EXPIRE_KEYS) {
                if slice.elapsed() > EXPIRE_SLICE {
                    tokio::task::yield_now().await;
                    slice = Instant::now();
                }
            }
            node.store.tighten(stripe);
        }
        if worker.number == 0 {
            node.tick(now, count);
        }
        if node.store.is_over() {
            node.store.make_room(moment);
        }
        count += 1;
    }
}
