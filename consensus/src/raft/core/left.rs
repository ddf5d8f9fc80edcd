//! What a run leaves that is told to end before all it took in is in a block, and how the next one goes on with it.
//!
//! Clients were told SUCCESS, so a node that ends in order loses none of it, even if all members end at once and nobody is
//! left to order it. The record has what [`Pending`](super::pending) and [`hand`](super::hand) know: to the leader of the
//! same term the next run is the same one, with the same numbers. It goes from the log before anything of it is handed
//! to anybody, so it is taken up once; a crash after that loses it, as it loses all that is only accepted (ADR 023).

use std::collections::BTreeMap;

use super::hand::Sent;
use super::pending::Place;
use super::{Notice, RaftCore, Turn};
use crate::chain::{Submission, SubmissionKind};
use crate::raft::log::{Fate, LeftEnvelope, LogWrite, Unordered};

impl RaftCore {
    /// What the driver writes last where it ends this core although something waits; none if nothing does. `rest` was
    /// taken in as well, behind everything else, and never submitted.
    pub fn leave_behind(&self, rest: Vec<Submission>) -> Option<LogWrite> {
        let (term, numbers, next) = self.handing.progress();
        let left = self.left_envelopes();
        let handed = left.range(..next).count() as u64;
        let unordered = Unordered {
            term,
            incarnation: self.incarnation,
            numbers,
            handed,
            seen: self.apply.seen(),
            envelopes: left
                .into_values()
                .chain(rest.into_iter().map(never_submitted))
                .collect(),
        };
        (unordered.waiting() > 0).then(|| LogWrite {
            unordered: Some(Box::new(unordered)),
            ..LogWrite::default()
        })
    }

    fn left_envelopes(&self) -> BTreeMap<Place, LeftEnvelope> {
        let pending = self.pending.iter();
        let mut left: BTreeMap<_, _> = pending
            .map(|(place, waiting)| {
                let left = LeftEnvelope {
                    envelope: waiting.envelope.clone(),
                    kind: waiting.kind,
                    config_seq: waiting.config_seq,
                    number: None,
                    handed_at: waiting.handed_at,
                    fate: Fate::Waits,
                };
                (place, left)
            })
            .collect();
        for sent in self.handing.sent() {
            let one = left.entry(sent.place).or_insert_with(|| no_more_waited_for(sent));
            one.number = Some(sent.number);
        }
        left
    }

    /// Goes on with what the run before has left.
    pub(super) fn take_up(&mut self, left: Unordered, turn: &mut Turn<'_>) {
        let waiting = left.waiting();
        if waiting == 0 {
            return;
        }
        turn.notice(Notice::TakenUp { waiting });
        self.incarnation = left.incarnation;
        let next = self.pending.end() + left.handed;
        let patience = self.patience();
        self.handing.go_on((left.term, next), left.numbers, patience);
        for one in left.envelopes {
            self.take_up_one(one);
        }
        let tip = self.apply.tip().number;
        if self.pending.has_handed() {
            self.apply.was_seen(left.seen);
        }
        let gone = LogWrite {
            unordered: Some(Box::default()),
            ..LogWrite::default()
        };
        self.left = Some(self.persist(gone, turn));
        if self.apply.seen() < tip {
            self.pull(tip, turn); // they are there, and looked through on the way
        }
    }

    /// The run before was another member, or what it promised is lost: nothing tells whether a leader has them.
    pub(super) fn give_up(&mut self, left: &Unordered, turn: &mut Turn<'_>) {
        let reason = "an earlier run accepted them, whose raft log this one cannot go on with";
        self.drop_all(&vec![None; left.waiting()], reason.to_owned(), turn);
    }

    fn take_up_one(&mut self, one: LeftEnvelope) {
        let place = self.pending.end();
        if let Some(number) = one.number {
            self.handing.push(Sent {
                number,
                place,
                envelope: one.envelope.clone(),
                config_seq: one.config_seq,
                is_seen: one.fate == Fate::Seen,
            });
        }
        if one.fate == Fate::Waits {
            let checked = (one.envelope, one.kind, one.config_seq);
            self.pending.add_left(checked, one.handed_at);
        } else {
            self.pending.skip();
        }
    }

    /// There is a leader for them: from now on their time runs, and the config may have moved on.
    pub(super) fn left_have_a_leader(&mut self) {
        self.pending.count_from(self.ticks);
        self.recheck_from = Some(self.pending.first());
    }
}

fn never_submitted(submission: Submission) -> LeftEnvelope {
    LeftEnvelope {
        envelope: submission.envelope,
        kind: submission.kind,
        config_seq: submission.config_seq,
        number: None,
        handed_at: None,
        fate: Fate::Waits,
    }
}

/// Only its number counts, so that no hole is left.
fn no_more_waited_for(sent: &Sent) -> LeftEnvelope {
    LeftEnvelope {
        envelope: sent.envelope.clone(),
        kind: SubmissionKind::Normal,
        config_seq: sent.config_seq,
        number: None,
        handed_at: None,
        fate: if sent.is_seen { Fate::Seen } else { Fate::GivenUp },
    }
}
