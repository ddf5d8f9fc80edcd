//! Envelopes a second of three nodes, through the leader and through a follower.

use client::broadcast::Acknowledge;
use client::crypto::KeyType;
use client::genesis::BatchSpec;
use client::load::{self, LoadSpec, Progress};
use tests::fixture::cluster::{Cluster, ClusterSpec};

use super::{number, quantile, row};

const PAYLOAD_BYTES: usize = 1024;
const BLOCK_ENVELOPES: u32 = 500;

pub(crate) async fn run() {
    for key in [KeyType::Ed25519, KeyType::P256] {
        let mut spec = ClusterSpec::of(3);
        spec.key = key;
        "500ms".clone_into(&mut spec.options.tick_interval);
        spec.batch = BatchSpec {
            max_message_count: BLOCK_ENVELOPES,
            ..BatchSpec::default()
        };
        let cluster = Cluster::start(&spec).await;
        let leader = cluster.leader().await;
        for (role, node) in [("the leader", leader), ("a follower", (leader + 1) % 3)] {
            let rounds: usize = number("ORDAIN_BENCH_ROUNDS", 3);
            let mut rates = Vec::new();
            for _ in 0..rounds {
                rates.push(measure(&cluster, node).await);
            }
            let rate = quantile(&mut rates, 0.5);
            let rates: Vec<String> = rates.iter().map(|rate| format!("{rate:.0}")).collect();
            row(
                &format!("three nodes through {role}, {key:?}, envelopes of {PAYLOAD_BYTES} bytes a second"),
                &format!("{rate:.0} ({})", rates.join(", ")),
            );
        }
    }
}

async fn measure(cluster: &Cluster, node: usize) -> f64 {
    let spec = LoadSpec {
        envelopes: number("ORDAIN_BENCH_ENVELOPES", 60_000),
        payload_bytes: PAYLOAD_BYTES,
        acknowledge: Some(Acknowledge::Accepted),
        ..LoadSpec::new(vec![cluster.target(node)], vec![cluster.signer()])
    };
    let report = load::run(&spec, &Progress::default().into())
        .await
        .expect("a load that runs");
    assert!(report.ok, "{report}");
    report.throughput
}
