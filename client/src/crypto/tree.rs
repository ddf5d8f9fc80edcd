//! A tree of folders and files in memory, and writing it out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, OpenOptions};
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

    /// Writes everything below `root`, which is made if missing. No existing file is ever replaced: the
    /// first one met ends it with [`CryptoError::Exists`], before anything was written.
    pub fn write(&self, root: &Path) -> Result<(), CryptoError> {
        if let Some(path) = self.files.keys().map(|path| root.join(path)).find(|p| p.exists()) {
            return Err(CryptoError::Exists { path });
        }
        for folder in std::iter::once(root.to_owned()).chain(self.folders.iter().map(|f| root.join(f))) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(&folder)
                .map_err(|source| CryptoError::write(folder, source))?;
        }
        for (path, content, access) in self.files() {
            let path = root.join(path);
            write_new(&path, content, access).map_err(|source| CryptoError::write(path, source))?;
        }
        Ok(())
    }
}

fn write_new(path: &Path, content: &str, access: Access) -> std::io::Result<()> {
    let mode = match access {
        Access::Private => 0o600,
        Access::Public => 0o666,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(content.as_bytes())
}
