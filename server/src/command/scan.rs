//! What `SCAN` and its relatives on collections share: the cursor, and the words that say how many and which.

use super::context::Args;
use super::fault::Fault;
use super::reply::Reply;
use crate::base::glob;
use crate::base::number::{Digits, parse_cursor};
use crate::types::item::Element;

/// Elements that a call visits when it does not say how many.
const COUNT_DEFAULT: usize = 10;

/// `COUNT` and `MATCH`.
pub struct Step<'a> {
    /// About how many elements are to be visited.
    pub count: usize,
    /// `None` lets every element pass, as does a lone `*`.
    pattern: Option<&'a [u8]>,
}

impl<'a> Step<'a> {
    pub fn new() -> Step<'a> {
        Step { count: COUNT_DEFAULT, pattern: None }
    }

    /// The options that are left, all of which must be of these two.
    ///
    /// # Errors
    ///
    /// A syntax error for other words and for a count below 1.
    pub fn parse(args: &mut Args<'a>) -> Result<Step<'a>, Fault> {
        let mut step = Step::new();
        while !args.is_empty() {
            if !step.take(args)? {
                return Err(Fault::Syntax);
            }
        }
        Ok(step)
    }

    /// Takes `COUNT` or `MATCH` with its value if one of them is next, and says whether it was.
    ///
    /// # Errors
    ///
    /// Redis's: a count that is no integer, or no positive one.
    pub fn take(&mut self, args: &mut Args<'a>) -> Result<bool, Fault> {
        if args.take("COUNT") {
            self.count = usize::try_from(args.int()?).ok().filter(|count| *count > 0).ok_or(Fault::Syntax)?;
        } else if args.take("MATCH") {
            self.pattern = Some(args.word()?).filter(|pattern| *pattern != b"*");
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether an element of this name is to be answered.
    pub fn passes(&self, name: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, name, false))
    }

    /// Whether an element is to be answered.
    #[inline]
    pub fn passes_element(&self, element: Element<'_>) -> bool {
        self.passes_all() || self.passes(element.text(&mut Digits::new()))
    }

    /// Whether every element passes, so that names need not be looked at.
    pub fn passes_all(&self) -> bool {
        self.pattern.is_none()
    }
}

impl Default for Step<'_> {
    fn default() -> Self {
        Step::new()
    }
}

/// The next word as a cursor.
///
/// # Errors
///
/// If it is no number of 64 bits.
pub fn cursor(args: &mut Args<'_>) -> Result<u64, Fault> {
    parse_cursor(args.word()?).ok_or(Fault::text("ERR invalid cursor"))
}

/// Puts the head in front of what a call has found, which stands in the reply from `start` on: the cursor to go on from,
/// and the number of words.
pub fn head(reply: &mut Reply, start: usize, next: u64, words: usize) {
    reply.before(start, |reply| {
        reply.array(2);
        reply.text(Digits::new().format(next));
        reply.array(words);
    });
}
