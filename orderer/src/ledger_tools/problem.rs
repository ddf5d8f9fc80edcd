//! What a check has found, in words and as JSON.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use protos::{BlockNumber, ChannelId};
use serde::Serialize;

/// Something that is wrong, with its place and what to do about it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Problem {
    /// For scripts: record, missing-blocks, link, content, signatures, config, last-config, channel, raft-metadata, index,
    /// raft-log, marker, folder.
    pub(super) kind: &'static str,
    pub(super) channel: Option<String>,
    pub(super) file: Option<PathBuf>,
    /// In the file, in bytes.
    pub(super) offset: Option<u64>,
    /// The first block it is about.
    pub(super) block: Option<u64>,
    /// The last one.
    pub(super) last_block: Option<u64>,
    pub(super) what: String,
    pub(super) next: String,
}

impl Problem {
    pub(super) fn new(kind: &'static str, what: impl fmt::Display, next: impl fmt::Display) -> Self {
        Self {
            kind,
            channel: None,
            file: None,
            offset: None,
            block: None,
            last_block: None,
            what: what.to_string(),
            next: next.to_string(),
        }
    }

    pub(super) fn of(self, channel: &ChannelId) -> Self {
        Self {
            channel: Some(channel.to_string()),
            ..self
        }
    }

    pub(super) fn at(self, file: PathBuf, offset: Option<u64>) -> Self {
        Self {
            file: Some(file),
            offset,
            ..self
        }
    }

    pub(super) fn blocks(self, first: BlockNumber, last: BlockNumber) -> Self {
        Self {
            block: Some(first.0),
            last_block: Some(last.0),
            ..self
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut place = String::new();
        if let Some(channel) = &self.channel {
            let _ = write!(place, "channel {channel}, "); // a String takes everything
        }
        match (self.block, self.last_block) {
            (Some(first), Some(last)) if first != last => {
                let _ = write!(place, "blocks {first} to {last}, ");
            }
            (Some(block), _) => {
                let _ = write!(place, "block {block}, ");
            }
            _ => {}
        }
        if let Some(file) = &self.file {
            let _ = write!(place, "{}, ", file.display());
        }
        if let Some(offset) = self.offset {
            let _ = write!(place, "byte {offset}, ");
        }
        let place = place.trim_end_matches(", ");
        if place.is_empty() {
            write!(f, "{}\n    next: {}", self.what, self.next)
        } else {
            write!(f, "{place}: {}\n    next: {}", self.what, self.next)
        }
    }
}

/// What is known of one channel.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct ChannelReport {
    pub(super) channel: String,
    /// Blocks from block 0 on without a gap.
    pub(super) height: u64,
    /// Intact blocks, whatever is missing between them.
    pub(super) blocks: u64,
    pub(super) bytes: u64,
    pub(super) config_blocks: u64,
    /// How long the check took.
    pub(super) seconds: f64,
    /// Number of the newest intact block.
    pub(super) newest_block: Option<u64>,
    /// Its header hash.
    pub(super) newest_hash: Option<String>,
    pub(super) problems: Vec<Problem>,
    /// What is worth knowing and not wrong.
    pub(super) notes: Vec<String>,
}

/// What is known of a data folder.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) location: PathBuf,
    /// A node was running on it.
    pub(super) in_use: bool,
    pub(super) sound: bool,
    pub(super) channels: Vec<ChannelReport>,
    pub(super) problems: Vec<Problem>,
    pub(super) notes: Vec<String>,
}

impl Report {
    /// How many problems there are in all.
    pub(super) fn problems(&self) -> usize {
        let of_channels = self.channels.iter().map(|channel| channel.problems.len());
        self.problems.len() + of_channels.sum::<usize>()
    }
}
