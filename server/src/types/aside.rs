//! The long texts of a [leaf](super::leaf), in blocks of their own and found by number.
//!
//! When a leaf is shared with a snapshot, so are its texts: the list of the shorter ones is copied by the first change to
//! it, 128 KiB at most, and a text that is longer than [`SHARED_MIN`] never is.

use super::shared::SharedVec;

/// Texts longer than this, in bytes, are shared one by one, which takes 8 bytes more for each.
const SHARED_MIN: usize = 1024;

/// Marks the number of a text that is shared by itself.
const SHARED_MARK: u16 = 1 << 15;

/// Texts by number. An empty one marks a number that is free.
#[derive(Clone, Debug, Default)]
pub struct Aside {
    short: SharedVec<Box<[u8]>>,
    long: SharedVec<SharedVec<u8>>,
    /// Of the texts in their blocks.
    text_bytes: usize,
}

impl Aside {
    /// Heap bytes, as asked of the allocator, without itself. There is never more room than texts.
    pub fn bytes(&self) -> usize {
        self.text_bytes + self.short.bytes() + self.long.bytes()
    }

    pub fn is_empty(&self) -> bool {
        self.short.is_empty() && self.long.is_empty()
    }

    pub fn get(&self, number: u16) -> &[u8] {
        match number & SHARED_MARK {
            0 => &self.short[number as usize],
            _ => &self.long[(number ^ SHARED_MARK) as usize],
        }
    }

    /// Adds a text, which is not empty, and returns its number.
    pub fn insert(&mut self, text: &[u8]) -> u16 {
        if text.len() > SHARED_MIN {
            return self.insert_long(SharedVec::from(text));
        }
        self.insert_short(Box::from(text))
    }

    fn insert_short(&mut self, text: Box<[u8]>) -> u16 {
        self.text_bytes += text.len();
        put(&mut self.short, text, |text| text.is_empty())
    }

    fn insert_long(&mut self, text: SharedVec<u8>) -> u16 {
        self.text_bytes += text.bytes();
        put(&mut self.long, text, |text| text.is_empty()) | SHARED_MARK
    }

    /// Moves a text of another leaf here, and returns its new number. The other is let go as a whole after that.
    pub fn take(&mut self, from: &mut Aside, number: u16) -> u16 {
        match number & SHARED_MARK {
            0 => self.insert_short(std::mem::take(&mut from.short[number as usize])),
            _ => self.insert_long(from.long[(number ^ SHARED_MARK) as usize].clone()),
        }
    }

    pub fn remove(&mut self, number: u16) {
        if number & SHARED_MARK == 0 {
            self.text_bytes -= self.short[number as usize].len();
            clear(&mut self.short, number as usize, |text| text.is_empty());
        } else {
            let number = (number ^ SHARED_MARK) as usize;
            self.text_bytes -= self.long[number].bytes();
            clear(&mut self.long, number, |text| text.is_empty());
        }
    }
}

/// Puts a text at the first free number.
fn put<T: Clone>(texts: &mut SharedVec<T>, text: T, is_free: impl Fn(&T) -> bool) -> u16 {
    if let Some(free) = texts.iter().position(is_free) {
        texts[free] = text;
        return free as u16;
    }
    texts.push(text);
    (texts.len() - 1) as u16
}

/// Frees a number, and those at the end that are free then.
fn clear<T: Clone + Default>(texts: &mut SharedVec<T>, number: usize, is_free: impl Fn(&T) -> bool) {
    texts[number] = T::default();
    while texts.last().is_some_and(&is_free) {
        texts.pop();
    }
    texts.shrink_to(0);
}
