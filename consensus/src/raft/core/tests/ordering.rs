use super::*;

#[test]
fn a_block_reaches_every_ledger_with_the_same_metadata() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    let ticket = world.submit(leader, "a");
    world.tick(1);
    assert_eq!(world.told(leader, ticket), Some(Ok(BlockNumber(1))));
    for id in [1, 2, 3] {
        assert_eq!(world.names(id), [["a"]]);
        let metadata = world.metadata(id);
        assert_eq!(metadata.consenter_ids, [1, 2, 3]);
        assert_eq!((metadata.next_consenter_id, metadata.raft_index), (4, 5));
    }
}

#[test]
fn what_a_follower_took_in_is_ordered_by_the_leader() {
    let mut world = World::running(&[1, 2, 3]);
    let follower = world.follower();
    let tickets: Vec<_> = ["a", "b", "c"].map(|name| world.submit(follower, name)).into();
    world.tick(2);
    assert_eq!(world.names(1), [["a"], ["b"], ["c"]]);
    for (ticket, number) in tickets.into_iter().zip(1..) {
        assert_eq!(world.told(follower, ticket), Some(Ok(BlockNumber(number))));
    }
}

#[test]
fn a_restarted_member_goes_on_where_it_stopped() {
    let mut world = World::running(&[1, 2, 3]);
    for name in ["a", "b", "c"] {
        world.submit(1, name);
        world.run();
    }
    let follower = world.follower();
    world.crash(follower);
    let leader = world.leader().unwrap();
    world.submit(leader, "d");
    world.tick(1);
    world.start(follower).unwrap();
    world.tick(3);
    assert_eq!(world.names(follower), [["a"], ["b"], ["c"], ["d"]]);
    assert_eq!(world.nodes[&follower].ended, None);
    world.assert_no_fork();
}

#[test]
fn all_members_killed_at_once_go_on() {
    let mut world = World::running(&[1, 2, 3]);
    world.submit(1, "a");
    world.tick(1);
    for id in [1, 2, 3] {
        world.crash(id);
    }
    world.start_all();
    let leader = world.elect();
    world.submit(leader, "b");
    world.tick(2);
    for id in [1, 2, 3] {
        assert_eq!(world.names(id), [["a"], ["b"]]);
    }
}

#[test]
fn what_was_taken_in_survives_the_leader() {
    let mut world = World::running(&[1, 2, 3]);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    world.cut.insert((follower, leader));
    let ticket = world.submit(follower, "a");
    world.run();
    world.crash(leader);
    world.cut.clear();
    world.elect();
    world.tick(2);
    assert_eq!(world.told(follower, ticket), Some(Ok(BlockNumber(1))));
    world.start(leader).unwrap();
    world.tick(3);
    assert_eq!(world.names(leader), [["a"]]);
}

#[test]
fn a_leader_that_stops_leading_hands_its_own_to_the_next() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    for other in [1, 2, 3] {
        world.cut.extend([(leader, other), (other, leader)]);
    }
    let ticket = world.submit(leader, "a");
    world.tick(3 * ELECTION);
    world.cut.clear();
    world.elect();
    world.tick(3);
    assert_eq!(world.told(leader, ticket), Some(Ok(BlockNumber(1))));
    assert_eq!(world.names(1), [["a"]]);
    world.assert_no_fork();
}

#[test]
fn nothing_is_ordered_twice_when_a_stream_is_made_anew() {
    let mut world = World::running(&[1, 2, 3]);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    for name in ["a", "b", "c"] {
        world.submit(follower, name);
    }
    let to = ConsenterId(leader);
    world.step(follower, Event::SubmitStreamOpened { to });
    world.tick(2);
    assert_eq!(world.names(leader), [["a"], ["b"], ["c"]]);
}

#[test]
fn what_a_broken_stream_lost_is_handed_again() {
    let mut world = World::running(&[1, 2, 3]);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let tickets = ["a", "b"].map(|name| {
        world.cut.insert((follower, leader));
        let ticket = world.submit(follower, name);
        world.run();
        ticket
    });
    world.cut.clear();
    let late = world.submit(follower, "c");
    world.run();
    assert_eq!(world.names(leader), [[""; 0]; 0], "the gap is seen");
    world.tick(2 * ELECTION + 1);
    assert_eq!(world.names(leader), [["a"], ["b"], ["c"]]);
    assert_eq!(world.told(follower, tickets[0]), Some(Ok(BlockNumber(1))));
    assert_eq!(world.told(follower, late), Some(Ok(BlockNumber(3))));
}

#[test]
fn no_message_is_sent_before_what_it_hangs_on_is_durable() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    let [slow, fast] = [1, 2, 3]
        .into_iter()
        .filter(|id| *id != leader)
        .collect::<Vec<_>>()[..]
    else {
        panic!();
    };
    world.nodes.get_mut(&slow).unwrap().is_log_slow = true;
    world.crash(fast);
    let ticket = world.submit(leader, "a");
    world.tick(3);
    assert_eq!(
        world.told(leader, ticket),
        None,
        "one log of three is no majority"
    );
    world.nodes.get_mut(&slow).unwrap().is_log_slow = false;
    world.tick(1);
    assert_eq!(world.told(leader, ticket), Some(Ok(BlockNumber(1))));
}

#[test]
fn a_leader_commits_with_the_others_while_its_own_disk_is_slow() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    world.nodes.get_mut(&leader).unwrap().is_log_slow = true;
    let ticket = world.submit(leader, "a");
    world.tick(2);
    assert_eq!(world.names(world.follower()), [["a"]]);
    assert_eq!(
        world.told(leader, ticket),
        None,
        "it applies only what it has in its own log"
    );
    world.nodes.get_mut(&leader).unwrap().is_log_slow = false;
    world.tick(1);
    assert_eq!(world.told(leader, ticket), Some(Ok(BlockNumber(1))));
}

#[test]
fn the_timer_cuts_what_waits() {
    let mut world = World::of(&[1]);
    world.batch = 10;
    world.nodes.clear();
    world.join(1, &[1]);
    world.start_all();
    world.submit(1, "a");
    world.submit(1, "b");
    world.run();
    world.fire(1);
    assert_eq!(world.names(1), [["a", "b"]]);
    assert_eq!(world.nodes[&1].timer, None);
}

#[test]
fn no_more_blocks_are_proposed_than_may_be_uncommitted() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    for other in [1, 2, 3] {
        world.cut.extend([(other, leader)]);
    }
    for count in 0..9 {
        world.submit(leader, &format!("e{count}"));
    }
    world.run();
    let before = world.core(leader).node.commit();
    assert_eq!(world.core(leader).node.last_index() - before, 5);
    world.cut.clear();
    world.tick(3);
    assert_eq!(world.names(leader).len(), 9);
}

#[test]
fn envelopes_of_other_software_are_taken_without_a_mark() {
    let mut world = World::running(&[1, 2, 3]);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let message = ClusterMessage::Submit {
        envelope: crate::testing::envelope("foreign", 50),
        config_seq: ConfigSeq(0),
        mark: None,
    };
    let from = ConsenterId(follower);
    world.step(leader, Event::Received { from, message });
    world.tick(1);
    assert_eq!(world.names(follower), [["foreign"]]);
}

#[test]
fn marks_of_other_terms_doubled_and_early_ones_are_dropped() {
    let mut world = World::running(&[1, 2, 3]);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let term = world.core(leader).status().term;
    for (term, number, name) in [
        (term - 1, 1, "old"),
        (term, 2, "early"),
        (term, 1, "first"),
        (term, 1, "doubled"),
        (term, 2, "second"),
    ] {
        let message = ClusterMessage::Submit {
            envelope: crate::testing::envelope(name, 50),
            config_seq: ConfigSeq(0),
            mark: Some(ForwardMark {
                term,
                incarnation: 99,
                number,
            }),
        };
        let from = ConsenterId(follower);
        world.step(leader, Event::Received { from, message });
    }
    world.tick(1);
    assert_eq!(world.names(follower), [["first"], ["second"]]);
}

#[test]
fn a_dropped_envelope_leaves_no_hole_in_the_numbers() {
    let mut world = World::running(&[1, 2, 3]);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    world.cut.insert((follower, leader));
    let dropped = world.submit(follower, "bad");
    world.run();
    world.cut.clear();
    world.reconfigure(leader, consenters(&[1, 2, 3]), "same");
    world.tick(2);
    assert!(matches!(
        world.told(follower, dropped),
        Some(Err(TicketError::Dropped { .. }))
    ));
    world.submit(follower, "a");
    let to = ConsenterId(leader);
    world.step(follower, Event::SubmitStreamOpened { to });
    world.tick(2);
    assert_eq!(world.names(leader), [["config"], ["a"]]);
}

#[test]
fn an_envelope_is_not_found_in_a_block_from_before_it_was_handed() {
    let mut world = World::running(&[1, 2, 3]);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    world.submit(leader, "a");
    world.tick(1);
    let again = world.submit(follower, "a");
    world.tick(1);
    assert_eq!(world.told(follower, again), Some(Ok(BlockNumber(2))));
}

#[test]
fn equal_envelopes_are_told_their_blocks_the_oldest_first() {
    let mut world = World::running(&[1, 2, 3]);
    let follower = world.follower();
    let tickets = ["same", "same"].map(|name| world.submit(follower, name));
    world.tick(2);
    assert_eq!(world.names(follower), [["same"], ["same"]]);
    assert_eq!(world.told(follower, tickets[0]), Some(Ok(BlockNumber(1))));
    assert_eq!(world.told(follower, tickets[1]), Some(Ok(BlockNumber(2))));
}

#[test]
fn what_no_leader_took_for_a_minute_is_given_up() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    for other in [1, 2, 3] {
        world.cut.extend([(leader, other), (other, leader)]);
    }
    world.tick(3 * ELECTION);
    let ticket = world.submit(leader, "a");
    world.tick(601);
    let reason = "no leader took it within 60 seconds".to_owned();
    assert_eq!(
        world.told(leader, ticket),
        Some(Err(TicketError::Dropped { reason }))
    );
}

/// Two nodes are given equal envelopes. What one sees in a block need not have come from it, so the leader must not wait
/// for that number.
#[test]
fn a_leader_is_told_which_numbers_it_need_not_wait_for() {
    let mut world = World::running(&[1, 2, 3]);
    let (leader, sender) = (world.leader().unwrap(), world.follower());
    world.cut.insert((sender, leader));
    let (equal, after) = (world.submit(sender, "equal"), world.submit(sender, "after"));
    world.run();
    world.cut.clear();
    world.submit(leader, "equal");
    world.run();
    assert!(matches!(world.told(sender, equal), Some(Ok(_))));
    assert_eq!(world.told(sender, after), None, "it was lost on its way");
    world.tick(3 * ELECTION);
    assert!(matches!(world.told(sender, after), Some(Ok(_))));
    assert_eq!(world.names(sender).concat(), ["equal", "after"]);
    world.assert_no_fork();
}
