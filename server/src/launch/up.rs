//! `larder up`: all nodes of a folder as children of one process, with one log, stopped together.

use super::asked_to_stop;
use crate::config::{self, Run, Start};
use larder_client::connection::Connection;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often the children are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How long they may take to leave. Then they are killed.
const PATIENCE: Duration = Duration::from_secs(20);

struct Node {
    name: String,
    port: u16,
    password: String,
    child: Child,
}

/// Starts a node for each `.toml` of a folder, and waits until they have left.
///
/// # Errors
///
/// What is wrong with the folder or its files, and what to do; or which nodes left by themselves with an error.
pub fn run(folder: &Path) -> Result<(), String> {
    let mut nodes = Vec::new();
    for file in files(folder)? {
        match read(&file).and_then(|run| start(&file, &run)) {
            Ok(node) => nodes.push(node),
            Err(why) => {
                stop(&mut nodes);
                return Err(why);
            }
        }
    }
    let is_to_stop = Arc::new(AtomicBool::new(false));
    let asked = is_to_stop.clone();
    let wait = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(asked_to_stop())?;
        asked.store(true, Relaxed);
        io::Result::Ok(())
    };
    // Without it Ctrl-C ends this process at once; the children are asked to leave by the terminal then.
    let _ = std::thread::Builder::new().name("larder-signals".into()).spawn(wait);
    let mut failed = Vec::new();
    while !is_to_stop.load(Relaxed) && !nodes.is_empty() {
        std::thread::sleep(LOOK);
        nodes.retain_mut(|node| match node.child.try_wait() {
            Ok(Some(status)) => {
                println!("{} has left: {status}", node.name);
                failed.extend((!status.success()).then(|| node.name.clone()));
                false
            }
            _ => true,
        });
    }
    stop(&mut nodes);
    if failed.is_empty() { Ok(()) } else { Err(format!("these nodes left with an error: {}", failed.join(", "))) }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder).map_err(|error| format!("cannot read the folder {shown}: {error}"))?;
    let is_toml = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "toml");
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_toml).collect();
    files.sort();
    if files.is_empty() {
        return Err(format!("the folder {shown} has no node-1.toml or the like; cluster-configs/six is one that has"));
    }
    Ok(files)
}

/// The settings of a file, as the child will read them.
fn read(file: &Path) -> Result<Run, String> {
    let args = [OsString::from("larder"), file.into()];
    match config::read(args.into_iter(), std::env::vars_os()) {
        Ok(Start::Run(run)) => Ok(*run),
        Ok(_) => Err(format!("{} is no configuration of a node", file.display())),
        Err(refused) => Err(refused.to_string()),
    }
}

fn start(file: &Path, run: &Run) -> Result<Node, String> {
    let program = std::env::current_exe().map_err(|error| format!("cannot tell which program this is: {error}"))?;
    let mut command = Command::new(program);
    command.arg(file).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("{} cannot be started: {error}", file.display()))?;
    let name = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let streams: [Option<Box<dyn Read + Send>>; 2] =
        [child.stdout.take().map(|it| Box::new(it) as _), child.stderr.take().map(|it| Box::new(it) as _)];
    for stream in streams.into_iter().flatten() {
        let prefix = prefix(&name, run.config.port);
        // It ends with the child.
        let _ = std::thread::Builder::new().name("larder-log".into()).spawn(move || pass_on(&prefix, stream));
    }
    Ok(Node { name, port: run.config.port, password: run.config.requirepass.clone(), child })
}

/// What stands before the lines of a node; in a colour of its own on a terminal.
fn prefix(name: &str, port: u16) -> String {
    match io::stdout().is_terminal() {
        true => format!("\x1b[3{}m{name:8}\x1b[0m ", 1 + port % 6),
        false => format!("{name:8} "),
    }
}

fn pass_on(prefix: &str, stream: impl Read) {
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let mut out = io::stdout().lock();
        // Whoever reads it may have gone; the nodes go on.
        let _ = out.write_all(&[prefix.as_bytes(), &line, b"\n"].concat());
    }
}

/// Asks nodes to leave, waits for them, and ends those that do not.
fn stop(nodes: &mut [Node]) {
    for node in nodes.iter() {
        // One that has been asked by the terminal already takes no more connections.
        if let Ok(mut connection) = Connection::open(("127.0.0.1", node.port)) {
            if !node.password.is_empty() {
                let _ = connection.call(&["AUTH", &node.password]);
            }
            let _ = connection.send(&["SHUTDOWN"]);
        }
    }
    let until = Instant::now() + PATIENCE;
    for node in nodes {
        while Instant::now() < until && matches!(node.child.try_wait(), Ok(None)) {
            std::thread::sleep(LOOK);
        }
        if matches!(node.child.try_wait(), Ok(None)) {
            println!("{} is killed: it does not leave", node.name);
            let _ = node.child.kill();
        }
        let _ = node.child.wait();
    }
}
