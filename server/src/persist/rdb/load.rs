//! Collections as they are read, in every encoding that RDB 5 to 12 and Valkey's 80 know.
//!
//! What form a collection takes is decided by the limits in force here, not by the encoding in which it comes. All
//! input is taken to be hostile: nothing is reserved for what is merely announced, and what Redis would only find with
//! `sanitize-dump-payload` is always looked for. Beyond that, what Redis takes and no server writes is refused here:
//! packed scores that are NaN or no number, and streams whose last id is below an entry.

use super::bloom;
use super::intset;
use super::kind;
use super::listpack::Listpack;
use super::read::{LoadError, Loaded, Reader};
use super::save::{PIECE_PACKED, PIECE_PLAIN};
use super::stream;
use super::ziplist::Ziplist;
use super::zipmap::Zipmap;
use super::{Limits, VERSION_VALKEY, Value};
use crate::base::number::{Digits, parse_f64};
use crate::types::hash::{Expiry, Hash};
use crate::types::item::{Element, STAMP_MAX};
use crate::types::list::{End, List};
use crate::types::object::{Kind, Object};
use crate::types::set::Set;
use crate::types::zset::{Inserted, ZSet};

impl Reader<'_> {
    /// The value behind a type byte.
    ///
    /// # Errors
    ///
    /// [`LoadError`]
    pub fn value(&mut self, kind: u8, limits: &Limits) -> Loaded<Value> {
        if kind == kind::STRING {
            return Ok(Value::String(self.string()?.into_owned()));
        }
        self.object(kind, limits).map(Value::Object)
    }

    fn object(&mut self, kind: u8, limits: &Limits) -> Loaded<Object> {
        match kind {
            kind::LIST | kind::LIST_ZIPLIST | kind::LIST_QUICKLIST | kind::LIST_QUICKLIST_2 => {
                self.list(kind, limits).map(Kind::into_object)
            }
            kind::SET | kind::SET_INTSET | kind::SET_LISTPACK => self.set(kind, limits).map(Kind::into_object),
            kind::ZSET | kind::ZSET_2 | kind::ZSET_ZIPLIST | kind::ZSET_LISTPACK => {
                self.zset(kind, limits).map(Kind::into_object)
            }
            kind::HASH | kind::HASH_ZIPMAP | kind::HASH_ZIPLIST | kind::HASH_LISTPACK => {
                self.hash(kind, limits).map(Kind::into_object)
            }
            kind::HASH_2 if self.version() >= VERSION_VALKEY => self.valkey_hash(limits).map(Kind::into_object),
            kind::HASH_METADATA_EARLY | kind::HASH_METADATA => {
                self.hash_with_distances(kind, limits).map(Kind::into_object)
            }
            kind::HASH_LISTPACK_EX_EARLY | kind::HASH_LISTPACK_EX => {
                self.hash_with_expiries(kind, limits).map(Kind::into_object)
            }
            kind::STREAM_LISTPACKS => stream::load(self, stream::Fields::OLD).map(Kind::into_object),
            kind::STREAM_LISTPACKS_2 => stream::load(self, stream::Fields::COUNTERS).map(Kind::into_object),
            kind::STREAM_LISTPACKS_3 => stream::load(self, stream::Fields::ALL).map(Kind::into_object),
            kind::MODULE_2 => bloom::load(self).map(Kind::into_object),
            unknown => Err(LoadError::UnknownType(unknown)),
        }
    }

    fn list(&mut self, kind: u8, limits: &Limits) -> Loaded<List> {
        let mut list = List::new();
        if kind == kind::LIST_ZIPLIST {
            self.list_piece(kind, &mut list, limits)?;
        } else {
            for _ in 0..self.count()? {
                self.list_piece(kind, &mut list, limits)?;
            }
        }
        // Pieces without elements are passed over, as in Redis; they must not be all there is.
        if list.is_empty() { Err(LoadError::Empty) } else { Ok(list) }
    }

    /// Adds what stands next: one element, or a piece with any number of them.
    fn list_piece(&mut self, kind: u8, list: &mut List, limits: &Limits) -> Loaded<()> {
        let container = match kind {
            kind::LIST => PIECE_PLAIN,
            kind::LIST_QUICKLIST_2 => self.length()?,
            _ => PIECE_PACKED,
        };
        let text = self.string()?;
        let mut push = |element: Element<'_>| {
            let mut digits = Digits::new();
            list.push(End::Tail, std::iter::once(element.text(&mut digits)), &limits.list);
        };
        match (container, kind) {
            (PIECE_PLAIN, _) => push(Element::of(&text)),
            (PIECE_PACKED, kind::LIST_QUICKLIST_2) => Listpack::open(&text)?.iter().for_each(push),
            (PIECE_PACKED, _) => Ziplist::open(&text)?.iter().for_each(push),
            _ => return Err(LoadError::Corrupt),
        }
        Ok(())
    }

    fn set(&mut self, kind: u8, limits: &Limits) -> Loaded<Set> {
        if kind == kind::SET {
            return self.plain_set(limits);
        }
        let text = self.string()?;
        if kind == kind::SET_INTSET {
            let members = intset::open(&text)?;
            let mut set = Set::new();
            set.expect(members.len(), &limits.set);
            members.map(Element::Int).try_for_each(|member| add(&mut set, member, limits))?;
            return Ok(set);
        }
        let listpack = Listpack::open(&text)?;
        // What was a listpack stays one though all may be integers: that is what being announced a text leads to.
        let mut set = Set::expecting(b"", listpack.len(), &limits.set);
        listpack.iter().try_for_each(|member| add(&mut set, member, limits))?;
        if set.is_empty() { Err(LoadError::Empty) } else { Ok(set) }
    }

    fn plain_set(&mut self, limits: &Limits) -> Loaded<Set> {
        let count = self.count()?;
        let mut set = Set::new();
        set.expect(announced(count), &limits.set);
        for _ in 0..count {
            add(&mut set, Element::of(&self.string()?), limits)?;
        }
        Ok(set)
    }

    fn zset(&mut self, kind: u8, limits: &Limits) -> Loaded<ZSet> {
        let mut zset = ZSet::new();
        match kind {
            kind::ZSET_ZIPLIST => {
                let text = self.string()?;
                let ziplist = Ziplist::open(&text)?;
                scored(&mut zset, ziplist.len(), ziplist.iter(), limits)?;
            }
            kind::ZSET_LISTPACK => {
                let text = self.string()?;
                let listpack = Listpack::open(&text)?;
                scored(&mut zset, listpack.len(), listpack.iter(), limits)?;
            }
            _ => {
                let count = self.count()?;
                zset.expect(announced(count), &limits.zset);
                for _ in 0..count {
                    let member = self.string()?;
                    let score = if kind == kind::ZSET { self.text_double()? } else { self.double()? };
                    insert(&mut zset, &member, score, limits)?;
                }
            }
        }
        if zset.is_empty() { Err(LoadError::Empty) } else { Ok(zset) }
    }

    fn hash(&mut self, kind: u8, limits: &Limits) -> Loaded<Hash> {
        let mut hash = Hash::new();
        if kind == kind::HASH {
            for _ in 0..self.count()? {
                let field = self.string()?;
                set(&mut hash, &field, &self.string()?, None, limits)?;
            }
            return Ok(hash);
        }
        let text = self.string()?;
        match kind {
            kind::HASH_ZIPMAP => {
                let mut entries = Zipmap::open(&text)?.iter();
                entries.try_for_each(|(field, value)| set(&mut hash, field, value, None, limits))?;
            }
            kind::HASH_ZIPLIST => {
                let ziplist = Ziplist::open(&text)?;
                fields(&mut hash, ziplist.len(), ziplist.iter(), limits)?;
            }
            _ => {
                let listpack = Listpack::open(&text)?;
                fields(&mut hash, listpack.len(), listpack.iter(), limits)?;
            }
        }
        if hash.is_empty() { Err(LoadError::Empty) } else { Ok(hash) }
    }

    /// Each field with its expiry as a time, -1 for none.
    fn valkey_hash(&mut self, limits: &Limits) -> Loaded<Hash> {
        let mut hash = Hash::new();
        for _ in 0..self.count()? {
            let (field, value) = (self.string()?, self.string()?);
            let expiry = match self.millis()? {
                -1 => None,
                // The time 0 has passed like any other, but elsewhere it stands for none.
                expiry => Some(u64::try_from(expiry).map_err(|_| LoadError::Corrupt)?.max(1)),
            };
            set(&mut hash, &field, &value, expiry, limits)?;
        }
        Ok(hash)
    }

    /// Each field behind its expiry, 0 for none: a time in the early form, or one more than the distance from the first.
    fn hash_with_distances(&mut self, kind: u8, limits: &Limits) -> Loaded<Hash> {
        let first = if kind == kind::HASH_METADATA { self.first_expiry()? } else { 1 };
        let mut hash = Hash::new();
        for _ in 0..self.count()? {
            let expiry = match self.length()? {
                0 => None,
                distance => Some((distance - 1).checked_add(first).ok_or(LoadError::Corrupt)?),
            };
            let expiry = expiry.filter(|&expiry| expiry > 0);
            let field = self.string()?;
            set(&mut hash, &field, &self.string()?, expiry, limits)?;
        }
        Ok(hash)
    }

    /// A listpack of fields, values and expiries, 0 for none.
    fn hash_with_expiries(&mut self, kind: u8, limits: &Limits) -> Loaded<Hash> {
        if kind == kind::HASH_LISTPACK_EX {
            self.first_expiry()?;
        }
        let text = self.string()?;
        let listpack = Listpack::open(&text)?;
        let (mut hash, mut elements) = (Hash::new(), listpack.iter());
        while let Some(field) = elements.next() {
            let (Some(value), Some(Element::Int(expiry))) = (elements.next(), elements.next()) else {
                return Err(LoadError::Corrupt);
            };
            let expiry = u64::try_from(expiry).map_err(|_| LoadError::Corrupt)?;
            set_element(&mut hash, field, value, Some(expiry).filter(|&expiry| expiry > 0), limits)?;
        }
        if hash.is_empty() { Err(LoadError::Empty) } else { Ok(hash) }
    }

    /// When the first field expires; 0 or one more than the latest time if none does.
    fn first_expiry(&mut self) -> Loaded<u64> {
        let first = u64::try_from(self.millis()?).ok().filter(|&first| first <= STAMP_MAX + 1);
        first.ok_or(LoadError::Corrupt)
    }
}

/// What a collection is told to expect. That reserves nothing: it may become what it would become in any case.
fn announced(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Adds a member that must be new.
fn add(set: &mut Set, member: Element<'_>, limits: &Limits) -> Loaded<()> {
    set.put(member, &limits.set).then_some(()).ok_or(LoadError::Corrupt)
}

/// Adds a member that must be new, with a score that must be a number.
fn insert(zset: &mut ZSet, member: &[u8], score: f64, limits: &Limits) -> Loaded<()> {
    if score.is_nan() || zset.insert(member, score, &limits.zset) != Inserted::Added {
        return Err(LoadError::Corrupt);
    }
    Ok(())
}

/// Adds members and scores that take turns.
fn scored<'a>(
    zset: &mut ZSet,
    len: usize,
    mut elements: impl Iterator<Item = Element<'a>>,
    limits: &Limits,
) -> Loaded<()> {
    zset.expect(len / 2, &limits.zset);
    while let Some(member) = elements.next() {
        let score = match elements.next().ok_or(LoadError::Corrupt)? {
            Element::Int(score) => score as f64,
            Element::Text(text) => parse_f64(text).ok_or(LoadError::Corrupt)?,
        };
        insert(zset, member.text(&mut Digits::new()), score, limits)?;
    }
    Ok(())
}

/// Adds fields and values that take turns.
fn fields<'a>(
    hash: &mut Hash,
    len: usize,
    mut elements: impl Iterator<Item = Element<'a>>,
    limits: &Limits,
) -> Loaded<()> {
    for _ in 0..len.div_ceil(2) {
        let (Some(field), Some(value)) = (elements.next(), elements.next()) else {
            return Err(LoadError::Corrupt);
        };
        set_element(hash, field, value, None, limits)?;
    }
    Ok(())
}

fn set_element(
    hash: &mut Hash,
    field: Element<'_>,
    value: Element<'_>,
    expiry: Option<u64>,
    limits: &Limits,
) -> Loaded<()> {
    set(hash, field.text(&mut Digits::new()), value.text(&mut Digits::new()), expiry, limits)
}

/// Sets a field that must be new, and when it expires.
fn set(hash: &mut Hash, field: &[u8], value: &[u8], expiry: Option<u64>, limits: &Limits) -> Loaded<()> {
    if expiry.is_some_and(|expiry| expiry > STAMP_MAX) || !hash.set(field, value, Expiry::Clear, &limits.hash) {
        return Err(LoadError::Corrupt);
    }
    if expiry.is_some() {
        hash.set_expiry(field, expiry);
    }
    Ok(())
}
