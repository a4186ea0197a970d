//! Settings: what the user wrote is read first ([`raw`]), then checked once into types that cannot be wrong
//! ([`checked`]), then kept where a running node reads and changes it ([`live`]).
//!
//! Flags go before environment variables, these before the configuration file, and the file before the defaults. All of
//! them, `--help`, `CONFIG GET` and `docs/configuration.md` follow from the rows in [`table`].

pub mod checked;
pub mod explain;
mod flags;
pub mod kind;
pub mod live;
pub mod machine;
pub mod memory;
mod near;
pub mod peers;
pub mod raw;
mod redis_conf;
pub mod rewrite;
pub mod table;
mod toml_file;
pub mod value;
mod words;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub use checked::{Access, ClientMemory, Config, Durability, EvictionPolicy, LogLevel, Named, Routing};
pub use explain::Printed;
pub use flags::{ClusterJob, ClusterVerb, RdbJob, RdbVerb};
pub use live::Live;
pub use machine::Machine;
pub use memory::Bytes;
pub use raw::{ConfigFile, Format, Raw};
pub use value::{BindAddress, Events, OutputLimit, OutputLimits};

use flags::Verb;
use raw::{Entry, Origin, Reading, Wrong};

/// What a command line leads to.
#[derive(Debug)]
pub enum Start {
    /// Run a node.
    Run(Box<Run>),
    /// Print this and leave with 0.
    Print(Printed),
    /// Look at an RDB file.
    Rdb(RdbJob),
    /// Look at a cluster, or change it; with the settings by which it is reached.
    Cluster(ClusterJob, Box<Config>),
    /// Show what rules do, as JSON if so wished.
    Demo { json: bool },
    /// Run all nodes of a folder.
    Up(OsString),
}

/// All that a node is started with.
#[derive(Debug)]
pub struct Run {
    /// The checked settings.
    pub config: Config,
    /// What the user wrote, and the file it stands in; [`Live::new`] takes it.
    pub raw: Raw,
    /// The machine whose memory the percentages and defaults are of.
    pub machine: Machine,
    /// What the log should say once: settings without effect, variables passed over.
    pub notices: Vec<String>,
}

/// Everything that is wrong with a configuration. Its text has a line for each mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The mistakes, files first.
    pub wrong: Vec<Wrong>,
}

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.wrong.len();
        let mistakes = if count == 1 { "a mistake" } else { "mistakes" };
        write!(out, "the configuration has {mistakes}:")?;
        self.wrong.iter().try_for_each(|wrong| write!(out, "\n  {wrong}"))
    }
}

impl std::error::Error for Refused {}

/// Reads the configuration of a process: its arguments, of which the first is the program's name, its environment, the
/// file that either names, and that file's includes. Beyond these files nothing is touched.
///
/// # Errors
///
/// [`Refused`], with every mistake there is and not the first alone.
pub fn read(
    args: impl Iterator<Item = OsString>,
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Start, Refused> {
    read_on(Machine::here(), args, env)
}

/// As [`read`], on a machine that the caller describes.
pub fn read_on(
    machine: Machine,
    args: impl Iterator<Item = OsString>,
    env: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Start, Refused> {
    let asked = flags::read(args);
    if let Verb::Print(text) = asked.verb {
        return Ok(Start::Print(text));
    }
    if let Verb::Demo { json } = asked.verb {
        let wrong = asked.reading.wrong;
        return if wrong.is_empty() { Ok(Start::Demo { json }) } else { Err(Refused { wrong }) };
    }
    if let Verb::Up(folder) = asked.verb {
        let wrong = asked.reading.wrong;
        return if wrong.is_empty() { Ok(Start::Up(folder)) } else { Err(Refused { wrong }) };
    }
    if let Verb::Rdb(job) = asked.verb {
        // No node runs, so settings do not matter; but a mistake may be what was to be a flag of the verb.
        let wrong = asked.reading.wrong;
        return if wrong.is_empty() { Ok(Start::Rdb(job)) } else { Err(Refused { wrong }) };
    }
    let (variables, named) = raw::variables(env);
    let (mut reading, file) = asked.file.or(named).map_or_else(Default::default, |path| read_file(&path));
    reading.append(variables);
    reading.append(asked.reading);

    let Reading { entries, mut wrong, mut notices } = reading;
    let raw = Raw { entries, file };
    let (values, mistakes) = checked::check(&raw, &machine);
    wrong.extend(mistakes);
    if !wrong.is_empty() {
        return Err(Refused { wrong });
    }
    if let Verb::Explain { name, json } = asked.verb {
        let printed = explain::explain(name.as_deref(), json, &values, &raw);
        return printed.map(Start::Print).map_err(|wrong| Refused { wrong: vec![wrong] });
    }
    if let Verb::Cluster(job) = asked.verb {
        return Ok(Start::Cluster(job, Box::new(Config::new(values))));
    }
    notices.extend(checked::notices(&raw, &values, &machine));
    Ok(Start::Run(Box::new(Run { config: Config::new(values), raw, machine, notices })))
}

/// Reads a configuration file, or a `redis.conf` from the standard input if the path is `-`.
fn read_file(path: &OsStr) -> (Reading, Option<ConfigFile>) {
    let path = Path::new(path);
    if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        let path = Path::new("(standard input)");
        return (read.map_or_else(|error| unreadable(path, &error), |_| redis_conf::read(path, &text)), None);
    }
    if is_snapshot(path) {
        return (start_from(path), None);
    }
    match std::fs::read_to_string(path) {
        Err(error) => (unreadable(path, &error), None),
        Ok(text) => {
            let file = ConfigFile { path: path.to_owned(), format: format_of(path, &text) };
            (rewrite::read_text(&file, &text), Some(file))
        }
    }
}

/// Whether a file is no configuration but an RDB file, by its name or its first bytes.
fn is_snapshot(path: &Path) -> bool {
    const MAGIC: [&[u8]; 2] = [b"REDIS0", b"VALKEY"];
    let mut head = [0; 6];
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("rdb"))
        || std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok()
            && MAGIC.contains(&&head[..])
}

/// The setting `load`, as a file given in place of a configuration means it.
fn start_from(path: &Path) -> Reading {
    let id = table::find("load").expect("it has a row");
    let origin = Origin::File { path: Arc::new(path.to_owned()), line: 1, key: "load".to_owned() };
    let words = vec![path.to_string_lossy().into_owned()];
    Reading { entries: vec![Entry { id, words, origin }], ..Reading::default() }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Reading {
    let wrong = Wrong::new(path.display(), format!("cannot read the configuration file: {error}"));
    Reading { wrong: vec![wrong], ..Reading::default() }
}

/// The notation of a file: told by its ending, else by its first line that says something.
fn format_of(path: &Path, text: &str) -> Format {
    let toml_like = |line: &str| {
        let key = line.split(['=', ' ', '\t', '"', '\'']).next().unwrap_or_default();
        line.starts_with('[') || line[key.len()..].trim_start().starts_with('=')
    };
    match path.extension().and_then(OsStr::to_str) {
        Some("toml") => Format::Toml,
        Some("conf") => Format::RedisConf,
        _ => {
            let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
            if first.is_some_and(toml_like) { Format::Toml } else { Format::RedisConf }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine { memory: 8 << 30, cores: 4 };

    fn start(args: &[&str], env: &[(&str, &str)]) -> Result<Start, Refused> {
        let args = std::iter::once("larder").chain(args.iter().copied()).map(OsString::from);
        read_on(MACHINE, args, env.iter().map(|(name, value)| (name.into(), value.into())))
    }

    fn run(args: &[&str], env: &[(&str, &str)]) -> Run {
        match start(args, env) {
            Ok(Start::Run(run)) => *run,
            other => panic!("{args:?}: {other:?}"),
        }
    }

    fn refused(args: &[&str]) -> String {
        start(args, &[]).expect_err(&args.join(" ")).to_string()
    }

    /// A file with this text, gone when dropped.
    struct Written(std::path::PathBuf);

    impl Written {
        fn new(name: &str, text: &str) -> Written {
            let path = std::env::temp_dir().join(format!("larder-config-{}-{name}", std::process::id()));
            std::fs::write(&path, text).unwrap();
            Written(path)
        }

        fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for Written {
        fn drop(&mut self) {
            drop(std::fs::remove_file(&self.0));
        }
    }

    #[test]
    fn without_any_word_the_defaults_hold() {
        let run = run(&[], &[]);
        assert_eq!(run.config, Config::new(checked::Values::defaults(&MACHINE)));
        assert!(run.notices.is_empty() && run.raw.file.is_none());
    }

    #[test]
    fn flags_go_before_variables_and_variables_before_files() {
        let file = Written::new("order.toml", "[network]\nport = 1\ntimeout = 1\n[clients]\nmaxclients = 1\n");
        let env = [("LARDER_PORT", "2"), ("LARDER_TIMEOUT", "2")];
        let run = run(&[file.path(), "--port", "3"], &env);
        assert_eq!((run.config.port, run.config.maxclients), (3, 1));
        assert_eq!(run.config.timeout, Some(std::time::Duration::from_secs(2)));
        assert_eq!(run.raw.file.as_ref().map(|file| file.format), Some(Format::Toml));
    }

    #[test]
    fn a_redis_conf_is_a_configuration_too() {
        let text = "bind 127.0.0.1 -::1\nprotected-mode yes\nport 7000\nsave 3600 1\nsave 300 100\nappendonly yes\n\
                    maxmemory 100mb\nmaxmemory-policy allkeys-lfu\nclient-output-buffer-limit pubsub 32mb 8mb 60\n";
        let file = Written::new("redis.conf", text);
        let run = run(&[file.path()], &[]);
        assert_eq!((run.config.port, run.config.maxmemory), (7000, Bytes(100 << 20)));
        assert_eq!(run.config.maxmemory_policy, EvictionPolicy::AllkeysLfu);
        assert_eq!(run.notices.len(), 1, "{:?}", run.notices);
        assert!(run.notices[0].contains(":6: appendonly: 'appendonly' is accepted but has no effect."));
    }

    #[test]
    fn a_snapshot_may_stand_where_a_configuration_does() {
        for name in ["dump.rdb", "other"] {
            let file = Written::new(name, "REDIS0011");
            let run = run(&[file.path(), "--port", "7000"], &[]);
            assert_eq!(run.config.load.as_deref(), Some(Path::new(file.path())));
            assert_eq!(run.config.port, 7000);
            assert!(run.raw.file.is_none());
        }
    }

    #[test]
    fn a_variable_may_name_the_file() {
        let file = Written::new("variable.conf", "port 7000\n");
        assert_eq!(run(&[], &[("LARDER_CONFIG", file.path())]).config.port, 7000);
    }

    #[test]
    fn every_mistake_of_every_source_is_told_at_once() {
        let file = Written::new("wrong.toml", "[memory]\nmaxmemory = \"lots\"\nmaxmemory-polcy = \"noeviction\"\n");
        let error = start(&[file.path(), "--prot", "1"], &[("LARDER_WORKERS", "0")]).unwrap_err();
        assert_eq!(error.wrong.len(), 4);
        let text = error.to_string();
        for part in [
            "the configuration has mistakes:\n",
            "wrong.toml:2: memory.maxmemory: found 'lots': argument must be a memory value; allowed: bytes, or",
            "wrong.toml:3: memory.maxmemory-polcy: there is no such setting; did you mean maxmemory-policy?",
            "LARDER_WORKERS: found '0': argument must be between 1 and 1024 inclusive; allowed: 1 to 1024",
            "--prot: there is no such setting; did you mean --port?",
        ] {
            assert!(text.contains(part), "{part}\n--- is not in\n{text}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let text = refused(&["/nowhere/node.toml"]);
        assert!(text.contains("/nowhere/node.toml: cannot read the configuration file: No such file"), "{text}");
    }

    #[test]
    fn port_zero_is_refused() {
        assert!(refused(&["--port", "0"]).contains("port 0 would leave the node without a way in"));
    }

    #[test]
    fn explain_shows_what_would_run() {
        let Ok(Start::Print(text)) = start(&["config", "explain", "port", "--port", "7000"], &[]) else { panic!() };
        let text = text.text(false);
        assert!(text.contains("7000") && text.contains("--port"), "{text}");
        assert!(refused(&["config", "explain", "prot"]).contains("did you mean port?"));
    }

    #[test]
    fn files_without_a_telling_name_are_looked_into() {
        let format = |text| format_of(Path::new("node"), text);
        assert_eq!(format("# hello\n\n[network]\n"), Format::Toml);
        assert_eq!(format("port = 1"), Format::Toml);
        assert_eq!(format("port=1"), Format::Toml);
        assert_eq!(format("port 1"), Format::RedisConf);
        assert_eq!(format("requirepass a=b"), Format::RedisConf);
        assert_eq!(format(""), Format::RedisConf);
        assert_eq!(format_of(Path::new("a.conf"), "port = 1"), Format::RedisConf);
    }

    #[test]
    fn the_ready_made_file_is_right() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cluster-configs/solo/node.toml");
        let run = run(&[path.to_str().unwrap()], &[]);
        assert!(run.notices.is_empty(), "{:?}", run.notices);
        assert_eq!(run.config.port, 6379);
    }
}
