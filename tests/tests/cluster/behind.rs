//! Late joiners, followers, joins with a later block.

use std::time::Duration;

use bytes::Bytes;
use client::broadcast::{Acknowledge, BroadcastOptions, submit_all};
use client::deliver::{DeliverStream, Position, Resume, Seek};
use client::genesis::BatchSpec;
use protos::wire::common::Status;
use tests::fixture::cluster::check::oracle;
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::oracle::Oracle;

/// Sends `count` envelopes through a node, many at a time.
async fn fill(cluster: &Cluster, node: usize, oracle: &Oracle, count: usize) {
    let signer = cluster.signer();
    let envelopes: Vec<Bytes> = (0..count)
        .map(|_| signer.transaction(Bytes::from_static(b"one of many")).bytes)
        .collect();
    for envelope in &envelopes {
        oracle.sent(envelope);
    }
    let options = BroadcastOptions {
        acknowledge: Some(Acknowledge::Committed),
        in_flight_max: 1000,
    };
    let connection = cluster.connect(node).await.expect("a connection");
    let acknowledged = submit_all(&connection, options, envelopes.clone()).await;
    assert_eq!(acknowledged.expect("all are ordered"), count as u64);
    for envelope in &envelopes {
        oracle.acknowledged(envelope);
    }
}

pub(crate) async fn a_late_joiner_10_000_blocks_behind_catches_up() {
    const BLOCKS: usize = 10_000;
    let mut spec = ClusterSpec::of(3);
    spec.batch = BatchSpec {
        max_message_count: 1,
        ..spec.batch
    };
    // Checkpoints, so that the log does not reach back to the beginning.
    spec.options.snapshot_interval_size = 1 << 20;
    let mut cluster = Cluster::new(&spec);
    let (all, oracle) = (cluster.all(), oracle());
    cluster.launch(&all);
    cluster.join(&[0, 1]).await;
    let leader = cluster.leader().await;
    fill(&cluster, leader, &oracle, BLOCKS).await;
    cluster.join(&[2]).await;
    cluster.until_height(2, BLOCKS as u64).await;
    // It counts: without one of the others, it makes the majority.
    cluster.members[leader].node.kill();
    cluster.orders(&[1 - leader, 2], &oracle).await;
    cluster.members[leader].node.start();
    cluster.orders(&all, &oracle).await;
    let chain = cluster.agree(&all, &oracle).await;
    assert!(chain.len() > BLOCKS);
    cluster.assert_no_panic();
}

pub(crate) async fn a_node_added_later_joins_with_the_config_block_and_takes_part() {
    let mut cluster = Cluster::start(&ClusterSpec::of(2).with_spares(1)).await;
    let oracle = oracle();
    fill(&cluster, 0, &oracle, 200).await;
    cluster.launch(&[2]);
    cluster.add(0, 2).await;
    let block = cluster.config_block(0).await;
    assert!(block.header.as_ref().is_some_and(|header| header.number > 0));
    let joined = cluster
        .admin(2)
        .join(prost::Message::encode_to_vec(&block).into())
        .await;
    let info = joined.expect("it joins");
    assert_eq!(
        (
            info.status.as_str(),
            info.consensus_relation.as_str(),
            info.height
        ),
        ("onboarding", "consenter", 0)
    );
    cluster.until_consenter(2).await;
    cluster.orders(&[0, 1, 2], &oracle).await;
    cluster.members[0].node.kill();
    cluster.orders(&[1, 2], &oracle).await;
    cluster.members[0].node.start();
    cluster.orders(&[0, 1, 2], &oracle).await;
    cluster.agree(&[0, 1, 2], &oracle).await;
    cluster.assert_no_panic();
}

pub(crate) async fn a_node_that_is_no_member_follows_and_serves_nobody() {
    let mut cluster = Cluster::start(&ClusterSpec::of(3).with_spares(1)).await;
    let (members, oracle) = ([0, 1, 2], oracle());
    cluster.orders(&members, &oracle).await;
    cluster.launch(&[3]);
    let joined = cluster
        .admin(3)
        .join(prost::Message::encode_to_vec(cluster.genesis()).into())
        .await;
    let info = joined.expect("it joins");
    assert_eq!(
        (
            info.status.as_str(),
            info.consensus_relation.as_str(),
            info.height
        ),
        ("onboarding", "follower", 0)
    );
    let height = cluster.equal_heights(&members, cluster.channel()).await;
    cluster.until_height(3, height).await;
    cluster
        .until_info(3, "an active follower", |info| info.status == "active")
        .await;
    let envelope = cluster.signer().transaction(Bytes::from_static(b"x")).bytes;
    let answer = cluster.submit(3, envelope).await;
    let refusal = (Status::BadRequest as i32, "channel does not exist".to_owned());
    match answer {
        Err(tests::fixture::cluster::check::SubmitError::Refused(status, info)) => {
            assert_eq!(status, refusal.0);
            assert!(info.contains(&refusal.1), "{info}");
        }
        other => panic!("not refused: {other:?}"),
    }
    let connection = cluster.connect(3).await.expect("a connection");
    let seek = Seek::one(Position::Newest);
    let mut stream = DeliverStream::new(&connection, cluster.signer(), seek, Resume::NEVER);
    stream.next().await.expect_err("a follower delivers nothing");
    // It follows by stream: what is ordered now is there at once.
    cluster.orders(&members, &oracle).await;
    let height = cluster.equal_heights(&members, cluster.channel()).await;
    let soon = cluster.until_height(3, height);
    tokio::time::timeout(Duration::from_secs(5), soon)
        .await
        .expect("a follower is not far behind");
    cluster.agree(&members, &oracle).await;
    cluster.assert_no_panic();
}
