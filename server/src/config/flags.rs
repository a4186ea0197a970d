//! The command line. The door to the `clap` crate.
//!
//! Every setting is a flag under each of its names. What comes from redis-server's command line works as it does there:
//! a flag may be followed by several words (`--save 900 1`, `--bind A B`, `--save ""`), its name may be in capitals, and
//! the first word of all may be a configuration file.

use std::ffi::{OsStr, OsString};

use clap::builder::styling::{AnsiColor, Styles};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::explain::Printed;
use super::raw::{Entry, Origin, Reading, Wrong, words_of};
use super::table::{self, Effect, Id, SETTINGS, Setting};
use super::words;

/// What the command line asks for.
#[derive(Debug)]
pub enum Verb {
    /// Run a node.
    Run,
    /// Print this.
    Print(Printed),
    /// Print the settings, or one of them.
    Explain { name: Option<String>, json: bool },
    /// Look at an RDB file.
    Rdb(RdbJob),
    /// Look at a cluster, or change it.
    Cluster(ClusterJob),
    /// Show what rules do.
    Demo { json: bool },
    /// Run all nodes of a folder.
    Up(OsString),
}

/// What is asked of a running cluster, by way of one of its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterJob {
    pub verb: ClusterVerb,
    /// `HOST:PORT` of any node of it; by default the one on this machine that `port` names.
    pub at: Option<String>,
    /// Whether the answer is for a program.
    pub json: bool,
}

/// What to do with a cluster. Nodes are named by their ids, the beginnings of these, `HOST:PORT` or the port alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterVerb {
    /// Show the nodes.
    Status,
    /// Show who has which slots.
    Slots,
    /// Show how another node is added.
    Add,
    /// Have a node give up all it holds.
    Drain { node: String, cancel: bool },
    /// Take a node out for good; by `force` together with what nobody else holds.
    Remove { node: String, force: bool },
    /// Wait until every shard has its share.
    Rebalance,
    /// Let a replica lead its shard; by `force` whatever it lacks.
    Failover { node: String, force: bool },
    /// Have every shard have so many replicas.
    Replicas { count: u8 },
}

/// What is asked about an RDB file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RdbJob {
    pub verb: RdbVerb,
    pub file: OsString,
    /// Whether the answer is for a program.
    pub json: bool,
}

/// What to do with an RDB file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RdbVerb {
    /// Read it to its end and tell whether it is sound.
    Check,
    /// Tell what takes how much of it.
    Stats,
}

/// A command line once it is read.
#[derive(Debug)]
pub struct Asked {
    /// What to do.
    pub verb: Verb,
    /// The configuration file; `-` is the standard input.
    pub file: Option<OsString>,
    /// The settings among the flags.
    pub reading: Reading,
}

/// Reads a command line, of which the first word is the program's name.
pub fn read(args: impl Iterator<Item = OsString>) -> Asked {
    let mut reading = Reading::default();
    let args = joined(args, &mut reading.wrong);
    let (verb, file) = match command().try_get_matches_from(args) {
        Ok(matches) => {
            settings(&matches, &mut reading);
            (verb(&matches), matches.get_one("file").cloned())
        }
        Err(error) if is_help(&error) => (Verb::Print(Printed::styled(error.render().ansi().to_string())), None),
        Err(error) => {
            reading.wrong.push(Wrong::new("command line", first_sentence(&error.to_string())));
            (Verb::Run, None)
        }
    };
    Asked { verb, file, reading }
}

/// Whether the text is what was asked for, or what helps whoever stopped half-way.
fn is_help(error: &clap::Error) -> bool {
    matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)
}

/// The mistake itself, without the usage that follows it.
fn first_sentence(text: &str) -> String {
    let text = text.split("\n\n").next().unwrap_or(text).trim();
    text.strip_prefix("error: ").unwrap_or(text).to_owned()
}

fn verb(matches: &ArgMatches) -> Verb {
    if matches.get_flag("version") {
        return Verb::Print(Printed::styled(version()));
    }
    if let Some(("up", asked)) = matches.subcommand() {
        return Verb::Up(asked.get_one("folder").cloned().unwrap_or_default());
    }
    if let Some(("demo", group)) = matches.subcommand() {
        let is_json = |(_, asked): (&str, &ArgMatches)| asked.get_flag("json");
        return group.subcommand().map_or(Verb::Run, |asked| Verb::Demo { json: is_json(asked) });
    }
    if let Some(("cluster", group)) = matches.subcommand() {
        return group.subcommand().map_or(Verb::Run, |(name, asked)| Verb::Cluster(cluster_job(name, asked)));
    }
    match matches.subcommand().and_then(|(_, group)| group.subcommand()) {
        Some(("check", asked)) => Verb::Rdb(rdb_job(RdbVerb::Check, asked)),
        Some(("stats", asked)) => Verb::Rdb(rdb_job(RdbVerb::Stats, asked)),
        Some((_, explain)) => Verb::Explain { name: explain.get_one("name").cloned(), json: explain.get_flag("json") },
        None => Verb::Run,
    }
}

fn cluster_job(name: &str, matches: &ArgMatches) -> ClusterJob {
    let node = || matches.get_one::<String>("node").cloned().unwrap_or_default();
    let verb = match name {
        "slots" => ClusterVerb::Slots,
        "add" => ClusterVerb::Add,
        "drain" => ClusterVerb::Drain { node: node(), cancel: matches.get_flag("cancel") },
        "remove" => ClusterVerb::Remove { node: node(), force: matches.get_flag("force") },
        "rebalance" => ClusterVerb::Rebalance,
        "failover" => ClusterVerb::Failover { node: node(), force: matches.get_flag("force") },
        "replicas" => ClusterVerb::Replicas { count: matches.get_one("count").copied().unwrap_or(0) },
        _ => ClusterVerb::Status,
    };
    ClusterJob { verb, at: matches.get_one("at").cloned(), json: matches.get_flag("json") }
}

fn rdb_job(verb: RdbVerb, matches: &ArgMatches) -> RdbJob {
    let file = matches.get_one("rdb").cloned().unwrap_or_default();
    RdbJob { verb, file, json: matches.get_flag("json") }
}

/// In the manner of `redis-server -v`, which scripts take apart.
fn version() -> String {
    let bits = usize::BITS;
    format!("Larder server v={} malloc=mimalloc bits={bits}\n", env!("CARGO_PKG_VERSION"))
}

fn settings(matches: &ArgMatches, reading: &mut Reading) {
    let matches = deepest(matches);
    for id in Id::all() {
        let row = id.row();
        for text in matches.get_many::<String>(row.name).into_iter().flatten() {
            let origin = Origin::Flag(row.name.to_owned());
            match words_of(id, text) {
                Ok(words) => reading.entries.push(Entry { id, words, origin }),
                Err(problem) => reading.wrong.push(Wrong::new(origin, problem)),
            }
        }
    }
}

/// The matches of the last sub-command, which see the flags given before and after it.
fn deepest(matches: &ArgMatches) -> &ArgMatches {
    match matches.subcommand() {
        Some((_, inner)) => deepest(inner),
        None => matches,
    }
}

/// Turns every setting's flag into one argument `--name=value`, where the value holds all words that belong to it, and
/// takes out what is no setting.
fn joined(args: impl Iterator<Item = OsString>, wrong: &mut Vec<Wrong>) -> Vec<OsString> {
    let mut args = args.peekable();
    let mut out: Vec<OsString> = args.next().into_iter().collect();
    while let Some(arg) = args.next() {
        let Some(flag) = arg.to_str().and_then(|arg| arg.strip_prefix("--")).filter(|flag| !flag.is_empty()) else {
            out.push(arg);
            continue;
        };
        let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
        let values = std::iter::from_fn(|| args.next_if(is_value));
        match (table::find(name), value) {
            (Some(id), Some(value)) => out.push(flag_of(id, value.as_ref())),
            (Some(id), None) => {
                let limit = if id.row().kind.takes_words() { usize::MAX } else { 1 };
                match value_of(id, values.take(limit).collect()) {
                    Ok(value) => out.push(flag_of(id, &value)),
                    Err(mistake) => wrong.push(mistake),
                }
            }
            (None, _) if WORDS_OF_VERBS.contains(&flag) => out.push(arg),
            (None, _) => {
                values.for_each(drop);
                wrong.push(unknown(name));
            }
        }
    }
    out
}

/// Flags that are no settings.
const WORDS_OF_VERBS: &[&str] = &["help", "version", "json", "force", "cancel", "at"];

fn is_value(arg: &OsString) -> bool {
    !arg.as_encoded_bytes().starts_with(b"--")
}

fn flag_of(id: Id, value: &OsStr) -> OsString {
    let mut arg = OsString::from(format!("--{}=", id.row().name));
    arg.push(value);
    arg
}

/// The words behind a flag as one value. One word is a line of its own, so that `--save "900 1"` works too; of several,
/// each stays one.
fn value_of(id: Id, values: Vec<OsString>) -> Result<OsString, Wrong> {
    let place = format!("--{}", id.row().name);
    match values.as_slice() {
        [] => {
            let remedy = Some(format!("allowed: {}", id.row().allowed()));
            Err(Wrong { remedy, ..Wrong::new(place, "a value is missing") })
        }
        [value] => Ok(value.clone()),
        values => {
            let quoted = values.iter().map(|value| value.to_str().map(words::quote));
            let quoted: Option<Vec<String>> = quoted.collect();
            Ok(quoted.ok_or_else(|| Wrong::new(place, "its value is not UTF-8"))?.join(" ").into())
        }
    }
}

fn unknown(name: &str) -> Wrong {
    let place = format!("--{name}");
    match table::DIRECTIVES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        Some((_, why)) => Wrong::new(place, *why),
        None => Wrong::unknown(place, name, "--"),
    }
}

fn command() -> Command {
    let file = Arg::new("file")
        .value_name("FILE")
        .value_parser(clap::value_parser!(OsString))
        .help("The configuration: a node.toml, or a redis.conf; - reads a redis.conf from the standard input");
    let version = Arg::new("version").short('v').long("version").action(ArgAction::SetTrue).help("Print the version");
    Command::new("larder")
        .bin_name("larder")
        .about("A distributed in-memory cache server that any Redis client can talk to.")
        .styles(styles())
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .arg(file)
        .arg(version)
        .args(SETTINGS.iter().map(setting))
        .subcommand(config())
        .subcommand(rdb())
        .subcommand(cluster())
        .subcommand(up())
        .subcommand(demo())
        .after_long_help(after_help())
        .after_help("Every setting is a flag: --help describes them all.")
}

fn config() -> Command {
    let name = Arg::new("name").value_name("SETTING").help("The one setting to explain");
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON");
    let explain = Command::new("explain")
        .about("Print settings with their values, where these come from, their defaults and what is allowed")
        .disable_version_flag(true)
        .arg(name)
        .arg(json);
    Command::new("config")
        .about("Look at the configuration")
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(explain)
}

fn rdb() -> Command {
    let verb = |name: &'static str, about: &'static str| {
        let file = Arg::new("rdb").value_name("FILE").required(true).value_parser(clap::value_parser!(OsString));
        let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON");
        let file = file.help("An RDB file of Larder, of Redis or of Valkey");
        Command::new(name).about(about).disable_version_flag(true).arg(file).arg(json)
    };
    Command::new("rdb")
        .about("Look into RDB files: check one, or see what takes the room in it")
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(verb("check", "Read a file to its end and tell whether it is sound; leaves with 1 if not"))
        .subcommand(verb("stats", "Tell what takes how much of a file: types, biggest keys, prefixes, times to live"))
}

fn demo() -> Command {
    let json = Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON");
    let flood = Command::new("flood")
        .about("Two hundred clients read one key that expires each second, without a rule and with some")
        .disable_version_flag(true)
        .arg(json);
    Command::new("demo")
        .about("Show what rules do, on a node of its own; takes half a minute")
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(flood)
}

fn up() -> Command {
    let folder = Arg::new("folder").value_name("FOLDER").required(true).value_parser(clap::value_parser!(OsString));
    Command::new("up")
        .about("Run all nodes of a folder as children, with one log, and stop them together")
        .disable_version_flag(true)
        .arg(folder.help("A folder with a file for each node, such as cluster-configs/six"))
}

fn cluster() -> Command {
    let at = || {
        Arg::new("at")
            .long("at")
            .value_name("HOST:PORT")
            .help("Any node of the cluster [default: this machine, setting port]")
    };
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let verb = |name: &'static str, about: &'static str| {
        Command::new(name).about(about).disable_version_flag(true).arg(at()).arg(flag("json", "Print JSON"))
    };
    let node = || {
        Arg::new("node")
            .value_name("NODE")
            .required(true)
            .help("A node: its id or the beginning of that, HOST:PORT, or its port")
    };
    let count = Arg::new("count").value_name("N").required(true).value_parser(clap::value_parser!(u8).range(0..=5));
    Command::new("cluster")
        .about("Look at a cluster, or change it, by way of any of its nodes")
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(verb("status", "Show the nodes: who leads, who follows, who is silent"))
        .subcommand(verb("slots", "Show which node has which slots, and which are on their way"))
        .subcommand(verb("add", "Show how to add a node"))
        .subcommand(
            verb("drain", "Have a node give up all it holds, and wait until it has")
                .arg(node())
                .arg(flag("cancel", "Let it stay after all")),
        )
        .subcommand(
            verb("remove", "Take a node out for good, which has been drained or is lost")
                .arg(node())
                .arg(flag("force", "Give up what nobody else holds")),
        )
        .subcommand(verb("rebalance", "Wait until every shard has its share; slots move by themselves"))
        .subcommand(
            verb("failover", "Let a replica lead its shard, without losing a write")
                .arg(node())
                .arg(flag("force", "Do so although the primary is not heard, and give up what the replica lacks")),
        )
        .subcommand(verb("replicas", "Have every shard have so many replicas").arg(count))
}

/// Settings without effect work as flags but are hidden, and listed at the end by name.
fn setting(row: &'static Setting) -> Arg {
    let heading = format!("Settings [{}]", row.table);
    Arg::new(row.name)
        .long(row.name)
        .value_name(row.value_name())
        .help(row.doc)
        .long_help(format!("{}\n[default: {}; allowed: {}]", row.doc, row.default_shown(), row.kind.allowed()))
        .help_heading(heading)
        .hide(row.effect != Effect::Works)
        .hide_short_help(true)
        .action(ArgAction::Append)
        .global(true)
}

impl Setting {
    fn value_name(&self) -> &'static str {
        use super::kind::Kind;
        match self.kind {
            Kind::Switch { .. } => "yes|no",
            Kind::Whole { .. } | Kind::Port { .. } | Kind::Workers { .. } => "N",
            Kind::Memory { .. } | Kind::MemoryOfMachine { .. } | Kind::MemoryOrPercent => "BYTES",
            Kind::Choice { .. } | Kind::Choices { .. } => "CHOICE",
            Kind::Text { .. } | Kind::Line { .. } => "TEXT",
            Kind::Addresses { .. } => "ADDRESSES",
            Kind::OutputLimits => "LIMITS",
            Kind::SavePoints => "TIMES",
            Kind::Rules => "RULE",
            Kind::Events => "LETTERS",
            Kind::Percentiles { .. } => "NUMBERS",
        }
    }
}

fn after_help() -> String {
    let idle: Vec<&str> = SETTINGS.iter().filter(|row| row.effect != Effect::Works).map(|row| row.name).collect();
    format!(
        "Flags go before environment variables (LARDER_PORT, LARDER_MAXMEMORY, ...; LARDER_CONFIG names the file), \
         these before the file, and the file before the defaults.\n\n\
         Accepted for those who come from Redis, but without effect (`larder config explain NAME` says why): {}.\n\n\
         Examples:\n  larder\n  larder node.toml\n  larder /etc/redis/redis.conf --port 7000\n  \
         larder --maxmemory 2gb --bind 127.0.0.1 10.0.0.1 --requirepass secret\n  larder config explain maxmemory\n  \
         larder rdb check /var/lib/redis/dump.rdb\n  larder up cluster-configs/six\n  larder cluster status --port 7001",
        idle.join(", ")
    )
}

fn styles() -> Styles {
    Styles::styled()
        .header(AnsiColor::Green.on_default().bold())
        .usage(AnsiColor::Green.on_default().bold())
        .literal(AnsiColor::Cyan.on_default().bold())
        .placeholder(AnsiColor::Cyan.on_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(words: &[&str]) -> Asked {
        read(std::iter::once("larder").chain(words.iter().copied()).map(OsString::from))
    }

    fn found(words: &[&str]) -> Vec<(&'static str, String)> {
        let asked = ask(words);
        assert!(asked.reading.wrong.is_empty(), "{words:?}: {:?}", asked.reading.wrong);
        asked.reading.entries.iter().map(|entry| (entry.id.row().name, entry.words.join("|"))).collect()
    }

    fn wrong(words: &[&str]) -> Vec<String> {
        ask(words).reading.wrong.iter().map(Wrong::to_string).collect()
    }

    fn printed(words: &[&str]) -> String {
        match ask(words).verb {
            Verb::Print(text) => text.text(false),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn no_words_run_a_node() {
        let asked = ask(&[]);
        assert!(matches!(asked.verb, Verb::Run));
        assert_eq!(asked.file, None);
    }

    #[test]
    fn redis_servers_command_lines_work() {
        let words =
            ["--port", "7000", "--bind", "127.0.0.1", "-::1", "--save", "", "--dir", "/tmp", "--appendonly", "no"];
        let expected =
            [("bind", "127.0.0.1|-::1"), ("port", "7000"), ("dir", "/tmp"), ("save", ""), ("appendonly", "no")];
        assert_eq!(found(&words), expected.map(|(name, words)| (name, words.to_owned())));
        assert_eq!(
            found(&["--save", "900", "1", "--save", "60 10"]),
            [("save", "900|1".to_owned()), ("save", "60|10".to_owned())]
        );
        let limit = ["--client-output-buffer-limit", "normal", "0", "0", "0"];
        assert_eq!(found(&limit), [("client-output-buffer-limit", "normal|0|0|0".to_owned())]);
        assert_eq!(found(&["--slowlog-log-slower-than", "-1"]), [("slowlog-log-slower-than", "-1".to_owned())]);
        assert_eq!(found(&["--MaxMemory", "2gb"]), [("maxmemory", "2gb".to_owned())]);
        assert_eq!(
            found(&["--maxmemory=2gb", "--data-dir=x"]),
            [("dir", "x".to_owned()), ("maxmemory", "2gb".to_owned())]
        );
        assert_eq!(found(&["--requirepass", ""]), [("requirepass", String::new())]);
        assert_eq!(found(&["--requirepass", "-a b\"c"]), [("requirepass", "-a b\"c".to_owned())]);
    }

    #[test]
    fn a_file_may_stand_first_or_last() {
        assert_eq!(ask(&["node.toml", "--port", "1"]).file, Some("node.toml".into()));
        assert_eq!(ask(&["--port", "1", "node.toml"]).file, Some("node.toml".into()));
        assert_eq!(ask(&["-"]).file, Some("-".into()));
    }

    #[test]
    fn unknown_flags_are_all_reported() {
        assert_eq!(
            wrong(&["--prot", "7000", "--maxmemroy=1", "--something", "a", "b", "--loadmodule", "x.so"]),
            [
                "--prot: there is no such setting; did you mean --port?",
                "--maxmemroy: there is no such setting; did you mean --maxmemory?",
                "--something: there is no such setting",
                "--loadmodule: Larder loads no modules",
            ]
        );
    }

    #[test]
    fn missing_values_are_reported() {
        let text = "--port: a value is missing; allowed: 1 to 65535";
        assert_eq!(wrong(&["--port"]), [text]);
        assert_eq!(wrong(&["--port", "--timeout", "1"]), [text]);
        assert_eq!(
            wrong(&["--save"]),
            ["--save: a value is missing; allowed: pairs of SECONDS CHANGES, or \"\" for none"]
        );
    }

    #[test]
    fn too_many_words_are_reported() {
        assert_eq!(wrong(&["a.conf", "b.conf"]), ["command line: unexpected argument 'b.conf' found"]);
        assert_eq!(wrong(&["-x"]), ["command line: unexpected argument '-x' found"]);
    }

    #[cfg(unix)]
    #[test]
    fn bytes_that_are_no_text_are_reported() {
        use std::os::unix::ffi::OsStringExt;
        let odd = OsString::from_vec(vec![0xff]);
        for words in [vec!["--dir".into(), odd.clone()], vec!["--bind".into(), odd.clone(), odd]] {
            let asked = read(std::iter::once("larder".into()).chain(words));
            assert!(asked.reading.wrong[0].to_string().contains("UTF-8"), "{:?}", asked.reading.wrong);
        }
    }

    #[test]
    fn half_a_command_prints_help() {
        assert!(printed(&["config"]).contains("explain"));
    }

    #[test]
    fn explain_takes_a_name_and_flags_on_either_side() {
        let words = ["a.toml", "--port", "1", "config", "explain", "maxmemory", "--timeout", "2", "--json"];
        let asked = ask(&words);
        assert_eq!(found(&words), [("port", "1".to_owned()), ("timeout", "2".to_owned())]);
        assert_eq!(asked.file, Some("a.toml".into()));
        assert!(matches!(asked.verb, Verb::Explain { name: Some(name), json: true } if name == "maxmemory"));
    }

    #[test]
    fn rdb_files_are_looked_at_by_two_verbs() {
        for (words, verb, json) in [
            (&["rdb", "check", "dump.rdb"][..], RdbVerb::Check, false),
            (&["rdb", "stats", "--json", "dump.rdb"], RdbVerb::Stats, true),
        ] {
            let job = RdbJob { verb, file: "dump.rdb".into(), json };
            assert!(matches!(ask(words).verb, Verb::Rdb(asked) if asked == job), "{words:?}");
        }
        assert!(printed(&["rdb"]).contains("check"));
        assert!(wrong(&["rdb", "check"])[0].contains("<FILE>"), "{:?}", wrong(&["rdb", "check"]));
    }

    #[test]
    fn the_version_is_one_line() {
        let text = printed(&["-v"]);
        assert!(text.starts_with(concat!("Larder server v=", env!("CARGO_PKG_VERSION"), " ")), "{text}");
        assert_eq!(text, printed(&["--version"]));
    }

    #[test]
    fn a_cluster_is_asked_by_verbs() {
        let job = |words: &[&str]| match ask(words) {
            Asked { verb: Verb::Cluster(job), reading, .. } if reading.wrong.is_empty() => job,
            other => panic!("{words:?}: {other:?}"),
        };
        let status = job(&["cluster", "status", "--json", "--port", "7001"]);
        assert_eq!(status, ClusterJob { verb: ClusterVerb::Status, at: None, json: true });
        let drain = job(&["cluster", "drain", "7005", "--at", "10.0.0.1:7001"]);
        assert_eq!(drain.verb, ClusterVerb::Drain { node: "7005".into(), cancel: false });
        assert_eq!(drain.at.as_deref(), Some("10.0.0.1:7001"));
        assert_eq!(
            job(&["cluster", "drain", "7005", "--cancel"]).verb,
            ClusterVerb::Drain { node: "7005".into(), cancel: true }
        );
        assert_eq!(
            job(&["cluster", "remove", "ab", "--force"]).verb,
            ClusterVerb::Remove { node: "ab".into(), force: true }
        );
        assert_eq!(job(&["cluster", "failover", "ab"]).verb, ClusterVerb::Failover { node: "ab".into(), force: false });
        assert_eq!(job(&["cluster", "replicas", "2"]).verb, ClusterVerb::Replicas { count: 2 });
        assert!(
            wrong(&["cluster", "replicas", "9"])[0].contains("9 is not in 0..=5"),
            "{:?}",
            wrong(&["cluster", "replicas", "9"])
        );
        assert!(wrong(&["cluster", "drain"])[0].contains("required arguments were not provided"));
        assert!(matches!(ask(&["demo", "flood", "--json"]).verb, Verb::Demo { json: true }));
        assert!(
            matches!(ask(&["up", "cluster-configs/six"]).verb, Verb::Up(folder) if folder == "cluster-configs/six")
        );
    }

    #[test]
    fn help_describes_every_setting_that_works() {
        let text = printed(&["--help"]);
        for row in SETTINGS.iter().filter(|row| row.effect == Effect::Works) {
            assert!(text.contains(&format!("--{}", row.name)), "{}", row.name);
        }
        assert!(text.contains("appendfsync") && !text.contains("--appendfsync"));
        assert!(printed(&["-h"]).lines().count() < 30);
    }
}
