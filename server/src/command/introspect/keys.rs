//! The keys among the words of a command that is not run: `COMMAND GETKEYS`.

use crate::command::Fault;
use crate::command::row::{Command, KeyUse, NOT_KEYS};
use crate::command::table::{self, Found};

/// A key, and Redis's flags of what is done with it.
#[derive(Debug, PartialEq, Eq)]
pub struct KeyWord<'a> {
    pub word: &'a [u8],
    pub flags: &'static [&'static str],
}

/// The keys among the words of a whole command.
///
/// # Errors
///
/// The command is unknown, has no keys, has too few or too many words, or another number of keys than it says.
pub fn of<'a>(words: &[&'a [u8]]) -> Result<Vec<KeyWord<'a>>, Fault> {
    let found = find(words).ok_or(Fault::text("ERR Invalid command specified"))?;
    let mut specs = found.row.key_specs(found.depth);
    specs.retain(|spec| spec.flags != NOT_KEYS);
    if specs.is_empty() {
        return Err(Fault::text("ERR The command has no key arguments"));
    }
    if !found.takes(words.len()) {
        return Err(Fault::text("ERR Invalid number of arguments specified for command"));
    }
    let are_counted_right = specs.iter().all(|spec| spec.is_counted_right(words));
    let mut keys = Vec::new();
    for spec in specs {
        let flags = flags(found.row, spec.flags, words);
        keys.extend(spec.positions(words).into_iter().map(|at| KeyWord { word: words[at], flags }));
    }
    if keys.is_empty() || !are_counted_right {
        return Err(Fault::text("ERR Invalid arguments specified for command"));
    }
    Ok(keys)
}

fn find(words: &[&[u8]]) -> Option<&'static Found> {
    let found = table::find(words.first()?)?;
    match words.get(1) {
        Some(sub) if !found.subcommands.is_empty() => found.subcommand(sub),
        _ => Some(found),
    }
}

/// The flags of this very call.
fn flags(row: &Command, general: &'static [&'static str], words: &[&[u8]]) -> &'static [&'static str] {
    match row.key_use {
        KeyUse::ByToken { tokens, without, .. } if !are_among_options(row, tokens, words) => without,
        _ => general,
    }
}

/// Whether one of the tokens stands behind the words that every call has.
fn are_among_options(row: &Command, tokens: &[&str], words: &[&[u8]]) -> bool {
    let required = row.arity(1).unsigned_abs() as usize;
    let is_token = |word: &[u8]| tokens.iter().any(|token| word.eq_ignore_ascii_case(token.as_bytes()));
    words.iter().skip(required).any(|word| is_token(word))
}

#[cfg(test)]
mod tests {
    use super::flags;
    use crate::command::{COMMAND, Command, KeyUse, Usage, key, text, token};

    #[test]
    fn flags_may_hang_on_a_token() {
        const SET: Command = Command {
            args: &[key("key", Usage::Update), text("value"), token("get", "GET").optional()],
            key_use: KeyUse::ByToken {
                tokens: &["GET"],
                with: &["RW", "access", "update"],
                without: &["OW", "update"],
            },
            ..COMMAND
        };
        let general = SET.key_specs(1)[0].flags;
        let shown = |words: &[&[u8]]| flags(&SET, general, words).join(" ");
        assert_eq!(shown(&[b"set", b"k", b"v"]), "OW update");
        assert_eq!(shown(&[b"set", b"k", b"get"]), "OW update", "a value is no option");
        assert_eq!(shown(&[b"set", b"k", b"v", b"get"]), "RW access update");
    }
}
