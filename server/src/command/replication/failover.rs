//! Changing roles with a replica on purpose, without losing a write (`FAILOVER`).
//!
//! Writes are held back until a replica has acknowledged all there is. Then the node follows that replica, and the question
//! with which it begins to follow asks the other to lead (`PSYNC id offset FAILOVER`). What was held back is refused then, as
//! the node is a replica. Other replicas come back to the new primary, which remembers the history they have seen.

use super::{Phase, State};
use crate::command::fault::Fault;
use crate::command::shared::Shared;
use std::time::{Duration, Instant};

/// What a client has asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailoverWish {
    /// Host and port of the replica that is to lead; any that has everything without it.
    pub target: Option<(String, u16)>,
    /// Whether the target is to lead when the time is over, even if it does not have everything.
    pub is_forced: bool,
    pub timeout: Option<Duration>,
}

/// A failover on its way.
pub(super) struct Failover {
    wish: FailoverWish,
    until: Option<Instant>,
    stage: Stage,
}

enum Stage {
    /// No replica is known to have everything.
    Waiting,
    /// The node follows the replica that is to lead.
    Following {
        /// Whether it may have heard the question: its answer was lost.
        has_asked: bool,
    },
}

/// What a failover that waits may do now.
enum Step {
    Wait,
    Follow((String, u16)),
    GiveUp,
}

impl Failover {
    /// As `INFO` calls it.
    pub fn state_name(failover: Option<&Failover>) -> &'static str {
        match failover.map(|failover| &failover.stage) {
            None => "no-failover",
            Some(Stage::Waiting) => "waiting-for-sync",
            Some(Stage::Following { .. }) => "failover-in-progress",
        }
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting)
    }

    /// What is left of its time.
    fn left(&self) -> Duration {
        self.until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
    }
}

impl State {
    /// The replica that a failover is for, as far as the wish names one.
    fn check_wish(&self, wish: &FailoverWish) -> Result<(), Fault> {
        if self.failover.is_some() {
            return Err(Fault::text("ERR FAILOVER already in progress."));
        }
        if self.upstream.is_some() {
            return Err(Fault::text("ERR FAILOVER is not valid when server is a replica."));
        }
        let mut replicas = self.followers.values().filter(|follower| !follower.is_lost && !follower.who.is_mute);
        if replicas.clone().next().is_none() {
            return Err(Fault::text("ERR FAILOVER requires connected replicas."));
        }
        if wish.is_forced && (wish.timeout.is_none() || wish.target.is_none()) {
            return Err(Fault::text("ERR FAILOVER with force option requires both a timeout and target HOST and IP."));
        }
        let Some((host, port)) = &wish.target else { return Ok(()) };
        let target = replicas.find(|follower| follower.who.host == *host && follower.who.port == *port);
        match target.map(|target| target.phase) {
            None => Err(Fault::text("ERR FAILOVER target HOST and PORT is not a replica.")),
            Some(Phase::Online) => Ok(()),
            Some(_) => Err(Fault::text("ERR FAILOVER target replica is not online.")),
        }
    }

    fn failover_step(&self) -> Step {
        let Some(Failover { wish, stage: Stage::Waiting, .. }) = &self.failover else { return Step::Wait };
        let end = self.ring.end();
        let mut ready = self.followers.values().filter(|follower| {
            !follower.is_lost && !follower.who.is_mute && follower.phase == Phase::Online && follower.acked == end
        });
        let of = |(host, port): &(String, u16), follower: &super::Follower| {
            follower.who.host == *host && follower.who.port == *port
        };
        let chosen = ready.find(|follower| wish.target.as_ref().is_none_or(|target| of(target, follower)));
        if let Some(chosen) = chosen {
            return Step::Follow((chosen.who.host.clone(), chosen.who.port));
        }
        match (&wish.target, self.failover.as_ref().is_some_and(|failover| failover.left().is_zero())) {
            (_, false) => Step::Wait,
            (Some(target), true) if wish.is_forced => Step::Follow(target.clone()),
            (_, true) => Step::GiveUp,
        }
    }

    fn is_following(&self, generation: u64) -> bool {
        let follows = matches!(self.failover, Some(Failover { stage: Stage::Following { .. }, .. }));
        follows && self.generation == generation
    }
}

impl Shared {
    /// Begins to change roles with a replica. The caller holds the barrier.
    ///
    /// # Errors
    ///
    /// Redis's.
    pub fn begin_failover(&self, wish: FailoverWish) -> Result<(), Fault> {
        let mut state = self.replication.state.lock();
        state.check_wish(&wish)?;
        let target = wish.target.as_ref().map_or("any replica".to_owned(), |(host, port)| format!("{host}:{port}"));
        let until = wish.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        state.failover = Some(Failover { wish, until, stage: Stage::Waiting });
        drop(state);
        tracing::info!(%target, "a failover begins: writes wait until the replica has everything");
        self.clients.hold_writes(true);
        // Nothing expires meanwhile, so that the stream comes to its end.
        self.store.set_follows(true);
        self.replication.ask_for_acks();
        self.replication.wake_follow();
        Ok(())
    }

    /// Gives a failover up, as a client asks. The caller holds the barrier.
    ///
    /// # Errors
    ///
    /// Redis's.
    pub fn abort_failover(&self) -> Result<(), Fault> {
        if self.replication.state.lock().failover.is_none() {
            return Err(Fault::text("ERR No failover in progress."));
        }
        self.give_failover_up("a client has asked for that");
        Ok(())
    }

    /// Goes on with a failover if a replica is ready or the time is over. Returns how long at most until the next look;
    /// whoever acknowledges wakes the caller before that. The caller is in no gate.
    pub fn step_failover(&self) -> Duration {
        let wait =
            |state: &State| state.failover.as_ref().filter(|it| it.is_waiting()).map_or(Duration::MAX, Failover::left);
        let state = self.replication.state.lock();
        if let Step::Wait = state.failover_step() {
            return wait(&state);
        }
        drop(state);
        self.barrier.alone(|| {
            let state = self.replication.state.lock();
            let step = state.failover_step();
            drop(state);
            match step {
                Step::Wait => {}
                Step::Follow(target) => self.follow_new_primary(target),
                Step::GiveUp => self.give_failover_up("no replica had everything in time"),
            }
        });
        wait(&self.replication.state.lock())
    }

    fn follow_new_primary(&self, target: (String, u16)) {
        if let Some(failover) = &mut self.replication.state.lock().failover {
            failover.stage = Stage::Following { has_asked: false };
        }
        tracing::info!(host = %target.0, port = target.1, "the replica is asked to lead");
        self.follow(Some(target));
    }

    /// The new primary has answered as one.
    pub fn end_failover(&self, generation: u64) {
        let mut state = self.replication.state.lock();
        if state.is_following(generation) {
            state.failover = None;
            drop(state);
            tracing::info!("the failover is done");
            self.clients.hold_writes(false);
        }
    }

    /// The replica that was asked to lead has not answered, or has answered with an error. The caller is in no gate.
    pub fn fail_failover(&self, generation: u64, has_asked: bool, refusal: Option<&str>) {
        let mut state = self.replication.state.lock();
        if !state.is_following(generation) {
            return;
        }
        let Some(Failover { stage: Stage::Following { has_asked: before }, .. }) = &mut state.failover else { return };
        let leads_already = *before && refusal.is_some_and(|text| text.contains(LEADS));
        *before |= has_asked;
        drop(state);
        match refusal {
            // It has taken over, and its answer to that was lost: now it is followed as any primary.
            Some(_) if leads_already => self.end_failover(generation),
            Some(text) => self.barrier.alone(|| {
                if self.replication.is_current(generation) {
                    self.give_failover_up(&format!("the replica answered \"{text}\""));
                }
            }),
            // Asked again with the next try.
            None => {}
        }
    }

    /// Leads on. The caller holds the barrier.
    fn give_failover_up(&self, why: &str) {
        let failover = self.replication.state.lock().failover.take();
        tracing::warn!("the failover is given up: {why}");
        match failover.map(|failover| failover.stage) {
            Some(Stage::Following { .. }) => {
                self.follow(None);
            }
            _ => self.store.set_follows(false),
        }
        self.clients.hold_writes(false);
    }

    /// Leads from here on, as the primary asks that is followed so far and has this history.
    ///
    /// # Errors
    ///
    /// What the primary is answered.
    pub fn take_over(&self, id: &str) -> Result<(), Fault> {
        self.barrier.alone(|| {
            self.replication.may_take_over(id)?;
            tracing::info!("leads, as its primary asked for");
            self.follow(None);
            Ok(())
        })
    }
}

/// What a primary answers that is asked to become one, in part.
const LEADS: &str = "can't be sent to a master";

impl super::Replication {
    /// Whether the node follows somebody whose history has this id, and so may be asked to lead.
    ///
    /// # Errors
    ///
    /// Redis's.
    pub fn may_take_over(&self, id: &str) -> Result<(), Fault> {
        let state = self.state.lock();
        if state.upstream.is_none() {
            return Err(Fault::text("ERR PSYNC FAILOVER can't be sent to a master."));
        }
        if !state.history.id.eq_ignore_ascii_case(id) {
            return Err(Fault::text("ERR PSYNC FAILOVER replid must match my replid."));
        }
        Ok(())
    }

    /// Whether the node is about to change roles.
    pub fn is_failing_over(&self) -> bool {
        self.state.lock().failover.is_some()
    }
}
