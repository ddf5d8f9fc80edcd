use protos::SealedBlock;

use super::*;
use crate::fake_orderer::{FakeOrderer, Faults, signer, target};

async fn run_against(faults: Faults) -> LoadReport {
    let (_orderer, address) = FakeOrderer::start(faults, 3, None).await;
    run(&spec(address), &Arc::default()).await.unwrap()
}

fn spec(address: std::net::SocketAddr) -> LoadSpec {
    LoadSpec {
        targets: vec![target(address)],
        signer: signer(),
        envelopes: 101,
        payload_bytes: 100,
        streams: 2,
        in_flight_max: 8,
        acknowledge: None,
        rate: None,
        patience: Duration::from_millis(300),
    }
}

#[tokio::test]
async fn a_node_that_keeps_its_promises_passes() {
    let report = run_against(Faults::default()).await;
    assert!(report.ok, "{report}");
    assert_eq!(
        (
            report.acknowledged,
            report.delivered,
            report.blocks,
            report.foreign
        ),
        (101, 101, 101, 0)
    );
    assert!(report.throughput > 0.0);
    let latency = report.delivery;
    assert!(0.0 < latency.p50_ms && latency.p50_ms <= latency.p99_ms && latency.p99_ms <= latency.max_ms);
}

#[test]
fn latencies_are_told_in_milliseconds() {
    let times = (1..=100).map(Duration::from_millis);
    let latency = Latency::of(times);
    for (got, expected) in [
        (latency.p50_ms, 50.0),
        (latency.p90_ms, 90.0),
        (latency.p99_ms, 99.0),
        (latency.max_ms, 100.0),
    ] {
        assert!((got - expected).abs() < 0.2, "{got} should be {expected}");
    }
}

#[tokio::test]
async fn a_lost_acknowledged_envelope_is_found_out() {
    let faults = Faults {
        lose: Some(40),
        ..Faults::default()
    };
    let report = run_against(faults).await;
    assert!(!report.ok);
    assert_eq!((report.missing, report.duplicated), (1, 0));
}

#[tokio::test]
async fn an_envelope_ordered_twice_is_found_out() {
    // The very last one, whose second copy is the newest block.
    let faults = Faults {
        duplicate: Some(100),
        ..Faults::default()
    };
    let report = run_against(faults).await;
    assert!(!report.ok);
    assert_eq!((report.missing, report.duplicated), (0, 1));
}

#[tokio::test]
async fn a_refusal_fails_the_run_but_breaks_no_promise() {
    let faults = Faults {
        refuse_at: Some(10),
        ..Faults::default()
    };
    let report = run_against(faults).await;
    assert!(!report.ok);
    assert_eq!((report.acknowledged, report.missing), (20, 0));
    assert_eq!(report.failures.len(), 2);
}

#[tokio::test]
async fn a_block_that_does_not_verify_fails_the_run() {
    let folder =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/ecdsa/chain/raft-three");
    let block =
        |name: &str| SealedBlock::from_bytes(std::fs::read(folder.join(name)).unwrap().into()).unwrap();
    let verifier = ChainVerifier::after(&block("o1-002.block"), &block("o1-000.block")).unwrap();
    let (_orderer, address) = FakeOrderer::start(Faults::default(), 3, None).await;
    let report = run_verified(&spec(address), &Arc::default(), verifier)
        .await
        .unwrap();
    assert!(!report.ok && report.blocks == 0);
    assert!(
        report.failures[0].starts_with("block 3 does not verify"),
        "{report}"
    );
}
