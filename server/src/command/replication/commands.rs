//! The commands between primary and replica, and those that say who follows whom.

use super::{Ask, Asked, FailoverWish, role};
use crate::base::number::parse_i64;
use crate::command::words::Words;
use crate::command::*;
use std::time::Duration;

pub const COMMANDS: &[Command] = &[REPLICAOF, SLAVEOF, FAILOVER, ROLE, PSYNC, SYNC, REPLCONF];

const SERVER: Command = Command { group: Group::Server, ..COMMAND };

const ROLE: Command = Command {
    name: "ROLE",
    run: tell_role,
    summary: "Returns the node's role in replication.",
    since: "2.8.12",
    flags: Flags::NOSCRIPT.and(Flags::LOADING).and(Flags::STALE).and(Flags::FAST).and(Flags::ADMIN_CATEGORY),
    ..SERVER
};

fn tell_role(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    role(cx);
    REPLIED
}

const REPLICAOF: Command = Command {
    name: "REPLICAOF",
    run: replicaof,
    summary: "Makes the node a replica of another one, or a primary again.",
    since: "5.0.0",
    args: &[one_of(
        "args",
        &[block("host-port", &[text("host"), int("port")]), block("no-one", &[token("no", "NO"), token("one", "ONE")])],
    )],
    scope: Scope::Everything,
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::STALE).and(Flags::NO_ASYNC_LOADING),
    ..SERVER
};

const SLAVEOF: Command =
    Command { name: "SLAVEOF", summary: "The old name of REPLICAOF.", since: "1.0.0", ..REPLICAOF };

fn replicaof(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (host, port) = (args.words().get(1), args.words().get(2));
    if cx.node.cluster.is_on() {
        return Err(Fault::text("ERR REPLICAOF not allowed in cluster mode."));
    }
    if cx.session.asked.as_ref().is_some_and(|asked| asked.number.is_some()) {
        return Err(Fault::text("ERR Command is not valid when client is a replica."));
    }
    if cx.node.replication.is_failing_over() {
        return Err(Fault::text("ERR REPLICAOF not allowed while failing over."));
    }
    let target = if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
        None
    } else {
        let port = parse_i64(port).and_then(|port| u16::try_from(port).ok());
        Some((String::from_utf8_lossy(host).into_owned(), port.ok_or(Fault::text("ERR Invalid master port"))?))
    };
    let is_news = cx.node.follow(target.clone());
    match (is_news, target) {
        (true, Some((host, port))) => tracing::info!(%host, port, "follows, as a client asked for"),
        (true, None) => tracing::info!("leads, as a client asked for"),
        (false, Some(_)) => {
            cx.reply.simple("OK Already connected to specified master");
            return REPLIED;
        }
        (false, None) => {}
    }
    cx.reply.ok();
    REPLIED
}

const FAILOVER: Command = Command {
    name: "FAILOVER",
    run: failover,
    summary: "Changes roles with a replica once it has every write, while writes wait.",
    since: "6.2.0",
    args: &[
        block("target", &[text("host"), int("port"), token("force", "FORCE").optional()]).after("TO").optional(),
        token("abort", "ABORT").optional(),
        int("milliseconds").after("TIMEOUT").optional(),
    ],
    scope: Scope::Everything,
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::STALE),
    ..SERVER
};

fn failover(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let words = args.words();
    if cx.node.cluster.is_on() {
        return Err(Fault::text("ERR FAILOVER not allowed in cluster mode."));
    }
    if words.len() == 2 && words.get(1).eq_ignore_ascii_case(b"abort") {
        cx.node.abort_failover()?;
    } else {
        cx.node.begin_failover(failover_wish(words)?)?;
    }
    cx.reply.ok();
    REPLIED
}

fn failover_wish(words: Words<'_>) -> Result<FailoverWish, Fault> {
    let mut wish = FailoverWish::default();
    let mut at = 1;
    while at < words.len() {
        let left = words.len() - at - 1;
        let word = words.get(at);
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        at += 1;
        if is("timeout") && left >= 1 && wish.timeout.is_none() {
            let timeout = parse_i64(words.get(at)).ok_or(Fault::NotInteger)?;
            let timeout = u64::try_from(timeout).ok().filter(|&timeout| timeout > 0);
            let timeout = timeout.ok_or(Fault::text("ERR FAILOVER timeout must be greater than 0"))?;
            wish.timeout = Some(Duration::from_millis(timeout));
            at += 1;
        } else if is("to") && left >= 2 && wish.target.is_none() {
            let port = parse_i64(words.get(at + 1)).ok_or(Fault::NotInteger)?;
            let host = String::from_utf8_lossy(words.get(at)).into_owned();
            // A port that there cannot be is no replica's.
            wish.target = Some((host, u16::try_from(port).unwrap_or(0)));
            at += 2;
        } else if is("force") && !wish.is_forced {
            wish.is_forced = true;
        } else {
            return Err(Fault::Syntax);
        }
    }
    Ok(wish)
}

/// What replicas say to a primary.
const SYNCING: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING).and(Flags::NO_MULTI);

/// What a replica of the cluster is told by a node that has no lease.
pub const NOT_LEADING: &str = "NOMASTERLINK Can't SYNC: this node does not lead its shard";

const PSYNC: Command = Command {
    name: "PSYNC",
    run: psync,
    summary: "Asks a primary for its stream of writes, from a place in its history if that is possible. Replicas use it.",
    since: "2.8.0",
    args: &[text("replicationid"), int("offset")],
    // Redis takes any number of further words. One has a meaning, and is not told of there either: FAILOVER.
    ignores_rest: true,
    flags: SYNCING,
    ..SERVER
};

const SYNC: Command = Command {
    name: "SYNC",
    run: sync,
    summary: "Asks a primary for its data and its stream of writes, in the manner of Redis 2.6.",
    flags: SYNCING,
    ..SERVER
};

fn psync(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let id = String::from_utf8_lossy(args.word()?).into_owned();
    let next = parse_i64(args.word()?).ok_or(Fault::NotInteger)?;
    let asks_to_lead = args.words().len() > 3 && args.words().get(3).eq_ignore_ascii_case(b"failover");
    ask(cx, Ask::Continue { id, next, asks_to_lead })
}

fn sync(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    ask(cx, Ask::Everything)
}

/// Hands the connection over to those who send the stream.
fn ask(cx: &mut Ctx<'_>, ask: Ask) -> Outcome {
    if cx.session.is_primary || cx.session.asked.as_ref().is_some_and(|asked| asked.number.is_some()) {
        return REPLIED;
    }
    let replication = &cx.node.replication;
    if cx.session.asked.as_ref().is_some_and(|asked| asked.node.is_some()) && !cx.node.may_feed_cluster() {
        return Err(Fault::text(NOT_LEADING));
    }
    if let Ask::Continue { id, asks_to_lead: true, .. } = &ask {
        if cx.node.cluster.is_on() {
            return Err(Fault::text("ERR FAILOVER not allowed in cluster mode."));
        }
        // It is done where the connection is handed over to, as it changes everything.
        replication.may_take_over(id)?;
    } else if replication.is_failing_over() {
        return Err(Fault::text("NOMASTERLINK Can't SYNC while failing over"));
    } else if replication.upstream().is_some_and(|upstream| upstream.link != super::LinkState::Connected) {
        return Err(Fault::text("NOMASTERLINK Can't SYNC while not connected with my master"));
    }
    cx.session.ask = Some(Box::new(ask));
    Ok(Done::HandOver)
}

const REPLCONF: Command = Command {
    name: "REPLCONF",
    run: replconf,
    summary: "What a replica and its primary tell each other about themselves.",
    since: "3.0.0",
    args: &[text("word").many().optional()],
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE).and(Flags::ALLOW_BUSY),
    ..SERVER
};

fn replconf(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let words = args.words();
    if words.len().is_multiple_of(2) {
        return Err(Fault::Syntax);
    }
    for at in (1..words.len()).step_by(2) {
        let (name, value) = (words.get(at).to_ascii_lowercase(), words.get(at + 1));
        let number = parse_i64(value);
        match name.as_slice() {
            b"ack" => {
                let number = cx.session.asked.as_ref().and_then(|asked| asked.number);
                if let (Some(number), Some(offset)) = (number, parse_i64(value).and_then(|at| u64::try_from(at).ok())) {
                    cx.node.replication.acknowledged(number, offset);
                    cx.session.has_acked = true;
                }
                return REPLIED;
            }
            b"getack" => {
                // Only a primary asks; the answer is not a reply.
                cx.session.wants_ack = cx.session.is_primary;
                return REPLIED;
            }
            _ => {}
        }
        let asked: &mut Asked = cx.session.asked.get_or_insert_default();
        match name.as_slice() {
            b"listening-port" => asked.port = number.and_then(|port| port.try_into().ok()).ok_or(Fault::NotInteger)?,
            b"ip-address" => asked.host = String::from_utf8_lossy(value).into_owned(),
            b"capa" if value.eq_ignore_ascii_case(b"eof") => asked.knows_eof = true,
            b"capa" if value.eq_ignore_ascii_case(b"psync2") => asked.knows_psync2 = true,
            b"capa" if value.eq_ignore_ascii_case(b"larder") => asked.is_larder = true,
            // What a replica can do beyond that is of no use here.
            b"capa" => {}
            b"version" => asked.note_version(value),
            b"node-id" => asked.node = std::str::from_utf8(value).ok().and_then(|id| id.parse().ok()),
            b"memory" => {
                asked.memory = number.and_then(|memory| memory.try_into().ok()).ok_or(Fault::NotInteger)?;
                if let Some(number) = asked.number {
                    cx.node.replication.set_memory(number, asked.memory);
                }
            }
            b"rdb-only" => asked.only_snapshot = number == Some(1),
            // Nothing but everything is sent, which is what an empty filter leaves out.
            b"rdb-filter-only" if value.is_empty() => {
                return Err(Fault::text("ERR rdb-filter-only is not supported: a snapshot holds everything"));
            }
            b"rdb-filter-only" => {}
            _ => {
                let name = String::from_utf8_lossy(words.get(at)).into_owned();
                return Err(Fault::owned(format!("ERR Unrecognized REPLCONF option: {name}")));
            }
        }
    }
    cx.reply.ok();
    REPLIED
}
