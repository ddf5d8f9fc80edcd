//! Blocks of other orderers, for a chain that lacks some.

use futures::future::BoxFuture;
use protos::block::Hash;
use protos::wire::common::Block;
use protos::wire::etcdraft::Consenter;
use protos::{BlockNumber, Height};

/// One channel's blocks at the other orderers, which need not be honest: what comes out is verified.
pub trait BlockSource: Send + Sync {
    /// What the other orderers say their heights are, as far as they answer within the node's pull timeout. `consenters`
    /// are asked over their own addresses, and all besides over those that the config gives to clients.
    fn heights(&self, consenters: Vec<Consenter>) -> BoxFuture<'static, Heights>;

    /// Hashes of the headers of all blocks 1 that other orderers show, each verified under the genesis block's config,
    /// which is the one in force.
    fn first_blocks(&self) -> BoxFuture<'static, Vec<Hash>>;

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

/// What other orderers say their heights are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heights {
    /// Over the addresses for clients: one for each orderer that answered. Which of the consenters it is, is not known.
    pub endpoints: Vec<Height>,
    /// Of the consenters that were asked, in that order: none where there was no answer, 0 where it has no such channel.
    pub consenters: Vec<Option<Height>>,
}

impl Heights {
    /// All that was told.
    pub fn told(&self) -> impl Iterator<Item = Height> {
        let consenters = self.consenters.iter().flatten();
        self.endpoints.iter().chain(consenters).copied()
    }
}

/// The source of a channel without other orderers.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSource;

impl BlockSource for NoSource {
    fn heights(&self, consenters: Vec<Consenter>) -> BoxFuture<'static, Heights> {
        let heights = Heights {
            endpoints: Vec::new(),
            consenters: vec![None; consenters.len()],
        };
        Box::pin(std::future::ready(heights))
    }

    fn first_blocks(&self) -> BoxFuture<'static, Vec<Hash>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn catch_up(&self, _through: BlockNumber) -> BoxFuture<'static, Result<(), crate::WriteError>> {
        Box::pin(std::future::pending())
    }

    fn newest_config(&self) -> BoxFuture<'static, Option<Block>> {
        Box::pin(std::future::ready(None))
    }
}
