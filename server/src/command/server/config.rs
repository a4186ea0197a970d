//! `CONFIG`: the settings while the node runs.

use super::*;

pub const CONFIG: Command = Command {
    name: "CONFIG",
    summary: "Shows and changes settings.",
    complexity: "Depends on subcommand.",
    since: "2.0.0",
    subcommands: &[
        Command {
            name: "GET",
            run: get,
            summary: "Returns the settings whose names match any of some patterns.",
            complexity: "O(N) when N is the number of configuration parameters provided",
            args: &[block("parameter", &[text("parameter")]).many()],
            ..ROW
        },
        Command {
            run: |cx, _| {
                help(
                    cx,
                    "CONFIG",
                    &[
                        "GET <pattern> [<pattern> ...]",
                        "    Returns the settings whose names match, with their values.",
                        "SET <setting> <value> [<setting> <value> ...]",
                        "    Changes settings: all of them, or none if one is refused.",
                        "RESETSTAT",
                        "    Sets the counters that INFO shows to zero.",
                        "REWRITE",
                        "    Writes the settings to the configuration file.",
                    ],
                )
            },
            ..HELP
        },
        Command {
            name: "RESETSTAT",
            run: resetstat,
            summary: "Sets the counters that INFO shows to zero.",
            // Workers count without locked instructions, so nobody may be counting while the counters are reset.
            scope: Scope::Everything,
            ..ROW
        },
        Command {
            name: "REWRITE",
            run: rewrite,
            summary: "Writes the settings to the configuration file.",
            since: "2.8.0",
            ..ROW
        },
        Command {
            name: "SET",
            run: set,
            summary: "Changes settings, all of them or none.",
            complexity: "O(N) when N is the number of configuration parameters provided",
            args: &[block("data", &[text("parameter"), text("value")]).many()],
            tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
            // A change of policy writes the records' bits anew.
            scope: Scope::Everything,
            ..ROW
        },
    ],
    ..SERVER
};

const ROW: Command = Command { since: "2.0.0", flags: ADMIN, ..SERVER };

fn get(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let patterns: Vec<&[u8]> = args.rest().collect();
    let found = settings::matching(cx.node, &patterns);
    cx.reply.map(found.len());
    for (name, value) in &found {
        cx.reply.text(name);
        cx.reply.text(value);
    }
    REPLIED
}

fn set(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let words: Vec<&[u8]> = args.rest().collect();
    if !words.len().is_multiple_of(2) {
        return Err(Fault::Arity("config|set".into()));
    }
    settings::set(cx.node, cx.session, &words)?;
    cx.reply.ok();
    REPLIED
}

fn rewrite(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    settings::rewrite(cx.node)?;
    cx.reply.ok();
    REPLIED
}

fn resetstat(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.node.stats.reset();
    cx.node.store.reset_counters();
    cx.reply.ok();
    REPLIED
}
