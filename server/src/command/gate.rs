//! The gates that a command passes before it runs. Each is a small pure decision.

use super::clients::Pause;
use super::fault::Fault;
use super::row::Flags;
use super::table::{self, Found};
use super::words::Words;
use crate::base::quote;

/// The row of a request, its sub-command if it names one.
#[inline]
pub fn find(words: Words<'_>) -> Result<&'static Found, Fault> {
    let found = table::find(words.get(0)).ok_or_else(|| unknown(words))?;
    if found.subcommands.is_empty() || words.len() < 2 {
        return Ok(found);
    }
    match found.subcommand(words.get(1)) {
        Some(sub) => Ok(sub),
        // A container that also is a command of its own, such as COMMAND, takes what it does not know as its arguments.
        None => Err(Fault::UnknownSubcommand { name: found.row.name, sub: words.get(1).to_vec() }),
    }
}

/// Bytes of arguments that an unknown command is shown with.
const SHOWN_MAX: usize = 128;

fn unknown(words: Words<'_>) -> Fault {
    let mut args = Vec::new();
    for word in words.iter().skip(1) {
        if args.len() >= SHOWN_MAX {
            break;
        }
        let room = SHOWN_MAX - args.len();
        args.push(b'\'');
        args.extend_from_slice(&word[..word.len().min(room)]);
        args.extend_from_slice(b"' ");
    }
    Fault::UnknownCommand { name: words.get(0).to_vec(), args }
}

/// Whether the command may have so many words.
#[inline]
pub fn arity(found: &'static Found, words: usize) -> Result<(), Fault> {
    if found.takes(words) { Ok(()) } else { Err(Fault::Arity(found.name.as_str().into())) }
}

/// Whether the connection has logged in, if it must.
#[inline]
pub fn login(authenticated: bool, flags: Flags) -> Result<(), Fault> {
    if authenticated || flags.has(Flags::NO_AUTH) { Ok(()) } else { Err(Fault::NoAuth) }
}

/// Whether a command that needs memory may run. `make_room` evicts, and says whether the node is under its limit.
#[inline]
pub fn memory(over: bool, flags: Flags, make_room: impl FnOnce() -> bool) -> Result<(), Fault> {
    if !over || make_room() || !flags.has(Flags::DENYOOM) { Ok(()) } else { Err(Fault::OutOfMemory) }
}

/// Until when a command is held back, if it is.
#[inline]
pub fn pause(pause: Option<Pause>, found: &Found) -> Option<u64> {
    let pause = pause?;
    // CLIENT itself must go on, or nobody could end the pause.
    let exempt = found.name.starts_with("client") || found.row.flags.has(Flags::NO_AUTH);
    let writes = found.row.flags.has(Flags::WRITE.and(Flags::MAY_REPLICATE));
    (!exempt && (writes || !pause.writes_only)).then_some(pause.until_ms)
}

/// The line that `MONITOR` shows for a command.
pub fn monitor_line(now_us: u128, db: usize, address: &str, words: Words<'_>) -> Vec<u8> {
    let mut line = format!("+{}.{:06} [{db} {address}]", now_us / 1_000_000, now_us % 1_000_000).into_bytes();
    for word in words.iter() {
        line.push(b' ');
        quote::push_quoted(&mut line, word);
    }
    line.extend_from_slice(b"\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::words::Span;

    fn words(line: &str) -> (Vec<u8>, Vec<Span>) {
        let mut spans = Vec::new();
        let mut start = 0;
        for word in line.split(' ') {
            spans.push(Span { start, len: word.len() as u32 });
            start += word.len() as u32 + 1;
        }
        (line.as_bytes().to_vec(), spans)
    }

    #[test]
    fn an_unknown_command_is_shown_with_its_arguments() {
        let (buffer, spans) = words("NOSUCH a b");
        let fault = find(Words { buffer: &buffer, spans: &spans }).err().unwrap();
        assert_eq!(fault.to_string(), "ERR unknown command 'NOSUCH', with args beginning with: 'a' 'b' ");
    }

    #[test]
    fn login_is_asked_of_all_but_a_few() {
        assert_eq!(login(false, Flags::FAST), Err(Fault::NoAuth));
        assert_eq!(login(false, Flags::FAST.and(Flags::NO_AUTH)), Ok(()));
        assert_eq!(login(true, Flags::FAST), Ok(()));
    }

    #[test]
    fn memory_is_made_before_it_is_refused() {
        assert_eq!(memory(false, Flags::DENYOOM, || unreachable!()), Ok(()));
        assert_eq!(memory(true, Flags::DENYOOM, || true), Ok(()));
        assert_eq!(memory(true, Flags::DENYOOM, || false), Err(Fault::OutOfMemory));
        assert_eq!(memory(true, Flags::FAST, || false), Ok(()));
    }

    #[test]
    fn monitor_lines_are_quoted() {
        let (buffer, spans) = words("SET a\nb c");
        let line = monitor_line(1_700_000_000_000_123, 3, "127.0.0.1:5", Words { buffer: &buffer, spans: &spans });
        assert_eq!(line, b"+1700000000.000123 [3 127.0.0.1:5] \"SET\" \"a\\nb\" \"c\"\r\n");
    }
}
