//! What a start finds in the segment files: how far they are intact, and why no further.
//!
//! A record that cannot be read is one of two things. A *torn tail*: the power went while it was written,
//! nobody was ever told that it is there, and it is cut off. Or *damage*: the record was durable and has been
//! changed since; then the channel is not opened and the error names file and offset. It is damage when
//!
//! * the file is not the last one, since a file is synced before the next one begins;
//! * a later record in the file knows the block as durable; or
//! * the index does, which is told of a block only after its sync.
//!
//! What none of them vouches for is in the last group of records written before the process ended. What is
//! intact of that group is written once more before it counts: after a failed sync the operating system may
//! show bytes that it will never bring to disk.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use protos::block::Hash;
use protos::{BlockNumber, Height, SealedBlock};

use super::record::{HEAD_BYTES, Head, RECORD_BYTES_MAX, RecordFault};
use super::{Place, file_name};
use crate::disk::{Directory, File, read_exact_at};

/// A record that was durable and cannot be read any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("block {block} is damaged in {} at byte {offset}: {fault}", .file.display())]
pub struct Damage {
    /// The segment file.
    pub file: PathBuf,
    /// Where the record begins, in bytes.
    pub offset: u64,
    /// The block that should be there.
    pub block: BlockNumber,
    /// What is wrong with it.
    pub fault: RecordFault,
}

/// A write that a crash had torn, cut off on open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The segment file.
    pub file: PathBuf,
    /// Its length now, in bytes.
    pub offset: u64,
    /// How many bytes were cut off.
    pub bytes: u64,
}

/// Why recovery gave up.
#[derive(Debug)]
pub(crate) enum RecoverError {
    Damaged(Damage),
    Disk { file: PathBuf, source: io::Error },
}

/// Why a record could not be read.
#[derive(Debug)]
pub(crate) enum ReadFault {
    Record(RecordFault),
    Disk(io::Error),
}

impl From<RecordFault> for ReadFault {
    fn from(fault: RecordFault) -> Self {
        Self::Record(fault)
    }
}

impl From<io::Error> for ReadFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Record(RecordFault::Short),
            _ => Self::Disk(error),
        }
    }
}

/// Reads the head at `offset`.
pub(crate) fn read_head(file: &dyn File, offset: u64) -> Result<Head, ReadFault> {
    let mut bytes = [0; HEAD_BYTES];
    read_exact_at(file, offset, &mut bytes)?;
    Ok(Head::decode(&bytes)?)
}

/// Reads block `number` from a record of known length; everything that can be checked is.
pub(crate) fn read_record(
    file: &dyn File,
    offset: u64,
    len: u64,
    number: BlockNumber,
) -> Result<SealedBlock, ReadFault> {
    if !(HEAD_BYTES as u64..=RECORD_BYTES_MAX).contains(&len) {
        return Err(RecordFault::Head.into());
    }
    let len = usize::try_from(len).map_err(|_| RecordFault::Head)?;
    let mut bytes = vec![0; len];
    read_exact_at(file, offset, &mut bytes)?;
    let head = Head::decode(&bytes)?;
    if head.number != number {
        return Err(RecordFault::WrongNumber { found: head.number }.into());
    }
    let body = Bytes::from(bytes).slice(HEAD_BYTES..);
    head.check_body(&body)?;
    let block = SealedBlock::from_bytes(body).map_err(|_| RecordFault::NotABlock)?;
    if block.number() != number {
        return Err(RecordFault::NotABlock.into());
    }
    Ok(block)
}

/// Where scanning stands: the next record and what it must hold.
#[derive(Clone, Debug)]
pub(crate) struct Position {
    /// Which of the segment files, by its first block.
    pub(crate) segment: BlockNumber,
    /// Where in it, in bytes.
    pub(crate) offset: u64,
    /// The block expected there.
    pub(crate) number: BlockNumber,
    /// The header hash it must name as the one before; none for block 0.
    pub(crate) previous: Option<Hash>,
}

impl Position {
    /// The beginning of a chain.
    pub(crate) const BEGINNING: Self = Self {
        segment: BlockNumber::GENESIS,
        offset: 0,
        number: BlockNumber::GENESIS,
        previous: None,
    };

    /// The position after `block`, whose record is at `place`.
    pub(crate) fn after(block: &SealedBlock, place: &Place) -> Self {
        Self {
            segment: place.segment,
            offset: place.end(),
            number: block.number().next(),
            previous: Some(*block.hash()),
        }
    }

    /// Reads the record here, checks that it links, and steps behind it. Answers where it was and what height
    /// it knew as durable.
    fn step(&mut self, file: &dyn File, file_len: u64) -> Result<(Place, Height), ReadFault> {
        let head = read_head(file, self.offset)?;
        let len = head.record_bytes();
        if self.offset.saturating_add(len) > file_len {
            return Err(RecordFault::Short.into());
        }
        let block = read_record(file, self.offset, len, self.number)?;
        if !links(self.previous.as_ref(), &block) {
            return Err(RecordFault::BrokenLink.into());
        }
        let place = Place {
            segment: self.segment,
            offset: self.offset,
            len,
        };
        *self = Self::after(&block, &place);
        Ok((place, head.durable))
    }
}

/// True when `block` names the header hash `previous`; block 0 names none, whatever its bytes say.
pub(crate) fn links(previous: Option<&Hash>, block: &SealedBlock) -> bool {
    previous.is_none_or(|hash| block.previous_hash() == hash)
}

/// The files as they stand after recovery; all of it is durable.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// Behind the last good record.
    pub(crate) end: Position,
    /// The last file, if there is one.
    pub(crate) last: Option<Arc<dyn File>>,
    /// What was cut off.
    pub(crate) torn: Option<TornTail>,
}

/// Reads all records from `from` on, cuts off a torn tail, and makes what is left durable.
///
/// `segments` are all files of the folder, ascending. `vouched` is the height the index knows as durable.
/// Each place found is handed to `found` in order, once it is durable.
pub(crate) fn recover(
    folder: &dyn Directory,
    segments: &[BlockNumber],
    from: Position,
    vouched: Height,
    found: &mut dyn FnMut(Place),
) -> Result<Recovered, RecoverError> {
    let mut recovery = Recovery {
        folder,
        at: from,
        vouched,
    };
    let ahead: Vec<BlockNumber> = segments
        .iter()
        .copied()
        .filter(|first| *first >= recovery.at.segment)
        .collect();
    let Some((last, complete)) = ahead.split_last() else {
        return Ok(recovery.finish(None, None));
    };
    for segment in complete {
        recovery.complete_file(*segment, found)?;
    }
    recovery.last_file(*last, found)
}

struct Recovery<'a> {
    folder: &'a dyn Directory,
    at: Position,
    /// The index, or a record read so far, knows every block below it as durable.
    vouched: Height,
}

impl Recovery<'_> {
    fn finish(self, last: Option<Arc<dyn File>>, torn: Option<TornTail>) -> Recovered {
        Recovered {
            end: self.at,
            last,
            torn,
        }
    }

    /// Reads a file that another one follows: it must be intact to its end.
    fn complete_file(
        &mut self,
        first: BlockNumber,
        found: &mut dyn FnMut(Place),
    ) -> Result<(), RecoverError> {
        let (file, len) = self.enter(first)?;
        match self.scan(&*file, len, found)? {
            None => Ok(()),
            Some(fault) => Err(self.damaged(fault)),
        }
    }

    /// Reads the file that grows.
    fn last_file(
        mut self,
        first: BlockNumber,
        found: &mut dyn FnMut(Place),
    ) -> Result<Recovered, RecoverError> {
        let (file, len) = self.enter(first)?;
        let first_read = self.at.number;
        let mut places = Vec::new();
        let stopped = self.scan(&*file, len, &mut |place| places.push(place))?;
        let torn = match stopped {
            Some(fault) => Some(self.cut_torn_tail(&*file, len, fault)?),
            None if self.at.number.0 < self.vouched.0 => return Err(self.damaged(RecordFault::Short)),
            None => None,
        };
        self.make_durable(&*file, first_read, &places)
            .map_err(|source| self.disk(source))?;
        places.into_iter().for_each(found);
        Ok(self.finish(Some(file), torn))
    }

    /// Writes the records that nothing vouches for again, and syncs. `places` begins with block `first`.
    fn make_durable(&self, file: &dyn File, first: BlockNumber, places: &[Place]) -> io::Result<()> {
        if self.vouched.0 <= self.at.segment.0 {
            // Not even the file's name need be durable.
            self.folder.sync_dir()?;
        }
        let vouched = usize::try_from(self.vouched.0.saturating_sub(first.0)).unwrap_or(usize::MAX);
        let unsure = places.get(vouched..).unwrap_or_default();
        for place in unsure {
            let mut bytes = vec![0; usize::try_from(place.len).map_err(io::Error::other)?];
            read_exact_at(file, place.offset, &mut bytes)?;
            file.write_at(place.offset, &[&bytes])?;
        }
        if unsure.is_empty() { Ok(()) } else { file.sync() }
    }

    /// Opens the file that begins with `first`, which must be the block that is due.
    fn enter(&mut self, first: BlockNumber) -> Result<(Arc<dyn File>, u64), RecoverError> {
        let continues = first == self.at.segment && self.at.offset > 0;
        if !continues && first != self.at.number {
            return Err(self.damaged(RecordFault::Short));
        }
        if !continues {
            self.at.segment = first;
            self.at.offset = 0;
        }
        let opened = self.folder.open(&file_name(first));
        let file = opened.map_err(|source| self.disk(source))?;
        let len = file.len().map_err(|source| self.disk(source))?;
        Ok((file, len))
    }

    /// Steps over good records to the end of the file, or to the first fault.
    fn scan(
        &mut self,
        file: &dyn File,
        len: u64,
        found: &mut dyn FnMut(Place),
    ) -> Result<Option<RecordFault>, RecoverError> {
        while self.at.offset != len {
            match self.at.step(file, len) {
                Ok((place, durable)) => {
                    self.vouched = self.vouched.max(durable);
                    found(place);
                }
                Err(ReadFault::Record(fault)) => return Ok(Some(fault)),
                Err(ReadFault::Disk(source)) => return Err(self.disk(source)),
            }
        }
        Ok(None)
    }

    /// Cuts the file where scanning stopped, unless something vouches for what is behind.
    fn cut_torn_tail(&self, file: &dyn File, len: u64, fault: RecordFault) -> Result<TornTail, RecoverError> {
        if self.at.number.0 < self.vouched.0 || self.later_record_vouches(file, len)? {
            return Err(self.damaged(fault));
        }
        file.truncate(self.at.offset)
            .map_err(|source| self.disk(source))?;
        Ok(TornTail {
            file: self.path(),
            offset: self.at.offset,
            bytes: len.saturating_sub(self.at.offset),
        })
    }

    /// Looks behind the fault for the head of a record that knew the block in question as durable.
    fn later_record_vouches(&self, file: &dyn File, len: u64) -> Result<bool, RecoverError> {
        let rest = len.saturating_sub(self.at.offset);
        let mut bytes = vec![0; usize::try_from(rest).unwrap_or(usize::MAX)];
        let count = file
            .read_at(self.at.offset, &mut bytes)
            .map_err(|source| self.disk(source))?;
        Ok(bytes[..count]
            .windows(HEAD_BYTES)
            .filter_map(|window| Head::decode(window).ok())
            .any(|head| {
                let records_max = rest / HEAD_BYTES as u64;
                let plausible = head.number.0 <= self.at.number.0.saturating_add(records_max);
                plausible && head.durable.0 <= head.number.0 && self.at.number.0 < head.durable.0
            }))
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(file_name(self.at.segment))
    }

    fn damaged(&self, fault: RecordFault) -> RecoverError {
        RecoverError::Damaged(Damage {
            file: self.path(),
            offset: self.at.offset,
            block: self.at.number,
            fault,
        })
    }

    fn disk(&self, source: io::Error) -> RecoverError {
        RecoverError::Disk {
            file: self.path(),
            source,
        }
    }
}
