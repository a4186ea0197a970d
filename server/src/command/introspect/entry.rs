//! A command as `COMMAND` and `COMMAND INFO` show it: ten elements.

use crate::command::Reply;
use crate::command::row::{Flags, KeySpec, KeyUse};
use crate::command::table::Found;

/// Writes name, arity, flags, first key, last key, step, ACL categories, tips, key specifications and sub-commands.
pub fn write(reply: &mut Reply, found: &Found) {
    let row = found.row;
    reply.array(10);
    reply.text(&found.name);
    reply.int(i64::from(found.arity));
    write_flags(reply, row.flags);
    reply.int(found.keys.first as i64);
    reply.int(found.keys.last as i64);
    reply.int(found.keys.step as i64);
    write_set(reply, &row.categories());
    reply.set(row.tips.len());
    row.tips.iter().for_each(|tip| reply.text(tip));
    let specs = row.key_specs(found.depth);
    reply.set(specs.len());
    let varies = matches!(row.key_use, KeyUse::ByToken { .. });
    specs.iter().for_each(|spec| write_spec(reply, spec, varies));
    // Redis has a set where there are none, and an array otherwise.
    if found.subcommands.is_empty() {
        reply.set(0);
    } else {
        reply.array(found.subcommands.len());
    }
    found.subcommands.iter().for_each(|sub| write(reply, sub));
}

fn write_flags(reply: &mut Reply, flags: Flags) {
    write_set(reply, &flags.names().collect::<Vec<_>>());
}

fn write_set(reply: &mut Reply, words: &[&str]) {
    reply.set(words.len());
    words.iter().for_each(|word| reply.simple(word));
}

/// Where keys stand and what is done with them.
fn write_spec(reply: &mut Reply, spec: &KeySpec, varies: bool) {
    reply.map(3);
    reply.text("flags");
    write_key_flags(reply, spec.flags, varies);
    reply.text("begin_search");
    reply.map(2);
    reply.text("type");
    reply.text("index");
    reply.text("spec");
    reply.map(1);
    reply.text("index");
    reply.len(spec.first);
    reply.text("find_keys");
    reply.map(2);
    reply.text("type");
    reply.text("range");
    reply.text("spec");
    reply.map(3);
    reply.text("lastkey");
    reply.int(spec.last as i64);
    reply.text("keystep");
    reply.len(spec.step);
    reply.text("limit");
    reply.int(0);
}

/// The first of the flags, the kind of access, is in capitals on the wire; the others are not.
pub fn write_key_flags(reply: &mut Reply, flags: &[&str], varies: bool) {
    reply.set(flags.len() + usize::from(varies));
    for flag in flags {
        let is_kind = ["RO", "RW", "OW", "RM"].contains(flag);
        reply.simple(&if is_kind { (*flag).to_owned() } else { flag.to_ascii_lowercase() });
    }
    if varies {
        reply.simple("variable_flags");
    }
}
