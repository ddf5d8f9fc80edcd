//! A node that is killed in the middle of load, again and again, keeps every promise it made.
//!
//! Clients send at level `committed` and one follows the blocks. At some point after acknowledgements have come,
//! and while at least a block's worth of envelopes is sent and not answered, the process gets SIGKILL. It is started again on the
//! same folder with nothing done to it. At the end the whole chain is read, verified, and held against all that
//! clients were told.

use std::sync::Arc;
use std::time::Duration;

use client::broadcast::{Acknowledge, BroadcastError};
use tests::fixture::clients::{Load, LoadSpec, read_chain, until};
use tests::fixture::network::{Network, NetworkSpec};
use tests::oracle::Oracle;

/// How many kills have to fall while a block's worth of envelopes is in flight.
const KILLS: u64 = 24;

/// How often the node is killed at most. On a busy machine the process may get to answer all it was sent between
/// the count and the signal; such a kill tests less and is not counted.
const KILLS_MAX: u64 = 4 * KILLS;

/// Several streams, so that a block holds envelopes of more than one.
const LOAD: LoadSpec = LoadSpec {
    streams: 3,
    in_flight_max: 100,
    acknowledge: Acknowledge::Committed,
};

/// What must have come between a start and the kill after it.
const ACKNOWLEDGED_MIN: usize = 200;
const DELIVERED_MIN: usize = 3;

const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn a_node_killed_in_the_middle_of_load_loses_nothing_that_clients_were_told() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let spec = NetworkSpec::default();
    let block_size = usize::try_from(spec.batch.max_message_count).expect("a small number");
    let mut network = Network::new(&spec);
    let oracle = Arc::new(Oracle::default());
    network.node.start();
    runtime.block_on(network.join());
    let mut counted = 0;
    for kill in 0..KILLS_MAX {
        let in_flight = runtime.block_on(kill_under_load(&mut network, &oracle, kill));
        network.node.start();
        counted += u64::from(in_flight >= block_size);
        if counted == KILLS {
            break;
        }
    }
    assert_eq!(
        counted, KILLS,
        "of {KILLS_MAX} kills only these fell while {block_size} envelopes were in flight"
    );
    let chain = runtime.block_on(read_chain(&network));
    assert_eq!(
        oracle.judge(&chain),
        Vec::<String>::new(),
        "{:?}",
        oracle.counts()
    );
    println!(
        "{counted} kills with a block in flight, {} blocks, {:?}",
        chain.len(),
        oracle.counts()
    );
}

/// Loads the running node and kills it; returns when every client has noticed, with how many envelopes the node
/// had been sent and never answered.
async fn kill_under_load(network: &mut Network, oracle: &Arc<Oracle>, kill: u64) -> usize {
    let before = oracle.counts();
    let load = Load::start(network, oracle, LOAD).await;
    until("acknowledgements and blocks under load", PATIENCE, || {
        let now = oracle.counts();
        now.acknowledged >= before.acknowledged + ACKNOWLEDGED_MIN
            && now.delivered >= before.delivered + DELIVERED_MIN
    })
    .await;
    tokio::time::sleep(pause_before(kill)).await;
    let sent = oracle.counts().sent;
    network.node.kill();
    let ends = load.finish().await;
    let refused = ends
        .iter()
        .find(|end| matches!(end, BroadcastError::Refused { .. }));
    assert!(refused.is_none(), "the node refused a good envelope: {refused:?}");
    // Each stream may hold one envelope that waited for its turn and was not sent.
    oracle.unanswered(before.sent..sent).saturating_sub(LOAD.streams)
}

/// Kills fall at different places between two blocks: 0 to 10 ms later, in steps that do not repeat soon.
fn pause_before(kill: u64) -> Duration {
    Duration::from_micros(kill * 1_730 % 10_000)
}
