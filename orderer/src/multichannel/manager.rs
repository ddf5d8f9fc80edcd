//! The Manager: all channels of this node, by name.
//!
//! | module | holds |
//! |---|---|
//! | `start` | opening the data folder, and every channel in it |
//! | `joining` | joining: asked for while the node runs, and by a join file at its start |

mod joining;
mod start;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use bytes::Bytes;
use configtx::identity::Msp;
use futures::future::join_all;
use ledger::{LedgerFactory, Recovery, RemoveError as LedgerRemoveError, TornTail};
use parking_lot::Mutex as SyncMutex;
use protos::ChannelId;
use tokio::sync::{Mutex, watch};

use super::LOGGER;
use super::chain_support::NodeParts;
use super::channel::Channel;
use super::join::JoinFiles;
use crate::processor::Rules;
use crate::verify_pool::panic_text;

pub use joining::Joined;
pub use start::OpenError;
pub(crate) use start::once_unlocked;

/// Channels by name.
pub type Channels = HashMap<ChannelId, Arc<Channel>>;

/// How long whoever holds on to a removed channel's ledger may take to let go.
pub(super) const LET_GO_TIME_MAX: Duration = Duration::from_secs(10);
/// Pause between two tries.
const LET_GO_PAUSE: Duration = Duration::from_millis(10);

/// All channels of this node.
pub struct Manager {
    ledgers: Arc<LedgerFactory>,
    joins: JoinFiles,
    node: NodeParts,
    channels: ArcSwap<Channels>,
    /// One join or removal at a time.
    joining: Mutex<()>,
    /// Channels whose removal is under way.
    removing: SyncMutex<HashSet<ChannelId>>,
    /// True once nothing more is taken in.
    closed: watch::Sender<bool>,
}

impl Manager {
    /// Finds a channel.
    pub fn get(&self, channel: &str) -> Option<Arc<Channel>> {
        self.channels.load().get(channel).cloned()
    }

    /// All channels as they are now, for many look-ups in a row.
    pub fn channels(&self) -> Arc<Channels> {
        self.channels.load_full()
    }

    /// What all channels have in common.
    pub fn node(&self) -> &NodeParts {
        &self.node
    }

    /// Removes a channel's ledger and all else that is kept of it, durably.
    pub(super) fn remove_ledger(&self, channel: &ChannelId) -> Result<(), String> {
        let forget = |channel: &ChannelId| forget_rest(channel, &self.joins, &self.node);
        let began = Instant::now();
        loop {
            match self.ledgers.remove_with(channel, &forget) {
                Ok(()) => return Ok(()),
                // A channel in quarantine may have had no ledger.
                Err(LedgerRemoveError::Unknown { .. }) => return forget(channel),
                Err(LedgerRemoveError::StillOpen { .. }) if began.elapsed() < LET_GO_TIME_MAX => {
                    std::thread::sleep(LET_GO_PAUSE);
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Channels whose removal is under way.
    pub(super) fn removing(&self) -> &SyncMutex<HashSet<ChannelId>> {
        &self.removing
    }

    /// True while a removal of `channel` is under way.
    pub fn is_being_removed(&self, channel: &ChannelId) -> bool {
        self.removing.lock().contains(channel)
    }

    /// Held while a channel is joined or removed.
    pub(super) fn joining(&self) -> &Mutex<()> {
        &self.joining
    }

    /// Takes a channel out of the table.
    pub(super) fn forget(&self, channel: &ChannelId) {
        self.channels.rcu(|channels| {
            let mut channels = Channels::clone(channels);
            channels.remove(channel);
            channels
        });
        self.node.metrics.forget_channel(channel);
        self.node.configs.send_modify(|count| *count += 1);
    }

    /// Puts a channel into the table.
    pub(super) fn keep(&self, channel: &Arc<Channel>) {
        self.keep_all(std::slice::from_ref(channel));
    }

    fn keep_all(&self, opened: &[Arc<Channel>]) {
        for channel in opened {
            self.node.metrics.open_channel(channel.id());
        }
        self.channels.rcu(|channels| {
            let mut channels = Channels::clone(channels);
            let named = opened
                .iter()
                .map(|channel| (channel.id().clone(), Arc::clone(channel)));
            channels.extend(named);
            channels
        });
        self.node.configs.send_modify(|count| *count += 1);
    }

    /// The TLS authorities of all organisations of all channels, each once, in DER.
    pub fn tls_authorities(&self) -> BTreeSet<Bytes> {
        let channels = self.channels();
        let rules = channels
            .values()
            .filter_map(|channel| Some(channel.view()?.rules()));
        rules.flat_map(|rules| tls_authorities_of(&rules)).collect()
    }

    /// From now on every envelope is refused with `SERVICE_UNAVAILABLE`.
    pub fn close_intake(&self) {
        self.closed.send_replace(true);
    }

    /// True once the intake is closed.
    pub fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }

    /// Stops all chains; ready when everything they took in is durable.
    pub async fn halt(&self) {
        let channels = self.channels();
        join_all(channels.values().map(|channel| channel.halt())).await;
    }
}

/// What opening a ledger has put in order.
fn log_recovery(channel: &ChannelId, recovery: &Recovery) {
    if let Some(TornTail { file, offset, bytes }) = &recovery.torn {
        let file = file.display();
        tracing::warn!(
            target: LOGGER,
            "channel {channel}: cut off {bytes} bytes of an unfinished write in {file} at byte {offset}"
        );
    }
    if recovery.reindexed > 0 {
        let count = recovery.reindexed;
        tracing::info!(target: LOGGER, "channel {channel}: read {count} blocks that the index did not know");
    }
}

fn tls_authorities_of(rules: &Rules) -> Vec<Bytes> {
    let msps = rules.bundle().msps();
    let of_msp = |msp: &Msp| {
        let certificates = msp.tls_roots().iter().chain(msp.tls_intermediates());
        certificates
            .map(|certificate| certificate.der().clone())
            .collect::<Vec<_>>()
    };
    msps.msps().flat_map(of_msp).collect()
}

/// Takes away what is kept of a channel that is being removed, beside its ledger. May be done twice.
fn forget_rest(channel: &ChannelId, joins: &JoinFiles, node: &NodeParts) -> Result<(), String> {
    node.others.forget(channel);
    for consenter in node.consenters.all() {
        consenter.remove_channel(channel)?;
    }
    joins
        .remove(channel)
        .map_err(|error| format!("its join file: {error}"))
}

/// Opens something of one channel; the error is what a panic of that said.
fn guard<T>(open: impl FnOnce() -> T) -> Result<T, String> {
    // What the closure shares with others is the ledger factory, whose lock is taken for whole steps only.
    catch_unwind(AssertUnwindSafe(open)).map_err(|panic| format!("panic: {}", panic_text(&*panic)))
}

#[cfg(test)]
mod tests;
