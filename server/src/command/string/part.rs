//! Parts of strings: APPEND, SETRANGE, GETRANGE and its old name SUBSTR.

use super::*;
use crate::store::record::LEN_MAX;
use std::ops::Range;

pub const APPEND: Command = Command {
    name: "APPEND",
    run: append,
    summary: "Puts bytes behind the value of a key, which is created if needed.",
    complexity: "O(1), spread over many calls on one key",
    since: "2.0.0",
    args: &[key("key", Usage::Update), text("value")],
    flags: WRITES.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RW", "insert"]),
    ..STRING
};

fn append(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let tail = args.word()?;
    if let Some(len) = len_of(cx, key)? {
        let total = checked_len(cx, len, tail.len())?;
        if cx.store.edit(key, total, &|touch| touch(len..total), |value| value[len..].copy_from_slice(tail)) {
            cx.event(Class::String, "append", key.bytes);
            cx.reply.len(total);
            return REPLIED;
        }
    }
    write(cx, key, New::Set(tail), None, "append");
    cx.reply.len(tail.len());
    REPLIED
}

pub const SETRANGE: Command = Command {
    name: "SETRANGE",
    run: setrange,
    summary: "Overwrites a part of the value of a key; a gap in front of it is filled with zeros.",
    complexity: "O(N) for N bytes written, zeros included",
    since: "2.2.0",
    args: &[key("key", Usage::Update), int("offset"), text("value")],
    flags: WRITES,
    key_use: KeyUse::Flags(&["RW", "update"]),
    ..STRING
};

fn setrange(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let offset = usize::try_from(args.int()?).map_err(|_| Fault::OutOfRange("offset"))?;
    let patch = args.word()?;
    let old = len_of(cx, key)?;
    if patch.is_empty() {
        cx.reply.len(old.unwrap_or(0));
        return REPLIED;
    }
    let end = checked_len(cx, offset, patch.len())?;
    let patch_in = |value: &mut [u8]| value[offset..end].copy_from_slice(patch);
    if let Some(len) = old
        && cx.store.edit(key, end, &|touch| touch(offset..end), patch_in)
    {
        cx.event(Class::String, "setrange", key.bytes);
        cx.reply.len(len.max(end));
        return REPLIED;
    }
    let mut value = vec![0; end];
    patch_in(&mut value);
    write(cx, key, New::built(&mut value), None, "setrange");
    cx.reply.len(end);
    REPLIED
}

fn len_of(cx: &mut Ctx<'_>, key: Key<'_>) -> Result<Option<usize>, Fault> {
    Ok(peek(&mut cx.store, key)?.map(|entry| entry.value().len()))
}

/// The sum of two lengths, refused where a value may not be that long.
fn checked_len(cx: &Ctx<'_>, len: usize, more: usize) -> Result<usize, Fault> {
    let max = cx.node.tuning.bulk_len_max().min(LEN_MAX);
    len.checked_add(more).filter(|&total| total <= max).ok_or(Fault::TooLong)
}

pub const GETRANGE: Command = Command {
    name: "GETRANGE",
    run: getrange,
    summary: "Returns a part of the value of a key; negative positions count from its end.",
    complexity: "O(N) for N bytes returned",
    since: "2.4.0",
    args: &[key("key", Usage::Read), int("start"), int("end")],
    flags: Flags::READONLY,
    ..STRING
};

pub const SUBSTR: Command = Command {
    name: "SUBSTR",
    summary: "Returns a part of the value of a key: the old name of GETRANGE.",
    since: "1.0.0",
    deprecated: Some(Deprecated { since: "2.0.0", instead: "`GETRANGE`" }),
    ..GETRANGE
};

fn getrange(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let (start, end) = (args.int()?, args.int()?);
    match read(&mut cx.store, key)? {
        Some(entry) => match entry.value() {
            Value::Pieces(pieces) => cx.reply.pieces(pieces, range(start, end, pieces.len())),
            value => {
                let mut text = Text::default();
                let value = bytes(value, &mut text);
                cx.reply.bulk(&value[range(start, end, value.len())]);
            }
        },
        None => {
            cx.missed(key);
            cx.reply.bulk(b"");
        }
    }
    REPLIED
}

/// The bytes from `start` to `end`, both inclusive, of a value of `len` bytes.
///
/// Positions before the first byte mean the first, but a range that is given backwards from the end is empty.
fn range(start: i64, end: i64, len: usize) -> Range<usize> {
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let from_end = |at: i64| {
        if at < 0 { at.saturating_add_unsigned(len as u64).max(0) } else { at }
    };
    let start = from_end(start) as usize;
    let end = (from_end(end) as usize).saturating_add(1).min(len);
    if start < end { start..end } else { 0..0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Desk;
    use crate::command::tuning::Values;
    use crate::store::Options;

    #[test]
    fn parts_of_long_values_are_those_of_the_whole() {
        let mut desk = Desk::new();
        let value: Vec<u8> = (0..60_000).map(|at| b'a' + (at / 10 % 26) as u8).collect();
        desk.call(&[b"SET", b"k", &value]);
        desk.check("STRLEN k", ":60000");
        for (start, end) in [(0, 59_999), (0, 0), (1_000, 1_030), (3_000, 9_000), (59_990, 59_999), (70, 20)] {
            let reply = desk.call(&[b"GETRANGE", b"k", start.to_string().as_bytes(), end.to_string().as_bytes()]);
            let part = if start <= end { &value[start..=end] } else { &[] };
            let head = format!("${}\r\n", part.len());
            assert!(reply == [head.as_bytes(), part, b"\r\n"].concat(), "{start} to {end}");
        }
        desk.check("GETRANGE k -3 -1", "$3 ttt");
        desk.check("SETRANGE k 59997 ab", ":60000");
        desk.check("APPEND k cd", ":60002");
        desk.check("GETRANGE k -6 -1", "$6 tabtcd");
        desk.check("INCR k", "-ERR value is not an integer or out of range");
        desk.check("INCRBYFLOAT k 1", "-ERR value is not a valid float");
    }

    #[test]
    fn append_creates_and_lengthens() {
        let mut desk = Desk::new();
        desk.check("APPEND k ab", ":2");
        desk.check("APPEND k cd", ":4");
        desk.check("APPEND k \"\"", ":4");
        desk.check("GET k", "$4 abcd");
        desk.check("SET n -12", "+OK");
        desk.check("APPEND n 3", ":4");
        desk.check("GET n", "$4 -123");
        desk.check("APPEND e \"\"", ":0");
        desk.check("GET e", "$0");
    }

    #[test]
    fn setrange_overwrites_lengthens_and_fills_with_zeros() {
        let mut desk = Desk::new();
        desk.check("SET k \"Hello World\"", "+OK");
        desk.check("SETRANGE k 6 Redis", ":11");
        desk.check("GET k", "$11 Hello Redis");
        desk.check("SETRANGE k 10 s!", ":12");
        desk.check("SETRANGE k 0 \"\"", ":12");
        desk.check("SETRANGE absent 5 \"\"", ":0");
        desk.check("GET absent", "$-1");
        desk.check("SETRANGE z 2 x", ":3");
        assert_eq!(desk.call(&[b"GET", b"z"]), b"$3\r\n\0\0x\r\n");
        desk.check("SET n 123", "+OK");
        desk.check("SETRANGE n 1 9", ":3");
        desk.check("INCR n", ":194");
    }

    #[test]
    fn values_grow_out_of_the_record() {
        let mut desk = Desk::new();
        let mut twin = Vec::new();
        for step in 0..3_000usize {
            let piece = step.to_string();
            twin.extend_from_slice(piece.as_bytes());
            desk.check(&format!("APPEND k {piece}"), &format!(":{}", twin.len()));
        }
        let value = [format!("${}\r\n", twin.len()).as_bytes(), &twin, b"\r\n"].concat();
        assert_eq!(desk.call(&[b"GET", b"k"]), value);
        desk.check("SETRANGE l 5000 x", ":5001");
        desk.check("GETRANGE l 4999 6000", "$2 \0x");
    }

    #[test]
    fn many_small_appends_to_a_large_value_waste_an_eighth_at_most() {
        let mut desk = Desk::new();
        desk.run("SETRANGE k 8388607 x");
        let key = |desk: &Desk| {
            let store = &desk.node.store;
            let key = store.key(b"k");
            let mut keys = store.lock_one(key.place.stripe(), 0, store.moment(0));
            keys.peek(key).unwrap().memory()
        };
        let mut sizes = vec![key(&desk)];
        for _ in 0..20_000 {
            desk.call(&[b"APPEND", b"k", &[b'y'; 100]]);
            let size = key(&desk);
            if sizes.last() != Some(&size) {
                sizes.push(size);
            }
        }
        // 2 MB in 20 000 steps behind 8 MiB: the buffer was made anew twice, not 20 000 times.
        assert!(sizes.len() <= 3, "{sizes:?}");
        assert!(*sizes.last().unwrap() < (8_388_608 + 2_000_000) * 9 / 8 + 200, "{sizes:?}");
    }

    #[test]
    fn a_key_that_was_evicted_to_make_room_is_appended_to_as_if_new() {
        let mut desk = Desk::with(Options { memory_max: 4 << 20, ..Options::default() });
        let piece = vec![b'x'; 64 << 10];
        let mut len = 0;
        for _ in 0..200 {
            let reply = String::from_utf8(desk.call(&[b"APPEND", b"k", &piece])).unwrap();
            let Some(now) = reply.trim_end().strip_prefix(':') else { panic!("{reply}") };
            let now: usize = now.parse().unwrap();
            assert!(now == len + piece.len() || now == piece.len(), "{len} -> {now}");
            len = now;
            assert!(desk.node.store.used_bytes() <= (4 << 20) + (1 << 20), "{}", desk.node.store.used_bytes());
        }
        let value = desk.call(&[b"GET", b"k"]);
        assert_eq!(value.iter().filter(|&&byte| byte == b'x').count(), len, "no zeros where the old value was");
    }

    #[test]
    fn values_beyond_the_longest_bulk_are_refused() {
        let mut desk = Desk::new();
        let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
        desk.check("SETRANGE k 536870912 x", too_long);
        desk.check("SETRANGE k 9223372036854775807 x", too_long);
        desk.check("SETRANGE k -1 x", "-ERR offset is out of range");
        desk.check("SETRANGE k -1 \"\"", "-ERR offset is out of range");
        desk.check("SETRANGE k 536870912 \"\"", ":0");
        desk.check("SETRANGE k x x", "-ERR value is not an integer or out of range");
        desk.check("SETRANGE k 9223372036854775808 x", "-ERR value is not an integer or out of range");
        desk.node.tuning.set(Values {
            slowlog_micros: -1,
            slowlog_len_max: 0,
            latency_threshold_ms: 0,
            pubsub_output: crate::config::OutputLimit::NONE,
            normal_output: crate::config::OutputLimit::NONE,
            input_max: 0,
            bulk_len_max: 5,
            timeout_ms: 0,
            latency_tracking: false,
        });
        desk.check("SETRANGE k 4 x", ":5");
        desk.check("SETRANGE k 5 x", too_long);
        desk.check("APPEND k x", too_long);
        desk.check("APPEND k \"\"", ":5");
        desk.check("STRLEN k", ":5");
    }

    #[test]
    fn getrange_counts_from_both_ends() {
        let mut desk = Desk::new();
        desk.check("SET k \"This is a string\"", "+OK");
        desk.check("GETRANGE k 0 3", "$4 This");
        desk.check("GETRANGE k -3 -1", "$3 ing");
        desk.check("SUBSTR k 0 -1", "$16 This is a string");
        desk.check("GETRANGE k 10 100", "$6 string");
        desk.check("GETRANGE k 5 3", "$0");
        desk.check("GETRANGE absent 0 -1", "$0");
        desk.check("SET n -1234", "+OK");
        desk.check("GETRANGE n 0 2", "$3 -12");
        desk.check("GETRANGE k a 1", "-ERR value is not an integer or out of range");
        desk.check("SUBSTR k 0 a", "-ERR value is not an integer or out of range");
    }

    #[test]
    fn ranges_are_cut_to_the_value() {
        let cases = [
            (0, 0, 0..1),
            (0, -1, 0..4),
            (-1, -1, 3..4),
            (-100, -1, 0..4),
            (-100, -100, 0..1),
            (-100, 1, 0..2),
            (-1, -2, 0..0),
            (-99, -100, 0..0),
            (3, -100, 0..0),
            (4, 4, 0..0),
            (1, i64::MAX, 1..4),
            (i64::MIN, i64::MAX, 0..4),
            (i64::MIN, i64::MIN, 0..1),
            (i64::MAX, i64::MAX, 0..0),
        ];
        for (start, end, expected) in cases {
            assert_eq!(range(start, end, 4), expected, "{start} {end}");
            assert_eq!(range(start, end, 0), 0..0, "{start} {end}");
        }
    }
}
