//! Counters of commands, connections and traffic.
//!
//! Each worker counts in a block of its own, which only it writes; who wants the sums adds the blocks up.

use super::table;
use crate::observe::histogram::{Distribution, Histogram};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Kinds of error counted apart; further ones are counted together.
const ERROR_CODES_MAX: usize = 128;

/// A number that one thread writes and others read.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds without a locked instruction: only the owner of the block may call it.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    fn reset(&self) {
        self.0.store(0, Relaxed);
    }
}

/// What one worker counts of one command.
#[derive(Default)]
pub struct CommandCounters {
    pub calls: Counter,
    pub nanos: Counter,
    /// Refused by a gate.
    pub rejected: Counter,
    /// Answered with an error by the handler.
    pub failed: Counter,
    /// Made at the first call, for most commands are never called.
    latency: OnceLock<Histogram>,
}

impl CommandCounters {
    /// Counts calls that took so long each. Only the owner of the block may call it.
    #[inline]
    pub fn took(&self, nanos: u64, calls: u64) {
        self.latency.get_or_init(Histogram::default).add(nanos, calls);
    }
}

/// A worker's block.
#[repr(align(128))]
pub struct WorkerStats {
    pub commands: Counter,
    pub input_bytes: Counter,
    pub output_bytes: Counter,
    pub reads: Counter,
    pub writes: Counter,
    by_command: Box<[CommandCounters]>,
}

impl WorkerStats {
    /// The counters of the row with this number.
    #[inline]
    pub fn of(&self, number: usize) -> &CommandCounters {
        &self.by_command[number]
    }
}

pub struct Stats {
    workers: Box<[WorkerStats]>,
    /// Counted by whoever sees it happen.
    pub connections: AtomicU64,
    pub connections_rejected: AtomicU64,
    pub killed_for_output: AtomicU64,
    /// Commands that other nodes were asked to run.
    pub forwarded: AtomicU64,
    pub killed_for_input: AtomicU64,
    pub memory_peak: AtomicU64,
    errors: Mutex<BTreeMap<String, u64>>,
    rates: Mutex<Rates>,
}

/// Sums at two moments, for the rates per second.
#[derive(Clone, Copy, Default)]
struct Rates {
    at_ms: u64,
    commands: u64,
    input_bytes: u64,
    output_bytes: u64,
    per_second: (u64, u64, u64),
}

/// Sums over the workers.
#[derive(Clone, Copy, Default, Debug)]
pub struct Traffic {
    pub commands: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    pub reads: u64,
    pub writes: u64,
}

impl Stats {
    pub fn new(workers: usize) -> Stats {
        let block = |_| WorkerStats {
            commands: Counter::default(),
            input_bytes: Counter::default(),
            output_bytes: Counter::default(),
            reads: Counter::default(),
            writes: Counter::default(),
            by_command: (0..table::numbers()).map(|_| CommandCounters::default()).collect(),
        };
        Stats {
            workers: (0..workers.max(1)).map(block).collect(),
            connections: AtomicU64::new(0),
            connections_rejected: AtomicU64::new(0),
            killed_for_output: AtomicU64::new(0),
            forwarded: AtomicU64::new(0),
            killed_for_input: AtomicU64::new(0),
            memory_peak: AtomicU64::new(0),
            errors: Mutex::default(),
            rates: Mutex::default(),
        }
    }

    pub fn worker(&self, number: usize) -> &WorkerStats {
        &self.workers[number]
    }

    /// Calls, microseconds, rejections and failures of a row.
    pub fn command(&self, number: usize) -> (u64, u64, u64, u64) {
        self.workers.iter().map(|worker| worker.of(number)).fold((0, 0, 0, 0), |sum, counters| {
            (
                sum.0 + counters.calls.get(),
                sum.1 + counters.nanos.get() / 1000,
                sum.2 + counters.rejected.get(),
                sum.3 + counters.failed.get(),
            )
        })
    }

    /// How long the calls of a row took.
    pub fn latency(&self, number: usize) -> Distribution {
        let mut distribution = Distribution::default();
        let histograms = self.workers.iter().filter_map(|worker| worker.of(number).latency.get());
        histograms.for_each(|histogram| distribution.add(histogram));
        distribution
    }

    pub fn traffic(&self) -> Traffic {
        self.workers.iter().fold(Traffic::default(), |sum, worker| Traffic {
            commands: sum.commands + worker.commands.get(),
            input_bytes: sum.input_bytes + worker.input_bytes.get(),
            output_bytes: sum.output_bytes + worker.output_bytes.get(),
            reads: sum.reads + worker.reads.get(),
            writes: sum.writes + worker.writes.get(),
        })
    }

    /// Counts an error by its first word.
    pub fn error(&self, code: String) {
        let mut errors = self.errors.lock();
        let full = errors.len() >= ERROR_CODES_MAX && !errors.contains_key(&code);
        *errors.entry(if full { "OTHER".into() } else { code }).or_default() += 1;
    }

    /// Errors by their first word.
    pub fn errors(&self) -> Vec<(String, u64)> {
        self.errors.lock().iter().map(|(code, count)| (code.clone(), *count)).collect()
    }

    /// Works out the rates since the last call; called about once a second.
    pub fn tick(&self, now_ms: u64) {
        let traffic = self.traffic();
        let mut rates = self.rates.lock();
        let elapsed = now_ms.saturating_sub(rates.at_ms).max(1);
        let rate = |now: u64, then: u64| now.saturating_sub(then) * 1000 / elapsed;
        let per_second = (
            rate(traffic.commands, rates.commands),
            rate(traffic.input_bytes, rates.input_bytes),
            rate(traffic.output_bytes, rates.output_bytes),
        );
        *rates = Rates {
            at_ms: now_ms,
            commands: traffic.commands,
            input_bytes: traffic.input_bytes,
            output_bytes: traffic.output_bytes,
            per_second,
        };
    }

    /// Commands, bytes in and bytes out per second, lately.
    pub fn per_second(&self) -> (u64, u64, u64) {
        self.rates.lock().per_second
    }

    /// Sets everything that `CONFIG RESETSTAT` resets to zero.
    pub fn reset(&self) {
        for worker in &self.workers {
            for counter in [&worker.commands, &worker.input_bytes, &worker.output_bytes, &worker.reads, &worker.writes]
            {
                counter.reset();
            }
            for counters in &worker.by_command {
                for counter in [&counters.calls, &counters.nanos, &counters.rejected, &counters.failed] {
                    counter.reset();
                }
                counters.latency.get().into_iter().for_each(Histogram::clear);
            }
        }
        for counter in [
            &self.connections,
            &self.connections_rejected,
            &self.killed_for_output,
            &self.forwarded,
            &self.killed_for_input,
            &self.memory_peak,
        ] {
            counter.store(0, Relaxed);
        }
        self.errors.lock().clear();
        *self.rates.lock() = Rates::default();
    }
}
