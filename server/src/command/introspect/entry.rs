//! A command as `COMMAND` and `COMMAND INFO` show it: ten elements.

use crate::command::Reply;
use crate::command::row::{Begin, Find, Flags, KeySpec, KeyUse};
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
    match spec.begin {
        Begin::Index(index) => write_half(reply, "index", &[("index", Part::Number(index as i64))]),
        Begin::Keyword { token, from } => {
            let parts = [("keyword", Part::Word(token)), ("startfrom", Part::Number(from as i64))];
            write_half(reply, "keyword", &parts);
        }
        Begin::Options { token, from, .. } => {
            let parts = [("keyword", Part::Word(token)), ("startfrom", Part::Number(from as i64))];
            write_half(reply, "keyword", &parts);
        }
        Begin::Unknown { .. } => write_half(reply, "unknown", &[]),
    }
    reply.text("find_keys");
    match spec.find {
        Find::Range { last, step, limit } => {
            let numbers = [("lastkey", last as i64), ("keystep", step as i64), ("limit", limit as i64)];
            write_half(reply, "range", &numbers.map(|(name, number)| (name, Part::Number(number))));
        }
        Find::Count { step } => {
            let numbers = [("keynumidx", 0), ("firstkey", 1), ("keystep", step as i64)];
            write_half(reply, "keynum", &numbers.map(|(name, number)| (name, Part::Number(number))));
        }
        Find::Unknown => write_half(reply, "unknown", &[]),
    }
}

enum Part {
    Number(i64),
    Word(&'static str),
}

fn write_half(reply: &mut Reply, kind: &str, parts: &[(&str, Part)]) {
    reply.map(2);
    reply.text("type");
    reply.text(kind);
    reply.text("spec");
    reply.map(parts.len());
    for (name, part) in parts {
        reply.text(name);
        match part {
            Part::Number(number) => reply.int(*number),
            Part::Word(word) => reply.text(word),
        }
    }
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
