//! A tree of folders and files in memory, and writing it out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::CryptoError;

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its owner only: mode 0600.
    Private,
    /// Everybody, as far as the umask allows: mode 0666 before it.
    Public,
}

/// Folders and files to be, by path relative to a root.
#[derive(Clone, Debug, Default)]
pub struct FileTree {
    folders: BTreeSet<PathBuf>,
    files: BTreeMap<PathBuf, (String, Access)>,
}

impl FileTree {
    pub(super) fn folder(&mut self, path: impl AsRef<Path>) {
        let ancestors = path.as_ref().ancestors().filter(|p| !p.as_os_str().is_empty());
        self.folders.extend(ancestors.map(Path::to_owned));
    }

    pub(super) fn public(&mut self, path: impl AsRef<Path>, content: &str) {
        self.file(path.as_ref(), content, Access::Public);
    }

    pub(super) fn private(&mut self, path: impl AsRef<Path>, content: &str) {
        self.file(path.as_ref(), content, Access::Private);
    }

    fn file(&mut self, path: &Path, content: &str, access: Access) {
        if let Some(parent) = path.parent() {
            self.folder(parent);
        }
        self.files.insert(path.to_owned(), (content.to_owned(), access));
    }

    pub(super) fn has_folder(&self, path: &Path) -> bool {
        self.folders.contains(path)
    }

    /// Takes over everything of `other`.
    pub fn extend(&mut self, other: Self) {
        self.folders.extend(other.folders);
        self.files.extend(other.files);
    }

    /// All folders, parents before children.
    pub fn folders(&self) -> impl Iterator<Item = &Path> {
        self.folders.iter().map(PathBuf::as_path)
    }

    /// All files with content and access, in path order.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &str, Access)> {
        self.files
            .iter()
            .map(|(path, (content, access))| (path.as_path(), content.as_str(), *access))
    }

    /// Writes everything below `root`, which is made if it is missing and there is something to write.
    ///
    /// # Errors
    /// - [`CryptoError::Exists`]: one of the files is there. Nothing was written.
    /// - [`CryptoError::Write`]: the disk refused. Whatever this call had made by then is removed again.
    pub fn write(&self, root: &Path) -> Result<(), CryptoError> {
        if let Some(path) = self.files.keys().map(|path| root.join(path)).find(|p| p.exists()) {
            return Err(CryptoError::Exists { path });
        }
        if self.folders.is_empty() && self.files.is_empty() {
            return Ok(());
        }
        let mut made = Vec::new();
        let written = self.write_noting(root, &mut made);
        if written.is_err() {
            remove(&made);
        }
        written
    }

    /// Notes in `made` what it makes, in that order.
    fn write_noting(&self, root: &Path, made: &mut Vec<PathBuf>) -> Result<(), CryptoError> {
        let below = self.folders.iter().map(|folder| root.join(folder));
        for folder in std::iter::once(root.to_owned()).chain(below) {
            if folder.is_dir() {
                continue;
            }
            let builder = &mut DirBuilder::new();
            let outcome = builder.recursive(true).mode(0o755).create(&folder);
            outcome.map_err(|source| CryptoError::write(folder.clone(), source))?;
            made.push(folder);
        }
        for (path, content, access) in self.files() {
            let path = root.join(path);
            let mut file =
                create(&path, access).map_err(|source| CryptoError::write(path.clone(), source))?;
            made.push(path.clone());
            file.write_all(content.as_bytes())
                .map_err(|source| CryptoError::write(path, source))?;
        }
        Ok(())
    }
}

/// Takes away what was made. Whatever cannot be removed stays: the error that led here says more.
fn remove(made: &[PathBuf]) {
    for path in made.iter().rev() {
        let _ = if path.is_dir() {
            fs::remove_dir(path)
        } else {
            fs::remove_file(path)
        };
    }
}

fn create(path: &Path, access: Access) -> std::io::Result<File> {
    let mode = match access {
        Access::Private => 0o600,
        Access::Public => 0o666,
    };
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
}
