//! Payloads that someone has changed: whatever comes of them is an error, or a value that can be used.

use super::round_trip::{draw, limits};
use super::*;
use crate::types::bloom::Hashes;
use crate::types::hash::Expiry;
use crate::types::list::End;
use crate::types::stream::{AutoClaim, NewId, NodeLimits, Trim, TrimTo};
use crate::types::testing::Random;

/// Changes some bytes, cuts, doubles or moves a part.
fn damage(body: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..1 + random.below(4) {
        let at = random.below(body.len().max(1)).min(body.len());
        match random.below(8) {
            0 => body.truncate(at),
            1 => body.insert(at, random.next() as u8),
            2 if at < body.len() => _ = body.remove(at),
            3 if at < body.len() => {
                let end = at + random.below(body.len() - at);
                let part = body[at..end].to_vec();
                let to = random.below(body.len());
                body.splice(to..to, part);
            }
            4 if at < body.len() => body[at] = [0, 0xff, 0x7f, 0x80, 0x81, 0xc3, 0xfe][random.below(7)],
            5 if at < body.len() => body[at] = body[at].wrapping_add(1),
            _ if at < body.len() => body[at] ^= 1 << random.below(8),
            _ => {}
        }
    }
}

/// Does to a value what commands would do, which must not panic whatever was in the payload.
fn use_up(object: &mut Object, limits: &Limits) {
    assert!(!object.is_spent(), "it has elements, or is of those that stay without");
    match object {
        Object::Hash(hash) => {
            hash.set(b"a field", b"v", Expiry::Clear, &limits.hash);
            hash.set_expiry(b"a field", Some(77));
            hash.take_due(u64::MAX, usize::MAX, |_| {});
            let fields: Vec<Vec<u8>> = hash.iter(0).map(|entry| entry.field.to_vec()).collect();
            assert!(fields.iter().all(|field| hash.remove(field)) && hash.is_empty());
        }
        Object::List(list) => {
            list.push(End::Head, [&b"x"[..]].into_iter(), &limits.list);
            while list.pop(End::Tail, &limits.list).is_some() {}
        }
        Object::Set(set) => {
            set.add(b"a member", &limits.set);
            set.pop(usize::MAX, &mut || 7, |_| {});
            assert!(set.is_empty());
        }
        Object::ZSet(zset) => {
            zset.insert(b"a member", 5.0, &limits.zset);
            while zset.pop_min().is_some() && zset.pop_max().is_some() {}
        }
        Object::Stream(stream) => use_up_stream(stream),
        Object::Bloom(bloom) => {
            let item = Hashes::of(b"an item");
            let _ = (bloom.has(item), bloom.add(item), bloom.capacity(), bloom.error_rate());
        }
    }
}

fn use_up_stream(stream: &mut Stream) {
    let nodes = NodeLimits::default();
    let names: Vec<Vec<u8>> = stream.groups().map(|group| group.name().to_vec()).collect();
    _ = stream.log_mut().append(NewId::Auto, [(&b"f"[..], &b"v"[..])].into_iter(), 5, nodes);
    for name in names {
        let mut group = stream.group_mut(&name).expect("it is there");
        _ = group.lag(group.log());
        let (consumer, _) = group.find_or_add_consumer(b"me", 1);
        group.read_new(consumer, 10, false, 1, |_| {});
        group.read_again(consumer, Id::MIN, 10, 2, |_, _| {});
        let claim = AutoClaim { start: Id::MIN, idle_min_ms: 0, count: 100, is_delivery: true };
        group.auto_claim(consumer, claim, 3, |_, _| {});
        assert!(group.delete_consumer(b"me").is_some());
    }
    let log = stream.log_mut();
    let ids: Vec<Id> = log.range(Id::MIN, Id::MAX).map(|entry| entry.id).collect();
    assert_eq!((ids.len() as u64, ids.is_sorted_by(|a, b| a < b)), (log.len(), true));
    // Back as far as XSETID allows, and on from there.
    for id in ids.iter().rev().take(2) {
        log.delete(*id);
        if log.set_last_id(Id::new(id.ms, id.seq.saturating_sub(1)), None, None).is_ok() {
            _ = log.append(NewId::Auto, [(&b"f"[..], &b"v"[..])].into_iter(), 0, nodes);
        }
    }
    log.trim(Trim { to: TrimTo::Length(1), is_approximate: false, limit: None });
    let ids: Vec<Id> = log.range(Id::MIN, Id::MAX).map(|entry| entry.id).collect();
    assert!(ids.into_iter().all(|id| log.delete(id)) && log.is_empty());
}

#[test]
fn damaged_values_are_refused_or_usable() {
    let mut loaded = [0; 2];
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let payload = dump(&draw(&mut random), seed % 4 == 0);
        for change in 0..100 {
            let mut damaged = body(&payload).to_vec();
            damage(&mut damaged, &mut random);
            let version = [VERSION, VERSION_MAX, VERSION_VALKEY][random.below(3)];
            println!("seed {seed}, change {change}: {}", damaged.escape_ascii());
            match restore(&seal(&damaged, version), &limits()) {
                Ok(Value::Object(mut object)) => {
                    loaded[0] += 1;
                    // What was taken in can be given out, and is then the same.
                    let again = restore(&dump(&object, true), &limits()).map(|value| shown_content(&value));
                    assert_eq!(again, Ok(shown_content(&Value::Object(object.clone()))));
                    use_up(&mut object, &limits());
                }
                Ok(Value::String(_)) => {}
                Err(error) => {
                    loaded[1] += 1;
                    assert_eq!(error, RestoreError::Format);
                }
            }
        }
    }
    assert!(loaded.iter().all(|&count| count > 1000), "taken and refused: {loaded:?}");
}

/// As [`shown`], without the encoding: a form may change when the elements come in another order.
fn shown_content(value: &Value) -> String {
    let shown = shown(value);
    shown.split_once(": ").map_or(shown.clone(), |(_, content)| content.to_owned())
}

#[test]
fn other_types_than_were_written_are_refused_or_usable() {
    for seed in 0..200 {
        let payload = dump(&draw(&mut Random::new(seed)), false);
        for kind in 0..32 {
            let mut other = body(&payload).to_vec();
            other[0] = kind;
            println!("seed {seed}, type {kind}");
            if let Ok(Value::Object(mut object)) = restore(&seal(&other, VERSION_MAX), &limits()) {
                use_up(&mut object, &limits());
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, kind in 0u8..30, count in 0u8..10) {
        for version in [VERSION, VERSION_VALKEY] {
            _ = restore(&bytes, &limits());
            _ = restore(&seal(&bytes, version), &limits());
            _ = restore(&seal(&[&[kind], &bytes[..]].concat(), version), &limits());
            _ = restore(&seal(&[&[kind, count], &bytes[..]].concat(), version), &limits());
            let mut wrapped = vec![kind];
            push_string(&mut wrapped, &bytes, true);
            _ = restore(&seal(&wrapped, version), &limits());
        }
    }
}
