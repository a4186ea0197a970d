//! `COMMAND`: what the node tells of its commands. All of it is derived from their rows.

mod docs;
mod entry;
mod keys;

use super::help::HELP;
use super::table::{self, Found};
use super::words::lower;
use super::*;
use crate::base::glob;

pub const COMMANDS: &[Command] = &[OVERVIEW];

const OVERVIEW: Command = Command {
    name: "COMMAND",
    run: overview,
    summary: "Returns what a client needs to know about every command.",
    complexity: "O(N) for N commands",
    since: "2.8.13",
    alone: true,
    subcommands: &[
        COUNT,
        DOCS,
        GETKEYS,
        GETKEYSANDFLAGS,
        Command { flags: FLAGS, group: Group::Server, ..HELP },
        INFO,
        LIST,
    ],
    tips: &["nondeterministic_output_order"],
    ..ROW
};

const FLAGS: Flags = Flags::LOADING.and(Flags::STALE).and(Flags::CONNECTION);

const ROW: Command = Command { group: Group::Server, flags: FLAGS, ..COMMAND };

const NAMES: &[Arg] = &[text("command-name").many().optional()];

fn overview(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let all = table::all();
    cx.reply.array(all.len());
    all.iter().for_each(|found| entry::write(cx.reply, found));
    REPLIED
}

const COUNT: Command =
    Command { name: "COUNT", run: count, summary: "Returns how many commands there are.", since: "2.8.13", ..ROW };

fn count(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    cx.reply.len(table::all().len());
    REPLIED
}

const INFO: Command = Command {
    name: "INFO",
    run: info,
    summary: "Returns what a client needs to know about some commands, or all.",
    complexity: "O(N) for N names",
    since: "2.8.13",
    args: NAMES,
    tips: &["nondeterministic_output_order"],
    ..ROW
};

fn info(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    if args.is_empty() {
        return overview(cx, args);
    }
    let names = args.rest();
    cx.reply.array(names.len());
    for name in names {
        match named(name) {
            Some(found) => entry::write(cx.reply, found),
            None => cx.reply.null(),
        }
    }
    REPLIED
}

/// The row of a full name, such as `get` or `client|kill`.
fn named(name: &[u8]) -> Option<&'static Found> {
    match name.iter().position(|&byte| byte == b'|') {
        None => table::find(name),
        Some(bar) => table::find(&name[..bar])?.subcommand(&name[bar + 1..]),
    }
}

const DOCS: Command = Command {
    name: "DOCS",
    run: docs,
    summary: "Returns the documentation of some commands, or all.",
    complexity: "O(N) for N names",
    since: "7.0.0",
    args: NAMES,
    tips: &["nondeterministic_output_order"],
    ..ROW
};

fn docs(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let known: Vec<&Found> =
        if args.is_empty() { table::all().iter().collect() } else { args.rest().filter_map(named).collect() };
    cx.reply.map(known.len());
    for found in known {
        cx.reply.text(&found.name);
        docs::write(cx.reply, found);
    }
    REPLIED
}

const LIST: Command = Command {
    name: "LIST",
    run: list,
    summary: "Returns the names of all commands, or of those that match a filter.",
    complexity: "O(N) for N commands",
    since: "7.0.0",
    args: &[one_of(
        "filterby",
        &[text("module-name").after("MODULE"), text("category").after("ACLCAT"), pattern("pattern").after("PATTERN")],
    )
    .after("FILTERBY")
    .optional()],
    tips: &["nondeterministic_output_order"],
    ..ROW
};

fn list(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let filter = read_filter(args)?;
    let listed: Vec<&Found> = table::each().filter(|found| filter.takes(found)).collect();
    cx.reply.array(listed.len());
    listed.iter().for_each(|found| cx.reply.text(&found.name));
    REPLIED
}

/// Which names `COMMAND LIST` is asked for.
enum Filter<'a> {
    All,
    /// There are no modules, so nothing is from one.
    Module,
    /// With its `@`, in lower case.
    Category(String),
    Pattern(&'a [u8]),
}

impl Filter<'_> {
    fn takes(&self, found: &Found) -> bool {
        match self {
            Filter::All => true,
            Filter::Module => false,
            Filter::Category(category) => found.row.is_in(category),
            Filter::Pattern(pattern) => glob::matches(pattern, found.name.as_bytes(), true),
        }
    }
}

fn read_filter<'a>(args: &mut Args<'a>) -> Result<Filter<'a>, Fault> {
    if args.is_empty() {
        return Ok(Filter::All);
    }
    if args.len() != 3 || !args.take("FILTERBY") {
        return Err(Fault::Syntax);
    }
    let kind = args.word()?;
    let value = args.word()?;
    match kind.to_ascii_uppercase().as_slice() {
        b"MODULE" => Ok(Filter::Module),
        b"ACLCAT" => Ok(Filter::Category(format!("@{}", lower(value)))),
        b"PATTERN" => Ok(Filter::Pattern(value)),
        _ => Err(Fault::Syntax),
    }
}

const GETKEYS: Command = Command {
    name: "GETKEYS",
    run: getkeys,
    summary: "Returns the keys among the words of a command.",
    complexity: "O(N) for N words",
    since: "2.8.13",
    args: &[text("command"), text("arg").many().optional()],
    ..ROW
};

fn getkeys(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let words: Vec<&[u8]> = args.rest().collect();
    let keys = keys::of(&words)?;
    cx.reply.array(keys.len());
    keys.iter().for_each(|key| cx.reply.bulk(key.word));
    REPLIED
}

const GETKEYSANDFLAGS: Command = Command {
    name: "GETKEYSANDFLAGS",
    run: getkeysandflags,
    summary: "Returns the keys among the words of a command, each with what is done with it.",
    complexity: "O(N) for N words",
    since: "7.0.0",
    args: &[text("command"), text("arg").many().optional()],
    ..ROW
};

fn getkeysandflags(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let words: Vec<&[u8]> = args.rest().collect();
    let keys = keys::of(&words)?;
    cx.reply.array(keys.len());
    for key in keys {
        cx.reply.array(2);
        cx.reply.bulk(key.word);
        entry::write_key_flags(cx.reply, key.flags, false);
    }
    REPLIED
}

#[cfg(test)]
mod tests;
