//! Rules at work: what a GET that misses gets (`read`), how long what is written is kept (`write`), and the commands by which rules are
//! made and looked at.
//!
//! A node without rules pays for all of this the look at one flag where a key is missing or written, and nothing where it is found.

mod groups;
mod guard;
mod live;
mod read;
mod smart;
mod warm;
mod write;

#[cfg(test)]
mod tests;

pub use groups::{Declared, SINCE_THE_START};
pub use guard::{Walk, admit};
pub use live::Rules;
pub use read::get;
pub use write::{Said, kept, set_expiry};

use super::help::HELP;
use super::*;
use crate::rules::set::{RULES_MAX, check_prefix};
use crate::rules::{Policy, Rule};
use std::sync::Arc;

pub const COMMANDS: &[Command] = &[
    smart::ABSENT,
    groups::CLEAR,
    smart::FILL,
    smart::GET,
    guard::GUARD,
    groups::INVALIDATE,
    RULE,
    groups::SET,
    STATS,
    groups::TAG,
    groups::TAGS_OF,
    warm::WARM,
];

const CACHE: Command = Command { group: Group::Cache, since: OWN, ..COMMAND };

/// The version of Larder that first had the commands.
const OWN: &str = "Larder 0.1";

const RULE: Command = Command {
    name: "CACHE.RULE",
    summary: "Makes rules for keys with a prefix, and looks at them.",
    complexity: "Depends on subcommand.",
    subcommands: &[
        Command {
            name: "DEL",
            run: del,
            summary: "Ends the rule for a prefix. Returns whether there was one.",
            complexity: "O(N) for N rules",
            args: &[text("prefix")],
            flags: CHANGES,
            ..CACHE
        },
        Command {
            name: "EXPLAIN",
            run: explain,
            summary: "Says in words what the rules do for a key, and why.",
            args: &[text("name")],
            flags: LOOKS,
            ..CACHE
        },
        Command {
            name: "GET",
            run: rule_get,
            summary: "Returns the fields of the rule for exactly this prefix.",
            args: &[text("prefix")],
            flags: LOOKS,
            ..CACHE
        },
        Command { run: |cx, args| (HELP.run)(cx, args), group: Group::Cache, ..HELP },
        Command {
            name: "LIST",
            run: list,
            summary: "Returns all rules: their prefixes, each with the fields.",
            complexity: "O(N) for N rules",
            flags: LOOKS,
            ..CACHE
        },
        Command {
            name: "SET",
            run: set,
            summary: "Makes the rule for a prefix, or puts another in its place.",
            complexity: "O(N) for N rules",
            args: &[text("prefix"), block("field", &[text("field"), text("value")]).many()],
            flags: CHANGES,
            ..CACHE
        },
    ],
    ..CACHE
};

const CHANGES: Flags = Flags::ADMIN.and(Flags::LOADING).and(Flags::STALE).and(Flags::NO_MULTI);
const LOOKS: Flags = Flags::LOADING.and(Flags::STALE);

const STATS: Command = Command {
    name: "CACHE.STATS",
    run: stats,
    summary: "Returns what rules have done since the node was started, of all or of one.",
    complexity: "O(N) for N rules",
    args: &[text("prefix").optional()],
    flags: LOOKS,
    ..CACHE
};

fn set(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let prefix = args.word()?;
    let words: Vec<&str> = args.rest().map(std::str::from_utf8).collect::<Result<_, _>>().map_err(|_| {
        Fault::text("ERR fields of a rule and their values are text in UTF-8; prefixes may be any bytes")
    })?;
    let policy = Policy::parse(words).map_err(|wrong| Fault::owned(format!("ERR {wrong}")))?;
    check_prefix(prefix).map_err(|wrong| Fault::owned(format!("ERR {wrong}")))?;
    if cx.node.cluster.is_on() {
        let fields = policy.line();
        return cluster::set_rule(cx, prefix, Some(fields), |reply, _| reply.ok());
    }
    if !cx.node.rules.set(prefix, policy) {
        return Err(Fault::owned(format!("ERR there are {RULES_MAX} rules already, which is the most")));
    }
    cx.reply.ok();
    REPLIED
}

fn del(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let prefix = args.word()?;
    if cx.node.cluster.is_on() {
        return cluster::set_rule(cx, prefix, None, |reply, was_there| reply.int(i64::from(was_there)));
    }
    let was_there = cx.node.rules.remove(prefix);
    cx.reply.int(i64::from(was_there));
    REPLIED
}

fn rule_get(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    match cx.node.rules.all().get(args.word()?) {
        Some(rule) => answer_fields(cx.reply, rule),
        None => cx.reply.null(),
    }
    REPLIED
}

fn list(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let rules = cx.node.rules.all();
    cx.reply.map(rules.len());
    for rule in rules.iter() {
        cx.reply.bulk(&rule.prefix);
        answer_fields(cx.reply, rule);
    }
    REPLIED
}

fn answer_fields(reply: &mut Reply, rule: &Rule) {
    let fields: Vec<_> = rule.policy.fields().collect();
    reply.map(fields.len());
    for (name, value) in fields {
        reply.text(name);
        reply.text(&value);
    }
}

fn explain(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.word()?;
    let Some(rule) = cx.node.rules.find(key) else {
        let told = match cx.node.rules.all().len() {
            0 => "There are no rules: the key behaves as in Redis.".to_owned(),
            count => format!("None of the {count} rules has a prefix of this key: it behaves as in Redis."),
        };
        cx.reply.array(1);
        cx.reply.text(&told);
        return REPLIED;
    };
    let prefix = String::from_utf8_lossy(&rule.prefix).into_owned();
    let others = cx.node.rules.all().iter().filter(|other| key.starts_with(&other.prefix)).count() - 1;
    let why = if others == 0 { "the only one" } else { "the longest" };
    let explained = rule.policy.explained();
    cx.reply.array(1 + explained.len());
    cx.reply.text(&format!("The rule for '{prefix}' counts: it is {why} whose prefix the key begins with."));
    explained.iter().for_each(|told| cx.reply.text(told));
    REPLIED
}

fn stats(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let rules = cx.node.rules.all();
    let chosen: Vec<Arc<Rule>> = match args.is_empty() {
        true => rules.iter().cloned().collect(),
        false => {
            vec![rules.get(args.word()?).cloned().ok_or(Fault::text("ERR there is no rule for exactly this prefix"))?]
        }
    };
    cx.reply.map(chosen.len());
    for rule in chosen {
        cx.reply.bulk(&rule.prefix);
        let counts = rule.counts.all();
        cx.reply.map(counts.len());
        for (name, count) in counts {
            cx.reply.text(name);
            cx.reply.int(count as i64);
        }
    }
    REPLIED
}
