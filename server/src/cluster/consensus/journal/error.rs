//! What goes wrong with a journal, in words that say what to do.

use std::fmt;
use std::io;

#[derive(Debug)]
pub enum Error {
    /// There is no journal in the folder, or one whose making was not finished.
    Absent,
    /// No cluster can begin like this.
    Start(String),
    /// What is there is not what was written.
    Damaged { file: String, offset: u64, found: String },
    /// The journal belongs to another cluster, node or member.
    Foreign { file: String, what: &'static str, found: String, own: String },
    /// A later version of this program has written it.
    Newer { file: String, format: u32 },
    /// There is no room. What was acknowledged stands; the same may be tried again when there is room.
    Full { file: String },
    /// The disk refused. What was acknowledged stands.
    Io { file: String, doing: &'static str, error: io::Error },
    /// A sync has failed before, so nobody knows what the disk holds of what it was given. The journal must be opened anew.
    Refusing { since: String },
}

impl Error {
    pub(super) fn io(file: &str, doing: &'static str, error: io::Error) -> Error {
        let file = file.to_owned();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::Full { file },
            _ => Error::Io { file, doing, error },
        }
    }
}

/// How a node comes back whose journal is of no use.
const WAY_OUT: &str = "restore the folder from a copy that was made after this node's last start, or empty the folder that it \
                       is in and let the node join again as a new one";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Absent => {
                write!(f, "there is no journal in the folder, and there was one before. To go on, {WAY_OUT}")
            }
            Error::Start(why) => f.write_str(why),
            Error::Damaged { file, offset, found } => {
                write!(
                    f,
                    "the journal is damaged: {file}, byte {offset}: {found}. Nothing was changed. To go on, {WAY_OUT}"
                )
            }
            Error::Foreign { file, what, found, own } => write!(
                f,
                "the journal is that of another {what}: {file} says {found}, and this is {own}. Nothing was changed. Start this \
                 node with a folder of its own, or remove the folder if the {found} is no longer needed"
            ),
            Error::Newer { file, format } => write!(
                f,
                "the journal was written by a newer version: {file} has format {format}, and this version reads up to {}. Nothing \
                 was changed. Start the newer version again, or {WAY_OUT}",
                super::FORMAT
            ),
            Error::Full { file } => {
                write!(
                    f,
                    "no room on the disk for {file}. What was acknowledged stands; make room, and writing goes on"
                )
            }
            Error::Io { file, doing, error } => write!(f, "{doing} {file}: {error}. What was acknowledged stands"),
            Error::Refusing { since } => write!(
                f,
                "the journal takes nothing more, since {since}: what the disk holds is not known. Restart the node; if this comes \
                 again, replace the disk"
            ),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
