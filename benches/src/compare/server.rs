//! The servers under comparison: how each is started on a free port in a folder of its own, and that it is always stopped.

use std::{
    env,
    fs::{self, File},
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{error::Error, os, reply::Protocol};

/// A server that can be started any number of times.
#[derive(Clone, Debug, PartialEq)]
pub struct Contestant {
    pub name: String,
    pub protocol: Protocol,
    /// Program and arguments; `{port}` and `{dir}` are replaced in each.
    pub command: Vec<String>,
}

impl Contestant {
    /// Larder from the given path.
    pub fn larder(name: &str, program: &Path, workers: usize) -> Self {
        let program = program.display().to_string();
        let workers = workers.to_string();
        let head = [program.as_str(), "--port", "{port}", "--bind", "127.0.0.1", "--workers", &workers];
        Self::resp(name, head.iter().chain(&PERSIST_NOTHING))
    }

    /// Redis from `PATH`.
    pub fn redis() -> Self {
        let head = ["redis-server", "--port", "{port}", "--bind", "127.0.0.1"];
        Self::resp("redis", head.iter().chain(&PERSIST_NOTHING))
    }

    /// memcached from `PATH`, with one thread and without UDP.
    pub fn memcached() -> Self {
        let words = "memcached -p {port} -l 127.0.0.1 -t 1 -m 4096 -U 0";
        // As root it refuses to start unless it is told to whom to switch.
        let user = ["-u", "root"].map(str::to_owned);
        let command = words.split(' ').map(str::to_owned).chain(user).collect();
        Self { name: "memcached".to_owned(), protocol: Protocol::Memcache, command }
    }

    fn resp<'a>(name: &str, command: impl Iterator<Item = &'a &'a str>) -> Self {
        let command = command.map(|word| (*word).to_owned()).collect();
        Self { name: name.to_owned(), protocol: Protocol::Resp, command }
    }

    /// Reads `[memcache:]name=command line`, whose words may be quoted with ' or ".
    ///
    /// # Errors
    ///
    /// A sentence that says what is missing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (head, line) =
            text.split_once('=').ok_or_else(|| format!("{text:?} has no `=`; write NAME=COMMAND LINE"))?;
        let (protocol, name) = match head.strip_prefix("memcache:") {
            Some(name) => (Protocol::Memcache, name),
            None => (Protocol::Resp, head),
        };
        let command = words(line)?;
        if name.is_empty() || command.is_empty() {
            return Err(format!("{text:?} lacks a name or a command; write NAME=COMMAND LINE"));
        }
        if !command.iter().any(|word| word.contains("{port}")) {
            return Err(format!(
                "the command line of {name} does not say {{port}}, so it cannot be told where to listen"
            ));
        }
        Ok(Self { name: name.to_owned(), protocol, command })
    }

    /// Whether the program exists: as a path, or somewhere on `PATH`.
    pub fn is_installed(&self) -> bool {
        let program = Path::new(&self.command[0]);
        if program.components().count() > 1 {
            return program.is_file();
        }
        env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
    }

    /// The first line of what the program says about its version.
    pub fn version(&self) -> Option<String> {
        let output = Command::new(&self.command[0]).arg("--version").stdin(Stdio::null()).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().next().map(|line| line.trim().to_owned()).filter(|_| output.status.success())
    }
}

/// Nothing of the measured work is to be spent on files, and no login is needed.
const PERSIST_NOTHING: [&str; 6] = ["--save", "", "--appendonly", "no", "--protected-mode", "no"];

/// Splits a command line at spaces; quotes keep spaces, and an empty pair of them is an empty word.
fn words(line: &str) -> Result<Vec<String>, String> {
    let (mut words, mut word, mut quote): (Vec<String>, Option<String>, Option<char>) = (Vec::new(), None, None);
    for letter in line.chars() {
        match quote {
            Some(open) if open == letter => quote = None,
            None if letter == '"' || letter == '\'' => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            None if letter == ' ' => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    match quote {
        Some(open) => Err(format!("the quote {open} is not closed in {line:?}")),
        None => Ok(words.into_iter().chain(word).collect()),
    }
}

/// A running server. Dropping it ends the process and removes its folder.
pub struct Running {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
    /// Dropped after the process has ended, as fields are dropped after `drop`.
    folder: Folder,
}

/// A server that does not answer within this time has failed to start.
const START_MAX: Duration = Duration::from_secs(10);

impl Running {
    /// Starts a server, on the given cores if any, and waits until it answers.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] with the end of its output if it exits or does not answer; [`Error::Io`] if it cannot be run.
    pub fn start(contestant: &Contestant, cores: Option<&[usize]>) -> Result<Self, Error> {
        Self::start_within(START_MAX, contestant, cores)
    }

    /// As [`Running::start`], for a server that may load a lot before it answers.
    ///
    /// # Errors
    ///
    /// As [`Running::start`].
    pub fn start_within(limit: Duration, contestant: &Contestant, cores: Option<&[usize]>) -> Result<Self, Error> {
        let name = &contestant.name;
        let folder = Folder::new().map_err(Error::io("cannot create a temporary folder"))?;
        let log = folder.0.join("output.log");
        let port = free_port().map_err(Error::io("cannot find a free port"))?;
        let place = cores.map_or(String::new(), |cores| format!(" on core {cores:?}"));
        let child = spawn(contestant, cores, port, &folder.0, &log)
            .map_err(Error::io(format!("cannot start {name} ({}){place}", contestant.command[0])))?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut running = Self { child, address, log, folder };
        running.wait_until_ready(limit, contestant)?;
        Ok(running)
    }

    /// Stops the server where it stands, so that it takes no time from another, or lets it go on.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it is gone.
    pub fn pause(&self, on: bool) -> Result<(), Error> {
        os::pause(self.pid(), on).map_err(Error::io("cannot stop a server or let it go on"))
    }

    /// The folder it was started in.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn wait_until_ready(&mut self, limit: Duration, contestant: &Contestant) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            let answers = ping(self.address, contestant.protocol);
            let ended = self.child.try_wait().map_err(Error::io("cannot ask for the state of a server"))?;
            if let Some(status) = ended {
                return Err(Error::Server(format!(
                    "{} ended at its start ({status}){}",
                    contestant.name,
                    self.last_words()
                )));
            }
            if answers {
                return Ok(());
            }
            if started.elapsed() > limit {
                let (name, seconds) = (&contestant.name, limit.as_secs());
                return Err(Error::Server(format!("{name} does not answer after {seconds} s{}", self.last_words())));
            }
            if os::interrupted() {
                return Err(Error::Interrupted);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the process still runs; one that has ended stays a zombie until this is dropped.
    pub fn is_alive(&self) -> bool {
        fs::read_to_string(format!("/proc/{}/stat", self.pid())).is_ok_and(|stat| !stat.contains(") Z "))
    }

    /// The end of what the server wrote, introduced by a colon; nothing if it wrote nothing.
    pub fn last_words(&self) -> String {
        let text = fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        match lines.len() {
            0 => String::new(),
            count => format!("; its last words:\n{}", lines[count.saturating_sub(15)..].join("\n")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing it holds is worth an orderly end, and KILL cannot be ignored. Both calls fail only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(
    contestant: &Contestant,
    cores: Option<&[usize]>,
    port: u16,
    folder: &Path,
    log: &Path,
) -> std::io::Result<Child> {
    let output = File::create(log)?;
    let (port, folder_text) = (port.to_string(), folder.display().to_string());
    let fill_in = |word: &String| word.replace("{port}", &port).replace("{dir}", &folder_text);
    let mut command = Command::new(fill_in(&contestant.command[0]));
    command.args(contestant.command[1..].iter().map(fill_in)).current_dir(folder);
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    os::tie_child(&mut command, cores)?;
    command.spawn()
}

/// A port that nobody listens on now. Another process may take it before the server does, which then fails to start.
pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn ping(address: SocketAddr, protocol: Protocol) -> bool {
    let (question, answer): (&[u8], &[u8]) = match protocol {
        Protocol::Resp => (b"*1\r\n$4\r\nPING\r\n", b"+PONG"),
        Protocol::Memcache => (b"version\r\n", b"VERSI"),
    };
    let ask = || {
        let mut socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        socket.write_all(question)?;
        let mut start = [0; 5];
        socket.read_exact(&mut start)?;
        std::io::Result::Ok(start)
    };
    ask().is_ok_and(|start| start == answer)
}

/// A temporary folder that is removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("larder-compare-{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's own cleaning of temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_split_at_spaces_outside_quotes() {
        assert_eq!(words(r#"a  --save "" 'b c' d"e f""#).unwrap(), ["a", "--save", "", "b c", "de f"]);
        assert_eq!(words("").unwrap(), [""; 0]);
        assert!(words("a 'b").is_err());
    }

    #[test]
    fn extra_servers_are_read() {
        let valkey = Contestant::parse("valkey=valkey-server --port {port} --save ''").unwrap();
        assert_eq!((valkey.name.as_str(), valkey.protocol), ("valkey", Protocol::Resp));
        assert_eq!(valkey.command, ["valkey-server", "--port", "{port}", "--save", ""]);
        let other = Contestant::parse("memcache:mc=memcached -p {port}").unwrap();
        assert_eq!((other.name.as_str(), other.protocol), ("mc", Protocol::Memcache));
        for wrong in ["valkey", "=a {port}", "a=", "a=server --port 1"] {
            assert!(Contestant::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_program_that_ends_at_once_is_reported_with_its_output() {
        let contestant = Contestant::parse("broken=sh -c 'echo no such option {port}; exit 3'").unwrap();
        let error = Running::start(&contestant, None).err().unwrap().to_string();
        assert!(error.contains("broken ended at its start") && error.contains("no such option"), "{error}");
    }

    #[test]
    fn a_dropped_server_is_gone_with_its_folder() {
        let contestant = Contestant::parse("sleeper=sh -c 'exec sleep 60 {port}'").unwrap();
        let folder = Folder::new().unwrap();
        let (path, log) = (folder.0.clone(), folder.0.join("output.log"));
        let mut command = Command::new("sleep");
        command.arg("60");
        let child = command.spawn().unwrap();
        let pid = child.id();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        assert!(contestant.is_installed());
        drop(Running { child, address, log, folder });
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
        assert!(!path.exists());
    }
}
