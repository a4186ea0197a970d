//! `SORT` and `SORT_RO`.
use super::*;
pub const COMMANDS: &[Command] = &[];
