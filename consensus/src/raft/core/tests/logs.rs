//! Checkpoints, states taken over from a leader, lost logs, and ends.

use crate::support::WriteError;

use super::*;

/// Three members that make a checkpoint for each block.
fn three_that_keep_little() -> World {
    let mut world = World::of(&[1, 2, 3]);
    world.snapshot_interval = 1;
    for id in [1, 2, 3] {
        world.join(id, &[1, 2, 3]);
    }
    world.start_all();
    world
}

/// Three members, of which one was down while more was ordered than a leader keeps.
fn far_behind() -> (World, u64) {
    let mut world = three_that_keep_little();
    world.elect();
    let behind = world.follower();
    world.crash(behind);
    let leader = world.elect();
    for count in 0..30 {
        world.order_large(leader, &format!("e{count}"), 100_000);
    }
    (world, behind)
}

#[test]
fn checkpoints_bound_the_log_on_disk_and_in_memory() {
    let (world, _) = far_behind();
    let leader = world.leader().unwrap();
    let log = &world.nodes[&leader].log;
    let bytes: usize = log.entries.iter().map(|entry| entry.data.len()).sum();
    assert!(bytes < 3 << 20, "{bytes}");
    assert!(world.core(leader).node.window().bytes() < 3 << 20);
    let checkpoint = log.checkpoint.as_ref().unwrap();
    assert_eq!(checkpoint.block_number, BlockNumber(30));
    assert!(log.entries[0].index <= checkpoint.index);
}

#[test]
fn an_interval_that_is_raised_counts_from_the_block_that_raises_it() {
    let mut world = World::of(&[1]);
    world.snapshot_interval = 1;
    world.join(1, &[1]);
    world.start_all();
    world.elect();
    world.order_large(1, "a", 100);
    let checkpoint = |world: &World| {
        let log = &world.nodes[&1].log;
        log.checkpoint.as_ref().map(|checkpoint| checkpoint.block_number)
    };
    assert_eq!(checkpoint(&world), Some(BlockNumber(1)));
    world.snapshot_interval = 1 << 20;
    world.reconfigure(1, consenters(&[1]), "raise");
    world.run();
    assert_eq!(world.names(1), [vec!["a"], vec!["config"]]);
    assert_eq!(checkpoint(&world), Some(BlockNumber(1)));
}

#[test]
fn a_member_starts_from_its_checkpoint() {
    let (mut world, _) = far_behind();
    let leader = world.leader().unwrap();
    world.crash(leader);
    world.start(leader).unwrap();
    world.tick(1);
    world.elect();
    world.order_large(leader, "after", 100);
    world.tick(2);
    assert_eq!(world.names(leader).len(), 31);
    assert_eq!(world.nodes[&leader].ended, None);
}

#[test]
fn a_member_far_behind_takes_the_leaders_state_and_pulls_the_blocks() {
    let (mut world, behind) = far_behind();
    world.start(behind).unwrap();
    world.tick(5);
    assert_eq!(world.names(behind).len(), 30);
    assert!(world.core(behind).node.window().base().index > 3, "by its state");
    let ticket = world.submit(behind, "after");
    world.tick(2);
    assert_eq!(world.told(behind, ticket), Some(Ok(BlockNumber(31))));
    world.assert_no_fork();
}

/// The leader is just started, and the only other one lacks entries that are not kept: nothing is committed before
/// it has them.
#[test]
fn a_leader_that_was_started_anew_can_bring_others_to_its_state_at_once() {
    let (mut world, behind) = far_behind();
    let leader = world.leader().unwrap();
    let other = 6 - leader - behind;
    world.crash(other);
    world.crash(leader);
    world.start(leader).unwrap();
    world.start(behind).unwrap();
    world.elect();
    world.tick(5);
    assert_eq!(world.names(behind).len(), 30);
    let ticket = world.submit(behind, "after");
    world.tick(2);
    assert_eq!(world.told(behind, ticket), Some(Ok(BlockNumber(31))));
    world.assert_no_fork();
}

#[test]
fn a_crash_while_blocks_are_pulled_is_no_loss() {
    let (mut world, behind) = far_behind();
    let others: Vec<_> = [1, 2, 3].into_iter().filter(|id| *id != behind).collect();
    world.start(behind).unwrap();
    for _ in 0..40 {
        // Messages pass, blocks do not.
        let pulled = world.nodes[&behind].catch_up.is_some();
        if pulled {
            break;
        }
        world.tick_without_pulling(behind);
    }
    assert!(world.nodes[&behind].catch_up.is_some());
    world.crash(behind);
    assert_eq!(world.names(behind).len(), 0);
    world.start(behind).unwrap();
    world.tick(3);
    assert_eq!(world.names(behind).len(), 30);
    assert!(others.contains(&world.leader().unwrap()));
    world.assert_no_fork();
}

/// Three members; one handed an envelope to the leader and was then cut off, while more was ordered than is kept.
fn handed_before_a_state_is_taken_over(is_ordered: bool) -> (World, u64, u64) {
    let mut world = three_that_keep_little();
    let leader = world.elect();
    let behind = world.follower();
    let ticket = world.submit(behind, "handed");
    if is_ordered {
        world.deliver();
    } else {
        world.wire.clear(); // lost on its way
    }
    world.cut.extend([(leader, behind), (behind, leader)]);
    for count in 0..30 {
        world.order_large(leader, &format!("e{count}"), 100_000);
    }
    world.cut.clear();
    world.elect();
    (world, behind, ticket)
}

#[test]
fn what_was_handed_before_a_state_was_taken_over_is_found_in_the_pulled_blocks() {
    let (mut world, behind, ticket) = handed_before_a_state_is_taken_over(true);
    world.tick(5);
    assert!(world.core(behind).node.window().base().index > 3, "by its state");
    let told = world.told(behind, ticket).unwrap().unwrap();
    let names = world.names(behind);
    assert!(
        names[usize::try_from(told.0).unwrap() - 1].contains(&"handed".to_owned()),
        "{told:?} {names:?}"
    );
}

#[test]
fn what_was_handed_is_found_although_its_block_came_before_the_state_that_stands_for_it() {
    let mut world = three_that_keep_little();
    let leader = world.elect();
    let behind = world.follower();
    let ticket = world.submit(behind, "handed");
    world.deliver();
    for other in [1, 2, 3] {
        world.cut.extend([(other, behind), (behind, other)]);
    }
    for count in 0..30 {
        world.order_large(leader, &format!("e{count}"), 100_000);
    }
    world.tick(3 * ELECTION);
    world.cut.clear();
    let through = BlockNumber(30);
    world.step(behind, Event::Behind { through });
    world.run();
    world.elect();
    world.tick(4 * ELECTION);
    assert!(world.core(behind).node.window().base().index > 3, "by its state");
    assert!(world.told(behind, ticket).unwrap().is_ok());
    let all = world.names(behind).concat();
    assert_eq!(all.iter().filter(|name| *name == "handed").count(), 1);
}

#[test]
fn what_no_leader_has_seen_is_handed_again_after_a_state_was_taken_over() {
    let (mut world, behind, ticket) = handed_before_a_state_is_taken_over(false);
    world.tick(4 * ELECTION);
    let told = world.told(behind, ticket).unwrap().unwrap();
    assert!(told.0 > 30, "{told:?}");
    let all = world.names(behind).concat();
    assert_eq!(all.iter().filter(|name| *name == "handed").count(), 1);
    world.assert_no_fork();
}

#[test]
fn a_log_without_entries_is_lost_and_stays_so() {
    let mut world = World::running(&[1, 2, 3]);
    let lost = world.follower();
    world.crash(lost);
    world.nodes.get_mut(&lost).unwrap().log.entries.clear();
    world.start(lost).unwrap();
    world.run();
    let ended = &world.nodes[&lost].ended;
    assert!(matches!(ended, Some(Action::LostLog { .. })), "{ended:?}");
    assert!(matches!(world.start(lost), Err(OpenError::LostLog { .. })));
}

#[test]
fn a_log_behind_the_ledger_is_lost() {
    let mut world = World::running(&[1, 2, 3]);
    let lost = world.follower();
    let before = world.nodes[&lost].log.clone();
    world.submit(lost, "a");
    world.tick(1);
    world.crash(lost);
    world.nodes.get_mut(&lost).unwrap().log = before;
    world.start(lost).unwrap();
    world.run();
    let Some(Action::LostLog { reason }) = &world.nodes[&lost].ended else {
        panic!("it takes part");
    };
    assert_eq!(
        reason,
        "the log ends with entry 4, the ledger with the block of entry 5"
    );
}

#[test]
fn a_leader_that_presumes_entries_shows_that_the_log_is_lost() {
    let mut world = World::running(&[1, 2, 3]);
    let lost = world.follower();
    world.submit(lost, "a");
    world.tick(1);
    world.crash(lost);
    world.nodes.get_mut(&lost).unwrap().log = LogState::default();
    world.start(lost).unwrap();
    world.tick(1);
    let Some(Action::LostLog { reason }) = &world.nodes[&lost].ended else {
        panic!("it takes part");
    };
    assert!(reason.starts_with("the leader presumes entry 5"), "{reason}");
    let identity = world.nodes[&lost].log.identity.as_ref().unwrap();
    assert_eq!(identity.lost.as_ref(), Some(reason));
}

#[test]
fn a_member_without_log_neither_votes_nor_campaigns_before_it_has_the_leaders() {
    let mut world = World::running(&[1, 2, 3]);
    world.submit(1, "a");
    world.tick(1);
    let leader = world.leader().unwrap();
    let [empty, other] = [1, 2, 3]
        .into_iter()
        .filter(|id| *id != leader)
        .collect::<Vec<_>>()[..]
    else {
        panic!();
    };
    for id in [1, 2, 3] {
        world.crash(id);
    }
    world.nodes.get_mut(&empty).unwrap().log = LogState::default();
    world.start(empty).unwrap();
    world.start(other).unwrap();
    world.tick(5 * ELECTION);
    assert_eq!(world.leader(), None, "its vote would be needed");
    world.start(leader).unwrap();
    world.tick(1);
    world.elect();
    world.tick(3);
    assert_eq!(world.core(empty).season, Season::Seasoned);
    assert_eq!(world.names(empty), [["a"]]);
}

#[test]
fn a_log_of_a_former_id_is_dropped() {
    let mut world = World::running(&[1, 2, 3]);
    let gone = world.follower();
    let rest: Vec<_> = [1, 2, 3].into_iter().filter(|id| *id != gone).collect();
    world.reconfigure(rest[0], consenters(&rest), "remove");
    world.tick(3);
    let mut again = consenters(&rest);
    again.push(consenter(gone));
    world.reconfigure(rest[0], again, "add again");
    world.tick(3);
    assert_eq!(world.metadata(rest[0]).consenter_ids, [rest[0], rest[1], 4]);
    let log = world.nodes[&gone].log.clone();
    world.crash(gone);
    world.nodes.remove(&gone);
    world.join_behind(4, rest[0]);
    world.nodes.get_mut(&4).unwrap().log = log;
    world.start(4).unwrap();
    world.tick(5);
    world.submit(4, "a");
    world.tick(3);
    assert_eq!(world.names(4), [["config"], ["config"], ["a"]]);
    assert_eq!(world.nodes[&4].log.identity.as_ref().unwrap().id, ConsenterId(4));
}

#[test]
fn a_halting_leader_orders_what_it_has_and_hands_over() {
    let mut world = World::of(&[1, 2, 3]);
    world.batch = 10;
    for id in [1, 2, 3] {
        world.join(id, &[1, 2, 3]);
    }
    world.start_all();
    let leader = world.elect();
    world.tick(ELECTION);
    let ticket = world.submit(leader, "a");
    world.run();
    world.step(leader, Event::Halt);
    world.run();
    assert_eq!(world.told(leader, ticket), Some(Ok(BlockNumber(1))));
    assert_eq!(world.nodes[&leader].ended, Some(Action::Finish));
    world.crash(leader);
    assert!(world.leader().is_some(), "at once");
}

#[test]
fn a_halting_follower_waits_for_what_it_handed_over() {
    let mut world = World::running(&[1, 2, 3]);
    let follower = world.follower();
    let ticket = world.submit(follower, "a");
    world.step(follower, Event::Halt);
    assert_eq!(world.nodes[&follower].ended, None);
    assert!(!world.core(follower).accepts());
    world.tick(2);
    assert_eq!(world.told(follower, ticket), Some(Ok(BlockNumber(1))));
    assert_eq!(world.nodes[&follower].ended, Some(Action::Finish));
}

#[test]
fn a_halting_lone_member_finishes_what_it_took_in() {
    let mut world = World::running(&[1]);
    world.nodes.get_mut(&1).unwrap().is_ledger_slow = true;
    let ticket = world.submit(1, "a");
    world.run();
    world.step(1, Event::Halt);
    assert_eq!(world.nodes[&1].ended, None);
    world.nodes.get_mut(&1).unwrap().is_ledger_slow = false;
    world.run();
    assert_eq!(world.told(1, ticket), Some(Ok(BlockNumber(1))));
    assert_eq!(world.nodes[&1].ended, Some(Action::Finish));
}

#[test]
fn a_failed_write_breaks_the_chain_and_leaves_its_envelopes_unknown() {
    let mut world = World::running(&[1]);
    world.nodes.get_mut(&1).unwrap().is_ledger_slow = true;
    let tickets = ["a", "b"].map(|name| world.submit(1, name));
    world.run();
    let error = WriteError {
        number: BlockNumber(1),
        reason: "disk gone".to_owned(),
    };
    world.step(1, Event::WriteFailed(error.clone()));
    for ticket in tickets {
        assert!(matches!(
            world.told(1, ticket),
            Some(Err(TicketError::Unknown { .. }))
        ));
    }
    assert_eq!(world.nodes[&1].ended, Some(Action::Errored(error)));
}

#[test]
fn a_block_that_does_not_link_to_the_ledger_is_a_fork() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    let follower = world.follower();
    world.crash(follower);
    let (block, _) = &mut world.nodes.get_mut(&follower).unwrap().ledger[0];
    block.header.as_mut().unwrap().data_hash = "another".into();
    world.start(follower).unwrap();
    world.tick(1);
    world.submit(leader, "a");
    world.tick(1);
    let Some(Action::Errored(error)) = &world.nodes[&follower].ended else {
        panic!("it wrote the block");
    };
    let text = error.to_string();
    assert!(text.contains("entry 5: fork: the log links it to "), "{text}");
}

#[test]
fn blocks_that_others_have_are_pulled_while_nobody_leads() {
    let mut world = World::running(&[1, 2, 3]);
    let behind = world.follower();
    for other in [1, 2, 3] {
        world.cut.extend([(other, behind), (behind, other)]);
    }
    let others = world.nodes.keys().copied().find(|id| *id != behind).unwrap();
    world.submit(others, "a");
    world.tick(3 * ELECTION);
    world.cut.clear();
    world.step(
        behind,
        Event::Behind {
            through: BlockNumber(1),
        },
    );
    world.run();
    assert_eq!(world.names(behind), [["a"]]);
    world.crash(behind);
    world.start(behind).unwrap();
    world.run();
    assert_eq!(
        world.nodes[&behind].ended, None,
        "that its log is behind is on record"
    );
    world.elect();
    world.submit(behind, "b");
    world.tick(3);
    assert_eq!(world.names(behind), [["a"], ["b"]]);
    world.assert_no_fork();
}

#[test]
fn a_member_comes_back_under_its_id_after_it_only_followed() {
    let mut world = World::running(&[1, 2, 3]);
    let away = world.follower();
    world.submit(away, "a");
    world.tick(1);
    let farewell = world.core(away).farewell().unwrap();
    world.crash(away);
    world.nodes.get_mut(&away).unwrap().log.apply(&farewell);
    let leader = world.leader().unwrap();
    for name in ["b", "c"] {
        world.submit(leader, name);
        world.tick(1);
    }
    let ledger = world.nodes[&leader].ledger.clone();
    world.nodes.get_mut(&away).unwrap().ledger = ledger;
    world.start(away).unwrap();
    world.tick(2);
    assert_eq!(world.nodes[&away].ended, None);
    world.submit(away, "d");
    world.tick(2);
    assert_eq!(world.names(away), [["a"], ["b"], ["c"], ["d"]]);
    let identity = world.nodes[&away].log.identity.clone().unwrap();
    assert_eq!(
        (identity.pulled, identity.lost),
        (0, None),
        "the log is ahead again"
    );
}

/// Else its entries would be taken for those of the new id after a crash.
#[test]
fn the_log_of_a_former_id_goes_whole_with_the_first_write() {
    let (mut world, behind) = far_behind();
    let node = world.leader().unwrap();
    world.crash(node);
    let before = world.nodes[&node].log.clone();
    assert!(before.checkpoint.is_some() && !before.entries.is_empty());
    let log = &mut world.nodes.get_mut(&node).unwrap().log;
    log.identity.as_mut().unwrap().id = ConsenterId(9);
    world.start(node).unwrap();
    world.start(behind).unwrap();
    world.nodes.get_mut(&node).unwrap().is_log_slow = true;
    for _ in 0..2 * ELECTION {
        world.tick(1);
        if !world.nodes[&node].log_writes.is_empty() {
            break;
        }
    }
    let (_, first) = world
        .nodes
        .get_mut(&node)
        .unwrap()
        .log_writes
        .pop_front()
        .unwrap();
    let mut log = before;
    log.apply(&first);
    assert_eq!((log.entries, log.checkpoint), (first.entries, first.checkpoint));
    assert_eq!(log.identity.unwrap().id, ConsenterId(node));
    assert!(log.members.voters.is_empty());
    assert!(log.hard_state.commit == 0 || first.hard_state == Some(log.hard_state));
}
