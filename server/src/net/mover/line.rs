//! A connection to the new owner of slots: commands go out many at a time, and their answers are looked at later.

use crate::repl::spell::push_command;
use larder_client::connection::{Connection, Error};
use larder_client::resp::Reply;
use std::time::{Duration, Instant};

/// Commands that may be unanswered.
const UNANSWERED_MAX: usize = 4096;

/// Bytes of commands that are gathered before they are sent.
const GATHERED_BYTES: usize = 256 * 1024;

/// How long some bytes of an answer may take while there is time.
const PATIENCE: Duration = Duration::from_secs(5);

pub struct Line {
    connection: Connection,
    /// Whom it reaches, as `host:port`.
    peer: String,
    out: Vec<u8>,
    unanswered: usize,
}

impl Line {
    /// Reaches a node.
    ///
    /// # Errors
    ///
    /// In words for an operator.
    pub fn open(host: &str, port: u16) -> Result<Line, String> {
        let connection = Connection::open((host, port));
        let peer = format!("{host}:{port}");
        let connection = connection.map_err(|error| format!("{peer} cannot be reached: {error}"))?;
        Ok(Line { connection, peer, out: Vec::new(), unanswered: 0 })
    }

    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// Sends a command sooner or later.
    ///
    /// # Errors
    ///
    /// If the line is broken, or an earlier command was refused.
    pub fn say(&mut self, words: &[&[u8]]) -> Result<(), String> {
        push_command(&mut self.out, words.iter().copied());
        self.count()
    }

    /// Sends a command that is spelled already.
    ///
    /// # Errors
    ///
    /// As [`Line::say`].
    pub fn pass_on(&mut self, command: &[u8]) -> Result<(), String> {
        self.out.extend_from_slice(command);
        self.count()
    }

    fn count(&mut self) -> Result<(), String> {
        self.unanswered += 1;
        if self.out.len() >= GATHERED_BYTES {
            self.flush()?;
        }
        if self.unanswered >= UNANSWERED_MAX {
            self.flush()?;
            self.hear()?;
        }
        Ok(())
    }

    /// Sends what has been gathered.
    ///
    /// # Errors
    ///
    /// As [`Line::say`].
    pub fn flush(&mut self) -> Result<(), String> {
        self.connection.send_raw(&self.out).map_err(broke)?;
        self.out.clear();
        self.out.shrink_to(2 * GATHERED_BYTES);
        Ok(())
    }

    /// Waits until all commands have been answered.
    ///
    /// # Errors
    ///
    /// As [`Line::say`], or if that takes longer than `time`.
    pub fn settle(&mut self, time: Duration) -> Result<(), String> {
        self.flush()?;
        let until = Instant::now() + time;
        while self.unanswered > 0 {
            let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.connection.set_read_timeout(Some(left)).map_err(broke)?;
            self.hear()?;
        }
        self.connection.set_read_timeout(Some(PATIENCE)).map_err(broke)
    }

    /// The epoch of the topology that the other end has. All that was said before has been answered.
    ///
    /// # Errors
    ///
    /// If it does not say so within `time`.
    pub fn topology_epoch(&mut self, time: Duration) -> Result<u64, String> {
        self.connection.set_read_timeout(Some(time)).map_err(broke)?;
        let info = self.connection.call(&["CLUSTER", "INFO"]).map_err(broke)?;
        let info = String::from_utf8_lossy(info.as_bytes().unwrap_or_default()).into_owned();
        let epoch = info.lines().find_map(|line| line.strip_prefix("cluster_current_epoch:"));
        epoch.and_then(|epoch| epoch.trim().parse().ok()).ok_or_else(|| "it does not know its epoch".to_owned())
    }

    /// Takes one answer.
    fn hear(&mut self) -> Result<(), String> {
        match self.connection.receive().map_err(broke)? {
            Reply::Error(text) => Err(format!("it refuses: {}", String::from_utf8_lossy(&text))),
            _ => {
                self.unanswered -= 1;
                Ok(())
            }
        }
    }
}

fn broke(error: Error) -> String {
    format!("the line broke: {error}")
}
