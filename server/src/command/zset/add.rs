//! `ZADD` and `ZINCRBY`: members get scores.

use super::ZSET;
use crate::command::*;
use crate::store::{Edit, Key, Keys, WrongType};
use crate::types::zset::{Inserted, ZSet};

const NOT_A_NUMBER: Fault = Fault::text("ERR resulting score is not a number (NaN)");

pub const ZADD: Command = Command {
    name: "ZADD",
    run: zadd,
    summary: "Gives members scores, adding those that are new, and tells how many are.",
    complexity: "O(log(N)) for each member, with N in the sorted set",
    args: &[
        key("key", Usage::Update),
        one_of("condition", &[token("nx", "NX"), token("xx", "XX")]).optional().since("3.0.2"),
        one_of("comparison", &[token("gt", "GT"), token("lt", "LT")]).optional().since("6.2.0"),
        token("change", "CH").optional().since("3.0.2"),
        token("increment", "INCR").optional().since("3.0.2"),
        block("data", &[double("score"), text("member")]).many(),
    ],
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..ZSET
};

fn zadd(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let rules = Rules::take(args);
    if args.is_empty() || !args.len().is_multiple_of(2) {
        return Err(Fault::Syntax);
    }
    let pairs = args.len() / 2;
    rules.check(pairs)?;
    if rules.adds {
        let (by, member) = (args.float()?, args.word()?);
        return increase(cx, key, member, by, rules);
    }
    if pairs == 1 {
        let (score, member) = (args.float()?, args.word()?);
        return add(cx, key, [(score, member)].into_iter(), rules);
    }
    // A score that is no number must leave everything as it is, so all are read before the first is used.
    let mut scored = Vec::with_capacity(pairs);
    while !args.is_empty() {
        scored.push((args.float()?, args.word()?));
    }
    add(cx, key, scored.into_iter(), rules)
}

pub const ZINCRBY: Command = Command {
    name: "ZINCRBY",
    run: zincrby,
    summary: "Adds to the score of a member, which is 0 if it is new.",
    complexity: "O(log(N)) for N members",
    args: &[key("key", Usage::Update), int("increment"), text("member")],
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    ..ZSET
};

fn zincrby(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    // Redis reads ZADD's options here as well, after which a score or its member is missing.
    if ["NX", "XX", "GT", "LT", "CH", "INCR"].iter().any(|option| args.take(option)) {
        return Err(Fault::Syntax);
    }
    let (by, member) = (args.float()?, args.word()?);
    increase(cx, key, member, by, Rules { adds: true, ..Rules::default() })
}

/// The options of `ZADD`.
#[derive(Clone, Copy, Default)]
pub(in crate::command) struct Rules {
    /// `NX`: what is there stays as it is.
    pub keeps_old: bool,
    /// `XX`: what is not there stays away.
    pub adds_none: bool,
    /// `GT`: no score falls.
    only_up: bool,
    /// `LT`: no score rises.
    only_down: bool,
    /// `CH`: the answer counts changed scores as well.
    pub counts_changes: bool,
    /// `INCR`: the score is added to the one that is there.
    adds: bool,
}

impl Rules {
    fn take(args: &mut Args<'_>) -> Rules {
        let mut rules = Rules::default();
        loop {
            if args.take("NX") {
                rules.keeps_old = true;
            } else if args.take("XX") {
                rules.adds_none = true;
            } else if args.take("GT") {
                rules.only_up = true;
            } else if args.take("LT") {
                rules.only_down = true;
            } else if args.take("CH") {
                rules.counts_changes = true;
            } else if args.take("INCR") {
                rules.adds = true;
            } else {
                return rules;
            }
        }
    }

    fn check(self, pairs: usize) -> Result<(), Fault> {
        if self.keeps_old && self.adds_none {
            return Err(Fault::text("ERR XX and NX options at the same time are not compatible"));
        }
        if [self.keeps_old, self.only_up, self.only_down].into_iter().filter(|&is_set| is_set).count() > 1 {
            return Err(Fault::text("ERR GT, LT, and/or NX options at the same time are not compatible"));
        }
        if self.adds && pairs > 1 {
            return Err(Fault::text("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }

    /// The score that a member gets, `None` if it is to be left as it is. NaN if there is no sum, whatever its order.
    fn score(self, old: Option<f64>, given: f64) -> Option<f64> {
        let Some(old) = old else { return (!self.adds_none).then_some(given) };
        let score = if self.adds { old + given } else { given };
        let fits = score.is_nan() || (!self.only_up || score > old) && (!self.only_down || score < old);
        (!self.keeps_old && fits).then_some(score)
    }
}

/// Gives members scores, and answers how many are new, or with `CH` how many are new or have another score.
pub(in crate::command) fn add<'a>(
    cx: &mut Ctx<'_>,
    key: Key<'_>,
    scored: impl ExactSizeIterator<Item = (f64, &'a [u8])>,
    rules: Rules,
) -> Outcome {
    let limits = cx.node.limits.of_zset();
    let Some(mut set) = open(&mut cx.store, key, rules)? else {
        cx.reply.len(0);
        return REPLIED;
    };
    set.expect(scored.len(), &limits);
    let (mut added, mut updated) = (0, 0);
    for (score, member) in scored {
        match set.upsert(member, &limits, |old| rules.score(old, score)) {
            Inserted::Added => added += 1,
            Inserted::Updated => updated += 1,
            Inserted::Same | Inserted::Left => {}
        }
    }
    let is_changed = added + updated > 0;
    if !is_changed {
        set.unchanged();
    }
    drop(set);
    cx.event_if(is_changed, Class::ZSet, "zadd", key.bytes);
    cx.reply.len(if rules.counts_changes { added + updated } else { added });
    REPLIED
}

/// The set to be changed; `None` if there is none and none is to be made.
fn open<'k>(store: &'k mut Keys<'_>, key: Key<'_>, rules: Rules) -> Result<Option<Edit<'k, ZSet>>, WrongType> {
    if rules.adds_none { store.open(key) } else { store.open_or_new(key).map(Some) }
}

/// Adds to the score of a member and answers the new one, or null if the rules left it as it is.
fn increase(cx: &mut Ctx<'_>, key: Key<'_>, member: &[u8], by: f64, rules: Rules) -> Outcome {
    let limits = cx.node.limits.of_zset();
    let Some(mut set) = open(&mut cx.store, key, rules)? else {
        cx.reply.null();
        return REPLIED;
    };
    let mut score = None;
    let inserted = set.upsert(member, &limits, |old| {
        score = rules.score(old, by);
        score.filter(|score| !score.is_nan())
    });
    let is_changed = matches!(inserted, Inserted::Added | Inserted::Updated);
    if !is_changed {
        set.unchanged();
    }
    drop(set);
    cx.event_if(is_changed, Class::ZSet, "zincr", key.bytes);
    match score {
        Some(score) if score.is_nan() => return Err(NOT_A_NUMBER),
        Some(score) => cx.reply.double(score),
        None => cx.reply.null(),
    }
    REPLIED
}
