//! What a member leaves that is told to end, and how its next run goes on with it.

use super::world::*;
use crate::raft::log::Unordered;

/// Three members; who leads, and one that follows.
fn three() -> (World, u64, u64) {
    let world = World::running(&[1, 2, 3]);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    (world, leader, follower)
}

/// The same; the one that follows has left an envelope of that name, which nobody else knows.
fn left(name: &str) -> (World, u64, u64) {
    let (mut world, leader, follower) = three();
    world.cut_off(follower);
    world.submit(follower, name);
    world.run();
    assert_eq!(world.leave(follower), 1);
    (world, leader, follower)
}

/// The member ends, and starts again where everybody hears it.
fn end_and_start(world: &mut World, id: u64) -> usize {
    let left = world.leave(id);
    world.cut.clear();
    world.start(id).unwrap();
    left
}

#[test]
fn what_never_reached_the_leader_is_ordered_after_the_next_start() {
    let (mut world, leader, follower) = three();
    world.cut_off(follower);
    world.submit(follower, "a");
    world.submit(follower, "b");
    world.run();
    assert_eq!(end_and_start(&mut world, follower), 2);
    world.tick(3 * ELECTION);
    assert_eq!(world.leader(), Some(leader), "of the same term");
    assert_eq!(world.names(leader), [["a"], ["b"]]);
    assert_eq!(world.nodes[&follower].log.unordered, Unordered::default());
    assert!(
        world.nodes[&follower]
            .notices
            .contains(&Notice::TakenUp { waiting: 2 })
    );
}

#[test]
fn what_the_leader_of_the_same_term_has_is_not_ordered_twice() {
    let (mut world, leader, follower) = three();
    world.submit(follower, "before");
    world.tick(2);
    world.submit(follower, "a");
    while world.deliver() {} // it arrives, and its block does not come back
    world.cut_off(follower);
    world.run();
    assert_eq!(world.names(leader), [["before"], ["a"]]);
    assert_eq!(world.names(follower), [["before"]]);
    assert_eq!(end_and_start(&mut world, follower), 1);
    world.submit(follower, "behind it");
    world.tick(3 * ELECTION);
    assert_eq!(world.leader(), Some(leader), "of the same term");
    assert_eq!(world.names(follower), [["before"], ["a"], ["behind it"]]);
    world.assert_no_fork();
}

#[test]
fn equal_envelopes_that_were_left_are_counted() {
    let (mut world, leader, follower) = three();
    world.submit(follower, "a");
    while world.deliver() {}
    world.cut_off(follower);
    world.run();
    world.submit(follower, "a");
    assert_eq!(end_and_start(&mut world, follower), 2);
    world.tick(3 * ELECTION);
    assert_eq!(world.names(leader), [["a"], ["a"]]);
}

#[test]
fn a_leader_that_nobody_hears_leaves_its_own_and_another_may_order_them() {
    let (mut world, leader, follower) = three();
    world.submit(leader, "a");
    world.tick(1);
    world.cut_off(leader);
    world.submit(leader, "b");
    world.run();
    assert_eq!(world.leave(leader), 1);
    let other = world.elect();
    world.submit(follower, "c");
    world.tick(1);
    world.cut.clear();
    world.start(leader).unwrap();
    world.tick(3 * ELECTION);
    assert_eq!(world.names(other), [["a"], ["c"], ["b"]]);
    world.assert_no_fork();
}

#[test]
fn an_envelope_in_blocks_that_came_while_the_member_was_away_is_found_in_them() {
    let (mut world, leader, follower) = three();
    world.submit(follower, "a");
    while world.deliver() {}
    world.cut_off(follower);
    world.run();
    assert_eq!(world.leave(follower), 1);
    let ledger = world.nodes[&leader].ledger.clone();
    let node = world.nodes.get_mut(&follower).unwrap();
    node.ledger = ledger;
    let identity = node
        .log
        .identity
        .clone()
        .and_then(crate::raft::log::Identity::followed);
    node.log.identity = identity; // as whoever pulls without the log does
    world.cut.clear();
    world.start(follower).unwrap();
    world.tick(3 * ELECTION);
    world.submit(follower, "b");
    world.tick(2);
    assert_eq!(world.names(follower), [["a"], ["b"]]);
}

#[test]
fn what_was_left_waits_for_a_leader_as_long_as_that_takes() {
    let (mut world, leader, follower) = left("a");
    world.start(follower).unwrap();
    world.tick(1_000); // 100 s, the others are not heard
    assert_eq!(world.core(follower).load().pending, 1);
    world.cut.clear();
    world.elect();
    world.tick(3 * ELECTION);
    assert_eq!(world.names(leader), [["a"]]);
}

#[test]
fn it_is_left_again_by_a_run_that_could_not_order_it_either() {
    let (mut world, leader, follower) = left("a");
    for _ in 0..2 {
        world.start(follower).unwrap();
        world.run();
        assert_eq!(world.nodes[&follower].log.unordered.waiting(), 0);
        assert_eq!(world.leave(follower), 1);
    }
    world.cut.clear();
    world.start(follower).unwrap();
    world.tick(3 * ELECTION);
    assert_eq!(world.names(leader), [["a"]]);
}

#[test]
fn nothing_that_was_left_is_handed_before_its_record_is_gone() {
    let (mut world, leader, follower) = left("a");
    world.cut.clear();
    world.nodes.get_mut(&follower).unwrap().is_log_slow = true;
    world.start(follower).unwrap();
    world.tick(ELECTION);
    assert_eq!(world.names(leader), [[""; 0]; 0]);
    world.crash(follower); // it is taken up by the next run
    world.nodes.get_mut(&follower).unwrap().is_log_slow = false;
    world.start(follower).unwrap();
    world.tick(3 * ELECTION);
    assert_eq!(world.names(leader), [["a"]]);
}

#[test]
fn what_is_not_valid_any_more_is_dropped_and_told() {
    let (mut world, leader, follower) = left("bad");
    world.cut.clear();
    world.reconfigure(leader, consenters(&[1, 2, 3]), "same");
    world.tick(1);
    world.start(follower).unwrap();
    world.tick(3 * ELECTION);
    assert_eq!(world.names(leader), [["config"]]);
    assert_eq!(world.core(follower).dropped(), 1);
    world.submit(follower, "good");
    world.tick(2);
    assert_eq!(world.names(leader), [["config"], ["good"]]);
}

#[test]
fn a_node_that_comes_back_under_another_id_says_that_they_are_dropped() {
    let (mut world, leader, follower) = left("a");
    let rest: Vec<_> = [1, 2, 3].into_iter().filter(|id| *id != follower).collect();
    world.reconfigure(leader, consenters(&rest), "without it");
    world.tick(2 * ELECTION);
    let leader = world.elect();
    world.reconfigure(leader, consenters(&[rest[0], rest[1], follower]), "with it");
    world.tick(3);
    let log = world.nodes[&follower].log.clone();
    world.nodes.remove(&follower);
    world.join_behind(4, leader);
    world.nodes.get_mut(&4).unwrap().log = log;
    world.cut.clear();
    world.start(4).unwrap();
    assert_eq!(world.core(4).dropped(), 1);
    let told =
        |notice: &Notice| matches!(notice, Notice::Dropped { reason } if reason.contains("earlier run"));
    assert!(world.nodes[&4].notices.iter().any(told));
    world.tick(ELECTION); // it goes with the first write
    assert_eq!(world.nodes[&4].log.unordered, Unordered::default());
}

#[test]
fn the_log_of_a_removed_channel_leaves_nothing() {
    let (mut world, _, follower) = left("a");
    world.remove(follower);
    assert_eq!(world.nodes[&follower].log.unordered, Unordered::default());
}
