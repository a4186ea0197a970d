//! When a key expires: from what a client wrote to milliseconds since 1970.
//!
//! `SET`, `GETEX` and their relatives refuse a time that is not positive; the `EXPIRE` family takes one that has passed
//! and deletes the key. Both refuse what overflows, and in the same words.

use super::fault::Fault;
use super::row::Command;
use super::table;
use crate::store::record::EXPIRY_MAX;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Millis,
}

/// The time a key expires at, in milliseconds since 1970, where only a positive number makes sense.
///
/// `base_ms` is what a relative time is counted from; `None` says that the time is absolute. An absolute time may lie
/// in the past: see [`has_passed`]. Times beyond [`EXPIRY_MAX`] become that one.
///
/// # Errors
///
/// [`Fault::InvalidExpire`], with the name of `command`, if the number is not positive or too large for its unit.
pub fn deadline(value: i64, unit: Unit, base_ms: Option<u64>, command: &Command) -> Result<u64, Fault> {
    match millis(value, unit, base_ms) {
        Some(ms) if value > 0 => Ok((ms as u64).min(EXPIRY_MAX)),
        _ => Err(invalid(command)),
    }
}

/// As [`deadline`], for commands that take any number: a time before 1970 becomes 0, which has always passed.
///
/// # Errors
///
/// [`Fault::InvalidExpire`], with the name of `command`, if the number is too large, or too small, for its unit.
pub fn deadline_or_past(value: i64, unit: Unit, base_ms: Option<u64>, command: &Command) -> Result<u64, Fault> {
    let ms = millis(value, unit, base_ms).ok_or_else(|| invalid(command))?;
    Ok((ms.max(0) as u64).min(EXPIRY_MAX))
}

/// Whether a key with this deadline is gone already.
pub fn has_passed(deadline: u64, now_ms: u64) -> bool {
    deadline <= now_ms
}

/// `None` if it does not fit 64 bits with a sign, as times have in Redis.
fn millis(value: i64, unit: Unit, base_ms: Option<u64>) -> Option<i64> {
    let ms = match unit {
        Unit::Seconds => value.checked_mul(1000)?,
        Unit::Millis => value,
    };
    ms.checked_add_unsigned(base_ms.unwrap_or(0))
}

fn invalid(command: &Command) -> Fault {
    Fault::InvalidExpire(table::full_name(command).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::COMMAND;

    const NOW: u64 = 1_700_000_000_000;
    const SETEX: Command = Command {
        name: "SETEX",
        ..COMMAND
    };

    fn refused() -> Fault {
        Fault::InvalidExpire("setex".into())
    }

    #[test]
    fn relative_times_count_from_now() {
        assert_eq!(deadline(10, Unit::Seconds, Some(NOW), &SETEX), Ok(NOW + 10_000));
        assert_eq!(deadline(10, Unit::Millis, Some(NOW), &SETEX), Ok(NOW + 10));
        assert_eq!(
            deadline_or_past(-10, Unit::Seconds, Some(NOW), &SETEX),
            Ok(NOW - 10_000)
        );
    }

    #[test]
    fn absolute_times_may_have_passed() {
        assert_eq!(deadline(10, Unit::Seconds, None, &SETEX), Ok(10_000));
        assert_eq!(deadline_or_past(-10, Unit::Millis, None, &SETEX), Ok(0));
        assert!(has_passed(10_000, NOW) && has_passed(NOW, NOW) && !has_passed(NOW + 1, NOW));
    }

    #[test]
    fn only_the_expire_family_takes_what_is_not_positive() {
        for value in [0, -1, i64::MIN / 1000] {
            assert_eq!(
                deadline(value, Unit::Seconds, Some(NOW), &SETEX),
                Err(refused()),
                "{value}"
            );
            assert!(
                deadline_or_past(value, Unit::Seconds, Some(NOW), &SETEX).is_ok(),
                "{value}"
            );
        }
    }

    #[test]
    fn overflow_is_refused_and_the_far_future_is_not() {
        let over = [
            (i64::MAX / 1000 + 1, Unit::Seconds, None),
            (i64::MIN / 1000 - 1, Unit::Seconds, None),
            (i64::MAX, Unit::Millis, Some(NOW)),
            (i64::MAX / 1000, Unit::Seconds, Some(NOW)),
        ];
        for (value, unit, base) in over {
            assert_eq!(deadline(value, unit, base, &SETEX), Err(refused()), "{value}");
            assert_eq!(deadline_or_past(value, unit, base, &SETEX), Err(refused()), "{value}");
        }
        assert_eq!(deadline(i64::MAX, Unit::Millis, None, &SETEX), Ok(EXPIRY_MAX));
        assert_eq!(deadline_or_past(i64::MIN, Unit::Millis, Some(NOW), &SETEX), Ok(0));
    }
}
