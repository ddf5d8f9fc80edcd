//! 500 channels.

use std::time::{Duration, Instant};

use bytes::Bytes;
use client::broadcast::{Acknowledge, BroadcastOptions, submit_all};
use futures::StreamExt as _;
use protos::ChannelId;
use tests::fixture::cluster::check::PATIENCE;
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::fixture::memory;

const CHANNELS: usize = 500;

/// Channels that are submitted to at a time.
const AT_A_TIME: usize = 32;

/// `docs/spec/dropin.md` §7: ready within 15 s, also with all channels.
const START_TIME_MAX: Duration = Duration::from_secs(15);

/// Threads of one node. They depend on the cores, not on the channels.
const THREADS_MAX: u64 = 64;

/// Sockets of one node: its listeners, three connections to each peer and from each, and those of this test.
const SOCKETS_MAX: usize = 64;

/// Resident memory of one node.
const RESIDENT_BYTES_MAX: u64 = 1 << 30;

fn name(number: usize) -> ChannelId {
    ChannelId::parse(&format!("many{number:03}")).expect("a channel name")
}

/// Ticks as in production: at 100 ms the heartbeats of 500 channels would be what is tested.
fn spec(members: usize) -> ClusterSpec {
    let mut spec = ClusterSpec::of(members).named("many000");
    "500ms".clone_into(&mut spec.options.tick_interval);
    spec
}

/// Nodes that have joined all channels.
async fn joined(members: usize) -> Cluster {
    let mut cluster = Cluster::new(&spec(members));
    let all = cluster.all();
    cluster.launch(&all);
    let blocks: Vec<_> = (0..CHANNELS)
        .map(|number| cluster.first_block(name(number).as_str(), members))
        .collect();
    let joins = all.iter().map(|node| async {
        for block in &blocks {
            cluster.join_with(*node, block).await;
        }
    });
    futures::future::join_all(joins).await;
    cluster
}

/// Every channel orders an envelope through a node.
async fn all_order(cluster: &Cluster, node: usize) {
    let connection = cluster.connect(node).await.expect("a connection");
    let submissions = futures::stream::iter(0..CHANNELS).map(|number| {
        let (signer, connection) = (cluster.signer_of(&name(number)), connection.clone());
        async move {
            let began = Instant::now();
            loop {
                let envelope = signer.transaction(Bytes::from_static(b"one each")).bytes;
                let options = BroadcastOptions {
                    acknowledge: Some(Acknowledge::Committed),
                    ..BroadcastOptions::default()
                };
                match submit_all(&connection, options, [envelope]).await {
                    Ok(_) => return,
                    Err(error) => assert!(began.elapsed() < PATIENCE, "{}: {error}", signer.channel()),
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    });
    submissions.buffer_unordered(AT_A_TIME).collect::<Vec<()>>().await;
}

fn assert_bounded(cluster: &Cluster) {
    for (node, member) in cluster.members.iter().enumerate() {
        let id = member.node.id();
        let (threads, sockets) = (memory::threads(id), memory::sockets(id));
        let resident = memory::resident_bytes(id);
        println!(
            "node {node} with {CHANNELS} channels: {threads} threads, {sockets} sockets, {} MiB",
            resident >> 20
        );
        assert!(threads <= THREADS_MAX, "node {node}: {threads} threads");
        assert!(sockets <= SOCKETS_MAX, "node {node}: {sockets} sockets");
        assert!(
            resident <= RESIDENT_BYTES_MAX,
            "node {node}: {} MiB",
            resident >> 20
        );
    }
}

pub(crate) async fn one_node_orders_500_channels_with_bounded_threads_sockets_and_memory() {
    let mut cluster = joined(1).await;
    all_order(&cluster, 0).await;
    assert_bounded(&cluster);
    cluster.members[0].node.kill();
    let began = Instant::now();
    cluster.members[0].node.start();
    let took = began.elapsed();
    println!("one node with {CHANNELS} channels starts in {took:?}");
    assert!(took < START_TIME_MAX, "the start took {took:?}");
    all_order(&cluster, 0).await;
    assert_bounded(&cluster);
    cluster.assert_no_panic();
}

pub(crate) async fn three_nodes_order_500_channels_with_bounded_threads_sockets_and_memory() {
    let cluster = joined(3).await;
    all_order(&cluster, 0).await;
    all_order(&cluster, 1).await;
    assert_bounded(&cluster);
    assert_spread(&cluster);
    cluster.assert_no_panic();
}

/// The names decide who leads first, so each of three leads a third, more or less.
fn assert_spread(cluster: &Cluster) {
    let mut leads = vec![0; cluster.members.len()];
    for number in 0..CHANNELS {
        if let Some(leader) = cluster.leader_now(&name(number)) {
            leads[leader] += 1;
        }
    }
    println!("leaders of {CHANNELS} channels: {leads:?}");
    for (node, count) in leads.iter().enumerate() {
        assert!(
            *count > CHANNELS / 6,
            "node {node} leads {count} of {CHANNELS}: {leads:?}"
        );
    }
}
