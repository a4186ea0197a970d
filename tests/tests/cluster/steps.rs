//! Moves of slots that are broken off at one of their steps: an end is killed, or both, or the cluster calls them off. Afterwards each
//! slot has one owner, with all its data.

use crate::alone;
use crate::load::{Ending, append_to_the_end};
use crate::moves::wait_until_even;
use larder_tests::cluster::{Cluster, History, PATIENCE, check_histories};
use larder_tests::random::{Random, seed};
use larder_tests::wait_long;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

/// As `DEBUG MOVE-STOP` names them.
const STEPS: &[&str] = &["cleared", "copied", "confirmed", "held", "brought", "asked", "handed-over"];

/// What breaks a move off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    SourceDies,
    TargetDies,
    BothDie,
    CalledOff,
}

const FATES: &[Fate] = &[Fate::SourceDies, Fate::TargetDies, Fate::BothDie, Fate::CalledOff];

const WRITERS: usize = 2;
/// Keys of each writer.
const KEYS: usize = 30;

fn all() -> Vec<(&'static str, Fate)> {
    STEPS.iter().flat_map(|step| FATES.iter().map(|fate| (*step, *fate))).collect()
}

#[test]
fn moves_that_break_off_leave_each_slot_with_one_owner_and_all_its_data() {
    let _alone = alone();
    let mut random = Random::new(seed());
    let mut some = Vec::new();
    for _ in 0..2 {
        some.push(all()[random.below(all().len())]);
    }
    play(&some, &mut random);
}

#[test]
#[ignore = "takes some minutes"]
fn moves_that_break_off_at_each_step_leave_each_slot_with_one_owner_and_all_its_data() {
    let _alone = alone();
    play(&all(), &mut Random::new(seed()));
}

fn play(scenes: &[(&str, Fate)], random: &mut Random) {
    let mut cluster = Cluster::start(6, &[("--cluster-replicas", "1"), ("--enable-debug-command", "local")]);
    wait_until_even(&cluster, 3);
    let new = [cluster.add(), cluster.add()];
    for (number, (step, fate)) in scenes.iter().enumerate() {
        eprintln!("{step}: {fate:?}");
        let keys = |writer| (0..KEYS).map(|key| format!("list {number} {writer} {key}")).collect();
        let (is_over, acknowledged) = (AtomicBool::new(false), AtomicUsize::new(0));
        let histories: Vec<History> = thread::scope(|scope| {
            let _ending = Ending(&is_over);
            let (is_over, acknowledged) = (&is_over, &acknowledged);
            let writer = |writer| {
                let (guide, keys) = (cluster.guide().at_quorum(), keys(writer));
                scope.spawn(move || append_to_the_end(guide, keys, is_over, acknowledged))
            };
            let writers: Vec<_> = (0..WRITERS).map(writer).collect();
            wait_for_writes(acknowledged);
            break_off(&mut cluster, new, step, *fate, random);
            wait_for_writes(acknowledged);
            is_over.store(true, Relaxed);
            writers.into_iter().flat_map(|writer| writer.join().expect("a writer does not fail")).collect()
        });
        let [acknowledged, unknown, refused] = check_histories(&mut cluster.guide(), &histories);
        eprintln!("{step}: {fate:?}: {acknowledged} acknowledged, {unknown} unknown, {refused} refused");
        let written = (number + 1) * WRITERS * KEYS;
        cluster.wait_until("each key is there once", |cluster| {
            let primaries = cluster.seen().primaries().iter().map(|line| line.port).collect::<Vec<_>>();
            let keys = |port| cluster.client(cluster.at_port(port)).int("DBSIZE") as usize;
            primaries.into_iter().map(keys).sum::<usize>() == written
        });
    }
}

/// Waits until every key has been written to some times more.
fn wait_for_writes(acknowledged: &AtomicUsize) {
    let enough = acknowledged.load(Relaxed) + 5 * WRITERS * KEYS;
    wait_long(PATIENCE, "writes go on", || {
        (acknowledged.load(Relaxed) >= enough, format!("{acknowledged:?} of {enough}"))
    });
}

/// Has a shard come, breaks one of the moves to it off after a step, and has it leave again.
fn break_off(cluster: &mut Cluster, new: [usize; 2], step: &str, fate: Fate, random: &mut Random) {
    let primaries: Vec<usize> = cluster.seen().primaries().iter().map(|line| cluster.at_port(line.port)).collect();
    let source = primaries[random.below(primaries.len())];
    let logged = cluster.log(source).len();
    cluster.client(source).check(&format!("DEBUG MOVE-STOP {step}"), "OK");
    new.iter().for_each(|node| cluster.run(*node));
    let ids = new.map(|node| cluster.id(node));
    each_is_to(cluster, source, "STAY", &ids);
    let mut target = None;
    cluster.wait_until("a move stands still", |cluster| {
        let log = cluster.log(source).split_off(logged);
        let address = log.split_once("MOVE-STOP: the move to ").and_then(|(_, rest)| rest.split(' ').next());
        target = address.and_then(|address| Some(cluster.at_port(address.rsplit_once(':')?.1.parse().ok()?)));
        target.is_some()
    });
    let target = target.expect("it was just seen");
    match fate {
        Fate::SourceDies => kill_for_a_while(cluster, &[source], random),
        Fate::TargetDies => kill_for_a_while(cluster, &[target], random),
        Fate::BothDie => kill_for_a_while(cluster, &[source, target], random),
        Fate::CalledOff => each_is_to(cluster, source, "LEAVE", &ids),
    }
    cluster.client(source).check("DEBUG MOVE-STOP off", "OK");
    if fate != Fate::CalledOff {
        cluster.wait_until_whole();
        wait_until_even(cluster, 4);
        cluster.wait_until_whole();
    }
    each_is_to(cluster, primaries[0], "LEAVE", &ids);
    wait_until_even(cluster, 3);
    new.iter().for_each(|node| cluster.kill(*node));
    cluster.wait_until_whole();
}

/// Kills nodes, and starts them again sooner or later.
fn kill_for_a_while(cluster: &mut Cluster, nodes: &[usize], random: &mut Random) {
    nodes.iter().for_each(|node| cluster.kill(*node));
    thread::sleep(Duration::from_millis(random.below(1500) as u64));
    nodes.iter().for_each(|node| cluster.run(*node));
}

/// Has nodes leave the cluster, or stay.
fn each_is_to(cluster: &Cluster, told: usize, what: &str, ids: &[String]) {
    for id in ids {
        cluster.wait_until("the cluster takes the change", |cluster| {
            let answer = cluster.client(told).text(&format!("CLUSTER CHANGE {what} {id}"));
            // The cluster has no leader for a moment if that was killed, and who has just been started reads its log.
            let not_yet = ["TRYAGAIN", "CLUSTERDOWN", "ERR Unknown node"];
            let is_late = not_yet.iter().any(|text| answer.starts_with(text));
            let is_done = answer.parse::<u64>().is_ok() || answer.contains("it is so already");
            assert!(is_late || is_done, "CLUSTER CHANGE {what}: {answer}");
            is_done
        });
    }
}
