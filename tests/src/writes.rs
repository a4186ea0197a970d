//! Clients that write whatever there is to write, at random: data to begin with, and a load beside what a test does.
//!
//! No key expires within hours, so that servers can be compared afterwards. See `writes/lines.rs` for what is written.

mod author;
mod lines;

use crate::client::Client;
use crate::load::SetOnDrop;
use crate::node::Node;
use crate::render::render;
use author::{Author, Words};
use larder_client::connection::Error;
use larder_client::resp::Reply;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

/// Commands of one pipeline, when keys are made.
const FILL_DEPTH: usize = 500;

/// The most pieces that a writer sends before it looks at replies. It varies, so that some commands come alone.
const DEPTH_MAX: usize = 40;

/// Connections that wait for what others write.
const WAITERS: usize = 2;

/// One key of so many gets an expiry to begin with.
const EXPIRING: usize = 5;

/// Elements of a large key.
const LARGE_ELEMENTS: usize = 2_000;

/// What is written, and how much of it at most.
#[derive(Clone, Copy, Debug)]
pub struct Writes {
    pub seed: u64,
    /// Keys to begin with, of all kinds together.
    pub keys: usize,
    /// Connections that write at the same time.
    pub writers: usize,
    /// Commands of all of them together.
    pub commands: usize,
}

/// What has become of a load.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tally {
    /// Commands that were answered.
    pub commands: usize,
    /// Of these, those that were refused, as when a key holds another type.
    pub refused: usize,
    /// Whether the server has closed a connection: the rest of that writer's commands is not written then.
    pub is_broken: bool,
}

impl Writes {
    /// Makes the keys to begin with, in three databases.
    #[track_caller]
    pub fn fill(&self, node: &Node) {
        let mut client = node.connect();
        let mut author = Author::new(self.seed, self.keys, &[]);
        let mut made = Vec::new();
        for number in 0..self.keys {
            let (kind, line) = lines::KINDS[number % lines::KINDS.len()];
            let words = author.begin(kind, line, number / lines::KINDS.len());
            let key = words[1].clone();
            made.push(words);
            if number % EXPIRING == 0 {
                made.extend(author.fill("PEXPIRE key $millis"));
                made.last_mut().expect("it was just pushed")[1] = key;
            }
            if made.len() >= FILL_DEPTH {
                made.insert(0, vec![b"SELECT".to_vec(), [&b"0"[..], b"0", b"0", b"1", b"2"][number % 5].to_vec()]);
                send(&mut client, &std::mem::take(&mut made));
            }
        }
        send(&mut client, &made);
        for (kind, line) in lines::LARGE {
            let words: Vec<_> = (0..LARGE_ELEMENTS).map(|_| author.begin(kind, line, self.keys)).collect();
            words.chunks(FILL_DEPTH).for_each(|some| send(&mut client, some));
        }
    }

    /// Writes all commands and returns what has become of them.
    #[track_caller]
    pub fn run(&self, node: &Node) -> Tally {
        let over = AtomicBool::new(false);
        self.write(node, &over, || ()).1
    }

    /// Writes while `work` is done, and ends with it: before, if the commands are used up, or soon after.
    #[track_caller]
    pub fn beside<T>(&self, node: &Node, work: impl FnOnce() -> T) -> (T, Tally) {
        let over = AtomicBool::new(false);
        self.write(node, &over, || {
            let _end = SetOnDrop(&over);
            work()
        })
    }

    #[track_caller]
    fn write<T>(&self, node: &Node, over: &AtomicBool, work: impl FnOnce() -> T) -> (T, Tally) {
        let payloads = payloads(&mut node.connect());
        let left = AtomicUsize::new(self.commands);
        let writers_over = AtomicBool::new(false);
        let author = |number: usize| Author::new(self.seed ^ (number as u64 + 1) << 32, self.keys / 10, &payloads);
        let shared = Shared { left: &left, over, writers_over: &writers_over };
        thread::scope(|scope| {
            let writers: Vec<_> = (0..self.writers)
                .map(|number| {
                    let (mut client, mut author) = (node.connect(), author(number));
                    scope.spawn(move || shared.write(&mut client, &mut author))
                })
                .collect();
            let waiters: Vec<_> = (0..WAITERS)
                .map(|number| {
                    let (mut client, mut author) = (node.connect(), author(self.writers + number));
                    scope.spawn(move || shared.wait(&mut client, &mut author))
                })
                .collect();
            let end = SetOnDrop(&writers_over);
            let done = work();
            let mut tally = Tally { commands: 0, refused: 0, is_broken: false };
            writers.into_iter().for_each(|writer| tally.add(writer.join().expect("a writer ends well")));
            drop(end);
            waiters.into_iter().for_each(|waiter| tally.add(waiter.join().expect("one who waits ends well")));
            (done, tally)
        })
    }
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.commands += other.commands;
        self.refused += other.refused;
        self.is_broken |= other.is_broken;
    }

    /// Looks at replies of commands.
    fn count(&mut self, author: &mut Author, requests: &[Words], replies: Result<Vec<Reply>, Error>) {
        let Ok(replies) = replies else {
            self.is_broken = true;
            return;
        };
        for (words, reply) in requests.iter().zip(&replies) {
            self.commands += 1;
            self.refused += usize::from(reply.is_error());
            check_sense(words, reply);
            author.hear(words, reply);
        }
    }
}

/// What the connections of one load share.
#[derive(Clone, Copy)]
struct Shared<'a> {
    /// Commands that nobody has taken yet.
    left: &'a AtomicUsize,
    /// Whether writers are to end.
    over: &'a AtomicBool,
    /// Whether they have ended.
    writers_over: &'a AtomicBool,
}

impl Shared<'_> {
    fn write(self, client: &mut Client, author: &mut Author) -> Tally {
        let mut tally = Tally { commands: 0, refused: 0, is_broken: false };
        while !self.over.load(Relaxed) && !tally.is_broken {
            let depth = 1 + author.random.below(DEPTH_MAX);
            let requests: Vec<_> = (0..depth).flat_map(|_| author.piece()).collect();
            let taken = self.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(requests.len()));
            if taken.is_err() {
                break;
            }
            tally.count(author, &requests, client.connection().pipeline(&requests));
        }
        tally
    }

    fn wait(self, client: &mut Client, author: &mut Author) -> Tally {
        let mut tally = Tally { commands: 0, refused: 0, is_broken: false };
        while !self.writers_over.load(Relaxed) && !tally.is_broken {
            let line = lines::WAITING[author.random.below(lines::WAITING.len())];
            let requests = author.fill(line);
            tally.count(author, &requests, client.connection().pipeline(&requests));
        }
        tally
    }
}

/// A refusal that comes of how a command is written shows that the test is wrong: it would write nothing.
#[track_caller]
fn check_sense(words: &Words, reply: &Reply) {
    const SENSELESS: [&str; 5] = ["ERR syntax", "ERR unknown", "ERR wrong number", "ERR DUMP", "ERR Bad data"];
    let Reply::Error(text) = reply else { return };
    let text = String::from_utf8_lossy(text);
    let is_senseless = SENSELESS.iter().any(|start| text.starts_with(start)) || text.starts_with("READONLY");
    assert!(!is_senseless, "{} is answered by {text}", render(&as_reply(words)));
}

fn as_reply(words: &Words) -> Reply {
    Reply::Array(words.iter().map(|word| Reply::Bulk(word.clone().into())).collect())
}

/// Sends commands that cannot be refused.
#[track_caller]
fn send(client: &mut Client, requests: &[Words]) {
    let replies = client.connection().pipeline(requests).unwrap_or_else(|error| panic!("keys cannot be made: {error}"));
    for (words, reply) in requests.iter().zip(&replies) {
        assert!(!reply.is_error(), "{} is answered by {}", render(&as_reply(words)), render(reply));
    }
}

/// Values for RESTORE, as this server tells them.
#[track_caller]
fn payloads(client: &mut Client) -> Vec<Vec<u8>> {
    const MADE: [&str; 5] =
        ["SET dumped text", "RPUSH dumped a 1 b", "SADD dumped 1 2 3", "HSET dumped a 1 b 2", "ZADD dumped 1 a 2.5 b"];
    let dump = |line: &&str| {
        client.check("DEL dumped", "0");
        client.call(line);
        let payload = client.call("DUMP dumped");
        client.check("DEL dumped", "1");
        payload.as_bytes().unwrap_or_else(|| panic!("DUMP answers {}", render(&payload))).to_vec()
    };
    MADE.iter().map(dump).collect()
}
