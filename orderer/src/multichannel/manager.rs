//! The Manager: all channels of this node, by name.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use configtx::identity::Msp;
use futures::future::join_all;
use ledger::{
    BlockStore, FactoryError, IndexState, LedgerFactory, LedgerOptions, Recovery,
    RemoveError as LedgerRemoveError, TornTail,
};
use parking_lot::Mutex as SyncMutex;
use prost::Message as _;
use protos::wire::common::Block;
use protos::{BlockNumber, ChannelId, Height, SealedBlock};
use tokio::sync::{Mutex, watch};

use super::LOGGER;
use super::chain_support::NodeParts;
use super::channel::{self, Channel, Part};
use super::health::Health;
use super::join::{CheckedJoin, Found, JoinFiles};
use super::membership::Place;
use crate::admin::JoinError;
use crate::onboarding::JoinBlock;
use crate::processor::Rules;
use crate::verify_pool::panic_text;

/// Channels by name.
pub type Channels = HashMap<ChannelId, Arc<Channel>>;

/// How long a data folder in use is tried again.
const LOCK_TIME_MAX: Duration = Duration::from_secs(5);
/// Pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// How long whoever holds on to a removed channel's ledger may take to let go.
pub(super) const LET_GO_TIME_MAX: Duration = Duration::from_secs(10);
/// Pause between two tries.
const LET_GO_PAUSE: Duration = Duration::from_millis(10);
/// Channels opened at once at the start.
const OPENERS_MAX: usize = 8;

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

/// A channel that was joined just now.
#[derive(Debug)]
pub struct Joined {
    /// The channel.
    pub channel: Arc<Channel>,
    /// This node's place in it by the block it was joined with.
    pub place: Place,
    /// It began as a follower, whatever became of it meanwhile.
    pub follows_first: bool,
}

/// A channel to be opened at the start.
enum ToOpen {
    Join(Found),
    Ledger(ChannelId),
}

impl ToOpen {
    fn channel(&self) -> &ChannelId {
        match self {
            Self::Join(found) => &found.channel,
            Self::Ledger(channel) => channel,
        }
    }
}

/// Taken out with the lock held for no longer than that.
fn pop(to_open: &SyncMutex<VecDeque<ToOpen>>) -> Option<ToOpen> {
    to_open.lock().pop_front()
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
    /// Opens the data folder: finishes removals and joins, then opens every channel and begins what this node does on
    /// it. A channel that cannot run is quarantined and takes no other with it.
    ///
    /// Reads the disk on the calling thread and a few of its own. Must be called within a `tokio` runtime, which then
    /// runs the chains.
    pub fn open(options: &LedgerOptions, node: NodeParts) -> Result<Self, OpenError> {
        let location = options.location.clone();
        let unusable = |source| joins_error(&location, source);
        let joins = JoinFiles::open(&location).map_err(unusable)?;
        let ledgers = open_ledgers(options, &|channel| forget_rest(channel, &joins, &node))?;
        let found = joins.load().map_err(unusable)?;
        let manager = Self {
            ledgers: Arc::new(ledgers),
            joins,
            node,
            channels: ArcSwap::default(),
            joining: Mutex::new(()),
            removing: SyncMutex::default(),
            closed: watch::Sender::new(false),
        };
        manager.open_all(found);
        manager.log_start();
        Ok(manager)
    }

    /// Opens what join files name and every ledger, several at a time: each waits for the disk most of the time.
    fn open_all(&self, found: Vec<Found>) {
        let mut to_open: VecDeque<_> = found.into_iter().map(ToOpen::Join).collect();
        let joined: HashSet<_> = to_open.iter().map(|one| one.channel().clone()).collect();
        let ledgers = self.ledgers.channels();
        to_open.extend(
            ledgers
                .into_iter()
                .filter(|channel| !joined.contains(channel))
                .map(ToOpen::Ledger),
        );
        let threads = OPENERS_MAX.min(to_open.len());
        let to_open = SyncMutex::new(to_open);
        let opened = SyncMutex::new(Vec::new());
        let runtime = tokio::runtime::Handle::current();
        let work = || {
            let _entered = runtime.enter();
            while let Some(one) = pop(&to_open) {
                let channel = self.open_one(one);
                opened.lock().extend(channel);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                // Without it the others do its share.
                let _ = std::thread::Builder::new()
                    .name("open".to_owned())
                    .spawn_scoped(scope, work);
            }
            work();
        });
        self.keep_all(&opened.into_inner());
    }

    /// Opens one channel; none if it turned out to be nothing.
    fn open_one(&self, one: ToOpen) -> Option<Arc<Channel>> {
        let channel = one.channel().clone();
        let opened = guard(|| match one {
            ToOpen::Join(found) => Some(self.finish_join(found)),
            ToOpen::Ledger(channel) => self.open_ledger(&channel),
        });
        opened.unwrap_or_else(|panic| Some(Channel::quarantined(channel, &panic)))
    }

    /// Goes on with a join that a crash, or an operator, has left as a file.
    fn finish_join(&self, found: Found) -> Arc<Channel> {
        let Found { channel, block } = found;
        let opened = block.map_err(JoinError::InvalidBlock).and_then(|block| {
            let join = CheckedJoin::check(block, &self.node, SystemTime::now())?;
            self.join_ledger(&channel, &join)
        });
        opened.unwrap_or_else(|error| Channel::quarantined(channel, &format!("join file: {error}")))
    }

    /// Opens one ledger; none when it has no block, which is what a crash leaves of a join or a removal.
    fn open_ledger(&self, channel: &ChannelId) -> Option<Arc<Channel>> {
        match self.ledgers.open_channel(channel) {
            Ok(store) if store.height() == Height::EMPTY => {
                drop(store);
                self.remove_empty(channel);
                None
            }
            Ok(store) => {
                log_recovery(channel, store.recovery());
                Some(Channel::open(channel.clone(), store, None, &self.node))
            }
            Err(ledger::OpenError::RemovalPending { reason, .. }) => {
                Some(Channel::in_health(channel.clone(), &Health::HalfRemoved(reason)))
            }
            Err(error) => Some(self.open_damaged(channel, &error)),
        }
    }

    /// A channel whose ledger does not open; where it is damaged, the blocks before the damage are served.
    fn open_damaged(&self, channel: &ChannelId, error: &ledger::OpenError) -> Arc<Channel> {
        let reader = error
            .damage()
            .and_then(|damage| self.ledgers.read_before(channel, damage).ok());
        match reader {
            Some(reader) => Channel::damaged(channel.clone(), reader, &self.node, error),
            None => Channel::quarantined(channel.clone(), error),
        }
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
        let (mut chains, mut followers) = (0, 0);
        for channel in channels.values() {
            match &*channel.part() {
                Part::Chain { .. } => chains += 1,
                Part::Follower { .. } => followers += 1,
                Part::Nothing => {}
            }
        }
        let count = channels.len();
        tracing::info!(
            target: LOGGER,
            "Registrar initializing without a system channel, number of application channels: {count}, \
             with {chains} consensus.Chain(s) and {followers} follower.Chain(s)"
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

    /// Joins the channel of `join`. Ready when that survives a crash and chain or follower has started.
    pub async fn join(self: &Arc<Self>, join: Block) -> Result<Joined, JoinError> {
        let join = CheckedJoin::check(join, &self.node, SystemTime::now())?;
        let channel = join.channel.clone();
        if self.is_being_removed(&channel) {
            return Err(JoinError::PendingRemoval);
        }
        let _one_at_a_time = self.joining.lock().await;
        match self.get(channel.as_str()).map(|channel| channel.health()) {
            None => {}
            Some(Health::HalfRemoved(_)) => return Err(JoinError::RemovalFailed),
            Some(Health::Removing) => return Err(JoinError::PendingRemoval),
            Some(_) => return Err(JoinError::AlreadyExists),
        }
        tracing::info!(target: LOGGER, "Joining channel {channel}");
        let manager = Arc::clone(self);
        let runtime = tokio::runtime::Handle::current();
        let joined = tokio::task::spawn_blocking(move || {
            let _entered = runtime.enter();
            manager.join_blocking(&join)
        });
        joined
            .await
            .map_err(|error| JoinError::Internal(error.to_string()))?
    }

    fn join_blocking(&self, join: &CheckedJoin) -> Result<Joined, JoinError> {
        let (name, place) = (join.channel.clone(), join.place);
        let follows_first = !join.orders_at_once();
        // A ledger that somebody put there while the node runs is not ours to remove.
        let existed = self.ledgers.channels().contains(&name);
        let bytes = Bytes::from(join.block.encode_to_vec());
        self.joins
            .save(&name, &bytes)
            .map_err(|error| JoinError::Internal(error.to_string()))?;
        let opened = guard(|| self.join_ledger(&name, join));
        let opened = opened.map_err(JoinError::Internal).and_then(|opened| opened);
        let channel = opened.inspect_err(|_| self.undo_join(&name, existed))?;
        if let Health::Quarantined(reason) = channel.health() {
            drop(channel);
            self.undo_join(&name, existed);
            return Err(JoinError::Internal(reason));
        }
        self.keep(&channel);
        Ok(Joined {
            channel,
            place,
            follows_first,
        })
    }

    /// The joined channel. With a genesis block, that is in its ledger, durable.
    fn join_ledger(&self, channel: &ChannelId, join: &CheckedJoin) -> Result<Arc<Channel>, JoinError> {
        let internal = |error: &dyn std::fmt::Display| JoinError::Internal(error.to_string());
        if join.channel != *channel {
            let reason = format!("it is for channel {}", join.channel);
            return Err(JoinError::InvalidBlock(reason));
        }
        let mut store = self
            .ledgers
            .open_channel(channel)
            .map_err(|error| internal(&error))?;
        log_recovery(channel, store.recovery());
        if join.number() == BlockNumber::GENESIS {
            put_genesis(&mut store, &join.block)?;
        }
        let joined = channel::Joined {
            block: JoinBlock::read(&join.block).map_err(|error| internal(&error))?,
            files: self.joins.clone(),
        };
        Ok(Channel::open(channel.clone(), store, Some(joined), &self.node))
    }

    /// Takes back what a failed join left; what cannot be taken back now is at the next start.
    fn undo_join(&self, channel: &ChannelId, keeps_ledger: bool) {
        self.node.metrics.forget_channel(channel);
        let removed = if keeps_ledger {
            self.joins.remove(channel).map_err(|error| error.to_string())
        } else {
            self.remove_ledger(channel)
        };
        if let Err(error) = removed {
            tracing::warn!(target: LOGGER, "channel {channel}: cleaning up a failed join: {error}");
        }
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

/// Puts the genesis block into a ledger, or finds it there.
fn put_genesis(store: &mut BlockStore, join: &Block) -> Result<(), JoinError> {
    let internal = |error: &dyn std::fmt::Display| JoinError::Internal(error.to_string());
    let genesis = SealedBlock::seal(join).map_err(|error| internal(&error))?;
    if store.next_number() == BlockNumber::GENESIS {
        store.append(&genesis).map_err(|error| internal(&error))?;
        return store.sync().map(drop).map_err(|error| internal(&error));
    }
    let first = store.reader().get(BlockNumber::GENESIS);
    let first = first.map_err(|error| internal(&error))?;
    if first.is_none_or(|first| first.hash() != genesis.hash()) {
        let reason = "the channel's ledger begins with another block";
        return Err(JoinError::Refused(reason.to_owned()));
    }
    Ok(())
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

/// Opens the data folder. A process that was killed a moment ago may still hold its lock.
fn open_ledgers(options: &LedgerOptions, forget: ledger::First<'_>) -> Result<LedgerFactory, FactoryError> {
    let began = Instant::now();
    loop {
        match LedgerFactory::open_with(options.clone(), forget) {
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
