//! A vector whose copies share one heap block until one of them is changed: then that one gets a block of its own.
//!
//! ```text
//! owners: 4 bytes | capacity: 4 | items
//! ```
//! Large collections consist of such vectors. So a copy for a snapshot costs a count for each vector, and the first
//! change to a vector after that costs a copy of this vector alone; any other change costs one look at the count. Handle
//! and head take 24 bytes, as much as a `Vec`, and the items are as near: whoever reads them needs no look at the head,
//! as the length is in the handle. (With the length in the head a rank in a large sorted set took an eighth longer.)
//!
//! All memory is handled here and nothing is assumed of the users: a vector is written to while it has one owner, and
//! `&mut` to that one.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

/// A vector. See the head of this file. To reach its items mutably makes them its own.
pub struct SharedVec<T> {
    /// A block of [`layout`], or [`NOTHING`] while the capacity is 0.
    at: NonNull<Head>,
    /// All who share a block have the same.
    len: u32,
    _spare: Spare,
    _items: PhantomData<T>,
}

/// A byte with 255 unused values, so that enums around a vector need no byte of their own for their variant.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Spare {
    Vec,
}

/// What lies in front of the items.
#[repr(C, align(8))]
struct Head {
    owners: AtomicU32,
    capacity: u32,
}

/// The head of all vectors that have no block. Nobody writes to it.
static NOTHING: Head = Head { owners: AtomicU32::new(1), capacity: 0 };

/// Heap bytes of a vector that has room, beside those of its items.
pub const HEAD_BYTES: usize = size_of::<Head>();

const _: () = assert!(HEAD_BYTES == 8 && size_of::<Option<Option<SharedVec<u8>>>>() == 16);

// SAFETY: as `Arc<[T]>`: whoever has the last handle drops the items, and all others read them.
unsafe impl<T: Send + Sync> Send for SharedVec<T> {}
// SAFETY: as above; `&SharedVec` gives `&T`, and a clone.
unsafe impl<T: Send + Sync> Sync for SharedVec<T> {}

impl<T> SharedVec<T> {
    const FITS: () = assert!(size_of::<T>() > 0 && align_of::<T>() <= align_of::<Head>());

    /// An empty vector, which needs no heap.
    pub fn new() -> Self {
        SharedVec { at: NonNull::from(&NOTHING), len: 0, _spare: Spare::Vec, _items: PhantomData }
    }

    /// An empty vector of its own, with room for exactly so many items.
    pub fn with_capacity(capacity: usize) -> Self {
        if capacity == 0 {
            return Self::new();
        }
        let layout = Self::layout(capacity);
        // SAFETY: the layout has at least the bytes of the head.
        let raw = unsafe { alloc(layout) };
        let Some(at) = NonNull::new(raw.cast::<Head>()) else { handle_alloc_error(layout) };
        // SAFETY: the block begins with room for the head and is aligned for it.
        unsafe { at.write(Head { owners: AtomicU32::new(1), capacity: capacity as u32 }) };
        SharedVec { at, len: 0, _spare: Spare::Vec, _items: PhantomData }
    }

    fn layout(capacity: usize) -> Layout {
        const { Self::FITS };
        assert!(u32::try_from(capacity).is_ok(), "a node of a collection is short, and a text has at most 512 MiB");
        let bytes = HEAD_BYTES + capacity * size_of::<T>();
        Layout::from_size_align(bytes, align_of::<Head>()).expect("32 bits of items are within the address space")
    }

    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: the block, or `NOTHING`, lives as long as `self`; a head is written under `&mut` by its one owner.
        unsafe { self.at.as_ref() }
    }

    /// Where the items begin. Without a block there are none, but the address is still aligned.
    #[inline]
    fn items(&self) -> NonNull<T> {
        // SAFETY: a head lies there, so its end is within the block or one past it.
        unsafe { self.at.add(1).cast() }
    }

    #[inline]
    pub fn capacity(&self) -> usize {
        self.head().capacity as usize
    }

    /// Heap bytes, as asked of the allocator. Each of those who share the block counts them.
    #[inline]
    pub fn bytes(&self) -> usize {
        match self.capacity() {
            0 => 0,
            capacity => HEAD_BYTES + capacity * size_of::<T>(),
        }
    }

    /// Whether the block, if there is one, has no other owner. Then none can come either, but through `self`.
    #[inline]
    fn is_alone(&self) -> bool {
        // What the last other owner did with the items happened before this.
        self.head().owners.load(Ordering::Acquire) == 1
    }

    /// # Safety
    ///
    /// There is one owner, and so many items are there.
    #[inline]
    unsafe fn set_len(&mut self, len: usize) {
        self.len = len as u32;
    }

    /// Gives the block, which has one owner, another capacity.
    fn set_capacity(&mut self, capacity: usize) {
        debug_assert!(self.is_alone() && capacity >= self.len());
        if capacity == self.capacity() {
            return;
        }
        if self.capacity() == 0 || capacity == 0 {
            *self = Self::with_capacity(capacity);
            return;
        }
        let (old, new) = (Self::layout(self.capacity()), Self::layout(capacity));
        // SAFETY: the block was made with the old layout and has one owner; both layouts have the same alignment.
        let raw = unsafe { realloc(self.at.as_ptr().cast(), old, new.size()) };
        let Some(at) = NonNull::new(raw.cast::<Head>()) else { handle_alloc_error(new) };
        self.at = at;
        // SAFETY: one owner and `&mut self`, so nobody reads the head now.
        unsafe { (*at.as_ptr()).capacity = capacity as u32 };
    }
}

impl<T: Clone> SharedVec<T> {
    /// Makes the items its own if others have them too.
    #[inline]
    fn own(&mut self) {
        if !self.is_alone() {
            self.part();
        }
    }

    /// Leaves the block to the others, for a copy with the same capacity.
    #[cold]
    fn part(&mut self) {
        let mut own = Self::with_capacity(self.capacity());
        for (number, item) in self.iter().enumerate() {
            // SAFETY: the new block has room for as many items, and nobody else knows it.
            unsafe { own.items().add(number).write(item.clone()) };
        }
        // SAFETY: all of them were written just now.
        unsafe { own.set_len(self.len()) };
        *self = own;
    }

    /// Makes room for exactly so many more items, if there is less.
    pub fn reserve_exact(&mut self, more: usize) {
        self.own();
        let needed = self.len() + more;
        if needed > self.capacity() {
            self.set_capacity(needed);
        }
    }

    /// Gives back room, down to `capacity` or to the length.
    pub fn shrink_to(&mut self, capacity: usize) {
        let capacity = capacity.max(self.len());
        if capacity < self.capacity() {
            self.own();
            self.set_capacity(capacity);
        }
    }

    /// Adds an item behind the others. Makes room for this one alone if there is none.
    pub fn push(&mut self, item: T) {
        self.reserve_exact(1);
        let len = self.len();
        // SAFETY: there is a block with room for one more, and no other owner.
        unsafe {
            self.items().add(len).write(item);
            self.set_len(len + 1);
        }
    }

    /// Adds an item at a place; those from there on move.
    pub fn insert(&mut self, at: usize, item: T) {
        assert!(at <= self.len(), "an item was to be put at {at} among {}", self.len());
        self.push(item);
        self[at..].rotate_right(1);
    }

    /// Takes the last item out.
    pub fn pop(&mut self) -> Option<T> {
        self.own();
        let last = self.len().checked_sub(1)?;
        // SAFETY: there is an item, so there is a block, with no other owner. The item is read once: the length says
        // afterwards that it is gone.
        unsafe {
            self.set_len(last);
            Some(self.items().add(last).read())
        }
    }

    /// Takes an item out; those behind it move.
    pub fn remove(&mut self, at: usize) -> T {
        self[at..].rotate_left(1);
        self.pop().expect("the slice would have panicked")
    }

    /// Cuts off what begins at `at`, with no room to spare, and keeps its own room.
    pub fn split_off(&mut self, at: usize) -> Self {
        self.own();
        let count = self.len() - at;
        let mut rest = Self::with_capacity(count);
        if count > 0 {
            // SAFETY: neither block has another owner. The items are moved: each is part of one length afterwards.
            unsafe {
                rest.items().copy_from_nonoverlapping(self.items().add(at), count);
                self.set_len(at);
                rest.set_len(count);
            }
        }
        rest
    }

    /// Moves all items of `other` behind its own.
    pub fn append(&mut self, mut other: Self) {
        other.own();
        self.reserve_exact(other.len());
        let (len, count) = (self.len(), other.len());
        if count > 0 {
            // SAFETY: as in `split_off`, the other way round.
            unsafe {
                self.items().add(len).copy_from_nonoverlapping(other.items(), count);
                other.set_len(0);
                self.set_len(len + count);
            }
        }
    }

    /// Drops the items from `len` on.
    pub fn truncate(&mut self, len: usize) {
        while self.len() > len {
            drop(self.pop());
        }
    }

    /// Keeps the items that `is_kept` wants, in their order.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&T) -> bool) {
        let mut kept = 0;
        for number in 0..self.len() {
            if is_kept(&self[number]) {
                if kept < number {
                    self.swap(kept, number);
                }
                kept += 1;
            }
        }
        self.truncate(kept);
    }
}

impl<T> Clone for SharedVec<T> {
    #[inline]
    fn clone(&self) -> Self {
        if self.capacity() > 0 {
            // Who has a handle may give another away: as for `Arc`, there is nothing to be ordered.
            let owners = self.head().owners.fetch_add(1, Ordering::Relaxed);
            assert!(owners < u32::MAX / 2, "each owner takes memory, and there is not that much");
        }
        SharedVec { at: self.at, len: self.len, _spare: Spare::Vec, _items: PhantomData }
    }
}

impl<T> Drop for SharedVec<T> {
    #[inline]
    fn drop(&mut self) {
        if self.capacity() == 0 {
            return;
        }
        // What all others did with the items happens before they are dropped.
        if !self.is_alone() && self.head().owners.fetch_sub(1, Ordering::AcqRel) != 1 {
            return;
        }
        // SAFETY: this was the last handle, and `len` items are there. The block was made with this layout.
        unsafe {
            NonNull::slice_from_raw_parts(self.items(), self.len()).drop_in_place();
            dealloc(self.at.as_ptr().cast(), Self::layout(self.capacity()));
        }
    }
}

impl<T> Deref for SharedVec<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `len` items are there, and nobody changes them while `self` is borrowed: it counts as an owner.
        unsafe { slice::from_raw_parts(self.items().as_ptr(), self.len as usize) }
    }
}

impl<T: Clone> DerefMut for SharedVec<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        self.own();
        // SAFETY: as for `deref`; and there is no other owner, nor can one come while `self` is borrowed.
        unsafe { slice::from_raw_parts_mut(self.items().as_ptr(), self.len as usize) }
    }
}

impl<'a, T> IntoIterator for &'a SharedVec<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> slice::Iter<'a, T> {
        self.iter()
    }
}

impl<T: Copy> From<&[T]> for SharedVec<T> {
    fn from(items: &[T]) -> Self {
        let mut new = Self::with_capacity(items.len());
        if !items.is_empty() {
            // SAFETY: the new block has room for them, and nobody else knows it.
            unsafe {
                new.items().copy_from_nonoverlapping(NonNull::from(items).cast(), items.len());
                new.set_len(items.len());
            }
        }
        new
    }
}

impl<T> Default for SharedVec<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for SharedVec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A value that copies share likewise.
#[derive(Clone, Debug)]
pub struct SharedBox<T>(SharedVec<T>);

impl<T: Clone> SharedBox<T> {
    /// What it takes on the heap, without what the value has there.
    pub const BYTES: usize = HEAD_BYTES + size_of::<T>();

    pub fn new(value: T) -> Self {
        let mut one = SharedVec::new();
        one.push(value);
        SharedBox(one)
    }
}

impl<T> Deref for SharedBox<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0[0]
    }
}

impl<T: Clone> DerefMut for SharedBox<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0[0]
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Random;
    use super::*;
    use std::sync::Arc;

    /// How many times fewer changes are tried under Miri, which is slow.
    const FEWER: usize = if cfg!(miri) { 20 } else { 1 };

    type Item = (Box<str>, Arc<()>);

    fn change(random: &mut Random, vec: &mut SharedVec<Item>, twin: &mut Vec<Item>, item: Item) {
        let at = random.below(twin.len() + 1);
        match random.below(12) {
            0..5 => {
                vec.insert(at, item.clone());
                twin.insert(at, item);
            }
            5 | 6 if at < twin.len() => assert_eq!(vec.remove(at), twin.remove(at)),
            7 => assert_eq!(vec.pop(), twin.pop()),
            8 if at < twin.len() => {
                vec[at] = item.clone();
                twin[at] = item;
            }
            9 => {
                // Cut in two, and put together the other way round.
                let mut rest = vec.split_off(at);
                rest.append(std::mem::take(vec));
                *vec = rest;
                twin.rotate_left(at);
            }
            10 => {
                let odd = random.below(2);
                vec.retain(|(text, _)| text.len() % 2 == odd || text.len() > 3);
                twin.retain(|(text, _)| text.len() % 2 == odd || text.len() > 3);
            }
            _ if random.below(2) == 0 => vec.reserve_exact(random.below(9)),
            _ => vec.shrink_to(random.below(9)),
        }
        assert_eq!(**vec, **twin);
        assert!(vec.capacity() >= vec.len());
    }

    #[test]
    fn copies_stay_as_they_were_and_all_items_are_dropped_once() {
        for seed in 0..6 {
            let mut random = Random::new(seed);
            let owned = Arc::new(());
            let (mut vec, mut twin) = (SharedVec::new(), Vec::new());
            let mut copies: Vec<(SharedVec<Item>, Vec<Item>)> = Vec::new();
            for step in 0..4000 / FEWER {
                let item = (step.to_string().into_boxed_str(), owned.clone());
                change(&mut random, &mut vec, &mut twin, item);
                match random.below(20) {
                    0 => copies.push((vec.clone(), twin.clone())),
                    1 if !copies.is_empty() => drop(copies.swap_remove(random.below(copies.len()))),
                    // A copy is changed, and what it is a copy of stays.
                    2 if !copies.is_empty() => {
                        let at = random.below(copies.len());
                        let (copy, as_it_was) = &mut copies[at];
                        change(&mut random, copy, as_it_was, ("copy".into(), owned.clone()));
                    }
                    _ => {}
                }
                assert!(copies.iter().all(|(copy, as_it_was)| **copy == **as_it_was), "seed {seed}, step {step}");
            }
            drop((vec, twin, copies));
            assert_eq!(Arc::strong_count(&owned), 1, "seed {seed}");
        }
    }

    #[test]
    fn a_copy_is_read_and_dropped_on_another_thread() {
        let mut vec: SharedVec<Box<usize>> = SharedVec::new();
        for round in 0..200 / FEWER {
            vec.push(Box::new(round));
            let copy = vec.clone();
            let reader = std::thread::spawn(move || copy.iter().map(|item| **item).sum::<usize>());
            *vec[0] = round;
            vec.push(Box::new(0));
            // What was in the first place before.
            let first = round.saturating_sub(1);
            assert_eq!(reader.join().expect("it reads"), first + (1..=round).sum::<usize>());
        }
    }

    #[test]
    fn bytes_are_those_of_the_block() {
        let mut vec: SharedVec<u16> = SharedVec::new();
        assert_eq!((vec.bytes(), size_of_val(&vec)), (0, 16));
        vec.reserve_exact(5);
        vec.push(1);
        assert_eq!((vec.capacity(), vec.bytes()), (5, 8 + 10));
        let mut copy = vec.clone();
        copy.push(2);
        assert_eq!((copy.capacity(), &*copy, &*vec), (5, &[1, 2][..], &[1][..]));
        vec.pop();
        vec.shrink_to(0);
        assert_eq!((vec.bytes(), SharedVec::from(&b"text"[..]).bytes()), (0, 8 + 4));
    }
}
