//! What a channel lends to its chain: the rules in force, the next block, the ledger.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use configtx::Bundle;
use configtx::identity::SigningIdentity;
use consensus::meter::ChainMeter;
use consensus::{
    BatchConfig, BlockSource, Consenter, ConsenterMetadata, ConsenterSupport, Members, Revalidate,
    RevalidateError, Table, Transport, WriteError,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ledger::{BlockReader, BlockStore};
use parking_lot::Mutex;
use protos::block::{self, Hash};
use protos::wire::common::Block;
use protos::wire::etcdraft;
use protos::{BlockNumber, ChannelId, ConfigSeq, Envelope, Height, SealedBlock};
use tokio::sync::watch;

use super::block_writer::{BlockWriter, Writing, WritingParts};
use super::disk_space::DiskSpace;
use super::others::{NoOthers, Others};
use super::refused::{RefusedConfig, Reports};
use super::view::{Newest, View};
use super::writer_pool::WriterPool;
use crate::catchup::{Appender, Tip};
use crate::metrics::{ChannelMetrics, Metrics};
use crate::processor::{self, ProcessError, Proposer, Rules, Verdict, config_update};
use crate::telemetry::Telemetry;

/// One channel's config in force, processor, block writer and ledger.
pub struct ChainSupport {
    channel: ChannelId,
    /// In whose name configs are made.
    identity: Arc<SigningIdentity>,
    others: Arc<dyn Others>,
    ledger: Arc<WrittenLedger>,
    metrics: Arc<ChannelMetrics>,
}

/// What blocks go through, of this node or of others.
#[derive(Debug)]
pub struct WrittenLedger {
    channel: ChannelId,
    view: Arc<View>,
    writer: BlockWriter,
    /// The last block taken for writing, durable or not.
    tip: Mutex<Tip>,
    telemetry: Option<Telemetry>,
}

/// What all channels of a node have in common.
#[derive(Clone)]
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
    /// The threads that write.
    pub pool: WriterPool,
    /// The consenter types that this node runs.
    pub consenters: Arc<Table<dyn Consenter>>,
    /// The other orderers.
    pub others: Arc<dyn Others>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who follows some envelopes, if anybody does.
    pub telemetry: Option<Telemetry>,
}

impl NodeParts {
    /// A node that knows no others and runs `consenters`.
    pub fn alone(identity: Arc<SigningIdentity>, reports: Reports, consenters: Table<dyn Consenter>) -> Self {
        Self {
            identity,
            no_expiration_checks: false,
            space: DiskSpace::default(),
            reports,
            configs: watch::Sender::new(0),
            writers: Arc::default(),
            pool: WriterPool::default(),
            consenters: Arc::new(consenters),
            others: Arc::new(NoOthers::default()),
            metrics: Arc::default(),
            telemetry: None,
        }
    }

    fn writing(&self, metrics: Arc<ChannelMetrics>) -> WritingParts {
        WritingParts {
            metrics,
            identity: Arc::clone(&self.identity),
            no_expiration_checks: self.no_expiration_checks,
            space: self.space.clone(),
            reports: self.reports.clone(),
            alive: Arc::clone(&self.writers),
            configs: self.configs.clone(),
        }
    }
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
}

impl std::fmt::Debug for ChainSupport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChainSupport")
            .field("ledger", &self.ledger)
            .finish_non_exhaustive()
    }
}

impl ChainSupport {
    /// Goes on with the channel in `store`. While that has no block, what may be done is what `join` says, the config
    /// of the block that the channel is joined with.
    pub fn open(
        channel: ChannelId,
        store: BlockStore,
        join: Option<Arc<Bundle>>,
        node: &NodeParts,
    ) -> Result<Arc<Self>, SupportError> {
        let empty_under = join.filter(|_| store.height() == Height::EMPTY);
        let (view, tip, in_force) = if let Some(bundle) = empty_under {
            (View::under(bundle, store.reader(), node)?, Tip::EMPTY, None)
        } else {
            let (view, newest) = View::open(&channel, store.reader(), node)?;
            let in_force = (newest.last_config, view.rules());
            (view, Tip::of(&newest.sealed), Some(in_force))
        };
        let rules = Arc::clone(view.rules_in_force());
        let metrics = node.metrics.open_channel(&channel);
        let parts = node.writing(Arc::clone(&metrics));
        let writing = Writing::new(channel.clone(), store, in_force, rules, parts);
        let ledger = WrittenLedger {
            channel: channel.clone(),
            view: Arc::new(view),
            writer: BlockWriter::new(writing, node.pool.clone()),
            tip: Mutex::new(tip),
            telemetry: node.telemetry.clone(),
        };
        Ok(Arc::new(Self {
            channel,
            identity: Arc::clone(&node.identity),
            others: Arc::clone(&node.others),
            ledger: Arc::new(ledger),
            metrics,
        }))
    }

    /// What the newest block carries for its consenter.
    pub fn consenter_metadata(&self) -> Result<ConsenterMetadata, SupportError> {
        let newest = Newest::read(self.reader())?;
        let metadata = block::orderer_metadata(&newest.block)?.unwrap_or_default();
        Ok(ConsenterMetadata(metadata.consenter_metadata))
    }

    /// Where blocks of others go.
    pub fn appender(&self) -> Arc<dyn Appender> {
        Arc::clone(&self.ledger) as _
    }

    /// What of it is only read.
    pub fn view(&self) -> &Arc<View> {
        &self.ledger.view
    }

    /// The checks in force.
    pub fn rules(&self) -> Arc<Rules> {
        self.view().rules()
    }

    /// Reads its blocks.
    pub fn reader(&self) -> &BlockReader {
        self.view().reader()
    }

    /// Waits for the disk no longer: whatever is not durable fails.
    pub fn abandon(&self) {
        self.ledger.writer.abandon();
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
}

impl WrittenLedger {
    fn write(
        &self,
        block: Block,
        metadata: ConsenterMetadata,
        is_config: bool,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        let number = BlockNumber(block.header.as_ref().map_or(0, |header| header.number));
        let taken = if let Some(header) = &block.header {
            let (number, previous) = (BlockNumber(header.number), &header.previous_hash);
            self.advance(number, previous, || block::header_hash(header))
        } else {
            let (number, reason) = (self.tip.lock().next(), "block has no header".to_owned());
            Err(WriteError { number, reason })
        };
        match taken {
            Ok(()) => self.follow(number, self.writer.write(block, metadata, is_config)),
            Err(error) => async { Err(error) }.boxed(),
        }
    }

    /// Tells whoever follows envelopes when a block is written.
    fn follow(
        &self,
        number: BlockNumber,
        written: BoxFuture<'static, Result<(), WriteError>>,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        let Some(telemetry) = self.telemetry.clone() else {
            return written;
        };
        let (channel, since) = (self.channel.clone(), SystemTime::now());
        let told = async move {
            let outcome = written.await;
            if outcome.is_ok() {
                telemetry.written(&channel, number, since);
            }
            outcome
        };
        told.boxed()
    }

    /// Makes the block of this number the tip, if it follows.
    fn advance(
        &self,
        found: BlockNumber,
        previous: &[u8],
        hash: impl FnOnce() -> Hash,
    ) -> Result<(), WriteError> {
        let mut tip = self.tip.lock();
        let number = tip.next();
        // Before a genesis block there is nothing to link to.
        let links = previous == tip.hash || tip.height == Height::EMPTY;
        if found != number || !links {
            let reason = format!("block {found} does not follow the tip of height {}", tip.height);
            return Err(WriteError { number, reason });
        }
        *tip = Tip {
            height: Height::of_tip(number),
            hash: hash(),
        };
        Ok(())
    }
}

impl Appender for WrittenLedger {
    fn channel(&self) -> &ChannelId {
        &self.channel
    }

    fn tip(&self) -> Tip {
        *self.tip.lock()
    }

    fn bundle(&self) -> Option<Arc<Bundle>> {
        let has_blocks = self.view.reader().height() > Height::EMPTY;
        has_blocks.then(|| Arc::clone(self.view.rules().bundle()))
    }

    fn append(
        &self,
        block: SealedBlock,
        config: Option<Arc<Bundle>>,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        match self.advance(block.number(), block.previous_hash(), || *block.hash()) {
            Ok(()) => self.writer.append(block, config),
            Err(error) => async { Err(error) }.boxed(),
        }
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
        self.ledger.tip.lock().height
    }

    fn batch_config(&self) -> BatchConfig {
        self.rules().batch()
    }

    fn consensus_type(&self) -> String {
        self.rules().bundle().orderer().consensus_type.kind.clone()
    }

    fn consensus_metadata(&self) -> Bytes {
        self.rules().bundle().orderer().consensus_type.metadata.clone()
    }

    fn block(&self, number: BlockNumber) -> Result<Option<Block>, String> {
        let read = self.reader().get(number).map_err(|error| error.to_string())?;
        let decoded = read.map(|sealed| sealed.decode()).transpose();
        decoded.map_err(|error| error.to_string())
    }

    fn own_place(&self, consenters: &[etcdraft::Consenter]) -> Option<usize> {
        self.others.own_place(consenters).ok().flatten()
    }

    fn transport(&self) -> Arc<dyn Transport> {
        self.others.transport(&self.channel)
    }

    fn block_source(&self) -> Arc<dyn BlockSource> {
        self.others.block_source(self.appender())
    }

    fn meter(&self) -> Arc<dyn ChainMeter> {
        Arc::clone(&self.metrics) as _
    }

    fn create_next_block(&self, batch: Vec<Envelope>) -> Block {
        let tip = *self.ledger.tip.lock();
        let entries = batch.into_iter().map(Envelope::into_entry).collect();
        block::next(tip.next(), &tip.hash, entries)
    }

    fn write_block(
        &self,
        block: Block,
        metadata: ConsenterMetadata,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        self.ledger.write(block, metadata, false)
    }

    fn write_config_block(
        &self,
        block: Block,
        metadata: ConsenterMetadata,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        self.ledger.write(block, metadata, true)
    }
}
