//! Where each block is: number -> [`Place`].
//!
//! An index only saves time. Everything in it can be found again by reading the segment files, so it is
//! never synced on the way of a block and it is rebuilt when it is missing, corrupt or behind. It is told of
//! a block only after that block is durable, which makes it a witness for recovery.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protos::{BlockNumber, ChannelId, Height};

use crate::segment::Place;

/// Memory sled may use for its pages, for all channels together.
const SLED_CACHE_BYTES: u64 = 16 << 20;
/// How often, and how far apart, opening is tried while the file is locked: 2 seconds in all.
const LOCK_TRIES: u32 = 200;
const LOCK_WAIT: Duration = Duration::from_millis(10);
/// The file with sled's log.
const SLED_FILE: &str = "db";
/// Three integers of 8 bytes.
const PLACE_BYTES: usize = 24;

/// An index that does not answer. The block can still be found without it.
#[derive(Debug, thiserror::Error)]
#[error("block index: {reason}")]
pub struct IndexError {
    reason: String,
    in_use: bool,
}

impl IndexError {
    fn new(reason: &(impl ToString + ?Sized)) -> Self {
        Self {
            reason: reason.to_string(),
            in_use: false,
        }
    }

    /// True when somebody else has the index open, so that it must not be touched.
    pub fn is_in_use(&self) -> bool {
        self.in_use
    }
}

impl From<sled::Error> for IndexError {
    fn from(error: sled::Error) -> Self {
        Self {
            in_use: is_locked(&error),
            ..Self::new(&error)
        }
    }
}

/// sled has no error kind for it.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(io) if io.to_string().contains("could not acquire lock"))
}

/// Number -> place, for all channels of a node.
pub trait Index: Send + Sync {
    /// The height up to which places are known.
    fn height(&self, channel: &ChannelId) -> Result<Height, IndexError>;
    /// The place of a block, if known.
    fn get(&self, channel: &ChannelId, number: BlockNumber) -> Result<Option<Place>, IndexError>;
    /// Adds the places of durable blocks, `first` and those after it.
    fn insert(&self, channel: &ChannelId, first: BlockNumber, places: &[Place]) -> Result<(), IndexError>;
    /// Drops everything known about a channel.
    fn forget(&self, channel: &ChannelId) -> Result<(), IndexError>;
    /// Writes out what is held back, so that less is read again after a crash. No durability point.
    fn flush(&self) -> Result<(), IndexError>;
}

/// An index in memory: empty after each start. For simulation.
#[derive(Debug, Default)]
pub struct MemoryIndex {
    channels: Mutex<BTreeMap<ChannelId, BTreeMap<BlockNumber, Place>>>,
}

impl MemoryIndex {
    fn channels(&self) -> MutexGuard<'_, BTreeMap<ChannelId, BTreeMap<BlockNumber, Place>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index for MemoryIndex {
    fn height(&self, channel: &ChannelId) -> Result<Height, IndexError> {
        let channels = self.channels();
        let last = channels.get(channel).and_then(|places| places.last_key_value());
        Ok(last.map_or(Height::EMPTY, |(number, _)| Height::of_tip(*number)))
    }

    fn get(&self, channel: &ChannelId, number: BlockNumber) -> Result<Option<Place>, IndexError> {
        let channels = self.channels();
        Ok(channels
            .get(channel)
            .and_then(|places| places.get(&number).copied()))
    }

    fn insert(&self, channel: &ChannelId, first: BlockNumber, places: &[Place]) -> Result<(), IndexError> {
        let mut channels = self.channels();
        let known = channels.entry(channel.clone()).or_default();
        known.extend((first.0..).map(BlockNumber).zip(places.iter().copied()));
        Ok(())
    }

    fn forget(&self, channel: &ChannelId) -> Result<(), IndexError> {
        self.channels().remove(channel);
        Ok(())
    }

    fn flush(&self) -> Result<(), IndexError> {
        Ok(())
    }
}

/// The index on disk: one sled database, a tree a channel, big-endian number -> place.
///
/// sled may panic on a damaged file or a failing disk; that ends here as an [`IndexError`].
#[derive(Debug)]
pub struct SledIndex {
    database: sled::Db,
}

impl SledIndex {
    /// Opens or makes the database in the folder `path`. An error also when there was something and sled
    /// would begin anew over it.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let existed = std::fs::metadata(path.join(SLED_FILE)).is_ok_and(|data| data.len() > 0);
        // No flushing thread: the store says when.
        let config = sled::Config::new()
            .path(path)
            .cache_capacity(SLED_CACHE_BYTES)
            .flush_every_ms(None);
        let database = guarded(|| open_when_free(&config))?;
        if existed && !database.was_recovered() {
            return Err(IndexError::new("nothing in it can be read"));
        }
        Ok(Self { database })
    }

    fn tree(&self, channel: &ChannelId) -> sled::Result<sled::Tree> {
        self.database.open_tree(channel.as_str())
    }
}

/// A database that was dropped lets go of its file a little later, on a thread of its own.
#[expect(
    clippy::disallowed_methods,
    reason = "only while starting, and only when an earlier one in the same process lets go"
)]
fn open_when_free(config: &sled::Config) -> sled::Result<sled::Db> {
    for _ in 0..LOCK_TRIES {
        match config.open() {
            Err(error) if is_locked(&error) => std::thread::sleep(LOCK_WAIT),
            other => return other,
        }
    }
    config.open()
}

/// Runs a piece of sled; errors and panics come out the same way.
fn guarded<T>(run: impl FnOnce() -> sled::Result<T>) -> Result<T, IndexError> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => Ok(result?),
        Err(_) => Err(IndexError::new("the database failed")),
    }
}

impl Index for SledIndex {
    fn height(&self, channel: &ChannelId) -> Result<Height, IndexError> {
        let last = guarded(|| self.tree(channel)?.last())?;
        let Some((key, _)) = last else {
            return Ok(Height::EMPTY);
        };
        let number = <[u8; 8]>::try_from(&*key).map_err(|_| IndexError::new("a key is no block number"))?;
        Ok(Height::of_tip(BlockNumber(u64::from_be_bytes(number))))
    }

    fn get(&self, channel: &ChannelId, number: BlockNumber) -> Result<Option<Place>, IndexError> {
        let value = guarded(|| self.tree(channel)?.get(number.0.to_be_bytes()))?;
        value.map(|bytes| decode(&bytes)).transpose()
    }

    fn insert(&self, channel: &ChannelId, first: BlockNumber, places: &[Place]) -> Result<(), IndexError> {
        let mut batch = sled::Batch::default();
        for (number, place) in (first.0..).zip(places) {
            batch.insert(&number.to_be_bytes(), &encode(place));
        }
        guarded(|| self.tree(channel)?.apply_batch(batch))
    }

    fn forget(&self, channel: &ChannelId) -> Result<(), IndexError> {
        guarded(|| self.database.drop_tree(channel.as_str()))?;
        self.flush()
    }

    fn flush(&self) -> Result<(), IndexError> {
        guarded(|| self.database.flush())?;
        Ok(())
    }
}

fn encode(place: &Place) -> [u8; PLACE_BYTES] {
    let mut out = [0; PLACE_BYTES];
    let fields = [place.segment.0, place.offset, place.len];
    for (slot, field) in out.chunks_exact_mut(8).zip(fields) {
        slot.copy_from_slice(&field.to_be_bytes());
    }
    out
}

fn decode(bytes: &[u8]) -> Result<Place, IndexError> {
    let (fields, rest) = bytes.as_chunks::<8>();
    match (fields, rest) {
        ([segment, offset, len], []) => Ok(Place {
            segment: BlockNumber(u64::from_be_bytes(*segment)),
            offset: u64::from_be_bytes(*offset),
            len: u64::from_be_bytes(*len),
        }),
        _ => Err(IndexError::new("a value is no place")),
    }
}
