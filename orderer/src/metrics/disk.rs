//! How much room there is where a folder is.

use std::io;
use std::path::Path;

use rustix::fs::statvfs;

/// A file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What this process may still write.
    pub free: u64,
    /// The whole of it.
    pub size: u64,
}

/// Asks the file system that `folder` is on. It may wait where that does not answer.
pub fn room(folder: &Path) -> io::Result<Room> {
    let found = statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Room {
        free: bytes(found.f_bavail),
        size: bytes(found.f_blocks),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_room_and_none_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let room_there = room(folder.path()).unwrap();
        assert!(room_there.free <= room_there.size && room_there.size > 0);
        assert!(room(&folder.path().join("missing")).is_err());
    }
}
