use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use protos::SealedBlock;

use super::*;
use crate::crypto::KeyType;
use crate::fake_orderer::{FakeOrderer, Faults, signer, signer_for, target};

async fn run_against(faults: Faults) -> LoadReport {
    let (_orderer, address) = FakeOrderer::start(faults, 3, None).await;
    run(&spec(address), &Arc::default()).await.unwrap()
}

fn spec(address: std::net::SocketAddr) -> LoadSpec {
    LoadSpec {
        envelopes: 101,
        payload_bytes: 100,
        streams: 2,
        in_flight_max: 8,
        patience: Duration::from_millis(300),
        ..LoadSpec::new(vec![target(address)], vec![signer()])
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
    let progress = Arc::default();
    let mut load = Load::prepare(&spec(address), &progress, Some(verifier))
        .await
        .unwrap();
    load.send().await;
    let (report, _) = load.finish().await;
    assert!(!report.ok && report.blocks == 0);
    assert!(report.failures[0].contains("block 3 does not verify"), "{report}");
}

/// Two orderers with one chain, of which the first has `faults`.
async fn two_orderers(faults: Faults) -> (Arc<FakeOrderer>, LoadSpec) {
    let (first, address) = FakeOrderer::start(faults, 3, None).await;
    let (_, other) = first.start_beside(Faults::default()).await;
    let spec = LoadSpec {
        targets: vec![target(address), target(other)],
        fail_over: true,
        ..spec(address)
    };
    (first, spec)
}

#[tokio::test]
async fn a_stream_goes_on_at_another_orderer_and_sends_nothing_twice() {
    let faults = Faults {
        break_at: Some(10),
        ..Faults::default()
    };
    let (_orderer, spec) = two_orderers(faults).await;
    let report = run(&spec, &Arc::default()).await.unwrap();
    assert!(report.ok, "{report}");
    assert_eq!(report.losses.len(), 1, "{report}");
    assert!((1..=8).contains(&report.unanswered), "{report}");
    assert_eq!((report.sent, report.acknowledged + report.unanswered), (101, 101));
    assert_eq!(report.delivered, report.acknowledged);
}

#[tokio::test]
async fn what_a_lost_orderer_left_in_no_block_is_sent_again() {
    let faults = Faults {
        break_at: Some(10),
        ..Faults::default()
    };
    let (orderer, spec) = two_orderers(faults).await;
    let mut load = Load::prepare(&spec, &Arc::default(), None).await.unwrap();
    load.send().await;
    let tip = orderer.blocks().last().unwrap().number();
    assert_eq!(load.send_again(1, tip).await.unwrap(), 0, "that one was not lost");
    let again = load.send_again(0, tip).await.unwrap();
    assert!((1..=8).contains(&again), "{again}");
    let (report, account) = load.finish().await;
    assert!(report.ok, "{report}");
    assert_eq!(
        (report.acknowledged, report.unanswered, report.resent),
        (101, 0, again)
    );
    let mut count = account.count();
    orderer.blocks().iter().for_each(|block| count.take(block));
    let whole = Counted {
        once: 101,
        missing: 0,
        repeated: 0,
    };
    assert_eq!(count.outcome(), whole);
}

#[tokio::test]
async fn what_was_turned_away_for_now_is_sent_again_unless_its_outcome_is_unknown() {
    for (text, resent) in [("no Raft leader: as asked", 1), ("outcome unknown: as asked", 0)] {
        let faults = Faults {
            refuse_at: Some(10),
            refuse_with: Some((503, text)),
            ..Faults::default()
        };
        let (orderer, spec) = two_orderers(faults).await;
        let mut load = Load::prepare(&spec, &Arc::default(), None).await.unwrap();
        load.send().await;
        let tip = orderer.blocks().last().unwrap().number();
        // Of an orderer that nobody lost: only refusals count.
        assert_eq!(load.send_again(9, tip).await.unwrap(), resent, "{text}");
        let (report, _) = load.finish().await;
        assert!(report.ok && report.losses[0].contains(text), "{report}");
    }
}

#[tokio::test]
async fn a_ledger_that_lacks_an_acknowledged_envelope_or_has_one_twice_is_found_out() {
    let (orderer, address) = FakeOrderer::start(Faults::default(), 3, None).await;
    let mut load = Load::prepare(&spec(address), &Arc::default(), None)
        .await
        .unwrap();
    load.send().await;
    let (_, account) = load.finish().await;
    let blocks = orderer.blocks();
    let mut count = account.count();
    blocks[..blocks.len() - 1]
        .iter()
        .for_each(|block| count.take(block));
    assert_eq!((count.outcome().once, count.outcome().missing), (100, 1));
    count.take(&blocks[5]);
    assert_eq!((count.outcome().once, count.outcome().repeated), (99, 1));
}

/// One stream and one envelope in flight, so that a stall holds up everything behind it.
async fn run_stalled(rate: Option<u32>) -> LoadReport {
    let faults = Faults {
        stall_at: Some((10, Duration::from_millis(400))),
        ..Faults::default()
    };
    let (_orderer, address) = FakeOrderer::start(faults, 1, None).await;
    let spec = LoadSpec {
        streams: 1,
        in_flight_max: 1,
        patience: Duration::from_secs(30),
        rate,
        ..spec(address)
    };
    run(&spec, &Arc::default()).await.unwrap()
}

#[tokio::test]
async fn with_a_rate_latency_counts_from_when_an_envelope_was_due() {
    // 101 envelopes are due within 101 ms, 91 of them during the stall.
    let report = run_stalled(Some(1000)).await;
    assert!(report.ok, "{report}");
    for latency in [report.delivery, report.acknowledgement] {
        assert!(latency.p50_ms > 250.0, "the stall is hidden: {report}");
    }
}

#[tokio::test]
async fn without_a_rate_latency_counts_from_sending() {
    let report = run_stalled(None).await;
    assert!(report.ok, "{report}");
    assert!(report.delivery.p50_ms < 250.0, "{report}");
    assert!(report.delivery.max_ms >= 400.0, "{report}");
}

#[tokio::test]
async fn a_rate_is_kept() {
    let (_orderer, address) = FakeOrderer::start(Faults::default(), 1, None).await;
    let spec = LoadSpec {
        rate: Some(500),
        ..spec(address)
    };
    let began = Instant::now();
    let report = run(&spec, &Arc::default()).await.unwrap();
    // The last of 101 is due after 200 ms.
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert!(report.ok && report.throughput < 520.0, "{report}");
}

#[tokio::test]
async fn a_node_that_never_answers_is_given_up() {
    let faults = Faults {
        silent_from: Some(5),
        ..Faults::default()
    };
    let report = run_against(faults).await;
    assert!(!report.ok);
    assert_eq!((report.acknowledged, report.missing), (10, 0));
    assert!(report.failures[0].contains("no answer within 300ms"), "{report}");
}

#[tokio::test]
async fn answers_to_nothing_are_a_failure() {
    let faults = Faults {
        answer_twice: true,
        ..Faults::default()
    };
    let report = run_against(faults).await;
    assert!(!report.ok);
    assert!(report.failures[0].contains("for nothing"), "{report}");
}

#[tokio::test]
async fn a_run_that_is_stopped_reports_what_was_done() {
    let (_orderer, address) = FakeOrderer::start(Faults::default(), 1, None).await;
    let spec = LoadSpec {
        envelopes: 1000,
        rate: Some(100),
        ..spec(address)
    };
    let progress = Arc::new(Progress::default());
    let stop = async {
        while progress.acknowledged.load(Ordering::Relaxed) < 10 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        progress.stop();
    };
    let (report, ()) = tokio::join!(run(&spec, &progress), stop);
    let report = report.unwrap();
    assert!(report.interrupted && !report.ok);
    assert!(0 < report.sent && report.sent < 1000, "{report}");
    assert_eq!(
        (report.acknowledged, report.delivered),
        (report.sent, report.sent)
    );
    assert!(report.failures.is_empty(), "{report}");
}

#[tokio::test]
async fn a_run_that_is_stopped_before_it_sends_is_told_so() {
    let progress = Arc::new(Progress::default());
    progress.stop();
    let (_orderer, address) = FakeOrderer::start(Faults::default(), 1, None).await;
    let outcome = run(&spec(address), &progress).await;
    assert!(matches!(outcome, Err(LoadError::Interrupted)), "{outcome:?}");
}

#[tokio::test]
async fn every_channel_is_followed_and_every_identity_signs() {
    let (_orderer, address) = FakeOrderer::start(Faults::default(), 2, None).await;
    let signers = [KeyType::Ed25519, KeyType::P256]
        .into_iter()
        .flat_map(|key| ["one", "two", "three"].map(|channel| signer_for(channel, key)));
    let spec = LoadSpec {
        signers: signers.collect(),
        ..spec(address)
    };
    let report = run(&spec, &Arc::default()).await.unwrap();
    assert!(report.ok, "{report}");
    assert_eq!(report.channels, ["one", "two", "three"]);
    assert_eq!(report.key, "EcdsaP256 and Ed25519");
    assert_eq!((report.delivered, report.blocks, report.foreign), (101, 101, 0));
}

#[tokio::test]
async fn more_than_memory_should_hold_is_refused_before_anything_is_signed() {
    let (_orderer, address) = FakeOrderer::start(Faults::default(), 1, None).await;
    let spec = LoadSpec {
        envelopes: 100_000_000,
        ..spec(address)
    };
    let error = run(&spec, &Arc::default()).await.unwrap_err().to_string();
    assert!(
        error.contains("100000000 envelopes") && error.contains("MiB"),
        "{error}"
    );
}

#[test]
fn memory_is_what_the_envelopes_take_and_some_bookkeeping() {
    let spec = |payload_bytes| LoadSpec {
        envelopes: 1000,
        payload_bytes,
        ..LoadSpec::new(Vec::new(), vec![signer()])
    };
    let more = spec(11_000).memory_bytes() - spec(1000).memory_bytes();
    // A time stamp takes a byte more or less.
    assert!(more.abs_diff(10_000_000) < 20_000, "{more}");
    let usual = spec(1024).memory_bytes() / 1000;
    assert!((1800..2600).contains(&usual), "{usual} bytes each");
}

#[tokio::test]
async fn a_chain_is_read_from_its_first_block_to_its_newest() {
    let (orderer, address) = FakeOrderer::start(Faults::default(), 3, None).await;
    orderer.append(vec![b"a".as_slice().into(), b"b".as_slice().into()]);
    let chain = Chain::open(read_spec(address, false)).await.unwrap();
    let progress = Progress::default();
    let report = chain.read(&progress).await.unwrap();
    assert!(report.ok && !report.verified);
    assert_eq!((chain.blocks(), report.blocks, report.envelopes), (4, 4, 2));
    let bytes = orderer
        .blocks()
        .into_iter()
        .map(|block| block.bytes().len() as u64);
    assert_eq!(report.bytes, bytes.sum::<u64>());
    let twice = report.clone().and(report);
    assert_eq!((twice.blocks, twice.channels.len()), (8, 2));
}

#[tokio::test]
async fn a_chain_that_does_not_verify_is_not_measured() {
    // The blocks of this orderer hold no config.
    let (_orderer, address) = FakeOrderer::start(Faults::default(), 3, None).await;
    let chain = Chain::open(read_spec(address, true)).await.unwrap();
    let error = chain.read(&Progress::default()).await.unwrap_err();
    assert!(matches!(error, ReadError::Verify { .. }), "{error}");
}

fn read_spec(address: std::net::SocketAddr, verify: bool) -> ReadSpec {
    ReadSpec {
        target: target(address),
        signer: signer(),
        verify,
        genesis: None,
    }
}
