//! The verb `compare`: the same loads on several servers, side by side, in rounds with fresh processes.
//!
//! A shared machine's speed drifts by half within minutes, so a server's figure alone says little. Each round runs all servers,
//! and what is reported is the median over the rounds of the ratio *within* a round.

mod report;
mod scenario;
pub mod server;

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    ask::ask,
    engine::{Bound, Engine, Pace, Plan},
    error::Error,
    fill, load, os,
    progress::Progress,
    workload::Workload,
};
use report::{Cell, Report};
use scenario::Scenario;
pub use server::{Contestant, Running, free_port};

/// What the flags of `compare` ask for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Larder's binary; none for the release binary of this workspace.
    pub larder: Option<PathBuf>,
    /// The names of the built-in servers that take part.
    pub servers: Vec<String>,
    pub extra: Vec<Contestant>,
    /// Larder with one worker against Larder with two, unpinned, instead of the servers.
    pub two_workers: bool,
    pub workers: usize,
    pub rounds: usize,
    /// The length of each measurement, and of the same load before it.
    pub time: Duration,
    pub warmup: Duration,
    pub scenarios: Vec<String>,
    /// None leaves the placement to the system.
    pub server_core: Option<usize>,
    pub client_cores: Vec<usize>,
    pub client_threads: usize,
    /// Keys and values; operation, choice and protocol are the scenarios'.
    pub base: Workload,
    /// The rate at equal load; none for half of what the slowest can take.
    pub rate: Option<f64>,
    pub seed: u64,
    pub json: bool,
}

/// The names `--servers` knows.
pub const BUILT_IN: [&str; 3] = ["larder", "redis", "memcached"];

/// Those of them that [`larder_and_redis`] knows.
pub const LARDER_AND_REDIS: [&str; 2] = ["larder", "redis"];

/// Runs the comparison and prints the report.
pub fn run(options: &Options) -> Result<(), Error> {
    let scenarios = chosen_scenarios(options)?;
    let (contestants, notes) = contestants(options)?;
    let reference = if options.two_workers { ONE_WORKER } else { "redis" };
    let mut report = Report::new(&contestants, &scenarios, reference, notes);
    let mut progress = Progress::new();
    report.rate = equal_rate(options, &contestants, &scenarios, &mut progress)?;
    for round in 1..=options.rounds {
        let mut say = |who: &Contestant, what: &str| {
            progress.say(&format!("round {round} of {}: {} {what}", options.rounds, who.name));
        };
        // All servers of a round live at the same time, all but one stopped: so what is compared is measured within seconds
        // of each other, whatever the machine does in the minutes that a round takes.
        let mut bouts = Vec::new();
        for (index, contestant) in contestants.iter().enumerate() {
            say(contestant, "fill");
            let mut bout = Bout::start(options, contestant)?;
            report.add_memory(index, bout.fill()?);
            bout.server.pause(true)?;
            bouts.push(bout);
        }
        for (row, scenario) in scenarios.iter().enumerate() {
            for (index, bout) in bouts.iter_mut().enumerate() {
                say(bout.contestant, scenario.name);
                bout.server.pause(false)?;
                report.add(row, index, bout.measure(scenario, report.rate)?);
                bout.server.pause(true)?;
            }
        }
    }
    drop(progress);
    match options.json {
        true => println!("{}", report.to_json()),
        false => print!("{}", report.to_text()),
    }
    Ok(())
}

/// Two servers that share both cores with the generator are compared by what they can take, not at equal load.
fn chosen_scenarios(options: &Options) -> Result<Vec<Scenario>, Error> {
    let mut scenarios = scenario::choose(&options.scenarios)?;
    if options.two_workers {
        scenarios.retain(|scenario| !scenario.equal_load);
    }
    Ok(scenarios)
}

const ONE_WORKER: &str = "larder-1";
const TWO_WORKERS: &str = "larder-2";

/// Who takes part, and notes on who does not.
fn contestants(options: &Options) -> Result<(Vec<Contestant>, Vec<String>), Error> {
    if options.two_workers {
        let program = larder_program(options.larder.as_deref())?;
        let both = [(ONE_WORKER, 1), (TWO_WORKERS, 2)];
        return Ok((both.map(|(name, workers)| Contestant::larder(name, &program, workers)).into(), Vec::new()));
    }
    let (mut present, mut notes) = (Vec::new(), Vec::new());
    for name in &options.servers {
        let contestant = match name.as_str() {
            "larder" => Contestant::larder(name, &larder_program(options.larder.as_deref())?, options.workers),
            "redis" => Contestant::redis(),
            _ => Contestant::memcached(),
        };
        match contestant.is_installed() {
            true => present.push(contestant),
            false => notes.push(format!("{name} is left out: {} is not on the PATH.", contestant.command[0])),
        }
    }
    for contestant in &options.extra {
        if !contestant.is_installed() {
            let Contestant { name, command, .. } = contestant;
            return Err(Error::Usage(format!("the server {name} cannot be run: there is no program {:?}", command[0])));
        }
        present.push(contestant.clone());
    }
    match present.is_empty() {
        true => Err(Error::Usage(format!("there is no server to measure. {}", notes.join(" ")))),
        false => Ok((present, notes)),
    }
}

/// Those of Larder and Redis that were named, for verbs that know no others; each has to be there.
///
/// # Errors
///
/// [`Error::Usage`] that names the one that is not.
pub fn larder_and_redis(names: &[String], larder: Option<&Path>, workers: usize) -> Result<Vec<Contestant>, Error> {
    let find = |name: &String| match name.as_str() {
        "larder" => Ok(Contestant::larder(name, &larder_program(larder)?, workers)),
        _ => Ok(Contestant::redis()),
    };
    let all: Vec<Contestant> = names.iter().map(find).collect::<Result<_, Error>>()?;
    match all.iter().find(|contestant| !contestant.is_installed()) {
        Some(absent) => {
            Err(Error::Usage(format!("{} is not on the PATH; leave it out with --servers", absent.command[0])))
        }
        None => Ok(all),
    }
}

/// The binary that was asked for, or the release binary that lies where this program was built.
pub fn larder_program(asked: Option<&Path>) -> Result<PathBuf, Error> {
    let program = match asked {
        // The server runs in a folder of its own, so a relative path has to be made absolute.
        Some(path) => std::path::absolute(path).map_err(Error::io("cannot tell the current folder"))?,
        None => built_larder()?,
    };
    match program.is_file() {
        true => Ok(program),
        false => Err(Error::Usage(format!(
            "there is no Larder at {}; build it with `cargo build --release`, name it with --larder PATH, or leave it out with \
             --servers redis,memcached",
            program.display()
        ))),
    }
}

fn built_larder() -> Result<PathBuf, Error> {
    let own = env::current_exe().map_err(Error::io("cannot tell where this program lies"))?;
    // target/release/larder-benches, or target/debug/larder-benches if somebody forgot --release.
    let target = own.parent().and_then(Path::parent).unwrap_or(Path::new("target"));
    Ok(target.join("release").join("larder"))
}

/// Half of what the slowest server can take, found by one short run of each; none if no scenario needs it.
fn equal_rate(
    options: &Options,
    contestants: &[Contestant],
    scenarios: &[Scenario],
    progress: &mut Progress,
) -> Result<Option<f64>, Error> {
    if options.rate.is_some() || !scenarios.iter().any(|scenario| scenario.equal_load) {
        return Ok(options.rate);
    }
    let mut slowest = f64::INFINITY;
    for contestant in contestants {
        progress.say(&format!("calibration: {}", contestant.name));
        let mut bout = Bout::start(options, contestant)?;
        bout.fill()?;
        let cell = bout.measure(&scenario::CALIBRATION, None)?;
        slowest = slowest.min(cell.map_or(f64::INFINITY, |cell| cell.ops));
    }
    Ok(Some(slowest * EQUAL_LOAD_SHARE))
}

const EQUAL_LOAD_SHARE: f64 = 0.5;

/// One server in a round: a fresh process.
struct Bout<'a> {
    options: &'a Options,
    contestant: &'a Contestant,
    server: Running,
}

/// How the key space is filled: few connections, so that their buffers weigh little, and deep pipelines.
const FILL: (usize, usize) = (8, 100);

impl<'a> Bout<'a> {
    fn start(options: &'a Options, contestant: &'a Contestant) -> Result<Self, Error> {
        let core = options.server_core.filter(|_| !options.two_workers);
        let server = Running::start(contestant, core.as_ref().map(std::slice::from_ref))?;
        Ok(Self { options, contestant, server })
    }

    /// Stores the key space and returns resident bytes per key.
    fn fill(&mut self) -> Result<Option<f64>, Error> {
        self.store_all(&Scenario { name: "fill", ..scenario::CALIBRATION })
    }

    /// Stores what a scenario works on.
    fn store_all(&mut self, scenario: &Scenario) -> Result<Option<f64>, Error> {
        let mut plan = Plan { connections: FILL.0, depth: FILL.1, ..self.plan(scenario, Pace::Closed) };
        plan.workload.operation = scenario.operation.filling();
        plan.workload.members = scenario.filled;
        let filled =
            fill::fill(&plan, Some(self.server.pid()), None).map_err(|error| self.explain(scenario.name, error))?;
        Ok(filled.bytes_per_key())
    }

    /// Scenarios on collections start from the same ones, whatever a scenario before has made of them.
    fn renew(&mut self, scenario: &Scenario) -> Result<(), Error> {
        ask(self.server.address(), "FLUSHALL").map_err(Error::io(format!("cannot empty {}", self.contestant.name)))?;
        self.store_all(scenario).map(drop)
    }

    /// Runs a scenario; none if the server's protocol has no such command.
    fn measure(&mut self, scenario: &Scenario, rate: Option<f64>) -> Result<Option<Cell>, Error> {
        if !scenario.suits(self.contestant.protocol) {
            return Ok(None);
        }
        if scenario.operation.is_on_collection() {
            self.renew(scenario)?;
        } else if scenario.needs_counters() {
            self.store_all(scenario)?;
        }
        let pace = match rate.filter(|_| scenario.equal_load) {
            Some(rate) => Pace::Open { rate },
            None => Pace::Closed,
        };
        let plan = self.plan(scenario, pace);
        let run = || {
            let mut engine = Engine::connect(&plan)?;
            engine.run(Bound::Time(self.options.warmup), None)?;
            load::measure(&mut engine, Bound::Time(self.options.time), Some(self.server.pid()), None)
        };
        run()
            .map(|measured| Some(Cell::of(&measured, self.options.client_threads)))
            .map_err(|error| self.explain(scenario.name, error))
    }

    fn plan(&self, scenario: &Scenario, pace: Pace) -> Plan {
        let options = self.options;
        Plan {
            address: self.server.address(),
            workload: scenario.workload(&options.base, self.contestant.protocol),
            connections: scenario.connections,
            depth: scenario.depth,
            pace,
            threads: options.client_threads,
            cores: if options.two_workers { Vec::new() } else { options.client_cores.clone() },
            seed: options.seed,
        }
    }

    /// Says whose error it was, and what the server said last.
    fn explain(&self, what: &str, error: Error) -> Error {
        match error {
            Error::Usage(_) | Error::Interrupted => error,
            _ if os::interrupted() => Error::Interrupted,
            other => Error::Server(format!("{}, {what}: {other}{}", self.contestant.name, self.server.last_words())),
        }
    }
}
