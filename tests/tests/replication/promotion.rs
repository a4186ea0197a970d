//! A replica becomes the primary, and its sibling follows it.

use crate::makes;
use larder_tests::chain::{follow, wait_for_agreement, wait_for_link};
use larder_tests::digest::check_alike;
use larder_tests::random::seed;
use larder_tests::writes::{Load, fill};

#[test]
fn a_sibling_goes_on_with_the_promoted_one() {
    let (first, second) = makes();
    let Some(mut old) = first.start(&[]) else { return };
    let (Some(mut promoted), Some(mut sibling)) = (second.start(&[]), second.start(&[])) else { return };
    let seed = seed();
    fill(&mut old, seed, 3_000);
    for replica in [&mut promoted, &mut sibling] {
        follow(replica, old.address());
        wait_for_link(replica);
    }
    Load::start(&old, seed, 2, 3_000, 3_000).finish();
    wait_for_agreement(&mut old, &mut [&mut promoted, &mut sibling]);
    let id = old.info("master_replid");
    promoted.check("REPLICAOF NO ONE", "OK");
    assert_eq!(promoted.info("role").as_deref(), Some("master"));
    assert_ne!(promoted.info("master_replid"), id);
    assert_eq!(promoted.info("master_replid2"), id);
    let load = Load::start(&promoted, seed + 1, 2, 3_000, 3_000);
    follow(&mut sibling, promoted.address());
    wait_for_link(&mut sibling);
    load.finish();
    wait_for_agreement(&mut promoted, &mut [&mut sibling]);
    check_alike(&[&promoted, &sibling]);
    let seen = [promoted.info_number("sync_full"), promoted.info_number("sync_partial_ok")];
    assert_eq!(seen, [0, 1], "full and partial resyncs");
    // The old one has nothing of its own that the promoted one does not have, and goes on as well.
    follow(&mut old, promoted.address());
    wait_for_link(&mut old);
    wait_for_agreement(&mut promoted, &mut [&mut old, &mut sibling]);
    check_alike(&[&promoted, &old, &sibling]);
}
