//! How a core begins: a new channel's log, the log on disk, or none at all; and from when on it counts.
//!
//! | found | begins as |
//! |---|---|
//! | a log under this id | what it was; lost if the log is behind the ledger without blocks having been pulled |
//! | none, genesis block, alone | the log of a new channel |
//! | none, genesis block | asks whether the channel is new everywhere; until then it does not take part |
//! | none, more blocks, or a leader is heard | empty: takes entries, counts once it has the leader's log |
//! | one from before the channel was removed here | asks what became of it (`returning`) |
//!
//! A record of a former id is no log under this one. Source: `docs/spec/wire.md` §12, ADR 017, ADR 019.

use protos::block::data_hash;
use protos::{BlockNumber, ConsenterId};

use super::apply::Item;
use super::event::Start;
use super::member::write_change;
use super::resume::resume;
use super::returning::{Standing, kept, standing};
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
    /// It has a log from before the channel was removed from this node: asks what became of the channel.
    Returning,
    /// It has no log, and no leader was heard.
    Silent,
    /// A leader was heard that did not say what is committed.
    Unheard,
    /// Once its log holds this entry.
    Until(u64),
}

impl Season {
    pub(super) fn of(identity: &Identity) -> Self {
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
            Self::Asking | Self::Returning | Self::Silent | Self::Unheard => u64::MAX,
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
    match standing(start) {
        Standing::Here => begin_here(start, settings),
        Standing::Unknown => fresh(start, settings, Season::Returning, kept(start)),
        Standing::OtherChain => fresh(start, settings, season_without_log(start), kept(start)),
    }
}

fn season_without_log(start: &Start) -> Season {
    if start.tip.number == BlockNumber::GENESIS {
        Season::Asking
    } else {
        Season::Silent
    }
}

fn begin_here(start: &Start, settings: &Settings) -> Result<Beginning, OpenError> {
    let log = &start.log;
    match &log.identity {
        Some(identity) if identity.id == start.id => {
            if let Some(reason) = identity.lost.clone() {
                return Err(OpenError::LostLog { reason });
            }
            resume(start, identity, settings)
        }
        _ => fresh(start, settings, season_without_log(start), HardState::default()),
    }
}

/// Begins without a log. Whatever is on disk goes with the first write.
fn fresh(
    start: &Start,
    settings: &Settings,
    season: Season,
    hard_state: HardState,
) -> Result<Beginning, OpenError> {
    Ok(Beginning {
        node: empty(settings, hard_state)?,
        season,
        identity: identity(start.id),
        hard_state,
        applied: Place::default(),
        item: None,
        lost: None,
        is_foreign: start.log != LogState::default(),
    })
}

fn identity(id: ConsenterId) -> Identity {
    Identity {
        id,
        lost: None,
        votes_from: u64::MAX,
        pulled: 0,
    }
}

pub(super) fn unusable(reason: String) -> OpenError {
    OpenError::Unusable { reason }
}

pub(super) fn empty(settings: &Settings, state: HardState) -> Result<Node, OpenError> {
    let window = Window::new(Place::default(), Vec::new(), state, &[]);
    Node::new(settings, window, 0).map_err(unusable)
}

impl RaftCore {
    /// Starts the log of a new channel: every member begins with the same one. Term and vote never go back, even where
    /// the channel is made again.
    pub(super) fn bootstrap(&mut self, turn: &mut Turn<'_>) {
        if !matches!(self.season, Season::Asking | Season::Returning) {
            return;
        }
        let voters = self.members.ids.clone();
        let entries: Vec<_> = voters
            .iter()
            .zip(1..)
            .map(|(id, index)| added(*id, index))
            .collect();
        let index = entries.len() as u64;
        let kept = self.persisting.hard_state();
        let state = HardState {
            term: kept.term.max(1),
            vote: kept.vote,
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
        self.returning = None;
        self.identity.votes_from = 0;
        let write = LogWrite {
            identity: Some(self.identity.clone()),
            members: Some(MembersAt { index, voters }),
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
        let is_on_record = !matches!(self.season, Season::Asking | Season::Returning | Season::Silent);
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
        match self.season {
            Season::Asking if self.members.ids == [self.node.id()] => self.bootstrap(turn),
            Season::Asking => turn.push(Action::AskWhetherNew),
            Season::Returning => self.ask_what_became(turn),
            _ => {}
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
