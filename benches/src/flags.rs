//! The command line: what each verb can be told, and its defaults. The one module that names `clap`.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    thread,
    time::Duration,
};

use clap::{Arg, ArgAction, ArgMatches, Command, builder::RangedU64ValueParser, value_parser};

use crate::{
    cluster,
    compare::{self, Contestant},
    elements,
    engine::{Bound, Pace, Plan},
    error::Error,
    expire, fill,
    keys::Choice,
    load, replication,
    reply::Protocol,
    snapshot, warm,
    workload::{Operation, Score, Workload},
};

/// What was asked for.
#[derive(Debug)]
pub enum Verb {
    Load(load::Options),
    Fill(fill::Options),
    Compare(Box<compare::Options>),
    Elements(elements::Options),
    Expire(expire::Options),
    Replication(replication::Options),
    Snapshot(snapshot::Options),
    Cluster(cluster::Options),
    Warm(warm::Options),
}

/// Reads the command line; prints help or a complaint and ends the process if that is all there is to do.
///
/// # Errors
///
/// [`Error::Usage`] for flags that do not go together, [`Error::Io`] if the host's name has no address.
pub fn read() -> Result<Verb, Error> {
    verb(&command().get_matches())
}

fn verb(matches: &ArgMatches) -> Result<Verb, Error> {
    match matches.subcommand() {
        Some(("load", matches)) => Ok(Verb::Load(load_options(matches)?)),
        Some(("fill", matches)) => Ok(Verb::Fill(fill_options(matches)?)),
        Some(("elements", matches)) => Ok(Verb::Elements(elements_options(matches))),
        Some(("expire", matches)) => Ok(Verb::Expire(expire_options(matches)?)),
        Some(("replication", matches)) => Ok(Verb::Replication(replication_options(matches)?)),
        Some(("snapshot", matches)) => Ok(Verb::Snapshot(snapshot_options(matches)?)),
        Some(("cluster", matches)) => Ok(Verb::Cluster(cluster_options(matches)?)),
        Some(("warm", matches)) => Ok(Verb::Warm(warm_options(matches)?)),
        Some((_, matches)) => Ok(Verb::Compare(Box::new(compare_options(matches)?))),
        None => {
            let verbs = "load, fill, compare, elements, expire, replication, snapshot, cluster or warm";
            Err(Error::Usage(format!("say {verbs}; --help explains them")))
        }
    }
}

fn command() -> Command {
    Command::new("larder-benches")
        .about("A load generator for cache servers, and a comparison of servers under its loads.")
        .after_help("benches/README.md explains the columns.")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([load_command(), fill_command(), compare_command()])
        .subcommands([elements_command(), expire_command(), replication_command(), snapshot_command()])
        .subcommands([cluster_command(), warm_command()])
}

fn load_command() -> Command {
    Command::new("load")
        .about("Puts load on a running server and prints throughput, latency and CPU time")
        .disable_help_flag(true)
        .args(server_args())
        .args(key_args())
        .args([
            choice("op", OPERATIONS).default_value("get").help("The command to send"),
            number("per-command")
                .default_value("10")
                .help("Keys of one MSET or MGET, elements of one LRANGE or ZRANGE, commands of one EXEC"),
            members(),
            real("set-share").default_value("0.1").help("The share of SET in a mix, 0 to 1"),
            real("zipf").value_name("THETA").help("Keys by Zipf's law with this skew instead of evenly"),
            connections("50"),
            pipeline("1"),
            number("requests").short('n').conflicts_with("seconds").help("Stop after this many requests"),
            real("seconds").help("Stop after this time [default: 5]"),
            real("warmup").default_value("0").value_name("SECONDS").help("The same load before the measurement"),
            real("rate")
                .help("Open loop: requests a second over all connections, latency counted from when each is due"),
            number("threads").default_value("1").help("Generator threads, which share the connections"),
            cores("cores").help("The cores of the generator's threads, as 1 or 1,2"),
            seed(),
            json(),
        ])
}

/// What `--op` knows.
const OPERATIONS: [&str; 14] =
    ["get", "set", "mix", "incr", "mset", "mget", "lpush", "lrange", "sadd", "hset", "zadd", "zrange", "xadd", "exec"];

fn fill_command() -> Command {
    Command::new("fill")
        .about("Stores every key of the key space once and prints the memory of a key")
        .disable_help_flag(true)
        .args(server_args())
        .args(key_args())
        .args([
            choice("op", OPERATIONS).default_value("set").help("What is filled is what this command works on"),
            members(),
            connections("8"),
            pipeline("100"),
            cores("cores").help("The core of the generator"),
            seed(),
            json(),
        ])
}

fn compare_command() -> Command {
    Command::new("compare")
        .about("Starts Larder, Redis and memcached and compares them under the same loads, scenario by scenario")
        .args([
            larder(),
            choice("servers", compare::BUILT_IN)
                .value_delimiter(',')
                .default_value("larder,redis,memcached")
                .help("Which of the known servers take part"),
            Arg::new("server")
                .long("server")
                .value_name("NAME=COMMAND")
                .action(ArgAction::Append)
                .value_parser(Contestant::parse)
                .help("One more server: NAME=COMMAND LINE with {port} and perhaps {dir}; memcache:NAME=... if it speaks that"),
            flag("two-workers").help("Larder with one worker against Larder with two, all cores free for all"),
            number("workers").default_value("1").help("Larder's workers"),
            number("rounds").help("Rounds, in each of which every server runs [default: 5]"),
            real("seconds").help("The length of each measurement [default: 2]"),
            real("warmup").value_name("SECONDS").help("The same load before each measurement [default: 0.5]"),
            flag("quick").help("2 rounds of 1 second: to see that it works, not to quote"),
            Arg::new("scenario")
                .long("scenario")
                .value_name("PART-OF-NAME")
                .action(ArgAction::Append)
                .value_delimiter(',')
                .help("Only the scenarios with this in their name; may be repeated"),
            core("server-core").default_value("0").help("The core of the servers, or `any`"),
            cores("client-cores").alias("client-core").help("The cores of the generator, or `any` [default: 1]"),
            number("client-threads").default_value("1").help("Generator threads"),
            real("rate").help("Requests a second at equal load [default: half of what the slowest server can take]"),
            keys(),
            key_length(),
            value_length(),
            seed(),
            json(),
        ])
}

fn elements_command() -> Command {
    Command::new("elements")
        .about("Fills Larder and Redis with collections of three sizes and compares what an element costs in memory")
        .args([
            larder(),
            number("elements").default_value("1000000").help("Elements in all; collections as large have one key"),
            Arg::new("type")
                .long("type")
                .value_name("PART-OF-NAME")
                .action(ArgAction::Append)
                .value_delimiter(',')
                .help("Only the types with this in their name; may be repeated"),
            flag("markdown").conflicts_with("json").help("Print the table as docs/memory.md has it"),
            json(),
        ])
}

fn expire_command() -> Command {
    Command::new("expire").about("Measures what one client feels while very many keys expire at the same time").args([
        larder(),
        choice("servers", compare::LARDER_AND_REDIS)
            .value_delimiter(',')
            .default_value("larder,redis")
            .help("Which servers take part"),
        number("workers").default_value("1").help("Larder's workers"),
        number("rounds").default_value("3").help("Rounds, in each of which every server runs"),
        number("spread").default_value("1000").value_name("MS").help("The time within which the keys expire"),
        real("control").default_value("3").value_name("SECONDS").help("The period before, in which nothing expires"),
        core("server-core").default_value("0").help("The core of the servers, or `any`"),
        core("client-core").default_value("1").help("The core of the client, or `any`"),
        number("keys").default_value("1000000").help("Keys that expire"),
        flag("one-slot").help("Give the keys a hash tag that puts all of them into one slot"),
        value_length(),
        json(),
    ])
}

fn replication_command() -> Command {
    Command::new("replication")
        .about("Measures what a replica costs a server at each write, and how long a full resync takes")
        .args([
            larder(),
            choice("servers", compare::LARDER_AND_REDIS)
                .value_delimiter(',')
                .default_value("larder,redis")
                .help("Which servers take part; each has a replica of its own kind"),
            number("workers").default_value("1").help("Larder's workers"),
            number("rounds").default_value("3").help("Rounds, in each of which every server runs"),
            real("seconds").default_value("2").help("The length of each measurement of writes"),
            real("warmup").default_value("0.5").value_name("SECONDS").help("The same load before each measurement"),
            real("rate").default_value("20000").help("Requests a second during the resync, in an open loop"),
            real("set-share").default_value("0.1").value_name("X").help("The share of SET among them, 0 to 1"),
            core("server-core").default_value("0").help("The core of the primaries, or `any`"),
            cores("client-cores")
                .alias("client-core")
                .help("The cores of the generator and of the replicas, or `any` [default: 1]"),
            keys(),
            key_length(),
            value_length(),
            json(),
        ])
}

fn snapshot_command() -> Command {
    Command::new("snapshot")
        .about("Measures what clients feel while Larder and Redis save, the memory that takes, and how fast they load")
        .args([
            larder(),
            number("rounds").default_value("3").help("Rounds, in each of which both servers run"),
            real("rate").default_value("20000").help("Requests a second, in an open loop"),
            real("set-share").default_value("0.1").value_name("X").help("The share of SET among them, 0 to 1"),
            real("seconds").default_value("3").help("The length of each period, with and without saving"),
            core("server-core").default_value("0").help("The core of the servers, or `any`"),
            cores("client-cores").alias("client-core").help("The cores of the generator, or `any` [default: 1]"),
            keys(),
            key_length(),
            value_length(),
            json(),
        ])
}

fn cluster_command() -> Command {
    Command::new("cluster")
        .about("Measures what clients feel while a fourth shard joins three of Larder's, and how many keys move")
        .args([
            larder(),
            number("rounds").default_value("3").help("Rounds, each with a cluster of its own"),
            real("rate").default_value("5000").help("Requests a second, in an open loop"),
            real("set-share").default_value("0.1").value_name("X").help("The share of SET among them, 0 to 1"),
            real("seconds").default_value("5").help("The length of the periods before and after the move"),
            cores("server-cores").help("The cores of the nodes, or `any` [default: any]"),
            cores("client-cores").alias("client-core").help("The core of the client, or `any` [default: any]"),
            keys(),
            key_length(),
            value_length(),
            json(),
        ])
}

fn warm_command() -> Command {
    Command::new("warm")
        .about("Measures what a restart costs in hits, of a node that loads its hottest keys and of a cold one")
        .args([
            larder(),
            Arg::new("trace")
                .long("trace")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Requests, a key and perhaps the bytes of its value to a line; may be packed (.gz) [default: Zipf's law]"),
            real("zipf").value_name("THETA").default_value("0.99").help("The skew without a trace"),
            keys(),
            value_length(),
            real("rate").default_value("20000").help("Requests a second, in an open loop"),
            real("fill").default_value("20").value_name("SECONDS").help("How long the node is used before anything is counted"),
            real("seconds").default_value("10").help("How long is counted, before the stop and after the start"),
            Arg::new("flag")
                .long("flag")
                .value_name("WORD")
                .action(ArgAction::Append)
                .allow_hyphen_values(true)
                .help("A word of the node's command line, such as --maxmemory or 64mb; may be repeated"),
            core("server-core").default_value("any").help("The core of the nodes, or `any`"),
            json(),
        ])
}

fn server_args() -> [Arg; 4] {
    [
        Arg::new("host").long("host").short('h').default_value("127.0.0.1").help("The server's name or address"),
        Arg::new("port")
            .long("port")
            .short('p')
            .default_value("6379")
            .value_parser(value_parser!(u16))
            .help("Its port"),
        choice("protocol", ["resp", "memcache"]).default_value("resp").help("What it speaks"),
        Arg::new("pid")
            .long("pid")
            .value_parser(value_parser!(u32))
            .help("Its process, to tell its CPU time and memory"),
    ]
}

fn key_args() -> [Arg; 5] {
    [
        keys(),
        key_length(),
        value_length(),
        Arg::new("ttl")
            .long("ttl")
            .value_name("SECONDS")
            .value_parser(value_parser!(u32).range(1..))
            .help("A time to live for each SET"),
        // `-h` is the host, as in redis-cli.
        Arg::new("help").long("help").action(ArgAction::Help).help("Print this"),
    ]
}

fn larder() -> Arg {
    Arg::new("larder")
        .long("larder")
        .value_name("PATH")
        .value_parser(value_parser!(PathBuf))
        .help("Larder's binary [default: the workspace's target/release/larder]")
}

fn keys() -> Arg {
    number("keys").default_value("1000000").help("Keys in the key space")
}

fn members() -> Arg {
    number("members").default_value("100").help("Members of each collection; --keys counts the collections")
}

fn key_length() -> Arg {
    number("key-length").default_value("16").value_name("BYTES").help("Bytes of a key: a letter and its padded number")
}

fn value_length() -> Arg {
    number("value-length").default_value("64").value_name("BYTES").help("Bytes of a value")
}

fn connections(default: &'static str) -> Arg {
    number("connections").short('c').default_value(default).help("Connections")
}

fn pipeline(default: &'static str) -> Arg {
    number("pipeline").short('P').default_value(default).help("Requests under way on each connection")
}

fn seed() -> Arg {
    number("seed").default_value("1").help("Where the random choices start")
}

fn json() -> Arg {
    flag("json").help("Print JSON instead of a table")
}

fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

fn number(name: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("N").value_parser(RangedU64ValueParser::<u64>::new())
}

fn real(name: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("X").value_parser(not_negative)
}

fn choice<const N: usize>(name: &'static str, values: [&'static str; N]) -> Arg {
    Arg::new(name).long(name).value_parser(values)
}

fn cores(name: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("CORES").value_delimiter(',').value_parser(core_or_any)
}

fn core(name: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("CORE").value_parser(core_or_any)
}

/// The longest time that a flag can ask for.
const SECONDS_MAX: f64 = 1e9;

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.0..=SECONDS_MAX).contains(&number) => Ok(number),
        _ => Err(format!("it has to be a number from 0 to {SECONDS_MAX:e}")),
    }
}

/// A core's number, or none for `any`.
fn core_or_any(text: &str) -> Result<Option<usize>, String> {
    match text {
        "any" => Ok(None),
        _ => text.parse().map(Some).map_err(|_| "it has to be the number of a core, from 0 on, or `any`".to_owned()),
    }
}

fn load_options(matches: &ArgMatches) -> Result<load::Options, Error> {
    let workload = Workload { choice: key_choice(matches), ..workload(matches, operation(matches)) };
    let pace = matches.get_one("rate").map_or(Pace::Closed, |&rate| Pace::Open { rate });
    let bound = match matches.get_one("requests") {
        Some(&count) => Bound::Requests(count),
        None => Bound::Time(seconds(matches, "seconds", 5.0)),
    };
    let plan = Plan { pace, threads: size(matches, "threads"), ..plan(matches, workload)? };
    Ok(load::Options {
        plan,
        bound,
        warmup: seconds(matches, "warmup", 0.0),
        pid: matches.get_one("pid").copied(),
        json: matches.get_flag("json"),
    })
}

fn fill_options(matches: &ArgMatches) -> Result<fill::Options, Error> {
    let plan = plan(matches, workload(matches, operation(matches).filling()))?;
    Ok(fill::Options { plan, pid: matches.get_one("pid").copied(), json: matches.get_flag("json") })
}

fn elements_options(matches: &ArgMatches) -> elements::Options {
    elements::Options {
        larder: matches.get_one("larder").cloned(),
        elements: count(matches, "elements"),
        types: many(matches, "type"),
        form: match (matches.get_flag("json"), matches.get_flag("markdown")) {
            (true, _) => elements::Form::Json,
            (_, true) => elements::Form::Markdown,
            _ => elements::Form::Text,
        },
    }
}

fn compare_options(matches: &ArgMatches) -> Result<compare::Options, Error> {
    let quick = matches.get_flag("quick");
    let base = keys_and_values(matches, Operation::Get)?;
    let rounds = matches.get_one("rounds").map_or(if quick { 2 } else { 5 }, |&rounds: &u64| rounds as usize);
    if rounds == 0 {
        return Err(Error::Usage("--rounds is 0; give at least 1".to_owned()));
    }
    // On a machine with one core, server and generator have to share it.
    let other_core = usize::from(thread::available_parallelism().is_ok_and(|cores| cores.get() > 1));
    Ok(compare::Options {
        larder: matches.get_one("larder").cloned(),
        servers: many(matches, "servers"),
        extra: many(matches, "server"),
        two_workers: matches.get_flag("two-workers"),
        workers: size(matches, "workers"),
        rounds,
        time: seconds(matches, "seconds", if quick { 1.0 } else { 2.0 }),
        warmup: seconds(matches, "warmup", if quick { 0.2 } else { 0.5 }),
        scenarios: many(matches, "scenario"),
        server_core: matches.get_one::<Option<usize>>("server-core").copied().flatten(),
        client_cores: core_list(matches, "client-cores").unwrap_or(vec![other_core]),
        client_threads: size(matches, "client-threads"),
        base,
        rate: matches.get_one("rate").copied(),
        seed: count(matches, "seed"),
        json: matches.get_flag("json"),
    })
}

fn expire_options(matches: &ArgMatches) -> Result<expire::Options, Error> {
    let core = |name| matches.get_one::<Option<usize>>(name).copied().flatten();
    let options = expire::Options {
        larder: matches.get_one("larder").cloned(),
        servers: many(matches, "servers"),
        workers: size(matches, "workers"),
        rounds: size(matches, "rounds"),
        keys: count(matches, "keys"),
        value_length: size(matches, "value-length"),
        one_slot: matches.get_flag("one-slot"),
        spread: Duration::from_millis(count(matches, "spread")),
        control: seconds(matches, "control", 3.0),
        server_core: core("server-core"),
        client_core: core("client-core"),
        json: matches.get_flag("json"),
    };
    match options.rounds == 0 || options.keys == 0 {
        true => Err(Error::Usage("--rounds and --keys have to be at least 1".to_owned())),
        false => Ok(options),
    }
}

/// How many keys of what length there are, with values of what length.
fn keys_and_values(matches: &ArgMatches, operation: Operation) -> Result<Workload, Error> {
    let base = Workload {
        key_count: count(matches, "keys"),
        key_length: size(matches, "key-length"),
        value_length: size(matches, "value-length"),
        ..Workload::standard(operation)
    };
    base.check()?;
    Ok(base)
}

fn replication_options(matches: &ArgMatches) -> Result<replication::Options, Error> {
    let base = keys_and_values(matches, Operation::Set)?;
    let options = replication::Options {
        larder: matches.get_one("larder").cloned(),
        servers: many(matches, "servers"),
        workers: size(matches, "workers"),
        rounds: size(matches, "rounds"),
        base,
        time: seconds(matches, "seconds", 2.0),
        warmup: seconds(matches, "warmup", 0.5),
        rate: matches.get_one("rate").copied().unwrap_or(20_000.0),
        set_share: matches.get_one("set-share").copied().unwrap_or(0.1),
        server_core: matches.get_one::<Option<usize>>("server-core").copied().flatten(),
        client_cores: core_list(matches, "client-cores").unwrap_or(vec![1]),
        json: matches.get_flag("json"),
    };
    match options.rounds == 0 || options.rate <= 0.0 || !(0.0..=1.0).contains(&options.set_share) {
        true => Err(Error::Usage("--rounds and --rate have to be above 0, and --set-share 0 to 1".to_owned())),
        false => Ok(options),
    }
}

fn snapshot_options(matches: &ArgMatches) -> Result<snapshot::Options, Error> {
    let base = keys_and_values(matches, Operation::Get)?;
    let options = snapshot::Options {
        larder: matches.get_one("larder").cloned(),
        rounds: size(matches, "rounds"),
        base,
        rate: matches.get_one("rate").copied().unwrap_or(20_000.0),
        set_share: matches.get_one("set-share").copied().unwrap_or(0.1),
        time: seconds(matches, "seconds", 3.0),
        server_core: matches.get_one::<Option<usize>>("server-core").copied().flatten(),
        client_cores: core_list(matches, "client-cores").unwrap_or(vec![1]),
        json: matches.get_flag("json"),
    };
    match options.rounds == 0 || options.rate <= 0.0 || !(0.0..=1.0).contains(&options.set_share) {
        true => Err(Error::Usage("--rounds and --rate have to be above 0, and --set-share 0 to 1".to_owned())),
        false => Ok(options),
    }
}

fn cluster_options(matches: &ArgMatches) -> Result<cluster::Options, Error> {
    let base = keys_and_values(matches, Operation::Get)?;
    let options = cluster::Options {
        larder: matches.get_one("larder").cloned(),
        rounds: size(matches, "rounds"),
        base,
        rate: matches.get_one("rate").copied().unwrap_or(5_000.0),
        set_share: matches.get_one("set-share").copied().unwrap_or(0.1),
        time: seconds(matches, "seconds", 5.0),
        server_cores: core_list(matches, "server-cores").unwrap_or_default(),
        client_cores: core_list(matches, "client-cores").unwrap_or_default(),
        json: matches.get_flag("json"),
    };
    match options.rounds == 0 || options.rate <= 0.0 || !(0.0..=1.0).contains(&options.set_share) {
        true => Err(Error::Usage("--rounds and --rate have to be above 0, and --set-share 0 to 1".to_owned())),
        false => Ok(options),
    }
}

fn warm_options(matches: &ArgMatches) -> Result<warm::Options, Error> {
    let options = warm::Options {
        larder: matches.get_one("larder").cloned(),
        trace: matches.get_one("trace").cloned(),
        key_count: count(matches, "keys"),
        theta: matches.get_one("zipf").copied().unwrap_or(0.99),
        value_length: size(matches, "value-length"),
        rate: matches.get_one("rate").copied().unwrap_or(20_000.0),
        fill: seconds(matches, "fill", 20.0),
        window: seconds(matches, "seconds", 10.0),
        flags: many(matches, "flag"),
        server_core: matches.get_one::<Option<usize>>("server-core").copied().flatten(),
        json: matches.get_flag("json"),
    };
    match options.rate < 1.0 || options.key_count == 0 || options.theta <= 0.0 {
        true => Err(Error::Usage("--rate and --keys have to be at least 1, and --zipf above 0".to_owned())),
        false => Ok(options),
    }
}

fn operation(matches: &ArgMatches) -> Operation {
    let keys = size(matches, "per-command");
    match text(matches, "op") {
        "set" => Operation::Set,
        "incr" => Operation::Incr,
        "mset" => Operation::Mset { keys },
        "mget" => Operation::Mget { keys },
        "lpush" => Operation::Lpush,
        "lrange" => Operation::Lrange { elements: keys },
        "sadd" => Operation::Sadd,
        "hset" => Operation::Hset,
        "zadd" => Operation::Zadd { score: Score::Whole },
        "zrange" => Operation::Zrange { elements: keys },
        "xadd" => Operation::Xadd { trimmed: true },
        "exec" => Operation::Exec { commands: keys },
        "mix" => Operation::Mix { set_share: matches.get_one("set-share").copied().unwrap_or_default() },
        _ => Operation::Get,
    }
}

fn key_choice(matches: &ArgMatches) -> Choice {
    matches.get_one("zipf").map_or(Choice::Uniform, |&theta| Choice::Zipf { theta })
}

fn workload(matches: &ArgMatches, operation: Operation) -> Workload {
    let protocol = if text(matches, "protocol") == "memcache" { Protocol::Memcache } else { Protocol::Resp };
    Workload {
        protocol,
        key_count: count(matches, "keys"),
        members: count(matches, "members"),
        key_length: size(matches, "key-length"),
        value_length: size(matches, "value-length"),
        ttl: matches.get_one("ttl").copied(),
        ..Workload::standard(operation)
    }
}

fn plan(matches: &ArgMatches, workload: Workload) -> Result<Plan, Error> {
    Ok(Plan {
        address: address(matches)?,
        workload,
        connections: size(matches, "connections"),
        depth: size(matches, "pipeline"),
        pace: Pace::Closed,
        threads: 1,
        cores: core_list(matches, "cores").unwrap_or_default(),
        seed: count(matches, "seed"),
    })
}

fn address(matches: &ArgMatches) -> Result<SocketAddr, Error> {
    let (host, port) = (text(matches, "host"), matches.get_one("port").copied().unwrap_or_default());
    let mut addresses = (host, port).to_socket_addrs().map_err(Error::io(format!("cannot find the host {host}")))?;
    addresses.next().ok_or_else(|| Error::Usage(format!("the host {host} has no address")))
}

/// The cores of a list; one `any` among them leaves the placement to the system.
fn core_list(matches: &ArgMatches, name: &str) -> Option<Vec<usize>> {
    let listed = matches.get_many::<Option<usize>>(name)?;
    Some(listed.copied().collect::<Option<Vec<_>>>().unwrap_or_default())
}

fn many<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Vec<T> {
    matches.get_many(name).map(|values| values.cloned().collect()).unwrap_or_default()
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map_or("", String::as_str)
}

/// A number of a flag that has a default.
fn count(matches: &ArgMatches, name: &str) -> u64 {
    matches.get_one(name).copied().unwrap_or_default()
}

fn size(matches: &ArgMatches, name: &str) -> usize {
    count(matches, name) as usize
}

fn seconds(matches: &ArgMatches, name: &str, default: f64) -> Duration {
    Duration::from_secs_f64(matches.get_one(name).copied().unwrap_or(default))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Verb {
        verb(&command().get_matches_from(line.split(' '))).unwrap()
    }

    #[test]
    fn the_flags_are_consistent_and_their_defaults_valid() {
        command().debug_assert();
    }

    #[test]
    fn load_reads_its_flags() {
        let Verb::Load(options) =
            parsed("x load -p 7000 --op mget --per-command 7 --zipf 0.9 -P 4 -c 6 --rate 10 -n 99 --cores 1,2")
        else {
            panic!("the verb is load");
        };
        assert_eq!(options.plan.address.port(), 7000);
        assert_eq!(options.plan.workload.operation, Operation::Mget { keys: 7 });
        assert_eq!(options.plan.workload.choice, Choice::Zipf { theta: 0.9 });
        assert_eq!((options.plan.depth, options.plan.connections), (4, 6));
        assert_eq!(options.plan.pace, Pace::Open { rate: 10.0 });
        assert_eq!(options.bound, Bound::Requests(99));
        assert_eq!(options.plan.cores, [1, 2]);
    }

    #[test]
    fn compare_has_the_documented_defaults() {
        let Verb::Compare(options) = parsed("x compare") else { panic!("the verb is compare") };
        assert_eq!(options.servers, compare::BUILT_IN);
        assert_eq!((options.rounds, options.time), (5, Duration::from_secs(2)));
        assert_eq!((options.server_core, options.workers), (Some(0), 1));
        let Verb::Compare(quick) = parsed("x compare --quick --servers redis --server-core any --client-core any")
        else {
            panic!("the verb is compare");
        };
        assert_eq!((quick.rounds, quick.time), (2, Duration::from_secs(1)));
        assert_eq!((quick.server_core, quick.client_cores), (None, vec![]));
        assert_eq!(quick.servers, ["redis"]);
    }

    #[test]
    fn replication_has_the_documented_defaults() {
        let Verb::Replication(options) = parsed("x replication") else { panic!("the verb is replication") };
        assert_eq!(options.servers, compare::LARDER_AND_REDIS);
        assert_eq!((options.rounds, options.time, options.base.key_count), (3, Duration::from_secs(2), 1_000_000));
        assert_eq!((options.server_core, options.client_cores), (Some(0), vec![1]));
    }

    #[test]
    fn cluster_has_the_documented_defaults() {
        let Verb::Cluster(options) = parsed("x cluster") else { panic!("the verb is cluster") };
        assert_eq!((options.rounds, options.rate, options.base.key_count), (3, 5000.0, 1_000_000));
        assert_eq!((options.server_cores, options.client_cores), (vec![], vec![]));
        let Verb::Cluster(pinned) = parsed("x cluster --server-cores 0,1 --client-core 1") else { panic!("as above") };
        assert_eq!((pinned.server_cores, pinned.client_cores), (vec![0, 1], vec![1]));
    }

    #[test]
    fn counters_have_keys_of_their_own() {
        let Verb::Load(options) = parsed("x load --op incr") else { panic!("the verb is load") };
        assert_eq!(options.plan.workload.prefix, b'c');
    }
}
