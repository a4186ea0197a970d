//! One connection: what is to be sent, what is owed, and the scanner of what comes back.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::{AsRawFd, RawFd},
};

use crate::{
    error::Error,
    reply::{Scanner, Tally},
    request::Requests,
    workload::Workload,
};

/// A non-blocking socket and its state.
pub struct Connection {
    socket: TcpStream,
    out: Vec<u8>,
    /// How much of `out` the socket has taken.
    taken: usize,
    owed: usize,
    scanner: Scanner,
}

/// Sends of `out`, of which the socket has `taken` some bytes, as much as it takes now.
pub fn send(socket: &mut TcpStream, out: &mut Vec<u8>, taken: &mut usize) -> Result<(), Error> {
    while *taken < out.len() {
        match socket.write(&out[*taken..]) {
            Ok(0) => return Err(Error::Closed { hint: None }),
            Ok(count) => *taken += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("cannot send a request")(error)),
        }
    }
    out.clear();
    *taken = 0;
    Ok(())
}

impl Connection {
    /// Connects, waiting for the server to accept.
    pub fn open(address: SocketAddr, workload: &Workload) -> Result<Self, Error> {
        let refused = || Error::io(format!("cannot connect to {address}"));
        let socket = TcpStream::connect(address).map_err(refused())?;
        socket.set_nodelay(true).map_err(refused())?;
        socket.set_nonblocking(true).map_err(refused())?;
        let scanner = Scanner::new(workload.protocol, workload.keys_per_read() as u64, workload.replies_per_request());
        Ok(Self { socket, out: Vec::new(), taken: 0, owed: 0, scanner })
    }

    pub fn descriptor(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Replies that have not come yet.
    pub fn owed(&self) -> usize {
        self.owed
    }

    /// Builds `count` requests and sends what the socket takes; the rest goes when it is writable again.
    pub fn send(&mut self, requests: &mut Requests, count: usize) -> Result<(), Error> {
        for _ in 0..count {
            requests.append(&mut self.out);
        }
        self.owed += count;
        self.flush()
    }

    /// Sends what is left of the requests.
    pub fn flush(&mut self) -> Result<(), Error> {
        send(&mut self.socket, &mut self.out, &mut self.taken)
    }

    /// Reads what is there and returns how many replies it completed.
    ///
    /// A read that does not fill the buffer has emptied the socket (epoll(7) says so for streams), which saves the read
    /// that would find nothing; unless the stream has `ended`, as then that read finds the end.
    pub fn receive(&mut self, ended: bool, buffer: &mut [u8], tally: &mut Tally) -> Result<usize, Error> {
        let before = tally.replies;
        loop {
            let count = match self.socket.read(buffer) {
                Ok(0) => {
                    return Err(Error::Closed { hint: tally.first_error.clone() });
                }
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::io("cannot read replies")(error)),
            };
            self.scanner.feed(&buffer[..count], tally)?;
            if count < buffer.len() && !ended {
                break;
            }
        }
        let arrived = (tally.replies - before) as usize;
        self.owed = self.owed.checked_sub(arrived).ok_or(Error::TooManyReplies)?;
        Ok(arrived)
    }
}
