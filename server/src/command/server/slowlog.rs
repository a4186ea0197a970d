//! `SLOWLOG`: the commands that took longest.

use super::*;

pub const SLOWLOG: Command = Command {
    name: "SLOWLOG",
    summary: "Shows the commands that were slow.",
    complexity: "Depends on subcommand.",
    since: "2.2.12",
    subcommands: &[
        Command {
            name: "GET",
            run: get,
            summary: "Returns the newest entries.",
            complexity: "O(N) where N is the number of entries returned",
            args: &[int("count").optional()],
            tips: &["request_policy:all_nodes", "nondeterministic_output"],
            ..ROW
        },
        Command {
            run: |cx, _| {
                help(
                    cx,
                    "SLOWLOG",
                    &[
                        "GET [<count>]",
                        "    Returns the newest <count> entries (10 unless told, -1 for all), each as",
                        "    id, second, microseconds, words of the command, client address, client name.",
                        "LEN",
                        "    Returns how many entries there are.",
                        "RESET",
                        "    Forgets all entries.",
                    ],
                )
            },
            since: "6.2.0",
            ..HELP
        },
        Command {
            name: "LEN",
            run: len,
            summary: "Returns how many entries the slow log holds.",
            tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
            ..ROW
        },
        Command {
            name: "RESET",
            run: reset,
            summary: "Forgets all entries.",
            complexity: "O(N) where N is the number of entries in the slowlog",
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            ..ROW
        },
    ],
    ..SERVER
};

const ROW: Command = Command { since: "2.2.12", flags: Flags::ADMIN.and(Flags::LOADING).and(Flags::STALE), ..SERVER };

/// Entries shown when nobody says how many.
const COUNT_DEFAULT: usize = 10;

fn get(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    if args.len() > 1 {
        return Err(Fault::subcommand_syntax("SLOWLOG", args.words().get(1)));
    }
    let count = args.peek().map_or(Ok(COUNT_DEFAULT), count_of)?;
    let entries = cx.node.slowlog.newest(count);
    cx.reply.array(entries.len());
    for entry in &entries {
        cx.reply.array(6);
        cx.reply.int(entry.id as i64);
        cx.reply.int(entry.time_s as i64);
        cx.reply.int(entry.micros as i64);
        cx.reply.array(entry.words.len());
        entry.words.iter().for_each(|word| cx.reply.bulk(word));
        cx.reply.text(&entry.address);
        cx.reply.bulk(&entry.client);
    }
    REPLIED
}

fn count_of(word: &[u8]) -> Result<usize, Fault> {
    match parse_i64(word) {
        Some(-1) => Ok(usize::MAX),
        Some(count) if (0..=i64::from(i32::MAX)).contains(&count) => Ok(count as usize),
        _ => Err(Fault::text("ERR count should be greater than or equal to -1")),
    }
}

fn len(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.reply.len(cx.node.slowlog.len());
    REPLIED
}

fn reset(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.node.slowlog.clear();
    cx.reply.ok();
    REPLIED
}
