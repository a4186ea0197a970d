//! The verb `cluster`: what clients feel while a shard joins a cluster under load, whether a key is lost, and how many keys move.
//!
//! Three shards hold all keys, and one client of the cluster uses them as a cache beside an origin: it reads, and stores what it
//! misses; a tenth of its requests are writes of its own. Then a fourth node joins, and a quarter of the slots move to it while
//! that goes on. The load never pauses: each request belongs to the period in which it was due.

mod load;
mod nodes;
mod report;

use std::{
    path::PathBuf,
    sync::atomic::Ordering::Relaxed,
    thread,
    time::{Duration, Instant},
};

use crate::{compare::larder_program, error::Error, os, progress::Progress, workload::Workload};
use load::{Client, Load, Signals};
use nodes::{Nodes, SlotMap};
use report::Report;

/// What the flags of `cluster` ask for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Larder's binary; none for the release binary of this workspace.
    pub larder: Option<PathBuf>,
    pub rounds: usize,
    /// The number and the length of keys, and the length of values.
    pub base: Workload,
    /// Requests a second.
    pub rate: f64,
    pub set_share: f64,
    /// How long the periods before and after the move are.
    pub time: Duration,
    pub server_cores: Vec<usize>,
    pub client_cores: Vec<usize>,
    pub json: bool,
}

/// The shards at first.
const SHARDS: usize = 3;

/// The load before anything is measured.
const WARMUP: Duration = Duration::from_secs(1);

/// A cluster that has not come to rest after this time never will.
const MOVE_MAX: Duration = Duration::from_secs(300);

/// The time from one look at whether slots still move to the next.
const LOOK: Duration = Duration::from_millis(50);

/// The periods, by which latencies and hits are told apart; 0 is what comes before them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    Before = 1,
    Moving,
    After,
}

/// What one round showed.
pub struct Round {
    /// Of the time before, and of each [`Period`].
    pub loads: [Load; 4],
    /// From the start of the fourth node's process until no slot moved any more.
    pub seconds: f64,
    pub keys: u64,
    /// Keys whose slots have another owner than before.
    pub keys_moved: u64,
    pub slots_moved: usize,
    /// Keys that the nodes have in the end.
    pub keys_left: u64,
}

/// Runs the rounds and prints the report.
///
/// # Errors
///
/// If a node does not start or the cluster does not come to rest; also if a request failed or a key was lost, behind the report.
pub fn run(options: &Options) -> Result<(), Error> {
    let mut progress = Progress::new();
    let rounds = (1..=options.rounds)
        .map(|number| {
            let mut say = |what: &str| progress.say(&format!("round {number} of {}: {what}", options.rounds));
            round(options, &mut say)
        })
        .collect::<Result<Vec<_>, _>>()?;
    drop(progress);
    let report = Report { options, rounds: &rounds };
    match options.json {
        true => println!("{}", report.to_json()),
        false => print!("{}", report.to_text()),
    }
    report.check()
}

fn round(options: &Options, say: &mut dyn FnMut(&str)) -> Result<Round, Error> {
    let program = larder_program(options.larder.as_deref())?;
    say("the cluster begins");
    let mut nodes = Nodes::new(program, &options.server_cores);
    for _ in 0..SHARDS {
        nodes.add()?;
    }
    nodes.wait_until_even(MOVE_MAX)?;
    say("fill");
    nodes.fill(&options.base)?;
    let before = nodes.slots()?;
    let signals = Signals::default();
    let client = Client::connect(options, &nodes.addresses(), &before)?;
    let (loads, seconds) = thread::scope(|scope| {
        let (signals, cores) = (&signals, &options.client_cores);
        let load = scope.spawn(move || {
            if let Some(core) = cores.first() {
                os::pin_thread(*core).map_err(Error::io(format!("cannot run on core {core}")))?;
            }
            client.run(signals)
        });
        let seconds = lead(options, &mut nodes, signals, say);
        signals.is_over.store(true, Relaxed);
        let loads = load.join().expect("the load does not panic");
        Ok::<_, Error>((loads?, seconds?))
    })?;
    let after = nodes.slots()?;
    let has_moved = |slot: &usize| before.owner(*slot) != after.owner(*slot);
    let counts = nodes::keys_by_slot(&options.base);
    Ok(Round {
        loads,
        seconds,
        keys: options.base.key_count,
        keys_moved: (0..SlotMap::LEN).filter(has_moved).map(|slot| counts[slot]).sum(),
        slots_moved: (0..SlotMap::LEN).filter(has_moved).count(),
        keys_left: nodes.keys()?,
    })
}

/// Leads the load through its periods. Returns how many seconds the move took.
fn lead(options: &Options, nodes: &mut Nodes, signals: &Signals, say: &mut dyn FnMut(&str)) -> Result<f64, Error> {
    let mut period = |period: Period, what: &str| {
        signals.period.store(period as usize, Relaxed);
        say(what);
    };
    let sleep = |time: Duration| {
        let until = Instant::now() + time;
        while Instant::now() < until && !signals.is_broken.load(Relaxed) {
            thread::sleep(LOOK.min(time));
        }
    };
    sleep(WARMUP);
    period(Period::Before, "before");
    sleep(options.time);
    period(Period::Moving, "a shard joins");
    let began = Instant::now();
    nodes.add()?;
    loop {
        if signals.is_broken.load(Relaxed) || nodes.is_even()? {
            break;
        }
        if began.elapsed() > MOVE_MAX {
            return Err(Error::Server(format!(
                "slots still move after {} s{}",
                MOVE_MAX.as_secs(),
                nodes.last_words()
            )));
        }
        thread::sleep(LOOK);
    }
    let seconds = began.elapsed().as_secs_f64();
    period(Period::After, "after");
    sleep(options.time);
    Ok(seconds)
}
