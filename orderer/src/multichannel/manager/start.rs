//! Opening the data folder, and every channel in it.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use ledger::{FactoryError, IndexState, LedgerFactory, LedgerOptions};
use parking_lot::Mutex as SyncMutex;
use protos::{ChannelId, Height};
use tokio::sync::{Mutex, watch};

use super::{Manager, forget_rest, guard, log_recovery};
use crate::admin::JoinError;
use crate::multichannel::LOGGER;
use crate::multichannel::chain_support::NodeParts;
use crate::multichannel::channel::{Channel, Part};
use crate::multichannel::health::Health;
use crate::multichannel::join::{CheckedJoin, Found, JoinFiles};

/// How long a data folder in use is tried again.
const LOCK_TIME_MAX: Duration = Duration::from_secs(5);
/// Pause between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
/// Channels opened at once at the start.
const OPENERS_MAX: usize = 8;

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

/// Opens the data folder.
fn open_ledgers(options: &LedgerOptions, forget: ledger::First<'_>) -> Result<LedgerFactory, FactoryError> {
    let open = || LedgerFactory::open_with(options.clone(), forget);
    once_unlocked(open, |error| matches!(error, FactoryError::Locked { .. }))
}

/// Opens what a process that was killed or told to end a moment ago may still have a lock on.
pub(crate) fn once_unlocked<T, E>(
    open: impl Fn() -> Result<T, E>,
    is_locked: impl Fn(&E) -> bool,
) -> Result<T, E> {
    let began = Instant::now();
    loop {
        match open() {
            Err(error) if is_locked(&error) && began.elapsed() < LOCK_TIME_MAX => {
                std::thread::sleep(LOCK_PAUSE);
            }
            opened => return opened,
        }
    }
}

fn joins_error(location: &Path, source: std::io::Error) -> OpenError {
    OpenError::Joins {
        location: location.display().to_string(),
        source,
    }
}
