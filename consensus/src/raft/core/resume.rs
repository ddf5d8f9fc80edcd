//! Going on with the log on disk: what it holds, what counts as applied, and whether part of it is gone.

use prost::Message as _;
use protos::ConsenterId;
use protos::block::header_hash;
use protos::wire::common::Block;

use super::apply::Item;
use super::event::{Start, Tip};
use super::open::{Beginning, OpenError, Season, empty, unusable};
use crate::raft::log::{EntryKind, HardState, Identity, LogEntry, LogState};
use crate::raft::node::window::{Place, Window, block_number};
use crate::raft::node::{Node, Settings};

/// Goes on with the log on disk.
pub(super) fn resume(
    start: &Start,
    identity: &Identity,
    settings: &Settings,
) -> Result<Beginning, OpenError> {
    let (log, tip) = (&start.log, &start.tip);
    let season = Season::of(identity);
    let mut begun = Beginning {
        node: empty(settings, HardState::default())?,
        season,
        identity: identity.clone(),
        hard_state: log.hard_state,
        applied: Place::default(),
        item: None,
        lost: None,
        is_foreign: false,
    };
    let (base, entries) = match layout(log) {
        Ok(layout) => layout,
        Err(reason) => {
            begun.lost = Some(reason);
            return Ok(begun);
        }
    };
    let last = base.index + entries.len() as u64;
    let (applied, voters) = applied(log);
    begun.lost = loss(log, identity, tip, (base, last, applied), &entries);
    if begun.lost.is_some() {
        return Ok(begun);
    }
    let mut state = log.hard_state;
    state.commit = state.commit.max(applied);
    if is_tip_at(tip, base, &entries) {
        state.commit = state.commit.max(tip.metadata.raft_index);
    }
    begun.hard_state = state;
    let window = Window::new(base, entries, state, voters);
    begun.applied = window.place(applied).unwrap_or(base);
    begun.node = Node::new(settings, window, applied).map_err(unusable)?;
    begun.item = log
        .checkpoint
        .as_ref()
        .filter(|checkpoint| checkpoint.block_number > tip.number)
        .cloned()
        .map(Item::Snapshot);
    Ok(begun)
}

/// The latest point at which the voters are known: everything through it counts as applied. What the ledger has of
/// the entries behind it is passed over.
fn applied(log: &LogState) -> (u64, &[ConsenterId]) {
    match &log.checkpoint {
        Some(checkpoint) if checkpoint.index >= log.members.index => (checkpoint.index, &checkpoint.voters),
        _ => (log.members.index, &log.members.voters),
    }
}

/// What the window is based on, and the entries behind it. An error if some are missing.
fn layout(log: &LogState) -> Result<(Place, Vec<LogEntry>), String> {
    let checkpoint = log.checkpoint.as_ref();
    let covered = checkpoint.map_or(0, |checkpoint| checkpoint.index);
    let mut entries = log.entries.clone();
    let first = entries.first().map_or(covered + 1, |entry| entry.index);
    let is_gapless = entries
        .iter()
        .zip(first..)
        .all(|(entry, index)| entry.index == index);
    if first > covered + 1 || !is_gapless || first == 0 {
        return Err(format!("entries of the log are missing behind entry {covered}"));
    }
    if first == covered + 1 {
        let base = checkpoint.map_or_else(Place::default, |checkpoint| Place {
            index: checkpoint.index,
            term: checkpoint.term,
            number: checkpoint.block_number.0,
        });
        return Ok((base, entries));
    }
    if first == 1 {
        return Ok((Place::default(), entries));
    }
    // The term of the entry before the first is not known, so the first one becomes the base.
    let number = number_at(
        &entries,
        checkpoint.map_or(0, |checkpoint| checkpoint.block_number.0),
    );
    let base = entries.remove(0);
    Ok((
        Place {
            index: base.index,
            term: base.term,
            number,
        },
        entries,
    ))
}

/// Number of the newest block at or before the first entry.
fn number_at(entries: &[LogEntry], otherwise: u64) -> u64 {
    let block = |entry: &LogEntry| match entry.kind {
        EntryKind::Normal => block_number(&entry.data),
        EntryKind::ConfChange => None,
    };
    let of_first = entries.first().and_then(block);
    let next = entries
        .iter()
        .find_map(block)
        .map(|number| number.saturating_sub(1));
    of_first.or(next).unwrap_or(otherwise)
}

/// What shows that part of the log is gone, if anything does.
pub(in crate::raft) fn what_is_lost(log: &LogState, identity: &Identity, tip: &Tip) -> Option<String> {
    let (base, entries) = match layout(log) {
        Ok(layout) => layout,
        Err(reason) => return Some(reason),
    };
    let last = base.index + entries.len() as u64;
    loss(log, identity, tip, (base, last, applied(log).0), &entries)
}

/// What shows that part of the log is gone.
fn loss(
    log: &LogState,
    identity: &Identity,
    tip: &Tip,
    (base, last, applied): (Place, u64, u64),
    entries: &[LogEntry],
) -> Option<String> {
    let needed = log.hard_state.commit.max(applied);
    if last < needed || applied < base.index {
        return Some(format!(
            "the log ends with entry {last}, entry {needed} was known to be committed"
        ));
    }
    if identity.votes_from != 0 {
        return None; // it never had all of it
    }
    if last == 0 {
        return Some("the log is empty".to_owned());
    }
    let written = tip.metadata.raft_index;
    if identity.pulled >= written {
        return None;
    }
    if last < written {
        return Some(format!(
            "the log ends with entry {last}, the ledger with the block of entry {written}"
        ));
    }
    let is_other = written > base.index && !is_tip_at(tip, base, entries);
    is_other.then(|| format!("entry {written} of the log is not the block that the ledger has from it"))
}

/// True if the entry that the ledger's newest block names is that block, or one before it: a config block may name the
/// entry of the block before it (`docs/spec/wire.md` §8).
fn is_tip_at(tip: &Tip, base: Place, entries: &[LogEntry]) -> bool {
    let at = tip.metadata.raft_index.checked_sub(base.index + 1);
    let entry = at.and_then(|at| entries.get(usize::try_from(at).ok()?));
    let Some(entry) = entry else {
        return false;
    };
    let header = Block::decode(entry.data.clone())
        .ok()
        .and_then(|block| block.header);
    header.is_some_and(|header| {
        header.number < tip.number.0 || (header.number == tip.number.0 && header_hash(&header) == tip.hash)
    })
}
