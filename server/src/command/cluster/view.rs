//! What a node knows of its cluster, as commands see it: the topology that was installed last, and the lease.
//!
//! A topology is installed while no worker runs a batch (the barrier), so all commands of a batch see the same one, and what
//! a command was let in by still holds when it is run.

use super::heard::{Everyone, Health, Heard};
use super::import::Moving;
use super::maintenance::Maintenance;
use super::peer::Secret;
use super::wishes::Asking;
use crate::cluster::id::{Id, ShardId};
use crate::cluster::topology::{Change, Shard, Topology};
use crate::config::{Named, Routing};
use larder_client::slot::{SLOTS, Slot};
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How long a node that is about to stop waits for a replica to take over.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// How long clients of a node that has just become a primary wait for its first lease before they are told that it has none.
const LEASE_AWAITED_MAX: Duration = Duration::from_millis(1500);

/// A node's part in its cluster, or in none.
pub struct Cluster {
    me: Option<Id>,
    /// Another one with each start of the process.
    incarnation: u64,
    /// Counts the topologies that were installed.
    version: AtomicU64,
    view: RwLock<Arc<View>>,
    began: Instant,
    /// Microseconds since `began` until which the node may serve as the primary of `lease_epoch`.
    lease_until_us: AtomicU64,
    lease_epoch: AtomicU64,
    heard: RwLock<Arc<Everyone>>,
    /// The reply to `CLUSTER SLOTS` in RESP2 and in RESP3, if it was asked for since it changed last.
    kept_slots: [Mutex<Option<Arc<[u8]>>>; 2],
    /// Whether the node is about to stop.
    is_leaving: AtomicBool,
    /// Whether the node has given its shard up, and waits for the next epoch.
    is_handing_over: AtomicBool,
    /// Whether the node is about to throw away what it holds.
    is_renouncing: AtomicBool,
    /// How clients are served whose keys are elsewhere, and how long others may take to, in milliseconds.
    routing: AtomicU8,
    forward_port: AtomicU16,
    forward_timeout_ms: AtomicU64,
    /// Microseconds since `began` until which a node that has just become a primary may wait for its first lease.
    lease_awaited_until_us: AtomicU64,
    pub(super) asking: Asking,
    pub(super) moving: Moving,
    pub(super) secret: Secret,
    pub(super) maintenance: Maintenance,
}

/// A topology with what follows from it for this node.
pub struct View {
    /// As [`Cluster::version`] counts.
    pub version: u64,
    pub topology: Topology,
    pub me: Id,
    /// The node's shard, if it has one.
    pub shard: Option<ShardId>,
    pub is_primary: bool,
    slots: Box<[Serving; SLOTS as usize]>,
    runs: Vec<Run>,
}

/// Neighbouring slots of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub first: u16,
    pub last: u16,
    pub shard: ShardId,
}

/// What this node's shard has to do with a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// No shard has it.
    Nobody,
    Elsewhere,
    Here,
    /// It is here, and on its way to another shard.
    Migrating,
    /// It is on its way here.
    Importing,
}

impl View {
    /// A topology in the eyes of the node with this id and incarnation. One that does not know that the node was started as it was
    /// is older: it says what was so before, and gives no part to the node.
    pub fn new(version: u64, (me, incarnation): (Id, u64), topology: Topology) -> View {
        let is_outdated = topology.node(me).is_some_and(|node| node.facts.incarnation != incarnation);
        let shard = topology.node(me).and_then(|node| node.shard).filter(|_| !is_outdated);
        let is_primary = topology.is_primary(me) && !is_outdated;
        let mut slots = Box::new([Serving::Nobody; SLOTS as usize]);
        let owners = if is_outdated { &[][..] } else { topology.slots().owners() };
        for (serving, owner) in slots.iter_mut().zip(owners) {
            *serving = match owner {
                None => Serving::Nobody,
                Some(_) if *owner == shard => Serving::Here,
                Some(_) => Serving::Elsewhere,
            };
        }
        for (slot, a) in topology.moves() {
            if Some(a.from) == shard {
                slots[slot.index()] = Serving::Migrating;
            } else if Some(a.to) == shard {
                slots[slot.index()] = Serving::Importing;
            }
        }
        let runs = runs(&topology);
        View { version, topology, me, shard, is_primary, slots, runs }
    }

    /// The epoch of the shard that the node leads.
    fn led_epoch(&self) -> Option<u64> {
        self.own_shard().filter(|_| self.is_primary).map(|shard| shard.epoch)
    }

    /// Whether the node may be made the primary of its shard for what it holds.
    pub fn is_counted_on(&self) -> bool {
        self.own_shard().is_some_and(|shard| shard.has_all(self.me))
    }

    /// The slots that somebody has, in ascending order.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Whether a slot is served by the shard that this node is in.
    pub fn is_of_own_shard(&self, slot: u16) -> bool {
        matches!(self.serving(slot), Serving::Here | Serving::Migrating)
    }

    #[inline]
    pub fn serving(&self, slot: u16) -> Serving {
        self.slots[usize::from(slot)]
    }

    /// The shard that this node is in.
    pub fn own_shard(&self) -> Option<&Shard> {
        self.topology.shard(self.shard?)
    }

    /// Where clients are sent for a slot: the host and the port of its primary.
    pub fn primary_of(&self, slot: Slot) -> Option<(&str, u16)> {
        let shard = self.topology.shard(self.topology.owner(slot)?)?;
        self.address_of(shard.primary)
    }

    /// The primary that serves a slot.
    pub fn primary_id_of(&self, slot: u16) -> Option<Id> {
        Some(self.topology.shard(self.topology.owner(Slot::new(slot)?)?)?.primary)
    }

    /// The share of all slots that this node serves as their primary, 0 to 1.
    pub fn share(&self) -> f32 {
        let is_own = |run: &&Run| self.is_primary && Some(run.shard) == self.shard;
        let slots: u32 = self.runs.iter().filter(is_own).map(|run| u32::from(run.last - run.first) + 1).sum();
        slots as f32 / f32::from(SLOTS)
    }

    /// The host and the port of a node, for clients.
    pub fn address_of(&self, id: Id) -> Option<(&str, u16)> {
        let address = &self.topology.node(id)?.facts.address;
        Some((&address.host, address.port))
    }
}

fn runs(topology: &Topology) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (slot, owner) in topology.slots().iter() {
        let (slot, Some(shard)) = (slot.number(), owner) else { continue };
        match runs.last_mut() {
            Some(run) if run.shard == shard && run.last + 1 == slot => run.last = slot,
            _ => runs.push(Run { first: slot, last: slot, shard }),
        }
    }
    runs
}

impl Cluster {
    /// The part of a node with this id, or of one that is in no cluster.
    pub fn new(me: Option<Id>) -> Cluster {
        let incarnation = drawn();
        let view = View::new(0, (me.unwrap_or(Id::new([0; 20])), incarnation), Topology::default());
        Cluster {
            me,
            incarnation,
            version: AtomicU64::new(0),
            view: RwLock::new(Arc::new(view)),
            began: Instant::now(),
            lease_until_us: AtomicU64::new(0),
            lease_epoch: AtomicU64::new(0),
            heard: RwLock::default(),
            kept_slots: Default::default(),
            is_leaving: AtomicBool::new(false),
            is_handing_over: AtomicBool::new(false),
            is_renouncing: AtomicBool::new(false),
            routing: AtomicU8::new(0),
            forward_port: AtomicU16::new(0),
            forward_timeout_ms: AtomicU64::new(0),
            lease_awaited_until_us: AtomicU64::new(0),
            asking: Asking::default(),
            moving: Moving::default(),
            secret: Secret::default(),
            maintenance: Maintenance::default(),
        }
    }

    /// Whether the node is in a cluster.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.me.is_some()
    }

    /// As `INFO` and `HELLO` call it.
    pub fn mode(&self) -> &'static str {
        if self.is_on() { "cluster" } else { "standalone" }
    }

    pub fn me(&self) -> Option<Id> {
        self.me
    }

    /// How clients are served whose keys are elsewhere, by the port to which they came: the settings `routing` and `forward-port`.
    pub fn routing(&self, port: u16) -> Routing {
        match (Routing::ALL[usize::from(self.routing.load(Relaxed))], self.forward_port.load(Relaxed)) {
            (routing, 0) => routing,
            (_, forwards) if forwards == port => Routing::Forward,
            (Routing::Auto, _) => Routing::Redirect,
            (routing, _) => routing,
        }
    }

    /// How long other nodes are asked for a client, in milliseconds: the setting `forward-timeout`.
    pub fn forward_timeout_ms(&self) -> u64 {
        self.forward_timeout_ms.load(Relaxed)
    }

    /// Takes over these settings.
    pub fn set_routing(&self, routing: Routing, forward_port: u16, timeout: Duration) {
        self.forward_port.store(forward_port, Relaxed);
        self.routing.store(routing.place() as u8, Relaxed);
        self.forward_timeout_ms.store(timeout.as_millis() as u64, Relaxed);
    }

    /// A number that is another one with each start of the process.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// What a replica says of itself to its primary: who it is, and when what it holds began.
    pub fn announced(&self) -> Option<(String, u64)> {
        let (me, view) = (self.me?, self.view());
        Some((me.to_string(), view.topology.node(me)?.memory))
    }

    /// Says whether the node is about to throw away what it holds: nobody is to count on that any more.
    pub fn set_renouncing(&self, is_on: bool) {
        self.is_renouncing.store(is_on, Relaxed);
    }

    /// What is to be changed before that may be done.
    pub fn renouncement(&self, view: &View) -> Option<Change> {
        let is_due = self.is_renouncing.load(Relaxed) && view.is_counted_on();
        let node = view.topology.node(view.me).filter(|_| is_due)?;
        Some(Change::Renounce { node: view.me, memory: node.memory })
    }

    /// Changes whenever [`Cluster::view`] does, so that a worker need not ask for that.
    #[inline]
    pub fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    pub fn view(&self) -> Arc<View> {
        self.view.read().clone()
    }

    /// What commands are to see of the topology that follows the present one. It is for one thread to make and to install.
    pub fn prepare(&self, topology: Topology) -> View {
        let me = self.me.unwrap_or(Id::new([0; 20]));
        View::new(self.version() + 1, (me, self.incarnation), topology)
    }

    /// Makes a view the one that commands see. The caller holds the barrier, and sees to those whom it concerns.
    pub(super) fn install(&self, view: View) {
        if self.me.is_none() {
            return;
        }
        let version = view.version;
        if !view.is_primary {
            self.lease_awaited_until_us.store(0, Relaxed);
        } else if view.led_epoch() != self.view().led_epoch() {
            let until = self.now() + LEASE_AWAITED_MAX;
            self.lease_awaited_until_us.store(until.as_micros() as u64, Relaxed);
        }
        *self.view.write() = Arc::new(view);
        self.version.store(version, Relaxed);
        self.forget_kept_slots();
    }

    /// Says what was heard of the other nodes. Of those that are left out, all is well.
    pub fn set_heard(&self, heard: Everyone) {
        let is_news = {
            let mut before = self.heard.write();
            let is_news = healths(&before) != healths(&heard);
            *before = Arc::new(heard);
            is_news
        };
        // Whoever writes a reply holds it meanwhile, so one that was written from the old is forgotten here.
        if is_news {
            self.forget_kept_slots();
        }
    }

    pub fn heard(&self) -> Arc<Everyone> {
        self.heard.read().clone()
    }

    fn forget_kept_slots(&self) {
        self.kept_slots.iter().for_each(|kept| *kept.lock() = None);
    }

    /// The reply to `CLUSTER SLOTS` in a protocol, written anew by `write` if it is not kept.
    pub(super) fn kept_slots(&self, protocol: u8, write: impl FnOnce() -> Vec<u8>) -> Arc<[u8]> {
        let mut kept = self.kept_slots[usize::from(protocol == 3)].lock();
        kept.get_or_insert_with(|| write().into()).clone()
    }

    /// Waits until the node leads no shard that another could lead, so that it may stop without being missed. Whoever runs the node's
    /// commands must not call this.
    pub fn leave(&self) {
        self.is_leaving.store(true, Relaxed);
        let until = Instant::now() + LEAVE_MAX;
        let has_heirs = |shard: &Shard| shard.in_sync.len() > 1;
        while self.is_on() && Instant::now() < until {
            let view = self.view();
            if !view.is_primary
                || !self.holds_lease(&view) && !self.is_between_leases()
                || !view.own_shard().is_some_and(has_heirs)
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether the node is about to stop, and should hand its shard over.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving.load(Relaxed)
    }

    /// Says that commands are to wait for the next epoch, or no longer.
    pub fn set_handing_over(&self, is_on: bool) {
        self.is_handing_over.store(is_on, Relaxed);
    }

    /// Whether commands for which the node has no lease are to wait, since that is a matter of milliseconds: the next epoch is
    /// about to begin, or has just begun.
    #[cold]
    pub fn is_between_leases(&self) -> bool {
        let until_us = self.lease_awaited_until_us.load(Relaxed);
        self.is_handing_over.load(Relaxed) || until_us > 0 && self.now().as_micros() < u128::from(until_us)
    }

    /// Time since the node began, which the lease is counted in.
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Says until when, in the time of [`Cluster::now`], the node may serve as the primary that its shard has since this epoch.
    pub fn set_lease(&self, epoch: u64, until: Duration) {
        // Between the two stores the old epoch has the new time or the new epoch the old one; as the view's epoch must match
        // as well, and time passes first when the lease is of a new epoch, neither lets in what should be kept out.
        if self.lease_epoch.load(Relaxed) != epoch {
            self.lease_until_us.store(0, Relaxed);
            self.lease_epoch.store(epoch, Relaxed);
        }
        self.lease_until_us.store(until.as_micros() as u64, Relaxed);
        if until > self.now() {
            self.lease_awaited_until_us.store(0, Relaxed);
        }
    }

    /// Whether the node may serve as the primary of its shard now.
    pub fn holds_lease(&self, view: &View) -> bool {
        view.led_epoch() == Some(self.lease_epoch.load(Relaxed))
            && self.now().as_micros() < u128::from(self.lease_until_us.load(Relaxed))
    }
}

/// A number that nobody has drawn before.
fn drawn() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u128(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |it| it.as_nanos()));
    hasher.finish() >> 1
}

fn healths(heard: &Everyone) -> Vec<(Id, Health)> {
    let is_told = |heard: &Heard| heard.health != Health::Online;
    heard.iter().filter(|(_, heard)| is_told(heard)).map(|(id, heard)| (*id, heard.health)).collect()
}
