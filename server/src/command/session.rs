//! What a connection has said about itself: its database, protocol, login and modes.

use super::clients::{Client, Unblocked};
use super::fault::Fault;
use super::pubsub::Subscriptions;
use super::shared::Shared;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Which replies a connection wants: `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Replies {
    #[default]
    On,
    Off,
    /// Not the reply to the next command.
    SkipNext,
    /// Not the reply to this command.
    Skip,
}

/// One connection's state, known to its worker alone.
pub struct Session {
    pub client: Arc<Client>,
    /// The number of the selected database, 0 to 15.
    pub db: usize,
    /// Whether the password, if there is one, was given.
    pub authenticated: bool,
    pub replies: Replies,
    /// The worker that runs it.
    pub worker: usize,
    /// A time that a waiting command was given, so that it finds it again when it is run the second time.
    pub wait_until_ms: Option<u64>,
    /// `None` if it is subscribed to nothing.
    pub subscriptions: Option<Box<Subscriptions>>,
}

impl Session {
    pub fn new(client: Arc<Client>, authenticated: bool) -> Session {
        let worker = client.worker;
        Session { client, db: 0, authenticated, replies: Replies::On, worker, wait_until_ms: None, subscriptions: None }
    }

    pub fn select(&mut self, db: usize) {
        self.db = db;
        self.client.db.store(db as u8, Relaxed);
    }

    /// Sees whether `CLIENT UNBLOCK` has ended the wait of the command that is about to be run again.
    ///
    /// # Errors
    ///
    /// What the command is to answer if its wait was ended with an error.
    pub fn take_unblocked(&mut self) -> Result<(), Fault> {
        match self.client.take_unblocked() {
            None => Ok(()),
            Some(Unblocked::TimedOut) => {
                self.wait_until_ms = Some(0);
                Ok(())
            }
            Some(Unblocked::Refused) => {
                self.wait_until_ms = None;
                Err(Fault::text("UNBLOCKED client unblocked via CLIENT UNBLOCK"))
            }
        }
    }

    /// Whether it is subscribed to anything.
    #[inline]
    pub fn is_subscriber(&self) -> bool {
        self.subscriptions.is_some()
    }

    /// Whether the connection shows every command that any connection runs.
    pub fn is_monitor(&self) -> bool {
        self.client.monitor.load(Relaxed)
    }

    /// Shows the connection every command from now on.
    pub fn start_monitor(&mut self, node: &Shared) {
        if !self.client.monitor.swap(true, Relaxed) {
            node.monitors.fetch_add(1, Relaxed);
        }
    }

    /// Ends what [`Session::start_monitor`] began, if it did. `RESET` and the end of a connection call it.
    pub fn leave_monitor(&mut self, node: &Shared) {
        if self.client.monitor.swap(false, Relaxed) {
            node.monitors.fetch_sub(1, Relaxed);
        }
    }
}
