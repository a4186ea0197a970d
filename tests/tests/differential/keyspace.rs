//! Everything that is stored: read from both servers and compared, key by key.

use crate::compare::{CLOCKS_APART_MS, alike_replies, is_near, near_times};
use crate::groups::Group;
use crate::intended::is_same_encoding;
use crate::servers::Gap;
use crate::words::Words;
use larder_client::resp::Reply;
use larder_tests::{Client, render, split};
use std::collections::BTreeMap;
use std::{fmt, thread};

/// The databases that scripts select; see `DBNO` in `words.rs`.
const DATABASES: &[u8] = &[0, 1, 2, 15];

/// The value of a key, and all that can be seen of it.
pub struct Value {
    /// Its type; the refusal, if there is no value.
    kind: String,
    encoding: String,
    /// Milliseconds to live, -1 for ever.
    ttl: i64,
    /// All of it, in one order.
    content: Reply,
}

impl Value {
    /// Whether another server's value is the same, but for what is meant to differ.
    pub fn is_like(&self, theirs: &Self) -> bool {
        let is_same_time = self.ttl == theirs.ttl || is_near(self.ttl, theirs.ttl, CLOCKS_APART_MS);
        let is_same_content = match self.kind.as_str() {
            "zset" => alike_replies(&self.content, &theirs.content),
            "stream" => near_times(&self.content, &theirs.content),
            _ => self.content == theirs.content,
        };
        self.kind == theirs.kind
            && is_same_encoding(&self.kind, &self.encoding, &theirs.encoding)
            && is_same_time
            && is_same_content
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, ttl {}): {}", self.kind, self.encoding, self.ttl, render(&self.content))
    }
}

/// The first key that the servers hold differently.
pub fn compare(ours: &mut Client, theirs: &mut Client) -> Option<Gap> {
    DATABASES.iter().find_map(|database| {
        let (here, there) = thread::scope(|scope| {
            let here = scope.spawn(|| read(ours, *database));
            let there = read(theirs, *database);
            (here.join().expect("our server answers"), there)
        });
        let mut keys: Vec<&Vec<u8>> = here.keys().chain(there.keys()).collect();
        keys.sort();
        let differs = |key: &&&Vec<u8>| match (here.get(**key), there.get(**key)) {
            (Some(here), Some(there)) => !here.is_like(there),
            _ => true,
        };
        let key = *keys.iter().find(differs)?;
        let text = |values: &BTreeMap<Vec<u8>, Value>| {
            values.get(key).map_or_else(|| "(no such key)".to_owned(), ToString::to_string)
        };
        let words = vec![format!("(key in database {database})").into_bytes(), key.clone()];
        Some(Gap { words, ours: text(&here), theirs: text(&there) })
    })
}

/// The value that a payload is restored to, in the database that the connection has selected.
pub fn restored(client: &mut Client, payload: &[u8]) -> Value {
    let done = client.call_words(&[b"RESTORE", &b"restored"[..], b"0", payload, b"REPLACE"]);
    if matches!(done, Reply::Error(_)) {
        return Value { kind: render(&done), encoding: String::new(), ttl: -1, content: Reply::Null };
    }
    let key = b"restored".to_vec();
    let value = values(client, std::slice::from_ref(&key)).pop().expect("there is a value for each key");
    client.call("DEL restored");
    value
}

/// What DUMP returns for values of every encoding, of the types that the groups are about.
pub fn payloads(client: &mut Client, groups: &[&Group]) -> Vec<Vec<u8>> {
    const STRINGS: [&str; 9] = [
        "SET dumped ''",
        "SET dumped 1",
        "SET dumped -129",
        "SET dumped 70000",
        "SET dumped 9223372036854775807",
        "SET dumped text",
        "SETRANGE dumped 299 z",
        "SET dumped xyz123xyz123xyz123xyz123xyz123xyz123xyz123xyz123",
        "SET dumped \"\\x00\\r\\n\"",
    ];
    const OTHERS: &[(&str, &str)] = &[
        ("hash", "HSET dumped a 1 b 2 c text"),
        (
            "hash",
            "HSET dumped a 1 b \"long value: 0123456789012345678901234567890123456789012345678901234567890123456789\"",
        ),
        ("list", "RPUSH dumped a b 3 \"\" -4"),
        ("set", "SADD dumped 1 2 3 70000 5000000000"),
        ("set", "SADD dumped a b 3"),
        ("zset", "ZADD dumped 1 a 2.5 b -inf c"),
        (
            "zset",
            "ZADD dumped 1 \"long member: 0123456789012345678901234567890123456789012345678901234567890123456789\" 2 b",
        ),
        ("stream", "XADD dumped 5-1 a b"),
    ];
    let has = |name: &str| groups.iter().any(|group| group.name == name);
    let others = OTHERS.iter().filter(|(name, _)| has(name)).map(|(_, line)| *line);
    let lines: Vec<&str> = STRINGS.into_iter().chain(others).collect();
    let mut dump = |line: &str| {
        client.call("DEL dumped");
        client.call(line);
        client.call("DUMP dumped").as_bytes().expect("the key is there").to_vec()
    };
    let payloads = lines.into_iter().map(&mut dump).collect();
    client.call("DEL dumped");
    payloads
}

fn read(client: &mut Client, database: u8) -> BTreeMap<Vec<u8>, Value> {
    let own = "SELECT 9";
    client.check(&format!("SELECT {database}"), "OK");
    let keys = client.call("KEYS *");
    let keys = keys.as_slice().unwrap_or_default().iter().filter_map(Reply::as_bytes).map(<[u8]>::to_vec);
    let keys: Vec<Vec<u8>> = keys.collect();
    let values = values(client, &keys);
    client.check(own, "OK");
    keys.into_iter().zip(values).collect()
}

fn values(client: &mut Client, keys: &[Vec<u8>]) -> Vec<Value> {
    let about = |line: &str, key: &[u8]| -> Words {
        split(line).into_iter().map(|word| if word == b"KEY" { key.to_vec() } else { word }).collect()
    };
    let questions = ["TYPE KEY", "OBJECT ENCODING KEY", "PTTL KEY"];
    let asked: Vec<Words> = keys.iter().flat_map(|key| questions.map(|line| about(line, key))).collect();
    let facts = client.connection().pipeline(&asked).expect("the server answers");
    let facts: Vec<[Reply; 3]> =
        facts.chunks(3).map(|facts| facts.to_vec().try_into().expect("each chunk has three")).collect();
    let read = keys.iter().zip(&facts).map(|(key, [kind, ..])| about(reading(&render(kind)), key));
    let read: Vec<Words> = read.collect();
    let contents = client.connection().pipeline(&read).expect("the server answers");
    let facts_and_contents = facts.into_iter().zip(contents);
    facts_and_contents
        .map(|([kind, encoding, ttl], content)| {
            let kind = render(&kind);
            let content = in_one_order(&kind, content);
            Value { encoding: render(&encoding), ttl: ttl.as_int().unwrap_or(-1), content, kind }
        })
        .collect()
}

/// The command that reads all of a value.
fn reading(kind: &str) -> &'static str {
    match kind {
        "string" => "GET KEY",
        "hash" => "HGETALL KEY",
        "list" => "LRANGE KEY 0 -1",
        "set" => "SMEMBERS KEY",
        "zset" => "ZRANGE KEY 0 -1 WITHSCORES",
        "stream" => "XINFO STREAM KEY FULL COUNT 0",
        _ => "TYPE KEY",
    }
}

/// Sorts what has no order of its own.
fn in_one_order(kind: &str, content: Reply) -> Reply {
    let width = match kind {
        "hash" => 2,
        "set" => 1,
        _ => return content,
    };
    let Reply::Array(elements) = content else { return content };
    let mut parts: Vec<&[Reply]> = elements.chunks(width).collect();
    parts.sort_by_cached_key(|part| part.iter().map(render).collect::<Vec<_>>());
    Reply::Array(parts.concat())
}
