//! A whole cluster in one process: a network that delays, drops, doubles and reorders, disks that forget, nodes that crash;
//! and the promises of consensus, checked at every step.

use std::collections::{BTreeMap, BTreeSet};

use super::super::journal::simulated::Simulated;
use super::super::journal::{Error, Identity, Journal, Start};
use super::super::{Applied, Change, Consensus, Index, Member, Options, Role, Settled, Then, Ticket, What};
use super::random::Random;
use crate::cluster::id::Id;

/// Steps of the network's time that one tick of a node takes.
pub const TICK: u64 = 10;

/// What goes wrong, and how often.
#[derive(Clone, Default)]
pub struct Weather {
    /// Of a hundred messages.
    pub dropped: usize,
    pub doubled: usize,
    /// In steps; one at least.
    pub delay_max: usize,
    /// Pairs whose first does not reach its second.
    pub cut: BTreeSet<(u64, u64)>,
}

pub struct Host {
    pub consensus: Consensus,
    journal: Journal<Simulated>,
    machine: Machine,
    compacted: u64,
    /// Looks at what it was sent only every so many steps.
    pub pace: u64,
}

/// A state machine whose state is a sum over all that was applied, in its order.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Machine {
    index: u64,
    sum: u64,
}

impl Machine {
    fn apply(&mut self, applied: &Applied) {
        let What::Proposal(bytes) = &applied.what else { return };
        let mut random = Random::new(self.sum ^ applied.index.0);
        self.sum = bytes.iter().fold(random.next(), |sum, byte| Random::new(sum ^ u64::from(*byte)).next());
        self.index = applied.index.0;
    }

    fn save(self) -> Vec<u8> {
        [self.index.to_le_bytes(), self.sum.to_le_bytes()].concat()
    }

    fn load(bytes: &[u8]) -> Machine {
        let word = |at: usize| bytes.get(at..at + 8).map_or(0, |word| u64::from_le_bytes(word.try_into().unwrap()));
        Machine { index: word(0), sum: word(8) }
    }
}

pub struct Network {
    pub now: u64,
    pub random: Random,
    pub hosts: BTreeMap<u64, Host>,
    /// Those that are down, by what their disks hold.
    pub down: BTreeMap<u64, Simulated>,
    pub weather: Weather,
    /// By the step at which they arrive: from, to, bytes.
    parcels: BTreeMap<(u64, u64), (u64, u64, Vec<u8>)>,
    sent: u64,
    pub tickets: u64,
    // What was promised.
    leaders: BTreeMap<u64, u64>,
    log: BTreeMap<u64, (u64, What)>,
    sums: BTreeMap<u64, u64>,
    proposed: BTreeMap<u64, Vec<u8>>,
    reads: BTreeMap<u64, u64>,
    pub committed: BTreeMap<u64, u64>,
    pub settled: BTreeMap<u64, Settled>,
    pub full: u64,
    pub restored: u64,
    committed_last: u64,
}

impl Network {
    pub fn new(random: Random, voters: &[u64]) -> Network {
        let mut network = Network {
            now: 0,
            random,
            hosts: BTreeMap::new(),
            down: BTreeMap::new(),
            weather: Weather { delay_max: 5, ..Weather::default() },
            parcels: BTreeMap::new(),
            sent: 0,
            tickets: 0,
            leaders: BTreeMap::new(),
            log: BTreeMap::new(),
            sums: BTreeMap::new(),
            proposed: BTreeMap::new(),
            reads: BTreeMap::new(),
            committed: BTreeMap::new(),
            settled: BTreeMap::new(),
            full: 0,
            restored: 0,
            committed_last: 0,
        };
        let start = Start::Found { voters: voters.iter().map(|voter| Member(*voter)).collect(), state: Vec::new() };
        voters.iter().for_each(|voter| network.start(*voter, start.clone()));
        network
    }

    fn identity(member: u64) -> Identity {
        Identity { cluster: Id::new([1; 20]), node: Id::new([member as u8; 20]), member: Member(member) }
    }

    pub fn start(&mut self, member: u64, start: Start) {
        let made = Journal::create(Simulated::default(), Network::identity(member), start).unwrap();
        self.host(member, made);
    }

    pub fn restart(&mut self, member: u64) {
        let Some(disk) = self.down.remove(&member) else { return };
        let opened = Journal::open(disk, Network::identity(member)).unwrap_or_else(|error| panic!("{error}"));
        self.host(member, opened);
    }

    fn host(&mut self, member: u64, (journal, recovered): (Journal<Simulated>, super::super::journal::Recovered)) {
        let options = Options { member: Member(member), incarnation: self.random.next() };
        let consensus = Consensus::new(options, recovered).unwrap();
        let host = Host { consensus, journal, machine: Machine::default(), compacted: 0, pace: 1 };
        self.hosts.insert(member, host);
        self.work(member);
    }

    pub fn crash(&mut self, member: u64) {
        let Some(host) = self.hosts.remove(&member) else { return };
        let mut disk = host.journal.into_disk();
        disk.room = None;
        let disk = if self.random.once_in(4) { disk.kill() } else { disk.crash(&mut self.random) };
        self.down.insert(member, disk);
    }

    /// The node's disk has no room left, or as much as it wants.
    pub fn fill(&mut self, member: u64, is_full: bool) {
        if let Some(host) = self.hosts.get_mut(&member) {
            let used = host.journal.disk().used();
            host.journal.disk().room = is_full.then_some(used);
        }
    }

    pub fn leader(&self) -> Option<u64> {
        let leads = |host: &Host| host.consensus.standing().role == Role::Leader && !host.consensus.is_stalled();
        let leaders = self.hosts.iter().filter(|(_, host)| leads(host));
        leaders.max_by_key(|(_, host)| host.consensus.standing().term).map(|(member, _)| *member)
    }

    pub fn consensus(&mut self, member: u64) -> &mut Consensus {
        &mut self.hosts.get_mut(&member).unwrap().consensus
    }

    pub fn step(&mut self) {
        self.now += 1;
        let due: Vec<_> = self.parcels.range(..=(self.now, u64::MAX)).map(|(key, _)| *key).collect();
        for key in due {
            let (from, to, bytes) = self.parcels.remove(&key).unwrap();
            if let Some(host) = self.hosts.get_mut(&to) {
                if !self.now.is_multiple_of(host.pace) {
                    let later = (self.now + 1, key.1);
                    self.parcels.insert(later, (from, to, bytes));
                    continue;
                }
                let received = host.consensus.receive(Member(from), &bytes);
                let is_stalled = host.consensus.is_stalled();
                assert!(received.is_ok() || is_stalled, "{from} to {to}: {received:?}");
            }
        }
        let members: Vec<u64> = self.hosts.keys().copied().collect();
        for member in members {
            let host = self.hosts.get_mut(&member).unwrap();
            // Clocks do not agree upon when a tick is.
            if (self.now + member * 3).is_multiple_of(TICK) {
                host.consensus.tick();
            }
            if self.now.is_multiple_of(host.pace) {
                self.work(member);
            }
        }
    }

    /// Does what a node wants done.
    fn work(&mut self, member: u64) {
        loop {
            let Some(host) = self.hosts.get_mut(&member) else { return };
            let journal = &mut host.journal;
            match host.consensus.step(|durable| journal.save(durable)) {
                Ok(Some(then)) => self.then(member, then),
                Ok(None) if host.consensus.wants_snapshot() => self.compact(member),
                Ok(None) => return,
                Err(Error::Full { .. }) => {
                    self.full += 1;
                    return;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn then(&mut self, member: u64, then: Then) {
        let host = self.hosts.get_mut(&member).unwrap();
        if let Some(restored) = then.restore {
            self.restored += 1;
            host.machine = Machine::load(&restored.state);
            host.compacted = restored.index.0;
            if let Some(sum) = self.sums.get(&host.machine.index) {
                assert_eq!(*sum, host.machine.sum, "a snapshot of what was never so");
            }
        }
        for applied in then.apply {
            let index = applied.index.0;
            assert!(index > host.compacted);
            host.machine.apply(&applied);
            if host.machine.index == index {
                let sum = *self.sums.entry(index).or_insert(host.machine.sum);
                assert_eq!(sum, host.machine.sum, "all apply the same in the same order");
            }
            let entry = (applied.term.0, applied.what);
            let known = self.log.entry(index).or_insert_with(|| entry.clone());
            assert_eq!(*known, entry, "what is committed at {index} is so for ever");
        }
        for (ticket, settled) in then.settled {
            assert!(self.settled.insert(ticket.0, settled).is_none(), "a ticket is settled once");
            match settled {
                Settled::Committed(Index(index)) => {
                    if let Some(bytes) = self.proposed.get(&ticket.0) {
                        assert_eq!(self.log[&index].1, What::Proposal(bytes.clone()), "ticket {}", ticket.0);
                    }
                    self.committed.insert(ticket.0, index);
                    self.committed_last = self.committed_last.max(index);
                }
                Settled::Current(Index(index)) => {
                    assert!(index >= self.reads[&ticket.0], "a read at {index} misses what was committed before it");
                }
                _ => {}
            }
        }
        if let Some(standing) = then.standing
            && standing.role == Role::Leader
        {
            let first = *self.leaders.entry(standing.term.0).or_insert(member);
            assert_eq!(first, member, "two leaders in term {}", standing.term);
        }
        for parcel in then.send {
            self.send(member, parcel.to.0, &parcel.bytes);
        }
    }

    fn send(&mut self, from: u64, to: u64, bytes: &[u8]) {
        let copies = if self.random.below(100) < self.weather.doubled { 2 } else { 1 };
        for _ in 0..copies {
            let is_lost = self.random.below(100) < self.weather.dropped || self.weather.cut.contains(&(from, to));
            let due = self.now + 1 + self.random.below(self.weather.delay_max.max(1)) as u64;
            if !is_lost {
                self.sent += 1;
                self.parcels.insert((due, self.sent), (from, to, bytes.to_vec()));
            }
        }
    }

    /// Proposes something of its own at a node. The ticket, if it was taken.
    pub fn propose(&mut self, member: u64, len: usize) -> Option<u64> {
        self.tickets += 1;
        let ticket = self.tickets;
        let mut bytes = ticket.to_le_bytes().to_vec();
        bytes.resize(8 + len, 7);
        self.hosts.get_mut(&member)?.consensus.propose(Ticket(ticket), bytes.clone()).ok()?;
        self.proposed.insert(ticket, bytes);
        Some(ticket)
    }

    pub fn change(&mut self, member: u64, changes: &[Change]) -> Option<u64> {
        self.tickets += 1;
        let ticket = self.tickets;
        self.hosts.get_mut(&member)?.consensus.change_members(Ticket(ticket), changes).ok()?;
        Some(ticket)
    }

    pub fn read(&mut self, member: u64) {
        self.tickets += 1;
        let Some(host) = self.hosts.get_mut(&member) else { return };
        if host.consensus.read(Ticket(self.tickets)).is_ok() {
            self.reads.insert(self.tickets, self.committed_last);
        }
    }

    pub fn compact(&mut self, member: u64) {
        let Some(host) = self.hosts.get_mut(&member) else { return };
        let index = host.consensus.applied();
        if host.consensus.compact(index, host.machine.save()).is_ok() {
            host.compacted = index.0;
        }
    }

    pub fn run(&mut self, ticks: u64) {
        (0..ticks * TICK).for_each(|_| self.step());
    }

    /// Runs until something is so; fails if it is not within so many ticks.
    #[track_caller]
    pub fn until(&mut self, ticks: u64, what: &str, mut is_so: impl FnMut(&mut Network) -> bool) {
        for _ in 0..ticks * TICK {
            if is_so(self) {
                return;
            }
            self.step();
        }
        panic!("not within {ticks} ticks: {what}");
    }

    #[track_caller]
    pub fn elect(&mut self) -> u64 {
        self.until(60, "a leader", |network| network.leader().is_some());
        self.leader().unwrap()
    }

    /// All is well again. Then a proposal goes through, and all that run come to the same, within a bounded time.
    #[track_caller]
    pub fn heal(&mut self) {
        self.weather = Weather { delay_max: 5, ..Weather::default() };
        let down: Vec<u64> = self.down.keys().copied().collect();
        down.into_iter().for_each(|member| self.restart(member));
        let members: Vec<u64> = self.hosts.keys().copied().collect();
        for member in members {
            self.fill(member, false);
            self.hosts.get_mut(&member).unwrap().pace = 1;
        }
        let mut ticket = None;
        self.until(150, "a proposal that goes through", |network| {
            let is_settled = ticket.is_some_and(|ticket| network.settled.contains_key(&ticket));
            let is_committed = ticket.is_some_and(|ticket| network.committed.contains_key(&ticket));
            if let Some(leader) = network.leader().filter(|_| !is_committed && (ticket.is_none() || is_settled)) {
                ticket = network.propose(leader, 5);
            }
            is_committed
        });
        let last = *self.log.keys().last().unwrap();
        self.until(100, "all that take part have applied everything", |network| network.agree(last));
    }

    fn agree(&self, last: u64) -> bool {
        let Some(leader) = self.leader() else { return false };
        let members = self.hosts[&leader].consensus.members();
        let takes_part =
            |member: &Member| self.hosts.get(&member.0).is_some_and(|host| host.consensus.applied().0 >= last);
        !members.is_changing() && members.voters.iter().chain(&members.learners).all(takes_part)
    }
}
