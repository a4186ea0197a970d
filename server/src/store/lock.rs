//! The locks of the stripes, and a set of them held together.
//!
//! A command locks the stripes of its keys in ascending order, whatever the order of its keys, so that no two commands
//! can wait for each other.

use super::hash::STRIPES;
use super::stripe::Stripe;
use parking_lot::RawMutex;
use parking_lot::lock_api::RawMutex as _;
use std::cell::UnsafeCell;
use std::sync::atomic::AtomicU64;

/// A stripe behind its lock, alone on its cache lines.
#[repr(align(128))]
pub struct Cell {
    lock: RawMutex,
    /// The offset of the stream behind the last write to the stripe. It is written while the lock is held, and read by anybody.
    pub noted: AtomicU64,
    stripe: UnsafeCell<Stripe>,
}

// SAFETY: the stripe is only reached while the lock is held, and a stripe may change threads.
unsafe impl Sync for Cell {}

impl Cell {
    pub fn new(stripe: Stripe) -> Cell {
        Cell { lock: RawMutex::INIT, noted: AtomicU64::new(0), stripe: UnsafeCell::new(stripe) }
    }
}

/// Numbers of stripes, as a set.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Numbers([u64; STRIPES / 64]);

impl Numbers {
    pub fn add(&mut self, number: usize) {
        self.0[number / 64] |= 1 << (number % 64);
    }

    /// Every stripe.
    pub fn all() -> Numbers {
        Numbers([u64::MAX; STRIPES / 64])
    }

    pub fn contains(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 == 1
    }

    /// The members, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + use<> {
        self.0.into_iter().enumerate().flat_map(|(word, bits)| {
            std::iter::successors(Some(bits), |bits| (*bits != 0).then(|| bits & (bits - 1)))
                .take_while(|bits| *bits != 0)
                .map(move |bits| word * 64 + bits.trailing_zeros() as usize)
        })
    }
}

/// Stripes that are locked for as long as this lives.
pub struct Held<'a> {
    cells: &'a [Cell],
    held: Numbers,
    /// The stripe when there is just one, which spares the set its walk.
    only: usize,
    /// Whether another holds the locks and has only lent them.
    is_lent: bool,
}

const SEVERAL: usize = usize::MAX;

impl<'a> Held<'a> {
    /// Waits for one stripe.
    #[inline]
    pub fn one(cells: &'a [Cell], number: usize) -> Held<'a> {
        cells[number].lock.lock();
        Held { cells, held: Numbers::default(), only: number, is_lent: false }
    }

    /// Takes one stripe if nobody holds it.
    pub fn try_one(cells: &'a [Cell], number: usize) -> Option<Held<'a>> {
        cells[number].lock.try_lock().then(|| Held { cells, held: Numbers::default(), only: number, is_lent: false })
    }

    /// Waits for several stripes, in ascending order.
    pub fn several(cells: &'a [Cell], numbers: Numbers) -> Held<'a> {
        for number in numbers.iter() {
            cells[number].lock.lock();
        }
        Held { cells, held: numbers, only: SEVERAL, is_lent: false }
    }

    /// The same stripes, for as long as this does not need them.
    pub fn lend(&mut self) -> Held<'_> {
        Held { is_lent: true, ..*self }
    }

    /// Whether a stripe is among the held ones.
    pub fn holds(&self, number: usize) -> bool {
        number == self.only || self.held.contains(number)
    }

    /// The stripes that are held.
    pub fn numbers(&self) -> impl Iterator<Item = usize> + use<> {
        let only = (self.only != SEVERAL).then_some(self.only);
        only.into_iter().chain(self.held.iter())
    }

    /// A stripe that is held, to be looked at.
    ///
    /// # Panics
    ///
    /// As [`Held::stripe`].
    pub fn look(&self, number: usize) -> &Stripe {
        assert!(self.holds(number), "a command reached for a key that its row does not name");
        // SAFETY: the lock is held, and `&self` keeps `stripe` from lending it out to be changed.
        unsafe { &*self.cells[number].stripe.get() }
    }

    /// A stripe that is held.
    ///
    /// # Panics
    ///
    /// If it is not: a command touched a key that its row does not declare.
    #[inline]
    pub fn stripe(&mut self, number: usize) -> &mut Stripe {
        assert!(self.holds(number), "a command reached for a key that its row does not name");
        // SAFETY: the lock is held, and `&mut self` makes this the one reference.
        unsafe { &mut *self.cells[number].stripe.get() }
    }
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.is_lent {
            return;
        }
        if self.only != SEVERAL {
            // SAFETY: the constructor took this lock.
            return unsafe { self.cells[self.only].lock.unlock() };
        }
        for number in self.held.iter() {
            // SAFETY: the constructor took these locks.
            unsafe { self.cells[number].lock.unlock() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_ascending_order() {
        let mut numbers = Numbers::default();
        for number in [255, 3, 64, 63, 0, 3] {
            numbers.add(number);
        }
        assert_eq!(numbers.iter().collect::<Vec<_>>(), [0, 3, 63, 64, 255]);
        assert!(numbers.contains(64) && !numbers.contains(65));
    }
}
