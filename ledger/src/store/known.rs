//! What the index says before the files are read.

use protos::{BlockNumber, ChannelId, Height};

use crate::disk::Directory;
use crate::index::Index;
use crate::segment::file_name;
use crate::segment::recover::{Position, read_record};

/// What the index says before the files are read.
pub(super) struct Known {
    /// Where reading has to begin.
    pub(super) from: Position,
    /// Height below which every block was durable once.
    pub(super) vouched: Height,
}

impl Known {
    pub(super) fn ask(
        channel: &ChannelId,
        folder: &dyn Directory,
        index: &dyn Index,
        segments: &[BlockNumber],
    ) -> Self {
        let vouched = index.height(channel).unwrap_or(Height::EMPTY);
        let beginning = |vouched| Self {
            from: Position::BEGINNING,
            vouched,
        };
        if segments.is_empty() {
            // The folder is new, or was emptied on purpose.
            if vouched > Height::EMPTY {
                let _ = index.forget(channel);
            }
            return beginning(Height::EMPTY);
        }
        if let Some(from) = position_from_index(channel, folder, index, segments, vouched) {
            return Self { from, vouched };
        }
        // What is wrong in it is written over as the files are read. Until then it says which blocks were durable.
        beginning(vouched)
    }
}

/// Where to go on reading, if the index fits the files: its last block is there, and so is the end of each
/// file before.
fn position_from_index(
    channel: &ChannelId,
    folder: &dyn Directory,
    index: &dyn Index,
    segments: &[BlockNumber],
    vouched: Height,
) -> Option<Position> {
    let tip = vouched.tip()?;
    let place = index.get(channel, tip).ok()??;
    let file = folder.open(&file_name(place.segment)).ok()?;
    let block = read_record(&*file, place.offset, place.len, tip).ok()?;
    let indexed = segments.iter().filter(|first| **first <= tip);
    let fits = indexed.zip(&segments[1..]).all(|(first, next)| {
        let last = next.0.checked_sub(1).map(BlockNumber);
        next.0 > vouched.0 || last.is_some_and(|last| ends_with(channel, folder, index, *first, last))
    });
    (fits && segments.first() == Some(&BlockNumber::GENESIS)).then(|| Position::after(&block, &place))
}

/// True when the file that begins with `first` ends with the record of block `last`.
fn ends_with(
    channel: &ChannelId,
    folder: &dyn Directory,
    index: &dyn Index,
    first: BlockNumber,
    last: BlockNumber,
) -> bool {
    let Ok(Some(place)) = index.get(channel, last) else {
        return false;
    };
    let len = folder.open(&file_name(first)).and_then(|file| file.len());
    place.segment == first && len.is_ok_and(|len| len == place.end())
}
