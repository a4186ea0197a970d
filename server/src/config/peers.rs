//! Nodes as people write them: `HOST:PORT`, or `HOST:PORT@BUS-PORT`, several with spaces or commas between them.

use std::fmt;

/// The port for other nodes is so far above the one for clients unless it is given, as in Redis.
pub const BUS_PORT_ABOVE: u16 = 10_000;

/// Where a node can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub host: String,
    pub port: u16,
    pub bus_port: u16,
}

/// The text is not one of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAPeer(String);

impl fmt::Display for NotAPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}' is no HOST:PORT or HOST:PORT@BUS-PORT; without one, the bus port is the port + 10000", self.0)
    }
}

/// The nodes of a list.
///
/// # Errors
///
/// [`NotAPeer`], with the one that is wrong.
pub fn peers_of(text: &str) -> Result<Vec<Peer>, NotAPeer> {
    let words = text.split(|a: char| a.is_ascii_whitespace() || a == ',').filter(|word| !word.is_empty());
    words.map(|word| peer_of(word).ok_or_else(|| NotAPeer(word.to_owned()))).collect()
}

fn peer_of(text: &str) -> Option<Peer> {
    let (address, bus) = text.split_once('@').map_or((text, None), |(address, bus)| (address, Some(bus)));
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
    let bus_port = match bus {
        Some(bus) => bus.parse().ok().filter(|port| *port > 0)?,
        None => port.checked_add(BUS_PORT_ABOVE)?,
    };
    (!host.is_empty()).then(|| Peer { host: host.to_owned(), port, bus_port })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(host: &str, port: u16, bus_port: u16) -> Peer {
        Peer { host: host.to_owned(), port, bus_port }
    }

    #[test]
    fn a_node_is_a_host_and_its_ports() {
        assert_eq!(
            peers_of("10.0.0.1:7001, cache-2:7002@9000  [::1]:7003"),
            Ok(vec![peer("10.0.0.1", 7001, 17001), peer("cache-2", 7002, 9000), peer("::1", 7003, 17003)])
        );
        assert_eq!(peers_of(" "), Ok(vec![]));
    }

    #[test]
    fn what_is_none_is_named() {
        for wrong in ["7001", ":7001", "h:0", "h:x", "h:60000", "h:1@0", "h:1@x"] {
            let error = peers_of(&format!("h:1 {wrong}")).expect_err(wrong).to_string();
            assert!(error.starts_with(&format!("'{wrong}' is no HOST:PORT")), "{error}");
        }
        assert_eq!(peers_of("h:60000@1"), Ok(vec![peer("h", 60000, 1)]));
    }
}
