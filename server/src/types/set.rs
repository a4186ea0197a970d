//! A set: a sorted array while all members are integers and few, a run of bytes while they are few and short, else a
//! table. It goes from one form to the next when it must, as Redis 7.2 does, and back only when the owner asks.

use super::dict::{At, Dict};
use super::draw;
use super::intset::IntSet;
use super::item::{Element, Item, Widths};
use super::packed::Packed;

/// Up to where a set stays in its small forms.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Members of an array of integers: `set-max-intset-entries`.
    pub ints_max: usize,
    /// Members of a run: `set-max-listpack-entries`.
    pub entries_max: usize,
    /// Bytes of a member of a run: `set-max-listpack-value`.
    pub value_max: usize,
}

/// The members of an array of integers at most, whatever the limits say, as in Redis.
const INTS_MAX: usize = 1 << 30;

/// The bytes of a run beyond which it becomes a table, whatever the limits say. As Redis's listpack.
const RUN_BYTES_MAX: usize = 1 << 30;

/// A set. See the head of this file.
#[derive(Clone, Debug)]
pub struct Set(Form);

#[derive(Clone, Debug)]
enum Form {
    Ints(IntSet),
    /// In the order in which they came.
    Run(Packed),
    /// In no order.
    Table(Box<Dict<false>>),
}

const _: () = assert!(size_of::<Set>() == 24);

impl Default for Set {
    fn default() -> Self {
        Set(Form::Ints(IntSet::new()))
    }
}

impl Set {
    /// An empty set for integers, which becomes what it must when something else comes.
    pub fn new() -> Set {
        Set::default()
    }

    /// An empty set in the form that Redis chooses for one which gets `first` and `expected` members in all.
    pub fn expecting(first: &[u8], expected: usize, limits: &Limits) -> Set {
        if expected <= limits.ints_max.min(INTS_MAX) && matches!(Element::of(first), Element::Int(_)) {
            Set::new()
        } else if expected <= limits.entries_max {
            Set(Form::Run(Packed::new()))
        } else {
            Set(Form::Table(Box::default()))
        }
    }

    /// The set as it is now, to be gone through and not to be looked into: cheap, however large it is.
    pub fn share(&self) -> Set {
        Set(match &self.0 {
            Form::Table(table) => Form::Table(Box::new(table.share())),
            small => small.clone(),
        })
    }

    /// Becomes a table if `more` members than a small form may have are about to come, as Redis does at `SADD`.
    pub fn expect(&mut self, more: usize, limits: &Limits) {
        let is_too_many = match &self.0 {
            Form::Ints(_) => more > limits.ints_max.min(INTS_MAX),
            Form::Run(_) => more > limits.entries_max,
            Form::Table(_) => false,
        };
        if is_too_many {
            self.make_table();
        }
    }

    /// How many members there are.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Ints(ints) => ints.len(),
            Form::Run(run) => run.len(),
            Form::Table(table) => table.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Heap bytes, as asked of the allocator.
    pub fn bytes(&self) -> usize {
        match &self.0 {
            Form::Ints(ints) => ints.bytes(),
            Form::Run(run) => run.bytes(),
            Form::Table(table) => size_of::<Dict<false>>() + table.bytes(),
        }
    }

    /// Where the first bytes below lie that a command reads, for a prefetch.
    #[inline]
    pub fn lead(&self) -> *const u8 {
        match &self.0 {
            Form::Ints(ints) => ints.lead(),
            Form::Run(run) => run.lead(),
            Form::Table(table) => (&raw const **table).cast(),
        }
    }

    /// What `OBJECT ENCODING` says.
    pub fn encoding(&self) -> &'static str {
        match &self.0 {
            Form::Ints(_) => "intset",
            Form::Run(_) => "listpack",
            Form::Table(_) => "hashtable",
        }
    }

    /// Whether a text is a member.
    #[inline]
    pub fn contains(&self, member: &[u8]) -> bool {
        self.has(Element::of(member))
    }

    /// Whether an element is a member.
    #[inline]
    pub fn has(&self, member: Element<'_>) -> bool {
        match (&self.0, member) {
            (Form::Ints(ints), Element::Int(value)) => ints.contains(value),
            (Form::Ints(_), Element::Text(_)) => false,
            (Form::Run(run), _) => run.find(&Item::new(member, Widths::All), 1).is_some(),
            (Form::Table(table), _) => table.contains(member),
        }
    }

    /// Adds a text, and says whether it is new.
    #[inline]
    pub fn add(&mut self, member: &[u8], limits: &Limits) -> bool {
        self.put(Element::of(member), limits)
    }

    /// Adds an element, and says whether it is new.
    pub fn put(&mut self, member: Element<'_>, limits: &Limits) -> bool {
        match (&mut self.0, member) {
            (Form::Ints(ints), Element::Int(value)) => {
                let is_new = ints.insert(value);
                if ints.len() > limits.ints_max.min(INTS_MAX) {
                    self.make_table();
                }
                is_new
            }
            (Form::Ints(_), Element::Text(_)) => {
                self.leave_ints(member.len(), limits);
                self.put(member, limits)
            }
            (Form::Run(run), _) => {
                let item = Item::new(member, Widths::All);
                if run.find(&item, 1).is_some() {
                    return false;
                }
                if is_run_fit(run.len(), run.bytes(), member.len(), limits) {
                    run.push(&item);
                    return true;
                }
                self.make_table();
                self.put(member, limits)
            }
            (Form::Table(table), _) => table.add(member),
        }
    }

    /// Makes the array of integers something that can take a text of so many bytes.
    fn leave_ints(&mut self, text_len: usize, limits: &Limits) {
        let Form::Ints(ints) = &self.0 else { return };
        let longest = match ints.len() {
            0 => 0,
            len => Element::Int(ints.get(0)).len().max(Element::Int(ints.get(len - 1)).len()),
        };
        if longest <= limits.value_max && is_run_fit(ints.len(), 0, text_len, limits) {
            self.0 = Form::Run(Packed::collect(ints.iter().map(Element::Int)));
        } else {
            self.make_table();
        }
    }

    fn make_table(&mut self) {
        let mut table = Dict::new();
        match &self.0 {
            Form::Table(_) => return,
            Form::Ints(ints) => ints.iter().for_each(|value| _ = table.add(Element::Int(value))),
            Form::Run(run) => run.iter().for_each(|member| _ = table.add(member)),
        }
        self.0 = Form::Table(Box::new(table));
    }

    /// Becomes an array of integers, if all members are integers and few enough: what Redis does with a computed set
    /// before it is stored.
    pub fn settle(&mut self, limits: &Limits) {
        if self.len() > limits.ints_max.min(INTS_MAX) || matches!(self.0, Form::Ints(_)) {
            return;
        }
        let ints: Option<Vec<i64>> = self.iter().map(int_of).collect();
        if let Some(mut ints) = ints {
            ints.sort_unstable();
            self.0 = Form::Ints(IntSet::from_sorted(&ints));
        }
    }

    /// Takes a text out, and says whether it was a member.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        self.take(Element::of(member))
    }

    /// Takes an element out, and says whether it was a member.
    pub fn take(&mut self, member: Element<'_>) -> bool {
        let item = Item::new(member, Widths::All);
        match (&mut self.0, member) {
            (Form::Ints(ints), Element::Int(value)) => ints.remove(value),
            (Form::Ints(_), Element::Text(_)) => false,
            (Form::Run(run), _) => run.find(&item, 1).map(|at| run.remove(at, 1)).is_some(),
            (Form::Table(table), _) => table.find(item).map(|at| table.remove(at)).is_ok(),
        }
    }

    /// Takes out `count` members drawn by lot, or all if there are fewer, and tells them.
    pub fn pop(&mut self, count: usize, random: &mut impl FnMut() -> u64, mut popped: impl FnMut(Element<'_>)) {
        for _ in 0..count.min(self.len()) {
            match &mut self.0 {
                Form::Ints(ints) => {
                    let number = draw::below(random, ints.len());
                    popped(Element::Int(ints.get(number)));
                    ints.remove_number(number);
                }
                Form::Run(run) => {
                    let at = run.offset_of(draw::below(random, run.len()));
                    popped(run.at(at));
                    run.remove(at, 1);
                }
                Form::Table(table) => {
                    let Some(at) = table.random(random) else { return };
                    popped(table.key(at));
                    table.remove(at);
                }
            }
        }
    }

    /// Visits `count` different members drawn by lot, or all if there are fewer.
    pub fn sample(&self, count: usize, random: &mut impl FnMut() -> u64, mut visit: impl FnMut(Element<'_>)) {
        match &self.0 {
            Form::Table(table) => table.sample(count, random, |at| visit(table.key(at))),
            _ => draw::choose(self.iter(), self.len(), count, random, visit),
        }
    }

    /// Visits `count` members, each drawn by lot from all, so that one may come more than once. None if there are none.
    pub fn draw(&self, count: usize, random: &mut impl FnMut() -> u64, mut visit: impl FnMut(Element<'_>)) {
        let mut number = |len: usize| draw::below(random, len);
        match &self.0 {
            _ if self.is_empty() => {}
            Form::Ints(ints) => (0..count).for_each(|_| visit(Element::Int(ints.get(number(ints.len()))))),
            Form::Run(run) => {
                // One walk for all draws.
                let members: Vec<Element<'_>> = run.iter().collect();
                (0..count).for_each(|_| visit(members[number(members.len())]));
            }
            Form::Table(table) => {
                for at in (0..count).map_while(|_| table.random(random)) {
                    visit(table.key(at));
                }
            }
        }
    }

    /// All members, in an order that stays the same until the set is changed: ascending integers, or the order in which
    /// they came, while it is small.
    pub fn iter(&self) -> impl Iterator<Item = Element<'_>> {
        let (ints, run, table) = match &self.0 {
            Form::Ints(ints) => (Some(ints), None, None),
            Form::Run(run) => (None, Some(run), None),
            Form::Table(table) => (None, None, Some(table)),
        };
        ints.into_iter()
            .flat_map(|ints| ints.iter().map(Element::Int))
            .chain(run.into_iter().flat_map(|run| run.iter()))
            .chain(table.into_iter().flat_map(|table| table.places().map(|at| table.key(at))))
    }

    /// Visits members from a cursor on, `count` or a few more, and returns the cursor to go on from: 0 at the end.
    ///
    /// A walk starts at 0. It visits each member that is there from its start to its end at least once. A small set is
    /// visited in one call.
    pub fn scan(&self, cursor: u64, count: usize, mut visit: impl FnMut(Element<'_>)) -> u64 {
        match &self.0 {
            Form::Table(table) => table.scan_many(cursor, count, |at: At| visit(table.key(at))),
            _ => {
                self.iter().for_each(visit);
                0
            }
        }
    }
}

/// Whether a run with so many members and bytes may take one more of `len` bytes.
fn is_run_fit(members: usize, bytes: usize, len: usize, limits: &Limits) -> bool {
    members < limits.entries_max && len <= limits.value_max && bytes + len < RUN_BYTES_MAX
}

fn int_of(element: Element<'_>) -> Option<i64> {
    match element {
        Element::Int(value) => Some(value),
        Element::Text(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, text};
    use super::*;
    use std::cell::Cell;
    use std::collections::BTreeSet;

    const LIMITS: Limits = Limits { ints_max: 512, entries_max: 128, value_max: 64 };

    fn members(set: &Set) -> BTreeSet<Vec<u8>> {
        set.iter().map(Element::to_vec).collect()
    }

    fn of(texts: &[&str]) -> Set {
        let mut set = Set::new();
        texts.iter().for_each(|text| assert!(set.add(text.as_bytes(), &LIMITS)));
        set
    }

    #[test]
    fn the_form_follows_the_members() {
        let mut set = of(&["3", "1", "2"]);
        assert_eq!((set.encoding(), set.bytes()), ("intset", 7));
        assert!(set.iter().eq([1, 2, 3].map(Element::Int)));
        set.add(b"a", &LIMITS);
        assert_eq!((set.encoding(), set.bytes()), ("listpack", 5));
        set.add(&[b'x'; 65], &LIMITS);
        assert_eq!(set.encoding(), "hashtable");
        set.remove(&[b'x'; 65]);
        assert_eq!((set.encoding(), set.len()), ("hashtable", 4));
    }

    #[test]
    fn many_integers_become_a_table_and_never_a_run() {
        let mut set = Set::new();
        (0..512).for_each(|value| assert!(set.put(Element::Int(value), &LIMITS)));
        assert_eq!(set.encoding(), "intset");
        set.add(b"512", &LIMITS);
        assert_eq!((set.encoding(), set.len()), ("hashtable", 513));

        let mut set = Set::new();
        (0..128).for_each(|value| assert!(set.put(Element::Int(value), &LIMITS)));
        set.add(b"a", &LIMITS);
        assert_eq!(set.encoding(), "hashtable", "128 integers and a text are too many for a run");
    }

    #[test]
    fn long_integers_bar_the_run_too() {
        let limits = Limits { value_max: 3, ..LIMITS };
        let mut set = Set::new();
        set.add(b"-1000", &limits);
        set.add(b"a", &limits);
        assert_eq!(set.encoding(), "hashtable");
    }

    #[test]
    fn the_first_form_depends_on_what_is_expected() {
        assert_eq!(Set::expecting(b"1", 512, &LIMITS).encoding(), "intset");
        assert_eq!(Set::expecting(b"1", 513, &LIMITS).encoding(), "hashtable");
        assert_eq!(Set::expecting(b"a", 128, &LIMITS).encoding(), "listpack");
        assert_eq!(Set::expecting(b"a", 129, &LIMITS).encoding(), "hashtable");
        let mut set = of(&["1", "a"]);
        set.expect(128, &LIMITS);
        assert_eq!(set.encoding(), "listpack");
        set.expect(129, &LIMITS);
        assert_eq!((set.encoding(), set.len()), ("hashtable", 2));
    }

    #[test]
    fn a_set_of_integers_settles_as_an_array() {
        let mut set = of(&["a", "5", "-1"]);
        set.settle(&LIMITS);
        assert_eq!(set.encoding(), "listpack");
        set.remove(b"a");
        set.settle(&LIMITS);
        assert_eq!((set.encoding(), set.bytes()), ("intset", 5));
        assert!(set.iter().eq([-1, 5].map(Element::Int)));
    }

    #[test]
    fn random_changes_agree_with_a_tree() {
        for seed in 81..85 {
            let mut random = Random::new(seed);
            let limits = if seed % 2 == 0 { LIMITS } else { Limits { ints_max: 8, entries_max: 20, value_max: 200 } };
            let (mut set, mut twin) = (Set::new(), BTreeSet::new());
            for step in 0..5000 {
                let context = format!("seed {seed}, step {step}");
                // Integers alone come at first.
                let member = match text(&mut random) {
                    text if step > 500 || text.len() < 4 => text,
                    _ => random.below(1000).to_string().into_bytes(),
                };
                match random.below(if step / 1000 % 2 == 0 { 10 } else { 3 }) {
                    0 => assert_eq!(set.remove(&member), twin.remove(&member), "{context}"),
                    1 => set.pop(random.below(3), &mut || random.next(), |gone| {
                        assert!(twin.remove(&gone.to_vec()), "{context}");
                    }),
                    _ => assert_eq!(set.add(&member, &limits), twin.insert(member.clone()), "{context}"),
                }
                assert_eq!((set.contains(&member), set.len()), (twin.contains(&member), twin.len()), "{context}");
                if step % 100 == 0 {
                    assert_eq!(members(&set), twin, "{context}");
                    assert_eq!(members(&set.clone()), twin, "{context}");
                }
            }
        }
    }

    #[test]
    fn draws_and_samples_are_fair_in_every_form() {
        let seed = 91;
        let mut random = Random::new(seed);
        let ints: Vec<String> = (0..20).map(|value| value.to_string()).collect();
        let ints: Vec<&str> = ints.iter().map(String::as_str).collect();
        let mut table = of(&ints);
        table.make_table();
        let mut run = of(&["text"]);
        ints.iter().for_each(|text| assert!(run.add(text.as_bytes(), &LIMITS)));
        run.remove(b"text");
        for set in [of(&ints), run, table] {
            let drawn = [const { Cell::new(0u32) }; 20];
            let mut count = |element: Element<'_>| {
                let times = &drawn[int_of(element).expect("all are integers") as usize];
                times.set(times.get() + 1);
            };
            set.draw(10_000, &mut || random.next(), &mut count);
            for _ in 0..1000 {
                set.sample(5, &mut || random.next(), &mut count);
                set.clone().pop(5, &mut || random.next(), &mut count);
            }
            // 1000 are expected; the standard deviation is about 30.
            assert!(
                drawn.iter().all(|times| (850..1150).contains(&times.get())),
                "seed {seed}, {}: {drawn:?}",
                set.encoding()
            );
            set.sample(100, &mut || random.next(), &mut count);
            assert_eq!(drawn.iter().map(Cell::get).sum::<u32>(), 20_020);
        }
        Set::new().draw(3, &mut || random.next(), |_| unreachable!("nothing can be drawn"));
    }
}
