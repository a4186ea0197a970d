//! Shares and clones of all types: what they show must not change, whatever becomes of what they are of.

use super::super::bloom::Hashes;
use super::super::hash::Expiry;
use super::super::list::End;
use super::super::stream::{Delivery, Id, NewId, NodeLimits, Trim, TrimTo};
use super::super::testing::{Random, text};
use super::super::{hash, list, set, zset};
use super::*;
use std::fmt::Write;
use std::sync::mpsc;

/// Changes to each object. Under Miri, which is slow, fewer.
const STEPS: usize = if cfg!(miri) { 300 } else { 4000 };

/// Everything in an object, in its order.
fn shown(object: &Object) -> String {
    let mut out = format!("{} {} ", object.encoding(), object.len());
    let mut show = |line: std::fmt::Arguments<'_>| out.write_fmt(line).expect("a string takes all");
    match object {
        Object::Hash(hash) => hash.iter(0).for_each(|entry| show(format_args!("{entry:?} "))),
        Object::List(list) => list.iter().for_each(|element| show(format_args!("{element:?} "))),
        Object::Set(set) => set.iter().for_each(|member| show(format_args!("{member:?} "))),
        Object::ZSet(zset) => {
            zset.iter().for_each(|(member, score)| show(format_args!("{:?} {score} ", member.to_vec())))
        }
        Object::Stream(stream) => {
            show(format_args!("{:?} ", stream.log().counters()));
            for entry in stream.log().range(Id::MIN, Id::MAX) {
                show(format_args!("{:?} {:?} ", entry.id, entry.pairs().collect::<Vec<_>>()));
            }
            for group in stream.groups() {
                show(format_args!("{:?} {:?} ", group.name(), group.last_id()));
                group.pending_from(Id::MIN).for_each(|pending| {
                    show(format_args!("{:?} {} {:?} ", pending.id, pending.consumer.name().len(), pending.delivery));
                });
                group.consumers().for_each(|one| {
                    show(format_args!("{:?} {:?} ", one.name(), one.pending_ids().collect::<Vec<_>>()));
                });
            }
        }
        Object::Bloom(bloom) => bloom.layers().iter().for_each(|layer| {
            show(format_args!("{:?} {} ", layer.shape, layer.items));
            layer.bytes_from(0).for_each(|part| show(format_args!("{:x} ", crate::base::digest::of(part))));
        }),
    }
    out
}

/// Small limits, so that all is large soon.
const HASH: hash::Limits = hash::Limits { entries_max: 8, value_max: 64 };
const SET: set::Limits = set::Limits { ints_max: 8, entries_max: 8, value_max: 64 };
const ZSET: zset::Limits = zset::Limits { entries_max: 8, value_max: 64 };
const NODE: NodeLimits = NodeLimits { bytes_max: 200, entries_max: 5 };

/// Changes an object at random. Phases in which it grows alternate with phases in which it shrinks.
fn change(object: &mut Object, random: &mut Random, step: usize) {
    let grows = random.below(10) < if (step / 1000).is_multiple_of(2) { 8 } else { 4 };
    let mut name = text(random);
    name.extend(random.below(300).to_string().bytes());
    let value = text(random);
    match object {
        Object::Hash(hash) if grows => {
            hash.set(&name, &value, Expiry::Keep, &HASH);
            if random.below(8) == 0 {
                hash.set_expiry(&name, Some(random.below(1000) as u64));
            }
        }
        Object::Hash(hash) => {
            let mut drawn = None;
            hash.sample(1, 0, &mut || random.next(), |entry| drawn = Some(entry.field.to_vec()));
            drawn.map(|field| hash.remove(&field));
            hash.take_due(random.below(100) as u64, 3, |_| ());
        }
        Object::Set(set) if grows => _ = set.add(&name, &SET),
        Object::Set(set) => set.pop(2, &mut || random.next(), |_| ()),
        Object::ZSet(zset) if grows => _ = zset.insert(&name, random.below(50) as f64, &ZSET),
        Object::ZSet(zset) => {
            let start = random.below(zset.len() + 1);
            match random.below(3) {
                0 => _ = zset.remove_range(start..zset.len().min(start + random.below(9))),
                1 => _ = zset.pop_min(),
                _ => {
                    let member = zset.at(start).map(|(member, _)| member.to_vec());
                    member.map(|member| zset.remove(&member));
                }
            }
        }
        Object::List(list) => change_list(list, random, grows, &value),
        Object::Stream(stream) => change_stream(stream, random, grows, &value),
        Object::Bloom(bloom) => {
            let item = Hashes::of(&name);
            if !bloom.has(item) {
                bloom.add(item).expect("it has few items");
            }
        }
    }
}

fn change_list(list: &mut List, random: &mut Random, grows: bool, value: &[u8]) {
    let limits = list::Limits::new(if cfg!(miri) { 4 } else { 10 });
    let at = random.below(list.len() + 1);
    match (grows, random.below(4)) {
        (true, 0) => list.push(End::Head, std::iter::once(value), &limits),
        (true, 1) => list.push(End::Tail, std::iter::once(value), &limits),
        (true, 2) => list.insert(at, value, &limits),
        (true, _) => _ = list.set(at, value, &limits),
        (false, 0) => _ = list.pop(End::Head, &limits),
        (false, 1) => _ = list.pop(End::Tail, &limits),
        (false, 2) => list.remove(at, random.below(9), &limits),
        (false, _) => _ = list.remove_equal(value, End::Tail, 2, &limits),
    }
}

fn change_stream(stream: &mut Stream, random: &mut Random, grows: bool, value: &[u8]) {
    let last = stream.log().counters().last_id.ms;
    let id = Id::new(random.below(last as usize + 1) as u64, 0);
    let group = [b'g', b'0' + random.below(3) as u8];
    let consumer = [b'c', b'0' + random.below(4) as u8];
    match (grows, random.below(6)) {
        (true, 0) => _ = stream.create_group(&group, id, None),
        (true, 1 | 2) => {
            let Some(mut group) = stream.group_mut(&group) else { return };
            let (consumer, _) = group.find_or_add_consumer(&consumer, 1);
            group.read_new(consumer, 5, false, 2, |_| ());
            group.load_pending(consumer, id, Delivery { time_ms: 3, count: 1 });
        }
        (true, _) => {
            let pairs = std::iter::once((&b"field"[..], value));
            stream.log_mut().append(NewId::Given(Id::new(last + 1, 0)), pairs, 0, NODE).expect("it is above the last");
        }
        (false, 0) if random.below(20) == 0 => _ = stream.destroy_group(&group),
        (false, 1) if random.below(20) == 0 => {
            stream.group_mut(&group).map(|mut group| group.delete_consumer(&consumer));
        }
        (false, 2) => {
            let to = TrimTo::Length(stream.len().saturating_sub(3));
            _ = stream.log_mut().trim(Trim { to, is_approximate: random.below(2) == 0, limit: None });
        }
        (false, 3) => _ = stream.group_mut(&group).map(|mut group| group.acknowledge(id)),
        (false, _) => _ = stream.log_mut().delete(id),
    }
}

fn empty_of_all_types() -> [Object; 6] {
    [
        Hash::empty().into_object(),
        List::empty().into_object(),
        Set::empty().into_object(),
        ZSet::empty().into_object(),
        Stream::empty().into_object(),
        Bloom::empty().into_object(),
    ]
}

#[test]
fn shares_stay_as_they_were_and_change_nothing_of_what_they_are_of() {
    for (seed, mut object) in (0..).zip(empty_of_all_types()) {
        // The twin is never shared.
        let mut twin = object.clone();
        let (mut one, mut other, mut moments) = (Random::new(seed), Random::new(seed), Random::new(seed + 100));
        let mut shares: Vec<(Object, String)> = Vec::new();
        for step in 0..STEPS {
            change(&mut object, &mut one, step);
            change(&mut twin, &mut other, step);
            match moments.below(40) {
                0 => shares.push((object.share(), shown(&object))),
                1 if !shares.is_empty() => drop(shares.swap_remove(moments.below(shares.len()))),
                _ => {}
            }
            if step % 100 == 0 {
                let context = format!("{} of seed {seed}, step {step}", object.type_name());
                assert!(shares.iter().all(|(share, as_it_was)| shown(share) == *as_it_was), "{context}");
                assert_eq!(shown(&object), shown(&twin), "{context}");
                // The lists of a group's consumers have no more room than they need once they were copied.
                if !matches!(object, Object::Stream(_)) {
                    assert_eq!(object.bytes(), twin.bytes(), "{context}");
                }
            }
        }
        // Shares outlive what they are of.
        drop(object);
        assert!(shares.iter().all(|(share, as_it_was)| shown(share) == *as_it_was), "seed {seed}");
    }
}

#[test]
fn clones_change_each_by_itself() {
    for (seed, mut object) in (10..).zip(empty_of_all_types()) {
        let mut random = Random::new(seed);
        (0..STEPS / 8).for_each(|step| change(&mut object, &mut random, step));
        for round in 0..20 {
            let (as_it_was, mut copy) = (shown(&object), object.clone());
            assert_eq!(shown(&copy), as_it_was, "seed {seed}, round {round}");
            (0..100).for_each(|step| change(&mut object, &mut random, step));
            assert_eq!(shown(&copy), as_it_was, "seed {seed}, round {round}");
            let as_it_is = shown(&object);
            (0..100).for_each(|step| change(&mut copy, &mut random, step));
            assert_eq!(shown(&object), as_it_is, "seed {seed}, round {round}");
        }
    }
}

#[test]
fn shares_are_read_and_dropped_on_another_thread() {
    for (seed, mut object) in (20..).zip(empty_of_all_types()) {
        let mut random = Random::new(seed);
        (0..STEPS / 8).for_each(|step| change(&mut object, &mut random, step));
        let (to_reader, shares) = mpsc::sync_channel::<(Object, String)>(1);
        let reader = std::thread::spawn(move || {
            shares.into_iter().for_each(|(share, as_it_was)| assert_eq!(shown(&share), as_it_was));
        });
        for step in 0..STEPS / 4 {
            change(&mut object, &mut random, step);
            if step % 8 == 0 && to_reader.send((object.share(), shown(&object))).is_err() {
                break;
            }
        }
        drop(to_reader);
        reader.join().expect("all shares were as they should be");
    }
}

/// Prints how long a share takes, and the first change after it. `cargo test --release -- --ignored --nocapture first_change`
#[test]
#[ignore = "it measures"]
fn a_share_and_the_first_change_after_it_take_microseconds() {
    const COUNT: usize = 1_000_000;
    let limits = list::Limits::new(-2);
    let name = |number: usize| format!("element:{number:08}").into_bytes();
    for mut object in empty_of_all_types() {
        let add = |object: &mut Object, number: usize| match object {
            Object::Hash(hash) => _ = hash.set(&name(number), &name(number), Expiry::Clear, &HASH),
            Object::List(list) if number < COUNT => list.push(End::Tail, std::iter::once(&name(number)[..]), &limits),
            Object::List(list) => _ = list.set(COUNT / 2, b"another", &limits),
            Object::Set(set) => _ = set.add(&name(number), &SET),
            Object::ZSet(zset) => _ = zset.insert(&name(number), (number * 7919 % COUNT) as f64, &ZSET),
            Object::Stream(stream) => {
                let id = NewId::Given(Id::new(number as u64 + 1, 0));
                let name = name(number);
                let pairs = std::iter::once((&b"field"[..], &name[..]));
                stream.log_mut().append(id, pairs, 0, NodeLimits::default()).expect("it is above the last");
            }
            Object::Bloom(bloom) => bloom.add(Hashes::of(&name(number))).expect("it grows"),
        };
        (0..COUNT).for_each(|number| add(&mut object, number));
        let mut worst = std::time::Duration::ZERO;
        let mut all = Vec::new();
        for round in 0..21 {
            let start = std::time::Instant::now();
            let share = object.share();
            let shared = start.elapsed();
            add(&mut object, COUNT + round);
            let changed = start.elapsed();
            worst = worst.max(changed);
            all.push((shared, changed - shared));
            assert_eq!(share.len(), share.len());
        }
        all.sort_by_key(|(shared, changed)| *shared + *changed);
        let (shared, changed) = all[all.len() / 2];
        println!("{:6} share {shared:?}, first change {changed:?}, worst of 21 together {worst:?}", object.type_name());
    }
}
