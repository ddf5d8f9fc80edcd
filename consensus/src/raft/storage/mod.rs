//! `EngineLog`: the raft logs of all channels of a node, in one raft-engine.
//!
//! ```text
//! <WALDir>/.raft-engine/   the engine: files of 32 MiB, written one after the other, one sync for many channels
//! <WALDir>/<channel>/      empty; operators may remove it after they removed the channel
//! <SnapDir>/<channel>/     the newest checkpoints as files, for tools (`snap_dir`)
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `batch` | a row of [`LogWrite`]s as one engine batch |
//! | `read` | what the engine has, read back and checked |
//! | `records` | the small records as bytes |
//! | `snap_dir` | the files of the checkpoints |
//!
//! # In the engine
//! The engine knows *groups*, each with a row of entries and some records by name. Group 1 is the table of channels:
//! record `channel/<name>` has the channel's number, or 0 once it was removed; `next` has the next one to give away.
//! Channel `n` has two groups: `2n` has its entries (`eraftpb.Entry`) and its records; `2n + 1` has one entry, of index
//! 1, whose data is the newest checkpoint. Entries lie on the disk only, records in memory as well, and a checkpoint has
//! a whole block in it. Numbers are never given away twice, so nothing of a removed channel can come back.
//! A channel that was removed from this node alone keeps its number, with what a member must not forget ([`retire`]):
//! some records, a checkpoint, and the few entries behind it.
//!
//! # What is durable when
//! A [`write`](RaftLog::write) is one batch with one checksum, synced before it returns: after a crash it is there as
//! a whole or not at all, and a torn one at the end of the newest file is cut off at the next start. Bytes that were
//! damaged later are found by checksums. In an entry: [`load`](RaftLog::load) of that channel fails, its channel is
//! quarantined with the reason, the others go on. In the structure of a file that is not the newest: [`EngineLog::open`]
//! fails, and with [`BrokenLog`] in its place every raft channel of the node is quarantined with the reason, while
//! solo channels, deliver and REST go on. In the structure of the newest file the engine cannot tell damage from a torn
//! end, and cuts there; a member that lost what its ledger holds notices that (`docs/adr/017-a-member-that-lost-its-log-only-follows.md`).
//!
//! # Sizes
//! A file has 32 MiB. Every 10 s, if the files have more than 256 MiB together, old ones are let go: what is needed of
//! them is written anew into other files, of which there are at least 32 MiB before they are tidied up in turn. Up to 12
//! files that were let go are kept and written over, since a file that does not grow syncs faster. So the folder has up
//! to 700 MB beside what the channels need: about twice `SnapshotIntervalSize` each. Nothing is compressed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use protos::ChannelId;
use raft::eraftpb::Entry;
use raft_engine::{Config, Engine, LogBatch, MessageExt, ReadableSize, RecoveryMode};

use self::batch::{Batch, Changes, Channel};
use self::read::{read_channel, read_table};
use self::snap_dir::{SnapDir, remove_folder};
use super::log::{Checkpoint, LogError, LogState, LogWrite, RaftLog, Retired};
use super::retire::retire;

mod batch;
mod read;
mod records;
mod snap_dir;
#[cfg(test)]
mod tests;

const FOLDER: &str = ".raft-engine";
const FILE_SIZE: ReadableSize = ReadableSize::mb(32);
const PURGE_THRESHOLD: ReadableSize = ReadableSize::mb(256);
const PURGE_INTERVAL: Duration = Duration::from_secs(10);
const RECOVERY_THREADS: usize = 2;

/// The group of the table of channels.
const TABLE: u64 = 1;
/// Names of records.
const NEXT: &[u8] = b"next";
const CHANNEL: &[u8] = b"channel/";
const BOUNDS: &[u8] = b"bounds";
const IDENTITY: &[u8] = b"identity";
const HARD_STATE: &[u8] = b"hard-state";
const MEMBERS: &[u8] = b"members";
const RETIRED: &[u8] = b"retired";
const UNORDERED: &[u8] = b"unordered";
/// Index of the newest checkpoint; 0: none counts.
const CHECKPOINT: &[u8] = b"checkpoint";
/// The only entry in the group of a checkpoint.
const CHECKPOINT_INDEX: u64 = 1;

/// On top of a batch, how much room a full disk must have again before it is written to.
const ROOM_BYTES: usize = 4 << 20;

/// Tells the engine what an entry is.
struct Format;

impl MessageExt for Format {
    type Entry = Entry;

    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

/// [`RaftLog`] on a raft-engine.
pub struct EngineLog {
    engine: Arc<Engine>,
    folder: PathBuf,
    wal_dir: PathBuf,
    snaps: SnapDir,
    state: Arc<Mutex<State>>,
    syncs: AtomicU64,
    /// Ends the purging thread when it is dropped.
    purging: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

/// What is known of the engine's contents. Whoever writes holds it.
#[derive(Default)]
struct State {
    channels: BTreeMap<ChannelId, Channel>,
    /// The next number to give away.
    next: u64,
    /// A batch whose memory is used again.
    spare: LogBatch,
    /// The last write did not fit on the disk.
    is_disk_full: bool,
    /// Why nothing may be written any more.
    broken: Option<LogError>,
}

impl EngineLog {
    /// Opens the log in `wal_dir`, with checkpoint files in `snap_dir`; both are made if they are missing.
    ///
    /// # Errors
    /// Another process has it open, the disk cannot be read or written, or files are damaged. See [`BrokenLog`] for
    /// what then becomes of the channels.
    pub fn open(wal_dir: &Path, snap_dir: &Path) -> Result<Self, LogError> {
        Self::open_with(wal_dir, snap_dir, FILE_SIZE, PURGE_THRESHOLD)
    }

    fn open_with(
        wal_dir: &Path,
        snap_dir: &Path,
        file_size: ReadableSize,
        purge_threshold: ReadableSize,
    ) -> Result<Self, LogError> {
        let folder = wal_dir.join(FOLDER);
        for needed in [&folder, snap_dir] {
            std::fs::create_dir_all(needed).map_err(|error| io_error(needed, &error))?;
        }
        let text = folder.to_str();
        let text = text.ok_or_else(|| at(&folder, "the path is not UTF-8"))?;
        let config = Config {
            dir: text.to_owned(),
            recovery_mode: RecoveryMode::TolerateTailCorruption,
            recovery_threads: RECOVERY_THREADS,
            batch_compression_threshold: ReadableSize(0),
            target_file_size: file_size,
            purge_threshold,
            ..Config::default()
        };
        let engine = guarded(&folder, || Engine::open(config))?;
        let engine = Arc::new(engine);
        let state = read_table(&engine, &folder)?;
        let state = Arc::new(Mutex::new(state));
        let purging = purge_thread(Arc::clone(&engine), Arc::clone(&state), folder.clone())?;
        Ok(Self {
            snaps: SnapDir::new(snap_dir.to_owned(), &folder),
            wal_dir: wal_dir.to_owned(),
            engine,
            folder,
            state,
            syncs: AtomicU64::new(0),
            purging: Some(purging),
        })
    }

    /// How many batches were written and synced since it was opened.
    pub fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Writes and syncs a batch; the caller holds the state.
    fn commit(&self, state: &mut State, batch: &mut LogBatch) -> Result<(), LogError> {
        if let Some(broken) = &state.broken {
            return Err(broken.clone());
        }
        if state.is_disk_full {
            self.check_room(batch.approximate_size() + ROOM_BYTES)?;
        }
        let written = guarded(&self.folder, || self.engine.write(batch, true));
        state.is_disk_full = matches!(&written, Err(error) if error.is_disk_full);
        match written {
            Ok(_) => {
                self.syncs.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(error) if error.is_disk_full => Err(error),
            Err(error) => Err(state.broken.insert(error).clone()),
        }
    }

    /// Asks the disk, not the engine, whether it has room again: each write of the engine that does not fit leaves
    /// another file behind.
    fn check_room(&self, bytes: usize) -> Result<(), LogError> {
        let path = self.folder.join("room.probe");
        let written = std::fs::File::create(&path).and_then(|mut file| {
            std::io::copy(
                &mut std::io::Read::take(std::io::repeat(0), bytes as u64),
                &mut file,
            )?;
            file.sync_data()
        });
        let removed = std::fs::remove_file(&path);
        written
            .and(removed)
            .map_err(|error| io_error(&self.folder, &error))
    }

    /// The files of checkpoints are a copy, so a failure is no more than worth a warning.
    fn publish(&self, writes: &[(ChannelId, LogWrite)]) {
        for (channel, write) in writes {
            let checkpoint = write.checkpoint.as_ref().filter(|_| write.retires.is_none());
            let Some(checkpoint) = checkpoint else {
                continue;
            };
            if let Err(error) = self.snaps.publish(channel, checkpoint) {
                tracing::warn!(%channel, index = checkpoint.index, %error, "no file was made of a checkpoint");
            }
        }
    }

    fn read(&self, channel: &ChannelId) -> Result<LogState, LogError> {
        let known = self.state().channels.get(channel).copied();
        match known {
            None => Ok(LogState::default()),
            Some(known) => guarded(&self.folder, || Ok(read_channel(&self.engine, known)))?
                .map_err(|reason| at(&self.folder, format!("log of channel {channel}: {reason}"))),
        }
    }

    /// Makes what is missing of the folders that tools look at.
    fn heal_folders(&self, channel: &ChannelId, newest: Option<&Checkpoint>) {
        let made = std::fs::create_dir_all(self.wal_dir.join(channel.as_str()));
        if let Err(error) = made.and(self.snaps.heal(channel, newest)) {
            tracing::warn!(%channel, %error, "the folders of the channel cannot be made");
        }
    }
}

impl RaftLog for EngineLog {
    fn load(&self, channel: &ChannelId) -> Result<LogState, LogError> {
        let state = self.read(channel)?;
        let shown = state.checkpoint.as_ref().filter(|_| state.retired.is_none());
        self.heal_folders(channel, shown);
        Ok(state)
    }

    fn retire(&self, channel: &ChannelId, retired: Retired) -> Result<(), LogError> {
        match retire(&self.read(channel)?, retired) {
            Some(write) => self.write(&[(channel.clone(), write)]),
            None => Ok(()),
        }
    }

    fn write(&self, writes: &[(ChannelId, LogWrite)]) -> Result<(), LogError> {
        let mut state = self.state();
        let spare = std::mem::take(&mut state.spare);
        let mut batch = Batch::new(&state.channels, state.next, spare);
        for (channel, write) in writes {
            batch
                .add(channel, write)
                .map_err(|reason| at(&self.folder, format!("log of channel {channel}: {reason}")))?;
        }
        let (mut batch, changes) = batch.finish();
        self.commit(&mut state, &mut batch)?;
        state.spare = batch; // empty again
        state.apply(changes);
        drop(state);
        self.publish(writes);
        Ok(())
    }

    fn remove(&self, channel: &ChannelId) -> Result<(), LogError> {
        let is_retired = self.read(channel).is_ok_and(|state| state.retired.is_some());
        let mut state = self.state();
        if let Some(known) = state.channels.get(channel).copied().filter(|_| !is_retired) {
            let mut batch =
                batch::removal(channel, known).map_err(|error| engine_error(&self.folder, &error))?;
            self.commit(&mut state, &mut batch)?;
            state.channels.remove(channel);
        }
        drop(state);
        let wal = self.wal_dir.join(channel.as_str());
        let removed = remove_folder(&wal).and_then(|()| self.snaps.remove(channel));
        removed.map_err(|error| io_error(&wal, &error))
    }
}

impl std::fmt::Debug for EngineLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineLog")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Drop for EngineLog {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.purging.take() {
            drop(stop);
            let _ = thread.join(); // its panics are caught within
        }
    }
}

impl State {
    fn apply(&mut self, changes: Changes) {
        self.channels.extend(changes.channels);
        self.next = changes.next;
    }
}

/// The log of a node whose log could not be opened: every call gives the reason, so that raft channels are quarantined
/// with it and everything else goes on.
#[derive(Clone, Debug)]
pub struct BrokenLog(pub LogError);

impl RaftLog for BrokenLog {
    fn load(&self, _channel: &ChannelId) -> Result<LogState, LogError> {
        Err(self.0.clone())
    }

    fn write(&self, _writes: &[(ChannelId, LogWrite)]) -> Result<(), LogError> {
        Err(self.0.clone())
    }

    fn retire(&self, _channel: &ChannelId, _retired: Retired) -> Result<(), LogError> {
        Err(self.0.clone())
    }

    fn remove(&self, _channel: &ChannelId) -> Result<(), LogError> {
        Err(self.0.clone())
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // The state changes only after a write has succeeded, so it is whole whatever panicked.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets go of files that nothing needs, every [`PURGE_INTERVAL`].
fn purge_thread(
    engine: Arc<Engine>,
    state: Arc<Mutex<State>>,
    folder: PathBuf,
) -> Result<(mpsc::Sender<()>, JoinHandle<()>), LogError> {
    let (stop, stopped) = mpsc::channel();
    let place = folder.clone();
    let thread = std::thread::Builder::new().name("raft-log-purge".to_owned());
    let thread = thread.spawn(move || {
        while stopped.recv_timeout(PURGE_INTERVAL) == Err(mpsc::RecvTimeoutError::Timeout) {
            purge(&engine, &state, &folder);
        }
    });
    Ok((stop, thread.map_err(|error| at(&place, error))?))
}

fn purge(engine: &Engine, state: &Mutex<State>, folder: &Path) {
    let Err(panicked) = catch_unwind(AssertUnwindSafe(|| engine.purge_expired_files())) else {
        return; // what it could not purge, it tries again
    };
    drop(panicked);
    let error = at(folder, "the engine panicked while it tidied up");
    lock(state).broken.get_or_insert(error);
}

/// Calls the engine. It panics where a sync fails; after that nothing of it may be used.
fn guarded<T>(folder: &Path, call: impl FnOnce() -> raft_engine::Result<T>) -> Result<T, LogError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(engine_error(folder, &error)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            let text = text.unwrap_or("without a message");
            Err(at(folder, format!("the engine panicked: {text}")))
        }
    }
}

fn engine_error(folder: &Path, error: &raft_engine::Error) -> LogError {
    let is_disk_full = match error {
        raft_engine::Error::Io(error) => is_full(error),
        // Told for a write that did not fit, and only then.
        raft_engine::Error::TryAgain(_) => true,
        _ => false,
    };
    let text = error.to_string();
    let is_in_use = text.contains("another instance is using this directory");
    let reason = if is_in_use {
        format!("{}: another process has it open", folder.display())
    } else {
        format!("{}: {text}", folder.display())
    };
    LogError {
        reason,
        is_disk_full,
        is_in_use,
    }
}

fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

fn io_error(path: &Path, error: &std::io::Error) -> LogError {
    LogError {
        is_disk_full: is_full(error),
        ..at(path, error)
    }
}

/// Something that is wrong at a place.
fn at(path: &Path, what: impl std::fmt::Display) -> LogError {
    LogError {
        reason: format!("{}: {what}", path.display()),
        is_disk_full: false,
        is_in_use: false,
    }
}
