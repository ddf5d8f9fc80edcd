//! Where verified blocks go.

use std::sync::Arc;

use configtx::Bundle;
use consensus::WriteError;
use futures::future::BoxFuture;
use protos::block::Hash;
use protos::{BlockNumber, ChannelId, Height, SealedBlock};

/// One channel's ledger and the config in force, for blocks that other orderers made.
///
/// One task at a time appends. Blocks that the channel writes itself do not come between: a chain opens no write
/// while it catches up, and a follower has no chain.
pub trait Appender: Send + Sync {
    /// The channel.
    fn channel(&self) -> &ChannelId;

    /// The end of the chain, counting blocks that were taken and are not durable yet.
    fn tip(&self) -> Tip;

    /// The config in force after the newest *durable* block; none while there is no block.
    fn bundle(&self) -> Option<Arc<Bundle>>;

    /// Appends `block` with the bytes it came with: metadata and signatures stay those of its source
    /// (`docs/spec/rules.md` §2). The block is taken *when called*; the future only reports, and is ready when the
    /// block survives a crash.
    ///
    /// It was checked to be the next one: number, link, data hash, signatures. `config` is there exactly for a
    /// config block: what it brings into force, checked against the config before it; ready means then that this
    /// config is in force, so that [`bundle`](Self::bundle) answers it.
    ///
    /// # Errors
    /// The ledger takes no more blocks. A full disk is waited out and no error.
    fn append(
        &self,
        block: SealedBlock,
        config: Option<Arc<Bundle>>,
    ) -> BoxFuture<'static, Result<(), WriteError>>;
}

/// The end of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// How many blocks there are.
    pub height: Height,
    /// Hash of the newest header; zeros while there is none.
    pub hash: Hash,
}

impl Tip {
    /// The end of a chain without a block.
    pub const EMPTY: Self = Self {
        height: Height::EMPTY,
        hash: [0; 32],
    };

    /// The end of a chain that ends with `block`.
    pub fn of(block: &SealedBlock) -> Self {
        Self {
            height: block.height(),
            hash: *block.hash(),
        }
    }

    /// The number that comes next.
    pub fn next(&self) -> BlockNumber {
        self.height.next_number()
    }
}
