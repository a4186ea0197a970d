//! What a client is told when it asked for something that cannot be done.

use std::borrow::Cow;
use std::fmt;

/// A refusal the client sees. Its `Display` is the text on the wire, without the leading `-`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No command has this name; the arguments are shown for the reader of the log at the other end.
    UnknownCommand {
        name: Vec<u8>,
        args: Vec<u8>,
    },
    /// The command has no such sub-command.
    UnknownSubcommand {
        name: &'static str,
        sub: Vec<u8>,
    },
    /// Too few or too many words. The name is in lower case, `container|sub` for sub-commands.
    Arity(Cow<'static, str>),
    Syntax,
    NotInteger,
    NotFloat,
    OutOfRange(&'static str),
    /// An expiry that is not a time, or lies beyond what can be kept.
    InvalidExpire(Cow<'static, str>),
    WrongType,
    NoSuchKey,
    NoAuth,
    WrongPass,
    NoPassword,
    NoProto,
    OutOfMemory,
    Overflow,
    NotANumberOrInfinity,
    TooLong,
    BusyKey,
    DbIndex,
    /// The slot is served by another node, for good. A host is given as clients are to write it, and may be empty.
    Moved {
        slot: u16,
        host: String,
        port: u16,
    },
    /// The keys of a command, or of a transaction, are in more than one slot.
    CrossSlot,
    /// No shard has the slot.
    SlotUnserved,
    /// The node is the primary of the slot's shard, and has no lease.
    ClusterDown,
    /// A handler broke; its name is in the log.
    Internal,
    /// A text that one command alone uses, complete with its code.
    Text(Cow<'static, str>),
    /// Raw bytes of an error, complete with its code, where it repeats what the client sent.
    Bytes(Vec<u8>),
}

impl Fault {
    /// A text of one command, complete with its code.
    pub const fn text(text: &'static str) -> Fault {
        Fault::Text(Cow::Borrowed(text))
    }

    /// A text made on the way, complete with its code.
    pub fn owned(text: String) -> Fault {
        Fault::Text(Cow::Owned(text))
    }

    /// A sub-command that is unknown or has words that it does not take, where Redis does not tell the two apart.
    pub fn subcommand_syntax(container: &str, sub: &[u8]) -> Fault {
        let head = b"ERR unknown subcommand or wrong number of arguments for '";
        let shown = &sub[..sub.len().min(128)];
        Fault::Bytes([&head[..], shown, b"'. Try ", container.as_bytes(), b" HELP."].concat())
    }

    /// Whether it says that this node does not serve the slot of the keys.
    pub fn is_about_slots(&self) -> bool {
        matches!(self, Fault::Moved { .. } | Fault::CrossSlot | Fault::SlotUnserved | Fault::ClusterDown)
    }

    /// The bytes on the wire. Line ends, which would break the protocol, become spaces.
    pub fn wire(&self) -> Vec<u8> {
        let mut wire = match self {
            Fault::UnknownCommand { name, args } => {
                let mut wire = b"ERR unknown command '".to_vec();
                wire.extend_from_slice(&name[..name.len().min(128)]);
                wire.extend_from_slice(b"', with args beginning with: ");
                wire.extend_from_slice(args);
                wire
            }
            Fault::UnknownSubcommand { name, sub } => {
                let mut wire = b"ERR unknown subcommand '".to_vec();
                wire.extend_from_slice(&sub[..sub.len().min(128)]);
                wire.extend_from_slice(b"'. Try ");
                wire.extend_from_slice(name.as_bytes());
                wire.extend_from_slice(b" HELP.");
                wire
            }
            Fault::Bytes(bytes) => bytes.clone(),
            other => other.to_string().into_bytes(),
        };
        wire.iter_mut().filter(|byte| matches!(byte, b'\r' | b'\n')).for_each(|byte| *byte = b' ');
        wire
    }

    /// The first word, by which `INFO errorstats` counts.
    pub fn code(&self) -> String {
        let wire = self.wire();
        let end = wire.iter().position(|&byte| byte == b' ').unwrap_or(wire.len());
        String::from_utf8_lossy(&wire[..end]).into_owned()
    }
}

impl From<crate::store::WrongType> for Fault {
    fn from(_: crate::store::WrongType) -> Fault {
        Fault::WrongType
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Arity(name) => write!(f, "ERR wrong number of arguments for '{name}' command"),
            Fault::Syntax => f.write_str("ERR syntax error"),
            Fault::NotInteger => f.write_str("ERR value is not an integer or out of range"),
            Fault::NotFloat => f.write_str("ERR value is not a valid float"),
            Fault::OutOfRange(what) => write!(f, "ERR {what} is out of range"),
            Fault::InvalidExpire(name) => write!(f, "ERR invalid expire time in '{name}' command"),
            Fault::WrongType => f.write_str("WRONGTYPE Operation against a key holding the wrong kind of value"),
            Fault::NoSuchKey => f.write_str("ERR no such key"),
            Fault::NoAuth => f.write_str("NOAUTH Authentication required."),
            Fault::WrongPass => f.write_str("WRONGPASS invalid username-password pair or user is disabled."),
            Fault::NoPassword => f.write_str(
                "ERR AUTH <password> called without any password configured for the default user. \
                 Are you sure your configuration is correct?",
            ),
            Fault::NoProto => f.write_str("NOPROTO unsupported protocol version"),
            Fault::OutOfMemory => f.write_str("OOM command not allowed when used memory > 'maxmemory'."),
            Fault::Overflow => f.write_str("ERR increment or decrement would overflow"),
            Fault::NotANumberOrInfinity => f.write_str("ERR increment would produce NaN or Infinity"),
            Fault::TooLong => f.write_str("ERR string exceeds maximum allowed size (proto-max-bulk-len)"),
            Fault::BusyKey => f.write_str("BUSYKEY Target key name already exists."),
            Fault::DbIndex => f.write_str("ERR DB index is out of range"),
            Fault::Moved { slot, host, port } => write!(f, "MOVED {slot} {host}:{port}"),
            Fault::CrossSlot => f.write_str("CROSSSLOT Keys in request don't hash to the same slot"),
            Fault::SlotUnserved => f.write_str("CLUSTERDOWN Hash slot not served"),
            Fault::ClusterDown => f.write_str("CLUSTERDOWN The cluster is down"),
            Fault::Internal => f.write_str("ERR internal error"),
            Fault::Text(text) => f.write_str(text),
            Fault::UnknownCommand { .. } | Fault::UnknownSubcommand { .. } | Fault::Bytes(_) => {
                f.write_str(&String::from_utf8_lossy(&self.wire()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_sent_cannot_break_the_protocol() {
        let fault = Fault::UnknownCommand { name: b"fo\r\no".to_vec(), args: b"'a' ".to_vec() };
        assert_eq!(fault.wire(), b"ERR unknown command 'fo  o', with args beginning with: 'a' ");
        assert_eq!(fault.code(), "ERR");
        assert_eq!(Fault::WrongType.code(), "WRONGTYPE");
    }
}
