//! When a checkpoint is made, and what of the log may go then.

use bytes::Bytes;
use protos::BlockNumber;

use super::{Notice, RaftCore, Turn};
use crate::raft::log::{Checkpoint, LogWrite, MembersAt};

/// Where the config says nothing.
const INTERVAL_DEFAULT: usize = 16 << 20;
/// The log of a channel is in memory from the last checkpoint on.
const INTERVAL_MAX: usize = 64 << 20;
/// Kept behind a checkpoint, so that a follower that is a little behind gets entries and no snapshot.
const KEPT_BYTES: usize = 2 << 20;

impl RaftCore {
    /// A block is durable: makes a checkpoint if enough came since the last.
    pub(super) fn count_block(
        &mut self,
        (index, term): (u64, u64),
        (number, block): (BlockNumber, Bytes),
        turn: &mut Turn<'_>,
    ) {
        self.bytes_since_checkpoint += block.len();
        if self.bytes_since_checkpoint < self.checkpoint_interval() {
            return;
        }
        self.bytes_since_checkpoint = 0;
        let voters = self.node.voters().to_vec();
        let checkpoint = Checkpoint {
            index,
            term,
            voters: voters.clone(),
            block_number: number,
            block,
        };
        let base = self.compact(index);
        let write = LogWrite {
            members: Some(MembersAt { index, voters }),
            checkpoint: Some(checkpoint),
            compact_below: Some(base),
            ..LogWrite::default()
        };
        self.persist(write, turn);
        turn.notice(Notice::CheckpointMade { block: number });
    }

    fn checkpoint_interval(&self) -> usize {
        match self.config.options.snapshot_interval_bytes as usize {
            0 => INTERVAL_DEFAULT,
            interval => interval.min(INTERVAL_MAX),
        }
    }

    /// Drops entries from memory that a checkpoint at `index` stands for, all but the newest. The first place the log
    /// must keep: the one that the window is based on.
    fn compact(&mut self, index: u64) -> u64 {
        let window = self.node.window_mut();
        let ahead: usize = (index + 1..=window.last())
            .map(|index| window.bytes_at(index))
            .sum();
        let mut behind = window.bytes() - ahead;
        let mut base = window.base().index;
        while base < index && behind > KEPT_BYTES {
            base += 1;
            behind -= window.bytes_at(base);
        }
        window.compact(base);
        base
    }
}
