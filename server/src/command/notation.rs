//! The arguments of a command as people write them: `SET key value [NX | XX] [GET]`.

use super::row::{Arg, Kind};
use super::table::Found;

/// A call of the command in the usual notation: optional parts in `[]`, choices between `|`, what may be repeated
/// with `...` behind it.
pub fn usage(found: &Found) -> String {
    let name = found.name.replace('|', " ").to_ascii_uppercase();
    join(name, &arguments(found.row.args))
}

/// The arguments alone.
pub fn arguments(args: &[Arg]) -> String {
    let parts: Vec<String> =
        args.iter().map(|arg| if arg.optional { format!("[{}]", bare(arg)) } else { whole(arg) }).collect();
    parts.join(" ")
}

/// An argument that stands among others: choices need brackets of their own.
fn whole(arg: &Arg) -> String {
    match arg.kind {
        Kind::OneOf(_) if arg.token.is_none() && !arg.many => format!("<{}>", bare(arg)),
        _ => bare(arg),
    }
}

/// An argument inside the brackets of another.
fn bare(arg: &Arg) -> String {
    let alone = body(arg);
    let once = match arg.token {
        Some(token) => join(token.into(), &alone),
        None => alone.clone(),
    };
    if !arg.many {
        return once;
    }
    if matches!(arg.kind, Kind::OneOf(_)) {
        return format!("{once} ...");
    }
    let again = if arg.many_token { &once } else { &alone };
    format!("{once} [{again} ...]")
}

/// An argument without its token and its repetitions.
fn body(arg: &Arg) -> String {
    let choices = |parts: &[Arg]| parts.iter().map(bare).collect::<Vec<_>>().join(" | ");
    match arg.kind {
        Kind::Token => String::new(),
        Kind::OneOf(parts) if arg.token.is_some() || arg.many => format!("<{}>", choices(parts)),
        Kind::OneOf(parts) => choices(parts),
        Kind::Block(parts) => arguments(parts),
        _ => arg.display.unwrap_or(arg.name).into(),
    }
}

fn join(mut head: String, tail: &str) -> String {
    if !head.is_empty() && !tail.is_empty() {
        head.push(' ');
    }
    head.push_str(tail);
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Usage, block, int, key, one_of, text, token};

    #[test]
    fn arguments_are_written_in_the_usual_notation() {
        const NX: Arg = one_of("condition", &[token("nx", "NX"), token("xx", "XX")]);
        const PAIR: Arg = block("data", &[key("key", Usage::Write), text("value")]);
        const IDS: Arg = block("id", &[int("client-id").many()]);
        for (args, expected) in [
            (&[key("key", Usage::Write), text("value"), NX.optional()][..], "key value [NX | XX]"),
            (&[PAIR.many()], "key value [key value ...]"),
            (&[key("key", Usage::Read).many().optional()], "[key [key ...]]"),
            (&[NX], "<NX | XX>"),
            (&[NX.after("IF").optional()], "[IF <NX | XX>]"),
            (&[NX.many()], "<NX | XX> ..."),
            (&[text("prefix").after("PREFIX").many_tokens().optional()], "[PREFIX prefix [PREFIX prefix ...]]"),
            (&[IDS.after("ID").optional()], "[ID client-id [client-id ...]]"),
        ] {
            assert_eq!(arguments(args), expected);
        }
    }
}
