//! What a node says of its cluster.

use larder_client::connection::{Connection, Options};
use larder_client::resp::Reply;
use std::net::SocketAddr;
use std::time::Duration;

/// A node that is held takes connections and answers nothing.
const WAIT: Option<Duration> = Some(Duration::from_secs(1));

/// A cluster in a node's eyes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whether the cluster is said to serve all its slots.
    pub is_ok: bool,
    /// Whether the node follows nobody, or has the data of whom it follows and hears what comes.
    pub is_up_to_date: bool,
    /// `CLUSTER NODES`, in the order of the ids.
    pub nodes: Vec<NodeLine>,
    /// Ids of the nodes, primaries and replicas, that hold all that was acknowledged at `quorum`.
    pub in_sync: Vec<String>,
}

/// A line of `CLUSTER NODES`.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeLine {
    pub id: String,
    pub port: u16,
    /// Whom it follows, if it does.
    pub primary: Option<String>,
    pub is_failed: bool,
    /// First and last of the runs of its slots.
    pub slots: Vec<(u16, u16)>,
    /// Which start of the node the cluster knows of.
    pub incarnation: String,
}

impl Seen {
    /// Asks the node at this address; `None` if it does not answer, or says what makes no sense.
    pub fn by(address: SocketAddr) -> Option<Self> {
        let options = Options { connect_timeout: WAIT, read_timeout: WAIT, ..Options::default() };
        let mut connection = Connection::open_with(address, options).ok()?;
        // First: what is said to be in sync after that is what the node holds then, and not what it is about to throw away.
        let is_up_to_date = !text(connection.call(&["INFO", "replication"]).ok()?)?.contains("master_link_status:down");
        let mut ask = |word: &str| text(connection.call(&["CLUSTER", word]).ok()?);
        let info = ask("INFO")?;
        let is_ok = info.contains("cluster_state:ok") && info.contains("cluster_slots_assigned:16384");
        let mut nodes: Vec<NodeLine> = ask("NODES")?.lines().map(NodeLine::parse).collect::<Option<_>>()?;
        nodes.sort_by(|one, other| one.id.cmp(&other.id));
        let topology = ask("TOPOLOGY")?;
        for line in &mut nodes {
            let (_, own) = topology.split_once(&format!("{{\"id\":\"{}\"", line.id))?;
            let (_, incarnation) = own.split_once("\"incarnation\":\"")?;
            line.incarnation = incarnation.split('"').next()?.to_owned();
        }
        // The lists are of ids alone, which are hexadecimal, so nothing else ends with a bracket in them.
        let lists = topology.split("\"in_sync\":[").skip(1).filter_map(|rest| rest.split(']').next());
        let in_sync = lists.flat_map(|list| list.split(',')).map(|id| id.trim_matches('"').to_owned()).collect();
        Some(Self { is_ok, is_up_to_date, nodes, in_sync })
    }

    /// The node at this port.
    pub fn at(&self, port: u16) -> Option<&NodeLine> {
        self.nodes.iter().find(|line| line.port == port)
    }

    /// The nodes that have slots.
    pub fn primaries(&self) -> Vec<&NodeLine> {
        self.nodes.iter().filter(|line| !line.slots.is_empty()).collect()
    }

    /// Those that follow a node with this id.
    pub fn replicas_of(&self, id: &str) -> Vec<&NodeLine> {
        self.nodes.iter().filter(|line| line.primary.as_deref() == Some(id)).collect()
    }

    /// Each node with its address, whom it follows, and its slots: what all nodes have to agree about.
    pub fn roles(&self) -> Vec<NodeLine> {
        let role = |line: &NodeLine| NodeLine { is_failed: false, incarnation: String::new(), ..line.clone() };
        self.nodes.iter().map(role).collect()
    }
}

impl NodeLine {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let [id, address, flags, primary, _sent, _heard, _epoch, _link, runs @ ..] = &words[..] else { return None };
        let port = address.split('@').next()?.rsplit_once(':')?.1.parse().ok()?;
        let run = |run: &&str| {
            let (first, last) = run.split_once('-').unwrap_or((run, run));
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        Some(Self {
            id: id.to_string(),
            port,
            primary: Some(*primary).filter(|primary| *primary != "-").map(str::to_owned),
            is_failed: flags.split(',').any(|flag| flag.starts_with("fail")),
            // A slot in brackets moves.
            slots: runs.iter().filter(|run| !run.starts_with('[')).map(run).collect::<Option<_>>()?,
            incarnation: String::new(),
        })
    }

    pub fn has_slot(&self, slot: u16) -> bool {
        self.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }

    /// How many slots it has.
    pub fn slot_count(&self) -> usize {
        self.slots.iter().map(|(first, last)| usize::from(last - first) + 1).sum()
    }
}

impl std::fmt::Debug for NodeLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { id, port, primary, is_failed, .. } = self;
        let role = primary.as_ref().map_or("primary".to_owned(), |primary| format!("follows {}", &primary[..8]));
        let failed = if *is_failed { ", failed" } else { "" };
        write!(f, "{} at {port}: {role}, {} slots{failed}", &id[..8], self.slot_count())
    }
}

fn text(reply: Reply) -> Option<String> {
    reply.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}
