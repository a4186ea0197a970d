//! Settings that the path of every request looks at, as plain numbers.

use crate::config::{Live, OutputLimit};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// No command takes as long.
const NEVER: u64 = u64::MAX;

/// Bytes of received requests, whatever is configured: places in them are kept in 32 bits.
pub const INPUT_MAX: u64 = u32::MAX as u64 - (1 << 20);

/// Copies of live settings; whoever changes the settings calls [`Tuning::set`].
pub struct Tuning {
    slow_nanos: AtomicU64,
    slowlog_micros: AtomicU64,
    slowlog_len_max: AtomicU64,
    latency_threshold_ms: AtomicU64,
    pubsub_output: Output,
    normal_output: Output,
    input_max: AtomicU64,
    bulk_len_max: AtomicU64,
    timeout_ms: AtomicU64,
    latency_tracking: AtomicBool,
}

/// An [`OutputLimit`] that can be changed.
#[derive(Default)]
struct Output {
    hard: AtomicU64,
    soft: AtomicU64,
    soft_seconds: AtomicU64,
}

impl Output {
    fn set(&self, limit: OutputLimit) {
        let unlimited = |bytes: u64| if bytes == 0 { u64::MAX } else { bytes };
        self.hard.store(unlimited(limit.hard), Relaxed);
        self.soft.store(unlimited(limit.soft), Relaxed);
        self.soft_seconds.store(limit.soft_seconds.into(), Relaxed);
    }

    fn get(&self) -> OutputMax {
        OutputMax {
            hard: self.hard.load(Relaxed),
            soft: self.soft.load(Relaxed),
            soft_time: Duration::from_secs(self.soft_seconds.load(Relaxed)),
        }
    }
}

/// Bytes of replies that may wait for a connection; all ones are no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputMax {
    /// Beyond these it is cut at once.
    pub hard: u64,
    /// Beyond these it is cut once it has been so for `soft_time` without a break.
    pub soft: u64,
    pub soft_time: Duration,
}

/// The values of a moment.
#[derive(Clone, Copy, Debug)]
pub struct Values {
    /// Microseconds from which a command is slow; negative turns the log off.
    pub slowlog_micros: i64,
    pub slowlog_len_max: u64,
    /// 0 turns the monitor off.
    pub latency_threshold_ms: u64,
    /// What may wait for a connection in `MONITOR` or a subscriber.
    pub pubsub_output: OutputLimit,
    /// What may wait for any other connection.
    pub normal_output: OutputLimit,
    /// Bytes of an unfinished request.
    pub input_max: u64,
    /// Bytes of one argument.
    pub bulk_len_max: u64,
    /// Silence after which a connection is ended; 0 for never.
    pub timeout_ms: u64,
    /// Whether every command's latency is counted.
    pub latency_tracking: bool,
}

impl Values {
    /// The values of the settings as they are now.
    pub fn of(live: &Live) -> Values {
        let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        let limits = live.output_limits();
        Values {
            slowlog_micros: live.slowlog_log_slower_than().map_or(-1, micros),
            slowlog_len_max: live.slowlog_max_len(),
            latency_threshold_ms: live.latency_monitor_threshold().map_or(0, |time| time.as_millis() as u64),
            pubsub_output: limits.pubsub,
            normal_output: limits.normal,
            input_max: live.client_query_buffer_limit().0,
            bulk_len_max: live.proto_max_bulk_len().0,
            timeout_ms: live.timeout().map_or(0, |time| time.as_millis() as u64),
            latency_tracking: live.latency_tracking(),
        }
    }
}

impl Default for Tuning {
    fn default() -> Tuning {
        let tuning = Tuning {
            slow_nanos: AtomicU64::new(0),
            slowlog_micros: AtomicU64::new(0),
            slowlog_len_max: AtomicU64::new(0),
            latency_threshold_ms: AtomicU64::new(0),
            pubsub_output: Output::default(),
            normal_output: Output::default(),
            input_max: AtomicU64::new(0),
            bulk_len_max: AtomicU64::new(0),
            timeout_ms: AtomicU64::new(0),
            latency_tracking: AtomicBool::new(false),
        };
        tuning.set(Values {
            slowlog_micros: 10_000,
            slowlog_len_max: 128,
            latency_threshold_ms: 0,
            pubsub_output: OutputLimit { hard: 32 << 20, soft: 8 << 20, soft_seconds: 60 },
            normal_output: OutputLimit { hard: 1 << 30, soft: 0, soft_seconds: 0 },
            input_max: 1 << 30,
            bulk_len_max: 512 << 20,
            timeout_ms: 0,
            latency_tracking: true,
        });
        tuning
    }
}

impl Tuning {
    pub fn set(&self, values: Values) {
        let slowlog_micros = u64::try_from(values.slowlog_micros).unwrap_or(NEVER);
        let latency_micros = match values.latency_threshold_ms {
            0 => NEVER,
            ms => ms.saturating_mul(1000),
        };
        self.slow_nanos.store(slowlog_micros.min(latency_micros).saturating_mul(1000), Relaxed);
        self.slowlog_micros.store(slowlog_micros, Relaxed);
        self.slowlog_len_max.store(values.slowlog_len_max, Relaxed);
        self.latency_threshold_ms.store(values.latency_threshold_ms, Relaxed);
        self.pubsub_output.set(values.pubsub_output);
        self.normal_output.set(values.normal_output);
        self.input_max.store(values.input_max.min(INPUT_MAX), Relaxed);
        self.bulk_len_max.store(values.bulk_len_max, Relaxed);
        self.timeout_ms.store(values.timeout_ms, Relaxed);
        self.latency_tracking.store(values.latency_tracking, Relaxed);
    }

    /// Nanoseconds from which somebody wants to know of a command.
    #[inline]
    pub fn slow_nanos(&self) -> u64 {
        self.slow_nanos.load(Relaxed)
    }

    /// Whether the slow log wants a command of so many microseconds.
    pub fn is_slow(&self, micros: u64) -> bool {
        micros >= self.slowlog_micros.load(Relaxed)
    }

    pub fn slowlog_len_max(&self) -> usize {
        self.slowlog_len_max.load(Relaxed) as usize
    }

    pub fn latency_threshold_ms(&self) -> u64 {
        self.latency_threshold_ms.load(Relaxed)
    }

    /// Whether every command's latency is counted.
    #[inline]
    pub fn tracks_latency(&self) -> bool {
        self.latency_tracking.load(Relaxed)
    }

    /// What may wait for a connection in `MONITOR` or a subscriber.
    pub fn pubsub_output(&self) -> OutputMax {
        self.pubsub_output.get()
    }

    /// What may wait for any other connection.
    pub fn normal_output(&self) -> OutputMax {
        self.normal_output.get()
    }

    pub fn input_max(&self) -> usize {
        self.input_max.load(Relaxed) as usize
    }

    /// The longest string, `proto-max-bulk-len`.
    pub fn bulk_len_max(&self) -> usize {
        self.bulk_len_max.load(Relaxed) as usize
    }

    pub fn timeout_ms(&self) -> u64 {
        self.timeout_ms.load(Relaxed)
    }
}
