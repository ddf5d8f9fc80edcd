//! Reading a channel's blocks, from any thread, while the one writer appends.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use protos::{BlockNumber, ChannelId, Height, SealedBlock};

use crate::cache::RecentBlocks;
use crate::disk::{Directory, File};
use crate::notify::{HeightWatcher, Watchers};
use crate::places::{Found, Places};
use crate::segment::record::RecordFault;
use crate::segment::recover::{Damage, ReadFault, read_head, read_record};
use crate::segment::{Place, file_name};

/// How many segment files of a channel are kept open for reading.
const OPEN_FILES_MAX: usize = 8;

/// Why a block below the height cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its record is not as it was written.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The disk fails.
    #[error("cannot read block {block} from {file}: {source}")]
    Disk {
        /// The block.
        block: BlockNumber,
        /// The segment file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The channel was removed while the reader was in use.
    #[error("channel {channel} was removed")]
    Removed {
        /// The channel.
        channel: ChannelId,
    },
}

/// What writer and readers of a channel share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) channel: ChannelId,
    pub(crate) places: Places,
    pub(crate) cache: RecentBlocks,
    height: AtomicU64,
    removed: AtomicBool,
    watchers: Watchers,
    files: OpenFiles,
}

impl Shared {
    pub(crate) fn new(
        channel: ChannelId,
        folder: Arc<dyn Directory>,
        places: Places,
        cache_bytes_max: usize,
    ) -> Self {
        Self {
            channel,
            places,
            cache: RecentBlocks::new(cache_bytes_max),
            height: AtomicU64::new(0),
            removed: AtomicBool::new(false),
            watchers: Watchers::default(),
            files: OpenFiles::new(folder),
        }
    }

    /// The durable height.
    pub(crate) fn height(&self) -> Height {
        Height(self.height.load(Ordering::Acquire))
    }

    /// Shows readers a new height; everything below it is durable, and findable in `places`.
    pub(crate) fn publish(&self, height: Height) {
        self.height.store(height.0, Ordering::Release);
        self.watchers.tell(height);
    }

    /// From now on reads say that the channel is gone, and its watchers are dropped.
    pub(crate) fn mark_removed(&self) {
        self.removed.store(true, Ordering::Release);
        self.watchers.clear();
    }

    /// Reads a durable block from disk.
    pub(crate) fn read(&self, number: BlockNumber) -> Result<SealedBlock, ReadError> {
        match self.places.find(number) {
            Some(Found::At(place)) => match self.read_at(place, number) {
                // The index may be wrong where the files are right.
                Err(ReadFault::Record(_)) => self.read_walking(number),
                other => other.map_err(|fault| self.error(number, place, fault)),
            },
            _ => self.read_walking(number),
        }
    }

    fn read_at(&self, place: Place, number: BlockNumber) -> Result<SealedBlock, ReadFault> {
        let file = self.files.get(place.segment)?;
        read_record(&*file, place.offset, place.len, number)
    }

    /// Looks for a block from the beginning of its segment file.
    fn read_walking(&self, number: BlockNumber) -> Result<SealedBlock, ReadError> {
        let mut place = Place {
            segment: self.places.segment_of(number).unwrap_or(BlockNumber::GENESIS),
            offset: 0,
            len: 0,
        };
        self.walk(&mut place, number)
            .and_then(|()| self.read_at(place, number))
            .map_err(|fault| self.error(number, place, fault))
    }

    /// Steps from head to head until `place` is that of block `number`.
    fn walk(&self, place: &mut Place, number: BlockNumber) -> Result<(), ReadFault> {
        let file = self.files.get(place.segment)?;
        for due in place.segment.0..=number.0 {
            place.offset = place.end();
            let head = read_head(&*file, place.offset)?;
            if head.number.0 != due {
                return Err(RecordFault::WrongNumber { found: head.number }.into());
            }
            place.len = head.record_bytes();
        }
        Ok(())
    }

    fn error(&self, block: BlockNumber, place: Place, fault: ReadFault) -> ReadError {
        if self.removed.load(Ordering::Acquire) {
            let channel = self.channel.clone();
            return ReadError::Removed { channel };
        }
        let file = self.files.folder.path().join(file_name(place.segment));
        match fault {
            ReadFault::Disk(source) => ReadError::Disk { block, file, source },
            ReadFault::Record(fault) => ReadError::Damaged(Damage {
                file,
                offset: place.offset,
                block,
                fault,
            }),
        }
    }
}

/// The segment files lately read from, the latest at the back.
#[derive(Debug)]
struct OpenFiles {
    folder: Arc<dyn Directory>,
    open: Mutex<VecDeque<(BlockNumber, Arc<dyn File>)>>,
}

impl OpenFiles {
    fn new(folder: Arc<dyn Directory>) -> Self {
        Self {
            folder,
            open: Mutex::default(),
        }
    }

    fn get(&self, segment: BlockNumber) -> io::Result<Arc<dyn File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.iter().position(|(first, _)| *first == segment);
        let entry = match known.and_then(|at| open.remove(at)) {
            Some(entry) => entry,
            None => (segment, self.folder.open(&file_name(segment))?),
        };
        let file = Arc::clone(&entry.1);
        open.push_back(entry);
        if open.len() > OPEN_FILES_MAX {
            open.pop_front();
        }
        Ok(file)
    }
}

/// Reads one channel's blocks. Cheap to clone; usable from any thread.
#[derive(Clone, Debug)]
pub struct BlockReader(Arc<Shared>);

impl BlockReader {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// The channel.
    pub fn channel(&self) -> &ChannelId {
        &self.0.channel
    }

    /// How many blocks are durable. Never falls.
    pub fn height(&self) -> Height {
        self.0.height()
    }

    /// The block with this number; none at or above the [`height`](Self::height).
    ///
    /// The newest blocks come from memory, others from disk with their checksum verified.
    pub fn get(&self, number: BlockNumber) -> Result<Option<SealedBlock>, ReadError> {
        if self.0.removed.load(Ordering::Acquire) {
            let channel = self.0.channel.clone();
            return Err(ReadError::Removed { channel });
        }
        if number.0 >= self.height().0 {
            return Ok(None);
        }
        match self.0.cache.get(number) {
            Some(block) => Ok(Some(block)),
            None => self.0.read(number).map(Some),
        }
    }

    /// The block with this number as the disk has it; it must be below the height.
    pub(crate) fn get_from_disk(&self, number: BlockNumber) -> Result<SealedBlock, ReadError> {
        self.0.read(number)
    }

    /// The newest block; none in an empty chain.
    pub fn tip(&self) -> Result<Option<SealedBlock>, ReadError> {
        self.height().tip().map_or(Ok(None), |number| self.get(number))
    }

    /// The blocks from `first` on, up to the height at each step. Ends after an error.
    pub fn iter(&self, first: BlockNumber) -> Blocks {
        Blocks {
            reader: self.clone(),
            next: Some(first),
        }
    }

    /// Calls `watcher` with every new height from now on; for as long as the channel is open, so register
    /// once a channel. Read the [`height`](Self::height) after registering to miss none.
    pub fn on_height(&self, watcher: HeightWatcher) {
        self.0.watchers.add(watcher);
    }
}

/// Blocks in a row; see [`BlockReader::iter`].
#[derive(Debug)]
pub struct Blocks {
    reader: BlockReader,
    next: Option<BlockNumber>,
}

impl Iterator for Blocks {
    type Item = Result<SealedBlock, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.next?;
        let block = self.reader.get(number).transpose()?;
        self.next = block.is_ok().then(|| number.next());
        Some(block)
    }
}
