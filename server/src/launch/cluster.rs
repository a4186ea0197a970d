//! `larder cluster`: looking at a cluster and changing it, by way of any of its nodes, with the commands that any client may say.

use crate::config::{ClusterJob, ClusterVerb, Config};
use crate::progress::Bar;
use larder_client::connection::Connection;
use larder_client::resp::Reply;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// How often the cluster is looked at while something goes on.
const LOOK: Duration = Duration::from_millis(200);

/// A node as `CLUSTER NODES` tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    id: String,
    address: String,
    is_primary: bool,
    is_up: bool,
    /// The id of its primary, if it has one.
    follows: Option<String>,
    /// Runs of slots, first and last.
    slots: Vec<(u16, u16)>,
    /// How many slots are on their way from it.
    leaving: usize,
}

impl Node {
    fn held(&self) -> u64 {
        self.slots.iter().map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    fn role(&self) -> &'static str {
        match (self.is_primary, self.slots.is_empty()) {
            (false, _) => "replica",
            (true, false) => "primary",
            (true, true) => "no slots",
        }
    }
}

/// A cluster as one of its nodes sees it.
struct Cluster(Connection);

/// Does what is asked.
///
/// # Errors
///
/// What went wrong, and what to do.
pub fn run(job: &ClusterJob, config: &Config) -> Result<(), String> {
    let at = job.at.clone().unwrap_or_else(|| format!("127.0.0.1:{}", config.port));
    if job.verb == ClusterVerb::Add {
        say(&format!(
            "Start the node with an address of the cluster, a folder and a port of its own, and the cluster's secret:\n\n  \
                      larder --join {at} --port 7007 --dir data/7007 --cluster-secret ...\n\nIt becomes a replica where one is missing. Others become \
                      further replicas until there are enough for a shard of\ntheir own; then slots move to it. See how that goes: larder \
                      cluster rebalance --at {at}\n"
        ));
        return Ok(());
    }
    let mut cluster = Cluster::open(&at, &config.requirepass)?;
    match &job.verb {
        ClusterVerb::Status if job.json => say(&(cluster.ask(&["CLUSTER", "TOPOLOGY"])? + "\n")),
        ClusterVerb::Status => say(&cluster.status()?),
        ClusterVerb::Slots => say(&slots(&cluster.nodes()?)),
        ClusterVerb::Add => {}
        ClusterVerb::Drain { node, cancel: true } => {
            cluster.change("stay", node, &[])?;
            say("It stays.\n");
        }
        ClusterVerb::Drain { node, .. } => cluster.drain(node)?,
        ClusterVerb::Remove { node, force } => {
            cluster.change("forget", node, if *force { &["force"] } else { &[] })?;
            say("It is out of the cluster. Stop it, and empty its data folder before it is used again.\n");
        }
        ClusterVerb::Rebalance => cluster.rebalance()?,
        ClusterVerb::Failover { node, force } => cluster.fail_over(node, *force)?,
        ClusterVerb::Replicas { count } => {
            cluster.ask(&["CLUSTER", "CHANGE", "replicas", &count.to_string()])?;
            say(&format!("Every shard is to have {count} replicas, as far as there are nodes.\n"));
        }
    }
    Ok(())
}

/// A reader that has gone away, such as `head`, is no error.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

impl Cluster {
    fn open(at: &str, password: &str) -> Result<Cluster, String> {
        let connection = Connection::open(at);
        let connection = connection
            .map_err(|error| format!("no node answers at {at}: {error}. Name another with --at HOST:PORT"))?;
        let mut cluster = Cluster(connection);
        if !password.is_empty() {
            cluster.ask(&["AUTH", password])?;
        }
        Ok(cluster)
    }

    /// The reply to a command as text.
    fn ask(&mut self, words: &[&str]) -> Result<String, String> {
        match self.0.call(words).map_err(|error| error.to_string())? {
            Reply::Error(text) => {
                let text = String::from_utf8_lossy(&text).into_owned();
                let hint = match text.split(' ').next() {
                    Some("NOAUTH") => ". Give the password with --requirepass",
                    _ if text.contains("cluster support disabled") => {
                        ". That node is in no cluster; name another with --at HOST:PORT"
                    }
                    _ => "",
                };
                Err(format!("{}{hint}", text.strip_prefix("ERR ").unwrap_or(&text)))
            }
            reply => match (reply.as_int(), reply.as_bytes()) {
                (Some(number), _) => Ok(number.to_string()),
                (None, Some(bytes)) => Ok(String::from_utf8_lossy(bytes).into_owned()),
                (None, None) => Err("the node answers what was not asked for".to_owned()),
            },
        }
    }

    fn nodes(&mut self) -> Result<Vec<Node>, String> {
        let text = self.ask(&["CLUSTER", "NODES"])?;
        let nodes: Option<Vec<Node>> = text.lines().map(node_of).collect();
        nodes.ok_or_else(|| "the node tells of others in a way that is not known".to_owned())
    }

    /// The one node that is named so.
    fn named(&mut self, name: &str) -> Result<Node, String> {
        let nodes = self.nodes()?;
        let is_it = |node: &&Node| {
            node.id.starts_with(name) || node.address == name || node.address.ends_with(&format!(":{name}"))
        };
        let found: Vec<&Node> = nodes.iter().filter(is_it).collect();
        match found[..] {
            [node] => Ok(node.clone()),
            [] => Err(format!("the cluster has no node {name}; see larder cluster status")),
            _ => Err(format!(
                "several nodes are called {name}: {}",
                found.iter().map(|it| it.id.as_str()).collect::<Vec<_>>().join(", ")
            )),
        }
    }

    fn change(&mut self, verb: &str, node: &str, more: &[&str]) -> Result<(), String> {
        let id = self.named(node)?.id;
        let words: Vec<&str> = ["CLUSTER", "CHANGE", verb, &id].into_iter().chain(more.iter().copied()).collect();
        self.ask(&words).map(drop)
    }

    fn status(&mut self) -> Result<String, String> {
        let nodes = self.nodes()?;
        let info = self.ask(&["CLUSTER", "INFO"])?;
        let fact = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("?").trim().to_owned()
        };
        let is_ok = fact("cluster_state") == "ok";
        let moving: usize = nodes.iter().map(|node| node.leaving).sum();
        let mut text = table(&nodes, io::stdout().is_terminal());
        let state = if is_ok { "all slots are served" } else { "some slots are served by nobody" };
        text.push_str(&format!("\n{state}, epoch {}", fact("cluster_current_epoch")));
        if moving > 0 {
            text.push_str(&format!(", {moving} slots are on their way"));
        }
        text.push('\n');
        Ok(text)
    }

    /// Looks again and again until something is so, with a bar that says how far it has come. `left` says how much there is to do.
    fn watch(&mut self, mut left: impl FnMut(&[Node]) -> u64) -> Result<(), String> {
        let mut bar = Bar::on_terminal();
        let mut most = 0;
        loop {
            let nodes = self.nodes()?;
            let now = left(&nodes);
            most = most.max(now);
            if now == 0 {
                return Ok(());
            }
            bar.count(most - now, most, "slots");
            std::thread::sleep(LOOK);
        }
    }

    fn drain(&mut self, node: &str) -> Result<(), String> {
        let id = self.named(node)?.id;
        self.ask(&["CLUSTER", "CHANGE", "leave", &id])?;
        self.watch(|nodes| {
            let node = nodes.iter().find(|node| node.id == id);
            node.map_or(0, |node| node.held() + u64::from(!node.is_primary))
        })?;
        say(&format!("It holds nothing any more. Take it out with: larder cluster remove {}\n", &id[..8]));
        Ok(())
    }

    fn rebalance(&mut self) -> Result<(), String> {
        let mut still = 0;
        self.watch(|nodes| {
            let moving: usize = nodes.iter().map(|node| node.leaving).sum();
            let is_even = is_even(nodes);
            // Between two portions nothing moves for a moment.
            still = if moving == 0 { still + 1 } else { 0 };
            if is_even || still >= 10 { 0 } else { (moving as u64).max(missing(nodes)).max(1) }
        })?;
        say(&table(&self.nodes()?, io::stdout().is_terminal()));
        Ok(())
    }

    fn fail_over(&mut self, node: &str, force: bool) -> Result<(), String> {
        let wanted = self.named(node)?;
        let verb: &[&str] = if force { &["force"] } else { &[] };
        let words: Vec<&str> =
            ["CLUSTER", "CHANGE", "failover", &wanted.id].into_iter().chain(verb.iter().copied()).collect();
        self.ask(&words)?;
        for _ in 0..75 {
            if self.nodes()?.iter().any(|node| node.id == wanted.id && node.is_primary) {
                say("It leads its shard.\n");
                return Ok(());
            }
            std::thread::sleep(LOOK);
        }
        Err("it does not lead its shard yet: see larder cluster status, and the node's log".to_owned())
    }
}

/// A line of `CLUSTER NODES`.
fn node_of(line: &str) -> Option<Node> {
    let words: Vec<&str> = line.split(' ').collect();
    let (id, address, flags, primary) = (words.first()?, words.get(1)?, words.get(2)?, words.get(3)?);
    let has = |flag: &str| flags.split(',').any(|word| word == flag);
    let (moving, held): (Vec<&str>, Vec<&str>) = words.iter().skip(8).partition(|word| word.starts_with('['));
    let run = |word: &&str| {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        Some((first.parse().ok()?, last.parse().ok()?))
    };
    Some(Node {
        id: (*id).to_owned(),
        address: address.split('@').next()?.to_owned(),
        is_primary: has("master"),
        is_up: !has("fail") && !has("fail?"),
        follows: Some((*primary).to_owned()).filter(|primary| primary != "-"),
        slots: held.iter().map(run).collect::<Option<_>>()?,
        leaving: moving.iter().filter(|word| word.contains("->-")).count(),
    })
}

/// Primaries, each with its replicas below it.
fn table(nodes: &[Node], is_coloured: bool) -> String {
    let mut rows: Vec<&Node> = Vec::new();
    let mut primaries: Vec<&Node> = nodes.iter().filter(|node| node.is_primary).collect();
    primaries.sort_by_key(|node| (node.slots.is_empty(), node.address.clone()));
    for primary in primaries {
        rows.push(primary);
        let mut replicas: Vec<&Node> =
            nodes.iter().filter(|node| node.follows.as_deref() == Some(&primary.id)).collect();
        replicas.sort_by(|a, b| a.address.cmp(&b.address));
        rows.extend(replicas);
    }
    let wide = rows.iter().map(|node| node.address.len()).max().unwrap_or(0).max(7);
    let mut text = format!("{:8}  {:wide$}  {:10}  {:>5}  {:>6}  state\n", "id", "address", "role", "slots", "moving");
    for node in rows {
        let role = if node.is_primary { node.role().to_owned() } else { format!("  {}", node.role()) };
        let number = |count: u64| if count == 0 { "-".to_owned() } else { count.to_string() };
        let (held, moving) = (number(node.held()), number(node.leaving as u64));
        let state = if node.is_up { "up" } else { "silent" };
        let line = format!(
            "{:8}  {:wide$}  {role:10}  {held:>5}  {moving:>6}  {state}",
            &node.id[..8.min(node.id.len())],
            node.address
        );
        match is_coloured && !node.is_up {
            true => text.push_str(&format!("\x1b[31m{line}\x1b[0m\n")),
            false => text.push_str(&format!("{line}\n")),
        }
    }
    text
}

fn slots(nodes: &[Node]) -> String {
    let mut runs: Vec<(u16, u16, &Node)> =
        nodes.iter().flat_map(|node| node.slots.iter().map(move |(first, last)| (*first, *last, node))).collect();
    runs.sort_by_key(|(first, ..)| *first);
    let line = |(first, last, node): &(u16, u16, &Node)| {
        format!("{first:>5} - {last:>5}  {}  {}\n", &node.id[..8], node.address)
    };
    let mut text: String = runs.iter().map(line).collect();
    let moving = nodes.iter().filter(|node| node.leaving > 0);
    moving.for_each(|node| text.push_str(&format!("{} slots are on their way from {}\n", node.leaving, node.address)));
    text
}

/// Whether all primaries with slots have as many, as far as that can be. With weights they have not.
fn is_even(nodes: &[Node]) -> bool {
    let held: Vec<u64> = nodes.iter().map(Node::held).filter(|held| *held > 0).collect();
    let newcomers = nodes.iter().any(|node| {
        node.is_primary && node.slots.is_empty() && nodes.iter().any(|it| it.follows.as_deref() == Some(&node.id))
    });
    !newcomers && held.iter().max().zip(held.iter().min()).is_some_and(|(most, least)| most - least <= 1)
}

/// Slots that shards lack which have fewer than the average.
fn missing(nodes: &[Node]) -> u64 {
    let held: Vec<u64> = nodes.iter().map(Node::held).filter(|held| *held > 0).collect();
    let fair = held.iter().sum::<u64>() / (held.len() as u64).max(1);
    held.iter().map(|held| fair.saturating_sub(*held)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = "\
aaaaaaaaaaaaaaaa 127.0.0.1:7002@17002 master - 0 5 3 connected 8192-16383
bbbbbbbbbbbbbbbb 127.0.0.1:7001@17001 myself,master - 0 0 2 connected 0-8190 8191 [8191->-aaaaaaaaaaaaaaaa]
cccccccccccccccc cache-3:7003@17003,cache-3 slave,fail bbbbbbbbbbbbbbbb 0 5 2 disconnected
dddddddddddddddd 127.0.0.1:7004@17004 master - 0 5 0 connected";

    fn nodes() -> Vec<Node> {
        NODES.lines().map(|line| node_of(line).expect(line)).collect()
    }

    #[test]
    fn replicas_stand_below_their_primaries() {
        let expected = "\
id        address         role        slots  moving  state
bbbbbbbb  127.0.0.1:7001  primary      8192       1  up
cccccccc  cache-3:7003      replica       -       -  silent
aaaaaaaa  127.0.0.1:7002  primary      8192       -  up
dddddddd  127.0.0.1:7004  no slots        -       -  up
";
        assert_eq!(table(&nodes(), false), expected);
        assert!(table(&nodes(), true).contains("\x1b[31mcccccccc"));
    }

    #[test]
    fn runs_stand_in_their_order() {
        let text = slots(&nodes());
        let firsts: Vec<&str> = text.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
        assert_eq!(firsts, ["0", "8191", "8192", "1"], "{text}");
        assert!(text.ends_with("1 slots are on their way from 127.0.0.1:7001\n"));
    }

    #[test]
    fn even_is_what_differs_by_one_slot_at_most() {
        let mut nodes = nodes();
        assert!(is_even(&nodes));
        nodes[0].slots = vec![(8193, 16383)];
        nodes[1].slots = vec![(0, 8192)];
        assert!(!is_even(&nodes));
        assert_eq!(missing(&nodes), 1);
    }

    #[test]
    fn what_is_no_line_is_none() {
        for wrong in ["", "a", "a b c", "a b:1@2 master - 0 0 0 connected x-y"] {
            assert_eq!(node_of(wrong), None, "{wrong}");
        }
    }
}
