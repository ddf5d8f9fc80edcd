use std::time::{Duration, SystemTime};

use consensus::{Submission, TicketError};
use ledger::disk::{Fault, SimDisk};
use ledger::index::MemoryIndex;
use ledger::{LedgerFactory, LedgerOptions};
use protos::{BlockNumber, SealedBlock};

use super::*;
use crate::processor::{self, Verdict};
use crate::testing::{self, Genesis};

/// A solo channel of one-message blocks on a simulated disk.
struct World {
    disk: SimDisk,
    node: NodeParts,
    channel: Arc<Channel>,
}

impl World {
    fn open() -> Self {
        let disk = SimDisk::new(7);
        let options = LedgerOptions::at("/unused");
        let ledgers =
            LedgerFactory::open_on(&disk.root(), Arc::new(MemoryIndex::default()), options).unwrap();
        let id = ChannelId::parse("ch").unwrap();
        let mut store = ledgers.open_channel(&id).unwrap();
        let mut genesis = Genesis::solo("ch");
        genesis.batch.max_message_count = 1;
        store
            .append(&SealedBlock::seal(&genesis.block()).unwrap())
            .unwrap();
        store.sync().unwrap();
        let node = testing::node_parts();
        let channel = Channel::open(id, store, None, &node);
        Self { disk, node, channel }
    }

    async fn order(&self, text: &str) -> Result<BlockNumber, String> {
        let (chain, rules) = self.channel.ordering().map_err(|error| error.to_string())?;
        let received = testing::message(&testing::client(), "ch", text);
        let verdict = processor::process(received, |_| Some(rules), SystemTime::now()).unwrap();
        let Verdict::Ready(checked) = verdict else {
            panic!("it is no config update");
        };
        let submission = Submission {
            envelope: checked.envelope,
            kind: checked.kind,
            config_seq: checked.config_seq,
        };
        let ticket = chain
            .enqueue(submission)
            .await
            .map_err(|error| error.to_string())?;
        ticket.await.map_err(|error: TicketError| error.to_string())
    }
}

#[tokio::test]
async fn a_full_disk_pauses_intake_until_there_is_room() {
    let world = World::open();
    assert_eq!(world.order("a").await, Ok(BlockNumber(1)));
    world.disk.set_capacity(Some(world.disk.used() + 100));
    let waiting = world.order("b");
    tokio::pin!(waiting);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), &mut waiting)
            .await
            .is_err()
    );
    assert!(world.node.space.is_full());
    assert_eq!(world.channel.health(), Health::Running);
    world.disk.set_capacity(None);
    assert_eq!(waiting.await, Ok(BlockNumber(2)));
    assert!(!world.node.space.is_full());
}

#[tokio::test]
async fn a_failing_disk_quarantines_the_channel_which_still_serves_reads() {
    let world = World::open();
    assert_eq!(world.order("a").await, Ok(BlockNumber(1)));
    world.disk.inject(Fault::Sync);
    let lost = world.order("b").await.unwrap_err();
    assert!(lost.starts_with("outcome unknown"), "{lost}");
    testing::until(|| matches!(world.channel.health(), Health::Quarantined(_))).await;
    assert!(world.order("c").await.is_err());
    let reader = world.channel.support().unwrap().reader();
    assert!(reader.get(BlockNumber(1)).unwrap().is_some());
    assert_eq!(world.channel.height(), Height(2));
}

#[tokio::test]
async fn a_halted_channel_is_stopped_and_takes_nothing() {
    let world = World::open();
    world.channel.halt().await;
    testing::until(|| world.channel.health() == Health::Stopped).await;
    assert_eq!(world.order("a").await, Err("chain is stopped".to_owned()));
}

#[test]
fn a_quarantined_channel_answers_with_its_reason() {
    let channel = Channel::quarantined(ChannelId::parse("ch").unwrap(), "the disk is gone");
    let error = channel.ordering().err().unwrap();
    assert_eq!(error.to_string(), "channel is quarantined: the disk is gone");
    assert_eq!(channel.height(), Height::EMPTY);
}
