//! Two nodes that meet, and what is said then.

use super::*;
use crate::cluster::conductor::{Answer, Report};
use crate::cluster::control::Health;
use crate::cluster::id::{Id, ShardId};
use crate::cluster::topology::Change;
use proptest::collection::vec;
use proptest::prelude::*;

const CLUSTER: Id = Id::new([9; 20]);

fn who(number: u8) -> Who {
    Who { cluster: Some(CLUSTER), node: Id::new([number; 20]), number: 3, incarnation: number.into() }
}

/// One end of a connection and the secret that it knows.
type End<'a> = (Who, &'a [u8]);

/// Lets two nodes meet, with the bytes passed on in pieces of so many. Returns what the caller and the called see.
fn meet(caller: End<'_>, called: End<'_>, piece: usize) -> (Result<Met, Refusal>, Result<Met, Refusal>) {
    let mut wires = [Vec::new(), Vec::new()];
    let first = Greeting::call(caller.0, caller.1, [1; 32], &mut wires[0]);
    let mut ends = [first, Greeting::answer(called.0, called.1, [2; 32])];
    let mut results: [Option<Result<Met, Refusal>>; 2] = [None, None];
    while results.iter().any(Option::is_none) {
        let before = wires.clone();
        for end in 0..2 {
            // What one end has sent is what the other reads.
            let from = 1 - end;
            let bytes: Vec<u8> = wires[from].drain(..piece.min(wires[from].len())).collect();
            if results[end].is_some() || bytes.is_empty() {
                continue;
            }
            match ends[end].feed(&bytes, &mut wires[end]) {
                Ok(Progress::Read) => {}
                Ok(Progress::Met(met)) => results[end] = Some(Ok(*met)),
                Err(refusal) => results[end] = Some(Err(refusal)),
            }
        }
        if before == wires {
            break;
        }
    }
    // Who waits for an answer that does not come sees the connection closed.
    let [caller, called] = results.map(|result| result.unwrap_or(Err(Refusal::Stranger)));
    (caller, called)
}

fn refusal(result: Result<Met, Refusal>) -> String {
    result.map(|met| met.who).expect_err("it should be refused").to_string()
}

#[test]
fn two_nodes_with_one_secret_meet_and_talk() {
    for piece in [1, 7, 1000] {
        let (caller, called) = meet((who(1), b"secret"), (who(2), b"secret"), piece);
        let (mut caller, mut called) = (caller.unwrap(), called.unwrap());
        assert_eq!((caller.who, called.who), (who(2), who(1)));
        let mut wire = Vec::new();
        caller.seal.push(&mut wire, b"one");
        caller.seal.push(&mut wire, b"");
        caller.seal.push(&mut wire, &[7; 10_000]);
        let mut heard = Vec::new();
        for piece in wire.chunks(piece) {
            called.open.feed(piece);
            while let Some(message) = called.open.next_message().unwrap() {
                heard.push(message.to_vec());
            }
        }
        assert_eq!(heard, [b"one".to_vec(), Vec::new(), vec![7; 10_000]]);
    }
}

#[test]
fn a_node_that_is_to_join_knows_no_cluster_yet() {
    let (caller, called) = meet((Who { cluster: None, ..who(1) }, b"s"), (who(2), b"s"), 50);
    assert_eq!(caller.unwrap().who.cluster, Some(CLUSTER));
    assert_eq!(called.unwrap().who.cluster, None);
}

#[test]
fn who_does_not_belong_is_refused_with_the_way_out() {
    let (caller, called) = meet((who(1), b"secret"), (who(2), b"other"), 50);
    assert_eq!(refusal(caller), "it has another secret: set `cluster-secret` to the same on all nodes");
    assert!(called.is_err(), "the caller proves nothing to one who does not know the secret");

    let other = Who { cluster: Some(Id::new([8; 20])), ..who(2) };
    let (caller, _) = meet((who(1), b"s"), (other, b"s"), 50);
    let (own, found) = (CLUSTER, Id::new([8; 20]));
    assert_eq!(
        refusal(caller),
        format!(
            "it is of cluster {found}, and this node of {own}: to let it join this one, stop it and empty its data folder"
        )
    );
    let (caller, _) = meet((who(1), b"s"), (Who { incarnation: 7, ..who(1) }, b"s"), 50);
    assert!(refusal(caller).starts_with("it has this node's id, "));

    let mut out = Vec::new();
    let said = |bytes: &[u8]| Greeting::answer(who(2), b"s", [2; 32]).feed(bytes, &mut Vec::new()).unwrap_err();
    assert_eq!(said(b"GET / HTTP/1.1\r\n"), Refusal::Stranger);
    Greeting::call(who(1), b"s", [1; 32], &mut out);
    out[4] = 2;
    assert_eq!(
        said(&out).to_string(),
        "it speaks version 2 of the bus, and this node version 1: run the same version of Larder on both"
    );
}

#[test]
fn nothing_can_be_added_changed_left_out_or_repeated() {
    let frames = |count: u8| {
        let (caller, called) = meet((who(1), b"s"), (who(2), b"s"), 50);
        let (mut caller, mut wires) = (caller.unwrap(), Vec::new());
        for number in 0..count {
            let mut wire = Vec::new();
            caller.seal.push(&mut wire, &[number; 20]);
            wires.push(wire);
        }
        (wires, called.unwrap().open)
    };
    let (wires, _) = frames(2);
    for at in 0..wires[0].len() * 8 {
        let (mut wires, mut open) = frames(1);
        wires[0][at / 8] ^= 1 << (at % 8);
        open.feed(&wires[0]);
        assert!(!matches!(open.next_message(), Ok(Some(_))), "bit {at} was turned");
    }
    for order in [[1, 0], [1, 1]] {
        let mut open = frames(0).1;
        open.feed(&wires[order[0]]);
        assert_eq!(open.next_message(), Err(Broken::Check), "{order:?}");
    }
    let mut open = frames(0).1;
    open.feed(&[wires[0].clone(), wires[0].clone()].concat());
    assert_eq!(open.next_message(), Ok(Some(&[0; 20][..])));
    assert_eq!(open.next_message(), Err(Broken::Check), "it was repeated");
    // A proof of another connection, with other nonces, is none here.
    let mut wire = Vec::new();
    Greeting::call(who(1), b"s", [1; 32], &mut wire);
    let mut called = Greeting::answer(who(2), b"s", [3; 32]);
    assert!(matches!(called.feed(&wire, &mut Vec::new()), Ok(Progress::Read)));
    assert_eq!(called.feed(&[5; 32], &mut Vec::new()).err(), Some(Refusal::Secret));
}

fn messages() -> impl Strategy<Value = Message> {
    let id = || any::<[u8; 20]>().prop_map(Id::new);
    let outcome = prop_oneof![
        any::<u64>().prop_map(Outcome::Made),
        ".{0,80}".prop_map(Outcome::Refused),
        proptest::option::of(id()).prop_map(Outcome::NotLeader),
        Just(Outcome::Unknown),
        any::<u64>().prop_map(|number| Outcome::Joined { number }),
    ];
    let lease = proptest::option::of((1u32.., any::<u64>()).prop_map(|(shard, epoch)| (ShardId(shard), epoch)));
    prop_oneof![
        any::<Vec<u8>>().prop_map(Message::Raft),
        (any::<[u64; 3]>(), id(), any::<Option<u64>>()).prop_map(|([sent_us, incarnation, epoch], node, offset)| {
            Message::Report { sent_us, report: Report { node, incarnation, epoch, offset } }
        }),
        (any::<u64>(), lease, proptest::option::of(id())).prop_map(|(sent_us, lease, hand_over_to)| {
            Message::Answer { sent_us, answer: Answer { lease, hand_over_to } }
        }),
        (any::<u64>(), id(), any::<bool>()).prop_map(|(number, node, is_leaving)| Message::Propose {
            number,
            change: Change::SetLeaving { node, is_leaving }
        }),
        (any::<u64>(), outcome).prop_map(|(number, outcome)| Message::Proposed { number, outcome }),
        (any::<u64>(), id(), any::<bool>()).prop_map(|(number, node, forced)| Message::FailOver {
            number,
            node,
            forced
        }),
        (vec(id(), 0..9), vec((id(), any::<u64>()), 0..9)).prop_map(|(silent, offsets)| {
            Message::Health(Health { silent: silent.into_iter().collect(), offsets: offsets.into_iter().collect() })
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_said_is_heard(message in messages()) {
        prop_assert_eq!(decode(&encode(&message)), Ok(message));
    }

    #[test]
    fn any_bytes_can_be_refused(bytes: Vec<u8>, kind in 0u8..8) {
        let _ = decode(&bytes);
        let _ = decode(&[&[kind], &bytes[..]].concat());
        let _ = Greeting::answer(who(2), b"s", [2; 32]).feed(&bytes, &mut Vec::new());
    }
}

#[test]
fn a_long_reason_is_cut_between_letters() {
    let message = Message::Proposed { number: 1, outcome: Outcome::Refused("é".repeat(3000)) };
    let Ok(Message::Proposed { outcome: Outcome::Refused(reason), .. }) = decode(&encode(&message)) else {
        panic!("it is read")
    };
    assert_eq!(reason, "é".repeat(2048));
}
