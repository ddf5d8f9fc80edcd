//! [`LedgerFactory`]: the data folder of a node.
//!
//! ```text
//! <location>/ordain.lock                        held while the process lives
//!            chains/<channel>/                  a channel's segment files
//!            chains/.import-<channel>/          an import that is not finished
//!            index/                             block number -> place, one database for all channels
//!            pendingops/remove/<channel>.remove a removal that has begun
//! ```

mod error;
mod import;
mod removal;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use protos::ChannelId;

use crate::disk::{Directory, EntryKind, LockGuard, RealDisk};
use crate::foreign;
use crate::index::{Index, MemoryIndex, SledIndex};
use crate::reader::{BlockReader, Shared};
use crate::segment;
use crate::segment::recover::Damage;
use crate::store::{BlockStore, StoreError, StoreLimits, read_before};
use removal::{has_entry, make_marker, marked_channel, remove_folder, remove_marker};

pub use error::{FactoryError, OpenError, RemoveError};
pub use import::{ImportError, Incoming, UNFINISHED_PREFIX};

/// Held while a process uses the folder.
pub const LOCK_FILE: &str = "ordain.lock";
const CHAINS: &str = "chains";
const INDEX: &str = "index";
const PENDING: &str = "pendingops";
const PENDING_REMOVE: &str = "remove";

/// Takes away what others keep of a channel that is being removed. The error is in words.
pub type First<'a> = &'a dyn Fn(&ChannelId) -> Result<(), String>;

#[expect(clippy::unnecessary_wraps, reason = "it stands for one that may fail")]
fn nothing_else(_channel: &ChannelId) -> Result<(), String> {
    Ok(())
}

/// Where and how a node stores its chains.
#[derive(Clone, Debug)]
pub struct LedgerOptions {
    /// The data folder; made with its parents when missing.
    pub location: PathBuf,
    /// Size in bytes at which a segment file is followed by the next one. Default 64 MiB. Takes effect for
    /// the file that grows, too.
    pub segment_bytes_max: u64,
    /// Bytes of the newest blocks kept in memory for each channel. Default 4 MiB; the newest block is kept
    /// whatever its size.
    pub cache_bytes_max: usize,
}

impl LedgerOptions {
    /// The defaults, for the data folder `location`.
    pub fn at(location: impl Into<PathBuf>) -> Self {
        Self {
            location: location.into(),
            segment_bytes_max: 64 << 20,
            cache_bytes_max: 4 << 20,
        }
    }

    fn limits(&self) -> StoreLimits {
        StoreLimits {
            segment_bytes_max: self.segment_bytes_max,
            cache_bytes_max: self.cache_bytes_max,
        }
    }
}

/// How the index was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// In order.
    Opened,
    /// Could not be read and was begun anew.
    Replaced {
        /// What was wrong.
        reason: String,
    },
    /// Cannot be kept on disk at all; held in memory.
    InMemory {
        /// What is wrong.
        reason: String,
    },
}

/// What the factory knows of a channel.
#[derive(Debug)]
enum Channel {
    /// Its folder exists.
    Present,
    /// It is being opened or removed.
    Busy,
    /// It was opened; the second one lives as long as the writer.
    Opened(Weak<Shared>, Weak<()>),
    /// A removal has begun and failed for this reason.
    HalfRemoved(String),
}

impl Channel {
    fn is_in_use(&self) -> bool {
        match self {
            Self::Busy => true,
            Self::Opened(_, writer) => writer.strong_count() > 0,
            Self::Present | Self::HalfRemoved(_) => false,
        }
    }
}

/// The chains of one node.
pub struct LedgerFactory {
    options: LedgerOptions,
    root: Arc<dyn Directory>,
    chains: Arc<dyn Directory>,
    markers: Arc<dyn Directory>,
    index: Arc<dyn Index>,
    index_state: IndexState,
    channels: Mutex<BTreeMap<ChannelId, Channel>>,
    _lock: Box<dyn LockGuard>,
}

impl LedgerFactory {
    /// Opens the data folder, made when missing, and finishes removals that a crash has interrupted.
    ///
    /// # Errors
    /// - [`FactoryError::Locked`]: another process uses it.
    /// - [`FactoryError::Foreign`]: it is one of the reference implementation. Nothing was changed.
    /// - [`FactoryError::Disk`]: as the operating system says.
    pub fn open(options: LedgerOptions) -> Result<Self, FactoryError> {
        Self::open_with(options, &nothing_else)
    }

    /// Like [`open`](Self::open); `first` is what else goes with a channel whose removal is finished, see
    /// [`remove_with`](Self::remove_with).
    pub fn open_with(options: LedgerOptions, first: First<'_>) -> Result<Self, FactoryError> {
        let location = options.location.clone();
        let disk = |source| FactoryError::Disk {
            location: location.clone(),
            source,
        };
        if let Some(file) = foreign::find(&location).map_err(disk)? {
            return Err(FactoryError::Foreign { location, file });
        }
        let root = RealDisk::open(&location).map_err(disk)?;
        let lock = take_lock(&*root)?;
        let index_folder = root.folder(INDEX).map_err(disk)?;
        let (index, state) = open_index(&index_folder.path());
        Self::with_lock(&root, index, state, options, lock, first)
    }

    /// Like [`open`](Self::open) on any disk and with any index; `options.location` is not looked at.
    pub fn open_on(
        root: &Arc<dyn Directory>,
        index: Arc<dyn Index>,
        options: LedgerOptions,
    ) -> Result<Self, FactoryError> {
        let lock = take_lock(&**root)?;
        Self::with_lock(root, index, IndexState::Opened, options, lock, &nothing_else)
    }

    fn with_lock(
        root: &Arc<dyn Directory>,
        index: Arc<dyn Index>,
        index_state: IndexState,
        options: LedgerOptions,
        lock: Box<dyn LockGuard>,
        first: First<'_>,
    ) -> Result<Self, FactoryError> {
        let (chains, markers) = make_folders(root).map_err(|source| FactoryError::Disk {
            location: root.path(),
            source,
        })?;
        let factory = Self {
            options,
            root: Arc::clone(root),
            chains,
            markers,
            index,
            index_state,
            channels: Mutex::default(),
            _lock: lock,
        };
        factory.find_channels().map_err(|source| FactoryError::Disk {
            location: root.path(),
            source,
        })?;
        factory.finish_removals(first);
        Ok(factory)
    }

    /// How the index was found; for the log.
    pub fn index_state(&self) -> &IndexState {
        &self.index_state
    }

    /// The data folder itself, for what others keep in it: join blocks in `pendingops/join`, say. Names of
    /// their own in it are theirs; a channel's folder goes with the channel, whatever is in it.
    pub fn root(&self) -> &Arc<dyn Directory> {
        &self.root
    }

    /// The channels that have a folder here, sorted.
    pub fn channels(&self) -> Vec<ChannelId> {
        self.lock_channels().keys().cloned().collect()
    }

    /// Opens a channel's chain, at height 0 if there is none, and repairs what a crash has left.
    ///
    /// # Errors
    /// - [`OpenError::AlreadyOpen`]: its writer exists.
    /// - [`OpenError::RemovalPending`]: call [`remove`](Self::remove) first.
    /// - [`OpenError::Store`]: its files are damaged, foreign or unreadable. Nothing was changed.
    pub fn open_channel(&self, channel: &ChannelId) -> Result<BlockStore, OpenError> {
        self.claim_to_open(channel)?;
        let opened = self.open_store(channel);
        let state = opened.as_ref().map_or(Channel::Present, |store| {
            let (shared, writer) = store.handles();
            Channel::Opened(shared, writer)
        });
        self.lock_channels().insert(channel.clone(), state);
        opened.map_err(|source| OpenError::Store {
            channel: channel.clone(),
            source,
        })
    }

    /// A reader of the blocks before `damage`, which [`open_channel`](Self::open_channel) has found: a chain of
    /// that height, which never grows. Changes nothing on disk.
    pub fn read_before(&self, channel: &ChannelId, damage: &Damage) -> Result<BlockReader, OpenError> {
        self.claim_to_open(channel)?;
        let shared = self.chain_folder(channel).map_err(|source| StoreError::Disk {
            file: self.chains.path().join(channel.as_str()),
            source,
        });
        let shared = shared.and_then(|folder| {
            let index = Arc::clone(&self.index);
            read_before(channel, folder, index, damage.block, self.options.cache_bytes_max)
        });
        let state = shared.as_ref().map_or(Channel::Present, |shared| {
            Channel::Opened(Arc::downgrade(shared), Weak::new())
        });
        self.lock_channels().insert(channel.clone(), state);
        let channel = channel.clone();
        let shared = shared.map_err(|source| OpenError::Store { channel, source })?;
        Ok(BlockReader::new(shared))
    }

    /// Opening can take long, so the table of channels is not locked meanwhile.
    fn claim_to_open(&self, channel: &ChannelId) -> Result<(), OpenError> {
        let mut channels = self.lock_channels();
        let channel = channel.clone();
        match channels.get(&channel) {
            Some(known) if known.is_in_use() => Err(OpenError::AlreadyOpen { channel }),
            Some(Channel::HalfRemoved(reason)) => {
                let reason = reason.clone();
                Err(OpenError::RemovalPending { channel, reason })
            }
            _ => {
                channels.insert(channel, Channel::Busy);
                Ok(())
            }
        }
    }

    fn open_store(&self, channel: &ChannelId) -> Result<BlockStore, StoreError> {
        let folder = self.chain_folder(channel).map_err(|source| StoreError::Disk {
            file: self.chains.path().join(channel.as_str()),
            source,
        })?;
        BlockStore::open(channel, folder, Arc::clone(&self.index), self.options.limits())
    }

    /// A channel's folder; its name is durable.
    fn chain_folder(&self, channel: &ChannelId) -> io::Result<Arc<dyn Directory>> {
        let existed = has_entry(&*self.chains, channel.as_str())?;
        let folder = self.chains.folder(channel.as_str())?;
        if !existed {
            self.chains.sync_dir()?;
        }
        Ok(folder)
    }

    /// Removes a channel's blocks and its part of the index, for good. Its writer must have been dropped;
    /// its readers say from now on that the channel is gone.
    ///
    /// A marker is made first: once it is there, a crash or an error only delays the removal until the next
    /// call or the next start.
    pub fn remove(&self, channel: &ChannelId) -> Result<(), RemoveError> {
        self.remove_with(channel, &nothing_else)
    }

    /// Like [`remove`](Self::remove), with what others keep of the channel: `first` takes that away. It is called when
    /// the marker is durable and before a block goes, perhaps more than once; its error leaves the removal pending.
    pub fn remove_with(&self, channel: &ChannelId, first: First<'_>) -> Result<(), RemoveError> {
        let before = self.claim_to_remove(channel)?;
        if let Err(error) = self.refuse_foreign(channel) {
            self.lock_channels().insert(channel.clone(), before);
            return Err(error);
        }
        if let Channel::Opened(shared, _) = &before
            && let Some(shared) = shared.upgrade()
        {
            shared.mark_removed();
        }
        let removed = self
            .mark(channel)
            .and_then(|()| self.finish_removal(channel, first));
        let mut channels = self.lock_channels();
        match &removed {
            Ok(()) => channels.remove(channel),
            Err(error) => channels.insert(channel.clone(), Channel::HalfRemoved(error.to_string())),
        };
        removed
    }

    /// Answers what was known of the channel before.
    fn claim_to_remove(&self, channel: &ChannelId) -> Result<Channel, RemoveError> {
        let mut channels = self.lock_channels();
        match channels.get_mut(channel) {
            Some(known) if known.is_in_use() => Err(RemoveError::StillOpen {
                channel: channel.clone(),
            }),
            Some(known) => Ok(std::mem::replace(known, Channel::Busy)),
            None => Err(RemoveError::Unknown {
                channel: channel.clone(),
            }),
        }
    }

    /// Writes the marker of a removal.
    fn mark(&self, channel: &ChannelId) -> Result<(), RemoveError> {
        make_marker(&*self.markers, channel).map_err(|source| remove_error(channel, source))
    }

    /// Everything after the marker; each step may be done twice.
    fn finish_removal(&self, channel: &ChannelId, first: First<'_>) -> Result<(), RemoveError> {
        self.refuse_foreign(channel)?;
        first(channel).map_err(|reason| RemoveError::First {
            channel: channel.clone(),
            reason,
        })?;
        self.index.forget(channel).map_err(|source| RemoveError::Index {
            channel: channel.clone(),
            source,
        })?;
        remove_folder(&self.chains, channel.as_str())
            .and_then(|()| remove_marker(&*self.markers, channel))
            .map_err(|source| remove_error(channel, source))
    }

    /// A folder of the reference implementation is not ours to remove.
    fn refuse_foreign(&self, channel: &ChannelId) -> Result<(), RemoveError> {
        let exists = has_entry(&*self.chains, channel.as_str());
        if !exists.map_err(|source| remove_error(channel, source))? {
            return Ok(());
        }
        let folder = self.chains.folder(channel.as_str());
        let folder = folder.map_err(|source| remove_error(channel, source))?;
        segment::list(&*folder)
            .map(drop)
            .map_err(|source| RemoveError::Folder {
                channel: channel.clone(),
                source,
            })
    }

    fn find_channels(&self) -> io::Result<()> {
        let mut channels = self.lock_channels();
        for entry in self.chains.list()? {
            if let (EntryKind::Folder, Ok(channel)) = (entry.kind, ChannelId::parse(&entry.name)) {
                channels.insert(channel, Channel::Present);
            }
        }
        for entry in self.markers.list()? {
            if let Some(channel) = marked_channel(&entry.name) {
                channels.insert(channel, Channel::HalfRemoved(String::new()));
            }
        }
        Ok(())
    }

    /// Goes on with what an earlier process had begun. One that fails stays pending; the others do not notice.
    fn finish_removals(&self, first: First<'_>) {
        let mut channels = self.lock_channels();
        channels.retain(|channel, known| {
            let Channel::HalfRemoved(reason) = known else {
                return true;
            };
            match self.finish_removal(channel, first) {
                Ok(()) => false,
                Err(error) => {
                    *reason = error.to_string();
                    true
                }
            }
        });
    }

    fn lock_channels(&self) -> MutexGuard<'_, BTreeMap<ChannelId, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LedgerFactory {
    /// What the index holds back is read again at the next start if this fails.
    fn drop(&mut self) {
        let _ = self.index.flush();
    }
}

impl std::fmt::Debug for LedgerFactory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerFactory")
            .field("location", &self.options.location)
            .field("channels", &self.channels())
            .finish_non_exhaustive()
    }
}

fn remove_error(channel: &ChannelId, source: io::Error) -> RemoveError {
    RemoveError::Disk {
        channel: channel.clone(),
        source,
    }
}

fn take_lock(root: &dyn Directory) -> Result<Box<dyn LockGuard>, FactoryError> {
    let location = root.path();
    root.lock(LOCK_FILE).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => FactoryError::Locked { location },
        _ => FactoryError::Disk { location, source },
    })
}

/// Makes the folders of chains and of removal markers, durable with their names.
fn make_folders(root: &Arc<dyn Directory>) -> io::Result<(Arc<dyn Directory>, Arc<dyn Directory>)> {
    let chains = root.folder(CHAINS)?;
    let pending = root.folder(PENDING)?;
    let markers = pending.folder(PENDING_REMOVE)?;
    chains.sync_dir()?;
    pending.sync_dir()?;
    root.sync_dir()?;
    Ok((chains, markers))
}

/// Opens the index in `path`. What cannot be read is deleted and begun anew: the chains hold it all.
fn open_index(path: &Path) -> (Arc<dyn Index>, IndexState) {
    let first = match SledIndex::open(path) {
        Ok(index) => return (Arc::new(index), IndexState::Opened),
        Err(error) if error.is_in_use() => return in_memory(&error),
        Err(error) => error.to_string(),
    };
    if let Err(error) = std::fs::remove_dir_all(path).and_then(|()| RealDisk::open(path)) {
        return in_memory(&error);
    }
    match SledIndex::open(path) {
        Ok(index) => (Arc::new(index), IndexState::Replaced { reason: first }),
        Err(error) => in_memory(&error),
    }
}

fn in_memory(reason: &impl ToString) -> (Arc<dyn Index>, IndexState) {
    let reason = reason.to_string();
    (Arc::<MemoryIndex>::default(), IndexState::InMemory { reason })
}
