//! Collections as handlers see them: read where they lie, or opened to be changed.

use super::arena::Ref;
use super::news::How;
use super::record::{self, New, Value};
use super::shared::Keys;
use super::stripe::{Entry, Key};
use super::table::At;
use crate::types::object::{Kind, Object};
use crate::types::shared::SharedBox;
use crate::types::stream::Group;
use std::ops::{Deref, DerefMut, Range};
use std::ptr::NonNull;

/// The key holds a value of another type than the command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongType;

/// Names the ranges of bytes that a change of a string in place may touch. It is asked where that is of use.
pub type Touches<'a> = &'a dyn Fn(&mut dyn FnMut(Range<usize>));

impl<'a> Entry<'a> {
    /// The collection, if the entry holds one of this kind.
    ///
    /// # Errors
    ///
    /// If it holds something else.
    pub fn kind<K: Kind>(self) -> Result<&'a K, WrongType> {
        self.object().and_then(K::of).ok_or(WrongType)
    }

    /// Whether the policy is to let it stay: a filter without its items would deny all of them.
    pub(super) fn is_spared(self) -> bool {
        self.expiry().is_none() && matches!(self.object(), Some(Object::Bloom(_)))
    }

    /// What the entry holds, unless that is a string.
    pub fn object(self) -> Option<&'a Object> {
        if let Value::Object(object) = self.value() { Some(object) } else { None }
    }
}

impl Keys<'_> {
    /// The collection of a key, to be read. Counts a hit or a miss, and the access.
    ///
    /// # Errors
    ///
    /// If the key holds something else.
    #[inline]
    pub fn read<K: Kind>(&mut self, key: Key<'_>) -> Result<Option<&K>, WrongType> {
        self.get(key).map(Entry::kind).transpose()
    }

    /// As [`Keys::read`], but neither counted nor taken for an access, and so that several can be looked at together.
    ///
    /// # Errors
    ///
    /// If the key holds something else.
    pub fn view<K: Kind>(&self, key: Key<'_>) -> Result<Option<&K>, WrongType> {
        self.entry(key).map(Entry::kind).transpose()
    }

    /// The collection of a key, to be changed; `None` if there is no such key.
    ///
    /// # Errors
    ///
    /// If the key holds something else.
    pub fn open<K: Kind>(&mut self, key: Key<'_>) -> Result<Option<Edit<'_, K>>, WrongType> {
        Ok(self.reach(key)?.map(|(structure, opened)| Edit { keys: self, structure, opened, is_changed: false }))
    }

    /// The collection of a key, and where it hangs.
    fn reach<K: Kind>(&mut self, key: Key<'_>) -> Result<Option<(NonNull<K>, Opened)>, WrongType> {
        let (db, moment) = (self.db, self.moment);
        let stripe = self.held.stripe(key.place.stripe());
        let Some((at, found)) = stripe.open(db, key, moment) else { return Ok(None) };
        let block = stripe.arena.at(found);
        if record::header(block).shape() != super::header::Shape::Object {
            return Err(WrongType);
        }
        let bytes = record::heap_bytes(block);
        let mut object = record::object(block);
        // SAFETY: the stripe is held mutably for as long as the edit lives, and the collection does not move.
        let structure = NonNull::from(K::of_mut(unsafe { object.as_mut() }).ok_or(WrongType)?);
        let fields_due = stripe.fields_due(found);
        Ok(Some((structure, Opened { stripe: key.place.stripe(), at, found, bytes, fields_due })))
    }

    /// The collection of a key, to be changed; an empty one if there is no such key. One that is empty in the end is no
    /// key.
    ///
    /// # Errors
    ///
    /// If the key holds something else.
    pub fn open_or_new<K: Kind>(&mut self, key: Key<'_>) -> Result<Edit<'_, K>, WrongType> {
        if let Some((structure, opened)) = self.reach(key)? {
            return Ok(Edit { keys: self, structure, opened, is_changed: false });
        }
        self.write(key, New::Object(Box::new(K::empty().into_object())), None);
        Ok(self.open(key)?.expect("it has just been made"))
    }

    /// Sets a key to a collection, whatever it was before; deletes it if there is nothing in it.
    pub fn put_object(&mut self, key: Key<'_>, object: Object, expiry: Option<u64>) {
        if object.is_spent() {
            self.remove(key);
        } else {
            self.set(key, New::Object(Box::new(object)), expiry);
        }
    }
}

impl Keys<'_> {
    /// Tells those who have asked about a key which is not there that what they heard may be wrong by now, as if it had just gone.
    pub fn tell_doubt(&mut self, key: Key<'_>) {
        let db = self.db;
        self.held.stripe(key.place.stripe()).changed(db, key.bytes, How::Removed);
    }

    /// Frees a group that was taken out of the stream of a key, without a stall if it is large, and tells who waits.
    pub fn discard_group(&mut self, key: Key<'_>, group: SharedBox<Group>) {
        self.wrote = true;
        let db = self.db;
        let stripe = self.held.stripe(key.place.stripe());
        stripe.discard_group(group);
        stripe.changed(db, key.bytes, How::GroupGone);
    }
}

/// Where an opened collection hangs, and what it took when it was opened.
#[derive(Clone, Copy)]
pub(super) struct Opened {
    stripe: usize,
    pub(super) at: At,
    pub(super) found: Ref,
    pub(super) bytes: usize,
    /// When the next field of a hash was to expire.
    pub(super) fields_due: Option<u64>,
}

/// A collection that may be changed. When it goes, its key goes with its last element, and what it takes is counted.
///
/// A collection that was reached mutably counts as changed, which breaks off what watches the key; a command that changed
/// nothing in the end says [`Edit::unchanged`].
pub struct Edit<'k, K: Kind> {
    keys: &'k mut dyn Close,
    structure: NonNull<K>,
    opened: Opened,
    is_changed: bool,
}

/// What an [`Edit`] asks of the keys when it goes.
trait Close {
    fn close(&mut self, opened: Opened, is_changed: bool);
}

impl Close for Keys<'_> {
    fn close(&mut self, opened: Opened, is_changed: bool) {
        self.wrote = true;
        let (db, moment) = (self.db, self.moment);
        self.held.stripe(opened.stripe).close(db, opened, is_changed, moment);
    }
}

impl<K: Kind> Edit<'_, K> {
    /// Says that nothing was changed after all.
    pub fn unchanged(&mut self) {
        self.is_changed = false;
    }
}

impl<K: Kind> Deref for Edit<'_, K> {
    type Target = K;

    fn deref(&self) -> &K {
        // SAFETY: the stripe is held mutably through `keys`, and nothing else reaches the collection meanwhile.
        unsafe { self.structure.as_ref() }
    }
}

impl<K: Kind> DerefMut for Edit<'_, K> {
    fn deref_mut(&mut self) -> &mut K {
        self.is_changed = true;
        // SAFETY: as for `deref`.
        unsafe { self.structure.as_mut() }
    }
}

impl<K: Kind> Drop for Edit<'_, K> {
    fn drop(&mut self) {
        self.keys.close(self.opened, self.is_changed);
    }
}
