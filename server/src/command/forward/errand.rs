//! A command that is on its way to other nodes: what is asked of which node, and how the answers become its reply.

use super::answer::{Answer, Came, Manner, Outgoing, leased_ms};
use super::spread::{Cursor, Gather, Share};
use crate::cluster::id::{Id, ShardId};
use crate::command::clients::Client;
use crate::command::cluster::View;
use crate::command::fault::Fault;
use crate::command::words::Kept;
use crate::repl::spell::push_command;
use larder_client::slot::{self, Slot};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is asked.
pub enum Work {
    /// The node that has a slot is asked as the client has asked.
    Slot { slot: u16, request: Arc<[u8]>, commands: usize },
    /// Each node is asked about its own keys: every `step` words from `first` on, the first of them a key.
    Keys { words: Kept, first: usize, step: usize, gather: Gather },
    /// All shards are asked the same.
    All { request: Arc<[u8]>, gather: Gather },
    /// One shard is asked, whose place among all is in the cursor.
    Scan { request: Arc<[u8]>, cursor: Cursor },
}

/// Lines of its own: as many, from this number on, as nodes are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lone {
    pub number: u64,
    /// Whether it is needed no longer behind this.
    pub is_last: bool,
    /// If the command depends on what was said on the line before: the reply where that line is no more.
    pub otherwise: Option<&'static [u8]>,
}

/// What a part of the work is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum About {
    Slot(u16),
    /// Keys of one shard, by their places among all.
    Keys(Vec<u32>),
    Shard(ShardId),
}

struct Part {
    about: About,
    state: State,
}

enum State {
    /// It is to be sent, and why it has not been done before.
    Due(Vec<u8>),
    Sent(Arc<Answer>),
    Done(Vec<u8>),
}

/// What comes of an errand.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    Reply(Vec<u8>),
    /// A line broke on which it was said: nobody knows whether it was run.
    Lost,
}

pub struct Errand {
    /// Where in the output its reply belongs.
    pub at: usize,
    /// Whether nobody wants a reply.
    pub is_hushed: bool,
    pub lone: Option<Lone>,
    pub manner: Manner,
    /// Whether it may be said anew where nobody knows whether it was run.
    pub is_repeatable: bool,
    /// Whether it is said a second time once all have answered: what was on its way from one shard to another in the first round has
    /// arrived by then.
    pub has_second_round: bool,
    /// Replies of the first round.
    first_round: Vec<Vec<u8>>,
    /// If it may wait there for long: its reply where that is called off.
    pub nothing: Option<&'static [u8]>,
    /// A time of `steady_ms` after which it is not tried again.
    pub until_ms: u64,
    /// Whether its client has asked for nothing more: then it may wait while somebody loads the key, until this time.
    pub may_wait: bool,
    waits_until_ms: Option<u64>,
    work: Work,
    parts: Vec<Part>,
    is_lost: bool,
}

impl Errand {
    pub fn new(at: usize, work: Work, manner: Manner, until_ms: u64) -> Errand {
        let (is_hushed, is_repeatable, is_lost) = (false, false, false);
        let (lone, nothing, parts) = (None, None, Vec::new());
        let (may_wait, waits_until_ms) = (false, None);
        let (has_second_round, first_round) = (false, Vec::new());
        Errand {
            at,
            is_hushed,
            lone,
            manner,
            is_repeatable,
            has_second_round,
            first_round,
            nothing,
            until_ms,
            may_wait,
            waits_until_ms,
            work,
            parts,
            is_lost,
        }
    }

    /// Bytes of what is asked.
    pub fn bytes(&self) -> usize {
        match &self.work {
            Work::Slot { request, .. } | Work::All { request, .. } | Work::Scan { request, .. } => request.len(),
            Work::Keys { words, .. } => words.words().bytes(),
        }
    }

    /// Divides the work among the nodes that have to do with it.
    ///
    /// # Errors
    ///
    /// If some slot is nobody's.
    pub fn divide(&mut self, view: &View) -> Result<(), Fault> {
        let abouts = match &self.work {
            Work::Slot { slot, .. } => vec![About::Slot(*slot)],
            Work::Keys { words, first, step, .. } => {
                let keys = (words.words().len() - first) / step;
                self.divide_keys(&(0..keys as u32).collect::<Vec<u32>>(), view)?
            }
            Work::All { .. } => shards(view).into_iter().map(About::Shard).collect(),
            Work::Scan { cursor, .. } => {
                shards(view).get(cursor.shard).copied().map(About::Shard).into_iter().collect()
            }
        };
        if abouts.is_empty() {
            return Err(Fault::SlotUnserved);
        }
        self.parts = abouts.into_iter().map(|about| Part { about, state: State::Due(Vec::new()) }).collect();
        Ok(())
    }

    fn divide_keys(&self, keys: &[u32], view: &View) -> Result<Vec<About>, Fault> {
        let Work::Keys { words, first, step, .. } = &self.work else { return Ok(Vec::new()) };
        let mut by_shard: BTreeMap<ShardId, Vec<u32>> = BTreeMap::new();
        for key in keys {
            let slot = slot::of(words.words().get(first + *key as usize * step));
            by_shard.entry(view.topology.owner(slot).ok_or(Fault::SlotUnserved)?).or_default().push(*key);
        }
        Ok(by_shard.into_values().map(About::Keys).collect())
    }

    /// Who is asked about a part.
    fn node_of(&self, about: &About, view: &View) -> Option<Id> {
        let shard_of = |slot: u16| view.topology.owner(Slot::new(slot)?);
        let shard = match about {
            About::Slot(slot) => shard_of(*slot),
            About::Shard(shard) => Some(*shard),
            About::Keys(keys) => match &self.work {
                Work::Keys { words, first, step, .. } => {
                    view.topology.owner(slot::of(words.words().get(first + *keys.first()? as usize * step)))
                }
                _ => None,
            },
        };
        Some(view.topology.shard(shard?)?.primary)
    }

    fn request(&self, about: &About) -> (Arc<[u8]>, usize) {
        match (&self.work, about) {
            (Work::Slot { request, commands, .. }, _) => (request.clone(), *commands),
            (Work::All { request, .. } | Work::Scan { request, .. }, _) => (request.clone(), 1),
            (Work::Keys { words, first, step, .. }, About::Keys(keys)) => {
                let words = words.words();
                let mut chosen: Vec<&[u8]> = (0..*first).map(|at| words.get(at)).collect();
                for key in keys {
                    let from = first + *key as usize * step;
                    chosen.extend((from..from + step).map(|at| words.get(at)));
                }
                let mut request = Vec::new();
                push_command(&mut request, chosen.into_iter());
                (request.into(), 1)
            }
            (Work::Keys { .. }, _) => (Arc::default(), 0),
        }
    }

    /// Sends the parts that are due. Returns whether this node itself is asked.
    pub fn send(&mut self, view: &View, client: &Arc<Client>, outgoing: &mut Vec<Outgoing>) -> bool {
        let mut asks_itself = false;
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in std::mem::take(&mut self.parts) {
            let State::Due(why) = part.state else {
                parts.push(part);
                continue;
            };
            // Keys that were one node's may be several nodes' now.
            let abouts = match &part.about {
                About::Keys(keys) => self.divide_keys(keys, view).unwrap_or_else(|_| vec![part.about.clone()]),
                _ => vec![part.about],
            };
            for about in abouts {
                let Some(to) = self.node_of(&about, view) else {
                    parts.push(Part { about, state: State::Due(why.clone()) });
                    continue;
                };
                asks_itself |= to == view.me;
                let answer = Answer::new(client.clone());
                let (request, commands) = self.request(&about);
                outgoing.push(Outgoing {
                    to,
                    manner: self.manner,
                    lone: self.lone.map(|lone| (client.id, lone.number + parts.len() as u64)),
                    is_last: self.lone.is_some_and(|lone| lone.is_last),
                    goes_on: self.lone.is_some_and(|lone| lone.otherwise.is_some()),
                    request,
                    commands,
                    answer: Some(answer.clone()),
                });
                parts.push(Part { about, state: State::Sent(answer) });
            }
        }
        self.parts = parts;
        asks_itself
    }

    /// Takes the answers that have come.
    pub fn hear(&mut self, now_ms: u64) {
        let (is_repeatable, lone) = (self.is_repeatable, self.lone);
        let null = self.null();
        for part in &mut self.parts {
            let State::Sent(answer) = &part.state else { continue };
            part.state = match answer.take() {
                None => continue,
                Some(Came::Reply(reply)) => State::Done(reply),
                Some(Came::Nothing(why)) if let Some(millis) = leased_ms(&why) => {
                    let until_ms = *self.waits_until_ms.get_or_insert(now_ms + millis);
                    if self.may_wait && now_ms < until_ms { State::Due(why) } else { State::Done(null.to_vec()) }
                }
                Some(Came::Lost) if !is_repeatable => {
                    self.is_lost = true;
                    State::Done(Vec::new())
                }
                Some(came) => match (lone.and_then(|lone| lone.otherwise), came) {
                    (Some(reply), _) => State::Done(reply.to_vec()),
                    (None, Came::Nothing(why)) => State::Due(why),
                    (None, _) => State::Due(Vec::new()),
                },
            };
        }
    }

    /// What a GET is answered that finds nothing.
    fn null(&self) -> &'static [u8] {
        if self.manner.protocol == 3 { b"_\r\n" } else { b"$-1\r\n" }
    }

    /// Gives up what is due when its time is over.
    pub fn expire(&mut self, now_ms: u64) {
        if self.waits_until_ms.is_some_and(|until_ms| now_ms >= until_ms) {
            let null = self.null();
            for part in &mut self.parts {
                if matches!(&part.state, State::Due(why) if leased_ms(why).is_some()) {
                    part.state = State::Done(null.to_vec());
                }
            }
        }
        if now_ms < self.until_ms {
            return;
        }
        for part in &mut self.parts {
            if let State::Due(why) = &mut part.state {
                let why = std::mem::take(why);
                // Where a node has sent this one is of no use to the client.
                let is_reason = !why.is_empty() && !why.starts_with(b"-MOVED ") && !why.starts_with(b"-ASK ");
                part.state = State::Done(if is_reason { why } else { UNREACHED.to_vec() });
            }
        }
    }

    /// Ends it with a reply that nobody has given.
    pub fn call_off(&mut self, reply: &[u8]) {
        for part in &mut self.parts {
            if let State::Sent(answer) = &part.state {
                answer.give_up();
            }
            part.state = State::Done(reply.to_vec());
        }
    }

    /// Begins the second round, if there is one and the first has come to a good end. Returns whether it does.
    pub fn begin_second_round(&mut self) -> bool {
        let is_good = |part: &Part| matches!(&part.state, State::Done(reply) if !reply.starts_with(b"-"));
        if !self.has_second_round || self.is_lost || !self.parts.iter().all(is_good) {
            return false;
        }
        self.has_second_round = false;
        for part in &mut self.parts {
            if let State::Done(reply) = std::mem::replace(&mut part.state, State::Due(Vec::new())) {
                self.first_round.push(reply);
            }
        }
        true
    }

    /// Whether some part is to be sent.
    pub fn is_due(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.state, State::Due(_)))
    }

    /// Whether some part is on its way.
    pub fn is_under_way(&self) -> bool {
        self.parts.iter().any(|part| matches!(part.state, State::Sent(_)))
    }

    /// Whether the reply depends on how many shards there are.
    pub fn counts_shards(&self) -> bool {
        matches!(self.work, Work::Scan { .. })
    }

    /// What came of it, once all has come; there are so many shards.
    pub fn outcome(&self, shards: usize) -> Option<Outcome> {
        if self.is_lost {
            return Some(Outcome::Lost);
        }
        let mut shares = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let State::Done(reply) = &part.state else { return None };
            let keys = if let About::Keys(keys) = &part.about { &keys[..] } else { &[] };
            shares.push(Share { keys, reply });
        }
        shares.extend(self.first_round.iter().map(|reply| Share { keys: &[], reply }));
        let [first, ..] = &shares[..] else { return Some(Outcome::Reply(UNREACHED.to_vec())) };
        Some(Outcome::Reply(match &self.work {
            Work::Slot { .. } => first.reply.to_vec(),
            Work::Keys { gather, .. } | Work::All { gather, .. } => gather.join(&shares),
            Work::Scan { cursor, .. } => cursor.lead_on(first.reply, shards),
        }))
    }
}

/// Nobody waits for it any more.
impl Drop for Errand {
    fn drop(&mut self) {
        for part in &self.parts {
            if let State::Sent(answer) = &part.state {
                answer.give_up();
            }
        }
    }
}

const UNREACHED: &[u8] = b"-CLUSTERDOWN The node that serves it cannot be reached\r\n";

/// The shards that have slots, by their numbers.
pub fn shards(view: &View) -> Vec<ShardId> {
    let mut shards: Vec<ShardId> = view.runs().iter().map(|run| run.shard).collect();
    shards.sort_unstable();
    shards.dedup();
    shards
}
