//! The load generator: connections to one server, driven in a closed or an open loop by one or more threads.
//!
//! Each thread owns its connections, its epoll and its request builder and shares nothing while it runs. A request costs an
//! append and a read's share of scanning; the rest is the kernel's, so the generator costs about what an echo server does.

mod closed;
mod connection;
mod open;

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    error::Error,
    histogram::Histogram,
    os::{self, Epoll},
    proc,
    random::Random,
    reply::Tally,
    request::Requests,
    workload::Workload,
};
use connection::Connection;
pub use connection::send;

/// A server that owes replies and stays silent for this long is given up on.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);

/// How the load is put on a server.
#[derive(Clone, Debug)]
pub struct Plan {
    pub address: SocketAddr,
    pub workload: Workload,
    /// All connections, spread over the threads.
    pub connections: usize,
    /// Requests under way on one connection at most.
    pub depth: usize,
    pub pace: Pace,
    pub threads: usize,
    /// The cores of the threads, the first for the first thread and round again; empty to leave that to the system.
    pub cores: Vec<usize>,
    pub seed: u64,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As a batch of the whole depth, once every reply to the batch before is there.
    Closed,
    /// This many a second over all connections, evenly spaced, whether the server keeps up or not.
    Open { rate: f64 },
}

/// When a run ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    Requests(u64),
    Time(Duration),
}

/// What a run showed.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub tally: Tally,
    /// From the sending of the batch (closed loop), or from the moment the request was due (open loop), to its reply.
    pub latencies: Histogram,
    /// From the first request to the last reply.
    pub elapsed: Duration,
    /// CPU time of the generator's threads.
    pub generator_cpu: Duration,
    /// Requests of an open loop that were due within the run but could not be sent, as every connection had its full depth.
    pub unsent: u64,
}

impl Outcome {
    /// Replies a second.
    pub fn rate(&self) -> f64 {
        self.tally.replies as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    fn merge(&mut self, other: Self) {
        self.tally.merge(other.tally);
        self.latencies.merge(&other.latencies);
        self.elapsed = self.elapsed.max(other.elapsed);
        self.generator_cpu += other.generator_cpu;
        self.unsent += other.unsent;
    }
}

/// Open connections, ready to run any number of times.
pub struct Engine {
    workers: Vec<Worker>,
    pace: Pace,
    replies: AtomicU64,
}

/// One thread's part.
struct Worker {
    core: Option<usize>,
    epoll: Epoll,
    connections: Vec<Connection>,
    requests: Requests,
    depth: usize,
    buffer: Box<[u8]>,
}

/// Read at once: a batch of a hundred replies of 600 bytes.
const BUFFER_BYTES: usize = 64 << 10;

impl Engine {
    /// Opens the connections of a plan.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] for a plan that makes no sense, [`Error::Io`] if a connection is refused.
    pub fn connect(plan: &Plan) -> Result<Self, Error> {
        check(plan)?;
        let workers = (0..plan.threads).map(|index| Worker::connect(plan, index)).collect::<Result<_, _>>()?;
        Ok(Self { workers, pace: plan.pace, replies: AtomicU64::new(0) })
    }

    /// Sends requests until the bound is met, waits for their replies, and tells what was seen. `watch` is called about five
    /// times a second with the number of replies so far.
    ///
    /// # Errors
    ///
    /// Whatever ends a connection early; the engine is of no use afterwards.
    pub fn run(&mut self, bound: Bound, mut watch: Option<&mut dyn FnMut(u64)>) -> Result<Outcome, Error> {
        let (pace, threads) = (self.pace, self.workers.len());
        self.replies.store(0, Ordering::Relaxed);
        let replies = &self.replies;
        thread::scope(|scope| {
            let parts = self.workers.iter_mut().enumerate().map(|(index, worker)| {
                let part = Part::of(bound, pace, index, threads);
                scope.spawn(move || worker.run(&part, replies))
            });
            let parts: Vec<_> = parts.collect();
            if let Some(watch) = &mut watch {
                while parts.iter().any(|part| !part.is_finished()) {
                    thread::park_timeout(Duration::from_millis(200));
                    watch(replies.load(Ordering::Relaxed));
                }
            }
            let outcomes = parts.into_iter().map(|part| part.join().expect("a generator thread does not panic"));
            outcomes.reduce(merge_results).expect("a plan has at least one thread")
        })
    }
}

fn merge_results(left: Result<Outcome, Error>, right: Result<Outcome, Error>) -> Result<Outcome, Error> {
    let mut whole = left?;
    whole.merge(right?);
    Ok(whole)
}

fn check(plan: &Plan) -> Result<(), Error> {
    plan.workload.check()?;
    let refuse = |text: String| Err(Error::Usage(text));
    if plan.depth == 0 {
        return refuse("--pipeline is 0; give at least 1".into());
    }
    if plan.threads == 0 || plan.connections < plan.threads {
        let Plan { threads, connections, .. } = plan;
        return refuse(format!(
            "{threads} threads cannot share {connections} connections; each thread needs one or more"
        ));
    }
    match plan.pace {
        Pace::Open { rate } if !rate.is_finite() || rate <= 0.0 => {
            refuse(format!("--rate is {rate}; it has to be above 0 requests a second"))
        }
        _ => Ok(()),
    }
}

/// A thread's share of a run.
struct Part {
    pace: Pace,
    bound: Bound,
    /// In an open loop, threads take turns: this one's first request is due after this share of its interval.
    phase: f64,
}

impl Part {
    fn of(bound: Bound, pace: Pace, index: usize, threads: usize) -> Self {
        let (index, threads) = (index as u64, threads as u64);
        let bound = match bound {
            Bound::Requests(all) => Bound::Requests(all / threads + u64::from(index < all % threads)),
            time => time,
        };
        let pace = match pace {
            Pace::Open { rate } => Pace::Open { rate: rate / threads as f64 },
            Pace::Closed => Pace::Closed,
        };
        Self { pace, bound, phase: index as f64 / threads as f64 }
    }
}

impl Worker {
    fn connect(plan: &Plan, index: usize) -> Result<Self, Error> {
        let epoll = Epoll::new().map_err(Error::io("cannot create an epoll"))?;
        let share = plan.connections / plan.threads + usize::from(index < plan.connections % plan.threads);
        let mut connections = Vec::with_capacity(share);
        for token in 0..share {
            let connection = Connection::open(plan.address, &plan.workload)?;
            epoll.add(connection.descriptor(), token).map_err(Error::io("cannot watch a socket"))?;
            connections.push(connection);
        }
        // Each thread draws its own keys.
        let mut seeds = Random::new(plan.seed.wrapping_add(index as u64));
        Ok(Self {
            core: (!plan.cores.is_empty()).then(|| plan.cores[index % plan.cores.len()]),
            epoll,
            connections,
            requests: Requests::new(&plan.workload, seeds.bits()),
            depth: plan.depth,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
        })
    }

    fn run(&mut self, part: &Part, replies: &AtomicU64) -> Result<Outcome, Error> {
        if let Some(core) = self.core {
            os::pin_thread(core).map_err(Error::io(format!("cannot run on core {core}")))?;
        }
        let cpu = || proc::own_cpu_time().map_err(Error::io("cannot read this thread's CPU time"));
        let cpu_before = cpu()?;
        let mut outcome = match part.pace {
            Pace::Closed => closed::run(self, part.bound, replies)?,
            Pace::Open { rate } => open::run(self, part.bound, open::Schedule::new(rate, part.phase), replies)?,
        };
        outcome.generator_cpu = cpu()?.saturating_sub(cpu_before);
        Ok(outcome)
    }
}

/// What both loops keep: the clock, the counts, and when something last arrived.
struct Watch {
    started: Instant,
    /// Nanoseconds since `started`, read once per turn and per arrival.
    now: u64,
    heard_at: u64,
    tally: Tally,
    latencies: Histogram,
}

impl Watch {
    fn start() -> Self {
        Self { started: Instant::now(), now: 0, heard_at: 0, tally: Tally::default(), latencies: Histogram::new() }
    }

    fn look(&mut self) -> u64 {
        self.now = self.started.elapsed().as_nanos() as u64;
        self.now
    }

    fn turn(&mut self, owed: bool, replies: &AtomicU64, arrived: u64) -> Result<(), Error> {
        self.look();
        if arrived > 0 {
            self.heard_at = self.now;
            replies.fetch_add(arrived, Ordering::Relaxed);
        }
        if os::interrupted() {
            return Err(Error::Interrupted);
        }
        if owed && self.now - self.heard_at > SILENCE_MAX.as_nanos() as u64 {
            return Err(Error::Silent);
        }
        Ok(())
    }

    fn outcome(self, unsent: u64) -> Outcome {
        Outcome {
            tally: self.tally,
            latencies: self.latencies,
            elapsed: self.started.elapsed(),
            generator_cpu: Duration::ZERO,
            unsent,
        }
    }
}

#[cfg(test)]
mod tests;
