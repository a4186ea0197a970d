//! A piece of a long list: a run of elements up to a limit, or one element that is too long for a run.

use super::item::{Element, Item};
use super::packed::{self, Packed};
use super::shared::SharedVec;

/// Up to where a run of a list's elements may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    bytes_max: usize,
    entries_max: usize,
}

/// The bytes of a run that is limited by its number of elements, as in Redis.
const BYTES_SAFE: usize = 8192;

/// What Redis reckons an element takes beside its text before it asks whether a chunk has room for it. It is reckoned
/// alike here, so that lists fall into the same chunks and change their form at the same element.
const OVERHEAD: usize = 8;

impl Limits {
    /// From `list-max-listpack-size`: -1 to -5 are 4, 8, 16, 32 and 64 KiB; a positive number is one of elements.
    pub fn new(size: i32) -> Limits {
        match size {
            ..0 => Limits { bytes_max: 4096 << size.unsigned_abs().min(5).saturating_sub(1), entries_max: usize::MAX },
            0.. => Limits { bytes_max: BYTES_SAFE, entries_max: (size as usize).max(1) },
        }
    }

    /// Whether an element may not share a run with others.
    pub fn is_long(&self, element: Element<'_>) -> bool {
        element.len() > self.bytes_max
    }

    /// Whether a run of so many elements, and bytes as a listpack, is too large.
    pub fn is_exceeded(&self, bytes: usize, entries: usize) -> bool {
        bytes > self.bytes_max || entries > self.entries_max
    }

    /// Half of it, for what must not go back and forth. A limit by number does not ask for bytes then, as in Redis.
    pub fn half(&self) -> Limits {
        match self.entries_max {
            usize::MAX => Limits { bytes_max: self.bytes_max / 2, ..*self },
            entries => Limits { bytes_max: BYTES_SAFE, entries_max: entries / 2 },
        }
    }
}

/// A piece of a list. Of what is long, copies share the text.
#[derive(Clone, Debug)]
pub enum Chunk {
    Run(Packed<true>),
    Long(SharedVec<u8>),
}

const _: () = assert!(size_of::<Chunk>() == 24);

impl Chunk {
    /// A chunk with one element.
    pub fn of(element: Element<'_>, limits: &Limits) -> Chunk {
        match element {
            Element::Text(text) if limits.is_long(element) => Chunk::Long(SharedVec::from(text)),
            _ => Chunk::Run(Packed::collect([element])),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Chunk::Run(run) => run.len(),
            Chunk::Long(_) => 1,
        }
    }

    /// Heap bytes, as asked of the allocator.
    pub fn bytes(&self) -> usize {
        match self {
            Chunk::Run(run) => run.bytes(),
            Chunk::Long(text) => text.bytes(),
        }
    }

    /// The run, if it may take an element of this kind more.
    pub fn run_with_room(&mut self, item: &Item<'_>, limits: &Limits) -> Option<&mut Packed<true>> {
        match self {
            Chunk::Run(run) => {
                let bytes = run.listpack_bytes() + item.element().len() + OVERHEAD;
                (!limits.is_exceeded(bytes, run.len() + 1)).then_some(run)
            }
            Chunk::Long(_) => None,
        }
    }

    pub fn get(&self, index: usize) -> Element<'_> {
        match self {
            Chunk::Run(run) => run.at(run.offset_of(index)),
            Chunk::Long(text) => Element::Text(text),
        }
    }

    /// Puts an element in the place of another, if it can be here, and says whether it can.
    pub fn replace(&mut self, index: usize, element: Element<'_>, limits: &Limits) -> bool {
        match (self, element) {
            (Chunk::Long(text), Element::Text(new)) if limits.is_long(element) => {
                *text = SharedVec::from(new);
                true
            }
            (Chunk::Run(run), _) if !limits.is_long(element) => {
                let item = Packed::<true>::item(element);
                let at = run.offset_of(index);
                let (old, new) = (run.next(at) - at, Packed::<true>::room(item.size()));
                let is_fit = !limits.is_exceeded(run.listpack_bytes() - old + new, run.len());
                if is_fit {
                    run.replace(at, &item, false);
                }
                is_fit
            }
            _ => false,
        }
    }

    /// All elements in order.
    pub fn iter(&self) -> Iter<'_> {
        match self {
            Chunk::Run(run) => Iter::Run(run.iter()),
            Chunk::Long(text) => Iter::Long(Some(text)),
        }
    }

    /// The elements from one on.
    pub fn iter_from(&self, index: usize) -> Iter<'_> {
        match self {
            Chunk::Run(run) => Iter::Run(run.iter_in(run.offset_of(index), run.end())),
            Chunk::Long(_) => self.iter(),
        }
    }

    /// The elements up to one, which is the last.
    pub fn iter_to(&self, index: usize) -> Iter<'_> {
        match self {
            Chunk::Run(run) => Iter::Run(run.iter_in(0, run.offset_of(index + 1))),
            Chunk::Long(_) => self.iter(),
        }
    }
}

/// The elements of a chunk.
#[derive(Clone, Debug)]
pub enum Iter<'a> {
    Run(packed::Iter<'a, true>),
    Long(Option<&'a [u8]>),
}

impl<'a> Iterator for Iter<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        match self {
            Iter::Run(run) => run.next(),
            Iter::Long(text) => text.take().map(Element::Text),
        }
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    #[inline]
    fn next_back(&mut self) -> Option<Element<'a>> {
        match self {
            Iter::Run(run) => run.next_back(),
            Iter::Long(text) => text.take().map(Element::Text),
        }
    }
}
