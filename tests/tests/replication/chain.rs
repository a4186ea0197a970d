//! Four servers in a row hold the same, while the first is written to.

use larder_tests::Node;
use larder_tests::chain::{Make, follow, wait_for_agreement, wait_for_link};
use larder_tests::digest::check_alike;
use larder_tests::random::{seed, setting};
use larder_tests::writes::{Load, fill};

#[test]
fn a_chain_holds_what_its_first_server_holds() {
    let makes = Make::list("LARDER_TEST_CHAIN", "redis,larder,larder,redis");
    let Some(mut nodes) = makes.iter().map(|make| make.start(&[])).collect::<Option<Vec<Node>>>() else { return };
    let (seed, keys) = (seed(), setting("LARDER_TEST_KEYS").unwrap_or(20_000) as usize);
    fill(&mut nodes[0], seed, keys);
    let load = Load::start(&nodes[0], seed, 3, keys, keys);
    for at in 1..nodes.len() {
        let primary = nodes[at - 1].address();
        follow(&mut nodes[at], primary);
    }
    nodes[1..].iter_mut().for_each(wait_for_link);
    let written = load.finish();
    let (first, others) = nodes.split_first_mut().expect("a chain has servers");
    wait_for_agreement(first, &mut others.iter_mut().collect::<Vec<_>>());
    let held = check_alike(&nodes.iter().collect::<Vec<_>>());
    eprintln!("{makes:?} hold {held} keys after {written} commands");
    assert!(held > keys / 4, "only {held} keys are left");
}
