//! What can go wrong with a channel's chain.

use std::io;
use std::path::PathBuf;

use protos::BlockNumber;

use crate::segment::FolderFault;
use crate::segment::recover::{Damage, RecoverError};

/// Why a channel's chain could not be opened. Other channels are not affected.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder is not ours to use.
    #[error(transparent)]
    Folder(#[from] FolderFault),
    /// A block that was durable is damaged.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// The disk fails.
    #[error("cannot open {file}: {source}")]
    Disk {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl From<RecoverError> for StoreError {
    fn from(error: RecoverError) -> Self {
        match error {
            RecoverError::Damaged(damage) => Self::Damaged(damage),
            RecoverError::Disk { file, source } => Self::Disk { file, source },
        }
    }
}

/// Why a block was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// It is not the next block. Nothing was written.
    #[error("block {got} is not the next one, {expected}")]
    NotNext {
        /// The number that is due.
        expected: BlockNumber,
        /// The number it has.
        got: BlockNumber,
    },
    /// Its previous hash is not the header hash of the block before it. Nothing was written.
    #[error("previous hash of block {number} is not the header hash of the block before it")]
    BrokenLink {
        /// Its number.
        number: BlockNumber,
    },
    /// It is longer than any record. Nothing was written.
    #[error("block {number} is {bytes} bytes, at most {bytes_max} are stored")]
    TooLarge {
        /// Its number.
        number: BlockNumber,
        /// Its length in bytes.
        bytes: usize,
        /// Longest block in bytes.
        bytes_max: usize,
    },
    /// Writing failed.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl AppendError {
    /// True when the call may be repeated once the disk has room, beginning with [`BlockStore::next_number`](super::BlockStore::next_number).
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Write(WriteError::DiskFull { .. }))
    }
}

/// Why bytes did not reach the disk.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// No room is left. The file was cut back to good records; blocks from [`BlockStore::next_number`](super::BlockStore::next_number) on
    /// must be appended again, now or later.
    #[error("disk full while writing {file}: {source}")]
    DiskFull {
        /// The segment file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The disk failed in another way; what is on it is unknown until the store is opened again. Reads go on.
    #[error("cannot write {file}: {source}")]
    Disk {
        /// The segment file.
        file: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// An earlier write failed, so nothing is written any more.
    #[error("channel takes no blocks since {reason}")]
    Poisoned {
        /// The earlier error.
        reason: String,
    },
}

impl WriteError {
    /// True when writing may be tried again once the disk has room.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }
}

/// Why appended blocks could not be made durable.
pub type SyncError = WriteError;
