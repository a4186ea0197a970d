//! `CONFIG`: the settings while the node runs.

use super::*;
use crate::base::glob;

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
        cx.reply.bulk(name_as_asked(name, &patterns));
        cx.reply.text(value);
    }
    REPLIED
}

/// The name of a setting in the letters of the client, if the client wrote it out: some look their own word up.
fn name_as_asked<'a>(name: &'a str, patterns: &[&'a [u8]]) -> &'a [u8] {
    let is_pattern = |word: &[u8]| word.iter().any(|byte| b"[*?".contains(byte));
    let names_it = |word: &&[u8]| {
        if is_pattern(word) {
            glob::matches(word, name.as_bytes(), true)
        } else {
            word.eq_ignore_ascii_case(name.as_bytes())
        }
    };
    patterns.iter().copied().find(names_it).filter(|word| !is_pattern(word)).unwrap_or(name.as_bytes())
}

fn set(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let words: Vec<&[u8]> = args.rest().collect();
    if !words.len().is_multiple_of(2) {
        return Err(Fault::Syntax);
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
