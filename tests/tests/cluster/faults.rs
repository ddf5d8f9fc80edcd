//! Leaders and followers killed and stopped, all killed, an envelope on its way while the leader dies.

use std::time::{Duration, Instant};

use bytes::Bytes;
use client::broadcast::Acknowledge;
use protos::wire::common::Status;
use tests::fixture::cluster::check::{PATIENCE, SubmitError, oracle};
use tests::fixture::cluster::load::{Load, LoadSpec};
use tests::fixture::cluster::{Cluster, ClusterSpec};

/// Acknowledgements that show that ordering goes on.
const GOES_ON: usize = 100;

pub(crate) async fn a_killed_leader_is_replaced_among_three() {
    kill_leader(3).await;
}

pub(crate) async fn a_killed_leader_is_replaced_among_five() {
    kill_leader(5).await;
}

/// Twice: the second one is a leader that was elected under load.
async fn kill_leader(nodes: usize) {
    let mut cluster = Cluster::start(&ClusterSpec::of(nodes)).await;
    let (all, oracle) = (cluster.all(), oracle());
    let load = Load::start(&cluster, &all, &oracle, LoadSpec::default());
    for _ in 0..2 {
        load.goes_on(GOES_ON).await;
        let leader = cluster.leader().await;
        cluster.members[leader].node.kill();
        load.goes_on(GOES_ON).await;
        assert_ne!(cluster.leader().await, leader);
        cluster.members[leader].node.start();
    }
    load.goes_on(GOES_ON).await;
    load.stop().await;
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn a_killed_follower_is_not_missed_among_three() {
    kill_follower(3).await;
}

pub(crate) async fn a_killed_follower_is_not_missed_among_five() {
    kill_follower(5).await;
}

/// Nobody elects: the timeout is so long that a leader which does not get a core at once is not taken for dead.
async fn kill_follower(nodes: usize) {
    let mut spec = ClusterSpec::of(nodes);
    "500ms".clone_into(&mut spec.options.tick_interval);
    let mut cluster = Cluster::start(&spec).await;
    let (all, oracle) = (cluster.all(), oracle());
    let load = Load::start(&cluster, &all, &oracle, LoadSpec::default());
    load.goes_on(GOES_ON).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % nodes;
    cluster.members[follower].node.kill();
    load.goes_on(GOES_ON).await;
    assert_eq!(cluster.leader().await, leader, "the leader stays");
    cluster.members[follower].node.start();
    load.goes_on(GOES_ON).await;
    load.stop().await;
    cluster.orders(&all, &oracle).await;
    assert_eq!(cluster.leader().await, leader, "the leader stays");
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn three_that_are_killed_together_come_back() {
    kill_all(3).await;
}

pub(crate) async fn five_that_are_killed_together_come_back() {
    kill_all(5).await;
}

async fn kill_all(nodes: usize) {
    let mut cluster = Cluster::start(&ClusterSpec::of(nodes)).await;
    let (all, oracle) = (cluster.all(), oracle());
    let load = Load::start(&cluster, &all, &oracle, LoadSpec::default());
    for _ in 0..2 {
        load.goes_on(GOES_ON).await;
        for member in &mut cluster.members {
            member.node.kill();
        }
        cluster.launch(&all);
    }
    load.goes_on(GOES_ON).await;
    load.stop().await;
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn a_stopped_leader_among_three_is_replaced_and_follows_when_it_goes_on() {
    stop_leader(3).await;
}

pub(crate) async fn a_stopped_leader_among_five_is_replaced_and_follows_when_it_goes_on() {
    stop_leader(5).await;
}

/// The stopped one believes that it leads until it hears of the other.
async fn stop_leader(nodes: usize) {
    let cluster = Cluster::start(&ClusterSpec::of(nodes)).await;
    let (all, oracle) = (cluster.all(), oracle());
    let load = Load::start(&cluster, &all, &oracle, LoadSpec::default());
    load.goes_on(GOES_ON).await;
    let leader = cluster.leader().await;
    cluster.members[leader].node.pause();
    load.goes_on(GOES_ON).await;
    cluster.members[leader].node.resume();
    assert_ne!(cluster.leader_other_than(leader).await, leader);
    load.goes_on(GOES_ON).await;
    load.stop().await;
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

/// At level `accepted` a follower has promised to see to it. The leader is stopped, so that what the follower handed it
/// is lost with it.
pub(crate) async fn envelopes_at_a_follower_while_the_leader_dies_are_ordered_once() {
    const ENVELOPES: usize = 50;
    let mut cluster = Cluster::start(&ClusterSpec::of(3)).await;
    let (all, oracle) = (cluster.all(), oracle());
    cluster.orders(&all, &oracle).await;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    cluster.members[leader].node.pause();
    let mut accepted = 0;
    for _ in 0..ENVELOPES {
        let envelope = cluster
            .signer()
            .transaction(Bytes::from_static(b"promised"))
            .bytes;
        oracle.sent(&envelope);
        match cluster
            .submit_at(follower, Acknowledge::Accepted, envelope.clone())
            .await
        {
            Ok(()) => {
                oracle.acknowledged(&envelope);
                accepted += 1;
            }
            Err(SubmitError::Refused(status, _)) if status == Status::ServiceUnavailable as i32 => {}
            Err(other) => panic!("neither accepted nor refused: {other:?}"),
        }
    }
    assert!(
        accepted > 0,
        "the follower took nothing in while it still had a leader"
    );
    cluster.members[leader].node.kill();
    cluster.leader_other_than(leader).await;
    cluster.orders(&[follower], &oracle).await;
    cluster.members[leader].node.start();
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

/// An election that nobody asked for begins an election timeout after the last word of the leader, at the earliest.
pub(crate) async fn a_leader_that_is_told_to_end_hands_over_before_it_goes() {
    hands_over_under(LoadSpec::default()).await;
}

/// There is no moment at which all it has is ordered.
pub(crate) async fn a_leader_that_is_never_idle_hands_over_before_it_goes() {
    let busy = LoadSpec {
        pause: Duration::ZERO,
        ..LoadSpec::default()
    };
    hands_over_under(busy).await;
}

async fn hands_over_under(load: LoadSpec) {
    let mut spec = ClusterSpec::of(3);
    "500ms".clone_into(&mut spec.options.tick_interval);
    let mut cluster = Cluster::start(&spec).await;
    let (all, oracle) = (cluster.all(), oracle());
    let load = Load::start(&cluster, &all, &oracle, load);
    load.goes_on(GOES_ON).await;
    let leader = cluster.leader().await;
    cluster.members[leader].node.terminate();
    let told = Instant::now();
    cluster.leader_other_than(leader).await;
    let took = told.elapsed();
    assert!(took < spec.election_timeout(), "another one leads after {took:?}");
    let ended = cluster.members[leader].node.wait_for_end(PATIENCE);
    assert!(ended.success(), "{ended}");
    load.goes_on(GOES_ON).await;
    cluster.members[leader].node.start();
    load.goes_on(GOES_ON).await;
    load.stop().await;
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}
