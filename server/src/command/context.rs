//! What a handler works with: the keys it has locked, the reply, the session and the node.

use super::fault::Fault;
use super::reply::Reply;
use super::row::Command;
use super::session::Session;
use super::shared::Shared;
use super::table::Found;
use super::words::Words;
use crate::store::Keys;

pub use super::words::Args;

/// What a handler returns.
pub type Outcome = Result<Done, Fault>;

/// How a handler ended when nothing was wrong.
#[derive(Debug, PartialEq, Eq)]
pub enum Done {
    /// The reply is written.
    Replied,
    /// The reply is written and the connection is to be closed once it is sent.
    Close,
    /// There is no reply: the connection is given to those who send the stream to replicas.
    HandOver,
    /// Nothing has been done: the command is to be run again when its time has come.
    Wait(Wait),
}

/// What a connection waits for before its next command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A time of `steady_ms`, or before that what the session tells of: a key, acknowledgements, the end of a pause.
    Until(u64),
    /// A time, and no earlier: what is waited for is looked at then, as nobody tells of it.
    Again(u64),
}

/// The surroundings of one command.
pub struct Ctx<'a> {
    /// The row that is run.
    pub command: &'static Command,
    /// What follows from it.
    pub found: &'static Found,
    /// All words of the request, the name included.
    pub words: Words<'a>,
    /// The keys that the row names, locked.
    pub store: Keys<'a>,
    pub reply: &'a mut Reply,
    pub session: &'a mut Session,
    pub node: &'a Shared,
}

impl Ctx<'_> {
    /// Milliseconds since 1970, the same for all commands of a batch.
    pub fn now_ms(&self) -> u64 {
        self.store.moment().ms
    }

    /// Milliseconds since 1970 up to which keys and fields have expired: none has for the commands of a primary, which says
    /// itself what has. Relative times are counted from [`Ctx::now_ms`] all the same.
    pub fn due_ms(&self) -> u64 {
        self.store.moment().due_ms()
    }

    /// The name of the command in lower case, with a bar between container and sub-command.
    pub fn name(&self) -> String {
        super::table::full_name(self.command)
    }
}
