//! Hashes: fields with their values under one key.
//!
//! A field whose time has come is seen by nobody. It is taken out when the hash is opened to be changed, or by the wheel;
//! where many are due at once some may still lie there, so handlers that write call [`clear_way`] for each field.

use super::*;
use crate::base::number::Digits;
use crate::store::{Edit, Key};
use crate::types::hash::{Expiry, Hash};

mod all;
mod counter;
mod expire;
mod fields;
mod timed;

use all::{HGETALL, HKEYS, HRANDFIELD, HSCAN, HVALS};
use counter::{HINCRBY, HINCRBYFLOAT};
use expire::{HEXPIRE, HEXPIREAT, HPERSIST, HPEXPIRE, HPEXPIREAT};
use expire::{HEXPIRETIME, HPEXPIRETIME, HPTTL, HTTL};
use timed::{HGETDEL, HGETEX, HSETEX};

pub const COMMANDS: &[Command] = &[
    HDEL,
    HEXISTS,
    HEXPIRE,
    HEXPIREAT,
    HEXPIRETIME,
    HGET,
    HGETALL,
    HGETDEL,
    HGETEX,
    HINCRBY,
    HINCRBYFLOAT,
    HKEYS,
    HLEN,
    HMGET,
    HMSET,
    HPERSIST,
    HPEXPIRE,
    HPEXPIREAT,
    HPEXPIRETIME,
    HPTTL,
    HRANDFIELD,
    HSCAN,
    HSET,
    HSETEX,
    HSETNX,
    HSTRLEN,
    HTTL,
    HVALS,
];

const HASH: Command = Command { group: Group::Hash, since: "2.0.0", ..COMMAND };

const READS: Flags = Flags::READONLY.and(Flags::FAST);
const WRITES: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);

/// Takes a field out of the way whose time has come, so that it is new to a command that writes. Says whether it was there:
/// where the command's words would not do the same to it, the stream has to tell that it is gone.
#[inline]
fn clear_way(hash: &mut Edit<'_, Hash>, field: &[u8], now: u64) -> bool {
    hash.next_due().is_some_and(|due| due <= now) && hash.get(field, now).is_none() && hash.remove(field)
}

/// Says in the stream that fields are gone, or the whole hash, whatever fields whose time has come may lie there yet.
fn say_deleted(cx: &Ctx<'_>, key: Key<'_>, fields: &[&[u8]], is_spent: bool) {
    if is_spent {
        cx.replicate(&[b"DEL", key.bytes]);
    } else if cx.is_noted() && !fields.is_empty() {
        cx.replicate(&[&[&b"HDEL"[..], key.bytes], fields].concat());
    }
}

/// Says in the stream that fields have got other times; `head` stands in front of `FIELDS`.
fn say_of_fields(cx: &Ctx<'_>, head: &[&[u8]], fields: &[&[u8]]) {
    if cx.is_noted() && !fields.is_empty() {
        let mut digits = Digits::new();
        let number: [&[u8]; 2] = [b"FIELDS", digits.format(fields.len() as u64).as_bytes()];
        cx.replicate(&[head, &number, fields].concat());
    }
}

const HSET: Command = Command {
    name: "HSET",
    run: |cx, args| {
        let added = set_all(cx, args)?;
        cx.reply.len(added);
        REPLIED
    },
    summary: "Sets fields of a hash and tells how many are new.",
    complexity: "O(N) for N fields",
    args: &[key("key", Usage::Update), block("data", &[text("field"), text("value")]).many()],
    flags: WRITES,
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..HASH
};

const HMSET: Command = Command {
    name: "HMSET",
    run: |cx, args| {
        set_all(cx, args)?;
        cx.reply.ok();
        REPLIED
    },
    summary: "Sets fields of a hash.",
    deprecated: Some(Deprecated { since: "4.0.0", instead: "`HSET` with multiple field-value pairs" }),
    ..HSET
};

/// Sets the fields that are left of the words, and tells how many are new.
fn set_all(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Result<usize, Fault> {
    let key = args.key()?;
    if !args.len().is_multiple_of(2) {
        return Err(Fault::Arity(cx.name().into()));
    }
    let (now, limits) = (cx.due_ms(), cx.node.limits.of_hash());
    let mut hash = cx.store.open_or_new::<Hash>(key)?;
    let mut added = 0;
    while !args.is_empty() {
        let (field, value) = (args.word()?, args.word()?);
        clear_way(&mut hash, field, now);
        added += usize::from(hash.set(field, value, Expiry::Clear, &limits));
    }
    drop(hash);
    cx.event(Class::Hash, "hset", key.bytes);
    Ok(added)
}

const HSETNX: Command = Command {
    name: "HSETNX",
    run: hsetnx,
    summary: "Sets a field of a hash if it is not there.",
    args: &[key("key", Usage::Update), text("field"), text("value")],
    flags: WRITES,
    key_use: KeyUse::Flags(&["RW", "insert"]),
    ..HASH
};

fn hsetnx(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, field, value) = (args.key()?, args.word()?, args.word()?);
    let (now, limits) = (cx.due_ms(), cx.node.limits.of_hash());
    let mut hash = cx.store.open_or_new::<Hash>(key)?;
    let is_new = hash.get(field, now).is_none();
    if is_new {
        clear_way(&mut hash, field, now);
        hash.set(field, value, Expiry::Clear, &limits);
    }
    drop(hash);
    cx.event_if(is_new, Class::Hash, "hset", key.bytes);
    if is_new {
        // A field whose time has come was not there, but is so for who runs this.
        cx.replicate(&[b"HSET", key.bytes, field, value]);
    }
    cx.reply.int(i64::from(is_new));
    REPLIED
}

const HGET: Command = Command {
    name: "HGET",
    run: hget,
    summary: "Returns the value of a field.",
    args: &[key("key", Usage::Read), text("field")],
    flags: READS,
    ..HASH
};

fn hget(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let now = cx.due_ms();
    let hash = cx.store.read::<Hash>(args.key()?)?;
    match hash.and_then(|hash| hash.get(args.word().ok()?, now)) {
        Some(entry) => cx.reply.element(entry.value),
        None => cx.reply.null(),
    }
    REPLIED
}

const HMGET: Command = Command {
    name: "HMGET",
    run: hmget,
    summary: "Returns the values of fields.",
    complexity: "O(N) for N fields",
    args: &[key("key", Usage::Read), text("field").many()],
    flags: READS,
    ..HASH
};

fn hmget(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let now = cx.due_ms();
    let hash = cx.store.read::<Hash>(args.key()?)?;
    cx.reply.array(args.len());
    for field in args.rest() {
        match hash.and_then(|hash| hash.get(field, now)) {
            Some(entry) => cx.reply.element(entry.value),
            None => cx.reply.null(),
        }
    }
    REPLIED
}

const HEXISTS: Command = Command {
    name: "HEXISTS",
    run: hexists,
    summary: "Tells whether a hash has a field.",
    args: &[key("key", Usage::Read), text("field")],
    flags: READS,
    key_use: KeyUse::Flags(&["RO"]),
    ..HASH
};

fn hexists(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (now, key, field) = (cx.due_ms(), args.key()?, args.word()?);
    let is_there = cx.store.read::<Hash>(key)?.is_some_and(|hash| hash.get(field, now).is_some());
    cx.reply.int(i64::from(is_there));
    REPLIED
}

const HSTRLEN: Command = Command {
    name: "HSTRLEN",
    run: hstrlen,
    summary: "Returns the length of the value of a field.",
    since: "3.2.0",
    ..HEXISTS
};

fn hstrlen(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (now, key, field) = (cx.due_ms(), args.key()?, args.word()?);
    let entry = cx.store.read::<Hash>(key)?.and_then(|hash| hash.get(field, now));
    cx.reply.len(entry.map_or(0, |entry| entry.value.len()));
    REPLIED
}

const HLEN: Command = Command {
    name: "HLEN",
    run: hlen,
    summary: "Tells how many fields a hash has.",
    args: &[key("key", Usage::Read)],
    flags: READS,
    key_use: KeyUse::Flags(&["RO"]),
    ..HASH
};

fn hlen(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let now = cx.due_ms();
    let len = cx.store.read::<Hash>(args.key()?)?.map_or(0, |hash| hash.len_at(now));
    cx.reply.len(len);
    REPLIED
}

const HDEL: Command = Command {
    name: "HDEL",
    run: hdel,
    summary: "Deletes fields of a hash, and the hash with its last one.",
    complexity: "O(N) for N fields",
    args: &[key("key", Usage::Update), text("field").many()],
    flags: Flags::WRITE.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RW", "delete"]),
    ..HASH
};

fn hdel(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, now) = (args.key()?, cx.due_ms());
    let Some(mut hash) = cx.store.open::<Hash>(key)? else {
        cx.reply.len(0);
        return REPLIED;
    };
    let (mut deleted, mut cleared) = (0, false);
    for field in args.rest() {
        cleared |= clear_way(&mut hash, field, now);
        deleted += usize::from(hash.remove(field));
    }
    let is_spent = hash.len_at(now) == 0;
    if deleted == 0 {
        hash.unchanged();
    }
    let hides = is_spent && !hash.is_empty();
    drop(hash);
    if hides {
        say_deleted(cx, key, &[], true);
    } else if cleared {
        cx.replicate_as_is();
    }
    if deleted > 0 {
        cx.event(Class::Hash, "hdel", key.bytes);
        cx.event_if(is_spent, Class::Generic, "del", key.bytes);
    }
    cx.reply.len(deleted);
    REPLIED
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;

    const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn fields_are_set_read_and_deleted() {
        let mut desk = Desk::new();
        desk.check("HSET h a 1 b two", ":2");
        desk.check("HSET h a 2 c 3", ":1");
        desk.check("HGET h a", "$1 2");
        desk.check("HGET h x", "$-1");
        desk.check("HGET none x", "$-1");
        desk.check("HLEN h", ":3");
        desk.check("TYPE h", "+hash");
        desk.check("OBJECT ENCODING h", "$8 listpack");
        desk.check("HDEL h a b x", ":2");
        desk.check("HDEL h c", ":1");
        desk.check("EXISTS h", ":0");
        desk.check("HSET h a", "-ERR wrong number of arguments for 'hset' command");
        desk.check("EXISTS h", ":0");
    }

    #[test]
    fn another_type_is_refused_and_left_alone() {
        let mut desk = Desk::new();
        desk.check("SET s 1", "+OK");
        for line in [
            "HSET s a 1",
            "HMSET s a 1",
            "HSETNX s a 1",
            "HGET s a",
            "HMGET s a",
            "HGETALL s",
            "HKEYS s",
            "HVALS s",
            "HEXISTS s a",
            "HSTRLEN s a",
            "HLEN s",
            "HDEL s a",
        ] {
            desk.check(line, WRONG_TYPE);
        }
        desk.check("HSET h a 1", ":1");
        for line in ["GET h", "APPEND h x", "INCR h", "STRLEN h", "SET h 1 GET", "GETRANGE h 0 1"] {
            desk.check(line, WRONG_TYPE);
        }
        desk.check("GET s", "$1 1");
        desk.check("HGET h a", "$1 1");
    }

    #[test]
    fn other_ways_to_set_and_read() {
        let mut desk = Desk::new();
        desk.check("HMSET h a 1 b two", "+OK");
        desk.check("HMGET h b x a b", "*4 $3 two $-1 $1 1 $3 two");
        desk.check("HMGET none a b", "*2 $-1 $-1");
        desk.check("HSETNX h a 2", ":0");
        desk.check("HSETNX h c 3", ":1");
        desk.check("HGET h a", "$1 1");
        desk.check("HEXISTS h c", ":1");
        desk.check("HEXISTS h x", ":0");
        desk.check("HEXISTS none x", ":0");
        desk.check("HSTRLEN h b", ":3");
        desk.check("HSTRLEN h x", ":0");
        desk.check("HSTRLEN none x", ":0");
        desk.check("HSET h n -123", ":1");
        desk.check("HSTRLEN h n", ":4");
        desk.check("HSETNX new a 1", ":1");
        desk.check("HLEN new", ":1");
        desk.check("HMSET h a", "-ERR wrong number of arguments for 'hmset' command");
        desk.check("HMSET h a 1 b", "-ERR wrong number of arguments for 'hmset' command");
        desk.set_protocol(3);
        desk.check("HMGET h x", "*1 _");
    }

    #[test]
    fn a_hash_is_renamed_copied_moved_and_flushed_like_any_key() {
        let mut desk = Desk::new();
        desk.check("HSET h a 1", ":1");
        desk.check("COPY h i", ":1");
        desk.check("HSET i b 2", ":1");
        desk.check("RENAME h j", "+OK");
        desk.check("HLEN j", ":1");
        desk.check("HLEN i", ":2");
        desk.check("MOVE i 1", ":1");
        desk.check("EXPIRE j 100", ":1");
        desk.check("HGET j a", "$1 1");
        desk.check("SET j over", "+OK");
        desk.check("FLUSHALL", "+OK");
        assert_eq!(desk.node.store.used_bytes(), 0);
    }

    #[test]
    fn what_a_hash_takes_is_counted_and_given_back() {
        let mut desk = Desk::new();
        for n in 0..2_000 {
            desk.run(&format!("HSET h field:{n} value:{n}"));
        }
        desk.check("OBJECT ENCODING h", "$9 hashtable");
        let full = desk.node.store.used_bytes();
        assert!(full > 40_000, "{full}");
        for n in 0..2_000 {
            desk.run(&format!("HDEL h field:{n}"));
        }
        desk.check("EXISTS h", ":0");
        assert!(desk.node.store.used_bytes() < full / 3, "{} of {full}", desk.node.store.used_bytes());
    }
}
