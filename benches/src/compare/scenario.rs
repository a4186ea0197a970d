//! What is compared: the operations, how deep they are pipelined, over how many connections.

use crate::{
    error::Error,
    keys::Choice,
    reply::Protocol,
    workload::{Operation, Score, Workload},
};

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    pub name: &'static str,
    pub operation: Operation,
    pub connections: usize,
    pub depth: usize,
    pub choice: Choice,
    /// Collections that the keys are drawn from, where the operation is on one; the members of each when it starts; and how many
    /// different members may come.
    pub collections: u64,
    pub filled: u64,
    pub members: u64,
    /// An open loop at a rate that is the same for all servers, instead of as much as the server can take.
    pub equal_load: bool,
}

/// The skew of YCSB, the usual figure for a cache's popularity.
const ZIPF: Choice = Choice::Zipf { theta: 0.99 };

/// In the order in which they run; reads come first, so that they see the store as the fill left it.
/// Those on collections come last, as each begins with an empty server.
pub const ALL: [Scenario; 32] = [
    uniform("get-p1", Operation::Get, 50, 1),
    uniform("get-p16", Operation::Get, 50, 16),
    uniform("get-p100", Operation::Get, 8, 100),
    Scenario { choice: ZIPF, ..uniform("get-zipf-p16", Operation::Get, 50, 16) },
    uniform("mget100-p1", Operation::Mget { keys: 100 }, 50, 1),
    Scenario { equal_load: true, ..uniform("get-equal-load", Operation::Get, 50, 1) },
    uniform("set-p1", Operation::Set, 50, 1),
    uniform("set-p16", Operation::Set, 50, 16),
    uniform("set-p100", Operation::Set, 8, 100),
    uniform("mset10-p16", Operation::Mset { keys: 10 }, 50, 16),
    uniform("incr-p16", Operation::Incr, 50, 16),
    uniform("exec10-p1", Operation::Exec { commands: 10 }, 50, 1),
    uniform("exec10-p16", Operation::Exec { commands: 10 }, 50, 16),
    small("lpush-p1", Operation::Lpush, 1),
    small("lpush-p16", Operation::Lpush, 16),
    small("lrange100-p1", Operation::Lrange { elements: 100 }, 1),
    small("lrange100-p16", Operation::Lrange { elements: 100 }, 16),
    growing("sadd-p1", Operation::Sadd, 1),
    growing("sadd-p16", Operation::Sadd, 16),
    small("hset-p1", Operation::Hset, 1),
    small("hset-p16", Operation::Hset, 16),
    small("zadd-p1", ZADD, 1),
    small("zadd-p16", ZADD, 16),
    small("zrange100-p1", Operation::Zrange { elements: 100 }, 1),
    small("zrange100-p16", Operation::Zrange { elements: 100 }, 16),
    small("xadd-p1", Operation::Xadd { trimmed: true }, 1),
    small("xadd-p16", Operation::Xadd { trimmed: true }, 16),
    large("lrange100-large-p16", Operation::Lrange { elements: 100 }, 16),
    large("sadd-large-p16", Operation::Sadd, 16),
    large("hset-large-p16", Operation::Hset, 16),
    large("zadd-large-p16", ZADD, 16),
    large("zrange100-large-p16", Operation::Zrange { elements: 100 }, 16),
];

const ZADD: Operation = Operation::Zadd { score: Score::Whole };

/// Values in collections. Redis keeps those above 64 bytes, in hashes, in another form.
const ELEMENT_LENGTH: usize = 16;

/// What decides the rate of the scenarios at equal load.
pub const CALIBRATION: Scenario = ALL[0];

const fn uniform(name: &'static str, operation: Operation, connections: usize, depth: usize) -> Scenario {
    let (choice, equal_load) = (Choice::Uniform, false);
    Scenario { name, operation, connections, depth, choice, collections: 0, filled: 0, members: 0, equal_load }
}

/// A hundred members in each of ten thousand collections: both servers keep them in their compact forms.
const fn small(name: &'static str, operation: Operation, depth: usize) -> Scenario {
    Scenario { collections: 10_000, filled: 100, members: 100, ..uniform(name, operation, 50, depth) }
}

/// Ten thousand members in each of a hundred collections.
const fn large(name: &'static str, operation: Operation, depth: usize) -> Scenario {
    Scenario { collections: 100, filled: 10_000, members: 10_000, ..uniform(name, operation, 50, depth) }
}

/// As [`small`], but most of what comes is new: an SADD of what is there changes nothing.
const fn growing(name: &'static str, operation: Operation, depth: usize) -> Scenario {
    Scenario { members: 1_000, ..small(name, operation, depth) }
}

impl Scenario {
    /// Whether a server that speaks this protocol takes part. INCR, MSET and MGET are compared among RESP servers.
    pub fn suits(&self, protocol: Protocol) -> bool {
        protocol == Protocol::Resp || matches!(self.operation, Operation::Get | Operation::Set)
    }

    /// Whether its counters have to exist first: INCR on new keys would be measured as an insertion.
    pub fn needs_counters(&self) -> bool {
        self.operation == Operation::Incr
    }

    /// The requests, of keys and values as `base` has them.
    pub fn workload(&self, base: &Workload, protocol: Protocol) -> Workload {
        let Self { operation, choice, members, .. } = *self;
        let prefix = Workload::standard(operation).prefix;
        let workload = Workload { protocol, operation, prefix, choice, members, ..base.clone() };
        if !operation.is_on_collection() {
            return workload;
        }
        let key_count = self.collections.min(base.key_count);
        Workload { key_count, value_length: ELEMENT_LENGTH, ..workload }
    }

    fn on_collections(&self, what: &str) -> String {
        let Self { collections, filled, members, .. } = self;
        let space = if filled == members { String::new() } else { format!(" (out of {members})") };
        format!("{what}, {collections} keys of {filled} members{space}")
    }

    /// One line for the report.
    pub fn title(&self, rate: Option<f64>) -> String {
        let what = match self.operation {
            Operation::Get => "GET".to_owned(),
            Operation::Set => "SET".to_owned(),
            Operation::Incr => "INCR".to_owned(),
            Operation::Mset { keys } => format!("MSET of {keys} keys"),
            Operation::Mget { keys } => format!("MGET of {keys} keys"),
            Operation::Mix { set_share } => format!("GET and SET ({set_share})"),
            Operation::Lpush => self.on_collections("LPUSH"),
            Operation::Lrange { elements } => self.on_collections(&format!("LRANGE of {elements} elements")),
            Operation::Sadd => self.on_collections("SADD"),
            Operation::Hset => self.on_collections("HSET"),
            Operation::Zadd { .. } => self.on_collections("ZADD"),
            Operation::Zrange { elements } => self.on_collections(&format!("ZRANGE of {elements} members")),
            Operation::Xadd { .. } => self.on_collections("XADD MAXLEN ~ 100"),
            Operation::Exec { commands } => format!("MULTI, {commands} SET and GET in turn, EXEC"),
        };
        let keys =
            if let Choice::Zipf { theta } = self.choice { format!(", Zipf keys ({theta})") } else { String::new() };
        let rate = match rate.filter(|_| self.equal_load) {
            Some(rate) => format!(", open loop at {rate:.0} requests/s"),
            None => String::new(),
        };
        format!("{}: {what}{keys}, {} connections, pipeline {}{rate}", self.name, self.connections, self.depth)
    }
}

/// The scenarios whose names contain one of the filters; all if there is no filter.
///
/// # Errors
///
/// [`Error::Usage`] with the names there are, if a filter fits none.
pub fn choose(filters: &[String]) -> Result<Vec<Scenario>, Error> {
    if let Some(wrong) = filters.iter().find(|filter| !ALL.iter().any(|scenario| scenario.name.contains(*filter))) {
        let names = ALL.map(|scenario| scenario.name).join(", ");
        return Err(Error::Usage(format!("no scenario has {wrong:?} in its name; there are {names}")));
    }
    let fits = |scenario: &&Scenario| filters.is_empty() || filters.iter().any(|filter| scenario.name.contains(filter));
    Ok(ALL.iter().filter(fits).copied().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_choose_by_parts_of_names() {
        let names = |filters: &[&str]| {
            let filters: Vec<String> = filters.iter().map(|&filter| filter.to_owned()).collect();
            choose(&filters).map(|chosen| chosen.iter().map(|scenario| scenario.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["mset", "incr"]).unwrap(), ["mset10-p16", "incr-p16"]);
        assert_eq!(names(&[]).unwrap().len(), ALL.len());
        assert!(names(&["zap"]).is_err());
    }

    #[test]
    fn every_scenario_makes_sense_for_the_protocols_it_suits() {
        let base = Workload::standard(Operation::Get);
        for scenario in ALL {
            for protocol in [Protocol::Resp, Protocol::Memcache] {
                if scenario.suits(protocol) {
                    scenario.workload(&base, protocol).check().unwrap();
                }
            }
        }
    }
}
