//! Going over the entries of a stream, in both directions and from any id.

use super::id::Id;
use super::log::Log;
use super::node::{Entry, Node, Raw, Scan};
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

/// Entries from the last to the first.
///
/// A node is read forwards, so the entries of one are noted before they are given out. That costs about as much as
/// finding the last entry of a node does.
#[derive(Clone)]
pub struct RangeBack<'a> {
    log: &'a Log,
    start: Id,
    end: Id,
    noted: Vec<Raw>,
    node: Option<&'a Node>,
    /// The node before the one whose entries are noted.
    next: Option<Place>,
}

impl<'a> RangeBack<'a> {
    pub(super) fn new(log: &'a Log, start: Id, end: Id) -> Self {
        let next = if start <= end { log.nodes.at_or_before(end) } else { None };
        Self { log, start, end, noted: Vec::new(), node: None, next }
    }

    fn note_next(&mut self) -> Option<()> {
        let place = self.next?;
        let (master, node) = self.log.nodes.at(place);
        if node.last() < self.start {
            return None;
        }
        self.next = self.log.nodes.before(place);
        self.node = Some(node);
        let inside = node.scan(master).take_while(|raw| raw.id <= self.end);
        self.noted.extend(inside.filter(|raw| raw.id >= self.start && !raw.is_deleted));
        Some(())
    }
}

impl<'a> Iterator for RangeBack<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        while self.noted.is_empty() {
            self.note_next()?;
        }
        Some(self.node?.entry(self.noted.pop()?))
    }
}
