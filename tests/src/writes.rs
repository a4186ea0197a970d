//! Writes at random: all types, several databases, transactions, and times of expiry that are hours away.
//!
//! The names of keys begin with their type, so hardly any write is refused. The same seed writes the same, but for what
//! several connections make of it together.

use crate::client::Client;
use crate::node::Node;
use crate::random::Random;
use crate::render::render;
use larder_client::connection::Error;
use larder_client::resp::Reply;
use std::env;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The words of a command.
pub type Words = Vec<Vec<u8>>;

/// Databases that are written to.
const DATABASES: &[&str] = &["0", "1", "9"];

/// Commands of one pipeline.
const BATCH: usize = 24;

/// Between two pipelines of a connection. It bounds the load, as other tests run beside it.
const PAUSE: Duration = Duration::from_millis(2);

/// Commands that are not to be sent, with commas between them; without MULTI there are no transactions.
const LEFT_OUT: &str = "LARDER_TEST_LEFT_OUT";

/// What is written. A word after `%` stands for something at random, see [`Author::word`].
const LINES: &[&str] = &[
    "SET %string %value",
    "SET %string %value",
    "SET %string %value EX %ttl",
    "SET %string %value PXAT %time",
    "SET %string %value KEEPTTL",
    "SET %string %value NX",
    "SET %string %value XX GET",
    "SETEX %string %ttl %value",
    "PSETEX %string %ttl000 %value",
    "SETNX %string %value",
    "GETSET %string %value",
    "GETDEL %string",
    "GETEX %string PERSIST",
    "GETEX %string EX %ttl",
    "GETEX %string PXAT %time",
    "APPEND %string %value",
    "SETRANGE %string %small %value",
    "MSET %string %value %string %value",
    "MSETNX %string %value %string %value",
    "INCR %number",
    "DECR %number",
    "INCRBY %number %small",
    "DECRBY %number %small",
    "INCRBYFLOAT %float %small.25",
    "SETBIT %bits %small 1",
    "SETBIT %bits %small 0",
    "BITFIELD %bits SET u8 #%small %small INCRBY i16 1 %small",
    "BITOP OR %bits %bits %bits",
    "BITOP NOT %bits %bits",
    "PFADD %log %value %value %value",
    "PFMERGE %log %log %log",
    "RPUSH %list %value %value",
    "RPUSH %list %value %value %value",
    "LPUSH %list %value %value",
    "RPUSHX %list %value",
    "LPUSHX %list %value",
    "LPOP %list",
    "RPOP %list 2",
    "LTRIM %list 0 40",
    "LTRIM %list -30 -1",
    "LINSERT %list BEFORE %member %value",
    "RPUSH %list %member %member",
    "LREM %list 1 %member",
    "LSET %list 0 %value",
    "LMOVE %list %list LEFT RIGHT",
    "RPOPLPUSH %list %list",
    "LMPOP 2 %list %list RIGHT COUNT 2",
    "SORT %list ALPHA STORE %list",
    "SADD %set %member %member %member",
    "SADD %set %value",
    "SADD %set %small %small",
    "SREM %set %member %member",
    "SPOP %set",
    "SPOP %set 3",
    "SMOVE %set %set %member",
    "SINTERSTORE %set %set %set",
    "SUNIONSTORE %set %set %set",
    "SDIFFSTORE %set %set %set",
    "HSET %hash %member %value %member %value",
    "HSET %hash %member %value",
    "HMSET %hash %member %value",
    "HSETNX %hash %member %value",
    "HDEL %hash %member %member",
    "HINCRBY %hash count %small",
    "HINCRBYFLOAT %hash sum %small.5",
    "ZADD %zset %small %member %small.5 %member",
    "ZADD %zset NX %small %member",
    "ZADD %zset XX GT CH %small %member",
    "ZADD %zset INCR %small %member",
    "ZADD %zset -inf %value",
    "ZINCRBY %zset %small.75 %member",
    "ZREM %zset %member %member",
    "ZPOPMIN %zset",
    "ZPOPMAX %zset 2",
    "ZMPOP 2 %zset %zset MIN COUNT 2",
    "ZREMRANGEBYRANK %zset 30 -1",
    "ZREMRANGEBYSCORE %zset 10 20",
    "ZADD %lex 0 %member 0 %member",
    "ZREMRANGEBYLEX %lex [member:1 (member:2",
    "ZUNIONSTORE %zset 2 %zset %zset WEIGHTS 1 2 AGGREGATE MAX",
    "ZINTERSTORE %zset 2 %zset %zset",
    "ZDIFFSTORE %zset 2 %zset %zset",
    "ZRANGESTORE %zset %zset 0 20",
    "GEOADD %geo 13.%small 38.%small %member",
    "GEOSEARCHSTORE %geo %geo FROMLONLAT 13.3 38.3 BYRADIUS 50 km",
    "XADD %stream * %member %value",
    "XADD %stream MAXLEN ~ 20 * %member %value %member %value",
    "XADD %stream MAXLEN 15 * %member %value",
    "XADD %stream NOMKSTREAM * %member %value",
    "XTRIM %stream MAXLEN 8",
    "XTRIM %stream MINID ~ %serial",
    "XGROUP CREATE %stream %group 0 MKSTREAM",
    "XGROUP CREATECONSUMER %stream %group %consumer",
    "XGROUP DELCONSUMER %stream %group %consumer",
    "XGROUP SETID %stream %group $",
    "XREADGROUP GROUP %group %consumer COUNT 3 STREAMS %stream >",
    "XREADGROUP GROUP %group %consumer COUNT 3 NOACK STREAMS %stream >",
    "XAUTOCLAIM %stream %group %consumer 0 0 COUNT 2",
    "XGROUP DESTROY %stream %group",
    "XADD %steps %serial-* %member %value",
    "XADD %steps %serial-0 %member %value",
    "XADD %steps MINID = %recent %serial-* %member %value",
    "XGROUP CREATE %steps %group 0 MKSTREAM",
    "XREADGROUP GROUP %group %consumer COUNT 3 STREAMS %steps >",
    "XACK %steps %group %recent-0 %recent-0 %recent-0",
    "XDEL %steps %recent-0 %recent-0",
    "XCLAIM %steps %group %consumer 0 %recent-0 %recent-0",
    "XCLAIM %steps %group %consumer 0 %recent-0 FORCE JUSTID",
    "DEL %any",
    "UNLINK %any %any",
    "EXPIRE %any %ttl",
    "EXPIRE %any %ttl NX",
    "PEXPIRE %any %ttl000 GT",
    "EXPIREAT %any 99%ttl0000",
    "PEXPIREAT %any %time",
    "PERSIST %any",
    "EXPIRE %any -1",
    "RENAME %string %string",
    "RENAME %list %mixed",
    "RENAMENX %zset %zset",
    "COPY %hash %mixed REPLACE",
    "COPY %stream %mixed REPLACE",
    "COPY %set %set DB 1 REPLACE",
    "MOVE %any 1",
    "SET %mixed %value",
    "DEL %mixed",
    "SWAPDB 1 9",
];

/// Types of keys, as their names begin. Those of `lex` have one score for all members: for others, ranges by name mean nothing.
const TYPES: &[&str] =
    &["string", "number", "float", "bits", "log", "list", "set", "hash", "zset", "lex", "geo", "stream", "steps"];

/// Refusals that random writes earn.
const EXPECTED: &[&str] = &[
    "ERR no such key",
    "ERR index out of range",
    "BUSYGROUP",
    "NOGROUP",
    "ERR The ID specified in XADD",
    "ERR source and destination objects are the same",
    "ERR The XGROUP subcommand requires the key to exist",
];

/// Who makes up writes.
#[derive(Debug)]
pub struct Author {
    random: Random,
    /// Keys of each type.
    keys: usize,
    lines: Vec<&'static str>,
    has_transactions: bool,
    /// Grows with each id given to a stream.
    serial: u64,
}

impl Author {
    /// Writes to so many keys in each database.
    pub fn new(seed: u64, keys: usize) -> Self {
        let left_out = env::var(LEFT_OUT).unwrap_or_default();
        let is_kept = |line: &&str| !left_out.split(',').any(|name| line.split(' ').next() == Some(name));
        let has_transactions = is_kept(&"MULTI");
        let lines = LINES.iter().copied().filter(is_kept).collect();
        Self { random: Random::new(seed), keys: keys.div_ceil(TYPES.len()), lines, has_transactions, serial: 1 }
    }

    /// The next commands for a connection: some for a database, and now and then a transaction among them.
    pub fn batch(&mut self, len: usize) -> Vec<Words> {
        let mut all = vec![crate::words::split(&format!("SELECT {}", self.random.pick(DATABASES)))];
        while all.len() < len {
            if self.has_transactions && self.random.percent(10) {
                let count = 1 + self.random.below(4);
                all.push(vec![b"MULTI".to_vec()]);
                (0..count).for_each(|_| all.push(self.command()));
                all.push(vec![b"EXEC".to_vec()]);
            } else {
                all.push(self.command());
            }
        }
        all
    }

    fn command(&mut self) -> Words {
        let line = self.lines[self.random.below(self.lines.len())];
        // It changes a whole database, which is seldom done.
        let line = if line.starts_with("SWAPDB") && !self.random.percent(3) { "INCR %number" } else { line };
        line.split(' ').map(|word| self.word(word)).collect()
    }

    fn word(&mut self, word: &str) -> Vec<u8> {
        let Some((before, rest)) = word.split_once('%') else { return word.into() };
        let len = rest.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(rest.len());
        let (name, after) = rest.split_at(len);
        let middle = match name {
            "value" => self.value(),
            "small" => self.random.below(100).to_string().into_bytes(),
            "ttl" => (7_200 + self.random.below(90_000)).to_string().into_bytes(),
            "time" => (now_ms() + 7_200_000 + self.random.below(90_000_000) as u64).to_string().into_bytes(),
            "member" => format!("member:{}", self.random.below(60)).into_bytes(),
            "group" => format!("group:{}", self.random.below(2)).into_bytes(),
            "consumer" => format!("consumer:{}", self.random.below(3)).into_bytes(),
            "serial" => {
                self.serial += 1;
                self.serial.to_string().into_bytes()
            }
            "recent" => self.serial.saturating_sub(self.random.below(30) as u64).to_string().into_bytes(),
            "any" => {
                let name = self.random.pick(TYPES);
                self.key(name)
            }
            name => self.key(name),
        };
        [before.as_bytes(), &middle, after.as_bytes()].concat()
    }

    fn key(&mut self, name: &str) -> Vec<u8> {
        format!("{name}:{}", self.random.below(self.keys)).into_bytes()
    }

    fn value(&mut self) -> Vec<u8> {
        match self.random.below(20) {
            0 => Vec::new(),
            1..=4 => (self.random.next() as i64 >> self.random.below(60)).to_string().into_bytes(),
            5..=7 => self.random.next().to_le_bytes().to_vec(),
            8 => b"again and ".repeat(10 + self.random.below(400)),
            _ => format!("value {}", self.random.below(100_000)).into_bytes(),
        }
    }

    /// Commands that make a key of the type that its number says, small or, now and then, large.
    fn filler(&mut self, number: usize) -> Words {
        let name = TYPES[number % TYPES.len()];
        let key = format!("{name}:{}", number / TYPES.len());
        let count = if (number / TYPES.len()).is_multiple_of(50) { 300 } else { 1 + self.random.below(6) };
        let (command, element) = match name {
            "string" => ("SET KEY", "%value"),
            "number" => ("SET KEY", "%small"),
            "float" => ("SET KEY", "%small.5"),
            "bits" => ("SETBIT KEY %small", "1"),
            "log" => ("PFADD KEY", "%value"),
            "list" => ("RPUSH KEY", "%value"),
            "set" => ("SADD KEY", "%value"),
            "hash" => ("HSET KEY", "field:%small %value"),
            "zset" => ("ZADD KEY", "%small.25 %value"),
            "lex" => ("ZADD KEY", "0 %value"),
            "geo" => ("GEOADD KEY", "13.%small 38.%small %value"),
            "stream" => ("XADD KEY *", "field:%small %value"),
            _ => ("XADD KEY 1-*", "field:%small %value"),
        };
        let count = if matches!(name, "string" | "number" | "float" | "bits") { 1 } else { count };
        let elements = std::iter::repeat_n(element, count).flat_map(|element| element.split(' '));
        let words = command.split(' ').chain(elements);
        words.map(|word| if word == "KEY" { key.clone().into_bytes() } else { self.word(word) }).collect()
    }
}

/// Makes so many keys of all types, in several databases, of which each third expires in some hours.
///
/// # Panics
///
/// If the server refuses one.
#[track_caller]
pub fn fill(client: &mut Client, seed: u64, keys: usize) {
    let mut author = Author::new(seed, keys);
    let databases = DATABASES.len();
    for (at, database) in DATABASES.iter().enumerate() {
        client.check(&format!("SELECT {database}"), "OK");
        let count = keys / databases + usize::from(at < keys % databases);
        for start in (0..count).step_by(BATCH * 4) {
            let mut batch = Vec::new();
            for number in start..count.min(start + BATCH * 4) {
                let command = author.filler(number);
                let key = command[1].clone();
                batch.push(command);
                if author.random.percent(33) {
                    batch.push(vec![b"PEXPIREAT".to_vec(), key, author.word("%time")]);
                }
            }
            let replies = client.connection().pipeline(&batch).unwrap_or_else(|error| panic!("filling ends: {error}"));
            for (reply, words) in replies.iter().zip(&batch) {
                assert!(!reply.is_error(), "{} is answered {}", show(words), render(reply));
            }
        }
    }
    client.check("SELECT 0", "OK");
}

/// Writes that go on beside a test.
#[derive(Debug)]
pub struct Load {
    writers: Vec<(Sender<()>, JoinHandle<Written>)>,
}

/// What a connection has written.
#[derive(Debug)]
struct Written {
    commands: usize,
    /// A refusal that nobody expected.
    refused: Option<String>,
    /// Why the connection ended before it was told to.
    broke: Option<Error>,
}

impl Load {
    /// Starts to write over so many connections, at most `commands` on each, to so many keys.
    pub fn start(node: &Node, seed: u64, connections: usize, commands: usize, keys: usize) -> Self {
        let start = |number| {
            let (mut client, (stop, stopped)) = (node.connect(), channel());
            let writer = thread::spawn(move || {
                let mut author = Author::new(seed.wrapping_add(number), keys);
                let mut written = Written { commands: 0, refused: None, broke: None };
                while written.commands < commands && stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                    let batch = author.batch(BATCH);
                    match client.connection().pipeline(&batch) {
                        Ok(replies) => written.note(&batch, &replies),
                        Err(error) => {
                            written.broke = Some(error);
                            break;
                        }
                    }
                }
                written
            });
            (stop, writer)
        };
        Self { writers: (0..connections as u64).map(start).collect() }
    }

    /// Waits until everything is written, and returns how many commands that were.
    ///
    /// # Panics
    ///
    /// If the server has refused what it should take, or closed a connection.
    #[track_caller]
    pub fn finish(self) -> usize {
        Self::count(self.writers.into_iter().map(|(stop, writer)| {
            let written = join(writer);
            drop(stop);
            written
        }))
    }

    /// Stops writing, and returns how many commands were written. Panics as [`Load::finish`] does.
    #[track_caller]
    pub fn stop(self) -> usize {
        Self::count(self.writers.into_iter().map(|(stop, writer)| {
            drop(stop);
            join(writer)
        }))
    }

    /// Waits until the server, which was killed, has closed all connections.
    pub fn lose(self) {
        self.writers.into_iter().for_each(|(stop, writer)| {
            drop(stop);
            join(writer);
        });
    }

    #[track_caller]
    fn count(all: impl Iterator<Item = Written>) -> usize {
        // All threads end before one that failed is told of.
        let all: Vec<_> = all.collect();
        for written in &all {
            assert!(written.refused.is_none(), "{}", written.refused.as_deref().unwrap_or_default());
            assert!(written.broke.is_none(), "the load was cut off: {:?}", written.broke);
        }
        all.iter().map(|written| written.commands).sum()
    }
}

fn join(writer: JoinHandle<Written>) -> Written {
    writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Written {
    fn note(&mut self, batch: &[Words], replies: &[Reply]) {
        self.commands += batch.len();
        let refused = |reply: &Reply| {
            let text = render(reply);
            reply.is_error() && !EXPECTED.iter().any(|start| text.starts_with(start))
        };
        if let Some((words, reply)) = batch.iter().zip(replies).find(|(_, reply)| refused(reply)) {
            self.refused.get_or_insert_with(|| format!("{} is answered {}", show(words), render(reply)));
        }
    }
}

fn show(words: &Words) -> String {
    words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>().join(" ")
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
