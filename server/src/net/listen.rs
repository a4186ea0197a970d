//! Listening sockets, and who may connect to them.

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::Duration;

/// Why a socket could not be opened. Says what to do.
#[derive(Debug)]
pub struct CannotListen {
    address: SocketAddr,
    cause: io::Error,
}

impl CannotListen {
    /// Whether the machine has no such address.
    pub fn is_absent(&self) -> bool {
        let unsupported = self.cause.raw_os_error() == Some(libc::EAFNOSUPPORT);
        self.cause.kind() == io::ErrorKind::AddrNotAvailable || unsupported
    }
}

impl fmt::Display for CannotListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match self.cause.kind() {
            io::ErrorKind::AddrInUse => write!(
                f,
                "cannot listen on {address}: the port is taken by another process. \
                 Choose another one with --port, or stop that process"
            ),
            io::ErrorKind::PermissionDenied => write!(
                f,
                "cannot listen on {address}: this user may not use that port. Choose one above 1023 with --port"
            ),
            io::ErrorKind::AddrNotAvailable => write!(
                f,
                "cannot listen on {address}: this machine has no such address. Choose one of its own with --bind"
            ),
            _ => write!(f, "cannot listen on {address}: {}", self.cause),
        }
    }
}

impl std::error::Error for CannotListen {}

/// Opens a listening socket. Port 0 takes a free one.
///
/// # Errors
///
/// [`CannotListen`] with what the system said.
pub fn listen(address: SocketAddr, backlog: u32) -> Result<TcpListener, CannotListen> {
    open(address, backlog).map_err(|cause| CannotListen { address, cause })
}

fn open(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog.min(i32::MAX as u32) as i32)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Sets a new connection up: replies leave at once, and a dead peer is noticed.
pub fn set_up(stream: &std::net::TcpStream, keepalive_s: u64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    if keepalive_s > 0 {
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(keepalive_s))
            .with_interval(Duration::from_secs((keepalive_s / 3).max(1)));
        SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}

/// The text a stranger gets in protected mode, complete with line end.
pub const DENIED: &[u8] = b"-DENIED Larder is running in protected mode because protected mode is enabled and no \
password is set. In this mode connections are only accepted from the loopback interface. To connect from elsewhere, \
either set a password with 'requirepass', or turn the protection off with 'protected-mode no' if nobody else can reach \
this port.\r\n";

/// The text one client too many gets.
pub const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

/// Whether a peer may connect in protected mode.
pub fn is_local(peer: IpAddr) -> bool {
    match peer {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.is_loopback() || address.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_says_so() {
        let first = listen("127.0.0.1:0".parse().unwrap(), 16).unwrap();
        let address = first.local_addr().unwrap();
        let refusal = listen(address, 16).expect_err("the port is taken").to_string();
        assert!(refusal.contains("the port is taken by another process"), "{refusal}");
        assert!(refusal.contains(&address.to_string()), "{refusal}");
    }

    #[test]
    fn only_the_loopback_is_local() {
        for (peer, local) in [("127.0.0.1", true), ("::1", true), ("::ffff:127.0.0.1", true), ("10.0.0.1", false)] {
            assert_eq!(is_local(peer.parse().unwrap()), local, "{peer}");
        }
    }
}
