//! A wire between two servers that can be cut, held and mended.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Bytes that are passed on at once. Not many, so that a wire can be cut in the middle of something.
const PIECE: usize = 16 << 10;

/// A relay on loopback: who connects to it is connected to the server it leads to.
///
/// It starts whole. Dropping it cuts it.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    wire: Arc<Wire>,
    listening: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Wire {
    state: Mutex<State>,
    /// Told whenever the state changes, for those that hold bytes back.
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    target: SocketAddr,
    refuses: bool,
    stalls: bool,
    is_over: bool,
    /// Bytes that the target may still send before something happens.
    left: Option<(u64, Then)>,
    /// Both sockets of every connection that stands, by number.
    open: BTreeMap<u64, [TcpStream; 2]>,
    connections: u64,
    passed: u64,
}

/// What happens after some bytes.
#[derive(Clone, Copy, Debug)]
enum Then {
    Cut,
    Stall,
}

impl Link {
    /// A relay to this server.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a listening socket has an address");
        let state = State {
            target,
            refuses: false,
            stalls: false,
            is_over: false,
            left: None,
            open: BTreeMap::new(),
            connections: 0,
            passed: 0,
        };
        let wire = Arc::new(Wire { state: Mutex::new(state), changed: Condvar::new() });
        let listening = thread::spawn({
            let wire = Arc::clone(&wire);
            move || wire.listen(&listener)
        });
        Self { address, wire, listening: Some(listening) }
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to another server, as when a name is moved.
    pub fn lead_to(&self, target: SocketAddr) {
        self.wire.state().target = target;
    }

    /// Closes all connections, whatever is under way. New ones are taken.
    pub fn cut(&self) {
        self.wire.change(State::close);
    }

    /// Closes all connections as soon as the target has sent so many bytes more.
    pub fn cut_after(&self, bytes: u64) {
        self.wire.change(|state| state.left = Some((bytes, Then::Cut)));
    }

    /// Passes nothing on, in either direction, as soon as the target has sent so many bytes more.
    pub fn stall_after(&self, bytes: u64) {
        self.wire.change(|state| state.left = Some((bytes, Then::Stall)));
    }

    /// Whether what [`Link::cut_after`] or [`Link::stall_after`] asked for is still to come.
    pub fn is_waiting(&self) -> bool {
        self.wire.state().left.is_some()
    }

    /// Closes all connections, and new ones before a byte has passed.
    pub fn refuse(&self) {
        self.wire.change(|state| {
            state.refuses = true;
            state.close();
        });
    }

    /// Passes nothing on, in either direction, while connections stand.
    pub fn stall(&self) {
        self.wire.change(|state| state.stalls = true);
    }

    /// Makes it whole again.
    pub fn mend(&self) {
        self.wire.change(|state| {
            state.refuses = false;
            state.stalls = false;
            state.left = None;
        });
    }

    /// Connections that were let through so far.
    pub fn connections(&self) -> u64 {
        self.wire.state().connections
    }

    /// Connections that stand.
    pub fn open_connections(&self) -> usize {
        self.wire.state().open.len()
    }

    /// Bytes of the target that were passed on so far.
    pub fn passed(&self) -> u64 {
        self.wire.state().passed
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.wire.change(|state| {
            state.is_over = true;
            state.close();
        });
        // Wakes the listening thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

impl State {
    /// Does what was to happen after some bytes, unless it was called off meanwhile.
    fn happen(&mut self) {
        match self.left.take_if(|(left, _)| *left == 0) {
            Some((_, Then::Cut)) => self.close(),
            Some((_, Then::Stall)) => self.stalls = true,
            None => {}
        }
    }

    fn close(&mut self) {
        std::mem::take(&mut self.open).values().for_each(shut);
    }
}

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    fn listen(self: &Arc<Self>, listener: &TcpListener) {
        for near in listener.incoming() {
            if self.state().is_over {
                return;
            }
            if let Ok(near) = near {
                // A target that is not there looks as it does without a relay: the connection is closed.
                let _ = self.connect(near);
            }
        }
    }

    /// Connects a new socket to the target and passes bytes on in two threads, which end with the connection.
    fn connect(self: &Arc<Self>, near: TcpStream) -> std::io::Result<()> {
        let target = self.state().target;
        if self.state().refuses {
            return Ok(());
        }
        let far = TcpStream::connect(target)?;
        for socket in [&near, &far] {
            socket.set_nodelay(true)?;
        }
        let pairs = [(far.try_clone()?, near.try_clone()?, true), (near.try_clone()?, far.try_clone()?, false)];
        let number = {
            let mut state = self.state();
            // It may have been cut since: such a connection is dropped here.
            if state.refuses || state.is_over {
                return Ok(());
            }
            state.connections += 1;
            let number = state.connections;
            state.open.insert(number, [near, far]);
            number
        };
        for (from, to, is_target) in pairs {
            let wire = Arc::clone(self);
            thread::spawn(move || wire.pass_on(from, to, is_target, number));
        }
        Ok(())
    }

    fn pass_on(&self, mut from: TcpStream, mut to: TcpStream, is_target: bool, number: u64) {
        let mut piece = vec![0; PIECE];
        while let Ok(len @ 1..) = from.read(&mut piece) {
            if self.let_through(&piece[..len], &mut to, is_target, number).is_none() {
                break;
            }
        }
        self.change(|state| {
            if let Some(sockets) = state.open.remove(&number) {
                shut(&sockets);
            }
        });
    }

    /// Writes bytes when they may pass; `None` if the connection is closed.
    fn let_through(&self, mut bytes: &[u8], to: &mut TcpStream, is_target: bool, number: u64) -> Option<()> {
        while !bytes.is_empty() {
            let mut state = self.state();
            while state.stalls && state.open.contains_key(&number) {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if !state.open.contains_key(&number) {
                return None;
            }
            let mut now = bytes.len();
            let mut is_last = false;
            if is_target {
                if let Some((left, _)) = &mut state.left {
                    now = now.min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= now as u64;
                    is_last = *left == 0;
                }
                state.passed += now as u64;
            }
            // Not with the lock: who reads may be stopped, and others have to be able to cut the connection then.
            drop(state);
            to.write_all(&bytes[..now]).ok()?;
            if is_last {
                self.change(State::happen);
            }
            bytes = &bytes[now..];
        }
        Some(())
    }
}

fn shut(sockets: &[TcpStream; 2]) {
    for socket in sockets {
        // Fails if the other end was faster.
        let _ = socket.shutdown(Shutdown::Both);
    }
}
