//! From SIGKILL of the leader to the next envelope that is accepted, and to the next that is committed.
//!
//! A client sends one envelope after another through a node that stays; each that is sent after the kill counts. A
//! second one keeps a stream open at the same node and counts what it is refused.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::broadcast::Acknowledge;
use tests::fixture::cluster::check::oracle;
use tests::fixture::cluster::load::{Load, LoadSpec};
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::oracle::Oracle;

use super::{number, quantile, row};

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) async fn run() {
    let kills: usize = number("ORDAIN_BENCH_KILLS", 20);
    let mut spec = ClusterSpec::of(3);
    "500ms".clone_into(&mut spec.options.tick_interval);
    let unit = spec.election_timeout().as_secs_f64();
    let mut cluster = Cluster::start(&spec).await;
    let (all, oracle) = (cluster.all(), oracle());
    let (mut accepted, mut committed) = (Vec::new(), Vec::new());
    let mut refused = 0;
    for _ in 0..kills {
        cluster.orders(&all, &oracle).await;
        let leader = cluster.leader().await;
        let stayer = (leader + 1) % 3;
        let trickle = LoadSpec {
            pause: Duration::from_millis(20),
            acknowledge: Acknowledge::Accepted,
            ..LoadSpec::default()
        };
        let load = Load::start(&cluster, &[stayer], &oracle, trickle);
        load.goes_on(10).await;
        let refused_before = oracle.counts().refused;
        cluster.members[leader].node.kill();
        let killed = Instant::now();
        let (first, second) = tokio::join!(
            next(&cluster, stayer, Acknowledge::Accepted, &oracle),
            next(&cluster, stayer, Acknowledge::Committed, &oracle),
        );
        accepted.push((first - killed).as_secs_f64() / unit);
        committed.push((second - killed).as_secs_f64() / unit);
        refused += oracle.counts().refused - refused_before;
        load.stop().await;
        cluster.members[leader].node.start();
    }
    cluster.orders(&all, &oracle).await;
    cluster.agree(&all, &oracle).await;
    for (what, times) in [("accepted", &mut accepted), ("committed", &mut committed)] {
        let [median, late, last] = [0.5, 0.95, 1.0].map(|share| quantile(times, share));
        row(
            &format!("leader killed to next {what}, {kills} kills, in election timeouts of {unit} s"),
            &format!("median {median:.2}, p95 {late:.2}, at most {last:.2}"),
        );
    }
    row(
        &format!("envelopes refused on an `accepted` stream through a follower, {kills} kills"),
        &refused.to_string(),
    );
}

/// When the first envelope that is sent from now on is acknowledged so.
async fn next(cluster: &Cluster, node: usize, level: Acknowledge, oracle: &Arc<Oracle>) -> Instant {
    loop {
        let envelope = cluster.signer().transaction(Bytes::from_static(b"next")).bytes;
        oracle.sent(&envelope);
        if cluster.submit_at(node, level, envelope.clone()).await.is_ok() {
            oracle.acknowledged(&envelope);
            return Instant::now();
        }
        tokio::time::sleep(PAUSE).await;
    }
}
