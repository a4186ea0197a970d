//! What somebody was told of writes, which what is there in the end is compared with.
//!
//! Each write appends an element that is appended once and never again to the list of its key. So the list tells in the end,
//! for each of them, whether it is there, how often, and in which order.

use super::guide::{Attempt, Guide};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

/// After a refusal, so that a cluster that is down is not asked too often.
const PAUSE: Duration = Duration::from_millis(2);

/// What came of the writes to one key, which one writer makes, one after the other.
#[derive(Debug)]
pub struct History {
    pub key: String,
    /// Elements in the order in which they were appended, each with whether that was acknowledged. Of the others it is not known
    /// whether they are there; those that were refused for sure have no place here.
    pub appended: Vec<(String, bool)>,
    refused: Vec<String>,
}

impl History {
    pub fn new(key: String) -> Self {
        Self { key, appended: Vec::new(), refused: Vec::new() }
    }

    /// Appends one more element, and notes what came of it. Returns whether it was acknowledged.
    pub fn append(&mut self, guide: &mut Guide) -> bool {
        let element = format!("{}", self.appended.len() + self.refused.len());
        let attempt = guide.attempt(&["RPUSH", &self.key, &element]);
        let is_acknowledged = matches!(attempt, Attempt::Answered(_));
        match attempt {
            Attempt::Answered(_) => self.appended.push((element, true)),
            Attempt::Unknown(_) => self.appended.push((element, false)),
            Attempt::Refused(_) => {
                self.refused.push(element);
                thread::sleep(PAUSE);
            }
        }
        is_acknowledged
    }

    /// How many were acknowledged, of how many there is no knowing, and how many were refused.
    pub fn counts(&self) -> [usize; 3] {
        let acknowledged = self.appended.iter().filter(|(_, is_acknowledged)| *is_acknowledged).count();
        [acknowledged, self.appended.len() - acknowledged, self.refused.len()]
    }

    /// What is wrong with the list that is there in the end.
    fn fault(&self, list: &[String]) -> Option<String> {
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, element) in list.iter().enumerate() {
            if let Some(first) = places.insert(element, at) {
                return Some(format!("element {element} is there twice, at {first} and {at}"));
            }
        }
        let mut last = None;
        for (element, is_acknowledged) in &self.appended {
            match places.remove(&element[..]) {
                None if *is_acknowledged => return Some(format!("element {element} was acknowledged and is gone")),
                None => {}
                Some(at) if Some(at) < last => return Some(format!("element {element} stands before an older one")),
                Some(at) => last = Some(at),
            }
        }
        places.keys().next().map(|element| format!("element {element} was refused and is there"))
    }
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
        let (reply, _) = guide.call(super::PATIENCE, &["LRANGE", &history.key, "0", "-1"]);
        let text = |element: &larder_client::resp::Reply| {
            String::from_utf8_lossy(element.as_bytes().expect("a list is of texts")).into_owned()
        };
        let list: Vec<String> = reply.as_slice().expect("LRANGE answers a list").iter().map(text).collect();
        if let Some(fault) = history.fault(&list) {
            let told = &history.appended;
            panic!(
                "{}: {fault}.\nThere are: {list:?}\nTold was, and whether it was acknowledged: {told:?}",
                history.key
            );
        }
        total.iter_mut().zip(history.counts()).for_each(|(sum, count)| *sum += count);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(appended: &[(&str, bool)], list: &[&str]) -> Option<String> {
        let appended =
            appended.iter().map(|(element, is_acknowledged)| (element.to_string(), *is_acknowledged)).collect();
        let list: Vec<String> = list.iter().map(|element| element.to_string()).collect();
        History { appended, ..History::new("key".to_owned()) }.fault(&list)
    }

    #[test]
    fn what_was_acknowledged_is_there_once_and_the_rest_may_be() {
        let told = [("0", true), ("1", false), ("2", true)];
        assert_eq!(fault(&told, &["0", "1", "2"]), None);
        assert_eq!(fault(&told, &["0", "2"]), None);
        for list in [&["0", "1"][..], &["1", "2"], &["0", "0", "2"], &["2", "0"], &["0", "2", "3"], &["0", "2", "1"]] {
            assert!(fault(&told, list).is_some(), "{list:?}");
        }
    }
}
