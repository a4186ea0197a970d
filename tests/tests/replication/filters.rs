//! Guards and their filters on those who follow: a Larder has them, and a Redis, which knows none, all the rest.

use larder_tests::Node;
use larder_tests::chain::{Make, follow, settle};

/// Writes keys under the rule, also in a transaction.
fn write(primary: &mut Node, name: &str) {
    primary.check(&format!("SET p:{name} v"), "OK");
    primary.check("MULTI", "OK");
    primary.check(&format!("SET p:{name}:1 v"), "QUEUED");
    primary.check("INCR other", "QUEUED");
    primary.call("EXEC");
}

#[test]
fn a_guard_goes_on_where_a_replica_is_promoted() {
    let (mut primary, mut replica) = (Node::start(), Node::start());
    primary.check("CACHE.GUARD RESERVE g 0.0001 20000", "OK");
    primary.check("CACHE.RULE SET p: guard g", "OK");
    write(&mut primary, "before");
    let address = primary.address();
    follow(&mut replica, address);
    write(&mut primary, "after");
    primary.check("CACHE.GUARD ADD g p:named", "1");
    settle(&mut [&mut primary, &mut replica]);
    replica.check("REPLICAOF NO ONE", "OK");
    replica.check("CACHE.RULE SET p: guard g absent-value (none) negative-ttl 1s", "OK");
    replica.check("GET p:nosuch", r#""(none)""#);
    for key in ["p:before", "p:before:1", "p:after", "p:after:1", "p:named"] {
        replica.check(&format!("DEL {key}"), if key == "p:named" { "0" } else { "1" });
        replica.check(&format!("GET {key}"), "nil");
    }
}

#[test]
fn a_redis_that_follows_has_all_but_filters() {
    let (mut primary, Some(mut replica)) = (Node::start(), Make::Redis.start(&[])) else { return };
    primary.check("CACHE.GUARD RESERVE g 0.01 1000", "OK");
    primary.check("CACHE.RULE SET p: guard g", "OK");
    write(&mut primary, "before");
    let address = primary.address();
    follow(&mut replica, address);
    write(&mut primary, "after");
    settle(&mut [&mut primary, &mut replica]);
    for key in ["p:before", "p:before:1", "p:after", "p:after:1"] {
        replica.check(&format!("GET {key}"), "v");
    }
    replica.check("GET other", r#""2""#);
    replica.check("DBSIZE", "5");
    replica.check_matches("ROLE", r#"["slave", "127.0.0.1", #, "connected", #]"#);
}
