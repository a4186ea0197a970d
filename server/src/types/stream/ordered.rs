//! A map ordered by entry id: a list of short sorted lists, which is a B-tree of two levels.
//!
//! Streams and what is pending grow at the end and shrink at the front. There this map fills its chunks to the last
//! place, where a B-tree that splits its pages leaves half of them empty, and every byte it asks of the allocator is
//! known. A list of chunks is short (16 000 for a million items), so growing it does not stall.
//!
//! Copies [share](crate::types::shared) their chunks.

use std::collections::VecDeque;
use std::mem::size_of;

use super::id::Id;
use crate::types::shared::SharedVec;

/// Items of a full chunk.
const CHUNK_MAX: usize = 64;

/// What a chunk has room for at first.
const CHUNK_MIN: usize = 4;

#[derive(Clone, Debug)]
pub(super) struct Ordered<V> {
    chunks: VecDeque<Chunk<V>>,
    len: usize,
    /// What the chunks' items ask of the allocator.
    items_bytes: usize,
}

/// Never empty while it is in the list.
#[derive(Clone, Debug)]
struct Chunk<V> {
    /// Above all ids of the chunk before, and not above the first id here.
    from: Id,
    items: SharedVec<(Id, V)>,
}

/// Where an item stands, until the next change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    chunk: usize,
    item: usize,
}

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self { chunks: VecDeque::new(), len: 0, items_bytes: 0 }
    }
}

impl<V: Clone> Ordered<V> {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Heap bytes of the map; what its values own is not part of it.
    pub(super) fn bytes(&self) -> usize {
        self.chunks.capacity() * size_of::<Chunk<V>>() + self.items_bytes
    }

    /// The first item with an id of at least `id`.
    pub(super) fn at_or_after(&self, id: Id) -> Option<Place> {
        let chunk = self.chunk_of(id)?;
        let item = self.chunks[chunk].items.partition_point(|&(other, _)| other < id);
        self.settle(Place { chunk, item })
    }

    /// The last item with an id of at most `id`.
    pub(super) fn at_or_before(&self, id: Id) -> Option<Place> {
        let chunk = self.chunk_of(id)?;
        let item = self.chunks[chunk].items.partition_point(|&(other, _)| other <= id);
        self.before(Place { chunk, item })
    }

    pub(super) fn first(&self) -> Option<Place> {
        self.settle(Place { chunk: 0, item: 0 })
    }

    pub(super) fn last(&self) -> Option<Place> {
        self.before(Place { chunk: self.chunks.len(), item: 0 })
    }

    pub(super) fn after(&self, place: Place) -> Option<Place> {
        self.settle(Place { item: place.item + 1, ..place })
    }

    pub(super) fn before(&self, place: Place) -> Option<Place> {
        if let Some(item) = place.item.checked_sub(1) {
            return Some(Place { item, ..place });
        }
        let chunk = place.chunk.checked_sub(1)?;
        Some(Place { chunk, item: self.chunks[chunk].items.len() - 1 })
    }

    pub(super) fn at(&self, place: Place) -> (Id, &V) {
        let (id, value) = &self.chunks[place.chunk].items[place.item];
        (*id, value)
    }

    pub(super) fn at_mut(&mut self, place: Place) -> (Id, &mut V) {
        let (id, value) = &mut self.chunks[place.chunk].items[place.item];
        (*id, value)
    }

    pub(super) fn get(&self, id: Id) -> Option<&V> {
        self.find(id).map(|place| self.at(place).1)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut V> {
        self.find(id).map(|place| self.at_mut(place).1)
    }

    /// The items from `place` on, in order.
    pub(super) fn iter_from(&self, place: Option<Place>) -> impl Iterator<Item = (Id, &V)> + use<'_, V> {
        let mut next = place;
        std::iter::from_fn(move || {
            let place = next?;
            next = self.after(place);
            Some(self.at(place))
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Id, &V)> + use<'_, V> {
        self.iter_from(self.first())
    }

    /// Puts an item in, and returns the one it replaces.
    pub(super) fn insert(&mut self, id: Id, value: V) -> Option<V> {
        let Some(chunk) = self.chunk_of(id) else {
            self.push_chunk(id, value);
            return None;
        };
        match self.chunks[chunk].items.binary_search_by_key(&id, |&(other, _)| other) {
            Ok(item) => Some(std::mem::replace(&mut self.chunks[chunk].items[item].1, value)),
            Err(item) => {
                self.insert_at(Place { chunk, item }, id, value);
                None
            }
        }
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<V> {
        self.find(id).map(|place| self.remove_at(place))
    }

    pub(super) fn remove_at(&mut self, place: Place) -> V {
        let chunk = &mut self.chunks[place.chunk];
        let (_, value) = chunk.items.remove(place.item);
        self.len -= 1;
        if chunk.items.is_empty() {
            self.items_bytes -= chunk.bytes();
            self.chunks.remove(place.chunk);
            self.shrink_list();
        } else if chunk.items.len() <= chunk.items.capacity() / 4 {
            self.tighten(place.chunk);
        }
        value
    }

    /// Keeps the items that `is_kept` wants, in one pass over all.
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(Id, &V) -> bool) {
        for chunk in &mut self.chunks {
            chunk.items.retain(|(id, value)| is_kept(*id, value));
            if chunk.items.len() <= chunk.items.capacity() / 4 {
                chunk.items.shrink_to(chunk.items.len());
            }
        }
        self.chunks.retain(|chunk| !chunk.items.is_empty());
        self.shrink_list();
        self.len = self.chunks.iter().map(|chunk| chunk.items.len()).sum();
        self.items_bytes = self.chunks.iter().map(Chunk::bytes).sum();
    }

    fn find(&self, id: Id) -> Option<Place> {
        let chunk = self.chunk_of(id)?;
        let item = self.chunks[chunk].items.binary_search_by_key(&id, |&(other, _)| other).ok()?;
        Some(Place { chunk, item })
    }

    /// The chunk where `id` is or belongs; `None` if there is no chunk at all.
    fn chunk_of(&self, id: Id) -> Option<usize> {
        let last = self.chunks.len().checked_sub(1)?;
        // Most of what happens, happens at one of the two ends.
        if self.chunks[last].from <= id {
            return Some(last);
        }
        Some(self.chunks.partition_point(|chunk| chunk.from <= id).saturating_sub(1))
    }

    /// A place behind a chunk's last item means the first of the next chunk, if there is one.
    fn settle(&self, place: Place) -> Option<Place> {
        match self.chunks.get(place.chunk)?.items.len() > place.item {
            true => Some(place),
            false => (place.chunk + 1 < self.chunks.len()).then_some(Place { chunk: place.chunk + 1, item: 0 }),
        }
    }

    fn insert_at(&mut self, place: Place, id: Id, value: V) {
        let is_last = place.chunk + 1 == self.chunks.len();
        let chunk = &mut self.chunks[place.chunk];
        if chunk.items.len() < CHUNK_MAX {
            self.items_bytes -= chunk.bytes();
            chunk.from = chunk.from.min(id);
            chunk.insert(place.item, id, value);
            self.items_bytes += chunk.bytes();
            self.len += 1;
        } else if is_last && place.item == CHUNK_MAX {
            self.push_chunk(id, value);
        } else {
            self.split(place.chunk);
            let half = self.chunks[place.chunk].items.len();
            let place = match place.item <= half {
                true => place,
                false => Place { chunk: place.chunk + 1, item: place.item - half },
            };
            self.insert_at(place, id, value);
        }
    }

    fn push_chunk(&mut self, from: Id, value: V) {
        let room = if self.chunks.is_empty() { 1 } else { CHUNK_MAX };
        if self.chunks.is_empty() {
            self.chunks.reserve_exact(1);
        }
        let mut items = SharedVec::with_capacity(room);
        items.push((from, value));
        let chunk = Chunk { from, items };
        self.items_bytes += chunk.bytes();
        self.chunks.push_back(chunk);
        self.len += 1;
    }

    fn split(&mut self, at: usize) {
        let chunk = &mut self.chunks[at];
        let mut items = chunk.items.split_off(CHUNK_MAX / 2);
        items.reserve_exact(CHUNK_MAX - items.len());
        let upper = Chunk { from: items[0].0, items };
        self.items_bytes += upper.bytes();
        self.chunks.insert(at + 1, upper);
    }

    /// Joins a chunk that has become short with its neighbour, or else gives back half of its room.
    fn tighten(&mut self, at: usize) {
        let len = self.chunks[at].items.len();
        let has_room = |chunk: &Chunk<V>| chunk.items.len() + len <= CHUNK_MAX / 2;
        if at > 0 && has_room(&self.chunks[at - 1]) {
            return self.join(at - 1);
        }
        if self.chunks.get(at + 1).is_some_and(has_room) {
            return self.join(at);
        }
        let chunk = &mut self.chunks[at];
        self.items_bytes -= chunk.bytes();
        chunk.items.shrink_to((len * 2).max(1));
        self.items_bytes += chunk.bytes();
    }

    /// Puts the items of the chunk after `at` into the one there.
    fn join(&mut self, at: usize) {
        let Some(upper) = self.chunks.remove(at + 1) else { return };
        let lower = &mut self.chunks[at];
        self.items_bytes -= lower.bytes() + upper.bytes();
        lower.items.append(upper.items);
        self.items_bytes += lower.bytes();
        self.shrink_list();
    }

    fn shrink_list(&mut self) {
        if self.chunks.len() <= self.chunks.capacity() / 4 {
            self.chunks.shrink_to(self.chunks.len() * 2);
        }
    }
}

impl<V: Clone> Chunk<V> {
    fn bytes(&self) -> usize {
        self.items.bytes()
    }

    /// The first chunk of a map grows step by step, since most maps have only that one.
    fn insert(&mut self, at: usize, id: Id, value: V) {
        let len = self.items.len();
        if len == self.items.capacity() {
            self.items.reserve_exact((len * 2).clamp(CHUNK_MIN, CHUNK_MAX) - len);
        }
        self.items.insert(at, (id, value));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::testing::Random;
    use super::*;

    fn check(map: &Ordered<u32>, twin: &BTreeMap<Id, u32>) {
        assert_eq!(map.len(), twin.len());
        assert!(map.iter().map(|(id, &value)| (id, value)).eq(twin.iter().map(|(&id, &value)| (id, value))));
        let items: usize = map.chunks.iter().map(Chunk::bytes).sum();
        assert_eq!(map.bytes(), map.chunks.capacity() * size_of::<Chunk<u32>>() + items);
        assert!(map.chunks.iter().all(|chunk| !chunk.items.is_empty() && chunk.from <= chunk.items[0].0));
        assert_eq!(map.clone().iter().count(), twin.len());
    }

    fn check_seeks(map: &Ordered<u32>, twin: &BTreeMap<Id, u32>, id: Id) {
        let key = |place: Option<Place>| place.map(|place| map.at(place).0);
        assert_eq!(key(map.at_or_after(id)), twin.range(id..).next().map(|(&id, _)| id));
        assert_eq!(key(map.at_or_before(id)), twin.range(..=id).next_back().map(|(&id, _)| id));
        assert_eq!(map.get(id), twin.get(&id));
        assert_eq!(key(map.first()), twin.keys().next().copied());
        assert_eq!(key(map.last()), twin.keys().next_back().copied());
    }

    #[test]
    fn it_agrees_with_a_b_tree_on_random_changes() {
        for seed in Random::seeds(12) {
            let mut random = Random::new(seed);
            let (mut map, mut twin) = (Ordered::default(), BTreeMap::new());
            let span = [40, 1000, 100_000][random.below(3) as usize];
            for step in 0..4000 {
                let id = Id::new(random.below(span), random.below(2));
                // Phases in which the map grows, and phases in which it shrinks.
                match random.below(10) + if step / 800 % 2 == 0 { 0 } else { 4 } {
                    0..=6 => assert_eq!(map.insert(id, step), twin.insert(id, step)),
                    7 | 8 => assert_eq!(map.remove(id), twin.remove(&id)),
                    _ => {
                        let place = map.first();
                        let expected = twin.pop_first().map(|(_, value)| value);
                        assert_eq!(place.map(|place| map.remove_at(place)), expected);
                    }
                }
                check_seeks(&map, &twin, id);
                if step % 97 == 0 {
                    check(&map, &twin);
                }
            }
            let limit = random.below(4000) as u32;
            map.retain(|_, &value| value % 3 == 0 || value > limit);
            twin.retain(|_, value| *value % 3 == 0 || *value > limit);
            check(&map, &twin);
        }
    }

    #[test]
    fn what_grows_at_the_end_is_filled_to_the_last_place() {
        let mut map = Ordered::default();
        for ms in 0..64_000 {
            map.insert(Id::new(ms, 0), ms);
        }
        assert_eq!(map.chunks.len(), 1000);
        assert_eq!(map.items_bytes, 1000 * 8 + 64_000 * 24);
    }
}
