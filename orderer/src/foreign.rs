//! Folders of a reference orderer that the settings name: the node does not start on them, and changes nothing there.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ledger::FactoryError;
use ledger::foreign::entries;

use crate::config::Config;

/// What our raft log makes first.
const OWN_LOG: &str = ".raft-engine";
/// How files of the other's raft log and of its snapshots are named.
const LOG_SUFFIX: &str = ".wal";
const SNAPSHOT_SUFFIX: &str = ".snap";
/// How its snapshots begin, with a field of a protobuf message; ours begin with a version.
const SNAPSHOT_BEGIN: u8 = 0x08;

/// Why a folder is not ours to use.
#[derive(Debug, thiserror::Error)]
pub enum ForeignError {
    /// The data folder.
    #[error(transparent)]
    Data(#[from] FactoryError),
    /// The folder of the raft log or of its checkpoints.
    #[error(
        "{file} is part of a raft log of the reference implementation; nothing was changed. Name other folders in \
         Consensus.WALDir and Consensus.SnapDir; `orderer ledger import --fabric` takes the channels over"
    )]
    Log {
        /// The file that shows it.
        file: PathBuf,
    },
}

/// Refuses folders of a reference orderer.
pub fn refuse(config: &Config) -> Result<(), ForeignError> {
    let location = &config.ledger.location;
    let disk = |source| FactoryError::Disk {
        location: location.clone(),
        source,
    };
    if let Some(file) = ledger::foreign::find(location).map_err(disk)? {
        let location = location.clone();
        return Err(FactoryError::Foreign { location, file }.into());
    }
    let consensus = &config.consensus;
    let log = find_log(&consensus.wal_dir, &consensus.snap_dir).map_err(disk)?;
    log.map_or(Ok(()), |file| Err(ForeignError::Log { file }))
}

/// A file of a reference orderer's raft log; none where our log has begun, whatever lies beside it.
fn find_log(wal_dir: &Path, snap_dir: &Path) -> io::Result<Option<PathBuf>> {
    if wal_dir.join(OWN_LOG).exists() {
        return Ok(None);
    }
    match find_below(wal_dir, LOG_SUFFIX, |_| true)? {
        None => find_below(snap_dir, SNAPSHOT_SUFFIX, |path| {
            fs::read(path).is_ok_and(|bytes| bytes.first() == Some(&SNAPSHOT_BEGIN))
        }),
        found => Ok(found),
    }
}

/// A file whose name ends like this, in a folder of `root`.
fn find_below(root: &Path, suffix: &str, is_it: impl Fn(&Path) -> bool) -> io::Result<Option<PathBuf>> {
    for channel in entries(root)? {
        let ends_so = |path: &PathBuf| path.to_string_lossy().ends_with(suffix);
        let found = entries(&channel)?
            .into_iter()
            .find(|path| ends_so(path) && is_it(path));
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_and_snapshots_of_the_reference_are_told_from_ours() {
        let folder = tempfile::tempdir().unwrap();
        let (wal, snap) = (folder.path().join("wal"), folder.path().join("snap"));
        let find = || find_log(&wal, &snap).unwrap();
        assert_eq!(find(), None);
        let (log, snapshot) = (
            wal.join("ch1/0000000000000000-0000000000000000.wal"),
            snap.join("ch1/0000000000000002-0000000000000005.snap"),
        );
        fs::create_dir_all(wal.join("ch1")).unwrap();
        fs::create_dir_all(snap.join("ch1")).unwrap();
        fs::write(&snapshot, [1, 5, 0]).unwrap();
        assert_eq!(find(), None, "a checkpoint of ours");
        fs::write(&snapshot, [8, 5, 0]).unwrap();
        assert_eq!(find(), Some(snapshot));
        fs::write(&log, b"").unwrap();
        assert_eq!(find(), Some(log));
        fs::create_dir(wal.join(OWN_LOG)).unwrap();
        assert_eq!(find(), None);
    }
}
