//! From a command line to a running node: settings, log, banner, signals.

mod cluster;
mod demo;
mod up;

use crate::base::number::Digits;
use crate::command::shared::Shared;
use crate::config::{self, Config, LogLevel, Named, RdbJob, RdbVerb, Run, Start};
use crate::node::Node;
use crate::persist::inspect;
use crate::progress::Bar;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use tracing::Level;

/// Reads the command line and the environment and does what they say. Returns what the process leaves with.
pub fn run(args: impl Iterator<Item = OsString>, env: impl Iterator<Item = (OsString, OsString)>) -> ExitCode {
    match config::read(args, env) {
        Ok(Start::Print(printed)) => {
            // A reader that has gone away, such as `head`, is no error.
            let _ = io::stdout().write_all(printed.text(io::stdout().is_terminal()).as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Start::Rdb(job)) => look_at(&job),
        Ok(Start::Demo { json }) => demo::flood(json).map_or_else(fail, |()| ExitCode::SUCCESS),
        Ok(Start::Up(folder)) => up::run(Path::new(&folder)).map_or_else(fail, |()| ExitCode::SUCCESS),
        Ok(Start::Cluster(job, config)) => cluster::run(&job, &config).map_or_else(fail, |()| ExitCode::SUCCESS),
        Ok(Start::Run(run)) => serve(*run).unwrap_or_else(fail),
        Err(refused) => fail(refused.to_string()),
    }
}

fn fail(text: String) -> ExitCode {
    eprintln!("{}", text.trim_end());
    ExitCode::FAILURE
}

/// Looks at an RDB file, with a bar on a terminal while that takes time.
fn look_at(job: &RdbJob) -> ExitCode {
    let look = match job.verb {
        RdbVerb::Check => inspect::check,
        RdbVerb::Stats => inspect::stats,
    };
    let mut bar = Bar::on_terminal();
    let found = look(Path::new(&job.file), job.json, &mut |done, all| bar.show(done, all));
    drop(bar);
    // A reader that has gone away, such as `head`, is no error.
    let _ = io::stdout().write_all(found.text.as_bytes());
    found.error.map_or(ExitCode::SUCCESS, fail)
}

fn serve(mut run: Run) -> Result<ExitCode, String> {
    if let Some(load) = &mut run.config.load {
        // It was named from here, and not from the folder that the node works in.
        *load =
            std::path::absolute(&load).map_err(|error| format!("cannot tell where {} is: {error}", load.display()))?;
    }
    start_log(&run.config)?;
    for notice in &run.notices {
        tracing::warn!("{notice}");
    }
    if run.config.is_clustered() {
        // Each node of a cluster needs a folder of its own, and several may be started from one place.
        std::fs::create_dir_all(&run.config.dir)
            .map_err(|error| format!("cannot make the data directory {}: {error}", run.config.dir.display()))?;
    }
    std::env::set_current_dir(&run.config.dir).map_err(|error| {
        let dir = run.config.dir.display();
        format!("cannot work in the data directory {dir}: {error}. Create it, or name another with --data-dir")
    })?;
    let banner = Banner::of(&run.config);
    let node = Node::start(run).map_err(|error| error.to_string())?;
    banner.show(&node);
    wait_for_signals(&node)?;
    node.wait()?;
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Sends log lines to the file that is configured, or to standard output.
fn start_log(config: &Config) -> Result<(), String> {
    let level = match config.loglevel {
        LogLevel::Debug => Level::TRACE,
        LogLevel::Verbose => Level::DEBUG,
        LogLevel::Notice => Level::INFO,
        LogLevel::Warning => Level::WARN,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_target(false);
    let started = match &config.logfile {
        Some(path) => {
            let file = open_log(path).map_err(|error| {
                format!("cannot write the log file {}: {error}. Name another with --logfile", path.display())
            })?;
            log.with_ansi(false).with_writer(Mutex::new(file)).try_init()
        }
        None => log.with_ansi(io::stdout().is_terminal()).try_init(),
    };
    started.map_err(|error| format!("cannot start the log: {error}"))
}

fn open_log(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// What a person is told when a node starts.
struct Banner {
    memory_max: u64,
    policy: &'static str,
}

impl Banner {
    fn of(config: &Config) -> Banner {
        Banner { memory_max: config.maxmemory.0, policy: config.maxmemory_policy.name() }
    }

    fn show(&self, node: &Node) {
        let addresses: Vec<String> = node.addresses().iter().map(ToString::to_string).collect();
        let (addresses, workers) = (addresses.join(" and "), node.shared().workers);
        let memory = memory_text(self.memory_max);
        let version = env!("CARGO_PKG_VERSION");
        tracing::info!(version, %addresses, memory, policy = self.policy, workers, "ready");
        if !io::stdout().is_terminal() {
            return;
        }
        let port = node.shared().port;
        println!();
        println!("  \x1b[1mLarder {version}\x1b[0m is ready on {addresses}");
        println!("  memory   {memory}, then {}", self.policy);
        println!("  workers  {workers}");
        println!();
        println!("  Next: redis-cli -p {port} set greeting hello");
        println!("        redis-cli -p {port} info");
        println!("  Stop with Ctrl-C. Settings: larder config explain");
        println!();
    }
}

/// Bytes as a person reads them.
fn memory_text(bytes: u64) -> String {
    match bytes {
        0 => "no limit".into(),
        1..=0xF_FFFF => format!("{} bytes", Digits::new().format(bytes)),
        0x10_0000..=0x3FFF_FFFF => format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20)),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

/// Stops the node when the system or a person asks for it. Returns at once; a thread of its own waits.
fn wait_for_signals(node: &Node) -> Result<(), String> {
    let shared = node.shared().clone();
    let waiting = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        loop {
            let signal = runtime.block_on(asked_to_stop())?;
            if leave(&shared, signal) {
                return io::Result::Ok(());
            }
        }
    };
    std::thread::Builder::new()
        .name("larder-signals".into())
        .spawn(move || {
            if let Err(error) = waiting() {
                tracing::error!(%error, "signals cannot be waited for; stop the node with SHUTDOWN");
            }
        })
        .map_err(|error| format!("cannot start a thread: {error}"))?;
    Ok(())
}

/// Does what the settings say of a signal. Returns whether the node stops: as in Redis it goes on if it is to be saved first and
/// cannot be.
fn leave(node: &Shared, signal: &str) -> bool {
    let config = node.live.config();
    let words = if signal == "SIGTERM" { config.shutdown_on_sigterm } else { config.shutdown_on_sigint };
    let saves = node.saves_on(&words);
    if saves && !node.loading.is_on() && !words.contains(&"force") && matches!(node.save_beside(), Ok(Err(_))) {
        tracing::error!("{signal} received, but nothing could be saved, so the node goes on; SHUTDOWN NOSAVE ends it");
        return false;
    }
    tracing::info!("{signal} received: finishing what is in flight, then leaving");
    node.leave_cluster();
    node.stop_saving(saves);
    true
}

#[cfg(unix)]
async fn asked_to_stop() -> io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}

#[cfg(not(unix))]
async fn asked_to_stop() -> io::Result<&'static str> {
    tokio::signal::ctrl_c().await.map(|()| "Ctrl-C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_the_unit_a_person_would_choose() {
        assert_eq!(memory_text(0), "no limit");
        assert_eq!(memory_text(1000), "1000 bytes");
        assert_eq!(memory_text(64 << 20), "64 MiB");
        assert_eq!(memory_text(18 << 30), "18.0 GiB");
    }
}
