//! Random scripts: which connection says what.

use crate::grammar::fill;
use crate::groups::{Group, Line};
use crate::random::Random;
use crate::words::{Dictionary, Words};
use larder_tests::split;

/// What is done before both servers are looked at.
#[derive(Clone, Debug)]
pub enum Step {
    /// One connection sends requests at once, all of which are answered.
    Batch { client: usize, requests: Vec<Words> },
    /// One connection sends requests of which only the last is answered.
    Silent { client: usize, requests: Vec<Words> },
    /// Connections send requests that may wait for one another's. Those who wait say nothing more; in the end they are woken.
    Waiting(Vec<(usize, Words)>),
}

impl Step {
    /// How many requests there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Batch { requests, .. } | Self::Silent { requests, .. } => requests.len(),
            Self::Waiting(events) => events.len(),
        }
    }

    /// Whether requests can be left out one by one.
    pub fn is_divisible(&self) -> bool {
        !matches!(self, Self::Silent { .. }) && self.len() > 1
    }

    /// The step without one of its requests. A consumer that is created goes together with what needs it.
    pub fn without(&self, index: usize) -> Self {
        let mut step = self.clone();
        match &mut step {
            Self::Batch { requests, .. } | Self::Silent { requests, .. } => {
                let is_created = |at: usize| requests.get(at).is_some_and(is_consumer_created);
                let last = (index..).find(|at| !is_created(*at)).unwrap_or(index);
                drop(requests.drain(index..(last + 1).min(requests.len())));
            }
            Self::Waiting(events) => drop(events.remove(index)),
        }
        step
    }

    /// Its requests and who sends them.
    pub fn requests(&self) -> Vec<(usize, &Words)> {
        match self {
            Self::Batch { client, requests } | Self::Silent { client, requests } => {
                requests.iter().map(|words| (*client, words)).collect()
            }
            Self::Waiting(events) => events.iter().map(|(client, words)| (*client, words)).collect(),
        }
    }
}

/// Connections that take turns.
pub const CLIENTS: usize = 6;

/// Of these, the first may be made to wait, and the last subscribes: in RESP2 it can do little else while it does.
const WAITERS: usize = 3;
const SUBSCRIBER: usize = CLIENTS - 1;

/// Words that stand where others should.
const ODD: &[&str] = &[
    "",
    "x",
    "0",
    "-1",
    "1",
    "99999999999999999999",
    "-9223372036854775809",
    "4294967296",
    "1.5",
    "1e3",
    " 1",
    "1 ",
    "+1",
    "01",
    "nan",
    "-inf",
    "\u{4}\0",
    "\u{e9}",
    "NX",
    "xx",
    "GET",
    "keepttl",
    "EX",
    "PX",
    "DB",
    "COUNT",
    "MATCH",
    "REPLACE",
    "HELP",
    "0x10",
    "LIMIT",
    "WITHSCORES",
    "STORE",
    "(1",
];

/// Requests that end a silence themselves, or that a silent connection's state would hang on, that need another before
/// them, or whose reply tells that the servers part.
const NEVER_SILENT: &[&str] =
    &["QUIT", "RESET", "CLIENT", "MULTI", "EXEC", "DISCARD", "XCLAIM", "XAUTOCLAIM", "XREADGROUP", "SORT"];

/// Makes steps of the lines of some groups.
pub struct Author<'a> {
    dictionary: Dictionary<'a>,
    lines: Vec<Line>,
    subscribing: Vec<Line>,
    waiting: Vec<Line>,
    feeding: Vec<Line>,
    /// Which connections have begun a transaction, as far as the author knows.
    in_transaction: [bool; CLIENTS],
}

impl<'a> Author<'a> {
    /// `payloads` are what the reference's DUMP has returned.
    pub fn new(random: &'a mut Random, payloads: &'a [Vec<u8>], groups: &[&Group]) -> Self {
        let all = |lines: fn(&Group) -> &'static [Line]| -> Vec<Line> {
            groups.iter().flat_map(|group| lines(group)).copied().collect()
        };
        let is_subscribing = |(_, line): &Line| line.contains("SUBSCRIBE");
        let (subscribing, lines) = all(|group| group.lines).into_iter().partition(is_subscribing);
        Self {
            dictionary: Dictionary::new(random, payloads),
            lines,
            subscribing,
            waiting: all(|group| group.waiting),
            feeding: all(|group| group.feeding),
            in_transaction: [false; CLIENTS],
        }
    }

    pub fn step(&mut self) -> Step {
        if !self.waiting.is_empty() && (self.lines.is_empty() || self.random().percent(4)) {
            return self.meeting();
        }
        let client = if self.random().percent(4) { SUBSCRIBER } else { self.random().below(SUBSCRIBER) };
        match self.random().below(40) {
            0 if !self.in_transaction[client] => self.silent(client),
            1..4 => {
                let count = 2 + self.random().below(8);
                let requests = (0..count).map(|_| self.request(client));
                let requests: Vec<Words> =
                    requests.flat_map(|words| [consumers_of(&words), vec![words]].concat()).collect();
                // What follows QUIT is not answered.
                let end = requests.iter().position(|words| is(words, "QUIT")).map_or(requests.len(), |quit| quit + 1);
                Step::Batch { client, requests: requests[..end].to_vec() }
            }
            _ => {
                let request = self.request(client);
                let mut requests = consumers_of(&request);
                requests.push(request);
                Step::Batch { client, requests }
            }
        }
    }

    fn random(&mut self) -> &mut Random {
        self.dictionary.random
    }

    /// Requests without replies, and one with, which shows where they end.
    fn silent(&mut self, client: usize) -> Step {
        let hushed = loop {
            let words = self.call();
            if !NEVER_SILENT.iter().any(|name| is(&words, name)) {
                break words;
            }
        };
        let requests = if self.random().percent(50) {
            vec![split("CLIENT REPLY OFF"), hushed, split("CLIENT REPLY ON")]
        } else {
            vec![split("CLIENT REPLY SKIP"), hushed, split("PING")]
        };
        Step::Silent { client, requests }
    }

    /// Some wait, others do what may end the waiting.
    fn meeting(&mut self) -> Step {
        let mut events = Vec::new();
        let feeder = WAITERS + self.random().below(SUBSCRIBER - WAITERS);
        if self.random().percent(70) {
            events.push((feeder, split("DEL q1 q2 qz1 qz2")));
        }
        for _ in 0..1 + self.random().below(4) {
            let client = self.random().below(WAITERS);
            let line = draw(&self.waiting, self.dictionary.random);
            let words = self.fill(line);
            let words = self.maybe_spoiled(words, 6);
            events.extend(consumers_of(&words).into_iter().map(|words| (client, words)));
            events.push((client, words));
        }
        for _ in 0..self.random().below(5) {
            let client = WAITERS + self.random().below(SUBSCRIBER - WAITERS);
            let line = draw(&self.feeding, self.dictionary.random);
            let calls: Vec<Words> = line.split(" ; ").map(|call| self.fill(call)).collect();
            events.extend(calls.into_iter().map(|words| (client, words)));
        }
        Step::Waiting(events)
    }

    /// A call that suits what the connection has said before.
    fn request(&mut self, client: usize) -> Words {
        let words = match self.random().below(100) {
            0..14 if self.in_transaction[client] => split("EXEC"),
            14 if self.in_transaction[client] => split("DISCARD"),
            0..50 if client == SUBSCRIBER && !self.subscribing.is_empty() => {
                let line = draw(&self.subscribing, self.dictionary.random);
                let words = self.fill(line);
                self.maybe_spoiled(words, 4)
            }
            50..55 if client == SUBSCRIBER => split("RESET"),
            55..60 if client == SUBSCRIBER => split("HELLO 3"),
            _ => self.call(),
        };
        let ends = ["EXEC", "DISCARD", "RESET", "QUIT"].iter().any(|name| is(&words, name));
        self.in_transaction[client] = is(&words, "MULTI") || self.in_transaction[client] && !ends;
        words
    }

    fn call(&mut self) -> Words {
        let line = draw(&self.lines, self.dictionary.random);
        match line.strip_prefix('!') {
            Some(line) => self.fill(line),
            None => {
                let words = self.fill(line);
                self.maybe_spoiled(words, 12)
            }
        }
    }

    fn fill(&mut self, line: &'static str) -> Words {
        let lines = &self.lines;
        // A call of another line, which is not run.
        let mut another = |random: &mut Random| loop {
            let line = draw(lines, random);
            if !line.contains("CALL") {
                return line.trim_start_matches('!');
            }
        };
        fill(line, &mut self.dictionary, &mut another)
    }

    fn maybe_spoiled(&mut self, mut words: Words, chance: usize) -> Words {
        if self.random().percent(chance) {
            self.spoil(&mut words);
        }
        self.put_off(&mut words);
        // The reference lets the sum with the present time overflow, and deletes the key; in Larder it lives on.
        if is(&words, "RESTORE") && words.get(2).is_some_and(|ttl| ttl == b"9223372036854775807") {
            words[2] = b"0".into();
        }
        words
    }

    /// Makes times that come while the script runs, or have come, into later ones: when a key goes would hang on chance, and
    /// since 7.2 SET with a time gone by deletes at once.
    fn put_off(&mut self, words: &mut Words) {
        let has = |token: &str| words.iter().any(|word| word.eq_ignore_ascii_case(token.as_bytes()));
        let is_restore = is(words, "RESTORE");
        let is_millis = ["PX", "PSETEX", "PEXPIRE"].iter().any(|name| has(name));
        // The first time that is late enough, and one that is.
        let (enough, later) = match () {
            () if has("PXAT") || has("PEXPIREAT") || is_restore && has("ABSTTL") => {
                (3_000_000_000_000, 4_000_000_000_000)
            }
            () if has("EXAT") || has("EXPIREAT") => (3_000_000_000, 4_000_000_000),
            () if is_millis || is_restore => (900_000, 1_000_000_000),
            () if has("EX") || has("SETEX") || has("EXPIRE") => (900, 1_000_000),
            () => return,
        };
        let last = if is_restore { 3 } else { words.len() };
        for word in words.iter_mut().take(last).skip(2) {
            let number: Option<u64> = str::from_utf8(word).ok().and_then(|text| text.parse().ok());
            if number.is_some_and(|number| (1..enough).contains(&number)) {
                *word = (later + self.dictionary.random.next() % 1_000_000).to_string().into();
            }
        }
    }

    /// Makes one thing wrong with a call, or at least unusual.
    fn spoil(&mut self, words: &mut Words) {
        let at = self.random().below(words.len());
        let odd: Vec<u8> = self.random().pick(ODD).into();
        match self.random().below(6) {
            0 if words.len() > 1 && at > 0 => drop(words.remove(at)),
            1 => words.push(odd),
            2 => words.insert(at + 1, odd),
            3 if at > 0 => words[at] = odd,
            4 => words.insert(at, words[at].clone()),
            5 if at > 1 => words.swap(at, at - 1),
            _ => words[at].make_ascii_lowercase(),
        }
    }
}

/// Draws a line by its share.
fn draw(lines: &[Line], random: &mut Random) -> &'static str {
    let total: u32 = lines.iter().map(|(share, _)| share).sum();
    let mut left = random.below(total as usize) as u32;
    for (share, line) in lines {
        if left < *share {
            return line;
        }
        left -= share;
    }
    unreachable!("`left` is less than the sum of the shares")
}

/// What creates the consumers that a request is about: since 7.2 it does so itself, even where there is nothing to read or claim.
fn consumers_of(words: &Words) -> Vec<Words> {
    let create = |key: &Vec<u8>, team: &Vec<u8>, consumer: &Vec<u8>| -> Words {
        vec![b"XGROUP".into(), b"CREATECONSUMER".into(), key.clone(), team.clone(), consumer.clone()]
    };
    match words.as_slice() {
        [_, key, team, consumer, ..] if is(words, "XCLAIM") || is(words, "XAUTOCLAIM") => {
            vec![create(key, team, consumer)]
        }
        [_, _, team, consumer, rest @ ..] if is(words, "XREADGROUP") => {
            let streams = rest.iter().position(|word| word.eq_ignore_ascii_case(b"STREAMS"));
            let keys = streams.map_or(&[][..], |at| &rest[at + 1..]);
            keys[..keys.len() / 2].iter().map(|key| create(key, team, consumer)).collect()
        }
        _ => Vec::new(),
    }
}

fn is_consumer_created(words: &Words) -> bool {
    is(words, "XGROUP") && words.get(1).is_some_and(|word| word == b"CREATECONSUMER")
}

/// Whether a request is of this command.
pub fn is(words: &[Vec<u8>], name: &str) -> bool {
    words.first().is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
}
