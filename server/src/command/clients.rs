//! The connections of a node, as other connections may see and end them.

use super::fault::Fault;
use super::shared::steady_ms;
use super::table::Found;
use super::tracking::Tracked;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::task::Waker;

/// One connection's public part. Its worker writes it after each batch; anyone may read it.
pub struct Client {
    pub id: u64,
    pub address: SocketAddr,
    pub local: SocketAddr,
    pub descriptor: i32,
    pub worker: usize,
    /// Milliseconds since 1970.
    pub connected_ms: u64,
    /// When it last sent something.
    pub active_ms: AtomicU64,
    pub db: AtomicU8,
    pub protocol: AtomicU8,
    /// Bytes of unfinished requests, of replies not yet taken, and of both buffers together.
    pub input_bytes: AtomicU64,
    pub output_bytes: AtomicU64,
    pub buffer_bytes: AtomicU64,
    /// The part of `buffer_bytes` that is there for replies, now and at its largest.
    pub reply_buffer_bytes: AtomicU64,
    pub reply_buffer_peak: AtomicU64,
    pub commands: AtomicU64,
    pub monitor: AtomicBool,
    pub no_evict: AtomicBool,
    pub no_touch: AtomicBool,
    /// Whether a replica may answer what it reads: `READONLY`.
    pub reads_replica: AtomicBool,
    /// Whether it brings commands of other nodes' clients.
    pub is_forwarder: AtomicBool,
    /// Whether it is told of slots that move and primaries that change.
    pub maintenance: AtomicBool,
    /// Whether it is not told where else to connect when the node is about to stop.
    pub wants_no_endpoint: AtomicBool,
    /// Whether other nodes were asked for it: so it knows of no cluster.
    pub is_plain: AtomicBool,
    pub subscribed: Subscribed,
    pub tracked: Tracked,
    last: AtomicPtr<Found>,
    names: Mutex<Names>,
    killed: AtomicBool,
    inbox: Mutex<Vec<u8>>,
    inbox_filled: AtomicBool,
    waker: Mutex<Option<Waker>>,
    block: AtomicU8,
    block_ends: AtomicBool,
    /// Commands that wait for `EXEC`; -1 without `MULTI`.
    pub queued: AtomicI64,
    /// Keys that are watched.
    pub watching: AtomicU64,
    watch_broken: AtomicBool,
    /// Whether it is the node's primary, or a replica of it.
    pub is_primary: AtomicBool,
    pub is_replica: AtomicBool,
    /// The offset of the stream behind its last write.
    pub written: AtomicU64,
    /// Keys that it was sent to load, the last of them.
    leases: Mutex<Vec<Leased>>,
}

/// How many channels, patterns and shard channels a connection is subscribed to.
#[derive(Default)]
pub struct Subscribed {
    pub channels: AtomicU32,
    pub patterns: AtomicU32,
    pub shard_channels: AtomicU32,
}

impl Subscribed {
    /// Whether there is any.
    pub fn is_any(&self) -> bool {
        [&self.channels, &self.patterns, &self.shard_channels].iter().any(|count| count.load(Relaxed) > 0)
    }
}

/// States of [`Client::block`]'s flag: whether a command waits for something that others may call off.
const FREE: u8 = 0;
const BLOCKED: u8 = 1;
const TIMED_OUT: u8 = 2;
const REFUSED: u8 = 3;
const DEMOTED: u8 = 4;

/// How `CLIENT UNBLOCK` ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unblocked {
    /// As if its time had come.
    TimedOut,
    /// With an error.
    Refused,
    /// With the error that the node is a replica now.
    Demoted,
}

impl Unblocked {
    /// What the command is answered, if that is an error.
    pub fn fault(self) -> Option<Fault> {
        match self {
            Unblocked::TimedOut => None,
            Unblocked::Refused => Some(Fault::text("UNBLOCKED client unblocked via CLIENT UNBLOCK")),
            Unblocked::Demoted => Some(Fault::text(
                "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
            )),
        }
    }
}

/// Bytes of a connection's buffers, as its worker sees them after a batch.
#[derive(Clone, Copy, Default, Debug)]
pub struct Buffers {
    /// Bytes of requests that are not complete yet, and what the buffer for them takes.
    pub input: usize,
    pub input_capacity: usize,
    /// Bytes of replies that are not taken yet, and what the buffer for them takes.
    pub output: usize,
    pub output_capacity: usize,
}

/// What a client has called itself.
#[derive(Clone, Default, Debug)]
pub struct Names {
    pub name: Vec<u8>,
    pub library: Vec<u8>,
    pub library_version: Vec<u8>,
}

/// A key that a connection was sent to load: its stripe, the physical number of its database, and its name.
pub type Leased = (usize, usize, Box<[u8]>);

/// As many of them are remembered.
const LEASES_MAX: usize = 256;

impl Client {
    pub fn new(id: u64, address: SocketAddr, local: SocketAddr, descriptor: i32, worker: usize, now_ms: u64) -> Client {
        Client {
            id,
            address,
            local,
            descriptor,
            worker,
            connected_ms: now_ms,
            active_ms: AtomicU64::new(now_ms),
            db: AtomicU8::new(0),
            protocol: AtomicU8::new(2),
            input_bytes: AtomicU64::new(0),
            output_bytes: AtomicU64::new(0),
            buffer_bytes: AtomicU64::new(0),
            reply_buffer_bytes: AtomicU64::new(0),
            reply_buffer_peak: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            monitor: AtomicBool::new(false),
            no_evict: AtomicBool::new(false),
            no_touch: AtomicBool::new(false),
            reads_replica: AtomicBool::new(false),
            is_forwarder: AtomicBool::new(false),
            maintenance: AtomicBool::new(false),
            wants_no_endpoint: AtomicBool::new(false),
            is_plain: AtomicBool::new(false),
            subscribed: Subscribed::default(),
            tracked: Tracked::default(),
            last: AtomicPtr::new(std::ptr::null_mut()),
            names: Mutex::default(),
            killed: AtomicBool::new(false),
            inbox: Mutex::default(),
            inbox_filled: AtomicBool::new(false),
            waker: Mutex::default(),
            block: AtomicU8::new(FREE),
            block_ends: AtomicBool::new(false),
            queued: AtomicI64::new(-1),
            watching: AtomicU64::new(0),
            watch_broken: AtomicBool::new(false),
            is_primary: AtomicBool::new(false),
            is_replica: AtomicBool::new(false),
            written: AtomicU64::new(0),
            leases: Mutex::default(),
        }
    }

    /// Notes that it was sent to load a key, given by its stripe and the physical number of its database.
    pub fn note_lease(&self, stripe: usize, db: usize, key: &[u8]) {
        let mut leases = self.leases.lock();
        if leases.len() >= LEASES_MAX {
            // The older ones end by their time alone.
            leases.drain(..LEASES_MAX / 2);
        }
        leases.push((stripe, db, key.into()));
    }

    /// Takes the keys that it was sent for, of which it may have loaded any.
    pub fn take_leases(&self) -> Vec<Leased> {
        std::mem::take(&mut self.leases.lock())
    }

    /// Notes what the connection's buffers hold and take.
    pub fn note_buffers(&self, buffers: Buffers) {
        let Buffers { input, input_capacity, output, output_capacity } = buffers;
        self.input_bytes.store(input as u64, Relaxed);
        self.output_bytes.store(output as u64, Relaxed);
        self.buffer_bytes.store((input_capacity + output_capacity) as u64, Relaxed);
        self.reply_buffer_bytes.store(output_capacity as u64, Relaxed);
        if output_capacity as u64 > self.reply_buffer_peak.load(Relaxed) {
            self.reply_buffer_peak.store(output_capacity as u64, Relaxed);
        }
    }

    /// Says that a key has changed that it watches.
    pub fn break_watch(&self) {
        self.watch_broken.store(true, Relaxed);
    }

    /// Whether a key has changed that it watches. What it asks about is ordered by the locks of the keys' stripes.
    pub fn is_watch_broken(&self) -> bool {
        self.watch_broken.load(Relaxed)
    }

    /// Begins anew to hear of changes.
    pub fn mend_watch(&self) {
        self.watch_broken.store(false, Relaxed);
    }

    /// Says that the connection's command waits until [`Client::unblock`], or until its time has come if it `ends`.
    pub fn block(&self, ends: bool) {
        self.block_ends.store(ends, Relaxed);
        self.block.store(BLOCKED, Relaxed);
    }

    /// Whether its command waits, and not for ever.
    pub fn is_blocked_for_a_time(&self) -> bool {
        self.is_blocked() && self.block_ends.load(Relaxed)
    }

    pub fn is_blocked(&self) -> bool {
        self.block.load(Relaxed) != FREE
    }

    /// Ends the wait of the connection's command. Returns whether it waited.
    pub fn unblock(&self, how: Unblocked) -> bool {
        let ended = match how {
            Unblocked::TimedOut => TIMED_OUT,
            Unblocked::Refused => REFUSED,
            Unblocked::Demoted => DEMOTED,
        };
        let waited = self.block.compare_exchange(BLOCKED, ended, Relaxed, Relaxed).is_ok();
        if waited {
            self.wake();
        }
        waited
    }

    /// Whether [`Client::unblock`] was called while the command waited: then it is to be run again at once.
    pub fn is_unblocked(&self) -> bool {
        self.block.load(Relaxed) > BLOCKED
    }

    /// Ends the waiting, and says how others ended it, if they did.
    pub fn take_unblocked(&self) -> Option<Unblocked> {
        match self.block.swap(FREE, Relaxed) {
            TIMED_OUT => Some(Unblocked::TimedOut),
            REFUSED => Some(Unblocked::Refused),
            DEMOTED => Some(Unblocked::Demoted),
            _ => None,
        }
    }

    /// The command it ran last.
    pub fn last(&self) -> Option<&'static Found> {
        let found = self.last.load(Relaxed);
        // SAFETY: only `set_last` writes it, from a reference that lives as long as the process.
        unsafe { found.as_ref() }
    }

    pub fn set_last(&self, found: Option<&'static Found>) {
        let found = found.map_or(std::ptr::null(), std::ptr::from_ref);
        self.last.store(found.cast_mut(), Relaxed);
    }

    pub fn names(&self) -> Names {
        self.names.lock().clone()
    }

    pub fn change_names(&self, change: impl FnOnce(&mut Names)) {
        change(&mut self.names.lock());
    }

    /// Ends the connection as soon as its worker gets to it. Returns whether nobody had done so before.
    pub fn kill(&self) -> bool {
        let is_first = !self.killed.swap(true, Relaxed);
        self.wake();
        is_first
    }

    pub fn is_killed(&self) -> bool {
        self.killed.load(Relaxed)
    }

    /// Adds bytes to what the connection is sent beside its replies. Returns how many bytes, replies included, it has
    /// not taken yet.
    pub fn send(&self, bytes: &[u8]) -> u64 {
        self.fill(|inbox| inbox.extend_from_slice(bytes))
    }

    /// As [`Client::send`], for a push message without its first byte, which is all that differs between the protocols.
    pub fn push(&self, message: &[u8]) -> u64 {
        self.fill(|inbox| {
            // Read while the inbox is held, so that the message comes before or after a change as its byte says.
            inbox.push(if self.protocol.load(Relaxed) == 3 { b'>' } else { b'*' });
            inbox.extend_from_slice(message);
        })
    }

    fn fill(&self, write: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let mut inbox = self.inbox.lock();
        let was_empty = inbox.is_empty();
        write(&mut inbox);
        let waiting = inbox.len() as u64;
        self.inbox_filled.store(true, Relaxed);
        drop(inbox);
        // Whoever finds something there need not wake the connection: it has been woken, and takes all at once.
        if was_empty {
            self.wake();
        }
        waiting + self.output_bytes.load(Relaxed)
    }

    /// Takes what others have sent.
    #[inline]
    pub fn take_inbox(&self) -> Option<Vec<u8>> {
        if !self.inbox_filled.load(Relaxed) {
            return None;
        }
        self.empty(&mut self.inbox.lock())
    }

    fn empty(&self, inbox: &mut Vec<u8>) -> Option<Vec<u8>> {
        self.inbox_filled.store(false, Relaxed);
        Some(std::mem::take(inbox)).filter(|bytes| !bytes.is_empty())
    }

    /// Changes the protocol of messages to come. Returns those that are written in the protocol before.
    pub fn set_protocol(&self, protocol: u8) -> Option<Vec<u8>> {
        let mut inbox = self.inbox.lock();
        self.protocol.store(protocol, Relaxed);
        self.empty(&mut inbox)
    }

    /// Says whom to wake when something has been sent or the connection is to end.
    pub fn set_waker(&self, waker: &Waker) {
        let mut current = self.waker.lock();
        if !current.as_ref().is_some_and(|current| current.will_wake(waker)) {
            *current = Some(waker.clone());
        }
    }

    /// Lets the connection's worker look at it anew.
    pub fn wake(&self) {
        if let Some(waker) = &*self.waker.lock() {
            waker.wake_by_ref();
        }
    }
}

/// All connections by id, and whether commands are held back (`CLIENT PAUSE`).
#[derive(Default)]
pub struct Clients {
    all: Mutex<All>,
    next_id: AtomicU64,
    pause: Mutex<Pause>,
    /// Whether writes wait for the end of something else than a pause: a failover.
    holds_writes: AtomicBool,
    /// Read before the lock is taken.
    may_be_paused: AtomicBool,
}

#[derive(Default)]
struct All {
    by_id: BTreeMap<u64, Arc<Client>>,
    /// How many each worker serves; a worker that never served any may be missing.
    served: Vec<usize>,
}

/// Which commands wait, and until when.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Pause {
    /// A time of [`steady_ms`].
    pub until_ms: u64,
    /// Only commands that may write.
    pub writes_only: bool,
}

impl Clients {
    /// An id for a new connection; ids are never used twice.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed) + 1
    }

    pub fn add(&self, client: Arc<Client>) {
        let All { by_id, served } = &mut *self.all.lock();
        if served.len() <= client.worker {
            served.resize(client.worker + 1, 0);
        }
        served[client.worker] += 1;
        by_id.insert(client.id, client);
    }

    pub fn remove(&self, id: u64) {
        let All { by_id, served } = &mut *self.all.lock();
        if let Some(client) = by_id.remove(&id) {
            served[client.worker] -= 1;
        }
    }

    pub fn len(&self) -> usize {
        self.all.lock().by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, id: u64) -> Option<Arc<Client>> {
        self.all.lock().by_id.get(&id).cloned()
    }

    /// All connections, oldest first.
    pub fn all(&self) -> Vec<Arc<Client>> {
        self.all.lock().by_id.values().cloned().collect()
    }

    /// The worker, of so many, that serves the fewest connections.
    pub fn quietest_worker(&self, workers: usize) -> usize {
        let All { served, .. } = &*self.all.lock();
        (0..workers).min_by_key(|&worker| served.get(worker).copied().unwrap_or(0)).unwrap_or(0)
    }

    /// Holds commands back. A pause in force is lengthened, never shortened, and never made milder.
    pub fn pause(&self, until_ms: u64, writes_only: bool) {
        let mut pause = self.pause.lock();
        let in_force = pause.until_ms > steady_ms();
        let writes_only = writes_only && (!in_force || pause.writes_only);
        let until_ms = if in_force { until_ms.max(pause.until_ms) } else { until_ms };
        *pause = Pause { until_ms, writes_only };
        self.note(&pause);
    }

    pub fn unpause(&self) {
        let mut pause = self.pause.lock();
        *pause = Pause::default();
        self.note(&pause);
        drop(pause);
        self.all().iter().for_each(|client| client.wake());
    }

    /// Holds writes back, whatever pauses come and go, or no longer.
    pub fn hold_writes(&self, holds: bool) {
        let pause = self.pause.lock();
        self.holds_writes.store(holds, Relaxed);
        self.note(&pause);
        drop(pause);
        if !holds {
            self.all().iter().for_each(|client| client.wake());
        }
    }

    /// Notes whether some commands may have to wait. The caller holds the lock of the pause.
    fn note(&self, pause: &Pause) {
        self.may_be_paused.store(pause.until_ms > 0 || self.holds_writes.load(Relaxed), Relaxed);
    }

    /// The pause in force, if any.
    #[inline]
    pub fn paused(&self) -> Option<Pause> {
        if self.may_be_paused.load(Relaxed) { self.pause_in_force() } else { None }
    }

    #[cold]
    fn pause_in_force(&self) -> Option<Pause> {
        let mut pause = self.pause.lock();
        if pause.until_ms <= steady_ms() {
            *pause = Pause::default();
            self.note(&pause);
        }
        let pause = Some(*pause).filter(|pause| pause.until_ms > 0);
        let is_of_all = pause.is_some_and(|pause| !pause.writes_only);
        if self.holds_writes.load(Relaxed) && !is_of_all {
            return Some(Pause { until_ms: u64::MAX, writes_only: true });
        }
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn client() -> Client {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        Client::new(1, address, address, -1, 0, 0)
    }

    #[test]
    fn a_connection_is_woken_once_for_what_it_takes_at_once() {
        let (client, bell) = (client(), Arc::new(Bell::default()));
        client.set_waker(&bell.clone().into());
        assert_eq!(client.take_inbox(), None);
        assert_eq!((client.send(b"one"), client.send(b"two")), (3, 6));
        assert_eq!(bell.0.load(Relaxed), 1);
        assert_eq!(client.take_inbox().as_deref(), Some(&b"onetwo"[..]));
        assert_eq!(client.take_inbox(), None);
        client.send(b"three");
        assert_eq!(bell.0.load(Relaxed), 2);
    }

    #[test]
    fn what_waits_is_counted_with_the_replies_that_wait() {
        let client = client();
        client.note_buffers(Buffers { output: 100, ..Buffers::default() });
        assert_eq!(client.send(b"12345"), 105);
    }

    #[test]
    fn a_message_is_of_the_protocol_that_was_spoken_when_it_came() {
        let client = client();
        client.push(b"1\r\n");
        assert_eq!(client.set_protocol(3).as_deref(), Some(&b"*1\r\n"[..]));
        client.push(b"1\r\n");
        assert_eq!(client.take_inbox().as_deref(), Some(&b">1\r\n"[..]));
        assert_eq!(client.set_protocol(2), None);
    }
}
