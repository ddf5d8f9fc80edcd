//! The Manager: all channels of this node, by name.

use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use configtx::identity::Msp;
use futures::future::join_all;
use ledger::{BlockStore, FactoryError, IndexState, LedgerFactory, LedgerOptions, Recovery, TornTail};
use prost::Message as _;
use protos::wire::common::Block;
use protos::{BlockNumber, ChannelId, Height, SealedBlock};
use tokio::sync::{Mutex, watch};

use super::LOGGER;
use super::chain_support::NodeParts;
use super::channel::Channel;
use super::health::Health;
use super::join::{self, Found, JoinFiles};
use crate::admin::JoinError;
use crate::processor::Rules;
use crate::verify_pool::panic_text;

/// Channels by name.
pub type Channels = HashMap<ChannelId, Arc<Channel>>;

/// How long a data folder in use is tried again.
const LOCK_TIME_MAX: Duration = Duration::from_secs(5);
/// Pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// All channels of this node.
pub struct Manager {
    ledgers: Arc<LedgerFactory>,
    joins: JoinFiles,
    node: NodeParts,
    channels: ArcSwap<Channels>,
    /// One join or removal at a time.
    joining: Mutex<()>,
    /// True once nothing more is taken in.
    closed: watch::Sender<bool>,
}

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The ledgers.
    #[error(transparent)]
    Ledgers(#[from] FactoryError),
    /// The join files.
    #[error("cannot use the join files in {location}: {source}")]
    Joins {
        /// The data folder.
        location: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl Manager {
    /// Opens the data folder: finishes joins, then opens every channel and starts its chain. A channel that
    /// cannot run is quarantined and takes no other with it.
    ///
    /// Reads the disk on the calling thread. Must be called within a `tokio` runtime, which then runs the chains.
    pub fn open(options: &LedgerOptions, node: NodeParts) -> Result<Self, OpenError> {
        let location = options.location.clone();
        let ledgers = open_ledgers(options)?;
        let unusable = |source| joins_error(&location, source);
        let joins = JoinFiles::open(&location).map_err(unusable)?;
        let found = joins.load().map_err(unusable)?;
        let manager = Self {
            ledgers: Arc::new(ledgers),
            joins,
            node,
            channels: ArcSwap::default(),
            joining: Mutex::new(()),
            closed: watch::Sender::new(false),
        };
        for found in found {
            manager.finish_join(found);
        }
        manager.open_ledgers();
        manager.log_start();
        Ok(manager)
    }

    /// Finishes a join that a crash, or an operator, has left as a file.
    fn finish_join(&self, found: Found) {
        let Found { channel, block } = found;
        let opened = block
            .map_err(JoinError::InvalidBlock)
            .and_then(|block| self.join_ledger(&channel, &block));
        let opened = match opened {
            Ok(store) => self.open_guarded(&channel, store),
            Err(error) => Channel::quarantined(channel.clone(), &format!("join file: {error}")),
        };
        if opened.support().is_some()
            && let Err(error) = self.joins.remove(&channel)
        {
            tracing::warn!(target: LOGGER, "channel {channel}: cannot delete the join file: {error}");
        }
        self.insert(opened);
    }

    /// Opens every ledger that is not open yet.
    fn open_ledgers(&self) {
        for channel in self.ledgers.channels() {
            if self.get(channel.as_str()).is_some() {
                continue;
            }
            match guard(|| self.open_ledger(&channel)) {
                Ok(Some(opened)) => drop(self.insert(opened)),
                Ok(None) => self.remove_empty(&channel),
                Err(panic) => drop(self.insert(Channel::quarantined(channel, &panic))),
            }
        }
    }

    /// Opens one ledger; none when it has no block, which is what a crash leaves of a join or a removal.
    fn open_ledger(&self, channel: &ChannelId) -> Option<Channel> {
        match self.ledgers.open_channel(channel) {
            Ok(store) if store.height() == Height::EMPTY => None,
            Ok(store) => {
                log_recovery(channel, store.recovery());
                Some(Channel::open(channel.clone(), store, &self.node))
            }
            Err(error) => Some(self.open_damaged(channel, &error)),
        }
    }

    /// A channel whose ledger does not open; where it is damaged, the blocks before the damage are served.
    fn open_damaged(&self, channel: &ChannelId, error: &ledger::OpenError) -> Channel {
        let reader = error
            .damage()
            .and_then(|damage| self.ledgers.read_before(channel, damage).ok());
        match reader {
            Some(reader) => Channel::damaged(channel.clone(), reader, &self.node, error),
            None => Channel::quarantined(channel.clone(), error),
        }
    }

    fn open_guarded(&self, channel: &ChannelId, store: BlockStore) -> Channel {
        guard(|| Channel::open(channel.clone(), store, &self.node))
            .unwrap_or_else(|panic| Channel::quarantined(channel.clone(), &panic))
    }

    fn remove_empty(&self, channel: &ChannelId) {
        match self.ledgers.remove(channel) {
            Ok(()) => tracing::info!(target: LOGGER, "channel {channel}: removed an empty ledger"),
            Err(error) => {
                tracing::warn!(target: LOGGER, "channel {channel}: ledger is empty and stays: {error}");
            }
        }
    }

    fn log_start(&self) {
        log_index(self.ledgers.index_state());
        let channels = self.channels.load();
        let running = channels
            .values()
            .filter(|channel| channel.health() == Health::Running)
            .count();
        let count = channels.len();
        tracing::info!(
            target: LOGGER,
            "Registrar initializing without a system channel, number of application channels: {count}, \
             with {running} consensus.Chain(s) and 0 follower.Chain(s)"
        );
    }

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

    /// Joins the channel of `join`. Ready when that survives a crash and the chain has started.
    pub async fn join(self: &Arc<Self>, join: Block) -> Result<Arc<Channel>, JoinError> {
        let channel = join::check(&join, SystemTime::now())?;
        let _one_at_a_time = self.joining.lock().await;
        if self.get(channel.as_str()).is_some() {
            return Err(JoinError::AlreadyExists);
        }
        tracing::info!(target: LOGGER, "Joining channel {channel}");
        let manager = Arc::clone(self);
        let runtime = tokio::runtime::Handle::current();
        let joined = tokio::task::spawn_blocking(move || {
            let _entered = runtime.enter();
            manager.join_blocking(&channel, &join)
        });
        joined
            .await
            .map_err(|error| JoinError::Internal(error.to_string()))?
    }

    fn join_blocking(&self, channel: &ChannelId, join: &Block) -> Result<Arc<Channel>, JoinError> {
        let internal = |error: &dyn std::fmt::Display| JoinError::Internal(error.to_string());
        // A ledger that somebody put there while the node runs is not ours to remove.
        let existed = self.ledgers.channels().contains(channel);
        let bytes = Bytes::from(join.encode_to_vec());
        self.joins
            .save(channel, &bytes)
            .map_err(|error| internal(&error))?;
        let store = self
            .join_ledger(channel, join)
            .inspect_err(|_| self.undo_join(channel, existed))?;
        let opened = self.open_guarded(channel, store);
        if let Health::Quarantined(reason) = opened.health() {
            drop(opened);
            self.undo_join(channel, existed);
            return Err(JoinError::Internal(reason));
        }
        self.joins.remove(channel).map_err(|error| internal(&error))?;
        Ok(self.insert(opened))
    }

    /// The channel's ledger with the genesis block in it, durable.
    fn join_ledger(&self, channel: &ChannelId, join: &Block) -> Result<BlockStore, JoinError> {
        let internal = |error: &dyn std::fmt::Display| JoinError::Internal(error.to_string());
        let named = join::check(join, SystemTime::now())?;
        if named != *channel {
            return Err(JoinError::InvalidBlock(format!("it is for channel {named}")));
        }
        let mut store = self
            .ledgers
            .open_channel(channel)
            .map_err(|error| internal(&error))?;
        let genesis = SealedBlock::seal(join).map_err(|error| internal(&error))?;
        if store.next_number() == BlockNumber::GENESIS {
            store.append(&genesis).map_err(|error| internal(&error))?;
            store.sync().map_err(|error| internal(&error))?;
        } else {
            let first = store.reader().get(BlockNumber::GENESIS);
            let first = first.map_err(|error| internal(&error))?;
            if first.is_none_or(|first| first.hash() != genesis.hash()) {
                let reason = "the channel's ledger begins with another block";
                return Err(JoinError::Refused(reason.to_owned()));
            }
        }
        Ok(store)
    }

    /// Takes back what a failed join left; what cannot be taken back now is at the next start.
    fn undo_join(&self, channel: &ChannelId, keeps_ledger: bool) {
        let removed = if keeps_ledger {
            Ok(())
        } else {
            self.ledgers.remove(channel).map_err(|error| error.to_string())
        };
        let forgotten = self.joins.remove(channel).map_err(|error| error.to_string());
        if let Err(error) = removed.and(forgotten) {
            tracing::warn!(target: LOGGER, "channel {channel}: cleaning up a failed join: {error}");
        }
    }

    /// Held while a channel is joined or removed.
    pub(super) fn joining(&self) -> &Mutex<()> {
        &self.joining
    }

    pub(super) fn joins(&self) -> &JoinFiles {
        &self.joins
    }

    pub(super) fn ledgers(&self) -> &LedgerFactory {
        &self.ledgers
    }

    /// Takes a channel out of the table.
    pub(super) fn forget(&self, channel: &ChannelId) {
        self.channels.rcu(|channels| {
            let mut channels = Channels::clone(channels);
            channels.remove(channel);
            channels
        });
        self.node.configs.send_modify(|count| *count += 1);
    }

    fn insert(&self, channel: Channel) -> Arc<Channel> {
        let channel = Arc::new(channel);
        self.keep(&channel);
        channel
    }

    /// Puts a channel into the table.
    pub(super) fn keep(&self, channel: &Arc<Channel>) {
        self.channels.rcu(|channels| {
            let mut channels = Channels::clone(channels);
            channels.insert(channel.id().clone(), Arc::clone(channel));
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

/// An index that was not in order.
fn log_index(state: &IndexState) {
    match state {
        IndexState::Opened => {}
        IndexState::Replaced { reason } => {
            tracing::warn!(target: LOGGER, "the block index was begun anew from the blocks: {reason}");
        }
        IndexState::InMemory { reason } => {
            tracing::warn!(target: LOGGER, "the block index is in memory only, each start reads all blocks: {reason}");
        }
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

/// Opens the data folder. A process that was killed a moment ago may still hold its lock.
fn open_ledgers(options: &LedgerOptions) -> Result<LedgerFactory, FactoryError> {
    let began = Instant::now();
    loop {
        match LedgerFactory::open(options.clone()) {
            Err(FactoryError::Locked { .. }) if began.elapsed() < LOCK_TIME_MAX => {
                std::thread::sleep(LOCK_PAUSE);
            }
            opened => return opened,
        }
    }
}

/// Opens something of one channel; the error is what a panic of that said.
fn guard<T>(open: impl FnOnce() -> T) -> Result<T, String> {
    // What the closure shares with others is the ledger factory, whose lock is taken for whole steps only.
    catch_unwind(AssertUnwindSafe(open)).map_err(|panic| format!("panic: {}", panic_text(&*panic)))
}

fn joins_error(location: &Path, source: std::io::Error) -> OpenError {
    OpenError::Joins {
        location: location.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests;
