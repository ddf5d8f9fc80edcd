//! Too few members: what clients, operators and the log are told, and that it mends itself.

use std::time::{Duration, Instant};

use bytes::Bytes;
use client::broadcast::{Acknowledge, BroadcastOptions, submit_all};
use tests::fixture::cluster::check::{PATIENCE, SubmitError, oracle};
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

const LEADER_WAIT: &str = "ORDERER_GENERAL_BROADCAST_LEADERWAIT";

/// Submits through a node until it listens. The answer, and how long the last attempt took.
async fn first_answer(
    cluster: &Cluster,
    node: usize,
    envelope: &Bytes,
) -> (Result<(), SubmitError>, Duration) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let began = Instant::now();
        match cluster.submit(node, envelope.clone()).await {
            Err(SubmitError::NotSent(error)) => assert!(began < deadline, "{error}"),
            answer => return (answer, began.elapsed()),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The bound is shorter than an election, so nothing else ends the wait; and then so long that a leader comes first.
pub(crate) async fn a_submission_at_a_node_that_has_just_started_waits_for_a_leader_as_long_as_it_may() {
    let mut spec = ClusterSpec::of(3);
    "500ms".clone_into(&mut spec.options.tick_interval);
    let mut cluster = Cluster::start(&spec).await;
    let (all, oracle) = (cluster.all(), oracle());
    cluster.orders(&all, &oracle).await;
    for member in &mut cluster.members {
        member.node.kill();
    }
    is_refused_after_the_wait(&mut cluster, &oracle).await;
    is_ordered_within_the_wait(&mut cluster, &oracle).await;
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

async fn is_refused_after_the_wait(cluster: &mut Cluster, oracle: &Oracle) {
    const WAIT: Duration = Duration::from_millis(1500);
    cluster.members[0].node.set_variable(LEADER_WAIT, "1500ms");
    cluster.members[0].node.launch();
    let envelope = cluster
        .signer()
        .transaction(Bytes::from_static(b"too early"))
        .bytes;
    oracle.sent(&envelope);
    let (answer, took) = first_answer(cluster, 0, &envelope).await;
    let text = answer.expect_err("nobody leads").unavailable();
    assert!(
        text.contains(NO_LEADER) && text.contains("1 of 3 consenters answer, 2 are needed"),
        "{text}"
    );
    let times = WAIT..cluster.spec().election_timeout();
    assert!(times.contains(&took), "the answer took {took:?}");
    oracle.refused(&envelope, &text);
    cluster.members[0].node.kill();
}

async fn is_ordered_within_the_wait(cluster: &mut Cluster, oracle: &Oracle) {
    cluster.members[0].node.set_variable(LEADER_WAIT, "60s");
    cluster.members[0].node.start();
    let envelope = cluster.signer().transaction(Bytes::from_static(b"in time")).bytes;
    oracle.sent(&envelope);
    let connection = cluster.connect(0).await.expect("a connection");
    let options = BroadcastOptions {
        acknowledge: Some(Acknowledge::Committed),
        ..BroadcastOptions::default()
    };
    let waiting = [envelope.clone()];
    let waiting = tokio::spawn(async move { submit_all(&connection, options, waiting).await });
    cluster.launch(&[1, 2]);
    let ordered = tokio::time::timeout(PATIENCE, waiting).await.expect("an answer");
    assert_eq!(ordered.expect("no panic").expect("it is ordered"), 1);
    oracle.acknowledged(&envelope);
}
