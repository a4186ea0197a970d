//! The control plane's Raft: what all nodes must agree upon goes through one log, and every node follows it.
//!
//! [`Consensus`] drives the `raft` crate. It owns no socket, no clock and no thread: events go in ([`Consensus::tick`],
//! [`Consensus::receive`], [`Consensus::propose`], ...), and [`Consensus::step`] says what is to be done. The order that
//! Raft's safety hangs on is kept by the shape of that call: it hands what must be durable to a closure, and gives out
//! messages, committed entries and answers only if that closure has succeeded. A leader might send entries while it still
//! writes them itself (Ongaro's thesis, 10.2.1); that is left out, since a change of topology can wait for one more sync.
//!
//! If the closure fails, consensus **stalls**: nothing goes in or out until `step` has been called again and succeeded. To
//! the others the node looks dead, so a leader whose disk is full is replaced and what it had not saved was never promised.
//!
//! Entries are opaque here. What a peer sent passes `wire` and `check` before the raft crate sees it.

mod check;
pub mod journal;
pub mod limits;
mod log;
mod members;
mod outcome;
mod outgoing;
mod reads;
#[cfg(test)]
pub(super) mod tests;
pub mod wire;

use std::collections::{BTreeMap, VecDeque};

use raft::eraftpb::{ConfChangeV2, ConfState, Entry, EntryType, Message, MessageType, Snapshot};
use raft::{Config, RawNode, Ready, SnapshotStatus, StateRole};

pub use members::{Change, Member, Members, NotAChange};
pub use outcome::{
    Applied, Durable, Index, NotCompacted, Parcel, Progress, Refused, Rejected, Restored, Role, Settled, Standing,
    Term, Then, Ticket, What,
};

use check::Verdict;
use journal::Recovered;
use limits::{
    APPEND_BYTES_MAX, APPLY_BYTES_MAX, ELECTION_TICKS, HEARTBEAT_TICKS, INFLIGHT_MAX, LOG_BYTES_MAX,
    PROPOSAL_BYTES_MAX, PROPOSALS_MAX, SNAPSHOT_BYTES_MAX, SNAPSHOT_RETRY_TICKS, STAND_AGAIN_TICKS,
    UNCOMMITTED_BYTES_MAX,
};
use log::Log;
use reads::Reads;

/// What a member is started with.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub member: Member,
    /// A random number that is another at every start. It names this start, and draws the times of elections.
    pub incarnation: u64,
}

/// A member's part in the agreement.
pub struct Consensus {
    node: RawNode<Log>,
    options: Options,
    /// What the raft crate waits for.
    pending: Option<(Ready, Durable)>,
    compaction: Option<Snapshot>,
    restore: Option<Restored>,
    proposals: VecDeque<Proposed>,
    reads: Reads,
    given_up: Vec<Ticket>,
    /// Up to where entries were handed out.
    applied: u64,
    /// The memberships that were in force from some index on; the first is the snapshot's.
    memberships: VecDeque<(u64, ConfState)>,
    /// Members to whom a snapshot was sent, and how long ago.
    snapshots_sent: BTreeMap<u64, u32>,
    /// For how many ticks it has stood for election, and how often it has done so again since it knew a leader.
    stands_for: u32,
    stood_again: u32,
    standing: Standing,
}

/// Something that this node has put into the log as the leader of a term.
struct Proposed {
    index: u64,
    term: u64,
    ticket: Ticket,
}

impl Consensus {
    /// A member that goes on from what its journal held. The first step hands out the snapshot, for the state machine.
    ///
    /// # Errors
    ///
    /// A text, if the log cannot be one that this member has written.
    pub fn new(options: Options, recovered: Recovered) -> Result<Consensus, String> {
        let log = Log::new(recovered);
        let applied = log.snapshot_index();
        let members = log.snapshot().get_metadata().get_conf_state().clone();
        let config = Config {
            id: options.member.0,
            applied,
            election_tick: ELECTION_TICKS,
            heartbeat_tick: HEARTBEAT_TICKS,
            pre_vote: true,
            check_quorum: true,
            batch_append: true,
            max_inflight_msgs: INFLIGHT_MAX,
            max_size_per_msg: APPEND_BYTES_MAX as u64,
            max_uncommitted_size: UNCOMMITTED_BYTES_MAX as u64,
            max_committed_size_per_ready: APPLY_BYTES_MAX as u64,
            ..Config::default()
        };
        let restore = (applied > 0).then(|| restored(log.snapshot()));
        // The raft crate's log lines are of use to its authors; what an operator needs to know is in `Standing`.
        let silence = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, log, &silence).map_err(|error| error.to_string())?;
        let mut consensus = Consensus {
            node,
            options,
            pending: None,
            compaction: None,
            restore,
            proposals: VecDeque::new(),
            reads: Reads::new(options.member.0, options.incarnation),
            given_up: Vec::new(),
            applied,
            memberships: VecDeque::from([(applied, members)]),
            snapshots_sent: BTreeMap::new(),
            stands_for: 0,
            stood_again: 0,
            standing: Standing { role: Role::Outside, term: Term(0), leader: None },
        };
        consensus.draw_timeout();
        Ok(consensus)
    }

    // --- events

    /// A tick of the clock passes; about a tenth of a second, the same on all nodes.
    pub fn tick(&mut self) {
        if self.is_stalled() {
            return;
        }
        // The steps between this tick and the next will have written all.
        if self.node.raft.state == StateRole::Leader || !check::has_unwritten(&self.node.raft) {
            self.node.tick();
            self.stand_again();
        }
        self.given_up.extend(self.reads.tick());
        self.retry_snapshots();
        self.leave_joint();
        self.after_event();
    }

    /// A message has come over the link to a peer.
    ///
    /// # Errors
    ///
    /// [`Rejected`] says why it was left out.
    pub fn receive(&mut self, from: Member, bytes: &[u8]) -> Result<(), Rejected> {
        if self.is_stalled() {
            return Err(Rejected::Stalled);
        }
        let message = wire::read_message(bytes).map_err(Rejected::Wire)?;
        if message.from != from.0 || message.to != self.options.member.0 || from == self.options.member {
            return Err(Rejected::Address);
        }
        match check::verdict(&self.node.raft, &message) {
            Verdict::Good => {}
            Verdict::Idle => return Ok(()),
            Verdict::Impossible(why) => return Err(Rejected::Impossible(why)),
        }
        // What it may say against it: that the sender takes no part, or that there is nobody to pass it on to.
        let _ = self.node.step(message);
        self.after_event();
        Ok(())
    }

    /// Puts bytes into the log, if this node leads. The ticket is settled later, once.
    ///
    /// # Errors
    ///
    /// [`Refused`]: nothing was put there, and the ticket is not used.
    pub fn propose(&mut self, ticket: Ticket, bytes: Vec<u8>) -> Result<(), Refused> {
        self.may_propose()?;
        if bytes.is_empty() {
            return Err(Refused::Empty);
        }
        if bytes.len() > PROPOSAL_BYTES_MAX {
            return Err(Refused::TooLarge { bytes: bytes.len() });
        }
        let proposed = self.node.propose(Vec::new(), bytes);
        proposed.map_err(|_| Refused::Busy)?;
        self.note(ticket);
        Ok(())
    }

    /// Changes who takes part, if this node leads. Several changes become true together.
    ///
    /// # Errors
    ///
    /// [`Refused`], as in [`Consensus::propose`].
    pub fn change_members(&mut self, ticket: Ticket, changes: &[Change]) -> Result<(), Refused> {
        self.may_propose()?;
        let members = self.members();
        if members.is_changing() || self.node.raft.has_pending_conf() {
            return Err(Refused::Changing);
        }
        let after = members.after(changes).map_err(Refused::Change)?;
        if !after.voters.contains(&self.options.member) {
            return Err(Refused::Change(NotAChange::Leader));
        }
        let proposed = self.node.propose_conf_change(Vec::new(), members::proposal(changes));
        proposed.map_err(|_| Refused::Busy)?;
        self.note(ticket);
        Ok(())
    }

    /// Answers [`Settled::Current`] once this node has applied all that was committed anywhere when this was asked. Any member
    /// may ask; no clock is relied upon.
    ///
    /// # Errors
    ///
    /// [`Refused::Busy`] and [`Refused::Stalled`].
    pub fn read(&mut self, ticket: Ticket) -> Result<(), Refused> {
        if self.is_stalled() {
            return Err(Refused::Stalled);
        }
        if !self.reads.add(ticket) {
            return Err(Refused::Busy);
        }
        self.after_event();
        Ok(())
    }

    /// Lets another voter stand for election as soon as it has everything. Whether it wins is seen in [`Standing`]; proposals
    /// are refused meanwhile, for the time of an election at most.
    ///
    /// # Errors
    ///
    /// [`Refused::NotLeader`], [`Refused::NotAVoter`], [`Refused::Stalled`].
    pub fn transfer_leadership(&mut self, to: Member) -> Result<(), Refused> {
        self.must_lead()?;
        if !self.members().voters.contains(&to) {
            return Err(Refused::NotAVoter(to));
        }
        self.node.transfer_leader(to.0);
        self.after_event();
        Ok(())
    }

    /// Messages to a peer were lost for sure, as its link broke or was full. Nothing depends on this; it saves time.
    pub fn report_unreachable(&mut self, peer: Member) {
        if !self.is_stalled() {
            self.node.report_unreachable(peer.0);
            if self.snapshots_sent.remove(&peer.0).is_some() {
                self.node.report_snapshot(peer.0, SnapshotStatus::Failure);
            }
            self.after_event();
        }
    }

    /// Takes a snapshot of the state machine in place of the log up to an index. The next step writes it; if that fails, the log
    /// stays as it is.
    ///
    /// # Errors
    ///
    /// [`NotCompacted`].
    pub fn compact(&mut self, up_to: Index, state: Vec<u8>) -> Result<(), NotCompacted> {
        let log = self.node.store();
        if up_to.0 <= log.snapshot_index() {
            return Err(NotCompacted::Covered);
        }
        if up_to.0 > self.applied {
            return Err(NotCompacted::NotApplied);
        }
        if state.len() > SNAPSHOT_BYTES_MAX {
            return Err(NotCompacted::TooLarge { bytes: state.len() });
        }
        let mut snapshot = Snapshot::default();
        let meta = snapshot.mut_metadata();
        meta.index = up_to.0;
        // Between the snapshot and what is applied every entry is there.
        meta.term = raft::Storage::term(log, up_to.0).map_err(|_| NotCompacted::Covered)?;
        let members = self.memberships.iter().rev().find(|(since, _)| *since <= up_to.0);
        meta.set_conf_state(members.map(|(_, members)| members.clone()).unwrap_or_default());
        snapshot.data = state.into();
        self.compaction = Some(snapshot);
        Ok(())
    }

    // --- what is so

    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Who takes part, by what has been applied here.
    pub fn members(&self) -> Members {
        self.memberships.back().map(|(_, members)| Members::of(members)).unwrap_or_default()
    }

    /// Up to where entries were handed out to be applied.
    pub fn applied(&self) -> Index {
        Index(self.applied)
    }

    /// Bytes of the log in memory, by which to tell when it should be compacted.
    pub fn log_bytes(&self) -> usize {
        self.node.store().bytes()
    }

    /// Whether a new member waits for a snapshot that knows it, so that [`Consensus::compact`] should be called now with what has
    /// been applied. The first member that joins a young cluster does.
    pub fn wants_snapshot(&self) -> bool {
        self.node.raft.state == StateRole::Leader && self.node.store().is_snapshot_old()
    }

    /// Whether nothing goes on until [`Consensus::step`] succeeds.
    pub fn is_stalled(&self) -> bool {
        self.pending.is_some()
    }

    /// How far the members have come, if this node leads: who has caught up may be promoted.
    pub fn progress(&self) -> Vec<Progress> {
        if self.node.raft.state != StateRole::Leader {
            return Vec::new();
        }
        let progress = self.node.raft.prs().iter().map(|(member, progress)| Progress {
            member: Member(*member),
            matched: Index(progress.matched),
            is_restoring: progress.state == raft::ProgressState::Snapshot,
        });
        progress.collect()
    }

    // --- steps

    /// Does what the events have led to. `save` writes to the journal; only once it has succeeded, the rest is handed out. To be
    /// called until it returns `None`, after every event or after several.
    ///
    /// # Errors
    ///
    /// What `save` says. If then [`Consensus::is_stalled`], nothing goes on before a step succeeds, which saves the same again;
    /// if not, a compaction was given up.
    pub fn step<E>(&mut self, mut save: impl FnMut(&Durable) -> Result<(), E>) -> Result<Option<Then>, E> {
        if self.pending.is_none() {
            self.save_compaction(&mut save)?;
            if !self.node.has_ready() && self.restore.is_none() && self.given_up.is_empty() {
                return Ok(None);
            }
            let ready = self.node.ready();
            let durable = self.durable(&ready);
            self.pending = Some((ready, durable));
        }
        if let Some((_, durable)) = &self.pending
            && !durable.is_empty()
        {
            save(durable)?;
        }
        Ok(self.pending.take().map(|(ready, durable)| self.go_on(ready, durable)))
    }

    fn save_compaction<E>(&mut self, save: &mut impl FnMut(&Durable) -> Result<(), E>) -> Result<(), E> {
        let log = self.node.store();
        let Some(snapshot) = self.compaction.take() else { return Ok(()) };
        // A leader's snapshot may have come in between.
        let index = snapshot.get_metadata().index;
        if index <= log.snapshot_index() {
            return Ok(());
        }
        let entries = log.behind(index).to_vec();
        let durable = Durable { snapshot: Some(snapshot), entries, hard_state: Some(log.hard_state().clone()) };
        save(&durable)?;
        self.node.mut_store().compact(durable.snapshot.unwrap_or_default());
        while self.memberships.get(1).is_some_and(|(since, _)| *since <= index) {
            self.memberships.pop_front();
        }
        Ok(())
    }

    /// What a ready must leave on the disk. A commit index alone need not be there, but no entry is without what was known to be
    /// committed before it.
    ///
    /// The raft crate takes a membership to be in force once it is applied, so who starts again has that of its snapshot and of
    /// the changes behind it which it knows to be committed. A change is proposed only once the one before is, and is sent along
    /// with that: so with this rule nobody is behind its own log by more than one change, and two memberships that follow upon each
    /// other have no majorities apart. Without it the first node forgot every change, took itself for the only voter, as when
    /// it began the cluster, and committed alone what the others never had.
    fn durable(&self, ready: &Ready) -> Durable {
        let entries = ready.entries().clone();
        let snapshot = Some(ready.snapshot()).filter(|snapshot| !snapshot.is_empty()).cloned();
        let is_written = ready.must_sync() || snapshot.is_some() || !entries.is_empty();
        // If the ready has none, nothing has changed since the last, nor since the commit index of its end.
        let hard_state = is_written.then(|| ready.hs().unwrap_or(self.node.store().hard_state()).clone());
        Durable { snapshot, entries, hard_state }
    }

    /// All of a step behind its writes.
    fn go_on(&mut self, mut ready: Ready, durable: Durable) -> Then {
        let mut then = Then { restore: self.restore.take(), ..Then::default() };
        if let Some(snapshot) = durable.snapshot {
            then.restore = Some(restored(&snapshot));
            let meta = snapshot.get_metadata();
            self.applied = meta.index;
            self.memberships = VecDeque::from([(meta.index, meta.get_conf_state().clone())]);
            self.node.mut_store().restore(snapshot);
        }
        self.node.mut_store().append(&durable.entries);
        if let Some(state) = ready.hs() {
            self.node.mut_store().set_hard_state(state.clone());
        }
        let reads = ready.take_read_states();
        let mut messages = ready.take_messages();
        messages.extend(ready.take_persisted_messages());
        let mut committed = ready.take_committed_entries();
        let mut light = self.node.advance_append(ready);
        if let Some(commit) = light.commit_index() {
            self.node.mut_store().set_commit(commit);
        }
        messages.extend(light.take_messages());
        committed.extend(light.take_committed_entries());
        committed.into_iter().for_each(|entry| self.apply(entry, &mut then));
        self.node.advance_apply();
        reads.iter().for_each(|read| self.reads.answer(&read.request_ctx, read.index));
        self.settle(&mut then);
        self.after_event();
        messages.into_iter().for_each(|message| self.send(message, &mut then.send));
        then
    }

    fn apply(&mut self, entry: Entry, then: &mut Then) {
        self.applied = entry.index;
        let mut settled = Settled::Committed(Index(entry.index));
        let what = if entry.get_entry_type() != EntryType::EntryNormal {
            let members = self.apply_change(&entry);
            if members.is_none() {
                settled = Settled::Unchanged;
            }
            members.map(What::Members)
        } else if entry.data.is_empty() {
            None
        } else {
            Some(What::Proposal(entry.data.to_vec()))
        };
        then.apply.extend(what.map(|what| Applied { index: Index(entry.index), term: Term(entry.term), what }));
        while let Some(proposed) = self.proposals.pop_front_if(|proposed| proposed.index <= entry.index) {
            let is_this = proposed.index == entry.index && proposed.term == entry.term;
            then.settled.push((proposed.ticket, if is_this { settled } else { Settled::Unknown }));
        }
    }

    /// Every node comes to the same answer here, also where a change turns out to be none.
    fn apply_change(&mut self, entry: &Entry) -> Option<Members> {
        let change = members::decode(&entry.data).ok()?;
        let state = self.node.apply_conf_change(&change).ok()?;
        let members = Members::of(&state);
        self.memberships.push_back((entry.index, state));
        // The raft crate lets a leader go on that votes no longer, and panics once it commits something (0.7.0, `maybe_commit`).
        if self.node.raft.state == StateRole::Leader && !self.node.raft.promotable() {
            let term = self.node.raft.term;
            self.node.raft.become_follower(term, raft::INVALID_ID);
        }
        Some(members)
    }

    fn settle(&mut self, then: &mut Then) {
        let (state, term) = (self.node.raft.state, self.node.raft.term);
        let leads = |proposed: &Proposed| state == StateRole::Leader && proposed.term == term;
        while let Some(lost) = self.proposals.pop_front_if(|proposed| !leads(proposed)) {
            then.settled.push((lost.ticket, Settled::Unknown));
        }
        let current = self.reads.current(self.applied);
        then.settled.extend(current.into_iter().map(|ticket| (ticket, Settled::Current(Index(self.applied)))));
        then.settled.extend(self.given_up.drain(..).map(|ticket| (ticket, Settled::NoQuorum)));
        let standing = self.look();
        if standing != self.standing {
            self.standing = standing;
            then.standing = Some(standing);
        }
    }

    fn look(&self) -> Standing {
        let raft = &self.node.raft;
        let own = self.options.member;
        let members = self.members();
        let role = match raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
            StateRole::Follower if members.voters.contains(&own) || members.voters_before.contains(&own) => Role::Voter,
            StateRole::Follower if members.learners.contains(&own) => Role::Learner,
            StateRole::Follower => Role::Outside,
        };
        let leader = (raft.leader_id != raft::INVALID_ID).then_some(Member(raft.leader_id));
        Standing { role, term: Term(raft.term), leader }
    }

    fn send(&mut self, message: Message, parcels: &mut Vec<Parcel>) {
        let to = message.to;
        if message.get_msg_type() == MessageType::MsgSnapshot {
            self.snapshots_sent.insert(message.to, 0);
        }
        let Some(message) = outgoing::anchored(&self.node.raft, message) else {
            // What it followed has been compacted since. The peer is asked anew where it stands, and gets the snapshot.
            return self.node.report_unreachable(to);
        };
        for part in outgoing::split(message) {
            let to = Member(part.to);
            parcels.extend(wire::message(&part).map(|bytes| Parcel { to, bytes }));
        }
    }

    // --- what follows from events

    fn after_event(&mut self) {
        if let Some(round) = self.reads.next_round() {
            self.node.read_index(round);
        }
        self.draw_timeout();
    }

    /// Draws the time of the next election from the incarnation and the term, in place of the raft crate, whose own draw a test
    /// could not repeat.
    fn draw_timeout(&mut self) {
        let drawn = self.draw(self.node.raft.term) % ELECTION_TICKS as u64;
        self.node.raft.set_randomized_election_timeout(ELECTION_TICKS + drawn as usize);
    }

    /// A number that other members and other starts draw otherwise.
    fn draw(&self, what: u64) -> u64 {
        let mut mixed = self.options.incarnation ^ self.options.member.0.rotate_left(32);
        mixed = mixed.wrapping_add(what.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Stands for election again soon if that came to nothing: two stood at the same time and split the vote, or the others still
    /// believed in the leader. The raft crate waits for as long as if a leader had just been heard.
    fn stand_again(&mut self) {
        let raft = &self.node.raft;
        if !matches!(raft.state, StateRole::Candidate | StateRole::PreCandidate) {
            self.stands_for = 0;
            if raft.leader_id != raft::INVALID_ID {
                self.stood_again = 0;
            }
            return;
        }
        self.stands_for += 1;
        let drawn = self.draw(!(raft.term << 8 | u64::from(self.stood_again))) % u64::from(3 * STAND_AGAIN_TICKS);
        let wait = (1 + self.stood_again) * (STAND_AGAIN_TICKS + drawn as u32);
        if wait < ELECTION_TICKS as u32 && self.stands_for > wait && raft.promotable() {
            self.stands_for = 0;
            self.stood_again += 1;
            // Whether it may is looked at there.
            let _ = self.node.campaign();
        }
    }

    /// The raft crate sends a member nothing but heartbeats while it believes a snapshot to be on its way.
    fn retry_snapshots(&mut self) {
        let raft = &self.node.raft;
        let waits =
            |member: &u64| raft.prs().get(*member).is_some_and(|one| one.state == raft::ProgressState::Snapshot);
        self.snapshots_sent.retain(|member, _| raft.state == StateRole::Leader && waits(member));
        self.snapshots_sent.values_mut().for_each(|ticks| *ticks += 1);
        let late: Vec<u64> =
            self.snapshots_sent.extract_if(.., |_, ticks| *ticks >= SNAPSHOT_RETRY_TICKS).map(|one| one.0).collect();
        late.into_iter().for_each(|member| self.node.report_snapshot(member, SnapshotStatus::Failure));
    }

    /// The raft crate ends a joint membership by itself where the leader that began it, or the next, applies the beginning. This
    /// is for what it may miss: whoever leads in a joint membership, with no change under way, ends it.
    fn leave_joint(&mut self) {
        let leads = self.node.raft.state == StateRole::Leader;
        if leads && !self.node.raft.has_pending_conf() && self.members().is_changing() {
            let _ = self.node.propose_conf_change(Vec::new(), ConfChangeV2::default());
        }
    }

    fn must_lead(&self) -> Result<(), Refused> {
        if self.is_stalled() {
            return Err(Refused::Stalled);
        }
        let raft = &self.node.raft;
        if raft.state != StateRole::Leader {
            let leader = Some(Member(raft.leader_id)).filter(|leader| leader.0 != raft::INVALID_ID);
            return Err(Refused::NotLeader { leader });
        }
        Ok(())
    }

    fn may_propose(&self) -> Result<(), Refused> {
        self.must_lead()?;
        if self.node.raft.lead_transferee.is_some() {
            return Err(Refused::Transferring);
        }
        if self.proposals.len() >= PROPOSALS_MAX || self.node.store().bytes() > LOG_BYTES_MAX {
            return Err(Refused::Busy);
        }
        Ok(())
    }

    /// Remembers who proposed the last entry of the log.
    fn note(&mut self, ticket: Ticket) {
        let (index, term) = (self.node.raft.raft_log.last_index(), self.node.raft.term);
        self.proposals.push_back(Proposed { index, term, ticket });
        self.after_event();
    }
}

fn restored(snapshot: &Snapshot) -> Restored {
    let meta = snapshot.get_metadata();
    let members = Members::of(meta.get_conf_state());
    Restored { index: Index(meta.index), state: snapshot.data.to_vec(), members }
}
