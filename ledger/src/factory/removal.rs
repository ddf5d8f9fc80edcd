//! Removing a channel's files: each step is durable before the next, and each may be done twice.

use std::io;
use std::sync::Arc;

use protos::ChannelId;

use crate::disk::{Directory, EntryKind};

/// How the name of a marker ends.
const MARKER_SUFFIX: &str = ".remove";
/// How deep folders in a removed channel's folder may be; ours has none.
const FOLDER_DEPTH_MAX: usize = 8;

/// Removes the folder `name` in `parent`, if there is one; durable when it returns.
pub(super) fn remove_folder(parent: &Arc<dyn Directory>, name: &str) -> io::Result<()> {
    if !has_entry(&**parent, name)? {
        return Ok(());
    }
    remove_tree(parent, name, FOLDER_DEPTH_MAX)?;
    parent.sync_dir()
}

/// Removes a folder and what is in it.
fn remove_tree(parent: &Arc<dyn Directory>, name: &str, depth_left: usize) -> io::Result<()> {
    let folder = parent.folder(name)?;
    for entry in folder.list()? {
        match entry.kind {
            EntryKind::File => folder.remove_file(&entry.name)?,
            EntryKind::Folder if depth_left == 0 => {
                return Err(io::Error::other("folders in it are too deep"));
            }
            EntryKind::Folder => remove_tree(&folder, &entry.name, depth_left - 1)?,
        }
    }
    parent.remove_folder(name)
}

fn marker_name(channel: &ChannelId) -> String {
    format!("{channel}{MARKER_SUFFIX}")
}

/// The channel that the marker `name` is for.
pub(super) fn marked_channel(name: &str) -> Option<ChannelId> {
    ChannelId::parse(name.strip_suffix(MARKER_SUFFIX)?).ok()
}

/// Notes, durably, that a channel is to go.
pub(super) fn make_marker(markers: &dyn Directory, channel: &ChannelId) -> io::Result<()> {
    match markers.create(&marker_name(channel)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => markers.sync_dir(),
    }
}

/// Notes that a channel is gone.
pub(super) fn remove_marker(markers: &dyn Directory, channel: &ChannelId) -> io::Result<()> {
    match markers.remove_file(&marker_name(channel)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => markers.sync_dir(),
    }
}

/// True when `folder` has that name in it.
pub(super) fn has_entry(folder: &dyn Directory, name: &str) -> io::Result<bool> {
    Ok(folder.list()?.iter().any(|entry| entry.name == name))
}
