//! What the orderer lends to a chain.

use std::sync::Arc;
use std::time::Duration;

use blockcutter::BatchLimits;
use bytes::Bytes;
use futures::future::BoxFuture;
use protos::wire::common::Block;
use protos::wire::etcdraft::Consenter;
use protos::{BlockNumber, ChannelId, ConfigSeq, Envelope, Height};

use crate::block_source::BlockSource;
use crate::consenter::{ConsenterMetadata, Members};
use crate::meter::{ChainMeter, NoMeter};
use crate::transport::Transport;

/// The part of [`ConsenterSupport`] a core may call: checks against the config in force.
pub trait Revalidate: Send + Sync {
    /// Sequence of the config in force.
    fn config_seq(&self) -> ConfigSeq;

    /// Runs the filters on a normal envelope again.
    fn revalidate_normal(&self, envelope: &Envelope) -> Result<(), RevalidateError>;

    /// Computes a config envelope anew from the update inside it. `members` are those of the chain that asks.
    fn revalidate_config(&self, envelope: &Envelope, members: &Members) -> Result<Envelope, RevalidateError>;
}

/// Why an envelope that was valid once is not any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct RevalidateError {
    /// What the checks said.
    pub reason: String,
}

/// How the config in force wants batches cut.
///
/// All a chain needs of the orderer config, so that cores and their tests need no config tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchConfig {
    /// Count and bytes.
    pub limits: BatchLimits,
    /// How long the first envelope of a batch waits for others.
    pub timeout: Duration,
}

/// What the orderer lends to a channel's chain. The driver calls it; the core sees only [`Revalidate`].
///
/// # Writing
/// The three block methods are called by one task, in order of block numbers. `write_block` and
/// `write_config_block` take the block *when called*; the future only reports, may be polled late or dropped,
/// and is ready when the block survives a crash. A chain has many of them open at once, so that one sync can
/// cover many blocks; what becomes durable does so in order.
///
/// A full disk is the support's to wait out: the future just takes longer, and the chain's bounded number of open
/// blocks pauses its intake. Any error is final: after it the chain writes nothing more.
pub trait ConsenterSupport: Revalidate {
    /// The channel.
    fn channel_id(&self) -> &ChannelId;

    /// Blocks taken so far by the two write methods, durable or not, above those the ledger had on opening.
    fn height(&self) -> Height;

    /// Batch limits and timeout of the config in force.
    fn batch_config(&self) -> BatchConfig;

    /// The consensus type of the config in force.
    fn consensus_type(&self) -> String;

    /// The consenter's part of the config in force: `etcdraft.ConfigMetadata` on an etcdraft channel.
    fn consensus_metadata(&self) -> Bytes;

    /// A durable block; none above the tip.
    ///
    /// # Errors
    /// In words.
    fn block(&self, number: BlockNumber) -> Result<Option<Block>, String>;

    /// Which of `consenters` this node is, if it is one: the one whose server certificate has the public key of this
    /// node's cluster listener. Dates do not matter (`docs/spec/rules.md` §12).
    fn own_place(&self, consenters: &[Consenter]) -> Option<usize>;

    /// Where messages to other consenters go.
    fn transport(&self) -> Arc<dyn Transport>;

    /// Blocks of other orderers. Blocks that it appends count as taken by the write methods: the chain opens no write
    /// while it catches up.
    fn block_source(&self) -> Arc<dyn BlockSource>;

    /// Takes what the chain tells about its work.
    fn meter(&self) -> Arc<dyn ChainMeter> {
        Arc::new(NoMeter)
    }

    /// Makes the block that follows the last one *taken* by a write method, which need not be durable yet: number,
    /// previous hash, data hash. The chain hands it to a write method before it asks for another.
    fn create_next_block(&self, batch: Vec<Envelope>) -> Block;

    /// Adds metadata and signature to a block of normal envelopes and appends it.
    fn write_block(
        &self,
        block: Block,
        metadata: ConsenterMetadata,
    ) -> BoxFuture<'static, Result<(), WriteError>>;

    /// The same for a block of one config envelope. Ready when that config is in force as well: what
    /// [`Revalidate`] and [`batch_config`](Self::batch_config) say is by the new one then.
    fn write_config_block(
        &self,
        block: Block,
        metadata: ConsenterMetadata,
    ) -> BoxFuture<'static, Result<(), WriteError>>;
}

/// Why a block was not written. Whether it is in the ledger is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {} is not written: {reason}", number.0)]
pub struct WriteError {
    /// The block.
    pub number: BlockNumber,
    /// What went wrong.
    pub reason: String,
}
