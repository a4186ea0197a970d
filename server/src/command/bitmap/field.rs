//! BITFIELD: integers of any width, anywhere in a string.

use super::*;
use crate::store::Key;
use crate::types::bits::{Kind, Overflow};
use std::ops::Range;

const KIND_AND_OFFSET: &[Arg] = &[text("encoding"), int("offset")];

pub const BITFIELD: Command = Command {
    name: "BITFIELD",
    run: |cx, args| field(cx, args, true),
    summary: "Reads and changes integers of any width in a string.",
    complexity: "O(1) for each operation",
    since: "3.2.0",
    args: &[
        key("key", Usage::Update),
        one_of(
            "operation",
            &[
                block("get-block", KIND_AND_OFFSET).after("GET"),
                block(
                    "write",
                    &[
                        one_of("overflow-block", &[token("wrap", "WRAP"), token("sat", "SAT"), token("fail", "FAIL")])
                            .after("OVERFLOW")
                            .optional(),
                        one_of(
                            "write-operation",
                            &[
                                block("set-block", &[text("encoding"), int("offset"), int("value")]).after("SET"),
                                block("incrby-block", &[text("encoding"), int("offset"), int("increment")])
                                    .after("INCRBY"),
                            ],
                        ),
                    ],
                ),
            ],
        )
        .optional()
        .many(),
    ],
    flags: Flags::WRITE.and(Flags::DENYOOM),
    key_use: KeyUse::ByToken {
        tokens: &["SET", "INCRBY"],
        with: &["RW", "access", "update"],
        without: &["RO", "access"],
    },
    ..BITMAP
};

pub const BITFIELD_RO: Command = Command {
    name: "BITFIELD_RO",
    run: |cx, args| field(cx, args, false),
    summary: "Reads integers of any width in a string.",
    complexity: "O(1) for each operation",
    since: "6.0.0",
    args: &[key("key", Usage::Read), block("get-block", KIND_AND_OFFSET).after("GET").optional().many_tokens()],
    flags: Flags::READONLY.and(Flags::FAST),
    ..BITMAP
};

fn field(cx: &mut Ctx<'_>, args: &mut Args<'_>, may_write: bool) -> Outcome {
    let key = args.key()?;
    let operations = Operations { args: args.clone(), overflow: Overflow::Wrap };
    let plan = operations.plan(cx)?;
    if plan.len_min == 0 {
        return get_all(cx, key, operations, &plan);
    }
    if !may_write {
        return Err(Fault::text("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    run_all(cx, key, operations, &plan)
}

/// What is done with one integer.
struct Step {
    verb: Verb,
    kind: Kind,
    /// In bits.
    offset: u64,
    overflow: Overflow,
}

#[derive(Clone, Copy)]
enum Verb {
    Get,
    Set(i64),
    Increment(i64),
}

/// The operations of a call. They are read twice, first to see that all are right, rather than kept.
#[derive(Clone)]
struct Operations<'a> {
    args: Args<'a>,
    /// What was said last.
    overflow: Overflow,
}

/// What is known once all operations were looked at.
struct Plan {
    steps: usize,
    /// How many bytes the string must have for what is written; 0 if nothing is.
    len_min: usize,
}

impl Operations<'_> {
    /// # Errors
    ///
    /// The first operation that is none.
    fn plan(&self, cx: &Ctx<'_>) -> Result<Plan, Fault> {
        let mut plan = Plan { steps: 0, len_min: 0 };
        let mut operations = self.clone();
        while let Some(step) = operations.next(cx.node.tuning.bulk_len_max() as u64)? {
            plan.steps += 1;
            if !matches!(step.verb, Verb::Get) {
                plan.len_min = plan.len_min.max(bits::bytes_for(step.offset, step.kind.width()));
            }
        }
        Ok(plan)
    }

    /// Runs `each` on every step; [`Operations::plan`] has seen that they are in order.
    fn each(mut self, bytes_max: u64, mut each: impl FnMut(Step)) {
        while let Ok(Some(step)) = self.next(bytes_max) {
            each(step);
        }
    }

    fn next(&mut self, bytes_max: u64) -> Result<Option<Step>, Fault> {
        while self.args.take("OVERFLOW") {
            self.overflow = overflow(self.args.word()?)?;
        }
        let is_get = self.args.take("GET");
        let is_set = !is_get && self.args.take("SET");
        let words = if is_get { 2 } else { 3 };
        if !is_get && !is_set && !self.args.take("INCRBY") {
            return if self.args.is_empty() { Ok(None) } else { Err(Fault::Syntax) };
        }
        if self.args.len() < words {
            return Err(Fault::Syntax);
        }
        let kind = Kind::parse(self.args.word()?).ok_or(NOT_A_KIND)?;
        let offset = bits::parse_offset(self.args.word()?, Some(kind.width()), bytes_max).ok_or(NOT_AN_OFFSET)?;
        let verb = match (is_get, is_set) {
            (true, _) => Verb::Get,
            (_, true) => Verb::Set(self.args.int()?),
            _ => Verb::Increment(self.args.int()?),
        };
        Ok(Some(Step { verb, kind, offset, overflow: self.overflow }))
    }
}

const NOT_A_KIND: Fault =
    Fault::text("ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.");

fn overflow(word: &[u8]) -> Result<Overflow, Fault> {
    match word {
        word if word.eq_ignore_ascii_case(b"WRAP") => Ok(Overflow::Wrap),
        word if word.eq_ignore_ascii_case(b"SAT") => Ok(Overflow::Saturate),
        word if word.eq_ignore_ascii_case(b"FAIL") => Ok(Overflow::Fail),
        _ => Err(Fault::text("ERR Invalid OVERFLOW type specified")),
    }
}

/// Replies with integers of a string that stays as it is.
fn get_all(cx: &mut Ctx<'_>, key: Key<'_>, operations: Operations<'_>, plan: &Plan) -> Outcome {
    let bytes_max = cx.node.tuning.bulk_len_max() as u64;
    let Some(entry) = read(&mut cx.store, key)? else {
        cx.missed(key);
        cx.reply.array(plan.steps);
        (0..plan.steps).for_each(|_| cx.reply.int(0));
        return REPLIED;
    };
    cx.reply.array(plan.steps);
    operations.each(bytes_max, |step| cx.reply.int(integer_at(entry.value(), step.offset, step.kind)));
    REPLIED
}

/// The integer at an offset, beyond the end if need be.
fn integer_at(value: Value<'_>, offset: u64, kind: Kind) -> i64 {
    if let Value::Bytes(bytes) = value {
        return bits::get(bytes, offset, kind);
    }
    // 64 bits that begin anywhere touch nine bytes.
    let mut window = [0; 9];
    let first = (offset / 8) as usize;
    let mut start = 0;
    for part in parts(value, &mut Digits::new()) {
        let end = start + part.len();
        let (from, to) = (first.max(start), (first + window.len()).min(end));
        if from < to {
            window[from - first..to - first].copy_from_slice(&part[from - start..to - start]);
        }
        start = end;
    }
    bits::get(&window, offset % 8, kind)
}

/// Runs operations of which some write, and tells if a bit has changed or the string has become longer by one of them.
fn run_all(cx: &mut Ctx<'_>, key: Key<'_>, operations: Operations<'_>, plan: &Plan) -> Outcome {
    let bytes_max = cx.node.tuning.bulk_len_max() as u64;
    let old_len = peek(&mut cx.store, key)?.map(|entry| entry.value().len());
    let mut is_changed = false;
    let Ctx { reply, store, .. } = cx;
    reply.array(plan.steps);
    let mut run = |bytes: &mut [u8], is_longer: bool| {
        operations.clone().each(bytes_max, |step| is_changed |= run_step(reply, bytes, &step, is_longer));
        is_changed
    };
    let touches = |touch: &mut dyn FnMut(Range<usize>)| {
        operations.clone().each(bytes_max, |step| {
            touch((step.offset / 8) as usize..bits::bytes_for(step.offset, step.kind.width()));
        });
    };
    let is_done =
        old_len.is_some_and(|len| store.edit_if(key, plan.len_min, &touches, |bytes| run(bytes, len < plan.len_min)));
    if !is_done {
        let mut bytes = vec![0; plan.len_min];
        run(&mut bytes, true);
        cx.event_if_new(key);
        cx.store.set(key, New::built(&mut bytes), None);
    }
    cx.event_if(is_changed, Class::String, "setbit", key.bytes);
    REPLIED
}

/// Runs one operation and replies. Returns whether it changed something; in a string that has become longer, one that
/// was not refused has.
fn run_step(reply: &mut Reply, bytes: &mut [u8], step: &Step, is_longer: bool) -> bool {
    let Step { verb, kind, offset, overflow } = *step;
    let old = bits::get(bytes, offset, kind);
    let shown = match verb {
        Verb::Get => {
            reply.int(old);
            return false;
        }
        Verb::Set(number) => bits::set(bytes, offset, kind, number, overflow),
        Verb::Increment(by) => bits::increment(bytes, offset, kind, by, overflow),
    };
    match shown {
        Some(shown) => reply.int(shown),
        None => reply.null(),
    }
    shown.is_some() && (is_longer || bits::get(bytes, offset, kind) != old)
}
