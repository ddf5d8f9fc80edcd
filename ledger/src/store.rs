//! [`BlockStore`]: the one writer of a channel's chain.

mod error;
mod known;

use std::sync::{Arc, Weak};

use protos::block::Hash;
use protos::{BlockNumber, ChannelId, Height, SealedBlock};

use crate::disk::Directory;
use crate::index::Index;
use crate::places::Places;
use crate::reader::{BlockReader, Shared};
use crate::segment::record::{BLOCK_BYTES_MAX, Head};
use crate::segment::recover::{Recovered, TornTail, links, recover};
use crate::segment::{self, Place, SegmentWriter, WriteFault};
use known::Known;

pub use error::{AppendError, StoreError, SyncError, WriteError};

/// What opening a channel found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// A write torn by a crash that was cut off.
    pub torn: Option<TornTail>,
    /// Blocks read again because the index did not know them.
    pub reindexed: u64,
}

/// How one channel is stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreLimits {
    pub(crate) segment_bytes_max: u64,
    pub(crate) cache_bytes_max: usize,
}

/// The one writer of a channel's chain. IO is blocking.
///
/// A block is *appended* (written), then *synced* (durable); only then do [readers](Self::reader) see it and
/// only then may anybody be told that it exists. One sync covers all appends before it.
pub struct BlockStore {
    shared: Arc<Shared>,
    index: Arc<dyn Index>,
    writer: SegmentWriter,
    /// Header hash of the newest durable block.
    durable_tip: Option<Hash>,
    /// Written, not yet shown to readers.
    unsynced: Vec<(SealedBlock, Place)>,
    poisoned: Option<String>,
    recovery: Recovery,
    /// Tells the factory that the writer exists.
    alive: Arc<()>,
}

impl BlockStore {
    /// Opens the chain in `folder`, which may be empty, and repairs what a crash has left.
    pub(crate) fn open(
        channel: &ChannelId,
        folder: Arc<dyn Directory>,
        index: Arc<dyn Index>,
        limits: StoreLimits,
    ) -> Result<Self, StoreError> {
        let segments = segment::list(&*folder)?;
        let known = Known::ask(channel, &*folder, &*index, &segments);
        let places = Places::new(channel.clone(), Arc::clone(&index), known.from.number);
        let reindexed_from = known.from.number;
        let mut batch = Vec::new();
        let found = recover(&*folder, &segments, known.from, known.vouched, &mut |place| {
            batch.push(place);
            if batch.len() == REINDEX_BATCH {
                places.add(&batch);
                batch.clear();
            }
        })?;
        places.add(&batch);
        places.set_segments(segments.clone());
        let shared = Shared::new(
            channel.clone(),
            Arc::clone(&folder),
            places,
            limits.cache_bytes_max,
        );
        let mut store = Self::resume(shared, folder, index, limits, found, segments.last().copied());
        store.recovery.reindexed = store.shared.height().0.saturating_sub(reindexed_from.0);
        Ok(store)
    }

    fn resume(
        shared: Shared,
        folder: Arc<dyn Directory>,
        index: Arc<dyn Index>,
        limits: StoreLimits,
        found: Recovered,
        last: Option<BlockNumber>,
    ) -> Self {
        let height = Height(found.end.number.0);
        let active = last
            .zip(found.last)
            .map(|(first, file)| (first, file, found.end.offset));
        shared.publish(height);
        Self {
            shared: Arc::new(shared),
            index,
            writer: SegmentWriter::resume(folder, limits.segment_bytes_max, active, height),
            durable_tip: found.end.previous,
            unsynced: Vec::new(),
            poisoned: None,
            recovery: Recovery {
                torn: found.torn,
                reindexed: 0,
            },
            alive: Arc::new(()),
        }
    }

    /// Writes `block` behind the last one. Not yet durable and not yet visible: see [`sync`](Self::sync).
    ///
    /// On disk: one record as described in `segment/record.rs`. The block's bytes are not copied.
    ///
    /// # Errors
    /// - [`AppendError::NotNext`], [`AppendError::BrokenLink`], [`AppendError::TooLarge`]: nothing was written.
    /// - [`WriteError::DiskFull`]: go on with [`next_number`](Self::next_number) when there is room.
    /// - [`WriteError::Disk`]: the outcome is unknown; this store takes no more blocks until opened again.
    pub fn append(&mut self, block: &SealedBlock) -> Result<(), AppendError> {
        self.check_poison()?;
        let number = block.number();
        let expected = self.next_number();
        if number != expected {
            return Err(AppendError::NotNext {
                expected,
                got: number,
            });
        }
        if !links(self.last_hash(), block) {
            return Err(AppendError::BrokenLink { number });
        }
        let bytes = block.bytes();
        let head = Head::of(number, self.writer.durable(), bytes).ok_or(AppendError::TooLarge {
            number,
            bytes: bytes.len(),
            bytes_max: BLOCK_BYTES_MAX,
        })?;
        match self.writer.append(&head, bytes) {
            Ok(place) => self.unsynced.push((block.clone(), place)),
            Err(fault) => return Err(self.write_error(fault).into()),
        }
        Ok(())
    }

    /// Makes all appended blocks durable, then shows them to readers; answers the new height.
    ///
    /// # Errors
    /// - [`WriteError::DiskFull`]: what was appended since the last sync is cut off again; append it anew from
    ///   [`next_number`](Self::next_number) on.
    /// - [`WriteError::Disk`]: the outcome is unknown; this store takes no more blocks until opened again.
    pub fn sync(&mut self) -> Result<Height, SyncError> {
        self.check_poison()?;
        let result = self.writer.sync();
        match result {
            Ok(()) => self.show_durable(),
            Err(fault) => return Err(self.write_error(fault)),
        }
        Ok(self.shared.height())
    }

    /// The number the next appended block must have.
    pub fn next_number(&self) -> BlockNumber {
        self.writer.next()
    }

    /// The durable height, the one readers see.
    pub fn height(&self) -> Height {
        self.shared.height()
    }

    /// A reader of this channel.
    pub fn reader(&self) -> BlockReader {
        BlockReader::new(Arc::clone(&self.shared))
    }

    /// What opening found.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// What readers share with the writer, and a sign of the writer's life.
    pub(crate) fn handles(&self) -> (Weak<Shared>, Weak<()>) {
        (Arc::downgrade(&self.shared), Arc::downgrade(&self.alive))
    }

    /// Header hash of the block before the next one.
    fn last_hash(&self) -> Option<&Hash> {
        let unsynced = self.unsynced.last().map(|(block, _)| block.hash());
        unsynced.or(self.durable_tip.as_ref())
    }

    /// Shows readers every block that the writer knows as durable.
    fn show_durable(&mut self) {
        let durable = self.writer.durable();
        let count = self
            .unsynced
            .partition_point(|(block, _)| block.number().0 < durable.0);
        let shown: Vec<_> = self.unsynced.drain(..count).collect();
        let Some((tip, _)) = shown.last() else {
            return;
        };
        self.durable_tip = Some(*tip.hash());
        let begins_next_file = |place: &Place| place.offset == 0 && place.segment != BlockNumber::GENESIS;
        let rolled = shown.iter().any(|(_, place)| begins_next_file(place));
        let places: Vec<Place> = shown.iter().map(|(_, place)| *place).collect();
        self.shared.places.add(&places);
        self.shared
            .cache
            .extend(shown.into_iter().map(|(block, _)| block));
        self.shared.publish(durable);
        if rolled {
            self.write_out_index();
        }
    }

    /// Bounds what the next start reads again. The index may fail: then the next start reads more.
    fn write_out_index(&self) {
        self.shared.places.hand_over();
        let _ = self.index.flush();
    }

    fn check_poison(&self) -> Result<(), WriteError> {
        self.poisoned.as_ref().map_or(Ok(()), |reason| {
            Err(WriteError::Poisoned {
                reason: reason.clone(),
            })
        })
    }

    /// Brings the store in line with the files after a failed write.
    fn write_error(&mut self, fault: WriteFault) -> WriteError {
        let WriteFault {
            file,
            source,
            cut_back,
        } = fault;
        if !cut_back {
            self.poisoned = Some(format!("writing {} failed: {source}", file.display()));
            return WriteError::Disk { file, source };
        }
        let next = self.writer.next();
        self.unsynced.retain(|(block, _)| block.number() < next);
        self.show_durable();
        WriteError::DiskFull { file, source }
    }
}

/// What readers need of a chain that is damaged from block `damaged` on: those before it, which recovery has seen or
/// the index vouched for.
pub(crate) fn read_before(
    channel: &ChannelId,
    folder: Arc<dyn Directory>,
    index: Arc<dyn Index>,
    damaged: BlockNumber,
    cache_bytes_max: usize,
) -> Result<Arc<Shared>, StoreError> {
    let places = Places::new(channel.clone(), index, damaged);
    places.set_segments(segment::list(&*folder)?);
    let shared = Shared::new(channel.clone(), folder, places, cache_bytes_max);
    shared.publish(Height(damaged.0));
    Ok(Arc::new(shared))
}

/// How many places recovery gathers before it passes them on.
const REINDEX_BATCH: usize = 256;

impl Drop for BlockStore {
    /// A clean close leaves nothing for the next start to read again. The factory flushes once for all.
    fn drop(&mut self) {
        self.shared.places.hand_over();
    }
}

impl std::fmt::Debug for BlockStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockStore")
            .field("channel", &self.shared.channel)
            .field("height", &self.height())
            .field("next", &self.next_number())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
