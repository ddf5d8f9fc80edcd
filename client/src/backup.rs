//! A copy of a channel's blocks in one file, which is brought up to date whenever one likes.
//!
//! The file is a row of records (`protos::block_file`), and nothing else: what was written before a crash is a copy, up to
//! a last record that may be torn and is cut off when the copy is opened again. `orderer ledger import` reads it.
//!
//! Opening reads all headers and checks that they link; what the blocks hold was verified before it was written. The
//! newest block is checked again, against the newest config in the file, so that what is added continues a chain whose
//! signatures are right.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use bytes::{Buf as _, Bytes};
use configtx::block_verify::verify_signatures;
use protos::block::{self, Hash, header_hash};
use protos::block_file::{self, HEADER_BYTES_MAX, NUMBER_BYTES_MAX};
use protos::wire::common::BlockHeader;
use protos::{BlockNumber, SealedBlock};

use crate::verify::{ChainVerifier, VerifyError};

/// Mode of a new copy: blocks are for whom the channel's policies name.
const FILE_MODE: u32 = 0o600;
/// How much is read at a time.
const READ_BYTES: usize = 256 << 10;
/// Longest record in bytes.
const RECORD_BYTES_MAX: u64 = 1 << 30;
/// Most that is cut off as a write that was not finished. More than what a run leaves without a sync is damage.
const UNFINISHED_BYTES_MAX: u64 = 128 << 20;

/// Why a copy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The disk fails.
    #[error("cannot use {}: {source}", path.display())]
    Disk {
        /// The copy.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// Another process brings it up to date.
    #[error("{} is being written by another process", path.display())]
    InUse {
        /// The copy.
        path: PathBuf,
    },
    /// It is damaged, or never was a copy.
    #[error("{} is no copy of a chain from byte {offset} on: {what}", path.display())]
    Broken {
        /// The copy.
        path: PathBuf,
        /// Where its record begins.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// Its newest block does not verify.
    #[error("newest block in {}: {source}", path.display())]
    Newest {
        /// The copy.
        path: PathBuf,
        /// Why.
        source: VerifyError,
    },
}

/// A copy that is open.
#[derive(Debug)]
pub struct BlockCopy {
    path: PathBuf,
    file: File,
    /// Its length: behind the last whole record.
    end: u64,
    newest: Option<SealedBlock>,
    verifier: Option<ChainVerifier>,
    cut_bytes: u64,
}

/// A record, as far as its header.
struct Head {
    header: BlockHeader,
    offset: u64,
    len: u64,
}

impl BlockCopy {
    /// Opens the copy at `path`, made when missing, and cuts off what an earlier run did not write to its end.
    pub fn open(path: &Path) -> Result<Self, CopyError> {
        let disk = |source| CopyError::Disk {
            path: path.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        let options = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE);
        let file = options.open(path).map_err(disk)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(CopyError::InUse {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(disk(source)),
        }
        let mut copy = Self {
            path: path.to_owned(),
            file,
            end: 0,
            newest: None,
            verifier: None,
            cut_bytes: 0,
        };
        copy.read()?;
        Ok(copy)
    }

    /// The block that is due.
    pub fn next(&self) -> BlockNumber {
        self.newest
            .as_ref()
            .map_or(BlockNumber::GENESIS, |newest| newest.number().next())
    }

    /// The newest block in it.
    pub fn newest(&self) -> Option<&SealedBlock> {
        self.newest.as_ref()
    }

    /// Hash of the header of a block in it.
    pub fn hash_of(&mut self, number: BlockNumber) -> Result<Option<Hash>, CopyError> {
        let head = self.read_heads(Some(number))?;
        let ready = self.file.seek(SeekFrom::Start(self.end));
        ready.map_err(|source| self.disk(source))?;
        let head = head.filter(|head| head.header.number == number.0);
        Ok(head.map(|head| header_hash(&head.header)))
    }

    /// Bytes in it.
    pub fn bytes(&self) -> u64 {
        self.end
    }

    /// How many bytes of an unfinished write were cut off when it was opened.
    pub fn cut_bytes(&self) -> u64 {
        self.cut_bytes
    }

    /// Verifies `block` as the next one, and writes it. Not durable before [`sync`](Self::sync).
    pub fn append(&mut self, block: &SealedBlock) -> Result<(), AppendError> {
        match &mut self.verifier {
            Some(verifier) => verifier.check(block)?,
            None => self.verifier = Some(ChainVerifier::from_genesis(block)?),
        }
        let record = block_file::record(&block.decode().map_err(VerifyError::from)?);
        self.file.write_all(&record)?;
        self.end += record.len() as u64;
        self.newest = Some(block.clone());
        Ok(())
    }

    /// Makes everything durable that was appended.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn read(&mut self) -> Result<(), CopyError> {
        let newest = self.read_heads(None)?;
        let len = self.file.metadata().map_err(|source| self.disk(source))?.len();
        self.cut_bytes = len - self.end;
        if self.cut_bytes > 0 && (newest.is_none() || self.cut_bytes > UNFINISHED_BYTES_MAX) {
            let what = format!("{} bytes there hold no whole block", self.cut_bytes);
            return Err(self.broken(self.end, what));
        }
        let ready = self
            .file
            .set_len(self.end)
            .and_then(|()| self.file.seek(SeekFrom::Start(self.end)));
        ready.map_err(|source| self.disk(source))?;
        let Some(newest) = newest else { return Ok(()) };
        let block = self.block(&newest)?;
        let decoded = block
            .decode()
            .map_err(|error| self.broken(newest.offset, error.to_string()))?;
        let config =
            block::last_config(&decoded).map_err(|error| self.broken(newest.offset, error.to_string()))?;
        let config = match self.read_heads(Some(config))? {
            Some(head) if head.header.number == config.0 => self.block(&head)?,
            _ => {
                return Err(self.broken(
                    newest.offset,
                    format!("it has no block {config}, the newest config"),
                ));
            }
        };
        self.verifier = Some(self.verify_newest(&block, &config)?);
        self.newest = Some(block);
        Ok(())
    }

    fn verify_newest(&self, newest: &SealedBlock, config: &SealedBlock) -> Result<ChainVerifier, CopyError> {
        let check = || {
            let verifier = ChainVerifier::after(newest, config)?;
            if newest.number() != config.number() {
                let decoded = newest.decode()?;
                configtx::block_verify::verify_content(&decoded)?;
                verify_signatures(&decoded, verifier.bundle())?;
            }
            Ok(verifier)
        };
        check().map_err(|source| CopyError::Newest {
            path: self.path.clone(),
            source,
        })
    }

    /// Reads heads up to that of block `wanted`, or to the end, and answers the last of them. Without `wanted`, notes where
    /// whole records end.
    fn read_heads(&mut self, wanted: Option<BlockNumber>) -> Result<Option<Head>, CopyError> {
        let len = self.file.metadata().map_err(|source| self.disk(source))?.len();
        let mut input = BufReader::with_capacity(READ_BYTES, &self.file);
        input.rewind().map_err(|source| self.disk(source))?;
        let (mut offset, mut last) = (0, None::<Head>);
        loop {
            let head = match read_head(&mut input, offset, len) {
                Ok(Some(head)) => head,
                Ok(None) => break,
                Err(HeadFault::Disk(source)) => return Err(self.disk(source)),
                // What the operating system leaves of a write that the power cut off.
                Err(HeadFault::NoRecord) if self.is_zero_from(offset, len)? => break,
                Err(HeadFault::NoRecord) => return Err(self.broken(offset, "there is no block".to_owned())),
            };
            if let Err(what) = follows(last.as_ref(), &head.header) {
                return Err(self.broken(offset, what));
            }
            offset += head.len;
            let found = wanted.is_some_and(|wanted| head.header.number == wanted.0);
            last = Some(head);
            if found {
                return Ok(last);
            }
        }
        if wanted.is_none() {
            self.end = offset;
        }
        Ok(last)
    }

    fn is_zero_from(&self, offset: u64, len: u64) -> Result<bool, CopyError> {
        use std::os::unix::fs::FileExt as _;
        let mut bytes = vec![0; READ_BYTES];
        let mut at = offset;
        while at < len {
            let count = self
                .file
                .read_at(&mut bytes, at)
                .map_err(|source| self.disk(source))?;
            if count == 0 || bytes[..count].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at += count as u64;
        }
        Ok(true)
    }

    /// The block of a record that is whole.
    fn block(&self, head: &Head) -> Result<SealedBlock, CopyError> {
        use std::os::unix::fs::FileExt as _;
        let mut bytes = vec![0; usize::try_from(head.len).unwrap_or_default()];
        self.file
            .read_exact_at(&mut bytes, head.offset)
            .map_err(|source| self.disk(source))?;
        let mut bytes = Bytes::from(bytes);
        let block = block_file::number(&mut bytes).and_then(|_| block_file::read(bytes));
        let block = block.and_then(|block| SealedBlock::seal(&block).ok());
        block.ok_or_else(|| self.broken(head.offset, "its parts do not fill it".to_owned()))
    }

    fn disk(&self, source: io::Error) -> CopyError {
        let path = self.path.clone();
        CopyError::Disk { path, source }
    }

    fn broken(&self, offset: u64, what: String) -> CopyError {
        let path = self.path.clone();
        CopyError::Broken { path, offset, what }
    }
}

/// Why a block was not added.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// It does not verify.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// It cannot be written.
    #[error("cannot write the copy: {0}")]
    Disk(#[from] io::Error),
}

enum HeadFault {
    Disk(io::Error),
    NoRecord,
}

impl From<io::Error> for HeadFault {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

/// The record at `offset`, where `input` stands; goes on behind it. None at the end, and where the file ends inside it.
fn read_head(input: &mut BufReader<&File>, offset: u64, file_len: u64) -> Result<Option<Head>, HeadFault> {
    let left = file_len - offset;
    let mut start = [0; NUMBER_BYTES_MAX + HEADER_BYTES_MAX];
    let count = start.len().min(usize::try_from(left).unwrap_or(usize::MAX));
    input.read_exact(&mut start[..count])?;
    let mut bytes = Bytes::copy_from_slice(&start[..count]);
    let Some(len) = block_file::number(&mut bytes) else {
        return if count < NUMBER_BYTES_MAX {
            Ok(None)
        } else {
            Err(HeadFault::NoRecord)
        };
    };
    let prefix = (count - bytes.remaining()) as u64;
    if len > RECORD_BYTES_MAX {
        return Err(HeadFault::NoRecord);
    }
    if prefix + len > left {
        return Ok(None);
    }
    let header = block_file::header(&mut bytes).ok_or(HeadFault::NoRecord)?;
    let parsed = (count - bytes.remaining()) as u64;
    if parsed > prefix + len {
        return Err(HeadFault::NoRecord);
    }
    let behind = i64::try_from(prefix + len).ok().zip(i64::try_from(count).ok());
    let (whole, read) = behind.ok_or(HeadFault::NoRecord)?;
    input.seek_relative(whole - read)?;
    Ok(Some(Head {
        header,
        offset,
        len: prefix + len,
    }))
}

/// Whether a header is that of the next block; in words why not.
fn follows(last: Option<&Head>, header: &BlockHeader) -> Result<(), String> {
    let due = last.map_or(0, |last| last.header.number + 1);
    if header.number != due {
        return Err(format!("it is block {}, where block {due} is due", header.number));
    }
    match last {
        Some(last) if header.previous_hash[..] != header_hash(&last.header) => Err(format!(
            "block {due} does not name the hash of the block before it"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Blocks that live reference orderers made, config blocks among them.
    fn chain() -> Vec<SealedBlock> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/ecdsa/chain/raft-three");
        let read = |number| fs::read(folder.join(format!("o1-{number:03}.block")));
        let blocks = (0..).map_while(|number: u32| read(number).ok());
        blocks
            .map(|bytes| SealedBlock::from_bytes(bytes.into()).unwrap())
            .collect()
    }

    struct World {
        folder: tempfile::TempDir,
    }

    impl World {
        /// A copy of the first blocks.
        fn of(blocks: &[SealedBlock]) -> Self {
            let world = Self {
                folder: tempfile::tempdir().unwrap(),
            };
            let mut copy = world.open().unwrap();
            for block in blocks {
                copy.append(block).unwrap();
            }
            copy.sync().unwrap();
            world
        }

        fn path(&self) -> PathBuf {
            self.folder.path().join("copy")
        }

        fn open(&self) -> Result<BlockCopy, CopyError> {
            BlockCopy::open(&self.path())
        }

        fn bytes(&self) -> Vec<u8> {
            fs::read(self.path()).unwrap()
        }
    }

    #[test]
    fn a_copy_goes_on_where_it_ended() {
        let chain = chain();
        let world = World::of(&chain[..2]);
        let mut copy = world.open().unwrap();
        assert_eq!((copy.next(), copy.cut_bytes()), (BlockNumber(2), 0));
        assert_eq!(copy.newest(), Some(&chain[1]));
        assert_eq!(copy.hash_of(BlockNumber(0)).unwrap(), Some(*chain[0].hash()));
        assert_eq!(copy.hash_of(BlockNumber(2)).unwrap(), None);
        for block in &chain[2..] {
            copy.append(block).unwrap();
        }
        assert_eq!(copy.bytes(), world.bytes().len() as u64);
        drop(copy);
        assert_eq!(world.bytes(), World::of(&chain).bytes());
        assert_eq!(world.open().unwrap().next().0, chain.len() as u64);
    }

    #[test]
    fn what_was_not_written_to_its_end_is_cut_off_wherever_it_ends() {
        let chain = chain();
        let two = World::of(&chain[..2]).bytes().len();
        let world = World::of(&chain[..3]);
        let whole = world.bytes();
        // Each opening verifies a block, so not every length.
        for len in (two..whole.len()).step_by(97) {
            fs::write(world.path(), &whole[..len]).unwrap();
            let mut copy = world.open().unwrap();
            assert_eq!((copy.next().0, copy.cut_bytes()), (2, (len - two) as u64));
            copy.append(&chain[2]).unwrap();
            drop(copy);
            assert_eq!(world.bytes(), whole, "{len} bytes");
        }
    }

    #[test]
    fn a_block_that_does_not_verify_is_not_written() {
        let chain = chain();
        let world = World::of(&chain[..2]);
        let before = world.bytes();
        let mut copy = world.open().unwrap();
        let mut changed = chain[2].decode().unwrap();
        changed.metadata.as_mut().unwrap().metadata[0] = Bytes::new();
        copy.append(&SealedBlock::seal(&changed).unwrap()).unwrap_err();
        copy.append(&chain[1]).unwrap_err();
        assert_eq!(world.bytes(), before);
        copy.append(&chain[2]).unwrap();
    }

    #[test]
    fn a_header_that_was_changed_is_found_when_the_copy_is_opened() {
        let world = World::of(&chain()[..3]);
        let whole = world.bytes();
        let one = World::of(&chain()[..1]).bytes().len();
        for offset in [one + 4, one + 40] {
            let mut bytes = whole.clone();
            bytes[offset] ^= 1;
            fs::write(world.path(), &bytes).unwrap();
            assert!(
                matches!(world.open(), Err(CopyError::Broken { .. })),
                "byte {offset}"
            );
        }
        fs::write(world.path(), b"not blocks at all, and long enough to be looked at as if they were some, that is for the reader to find out").unwrap();
        assert!(world.open().is_err());
        assert!(!world.bytes().is_empty(), "it is left as it was");
    }

    #[test]
    fn zeros_at_the_end_are_an_unfinished_write_and_a_file_without_a_block_is_left_alone() {
        let world = World::of(&chain()[..2]);
        let whole = world.bytes();
        fs::write(world.path(), [&whole[..], &[0; 5000]].concat()).unwrap();
        assert_eq!(world.open().unwrap().cut_bytes(), 5000);
        assert_eq!(world.bytes(), whole);
        for other in [&b"\xff"[..], b"text", &[0; 100]] {
            fs::write(world.path(), other).unwrap();
            assert!(matches!(world.open(), Err(CopyError::Broken { .. })), "{other:?}");
            assert_eq!(world.bytes(), other);
        }
    }

    #[test]
    fn two_do_not_write_one_copy() {
        let world = World::of(&chain()[..1]);
        let _open = world.open().unwrap();
        assert!(matches!(world.open(), Err(CopyError::InUse { .. })));
    }
}
