//! The client that asks again and again, and what kept its answers.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{compare::server::Running, engine::SILENCE_MAX, error::Error, histogram::Histogram, os, proc};

/// What is late.
pub const LATE: Duration = Duration::from_millis(1);

/// How often the server's memory, and its threads' waits, are read between two requests.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The client waits by trying to read without a pause. What is longer than this between two tries, it was off its core.
const GAP_MIN: Duration = Duration::from_micros(100);

/// A client with one request under way at a time.
pub struct Probe {
    socket: TcpStream,
    pid: u32,
    /// The core whose stolen time is told.
    core: Option<usize>,
    reply_len: usize,
}

/// What one period showed.
#[derive(Default)]
pub struct Period {
    pub latencies: Histogram,
    pub late: Vec<Late>,
    /// How long it was.
    pub length: Duration,
    /// Of all the server's threads.
    pub waits: proc::Waits,
    /// What the machine's host took from the server's core.
    pub stolen: Duration,
}

/// An answer that took [`LATE`] or longer.
#[derive(Clone, Copy, Debug)]
pub struct Late {
    /// Since the period began.
    pub at: Duration,
    pub latency: Duration,
    /// The part of it in which the client itself was off its core.
    pub client_off: Duration,
    /// How long the server's threads waited for a core between the look before and the answer.
    pub server_off: Duration,
}

/// Whose fault a late answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Without the time the client was off its core, it would not have been late.
    Client,
    /// Without the time the server waited for a core, it would not have been late.
    Core,
    /// The server's own work, or a host that took its core and did not say so.
    Server,
}

impl Late {
    pub fn cause(&self) -> Cause {
        let own = self.latency.saturating_sub(self.client_off);
        match () {
            () if own < LATE => Cause::Client,
            () if own.saturating_sub(self.server_off) < LATE => Cause::Core,
            () => Cause::Server,
        }
    }
}

const KEY: &str = "probe";

impl Probe {
    /// Connects and stores the key that is asked for.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the server cannot be reached.
    pub fn connect(server: &Running, value_length: usize, core: Option<usize>) -> Result<Self, Error> {
        let broken = || Error::io("cannot ask the server");
        let mut socket = TcpStream::connect(server.address()).map_err(broken())?;
        socket.set_nodelay(true).map_err(broken())?;
        let value = "v".repeat(value_length);
        let set = format!("*3\r\n$3\r\nSET\r\n${}\r\n{KEY}\r\n${value_length}\r\n{value}\r\n", KEY.len());
        socket.write_all(set.as_bytes()).map_err(broken())?;
        socket.read_exact(&mut [0; "+OK\r\n".len()]).map_err(broken())?;
        socket.set_nonblocking(true).map_err(broken())?;
        let reply_len = format!("${value_length}\r\n{value}\r\n").len();
        Ok(Self { socket, pid: server.pid(), core, reply_len })
    }

    /// Asks until `is_over` says so, which is given the time and the server's resident bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Silent`] if the server does not answer, [`Error::Io`] if it is gone.
    pub fn watch(&mut self, mut is_over: impl FnMut(Instant, u64) -> bool) -> Result<Period, Error> {
        let broken = || Error::io("cannot look at the server's process");
        let request = format!("*2\r\n$3\r\nGET\r\n${}\r\n{KEY}\r\n", KEY.len());
        let threads = proc::Watch::new(self.pid).map_err(broken())?;
        let waits = proc::waits(self.pid).map_err(broken())?;
        let stolen = self.stolen()?;
        let began = Instant::now();
        let mut period = Period::default();
        let (mut looked, mut waited) = (began, threads.for_core().map_err(broken())?);
        loop {
            let asked = Instant::now();
            let client_off = self.ask(request.as_bytes(), asked)?;
            let now = Instant::now();
            let latency = now - asked;
            period.latencies.record(latency.as_nanos() as u64, 1);
            if latency < LATE && now - looked < LOOK_EVERY {
                continue;
            }
            let waiting = threads.for_core().map_err(broken())?;
            if latency >= LATE {
                period.late.push(Late { at: asked - began, latency, client_off, server_off: waiting - waited });
            }
            let resident = proc::about_resident_bytes(self.pid).map_err(broken())?;
            if os::interrupted() {
                return Err(Error::Interrupted);
            }
            if is_over(now, resident) {
                break;
            }
            (looked, waited) = (Instant::now(), waiting);
        }
        period.length = began.elapsed();
        let now = proc::waits(self.pid).map_err(broken())?;
        period.waits.for_core = now.for_core.saturating_sub(waits.for_core);
        period.waits.preempted = now.preempted.saturating_sub(waits.preempted);
        period.stolen = self.stolen()?.saturating_sub(stolen);
        Ok(period)
    }

    /// Sends one request and reads its reply. Returns how long the client was off its core meanwhile.
    fn ask(&mut self, request: &[u8], asked: Instant) -> Result<Duration, Error> {
        self.socket.write_all(request).map_err(Error::io("cannot send a request"))?;
        let mut reply = [0; 4096];
        let (mut read, mut off, mut last) = (0, Duration::ZERO, asked);
        while read < self.reply_len {
            match self.socket.read(&mut reply) {
                Ok(0) => return Err(Error::Closed { hint: None }),
                Ok(count) => read += count,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(Error::io("cannot read a reply")(error)),
            }
            let now = Instant::now();
            if now - last >= GAP_MIN {
                off += now - last;
            }
            if now - asked > SILENCE_MAX {
                return Err(Error::Silent);
            }
            last = now;
        }
        Ok(off)
    }

    fn stolen(&self) -> Result<Duration, Error> {
        let of = |core| proc::stolen_time(core).map_err(Error::io("cannot read /proc/stat"));
        self.core.map_or(Ok(Duration::ZERO), of)
    }
}

impl Period {
    /// Adds what another period of the same kind showed.
    pub fn merge(&mut self, other: Period) {
        self.latencies.merge(&other.latencies);
        self.late.extend(other.late);
        self.length += other.length;
        self.waits.for_core += other.waits.for_core;
        self.waits.preempted += other.waits.preempted;
        self.stolen += other.stolen;
    }

    /// Late answers of one cause.
    pub fn late_by(&self, cause: Cause) -> usize {
        self.late.iter().filter(|late| late.cause() == cause).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_is_put_down_to_who_lacked_a_core() {
        let late = |latency, client_off, server_off| {
            let [latency, client_off, server_off] = [latency, client_off, server_off].map(Duration::from_micros);
            Late { at: Duration::ZERO, latency, client_off, server_off }.cause()
        };
        assert_eq!(late(4_000, 3_500, 0), Cause::Client);
        assert_eq!(late(4_000, 0, 3_500), Cause::Core);
        assert_eq!(late(4_000, 1_000, 2_500), Cause::Core);
        assert_eq!(late(4_000, 1_000, 1_000), Cause::Server);
        assert_eq!(late(1_000, 0, 0), Cause::Server);
    }
}
