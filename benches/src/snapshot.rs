//! The verb `snapshot`: what clients feel while a server saves, what memory that takes, and how fast the file is loaded.
//!
//! Each server is filled with strings and has a steady load of GET and SET, an open loop, first by itself and then while it
//! saves as often as it takes to fill the same time. What Redis's child has copied counts as its memory.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    ask::ask,
    compare::{Contestant, Running, larder_program},
    engine::{Bound, Engine, Outcome, Pace, Plan},
    error::Error,
    fill,
    histogram::Histogram,
    json::Json,
    memory::Memory,
    progress::Progress,
    table,
    workload::{Operation, Workload},
};

/// What the flags of `snapshot` ask for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Larder's binary; none for the release binary of this workspace.
    pub larder: Option<PathBuf>,
    pub rounds: usize,
    pub base: Workload,
    /// Requests a second.
    pub rate: f64,
    pub set_share: f64,
    /// How long each of the two periods is at least.
    pub time: Duration,
    pub server_core: Option<usize>,
    pub client_cores: Vec<usize>,
    pub json: bool,
}

/// What the rounds showed of one server.
#[derive(Default)]
struct Shown {
    quiet: Histogram,
    saving: Histogram,
    /// Of each snapshot.
    seconds: Vec<f64>,
    load_seconds: Vec<f64>,
    file_bytes: u64,
    /// The most that memory grew while it saved, and what it was before.
    extra_bytes: u64,
    resident_bytes: u64,
}

const CONNECTIONS: usize = 50;

/// How long one piece of the load is, between two looks at whether the snapshot is over.
const PIECE: Duration = Duration::from_millis(200);

/// Runs the rounds and prints the report.
pub fn run(options: &Options) -> Result<(), Error> {
    let program = larder_program(options.larder.as_deref())?;
    let contestants = [Contestant::larder("larder", &program, 1), Contestant::redis()];
    if let Some(absent) = contestants.iter().find(|contestant| !contestant.is_installed()) {
        return Err(Error::Usage(format!("{} is not on the PATH", absent.command[0])));
    }
    let mut shown = [Shown::default(), Shown::default()];
    let mut progress = Progress::new();
    for number in 1..=options.rounds {
        for (contestant, shown) in contestants.iter().zip(&mut shown) {
            progress.say(&format!("round {number} of {}: {}", options.rounds, contestant.name));
            round(options, contestant, shown)?;
        }
    }
    drop(progress);
    let servers = contestants.iter().zip(&shown);
    match options.json {
        true => {
            println!("{}", Json::List(servers.map(|(contestant, shown)| shown.to_json(&contestant.name)).collect()))
        }
        false => {
            let rows: Vec<_> = servers.map(|(contestant, shown)| shown.row(&contestant.name)).collect();
            println!("{}", head(options) + &table::render(&HEADER, &rows));
        }
    }
    Ok(())
}

fn round(options: &Options, contestant: &Contestant, shown: &mut Shown) -> Result<(), Error> {
    let cores = options.server_core.as_ref().map(std::slice::from_ref);
    let server = Running::start(contestant, cores)?;
    let plan = |operation, pace, connections, depth| Plan {
        address: server.address(),
        workload: Workload { operation, ..options.base.clone() },
        connections,
        depth,
        pace,
        threads: 1,
        cores: options.client_cores.clone(),
        seed: 1,
    };
    fill::fill(&plan(Operation::Set, Pace::Closed, 8, 100), Some(server.pid()), None)?;
    let mix = Operation::Mix { set_share: options.set_share };
    let mut engine = Engine::connect(&plan(mix, Pace::Open { rate: options.rate }, CONNECTIONS, 1))?;
    engine.run(Bound::Time(Duration::from_secs(1)), None)?;
    shown.quiet.merge(&engine.run(Bound::Time(options.time), None)?.latencies);
    let memory = Memory::new(server.pid()).map_err(Error::io("cannot read a server's memory"))?;
    let ((), extra) = memory.watch(|| saving(options, &server, &mut engine, shown))?;
    shown.extra_bytes = shown.extra_bytes.max(extra);
    shown.resident_bytes = memory.before();
    drop(engine);
    load(options, contestant, &server, shown)
}

/// Saves again and again under the load, until that has filled the time.
fn saving(options: &Options, server: &Running, engine: &mut Engine, shown: &mut Shown) -> Result<(), Error> {
    let broken = || Error::io("cannot ask the server");
    let began = Instant::now();
    while began.elapsed() < options.time {
        let started = Instant::now();
        ask(server.address(), "BGSAVE").map_err(broken())?;
        loop {
            let Outcome { latencies, .. } = engine.run(Bound::Time(PIECE), None)?;
            let info = ask(server.address(), "INFO persistence").map_err(broken())?;
            if info.contains("rdb_bgsave_in_progress:0") {
                if !info.contains("rdb_last_bgsave_status:ok") {
                    return Err(Error::Server(format!("a snapshot failed{}", server.last_words())));
                }
                break;
            }
            // The last piece may be quiet in part, and is left out.
            shown.saving.merge(&latencies);
        }
        shown.seconds.push(started.elapsed().as_secs_f64());
    }
    Ok(())
}

/// Starts another one on the file.
fn load(options: &Options, contestant: &Contestant, server: &Running, shown: &mut Shown) -> Result<(), Error> {
    let file = server.folder().join("dump.rdb");
    shown.file_bytes = fs::metadata(&file).map_err(Error::io("cannot look at the snapshot"))?.len();
    let mut again = contestant.clone();
    again.command.extend(["--dir".to_owned(), server.folder().display().to_string()]);
    server.pause(true)?;
    let started = Instant::now();
    let loaded = Running::start(&again, options.server_core.as_ref().map(std::slice::from_ref))?;
    shown.load_seconds.push(started.elapsed().as_secs_f64());
    let keys = ask(loaded.address(), "DBSIZE").map_err(Error::io("cannot ask the server"))?;
    match keys.parse() == Ok(options.base.key_count) {
        true => Ok(()),
        false => Err(Error::Server(format!("{} has loaded {keys} keys", contestant.name))),
    }
}

fn head(options: &Options) -> String {
    let Workload { key_count, value_length, .. } = options.base;
    format!(
        "{} keys with values of {value_length} bytes; {} requests a second, {} % of them SET. {} rounds.\n\n",
        table::grouped(key_count as f64),
        table::grouped(options.rate),
        options.set_share * 100.0,
        options.rounds
    )
}

const HEADER: [&str; 11] = [
    "server",
    "quiet p50 us",
    "p99",
    "p99.9",
    "saving p50 us",
    "p99",
    "p99.9",
    "save s",
    "extra memory",
    "file MB",
    "load s",
];

impl Shown {
    fn row(&self, name: &str) -> Vec<String> {
        let micros = |latencies: &Histogram, quantile| table::figure(Some(latencies.quantile(quantile) as f64 / 1e3));
        let extra = self.extra_bytes as f64 / self.resident_bytes.max(1) as f64;
        let mut row = vec![name.to_owned()];
        for latencies in [&self.quiet, &self.saving] {
            row.extend([0.5, 0.99, 0.999].map(|quantile| micros(latencies, quantile)));
        }
        row.extend([
            table::figure(Some(mean(&self.seconds))),
            format!("{:.1} %", extra * 100.0),
            table::figure(Some(self.file_bytes as f64 / 1e6)),
            table::figure(Some(mean(&self.load_seconds))),
        ]);
        row
    }

    fn to_json(&self, name: &str) -> Json {
        let latencies = |latencies: &Histogram| {
            let micros = |quantile| Json::Number(latencies.quantile(quantile) as f64 / 1e3);
            Json::Object(vec![("p50_us", micros(0.5)), ("p99_us", micros(0.99)), ("p999_us", micros(0.999))])
        };
        Json::Object(vec![
            ("server", Json::Text(name.to_owned())),
            ("quiet", latencies(&self.quiet)),
            ("saving", latencies(&self.saving)),
            ("save_seconds", Json::Number(mean(&self.seconds))),
            ("extra_bytes", Json::Number(self.extra_bytes as f64)),
            ("resident_bytes", Json::Number(self.resident_bytes as f64)),
            ("file_bytes", Json::Number(self.file_bytes as f64)),
            ("load_seconds", Json::Number(mean(&self.load_seconds))),
        ])
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
