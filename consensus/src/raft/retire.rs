//! What of a log is kept when its channel is removed from this node alone.
//!
//! The ledger goes. What raft counts on must not: term and vote, and the entries that this member confirmed and that may
//! not be committed yet. For all that is committed a checkpoint stands. So the member may come back to its log, as one
//! whose ledger is behind a checkpoint (ADR 019).

use prost::Message as _;
use protos::wire::common::Block;
use protos::{BlockNumber, ConsenterId};

use super::core::read_change;
use super::log::{Checkpoint, EntryKind, HardState, LogEntry, LogState, LogWrite, MembersAt, Retired};
use super::node::Change;

/// The write that leaves of `log` what must be kept; none if this node has never taken part, or is gone already.
pub fn retire(log: &LogState, retired: Retired) -> Option<LogWrite> {
    if log.identity.is_none() || log.retired.is_some() {
        return None;
    }
    let mut write = LogWrite {
        retires: Some(retired),
        ..LogWrite::default()
    };
    let Some(checkpoint) = checkpoint(log) else {
        return Some(write); // nothing is committed that a checkpoint could stand for
    };
    let commit = log.hard_state.commit.max(checkpoint.index);
    write.hard_state = Some(HardState {
        commit,
        ..log.hard_state
    });
    write.members = Some(MembersAt {
        index: checkpoint.index,
        voters: checkpoint.voters.clone(),
    });
    write.compact_below = Some(checkpoint.index + 1);
    write.checkpoint = Some(checkpoint);
    Some(write)
}

/// The state after the last entry that is known to be committed.
fn checkpoint(log: &LogState) -> Option<Checkpoint> {
    let before = log.checkpoint.as_ref();
    let covered = before.map_or(0, |checkpoint| checkpoint.index);
    let last = log.entries.last().map_or(covered, |entry| entry.index);
    let known = log.hard_state.commit.max(log.members.index).max(covered);
    let index = known.min(last);
    let entries = log.entries.iter().filter(|entry| entry.index <= index);
    let block = entries.clone().rev().find_map(block_of);
    let block = block.or_else(|| before.map(|before| (before.block_number, before.block.clone())));
    let (block_number, block) = block?;
    let term = match entries.clone().next_back() {
        Some(entry) => entry.term,
        None => before?.term,
    };
    let (since, mut voters) = match before {
        Some(before) if before.index >= log.members.index => (before.index, before.voters.clone()),
        _ => (log.members.index, log.members.voters.clone()),
    };
    for entry in entries.filter(|entry| entry.index > since) {
        change_voters(&mut voters, entry);
    }
    Some(Checkpoint {
        index,
        term,
        voters,
        block_number,
        block,
    })
}

fn block_of(entry: &LogEntry) -> Option<(BlockNumber, bytes::Bytes)> {
    if entry.kind != EntryKind::Normal || entry.data.is_empty() {
        return None;
    }
    let block = Block::decode(entry.data.clone()).ok()?;
    Some((BlockNumber(block.header?.number), entry.data.clone()))
}

fn change_voters(voters: &mut Vec<ConsenterId>, entry: &LogEntry) {
    if entry.kind != EntryKind::ConfChange {
        return;
    }
    match read_change(&entry.data) {
        Some(Change::Add(id)) if !voters.contains(&id) => voters.push(id),
        Some(Change::Remove(id)) => voters.retain(|voter| *voter != id),
        Some(Change::Add(_)) | None => {}
    }
    voters.sort_unstable();
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use protos::block;

    use super::*;
    use crate::raft::core::write_change;
    use crate::raft::log::Identity;

    fn retired() -> Retired {
        Retired {
            genesis: [1; 32],
            first: Some([2; 32]),
            members: Bytes::from_static(b"members"),
        }
    }

    fn ids(ids: &[u64]) -> Vec<ConsenterId> {
        ids.iter().copied().map(ConsenterId).collect()
    }

    fn block(number: u64) -> Bytes {
        let data = vec![Bytes::from_static(b"x")];
        block::next(BlockNumber(number), &[0; 32], data)
            .encode_to_vec()
            .into()
    }

    fn entry(index: u64, term: u64, kind: EntryKind, data: Bytes) -> LogEntry {
        LogEntry {
            index,
            term,
            kind,
            data,
        }
    }

    /// Two members, blocks 1 to 3 in entries 4, 5, 7; entry 6 adds a third; 8 is not known to be committed.
    fn log() -> LogState {
        let change = |change| write_change(change);
        LogState {
            identity: Some(Identity {
                id: ConsenterId(1),
                lost: None,
                votes_from: 0,
                pulled: 0,
            }),
            hard_state: HardState {
                term: 3,
                vote: 2,
                commit: 7,
            },
            members: MembersAt {
                index: 2,
                voters: ids(&[1, 2]),
            },
            entries: vec![
                entry(1, 1, EntryKind::ConfChange, change(Change::Add(ConsenterId(1)))),
                entry(2, 1, EntryKind::ConfChange, change(Change::Add(ConsenterId(2)))),
                entry(3, 2, EntryKind::Normal, Bytes::new()),
                entry(4, 2, EntryKind::Normal, block(1)),
                entry(5, 2, EntryKind::Normal, block(2)),
                entry(6, 2, EntryKind::ConfChange, change(Change::Add(ConsenterId(3)))),
                entry(7, 3, EntryKind::Normal, block(3)),
                entry(8, 3, EntryKind::Normal, block(4)),
            ],
            ..LogState::default()
        }
    }

    #[test]
    fn a_checkpoint_stands_for_what_is_committed_and_the_rest_stays() {
        let mut log = log();
        let write = retire(&log, retired()).unwrap();
        log.apply(&write);
        let checkpoint = log.checkpoint.clone().unwrap();
        assert_eq!((checkpoint.index, checkpoint.term), (7, 3));
        assert_eq!(checkpoint.voters, ids(&[1, 2, 3]));
        assert_eq!(
            (checkpoint.block_number, checkpoint.block),
            (BlockNumber(3), block(3))
        );
        let left: Vec<_> = log.entries.iter().map(|entry| entry.index).collect();
        assert_eq!(left, [8]);
        assert_eq!((log.hard_state.term, log.hard_state.vote), (3, 2));
        assert_eq!(log.retired, Some(retired()));
        assert_eq!(retire(&log, retired()), None, "what is kept is kept as it is");
    }

    #[test]
    fn without_a_committed_block_the_log_stays_as_it_is() {
        let mut log = log();
        log.hard_state.commit = 3;
        let write = retire(&log, retired()).unwrap();
        let entries = log.entries.clone();
        log.apply(&write);
        assert_eq!((log.checkpoint, log.entries), (None, entries));
    }

    #[test]
    fn an_earlier_checkpoint_counts_where_nothing_was_committed_since() {
        let mut log = log();
        let earlier = Checkpoint {
            index: 7,
            term: 3,
            voters: ids(&[1, 2, 3]),
            block_number: BlockNumber(3),
            block: block(3),
        };
        log.checkpoint = Some(earlier.clone());
        log.entries.drain(..7);
        let write = retire(&log, retired()).unwrap();
        assert_eq!(write.checkpoint, Some(earlier));
        assert_eq!(retire(&LogState::default(), retired()), None);
    }
}
