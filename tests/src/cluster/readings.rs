//! What readers saw while a writer wrote: whether that is what one list would have shown them.

use super::guide::{Attempt, Guide};
use super::history::{Append, History, list, texts};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// What one reader saw of one key.
#[derive(Clone, Debug)]
pub struct Reading {
    begin: Instant,
    end: Instant,
    list: Vec<String>,
}

/// What readers saw, by key.
pub type Readings = BTreeMap<String, Vec<Reading>>;

/// Reads a key where it is served, and notes what was seen if there is an answer.
pub fn read(guide: &mut Guide, key: &str, readings: &mut Readings) {
    let begin = Instant::now();
    if let Attempt::Answered(reply) = guide.attempt(&["LRANGE", key, "0", "-1"]) {
        let reading = Reading { begin, end: Instant::now(), list: texts(&reply) };
        readings.entry(key.to_owned()).or_default().push(reading);
    }
}

/// How writes were to be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// By the primary alone: what it has not passed on may be lost with it.
    Async,
    /// By all who may lead: nothing may be lost.
    Quorum,
}

/// What came of writes and reads.
#[derive(Clone, Copy, Default, Debug)]
pub struct Sum {
    pub acknowledged: usize,
    pub unknown: usize,
    pub refused: usize,
    /// Elements that were acknowledged and are gone.
    pub lost: usize,
    pub reads: usize,
    /// Reads that were answered with an element whose write was not acknowledged, then or later: it lasts all the same.
    pub reads_of_unknown: usize,
}

impl Sum {
    pub fn add(&mut self, other: Sum) {
        self.acknowledged += other.acknowledged;
        self.unknown += other.unknown;
        self.refused += other.refused;
        self.lost += other.lost;
        self.reads += other.reads;
        self.reads_of_unknown += other.reads_of_unknown;
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { acknowledged, unknown, refused, lost, reads, reads_of_unknown } = self;
        write!(f, "{acknowledged} acknowledged, {unknown} unknown, {refused} refused, {lost} lost; ")?;
        write!(f, "{reads} reads, {reads_of_unknown} of what was never acknowledged")
    }
}

/// Compares what is there, and what was read meanwhile, with what was told.
///
/// # Panics
///
/// If an element is there twice, in another order, or though it was refused; and where a quorum was promised, if what was told of a
/// key is not linearizable. One list that grows shows each read a beginning of what is there in the end. It is longer than none that
/// a later read saw, holds all that was acknowledged before the read began, and nothing that was written after it had ended. That
/// is all that an order of writes and reads takes: by what they saw, and by time where they saw the same.
#[track_caller]
pub fn check_readings(guide: &mut Guide, promise: Promise, histories: &[History], readings: &Readings) -> Sum {
    let mut sum = Sum::default();
    for history in histories {
        let list = list(guide, &history.key);
        let readings = readings.get(&history.key).map_or(&[][..], |readings| readings);
        match look(history, promise, &list, readings) {
            Ok(one) => sum.add(one),
            Err(fault) => panic!("{}: {fault}.\nThere are: {}\n{}", history.key, list.join(" "), history.told()),
        }
    }
    sum
}

/// What came of one key, or what is wrong with it.
fn look(history: &History, promise: Promise, list: &[String], readings: &[Reading]) -> Result<Sum, String> {
    let [acknowledged, unknown, refused] = history.counts();
    let lost = history.lost(list).len();
    let mut sum = Sum { acknowledged, unknown, refused, lost, reads: readings.len(), ..Sum::default() };
    if let Some(fault) = history.disorder(list) {
        return Err(fault);
    }
    if promise == Promise::Async {
        return Ok(sum);
    }
    let there: BTreeSet<&String> = list.iter().collect();
    let is_gone = |append: &&Append| append.acknowledged.is_some() && !there.contains(&append.element);
    if let Some(gone) = history.appended().iter().find(is_gone) {
        return Err(format!("element {} was acknowledged and is gone", gone.element));
    }
    let unacknowledged = history.appended().iter().filter(|append| append.acknowledged.is_none());
    let unacknowledged: BTreeSet<&String> = unacknowledged.map(|append| &append.element).collect();
    let begins: BTreeMap<&String, Instant> =
        history.appended().iter().map(|append| (&append.element, append.begin)).collect();
    // Each reading, and how much of the final list it saw.
    let mut seen: Vec<(&Reading, usize)> = Vec::new();
    for reading in readings {
        if let Some(element) = reading.list.iter().find(|element| !there.contains(element)) {
            return Err(format!("a read saw element {element}, which is gone"));
        }
        if !list.starts_with(&reading.list) {
            return Err(format!("a read saw another order: {}", reading.list.join(" ")));
        }
        if let Some(element) = reading.list.iter().find(|element| begins[element] > reading.end) {
            return Err(format!("a read saw element {element} before it was written"));
        }
        sum.reads_of_unknown += usize::from(reading.list.iter().any(|element| unacknowledged.contains(element)));
        seen.push((reading, reading.list.len()));
    }
    seen.sort_by_key(|(reading, _)| reading.begin);
    not_stale(history, list, &seen)?;
    never_back(&seen)?;
    Ok(sum)
}

/// Expects each reading to have seen what was acknowledged before it began.
fn not_stale(history: &History, list: &[String], seen: &[(&Reading, usize)]) -> Result<(), String> {
    let places: BTreeMap<&String, usize> = list.iter().enumerate().map(|(at, element)| (element, at)).collect();
    let mut acknowledged =
        history.appended().iter().filter_map(|append| Some((append.acknowledged?, append))).peekable();
    let mut least = 0;
    for (reading, count) in seen {
        while let Some((when, append)) = acknowledged.next_if(|(when, _)| *when < reading.begin) {
            let needed = places[&append.element] + 1;
            least = least.max(needed);
            if *count < least {
                let late = reading.begin - when;
                return Err(format!(
                    "a read that began {late:?} after element {} was acknowledged, and took {:?}, saw {count} elements: {}",
                    append.element,
                    reading.end - reading.begin,
                    reading.list.join(" ")
                ));
            }
        }
        if *count < least {
            return Err(format!("a read saw {count} elements after {least} had been acknowledged"));
        }
    }
    Ok(())
}

/// Expects each reading to have seen what others saw that had ended before it began.
fn never_back(seen: &[(&Reading, usize)]) -> Result<(), String> {
    let mut ended = seen.to_vec();
    ended.sort_by_key(|(reading, _)| reading.end);
    let mut ended = ended.into_iter().peekable();
    let mut most = 0;
    for (reading, count) in seen {
        while let Some((_, before)) = ended.next_if(|(other, _)| other.end < reading.begin) {
            most = most.max(before);
        }
        if *count < most {
            return Err(format!("a read saw {count} elements after one had seen {most}: {}", reading.list.join(" ")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::history::made_up;
    use super::*;
    use std::time::Duration;

    /// How many reads with these beginnings and ends, in milliseconds, saw what was not acknowledged, or what is wrong with them. Two
    /// of the writes were not acknowledged, and one of these is gone.
    fn looked(reads: &[(u64, u64, &[&str])]) -> Result<usize, String> {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let history =
            made_up(start, &[("0", 10, true), ("1", 20, false), ("2", 30, true), ("3", 40, true), ("4", 50, false)]);
        let strings = |list: &[&str]| list.iter().map(|element| element.to_string()).collect::<Vec<_>>();
        let reading =
            |&(begin, end, list): &(u64, u64, &[&str])| Reading { begin: at(begin), end: at(end), list: strings(list) };
        let readings: Vec<_> = reads.iter().map(reading).collect();
        look(&history, Promise::Quorum, &strings(&["0", "2", "3", "4"]), &readings).map(|sum| sum.reads_of_unknown)
    }

    #[test]
    fn reads_see_what_one_list_would_show() {
        assert_eq!(looked(&[(0, 50, &[]), (0, 50, &["0", "2", "3"]), (12, 13, &["0"]), (32, 33, &["0", "2"])]), Ok(0));
        assert_eq!(looked(&[(12, 50, &["0"]), (30, 31, &["0", "2"])]), Ok(0));
        // Not acknowledged, seen by one of two at the same time, and there.
        assert_eq!(looked(&[(52, 55, &["0", "2", "3", "4"]), (54, 56, &["0", "2", "3"])]), Ok(1));
    }

    #[test]
    fn what_no_list_would_show_is_found() {
        for (reads, words) in [
            (&[(12, 13, &[][..])][..], "saw 0 elements"),
            (&[(42, 43, &["0", "2"][..])], "saw 2 elements"),
            (&[(15, 29, &["0", "2"][..])], "before it was written"),
            (&[(41, 50, &["2", "0"][..])], "another order"),
            (&[(41, 50, &["0", "3"][..])], "another order"),
            (&[(41, 50, &["0", "2", "3", "9"][..])], "element 9, which is gone"),
            (&[(22, 23, &["0", "1"][..])], "element 1, which is gone"),
            (&[(52, 53, &["0", "2", "3", "4"][..]), (54, 55, &["0", "2", "3"][..])], "after one had seen 4"),
        ] {
            let told = looked(reads);
            assert!(told.as_ref().is_err_and(|told| told.contains(words)), "{reads:?}: {told:?}");
        }
    }
}
