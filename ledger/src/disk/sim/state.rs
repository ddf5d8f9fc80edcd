//! What a [`SimDisk`](super::SimDisk) remembers.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path};

use super::Fault;
use crate::disk::{Entry, EntryKind};

/// The unit that a power loss keeps or loses as a whole.
const SECTOR_BYTES: usize = 512;

/// Names a file or folder, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inode(u64);

#[derive(Debug, Default)]
struct FileState {
    content: Vec<u8>,
    /// What a power loss keeps for sure.
    durable: Vec<u8>,
    /// Below it the two are the same.
    dirty_from: usize,
}

#[derive(Debug, Default)]
struct FolderState {
    names: BTreeMap<String, Inode>,
    durable: BTreeMap<String, Inode>,
    /// What happened to `durable` to become `names`, in order.
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Add(String, Inode),
    Remove(String),
    Rename(String, String),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, Inode>) {
        match self {
            Self::Add(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
}

/// A generator of numbers from a seed (splitmix64).
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `max`.
    fn up_to(&mut self, max: usize) -> usize {
        let span = (max as u64).saturating_add(1);
        usize::try_from(self.next() % span).unwrap_or(0)
    }
}

/// Everything on the disk, and how it is to misbehave.
#[derive(Debug)]
pub(super) struct State {
    files: BTreeMap<Inode, FileState>,
    folders: BTreeMap<Inode, FolderState>,
    locks: BTreeSet<(Inode, String)>,
    chance: Chance,
    next_inode: u64,
    /// How often the power came back; handles carry the one they were made in.
    boot: u64,
    pub(super) capacity: Option<u64>,
    pub(super) faults: Vec<Fault>,
    pub(super) calls_left: Option<u64>,
}

impl State {
    pub(super) const ROOT: Inode = Inode(0);

    pub(super) fn new(seed: u64) -> Self {
        Self {
            files: BTreeMap::new(),
            folders: BTreeMap::from([(Self::ROOT, FolderState::default())]),
            locks: BTreeSet::new(),
            chance: Chance(seed),
            next_inode: 1,
            boot: 0,
            capacity: None,
            faults: Vec::new(),
            calls_left: None,
        }
    }

    pub(super) fn boot(&self) -> u64 {
        self.boot
    }

    pub(super) fn used(&self) -> u64 {
        self.files.values().map(|file| file.content.len() as u64).sum()
    }

    /// Refuses handles from before the last crash, and everything once the calls are used up.
    pub(super) fn check_running(&self, boot: u64) -> io::Result<()> {
        if boot != self.boot || self.calls_left == Some(0) {
            return Err(io::Error::other("the simulated machine is down"));
        }
        Ok(())
    }

    pub(super) fn count_change(&mut self, boot: u64) -> io::Result<()> {
        self.check_running(boot)?;
        if let Some(left) = &mut self.calls_left {
            *left -= 1;
        }
        self.check_running(boot)
    }

    pub(super) fn subfolder(&self, folder: Inode, name: &str) -> io::Result<Option<Inode>> {
        match self.names(folder)?.get(name) {
            Some(inode) if self.folders.contains_key(inode) => Ok(Some(*inode)),
            Some(_) => Err(io::ErrorKind::NotADirectory.into()),
            None => Ok(None),
        }
    }

    pub(super) fn make_folder(&mut self, folder: Inode, name: &str) -> io::Result<Inode> {
        let inode = self.add(folder, name)?;
        self.folders.insert(inode, FolderState::default());
        Ok(inode)
    }

    pub(super) fn create(&mut self, folder: Inode, name: &str) -> io::Result<Inode> {
        let inode = self.add(folder, name)?;
        self.files.insert(inode, FileState::default());
        Ok(inode)
    }

    pub(super) fn open(&self, folder: Inode, name: &str) -> io::Result<Inode> {
        let inode = self.names(folder)?.get(name).ok_or(io::ErrorKind::NotFound)?;
        if self.files.contains_key(inode) {
            return Ok(*inode);
        }
        Err(io::ErrorKind::IsADirectory.into())
    }

    pub(super) fn rename(&mut self, folder: Inode, from: &str, to: &str) -> io::Result<()> {
        if !self.names(folder)?.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.change(folder, Change::Rename(from.to_owned(), to.to_owned()))
    }

    pub(super) fn remove_file(&mut self, folder: Inode, name: &str) -> io::Result<()> {
        self.open(folder, name)?;
        self.change(folder, Change::Remove(name.to_owned()))
    }

    pub(super) fn remove_folder(&mut self, folder: Inode, name: &str) -> io::Result<()> {
        let inode = self.subfolder(folder, name)?.ok_or(io::ErrorKind::NotFound)?;
        if !self.names(inode)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.change(folder, Change::Remove(name.to_owned()))
    }

    pub(super) fn list(&self, folder: Inode) -> io::Result<Vec<Entry>> {
        let names = self.names(folder)?;
        let entry = |(name, inode): (&String, &Inode)| Entry {
            name: name.clone(),
            kind: if self.folders.contains_key(inode) {
                EntryKind::Folder
            } else {
                EntryKind::File
            },
        };
        Ok(names.iter().map(entry).collect())
    }

    pub(super) fn sync_folder(&mut self, folder: Inode) -> io::Result<()> {
        let state = self.folders.get_mut(&folder).ok_or(io::ErrorKind::NotFound)?;
        state.durable = state.names.clone();
        state.changes.clear();
        Ok(())
    }

    pub(super) fn lock(&mut self, folder: Inode, name: &str) -> io::Result<()> {
        if !self.names(folder)?.contains_key(name) {
            self.create(folder, name)?;
        }
        if self.locks.insert((folder, name.to_owned())) {
            return Ok(());
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    pub(super) fn unlock(&mut self, folder: Inode, name: &str, boot: u64) {
        if boot == self.boot {
            self.locks.remove(&(folder, name.to_owned()));
        }
    }

    pub(super) fn len(&self, file: Inode) -> io::Result<u64> {
        Ok(self.file(file)?.content.len() as u64)
    }

    pub(super) fn read_at(&self, file: Inode, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let content = &self.file(file)?.content;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let count = buffer.len().min(content.len() - from);
        buffer[..count].copy_from_slice(&content[from..from + count]);
        Ok(count)
    }

    pub(super) fn write_at(&mut self, file: Inode, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let (allowed, outcome) = self.how_much_to_write(file, offset, bytes.len())?;
        let state = self.file_mut(file)?;
        state.dirty_from = state.dirty_from.min(offset);
        let end = offset + allowed;
        if allowed > 0 && state.content.len() < end {
            state.content.resize(end, 0);
        }
        if allowed > 0 {
            state.content[offset..end].copy_from_slice(&bytes[..allowed]);
        }
        outcome
    }

    /// How many of the bytes get through, and what the call answers.
    fn how_much_to_write(
        &mut self,
        file: Inode,
        offset: usize,
        len: usize,
    ) -> io::Result<(usize, io::Result<()>)> {
        if self.take_fault(Fault::Write) {
            let error = io::Error::other("injected write error");
            return Ok((self.chance.up_to(len), Err(error)));
        }
        let grows = (offset + len).saturating_sub(self.file(file)?.content.len()) as u64;
        if self.capacity.is_some_and(|most| self.used() + grows > most) {
            let room = self.capacity.unwrap_or(0).saturating_sub(self.used());
            let room = usize::try_from(room).unwrap_or(len);
            let allowed = self.chance.up_to(room.min(len));
            return Ok((allowed, Err(io::ErrorKind::StorageFull.into())));
        }
        Ok((len, Ok(())))
    }

    pub(super) fn sync_file(&mut self, file: Inode) -> io::Result<()> {
        let fails = self.take_fault(Fault::Sync);
        let state = self.file_mut(file)?;
        let from = state.dirty_from.min(state.durable.len());
        state.durable.truncate(from);
        if fails {
            // The operating system has forgotten that these pages were to be written.
            state.durable.resize(state.content.len(), 0);
        } else {
            state.durable.extend_from_slice(&state.content[from..]);
        }
        state.dirty_from = state.content.len();
        if fails {
            return Err(io::Error::other("injected sync error"));
        }
        Ok(())
    }

    pub(super) fn truncate(&mut self, file: Inode, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let state = self.file_mut(file)?;
        state.dirty_from = state.dirty_from.min(len).min(state.content.len());
        state.content.resize(len, 0);
        Ok(())
    }

    pub(super) fn flip_bit(&mut self, path: &Path, offset: u64, bit: u32) -> io::Result<()> {
        let file = self.find(path)?;
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let state = self.file_mut(file)?;
        let mask = 1_u8.checked_shl(bit).ok_or(io::ErrorKind::InvalidInput)?;
        let byte = state.content.get_mut(offset).ok_or(io::ErrorKind::InvalidInput)?;
        *byte ^= mask;
        if let Some(byte) = state.durable.get_mut(offset) {
            *byte ^= mask;
        }
        Ok(())
    }

    /// Decides what survives, forgets the rest, and starts anew.
    pub(super) fn crash(&mut self) {
        for folder in self.folders.values_mut() {
            let kept = self.chance.up_to(folder.changes.len());
            let mut names = std::mem::take(&mut folder.durable);
            folder.changes[..kept].iter().for_each(|c| c.apply(&mut names));
            folder.names = names.clone();
            folder.durable = names;
            folder.changes.clear();
        }
        for file in self.files.values_mut() {
            file.content = survivor(file, &mut self.chance);
            file.durable.clone_from(&file.content);
            file.dirty_from = file.content.len();
        }
        self.drop_unreachable();
        self.locks.clear();
        self.calls_left = None;
        self.faults.clear();
        self.boot += 1;
    }

    /// Frees what no name leads to.
    fn drop_unreachable(&mut self) {
        let mut reachable = BTreeSet::from([Self::ROOT]);
        let mut to_visit = vec![Self::ROOT];
        while let Some(folder) = to_visit.pop() {
            let names = self.folders.get(&folder).map(|f| &f.names);
            for inode in names.into_iter().flat_map(BTreeMap::values) {
                if reachable.insert(*inode) {
                    to_visit.push(*inode);
                }
            }
        }
        self.files.retain(|inode, _| reachable.contains(inode));
        self.folders.retain(|inode, _| reachable.contains(inode));
    }

    fn take_fault(&mut self, kind: Fault) -> bool {
        let found = self.faults.iter().position(|fault| *fault == kind);
        found.map(|at| self.faults.remove(at)).is_some()
    }

    fn add(&mut self, folder: Inode, name: &str) -> io::Result<Inode> {
        if self.names(folder)?.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = Inode(self.next_inode);
        self.next_inode += 1;
        self.change(folder, Change::Add(name.to_owned(), inode))?;
        Ok(inode)
    }

    fn change(&mut self, folder: Inode, change: Change) -> io::Result<()> {
        let state = self.folders.get_mut(&folder).ok_or(io::ErrorKind::NotFound)?;
        change.apply(&mut state.names);
        state.changes.push(change);
        Ok(())
    }

    fn names(&self, folder: Inode) -> io::Result<&BTreeMap<String, Inode>> {
        let state = self.folders.get(&folder).ok_or(io::ErrorKind::NotFound)?;
        Ok(&state.names)
    }

    fn file(&self, file: Inode) -> io::Result<&FileState> {
        Ok(self.files.get(&file).ok_or(io::ErrorKind::NotFound)?)
    }

    fn file_mut(&mut self, file: Inode) -> io::Result<&mut FileState> {
        Ok(self.files.get_mut(&file).ok_or(io::ErrorKind::NotFound)?)
    }

    /// The file at an absolute path below `/sim`.
    fn find(&self, path: &Path) -> io::Result<Inode> {
        let mut inode = Self::ROOT;
        for part in path.components().skip(2) {
            let Component::Normal(name) = part else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let name = name.to_string_lossy();
            inode = *self.names(inode)?.get(&*name).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(inode)
    }
}

/// What is left of a file after a power loss.
fn survivor(file: &FileState, chance: &mut Chance) -> Vec<u8> {
    match chance.up_to(3) {
        0 => file.durable.clone(),
        1 => file.content.clone(),
        2 => {
            // A clean prefix of what was appended.
            let grown = file.content.len().saturating_sub(file.dirty_from);
            let mut left = file.content.clone();
            left.truncate(file.dirty_from + chance.up_to(grown));
            left
        }
        _ => torn(file, chance),
    }
}

/// Some sectors new, some as they were, some zero; some length between.
fn torn(file: &FileState, chance: &mut Chance) -> Vec<u8> {
    let (old, new) = (file.durable.len(), file.content.len());
    let len = old.min(new) + chance.up_to(old.abs_diff(new));
    let mut left = vec![0; len];
    let clean = file.dirty_from.min(len);
    left[..clean].copy_from_slice(&file.content[..clean]);
    let mut at = clean;
    while at < len {
        let end = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(len);
        let source = if chance.up_to(1) == 0 {
            &file.durable
        } else {
            &file.content
        };
        let from = source.get(at..end.min(source.len())).unwrap_or_default();
        left[at..at + from.len()].copy_from_slice(from);
        at = end;
    }
    left
}
