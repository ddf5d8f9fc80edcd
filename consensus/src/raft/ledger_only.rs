//! The raft log of a member of which only the blocks are there: those that other software ordered, and the question
//! whether a log fits the blocks.
//!
//! When *all* members of a channel are stopped, have the same blocks, and none of their old logs is used any more, they may
//! begin a new log together: one that holds nothing but a checkpoint with the newest block. The rules of
//! `docs/adr/017-a-member-that-lost-its-log-only-follows.md` guard against the promises of an old log; here there are no
//! other members left that could count on one.
//!
//! The new log begins above whatever the old ones held: its checkpoint has the raft index that the newest block names,
//! plus [`GAP`], and the same number as term. A leader's first entry takes an index, so an old log has fewer terms than
//! entries but for elections that nobody won. A member that is started with its old log by mistake therefore can be
//! elected by nobody, and takes the new checkpoint as that of a leader far ahead.

use bytes::Bytes;
use prost::Message as _;
use protos::block::METADATA_SLOTS;
use protos::wire::common::Block;
use protos::wire::etcdraft::BlockMetadata;
use protos::{BlockNumber, ChannelId, ConsenterId};

use super::core::{Tip, what_is_lost};
use super::log::{Checkpoint, HardState, Identity, LogError, LogState, LogWrite, MembersAt, RaftLog};
use super::opening::tip_of;

/// How far above the newest block's raft index a new log begins.
pub const GAP: u64 = 1 << 20;

/// Replaces what `log` has of `channel` by a log that begins with `newest`, for the member `id`. `metadata` is what the
/// newest block that says anything says. Answers the index it begins with.
pub fn begin_anew(
    log: &dyn RaftLog,
    channel: &ChannelId,
    id: ConsenterId,
    newest: &Block,
    metadata: &BlockMetadata,
) -> Result<u64, LogError> {
    let write = new_log(id, newest, metadata).ok_or_else(|| LogError {
        reason: "the newest block has no header".to_owned(),
        is_disk_full: false,
        is_in_use: false,
    })?;
    let index = write.members.as_ref().map_or(0, |members| members.index);
    log.write(&[(channel.clone(), write)])?;
    Ok(index)
}

fn new_log(id: ConsenterId, newest: &Block, metadata: &BlockMetadata) -> Option<LogWrite> {
    let block_number = BlockNumber(newest.header.as_ref()?.number);
    let index = metadata.raft_index.saturating_add(GAP);
    let voters: Vec<_> = metadata.consenter_ids.iter().copied().map(ConsenterId).collect();
    Some(LogWrite {
        identity: Some(Identity {
            id,
            lost: None,
            votes_from: 0,
            pulled: 0,
        }),
        hard_state: Some(HardState {
            term: index,
            vote: 0,
            commit: index,
        }),
        members: Some(MembersAt {
            index,
            voters: voters.clone(),
        }),
        checkpoint: Some(Checkpoint {
            index,
            term: index,
            voters,
            block_number,
            block: entry(newest),
        }),
        resets: true,
        ..LogWrite::default()
    })
}

/// A block as the entry of a log has it.
fn entry(block: &Block) -> Bytes {
    let mut block = block.clone();
    block.metadata.get_or_insert_default().metadata = vec![Bytes::new(); METADATA_SLOTS];
    block.encode_to_vec().into()
}

/// What shows that part of `log` is gone, where `newest` is the newest block of the ledger and `metadata` what it, or the
/// newest before it that says anything, says. None where the log is whole, or there never was one.
pub fn loss_of(log: &LogState, newest: Block, metadata: BlockMetadata) -> Option<String> {
    let number = newest.header.as_ref().map_or(0, |header| header.number);
    match tip_of(BlockNumber(number), newest, metadata) {
        Ok(tip) => loss(log, &tip),
        Err(reason) => Some(reason),
    }
}

fn loss(log: &LogState, tip: &Tip) -> Option<String> {
    let identity = log.identity.as_ref()?;
    identity.lost.clone().or_else(|| what_is_lost(log, identity, tip))
}

#[cfg(test)]
mod tests {
    use protos::block::next;

    use super::super::storage::EngineLog;
    use super::*;

    fn metadata(raft_index: u64) -> BlockMetadata {
        BlockMetadata {
            consenter_ids: vec![1, 3, 4],
            next_consenter_id: 5,
            raft_index,
        }
    }

    fn block() -> Block {
        next(BlockNumber(7), &[1; 32], vec![Bytes::from_static(b"envelope")])
    }

    fn begun() -> LogState {
        let folder = tempfile::tempdir().unwrap();
        let (wal, snap) = (folder.path().join("wal"), folder.path().join("snap"));
        let channel = ChannelId::parse("ch1").unwrap();
        let log = EngineLog::open(&wal, &snap).unwrap();
        for _ in 0..2 {
            let index = begin_anew(&log, &channel, ConsenterId(3), &block(), &metadata(20)).unwrap();
            assert_eq!(index, 20 + GAP);
        }
        drop(log);
        EngineLog::open(&wal, &snap).unwrap().load(&channel).unwrap()
    }

    #[test]
    fn a_new_log_begins_above_the_old_one_and_nothing_of_it_is_lost() {
        let log = begun();
        let checkpoint = log.checkpoint.clone().unwrap();
        assert_eq!((checkpoint.index, checkpoint.term), (20 + GAP, 20 + GAP));
        assert_eq!(checkpoint.block_number, BlockNumber(7));
        assert_eq!(checkpoint.voters, [1, 3, 4].map(ConsenterId));
        assert_eq!(log.identity.as_ref().unwrap().id, ConsenterId(3));
        assert_eq!(loss_of(&log, block(), metadata(20)), None);
    }

    #[test]
    fn a_log_that_lacks_what_the_ledger_has_is_told_from_none() {
        let mut log = begun();
        log.checkpoint = None;
        assert!(loss_of(&log, block(), metadata(20)).is_some());
        assert_eq!(loss_of(&LogState::default(), block(), metadata(20)), None);
        let mut log = begun();
        log.identity.as_mut().unwrap().lost = Some("deleted".to_owned());
        assert_eq!(loss_of(&log, block(), metadata(20)).as_deref(), Some("deleted"));
    }
}
