//! Who a node is: its id, and the cluster that it is of with its number there, kept in a file beside the log.
//!
//! ```text
//! larder node 1
//! node 5f0c...        40 hexadecimal digits, drawn at the first start
//! cluster 91ab...     once it is of one
//! number 3
//! ```

use super::consensus::journal::Disk;
use super::id::Id;
use std::fmt;
use std::io;

const NAME: &str = "node";
const NEW: &str = "node.new";
const HEAD: &str = "larder node 1";

/// Who a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub node: Id,
    /// Its cluster, and the number by which the log of that knows it.
    pub membership: Option<(Id, u64)>,
}

/// Why it cannot be told who a node is.
#[derive(Debug)]
pub enum Unknown {
    Io(io::Error),
    Damaged,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unknown::Io(error) => write!(f, "the file `{NAME}` cannot be read or written: {error}"),
            Unknown::Damaged => write!(
                f,
                "the file `{NAME}` is damaged or of another version: restore it, or empty the folder and let the node join again as \
                 a new one"
            ),
        }
    }
}

impl std::error::Error for Unknown {}

impl From<io::Error> for Unknown {
    fn from(error: io::Error) -> Unknown {
        Unknown::Io(error)
    }
}

impl Identity {
    /// Reads it; `None` if the node has not been started before.
    ///
    /// # Errors
    ///
    /// [`Unknown`]
    pub fn load(disk: &impl Disk) -> Result<Option<Identity>, Unknown> {
        if !disk.list()?.iter().any(|name| name == NAME) {
            return Ok(None);
        }
        let text = String::from_utf8(disk.read(NAME)?).map_err(|_| Unknown::Damaged)?;
        parse(&text).map(Some).ok_or(Unknown::Damaged)
    }

    /// Writes it, at one moment.
    ///
    /// # Errors
    ///
    /// What the disk says; what was there before stands.
    pub fn save(&self, disk: &mut impl Disk) -> io::Result<()> {
        let mut text = format!("{HEAD}\nnode {}\n", self.node);
        if let Some((cluster, number)) = self.membership {
            text.push_str(&format!("cluster {cluster}\nnumber {number}\n"));
        }
        disk.create(NEW)?;
        disk.append(NEW, text.as_bytes())?;
        disk.sync(NEW)?;
        disk.rename(NEW, NAME)?;
        disk.sync_folder()
    }
}

fn parse(text: &str) -> Option<Identity> {
    let mut lines = text.lines();
    if lines.next() != Some(HEAD) || !text.ends_with('\n') {
        return None;
    }
    let node = lines.next()?.strip_prefix("node ")?.parse().ok()?;
    let Some(cluster) = lines.next() else { return Some(Identity { node, membership: None }) };
    let cluster = cluster.strip_prefix("cluster ")?.parse().ok()?;
    let number = lines.next()?.strip_prefix("number ")?.parse().ok().filter(|number| *number > 0)?;
    lines.next().is_none().then_some(Identity { node, membership: Some((cluster, number)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::consensus::journal::simulated::Simulated;

    const NODE: Id = Id::new([7; 20]);

    #[test]
    fn a_node_knows_who_it_was() {
        let mut disk = Simulated::default();
        assert_eq!(Identity::load(&disk).unwrap(), None);
        for membership in [None, Some((Id::new([9; 20]), 12))] {
            let identity = Identity { node: NODE, membership };
            identity.save(&mut disk).unwrap();
            assert_eq!(Identity::load(&disk).unwrap(), Some(identity));
        }
    }

    #[test]
    fn what_is_not_whole_is_damaged() {
        let mut disk = Simulated::default();
        Identity { node: NODE, membership: Some((NODE, 3)) }.save(&mut disk).unwrap();
        let whole = disk.bytes(NAME).clone();
        for end in 0..whole.len() {
            *disk.bytes(NAME) = whole[..end].to_vec();
            let read = Identity::load(&disk);
            // What ends behind the second line is what a node is before it joins.
            let is_shorter = matches!(read, Ok(Some(Identity { node: NODE, membership: None })));
            assert!(is_shorter || matches!(read, Err(Unknown::Damaged)), "{end}: {read:?}");
        }
    }
}
