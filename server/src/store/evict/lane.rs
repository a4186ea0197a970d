//! A FIFO of queue entries with the age each was stamped with, two bytes an entry.
//!
//! Entries go in at the back with rising ages, and come out at the front. A lane that is short lives in one chunk
//! that slides and grows; a longer one is a row of full chunks. Ages are written only when they differ enough to
//! matter.

use std::collections::VecDeque;

use super::Partial;
use super::chunk::{Chunk, Code, HEAD, SIZES, words_of};

/// Beyond this many slacks above its chunk's age a step is no longer exact to a quarter of the slack, and a chunk is
/// begun.
const SLACKS_MAX: f64 = (1 << 20) as f64;
const SIZE_MAX: usize = SIZES[SIZES.len() - 1];
/// How a chunk begins that is not its lane's first: the lane is long, so it will fill.
const SIZE_LATER: usize = 64;

/// See the head of this file.
pub struct Lane {
    /// The chunk the front entry is in. Of no size if there are no entries.
    first: Chunk,
    /// The chunks behind it. Most lanes are short and most stripes have a dozen, so what a long one needs is elsewhere.
    rest: Option<Box<Rest>>,
    /// The age of the entry at the front.
    front_age: f64,
    /// The age the last entry at the back is read as.
    back_age: f64,
    entries: u32,
    /// Where in the first chunk the front entry's code is.
    read: u16,
}

#[derive(Default)]
struct Rest {
    chunks: VecDeque<Chunk>,
    /// Words of all of them.
    words: usize,
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
        Lane { first: Chunk::none(), rest: None, front_age: 0.0, back_age: 0.0, entries: 0, read: HEAD as u16 }
    }

    /// Entries held, stale ones included.
    pub fn len(&self) -> u32 {
        self.entries
    }

    /// Heap bytes held.
    pub fn bytes(&self) -> usize {
        let rest = self.rest.as_ref().map_or(0, |rest| {
            size_of::<Rest>() + rest.words * size_of::<u16>() + rest.chunks.capacity() * size_of::<Chunk>()
        });
        self.first.size() * size_of::<u16>() + rest
    }

    /// Makes room for one entry and returns the number of the chunk that [`Lane::put`], given the same, will write
    /// it to.
    ///
    /// `age` must not be below that of earlier entries; the entry may be read with an age up to `slack` lower.
    /// `numbers` is the number last given to a chunk, and is advanced when one is begun. A place may stay unused.
    pub fn place(&mut self, entry: Partial, age: f64, slack: f64, numbers: &mut u8) -> u8 {
        let far = self.back().is_some_and(|back| age - back.base() > slack * SLACKS_MAX);
        let words = words_of(entry) + if self.is_off(age, slack) { 2 } else { 0 };
        if far || !self.make_room(words) {
            self.drop_unused();
            *numbers = numbers.wrapping_add(1);
            self.begin_chunk(*numbers, age);
        }
        self.back().map_or(0, Chunk::number)
    }

    /// Appends the entry that [`Lane::place`] made room for.
    pub fn put(&mut self, entry: Partial, age: f64, slack: f64) {
        let off = self.is_off(age, slack);
        let back = self.back_mut();
        let stamped = off.then(|| back.put_age(age));
        back.put(entry);
        self.back_age = stamped.unwrap_or(self.back_age);
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
        if let Some(rest) = &mut self.rest {
            if let Some(unused) = rest.chunks.pop_back_if(|back| back.len() == HEAD) {
                rest.words -= unused.size();
            }
        } else if self.entries == 0 {
            self.first = Chunk::none();
        }
    }

    fn back(&self) -> Option<&Chunk> {
        let last = self.rest.as_ref().and_then(|rest| rest.chunks.back());
        last.or_else(|| (self.first.size() > 0).then_some(&self.first))
    }

    fn back_mut(&mut self) -> &mut Chunk {
        let last = self.rest.as_mut().and_then(|rest| rest.chunks.back_mut());
        last.unwrap_or(&mut self.first)
    }

    /// The oldest entry.
    pub fn front(&self) -> Option<Front> {
        if self.entries == 0 {
            return None;
        }
        match self.first.code(usize::from(self.read)) {
            Some((Code::Entry(partial), _)) => Some(Front { partial, chunk: self.first.number(), age: self.front_age }),
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
        while self.first.size() > 0 {
            match self.first.code(usize::from(self.read)) {
                Some((Code::Entry(_), _)) => return,
                Some((Code::Age(step), next)) => {
                    self.front_age = self.first.base() + step;
                    self.read = next as u16;
                }
                None => self.next_chunk(),
            }
        }
    }

    /// Drops the first chunk; the one behind it takes its place.
    fn next_chunk(&mut self) {
        self.read = HEAD as u16;
        self.first = Chunk::none();
        let Some(rest) = &mut self.rest else { return };
        if let Some(first) = rest.chunks.pop_front() {
            rest.words -= first.size();
            self.front_age = first.base();
            self.first = first;
        }
        if rest.chunks.is_empty() {
            self.rest = None;
        }
    }

    /// Whether the last chunk has, or could be given, room for `words` more.
    fn make_room(&mut self, words: usize) -> bool {
        // What the front has read is free, if the front stands in the last chunk; moving the rest pays if that is a
        // quarter.
        let free = if self.rest.is_none() { usize::from(self.read) - HEAD } else { 0 };
        let back = self.back_mut();
        let size = back.size();
        if size == 0 {
            return false;
        }
        if back.room() >= words {
            return true;
        }
        if free * 4 >= size {
            back.slide(HEAD + free);
            self.read = HEAD as u16;
        }
        let back = self.back_mut();
        let needed = back.len() + words;
        if size < needed {
            let Some(&larger) = SIZES.iter().find(|&&larger| larger >= needed) else {
                return false;
            };
            back.resize(larger);
            if let Some(rest) = &mut self.rest {
                rest.words += larger - size;
            }
        }
        true
    }

    fn begin_chunk(&mut self, number: u8, age: f64) {
        self.back_age = age;
        if self.first.size() == 0 {
            self.first = Chunk::new(number, age, SIZES[0]);
            self.front_age = age;
            self.read = HEAD as u16;
            return;
        }
        let rest = self.rest.get_or_insert_default();
        if rest.chunks.len() == rest.chunks.capacity() {
            // By a quarter, not by doubling: beside chunks of 256 bytes their pointers would show.
            rest.chunks.reserve_exact(1 + rest.chunks.len() / 4);
        }
        rest.chunks.push_back(Chunk::new(number, age, SIZE_LATER));
        rest.words += SIZE_LATER;
    }
}

// A full chunk and its pointer stay under 2.3 bytes an entry, and a place always fits a fresh chunk.
const _: () = assert!((SIZE_MAX * 2 + 20) * 10 < (SIZE_MAX - HEAD) * 23 && SIZES[0] >= HEAD + 4);

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(i: u32) -> Partial {
        if i.is_multiple_of(3) {
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
        assert!(lane.bytes() <= 32, "{}", lane.bytes());
        for _ in 0..100_000 {
            put(&mut lane);
            lane.pop();
        }
        assert!(lane.bytes() <= 32, "{}", lane.bytes());
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
