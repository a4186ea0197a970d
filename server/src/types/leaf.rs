//! A leaf of a [`Dict`](super::dict::Dict): some tens of entries in one heap block.
//!
//! ```text
//! tags: 1 byte for each slot | offsets: 2 bytes for each slot | items: key, value, key, value, ...
//! ```
//! A tag is eight bits of the key's hash, so a search compares eight slots at a time and rarely looks at a wrong key.
//! Offsets count from the first item. There are always a multiple of eight slots, a little more than entries. Texts
//! over [`ASIDE_MIN`] bytes lie in blocks of their own (`aside`), so that a leaf stays small enough to be moved.

use super::aside::Aside;
use super::item::{self, Element, Item, STAMP_BYTES};
use super::splice;

/// Texts longer than this are kept aside, in bytes.
pub const ASIDE_MIN: usize = 128;

/// Entries beyond which a leaf should be split.
pub const ENTRIES_MAX: usize = 64;

/// Bytes beyond which a leaf should be split. It has at least 15 entries then.
const BYTES_MAX: usize = 4096;

/// Entries and bytes that two leaves may have together to be made one. Half of the most, so that a key that comes and
/// goes does not split and merge each time.
const MERGE_ENTRIES_MAX: usize = ENTRIES_MAX / 2;
const MERGE_BYTES_MAX: usize = BYTES_MAX / 2;

/// Slots are added so many at a time, as many as one comparison covers.
const SLOTS_STEP: usize = 8;

/// What a slot takes: tag and offset.
const SLOT_BYTES: usize = 3;

// Offsets have 16 bits, and the largest entry is two stamped items that are just not kept aside.
const _: () = assert!(BYTES_MAX + 2 * (ASIDE_MIN + STAMP_BYTES + 2) < u16::MAX as usize);

/// Entries whose hashes agree in their `depth` low bits, which are `prefix`.
#[derive(Clone, Debug, Default)]
pub struct Leaf<const VALUED: bool> {
    bytes: Box<[u8]>,
    aside: Option<Box<Aside>>,
    pub prefix: u32,
    count: u16,
    slots: u16,
    pub depth: u8,
}

/// An entry to be added.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    pub hash: u64,
    pub key: Item<'a>,
    /// Looked at in leaves that have values.
    pub value: Item<'a>,
    pub stamp: Option<u64>,
}

/// The bits of a hash that a leaf keeps. The low ones have chosen the leaf, so these are the top ones.
#[inline]
fn tag_of(hash: u64) -> u8 {
    (hash >> 56) as u8
}

impl<const VALUED: bool> Leaf<VALUED> {
    /// An empty leaf, which needs no heap.
    pub fn new(prefix: u32, depth: u8) -> Self {
        Leaf { prefix, depth, ..Leaf::default() }
    }

    /// How many entries there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Heap bytes, as asked of the allocator.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.aside.as_ref().map_or(0, |aside| size_of::<Aside>() + aside.bytes())
    }

    /// Whether it should be split.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.len() > ENTRIES_MAX || self.bytes.len() > BYTES_MAX && self.len() > 1
    }

    /// Whether it has so few entries that asking [`Leaf::may_merge`] is worth while.
    #[inline]
    pub fn is_sparse(&self) -> bool {
        self.len() <= MERGE_ENTRIES_MAX / 2
    }

    /// Whether two leaves, neighbours in their lowest differing bit, are small enough to be one.
    pub fn may_merge(&self, other: &Self) -> bool {
        self.depth == other.depth
            && self.len() + other.len() <= MERGE_ENTRIES_MAX
            && self.bytes.len() + other.bytes.len() <= MERGE_BYTES_MAX
    }

    /// The slot of a key.
    #[inline]
    pub fn find(&self, hash: u64, key: &Item<'_>) -> Option<usize> {
        self.find_tag(hash, |slot| self.key_is(slot, key))
    }

    /// The first slot with the tag of this hash for which `is_it` says yes.
    #[inline]
    pub fn find_tag(&self, hash: u64, mut is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        const LOW: u64 = 0x0101_0101_0101_0101;
        let wanted = LOW * u64::from(tag_of(hash));
        for (number, tags) in self.bytes[..self.slots as usize].chunks_exact(SLOTS_STEP).enumerate() {
            let differing = u64::from_le_bytes(tags.try_into().expect("chunks have this length")) ^ wanted;
            // The high bit of each byte that is zero. A byte above a zero may be marked too; its key will differ.
            let mut zeros = differing.wrapping_sub(LOW) & !differing & (LOW << 7);
            while zeros != 0 {
                let slot = number * SLOTS_STEP + zeros.trailing_zeros() as usize / 8;
                if slot < self.len() && is_it(slot) {
                    return Some(slot);
                }
                zeros &= zeros - 1;
            }
        }
        None
    }

    #[inline]
    fn key_is(&self, slot: usize, key: &Item<'_>) -> bool {
        let at = &self.bytes[self.offset(slot)..];
        match key.element() {
            Element::Text(text) if text.len() > ASIDE_MIN => {
                item::aside_at(at).is_some_and(|number| self.aside_text(number) == text)
            }
            _ => key.is_at(at),
        }
    }

    /// The key in a slot.
    #[inline]
    pub fn key(&self, slot: usize) -> Element<'_> {
        self.element(self.offset(slot))
    }

    /// The value in a slot.
    #[inline]
    pub fn value(&self, slot: usize) -> Element<'_> {
        self.element(self.value_offset(slot))
    }

    /// The stamp of the value in a slot.
    #[inline]
    pub fn stamp(&self, slot: usize) -> Option<u64> {
        if VALUED { item::stamp(&self.bytes[self.value_offset(slot)..]) } else { None }
    }

    /// Where the item of a slot's key begins in `bytes`.
    #[inline]
    fn offset(&self, slot: usize) -> usize {
        let at = self.slots as usize + 2 * slot;
        let offset = u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]]);
        self.items_start() + offset as usize
    }

    #[inline]
    fn items_start(&self) -> usize {
        SLOT_BYTES * self.slots as usize
    }

    #[inline]
    fn value_offset(&self, slot: usize) -> usize {
        debug_assert!(VALUED, "only leaves with values are asked for them");
        let at = self.offset(slot);
        at + item::size(&self.bytes[at..])
    }

    /// Where the last item of a slot ends.
    fn entry_end(&self, slot: usize) -> usize {
        let at = if VALUED { self.value_offset(slot) } else { self.offset(slot) };
        at + item::size(&self.bytes[at..])
    }

    #[inline]
    fn element(&self, at: usize) -> Element<'_> {
        let bytes = &self.bytes[at..];
        match item::aside_at(bytes) {
            Some(number) => Element::Text(self.aside_text(number)),
            None => item::read(bytes),
        }
    }

    fn aside_text(&self, number: u16) -> &[u8] {
        self.aside.as_ref().map_or(&[], |aside| aside.get(number))
    }

    /// Adds an entry whose key is not there.
    pub fn insert(&mut self, entry: &Entry<'_>) {
        let key = self.laid_aside(entry.key);
        let value = VALUED.then(|| self.laid_aside(entry.value));
        let stamp = entry.stamp.filter(|_| VALUED);
        let size = key.size() + value.map_or(0, |value| value.size()) + stamp.map_or(0, |_| STAMP_BYTES);
        self.reserve(1, size);
        let slot = self.len();
        self.count += 1;
        let mut at = self.bytes.len() - size;
        self.set_slot(slot, tag_of(entry.hash), at);
        key.write(&mut self.bytes[at..]);
        at += key.size();
        if let Some(stamp) = stamp {
            item::write_stamp(&mut self.bytes[at..], stamp);
            at += STAMP_BYTES;
        }
        if let Some(value) = value {
            value.write(&mut self.bytes[at..]);
        }
    }

    /// Makes the block larger by what so many entries with items of `size` bytes need.
    fn reserve(&mut self, entries: usize, size: usize) {
        let slots = (self.len() + entries).next_multiple_of(SLOTS_STEP);
        if slots <= self.slots as usize {
            let end = self.bytes.len();
            splice::resize(&mut self.bytes, end, 0, size);
            return;
        }
        // Tags, offsets and items all move, so the block is written anew.
        let (old, items) = (self.slots as usize, self.items_start());
        let mut bytes = Vec::with_capacity(self.bytes.len() + (slots - old) * SLOT_BYTES + size);
        bytes.extend_from_slice(&self.bytes[..old]);
        bytes.resize(slots, 0);
        bytes.extend_from_slice(&self.bytes[old..items]);
        bytes.resize(slots * SLOT_BYTES, 0);
        bytes.extend_from_slice(&self.bytes[items..]);
        bytes.resize(bytes.len() + size, 0);
        self.bytes = bytes.into_boxed_slice();
        self.slots = slots as u16;
    }

    fn set_slot(&mut self, slot: usize, tag: u8, at: usize) {
        self.bytes[slot] = tag;
        self.set_offset(slot, at - self.items_start());
    }

    fn set_offset(&mut self, slot: usize, offset: usize) {
        let offset = u16::try_from(offset).expect("leaves are split long before, unless hashes collide in 28 bits");
        let at = self.slots as usize + 2 * slot;
        self.bytes[at..at + 2].copy_from_slice(&offset.to_le_bytes());
    }

    /// The item itself, or a reference to where its text now lies.
    fn laid_aside<'a>(&mut self, new: Item<'a>) -> Item<'a> {
        match new.element() {
            Element::Text(text) if text.len() > ASIDE_MIN => {
                Item::aside(self.aside.get_or_insert_default().insert(text))
            }
            _ => new,
        }
    }

    /// Puts a value in the place of a slot's, whose stamp stays if `keep_stamp` says so.
    pub fn replace_value(&mut self, slot: usize, value: &Item<'_>, keep_stamp: bool) {
        self.drop_aside(self.value_offset(slot));
        let value = self.laid_aside(*value);
        let (start, end) = (self.value_offset(slot), self.entry_end(slot));
        let from = if keep_stamp { start + item::stamp_size(&self.bytes[start..]) } else { start };
        self.resize_item(from, end - from, value.size());
        value.write(&mut self.bytes[from..]);
    }

    /// Gives the value in a slot a stamp, or takes it away.
    pub fn set_stamp(&mut self, slot: usize, stamp: Option<u64>) {
        let at = self.value_offset(slot);
        let old = item::stamp_size(&self.bytes[at..]);
        self.resize_item(at, old, if stamp.is_some() { STAMP_BYTES } else { 0 });
        if let Some(stamp) = stamp {
            item::write_stamp(&mut self.bytes[at..], stamp);
        }
    }

    /// Makes `old` bytes at `at` into `new` ones, and tells the slots of entries behind.
    fn resize_item(&mut self, at: usize, old: usize, new: usize) {
        if old == new {
            return;
        }
        let offset = at - self.items_start();
        splice::resize(&mut self.bytes, at, old, new);
        self.shift_offsets(offset, new as isize - old as isize);
    }

    /// Moves the offsets that are larger than `behind`.
    fn shift_offsets(&mut self, behind: usize, by: isize) {
        let offsets = self.slots as usize..self.slots as usize + 2 * self.len();
        for bytes in self.bytes[offsets].as_chunks_mut::<2>().0 {
            let offset = u16::from_le_bytes(*bytes);
            if offset as usize > behind {
                *bytes = offset.wrapping_add(by as u16).to_le_bytes();
            }
        }
    }

    /// Takes the entry in a slot out. The last entry gets its slot.
    pub fn remove(&mut self, slot: usize) {
        let (at, end) = (self.offset(slot), self.entry_end(slot));
        self.drop_aside(at);
        if VALUED {
            self.drop_aside(at + item::size(&self.bytes[at..]));
        }
        let last = self.len() - 1;
        if last == 0 {
            *self = Leaf::new(self.prefix, self.depth);
            return;
        }
        let offset = at - self.items_start();
        let (tag, moved) = (self.bytes[last], self.offset(last));
        self.set_slot(slot, tag, moved);
        self.count -= 1;
        self.shift_offsets(offset, at as isize - end as isize);
        splice::cut(&mut self.bytes, at, end - at);
        self.give_slots_back();
    }

    /// Lets eight slots go if sixteen are free: so a key that comes and goes moves nothing.
    fn give_slots_back(&mut self) {
        let old = self.slots as usize;
        if self.len() + 2 * SLOTS_STEP > old {
            return;
        }
        let slots = old - SLOTS_STEP;
        splice::cut(&mut self.bytes, old + 2 * slots, 2 * SLOTS_STEP);
        splice::cut(&mut self.bytes, slots, SLOTS_STEP);
        self.slots = slots as u16;
    }

    /// Frees the text aside of the item at `at`, if it has one.
    fn drop_aside(&mut self, at: usize) {
        let Some(number) = item::aside_at(&self.bytes[at..]) else { return };
        if let Some(aside) = &mut self.aside {
            aside.remove(number);
            if aside.is_empty() {
                self.aside = None;
            }
        }
    }

    /// Parts the entries by one more bit of their hashes: what has it goes into the leaf that is returned.
    pub fn split(&mut self) -> Self {
        let bit = 1 << self.depth;
        let mut sides = [Side::default(), Side::default()];
        let mut hashes = Vec::with_capacity(self.len());
        for slot in 0..self.len() {
            let hash = self.key(slot).hash();
            hashes.push(hash);
            let side = &mut sides[usize::from(hash & bit != 0)];
            side.entries += 1;
            side.size += self.entry_end(slot) - self.offset(slot);
        }
        let mut old = std::mem::replace(self, Leaf::new(self.prefix, self.depth + 1));
        let mut other = Leaf::new(old.prefix | bit as u32, old.depth + 1);
        self.reserve(sides[0].entries, sides[0].size);
        other.reserve(sides[1].entries, sides[1].size);
        let mut ends = [self.items_start(), other.items_start()];
        for (slot, hash) in hashes.into_iter().enumerate() {
            let right = hash & bit != 0;
            let to = if right { &mut other } else { &mut *self };
            ends[usize::from(right)] = to.take(&mut old, slot, ends[usize::from(right)]);
        }
        other
    }

    /// Adds the entries of a leaf, which differs from this one in the lowest bit of its prefix that counts.
    pub fn absorb(&mut self, mut other: Self) {
        let size = other.bytes.len() - other.items_start();
        let mut end = self.bytes.len();
        let items = self.items_start();
        self.reserve(other.len(), size);
        end += self.items_start() - items;
        for slot in 0..other.len() {
            end = self.take(&mut other, slot, end);
        }
        self.depth -= 1;
        self.prefix &= (1 << self.depth) - 1;
    }

    /// Moves an entry of another leaf to `at`, where room has been made, and returns where it ends.
    fn take(&mut self, from: &mut Self, slot: usize, at: usize) -> usize {
        let (start, end) = (from.offset(slot), from.entry_end(slot));
        let entry_end = at + end - start;
        self.bytes[at..entry_end].copy_from_slice(&from.bytes[start..end]);
        let own = self.len();
        self.count += 1;
        self.set_slot(own, from.bytes[slot], at);
        self.take_aside(from, at);
        if VALUED {
            self.take_aside(from, at + item::size(&self.bytes[at..]));
        }
        entry_end
    }

    /// Moves the text aside of the item at `at`, if it has one, from the leaf that the item came from.
    fn take_aside(&mut self, from: &mut Self, at: usize) {
        let (Some(number), Some(texts)) = (item::aside_at(&self.bytes[at..]), &mut from.aside) else { return };
        let number = self.aside.get_or_insert_default().take(texts, number);
        let at = at + item::stamp_size(&self.bytes[at..]);
        Item::aside(number).write(&mut self.bytes[at..]);
    }
}

/// What goes to one side of a split.
#[derive(Clone, Copy, Default)]
struct Side {
    entries: usize,
    size: usize,
}
