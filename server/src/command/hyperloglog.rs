//! HyperLogLog: strings that count how many different elements they were shown. `types/hll` has the counters themselves.

use super::string::{Text, bytes, peek, read, write};
use super::*;
use crate::store::{Key, New};
use crate::types::hll::{self, Encoding, Union};

pub const COMMANDS: &[Command] = &[PFADD, PFCOUNT, PFDEBUG, PFMERGE, PFSELFTEST];

const HLL: Command = Command { group: Group::HyperLogLog, since: "2.8.9", ..COMMAND };

impl From<hll::Error> for Fault {
    fn from(error: hll::Error) -> Fault {
        Fault::text(match error {
            hll::Error::NotACounter => "WRONGTYPE Key is not a valid HyperLogLog string value.",
            hll::Error::Corrupt => "INVALIDOBJ Corrupted HLL object detected",
        })
    }
}

const PFADD: Command = Command {
    name: "PFADD",
    run: pfadd,
    summary: "Shows elements to a counter, which is created if needed, and tells whether its estimate may have changed.",
    complexity: "O(1) for each element",
    args: &[key("key", Usage::Update), text("element").optional().many()],
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
    key_use: KeyUse::Flags(&["RW", "insert"]),
    ..HLL
};

fn pfadd(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let Some(entry) = peek(&mut cx.store, key)? else {
        return add_to_new(cx, key, args);
    };
    let (mut text, expiry) = (Text::default(), entry.expiry());
    let counter = bytes(entry.value(), &mut text);
    let encoding = hll::encoding(counter)?;
    // Most elements were seen before. What they are shown to is neither copied nor written then.
    while let Some(element) = args.peek() {
        if hll::is_news(counter, element)? {
            break;
        }
        args.word()?;
    }
    if args.is_empty() {
        cx.reply.int(0);
        return REPLIED;
    }
    match encoding {
        Encoding::Sparse => {
            let mut counter = counter.to_vec();
            add_all(cx, &mut counter, args)?;
            write(cx, key, New::built(&mut counter), expiry, "pfadd");
        }
        Encoding::Dense if add_in_place(cx, key, args.clone()) => cx.event(Class::String, "pfadd", key.bytes),
        Encoding::Dense => return add_to_new(cx, key, args),
    }
    cx.reply.int(1);
    REPLIED
}

/// Makes a counter, even of no elements. That its estimate is 0 counts as a change.
fn add_to_new(cx: &mut Ctx<'_>, key: Key<'_>, args: &mut Args<'_>) -> Outcome {
    let mut counter = hll::new();
    hll::invalidate(&mut counter);
    add_all(cx, &mut counter, args)?;
    write(cx, key, New::built(&mut counter), None, "pfadd");
    cx.reply.int(1);
    REPLIED
}

fn add_all(cx: &Ctx<'_>, counter: &mut Vec<u8>, args: &mut Args<'_>) -> Result<(), Fault> {
    let sparse_bytes_max = cx.node.limits.hll_sparse_max();
    for element in args.rest() {
        hll::add(counter, element, sparse_bytes_max)?;
    }
    Ok(())
}

/// Adds to a dense counter where it lies. `false` if it had to make room for itself.
fn add_in_place(cx: &mut Ctx<'_>, key: Key<'_>, mut args: Args<'_>) -> bool {
    cx.store.edit(key, 0, &|touch| touch(0..usize::MAX), |counter| {
        for element in args.rest() {
            hll::add_dense(counter, element).expect("it was found to be a dense counter");
        }
    })
}

const PFCOUNT: Command = Command {
    name: "PFCOUNT",
    run: pfcount,
    summary: "Estimates how many different elements one or several counters were shown.",
    complexity: "O(1) for one key, O(N) with a large constant for N keys",
    args: &[key("key", Usage::Read).many()],
    flags: Flags::READONLY.and(Flags::MAY_REPLICATE),
    // The estimate of a single counter is kept in it.
    key_use: KeyUse::Flags(&["RW", "access"]),
    ..HLL
};

fn pfcount(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let estimate = if args.len() == 1 { count_one(cx, args.key()?)? } else { count_union(cx, args)? };
    cx.reply.int(estimate as i64);
    REPLIED
}

fn count_one(cx: &mut Ctx<'_>, key: Key<'_>) -> Result<u64, Fault> {
    let Some(entry) = read(&mut cx.store, key)? else {
        cx.missed(key);
        return Ok(0);
    };
    if let Some(estimate) = hll::cached(bytes(entry.value(), &mut Text::default()))? {
        return Ok(estimate);
    }
    let mut counted = Ok((0, false));
    cx.store.edit_if(key, 0, &|touch| touch(0..usize::MAX), |counter| {
        counted = hll::count(counter);
        matches!(counted, Ok((_, true)))
    });
    Ok(counted?.0)
}

fn count_union(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Result<u64, Fault> {
    let mut union = Union::default();
    while !args.is_empty() {
        add_key(cx, &mut union, args.key()?)?;
    }
    Ok(union.estimate())
}

/// Takes the counter of a key into a union, if there is one.
fn add_key(cx: &mut Ctx<'_>, union: &mut Union, key: Key<'_>) -> Result<(), Fault> {
    match read(&mut cx.store, key)? {
        Some(entry) => union.add(bytes(entry.value(), &mut Text::default()))?,
        None => cx.missed(key),
    }
    Ok(())
}

const PFMERGE: Command = Command {
    name: "PFMERGE",
    run: pfmerge,
    summary: "Lets a counter, which is created if needed, have seen what others have seen.",
    complexity: "O(N) with a large constant for N counters",
    args: &[key("destkey", Usage::Update), key("sourcekey", Usage::Read).optional().many()],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    key_use: KeyUse::Each(&[&["RW", "access", "insert"], &["RO", "access"]]),
    ..HLL
};

fn pfmerge(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let dest = args.clone().key()?;
    let mut union = Union::default();
    while !args.is_empty() {
        add_key(cx, &mut union, args.key()?)?;
    }
    let (mut counter, expiry) = match peek(&mut cx.store, dest)? {
        Some(entry) => (bytes(entry.value(), &mut Text::default()).to_vec(), entry.expiry()),
        None => (hll::new(), None),
    };
    hll::merge(&mut counter, &union, cx.node.limits.hll_sparse_max())?;
    write(cx, dest, New::built(&mut counter), expiry, "pfadd");
    cx.reply.ok();
    REPLIED
}

const PFDEBUG: Command = Command {
    name: "PFDEBUG",
    run: pfdebug,
    summary: "Looks into a counter, for tests.",
    complexity: "N/A",
    args: &[text("subcommand"), key("key", Usage::Update)],
    flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::ADMIN),
    key_use: KeyUse::Flags(&["RW", "access"]),
    ..HLL
};

fn pfdebug(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let name = args.word()?;
    let key = args.key()?;
    let entry = peek(&mut cx.store, key)?.ok_or(Fault::text("ERR The specified key does not exist"))?;
    let mut text = Text::default();
    let counter = bytes(entry.value(), &mut text);
    let encoding = hll::encoding(counter)?;
    match name.to_ascii_uppercase().as_slice() {
        b"ENCODING" => cx.reply.simple(encoding.name()),
        b"DECODE" => {
            let runs = hll::decode(counter)?.ok_or(Fault::text("ERR HLL encoding is not sparse"))?;
            cx.reply.text(&runs);
        }
        b"GETREG" => {
            let registers = hll::registers(counter)?;
            make_dense(cx, key)?;
            cx.reply.array(registers.len());
            registers.iter().for_each(|&count| cx.reply.int(i64::from(count)));
        }
        b"TODENSE" => {
            let is_changed = make_dense(cx, key)?;
            cx.reply.int(i64::from(is_changed));
        }
        _ => return Err(unknown(name)),
    }
    REPLIED
}

fn unknown(name: &[u8]) -> Fault {
    Fault::Bytes([b"ERR Unknown PFDEBUG subcommand '", name, b"'"].concat())
}

/// Makes the counter of a key dense; whether it was not.
fn make_dense(cx: &mut Ctx<'_>, key: Key<'_>) -> Result<bool, Fault> {
    let Some(entry) = peek(&mut cx.store, key)? else { return Ok(false) };
    let expiry = entry.expiry();
    let mut counter = bytes(entry.value(), &mut Text::default()).to_vec();
    let is_changed = hll::make_dense(&mut counter)?;
    if is_changed {
        cx.store.rewrite(key, New::built(&mut counter), expiry);
    }
    Ok(is_changed)
}

const PFSELFTEST: Command = Command {
    name: "PFSELFTEST",
    run: pfselftest,
    summary: "Counts a million numbers and looks how far off the estimates are.",
    complexity: "N/A",
    flags: Flags::ADMIN,
    ..HLL
};

fn pfselftest(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    hll::self_test().map_err(|what| Fault::owned(format!("ERR TESTFAILED {what}")))?;
    cx.reply.ok();
    REPLIED
}

#[cfg(test)]
mod tests;
