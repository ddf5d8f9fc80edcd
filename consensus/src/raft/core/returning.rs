//! A member whose channel was removed from this node alone, and joined again with the same genesis block.
//!
//! Its log was kept, without what was applied; its ledger begins anew. Two things may have happened meanwhile, and they
//! ask for opposite answers:
//!
//! | the others | so |
//! |---|---|
//! | have gone on: one of them has the block 1 that was here | the log goes on; blocks up to its checkpoint are pulled |
//! | all removed the channel too: none has a block | the log of a new channel, under a term above what was promised |
//! | made another chain from the same genesis block | the log is dropped; a newcomer, term and vote kept |
//! | do not all answer | waits: either answer could be wrong |
//!
//! Until it knows, it says nothing at all (ADR 019).

use super::open::{Beginning, Season};
use super::resume::resume;
use super::{Action, RaftCore, Turn};
use crate::raft::log::{HardState, LogWrite};

/// What the log on disk is to the ledger beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It belongs to it.
    Here,
    /// It is that of another chain.
    OtherChain,
    /// It is that of a chain with the same genesis block, and the ledger has no more than that.
    Unknown,
}

/// Compares the log with the ledger.
pub(super) fn standing(start: &super::Start) -> Standing {
    let (Some(retired), Some(origin)) = (&start.log.retired, &start.origin) else {
        return Standing::Here;
    };
    if retired.genesis != origin.genesis {
        return Standing::OtherChain;
    }
    match (retired.first, origin.first) {
        (Some(was), Some(is)) if was != is => Standing::OtherChain,
        (Some(_), None) => Standing::Unknown,
        // Nothing was applied then that could be missing now.
        (None, _) | (Some(_), Some(_)) => Standing::Here,
    }
}

/// Term and vote, if they are of this id and were given in a channel with this genesis block.
pub(super) fn kept(start: &super::Start) -> HardState {
    let (log, origin) = (&start.log, start.origin.as_ref());
    let is_own = log.identity.as_ref().is_some_and(|own| own.id == start.id);
    let same = |origin: &super::Origin| {
        log.retired
            .as_ref()
            .is_some_and(|was| was.genesis == origin.genesis)
    };
    if is_own && origin.is_some_and(same) {
        return HardState {
            commit: 0,
            ..log.hard_state
        };
    }
    HardState::default()
}

impl RaftCore {
    /// Asks the others, where there are any.
    pub(super) fn ask_what_became(&mut self, turn: &mut Turn<'_>) {
        let retired = self
            .returning
            .as_ref()
            .and_then(|start| start.log.retired.clone());
        let first = retired.as_ref().and_then(|retired| retired.first);
        if let (Some(retired), Some(first)) = (retired, first) {
            turn.push(Action::AskWhatBecame {
                first,
                members: retired.members,
            });
        }
    }

    /// The channel has blocks; they are those that this node had, or others.
    pub(super) fn returned(&mut self, is_known: bool, turn: &mut Turn<'_>) {
        let Some(start) = self.returning.take() else {
            return;
        };
        if !is_known {
            self.season = Season::Silent;
            return;
        }
        // The log stays as it is, whatever becomes of this member.
        self.is_log_foreign = false;
        let identity = start.log.identity.clone();
        let Some(identity) = identity.filter(|identity| identity.id == self.node.id()) else {
            // The blocks will give this node the id that the log is of.
            self.season = Season::Silent;
            return self.leave(turn);
        };
        self.identity = identity.clone();
        if let Some(reason) = identity.lost.clone() {
            return self.lose(reason, turn);
        }
        match resume(&start, &identity, &self.settings) {
            Ok(begun) => self.go_on(begun, &start, turn),
            Err(error) => self.lose(error.to_string(), turn),
        }
    }

    /// The log is that of the ledger beside it again, or will be with its first write: that the channel was removed from
    /// this node is history.
    pub(super) fn note_return(&mut self, was_retired: bool, turn: &mut Turn<'_>) {
        if was_retired && !self.is_log_foreign {
            let write = LogWrite {
                returns: true,
                ..LogWrite::default()
            };
            self.persist(write, turn);
        }
    }

    fn go_on(&mut self, begun: Beginning, start: &super::Start, turn: &mut Turn<'_>) {
        if let Some(reason) = begun.lost {
            return self.lose(reason, turn);
        }
        let voters = begun.node.voters().to_vec();
        self.node = begun.node;
        self.node.window_mut().set_voters(&voters);
        self.season = begun.season;
        self.persisting.resume(begun.hard_state);
        self.apply.restart(begun.applied.index, begun.applied.term);
        if let Some(item) = begun.item {
            self.apply.queue(item);
        }
        let write = LogWrite {
            identity: Some(self.identity.clone()),
            checkpoint: start.log.checkpoint.clone(), // so that tools see it
            returns: true,
            ..LogWrite::default()
        };
        self.persist_first(write, turn);
        self.set_peers(turn);
    }
}
