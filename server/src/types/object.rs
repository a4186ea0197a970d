//! Any of the structures: what a key holds that is not a string.

use super::bloom::Bloom;
use super::hash::Hash;
use super::list::List;
use super::set::Set;
use super::stream::Stream;
use super::zset::ZSet;

/// The value of a key that is not a string.
///
/// A clone is whole and changes by itself. Of large ones it is cheap too, but for sorted sets, whose members are copied.
#[derive(Clone)]
pub enum Object {
    Hash(Hash),
    List(List),
    Set(Set),
    ZSet(ZSet),
    Stream(Box<Stream>),
    Bloom(Bloom),
}

const _: () = assert!(size_of::<Object>() <= 32, "every collection pays for the widest");

/// A structure that an [`Object`] may be.
pub trait Kind: Sized {
    /// The structure with nothing in it.
    fn empty() -> Self;
    /// The object that this is.
    fn into_object(self) -> Object;
    /// The structure, if the object is of this kind.
    fn of(object: &Object) -> Option<&Self>;
    /// As [`Kind::of`], to be changed.
    fn of_mut(object: &mut Object) -> Option<&mut Self>;
}

macro_rules! kind {
    ($structure:ty, $variant:ident) => {
        impl Kind for $structure {
            fn empty() -> Self {
                <$structure>::new()
            }

            fn into_object(self) -> Object {
                Object::$variant(self.into())
            }

            fn of(object: &Object) -> Option<&Self> {
                if let Object::$variant(structure) = object { Some(structure) } else { None }
            }

            fn of_mut(object: &mut Object) -> Option<&mut Self> {
                if let Object::$variant(structure) = object { Some(structure) } else { None }
            }
        }
    };
}

kind!(Hash, Hash);
kind!(List, List);
kind!(Set, Set);
kind!(ZSet, ZSet);
kind!(Stream, Stream);
kind!(Bloom, Bloom);

impl Object {
    /// The object as it is now, to be gone through on another thread, and not to be looked into: it may lack what finds
    /// elements. Takes microseconds however large it is; a run is copied. What either of the two changes after that is
    /// copied by it first, some 100 KB at a time, and what is left in common is counted by both.
    pub fn share(&mut self) -> Object {
        match self {
            Object::Hash(hash) => Object::Hash(hash.share()),
            Object::List(list) => Object::List(list.clone()),
            Object::Set(set) => Object::Set(set.share()),
            Object::ZSet(zset) => Object::ZSet(zset.share()),
            Object::Stream(stream) => Object::Stream(stream.clone()),
            Object::Bloom(bloom) => Object::Bloom(bloom.clone()),
        }
    }

    /// What `TYPE` says.
    pub fn type_name(&self) -> &'static str {
        match self {
            Object::Hash(_) => "hash",
            Object::List(_) => "list",
            Object::Set(_) => "set",
            Object::ZSet(_) => "zset",
            Object::Stream(_) => "stream",
            // As RedisBloom's.
            Object::Bloom(_) => "MBbloom--",
        }
    }

    /// What `OBJECT ENCODING` says.
    pub fn encoding(&self) -> &'static str {
        match self {
            Object::Hash(hash) => hash.encoding(),
            Object::List(list) => list.encoding(),
            Object::Set(set) => set.encoding(),
            Object::ZSet(zset) => zset.encoding(),
            Object::Stream(_) => "stream",
            Object::Bloom(_) => "raw",
        }
    }

    /// Elements: fields, values, members, entries or items.
    pub fn len(&self) -> usize {
        match self {
            Object::Hash(hash) => hash.len(),
            Object::List(list) => list.len(),
            Object::Set(set) => set.len(),
            Object::ZSet(zset) => zset.len(),
            Object::Stream(stream) => stream.len() as usize,
            Object::Bloom(bloom) => bloom.len() as usize,
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the key goes with its last element. A stream stays, for its groups and its last id, and a filter for what it is made for.
    pub fn is_spent(&self) -> bool {
        !matches!(self, Object::Stream(_) | Object::Bloom(_)) && self.is_empty()
    }

    /// Where the first bytes below the object lie that a command reads, for a prefetch.
    #[inline]
    pub fn lead(&self) -> *const u8 {
        match self {
            Object::Hash(hash) => hash.lead(),
            Object::List(list) => list.lead(),
            Object::Set(set) => set.lead(),
            Object::ZSet(zset) => zset.lead(),
            Object::Stream(stream) => (&raw const **stream).cast(),
            Object::Bloom(bloom) => bloom.lead(),
        }
    }

    /// Heap bytes below the object, as asked of the allocator.
    pub fn bytes(&self) -> usize {
        match self {
            Object::Hash(hash) => hash.bytes(),
            Object::List(list) => list.bytes(),
            Object::Set(set) => set.bytes(),
            Object::ZSet(zset) => zset.bytes(),
            Object::Stream(stream) => size_of::<Stream>() + stream.bytes(),
            Object::Bloom(bloom) => bloom.bytes(),
        }
    }
}

#[cfg(test)]
mod tests;
