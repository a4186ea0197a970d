//! A TCP relay between a replica and its primary that a test can cut, refuse and mend.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Bytes read at once.
const CHUNK: usize = 16 * 1024;

/// A relay on loopback. Whoever connects to it talks to the server behind it. Dropping it closes everything.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    listener: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    target: SocketAddr,
    is_refused: bool,
    is_over: bool,
    /// Bytes that the server may yet send until all connections are cut.
    left: Option<usize>,
    /// Both ends of each connection since the last cut.
    sockets: Vec<TcpStream>,
}

impl Link {
    /// A relay to this address.
    pub fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a listening socket has an address");
        let state = State { target, is_refused: false, is_over: false, left: None, sockets: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let listening = {
            let state = state.clone();
            thread::spawn(move || listen(&listener, &state))
        };
        Self { address, state, listener: Some(listening) }
    }

    /// Where to connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts all connections in the middle of whatever they carry. New ones are let through.
    pub fn cut(&self) {
        lock(&self.state).cut();
    }

    /// Cuts all connections when the server has sent so many bytes more.
    pub fn cut_after(&self, bytes: usize) {
        lock(&self.state).left = Some(bytes);
    }

    /// Whether a cut that [`Link::cut_after`] asked for is still to come.
    pub fn is_cut_ahead(&self) -> bool {
        lock(&self.state).left.is_some()
    }

    /// Cuts all connections, and lets nobody through until [`Link::heal`].
    pub fn refuse(&self) {
        let mut state = lock(&self.state);
        state.is_refused = true;
        state.cut();
    }

    /// Lets new connections through, to the same server.
    pub fn heal(&self) {
        lock(&self.state).is_refused = false;
    }

    /// Lets new connections through, to another server.
    pub fn heal_to(&self, target: SocketAddr) {
        let mut state = lock(&self.state);
        (state.target, state.is_refused) = (target, false);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        state.is_over = true;
        state.cut();
        drop(state);
        // So that the thread that listens looks up.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl State {
    fn cut(&mut self) {
        self.left = None;
        for socket in self.sockets.drain(..) {
            // Fails where the other end was faster.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// How many of these bytes the server's side may pass on.
    fn allowance(&mut self, bytes: usize) -> usize {
        let allowed = self.left.map_or(bytes, |left| left.min(bytes));
        if let Some(left) = &mut self.left {
            *left -= allowed;
        }
        allowed
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(listener: &TcpListener, state: &Arc<Mutex<State>>) {
    for near in listener.incoming() {
        let target = {
            let state = lock(state);
            if state.is_over {
                return;
            }
            (!state.is_refused).then_some(state.target)
        };
        if let (Ok(near), Some(target)) = (near, target) {
            // If the server is away, the connection is closed, which is what its absence looks like.
            let _ = relay(near, target, state);
        }
    }
}

fn relay(near: TcpStream, target: SocketAddr, state: &Arc<Mutex<State>>) -> std::io::Result<()> {
    let far = TcpStream::connect(target)?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ways = [(near.try_clone()?, far.try_clone()?, false), (far.try_clone()?, near.try_clone()?, true)];
    {
        let mut state = lock(state);
        if state.is_refused || state.is_over {
            return Ok(());
        }
        state.sockets.extend([near, far]);
    }
    for (from, to, is_server) in ways {
        let state = state.clone();
        thread::spawn(move || pass(from, to, is_server, &state));
    }
    Ok(())
}

/// Passes bytes on in one direction until either end is closed.
fn pass(mut from: TcpStream, mut to: TcpStream, is_server: bool, state: &Mutex<State>) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(len @ 1..) = from.read(&mut chunk) {
        let allowed = if is_server { lock(state).allowance(len) } else { len };
        let written = to.write_all(&chunk[..allowed]);
        let mut state = lock(state);
        if is_server && state.left == Some(0) {
            state.cut();
        }
        if written.is_err() {
            break;
        }
    }
    for socket in [from, to] {
        // It may be closed already.
        let _ = socket.shutdown(Shutdown::Both);
    }
}
