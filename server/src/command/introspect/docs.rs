//! A command as `COMMAND DOCS` shows it.

use crate::command::Reply;
use crate::command::row::KeySpec;
use crate::command::row::{Arg, Kind, NOT_KEYS, Usage};
use crate::command::table::Found;

/// Writes the documentation of a command as a map.
pub fn write(reply: &mut Reply, found: &Found) {
    let row = found.row;
    let deprecated = if row.deprecated.is_some() { 3 } else { 0 };
    reply.map(4 + deprecated + usize::from(!row.args.is_empty()) + usize::from(!found.subcommands.is_empty()));
    reply.text("summary");
    reply.text(row.summary);
    reply.text("since");
    reply.text(row.since);
    reply.text("group");
    reply.text(row.group.name());
    reply.text("complexity");
    reply.text(row.complexity);
    if let Some(deprecated) = row.deprecated {
        reply.text("doc_flags");
        reply.set(1);
        reply.simple("deprecated");
        reply.text("deprecated_since");
        reply.text(deprecated.since);
        reply.text("replaced_by");
        reply.text(deprecated.instead);
    }
    if !row.args.is_empty() {
        reply.text("arguments");
        let specs = row.key_specs(found.depth);
        let covered: Vec<usize> = specs.iter().filter(|spec| spec.flags != NOT_KEYS).map(KeySpec::arguments).collect();
        write_args(reply, row.args, &mut Specs { covered, taken: 0 });
    }
    if !found.subcommands.is_empty() {
        reply.text("subcommands");
        reply.map(found.subcommands.len());
        for sub in &found.subcommands {
            reply.text(&sub.name);
            write(reply, sub);
        }
    }
}

/// Which key specification the next key argument belongs to.
struct Specs {
    /// How many key arguments each specification covers.
    covered: Vec<usize>,
    taken: usize,
}

impl Specs {
    /// The number of the specification of the next key argument, if it has one.
    fn next(&mut self) -> Option<usize> {
        let mut before = 0;
        let number = self.covered.iter().position(|keys| {
            before += keys;
            self.taken < before
        });
        self.taken += 1;
        number
    }
}

fn write_args(reply: &mut Reply, args: &[Arg], specs: &mut Specs) {
    reply.array(args.len());
    args.iter().for_each(|arg| write_arg(reply, arg, specs));
}

fn write_arg(reply: &mut Reply, arg: &Arg, specs: &mut Specs) {
    let parts = arg.kind.parts();
    let spec = if matches!(arg.kind, Kind::Key(usage) if usage != Usage::Channel) { specs.next() } else { None };
    let flags: Vec<&str> = [(arg.optional, "optional"), (arg.many, "multiple"), (arg.many_token, "multiple_token")]
        .into_iter()
        .filter_map(|(holds, name)| holds.then_some(name))
        .collect();
    let optional = [spec.is_some(), arg.token.is_some(), arg.since.is_some(), !flags.is_empty()];
    // An argument has either a text to show or parts, which have theirs.
    reply.map(3 + optional.iter().filter(|has| **has).count());
    reply.text("name");
    reply.text(arg.name);
    reply.text("type");
    reply.text(arg.kind.name());
    if parts.is_empty() {
        reply.text("display_text");
        reply.text(arg.display.unwrap_or(arg.name));
    }
    if let Some(spec) = spec {
        reply.text("key_spec_index");
        reply.len(spec);
    }
    if let Some(token) = arg.token {
        reply.text("token");
        reply.text(token);
    }
    if let Some(since) = arg.since {
        reply.text("since");
        reply.text(since);
    }
    if !flags.is_empty() {
        reply.text("flags");
        reply.set(flags.len());
        flags.iter().for_each(|flag| reply.simple(flag));
    }
    if !parts.is_empty() {
        reply.text("arguments");
        write_args(reply, parts, specs);
    }
}
