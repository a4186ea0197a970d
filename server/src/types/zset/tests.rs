//! A sorted set against a naive twin, in both forms; and what it holds of the heap beside what Redis holds.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};

/// What a member's place in the twin's order is made of. Scores are whole numbers here, so that many are equal.
type Key = (i64, Vec<u8>);

#[derive(Default)]
struct Twin {
    order: BTreeSet<Key>,
    scores: HashMap<Vec<u8>, i64>,
}

impl Twin {
    fn insert(&mut self, member: &[u8], score: i64) -> Inserted {
        let old = self.scores.insert(member.to_vec(), score);
        if let Some(old) = old {
            self.order.remove(&(old, member.to_vec()));
        }
        self.order.insert((score, member.to_vec()));
        match old {
            None => Inserted::Added,
            Some(old) if old == score => Inserted::Same,
            Some(_) => Inserted::Updated,
        }
    }

    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.scores.remove(member)?;
        self.order.remove(&(score, member.to_vec()));
        Some(score as f64)
    }

    fn remove_range(&mut self, ranks: Range<usize>) -> usize {
        let keys: Vec<Key> = self.order.iter().skip(ranks.start).take(ranks.len()).cloned().collect();
        keys.iter().for_each(|(_, member)| _ = self.remove(member));
        keys.len()
    }

    fn list(&self) -> Vec<(Vec<u8>, f64)> {
        self.order.iter().map(|(score, member)| (member.clone(), *score as f64)).collect()
    }
}

#[derive(Clone, Debug)]
enum Action {
    Insert(u16, i64),
    InsertRun { start: u16, count: u16, score: i64 },
    Incr(u16, i64),
    Remove(u16),
    RemoveRange(usize, usize),
    PopMin,
    PopMax,
    Clone,
}

fn action(members: u16) -> impl Strategy<Value = Action> {
    let score = prop_oneof![-5..5i64, any::<i32>().prop_map(i64::from)];
    prop_oneof![
        8 => (0..members, score.clone()).prop_map(|(member, score)| Action::Insert(member, score)),
        2 => (0..members, 1..members / 4, score.clone())
            .prop_map(|(start, count, score)| Action::InsertRun { start, count, score }),
        2 => (0..members, -5..5i64).prop_map(|(member, by)| Action::Incr(member, by)),
        6 => (0..members).prop_map(Action::Remove),
        1 => (0..usize::from(members), 0..usize::from(members) / 3).prop_map(|(start, count)| {
            Action::RemoveRange(start, start + count)
        }),
        1 => Just(Action::PopMin),
        1 => Just(Action::PopMax),
        1 => Just(Action::Clone),
    ]
}

/// Names of members: numbers, texts, and a few long ones.
fn name(number: u16) -> Vec<u8> {
    match number % 8 {
        0..3 => (i64::from(number) - 50).to_string().into_bytes(),
        7 if number.is_multiple_of(5) => {
            [format!("long{number}").into_bytes(), vec![b'x'; usize::from(number) % 400]].concat()
        }
        _ => format!("m{number}").into_bytes(),
    }
}

fn apply(action: &Action, set: &mut ZSet, twin: &mut Twin, limits: &Limits) {
    match *action {
        Action::Insert(member, score) => {
            let member = name(member);
            assert_eq!(set.insert(&member, score as f64, limits), twin.insert(&member, score));
        }
        Action::InsertRun { start, count, score } => {
            for number in 0..count {
                let member = name(start.wrapping_add(number));
                set.insert(&member, (score + i64::from(number)) as f64, limits);
                twin.insert(&member, score + i64::from(number));
            }
        }
        Action::Incr(member, by) => {
            let member = name(member);
            let score = twin.scores.get(&member).copied().unwrap_or(0) + by;
            twin.insert(&member, score);
            assert_eq!(set.incr(&member, by as f64, limits), Some(score as f64));
        }
        Action::Remove(member) => assert_eq!(set.remove(&name(member)), twin.remove(&name(member))),
        Action::RemoveRange(start, end) => {
            assert_eq!(set.remove_range(start..end), twin.remove_range(start..end));
        }
        Action::PopMin => {
            let first = twin.list().into_iter().next();
            assert_eq!(set.pop_min(), first);
            twin.remove_range(0..1);
        }
        Action::PopMax => {
            let last = twin.list().pop();
            assert_eq!(set.pop_max(), last);
            let len = twin.order.len();
            twin.remove_range(len.saturating_sub(1)..len);
        }
        Action::Clone => *set = set.clone(),
    }
}

fn check(set: &ZSet, twin: &Twin) {
    let list = twin.list();
    let owned = |(member, score): (Member<'_>, f64)| (member.to_vec(), score);
    assert_eq!(set.len(), list.len());
    assert!(set.iter().map(owned).eq(list.iter().cloned()));
    assert!(set.iter().rev().map(owned).eq(list.iter().rev().cloned()));
    for (rank, (member, score)) in list.iter().enumerate() {
        assert_eq!(set.rank(member), Some((rank, *score)));
        assert_eq!(set.score(member), Some(*score));
        assert_eq!(set.at(rank).map(owned), Some((member.clone(), *score)));
    }
    check_ranges(set, &list);
    if let Form::Large(large) = &set.0 {
        large.check();
    }
}

fn check_ranges(set: &ZSet, list: &[(Vec<u8>, f64)]) {
    for (min, max) in [(-3.0, 3.0), (0.0, 0.0), (2.0, -2.0), (f64::NEG_INFINITY, 1000.0)] {
        for (min_exclusive, max_exclusive) in [(false, false), (true, false), (false, true), (true, true)] {
            let range = ScoreRange {
                min: ScoreBound { score: min, is_exclusive: min_exclusive },
                max: ScoreBound { score: max, is_exclusive: max_exclusive },
            };
            let expected = list.iter().filter(|(_, score)| range.contains(*score)).count();
            let ranks = set.ranks_by_score(&range);
            assert_eq!(ranks.len(), expected);
            assert!(set.range(ranks).all(|(_, score)| range.contains(score)));
        }
    }
    let (third, half) = (list.len() / 3, list.len() / 2);
    // From both ends until they meet.
    let mut both = set.range(third..list.len());
    for index in 0..(list.len() - third) / 2 {
        assert_eq!(both.next().map(|(member, _)| member.to_vec()), Some(list[third + index].0.clone()));
        assert_eq!(both.next_back().map(|(member, _)| member.to_vec()), Some(list[list.len() - 1 - index].0.clone()));
    }
    assert_eq!(both.count(), (list.len() - third) % 2);
    assert_eq!(set.range(half..half + 10).nth(3).map(|(_, score)| score), list.get(half + 3).map(|entry| entry.1));
}

fn compare(actions: &[Action], limits: &Limits) {
    let (mut set, mut twin) = (ZSet::new(), Twin::default());
    for (index, action) in actions.iter().enumerate() {
        apply(action, &mut set, &mut twin, limits);
        if index % 16 == 0 {
            check(&set, &twin);
        }
    }
    check(&set, &twin);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 1 } else { 64 }, ..ProptestConfig::default() })]

    #[test]
    fn a_small_set_is_like_its_twin(actions in prop::collection::vec(action(60), 1..200)) {
        compare(&actions, &Limits { entries_max: usize::MAX, value_max: usize::MAX });
    }

    #[test]
    fn a_large_set_is_like_its_twin(actions in prop::collection::vec(action(2000), 1..400)) {
        compare(&actions, &Limits { entries_max: 0, value_max: 0 });
    }

    #[test]
    fn a_set_that_grows_is_like_its_twin(actions in prop::collection::vec(action(300), 1..200)) {
        compare(&actions, &Limits { entries_max: 40, value_max: 64 });
    }

    #[test]
    fn members_of_one_score_have_ranges_by_their_bytes(
        members in prop::collection::btree_set("[a-d]{0,4}", 0..80),
        min in "(-|\\+|[\\[(][a-d]{0,3})",
        max in "(-|\\+|[\\[(][a-d]{0,3})",
    ) {
        for entries_max in [0, usize::MAX] {
            let limits = Limits { entries_max, value_max: 64 };
            let mut set = ZSet::new();
            for member in &members {
                set.insert(member.as_bytes(), 1.0, &limits);
            }
            let range = LexRange::parse(min.as_bytes(), max.as_bytes()).expect("these are bounds");
            let found: Vec<Vec<u8>> = set.range(set.ranks_by_lex(&range)).map(|(member, _)| member.to_vec()).collect();
            let expected: Vec<Vec<u8>> =
                members.iter().filter(|member| range.contains(member.as_bytes())).map(|it| it.clone().into()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}

const LIMITS: Limits = Limits { entries_max: 128, value_max: 64 };

fn filled(count: u64) -> ZSet {
    let mut set = ZSet::new();
    for number in 1..=count {
        set.insert(format!("member:{number:06}").as_bytes(), (number * 7919 % 1_000_000) as f64, &LIMITS);
    }
    set
}

#[test]
fn the_form_follows_the_limits_and_never_goes_back() {
    let mut set = filled(128);
    assert_eq!(set.encoding(), "listpack");
    set.insert(b"member:000001", 5.0, &LIMITS);
    assert_eq!((set.len(), set.encoding()), (128, "listpack"));
    assert_eq!(set.upsert(b"new", &LIMITS, |_| None), Inserted::Left);
    assert_eq!(set.encoding(), "listpack");
    set.insert(b"new", 5.0, &LIMITS);
    assert_eq!((set.len(), set.encoding()), (129, "skiplist"));
    set.remove_range(0..129);
    assert_eq!((set.len(), set.encoding()), (0, "skiplist"));

    let mut set = ZSet::new();
    set.insert(&[b'x'; 64], 1.0, &LIMITS);
    assert_eq!(set.encoding(), "listpack");
    set.insert(&[b'x'; 65], 1.0, &LIMITS);
    assert_eq!(set.encoding(), "skiplist");
    assert_eq!(ZSet::expecting(129, 1, &LIMITS).encoding(), "skiplist");
    assert_eq!(ZSet::expecting(128, 64, &LIMITS).encoding(), "listpack");
}

#[test]
fn a_sum_that_is_no_number_changes_nothing() {
    for entries_max in [0, 128] {
        let limits = Limits { entries_max, value_max: 64 };
        let mut set = ZSet::new();
        set.insert(b"m", f64::INFINITY, &limits);
        assert_eq!(set.incr(b"m", f64::NEG_INFINITY, &limits), None);
        assert_eq!(set.incr(b"m", 1.0, &limits), Some(f64::INFINITY));
        assert_eq!(set.incr(b"new", -0.5, &limits), Some(-0.5));
        assert_eq!(set.len(), 2);
    }
}

#[test]
fn zeros_are_one_score() {
    for entries_max in [0, 128] {
        let limits = Limits { entries_max, value_max: 64 };
        let mut set = ZSet::new();
        set.insert(b"b", 0.0, &limits);
        set.insert(b"a", -0.0, &limits);
        set.insert(b"c", -0.0, &limits);
        assert_eq!(set.insert(b"b", -0.0, &limits), Inserted::Same);
        assert!(set.iter().map(|(member, _)| member.to_vec()).eq([b"a", b"b", b"c"].map(|member| member.to_vec())));
        let range = ScoreRange::parse(b"0", b"-0").expect("both are numbers");
        assert_eq!(set.ranks_by_score(&range), 0..3);
    }
}

#[test]
fn a_random_number_falls_on_each_member_alike() {
    let set = filled(200);
    let mut counts = vec![0; 200];
    for draw in 0..20_000u64 {
        // Steps of the golden ratio fall evenly over all numbers.
        let (member, _) = set.random(draw.wrapping_mul(0x9e37_79b9_7f4a_7c15)).expect("there are members");
        counts[set.rank(&member).expect("it is a member").0] += 1;
    }
    assert!(counts.iter().all(|count| (95..=105).contains(count)), "{counts:?}");
    assert!(ZSet::new().random(7).is_none());
}

#[test]
fn a_scan_shows_all() {
    for count in [0, 100, 5000] {
        let set = filled(count);
        let (mut shown, mut cursor) = (HashMap::new(), 0);
        loop {
            cursor = set.scan(cursor, |member, score| _ = shown.insert(member.to_vec(), score));
            if cursor == 0 {
                break;
            }
        }
        assert_eq!(shown.len() as u64, count);
        assert!(set.iter().all(|(member, score)| shown.get(&*member) == Some(&score)));
    }
}

#[test]
fn a_set_holds_less_than_redis_does() {
    // MEMORY USAGE of the same sets in redis-server 7.0.15, less the 72 bytes of key, object and entry around a value.
    for (count, redis) in [(10, 272 - 72), (129, 15_888 - 72), (1000, 102_680 - 72), (100_000, 10_100_000)] {
        let bytes = filled(count).bytes();
        assert!(bytes <= redis, "{count} members: {bytes} bytes, {redis} in Redis");
    }
}

#[test]
fn removing_everything_gives_the_memory_back() {
    let empty = ZSet::expecting(1000, 0, &LIMITS).bytes();
    let mut set = filled(20_000);
    set.remove_range(0..10_000);
    while set.pop_max().is_some() {}
    // The list of segments keeps its places.
    assert!(set.bytes() <= empty + 1024, "{} {empty}", set.bytes());
    let mut small = filled(100);
    small.remove_range(0..100);
    assert!(small.bytes() <= 64);
}
