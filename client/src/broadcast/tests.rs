use std::time::Duration;

use super::*;
use crate::fake_orderer::{FORBIDDEN, FakeOrderer, Faults, target};

fn envelopes(count: u8) -> Vec<Bytes> {
    (0..count).map(|i| Bytes::from(vec![0x0a, 1, i])).collect()
}

async fn submit(faults: Faults, count: u8) -> (Arc<FakeOrderer>, Result<u64, BroadcastError>) {
    let (orderer, address) = FakeOrderer::start(faults, 1, None).await;
    let connection = target(address).connect().await.unwrap();
    let options = BroadcastOptions {
        acknowledge: Some(Acknowledge::Committed),
        in_flight_max: 4,
    };
    let outcome = submit_all(&connection, options, envelopes(count)).await;
    (orderer, outcome)
}

#[tokio::test]
async fn envelopes_arrive_in_order_and_unchanged() {
    let (orderer, outcome) = submit(Faults::default(), 50).await;
    assert_eq!(outcome.unwrap(), 50);
    let blocks = orderer.blocks().into_iter().skip(1);
    let entries: Vec<_> = blocks
        .flat_map(|block| block.decode().unwrap().data.unwrap().data)
        .collect();
    assert_eq!(entries, envelopes(50));
}

#[tokio::test]
async fn the_acknowledgement_level_travels_as_metadata() {
    let (orderer, _) = submit(Faults::default(), 1).await;
    assert_eq!(*orderer.acknowledge.lock(), [Some("committed".to_owned())]);
}

#[tokio::test]
async fn a_refusal_names_envelope_status_and_reason() {
    let faults = Faults {
        refuse_at: Some(7),
        ..Faults::default()
    };
    let (orderer, outcome) = submit(faults, 20).await;
    let Err(BroadcastError::Refused { index, status, info }) = outcome else {
        panic!("not refused: {outcome:?}")
    };
    assert_eq!(
        (index, status, info.as_str()),
        (7, FORBIDDEN, "permission denied")
    );
    assert_eq!(orderer.blocks().len(), 1 + 7);
}

#[tokio::test]
async fn a_broken_stream_tells_what_is_unanswered() {
    let faults = Faults {
        break_at: Some(5),
        ..Faults::default()
    };
    let (_, outcome) = submit(faults, 20).await;
    let Err(BroadcastError::Broken {
        acknowledged,
        unanswered,
        ..
    }) = outcome
    else {
        panic!("not broken: {outcome:?}")
    };
    assert_eq!(acknowledged, 5);
    assert!((1..=4).contains(&unanswered), "{unanswered}");
}

#[tokio::test]
async fn sending_waits_while_the_window_is_full() {
    let faults = Faults {
        silent_from: Some(2),
        ..Faults::default()
    };
    let (_orderer, address) = FakeOrderer::start(faults, 1, None).await;
    let connection = target(address).connect().await.unwrap();
    let options = BroadcastOptions {
        in_flight_max: 3,
        ..BroadcastOptions::default()
    };
    let (sender, mut answers) = open(&connection, options);
    for envelope in envelopes(3) {
        sender.send(envelope).await.unwrap();
    }
    assert_eq!(answers.next().await.unwrap(), Some(0));
    assert_eq!(answers.next().await.unwrap(), Some(1));
    for envelope in envelopes(2) {
        sender.send(envelope).await.unwrap();
    }
    let full = tokio::time::timeout(Duration::from_millis(100), sender.send(Bytes::new())).await;
    assert!(full.is_err(), "a fourth unanswered envelope was taken");
}

#[tokio::test]
async fn a_sender_learns_that_its_stream_ended() {
    let faults = Faults {
        refuse_at: Some(0),
        ..Faults::default()
    };
    let (_orderer, address) = FakeOrderer::start(faults, 1, None).await;
    let connection = target(address).connect().await.unwrap();
    let (sender, mut answers) = open(&connection, BroadcastOptions::default());
    sender.send(Bytes::from_static(b"\x0a\x01x")).await.unwrap();
    answers.next().await.unwrap_err();
    assert_eq!(sender.send(Bytes::new()).await, Err(StreamEnded));
    assert_eq!(answers.next().await.unwrap(), None);
}
