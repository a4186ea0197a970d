//! Libraries of functions in the stream of a primary. The node runs none: it keeps them for its own replicas and snapshots.

use crate::command::shared::Shared;
use crate::command::words::Words;
use crate::persist::rdb;

/// What is said of libraries.
#[derive(Debug, PartialEq, Eq)]
enum Said<'a> {
    Load(&'a [u8]),
    Delete(&'a [u8]),
    Flush,
    Restore { payload: &'a [u8], flushes: bool },
}

/// Does what a primary says of libraries. Returns whether it is about these, and makes sense.
pub fn heed(node: &Shared, words: Words<'_>) -> bool {
    let words: Vec<&[u8]> = words.iter().collect();
    let Some(said) = said(&words) else { return false };
    let saves = &node.saves;
    match said {
        Said::Load(source) => saves.keep_library(source.to_vec()),
        Said::Delete(name) => saves.forget_library(name),
        Said::Flush => saves.forget_libraries(),
        Said::Restore { payload, flushes } => {
            let Ok(libraries) = rdb::restore_libraries(payload) else { return false };
            if flushes {
                saves.forget_libraries();
            }
            libraries.into_iter().for_each(|source| saves.keep_library(source));
        }
    }
    true
}

fn said<'a>(words: &[&'a [u8]]) -> Option<Said<'a>> {
    let is = |at: usize, name: &str| words.get(at).is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()));
    if !is(0, "FUNCTION") {
        return None;
    }
    match words[1..] {
        [_, source] if is(1, "LOAD") => Some(Said::Load(source)),
        [_, _, source] if is(1, "LOAD") && is(2, "REPLACE") => Some(Said::Load(source)),
        [_, name] if is(1, "DELETE") => Some(Said::Delete(name)),
        [_] | [_, _] if is(1, "FLUSH") => Some(Said::Flush),
        [_, payload] | [_, payload, _] if is(1, "RESTORE") => Some(Said::Restore { payload, flushes: is(3, "FLUSH") }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Desk;

    /// What is said by a line of plain words.
    fn of(line: &str) -> Option<Said<'_>> {
        said(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_said_of_libraries_is_told_apart() {
        assert_eq!(of("function load #!lua"), Some(Said::Load(b"#!lua")));
        assert_eq!(of("FUNCTION LOAD replace #!lua"), Some(Said::Load(b"#!lua")));
        assert_eq!(of("FUNCTION DELETE lib"), Some(Said::Delete(b"lib")));
        assert_eq!(of("FUNCTION FLUSH"), Some(Said::Flush));
        assert_eq!(of("FUNCTION FLUSH ASYNC"), Some(Said::Flush));
        assert_eq!(of("FUNCTION RESTORE x"), Some(Said::Restore { payload: b"x", flushes: false }));
        assert_eq!(of("FUNCTION RESTORE x FLUSH"), Some(Said::Restore { payload: b"x", flushes: true }));
        for line in ["FUNCTION", "FUNCTION LIST", "FUNCTION LOAD", "FUNCTION DELETE", "FCALL f 0", "GET k"] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn only_a_primary_is_heard() {
        let mut desk = Desk::new();
        let unknown = "-ERR unknown command 'FUNCTION', with args beginning with: 'FLUSH'";
        desk.check("FUNCTION FLUSH", unknown);
        desk.session.is_primary = true;
        desk.check("FUNCTION FLUSH", "");
        desk.check(
            "FUNCTION RESTORE nonsense",
            "-ERR unknown command 'FUNCTION', with args beginning with: 'RESTORE' 'nonsense'",
        );
    }
}
