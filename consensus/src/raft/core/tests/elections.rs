use super::*;

#[test]
fn a_lone_member_leads_at_once() {
    let mut world = World::of(&[1]);
    world.start_all();
    assert_eq!(world.leader(), Some(1));
    let notices = &world.nodes[&1].notices;
    let changed = Notice::LeaderChanged {
        from: None,
        to: Some(ConsenterId(1)),
    };
    assert!(notices.contains(&changed), "{notices:?}");
    assert!(notices.contains(&Notice::Leading { tip: BlockNumber(0) }));
}

#[test]
fn a_lone_member_leads_at_once_after_a_restart() {
    let mut world = World::running(&[1]);
    world.submit(1, "a");
    world.run();
    world.crash(1);
    world.start(1).unwrap();
    world.run();
    assert_eq!(world.leader(), Some(1));
    world.submit(1, "b");
    world.run();
    assert_eq!(world.names(1), [["a"], ["b"]]);
}

#[test]
fn the_first_leader_of_a_channel_follows_from_its_name() {
    assert_eq!(open::first_leader("testchannel", 3) + 1, 2);
    assert_eq!(open::first_leader("testchannel", 4) + 1, 1);
    let mut world = World::of(&[1, 2, 3]);
    world.channel = "testchannel";
    world.start_all();
    world.tick(4);
    assert_eq!(world.leader(), Some(2));
}

#[test]
fn two_of_three_elect_a_leader_and_the_third_joins_later() {
    let mut world = World::of(&[1, 2, 3]);
    world.channel = "testchannel";
    world.start(1).unwrap();
    world.start(2).unwrap();
    world.run();
    world.elect();
    world.submit(1, "a");
    world.tick(1);
    world.start(3).unwrap();
    world.tick(3);
    assert_eq!(world.names(3), [["a"]]);
    world.tick(1);
    assert_eq!(world.core(3).season, Season::Seasoned);
    world.assert_no_fork();
}

#[test]
fn nobody_takes_part_before_the_channel_is_known_to_be_new() {
    let mut world = World::of(&[1, 2, 3]);
    world.start(1).unwrap();
    world.tick(5 * ELECTION);
    assert_eq!(world.core(1).status().term, 0);
    assert!(world.core(1).status().trouble.unwrap().contains("new"));
    assert_eq!(world.nodes[&1].log, LogState::default());
}

#[test]
fn another_leads_when_the_leader_is_gone() {
    let mut world = World::running(&[1, 2, 3]);
    let first = world.leader().unwrap();
    world.crash(first);
    let second = world.elect();
    assert_ne!(first, second);
    world.start(first).unwrap();
    world.tick(3);
    assert_eq!(world.leader(), Some(second));
}

#[test]
fn a_leader_without_majority_steps_down_and_says_so() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    for other in [1, 2, 3] {
        world.cut.extend([(leader, other), (other, leader)]);
    }
    world.tick(2 * ELECTION + 1);
    assert!(world.nodes[&leader].notices.contains(&Notice::QuorumLost));
    let Intake::NoLeader { reason, known_lost } = world.core(leader).intake() else {
        panic!("somebody leads");
    };
    assert!(known_lost);
    assert_eq!(reason, "1 of 3 consenters answer, 2 are needed");
    world.cut.clear();
    world.elect();
    assert_eq!(world.core(leader).intake(), Intake::Open);
}

#[test]
fn followers_learn_who_is_active() {
    let mut world = World::running(&[1, 2, 3]);
    world.tick(ELECTION);
    let leader = world.leader().unwrap();
    for id in [1, 2, 3] {
        let mut active = world.core(id).members().active;
        assert_eq!(active[0].0, leader);
        active.sort_unstable();
        assert_eq!(active, [ConsenterId(1), ConsenterId(2), ConsenterId(3)]);
    }
    let gone = world.follower();
    world.crash(gone);
    world.tick(2 * ELECTION);
    assert_eq!(world.core(leader).members().active.len(), 2);
}

#[test]
fn a_follower_says_who_is_active_when_it_or_the_members_change_and_not_again_and_again() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    let others: Vec<u64> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    let (follower, other) = (others[0], others[1]);
    let said = |world: &World| {
        let lists = world.nodes[&follower]
            .notices
            .iter()
            .filter_map(|notice| match notice {
                Notice::ActiveNodesReceived(ids) => Some(ids.len()),
                _ => None,
            });
        lists.collect::<Vec<_>>()
    };
    world.tick(10 * ELECTION);
    assert_eq!(said(&world), [3]);
    world.crash(other);
    world.tick(10 * ELECTION);
    assert_eq!(said(&world), [3, 2]);
    world.start(other).unwrap();
    world.tick(10 * ELECTION);
    assert_eq!(said(&world), [3, 2, 3]);
    world.reconfigure(leader, consenters(&[1, 2, 3, 4]), "add 4");
    world.tick(10 * ELECTION);
    assert_eq!(said(&world), [3, 2, 3, 3]);
}

#[test]
fn of_two_members_the_one_that_halts_votes_for_the_other() {
    let mut world = World::running(&[1, 2]);
    world.tick(ELECTION);
    let leader = world.leader().unwrap();
    let other = world.follower();
    world.step(leader, Event::Halt);
    world.run();
    assert_eq!(world.nodes[&leader].ended, Some(Action::Finish));
    assert_eq!(world.core(other).status().leader, Some(ConsenterId(other)));
}

#[test]
fn a_caller_learns_that_it_is_not_known_yet_whether_the_channel_is_new() {
    let mut world = World::of(&[1, 2, 3]);
    world.start(1).unwrap();
    let Intake::NoLeader { reason, .. } = world.core(1).intake() else {
        panic!("somebody leads");
    };
    assert!(reason.contains("whether the channel is new"), "{reason}");
}
