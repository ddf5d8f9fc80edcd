//! A channel removed from one node or from all, and joined again with the same genesis block.

use super::*;

/// Three members that have ordered a few blocks, checkpoints among them.
fn ordered() -> World {
    let mut world = World::of(&[1, 2, 3]);
    world.snapshot_interval = 1000;
    for id in [1, 2, 3] {
        world.join(id, &[1, 2, 3]);
    }
    world.start_all();
    let leader = world.elect();
    for count in 0..12 {
        world.order_large(leader, &format!("e{count}"), 300);
    }
    world
}

fn order_everywhere(world: &mut World, name: &str) {
    world.elect();
    for id in [1, 2, 3] {
        let ticket = world.submit(id, &format!("{name} {id}"));
        world.tick(3);
        assert!(matches!(world.told(id, ticket), Some(Ok(_))), "node {id}");
    }
    world.assert_no_fork();
}

#[test]
fn a_member_that_removed_the_channel_goes_on_with_its_log() {
    for is_leader in [false, true] {
        let mut world = ordered();
        let node = if is_leader {
            world.leader().unwrap()
        } else {
            world.follower()
        };
        let term = world.core(node).status().term;
        world.rejoin(node);
        world.tick(3);
        assert_eq!(world.nodes[&node].ended, None);
        assert!(world.core(node).status().term >= term);
        assert_eq!(world.nodes[&node].log.retired, None);
        order_everywhere(&mut world, "after");
        assert_eq!(world.nodes[&node].ledger.len(), 1 + 12 + 3);
        // It counts: with one of the others it is a majority.
        let gone = (1..=3).find(|id| *id != node).unwrap();
        world.crash(gone);
        let leader = world.elect();
        world.order_large(leader, "two are enough", 100);
        assert_eq!(world.names(node).len(), 16);
    }
}

/// What it confirmed may be committed by others on the strength of that.
#[test]
fn what_a_member_confirmed_before_it_removed_the_channel_is_not_lost() {
    let mut world = ordered();
    let leader = world.leader().unwrap();
    let node = world.follower();
    let other = 6 - leader - node;
    world.crash(other);
    // The member has the entry, and does not know that it is committed.
    world.submit(leader, "confirmed");
    let last = world.core(leader).node.last_index();
    while world.core(node).node.persisted_index() < last {
        assert!(world.sync(leader) || world.sync(node) || world.deliver());
    }
    world.run();
    world.remove(node);
    world.crash(leader);
    world.start(other).unwrap();
    world.start(node).unwrap();
    world.tick(5 * ELECTION);
    let names = world.names(other);
    assert_eq!(names.last(), Some(&vec!["confirmed".to_owned()]), "{names:?}");
    assert_eq!(world.leader(), Some(node), "the other one lacks the entry");
}

#[test]
fn while_it_is_not_known_what_became_of_the_channel_nothing_is_said() {
    let mut world = ordered();
    let node = world.follower();
    world.remove(node);
    for other in (1..=3).filter(|id| *id != node) {
        world.cut.insert((other, node)); // it hears nobody
    }
    world.start(node).unwrap();
    world.wire.clear();
    for _ in 0..3 * ELECTION {
        world.step(node, Event::Tick);
    }
    assert!(world.wire.iter().all(|(from, ..)| *from != node));
    let heartbeats: Vec<_> = (1..=3).filter(|id| *id != node).collect();
    for other in heartbeats {
        let probe = raft_heartbeat(other, node, 9, 40);
        world.step(
            node,
            Event::Received {
                from: ConsenterId(other),
                message: probe,
            },
        );
    }
    assert!(
        world.nodes[&node].log_writes.is_empty(),
        "nothing is written either"
    );
    assert_eq!(world.nodes[&node].ended, None);
    let trouble = world.core(node).status().trouble.unwrap();
    assert!(trouble.contains("removed it"), "{trouble}");
    world.cut.clear();
    world.tick(3);
    order_everywhere(&mut world, "after");
}

fn raft_heartbeat(from: u64, to: u64, term: u64, commit: u64) -> ClusterMessage {
    use prost::Message as _;
    use protos::wire::raftpb::{Message, MessageType};
    let mut message = Message {
        from,
        to,
        term,
        commit,
        ..Message::default()
    };
    message.set_type(MessageType::Heartbeat);
    ClusterMessage::Consensus {
        payload: message.encode_to_vec().into(),
        metadata: bytes::Bytes::new(),
    }
}

#[test]
fn a_channel_removed_from_all_begins_anew() {
    let mut world = ordered();
    let terms: Vec<_> = [1, 2, 3].map(|id| world.core(id).status().term).to_vec();
    for _ in 0..3 {
        for id in [1, 2, 3] {
            world.remove(id);
        }
        for id in [1, 2, 3] {
            world.start(id).unwrap();
        }
        world.run();
        order_everywhere(&mut world, "anew");
        assert_eq!(world.names(1).len(), 3, "nothing of the former chain came back");
    }
    for (id, before) in [1, 2, 3].into_iter().zip(terms) {
        assert!(
            world.core(id).status().term > before,
            "a vote could be given twice"
        );
    }
}

#[test]
fn who_comes_last_to_a_channel_made_anew_drops_its_log() {
    let mut world = ordered();
    for id in [1, 2, 3] {
        world.remove(id);
    }
    // The third can be asked, and says that it has no block, but begins only when the others have gone on.
    world.start(3).unwrap();
    world.nodes.get_mut(&3).unwrap().asks_about = None;
    world.start(1).unwrap();
    world.start(2).unwrap();
    world.run();
    world.crash(3);
    let leader = world.elect();
    world.order_large(leader, "anew", 100);
    world.start(3).unwrap();
    world.tick(5);
    order_everywhere(&mut world, "and on");
    assert_eq!(world.names(3).len(), 4);
}

/// Two of three removed the channel, the third may have the only copy.
#[test]
fn a_majority_that_removed_the_channel_waits_for_the_blocks() {
    let mut world = ordered();
    world.crash(3);
    world.remove(1);
    world.remove(2);
    world.start(1).unwrap();
    world.start(2).unwrap();
    world.tick(5 * ELECTION);
    assert_eq!((world.leader(), world.names(1).len()), (None, 0));
    world.start(3).unwrap();
    world.tick(3);
    order_everywhere(&mut world, "after");
    assert_eq!(world.names(1).len(), 15);
}

#[test]
fn another_genesis_block_owes_nothing_to_the_former_channel() {
    let mut world = ordered();
    let other = World::running(&[1, 2, 3]);
    for id in [1, 2, 3] {
        world.remove(id);
        let node = world.nodes.get_mut(&id).unwrap();
        node.ledger = other.nodes[&id].ledger[..1].to_vec();
        node.ledger[0].0.header.get_or_insert_default().data_hash = vec![9; 32].into();
        world.start(id).unwrap();
    }
    world.run();
    order_everywhere(&mut world, "another");
    assert_eq!(world.names(1).len(), 3);
}

/// It was removed from the members and added again, so the genesis block gives it an id that it had once.
#[test]
fn a_log_of_a_later_id_is_kept_until_the_blocks_give_that_id() {
    let mut world = ordered();
    let node = world.follower();
    let identity = |world: &World| world.nodes[&node].log.identity.clone().unwrap();
    let mut later = identity(&world);
    later.id = ConsenterId(7);
    world.remove(node);
    world.nodes.get_mut(&node).unwrap().log.identity = Some(later.clone());
    world.start(node).unwrap();
    world.run();
    assert_eq!(world.nodes[&node].ended, Some(Action::NotMember));
    assert_eq!(identity(&world), later);
    assert!(world.nodes[&node].log.retired.is_some());
}

#[test]
fn a_log_that_was_lost_is_lost_when_the_channel_comes_back() {
    let mut world = ordered();
    let node = world.follower();
    world.remove(node);
    let identity = &mut world.nodes.get_mut(&node).unwrap().log.identity;
    identity.as_mut().unwrap().lost = Some("deleted".to_owned());
    world.start(node).unwrap();
    world.run();
    let lost = Action::LostLog {
        reason: "deleted".to_owned(),
    };
    assert_eq!(world.nodes[&node].ended, Some(lost));
}
