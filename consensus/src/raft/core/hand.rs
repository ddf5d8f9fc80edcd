//! Handing this node's envelopes to whoever leads: once in each term, in order, again where they may be lost.
//!
//! What was handed to an earlier leader is handed again only when the first entry of the new leader's term was handed
//! out here: all that the earlier one ordered comes before it, or never. Within a term each has a number, by which
//! the leader takes it once and in order (ADR 016).

use std::collections::VecDeque;

use bytes::Bytes;
use protos::{ConfigSeq, ConsenterId, Envelope};

use super::lead::Queued;
use super::pending::Place;
use super::{Action, RaftCore, Turn};
use crate::ticket::TicketError;
use crate::transport::{ClusterMessage, ForwardMark, MessageKind};

/// Most bytes kept to be handed again. Beyond it, nothing more is handed until some of them are seen.
const SENT_BYTES_MAX: usize = 32 << 20;

/// What was handed in one term.
#[derive(Debug, Default)]
pub(super) struct Handing {
    term: u64,
    /// The next envelope to hand.
    next: Place,
    /// Numbers given so far.
    numbers: u64,
    /// From the first one not seen yet.
    sent: VecDeque<Sent>,
    sent_bytes: usize,
    /// How many of them were found in a block.
    seen: usize,
    /// Ticks since one was seen or all were handed again; after how many they are handed again.
    waited: u64,
    patience: u64,
}

/// An envelope that was handed in the term.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) place: Place,
    pub(super) envelope: Envelope,
    pub(super) config_seq: ConfigSeq,
    /// It was found in a block.
    pub(super) is_seen: bool,
}

impl Handing {
    fn begin(&mut self, term: u64, first: Place, patience: u64) {
        *self = Self {
            term,
            next: first,
            patience,
            ..Self::default()
        };
    }

    /// Goes on in a term where an earlier run stood.
    pub(super) fn go_on(&mut self, (term, next): (u64, Place), numbers: u64, patience: u64) {
        self.begin(term, next, patience);
        self.numbers = numbers;
    }

    /// What may have to be handed again, in the order of its numbers.
    pub(super) fn sent(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter()
    }

    /// The term, how many numbers were given in it, and the next envelope to hand.
    pub(super) fn progress(&self) -> (u64, u64, Place) {
        (self.term, self.numbers, self.next)
    }

    pub(super) fn push(&mut self, sent: Sent) {
        self.seen += usize::from(sent.is_seen);
        self.sent_bytes += sent.envelope.entry().len();
        self.sent.push_back(sent);
    }

    /// An envelope was found in a block.
    pub(super) fn note_seen(&mut self, place: Place) {
        if let Ok(at) = self.sent.binary_search_by_key(&place, |sent| sent.place) {
            self.sent[at].is_seen = true;
            self.seen += 1;
        }
    }

    fn pop(&mut self) {
        let Some(popped) = self.sent.pop_front() else {
            return;
        };
        self.sent_bytes -= popped.envelope.entry().len();
        self.seen -= usize::from(popped.is_seen);
    }
}

impl RaftCore {
    /// Whom envelopes may be handed to now.
    fn receiver(&self) -> Option<ConsenterId> {
        let leader = self.node.leader()?;
        if self.left.is_some_and(|number| !self.is_durable(number)) {
            return None; // it could be taken up twice
        }
        let has_first_entry = self.apply.term() == self.node.term() && !self.apply.is_pulling();
        (has_first_entry || self.planted.early_resubmission).then_some(leader)
    }

    /// Hands what was not handed in this term.
    pub(super) fn hand_over(&mut self, turn: &mut Turn<'_>) {
        self.forget_seen();
        let Some(leader) = self.receiver() else {
            return;
        };
        if self.left.take().is_some() {
            self.left_have_a_leader();
        }
        if self.handing.term != self.node.term() {
            let (term, first, patience) = (self.node.term(), self.pending.first(), self.patience());
            self.handing.begin(term, first, patience);
        }
        let tip = self.apply.tip().number;
        while self.handing.next < self.pending.end() && self.handing.sent_bytes < SENT_BYTES_MAX {
            let place = self.handing.next;
            self.handing.next += 1;
            if let Some(waiting) = self.pending.get_mut(place) {
                waiting.handed_at.get_or_insert(tip);
                let (envelope, config_seq) = (waiting.envelope.clone(), waiting.config_seq);
                let kind = waiting.kind;
                if leader == self.node.id() {
                    self.queue(Queued {
                        envelope,
                        kind,
                        config_seq,
                        own: Some(place),
                    });
                } else {
                    self.forward(leader, place, envelope, config_seq, turn);
                }
            }
        }
    }

    fn forward(
        &mut self,
        leader: ConsenterId,
        place: Place,
        envelope: Envelope,
        config_seq: ConfigSeq,
        turn: &mut Turn<'_>,
    ) {
        self.handing.numbers += 1;
        let sent = Sent {
            number: self.handing.numbers,
            place,
            envelope,
            config_seq,
            is_seen: false,
        };
        turn.push(self.submit(leader, &sent));
        self.handing.push(sent);
    }

    fn submit(&self, leader: ConsenterId, sent: &Sent) -> Action {
        let mark = ForwardMark {
            term: self.handing.term,
            incarnation: self.incarnation,
            number: sent.number,
        };
        let message = ClusterMessage::Submit {
            envelope: sent.envelope.clone(),
            config_seq: sent.config_seq,
            mark: Some(mark),
        };
        Action::Send {
            to: leader,
            kind: MessageKind::Submit,
            message,
        }
    }

    /// Hands everything again that the leader may not have.
    pub(super) fn hand_again(&mut self, to: ConsenterId, turn: &mut Turn<'_>) {
        self.forget_seen();
        if self.receiver() != Some(to) || self.handing.term != self.node.term() {
            return;
        }
        self.handing.waited = 0;
        self.skip_seen(to, turn);
        for sent in &self.handing.sent {
            turn.push(self.submit(to, sent));
        }
    }

    /// What was seen in a block may have come there by another node, which was given an equal one: the leader must not
    /// wait for it.
    fn skip_seen(&self, to: ConsenterId, turn: &mut Turn<'_>) {
        let Some(number) = self.handing.sent.front().map(|first| first.number - 1) else {
            return;
        };
        if let (Ok(envelope), 1..) = (Envelope::from_received(Bytes::new()), number) {
            let skipped = Sent {
                number,
                place: 0,
                envelope,
                config_seq: self.config.sequence,
                is_seen: true,
            };
            turn.push(self.submit(to, &skipped));
        }
    }

    /// A tick: who waits too long hands again, each time after twice as long.
    pub(super) fn hand_again_if_late(&mut self, turn: &mut Turn<'_>) {
        let Some(leader) = self.receiver().filter(|_| !self.handing.sent.is_empty()) else {
            return;
        };
        self.handing.waited += 1;
        if self.handing.waited >= self.handing.patience {
            self.handing.patience = (self.handing.patience * 2).min(64 * self.election_ticks());
            self.hand_again(leader, turn);
        }
    }

    /// Forgets what the leader surely has: what was seen, and, since it takes them in order, what nobody waits for any
    /// more or is too much to keep, if something after it was seen. Anything else keeps its number: a hole would stop
    /// all that follow.
    fn forget_seen(&mut self) {
        let mut is_any = false;
        while let Some(sent) = self.handing.sent.front()
            && (sent.is_seen || (self.handing.seen > 0 && self.is_given_up(sent)))
        {
            self.handing.pop();
            is_any = true;
        }
        if is_any {
            self.handing.waited = 0;
            self.handing.patience = self.patience();
        }
    }

    fn is_given_up(&self, sent: &Sent) -> bool {
        self.pending.get(sent.place).is_none() || self.handing.sent_bytes >= SENT_BYTES_MAX
    }

    pub(super) fn patience(&self) -> u64 {
        2 * self.election_ticks()
    }

    /// The end: nothing that waits gets a block from here.
    pub(super) fn fail_pending(&mut self, reason: &str, turn: &mut Turn<'_>) {
        let all = self.pending.take_all();
        let (handed, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|waiting| waiting.handed_at.is_some());
        turn.unknown(
            handed.iter().filter_map(|waiting| waiting.ticket).collect(),
            reason,
        );
        let others = others.iter().filter_map(|waiting| waiting.ticket).collect();
        turn.resolve(others, Err(TicketError::Halted));
    }
}
