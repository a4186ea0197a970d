//! `larder demo flood`: what rules do, shown on a node of its own, with clients that know nothing of them.
//!
//! Two hundred clients read one key as cache-aside clients do: GET, and if there is nothing, ask the database and SET. The database is
//! made up: its query takes its time and is counted.

use crate::config::{self, Start};
use crate::node::Node;
use crate::progress::Bar;
use larder_client::connection::{Connection, Error};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const CLIENTS: usize = 200;
const TTL: Duration = Duration::from_secs(1);
const QUERY: Duration = Duration::from_millis(100);
/// How often the key is to expire in each round.
const LIVES: u32 = 5;
/// Between two reads of a client.
const PAUSE: Duration = Duration::from_millis(2);

/// The rules that are tried, one after the other.
const RULES: &[&str] = &["", "lease on lease-wait 500ms", "lease on lease-wait 500ms stale-while-revalidate 10s"];

/// What came of one rule.
struct Row {
    rule: &'static str,
    gets: u64,
    queries: u64,
    longest: Duration,
}

/// Runs all rounds, and prints the table, or JSON.
///
/// # Errors
///
/// Why the node did not start, or did not answer.
pub fn flood(json: bool) -> Result<(), String> {
    let mut rows = Vec::new();
    let mut bar = Bar::on_terminal();
    for (done, rule) in RULES.iter().enumerate() {
        bar.count(done as u64, RULES.len() as u64, "rules");
        rows.push(round(rule)?);
    }
    drop(bar);
    let text = if json { as_json(&rows) } else { as_table(&rows, io::stdout().is_terminal()) };
    // A reader that has gone away, such as `head`, is no error.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(())
}

fn round(rule: &'static str) -> Result<Row, String> {
    let address = free_address()?;
    let node = start(address)?;
    if !rule.is_empty() {
        let mut words = vec!["CACHE.RULE", "SET", "hot:"];
        words.extend(rule.split(' '));
        connect(address)?.call(&words).map_err(broke)?;
    }
    let (gets, queries) = (AtomicU64::new(0), AtomicU64::new(0));
    let until = Instant::now() + TTL * LIVES;
    let longest = thread::scope(|scope| {
        let readers: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| read_aside(address, until, &gets, &queries))).collect();
        let ended = readers.into_iter().map(|reader| reader.join().map_err(|_| "a client broke".to_owned())?);
        ended.collect::<Result<Vec<Duration>, String>>()
    })?;
    node.stop();
    let longest = longest.into_iter().max().unwrap_or_default();
    Ok(Row { rule, gets: gets.into_inner(), queries: queries.into_inner(), longest })
}

/// One client. Returns how long its longest GET took.
fn read_aside(address: SocketAddr, until: Instant, gets: &AtomicU64, queries: &AtomicU64) -> Result<Duration, String> {
    let mut connection = connect(address)?;
    let mut longest = Duration::ZERO;
    while Instant::now() < until {
        let begin = Instant::now();
        let reply = connection.call(&["GET", "hot:page"]).map_err(broke)?;
        longest = longest.max(begin.elapsed());
        gets.fetch_add(1, Relaxed);
        if reply.as_bytes().is_none() {
            queries.fetch_add(1, Relaxed);
            thread::sleep(QUERY);
            let ttl = TTL.as_millis().to_string();
            connection.call(&["SET", "hot:page", "what the database has made of it", "PX", &ttl]).map_err(broke)?;
        }
        thread::sleep(PAUSE);
    }
    Ok(longest)
}

fn connect(address: SocketAddr) -> Result<Connection, String> {
    Connection::open(address).map_err(broke)
}

fn broke(error: Error) -> String {
    format!("the node of the demonstration does not answer: {error}")
}

fn free_address() -> Result<SocketAddr, String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let address = listener.and_then(|listener| listener.local_addr());
    address.map_err(|error| format!("there is no free port on this machine: {error}"))
}

/// A node that keeps nothing.
fn start(address: SocketAddr) -> Result<Node, String> {
    let port = address.port().to_string();
    let args = ["larder", "--port", &port, "--bind", "127.0.0.1", "--save", "", "--maxmemory", "64mb"];
    match config::read(args.into_iter().map(OsString::from), std::iter::empty()) {
        Ok(Start::Run(run)) => Node::start(*run).map_err(|error| error.to_string()),
        Ok(_) => unreachable!("these flags run a node"),
        Err(refused) => Err(refused.to_string()),
    }
}

fn as_table(rows: &[Row], colours: bool) -> String {
    let (bold, plain) = if colours { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let mut text = format!(
        "{CLIENTS} clients read one key for {LIVES} lifetimes of {TTL:?}; the database takes {QUERY:?} to answer.\n\n\
         {bold}{:>8}  {:>12}  {:>8}  {:>11}  rule{plain}\n",
        "queries", "per lifetime", "GETs", "longest GET"
    );
    for Row { rule, gets, queries, longest } in rows {
        let (per_life, longest) = (*queries as f64 / f64::from(LIVES), format!("{} ms", longest.as_millis()));
        let rule = if rule.is_empty() { "none" } else { rule };
        let _ = writeln!(text, "{queries:>8}  {per_life:>12.1}  {gets:>8}  {longest:>11}  {rule}");
    }
    text.push_str(
        "\nNext: redis-cli CACHE.RULE SET your-prefix: lease on lease-wait 500ms; docs/rules.md has all fields.\n",
    );
    text
}

fn as_json(rows: &[Row]) -> String {
    let row = |Row { rule, gets, queries, longest }: &Row| {
        let millis = longest.as_millis();
        format!("{{\"rule\":\"{rule}\",\"gets\":{gets},\"queries\":{queries},\"longest_get_ms\":{millis}}}")
    };
    format!("[{}]\n", rows.iter().map(row).collect::<Vec<_>>().join(","))
}
