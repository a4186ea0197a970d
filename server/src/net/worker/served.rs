//! A connection and its socket, and the rounds in which those that have asked for little are served together.

use super::{Accepted, Lent, READ_BYTES, Worker};
use crate::command::Session;
use crate::command::shared::{Pass, now_ms, steady_ms, time_to};
use crate::net::connection::{Connection, Wish};
use crate::net::feed::HandedOver;
use crate::net::round::{HELD_MAX, HeldRead, likely_key};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Once the node is to stop, a connection is over when nothing has come for so long: what its peer had sent by then is
/// on its way through the system's buffers.
const STOP_QUIET: Duration = Duration::from_millis(20);

/// A peer that goes on sending is not listened to for longer than this once the node is to stop.
const STOP_READ_MAX: Duration = Duration::from_secs(2);

/// Serves one connection to its end.
pub async fn serve(accepted: Accepted, worker: Rc<Worker>) {
    let Accepted { stream, client, authenticated } = accepted;
    let Ok(stream) = TcpStream::from_std(stream) else {
        return;
    };
    let served = Rc::new(RefCell::new(Served {
        stream,
        connection: Connection::new(Session::new(client.clone(), authenticated)),
        worker: worker.clone(),
        held: HeldRead::default(),
        sleep: None,
        soft: None,
        hold_ends: None,
        stop: None,
        is_unpublished: false,
        joins_round: false,
        has_waker: false,
    }));
    poll_fn(|cx| {
        let mut turn = served.borrow_mut();
        let over = turn.poll(cx);
        if std::mem::take(&mut turn.joins_round) {
            worker.round.borrow_mut().join(&served);
        }
        over
    })
    .await;
    // A round knows it by a weak reference, so this is the only one.
    if let Some(Served { stream, mut connection, worker, .. }) = Rc::into_inner(served).map(RefCell::into_inner) {
        if connection.wish() == Wish::HandOver && !client.is_killed() {
            return hand_over(stream, connection, &worker);
        }
        connection.session.leave_watching();
        if let Some(forwarding) = &mut connection.session.forwarding {
            worker.lines.borrow_mut().send(forwarding.take_outgoing(), worker.number, &worker.node);
        }
        worker.node.leave(connection.session);
        if let Ok(stream) = stream.into_std() {
            // The peer may be gone already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Gives a connection to those who send the stream to replicas.
fn hand_over(stream: TcpStream, connection: Connection, worker: &Worker) {
    match stream.into_std() {
        Ok(stream) => {
            if let Err(refused) = worker.feed.send(HandedOver { stream, connection }) {
                worker.node.leave(refused.0.connection.session);
            }
        }
        Err(_) => worker.node.leave(connection.session),
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
    /// The time at which a reply that is held is late.
    hold_ends: Option<Pin<Box<Sleep>>>,
    /// Whether requests have been run since others were last shown this connection's state.
    is_unpublished: bool,
    /// Whether its read was held in this turn, so that the round is to run it.
    joins_round: bool,
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
    /// It is held until the other connections have read; the round runs it.
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
            // Something else has woken it before its round came.
            let worker = self.worker.clone();
            self.run_held(&mut worker.lent.borrow_mut(), &mut worker.node.barrier.enter(worker.number));
            self.send_out();
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
            let is_held = self.connection.is_held() && self.poll_release(cx);
            let sent_all = match self.poll_send(cx) {
                _ if self.is_over_held() => return Poll::Ready(()),
                Poll::Ready(Ok(())) => !is_held,
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
                Wish::Close | Wish::HandOver if sent_all => return Poll::Ready(()),
                Wish::Close | Wish::HandOver => return Poll::Pending,
                Wish::Run => {
                    self.run();
                    had_turn = true;
                }
                Wish::Wait { .. } if self.worker.node.is_stopping() => return Poll::Ready(()),
                Wish::Wait { until_ms, is_told } if self.poll_wait(cx, until_ms, is_told).is_ready() => self.run(),
                // Reading goes on while a request waits, as the peer may hang up. What it sends is due behind that request.
                Wish::Wait { .. } | Wish::Read => match self.poll_receive(cx) {
                    Poll::Ready(Received::End) => return Poll::Ready(()),
                    Poll::Ready(Received::Full) => had_turn = true,
                    Poll::Ready(Received::Held) => {
                        self.note_noise();
                        self.joins_round = true;
                        if self.stream.poll_read_ready(cx).is_ready() {
                            cx.waker().wake_by_ref();
                        }
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
            let worker = self.worker.clone();
            self.note_sent(sent, &worker);
            if !self.connection.output().is_empty() {
                // Who takes a long reply bit by bit is not idle.
                self.connection.session.client.active_ms.store(now_ms(), Relaxed);
            }
        }
        self.soft = None;
        Poll::Ready(Ok(()))
    }

    /// Frees replies that are held no longer. Returns whether one is left, which wakes the connection when it is late.
    fn poll_release(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            let worker = self.worker.clone();
            let until_ms = self.connection.release(&worker.node);
            self.send_out();
            let Some(until_ms) = until_ms else {
                self.hold_ends = None;
                return false;
            };
            if until_ms == u64::MAX {
                // Whoever has the answer wakes the connection.
                self.hold_ends = None;
                return true;
            }
            let mut ends = Box::pin(tokio::time::sleep(time_to(until_ms)));
            let is_late = ends.as_mut().poll(cx).is_ready();
            self.hold_ends = Some(ends);
            if !is_late {
                return true;
            }
        }
    }

    /// Gives what other nodes are asked to the lines that lead there.
    fn send_out(&mut self) {
        let forwarding = self.connection.session.forwarding.as_mut().filter(|forwarding| forwarding.has_outgoing());
        if let Some(forwarding) = forwarding {
            self.worker.lines.borrow_mut().send(forwarding.take_outgoing(), self.worker.number, &self.worker.node);
        }
    }

    /// Whether more replies are held than may wait for the connection.
    fn is_over_held(&self) -> bool {
        self.connection.is_held() && self.connection.held_len() as u64 > self.worker.node.tuning.normal_output().hard
    }

    fn note_sent(&mut self, bytes: usize, worker: &Worker) {
        let stats = worker.node.stats.worker(worker.number);
        stats.output_bytes.add(bytes as u64);
        stats.writes.add(1);
        self.connection.sent(bytes, &mut worker.lent.borrow_mut().bench);
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
        drop(pass);
        self.send_out();
        self.is_unpublished = true;
        Poll::Ready(if bytes.len() == READ_BYTES { Received::Full } else { Received::Some })
    }

    /// Runs the read that was held: the other connections that had something to read have read it by now.
    fn run_held(&mut self, lent: &mut Lent, pass: &mut Pass<'_>) {
        let Lent { bench, ahead, .. } = lent;
        ahead.close(&self.worker.node);
        self.connection.receive(self.held.take(), &self.worker.node, bench, pass);
        self.is_unpublished = true;
    }

    /// Sends what its round has made of its read, as far as the peer takes it. Wakes the connection if that is not all.
    fn close_round(&mut self, now_ms: u64) {
        let worker = self.worker.clone();
        self.send_out();
        if !self.connection.output().is_empty()
            && let Ok(sent) = self.stream.try_write(self.connection.output())
        {
            self.note_sent(sent, &worker);
        }
        if std::mem::take(&mut self.is_unpublished) {
            self.connection.publish(now_ms);
        }
        self.connection.publish_output();
        let is_at_rest = self.connection.is_at_rest() && !self.connection.is_held();
        if !is_at_rest || !self.connection.output().is_empty() || worker.node.is_stopping() {
            self.connection.session.client.wake();
        }
    }

    fn run(&mut self) {
        let worker = self.worker.clone();
        let mut pass = worker.node.barrier.enter(worker.number);
        self.connection.run(&worker.node, &mut worker.lent.borrow_mut().bench, &mut pass);
        drop(pass);
        self.send_out();
        self.is_unpublished = true;
    }

    /// Ready at a time; or, if that may be told of, when what is waited for has come about.
    fn poll_wait(&mut self, cx: &mut Context<'_>, until_ms: u64, is_told: bool) -> Poll<()> {
        let now = steady_ms();
        let session = &self.connection.session;
        let held_back = !is_told
            || self.worker.node.clients.paused().is_some()
            || session.is_waiting(now)
            || session.awaits_acks(&self.worker.node, now)
            || session.awaits_others();
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

/// The connections whose reads are held until all that are readable have read.
#[derive(Default)]
pub struct Round {
    members: Vec<Weak<RefCell<Served>>>,
    waker: Option<Waker>,
}

/// Members that are run under one hold of the worker's gate.
const RUN_TOGETHER: usize = 64;

impl Round {
    /// Adds a connection. The first lets the round begin once those have had their turn that have something to read now.
    fn join(&mut self, served: &Rc<RefCell<Served>>) {
        if self.members.is_empty()
            && let Some(waker) = &self.waker
        {
            waker.wake_by_ref();
        }
        self.members.push(Rc::downgrade(served));
    }
}

/// Runs the rounds of a worker for as long as it lives: first all requests, then all replies are sent, so that a client of
/// many connections is woken once.
pub async fn rounds(worker: Rc<Worker>) {
    let mut members = Vec::new();
    poll_fn(|cx| {
        let mut round = worker.round.borrow_mut();
        round.waker.get_or_insert_with(|| cx.waker().clone());
        std::mem::swap(&mut members, &mut round.members);
        drop(round);
        for some in members.chunks(RUN_TOGETHER) {
            serve_together(some, &worker);
        }
        members.clear();
        Poll::<()>::Pending
    })
    .await;
}

fn serve_together(members: &[Weak<RefCell<Served>>], worker: &Worker) {
    let mut pass = worker.node.barrier.enter(worker.number);
    for served in members.iter().filter_map(Weak::upgrade) {
        guarded(&served, |served| {
            if !served.held.is_empty() {
                served.run_held(&mut worker.lent.borrow_mut(), &mut pass);
            }
        });
    }
    drop(pass);
    let now_ms = now_ms();
    for served in members.iter().filter_map(Weak::upgrade) {
        guarded(&served, |served| served.close_round(now_ms));
    }
}

/// What breaks ends its own connection and no other.
fn guarded(served: &RefCell<Served>, run: impl FnOnce(&mut Served)) {
    let mut served = served.borrow_mut();
    if catch_unwind(AssertUnwindSafe(|| run(&mut served))).is_err() {
        tracing::error!(client = served.connection.session.client.id, "closed: serving it broke; please report this");
        served.connection.session.client.kill();
    }
}
