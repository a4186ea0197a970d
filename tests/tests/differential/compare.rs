//! Whether two replies to one request are the same, as far as they can be.
//!
//! The reference is Redis 7.0 where Larder follows 7.2; what 7.2 answers otherwise stands in [`NEWER`].

use crate::script::Words;
use larder_client::resp::Reply;
use larder_tests::render;

/// How far clocks may be apart, in milliseconds: the time between the two requests, on a busy machine.
const CLOCKS_APART_MS: i64 = 2_000;

/// Calls that Redis 7.2 answers otherwise than the reference, with the beginning of its answer and of the reference's.
const NEWER: &[(&str, &str, &str)] = &[
    // One word was too few before 7.2, and is a command that may have no keys since.
    ("command getkeys", "ERR ", "ERR wrong number of arguments for 'command|getkeys"),
];

/// Whether the replies of Larder and the reference to a request mean the same.
pub fn is_same(words: &Words, ours: &Reply, theirs: &Reply) -> bool {
    if ours == theirs || is_newer(words, ours, theirs) || is_cut(ours, theirs) {
        return true;
    }
    let name = |index: usize| words.get(index).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    match (&name(0)[..], &name(1)[..], ours, theirs) {
        // Small integers are one object for all keys in the reference, and idle since anybody used them;
        // a copy is an object of its own there.
        (b"object", b"idletime" | b"refcount", Reply::Int(_), Reply::Int(_)) => true,
        // What INCRBYFLOAT has left is digits to the reference; Larder sees the integer in them once the key is moved.
        (b"object", b"encoding", ..) => render(ours) == "int" && render(theirs) == "embstr",
        (b"expiretime" | b"ttl", _, Reply::Int(ours), Reply::Int(theirs)) => {
            is_near(*ours, *theirs, CLOCKS_APART_MS / 1000)
        }
        (b"pexpiretime" | b"pttl", _, Reply::Int(ours), Reply::Int(theirs)) => is_near(*ours, *theirs, CLOCKS_APART_MS),
        (b"time", _, Reply::Array(_), Reply::Array(_)) => true,
        (b"keys", _, Reply::Array(ours), Reply::Array(theirs)) => sorted(ours) == sorted(theirs),
        (b"config", b"get", ..) => pairs(ours) == pairs(theirs),
        (b"command", b"list", Reply::Array(ours), Reply::Array(theirs)) => sorted(ours) == sorted(theirs),
        (b"command", b"info", Reply::Array(ours), Reply::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| facts(ours) == facts(theirs))
        }
        (b"randomkey", ..) => matches!((ours, theirs), (Reply::Bulk(_), Reply::Bulk(_))),
        (b"dump", _, Reply::Bulk(_), Reply::Bulk(_)) => true,
        (b"hello", ..) => fields(&pairs(ours), HELLO) == fields(&pairs(theirs), HELLO),
        (b"client", b"id", Reply::Int(_), Reply::Int(_)) => true,
        (b"client", b"info" | b"list", ..) => lines(ours).map(client_facts).eq(lines(theirs).map(client_facts)),
        (b"info", b"keyspace", ..) if words.len() == 2 => {
            lines(ours).map(without_times).eq(lines(theirs).map(without_times))
        }
        (b"memory", b"usage", Reply::Int(_), Reply::Int(_)) => true,
        (b"lolwut" | b"info", ..) => is_text(ours) && is_text(theirs),
        // Larder's help is told from its rows.
        (_, b"help", Reply::Array(_), Reply::Array(_)) => true,
        _ => false,
    }
}

fn is_newer(words: &Words, ours: &Reply, theirs: &Reply) -> bool {
    let call =
        words.iter().map(|word| word.to_ascii_lowercase().escape_ascii().to_string()).collect::<Vec<_>>().join(" ");
    NEWER.iter().any(|(start, here, there)| {
        call.starts_with(start) && render(ours).starts_with(here) && render(theirs).starts_with(there)
    })
}

/// Whether the texts of two errors differ only because the reference ends a word that it quotes at a NUL byte. Larder shows
/// all of it, by design.
fn is_cut(ours: &Reply, theirs: &Reply) -> bool {
    let (Reply::Error(ours), Reply::Error(theirs)) = (ours, theirs) else { return false };
    let nul = ours.iter().position(|byte| *byte == 0);
    nul.is_some_and(|nul| theirs.starts_with(&ours[..nul]))
}

/// Whether two times are about the same. Negative ones say that there is no key or no time, and have to be equal.
fn is_near(ours: i64, theirs: i64, apart: i64) -> bool {
    ours >= 0 && theirs >= 0 && ours.abs_diff(theirs) <= apart as u64
}

fn sorted(elements: &[Reply]) -> Vec<String> {
    let mut texts: Vec<String> = elements.iter().map(render).collect();
    texts.sort();
    texts
}

/// A map as sorted pairs of texts, in either protocol.
fn pairs(reply: &Reply) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = match reply {
        Reply::Map(pairs) => pairs.iter().map(|(name, value)| (render(name), render(value))).collect(),
        Reply::Array(all) => {
            all.chunks(2).map(|pair| (render(&pair[0]), pair.get(1).map_or_else(String::new, render))).collect()
        }
        other => vec![(render(other), String::new())],
    };
    pairs.sort();
    pairs
}

/// What `HELLO` tells of any server alike.
const HELLO: &[&str] = &["server", "proto", "mode", "role", "modules"];

fn fields(pairs: &[(String, String)], names: &[&str]) -> Vec<(String, String)> {
    pairs.iter().filter(|(name, _)| names.contains(&name.as_str())).cloned().collect()
}

/// Name, arity, flags, the places of keys and categories: tips and key specifications were corrected since.
fn facts(entry: &Reply) -> Vec<String> {
    entry.as_slice().map_or_else(
        || vec![render(entry)],
        |parts| {
            parts
                .iter()
                .take(7)
                .map(|part| part.as_slice().map_or_else(|| render(part), |set| sorted(set).join(" ")))
                .collect()
        },
    )
}

fn is_text(reply: &Reply) -> bool {
    matches!(reply, Reply::Bulk(_) | Reply::Verbatim { .. })
}

fn lines(reply: &Reply) -> impl Iterator<Item = String> {
    let text = reply.as_bytes().map_or_else(|| render(reply), |text| String::from_utf8_lossy(text).into_owned());
    text.lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// The fields of a line of `CLIENT LIST` that are the same for any server.
fn client_facts(line: String) -> Vec<String> {
    const NAMES: [&str; 7] = ["name", "flags", "db", "sub", "multi", "cmd", "resp"];
    let is_fact = |field: &&str| field.split_once('=').is_none_or(|(name, _)| NAMES.contains(&name));
    // RESET ends NO-EVICT since 7.2, so its letter may be gone.
    let lasting = |field: &str| field.replace("flags=e", "flags=N");
    line.split(' ').filter(is_fact).map(lasting).collect()
}

/// A line of `INFO keyspace` without the mean time to live.
fn without_times(line: String) -> String {
    line.split(",avg_ttl").next().unwrap_or_default().to_owned()
}
