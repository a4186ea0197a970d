//! `CLIENT LIST` and `CLIENT INFO`: a line of fields for each connection.

use super::{OTHERS, OWN, naming};
use crate::base::number::parse_i64;
use crate::command::clients::Client;
use crate::command::*;
use std::mem::size_of;
use std::sync::atomic::Ordering::Relaxed;

pub const INFO: Command = Command {
    name: "INFO",
    run: info,
    summary: "Returns what is known about the connection.",
    since: "6.2.0",
    tips: &["nondeterministic_output"],
    ..OWN
};

pub const LIST: Command = Command {
    name: "LIST",
    run: list,
    summary: "Returns what is known about all connections, or some of them.",
    complexity: "O(N) for N connections",
    since: "2.4.0",
    args: &[
        one_of("client-type", KINDS).after("TYPE").optional().since("5.0.0"),
        int("client-id").after("ID").many().optional().since("6.2.0"),
    ],
    tips: &["nondeterministic_output"],
    ..OTHERS
};

/// What kinds of connection can be asked for.
const KINDS: &[Arg] =
    &[token("normal", "NORMAL"), token("master", "MASTER"), token("replica", "REPLICA"), token("pubsub", "PUBSUB")];

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Normal,
    Primary,
    Replica,
    Subscriber,
}

impl Kind {
    /// The kind that a client means by a name.
    pub fn named(name: &[u8]) -> Result<Kind, Fault> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Ok(Kind::Normal),
            b"master" => Ok(Kind::Primary),
            b"slave" | b"replica" => Ok(Kind::Replica),
            b"pubsub" => Ok(Kind::Subscriber),
            _ => Err(naming(b"ERR Unknown client type '", name, b"'")),
        }
    }

    /// The kind of a connection. One in `MONITOR` is a normal one, as in Redis.
    pub fn of(client: &Client) -> Kind {
        match client {
            _ if client.is_primary.load(Relaxed) => Kind::Primary,
            _ if client.is_replica.load(Relaxed) => Kind::Replica,
            _ if client.subscribed.is_any() => Kind::Subscriber,
            _ => Kind::Normal,
        }
    }
}

fn info(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let mut lines = String::new();
    push_line(&mut lines, cx, &cx.session.client);
    cx.reply.verbatim(&lines);
    REPLIED
}

fn list(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let clients = if args.is_empty() {
        cx.node.clients.all()
    } else if args.len() == 2 && args.take("TYPE") {
        let kind = Kind::named(args.word()?)?;
        cx.node.clients.all().into_iter().filter(|client| Kind::of(client) == kind).collect()
    } else if args.len() > 1 && args.take("ID") {
        let ids: Result<Vec<i64>, Fault> = args.rest().map(|word| parse_i64(word).ok_or(INVALID_ID)).collect();
        let known = |id: i64| u64::try_from(id).ok().and_then(|id| cx.node.clients.get(id));
        ids?.into_iter().filter_map(known).collect()
    } else {
        return Err(Fault::Syntax);
    };
    let mut lines = String::new();
    for client in clients.iter().filter(|client| !client.is_killed()) {
        push_line(&mut lines, cx, client);
    }
    cx.reply.verbatim(&lines);
    REPLIED
}

const INVALID_ID: Fault = Fault::text("ERR Invalid client ID");

/// A line with all fields of Redis 7.2, in its order.
///
/// What Larder does not have is what an idle connection of Redis shows there. Arguments take no memory of their own
/// (`argv-mem`): they are read where they lie in the query buffer. Replies wait in one buffer, never in a list (`oll`,
/// `omem`).
fn push_line(lines: &mut String, cx: &Ctx<'_>, client: &Client) {
    let now_ms = cx.now_ms();
    let idle_ms =
        if client.id == cx.session.client.id { 0 } else { now_ms.saturating_sub(client.active_ms.load(Relaxed)) };
    let names = client.names();
    let input = client.input_bytes.load(Relaxed);
    let output = client.output_bytes.load(Relaxed);
    let buffers = client.buffer_bytes.load(Relaxed);
    let reply_buffer = client.reply_buffer_bytes.load(Relaxed);
    let fields = [
        ("id", client.id.to_string()),
        ("addr", client.address.to_string()),
        ("laddr", client.local.to_string()),
        ("fd", client.descriptor.to_string()),
        ("name", text_of(&names.name)),
        ("age", (now_ms.saturating_sub(client.connected_ms) / 1000).to_string()),
        ("idle", (idle_ms / 1000).to_string()),
        ("flags", flags(client)),
        ("db", client.db.load(Relaxed).to_string()),
        ("sub", client.subscribed.channels.load(Relaxed).to_string()),
        ("psub", client.subscribed.patterns.load(Relaxed).to_string()),
        ("ssub", client.subscribed.shard_channels.load(Relaxed).to_string()),
        ("multi", client.queued.load(Relaxed).to_string()),
        ("qbuf", input.to_string()),
        ("qbuf-free", buffers.saturating_sub(reply_buffer).saturating_sub(input).to_string()),
        ("argv-mem", "0".into()),
        ("multi-mem", "0".into()),
        ("rbs", reply_buffer.to_string()),
        ("rbp", client.reply_buffer_peak.load(Relaxed).to_string()),
        ("obl", output.to_string()),
        ("oll", "0".into()),
        ("omem", "0".into()),
        ("tot-mem", (buffers + (size_of::<Client>() + size_of::<Session>()) as u64).to_string()),
        ("events", if output > 0 { "rw" } else { "r" }.into()),
        ("cmd", client.last().map_or_else(|| "NULL".into(), |found| found.name.clone())),
        ("user", "default".into()),
        ("redir", if client.tracked.is_on() { client.tracked.redirect().to_string() } else { "-1".into() }),
        ("resp", client.protocol.load(Relaxed).to_string()),
        ("lib-name", text_of(&names.library)),
        ("lib-ver", text_of(&names.library_version)),
    ];
    let shown: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    lines.push_str(&shown.join(" "));
    lines.push('\n');
}

/// Names are printable ASCII, so nothing is lost.
fn text_of(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

/// One letter for each mode, `N` for none.
fn flags(client: &Client) -> String {
    let modes = [
        (client.is_primary.load(Relaxed), 'M'),
        (client.is_replica.load(Relaxed), 'S'),
        (client.monitor.load(Relaxed), 'O'),
        (client.subscribed.is_any(), 'P'),
        (client.queued.load(Relaxed) >= 0, 'x'),
        (client.is_blocked(), 'b'),
        (client.tracked.is_on(), 't'),
        (client.tracked.is_broken(), 'R'),
        (client.tracked.is_broadcast(), 'B'),
        (client.is_watch_broken(), 'd'),
        (client.reads_replica.load(Relaxed), 'r'),
        (client.is_killed(), 'A'),
        (client.no_evict.load(Relaxed), 'e'),
        (client.no_touch.load(Relaxed), 'T'),
    ];
    let letters: String = modes.iter().filter(|(on, _)| *on).map(|(_, letter)| letter).collect();
    if letters.is_empty() { "N".into() } else { letters }
}
