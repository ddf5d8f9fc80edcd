use std::sync::Arc;

use consensus::ConsenterMetadata;
use ledger::disk::{Fault, SimDisk};
use ledger::index::MemoryIndex;
use ledger::{BlockReader, LedgerFactory, LedgerOptions};
use protos::{ChannelId, Height};

use super::*;
use crate::catchup::Appender;
use crate::multichannel::chain_support::{ChainSupport, NodeParts};
use crate::testing::{self, Genesis};
use consensus::ConsenterSupport as _;

/// Some channels on one simulated disk.
struct World {
    disk: SimDisk,
    ledgers: LedgerFactory,
    node: NodeParts,
}

impl World {
    fn new() -> Self {
        let disk = SimDisk::new(3);
        let index = Arc::new(MemoryIndex::default());
        let ledgers = LedgerFactory::open_on(&disk.root(), index, LedgerOptions::at("/unused")).unwrap();
        Self {
            disk,
            ledgers,
            node: testing::node_parts(),
        }
    }

    fn channel(&self, name: &'static str) -> Arc<ChainSupport> {
        let id = ChannelId::parse(name).unwrap();
        let mut store = self.ledgers.open_channel(&id).unwrap();
        let genesis = Genesis::solo(name).block();
        store.append(&SealedBlock::seal(&genesis).unwrap()).unwrap();
        store.sync().unwrap();
        ChainSupport::open(id, store, None, &self.node).unwrap()
    }
}

fn write(support: &ChainSupport, text: &str) -> BoxFuture<'static, Result<(), WriteError>> {
    let message = testing::message(&testing::client(), support.channel_id().as_str(), text);
    let envelope = protos::Envelope::from_received(message).unwrap();
    let block = support.create_next_block(vec![envelope]);
    support.write_block(block, ConsenterMetadata::default())
}

fn numbers(reader: &BlockReader) -> Vec<u64> {
    let blocks = reader.iter(BlockNumber(0));
    blocks.map(|block| block.unwrap().number().0).collect()
}

#[tokio::test]
async fn many_channels_write_in_order_with_few_threads() {
    let world = World::new();
    let names: Vec<&'static str> = (0..60).map(|number| &*format!("ch{number}").leak()).collect();
    let channels: Vec<_> = names.into_iter().map(|name| world.channel(name)).collect();
    let mut written = Vec::new();
    for round in 0..20 {
        written.extend(channels.iter().map(|channel| write(channel, &round.to_string())));
    }
    for outcome in futures::future::join_all(written).await {
        outcome.unwrap();
    }
    for channel in &channels {
        assert_eq!(numbers(channel.reader()), (0..=20).collect::<Vec<_>>());
    }
    let threads = world.node.pool.threads();
    assert!(
        threads <= crate::multichannel::writer_pool::THREADS_MAX,
        "{threads} threads"
    );
}

#[tokio::test]
async fn after_a_fault_nothing_of_that_channel_is_written_and_the_others_go_on() {
    let world = World::new();
    let [bad, good] = ["bad", "good"].map(|name| world.channel(name));
    write(&bad, "a").await.unwrap();
    world.disk.inject(Fault::Sync);
    write(&bad, "b").await.unwrap_err();
    let error = write(&bad, "c").await.unwrap_err();
    assert_eq!(error.number, BlockNumber(3));
    assert_eq!(numbers(bad.reader()), [0, 1]);
    write(&good, "a").await.unwrap();
    assert_eq!(good.reader().height(), Height(2));
}

#[tokio::test]
async fn a_writer_that_waits_for_room_can_be_abandoned_and_lets_go_of_its_ledger() {
    let world = World::new();
    let support = world.channel("ch");
    world.disk.set_capacity(Some(world.disk.used()));
    let [first, second] = ["a", "b"].map(|text| write(&support, text));
    let space = world.node.space.clone();
    testing::until(|| space.is_full()).await;
    support.abandon();
    let error = first.await.unwrap_err();
    assert_eq!(error.reason, "the channel is being removed");
    second.await.unwrap_err();
    assert!(!space.is_full());
    let id = support.channel_id().clone();
    drop(support);
    testing::until(|| world.ledgers.remove(&id).is_ok()).await;
}

#[tokio::test]
async fn blocks_of_others_are_kept_as_received_and_their_configs_come_into_force() {
    let world = World::new();
    let source = world.channel("ch");
    let genesis = source.reader().get(BlockNumber(0)).unwrap().unwrap();
    write(&source, "a").await.unwrap();
    let first = source.reader().get(BlockNumber(1)).unwrap().unwrap();

    let other = World::new();
    let id = ChannelId::parse("ch").unwrap();
    let bundle = Arc::new(Bundle::from_block(&genesis.decode().unwrap()).unwrap());
    let store = other.ledgers.open_channel(&id).unwrap();
    let support = ChainSupport::open(id, store, Some(Arc::clone(&bundle)), &other.node).unwrap();
    let appender: Arc<dyn Appender> = support.appender();
    assert!(appender.bundle().is_none());
    appender.append(first.clone(), None).await.unwrap_err();
    appender.append(genesis, Some(bundle)).await.unwrap();
    assert!(appender.bundle().is_some());
    assert_eq!(*other.node.configs.borrow(), 1);
    appender.append(first.clone(), None).await.unwrap();
    let kept = support.reader().get(BlockNumber(1)).unwrap().unwrap();
    assert_eq!(kept.bytes(), first.bytes());
    // Its own next block follows.
    write(&support, "b").await.unwrap();
    assert_eq!(numbers(support.reader()), [0, 1, 2]);
}
