//! The words that commands on the expiry of fields share: `FIELDS` with its number, and times.

use super::*;
use crate::command::expiry::Unit;
use crate::types::item::STAMP_MAX;

/// The latest time at which a field may expire, in milliseconds since 1970: Redis leaves the two top bits of a stamp free.
pub(super) const EXPIRY_MAX: u64 = STAMP_MAX >> 2;

/// The arguments behind the key and the options.
pub(super) const FIELDS: Arg = block("fields", &[int("numfields"), text("field").many()]).after("FIELDS");

/// Takes `FIELDS` and its number, behind which as many words stand as the number says.
///
/// # Errors
///
/// Redis's, with `none` as the text for what is no positive number.
pub(super) fn take_number(args: &mut Args<'_>, none: &'static str) -> Result<(), Fault> {
    if !args.take("FIELDS") {
        return Err(Fault::text("ERR Mandatory argument FIELDS is missing or not at the right position"));
    }
    match args.int() {
        Ok(number @ 1..) if number as usize == args.len() => Ok(()),
        Ok(1..) => Err(Fault::text("ERR The `numfields` parameter must match the number of arguments")),
        _ => Err(Fault::text(none)),
    }
}

/// What most commands say to a number of fields that is none.
pub(super) const NO_NUMBER: &str = "ERR Number of fields must be a positive integer";

/// Takes a time: `base_ms` is what a relative one is counted from, and `None` says that it is absolute.
///
/// Returns milliseconds since 1970, which may have passed.
///
/// # Errors
///
/// If it is no integer, negative, or later than [`EXPIRY_MAX`].
pub(super) fn take_time(cx: &Ctx<'_>, args: &mut Args<'_>, unit: Unit, base_ms: Option<u64>) -> Result<u64, Fault> {
    let value = args.int()?;
    let value = u64::try_from(value).map_err(|_| Fault::text("ERR invalid expire time, must be >= 0"))?;
    let ms = match unit {
        Unit::Seconds => value.checked_mul(1000),
        Unit::Millis => Some(value),
    };
    ms.and_then(|ms| ms.checked_add(base_ms.unwrap_or(0)))
        .filter(|ms| *ms <= EXPIRY_MAX)
        .ok_or_else(|| Fault::InvalidExpire(cx.name().into()))
}

/// Takes `EX`, `PX`, `EXAT` or `PXAT` if one of them is next, and says in which unit and from when its time counts.
pub(super) fn take_unit(args: &mut Args<'_>, now: u64) -> Option<(Unit, Option<u64>)> {
    const TOKENS: [(&str, Unit, bool); 4] = [
        ("EX", Unit::Seconds, true),
        ("PX", Unit::Millis, true),
        ("EXAT", Unit::Seconds, false),
        ("PXAT", Unit::Millis, false),
    ];
    let (_, unit, is_relative) = TOKENS.into_iter().find(|(token, ..)| args.take(token))?;
    Some((unit, is_relative.then_some(now)))
}

/// Makes a field that is there expire at a time, or takes it out if the time has come. Says whether it is still there.
pub(super) fn set_time(hash: &mut Edit<'_, Hash>, field: &[u8], time: u64, now: u64) -> bool {
    if time <= now {
        hash.remove(field);
        return false;
    }
    hash.set_expiry(field, Some(time))
}

/// The arguments that say when fields expire, in the order of `SET`.
pub(super) const TIMES: [Arg; 4] = [
    int("seconds").after("EX"),
    int("milliseconds").after("PX"),
    unix_time("unix-time-seconds").after("EXAT"),
    unix_time("unix-time-milliseconds").after("PXAT"),
];
