//! Hashes: fields with their values under one key.

use super::*;
use crate::types::hash::{Expiry, Hash};

pub const COMMANDS: &[Command] = &[HDEL, HGET, HLEN, HSET];

const HASH: Command = Command { group: Group::Hash, since: "2.0.0", ..COMMAND };

const HSET: Command = Command {
    name: "HSET",
    run: hset,
    summary: "Sets fields of a hash and tells how many are new.",
    complexity: "O(N) for N fields",
    args: &[key("key", Usage::Update), block("data", &[text("field"), text("value")]).many()],
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..HASH
};

fn hset(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    if !args.len().is_multiple_of(2) {
        return Err(Fault::Arity(cx.name().into()));
    }
    let limits = cx.node.limits.of_hash();
    let mut hash = cx.store.open_or_new::<Hash>(key)?;
    let mut added = 0;
    while !args.is_empty() {
        let (field, value) = (args.word()?, args.word()?);
        added += usize::from(hash.set(field, value, Expiry::Clear, &limits));
    }
    drop(hash);
    cx.event(Class::Hash, "hset", key.bytes);
    cx.reply.len(added);
    REPLIED
}

const HGET: Command = Command {
    name: "HGET",
    run: hget,
    summary: "Returns the value of a field.",
    args: &[key("key", Usage::Read), text("field")],
    flags: Flags::READONLY.and(Flags::FAST),
    ..HASH
};

fn hget(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let now = cx.now_ms();
    let hash = cx.store.read::<Hash>(args.key()?)?;
    match hash.and_then(|hash| hash.get(args.word().ok()?, now)) {
        Some(entry) => cx.reply.element(entry.value),
        None => cx.reply.null(),
    }
    REPLIED
}

const HLEN: Command = Command {
    name: "HLEN",
    run: hlen,
    summary: "Tells how many fields a hash has.",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RO"]),
    ..HASH
};

fn hlen(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let now = cx.now_ms();
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
    let key = args.key()?;
    let Some(mut hash) = cx.store.open::<Hash>(key)? else {
        cx.reply.len(0);
        return REPLIED;
    };
    let deleted = args.rest().filter(|field| hash.remove(field)).count();
    let is_spent = hash.is_empty();
    if deleted == 0 {
        hash.unchanged();
    }
    drop(hash);
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
        for line in ["HSET s a 1", "HGET s a", "HLEN s", "HDEL s a"] {
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
