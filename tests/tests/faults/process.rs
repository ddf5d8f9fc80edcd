//! Ports and folders in use, the end under load.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::broadcast::{Acknowledge, BroadcastError, BroadcastOptions, submit_all};
use client::genesis::BatchSpec;
use prost::Message as _;
use protos::wire::common::Status;
use tests::fixture::bystander::Bystander;
use tests::fixture::clients::{Load, LoadSpec, read_chain, until};
use tests::fixture::network::{Network, NetworkSpec};
use tests::fixture::raw::{RawConnection, framed};
use tests::oracle::Oracle;

use super::{PATIENCE, running, whole_chain};

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_and_the_node_ends_with_1() {
    let mut network = Network::new(&NetworkSpec::default());
    for (address, listener) in [
        (network.address().clone(), "general"),
        (network.admin_address().clone(), "admin"),
    ] {
        let taken = TcpListener::bind((address.host(), address.port())).expect("a free port");
        let status = network.node.start_in_vain(PATIENCE);
        let stderr = network.node.stderr();
        assert_eq!(status.code(), Some(1), "{stderr}");
        let text = format!("cannot listen on {address} ({listener}): Address already in use");
        assert!(stderr.contains(&text), "{text:?} is not in {stderr}");
        drop(taken);
    }
    // Nothing is left behind that would keep the next start from serving.
    network.node.start();
    network.join().await;
    assert_eq!(whole_chain(&network).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_folder_gives_up_and_the_first_goes_on() {
    let network = running(&NetworkSpec::default()).await;
    let bystander = Bystander::join(&network).await;
    let mut twin = network.twin();
    let status = tokio::task::spawn_blocking(move || {
        let status = twin.start_in_vain(PATIENCE);
        (status, twin.stderr())
    });
    // While the other one still tries.
    bystander.orders().await;
    let (status, stderr) = status.await.expect("the other node was watched");
    assert_eq!(status.code(), Some(2), "{stderr}");
    let text = format!("{} is in use by another process", network.data_folder().display());
    assert!(stderr.contains(&text), "{text:?} is not in {stderr}");
    bystander.orders().await;
    assert_eq!(whole_chain(&network).await.len(), 1);
}

/// Its raft log as well: a start that found that in use once, and the ledgers free a moment later, ran no raft channel.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_starts_while_another_ends_gets_all_of_its_folder() {
    let network = running(&NetworkSpec::default()).await;
    let mut twin = network.twin();
    twin.launch();
    twin.wait_for("Operations are served at ", PATIENCE);
    // Long enough for it to have tried, and it goes on trying for longer than this.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!twin.stderr().contains("Beginning to serve requests"));
    network.node.terminate();
    twin.wait_for("Beginning to serve requests", PATIENCE);
    let stderr = twin.stderr();
    assert!(!stderr.contains("the raft log is not usable"), "{stderr}");
}

/// The answer of the health service: 1 is SERVING, 2 is `NOT_SERVING` (`grpc.health.v1`).
#[derive(Clone, PartialEq, prost::Message)]
struct Health {
    #[prost(int32, tag = "1")]
    status: i32,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_told_to_end_says_not_serving_and_orders_what_it_accepted() {
    const LOAD: LoadSpec = LoadSpec {
        streams: 3,
        in_flight_max: 100,
        acknowledge: Acknowledge::Accepted,
    };
    let mut network = running(&NetworkSpec::default()).await;
    let connection = RawConnection::open(&network).await;
    let mut watch = connection.call_path("/grpc.health.v1.Health/Watch").await;
    watch.send(framed(b"")).await.expect("the request is sent");
    watch.finish();
    let mut health = watch.answers().await;
    let mut next = async || {
        let answer = health.next().await.expect("an answer");
        Health::decode(answer).expect("a health answer").status
    };
    assert_eq!(next().await, 1);
    let oracle = Arc::new(Oracle::default());
    let load = Load::start(&network, &oracle, LOAD).await;
    until("acknowledgements under load", PATIENCE, || {
        oracle.counts().acknowledged >= 1000
    })
    .await;
    network.node.terminate();
    assert_eq!(next().await, 2);
    for end in load.finish().await {
        let is_clear = match &end {
            BroadcastError::Refused { status, info, .. } => {
                *status == Status::ServiceUnavailable as i32
                    && ["the node is stopping", "chain is stopped"].contains(&&info[..])
            }
            BroadcastError::Broken { source, .. } => source.message() == "the node is stopping",
            _ => false,
        };
        assert!(is_clear, "a stream ended with: {end}");
    }
    assert!(network.node.wait_for_end(PATIENCE).success());
    network.node.start();
    assert_eq!(oracle.judge(&read_chain(&network).await), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_told_to_end_does_not_wait_for_the_batch_timer() {
    let mut spec = NetworkSpec::default();
    spec.batch = BatchSpec {
        max_message_count: 1000,
        timeout: Duration::from_hours(1),
        ..spec.batch
    };
    let mut network = running(&spec).await;
    let envelope = network.signer().transaction(Bytes::from_static(b"pending")).bytes;
    let options = BroadcastOptions {
        acknowledge: Some(Acknowledge::Accepted),
        ..BroadcastOptions::default()
    };
    let answered = submit_all(&network.connect().await, options, [envelope.clone()]).await;
    assert_eq!(answered.expect("it is accepted"), 1);
    assert_eq!(whole_chain(&network).await.len(), 1, "it is not in a block yet");
    network.node.terminate();
    assert!(network.node.wait_for_end(PATIENCE).success());
    network.node.start();
    let chain = whole_chain(&network).await;
    let block = chain[1].decode().expect("a block");
    assert_eq!(block.data.unwrap_or_default().data, [envelope]);
}
