//! Strings: the values that most keys hold.

use super::*;
use crate::store::New;

pub const COMMANDS: &[Command] = &[GET, SET, PING];

const STRING: Command = Command { group: Group::String, ..COMMAND };

const GET: Command = Command {
    name: "GET",
    run: get,
    summary: "Returns the string value of a key.",
    complexity: "O(1)",
    since: "1.0.0",
    args: &[key("key", Usage::Read)],
    flags: Flags::READONLY.and(Flags::FAST),
    ..STRING
};

fn get(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    match cx.store.get(args.key()?) {
        Some(entry) => cx.reply.value(entry.value()),
        None => cx.reply.null(),
    }
    REPLIED
}

const SET: Command = Command {
    name: "SET",
    run: set,
    summary: "Sets the string value of a key.",
    complexity: "O(1)",
    since: "1.0.0",
    args: &[key("key", Usage::Write), text("value")],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    ..STRING
};

fn set(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let value = args.word()?;
    cx.store.set(key, New::Set(value), None);
    cx.reply.ok();
    REPLIED
}
const PING: Command = Command { name: "PING", run: ping, summary: "x.", args: &[], flags: Flags::FAST, ..STRING };
fn ping(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.reply.simple("PONG");
    REPLIED
}
