//! What somebody was told of writes, which what others read meanwhile, and what is there in the end, are compared with.
//!
//! Each write appends an element that is appended once and never again to the list of its key. So a list tells, for each of them,
//! whether it is there, how often, and in which order.

use super::guide::{Attempt, Guide};
use larder_client::resp::Reply;
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

/// After a refusal, so that a cluster that is down is not asked too often.
const PAUSE: Duration = Duration::from_millis(2);

/// What came of the writes to one key, which one writer makes, one after the other.
#[derive(Debug)]
pub struct History {
    pub key: String,
    /// In the order in which they were made. Those that were refused for sure have no place here.
    appended: Vec<Append>,
    refused: Vec<String>,
}

/// An element that may be there.
#[derive(Clone, Debug)]
pub(super) struct Append {
    pub(super) element: String,
    pub(super) begin: Instant,
    /// When it was known to be there, if it was: the write was acknowledged.
    pub(super) acknowledged: Option<Instant>,
}

impl History {
    pub fn new(key: String) -> Self {
        Self { key, appended: Vec::new(), refused: Vec::new() }
    }

    /// Appends one more element, and notes what came of it. Returns whether it was acknowledged.
    pub fn append(&mut self, guide: &mut Guide) -> bool {
        let element = format!("{}", self.appended.len() + self.refused.len());
        let begin = Instant::now();
        let attempt = guide.attempt(&["RPUSH", &self.key, &element]);
        let acknowledged = matches!(attempt, Attempt::Answered(_)).then(Instant::now);
        if let Attempt::Refused(_) = attempt {
            self.refused.push(element);
            thread::sleep(PAUSE);
        } else {
            self.appended.push(Append { element, begin, acknowledged });
        }
        acknowledged.is_some()
    }

    /// How many were acknowledged, of how many there is no knowing, and how many were refused.
    pub fn counts(&self) -> [usize; 3] {
        let acknowledged = self.appended.iter().filter(|append| append.acknowledged.is_some()).count();
        [acknowledged, self.appended.len() - acknowledged, self.refused.len()]
    }

    pub(super) fn appended(&self) -> &[Append] {
        &self.appended
    }

    /// The longest time between two acknowledgements.
    pub fn gap(&self) -> Duration {
        let times: Vec<Instant> = self.appended.iter().filter_map(|append| append.acknowledged).collect();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// The elements that were acknowledged and are not in this list.
    pub fn lost<'a>(&'a self, list: &[String]) -> Vec<&'a str> {
        let there: BTreeSet<&String> = list.iter().collect();
        let is_lost = |append: &&Append| append.acknowledged.is_some() && !there.contains(&append.element);
        self.appended.iter().filter(is_lost).map(|append| append.element.as_str()).collect()
    }

    /// What is wrong with the list that is there in the end.
    fn fault(&self, list: &[String]) -> Option<String> {
        let gone = self.appended.iter().find(|append| append.acknowledged.is_some() && !list.contains(&append.element));
        let gone = gone.map(|append| format!("element {} was acknowledged and is gone", append.element));
        self.disorder(list).or(gone)
    }

    /// What is wrong with the list that is there in the end, though elements may be missing.
    ///
    /// An element of which nothing is known may stand behind newer ones: it may have been on its way for long after its writer had
    /// given it up. Others may not, as each was there before the next was written.
    pub(super) fn disorder(&self, list: &[String]) -> Option<String> {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, element) in list.iter().enumerate() {
            if let Some(first) = places.insert(element, at) {
                return Some(format!("element {element} is there twice, at {first} and {at}"));
            }
        }
        // From the newest to the oldest: where the first of all those that are newer stands.
        let mut newer: Option<usize> = None;
        for Append { element, acknowledged, .. } in self.appended.iter().rev() {
            let Some(at) = places.remove(&element[..]) else { continue };
            if acknowledged.is_some() && newer.is_some_and(|newer| newer < at) {
                return Some(format!("element {element} stands behind a newer one"));
            }
            newer = Some(newer.map_or(at, |newer| newer.min(at)));
        }
        places.keys().next().map(|element| {
            let is_refused = self.refused.iter().any(|refused| refused == element);
            format!("element {element} was {} and is there", if is_refused { "refused" } else { "never written" })
        })
    }

    /// Everything that is known about it, for whoever has to find out.
    pub(super) fn told(&self) -> String {
        let told = self.appended.iter().map(|Append { element, acknowledged, .. }| match acknowledged {
            Some(_) => element.clone(),
            None => format!("{element}?"),
        });
        format!("Written were, with ? if not acknowledged: {}", told.collect::<Vec<_>>().join(" "))
    }
}

/// Asks for the list of a key until there is an answer.
#[track_caller]
pub(super) fn list(guide: &mut Guide, key: &str) -> Vec<String> {
    let (reply, _) = guide.call(super::PATIENCE, &["LRANGE", key, "0", "-1"]);
    texts(&reply)
}

/// The elements of a list as it was answered.
pub(super) fn texts(reply: &Reply) -> Vec<String> {
    let text = |element: &Reply| String::from_utf8_lossy(element.as_bytes().expect("a list is of texts")).into_owned();
    reply.as_slice().expect("LRANGE answers a list").iter().map(text).collect()
}

/// Compares what was acknowledged and is gone with what nodes say to have lost (key and element). `is_all` says whether that should be
/// all: no node was killed that may have had more. Returns how many elements are gone, and how many of them were told.
///
/// # Panics
///
/// If an element is there that is said to be lost, or one is gone that nobody tells of though all should be told.
#[track_caller]
pub fn check_losses(
    guide: &mut Guide,
    histories: &[History],
    told: &BTreeSet<(String, String)>,
    is_all: bool,
) -> (usize, usize) {
    let (mut gone, mut gone_and_told) = (0, 0);
    for history in histories {
        let list = list(guide, &history.key);
        let is_told = |element: &str| told.contains(&(history.key.clone(), element.to_owned()));
        if let Some(element) = list.iter().find(|element| is_told(element)) {
            panic!("{}: element {element} is said to be lost and is there.\n{}", history.key, history.told());
        }
        let lost = history.lost(&list);
        if let Some(element) = lost.iter().find(|element| is_all && !is_told(element)) {
            let list = list.join(" ");
            panic!(
                "{}: element {element} is lost and nobody tells.\nThere are: {list}\n{}",
                history.key,
                history.told()
            );
        }
        gone += lost.len();
        gone_and_told += lost.iter().filter(|element| is_told(element)).count();
    }
    (gone, gone_and_told)
}

/// Compares what is there with what was told. Returns how many elements were acknowledged, of how many nothing was known, and how
/// many were refused.
///
/// # Panics
///
/// If an acknowledged element is missing, one that was refused is there, or one is there twice or in another order.
#[track_caller]
pub fn check_histories(guide: &mut Guide, histories: &[History]) -> [usize; 3] {
    let mut total = [0; 3];
    for history in histories {
        let list = list(guide, &history.key);
        if let Some(fault) = history.fault(&list) {
            panic!("{}: {fault}.\nThere are: {}\n{}", history.key, list.join(" "), history.told());
        }
        total.iter_mut().zip(history.counts()).for_each(|(sum, count)| *sum += count);
    }
    total
}

/// A history whose writes begin at these milliseconds and are acknowledged, if they are, one after that.
#[cfg(test)]
pub(super) fn made_up(start: Instant, appended: &[(&str, u64, bool)]) -> History {
    let at = |millis: u64| start + Duration::from_millis(millis);
    let append = |&(element, begin, is_acknowledged): &(&str, u64, bool)| Append {
        element: element.to_owned(),
        begin: at(begin),
        acknowledged: is_acknowledged.then(|| at(begin + 1)),
    };
    History { appended: appended.iter().map(append).collect(), ..History::new("key".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|element| element.to_string()).collect()
    }

    #[test]
    fn what_was_acknowledged_is_there_once_and_the_rest_may_be() {
        let told = made_up(Instant::now(), &[("0", 0, true), ("1", 10, false), ("2", 20, true)]);
        for list in [&["0", "1", "2"][..], &["0", "2"], &["0", "2", "1"]] {
            assert_eq!(told.fault(&strings(list)), None, "{list:?}");
        }
        for list in [&["0", "1"][..], &["1", "2"], &["0", "0", "2"], &["2", "0"], &["0", "2", "3"], &["1", "0", "2"]] {
            assert!(told.fault(&strings(list)).is_some(), "{list:?}");
        }
        assert_eq!(told.lost(&strings(&["0", "1"])), ["2"]);
        assert_eq!(told.disorder(&strings(&["0", "1"])), None);
    }
}
