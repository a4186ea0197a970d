//! Commands on keys, whatever they hold. What takes more than a few lines has a file of its own below `generic/`.

pub mod dump;
mod expire;
mod object;
pub mod scan;
mod transfer;
mod wait;

use super::*;
use crate::store::{Entry, Key};
use crate::types::object::Object;

pub const COMMANDS: &[Command] = &[
    DEL,
    UNLINK,
    EXISTS,
    TOUCH,
    TYPE,
    dump::DUMP,
    dump::RESTORE,
    expire::EXPIRE,
    expire::PEXPIRE,
    expire::EXPIREAT,
    expire::PEXPIREAT,
    expire::TTL,
    expire::PTTL,
    expire::EXPIRETIME,
    expire::PEXPIRETIME,
    expire::PERSIST,
    object::OBJECT,
    scan::KEYS,
    scan::SCAN,
    scan::RANDOMKEY,
    transfer::RENAME,
    transfer::RENAMENX,
    transfer::COPY,
    transfer::MOVE,
    wait::WAIT,
    wait::WAITAOF,
];

const GENERIC: Command = Command { group: Group::Generic, ..COMMAND };

/// A command that only looks whether, or as what, a key is there.
const LOOKS: KeyUse = KeyUse::Flags(&["RO"]);

/// What goes to every shard, and whose answers are added up.
const SUMMED: &[&str] = &["request_policy:multi_shard", "response_policy:agg_sum"];

/// The name of the type of an entry's value.
pub fn type_name(entry: Entry<'_>) -> &'static str {
    entry.object().map_or("string", Object::type_name)
}

const DEL: Command = Command {
    name: "DEL",
    run: del,
    summary: "Deletes keys and tells how many there were.",
    complexity: "O(N) for N keys",
    args: &[key("key", Usage::Delete).many()],
    flags: Flags::WRITE,
    tips: SUMMED,
    ..GENERIC
};

const UNLINK: Command = Command {
    name: "UNLINK",
    summary: "Deletes keys as DEL does; large values are freed in the background by both.",
    since: "4.0.0",
    flags: Flags::WRITE.and(Flags::FAST),
    ..DEL
};

fn del(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let mut deleted = 0;
    while !args.is_empty() {
        let key = args.key()?;
        if cx.store.remove(key) {
            deleted += 1;
            cx.event(Class::Generic, "del", key.bytes);
        }
    }
    cx.reply.len(deleted);
    REPLIED
}

const EXISTS: Command = Command {
    name: "EXISTS",
    run: exists,
    summary: "Tells how many of the keys are there, counting a key as often as it is named.",
    complexity: "O(N) for N keys",
    args: &[key("key", Usage::Read).many()],
    flags: Flags::READONLY.and(Flags::FAST),
    tips: SUMMED,
    key_use: LOOKS,
    ..GENERIC
};

fn exists(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let mut found = 0;
    while !args.is_empty() {
        let key = args.key()?;
        let is_there = cx.store.look(key).is_some();
        found += counted(cx, key, is_there);
    }
    cx.reply.len(found);
    REPLIED
}

/// What a key adds to the number of those found, and the event if it was not.
fn counted(cx: &Ctx<'_>, key: Key<'_>, is_there: bool) -> usize {
    if !is_there {
        cx.missed(key);
    }
    usize::from(is_there)
}

const TOUCH: Command = Command {
    name: "TOUCH",
    run: touch,
    summary: "Marks keys as just used and tells how many of them are there.",
    since: "3.2.1",
    ..EXISTS
};

fn touch(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let mut touched = 0;
    while !args.is_empty() {
        let key = args.key()?;
        let is_there = cx.store.get(key).is_some();
        touched += counted(cx, key, is_there);
    }
    cx.reply.len(touched);
    REPLIED
}

const TYPE: Command = Command {
    name: "TYPE",
    run: type_of,
    summary: "Tells the type of the value of a key.",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY.and(Flags::FAST),
    key_use: LOOKS,
    ..GENERIC
};

fn type_of(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let name = match cx.store.look(key) {
        Some(entry) => type_name(entry),
        None => {
            cx.missed(key);
            "none"
        }
    };
    cx.reply.simple(name);
    REPLIED
}

#[cfg(test)]
mod tests {
    use crate::command::table;
    use crate::command::testing::Desk;

    #[test]
    fn deleting_tells_how_many_keys_there_were() {
        let mut desk = Desk::new();
        desk.check("SET a 1", "+OK");
        desk.check("SET b 2", "+OK");
        desk.check("DEL a b a nosuch", ":2");
        desk.check("SET c 3", "+OK");
        desk.check("UNLINK c", ":1");
        desk.check("UNLINK c", ":0");
        desk.check("DEL", "-ERR wrong number of arguments for 'del' command");
    }

    #[test]
    fn a_key_exists_as_often_as_it_is_named() {
        let mut desk = Desk::new();
        desk.check("SET a 1", "+OK");
        desk.check("EXISTS a nosuch a", ":2");
        desk.check("TOUCH a nosuch a", ":2");
        desk.check("TYPE a", "+string");
        desk.check("TYPE nosuch", "+none");
    }

    #[test]
    fn looking_at_a_key_counts_as_a_hit_or_a_miss() {
        let mut desk = Desk::new();
        desk.check("SET a 1", "+OK");
        for line in ["EXISTS a b", "TOUCH a b"] {
            desk.run(line);
        }
        for line in ["TYPE", "TTL", "PTTL", "EXPIRETIME", "OBJECT ENCODING", "DUMP"] {
            desk.run(&format!("{line} a"));
            desk.run(&format!("{line} b"));
        }
        let counters = desk.node.store.totals().counters;
        assert_eq!((counters.hits, counters.misses), (8, 8));
        for line in ["EXPIRE b 1", "PERSIST b", "RENAME b c", "DEL b", "MOVE b 1", "KEYS *", "SCAN 0", "RANDOMKEY"] {
            desk.run(line);
        }
        let counters = desk.node.store.totals().counters;
        assert_eq!((counters.hits, counters.misses), (8, 8), "writes and walks are not counted");
    }

    #[test]
    fn keys_are_used_as_redis_says() {
        let uses = |name: &str| {
            let specs = table::find(name.as_bytes()).unwrap().row.key_specs(1);
            specs.iter().map(|spec| spec.flags.join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(uses("del"), ["RM delete"]);
        assert_eq!(uses("exists"), ["RO"]);
        assert_eq!(uses("ttl"), ["RO access"]);
        assert_eq!(uses("expire"), ["RW update"]);
        assert_eq!(uses("move"), ["RW access update"]);
        assert_eq!(uses("rename"), ["RW access delete", "OW update"]);
        assert_eq!(uses("renamenx"), ["RW access delete", "OW insert"]);
        assert_eq!(uses("copy"), ["RO access", "OW update"]);
        assert_eq!(uses("restore"), ["OW update"]);
    }
}
