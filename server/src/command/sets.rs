//! Sets: members in no order, each once. (`SET`, the command on strings, is in `string/set.rs`.)

mod algebra;
mod draw;

use super::*;
use crate::base::number::Digits;
use crate::command::scan::{Step, cursor};
use crate::store::Key;
use crate::types::set::Set;

pub const COMMANDS: &[Command] = &[
    SADD,
    SCARD,
    algebra::SDIFF,
    algebra::SDIFFSTORE,
    algebra::SINTER,
    algebra::SINTERCARD,
    algebra::SINTERSTORE,
    SISMEMBER,
    SMEMBERS,
    SMISMEMBER,
    SMOVE,
    draw::SPOP,
    draw::SRANDMEMBER,
    SREM,
    SSCAN,
    algebra::SUNION,
    algebra::SUNIONSTORE,
];

const SET: Command = Command { group: Group::Set, ..COMMAND };

const READS_FAST: Flags = Flags::READONLY.and(Flags::FAST);

/// The ways in which Redis says that a key is used.
const INSERTS: &[&str] = &["RW", "insert"];
const POPS: &[&str] = &["RW", "access", "delete"];

const SADD: Command = Command {
    name: "SADD",
    run: sadd,
    summary: "Adds members to a set, creating it if needed, and tells how many are new.",
    complexity: "O(N) for N members",
    args: &[key("key", Usage::Update), text("member").many()],
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    key_use: KeyUse::Flags(INSERTS),
    ..SET
};

fn sadd(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let limits = cx.node.limits.of_set();
    let first = args.peek().unwrap_or_default();
    let members = args.rest();
    let mut set = cx.store.open_or_new::<Set>(key)?;
    if set.is_empty() {
        *set = Set::expecting(first, members.len(), &limits);
    } else {
        set.expect(members.len(), &limits);
    }
    let added = members.filter(|member| set.add(member, &limits)).count();
    if added == 0 {
        set.unchanged();
    }
    drop(set);
    cx.event_if(added > 0, Class::Set, "sadd", key.bytes);
    cx.reply.len(added);
    REPLIED
}

const SREM: Command = Command {
    name: "SREM",
    run: srem,
    summary: "Takes members out of a set, and tells how many there were.",
    complexity: "O(N) for N members",
    args: &[key("key", Usage::Update), text("member").many()],
    flags: Flags::WRITE.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RW", "delete"]),
    ..SET
};

fn srem(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let Some(mut set) = cx.store.open::<Set>(key)? else {
        cx.reply.len(0);
        return REPLIED;
    };
    let removed = args.rest().filter(|member| set.remove(member)).count();
    let is_spent = set.is_empty();
    if removed == 0 {
        set.unchanged();
    }
    drop(set);
    cx.event_if(removed > 0, Class::Set, "srem", key.bytes);
    cx.event_if(is_spent, Class::Generic, "del", key.bytes);
    cx.reply.len(removed);
    REPLIED
}

const SMOVE: Command = Command {
    name: "SMOVE",
    run: smove,
    summary: "Moves a member from one set to another, and tells whether the first had it.",
    args: &[key("source", Usage::Delete), key("destination", Usage::Update), text("member")],
    flags: Flags::WRITE.and(Flags::FAST),
    key_use: KeyUse::Each(&[POPS, INSERTS]),
    ..SET
};

fn smove(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (source, destination, member) = (args.key()?, args.key()?, args.word()?);
    let limits = cx.node.limits.of_set();
    // What the destination holds matters only if there is a source.
    let room = cx.store.view::<Set>(destination).map(drop);
    let Some(mut set) = cx.store.open::<Set>(source)? else {
        cx.reply.len(0);
        return REPLIED;
    };
    room?;
    let is_member = set.contains(member);
    cx.reply.len(usize::from(is_member));
    if !is_member || source.bytes == destination.bytes {
        return REPLIED;
    }
    set.remove(member);
    let is_spent = set.is_empty();
    drop(set);
    cx.event(Class::Set, "srem", source.bytes);
    cx.event_if(is_spent, Class::Generic, "del", source.bytes);
    let mut set = cx.store.open_or_new::<Set>(destination)?;
    let is_new = set.add(member, &limits);
    if !is_new {
        set.unchanged();
    }
    drop(set);
    cx.event_if(is_new, Class::Set, "sadd", destination.bytes);
    REPLIED
}

const SCARD: Command = Command {
    name: "SCARD",
    run: scard,
    summary: "Tells how many members a set has.",
    args: &[key("key", Usage::Read)],
    flags: READS_FAST,
    key_use: KeyUse::Flags(&["RO"]),
    ..SET
};

fn scard(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let len = cx.store.read::<Set>(args.key()?)?.map_or(0, Set::len);
    cx.reply.len(len);
    REPLIED
}

const SISMEMBER: Command = Command {
    name: "SISMEMBER",
    run: sismember,
    summary: "Tells whether a set has a member.",
    args: &[key("key", Usage::Read), text("member")],
    flags: READS_FAST,
    key_use: KeyUse::Flags(&["RO"]),
    ..SET
};

fn sismember(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, member) = (args.key()?, args.word()?);
    let is_member = cx.store.read::<Set>(key)?.is_some_and(|set| set.contains(member));
    cx.reply.len(usize::from(is_member));
    REPLIED
}

const SMISMEMBER: Command = Command {
    name: "SMISMEMBER",
    run: smismember,
    summary: "Tells of each of some members whether a set has it.",
    complexity: "O(N) for N members",
    since: "6.2.0",
    args: &[key("key", Usage::Read), text("member").many()],
    flags: READS_FAST,
    ..SET
};

fn smismember(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let set = cx.store.read::<Set>(args.key()?)?;
    cx.reply.array(args.len());
    for member in args.rest() {
        let is_member = set.is_some_and(|set| set.contains(member));
        cx.reply.len(usize::from(is_member));
    }
    REPLIED
}

const SMEMBERS: Command = Command {
    name: "SMEMBERS",
    run: smembers,
    summary: "Returns all members of a set.",
    complexity: "O(N) for N members",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output_order"],
    ..SET
};

fn smembers(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let set = cx.store.read::<Set>(args.key()?)?;
    cx.reply.set(set.map_or(0, Set::len));
    set.into_iter().flat_map(Set::iter).for_each(|member| cx.reply.element(member));
    REPLIED
}

const SSCAN: Command = Command {
    name: "SSCAN",
    run: sscan,
    summary: "Walks the members of a set in steps.",
    complexity: "O(1) for a step, O(N) for a walk over N members",
    since: "2.8.0",
    args: &[
        key("key", Usage::Read),
        int("cursor"),
        pattern("pattern").after("MATCH").optional(),
        int("count").after("COUNT").optional(),
    ],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    ..SET
};

fn sscan(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, cursor) = (args.key()?, cursor(args)?);
    let start = cx.reply.out.len();
    let (mut next, mut found) = (0, 0);
    // As in Redis a key that is not there spares the options from being read.
    if let Some(set) = cx.store.read::<Set>(key)? {
        let step = Step::parse(args)?;
        next = set.scan(cursor, step.count, |member| {
            if step.passes_element(member) {
                found += 1;
                cx.reply.element(member);
            }
        });
    }
    cx.reply.before(start, |reply| {
        reply.array(2);
        reply.text(Digits::new().format(next));
        reply.array(found);
    });
    REPLIED
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;
    use std::collections::BTreeSet;

    pub const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn members_are_added_asked_for_and_taken_out() {
        let mut desk = Desk::new();
        desk.check("SADD s 1 2 3 2", ":3");
        desk.check("SADD s 1", ":0");
        desk.check("OBJECT ENCODING s", "$6 intset");
        desk.check("SADD s a", ":1");
        desk.check("OBJECT ENCODING s", "$8 listpack");
        desk.check("TYPE s", "+set");
        desk.check("SCARD s", ":4");
        desk.check("SCARD none", ":0");
        desk.check("SISMEMBER s 1", ":1");
        desk.check("SISMEMBER s x", ":0");
        desk.check("SISMEMBER none x", ":0");
        desk.check("SMISMEMBER s 1 x a", "*3 :1 :0 :1");
        desk.check("SMISMEMBER none x y", "*2 :0 :0");
        desk.check("SREM s x y", ":0");
        desk.check("SREM s 1 x 2", ":2");
        desk.check("SMEMBERS s", "*2 $1 3 $1 a");
        desk.check("SREM s 3 a", ":2");
        desk.check("EXISTS s", ":0");
        desk.check("SREM s a", ":0");
        desk.check("SMEMBERS s", "*0");
    }

    #[test]
    fn the_encoding_follows_the_members() {
        let mut desk = Desk::new();
        let ints = |n: usize| (0..n).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        desk.check(&format!("SADD ints {}", ints(512)), ":512");
        desk.check("OBJECT ENCODING ints", "$6 intset");
        desk.check("SADD ints 512", ":1");
        desk.check("OBJECT ENCODING ints", "$9 hashtable");
        desk.check(&format!("SADD many {}", ints(513)), ":513");
        desk.check("OBJECT ENCODING many", "$9 hashtable");
        desk.check(&format!("SADD texts a {}", ints(128)), ":129");
        desk.check("OBJECT ENCODING texts", "$9 hashtable");
        desk.check(&format!("SADD long {}", "x".repeat(65)), ":1");
        desk.check("OBJECT ENCODING long", "$9 hashtable");
    }

    #[test]
    fn a_member_moves_from_set_to_set() {
        let mut desk = Desk::new();
        desk.check("SET str v", "+OK");
        desk.check("SADD a 1 2 3", ":3");
        desk.check("SMOVE none a 1", ":0");
        desk.check("SMOVE none str 1", ":0");
        for line in ["SMOVE str none 1", "SMOVE str a 1", "SMOVE a str 1", "SMOVE a str 9", "SMOVE str str 1"] {
            desk.check(line, WRONG_TYPE);
        }
        desk.check("SMOVE a a 1", ":1");
        desk.check("SMOVE a a 9", ":0");
        desk.check("SMOVE a b 9", ":0");
        desk.check("EXISTS b", ":0");
        desk.check("SMOVE a b 1", ":1");
        desk.check("SMOVE a b 2", ":1");
        desk.check("SADD b 3", ":1");
        desk.check("SMOVE a b 3", ":1");
        desk.check("EXISTS a", ":0");
        desk.check("SCARD b", ":3");
        desk.check("SMOVE a b", "-ERR wrong number of arguments for 'smove' command");
    }

    #[test]
    fn another_type_is_refused_and_left_alone() {
        let mut desk = Desk::new();
        desk.check("SET str v", "+OK");
        for line in [
            "SADD str a",
            "SREM str a",
            "SCARD str",
            "SISMEMBER str x",
            "SMISMEMBER str x",
            "SMEMBERS str",
            "SSCAN str 0",
        ] {
            desk.check(line, WRONG_TYPE);
        }
        desk.check("GET str", "$1 v");
        for (line, name) in [
            ("SADD s", "sadd"),
            ("SREM s", "srem"),
            ("SCARD", "scard"),
            ("SISMEMBER s", "sismember"),
            ("SMISMEMBER s", "smismember"),
            ("SMEMBERS s s", "smembers"),
            ("SSCAN s", "sscan"),
        ] {
            desk.check(line, &format!("-ERR wrong number of arguments for '{name}' command"));
        }
        desk.check("EXISTS s", ":0");
    }

    #[test]
    fn a_small_set_is_walked_in_one_step() {
        let mut desk = Desk::new();
        desk.check("SADD a 1 2 3", ":3");
        let all = "*2 $1 0 *3 $1 1 $1 2 $1 3";
        for words in ["0", "5", "0 MATCH * COUNT 1", "18446744073709551615", "-1"] {
            desk.check(&format!("SSCAN a {words}"), all);
        }
        desk.check("SSCAN a 0 MATCH 2", "*2 $1 0 *1 $1 2");
        for (line, fault) in [
            ("SSCAN none x", "invalid cursor"),
            ("SSCAN a 18446744073709551616", "invalid cursor"),
            ("SSCAN a 0 COUNT 0", "syntax error"),
            ("SSCAN a 0 COUNT 0 FOO", "syntax error"),
            ("SSCAN a 0 COUNT x", "value is not an integer or out of range"),
            ("SSCAN a 0 MATCH", "syntax error"),
            ("SSCAN a 0 TYPE set", "syntax error"),
        ] {
            desk.check(line, &format!("-ERR {fault}"));
        }
        for line in ["SSCAN none 0", "SSCAN none 0 FOO", "SSCAN none 0 COUNT 0"] {
            desk.check(line, "*2 $1 0 *0");
        }
        desk.check("SET str v", "+OK");
        desk.check("SSCAN str x", "-ERR invalid cursor");
        desk.check("SSCAN str 0 FOO", WRONG_TYPE);
    }

    #[test]
    fn a_walk_visits_every_member_of_a_large_set() {
        let mut desk = Desk::new();
        for n in 0..3_000 {
            desk.run(&format!("SADD s member:{n}"));
        }
        let (mut cursor, mut all, mut steps) = ("0".to_owned(), BTreeSet::new(), 0);
        loop {
            let reply = desk.run(&format!("SSCAN s {cursor} COUNT 50"));
            let mut words = reply.split("\r\n").filter(|word| !word.is_empty() && !word.starts_with(['*', '$']));
            cursor = words.next().expect("a cursor comes first").to_owned();
            all.extend(words.map(str::to_owned));
            steps += 1;
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(all, (0..3_000).map(|n| format!("member:{n}")).collect());
        assert!((20..=60).contains(&steps), "{steps}");
    }

    #[test]
    fn sets_have_a_shape_of_their_own_in_resp3() {
        let mut desk = Desk::new();
        desk.set_protocol(3);
        desk.check("SADD a 1 2", ":2");
        desk.check("SMEMBERS a", "~2 $1 1 $1 2");
        desk.check("SMEMBERS none", "~0");
        desk.check("SSCAN a 0", "*2 $1 0 *2 $1 1 $1 2");
        desk.check("SISMEMBER a 1", ":1");
        desk.check("SMISMEMBER a 1 5", "*2 :1 :0");
    }

    #[test]
    fn what_changes_nothing_is_no_change() {
        let mut desk = Desk::new();
        desk.check("SADD a 1 x", ":2");
        desk.check("SADD b 1", ":1");
        let before = desk.node.store.totals().counters.changes;
        for line in
            ["SADD a 1 x", "SREM a 9", "SMOVE a b 9", "SMOVE a a 1", "SPOP a 0", "SREM none 1", "SDIFFSTORE none b b"]
        {
            desk.run(line);
        }
        assert_eq!(desk.node.store.totals().counters.changes, before);
        desk.check("SMOVE a b 1", ":1");
        assert_eq!(desk.node.store.totals().counters.changes, before + 1, "the second set had the member");
    }

    #[test]
    fn each_key_that_is_read_is_a_hit_or_a_miss() {
        let mut desk = Desk::new();
        desk.check("SADD a 1", ":1");
        let counts = |desk: &Desk| {
            let counters = desk.node.store.totals().counters;
            (counters.hits, counters.misses)
        };
        let (hits, misses) = counts(&desk);
        desk.check("SINTER a none a", "*0");
        desk.check("SUNIONSTORE b a none", ":1");
        desk.check("SINTERCARD 2 a none LIMIT 1", ":0");
        desk.check("SISMEMBER none 1", ":0");
        desk.check("SPOP none", "$-1");
        assert_eq!(counts(&desk), (hits + 4, misses + 4));
    }

    #[test]
    fn what_a_set_takes_is_counted_and_given_back() {
        let mut desk = Desk::new();
        for n in 0..3_000 {
            desk.run(&format!("SADD s member:{n}"));
        }
        let full = desk.node.store.used_bytes();
        assert!(full > 30_000, "{full}");
        for n in 0..3_000 {
            desk.run(&format!("SREM s member:{n}"));
        }
        desk.check("EXISTS s", ":0");
        assert!(desk.node.store.used_bytes() < full / 3, "{} of {full}", desk.node.store.used_bytes());
    }
}
