use protos::wire::orderer::seek_info::SeekBehavior;
use protos::wire::orderer::{DeliverResponse, SeekSpecified, deliver_response, seek_position};

use super::*;
use crate::fake_orderer::{FORBIDDEN, FakeOrderer, Faults, signer, target};

#[test]
fn answers_are_read_without_touching_the_block() {
    let block = SealedBlock::seal(&protos::block::next(BlockNumber(3), &[1; 32], vec![])).unwrap();
    let message = [&block.deliver_frame_head()[..], block.bytes()].concat();
    let Ok(Answer::Block(bytes)) = parse(message.into()) else {
        panic!("no block")
    };
    assert_eq!(&bytes, block.bytes());
    let status = DeliverResponse {
        r#type: Some(deliver_response::Type::Status(404)),
    };
    assert!(matches!(
        parse(status.encode_to_vec().into()),
        Ok(Answer::Status(404))
    ));
    assert!(parse(Bytes::from_static(&[0x12, 5, 1])).is_err());
}

#[test]
fn pauses_double_up_to_their_maximum() {
    let resume = Resume::default();
    let pauses: Vec<_> = [1, 2, 6, 7, 30]
        .map(|tries| resume.pause(tries).as_millis())
        .into();
    assert_eq!(pauses, [100, 200, 3200, 5000, 5000]);
}

#[test]
fn following_asks_up_to_the_largest_number() {
    let wire = Seek::follow(Position::NextCommit).to_wire();
    assert_eq!(
        wire.stop.and_then(|stop| stop.r#type),
        Some(seek_position::Type::Specified(SeekSpecified { number: u64::MAX }))
    );
    assert_eq!(wire.behavior, SeekBehavior::BlockUntilReady as i32);
    let wire = Seek::one(Position::Newest).to_wire();
    assert_eq!(wire.start, wire.stop);
    assert_eq!(wire.behavior, SeekBehavior::FailIfNotReady as i32);
}

fn impatient() -> Resume {
    Resume {
        tries_max: 3,
        pause_first: Duration::from_millis(1),
        pause_max: Duration::from_millis(5),
    }
}

async fn collect(faults: Faults, blocks: u64, seek: Seek) -> (Vec<SealedBlock>, Result<(), DeliverError>) {
    let (orderer, address) = FakeOrderer::start(faults, blocks, None).await;
    let connection = target(address).connect().await.unwrap();
    let mut stream = DeliverStream::new(&connection, signer(), seek, impatient());
    let mut got = Vec::new();
    let outcome = loop {
        match stream.next().await {
            Ok(Some(block)) => got.push(block),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    let all = orderer.blocks();
    assert!(got.iter().all(|block| all.contains(block)), "bytes were changed");
    (got, outcome)
}

fn numbers(blocks: &[SealedBlock]) -> Vec<u64> {
    blocks.iter().map(|block| block.number().0).collect()
}

#[tokio::test]
async fn a_range_is_delivered_whole_and_with_its_own_bytes() {
    let (got, outcome) = collect(
        Faults::default(),
        5,
        Seek::range(Position::Oldest, Position::Newest),
    )
    .await;
    outcome.unwrap();
    assert_eq!(numbers(&got), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_stream_that_keeps_breaking_is_resumed_without_gap_or_repeat() {
    let faults = Faults {
        break_deliver_after: Some(2),
        ..Faults::default()
    };
    let last = Position::Number(BlockNumber(6));
    let (got, outcome) = collect(faults, 9, Seek::range(Position::Oldest, last)).await;
    outcome.unwrap();
    assert_eq!(numbers(&got), [0, 1, 2, 3, 4, 5, 6]);
}

#[tokio::test]
async fn resuming_is_given_up_after_its_tries() {
    let faults = Faults {
        break_deliver_after: Some(0),
        ..Faults::default()
    };
    let (got, outcome) = collect(faults, 3, Seek::follow(Position::Oldest)).await;
    assert!(got.is_empty());
    assert!(matches!(outcome, Err(DeliverError::Broken { .. })), "{outcome:?}");
}

#[tokio::test]
async fn up_to_newest_is_not_resumed_since_it_would_mean_another_block() {
    let faults = Faults {
        break_deliver_after: Some(1),
        ..Faults::default()
    };
    let (got, outcome) = collect(faults, 3, Seek::range(Position::Oldest, Position::Newest)).await;
    assert_eq!(numbers(&got), [0]);
    assert!(matches!(outcome, Err(DeliverError::Broken { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_refusal_is_final_and_explained() {
    let faults = Faults {
        deliver_status: Some(FORBIDDEN),
        ..Faults::default()
    };
    let (_, outcome) = collect(faults, 1, Seek::follow(Position::Oldest)).await;
    let error = outcome.unwrap_err().to_string();
    assert!(
        error.contains("FORBIDDEN") && error.contains("readers policy"),
        "{error}"
    );
}

#[tokio::test]
async fn new_blocks_are_followed() {
    let (orderer, address) = FakeOrderer::start(Faults::default(), 1, None).await;
    let connection = target(address).connect().await.unwrap();
    let seek = Seek::follow(Position::NextCommit);
    let mut stream = DeliverStream::new(&connection, signer(), seek, Resume::NEVER);
    let (block, ()) = tokio::join!(stream.next(), async {
        while orderer.seeks.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        orderer.append(vec![]);
    });
    assert_eq!(block.unwrap().unwrap().number(), BlockNumber(1));
}
