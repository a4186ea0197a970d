//! What the commands of the `SCAN` family have in common: how many elements a step visits, and which it answers.

use super::context::Args;
use super::fault::Fault;
use crate::base::glob;
use crate::base::number::{Digits, parse_cursor};
use crate::types::item::Element;

/// Elements that a step visits when it does not say how many.
const COUNT_DEFAULT: usize = 10;

/// The options `COUNT` and `MATCH` of a step.
#[derive(Clone, Copy, Debug)]
pub struct Walk<'a> {
    /// How many elements are to be visited.
    pub count: usize,
    /// `None` lets everything pass, as does a lone `*`.
    pattern: Option<&'a [u8]>,
}

impl Default for Walk<'_> {
    fn default() -> Self {
        Walk { count: COUNT_DEFAULT, pattern: None }
    }
}

impl<'a> Walk<'a> {
    /// The options that are left, all of which must be of these two.
    ///
    /// # Errors
    ///
    /// A syntax error for other words and for a count below 1.
    pub fn parse(args: &mut Args<'a>) -> Result<Walk<'a>, Fault> {
        let mut walk = Walk::default();
        while !args.is_empty() {
            if !walk.take(args)? {
                return Err(Fault::Syntax);
            }
        }
        Ok(walk)
    }

    /// Takes the next option if it is one of these two, and says whether it is.
    ///
    /// # Errors
    ///
    /// As [`Walk::parse`].
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

    /// Whether a text is to be answered.
    #[inline]
    pub fn passes(&self, text: &[u8]) -> bool {
        self.pattern.is_none_or(|pattern| glob::matches(pattern, text, false))
    }

    /// Whether an element is to be answered.
    #[inline]
    pub fn passes_element(&self, element: Element<'_>) -> bool {
        self.pattern.is_none() || self.passes(element.text(&mut Digits::new()))
    }
}

/// The next word as the cursor of a step.
///
/// # Errors
///
/// If it is none.
pub fn cursor(args: &mut Args<'_>) -> Result<u64, Fault> {
    parse_cursor(args.word()?).ok_or(Fault::text("ERR invalid cursor"))
}
