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
    use proptest::prelude::*;
    use std::collections::BTreeMap;

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

    /// What happens next: a command is run, the stream is followed by one, or a key is copied.
    fn steps() -> impl Strategy<Value = Vec<(u8, Command)>> {
        let command = prop_oneof![
            2 => (0u64..40, 0u64..9).prop_map(|(key, by)| Command::Add(key, by)),
            1 => (0u64..40).prop_map(Command::Delete),
            1 => (0u64..40, 1u64..40).prop_map(|(from, on)| Command::AddTo(from, (from + on) % 40)),
        ];
        proptest::collection::vec((0u8..3, command), 0..300)
    }

    /// A store that is copied while it is written to.
    #[derive(Default)]
    struct Moving {
        source: Toy,
        target: Toy,
        stream: Vec<Command>,
        followed: usize,
        relay: Relay,
    }

    impl Moving {
        fn follow(&mut self) {
            let Some(&command) = self.stream.get(self.followed) else { return };
            let keys = match command {
                Command::Add(key, _) | Command::Delete(key) => vec![name(key)],
                Command::AddTo(from, to) => vec![name(from), name(to)],
            };
            let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            if self.relay.follow(self.followed as u64, &keys) == Verdict::Repeat {
                run(&mut self.target, command);
            }
            self.followed += 1;
            self.relay.followed_to(self.followed as u64);
        }

        fn copy(&mut self) {
            let Some(key) = self.relay.next() else { return };
            let number = String::from_utf8(key.clone()).unwrap().parse().unwrap();
            match self.source.get(&number) {
                Some(value) => self.target.insert(number, *value),
                None => self.target.remove(&number),
            };
            self.relay.copied(key, self.stream.len() as u64);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn what_is_written_meanwhile_is_neither_lost_nor_done_twice(keys in 0u64..30, steps in steps()) {
            let mut moving = Moving { source: (0..keys).map(|key| (key, key)).collect(), ..Moving::default() };
            moving.relay.wait_for((0..keys).map(name));
            for (step, command) in steps {
                match step {
                    0 => {
                        run(&mut moving.source, command);
                        moving.stream.push(command);
                    }
                    1 => moving.follow(),
                    _ => moving.copy(),
                }
            }
            while moving.followed < moving.stream.len() || moving.relay.has_more() {
                moving.follow();
                moving.copy();
            }
            prop_assert_eq!(moving.target, moving.source);
        }
    }
}
