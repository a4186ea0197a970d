//! Counters: strings that are the text of a number.

use super::*;
use crate::base::long_double::LongDouble;
use crate::base::number::parse_i64;

const COUNTER: Command = Command { flags: WRITES.and(Flags::FAST), ..STRING };

pub const INCR: Command = Command {
    name: "INCR",
    run: incr,
    summary: "Adds one to the integer of a key, which starts from 0.",
    args: &[key("key", Usage::Update)],
    ..COUNTER
};

fn incr(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    add(cx, args.key()?, 1)
}

pub const DECR: Command = Command {
    name: "DECR",
    run: decr,
    summary: "Takes one from the integer of a key, which starts from 0.",
    args: &[key("key", Usage::Update)],
    ..COUNTER
};

fn decr(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    add(cx, args.key()?, -1)
}

pub const INCRBY: Command = Command {
    name: "INCRBY",
    run: incrby,
    summary: "Adds a number to the integer of a key, which starts from 0.",
    args: &[key("key", Usage::Update), int("increment")],
    ..COUNTER
};

fn incrby(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let increment = args.int()?;
    add(cx, key, increment)
}

pub const DECRBY: Command = Command {
    name: "DECRBY",
    run: decrby,
    summary: "Takes a number from the integer of a key, which starts from 0.",
    args: &[key("key", Usage::Update), int("decrement")],
    ..COUNTER
};

fn decrby(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let increment = args.int()?.checked_neg().ok_or(Fault::text("ERR decrement would overflow"))?;
    add(cx, key, increment)
}

fn add(cx: &mut Ctx<'_>, key: Key<'_>, increment: i64) -> Outcome {
    let sum = match cx.store.change_int(key, |n| n.checked_add(increment)) {
        Some(sum) => sum,
        None => add_anew(cx, key, increment)?,
    };
    cx.event(Class::String, "incrby", key.bytes);
    cx.reply.int(sum);
    REPLIED
}

/// Adds where the integer cannot be changed in place: there is none yet, it takes other room, or it is a text.
fn add_anew(cx: &mut Ctx<'_>, key: Key<'_>, increment: i64) -> Result<i64, Fault> {
    let (old, expiry) = match peek(&mut cx.store, key)? {
        Some(entry) => (integer(entry.value())?, entry.expiry()),
        None => (0, None),
    };
    let sum = old.checked_add(increment).ok_or(Fault::Overflow)?;
    cx.event_if_new(key);
    cx.store.rewrite(key, New::Int(sum), expiry);
    Ok(sum)
}

fn integer(value: Value<'_>) -> Result<i64, Fault> {
    match value {
        Value::Int(n) => Ok(n),
        Value::Bytes(text) => parse_i64(text).ok_or(Fault::NotInteger),
        // Longer than the text of any integer.
        Value::Pieces(_) | Value::Object(_) => Err(Fault::NotInteger),
    }
}

pub const INCRBYFLOAT: Command = Command {
    name: "INCRBYFLOAT",
    run: incrbyfloat,
    summary: "Adds a number to the decimal number of a key, which starts from 0.",
    since: "2.6.0",
    args: &[key("key", Usage::Update), double("increment")],
    ..COUNTER
};

fn incrbyfloat(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let increment = args.word()?;
    let (old, expiry) = match peek(&mut cx.store, key)? {
        Some(entry) => (number(bytes(entry.value(), &mut Text::default()))?, entry.expiry()),
        None => (number(b"0")?, None),
    };
    let sum = old.checked_add(number(increment)?).ok_or(Fault::NotANumberOrInfinity)?;
    let mut text = Vec::new();
    sum.push(&mut text);
    cx.event_if_new(key);
    cx.store.rewrite(key, New::Text(&text), expiry);
    cx.event(Class::String, "incrbyfloat", key.bytes);
    // Others may add otherwise in the last digit.
    cx.replicate(&[b"SET", key.bytes, &text, b"KEEPTTL"]);
    cx.reply.bulk(&text);
    REPLIED
}

fn number(text: &[u8]) -> Result<LongDouble, Fault> {
    LongDouble::parse(text).ok_or(Fault::NotFloat)
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;
    use crate::store::Value;

    #[test]
    fn counters_start_from_zero_and_go_both_ways() {
        let mut desk = Desk::new();
        desk.check("INCR k", ":1");
        desk.check("INCRBY k 41", ":42");
        desk.check("DECR k", ":41");
        desk.check("DECRBY k 100", ":-59");
        desk.check("DECRBY k -9", ":-50");
        desk.check("GET k", "$3 -50");
        desk.check("DECR l", ":-1");
        desk.check("DECRBY m 5", ":-5");
    }

    #[test]
    fn counters_pass_every_width() {
        let mut desk = Desk::new();
        for edge in
            [0i64, 127, 128, -128, -129, 32_767, 32_768, -32_769, 1 << 31, (1 << 31) - 1, -(1 << 31) - 1, 1 << 40]
        {
            for step in [1, -1] {
                desk.check(&format!("SET k {edge}"), "+OK");
                desk.check(&format!("INCRBY k {step}"), &format!(":{}", edge + step));
                let text = (edge + step).to_string();
                desk.check("GET k", &format!("${} {text}", text.len()));
            }
        }
    }

    #[test]
    fn what_is_no_integer_is_refused() {
        let mut desk = Desk::new();
        for value in ["x", "1.0", "\" 1\"", "1a", "\"\"", "007", "9223372036854775808"] {
            desk.check(&format!("SET k {value}"), "+OK");
            desk.check("INCR k", "-ERR value is not an integer or out of range");
        }
        for increment in ["x", "1.5", "9223372036854775808", "\"\""] {
            desk.check(&format!("INCRBY l {increment}"), "-ERR value is not an integer or out of range");
            desk.check(&format!("DECRBY l {increment}"), "-ERR value is not an integer or out of range");
        }
        desk.check("GET l", "$-1");
    }

    #[test]
    fn overflow_is_refused_and_changes_nothing() {
        let mut desk = Desk::new();
        desk.check("SET k 9223372036854775807", "+OK");
        desk.check("INCR k", "-ERR increment or decrement would overflow");
        desk.check("DECRBY k -1", "-ERR increment or decrement would overflow");
        desk.check("DECRBY k -9223372036854775808", "-ERR decrement would overflow");
        desk.check("GET k", "$19 9223372036854775807");
        desk.check("SET k -9223372036854775808", "+OK");
        desk.check("DECR k", "-ERR increment or decrement would overflow");
        desk.check("INCRBY k 9223372036854775807", ":-1");
    }

    #[test]
    fn an_appended_text_counts_again_as_an_integer() {
        let mut desk = Desk::new();
        desk.check("SET k 1", "+OK");
        desk.check("APPEND k 2", ":2");
        desk.check("INCR k", ":13");
    }

    #[test]
    fn counters_keep_their_expiry() {
        let mut desk = Desk::new();
        for line in ["INCR k", "INCRBY k 1000", "INCRBYFLOAT k 0.5"] {
            desk.run("SET k 1 PXAT 99999999999999");
            desk.run(line);
            let store = &desk.node.store;
            let key = store.key(b"k");
            let mut keys = store.lock_one(key.place.stripe(), 0, store.moment(0));
            assert_eq!(keys.peek(key).unwrap().expiry(), Some(99_999_999_999_999), "{line}");
        }
    }

    #[test]
    fn decimal_numbers_are_added_without_binary_dust() {
        let mut desk = Desk::new();
        desk.check("INCRBYFLOAT k 0.1", "$3 0.1");
        desk.check("INCRBYFLOAT k 0.2", "$3 0.3");
        desk.check("INCRBYFLOAT k -5.0e3", "$23 -4999.70000000000000018");
        desk.check("SET k 3", "+OK");
        desk.check("INCRBYFLOAT k 1.000", "$1 4");
        desk.check("INCR k", ":5");
        desk.check("INCRBYFLOAT k 1e17", "$18 100000000000000005");
        desk.check("INCRBYFLOAT l 0", "$1 0");
    }

    #[test]
    fn a_decimal_sum_is_kept_as_text() {
        let mut desk = Desk::new();
        desk.check("INCRBYFLOAT k 3", "$1 3");
        let store = &desk.node.store;
        let key = store.key(b"k");
        let mut keys = store.lock_one(key.place.stripe(), 0, store.moment(0));
        assert_eq!(keys.peek(key).unwrap().value(), Value::Bytes(b"3"));
    }

    #[test]
    fn what_is_no_finite_number_is_refused() {
        let mut desk = Desk::new();
        for increment in ["x", "nan", "\"\"", "\" 1\"", "1x", "1e5000"] {
            desk.check(&format!("INCRBYFLOAT k {increment}"), "-ERR value is not a valid float");
        }
        for increment in ["inf", "-Infinity"] {
            desk.check(&format!("INCRBYFLOAT k {increment}"), "-ERR increment would produce NaN or Infinity");
        }
        desk.check("SET k abc", "+OK");
        desk.check("INCRBYFLOAT k 1", "-ERR value is not a valid float");
        desk.check("GET k", "$3 abc");
    }
}
