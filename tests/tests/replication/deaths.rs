//! A replica or a primary halts or dies, and comes back.

use crate::makes;
use larder_tests::chain::{Make, follow, wait_for_agreement, wait_for_link};
use larder_tests::digest::check_alike;
use larder_tests::random::seed;
use larder_tests::writes::{Load, fill};
use larder_tests::{Link, Node, wait_until};

/// Kills a server and starts another in its folder. The dead one is returned, too, as the folder goes with it.
fn reborn(make: Make, mut node: Node) -> (Node, Node) {
    node.signal("KILL");
    node.wait_for_exit();
    let folder = node.folder().to_str().expect("temporary folders have plain names").to_owned();
    let next = make.start(&[("--dir", &folder)]).expect("there was one before");
    (next, node)
}

#[test]
fn a_replica_that_was_stopped_catches_up() {
    let (Some(mut primary), Some(mut replica)) = (makes().0.start(&[]), makes().1.start(&[])) else { return };
    let seed = seed();
    fill(&mut primary, seed, 3_000);
    follow(&mut replica, primary.address());
    wait_for_link(&mut replica);
    let load = Load::start(&primary, seed, 2, usize::MAX, 3_000);
    replica.signal("STOP");
    let before = primary.info_number("master_repl_offset");
    wait_until("much is written meanwhile", || primary.info_number("master_repl_offset") > before + 5_000_000);
    replica.signal("CONT");
    load.stop();
    wait_for_agreement(&mut primary, &mut [&mut replica]);
    check_alike(&[&primary, &replica]);
}

#[test]
fn a_replica_that_dies_while_it_takes_the_data_begins_again() {
    let (Some(mut primary), Some(mut replica)) = (makes().0.start(&[]), makes().1.start(&[])) else { return };
    let seed = seed();
    fill(&mut primary, seed, 6_000);
    let load = Load::start(&primary, seed, 2, usize::MAX, 6_000);
    let link = Link::to(primary.address());
    // It holds a part of the data when it dies.
    link.cut_after(100_000);
    follow(&mut replica, link.address());
    wait_until("a part of the data has come", || !link.is_cut_ahead());
    let (mut replica, _dead) = reborn(makes().1, replica);
    follow(&mut replica, link.address());
    wait_for_link(&mut replica);
    load.stop();
    wait_for_agreement(&mut primary, &mut [&mut replica]);
    check_alike(&[&primary, &replica]);
}

#[test]
fn a_primary_that_died_goes_on_from_its_snapshot() {
    let (Some(mut primary), Some(mut replica)) = (makes().0.start(&[]), makes().1.start(&[])) else { return };
    let seed = seed();
    fill(&mut primary, seed, 3_000);
    let link = Link::to(primary.address());
    follow(&mut replica, link.address());
    wait_for_link(&mut replica);
    let load = Load::start(&primary, seed, 2, usize::MAX, 3_000);
    // Refused while the process that has sent the replica its data is not yet gone.
    wait_until("the primary saves", || primary.text("SAVE") == "OK");
    let before = primary.info_number("master_repl_offset");
    // What is written now is lost, and the replica has it.
    wait_until("more is written", || primary.info_number("master_repl_offset") > before + 100_000);
    let (mut primary, _dead) = reborn(makes().0, primary);
    load.lose();
    link.heal_to(primary.address());
    let load = Load::start(&primary, seed + 100, 2, 3_000, 3_000);
    wait_for_link(&mut replica);
    load.finish();
    wait_for_agreement(&mut primary, &mut [&mut replica]);
    assert!(check_alike(&[&primary, &replica]) > 1_000);
}
