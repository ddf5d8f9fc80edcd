//! The driver task: feeds the core from mailbox, timer and writer, and carries out its actions in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, watch};
use tokio::task::yield_now;

use super::core::{Action, Event, SoloCore};
use super::writer::{Ends, Job};
use crate::backlog::Backlog;
use crate::batch_timer::{BatchTimer, asked_to_halt};
use crate::mailbox::MailboxReceiver;
use crate::open_tickets::OpenTickets;
use crate::stopwatch::Stopwatch;
use crate::support::{ConsenterSupport, WriteError};
use crate::ticket::TicketError;

/// Most submissions stepped before timer and writer are looked at again and other tasks get their turn. It matters
/// after a config change, when each of them has its signatures checked again.
const SUBMITTED_AT_ONCE_MAX: usize = 256;

/// How a driver ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// Everything taken in is durable.
    Halted,
    /// A block could not be written.
    Failed(WriteError),
    /// The writer task is gone; its own end says why.
    WriterGone,
}

/// One chain's driver.
pub(super) struct Driver {
    support: Arc<dyn ConsenterSupport>,
    core: SoloCore,
    mailbox: MailboxReceiver,
    halt: watch::Receiver<bool>,
    jobs: mpsc::Sender<Job>,
    events: mpsc::Receiver<Event>,
    timer: BatchTimer,
    open: OpenTickets,
    watch: Stopwatch,
    backlog: Backlog,
    actions: Vec<Action>,
    dropped: Arc<AtomicU64>,
    ending: Option<Ending>,
}

impl Driver {
    /// A driver that continues the chain as `support` has it. It halts when `halt` becomes true or loses its sender.
    pub(super) fn new(
        support: Arc<dyn ConsenterSupport>,
        mailbox: MailboxReceiver,
        halt: watch::Receiver<bool>,
        (jobs, events): Ends,
        dropped: Arc<AtomicU64>,
    ) -> Self {
        let meter = support.meter();
        let core = SoloCore::new(support.height(), support.config_seq(), support.batch_config());
        Self {
            support,
            core,
            mailbox,
            halt,
            jobs,
            events,
            timer: BatchTimer::stopped(),
            open: OpenTickets::new(Arc::clone(&meter)),
            watch: Stopwatch::new(meter),
            backlog: Backlog::default(),
            actions: Vec::new(),
            dropped,
            ending: None,
        }
    }

    /// Runs the chain to its end; every ticket has an outcome then.
    pub(super) async fn run(mut self) -> Ending {
        let mut halting = false;
        loop {
            if let Some(ending) = self.ending.take() {
                self.refuse_the_rest(&ending);
                return ending;
            }
            let wants_more = self.core.accepts() && self.backlog.is_empty();
            tokio::select! {
                biased; // what frees the core comes before what fills it
                event = self.events.recv() => match event {
                    Some(event) => self.step(event),
                    None => self.ending = Some(Ending::WriterGone),
                },
                token = self.timer.fired() => self.step(Event::BatchTimerFired { token }),
                () = asked_to_halt(&mut self.halt), if !halting => {
                    halting = true;
                    self.mailbox.close();
                }
                () = self.backlog.fill(&mut self.mailbox), if wants_more => {
                    if self.backlog.is_empty() {
                        self.step(Event::Halt);
                    }
                }
                () = yield_now(), if self.core.accepts() && !self.backlog.is_empty() => {}
            }
            self.submit();
        }
    }

    /// Offers the core some of what was taken from the mailbox, as far as it accepts.
    fn submit(&mut self) {
        for _ in 0..SUBMITTED_AT_ONCE_MAX {
            if !self.core.accepts() {
                return;
            }
            let Some((ticket, submission)) = self.backlog.next(&self.mailbox, &mut self.open) else {
                return;
            };
            if let Some(offered) = self.backlog.offered_at() {
                self.watch.submitted(offered);
            }
            self.step(Event::Submitted { ticket, submission });
        }
    }

    fn step(&mut self, event: Event) {
        if matches!(event, Event::BatchTimerFired { .. }) {
            self.watch.pending(false);
        }
        let mut actions = std::mem::take(&mut self.actions);
        self.core.step(event, &*self.support, &mut actions);
        actions.drain(..).for_each(|action| self.start(action));
        self.watch.settled();
        self.actions = actions; // keeps its memory for the next step
    }

    fn start(&mut self, action: Action) {
        match action {
            Action::WriteBlock { number, batch } => {
                self.watch.cut();
                self.hand_over(Job::Block { number, batch });
            }
            Action::WriteConfigBlock { number, envelope } => {
                self.hand_over(Job::ConfigBlock { number, envelope });
            }
            Action::ArmBatchTimer { token, after } => {
                self.watch.pending(true);
                self.timer = BatchTimer::armed(token, after);
            }
            Action::DisarmBatchTimer => {
                self.watch.pending(false);
                self.timer = BatchTimer::stopped();
            }
            Action::Resolve { through, outcome } => self.open.resolve(through, &outcome),
            Action::ResolveOne { ticket, outcome } => {
                // Its client may have been told SUCCESS and listen no more, so this is the only trace.
                let dropped = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::warn!(channel = %self.support.channel_id(), dropped, ?outcome, "submission dropped");
                self.open.resolve_one(ticket, &outcome);
            }
            Action::Errored(error) => self.ending = Some(Ending::Failed(error)),
            Action::Finish => self.ending = Some(Ending::Halted),
        }
    }

    fn hand_over(&mut self, job: Job) {
        // Closed: its events end as well, and with them this driver.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.jobs.try_send(job) {
            unreachable!("the core cut more blocks than it may");
        }
    }

    /// Gives every ticket that has none its outcome.
    fn refuse_the_rest(&mut self, ending: &Ending) {
        let reason = "the writer task is gone".to_owned();
        self.open.resolve_all(&match ending {
            Ending::WriterGone => Err(TicketError::Unknown { reason }),
            Ending::Halted | Ending::Failed(_) => Err(TicketError::Halted),
        });
        self.backlog.refuse(&mut self.mailbox);
    }
}
