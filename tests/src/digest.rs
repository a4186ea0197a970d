//! A hash over everything a server holds, taken by reads that any client may make, so that servers of any make can be compared.

use crate::client::Client;
use crate::node::Node;
use crate::render::render;
use larder_client::resp::Reply;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Databases that servers have by default.
const DATABASES: usize = 16;

/// Keys that are read in one pipeline.
const PIPELINE: usize = 256;

/// Differing keys that a failure tells, and letters of each.
const TOLD: usize = 5;
const LETTERS: usize = 1_000;

/// The hash of each key's content, by database and name: sorted, so the order in which a server keeps keys does not matter.
pub type Digest = BTreeMap<(usize, Vec<u8>), u64>;

/// Reads all that a server holds. It must not change meanwhile.
#[track_caller]
pub fn digest(client: &mut Client) -> Digest {
    let mut all = Digest::new();
    for database in 0..DATABASES {
        client.check(&format!("SELECT {database}"), "OK");
        let mut cursor = b"0".to_vec();
        loop {
            let reply = client.call_words(&[&b"SCAN"[..], &cursor, b"COUNT", PIPELINE.to_string().as_bytes()]);
            let Some([next, keys]) = reply.as_slice() else { panic!("SCAN answers {}", render(&reply)) };
            let keys: Vec<Vec<u8>> = parts(keys).iter().map(word).collect();
            for some in keys.chunks(PIPELINE) {
                for (key, content) in some.iter().zip(contents(client, some)) {
                    // SCAN may return a key twice; it counts once.
                    all.insert((database, key.clone()), hash(&content));
                }
            }
            cursor = word(next);
            if cursor == b"0" {
                break;
            }
        }
    }
    all
}

/// Expects all servers to hold what the first one holds, and returns how many keys that are.
///
/// # Panics
///
/// With the first keys that differ, and what both servers hold there.
#[track_caller]
pub fn check_alike(nodes: &[&Node]) -> usize {
    let (first, others) = nodes.split_first().expect("there are servers to compare");
    let here = digest(&mut first.connect());
    for (at, other) in others.iter().enumerate() {
        let there = digest(&mut other.connect());
        if here != there {
            let told = tell([&mut first.connect(), &mut other.connect()], [&here, &there]);
            panic!("\nserver {} does not hold what the first one holds:\n{told}", at + 1);
        }
    }
    here.len()
}

fn tell(clients: [&mut Client; 2], [here, there]: [&Digest; 2]) -> String {
    let mut places: Vec<_> =
        here.iter().filter(|(place, hash)| there.get(*place) != Some(hash)).map(|(p, _)| p).collect();
    places.extend(there.keys().filter(|place| !here.contains_key(*place)));
    let mut text = format!("{} keys and {} keys, {} differ\n", here.len(), there.len(), places.len());
    let [first, other] = clients;
    for (database, key) in places.into_iter().take(TOLD) {
        text += &format!("key {} of database {database}\n", key.escape_ascii());
        for client in [&mut *first, &mut *other] {
            client.check(&format!("SELECT {database}"), "OK");
            let content = contents(client, std::slice::from_ref(key)).remove(0);
            text += &format!("    {}\n", content.chars().take(LETTERS).collect::<String>());
        }
    }
    text
}

/// What each key holds, as a text that is the same on all servers.
#[track_caller]
fn contents(client: &mut Client, keys: &[Vec<u8>]) -> Vec<String> {
    let facts =
        keys.iter().flat_map(|key| [vec![b"TYPE".to_vec(), key.clone()], vec![b"PEXPIRETIME".to_vec(), key.clone()]]);
    let facts = ask(client, &facts.collect::<Vec<_>>());
    let kinds: Vec<String> = facts.iter().step_by(2).map(render).collect();
    let calls: Vec<_> = keys.iter().zip(&kinds).flat_map(|(key, kind)| reads(kind, key)).collect();
    let mut answers = ask(client, &calls).into_iter();
    let content = |(at, kind): (usize, &String)| {
        let replies: Vec<Reply> = reads(kind, b"").iter().filter_map(|_| answers.next()).collect();
        format!("{kind} until {}: {}", render(&facts[2 * at + 1]), describe(kind, &replies))
    };
    kinds.iter().enumerate().map(content).collect()
}

#[track_caller]
fn ask(client: &mut Client, calls: &[Vec<Vec<u8>>]) -> Vec<Reply> {
    client.connection().pipeline(calls).unwrap_or_else(|error| panic!("reading for a digest: {error}"))
}

/// The calls that read a value of a type.
fn reads(kind: &str, key: &[u8]) -> Vec<Vec<Vec<u8>>> {
    let lines: &[&str] = match kind {
        "string" => &["GET %"],
        "list" => &["LRANGE % 0 -1"],
        "set" => &["SMEMBERS %"],
        "hash" => &["HGETALL %"],
        "zset" => &["ZRANGE % 0 -1 WITHSCORES"],
        "stream" => &["XRANGE % - +", "XINFO STREAM % FULL COUNT 0"],
        "none" => &[],
        other => panic!("there is no digest of the type {other}"),
    };
    let fill = |word: &str| if word == "%" { key.to_vec() } else { word.as_bytes().to_vec() };
    lines.iter().map(|line| line.split(' ').map(fill).collect()).collect()
}

fn describe(kind: &str, replies: &[Reply]) -> String {
    match (kind, replies) {
        ("set", [all]) => in_order(parts(all).chunks(1).map(|member| format!("{member:?}"))),
        ("hash", [all]) => {
            in_order(parts(all).chunks(2).map(|pair| format!("{} {}", render(&pair[0]), render(&pair[1]))))
        }
        // Redis 7.2 writes numbers in other words than 7.0.
        ("zset", [all]) => {
            parts(all).chunks(2).map(|pair| format!("{} {:?}, ", render(&pair[0]), score(&pair[1]))).collect()
        }
        ("stream", [entries, facts]) => format!("{} {}", render(entries), stream(facts)),
        (_, replies) => replies.iter().map(render).collect(),
    }
}

/// What a stream is beside its entries. Left out is what a replica knows otherwise: when consumers were seen and entries
/// delivered, how the stream lies in memory, and how many entries a group has read, which is not replicated by older servers.
fn stream(reply: &Reply) -> String {
    fields(reply, &|name, value| match name {
        "radix-tree-keys" | "radix-tree-nodes" | "entries" => None,
        "groups" => Some(in_order(parts(value).iter().map(|group| fields(group, &group_field)))),
        _ => Some(render(value)),
    })
}

fn group_field(name: &str, value: &Reply) -> Option<String> {
    match name {
        "entries-read" | "lag" => None,
        // Id, consumer, time of delivery, deliveries.
        "pending" | "pel" => Some(in_order(parts(value).iter().map(|entry| without(entry, 2)))),
        "consumers" => Some(in_order(parts(value).iter().map(|consumer| fields(consumer, &consumer_field)))),
        _ => Some(render(value)),
    }
}

fn consumer_field(name: &str, value: &Reply) -> Option<String> {
    match name {
        "seen-time" | "active-time" => None,
        // Id, time of delivery, deliveries.
        "pending" | "pel" => Some(in_order(parts(value).iter().map(|entry| without(entry, 1)))),
        _ => Some(render(value)),
    }
}

/// Names and values, as far as `text` tells them.
fn fields(reply: &Reply, text: &dyn Fn(&str, &Reply) -> Option<String>) -> String {
    let told = parts(reply).chunks(2).filter_map(|pair| {
        let name = render(&pair[0]);
        Some(format!("{name}={} ", text(&name, &pair[1])?))
    });
    told.collect()
}

fn without(entry: &Reply, left_out: usize) -> String {
    let kept = parts(entry).iter().enumerate().filter(|(at, _)| *at != left_out);
    kept.map(|(_, part)| format!("{} ", render(part))).collect()
}

fn in_order(texts: impl Iterator<Item = String>) -> String {
    let mut texts: Vec<_> = texts.collect();
    texts.sort();
    texts.join(", ")
}

fn score(reply: &Reply) -> Option<f64> {
    str::from_utf8(reply.as_bytes()?).ok()?.parse().ok()
}

fn parts(reply: &Reply) -> &[Reply] {
    reply.as_slice().unwrap_or_else(|| panic!("{} is no array", render(reply)))
}

fn word(reply: &Reply) -> Vec<u8> {
    reply.as_bytes().unwrap_or_else(|| panic!("{} is no string", render(reply))).to_vec()
}

fn hash(content: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}
