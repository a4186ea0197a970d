//! The gates that a command passes before it runs. Each is a small pure decision.

use super::clients::Pause;
use super::fault::Fault;
use super::row::Flags;
use super::table::{self, Found};
use super::words::Words;
use crate::base::quote;
use std::ops::Range;

/// The row of a request, its sub-command if it names one.
#[inline]
pub fn find(words: Words<'_>) -> Result<&'static Found, Fault> {
    let found = table::find(words.get(0)).ok_or_else(|| unknown(words))?;
    if found.subcommands.is_empty() || words.len() < 2 {
        return Ok(found);
    }
    match found.subcommand(words.get(1)) {
        Some(sub) => Ok(sub),
        None => Err(Fault::UnknownSubcommand { name: found.row.name, sub: words.get(1).to_vec() }),
    }
}

/// Whether a request is a web browser's: its first line, or its header. A page that a victim visits could send commands
/// in the body, so the connection is closed before that is read.
pub fn is_web(words: Words<'_>) -> bool {
    [&b"post"[..], b"host:"].iter().any(|name| words.get(0).eq_ignore_ascii_case(name))
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

/// Whether a connection that speaks RESP2 and is subscribed to something may run the command: in RESP2 its replies could
/// not be told from messages.
#[inline]
pub fn subscriber(is_subscriber: bool, found: &Found) -> Result<(), Fault> {
    if !is_subscriber || found.row.flags.has(Flags::WHILE_SUBSCRIBED) {
        return Ok(());
    }
    Err(Fault::owned(format!(
        "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
        found.name
    )))
}

/// Whether a command that needs memory may run. `make_room` evicts if it has to, and says whether there is room.
#[inline]
pub fn memory(over: bool, flags: Flags, make_room: impl FnOnce() -> bool) -> Result<(), Fault> {
    if !over || make_room() || !flags.has(Flags::DENYOOM) { Ok(()) } else { Err(Fault::OutOfMemory) }
}

/// Whether a command may run while the data is being loaded.
#[inline]
pub fn loading(is_loading: bool, flags: Flags) -> Result<(), Fault> {
    if !is_loading || flags.has(Flags::LOADING) { Ok(()) } else { Err(LOADING) }
}

const LOADING: Fault = Fault::text("LOADING Redis is loading the dataset in memory");

/// Whether a command may run while snapshots cannot be written: no write may, nor may PING, by which clients find out.
#[inline]
pub fn disk(is_failing: bool, name: &str, flags: Flags) -> Result<(), Fault> {
    if is_failing && (flags.has(Flags::WRITE) || name == "ping") { Err(UNSAVED) } else { Ok(()) }
}

const UNSAVED: Fault = Fault::text(
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that may \
     modify the data set are disabled, because this instance is configured to report errors during writes if RDB \
     snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB error.",
);

/// Whether a primary may say it in its stream: what ends, sets up or points a node elsewhere is not for others to say. What
/// only reads is of no use there, but does no harm.
pub fn stream(found: &Found) -> Result<(), Fault> {
    let (flags, name) = (found.row.flags, found.row.name);
    let is_of_data = flags.has(Flags::WRITE.and(Flags::MAY_REPLICATE).and(Flags::READONLY));
    if is_of_data || ["MULTI", "EXEC", "SELECT", "PING", "REPLCONF"].contains(&name) { Ok(()) } else { Err(NO_STREAM) }
}

const NO_STREAM: Fault = Fault::text("ERR the stream of a primary has no such commands; this one is passed over");

/// Until when a command is held back, if it is; `flags` are its own and those of what it runs.
#[inline]
pub fn pause(pause: Option<Pause>, found: &Found, flags: Flags) -> Option<u64> {
    let pause = pause?;
    // CLIENT itself must go on, or nobody could end the pause.
    let exempt = found.name.starts_with("client") || found.row.flags.has(Flags::NO_AUTH);
    let writes = flags.has(Flags::WRITE.and(Flags::MAY_REPLICATE));
    (!exempt && (writes || !pause.writes_only)).then_some(pause.until_ms)
}

/// The words of a request as logs and monitors may show them: passwords are blotted out.
pub fn shown<'a>(found: &Found, words: Words<'a>) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
    let hidden = match found.name.as_str() {
        "auth" => 1..words.len(),
        "hello" => behind(words, &[b"auth"], 2),
        "config|set" => behind(words, &[b"requirepass", b"masterauth"], 1),
        _ => 0..0,
    };
    (0..words.len()).map(move |index| if hidden.contains(&index) { b"(redacted)" } else { words.get(index) })
}

/// The positions of the `count` words behind the first of these tokens.
fn behind(words: Words<'_>, tokens: &[&[u8]], count: usize) -> Range<usize> {
    let is_token = |word: &[u8]| tokens.iter().any(|token| word.eq_ignore_ascii_case(token));
    words.iter().position(is_token).map_or(0..0, |at| at + 1..at + 1 + count)
}

/// The line that `MONITOR` shows for a command.
pub fn monitor_line<'a>(now_us: u128, db: usize, address: &str, words: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut line = format!("+{}.{:06} [{db} {address}]", now_us / 1_000_000, now_us % 1_000_000).into_bytes();
    for word in words {
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
    fn passwords_are_not_shown() {
        let seen = |line: &str| {
            let (buffer, spans) = words(line);
            let words = Words { buffer: &buffer, spans: &spans };
            let shown: Vec<_> = shown(find(words).ok().unwrap(), words).map(String::from_utf8_lossy).collect();
            shown.join(" ")
        };
        assert_eq!(seen("AUTH default secret"), "AUTH (redacted) (redacted)");
        assert_eq!(seen("HELLO 3 AUTH default secret SETNAME x"), "HELLO 3 AUTH (redacted) (redacted) SETNAME x");
        assert_eq!(seen("ECHO secret"), "ECHO secret");
    }

    #[test]
    fn monitor_lines_are_quoted() {
        let (buffer, spans) = words("SET a\nb c");
        let line =
            monitor_line(1_700_000_000_000_123, 3, "127.0.0.1:5", Words { buffer: &buffer, spans: &spans }.iter());
        assert_eq!(line, b"+1700000000.000123 [3 127.0.0.1:5] \"SET\" \"a\\nb\" \"c\"\r\n");
    }
}
