//! Reads all records of a channel's folder and changes nothing, for checks and copies. Goes on behind what is damaged.
//!
//! Each record is found either intact, with everything its own bytes can prove; or it is named as damaged, and reading
//! goes on with the next one that has an intact head. What the blocks say to each other (links, data hashes, signatures)
//! is for the caller.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use protos::{BlockNumber, Height, SealedBlock};

use crate::disk::{Directory, File};
use crate::reader::ReadError;
use crate::segment::record::{HEAD_BYTES, Head, RecordFault};
use crate::segment::recover::{Damage, ReadFault, read_head, read_record};
use crate::segment::{self, FolderFault, Place, file_name};

/// How much of a damaged file is looked through at a time for the next intact head.
const SEARCH_BYTES: usize = 1 << 20;

/// What was found next in a channel's folder.
#[derive(Debug)]
pub enum Inspected {
    /// An intact record.
    Block {
        /// The block.
        block: SealedBlock,
        /// Where its record is.
        place: Place,
    },
    /// Bytes that are no record.
    Damaged(DamagedPart),
    /// A segment file begins too late: blocks before it are not there.
    Missing {
        /// The file that begins too late.
        file: PathBuf,
        /// The first block that is missing.
        from: BlockNumber,
        /// The first that is there again.
        to: BlockNumber,
    },
}

/// A part of a segment file that holds no readable record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedPart {
    /// What was expected there, and what is wrong.
    pub damage: Damage,
    /// Its length in bytes.
    pub bytes: u64,
    /// The block that reading goes on with; none at the end of the newest file.
    pub goes_on_with: Option<BlockNumber>,
    /// It lies in the newest file, so it may be a write that never ended: see [`Inspection::vouched`].
    pub is_in_newest_file: bool,
}

/// The records of one channel, in order.
#[derive(Debug)]
pub struct Inspection {
    folder: Arc<dyn Directory>,
    /// All segment files, by their first blocks.
    segments: Vec<BlockNumber>,
    entered: usize,
    current: Option<Current>,
    due: BlockNumber,
    vouched: Height,
}

#[derive(Clone, Debug)]
struct Current {
    segment: BlockNumber,
    file: Arc<dyn File>,
    offset: u64,
    len: u64,
}

impl Inspection {
    /// The records in `folder`. Their number of bytes is that of now; what is written later is not read.
    pub fn open(folder: Arc<dyn Directory>) -> Result<Self, FolderFault> {
        let segments = segment::list(&*folder)?;
        Ok(Self {
            folder,
            segments,
            entered: 0,
            current: None,
            due: BlockNumber::GENESIS,
            vouched: Height::EMPTY,
        })
    }

    /// Bytes in all segment files.
    pub fn bytes(&self) -> io::Result<u64> {
        let len = |first: &BlockNumber| self.folder.open(&file_name(*first))?.len();
        self.segments.iter().map(len).sum()
    }

    /// Below this height every block was durable, by what the records read so far say. What is damaged in the newest file
    /// at or above it may be a write that was never finished; below it is damage for certain.
    pub fn vouched(&self) -> Height {
        self.vouched
    }

    /// The path of a segment file.
    pub fn file(&self, place: &Place) -> PathBuf {
        self.folder.path().join(file_name(place.segment))
    }

    fn step(&mut self) -> Result<Option<Inspected>, ReadError> {
        loop {
            match self.current.take() {
                Some(current) if current.offset < current.len => return self.record(current).map(Some),
                _ => match self.segments.get(self.entered).copied() {
                    None => return Ok(None),
                    Some(first) => {
                        if let Some(found) = self.enter(first)? {
                            return Ok(Some(found));
                        }
                    }
                },
            }
        }
    }

    /// Opens the next file. Tells what its beginning shows to be wrong.
    fn enter(&mut self, first: BlockNumber) -> Result<Option<Inspected>, ReadError> {
        let file = self.folder.path().join(file_name(first));
        if first > self.due {
            let from = std::mem::replace(&mut self.due, first);
            return Ok(Some(Inspected::Missing {
                file,
                from,
                to: first,
            }));
        }
        self.entered += 1;
        let opened = self.folder.open(&file_name(first));
        let opened = opened.and_then(|file| Ok((file.len()?, file)));
        let (len, opened) = opened.map_err(|source| ReadError::Disk {
            block: first,
            file: file.clone(),
            source,
        })?;
        if first < self.due {
            let damage = Damage {
                file,
                offset: 0,
                block: self.due,
                fault: RecordFault::WrongNumber { found: first },
            };
            return Ok(Some(self.damaged(damage, len, None)));
        }
        self.current = Some(Current {
            segment: first,
            file: opened,
            offset: 0,
            len,
        });
        Ok(None)
    }

    fn record(&mut self, mut current: Current) -> Result<Inspected, ReadError> {
        let fault = match current.read(self.due) {
            Ok((block, place, durable)) => {
                self.vouched = self.vouched.max(durable);
                self.due = self.due.next();
                current.offset = place.end();
                self.current = Some(current);
                return Ok(Inspected::Block { block, place });
            }
            Err(ReadFault::Disk(source)) => return Err(self.disk(&current, source)),
            Err(ReadFault::Record(fault)) => fault,
        };
        let damage = Damage {
            file: self.folder.path().join(file_name(current.segment)),
            offset: current.offset,
            block: self.due,
            fault,
        };
        let next = match current.next_head(self.due) {
            Ok(next) => next,
            Err(source) => return Err(self.disk(&current, source)),
        };
        let end = next.map_or(current.len, |(offset, _)| offset);
        let bytes = end - current.offset;
        if let Some((offset, head)) = next {
            self.vouched = self.vouched.max(head.durable);
            self.due = head.number;
            current.offset = offset;
            self.current = Some(current);
        }
        let in_file = next.map(|(_, head)| head.number);
        let goes_on_with = in_file.or_else(|| self.skip_to_next_file());
        Ok(self.damaged(damage, bytes, goes_on_with))
    }

    /// What is not readable at the end of a file goes up to the beginning of the next one.
    fn skip_to_next_file(&mut self) -> Option<BlockNumber> {
        let first = self.segments.get(self.entered).copied();
        let first = first.filter(|first| *first > self.due)?;
        self.due = first;
        Some(first)
    }

    fn damaged(&self, damage: Damage, bytes: u64, goes_on_with: Option<BlockNumber>) -> Inspected {
        Inspected::Damaged(DamagedPart {
            damage,
            bytes,
            goes_on_with,
            is_in_newest_file: self.entered == self.segments.len(),
        })
    }

    fn disk(&self, current: &Current, source: io::Error) -> ReadError {
        ReadError::Disk {
            block: self.due,
            file: self.folder.path().join(file_name(current.segment)),
            source,
        }
    }
}

impl Iterator for Inspection {
    type Item = Result<Inspected, ReadError>;

    /// Ends after an error.
    fn next(&mut self) -> Option<Self::Item> {
        let found = self.step();
        if found.is_err() {
            self.entered = self.segments.len();
            self.current = None;
        }
        found.transpose()
    }
}

impl Current {
    fn read(&self, due: BlockNumber) -> Result<(SealedBlock, Place, Height), ReadFault> {
        let head = read_head(&*self.file, self.offset)?;
        let place = Place {
            segment: self.segment,
            offset: self.offset,
            len: head.record_bytes(),
        };
        if place.end() > self.len {
            return Err(RecordFault::Short.into());
        }
        let block = read_record(&*self.file, place.offset, place.len, due)?;
        Ok((block, place, head.durable))
    }

    /// The next intact head of a block after `due`, behind the place where `due` is not.
    fn next_head(&self, due: BlockNumber) -> io::Result<Option<(u64, Head)>> {
        let mut from = self.offset + 1;
        let mut window = vec![0; SEARCH_BYTES];
        while from + HEAD_BYTES as u64 <= self.len {
            let count = self.file.read_at(from, &mut window)?;
            let heads = window[..count].windows(HEAD_BYTES).enumerate();
            let mut heads =
                heads.filter_map(|(at, bytes)| Some((from + at as u64, Head::decode(bytes).ok()?)));
            if let Some(found) = heads.find(|(offset, head)| self.is_plausible(due, *offset, head)) {
                return Ok(Some(found));
            }
            // The next window begins with the last bytes of this one, where a head may have begun.
            from += (count.max(HEAD_BYTES) - HEAD_BYTES + 1) as u64;
        }
        Ok(None)
    }

    fn is_plausible(&self, due: BlockNumber, offset: u64, head: &Head) -> bool {
        let records_max = (offset - self.offset) / HEAD_BYTES as u64 + 1;
        head.number > due
            && head.number.0 <= due.0.saturating_add(records_max)
            && head.durable.0 <= head.number.0
            && offset.saturating_add(head.record_bytes()) <= self.len
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::SimDisk;
    use crate::segment::SegmentWriter;
    use crate::store::tests::chain;

    const FILE: &str = "blocks-00000000000000000000.v1";

    /// Ten blocks in files of two records each, one sync a block.
    fn disk(segment_bytes_max: u64) -> SimDisk {
        let disk = SimDisk::new(1);
        let mut writer = SegmentWriter::resume(disk.root(), segment_bytes_max, None, Height::EMPTY);
        for block in chain(10) {
            let head = Head::of(block.number(), writer.durable(), block.bytes()).unwrap();
            writer.append(&head, block.bytes()).unwrap();
            writer.sync().unwrap();
        }
        disk
    }

    /// Blocks that were read, and everything else in words.
    fn inspect(disk: &SimDisk) -> (Vec<u64>, Vec<String>) {
        let (mut blocks, mut others) = (Vec::new(), Vec::new());
        for found in Inspection::open(disk.root()).unwrap() {
            match found.unwrap() {
                Inspected::Block { block, .. } => blocks.push(block.number().0),
                Inspected::Damaged(part) => others.push(format!(
                    "{} goes on with {:?}",
                    part.damage,
                    part.goes_on_with.map(|number| number.0)
                )),
                Inspected::Missing { from, to, .. } => others.push(format!("missing {from} to {to}")),
            }
        }
        (blocks, others)
    }

    #[test]
    fn an_intact_folder_is_read_to_its_end() {
        for segment_bytes_max in [1, 600, 1 << 20] {
            let (blocks, others) = inspect(&disk(segment_bytes_max));
            assert_eq!(blocks, (0..10).collect::<Vec<_>>());
            assert!(others.is_empty(), "{others:?}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_costs_one_block_and_is_named() {
        let len = disk(1 << 20).root().open(FILE).unwrap().len().unwrap();
        for offset in 0..len {
            let disk = disk(1 << 20);
            disk.flip_bit(&Path::new("/sim").join(FILE), offset, 3).unwrap();
            let (blocks, others) = inspect(&disk);
            assert_eq!(blocks.len(), 9, "byte {offset}");
            assert_eq!(others.len(), 1, "byte {offset}");
        }
    }

    #[test]
    fn a_missing_file_is_named_with_its_blocks() {
        let disk = disk(1);
        disk.root().remove_file(&file_name(BlockNumber(4))).unwrap();
        disk.root().remove_file(&file_name(BlockNumber(5))).unwrap();
        let (blocks, others) = inspect(&disk);
        assert_eq!(blocks, [0, 1, 2, 3, 6, 7, 8, 9]);
        assert_eq!(others, ["missing 4 to 6"]);
    }

    #[test]
    fn a_cut_file_is_damaged_unless_it_is_the_newest_and_nobody_vouches() {
        let disk = disk(1 << 20);
        let file = disk.root().open(FILE).unwrap();
        file.truncate(file.len().unwrap() - 1).unwrap();
        let mut inspection = Inspection::open(disk.root()).unwrap();
        let parts: Vec<_> = inspection
            .by_ref()
            .filter_map(|found| match found.unwrap() {
                Inspected::Damaged(part) => Some(part),
                _ => None,
            })
            .collect();
        assert_eq!(parts.len(), 1);
        assert!(parts[0].is_in_newest_file && parts[0].goes_on_with.is_none());
        assert_eq!((parts[0].damage.block.0, inspection.vouched().0), (9, 8));
    }

    #[test]
    fn a_file_that_begins_too_early_is_damaged() {
        let disk = disk(1);
        let folder = disk.root();
        let bytes = {
            let file = folder.open(&file_name(BlockNumber(3))).unwrap();
            let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
            file.read_at(0, &mut bytes).unwrap();
            bytes
        };
        // Two records in one file, and the second once more in its own.
        let file = folder.open(&file_name(BlockNumber(2))).unwrap();
        file.write_at(file.len().unwrap(), &[&bytes]).unwrap();
        let (blocks, others) = inspect(&disk);
        assert_eq!(blocks, (0..10).collect::<Vec<_>>());
        assert_eq!(others.len(), 1);
        assert!(others[0].contains("holds block 3 in its place"), "{others:?}");
    }
}
