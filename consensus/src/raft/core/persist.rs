//! What is on its way to the log, and the messages that wait for it.

use std::collections::VecDeque;

use super::apply::Item;
use super::{Action, Life, RaftCore, Turn};

use crate::raft::log::{Checkpoint, HardState, LogWrite, MembersAt};
use crate::raft::node::Output;
use crate::raft::wire::Outgoing;

/// Numbers of writes, and what is held until they are durable.
#[derive(Debug, Default)]
pub(super) struct Persisting {
    issued: u64,
    durable: u64,
    /// The last write that a message may hang on.
    synced_by: u64,
    /// The latest, and whether the log has it yet.
    hard_state: HardState,
    is_hard_state_new: bool,
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    ready: u64,
    until: u64,
    messages: Vec<Outgoing>,
    snapshot: Option<Checkpoint>,
}

impl Persisting {
    pub(super) fn new(hard_state: HardState) -> Self {
        Self {
            hard_state,
            ..Self::default()
        }
    }

    /// The latest term and vote.
    pub(super) fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// Another log begins, with this state.
    pub(super) fn restart(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
        self.is_hard_state_new = true;
        self.held.clear();
    }

    /// The log on disk goes on, with this state.
    pub(super) fn resume(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
        self.held.clear();
    }

    /// The writes through `number` are durable.
    pub(super) fn note_durable(&mut self, number: u64) {
        self.durable = self.durable.max(number);
    }

    /// True when nothing that a message may hang on is on its way.
    pub(super) fn is_synced(&self) -> bool {
        self.durable >= self.synced_by
    }

    /// True while a leader's state is on its way to the log.
    pub(super) fn holds_snapshot(&self) -> bool {
        self.held.iter().any(|held| held.snapshot.is_some())
    }
}

impl RaftCore {
    /// Asks for a write and returns its number. The newest hard state goes along. The first write takes away what a
    /// former id has left: all of it, since the write says as whom the log is from now on.
    pub(super) fn persist(&mut self, mut write: LogWrite, turn: &mut Turn<'_>) -> u64 {
        let persisting = &mut self.persisting;
        if std::mem::take(&mut self.is_log_foreign) {
            write.resets = true;
            write.identity.get_or_insert_with(|| self.identity.clone());
            write.members.get_or_insert_default();
            write.hard_state = Some(persisting.hard_state);
        }
        persisting.issued += 1;
        if std::mem::take(&mut persisting.is_hard_state_new) {
            write.hard_state = Some(persisting.hard_state);
        }
        let number = persisting.issued;
        turn.push(Action::Persist { number, write });
        number
    }

    /// [`persist`](Self::persist) of something that must be durable before any later message goes out.
    pub(super) fn persist_first(&mut self, write: LogWrite, turn: &mut Turn<'_>) -> u64 {
        let number = self.persist(write, turn);
        self.persisting.synced_by = number;
        number
    }

    /// Carries out what raft wants: writes asked for, messages sent or held.
    pub(super) fn pump(&mut self, turn: &mut Turn<'_>) {
        let output = self.node.take_ready();
        if let Some(state) = output.hard_state {
            self.persisting.hard_state = state;
            self.persisting.is_hard_state_new = true;
        }
        let Output {
            number: ready,
            entries,
            must_sync,
            snapshot,
            now,
            after,
            committed,
            ..
        } = output;
        if must_sync {
            // A commit index alone is not worth a write: it comes with the next, and the ledger knows better.
            let members = snapshot.as_ref().map(|snapshot| MembersAt {
                index: snapshot.index,
                voters: snapshot.voters.clone(),
            });
            let write = LogWrite {
                members,
                resets: snapshot.is_some(),
                checkpoint: snapshot.clone(),
                entries,
                ..LogWrite::default()
            };
            self.persist_first(write, turn);
        }
        self.send(now, turn);
        self.persisting.held.push_back(Held {
            ready,
            until: self.persisting.synced_by,
            messages: after,
            snapshot,
        });
        self.apply.take(committed);
        self.release(turn);
    }

    /// The writes through `number` are durable.
    pub(super) fn persisted(&mut self, number: u64, turn: &mut Turn<'_>) {
        self.persisting.note_durable(number);
        self.release(turn);
        self.record_pulling(turn);
    }

    /// Lets go what waited for what is durable now.
    fn release(&mut self, turn: &mut Turn<'_>) {
        let durable = self.persisting.durable;
        while let Some(held) = self.persisting.held.pop_front_if(|held| held.until <= durable) {
            self.node.persisted(held.ready);
            if let Some(snapshot) = held.snapshot {
                self.apply.queue(Item::Snapshot(snapshot));
            }
            self.send(held.messages, turn);
        }
    }

    /// True once the write of this number is durable.
    pub(super) fn is_durable(&self, number: u64) -> bool {
        self.persisting.durable >= number
    }

    /// Gives up taking part: what was promised under this id may be forgotten. The end of the core, once on record.
    pub(super) fn lose(&mut self, reason: String, turn: &mut Turn<'_>) {
        let mut identity = self.identity.clone();
        identity.lost = Some(reason.clone());
        let write = LogWrite {
            identity: Some(identity),
            ..LogWrite::default()
        };
        let number = self.persist(write, turn);
        self.fail_pending(&reason, turn);
        self.life = Life::Losing { number, reason };
    }

    /// Says that the loss is on record, once it is.
    pub(super) fn report_loss(&mut self, turn: &mut Turn<'_>) {
        if let Life::Losing { number, reason } = &self.life
            && self.is_durable(*number)
        {
            let reason = reason.clone();
            self.life = Life::Over;
            turn.push(Action::LostLog { reason });
        }
    }
}
