//! Three nodes of one folder that start in any order, are told to end (SIGTERM) all at once, and are started again at
//! once on the same ports: twenty times, with clients at work all the time.

use std::time::Duration;

use client::broadcast::Acknowledge;
use tests::fixture::cluster::walk::{Restarts, restart_under_load};
use tests::fixture::cluster::{Cluster, ClusterSpec};

const TWENTY: Restarts = Restarts {
    rounds: 20,
    acknowledged: 30,
    level: Acknowledge::Committed,
};

/// What clients were told in the end; far fewer would mean that they sat out the restarts.
const ACKNOWLEDGED_MIN: usize = 21 * TWENTY.acknowledged;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_stops_and_starts_at_once_of_three_nodes_lose_nothing_and_log_no_error() {
    let mut spec = ClusterSpec::of(3);
    // An election in a quarter of a second: it is the restarts that are in question.
    spec.options.tick_interval = "25ms".to_owned();
    let mut cluster = Cluster::start(&spec).await;
    assert!(spec.election_timeout() < Duration::from_secs(1));
    let promises = restart_under_load(&mut cluster, TWENTY).await;
    let counts = promises.counts();
    assert!(counts.acknowledged >= ACKNOWLEDGED_MIN, "{counts:?}");
}

/// At level `accepted` SUCCESS comes before a majority has the envelope; an end in order keeps that promise too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_three_nodes_have_accepted_is_ordered_although_all_are_told_to_end_at_once() {
    let mut spec = ClusterSpec::of(3);
    spec.options.tick_interval = "25ms".to_owned();
    let mut cluster = Cluster::start(&spec).await;
    let few = Restarts {
        rounds: 5,
        level: Acknowledge::Accepted,
        ..TWENTY
    };
    let promises = restart_under_load(&mut cluster, few).await;
    let counts = promises.counts();
    assert!(counts.acknowledged >= 6 * few.acknowledged, "{counts:?}");
}
