//! A tree of folders and files as it lies on disk.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::super::context::Context;

/// Folders and files by their path below the root, with modes.
#[derive(Default)]
pub(super) struct Tree {
    folders: BTreeMap<String, u32>,
    files: BTreeMap<String, (Vec<u8>, u32)>,
}

impl Tree {
    /// Reads everything below `root`; nothing, if it does not exist.
    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let mut tree = Self::default();
        if root.exists() {
            tree.add(root, "")
                .map_err(|error| format!("{}: {error}", root.display()))?;
        }
        Ok(tree)
    }

    fn add(&mut self, folder: &Path, prefix: &str) -> std::io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let meta = entry.metadata()?;
            let mode = meta.permissions().mode() & 0o777;
            if meta.is_dir() {
                self.add(&entry.path(), &format!("{path}/"))?;
                self.folders.insert(path, mode);
            } else {
                self.files.insert(path, (fs::read(entry.path())?, mode));
            }
        }
        Ok(())
    }

    pub(super) fn folders(&self) -> impl Iterator<Item = &String> {
        self.folders.keys()
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &String> {
        self.files.keys()
    }

    pub(super) fn ending_in(&self, endings: &[&str]) -> impl Iterator<Item = &String> {
        self.paths()
            .filter(|path| endings.iter().any(|ending| path.ends_with(ending)))
    }

    pub(super) fn bytes(&self, path: &str) -> Result<&[u8], String> {
        let file = self.files.get(path);
        file.map(|(bytes, _)| bytes.as_slice())
            .ok_or_else(|| format!("no file {path}"))
    }

    pub(super) fn text(&self, path: &str) -> Result<&str, String> {
        std::str::from_utf8(self.bytes(path)?).map_err(|error| format!("{path}: {error}"))
    }

    /// Folders 0755, private keys 0600, the rest 0666, less what the umask of this process takes away.
    pub(super) fn check_modes(&self, context: &Context) -> Result<(), String> {
        let umask = umask(context).map_err(|error| format!("a file for its mode: {error}"))?;
        let is_private = |path: &str| ["_sk", ".key"].iter().any(|end| path.ends_with(end));
        let files = self
            .files
            .iter()
            .map(|(path, (_, mode))| (path, *mode, if is_private(path) { 0o600 } else { 0o666 }));
        let folders = self.folders.iter().map(|(path, mode)| (path, *mode, 0o755));
        for (path, mode, wanted) in files.chain(folders) {
            let wanted = wanted & !umask;
            if mode != wanted {
                return Err(format!("{path}: expected mode {wanted:o}, got {mode:o}"));
            }
        }
        Ok(())
    }
}

fn umask(context: &Context) -> std::io::Result<u32> {
    let probe = context.scratch("umask");
    fs::write(&probe, "")?;
    Ok(0o666 & !fs::metadata(&probe)?.permissions().mode())
}
