//! Ranges of scores and of members, as ZRANGE BYSCORE and BYLEX take them.

use crate::base::number;

/// The scores between two bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    pub min: ScoreBound,
    pub max: ScoreBound,
}

/// An end of a [`ScoreRange`]. The score is never NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreBound {
    pub score: f64,
    /// Whether the score itself is left out.
    pub is_exclusive: bool,
}

impl ScoreRange {
    /// Reads two bounds such as `1.5`, `(1.5`, `-inf`; `None` if one is no number.
    ///
    /// The first is the lower one: for the REV forms, the caller exchanges them.
    pub fn parse(min: &[u8], max: &[u8]) -> Option<ScoreRange> {
        Some(ScoreRange { min: ScoreBound::parse(min)?, max: ScoreBound::parse(max)? })
    }

    /// Whether a score lies before the range.
    pub fn is_after(&self, score: f64) -> bool {
        if self.min.is_exclusive { score <= self.min.score } else { score < self.min.score }
    }

    /// Whether a score lies in the range, or before it.
    pub fn is_not_before(&self, score: f64) -> bool {
        if self.max.is_exclusive { score < self.max.score } else { score <= self.max.score }
    }

    /// Whether a score lies in the range.
    pub fn contains(&self, score: f64) -> bool {
        !self.is_after(score) && self.is_not_before(score)
    }
}

impl ScoreBound {
    /// Reads a bound: a number as C's `strtod` takes it, behind a `(` if it is exclusive.
    ///
    /// That is laxer than a score is read elsewhere, and so is Redis: spaces may lead, the text ends at its first NUL,
    /// no text at all is 0, and what is too large or too small is infinite or 0.
    pub fn parse(text: &[u8]) -> Option<ScoreBound> {
        let (is_exclusive, text) = match text.strip_prefix(b"(") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        Some(ScoreBound { score: parse_lax(text)?, is_exclusive })
    }
}

fn parse_lax(text: &[u8]) -> Option<f64> {
    let text = text.split(|&byte| byte == 0).next().unwrap_or_default();
    if text.is_empty() {
        return Some(0.0);
    }
    // 0x0b, a vertical tab, is a space to C but not to Rust.
    let start = text.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != 0x0b)?;
    let text = &text[start..];
    number::parse_f64(text).or_else(|| parse_beyond(text))
}

/// A number that leaves a double's range: infinite, or 0 or the smallest there is.
fn parse_beyond(text: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!value.is_nan()).then_some(value)
}

/// The members between two bounds, by their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LexRange<'a> {
    pub min: LexBound<'a>,
    pub max: LexBound<'a>,
}

/// An end of a [`LexRange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LexBound<'a> {
    /// Before all members: `-`.
    Lowest,
    /// Behind all members: `+`.
    Highest,
    /// This one and on: `[member`.
    Inclusive(&'a [u8]),
    /// Without this one: `(member`.
    Exclusive(&'a [u8]),
}

impl<'a> LexRange<'a> {
    /// Reads two bounds; `None` if one is not in a form that [`LexBound`] shows.
    ///
    /// The first is the lower one: for the REV forms, the caller exchanges them.
    pub fn parse(min: &'a [u8], max: &'a [u8]) -> Option<LexRange<'a>> {
        Some(LexRange { min: LexBound::parse(min)?, max: LexBound::parse(max)? })
    }

    /// Whether a member lies before the range.
    pub fn is_after(&self, member: &[u8]) -> bool {
        match self.min {
            LexBound::Lowest => false,
            LexBound::Highest => true,
            LexBound::Inclusive(bound) => member < bound,
            LexBound::Exclusive(bound) => member <= bound,
        }
    }

    /// Whether a member lies in the range, or before it.
    pub fn is_not_before(&self, member: &[u8]) -> bool {
        match self.max {
            LexBound::Lowest => false,
            LexBound::Highest => true,
            LexBound::Inclusive(bound) => member <= bound,
            LexBound::Exclusive(bound) => member < bound,
        }
    }

    /// Whether a member lies in the range.
    pub fn contains(&self, member: &[u8]) -> bool {
        !self.is_after(member) && self.is_not_before(member)
    }
}

impl<'a> LexBound<'a> {
    /// Reads `-`, `+`, `[member` or `(member`. A NUL right behind a sign ends the text, as in Redis.
    pub fn parse(text: &'a [u8]) -> Option<LexBound<'a>> {
        match text {
            [b'-'] | [b'-', 0, ..] => Some(LexBound::Lowest),
            [b'+'] | [b'+', 0, ..] => Some(LexBound::Highest),
            [b'[', member @ ..] => Some(LexBound::Inclusive(member)),
            [b'(', member @ ..] => Some(LexBound::Exclusive(member)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_scores_are_read_as_strtod_reads_them() {
        let cases: [(&[u8], f64, bool); 13] = [
            (b"1.5", 1.5, false),
            (b"(1.5", 1.5, true),
            (b"-inf", f64::NEG_INFINITY, false),
            (b"(+INF", f64::INFINITY, true),
            (b"", 0.0, false),
            (b"(", 0.0, true),
            (b" \t\x0b7", 7.0, false),
            (b"( 7", 7.0, true),
            (b"5\0x", 5.0, false),
            (b"1e400", f64::INFINITY, false),
            (b"-1e400", f64::NEG_INFINITY, false),
            (b"1e-400", 0.0, false),
            (b"0x10", 16.0, false),
        ];
        for (text, score, is_exclusive) in cases {
            let bound = ScoreBound { score, is_exclusive };
            assert_eq!(ScoreBound::parse(text), Some(bound), "{}", text.escape_ascii());
        }
        for text in [&b"nan"[..], b" ", b"1 ", b"((1", b"x", b"[1", b"1e", b"(nan"] {
            assert_eq!(ScoreBound::parse(text), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn bounds_of_members_have_four_forms() {
        assert_eq!(LexBound::parse(b"-"), Some(LexBound::Lowest));
        assert_eq!(LexBound::parse(b"+\0x"), Some(LexBound::Highest));
        assert_eq!(LexBound::parse(b"["), Some(LexBound::Inclusive(b"")));
        assert_eq!(LexBound::parse(b"(a\0"), Some(LexBound::Exclusive(b"a\0")));
        for text in [&b""[..], b"a", b"-x", b"+x", b" [a"] {
            assert_eq!(LexBound::parse(text), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn a_range_contains_what_is_between_its_bounds() {
        let range = ScoreRange::parse(b"(1", b"2").expect("both are numbers");
        assert_eq!([1.0, 1.5, 2.0, 2.5].map(|score| range.contains(score)), [false, true, true, false]);
        let range = LexRange::parse(b"[b", b"(d").expect("both are bounds");
        assert_eq!([b"a", b"b", b"c", b"d"].map(|member| range.contains(member)), [false, true, true, false]);
        assert!(!LexRange::parse(b"+", b"-").expect("both are bounds").contains(b"m"));
    }
}
