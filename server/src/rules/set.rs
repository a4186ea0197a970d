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
    /// GETs of keys that the guard did not know.
    pub guarded: AtomicU64,
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
            ("guarded", of(&self.guarded)),
        ]
    }
}

/// Rules by their prefixes. It is made anew for every change; readers keep the one they have.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// In the order of their prefixes.
    rules: Vec<Arc<Rule>>,
    tree: Tree,
}

/// A radix tree in three lists, so that a look-up touches a few neighbouring lines: each node has a piece of a prefix, and the nodes
/// behind it, which stand next to each other, are known by their first bytes.
#[derive(Debug, Default)]
struct Tree {
    nodes: Vec<Node>,
    /// Pieces of all nodes.
    pieces: Vec<u8>,
    /// The first bytes behind each node, eight to a word; what is left of the last word repeats its first.
    firsts: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Node {
    piece: u32,
    piece_len: u16,
    /// How many nodes are behind it, and where they and their first bytes begin.
    kid_count: u16,
    kids: u32,
    firsts: u32,
    /// The number of its rule, or [`NONE`].
    rule: u32,
}

const NONE: u32 = u32::MAX;

impl RuleSet {
    /// A set of these rules; of two for one prefix the later one counts.
    pub fn of(rules: impl IntoIterator<Item = Arc<Rule>>) -> RuleSet {
        let rules: BTreeMap<_, _> = rules.into_iter().map(|rule| (rule.prefix.clone(), rule)).collect();
        let rules: Vec<Arc<Rule>> = rules.into_values().collect();
        let tree = Tree::of(&rules);
        RuleSet { rules, tree }
    }

    /// The rule that a key has.
    #[inline]
    pub fn find(&self, key: &[u8]) -> Option<&Arc<Rule>> {
        self.rules.get(self.tree.find(key) as usize)
    }

    /// The rule for exactly this prefix.
    pub fn get(&self, prefix: &[u8]) -> Option<&Arc<Rule>> {
        let at = self.rules.binary_search_by(|rule| (*rule.prefix).cmp(prefix)).ok()?;
        self.rules.get(at)
    }

    /// All rules in the order of their prefixes.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }

    pub fn len(&self) -> usize {
        self.rules.len()
    }

    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

impl Tree {
    /// A tree of rules in the order of their prefixes.
    fn of(rules: &[Arc<Rule>]) -> Tree {
        let mut tree = Tree::default();
        if !rules.is_empty() {
            tree.nodes.push(tree.empty());
            tree.grow(0, rules, 0..rules.len(), 0);
        }
        tree
    }

    fn empty(&self) -> Node {
        Node { piece: 0, piece_len: 0, kid_count: 0, kids: 0, firsts: 0, rule: NONE }
    }

    /// Makes a node of those rules, whose prefixes are the same for their first `depth` bytes.
    fn grow(&mut self, at: usize, rules: &[Arc<Rule>], of: Range<usize>, depth: usize) {
        let (first, last) = (&rules[of.start].prefix, &rules[of.end - 1].prefix);
        // What the first and the last have in common, all have.
        let common = first[depth..].iter().zip(&last[depth..]).take_while(|(one, other)| one == other).count();
        let end = depth + common;
        let (piece, piece_len) = (self.pieces.len() as u32, common as u16);
        self.pieces.extend_from_slice(&first[depth..end]);
        let has_rule = first.len() == end;
        let rule = if has_rule { of.start as u32 } else { NONE };
        let rest = of.start + usize::from(has_rule)..of.end;
        let groups: Vec<Range<usize>> = rules[rest.clone()]
            .chunk_by(|one, other| one.prefix[end] == other.prefix[end])
            .scan(rest.start, |from, group| {
                let range = *from..*from + group.len();
                *from = range.end;
                Some(range)
            })
            .collect();
        let (kids, firsts) = (self.nodes.len() as u32, self.firsts.len() as u32);
        let bytes: Vec<u8> = groups.iter().map(|group| rules[group.start].prefix[end]).collect();
        self.firsts.extend(bytes.chunks(8).map(|chunk| {
            let mut word = [chunk[0]; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        }));
        self.nodes.resize(self.nodes.len() + groups.len(), self.empty());
        self.nodes[at] = Node { piece, piece_len, kid_count: groups.len() as u16, kids, firsts, rule };
        for (kid, group) in groups.into_iter().enumerate() {
            self.grow(kids as usize + kid, rules, group, end);
        }
    }

    /// The number of the rule with the longest prefix of a key, or [`NONE`].
    fn find(&self, key: &[u8]) -> u32 {
        let (mut found, mut rest) = (NONE, key);
        let mut next = self.nodes.first();
        while let Some(node) = next {
            let piece = &self.pieces[node.piece as usize..][..node.piece_len.into()];
            // Pieces are short, so a call costs more than the comparison.
            if rest.len() < piece.len() || piece.iter().zip(rest).any(|(one, other)| one != other) {
                break;
            }
            if node.rule != NONE {
                found = node.rule;
            }
            rest = &rest[piece.len()..];
            let Some(first) = rest.first() else { break };
            next = self.kid(node, *first).and_then(|kid| self.nodes.get(kid));
        }
        found
    }

    /// The node behind another for a first byte.
    #[inline]
    fn kid(&self, node: &Node, first: u8) -> Option<usize> {
        const LOW: u64 = u64::from_le_bytes([1; 8]);
        const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
        let words = usize::from(node.kid_count).div_ceil(8);
        let firsts = &self.firsts[node.firsts as usize..][..words];
        for (at, word) in firsts.iter().enumerate() {
            // The lowest byte that is zero here is the first that is equal there (Warren 2012, "Hacker's Delight", section 6-1).
            let differs = word ^ LOW.wrapping_mul(u64::from(first));
            let zeros = differs.wrapping_sub(LOW) & !differs & HIGH;
            if zeros != 0 {
                return Some(node.kids as usize + at * 8 + zeros.trailing_zeros() as usize / 8);
            }
        }
        None
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
