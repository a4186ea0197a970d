//! Tests of consensus: its parts by all that can be fed to them, and whole clusters in one process, with a network and disks
//! that fail as a seed says.

mod cluster;
mod codec;
mod network;
pub mod random;
mod recovery;
mod speed;
