//! A connection to the new owner of slots: commands go out many at a time, and their answers are looked at as they come.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long the other end may take to be reached, and to answer or to read anything.
const PATIENCE: Duration = Duration::from_secs(5);

/// Commands that may be unanswered.
const UNANSWERED_MAX: u64 = 4096;

/// Bytes of commands that are gathered before they are sent.
const GATHERED_BYTES: usize = 256 * 1024;

pub struct Line {
    stream: TcpStream,
    out: Vec<u8>,
    answers: Answers,
    sent: u64,
}

impl Line {
    /// Reaches a node.
    ///
    /// # Errors
    ///
    /// In words for an operator.
    pub fn open(host: &str, port: u16) -> Result<Line, String> {
        let unreachable = |error: io::Error| format!("{host}:{port} cannot be reached: {error}");
        let mut addresses = (host, port).to_socket_addrs().map_err(unreachable)?;
        let address = addresses.next().ok_or_else(|| format!("{host} is no host"))?;
        let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(unreachable)?;
        let set_up = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
        set_up.and_then(|()| stream.set_write_timeout(Some(PATIENCE))).map_err(unreachable)?;
        Ok(Line { stream, out: Vec::new(), answers: Answers::default(), sent: 0 })
    }

    /// Sends a command sooner or later.
    ///
    /// # Errors
    ///
    /// If the line is broken, or an earlier command was refused.
    pub fn say(&mut self, words: &[&[u8]]) -> Result<(), String> {
        crate::repl::spell::push_command(&mut self.out, words.iter().copied());
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
        self.sent += 1;
        if self.out.len() >= GATHERED_BYTES {
            self.flush()?;
        }
        while self.sent - self.answers.count > UNANSWERED_MAX {
            self.flush()?;
            self.read()?;
        }
        Ok(())
    }

    /// Sends what has been gathered.
    ///
    /// # Errors
    ///
    /// As [`Line::say`].
    pub fn flush(&mut self) -> Result<(), String> {
        self.stream.write_all(&self.out).map_err(|error| format!("the line broke: {error}"))?;
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
        while self.answers.count < self.sent {
            if Instant::now() > until {
                return Err("it does not answer in time".to_owned());
            }
            self.read()?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<(), String> {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err("it has closed the line".to_owned()),
            Ok(read) => self.answers.feed(&buffer[..read]),
            Err(error) => Err(format!("the line broke: {error}")),
        }
    }
}

/// Counts answers, and finds the first refusal.
#[derive(Debug, Default)]
struct Answers {
    count: u64,
    input: Vec<u8>,
    /// Values that are missing to the end of the answer that has begun.
    missing: u64,
}

/// Bytes of a line of an answer.
const LINE_MAX: usize = 64 * 1024;

impl Answers {
    fn feed(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.input.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(taken) = self.take_value(at)? {
            at += taken;
        }
        self.input.drain(..at);
        Ok(())
    }

    /// Takes one value, which may be the head of several. Returns how many bytes it is; `None` if more have to come.
    fn take_value(&mut self, at: usize) -> Result<Option<usize>, String> {
        let rest = &self.input[at..];
        let Some(end) = rest.windows(2).take(LINE_MAX).position(|pair| pair == b"\r\n") else {
            let is_endless = rest.len() > LINE_MAX;
            return if is_endless { Err("it answers what is no protocol".to_owned()) } else { Ok(None) };
        };
        let (line, mut taken) = (&rest[..end], end + 2);
        let number = || std::str::from_utf8(&line[1..]).ok().and_then(|text| text.parse::<i64>().ok()).unwrap_or(-1);
        let mut holds = 0;
        match line.first() {
            Some(b'-') => return Err(format!("it refuses: {}", String::from_utf8_lossy(&line[1..]))),
            Some(b'+' | b':') => {}
            Some(b'$') => {
                let bytes = number();
                taken += if bytes < 0 { 0 } else { bytes as usize + 2 };
            }
            Some(b'*') => holds = number().max(0) as u64,
            _ => return Err("it answers what is no protocol".to_owned()),
        }
        if rest.len() < taken {
            return Ok(None);
        }
        self.missing = self.missing.saturating_sub(1) + holds;
        self.count += u64::from(self.missing == 0);
        Ok(Some(taken))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_however_they_are_split() {
        let bytes =
            b"+OK\r\n:12\r\n$5\r\nhe\r\no\r\n$-1\r\n*3\r\n:1\r\n*2\r\n+a\r\n$0\r\n\r\n:2\r\n*0\r\n*-1\r\n+OK\r\n";
        for piece in 1..bytes.len() {
            let mut answers = Answers::default();
            bytes.chunks(piece).for_each(|piece| answers.feed(piece).expect("nothing is refused"));
            assert_eq!((answers.count, answers.input.len(), answers.missing), (8, 0, 0), "in pieces of {piece}");
        }
    }

    #[test]
    fn a_refusal_is_told() {
        let refused = Answers::default().feed(b"+OK\r\n-OOM no room\r\n");
        assert_eq!(refused, Err("it refuses: OOM no room".to_owned()));
        assert!(Answers::default().feed(b"HTTP/1.1 400\r\n").is_err());
    }
}
