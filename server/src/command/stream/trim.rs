//! `XTRIM`, and the options that `XADD` shares with it.

use super::*;
use crate::types::stream::{NodeLimits, Trim, TrimTo};

/// What is taken off the front, and how exactly.
pub const TRIM: Arg = block(
    "trim",
    &[
        one_of("strategy", &[token("maxlen", "MAXLEN"), token("minid", "MINID").since("6.2.0")]),
        one_of("operator", &[token("equal", "="), token("approximately", "~")]).optional(),
        text("threshold"),
        int("count").after("LIMIT").optional().since("6.2.0"),
    ],
);

pub const XTRIM: Command = Command {
    name: "XTRIM",
    run: xtrim,
    summary: "Removes the oldest entries of a stream.",
    complexity: "O(N) for N removed entries, most of which go many at a time",
    args: &[key("key", Usage::Update), TRIM],
    flags: Flags::WRITE,
    tips: VARIES,
    key_use: KeyUse::Flags(&["RW", "delete"]),
    ..STREAM
};

fn xtrim(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let mut options = Options::default();
    while !args.is_empty() {
        if !options.take(args)? {
            return Err(Fault::Syntax);
        }
    }
    options.check_limit()?;
    if options.to.is_none() {
        return Err(Fault::text("ERR syntax error, XTRIM must be called with a trimming strategy"));
    }
    let trim = options.finish(cx.node.limits.of_stream())?;
    let mut removed = 0;
    if let Some(mut stream) = cx.store.open::<Stream>(key)? {
        removed = trim.map_or(0, |trim| stream.log_mut().trim(trim));
        if removed == 0 {
            stream.unchanged();
        }
    }
    cx.event_if(removed > 0, Class::Stream, "xtrim", key.bytes);
    if let Some(trim) = trim.filter(|_| removed > 0 && cx.is_noted()) {
        let kept = kept_by(cx, key, trim.to)?;
        let head = [&b"XTRIM"[..], key.bytes].into_iter();
        cx.replicate(&head.chain(kept.iter().map(Vec::as_slice)).collect::<Vec<&[u8]>>());
    }
    cx.reply.int(removed as i64);
    REPLIED
}

/// Words that trim a stream exactly to what it is now, however much nodes and limits have let stay.
pub fn kept_by(cx: &Ctx<'_>, key: Key<'_>, to: TrimTo) -> Result<Vec<Vec<u8>>, Fault> {
    let Some(stream) = cx.store.view::<Stream>(key)? else { return Ok(Vec::new()) };
    let first = stream.log().range(Id::MIN, Id::MAX).next();
    Ok(match (to, first) {
        (TrimTo::MinId(_), Some(first)) => vec![b"MINID".to_vec(), b"=".to_vec(), first.id.text().as_bytes().to_vec()],
        _ => vec![b"MAXLEN".to_vec(), b"=".to_vec(), stream.len().to_string().into_bytes()],
    })
}

/// The options as far as they have been read.
#[derive(Default)]
pub struct Options {
    to: Option<TrimTo>,
    is_approximate: bool,
    limit: Option<u64>,
}

impl Options {
    /// Takes one of the options with its words; false if none stands there.
    pub fn take(&mut self, args: &mut Args<'_>) -> Result<bool, Fault> {
        if args.len() < 2 {
            return Ok(false);
        }
        if args.take("MAXLEN") {
            self.begin(args)?;
            let len = u64::try_from(args.int()?).map_err(|_| Fault::text("ERR The MAXLEN argument must be >= 0."))?;
            self.to = Some(TrimTo::Length(len));
        } else if args.take("MINID") {
            self.begin(args)?;
            self.to = Some(TrimTo::MinId(id(args.word()?)?));
        } else if args.take("LIMIT") {
            let limit = u64::try_from(args.int()?).map_err(|_| Fault::text("ERR The LIMIT argument must be >= 0."))?;
            self.limit = Some(limit);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Takes what stands between the name of a strategy and its threshold.
    fn begin(&mut self, args: &mut Args<'_>) -> Result<(), Fault> {
        if self.to.is_some() {
            return Err(Fault::text("ERR syntax error, MAXLEN and MINID options at the same time are not compatible"));
        }
        if args.len() > 1 {
            self.is_approximate = args.take("~");
            if !self.is_approximate {
                args.take("=");
            }
        }
        Ok(())
    }

    /// An error if there is a limit to nothing. One of 0, which is none, may stand alone for now.
    pub fn check_limit(&self) -> Result<(), Fault> {
        if self.to.is_none() && self.limit.is_some_and(|limit| limit > 0) {
            return Err(Fault::text("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"));
        }
        Ok(())
    }

    /// What is to be trimmed, if anything.
    pub fn finish(self, limits: NodeLimits) -> Result<Option<Trim>, Fault> {
        self.check_limit()?;
        if self.limit.is_some() && !self.is_approximate {
            return Err(Fault::text("ERR syntax error, LIMIT cannot be used without the special ~ option"));
        }
        let limit = match self.limit {
            None if self.is_approximate => Some(Trim::default_limit(limits)),
            limit => limit.filter(|limit| *limit > 0),
        };
        Ok(self.to.map(|to| Trim { to, is_approximate: self.is_approximate, limit }))
    }
}
