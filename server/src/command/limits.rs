//! Up to where collections keep their compact forms, and how much is remembered: settings as handlers need them.

use crate::config::Live;
use crate::persist::rdb;
use crate::types::stream::NodeLimits;
use crate::types::{hash, list, set, zset};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

/// Copies of live settings, read by every write to a collection.
#[derive(Default)]
pub struct Limits([AtomicI64; COUNT]);

const COUNT: usize = 12;

/// Where each setting stands in [`Limits`].
mod at {
    pub const HASH_ENTRIES: usize = 0;
    pub const HASH_VALUE: usize = 1;
    pub const LIST_SIZE: usize = 2;
    pub const SET_INTS: usize = 3;
    pub const SET_ENTRIES: usize = 4;
    pub const SET_VALUE: usize = 5;
    pub const ZSET_ENTRIES: usize = 6;
    pub const ZSET_VALUE: usize = 7;
    pub const HLL_SPARSE: usize = 8;
    pub const STREAM_BYTES: usize = 9;
    pub const STREAM_ENTRIES: usize = 10;
    pub const TRACKED_KEYS: usize = 11;
}

impl Limits {
    /// Takes the settings as they are now.
    pub fn update(&self, live: &Live) {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let values = [
            number(live.hash_max_listpack_entries()),
            number(live.hash_max_listpack_value().0),
            live.list_max_listpack_size(),
            number(live.set_max_intset_entries()),
            number(live.set_max_listpack_entries()),
            number(live.set_max_listpack_value().0),
            number(live.zset_max_listpack_entries()),
            number(live.zset_max_listpack_value().0),
            number(live.hll_sparse_max_bytes().0),
            number(live.stream_node_max_bytes().0),
            number(live.stream_node_max_entries()),
            number(live.tracking_table_max_keys()),
        ];
        for (place, value) in self.0.iter().zip(values) {
            place.store(value, Relaxed);
        }
    }

    fn at(&self, index: usize) -> usize {
        self.0[index].load(Relaxed) as usize
    }

    pub fn of_hash(&self) -> hash::Limits {
        hash::Limits { entries_max: self.at(at::HASH_ENTRIES), value_max: self.at(at::HASH_VALUE) }
    }

    pub fn of_list(&self) -> list::Limits {
        list::Limits::new(self.0[at::LIST_SIZE].load(Relaxed) as i32)
    }

    pub fn of_set(&self) -> set::Limits {
        set::Limits {
            ints_max: self.at(at::SET_INTS),
            entries_max: self.at(at::SET_ENTRIES),
            value_max: self.at(at::SET_VALUE),
        }
    }

    pub fn of_zset(&self) -> zset::Limits {
        zset::Limits { entries_max: self.at(at::ZSET_ENTRIES), value_max: self.at(at::ZSET_VALUE) }
    }

    /// Those of all types that may be read from a dump.
    pub fn of_loaded(&self) -> rdb::Limits {
        rdb::Limits { hash: self.of_hash(), list: self.of_list(), set: self.of_set(), zset: self.of_zset() }
    }

    /// Bytes up to which a HyperLogLog stays sparse.
    pub fn hll_sparse_max(&self) -> usize {
        self.at(at::HLL_SPARSE)
    }

    /// Keys that are remembered for clients that keep copies; 0 for any number.
    pub fn tracked_keys_max(&self) -> usize {
        self.at(at::TRACKED_KEYS)
    }

    pub fn of_stream(&self) -> NodeLimits {
        NodeLimits { bytes_max: self.at(at::STREAM_BYTES), entries_max: self.at(at::STREAM_ENTRIES) }
    }
}
