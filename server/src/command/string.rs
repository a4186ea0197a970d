//! Strings: the values that most keys hold.
//!
//! Values are reached through [`read`] and [`peek`] alone, which are the one place that refuses keys of another type.

mod compare;
mod counter;
mod lcs;
mod many;
mod part;
mod set;

pub use compare::{digest_of, is_same};
pub use set::{Lifetime, put_by_rule};

use super::*;
use crate::base::number::Digits;
use crate::store::header::Shape;
use crate::store::{Entry, Key, Keys, New, Value};

pub const COMMANDS: &[Command] = &[
    part::APPEND,
    counter::DECR,
    counter::DECRBY,
    compare::DELEX,
    compare::DELIFEQ,
    compare::DIGEST,
    GET,
    GETDEL,
    set::GETEX,
    part::GETRANGE,
    GETSET,
    counter::INCR,
    counter::INCRBY,
    counter::INCRBYFLOAT,
    lcs::LCS,
    many::MGET,
    many::MSET,
    many::MSETEX,
    many::MSETNX,
    set::PSETEX,
    set::SET,
    set::SETEX,
    set::SETNX,
    part::SETRANGE,
    STRLEN,
    part::SUBSTR,
];

const STRING: Command = Command { group: Group::String, ..COMMAND };

/// Flags of commands that may need memory.
const WRITES: Flags = Flags::WRITE.and(Flags::DENYOOM);

const GET: Command = Command {
    name: "GET",
    run: get,
    summary: "Returns the value of a key.",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY.and(Flags::FAST),
    ..STRING
};

fn get(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    if cx.node.rules.are_any() {
        return cache::get(cx, key);
    }
    answer(cx, key)?;
    REPLIED
}

const GETDEL: Command = Command {
    name: "GETDEL",
    run: getdel,
    summary: "Returns the value of a key and deletes the key.",
    since: "6.2.0",
    args: &[key("key", Usage::Delete)],
    flags: Flags::WRITE.and(Flags::FAST),
    ..STRING
};

fn getdel(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    if answer(cx, key)?.is_some() && cx.store.remove(key) {
        cx.event(Class::Generic, "del", key.bytes);
        cx.replicate(&[b"DEL", key.bytes]);
    }
    REPLIED
}

const GETSET: Command = Command {
    name: "GETSET",
    run: getset,
    summary: "Sets a key to a value and returns the one it had.",
    args: &[key("key", Usage::Update), text("value")],
    flags: WRITES.and(Flags::FAST),
    deprecated: Some(Deprecated { since: "6.2.0", instead: "`SET` with the `!GET` argument" }),
    ..STRING
};

fn getset(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let value = args.word()?;
    answer(cx, key)?;
    put_by_rule(cx, key, value, (None, None), Lifetime::Unsaid, false);
    REPLIED
}

const STRLEN: Command = Command {
    name: "STRLEN",
    run: strlen,
    summary: "Returns the length of a value in bytes.",
    since: "2.2.0",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RO"]),
    ..STRING
};

fn strlen(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    match read(&mut cx.store, key)? {
        Some(entry) => cx.reply.len(entry.value().len()),
        None => {
            cx.missed(key);
            cx.reply.len(0);
        }
    }
    REPLIED
}

// --- what the handlers share

/// The entry of a key that holds a string, `None` if there is no such key. Counts a hit or a miss, and the access.
///
/// # Errors
///
/// [`Fault::WrongType`] if the key holds something else.
#[inline]
pub(super) fn read<'a>(store: &'a mut Keys<'_>, key: Key<'_>) -> Result<Option<Entry<'a>>, Fault> {
    store.get(key).map(string).transpose()
}

/// As [`read`], but neither counted nor taken for an access: for commands that write, where the write is the access.
pub(super) fn peek<'a>(store: &'a mut Keys<'_>, key: Key<'_>) -> Result<Option<Entry<'a>>, Fault> {
    store.peek(key).map(string).transpose()
}

/// Refuses what is no string.
#[inline]
fn string(entry: Entry<'_>) -> Result<Entry<'_>, Fault> {
    if entry.shape() == Shape::Object { Err(Fault::WrongType) } else { Ok(entry) }
}

/// A key that was there when a command looked.
#[derive(Clone, Copy)]
struct Old {
    /// In milliseconds since 1970.
    expiry: Option<u64>,
}

/// Replies with the value of a key, or null.
#[inline]
fn answer(cx: &mut Ctx<'_>, key: Key<'_>) -> Result<Option<Old>, Fault> {
    match read(&mut cx.store, key)? {
        Some(entry) => {
            cx.reply.value(entry.value());
            Ok(Some(Old { expiry: entry.expiry() }))
        }
        None => {
            cx.missed(key);
            cx.reply.null();
            Ok(None)
        }
    }
}

/// Sets a key, and tells that `event` happened to it.
#[inline]
pub(super) fn write(cx: &mut Ctx<'_>, key: Key<'_>, value: New<'_>, expiry: Option<u64>, event: &'static str) {
    cx.event_if_new(key);
    cx.store.set(key, value, expiry);
    cx.event(Class::String, event, key.bytes);
}

/// Room for the bytes of a value that do not lie in one place in the store.
#[derive(Default)]
pub(super) struct Text {
    digits: Digits,
    joined: Vec<u8>,
}

/// The bytes of a value in one place, which is `text` if there is none in the store.
pub(super) fn bytes<'a>(value: Value<'a>, text: &'a mut Text) -> &'a [u8] {
    match value {
        Value::Bytes(bytes) => bytes,
        Value::Int(n) => text.digits.format(n).as_bytes(),
        Value::Pieces(pieces) => {
            text.joined = pieces.to_vec();
            &text.joined
        }
        Value::Object(_) => unreachable!("a command on strings has refused what is none"),
    }
}

/// The bytes of a value in their order, slice by slice and nothing copied; `digits` is room for those of an integer.
pub(super) fn parts<'a>(value: Value<'a>, digits: &'a mut Digits) -> impl Iterator<Item = &'a [u8]> {
    let (whole, pieces) = match value {
        Value::Bytes(bytes) => (Some(bytes), None),
        Value::Int(n) => (Some(digits.format(n).as_bytes()), None),
        Value::Pieces(pieces) => (None, Some(pieces.slices())),
        Value::Object(_) => unreachable!("a command on strings has refused what is none"),
    };
    whole.into_iter().chain(pieces.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;

    #[test]
    fn get_returns_what_was_set_byte_for_byte() {
        let mut desk = Desk::new();
        for value in ["", "v", "0", "-7", "007", "9223372036854775807", "9223372036854775808", "a\\r\\n\\x00\\xff"] {
            desk.check(&format!("SET k \"{value}\""), "+OK");
            desk.check("STRLEN k", &format!(":{}", desk_len(value)));
        }
        assert_eq!(desk.call(&[b"GET", b"k"]), b"$5\r\na\r\n\0\xff\r\n");
    }

    /// The length of a text with its escapes read: each of those used here stands for one byte.
    fn desk_len(text: &str) -> usize {
        text.len() - text.matches("\\x").count() * 3 - text.matches("\\r").count() - text.matches("\\n").count()
    }

    #[test]
    fn a_key_that_is_not_there_is_null() {
        let mut desk = Desk::new();
        desk.check("GET k", "$-1");
        desk.check("GETDEL k", "$-1");
        desk.check("STRLEN k", ":0");
        desk.check("GETSET k v", "$-1");
        desk.check("GET k", "$1 v");
    }

    #[test]
    fn getdel_returns_and_deletes() {
        let mut desk = Desk::new();
        desk.check("SET k 12", "+OK");
        desk.check("GETDEL k", "$2 12");
        desk.check("GET k", "$-1");
    }

    #[test]
    fn getset_returns_the_old_value_and_takes_the_expiry_away() {
        let mut desk = Desk::new();
        desk.check("SET k a EX 100", "+OK");
        desk.check("GETSET k b", "$1 a");
        desk.check("GETEX k PERSIST", "$1 b");
        let key = desk.node.store.key(b"k");
        let moment = desk.node.store.moment(0);
        assert_eq!(desk.node.store.lock_one(key.place.stripe(), 0, moment).peek(key).unwrap().expiry(), None);
    }

    #[test]
    fn hits_and_misses_are_counted_where_values_are_read() {
        let mut desk = Desk::new();
        for line in ["SET a 1", "SET a 2 NX", "SETNX a 1", "INCR a", "APPEND a x", "SETRANGE a 0 y"] {
            desk.run(line);
        }
        let counted = |desk: &Desk| {
            let counters = desk.node.store.totals().counters;
            (counters.hits, counters.misses)
        };
        assert_eq!(counted(&desk), (0, 0));
        for line in
            ["GET a", "GETRANGE a 0 1", "STRLEN a", "MGET a b", "LCS a b", "GETSET a 1", "SET a 2 GET", "GETEX a"]
        {
            desk.run(line);
        }
        assert_eq!(counted(&desk), (8, 2));
    }

    #[test]
    fn arity_and_keys_are_those_of_redis() {
        let rows = "append 3 1 1 1|decr 2 1 1 1|decrby 3 1 1 1|delex -2 1 1 1|delifeq 3 1 1 1|digest 2 1 1 1|get 2 1 1 1|getdel 2 1 1 1|getex -2 1 1 1|\
                    getrange 4 1 1 1|getset 3 1 1 1|incr 2 1 1 1|incrby 3 1 1 1|incrbyfloat 3 1 1 1|lcs -3 1 2 1|\
                    mget -2 1 -1 1|mset -3 1 -1 2|msetex -4 0 0 0|msetnx -3 1 -1 2|psetex 4 1 1 1|set -3 1 1 1|setex 4 1 1 1|\
                    setnx 3 1 1 1|setrange 4 1 1 1|strlen 2 1 1 1|substr 4 1 1 1";
        let seen: Vec<String> = super::COMMANDS
            .iter()
            .map(|row| {
                let keys = row.key_range(1);
                let name = row.name.to_lowercase();
                format!("{name} {} {} {} {}", row.arity(1), keys.first, keys.last, keys.step)
            })
            .collect();
        assert_eq!(seen.join("|"), rows);
    }

    #[test]
    fn flags_are_those_of_redis() {
        let of = |flags: &str| -> Vec<&str> {
            let rows = super::COMMANDS.iter();
            rows.filter(|row| row.flags.names().collect::<Vec<_>>().join(" ") == flags).map(|row| row.name).collect()
        };
        assert_eq!(of("readonly fast"), ["DIGEST", "GET", "MGET", "STRLEN"]);
        assert_eq!(of("readonly"), ["GETRANGE", "LCS", "SUBSTR"]);
        assert_eq!(of("write fast"), ["DELEX", "GETDEL", "GETEX"]);
        assert_eq!(of("write"), ["DELIFEQ"]);
        assert_eq!(of("write denyoom movablekeys"), ["MSETEX"]);
        assert_eq!(of("write denyoom"), ["MSET", "MSETNX", "PSETEX", "SET", "SETEX", "SETRANGE"]);
        let fast = ["APPEND", "DECR", "DECRBY", "GETSET", "INCR", "INCRBY", "INCRBYFLOAT", "SETNX"];
        assert_eq!(of("write denyoom fast"), fast);
    }

    #[test]
    fn missing_words_are_told_before_anything_is_done() {
        let mut desk = Desk::new();
        let lines = "get|getdel|getset k|strlen|append k|decr|decrby k|getex|getrange k 0|incr|incrby k|incrbyfloat k|\
                     lcs a|mget|mset k|msetnx k|psetex k 1|set k|setex k 1|setnx k|setrange k 0|substr k 0";
        for line in lines.split('|') {
            let name = line.split(' ').next().unwrap();
            desk.check(line, &format!("-ERR wrong number of arguments for '{name}' command"));
        }
        for line in
            "get a b|getdel a b|getset a b c|strlen a b|append a b c|incr a b|incrby a 1 2|setex a 1 b c|setnx a b c"
                .split('|')
        {
            let name = line.split(' ').next().unwrap();
            desk.check(line, &format!("-ERR wrong number of arguments for '{name}' command"));
        }
    }
}
