//! A connection without its socket: bytes in, bytes and wishes out.
//!
//! Whoever owns the socket hands over what was read, sends what stands in [`Connection::output`], and asks what the
//! connection wants next. No handler knows of sockets, so another driver can take tokio's place.

use super::parser::{Limits, Malformed, Parsed, Parser};
use crate::base::quote;
use crate::command::clients::Buffers;
use crate::command::dispatch::{Batch, Ended, OUTPUT_PAUSE};
use crate::command::forward::Outcome;
use crate::command::replication::{Hold, Waiting};
use crate::command::shared::{Pass, Shared, steady_ms};
use crate::command::table::{self, Found};
use crate::command::tuning::INPUT_MAX;
use crate::command::words::Span;
use crate::command::{Reply, Scope, Session, Wait};
use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;

/// Capacity that the worker's buffers for lines typed by hand may keep.
const KEPT_CAPACITY: usize = 16 * 1024;

/// Words that a connection's parser may keep room for between requests.
const KEPT_WORDS: usize = 64;

/// What a worker lends to the connection it serves at the moment, so that idle ones hold nothing.
#[derive(Default)]
pub struct Bench {
    batch: Batch,
    output: Vec<u8>,
    inline: quote::Words,
}

/// What a connection wants of its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// More bytes.
    Read,
    /// To be run again, once the driver has tried to send.
    Run,
    /// To be run again at this time, one of `steady_ms`, or earlier if what is waited for may be told of.
    Wait { until_ms: u64, is_told: bool },
    /// To be closed once its output is sent.
    Close,
    /// To be given, once its output is sent, to those who send the stream to replicas.
    HandOver,
}

pub struct Connection {
    pub session: Session,
    parser: Parser,
    reply: Reply,
    /// Bytes of the output that are sent already.
    sent: usize,
    /// Received. The first `used` bytes are dealt with.
    input: Vec<u8>,
    used: usize,
    wish: Wish,
    /// Bytes that were dealt with before the input at hand, and those behind which no transaction was open.
    used_before: u64,
    settled: u64,
    /// Where the primary's empty lines were in them, since [`Connection::forget_blanks`].
    blanks: Vec<Range<u64>>,
}

impl Connection {
    pub fn new(session: Session) -> Connection {
        Connection {
            session,
            parser: Parser::default(),
            reply: Reply::default(),
            sent: 0,
            input: Vec::new(),
            used: 0,
            wish: Wish::Read,
            used_before: 0,
            settled: 0,
            blanks: Vec::new(),
        }
    }

    pub fn wish(&self) -> Wish {
        self.wish
    }

    /// What is to be sent now: all up to the first reply that is held, or that other nodes have still to give.
    #[inline]
    pub fn output(&self) -> &[u8] {
        let held = self.session.holds.front().map(|hold| hold.from);
        match (held, self.first_awaited()) {
            (None, None) => &self.reply.out[self.sent..],
            (Some(end), None) | (None, Some(end)) => &self.reply.out[self.sent..end],
            (Some(one), Some(other)) => &self.reply.out[self.sent..one.min(other)],
        }
    }

    /// Where the first reply belongs that other nodes have still to give.
    #[inline]
    fn first_awaited(&self) -> Option<usize> {
        self.session.forwarding.as_ref().and_then(|forwarding| forwarding.first_at())
    }

    /// Bytes of replies that are not sent yet, held ones included.
    pub fn held_len(&self) -> usize {
        self.reply.out.len() - self.sent
    }

    /// Whether there is a reply that is held, or that other nodes have still to give.
    #[inline]
    pub fn is_held(&self) -> bool {
        !self.session.holds.is_empty() || self.first_awaited().is_some()
    }

    /// Frees replies that are held no longer: their writes are acknowledged, or their time is over; and puts those where they
    /// belong that other nodes have given. Returns when to do so again, a time of `steady_ms`, if one is left; the
    /// connection is woken if something comes before.
    pub fn release(&mut self, node: &Shared) -> Option<u64> {
        let now_ms = steady_ms();
        match (self.gather(node, now_ms), self.release_held(node, now_ms)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// Puts the replies of other nodes where they belong, as far as none before them is missing. Returns when to look again.
    fn gather(&mut self, node: &Shared, now_ms: u64) -> Option<u64> {
        let client = self.session.client.clone();
        let forwarding = self.session.forwarding.as_mut().filter(|forwarding| !forwarding.is_idle())?;
        let view = node.cluster.view();
        let again_ms = forwarding.settle(&view, &client, now_ms);
        let mut come = Vec::new();
        while let Some((at, outcome)) = forwarding.take_done(&view, &client) {
            match outcome {
                Outcome::Reply(reply) => come.push((at, reply)),
                Outcome::Lost => {
                    tracing::info!(
                        client = client.id,
                        "closed: a node broke off that was to run its command, and may have"
                    );
                    client.kill();
                }
            }
        }
        forwarding.shift(0, come.iter().map(|(_, reply)| reply.len() as isize).sum());
        let is_idle = forwarding.is_idle();
        self.insert(&come);
        if is_idle { None } else { Some(again_ms.unwrap_or(u64::MAX)) }
    }

    /// Puts replies into the output, each where it belongs; what stands behind them is copied once, however many there are.
    fn insert(&mut self, come: &[(usize, Vec<u8>)]) {
        let (Some((first, _)), out) = (come.first(), &mut self.reply.out) else { return };
        let rest = out.split_off(*first);
        let mut copied = 0;
        for (at, reply) in come {
            out.extend_from_slice(&rest[copied..at - first]);
            copied = at - first;
            out.extend_from_slice(reply);
        }
        out.extend_from_slice(&rest[copied..]);
        for hold in &mut self.session.holds {
            let by: usize = come.iter().take_while(|(at, _)| *at <= hold.from).map(|(_, reply)| reply.len()).sum();
            (hold.from, hold.to) = (hold.from + by, hold.to + by);
        }
    }

    fn release_held(&mut self, node: &Shared, now_ms: u64) -> Option<u64> {
        while let Some(hold) = self.session.holds.front() {
            let is_due = node.replication.is_due(hold);
            if !is_due && now_ms < hold.until_ms && !node.replication.is_late(hold) {
                let (until_ms, needed) = (hold.until_ms, hold.needed());
                // What is read may be older than what was written before it.
                let last = self.session.holds.back().map_or(0, |last| last.mark.offset).max(hold.mark.offset);
                let waiting = Waiting { client: self.session.client.clone(), offset: last, needed };
                if node.replication.wait_for(waiting) {
                    continue;
                }
                return Some(until_ms);
            }
            let Some(hold) = self.session.holds.pop_front() else { break };
            if !is_due {
                self.fail(&hold, node);
            }
        }
        node.replication.wait_no_more(self.session.client.id);
        None
    }

    /// Puts an error in the place of a reply whose write, or the writes that it shows, too few others have acknowledged.
    fn fail(&mut self, hold: &Hold, node: &Shared) {
        let what = match (hold.is_everywhere, hold.is_read) {
            (true, _) => "A replica in sync has not confirmed it",
            (_, true) => "What was read may be lost yet",
            _ => "The write stands on the primary only",
        };
        let name = hold.durability_name();
        let why = match node.replication.is_late(hold) {
            true => format!("this node ceased to lead before durability {name} was reached"),
            false => {
                format!("durability {name} was not reached within {} ms", node.replication.durability_timeout_ms())
            }
        };
        let text = format!("-NOTDURABLE {what}: {why}\r\n");
        self.reply.out.splice(hold.from..hold.to, text.bytes());
        node.stats.error("NOTDURABLE".into());
        let (old, new) = (hold.to - hold.from, text.len());
        self.shift_awaited(hold.to, new as isize - old as isize);
        self.session.holds.iter_mut().for_each(|later| {
            (later.from, later.to) = (later.from + new - old, later.to + new - old);
        });
    }

    /// Notes that the replies that other nodes have still to give belong further on, if they belong at `from` or behind.
    fn shift_awaited(&mut self, from: usize, by: isize) {
        if let Some(forwarding) = &mut self.session.forwarding {
            forwarding.shift(from, by);
        }
    }

    /// Notes that the first bytes of the output have been sent.
    pub fn sent(&mut self, bytes: usize, bench: &mut Bench) {
        self.sent += bytes;
        if self.sent == self.reply.out.len() {
            self.shift_awaited(0, -(self.sent as isize));
            self.sent = 0;
            self.reply.out.clear();
            // A quiet connection gives its buffer to the worker's next.
            if bench.output.capacity() == 0 && self.reply.out.capacity() <= OUTPUT_PAUSE * 2 {
                bench.output = std::mem::take(&mut self.reply.out);
            } else {
                self.reply.out = Vec::new();
            }
        } else if self.sent > self.reply.out.len() / 2 {
            self.reply.out.drain(..self.sent);
            let sent = std::mem::take(&mut self.sent);
            self.session.holds.iter_mut().for_each(|hold| (hold.from, hold.to) = (hold.from - sent, hold.to - sent));
            self.shift_awaited(0, -(sent as isize));
        }
    }

    /// Adds bytes to the output that answer no request.
    pub fn push(&mut self, bytes: Vec<u8>) {
        if self.reply.out.is_empty() {
            self.reply.out = bytes;
        } else {
            self.reply.out.extend_from_slice(&bytes);
        }
    }

    /// Bytes received and not dealt with.
    pub fn input_len(&self) -> usize {
        self.input.len() - self.used
    }

    /// Whether there is nothing to deal with but what is read next.
    pub fn is_at_rest(&self) -> bool {
        self.input.is_empty() && self.wish == Wish::Read
    }

    /// Takes bytes that were read, and runs what is whole.
    pub fn receive(&mut self, bytes: &[u8], node: &Shared, bench: &mut Bench, pass: &mut Pass<'_>) {
        if self.is_at_rest() {
            let used = self.run_all(bytes, node, bench, pass);
            self.input.extend_from_slice(&bytes[used..]);
        } else {
            self.input.extend_from_slice(bytes);
            if self.wish == Wish::Read {
                self.run(node, bench, pass);
            }
        }
        // What a transaction has queued is not dealt with either.
        // A primary may say what it was told by clients, one after the other, up to what places in a buffer can count.
        let input_max = if self.session.is_primary { INPUT_MAX as usize } else { node.tuning.input_max() };
        if self.input_len() + self.session.queued_bytes() > input_max {
            tracing::warn!(
                client = self.session.client.id,
                "closed: its unfinished request, or transaction, is over client-query-buffer-limit"
            );
            node.stats.killed_for_input.fetch_add(1, Relaxed);
            self.wish = Wish::Close;
        }
    }

    /// Goes on with what was received earlier.
    pub fn run(&mut self, node: &Shared, bench: &mut Bench, pass: &mut Pass<'_>) {
        self.wish = Wish::Read;
        let input = std::mem::take(&mut self.input);
        self.used += self.run_all(&input[self.used..], node, bench, pass);
        self.input = input;
        self.give_up_used();
    }

    /// Runs all that was received, for a peer whose answers nobody wants: they are dropped. `done` is called for each
    /// piece that has been run.
    ///
    /// # Errors
    ///
    /// If what it sent makes no sense, or what `done` says.
    pub fn run_on(
        &mut self,
        node: &Shared,
        bench: &mut Bench,
        pass: &mut Pass<'_>,
        done: &mut dyn FnMut(&Connection) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            (self.sent, self.reply.out) = (0, Vec::new());
            done(self)?;
            match self.wish {
                // It has been handed over, and what came since is still to be run.
                Wish::Run | Wish::HandOver => self.run(node, bench, pass),
                Wish::Close => return Err("has sent what is no command, or is not listened to any longer".to_owned()),
                Wish::Read | Wish::Wait { .. } => return Ok(()),
            }
        }
    }

    /// Forgets the bytes that are dealt with. Those behind them move only if they are fewer, so that much input that is
    /// run bit by bit is not moved for every bit.
    fn give_up_used(&mut self) {
        if self.used == self.input.len() {
            // A buffer that is empty goes: most connections are idle most of the time.
            self.input = Vec::new();
            self.used = 0;
        } else if self.used > self.input.len() / 2 {
            self.input.drain(..self.used);
            self.used = 0;
        }
    }

    /// Bytes received so far up to the last point at which all that came before had taken effect: a transaction takes
    /// effect as a whole.
    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// Where, in the bytes received so far, the primary's empty lines were.
    pub fn blanks(&self) -> &[Range<u64>] {
        &self.blanks
    }

    pub fn forget_blanks(&mut self) {
        self.blanks.clear();
    }

    /// Notes that all is settled up to a place in the input at hand, unless a transaction is open.
    fn settle(&mut self, at: usize) {
        if self.session.queue.is_none() {
            self.settled = self.used_before + at as u64;
        }
    }

    /// Runs whole requests, in batches. Returns how many bytes were used.
    fn run_all(&mut self, input: &[u8], node: &Shared, bench: &mut Bench, pass: &mut Pass<'_>) -> usize {
        let used = self.run_batches(input, node, bench, pass);
        self.settle(used);
        self.used_before += used as u64;
        used
    }

    fn run_batches(&mut self, input: &[u8], node: &Shared, bench: &mut Bench, pass: &mut Pass<'_>) -> usize {
        if self.reply.out.capacity() == 0 {
            std::mem::swap(&mut self.reply.out, &mut bench.output);
        }
        let mut start = 0;
        let output_max = self.reply.out.len() + OUTPUT_PAUSE;
        loop {
            let (next, fault) = self.run_batch(input, start, node, bench, pass);
            if let Some(fault) = fault {
                self.refuse(&fault, node);
                return next;
            }
            let stuck = next == start;
            start = next;
            if self.wish != Wish::Read || stuck {
                self.parser.shrink_to(KEPT_WORDS);
                return start;
            }
            if self.reply.out.len() >= output_max {
                self.wish = Wish::Run;
                return start;
            }
        }
    }

    /// Parses up to a batch of requests and runs them. Returns where the next begins, and what ended the parsing.
    fn run_batch(
        &mut self,
        input: &[u8],
        from: usize,
        node: &Shared,
        bench: &mut Bench,
        pass: &mut Pass<'_>,
    ) -> (usize, Option<Malformed>) {
        bench.batch.clear();
        self.settle(from);
        let mut start = from;
        let mut fault = None;
        let mut line = None;
        let mut ends_piece = false;
        // Before login each request may change what the next may be.
        let alone = !self.session.authenticated;
        let limits = Limits { bulk_len_max: node.tuning.bulk_len_max(), logged_in: !alone };
        while !bench.batch.is_full() && (!alone || bench.batch.is_empty()) {
            match self.parser.parse(input, start, limits) {
                Ok(Parsed::Request { .. }) if self.begins_piece(input, start) && !bench.batch.is_empty() => {
                    self.parser.begin();
                    ends_piece = true;
                    break;
                }
                Ok(Parsed::Request { end }) => {
                    bench.batch.add(self.parser.words(), start, end);
                    self.next_request(&mut start, end);
                }
                Ok(Parsed::Nothing { end }) => self.next_request(&mut start, end),
                Ok(Parsed::Line { from, to, end }) => {
                    // What precedes the line is run first.
                    if bench.batch.is_empty() {
                        line = Some((from, to, end));
                    }
                    break;
                }
                Ok(Parsed::Incomplete { .. }) => break,
                Err(malformed) => {
                    fault = Some(malformed);
                    break;
                }
            }
        }
        if !bench.batch.is_empty() {
            self.session.is_alone = bench.batch.len() == 1 && start == input.len();
            let ended = bench.batch.run(input, node, &mut self.session, &mut self.reply, pass);
            match self.end_of_batch(ended, from) {
                Some(resume) => return (resume, None),
                None if matches!(self.wish, Wish::Close | Wish::HandOver) => return (start, None),
                None if ends_piece => {
                    self.wish = Wish::Run;
                    return (start, None);
                }
                None => {}
            }
        }
        match line {
            Some((from, to, end)) => self.run_line(input, (from, to, end), node, bench, pass),
            None => (start, fault),
        }
    }

    /// Whether the request that was parsed begins a piece of the primary's stream, before which all that was said is to be
    /// passed on: a transaction, so that it can be told where it began, and what is about everything, as it gives its gate
    /// up for a moment.
    fn begins_piece(&self, input: &[u8], start: usize) -> bool {
        let word = |span: &Span| &input[start + span.start as usize..][..span.len as usize];
        let is_first = |found: &Found| found.row.scope == Scope::Everything || found.row.name == "MULTI";
        let first = self.parser.words().first().filter(|_| self.session.is_primary);
        first.and_then(|span| table::find(word(span))).is_some_and(is_first)
    }

    fn next_request(&mut self, start: &mut usize, end: usize) {
        self.parser.begin();
        *start = end;
    }

    /// Notes how a batch ended. Returns where to begin again if requests wait.
    fn end_of_batch(&mut self, ended: Ended, from: usize) -> Option<usize> {
        match ended {
            Ended::Done => None,
            Ended::Close => {
                self.wish = Wish::Close;
                None
            }
            Ended::HandOver => {
                self.wish = Wish::HandOver;
                None
            }
            Ended::Paused { from: resume } => {
                self.wish = Wish::Run;
                self.parser.begin();
                Some(resume.max(from))
            }
            Ended::Wait { from: resume, wait } => {
                self.wish = match wait {
                    Wait::Until(until_ms) => Wish::Wait { until_ms, is_told: true },
                    Wait::Again(until_ms) => Wish::Wait { until_ms, is_told: false },
                };
                self.parser.begin();
                Some(resume.max(from))
            }
        }
    }

    /// Runs a line typed by hand: its words are taken out of their quotes first.
    fn run_line(
        &mut self,
        input: &[u8],
        (from, to, end): (usize, usize, usize),
        node: &Shared,
        bench: &mut Bench,
        pass: &mut Pass<'_>,
    ) -> (usize, Option<Malformed>) {
        let Bench { batch, inline, .. } = bench;
        if inline.split(&input[from..to]).is_err() {
            return (end, Some(Malformed::because("unbalanced quotes in request")));
        }
        self.parser.begin();
        let mut buffer = Vec::new();
        let mut spans = Vec::new();
        for word in inline.iter() {
            spans.push(Span { start: buffer.len() as u32, len: word.len() as u32 });
            buffer.extend_from_slice(word);
        }
        inline.shrink_to(KEPT_CAPACITY);
        if spans.is_empty() {
            if self.session.is_primary {
                self.blanks.push(self.used_before + from as u64..self.used_before + end as u64);
            }
            return (end, None);
        }
        batch.clear();
        batch.add(&spans, 0, buffer.len());
        let ended = batch.run(&buffer, node, &mut self.session, &mut self.reply, pass);
        match self.end_of_batch(ended, 0) {
            // The line itself waits: it is parsed again.
            Some(_) => (from, None),
            None => (end, None),
        }
    }

    fn refuse(&mut self, fault: &Malformed, node: &Shared) {
        self.reply.out.push(b'-');
        self.reply.out.extend_from_slice(fault.wire());
        self.reply.out.extend_from_slice(b"\r\n");
        node.stats.error("ERR".into());
        tracing::debug!(client = self.session.client.id, "closed: {}", String::from_utf8_lossy(fault.wire()));
        self.wish = Wish::Close;
    }

    /// Writes what other connections may see of it; how much lies in its buffers is told by [`Connection::publish_output`].
    pub fn publish(&self, now_ms: u64) {
        let client = &self.session.client;
        client.active_ms.store(now_ms, Relaxed);
        client.protocol.store(self.reply.protocol(), Relaxed);
    }

    /// Writes how much has not been sent yet, and what both buffers take.
    pub fn publish_output(&self) {
        self.session.client.note_buffers(Buffers {
            input: self.input_len(),
            input_capacity: self.input.capacity(),
            output: self.output().len(),
            output_capacity: self.reply.out.capacity(),
        });
    }
}

#[cfg(test)]
mod tests;
