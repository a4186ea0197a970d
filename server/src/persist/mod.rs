//! What leaves memory and comes back: single values (DUMP and RESTORE) and files, in RDB's encoding of objects.

pub mod inspect;
pub mod rdb;
