//! A node that is told to end (SIGTERM) under load first orders what it has accepted.
//!
//! Clients send at level `accepted`, where SUCCESS comes before the envelope is on disk. Such an acknowledgement may be
//! lost when the process is killed, but not when it ends in order.

use std::sync::Arc;
use std::time::Duration;

use client::broadcast::{Acknowledge, BroadcastError};
use protos::wire::common::Status;
use tests::fixture::clients::{Load, LoadSpec, read_chain, until};
use tests::fixture::network::{Network, NetworkSpec};
use tests::oracle::Oracle;

/// How often the node is ended.
const ENDS: usize = 3;

const LOAD: LoadSpec = LoadSpec {
    streams: 3,
    in_flight_max: 100,
    acknowledge: Acknowledge::Accepted,
};

const ACKNOWLEDGED_MIN: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn what_was_accepted_is_ordered_before_a_node_ends() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut network = Network::new(&NetworkSpec::default());
    let oracle = Arc::new(Oracle::default());
    network.node.start();
    runtime.block_on(network.join());
    for _ in 0..ENDS {
        runtime.block_on(end_under_load(&mut network, &oracle));
        network.node.start();
    }
    let chain = runtime.block_on(read_chain(&network));
    assert_eq!(
        oracle.judge(&chain),
        Vec::<String>::new(),
        "{:?}",
        oracle.counts()
    );
}

/// Loads the running node and tells it to end; returns when every client has noticed.
async fn end_under_load(network: &mut Network, oracle: &Arc<Oracle>) {
    let before = oracle.counts();
    let load = Load::start(network, oracle, LOAD).await;
    until("acknowledgements under load", PATIENCE, || {
        oracle.counts().acknowledged >= before.acknowledged + ACKNOWLEDGED_MIN
    })
    .await;
    network.node.terminate();
    for end in load.finish().await {
        assert!(is_clear(&end), "a stream ended with: {end}");
    }
    let status = network.node.wait_for_end(PATIENCE);
    assert!(
        status.success(),
        "a node that was told to end did so with {status}"
    );
}

/// A client can tell that the node is going, and not that its envelope is at fault or the network broke: the answer to
/// an envelope is "service unavailable", or the status of the stream says so.
fn is_clear(end: &BroadcastError) -> bool {
    match end {
        BroadcastError::Refused { status, .. } => *status == Status::ServiceUnavailable as i32,
        BroadcastError::Broken { source, .. } => source.message() == "the node is stopping",
        BroadcastError::Ended { .. } | BroadcastError::Malformed { .. } | BroadcastError::Unasked { .. } => {
            false
        }
    }
}
