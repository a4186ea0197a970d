//! Random commands against plain maps.

use std::collections::BTreeMap;

use super::*;

type Texts = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Default)]
struct Twin {
    entries: BTreeMap<Id, Texts>,
    last_id: Id,
    max_deleted_id: Id,
    added: u64,
    groups: BTreeMap<Vec<u8>, TwinGroup>,
}

#[derive(Default)]
struct TwinGroup {
    last_id: Id,
    pending: BTreeMap<Id, (Vec<u8>, Delivery)>,
    /// When they were seen and active.
    consumers: BTreeMap<Vec<u8>, (i64, Option<i64>)>,
}

/// A stream, its twin, and what a round of commands is made from.
struct Pair {
    stream: Stream,
    twin: Twin,
    random: Random,
    limits: NodeLimits,
    /// What ids are apart.
    gap: u64,
    now: i64,
}

#[test]
fn it_agrees_with_plain_maps_on_random_commands() {
    for seed in Random::seeds(60) {
        let mut random = Random::new(seed);
        let entries_max = [100, 100, 3, 1, 0][random.below(5) as usize];
        let bytes_max = [4096, 300, 0][random.below(3) as usize];
        let gap = [1, 3, 200, 1 << 40][random.below(4) as usize];
        let mut pair = Pair {
            stream: Stream::new(),
            twin: Twin::default(),
            random,
            limits: NodeLimits { bytes_max, entries_max },
            gap,
            now: 0,
        };
        for step in 0..1500 {
            pair.step();
            if step % 50 == 0 {
                pair.check();
            }
        }
        pair.check();
    }
}

impl Pair {
    fn step(&mut self) {
        self.now += self.random.below(3) as i64;
        match self.random.below(24) {
            0..=7 => self.append(),
            8 | 9 => self.delete(),
            10 => self.trim(),
            11 | 12 => self.range(),
            13 => self.change_group(),
            14 => self.change_consumer(),
            15..=18 => self.read_new(),
            19 => self.read_again(),
            20 => self.acknowledge(),
            21 | 22 => self.claim(),
            _ => self.auto_claim(),
        }
    }

    /// An id near to where something is, or in a third of cases one that is.
    fn some_id(&mut self) -> Id {
        let last = self.twin.last_id;
        let id = Id::new(self.random.below(last.ms.saturating_add(2)), self.random.below(3));
        match self.random.once_in(3) {
            true => self.twin.entries.range(id..).next().map_or(last, |(&id, _)| id),
            false => id,
        }
    }

    fn some_texts(&mut self) -> Texts {
        let count = self.random.below(4);
        let own_fields = self.random.once_in(4);
        (0..count)
            .map(|at| {
                let field = if own_fields { self.random.below(50) } else { at };
                let value = match self.random.below(3) {
                    0 => (self.random.next() as i64 >> self.random.below(64)).to_string().into_bytes(),
                    1 => vec![b'x'; self.random.below(200) as usize],
                    _ => format!("value {}", self.random.below(1000)).into_bytes(),
                };
                (format!("field{field}").into_bytes(), value)
            })
            .collect()
    }

    fn append(&mut self) {
        let last = self.twin.last_id;
        let id = match self.random.below(4) {
            0 => NewId::AutoSeq(last.ms),
            1 => NewId::Given(self.some_id()),
            _ => NewId::Given(Id::new(last.ms + self.random.below(2 * self.gap), self.random.below(3))),
        };
        let expected = match id {
            NewId::Given(id) => id,
            _ => Id::new(last.ms, last.seq + 1),
        };
        let texts = self.some_texts();
        let pairs = texts.iter().map(|(field, value)| (&field[..], &value[..]));
        let added = self.stream.log_mut().append(id, pairs, 0, self.limits);
        if expected <= last {
            return assert_eq!(added, Err(AppendError::TooSmall));
        }
        assert_eq!(added, Ok(expected));
        self.twin.entries.insert(expected, texts);
        self.twin.last_id = expected;
        self.twin.added += 1;
    }

    fn delete(&mut self) {
        let id = self.some_id();
        let was_there = self.twin.entries.remove(&id).is_some();
        assert_eq!(self.stream.log_mut().delete(id), was_there);
        if was_there {
            self.twin.max_deleted_id = self.twin.max_deleted_id.max(id);
        }
    }

    fn trim(&mut self) {
        let is_approximate = self.random.once_in(2);
        let limit = (is_approximate && self.random.once_in(2)).then(|| self.random.below(200));
        let length = self.twin.entries.len() as u64;
        let to = match self.random.once_in(2) {
            true => TrimTo::Length(length.saturating_sub(self.random.below(60))),
            false => TrimTo::MinId(self.some_id()),
        };
        let allowed = match to {
            TrimTo::Length(max) => length.saturating_sub(max),
            TrimTo::MinId(min) => self.twin.entries.range(..min).count() as u64,
        };
        let trimmed = self.stream.log_mut().trim(Trim { to, is_approximate, limit });
        match is_approximate {
            true => assert!(trimmed <= allowed && limit.is_none_or(|limit| trimmed <= limit)),
            false => assert_eq!(trimmed, allowed),
        }
        (0..trimmed).for_each(|_| {
            self.twin.entries.pop_first();
        });
    }

    fn range(&mut self) {
        let (start, end) = (self.some_id(), self.some_id());
        let log = self.stream.log();
        let expected: Vec<_> = match start <= end {
            true => self.twin.entries.range(start..=end).map(|(&id, texts)| (id, texts.clone())).collect(),
            false => Vec::new(),
        };
        let found: Vec<_> = log.range(start, end).map(|entry| (entry.id, texts(&entry))).collect();
        assert_eq!(found, expected);
        let mut back: Vec<_> = log.range_back(start, end).map(|entry| (entry.id, texts(&entry))).collect();
        back.reverse();
        assert_eq!(back, expected);
        assert_eq!(log.has_after(start), self.twin.entries.keys().next_back().is_some_and(|&last| last > start));
    }

    fn group_name(&mut self) -> Vec<u8> {
        vec![b'g', b'0' + self.random.below(2) as u8]
    }

    fn consumer_name(&mut self) -> Vec<u8> {
        vec![b'c', b'0' + self.random.below(4) as u8]
    }

    fn change_group(&mut self) {
        let (name, id) = (self.group_name(), self.some_id());
        let is_there = self.twin.groups.contains_key(&name);
        match self.random.below(6) {
            0 => {
                let destroyed = self.stream.destroy_group(&name);
                assert_eq!(destroyed.is_some(), self.twin.groups.remove(&name).is_some());
            }
            1 if is_there => {
                self.stream.group_mut(&name).expect("the twin has it").set_last_id(id, None);
                self.twin.groups.get_mut(&name).expect("it is there").last_id = id;
            }
            _ => {
                assert_eq!(self.stream.create_group(&name, id, None), !is_there);
                self.twin.groups.entry(name).or_insert_with(|| TwinGroup { last_id: id, ..TwinGroup::default() });
            }
        }
    }

    /// Lets a consumer, who is made if there is none, do something in a group that is there.
    fn with_consumer(
        &mut self,
        act: impl FnOnce(&mut GroupMut<'_>, ConsumerId, &mut TwinGroup, &[u8], &BTreeMap<Id, Texts>, i64),
    ) {
        let (group, name) = (self.group_name(), self.consumer_name());
        let Some(twin) = self.twin.groups.get_mut(&group) else { return };
        let mut group = self.stream.group_mut(&group).expect("the twin has it");
        let (consumer, is_new) = group.find_or_add_consumer(&name, self.now);
        group.see(consumer, self.now);
        let before = twin.consumers.get(&name).copied();
        assert_eq!(is_new, before.is_none());
        twin.consumers.insert(name.clone(), (self.now, before.and_then(|(_, active)| active)));
        act(&mut group, consumer, twin, &name, &self.twin.entries, self.now);
    }

    fn change_consumer(&mut self) {
        let is_deleted = self.random.once_in(3);
        self.with_consumer(|group, _, twin, name, _, _| {
            if is_deleted {
                let before = twin.pending.len();
                twin.pending.retain(|_, (owner, _)| owner != name);
                twin.consumers.remove(name);
                assert_eq!(group.delete_consumer(name), Some(before - twin.pending.len()));
            }
        });
    }

    fn read_new(&mut self) {
        let (count, no_ack) = (self.random.below(8) as usize, self.random.once_in(6));
        self.with_consumer(|group, consumer, twin, name, entries, now| {
            let mut found = Vec::new();
            let delivered = group.read_new(consumer, count, no_ack, now, |entry| found.push((entry.id, texts(&entry))));
            assert_eq!(delivered, found.len());
            let new = entries.iter().filter(|&(&id, _)| id > twin.last_id).take(count);
            assert_eq!(found, new.map(|(&id, texts)| (id, texts.clone())).collect::<Vec<_>>());
            for (id, _) in found {
                twin.last_id = id;
                if !no_ack {
                    twin.pending.insert(id, (name.to_vec(), Delivery { time_ms: now, count: 1 }));
                    twin.consumers.insert(name.to_vec(), (now, Some(now)));
                }
            }
        });
    }

    fn read_again(&mut self) {
        let (start, count) = (self.some_id(), self.random.below(8) as usize);
        self.with_consumer(|group, consumer, twin, name, entries, now| {
            let mut found = Vec::new();
            group.read_again(consumer, start, count, now, |id, entry| found.push((id, entry.is_some())));
            let own = twin.pending.range_mut(start..).filter(|(_, (owner, _))| owner == name).take(count);
            let expected = own.map(|(&id, (_, delivery))| {
                let is_there = entries.contains_key(&id);
                if is_there {
                    *delivery = Delivery { time_ms: now, count: delivery.count + 1 };
                }
                (id, is_there)
            });
            assert_eq!(found, expected.collect::<Vec<_>>());
        });
    }

    fn acknowledge(&mut self) {
        let (name, id) = (self.group_name(), self.some_id());
        let Some(twin) = self.twin.groups.get_mut(&name) else { return };
        let id = twin.pending.range(id..).next().map_or(id, |(&id, _)| id);
        let mut group = self.stream.group_mut(&name).expect("the twin has it");
        assert_eq!(group.acknowledge(id), twin.pending.remove(&id).is_some());
    }

    fn claim(&mut self) {
        let id = self.some_id();
        let claim = Claim {
            idle_min_ms: self.random.below(3) as i64 * 20,
            time_ms: self.random.once_in(3).then(|| self.random.below(100) as i64 - 10),
            count: self.random.once_in(3).then(|| self.random.below(9)),
            is_delivery: self.random.once_in(2),
            is_forced: self.random.once_in(2),
        };
        self.with_consumer(|group, consumer, twin, name, entries, now| {
            let claimed = group.claim(consumer, id, claim, now);
            let pending = twin.pending.get(&id).map(|(_, delivery)| *delivery);
            if !entries.contains_key(&id) {
                let was_pending = twin.pending.remove(&id).is_some();
                return assert_eq!(matches!(claimed, Claimed::Gone), was_pending);
            }
            let is_idle = pending.map_or(claim.is_forced, |it| now - it.time_ms >= claim.idle_min_ms);
            if !is_idle {
                return assert!(matches!(claimed, Claimed::Left));
            }
            let delivery = Delivery {
                time_ms: claim.time_ms.filter(|&time| time >= 0 && time <= now).unwrap_or(now),
                count: claim.count.unwrap_or(pending.map_or(1, |it| it.count) + u64::from(claim.is_delivery)),
            };
            assert!(matches!(claimed, Claimed::Taken(entry, told) if entry.id == id && told == delivery));
            twin.pending.insert(id, (name.to_vec(), delivery));
            twin.consumers.insert(name.to_vec(), (now, Some(now)));
        });
    }

    fn auto_claim(&mut self) {
        let claim = AutoClaim {
            start: self.some_id(),
            idle_min_ms: self.random.below(3) as i64 * 20,
            count: 1 + self.random.below(4),
            is_delivery: self.random.once_in(2),
        };
        self.with_consumer(|group, consumer, twin, name, entries, now| {
            let mut taken = Vec::new();
            let done = group.auto_claim(consumer, claim, now, |entry, delivery| taken.push((entry.id, delivery)));
            let (mut expected, mut gone, mut left) = (Vec::new(), Vec::new(), claim.count);
            let looked_at: Vec<Id> = twin.pending.range(claim.start..).map(|(&id, _)| id).collect();
            let mut next = Id::MIN;
            for (look, id) in looked_at.into_iter().enumerate() {
                if left == 0 || look as u64 == claim.count * 10 {
                    next = id;
                    break;
                }
                let (owner, delivery) = twin.pending.get_mut(&id).expect("it was just listed");
                if !entries.contains_key(&id) {
                    twin.pending.remove(&id);
                    gone.push(id);
                    left -= 1;
                } else if claim.idle_min_ms == 0 || now - delivery.time_ms >= claim.idle_min_ms {
                    *owner = name.to_vec();
                    *delivery = Delivery { time_ms: now, count: delivery.count + u64::from(claim.is_delivery) };
                    twin.consumers.insert(name.to_vec(), (now, Some(now)));
                    expected.push((id, *delivery));
                    left -= 1;
                }
            }
            assert_eq!((taken, done), (expected, AutoClaimed { next, gone }));
        });
    }

    fn check(&self) {
        let Self { stream, twin, .. } = self;
        check_invariants(stream);
        let expected = Counters {
            last_id: twin.last_id,
            first_id: twin.entries.keys().next().copied().unwrap_or_default(),
            max_deleted_id: twin.max_deleted_id,
            entries_added: twin.added,
        };
        assert_eq!(stream.log().counters(), expected);
        let found = stream.log().range(Id::MIN, Id::MAX).map(|entry| (entry.id, texts(&entry)));
        assert!(found.eq(twin.entries.iter().map(|(&id, texts)| (id, texts.clone()))));
        assert!(stream.groups().map(Group::name).eq(twin.groups.keys()));
        for (group, twin) in stream.groups().zip(twin.groups.values()) {
            assert_eq!(group.last_id(), twin.last_id);
            let pending = group.pending_from(Id::MIN).map(|it| (it.id, (it.consumer.name().to_vec(), it.delivery)));
            assert!(pending.eq(twin.pending.iter().map(|(&id, pending)| (id, pending.clone()))));
            let consumers = group.consumers().map(|it| (it.name().to_vec(), (it.seen_ms(), it.active_ms())));
            assert!(consumers.eq(twin.consumers.iter().map(|(name, &times)| (name.clone(), times))));
            for consumer in group.consumers() {
                let own = twin.pending.iter().filter(|(_, (owner, _))| owner == consumer.name());
                assert!(consumer.pending_ids().eq(own.map(|(&id, _)| id)));
            }
        }
    }
}
