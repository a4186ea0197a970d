//! Reads that wait until this node is sure to be current.
//!
//! All reads that come while a round is under way share the next one, so that a leader has one round per member to hold and
//! not one per read. A round that is not answered (the message was lost, or the leader has yet to commit its first entry) is
//! asked again under a new name; a late answer to the old name is left out.

use std::collections::VecDeque;

use super::limits::{READ_RETRY_TICKS, READ_TICKS_MAX, READS_MAX};
use super::outcome::Ticket;

pub(super) struct Reads {
    /// What names this start of this node: a round of an earlier start must not answer one of this.
    prefix: [u8; 16],
    rounds: u64,
    waiting: Vec<Read>,
    asked: Vec<Read>,
    asked_for_ticks: u32,
    /// Rounds that were answered, with the index that must be applied first.
    answered: VecDeque<(u64, Vec<Read>)>,
}

struct Read {
    ticket: Ticket,
    ticks: u32,
}

impl Reads {
    pub(super) fn new(member: u64, incarnation: u64) -> Reads {
        let mut prefix = [0; 16];
        prefix[..8].copy_from_slice(&member.to_le_bytes());
        prefix[8..].copy_from_slice(&incarnation.to_le_bytes());
        let (waiting, asked) = (Vec::new(), Vec::new());
        Reads { prefix, rounds: 0, waiting, asked, asked_for_ticks: 0, answered: VecDeque::new() }
    }

    /// Whether there is room for one more.
    pub(super) fn add(&mut self, ticket: Ticket) -> bool {
        let answered: usize = self.answered.iter().map(|(_, reads)| reads.len()).sum();
        let has_room = self.waiting.len() + self.asked.len() + answered < READS_MAX;
        if has_room {
            self.waiting.push(Read { ticket, ticks: 0 });
        }
        has_room
    }

    /// The name of a round to ask for now, if there is one.
    pub(super) fn next_round(&mut self) -> Option<Vec<u8>> {
        if !self.asked.is_empty() || self.waiting.is_empty() {
            return None;
        }
        self.asked.append(&mut self.waiting);
        self.asked_for_ticks = 0;
        self.rounds += 1;
        Some(self.round())
    }

    fn round(&self) -> Vec<u8> {
        [&self.prefix[..], &self.rounds.to_le_bytes()].concat()
    }

    /// A round is answered: it is current once this index is applied.
    pub(super) fn answer(&mut self, round: &[u8], index: u64) {
        if round == self.round() && !self.asked.is_empty() {
            self.answered.push_back((index, std::mem::take(&mut self.asked)));
        }
    }

    /// The reads that are current now that this index is applied.
    pub(super) fn current(&mut self, applied: u64) -> Vec<Ticket> {
        let mut current = Vec::new();
        self.answered.retain_mut(|(index, reads)| {
            let waits = *index > applied;
            if !waits {
                current.extend(reads.iter().map(|read| read.ticket));
            }
            waits
        });
        current
    }

    /// A tick passes. Returns the reads that are given up.
    pub(super) fn tick(&mut self) -> Vec<Ticket> {
        self.asked_for_ticks += 1;
        if self.asked_for_ticks >= READ_RETRY_TICKS {
            self.waiting.append(&mut self.asked);
        }
        let answered = self.answered.iter_mut().map(|(_, reads)| reads);
        let mut given_up = Vec::new();
        for reads in [&mut self.waiting, &mut self.asked].into_iter().chain(answered) {
            reads.iter_mut().for_each(|read| read.ticks += 1);
            given_up.extend(reads.extract_if(.., |read| read.ticks >= READ_TICKS_MAX).map(|read| read.ticket));
        }
        given_up
    }
}
