//! Unions, intersections and differences of sorted sets, and of sets, whose members count as score 1.

use super::{Shown, ZSET, collected, push_head, push_member, store_found};
use crate::base::number::{parse_f64, parse_i64};
use crate::command::*;
use crate::store::{Key, Keys};
use crate::types::object::Object;
use crate::types::zset::{
    Aggregate, Combined, Source, Weighted, ZSet, difference, intersection, intersection_len, union,
};

const READ: &[&str] = &["RO", "access"];

/// A destination, the number of sources, and those.
const STORING: &[KeySpec] = &[KeySpec::range_of(1, 0, &["OW", "update"]), KeySpec::counted_at(2, READ)];

const KEYS: [Arg; 2] = [int("numkeys"), key("key", Usage::Read).many()];
const DESTINATION: Arg = key("destination", Usage::Write);
const WEIGHTS: Arg = int("weight").after("WEIGHTS").optional().many();
const WITHSCORES: Arg = token("withscores", "WITHSCORES").optional();
const AGGREGATE: Arg =
    one_of("aggregate", &[token("sum", "SUM"), token("min", "MIN"), token("max", "MAX")]).after("AGGREGATE").optional();

pub const ZUNION: Command = Command {
    name: "ZUNION",
    run: |cx, args| combine(cx, args, Operation::Union),
    summary: "Returns the members that any of several sorted sets has.",
    complexity: "O(N)+O(M*log(M)) for N members in all sets and M in the result",
    since: "6.2.0",
    args: &[KEYS[0], KEYS[1], WEIGHTS, AGGREGATE, WITHSCORES],
    flags: Flags::READONLY.and(Flags::MOVABLEKEYS),
    specs: &[KeySpec::counted_at(1, READ)],
    ..ZSET
};

pub const ZINTER: Command = Command {
    name: "ZINTER",
    run: |cx, args| combine(cx, args, Operation::Intersection),
    summary: "Returns the members that all of several sorted sets have.",
    complexity: "O(N*K)+O(M*log(M)) for K sets, N members in the smallest and M in the result",
    ..ZUNION
};

pub const ZDIFF: Command = Command {
    name: "ZDIFF",
    run: |cx, args| combine(cx, args, Operation::Difference),
    summary: "Returns the members of the first sorted set that no other one has.",
    complexity: "O(L+(N-K)*log(N)) for L members in all sets, N in the first and K in the result",
    args: &[KEYS[0], KEYS[1], WITHSCORES],
    ..ZUNION
};

fn combine(cx: &mut Ctx<'_>, args: &mut Args<'_>, operation: Operation) -> Outcome {
    let keys = source_keys(cx, args)?;
    let options = Options::parse(args, operation, keys.len(), Goal::Reply)?;
    let empty = ZSet::new();
    let found = options.apply(operation, sources(&cx.store, &keys, &empty));
    push_head(cx.reply, found.len(), options.shown);
    for (member, score) in &found {
        push_member(cx.reply, member, *score, options.shown);
    }
    REPLIED
}

pub const ZUNIONSTORE: Command = Command {
    name: "ZUNIONSTORE",
    run: |cx, args| combine_and_store(cx, args, Operation::Union, "zunionstore"),
    summary: "Stores the members that any of several sorted sets has in a key.",
    since: "2.0.0",
    args: &[DESTINATION, KEYS[0], KEYS[1], WEIGHTS, AGGREGATE],
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::MOVABLEKEYS),
    specs: STORING,
    ..ZUNION
};

pub const ZINTERSTORE: Command = Command {
    name: "ZINTERSTORE",
    run: |cx, args| combine_and_store(cx, args, Operation::Intersection, "zinterstore"),
    summary: "Stores the members that all of several sorted sets have in a key.",
    complexity: ZINTER.complexity,
    ..ZUNIONSTORE
};

pub const ZDIFFSTORE: Command = Command {
    name: "ZDIFFSTORE",
    run: |cx, args| combine_and_store(cx, args, Operation::Difference, "zdiffstore"),
    summary: "Stores the members of the first sorted set that no other one has in a key.",
    complexity: ZDIFF.complexity,
    since: "6.2.0",
    args: &[DESTINATION, KEYS[0], KEYS[1]],
    ..ZUNIONSTORE
};

fn combine_and_store(cx: &mut Ctx<'_>, args: &mut Args<'_>, operation: Operation, event: &'static str) -> Outcome {
    let destination = args.key()?;
    let keys = source_keys(cx, args)?;
    let options = Options::parse(args, operation, keys.len(), Goal::Store)?;
    let limits = cx.node.limits.of_zset();
    let empty = ZSet::new();
    let found = options.apply(operation, sources(&cx.store, &keys, &empty));
    let longest = found.iter().map(|(member, _)| member.len()).max().unwrap_or(0);
    let set = collected(found.into_iter(), longest, &limits);
    store_found(cx, destination, set, event)
}

pub const ZINTERCARD: Command = Command {
    name: "ZINTERCARD",
    run: zintercard,
    summary: "Counts the members that all of several sorted sets have.",
    complexity: "O(N*K) for K sets and N members in the smallest",
    since: "7.0.0",
    args: &[KEYS[0], KEYS[1], int("limit").after("LIMIT").optional()],
    ..ZUNION
};

fn zintercard(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let keys = source_keys(cx, args)?;
    let mut limit = 0;
    while !args.is_empty() {
        if args.len() < 2 || !args.take("LIMIT") {
            return Err(Fault::Syntax);
        }
        let number = parse_i64(args.word()?).and_then(|limit| usize::try_from(limit).ok());
        limit = number.ok_or(Fault::text("ERR LIMIT can't be negative"))?;
    }
    let empty = ZSet::new();
    let limit = if limit == 0 { usize::MAX } else { limit };
    let count = intersection_len(&sources(&cx.store, &keys, &empty), limit);
    cx.reply.len(count);
    REPLIED
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// What becomes of the members that are found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Reply,
    Store,
}

/// Reads the number of keys and the keys; they hold sorted sets or sets, which is checked before the options are read.
fn source_keys<'a>(cx: &mut Ctx<'_>, args: &mut Args<'a>) -> Result<Vec<Key<'a>>, Fault> {
    let count = args.int()?;
    if count < 1 {
        return Err(Fault::owned(format!("ERR at least 1 input key is needed for '{}' command", cx.name())));
    }
    let count = usize::try_from(count).ok().filter(|count| *count <= args.len()).ok_or(Fault::Syntax)?;
    let mut keys = Vec::with_capacity(count);
    for _ in 0..count {
        let key = args.key()?;
        if cx.store.get(key).is_some_and(|entry| !matches!(entry.object(), Some(Object::ZSet(_) | Object::Set(_)))) {
            return Err(Fault::WrongType);
        }
        keys.push(key);
    }
    Ok(keys)
}

/// What the keys hold; a key that is not there is an empty source.
fn sources<'a>(store: &'a Keys<'_>, keys: &[Key<'_>], empty: &'a ZSet) -> Vec<&'a dyn Source> {
    let source = |key: &Key<'_>| -> &'a dyn Source {
        match store.entry(*key).and_then(|entry| entry.object()) {
            Some(Object::ZSet(set)) => set,
            Some(Object::Set(set)) => set,
            _ => empty,
        }
    };
    keys.iter().map(source).collect()
}

/// What stands behind the keys.
struct Options {
    /// One for each source, or none: then all are 1.
    weights: Vec<f64>,
    aggregate: Aggregate,
    shown: Shown,
}

impl Options {
    fn parse(args: &mut Args<'_>, operation: Operation, sources: usize, goal: Goal) -> Result<Options, Fault> {
        let mut options = Options { weights: Vec::new(), aggregate: Aggregate::Sum, shown: Shown::Members };
        while !args.is_empty() {
            let has_scores = operation != Operation::Difference;
            if has_scores && args.len() > sources && args.take("WEIGHTS") {
                options.weights.clear();
                for _ in 0..sources {
                    let weight = parse_f64(args.word()?).ok_or(Fault::text("ERR weight value is not a float"))?;
                    options.weights.push(weight);
                }
            } else if has_scores && args.len() > 1 && args.take("AGGREGATE") {
                options.aggregate = aggregate(args)?;
            } else if goal == Goal::Reply && args.take("WITHSCORES") {
                options.shown = Shown::WithScores;
            } else {
                return Err(Fault::Syntax);
            }
        }
        Ok(options)
    }

    fn apply<'a>(&self, operation: Operation, sources: Vec<&'a dyn Source>) -> Combined<'a> {
        if operation == Operation::Difference {
            return difference(&sources);
        }
        let weight = |index: usize| self.weights.get(index).copied().unwrap_or(1.0);
        let weighted = |(index, source)| Weighted { source, weight: weight(index) };
        let weighted: Vec<Weighted<'a>> = sources.into_iter().enumerate().map(weighted).collect();
        match operation {
            Operation::Union => union(&weighted, self.aggregate),
            Operation::Intersection | Operation::Difference => intersection(&weighted, self.aggregate),
        }
    }
}

fn aggregate(args: &mut Args<'_>) -> Result<Aggregate, Fault> {
    let names = [("SUM", Aggregate::Sum), ("MIN", Aggregate::Min), ("MAX", Aggregate::Max)];
    names.into_iter().find(|(name, _)| args.take(name)).map(|(_, aggregate)| aggregate).ok_or(Fault::Syntax)
}
