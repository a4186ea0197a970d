//! `HELP`, a sub-command that every command with sub-commands has: it is told from their rows.

use super::row::{COMMAND, Command, Flags};
use super::table::{self, Found};
use super::{Args, Ctx, Fault, Outcome, REPLIED, notation};

/// The row of `HELP`; a container adds its group.
pub const HELP: Command = Command {
    name: "HELP",
    run: help,
    summary: "Tells what sub-commands there are.",
    since: "5.0.0",
    flags: Flags::LOADING.and(Flags::STALE),
    ..COMMAND
};

fn help(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let container = table::find(args.words().get(0)).ok_or(Fault::Internal)?;
    let lines = lines(container);
    cx.reply.array(lines.len());
    lines.iter().for_each(|line| cx.reply.simple(line));
    REPLIED
}

/// First how a call looks, then each sub-command with what it does.
fn lines(container: &Found) -> Vec<String> {
    let name = container.row.name;
    let mut lines = vec![format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:")];
    if container.row.alone {
        lines.push("(no subcommand)".into());
        lines.push(format!("    {}", container.row.summary));
    }
    for sub in &container.subcommands {
        let usage = notation::usage(sub);
        lines.push(usage[name.len() + 1..].into());
        lines.push(format!("    {}", sub.row.summary));
    }
    lines
}
