//! A chain that is written beside those there are, and becomes a channel's in one step.
//!
//! ```text
//! chains/.import-<channel>/   grows; a crash leaves it, and the next import of the channel deletes it
//!          └── rename ──> chains/<channel>/
//! ```
//!
//! No name of a channel begins with a dot, so a start takes no notice of what is not finished.

use std::io;
use std::sync::Arc;

use protos::{ChannelId, Height};

use super::removal::{has_entry, marked_channel, remove_folder};
use super::{Channel, LedgerFactory};
use crate::store::{BlockStore, StoreError, WriteError};

/// How the name of an unfinished chain begins.
pub const UNFINISHED_PREFIX: &str = ".import-";

/// Why a chain cannot be brought in.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// There are blocks of the channel already.
    #[error("channel {channel} exists already")]
    Exists {
        /// The channel.
        channel: ChannelId,
    },
    /// A removal of the channel has begun.
    #[error("channel {channel} is being removed; the next start of the node finishes that")]
    RemovalPending {
        /// The channel.
        channel: ChannelId,
    },
    /// The disk fails.
    #[error("importing channel {channel}: {source}")]
    Disk {
        /// The channel.
        channel: ChannelId,
        /// What the operating system said.
        source: io::Error,
    },
    /// The folder of the new chain cannot be used.
    #[error("importing channel {channel}: {source}")]
    Store {
        /// The channel.
        channel: ChannelId,
        /// Why.
        source: StoreError,
    },
    /// The blocks cannot be made durable.
    #[error("importing channel {channel}: {source}")]
    Write {
        /// The channel.
        channel: ChannelId,
        /// Why.
        source: WriteError,
    },
}

/// A chain on its way in. Dropped before it is [finished](Self::finish), it leaves nothing.
#[derive(Debug)]
pub struct Incoming<'a> {
    factory: &'a LedgerFactory,
    channel: ChannelId,
    store: Option<BlockStore>,
}

impl LedgerFactory {
    /// Begins a chain for a channel that has none here. What an earlier import has left unfinished goes.
    pub fn begin_import(&self, channel: &ChannelId) -> Result<Incoming<'_>, ImportError> {
        let mut incoming = Incoming {
            factory: self,
            channel: channel.clone(),
            store: None,
        };
        incoming.refuse_existing()?;
        let folder = incoming.clear().and_then(|()| {
            let folder = self.chains.folder(&incoming.name())?;
            self.chains.sync_dir()?;
            Ok(folder)
        });
        let folder = folder.map_err(|source| incoming.disk(source))?;
        let opened = BlockStore::open(channel, folder, Arc::clone(&self.index), self.options.limits());
        incoming.store = Some(opened.map_err(|source| ImportError::Store {
            channel: channel.clone(),
            source,
        })?);
        Ok(incoming)
    }

    /// Channels of which an import was begun and not finished.
    pub fn unfinished_imports(&self) -> io::Result<Vec<String>> {
        let entries = self.chains.list()?.into_iter();
        let channel = |name: String| name.strip_prefix(UNFINISHED_PREFIX).map(str::to_owned);
        Ok(entries.filter_map(|entry| channel(entry.name)).collect())
    }
}

impl Incoming<'_> {
    /// Where the blocks go. None only after an earlier error of [`finish`](Self::finish).
    pub fn store(&mut self) -> Option<&mut BlockStore> {
        self.store.as_mut()
    }

    /// Makes everything durable, then makes it the channel's chain. After a crash the channel has all of it or nothing.
    pub fn finish(mut self) -> Result<Height, ImportError> {
        let Some(mut store) = self.store.take() else {
            return Err(self.disk(io::ErrorKind::NotFound.into()));
        };
        let height = store.sync().map_err(|source| ImportError::Write {
            channel: self.channel.clone(),
            source,
        })?;
        // Tells the index the last places.
        drop(store);
        let chains = &self.factory.chains;
        let moved = self.remove_empty_folder().and_then(|()| {
            chains.rename(&self.name(), self.channel.as_str())?;
            chains.sync_dir()
        });
        moved.map_err(|source| self.disk(source))?;
        let mut channels = self.factory.lock_channels();
        channels.insert(self.channel.clone(), Channel::Present);
        Ok(height)
    }

    /// An empty folder of the channel's name is as good as none.
    fn refuse_existing(&self) -> Result<(), ImportError> {
        let channel = self.channel.clone();
        let markers = self.factory.markers.list().map_err(|source| self.disk(source))?;
        let is_marked = |name: &str| marked_channel(name).is_some_and(|marked| marked == channel);
        if markers.iter().any(|entry| is_marked(&entry.name)) {
            return Err(ImportError::RemovalPending { channel });
        }
        match self.is_empty() {
            Ok(true) => Ok(()),
            Ok(false) => Err(ImportError::Exists { channel }),
            Err(source) => Err(self.disk(source)),
        }
    }

    fn is_empty(&self) -> io::Result<bool> {
        let chains = &self.factory.chains;
        if !has_entry(&**chains, self.channel.as_str())? {
            return Ok(true);
        }
        Ok(chains.folder(self.channel.as_str())?.list()?.is_empty())
    }

    fn remove_empty_folder(&self) -> io::Result<()> {
        let chains = &self.factory.chains;
        if has_entry(&**chains, self.channel.as_str())? {
            chains.remove_folder(self.channel.as_str())?;
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("{UNFINISHED_PREFIX}{}", self.channel)
    }

    /// Takes away what is not finished, and what the index knows of it.
    fn clear(&self) -> io::Result<()> {
        // An index that fails is found out when the channel is opened.
        let _ = self.factory.index.forget(&self.channel);
        remove_folder(&self.factory.chains, &self.name())
    }

    fn disk(&self, source: io::Error) -> ImportError {
        ImportError::Disk {
            channel: self.channel.clone(),
            source,
        }
    }
}

impl Drop for Incoming<'_> {
    fn drop(&mut self) {
        if self.store.take().is_some() {
            // What stays goes with the next import.
            let _ = self.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protos::BlockNumber;

    use super::*;
    use crate::disk::SimDisk;
    use crate::factory::LedgerOptions;
    use crate::index::MemoryIndex;
    use crate::store::tests::chain;

    fn channel() -> ChannelId {
        ChannelId::parse("one").unwrap()
    }

    fn factory(disk: &SimDisk, index: &Arc<MemoryIndex>) -> LedgerFactory {
        let options = LedgerOptions {
            segment_bytes_max: 600,
            ..LedgerOptions::at("")
        };
        LedgerFactory::open_on(&disk.root(), Arc::clone(index) as _, options).unwrap()
    }

    fn import(factory: &LedgerFactory, count: u64) -> Result<Height, ImportError> {
        let mut incoming = factory.begin_import(&channel())?;
        for block in chain(count) {
            incoming.store().unwrap().append(&block).unwrap();
        }
        incoming.finish()
    }

    #[test]
    fn an_imported_chain_is_the_channels_and_its_index_knows_it() {
        let (disk, index) = (SimDisk::new(1), Arc::default());
        {
            let factory = factory(&disk, &index);
            assert_eq!(import(&factory, 20).unwrap(), Height(20));
            assert_eq!(factory.channels(), [channel()]);
        }
        let factory = factory(&disk, &index);
        let store = factory.open_channel(&channel()).unwrap();
        assert_eq!((store.height(), store.recovery().reindexed), (Height(20), 0));
        let read: Vec<_> = store.reader().iter(BlockNumber(0)).map(Result::unwrap).collect();
        assert_eq!(read, chain(20));
    }

    #[test]
    fn a_channel_with_blocks_or_half_removed_is_refused_and_an_empty_folder_is_none() {
        let (disk, index) = (SimDisk::new(1), Arc::default());
        let factory = factory(&disk, &index);
        factory.chains.folder("one").unwrap();
        import(&factory, 3).unwrap();
        assert!(matches!(import(&factory, 3), Err(ImportError::Exists { .. })));
        factory.markers.create("one.remove").unwrap();
        assert!(matches!(
            import(&factory, 3),
            Err(ImportError::RemovalPending { .. })
        ));
    }

    #[test]
    fn one_that_is_not_finished_leaves_nothing() {
        let (disk, index) = (SimDisk::new(1), Arc::default());
        let factory = factory(&disk, &index);
        let mut incoming = factory.begin_import(&channel()).unwrap();
        incoming.store().unwrap().append(&chain(1)[0]).unwrap();
        drop(incoming);
        assert!(factory.unfinished_imports().unwrap().is_empty());
        assert!(factory.channels().is_empty());
    }

    #[test]
    fn a_crash_leaves_all_of_it_or_nothing_and_it_can_be_done_again() {
        let (mut whole, mut nothing) = (0, 0);
        for seed in 0..300 {
            let (disk, index) = (SimDisk::new(seed), Arc::default());
            drop(factory(&disk, &index));
            disk.stop_after(1 + seed % 60);
            let finished = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                import(&factory(&disk, &index), 20)
            }));
            let finished = finished.is_ok_and(|imported| imported.is_ok());
            disk.crash();
            let factory = factory(&disk, &index);
            if factory.channels().is_empty() {
                assert!(!finished, "seed {seed}: finished and lost");
                assert_eq!(import(&factory, 20).unwrap(), Height(20));
                nothing += 1;
            } else {
                whole += 1;
            }
            let store = factory.open_channel(&channel()).unwrap();
            assert_eq!(store.height(), Height(20), "seed {seed}");
        }
        assert!(whole > 10 && nothing > 10, "{whole} whole, {nothing} nothing");
    }
}
