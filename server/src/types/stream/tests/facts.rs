//! One behaviour after the other.

use super::*;

const NOW: i64 = 1_000_000;

fn exact(to: TrimTo) -> Trim {
    Trim { to, is_approximate: false, limit: None }
}

fn nearly(to: TrimTo, limit: Option<u64>) -> Trim {
    Trim { to, is_approximate: true, limit }
}

fn plain_claim() -> Claim {
    Claim { idle_min_ms: 0, time_ms: None, count: None, is_delivery: true, is_forced: false }
}

/// Reads up to `count` new entries and returns their times.
fn read(stream: &mut Stream, consumer: &[u8], count: usize) -> Vec<u64> {
    let mut group = stream.group_mut(b"g").expect("the test has made it");
    let (consumer, _) = group.find_or_add_consumer(consumer, NOW);
    let mut ids = Vec::new();
    group.read_new(consumer, count, false, NOW, |entry| ids.push(entry.id.ms));
    ids
}

fn deliveries(stream: &Stream) -> Vec<(u64, &str, i64, u64)> {
    let group = stream.group(b"g").expect("the test has made it");
    let name = |pending: &PendingEntry<'_>| match pending.consumer.name() {
        b"one" => "one",
        b"two" => "two",
        _ => "other",
    };
    group
        .pending_from(Id::MIN)
        .map(|pending| (pending.id.ms, name(&pending), pending.delivery.time_ms, pending.delivery.count))
        .collect()
}

fn read_and_lag(stream: &Stream) -> (Option<u64>, Option<i64>) {
    let group = stream.group(b"g").expect("the test has made it");
    (group.entries_read(), group.lag(stream.log()))
}

#[test]
fn entries_come_back_as_they_were_given() {
    let mut stream = Stream::new();
    let long = vec![b'x'; 3000];
    let entries: &[&[(&[u8], &[u8])]] = &[
        &[(b"temp", b"21"), (b"hum", b"-5")],
        &[(b"temp", b"9223372036854775807"), (b"hum", b"007")],
        &[(b"hum", b"1"), (b"temp", b"2")],
        &[(b"temp", b"")],
        &[(b"", b""), (b"12", b"a\0b"), (b"12", &long)],
        &[(b"temp", b"1"), (b"hum", b"2"), (b"wind", b"3")],
    ];
    for pairs in entries {
        append(&mut stream, NewId::Auto, pairs).expect("ids are made");
    }
    for (entry, pairs) in stream.log().range(Id::MIN, Id::MAX).zip(entries) {
        assert_eq!(entry.len(), pairs.len());
        assert!(texts(&entry).iter().map(|(field, value)| (&field[..], &value[..])).eq(pairs.iter().copied()));
    }
    check_invariants(&stream);
}

#[test]
fn an_id_is_made_from_the_clock_and_never_goes_back() {
    let mut stream = Stream::new();
    let mut auto = |now_ms| stream.log_mut().append(NewId::Auto, [].into_iter(), now_ms, NodeLimits::default());
    assert_eq!(auto(7), Ok(Id::new(7, 0)));
    assert_eq!(auto(7), Ok(Id::new(7, 1)));
    assert_eq!(auto(3), Ok(Id::new(7, 2)));
    assert_eq!(auto(8), Ok(Id::new(8, 0)));
    assert_eq!(append(&mut stream, NewId::AutoSeq(8), &[]), Ok(Id::new(8, 1)));
    assert_eq!(append(&mut stream, NewId::AutoSeq(7), &[]), Err(AppendError::TooSmall));
    assert_eq!(append(&mut stream, NewId::Given(Id::new(8, 1)), &[]), Err(AppendError::TooSmall));
    assert_eq!(append(&mut Stream::new(), NewId::AutoSeq(0), &[]), Ok(Id::new(0, 1)));
    let last = Id::new(9, u64::MAX);
    assert_eq!(append(&mut stream, NewId::Given(last), &[]), Ok(last));
    assert_eq!(append(&mut stream, NewId::AutoSeq(9), &[]), Err(AppendError::TooSmall));
    assert_eq!(append(&mut stream, NewId::Auto, &[]), Ok(Id::new(10, 0)));
    assert_eq!(append(&mut stream, NewId::Given(Id::MAX), &[]), Ok(Id::MAX));
    assert_eq!(append(&mut stream, NewId::Auto, &[]), Err(AppendError::Exhausted));
    assert_eq!(append(&mut stream, NewId::Given(Id::new(1, 1)), &[]), Err(AppendError::Exhausted));
}

#[test]
fn nodes_end_where_those_of_redis_do() {
    assert_eq!(stream_of(1..=1000).log().nodes_len(), 10);
    let mut stream = Stream::new();
    for at in 0..1000 {
        let pairs = [0, 1, 2, 3, 4].map(|field| (format!("f{field}"), format!("value{at}-{field}")));
        let pairs = pairs.each_ref().map(|(field, value)| (field.as_bytes(), value.as_bytes()));
        append(&mut stream, NewId::Given(Id::new(1_700_000_000_000 + at, 0)), &pairs).expect("ids grow");
    }
    assert_eq!((stream.log().nodes_len(), stream.log().radix_nodes()), (17, 40));
    assert!(stream.bytes() <= 79_792, "{} bytes, where Redis takes 79792", stream.bytes());
    check_invariants(&stream);
}

#[test]
fn a_stream_takes_no_more_memory_than_in_redis() {
    for (count, bytes_of_redis) in [(10, 4728), (1000, 29_160), (100_000, 3_110_000)] {
        let mut stream = Stream::new();
        for at in 0..count {
            let value = format!("value:{at}");
            let id = NewId::Given(Id::new(1_700_000_000_000 + at, 0));
            append(&mut stream, id, &[(b"field", value.as_bytes())]).expect("ids grow");
        }
        let bytes = stream.bytes() + size_of::<Stream>();
        assert!(bytes * 8 < bytes_of_redis * 5, "{count} entries: {bytes} bytes, where Redis takes {bytes_of_redis}");
    }
}

#[test]
fn deleting_moves_the_first_id_and_notes_the_largest_deleted() {
    let mut stream = stream_of(1..=4);
    let deleted: Vec<bool> = [1, 1, 3, 9].into_iter().map(|ms| stream.log_mut().delete(Id::new(ms, 0))).collect();
    assert_eq!(deleted, [true, false, true, false]);
    let counters = stream.log().counters();
    assert_eq!((counters.first_id.ms, counters.max_deleted_id.ms, counters.entries_added), (2, 3, 4));
    assert_eq!(stream.len(), 2);
    stream.log_mut().delete(Id::new(2, 0));
    stream.log_mut().delete(Id::new(4, 0));
    assert_eq!((stream.log().nodes_len(), stream.log().radix_nodes()), (0, 1));
    assert_eq!(stream.log().counters().first_id, Id::MIN);
    assert_eq!(stream.log().counters().last_id, Id::new(4, 0));
    assert!(!stream.log().has_after(Id::MIN));
}

#[test]
fn ranges_go_both_ways_between_any_ids() {
    let mut stream = stream_of((1..=500).map(|at| at * 2));
    for ms in [2, 4, 300, 1000] {
        stream.log_mut().delete(Id::new(ms, 0));
    }
    for (start, end) in [(0, 2000), (3, 3), (5, 7), (299, 301), (6, 6), (990, 1000), (7, 5), (1001, 2000)] {
        let (start, end) = (Id::new(start, 0), Id::new(end, 0));
        let expected: Vec<Id> =
            (3..500).map(|at| Id::new(at * 2, 0)).filter(|id| id.ms != 300 && (start..=end).contains(id)).collect();
        assert!(stream.log().range(start, end).map(|entry| entry.id).eq(expected.iter().copied()));
        assert!(stream.log().range_back(start, end).map(|entry| entry.id).eq(expected.iter().rev().copied()));
    }
    assert_eq!(stream.log().last_entry_id(), Some(Id::new(998, 0)));
}

#[test]
fn a_node_without_bounds_is_read_backwards_in_parts() {
    let mut stream = Stream::new();
    let limits = NodeLimits { bytes_max: 0, entries_max: 0 };
    for ms in 1..=10_000 {
        stream.log_mut().append(NewId::Given(Id::new(ms, 0)), [].into_iter(), 0, limits).expect("ids grow");
    }
    stream.log_mut().delete(Id::new(5000, 0));
    assert_eq!(stream.log().nodes_len(), 1);
    let back = stream.log().range_back(Id::new(3, 0), Id::new(9000, 0)).map(|entry| entry.id.ms);
    assert!(back.eq((3..=9000).rev().filter(|&ms| ms != 5000)));
}

#[test]
fn an_exact_trim_ends_inside_a_node() {
    let mut stream = stream_of(1..=250);
    assert_eq!(stream.log_mut().trim(exact(TrimTo::Length(120))), 130);
    assert_eq!(ids(stream.log())[0], 131);
    assert_eq!(stream.log_mut().trim(exact(TrimTo::MinId(Id::new(240, 0)))), 109);
    assert_eq!(stream.len(), 11);
    assert_eq!(stream.log().counters().first_id, Id::new(240, 0));
    // Trimming is no deleting.
    assert_eq!(stream.log().counters().max_deleted_id, Id::MIN);
    assert_eq!(stream.log_mut().trim(exact(TrimTo::Length(20))), 0);
    assert_eq!(stream.log_mut().trim(exact(TrimTo::Length(0))), 11);
    check_invariants(&stream);
}

#[test]
fn an_approximate_trim_removes_whole_nodes_within_its_limit() {
    let mut stream = stream_of(1..=1000);
    assert_eq!(stream.log_mut().trim(nearly(TrimTo::Length(950), None)), 0);
    assert_eq!(stream.log_mut().trim(nearly(TrimTo::Length(650), None)), 300);
    assert_eq!(stream.log_mut().trim(nearly(TrimTo::Length(0), Some(250))), 200);
    assert_eq!(stream.log_mut().trim(nearly(TrimTo::MinId(Id::new(601, 0)), Some(99))), 0);
    assert_eq!(stream.log_mut().trim(nearly(TrimTo::MinId(Id::new(600, 0)), None)), 0);
    assert_eq!(stream.log_mut().trim(nearly(TrimTo::MinId(Id::new(601, 0)), None)), 100);
    assert_eq!(stream.len(), 400);
    assert_eq!(Trim::default_limit(NodeLimits::default()), 10_000);
    assert_eq!(Trim::default_limit(NodeLimits { entries_max: 0, bytes_max: 0 }), 10_000);
    assert_eq!(Trim::default_limit(NodeLimits { entries_max: 50_000, bytes_max: 0 }), 1_000_000);
}

#[test]
fn a_node_whose_last_entries_a_trim_took_is_filled_on() {
    let mut stream = stream_of(1..=3);
    stream.log_mut().delete(Id::new(3, 0));
    assert_eq!(stream.log_mut().trim(exact(TrimTo::MinId(Id::new(3, 0)))), 2);
    assert_eq!((stream.len(), stream.log().nodes_len()), (0, 1));
    check_invariants(&stream);
    add(&mut stream, 4);
    assert_eq!((stream.len(), stream.log().nodes_len()), (1, 1));
    assert_eq!(ids(stream.log()), [4]);
    stream.log_mut().delete(Id::new(4, 0));
    assert_eq!(stream.log().nodes_len(), 0);
}

#[test]
fn the_last_id_is_set_within_reason() {
    let mut stream = stream_of([1, 2, 5]);
    let set = |stream: &mut Stream, ms, added, deleted: Option<u64>| {
        stream.log_mut().set_last_id(Id::new(ms, 0), added, deleted.map(|ms| Id::new(ms, 0)))
    };
    assert_eq!(set(&mut stream, 4, None, None), Err(SetIdError::BelowLast));
    assert_eq!(set(&mut stream, 9, Some(2), None), Err(SetIdError::AddedBelowLength));
    assert_eq!(set(&mut stream, 9, Some(5), Some(10)), Err(SetIdError::BelowGivenDeleted));
    assert_eq!(set(&mut stream, 9, Some(5), Some(8)), Ok(()));
    assert_eq!(set(&mut stream, 10, None, Some(0)), Ok(()));
    let counters = stream.log().counters();
    assert_eq!((counters.last_id.ms, counters.max_deleted_id.ms, counters.entries_added), (10, 8, 5));
    // 7.0 would take this one.
    assert_eq!(set(&mut stream, 7, None, None), Err(SetIdError::BelowDeleted));
    assert_eq!(append(&mut stream, NewId::Auto, &[]), Ok(Id::new(10, 1)));
}

#[test]
fn a_group_reads_on_and_knows_its_lag() {
    let mut stream = stream_of(1..=3);
    stream.create_group(b"g", Id::MIN, Some(0));
    stream.log_mut().delete(Id::new(1, 0));
    // Only two are left to read; Redis does not see it either, until it is at the end.
    assert_eq!(read_and_lag(&stream), (Some(0), Some(3)));
    assert_eq!(read(&mut stream, b"one", 1), [2]);
    assert_eq!(read_and_lag(&stream), (Some(1), Some(2)));
    assert_eq!(read(&mut stream, b"two", 5), [3]);
    assert_eq!(read(&mut stream, b"two", 5), []);
    assert_eq!(deliveries(&stream), [(2, "one", NOW, 1), (3, "two", NOW, 1)]);
}

#[test]
fn a_deletion_ahead_leaves_the_lag_unknown_until_the_end() {
    let mut stream = stream_of(1..=4);
    stream.create_group(b"g", Id::MIN, None);
    assert_eq!(read_and_lag(&stream), (None, Some(4)));
    stream.log_mut().delete(Id::new(3, 0));
    assert_eq!(read(&mut stream, b"one", 1), [1]);
    assert_eq!(read_and_lag(&stream), (None, None));
    read(&mut stream, b"one", 1);
    assert_eq!(read_and_lag(&stream), (None, None));
    read(&mut stream, b"one", 1);
    assert_eq!(read_and_lag(&stream), (Some(4), Some(0)));
}

#[test]
fn reading_without_acknowledgement_moves_the_group_and_nothing_else() {
    let mut stream = stream_of(1..=3);
    stream.create_group(b"g", Id::MIN, None);
    let mut group = stream.group_mut(b"g").expect("just made");
    let (one, is_new) = group.find_or_add_consumer(b"one", NOW);
    assert!(is_new);
    assert_eq!(group.read_new(one, 2, true, NOW + 1, |_| {}), 2);
    assert_eq!((group.last_id(), group.entries_read(), group.pending_len()), (Id::new(2, 0), Some(2), 0));
    // The clock of what a consumer got runs for what it has to acknowledge alone.
    assert_eq!((group.consumer_at(one).seen_ms(), group.consumer_at(one).active_ms()), (NOW, None));
    group.read_new(one, 2, false, NOW + 2, |_| {});
    assert_eq!(group.consumer_at(one).active_ms(), Some(NOW + 2));
}

#[test]
fn a_group_set_back_takes_entries_from_who_had_them() {
    let mut stream = stream_of(1..=2);
    stream.create_group(b"g", Id::MIN, None);
    read(&mut stream, b"one", 2);
    stream.group_mut(b"g").expect("just made").set_last_id(Id::new(1, 0), None);
    assert_eq!(read(&mut stream, b"two", 2), [2]);
    assert_eq!(deliveries(&stream), [(1, "one", NOW, 1), (2, "two", NOW, 1)]);
    check_invariants(&stream);
}

#[test]
fn history_counts_deliveries_and_shows_what_is_gone() {
    let mut stream = stream_of(1..=3);
    stream.create_group(b"g", Id::MIN, None);
    read(&mut stream, b"one", 3);
    stream.log_mut().delete(Id::new(2, 0));
    let mut group = stream.group_mut(b"g").expect("just made");
    let (one, _) = group.find_or_add_consumer(b"one", NOW);
    let mut seen = Vec::new();
    assert_eq!(group.read_again(one, Id::new(2, 0), 9, NOW + 5, |id, entry| seen.push((id.ms, entry.is_some()))), 2);
    assert_eq!(seen, [(2, false), (3, true)]);
    drop(group);
    assert_eq!(deliveries(&stream), [(1, "one", NOW, 1), (2, "one", NOW, 1), (3, "one", NOW + 5, 2)]);
}

#[test]
fn a_deleted_consumer_takes_its_pending_entries_along() {
    let mut stream = stream_of(1..=200);
    stream.create_group(b"g", Id::MIN, None);
    read(&mut stream, b"two", 5);
    read(&mut stream, b"one", 195);
    let mut group = stream.group_mut(b"g").expect("just made");
    assert_eq!(group.delete_consumer(b"two"), Some(5));
    assert_eq!(group.delete_consumer(b"two"), None);
    assert_eq!(group.pending_edges(), Some((Id::new(6, 0), Id::new(200, 0))));
    assert_eq!(group.delete_consumer(b"one"), Some(195));
    assert_eq!((group.pending_edges(), group.consumers_len()), (None, 0));
    drop(group);
    check_invariants(&stream);
}

#[test]
fn claiming_counts_as_redis_counts() {
    let mut stream = stream_of(1..=5);
    stream.create_group(b"g", Id::MIN, None);
    read(&mut stream, b"one", 1);
    let mut group = stream.group_mut(b"g").expect("just made");
    let (two, _) = group.find_or_add_consumer(b"two", NOW);
    let forced = Claim { is_forced: true, ..plain_claim() };
    let mut claim = |ms, claim| matches!(group.claim(two, Id::new(ms, 0), claim, NOW + 9), Claimed::Taken(..));
    assert!(claim(1, plain_claim()));
    assert!(!claim(2, plain_claim()));
    assert!(claim(2, forced));
    assert!(claim(3, Claim { is_delivery: false, ..forced }));
    assert!(claim(4, Claim { count: Some(7), idle_min_ms: 100_000, time_ms: Some(NOW + 10), ..forced }));
    assert!(claim(5, Claim { count: Some(0), time_ms: Some(3), ..forced }));
    assert!(!claim(6, forced));
    // Four was delivered just now.
    assert!(!claim(4, Claim { idle_min_ms: 1, ..forced }));
    let now = NOW + 9;
    let expected = [(1, "two", now, 2), (2, "two", now, 2), (3, "two", now, 1), (4, "two", now, 7), (5, "two", 3, 0)];
    drop(group);
    assert_eq!(deliveries(&stream), expected);
    check_invariants(&stream);
}

#[test]
fn claiming_what_is_gone_ends_its_being_pending() {
    let mut stream = stream_of(1..=2);
    stream.create_group(b"g", Id::MIN, None);
    read(&mut stream, b"one", 2);
    stream.log_mut().delete(Id::new(1, 0));
    let mut group = stream.group_mut(b"g").expect("just made");
    let (two, _) = group.find_or_add_consumer(b"two", NOW);
    assert!(matches!(group.claim(two, Id::new(1, 0), plain_claim(), NOW), Claimed::Gone));
    assert!(matches!(group.claim(two, Id::new(1, 0), plain_claim(), NOW), Claimed::Left));
    assert_eq!(group.consumer_at(two).active_ms(), None);
    drop(group);
    assert_eq!(deliveries(&stream), [(2, "one", NOW, 1)]);
}

#[test]
fn claiming_by_cursor_reports_what_is_gone_and_where_to_go_on() {
    let mut stream = stream_of(1..=30);
    stream.create_group(b"g", Id::MIN, None);
    read(&mut stream, b"one", 30);
    stream.log_mut().delete(Id::new(1, 0));
    let mut group = stream.group_mut(b"g").expect("just made");
    let (two, _) = group.find_or_add_consumer(b"two", NOW);
    let claim = AutoClaim { start: Id::MIN, idle_min_ms: 0, count: 2, is_delivery: true };
    let mut taken = Vec::new();
    let done = group.auto_claim(two, claim, NOW, |entry, delivery| taken.push((entry.id.ms, delivery.count)));
    // What is gone counts towards what is asked for.
    assert_eq!((done.next, done.gone, taken), (Id::new(3, 0), vec![Id::new(1, 0)], vec![(2, 2)]));
    // Ten entries are looked at for each that is asked for.
    let fresh = AutoClaim { idle_min_ms: 1, count: 1, ..claim };
    let done = group.auto_claim(two, fresh, NOW, |_, _| {});
    assert_eq!(done, AutoClaimed { next: Id::new(12, 0), gone: Vec::new() });
    let rest = AutoClaim { start: Id::new(12, 0), count: 100, ..claim };
    assert_eq!(group.auto_claim(two, rest, NOW, |_, _| {}).next, Id::MIN);
    drop(group);
    check_invariants(&stream);
}

#[test]
fn pending_entries_are_listed_by_id_and_by_consumer() {
    let mut stream = stream_of(1..=6);
    stream.create_group(b"g", Id::MIN, None);
    for at in 0..6 {
        read(&mut stream, if at % 2 == 0 { b"two" } else { b"one" }, 1);
    }
    let group = stream.group(b"g").expect("just made");
    let names: Vec<&[u8]> = group.consumers().map(Consumer::name).collect();
    assert_eq!(names, [b"one", b"two"]);
    let from = |start| group.pending_from(Id::new(start, 0)).map(|pending| pending.id.ms).collect::<Vec<_>>();
    assert_eq!((from(0), from(5)), (vec![1, 2, 3, 4, 5, 6], vec![5, 6]));
    let one = group.consumer(b"one").expect("it has read");
    let own: Vec<u64> = group.pending_of(one, Id::new(3, 0)).map(|pending| pending.id.ms).collect();
    assert_eq!(own, [4, 6]);
    assert_eq!(group.pending(Id::new(4, 0)).map(|pending| pending.idle_ms(NOW + 7)), Some(7));
}

#[test]
fn groups_are_made_once_and_listed_by_name() {
    let mut stream = Stream::new();
    assert!(stream.create_group(b"b", Id::MIN, None));
    assert!(stream.create_group(b"a", Id::MAX, Some(3)));
    assert!(!stream.create_group(b"a", Id::MIN, None));
    assert_eq!(stream.groups().map(Group::name).collect::<Vec<_>>(), [b"a", b"b"]);
    // Nothing was ever added, so nothing is behind.
    assert_eq!(stream.group(b"a").and_then(|group| group.lag(stream.log())), Some(0));
    assert!(stream.destroy_group(b"a").is_some());
    assert!(stream.destroy_group(b"a").is_none());
    assert!(stream.group_mut(b"a").is_none());
    check_invariants(&stream);
}

#[test]
fn a_stream_of_an_old_file_gets_counters() {
    let stream = stream_of(3..=5);
    let mut log = reload(stream.log());
    assert_eq!(log.load_last_id(Id::new(4, 9)), Err(Corrupt));
    assert_eq!(log.load_last_id(Id::new(9, 0)), Ok(()));
    let expected =
        Counters { last_id: Id::new(9, 0), first_id: Id::new(3, 0), max_deleted_id: Id::MIN, entries_added: 3 };
    assert_eq!(log.counters(), expected);
}

#[test]
fn what_a_file_has_pending_is_taken_over() {
    let mut stream = stream_of(1..=2);
    stream.create_group(b"g", Id::new(2, 0), Some(2));
    let mut group = stream.group_mut(b"g").expect("just made");
    let (one, _) = group.find_or_add_consumer(b"one", 0);
    group.set_times(one, 5, Some(4));
    let delivery = Delivery { time_ms: 3, count: 8 };
    assert!(group.load_pending(one, Id::new(7, 7), delivery));
    assert!(!group.load_pending(one, Id::new(7, 7), delivery));
    let consumer = group.consumer(b"one").expect("just made");
    assert_eq!((consumer.seen_ms(), consumer.active_ms(), consumer.pending_len()), (5, Some(4), 1));
    drop(group);
    assert_eq!(deliveries(&stream), [(7, "one", 3, 8)]);
}

#[test]
fn listpacks_are_those_of_redis() {
    let mut stream = Stream::new();
    append(&mut stream, NewId::Given(Id::new(5, 1)), &[(b"a", b"x"), (b"b", b"300")]).expect("the first");
    append(&mut stream, NewId::Given(Id::new(6, 0)), &[(b"c", b"-1")]).expect("the second");
    stream.log_mut().delete(Id::new(6, 0));
    let mut listpack = Vec::new();
    assert_eq!(stream.log().listpacks().next_into(&mut listpack), Some(Id::new(5, 1)));
    let expected = [
        &[52, 0, 0, 0, 19, 0][..],
        &[1, 1, 1, 1, 2, 1, 0x81, b'a', 2, 0x81, b'b', 2, 0, 1],
        &[2, 1, 0, 1, 0, 1, 0x81, b'x', 2, 0xc1, 0x2c, 2, 5, 1],
        &[1, 1, 1, 1, 0xdf, 0xff, 2, 1, 1, 0x81, b'c', 2, 0xdf, 0xff, 2, 6, 1, 0xff],
    ];
    assert_eq!(listpack, expected.concat());
}

#[test]
fn nodes_from_a_file_must_follow_one_another() {
    let stream = stream_of(10..=12);
    let mut listpack = Vec::new();
    stream.log().listpacks().next_into(&mut listpack);
    let mut log = Log::default();
    assert_eq!(log.load_listpack(Id::new(10, 0), &listpack), Ok(()));
    assert_eq!(log.load_listpack(Id::new(12, 0), &listpack), Err(Corrupt));
    assert_eq!(log.load_listpack(Id::new(13, 0), &listpack), Ok(()));
    assert_eq!(ids(&log), [10, 11, 12, 13, 14, 15]);
}

#[test]
fn damaged_nodes_are_refused_or_readable() {
    for seed in Random::seeds(300) {
        let mut random = Random::new(seed);
        let mut stream = Stream::new();
        for at in 0..1 + random.below(12) {
            let pairs: &[(&[u8], &[u8])] = &[(b"field", b"value"), (b"n", b"123456"), (b"field", b"5")];
            let pairs = &pairs[..random.below(4) as usize];
            append(&mut stream, NewId::Given(Id::new(9 + at * 1000, at)), pairs).expect("ids grow");
        }
        let mut listpack = Vec::new();
        let master = stream.log().listpacks().next_into(&mut listpack).expect("there are entries");
        for _ in 0..50 {
            let mut damaged = listpack.clone();
            for _ in 0..1 + random.below(3) {
                let at = random.below(damaged.len() as u64) as usize;
                damaged[at] = random.next() as u8;
            }
            if random.once_in(4) {
                damaged.truncate(random.below(damaged.len() as u64) as usize);
            }
            let mut log = Log::default();
            if log.load_listpack(master, &damaged).is_ok() {
                let entries: Vec<_> = log.range(Id::MIN, Id::MAX).map(|entry| texts(&entry)).collect();
                assert_eq!(entries.len() as u64, log.len());
                assert_eq!(log.range_back(Id::MIN, Id::MAX).count() as u64, log.len());
            }
        }
    }
}
