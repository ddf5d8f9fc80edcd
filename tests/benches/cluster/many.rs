//! Starts with many blocks and many channels, and what nodes use at rest.

use std::time::{Duration, Instant};

use bytes::Bytes;
use client::broadcast::{Acknowledge, BroadcastOptions, submit_all};
use client::genesis::BatchSpec;
use protos::ChannelId;
use tests::fixture::cluster::check::oracle;
use tests::fixture::cluster::{Cluster, ClusterSpec};
use tests::fixture::cpu::CpuTimes;
use tests::fixture::memory;

use super::{number, row};

const BLOCKS: usize = 10_000;
/// How long nodes are left alone before they are looked at.
const REST: Duration = Duration::from_secs(20);
/// How long they are watched.
const WATCHED: Duration = Duration::from_secs(20);

fn channels() -> usize {
    number("ORDAIN_BENCH_CHANNELS", 500)
}

fn name(number: usize) -> ChannelId {
    ChannelId::parse(&format!("many{number:03}")).expect("a channel name")
}

fn spec(members: usize) -> ClusterSpec {
    let mut spec = ClusterSpec::of(members).named("many000");
    "500ms".clone_into(&mut spec.options.tick_interval);
    spec
}

/// From the start of a process to the first envelope that it accepts.
pub(crate) async fn start() {
    let mut spec = spec(1);
    spec.batch = BatchSpec {
        max_message_count: 1,
        ..spec.batch
    };
    let mut cluster = Cluster::start(&spec).await;
    let signer = cluster.signer();
    let envelopes = (0..BLOCKS).map(|_| signer.transaction(Bytes::from_static(b"one of many")).bytes);
    let options = BroadcastOptions {
        acknowledge: Some(Acknowledge::Committed),
        in_flight_max: 1000,
    };
    let connection = cluster.connect(0).await.expect("a connection");
    let sent = submit_all(&connection, options, envelopes).await;
    assert_eq!(sent.expect("all are ordered"), BLOCKS as u64);
    restart(&mut cluster, &format!("one node with {BLOCKS} blocks")).await;
    let mut cluster = joined(1, channels()).await;
    restart(&mut cluster, &format!("one node with {} channels", channels())).await;
}

async fn restart(cluster: &mut Cluster, what: &str) {
    let oracle = oracle();
    cluster.orders(&[0], &oracle).await;
    cluster.members[0].node.kill();
    let began = Instant::now();
    cluster.members[0].node.start();
    let served = began.elapsed().as_secs_f64();
    cluster.orders(&[0], &oracle).await;
    let ordered = began.elapsed().as_secs_f64();
    row(
        &format!("start of {what}"),
        &format!("serves after {served:.2} s, orders after {ordered:.2} s"),
    );
}

/// Nodes that have joined these channels.
async fn joined(members: usize, channels: usize) -> Cluster {
    let mut cluster = Cluster::new(&spec(members));
    let all = cluster.all();
    cluster.launch(&all);
    for number in 0..channels {
        let block = cluster.first_block(name(number).as_str(), members);
        for node in &all {
            cluster.join_with(*node, &block).await;
        }
    }
    cluster.leader_of(&name(channels - 1)).await;
    cluster
}

/// What nodes use while nobody wants anything of them.
pub(crate) async fn idle() {
    for members in [1, 3] {
        for channels in [1, channels()] {
            let cluster = joined(members, channels).await;
            tokio::time::sleep(REST).await;
            tell(&cluster, members, channels).await;
        }
    }
}

async fn tell(cluster: &Cluster, members: usize, channels: usize) {
    let ids: Vec<u32> = cluster.members.iter().map(|member| member.node.id()).collect();
    let before: Vec<CpuTimes> = ids.iter().map(|id| CpuTimes::of(*id)).collect();
    tokio::time::sleep(WATCHED).await;
    for (node, (id, before)) in ids.iter().zip(&before).enumerate() {
        let used = CpuTimes::of(*id).since(before).total();
        row(
            &format!("node {} of {members} at rest, {channels} channels", node + 1),
            &format!(
                "{} MiB, {} threads, {} sockets, {:.1} % of a core",
                memory::resident_bytes(*id) >> 20,
                memory::threads(*id),
                memory::sockets(*id),
                used.as_secs_f64() / WATCHED.as_secs_f64() * 100.0
            ),
        );
    }
}
