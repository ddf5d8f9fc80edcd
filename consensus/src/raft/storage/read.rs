//! What the engine has, read back and checked.

use std::collections::BTreeMap;
use std::path::Path;

use protos::ChannelId;
use raft::eraftpb::{Entry, EntryType};
use raft_engine::Engine;

use super::batch::Channel;
use super::records::{
    Bounds, NoRecord, read_bounds, read_checkpoint, read_hard_state, read_identity, read_members,
    read_number, read_retired, read_unordered,
};
use super::{
    BOUNDS, CHANNEL, CHECKPOINT, CHECKPOINT_INDEX, Format, HARD_STATE, IDENTITY, MEMBERS, NEXT, RETIRED,
    State, TABLE, UNORDERED, at, guarded,
};
use crate::raft::log::{Checkpoint, EntryKind, LogEntry, LogError, LogState};

/// Reads the table of channels, and the bounds of each.
pub(super) fn read_table(engine: &Engine, folder: &Path) -> Result<State, LogError> {
    let damaged = |what: &str, error: &NoRecord| at(folder, format!("{what}: {error}"));
    let next = match engine.get(TABLE, NEXT) {
        None => 1,
        Some(bytes) => read_number(&bytes).map_err(|error| damaged("table of channels", &error))?,
    };
    let mut found = Vec::new();
    let end = [CHANNEL, &[u8::MAX]].concat();
    let scanned = guarded(folder, || {
        engine.scan_raw_messages(TABLE, Some(CHANNEL), Some(&end), false, |name, number| {
            found.push((name[CHANNEL.len()..].to_vec(), number.to_vec()));
            true
        })
    });
    scanned?;
    let mut channels = BTreeMap::new();
    for (name, number) in found {
        let name = String::from_utf8_lossy(&name).into_owned();
        let number = read_number(&number).map_err(|error| damaged(&name, &error))?;
        if number == 0 {
            continue; // removed
        }
        let id = ChannelId::parse(&name).map_err(|error| at(folder, error))?;
        let bounds = engine.get(2 * number, BOUNDS);
        let bounds = bounds.map_or(Ok(Bounds::default()), |bytes| read_bounds(&bytes));
        let bounds = bounds.map_err(|error| damaged(&name, &error))?;
        channels.insert(id, Channel { number, bounds });
    }
    Ok(State {
        channels,
        next,
        ..State::default()
    })
}

/// Reads everything of one channel; an error in words.
pub(super) fn read_channel(engine: &Engine, channel: Channel) -> Result<LogState, String> {
    let record = |name: &[u8]| engine.get(channel.log(), name);
    let damaged = |error: NoRecord| error.to_string();
    let identity = record(IDENTITY).map(|bytes| read_identity(&bytes)).transpose();
    let hard_state = record(HARD_STATE).map(|bytes| read_hard_state(&bytes));
    let retired = record(RETIRED).map(|bytes| read_retired(&bytes.into()));
    let members = record(MEMBERS).map(|bytes| read_members(&bytes));
    let unordered = record(UNORDERED).map(|bytes| read_unordered(&bytes.into()));
    Ok(LogState {
        identity: identity.map_err(damaged)?,
        hard_state: hard_state.transpose().map_err(damaged)?.unwrap_or_default(),
        members: members.transpose().map_err(damaged)?.unwrap_or_default(),
        checkpoint: read_newest_checkpoint(engine, channel)?,
        entries: read_entries(engine, channel)?,
        retired: retired.transpose().map_err(damaged)?.flatten(),
        unordered: unordered.transpose().map_err(damaged)?.unwrap_or_default(),
    })
}

fn read_newest_checkpoint(engine: &Engine, channel: Channel) -> Result<Option<Checkpoint>, String> {
    let counts = engine.get(channel.log(), CHECKPOINT);
    let counts = counts.map_or(Ok(0), |bytes| read_number(&bytes));
    let counts = counts.map_err(|error| error.to_string())?;
    if counts == 0 {
        return Ok(None);
    }
    let entry = engine.get_entry::<Format>(channel.checkpoint(), CHECKPOINT_INDEX);
    let entry = entry.map_err(|error| format!("checkpoint at {counts}: {error}"))?;
    let checkpoint = entry.map(|entry| read_checkpoint(&entry.data)).transpose();
    match checkpoint.map_err(|error| format!("checkpoint at {counts}: {error}"))? {
        Some(checkpoint) if checkpoint.index == counts => Ok(Some(checkpoint)),
        _ => Err(format!("checkpoint at {counts}: it is not there")),
    }
}

fn read_entries(engine: &Engine, channel: Channel) -> Result<Vec<LogEntry>, String> {
    let bounds = channel.bounds;
    if bounds.is_empty() {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    engine
        .fetch_entries_to::<Format>(channel.log(), bounds.first, bounds.next, None, &mut entries)
        .map_err(|error| format!("entries {} to {}: {error}", bounds.first, bounds.next - 1))?;
    let in_order = (bounds.first..bounds.next).eq(entries.iter().map(|entry| entry.index));
    if !in_order {
        return Err(format!(
            "entries {} to {} are expected, not all are there",
            bounds.first,
            bounds.next - 1
        ));
    }
    entries.into_iter().map(entry_of_engine).collect()
}

fn entry_of_engine(entry: Entry) -> Result<LogEntry, String> {
    let kind = match entry.entry_type {
        EntryType::EntryNormal => EntryKind::Normal,
        EntryType::EntryConfChange => EntryKind::ConfChange,
        EntryType::EntryConfChangeV2 => return Err(format!("entry {} is of no known kind", entry.index)),
    };
    Ok(LogEntry {
        index: entry.index,
        term: entry.term,
        kind,
        data: entry.data,
    })
}
