//! The disk, as far as the ledger needs one.
//!
//! Two traits, [`Directory`] and [`File`], stand between the store and the operating system, so that the
//! same code runs on [`RealDisk`] and on [`SimDisk`], which forgets, tears and fills up on purpose. What any
//! disk must do is written down as tests in [`suite`](crate::suite).
//!
//! What is durable when:
//!
//! | call | after it returned, a power loss keeps |
//! |---|---|
//! | [`File::write_at`], [`File::truncate`] | nothing for sure: all, a part, or a torn mixture of it |
//! | [`File::sync`] | the bytes and the length of the file, but not its name |
//! | [`Directory::create`], [`rename`](Directory::rename), [`remove_file`](Directory::remove_file), ... | nothing for sure: the earliest of these calls on the folder, up to some point |
//! | [`Directory::sync_dir`] | the names in that folder |

mod real;
mod sim;
mod whole;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

pub use real::RealDisk;
pub use sim::{Fault, SimDisk};
pub use whole::{read_whole, remove_whole, write_whole};

/// What a name in a folder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A regular file, or anything else that is no folder.
    File,
    /// A folder.
    Folder,
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without the path. Names that are not UTF-8 are shown with replacement characters.
    pub name: String,
    /// What it stands for.
    pub kind: EntryKind,
}

/// One folder. Names are single path components.
pub trait Directory: Send + Sync + fmt::Debug {
    /// The folder `name` in this one, made when missing (readable by the owner alone).
    fn folder(&self, name: &str) -> io::Result<Arc<dyn Directory>>;

    /// Makes an empty file (readable by the owner alone). [`io::ErrorKind::AlreadyExists`] when the name is taken.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Opens a file for reading, and for writing if that is allowed. [`io::ErrorKind::NotFound`] when there is none.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Gives a file or a folder another name in the same folder; a file that had the new name is gone. The new name of a
    /// folder must be free.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Handles that are open go on reading it.
    fn remove_file(&self, name: &str) -> io::Result<()>;

    /// Removes an empty folder.
    fn remove_folder(&self, name: &str) -> io::Result<()>;

    /// Everything in the folder, sorted by name.
    fn list(&self) -> io::Result<Vec<Entry>>;

    /// Makes the names in this folder durable.
    fn sync_dir(&self) -> io::Result<()>;

    /// Holds the file `name` (made when missing) for this process until the guard is dropped.
    /// [`io::ErrorKind::WouldBlock`] while somebody else holds it.
    fn lock(&self, name: &str) -> io::Result<Box<dyn LockGuard>>;

    /// Where the folder is; for messages.
    fn path(&self) -> PathBuf;
}

/// Keeps a [`Directory::lock`] while it lives.
pub trait LockGuard: Send + Sync + fmt::Debug {}

/// One open file.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads at `offset` into `buffer`; the count is lower than asked for only at the end of the file.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes `parts` one after another from `offset` on. On an error any part of them may have been written.
    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> io::Result<()>;

    /// Makes content and length durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file to `len` bytes, or extends it with zeros.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// True for a file without content.
    fn is_empty(&self) -> io::Result<bool> {
        self.len().map(|len| len == 0)
    }
}

/// Fills `buffer` from `offset`, or says [`io::ErrorKind::UnexpectedEof`].
pub(crate) fn read_exact_at(file: &dyn File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    if file.read_at(offset, buffer)? == buffer.len() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "file ends inside what was to be read",
    ))
}

/// True when the error says that the disk (or the quota on it) has no room left.
pub fn is_disk_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
