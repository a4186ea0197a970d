//! What is compared: the operations, how deep they are pipelined, over how many connections.

use crate::{
    error::Error,
    keys::Choice,
    reply::Protocol,
    workload::{Operation, Workload},
};

/// One kind of load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    pub name: &'static str,
    pub operation: Operation,
    pub connections: usize,
    pub depth: usize,
    pub choice: Choice,
    /// An open loop at a rate that is the same for all servers, instead of as much as the server can take.
    pub equal_load: bool,
}

/// The skew of YCSB, the usual figure for a cache's popularity.
const ZIPF: Choice = Choice::Zipf { theta: 0.99 };

/// In the order in which they run; reads come first, so that they see the store as the fill left it.
pub const ALL: [Scenario; 11] = [
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
];

/// What decides the rate of the scenarios at equal load.
pub const CALIBRATION: Scenario = ALL[0];

const fn uniform(name: &'static str, operation: Operation, connections: usize, depth: usize) -> Scenario {
    Scenario { name, operation, connections, depth, choice: Choice::Uniform, equal_load: false }
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
        let prefix = Workload::standard(self.operation).prefix;
        Workload { protocol, operation: self.operation, prefix, choice: self.choice, ..base.clone() }
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
        assert_eq!(names(&["set-p1", "incr"]).unwrap(), ["set-p1", "set-p16", "set-p100", "incr-p16"]);
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
