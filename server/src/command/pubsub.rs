//! Publish and subscribe: messages to whoever listens at the moment.
//!
//! A message is written once, behind its first byte the same for both protocols, and copied into the inboxes of its
//! receivers, whose workers send it on ([`Client::push`](super::clients::Client::push)). Who receives it stands in the
//! [`registry`]; what a connection itself is subscribed to, in its [`subscriptions`].
//!
//! Locks are taken in this order: stripe, registry, inbox. Handlers publish events of keys whose stripes they hold, so
//! nothing here may ask for a stripe.

mod message;
mod registry;
mod subscriptions;
#[cfg(test)]
mod tests;
mod told;

pub use message::{Audience, publish};
pub use registry::PubSub;
pub use subscriptions::Subscriptions;

use super::*;
use subscriptions::Kind;

pub const COMMANDS: &[Command] =
    &[PSUBSCRIBE, PUBLISH, told::PUBSUB, PUNSUBSCRIBE, SPUBLISH, SSUBSCRIBE, SUBSCRIBE, SUNSUBSCRIBE, UNSUBSCRIBE];

const PUBSUB: Command = Command {
    since: "2.0.0",
    group: Group::PubSub,
    flags: Flags::PUBSUB.and(Flags::LOADING).and(Flags::STALE),
    ..COMMAND
};

/// Commands that change what a connection is subscribed to, answered by a message for each name.
const SUBSCRIBES: Command = Command {
    flags: PUBSUB.flags.and(Flags::NOSCRIPT).and(Flags::WHILE_SUBSCRIBED).and(Flags::ANSWERS_BY_MESSAGES),
    ..PUBSUB
};

const SHARD_CHANNEL: Arg = key("shardchannel", Usage::Channel);

const SUBSCRIBE: Command = Command {
    name: "SUBSCRIBE",
    run: |cx, args| subscribe(cx, args, Kind::Channel),
    summary: "Sends the connection what is published on channels from now on.",
    complexity: "O(N) for N channels",
    args: &[text("channel").many()],
    ..SUBSCRIBES
};

const PSUBSCRIBE: Command = Command {
    name: "PSUBSCRIBE",
    run: |cx, args| subscribe(cx, args, Kind::Pattern),
    summary: "Sends the connection what is published on channels whose names match patterns.",
    complexity: "O(N) for N patterns",
    args: &[block("pattern", &[pattern("pattern")]).many()],
    ..SUBSCRIBES
};

const SSUBSCRIBE: Command = Command {
    name: "SSUBSCRIBE",
    run: |cx, args| subscribe(cx, args, Kind::ShardChannel),
    summary: "Sends the connection what is published on shard channels from now on.",
    complexity: "O(N) for N shard channels",
    since: "7.0.0",
    args: &[SHARD_CHANNEL.many()],
    ..SUBSCRIBES
};

fn subscribe(cx: &mut Ctx<'_>, args: &mut Args<'_>, kind: Kind) -> Outcome {
    for name in args.rest() {
        let count = cx.session.subscribe(cx.node, kind, name);
        confirm(cx, kind.subscribed(), Some(name), count);
    }
    REPLIED
}

const UNSUBSCRIBE: Command = Command {
    name: "UNSUBSCRIBE",
    run: |cx, args| unsubscribe(cx, args, Kind::Channel),
    summary: "Ends the connection's subscriptions to channels, to all of them if none is named.",
    complexity: "O(N log M) for N channels with M subscribers each",
    args: &[text("channel").many().optional()],
    ..SUBSCRIBES
};

const PUNSUBSCRIBE: Command = Command {
    name: "PUNSUBSCRIBE",
    run: |cx, args| unsubscribe(cx, args, Kind::Pattern),
    summary: "Ends the connection's subscriptions to patterns, to all of them if none is named.",
    complexity: "O(N log M) for N patterns and M patterns of all connections",
    args: &[pattern("pattern").many().optional()],
    ..SUBSCRIBES
};

const SUNSUBSCRIBE: Command = Command {
    name: "SUNSUBSCRIBE",
    run: |cx, args| unsubscribe(cx, args, Kind::ShardChannel),
    summary: "Ends the connection's subscriptions to shard channels, to all of them if none is named.",
    complexity: "O(N log M) for N shard channels with M subscribers each",
    since: "7.0.0",
    args: &[SHARD_CHANNEL.many().optional()],
    ..SUBSCRIBES
};

fn unsubscribe(cx: &mut Ctx<'_>, args: &mut Args<'_>, kind: Kind) -> Outcome {
    let ended: Vec<(Vec<u8>, usize)> = if args.is_empty() {
        let all = cx.session.subscribed_to(kind);
        all.iter().map(|name| (name.to_vec(), cx.session.unsubscribe(cx.node, kind, name))).collect()
    } else {
        args.rest().map(|name| (name.to_vec(), cx.session.unsubscribe(cx.node, kind, name))).collect()
    };
    take_messages(cx);
    for (name, count) in &ended {
        confirm(cx, kind.unsubscribed(), Some(name), *count);
    }
    if ended.is_empty() {
        let count = cx.session.subscription_count(kind);
        confirm(cx, kind.unsubscribed(), None, count);
    }
    REPLIED
}

/// Puts the messages that have come in front of the reply: none may follow the end of its subscription.
pub fn take_messages(cx: &mut Ctx<'_>) {
    if let Some(messages) = cx.session.client.take_inbox() {
        cx.reply.put_before(&messages);
    }
}

/// Says what has changed, and how many subscriptions there are now.
fn confirm(cx: &mut Ctx<'_>, what: &str, name: Option<&[u8]>, count: usize) {
    let reply = &mut *cx.reply;
    reply.push(3);
    reply.text(what);
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.len(count);
}

const PUBLISH: Command = Command {
    name: "PUBLISH",
    run: |cx, args| send(cx, args, Audience::All),
    summary: "Sends a message to all who are subscribed to a channel, and tells how many that are.",
    complexity: "O(N+M) for N subscribers of the channel and M patterns of all connections",
    args: &[text("channel"), text("message")],
    flags: PUBSUB.flags.and(Flags::FAST).and(Flags::MAY_REPLICATE),
    ..PUBSUB
};

const SPUBLISH: Command = Command {
    name: "SPUBLISH",
    run: |cx, args| send(cx, args, Audience::Shard),
    summary: "Sends a message to all who are subscribed to a shard channel, and tells how many that are.",
    complexity: "O(N) for N subscribers of the shard channel",
    since: "7.0.0",
    args: &[SHARD_CHANNEL, text("message")],
    ..PUBLISH
};

fn send(cx: &mut Ctx<'_>, args: &mut Args<'_>, audience: Audience) -> Outcome {
    let (channel, message) = (args.word()?, args.word()?);
    let is_of_cluster = cx.node.cluster.is_on() && audience == Audience::All && !cx.session.is_forwarder;
    if is_of_cluster && !cx.session.is_primary {
        cx.session.broadcast(cx.node, &[b"PUBLISH", channel, message]);
    }
    if is_of_cluster && cx.node.store.follows() && !cx.session.is_primary {
        // The primary has just been sent it, and this node gets it by its stream.
        cx.reply.len(message::receivers(cx.node, channel));
        return REPLIED;
    }
    let receivers = publish(cx.node, audience, channel, message);
    cx.replicate_as_is();
    cx.reply.len(receivers);
    REPLIED
}
