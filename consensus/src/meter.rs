//! What chains tell about their work, for whoever measures it.
//!
//! The driver of a chain tells it, once for each block, call or write and never for each envelope. What is told here is
//! told nowhere else; how a chain *stands* is its [`ChainStatus`](crate::ChainStatus) and [`ChainLoad`].

use std::time::Duration;

use protos::BlockNumber;

/// Takes what a chain tells. Must be quick, and does nothing by default.
pub trait ChainMeter: Send + Sync {
    /// So many submissions of this node's clients were taken up by a raft chain.
    fn proposed(&self, _normal: u64, _config: u64) {}

    /// A block of normal envelopes was cut, so long after the first of them came to the cutter.
    fn block_filled(&self, _within: Duration) {}

    /// A block was cut, so long after the oldest of this node's own envelopes in it was offered to the chain.
    fn block_cut(&self, _waited: Duration) {}

    /// A block is agreed on, so long after it was handed to this node's log.
    fn block_committed(&self, _after: Duration) {}

    /// So many submissions of one call are durable, so long after they were offered to the chain.
    fn finished(&self, _after: Duration, _count: u64) {}

    /// The consenter's log has made something durable that was handed to it so long before.
    fn log_written(&self, _within: Duration) {}

    /// Another member leads, or nobody does any more.
    fn leader_changed(&self) {}

    /// The newest checkpoint of the consenter's log is at this block.
    fn checkpoint(&self, _block: BlockNumber) {}
}

/// Measures nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMeter;

impl ChainMeter for NoMeter {}

/// What waits in a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChainLoad {
    /// Bytes offered and not taken up yet, with what each envelope counts on top.
    pub mailbox_bytes: u64,
    /// Envelopes of this node that it has not seen in a block.
    pub pending: u64,
    /// Their bytes.
    pub pending_bytes: u64,
    /// Blocks that are known to be agreed on and are not durable here.
    pub behind: u64,
}
