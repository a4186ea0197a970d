//! What of a node's stream has to be repeated for the new owner of slots, while their keys are copied to it.
//!
//! Keys are copied one by one, each as it is at some offset of the stream, and meanwhile they are written to. A command about one
//! key is repeated if the key has been copied as it was before the command, or is new since the copying began; it is passed over
//! if the copy has what it did, or is still to come. A command about several keys could find one of them copied and another
//! not; so it is passed over, and its keys are copied again. So each key ends up as its last copy and all commands behind
//! that.

use std::collections::{HashMap, HashSet};

/// What is to be done about a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is of no concern, or what it did is in a copy.
    Pass,
    /// The new owner is to run it, too.
    Repeat,
}

/// The keys of some slots on their way.
#[derive(Debug, Default)]
pub struct Relay {
    /// Keys that are to be copied, or copied again.
    waiting: HashSet<Vec<u8>>,
    /// The same in the order in which they are, and more: some have been copied since.
    order: Vec<Vec<u8>>,
    /// Keys that were copied as they were at an offset which the stream has not been followed to.
    copied: HashMap<Vec<u8>, u64>,
}

impl Relay {
    /// Has keys copied.
    pub fn wait_for(&mut self, keys: impl IntoIterator<Item = Vec<u8>>) {
        for key in keys {
            if self.waiting.insert(key.clone()) {
                self.order.push(key);
            }
        }
    }

    /// The next key that is to be copied. What it is like is told by [`Relay::copied`], unless it is lost.
    pub fn next(&mut self) -> Option<Vec<u8>> {
        while let Some(key) = self.order.pop() {
            if self.waiting.remove(&key) {
                return Some(key);
            }
        }
        None
    }

    /// A key was copied with all that the stream says before this offset, and nothing of what it says behind it.
    pub fn copied(&mut self, key: Vec<u8>, offset: u64) {
        self.copied.insert(key, offset);
    }

    /// Whether there is a key that is to be copied.
    pub fn has_more(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Follows the stream by one command that begins at this offset and is about these keys of the slots.
    pub fn follow(&mut self, offset: u64, keys: &[&[u8]]) -> Verdict {
        match keys {
            [] => Verdict::Pass,
            [key] => {
                let is_in_copy = self.copied.get(*key).is_some_and(|copied| offset < *copied);
                if is_in_copy || self.waiting.contains(*key) { Verdict::Pass } else { Verdict::Repeat }
            }
            several => {
                let is_in_copy = |key: &&&[u8]| self.copied.get(**key).is_some_and(|copied| offset < *copied);
                let again: Vec<Vec<u8>> =
                    several.iter().filter(|key| !is_in_copy(key)).map(|key| key.to_vec()).collect();
                self.wait_for(again);
                Verdict::Pass
            }
        }
    }

    /// The stream has been followed up to this offset.
    pub fn followed_to(&mut self, offset: u64) {
        if !self.copied.is_empty() {
            self.copied.retain(|_, copied| *copied > offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Random numbers that a seed repeats.
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % end
        }
    }

    /// A command of a toy store: it adds to a counter, deletes a key, or adds one key's counter to another's.
    #[derive(Clone, Copy, Debug)]
    enum Command {
        Add(u64, u64),
        Delete(u64),
        AddTo(u64, u64),
    }

    type Toy = BTreeMap<u64, u64>;

    fn run(store: &mut Toy, command: Command) {
        match command {
            Command::Add(key, by) => *store.entry(key).or_default() += by,
            Command::Delete(key) => drop(store.remove(&key)),
            Command::AddTo(from, to) => {
                let by = store.get(&from).copied().unwrap_or(0);
                *store.entry(to).or_default() += by;
            }
        }
    }

    fn name(key: u64) -> Vec<u8> {
        key.to_string().into_bytes()
    }

    /// Copies a store while it is written to, in some order of steps.
    fn move_it(seed: u64) {
        let mut random = Random(seed);
        let mut source: Toy = (0..random.below(30)).map(|key| (key, key)).collect();
        let (mut target, mut relay) = (Toy::new(), Relay::default());
        let mut stream: Vec<Command> = Vec::new();
        let mut followed = 0;
        relay.wait_for(source.keys().map(|key| name(*key)));
        for round in 0..400 {
            let is_frozen = round >= 200;
            let step = random.below(3);
            if step == 0 && !is_frozen {
                let (key, other) = (random.below(40), random.below(40));
                let command = match random.below(4) {
                    0 => Command::Delete(key),
                    1 if key != other => Command::AddTo(key, other),
                    _ => Command::Add(key, random.below(9)),
                };
                run(&mut source, command);
                stream.push(command);
            } else if step == 1 && followed < stream.len() {
                let command = stream[followed];
                let keys = match command {
                    Command::Add(key, _) | Command::Delete(key) => vec![name(key)],
                    Command::AddTo(from, to) => vec![name(from), name(to)],
                };
                let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
                if relay.follow(followed as u64, &keys) == Verdict::Repeat {
                    run(&mut target, command);
                }
                followed += 1;
                relay.followed_to(followed as u64);
            } else if let Some(key) = relay.next() {
                let number = String::from_utf8(key.clone()).unwrap().parse().unwrap();
                match source.get(&number) {
                    Some(value) => target.insert(number, *value),
                    None => target.remove(&number),
                };
                relay.copied(key, stream.len() as u64);
            }
            if is_frozen && followed == stream.len() && !relay.has_more() {
                assert_eq!(target, source, "by seed {seed}, after {stream:?}");
                return;
            }
        }
        panic!("it came to no end by seed {seed}");
    }

    #[test]
    fn what_is_written_meanwhile_is_neither_lost_nor_done_twice() {
        (0..3000).for_each(move_it);
    }
}
