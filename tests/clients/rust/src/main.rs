//! `larder-ride LIBRARY PORT`: redis-rs's cluster client (`redis-rs`) or fred (`fred`), as ride.py leads it.

use fred::interfaces::{ClientLike, KeysInterface};
use fred::types::config::{Config, ReconnectPolicy, ServerConfig};
use redis::AsyncCommands;
use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

/// Each has keys of its own.
const LANES: usize = 8;

/// As in redis-py's ride.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What ride.py has said.
struct Told {
    is_strict: AtomicBool,
    /// How often errors began to be excusable.
    tolerations: AtomicUsize,
    goes_on: AtomicBool,
}

impl Told {
    /// How often errors had been excusable by now, if none is.
    fn strictness(&self) -> Option<usize> {
        let tolerations = self.tolerations.load(SeqCst);
        self.is_strict.load(SeqCst).then_some(tolerations)
    }
}

#[derive(Clone)]
enum Client {
    Redis(redis::cluster_async::ClusterConnection),
    Fred(fred::clients::Client),
}

impl Client {
    async fn connect(library: &str, port: u16) -> Result<Client, String> {
        match library {
            "redis-rs" => {
                let nodes = vec![format!("redis://127.0.0.1:{port}")];
                let client = redis::cluster::ClusterClient::builder(nodes).response_timeout(TIMEOUT).build();
                Ok(Client::Redis(client.map_err(text)?.get_async_connection().await.map_err(text)?))
            }
            "fred" => {
                let server = ServerConfig::new_clustered(vec![("127.0.0.1", port)]);
                let mut builder = fred::types::Builder::from_config(Config { server, ..Config::default() });
                // Without a policy it gives up at the first lost connection.
                builder.set_policy(ReconnectPolicy::new_exponential(0, 50, 1000, 2));
                builder.with_performance_config(|config| config.default_command_timeout = TIMEOUT);
                let client = builder.build().map_err(text)?;
                client.init().await.map_err(text)?;
                Ok(Client::Fred(client))
            }
            _ => Err(format!("{library} is neither redis-rs nor fred")),
        }
    }

    async fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match self {
            Client::Redis(client) => client.set(key, value).await.map_err(text),
            Client::Fred(client) => client.set(key, value, None, None, false).await.map_err(text),
        }
    }

    async fn get(&mut self, key: &str) -> Result<Option<String>, String> {
        match self {
            Client::Redis(client) => client.get(key).await.map_err(text),
            Client::Fred(client) => client.get(key).await.map_err(text),
        }
    }

    async fn incr(&mut self, key: &str) -> Result<i64, String> {
        match self {
            Client::Redis(client) => client.incr(key, 1).await.map_err(text),
            Client::Fred(client) => client.incr(key).await.map_err(text),
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// What a lane has done and seen.
#[derive(Default)]
struct Lane {
    operations: usize,
    excused: usize,
    errors: Vec<String>,
    wrong: Vec<String>,
    /// What is to be there in the end.
    written: HashMap<String, String>,
    counters: HashMap<String, i64>,
}

impl Lane {
    /// Writes, reads and counts until told to stop.
    async fn ride(mut self, number: usize, mut client: Client, told: Arc<Told>) -> Lane {
        let mut round = 0;
        while told.goes_on.load(SeqCst) {
            round += 1;
            let name = format!("key:{number}:{}", round % 500);
            let counter = format!("counter:{number}:{}", round % 100);
            let strictness = told.strictness();
            let done = self.step(&mut client, &name, &counter, &round.to_string()).await;
            // Whether no error has been excusable since the round began.
            let is_strict = strictness.is_some() && strictness == told.strictness();
            match done {
                Ok(wrong) => {
                    self.operations += 3;
                    // What a killed primary had not sent on is lost.
                    if is_strict {
                        self.wrong.extend(wrong);
                    }
                }
                Err(error) => {
                    // It may have been done or not.
                    self.written.remove(&name);
                    self.counters.remove(&counter);
                    if is_strict { self.errors.push(error) } else { self.excused += 1 }
                }
            }
            if !is_strict {
                self.written.clear();
                self.counters.clear();
            }
        }
        self
    }

    /// One round. Returns what is not as it was written.
    async fn step(
        &mut self,
        client: &mut Client,
        name: &str,
        counter: &str,
        value: &str,
    ) -> Result<Vec<String>, String> {
        let mut wrong = Vec::new();
        client.set(name, value).await?;
        self.written.insert(name.to_owned(), value.to_owned());
        if client.get(name).await?.as_deref() != Some(value) {
            wrong.push(format!("{name} is not what was just written"));
        }
        let count = client.incr(counter).await?;
        if let Some(before) = self.counters.insert(counter.to_owned(), count)
            && count != before + 1
        {
            wrong.push(format!("{counter} went from {before} to {count}"));
        }
        Ok(wrong)
    }

    async fn check(&mut self, client: &mut Client) -> Result<(), String> {
        for (name, value) in &self.written {
            let found = client.get(name).await?;
            if found.as_ref() != Some(value) {
                self.wrong.push(format!("{name} is {found:?}, not {value}"));
            }
        }
        Ok(())
    }
}

/// Hears what ride.py says, a word a line.
async fn listen(told: Arc<Told>) {
    let mut lines = BufReader::new(stdin()).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match line.trim() {
            "tolerate" => {
                told.is_strict.store(false, SeqCst);
                told.tolerations.fetch_add(1, SeqCst);
            }
            "strict" => told.is_strict.store(true, SeqCst),
            "stop" => break,
            _ => {}
        }
    }
    told.goes_on.store(false, SeqCst);
}

async fn run(library: &str, port: u16) -> Result<bool, String> {
    let mut client = Client::connect(library, port).await?;
    client.set("first", "1").await?;
    let told = Arc::new(Told {
        is_strict: AtomicBool::new(true),
        tolerations: AtomicUsize::new(0),
        goes_on: AtomicBool::new(true),
    });
    tokio::spawn(listen(told.clone()));
    println!("ready");
    let ride = |number| tokio::spawn(Lane::default().ride(number, client.clone(), told.clone()));
    let riding: Vec<_> = (0..LANES).map(ride).collect();
    let mut sum = Lane::default();
    for lane in riding {
        let mut lane = lane.await.map_err(text)?;
        lane.check(&mut client).await?;
        sum.operations += lane.operations;
        sum.excused += lane.excused;
        sum.errors.append(&mut lane.errors);
        sum.wrong.append(&mut lane.wrong);
    }
    let Lane { operations, excused, errors, wrong, .. } = &sum;
    let some = |list: &[String]| list[..list.len().min(3)].join("; ");
    let (errors_shown, wrong_shown) = (some(errors), some(wrong));
    println!(
        "{operations} operations, {excused} errors excused, {} not: [{errors_shown}], wrong: [{wrong_shown}]",
        errors.len()
    );
    Ok(errors.is_empty() && wrong.is_empty() && *operations >= 1000)
}

#[tokio::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [library, port] = &words[..] else {
        eprintln!("usage: larder-ride redis-rs|fred PORT");
        return ExitCode::from(2);
    };
    let Ok(port) = port.parse() else {
        eprintln!("{port} is no port");
        return ExitCode::from(2);
    };
    match run(library, port).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("larder-ride: {error}");
            ExitCode::FAILURE
        }
    }
}
