//! The program as a person starts it: with any arguments, files and variables, to its end or as a node.

use crate::node::Node;
use crate::process::{Process, forget_own_settings, free_address, new_folder, own_binary};
use crate::wait::poll;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// A start of this workspace's program that is being prepared, in an empty folder and with a free port at hand.
///
/// Nothing is given to it but what the test says, so it also shows what the defaults are.
#[derive(Debug)]
pub struct Launch {
    command: Command,
    folder: Option<PathBuf>,
    address: SocketAddr,
}

/// How a program that was run to its end has left, and what it printed.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Launch {
    #[expect(clippy::new_without_default, reason = "it makes a folder, which nobody expects of a default")]
    pub fn new() -> Self {
        let mut command = Command::new(own_binary());
        forget_own_settings(&mut command);
        Self { command, folder: Some(new_folder()), address: free_address() }
    }

    /// A port that was free a moment ago.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn folder(&self) -> &Path {
        self.folder.as_deref().expect("the folder is given away with the launch")
    }

    /// Puts a file into the folder, which the program is started in.
    pub fn file(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        fs::write(self.folder().join(name), text).expect("a file can be written");
        self
    }

    /// Adds arguments, written with spaces between them; `''` is an empty one.
    pub fn args(mut self, args: &str) -> Self {
        self.command.args(args.split_whitespace().map(|arg| if arg == "''" { "" } else { arg }));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts a node and waits until it answers on the free port, which the arguments must have named.
    #[track_caller]
    pub fn node(mut self) -> Node {
        let folder = self.folder.take().expect("a launch is used once");
        let command = std::mem::replace(&mut self.command, Command::new(""));
        let mut process = Process::run(command, folder, self.address);
        if let Err(failure) = process.wait_for_answer() {
            panic!("the server did not start: {failure}\n{}", process.log_tail());
        }
        Node::over(process)
    }

    /// Runs the program to its end, which is expected within the patience of [`poll`].
    #[track_caller]
    pub fn run(mut self) -> Ended {
        let (out, err) = (self.folder().join("stdout"), self.folder().join("stderr"));
        let create = |path: &Path| File::create(path).expect("a file can be created");
        let folder = self.folder().to_owned();
        self.command.stdin(Stdio::null()).stdout(create(&out)).stderr(create(&err)).current_dir(folder);
        let mut child = self.command.spawn().expect("the program can be started");
        let status = poll(|| child.try_wait().expect("a child can be waited for"));
        if status.is_none() {
            // It is killed so that it does not outlive the test, which fails below.
            let _ = child.kill();
            let _ = child.wait();
        }
        let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("it was created")).into_owned();
        let (stdout, stderr) = (text(&out), text(&err));
        let status = status.unwrap_or_else(|| panic!("the program does not end; it printed:\n{stdout}{stderr}"));
        Ended { status, stdout, stderr }
    }
}

impl Drop for Launch {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // It may hold a file that the program has taken away.
            let _ = fs::remove_dir_all(folder);
        }
    }
}
