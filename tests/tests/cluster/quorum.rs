//! Too few members: what clients, operators and the log are told, and that it mends itself.

use std::time::{Duration, Instant};

use bytes::Bytes;
use client::broadcast::Acknowledge;
use tests::fixture::cluster::check::{PATIENCE, oracle};
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::oracle::Oracle;

/// For a process that does not get a core at once.
const SLACK: Duration = Duration::from_secs(2);

/// What the texts about a missing leader begin with.
const NO_LEADER: &str = "no Raft leader";

pub(crate) async fn without_a_majority_clients_and_operators_are_told_and_its_return_needs_nobody() {
    let spec = ClusterSpec::of(3);
    let mut cluster = Cluster::start(&spec).await;
    let (all, oracle) = (cluster.all(), oracle());
    cluster.orders(&all, &oracle).await;
    let leader = cluster.leader().await;
    let [first, second] = [(leader + 1) % 3, (leader + 2) % 3];
    for node in [first, second] {
        cluster.members[node].node.kill();
    }
    // Nobody knows of it yet: the wait is bounded by 1.5 election timeouts.
    assert_refused(&cluster, leader, &oracle, spec.election_timeout() * 3 / 2).await;
    let text = "stepped down to follower since quorum is not active";
    cluster.members[leader].node.wait_for(text, PATIENCE);
    // Now it is known.
    assert_refused(&cluster, leader, &oracle, Duration::ZERO).await;
    assert_told(&cluster, leader);
    assert_delivers(&cluster, leader).await;

    cluster.members[first].node.start();
    cluster.orders(&[leader, first], &oracle).await;
    cluster.members[second].node.start();
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

/// SERVICE UNAVAILABLE with the reason, not later than this. A leader that does not know yet that it is alone may still
/// accept an envelope, and then it owes it.
async fn assert_refused(cluster: &Cluster, node: usize, oracle: &Oracle, time_max: Duration) {
    let envelope = cluster.signer().transaction(Bytes::from_static(b"x")).bytes;
    oracle.sent(&envelope);
    let began = Instant::now();
    let answer = cluster
        .submit_at(node, Acknowledge::Accepted, envelope.clone())
        .await;
    let took = began.elapsed();
    match answer {
        Ok(()) => {
            assert!(!time_max.is_zero(), "taken in although no majority is there");
            oracle.acknowledged(&envelope);
        }
        Err(error) => {
            let text = error.unavailable();
            assert!(text.contains(NO_LEADER), "{text}");
            oracle.refused(&envelope, &text);
        }
    }
    assert!(took < time_max + SLACK, "the answer took {took:?}");
}

/// `ordain channel info` says what is wrong.
fn assert_told(cluster: &Cluster, node: usize) {
    let text = cluster.channel_info(node, cluster.channel());
    assert!(
        text.contains("nobody leads") && text.contains("consenters answer"),
        "the loss is not told: {text}"
    );
}

/// Blocks are there for whoever takes what there is.
async fn assert_delivers(cluster: &Cluster, node: usize) {
    let chain = cluster.chain_of(node, &cluster.signer()).await.expect("blocks");
    assert!(chain.len() > 1, "{} blocks", chain.len());
}

/// The channel's config gives addresses that only clients can reach: nodes ask each other, and fetch blocks, where
/// they reach each other.
pub(crate) async fn nodes_that_cannot_reach_the_addresses_for_clients_find_each_other() {
    let mut spec = ClusterSpec::of(3);
    spec.endpoints = Some(vec!["127.0.0.1:9".parse().expect("an address")]);
    let mut cluster = Cluster::start(&spec).await;
    let oracle = oracle();
    cluster.orders(&cluster.all(), &oracle).await;
    cluster.members[2].node.kill();
    cluster.members[2].wipe();
    cluster.members[2].node.start();
    cluster.join(&[2]).await;
    let height = cluster.equal_heights(&[0, 1], cluster.channel()).await;
    cluster.until_height(2, height).await;
    cluster.agree(&cluster.all(), &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn a_channel_whose_other_members_never_came_says_so() {
    let mut cluster = Cluster::new(&ClusterSpec::of(3));
    let (all, oracle) = (cluster.all(), oracle());
    cluster.launch(&[0]);
    cluster.join(&[0]).await;
    let info = cluster.info(0).await.expect("an answer");
    assert_eq!(
        (
            info.consensus_relation.as_str(),
            info.status.as_str(),
            info.height
        ),
        ("consenter", "active", 1)
    );
    let envelope = cluster.signer().transaction(Bytes::from_static(b"x")).bytes;
    let text = cluster
        .submit(0, envelope)
        .await
        .expect_err("nobody leads")
        .unavailable();
    assert!(text.contains(NO_LEADER), "{text}");
    cluster.launch(&[1, 2]);
    cluster.join(&[1]).await;
    // Two of three are enough.
    cluster.orders(&[0, 1], &oracle).await;
    cluster.join(&[2]).await;
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}
