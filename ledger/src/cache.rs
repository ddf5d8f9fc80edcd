//! The newest blocks, in memory: those who follow the tip do not touch the disk.

use std::collections::VecDeque;
use std::sync::{PoisonError, RwLock};

use protos::{BlockNumber, SealedBlock};

/// The newest blocks of a channel in a row, up to a number of bytes; the newest one always.
#[derive(Debug)]
pub(crate) struct RecentBlocks {
    bytes_max: usize,
    kept: RwLock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    blocks: VecDeque<SealedBlock>,
    bytes: usize,
}

impl RecentBlocks {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            kept: RwLock::default(),
        }
    }

    /// Adds the blocks after the newest one; the oldest give way.
    pub(crate) fn extend(&self, blocks: impl IntoIterator<Item = SealedBlock>) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        for block in blocks {
            kept.bytes += block.bytes().len();
            kept.blocks.push_back(block);
        }
        while kept.bytes > self.bytes_max && kept.blocks.len() > 1 {
            let oldest = kept.blocks.pop_front();
            kept.bytes -= oldest.map_or(0, |block| block.bytes().len());
        }
    }

    pub(crate) fn get(&self, number: BlockNumber) -> Option<SealedBlock> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let first = kept.blocks.front()?.number();
        let position = usize::try_from(number.0.checked_sub(first.0)?).ok()?;
        kept.blocks.get(position).cloned()
    }
}
