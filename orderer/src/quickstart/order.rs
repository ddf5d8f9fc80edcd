//! The load: envelopes are ordered, the leader may fall meanwhile, and in the end each is looked for in every ledger.

use std::sync::Arc;
use std::time::Duration;

use client::broadcast::Acknowledge;
use client::load::{Account, Counted, Load, LoadReport, LoadSpec, Progress};
use client::verify::ChainVerifier;
use protos::BlockNumber;
use tokio::time::sleep;

use super::channel::{Channel, common_height};
use super::drill::{Drill, DrillError, Fall};
use super::error::QuickstartError;
use super::layout::BATCH_TIMEOUT;
use super::members::Watcher;

/// Bytes of data in each envelope.
const PAYLOAD_BYTES: usize = 1024;
/// Broadcast streams, each on a connection of its own; with more nodes one for each.
const STREAMS_MIN: usize = 2;
/// Unanswered envelopes of all streams together. An answer comes with the durable block, so this keeps a little more
/// than two blocks of 500 in the making: with less the nodes wait for us, with more envelopes wait in line.
const IN_FLIGHT_MAX: usize = 1200;
/// How long to wait for another block while acknowledged envelopes are missing.
const PATIENCE: Duration = Duration::from_secs(30);
/// What was on its way to a block is in one after this, as incomplete blocks are cut by then.
const SETTLE_TIME: Duration = BATCH_TIMEOUT.saturating_mul(3);

/// What came of a load.
pub(super) struct Ordered {
    /// What was sent, acknowledged and delivered.
    pub report: LoadReport,
    /// With several nodes, what each of their ledgers holds.
    pub ledgers: Option<Counted>,
    /// How the leader fell, if it had to.
    pub fall: Option<Fall>,
    /// From the fall until all nodes had the same blocks.
    pub healed_after: Option<Duration>,
}

/// A load to be.
pub(super) struct Order<'a> {
    /// The channel.
    pub channel: &'a Channel,
    /// How many envelopes.
    pub count: u32,
    /// How the nodes stand, where there are several.
    pub watcher: Option<&'a Watcher>,
    /// What happens to the leader, if anything shall.
    pub drill: Option<Drill<'a>>,
}

impl Order<'_> {
    /// Orders the envelopes and looks for each of them, in blocks that `verifier` and the check of the ledgers find
    /// right.
    pub(super) async fn run(
        &self,
        verifier: ChainVerifier,
        progress: &Arc<Progress>,
    ) -> Result<Ordered, QuickstartError> {
        let mut load = Load::prepare(&self.spec(), progress, Some(verifier)).await?;
        // A task of its own: the load keeps its thread busy, and the nodes are watched on this one.
        let sending = tokio::spawn(async move {
            load.send().await;
            load
        });
        let fall = match &self.drill {
            Some(drill) => drill.run(progress, self.count, || sending.is_finished()).await?,
            None => None,
        };
        let mut load = sending.await.map_err(QuickstartError::Crashed)?;
        let healed_after = match (&fall, self.watcher) {
            (Some(fall), Some(watcher)) => {
                let tip = self.settled(watcher).await?;
                let healed_after = fall.killed_at.elapsed();
                load.send_again(fall.leader.node, tip).await?;
                Some(healed_after)
            }
            _ => None,
        };
        let (report, account) = load.finish().await;
        self.judge(&report, fall.as_ref())?;
        Ok(Ordered {
            ledgers: self.compare(&account).await?,
            report,
            fall,
            healed_after,
        })
    }

    fn spec(&self) -> LoadSpec {
        let streams = self.channel.targets.len().max(STREAMS_MIN);
        LoadSpec {
            envelopes: usize::try_from(self.count).unwrap_or(usize::MAX),
            payload_bytes: PAYLOAD_BYTES,
            streams,
            in_flight_max: IN_FLIGHT_MAX / streams,
            acknowledge: Some(Acknowledge::Committed),
            patience: PATIENCE,
            fail_over: self.channel.targets.len() > 1,
            ..LoadSpec::new(self.channel.targets.clone(), vec![self.channel.signer.clone()])
        }
    }

    /// Everything was acknowledged, or went unanswered where a node was lost.
    fn judge(&self, report: &LoadReport, fall: Option<&Fall>) -> Result<(), QuickstartError> {
        let may_be_unanswered = if report.losses.is_empty() {
            0
        } else {
            report.unanswered
        };
        if !report.ok || report.acknowledged + may_be_unanswered != u64::from(self.count) {
            return Err(QuickstartError::Broken(Box::new(report.clone())));
        }
        if self.drill.is_some() && fall.is_none() {
            return Err(DrillError::TooShort.into());
        }
        Ok(())
    }

    async fn compare(&self, account: &Account) -> Result<Option<Counted>, QuickstartError> {
        let Some(watcher) = self.watcher else {
            return Ok(None);
        };
        let height = common_height(self.channel, watcher).await?;
        self.channel.compare(height, account).await.map(Some)
    }

    /// The last block of all nodes, once they agree and no other follows: whatever the killed node had passed on before
    /// it died is in a block by then, or nowhere.
    async fn settled(&self, watcher: &Watcher) -> Result<BlockNumber, QuickstartError> {
        loop {
            let height = common_height(self.channel, watcher).await?;
            sleep(SETTLE_TIME).await;
            if common_height(self.channel, watcher).await? == height {
                return Ok(BlockNumber(height.saturating_sub(1)));
            }
        }
    }
}
