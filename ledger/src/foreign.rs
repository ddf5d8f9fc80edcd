//! Data folders of the reference implementation, which are not ours to use.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::segment::FOREIGN_PREFIX;

/// A file that an index folder of the reference implementation always has, and ours never.
const INDEX_FILE: &str = "index/CURRENT";
const CHAINS: &str = "chains";

/// A file in the data folder `location` that shows it to be one of the reference implementation; none: it is not, or
/// there is no such folder. Changes nothing.
///
/// A folder that this program has used stays ours, whatever somebody put into one of its channels.
pub fn find(location: &Path) -> io::Result<Option<PathBuf>> {
    let index = location.join(INDEX_FILE);
    if index.is_file() {
        return Ok(Some(index));
    }
    if location.join(super::factory::LOCK_FILE).exists() {
        return Ok(None);
    }
    for channel in entries(&location.join(CHAINS))? {
        let is_block_file = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with(FOREIGN_PREFIX)
        };
        if let Some(file) = entries(&channel)?.into_iter().find(is_block_file) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// What is in a folder, sorted; nothing if there is no such folder.
pub fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_reference_are_told_from_ours_and_from_none() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(find(&at("none")).unwrap(), None);
        fs::create_dir_all(at("chains/ch1")).unwrap();
        assert_eq!(find(folder.path()).unwrap(), None);
        fs::write(at("chains/ch1/blockfile_000000"), b"").unwrap();
        assert_eq!(
            find(folder.path()).unwrap(),
            Some(at("chains/ch1/blockfile_000000"))
        );
        fs::write(at("ordain.lock"), b"").unwrap();
        assert_eq!(find(folder.path()).unwrap(), None);
        fs::create_dir(at("index")).unwrap();
        fs::write(at("index/CURRENT"), b"").unwrap();
        assert_eq!(find(folder.path()).unwrap(), Some(at("index/CURRENT")));
    }
}
