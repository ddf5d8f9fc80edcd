use super::*;

fn voters(world: &World, id: u64) -> Vec<u64> {
    world.core(id).node.voters().iter().map(|id| id.0).collect()
}

#[test]
fn a_member_is_added_and_catches_up() {
    let mut world = World::running(&[1, 2, 3]);
    world.submit(1, "a");
    world.tick(1);
    let ticket = world.reconfigure(1, consenters(&[1, 2, 3, 4]), "add 4");
    world.tick(3);
    assert_eq!(world.told(1, ticket), Some(Ok(BlockNumber(2))));
    assert_eq!(world.metadata(1).consenter_ids, [1, 2, 3, 4]);
    assert_eq!(world.metadata(1).next_consenter_id, 5);
    assert_eq!(voters(&world, 1), [1, 2, 3, 4]);
    world.join_behind(4, 1);
    world.start(4).unwrap();
    world.tick(5);
    assert_eq!(world.leader(), Some(world.core(1).status().leader.unwrap().0));
    world.submit(4, "b");
    world.tick(3);
    assert_eq!(world.names(4), [vec!["a"], vec!["config"], vec!["b"]]);
    assert_eq!(world.core(4).season, Season::Seasoned);
    world.assert_no_fork();
}

#[test]
fn a_config_block_that_writes_the_consensus_type_carries_the_raft_index_before_it() {
    let mut world = World::running(&[1, 2, 3]);
    world.submit(1, "a");
    world.tick(1);
    let before = world.metadata(1).raft_index;
    world.reconfigure(1, consenters(&[1, 2, 3]), "same");
    world.tick(2);
    assert_eq!(world.metadata(1).raft_index, before);
    world.submit(1, "b");
    world.tick(2);
    assert_eq!(world.metadata(1).raft_index, before + 2);
    world.assert_no_fork();
}

#[test]
fn a_member_is_removed_and_the_chain_on_it_ends() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    let gone = world.follower();
    let rest: Vec<_> = [1, 2, 3].into_iter().filter(|id| *id != gone).collect();
    let ticket = world.reconfigure(gone, consenters(&rest), "remove");
    world.tick(3);
    assert_eq!(world.told(gone, ticket), Some(Ok(BlockNumber(1))));
    assert_eq!(world.nodes[&gone].ended, Some(Action::NotMember));
    assert_eq!(voters(&world, leader), rest);
    assert_eq!(world.metadata(leader).consenter_ids, rest);
    world.submit(leader, "b");
    world.tick(2);
    assert_eq!(world.names(rest[0]), [["config"], ["b"]]);
    assert_eq!(world.names(rest[1]), [["config"], ["b"]]);
}

#[test]
fn a_leader_hands_over_before_it_is_removed() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    let rest: Vec<_> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    let ticket = world.reconfigure(leader, consenters(&rest), "remove");
    world.tick(5);
    assert_eq!(world.told(leader, ticket), Some(Ok(BlockNumber(1))));
    assert_eq!(world.nodes[&leader].ended, Some(Action::NotMember));
    world.crash(leader);
    assert!(rest.contains(&world.elect()));
    world.submit(rest[0], "b");
    world.tick(3);
    assert_eq!(world.names(rest[1]), [["config"], ["b"]]);
}

#[test]
fn a_rotated_certificate_keeps_the_id_and_changes_no_voters() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    let mut list = consenters(&[1, 2, 3]);
    let place = usize::try_from(leader - 1).unwrap();
    list[place].client_tls_cert = "renewed".into();
    let follower = world.follower();
    let ticket = world.reconfigure(follower, list, "rotate");
    world.tick(4);
    assert_eq!(world.told(follower, ticket), Some(Ok(BlockNumber(1))));
    assert_ne!(world.leader(), Some(leader), "it handed over first");
    assert_eq!(world.metadata(leader).consenter_ids, [1, 2, 3]);
    assert_eq!(world.metadata(leader).next_consenter_id, 4);
    assert_eq!(voters(&world, leader), [1, 2, 3]);
}

#[test]
fn a_lone_member_orders_its_own_rotation() {
    let mut world = World::running(&[1]);
    let mut list = consenters(&[1]);
    list[0].client_tls_cert = "renewed".into();
    let ticket = world.reconfigure(1, list, "rotate");
    world.tick(1);
    assert_eq!(world.told(1, ticket), Some(Ok(BlockNumber(1))));
    assert_eq!(world.leader(), Some(1));
}

#[test]
fn one_member_grows_to_two_while_the_second_is_not_up() {
    let mut world = World::running(&[1]);
    let ticket = world.reconfigure(1, consenters(&[1, 2]), "add 2");
    world.tick(1);
    assert_eq!(world.told(1, ticket), Some(Ok(BlockNumber(1))));
    world.tick(3 * ELECTION);
    assert_eq!(world.leader(), None);
    assert!(world.nodes[&1].notices.contains(&Notice::NoLeader { members: 2 }));
    world.join_behind(2, 1);
    world.start(2).unwrap();
    world.tick(1);
    world.elect();
    world.submit(2, "a");
    world.tick(3);
    assert_eq!(world.names(2), [["config"], ["a"]]);
}

#[test]
fn a_new_leader_finishes_a_change_of_members() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    world.nodes.get_mut(&leader).unwrap().is_ledger_slow = true;
    world.reconfigure(leader, consenters(&[1, 2, 3, 4]), "add 4");
    world.tick(2);
    let other = world.follower();
    assert_eq!(world.names(other), [["config"]], "committed");
    assert_eq!(
        voters(&world, other),
        [1, 2, 3],
        "the leader does not have its config in force yet"
    );
    world.crash(leader);
    world.elect();
    world.tick(2);
    assert_eq!(voters(&world, other), [1, 2, 3, 4]);
}

#[test]
fn what_the_config_made_invalid_is_dropped_and_its_owner_says_so() {
    let mut world = World::running(&[1, 2, 3]);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    world.cut.insert((follower, leader));
    let late = world.submit(follower, "bad");
    world.run();
    world.cut.clear();
    let ticket = world.reconfigure(leader, consenters(&[1, 2, 3]), "same");
    world.tick(2);
    assert_eq!(world.told(leader, ticket), Some(Ok(BlockNumber(1))));
    let reason = "bad is refused".to_owned();
    assert_eq!(
        world.told(follower, late),
        Some(Err(TicketError::Dropped { reason }))
    );
    world.tick(3 * ELECTION);
    assert_eq!(world.names(leader), [["config"]]);
}

#[test]
fn a_message_to_a_newer_id_ends_the_chain() {
    let mut world = World::running(&[1, 2, 3]);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let message = protos::wire::raftpb::Message {
        r#type: 8,
        to: 9,
        from: leader,
        term: 5,
        ..Default::default()
    };
    let payload = prost::Message::encode_to_vec(&message).into();
    let message = ClusterMessage::Consensus {
        payload,
        metadata: bytes::Bytes::new(),
    };
    let from = ConsenterId(leader);
    world.step(follower, Event::Received { from, message });
    let node = &world.nodes[&follower];
    assert!(node.notices.contains(&Notice::AddressedAs(ConsenterId(9))));
    assert_eq!(node.ended, Some(Action::NotMember));
}

#[test]
fn the_one_that_stays_of_two_goes_on_though_the_other_has_left() {
    let mut world = World::running(&[1, 2]);
    let stays = world.leader().unwrap();
    let gone = world.follower();
    world.reconfigure(stays, consenters(&[stays]), "remove");
    for _ in 0..40 {
        if world.nodes[&stays].ledger.len() == 2 {
            break;
        }
        world.tick(1);
    }
    world.crash(stays);
    world.nodes.get_mut(&stays).unwrap().log.members.voters = vec![ConsenterId(1), ConsenterId(2)];
    world.crash(gone);
    world.start(stays).unwrap();
    world.tick(1);
    assert_eq!(world.leader(), Some(stays));
    world.submit(stays, "a");
    world.tick(1);
    assert_eq!(world.names(stays), [["config"], ["a"]]);
}

#[test]
fn a_newcomer_that_makes_the_members_even_votes_before_it_has_the_log() {
    let mut world = World::running(&[1, 2, 3]);
    world.reconfigure(1, consenters(&[1, 2, 3, 4]), "add 4");
    world.tick(3);
    let gone = world.leader().unwrap();
    world.crash(gone);
    world.join_behind(4, world.nodes.keys().copied().find(|id| *id != gone).unwrap());
    world.start(4).unwrap();
    world.tick(1);
    assert_ne!(world.elect(), 4);
}

#[test]
fn a_replaced_certificate_is_still_taken_until_its_owner_could_learn_of_it() {
    let mut world = World::running(&[1, 2, 3]);
    let (leader, follower) = (world.leader().unwrap(), world.follower());
    let mut list = consenters(&[1, 2, 3]);
    let place = usize::try_from(follower - 1).unwrap();
    list[place].client_tls_cert = "renewed".into();
    world.reconfigure(leader, list, "rotate");
    world.run();
    let certificate = |world: &World| {
        let peers = &world.nodes[&leader].peers;
        let peer = peers.iter().find(|peer| peer.id == ConsenterId(follower));
        peer.unwrap().client_tls_cert.clone()
    };
    assert_eq!(world.names(follower), [["config"]]);
    assert_eq!(certificate(&world), format!("client {follower}"));
    world.tick(ELECTION / 2);
    assert_eq!(certificate(&world), "renewed");
}

/// For a moment it leads and hears nobody: neither can it hand over, nor has it lost its majority yet.
#[test]
fn a_leader_that_is_to_remove_itself_waits_for_somebody_to_hand_over_to() {
    let mut world = World::running(&[1, 2, 3]);
    let leader = world.leader().unwrap();
    let others: Vec<_> = [1, 2, 3].into_iter().filter(|id| *id != leader).collect();
    world.cut.extend(others.iter().map(|other| (*other, leader)));
    let stays = consenters(&others);
    while world.core(leader).heard_lately().len() > 1 {
        world.step(leader, Event::Tick);
    }
    assert_eq!(world.core(leader).status().leader, Some(ConsenterId(leader)));
    world.reconfigure(leader, stays, "without me");
    world.tick(2);
    world.cut.clear();
    world.tick(6 * ELECTION);
    world.elect();
    world.assert_no_fork();
}
