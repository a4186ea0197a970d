//! Moving slots: the thread by which a primary brings slots to the shards that the topology says they move to.
//!
//! Keys are copied one by one while everything goes on, and what is written to them meanwhile is repeated at the target
//! ([`relay`]). Once next to nothing is missing, writes to the slots are held back, the rest is brought over, and the target's
//! quorum has confirmed all of it, the cluster is asked to end the move. From the moment at which that stands in its log, the
//! slots are the target's; until then they are served here. Whatever breaks, they are on one side or the other with all
//! their data, since only that one entry changes whose they are.
//!
//! Writes, and reads from when that entry is asked for, are held back until it is known what became of it: one that may still come
//! true is not forgotten. Clients are sent to
//! the new owner once that knows it, too: else both would send them to each other, more often than many a client follows.

mod line;
mod relay;

use super::parser::{Limits, Parsed, Parser};
use crate::cluster::bus::Purpose;
use crate::cluster::id::ShardId;
use crate::cluster::topology::Change;
use crate::command::Flags;
use crate::command::clients::Client;
use crate::command::cluster::{NOT_AWAITED, Serving, Step, View, Wish};
use crate::command::gate;
use crate::command::replication::NewFollower;
use crate::command::shared::{Shared, now_ms};
use crate::command::words::Words;
use crate::observe::process;
use larder_client::slot::{self, SLOTS, Slot};
use line::Line;
use relay::{Relay, Verdict};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the thread looks for something to do.
const LOOK: Duration = Duration::from_millis(20);

/// How long the target of a move may take to hear of it.
const HEAR_MAX: Duration = Duration::from_secs(1);

/// How long after a failure slots are left where they are.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a topology has to last before all slots of others are looked through for what is left of them.
const CALM: Duration = Duration::from_secs(1);

/// Keys that are copied between two looks at the stream, and bytes of them. The target takes them in one go, while its clients wait.
const KEYS_AT_ONCE: usize = 16;
const BYTES_AT_ONCE: usize = 64 * 1024;

/// The least rest after keys were copied, while writes are not held back, and a rest as a multiple of the time that the work before
/// it took. So clients of both ends find a worker that has time for them: a burst of some thousand keys made them wait for
/// twenty milliseconds.
const REST_MIN: Duration = Duration::from_millis(1);
const REST_FACTOR: u32 = 3;

/// Bytes of the stream that may be missing when writes are held back.
const NEAR_BYTES: u64 = 64 * 1024;

/// How long writes may be held back before the cluster is asked: then the move is called off and begun anew.
const HOLD_MAX: Duration = Duration::from_secs(1);

/// How long the target's quorum may take to confirm what it was brought.
const CONFIRM_MAX: Duration = Duration::from_secs(5);

/// How long the new owner of slots may take to learn of it before clients are sent there all the same.
const LEARN_MAX: Duration = Duration::from_millis(500);

/// How long an answer of the cluster is waited for before it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(6);

/// Moves slots until the node stops.
pub fn run(node: &Arc<Shared>) {
    process::be_modest();
    let mut not_before: BTreeMap<ShardId, Instant> = BTreeMap::new();
    let mut leftovers = Leftovers::default();
    while !node.is_stopping() {
        std::thread::sleep(LOOK);
        let view = node.cluster.view();
        if !node.cluster.holds_lease(&view) {
            continue;
        }
        leftovers.look(node, &view);
        for (target, slots) in leaving(&view) {
            if not_before.get(&target).is_some_and(|at| Instant::now() < *at) {
                continue;
            }
            let count = slots.len();
            match begin(node, &view, target, &slots).and_then(Moving::finish) {
                Ok(keys) => tracing::info!(%target, slots = count, keys, "slots have moved"),
                Err(why) => {
                    tracing::warn!(%target, slots = count, "moving slots to the shard is begun anew: {why}");
                    not_before.insert(target, Instant::now() + AGAIN);
                }
            }
        }
    }
}

/// Begins to move slots. The target may not have heard yet that they come to it.
fn begin<'a>(node: &'a Arc<Shared>, view: &View, target: ShardId, slots: &[Slot]) -> Result<Moving<'a>, String> {
    let until = Instant::now() + HEAR_MAX;
    loop {
        match Moving::new(node, view, target, slots.to_vec()) {
            Err(why) if why.contains(NOT_AWAITED) && Instant::now() < until => std::thread::sleep(LOOK),
            begun => return begun,
        }
    }
}

/// The slots that move away from this node's shard, by where they go.
fn leaving(view: &View) -> BTreeMap<ShardId, Vec<Slot>> {
    let mut leaving: BTreeMap<ShardId, Vec<Slot>> = BTreeMap::new();
    let moves = view.topology.moves().iter().filter(|(_, a)| Some(a.from) == view.shard);
    moves.for_each(|(slot, a)| leaving.entry(a.to).or_default().push(*slot));
    leaving
}

/// What the node holds of slots that are others'. To look at all of them takes a millisecond, and while slots move there is a new
/// topology many times a second; so then only those are looked at that have just left.
#[derive(Default)]
struct Leftovers {
    /// What was so when all had been deleted, but for slots that came and went since between two looks.
    seen: Option<Arc<View>>,
    /// When all slots are looked at, unless there is a new topology before.
    all_at: Option<Instant>,
}

impl Leftovers {
    fn look(&mut self, node: &Shared, view: &Arc<View>) {
        if self.seen.as_ref().is_none_or(|seen| seen.version != view.version) {
            let seen = self.seen.clone();
            let was_there = |slot| seen.as_ref().is_none_or(|seen| !is_others(seen, slot));
            self.all_at = Some(Instant::now() + CALM);
            if sweep(node, view, was_there) {
                self.seen = Some(view.clone());
            }
        } else if self.all_at.is_some_and(|at| Instant::now() >= at) && sweep(node, view, |_| true) {
            self.all_at = None;
        }
    }
}

fn is_others(view: &View, slot: u16) -> bool {
    matches!(view.serving(slot), Serving::Elsewhere | Serving::Nobody)
}

/// Deletes what the node holds of some slots, as far as they are others'. Returns whether nothing is left of them.
fn sweep(node: &Shared, view: &View, of: impl Fn(u16) -> bool) -> bool {
    for slot in (0..SLOTS).filter(|slot| is_others(view, *slot) && of(*slot)) {
        while node.store.keys_in_slot(slot) > 0 {
            let began = Instant::now();
            let pass = node.barrier.enter(node.move_number());
            // No topology is installed meanwhile, so they are others' still.
            if node.cluster.view().topology.epoch() != view.topology.epoch() {
                return false;
            }
            if !node.empty_some(slot) {
                break;
            }
            drop(pass);
            rest(began, Duration::ZERO);
        }
    }
    true
}

/// Leaves the processor to others after work that began at some time.
fn rest(began: Instant, least: Duration) {
    std::thread::sleep(least.max(REST_FACTOR * began.elapsed()));
}

/// Slots on their way to one shard.
struct Moving<'a> {
    node: &'a Arc<Shared>,
    target: ShardId,
    epochs: (u64, u64),
    slots: Vec<Slot>,
    /// When the move of each began.
    began: BTreeMap<Slot, u64>,
    is_moving: Box<[bool; SLOTS as usize]>,
    line: Line,
    follower: Follower<'a>,
    relay: Relay,
    /// Keys that were copied at least once.
    keys: u64,
}

impl<'a> Moving<'a> {
    /// Begins: the target is reached and has emptied the slots, and the stream is followed from here on.
    fn new(node: &'a Arc<Shared>, view: &View, target: ShardId, slots: Vec<Slot>) -> Result<Moving<'a>, String> {
        let (own, other) = (view.own_shard(), view.topology.shard(target));
        let (Some(own), Some(other)) = (own, other) else { return Err("a shard is gone".to_owned()) };
        let facts = view.topology.node(other.primary).map(|node| &node.facts).ok_or("its primary is gone")?;
        let mut line = Line::open(&facts.address.host, facts.address.port)?;
        let password = node.live.config().requirepass;
        if !password.is_empty() {
            line.say(&[b"AUTH", password.as_bytes()])?;
        }
        let proof =
            node.cluster.proof(Purpose::Import, other.primary, facts.incarnation).ok_or("there is no proof to show")?;
        line.say(&[b"CLUSTER", b"IMPORT", view.me.to_string().as_bytes(), proof.as_bytes()])?;
        let numbers: Vec<String> = slots.iter().map(|slot| slot.number().to_string()).collect();
        let mut clear: Vec<&[u8]> = vec![b"CLUSTER", b"CLEARSLOTS"];
        clear.extend(numbers.iter().map(|number| number.as_bytes()));
        line.say(&clear)?;
        line.settle(CONFIRM_MAX)?;
        let mut is_moving = Box::new([false; SLOTS as usize]);
        slots.iter().for_each(|slot| is_moving[slot.index()] = true);
        let epochs = (own.epoch, other.epoch);
        let follower = Follower::new(node);
        let relay = Relay::default();
        let began = view.topology.moves().iter().map(|(slot, a)| (*slot, a.began)).collect();
        let mut moving = Moving { node, target, epochs, slots, began, is_moving, line, follower, relay, keys: 0 };
        moving.list();
        moving.took(Step::Cleared);
        Ok(moving)
    }

    /// Has all keys of the slots copied.
    fn list(&mut self) {
        let moment = self.node.store.moment(now_ms());
        for slot in &self.slots {
            self.relay.wait_for(self.node.store.some_keys_in_slot(slot.number(), usize::MAX, moment));
        }
    }

    /// Brings everything over and hands the slots over. Returns how many keys that were.
    fn finish(mut self) -> Result<u64, String> {
        loop {
            self.check()?;
            let behind = self.follow(u64::MAX)?;
            let began = Instant::now();
            self.copy()?;
            self.line.flush()?;
            self.took(Step::Copied);
            if self.relay.has_more() {
                rest(began, REST_MIN);
            } else if behind <= NEAR_BYTES {
                break;
            }
        }
        // What is on its way is confirmed before anybody has to wait for it.
        self.line.settle(CONFIRM_MAX)?;
        self.took(Step::Confirmed);
        let slots = self.slots.clone();
        let node = self.node;
        // What was declared wrong here has to go there, too: the stream says so once it goes here.
        node.store.sweep_all(node.store.moment(now_ms()));
        node.barrier.alone(|| node.cluster.freeze(slots.iter().copied(), true));
        let frozen = Frozen { node, slots };
        node.store.sweep_all(node.store.moment(now_ms()));
        let end = node.barrier.alone(|| node.replication.offset());
        self.took(Step::Held);
        self.bring_rest(end)?;
        self.took(Step::Brought);
        self.hand_over(frozen)?;
        Ok(self.keys)
    }

    /// Brings over what is missing while nothing is written.
    fn bring_rest(&mut self, end: u64) -> Result<(), String> {
        let until = Instant::now() + HOLD_MAX;
        self.follow(end)?;
        while self.relay.has_more() {
            self.copy()?;
            if Instant::now() > until {
                return Err("the last of it takes too long".to_owned());
            }
        }
        self.line.settle(HOLD_MAX)
    }

    /// Stands still after this step if a test has asked for that (`DEBUG MOVE-STOP`).
    fn took(&self, step: Step) {
        let stop = || self.node.cluster.stop().filter(|stop| *stop == step && !self.node.is_stopping());
        if stop().is_some() {
            tracing::warn!("DEBUG MOVE-STOP: the move to {} stands still after {step:?}", self.line.peer());
        }
        while stop().is_some() {
            std::thread::sleep(LOOK);
        }
    }

    /// Whether the slots are still to be moved by this node.
    fn check(&self) -> Result<(), String> {
        if self.node.is_stopping() {
            return Err("the node stops".to_owned());
        }
        let view = self.node.cluster.view();
        if !self.slots.iter().all(|slot| self.is_pending(&view, *slot)) {
            return Err("the cluster has changed meanwhile".to_owned());
        }
        Ok(())
    }

    /// Repeats what the stream says up to an offset, or as far as it goes. Returns how many bytes are left then.
    fn follow(&mut self, until: u64) -> Result<u64, String> {
        let Moving { follower, relay, line, is_moving, .. } = self;
        while follower.position() < until && follower.read()? {
            while let Some(command) = follower.next()? {
                match keys_of(command.words, is_moving) {
                    Touched::All => return Err("all keys were deleted meanwhile".to_owned()),
                    Touched::Keys(keys) => {
                        if relay.follow(command.offset, &keys) == Verdict::Repeat {
                            line.pass_on(command.bytes)?;
                        }
                    }
                }
            }
            relay.followed_to(follower.position());
            // Others' keys make up most of it; it is looked at again soon.
            if until == u64::MAX && follower.has_had_enough() {
                break;
            }
        }
        Ok(self.follower.behind())
    }

    /// Copies some of the keys that wait for it.
    fn copy(&mut self) -> Result<(), String> {
        let mut bytes = 0;
        for _ in 0..KEYS_AT_ONCE {
            let Some(key) = self.relay.next() else { break };
            let copied = self.node.copy_key(&key);
            match &copied.value {
                Some((payload, expiry)) => {
                    bytes += payload.len();
                    let expiry = expiry.unwrap_or(0).to_string();
                    self.line.say(&[b"RESTORE", &key, expiry.as_bytes(), payload, b"REPLACE", b"ABSTTL"])?;
                    if !copied.tags.is_empty() {
                        let words = [&b"CACHE.TAG"[..], &key].into_iter().chain(copied.tags.iter().map(|tag| &tag[..]));
                        self.line.say(&words.collect::<Vec<&[u8]>>())?;
                    }
                }
                None => self.line.say(&[b"DEL", &key])?,
            }
            self.keys += 1;
            self.relay.copied(key, copied.offset);
            if bytes > BYTES_AT_ONCE {
                break;
            }
        }
        Ok(())
    }

    /// Asks the cluster to end the moves, and waits until it is known what became of that.
    fn hand_over(&mut self, frozen: Frozen<'_>) -> Result<(), String> {
        let node = self.node;
        let (from_epoch, to_epoch) = self.epochs;
        // By when their moves began.
        let mut asked: BTreeMap<u64, (u64, Instant)> = BTreeMap::new();
        // From the entry on the new owner takes writes, of which reads here would not know. What is being read is read by then.
        node.barrier.alone(|| node.cluster.hold_reads_back(true));
        loop {
            let view = node.cluster.view();
            let mut pending: BTreeMap<u64, Vec<Slot>> = BTreeMap::new();
            for slot in self.slots.iter().filter(|slot| self.is_pending(&view, **slot)) {
                pending.entry(self.began[slot]).or_default().push(*slot);
            }
            if pending.is_empty() || node.is_stopping() {
                asked.values().for_each(|(ticket, _)| node.cluster.forget(*ticket));
                let is_there = |slot: &Slot| view.topology.owner(*slot) == Some(self.target);
                let are_there = self.slots.iter().all(is_there);
                if are_there {
                    self.took(Step::HandedOver);
                    self.wait_until_known(view.topology.epoch());
                }
                drop(frozen);
                return if are_there { Ok(()) } else { Err("it was called off".to_owned()) };
            }
            asked.retain(|began, (ticket, since)| {
                let is_over = !pending.contains_key(began)
                    || since.elapsed() > ASK_AGAIN
                    // If it was made, the topology that says so is about to come. If not, what is wrong will be seen there, too.
                    || node.cluster.take_settled(*ticket).is_some_and(|how| how.is_err());
                if is_over {
                    node.cluster.forget(*ticket);
                }
                !is_over
            });
            for (began, slots) in pending {
                if asked.contains_key(&began) {
                    continue;
                }
                let change = Change::EndMove { slots: slots.into_iter().collect(), began, from_epoch, to_epoch };
                if let Some(ticket) = node.cluster.ask(Wish::Change(change)) {
                    asked.insert(began, (ticket, Instant::now()));
                }
            }
            self.took(Step::Asked);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Waits until the target has a topology of this epoch. One that does not say so in time is not waited for.
    fn wait_until_known(&mut self, epoch: u64) {
        let until = Instant::now() + LEARN_MAX;
        while Instant::now() < until && !self.node.is_stopping() {
            match self.line.topology_epoch(LEARN_MAX) {
                Ok(known) if known < epoch => std::thread::sleep(Duration::from_millis(1)),
                _ => return,
            }
        }
    }

    /// Whether the end of a slot's move, as this asks for it, may still come true.
    fn is_pending(&self, view: &View, slot: Slot) -> bool {
        let epoch_of = |shard: Option<ShardId>| shard.and_then(|id| view.topology.shard(id)).map(|shard| shard.epoch);
        let is_of_now =
            (epoch_of(view.shard), epoch_of(Some(self.target))) == (Some(self.epochs.0), Some(self.epochs.1));
        is_of_now && view.topology.moves().get(&slot).map(|a| a.began) == Some(self.began[&slot])
    }
}

/// Slots whose writes are held back.
struct Frozen<'a> {
    node: &'a Shared,
    slots: Vec<Slot>,
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        self.node.cluster.hold_reads_back(false);
        self.node.cluster.freeze(self.slots.iter().copied(), false);
    }
}

/// What a command of the stream is about.
enum Touched<'a> {
    All,
    /// Keys of the slots that move.
    Keys(Vec<&'a [u8]>),
}

fn keys_of<'a>(words: Words<'a>, is_moving: &[bool; SLOTS as usize]) -> Touched<'a> {
    let Ok(found) = gate::find(words) else { return Touched::Keys(Vec::new()) };
    if !found.row.flags.has(Flags::WRITE) {
        return Touched::Keys(Vec::new());
    }
    if ["FLUSHALL", "FLUSHDB", "SWAPDB"].contains(&found.row.name) {
        return Touched::All;
    }
    let keys = found.key_positions(words).into_iter().map(|at| words.get(at));
    let mut keys: Vec<&[u8]> = keys.filter(|key| is_moving[slot::of(key).index()]).collect();
    keys.sort_unstable();
    keys.dedup();
    Touched::Keys(keys)
}

/// Reads the node's own stream, command by command.
struct Follower<'a> {
    node: &'a Shared,
    number: u64,
    /// The offset of the first byte of `buffer`.
    start: u64,
    buffer: Vec<u8>,
    /// Bytes of it that have been taken.
    taken: usize,
    parser: Parser,
    had: usize,
}

/// A command of the stream, and its offset there.
struct Command<'a> {
    offset: u64,
    bytes: &'a [u8],
    words: Words<'a>,
}

/// Bytes of the stream after which the thread looks at other things, too.
const ENOUGH_BYTES: usize = 1 << 20;

impl<'a> Follower<'a> {
    /// Follows from now on.
    fn new(node: &'a Arc<Shared>) -> Follower<'a> {
        let none = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let client = Arc::new(Client::new(node.clients.next_id(), none, none, -1, node.move_number(), now_ms()));
        let who = NewFollower { client, host: String::new(), port: 0, is_mute: true, node: None };
        let entered = node.barrier.alone(|| node.enter_now(who));
        Follower {
            node,
            number: entered.number,
            start: entered.offset,
            buffer: Vec::new(),
            taken: 0,
            parser: Parser::default(),
            had: 0,
        }
    }

    /// The offset up to which commands have been taken.
    fn position(&self) -> u64 {
        self.start + self.taken as u64
    }

    fn behind(&self) -> u64 {
        self.node.replication.offset().saturating_sub(self.position())
    }

    /// Whether much has been read since this was asked last.
    fn has_had_enough(&mut self) -> bool {
        let is_enough = self.had >= ENOUGH_BYTES;
        if is_enough {
            self.had = 0;
        }
        is_enough
    }

    /// Reads what there is. Returns whether there was something.
    fn read(&mut self) -> Result<bool, String> {
        self.buffer.drain(..self.taken);
        self.start += std::mem::take(&mut self.taken) as u64;
        let part = self.node.replication.take_part(self.number, false);
        let part =
            part.map_err(|_| "writes come faster than they can be repeated (client-output-buffer-limit)".to_owned())?;
        let Some(part) = part else { return Ok(false) };
        self.buffer.extend_from_slice(part.bytes());
        self.had += part.bytes().len();
        Ok(true)
    }

    /// The next whole command.
    fn next(&mut self) -> Result<Option<Command<'_>>, String> {
        let limits = Limits { bulk_len_max: usize::MAX >> 1, logged_in: true };
        let from = self.taken;
        self.parser.begin();
        let parsed = self.parser.parse(&self.buffer, from, limits);
        match parsed.map_err(|_| "the stream makes no sense".to_owned())? {
            Parsed::Request { end } => {
                self.taken = end;
                let words = Words { buffer: &self.buffer[from..end], spans: self.parser.words() };
                Ok(Some(Command { offset: self.start + from as u64, bytes: &self.buffer[from..end], words }))
            }
            Parsed::Incomplete { .. } => {
                self.parser = Parser::default();
                Ok(None)
            }
            Parsed::Line { .. } | Parsed::Nothing { .. } => Err("the stream makes no sense".to_owned()),
        }
    }
}

impl Drop for Follower<'_> {
    fn drop(&mut self) {
        self.node.replication.leave(self.number);
    }
}
