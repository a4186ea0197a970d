//! One question to a RESP server, answered before the next: what the verbs ask beside their load.

use std::{
    io::{BufRead, BufReader, Error, ErrorKind, Read, Result, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longer than the longest FLUSHALL.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Sends an inline command and returns its reply: the text of a line, or the body of a bulk.
///
/// # Errors
///
/// What the socket says, and an error reply as [`ErrorKind::Other`].
pub fn ask(address: SocketAddr, command: &str) -> Result<String> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(ANSWER_MAX))?;
    socket.write_all(format!("{command}\r\n").as_bytes())?;
    let mut reader = BufReader::new(socket);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end();
    match line.split_at_checked(1) {
        Some(("$", length)) => {
            let length: usize = length.parse().map_err(|_| Error::from(ErrorKind::InvalidData))?;
            let mut body = vec![0; length];
            reader.read_exact(&mut body)?;
            String::from_utf8(body).map_err(|_| ErrorKind::InvalidData.into())
        }
        Some(("+" | ":", text)) => Ok(text.to_owned()),
        _ => Err(Error::other(format!("{command} was answered with {line:?}"))),
    }
}

/// What `INFO memory` says the server has allocated.
///
/// # Errors
///
/// As [`ask`], and [`ErrorKind::InvalidData`] if there is no such line.
pub fn used_memory(address: SocketAddr) -> Result<u64> {
    let info = ask(address, "INFO memory")?;
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")?.trim().parse().ok());
    used.ok_or_else(|| Error::new(ErrorKind::InvalidData, "INFO memory has no line used_memory"))
}
