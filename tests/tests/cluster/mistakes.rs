//! What people do wrong: nothing breaks, and a node says what is wrong and what to do.

use crate::alone;
use larder_tests::cluster::Cluster;
use larder_tests::random::{Random, seed};
use std::fs;
use std::path::Path;

/// Expects a node to leave at its start with these words.
#[track_caller]
fn check_refused(cluster: &mut Cluster, node: usize, words: &[&str]) {
    let ended = cluster.run_in_vain(node);
    assert!(!ended.status.success(), "{}", ended.stdout);
    for text in words {
        assert!(ended.stdout.contains(text), "no {text:?} in:\n{}", ended.stdout);
    }
}

/// Copies a folder, with what is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be created");
    for entry in fs::read_dir(from).expect("a folder can be read").flatten() {
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        if old.is_dir() {
            copy(&old, &new);
        } else if old.file_name().is_some_and(|name| name != "server.log") {
            fs::copy(&old, &new).expect("a file can be copied");
        }
    }
}

#[test]
fn a_node_with_another_secret_is_not_talked_to() {
    let _alone = alone();
    let mut cluster = Cluster::start(3, &[("--cluster-secret", "one")]);
    let before = cluster.seen();
    let stranger = cluster.add();
    cluster.set(stranger, "--cluster-secret", "another");
    cluster.run(stranger);
    cluster.wait_for_log(stranger, "it has another secret: set `cluster-secret` to the same on all nodes");
    assert_eq!(cluster.seen(), before);
    cluster.kill(stranger);
    cluster.set(stranger, "--cluster-secret", "one");
    cluster.run(stranger);
    cluster.wait_until("it is known", |cluster| cluster.seen().nodes.len() == 4);
}

#[test]
fn a_secret_is_asked_for_where_others_can_connect() {
    let _alone = alone();
    let mut cluster = Cluster::prepare(1, &[("--bind", "0.0.0.0")]);
    check_refused(&mut cluster, 0, &["needs a secret: set cluster-secret to the same long random text on all nodes"]);
    cluster.set(0, "--cluster-secret", "a long random text");
    cluster.run(0);
    cluster.wait_until_whole();
}

#[test]
fn a_node_of_another_cluster_is_told_how_to_join_this_one() {
    let _alone = alone();
    let mut cluster = Cluster::start(3, &[]);
    let before = cluster.seen();
    let mut other = Cluster::start(2, &[]);
    other.kill_all();
    let stranger = cluster.add();
    copy(&other.data(1), &cluster.data(stranger));
    cluster.run(stranger);
    let words = "to let it join this one, stop it and empty its data folder";
    let is_told = |cluster: &Cluster| (0..4).any(|node| cluster.log(node).contains(words));
    cluster.wait_until("somebody says that it is of another cluster", is_told);
    assert_eq!(cluster.seen(), before);
    cluster.kill(stranger);
    fs::remove_dir_all(cluster.data(stranger)).expect("a folder can be removed");
    fs::create_dir(cluster.data(stranger)).expect("a folder can be created");
    cluster.run(stranger);
    cluster.wait_until("it is known", |cluster| cluster.seen().nodes.len() == 4);
}

#[test]
fn a_copied_data_folder_is_told_of() {
    let _alone = alone();
    let mut cluster = Cluster::start(3, &[]);
    let before = cluster.seen();
    let twin = cluster.add();
    copy(&cluster.data(2), &cluster.data(twin));
    cluster.run(twin);
    cluster.wait_until("somebody says that a data folder was copied", |cluster| {
        (0..4).any(|node| cluster.log(node).contains("a data folder was copied"))
    });
    assert_eq!(cluster.seen().roles(), before.roles());
    cluster.kill(twin);
    fs::remove_dir_all(cluster.data(twin)).expect("a folder can be removed");
    fs::create_dir(cluster.data(twin)).expect("a folder can be created");
    cluster.run(twin);
    cluster.wait_until("it is known", |cluster| cluster.seen().nodes.len() == 4);
}

#[test]
fn two_nodes_do_not_share_a_data_folder() {
    let _alone = alone();
    let mut cluster = Cluster::start(1, &[]);
    let second = cluster.add();
    let folder = cluster.data(0);
    cluster.set(second, "--dir", folder.to_str().expect("temporary folders have plain names"));
    check_refused(&mut cluster, second, &["cannot use the folder cluster"]);
}

#[test]
fn a_node_whose_log_is_damaged_says_how_it_goes_on() {
    let _alone = alone();
    let mut cluster = Cluster::start(3, &[]);
    let mut random = Random::new(seed());
    let log = cluster.data(2).join("cluster/log");
    cluster.kill(2);
    let files: Vec<_> = fs::read_dir(&log).expect("the log is there").flatten().map(|entry| entry.path()).collect();
    let files = files.iter().filter(|file| fs::metadata(file).is_ok_and(|file| file.len() > 0));
    for file in files {
        let whole = fs::read(file).expect("a file can be read");
        let mut damaged = whole.clone();
        // What was written last may be taken for something that was not written to its end.
        let at = random.below(whole.len() / 2);
        damaged[at] ^= 1 << random.below(8);
        eprintln!("{}: byte {at} of {}", file.display(), whole.len());
        fs::write(file, damaged).expect("a file can be written");
        check_refused(&mut cluster, 2, &["Nothing was changed. To go on, restore the folder from a copy"]);
        fs::write(file, whole).expect("a file can be written");
    }
    cluster.run(2);
    cluster.wait_until_whole();
}

#[test]
fn a_node_that_has_lost_its_log_joins_as_a_new_one_in_place_of_the_old_one() {
    let _alone = alone();
    let mut cluster = Cluster::start(3, &[]);
    let (old, home) = (cluster.id(2), cluster.data(2).join("cluster"));
    cluster.kill(2);
    fs::remove_dir_all(home.join("log")).expect("a folder can be removed");
    check_refused(&mut cluster, 2, &["there is no journal in the folder", "empty the folder that it is in"]);
    fs::remove_dir_all(home).expect("a folder can be removed");
    cluster.run(2);
    cluster.wait_until("it is known", |cluster| cluster.seen().nodes.len() == 4);
    assert_ne!(cluster.id(2), old);
    let mut client = cluster.client(0);
    client.check_matches(&format!("CLUSTER CHANGE FORGET {old} FORCE"), "#");
    cluster.wait_until_whole();
    assert_eq!(cluster.seen().primaries().len(), 3);
}

#[test]
fn a_list_that_does_not_name_the_node_is_refused() {
    let _alone = alone();
    let mut cluster = Cluster::prepare(1, &[]);
    let port = cluster.address(0).port();
    cluster.set(0, "--cluster-nodes", "127.0.0.1:1,127.0.0.1:2");
    let words =
        format!("cluster-nodes does not name this node, which listens on port {port}: add it to the list on all nodes");
    check_refused(&mut cluster, 0, &[&words]);
}

#[test]
fn a_list_with_a_mistake_is_refused() {
    let _alone = alone();
    let mut cluster = Cluster::prepare(1, &[]);
    for (list, wrong) in [("127.0.0.1:1,7002", "'7002' is no HOST:PORT"), ("h:60000", "'h:60000' is no HOST:PORT")] {
        for name in ["--cluster-nodes", "--join"] {
            cluster.set(0, name, list);
            check_refused(&mut cluster, 0, &[wrong]);
            cluster.set(0, name, "");
        }
    }
}
