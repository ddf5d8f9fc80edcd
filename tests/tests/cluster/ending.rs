//! Nodes that are told to end (SIGTERM): in order, in time, whatever the other members do, and without being missed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::broadcast::Acknowledge;
use tests::fixture::cluster::check::{PATIENCE, SubmitError, oracle};
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::oracle::Oracle;

/// The bound of an ending (`docs/operating/logging.md`), and something for a process that does not get a core at once.
const END_TIME_MAX: Duration = Duration::from_secs(12);

/// How long clients are watched after the leader has gone.
const WATCHED: Duration = Duration::from_secs(4);

/// A cluster that orders, and which of its members leads.
async fn three_that_order() -> (Cluster, Arc<Oracle>, usize) {
    let cluster = Cluster::start(&ClusterSpec::of(3)).await;
    let oracle = oracle();
    cluster.orders(&cluster.all(), &oracle).await;
    let leader = cluster.leader().await;
    (cluster, oracle, leader)
}

/// Submits through `node` at level `accepted`, so that something is on its way. Tells how many were taken.
async fn put_on_the_way(cluster: &Cluster, node: usize, oracle: &Oracle) -> usize {
    let mut taken = 0;
    for _ in 0..20 {
        let envelope = cluster.signer().transaction(Bytes::from_static(b"x")).bytes;
        oracle.sent(&envelope);
        // Whether it is taken does not matter here.
        if cluster
            .submit_at(node, Acknowledge::Accepted, envelope.clone())
            .await
            .is_ok()
        {
            oracle.acknowledged(&envelope);
            taken += 1;
        }
    }
    taken
}

/// Tells `node` to end and shows that it does so with exit status 0, and how.
fn ends_in_time(cluster: &mut Cluster, node: usize) {
    let began = Instant::now();
    cluster.members[node].node.terminate();
    let status = cluster.members[node].node.wait_for_end(END_TIME_MAX);
    assert!(status.success(), "{status}, after {:?}", began.elapsed());
    let log = cluster.members[node].node.stderr();
    let end = &log[log.rfind("Received signal: 15 (terminated)").expect("the signal")..];
    assert!(end.contains("Stopped after "), "{end}");
    assert!(!end.contains("cut off"), "{end}");
}

pub(crate) async fn a_leader_ends_in_time_although_a_follower_is_down() {
    let (mut cluster, oracle, leader) = three_that_order().await;
    let [down, left] = [(leader + 1) % 3, (leader + 2) % 3];
    cluster.members[down].node.kill();
    put_on_the_way(&cluster, leader, &oracle).await;
    ends_in_time(&mut cluster, leader);
    let text = format!(
        "Transferring leadership to {} channel=fixture node={}",
        left + 1,
        leader + 1
    );
    let log = cluster.members[leader].node.stderr();
    assert!(log.contains(&text), "{log}");
    cluster.members[down].node.start();
    cluster.members[leader].node.start();
    cluster.orders(&cluster.all(), &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn a_node_without_a_majority_ends_in_time_and_keeps_what_it_accepted() {
    let (mut cluster, oracle, leader) = three_that_order().await;
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    for node in others {
        cluster.members[node].node.kill();
    }
    // It still thinks that it leads, and cannot have any of this ordered.
    let taken = put_on_the_way(&cluster, leader, &oracle).await;
    assert!(taken > 0);
    ends_in_time(&mut cluster, leader);
    let kept = format!("{taken} accepted envelopes are in no block yet: they are kept");
    let log = cluster.members[leader].node.stderr();
    assert!(log.contains(&kept), "{log}");
    for node in cluster.all() {
        cluster.members[node].node.launch();
    }
    cluster.orders(&cluster.all(), &oracle).await;
    let log = cluster.members[leader].node.stderr();
    let goes_on = format!("Going on with {taken} envelopes that were accepted before the last stop");
    assert!(log.contains(&goes_on), "{log}");
    cluster.agree(&cluster.all(), &oracle).await;
    cluster.assert_no_panic();
}

/// The other members are stopped where they are, so the first signal is not done with at once.
pub(crate) async fn a_second_signal_ends_a_node_at_once() {
    let (mut cluster, oracle, leader) = three_that_order().await;
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    for node in others {
        cluster.members[node].node.pause();
    }
    put_on_the_way(&cluster, leader, &oracle).await;
    cluster.members[leader].node.terminate();
    cluster.members[leader]
        .node
        .wait_for("Received signal: 15 (terminated)", PATIENCE);
    cluster.members[leader].node.terminate();
    let began = Instant::now();
    let status = cluster.members[leader].node.wait_for_end(END_TIME_MAX);
    assert_eq!(status.code(), Some(143), "{status}");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let log = cluster.members[leader].node.stderr();
    assert!(
        log.contains("asked to end again before the end: ending at once"),
        "{log}"
    );
    for node in others {
        cluster.members[node].node.resume();
    }
    cluster.members[leader].node.start();
    cluster.orders(&cluster.all(), &oracle).await;
    cluster.assert_no_panic();
}

/// The longest time between two envelopes that were ordered through `node`, from now on.
async fn longest_gap(cluster: &Cluster, node: usize) -> Duration {
    let (began, mut last, mut longest) = (Instant::now(), Instant::now(), Duration::ZERO);
    while began.elapsed() < WATCHED || longest < last.elapsed() {
        let envelope = cluster.signer().transaction(Bytes::from_static(b"x")).bytes;
        match cluster.submit(node, envelope).await {
            Ok(()) => {
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            Err(SubmitError::Refused(..) | SubmitError::NoAnswer(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
        assert!(began.elapsed() < PATIENCE, "nothing is ordered any more");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    longest
}

/// Prints both times: `docs/operating/logging.md` has them.
pub(crate) async fn clients_of_the_others_wait_less_for_a_leader_that_ends_than_for_one_that_is_killed() {
    let mut spec = ClusterSpec::of(3);
    // Elections by timeout take long enough to be told from the rest.
    "200ms".clone_into(&mut spec.options.tick_interval);
    let mut cluster = Cluster::start(&spec).await;
    let (all, oracle) = (cluster.all(), oracle());
    let mut gaps = Vec::new();
    for is_asked in [true, false] {
        cluster.orders(&all, &oracle).await;
        let leader = cluster.leader().await;
        if is_asked {
            cluster.members[leader].node.terminate();
        } else {
            cluster.members[leader].node.kill();
        }
        gaps.push(longest_gap(&cluster, (leader + 1) % 3).await);
        if is_asked {
            let status = cluster.members[leader].node.wait_for_end(PATIENCE);
            assert!(status.success(), "{status}");
        }
        cluster.members[leader].node.start();
    }
    println!(
        "longest time without an ordered envelope: {:?} when the leader was asked to end, {:?} when it was killed",
        gaps[0], gaps[1]
    );
    assert!(gaps[0] < spec.election_timeout(), "{gaps:?}");
    assert!(gaps[0] < gaps[1], "{gaps:?}");
    cluster.orders(&all, &oracle).await;
    cluster.assert_no_panic();
}
