//! Commands that wait for a key to get what they want.

use super::context::{Ctx, Outcome};
use super::fault::Fault;
use super::reply::Reply;
use super::words::REPLIED;
use crate::base::number::parse_f64;
use crate::base::number::parse_i64;
use crate::store::Key;

/// What a key must hold for a waiting command to have a chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaited {
    List,
    ZSet,
    Stream,
    /// A stream with a consumer group: it is told when the key is gone.
    Group,
}

/// A command's wait: for any of its keys, all of which its row names.
pub struct Await<'a> {
    pub keys: &'a [Key<'a>],
    pub what: Awaited,
    /// Milliseconds since 1970; for ever if `None`.
    pub until_ms: Option<u64>,
    /// What is answered when the time is over, or where nothing may wait.
    pub nothing: fn(&mut Reply),
    /// The words to run the command with once there may be something, name included; its own if `None`. `XREAD` puts the
    /// last id in place of `$`.
    pub words: Option<Vec<Vec<u8>>>,
}

/// The time at which a wait is over: `seconds` from now, `None` for ever.
///
/// # Errors
///
/// Redis's, for what is no such time.
pub fn until_seconds(seconds: &[u8], now_ms: u64) -> Result<Option<u64>, Fault> {
    let seconds = parse_f64(seconds).ok_or(Fault::text("ERR timeout is not a float or out of range"))?;
    let ms = (seconds * 1000.0).ceil();
    if ms > i64::MAX as f64 {
        return Err(Fault::text("ERR timeout is out of range"));
    }
    until(ms as i64, now_ms)
}

/// The time at which a wait is over: `millis` from now, `None` for ever.
///
/// # Errors
///
/// Redis's, for what is no such time.
pub fn until_millis(millis: &[u8], now_ms: u64) -> Result<Option<u64>, Fault> {
    until(parse_i64(millis).ok_or(Fault::text("ERR timeout is not an integer or out of range"))?, now_ms)
}

fn until(ms: i64, now_ms: u64) -> Result<Option<u64>, Fault> {
    let ms = u64::try_from(ms).map_err(|_| Fault::text("ERR timeout is negative"))?;
    if ms > i64::MAX as u64 - now_ms {
        return Err(Fault::text("ERR timeout is out of range"));
    }
    Ok((ms > 0).then(|| now_ms + ms))
}

impl Ctx<'_> {
    /// Ends a command that found nothing: it is run again when one of its keys may have got what it waits for. In a
    /// transaction, or when its time is over, it answers that there was nothing.
    ///
    /// Nothing may have been changed or replied before.
    pub fn wait_for(&mut self, wait: Await<'_>) -> Outcome {
        (wait.nothing)(self.reply);
        REPLIED
    }
}
