//! What leaves memory and comes back: today single values (DUMP and RESTORE), in RDB's encoding of objects.

pub mod inspect;
pub mod rdb;
