//! What somebody can do about a file that cannot be read.

use super::super::rdb::LoadError;
use super::super::rdb::file::Problem;
use super::Why;

/// A sentence for people.
pub(super) fn on(why: &Why) -> &'static str {
    match why {
        Why::NotThere => "Name a file, such as dump.rdb in the data directory of a Redis server (CONFIG GET dir).",
        Why::Folder => "Name the file in it; servers call it dump.rdb unless told otherwise.",
        Why::System(_) => "See whether the file may be read by this user, and whether the disk is well.",
        Why::Content(error) => match error.problem {
            Problem::Nothing => "Nothing was written; its server may have run out of disk. Take another copy.",
            Problem::NoMagic => {
                "Is it the right file? An append-only file without a preamble, for one, is no RDB file."
            }
            Problem::UnknownVersion { .. } => {
                "A server writes the format of its own version: have the data saved by one whose format is read, for \
                 which that server can be made a replica."
            }
            Problem::UnknownOpcode(_) | Problem::Value(LoadError::UnknownType(_)) => {
                "A newer server or a module has written it, or the bytes before it are damaged. Delete such keys on the \
                 server that has them and save again."
            }
            Problem::Value(_) | Problem::Checksum { .. } => {
                "The file was damaged after it was written: copy it anew from where it was saved, or take an older one."
            }
            Problem::Truncated { .. } => {
                "It was not written or copied to its end: see whether a disk is full, and copy or save it anew."
            }
        },
    }
}
