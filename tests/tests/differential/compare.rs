//! Whether two replies to one request are the same, as far as they can be: some have no order, some are drawn at random,
//! some tell the time. What is meant to differ stands in `intended.rs`.

use crate::intended::{NEW_FIELDS, is_cut, is_intended};
use crate::words::Words;
use larder_client::resp::Reply;
use larder_tests::render;

/// How far clocks may be apart, in milliseconds: the time between the two requests, on a busy machine.
pub const CLOCKS_APART_MS: i64 = 2_000;

/// Whether the replies of Larder and the reference to a request mean the same.
pub fn is_same(words: &Words, ours: &Reply, theirs: &Reply) -> bool {
    if ours == theirs || is_cut(ours, theirs) || is_intended(words, ours, theirs) {
        return true;
    }
    let name = |index: usize| words.get(index).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    match (&name(0)[..], &name(1)[..], ours, theirs) {
        // Larder's help is told from its rows.
        (_, b"help", Reply::Array(_), Reply::Array(_)) => true,
        // Small integers are one object for all keys in the reference, and idle since anybody used them;
        // a copy is an object of its own there.
        (b"object", b"idletime" | b"refcount", Reply::Int(_), Reply::Int(_)) => true,
        (b"expiretime" | b"ttl", _, Reply::Int(ours), Reply::Int(theirs)) => {
            is_near(*ours, *theirs, CLOCKS_APART_MS / 1000)
        }
        (b"pexpiretime" | b"pttl", _, Reply::Int(ours), Reply::Int(theirs)) => is_near(*ours, *theirs, CLOCKS_APART_MS),
        (b"time", _, Reply::Array(_), Reply::Array(_)) => true,
        (b"keys" | b"hkeys" | b"hvals", ..) => is_reordered(ours, theirs),
        (b"smembers" | b"sinter" | b"sunion" | b"sdiff", ..) => is_reordered(ours, theirs),
        (b"pubsub", b"channels" | b"shardchannels", ..) => is_reordered(ours, theirs),
        (b"hgetall", ..) | (b"config", b"get", ..) => pairs(ours) == pairs(theirs),
        (b"sort" | b"sort_ro", ..) => is_without_order(words) && is_reordered(ours, theirs),
        (b"spop" | b"srandmember" | b"hrandfield" | b"zrandmember" | b"randomkey", ..) => is_drawn_alike(ours, theirs),
        (b"scan" | b"hscan" | b"sscan" | b"zscan", ..) => is_drawn_alike(ours, theirs),
        (b"geosearch" | b"georadius" | b"georadius_ro" | b"georadiusbymember" | b"georadiusbymember_ro", ..) => {
            are_places_alike(words, ours, theirs)
        }
        (b"xinfo" | b"xpending", ..) => near_times(ours, theirs),
        (b"command", b"list", ..) => is_reordered(ours, theirs),
        (b"command", b"info", Reply::Array(ours), Reply::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| facts(ours) == facts(theirs))
        }
        (b"dump", _, Reply::Bulk(_), Reply::Bulk(_)) => true,
        (b"hello", ..) => fields(&pairs(ours), HELLO) == fields(&pairs(theirs), HELLO),
        (b"client", b"id", Reply::Int(_), Reply::Int(_)) => true,
        (b"client", b"info" | b"list", ..) => client_lines(ours) == client_lines(theirs),
        (b"info", b"keyspace", ..) if words.len() == 2 => {
            lines(ours).map(without_times).eq(lines(theirs).map(without_times))
        }
        (b"memory", b"usage", Reply::Int(_), Reply::Int(_)) => true,
        (b"lolwut" | b"info", ..) => is_text(ours) && is_text(theirs),
        ([b'z', ..] | [b'b', b'z', ..] | [b'g', b'e', b'o', ..], ..) => alike_replies(ours, theirs),
        _ => false,
    }
}

/// Whether two times are about the same. Negative ones say that there is no key or no time, and have to be equal.
pub fn is_near(ours: i64, theirs: i64, apart: i64) -> bool {
    ours >= 0 && theirs >= 0 && ours.abs_diff(theirs) <= apart as u64
}

/// Whether two texts are the same, or the same floating-point number: the reference writes all 17 digits, and since 7.2 they
/// are as few as tell the number.
pub fn alike(ours: &str, theirs: &str) -> bool {
    if ours == theirs {
        return true;
    }
    let number = |text: &str| text.trim_matches('"').parse::<f64>().ok();
    let mut parts = ours.split(" => ").zip(theirs.split(" => "));
    parts.all(|(ours, theirs)| ours == theirs || number(ours).is_some_and(|ours| number(theirs) == Some(ours)))
}

/// Whether two replies are the same but for how floating-point numbers are written.
pub fn alike_replies(ours: &Reply, theirs: &Reply) -> bool {
    match (ours, theirs) {
        (Reply::Array(ours), Reply::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| alike_replies(ours, theirs))
        }
        (Reply::Bulk(_), Reply::Bulk(_)) => alike(&render(ours), &render(theirs)),
        _ => ours == theirs,
    }
}

/// Whether two replies are the same but for clocks: fields that tell how long ago something was, which since 7.2 may be the
/// last attempt, and times in milliseconds.
pub fn near_times(ours: &Reply, theirs: &Reply) -> bool {
    near(&without_new_fields(ours, theirs), theirs, false)
}

fn near(ours: &Reply, theirs: &Reply, is_time: bool) -> bool {
    /// Milliseconds since 1970 are greater than this.
    const EARLIEST: i64 = 1_000_000_000_000;
    match (ours, theirs) {
        (Reply::Int(ours), Reply::Int(theirs)) => {
            let is_date = *ours > EARLIEST && *theirs > EARLIEST;
            ours == theirs
                || is_date && is_near(*ours, *theirs, CLOCKS_APART_MS)
                || is_time && *ours >= 0 && *theirs >= 0
        }
        (Reply::Array(ours), Reply::Array(theirs)) => {
            let is_time = |at: usize| {
                // XPENDING's entries are id, consumer, idle time, count.
                at > 0 && is_clock(&theirs[at - 1])
                    || at == 2 && theirs.len() == 4 && matches!(theirs[0], Reply::Bulk(_))
            };
            ours.len() == theirs.len() && (0..ours.len()).all(|at| near(&ours[at], &theirs[at], is_time(at)))
        }
        (Reply::Map(ours), Reply::Map(theirs)) => {
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .zip(theirs)
                    .all(|(ours, theirs)| ours.0 == theirs.0 && near(&ours.1, &theirs.1, is_clock(&theirs.0)))
        }
        _ => ours == theirs,
    }
}

/// Whether a field's name says that its value is a time.
fn is_clock(name: &Reply) -> bool {
    const NAMES: [&[u8]; 4] = [b"idle", b"inactive", b"seen-time", b"active-time"];
    name.as_bytes().is_some_and(|name| NAMES.contains(&name))
}

/// Our reply without the fields that the reference does not have.
fn without_new_fields(ours: &Reply, theirs: &Reply) -> Reply {
    let is_new = |name: &Reply| name.as_bytes().is_some_and(|name| NEW_FIELDS.contains(&name));
    if render(theirs).contains("\"active-time\"") || render(theirs).contains("\"inactive\"") {
        return ours.clone();
    }
    match ours {
        Reply::Array(elements) => {
            let is_kept = |at: &usize| !is_new(&elements[*at]) && (*at == 0 || !is_new(&elements[at - 1]));
            let kept = (0..elements.len()).filter(is_kept);
            Reply::Array(kept.map(|at| without_new_fields(&elements[at], theirs)).collect())
        }
        Reply::Map(pairs) => {
            let kept = pairs.iter().filter(|(name, _)| !is_new(name));
            Reply::Map(kept.map(|(name, value)| (name.clone(), without_new_fields(value, theirs))).collect())
        }
        other => other.clone(),
    }
}

/// Whether two collections have the same elements.
fn is_reordered(ours: &Reply, theirs: &Reply) -> bool {
    match (ours, theirs) {
        (Reply::Array(ours), Reply::Array(theirs)) | (Reply::Set(ours), Reply::Set(theirs)) => {
            sorted(ours) == sorted(theirs)
        }
        _ => false,
    }
}

fn sorted(elements: &[Reply]) -> Vec<String> {
    let mut texts: Vec<String> = elements.iter().map(render).collect();
    texts.sort();
    texts
}

/// Whether SORT leaves the order open: of equal weights as words, and of a set that is not to be sorted.
fn is_without_order(words: &Words) -> bool {
    let place = |name: &str| words.iter().position(|word| word.eq_ignore_ascii_case(name.as_bytes()));
    let by = place("BY").and_then(|by| words.get(by + 1));
    by.is_some_and(|pattern| place("ALPHA").is_some() || !pattern.contains(&b'*'))
}

/// Whether two replies are drawn from the same, as far as their shapes tell.
fn is_drawn_alike(ours: &Reply, theirs: &Reply) -> bool {
    match (ours, theirs) {
        (Reply::Bulk(_), Reply::Bulk(_)) => true,
        (Reply::Array(ours), Reply::Array(theirs)) | (Reply::Set(ours), Reply::Set(theirs)) => {
            // A step of SCAN is a cursor and any number of elements.
            let is_scan = |parts: &[Reply]| matches!(parts, [Reply::Bulk(_), Reply::Array(_)]);
            ours.len() == theirs.len() || is_scan(ours) && is_scan(theirs)
        }
        _ => false,
    }
}

/// Whether two answers to a search of places are the same. Their order is open unless one is asked for, as is the choice of
/// ANY.
fn are_places_alike(words: &Words, ours: &Reply, theirs: &Reply) -> bool {
    let has = |name: &str| words.iter().any(|word| word.eq_ignore_ascii_case(name.as_bytes()));
    if has("ANY") {
        return is_drawn_alike(ours, theirs);
    }
    let is_ordered = has("ASC") || has("DESC") || has("COUNT");
    alike_replies(ours, theirs) || !is_ordered && is_reordered(ours, theirs)
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

/// The fields of `CLIENT LIST` that are the same for any server, of connections in any order.
fn client_lines(reply: &Reply) -> Vec<Vec<String>> {
    const NAMES: [&str; 8] = ["name", "flags", "db", "sub", "psub", "multi", "cmd", "resp"];
    let is_fact = |field: &&str| field.split_once('=').is_none_or(|(name, _)| NAMES.contains(&name));
    // RESET ends NO-EVICT since 7.2, so its letter may be gone.
    let lasting = |field: &str| match field.strip_prefix("flags=") {
        Some("e") => "flags=N".to_owned(),
        Some(letters) => format!("flags={}", letters.replace('e', "")),
        None => field.to_owned(),
    };
    let mut all: Vec<Vec<String>> =
        lines(reply).map(|line| line.split(' ').filter(is_fact).map(lasting).collect()).collect();
    all.sort();
    all
}

/// A line of `INFO keyspace` without the mean time to live.
fn without_times(line: String) -> String {
    line.split(",avg_ttl").next().unwrap_or_default().to_owned()
}
