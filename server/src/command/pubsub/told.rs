//! `PUBSUB`: what there is to be subscribed to, and how many are.

use super::registry::Channels;
use crate::base::glob;
use crate::command::help::HELP;
use crate::command::*;

pub const PUBSUB: Command = Command {
    name: "PUBSUB",
    summary: "Holds the commands about channels and patterns.",
    complexity: "Depends on subcommand.",
    since: "2.8.0",
    flags: Flags(0),
    subcommands: &[
        CHANNELS,
        Command { group: Group::PubSub, since: "6.2.0", ..HELP },
        NUMPAT,
        NUMSUB,
        SHARDCHANNELS,
        SHARDNUMSUB,
    ],
    ..super::PUBSUB
};

const TELLS: Command = Command { since: "2.8.0", ..super::PUBSUB };

const CHANNELS: Command = Command {
    name: "CHANNELS",
    run: |cx, args| names(cx, args, |node| &node.pubsub.channels),
    summary: "Lists the channels that somebody is subscribed to, or those of them that match a pattern.",
    complexity: "O(N) for N channels",
    args: &[pattern("pattern").optional()],
    ..TELLS
};

const SHARDCHANNELS: Command = Command {
    name: "SHARDCHANNELS",
    run: |cx, args| names(cx, args, |node| &node.pubsub.shard_channels),
    summary: "Lists the shard channels that somebody is subscribed to, or those of them that match a pattern.",
    complexity: "O(N) for N shard channels",
    since: "7.0.0",
    ..CHANNELS
};

fn names(cx: &mut Ctx<'_>, args: &mut Args<'_>, of: fn(&Shared) -> &Channels) -> Outcome {
    if args.len() > 1 {
        return Err(Fault::subcommand_syntax("PUBSUB", args.words().get(1)));
    }
    let pattern = args.peek();
    let names = of(cx.node).names(|name| pattern.is_none_or(|pattern| glob::matches(pattern, name, false)));
    cx.reply.array(names.len());
    names.iter().for_each(|name| cx.reply.bulk(name));
    REPLIED
}

const NUMSUB: Command = Command {
    name: "NUMSUB",
    run: |cx, args| subscribers(cx, args, |node| &node.pubsub.channels),
    summary: "Tells how many are subscribed to each of the channels, not counting patterns.",
    complexity: "O(N) for N channels",
    args: &[text("channel").many().optional()],
    ..TELLS
};

const SHARDNUMSUB: Command = Command {
    name: "SHARDNUMSUB",
    run: |cx, args| subscribers(cx, args, |node| &node.pubsub.shard_channels),
    summary: "Tells how many are subscribed to each of the shard channels.",
    complexity: "O(N) for N shard channels",
    since: "7.0.0",
    args: &[text("shardchannel").many().optional()],
    ..TELLS
};

fn subscribers(cx: &mut Ctx<'_>, args: &mut Args<'_>, of: fn(&Shared) -> &Channels) -> Outcome {
    cx.reply.array(args.len() * 2);
    for name in args.rest() {
        cx.reply.bulk(name);
        cx.reply.len(of(cx.node).subscribers(name));
    }
    REPLIED
}

const NUMPAT: Command = Command {
    name: "NUMPAT",
    run: numpat,
    summary: "Tells how many different patterns there are subscriptions to.",
    ..TELLS
};

fn numpat(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.reply.len(cx.node.pubsub.patterns.len());
    REPLIED
}
