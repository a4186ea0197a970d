//! Growing and shrinking a heap block in its middle, to the byte.
//!
//! Collections hold exactly what they use: an allocator with close size classes grows a block in place until the class
//! is full, so growing by the byte costs one cheap call and saves the half-empty capacity of a doubling vector.

/// Makes the `old` bytes at `at` into `new` bytes, whose content the caller must write: moves what is behind them.
pub fn resize(bytes: &mut Box<[u8]>, at: usize, old: usize, new: usize) {
    if new > old {
        widen(bytes, at + old, new - old);
    } else if new < old {
        cut(bytes, at + new, old - new);
    }
}

/// Opens a gap of `by` bytes at `at`.
fn widen(bytes: &mut Box<[u8]>, at: usize, by: usize) {
    let mut vec = std::mem::take(bytes).into_vec();
    let end = vec.len();
    vec.reserve_exact(by);
    vec.resize(end + by, 0);
    vec.copy_within(at..end, at + by);
    *bytes = vec.into_boxed_slice();
}

/// Takes `by` bytes at `at` out.
pub fn cut(bytes: &mut Box<[u8]>, at: usize, by: usize) {
    if by == 0 {
        return;
    }
    let mut vec = std::mem::take(bytes).into_vec();
    vec.copy_within(at + by.., at);
    vec.truncate(vec.len() - by);
    *bytes = vec.into_boxed_slice();
}

/// Adds `new` at the end.
pub fn extend(bytes: &mut Box<[u8]>, new: &[u8]) {
    let mut vec = std::mem::take(bytes).into_vec();
    vec.reserve_exact(new.len());
    vec.extend_from_slice(new);
    *bytes = vec.into_boxed_slice();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_moves_along() {
        let mut bytes: Box<[u8]> = Box::from(*b"abcdef");
        resize(&mut bytes, 2, 1, 3);
        bytes[2..5].copy_from_slice(b"123");
        assert_eq!(&*bytes, b"ab123def");
        resize(&mut bytes, 2, 3, 0);
        assert_eq!(&*bytes, b"abdef");
        extend(&mut bytes, b"g");
        assert_eq!(&*bytes, b"abdefg");
        cut(&mut bytes, 0, 6);
        assert!(bytes.is_empty());
    }
}
