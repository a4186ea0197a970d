//! `OBJECT`: what the store knows about a key.

use crate::command::*;
use crate::store::header::Shape;
use crate::store::policy::Family;
use crate::store::{Entry, Value};

/// The longest string that Redis keeps in one block with its header, and calls `embstr`.
const EMBSTR_MAX: usize = 44;

/// The count that stands for a value which all keys share.
const SHARED: i64 = i32::MAX as i64;

pub const OBJECT: Command = Command {
    name: "OBJECT",
    summary: "Tells what is known about a key.",
    complexity: "Depends on subcommand.",
    since: "2.2.3",
    subcommands: &[ENCODING, FREQ, HELP, IDLETIME, REFCOUNT],
    ..super::GENERIC
};

const ASKS: Command = Command {
    since: "2.2.3",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    key_use: super::LOOKS,
    ..super::GENERIC
};

const ENCODING: Command =
    Command { name: "ENCODING", run: encoding_of, summary: "Tells how the value of a key is encoded.", ..ASKS };

fn encoding_of(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    match cx.store.look(args.key()?) {
        Some(entry) => cx.reply.text(encoding(entry)),
        None => cx.reply.null(),
    }
    REPLIED
}

/// The name Redis has for the encoding of a value with this history.
pub fn encoding(entry: Entry<'_>) -> &'static str {
    if let Some(object) = entry.object() {
        return object.encoding();
    }
    match entry.shape() {
        Shape::Int => "int",
        Shape::Bytes if entry.value().len() <= EMBSTR_MAX => "embstr",
        _ => "raw",
    }
}

const FREQ: Command = Command {
    name: "FREQ",
    run: frequency,
    summary: "Tells how often a key is used, on the logarithmic scale of the LFU policies.",
    since: "4.0.0",
    ..ASKS
};

fn frequency(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let moment = cx.store.moment();
    let Some(entry) = cx.store.look(args.key()?) else {
        cx.reply.null();
        return REPLIED;
    };
    if moment.eviction.family() != Family::Lfu {
        return Err(Fault::text(
            "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
             switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    cx.reply.int(entry.frequency(moment).into());
    REPLIED
}

const IDLETIME: Command = Command {
    name: "IDLETIME",
    run: idle_time,
    summary: "Tells for how many seconds a key has not been used.",
    ..ASKS
};

fn idle_time(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let moment = cx.store.moment();
    let Some(entry) = cx.store.look(args.key()?) else {
        cx.reply.null();
        return REPLIED;
    };
    if moment.eviction.family() == Family::Lfu {
        return Err(Fault::text(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
             policies at runtime LRU and LFU data will take some time to adjust.",
        ));
    }
    cx.reply.int((entry.idle_ms(moment) / 1000) as i64);
    REPLIED
}

const REFCOUNT: Command =
    Command { name: "REFCOUNT", run: references, summary: "Tells how many keys share the value of a key.", ..ASKS };

fn references(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let may_share = cx.node.store.memory_max() == 0 || !keeps_accesses(cx.node.store.eviction());
    match cx.store.look(args.key()?) {
        Some(entry) if may_share && entry.shape() == Shape::Int && is_shared_in_redis(entry.value()) => {
            cx.reply.int(SHARED)
        }
        Some(_) => cx.reply.int(1),
        None => cx.reply.null(),
    }
    REPLIED
}

/// Whether a policy needs the time or the number of accesses for each key.
fn keeps_accesses(policy: crate::store::Eviction) -> bool {
    use crate::store::Eviction::{AllkeysLarder, AllkeysLfu, AllkeysLru, VolatileLfu, VolatileLru};
    matches!(policy, AllkeysLarder | AllkeysLru | AllkeysLfu | VolatileLru | VolatileLfu)
}

/// Redis keeps the integers up to 9 999 once for all keys. Here they take no memory beside their record, so nothing is
/// shared, but clients that ask are told what they know.
fn is_shared_in_redis(value: Value<'_>) -> bool {
    matches!(value, Value::Int(0..10_000))
}

const HELP: Command = Command {
    name: "HELP",
    run: help,
    summary: "Shows what the sub-commands are.",
    since: "6.2.0",
    flags: Flags::LOADING.and(Flags::STALE),
    ..super::GENERIC
};

const HELP_LINES: &[&str] = &[
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Tells how the value of <key> is encoded in memory.",
    "FREQ <key>",
    "    Tells how often <key> is used, as a number that grows with the logarithm of",
    "    its recent uses. Needs an LFU policy.",
    "IDLETIME <key>",
    "    Tells for about how many seconds <key> has not been used. Needs a policy that",
    "    is not LFU.",
    "REFCOUNT <key>",
    "    Tells how many keys share the value of <key>.",
    "HELP",
    "    Prints this help.",
];

fn help(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.reply.array(HELP_LINES.len());
    HELP_LINES.iter().for_each(|line| cx.reply.simple(line));
    REPLIED
}

#[cfg(test)]
mod collections;

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;
    use crate::store::{Eviction, Options};

    fn desk(eviction: Eviction) -> Desk {
        Desk::with(Options { eviction, ..Options::default() })
    }

    #[test]
    fn encodings_have_the_names_of_redis() {
        let mut desk = Desk::new();
        for (value, reply) in [
            ("12345678901", "$3 int"),
            ("-1", "$3 int"),
            ("007", "$6 embstr"),
            ("99999999999999999999", "$6 embstr"),
            (&"x".repeat(44), "$6 embstr"),
            (&"x".repeat(45), "$3 raw"),
            (&"x".repeat(5000), "$3 raw"),
        ] {
            desk.check(&format!("SET k {value}"), "+OK");
            desk.check("OBJECT ENCODING k", reply);
        }
        desk.check("object encoding nosuch", "$-1");
    }

    #[test]
    fn frequency_and_idle_time_depend_on_the_policy() {
        let no_lfu = "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that \
                      when switching between policies at runtime LRU and LFU data will take some time to adjust.";
        let lfu = "-ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching \
                   between policies at runtime LRU and LFU data will take some time to adjust.";
        for eviction in Eviction::ALL {
            let mut desk = desk(eviction);
            desk.check("SET k v", "+OK");
            desk.check("OBJECT FREQ nosuch", "$-1");
            desk.check("OBJECT IDLETIME nosuch", "$-1");
            if matches!(eviction, Eviction::AllkeysLfu | Eviction::VolatileLfu) {
                desk.check("OBJECT FREQ k", ":5");
                desk.check("OBJECT IDLETIME k", lfu);
            } else {
                desk.check("OBJECT FREQ k", no_lfu);
                desk.check("OBJECT IDLETIME k", ":0");
            }
        }
    }

    #[test]
    fn small_integers_look_shared_where_redis_shares_them() {
        let mut desk = Desk::new();
        for (value, count) in [("0", i32::MAX), ("9999", i32::MAX), ("10000", 1), ("-1", 1), ("text", 1)] {
            desk.check(&format!("SET k {value}"), "+OK");
            desk.check("OBJECT REFCOUNT k", &format!(":{count}"));
        }
        desk.check("SET k 1", "+OK");
        desk.check("INCRBYFLOAT k 1", "$1 2");
        desk.check("OBJECT ENCODING k", "$6 embstr");
        desk.check("OBJECT REFCOUNT k", ":1");
        desk.check("SET k 1", "+OK");
        desk.node.store.set_memory_max(1 << 30);
        desk.check("OBJECT REFCOUNT k", ":1");
        desk.node.store.set_eviction(Eviction::VolatileTtl, 0);
        desk.check("OBJECT REFCOUNT k", &format!(":{}", i32::MAX));
        desk.check("OBJECT REFCOUNT nosuch", "$-1");
    }

    #[test]
    fn wrong_uses_are_refused() {
        let mut desk = Desk::new();
        desk.check("OBJECT", "-ERR wrong number of arguments for 'object' command");
        desk.check("OBJECT FOO", "-ERR unknown subcommand 'FOO'. Try OBJECT HELP.");
        desk.check("OBJECT FREQ", "-ERR wrong number of arguments for 'object|freq' command");
        desk.check("OBJECT HELP x", "-ERR wrong number of arguments for 'object|help' command");
        assert!(desk.run("OBJECT HELP").starts_with("*13\r\n+OBJECT <subcommand>"));
    }
}
