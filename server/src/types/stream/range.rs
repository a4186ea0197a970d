//! Going over the entries of a stream, in both directions and from any id.

use std::collections::VecDeque;

use super::id::Id;
use super::log::Log;
use super::node::{Entry, Mark, Node, Scan};
use super::ordered::Place;

/// Entries in order.
#[derive(Clone)]
pub struct Range<'a> {
    log: &'a Log,
    start: Id,
    end: Id,
    scan: Option<Scan<'a>>,
    /// The node after the one being scanned.
    next: Option<Place>,
}

impl<'a> Range<'a> {
    pub(super) fn new(log: &'a Log, start: Id, end: Id) -> Self {
        let next = match start <= end {
            true => log.nodes.at_or_before(start).or_else(|| log.nodes.first()),
            false => None,
        };
        Self { log, start, end, scan: None, next }
    }

    fn open_next(&mut self) -> Option<Scan<'a>> {
        let place = self.next?;
        let (master, node) = self.log.nodes.at(place);
        self.next = self.log.nodes.after(place);
        (master <= self.end).then(|| node.scan(master))
    }
}

impl<'a> Iterator for Range<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            if self.scan.is_none() {
                self.scan = Some(self.open_next()?);
            }
            let scan = self.scan.as_mut()?;
            match scan.find(|raw| raw.id > self.end || (raw.id >= self.start && !raw.is_deleted)) {
                Some(raw) if raw.id > self.end => {
                    self.next = None;
                    self.scan = None;
                }
                Some(raw) => return Some(scan.node().entry(raw)),
                None => self.scan = None,
            }
        }
    }
}

/// The most places noted at a time.
const NOTED_MAX: usize = 4096;

/// Entries from the last to the first.
///
/// A node is read forwards, so the places of its entries are noted before they are given out, at six nanoseconds for
/// each; the very last is found without. A length behind each entry, to step back by, would cost every entry a byte.
/// Of a node without bounds the last 4096 places are noted, and then the ones before.
#[derive(Clone)]
pub struct RangeBack<'a> {
    log: &'a Log,
    start: Id,
    end: Id,
    noted: VecDeque<Mark>,
    node: Option<&'a Node>,
    /// The node before the one whose entries are noted.
    next: Option<Place>,
}

impl<'a> RangeBack<'a> {
    pub(super) fn new(log: &'a Log, start: Id, end: Id) -> Self {
        let next = if start <= end { log.nodes.at_or_before(end) } else { None };
        Self { log, start, end, noted: VecDeque::new(), node: None, next }
    }

    /// Goes on to the entries before those given out: gives the last of a node, or notes the places of the others.
    /// `None` ends the range.
    fn open_next(&mut self) -> Option<Option<Entry<'a>>> {
        let place = self.next?;
        let (master, node) = self.log.nodes.at(place);
        if node.last() < self.start {
            return None;
        }
        self.node = Some(node);
        if node.last() <= self.end
            && let Some(entry) = node.last_entry()
        {
            // The same node again, without this entry.
            self.next = entry.id.previous().map(|end| {
                self.end = end;
                place
            });
            return Some(Some(entry));
        }
        self.next = self.log.nodes.before(place);
        if self.note(node.scan(master)) {
            self.next = Some(place);
        }
        Some(None)
    }

    /// Notes the places of a node's entries within the range; true if there are more before them.
    fn note(&mut self, mut scan: Scan<'a>) -> bool {
        self.noted.reserve((scan.node().live() as usize).min(NOTED_MAX));
        let mut mark = scan.mark();
        let mut is_forgotten = false;
        while let Some(raw) = scan.next()
            && raw.id <= self.end
        {
            if raw.id >= self.start && !raw.is_deleted {
                is_forgotten |= self.noted.len() == NOTED_MAX && self.noted.pop_front().is_some();
                self.noted.push_back(mark);
            }
            mark = scan.mark();
        }
        if is_forgotten && let Some(oldest) = self.noted.front() {
            self.end = oldest.id_before();
        }
        is_forgotten
    }
}

impl<'a> Iterator for RangeBack<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            if let Some(mark) = self.noted.pop_back() {
                let node = self.node?;
                return node.scan_from(mark).next().map(|raw| node.entry(raw));
            }
            if let Some(entry) = self.open_next()? {
                return Some(entry);
            }
        }
    }
}
