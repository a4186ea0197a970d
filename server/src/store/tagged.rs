//! Which keys of a stripe have which tags, so that all keys with a tag can be declared wrong at once.
//!
//! A tag of the moment is a **group**: a list of its members, linked both ways, and each member links the groups of its key. To
//! declare a tag wrong is to mark its group and to take its name away: whoever gets the tag from then on is in another group. So that
//! takes the same time whatever the number of members, who reads a key sees by its groups whether it is wrong, and what has to go is a
//! list that can be worked off. Keys are known by their hashes of 64 bits, so a member takes 32 bytes and a key 20 to 30 more.
//!
//! Nothing here knows of records.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A key of a stripe: its hash, and where else it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId {
    pub hash: u64,
    /// The number of its slot inside the stripe.
    pub local: u8,
    /// The physical number of its database.
    pub db: u8,
}

impl Hash for KeyId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash ^ u64::from(self.db));
    }
}

/// The hash of a key is one already.
#[derive(Default)]
pub struct Through(u64);

impl Hasher for Through {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

pub type ById<V> = HashMap<KeyId, V, BuildHasherDefault<Through>>;

/// Tags of a key.
pub type TagList = Vec<Box<[u8]>>;

/// What becomes of what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doom {
    Gone,
    /// It is as if its TTL had been over at that time, in milliseconds since 1970. What has no TTL is kept for so long after that.
    Stale {
        at_ms: u64,
        keep_ms: u64,
    },
}

impl Doom {
    /// What becomes of what is wrong for two reasons.
    pub fn and(self, other: Doom) -> Doom {
        if other == Doom::Gone { other } else { self }
    }
}

/// Where a list ends.
const END: u32 = u32::MAX;

/// A key in a group.
#[derive(Clone, Copy)]
struct Member {
    key: KeyId,
    group: u32,
    /// Its neighbours in the group; `after` leads on among unused ones, too.
    before: u32,
    after: u32,
    /// The next group of its key.
    next: u32,
}

struct Group {
    /// The database, and the name of the tag.
    name: Box<[u8]>,
    first: u32,
    len: usize,
    doom: Option<Doom>,
}

/// The tags of the keys of a stripe.
#[derive(Default)]
pub struct Tags {
    members: Vec<Member>,
    /// Places in `members` that are unused.
    unused: Vec<u32>,
    /// The first member of each key.
    keys: ById<u32>,
    groups: Vec<Group>,
    unused_groups: Vec<u32>,
    /// Groups by database and tag, but for those that are wrong.
    names: HashMap<Box<[u8]>, u32>,
    /// Groups that are wrong and have members.
    doomed: Vec<u32>,
    name_bytes: usize,
}

impl Tags {
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether some keys are wrong and have not been forgotten yet.
    #[inline]
    pub fn is_waiting(&self) -> bool {
        !self.doomed.is_empty()
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> usize {
        // A byte beside each place of a map, of which seven in eight are used at most.
        let map = |capacity: usize, entry: usize| capacity * 8 / 7 * (entry + 1);
        self.members.capacity() * size_of::<Member>()
            + (self.unused.capacity() + self.unused_groups.capacity() + self.doomed.capacity()) * size_of::<u32>()
            + map(self.keys.capacity(), size_of::<(KeyId, u32)>())
            + self.groups.capacity() * size_of::<Group>()
            + map(self.names.capacity(), size_of::<(Box<[u8]>, u32)>())
            + 2 * self.name_bytes
    }

    /// Gives a key a tag. Returns whether it did not have it.
    pub fn add(&mut self, key: KeyId, tag: &[u8]) -> bool {
        let group = self.group(key.db, tag);
        let first = self.keys.get(&key).copied().unwrap_or(END);
        if self.each(first).any(|member| member.group == group) {
            return false;
        }
        let after = self.groups[group as usize].first;
        let member = Member { key, group, before: END, after, next: first };
        let at = match self.unused.pop() {
            Some(at) => {
                self.members[at as usize] = member;
                at
            }
            None => {
                self.members.push(member);
                self.members.len() as u32 - 1
            }
        };
        if after != END {
            self.members[after as usize].before = at;
        }
        let group = &mut self.groups[group as usize];
        (group.first, group.len) = (at, group.len + 1);
        self.keys.insert(key, at);
        true
    }

    /// Takes all tags from a key.
    pub fn forget(&mut self, key: KeyId) {
        let Some(mut at) = self.keys.remove(&key) else { return };
        while at != END {
            let Member { group, before, after, next, .. } = self.members[at as usize];
            match before {
                END => self.groups[group as usize].first = after,
                before => self.members[before as usize].after = after,
            }
            if after != END {
                self.members[after as usize].before = before;
            }
            self.unused.push(at);
            self.groups[group as usize].len -= 1;
            if self.groups[group as usize].len == 0 {
                self.drop_group(group);
            }
            at = next;
        }
        if self.keys.is_empty() {
            *self = Tags::default();
        }
    }

    /// The tags of a key, those that made it wrong included.
    pub fn of(&self, key: KeyId) -> impl Iterator<Item = &[u8]> {
        let first = self.keys.get(&key).copied().unwrap_or(END);
        self.each(first).map(|member| &self.groups[member.group as usize].name[1..])
    }

    /// Declares all keys of a database with a tag wrong. Returns how many those are.
    pub fn doom(&mut self, db: u8, tag: &[u8], doom: Doom) -> usize {
        let name = named(db, tag);
        // Those that have the tag already for another declaration.
        for group in &self.doomed {
            let group = &mut self.groups[*group as usize];
            if *group.name == *name {
                group.doom = group.doom.map(|before| before.and(doom));
            }
        }
        let Some((name, group)) = self.names.remove_entry(&*name) else { return 0 };
        self.name_bytes -= name.len();
        self.doomed.push(group);
        let group = &mut self.groups[group as usize];
        group.doom = Some(doom);
        group.len
    }

    /// What is to become of a key, if it is wrong.
    pub fn doom_of(&self, key: KeyId) -> Option<Doom> {
        let first = self.keys.get(&key).copied().unwrap_or(END);
        self.each(first).filter_map(|member| self.groups[member.group as usize].doom).reduce(Doom::and)
    }

    /// A key that is wrong, if there is one. It is to be forgotten.
    pub fn next_doomed(&self) -> Option<KeyId> {
        let group = self.doomed.last()?;
        let first = self.groups[*group as usize].first;
        Some(self.members[first as usize].key)
    }

    fn each(&self, first: u32) -> impl Iterator<Item = Member> {
        let member = |at: u32| self.members.get(at as usize).copied();
        std::iter::successors(member(first), move |before| member(before.next))
    }

    /// The group for a tag, which may have no members yet.
    fn group(&mut self, db: u8, tag: &[u8]) -> u32 {
        let name = named(db, tag);
        if let Some(group) = self.names.get(&*name) {
            return *group;
        }
        let group = Group { name: name.clone().into(), first: END, len: 0, doom: None };
        let at = match self.unused_groups.pop() {
            Some(at) => {
                self.groups[at as usize] = group;
                at
            }
            None => {
                self.groups.push(group);
                self.groups.len() as u32 - 1
            }
        };
        self.name_bytes += name.len();
        self.names.insert(name.into(), at);
        at
    }

    fn drop_group(&mut self, at: u32) {
        let group = &mut self.groups[at as usize];
        let name = std::mem::take(&mut group.name);
        match group.doom.take() {
            Some(_) => self.doomed.retain(|doomed| *doomed != at),
            None => {
                self.name_bytes -= name.len();
                self.names.remove(&name);
            }
        }
        self.unused_groups.push(at);
    }
}

fn named(db: u8, tag: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(1 + tag.len());
    name.push(db);
    name.extend_from_slice(tag);
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn id(key: u8) -> KeyId {
        KeyId { hash: u64::from(key / 2) << 60 | u64::from(key), local: key % 3, db: key % 2 }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u8, u8),
        Forget(u8),
        Doom(u8, u8, bool),
        Work,
    }

    fn steps() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0u8..20, 0u8..6).prop_map(|(key, tag)| Step::Add(key, tag)),
            2 => (0u8..20).prop_map(Step::Forget),
            1 => (0u8..2, 0u8..6, any::<bool>()).prop_map(|(db, tag, hard)| Step::Doom(db, tag, hard)),
            1 => Just(Step::Work),
        ]
    }

    const STALE: Doom = Doom::Stale { at_ms: 5, keep_ms: 7 };

    /// Each key's tags, with what has become of each.
    type Twin = BTreeMap<u8, BTreeMap<(u8, usize), Option<Doom>>>;

    proptest! {
        #[test]
        fn it_is_as_if_each_key_had_a_list_of_its_own(steps in prop::collection::vec(steps(), 0..200)) {
            let (mut tags, mut twin, mut round) = (Tags::default(), Twin::new(), 0);
            for step in steps {
                match step {
                    Step::Add(key, tag) => {
                        let own = twin.entry(key).or_default();
                        let is_new = !own.iter().any(|((other, _), doom)| *other == tag && doom.is_none());
                        prop_assert_eq!(tags.add(id(key), &[tag]), is_new);
                        if is_new {
                            round += 1;
                            own.insert((tag, round), None);
                        }
                    }
                    Step::Forget(key) => {
                        tags.forget(id(key));
                        twin.remove(&key);
                    }
                    Step::Doom(db, tag, hard) => {
                        let doom = if hard { Doom::Gone } else { STALE };
                        let mut count = 0;
                        for (_, own) in twin.iter_mut().filter(|(key, _)| **key % 2 == db) {
                            let again = own.iter_mut().filter(|((other, _), before)| *other == tag && before.is_some());
                            again.for_each(|(_, before)| *before = before.map(|before| before.and(doom)));
                            for (_, doomed) in own.iter_mut().filter(|((other, _), doom)| *other == tag && doom.is_none()) {
                                *doomed = Some(doom);
                                count += 1;
                            }
                        }
                        prop_assert_eq!(tags.doom(db, &[tag], doom), count);
                    }
                    Step::Work => {
                        if let Some(key) = tags.next_doomed() {
                            prop_assert!(tags.doom_of(key).is_some());
                            tags.forget(key);
                            twin.retain(|other, _| id(*other) != key);
                        }
                    }
                }
                for key in 0..20 {
                    let own = twin.get(&key).cloned().unwrap_or_default();
                    let names: BTreeSet<u8> = tags.of(id(key)).map(|tag| tag[0]).collect();
                    prop_assert_eq!(names, own.keys().map(|(tag, _)| *tag).collect::<BTreeSet<u8>>());
                    let doom = own.values().flatten().copied().reduce(Doom::and);
                    prop_assert_eq!(tags.doom_of(id(key)), doom);
                }
                let is_waiting = twin.values().flat_map(BTreeMap::values).any(Option::is_some);
                prop_assert_eq!(tags.is_waiting(), is_waiting);
            }
            while let Some(key) = tags.next_doomed() {
                tags.forget(key);
                twin.retain(|other, _| id(*other) != key);
            }
            prop_assert!(twin.values().flat_map(BTreeMap::values).all(Option::is_none));
            (0..20).for_each(|key| tags.forget(id(key)));
            prop_assert!(tags.is_empty() && tags.bytes() == 0);
        }
    }
}
