//! Finding keys: `SCAN`, `KEYS` and `RANDOMKEY`; and the options that `SCAN` shares with `HSCAN`, `SSCAN` and `ZSCAN`.

use super::type_name;
use crate::base::glob;
use crate::command::scan::{self as shared, Step};
use crate::command::*;

pub const SCAN: Command = Command {
    name: "SCAN",
    run: scan,
    summary: "Walks the keys of the database in steps.",
    complexity: "O(1) for a step, O(N) for a walk over N keys",
    since: "2.8.0",
    args: &[
        int("cursor"),
        pattern("pattern").after("MATCH").optional(),
        int("count").after("COUNT").optional(),
        text("type").after("TYPE").optional().since("6.0.0"),
    ],
    flags: Flags::READONLY,
    tips: &["nondeterministic_output", "request_policy:special", "response_policy:special"],
    ..super::GENERIC
};

fn scan(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let cursor = shared::cursor(args)?;
    let (mut step, mut wanted) = (Step::new(), None);
    while !args.is_empty() {
        if step.take(args)? {
            continue;
        }
        if !args.take("TYPE") {
            return Err(Fault::Syntax);
        }
        wanted = Some(args.word()?);
    }
    let Ctx { node, reply, session, store, .. } = cx;
    let start = reply.out.len();
    let mut found = 0;
    let next = node.store.scan(session.db, cursor, step.count, store.moment(), |entry| {
        let is_wanted = wanted.is_none_or(|name| type_name(entry).as_bytes().eq_ignore_ascii_case(name));
        if is_wanted && step.passes(entry.key()) {
            found += 1;
            reply.bulk(entry.key());
        }
    });
    shared::head(reply, start, next, found);
    REPLIED
}

pub const KEYS: Command = Command {
    name: "KEYS",
    run: keys,
    summary: "Lists all keys of the database that match a pattern.",
    complexity: "O(N) for N keys in the database",
    args: &[pattern("pattern")],
    flags: Flags::READONLY.and(Flags::DANGEROUS),
    tips: &["request_policy:all_shards", "nondeterministic_output_order"],
    scope: Scope::Everything,
    ..super::GENERIC
};

fn keys(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    // A lone star matches the key without any byte too, which a pattern does not.
    let pattern = Some(args.word()?).filter(|pattern| *pattern != b"*");
    let Ctx { node, reply, session, store, .. } = cx;
    let start = reply.out.len();
    let mut found = 0;
    node.store.each_entry(session.db, store.moment(), |entry| {
        if pattern.is_none_or(|pattern| glob::matches(pattern, entry.key(), false)) {
            found += 1;
            reply.bulk(entry.key());
        }
    });
    reply.before(start, |reply| reply.array(found));
    REPLIED
}

pub const RANDOMKEY: Command = Command {
    name: "RANDOMKEY",
    run: random_key,
    summary: "Returns a key drawn at random.",
    flags: Flags::READONLY,
    tips: &["request_policy:all_shards", "response_policy:special", "nondeterministic_output"],
    ..super::GENERIC
};

fn random_key(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    match cx.node.store.random_key(cx.session.db, cx.store.moment()) {
        Some(key) => cx.reply.bulk(&key),
        None => cx.reply.null(),
    }
    REPLIED
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;
    use std::collections::BTreeSet;

    /// The cursor and the keys of a reply.
    fn parts(reply: &str) -> (String, Vec<String>) {
        let mut words = reply.split("\r\n").filter(|line| !line.starts_with(['*', '$'])).map(str::to_owned);
        let cursor = words.next().unwrap();
        (cursor, words.filter(|word| !word.is_empty()).collect())
    }

    fn walk(desk: &mut Desk, options: &str) -> BTreeSet<String> {
        let mut cursor = "0".to_owned();
        let mut all = BTreeSet::new();
        loop {
            let (next, keys) = parts(&desk.run(&format!("SCAN {cursor} {options}")));
            all.extend(keys);
            if next == "0" {
                return all;
            }
            cursor = next;
        }
    }

    #[test]
    fn a_walk_visits_every_key_of_its_database() {
        let mut desk = Desk::new();
        desk.session.select(1);
        desk.check("SET elsewhere v", "+OK");
        desk.session.select(0);
        desk.check("SCAN 0", "*2 $1 0 *0");
        (0..1000).for_each(|n| desk.check(&format!("SET k{n} v"), "+OK"));
        let all: BTreeSet<String> = (0..1000).map(|n| format!("k{n}")).collect();
        for options in ["", "COUNT 1", "COUNT 5000", "MATCH *", "TYPE string", "MATCH k* TYPE STRING COUNT 7"] {
            assert_eq!(walk(&mut desk, options), all, "{options}");
        }
        assert_eq!(walk(&mut desk, "MATCH k99?").len(), 10);
        assert_eq!(walk(&mut desk, "TYPE hash").len(), 0);
        assert_eq!(walk(&mut desk, "TYPE nosuch").len(), 0);
        desk.check("SCAN 0 COUNT 1000 MATCH k7", "*2 $1 0 *1 $2 k7");
    }

    #[test]
    fn wrong_cursors_and_options_are_refused() {
        let mut desk = Desk::new();
        for (line, fault) in [
            ("SCAN abc", "invalid cursor"),
            ("SCAN 99999999999999999999", "invalid cursor"),
            ("SCAN 0 COUNT 0", "syntax error"),
            ("SCAN 0 COUNT -5", "syntax error"),
            ("SCAN 0 COUNT abc", "value is not an integer or out of range"),
            ("SCAN 0 MATCH", "syntax error"),
            ("SCAN 0 FOO bar", "syntax error"),
            ("SCAN", "wrong number of arguments for 'scan' command"),
            ("KEYS", "wrong number of arguments for 'keys' command"),
            ("RANDOMKEY x", "wrong number of arguments for 'randomkey' command"),
        ] {
            desk.check(line, &format!("-ERR {fault}"));
        }
    }

    #[test]
    fn keys_are_listed_by_pattern() {
        let mut desk = Desk::new();
        desk.check("KEYS *", "*0");
        for key in ["one", "two", "\"\""] {
            desk.check(&format!("SET {key} v"), "+OK");
        }
        desk.check("KEYS t*", "*1 $3 two");
        desk.check("KEYS [^x]n?", "*1 $3 one");
        assert!(desk.run("KEYS *").starts_with("*3\r\n"), "a lone star matches the key without any byte too");
        assert!(desk.run("KEYS **").starts_with("*2\r\n"));
        desk.check("KEYS x*", "*0");
    }

    #[test]
    fn a_random_key_is_one_of_those_there() {
        let mut desk = Desk::new();
        desk.check("RANDOMKEY", "$-1");
        desk.check("SET only v", "+OK");
        desk.check("RANDOMKEY", "$4 only");
    }
}
