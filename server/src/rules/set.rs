//! All rules of a node, and which of them a key has: the one with the longest prefix.

use super::policy::Policy;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// As many rules a node takes.
pub const RULES_MAX: usize = 10_000;

/// The longest prefix, in bytes.
pub const PREFIX_MAX: usize = 512;

/// Whether a prefix may have a rule.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_prefix(prefix: &[u8]) -> Result<(), String> {
    if prefix.len() > PREFIX_MAX { Err(format!("a prefix has at most {PREFIX_MAX} bytes")) } else { Ok(()) }
}

/// A rule.
#[derive(Debug)]
pub struct Rule {
    pub prefix: Box<[u8]>,
    pub policy: Policy,
    /// They go on when the policy is replaced.
    pub counts: Arc<Counts>,
}

/// What a rule has done since the node was started.
#[derive(Debug, Default)]
pub struct Counts {
    /// GETs that were told nil and sent to load the key.
    pub granted: AtomicU64,
    /// Of these: before the value had expired.
    pub early: AtomicU64,
    /// Leases that were left by connections that ended.
    pub handed_over: AtomicU64,
    /// GETs that were told nil while another loaded, or nobody was sent.
    pub misses: AtomicU64,
    /// GETs that got an old value.
    pub stale: AtomicU64,
    /// GETs that waited.
    pub waits: AtomicU64,
    /// Keys that were set by, or for, who had the lease, and how long that took in all.
    pub loaded: AtomicU64,
    pub load_ms: AtomicU64,
    /// TTLs that were shortened.
    pub spread: AtomicU64,
    /// Keys that were set to say that there is none.
    pub absent_set: AtomicU64,
}

impl Counts {
    /// All of them, with their names.
    pub fn all(&self) -> Vec<(&'static str, u64)> {
        let of = |count: &AtomicU64| count.load(Relaxed);
        vec![
            ("leases_granted", of(&self.granted)),
            ("early_refreshes", of(&self.early)),
            ("leases_handed_over", of(&self.handed_over)),
            ("misses", of(&self.misses)),
            ("stale_hits", of(&self.stale)),
            ("waits", of(&self.waits)),
            ("loads", of(&self.loaded)),
            ("load_ms", of(&self.load_ms)),
            ("ttls_shortened", of(&self.spread)),
            ("absent_set", of(&self.absent_set)),
        ]
    }
}

/// Rules by their prefixes. It is made anew for every change; readers keep the one they have.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: BTreeMap<Box<[u8]>, Arc<Rule>>,
    tree: Tree,
}

/// A radix tree: each node has a piece of a prefix, by whose first byte its parent knows it.
#[derive(Debug, Default)]
struct Tree {
    nodes: Vec<Node>,
    pieces: Vec<u8>,
}

#[derive(Debug, Default)]
struct Node {
    piece: Range<u32>,
    rule: Option<Arc<Rule>>,
    /// First bytes in ascending order, and the nodes behind them.
    firsts: Vec<u8>,
    kids: Vec<u32>,
}

impl RuleSet {
    /// A set of these rules; of two for one prefix the later one counts.
    pub fn of(rules: impl IntoIterator<Item = Arc<Rule>>) -> RuleSet {
        let rules: BTreeMap<_, _> = rules.into_iter().map(|rule| (rule.prefix.clone(), rule)).collect();
        let all: Vec<&Arc<Rule>> = rules.values().collect();
        let mut tree = Tree::default();
        if !all.is_empty() {
            tree.grow(&all, 0);
        }
        RuleSet { rules, tree }
    }

    /// The rule that a key has.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<&Arc<Rule>> {
        let Tree { nodes, pieces } = &self.tree;
        let (mut at, mut rest, mut found) = (0, key, None);
        while let Some(node) = nodes.get(at) {
            let piece = &pieces[node.piece.start as usize..node.piece.end as usize];
            let Some(behind) = rest.strip_prefix(piece) else { break };
            found = node.rule.as_ref().or(found);
            let Some(first) = behind.first() else { break };
            let kid = match node.firsts.len() {
                0 => break,
                1..=8 => node.firsts.iter().position(|byte| byte == first),
                _ => node.firsts.binary_search(first).ok(),
            };
            let Some(kid) = kid else { break };
            (at, rest) = (node.kids[kid] as usize, behind);
        }
        found
    }

    /// The rule for exactly this prefix.
    pub fn get(&self, prefix: &[u8]) -> Option<&Arc<Rule>> {
        self.rules.get(prefix)
    }

    /// All rules in the order of their prefixes.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.values()
    }

    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Tree {
    /// Makes a node of rules, in the order of their prefixes, which are the same for their first `depth` bytes. Returns its number.
    fn grow(&mut self, rules: &[&Arc<Rule>], depth: usize) -> u32 {
        let (first, last) = (&rules[0].prefix, &rules[rules.len() - 1].prefix);
        // What the first and the last have in common, all have.
        let common = first[depth..].iter().zip(&last[depth..]).take_while(|(one, other)| one == other).count();
        let end = depth + common;
        let start = self.pieces.len() as u32;
        self.pieces.extend_from_slice(&first[depth..end]);
        let number = self.nodes.len();
        let piece = start..self.pieces.len() as u32;
        let rule = (first.len() == end).then(|| rules[0].clone());
        let rest = &rules[usize::from(rule.is_some())..];
        self.nodes.push(Node { piece, rule, ..Node::default() });
        for kids in rest.chunk_by(|one, other| one.prefix[end] == other.prefix[end]) {
            let kid = self.grow(kids, end);
            let node = &mut self.nodes[number];
            node.firsts.push(kids[0].prefix[end]);
            node.kids.push(kid);
        }
        number as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(prefix: &[u8]) -> Arc<Rule> {
        Arc::new(Rule { prefix: prefix.into(), policy: Policy::default(), counts: Arc::default() })
    }

    fn set(prefixes: &[&str]) -> RuleSet {
        RuleSet::of(prefixes.iter().map(|prefix| rule(prefix.as_bytes())))
    }

    #[test]
    fn the_longest_prefix_counts() {
        let set = set(&["hot:", "hot:user:", "h", "page", "pages:1"]);
        let found = |key: &str| set.find(key.as_bytes()).map(|rule| String::from_utf8_lossy(&rule.prefix).into_owned());
        for (key, prefix) in [
            ("hot:1", Some("hot:")),
            ("hot:user:1", Some("hot:user:")),
            ("hot:user", Some("hot:")),
            ("h", Some("h")),
            ("hotel", Some("h")),
            ("pages:2", Some("page")),
            ("pages:12", Some("pages:1")),
            ("pag", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(found(key).as_deref(), prefix, "{key}");
        }
        assert!(RuleSet::default().find(b"any").is_none());
        assert_eq!(
            RuleSet::of([rule(b"")]).find(b"any").unwrap().prefix.len(),
            0,
            "the empty prefix is that of all keys"
        );
    }

    proptest! {
        #[test]
        fn it_finds_what_a_look_at_all_would_find(
            prefixes in prop::collection::vec("[ab:]{0,6}", 0..40),
            keys in prop::collection::vec("[ab:]{0,9}", 1..40),
        ) {
            let set = RuleSet::of(prefixes.iter().map(|prefix| rule(prefix.as_bytes())));
            for key in keys {
                let longest = prefixes.iter().filter(|prefix| key.starts_with(prefix.as_str())).max_by_key(|prefix| prefix.len());
                let found = set.find(key.as_bytes()).map(|rule| &*rule.prefix);
                prop_assert_eq!(found, longest.map(|prefix| prefix.as_bytes()));
            }
        }
    }
}
