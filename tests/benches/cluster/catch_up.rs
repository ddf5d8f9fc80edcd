//! How fast a new node has a chain, from one source and from three.

use std::time::Instant;

use client::broadcast::Acknowledge;
use client::genesis::BatchSpec;
use client::load::{self, LoadSpec, Progress};
use tests::fixture::cluster::{Cluster, ClusterSpec};

use super::{number, row};

const MIB: usize = 1 << 20;
const PAYLOAD_BYTES: usize = 4096;
const BLOCK_ENVELOPES: u32 = 200;
/// Envelopes that are signed and sent at a time, so that memory stays small.
const RUN_ENVELOPES: usize = 16_000;
/// Node that joins last.
const NEWCOMER: usize = 3;

pub(crate) async fn run() {
    let mib: usize = number("ORDAIN_BENCH_CHAIN_MIB", 256);
    let mut spec = ClusterSpec::of(3).with_spares(1);
    spec.batch = BatchSpec {
        max_message_count: BLOCK_ENVELOPES,
        ..spec.batch
    };
    let mut cluster = Cluster::start(&spec).await;
    let leader = cluster.leader().await;
    let envelopes = mib * MIB / PAYLOAD_BYTES;
    for _ in 0..envelopes.div_ceil(RUN_ENVELOPES) {
        let spec = LoadSpec {
            envelopes: RUN_ENVELOPES,
            payload_bytes: PAYLOAD_BYTES,
            acknowledge: Some(Acknowledge::Accepted),
            ..LoadSpec::new(vec![cluster.target(leader)], vec![cluster.signer()])
        };
        let report = load::run(&spec, &Progress::default().into())
            .await
            .expect("a load that runs");
        assert!(report.ok, "{report}");
    }
    let height = cluster
        .equal_heights(&[0, 1, 2], &cluster.channel().clone())
        .await;
    let chain = cluster.chain_of(leader, &cluster.signer()).await.expect("blocks");
    let bytes: usize = chain.iter().map(|block| block.bytes().len()).sum();
    drop(chain);
    three_and_one(&mut cluster, height, bytes).await;
}

async fn three_and_one(cluster: &mut Cluster, height: u64, bytes: usize) {
    for sources in [3, 1] {
        for gone in sources..3 {
            cluster.members[gone].node.kill();
        }
        cluster.launch(&[NEWCOMER]);
        let began = Instant::now();
        cluster.join(&[NEWCOMER]).await;
        cluster.until_height(NEWCOMER, height).await;
        let seconds = began.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let rate = bytes as f64 / 1e6 / seconds;
        row(
            &format!(
                "catching up with {} MB in {height} blocks from {sources} sources",
                bytes / 1_000_000
            ),
            &format!("{rate:.0} MB/s, {seconds:.1} s"),
        );
        cluster.members[NEWCOMER].node.kill();
        cluster.members[NEWCOMER].wipe();
    }
}
