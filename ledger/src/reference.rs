//! Reads the block files of the reference implementation, for import. Nothing in its folder is changed.
//!
//! `blockfile_000000`, `_000001`, ... are rows of records: a length, then header, data and metadata
//! (`docs/spec/dropin.md` §6.1). They carry no checksum, so each block is checked against its data hash and
//! against the block before it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use protos::block::{Hash, SealError, block_data_hash};
use protos::block_file::{self, NUMBER_BYTES_MAX};
use protos::{BlockNumber, SealedBlock};

use crate::disk::{Directory, File, read_exact_at};
use crate::segment::FOREIGN_PREFIX;
use crate::segment::record::BLOCK_BYTES_MAX;

/// Why a block of the reference implementation cannot be imported.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// The disk fails.
    #[error("cannot read {file}: {source}")]
    Disk {
        /// The block file, or the folder.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A record is not what it should be.
    #[error("block {block} in {file} at byte {offset}: {reason}")]
    Record {
        /// The block file.
        file: PathBuf,
        /// Where the record begins, in bytes.
        offset: u64,
        /// The block that should be there.
        block: BlockNumber,
        /// What is wrong with it.
        reason: RecordProblem,
    },
}

/// What is wrong with a record of the reference implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordProblem {
    /// Its parts do not fill it.
    #[error("the record does not decode")]
    Malformed,
    /// It ends behind the end of a file that another one follows.
    #[error("the file ends inside the record")]
    Short,
    /// It is another block.
    #[error("holds another block")]
    WrongNumber,
    /// It does not link to the block before it.
    #[error("previous hash is not the header hash of the block before it")]
    BrokenLink,
    /// Its entries are not those its header names.
    #[error("data hash does not match the entries")]
    DataHash,
}

impl From<SealError> for RecordProblem {
    fn from(_: SealError) -> Self {
        Self::Malformed
    }
}

/// The blocks of a channel folder of the reference implementation, from block 0 on.
///
/// A record that the end of the last file cuts off is left out, as the reference implementation does. Ends
/// after an error.
#[derive(Debug)]
pub struct ReferenceBlocks {
    folder: Arc<dyn Directory>,
    /// Names of the files to come, the next one last.
    to_come: Vec<String>,
    current: Option<Current>,
    next: BlockNumber,
    previous: Option<Hash>,
    torn_bytes: u64,
}

#[derive(Debug)]
struct Current {
    name: String,
    file: Arc<dyn File>,
    offset: u64,
    len: u64,
}

impl ReferenceBlocks {
    /// The blocks in `folder`.
    pub fn open(folder: Arc<dyn Directory>) -> Result<Self, ReferenceError> {
        let listed = folder.list();
        let entries = listed.map_err(|source| ReferenceError::Disk {
            file: folder.path(),
            source,
        })?;
        let mut to_come: Vec<_> = entries
            .into_iter()
            .map(|entry| entry.name)
            .filter(|name| name.starts_with(FOREIGN_PREFIX))
            .collect();
        to_come.reverse();
        Ok(Self {
            folder,
            to_come,
            current: None,
            next: BlockNumber::GENESIS,
            previous: None,
            torn_bytes: 0,
        })
    }

    /// Bytes in all files.
    pub fn bytes(&self) -> io::Result<u64> {
        let len = |name: &String| self.folder.open(name)?.len();
        self.to_come.iter().map(len).sum()
    }

    /// After the end: how many bytes of the last file hold a record that was not written to its end.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    fn next_block(&mut self) -> Result<Option<SealedBlock>, ReferenceError> {
        if !self.enter_file_with_records()? {
            return Ok(None);
        }
        let Some(current) = self.current.as_mut() else {
            return Ok(None);
        };
        let at = current.offset;
        let record = match current.record() {
            Ok(Some(record)) => record,
            Ok(None) if self.to_come.is_empty() => {
                self.torn_bytes = current.len - at;
                return Ok(None);
            }
            Ok(None) => return Err(self.problem(at, RecordProblem::Short)),
            Err(source) => return Err(self.disk(source)),
        };
        let block = self.check(record).map_err(|reason| self.problem(at, reason))?;
        self.next = self.next.next();
        self.previous = Some(*block.hash());
        Ok(Some(block))
    }

    /// Moves on to the next file at the end of one; false at the end of the last one.
    fn enter_file_with_records(&mut self) -> Result<bool, ReferenceError> {
        while self.current.as_ref().is_none_or(|c| c.offset >= c.len) {
            let Some(name) = self.to_come.pop() else {
                return Ok(false);
            };
            let opened = self.folder.open(&name).and_then(|file| Ok((file.len()?, file)));
            let (len, file) = opened.map_err(|source| ReferenceError::Disk {
                file: self.folder.path().join(&name),
                source,
            })?;
            self.current = Some(Current {
                name,
                file,
                offset: 0,
                len,
            });
        }
        Ok(true)
    }

    fn check(&self, record: Bytes) -> Result<SealedBlock, RecordProblem> {
        let block = block_file::read(record).ok_or(RecordProblem::Malformed)?;
        let sealed = SealedBlock::seal(&block)?;
        if sealed.number() != self.next {
            return Err(RecordProblem::WrongNumber);
        }
        if self.previous.is_some_and(|hash| sealed.previous_hash() != hash) {
            return Err(RecordProblem::BrokenLink);
        }
        if block_data_hash(&block.data.unwrap_or_default())[..] != sealed.header().data_hash[..] {
            return Err(RecordProblem::DataHash);
        }
        Ok(sealed)
    }

    fn file(&self) -> PathBuf {
        let name = self.current.as_ref().map_or("", |current| &current.name);
        self.folder.path().join(name)
    }

    fn problem(&self, offset: u64, reason: RecordProblem) -> ReferenceError {
        ReferenceError::Record {
            file: self.file(),
            offset,
            block: self.next,
            reason,
        }
    }

    fn disk(&self, source: io::Error) -> ReferenceError {
        ReferenceError::Disk {
            file: self.file(),
            source,
        }
    }
}

impl Iterator for ReferenceBlocks {
    type Item = Result<SealedBlock, ReferenceError>;

    fn next(&mut self) -> Option<Self::Item> {
        let block = self.next_block();
        if block.is_err() {
            self.to_come.clear();
            self.current = None;
        }
        block.transpose()
    }
}

impl Current {
    /// The record here, and steps behind it; none when the file ends inside it.
    fn record(&mut self) -> io::Result<Option<Bytes>> {
        let mut start = [0; NUMBER_BYTES_MAX];
        let count = self.file.read_at(self.offset, &mut start)?;
        let mut start = &start[..count];
        let Some(len) = block_file::number(&mut start) else {
            return Ok(None);
        };
        let begin = self.offset + (count - start.len()) as u64;
        let left = self.len.saturating_sub(begin);
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        if len as u64 > left || len > BLOCK_BYTES_MAX {
            return Ok(None);
        }
        let mut bytes = vec![0; len];
        read_exact_at(&*self.file, begin, &mut bytes)?;
        self.offset = begin + len as u64;
        Ok(Some(Bytes::from(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use protos::wire::common::Block;

    use super::*;
    use crate::disk::SimDisk;

    fn chain(count: u64) -> Vec<Block> {
        let mut previous: Option<Hash> = None;
        let mut next = |number| {
            let entries = vec![Bytes::from(vec![1; 200]), Bytes::from_static(b"second")];
            let hash = previous.unwrap_or_default();
            let mut block = protos::block::next(BlockNumber(number), &hash, entries);
            if previous.is_none() {
                block.header.as_mut().unwrap().previous_hash = Bytes::new();
            }
            previous = Some(*SealedBlock::seal(&block).unwrap().hash());
            block
        };
        (0..count).map(&mut next).collect()
    }

    /// A folder with two files, the first with three blocks.
    fn folder(blocks: &[Block]) -> Arc<dyn Directory> {
        let folder = SimDisk::new(1).root();
        for (name, part) in [
            ("blockfile_000000", &blocks[..3]),
            ("blockfile_000001", &blocks[3..]),
        ] {
            let bytes: Vec<u8> = part.iter().flat_map(block_file::record).collect();
            folder.create(name).unwrap().write_at(0, &[&bytes]).unwrap();
        }
        folder
    }

    fn read(folder: &Arc<dyn Directory>) -> Result<Vec<Block>, ReferenceError> {
        ReferenceBlocks::open(Arc::clone(folder))?
            .map(|block| block.map(|b| b.decode().unwrap()))
            .collect()
    }

    #[test]
    fn blocks_are_read_through_all_files() {
        assert_eq!(read(&folder(&chain(7))).unwrap(), chain(7));
        assert_eq!(read(&SimDisk::new(1).root()).unwrap(), []);
    }

    #[test]
    fn a_torn_last_record_is_left_out_and_an_earlier_one_is_an_error() {
        let blocks = chain(5);
        let folder = folder(&blocks);
        let last = folder.open("blockfile_000001").unwrap();
        last.truncate(last.len().unwrap() - 1).unwrap();
        assert_eq!(read(&folder).unwrap(), blocks[..4]);
        let first = folder.open("blockfile_000000").unwrap();
        first.truncate(first.len().unwrap() - 1).unwrap();
        let error = read(&folder).unwrap_err().to_string();
        assert!(
            error.contains("block 2 in /sim/blockfile_000000 at byte"),
            "{error}"
        );
    }

    #[test]
    fn a_flipped_bit_never_yields_another_header_or_entry() {
        let blocks = chain(5);
        let len = folder(&blocks).open("blockfile_000000").unwrap().len().unwrap();
        for offset in 0..len {
            let folder = folder(&blocks);
            let file = folder.open("blockfile_000000").unwrap();
            let mut byte = [0];
            file.read_at(offset, &mut byte).unwrap();
            file.write_at(offset, &[&[byte[0] ^ 4]]).unwrap();
            if let Ok(read) = read(&folder) {
                let metadata_apart = |blocks: &[Block]| -> Vec<_> {
                    blocks
                        .iter()
                        .map(|b| (b.header.clone(), b.data.clone()))
                        .collect()
                };
                assert_eq!(metadata_apart(&read), metadata_apart(&blocks), "byte {offset}");
            }
        }
    }
}
