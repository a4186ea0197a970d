//! The rules of a running node: readers keep the set they have until there is another.

use crate::rules::set::RULES_MAX;
use crate::rules::{Policy, Rule, RuleSet};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

/// Numbers for sets, of all nodes in the process: no set has that of another.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The rules of a node.
#[derive(Default)]
pub struct Rules {
    are_any: AtomicBool,
    are_guards: AtomicBool,
    /// The number of the set at hand; 0 for the empty one at the start.
    number: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Those of the node itself, by their prefixes: of its configuration, and of commands if it is in no cluster.
    own: BTreeMap<Box<[u8]>, Policy>,
    /// Those of the cluster. They go before the node's own.
    agreed: BTreeMap<Box<[u8]>, Policy>,
    /// All of them.
    set: Arc<RuleSet>,
}

thread_local! {
    /// The set that this thread looked at last, and its number.
    static SEEN: RefCell<(u64, Arc<RuleSet>)> = RefCell::default();
}

impl Rules {
    /// The rules that a node starts with.
    pub fn new(own: impl Iterator<Item = (Box<[u8]>, Policy)>) -> Rules {
        let rules = Rules::default();
        rules.change(|state| state.own = own.collect());
        rules
    }

    /// Whether there is any rule.
    #[inline]
    pub fn are_any(&self) -> bool {
        self.are_any.load(Relaxed)
    }

    /// Whether any rule has a guard.
    #[inline]
    pub fn are_guards(&self) -> bool {
        self.are_guards.load(Relaxed)
    }

    /// The rule that a key has.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<Arc<Rule>> {
        self.look(key, Arc::clone)
    }

    /// Looks at the rule that a key has, if it has one.
    #[inline]
    pub fn look<R>(&self, key: &[u8], look: impl FnOnce(&Arc<Rule>) -> R) -> Option<R> {
        SEEN.with_borrow_mut(|(seen, set)| {
            let number = self.number.load(Acquire);
            if *seen != number {
                (*seen, *set) = (number, self.all());
            }
            set.find(key).map(look)
        })
    }

    /// All rules.
    pub fn all(&self) -> Arc<RuleSet> {
        self.state.lock().set.clone()
    }

    /// Makes a rule. Returns whether there was room for one more.
    pub fn set(&self, prefix: &[u8], policy: Policy) -> bool {
        self.change(|state| {
            let has_room = state.own.len() < RULES_MAX || state.own.contains_key(prefix);
            if has_room {
                state.own.insert(prefix.into(), policy);
            }
            has_room
        })
    }

    /// Ends a rule. Returns whether there was one.
    pub fn remove(&self, prefix: &[u8]) -> bool {
        self.change(|state| state.own.remove(prefix).is_some())
    }

    /// Takes the rules of the cluster, by their prefixes and with their fields. One that makes no sense to this node is left out: a
    /// newer one has made it.
    pub fn agree(&self, rules: &BTreeMap<String, String>) {
        let one = |(prefix, fields): (&String, &String)| match Policy::parse(fields.split(' ')) {
            Ok(policy) => Some((prefix.as_bytes().into(), policy)),
            Err(wrong) => {
                tracing::warn!(prefix, fields, "a rule of the cluster is left out: {wrong}");
                None
            }
        };
        self.change(|state| state.agreed = rules.iter().filter_map(one).collect());
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.state.lock();
        let result = change(&mut state);
        let of = |rules: &BTreeMap<Box<[u8]>, Policy>| {
            let rules = rules.iter().map(|(prefix, policy)| {
                let counts = state.set.get(prefix).map_or_else(Arc::default, |old| old.counts.clone());
                Arc::new(Rule { prefix: prefix.clone(), policy: policy.clone(), counts })
            });
            rules.collect::<Vec<_>>()
        };
        let set = RuleSet::of([of(&state.own), of(&state.agreed)].concat());
        let are_guards = set.iter().any(|rule| rule.policy.guard.is_some());
        if are_guards {
            super::guard::prepare();
        }
        self.are_any.store(!set.is_empty(), Relaxed);
        self.are_guards.store(are_guards, Relaxed);
        state.set = Arc::new(set);
        self.number.store(LAST.fetch_add(1, Relaxed) + 1, Release);
        result
    }
}
