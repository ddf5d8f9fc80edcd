//! A listener for the other orderers beside the one for clients (`General.Cluster.Listen*`): what each of them serves.
//!
//! The reference has `AtomicBroadcast` on the general listener and the cluster's service on the other
//! (`docs/spec/wire.md` §1). Here blocks are served on both: members fetch them where they reach each other.

use bytes::Bytes;
use client::Target;
use client::broadcast::{BroadcastError, BroadcastOptions, submit_all};
use client::deliver::{DeliverError, DeliverStream, Position, Resume, Seek};
use client::envelope::EnvelopeSigner;
use protos::SealedBlock;
use protos::block::Hash;
use protos::wire::common::Status;
use tests::fixture::cluster::check::oracle;
use tests::fixture::cluster::peer::{self, PeerConnection};
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::oracle::Oracle;
use tonic::Code;

/// Three members that cannot reach the addresses for clients.
fn spec() -> ClusterSpec {
    ClusterSpec {
        own_listeners: true,
        endpoints: Some(vec!["127.0.0.1:9".parse().expect("an address")]),
        ..ClusterSpec::of(3)
    }
}

/// The listener of `node` for the others, as a member calls it.
fn cluster_listener(cluster: &Cluster, node: usize) -> Target {
    Target {
        address: cluster.members[node].place().cluster.clone(),
        tls: Some(cluster.members[(node + 1) % 3].tls_files().client()),
    }
}

/// Hashes of the blocks that somebody who signs as `signer` is given at `target`.
async fn blocks_at(target: &Target, signer: &EnvelopeSigner) -> Result<Vec<Hash>, DeliverError> {
    let connection = target.connect().await.expect("a connection");
    let seek = Seek::range(Position::Oldest, Position::Newest);
    let mut stream = DeliverStream::new(&connection, signer.clone(), seek, Resume::NEVER);
    let mut hashes = Vec::new();
    while let Some(block) = stream.next().await? {
        hashes.push(*block.hash());
    }
    Ok(hashes)
}

pub(crate) async fn clients_are_served_on_theirs_alone_and_members_order_and_fetch_blocks_on_the_other() {
    let mut cluster = Cluster::start(&spec()).await;
    let (all, oracle) = (cluster.all(), oracle());
    // Each member hands what it takes in to the leader, which has it written by the others.
    cluster.orders(&all, &oracle).await;
    assert_messages_are_taken_where_they_belong(&cluster, &oracle).await;
    let chain = cluster.agree(&all, &oracle).await;
    assert_blocks_are_read(&cluster, &chain).await;

    // One that lost everything asks the others for all of it.
    cluster.members[2].node.kill();
    cluster.members[2].wipe();
    cluster.members[2].node.start();
    cluster.join(&[2]).await;
    cluster.until_height(2, chain.len() as u64).await;
    let log = cluster.members[2].node.log();
    assert!(log.contains("Got block ["), "it fetched no block: {log}");
    cluster.orders(&[0, 1], &oracle).await;
    cluster.agree(&all, &oracle).await;
    cluster.assert_no_panic();
}

/// Envelopes of clients on the one listener, messages of members on the other.
async fn assert_messages_are_taken_where_they_belong(cluster: &Cluster, oracle: &Oracle) {
    let envelope = cluster
        .signer()
        .transaction(Bytes::from_static(b"elsewhere"))
        .bytes;
    oracle.sent(&envelope);
    let others = cluster_listener(cluster, 0);
    let connection = others.connect().await.expect("a connection");
    match submit_all(&connection, BroadcastOptions::default(), [envelope.clone()]).await {
        Err(BroadcastError::Broken { source, .. }) => {
            assert_eq!(source.code(), Code::Unimplemented, "{source}");
            assert!(source.message().contains("Broadcast"), "{source}");
        }
        other => panic!("Broadcast on the listener for orderers: {other:?}"),
    }
    oracle.refused(&envelope, "not served there");

    let step = [peer::submit("fixture", envelope, None)];
    let member = cluster.members[1].tls_files();
    let refused = PeerConnection::open(cluster, 0, &member).await.send(&step).await;
    assert_eq!(refused.code(), Code::Unimplemented, "{refused}");
    assert!(refused.message().contains("Step"), "{refused}");
}

/// By readers of the channel, on the listener for orderers.
async fn assert_blocks_are_read(cluster: &Cluster, chain: &[SealedBlock]) {
    let others = cluster_listener(cluster, 0);
    let chain: Vec<_> = chain.iter().map(|block| *block.hash()).collect();
    let read = blocks_at(&others, &cluster.signer()).await;
    assert_eq!(read.expect("blocks"), chain);
    let stranger = Cluster::new(&ClusterSpec::of(1)).signer();
    match blocks_at(&others, &stranger).await {
        Err(DeliverError::Refused { status }) => assert_eq!(status, Status::Forbidden as i32),
        other => panic!("blocks for a stranger: {other:?}"),
    }
}
