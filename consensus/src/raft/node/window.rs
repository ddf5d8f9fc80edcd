//! `Window`: the part of the log that is in memory, as raft-rs reads it. What is durable is the driver's business.
//!
//! ```text
//!   base          first ........ last         applied: what a snapshot for others is made of
//!   (index, term) entries, in order           (never below base while this node may lead)
//! ```
//!
//! Each entry is stored beside the number of the newest block at or before it, so that the next one's is known.

use std::collections::VecDeque;

use bytes::Bytes;
use prost::Message as _;
use protos::ConsenterId;
use protos::wire::common::{Block, BlockHeader};
use raft::eraftpb::{ConfState, Entry, EntryType, HardState as RaftHardState, Snapshot};
use raft::{GetEntriesContext, RaftState, Storage, StorageError};

use crate::raft::log::{Checkpoint, EntryKind, HardState, LogEntry};

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::raft) struct Place {
    pub(in crate::raft) index: u64,
    pub(in crate::raft) term: u64,
    /// Of the newest block at or before it.
    pub(in crate::raft) number: u64,
}

/// The log in memory.
#[derive(Debug, Default)]
pub(in crate::raft) struct Window {
    base: Place,
    slots: VecDeque<Slot>,
    bytes: usize,
    initial: RaftState,
    applied: Checkpointed,
}

#[derive(Debug)]
struct Slot {
    entry: Entry,
    number: u64,
}

/// What a snapshot for another member is made of.
#[derive(Debug, Default)]
struct Checkpointed {
    index: u64,
    term: u64,
    voters: Vec<u64>,
    block: Bytes,
}

impl Window {
    /// A window whose entries follow `base`, and raft's state to begin with.
    pub(in crate::raft) fn new(
        base: Place,
        entries: Vec<LogEntry>,
        state: HardState,
        voters: &[ConsenterId],
    ) -> Self {
        let hard_state = RaftHardState {
            term: state.term,
            vote: state.vote,
            commit: state.commit,
            ..RaftHardState::default()
        };
        let mut window = Self {
            base,
            initial: RaftState {
                hard_state,
                conf_state: conf_state(&raw(voters)),
            },
            ..Self::default()
        };
        window.append(entries.into_iter().map(raft_entry).collect());
        window
    }

    pub(in crate::raft) fn base(&self) -> Place {
        self.base
    }

    pub(in crate::raft) fn last(&self) -> u64 {
        self.base.index + self.slots.len() as u64
    }

    /// Bytes of the entries' data.
    pub(in crate::raft) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The place at `index`, if it is in the window or its base.
    pub(in crate::raft) fn place(&self, index: u64) -> Option<Place> {
        if index == self.base.index {
            return Some(self.base);
        }
        let slot = self.slot(index)?;
        Some(Place {
            index,
            term: slot.entry.term,
            number: slot.number,
        })
    }

    /// Bytes of the data of the entry at `index`.
    pub(in crate::raft) fn bytes_at(&self, index: u64) -> usize {
        self.slot(index).map_or(0, |slot| slot.entry.data.len())
    }

    fn slot(&self, index: u64) -> Option<&Slot> {
        let at = index.checked_sub(self.base.index + 1)?;
        self.slots.get(usize::try_from(at).ok()?)
    }

    /// Puts entries over those at their places; what is behind them goes. They follow or overlap what is there.
    pub(in crate::raft) fn append(&mut self, entries: Vec<Entry>) {
        let Some(first) = entries.first() else {
            return;
        };
        assert!(
            first.index > self.base.index && first.index <= self.last() + 1,
            "entry {} does not fit a window of {} to {}",
            first.index,
            self.base.index,
            self.last()
        );
        while self.last() >= first.index {
            self.bytes -= self.slots.pop_back().map_or(0, |slot| slot.entry.data.len());
        }
        let mut number = self.slots.back().map_or(self.base.number, |slot| slot.number);
        for entry in entries {
            if entry.get_entry_type() == EntryType::EntryNormal {
                number = block_number(&entry.data).unwrap_or(number);
            }
            self.bytes += entry.data.len();
            self.slots.push_back(Slot { entry, number });
        }
    }

    /// Drops everything for a leader's state.
    pub(in crate::raft) fn restart_at(&mut self, snapshot: &Checkpoint) {
        self.slots.clear();
        self.bytes = 0;
        self.base = Place {
            index: snapshot.index,
            term: snapshot.term,
            number: snapshot.block_number.0,
        };
    }

    /// Drops the entries through `index`, which must be applied.
    pub(in crate::raft) fn compact(&mut self, index: u64) {
        while self.base.index < index {
            let Some(slot) = self.slots.pop_front() else {
                return;
            };
            self.bytes -= slot.entry.data.len();
            self.base = Place {
                index: slot.entry.index,
                term: slot.entry.term,
                number: slot.number,
            };
        }
    }

    /// Everything through `index` is applied; `block` is the newest block then.
    pub(in crate::raft) fn set_applied(&mut self, index: u64, term: u64, block: &Bytes) {
        self.applied.index = index;
        self.applied.term = term;
        self.applied.block = block.clone();
    }

    /// The voters at what is applied.
    pub(in crate::raft) fn set_voters(&mut self, voters: &[ConsenterId]) {
        self.applied.voters = raw(voters);
    }
}

/// Number of a serialized block, without decoding its data.
pub(in crate::raft) fn block_number(data: &Bytes) -> Option<u64> {
    const HEADER_FIELD: u8 = 0x0a;
    if data.is_empty() {
        return None;
    }
    let header = match data.split_first() {
        Some((&HEADER_FIELD, _)) => BlockHeader::decode_length_delimited(data.slice(1..)).ok()?,
        _ => Block::decode(data.clone()).ok()?.header?,
    };
    Some(header.number)
}

fn raw(voters: &[ConsenterId]) -> Vec<u64> {
    voters.iter().map(|id| id.0).collect()
}

fn conf_state(voters: &[u64]) -> ConfState {
    let mut state = ConfState::default();
    state.set_voters(voters.to_vec());
    state
}

fn raft_entry(entry: LogEntry) -> Entry {
    Entry {
        index: entry.index,
        term: entry.term,
        entry_type: match entry.kind {
            EntryKind::Normal => EntryType::EntryNormal,
            EntryKind::ConfChange => EntryType::EntryConfChange,
        },
        data: entry.data,
        ..Entry::default()
    }
}

impl Storage for Window {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(self.initial.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.base.index {
            return Err(StorageError::Compacted.into());
        }
        if high > self.last() + 1 {
            return Err(StorageError::Unavailable.into());
        }
        let limit = max_size.into().unwrap_or(u64::MAX);
        let skip = usize::try_from(low - self.base.index - 1).unwrap_or(usize::MAX);
        let count = usize::try_from(high.saturating_sub(low)).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let within = self.slots.iter().skip(skip).take(count).take_while(|slot| {
            let is_first = bytes == 0;
            bytes += slot.entry.data.len() as u64 + 1;
            is_first || bytes <= limit
        });
        Ok(within.map(|slot| slot.entry.clone()).collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        if index < self.base.index {
            return Err(StorageError::Compacted.into());
        }
        let place = self.place(index).ok_or(StorageError::Unavailable)?;
        Ok(place.term)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.base.index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    fn snapshot(&self, request_index: u64, _to: u64) -> raft::Result<Snapshot> {
        let applied = &self.applied;
        if applied.index == 0 || applied.index < request_index.max(self.base.index) {
            return Err(StorageError::SnapshotTemporarilyUnavailable.into());
        }
        let mut snapshot = Snapshot {
            data: applied.block.clone(),
            ..Snapshot::default()
        };
        let metadata = snapshot.mut_metadata();
        metadata.index = applied.index;
        metadata.term = applied.term;
        metadata.set_conf_state(conf_state(&applied.voters));
        Ok(snapshot)
    }
}
