//! Load: envelopes signed beforehand, sent on several streams, and each acknowledged one looked for in the
//! blocks of its channel.
//!
//! ```text
//! prepare (all cores) ──> streams ──broadcast──> node ──deliver──> followers, one a channel ──> report
//!                           └── sent, acknowledged ──> tally <── delivered ──┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `spec` | what to send and how; how much memory that takes |
//! | `prepare` | signing |
//! | `send` | the broadcast streams: closed loop, or each envelope at its own moment |
//! | `follow` | the deliver streams |
//! | `tally` | what became of each envelope |
//! | `report` | the verdict and the numbers |
//! | `read` | a measure of its own: reading a chain that is there |
//! | `progress` | how far it is, and ending it early |
//!
//! It shares the machine with the node it measures, so it does as little as it can per envelope: everything is
//! signed and serialized before the clock starts, answers are compared with three bytes, and a block is only
//! split into its entries.

mod follow;
mod prepare;
mod progress;
mod read;
mod report;
mod send;
mod spec;
mod tally;

use std::sync::Arc;

use crate::connection::ConnectError;
use crate::deliver::DeliverError;
use crate::verify::ChainVerifier;

pub use progress::Progress;
pub use read::{Chain, ReadError, ReadReport, ReadSpec};
pub use report::{Latency, LoadReport};
pub use spec::{LoadSpec, MEMORY_BYTES_MAX};

/// Why a run could not even start, or could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing to do.
    #[error("a run needs at least one envelope, one stream, one identity and one orderer")]
    Empty,
    /// More than memory should hold.
    #[error(
        "{envelopes} envelopes are signed beforehand and would take {} MiB of memory; {} MiB are allowed",
        bytes.div_ceil(1 << 20),
        bytes_max >> 20
    )]
    TooLarge {
        /// How many were asked for.
        envelopes: usize,
        /// What they would take.
        bytes: u64,
        /// What they may take.
        bytes_max: u64,
    },
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Blocks cannot be followed.
    #[error("cannot follow channel {channel}: {source}")]
    Deliver {
        /// Which channel.
        channel: String,
        /// Why.
        source: DeliverError,
    },
    /// Ended before anything could be sent.
    #[error("interrupted before anything was sent")]
    Interrupted,
    /// A bug of ours.
    #[error("signing crashed: {0}")]
    Signing(#[from] tokio::task::JoinError),
}

/// Runs a load from beginning to end. `progress` counts along, for whoever wants to show it or end it early.
///
/// Refusals and broken streams do not end the run; they are in the report.
pub async fn run(spec: &LoadSpec, progress: &Arc<Progress>) -> Result<LoadReport, LoadError> {
    run_from(spec, progress, None).await
}

/// As [`run`], and every block of the first channel from `verifier.next()` on is verified before it counts. The
/// first one that does not verify is a failure in the report.
pub async fn run_verified(
    spec: &LoadSpec,
    progress: &Arc<Progress>,
    verifier: ChainVerifier,
) -> Result<LoadReport, LoadError> {
    run_from(spec, progress, Some(verifier)).await
}

/// Connects before it signs, so that a wrong address or a missing channel shows at once.
async fn run_from(
    spec: &LoadSpec,
    progress: &Arc<Progress>,
    verifier: Option<ChainVerifier>,
) -> Result<LoadReport, LoadError> {
    spec.check()?;
    let connect =
        async { Ok::<_, LoadError>((follow::places(spec, verifier).await?, send::connect(spec).await?)) };
    let (places, connections) = tokio::select! {
        biased;
        () = progress.stopped() => return Err(LoadError::Interrupted),
        connected = connect => connected?,
    };
    let (envelopes, signing_time) = prepare::envelopes(spec, progress).await?;
    let tally = Arc::new(tally::Tally::new(
        envelopes,
        spec.channel_of_signers(),
        progress.clone(),
    ));
    let followers = follow::Followers::start(places, &tally);
    tally.start_clock();
    let failures = send::all(spec, &tally, connections).await;
    let followed = followers.finish(spec.patience).await;
    Ok(report::judge(spec, &tally, signing_time, failures, followed))
}

#[cfg(test)]
mod tests;
