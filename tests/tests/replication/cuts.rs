//! The link between a replica and its primary is cut again and again, in the middle of whatever it carries.

use crate::makes;
use larder_tests::chain::{follow, wait_for_agreement, wait_for_link};
use larder_tests::digest::check_alike;
use larder_tests::random::{Random, seed, setting};
use larder_tests::writes::{Load, fill};
use larder_tests::{Link, wait_long, wait_until};
use std::time::Duration;

#[test]
fn a_replica_goes_on_where_it_was_cut_off() {
    let (Some(mut primary), Some(mut replica)) = (makes().0.start(&[]), makes().1.start(&[])) else { return };
    let (seed, cuts) = (seed(), setting("LARDER_TEST_CUTS").unwrap_or(15) as i64);
    let mut random = Random::new(seed);
    fill(&mut primary, seed, 3_000);
    let link = Link::to(primary.address());
    follow(&mut replica, link.address());
    wait_for_link(&mut replica);
    let load = Load::start(&primary, seed, 2, usize::MAX, 3_000);
    for cut in 1..=cuts {
        if random.percent(25) {
            link.refuse();
            wait_until("the replica sees it", || replica.info("master_link_status").as_deref() == Some("down"));
            link.heal();
        } else {
            link.cut_after(1 + random.below(300_000));
            wait_until("the link is cut", || !link.is_cut_ahead());
        }
        wait_long(Duration::from_secs(20), "the replica goes on", || {
            let mut count = |field| primary.info_number(field);
            let (full, partial, refused) = (count("sync_full"), count("sync_partial_ok"), count("sync_partial_err"));
            let status = replica.info("master_link_status").unwrap_or_default();
            let seen =
                format!("after {cut} cuts its link is {status}: {partial} partial, {refused} refused, {full} full");
            (partial >= cut, format!("{seen}\n{}", replica.log()))
        });
    }
    load.stop();
    wait_for_agreement(&mut primary, &mut [&mut replica]);
    check_alike(&[&primary, &replica]);
    assert_eq!(primary.info_number("sync_full"), 1, "a cut has led to a full resync");
}

#[test]
fn a_replica_whose_data_is_cut_off_begins_again() {
    let (Some(mut primary), Some(mut replica)) = (makes().0.start(&[]), makes().1.start(&[])) else { return };
    let seed = seed();
    fill(&mut primary, seed, 3_000);
    let link = Link::to(primary.address());
    link.cut_after(50_000);
    follow(&mut replica, link.address());
    wait_until("the link is cut", || !link.is_cut_ahead());
    wait_for_link(&mut replica);
    wait_for_agreement(&mut primary, &mut [&mut replica]);
    assert!(check_alike(&[&primary, &replica]) > 1_000);
    assert!(primary.info_number("sync_full") >= 2);
}
