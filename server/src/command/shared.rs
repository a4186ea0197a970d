//! What all workers of a node share, as handlers see it.

use super::audience::{Audience, Ear};
use super::cache::{Declared, Rules};
use super::clients::{Client, Clients};
use super::cluster::Cluster;
use super::events::Class;
use super::events::Wanted;
use super::limits::Limits;
use super::loading::Loading;
use super::pubsub::PubSub;
use super::replication::Replication;
use super::saving::Saves;
use super::session::Session;
use super::stats::Stats;
use super::tracking::Broadcasts;
use super::tuning::{Tuning, Values};
use super::warm::Warm;
use super::{audience, blocking, transaction};
use crate::base::ticks;
use crate::cluster::id::Id;
use crate::config::{Live, Named};
use crate::observe::{latency::Latency, process, slowlog::SlowLog};
use crate::store::{Eviction, Moment, Store};
use parking_lot::{Mutex, RwLock};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often [`Shared::tick`] is called.
pub const TICKS_PER_SECOND: u64 = 20;

/// Threads beside the workers that run commands: one for the primary's, one for what replicas say, one that moves slots, and one
/// that loads and lists hot keys. Each has a gate of the barrier and a block of counters, behind those of the workers.
const BESIDE_WORKERS: usize = 4;

pub struct Shared {
    pub store: Store,
    /// The settings as they are now.
    pub live: Arc<Live>,
    /// Those of them that every command looks at.
    pub tuning: Tuning,
    /// Those by which collections choose their forms.
    pub limits: Limits,
    pub clients: Clients,
    /// Who watches keys, or waits for them.
    pub audience: Audience,
    /// Who is told of every change to some keys.
    pub broadcasts: Broadcasts,
    pub stats: Stats,
    /// Who follows whom, and the stream of writes.
    pub replication: Replication,
    /// What the node knows of its cluster.
    pub cluster: Cluster,
    /// Snapshots on disk.
    pub saves: Saves,
    /// Where keys that were on disk come from.
    pub loading: Loading,
    /// Which keys are hottest, and whether they are there again.
    pub warm: Warm,
    /// Whether the last snapshot is written when the node has stopped.
    saves_last: AtomicBool,
    pub slowlog: SlowLog,
    pub latency: Latency,
    pub barrier: Barrier,
    pub rules: Rules,
    /// What was declared wrong lately.
    pub declared: Declared,
    pub pubsub: PubSub,
    /// The events of keys that are published.
    pub events: Wanted,
    /// 40 hexadecimal digits, new at each start.
    pub run_id: String,
    /// For threads that are started on the way.
    itself: OnceLock<Weak<Shared>>,
    pub started: Instant,
    /// The port that clients are told of.
    pub port: u16,
    pub workers: usize,
    /// Whether `DEBUG SET-ACTIVE-EXPIRE` has left active expiry on.
    pub expires_actively: AtomicBool,
    /// Set once the node is to stop; whoever waits for it is woken.
    stopping: AtomicBool,
    stop: Box<dyn Fn() + Send + Sync>,
    room: fn(u64) -> u64,
    admission: Mutex<Admission>,
    /// Connections in `MONITOR`.
    pub monitors: AtomicU32,
    password: RwLock<Option<Arc<[u8]>>>,
}

/// What a node starts its shared part with.
pub struct Parts {
    pub store: Store,
    pub live: Arc<Live>,
    pub port: u16,
    pub workers: usize,
    /// By which its cluster knows the node, if it is in one.
    pub cluster_id: Option<Id>,
    /// Called once when the node is to stop.
    pub stop: Box<dyn Fn() + Send + Sync>,
    /// Asks the system for room for so many clients. Returns how many there is room for.
    pub room: fn(u64) -> u64,
}

/// Who may connect.
#[derive(Clone, Copy, Debug, Default)]
pub struct Admission {
    pub clients_max: usize,
    /// Whether only the machine's own processes may, because nobody needs a password.
    pub is_protected: bool,
    pub needs_password: bool,
    /// Seconds of silence after which a peer is asked whether it is alive; 0 for never.
    pub keepalive_s: u64,
}

impl Shared {
    pub fn new(parts: Parts) -> Shared {
        let limits = Limits::default();
        limits.update(&parts.live);
        let stripes = parts.store.stripes().len();
        let own = parts.live.config().rule.into_iter().map(|rule| (rule.prefix.into_bytes().into(), rule.policy));
        let rules = Rules::new(own);
        let warm_is_on = parts.live.config().warm;
        Shared {
            store: parts.store,
            live: parts.live,
            tuning: Tuning::default(),
            limits,
            clients: Clients::default(),
            audience: Audience::new(stripes),
            broadcasts: Broadcasts::default(),
            stats: Stats::new(parts.workers + BESIDE_WORKERS),
            replication: Replication::default(),
            cluster: Cluster::new(parts.cluster_id),
            saves: Saves::new(now_ms()),
            loading: Loading::default(),
            warm: Warm::new(warm_is_on),
            saves_last: AtomicBool::new(false),
            slowlog: SlowLog::default(),
            latency: Latency::default(),
            rules,
            declared: Declared::default(),
            barrier: Barrier::new(parts.workers + BESIDE_WORKERS),
            pubsub: PubSub::default(),
            events: Wanted::default(),
            run_id: random_id(),
            itself: OnceLock::new(),
            started: Instant::now(),
            port: parts.port,
            workers: parts.workers,
            expires_actively: AtomicBool::new(true),
            stopping: AtomicBool::new(false),
            stop: parts.stop,
            room: parts.room,
            admission: Mutex::default(),
            monitors: AtomicU32::new(0),
            password: RwLock::default(),
        }
    }

    pub fn admission(&self) -> Admission {
        *self.admission.lock()
    }

    /// Lets others load the keys that a connection was sent for and has not set. The caller holds no stripe.
    fn leave_leases(&self, session: &Session) {
        for (stripe, db, key) in session.client.take_leases() {
            if self.audience.leave_lease(stripe, db, &key, session.client.id)
                && let Some(rule) = self.rules.find(&key)
            {
                rule.counts.handed_over.fetch_add(1, Relaxed);
            }
        }
        if audience::is_ready() {
            blocking::serve_ready(self, session.worker, self.store.moment(now_ms()));
        }
    }

    /// Takes a connection that has ended out of the books.
    pub fn leave(&self, mut session: Session) {
        // SWAPDB would move the lines it stands in away from under it.
        let _pass = self.barrier.enter(session.worker);
        if let Some(parked) = session.parked.take() {
            parked.end(self);
        }
        if session.awaited.is_some() || !session.holds.is_empty() {
            self.replication.wait_no_more(session.client.id);
        }
        if let Some(ticket) = session.asked_cluster.take() {
            self.cluster.forget(ticket.number);
        }
        transaction::end(self, &mut session);
        self.leave_leases(&session);
        // What others have been asked for it, nobody wants to know any more.
        session.forwarding = None;
        self.stop_tracking(&session.client);
        session.leave_pubsub(self);
        if session.client.monitor.swap(false, Relaxed) {
            self.monitors.fetch_sub(1, Relaxed);
        }
        self.clients.remove(session.client.id);
    }

    /// Lets the store tell of changes. Called once, before any command is run.
    pub fn listen(self: &Arc<Shared>) {
        // A second call is the same node's.
        let _ = self.itself.set(Arc::downgrade(self));
        self.store.set_listener(Box::new(Ear(Arc::downgrade(self))));
    }

    /// Lets the store note every change while somebody wants to hear of all keys. The caller holds no stripe.
    pub fn heed(&self) {
        let on_going = [Class::Expired, Class::Evicted, Class::Hash].into_iter().any(|class| self.wants_events(class));
        self.store.heed_all(on_going || !self.broadcasts.is_empty() || self.warm.is_preloading());
    }

    /// Deletes every key of a database, or of all. The caller holds the barrier.
    pub fn flush(&self, db: Option<usize>) {
        self.tell_flushed();
        self.warm.note_emptied();
        let physical = db.map(|db| self.store.database(db));
        self.audience.all_changed(|of, key| physical.is_none_or(|db| db == of) && self.has_key(of, key));
        self.audience.void_leases(|of| physical.is_none_or(|db| db == of));
        match db {
            Some(db) => self.store.flush(db),
            None => self.store.flush_all(),
        }
    }

    /// Exchanges two databases; one with itself is left alone. The caller holds the barrier.
    pub fn swap_databases(&self, one: usize, other: usize) {
        if one == other {
            return;
        }
        self.store.swap_databases(one, other);
        self.warm.note_emptied();
        let (one, other) = (self.store.database(one), self.store.database(other));
        self.audience.swap(one, other);
        self.audience.void_leases(|db| db == one || db == other);
        self.audience
            .all_changed(|db, key| (db == one || db == other) && (self.has_key(one, key) || self.has_key(other, key)));
    }

    /// Whether a database, given by its physical number, has a key.
    fn has_key(&self, physical: usize, key: &[u8]) -> bool {
        let key = self.store.key(key);
        let db = self.store.logical(physical);
        self.store.lock_one(key.place.stripe(), db, self.store.moment(now_ms())).entry(key).is_some()
    }

    /// What one worker does for the node, `TICKS_PER_SECOND` times a second.
    pub fn tick(self: &Arc<Self>, now_ms: u64, count: u64) {
        ticks::calibrate();
        self.stats.memory_peak.fetch_max(self.store.used_bytes(), Relaxed);
        if self.store.memory_max() > 0 {
            self.store.watch_resident(process::resident_bytes());
        }
        self.trim_tracked();
        if count.is_multiple_of(TICKS_PER_SECOND) {
            self.stats.tick(now_ms);
            self.audience.tidy(&self.store, steady_ms());
            self.end_idle(now_ms);
            self.save_if_due(now_ms);
            self.tick_replication(count / TICKS_PER_SECOND);
        }
    }

    /// Ends connections that have sent nothing for longer than `timeout` allows. Monitors and subscribers are meant to be
    /// silent, and so is who waits for a blocking command.
    fn end_idle(&self, now_ms: u64) {
        let timeout_ms = self.tuning.timeout_ms();
        if timeout_ms == 0 {
            return;
        }
        for client in self.clients.all() {
            let silent_ms = now_ms.saturating_sub(client.active_ms.load(Relaxed));
            let is_meant_to = client.monitor.load(Relaxed)
                || client.subscribed.is_any()
                || client.is_blocked()
                || client.is_forwarder.load(Relaxed);
            if silent_ms > timeout_ms && !is_meant_to {
                client.kill();
            }
        }
    }

    /// Ends a connection that has left more bytes lying than it may.
    pub fn cut_above(&self, output_max: u64, client: &Client, waiting: u64) {
        if waiting > output_max && client.kill() {
            tracing::warn!(client = client.id, address = %client.address, waiting, "closed: it does not read what it is sent");
            self.stats.killed_for_output.fetch_add(1, Relaxed);
        }
    }

    /// The password of the user `default`, if it needs one: `requirepass`.
    pub fn password(&self) -> Option<Arc<[u8]>> {
        self.password.read().clone()
    }

    /// Changes the password; an empty one lets everybody in. Connections that have logged in stay so.
    pub fn set_password(&self, password: &[u8]) {
        *self.password.write() = (!password.is_empty()).then(|| password.into());
    }

    /// Asks the system for room for so many clients. Returns how many there is room for.
    pub fn room_for_clients(&self, clients: u64) -> u64 {
        (self.room)(clients)
    }

    /// Asks the node to stop: what is in flight is finished first.
    pub fn stop(&self) {
        if !self.stopping.swap(true, Relaxed) {
            self.replication.wake_all();
            self.warm.wake();
            (self.stop)();
        }
    }

    /// As [`Shared::stop`]; `saves` says whether a snapshot is written in the end.
    pub fn stop_saving(&self, saves: bool) {
        self.saves_last.store(saves, Relaxed);
        self.stop();
    }

    /// Whether a snapshot is written in the end.
    pub fn saves_last(&self) -> bool {
        self.saves_last.load(Relaxed)
    }

    /// The node, to be held by a thread; `None` once it is being taken apart.
    pub fn itself(&self) -> Option<Arc<Shared>> {
        self.itself.get()?.upgrade()
    }

    /// The number by which the thread that follows the primary goes among the workers.
    pub fn follow_number(&self) -> usize {
        self.workers
    }

    /// The number by which the thread that sends the stream goes among the workers.
    pub fn feed_number(&self) -> usize {
        self.workers + 1
    }

    /// The number by which the thread that moves slots goes among the workers.
    pub fn move_number(&self) -> usize {
        self.workers + 2
    }

    /// The number by which the thread that loads and lists hot keys goes among the workers.
    pub fn warm_number(&self) -> usize {
        self.workers + 3
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// Brings live settings to those who keep copies: the tuning, the store's limits and its policy.
    ///
    /// The caller holds the barrier, or runs before any worker does: a new policy may write every record's bits anew.
    pub fn settings_changed(&self) {
        let live = &self.live;
        self.tuning.set(Values::of(live));
        self.limits.update(live);
        self.events.set(live.notify_keyspace_events());
        self.heed();
        self.review_replication();
        let config = live.config();
        self.cluster.set_routing(config.routing, config.forward_port, config.forward_timeout);
        self.set_password(live.requirepass().as_bytes());
        *self.admission.lock() = Admission {
            clients_max: live.maxclients() as usize,
            is_protected: live.protected_mode() && !live.has_password(),
            needs_password: live.has_password(),
            keepalive_s: live.tcp_keepalive().map_or(0, |time| time.as_secs()),
        };
        self.store.set_memory_max(live.maxmemory().0);
        self.store.set_samples(live.maxmemory_samples());
        let decay_minutes = live.lfu_decay_time().map_or(0, |time| time.as_secs() / 60);
        self.store.set_lfu(live.lfu_log_factor(), u32::try_from(decay_minutes).unwrap_or(u32::MAX));
        let policy = live.maxmemory_policy().name();
        self.store.set_eviction(Eviction::named(policy).expect("both rooms know the same policies"), now_ms());
    }

    /// Runs a part of what a worker does beside serving: as commands are run, not while another needs everything, and with
    /// the time and settings of now.
    pub fn on_duty<R>(&self, worker: usize, run: impl FnOnce(Moment) -> R) -> R {
        let _pass = self.barrier.enter(worker);
        let began = Instant::now();
        let moment = self.store.moment(now_ms());
        let result = run(moment);
        // Who waits for a group is told when its stream expires.
        if audience::is_ready() {
            blocking::serve_ready(self, worker, moment);
        }
        self.note_duty(began.elapsed());
        self.replication.nudge();
        result
    }

    /// Notes that connections have waited so long for one step of a worker's duties, if it is long enough to be shown by
    /// `LATENCY`. What the step itself had to wait for is told of whoever made it wait.
    pub fn note_duty(&self, spent: Duration) {
        let threshold = self.tuning.latency_threshold_ms();
        let ms = spent.as_millis() as u64;
        if threshold > 0 && ms >= threshold {
            self.latency.add("expire-cycle", now_ms() / 1000, ms);
        }
    }
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    #[cfg(test)]
    if let Some(ms) = super::testing::frozen_ms() {
        return ms;
    }
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Milliseconds of a clock that never jumps, for everything that waits: the machine's clock may be set while somebody does. When it
/// was read first it showed the time since 1970.
pub fn steady_ms() -> u64 {
    #[cfg(test)]
    if let Some(ms) = super::testing::frozen_ms() {
        return ms;
    }
    static BEGIN: OnceLock<(Instant, u64)> = OnceLock::new();
    let (begin, began_ms) = BEGIN.get_or_init(|| (Instant::now(), now_ms()));
    began_ms + begin.elapsed().as_millis() as u64
}

/// How long it is to a time of [`steady_ms`].
pub fn time_to(until_ms: u64) -> Duration {
    Duration::from_millis(until_ms.saturating_sub(steady_ms()))
}

/// 40 hexadecimal digits that no other node has.
pub fn random_id() -> String {
    use std::hash::{BuildHasher, Hasher};
    let mut id = String::new();
    while id.len() < 40 {
        let mut hasher = std::hash::RandomState::new().build_hasher();
        hasher.write_u64(now_ms());
        id.push_str(&format!("{:016x}", hasher.finish()));
    }
    id.truncate(40);
    id
}

/// Lets one command run while no other does.
///
/// Each worker holds its own gate, which nobody contends for, while it runs a batch. Who needs everything gives up its
/// own and takes them all.
pub struct Barrier {
    gates: Box<[Gate]>,
    /// Taken before the gates, so that two who need everything do not wait for each other's gate.
    all: Mutex<()>,
}

/// A gate, alone on its cache lines.
#[repr(align(128))]
#[derive(Default)]
struct Gate(Mutex<()>);

/// A worker's hold of its gate.
pub struct Pass<'a> {
    barrier: &'a Barrier,
    worker: usize,
    held: Option<parking_lot::MutexGuard<'a, ()>>,
}

impl Barrier {
    fn new(workers: usize) -> Barrier {
        Barrier { gates: (0..workers.max(1)).map(|_| Gate::default()).collect(), all: Mutex::new(()) }
    }

    /// Enters a worker's gate for a batch.
    #[inline]
    pub fn enter(&self, worker: usize) -> Pass<'_> {
        Pass { barrier: self, worker, held: Some(self.gates[worker].0.lock()) }
    }

    /// Runs something while no worker runs a batch. The caller must not hold a gate.
    pub fn alone<R>(&self, run: impl FnOnce() -> R) -> R {
        let _all = self.all.lock();
        let _gates: Vec<_> = self.gates.iter().map(|gate| gate.0.lock()).collect();
        run()
    }
}

impl Pass<'_> {
    /// Runs something while no other worker runs a batch. Others may come in before it, but none between it and what the
    /// worker does next.
    pub fn alone<R>(&mut self, run: impl FnOnce() -> R) -> R {
        self.held = None;
        let _all = self.barrier.all.lock();
        let mut gates: Vec<_> = self.barrier.gates.iter().map(|gate| gate.0.lock()).collect();
        let result = run();
        self.held = Some(gates.swap_remove(self.worker));
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn two_who_need_everything_take_turns() {
        let barrier = Barrier::new(4);
        let inside = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let (barrier, inside) = (&barrier, &inside);
                scope.spawn(move || {
                    for _ in 0..500 {
                        let mut pass = barrier.enter(worker);
                        pass.alone(|| {
                            assert_eq!(inside.fetch_add(1, Relaxed), 0);
                            inside.fetch_sub(1, Relaxed);
                        });
                    }
                });
            }
        });
    }

    #[test]
    fn ids_are_forty_hexadecimal_digits() {
        let id = random_id();
        assert!(id.len() == 40 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(id, random_id());
    }
}
