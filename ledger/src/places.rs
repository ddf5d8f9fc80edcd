//! Finds a block's record: the newest places in memory, older ones in the [`Index`], and where that does not
//! know or does not answer, the segment file in which to look.

use std::sync::{Arc, PoisonError, RwLock};

use protos::{BlockNumber, ChannelId};

use crate::index::Index;
use crate::segment::Place;

/// How many places are gathered before the index is told of them at once.
const INDEX_BATCH_PLACES: usize = 1024;
/// How many bytes of blocks: what has to be read again after a crash stays about below it.
const INDEX_BATCH_BYTES: u64 = 32 << 20;

/// The places of one channel's durable blocks.
pub(crate) struct Places {
    channel: ChannelId,
    index: Arc<dyn Index>,
    newest: RwLock<Newest>,
}

struct Newest {
    /// First blocks of all segment files, ascending.
    segments: Vec<BlockNumber>,
    /// The block `recent` begins with; the index was told of those before.
    first: BlockNumber,
    recent: Vec<Place>,
    recent_bytes: u64,
}

/// Where to find a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// There.
    At(Place),
    /// Somewhere in the file that begins with this block.
    InSegment(BlockNumber),
}

impl Places {
    /// Places from block `first` on; the index knows those before it.
    pub(crate) fn new(channel: ChannelId, index: Arc<dyn Index>, first: BlockNumber) -> Self {
        let newest = Newest {
            segments: Vec::new(),
            first,
            recent: Vec::new(),
            recent_bytes: 0,
        };
        Self {
            channel,
            index,
            newest: RwLock::new(newest),
        }
    }

    /// Takes note of the segment files there are.
    pub(crate) fn set_segments(&self, segments: Vec<BlockNumber>) {
        self.write().segments = segments;
    }

    /// Adds the places of the blocks that come next; they are durable.
    pub(crate) fn add(&self, places: &[Place]) {
        let mut newest = self.write();
        for place in places {
            if newest.segments.last().is_none_or(|last| *last < place.segment) {
                newest.segments.push(place.segment);
            }
            newest.recent_bytes = newest.recent_bytes.saturating_add(place.len);
            newest.recent.push(*place);
        }
        let many = newest.recent.len() >= INDEX_BATCH_PLACES || newest.recent_bytes >= INDEX_BATCH_BYTES;
        drop(newest);
        if many {
            self.hand_over();
        }
    }

    /// Tells the index what it does not know yet. When it fails, the places stay in memory.
    ///
    /// Only the one writer of the channel calls this, so nothing is added between the two locks.
    pub(crate) fn hand_over(&self) {
        let (first, places) = {
            let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
            (newest.first, newest.recent.clone())
        };
        if places.is_empty() || self.index.insert(&self.channel, first, &places).is_err() {
            return;
        }
        let mut newest = self.write();
        newest.first = BlockNumber(first.0.saturating_add(places.len() as u64));
        newest.recent.clear();
        newest.recent_bytes = 0;
    }

    /// Where block `number` is, which must be durable. None only without any segment file.
    pub(crate) fn find(&self, number: BlockNumber) -> Option<Found> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = number.0.checked_sub(newest.first.0) {
            let place = usize::try_from(position).ok().and_then(|p| newest.recent.get(p));
            return place.copied().map(Found::At);
        }
        drop(newest);
        match self.index.get(&self.channel, number) {
            Ok(Some(place)) => Some(Found::At(place)),
            _ => self.segment_of(number).map(Found::InSegment),
        }
    }

    /// The segment file that holds block `number`, by its first block.
    pub(crate) fn segment_of(&self, number: BlockNumber) -> Option<BlockNumber> {
        let newest = self.newest.read().unwrap_or_else(PoisonError::into_inner);
        let after = newest.segments.partition_point(|first| *first <= number);
        newest.segments.get(after.checked_sub(1)?).copied()
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Newest> {
        self.newest.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}
