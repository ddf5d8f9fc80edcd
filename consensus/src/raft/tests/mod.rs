//! Whole chains, three to a cluster, over real logs.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use protos::{BlockNumber, ConsenterId};
use tokio::time::timeout;

use self::world::{BATCH_LEN, TICK, World, until};
use crate::chain::{Ended, EnqueueError, Phase};
use crate::testing::normal;
use crate::ticket::Outcome;

/// Submits `names` through a node, a few at a time, and waits for their outcomes.
async fn submit(world: &World, id: u64, names: Vec<String>) -> Vec<Outcome> {
    let chain = world.chain(id);
    let mut waiting = Vec::new();
    for call in names.chunks(64) {
        let submissions = call.iter().map(|name| normal(name, 100, 0)).collect();
        waiting.push(chain.enqueue_all(submissions).await.unwrap());
    }
    let outcomes = futures::stream::iter(waiting).flatten();
    timeout(Duration::from_mins(1), outcomes.collect()).await.unwrap()
}

fn names(stream: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{stream} {number:05}")).collect()
}

/// Checks that each name is where its outcome says.
fn assert_found(blocks: &[Vec<String>], names: &[String], outcomes: &[Outcome]) {
    for (name, outcome) in names.iter().zip(outcomes) {
        let BlockNumber(number) = *outcome.as_ref().unwrap();
        let block = &blocks[usize::try_from(number).unwrap() - 1];
        assert!(block.contains(name), "{name} is not in block {number}");
    }
}

fn assert_exactly_once(blocks: &[Vec<String>], expected: usize) {
    let mut counts = BTreeMap::<&String, usize>::new();
    for name in blocks.iter().flatten() {
        *counts.entry(name).or_default() += 1;
    }
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(counts.len(), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_member_orders_and_goes_on_after_a_restart() {
    let world = World::started(1);
    for round in ["a", "b"] {
        let names = names(round, 25);
        let outcomes = submit(&world, 1, names.clone()).await;
        assert_found(&world.blocks(1), &names, &outcomes);
        assert!(!*world.chain(1).errored().borrow());
        world.stop(1).await;
        world.start(1);
    }
    assert_exactly_once(&world.blocks(1), 50);
    world.stop(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_envelopes_through_three_nodes_are_ordered_once() {
    let world = World::started(3);
    let first = world.leader().await;
    assert_eq!(first, 2, "the first leader of `testchannel` with three members");
    let streams = ["one", "two", "three"].map(|stream| names(stream, 3334));
    let [one, two, three] = streams.clone();
    let (one, two, three) = tokio::join!(
        submit(&world, 1, one),
        submit(&world, 2, two),
        submit(&world, 3, three)
    );
    let height = world
        .blocks(1)
        .len()
        .max(world.blocks(2).len())
        .max(world.blocks(3).len())
        + 1;
    world.converge(&[1, 2, 3], height).await;
    assert_exactly_once(&world.blocks(1), 3 * 3334);
    for (names, outcomes) in streams.iter().zip([one, two, three]) {
        assert_found(&world.blocks(1), names, &outcomes);
    }
    assert!(height > 10_000 / BATCH_LEN as usize);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_down_catches_up_from_its_log_and_the_others() {
    let world = World::started(3);
    let leader = world.leader().await;
    let follower = leader % 3 + 1;
    let other = 6 - leader - follower;
    submit(&world, leader, names("a", 100)).await;
    world.converge(&[1, 2, 3], 11).await;
    world.stop(follower).await;
    let outcomes = submit(&world, other, names("b", 200)).await;
    assert!(outcomes.iter().all(Result::is_ok));
    world.start(follower);
    let height = world.blocks(other).len() + 1;
    world.converge(&[1, 2, 3], height).await;
    let outcomes = submit(&world, follower, names("c", 30)).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_exactly_once(&world.blocks(follower), 330);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_halt_hands_leadership_over() {
    let world = World::started(3);
    let leader = world.leader().await;
    submit(&world, leader, names("a", 10)).await;
    world.converge(&[1, 2, 3], 2).await; // who has no log yet does not vote
    world.stop(leader).await;
    let after = world.leader().await;
    assert_ne!(after, leader);
    let outcomes = submit(&world, after, names("b", 10)).await;
    assert!(outcomes.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_asked_to_step_aside_follows_and_loses_nothing() {
    let world = World::started(3);
    let leader = world.leader().await;
    submit(&world, leader, names("a", 50)).await;
    world.converge(&[1, 2, 3], 6).await;
    world.chain(leader).step_aside();
    until("another leader", || {
        let cluster = world.chain(leader).status().cluster?;
        cluster.leader.filter(|now| now.0 != leader).map(drop)
    })
    .await;
    let outcomes = submit(&world, leader, names("b", 50)).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_exactly_once(&world.blocks(leader), 100);
    // Nobody else: it goes on in its place.
    let alone = World::started(1);
    let one = alone.leader().await;
    alone.chain(one).step_aside();
    let outcomes = submit(&alone, one, names("c", 10)).await;
    assert!(outcomes.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_nothing_is_taken_in_for_longer_than_may_be() {
    let world = World::started(3);
    let leader = world.leader().await;
    submit(&world, leader, names("before", 10)).await;
    world.converge(&[1, 2, 3], 2).await;
    for id in (1..=3).filter(|id| *id != leader) {
        world.stop(id).await;
    }
    let chain = world.chain(leader);
    until("the loss of the leader", || {
        chain.status().cluster.unwrap().leader.is_none().then_some(())
    })
    .await;
    assert!(*chain.errored().borrow());
    let refused = timeout(50 * TICK, chain.enqueue(normal("late", 10, 0))).await;
    let refused = refused.unwrap().unwrap_err();
    assert!(matches!(refused, EnqueueError::NoLeader { .. }), "{refused}");
    world.start(leader % 3 + 1);
    world.leader().await;
    let outcomes = submit(&world, leader, names("a", 10)).await;
    assert!(outcomes.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_loses_nothing_it_acknowledged() {
    let world = World::started(3);
    let leader = world.leader().await;
    submit(&world, leader, names("a", 50)).await;
    world.converge(&[1, 2, 3], 6).await;
    world.net.cut(leader);
    let next = world.leader().await;
    assert_ne!(next, leader);
    let outcomes = submit(&world, next, names("b", 50)).await;
    assert!(outcomes.iter().all(Result::is_ok));
    world.net.heal(leader);
    world.leader().await;
    assert!(world.net.has_forgotten_heartbeats(leader));
    assert!(!world.net.has_forgotten_heartbeats(next));
    let height = world.blocks(next).len() + 1;
    world.converge(&[1, 2, 3], height).await;
    let outcomes = submit(&world, leader, names("c", 50)).await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert_exactly_once(&world.blocks(leader), 150);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_tells_how_it_stands_and_how_it_ended() {
    let world = World::started(3);
    let leader = world.leader().await;
    let chain = world.chain(leader);
    until("all members to be known as active", || {
        (chain.members().active.len() == 3).then_some(())
    })
    .await;
    let status = chain.status();
    assert_eq!(status.phase, Phase::Running);
    let cluster = status.cluster.unwrap();
    assert_eq!(
        (cluster.id, cluster.leader),
        (ConsenterId(leader), Some(ConsenterId(leader)))
    );
    assert_eq!(cluster.members, [1, 2, 3].map(ConsenterId));
    world.stop(leader).await;
    assert_eq!(chain.ended().await, Ok(Ended::Halted));
    assert_eq!(chain.status().phase, Phase::Halted);
    let late = chain.enqueue(normal("late", 10, 0)).await.unwrap_err();
    assert_eq!(late, EnqueueError::Halted);
}
