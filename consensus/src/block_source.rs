//! Blocks of other orderers, for a chain that lacks some.

use futures::future::BoxFuture;
use protos::wire::common::Block;
use protos::{BlockNumber, Height};

/// One channel's blocks at the other orderers, which need not be honest: what comes out is verified.
pub trait BlockSource: Send + Sync {
    /// What each of the other orderers that answers within the node's pull timeout says its height is. The list
    /// holds one for each that answered.
    fn heights(&self) -> BoxFuture<'static, Vec<Height>>;

    /// Fetches the blocks the ledger lacks up to `through`, verifies each against the config in force before it, and
    /// appends them as they were received; ready when `through` is durable and every config among them is in force.
    /// At once if the ledger has it. Tries for ever; dropping the future stops it between two blocks.
    ///
    /// # Errors
    /// The ledger takes no more blocks. Nothing that another node does is an error.
    fn catch_up(&self, through: BlockNumber) -> BoxFuture<'static, Result<(), crate::WriteError>>;

    /// The newest config block any of the others has, verified; none while nobody answers with a good one.
    fn newest_config(&self) -> BoxFuture<'static, Option<Block>>;
}

/// The source of a channel without other orderers.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSource;

impl BlockSource for NoSource {
    fn heights(&self) -> BoxFuture<'static, Vec<Height>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn catch_up(&self, _through: BlockNumber) -> BoxFuture<'static, Result<(), crate::WriteError>> {
        Box::pin(std::future::pending())
    }

    fn newest_config(&self) -> BoxFuture<'static, Option<Block>> {
        Box::pin(std::future::ready(None))
    }
}
