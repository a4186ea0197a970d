//! What can go wrong in any verb, worded for the person who typed it.

use std::{fmt, io};

use crate::reply::Garbled;

/// Why a verb stopped.
#[derive(Debug)]
pub enum Error {
    /// The operating system refused something.
    Io { doing: String, source: io::Error },
    /// The server closed a connection; `hint` is the first error reply, if there was one.
    Closed { hint: Option<String> },
    /// The server sent what its protocol does not allow.
    Garbled(Garbled),
    /// More replies came than requests were sent.
    TooManyReplies,
    /// Nothing came for [`crate::engine::SILENCE_MAX`] although replies were due.
    Silent,
    /// Ctrl-C.
    Interrupted,
    /// Flags that contradict each other or the protocol.
    Usage(String),
    /// A server under comparison did not start or died.
    Server(String),
}

impl Error {
    /// Turns an I/O error into one that says what was being done.
    pub fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
            Self::Closed { hint: None } => write!(f, "the server closed a connection"),
            Self::Closed { hint: Some(text) } => {
                write!(f, "the server closed a connection; its first error reply was: {text}")
            }
            Self::Garbled(what) => write!(f, "{what}; is --protocol the one the server speaks?"),
            Self::TooManyReplies => write!(f, "the server sent more replies than there were requests"),
            Self::Silent => {
                write!(
                    f,
                    "the server sent nothing for {} s although replies were due",
                    crate::engine::SILENCE_MAX.as_secs()
                )
            }
            Self::Interrupted => write!(f, "interrupted"),
            Self::Usage(text) | Self::Server(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

impl From<Garbled> for Error {
    fn from(what: Garbled) -> Self {
        Self::Garbled(what)
    }
}
