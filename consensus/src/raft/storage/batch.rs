//! A row of writes as one batch of the engine, checked against what the engine has.
//!
//! The engine panics where entries would leave a gap, so gaps are refused here.

use std::collections::BTreeMap;

use protos::ChannelId;
use raft::eraftpb::{Entry, EntryType};
use raft_engine::{Command, LogBatch};

use super::records::{
    Bounds, bounds_bytes, checkpoint_bytes, hard_state_bytes, identity_bytes, members_bytes, number_bytes,
    retired_bytes, unordered_bytes,
};
use super::{
    BOUNDS, CHANNEL, CHECKPOINT, CHECKPOINT_INDEX, Format, HARD_STATE, IDENTITY, MEMBERS, NEXT, RETIRED,
    TABLE, UNORDERED,
};
use crate::raft::log::{Checkpoint, EntryKind, LogEntry, LogWrite};

/// What the engine has of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Channel {
    pub(super) number: u64,
    pub(super) bounds: Bounds,
}

impl Channel {
    /// The group of its entries and records.
    pub(super) fn log(self) -> u64 {
        2 * self.number
    }

    /// The group of its checkpoint.
    pub(super) fn checkpoint(self) -> u64 {
        2 * self.number + 1
    }
}

/// What a batch changes in the table once it is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes {
    pub(super) channels: BTreeMap<ChannelId, Channel>,
    pub(super) next: u64,
}

/// A batch being made.
pub(super) struct Batch<'a> {
    known: &'a BTreeMap<ChannelId, Channel>,
    changes: Changes,
    items: LogBatch,
}

impl<'a> Batch<'a> {
    /// An empty one over `items`, which must be empty; `next` is the number a channel gets that is not in `known`.
    pub(super) fn new(known: &'a BTreeMap<ChannelId, Channel>, next: u64, items: LogBatch) -> Self {
        let changes = Changes {
            next,
            ..Changes::default()
        };
        Self {
            known,
            changes,
            items,
        }
    }

    /// What is to be written, and what is to be remembered once it is.
    pub(super) fn finish(self) -> (LogBatch, Changes) {
        (self.items, self.changes)
    }

    /// Adds a write behind those that are in it. After an error the batch is of no use.
    pub(super) fn add(&mut self, channel: &ChannelId, write: &LogWrite) -> Result<(), String> {
        let mut found = self.channel(channel)?;
        let bounds = found.bounds;
        if write.resets {
            self.put(found.log(), CHECKPOINT, number_bytes(0))?;
            self.compact(&mut found, bounds.next);
        }
        if let Some(checkpoint) = &write.checkpoint {
            self.checkpoint(found, checkpoint)?;
        }
        self.entries(&mut found, &write.entries)?;
        if let Some(below) = write.compact_below {
            let below = below.min(found.bounds.next);
            self.compact(&mut found, below);
        }
        if found.bounds != bounds {
            self.put(found.log(), BOUNDS, bounds_bytes(found.bounds))?;
            self.changes.channels.insert(channel.clone(), found);
        }
        self.records(found, write)
    }

    /// The channel as it is after what the batch has already; a new one gets its number.
    fn channel(&mut self, channel: &ChannelId) -> Result<Channel, String> {
        let found = self.changes.channels.get(channel);
        if let Some(found) = found.or_else(|| self.known.get(channel)) {
            return Ok(*found);
        }
        let new = Channel {
            number: self.changes.next,
            bounds: Bounds::default(),
        };
        self.changes.next += 1;
        self.changes.channels.insert(channel.clone(), new);
        self.put(TABLE, NEXT, number_bytes(self.changes.next))?;
        self.put(TABLE, &name(channel), number_bytes(new.number))?;
        Ok(new)
    }

    fn checkpoint(&mut self, channel: Channel, checkpoint: &Checkpoint) -> Result<(), String> {
        let entry = Entry {
            index: CHECKPOINT_INDEX,
            data: checkpoint_bytes(checkpoint),
            ..Entry::default()
        };
        let added = self.items.add_entries::<Format>(channel.checkpoint(), &[entry]);
        added.map_err(|error| error.to_string())?;
        self.put(channel.log(), CHECKPOINT, number_bytes(checkpoint.index))
    }

    fn compact(&mut self, channel: &mut Channel, below: u64) {
        if channel.bounds.is_empty() || below <= channel.bounds.first {
            return;
        }
        channel.bounds.first = below;
        let command = Command::Compact { index: below };
        self.items.add_command(channel.log(), command);
    }

    fn entries(&mut self, channel: &mut Channel, entries: &[LogEntry]) -> Result<(), String> {
        let Some(first) = entries.first() else {
            return Ok(());
        };
        let bounds = channel.bounds;
        let first = first.index;
        let fits = bounds.is_empty() || (bounds.first..=bounds.next).contains(&first);
        let in_order = entries
            .iter()
            .zip(first..)
            .all(|(entry, index)| entry.index == index);
        if first == 0 || !fits || !in_order {
            let Bounds { first: oldest, next } = bounds;
            return Err(format!(
                "entries from {first} on, in order: {in_order}, do not continue {oldest} to {}",
                next.saturating_sub(1)
            ));
        }
        channel.bounds = Bounds {
            first: if bounds.is_empty() { first } else { bounds.first },
            next: first + entries.len() as u64,
        };
        let entries: Vec<_> = entries.iter().map(entry_for_engine).collect();
        let added = self.items.add_entries::<Format>(channel.log(), &entries);
        added.map_err(|error| error.to_string())
    }

    fn records(&mut self, channel: Channel, write: &LogWrite) -> Result<(), String> {
        let group = channel.log();
        if let Some(identity) = &write.identity {
            self.put(group, IDENTITY, identity_bytes(identity))?;
        }
        if let Some(state) = write.hard_state {
            self.put(group, HARD_STATE, hard_state_bytes(state))?;
        }
        match &write.retires {
            None if write.resets || write.returns => self.put(group, RETIRED, retired_bytes(None))?,
            None => {}
            retired => self.put(group, RETIRED, retired_bytes(retired.as_ref()))?,
        }
        if let Some(members) = &write.members {
            self.put(group, MEMBERS, members_bytes(members))?;
        }
        if let Some(unordered) = write.unordered_after() {
            self.put(group, UNORDERED, unordered_bytes(unordered))?;
        }
        Ok(())
    }

    fn put(&mut self, group: u64, name: &[u8], value: Vec<u8>) -> Result<(), String> {
        let put = self.items.put(group, name.to_vec(), value);
        put.map_err(|error| error.to_string())
    }
}

/// The batch that removes a channel.
pub(super) fn removal(id: &ChannelId, channel: Channel) -> Result<LogBatch, raft_engine::Error> {
    let mut batch = LogBatch::default();
    // A record that is deleted may come back when the engine tidies up; one that is written over does not.
    batch.put(TABLE, name(id), number_bytes(0))?;
    for group in [channel.log(), channel.checkpoint()] {
        batch.add_command(group, Command::Clean);
    }
    Ok(batch)
}

/// Name of a channel's record in the table.
fn name(channel: &ChannelId) -> Vec<u8> {
    [CHANNEL, channel.as_str().as_bytes()].concat()
}

fn entry_for_engine(entry: &LogEntry) -> Entry {
    Entry {
        entry_type: match entry.kind {
            EntryKind::Normal => EntryType::EntryNormal,
            EntryKind::ConfChange => EntryType::EntryConfChange,
        },
        term: entry.term,
        index: entry.index,
        data: entry.data.clone(),
        ..Entry::default()
    }
}
