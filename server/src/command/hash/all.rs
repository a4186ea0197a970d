//! Reads of a hash as a whole: `HGETALL`, `HKEYS`, `HVALS`, `HSCAN`, and fields drawn at random.

use super::*;
use crate::command::scan::{self, Step};
use crate::store::policy::lfu::random;
use crate::types::hash::Entry;

/// What is told of each field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Fields,
    Values,
    Both,
}

impl Part {
    fn reply(self, reply: &mut Reply, entry: &Entry<'_>) {
        if self != Part::Values {
            reply.element(entry.field);
        }
        if self != Part::Fields {
            reply.element(entry.value);
        }
    }
}

pub(super) const HGETALL: Command = Command {
    name: "HGETALL",
    run: |cx, args| all(cx, args, Part::Both),
    summary: "Returns all fields of a hash with their values.",
    complexity: "O(N) for N fields",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output_order"],
    ..HASH
};

pub(super) const HKEYS: Command = Command {
    name: "HKEYS",
    run: |cx, args| all(cx, args, Part::Fields),
    summary: "Returns all fields of a hash.",
    ..HGETALL
};

pub(super) const HVALS: Command = Command {
    name: "HVALS",
    run: |cx, args| all(cx, args, Part::Values),
    summary: "Returns the values of all fields of a hash.",
    ..HGETALL
};

fn all(cx: &mut Ctx<'_>, args: &mut Args<'_>, part: Part) -> Outcome {
    let now = cx.due_ms();
    let hash = cx.store.read::<Hash>(args.key()?)?;
    let len = hash.map_or(0, |hash| hash.len_at(now));
    match part {
        Part::Both => cx.reply.map(len),
        _ => cx.reply.array(len),
    }
    for entry in hash.into_iter().flat_map(|hash| hash.iter(now)) {
        part.reply(cx.reply, &entry);
    }
    REPLIED
}

pub(super) const HSCAN: Command = Command {
    name: "HSCAN",
    run: hscan,
    summary: "Walks the fields of a hash in steps.",
    complexity: "O(1) for a step, O(N) for a walk over N fields",
    since: "2.8.0",
    args: &[
        key("key", Usage::Read),
        int("cursor"),
        pattern("pattern").after("MATCH").optional(),
        int("count").after("COUNT").optional(),
        token("novalues", "NOVALUES").optional().since("7.4.0"),
    ],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    ..HASH
};

fn hscan(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let now = cx.due_ms();
    let key = args.key()?;
    let cursor = scan::cursor(args)?;
    let start = cx.reply.out.len();
    let Some(hash) = cx.store.read::<Hash>(key)? else {
        scan::head(cx.reply, start, 0, 0);
        return REPLIED;
    };
    let (mut step, mut part) = (Step::new(), Part::Both);
    while !args.is_empty() {
        if step.take(args)? {
            continue;
        }
        if !args.take("NOVALUES") {
            return Err(Fault::Syntax);
        }
        part = Part::Fields;
    }
    let mut found = 0;
    let next = hash.scan(cursor, step.count, now, |entry| {
        if step.passes_element(entry.field) {
            found += 1;
            part.reply(cx.reply, &entry);
        }
    });
    let words = if part == Part::Both { 2 * found } else { found };
    scan::head(cx.reply, start, next, words);
    REPLIED
}

/// Fields that may be drawn with repetitions in one call. Redis has no bound, and a count that was a slip takes all of its
/// memory; this many are a reply of some hundred megabytes.
const DRAWN_MAX: u64 = 1 << 24;

pub(super) const HRANDFIELD: Command = Command {
    name: "HRANDFIELD",
    run: hrandfield,
    summary: "Returns fields drawn at random.",
    complexity: "O(N) for N fields drawn",
    since: "6.2.0",
    args: &[
        key("key", Usage::Read),
        block("options", &[int("count"), token("withvalues", "WITHVALUES").optional()]).optional(),
    ],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output"],
    ..HASH
};

fn hrandfield(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let now = cx.due_ms();
    let key = args.key()?;
    if args.is_empty() {
        return one_drawn(cx, key);
    }
    let count = args.int()?;
    let has_values = args.take("WITHVALUES");
    if count == i64::MIN {
        return Err(Fault::text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        ));
    }
    args.end()?;
    if has_values && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Fault::OutOfRange("value"));
    }
    let Some(hash) = cx.store.read::<Hash>(key)? else {
        cx.reply.array(0);
        return REPLIED;
    };
    if count < 0 && count.unsigned_abs() > DRAWN_MAX {
        return Err(Fault::OutOfRange("value"));
    }
    let drawn = if count < 0 { count.unsigned_abs() as usize } else { hash.len_at(now).min(count as usize) };
    let in_pairs = has_values && cx.reply.protocol() == 3;
    cx.reply.array(if has_values && !in_pairs { 2 * drawn } else { drawn });
    let show = |entry: Entry<'_>| {
        if in_pairs {
            cx.reply.array(2);
        }
        let part = if has_values { Part::Both } else { Part::Fields };
        part.reply(cx.reply, &entry);
    };
    match count {
        ..0 => hash.draw(drawn, now, &mut random, show),
        _ => hash.sample(drawn, now, &mut random, show),
    }
    REPLIED
}

fn one_drawn(cx: &mut Ctx<'_>, key: Key<'_>) -> Outcome {
    let now = cx.due_ms();
    match cx.store.read::<Hash>(key)? {
        Some(hash) => hash.draw(1, now, &mut random, |entry| cx.reply.element(entry.field)),
        None => cx.reply.null(),
    }
    REPLIED
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;
    use std::collections::BTreeSet;

    const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn a_whole_hash_is_a_map() {
        let mut desk = Desk::new();
        desk.check("HSET h b two a 1", ":2");
        desk.check("HGETALL h", "*4 $1 b $3 two $1 a $1 1");
        desk.check("HKEYS h", "*2 $1 b $1 a");
        desk.check("HVALS h", "*2 $3 two $1 1");
        for line in ["HGETALL none", "HKEYS none", "HVALS none"] {
            desk.check(line, "*0");
        }
        desk.set_protocol(3);
        desk.check("HGETALL h", "%2 $1 b $3 two $1 a $1 1");
        desk.check("HGETALL none", "%0");
        desk.check("HKEYS h", "*2 $1 b $1 a");
        desk.check("HVALS none", "*0");
    }

    #[test]
    fn a_small_hash_is_scanned_in_one_step_whatever_the_cursor() {
        let mut desk = Desk::new();
        desk.check("HSET h a 1 b 2 12 3", ":3");
        desk.check("HSCAN h 0", "*2 $1 0 *6 $1 a $1 1 $1 b $1 2 $2 12 $1 3");
        desk.check("HSCAN h 55 COUNT 1", "*2 $1 0 *6 $1 a $1 1 $1 b $1 2 $2 12 $1 3");
        desk.check("HSCAN h 0 MATCH 1? count 5", "*2 $1 0 *2 $2 12 $1 3");
        desk.check("HSCAN h 0 NOVALUES MATCH a*", "*2 $1 0 *1 $1 a");
        desk.check("HSCAN h 0 MATCH *", "*2 $1 0 *6 $1 a $1 1 $1 b $1 2 $2 12 $1 3");
        desk.check("HSCAN none 0", "*2 $1 0 *0");
        desk.check("HSCAN none 0 COUNT 0", "*2 $1 0 *0");
        desk.check("HSCAN none 0 FOO", "*2 $1 0 *0");
        desk.set_protocol(3);
        desk.check("HSCAN h 0 MATCH b", "*2 $1 0 *2 $1 b $1 2");
    }

    #[test]
    fn a_large_hash_is_scanned_in_steps() {
        let mut desk = Desk::new();
        (0..1000).for_each(|n| desk.check(&format!("HSET h f{n} v"), ":1"));
        let (mut seen, mut cursor, mut steps) = (BTreeSet::new(), "0".to_owned(), 0);
        loop {
            let reply = desk.run(&format!("HSCAN h {cursor} NOVALUES COUNT 20"));
            let mut words = reply.split("\r\n").filter(|word| !word.is_empty() && !word.starts_with(['*', '$']));
            cursor = words.next().expect("a cursor comes first").to_owned();
            seen.extend(words.map(str::to_owned));
            steps += 1;
            if cursor == "0" {
                break;
            }
        }
        assert_eq!(seen.len(), 1000);
        assert!(steps > 10, "{steps}");
    }

    #[test]
    fn wrong_scans_are_refused() {
        let mut desk = Desk::new();
        desk.check("HSET h a 1", ":1");
        desk.check("SET s 1", "+OK");
        for (line, fault) in [
            ("HSCAN h x", "-ERR invalid cursor"),
            ("HSCAN none x", "-ERR invalid cursor"),
            ("HSCAN s x", "-ERR invalid cursor"),
            ("HSCAN s 0", WRONG_TYPE),
            ("HSCAN s 0 FOO", WRONG_TYPE),
            ("HSCAN h 0 TYPE hash", "-ERR syntax error"),
            ("HSCAN h 0 COUNT 0", "-ERR syntax error"),
            ("HSCAN h 0 COUNT", "-ERR syntax error"),
            ("HSCAN h 0 COUNT x", "-ERR value is not an integer or out of range"),
            ("HSCAN h", "-ERR wrong number of arguments for 'hscan' command"),
        ] {
            desk.check(line, fault);
        }
    }

    #[test]
    fn fields_are_drawn_with_and_without_repetitions() {
        let mut desk = Desk::new();
        desk.check("HSET h a 1", ":1");
        desk.check("HRANDFIELD h", "$1 a");
        desk.check("HRANDFIELD h 5 WITHVALUES", "*2 $1 a $1 1");
        desk.check("HRANDFIELD h -3", "*3 $1 a $1 a $1 a");
        desk.check("HRANDFIELD h -2 withvalues", "*4 $1 a $1 1 $1 a $1 1");
        desk.check("HRANDFIELD h 0", "*0");
        desk.check("HRANDFIELD none", "$-1");
        desk.check("HRANDFIELD none 3", "*0");
        desk.set_protocol(3);
        desk.check("HRANDFIELD none", "_");
        desk.check("HRANDFIELD h -2 WITHVALUES", "*2 *2 $1 a $1 1 *2 $1 a $1 1");
        desk.check("HRANDFIELD h 2 WITHVALUES", "*1 *2 $1 a $1 1");
        desk.check("HRANDFIELD h 1", "*1 $1 a");
    }

    #[test]
    fn counts_out_of_range_are_refused() {
        let mut desk = Desk::new();
        desk.check("HSET h a 1", ":1");
        desk.check("SET s 1", "+OK");
        let range = "-ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
        for (line, fault) in [
            ("HRANDFIELD h -9223372036854775808", range),
            ("HRANDFIELD h 9223372036854775807 WITHVALUES", "-ERR value is out of range"),
            ("HRANDFIELD h -4611686018427387904 WITHVALUES", "-ERR value is out of range"),
            ("HRANDFIELD h -4611686018427387903", "-ERR value is out of range"),
            ("HRANDFIELD h x", "-ERR value is not an integer or out of range"),
            ("HRANDFIELD h -0", "-ERR value is not an integer or out of range"),
            ("HRANDFIELD h 1 FOO", "-ERR syntax error"),
            ("HRANDFIELD h 1 WITHVALUES FOO", "-ERR syntax error"),
            ("HRANDFIELD s 1", WRONG_TYPE),
            ("HRANDFIELD s", WRONG_TYPE),
        ] {
            desk.check(line, fault);
        }
        desk.check("HRANDFIELD h 9223372036854775807", "*1 $1 a");
        desk.check("HRANDFIELD h 4611686018427387903 WITHVALUES", "*2 $1 a $1 1");
    }
}
