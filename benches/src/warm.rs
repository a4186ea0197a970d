//! The verb `warm`: what a restart costs in hits, of a node that loads its hottest keys and of one that comes back cold.
//!
//! A client uses the node as a cache: GET, and SET what is missing. It follows a trace, or Zipf's law, in an open loop. Then the node is
//! stopped and started again, and the requests go on where they were.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use larder_client::connection::{self, Connection};
use larder_client::resp::Reply;

use crate::{
    ask::ask,
    compare::{Contestant, Running, larder_program},
    error::Error,
    json::Json,
    keys::{Choice, Keys},
    os,
    progress::Progress,
    table,
};

/// What the flags of `warm` ask for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Larder's binary; none for the release binary of this workspace.
    pub larder: Option<PathBuf>,
    /// Requests, one to a line: the key, and perhaps the bytes of its value. None for Zipf's law.
    pub trace: Option<PathBuf>,
    pub key_count: u64,
    pub theta: f64,
    /// Bytes of values whose length the trace does not tell.
    pub value_length: usize,
    /// Requests a second.
    pub rate: f64,
    /// How long the node is used before anything is counted.
    pub fill: Duration,
    /// How long is counted, before the stop and after the start.
    pub window: Duration,
    /// What the node is started with beside that.
    pub flags: Vec<String>,
    pub server_core: Option<usize>,
    pub json: bool,
}

/// Requests that are sent together.
const BATCH: Duration = Duration::from_millis(5);

/// How long a node may take to stop, and to be ready again.
const STOP_MAX: Duration = Duration::from_secs(30);

/// What was seen of one node.
struct Shown {
    name: &'static str,
    before: Hits,
    first: Hits,
    after: Hits,
    /// From the start of the process until it answers.
    ready: Duration,
    /// Fields of `INFO warm` after the start, if it warms itself: keys that were loaded, and the milliseconds that took.
    loaded: Option<(u64, u64)>,
}

#[derive(Clone, Copy, Default)]
struct Hits {
    hits: u64,
    requests: u64,
}

impl Hits {
    fn ratio(self) -> f64 {
        self.hits as f64 / self.requests.max(1) as f64
    }

    fn add(&mut self, other: Hits) {
        self.hits += other.hits;
        self.requests += other.requests;
    }
}

/// Stops and starts both nodes, and prints the report.
pub fn run(options: &Options) -> Result<(), Error> {
    let program = larder_program(options.larder.as_deref())?;
    let mut progress = Progress::new();
    let mut shown = Vec::new();
    for (name, warms) in [("warm", true), ("cold", false)] {
        progress.say(name);
        shown.push(restart(options, &program, name, warms)?);
    }
    drop(progress);
    match options.json {
        true => println!("{}", Json::List(shown.iter().map(Shown::to_json).collect())),
        false => {
            let rows: Vec<_> = shown.iter().map(Shown::row).collect();
            println!("{}", head(options) + &table::render(&HEADER, &rows));
        }
    }
    Ok(())
}

fn restart(options: &Options, program: &Path, name: &'static str, warms: bool) -> Result<Shown, Error> {
    let cores = options.server_core.as_ref().map(std::slice::from_ref);
    let mut contestant = Contestant::larder(name, program, 1);
    contestant.command.extend(["--warm".to_owned(), if warms { "yes" } else { "no" }.to_owned()]);
    contestant.command.extend(options.flags.iter().cloned());
    let server = Running::start(&contestant, cores)?;
    let mut requests = Requests::open(options)?;
    let mut client = open(&server)?;
    requests.send(&mut client, options.rate, options.fill)?;
    let before = sum(&requests.send(&mut client, options.rate, options.window)?);
    stop(&server)?;
    contestant.command.extend(["--dir".to_owned(), server.folder().display().to_string()]);
    let began = Instant::now();
    let again = Running::start(&contestant, cores)?;
    let ready = began.elapsed();
    let mut client = open(&again)?;
    let seconds = requests.send(&mut client, options.rate, options.window)?;
    let loaded = warms.then(|| loaded(&again)).transpose()?;
    Ok(Shown { name, before, first: seconds.first().copied().unwrap_or_default(), after: sum(&seconds), ready, loaded })
}

fn open(server: &Running) -> Result<Connection, Error> {
    Connection::open(server.address()).map_err(broken)
}

fn broken(error: connection::Error) -> Error {
    Error::Server(format!("the node cannot be asked: {error}"))
}

/// Has a node stop as a service manager would, which writes the list of its hottest keys, and waits until it has.
fn stop(server: &Running) -> Result<(), Error> {
    // It closes the connection instead of an answer.
    let _ = ask(server.address(), "SHUTDOWN NOSAVE");
    let began = Instant::now();
    while server.is_alive() {
        if began.elapsed() > STOP_MAX {
            return Err(Error::Server(format!("the node does not stop{}", server.last_words())));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn loaded(server: &Running) -> Result<(u64, u64), Error> {
    let info = ask(server.address(), "INFO warm").map_err(Error::io("cannot ask the server"))?;
    let field = |name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
    };
    Ok((field("larder_warm_preload_loaded"), field("larder_warm_preload_ms")))
}

fn sum(seconds: &[Hits]) -> Hits {
    let mut all = Hits::default();
    seconds.iter().for_each(|hits| all.add(*hits));
    all
}

/// Where requests come from.
enum Requests {
    Trace { lines: BufReader<Box<dyn std::io::Read>>, _unpacked: Option<Unpacking>, length: usize },
    Zipf { keys: Keys, length: usize },
}

/// A process that unpacks a trace. It ends with this.
struct Unpacking(Child);

impl Drop for Unpacking {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Requests {
    fn open(options: &Options) -> Result<Requests, Error> {
        let length = options.value_length;
        let Some(path) = &options.trace else {
            let choice = Choice::Zipf { theta: options.theta };
            return Ok(Requests::Zipf { keys: Keys::new(options.key_count, choice, 1), length });
        };
        let cannot = || Error::io(format!("cannot read the trace {}", path.display()));
        if path.extension().is_none_or(|extension| extension != "gz") {
            let file: Box<dyn std::io::Read> = Box::new(File::open(path).map_err(cannot())?);
            return Ok(Requests::Trace { lines: BufReader::new(file), _unpacked: None, length });
        }
        File::open(path).map_err(cannot())?;
        let mut gzip = Command::new("gzip");
        let child = gzip.arg("-dc").arg(path).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(Error::io("cannot run gzip"))?;
        let unpacked: Box<dyn std::io::Read> = Box::new(child.stdout.take().expect("it is piped"));
        Ok(Requests::Trace { lines: BufReader::new(unpacked), _unpacked: Some(Unpacking(child)), length })
    }

    /// The next key, and the bytes of its value.
    fn next(&mut self) -> Result<(Vec<u8>, usize), Error> {
        match self {
            Requests::Zipf { keys, length } => Ok((format!("k{}", keys.next()).into_bytes(), *length)),
            Requests::Trace { lines, length, .. } => loop {
                let mut line = String::new();
                if lines.read_line(&mut line).map_err(Error::io("cannot read the trace"))? == 0 {
                    return Err(Error::Usage(
                        "the trace ends before the time is over; lower --rate or --fill".to_owned(),
                    ));
                }
                let mut words = line.split_whitespace();
                let Some(key) = words.next().filter(|key| !key.starts_with('#')) else { continue };
                let bytes = words.next().and_then(|bytes| bytes.parse().ok());
                return Ok((format!("k{key}").into_bytes(), bytes.unwrap_or(*length)));
            },
        }
    }

    /// Sends requests at a rate for a time. Returns what was hit in each second of it.
    fn send(&mut self, client: &mut Connection, rate: f64, time: Duration) -> Result<Vec<Hits>, Error> {
        let began = Instant::now();
        let mut seconds: Vec<Hits> = Vec::new();
        let mut sent = 0u64;
        while began.elapsed() < time {
            if os::interrupted() {
                return Err(Error::Interrupted);
            }
            let due = (began.elapsed().as_secs_f64() * rate) as u64;
            let second = began.elapsed().as_secs() as usize;
            seconds.resize(seconds.len().max(second + 1), Hits::default());
            let batch = due.saturating_sub(sent).min((rate * BATCH.as_secs_f64() * 2.0).ceil() as u64);
            if batch > 0 {
                seconds[second].add(self.batch(client, batch)?);
                sent += batch;
            }
            if due <= sent {
                thread::sleep(BATCH);
            }
        }
        Ok(seconds)
    }

    fn batch(&mut self, client: &mut Connection, count: u64) -> Result<Hits, Error> {
        let wanted = (0..count).map(|_| self.next()).collect::<Result<Vec<_>, _>>()?;
        let gets: Vec<[&[u8]; 2]> = wanted.iter().map(|(key, _)| [&b"GET"[..], &key[..]]).collect();
        let replies = client.pipeline(&gets).map_err(broken)?;
        let is_hit = |reply: &Reply| reply.as_bytes().is_some();
        let hits = replies.iter().filter(|reply| is_hit(reply)).count() as u64;
        let missing = wanted.iter().zip(&replies).filter(|(_, reply)| !is_hit(reply));
        let values: Vec<(&[u8], Vec<u8>)> = missing.map(|((key, bytes), _)| (&key[..], vec![b'v'; *bytes])).collect();
        let sets: Vec<[&[u8]; 3]> = values.iter().map(|(key, value)| [&b"SET"[..], key, value]).collect();
        client.pipeline(&sets).map_err(broken)?;
        Ok(Hits { hits, requests: count })
    }
}

fn head(options: &Options) -> String {
    let load = match &options.trace {
        Some(trace) => trace.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        None => format!("{} keys by Zipf's law ({})", table::grouped(options.key_count as f64), options.theta),
    };
    format!(
        "{load}; {} requests a second, {} s of them before the {} s that are counted. Flags: {}\n\n",
        table::grouped(options.rate),
        options.fill.as_secs(),
        options.window.as_secs(),
        options.flags.join(" ")
    )
}

const HEADER: [&str; 8] =
    ["node", "hit ratio before", "first second", "after", "after/before", "ready ms", "keys loaded", "in ms"];

impl Shown {
    fn share(&self) -> f64 {
        self.after.ratio() / self.before.ratio().max(f64::MIN_POSITIVE)
    }

    fn row(&self) -> Vec<String> {
        let (keys, ms) = self.loaded.unzip();
        let whole = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| table::grouped(number as f64));
        vec![
            self.name.to_owned(),
            format!("{:.4}", self.before.ratio()),
            format!("{:.4}", self.first.ratio()),
            format!("{:.4}", self.after.ratio()),
            format!("{:.1} %", self.share() * 100.0),
            table::grouped(self.ready.as_secs_f64() * 1e3),
            whole(keys),
            whole(ms),
        ]
    }

    fn to_json(&self) -> Json {
        let (keys, ms) = self.loaded.unwrap_or_default();
        Json::Object(vec![
            ("node", Json::Text(self.name.to_owned())),
            ("before", Json::Number(self.before.ratio())),
            ("first_second", Json::Number(self.first.ratio())),
            ("after", Json::Number(self.after.ratio())),
            ("share", Json::Number(self.share())),
            ("ready_seconds", Json::Number(self.ready.as_secs_f64())),
            ("keys_loaded", Json::Number(keys as f64)),
            ("load_ms", Json::Number(ms as f64)),
        ])
    }
}
