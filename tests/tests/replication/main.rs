//! Replication between running servers of three makes: that replicas hold what their primary does, whatever happens between.
//!
//! * `LARDER_TEST_CHAIN=redis,larder,larder,redis` says which server stands where, see `larder_tests::chain`.
//! * `LARDER_TEST_VALKEY=/path/to/valkey-server` names the Valkey, if there is none on the PATH. Without one, its tests are skipped.
//! * `LARDER_TEST_KEYS=1000000` begins the chain with more than the usual 20 000 keys.
//! * `LARDER_TEST_CUTS=100` cuts a link oftener than the usual 20 times.
//! * `LARDER_TEST_ROUNDS=10 LARDER_TEST_WRITES=10000` kills a durable primary oftener, with more acknowledged writes each time.
//! * `LARDER_TEST_SEED=7` writes the same again; every seed is printed. What happens at the same time differs all the same.

mod chains;
mod cuts;
mod durability;
mod expiry;
mod failover;
mod filters;
mod groups;
mod halts;
mod lost;
mod promotion;
mod session;
mod tools;
mod valkey;
