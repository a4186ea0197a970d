//! Vectors that grow and shrink by a fixed number of items and keep count of their bytes.
//!
//! Doubling would leave a quarter of a large set's memory empty on average; the vectors here are short (a node, a
//! bucket), so that copying one at each step costs little.

/// Puts an item at `at`, after asking for `step` more places if there is none.
pub(super) fn insert<T>(list: &mut Vec<T>, at: usize, item: T, step: usize, bytes: &mut usize) {
    if list.len() == list.capacity() {
        let before = list.capacity();
        list.reserve_exact(step);
        *bytes += (list.capacity() - before) * size_of::<T>();
    }
    list.insert(at, item);
}

/// Gives back what is empty beyond one step, once that is two steps.
pub(super) fn trim<T>(list: &mut Vec<T>, step: usize, bytes: &mut usize) {
    if list.capacity() - list.len() >= 2 * step {
        shrink(list, list.len() + step, bytes);
    }
}

/// Cuts off what begins at `at`; both halves have what they need and no more.
pub(super) fn split_off<T>(list: &mut Vec<T>, at: usize, bytes: &mut usize) -> Vec<T> {
    let mut rest = Vec::new();
    rest.reserve_exact(list.len() - at);
    rest.extend(list.drain(at..));
    *bytes += heap(&rest);
    shrink(list, 0, bytes);
    rest
}

/// Moves all items of `from` behind those of `list`.
pub(super) fn append<T>(list: &mut Vec<T>, mut from: Vec<T>, bytes: &mut usize) {
    *bytes -= heap(list) + heap(&from);
    list.reserve_exact(from.len());
    list.append(&mut from);
    *bytes += heap(list);
}

/// What the vector itself holds of the heap.
pub(super) fn heap<T>(list: &Vec<T>) -> usize {
    list.capacity() * size_of::<T>()
}

fn shrink<T>(list: &mut Vec<T>, capacity: usize, bytes: &mut usize) {
    *bytes -= heap(list);
    list.shrink_to(capacity);
    *bytes += heap(list);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_what_the_vectors_hold() {
        let (mut list, mut bytes) = (Vec::new(), 0);
        for item in 0..20u64 {
            insert(&mut list, 0, item, 8, &mut bytes);
        }
        assert_eq!((list.capacity(), bytes), (24, 24 * 8));
        let rest = split_off(&mut list, 5, &mut bytes);
        assert_eq!((list.capacity(), rest.capacity(), bytes), (5, 15, 20 * 8));
        append(&mut list, rest, &mut bytes);
        assert_eq!((list.len(), heap(&list), bytes), (20, 160, 160));
        list.truncate(4);
        trim(&mut list, 8, &mut bytes);
        assert_eq!((list.capacity(), bytes), (12, 96));
        assert_eq!(list, [19, 18, 17, 16]);
    }
}
