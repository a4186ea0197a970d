//! `CACHE.WARM`: the list of the hottest keys, and whether they are there again after a start (`command/warm`).

use super::*;
use crate::command::context::{Done, Wait};
use crate::command::shared::steady_ms;

pub const WARM: Command = Command {
    name: "CACHE.WARM",
    summary: "The hottest keys, which a node loads when it starts.",
    complexity: "Depends on subcommand.",
    subcommands: &[
        Command { run: |cx, args| (HELP.run)(cx, args), group: Group::Cache, ..HELP },
        Command {
            name: "KEYS",
            run: keys,
            summary: "Puts keys at the head of the list of the hottest keys, whose values are then loaded first after a start. Returns how many of them are there.",
            complexity: "O(N) for N keys",
            args: &[key("key", Usage::Read).many()],
            flags: Flags::READONLY,
            ..CACHE
        },
        Command {
            name: "NOW",
            run: now,
            summary: "Writes the list of the hottest keys, and returns once it is written: what CACHE.WARM STATUS tells.",
            complexity: "O(N) for N keys of the node, off the worker",
            flags: Flags::ADMIN.and(Flags::NO_MULTI).and(Flags::NOSCRIPT),
            ..CACHE
        },
        Command {
            name: "STATUS",
            run: status,
            summary: "Returns how far the node is with loading the hottest keys, and what became of the last list of them.",
            flags: LOOKS,
            ..CACHE
        },
    ],
    ..CACHE
};

/// How often it is looked at whether the list is written.
const LOOK_MS: u64 = 5;

fn keys(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    cx.node.keeps_list(false).map_err(no_list)?;
    let (mut names, mut are_there) = (Vec::new(), 0);
    while !args.is_empty() {
        let key = args.key()?;
        are_there += i64::from(cx.store.peek(key).is_some());
        names.push(Box::from(key.bytes));
    }
    cx.node.warm.pin(cx.session.db, names.into_iter());
    cx.reply.int(are_there);
    REPLIED
}

fn now(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let number = match cx.session.asked_list.take() {
        Some(number) => number,
        None => {
            cx.node.keeps_list(false).map_err(no_list)?;
            cx.node.warm.ask()
        }
    };
    if !cx.node.warm.is_written(number) {
        cx.session.asked_list = Some(number);
        return Ok(Done::Wait(Wait::Again(steady_ms() + LOOK_MS)));
    }
    if let Some(why) = cx.node.warm.listed().failed {
        return Err(Fault::owned(format!("ERR the list was not written: {why}")));
    }
    answer(cx)
}

fn status(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    answer(cx)
}

fn answer(cx: &mut Ctx<'_>) -> Outcome {
    let told = cx.node.warm.told();
    cx.reply.map(told.len());
    for (name, value) in told {
        cx.reply.text(name);
        match value.parse() {
            Ok(number) => cx.reply.int(number),
            Err(_) => cx.reply.text(&value),
        }
    }
    REPLIED
}

fn no_list(why: &str) -> Fault {
    Fault::owned(format!("ERR {why}"))
}
