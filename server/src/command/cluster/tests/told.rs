//! What clients are told of the cluster, compared with what Redis tells of a like one.

use super::*;
use crate::command::cluster::{Health, Heard};

const UNKNOWN: &str = "-ERR Unknown node x";

fn heard(desk: &Desk, number: u8, health: Health, offset: u64) {
    let heard = Heard { health, offset, heard_ms: 1_700_000_000_000 };
    desk.node.cluster.set_heard([(id(number), heard)].into());
}

#[test]
fn slots_are_told_in_runs_with_who_serves_them() {
    let mut desk = Desk::in_cluster();
    let at = |host: &str, number: u8, meta: &str| {
        let digits = id(number);
        format!("*4 ${} {host} :{} $40 {digits} {meta}", host.len(), 7000 + u16::from(number))
    };
    let all = |empty: &str, named: &str| {
        format!(
            "*2 *4 :0 :8191 {} {} *4 :8192 :16383 {} {}",
            at("10.0.0.1", 1, empty),
            at("10.0.0.2", 2, empty),
            at("10.0.0.3", 3, empty),
            at("four.example", 4, named),
        )
    };
    let expected = all("*0", "*2 $2 ip $0 ");
    desk.check("CLUSTER SLOTS", expected.trim_end());
    desk.run("HELLO 3");
    let expected = all("%0", "%1 $2 ip $0 ");
    desk.check("CLUSTER SLOTS", expected.trim_end());
    desk.check("CLUSTER SLOTS", expected.trim_end());
    // Clients are not sent to who cannot be reached, or is not up to date; a primary is told all the same.
    for health in [Health::Failed, Health::Loading] {
        heard(&desk, 4, health, 0);
        assert!(desk.run("CLUSTER SLOTS").contains("*3\r\n:8192\r\n:16383\r\n"), "{health:?}");
    }
    heard(&desk, 3, Health::Failed, 0);
    desk.check("CLUSTER SLOTS", expected.trim_end());
    heard(&desk, 4, Health::Suspected, 0);
    desk.check("CLUSTER SLOTS", expected.trim_end());
    moved(&desk, 5);
    let slots = desk.run("CLUSTER SLOTS");
    assert!(
        slots.starts_with("*4\r\n*4\r\n:0\r\n:4\r\n") && slots.contains("*4\r\n:5\r\n:5\r\n*4\r\n$8\r\n10.0.0.3\r\n")
    );
    Desk::in_empty_cluster().check("CLUSTER SLOTS", "*0");
}

#[test]
fn shards_are_told_with_their_members() {
    let mut desk = Desk::in_cluster();
    desk.change(&[Change::Detach { shard: ShardId(1), node: id(2) }]);
    moved(&desk, 5);
    heard(&desk, 4, Health::Failed, 77);
    desk.run("HELLO 3");
    let member = |number: u8, role: &str, offset: u64, health: &str| {
        let head = format!("$2 id $40 {} $4 port :{}", id(number), 7000 + u16::from(number));
        let host = format!("10.0.0.{number}");
        let (fields, place) = match number {
            4 => (8, "$2 ip $0  $8 endpoint $12 four.example $8 hostname $12 four.example".to_owned()),
            _ => (7, format!("$2 ip $8 {host} $8 endpoint $8 {host}")),
        };
        let (role_len, health_len) = (role.len(), health.len());
        format!(
            "%{fields} {head} {place} $4 role ${role_len} {role} $18 replication-offset :{offset} $6 health \
             ${health_len} {health}"
        )
    };
    let expected = format!(
        "*3 %2 $5 slots *4 :0 :4 :6 :8191 $5 nodes *1 {} %2 $5 slots *4 :5 :5 :8192 :16383 $5 nodes *2 {} {} %2 $5 slots *0 \
         $5 nodes *1 {}",
        member(1, "master", 0, "online"),
        member(3, "master", 0, "online"),
        member(4, "replica", 77, "fail"),
        member(2, "master", 0, "online"),
    );
    desk.check("CLUSTER SHARDS", &expected);
    Desk::in_empty_cluster().check("CLUSTER SHARDS", "*0");
}

#[test]
fn nodes_are_told_in_lines() {
    let mut desk = Desk::in_cluster();
    heard(&desk, 3, Health::Failed, 0);
    let node = |number: u8| format!("{} 10.0.0.{number}:700{number}@1700{number}", id(number));
    let text = [
        format!("{} myself,master - 0 0 7 connected 0-8191", node(1)),
        format!("{} slave {} 0 0 7 connected", node(2), id(1)),
        format!("{} master,fail - 1700000000000 1700000000000 8 disconnected 8192-16383", node(3)),
        format!("{} four.example:7004@17004,four.example slave {} 0 0 8 connected", id(4), id(3)),
        format!("{} master - 0 0 0 connected", node(5)),
    ]
    .join("\n")
        + "\n";
    let reply = desk.run("CLUSTER NODES");
    assert_eq!(reply, format!("${}\r\n{text}\r\n", text.len()));
    heard(&desk, 3, Health::Suspected, 0);
    assert!(desk.run("CLUSTER NODES").contains(" master,fail? - "));
    desk.check(&format!("CLUSTER COUNT-FAILURE-REPORTS {}", id(3)), ":1");
    desk.check(&format!("CLUSTER COUNT-FAILURE-REPORTS {}", id(2)), ":0");
    desk.check("CLUSTER COUNT-FAILURE-REPORTS x", UNKNOWN);
    let line = text.lines().nth(1).unwrap();
    desk.check(&format!("CLUSTER REPLICAS {}", id(1)), &format!("*1 ${} {line}", line.len()));
    desk.check(&format!("CLUSTER SLAVES {}", id(1)), &format!("*1 ${} {line}", line.len()));
    desk.check(&format!("CLUSTER REPLICAS {}", id(5)), "*0");
    desk.check(&format!("CLUSTER REPLICAS {}", id(2)), "-ERR The specified node is not a master");
    desk.check("CLUSTER REPLICAS x", UNKNOWN);
    let mut alone = Desk::in_empty_cluster();
    let line = format!("{} :6379@16379 myself,master - 0 0 0 connected\n", id(1));
    assert_eq!(alone.run("CLUSTER NODES"), format!("${}\r\n{line}\r\n", line.len()));
}

#[test]
fn the_state_is_told_in_fields() {
    let mut desk = Desk::in_cluster();
    let field = |desk: &mut Desk, name: &str| {
        let reply = desk.run("CLUSTER INFO");
        let line = reply.lines().find_map(|line| line.strip_prefix(&format!("{name}:")).map(str::to_owned));
        line.unwrap_or_else(|| panic!("{name} is not in {reply}"))
    };
    let text = "cluster_state:ok cluster_slots_assigned:16384 cluster_slots_ok:16384 cluster_slots_pfail:0 \
                cluster_slots_fail:0 cluster_known_nodes:5 cluster_size:2 cluster_current_epoch:10 cluster_my_epoch:7 \
                cluster_stats_messages_sent:0 cluster_stats_messages_received:0 \
                total_cluster_links_buffer_limit_exceeded:0";
    desk.check("CLUSTER INFO", &format!("${} {text}", text.len() + 13));
    heard(&desk, 3, Health::Suspected, 0);
    assert_eq!(
        ["state", "slots_pfail", "slots_ok"].map(|name| field(&mut desk, &format!("cluster_{name}"))),
        ["ok", "8192", "8192"]
    );
    heard(&desk, 3, Health::Failed, 0);
    assert_eq!(
        ["state", "slots_fail", "slots_ok"].map(|name| field(&mut desk, &format!("cluster_{name}"))),
        ["fail", "8192", "8192"]
    );
    heard(&desk, 4, Health::Failed, 0);
    assert_eq!(field(&mut desk, "cluster_state"), "ok");
    desk.node.cluster.set_lease(7, Duration::ZERO);
    assert_eq!(field(&mut desk, "cluster_state"), "fail");
    assert_eq!(field(&mut Desk::in_empty_cluster(), "cluster_state"), "fail");
    assert_eq!(field(&mut Desk::in_empty_cluster(), "cluster_known_nodes"), "1");
}

#[test]
fn a_node_knows_who_it_is() {
    let mut desk = Desk::in_cluster();
    desk.check("CLUSTER MYID", &format!("$40 {}", id(1)));
    desk.check("CLUSTER MYSHARDID", &format!("$40 {}00000001", "09".repeat(16)));
    Desk::in_empty_cluster().check("CLUSTER MYSHARDID", &format!("$40 {}", id(1)));
    let hello = desk.run("HELLO");
    assert!(hello.contains("$4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"), "{hello}");
    let info = desk.run("INFO");
    assert!(info.contains("\r\nredis_mode:cluster\r\n") && info.contains("# Cluster\r\ncluster_enabled:1\r\n"));
    desk.node.barrier.alone(|| desk.node.follow(Some(("h".into(), 1))));
    assert!(desk.run("HELLO").contains("$4\r\nrole\r\n$7\r\nreplica\r\n"));
    let links = desk.run("CLUSTER LINKS");
    let first = format!("*8\r\n*12\r\n$9\r\ndirection\r\n$2\r\nto\r\n$4\r\nnode\r\n$40\r\n{}\r\n", id(2));
    assert!(links.starts_with(&first), "{links}");
    let help = desk.run("CLUSTER HELP");
    assert!(
        help.contains("+KEYSLOT key\r\n") && help.contains("+SLOT-STATS <SLOTSRANGE start-slot end-slot | "),
        "{help}"
    );
}

#[test]
fn keys_of_a_slot_are_counted_and_named() {
    let mut desk = Desk::in_cluster();
    desk.check("CLUSTER KEYSLOT foo", ":12182");
    desk.check("CLUSTER KEYSLOT {foo}bar", ":12182");
    (0..100).for_each(|number| desk.check(&format!("SET {{b}}{number} x"), "+OK"));
    desk.check("SET {b}gone x PX 1", "+OK");
    desk.check("SET f x", "+OK");
    desk.check("CLUSTER COUNTKEYSINSLOT 3168", ":1");
    desk.check("CLUSTER COUNTKEYSINSLOT 3301", ":0");
    let listed = |reply: String| reply.lines().filter(|line| line.starts_with("{b}")).count();
    std::thread::sleep(Duration::from_millis(3));
    assert_eq!(listed(desk.run("CLUSTER GETKEYSINSLOT 3300 1000")), 100);
    assert_eq!(listed(desk.run("CLUSTER GETKEYSINSLOT 3300 7")), 7);
    desk.check("CLUSTER GETKEYSINSLOT 3168 10", "*1 $1 f");
    desk.check("CLUSTER GETKEYSINSLOT 3300 0", "*0");
    for (line, refusal) in [
        ("COUNTKEYSINSLOT 16384", "Invalid slot"),
        ("COUNTKEYSINSLOT x", "value is not an integer or out of range"),
        ("GETKEYSINSLOT 1 -1", "Invalid slot or number of keys"),
        ("GETKEYSINSLOT 99999 1", "Invalid slot or number of keys"),
        ("GETKEYSINSLOT x 1", "value is not an integer or out of range"),
    ] {
        desk.check(&format!("CLUSTER {line}"), &format!("-ERR {refusal}"));
    }
}

#[test]
fn slots_have_statistics() {
    let mut desk = Desk::in_cluster();
    desk.run("MSET {b}1 1 {b}2 2");
    desk.run("SET f 1");
    desk.check("CLUSTER SLOT-STATS SLOTSRANGE 8190 8193", "*2 *2 :8190 *2 $9 key-count :0 *2 :8191 *2 $9 key-count :0");
    desk.run("HELLO 3");
    desk.check(
        "CLUSTER SLOT-STATS ORDERBY key-count LIMIT 3",
        "*3 *2 :3300 %1 $9 key-count :2 *2 :3168 %1 $9 key-count :1 *2 :0 %1 $9 key-count :0",
    );
    desk.check("CLUSTER SLOT-STATS ORDERBY KEY-COUNT ASC LIMIT 1", "*1 *2 :0 %1 $9 key-count :0");
    assert!(desk.run("CLUSTER SLOT-STATS ORDERBY key-count").starts_with("*8192\r\n"));
    let usage = "unknown subcommand or wrong number of arguments for 'SLOT-STATS'. Try CLUSTER HELP.";
    for (words, refusal) in [
        ("foo 1", usage),
        ("SLOTSRANGE 1", usage),
        ("SLOTSRANGE 1 2 3", usage),
        ("SLOTSRANGE a 2", "Invalid or out of range slot"),
        ("SLOTSRANGE 0 16384", "Invalid or out of range slot"),
        ("SLOTSRANGE 5 1", "Start slot number 5 is greater than end slot number 1"),
        ("ORDERBY foo", "Unrecognized sort metric for ORDERBY."),
        ("ORDERBY cpu-usec LIMIT 1", "Unrecognized sort metric for ORDERBY."),
        ("ORDERBY key-count foo", "syntax error"),
        ("ORDERBY key-count LIMIT", "syntax error"),
        ("ORDERBY key-count LIMIT x", "Limit has to lie in between 1 and 16384 (maximum number of slots)."),
        ("ORDERBY key-count LIMIT 0", "Limit has to lie in between 1 and 16384 (maximum number of slots)."),
        ("ORDERBY key-count LIMIT 1 DESC ASC", "Multiple filters of the same type are disallowed."),
    ] {
        desk.check(&format!("CLUSTER SLOT-STATS {words}"), &format!("-ERR {refusal}"));
    }
    desk.check("CLUSTER SLOT-STATS", "-ERR wrong number of arguments for 'cluster|slot-stats' command");
}

#[test]
fn the_topology_is_told_as_json() {
    let mut desk = Desk::in_cluster();
    desk.change(&[
        Change::BeginMove { slots: Ranges::checked(&[(1, 2), (7, 7)]).unwrap(), to: ShardId(2) },
        Change::SetLeaving { node: id(2), is_leaving: true },
    ]);
    heard(&desk, 3, Health::Failed, 9);
    let reply = desk.run("CLUSTER TOPOLOGY");
    let (_, json) = reply.trim_end().split_once("\r\n").unwrap();
    let own = desk.node.cluster.incarnation();
    let node = |number: u8, host: &str, role: &str, shard: &str, rest: &str| {
        let incarnation = if number == 1 { own } else { 1 };
        format!(
            r#"{{"id":"{}","number":{number},"host":"{host}","port":700{number},"bus_port":1700{number},"incarnation":"{incarnation}","zone":"a","weight":100,"role":"{role}","shard":{shard},{rest}}}"#,
            id(number)
        )
    };
    let well = r#""alive":true,"health":"online","leaving":false,"offset":0"#;
    let nodes = [
        node(1, "10.0.0.1", "primary", "1", well),
        node(2, "10.0.0.2", "replica", "1", r#""alive":true,"health":"online","leaving":true,"offset":0"#),
        node(3, "10.0.0.3", "primary", "2", r#""alive":false,"health":"failed","leaving":false,"offset":9"#),
        node(4, "four.example", "replica", "2", well),
        node(5, "10.0.0.5", "witness", "null", well),
    ];
    let shard = |number: u8, epoch: u64, primary: u8, slots: &str| {
        let (a, b) = (id(primary), id(primary + 1));
        format!(
            r#"{{"number":{number},"epoch":{epoch},"primary":"{a}","replicas":["{b}"],"in_sync":["{a}"],"eligible":[],"slots":[{slots}]}}"#
        )
    };
    let expected = format!(
        r#"{{"cluster":"{}","epoch":12,"me":"{}","replicas_wanted":1,"nodes":[{}],"shards":[{},{}],"moves":[{{"from":1,"to":2,"slots":[[1,2],[7,7]]}}]}}"#,
        id(9),
        id(1),
        nodes.join(","),
        shard(1, 7, 1, "[0,8191]"),
        shard(2, 8, 3, "[8192,16383]"),
    );
    assert_eq!(json, expected);
    assert!(Desk::in_empty_cluster().run("CLUSTER TOPOLOGY").contains(r#"{"cluster":null,"epoch":0,"#));
}
