//! The verb `replication`: what a replica costs a server at each write, and what a full resync takes.
//!
//! In a round, each kind of server has two primaries with the same keys: one alone, and one with a replica of its own kind. The
//! replica comes as an empty process while there is a steady load, which is the full resync; then both primaries get the
//! same SETs, one after the other. All processes of a round live at the same time, and those that are not measured are stopped,
//! so that figures which are set against each other are taken within seconds.

mod report;
mod state;

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    ask::ask,
    compare::{self, Contestant, Running},
    engine::{Bound, Engine, Pace, Plan},
    error::Error,
    fill,
    memory::Memory,
    os, proc,
    progress::Progress,
    workload::{Operation, Workload},
};
use report::{Report, Resync, Writes};
use state::{Primary, Replica};

/// What the flags of `replication` ask for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Larder's binary; none for the release binary of this workspace.
    pub larder: Option<PathBuf>,
    pub servers: Vec<String>,
    pub workers: usize,
    pub rounds: usize,
    pub base: Workload,
    /// The length of each measurement of writes, and of the same load before it.
    pub time: Duration,
    pub warmup: Duration,
    /// Requests a second during the resync, and the share of SET among them.
    pub rate: f64,
    pub set_share: f64,
    pub server_core: Option<usize>,
    /// Of the generator and of the replicas.
    pub client_cores: Vec<usize>,
    pub json: bool,
}

/// How many requests are under way on each connection while writes are measured.
const DEPTHS: [usize; 2] = [1, 16];

const CONNECTIONS: usize = 50;

/// How often a replica is asked whether it has come to where it should be.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// A replica that takes longer has something wrong with it.
const SYNC_MAX: Duration = Duration::from_secs(600);

/// How long one piece of the load is, between two looks at whether the resync is over.
const PIECE: Duration = Duration::from_millis(100);

/// Redis waits five seconds for more replicas before it begins, unless it is told not to.
const REDIS_AT_ONCE: [&str; 2] = ["--repl-diskless-sync-delay", "0"];

/// Runs the rounds and prints the report.
pub fn run(options: &Options) -> Result<(), Error> {
    let mut contestants = compare::larder_and_redis(&options.servers, options.larder.as_deref(), options.workers)?;
    for contestant in contestants.iter_mut().filter(|contestant| is_redis(contestant)) {
        contestant.command.extend(REDIS_AT_ONCE.map(str::to_owned));
    }
    let mut report = Report::new(options, &contestants, &DEPTHS);
    let mut progress = Progress::new();
    for number in 1..=options.rounds {
        let mut say = |who: &Contestant, what: &str| {
            progress.say(&format!("round {number} of {}: {} {what}", options.rounds, who.name));
        };
        let mut bouts = Vec::new();
        for (index, contestant) in contestants.iter().enumerate() {
            say(contestant, "fill and resync");
            let (bout, resync) = Bout::start(options, contestant)?;
            report.add_resync(index, resync);
            bouts.push(bout);
        }
        for (row, depth) in DEPTHS.into_iter().enumerate() {
            for (index, bout) in bouts.iter().enumerate() {
                say(bout.contestant, &format!("SET, {depth} deep"));
                report.add_writes(row, index, bout.writes(depth)?);
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

fn is_redis(contestant: &Contestant) -> bool {
    contestant.name == "redis"
}

/// A server that starts as a replica of another.
fn replica_of(contestant: &Contestant, port: u16) -> Contestant {
    let mut replica = contestant.clone();
    replica.name.push_str("'s replica");
    replica.command.push("--replicaof".to_owned());
    match is_redis(contestant) {
        true => replica.command.extend(["127.0.0.1".to_owned(), port.to_string()]),
        false => replica.command.push(format!("127.0.0.1 {port}")),
    }
    replica
}

/// One kind of server in a round: fresh processes, all of them stopped while they are not measured.
struct Bout<'a> {
    options: &'a Options,
    contestant: &'a Contestant,
    /// The primary without a replica.
    alone: Running,
    followed: Running,
    replica: Running,
}

impl<'a> Bout<'a> {
    /// Starts the three, and measures the resync.
    fn start(options: &'a Options, contestant: &'a Contestant) -> Result<(Self, Resync), Error> {
        let start = || {
            let server = Running::start(contestant, options.server_core.as_ref().map(std::slice::from_ref))?;
            let plan = Plan { connections: 8, depth: 100, ..plan(options, &server) };
            fill::fill(&plan, Some(server.pid()), None).map_err(|error| explain(contestant, &[&server], error))?;
            Ok::<_, Error>(server)
        };
        let alone = start()?;
        alone.pause(true)?;
        let followed = start()?;
        let (replica, resync) =
            resync(options, contestant, &followed).map_err(|error| explain(contestant, &[&followed], error))?;
        let bout = Self { options, contestant, alone, followed, replica };
        bout.pause_followed(true)?;
        Ok((bout, resync))
    }

    fn pause_followed(&self, on: bool) -> Result<(), Error> {
        self.followed.pause(on)?;
        self.replica.pause(on)
    }

    /// Measures SETs on both primaries.
    fn writes(&self, depth: usize) -> Result<Writes, Error> {
        let explain = |error| explain(self.contestant, &[&self.alone, &self.followed, &self.replica], error);
        self.alone.pause(false)?;
        let alone = self.measure(&self.alone, depth, || Ok(())).map_err(explain)?;
        self.alone.pause(true)?;
        self.pause_followed(false)?;
        // The two may have lost each other while they were stopped.
        wait_until_online(&self.followed, &self.replica).map_err(explain)?;
        let mut behind = Duration::ZERO;
        let followed = self.measure(&self.followed, depth, || {
            behind = wait_until_caught_up(&self.followed, &self.replica)?;
            Ok(())
        });
        let followed = followed.map_err(explain)?;
        self.pause_followed(true)?;
        Ok(Writes { alone, followed, behind })
    }

    /// Microseconds of CPU time of a primary for each SET, with what it still has to do until `settle` returns.
    fn measure(
        &self,
        server: &Running,
        depth: usize,
        settle: impl FnOnce() -> Result<(), Error>,
    ) -> Result<f64, Error> {
        let cpu = || proc::cpu_time(server.pid()).map_err(Error::io("cannot read a server's CPU time"));
        let mut engine = Engine::connect(&Plan { depth, ..plan(self.options, server) })?;
        engine.run(Bound::Time(self.options.warmup), None)?;
        let before = cpu()?;
        let outcome = engine.run(Bound::Time(self.options.time), None)?;
        settle()?;
        let spent = cpu()?.saturating_sub(before);
        match &outcome.tally.first_error {
            Some(text) => Err(Error::Server(format!("a SET was refused: {text}"))),
            None => Ok(spent.as_secs_f64() * 1e6 / outcome.tally.replies.max(1) as f64),
        }
    }
}

/// SETs by a closed loop; callers change what they want otherwise.
fn plan(options: &Options, server: &Running) -> Plan {
    Plan {
        address: server.address(),
        workload: options.base.clone(),
        connections: CONNECTIONS,
        depth: 1,
        pace: Pace::Closed,
        threads: 1,
        cores: options.client_cores.clone(),
        seed: 1,
    }
}

/// Starts an empty replica of a filled primary that is under load, and waits until it is in sync.
fn resync(options: &Options, contestant: &Contestant, primary: &Running) -> Result<(Running, Resync), Error> {
    let mut load = plan(options, primary);
    load.workload.operation = Operation::Mix { set_share: options.set_share };
    load.pace = Pace::Open { rate: options.rate };
    let mut engine = Engine::connect(&load)?;
    engine.run(Bound::Time(Duration::from_secs(1)), None)?;
    let memory = Memory::new(primary.pid()).map_err(Error::io("cannot read a server's memory"))?;
    let is_over = AtomicBool::new(false);
    let ((replica, seconds), extra_bytes) = memory.watch(|| {
        thread::scope(|scope| {
            let loading = scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    engine.run(Bound::Time(PIECE), None)?;
                }
                Ok(())
            });
            let synced = start_replica(options, contestant, primary);
            is_over.store(true, Ordering::Relaxed);
            loading.join().expect("the load does not panic").and(synced)
        })
    })?;
    let resync = Resync { seconds, extra_bytes, resident_bytes: memory.before() };
    Ok((replica, resync))
}

/// Starts a replica; returns it with the seconds until it held all keys and followed its primary.
fn start_replica(options: &Options, contestant: &Contestant, primary: &Running) -> Result<(Running, f64), Error> {
    let started = Instant::now();
    let cores = (!options.client_cores.is_empty()).then_some(&options.client_cores[..]);
    let replica = Running::start_within(SYNC_MAX, &replica_of(contestant, primary.address().port()), cores)?;
    let synced = wait(&replica, "it is not in sync", || {
        Ok(Replica::of(&replica)?.is_up && dbsize(&replica)? == options.base.key_count)
    });
    synced.map_err(|error| explain(contestant, &[&replica], error))?;
    Ok((replica, started.elapsed().as_secs_f64()))
}

fn dbsize(server: &Running) -> std::io::Result<u64> {
    Ok(ask(server.address(), "DBSIZE")?.parse().unwrap_or_default())
}

/// Waits until each of the two says that it has the other, and the replica has all that was written before.
fn wait_until_online(primary: &Running, replica: &Running) -> Result<(), Error> {
    wait(primary, "its replica is not online", || {
        Ok(Primary::of(primary)?.is_replica_online && Replica::of(replica)?.is_up)
    })?;
    wait_until_caught_up(primary, replica).map(drop)
}

/// Waits until the replica has all that the primary has written until now. Returns how long that took.
fn wait_until_caught_up(primary: &Running, replica: &Running) -> Result<Duration, Error> {
    let started = Instant::now();
    let offset = Primary::of(primary).map_err(Error::io("cannot ask a primary"))?.offset;
    wait(replica, "it does not catch up", || Ok(Replica::of(replica)?.offset >= offset))?;
    Ok(started.elapsed())
}

/// Asks until something is so. What cannot be asked, as the server still loads, is not so yet.
fn wait(server: &Running, otherwise: &str, is_so: impl Fn() -> std::io::Result<bool>) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        let answer = is_so();
        if matches!(answer, Ok(true)) {
            return Ok(());
        }
        if os::interrupted() {
            return Err(Error::Interrupted);
        }
        let has_ended = !server.is_alive();
        if has_ended || started.elapsed() > SYNC_MAX {
            let why = answer.err().map_or(String::new(), |error| format!(" ({error})"));
            let after = if has_ended { "and has ended".to_owned() } else { format!("after {} s", SYNC_MAX.as_secs()) };
            return Err(Error::Server(format!("{otherwise} {after}{why}")));
        }
        thread::sleep(ASK_EVERY);
    }
}

/// Says whose error it was, and what its servers said last.
fn explain(contestant: &Contestant, servers: &[&Running], error: Error) -> Error {
    match error {
        Error::Usage(_) | Error::Interrupted => error,
        _ if os::interrupted() => Error::Interrupted,
        other => {
            let words: String = servers.iter().map(|server| server.last_words()).collect();
            Error::Server(format!("{}: {other}{words}", contestant.name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_replica_is_told_of_its_primary_as_its_kind_reads_it() {
        let end = |contestant: &Contestant| {
            let replica = replica_of(contestant, 7000).command;
            replica[contestant.command.len()..].to_vec()
        };
        assert_eq!(end(&Contestant::redis()), ["--replicaof", "127.0.0.1", "7000"]);
        assert_eq!(end(&Contestant::larder("larder", Path::new("larder"), 1)), ["--replicaof", "127.0.0.1 7000"]);
    }
}
