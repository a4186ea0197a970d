//! A worker: one thread, one runtime, and the connections that were given to it for life.

mod served;

use super::connection::Bench;
use super::feed::HandedOver;
use super::lines::Lines;
use crate::command::ahead::Ahead;
use crate::command::clients::Client;
use crate::command::shared::{Shared, now_ms};
use served::{Round, rounds, serve};
use std::cell::RefCell;
use std::io;
use std::net::TcpStream as StdStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::task::LocalSet;

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
    round: RefCell<Round>,
    /// Lines to other nodes.
    lines: RefCell<Lines>,
    /// Takes connections that ask for the stream.
    feed: UnboundedSender<HandedOver>,
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
pub fn run(
    number: usize,
    node: Arc<Shared>,
    mut accepted: UnboundedReceiver<Accepted>,
    feed: UnboundedSender<HandedOver>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let lent = Lent { bench: Bench::default(), read: vec![0; READ_BYTES].into(), ahead: Ahead::default() };
    let worker = Rc::new(Worker {
        node,
        number,
        lent: RefCell::new(lent),
        round: RefCell::default(),
        lines: RefCell::default(),
        feed,
    });
    let tasks = LocalSet::new();
    tasks.spawn_local(rounds(worker.clone()));
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

/// What a worker does beside serving: its share of the stripes is kept free of what has expired or is wrong.
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
            let expire = |moment| is_due() && node.store.expire(stripe, moment, EXPIRE_KEYS);
            while node.on_duty(worker.number, |moment| expire(moment) | node.store.sweep(stripe, moment)) {
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
