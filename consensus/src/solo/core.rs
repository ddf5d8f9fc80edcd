//! `SoloCore`: what a chain of one orderer does, as a function of events.
//!
//! ```text
//! Submitted ─> stale? ── yes ─> Revalidate ─> refused ─────────────────────> ResolveOne
//!                 │ no             │ valid
//!                 └────────────────┴─> normal: cutter ─> WriteBlock          Written ─> Resolve
//! BatchTimerFired ─────────────────────> cut ──────────> WriteBlock
//!                                      config: cut, then WriteConfigBlock    ConfigApplied ─> Resolve
//! Halt ────────────────────────────────> cut ──────────> WriteBlock          (last one) ─> Finish
//! ```
//!
//! Blocks get their numbers here, when they are cut; the driver reports them in that order. Between a config
//! block and its coming into force nothing is taken in ([`SoloCore::accepts`]), so everything in the cutter was
//! checked against the config in force, and a config block always finds the one before it applied.

use std::collections::VecDeque;
use std::time::Duration;

use blockcutter::Receiver;
use protos::{BlockNumber, ConfigSeq, Envelope, Height};

use crate::chain::{Submission, SubmissionKind};
use crate::consenter::Members;
use crate::support::{BatchConfig, Revalidate, RevalidateError, WriteError};
use crate::ticket::{Outcome, TicketError, TicketId, TimerToken};

/// Most blocks cut and not durable while submissions are taken in. Enough that small blocks cut during one sync
/// share the next: 64 blocks of ten are 13 ms at 50,000 envelopes a second.
pub const BLOCKS_IN_FLIGHT_MAX: usize = 64;

/// Most bytes of envelopes in such blocks. Bounds the memory of a channel whose disk is slow.
pub const BYTES_IN_FLIGHT_MAX: usize = 16 << 20;

/// Most blocks ever cut and not durable: the last submission taken in may cut two, or one and leave a rest that
/// the timer cuts.
pub const BLOCKS_CUT_MAX: usize = BLOCKS_IN_FLIGHT_MAX + 1;

/// Everything that can happen to a solo chain.
#[derive(Debug)]
pub enum Event {
    /// The next submission. Only while [`SoloCore::accepts`].
    Submitted {
        /// Higher than every one before; the first is at least 1.
        ticket: TicketId,
        /// What to order.
        submission: Submission,
    },
    /// The timer of [`Action::ArmBatchTimer`] ran out.
    BatchTimerFired {
        /// The one it was armed with.
        token: TimerToken,
    },
    /// A block of normal envelopes is durable. Reported in order, once each.
    Written {
        /// The oldest block not reported yet.
        number: BlockNumber,
    },
    /// A config block is durable and its config in force.
    ConfigApplied {
        /// The oldest block not reported yet.
        number: BlockNumber,
        /// Sequence of the config now in force.
        config_seq: ConfigSeq,
        /// How it wants batches cut.
        batch: BatchConfig,
    },
    /// A block could not be written. The last event a core needs.
    WriteFailed(WriteError),
    /// Order what was taken in, then finish. Nothing is submitted after it.
    Halt,
}

/// What the driver must start, in order, before it offers the next event.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Make a block of these and write it; report [`Event::Written`] or [`Event::WriteFailed`].
    WriteBlock {
        /// The number it will have.
        number: BlockNumber,
        /// Its entries; at least one.
        batch: Vec<Envelope>,
    },
    /// Make a block of this config envelope and write it; report [`Event::ConfigApplied`] or
    /// [`Event::WriteFailed`].
    WriteConfigBlock {
        /// The number it will have.
        number: BlockNumber,
        /// Its only entry.
        envelope: Envelope,
    },
    /// Report [`Event::BatchTimerFired`] when `after` has passed. No other timer runs.
    ArmBatchTimer {
        /// To report.
        token: TimerToken,
        /// From now.
        after: Duration,
    },
    /// Stop the timer.
    DisarmBatchTimer,
    /// Every ticket up to `through` that has no outcome yet gets this one.
    Resolve {
        /// The last one.
        through: TicketId,
        /// Theirs.
        outcome: Outcome,
    },
    /// One ticket gets its outcome before those in front of it.
    ResolveOne {
        /// Which.
        ticket: TicketId,
        /// Its outcome.
        outcome: Outcome,
    },
    /// The chain is broken and does nothing more.
    Errored(WriteError),
    /// Everything taken in is durable; the chain ends.
    Finish,
}

/// The decisions of a solo chain.
#[derive(Debug)]
pub struct SoloCore {
    cutter: Receiver,
    batch_timeout: Duration,
    config_seq: ConfigSeq,
    next_number: BlockNumber,
    in_flight: VecDeque<InFlight>,
    bytes_in_flight: usize,
    /// The last submission that went into the cutter or a config block.
    newest: TicketId,
    timer: Option<TimerToken>,
    timers_armed: u64,
    life: Life,
}

/// A block that was cut and is not durable yet.
#[derive(Debug)]
struct InFlight {
    number: BlockNumber,
    through: TicketId,
    bytes: usize,
    is_config: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    Halting,
    Over,
}

impl SoloCore {
    /// A core for a chain of `height` blocks, all durable, under the config in force.
    pub fn new(height: Height, config_seq: ConfigSeq, batch: BatchConfig) -> Self {
        Self {
            cutter: Receiver::new(batch.limits),
            batch_timeout: batch.timeout,
            config_seq,
            next_number: height.next_number(),
            in_flight: VecDeque::new(),
            bytes_in_flight: 0,
            newest: TicketId(0),
            timer: None,
            timers_armed: 0,
            life: Life::Running,
        }
    }

    /// True while a submission may be offered. False while a config block is on its way, too much is in flight,
    /// or the chain ends.
    pub fn accepts(&self) -> bool {
        self.life == Life::Running
            && self.in_flight.len() < BLOCKS_IN_FLIGHT_MAX
            && self.bytes_in_flight < BYTES_IN_FLIGHT_MAX
            && !self.in_flight.back().is_some_and(|block| block.is_config)
    }

    /// Takes one event and appends what it leads to to `actions`. `rules` are those of the config in force.
    pub fn step(&mut self, event: Event, rules: &dyn Revalidate, actions: &mut Vec<Action>) {
        match event {
            Event::Submitted { ticket, submission } => self.submitted(ticket, submission, rules, actions),
            Event::BatchTimerFired { token } => {
                if self.timer == Some(token) {
                    self.timer = None;
                    self.cut(actions);
                }
            }
            Event::Written { number } => self.durable(number, false, actions),
            Event::ConfigApplied {
                number,
                config_seq,
                batch,
            } => {
                self.config_seq = config_seq;
                self.cutter.set_limits(batch.limits);
                self.batch_timeout = batch.timeout;
                self.durable(number, true, actions);
            }
            Event::WriteFailed(error) => self.fail(error, actions),
            Event::Halt => self.halt(actions),
        }
        self.retime(actions);
    }

    fn submitted(
        &mut self,
        ticket: TicketId,
        submission: Submission,
        rules: &dyn Revalidate,
        actions: &mut Vec<Action>,
    ) {
        assert!(self.accepts(), "a submission was offered while none is taken");
        assert!(ticket > self.newest, "tickets must rise");
        let kind = submission.kind;
        match self.up_to_date(submission, rules) {
            Ok(envelope) if kind == SubmissionKind::Config => self.order_config(ticket, envelope, actions),
            Ok(envelope) => self.order(ticket, envelope, actions),
            Err(RevalidateError { reason }) => actions.push(Action::ResolveOne {
                ticket,
                outcome: Err(TicketError::Dropped { reason }),
            }),
        }
    }

    /// The envelope as it may be ordered under the config in force.
    fn up_to_date(
        &self,
        submission: Submission,
        rules: &dyn Revalidate,
    ) -> Result<Envelope, RevalidateError> {
        let Submission {
            envelope,
            kind,
            config_seq,
        } = submission;
        if config_seq >= self.config_seq {
            return Ok(envelope);
        }
        match kind {
            SubmissionKind::Normal => rules.revalidate_normal(&envelope).map(|()| envelope),
            SubmissionKind::Config => rules.revalidate_config(&envelope, &Members::default()),
        }
    }

    fn order(&mut self, ticket: TicketId, envelope: Envelope, actions: &mut Vec<Action>) {
        let ordered = self.cutter.ordered(envelope);
        let before = std::mem::replace(&mut self.newest, ticket);
        let count = ordered.batches.len();
        for (index, batch) in ordered.batches.into_iter().enumerate() {
            // The newcomer is in the last batch, unless it is pending.
            let holds_newcomer = !ordered.pending && index + 1 == count;
            let through = if holds_newcomer { ticket } else { before };
            self.write(through, batch, actions);
        }
    }

    fn order_config(&mut self, ticket: TicketId, envelope: Envelope, actions: &mut Vec<Action>) {
        self.cut(actions);
        self.newest = ticket;
        let number = self.put_in_flight(ticket, envelope.size(), true);
        actions.push(Action::WriteConfigBlock { number, envelope });
    }

    /// Makes a block of what is pending, if anything is.
    fn cut(&mut self, actions: &mut Vec<Action>) {
        let batch = self.cutter.cut();
        if !batch.is_empty() {
            self.write(self.newest, batch, actions);
        }
    }

    fn write(&mut self, through: TicketId, batch: Vec<Envelope>, actions: &mut Vec<Action>) {
        let bytes = batch.iter().map(Envelope::size).sum();
        let number = self.put_in_flight(through, bytes, false);
        actions.push(Action::WriteBlock { number, batch });
    }

    fn put_in_flight(&mut self, through: TicketId, bytes: usize, is_config: bool) -> BlockNumber {
        let number = self.next_number;
        self.next_number = number.next();
        self.bytes_in_flight += bytes;
        self.in_flight.push_back(InFlight {
            number,
            through,
            bytes,
            is_config,
        });
        number
    }

    fn durable(&mut self, number: BlockNumber, is_config: bool, actions: &mut Vec<Action>) {
        let Some(block) = self.in_flight.pop_front() else {
            unreachable!("block {} was reported, but none is in flight", number.0);
        };
        assert_eq!(
            (block.number, block.is_config),
            (number, is_config),
            "reports out of order"
        );
        self.bytes_in_flight -= block.bytes;
        actions.push(Action::Resolve {
            through: block.through,
            outcome: Ok(number),
        });
        self.finish_if_idle(actions);
    }

    fn halt(&mut self, actions: &mut Vec<Action>) {
        if self.life == Life::Running {
            self.life = Life::Halting;
            self.cut(actions);
            self.finish_if_idle(actions);
        }
    }

    fn finish_if_idle(&mut self, actions: &mut Vec<Action>) {
        if self.life == Life::Halting && self.in_flight.is_empty() {
            self.life = Life::Over;
            actions.push(Action::Finish);
        }
    }

    /// What is in flight may be in the ledger or not; what is pending is certainly in no block.
    fn fail(&mut self, error: WriteError, actions: &mut Vec<Action>) {
        if let Some(last) = self.in_flight.back() {
            let reason = error.to_string();
            actions.push(Action::Resolve {
                through: last.through,
                outcome: Err(TicketError::Unknown { reason }),
            });
        }
        if !self.cutter.cut().is_empty() {
            actions.push(Action::Resolve {
                through: self.newest,
                outcome: Err(TicketError::Halted),
            });
        }
        self.in_flight.clear();
        self.bytes_in_flight = 0;
        self.life = Life::Over;
        actions.push(Action::Errored(error));
    }

    /// The timer runs exactly while envelopes are pending; a cut that leaves some never restarts it.
    fn retime(&mut self, actions: &mut Vec<Action>) {
        match (self.cutter.is_pending(), self.timer) {
            (true, None) => {
                self.timers_armed += 1;
                let token = TimerToken(self.timers_armed);
                self.timer = Some(token);
                actions.push(Action::ArmBatchTimer {
                    token,
                    after: self.batch_timeout,
                });
            }
            (false, Some(_)) => {
                self.timer = None;
                actions.push(Action::DisarmBatchTimer);
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
}

#[cfg(test)]
mod tests;
