//! Random scripts: which connection says what.

use crate::commands::LINES;
use crate::random::Random;
use larder_tests::split;

/// A request's words.
pub type Words = Vec<Vec<u8>>;

/// What one connection sends at once.
#[derive(Clone, Debug)]
pub struct Step {
    pub client: usize,
    pub requests: Vec<Words>,
    /// How many of the requests are answered: all but those that `CLIENT REPLY` silences.
    pub answers: usize,
}

/// Connections that take turns.
pub const CLIENTS: usize = 4;

/// Makes steps. `payloads` are what the reference's DUMP has returned.
pub struct Author<'a> {
    random: &'a mut Random,
    payloads: &'a [Vec<u8>],
    /// Relative times are never the same twice: GT and LT would depend on the milliseconds between two commands.
    seconds: i64,
}

const KEYS: &[&str] =
    &["a", "b", "c", "d", "{a}1", "{a}2", "{b}1", "n", "m", "long:key:with:parts:0000000001", "", "\0\r\n"];

const VALUES: &[&str] = &[
    "",
    "x",
    "hello",
    "0",
    "1",
    "-1",
    "10",
    "007",
    "9999",
    "10000",
    "1.5",
    "3.0e3",
    " 1",
    "+1",
    "-0",
    "inf",
    "nan",
    "\0\u{1}\r\n",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "ohmytext",
    "mynewtext",
    "a\tb c",
];

const INTS: &[&str] =
    &["0", "1", "-1", "2", "7", "100", "-250", "65536", "2147483648", "9223372036854775807", "-9223372036854775808"];

const FLOATS: &[&str] = &[
    "0",
    "1",
    "-1",
    "0.1",
    "1.5",
    "-2.25",
    "3.0e3",
    "1e-5",
    "5e20",
    "0.30000000000000004",
    "12345678901234567",
    "1e4932",
    "1e-4932",
    "inf",
    "-0.0",
    "0x1p3",
];

const GLOBS: &[&str] = &["*", "?", "a*", "{a}[12]", "{a}[^1]", "[a-c]", "*key*", "\\*", "", "[", "nosuch"];

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
    "\0",
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
];

impl<'a> Author<'a> {
    pub fn new(random: &'a mut Random, payloads: &'a [Vec<u8>]) -> Self {
        Self { random, payloads, seconds: 1000 }
    }

    pub fn step(&mut self) -> Step {
        let client = self.random.below(CLIENTS);
        match self.random.below(40) {
            0 => self.silent(client),
            1..4 => {
                let requests: Vec<Words> = (0..2 + self.random.below(8)).map(|_| self.request()).collect();
                // What follows QUIT is not answered.
                let end = requests.iter().position(|words| is(words, "QUIT")).map_or(requests.len(), |quit| quit + 1);
                let requests = requests[..end].to_vec();
                Step { client, answers: requests.len(), requests }
            }
            _ => Step { client, requests: vec![self.request()], answers: 1 },
        }
    }

    /// Requests without replies, and one with, which shows where they end.
    fn silent(&mut self, client: usize) -> Step {
        let hushed = loop {
            let words = self.request();
            // These end the silence themselves.
            if !["QUIT", "RESET", "CLIENT"].iter().any(|name| is(&words, name)) {
                break words;
            }
        };
        let requests = if self.random.percent(50) {
            vec![split("CLIENT REPLY OFF"), hushed, split("CLIENT REPLY ON")]
        } else {
            vec![split("CLIENT REPLY SKIP"), hushed, split("PING")]
        };
        Step { client, requests, answers: 1 }
    }

    fn request(&mut self) -> Words {
        let line = self.line();
        let Some(line) = line.strip_prefix('!') else {
            let mut words = self.fill(line);
            if self.random.percent(12) {
                self.spoil(&mut words);
            }
            self.put_off(&mut words);
            // The reference lets the sum with the present time overflow, and deletes the key; in Larder it lives on.
            if is(&words, "RESTORE") && words.get(2).is_some_and(|ttl| ttl == b"9223372036854775807") {
                words[2] = b"0".into();
            }
            return words;
        };
        self.fill(line)
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
                *word = (later + self.random.next() % 1_000_000).to_string().into();
            }
        }
    }

    fn line(&mut self) -> &'static str {
        let total: u32 = LINES.iter().map(|(share, _)| share).sum();
        let mut left = self.random.below(total as usize) as u32;
        for (share, line) in LINES {
            if left < *share {
                return line;
            }
            left -= share;
        }
        unreachable!("`left` is less than the sum of the shares")
    }

    /// Makes a call out of a line.
    fn fill(&mut self, line: &str) -> Words {
        let mut words = Vec::new();
        let mut rest = line.trim();
        while !rest.is_empty() {
            let (item, after) = match rest.strip_prefix('(') {
                Some(group) => group.split_once(')').expect("a bracket is closed"),
                None => rest.split_at(rest.find([' ', '?', '+']).unwrap_or(rest.len())),
            };
            let is_text = item.contains('\'') && !item.ends_with('\'');
            let (item, after) =
                if is_text { rest.split_at(rest.rfind('\'').map_or(0, |end| end + 1)) } else { (item, after) };
            let times = match after.chars().next() {
                Some('?') => self.random.below(2),
                Some('+') => 1 + self.random.below(4),
                _ => 1,
            };
            (0..times).for_each(|_| self.push(item, &mut words));
            rest = after.trim_start_matches(['?', '+']).trim_start();
        }
        words
    }

    /// Adds the words of an item: one of its choices, or all parts of a group.
    fn push(&mut self, item: &str, words: &mut Words) {
        if item.contains(' ') && !item.contains('\'') {
            item.split(' ').for_each(|part| self.push(part, words));
            return;
        }
        let choices: Vec<&str> = item.split('|').collect();
        match self.random.pick(&choices) {
            "CALL" => words.extend(self.another()),
            choice => words.push(self.word(choice)),
        }
    }

    /// A call of another line, which is not run.
    fn another(&mut self) -> Words {
        loop {
            let line = self.line();
            if !line.contains("CALL") {
                return self.fill(line.trim_start_matches('!'));
            }
        }
    }

    fn word(&mut self, name: &str) -> Vec<u8> {
        match name {
            "KEY" => self.random.pick(KEYS).into(),
            "VALUE" => self.value(),
            "INT" => self.random.pick(INTS).into(),
            "FLOAT" => self.random.pick(FLOATS).into(),
            "INDEX" => (self.random.below(60) as i64 - 15).to_string().into(),
            "TTL" => self.seconds(1),
            "PTTL" => self.seconds(1000),
            "AT" => (4_000_000_000 + self.random.below(1000) as u64).to_string().into(),
            "PAT" => (4_000_000_000_000 + self.random.below(1000) as u64).to_string().into(),
            "DB" => self.random.pick(&["0", "0", "1", "1", "2", "15", "16", "-1"]).into(),
            "GLOB" => self.random.pick(GLOBS).into(),
            "PAYLOAD" => self.payload(),
            word => word.trim_matches('\'').into(),
        }
    }

    fn value(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => (0..self.random.below(300)).map(|_| self.random.next() as u8).collect(),
            1 => vec![b'a' + self.random.below(26) as u8; 20 + self.random.below(100)],
            2 => vec![b'z'; self.random.below(1500)],
            _ => self.random.pick(VALUES).into(),
        }
    }

    /// A relative time that no command comes near to by itself; at times none that can be.
    fn seconds(&mut self, unit: i64) -> Vec<u8> {
        if self.random.percent(15) {
            return self
                .random
                .pick(&["0", "-1", "-100000", "9223372036854775807", "-9223372036854775808", "x", "1.5"])
                .into();
        }
        self.seconds += 10 + self.random.below(10) as i64;
        // Both directions, so that GT and LT decide either way.
        let seconds = if self.random.percent(50) { self.seconds } else { 3_000_000 - self.seconds };
        (seconds * unit).to_string().into()
    }

    /// What DUMP has returned, at times not quite.
    fn payload(&mut self) -> Vec<u8> {
        let mut payload = self.payloads[self.random.below(self.payloads.len())].clone();
        match self.random.below(6) {
            0 => {
                let at = self.random.below(payload.len());
                payload[at] ^= 1 << self.random.below(8);
            }
            1 => payload.truncate(self.random.below(payload.len())),
            _ => {}
        }
        payload
    }

    /// Makes one thing wrong with a call, or at least unusual.
    fn spoil(&mut self, words: &mut Words) {
        let at = self.random.below(words.len());
        let odd: Vec<u8> = self.random.pick(ODD).into();
        match self.random.below(6) {
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

/// Whether a request is of this command.
pub fn is(words: &[Vec<u8>], name: &str) -> bool {
    words.first().is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()))
}
