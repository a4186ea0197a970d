//! A FIFO of queue entries with the age each was stamped with, two bytes an entry.
//!
//! Entries go in at the back with rising ages, and come out at the front. A lane that is short lives in one chunk that slides
//! and grows; a longer one is a row of full chunks. Ages are written only when they differ enough to matter.

use std::collections::VecDeque;

use super::Partial;
use super::chunk::{Chunk, Code, HEAD, SIZES, words_of};

/// Beyond this many slacks above its chunk's age a step is no longer exact to a quarter of the slack, and a chunk is begun.
const SLACKS_MAX: f64 = (1 << 20) as f64;
const SIZE_MAX: usize = SIZES[SIZES.len() - 1];
/// How a chunk begins that is not its lane's first: the lane is long, so it will fill.
const SIZE_LATER: usize = SIZES[2];

/// See the head of this file.
pub struct Lane {
    chunks: VecDeque<Chunk>,
    /// The age of the entry at the front.
    front_age: f64,
    /// The age the last entry at the back is read as.
    back_age: f64,
    entries: u32,
    /// Words of all chunks.
    words: u32,
    /// Where in the first chunk the front entry's code is.
    read: u16,
}

/// The front of a lane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Front {
    /// What is known of the record.
    pub partial: Partial,
    /// The number of its chunk, modulo 256.
    pub chunk: u8,
    /// The age it was stamped with.
    pub age: f64,
}

impl Lane {
    /// An empty lane, without memory of its own.
    pub fn new() -> Lane {
        Lane { chunks: VecDeque::new(), front_age: 0.0, back_age: 0.0, entries: 0, words: 0, read: HEAD as u16 }
    }

    /// Entries held, stale ones included.
    pub fn len(&self) -> u32 {
        self.entries
    }

    /// Heap bytes held.
    pub fn bytes(&self) -> usize {
        self.words as usize * size_of::<u16>() + self.chunks.capacity() * size_of::<Chunk>()
    }

    /// Makes room for one entry and returns the number of the chunk that [`Lane::put`], given the same, will write it to.
    ///
    /// `age` must not be below that of earlier entries; the entry may be read with an age up to `slack` lower. `numbers` is the number last given to a chunk, and is advanced when one is begun. A place may stay unused.
    pub fn place(&mut self, entry: Partial, age: f64, slack: f64, numbers: &mut u8) -> u8 {
        let far = self.chunks.back().is_some_and(|back| age - back.base() > slack * SLACKS_MAX);
        let words = words_of(entry) + if self.is_off(age, slack) { 2 } else { 0 };
        if far || !self.make_room(words) {
            self.drop_unused();
            *numbers = numbers.wrapping_add(1);
            self.begin_chunk(*numbers, age);
        }
        self.chunks.back().map_or(0, Chunk::number)
    }

    /// Appends the entry that [`Lane::place`] made room for.
    pub fn put(&mut self, entry: Partial, age: f64, slack: f64) {
        let off = self.is_off(age, slack);
        let back = self.chunks.back_mut().expect("a place was made");
        if off {
            self.back_age = back.put_age(age);
        }
        back.put(entry);
        self.entries += 1;
        if self.entries == 1 {
            self.settle();
        }
    }

    /// Whether an entry at the back would be read with an age that is off by too much.
    fn is_off(&self, age: f64, slack: f64) -> bool {
        age - self.back_age > slack
    }

    /// Drops a chunk that was begun for a place nobody used.
    fn drop_unused(&mut self) {
        if let Some(unused) = self.chunks.pop_back_if(|back| back.len() == HEAD) {
            self.words -= unused.size() as u32;
        }
    }

    /// The oldest entry.
    pub fn front(&self) -> Option<Front> {
        let first = self.chunks.front().filter(|_| self.entries > 0)?;
        match first.code(usize::from(self.read)) {
            Some((Code::Entry(partial), _)) => {
                Some(Front { partial, chunk: first.number(), age: self.front_age })
            }
            _ => unreachable!("the front is always settled on an entry"),
        }
    }

    /// Drops the oldest entry.
    pub fn pop(&mut self) {
        let Some(front) = self.front() else { return };
        self.read += words_of(front.partial) as u16;
        self.entries -= 1;
        self.settle();
    }

    /// Moves the front onto the next entry, past age codes and finished chunks.
    fn settle(&mut self) {
        while let Some(first) = self.chunks.front() {
            match first.code(usize::from(self.read)) {
                Some((Code::Entry(_), _)) => return,
                Some((Code::Age(step), next)) => {
                    self.front_age = first.base() + step;
                    self.read = next as u16;
                }
                None => self.drop_chunk(),
            }
        }
        self.chunks = VecDeque::new();
    }

    fn drop_chunk(&mut self) {
        let dropped = self.chunks.pop_front().map_or(0, |chunk| chunk.size());
        self.words -= dropped as u32;
        self.read = HEAD as u16;
        if let Some(first) = self.chunks.front() {
            self.front_age = first.base();
        }
    }

    /// Whether the last chunk has, or could be given, room for `words` more.
    fn make_room(&mut self, words: usize) -> bool {
        let alone = self.chunks.len() == 1;
        let Some(back) = self.chunks.back_mut() else { return false };
        if back.room() >= words {
            return true;
        }
        // What the front has read is free, if the front stands in this chunk; moving the rest pays if that is a quarter.
        let read = usize::from(self.read);
        if alone && (read - HEAD) * 4 >= back.size() {
            back.slide(read);
            self.read = HEAD as u16;
        }
        let needed = back.len() + words;
        if back.size() < needed {
            let Some(&size) = SIZES.iter().find(|&&size| size >= needed) else { return false };
            self.words += (size - back.size()) as u32;
            back.resize(size);
        }
        true
    }

    fn begin_chunk(&mut self, number: u8, age: f64) {
        if self.chunks.is_empty() {
            self.front_age = age;
            self.read = HEAD as u16;
        }
        let size = if self.chunks.is_empty() { SIZES[0] } else { SIZE_LATER };
        if self.chunks.len() == self.chunks.capacity() {
            // By a quarter, not by doubling: beside chunks of 256 bytes their pointers would show.
            self.chunks.reserve_exact(1 + self.chunks.len() / 4);
        }
        self.chunks.push_back(Chunk::new(number, age, size));
        self.words += size as u32;
        self.back_age = age;
    }
}

// A full chunk and its pointer stay under 2.3 bytes an entry, and a place always fits a fresh chunk.
const _: () = assert!((SIZE_MAX * 2 + 20) * 10 < (SIZE_MAX - HEAD) * 23 && SIZES[0] >= HEAD + 4);

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(i: u32) -> Partial {
        if i % 3 == 0 {
            Partial { slot: (i % 64) as u8, prefix: i & 0xff_ffff, bits: Partial::WIDE }
        } else {
            Partial { slot: (i % 64) as u8, prefix: i & 0x1ff, bits: Partial::NARROW }
        }
    }

    fn push(lane: &mut Lane, i: u32, age: f64, numbers: &mut u8) -> u8 {
        let chunk = lane.place(entry(i), age, 0.000625, numbers);
        lane.put(entry(i), age, 0.000625);
        chunk
    }

    #[test]
    fn entries_come_out_in_order_with_their_chunk_and_nearly_their_age() {
        for keep in [1, 5, 60, 1000] {
            let (mut lane, mut numbers) = (Lane::new(), 0);
            let mut expected = VecDeque::new();
            for i in 0..5000u32 {
                let age = f64::from(i) * 0.0003;
                expected.push_back((i, push(&mut lane, i, age, &mut numbers), age));
                if expected.len() > keep {
                    let (i, chunk, age) = expected.pop_front().unwrap();
                    let front = lane.front().unwrap();
                    assert_eq!((front.partial, front.chunk), (entry(i), chunk), "keep {keep}");
                    assert!(front.age <= age && age - front.age <= 0.000626, "{} {age}", front.age);
                    lane.pop();
                }
                assert_eq!(lane.len() as usize, expected.len());
            }
        }
    }

    #[test]
    fn memory_follows_what_is_held() {
        let (mut lane, mut numbers) = (Lane::new(), 0);
        let narrow = entry(1);
        let mut put = |lane: &mut Lane| {
            lane.place(narrow, 1.0, 1.0, &mut numbers);
            lane.put(narrow, 1.0, 1.0);
        };
        put(&mut lane);
        assert!(lane.bytes() <= 48, "{}", lane.bytes());
        for _ in 0..100_000 {
            put(&mut lane);
            lane.pop();
        }
        assert!(lane.bytes() <= 48, "{}", lane.bytes());
        for _ in 1..100_000 {
            put(&mut lane);
        }
        assert_eq!(lane.len(), 100_000);
        assert!(lane.bytes() <= 230_000, "{}", lane.bytes());
        (0..100_000).for_each(|_| lane.pop());
        assert_eq!((lane.len(), lane.bytes(), lane.front()), (0, 0, None));
    }

    #[test]
    fn a_place_that_is_not_used_leaves_the_lane_as_it_was() {
        let (mut lane, mut numbers) = (Lane::new(), 0);
        for i in 0..2000 {
            lane.place(entry(i), f64::from(i), 0.000625, &mut numbers);
            assert_eq!(lane.front(), None);
        }
        push(&mut lane, 7, 2000.0, &mut numbers);
        let front = lane.front().unwrap();
        assert_eq!(front.partial, entry(7));
        assert!(front.age <= 2000.0 && front.age > 1999.99);
        assert!(lane.bytes() < 100);
    }

    #[test]
    fn a_short_lane_that_lives_long_keeps_exact_ages() {
        let (mut lane, mut numbers) = (Lane::new(), 0);
        push(&mut lane, 0, 0.0, &mut numbers);
        for i in 1..3_000_000u32 {
            let age = f64::from(i) * 0.001;
            push(&mut lane, i, age, &mut numbers);
            lane.pop();
            let front = lane.front().unwrap();
            assert!(age - front.age <= 0.0008, "{} at {age}", front.age);
        }
    }
}
