//! A disk in memory that loses what a power loss may lose.
//!
//! It remembers for each file what was written against what was synced, and for each folder which names were
//! changed since its last [`sync_dir`](Directory::sync_dir). [`SimDisk::crash`] then decides with a seed what
//! of the difference survives: for a folder the earliest changes up to some point; for a file all of it, none,
//! or a torn part in which any sector may be old, new or zero.
//!
//! On demand it becomes full, fails writes, stops in the middle of everything, or flips a bit.

mod state;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Directory, Entry, File, LockGuard};
use state::{Inode, State};

/// A disk in memory with a seed. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

/// A failure to inject, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next [`File::write_at`] writes a part and fails.
    Write,
    /// The next [`File::sync`] fails, and what it should have synced is lost.
    Sync,
}

impl SimDisk {
    /// An empty disk without bounds. Everything it does is a function of the calls and of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State::new(seed))))
    }

    /// Its outermost folder. Handles made before a [`crash`](Self::crash) do not work after it.
    pub fn root(&self) -> Arc<dyn Directory> {
        let state = self.state();
        Arc::new(SimFolder {
            disk: self.clone(),
            inode: State::ROOT,
            path: PathBuf::from("/sim"),
            boot: state.boot(),
        })
    }

    /// The power goes and comes back: decides by the disk's seed what survives of everything unsynced.
    pub fn crash(&self) {
        self.state().crash();
    }

    /// Bounds the bytes in all files together; `None` takes the bound away. Beyond it writes fail with
    /// [`io::ErrorKind::StorageFull`] after a part was written.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// Bytes in all files together.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// The next call of the kind fails.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Lets `count` more changing calls through; then every call fails until the next [`crash`](Self::crash).
    pub fn stop_after(&self, count: u64) {
        self.state().calls_left = Some(count);
    }

    /// Takes back the bounds on bytes and calls and the faults that have not come yet.
    pub fn heal(&self) {
        let mut state = self.state();
        state.capacity = None;
        state.calls_left = None;
        state.faults.clear();
    }

    /// True when the calls granted by [`stop_after`](Self::stop_after) were not enough.
    pub fn has_stopped(&self) -> bool {
        self.state().calls_left == Some(0)
    }

    /// Flips bit `bit` (0 to 7) of one byte of a file, on disk and in memory.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u32) -> io::Result<()> {
        self.state().flip_bit(path, offset, bit)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

/// A folder of a [`SimDisk`].
#[derive(Clone, Debug)]
struct SimFolder {
    disk: SimDisk,
    inode: Inode,
    path: PathBuf,
    boot: u64,
}

impl SimFolder {
    fn read(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.disk.state();
        state.check_running(self.boot)?;
        Ok(state)
    }

    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.disk.state();
        state.count_change(self.boot)?;
        Ok(state)
    }

    fn file(&self, inode: Inode) -> Arc<dyn File> {
        Arc::new(SimFile {
            disk: self.disk.clone(),
            inode,
            boot: self.boot,
        })
    }
}

impl Directory for SimFolder {
    fn folder(&self, name: &str) -> io::Result<Arc<dyn Directory>> {
        let known = self.read()?.subfolder(self.inode, name)?;
        let inode = match known {
            Some(inode) => inode,
            None => self.change()?.make_folder(self.inode, name)?,
        };
        Ok(Arc::new(Self {
            disk: self.disk.clone(),
            inode,
            path: self.path.join(name),
            boot: self.boot,
        }))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let inode = self.change()?.create(self.inode, name)?;
        Ok(self.file(inode))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let inode = self.read()?.open(self.inode, name)?;
        Ok(self.file(inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.change()?.rename(self.inode, from, to)
    }

    fn remove_file(&self, name: &str) -> io::Result<()> {
        self.change()?.remove_file(self.inode, name)
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        self.change()?.remove_folder(self.inode, name)
    }

    fn list(&self) -> io::Result<Vec<Entry>> {
        self.read()?.list(self.inode)
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.change()?.sync_folder(self.inode)
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn LockGuard>> {
        self.change()?.lock(self.inode, name)?;
        Ok(Box::new(SimLock {
            folder: self.clone(),
            name: name.to_owned(),
        }))
    }

    fn path(&self) -> PathBuf {
        self.path.clone()
    }
}

/// A held lock; a crash takes it away, too.
#[derive(Debug)]
struct SimLock {
    folder: SimFolder,
    name: String,
}

impl LockGuard for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut state = self.folder.disk.state();
        state.unlock(self.folder.inode, &self.name, self.folder.boot);
    }
}

/// A file of a [`SimDisk`].
#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: Inode,
    boot: u64,
}

impl SimFile {
    fn change(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.disk.state();
        state.count_change(self.boot)?;
        Ok(state)
    }
}

impl File for SimFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state();
        state.check_running(self.boot)?;
        state.read_at(self.inode, offset, buffer)
    }

    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> io::Result<()> {
        self.change()?.write_at(self.inode, offset, &parts.concat())
    }

    fn sync(&self) -> io::Result<()> {
        self.change()?.sync_file(self.inode)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.change()?.truncate(self.inode, len)
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.check_running(self.boot)?;
        state.len(self.inode)
    }
}

#[cfg(test)]
mod tests;
