//! Streams against what Redis answers, and against a naive twin. Where a test has figures of Redis, they are the answers
//! of redis-server 7.0.15; what 7.2 changed is said beside it.

use super::testing::Random;
use super::*;
use crate::base::number::Digits;

mod facts;
mod twin;

/// A stream with one field `f` in each entry.
fn stream_of(ids: impl IntoIterator<Item = u64>) -> Stream {
    let mut stream = Stream::new();
    for ms in ids {
        add(&mut stream, ms);
    }
    stream
}

fn add(stream: &mut Stream, ms: u64) -> Id {
    append(stream, NewId::Given(Id::new(ms, 0)), &[(b"f", b"v")]).expect("ids of a test grow")
}

fn append(stream: &mut Stream, id: NewId, pairs: &[(&[u8], &[u8])]) -> Result<Id, AppendError> {
    stream.log_mut().append(id, pairs.iter().copied(), 0, NodeLimits::default())
}

fn ids(log: &Log) -> Vec<u64> {
    log.range(Id::MIN, Id::MAX).map(|entry| entry.id.ms).collect()
}

fn texts(entry: &Entry<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let bytes = |text: Text<'_>| text.as_bytes(&mut Digits::new()).to_vec();
    entry.pairs().map(|(field, value)| (bytes(field), bytes(value))).collect()
}

/// What must be true of any stream: its counts are right, and it is the same in a copy and in a file.
fn check_invariants(stream: &Stream) {
    assert_eq!(stream.log.nodes_bytes, stream.log.count_nodes_bytes());
    assert_eq!(stream.groups_bytes, stream.count_groups_bytes());
    for group in stream.groups() {
        assert_eq!(group.consumers.consumers_bytes, group.consumers.count_consumers_bytes());
        let owned: usize = group.consumers().map(Consumer::pending_len).sum();
        assert_eq!(owned, group.pending_len());
    }
    check_same(stream, &stream.clone());
    let mut loaded = stream.clone();
    loaded.log = reload(&stream.log);
    check_same(stream, &loaded);
}

fn check_same(one: &Stream, other: &Stream) {
    let all = |stream: &Stream| -> Vec<_> {
        stream.log().range(Id::MIN, Id::MAX).map(|entry| (entry.id, texts(&entry))).collect()
    };
    assert_eq!(all(one), all(other));
    assert_eq!(one.len(), other.len());
    assert_eq!(one.log().counters(), other.log().counters());
    assert_eq!(one.log().nodes_len(), other.log().nodes_len());
    let groups = |stream: &Stream| -> Vec<_> {
        let pending = |group: &Group| -> Vec<_> {
            group.pending_from(Id::MIN).map(|it| (it.id, it.consumer.name().to_vec(), it.delivery)).collect()
        };
        stream.groups().map(|group| (group.name().to_vec(), group.last_id(), pending(group))).collect()
    };
    assert_eq!(groups(one), groups(other));
}

/// The log as it is after it was written to a file.
fn reload(log: &Log) -> Log {
    let (mut loaded, mut listpack) = (Log::default(), Vec::new());
    let mut listpacks = log.listpacks();
    while let Some(master) = listpacks.next_into(&mut listpack) {
        loaded.load_listpack(master, &listpack).expect("it was just written");
    }
    loaded.load_counters(log.counters()).expect("they were just read");
    loaded
}
