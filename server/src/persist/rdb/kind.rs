//! The type bytes of values. Each encoding of a type has its own.

/// Bytes.
pub const STRING: u8 = 0;
/// Strings.
pub const LIST: u8 = 1;
/// Strings.
pub const SET: u8 = 2;
/// Members with scores as text.
pub const ZSET: u8 = 3;
/// Fields and values.
pub const HASH: u8 = 4;
/// Members with scores of eight bytes, since RDB 8.
pub const ZSET_2: u8 = 5;
/// What a module has saved, behind the number of its type.
pub const MODULE_2: u8 = 7;
/// A zipmap, as Redis 2.4 wrote it.
pub const HASH_ZIPMAP: u8 = 9;
/// One ziplist, as Redis 3.0 wrote it.
pub const LIST_ZIPLIST: u8 = 10;
/// An array of integers.
pub const SET_INTSET: u8 = 11;
/// Members and scores in a ziplist, up to Redis 6.2.
pub const ZSET_ZIPLIST: u8 = 12;
/// Fields and values in a ziplist, up to Redis 6.2.
pub const HASH_ZIPLIST: u8 = 13;
/// Ziplists, since RDB 7 and up to Redis 6.2.
pub const LIST_QUICKLIST: u8 = 14;
/// A stream of Redis 5 and 6, since RDB 9.
pub const STREAM_LISTPACKS: u8 = 15;
/// Fields and values in a listpack, since RDB 10.
pub const HASH_LISTPACK: u8 = 16;
/// Members and scores in a listpack, since RDB 10.
pub const ZSET_LISTPACK: u8 = 17;
/// Listpacks and long elements, since RDB 10.
pub const LIST_QUICKLIST_2: u8 = 18;
/// A stream with counters, since RDB 10.
pub const STREAM_LISTPACKS_2: u8 = 19;
/// Members in a listpack, since RDB 11.
pub const SET_LISTPACK: u8 = 20;
/// A stream whose consumers have an active time, since RDB 11.
pub const STREAM_LISTPACKS_3: u8 = 21;
/// In Redis's RDB 12, as candidates for 7.4 wrote it: expiries, fields and values.
pub const HASH_METADATA_EARLY: u8 = 22;
/// In Valkey's RDB 80 the same byte: fields, values and expiries of eight bytes.
pub const HASH_2: u8 = 22;
/// As [`HASH_LISTPACK_EX`], of candidates for Redis 7.4.
pub const HASH_LISTPACK_EX_EARLY: u8 = 23;
/// The first expiry, then the distance of each field's expiry from it, field and value: since RDB 12.
pub const HASH_METADATA: u8 = 24;
/// The first expiry, then fields, values and expiries in a listpack: since RDB 12.
pub const HASH_LISTPACK_EX: u8 = 25;

/// A type as `TYPE` says it, and the encoding in words.
pub fn names(kind: u8) -> (&'static str, &'static str) {
    match kind {
        STRING => ("string", "string"),
        LIST => ("list", "strings"),
        LIST_ZIPLIST => ("list", "ziplist"),
        LIST_QUICKLIST => ("list", "ziplists"),
        LIST_QUICKLIST_2 => ("list", "listpacks"),
        SET => ("set", "strings"),
        SET_INTSET => ("set", "intset"),
        SET_LISTPACK => ("set", "listpack"),
        ZSET => ("zset", "members and text scores"),
        ZSET_2 => ("zset", "members and scores"),
        ZSET_ZIPLIST => ("zset", "ziplist"),
        ZSET_LISTPACK => ("zset", "listpack"),
        HASH => ("hash", "fields"),
        HASH_ZIPMAP => ("hash", "zipmap"),
        HASH_ZIPLIST => ("hash", "ziplist"),
        HASH_LISTPACK => ("hash", "listpack"),
        HASH_METADATA_EARLY | HASH_METADATA => ("hash", "fields that expire"),
        HASH_LISTPACK_EX_EARLY | HASH_LISTPACK_EX => ("hash", "listpack that expires"),
        STREAM_LISTPACKS | STREAM_LISTPACKS_2 | STREAM_LISTPACKS_3 => ("stream", "listpacks"),
        // Of modules' types it is the only one that is read.
        MODULE_2 => ("MBbloom--", "layers"),
        _ => ("unknown", "unknown"),
    }
}
