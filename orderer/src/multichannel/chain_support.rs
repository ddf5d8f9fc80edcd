//! What a channel lends to its chain: the rules in force, the next block, the ledger.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use configtx::identity::SigningIdentity;
use consensus::block_source::NoSource;
use consensus::transport::Alone;
use consensus::{
    BatchConfig, BlockSource, ConsenterMetadata, ConsenterSupport, Members, Revalidate, RevalidateError,
    Transport, WriteError,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ledger::{BlockReader, BlockStore};
use parking_lot::Mutex;
use protos::block::{self, Hash};
use protos::wire::common::Block;
use protos::wire::etcdraft::Consenter;
use protos::{BlockNumber, ChannelId, ConfigSeq, Envelope, Height};
use tokio::sync::watch;

use super::block_writer::{BlockWriter, Writing};
use super::disk_space::DiskSpace;
use super::refused::{RefusedConfig, Reports};
use super::view::View;
use crate::processor::{self, ProcessError, Proposer, Rules, Verdict, config_update};

/// One channel's config in force, processor, block writer and ledger.
#[derive(Debug)]
pub struct ChainSupport {
    channel: ChannelId,
    /// In whose name configs are made.
    identity: Arc<SigningIdentity>,
    view: Arc<View>,
    writer: BlockWriter,
    /// The last block taken for writing, durable or not.
    tip: Mutex<Tip>,
}

#[derive(Clone, Copy, Debug)]
struct Tip {
    height: Height,
    hash: Hash,
}

/// What all channels of a node have in common.
#[derive(Clone, Debug)]
pub struct NodeParts {
    /// In whose name blocks are signed.
    pub identity: Arc<SigningIdentity>,
    /// `General.Authentication.NoExpirationChecks`.
    pub no_expiration_checks: bool,
    /// Whether the data folder has room.
    pub space: DiskSpace,
    /// Where configs that are refused are reported.
    pub reports: Reports,
    /// Counts configs coming into force, on any channel.
    pub configs: watch::Sender<u64>,
    /// One clone is held by each channel's writer, so that the end of the process can wait for them.
    pub writers: Arc<()>,
}

/// Why a channel's ledger cannot be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum SupportError {
    /// A block cannot be read.
    #[error(transparent)]
    Read(#[from] ledger::ReadError),
    /// The ledger has no block.
    #[error("ledger is empty")]
    Empty,
    /// The last block's metadata does not say where the config is.
    #[error("last block: {0}")]
    Metadata(#[from] block::MetadataError),
    /// The config block is missing or no block.
    #[error("config block {0} cannot be read")]
    NoConfigBlock(BlockNumber),
    /// The config is not valid.
    #[error("config block: {0}")]
    Bundle(#[from] configtx::bundle::BundleError),
    /// The newest config does not follow the one before it.
    #[error(transparent)]
    Refused(#[from] Box<RefusedConfig>),
    /// The batch limits of the config contradict each other.
    #[error("config block: {0}")]
    Limits(#[from] blockcutter::LimitsError),
    /// The ledger belongs to another channel.
    #[error("ledger is that of channel {found}")]
    OtherChannel {
        /// The channel its config names.
        found: ChannelId,
    },
    /// No thread for the writer.
    #[error("cannot start the writer: {0}")]
    Thread(#[from] std::io::Error),
}

impl ChainSupport {
    /// Goes on with the channel in `store`, which has at least its genesis block. Answers what the last block
    /// carries for its consenter as well.
    pub fn open(
        channel: ChannelId,
        store: BlockStore,
        node: &NodeParts,
    ) -> Result<(Arc<Self>, ConsenterMetadata), SupportError> {
        let (view, newest) = View::open(&channel, store.reader(), node)?;
        let writer = BlockWriter::start(Writing {
            channel: channel.clone(),
            store,
            identity: Arc::clone(&node.identity),
            last_config: newest.last_config,
            rules: Arc::clone(view.rules_in_force()),
            newest: view.rules(),
            no_expiration_checks: node.no_expiration_checks,
            space: node.space.clone(),
            configs: node.configs.clone(),
            reports: node.reports.clone(),
            alive: Arc::clone(&node.writers),
        })?;
        let metadata = block::orderer_metadata(&newest.block)?
            .unwrap_or_default()
            .consenter_metadata;
        let tip = Mutex::new(Tip {
            height: newest.sealed.height(),
            hash: *newest.sealed.hash(),
        });
        let support = Self {
            channel,
            identity: Arc::clone(&node.identity),
            view: Arc::new(view),
            writer,
            tip,
        };
        Ok((Arc::new(support), ConsenterMetadata(metadata)))
    }

    /// What of it is only read.
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// The checks in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.view.rules()
    }

    /// Reads its blocks.
    pub fn reader(&self) -> &BlockReader {
        self.view.reader()
    }

    /// Computes a CONFIG envelope anew, against the config in force, from the update that it was made from.
    fn propose_again(&self, envelope: &Envelope, members: &Members) -> Result<Envelope, ProcessError> {
        let (update, now) = (config_update::last_update(envelope)?, SystemTime::now());
        match processor::process(update, |_| Some(self.rules()), now)? {
            Verdict::Ready(_) => Err(ProcessError::NoLastUpdate),
            Verdict::Update(update) => {
                let checked = update.propose(&Proposer {
                    identity: &self.identity,
                    nonce: rand::random(),
                    members,
                    now,
                })?;
                Ok(checked.envelope)
            }
        }
    }

    fn write(
        &self,
        block: Block,
        metadata: ConsenterMetadata,
        is_config: bool,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        match self.advance(&block) {
            Ok(()) => self.writer.write(block, metadata, is_config),
            Err(error) => async { Err(error) }.boxed(),
        }
    }

    /// Makes `block` the tip, if it follows.
    fn advance(&self, block: &Block) -> Result<(), WriteError> {
        let mut tip = self.tip.lock();
        let number = tip.height.next_number();
        let Some(header) = &block.header else {
            let reason = "block has no header".to_owned();
            return Err(WriteError { number, reason });
        };
        if header.number != number.0 || header.previous_hash[..] != tip.hash {
            let reason = format!(
                "block {} does not follow the tip of height {}",
                header.number, tip.height
            );
            return Err(WriteError { number, reason });
        }
        *tip = Tip {
            height: Height::of_tip(number),
            hash: block::header_hash(header),
        };
        Ok(())
    }
}

impl Revalidate for ChainSupport {
    fn config_seq(&self) -> ConfigSeq {
        self.rules().bundle().sequence()
    }

    /// The signature is not verified again: it was when the envelope was taken in, and no config changes what it
    /// says. So a full mailbox costs a few milliseconds after a config block, and not a second.
    fn revalidate_normal(&self, envelope: &Envelope) -> Result<(), RevalidateError> {
        let checked = processor::open(envelope.entry().clone())
            .and_then(|opened| self.rules().prepare(opened, SystemTime::now()));
        checked.map(drop).map_err(|error| RevalidateError {
            reason: error.to_string(),
        })
    }

    fn revalidate_config(&self, envelope: &Envelope, members: &Members) -> Result<Envelope, RevalidateError> {
        self.propose_again(envelope, members)
            .map_err(|error| RevalidateError {
                reason: error.to_string(),
            })
    }
}

impl ConsenterSupport for ChainSupport {
    fn channel_id(&self) -> &ChannelId {
        &self.channel
    }

    fn height(&self) -> Height {
        self.tip.lock().height
    }

    fn batch_config(&self) -> BatchConfig {
        self.rules().batch()
    }

    fn consensus_metadata(&self) -> Bytes {
        self.rules().bundle().orderer().consensus_type.metadata.clone()
    }

    fn block(&self, number: BlockNumber) -> Result<Option<Block>, String> {
        let read = self.reader().get(number).map_err(|error| error.to_string())?;
        let decoded = read.map(|sealed| sealed.decode()).transpose();
        decoded.map_err(|error| error.to_string())
    }

    fn own_place(&self, _consenters: &[Consenter]) -> Option<usize> {
        None // no consenter type of this build has members
    }

    fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(Alone)
    }

    fn block_source(&self) -> Arc<dyn BlockSource> {
        Arc::new(NoSource)
    }

    fn create_next_block(&self, batch: Vec<Envelope>) -> Block {
        let tip = *self.tip.lock();
        let entries = batch.into_iter().map(Envelope::into_entry).collect();
        block::next(tip.height.next_number(), &tip.hash, entries)
    }

    fn write_block(
        &self,
        block: Block,
        metadata: ConsenterMetadata,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        self.write(block, metadata, false)
    }

    fn write_config_block(
        &self,
        block: Block,
        metadata: ConsenterMetadata,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        self.write(block, metadata, true)
    }
}
