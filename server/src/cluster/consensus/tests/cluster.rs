//! Clusters under all kinds of weather. `LARDER_TEST_SEED=7` repeats a run; every seed is printed. `LARDER_TEST_RUNS` makes
//! the random tests longer.

use super::super::journal::Start;
use super::super::limits::{ELECTION_TICKS, PROPOSAL_BYTES_MAX, PROPOSALS_MAX, READS_MAX};
use super::super::{Change, Index, Member, NotAChange, NotCompacted, Refused, Rejected, Role, Settled, Ticket};
use super::network::{Network, TICK, Weather};
use super::random::{Random, say, seeds};

fn runs(count: u64) -> u64 {
    std::env::var("LARDER_TEST_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(count)
}

fn one_of(random: &mut Random, from: &[u64]) -> u64 {
    from[random.below(from.len())]
}

/// Something happens to the cluster, or nothing.
fn happen(network: &mut Network, all: &[u64]) {
    let mut random = Random::new(network.random.next());
    let one = one_of(&mut random, all);
    let other = one_of(&mut random, all);
    match random.below(400) {
        0 => network.crash(one),
        1..4 => network.restart(one),
        4 => network.weather.cut.extend(all.iter().flat_map(|other| [(one, *other), (*other, one)])),
        5 => network.weather.cut.extend([(one, other)]),
        6..9 => network.weather.cut.clear(),
        9 => network.weather.dropped = random.below(30),
        10 => network.weather.doubled = random.below(30),
        11 => network.weather.delay_max = 1 + random.below(60),
        12 => network.fill(one, true),
        13..16 => network.fill(one, false),
        16 => network.hosts.values_mut().for_each(|host| host.pace = 1),
        17 => {
            if let Some(host) = network.hosts.get_mut(&one) {
                host.pace = 1 + random.below(40) as u64;
            }
        }
        18 | 19 => network.compact(one),
        20 => drop(network.hosts.get_mut(&one).map(|host| host.consensus.transfer_leadership(Member(other)))),
        21..24 => drop(network.hosts.get_mut(&one).map(|host| host.consensus.report_unreachable(Member(other)))),
        24..60 => network.read(one),
        60..160 => {
            let len = random.below(100);
            let member = network.leader().unwrap_or(one);
            network.propose(member, len);
        }
        160..170 => drop(network.propose(one, 3)),
        _ => {}
    }
}

#[test]
fn whatever_happens_nothing_committed_is_lost_and_all_agree() {
    for seed in seeds(runs(12)) {
        let mut random = say(seed);
        let all: Vec<u64> = (1..=[1, 3, 3, 5][random.below(4)]).collect();
        let mut network = Network::new(random, &all);
        for _ in 0..4 {
            for _ in 0..2500 {
                happen(&mut network, &all);
                network.step();
            }
            network.heal();
        }
        assert!(network.committed.len() > 50, "{} of {} were committed", network.committed.len(), network.tickets);
    }
}

#[test]
fn members_come_and_go_under_load_and_in_bad_weather() {
    for seed in seeds(runs(6)) {
        let mut network = Network::new(say(seed), &[1]);
        (2..=5).for_each(|member| network.start(member, Start::Join));
        let all: Vec<u64> = (1..=5).collect();
        for wanted in [&[1, 2, 3][..], &[1, 2, 3, 4, 5], &[3, 4, 5], &[1, 5], &[2]] {
            for _ in 0..1500 {
                happen(&mut network, &all);
                towards(&mut network, wanted);
                network.step();
            }
            network.heal();
            network.until(600, "the members that are wanted", |network| {
                if let Some(leader) = network.leader() {
                    network.propose(leader, 10);
                }
                towards(network, wanted)
            });
            network.heal();
        }
    }
}

/// Its snapshot is from when it was the only one, and nothing but its commit index tells it that this is over.
#[test]
fn a_first_node_that_starts_again_does_not_take_itself_for_the_only_voter() {
    let mut random = say(seeds(1)[0]);
    for steps in (0..20).chain([50, 100, 200]) {
        let mut network = Network::new(Random::new(random.next()), &[1]);
        (2..=5).for_each(|member| network.start(member, Start::Join));
        network.elect();
        network.change(1, &[2, 3, 4, 5].map(|member| Change::AddLearner(Member(member))));
        network.run(30);
        network.change(1, &[2, 3, 4, 5].map(|member| Change::Promote(Member(member))));
        (0..steps).for_each(|_| network.step());
        let is_over = network.consensus(2).members().voters.len() == 5 && !network.consensus(2).members().is_changing();
        assert!(is_over || steps < 200);
        network.crash(1);
        network.weather.cut.extend((2..=5).flat_map(|other| [(1, other), (other, 1)]));
        network.restart(1);
        for _ in 0..60 {
            (1..=5).for_each(|member| {
                network.propose(member, 1);
            });
            network.run(1);
            let leads = network.consensus(1).standing().role == Role::Leader;
            assert!(!(leads && is_over), "the first node leads nobody, {steps} steps after the others became voters");
        }
        network.heal();
    }
}

/// Asks the leader for the next change towards these voters. Whether all is as it is wanted.
fn towards(network: &mut Network, wanted: &[u64]) -> bool {
    let Some(leader) = network.leader() else { return false };
    let members = network.consensus(leader).members();
    if members.is_changing() {
        return false;
    }
    let is_wanted = |member: &Member| wanted.contains(&member.0);
    if !wanted.contains(&leader) && members.voters.iter().any(is_wanted) {
        let to = *members.voters.iter().find(|voter| is_wanted(voter)).unwrap();
        let _ = network.consensus(leader).transfer_leadership(to);
        return false;
    }
    // Those that are gone stay gone: a number is not used twice, so a member that left is kept as a learner here.
    let unknown = wanted.iter().map(|member| Member(*member)).find(|member| !members.contains(*member));
    if let Some(member) = unknown {
        network.change(leader, &[Change::AddLearner(member)]);
        return false;
    }
    let progress = network.consensus(leader).progress();
    let last = progress.iter().map(|progress| progress.matched).max().unwrap_or_default();
    let has_caught_up = |member: &Member| {
        progress.iter().any(|progress| progress.member == *member && progress.matched.0 + 100 > last.0)
    };
    let learners = members.learners.iter().filter(|learner| is_wanted(learner));
    let mut changes: Vec<Change> =
        learners.clone().filter(|one| has_caught_up(one)).map(|one| Change::Promote(*one)).collect();
    if learners.count() == changes.len() {
        let others = members.voters.iter().filter(|voter| !is_wanted(voter) && voter.0 != leader);
        changes.extend(others.map(|voter| Change::Demote(*voter)));
        if changes.is_empty() {
            return wanted.contains(&leader);
        }
        network.change(leader, &changes);
    }
    false
}

#[test]
fn a_learner_catches_up_by_a_snapshot_even_if_it_is_lost_at_first() {
    let mut network = Network::new(say(seeds(1)[0]), &[1, 2, 3]);
    let leader = network.elect();
    for _ in 0..50 {
        network.propose(leader, 20);
        network.run(1);
    }
    network.compact(leader);
    network.start(9, Start::Join);
    network.weather.cut.insert((leader, 9));
    network.change(leader, &[Change::AddLearner(Member(9))]);
    network.run(20);
    let restored = network.restored;
    network.weather.cut.clear();
    let last = network.consensus(leader).applied();
    network.until(100, "the learner has caught up", |network| network.consensus(9).applied() >= last);
    assert!(network.restored > restored, "by a snapshot");
    assert_eq!(network.consensus(9).standing().role, Role::Learner);
    network.heal();
}

#[test]
#[ignore = "half a minute; cargo test -p larder --lib a_thousand_learners -- --ignored"]
fn a_thousand_learners_follow() {
    let mut network = Network::new(say(seeds(1)[0]), &[1, 2, 3]);
    let leader = network.elect();
    network.run(5);
    let learners: Vec<u64> = (10..1010).collect();
    for some in learners.chunks(16) {
        some.iter().for_each(|member| network.start(*member, Start::Join));
        let add: Vec<Change> = some.iter().map(|member| Change::AddLearner(Member(*member))).collect();
        network.until(30, "the change is taken", |network| network.change(leader, &add).is_some());
    }
    let ticket = network.propose(leader, 100).unwrap();
    network.until(100, "it commits", |network| network.committed.contains_key(&ticket));
    network.heal();
    assert_eq!(network.consensus(leader).members().learners.len(), 1000);
    assert_eq!(network.consensus(1009).standing().role, Role::Learner);
}

#[test]
fn a_full_disk_on_a_follower_stops_nobody_else() {
    let mut network = Network::new(say(seeds(1)[0]), &[1, 2, 3]);
    let leader = network.elect();
    let full = (1..=3).find(|member| *member != leader).unwrap();
    network.run(5);
    network.fill(full, true);
    for _ in 0..30 {
        let ticket = network.propose(leader, 50).unwrap();
        network.until(10, "the others commit", |network| network.committed.contains_key(&ticket));
    }
    assert!(network.full > 0 && network.consensus(full).is_stalled());
    let read = network.consensus(full).read(Ticket(1_000_000));
    assert_eq!(read, Err(Refused::Stalled));
    network.heal();
}

#[test]
fn a_full_disk_on_the_leader_makes_another_lead() {
    let mut network = Network::new(say(seeds(1)[0]), &[1, 2, 3]);
    let old = network.elect();
    network.run(5);
    network.fill(old, true);
    let lost = network.propose(old, 50).unwrap();
    network.until(80, "another leads", |network| network.leader().is_some_and(|leader| leader != old));
    let new = network.leader().unwrap();
    let ticket = network.propose(new, 50).unwrap();
    network.until(20, "it commits", |network| network.committed.contains_key(&ticket));
    assert!(!network.settled.contains_key(&lost));
    assert_eq!(network.consensus(old).propose(Ticket(1_000_000), vec![1]), Err(Refused::Stalled));
    network.heal();
    assert!(network.settled.contains_key(&lost), "it hears what became of it once its disk has room");
}

#[test]
fn a_leader_that_is_cut_off_steps_down_and_says_so() {
    let mut network = Network::new(say(seeds(1)[0]), &[1, 2, 3]);
    let old = network.elect();
    network.run(5);
    network.weather.cut.extend((1..=3).flat_map(|other| [(old, other), (other, old)]));
    let lost = network.propose(old, 5).unwrap();
    network.read(old);
    let read = network.tickets;
    network.until(80, "it steps down", |network| network.consensus(old).standing().role != Role::Leader);
    network.run(70);
    assert_eq!(network.settled[&lost], Settled::Unknown);
    assert_eq!(network.settled[&read], Settled::NoQuorum);
    let refused = network.consensus(old).propose(Ticket(1_000_000), vec![1]);
    assert_eq!(refused, Err(Refused::NotLeader { leader: None }));
    network.heal();
}

#[test]
fn leadership_is_handed_over_without_an_election_time() {
    let mut network = Network::new(say(seeds(1)[0]), &[1, 2, 3]);
    let old = network.elect();
    network.run(5);
    let new = old % 3 + 1;
    network.consensus(old).transfer_leadership(Member(new)).unwrap();
    assert_eq!(network.consensus(old).propose(Ticket(1_000_000), vec![1]), Err(Refused::Transferring));
    network.until(8, "the other leads", |network| network.leader() == Some(new));
    assert_eq!(network.consensus(new).transfer_leadership(Member(9)), Err(Refused::NotAVoter(Member(9))));
    network.run(2);
    let refused = network.consensus(old).transfer_leadership(Member(new));
    assert_eq!(refused, Err(Refused::NotLeader { leader: Some(Member(new)) }));
}

#[test]
fn a_split_vote_is_soon_over() {
    // A message takes half a tick at most, so two often stand before they hear of each other.
    let mut ticks: Vec<u64> = Vec::new();
    for seed in 0..runs(200) {
        let mut network = Network::new(Random::new(seed), &[1, 2, 3, 4, 5]);
        let leader = network.elect();
        network.run(5);
        network.crash(leader);
        let began = network.now;
        network.until(80, "another leads", |network| network.leader().is_some());
        ticks.push((network.now - began) / TICK);
    }
    ticks.sort();
    let (median, late, worst) = (ticks[ticks.len() / 2], ticks[ticks.len() * 97 / 100], ticks[ticks.len() - 1]);
    eprintln!("{median} ticks at the median, {late} for all but 3 %, {worst} at the worst");
    assert!(late < 2 * ELECTION_TICKS as u64, "{ticks:?}");
}

#[test]
fn two_voters_and_a_witness_go_on_without_one() {
    let mut network = Network::new(say(seeds(1)[0]), &[1, 2, 3]);
    for round in 0..6 {
        let leader = network.elect();
        network.crash(leader);
        network.until(80, "another leads", |network| network.leader().is_some_and(|new| new != leader));
        let new = network.leader().unwrap();
        let ticket = network.propose(new, round).unwrap();
        network.until(20, "it commits", |network| network.committed.contains_key(&ticket));
        network.heal();
    }
}

#[test]
fn proposals_have_bounds() {
    let mut network = Network::new(say(seeds(1)[0]), &[1, 2]);
    let leader = network.elect();
    network.run(5);
    let consensus = network.consensus(leader);
    assert_eq!(consensus.propose(Ticket(1), vec![]), Err(Refused::Empty));
    let bytes = PROPOSAL_BYTES_MAX + 1;
    assert_eq!(consensus.propose(Ticket(1), vec![0; bytes]), Err(Refused::TooLarge { bytes }));
    for ticket in 0..PROPOSALS_MAX {
        consensus.propose(Ticket(1_000_000 + ticket as u64), vec![1]).unwrap();
    }
    assert_eq!(consensus.propose(Ticket(1), vec![1]), Err(Refused::Busy));
    for ticket in 0..READS_MAX {
        consensus.read(Ticket(2_000_000 + ticket as u64)).unwrap_or_else(|error| panic!("{ticket}: {error}"));
    }
    assert_eq!(consensus.read(Ticket(1)), Err(Refused::Busy));
}

#[test]
fn what_cannot_be_changed_is_refused() {
    let mut network = Network::new(say(seeds(1)[0]), &[1, 2, 3]);
    let leader = network.elect();
    network.run(5);
    let consensus = network.consensus(leader);
    let remove = [Change::Remove(Member(leader))];
    assert_eq!(consensus.change_members(Ticket(1), &remove), Err(Refused::Change(NotAChange::Leader)));
    consensus.change_members(Ticket(1_000_000), &[Change::AddLearner(Member(4))]).unwrap();
    assert_eq!(consensus.change_members(Ticket(1), &[Change::AddLearner(Member(5))]), Err(Refused::Changing));
    assert_eq!(consensus.compact(Index(1), vec![]), Err(NotCompacted::Covered));
    assert_eq!(consensus.compact(Index(1000), vec![]), Err(NotCompacted::NotApplied));
}

#[test]
fn messages_for_others_and_impossible_ones_are_left_out() {
    use super::super::wire;
    use raft::eraftpb::{Message, MessageType};
    let mut network = Network::new(say(seeds(1)[0]), &[1, 2, 3]);
    let leader = network.elect();
    network.run(5);
    let follower = leader % 3 + 1;
    let term = network.consensus(leader).standing().term.0;
    let mut message = Message::default();
    message.set_msg_type(MessageType::MsgHeartbeat);
    (message.from, message.to, message.term, message.commit) = (leader, follower, term, 1000);
    let bytes = wire::message(&message).unwrap();
    assert!(matches!(network.consensus(follower).receive(Member(leader), &bytes), Err(Rejected::Impossible(_))));
    assert_eq!(network.consensus(follower).receive(Member(9), &bytes), Err(Rejected::Address));
    assert_eq!(network.consensus(leader).receive(Member(leader), &bytes), Err(Rejected::Address));
    message.set_msg_type(MessageType::MsgAppendResponse);
    (message.from, message.to, message.index) = (follower, leader, 1000);
    let bytes = wire::message(&message).unwrap();
    assert!(matches!(network.consensus(leader).receive(Member(follower), &bytes), Err(Rejected::Impossible(_))));
    let error = network.consensus(leader).receive(Member(follower), &bytes[..7]).unwrap_err();
    assert_eq!(error, Rejected::Wire(wire::Error::Short));
}

#[test]
fn bytes_of_all_kinds_never_make_a_node_panic() {
    use super::super::wire;
    use raft::eraftpb::{Entry, Message, Snapshot};
    for seed in seeds(runs(20)) {
        let mut random = say(seed);
        let mut network = Network::new(random.clone(), &[1, 2, 3]);
        network.elect();
        network.weather = Weather { delay_max: 5, ..Weather::default() };
        for _ in 0..400 {
            let (from, to) = (1 + random.below(4) as u64, 1 + random.below(3) as u64);
            let term = network.consensus(to).standing().term.0;
            let last = network.consensus(to).applied().0;
            let near =
                |random: &mut Random, to: u64| (to + random.below(6) as u64).saturating_sub(random.below(6) as u64);
            let mut message = Message::default();
            (message.from, message.to, message.term) = (from, to, near(&mut random, term));
            (message.index, message.log_term) = (near(&mut random, last), near(&mut random, term));
            (message.commit, message.commit_term) = (near(&mut random, last), near(&mut random, term));
            (message.reject, message.reject_hint) = (random.once_in(2), near(&mut random, last));
            let kinds = [3, 4, 5, 6, 7, 8, 9, 14, 15, 16, 17, 18];
            let kind = kinds[random.below(kinds.len())];
            message.set_msg_type(protobuf::ProtobufEnum::from_i32(kind).unwrap());
            if matches!(kind, 3 | 15 | 16) {
                let mut entry = Entry::default();
                if kind == 3 {
                    (entry.index, entry.term) = (message.index + 1, message.term);
                }
                message.set_entries(vec![entry].into());
            }
            if kind == 15 {
                message.term = 0;
            }
            if kind == 7 {
                let mut snapshot = Snapshot::default();
                let meta = snapshot.mut_metadata();
                (meta.index, meta.term) = (near(&mut random, last), near(&mut random, term));
                meta.mut_conf_state().voters = (1..=1 + random.below(4) as u64).collect();
                snapshot.data = vec![0; 16].into();
                message.set_snapshot(snapshot);
            }
            if let Some(mut bytes) = wire::message(&message) {
                if random.once_in(3) {
                    let at = random.below(bytes.len());
                    bytes[at] ^= 1 << random.below(8);
                }
                // One node alone takes it, and may come to believe anything; so nothing is promised but that it goes on.
                let host = network.hosts.get_mut(&to).unwrap();
                let _ = host.consensus.receive(Member(from), &bytes);
                while let Ok(Some(_)) = host.consensus.step(|_| Ok::<(), ()>(())) {}
                host.consensus.tick();
            }
        }
    }
}
