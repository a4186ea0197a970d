//! The slow log: the last commands that took longer than a threshold, as `SLOWLOG` shows them.

use parking_lot::Mutex;
use std::collections::VecDeque;

/// Words of a command that are kept; the rest is counted.
const WORDS_MAX: usize = 32;

/// Bytes of a word that are kept; the rest is counted.
const WORD_BYTES_MAX: usize = 128;

/// A command that was slow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Counts up from 0 and is never used twice while the node runs.
    pub id: u64,
    /// Seconds since 1970.
    pub time_s: u64,
    pub micros: u64,
    /// Shortened as in Redis.
    pub words: Vec<Vec<u8>>,
    pub address: String,
    pub client: Vec<u8>,
}

#[derive(Default)]
pub struct SlowLog(Mutex<Log>);

#[derive(Default)]
struct Log {
    next_id: u64,
    /// Newest first.
    entries: VecDeque<Entry>,
}

impl SlowLog {
    /// Adds a command, and forgets the oldest beyond `len_max`.
    pub fn add<'a>(
        &self,
        len_max: usize,
        time_s: u64,
        micros: u64,
        words: impl ExactSizeIterator<Item = &'a [u8]>,
        address: String,
        client: Vec<u8>,
    ) {
        let mut log = self.0.lock();
        let entry = Entry { id: log.next_id, time_s, micros, words: shorten(words), address, client };
        log.next_id += 1;
        log.entries.push_front(entry);
        log.entries.truncate(len_max);
    }

    /// The newest entries.
    pub fn newest(&self, count: usize) -> Vec<Entry> {
        self.0.lock().entries.iter().take(count).cloned().collect()
    }

    pub fn len(&self) -> usize {
        self.0.lock().entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn clear(&self) {
        self.0.lock().entries.clear();
    }
}

fn shorten<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let count = words.len();
    let kept = if count > WORDS_MAX { WORDS_MAX - 1 } else { count };
    let mut short: Vec<Vec<u8>> = words.take(kept).map(shorten_word).collect();
    if count > kept {
        short.push(format!("... ({} more arguments)", count - kept).into_bytes());
    }
    short
}

fn shorten_word(word: &[u8]) -> Vec<u8> {
    if word.len() <= WORD_BYTES_MAX {
        return word.to_vec();
    }
    let mut short = word[..WORD_BYTES_MAX].to_vec();
    short.extend_from_slice(format!("... ({} more bytes)", word.len() - WORD_BYTES_MAX).as_bytes());
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(log: &SlowLog, words: &[&[u8]]) {
        log.add(3, 1, 20_000, words.iter().copied(), "127.0.0.1:1".into(), Vec::new());
    }

    #[test]
    fn the_newest_come_first_and_the_oldest_go() {
        let log = SlowLog::default();
        for word in [b"A", b"B", b"C", b"D"] {
            add(&log, &[word]);
        }
        let ids: Vec<u64> = log.newest(10).iter().map(|entry| entry.id).collect();
        assert_eq!(ids, [3, 2, 1]);
        log.clear();
        add(&log, &[b"E"]);
        assert_eq!(log.newest(1)[0].id, 4);
    }

    #[test]
    fn long_commands_are_shortened_and_say_by_how_much() {
        let log = SlowLog::default();
        let long = [b'x'; 130];
        let words: Vec<&[u8]> = std::iter::repeat_n(&long[..], 40).collect();
        add(&log, &words);
        let entry = &log.newest(1)[0];
        assert_eq!(entry.words.len(), 32);
        assert!(entry.words[0].ends_with(b"... (2 more bytes)"));
        assert_eq!(entry.words[31], b"... (9 more arguments)");
    }
}
