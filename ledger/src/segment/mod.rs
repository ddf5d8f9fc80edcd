//! A channel's blocks as rolling files of checksummed records.
//!
//! ```text
//! chains/<channel>/blocks-00000000000000000000.v1   blocks 0..n
//!                  blocks-0000000000000000<n>.v1    blocks n.., the one that grows
//! ```
//!
//! A file is named by the first block in it and by the version of the record format. It is a row of
//! records (`record.rs`) and nothing else. A block is never split; a file that has reached its size is synced
//! before the next one is made, so a file that is not the last one is complete.
//!
//! `SegmentWriter` appends and syncs; `recover.rs` finds out after a start how far the files are intact.

pub(crate) mod record;
pub(crate) mod recover;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use protos::{BlockNumber, Height};

use crate::disk::{Directory, EntryKind, File, is_disk_full};
use record::Head;

/// How a segment file's name begins.
const NAME_PREFIX: &str = "blocks-";
/// How the name of one with the present record format ends.
const NAME_SUFFIX: &str = ".v1";
/// How files of the reference implementation are named.
pub(crate) const FOREIGN_PREFIX: &str = "blockfile_";

/// Where a block's record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// First block of the segment file it is in.
    pub segment: BlockNumber,
    /// Where its record begins, in bytes.
    pub offset: u64,
    /// Length of the record, head included, in bytes.
    pub len: u64,
}

impl Place {
    /// Where the record ends.
    pub(crate) fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }
}

/// The name of the segment file that begins with `first`.
pub(crate) fn file_name(first: BlockNumber) -> String {
    format!("{NAME_PREFIX}{:020}{NAME_SUFFIX}", first.0)
}

/// What a file in a channel's folder is.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Segment(BlockNumber),
    OtherVersion,
    Foreign,
    Unknown,
}

fn classify(name: &str) -> Found {
    if name.starts_with(FOREIGN_PREFIX) {
        return Found::Foreign;
    }
    let Some((number, version)) = name
        .strip_prefix(NAME_PREFIX)
        .and_then(|rest| rest.split_once('.'))
    else {
        return Found::Unknown;
    };
    match number.parse() {
        Ok(first) if file_name(BlockNumber(first)) == name => Found::Segment(BlockNumber(first)),
        Ok(_) if version.starts_with('v') => Found::OtherVersion,
        _ => Found::Unknown,
    }
}

/// Why a channel's folder cannot be used at all. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum FolderFault {
    /// It holds block files of the reference implementation.
    #[error(
        "{file} is a block file of the reference implementation, nothing was changed; \
         `orderer ledger import --fabric` takes such a folder over into one of this program"
    )]
    Foreign {
        /// One of them.
        file: PathBuf,
    },
    /// It holds segment files of a version this program does not know.
    #[error("{file} was written in a format this version does not read, nothing was changed")]
    OtherVersion {
        /// One of them.
        file: PathBuf,
    },
    /// The folder cannot be read.
    #[error("cannot list {folder}: {source}")]
    Disk {
        /// The folder.
        folder: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// The first blocks of all segment files in `folder`, ascending.
pub(crate) fn list(folder: &dyn Directory) -> Result<Vec<BlockNumber>, FolderFault> {
    let entries = folder.list().map_err(|source| FolderFault::Disk {
        folder: folder.path(),
        source,
    })?;
    let mut segments = Vec::new();
    for entry in entries.into_iter().filter(|e| e.kind == EntryKind::File) {
        let file = || folder.path().join(&entry.name);
        match classify(&entry.name) {
            Found::Segment(first) => segments.push(first),
            Found::Foreign => return Err(FolderFault::Foreign { file: file() }),
            Found::OtherVersion => return Err(FolderFault::OtherVersion { file: file() }),
            Found::Unknown => {}
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// A write that went wrong.
#[derive(Debug)]
pub(crate) struct WriteFault {
    /// The file it was for.
    pub(crate) file: PathBuf,
    /// What the disk said.
    pub(crate) source: io::Error,
    /// True when the disk was full and the files end again where they are known to be good.
    pub(crate) cut_back: bool,
}

/// The end of the log: the file that grows.
#[derive(Debug)]
pub(crate) struct SegmentWriter {
    folder: Arc<dyn Directory>,
    segment_bytes_max: u64,
    active: Option<Active>,
    /// The block the next record holds.
    next: BlockNumber,
    /// Every block below it is on disk for good.
    durable: Height,
}

#[derive(Debug)]
struct Active {
    first: BlockNumber,
    file: Arc<dyn File>,
    end: u64,
    synced_end: u64,
}

impl Active {
    fn new(first: BlockNumber, file: Arc<dyn File>, end: u64) -> Self {
        Self {
            first,
            file,
            end,
            synced_end: end,
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.synced_end != self.end {
            self.file.sync()?;
            self.synced_end = self.end;
        }
        Ok(())
    }

    /// Cuts the file to `end` and asks the disk whether that is so.
    fn cut_back(&mut self, end: u64) -> io::Result<()> {
        self.file.truncate(end)?;
        if self.file.len()? != end {
            return Err(io::Error::other("the file was not cut"));
        }
        self.end = end;
        Ok(())
    }
}

impl SegmentWriter {
    /// Goes on after recovery: `last` is the newest file and its good length, all of it durable.
    pub(crate) fn resume(
        folder: Arc<dyn Directory>,
        segment_bytes_max: u64,
        last: Option<(BlockNumber, Arc<dyn File>, u64)>,
        height: Height,
    ) -> Self {
        Self {
            folder,
            segment_bytes_max,
            active: last.map(|(first, file, end)| Active::new(first, file, end)),
            next: height.next_number(),
            durable: height,
        }
    }

    /// The block the next record holds.
    pub(crate) fn next(&self) -> BlockNumber {
        self.next
    }

    /// Every block below it is durable. It can be ahead of the last [`sync`](Self::sync), as a full file is
    /// synced on its own.
    pub(crate) fn durable(&self) -> Height {
        self.durable
    }

    /// Writes the record of the next block. Not yet durable.
    ///
    /// When the disk is full, the log is cut back and the call may be repeated, beginning with
    /// [`next`](Self::next): that is this block, or an earlier one if completing the file before failed.
    pub(crate) fn append(&mut self, head: &Head, block: &[u8]) -> Result<Place, WriteFault> {
        if self
            .active
            .as_ref()
            .is_none_or(|a| a.end >= self.segment_bytes_max)
        {
            self.roll()?;
        }
        let Some(active) = self.active.as_mut() else {
            return Err(self.fault(io::Error::other("no segment file"), false));
        };
        let offset = active.end;
        if let Err(source) = active.file.write_at(offset, &[&head.encode(), block]) {
            let cut = is_disk_full(&source) && active.cut_back(offset).is_ok();
            return Err(self.fault(source, cut));
        }
        active.end += head.record_bytes();
        self.next = self.next.next();
        Ok(Place {
            segment: active.first,
            offset,
            len: head.record_bytes(),
        })
    }

    /// Makes everything appended durable.
    ///
    /// When the disk is full, what was appended since the last sync is cut off again, since a failed sync
    /// leaves open what of it is on disk: [`next`](Self::next) tells where the log ends now.
    pub(crate) fn sync(&mut self) -> Result<(), WriteFault> {
        let Some(active) = self.active.as_mut() else {
            return Ok(());
        };
        if let Err(source) = active.sync() {
            let cut = is_disk_full(&source) && active.cut_back(active.synced_end).is_ok();
            if cut {
                self.next = self.durable.next_number();
            }
            return Err(self.fault(source, cut));
        }
        self.durable = Height(self.next.0);
        Ok(())
    }

    /// Completes the file that grows and begins the next one. The new name is durable before a block is in it.
    fn roll(&mut self) -> Result<(), WriteFault> {
        self.sync()?;
        let name = file_name(self.next);
        let made = self.create(&name).and_then(|file| {
            self.folder.sync_dir()?;
            Ok(file)
        });
        match made {
            Ok(file) => self.active = Some(Active::new(self.next, file, 0)),
            // An empty file may be left; the next try takes it.
            Err(source) => {
                return Err(WriteFault {
                    file: self.folder.path().join(name),
                    cut_back: is_disk_full(&source),
                    source,
                });
            }
        }
        Ok(())
    }

    /// A new file; one that an earlier try left empty is as good.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        match self.folder.create(name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = self.folder.open(name)?;
                if file.is_empty()? { Ok(file) } else { Err(error) }
            }
            other => other,
        }
    }

    /// An error of the file that grows.
    fn fault(&self, source: io::Error, cut_back: bool) -> WriteFault {
        let first = self.active.as_ref().map_or(self.next, |active| active.first);
        WriteFault {
            file: self.folder.path().join(file_name(first)),
            source,
            cut_back,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_like_numbers_and_are_told_apart() {
        assert_eq!(file_name(BlockNumber(42)), "blocks-00000000000000000042.v1");
        assert_eq!(
            classify("blocks-00000000000000000042.v1"),
            Found::Segment(BlockNumber(42))
        );
        assert_eq!(classify("blocks-00000000000000000042.v2"), Found::OtherVersion);
        assert_eq!(classify("blockfile_000000"), Found::Foreign);
        for other in ["blocks-42.tmp", "notes.txt", "blocks-"] {
            assert_eq!(classify(other), Found::Unknown, "{other}");
        }
    }
}
