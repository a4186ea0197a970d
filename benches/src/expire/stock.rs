//! The keys that are to expire: stored through one connection, in batches.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use super::Options;
use crate::{error::Error, os};

/// Keys sent before their replies are read.
const BATCH: u64 = 1_000;

const REPLY: &[u8] = b"+OK\r\n";

/// Stores the keys; their times begin with `first_ms` since 1970 and are spread evenly, in no order of the keys.
///
/// # Errors
///
/// [`Error::Server`] if a key is refused, [`Error::Io`] if the connection breaks.
pub fn store(address: SocketAddr, options: &Options, first_ms: u64) -> Result<(), Error> {
    let broken = || Error::io("cannot store keys");
    let mut socket = TcpStream::connect(address).map_err(broken())?;
    let value = "v".repeat(options.value_length);
    let spread_ms = (options.spread.as_millis() as u64).max(1);
    // A hash tag puts all keys into one slot.
    let prefix = if options.one_slot { "{k}" } else { "k00" };
    let mut replies = Vec::new();
    for from in (0..options.keys).step_by(BATCH as usize) {
        let numbers = from..(from + BATCH).min(options.keys);
        let mut requests = Vec::with_capacity(BATCH as usize * (options.value_length + 100));
        for number in numbers.clone() {
            let due = first_ms + number % spread_ms;
            // SET, not MSET or a script: any server can do it.
            let request = format!(
                "*5\r\n$3\r\nSET\r\n$16\r\n{prefix}{number:013}\r\n${}\r\n{value}\r\n$4\r\nPXAT\r\n$13\r\n{due:013}\r\n",
                value.len()
            );
            requests.extend_from_slice(request.as_bytes());
        }
        socket.write_all(&requests).map_err(broken())?;
        replies.resize(REPLY.len() * (numbers.end - numbers.start) as usize, 0);
        socket.read_exact(&mut replies).map_err(broken())?;
        if replies.chunks(REPLY.len()).any(|reply| reply != REPLY) {
            return Err(Error::Server(format!("a key was refused: {}", String::from_utf8_lossy(&replies[..60]))));
        }
        if os::interrupted() {
            return Err(Error::Interrupted);
        }
    }
    Ok(())
}
