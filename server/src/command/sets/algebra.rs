//! Union, intersection and difference of sets, answered, counted or stored.
//!
//! Keys that are not there are empty sets. All keys are looked at before anything is done, as any of them may be
//! refused.

use super::*;
use crate::store::Keys;
use crate::types::algebra;
use crate::types::object::Kind as _;
use crate::types::set::Limits;

const TIPS: &[&str] = &["nondeterministic_output_order"];

const WRITES: Flags = Flags::WRITE.and(Flags::DENYOOM);

pub const SINTER: Command = Command {
    name: "SINTER",
    run: |cx, args| answer(cx, args, Operation::Intersection),
    summary: "Returns what is in all of some sets.",
    complexity: "O(N*M) for M sets of which the smallest has N members",
    args: &[key("key", Usage::Read).many()],
    flags: Flags::READONLY,
    tips: TIPS,
    ..SET
};

pub const SUNION: Command = Command {
    name: "SUNION",
    run: |cx, args| answer(cx, args, Operation::Union),
    summary: "Returns what is in any of some sets.",
    complexity: "O(N) for N members in all sets",
    ..SINTER
};

pub const SDIFF: Command = Command {
    name: "SDIFF",
    run: |cx, args| answer(cx, args, Operation::Difference),
    summary: "Returns what is in the first of some sets and in none of the others.",
    complexity: "O(N) for N members in all sets",
    ..SINTER
};

pub const SINTERSTORE: Command = Command {
    name: "SINTERSTORE",
    run: |cx, args| store(cx, args, Operation::Intersection),
    summary: "Stores what is in all of some sets, and tells how much that is.",
    args: &[key("destination", Usage::Write), key("key", Usage::Read).many()],
    flags: WRITES,
    tips: &[],
    key_use: KeyUse::Each(&[&["RW", "update"], &["RO", "access"]]),
    ..SINTER
};

pub const SUNIONSTORE: Command = Command {
    name: "SUNIONSTORE",
    run: |cx, args| store(cx, args, Operation::Union),
    summary: "Stores what is in any of some sets, and tells how much that is.",
    complexity: "O(N) for N members in all sets",
    key_use: KeyUse::Default,
    ..SINTERSTORE
};

pub const SDIFFSTORE: Command = Command {
    name: "SDIFFSTORE",
    run: |cx, args| store(cx, args, Operation::Difference),
    summary: "Stores what is in the first of some sets and in none of the others, and tells how much that is.",
    ..SUNIONSTORE
};

/// What is done with sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Intersection,
    Union,
    Difference,
}

impl Operation {
    /// Visits the members of the result, each once.
    fn visit(self, sets: &[Option<&Set>], visit: impl FnMut(crate::types::item::Element<'_>)) {
        let present: Vec<&Set> = sets.iter().copied().flatten().collect();
        match self {
            Operation::Union => algebra::union(&present, visit),
            Operation::Intersection if present.len() < sets.len() => {}
            Operation::Intersection => algebra::intersection(&present, usize::MAX, visit),
            Operation::Difference if sets.first().is_none_or(Option::is_none) => {}
            Operation::Difference => algebra::difference(present[0], &present[1..], visit),
        }
    }

    /// The result as a set, in the form that Redis gives it.
    fn collect(self, sets: &[Option<&Set>], limits: &Limits) -> Set {
        let smallest = sets.iter().flatten().min_by_key(|set| set.len());
        let starts_with_ints =
            self != Operation::Intersection || smallest.is_some_and(|set| set.encoding() == "intset");
        let mut result = if starts_with_ints { Set::new() } else { Set::expecting(b"", 0, limits) };
        self.visit(sets, |member| _ = result.put(member, limits));
        // An intersection that has outgrown the small form stays a table, though all that is left may be integers.
        if self == Operation::Intersection && result.encoding() == "listpack" {
            result.settle(limits);
        }
        result
    }

    fn event(self) -> &'static str {
        match self {
            Operation::Intersection => "sinterstore",
            Operation::Union => "sunionstore",
            Operation::Difference => "sdiffstore",
        }
    }
}

fn answer(cx: &mut Ctx<'_>, args: &mut Args<'_>, operation: Operation) -> Outcome {
    let count = args.len();
    note_reads(cx, args.clone(), count)?;
    let sets = views(&cx.store, args, count)?;
    let start = cx.reply.out.len();
    let mut found = 0;
    operation.visit(&sets, |member| {
        found += 1;
        cx.reply.element(member);
    });
    cx.reply.before(start, |reply| reply.set(found));
    REPLIED
}

fn store(cx: &mut Ctx<'_>, args: &mut Args<'_>, operation: Operation) -> Outcome {
    let destination = args.key()?;
    let count = args.len();
    note_reads(cx, args.clone(), count)?;
    let sets = views(&cx.store, args, count)?;
    let result = operation.collect(&sets, &cx.node.limits.of_set());
    let len = result.len();
    if len > 0 {
        cx.store.put_object(destination, result.into_object(), None);
        cx.event(Class::Set, operation.event(), destination.bytes);
    } else {
        let was_there = cx.store.remove(destination);
        cx.event_if(was_there, Class::Generic, "del", destination.bytes);
    }
    cx.reply.len(len);
    REPLIED
}

pub const SINTERCARD: Command = Command {
    name: "SINTERCARD",
    run: sintercard,
    summary: "Tells how much is in all of some sets, counting to a limit at the most.",
    since: "7.0.0",
    args: &[int("numkeys"), key("key", Usage::Read).many(), int("limit").after("LIMIT").optional()],
    flags: Flags::READONLY.and(Flags::MOVABLEKEYS),
    tips: &[],
    specs: &[KeySpec::counted_at(1, &["RO", "access"])],
    ..SINTER
};

fn sintercard(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let count = args.at_least(1, "ERR numkeys should be greater than 0")?;
    if count > args.len() {
        return Err(Fault::text("ERR Number of keys can't be greater than number of args"));
    }
    let mut keys = args.clone();
    for _ in 0..count {
        args.word()?;
    }
    let mut limit = 0;
    while !args.is_empty() {
        if !args.take("LIMIT") {
            return Err(Fault::Syntax);
        }
        limit = args.at_least(0, "ERR LIMIT can't be negative")?;
    }
    let limit = if limit == 0 { usize::MAX } else { limit };
    note_reads(cx, keys.clone(), count)?;
    let sets = views(&cx.store, &mut keys, count)?;
    let mut found = 0;
    // Without one of the sets nothing is in all of them.
    if let Some(sets) = sets.into_iter().collect::<Option<Vec<&Set>>>() {
        algebra::intersection(&sets, limit, |_| found += 1);
    }
    cx.reply.len(found);
    REPLIED
}

/// Counts a hit or a miss for each of the next `count` keys, and an access; refuses what is no set.
fn note_reads(cx: &mut Ctx<'_>, mut keys: Args<'_>, count: usize) -> Result<(), Fault> {
    for _ in 0..count {
        cx.store.read::<Set>(keys.key()?)?;
    }
    Ok(())
}

/// The sets of the next `count` keys, side by side.
fn views<'s>(store: &'s Keys<'_>, keys: &mut Args<'_>, count: usize) -> Result<Vec<Option<&'s Set>>, Fault> {
    (0..count).map(|_| Ok(store.view::<Set>(keys.key()?)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::WRONG_TYPE;
    use crate::command::testing::Desk;

    fn desk() -> Desk {
        let mut desk = Desk::new();
        desk.check("SET str v", "+OK");
        desk.check("SADD a 1 2 3", ":3");
        desk.check("SADD b 3", ":1");
        desk.check("SADD c 2 3", ":2");
        desk
    }

    #[test]
    fn sets_are_intersected_united_and_subtracted() {
        let mut desk = desk();
        for (line, answer) in [
            ("SINTER a b", "*1 $1 3"),
            ("SINTER a a", "*3 $1 1 $1 2 $1 3"),
            ("SINTER a b none", "*0"),
            ("SINTER none", "*0"),
            ("SUNION b b", "*1 $1 3"),
            ("SUNION none", "*0"),
            ("SUNION none b", "*1 $1 3"),
            ("SDIFF a c", "*1 $1 1"),
            ("SDIFF a none c none b", "*1 $1 1"),
            ("SDIFF a a", "*0"),
            ("SDIFF none a", "*0"),
            ("SDIFF a", "*3 $1 1 $1 2 $1 3"),
        ] {
            desk.check(line, answer);
        }
        desk.set_protocol(3);
        desk.check("SINTER a none", "~0");
        desk.check("SUNION a none", "~3 $1 1 $1 2 $1 3");
        desk.check("SDIFF a c", "~1 $1 1");
    }

    #[test]
    fn every_key_must_hold_a_set() {
        let mut desk = desk();
        for words in ["a none str", "str none", "none str", "str a", "a str"] {
            for name in ["SINTER", "SUNION", "SDIFF", "SINTERSTORE d", "SUNIONSTORE d", "SDIFFSTORE d"] {
                desk.check(&format!("{name} {words}"), WRONG_TYPE);
            }
        }
        desk.check("EXISTS d", ":0");
        desk.check("SINTERCARD 2 none str", WRONG_TYPE);
        desk.check("SINTERCARD 1 str", WRONG_TYPE);
        for name in ["sinter", "sunion", "sdiff", "sinterstore", "sunionstore", "sdiffstore"] {
            let destination = if name.ends_with("store") { "d" } else { "" };
            let fault = format!("-ERR wrong number of arguments for '{name}' command");
            desk.check(&format!("{name} {destination}"), &fault);
        }
    }

    #[test]
    fn results_are_stored_over_whatever_was_there() {
        let mut desk = desk();
        desk.check("SINTERSTORE d a b c", ":1");
        desk.check("SMEMBERS d", "*1 $1 3");
        desk.check("EXPIRE d 100", ":1");
        desk.check("SUNIONSTORE d a none", ":3");
        desk.check("TTL d", ":-1");
        desk.check("SMEMBERS d", "*3 $1 1 $1 2 $1 3");
        desk.check("SDIFFSTORE d a c", ":1");
        desk.check("SMEMBERS d", "*1 $1 1");
        desk.check("SINTERSTORE d a none", ":0");
        desk.check("EXISTS d", ":0");
        desk.check("SUNIONSTORE d none", ":0");
        desk.check("SDIFFSTORE d a a", ":0");
        desk.check("SDIFFSTORE str a c", ":1");
        desk.check("TYPE str", "+set");
        desk.check("SET str v", "+OK");
        desk.check("SINTERSTORE str a none", ":0");
        desk.check("EXISTS str", ":0");
        desk.check("SDIFFSTORE a a c", ":1");
        desk.check("SMEMBERS a", "*1 $1 1");
        desk.check("SUNIONSTORE a a b c", ":3");
        desk.check("SCARD a", ":3");
    }

    #[test]
    fn a_result_takes_the_smallest_form() {
        let mut desk = desk();
        desk.check("SADD texts x 2 3", ":3");
        desk.check("SINTERSTORE d texts a", ":2");
        desk.check("OBJECT ENCODING d", "$6 intset");
        desk.check("SUNIONSTORE d texts a", ":4");
        desk.check("OBJECT ENCODING d", "$8 listpack");
        desk.check("SDIFFSTORE d a texts", ":1");
        desk.check("OBJECT ENCODING d", "$6 intset");
    }

    #[test]
    fn sets_of_every_form_and_size_agree() {
        let mut desk = Desk::new();
        let range = |from: usize, to: usize| (from..to).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        desk.check(&format!("SADD ints {}", range(0, 300)), ":300");
        desk.check(&format!("SADD run a {}", range(250, 350)), ":101");
        desk.check(&format!("SADD table b {}", range(100, 1100)), ":1001");
        for (words, inter, union, diff) in [
            ("ints run", 50, 351, 250),
            ("run ints", 50, 351, 51),
            ("ints table", 200, 1101, 100),
            ("table ints run", 50, 1102, 751),
            ("run table ints none", 0, 1102, 1),
        ] {
            desk.check(&format!("SINTERSTORE d {words}"), &format!(":{inter}"));
            desk.check(&format!("SUNIONSTORE d {words}"), &format!(":{union}"));
            desk.check(&format!("SDIFFSTORE d {words}"), &format!(":{diff}"));
            let shown = desk.run(&format!("SUNION {words}"));
            assert!(shown.starts_with(&format!("*{union}\r\n")), "{words}");
            let count = words.split(' ').count();
            desk.check(&format!("SINTERCARD {count} {words}"), &format!(":{inter}"));
        }
    }

    #[test]
    fn what_is_common_is_counted_to_a_limit() {
        let mut desk = desk();
        for (words, answer) in [
            ("2 a c", ":2"),
            ("2 a c LIMIT 1", ":1"),
            ("2 a c LIMIT 0", ":2"),
            ("2 a c LIMIT 100", ":2"),
            ("2 a c limit 1 limit 2", ":2"),
            ("2 a none", ":0"),
            ("1 a", ":3"),
            ("0 a", "-ERR numkeys should be greater than 0"),
            ("x a", "-ERR numkeys should be greater than 0"),
            ("-1 a", "-ERR numkeys should be greater than 0"),
            ("9223372036854775808 a", "-ERR numkeys should be greater than 0"),
            ("3 a b", "-ERR Number of keys can't be greater than number of args"),
            ("2 a b c", "-ERR syntax error"),
            ("2 a c LIMIT", "-ERR syntax error"),
            ("2 a c LIMIT -1", "-ERR LIMIT can't be negative"),
            ("2 a c LIMIT x", "-ERR LIMIT can't be negative"),
            ("1", "-ERR wrong number of arguments for 'sintercard' command"),
        ] {
            desk.check(&format!("SINTERCARD {words}"), answer);
        }
    }
}
