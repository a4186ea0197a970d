//! Patterns of `BY` and `GET`: from an element to a value under another key.

use crate::command::{Reply, Shared};
use crate::store::{Entry, Keys, Value};
use crate::types::hash::Hash;
use crate::types::item::Element;
use larder_client::slot;

/// Where an element leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pattern<'a> {
    /// `#`: to itself.
    Itself,
    /// Without a star: nowhere.
    Nowhere,
    /// To the key that has the element in place of the star, and to a field if that key is a hash.
    Key { before: &'a [u8], after: &'a [u8], field: Option<&'a [u8]> },
}

/// The slot of all keys that a pattern leads to; `None` if that depends on the element.
pub(super) fn slot(pattern: &[u8]) -> Option<u16> {
    let Some(star) = pattern.iter().position(|&byte| byte == b'*') else {
        return Some(slot::of(pattern).number());
    };
    let before = &pattern[..star];
    // A part of the front alone is hashed only where a whole tag stands in it.
    let is_fixed = slot::hashed_part(before).len() < before.len();
    is_fixed.then(|| slot::of(before).number())
}

impl<'a> Pattern<'a> {
    /// Reads a pattern such as `weight_*` or `user_*->age`. The field begins behind the first arrow after the star; an
    /// arrow with nothing behind it belongs to the key.
    pub(super) fn of(text: &'a [u8]) -> Pattern<'a> {
        if text == b"#" {
            return Pattern::Itself;
        }
        let Some(star) = text.iter().position(|&byte| byte == b'*') else { return Pattern::Nowhere };
        let (before, after) = (&text[..star], &text[star + 1..]);
        match after.windows(2).position(|pair| pair == b"->") {
            Some(arrow) if arrow + 2 < after.len() => {
                Pattern::Key { before, after: &after[..arrow], field: Some(&after[arrow + 2..]) }
            }
            _ => Pattern::Key { before, after, field: None },
        }
    }

    /// Whether it leads to a field of a hash.
    pub(super) fn reads_field(&self) -> bool {
        matches!(self, Pattern::Key { field: Some(_), .. })
    }

    /// What an element leads to; counted as a read of that key. `name` is room for the key's name, used again and again.
    pub(super) fn look<'f>(
        self,
        keys: &'f mut Keys<'_>,
        node: &Shared,
        element: &'f [u8],
        name: &mut Vec<u8>,
    ) -> Option<Found<'f>> {
        let (before, after, field) = match self {
            Pattern::Itself => return Some(Found::Element(Element::Text(element))),
            Pattern::Nowhere => return None,
            Pattern::Key { before, after, field } => (before, after, field),
        };
        name.clear();
        [before, element, after].into_iter().for_each(|part| name.extend_from_slice(part));
        let now = keys.moment().due_ms();
        let entry = keys.get(node.store.key(name))?;
        match field {
            Some(field) => entry.kind::<Hash>().ok()?.get(field, now).map(|entry| Found::Element(entry.value)),
            None => string(entry).map(Found::Value),
        }
    }
}

fn string(entry: Entry<'_>) -> Option<Value<'_>> {
    if entry.object().is_some() { None } else { Some(entry.value()) }
}

/// What a pattern led to.
pub(super) enum Found<'a> {
    Value(Value<'a>),
    Element(Element<'a>),
}

impl Found<'_> {
    pub(super) fn reply(self, reply: &mut Reply) {
        match self {
            Found::Value(value) => reply.value(value),
            Found::Element(element) => reply.element(element),
        }
    }

    pub(super) fn append_to(self, text: &mut Vec<u8>) {
        match self {
            Found::Value(value) => value.append_to(text),
            Found::Element(element) => text.extend_from_slice(element.text(&mut crate::base::number::Digits::new())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_stands_behind_the_first_arrow_after_the_star() {
        let key = |before: &'static str, after: &'static str, field: Option<&'static str>| Pattern::Key {
            before: before.as_bytes(),
            after: after.as_bytes(),
            field: field.map(str::as_bytes),
        };
        for (text, pattern) in [
            ("#", Pattern::Itself),
            ("##", Pattern::Nowhere),
            ("", Pattern::Nowhere),
            ("a->b", Pattern::Nowhere),
            ("*", key("", "", None)),
            ("w_*", key("w_", "", None)),
            ("w_*_x", key("w_", "_x", None)),
            ("w_**", key("w_", "*", None)),
            ("w_*->f", key("w_", "", Some("f"))),
            ("w_*_x->f->g", key("w_", "_x", Some("f->g"))),
            ("w->f*", key("w->f", "", None)),
            ("w_*->", key("w_", "->", None)),
        ] {
            assert_eq!(Pattern::of(text.as_bytes()), pattern, "{text}");
        }
    }
}
