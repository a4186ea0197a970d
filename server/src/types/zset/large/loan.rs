//! What has left a large set while copies that share its members are read: it is freed after them.
//!
//! A share has the tree's nodes, but the elements they point to are the set's. So while there is a share, the set gives
//! elements that it takes out to what the two have in common, and its table too if it goes itself. The last share frees
//! it all, on its own thread.

use super::element::Element;
use super::table::Table;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Elements that are put away in one block.
const BLOCK: usize = 1024;

/// The set's end.
#[derive(Default)]
pub(super) struct Lender(Option<Arc<Mutex<Lent>>>);

/// A share's end: what was in the set when it was made is not freed before it goes.
pub(super) struct Loan(Arc<Mutex<Lent>>);

#[derive(Default)]
struct Lent {
    loans: usize,
    gone: Gone,
}

/// Blocks of elements, as one list would have to be copied when it grows.
#[derive(Default)]
struct Gone {
    elements: Vec<Vec<Element>>,
    table: Option<Table>,
}

impl Lender {
    /// What was in the set when the last of its shares was made, and perhaps more, is not freed while there is one.
    pub(super) fn lend(&mut self) -> Loan {
        let lent = self.0.get_or_insert_default();
        lock(lent).loans += 1;
        Loan(lent.clone())
    }

    /// Frees an element that the set has taken out, now or after the last share.
    #[inline]
    pub(super) fn free(&mut self, element: Element) {
        match &self.0 {
            None => drop(element),
            Some(_) => self.free_later(element),
        }
    }

    #[cold]
    fn free_later(&mut self, element: Element) {
        let Some(mut lent) = self.0.as_ref().map(lock) else { return };
        if lent.loans == 0 {
            drop(lent);
            self.0 = None;
            return;
        }
        let blocks = &mut lent.gone.elements;
        match blocks.last_mut() {
            Some(block) if block.len() < BLOCK => block.push(element),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(element);
                blocks.push(block);
            }
        }
    }

    /// Leaves the table of a set that goes to the shares, if there are any.
    pub(super) fn leave(&mut self, table: &mut Table) {
        let Some(mut lent) = self.0.as_ref().map(lock) else { return };
        if lent.loans > 0 {
            lent.gone.table = Some(std::mem::replace(table, Table::new()));
        }
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut lent = lock(&self.0);
        lent.loans -= 1;
        if lent.loans == 0 {
            let gone = std::mem::take(&mut lent.gone);
            // The set need not wait for that.
            drop(lent);
            drop(gone);
        }
    }
}

fn lock(lent: &Arc<Mutex<Lent>>) -> MutexGuard<'_, Lent> {
    lent.lock().unwrap_or_else(PoisonError::into_inner)
}
