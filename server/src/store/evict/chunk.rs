//! A run of queue entries in one small allocation of 16-bit codes.
//!
//! ```text
//! word 0..4  the age in force at the first entry (an f64)
//! word 4     how many words are in use, these six included
//! word 5     the chunk's number, modulo 256
//! word 6..   codes
//!
//! 0sssssshhhhhhhhh                      an entry: slot, 9 bits of hash
//! 10sssssshhhhhhhh hhhhhhhhhhhhhhhh     an entry: slot, 24 bits of hash
//! 11aaaaaaaaaaaaaa aaaaaaaaaaaaaaaa     from here on the age is this much above the chunk's
//! ```
//! The age step is the 30 bits of an f32 between its sign and its last bit, so it is good to one part in four million.

use super::Partial;

/// Words before the first code.
pub const HEAD: usize = 6;
/// The sizes a chunk grows through, in words. They are size classes of common allocators, and the last is 512 bytes.
pub const SIZES: [usize; 9] = [16, 24, 32, 48, 64, 96, 128, 192, 256];

const LEN: usize = 4;
const NUMBER: usize = 5;
const PAIR: u16 = 1 << 15;
const AGE: u16 = 1 << 14;

/// See the head of this file.
pub struct Chunk {
    words: Box<[u16]>,
}

/// One decoded code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Code {
    /// An entry.
    Entry(Partial),
    /// The age from here on, above the chunk's.
    Age(f64),
}

impl Chunk {
    /// An empty chunk of `words` words whose entries are stamped `base` until an age code says otherwise.
    pub fn new(number: u8, base: f64, words: usize) -> Chunk {
        let mut chunk = Chunk { words: vec![0; words].into_boxed_slice() };
        let bits = base.to_bits();
        for (i, word) in chunk.words[..LEN].iter_mut().enumerate() {
            *word = (bits >> (16 * i)) as u16;
        }
        chunk.words[LEN] = HEAD as u16;
        chunk.words[NUMBER] = u16::from(number);
        chunk
    }

    /// A chunk of no size, which holds nothing, has no head and costs nothing.
    pub fn none() -> Chunk {
        Chunk { words: Box::default() }
    }

    /// The age at the first entry.
    pub fn base(&self) -> f64 {
        let bits = self.words[..LEN].iter().rev().fold(0, |bits, &word| bits << 16 | u64::from(word));
        f64::from_bits(bits)
    }

    /// The chunk's number, modulo 256.
    pub fn number(&self) -> u8 {
        self.words[NUMBER] as u8
    }

    /// Words in use, [`HEAD`] included: where the next code goes.
    pub fn len(&self) -> usize {
        self.words.get(LEN).map_or(0, |&len| usize::from(len))
    }

    /// Words there are.
    pub fn size(&self) -> usize {
        self.words.len()
    }

    /// Words that are free.
    pub fn room(&self) -> usize {
        self.size() - self.len()
    }

    /// Makes the chunk `words` long; what it holds must fit.
    pub fn resize(&mut self, words: usize) {
        debug_assert!(words >= self.len());
        let mut grown = std::mem::take(&mut self.words).into_vec();
        grown.reserve_exact(words.saturating_sub(grown.len()));
        grown.resize(words, 0);
        self.words = grown.into_boxed_slice();
    }

    /// Forgets the codes before word `from`.
    pub fn slide(&mut self, from: usize) {
        let len = self.len();
        self.words.copy_within(from..len, HEAD);
        self.words[LEN] = (HEAD + len - from) as u16;
    }

    /// Appends an entry; there must be [`words_of`] words of room.
    pub fn put(&mut self, entry: Partial) {
        let slot = u16::from(entry.slot & 63);
        if entry.bits == Partial::NARROW {
            self.append(slot << Partial::NARROW | entry.prefix as u16 & 0x1ff);
        } else {
            self.append(PAIR | slot << 8 | (entry.prefix >> 16) as u16 & 0xff);
            self.append(entry.prefix as u16);
        }
    }

    /// Appends an age code (two words) for `age`, and returns the age it will be read as: a trifle less.
    pub fn put_age(&mut self, age: f64) -> f64 {
        // Rounding to f32 may go up, and an age that is ahead of the stripe's would order entries wrongly.
        let step = ((age - self.base()) as f32).next_down().max(0.0);
        let bits = step.to_bits() >> 1;
        self.append(PAIR | AGE | (bits >> 16) as u16);
        self.append(bits as u16);
        self.base() + step_of(bits)
    }

    /// The code at word `at`, and where the next one is. `None` at the end.
    pub fn code(&self, at: usize) -> Option<(Code, usize)> {
        if at >= self.len() {
            return None;
        }
        let word = self.words[at];
        if word & PAIR == 0 {
            let prefix = u32::from(word & 0x1ff);
            let entry = Partial { slot: (word >> Partial::NARROW) as u8, prefix, bits: Partial::NARROW };
            return Some((Code::Entry(entry), at + 1));
        }
        let low = u32::from(self.words[at + 1]);
        let code = if word & AGE == 0 {
            let prefix = u32::from(word & 0xff) << 16 | low;
            Code::Entry(Partial { slot: (word >> 8 & 63) as u8, prefix, bits: Partial::WIDE })
        } else {
            Code::Age(step_of(u32::from(word & 0x3fff) << 16 | low))
        };
        Some((code, at + 2))
    }

    fn append(&mut self, word: u16) {
        let len = self.len();
        self.words[len] = word;
        self.words[LEN] += 1;
    }
}

/// Words an entry takes.
pub fn words_of(entry: Partial) -> usize {
    if entry.bits == Partial::NARROW { 1 } else { 2 }
}

fn step_of(bits: u32) -> f64 {
    f64::from(f32::from_bits(bits << 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(chunk: &Chunk) -> Vec<Code> {
        let mut at = HEAD;
        std::iter::from_fn(|| {
            let (code, next) = chunk.code(at)?;
            at = next;
            Some(code)
        })
        .collect()
    }

    #[test]
    fn codes_come_back_as_they_were_put() {
        let narrow = Partial { slot: 63, prefix: 0x1ff, bits: Partial::NARROW };
        let wide = Partial { slot: 63, prefix: 0xff_ffff, bits: Partial::WIDE };
        let zero = Partial { slot: 0, prefix: 0, bits: Partial::WIDE };
        let mut chunk = Chunk::new(255, 0.1, 16);
        for entry in [narrow, wide, zero] {
            chunk.put(entry);
        }
        let age = chunk.put_age(1000.1);
        assert!(age <= 1000.1 && age > 1000.099, "{age}");
        assert_eq!((chunk.number(), chunk.base(), chunk.len()), (255, 0.1, 13));
        let expected = [Code::Entry(narrow), Code::Entry(wide), Code::Entry(zero), Code::Age(age - 0.1)];
        assert_eq!(codes(&chunk), expected);
    }

    #[test]
    fn a_chunk_keeps_its_codes_when_it_grows_and_slides() {
        let entry = |prefix| Partial { slot: 1, prefix, bits: Partial::NARROW };
        let mut chunk = Chunk::new(3, 2.0, 16);
        (0..10).for_each(|i| chunk.put(entry(i)));
        assert_eq!(chunk.room(), 0);
        chunk.resize(32);
        chunk.slide(HEAD + 7);
        assert_eq!(codes(&chunk), [7, 8, 9].map(|i| Code::Entry(entry(i))));
        assert_eq!((chunk.number(), chunk.base(), chunk.room()), (3, 2.0, 23));
    }

    #[test]
    fn an_age_is_never_read_as_later_than_it_was() {
        for base in [0.0, 0.3, 1e6, 1e9] {
            for step in [0.0, 1e-9, 0.001, 0.7, 123.456] {
                let mut chunk = Chunk::new(0, base, 16);
                let read = chunk.put_age(base + step);
                assert!(read <= base + step && base + step - read <= (step * 1e-6).max(base * 1e-15), "{base} {step}");
            }
        }
    }
}
