//! `CLIENT`: what a connection says about itself and does to others.

pub mod kill;
pub mod list;
mod tracking;

use super::clients::Unblocked;
use super::help::HELP;
use super::session::Replies;
use super::shared::steady_ms;
use super::*;
use crate::base::number::parse_i64;
use crate::config::{Durability, Named};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

pub const COMMANDS: &[Command] = &[CLIENT];

const CLIENT: Command = Command {
    name: "CLIENT",
    summary: "Holds the commands about connections.",
    complexity: "Depends on the sub-command.",
    since: "2.4.0",
    group: Group::Connection,
    subcommands: &[
        tracking::CACHING,
        GETNAME,
        tracking::GETREDIR,
        Command { group: Group::Connection, ..HELP },
        ID,
        list::INFO,
        kill::KILL,
        list::LIST,
        NO_EVICT,
        DURABILITY,
        MAINT_NOTIFICATIONS,
        NO_TOUCH,
        PAUSE,
        REPLY,
        SETINFO,
        SETNAME,
        tracking::TRACKING,
        tracking::TRACKINGINFO,
        UNBLOCK,
        UNPAUSE,
    ],
    ..COMMAND
};

/// What sub-commands about the connection itself have in common.
const OWN: Command =
    Command { group: Group::Connection, flags: Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE), ..COMMAND };

/// What sub-commands about other connections have in common.
const OTHERS: Command =
    Command { flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE), ..OWN };

const ON_OFF: &[Arg] = &[token("on", "ON"), token("off", "OFF")];

/// Takes `ON` or `OFF`.
fn on_or_off(args: &mut Args<'_>) -> Result<bool, Fault> {
    if args.take("ON") {
        Ok(true)
    } else if args.take("OFF") {
        Ok(false)
    } else {
        Err(Fault::Syntax)
    }
}

const GETNAME: Command =
    Command { name: "GETNAME", run: getname, summary: "Returns the name of the connection.", since: "2.6.9", ..OWN };

fn getname(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    match cx.session.client.names().name {
        name if name.is_empty() => cx.reply.null(),
        name => cx.reply.bulk(&name),
    }
    REPLIED
}

const ID: Command =
    Command { name: "ID", run: id, summary: "Returns the id of the connection.", since: "5.0.0", ..OWN };

fn id(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.reply.int(cx.session.client.id as i64);
    REPLIED
}

const NO_EVICT: Command = Command {
    name: "NO-EVICT",
    run: no_evict,
    summary: "Says whether the connection may be closed when connections take too much memory.",
    since: "7.0.0",
    args: &[one_of("enabled", ON_OFF)],
    ..OTHERS
};

fn no_evict(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    switch(cx, args, |client| &client.no_evict)
}

const DURABILITY: Command = Command {
    name: "DURABILITY",
    run: durability,
    summary: "Says who must hold the connection's writes, and at quorum what it reads, before it is answered, or returns what was said.",
    since: "7.2.0",
    args: &[one_of(
        "durability",
        &[token("async", "ASYNC"), token("replica", "REPLICA"), token("quorum", "QUORUM"), token("default", "DEFAULT")],
    )
    .optional()],
    scope: Scope::Everything,
    ..OWN
};

fn durability(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    if args.is_empty() {
        let durability = cx.session.durability(cx.node);
        cx.reply.bulk(durability.name().as_bytes());
        return REPLIED;
    }
    let word = args.word()?;
    args.end()?;
    cx.session.durability = if word.eq_ignore_ascii_case(b"default") {
        None
    } else {
        let is_name = |name: &&str| word.eq_ignore_ascii_case(name.as_bytes());
        let place = Durability::NAMES
            .iter()
            .position(is_name)
            .ok_or_else(|| naming(b"ERR Unknown durability '", word, b"', try async, replica, quorum or default"))?;
        Some(Durability::ALL[place])
    };
    if cx.session.durability.is_some_and(|durability| durability != Durability::Async) {
        cx.node.want_durability();
    }
    cx.session.seen_written = cx.session.client.written.load(Relaxed);
    cx.reply.ok();
    REPLIED
}

const MAINT_NOTIFICATIONS: Command = Command {
    name: "MAINT_NOTIFICATIONS",
    run: maint_notifications,
    summary: "Says whether the connection is told of slots that move and primaries that change; needs RESP3.",
    since: "8.0.0",
    args: &[one_of("enabled", ON_OFF), text("type").after("MOVING-ENDPOINT-TYPE").optional()],
    ..OWN
};

/// What a client wants to be told of where it is sent when the node stops. Nodes have one address each, so all but `none` are alike.
const ENDPOINT_TYPES: [&str; 5] = ["internal-ip", "internal-fqdn", "external-ip", "external-fqdn", "none"];

fn maint_notifications(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let is_on = on_or_off(args)?;
    let mut wants_no_endpoint = false;
    if args.take("MOVING-ENDPOINT-TYPE") {
        let word = args.word()?;
        if !ENDPOINT_TYPES.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes())) {
            return Err(Fault::owned(format!("ERR moving-endpoint-type is one of {}", ENDPOINT_TYPES.join(", "))));
        }
        wants_no_endpoint = word.eq_ignore_ascii_case(b"none");
    }
    args.end()?;
    let client = &cx.session.client;
    if is_on && client.protocol.load(Relaxed) != 3 {
        return Err(Fault::text("ERR CLIENT MAINT_NOTIFICATIONS needs RESP3: send HELLO 3 first"));
    }
    client.maintenance.store(is_on, Relaxed);
    client.wants_no_endpoint.store(wants_no_endpoint, Relaxed);
    cx.reply.ok();
    REPLIED
}

const NO_TOUCH: Command = Command {
    name: "NO-TOUCH",
    run: no_touch,
    summary: "Says whether what the connection reads counts as used when keys are chosen for eviction.",
    since: "7.2.0",
    args: &[one_of("enabled", ON_OFF)],
    ..OWN
};

fn no_touch(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    switch(cx, args, |client| &client.no_touch)
}

fn switch(cx: &mut Ctx<'_>, args: &mut Args<'_>, flag: impl FnOnce(&clients::Client) -> &AtomicBool) -> Outcome {
    let on = on_or_off(args)?;
    flag(&cx.session.client).store(on, Relaxed);
    cx.reply.ok();
    REPLIED
}

const PAUSE: Command = Command {
    name: "PAUSE",
    run: pause,
    summary: "Holds back the commands of all connections for a time, or only those that may write.",
    since: "3.0.0",
    args: &[int("timeout"), one_of("mode", &[token("write", "WRITE"), token("all", "ALL")]).optional().since("6.2.0")],
    ..OTHERS
};

fn pause(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let timeout = args.word()?;
    let writes_only = match args.len() {
        0 => false,
        1 => pause_mode(args)?,
        _ => return Err(too_many(args)),
    };
    cx.node.clients.pause(end_of_pause(timeout)?, writes_only);
    cx.reply.ok();
    REPLIED
}

/// Whether only writes are held back.
fn pause_mode(args: &mut Args<'_>) -> Result<bool, Fault> {
    if args.take("WRITE") {
        Ok(true)
    } else if args.take("ALL") {
        Ok(false)
    } else {
        Err(Fault::text("ERR CLIENT PAUSE mode must be WRITE or ALL"))
    }
}

/// The time of [`steady_ms`] at which a pause of so many milliseconds ends.
fn end_of_pause(timeout: &[u8]) -> Result<u64, Fault> {
    let timeout = parse_i64(timeout).ok_or(Fault::text("ERR timeout is not an integer or out of range"))?;
    let timeout = u64::try_from(timeout).map_err(|_| Fault::text("ERR timeout is negative"))?;
    let end = timeout.saturating_add(steady_ms());
    if end > i64::MAX as u64 { Err(Fault::OutOfRange("timeout")) } else { Ok(end) }
}

/// What Redis answers to a sub-command with more words than it knows.
fn too_many(args: &Args<'_>) -> Fault {
    Fault::subcommand_syntax("CLIENT", args.words().get(1))
}

const REPLY: Command = Command {
    name: "REPLY",
    run: reply,
    summary: "Says whether the connection is sent replies.",
    since: "3.2.0",
    args: &[one_of("action", &[token("on", "ON"), token("off", "OFF"), token("skip", "SKIP")])],
    ..OWN
};

fn reply(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    if args.take("ON") {
        cx.session.replies = Replies::On;
        cx.reply.ok();
    } else if args.take("OFF") {
        cx.session.replies = Replies::Off;
    } else if args.take("SKIP") {
        if cx.session.replies != Replies::Off {
            cx.session.replies = Replies::SkipNext;
        }
    } else {
        return Err(Fault::Syntax);
    }
    REPLIED
}

const SETINFO: Command = Command {
    name: "SETINFO",
    run: setinfo,
    summary: "Tells the server which library the client uses.",
    since: "7.2.0",
    args: &[one_of("attr", &[text("libname").after("LIB-NAME"), text("libver").after("LIB-VER")])],
    ..OWN
};

fn setinfo(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let option = args.word()?;
    let value = args.word()?;
    let is_name = option.eq_ignore_ascii_case(b"LIB-NAME");
    if !is_name && !option.eq_ignore_ascii_case(b"LIB-VER") {
        return Err(naming(b"ERR Unrecognized option '", option, b"'"));
    }
    if !is_printable(value) {
        return Err(naming(b"ERR ", option, b" cannot contain spaces, newlines or special characters."));
    }
    cx.session.client.change_names(|names| {
        let place = if is_name { &mut names.library } else { &mut names.library_version };
        *place = value.to_vec();
    });
    cx.reply.ok();
    REPLIED
}

/// An error that repeats what the client sent.
fn naming(before: &[u8], sent: &[u8], behind: &[u8]) -> Fault {
    Fault::Bytes([before, sent, behind].concat())
}

/// Whether `CLIENT LIST` can show a text and still be read: printable ASCII without spaces.
fn is_printable(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_graphic())
}

/// A name that a connection may have.
pub fn checked_name(name: &[u8]) -> Result<&[u8], Fault> {
    if is_printable(name) {
        return Ok(name);
    }
    Err(Fault::text("ERR Client names cannot contain spaces, newlines or special characters."))
}

const SETNAME: Command = Command {
    name: "SETNAME",
    run: setname,
    summary: "Names the connection; an empty name takes the name away.",
    since: "2.6.9",
    args: &[text("connection-name")],
    ..OWN
};

fn setname(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let name = checked_name(args.word()?)?;
    cx.session.client.change_names(|names| names.name = name.to_vec());
    cx.reply.ok();
    REPLIED
}

const UNBLOCK: Command = Command {
    name: "UNBLOCK",
    run: unblock,
    summary: "Ends the waiting of another connection's blocking command.",
    complexity: "O(log N) for N connections",
    since: "5.0.0",
    args: &[
        int("client-id"),
        one_of("unblock-type", &[token("timeout", "TIMEOUT"), token("error", "ERROR")]).optional(),
    ],
    ..OTHERS
};

fn unblock(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let id = args.word()?;
    let how = match args.len() {
        0 => Unblocked::TimedOut,
        1 => unblock_type(args)?,
        _ => return Err(too_many(args)),
    };
    let id = parse_i64(id).ok_or(Fault::NotInteger)?;
    let client = u64::try_from(id).ok().and_then(|id| cx.node.clients.get(id));
    cx.reply.int(i64::from(client.is_some_and(|client| client.unblock(how))));
    REPLIED
}

fn unblock_type(args: &mut Args<'_>) -> Result<Unblocked, Fault> {
    if args.take("TIMEOUT") {
        Ok(Unblocked::TimedOut)
    } else if args.take("ERROR") {
        Ok(Unblocked::Refused)
    } else {
        Err(Fault::text("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"))
    }
}

const UNPAUSE: Command = Command {
    name: "UNPAUSE",
    run: unpause,
    summary: "Ends CLIENT PAUSE.",
    complexity: "O(N) for N connections",
    since: "6.2.0",
    ..OTHERS
};

fn unpause(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.node.clients.unpause();
    cx.reply.ok();
    REPLIED
}

#[cfg(test)]
mod tests;
