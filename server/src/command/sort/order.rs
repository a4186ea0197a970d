//! The elements that are sorted, copied out of their collection, and their order.

use super::pattern::Pattern;
use crate::base::number::{Digits, parse_f64};
use crate::command::{Ctx, Fault};
use crate::types::item::Element;
use crate::types::object::Object;
use std::cmp::Ordering;
use std::ops::Range;

/// What decides the order.
#[derive(Clone, Copy)]
pub(super) enum By<'a> {
    /// The elements themselves.
    Element,
    /// What they lead to.
    Pattern(Pattern<'a>),
}

/// Elements in order. Their texts lie one behind the other, so that a million of them are two allocations.
#[derive(Default)]
pub(super) struct Rows {
    texts: Vec<u8>,
    rows: Vec<Row>,
}

struct Row {
    /// The element in the texts.
    text: Range<usize>,
    weight: Weight,
}

#[derive(Clone)]
enum Weight {
    /// The element's own text.
    Own,
    Number(f64),
    /// A text among the texts; the first of all if there is none.
    Text(Option<Range<usize>>),
}

/// The elements that a `LIMIT` leaves of `len`.
pub(super) fn range(len: usize, offset: i64, count: i64) -> Range<usize> {
    let start = usize::try_from(offset.max(0)).unwrap_or(usize::MAX).min(len);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    start..start.saturating_add(count).min(len)
}

pub(super) fn is_set(object: &Object) -> bool {
    matches!(object, Object::Set(_))
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The texts of the elements.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.rows.iter().map(|row| &self.texts[row.text.clone()])
    }

    fn with_room(rows: usize) -> Rows {
        Rows { texts: Vec::new(), rows: Vec::with_capacity(rows) }
    }

    fn push(&mut self, text: &[u8]) {
        let text = self.append(text);
        self.rows.push(Row { text, weight: Weight::Own });
    }

    /// Puts a text behind the others.
    fn append(&mut self, text: &[u8]) -> Range<usize> {
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        start..self.texts.len()
    }

    fn push_element(&mut self, element: Element<'_>) {
        self.push(element.text(&mut Digits::new()));
        if let Element::Int(number) = element
            && let Some(row) = self.rows.last_mut()
        {
            // Spares a numeric sort the reading of what has been a number all along.
            row.weight = Weight::Number(number as f64);
        }
    }

    /// All elements of a collection.
    ///
    /// # Errors
    ///
    /// If it is none that can be sorted.
    pub(super) fn all(object: &Object) -> Result<Rows, Fault> {
        Rows::unsorted(object, 0..object.len(), false)
    }

    /// A range of the elements in the order in which the collection has them; from the end if that means something for
    /// the collection.
    ///
    /// # Errors
    ///
    /// If it is none that can be sorted.
    pub(super) fn unsorted(object: &Object, range: Range<usize>, descending: bool) -> Result<Rows, Fault> {
        let mut rows = Rows::with_room(range.len());
        let len = object.len();
        match object {
            Object::List(_) | Object::ZSet(_) | Object::Set(_) if range.is_empty() => {}
            Object::List(list) if descending => {
                list.rev_from(len - 1 - range.start).take(range.len()).for_each(|element| rows.push_element(element));
            }
            Object::List(list) => {
                list.iter_from(range.start).take(range.len()).for_each(|element| rows.push_element(element));
            }
            Object::ZSet(zset) if descending => {
                let ranks = len - range.end..len - range.start;
                zset.range(ranks).rev().for_each(|(member, _)| rows.push(&member));
            }
            Object::ZSet(zset) => zset.range(range).for_each(|(member, _)| rows.push(&member)),
            Object::Set(set) => {
                set.iter().skip(range.start).take(range.len()).for_each(|element| rows.push_element(element));
            }
            Object::Hash(_) | Object::Stream(_) | Object::Bloom(_) => return Err(Fault::WrongType),
        }
        Ok(rows)
    }

    /// Finds out what each element weighs.
    ///
    /// # Errors
    ///
    /// If numbers are asked for, and there is something else.
    pub(super) fn weigh(&mut self, cx: &mut Ctx<'_>, by: By<'_>, alpha: bool) -> Result<(), Fault> {
        let (mut name, mut text) = (Vec::new(), Vec::new());
        for index in 0..self.rows.len() {
            let row = &self.rows[index];
            let weight = match by {
                By::Element if alpha => Weight::Own,
                By::Element => match row.weight {
                    Weight::Number(_) => continue,
                    _ => Weight::Number(number(&self.texts[row.text.clone()])?),
                },
                By::Pattern(pattern) => {
                    text.clear();
                    let element = &self.texts[row.text.clone()];
                    let found = pattern.look(&mut cx.store, cx.node, element, &mut name);
                    let is_found = found.is_some();
                    found.into_iter().for_each(|found| found.append_to(&mut text));
                    match (alpha, is_found) {
                        (true, _) => Weight::Text(is_found.then(|| self.append(&text))),
                        (false, true) => Weight::Number(number(&text)?),
                        (false, false) => Weight::Number(0.0),
                    }
                }
            };
            self.rows[index].weight = weight;
        }
        Ok(())
    }

    /// Puts the elements in order and leaves those of a range.
    pub(super) fn sort(&mut self, range: Range<usize>, alpha: bool, descending: bool) {
        let Rows { texts, rows } = self;
        let order = |one: &Row, other: &Row| {
            let order = compare(texts, one, other, alpha);
            if descending { order.reverse() } else { order }
        };
        if rows.iter().any(|row| matches!(row.weight, Weight::Text(_))) {
            // Elements of equal weight stay as they were, and a part cannot be sorted alone.
            rows.sort_by(order);
        } else {
            if range.end > 0 && range.end < rows.len() {
                rows.select_nth_unstable_by(range.end - 1, order);
                rows.truncate(range.end);
            }
            rows.sort_unstable_by(order);
        }
        rows.truncate(range.end);
        rows.drain(..range.start.min(rows.len()));
    }
}

fn compare(texts: &[u8], one: &Row, other: &Row, alpha: bool) -> Ordering {
    let text = |row: &Row| row.text.clone();
    match (&one.weight, &other.weight) {
        (Weight::Number(a), Weight::Number(b)) if !alpha => {
            a.partial_cmp(b).unwrap_or(Ordering::Equal).then_with(|| texts[text(one)].cmp(&texts[text(other)]))
        }
        (Weight::Text(a), Weight::Text(b)) => a.clone().map(|at| &texts[at]).cmp(&b.clone().map(|at| &texts[at])),
        _ => texts[text(one)].cmp(&texts[text(other)]),
    }
}

/// A number as C's `strtod` reads it from the beginning of a text: spaces before it are passed over, nothing at all is 0,
/// and a zero byte is an end.
///
/// # Errors
///
/// If something stands behind it, or if it is out of a double's range.
fn number(text: &[u8]) -> Result<f64, Fault> {
    const FAULT: Fault = Fault::text("ERR One or more scores can't be converted into double");
    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
    if end == 0 {
        return Ok(0.0);
    }
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    let spaces = text[..end].iter().take_while(|byte| is_space(byte)).count();
    let is_hex = text[..end].iter().any(|byte| byte.eq_ignore_ascii_case(&b'x'));
    // A decimal number that is subnormal has lost digits, which counts as out of range.
    parse_f64(&text[spaces..end]).filter(|number| is_hex || !number.is_subnormal()).ok_or(FAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_cut_to_what_is_there() {
        assert_eq!(range(3, 0, -1), 0..3);
        assert_eq!(range(3, 1, 1), 1..2);
        assert_eq!(range(3, -5, 2), 0..2);
        assert_eq!(range(3, 1, i64::MAX), 1..3);
        assert_eq!(range(3, i64::MAX, i64::MAX), 3..3);
        assert_eq!(range(3, i64::MIN, i64::MIN), 0..3);
        assert_eq!(range(0, 0, -1), 0..0);
    }

    #[test]
    fn numbers_are_read_as_strtod_reads_them() {
        for (text, value) in [
            (&b""[..], 0.0),
            (b" 2", 2.0),
            (b"\t5", 5.0),
            (b"+3", 3.0),
            (b".5", 0.5),
            (b"5.", 5.0),
            (b"0x10", 16.0),
            (b"3e2", 300.0),
            (b"-inf", f64::NEG_INFINITY),
            (b"0x1p-1074", f64::from_bits(1)),
            (b"7\0x", 7.0),
        ] {
            assert_eq!(number(text), Ok(value), "{}", text.escape_ascii());
        }
        for text in [&b"x"[..], b"1x", b"5 ", b"nan", b"1e400", b"1e-400", b"1e-310", b"1e", b"-", b" "] {
            assert!(number(text).is_err(), "{}", text.escape_ascii());
        }
    }
}
