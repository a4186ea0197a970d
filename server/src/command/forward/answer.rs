//! What goes out to another node for a client, and the place where its reply is left.

use crate::cluster::id::Id;
use crate::command::clients::Client;
use crate::config::{Durability, Named};
use parking_lot::Mutex;
use std::sync::Arc;

/// How a line to another node is to be spoken on. Requests in one manner share a line, and are answered in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Manner {
    /// 2 or 3.
    pub protocol: u8,
    /// What the client has said about it.
    pub durability: Option<Durability>,
    /// Whether it has said `CLIENT NO-TOUCH ON`.
    pub is_quiet: bool,
}

impl Manner {
    /// What the client has said about durability, as it is called.
    pub fn durability_name(self) -> Option<&'static str> {
        self.durability.map(Named::name)
    }
}

/// A request for another node.
pub struct Outgoing {
    pub to: Id,
    pub manner: Manner,
    /// A line of its own, for what waits or watches there, by the client and a number; one that is shared if `None`.
    pub lone: Option<(u64, u64)>,
    /// Whether that line is needed no longer once this is answered, and whether it must be there already.
    pub is_last: bool,
    pub goes_on: bool,
    /// Commands as they are spelled.
    pub request: Arc<[u8]>,
    /// How many these are. The last reply is the answer, unless one before says that the commands are for another node.
    pub commands: usize,
    /// Nobody wants to know if `None`.
    pub answer: Option<Arc<Answer>>,
}

impl Outgoing {
    /// One command, for whose reply nobody waits.
    pub fn told(to: Id, request: Arc<[u8]>) -> Outgoing {
        let manner = Manner { protocol: 2, durability: None, is_quiet: false };
        Outgoing { to, manner, lone: None, is_last: false, goes_on: false, request, commands: 1, answer: None }
    }
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// A reply, as it came.
    Reply(Vec<u8>),
    /// It was not sent, or nothing was done: the node could not be reached, or does not serve the keys. Says why.
    Nothing(Vec<u8>),
    /// It was sent, and nobody knows whether it was run.
    Lost,
}

/// The place where a reply is left for a client's connection, which is woken then.
pub struct Answer {
    client: Arc<Client>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    came: Option<Came>,
    /// Whether nobody wants it any more.
    is_given_up: bool,
}

impl Answer {
    pub fn new(client: Arc<Client>) -> Arc<Answer> {
        Arc::new(Answer { client, state: Mutex::default() })
    }

    /// Leaves what has come. Only the first counts.
    pub fn leave(&self, came: Came) {
        let mut state = self.state.lock();
        if state.came.is_none() {
            state.came = Some(came);
            drop(state);
            self.client.wake();
        }
    }

    /// Takes what has come.
    pub fn take(&self) -> Option<Came> {
        self.state.lock().came.take()
    }

    /// Says that nobody wants it any more.
    pub fn give_up(&self) {
        self.state.lock().is_given_up = true;
    }

    /// Whether nobody wants it any more.
    pub fn is_given_up(&self) -> bool {
        self.state.lock().is_given_up
    }
}

/// How a node answers the GET of another node's client that would wait while somebody loads the key, with the milliseconds for which
/// it would: it is asked again, as nobody may wait on a line that many share.
pub const LEASED: &str = "LEASED";

/// Whether a reply says that nothing was done, since the node does not serve the keys, or serves nothing yet, or somebody loads them.
pub fn is_refusal(reply: &[u8]) -> bool {
    [
        &b"-MOVED "[..],
        b"-ASK ",
        b"-TRYAGAIN ",
        b"-CLUSTERDOWN ",
        b"-LOADING ",
        b"-MASTERDOWN ",
        b"-READONLY ",
        b"-LEASED ",
    ]
    .iter()
    .any(|start| reply.starts_with(start))
}

/// For how many milliseconds a key's loading may be waited for, if that is what a reply says.
pub fn leased_ms(reply: &[u8]) -> Option<u64> {
    let millis = reply.strip_prefix(b"-LEASED ")?.trim_ascii_end();
    std::str::from_utf8(millis).ok()?.parse().ok()
}
