//! Where the keys of a command stand when its words decide: behind a number of keys, or behind a token.
//!
//! The two halves of a specification, where to begin and how to go on from there, are those of Redis's `COMMAND INFO`.

use super::row::KeyRange;
use crate::base::number::parse_i64;

/// Keys of a command that are used alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    pub begin: Begin,
    pub find: Find,
    /// Redis's flags; all but the first are in either case.
    pub flags: &'static [&'static str],
}

/// Where the search begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At a position; 0 is the command's own.
    Index(usize),
    /// Behind a token, which is searched from a position on; from one counted from the end backwards if negative.
    Keyword { token: &'static str, from: isize },
    /// As `Keyword` from the front, where words that options take may read like the token: each of `options` takes so
    /// many.
    Options { token: &'static str, from: usize, options: &'static [(&'static str, usize)] },
    /// Nobody can tell but the command, which reads its options one by one; `last_after` is the token whose last
    /// occurrence stands before the one key, if there is such a key.
    Unknown { last_after: Option<&'static str> },
}

/// How keys follow from where the search began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// Every `step`-th word up to the last key, which is counted from the first, or from the end if negative. A `limit`
    /// of 2 says that they take the first half of what is left.
    Range { last: isize, step: usize, limit: usize },
    /// A number of keys stands there, and as many keys follow, one every `step` words.
    Count { step: usize },
    /// As [`Begin::Unknown`].
    Unknown,
}

impl KeySpec {
    /// Keys that stand next to each other, `more` behind the first.
    pub const fn range_of(first: usize, more: isize, flags: &'static [&'static str]) -> KeySpec {
        KeySpec { begin: Begin::Index(first), find: Find::Range { last: more, step: 1, limit: 0 }, flags }
    }

    /// A number of keys at a position, and the keys behind it.
    pub const fn counted_at(position: usize, flags: &'static [&'static str]) -> KeySpec {
        KeySpec { begin: Begin::Index(position), find: Find::Count { step: 1 }, flags }
    }

    /// A number of keys at a position, and the keys behind it, each with a value.
    pub const fn counted_pairs_at(position: usize, flags: &'static [&'static str]) -> KeySpec {
        KeySpec { begin: Begin::Index(position), find: Find::Count { step: 2 }, flags }
    }

    /// One key behind a token that stands at `from` at the earliest.
    pub const fn after(token: &'static str, from: isize, flags: &'static [&'static str]) -> KeySpec {
        KeySpec { begin: Begin::Keyword { token, from }, find: Find::Range { last: 0, step: 1, limit: 0 }, flags }
    }

    /// What older clients are told: the keys that stand at fixed places.
    pub fn range(&self) -> KeyRange {
        match (self.begin, self.find) {
            (Begin::Index(first), Find::Range { last, step, .. }) => {
                let last = if last < 0 { last } else { first as isize + last };
                KeyRange { first, last, step }
            }
            _ => KeyRange::default(),
        }
    }

    /// How many arguments of the row it covers.
    pub fn arguments(&self) -> usize {
        match self.find {
            Find::Range { last: last @ 0.., .. } => last as usize + 1,
            _ => 1,
        }
    }

    /// The positions of all words that the command may come to take for these keys: what has to be locked.
    ///
    /// Those are more than [`KeySpec::positions`] where an option is repeated: the last one counts, and an option's name
    /// may be a key that stands behind another option.
    pub fn reach(&self, words: &[&[u8]]) -> Vec<usize> {
        match (self.begin, self.find) {
            (Begin::Keyword { token, from: from @ 0.. }, Find::Range { last: 0, .. }) => {
                let tokens = from as usize..words.len().saturating_sub(1);
                tokens.filter(|&at| words[at].eq_ignore_ascii_case(token.as_bytes())).map(|at| at + 1).collect()
            }
            _ => self.positions(words),
        }
    }

    /// Whether a number of keys is one, and as many words follow it.
    pub fn is_counted_right(&self, words: &[&[u8]]) -> bool {
        let Find::Count { step } = self.find else { return true };
        let Some(begin) = self.begin.position(words).filter(|&begin| begin < words.len()) else { return true };
        let left = (words.len() - begin - 1).div_ceil(step);
        parse_i64(words[begin])
            .and_then(|count| usize::try_from(count).ok())
            .is_some_and(|count| (1..=left).contains(&count))
    }

    /// The positions of the keys among the words of a call, as far as they are there.
    pub fn positions(&self, words: &[&[u8]]) -> Vec<usize> {
        let Some(begin) = self.begin.position(words).filter(|&begin| begin < words.len()) else {
            return Vec::new();
        };
        match self.find {
            Find::Unknown => vec![begin],
            Find::Count { step } => {
                let count = parse_i64(words[begin]).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
                (begin + 1..words.len()).step_by(step).take(count).collect()
            }
            Find::Range { last, step, limit } => {
                let left = words.len() - begin;
                let end = match last {
                    -1 if limit > 1 => begin + left / limit,
                    ..0 => (words.len() as isize + last + 1).max(0) as usize,
                    0.. => (begin + last as usize + 1).min(words.len()),
                };
                (begin..end).step_by(step.max(1)).collect()
            }
        }
    }
}

impl Begin {
    fn position(self, words: &[&[u8]]) -> Option<usize> {
        let is = |token: &str, at: usize| words[at].eq_ignore_ascii_case(token.as_bytes());
        match self {
            Begin::Index(position) => Some(position),
            Begin::Keyword { token, from } if from >= 0 => {
                (from as usize..words.len()).find(|&at| is(token, at)).map(|at| at + 1)
            }
            Begin::Keyword { token, from } => {
                let last = words.len().checked_sub(from.unsigned_abs())?;
                (1..=last).rev().find(|&at| is(token, at)).map(|at| at + 1)
            }
            Begin::Options { token, options, .. } => behind_options(words, token, options),
            Begin::Unknown { last_after: Some(token) } => {
                (2..words.len().saturating_sub(1)).rev().find(|&at| is(token, at)).map(|at| at + 1)
            }
            Begin::Unknown { last_after: None } => None,
        }
    }
}

/// The position behind a token, which is no word that an option before it takes.
fn behind_options(words: &[&[u8]], token: &str, options: &[(&str, usize)]) -> Option<usize> {
    let is = |token: &str, word: &[u8]| word.eq_ignore_ascii_case(token.as_bytes());
    let mut at = 1;
    loop {
        let word = words.get(at)?;
        if is(token, word) {
            return Some(at + 1);
        }
        at += 1 + options.iter().find(|(option, _)| is(option, word)).map_or(0, |(_, takes)| *takes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &[&str] = &["RO", "access"];

    fn at(spec: KeySpec, line: &str) -> Vec<usize> {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        spec.positions(&words)
    }

    #[test]
    fn a_number_says_how_many_keys_follow() {
        let spec = KeySpec::counted_at(1, ALL);
        assert_eq!(at(spec, "sintercard 2 a b limit 1"), [2, 3]);
        assert_eq!(at(spec, "sintercard 9 a b"), [2, 3], "what is missing is told by the command");
        assert_eq!(at(spec, "sintercard x a b"), [0usize; 0]);
        assert_eq!(at(spec, "sintercard -1 a b"), [0usize; 0]);
        let is_right = |line: &str| spec.is_counted_right(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>());
        assert_eq!(
            ["2 a b", "2 a b c", "3 a b", "0 a", "-1 a", "x a"].map(|line| is_right(&format!("sintercard {line}"))),
            [true, true, false, false, false, false]
        );
        let pairs = KeySpec::counted_pairs_at(1, &["OW", "update"]);
        assert_eq!(at(pairs, "msetex 2 a 1 b 2 keepttl"), [2, 4]);
    }

    #[test]
    fn a_token_says_where_keys_begin() {
        let streams = Begin::Keyword { token: "STREAMS", from: 1 };
        let spec = KeySpec { begin: streams, find: Find::Range { last: -1, step: 1, limit: 2 }, flags: ALL };
        assert_eq!(at(spec, "xread count 2 streams a b 0 0"), [4, 5]);
        assert_eq!(at(spec, "xread count 2"), [0usize; 0]);
        let store = KeySpec::after("STORE", 6, &["OW", "update"]);
        assert_eq!(at(store, "georadius k 1 2 3 km store to"), [7]);
        assert_eq!(at(store, "georadius k 1 2 3 km store"), [0usize; 0]);
        let words: Vec<&[u8]> = "georadius k 1 2 3 km store store store to".split(' ').map(str::as_bytes).collect();
        assert_eq!((store.positions(&words), store.reach(&words)), (vec![7], vec![7, 8, 9]));
    }

    #[test]
    fn words_of_options_may_read_like_the_token() {
        let begin = Begin::Options { token: "STREAMS", from: 4, options: &[("GROUP", 2), ("COUNT", 1)] };
        let spec = KeySpec { begin, find: Find::Range { last: -1, step: 1, limit: 2 }, flags: ALL };
        assert_eq!(at(spec, "xreadgroup group g c count 1 streams a b 0 0"), [7, 8]);
        assert_eq!(at(spec, "xreadgroup noack group streams streams streams k >"), [6]);
        assert_eq!(at(spec, "xreadgroup group group streams streams k >"), [5]);
        assert_eq!(at(spec, "xreadgroup group g c count streams k >"), [0usize; 0]);
        assert_eq!(at(spec, "xreadgroup group g"), [0usize; 0]);
    }

    #[test]
    fn the_last_of_equal_options_counts() {
        let begin = Begin::Unknown { last_after: Some("STORE") };
        let spec = KeySpec { begin, find: Find::Unknown, flags: ALL };
        assert_eq!(at(spec, "sort k store a store b"), [5]);
        assert_eq!(at(spec, "sort k store"), [0usize; 0]);
    }
}
