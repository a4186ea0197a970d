//! Words for calls, drawn at random by the names that lines use.
//!
//! | Name | A word of it |
//! |---|---|
//! | `STR` `HKEY` `LKEY` `SKEY` `ZKEY` `XKEY` `BKEY` `PKEY` `GKEY` | a key that mostly holds a string, hash, list, set, sorted set, stream, bits, counter, places |
//! | `QLIST` `QZSET` `QSTREAM` | a key that others wait for |
//! | `ZEQUAL` | a key of a sorted set whose scores are all 0 |
//! | `KEY` `PEER` | a key of any kind; one of the same kind as the key before |
//! | `LKEYS` `SKEYS` `ZKEYS` `QLISTS` `QZSETS` | a number of keys, and the keys |
//! | `VALUE` `FIELD` `MEMBER` `MEMBERS` `TOWN` `NUM` | a string; a field; a member, of few or of many different ones, or of a few places; a small number |
//! | `INT` `FLOAT` `INDEX` `TIMES` `FEW` `SCORE` | a number that fits the command's use of it |
//! | `SPAN` | two positions |
//! | `SMIN` `SMAX` `LMIN` `LMAX` | an end of a range of scores or of members |
//! | `XID` `XNEXT` `RID` `RSTART` `REND` `TEAM` `CONSUMER` `AGE` | the id of a new entry, of none yet, of one that may be there, ends of a range of ids, names, an idle time |
//! | `BITPLACE` `BITTYPE` `BITAT` | a position of a bit; what BITFIELD takes |
//! | `PLACE` `RADIUS` `UNIT` | longitude and latitude; a distance; its unit |
//! | `WKEY` `WHASH` | a weight that SORT looks up |
//! | `TTL` `PTTL` `AT` `PAT` `SECONDS` `MILLIS` | a time, relative or absolute, in seconds or milliseconds; a time to wait |
//! | `DBNO` `GLOB` `PAYLOAD` `CHANNEL` | a database, a pattern, what DUMP returns, a channel |

use crate::random::Random;

/// A request's words.
pub type Words = Vec<Vec<u8>>;

/// Draws words.
pub struct Dictionary<'a> {
    pub random: &'a mut Random,
    /// What the reference's DUMP has returned.
    payloads: &'a [Vec<u8>],
    /// Relative times are never the same twice: GT and LT would depend on the milliseconds between two commands.
    seconds: i64,
    /// The first part of the newest entry's id.
    newest_id: usize,
    /// The kind of the key drawn last.
    kind: &'static [&'static str],
}

const STRINGS: &[&str] =
    &["a", "b", "c", "d", "{a}1", "{a}2", "{b}1", "n", "m", "long:key:with:parts:0000000001", "", "\0\r\n"];
const HASHES: &[&str] = &["h1", "h2", "h3", "{a}h"];
const LISTS: &[&str] = &["l1", "l2", "l3", "{a}l"];
const SETS: &[&str] = &["s1", "s2", "s3", "s4", "{a}s"];
const ZSETS: &[&str] = &["z1", "z2", "z3", "{a}z"];
const STREAMS: &[&str] = &["x1", "x2", "{a}x"];
const BITS: &[&str] = &["b1", "b2", "b3", "{a}b"];
const COUNTERS: &[&str] = &["p1", "p2", "p3"];
const PLACES: &[&str] = &["g1", "g2"];
const EQUALS: &[&str] = &["ze1", "ze2"];
const QUEUES: &[&str] = &["q1", "q2"];
const SORTED_QUEUES: &[&str] = &["qz1", "qz2"];
const STREAM_QUEUES: &[&str] = &["qx1", "qx2"];

const KINDS: &[&[&str]] = &[STRINGS, HASHES, LISTS, SETS, ZSETS, STREAMS, BITS, COUNTERS, PLACES];

/// A NUL never comes first: where the reference compares words in SORT, they end there.
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
    "\u{2}\0\u{1}\r\n",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "ohmytext",
    "mynewtext",
    "a\tb c",
];

const FIELDS: &[&str] = &["f1", "f2", "f3", "f4", "f5", "f6", "1", "22", "", "\0f", "A"];

const MEMBERS: &[&str] = &[
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "aa",
    "ab",
    "",
    "1",
    "2",
    "3",
    "-7",
    "10",
    "007",
    "40000",
    "-40000",
    "5000000000",
    "1.5",
    "inf",
    "\u{3}\0\r\n",
    "z\u{ff}",
];

const TOWNS: &[&str] = &["Bern", "Basel", "Chur", "Olten", "Thun", ""];

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

const SCORES: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "-1",
    "10",
    "1.5",
    "0.1",
    "3.3",
    "-2.25",
    "inf",
    "-inf",
    "+inf",
    "1e308",
    "1e-300",
    "17179869184.5",
    "9007199254740993",
    "-0",
    "0x10",
    "1e20",
    "123456789012345678",
];

/// Ends of ranges, and what is none.
const SCORES_FROM: [&[&str]; 2] =
    [&["-inf", "-inf", "0", "(0", "1", "(1", "-1", "3.3", "(-inf", "10"], &["nan", "x", "(", "", "inf"]];
const SCORES_TO: [&[&str]; 2] =
    [&["+inf", "+inf", "inf", "10", "(10", "3.3", "100", "2", "(2", "(inf"], &["(nan", "x", "[1", "", "-inf"]];
const MEMBERS_FROM: [&[&str]; 2] = [&["-", "-", "[a", "(a", "[1", "[", "(ab", "(1", "[c", "[\0"], &["+", "a", "", "x"]];
const MEMBERS_TO: [&[&str]; 2] = [&["+", "+", "[c", "(c", "[z", "(z", "[aa", "[m:2", "("], &["-", "++", "", "x"]];

const GLOBS: &[&str] = &["*", "?", "a*", "{a}[12]", "{a}[^1]", "[a-c]", "*key*", "\\*", "", "[", "nosuch"];

const BIT_TYPES: [&[&str]; 2] =
    [&["u1", "u4", "u8", "i5", "i8", "i16", "u32", "i32", "i64", "u63"], &["u64", "i0", "i65", "x8", "", "u"]];
const BIT_OFFSETS: [&[&str]; 2] = [&["0", "1", "7", "8", "13", "64", "100", "#0", "#1", "#3"], &["-1", "x", "#x", "#"]];
const TIMES: [&[&str]; 2] = [&["0", "1", "2", "5", "100", "-1", "-5", "-40"], &["x", "", "-9223372036854775808"]];
const FEW: [&[&str]; 2] = [&["1", "1", "2", "2", "3", "0"], &["-1", "x", "9223372036854775807"]];
const AGES: [&[&str]; 2] = [&["0", "0", "0", "1000000"], &["9999999999999", "-1", "x"]];
const RADII: [&[&str]; 2] = [&["0", "1", "100", "500", "2000.5", "40000", "1e6"], &["-1", "x", "nan"]];
const UNITS: [&[&str]; 2] = [&["m", "km", "km", "km", "KM", "ft", "mi"], &["parsec", ""]];
const SECONDS: [&[&str]; 2] = [&["0", "0", "0", "0", "0", "30", "30.5"], &["0.01", "-1", "x", "1e400", "nan"]];
const MILLIS: [&[&str]; 2] = [&["0", "0", "0", "0", "30000"], &["13", "-1", "x", "1.5"]];
const DATABASES: [&[&str]; 2] = [&["0", "0", "0", "0", "0", "1", "1", "2"], &["15", "16", "-1", "x"]];

const CHANNELS: &[&str] = &["c1", "c2", "d1", "d2", "news"];

impl<'a> Dictionary<'a> {
    pub fn new(random: &'a mut Random, payloads: &'a [Vec<u8>]) -> Self {
        Self { random, payloads, seconds: 1000, newest_id: 0, kind: STRINGS }
    }

    /// Adds a word of a name, or several where the name stands for several; any other name is a word itself.
    pub fn add(&mut self, name: &str, words: &mut Words) {
        match name {
            "LKEYS" => self.add_numbered("LKEY", words),
            "SKEYS" => self.add_numbered("SKEY", words),
            "ZKEYS" => self.add_numbered("ZKEY", words),
            "QLISTS" => self.add_numbered("QLIST", words),
            "QZSETS" => self.add_numbered("QZSET", words),
            "PLACE" => {
                let [longitude, latitude] = self.place();
                words.push(longitude);
                words.push(latitude);
            }
            "SPAN" => {
                let [from, to] = self.span();
                words.push(from);
                words.push(to);
            }
            name => words.push(self.word(name)),
        }
    }

    /// How many keys, and the keys; at times the number is another.
    fn add_numbered(&mut self, name: &str, words: &mut Words) {
        let count = 1 + self.random.below(3);
        let told =
            if self.random.percent(4) { self.random.pick(&["0", "-1", "9", "x"]).into() } else { decimal(count) };
        words.push(told);
        (0..count).for_each(|_| words.push(self.word(name)));
    }

    fn word(&mut self, name: &str) -> Vec<u8> {
        match name {
            "STR" => self.key(STRINGS),
            "HKEY" => self.key(HASHES),
            "LKEY" => self.key(LISTS),
            "SKEY" => self.key(SETS),
            "ZKEY" => self.key(ZSETS),
            "XKEY" => self.key(STREAMS),
            "BKEY" => self.key(BITS),
            "PKEY" => self.key(COUNTERS),
            "GKEY" => self.key(PLACES),
            "ZEQUAL" => self.random.pick(EQUALS).into(),
            "QLIST" => self.random.pick(QUEUES).into(),
            "QZSET" => self.random.pick(SORTED_QUEUES).into(),
            "QSTREAM" => self.random.pick(STREAM_QUEUES).into(),
            "KEY" => {
                let kind = KINDS[self.random.below(KINDS.len())];
                self.key(kind)
            }
            "PEER" => self.key(self.kind),
            "VALUE" => self.value(),
            "FIELD" => self.random.pick(FIELDS).into(),
            "MEMBER" => self.member(),
            "TOWN" => self.random.pick(TOWNS).into(),
            "MEMBERS" => format!("m:{}", self.random.below(400)).into(),
            "NUM" => decimal(self.random.below(500)),
            "TIMES" => self.mostly(TIMES),
            "FEW" => self.mostly(FEW),
            "INT" => self.random.pick(INTS).into(),
            "FLOAT" => self.random.pick(FLOATS).into(),
            "INDEX" => self.index(),
            "SCORE" => self.score(),
            "SMIN" => self.mostly(SCORES_FROM),
            "SMAX" => self.mostly(SCORES_TO),
            "LMIN" => self.mostly(MEMBERS_FROM),
            "LMAX" => self.mostly(MEMBERS_TO),
            "XID" => self.new_id(),
            "XNEXT" => decimal(self.newest_id + 1),
            "RID" => self.known_id(),
            "RSTART" => self.id_end("-"),
            "REND" => self.id_end("+"),
            "TEAM" => self.random.pick(&["g", "g", "g", "team"]).into(),
            "CONSUMER" => self.random.pick(&["alice", "alice", "bob", "carol"]).into(),
            "AGE" => self.mostly(AGES),
            "BITPLACE" => self.bit_place(),
            "BITTYPE" => self.mostly(BIT_TYPES),
            "BITAT" => self.mostly(BIT_OFFSETS),
            "RADIUS" => self.mostly(RADII),
            "UNIT" => self.mostly(UNITS),
            "WKEY" => format!("w:{}", self.random.below(500)).into(),
            "WHASH" => format!("wh:{}", self.random.below(500)).into(),
            "TTL" => self.seconds(1),
            "PTTL" => self.seconds(1000),
            "AT" => decimal(4_000_000_000 + self.random.below(1000)),
            "PAT" => decimal(4_000_000_000_000 + self.random.below(1000)),
            "SECONDS" => self.mostly(SECONDS),
            "MILLIS" => self.mostly(MILLIS),
            "DBNO" => self.mostly(DATABASES),
            "GLOB" => self.random.pick(GLOBS).into(),
            "PAYLOAD" => self.payload(),
            "CHANNEL" => self.random.pick(CHANNELS).into(),
            word => word.trim_matches('\'').into(),
        }
    }

    /// One of the first words, at times one of the others.
    fn mostly(&mut self, [usual, odd]: [&[&str]; 2]) -> Vec<u8> {
        let choices = if self.random.percent(8) { odd } else { usual };
        self.random.pick(choices).into()
    }

    /// A key of a kind; at times one that holds something else.
    fn key(&mut self, kind: &'static [&'static str]) -> Vec<u8> {
        self.kind = if self.random.percent(4) { KINDS[self.random.below(KINDS.len())] } else { kind };
        self.random.pick(self.kind).into()
    }

    fn value(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => (0..self.random.below(300)).map(|_| self.random.next() as u8).collect(),
            1 => vec![b'a' + self.random.below(26) as u8; 20 + self.random.below(100)],
            2 => vec![b'z'; self.random.below(1500)],
            _ => self.random.pick(VALUES).into(),
        }
    }

    fn member(&mut self) -> Vec<u8> {
        match self.random.below(40) {
            0 => vec![b'a' + self.random.below(4) as u8; 60 + self.random.below(10)],
            1 => vec![b'y'; 200 + self.random.below(200)],
            _ => self.random.pick(MEMBERS).into(),
        }
    }

    fn index(&mut self) -> Vec<u8> {
        match self.random.below(30) {
            0 => self.random.pick(INTS).into(),
            1 => self.random.pick(&["x", "1.5", ""]).into(),
            2..8 => self.random.pick(&["0", "1", "2", "-1"]).into(),
            _ => (self.random.below(60) as i64 - 15).to_string().into(),
        }
    }

    /// Two positions, mostly with something between them.
    fn span(&mut self) -> [Vec<u8>; 2] {
        match self.random.below(10) {
            0..2 => [self.index(), self.index()],
            2..5 => ["0".into(), "-1".into()],
            _ => [
                self.random.pick(&["0", "0", "1", "2", "-5", "-20"]).into(),
                self.random.pick(&["3", "6", "10", "-1", "-2"]).into(),
            ],
        }
    }

    fn score(&mut self) -> Vec<u8> {
        match self.random.below(30) {
            0 => self.random.pick(&["nan", "x", "", "1e400", " 1"]).into(),
            1..10 => (self.random.below(40) as i64 - 10).to_string().into(),
            _ => self.random.pick(SCORES).into(),
        }
    }

    /// An id that is mostly greater than those before.
    fn new_id(&mut self) -> Vec<u8> {
        self.newest_id += self.random.below(3);
        let newest = self.newest_id;
        match self.random.below(20) {
            0 => self.known_id(),
            1..4 => format!("{newest}-*").into(),
            4..8 => format!("{newest}-{}", self.random.below(4)).into(),
            _ => decimal(newest),
        }
    }

    fn known_id(&mut self) -> Vec<u8> {
        const ODD: &[&str] = &["0-0", "1-", "-1", "x", "18446744073709551616", "0-1", "1-2-3"];
        let id = self.newest_id.saturating_sub(self.random.below(16));
        match self.random.below(20) {
            0 => self.random.pick(ODD).into(),
            1..14 => decimal(id),
            14..17 => "0".into(),
            _ => format!("{id}-{}", self.random.below(4)).into(),
        }
    }

    fn id_end(&mut self, open: &str) -> Vec<u8> {
        match self.random.below(10) {
            0 => [b"(", &self.known_id()[..]].concat(),
            1 => self.random.pick(&["-", "+", "(-", "(+", "18446744073709551615-18446744073709551615"]).into(),
            2..6 => open.into(),
            _ => self.known_id(),
        }
    }

    fn bit_place(&mut self) -> Vec<u8> {
        match self.random.below(30) {
            0 => self.random.pick(&["-1", "x", "4294967296", "99999999999999999999"]).into(),
            _ => decimal(self.random.below(200)),
        }
    }

    /// Longitude and latitude. Places seldom coincide, as the order of what is equally far is not told.
    fn place(&mut self) -> [Vec<u8>; 2] {
        const ODD: &[&str] = &["181", "-181", "90", "-86", "x", "nan", "1e400", "0", "180", "85.05112878"];
        if self.random.percent(4) {
            return [self.random.pick(ODD).into(), self.random.pick(ODD).into()];
        }
        let mut degrees = |from: f64, width: f64| {
            let share = self.random.below(100_000_000) as f64 / 100_000_000.0;
            format!("{:.6}", from + width * share).into_bytes()
        };
        [degrees(5.0, 20.0), degrees(40.0, 15.0)]
    }

    /// A relative time that no command comes near to by itself; at times none that can be.
    fn seconds(&mut self, unit: i64) -> Vec<u8> {
        if self.random.percent(8) {
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
}

fn decimal(number: usize) -> Vec<u8> {
    number.to_string().into()
}
