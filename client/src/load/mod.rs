//! Load: envelopes signed beforehand, sent on several streams, and each acknowledged one looked for in the
//! blocks.
//!
//! ```text
//! prepare (all cores) ──> streams ──broadcast──> node ──deliver──> follower ──> report
//!                           └── sent, acknowledged ──> ledger <── delivered ──┘
//! ```
//!
//! It shares the machine with the node it measures, so it does as little as it can per envelope: everything is
//! signed and serialized before the clock starts, answers are compared with three bytes, and a block is only
//! split into its entries.

mod follow;
mod prepare;
mod report;
mod send;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use crate::broadcast::Acknowledge;
use crate::connection::{ConnectError, Target};
use crate::deliver::DeliverError;
use crate::envelope::EnvelopeSigner;
use crate::verify::ChainVerifier;

pub use report::{Latency, LoadReport};
pub use tally::Progress;

/// What to send, and how.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    /// Orderers. Streams are dealt out to them in turn; the first one is followed.
    pub targets: Vec<Target>,
    /// Who signs, and for which channel.
    pub signer: EnvelopeSigner,
    /// How many envelopes.
    pub envelopes: usize,
    /// Bytes of data in each, random.
    pub payload_bytes: usize,
    /// How many broadcast streams, each on a connection of its own.
    pub streams: usize,
    /// How many envelopes of one stream may be unanswered.
    pub in_flight_max: usize,
    /// What SUCCESS shall mean; none leaves it to the node.
    pub acknowledge: Option<Acknowledge>,
    /// Envelopes per second over all streams; none sends as fast as answers allow.
    pub rate: Option<u32>,
    /// How long to wait for another block while acknowledged envelopes are missing.
    pub patience: Duration,
}

/// Why a run could not even start, or could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Nothing to do.
    #[error("a run needs at least one envelope, one stream and one orderer")]
    Empty,
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// Blocks cannot be followed.
    #[error("cannot follow the channel: {0}")]
    Deliver(#[from] DeliverError),
}

/// Runs a load from beginning to end. `progress` counts along, for whoever wants to show it.
///
/// Refusals and broken streams do not end the run; they are in the report.
pub async fn run(spec: &LoadSpec, progress: &Arc<Progress>) -> Result<LoadReport, LoadError> {
    run_from(spec, progress, None).await
}

/// As [`run`], and every block from `verifier.next()` on is verified before it counts. The first one that does
/// not verify is a failure in the report.
pub async fn run_verified(
    spec: &LoadSpec,
    progress: &Arc<Progress>,
    verifier: ChainVerifier,
) -> Result<LoadReport, LoadError> {
    run_from(spec, progress, Some(verifier)).await
}

async fn run_from(
    spec: &LoadSpec,
    progress: &Arc<Progress>,
    verifier: Option<ChainVerifier>,
) -> Result<LoadReport, LoadError> {
    if spec.envelopes == 0 || spec.streams == 0 || spec.targets.is_empty() {
        return Err(LoadError::Empty);
    }
    let (envelopes, signing_time) = prepare::envelopes(spec, progress);
    let tally = Arc::new(tally::Tally::new(envelopes, progress.clone()));
    let follower = follow::Follower::start(spec, tally.clone(), verifier).await?;
    let connections = send::connect(spec).await?;
    tally.start_clock();
    let failures = send::all(spec, &tally, connections).await;
    let outcome = follower.finish(spec.patience).await;
    Ok(report::judge(spec, &tally, signing_time, failures, outcome))
}

#[cfg(test)]
mod tests;
