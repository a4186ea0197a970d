//! The fields of a hash as they lie in memory: few of them in one run, many in a table. What time it is is not asked.

use super::dict::{Absent, At, Dict};
use super::item::{Element, Item};
use super::packed::{self, Packed};

/// Fields and values. A run becomes a table when the owner says so, never the other way.
#[derive(Clone, Debug)]
pub enum Fields {
    /// Field, value, field, value, in the order in which they came.
    Run(Packed),
    /// In no order.
    Table(Box<Dict<true>>),
}

/// Where a field lies, until the fields are changed.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// The offset of the field.
    Run(usize),
    Table(At),
}

/// A field that is not there.
pub enum Missing<'a> {
    Run(Item<'a>),
    Table(Absent<'a>),
}

/// A field as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name.
    pub field: Element<'a>,
    /// What it holds.
    pub value: Element<'a>,
    /// When it expires, in milliseconds since 1970.
    pub expiry: Option<u64>,
}

impl Default for Fields {
    fn default() -> Self {
        Fields::Run(Packed::new())
    }
}

impl Fields {
    /// The same fields, to be gone through and not to be looked for: cheap, however many they are.
    pub fn share(&self) -> Fields {
        match self {
            Fields::Run(run) => Fields::Run(run.clone()),
            Fields::Table(table) => Fields::Table(Box::new(table.share())),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Fields::Run(run) => run.len() / 2,
            Fields::Table(table) => table.len(),
        }
    }

    /// Where the first bytes below lie that a command reads, for a prefetch.
    #[inline]
    pub fn lead(&self) -> *const u8 {
        match self {
            Fields::Run(run) => run.lead(),
            Fields::Table(table) => (&raw const **table).cast(),
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            Fields::Run(run) => run.bytes(),
            Fields::Table(table) => size_of::<Dict<true>>() + table.bytes(),
        }
    }

    /// Puts everything into a table, unless it is in one.
    pub fn make_table(&mut self) {
        if let Fields::Run(_) = self {
            let mut table = Dict::new();
            for entry in self.iter() {
                // All fields of a run differ.
                if let Err(absent) = table.find(Packed::<false>::item(entry.field)) {
                    table.insert(absent, Packed::<false>::item(entry.value), entry.expiry);
                }
            }
            *self = Fields::Table(Box::new(table));
        }
    }

    #[inline]
    pub fn find<'a>(&self, field: &'a [u8]) -> Result<Place, Missing<'a>> {
        let item = Item::of(field);
        match self {
            Fields::Run(run) => run.find(&item, 2).map(Place::Run).ok_or(Missing::Run(item)),
            Fields::Table(table) => table.find(item).map(Place::Table).map_err(Missing::Table),
        }
    }

    #[inline]
    pub fn entry(&self, place: Place) -> Entry<'_> {
        match (self, place) {
            (Fields::Run(run), Place::Run(at)) => {
                let value = run.next(at);
                Entry { field: run.at(at), value: run.at(value), expiry: run.stamp(value) }
            }
            (Fields::Table(table), Place::Table(at)) => {
                Entry { field: table.key(at), value: table.value(at), expiry: table.stamp(at) }
            }
            _ => misplaced(),
        }
    }

    pub fn insert(&mut self, missing: Missing<'_>, value: &[u8]) {
        match (self, missing) {
            (Fields::Run(run), Missing::Run(field)) => {
                run.push(&field);
                run.push(&Item::of(value));
            }
            (Fields::Table(table), Missing::Table(absent)) => table.insert(absent, Item::of(value), None),
            _ => misplaced(),
        }
    }

    pub fn replace(&mut self, place: Place, value: &[u8], keep_expiry: bool) {
        match (self, place) {
            (Fields::Run(run), Place::Run(at)) => run.replace(run.next(at), &Item::of(value), keep_expiry),
            (Fields::Table(table), Place::Table(at)) => table.replace_value(at, Item::of(value), keep_expiry),
            _ => misplaced(),
        }
    }

    pub fn set_expiry(&mut self, place: Place, expiry: Option<u64>) {
        match (self, place) {
            (Fields::Run(run), Place::Run(at)) => run.set_stamp(run.next(at), expiry),
            (Fields::Table(table), Place::Table(at)) => table.set_stamp(at, expiry),
            _ => misplaced(),
        }
    }

    pub fn remove(&mut self, place: Place) {
        match (self, place) {
            (Fields::Run(run), Place::Run(at)) => run.remove(at, 2),
            (Fields::Table(table), Place::Table(at)) => table.remove(at),
            _ => misplaced(),
        }
    }

    /// All fields, in an order that stays the same until they are changed.
    pub fn places(&self) -> impl Iterator<Item = Place> + '_ {
        let (run, table) = match self {
            Fields::Run(run) => (Some(offsets(run)), None),
            Fields::Table(table) => (None, Some(table.places())),
        };
        run.into_iter().flatten().map(Place::Run).chain(table.into_iter().flatten().map(Place::Table))
    }

    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.places().map(|place| self.entry(place))
    }
}

/// The offset of each field.
fn offsets(run: &Packed) -> impl Iterator<Item = usize> + '_ {
    let mut iter: packed::Iter<'_, false> = run.iter();
    std::iter::from_fn(move || {
        let at = iter.offset();
        iter.nth(1).map(|_| at)
    })
}

/// A place is asked of the fields that it was found in.
#[cold]
fn misplaced() -> ! {
    unreachable!("the place of a field was kept while the fields went from a run to a table")
}
