//! From a line to a command: draws its words at random.

use super::lines::{KINDS, LINES, SELDOM};
use crate::random::Random;
use larder_client::resp::Reply;
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) type Words = Vec<Vec<u8>>;

/// Of a thousand lines, those that do away with much.
const SELDOM_PER_THOUSAND: usize = 2;

/// Of a hundred pieces, those that are a transaction.
const TRANSACTIONS_PER_CENT: usize = 4;

/// Keys of a kind that most lines are about, so that commands meet.
const BUSY_KEYS: usize = 30;

/// Entries of streams that a writer remembers to acknowledge, claim and delete them.
const KNOWN_MAX: usize = 200;

/// Databases that hold keys. Those that are swapped and emptied hold few, so that the others grow old.
const DATABASES: &[&str] = &["0", "0", "0", "1", "2", "9", "10", "11"];
const SPARE: &[&str] = &["9", "10", "11"];

/// Writes lines for one connection.
pub(super) struct Author {
    pub(super) random: Random,
    /// How many keys of each kind there are to begin with.
    keys: usize,
    /// Values that DUMP has told.
    payloads: Vec<Vec<u8>>,
    /// A stream and the id of an entry that was added to it.
    known: Vec<(Vec<u8>, Vec<u8>)>,
    /// The id that belongs to the stream just drawn.
    id: Vec<u8>,
    /// What `$this` stands for.
    this: Vec<u8>,
    uniques: u64,
    /// What was drawn last, by name.
    drawn: BTreeMap<&'static str, Vec<u8>>,
    choices: Vec<&'static str>,
}

impl Author {
    pub(super) fn new(seed: u64, keys: usize, payloads: &[Vec<u8>]) -> Self {
        let choices = LINES.iter().flat_map(|&(weight, line)| std::iter::repeat_n(line, weight)).collect();
        Self {
            random: Random::new(seed),
            keys: keys.max(1),
            payloads: payloads.to_vec(),
            known: Vec::new(),
            id: b"1-1".to_vec(),
            this: Vec::new(),
            uniques: 0,
            drawn: BTreeMap::new(),
            choices,
        }
    }

    /// Some commands that belong together: mostly one.
    pub(super) fn piece(&mut self) -> Vec<Words> {
        if !self.random.percent(TRANSACTIONS_PER_CENT) {
            return self.line();
        }
        let mut piece = vec![vec![b"MULTI".to_vec()]];
        for _ in 0..self.random.below(4) {
            piece.extend(self.line());
        }
        piece.push(vec![if self.random.percent(90) { b"EXEC".to_vec() } else { b"DISCARD".to_vec() }]);
        piece
    }

    fn line(&mut self) -> Vec<Words> {
        let line = if self.random.below(1000) < SELDOM_PER_THOUSAND {
            SELDOM[self.random.below(SELDOM.len())]
        } else {
            self.choices[self.random.below(self.choices.len())]
        };
        self.fill(line)
    }

    /// The first value of a key.
    pub(super) fn begin(&mut self, kind: &str, line: &'static str, number: usize) -> Words {
        self.this = format!("{kind}:{number}").into_bytes();
        self.command(line)
    }

    pub(super) fn fill(&mut self, line: &'static str) -> Vec<Words> {
        line.split(" ; ").map(|command| self.command(command)).collect()
    }

    fn command(&mut self, line: &'static str) -> Words {
        line.split(' ').map(|word| self.word(word)).collect()
    }

    fn word(&mut self, word: &'static str) -> Vec<u8> {
        let Some((before, name)) = word.split_once('$').filter(|(_, name)| !name.is_empty()) else {
            return word.as_bytes().to_vec();
        };
        let drawn = match name.strip_prefix("same.") {
            Some(name) => self.drawn.get(name).expect("it stands behind what it repeats").clone(),
            None => self.draw(name),
        };
        self.drawn.insert(name, drawn.clone());
        [before.as_bytes(), &drawn].concat()
    }

    fn draw(&mut self, name: &str) -> Vec<u8> {
        if KINDS.iter().any(|&(kind, _)| kind == name) {
            return self.key(name);
        }
        let hours = 36_000 + self.random.below(360_000) as u64;
        let text = match name {
            "this" => return self.this.clone(),
            "value" => return self.value(),
            "payload" => return self.payloads[self.random.below(self.payloads.len())].clone(),
            "known" => return self.known_stream(),
            "id" => return self.id.clone(),
            "copy" => format!("copy:{}", self.random.below(BUSY_KEYS)),
            "queue" => format!("queue:{}", self.random.below(3)),
            "ranking" => format!("ranking:{}", self.random.below(3)),
            "group" => format!("group:{}", self.random.below(2)),
            "consumer" => format!("consumer:{}", self.random.below(3)),
            "field" => format!("field:{}", self.random.below(40)),
            "unique" => self.unique(),
            "small" => (self.random.below(2000) as i64 - 1000).to_string(),
            "quarter" => format!("{}", (self.random.below(4000) as f64 - 2000.0) / 4.0),
            "offset" => self.random.below(300).to_string(),
            // All of them hours away, so that none expires while servers are compared.
            "seconds" => hours.to_string(),
            "millis" => (hours * 1000 + 7).to_string(),
            "second" => (now() + hours).to_string(),
            "milli" => ((now() + hours) * 1000 + 9).to_string(),
            "longitude" => format!("{}", 10.0 + self.random.below(10_000) as f64 / 1000.0),
            "latitude" => format!("{}", 35.0 + self.random.below(5_000) as f64 / 1000.0),
            "database" => self.random.pick(DATABASES).to_owned(),
            "spare" => self.random.pick(SPARE).to_owned(),
            other => panic!("a line draws ${other}, which is nothing"),
        };
        text.into_bytes()
    }

    fn key(&mut self, kind: &str) -> Vec<u8> {
        let among = if self.random.percent(70) { BUSY_KEYS.min(self.keys) } else { self.keys };
        format!("{kind}:{}", self.random.below(among)).into_bytes()
    }

    fn unique(&mut self) -> String {
        self.uniques += 1;
        format!("unique:{}", self.uniques)
    }

    /// Text, a number, or any bytes; long once in a while.
    fn value(&mut self) -> Vec<u8> {
        match self.random.below(100) {
            0 => vec![b'x'; 2_000 + self.random.below(8_000)],
            1..10 => (0..self.random.below(30)).map(|_| self.random.next() as u8).collect(),
            10..25 => (self.random.next() as i64 >> self.random.below(64)).to_string().into_bytes(),
            _ => format!("value {}", "again ".repeat(self.random.below(8))).into_bytes(),
        }
    }

    fn known_stream(&mut self) -> Vec<u8> {
        if self.known.is_empty() {
            self.id = b"1-1".to_vec();
            return self.key("stream");
        }
        let (stream, id) = self.known[self.random.below(self.known.len())].clone();
        self.id = id;
        stream
    }

    /// Remembers what a reply tells.
    pub(super) fn hear(&mut self, words: &Words, reply: &Reply) {
        match (&*words[0], reply) {
            (b"XADD", Reply::Bulk(id)) => {
                if self.known.len() == KNOWN_MAX {
                    let oldest = self.random.below(KNOWN_MAX);
                    self.known.swap_remove(oldest);
                }
                self.known.push((words[1].clone(), id.to_vec()));
            }
            // Its streams are others.
            (b"SELECT", _) => self.known.clear(),
            _ => {}
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
