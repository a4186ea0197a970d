//! Servers that follow each other: what they say of it, and that they hold the same in the end, whatever befalls the link or
//! one of them.
//!
//! * `LARDER_TEST_SEED=7` writes the same again; the seed of every run is printed.
//! * `LARDER_TEST_SERVER=/usr/bin/redis-server` tests the tests, with the next one.
//! * `LARDER_TEST_CHAIN=redis,redis,redis,redis` chooses the servers of the chain, and `LARDER_TEST_PAIR=redis,larder` the
//!   primary and the replicas of the other tests, where `larder` is the server under test.
//! * `LARDER_TEST_KEYS=200000` and `LARDER_TEST_CUTS=100` ask for more than usual.
//! * `LARDER_TEST_LEFT_OUT=SPOP,XREADGROUP` does not send these commands.

mod basics;
mod chain;
mod cuts;
mod deaths;
mod promotion;
mod tools;

use larder_tests::Node;
use larder_tests::chain::{Make, follow, wait_for_link};

/// Which primary and which replicas tests start.
fn makes() -> (Make, Make) {
    let makes = Make::list("LARDER_TEST_PAIR", "larder,larder");
    assert_eq!(makes.len(), 2, "LARDER_TEST_PAIR names a primary and a replica");
    (makes[0], makes[1])
}

/// A primary, and a replica that has its data; `None` if the machine does not have them.
fn pair() -> Option<(Node, Node)> {
    let (primary, mut replica) = (makes().0.start(&[])?, makes().1.start(&[])?);
    follow(&mut replica, primary.address());
    wait_for_link(&mut replica);
    Some((primary, replica))
}
