//! The operating system's disk.

use std::fs;
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Directory, Entry, EntryKind, File, LockGuard};

/// Folders are for the owner alone.
const FOLDER_MODE: u32 = 0o700;
/// Files are for the owner alone.
const FILE_MODE: u32 = 0o600;
/// A write position no file has: the next write seeks.
const POSITION_UNKNOWN: u64 = u64::MAX;

/// A folder of the operating system.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
}

impl RealDisk {
    /// The folder at `path`, which must exist. Nothing is made.
    pub fn existing(path: &Path) -> io::Result<Arc<dyn Directory>> {
        if !fs::metadata(path)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Arc::new(Self {
            path: path.to_owned(),
        }))
    }

    /// The folder at `path`, made with its parents when missing. The names made on the way are synced.
    pub fn open(path: &Path) -> io::Result<Arc<dyn Directory>> {
        make_durable_folder(path)?;
        Ok(Arc::new(Self {
            path: path.to_owned(),
        }))
    }
}

/// Makes `path` and its parents, each synced into the folder above it.
fn make_durable_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_durable_folder(parent)?;
    }
    make_folder(path)?;
    sync_folder(parent.unwrap_or(Path::new(".")))
}

/// Makes one folder; it may exist.
fn make_folder(path: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(FOLDER_MODE).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

impl Directory for RealDisk {
    fn folder(&self, name: &str) -> io::Result<Arc<dyn Directory>> {
        let path = self.path.join(name);
        make_folder(&path)?;
        Ok(Arc::new(Self { path }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(FILE_MODE);
        RealFile::new(options.open(self.path.join(name))?)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let path = self.path.join(name);
        match fs::OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if may_be_read_only(&error) => RealFile::new(fs::File::open(&path)?),
            other => RealFile::new(other?),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove_file(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        fs::remove_dir(self.path.join(name))
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = fs::read_dir(&self.path)?
            .map(|entry| entry.and_then(|e| describe(&e)))
            .collect::<io::Result<Vec<_>>>()?;
        entries.sort();
        Ok(entries)
    }

    fn sync_dir(&self) -> io::Result<()> {
        sync_folder(&self.path)
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn LockGuard>> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(FILE_MODE);
        let file = options.open(self.path.join(name))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(RealLock { _file: file })),
            Err(fs::TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

/// What is to be read only need not be ours to write: block files to import, say.
fn may_be_read_only(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
    )
}

fn describe(entry: &fs::DirEntry) -> io::Result<Entry> {
    let kind = if entry.file_type()?.is_dir() {
        EntryKind::Folder
    } else {
        EntryKind::File
    };
    Ok(Entry {
        name: entry.file_name().to_string_lossy().into_owned(),
        kind,
    })
}

/// The lock goes with the open file, also when the process dies.
#[derive(Debug)]
struct RealLock {
    _file: fs::File,
}

impl LockGuard for RealLock {}

/// An open file. Reads are `pread`; writes are vectored at a remembered position, so that an append in
/// sequence is one system call.
#[derive(Debug)]
struct RealFile {
    file: fs::File,
    /// Where the operating system's write position stands; held while writing.
    position: Mutex<u64>,
}

impl RealFile {
    #[expect(
        clippy::unnecessary_wraps,
        clippy::new_ret_no_self,
        reason = "both callers hand its result on as it is"
    )]
    fn new(file: fs::File) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(Self {
            file,
            position: Mutex::new(POSITION_UNKNOWN),
        }))
    }
}

impl File for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let was = std::mem::replace(&mut *position, POSITION_UNKNOWN);
        let mut file = &self.file;
        if was != offset {
            file.seek(SeekFrom::Start(offset))?;
        }
        *position = offset + write_all_parts(file, parts)?;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn len(&self) -> io::Result<u64> {
        self.file.metadata().map(|data| data.len())
    }
}

/// Writes everything at the current position; answers how many bytes that were.
fn write_all_parts(mut file: &fs::File, parts: &[&[u8]]) -> io::Result<u64> {
    let total: usize = parts.iter().map(|part| part.len()).sum();
    let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
    let mut rest = &mut slices[..];
    let mut left = total;
    while left > 0 {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                left -= count;
                IoSlice::advance_slices(&mut rest, count);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(total as u64)
}
