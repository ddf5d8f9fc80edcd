//! Messages of other members: refused, kept from raft for now, or stepped.

use bytes::Bytes;
use protos::ConsenterId;

use super::apply::BACKLOG_MAX;
use super::{Action, Life, Notice, RaftCore, Season, Turn};
use crate::raft::wire::{self, Incoming, Refusal, What};
use crate::transport::ClusterMessage;

/// Reasons told of each sender until the next tick.
const NOTICES_MAX: u32 = 4;

impl RaftCore {
    /// Something another consenter says.
    pub(super) fn received(&mut self, from: ConsenterId, message: ClusterMessage, turn: &mut Turn<'_>) {
        if !self.is_known(from) {
            return self.refuse(from, "it is no consenter of the channel", turn);
        }
        self.contact.hear(from, self.ticks);
        match message {
            ClusterMessage::Consensus { payload, metadata } => {
                self.consensus(from, &payload, turn);
                self.take_active(from, &metadata, turn);
            }
            ClusterMessage::Submit {
                envelope,
                config_seq,
                mark,
            } => self.forwarded(from, (envelope, config_seq), mark, turn),
        }
    }

    fn consensus(&mut self, from: ConsenterId, payload: &Bytes, turn: &mut Turn<'_>) {
        // Which of two chains of one name it is about cannot be seen in a message.
        if self.season == Season::Returning {
            return;
        }
        match wire::read(from, payload, &self.node) {
            Ok(incoming) => {
                if self.may_step(&incoming, turn) {
                    self.node.step(incoming);
                }
            }
            Err(Refusal::Lost { commit, last }) => self.lose(
                format!("the leader presumes entry {commit} of the log, the last one here is {last}"),
                turn,
            ),
            // Ids are never used again, so only a higher one can be newer than ours.
            Err(Refusal::WrongAddressee { to, own }) if to > own => {
                turn.notice(Notice::AddressedAs(to));
                self.leave(turn);
            }
            Err(refusal) => self.refuse(from, &refusal.to_string(), turn),
        }
    }

    /// Counts a refused message, and tells of the first ones.
    pub(super) fn refuse(&mut self, from: ConsenterId, reason: &str, turn: &mut Turn<'_>) {
        self.refused += 1;
        self.refusals_told += 1;
        if self.refusals_told <= NOTICES_MAX {
            let reason = reason.to_owned();
            turn.notice(Notice::Refused { from, reason });
        }
    }

    /// What a good message must wait for; raft sends it again.
    fn may_step(&mut self, incoming: &Incoming, turn: &mut Turn<'_>) -> bool {
        match incoming.what {
            What::Append | What::Heartbeat | What::Snapshot => {
                let is_room = incoming.what == What::Heartbeat || self.apply.backlog() < BACKLOG_MAX;
                if is_room {
                    self.hear_leader(incoming, turn);
                }
                is_room
            }
            // A vote binds, so it is given only by one who knows what it promised before.
            What::VoteRequest => self.may_vote(turn),
            // Nobody can answer what is not sent yet: our own vote waits for the log.
            What::VoteResponse => self.persisting.is_synced() && self.node.is_all_persisted(),
            What::TimeoutNow => self.may_campaign(),
            What::Response => true,
        }
    }

    /// A member without log may still vote where the members are even in number, or a channel that grows from one to
    /// two while the second is not up would never have a leader. Of 2k members, whatever this one may once have helped
    /// to commit or elect is held by k others; the k - 1 that remain are no majority with it (ADR 017).
    fn may_vote(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.season == Season::Seasoned {
            return true;
        }
        let is_needed = self.members.ids.len().is_multiple_of(2) && self.season != Season::Asking;
        if is_needed && self.season == Season::Silent {
            self.enter(Season::Unheard, turn);
        }
        is_needed
    }

    /// Without a log, the first leader heard decides from where on this member counts.
    fn hear_leader(&mut self, incoming: &Incoming, turn: &mut Turn<'_>) {
        if !matches!(self.season, Season::Asking | Season::Silent | Season::Unheard) {
            return;
        }
        let is_told = incoming.what != What::Heartbeat && incoming.commit > 0;
        let season = if is_told {
            Season::Until(incoming.commit)
        } else {
            Season::Unheard
        };
        if season != self.season {
            self.enter(season, turn);
        }
    }

    /// Sends messages of raft, with what a leader tells of the active members.
    pub(super) fn send(&mut self, messages: Vec<wire::Outgoing>, turn: &mut Turn<'_>) {
        for outgoing in messages {
            let metadata = match self.life {
                Life::Running | Life::Halting if self.node.leads() => self.contact.metadata_for(outgoing.to),
                _ => Bytes::new(),
            };
            turn.push(Action::Send {
                to: outgoing.to,
                kind: outgoing.kind,
                message: ClusterMessage::Consensus {
                    payload: outgoing.payload,
                    metadata,
                },
            });
        }
    }
}
