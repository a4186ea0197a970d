//! One blocking connection over a TCP socket: requests out, replies in, in order.
//!
//! It is meant for tests and tools, and for programs that are not async. It does not reconnect and does not follow
//! redirections; whoever uses it sees every reply as the server gave it.

use crate::resp::{Decoder, Limits, Malformed, Reply, encode_request};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;
use std::{error, fmt};

/// How long a connection waits, and how much it takes in.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// For the connection to stand. `None` waits as long as the system does.
    pub connect_timeout: Option<Duration>,
    /// For some bytes of a reply. `None` waits for ever.
    pub read_timeout: Option<Duration>,
    /// For the server to take some bytes of a request. `None` waits for ever.
    pub write_timeout: Option<Duration>,
    /// What a reply may measure.
    pub limits: Limits,
    /// How many pushes are kept while [`Connection::call`] waits for a reply.
    pub pushes_max: usize,
}

impl Default for Options {
    /// Five seconds for everything, and a thousand pushes.
    fn default() -> Self {
        const WAIT: Option<Duration> = Some(Duration::from_secs(5));
        Self {
            connect_timeout: WAIT,
            read_timeout: WAIT,
            write_timeout: WAIT,
            limits: Limits::DEFAULT,
            pushes_max: 1000,
        }
    }
}

/// Why a request has no reply.
#[derive(Debug)]
pub enum Error {
    /// The server closed the connection.
    Closed,
    /// Nothing came, or nothing could be sent, for as long as [`Options`] say.
    TimedOut,
    /// The server sent what is no RESP, or too much of it.
    Malformed(Malformed),
    /// More pushes came than [`Options::pushes_max`] without being taken.
    TooManyPushes,
    /// The socket failed.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the server closed the connection"),
            Self::TimedOut => f.write_str("the server did not answer in time"),
            Self::Malformed(malformed) => write!(f, "the server's reply is malformed: {malformed}"),
            Self::TooManyPushes => f.write_str("more pushes came than are kept: take them with `take_pushes`"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Malformed(malformed) => Some(malformed),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// A connection to one server.
///
/// After an error other than [`Error::TimedOut`] it is of no further use. After a time-out the reply may still come, and
/// would be taken for the next request's: either `receive` it or drop the connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    decoder: Decoder,
    request: Vec<u8>,
    pushes: VecDeque<Vec<Reply>>,
    pushes_max: usize,
}

impl Connection {
    /// Connects with the default [`Options`].
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], or [`Error::Io`] if nobody listens there.
    pub fn open(address: impl ToSocketAddrs) -> Result<Self, Error> {
        Self::open_with(address, Options::default())
    }

    /// Connects to the first address that answers.
    ///
    /// # Errors
    ///
    /// As for [`Connection::open`]; the last address's if there are several.
    pub fn open_with(address: impl ToSocketAddrs, options: Options) -> Result<Self, Error> {
        let mut last = io::Error::new(ErrorKind::InvalidInput, "the name stands for no address");
        for address in address.to_socket_addrs()? {
            match connect(address, options.connect_timeout) {
                Ok(stream) => return Self::over(stream, options),
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }

    fn over(stream: TcpStream, options: Options) -> Result<Self, Error> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(options.read_timeout)?;
        stream.set_write_timeout(options.write_timeout)?;
        Ok(Self {
            stream,
            decoder: Decoder::new(options.limits),
            request: Vec::new(),
            pushes: VecDeque::new(),
            pushes_max: options.pushes_max,
        })
    }

    /// Sends a request and waits for its reply. Pushes that come before it are kept for [`Connection::take_pushes`].
    ///
    /// Not for requests that RESP3 answers by a push alone, such as SUBSCRIBE: `send` and `receive` those.
    ///
    /// # Errors
    ///
    /// Any [`Error`]. A refusal of the server is a reply, not an error.
    pub fn call(&mut self, words: &[impl AsRef<[u8]>]) -> Result<Reply, Error> {
        self.send(words)?;
        self.receive_answer()
    }

    /// Sends many requests at once and waits for all their replies, which come in the order of the requests.
    ///
    /// # Errors
    ///
    /// As for [`Connection::call`]; the replies that came before the error are lost.
    pub fn pipeline<W: AsRef<[u8]>>(&mut self, requests: &[impl AsRef<[W]>]) -> Result<Vec<Reply>, Error> {
        self.request.clear();
        for words in requests {
            encode_request(words.as_ref(), &mut self.request);
        }
        self.stream.write_all(&self.request)?;
        requests.iter().map(|_| self.receive_answer()).collect()
    }

    /// Sends a request and does not wait.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but [`Error::Malformed`].
    pub fn send(&mut self, words: &[impl AsRef<[u8]>]) -> Result<(), Error> {
        self.request.clear();
        encode_request(words, &mut self.request);
        Ok(self.stream.write_all(&self.request)?)
    }

    /// Sends bytes as they are, whatever they mean.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but [`Error::Malformed`].
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        Ok(self.stream.write_all(bytes)?)
    }

    /// Waits for the next reply or push, whichever the server sent first.
    ///
    /// # Errors
    ///
    /// Any [`Error`].
    pub fn receive(&mut self) -> Result<Reply, Error> {
        loop {
            if let Some(reply) = self.decoder.next()? {
                return Ok(reply);
            }
            self.read_some()?;
        }
    }

    /// Waits for `len` bytes and returns them undecoded; fewer if the server closes the connection before.
    ///
    /// # Errors
    ///
    /// Any [`Error`] but [`Error::Malformed`] and [`Error::Closed`].
    pub fn receive_raw(&mut self, len: usize) -> Result<Vec<u8>, Error> {
        let mut seen = self.decoder.take_raw(len).to_vec();
        while seen.len() < len {
            match self.read_some() {
                Ok(()) => seen.extend_from_slice(&self.decoder.take_raw(len - seen.len())),
                Err(Error::Closed) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(seen)
    }

    /// The pushes that came while `call` and `pipeline` waited, oldest first.
    pub fn take_pushes(&mut self) -> Vec<Vec<Reply>> {
        self.pushes.drain(..).collect()
    }

    /// Tells the server that no more requests come. Replies can still be received.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the connection is gone.
    pub fn finish_sending(&mut self) -> Result<(), Error> {
        Ok(self.stream.shutdown(std::net::Shutdown::Write)?)
    }

    /// Changes how long to wait for some bytes of a reply; `None` waits for ever.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the time is zero.
    pub fn set_read_timeout(&mut self, timeout: Option<Duration>) -> Result<(), Error> {
        Ok(self.stream.set_read_timeout(timeout)?)
    }

    /// This end's address, which `CLIENT LIST` shows.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system does not know it.
    pub fn local_addr(&self) -> Result<SocketAddr, Error> {
        Ok(self.stream.local_addr()?)
    }

    fn receive_answer(&mut self) -> Result<Reply, Error> {
        loop {
            match self.receive()? {
                Reply::Push(_) if self.pushes.len() == self.pushes_max => return Err(Error::TooManyPushes),
                Reply::Push(push) => self.pushes.push_back(push),
                reply => return Ok(reply),
            }
        }
    }

    fn read_some(&mut self) -> Result<(), Error> {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Error::Closed),
                Ok(len) => {
                    self.decoder.extend(&chunk[..len]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn connect(address: SocketAddr, timeout: Option<Duration>) -> io::Result<TcpStream> {
    match timeout {
        Some(timeout) => TcpStream::connect_timeout(&address, timeout),
        None => TcpStream::connect(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    /// A peer that reads `expected`, answers with `pieces` one by one, and closes.
    fn peer(expected: &'static [u8], pieces: &'static [&'static [u8]]) -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            let mut seen = vec![0; expected.len()];
            stream.read_exact(&mut seen).unwrap();
            assert_eq!(seen, expected);
            for piece in pieces {
                stream.write_all(piece).unwrap();
            }
        });
        (address, thread)
    }

    #[test]
    fn a_call_gets_its_reply_and_keeps_pushes_aside() {
        let (address, thread) = peer(b"*1\r\n$4\r\nPING\r\n", &[b">1\r\n+n", b"ews\r\n+PO", b"NG\r\n"]);
        let mut connection = Connection::open(address).unwrap();
        assert_eq!(connection.call(&["PING"]).unwrap(), Reply::Simple("PONG".into()));
        assert_eq!(connection.take_pushes(), [[Reply::Simple("news".into())]]);
        assert!(matches!(connection.receive(), Err(Error::Closed)));
        thread.join().unwrap();
    }

    #[test]
    fn a_pipeline_gets_its_replies_in_order() {
        let (address, thread) = peer(b"*1\r\n$1\r\na\r\n*2\r\n$1\r\nb\r\n$0\r\n\r\n", &[b":1\r\n:2\r\n"]);
        let mut connection = Connection::open(address).unwrap();
        let requests: [&[&str]; 2] = [&["a"], &["b", ""]];
        assert_eq!(connection.pipeline(&requests).unwrap(), [Reply::Int(1), Reply::Int(2)]);
        thread.join().unwrap();
    }

    #[test]
    fn silence_is_a_time_out() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let options = Options { read_timeout: Some(Duration::from_millis(20)), ..Options::default() };
        let mut connection = Connection::open_with(listener.local_addr().unwrap(), options).unwrap();
        assert!(matches!(connection.call(&["PING"]), Err(Error::TimedOut)));
    }

    #[test]
    fn raw_bytes_end_where_the_peer_closes() {
        let (address, thread) = peer(b"x", &[b"abc", b"de"]);
        let mut connection = Connection::open(address).unwrap();
        connection.send_raw(b"x").unwrap();
        assert_eq!(connection.receive_raw(2).unwrap(), b"ab");
        assert_eq!(connection.receive_raw(10).unwrap(), b"cde");
        thread.join().unwrap();
    }
}
