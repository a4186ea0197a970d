//! What keys have in common: names are made of parts with colons between them, of which some are numbers and ids.
//!
//! `user:1000:cart` belongs to `user:*:*`. The last part is left out, and so is one with a digit in it, as else each user
//! would be a group of its own. Three parts are looked at; `a:b:c:d:e` belongs to `a:b:c:*`.

use std::collections::HashMap;

const PARTS_MAX: usize = 3;

/// A longer part is taken for an id.
const PART_LEN_MAX: usize = 32;

/// Patterns that are counted at a time; twice as many are held before the smaller half is dropped.
const KEPT: usize = 4096;

/// Keys and bytes.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) keys: u64,
    pub(super) bytes: u64,
}

impl Sum {
    pub(super) fn add(&mut self, other: Sum) {
        self.keys += other.keys;
        self.bytes += other.bytes;
    }
}

/// Sums by pattern, in bounded memory.
#[derive(Default)]
pub(super) struct Patterns {
    sums: HashMap<Vec<u8>, Sum>,
    /// Of patterns that were dropped since they were small.
    dropped: Sum,
    pattern: Vec<u8>,
}

impl Patterns {
    pub(super) fn add(&mut self, key: &[u8], bytes: u64) {
        write_pattern(&mut self.pattern, key);
        let one = Sum { keys: 1, bytes };
        if let Some(sum) = self.sums.get_mut(&self.pattern) {
            sum.add(one);
            return;
        }
        self.sums.insert(self.pattern.clone(), one);
        if self.sums.len() > 2 * KEPT {
            self.drop_smaller_half();
        }
    }

    fn drop_smaller_half(&mut self) {
        let mut all: Vec<(Vec<u8>, Sum)> = self.sums.drain().collect();
        all.select_nth_unstable_by_key(KEPT, |(_, sum)| std::cmp::Reverse(sum.bytes));
        for (_, sum) in all.drain(KEPT..) {
            self.dropped.add(sum);
        }
        self.sums.extend(all);
    }

    /// The patterns with the most bytes, the sum of all others, and whether that of each is whole.
    pub(super) fn largest(&self, count: usize) -> (Vec<(&[u8], Sum)>, Sum, bool) {
        let mut all: Vec<(&[u8], Sum)> = self.sums.iter().map(|(pattern, sum)| (pattern.as_slice(), *sum)).collect();
        all.sort_unstable_by(|(a, one), (b, other)| other.bytes.cmp(&one.bytes).then(a.cmp(b)));
        let mut others = self.dropped;
        all.drain(count.min(all.len())..).for_each(|(_, sum)| others.add(sum));
        (all, others, self.dropped == Sum::default())
    }
}

fn write_pattern(out: &mut Vec<u8>, key: &[u8]) {
    out.clear();
    // A key without a colon has one part, which is the last.
    let parts = key.iter().filter(|&&byte| byte == b':').count();
    for part in key.split(|&byte| byte == b':').take(parts.min(PARTS_MAX)) {
        let is_id = part.len() > PART_LEN_MAX || part.iter().any(u8::is_ascii_digit);
        out.extend_from_slice(if is_id { b"*" } else { part });
        out.push(b':');
    }
    out.push(b'*');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_last_parts_are_left_out() {
        for (key, expected) in [
            ("user:1000:cart", "user:*:*"),
            ("user:alice", "user:*"),
            ("app:cache:page:home", "app:cache:page:*"),
            ("a:b:c:d:e", "a:b:c:*"),
            ("greeting", "*"),
            ("x::", "x::*"),
            ("", "*"),
            ("session:0123456789abcdef", "session:*"),
            ("abcdefghijklmnopqrstuvwxyzabcdefghijkl:x", "*:*"),
        ] {
            let mut pattern = Vec::new();
            write_pattern(&mut pattern, key.as_bytes());
            assert_eq!(pattern.escape_ascii().to_string(), expected, "{key}");
        }
    }

    #[test]
    fn a_million_patterns_take_bounded_memory_and_the_large_ones_stay() {
        let mut patterns = Patterns::default();
        for number in 0..200_000u32 {
            let letters: String = number.to_string().bytes().map(|digit| char::from(digit + b'a' - b'0')).collect();
            patterns.add(format!("{letters}:x").as_bytes(), 10);
            patterns.add(b"large:x", 20);
            assert!(patterns.sums.len() <= 2 * KEPT);
        }
        let (largest, others, is_whole) = patterns.largest(1);
        assert_eq!(largest, [(&b"large:*"[..], Sum { keys: 200_000, bytes: 4_000_000 })]);
        assert_eq!((others, is_whole), (Sum { keys: 200_000, bytes: 2_000_000 }, false));
    }
}
