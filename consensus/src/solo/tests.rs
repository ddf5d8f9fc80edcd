//! The whole chain over a support in memory, with paused time.

mod support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use configtx::orderer_config::{ConsensusState, ConsensusType};
use futures::{FutureExt, StreamExt};
use protos::{BlockNumber, ConsenterId};
use tokio::time::{advance, timeout};

use self::support::{FakeSupport, Shared};
use super::chain::validate;
use super::{SOLO, SoloConsenter};
use crate::chain::{Chain, ChainFailure, Ended, EnqueueError, Phase, ReceiveError, Submission};
use crate::consenter::{Consenter, ConsenterMetadata, consenters, metadata_validators};
use crate::mailbox::MAILBOX_BYTES_MAX;
use crate::support::WriteError;
use crate::testing::{config, normal};
use crate::ticket::{Outcome, TicketError, Tickets};
use crate::transport::ClusterMessage;

/// A chain and its support.
struct World {
    support: Arc<FakeSupport>,
    chain: Arc<dyn Chain>,
}

impl World {
    fn not_started(support: FakeSupport) -> Self {
        let support = Arc::new(support);
        let shared = Arc::new(Shared(Arc::clone(&support)));
        let chain = SoloConsenter.handle_chain(shared, ConsenterMetadata::default());
        Self {
            support,
            chain: chain.unwrap(),
        }
    }

    fn start(support: FakeSupport) -> Self {
        let world = Self::not_started(support);
        world.chain.start();
        world
    }

    async fn submit(&self, submissions: Vec<Submission>) -> Tickets {
        self.chain.enqueue_all(submissions).await.unwrap()
    }

    /// Small envelopes of these names, at sequence 1.
    async fn submit_names(&self, names: &[&str]) -> Tickets {
        self.submit(names.iter().map(|name| normal(name, 10, 1)).collect())
            .await
    }

    async fn halt(&self) -> Vec<Vec<String>> {
        self.chain.halt().await;
        assert_eq!(self.chain.status().phase, Phase::Halted);
        self.support.blocks()
    }
}

async fn outcomes(tickets: Tickets) -> Vec<Outcome> {
    tickets.collect().await
}

/// Lets the chain's tasks run until they have nothing to do, without passing a batch timeout.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_waits_for_the_timeout_and_no_longer() {
    let world = World::start(FakeSupport::new());
    let tickets = world.submit_names(&["a"]).await;
    settle().await;
    advance(Duration::from_millis(1500)).await;
    let later = world.submit_names(&["b"]).await;
    settle().await;
    assert!(world.support.blocks().is_empty());
    advance(Duration::from_millis(500)).await;
    settle().await;
    assert_eq!(world.support.blocks(), [["a", "b"]]);
    assert_eq!(outcomes(tickets).await, [Ok(BlockNumber(1))]);
    assert_eq!(outcomes(later).await, [Ok(BlockNumber(1))]);
}

#[tokio::test(start_paused = true)]
async fn tickets_of_one_call_tell_their_own_blocks() {
    let world = World::start(FakeSupport::new());
    let tickets = world.submit_names(&["a", "b", "c", "d"]).await;
    let numbers = [1, 1, 1, 2].map(|number| Ok(BlockNumber(number)));
    assert_eq!(outcomes(tickets).await, numbers);
    let one = world.chain.enqueue(normal("e", 10, 1)).await.unwrap();
    assert_eq!(one.await, Ok(BlockNumber(3)));
}

#[tokio::test(start_paused = true)]
async fn a_ticket_waits_until_its_block_is_durable() {
    let world = World::start(FakeSupport::with_disk(0));
    let mut tickets = world.submit_names(&["a", "b", "c"]).await;
    settle().await;
    assert_eq!(world.support.blocks().len(), 1);
    assert_eq!(tickets.next().now_or_never(), None);
    world.support.release(1);
    assert_eq!(tickets.next().await, Some(Ok(BlockNumber(1))));
}

#[tokio::test(start_paused = true)]
async fn blocks_are_handed_over_while_earlier_ones_are_not_durable() {
    let world = World::start(FakeSupport::with_disk(0));
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    let tickets = world.submit_names(&names).await;
    settle().await;
    assert_eq!(world.support.blocks().len(), 3);
    world.support.release(3);
    assert_eq!(outcomes(tickets).await.last(), Some(&Ok(BlockNumber(3))));
}

#[tokio::test(start_paused = true)]
async fn callers_wait_while_the_disk_stalls() {
    const ENVELOPE_BYTES: usize = 1 << 20;
    let world = World::start(FakeSupport::with_disk(0));
    let mut taken = 0;
    loop {
        let offer = world.chain.enqueue(normal("x", ENVELOPE_BYTES, 1));
        match timeout(Duration::from_secs(1), offer).await {
            Ok(ticket) => drop(ticket.unwrap()),
            Err(_) => break, // dropped while it waited: withdrawn
        }
        taken += 1;
    }
    let bound = super::core::BYTES_IN_FLIGHT_MAX + MAILBOX_BYTES_MAX as usize;
    assert!(taken <= bound / ENVELOPE_BYTES + 1, "{taken} MiB were taken in");

    world.support.release(usize::MAX >> 4);
    assert_eq!(world.halt().await.len(), taken);
}

#[tokio::test(start_paused = true)]
async fn a_call_larger_than_the_mailbox_goes_in_alone() {
    let world = World::start(FakeSupport::new());
    let large = normal("x", 2 * MAILBOX_BYTES_MAX as usize, 1);
    let ticket = world.chain.enqueue(large).await.unwrap();
    assert_eq!(ticket.await, Ok(BlockNumber(1)));
}

#[tokio::test(start_paused = true)]
async fn a_halt_orders_everything_that_was_taken_in() {
    let world = World::start(FakeSupport::with_disk(0));
    let mut calls = Vec::new();
    for call in 0..100 {
        calls.push(
            world
                .submit_names(&[&format!("{call}a"), &format!("{call}b")])
                .await,
        );
    }
    let mut halt = world.chain.halt();
    assert!(timeout(Duration::from_mins(1), &mut halt).await.is_err());
    assert_eq!(world.chain.status().phase, Phase::Halting);
    let late = world.chain.enqueue(normal("late", 10, 1)).await;
    assert_eq!(late.unwrap_err(), EnqueueError::Halted);

    world.support.release(1000);
    halt.await;
    assert_eq!(world.halt().await.concat().len(), 200);
    for tickets in calls {
        assert!(outcomes(tickets).await.iter().all(Result::is_ok));
    }
    assert!(*world.chain.errored().borrow());
    assert_eq!(world.chain.ended().await, Ok(Ended::Halted));
}

#[tokio::test(start_paused = true)]
async fn a_chain_takes_nothing_in_before_its_start() {
    let world = World::not_started(FakeSupport::new());
    let early = world.chain.enqueue(normal("early", 10, 1)).await;
    assert_eq!(early.unwrap_err(), EnqueueError::NotStarted);
    assert!(*world.chain.errored().borrow());
    world.chain.start();
    assert!(!*world.chain.errored().borrow());
    assert_eq!(world.submit_names(&["a"]).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_chain_halted_before_its_start_never_runs() {
    let world = World::not_started(FakeSupport::new());
    world.chain.halt().await;
    world.chain.start();
    let late = world.chain.enqueue(normal("late", 10, 1)).await;
    assert_eq!(late.unwrap_err(), EnqueueError::Halted);
    assert_eq!(world.chain.ended().await, Ok(Ended::Halted));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_ordered_between_a_config_block_and_its_coming_into_force() {
    let world = World::start(FakeSupport::with_disk(1));
    let tickets = world
        .submit(vec![
            normal("a", 10, 1),
            config("c", 1),
            normal("b", 10, 1),
            normal("bad", 10, 1),
        ])
        .await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(world.support.blocks(), [["a"], ["c"]]);

    world.support.release(2);
    let reason = "refused at 2".to_owned();
    let expected = [
        Ok(BlockNumber(1)),
        Ok(BlockNumber(2)),
        Ok(BlockNumber(3)),
        Err(TicketError::Dropped { reason }),
    ];
    assert_eq!(outcomes(tickets).await, expected);
    assert_eq!(world.halt().await, [["a"], ["c"], ["b"]]);
}

#[tokio::test(start_paused = true)]
async fn of_racing_config_messages_the_later_are_computed_anew() {
    let world = World::start(FakeSupport::new());
    let tickets = world
        .submit(vec![config("one", 1), config("bad-two", 1), config("three", 1)])
        .await;
    let reason = "refused at 2".to_owned();
    let expected = [
        Ok(BlockNumber(1)),
        Err(TicketError::Dropped { reason }),
        Ok(BlockNumber(2)),
    ];
    assert_eq!(outcomes(tickets).await, expected);
    assert_eq!(world.halt().await, [["one"], ["three@2"]]);
}

#[tokio::test(start_paused = true)]
async fn a_halt_during_a_config_change_still_orders_what_came_after_it() {
    let world = World::start(FakeSupport::with_disk(0));
    let tickets = world.submit(vec![config("c", 1), normal("a", 10, 1)]).await;
    let mut halt = world.chain.halt();
    assert!(timeout(Duration::from_mins(1), &mut halt).await.is_err());
    world.support.release(2);
    halt.await;
    assert_eq!(outcomes(tickets).await, [Ok(BlockNumber(1)), Ok(BlockNumber(2))]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_write_ends_the_chain_and_says_why() {
    let mut support = FakeSupport::with_disk(1);
    support.fail_at = Some(2);
    let world = World::start(support);
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let tickets = world.submit_names(&names).await;
    settle().await;
    world.support.release(1);

    let reason = "block 2 is not written: disk gone".to_owned();
    let written = Ok(BlockNumber(1));
    let unknown = Err(TicketError::Unknown { reason });
    let mut expected = vec![written; 3];
    expected.extend(vec![unknown; 3]);
    expected.push(Err(TicketError::Halted));
    assert_eq!(outcomes(tickets).await, expected);

    let failure = ChainFailure::Write(WriteError {
        number: BlockNumber(2),
        reason: "disk gone".to_owned(),
    });
    assert_eq!(world.chain.ended().await, Err(failure.clone()));
    let refused = world.chain.enqueue(normal("late", 10, 1)).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "chain is stopped: block 2 is not written: disk gone"
    );
    assert_eq!(refused, EnqueueError::Failed(failure.clone()));
    assert!(*world.chain.errored().borrow());
    world.chain.halt().await;
    assert_eq!(world.chain.status().phase, Phase::Failed(failure));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_waits_when_the_chain_fails_is_refused() {
    let mut support = FakeSupport::with_disk(0);
    support.fail_at = Some(1);
    let world = World::start(support);
    let in_flight = world.submit(vec![normal("x", 16 << 20, 1)]).await;
    let in_mailbox = world
        .submit(vec![normal("y", MAILBOX_BYTES_MAX as usize, 1); 2])
        .await;
    let mut waiting = world.chain.enqueue(normal("z", 1 << 20, 1));
    settle().await;
    assert!((&mut waiting).now_or_never().is_none());
    world.support.release(1);
    assert!(matches!(waiting.await, Err(EnqueueError::Failed(_))));
    assert!(matches!(
        outcomes(in_flight).await[0],
        Err(TicketError::Unknown { .. })
    ));
    assert_eq!(outcomes(in_mailbox).await, vec![Err(TicketError::Halted); 2]);
}

/// What both tasks must do when they panic.
async fn assert_panic_is_reported(world: World, tickets: Tickets, task: &str, message: &str) {
    let failure = world.chain.ended().await.unwrap_err();
    let expected = format!("{task} task panicked: ");
    let text = failure.to_string();
    assert!(text.starts_with(&expected) && text.contains(message), "{text}");
    for outcome in outcomes(tickets).await {
        assert!(matches!(outcome, Err(TicketError::Unknown { .. })), "{outcome:?}");
    }
    let refused = world.chain.enqueue(normal("late", 10, 1)).await;
    assert_eq!(refused.unwrap_err(), EnqueueError::Failed(failure));
    world.chain.halt().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_writer_is_not_lost() {
    let mut support = FakeSupport::new();
    support.panic_at = Some(1);
    let world = World::start(support);
    let tickets = world.submit_names(&["a", "b", "c", "d"]).await;
    assert_panic_is_reported(world, tickets, "writer", "making block 1").await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_driver_is_not_lost() {
    let world = World::start(FakeSupport::with_disk(0));
    let tickets = world
        .submit(vec![normal("panic", 10, 0), normal("a", 10, 1)])
        .await;
    assert_panic_is_reported(world, tickets, "driver", "revalidation of panic").await;
}

#[tokio::test(start_paused = true)]
async fn a_dropped_chain_still_orders_what_was_taken_in() {
    let World { support, chain } = World::start(FakeSupport::new());
    let tickets = chain.enqueue_all(vec![normal("a", 10, 1)]).await.unwrap();
    drop(chain);
    settle().await;
    assert_eq!(outcomes(tickets).await, [Ok(BlockNumber(1))]);
    assert_eq!(support.blocks(), [["a"]]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn streams_in_parallel_keep_their_order_and_learn_their_blocks() {
    const STREAMS: usize = 8;
    const CALLS: usize = 40;
    const CALL_LEN: usize = 7;
    let world = Arc::new(World::start(FakeSupport::new()));
    let mut streams = Vec::new();
    for stream in 0..STREAMS {
        let world = Arc::clone(&world);
        streams.push(tokio::spawn(async move {
            let mut told = Vec::new();
            for call in 0..CALLS {
                let name = |index| format!("{stream} {:05}", call * CALL_LEN + index);
                let names: Vec<_> = (0..CALL_LEN).map(name).collect();
                let calls = names.iter().map(|name| normal(name, 20, 1)).collect();
                told.push((names, world.submit(calls).await));
            }
            told
        }));
    }
    let told: Vec<_> = futures::future::join_all(streams).await;
    let blocks = world.halt().await;
    for (stream, told) in told.into_iter().enumerate() {
        let prefix = format!("{stream} ");
        let ordered: Vec<_> = blocks
            .iter()
            .flatten()
            .filter(|name| name.starts_with(&prefix))
            .collect();
        assert!(ordered.is_sorted(), "stream {stream}: {ordered:?}");
        assert_eq!(ordered.len(), CALLS * CALL_LEN);
        for (names, tickets) in told.unwrap() {
            for (name, outcome) in names.iter().zip(outcomes(tickets).await) {
                let BlockNumber(number) = outcome.unwrap();
                let block = &blocks[usize::try_from(number).unwrap() - 1];
                assert!(block.contains(name), "{name} is not in block {number}");
            }
        }
    }
}

#[tokio::test]
async fn solo_takes_no_cluster_messages_and_no_foreign_metadata() {
    let world = World::not_started(FakeSupport::new());
    let message = ClusterMessage::Consensus {
        payload: Bytes::from_static(b"hello"),
        metadata: Bytes::new(),
    };
    assert_eq!(
        world.chain.receive(ConsenterId(2), message),
        Err(ReceiveError::NoCluster { consenter: SOLO })
    );
    let metadata = ConsenterMetadata(Bytes::from_static(b"raft"));
    let shared = Arc::new(Shared(Arc::clone(&world.support)));
    assert!(SoloConsenter.handle_chain(shared, metadata).is_err());
}

#[test]
fn the_tables_know_solo_and_name_what_they_do_not_know() {
    assert!(consenters(None).get(SOLO).is_ok());
    let unknown = consenters(None).get("kafka").map(drop).unwrap_err();
    assert_eq!(unknown.to_string(), "consenter kafka is not available");
    assert!(metadata_validators().get(SOLO).is_ok());
}

#[test]
fn solo_has_no_settings_and_stays_solo() {
    let value = |kind: &str, metadata: &'static [u8]| ConsensusType {
        kind: kind.to_owned(),
        metadata: Bytes::from_static(metadata),
        state: ConsensusState::Normal,
    };
    assert_eq!(validate(None, &value(SOLO, b"")), Ok(()));
    assert_eq!(
        validate(None, &value(SOLO, b"x")).unwrap_err().to_string(),
        "consensus metadata of type solo must be empty, got 1 bytes"
    );
    let change = validate(Some(&value(SOLO, b"")), &value("etcdraft", b"x"));
    assert_eq!(
        change.unwrap_err().to_string(),
        "consensus type may not change from solo to etcdraft"
    );
}
