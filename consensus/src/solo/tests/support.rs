//! A support in memory whose disk does as the test says.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use blockcutter::BatchLimits;
use futures::future::{BoxFuture, FutureExt};
use protos::wire::common::Block;
use protos::{BlockNumber, ChannelId, ConfigSeq, Envelope, Height, block};
use tokio::sync::Semaphore;

use crate::consenter::{ConsenterMetadata, Members};
use crate::support::{BatchConfig, ConsenterSupport, Revalidate, RevalidateError, WriteError};
use crate::testing::{envelope, name};

/// Batches of three or 1000 bytes, 2 s of timeout, genesis block only.
pub(super) struct FakeSupport {
    channel: ChannelId,
    state: Mutex<State>,
    /// One permit lets one block become durable.
    disk: Arc<Semaphore>,
    /// Writing this block fails.
    pub(super) fail_at: Option<u64>,
    /// Making this block panics.
    pub(super) panic_at: Option<u64>,
}

struct State {
    /// The blocks taken, without genesis.
    taken: Vec<Block>,
    tip: block::Hash,
    config_seq: ConfigSeq,
}

impl FakeSupport {
    /// With a disk that is always fast.
    pub(super) fn new() -> Self {
        Self::with_disk(Semaphore::MAX_PERMITS)
    }

    /// With a disk that makes `blocks` durable and then stalls until [`Self::release`].
    pub(super) fn with_disk(blocks: usize) -> Self {
        Self {
            channel: ChannelId::parse("solo").unwrap(),
            state: Mutex::new(State {
                taken: Vec::new(),
                tip: [7; 32],
                config_seq: ConfigSeq(1),
            }),
            disk: Arc::new(Semaphore::new(blocks)),
            fail_at: None,
            panic_at: None,
        }
    }

    pub(super) fn release(&self, blocks: usize) {
        self.disk.add_permits(blocks);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The names in each block, in order; block 1 first.
    pub(super) fn blocks(&self) -> Vec<Vec<String>> {
        let names = |block: &Block| block.data.as_ref().unwrap().data.iter().map(name).collect();
        self.state().taken.iter().map(names).collect()
    }

    fn take(&self, block: Block) -> BoxFuture<'static, Result<(), WriteError>> {
        let number = BlockNumber(block.header.as_ref().unwrap().number);
        let mut state = self.state();
        assert_eq!(block.header.as_ref().unwrap().previous_hash[..], state.tip[..]);
        assert_eq!(number.0, state.taken.len() as u64 + 1);
        state.tip = block::header_hash(block.header.as_ref().unwrap());
        state.taken.push(block);
        let (disk, fails) = (Arc::clone(&self.disk), self.fail_at == Some(number.0));
        async move {
            disk.acquire().await.unwrap().forget();
            let reason = "disk gone".to_owned();
            if fails {
                Err(WriteError { number, reason })
            } else {
                Ok(())
            }
        }
        .boxed()
    }

    fn check(&self, envelope: &Envelope) -> Result<(), RevalidateError> {
        let name = name(envelope.entry());
        assert!(!name.starts_with("panic"), "revalidation of {name}");
        if name.starts_with("bad") {
            let reason = format!("refused at {}", self.config_seq().0);
            return Err(RevalidateError { reason });
        }
        Ok(())
    }
}

impl Revalidate for FakeSupport {
    fn config_seq(&self) -> ConfigSeq {
        self.state().config_seq
    }

    fn revalidate_normal(&self, envelope: &Envelope) -> Result<(), RevalidateError> {
        self.check(envelope)
    }

    fn revalidate_config(&self, old: &Envelope, _: &Members) -> Result<Envelope, RevalidateError> {
        self.check(old)?;
        Ok(envelope(
            &format!("{}@{}", name(old.entry()), self.config_seq().0),
            old.size(),
        ))
    }
}

/// The fake behind an `Arc`, so that a config block's future can change the config.
pub(super) struct Shared(pub(super) Arc<FakeSupport>);

impl Revalidate for Shared {
    fn config_seq(&self) -> ConfigSeq {
        self.0.config_seq()
    }

    fn revalidate_normal(&self, envelope: &Envelope) -> Result<(), RevalidateError> {
        self.0.revalidate_normal(envelope)
    }

    fn revalidate_config(&self, envelope: &Envelope, members: &Members) -> Result<Envelope, RevalidateError> {
        self.0.revalidate_config(envelope, members)
    }
}

impl ConsenterSupport for Shared {
    fn channel_id(&self) -> &ChannelId {
        &self.0.channel
    }

    fn height(&self) -> Height {
        Height(self.0.state().taken.len() as u64 + 1)
    }

    fn batch_config(&self) -> BatchConfig {
        BatchConfig {
            limits: BatchLimits::new(3, 1 << 30, 1000).unwrap(),
            timeout: Duration::from_secs(2),
        }
    }

    fn consensus_type(&self) -> String {
        "solo".to_owned()
    }

    fn consensus_metadata(&self) -> bytes::Bytes {
        bytes::Bytes::new()
    }

    fn block(&self, _number: BlockNumber) -> Result<Option<Block>, String> {
        Ok(None)
    }

    fn own_place(&self, _consenters: &[protos::wire::etcdraft::Consenter]) -> Option<usize> {
        None
    }

    fn transport(&self) -> Arc<dyn crate::Transport> {
        Arc::new(crate::transport::Alone)
    }

    fn block_source(&self) -> Arc<dyn crate::BlockSource> {
        Arc::new(crate::block_source::NoSource)
    }

    fn create_next_block(&self, batch: Vec<Envelope>) -> Block {
        let state = self.0.state();
        let number = BlockNumber(state.taken.len() as u64 + 1);
        let tip = state.tip;
        drop(state);
        assert_ne!(Some(number.0), self.0.panic_at, "making block {}", number.0);
        block::next(
            number,
            &tip,
            batch.into_iter().map(Envelope::into_entry).collect(),
        )
    }

    fn write_block(&self, block: Block, _: ConsenterMetadata) -> BoxFuture<'static, Result<(), WriteError>> {
        self.0.take(block)
    }

    fn write_config_block(
        &self,
        block: Block,
        _: ConsenterMetadata,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        let written = self.0.take(block);
        let fake = Arc::clone(&self.0);
        async move {
            written.await?;
            fake.state().config_seq.0 += 1;
            Ok(())
        }
        .boxed()
    }
}
