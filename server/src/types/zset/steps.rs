//! Vectors that grow and shrink by a fixed number of items and keep count of their bytes.
//!
//! Doubling would leave a quarter of a large set's memory empty on average; the vectors here are short (a node, a
//! bucket), so that copying one at each step costs little.

use super::super::shared::SharedVec;

/// A vector, shared or not, as far as its room is concerned.
pub(super) trait List<T> {
    fn room(&self) -> usize;
    /// What the vector itself holds of the heap.
    fn heap(&self) -> usize;
    fn count(&self) -> usize;
    fn grow(&mut self, more: usize);
    fn shrink(&mut self, capacity: usize);
    fn put(&mut self, at: usize, item: T);
}

impl<T> List<T> for Vec<T> {
    fn room(&self) -> usize {
        self.capacity()
    }

    fn heap(&self) -> usize {
        self.capacity() * size_of::<T>()
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn grow(&mut self, more: usize) {
        self.reserve_exact(more);
    }

    fn shrink(&mut self, capacity: usize) {
        self.shrink_to(capacity);
    }

    fn put(&mut self, at: usize, item: T) {
        self.insert(at, item);
    }
}

impl<T: Clone> List<T> for SharedVec<T> {
    fn room(&self) -> usize {
        self.capacity()
    }

    fn heap(&self) -> usize {
        self.bytes()
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn grow(&mut self, more: usize) {
        self.reserve_exact(more);
    }

    fn shrink(&mut self, capacity: usize) {
        self.shrink_to(capacity);
    }

    fn put(&mut self, at: usize, item: T) {
        self.insert(at, item);
    }
}

/// Puts an item at `at`, after asking for `step` more places if there is none.
pub(super) fn insert<T>(list: &mut impl List<T>, at: usize, item: T, step: usize, bytes: &mut usize) {
    if list.count() == list.room() {
        let before = list.heap();
        list.grow(step);
        *bytes += list.heap() - before;
    }
    list.put(at, item);
}

/// Gives back what is empty beyond one step, once that is two steps.
pub(super) fn trim<T>(list: &mut impl List<T>, step: usize, bytes: &mut usize) {
    if list.room() - list.count() >= 2 * step {
        shrink(list, list.count() + step, bytes);
    }
}

/// Cuts off what begins at `at`; both halves have what they need and no more.
pub(super) fn split_off<T: Clone>(list: &mut SharedVec<T>, at: usize, bytes: &mut usize) -> SharedVec<T> {
    let rest = list.split_off(at);
    *bytes += rest.heap();
    shrink(list, 0, bytes);
    rest
}

/// Moves all items of `from` behind those of `list`.
pub(super) fn append<T: Clone>(list: &mut SharedVec<T>, from: SharedVec<T>, bytes: &mut usize) {
    *bytes -= list.heap() + from.heap();
    list.append(from);
    *bytes += list.heap();
}

fn shrink<T>(list: &mut impl List<T>, capacity: usize, bytes: &mut usize) {
    *bytes -= list.heap();
    list.shrink(capacity);
    *bytes += list.heap();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_what_the_vectors_hold() {
        let (mut list, mut bytes) = (SharedVec::new(), 0);
        for item in 0..20u64 {
            insert(&mut list, 0, item, 8, &mut bytes);
        }
        assert_eq!((list.capacity(), bytes), (24, 8 + 24 * 8));
        let rest = split_off(&mut list, 5, &mut bytes);
        assert_eq!((list.capacity(), rest.capacity(), bytes), (5, 15, 2 * 8 + 20 * 8));
        append(&mut list, rest, &mut bytes);
        assert_eq!((list.len(), list.heap(), bytes), (20, 168, 168));
        list.truncate(4);
        trim(&mut list, 8, &mut bytes);
        assert_eq!((list.capacity(), bytes), (12, 8 + 96));
        assert_eq!(*list, [19, 18, 17, 16]);
    }
}
