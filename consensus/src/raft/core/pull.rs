//! Blocks that come from other orderers: up to a leader's state that replaces the log, or up to what others are known to
//! have while nobody leads. That the ledger may get ahead of the log is on record before.

use protos::BlockNumber;
use protos::wire::common::Block;

use super::apply::{Pulling, config_facts};
use super::event::{ConfigInForce, Tip};
use super::member::Membership;
use super::{Action, RaftCore, Turn};
use crate::raft::log::{Checkpoint, LogWrite};
use crate::support::WriteError;

impl RaftCore {
    /// Takes over a leader's state: the ledger pulls the blocks up to it.
    pub(super) fn apply_snapshot(&mut self, snapshot: Checkpoint, turn: &mut Turn<'_>) {
        let through = snapshot.block_number;
        if through <= self.apply.tip().number {
            self.entered(&snapshot, turn);
            return;
        }
        self.apply.pulled_for = Some(snapshot);
        self.pull(through, turn);
    }

    /// The ledger holds a leader's state.
    fn entered(&mut self, snapshot: &Checkpoint, turn: &mut Turn<'_>) {
        self.apply.jump_to(snapshot.index, snapshot.term);
        self.node.window_mut().set_voters(&snapshot.voters);
        self.set_peers(turn);
    }

    /// Pulls what others are known to have, when its turn has come.
    pub(super) fn pull_behind(&mut self, turn: &mut Turn<'_>) {
        if let Some(through) = self.apply.take_behind() {
            self.pull(through, turn);
        }
    }

    /// Puts on record that the ledger may get ahead of the log; then blocks are pulled.
    pub(super) fn pull(&mut self, through: BlockNumber, turn: &mut Turn<'_>) {
        self.identity.pulled = u64::MAX;
        let write = LogWrite {
            identity: Some(self.identity.clone()),
            ..LogWrite::default()
        };
        let number = self.persist(write, turn);
        self.apply.pulling = Pulling::Recording { number, through };
    }

    /// Asks for the blocks once that is on record.
    pub(super) fn record_pulling(&mut self, turn: &mut Turn<'_>) {
        if let Pulling::Recording { number, through } = self.apply.pulling
            && self.is_durable(number)
        {
            self.apply.pulling = Pulling::Under;
            turn.push(Action::CatchUp { through });
        }
    }

    /// The first of the pulled blocks, if envelopes of this node may be in them: it may never see the entries of these
    /// blocks, since a leader's state can stand for them. The driver reports all from there on as
    /// [`Event::Pulled`](super::Event::Pulled) before it says that they are there.
    pub fn unseen_from(&self) -> Option<BlockNumber> {
        let has_handed = self.pending.has_handed();
        has_handed.then(|| BlockNumber(self.apply.seen().0 + 1))
    }

    /// One of the pulled blocks.
    pub(super) fn look_through(&mut self, block: &Block, turn: &mut Turn<'_>) {
        let number = BlockNumber(block.header.as_ref().map_or(0, |header| header.number));
        let facts = config_facts(block);
        let tickets = self.match_block(block, number, facts.as_ref());
        turn.resolve(tickets, Ok(number));
    }

    /// The ledger has what was asked for, or more.
    pub(super) fn caught_up(&mut self, tip: &Tip, config: &ConfigInForce, turn: &mut Turn<'_>) {
        if self.apply.pulling != Pulling::Under {
            return; // not asked for
        }
        self.apply.pulling = Pulling::Not;
        match Membership::new(config.consenters.clone(), &tip.metadata) {
            Ok(members) => self.members = members,
            Err(reason) => {
                let number = tip.number;
                return self.fail(WriteError { number, reason }, turn);
            }
        }
        self.apply.set_tip(tip);
        self.identity.pulled = tip.metadata.raft_index;
        let write = LogWrite {
            identity: Some(self.identity.clone()),
            ..LogWrite::default()
        };
        self.persist(write, turn);
        self.adopt(config, turn);
        if let Some(snapshot) = self.apply.pulled_for.take() {
            // What was handed and is in none of these blocks is in a later one, or in none.
            self.apply.set_seen(tip.number);
            self.entered(&snapshot, turn);
        }
        self.node.applied_to(self.apply.index());
        self.note_durable();
    }
}
