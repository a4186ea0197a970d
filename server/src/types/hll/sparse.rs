//! Registers as runs of equal ones: see the head of `hll` for the bytes.
//!
//! Which runs stand for given registers is not unique. They are split, joined and given up for the dense form exactly
//! where Redis does so, so that the same commands leave the same bytes.

use super::estimate::Histogram;
use super::{Error, HEADER, REGISTERS};
use std::fmt::Write as _;

/// All registers are 0.
pub(super) const ZEROS: [u8; 2] = [0x7f, 0xff];

const ZERO_MAX: usize = 64;
const VALUE_RUN_MAX: usize = 4;

/// The greatest count that a run can have.
const VALUE_MAX: u8 = 32;

/// How many runs, from the one before a change on, are tried for being joined with the next one.
const JOINED_MAX: usize = 5;

/// Registers of one count.
#[derive(Clone, Copy)]
struct Run {
    kind: Kind,
    /// At least 1.
    registers: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Up to 64 registers of 0, in a byte.
    Zero,
    /// Up to 16 384 registers of 0, in two bytes.
    LongZero,
    /// Up to four registers of 1 to 32, in a byte.
    Value(u8),
}

impl Run {
    /// The run that begins with these bytes; `None` if they end too early.
    fn read(bytes: &[u8]) -> Option<Run> {
        let first = *bytes.first()?;
        Some(match first >> 6 {
            0 => Run { kind: Kind::Zero, registers: usize::from(first) + 1 },
            1 => {
                let high = usize::from(first & 63) << 8;
                Run { kind: Kind::LongZero, registers: (high | usize::from(*bytes.get(1)?)) + 1 }
            }
            _ => Run { kind: Kind::Value((first >> 2 & 31) + 1), registers: usize::from(first & 3) + 1 },
        })
    }

    fn zeros(registers: usize) -> Run {
        Run { kind: if registers > ZERO_MAX { Kind::LongZero } else { Kind::Zero }, registers }
    }

    fn value(count: u8, registers: usize) -> Run {
        Run { kind: Kind::Value(count), registers }
    }

    fn bytes(self) -> usize {
        if self.kind == Kind::LongZero { 2 } else { 1 }
    }

    fn count(self) -> u8 {
        if let Kind::Value(count) = self.kind { count } else { 0 }
    }

    fn with(self, registers: usize) -> Run {
        match self.kind {
            Kind::Value(count) => Run::value(count, registers),
            Kind::Zero | Kind::LongZero => Run::zeros(registers),
        }
    }

    fn write(self, out: &mut Vec<u8>) {
        let extra = self.registers - 1;
        match self.kind {
            Kind::Zero => out.push(extra as u8),
            Kind::LongZero => out.extend([0x40 | (extra >> 8) as u8, extra as u8]),
            Kind::Value(count) => out.push(0x80 | (count - 1) << 2 | extra as u8),
        }
    }
}

fn runs(bytes: &[u8]) -> impl Iterator<Item = Run> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let run = Run::read(rest)?;
        rest = &rest[run.bytes()..];
        Some(run)
    })
}

/// What became of a register that was to be raised.
pub(super) enum Raised {
    Yes,
    /// It is as high already.
    No,
    /// It cannot, or the counter would be too long. Nothing is changed.
    MustBeDense,
}

/// Raises a register of a sparse counter to at least `count`.
pub(super) fn raise(
    counter: &mut Vec<u8>,
    register: usize,
    count: u8,
    sparse_bytes_max: usize,
) -> Result<Raised, Error> {
    if count > VALUE_MAX {
        return Ok(Raised::MustBeDense);
    }
    let Place { before, start, first, run } = find(counter, register)?;
    if run.count() >= count {
        return Ok(Raised::No);
    }
    let new = Run::value(count, 1);
    // At most three runs, of at most five bytes.
    let mut bytes = Vec::with_capacity(5);
    if run.registers == 1 && run.kind != Kind::LongZero {
        new.write(&mut bytes);
    } else {
        let (below, above) = (register - first, first + run.registers - 1 - register);
        if below > 0 {
            run.with(below).write(&mut bytes);
        }
        new.write(&mut bytes);
        if above > 0 {
            run.with(above).write(&mut bytes);
        }
    }
    let is_longer = bytes.len() > run.bytes();
    if is_longer && counter.len() + bytes.len() - run.bytes() > sparse_bytes_max {
        return Ok(Raised::MustBeDense);
    }
    counter.splice(start..start + run.bytes(), bytes);
    join(counter, before);
    Ok(Raised::Yes)
}

/// The count of a register of a sparse counter.
///
/// # Errors
///
/// [`Error::Corrupt`] if the runs end before it.
pub(super) fn get(counter: &[u8], register: usize) -> Result<u8, Error> {
    Ok(find(counter, register)?.run.count())
}

struct Place {
    /// Where the run before starts; if there is none, where this one does.
    before: usize,
    start: usize,
    /// The first register of the run.
    first: usize,
    run: Run,
}

fn find(counter: &[u8], register: usize) -> Result<Place, Error> {
    let (mut before, mut start, mut first) = (HEADER, HEADER, 0);
    loop {
        let run = Run::read(&counter[start..]).ok_or(Error::Corrupt)?;
        if register < first + run.registers {
            return Ok(Place { before, start, first, run });
        }
        before = start;
        start += run.bytes();
        first += run.registers;
    }
}

/// Joins neighbouring runs of the same count, if one can hold them, near a place that changed.
fn join(counter: &mut Vec<u8>, from: usize) {
    let mut at = from;
    for _ in 0..JOINED_MAX {
        let Some(run) = Run::read(&counter[at..]) else { return };
        let next = Run::read(&counter[at + run.bytes()..]);
        match (run.kind, next) {
            (Kind::Value(count), Some(next))
                if next.kind == run.kind && run.registers + next.registers <= VALUE_RUN_MAX =>
            {
                let mut joined = Vec::with_capacity(1);
                Run::value(count, run.registers + next.registers).write(&mut joined);
                // It stays, and may be joined with the one behind it.
                counter.splice(at..at + 2, joined);
            }
            _ => at += run.bytes(),
        }
    }
}

/// # Errors
///
/// [`Error::Corrupt`] if the runs are not of as many registers as there are.
pub(super) fn histogram(bytes: &[u8]) -> Result<Histogram, Error> {
    let mut histogram = Histogram::default();
    let mut registers = 0;
    for run in runs(bytes) {
        registers += run.registers;
        if registers > REGISTERS {
            return Err(Error::Corrupt);
        }
        histogram.add(run.count(), run.registers);
    }
    if registers == REGISTERS { Ok(histogram) } else { Err(Error::Corrupt) }
}

/// Raises each of `registers` to what it is here.
///
/// # Errors
///
/// [`Error::Corrupt`] as in [`histogram`].
pub(super) fn max_into(bytes: &[u8], registers: &mut [u8]) -> Result<(), Error> {
    let mut rest = registers;
    for run in runs(bytes) {
        let (own, others) = rest.split_at_mut_checked(run.registers).ok_or(Error::Corrupt)?;
        own.iter_mut().for_each(|register| *register = (*register).max(run.count()));
        rest = others;
    }
    if rest.is_empty() { Ok(()) } else { Err(Error::Corrupt) }
}

pub(super) fn decode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for run in runs(bytes) {
        let separator = if text.is_empty() { "" } else { " " };
        let registers = run.registers;
        match run.kind {
            Kind::Zero => write!(text, "{separator}z:{registers}"),
            Kind::LongZero => write!(text, "{separator}Z:{registers}"),
            Kind::Value(count) => write!(text, "{separator}v:{count},{registers}"),
        }
        .expect("a String takes every write");
    }
    text
}
