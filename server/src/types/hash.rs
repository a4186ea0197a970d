//! A hash: fields, each with a value and perhaps a time at which it expires.
//!
//! A small one is a run of bytes, a large one a table. A hash none of whose fields ever got an expiry pays nothing for
//! the possibility; one whose fields did knows at once when the next of them is due.
//!
//! A field is there until someone takes it out. So reads are told the time and pass over what has expired, and writes
//! do not ask: whoever writes calls [`Hash::take_due`] first, because the replicas must be told what has gone.

use super::draw;
use super::due::{Due, Moment};
use super::fields::{Fields, Place};
use super::item::{Element, STAMP_MAX};

pub use super::fields::Entry;

/// The bytes of a run beyond which it becomes a table, whatever the limits say. As Redis's listpack.
const RUN_BYTES_MAX: usize = 1 << 30;

/// Up to where a hash stays a run.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Fields: `hash-max-listpack-entries`.
    pub entries_max: usize,
    /// Bytes of a field or a value: `hash-max-listpack-value`.
    pub value_max: usize,
}

/// What becomes of a field's expiry when its value changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The field no longer expires, as after `HSET`.
    Clear,
    /// It expires when it would have, as after `HINCRBY`.
    Keep,
}

/// A hash. See the head of this file.
#[derive(Clone, Debug, Default)]
pub struct Hash(Form);

#[derive(Clone, Debug)]
enum Form {
    Plain(Fields),
    Timed(Box<Timed>),
}

const _: () = assert!(size_of::<Hash>() == 24);

impl Default for Form {
    fn default() -> Self {
        Form::Plain(Fields::default())
    }
}

/// Fields of which some expire, or did once.
#[derive(Clone, Debug)]
struct Timed {
    fields: Fields,
    /// The fields of a table that expire. A run is short enough to be searched.
    due: Due,
    /// When the next field expires.
    next: Option<u64>,
}

impl Hash {
    /// An empty hash, which needs no heap.
    pub fn new() -> Hash {
        Hash::default()
    }

    /// The hash as it is now, to be gone through and not to be looked into: cheap, however large it is.
    pub fn share(&self) -> Hash {
        Hash(match &self.0 {
            Form::Plain(fields) => Form::Plain(fields.share()),
            Form::Timed(timed) => {
                let (fields, next) = (timed.fields.share(), timed.next);
                Form::Timed(Box::new(Timed { fields, due: Due::new(), next }))
            }
        })
    }

    /// How many fields there are, those among them that have expired and are still there.
    #[inline]
    pub fn len(&self) -> usize {
        self.fields().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many fields have not expired at a time, in milliseconds since 1970.
    pub fn len_at(&self, now: u64) -> usize {
        match &self.0 {
            Form::Timed(timed) if timed.next.is_some_and(|next| next <= now) => timed.live(now),
            _ => self.len(),
        }
    }

    /// Heap bytes, as asked of the allocator.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Form::Plain(fields) => fields.bytes(),
            Form::Timed(timed) => size_of::<Timed>() + timed.fields.bytes() + timed.due.bytes(),
        }
    }

    /// Where the first bytes below lie that a command reads, for a prefetch.
    #[inline]
    pub fn lead(&self) -> *const u8 {
        match &self.0 {
            Form::Plain(fields) => fields.lead(),
            Form::Timed(timed) => (&raw const **timed).cast(),
        }
    }

    /// What `OBJECT ENCODING` says.
    pub fn encoding(&self) -> &'static str {
        match (&self.0, self.fields()) {
            (_, Fields::Table(_)) => "hashtable",
            (Form::Plain(_), Fields::Run(_)) => "listpack",
            (Form::Timed(_), Fields::Run(_)) => "listpackex",
        }
    }

    fn fields(&self) -> &Fields {
        match &self.0 {
            Form::Plain(fields) => fields,
            Form::Timed(timed) => &timed.fields,
        }
    }

    fn fields_mut(&mut self) -> &mut Fields {
        match &mut self.0 {
            Form::Plain(fields) => fields,
            Form::Timed(timed) => &mut timed.fields,
        }
    }

    /// A field that has not expired at `now`, in milliseconds since 1970. With 0 nothing has: a replica waits for its
    /// primary to say so.
    #[inline]
    pub fn get(&self, field: &[u8], now: u64) -> Option<Entry<'_>> {
        let fields = self.fields();
        let entry = fields.entry(fields.find(field).ok()?);
        is_live(&entry, now).then_some(entry)
    }

    /// Sets a field, and says whether it is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], expiry: Expiry, limits: &Limits) -> bool {
        if field.len().max(value.len()) > limits.value_max || self.is_run_full(field.len() + value.len()) {
            self.make_table();
        }
        match self.fields().find(field) {
            Ok(mut place) => {
                if expiry == Expiry::Clear && self.fields().entry(place).expiry.is_some() {
                    self.set_expiry_at(place, None);
                    place = self.found(field);
                }
                self.fields_mut().replace(place, value, true);
                false
            }
            Err(missing) => {
                self.fields_mut().insert(missing, value);
                if self.len() > limits.entries_max {
                    self.make_table();
                }
                true
            }
        }
    }

    fn is_run_full(&self, new: usize) -> bool {
        matches!(self.fields(), Fields::Run(run) if run.bytes() + new > RUN_BYTES_MAX)
    }

    fn make_table(&mut self) {
        match &mut self.0 {
            Form::Plain(fields) => fields.make_table(),
            Form::Timed(timed) => timed.make_table(),
        }
    }

    /// The place of a field that is there, found again after a change may have moved it.
    fn found(&self, field: &[u8]) -> Place {
        let Ok(place) = self.fields().find(field) else { unreachable!("a field of this hash was found just now") };
        place
    }

    /// Takes a field out, and says whether it was there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        let Ok(place) = self.fields().find(field) else { return false };
        match &mut self.0 {
            Form::Plain(fields) => fields.remove(place),
            Form::Timed(timed) => timed.remove(place),
        }
        true
    }

    /// Makes a field expire at a time, in milliseconds since 1970 and at most [`STAMP_MAX`], or never. Says whether
    /// the field is there.
    ///
    /// That the time has come already is for the caller to see, who takes the field out instead.
    pub fn set_expiry(&mut self, field: &[u8], expiry: Option<u64>) -> bool {
        let Ok(place) = self.fields().find(field) else { return false };
        self.set_expiry_at(place, expiry.map(|when| when.min(STAMP_MAX)));
        true
    }

    fn set_expiry_at(&mut self, place: Place, expiry: Option<u64>) {
        match &mut self.0 {
            Form::Timed(timed) => timed.set_expiry(place, expiry),
            Form::Plain(_) if expiry.is_none() => {}
            Form::Plain(fields) => {
                let mut timed = Timed { fields: std::mem::take(fields), due: Due::new(), next: None };
                timed.set_expiry(place, expiry);
                self.0 = Form::Timed(Box::new(timed));
            }
        }
    }

    /// When the next field expires, in milliseconds since 1970.
    #[inline]
    pub fn next_due(&self) -> Option<u64> {
        match &self.0 {
            Form::Plain(_) => None,
            Form::Timed(timed) => timed.next,
        }
    }

    /// Takes out fields that have expired at `now`, `max` at most and in the order of their times, and tells their names.
    ///
    /// Returns how many that were: `max` means that more may be due.
    pub fn take_due(&mut self, now: u64, max: usize, mut taken: impl FnMut(Element<'_>)) -> usize {
        let Form::Timed(timed) = &mut self.0 else { return 0 };
        let mut count = 0;
        while count < max && timed.next.is_some_and(|next| next <= now) {
            let Some(place) = timed.first() else { break };
            taken(timed.fields.entry(place).field);
            timed.remove(place);
            count += 1;
        }
        count
    }

    /// All fields that have not expired at `now`, in an order that stays the same until the hash is changed: that in
    /// which they came, while it is small.
    pub fn iter(&self, now: u64) -> impl Iterator<Item = Entry<'_>> {
        self.fields().iter().filter(move |entry| is_live(entry, now))
    }

    /// Visits fields from a cursor on, `count` or a few more, and returns the cursor to go on from: 0 at the end.
    ///
    /// A walk starts at 0. It visits each field that is there from its start to its end at least once. A small hash is
    /// visited in one call.
    pub fn scan(&self, cursor: u64, count: usize, now: u64, mut visit: impl FnMut(Entry<'_>)) -> u64 {
        let mut visit = |entry: Entry<'_>| {
            if is_live(&entry, now) {
                visit(entry);
            }
        };
        match self.fields() {
            fields @ Fields::Run(_) => {
                fields.iter().for_each(visit);
                0
            }
            fields @ Fields::Table(table) => table.scan_many(cursor, count, |at| visit(fields.entry(Place::Table(at)))),
        }
    }

    /// Visits `count` different fields drawn by lot, or all if there are fewer.
    pub fn sample(&self, count: usize, now: u64, random: &mut impl FnMut() -> u64, mut visit: impl FnMut(Entry<'_>)) {
        let fields = self.fields();
        match fields {
            Fields::Table(table) if !self.hides(now) => {
                table.sample(count, random, |at| visit(fields.entry(Place::Table(at))));
            }
            _ => draw::choose(self.iter(now), self.len_at(now), count, random, visit),
        }
    }

    /// Visits `count` fields, each drawn by lot from all, so that one may come more than once. None if there are none.
    pub fn draw(&self, count: usize, now: u64, random: &mut impl FnMut() -> u64, mut visit: impl FnMut(Entry<'_>)) {
        let fields = self.fields();
        if let (Fields::Table(table), false) = (fields, self.hides(now)) {
            for at in (0..count).map_while(|_| table.random(random)) {
                visit(fields.entry(Place::Table(at)));
            }
            return;
        }
        let live: Vec<Entry<'_>> = self.iter(now).collect();
        if !live.is_empty() {
            (0..count).for_each(|_| visit(live[draw::below(random, live.len())]));
        }
    }

    /// Whether there are fields that have expired and are still there.
    fn hides(&self, now: u64) -> bool {
        self.next_due().is_some_and(|next| next <= now)
    }
}

/// Whether an entry has not expired.
fn is_live(entry: &Entry<'_>, now: u64) -> bool {
    entry.expiry.is_none_or(|expiry| expiry > now)
}

impl Timed {
    fn make_table(&mut self) {
        if let Fields::Table(_) = self.fields {
            return;
        }
        self.fields.make_table();
        for entry in self.fields.iter() {
            if let Some(when) = entry.expiry {
                self.due.insert(Moment { when, hash: entry.field.hash() });
            }
        }
    }

    fn set_expiry(&mut self, place: Place, expiry: Option<u64>) {
        let entry = self.fields.entry(place);
        let (old, hash) = (entry.expiry, entry.field.hash());
        if old == expiry {
            return;
        }
        self.fields.set_expiry(place, expiry);
        if let Fields::Table(_) = self.fields {
            old.map(|when| self.due.remove(Moment { when, hash }));
            expiry.into_iter().for_each(|when| self.due.insert(Moment { when, hash }));
        }
        self.changed(old, expiry);
    }

    fn remove(&mut self, place: Place) {
        let entry = self.fields.entry(place);
        let (old, hash) = (entry.expiry, entry.field.hash());
        self.fields.remove(place);
        if let (Fields::Table(_), Some(when)) = (&self.fields, old) {
            self.due.remove(Moment { when, hash });
        }
        self.changed(old, None);
    }

    /// Keeps `next` right after the expiry of one field changed.
    fn changed(&mut self, old: Option<u64>, new: Option<u64>) {
        if old.is_some() && old == self.next {
            self.next = match &self.fields {
                Fields::Table(_) => self.due.first().map(|moment| moment.when),
                fields => fields.iter().filter_map(|entry| entry.expiry).min(),
            };
        } else if let Some(new) = new {
            self.next = Some(self.next.map_or(new, |next| next.min(new)));
        }
    }

    /// The field that expires next.
    fn first(&self) -> Option<Place> {
        let next = self.next?;
        match &self.fields {
            Fields::Table(table) => {
                let hash = self.due.first()?.hash;
                table.find_hash(hash, |at| table.stamp(at) == Some(next)).map(Place::Table)
            }
            fields => fields.places().find(|&place| fields.entry(place).expiry == Some(next)),
        }
    }

    fn live(&self, now: u64) -> usize {
        match &self.fields {
            Fields::Table(table) => table.len() - self.due.count_until(now),
            fields => fields.iter().filter(|entry| is_live(entry, now)).count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, text};
    use super::*;
    use std::collections::{BTreeMap, BTreeSet, HashMap};

    const LIMITS: Limits = Limits { entries_max: 128, value_max: 64 };

    fn set(hash: &mut Hash, field: &str, value: &str) -> bool {
        hash.set(field.as_bytes(), value.as_bytes(), Expiry::Clear, &LIMITS)
    }

    fn value(hash: &Hash, field: &str, now: u64) -> Option<String> {
        hash.get(field.as_bytes(), now).map(|entry| String::from_utf8(entry.value.to_vec()).expect("tests write UTF-8"))
    }

    #[test]
    fn a_small_hash_keeps_the_order_in_which_fields_came() {
        let mut hash = Hash::new();
        assert!(set(&mut hash, "b", "1") && set(&mut hash, "a", "2") && !set(&mut hash, "b", "longer"));
        let fields: Vec<_> = hash.iter(0).map(|entry| entry.field.to_vec()).collect();
        assert_eq!(fields, [b"b", b"a"]);
        assert_eq!((hash.len(), hash.encoding(), hash.bytes()), (2, "listpack", 2 + 7 + 2 + 1));
    }

    #[test]
    fn a_hash_becomes_a_table_at_its_limits_and_stays_one() {
        let mut hash = Hash::new();
        for number in 0..128 {
            set(&mut hash, &format!("f{number}"), "v");
        }
        assert_eq!(hash.encoding(), "listpack");
        set(&mut hash, "one more", "v");
        assert_eq!((hash.encoding(), hash.len()), ("hashtable", 129));
        assert!(hash.remove(b"one more") && !hash.remove(b"one more"));
        assert_eq!((hash.encoding(), hash.len()), ("hashtable", 128));

        for (field, value) in [("x".repeat(65), String::new()), (String::new(), "x".repeat(65))] {
            let mut hash = Hash::new();
            set(&mut hash, &field, &value);
            assert_eq!(hash.encoding(), "hashtable");
        }
        let mut hash = Hash::new();
        set(&mut hash, &"x".repeat(64), &"x".repeat(64));
        assert_eq!(hash.encoding(), "listpack");
    }

    #[test]
    fn an_expired_field_is_hidden_until_it_is_taken() {
        let mut hash = Hash::new();
        set(&mut hash, "a", "1");
        set(&mut hash, "b", "2");
        assert!(hash.set_expiry(b"a", Some(100)) && !hash.set_expiry(b"c", Some(100)));
        assert_eq!((hash.encoding(), hash.next_due()), ("listpackex", Some(100)));
        assert_eq!(value(&hash, "a", 99).as_deref(), Some("1"));
        assert_eq!(value(&hash, "a", 100), None);
        assert_eq!((hash.len(), hash.len_at(99), hash.len_at(100)), (2, 2, 1));
        let mut taken = Vec::new();
        assert_eq!(hash.take_due(99, 10, |field| taken.push(field.to_vec())), 0);
        assert_eq!(hash.take_due(100, 10, |field| taken.push(field.to_vec())), 1);
        assert_eq!(taken, [b"a"]);
        assert_eq!((hash.len(), hash.next_due(), hash.encoding()), (1, None, "listpackex"));
    }

    #[test]
    fn setting_clears_the_expiry_and_counting_keeps_it() {
        let mut hash = Hash::new();
        set(&mut hash, "a", "1");
        hash.set_expiry(b"a", Some(100));
        hash.set(b"a", b"2", Expiry::Keep, &LIMITS);
        assert_eq!(hash.get(b"a", 0).and_then(|entry| entry.expiry), Some(100));
        hash.set(b"a", b"3", Expiry::Clear, &LIMITS);
        assert_eq!(hash.get(b"a", 0).and_then(|entry| entry.expiry), None);
        assert_eq!(hash.next_due(), None);
    }

    #[test]
    fn random_changes_agree_with_a_map() {
        for (seed, limits) in [(71, LIMITS), (72, Limits { entries_max: 5000, value_max: 10_000 })] {
            agree(seed, &limits);
        }
    }

    fn agree(seed: u64, limits: &Limits) {
        let mut random = Random::new(seed);
        let mut hash = Hash::new();
        let mut twin: HashMap<Vec<u8>, (Vec<u8>, Option<u64>)> = HashMap::new();
        let mut now = 0;
        for step in 0..10_000 {
            let context = format!("seed {seed}, step {step}");
            let mut field = text(&mut random);
            field.truncate(20 + random.below(200));
            match random.below(10) {
                0..5 => {
                    let (value, keep) = (text(&mut random), random.below(2) == 0);
                    let expiry = twin.get(&field).and_then(|old| old.1).filter(|_| keep);
                    let is_new = twin.insert(field.clone(), (value.clone(), expiry)).is_none();
                    let keep = if keep { Expiry::Keep } else { Expiry::Clear };
                    assert_eq!(hash.set(&field, &value, keep, limits), is_new, "{context}");
                }
                5 => assert_eq!(hash.remove(&field), twin.remove(&field).is_some(), "{context}"),
                6..9 => {
                    let expiry = (random.below(4) > 0).then(|| now + 1 + random.below(2000) as u64);
                    let found = twin.get_mut(&field).map(|entry| entry.1 = expiry).is_some();
                    assert_eq!(hash.set_expiry(&field, expiry), found, "{context}");
                }
                _ => {
                    now += random.below(100) as u64;
                    take_due(&mut hash, &mut twin, now, 1 + random.below(20), &context);
                }
            }
            let seen = hash.get(&field, 0).map(|entry| (entry.value.to_vec(), entry.expiry));
            assert_eq!(seen.as_ref(), twin.get(&field), "{context}");
            assert_eq!(hash.len(), twin.len(), "{context}");
            assert_eq!(hash.next_due(), twin.values().filter_map(|entry| entry.1).min(), "{context}");
            let at = now + random.below(500) as u64;
            if step % 100 == 0 {
                assert!(hash.clone().bytes() <= hash.bytes(), "{context}");
                assert_eq!(
                    hash.len_at(at),
                    twin.values().filter(|(_, when)| when.is_none_or(|when| when > at)).count()
                );
                assert_eq!(hash.iter(at).count(), hash.len_at(at), "{context}");
            }
        }
    }

    /// Takes what is due from both, and compares: the names, and that earlier ones go first.
    fn take_due(
        hash: &mut Hash,
        twin: &mut HashMap<Vec<u8>, (Vec<u8>, Option<u64>)>,
        now: u64,
        max: usize,
        context: &str,
    ) {
        let (mut count, mut before) = (0, 0);
        let returned = hash.take_due(now, max, |field| {
            let when = twin.remove(&field.to_vec()).and_then(|(_, when)| when).expect("it was to expire");
            assert!(before <= when && when <= now, "{context}");
            before = when;
            count += 1;
        });
        assert_eq!((returned, count <= max), (count, true), "{context}");
        let is_left = twin.values().any(|(_, when)| when.is_some_and(|when| when <= now));
        assert!(!is_left || count == max, "{context}");
    }

    #[test]
    fn draws_pass_over_what_has_expired() {
        let seed = 73;
        let mut random = Random::new(seed);
        for (fields, limits) in [(20, LIMITS), (20, Limits { entries_max: 0, value_max: 0 })] {
            let mut hash = Hash::new();
            for number in 0..fields {
                hash.set(format!("f{number}").as_bytes(), b"v", Expiry::Clear, &limits);
            }
            let mut drawn = BTreeMap::new();
            hash.draw(10_000, 0, &mut || random.next(), |entry| *drawn.entry(entry.field.to_vec()).or_insert(0) += 1);
            assert!(drawn.len() == fields && drawn.values().all(|times| (380..620).contains(times)), "seed {seed}");
            for number in 5..fields {
                hash.set_expiry(format!("f{number}").as_bytes(), Some(10));
            }
            let mut sample = BTreeSet::new();
            hash.sample(7, 10, &mut || random.next(), |entry| assert!(sample.insert(entry.field.to_vec())));
            assert_eq!(sample.len(), 5);
            let mut count = 0;
            hash.draw(30, 10, &mut || random.next(), |entry| {
                assert!(sample.contains(&entry.field.to_vec()));
                count += 1;
            });
            assert_eq!(count, 30);
        }
        Hash::new().draw(3, 0, &mut || random.next(), |_| unreachable!("nothing can be drawn"));
    }

    #[test]
    fn a_scan_tells_each_field_and_ends() {
        for count in [100, 1000] {
            let mut hash = Hash::new();
            (0..count).for_each(|number| assert!(set(&mut hash, &format!("f{number}"), "v")));
            let mut seen = BTreeSet::new();
            let mut cursor = 0;
            loop {
                cursor = hash.scan(cursor, 10, 0, |entry| {
                    seen.insert(entry.field.to_vec());
                });
                if cursor == 0 {
                    break;
                }
            }
            assert_eq!(seen.len(), count);
        }
    }
}
