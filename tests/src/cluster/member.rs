//! The process of one node of a cluster, from start to start.

use super::clock::Clock;
use crate::launch::Ended;
use crate::namespace;
use crate::process::{self, free_address, own_binary};
use crate::wait::poll;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Member {
    pub(super) address: SocketAddr,
    pub(super) bus_port: u16,
    pub(super) folder: PathBuf,
    pub(super) flags: Vec<(String, String)>,
    pub(super) way: Way,
    /// The network that it is in, if it is not the test's.
    pub(super) network: Option<Arc<File>>,
    /// The clock that it has instead of the machine's.
    pub(super) clock: Option<Clock>,
    /// Which start of the node its cluster knew of when it was killed.
    pub(super) last_incarnation: Option<String>,
    child: Option<Child>,
    is_held: bool,
}

/// How a node comes to its cluster.
#[derive(Debug)]
pub(super) enum Way {
    /// It begins the cluster together with the others of which this is true.
    Together,
    /// It is told of the others.
    Join,
    /// By what this file says.
    File(PathBuf),
}

impl Member {
    pub(super) fn new(folder: &Path, number: usize, way: Way) -> Self {
        Self::at(free_address(), free_address().port(), folder, number, way)
    }

    pub(super) fn at(address: SocketAddr, bus_port: u16, folder: &Path, number: usize, way: Way) -> Self {
        let folder = folder.join(format!("node-{number}"));
        fs::create_dir_all(&folder).expect("a folder can be created");
        Self {
            address,
            bus_port,
            folder,
            flags: Vec::new(),
            way,
            network: None,
            clock: None,
            last_incarnation: None,
            child: None,
            is_held: false,
        }
    }

    /// Starts the process and waits until it listens for clients or has left.
    #[track_caller]
    pub(super) fn run(&mut self, arguments: &[String], folder: &Path) {
        assert!(self.child.is_none(), "the node runs already");
        self.child = Some(self.spawn(arguments, folder));
        let there = poll(|| (TcpStream::connect(self.address).is_ok() || self.status().is_some()).then_some(()));
        assert!(there.is_some(), "the node does not listen; {}", self.log_tail());
    }

    /// Starts the process and waits for its end.
    #[track_caller]
    pub(super) fn run_to_its_end(&mut self, arguments: &[String], folder: &Path) -> Ended {
        assert!(self.child.is_none(), "the node runs already");
        let before = self.log().len();
        self.child = Some(self.spawn(arguments, folder));
        let status = poll(|| self.status());
        let printed = self.log().split_off(before);
        self.kill();
        let status = status.unwrap_or_else(|| panic!("the node does not leave; it printed:\n{printed}"));
        Ended { status, stdout: printed, stderr: String::new() }
    }

    fn spawn(&self, arguments: &[String], folder: &Path) -> Child {
        let log = File::options().create(true).append(true).open(self.log_file()).expect("the log file can be opened");
        let mut command = Command::new(own_binary());
        command.args(arguments).stdin(Stdio::null()).current_dir(folder);
        command.stdout(log.try_clone().expect("a file handle can be copied")).stderr(log);
        process::forget_own_settings(&mut command);
        process::die_with_the_test(&mut command);
        if let Some(clock) = &self.clock {
            clock.give(&mut command);
        }
        if let Some(network) = &self.network {
            namespace::start_within(&mut command, network);
        }
        command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().expect("a child can be waited for")
    }

    /// Whether the process was started and has left by itself.
    pub(super) fn has_left(&mut self) -> bool {
        self.status().is_some()
    }

    pub(super) fn is_running(&self) -> bool {
        self.child.is_some()
    }

    pub(super) fn is_awake(&self) -> bool {
        self.is_running() && !self.is_held
    }

    /// Sends the signal and does not wait for the end.
    pub(super) fn begin_to_kill(&mut self) {
        if let Some(child) = &mut self.child {
            // Fails only if it has left by itself.
            let _ = child.kill();
        }
    }

    pub(super) fn kill(&mut self) {
        self.begin_to_kill();
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
        self.is_held = false;
    }

    pub(super) fn hold(&mut self) {
        process::signal(self.id(), "STOP");
        self.is_held = true;
    }

    pub(super) fn release(&mut self) {
        process::signal(self.id(), "CONT");
        self.is_held = false;
    }

    fn id(&self) -> u32 {
        self.child.as_ref().expect("the node runs").id()
    }

    pub(super) fn log_file(&self) -> PathBuf {
        process::log_file(&self.folder)
    }

    pub(super) fn log(&self) -> String {
        fs::read(self.log_file()).map_or_else(|_| String::new(), |log| String::from_utf8_lossy(&log).into_owned())
    }

    pub(super) fn log_tail(&self) -> String {
        process::log_tail(&self.log_file())
    }
}
