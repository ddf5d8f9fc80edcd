//! What can be wrong with a data folder, or with one channel in it.

use std::io;
use std::path::PathBuf;

use protos::ChannelId;

use crate::index::IndexError;
use crate::segment::FolderFault;
use crate::segment::recover::Damage;
use crate::store::StoreError;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FactoryError {
    /// Another process uses it.
    #[error("{location} is in use by another process")]
    Locked {
        /// The data folder.
        location: PathBuf,
    },
    /// It is one of the reference implementation.
    #[error(
        "{location} is a data folder of the reference implementation (it has {file}); nothing was changed. \
         `orderer ledger import --fabric {location}` takes its channels over into a folder of this program"
    )]
    Foreign {
        /// The data folder.
        location: PathBuf,
        /// What shows it.
        file: PathBuf,
    },
    /// The disk fails.
    #[error("cannot use {location}: {source}")]
    Disk {
        /// What was being used.
        location: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Why one channel cannot be opened. The others can.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is open already; a channel has one writer.
    #[error("channel {channel} is open already")]
    AlreadyOpen {
        /// The channel.
        channel: ChannelId,
    },
    /// A removal of it has begun and could not be finished; [`LedgerFactory::remove`](super::LedgerFactory::remove) tries again.
    #[error("channel {channel} is half removed: {reason}")]
    RemovalPending {
        /// The channel.
        channel: ChannelId,
        /// What went wrong.
        reason: String,
    },
    /// Its files cannot be used.
    #[error("channel {channel}: {source}")]
    Store {
        /// The channel.
        channel: ChannelId,
        /// Why.
        source: StoreError,
    },
}

impl OpenError {
    /// The block from which on the channel is damaged, if that is why; those before it can still be
    /// [read](super::LedgerFactory::read_before).
    pub fn damage(&self) -> Option<&Damage> {
        match self {
            Self::Store {
                source: StoreError::Damaged(damage),
                ..
            } => Some(damage),
            _ => None,
        }
    }
}

/// Why a channel was not removed, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// Its writer still exists.
    #[error("channel {channel} is still open")]
    StillOpen {
        /// The channel.
        channel: ChannelId,
    },
    /// The node has no such channel.
    #[error("channel {channel} does not exist")]
    Unknown {
        /// The channel.
        channel: ChannelId,
    },
    /// Its files are not ours.
    #[error("channel {channel}: {source}")]
    Folder {
        /// The channel.
        channel: ChannelId,
        /// Why.
        source: FolderFault,
    },
    /// A step failed; once the removal has begun it goes on with the next call or start.
    #[error("removing channel {channel}: {source}")]
    Disk {
        /// The channel.
        channel: ChannelId,
        /// What the operating system said.
        source: io::Error,
    },
    /// What others keep of it stays; the removal goes on with the next call or start.
    #[error("removing channel {channel}: {reason}")]
    First {
        /// The channel.
        channel: ChannelId,
        /// What they said.
        reason: String,
    },
    /// The index still knows it; the removal goes on with the next call or start.
    #[error("removing channel {channel}: {source}")]
    Index {
        /// The channel.
        channel: ChannelId,
        /// What went wrong.
        source: IndexError,
    },
}
