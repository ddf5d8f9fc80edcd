use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;
use client::broadcast::{self, Acknowledge, BroadcastError, BroadcastOptions};
use client::deliver::{DeliverStream, Position, Resume, Seek};
use client::envelope::EnvelopeSigner;
use client::{Connection, Target};
use protos::{BlockNumber, ChannelId};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::*;
use crate::testing::{self, Genesis};

/// A node with plain listeners on ports of the system's choice, and a solo channel `ch`.
struct World {
    folder: tempfile::TempDir,
    node: Node,
}

impl World {
    async fn start(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::start(&configuration(folder.path(), settings), Arc::default())
            .await
            .unwrap();
        node.manager().join(Genesis::solo("ch").block()).await.unwrap();
        Self { folder, node }
    }

    async fn connect(&self) -> Connection {
        let target = Target {
            address: self.node.grpc_address().to_string().parse().unwrap(),
            tls: None,
        };
        target.connect().await.unwrap()
    }

    async fn submit(&self, level: Acknowledge, envelopes: Vec<Bytes>) -> Result<u64, BroadcastError> {
        let options = BroadcastOptions {
            acknowledge: Some(level),
            ..Default::default()
        };
        broadcast::submit_all(&self.connect().await, options, envelopes).await
    }

    async fn blocks(&self, seek: Seek) -> DeliverStream {
        let channel = ChannelId::parse("ch").unwrap();
        let signer = EnvelopeSigner::new(Arc::new(testing::client()), channel);
        DeliverStream::new(&self.connect().await, signer, seek, Resume::NEVER)
    }
}

fn configuration(folder: &std::path::Path, settings: &str) -> Config {
    let msp =
        testing::vectors().join("crypto/ordererOrganizations/ord.vec.test/orderers/o1.ord.vec.test/msp");
    let text = format!(
        "
General:
  LocalMSPDir: {}
  LocalMSPID: OrdererMSP
{settings}
FileLedger: {{Location: {}}}
Admin: {{ListenAddress: 127.0.0.1:0}}
",
        msp.display(),
        folder.join("data").display()
    );
    let mut config = Config::parse(&PathBuf::from("/etc/orderer.yaml"), &text, &BTreeMap::new()).unwrap();
    // In the file 0 stands for the default.
    config.general.listen.port = 0;
    config
}

fn messages(count: usize) -> Vec<Bytes> {
    let client = testing::client();
    let message = |number: usize| testing::message(&client, "ch", &number.to_string());
    (0..count).map(message).collect()
}

fn entries(blocks: &[protos::SealedBlock]) -> Vec<Bytes> {
    let data = |block: &protos::SealedBlock| block.decode().unwrap().data.unwrap().data;
    blocks.iter().flat_map(data).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_delivered_in_order() {
    let world = World::start("").await;
    let sent = messages(300);
    for level in [Acknowledge::Accepted, Acknowledge::Committed] {
        assert_eq!(world.submit(level, sent.clone()).await.unwrap(), 300);
    }
    let last = Position::Number(BlockNumber(300));
    let mut stream = world
        .blocks(Seek::range(Position::Number(BlockNumber(1)), last))
        .await;
    let mut blocks = Vec::new();
    while let Some(block) = stream.next().await.unwrap() {
        blocks.push(block);
    }
    assert_eq!(entries(&blocks), [sent.clone(), sent].concat());
    for pair in blocks.windows(2) {
        assert_eq!(pair[1].previous_hash(), pair[0].hash());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_goes_on_sending() {
    let world = World::start("").await;
    let mut envelopes = messages(2000);
    envelopes[700] = testing::message(&testing::client(), "nowhere", "x");
    match world.submit(Acknowledge::Accepted, envelopes).await.unwrap_err() {
        BroadcastError::Refused { index, status, info } => {
            assert_eq!(
                (index, status, info.as_str()),
                (700, 400, "channel does not exist")
            );
        }
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_above_the_limit_is_resource_exhausted() {
    let world = World::start("  MaxRecvMsgSize: 5000").await;
    let large = testing::message(&testing::client(), "ch", &"x".repeat(10_000));
    match world
        .submit(Acknowledge::Accepted, vec![large])
        .await
        .unwrap_err()
    {
        BroadcastError::Broken { source, .. } => assert_eq!(source.code(), tonic::Code::ResourceExhausted),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_service_says_serving() {
    let world = World::start("").await;
    let uri = format!("http://{}", world.node.grpc_address());
    let channel = tonic::transport::Endpoint::from_shared(uri)
        .unwrap()
        .connect()
        .await
        .unwrap();
    let mut health = HealthClient::new(channel);
    let answer = health
        .check(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        answer.status(),
        tonic_health::pb::health_check_response::ServingStatus::Serving
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_writes_what_was_accepted_and_ends_streams_in_time() {
    let mut genesis = Genesis::solo("slow");
    genesis.timeout = "1h";
    let world = World::start("").await;
    world.node.manager().join(genesis.block()).await.unwrap();
    let pending = testing::message(&testing::client(), "slow", "x");
    assert_eq!(
        world
            .submit(Acknowledge::Accepted, vec![pending.clone()])
            .await
            .unwrap(),
        1
    );
    let mut follower = world.blocks(Seek::follow(Position::Number(BlockNumber(1)))).await;
    let ended = tokio::spawn(async move { follower.next().await.is_err() });
    let idle = broadcast::open(&world.connect().await, BroadcastOptions::default());
    let World { folder, node } = world;
    let writers = Arc::clone(&node.manager().node().writers);
    let began = Instant::now();
    node.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(ended.await.unwrap());
    drop(idle);
    testing::until(|| Arc::strong_count(&writers) == 1).await;
    let node = Node::start(&configuration(folder.path(), ""), Arc::default())
        .await
        .unwrap();
    let channel = node.manager().get("slow").unwrap();
    let block = channel
        .support()
        .unwrap()
        .reader()
        .get(BlockNumber(1))
        .unwrap()
        .unwrap();
    assert_eq!(entries(&[block]), [pending]);
}
