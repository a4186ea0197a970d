//! What becomes of a command that is about several nodes: which of them are asked, and how their replies are put together.
//!
//! Redis's tips say so for clients that spread commands over shards (<https://redis.io/docs/latest/develop/reference/command-tips/>),
//! and the rows have them; so a node does what such a client would do.

use crate::base::number::{parse_i64, push_integer};
use crate::command::row::{Command, Group};
use larder_client::resp::{Limits, Scan};

/// Which nodes are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// The one that has the keys; or, if the command has none, the one that the client has asked.
    No,
    /// Those that have some of the keys, each about its own.
    Keys(Gather),
    /// The primaries of all shards.
    All(Gather),
    /// One shard after the other, as the cursor of `SCAN` says.
    Scan,
}

/// How the replies become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gather {
    /// The elements of arrays, in the order of the keys.
    Elements,
    /// The sum of integers.
    Sum,
    /// The least of integers.
    Least,
    /// One of them, as all are `OK`.
    Same,
    /// The elements of arrays, one array behind the other.
    Chain,
    /// The first that is not null.
    Any,
}

impl Spread {
    /// What follows from a row.
    pub fn of(row: &Command) -> Spread {
        let tip = |about: &str| row.tips.iter().find_map(|tip| tip.strip_prefix(about));
        let gather = match tip("response_policy:") {
            Some("agg_sum") => Some(Gather::Sum),
            Some("agg_min") => Some(Gather::Least),
            Some("all_succeeded") => Some(Gather::Same),
            _ => None,
        };
        match (row.name, tip("request_policy:"), row.group) {
            ("SCAN", ..) => Spread::Scan,
            // No node has such a file, so what this one says is true of all.
            ("WAITAOF", ..) => Spread::No,
            ("RANDOMKEY", ..) => Spread::All(Gather::Any),
            ("KEYS", ..) => Spread::All(Gather::Chain),
            (_, Some("multi_shard"), _) if row.specs.is_empty() => Spread::Keys(gather.unwrap_or(Gather::Elements)),
            (_, Some("all_shards"), Group::Generic | Group::Server | Group::Cache) => {
                gather.map_or(Spread::No, Spread::All)
            }
            _ => Spread::No,
        }
    }
}

/// A reply of one node, and where the keys stand that it was asked about, among all of them.
pub struct Share<'a> {
    pub keys: &'a [u32],
    pub reply: &'a [u8],
}

impl Gather {
    /// The reply that those of the nodes make up. The first that is an error is the reply.
    pub fn join(self, shares: &[Share<'_>]) -> Vec<u8> {
        if let Some(error) = shares.iter().find(|share| share.reply.starts_with(b"-")) {
            return error.reply.to_vec();
        }
        let joined = match self {
            Gather::Elements => elements(shares),
            Gather::Chain => chain(shares),
            Gather::Sum => numbers(shares, |a, b| a.saturating_add(b)),
            Gather::Least => numbers(shares, i64::min),
            Gather::Same => shares.first().map(|share| share.reply.to_vec()),
            Gather::Any => {
                let is_null = |share: &&Share<'_>| share.reply == b"_\r\n" || share.reply == b"$-1\r\n";
                shares.iter().find(|share| !is_null(share)).or(shares.first()).map(|share| share.reply.to_vec())
            }
        };
        joined.unwrap_or_else(|| NONSENSE.to_vec())
    }
}

const NONSENSE: &[u8] =
    b"-ERR another node of the cluster has answered what was not asked; is it of another version?\r\n";

fn numbers(shares: &[Share<'_>], add: impl Fn(i64, i64) -> i64) -> Option<Vec<u8>> {
    let number = |share: &Share<'_>| parse_i64(share.reply.strip_prefix(b":")?.strip_suffix(b"\r\n")?);
    let numbers: Option<Vec<i64>> = shares.iter().map(number).collect();
    let mut reply = b":".to_vec();
    push_integer(&mut reply, numbers?.into_iter().reduce(add)?);
    reply.extend_from_slice(b"\r\n");
    Some(reply)
}

/// The length of an array, and what follows its line.
fn array(reply: &[u8]) -> Option<(usize, &[u8])> {
    let end = reply.iter().position(|&byte| byte == b'\r')?;
    let len = parse_i64(reply[..end].strip_prefix(b"*")?)?;
    Some((usize::try_from(len).ok()?, reply.get(end + 2..)?))
}

/// The length of the value that comes first.
fn element_len(bytes: &[u8]) -> Option<usize> {
    Scan::new(Limits::DEFAULT).advance(bytes).ok()?
}

fn chain(shares: &[Share<'_>]) -> Option<Vec<u8>> {
    let arrays: Option<Vec<(usize, &[u8])>> = shares.iter().map(|share| array(share.reply)).collect();
    let arrays = arrays?;
    let mut reply = head(arrays.iter().map(|(len, _)| len).sum());
    arrays.iter().for_each(|(_, elements)| reply.extend_from_slice(elements));
    Some(reply)
}

fn elements(shares: &[Share<'_>]) -> Option<Vec<u8>> {
    let mut found: Vec<(u32, &[u8])> = Vec::new();
    for share in shares {
        let (len, mut rest) = array(share.reply)?;
        if len != share.keys.len() {
            return None;
        }
        for key in share.keys {
            let (element, behind) = rest.split_at_checked(element_len(rest)?)?;
            found.push((*key, element));
            rest = behind;
        }
    }
    found.sort_unstable_by_key(|(key, _)| *key);
    let mut reply = head(found.len());
    found.iter().for_each(|(_, element)| reply.extend_from_slice(element));
    Some(reply)
}

fn head(len: usize) -> Vec<u8> {
    let mut reply = b"*".to_vec();
    push_integer(&mut reply, len);
    reply.extend_from_slice(b"\r\n");
    reply
}

/// The cursor of a `SCAN` over all shards: which of them comes next, counted in the order of their numbers, above the bits
/// that a node's own cursor may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub shard: usize,
    pub inner: u64,
}

/// Bits of the cursor of one node: those of a slot, and of a place among its keys.
const INNER_BITS: u32 = 52;

impl Cursor {
    pub fn parse(word: &[u8]) -> Option<Cursor> {
        let cursor = crate::base::number::parse_cursor(word)?;
        Some(Cursor { shard: (cursor >> INNER_BITS) as usize, inner: cursor & ((1 << INNER_BITS) - 1) })
    }

    pub fn number(self) -> u64 {
        (self.shard as u64) << INNER_BITS | self.inner
    }

    /// The reply of the node that this cursor led to, with the cursor that leads on; there are so many shards.
    pub fn lead_on(self, reply: &[u8], shards: usize) -> Vec<u8> {
        if reply.starts_with(b"-") {
            return reply.to_vec();
        }
        let changed = || {
            let (2, rest) = array(reply)? else { return None };
            let (cursor, keys) = rest.split_at_checked(element_len(rest)?)?;
            let digits = cursor.strip_suffix(b"\r\n")?;
            let digits = &digits[digits.iter().rposition(|&byte| byte == b'\n')? + 1..];
            let next = match crate::base::number::parse_cursor(digits)? {
                0 if self.shard + 1 < shards => Cursor { shard: self.shard + 1, inner: 0 }.number(),
                0 => 0,
                inner => Cursor { inner, ..self }.number(),
            };
            let mut text = Vec::new();
            push_integer(&mut text, next);
            let mut reply = head(2);
            crate::repl::spell::push_word(&mut reply, &text);
            reply.extend_from_slice(keys);
            Some(reply)
        };
        changed().unwrap_or_else(|| NONSENSE.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::table;

    fn joined(gather: Gather, replies: &[(&[u32], &str)]) -> String {
        let replies: Vec<(&[u32], String)> =
            replies.iter().map(|(keys, text)| (*keys, text.replace(' ', "\r\n") + "\r\n")).collect();
        let shares: Vec<Share<'_>> =
            replies.iter().map(|(keys, reply)| Share { keys, reply: reply.as_bytes() }).collect();
        String::from_utf8(gather.join(&shares)).unwrap().trim_end().replace("\r\n", " ")
    }

    #[test]
    fn rows_say_who_is_asked() {
        let spread = |name: &str| Spread::of(table::find(name.as_bytes()).unwrap().row);
        for name in ["DEL", "UNLINK", "EXISTS", "TOUCH"] {
            assert_eq!(spread(name), Spread::Keys(Gather::Sum), "{name}");
        }
        assert_eq!(spread("MGET"), Spread::Keys(Gather::Elements));
        assert_eq!(spread("MSET"), Spread::Keys(Gather::Same));
        for name in ["FLUSHALL", "FLUSHDB"] {
            assert_eq!(spread(name), Spread::All(Gather::Same), "{name}");
        }
        assert_eq!(spread("DBSIZE"), Spread::All(Gather::Sum));
        assert_eq!(spread("WAIT"), Spread::All(Gather::Least));
        assert_eq!(spread("KEYS"), Spread::All(Gather::Chain));
        assert_eq!(spread("SCAN"), Spread::Scan);
        let is_spread = |found: &&table::Found| Spread::of(found.row) != Spread::No;
        let all: Vec<&str> = table::all().iter().filter(is_spread).map(|found| found.row.name).collect();
        assert_eq!(
            all.join(" "),
            "CACHE.CLEAR CACHE.INVALIDATE DBSIZE DEL EXISTS FLUSHALL FLUSHDB KEYS MGET MSET RANDOMKEY SCAN TOUCH UNLINK WAIT"
        );
        for name in ["GET", "PING", "INFO", "MSETNX", "MSETEX", "SINTER", "RENAME"] {
            assert_eq!(spread(name), Spread::No, "{name}");
        }
    }

    #[test]
    fn replies_become_one() {
        let (one, other): (&[u32], &[u32]) = (&[0, 3], &[1, 2]);
        assert_eq!(joined(Gather::Elements, &[(one, "*2 $1 a $-1"), (other, "*2 *1 :7 $0 ")]), "*4 $1 a *1 :7 $0  $-1");
        assert_eq!(joined(Gather::Sum, &[(one, ":2"), (other, ":40")]), ":42");
        assert_eq!(joined(Gather::Least, &[(one, ":2"), (other, ":1")]), ":1");
        assert_eq!(joined(Gather::Same, &[(one, "+OK"), (other, "+OK")]), "+OK");
        assert_eq!(
            joined(Gather::Chain, &[(one, "*1 $1 a"), (other, "*0"), (one, "*2 $1 b $1 c")]),
            "*3 $1 a $1 b $1 c"
        );
        assert_eq!(joined(Gather::Any, &[(one, "$-1"), (other, "$1 k")]), "$1 k");
        assert_eq!(joined(Gather::Any, &[(one, "_"), (other, "_")]), "_");
        for gather in [Gather::Elements, Gather::Sum, Gather::Same, Gather::Chain, Gather::Any] {
            assert_eq!(joined(gather, &[(one, "*0"), (other, "-OOM no"), (one, "-ERR x")]), "-OOM no", "{gather:?}");
        }
    }

    #[test]
    fn what_was_not_asked_is_an_error() {
        let nonsense = String::from_utf8(NONSENSE.to_vec()).unwrap();
        for (gather, text) in [
            (Gather::Elements, "*2 $1 a $-1"),
            (Gather::Elements, "*3 :1 :2"),
            (Gather::Sum, "+OK"),
            (Gather::Chain, ":1"),
        ] {
            assert_eq!(joined(gather, &[(&[0, 1, 2], text)]), nonsense.trim_end(), "{gather:?} {text}");
        }
    }

    #[test]
    fn a_cursor_leads_through_all_shards() {
        let first = Cursor::parse(b"0").unwrap();
        assert_eq!(first, Cursor { shard: 0, inner: 0 });
        let shown = |cursor: Cursor, reply: &str, shards| {
            String::from_utf8(cursor.lead_on(reply.replace(' ', "\r\n").as_bytes(), shards))
                .unwrap()
                .replace("\r\n", " ")
        };
        assert_eq!(shown(first, "*2 $2 77 *1 $1 a ", 2), "*2 $2 77 *1 $1 a ");
        let second = 1u64 << INNER_BITS;
        assert_eq!(shown(first, "*2 $1 0 *1 $1 a ", 2), format!("*2 $16 {second} *1 $1 a "));
        let cursor = Cursor::parse(second.to_string().as_bytes()).unwrap();
        assert_eq!(cursor, Cursor { shard: 1, inner: 0 });
        assert_eq!(shown(cursor, "*2 $1 0 *0 ", 2), "*2 $1 0 *0 ");
        assert_eq!(shown(cursor, "-ERR x ", 2), "-ERR x ");
        assert_eq!(Cursor::parse(b"x"), None);
    }
}
