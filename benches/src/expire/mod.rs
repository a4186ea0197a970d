//! The verb `expire`: what a client feels while very many keys expire at the same time.
//!
//! A server is filled with keys that all expire within a moment. A client sends GET after GET, first for a while in which
//! nothing expires, then while the keys go. A machine makes a client wait as well, so the first period is what the second
//! is to be compared with; and of each late answer it is said whether the client or the server had lost its core.

mod probe;
mod report;
mod stock;

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::{
    compare::{self, Contestant, Running},
    error::Error,
    os, proc,
    progress::Progress,
};
use probe::{Period, Probe};
use report::Report;

/// What the flags of `expire` ask for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Larder's binary; none for the release binary of this workspace.
    pub larder: Option<PathBuf>,
    pub servers: Vec<String>,
    pub workers: usize,
    pub rounds: usize,
    pub keys: u64,
    pub value_length: usize,
    /// Whether a hash tag puts all keys into one slot.
    pub one_slot: bool,
    /// The keys' times are spread evenly over this long.
    pub spread: Duration,
    /// The period in which nothing expires.
    pub control: Duration,
    pub server_core: Option<usize>,
    pub client_core: Option<usize>,
    pub json: bool,
}

/// What one round showed of one server.
pub struct Round {
    /// While nothing expired.
    pub control: Period,
    /// From the first key's time until memory was back, and a while after.
    pub expiry: Period,
    /// From the last key's time until memory was back; none if it was not within [`GONE_MAX`].
    pub gone_after: Option<Duration>,
    pub resident_before: u64,
    pub resident_after: u64,
}

/// How long the keys may take to go, from the last one's time.
const GONE_MAX: Duration = Duration::from_secs(10);

/// The least that the expiry is watched beyond the last key's time.
const AFTERMATH: Duration = Duration::from_secs(1);

/// A server stores no fewer keys a second than this; otherwise they would be due before all are stored.
const FILL_RATE_MIN: u64 = 100_000;

/// Between the fill and the control period, and between that and the first key's time.
const REST: Duration = Duration::from_millis(500);

/// Runs the rounds and prints the report.
pub fn run(options: &Options) -> Result<(), Error> {
    if let Some(core) = options.client_core {
        // Servers are started before their own cores are set, so they are not bound by this.
        os::pin_thread(core).map_err(Error::io(format!("cannot run on core {core}")))?;
    }
    let contestants = compare::larder_and_redis(&options.servers, options.larder.as_deref(), options.workers)?;
    let mut report = Report::new(options, &contestants);
    let mut progress = Progress::new();
    for number in 1..=options.rounds {
        for (index, contestant) in contestants.iter().enumerate() {
            progress.say(&format!("round {number} of {}: {}", options.rounds, contestant.name));
            report.add(index, round(options, contestant)?);
        }
    }
    drop(progress);
    match options.json {
        true => println!("{}", report.to_json()),
        false => print!("{}", report.to_text()),
    }
    Ok(())
}

/// A fresh server: fill, control period, expiry.
fn round(options: &Options, contestant: &Contestant) -> Result<Round, Error> {
    let server = Running::start(contestant, options.server_core.as_ref().map(std::slice::from_ref))?;
    let explain = |error| match error {
        Error::Usage(_) | Error::Interrupted => error,
        other => Error::Server(format!("{}: {other}{}", contestant.name, server.last_words())),
    };
    watch(options, &server).map_err(explain)
}

fn watch(options: &Options, server: &Running) -> Result<Round, Error> {
    let resident = || proc::about_resident_bytes(server.pid()).map_err(Error::io("cannot read a server's memory"));
    let mut probe = Probe::connect(server, options.value_length, options.server_core)?;
    let empty = resident()?;
    let fill = Duration::from_secs(1 + options.keys / FILL_RATE_MIN);
    let due = Instant::now() + fill + REST + options.control + REST;
    stock::store(server.address(), options, unix_millis(due))?;
    if due < Instant::now() + REST + options.control {
        return Err(Error::Server(format!("the keys were not stored within {} s", fill.as_secs())));
    }
    let resident_before = resident()?;
    sleep_until(due - REST - options.control)?;
    let control = probe.watch(|now, _| now + REST >= due)?;
    sleep_until(due)?;
    let last = due + options.spread;
    // A tenth of the growth may be buffers that a server keeps.
    let back = empty + resident_before.saturating_sub(empty) / 10;
    let mut gone = None;
    let expiry = probe.watch(|now, resident| {
        if gone.is_none() && now >= last && resident <= back {
            gone = Some(now);
        }
        now >= last + GONE_MAX || gone.is_some() && now >= last + AFTERMATH
    })?;
    let gone_after = gone.map(|gone| gone.saturating_duration_since(last));
    Ok(Round { control, expiry, gone_after, resident_before, resident_after: resident()? })
}

/// A moment to come as milliseconds since 1970.
fn unix_millis(moment: Instant) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since + moment.saturating_duration_since(Instant::now())).as_millis() as u64
}

/// Sleeps until a moment, or until somebody asks this process to stop.
fn sleep_until(moment: Instant) -> Result<(), Error> {
    while Instant::now() < moment {
        if os::interrupted() {
            return Err(Error::Interrupted);
        }
        let left = moment.saturating_duration_since(Instant::now());
        thread::sleep(left.min(Duration::from_millis(50)));
    }
    Ok(())
}
