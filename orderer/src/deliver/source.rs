//! What deliver streams read from.

use std::sync::Arc;

use futures::future::BoxFuture;
use ledger::ReadError;
use protos::wire::common::Status as WireStatus;
use protos::{BlockNumber, Height, SealedBlock};
use tokio::sync::watch;

use crate::processor::Rules;

/// The channels that can be read.
pub trait Channels: Send + Sync {
    /// Finds a channel by its name, or says with which status the request ends.
    fn find(&self, channel: &str) -> Result<Arc<dyn Source>, WireStatus>;
}

/// One channel that can be read.
pub trait Source: Send + Sync {
    /// The rules in force.
    fn rules(&self) -> Arc<Rules>;

    /// The durable height, as it grows.
    fn heights(&self) -> watch::Receiver<Height>;

    /// True while fresh blocks cannot be promised.
    fn errored(&self) -> watch::Receiver<bool>;

    /// Reads blocks from `first` on, at least one and as many as suit, all of them before `end`.
    ///
    /// Does not hold up the calling thread.
    fn read(
        &self,
        first: BlockNumber,
        end: BlockNumber,
    ) -> BoxFuture<'static, Result<Vec<SealedBlock>, ReadError>>;
}
