//! Fields that are numbers: `HINCRBY` and `HINCRBYFLOAT`.

use super::*;
use crate::base::long_double::LongDouble;
use crate::base::number::{Digits, parse_i64};
use crate::types::item::Element;

pub(super) const HINCRBY: Command = Command {
    name: "HINCRBY",
    run: hincrby,
    summary: "Adds a number to the integer of a field, which starts from 0.",
    args: &[key("key", Usage::Update), text("field"), int("increment")],
    flags: WRITES,
    ..HASH
};

fn hincrby(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, field) = (args.key()?, args.word()?);
    let increment = args.int()?;
    let (now, limits) = (cx.due_ms(), cx.node.limits.of_hash());
    let mut hash = cx.store.open_or_new::<Hash>(key)?;
    let old = match hash.get(field, now).map(|entry| entry.value) {
        None => 0,
        Some(Element::Int(old)) => old,
        Some(Element::Text(text)) => parse_i64(text).ok_or(Fault::text("ERR hash value is not an integer"))?,
    };
    let sum = old.checked_add(increment).ok_or(Fault::Overflow)?;
    let cleared = clear_way(&mut hash, field, now);
    hash.set(field, Digits::new().format(sum).as_bytes(), Expiry::Keep, &limits);
    drop(hash);
    cx.event(Class::Hash, "hincrby", key.bytes);
    if cleared {
        say_deleted(cx, key, &[field], false);
        cx.replicate_as_is();
    }
    cx.reply.int(sum);
    REPLIED
}

pub(super) const HINCRBYFLOAT: Command = Command {
    name: "HINCRBYFLOAT",
    run: hincrbyfloat,
    summary: "Adds a number to the decimal number of a field, which starts from 0.",
    since: "2.6.0",
    args: &[key("key", Usage::Update), text("field"), double("increment")],
    ..HINCRBY
};

fn hincrbyfloat(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, field) = (args.key()?, args.word()?);
    let increment = LongDouble::parse(args.word()?).ok_or(Fault::NotFloat)?;
    if increment.is_infinite() {
        return Err(Fault::text("ERR value is NaN or Infinity"));
    }
    let (now, limits) = (cx.due_ms(), cx.node.limits.of_hash());
    let mut hash = cx.store.open_or_new::<Hash>(key)?;
    let mut digits = Digits::new();
    let entry = hash.get(field, now);
    let expiry = entry.as_ref().and_then(|entry| entry.expiry);
    let old = entry.map_or(&b"0"[..], |entry| entry.value.text(&mut digits));
    let old = LongDouble::parse(old).ok_or(Fault::text("ERR hash value is not a float"))?;
    let sum = old.checked_add(increment).ok_or(Fault::NotANumberOrInfinity)?;
    let mut text = Vec::new();
    sum.push(&mut text);
    clear_way(&mut hash, field, now);
    hash.set(field, &text, Expiry::Keep, &limits);
    drop(hash);
    cx.event(Class::Hash, "hincrbyfloat", key.bytes);
    // Others may add otherwise in the last digit.
    cx.replicate(&[b"HSET", key.bytes, field, &text]);
    if let Some(expiry) = expiry.filter(|_| cx.is_noted()) {
        let mut digits = Digits::new();
        say_of_fields(cx, &[b"HPEXPIREAT", key.bytes, digits.format(expiry).as_bytes()], &[field]);
    }
    cx.reply.bulk(&text);
    REPLIED
}

#[cfg(test)]
mod tests {
    use crate::command::testing::Desk;

    const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

    #[test]
    fn fields_count_from_zero() {
        let mut desk = Desk::new();
        desk.check("HINCRBY h a 5", ":5");
        desk.check("HINCRBY h a -7", ":-2");
        desk.check("HGET h a", "$2 -2");
        desk.check("HSTRLEN h a", ":2");
        desk.check("HINCRBYFLOAT h a 1.5", "$4 -0.5");
        desk.check("HINCRBY h a 1", "-ERR hash value is not an integer");
        desk.check("HINCRBYFLOAT h f 0.1", "$3 0.1");
        desk.check("HINCRBYFLOAT h f 0.2", "$3 0.3");
        desk.check("HINCRBYFLOAT h f -5.0e3", "$23 -4999.70000000000000018");
        desk.check("HINCRBYFLOAT h x 0x10", "$2 16");
        desk.check("HINCRBY h x 1", ":17");
    }

    #[test]
    fn what_cannot_be_counted_is_refused_and_leaves_no_key() {
        let mut desk = Desk::new();
        desk.check("SET s 1", "+OK");
        for (line, fault) in [
            ("HINCRBY h a 9999999999999999999", "-ERR value is not an integer or out of range"),
            ("HINCRBY h a 1.5", "-ERR value is not an integer or out of range"),
            ("HINCRBY s a x", "-ERR value is not an integer or out of range"),
            ("HINCRBY s a 1", WRONG_TYPE),
            ("HINCRBYFLOAT h a abc", "-ERR value is not a valid float"),
            ("HINCRBYFLOAT h a nan", "-ERR value is not a valid float"),
            ("HINCRBYFLOAT h a inf", "-ERR value is NaN or Infinity"),
            ("HINCRBYFLOAT s a -inf", "-ERR value is NaN or Infinity"),
            ("HINCRBYFLOAT s a 1", WRONG_TYPE),
        ] {
            desk.check(line, fault);
        }
        desk.check("EXISTS h", ":0");
        desk.check("GET s", "$1 1");
    }

    #[test]
    fn values_that_are_no_numbers_stay_as_they_are() {
        let mut desk = Desk::new();
        for value in ["text", "\" 1\"", "\"1 \"", "1x", "\"\"", "nan"] {
            desk.run(&format!("HSET h a {value}"));
            desk.check("HINCRBY h a 1", "-ERR hash value is not an integer");
            desk.check("HINCRBYFLOAT h a 1", "-ERR hash value is not a float");
        }
        desk.check("HSET h a inf", ":0");
        desk.check("HINCRBYFLOAT h a 1", "-ERR increment would produce NaN or Infinity");
        desk.check("HGET h a", "$3 inf");
        desk.check("HSET h m 9223372036854775807", ":1");
        desk.check("HINCRBY h m 1", "-ERR increment or decrement would overflow");
        desk.check("HSET h m -9223372036854775808", ":0");
        desk.check("HINCRBY h m -1", "-ERR increment or decrement would overflow");
        desk.check("HGET h m", "$20 -9223372036854775808");
        let reply = desk.run("HINCRBYFLOAT h big 1.1e4932");
        assert!(reply.starts_with("$4933\r\n10999999"), "{}", &reply[..20]);
        desk.check("HINCRBYFLOAT h big 1.1e4932", "-ERR increment would produce NaN or Infinity");
    }
}
