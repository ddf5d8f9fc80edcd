//! How a core begins: a new channel's log, the log on disk, or none at all; and from when on it counts.
//!
//! | found | begins as |
//! |---|---|
//! | a log under this id | what it was; lost if the log is behind the ledger without blocks having been pulled |
//! | none, genesis block, alone | the log of a new channel |
//! | none, genesis block | asks whether the channel is new everywhere; until then it does not take part |
//! | none, more blocks, or a leader is heard | empty: takes entries, counts once it has the leader's log |
//!
//! A record of a former id is no log under this one. Source: `docs/spec/wire.md` §12, ADR 017.

use prost::Message as _;
use protos::block::{data_hash, header_hash};
use protos::wire::common::Block;
use protos::{BlockNumber, ConsenterId};

use super::apply::Item;
use super::event::{Start, Tip};
use super::member::write_change;
use super::{Action, RaftCore, Turn};
use crate::raft::log::{EntryKind, HardState, Identity, LogEntry, LogState, LogWrite, MembersAt};
use crate::raft::node::window::{Place, Window};
use crate::raft::node::{Change, Node, Settings};

/// Since when this member counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Season {
    /// It votes and campaigns.
    Seasoned,
    /// It may be a new channel's: asks.
    Asking,
    /// It has no log, and no leader was heard.
    Silent,
    /// A leader was heard that did not say what is committed.
    Unheard,
    /// Once its log holds this entry.
    Until(u64),
}

impl Season {
    fn of(identity: &Identity) -> Self {
        match identity.votes_from {
            0 => Self::Seasoned,
            u64::MAX => Self::Unheard,
            index => Self::Until(index),
        }
    }

    fn votes_from(self) -> u64 {
        match self {
            Self::Seasoned => 0,
            Self::Until(index) => index,
            Self::Asking | Self::Silent | Self::Unheard => u64::MAX,
        }
    }
}

/// Why a core does not begin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The loss of its log is on record.
    #[error("{reason}")]
    LostLog {
        /// What was found.
        reason: String,
    },
    /// What is there cannot be gone on with.
    #[error("{reason}")]
    Unusable {
        /// What is wrong.
        reason: String,
    },
}

/// What raft begins with.
pub(super) struct Beginning {
    pub(super) node: Node,
    pub(super) season: Season,
    pub(super) identity: Identity,
    pub(super) hard_state: HardState,
    /// Everything through here counts as applied.
    pub(super) applied: Place,
    /// A leader's state that the ledger does not have yet.
    pub(super) item: Option<Item>,
    /// A loss that was just found.
    pub(super) lost: Option<String>,
    /// The log holds something that does not belong to this id.
    pub(super) is_foreign: bool,
}

/// Reads the log on disk.
pub(super) fn begin(start: &Start, settings: &Settings) -> Result<Beginning, OpenError> {
    let log = &start.log;
    match &log.identity {
        Some(identity) if identity.id == start.id => {
            if let Some(reason) = identity.lost.clone() {
                return Err(OpenError::LostLog { reason });
            }
            resume(start, identity, settings)
        }
        other => {
            let is_foreign = other.is_some() || *log != LogState::default();
            let season = if start.tip.number == BlockNumber::GENESIS {
                Season::Asking
            } else {
                Season::Silent
            };
            let node = empty(settings)?;
            Ok(Beginning {
                node,
                season,
                identity: identity(start.id),
                hard_state: HardState::default(),
                applied: Place::default(),
                item: None,
                lost: None,
                is_foreign,
            })
        }
    }
}

fn identity(id: ConsenterId) -> Identity {
    Identity {
        id,
        lost: None,
        votes_from: u64::MAX,
        pulled: 0,
    }
}

fn unusable(reason: String) -> OpenError {
    OpenError::Unusable { reason }
}

fn empty(settings: &Settings) -> Result<Node, OpenError> {
    let window = Window::new(Place::default(), Vec::new(), HardState::default(), &[]);
    Node::new(settings, window, 0).map_err(unusable)
}

/// Goes on with the log on disk.
fn resume(start: &Start, identity: &Identity, settings: &Settings) -> Result<Beginning, OpenError> {
    let (log, tip) = (&start.log, &start.tip);
    let season = Season::of(identity);
    let mut begun = Beginning {
        node: empty(settings)?,
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
        EntryKind::Normal => crate::raft::node::window::block_number(&entry.data),
        EntryKind::ConfChange => None,
    };
    let of_first = entries.first().and_then(block);
    let next = entries
        .iter()
        .find_map(block)
        .map(|number| number.saturating_sub(1));
    of_first.or(next).unwrap_or(otherwise)
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

impl RaftCore {
    /// Starts the log of a new channel: every member begins with the same one.
    pub(super) fn bootstrap(&mut self, turn: &mut Turn<'_>) {
        if self.season != Season::Asking {
            return;
        }
        let voters = self.members.ids.clone();
        let entries: Vec<_> = voters
            .iter()
            .zip(1..)
            .map(|(id, index)| added(*id, index))
            .collect();
        let index = entries.len() as u64;
        let state = HardState {
            term: 1,
            vote: 0,
            commit: index,
        };
        let window = Window::new(Place::default(), entries.clone(), state, &voters);
        match Node::new(&self.settings, window, index) {
            Ok(node) => self.node = node,
            Err(_) => return, // the same settings made the node before
        }
        self.persisting.restart(state);
        self.apply.restart(index, 1);
        self.season = Season::Seasoned;
        self.identity.votes_from = 0;
        let write = LogWrite {
            identity: Some(self.identity.clone()),
            members: Some(MembersAt { index, voters }),
            resets: std::mem::take(&mut self.is_log_foreign),
            entries,
            ..LogWrite::default()
        };
        self.persist_first(write, turn);
        self.node.window_mut().set_voters(&self.members.ids);
        self.is_first_leader = self.first_leader() == self.node.id();
    }

    /// From now on it counts as `season` says, on record before anything else.
    pub(super) fn enter(&mut self, season: Season, turn: &mut Turn<'_>) {
        self.season = season;
        self.identity.votes_from = season.votes_from();
        let write = LogWrite {
            identity: Some(self.identity.clone()),
            resets: std::mem::take(&mut self.is_log_foreign),
            ..LogWrite::default()
        };
        self.persist_first(write, turn);
    }

    /// Counts from now on, if the log holds what it must.
    pub(super) fn ripen(&mut self, turn: &mut Turn<'_>) {
        if let Season::Until(index) = self.season
            && self.node.persisted_index() >= index
            && !self.persisting.holds_snapshot()
        {
            self.enter(Season::Seasoned, turn);
        }
    }

    /// What the driver writes last when this node is no member any more: a follower then brings the ledger ahead of the
    /// log, and the id may come back with a new certificate. None while no log was begun.
    pub fn farewell(&self) -> Option<LogWrite> {
        let is_on_record = !matches!(self.season, Season::Asking | Season::Silent);
        let identity = self.identity.clone().followed();
        identity.filter(|_| is_on_record).map(|identity| LogWrite {
            identity: Some(identity),
            ..LogWrite::default()
        })
    }

    /// A block of the log is durable in the ledger: the log is ahead of it again.
    pub(super) fn note_written(&mut self, turn: &mut Turn<'_>) {
        if self.identity.pulled == 0 {
            return;
        }
        self.identity.pulled = 0;
        let write = LogWrite {
            identity: Some(self.identity.clone()),
            ..LogWrite::default()
        };
        self.persist(write, turn);
    }

    /// True if this member may begin an election: raft-rs panics over entries that are not persisted and over a
    /// leader's state that is not applied.
    pub(super) fn may_campaign(&self) -> bool {
        self.season == Season::Seasoned
            && !self.apply.has_snapshot()
            && !self.persisting.holds_snapshot()
            && (!self.is_alone() || (self.persisting.is_synced() && self.node.is_all_persisted()))
    }

    /// Goes on alone where the config in force has no other member and raft waits for a second one: that one may have
    /// left on learning of it. Nothing can have been decided without this member.
    pub(super) fn drop_the_other(&mut self, turn: &mut Turn<'_>) {
        let own = self.node.id();
        let is_stuck = self.node.leader().is_none() && self.members.ids == [own] && !self.apply.is_held();
        let other = match *self.node.voters() {
            [first, second] if first == own => second,
            [first, second] if second == own => first,
            _ => return,
        };
        if is_stuck && self.season == Season::Seasoned {
            self.change_voters(Change::Remove(other), self.apply.index(), turn);
        }
    }

    /// True if no other member votes.
    pub(super) fn is_alone(&self) -> bool {
        self.node.voters() == [self.node.id()]
    }

    /// Who campaigns first on a new channel (`docs/spec/dropin.md` §5).
    fn first_leader(&self) -> ConsenterId {
        let count = self.members.ids.len().max(1) as u64;
        let index = first_leader(self.channel.as_str(), count);
        let at = usize::try_from(index).unwrap_or(0);
        self.members.ids.get(at).copied().unwrap_or(self.node.id())
    }

    /// The first actions of a core.
    pub(super) fn begun(&mut self, lost: Option<String>, turn: &mut Turn<'_>) {
        self.set_peers(turn);
        let voters = self.node.voters().to_vec();
        self.node.window_mut().set_voters(&voters);
        if let Some(reason) = lost {
            return self.lose(reason, turn);
        }
        if self.season == Season::Asking {
            if self.members.ids == [self.node.id()] {
                self.bootstrap(turn);
            } else {
                turn.push(Action::AskWhetherNew);
            }
        }
    }
}

fn added(id: ConsenterId, index: u64) -> LogEntry {
    LogEntry {
        index,
        term: 1,
        kind: EntryKind::ConfChange,
        data: write_change(Change::Add(id)),
    }
}

/// Place of the first leader among `count` members: the varint in the hash of the name, from byte 24.
pub(super) fn first_leader(channel: &str, count: u64) -> u64 {
    let hash = data_hash([channel.as_bytes()]);
    let mut value = 0u64;
    for (at, byte) in hash[24..].iter().enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return value % count;
        }
    }
    0
}
