//! What is taken in, how long it may wait, and that it is still valid when the config has moved on.

use protos::{ConfigSeq, Envelope};

use super::event::ConfigInForce;
use super::pending::{Place, Waiting};
use super::{Life, Notice, RaftCore, Turn};
use crate::chain::{Submission, SubmissionKind};
use crate::support::RevalidateError;
use crate::ticket::{TicketError, TicketId};

/// Bytes of envelopes taken in and not seen in a block; no less than two batches.
const PENDING_BYTES_MAX: usize = 16 << 20;
/// Seconds after which an envelope that is in no block yet is given up.
const PENDING_SECONDS_MAX: u32 = 60;
/// Own envelopes checked again after one event.
const RECHECKS_MAX: usize = 64;

/// What a caller of the chain meets now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Submissions are taken in.
    Open,
    /// They wait: enough were taken in already.
    Paused,
    /// Nobody leads.
    NoLeader {
        /// Why, as far as it is known.
        reason: String,
        /// No majority answers: waiting will not help soon.
        known_lost: bool,
    },
}

impl RaftCore {
    /// True while a submission may be offered.
    pub fn accepts(&self) -> bool {
        self.life == Life::Running && self.pending.bytes() < self.pending_bytes_max()
    }

    fn pending_bytes_max(&self) -> usize {
        PENDING_BYTES_MAX.max(2 * self.config.batch.limits.preferred_max_bytes())
    }

    /// What a caller meets now.
    pub fn intake(&self) -> Intake {
        if self.node.leader().is_none() {
            let (reason, known_lost) = self.no_leader_reason();
            let reason = self.trouble().unwrap_or(reason);
            return Intake::NoLeader { reason, known_lost };
        }
        if self.accepts() {
            return Intake::Open;
        }
        Intake::Paused
    }

    /// Takes a submission of this node in.
    pub(super) fn submitted(&mut self, ticket: TicketId, submission: Submission, turn: &mut Turn<'_>) {
        assert!(self.accepts(), "a submission was offered while none is taken");
        let Submission {
            envelope,
            kind,
            config_seq,
        } = submission;
        match self.still_valid(&envelope, kind, config_seq, turn) {
            Ok(envelope) => {
                let checked = (config_seq.max(self.config.sequence), self.ticks);
                self.pending.add(ticket, envelope, kind, checked);
            }
            Err(error) => self.drop_all(&[Some(ticket)], error.reason, turn),
        }
    }

    /// The envelope as it may be ordered under the config in force.
    pub(super) fn still_valid(
        &self,
        envelope: &Envelope,
        kind: SubmissionKind,
        config_seq: ConfigSeq,
        turn: &Turn<'_>,
    ) -> Result<Envelope, RevalidateError> {
        if config_seq >= self.config.sequence {
            return Ok(envelope.clone());
        }
        match kind {
            SubmissionKind::Normal => turn.rules.revalidate_normal(envelope).map(|()| envelope.clone()),
            SubmissionKind::Config => turn.rules.revalidate_config(envelope, &self.members()),
        }
    }

    /// The envelopes with these tickets are in no block and will be in none: the config moved on.
    pub(super) fn drop_all(&mut self, of: &[Option<TicketId>], reason: String, turn: &mut Turn<'_>) {
        if of.is_empty() {
            return;
        }
        self.dropped += of.len() as u64;
        turn.notice(Notice::Dropped {
            reason: reason.clone(),
        });
        let tickets = of.iter().copied().flatten().collect();
        turn.resolve(tickets, Err(TicketError::Dropped { reason }));
    }

    /// A config is in force.
    pub(super) fn adopt(&mut self, config: &ConfigInForce, turn: &mut Turn<'_>) {
        let moved = config.sequence > self.config.sequence;
        self.config.sequence = config.sequence;
        self.config.batch = config.batch;
        self.config.options.snapshot_interval_bytes = config.options.snapshot_interval_bytes;
        if let Some(leading) = &mut self.leading {
            leading.set_limits(config.batch.limits);
        }
        if moved {
            self.old_peers_until = self.ticks + self.election_ticks() / 2;
            self.recheck_from = Some(self.pending.first());
        }
        self.set_peers(turn);
    }

    /// Checks own envelopes again after a config came into force, some at a time: what the leader drops never shows
    /// up in a block, and its owner must say so.
    pub(super) fn recheck(&mut self, turn: &mut Turn<'_>) {
        let Some(mut place) = self.recheck_from.map(|place| place.max(self.pending.first())) else {
            return;
        };
        let mut checks = 0;
        while checks < RECHECKS_MAX && place < self.pending.end() {
            checks += usize::from(self.recheck_one(place, turn));
            place += 1;
        }
        self.recheck_from = (place < self.pending.end()).then_some(place);
    }

    /// Tells whether a check was made.
    fn recheck_one(&mut self, place: Place, turn: &mut Turn<'_>) -> bool {
        let sequence = self.config.sequence;
        let stale = self
            .pending
            .get(place)
            .filter(|waiting| waiting.config_seq < sequence);
        let Some(waiting) = stale.cloned() else {
            return false;
        };
        match self.still_valid(&waiting.envelope, waiting.kind, waiting.config_seq, turn) {
            Ok(envelope) => self.pending.renew(place, envelope, sequence),
            Err(error) => {
                self.pending.remove(place);
                self.drop_all(&[waiting.ticket], error.reason, turn);
            }
        }
        true
    }

    /// A tick: gives up what waits too long.
    pub(super) fn expire(&mut self, turn: &mut Turn<'_>) {
        let (mut handed, mut others) = (Vec::new(), Vec::new());
        for place in self.late() {
            if let Some(waiting) = self.pending.remove(place) {
                let list = if waiting.handed_at.is_some() {
                    &mut handed
                } else {
                    &mut others
                };
                list.push(waiting.ticket);
            }
        }
        turn.unknown(
            handed.into_iter().flatten().collect(),
            &format!("it is in no block after {PENDING_SECONDS_MAX} seconds"),
        );
        let reason = format!("no leader took it within {PENDING_SECONDS_MAX} seconds");
        self.drop_all(&others, reason, turn);
    }

    /// What waits too long. Those that came first come first, but for those of an earlier run.
    fn late(&self) -> Vec<Place> {
        let bound = self.pending_ticks_max();
        let is_late = |waiting: &Waiting| waiting.since.is_some_and(|since| self.ticks - since > bound);
        let is_old = |(_, waiting): &(Place, &Waiting)| waiting.since.is_none() || is_late(waiting);
        let old = self.pending.iter().take_while(is_old);
        old.filter(|(_, waiting)| is_late(waiting))
            .map(|(place, _)| place)
            .collect()
    }

    fn pending_ticks_max(&self) -> u64 {
        let tick = self.config.options.tick_interval.as_millis().max(1);
        let bound = u128::from(PENDING_SECONDS_MAX) * 1000 / tick;
        u64::try_from(bound)
            .unwrap_or(u64::MAX)
            .max(4 * self.election_ticks())
    }
}
