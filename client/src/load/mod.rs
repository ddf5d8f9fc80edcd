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
//! | `send`, `leg` | the broadcast streams: closed loop, or each envelope at its own moment; going on at another orderer |
//! | `follow`, `source` | the deliver streams; one orderer, or whichever answers |
//! | `tally` | what became of each envelope |
//! | `count` | how often one ledger holds each, for whoever reads the ledgers of several nodes |
//! | `report` | the verdict and the numbers |
//! | `read` | a measure of its own: reading a chain that is there |
//! | `progress` | how far it is, and ending it early |
//!
//! It shares the machine with the node it measures, so it does as little as it can per envelope: everything is
//! signed and serialized before the clock starts, answers are compared with three bytes, and a block is only
//! split into its entries.

mod count;
mod follow;
mod leg;
mod prepare;
mod progress;
mod read;
mod report;
mod send;
mod source;
mod spec;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use protos::BlockNumber;

use crate::connection::ConnectError;
use crate::deliver::DeliverError;
use crate::verify::ChainVerifier;

pub use count::{Account, Count, Counted};
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
    /// Following did not come as far as it should.
    #[error("block {tip} did not come")]
    NotReached {
        /// The block that was due.
        tip: BlockNumber,
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
    let mut load = Load::prepare(spec, progress, None).await?;
    load.send().await;
    Ok(load.finish().await.0)
}

/// A load in its steps: [`prepare`](Self::prepare), [`send`](Self::send), perhaps
/// [`send_again`](Self::send_again), [`finish`](Self::finish).
pub struct Load {
    spec: LoadSpec,
    tally: Arc<tally::Tally>,
    followers: follow::Followers,
    /// For the first pass.
    lines: Vec<send::Line>,
    signing_time: Duration,
    outcome: send::Outcome,
    resent: u64,
}

impl Load {
    /// Connects, signs, and begins to follow the channels. With a `verifier` every block of the first channel from
    /// `verifier.next()` on is verified before it counts; the first one that does not verify is a failure in the
    /// report.
    ///
    /// Connects before it signs, so that a wrong address or a missing channel shows at once.
    pub async fn prepare(
        spec: &LoadSpec,
        progress: &Arc<Progress>,
        verifier: Option<ChainVerifier>,
    ) -> Result<Self, LoadError> {
        spec.check()?;
        let connect =
            async { Ok::<_, LoadError>((follow::places(spec, verifier).await?, send::connect(spec).await?)) };
        let (places, lines) = tokio::select! {
            biased;
            () = progress.stopped() => return Err(LoadError::Interrupted),
            connected = connect => connected?,
        };
        let (envelopes, signing_time) = prepare::envelopes(spec, progress).await?;
        let channels = spec.channel_of_signers();
        let tally = Arc::new(tally::Tally::new(envelopes, channels, progress.clone()));
        let followers = follow::Followers::start(places, &tally, spec.patience);
        Ok(Self {
            spec: spec.clone(),
            tally,
            followers,
            lines,
            signing_time,
            outcome: send::Outcome::default(),
            resent: 0,
        })
    }

    /// Starts the clock, sends every envelope and waits for the answers.
    pub async fn send(&mut self) {
        self.tally.start_clock();
        let lines = std::mem::take(&mut self.lines);
        self.pass(None, lines).await;
    }

    /// Sends once more what was refused, and what was lost with the orderer at `target`: unanswered when it ended, and
    /// in no block up to `tip`. Returns how many that were.
    ///
    /// The caller vouches that nothing of that orderer is on its way any more: it was killed, the others have
    /// agreed on blocks since, up to `tip` at least. Else an envelope may be ordered twice. What went unanswered at
    /// other orderers is not sent again.
    pub async fn send_again(&mut self, target: usize, tip: BlockNumber) -> Result<u64, LoadError> {
        if !self.followers.reach(tip, self.spec.patience).await {
            return Err(LoadError::NotReached { tip });
        }
        let losses = &self.outcome.losses;
        let lost = losses.iter().filter(|loss| loss.target == target);
        let lost = lost.flat_map(|loss| loss.unanswered.iter());
        let refused = losses.iter().filter_map(|loss| loss.refused.as_ref());
        let again = lost.chain(refused).copied();
        let mut again: Vec<_> = again.filter(|index| !self.tally.is_delivered(*index)).collect();
        again.sort_unstable();
        let count = again.len() as u64;
        if count > 0 {
            let lines = send::connect(&self.spec).await?;
            self.pass(Some(again.into()), lines).await;
        }
        self.resent += count;
        Ok(count)
    }

    async fn pass(&mut self, selection: send::Selection, lines: Vec<send::Line>) {
        let outcome = send::all(&self.spec, &self.tally, &selection, lines).await;
        self.outcome.failures.extend(outcome.failures);
        self.outcome.losses.extend(outcome.losses);
    }

    /// Reads the channels to their ends and judges; the account is for counting in other ledgers.
    pub async fn finish(self) -> (LoadReport, Account) {
        let followed = self.followers.finish(self.spec.patience).await;
        let run = report::Run {
            signing_time: self.signing_time,
            outcome: self.outcome,
            resent: self.resent,
            followed,
        };
        let report = report::judge(&self.spec, &self.tally, run);
        (report, Account::new(self.tally))
    }
}

#[cfg(test)]
mod tests;
