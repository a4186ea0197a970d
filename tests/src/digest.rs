//! Whether servers hold the same: a number for each key, which stands for its type, its content and its time of expiry.
//!
//! Nothing but what any client may read is used, so servers of different makes can be compared. What a replica may know
//! otherwise than its primary is left out: how a stream is laid out in memory, when consumers were last seen and entries
//! delivered, and how many entries a group has read, which a primary before Redis 7.2.5 does not tell its replicas.

use crate::client::Client;
use crate::node::Node;
use crate::render::render;
use larder_client::resp::Reply;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::thread;

/// Databases that are looked at: as many as servers have by default.
const DATABASES: u8 = 16;

/// Keys that are asked for in one pipeline. Few enough for their values to be in memory, many enough to hide the way there.
const KEYS_PER_PIPELINE: usize = 256;

/// Differing keys that are told in full.
const TOLD_MAX: usize = 5;

/// Letters of a content that are told.
const LETTERS_MAX: usize = 2500;

/// A key and the number of its database.
type Place = (u8, Box<[u8]>);

/// All that a server held when it was asked. It is the same for two servers if they hold the same, in whatever order.
#[derive(PartialEq, Eq, Debug)]
pub struct Digest {
    // By key and not only as a sum: SCAN may return a key twice, and a difference can be told.
    keys: HashMap<Place, u64>,
}

impl Digest {
    /// Reads everything. The server must not change meanwhile, neither by writes nor by expiry.
    #[track_caller]
    pub fn of(client: &mut Client) -> Self {
        let mut keys = HashMap::new();
        for database in 0..DATABASES {
            client.check(&format!("SELECT {database}"), "OK");
            scan(client, |client, found| {
                for (key, content) in found.iter().zip(contents(client, found)) {
                    if let Some(content) = content {
                        keys.insert((database, key.as_slice().into()), hash(&content));
                    }
                }
            });
        }
        client.check("SELECT 0", "OK");
        Self { keys }
    }

    /// How many keys there are in all databases.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// One number for everything.
    pub fn sum(&self) -> u64 {
        self.keys.iter().map(|(place, content)| hash(&(place, content))).fold(0, u64::wrapping_add)
    }

    /// Keys that only one of the two holds, or that they hold otherwise, in order.
    fn differing<'a>(&'a self, other: &'a Self) -> Vec<&'a Place> {
        let here = self.keys.iter().filter(|(place, content)| other.keys.get(*place) != Some(content));
        let there = other.keys.keys().filter(|place| !self.keys.contains_key(*place));
        let mut all: Vec<_> = here.map(|(place, _)| place).chain(there).collect();
        all.sort();
        all
    }
}

/// Expects all servers to hold the same as the first, and returns how many keys that are. They are read side by side.
///
/// # Panics
///
/// With the first few keys that differ, and their contents on both servers.
#[track_caller]
pub fn check_alike(nodes: &[&Node]) -> usize {
    let mut clients: Vec<_> = nodes.iter().map(|node| node.connect()).collect();
    let digests: Vec<_> = thread::scope(|scope| {
        let readers: Vec<_> = clients.iter_mut().map(|client| scope.spawn(|| Digest::of(client))).collect();
        readers.into_iter().map(|reader| reader.join().expect("a server can be read")).collect()
    });
    let (first, others) = clients.split_first_mut().expect("there are servers to compare");
    for (at, other) in others.iter_mut().enumerate() {
        if let Some(difference) = tell_difference([first, other], [&digests[0], &digests[at + 1]]) {
            panic!("\nserver {} does not hold what server 0 holds: {difference}", at + 1);
        }
    }
    digests[0].len()
}

/// What two servers hold differently, for people.
#[track_caller]
pub fn difference(one: &mut Client, other: &mut Client) -> Option<String> {
    let digests = [Digest::of(one), Digest::of(other)];
    tell_difference([one, other], [&digests[0], &digests[1]])
}

fn tell_difference(clients: [&mut Client; 2], digests: [&Digest; 2]) -> Option<String> {
    let differing = digests[0].differing(digests[1]);
    if differing.is_empty() {
        return None;
    }
    let mut text = format!("{} keys here, {} there", digests[0].len(), digests[1].len());
    text += &format!(", {} differ, sums {:x} and {:x}\n", differing.len(), digests[0].sum(), digests[1].sum());
    let [one, other] = clients;
    for (database, key) in differing.into_iter().take(TOLD_MAX) {
        let name = key.escape_ascii();
        let (here, there) = (content_of(one, *database, key), content_of(other, *database, key));
        text += &format!("  {name} in database {database}\n    first: {here}\n    other: {there}\n");
    }
    Some(text)
}

fn content_of(client: &mut Client, database: u8, key: &[u8]) -> String {
    client.check(&format!("SELECT {database}"), "OK");
    let content = contents(client, &[key.to_vec()]).pop().flatten().unwrap_or_else(|| "(nothing)".to_owned());
    client.check("SELECT 0", "OK");
    match content.char_indices().nth(LETTERS_MAX) {
        Some((end, _)) => format!("{}.. ({} bytes)", &content[..end], content.len()),
        None => content,
    }
}

fn hash(content: &impl Hash) -> u64 {
    // Seeded with nothing, so that runs can be compared.
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}

/// Hands all keys of the current database to `look`, some at a time.
#[track_caller]
fn scan(client: &mut Client, mut look: impl FnMut(&mut Client, &[Vec<u8>])) {
    let mut cursor = b"0".to_vec();
    loop {
        let count = KEYS_PER_PIPELINE.to_string();
        let reply = client.call_words(&[b"SCAN", &cursor[..], b"COUNT", count.as_bytes()]);
        let Some([next, Reply::Array(keys)]) = reply.as_slice() else { panic!("SCAN answers {}", render(&reply)) };
        cursor = bytes(next);
        let keys: Vec<_> = keys.iter().map(bytes).collect();
        keys.chunks(KEYS_PER_PIPELINE).for_each(|some| look(client, some));
        if cursor == b"0" {
            return;
        }
    }
}

/// What each key of the current database holds, as a text; `None` for a key that is not there.
#[track_caller]
fn contents(client: &mut Client, keys: &[Vec<u8>]) -> Vec<Option<String>> {
    let asked = keys.iter().flat_map(|key| [vec![&b"TYPE"[..], key], vec![b"PEXPIRETIME", key]]);
    let facts = pipeline(client, &asked.collect::<Vec<_>>());
    let kinds: Vec<_> = facts.chunks(2).map(|pair| render(&pair[0])).collect();
    let reads = keys.iter().zip(&kinds).flat_map(|(key, kind)| reads(kind, key));
    let mut values = pipeline(client, &reads.collect::<Vec<_>>()).into_iter();
    let mut content = |(at, kind): (usize, &String)| {
        let expiry = render(&facts[at * 2 + 1]);
        let values: Vec<_> = reads_of(kind).iter().filter_map(|_| values.next()).collect();
        (kind != "none").then(|| format!("{kind}, expires {expiry}: {}", text(kind, &values)))
    };
    kinds.iter().enumerate().map(&mut content).collect()
}

#[track_caller]
fn pipeline(client: &mut Client, requests: &[Vec<&[u8]>]) -> Vec<Reply> {
    client.connection().pipeline(requests).unwrap_or_else(|error| panic!("a digest cannot be read: {error}"))
}

/// The commands that read a value of a type; `KEY` stands for the key.
fn reads_of(kind: &str) -> &'static [&'static str] {
    match kind {
        "string" => &["GET KEY"],
        "list" => &["LRANGE KEY 0 -1"],
        "set" => &["SMEMBERS KEY"],
        "hash" => &["HGETALL KEY"],
        "zset" => &["ZRANGE KEY 0 -1 WITHSCORES"],
        "stream" => &["XRANGE KEY - +", "XINFO STREAM KEY FULL COUNT 0"],
        "none" => &[],
        other => panic!("a digest does not know the type {other}"),
    }
}

fn reads<'a>(kind: &str, key: &'a [u8]) -> impl Iterator<Item = Vec<&'a [u8]>> {
    let word = move |word: &'static str| if word == "KEY" { key } else { word.as_bytes() };
    reads_of(kind).iter().map(move |line| line.split(' ').map(word).collect())
}

/// A value as it would be told by every server that holds it.
fn text(kind: &str, values: &[Reply]) -> String {
    match (kind, values) {
        ("set", [members]) => sorted(members, 1),
        ("hash", [pairs]) => sorted(pairs, 2),
        ("stream", [entries, full]) => format!("{} {}", render(entries), stream(full)),
        (_, [value]) => render(value),
        _ => panic!("a {kind} is not told by {} replies", values.len()),
    }
}

/// Elements in groups, which have no order.
fn sorted(reply: &Reply, width: usize) -> String {
    let elements = reply.as_slice().unwrap_or_else(|| panic!("{} is no array", render(reply)));
    let mut groups: Vec<_> = elements.chunks(width).map(|group| render(&Reply::Array(group.to_vec()))).collect();
    groups.sort();
    groups.join(" ")
}

/// What XINFO STREAM FULL tells that is the same on a replica.
fn stream(full: &Reply) -> String {
    told(full, &["radix-tree-keys", "radix-tree-nodes", "entries"], |name, value| match name {
        "groups" => each(value, group),
        _ => render(value),
    })
}

fn group(group: &Reply) -> String {
    told(group, &["entries-read", "lag"], |name, value| match name {
        // Id, consumer, time of delivery, count of deliveries.
        "pel" | "pending" => each(value, |entry| without(entry, 2)),
        "consumers" => each(value, consumer),
        _ => render(value),
    })
}

fn consumer(consumer: &Reply) -> String {
    told(consumer, &["seen-time", "active-time"], |name, value| match name {
        // Id, time of delivery, count of deliveries.
        "pel" | "pending" => each(value, |entry| without(entry, 1)),
        _ => render(value),
    })
}

/// Names and values, but for those that are left out.
fn told(pairs: &Reply, left_out: &[&str], value_text: impl Fn(&str, &Reply) -> String) -> String {
    let pairs = pairs.as_slice().unwrap_or_else(|| panic!("{} has no fields", render(pairs)));
    let texts = pairs.chunks(2).map(|pair| (render(&pair[0]), &pair[1]));
    let kept = texts.filter(|(name, _)| !left_out.contains(&&**name));
    let texts: Vec<_> = kept.map(|(name, value)| format!("{name}={}", value_text(&name, value))).collect();
    format!("{{{}}}", texts.join(" "))
}

/// The elements' texts, which have no order.
fn each(reply: &Reply, element: impl Fn(&Reply) -> String) -> String {
    let mut texts: Vec<_> = reply.as_slice().unwrap_or_default().iter().map(element).collect();
    texts.sort();
    format!("[{}]", texts.join(", "))
}

fn without(entry: &Reply, index: usize) -> String {
    let mut parts = entry.as_slice().unwrap_or_default().to_vec();
    if index < parts.len() {
        parts.remove(index);
    }
    render(&Reply::Array(parts))
}

fn bytes(reply: &Reply) -> Vec<u8> {
    reply.as_bytes().unwrap_or_else(|| panic!("{} is no string", render(reply))).to_vec()
}
