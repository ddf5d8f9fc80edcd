//! `SnapDir`: the newest checkpoints of each channel as files, where operators and tools look for them.
//!
//! `<SnapDir>/<channel>/<term>-<index>.snap`, both numbers as 16 hexadecimal digits, and nothing else in either folder
//! (`docs/spec/dropin.md` §6). A file holds one whole checkpoint in the form of [`records`](super::records). The log
//! holds the newest one as well, made durable with the entries it stands for, and is what a start reads: so the files
//! are not synced, and one that is missing or damaged is made anew.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use protos::ChannelId;

use super::records::checkpoint_bytes;
use crate::raft::log::Checkpoint;

/// Files kept of each channel; tools look for at least four.
const FILES_KEPT: usize = 4;
const SUFFIX: &str = ".snap";

/// The folder of all channels.
#[derive(Debug)]
pub(super) struct SnapDir {
    root: PathBuf,
    /// Where a file is written before it gets its place. In another folder, since tools count what is in that one.
    unfinished: Mutex<PathBuf>,
}

impl SnapDir {
    /// Files come into `root`; `scratch` is a folder for what is not finished, on the same file system if possible.
    pub(super) fn new(root: PathBuf, scratch: &Path) -> Self {
        let unfinished = scratch.join("checkpoint.unfinished");
        let unfinished = Mutex::new(unfinished);
        Self { root, unfinished }
    }

    fn folder(&self, channel: &ChannelId) -> PathBuf {
        self.root.join(channel.as_str())
    }

    /// Makes the channel's folder, and the file of `newest` if it is not there as it should be.
    pub(super) fn heal(&self, channel: &ChannelId, newest: Option<&Checkpoint>) -> io::Result<()> {
        let folder = self.folder(channel);
        std::fs::create_dir_all(&folder)?;
        let Some(newest) = newest else { return Ok(()) };
        match std::fs::read(folder.join(file_name(newest))) {
            Ok(found) if found == checkpoint_bytes(newest) => Ok(()),
            _ => self.publish(channel, newest),
        }
    }

    /// Makes the file of a new checkpoint, and removes those that are too many.
    pub(super) fn publish(&self, channel: &ChannelId, checkpoint: &Checkpoint) -> io::Result<()> {
        let folder = self.folder(channel);
        std::fs::create_dir_all(&folder)?; // it may have been removed by hand
        let (bytes, path) = (checkpoint_bytes(checkpoint), folder.join(file_name(checkpoint)));
        let unfinished = self.unfinished.lock().unwrap_or_else(PoisonError::into_inner);
        std::fs::write(&*unfinished, &bytes)?;
        match std::fs::rename(&*unfinished, &path) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => std::fs::write(&path, &bytes)?,
            moved => moved?,
        }
        remove_old(&folder)
    }

    /// Removes the channel's folder with everything in it.
    pub(super) fn remove(&self, channel: &ChannelId) -> io::Result<()> {
        remove_folder(&self.folder(channel))
    }
}

/// Removes a folder with everything in it; fine if there is none.
pub(super) fn remove_folder(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn file_name(checkpoint: &Checkpoint) -> String {
    format!("{:016x}-{:016x}{SUFFIX}", checkpoint.term, checkpoint.index)
}

/// Term and index of a file of ours. Names that are anything else are left alone.
fn parse_name(name: &str) -> Option<(u64, u64)> {
    let (term, index) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    let digits = |text: &str| {
        let whole = text.len() == 16;
        whole.then(|| u64::from_str_radix(text, 16).ok()).flatten()
    };
    Some((digits(term)?, digits(index)?))
}

fn remove_old(folder: &Path) -> io::Result<()> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let place = entry.file_name().to_str().and_then(parse_name);
        found.extend(place.map(|(term, index)| ((index, term), entry.path())));
    }
    found.sort_unstable();
    let old = found.len().saturating_sub(FILES_KEPT);
    found[..old]
        .iter()
        .try_for_each(|(_, path)| std::fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protos::{BlockNumber, ConsenterId};

    use super::*;

    fn checkpoint(term: u64, index: u64) -> Checkpoint {
        Checkpoint {
            index,
            term,
            voters: vec![ConsenterId(1)],
            block_number: BlockNumber(index),
            block: Bytes::from_static(b"block"),
        }
    }

    struct World {
        root: tempfile::TempDir,
        snaps: SnapDir,
        channel: ChannelId,
    }

    impl World {
        fn new() -> Self {
            let root = tempfile::tempdir().unwrap();
            Self {
                snaps: SnapDir::new(root.path().join("snap"), root.path()),
                root,
                channel: ChannelId::parse("ch1").unwrap(),
            }
        }

        fn publish(&self, term: u64, index: u64) {
            self.snaps
                .publish(&self.channel, &checkpoint(term, index))
                .unwrap();
        }

        fn names(&self, folder: &str) -> Vec<String> {
            let entries = std::fs::read_dir(self.root.path().join(folder)).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<_> = names.collect();
            names.sort();
            names
        }
    }

    #[test]
    fn the_newest_four_stay_and_nothing_else_is_in_the_folders() {
        let world = World::new();
        for (count, index) in (5..=8).enumerate() {
            world.publish(2, index);
            assert_eq!(world.names("snap/ch1").len(), count + 1);
        }
        world.publish(3, 0x1f);
        let expected = [
            "0000000000000002-0000000000000006.snap",
            "0000000000000002-0000000000000007.snap",
            "0000000000000002-0000000000000008.snap",
            "0000000000000003-000000000000001f.snap",
        ];
        assert_eq!(world.names("snap/ch1"), expected);
        assert_eq!(world.names("snap"), ["ch1"]);
    }

    #[test]
    fn what_was_removed_or_damaged_by_hand_is_made_anew() {
        let world = World::new();
        let newest = checkpoint(2, 9);
        let path = world.root.path().join("snap/ch1").join(file_name(&newest));
        world.snaps.heal(&world.channel, None).unwrap();
        assert!(world.names("snap/ch1").is_empty());
        world.snaps.heal(&world.channel, Some(&newest)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..20]).unwrap();
        world.snaps.heal(&world.channel, Some(&newest)).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
        world.snaps.remove(&world.channel).unwrap();
        world.snaps.remove(&world.channel).unwrap();
        world.snaps.publish(&world.channel, &newest).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), whole);
    }

    #[test]
    fn files_of_others_are_left_alone() {
        let world = World::new();
        world.publish(1, 1);
        let folder = world.root.path().join("snap/ch1");
        for name in ["db", "1-2.snap", "0000000000000002-000000000000000g.snap"] {
            std::fs::write(folder.join(name), b"").unwrap();
        }
        (2..10).for_each(|index| world.publish(1, index));
        assert_eq!(world.names("snap/ch1").len(), FILES_KEPT + 3);
    }
}
