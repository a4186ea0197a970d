//! A replica that becomes the primary: the others go on with it where they were.

use larder_tests::chain::{Make, Resyncs, follow, for_neighbours, for_pairs, settle};
use larder_tests::digest::check_alike;
use larder_tests::random::seed;
use larder_tests::writes::Writes;
use larder_tests::{Node, wait_until};

/// No ping comes between what is compared and what is done then.
const FLAGS: [(&str, &str); 2] = [("--repl-ping-replica-period", "3600"), ("--repl-backlog-size", "16mb")];

fn some_writes(seed: u64, commands: usize) -> Writes {
    Writes { seed, keys: 2_000, writers: 2, commands }
}

/// A primary and two replicas of it, with some data.
fn start(makes: [Make; 3], seed: u64) -> Option<[Node; 3]> {
    let [mut primary, mut one, mut other] = makes.map(|make| make.start(&FLAGS));
    let [primary, one, other] = [primary.take()?, one.take()?, other.take()?];
    let mut nodes = [primary, one, other];
    let address = nodes[0].address();
    some_writes(seed, 0).fill(&nodes[0]);
    nodes[1..].iter_mut().for_each(|replica| follow(replica, address));
    settle(&mut nodes.each_mut());
    Some(nodes)
}

#[test]
fn the_other_replica_resyncs_partially_with_the_promoted_one() {
    for_neighbours(|makes| {
        let seed = seed();
        let Some(mut nodes) = start(makes, seed) else { return };
        some_writes(seed, 5_000).run(&nodes[0]);
        settle(&mut nodes.each_mut());
        let [mut old, mut promoted, mut other] = nodes;
        let (id, offset) = (old.info("master_replid").expect("it has one"), old.info_number("master_repl_offset"));
        promoted.check("REPLICAOF NO ONE", "OK");
        follow(&mut other, promoted.address());
        settle(&mut [&mut promoted, &mut other]);
        assert_eq!(Resyncs::of(&mut promoted), Resyncs { full: 0, partial: 1, refused: 0 });
        assert_eq!(promoted.info("master_replid2").as_ref(), Some(&id), "it remembers whom it followed");
        assert_eq!(promoted.info_number("second_repl_offset"), offset + 1);
        assert_ne!(promoted.info("master_replid").as_ref(), Some(&id));
        check_alike(&[&old, &promoted, &other]);
        some_writes(seed + 1, 5_000).run(&promoted);
        settle(&mut [&mut promoted, &mut other]);
        check_alike(&[&promoted, &other]);
        // The one that was the primary comes back as a replica, and has written nothing since.
        follow(&mut old, promoted.address());
        some_writes(seed + 2, 5_000).run(&promoted);
        settle(&mut [&mut promoted, &mut other, &mut old]);
        check_alike(&[&promoted, &other, &old]);
        assert_eq!(Resyncs::of(&mut promoted), Resyncs { full: 0, partial: 2, refused: 0 });
    });
}

#[test]
fn after_a_primary_has_died_the_replica_that_is_ahead_can_be_followed() {
    for_neighbours(|makes| {
        let seed = seed();
        let Some(mut nodes) = start(makes, seed) else { return };
        let (primary, replicas) = nodes.split_first_mut().expect("there are three");
        let ((), tally) = some_writes(seed, 1_000_000).beside(primary, || {
            let much = replicas[0].info_number("slave_repl_offset") + 300_000;
            wait_until("much is written", || replicas[0].info_number("slave_repl_offset") > much);
            primary.signal("KILL");
            wait_until("both miss it", || {
                replicas.iter_mut().all(|replica| replica.info("master_link_status").as_deref() == Some("down"))
            });
        });
        assert!(tally.is_broken, "the primary was killed: {tally:?}");
        replicas.sort_by_key(|replica| std::cmp::Reverse(replica_offset(replica)));
        let [ahead, behind] = replicas else { unreachable!("there are two") };
        ahead.check("REPLICAOF NO ONE", "OK");
        follow(behind, ahead.address());
        some_writes(seed + 1, 3_000).run(ahead);
        settle(&mut [ahead, behind]);
        check_alike(&[ahead, behind]);
        assert_eq!(Resyncs::of(ahead), Resyncs { full: 0, partial: 1, refused: 0 });
    });
}

fn replica_offset(replica: &Node) -> i64 {
    let mut client = replica.connect();
    let info = client.text("INFO replication");
    let at = info.find("slave_repl_offset:").expect("a replica tells its offset") + "slave_repl_offset:".len();
    let digits: String = info[at..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("an offset is a number")
}

#[test]
fn a_primary_that_wrote_on_its_own_gives_that_up() {
    for_pairs(|[first, second]| {
        let seed = seed();
        let (Some(mut one), Some(mut other)) = (first.start(&FLAGS), second.start(&FLAGS)) else { return };
        follow(&mut other, one.address());
        some_writes(seed, 3_000).run(&one);
        settle(&mut [&mut one, &mut other]);
        other.check("REPLICAOF NO ONE", "OK");
        // Both go on by themselves from the same place.
        some_writes(seed + 1, 3_000).run(&one);
        some_writes(seed + 2, 2_000).run(&other);
        one.check("SET only:here 1", "OK");
        follow(&mut one, other.address());
        settle(&mut [&mut other, &mut one]);
        check_alike(&[&other, &one]);
        one.check("EXISTS only:here", "0");
        assert_eq!(other.info_number("sync_full"), 1);
    });
}
