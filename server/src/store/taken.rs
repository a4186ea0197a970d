//! A value between two keys: out of one record, or copied from it, and not yet in another.

use super::header::Shape;
use super::pieces::PIECES_MAX;
use super::record::{New, Value};
use super::stripe::Entry;
use super::tagged::TagList;
use crate::types::object::Object;

/// A value with what goes with it when a key is renamed, moved or copied.
pub struct Taken {
    value: Owned,
    /// In milliseconds since 1970.
    pub expiry: Option<u64>,
    /// How often the key was used, where it is the same key that goes on under another name.
    pub(super) frequency: Option<u8>,
    pub(super) tags: TagList,
}

/// A value by its encoding, so that Redis's name for it stays the same.
enum Owned {
    Int(i64),
    Bytes(Vec<u8>),
    Edited(Vec<u8>),
    Heap(Vec<u8>),
    Object(Box<Object>),
}

impl Taken {
    /// A value like that of an entry, for a key of its own.
    pub fn copy_of(entry: Entry<'_>) -> Taken {
        let value = match (entry.value(), entry.shape()) {
            (Value::Int(n), _) => Owned::Int(n),
            (Value::Bytes(bytes), Shape::Heap) => Owned::Heap(bytes.to_vec()),
            (Value::Bytes(bytes), Shape::Edited) => Owned::Edited(bytes.to_vec()),
            (Value::Bytes(bytes), _) => Owned::Bytes(bytes.to_vec()),
            (Value::Pieces(pieces), _) => Owned::Bytes(pieces.to_vec()),
            (Value::Object(object), _) => Owned::Object(Box::new(object.clone())),
        };
        Taken { value, expiry: entry.expiry(), frequency: None, tags: Vec::new() }
    }

    /// The same with the tags of its key.
    pub fn with_tags(self, tags: TagList) -> Taken {
        Taken { tags, ..self }
    }

    /// A buffer that has left its record.
    pub(super) fn buffer(buffer: Vec<u8>, expiry: Option<u64>) -> Taken {
        Taken { value: Owned::Heap(buffer), expiry, frequency: None, tags: Vec::new() }
    }

    /// A collection that has left its record.
    pub(super) fn object(object: Box<Object>, expiry: Option<u64>) -> Taken {
        Taken { value: Owned::Object(object), expiry, frequency: None, tags: Vec::new() }
    }

    /// The value on its way into a record. What is passed on whole, a collection or a buffer that is too long for pieces,
    /// leaves nothing here.
    pub(super) fn value(&mut self) -> New<'_> {
        if let Owned::Object(_) = self.value {
            let Owned::Object(object) = std::mem::replace(&mut self.value, Owned::Int(0)) else { unreachable!() };
            return New::Object(object);
        }
        match &mut self.value {
            Owned::Object(_) => unreachable!("handled above, where the value may be moved"),
            Owned::Int(n) => New::Int(*n),
            Owned::Bytes(bytes) => New::Text(bytes),
            Owned::Edited(bytes) => New::Edited(bytes),
            Owned::Heap(buffer) => {
                if buffer.len() > PIECES_MAX {
                    return New::Heap(std::mem::take(buffer));
                }
                New::Edited(buffer)
            }
        }
    }
}
