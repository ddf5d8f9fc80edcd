//! The driver task of one raft channel: feeds the core, and carries out its actions in order.
//!
//! ```text
//! mailbox ─ submissions ─┐                       ┌─> log writer ── Persisted ──┐
//! inbox ── messages ─────┤                       ├─> support (ledger) ─ Written┤
//! ticks, batch timer ────┼──> core ── actions ───┼─> transport                 │
//! answers ───────────────┘      ^                └─> block source ── CaughtUp ─┤
//!                               └──────────────────────────────────────────────┘
//! ```
//!
//! Nothing is waited for in line: what takes time is started, and its answer is one more event. So heartbeats flow
//! while disks work.
//!
//! | module | holds |
//! |---|---|
//! | `carry_out` | what the core wants done |
//! | `asking` | what is asked of other orderers: whether the channel is new, their blocks, the newest config |
//! | `suspicion` | when a member without a leader asks whether it was removed |
//! | `ending` | how it ends: what is waited for, and which outcome open tickets get |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::BoxFuture;
use futures::stream::{FuturesOrdered, StreamExt};
use protos::{BlockNumber, ConsenterId};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use self::asking::{Answer, Asking};
use self::suspicion::Suspicion;
use super::chain::{Chosen, Shared};
use super::core::{Action, Event, RaftCore};
use super::inbox::Received;
use super::log_writer::{ChannelLog, Progress};
use super::notices::Notices;
use super::opening::{NoConfig, config_in_force};
use crate::backlog::Backlog;
use crate::batch_timer::{BatchTimer, asked_to_halt};
use crate::chain::{ChainFailure, Ended, SubmissionKind};
use crate::mailbox::MailboxReceiver;
use crate::meter::ChainLoad;
use crate::open_tickets::OpenTickets;
use crate::stopwatch::Stopwatch;
use crate::support::{ConsenterSupport, WriteError};
use crate::ticket::TicketId;
use crate::transport::Transport;

mod asking;
mod carry_out;
mod ending;
mod suspicion;

/// Most submissions stepped before other events are looked at again and other tasks get their turn.
const SUBMITTED_AT_ONCE_MAX: usize = 256;

/// How a driver ended.
#[derive(Debug, PartialEq)]
pub(super) enum Ending {
    /// Without a failure.
    Ended(Ended),
    /// It broke.
    Failed(ChainFailure),
}

/// One chain's driver.
pub(super) struct Driver {
    support: Arc<dyn ConsenterSupport>,
    transport: Arc<dyn Transport>,
    core: RaftCore,
    notices: Notices,
    began: Instant,
    chosen: Chosen,
    /// Nothing is done before this is true.
    serving: watch::Receiver<bool>,
    shared: Arc<Shared>,
    mailbox: MailboxReceiver,
    backlog: Backlog,
    open: OpenTickets,
    watch: Stopwatch,
    /// The newest ticket the core has.
    submitted: TicketId,
    halt: watch::Receiver<bool>,
    /// When a halt that was asked for ends, whatever is left; none where nobody else could go on with it.
    halt_by: Option<Instant>,
    is_halting: bool,
    /// It was told to end, led, was never idle, and offers leadership all the same.
    is_parting: bool,
    /// When it ends since the channel is of another consensus type now.
    leaves_at: Option<Instant>,
    log: ChannelLog,
    /// The last write handed to the log, when the oldest unconfirmed one was, and the last confirmed one.
    written: u64,
    written_at: Option<Instant>,
    persisted: u64,
    /// The log's disk is full.
    log_trouble: Option<String>,
    writing: FuturesOrdered<BoxFuture<'static, Event>>,
    timer: BatchTimer,
    asking: Asking,
    /// Blocks up to this one come from others.
    pulling_through: Option<BlockNumber>,
    suspicion: Suspicion,
    submit_streams: watch::Receiver<BTreeMap<ConsenterId, u64>>,
    streams_seen: BTreeMap<ConsenterId, u64>,
    /// Peers whose lost messages the core knows of since the last tick.
    unreachable: BTreeSet<ConsenterId>,
    /// What the carrying out of an action has led to.
    follow_ups: Vec<Event>,
    actions: Vec<Action>,
    received: Vec<Received>,
    is_news: bool,
    ending: Option<Ending>,
}

/// What a driver is made of.
pub(super) struct Parts {
    pub(super) support: Arc<dyn ConsenterSupport>,
    pub(super) core: RaftCore,
    /// What the core wants done first.
    pub(super) first: Vec<Action>,
    pub(super) log: ChannelLog,
    pub(super) chosen: Chosen,
    pub(super) serving: watch::Receiver<bool>,
    pub(super) mailbox: MailboxReceiver,
    pub(super) halt: watch::Receiver<bool>,
    pub(super) shared: Arc<Shared>,
}

impl Driver {
    /// A driver that has not begun.
    pub(super) fn new(parts: Parts) -> Self {
        let Parts {
            support,
            core,
            first,
            log,
            chosen,
            serving,
            mailbox,
            halt,
            shared,
        } = parts;
        let (transport, meter) = (support.transport(), support.meter());
        let notices = Notices::new(support.channel_id().clone(), core.status().id);
        Self {
            asking: Asking::new(support.block_source()),
            submit_streams: transport.submit_streams(),
            transport,
            support,
            core,
            notices,
            began: Instant::now(),
            suspicion: Suspicion::new(chosen.eviction_suspicion),
            chosen,
            serving,
            shared,
            mailbox,
            backlog: Backlog::default(),
            open: OpenTickets::new(Arc::clone(&meter)),
            watch: Stopwatch::new(meter),
            submitted: TicketId(0),
            halt,
            halt_by: None,
            is_halting: false,
            is_parting: false,
            leaves_at: None,
            log,
            written: 0,
            written_at: None,
            persisted: 0,
            log_trouble: None,
            writing: FuturesOrdered::new(),
            timer: BatchTimer::stopped(),
            pulling_through: None,
            streams_seen: BTreeMap::new(),
            unreachable: BTreeSet::new(),
            follow_ups: Vec::new(),
            actions: first,
            received: Vec::new(),
            is_news: true,
            ending: None,
        }
    }

    /// Runs the chain to its end; every ticket has an outcome then.
    pub(super) async fn run(mut self) -> Ending {
        self.rest().await;
        if self.chosen.is_overridden {
            self.notices.tick_overridden(self.chosen.tick);
        }
        let mut ticks = interval_at(Instant::now() + self.chosen.tick, self.chosen.tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.carry_out();
        loop {
            self.publish();
            if let Some(ending) = self.ending.take() {
                return self.end(ending).await;
            }
            self.next_event(&mut ticks).await;
            self.submit();
        }
    }

    /// Waits until the node serves, or is told to end before it does.
    async fn rest(&mut self) {
        let mut halt = self.halt.clone();
        tokio::select! {
            _ = self.serving.wait_for(|serving| *serving) => {}
            () = asked_to_halt(&mut halt) => {}
        }
    }

    /// Waits for one thing to happen and tells the core.
    async fn next_event(&mut self, ticks: &mut Interval) {
        let wants_more = self.core.accepts() && self.backlog.is_empty();
        tokio::select! {
            biased; // what frees the core comes before what fills it, and time before what others send
            () = asked_to_halt(&mut self.halt), if !self.is_halting => self.begin_halt(),
            () = tokio::time::sleep_until(self.halt_by.unwrap_or_else(Instant::now)), if self.halt_by.is_some() => self.halt_is_over(),
            progress = self.log.progress() => self.log_progress(progress),
            Some(event) = self.writing.next(), if !self.writing.is_empty() => self.step(event),
            _ = ticks.tick() => self.tick(),
            token = self.timer.fired() => self.step(Event::BatchTimerFired { token }),
            () = self.shared.inbox.ready() => self.receive(),
            Ok(()) = self.submit_streams.changed() => self.streams_changed(),
            answer = self.asking.answer() => self.answered(answer),
            () = self.backlog.fill(&mut self.mailbox), if wants_more => {
                if self.backlog.is_empty() {
                    self.step(Event::Halt);
                }
            }
            () = yield_now(), if self.core.accepts() && !self.backlog.is_empty() => {}
        }
    }

    /// Offers the core some of what was taken from the mailbox, as far as it accepts.
    fn submit(&mut self) {
        let (mut normal, mut config) = (0, 0);
        for _ in 0..SUBMITTED_AT_ONCE_MAX {
            if self.ending.is_some() || !self.core.accepts() {
                break;
            }
            let Some((ticket, submission)) = self.backlog.next(&self.mailbox, &mut self.open) else {
                break;
            };
            match submission.kind {
                SubmissionKind::Normal => normal += 1,
                SubmissionKind::Config => config += 1,
            }
            if let Some(offered) = self.backlog.offered_at() {
                self.watch.submitted(offered);
            }
            self.submitted = ticket;
            self.step(Event::Submitted { ticket, submission });
        }
        if normal + config > 0 {
            self.watch.meter().proposed(normal, config);
        }
    }

    fn tick(&mut self) {
        self.unreachable.clear();
        self.step(Event::Tick);
        if self.shared.is_to_step_aside.swap(false, Ordering::Relaxed) {
            self.step(Event::StepAside);
        }
        self.stop_if_forgotten();
        self.stop_if_other_type();
        self.is_news = true;
        self.suspect_eviction();
    }

    fn receive(&mut self) {
        let mut received = std::mem::take(&mut self.received);
        self.shared.inbox.take(&mut received);
        if self.suspicion.is_evicted() {
            received.clear();
        }
        for (from, message) in received.drain(..) {
            self.step(Event::Received { from, message });
        }
        self.received = received; // keeps its memory
    }

    fn log_progress(&mut self, progress: Progress) {
        if let Some(failure) = progress.failure() {
            let reason = failure.reason.clone();
            self.ending = Some(Ending::Failed(ChainFailure::Log { reason }));
            return;
        }
        self.log_trouble = progress.trouble.map(|trouble| trouble.reason);
        self.is_news = true;
        if progress.persisted > self.persisted {
            self.persisted = progress.persisted;
            self.watch.write_ended(self.persisted);
            self.warn_of_slow_disk();
            let number = self.persisted;
            self.step(Event::Persisted { number });
        }
    }

    /// Elections bear no disk that takes longer than half their timeout (`docs/spec/behaviour.md` §5.3).
    fn warn_of_slow_disk(&mut self) {
        let taken = self.written_at.take().map(|at| at.elapsed());
        if let Some(taken) = taken.filter(|taken| *taken > self.chosen.election_timeout / 2) {
            self.notices.slow_disk(taken);
        }
        if self.persisted < self.written {
            self.written_at = Some(Instant::now());
        }
    }

    fn streams_changed(&mut self) {
        let now = self.submit_streams.borrow_and_update().clone();
        let before = std::mem::replace(&mut self.streams_seen, now.clone());
        for (to, count) in now {
            if before.get(&to).is_none_or(|before| *before < count) {
                self.step(Event::SubmitStreamOpened { to });
            }
        }
    }

    fn answered(&mut self, answer: Answer) {
        if matches!(answer, Answer::CaughtUp(_)) {
            self.pulling_through = None;
        }
        match answer {
            Answer::IsNew => self.step(Event::ChannelIsNew),
            Answer::HasBlocks { is_known } => self.step(Event::ChannelHasBlocks { is_known }),
            Answer::CaughtUp(Ok(())) => match self.core.unseen_from() {
                Some(first) => self.asking.read_pulled(Arc::clone(&self.support), first),
                None => self.caught_up(),
            },
            Answer::Pulled(Ok((blocks, next))) => {
                for block in blocks {
                    self.step(Event::Pulled { block });
                }
                if next.0 < self.support.height().0 {
                    self.asking.read_pulled(Arc::clone(&self.support), next);
                } else {
                    self.caught_up();
                }
            }
            Answer::Pulled(Err(reason)) => self.broken(self.support.height().0, reason),
            Answer::CaughtUp(Err(error)) => self.step(Event::WriteFailed(error)),
            Answer::NewestConfig(config) => self.judge_eviction(config),
            Answer::PulledToEviction(Ok(())) => {
                self.notices.pulled_to_eviction();
                self.ending = Some(Ending::Ended(Ended::NotMember));
            }
            Answer::PulledToEviction(Err(error)) => {
                self.ending = Some(Ending::Failed(ChainFailure::Write(error)));
            }
        }
    }

    fn caught_up(&mut self) {
        match asking::caught_up(&*self.support) {
            Ok(event) => self.step(event),
            Err(NoConfig::OtherType(_)) => self.ending = Some(Ending::Ended(Ended::OtherType)),
            Err(NoConfig::Unusable(reason)) => self.broken(self.support.height().0, reason),
        }
    }

    /// The ledger says something that the chain cannot go on with.
    fn broken(&mut self, number: u64, reason: String) {
        let number = BlockNumber(number);
        self.step(Event::WriteFailed(WriteError { number, reason }));
    }

    /// Tells the core, and carries out what it wants.
    fn step(&mut self, event: Event) {
        let is_config = matches!(event, Event::ConfigApplied { .. });
        if matches!(event, Event::BatchTimerFired { .. }) {
            self.watch.pending(false);
        }
        if let Event::TypeChanged { number } = event {
            self.notices.type_changed(number, &self.support.consensus_type());
            self.leaves_at = Some(Instant::now() + 2 * self.chosen.election_timeout);
        }
        self.step_once(event);
        while let Some(event) = self.follow_ups.pop() {
            self.step_once(event);
        }
        if is_config {
            self.stop_if_replaced();
        }
    }

    fn step_once(&mut self, event: Event) {
        let led = self.core.leads();
        self.core.step(event, &*self.support, &mut self.actions);
        if led && !self.core.leads() {
            self.transport.forget_heartbeats(); // but not the votes that this step wants sent
        }
        self.carry_out();
    }

    /// The config has another certificate for this member: the others take nothing from it any more, until the node
    /// runs with the new one. Who is removed stays until raft has let it go.
    fn stop_if_replaced(&mut self) {
        let config = config_in_force(&*self.support);
        let is_replaced = config.is_ok_and(|config| self.support.own_place(&config.consenters).is_none());
        if self.is_listed() && is_replaced && self.ending.is_none() {
            self.ending = Some(Ending::Ended(Ended::NotMember));
        }
    }

    /// The config in force has removed this member, and nobody has led it for two election timeouts: the others have cut
    /// it off before it could hear that raft has let it go. Not at once: while the leader changes, its vote may be needed.
    fn stop_if_forgotten(&mut self) {
        let is_left_alone = self.suspicion.leaderless_for() >= 2 * self.chosen.election_timeout;
        if is_left_alone && !self.is_listed() && self.ending.is_none() {
            self.ending = Some(Ending::Ended(Ended::NotMember));
        }
    }

    /// The channel is of another type, and this member has stayed long enough for the others to hear so.
    fn stop_if_other_type(&mut self) {
        let is_time = self.leaves_at.is_some_and(|at| at <= Instant::now());
        if is_time && self.ending.is_none() {
            self.ending = Some(Ending::Ended(Ended::OtherType));
        }
    }

    fn is_listed(&self) -> bool {
        self.core.members().ids.contains(&self.core.status().id)
    }

    /// What waits here; the mailbox is not looked at.
    fn load(&self) -> ChainLoad {
        let height = self.support.height();
        let pulled = self
            .pulling_through
            .map_or(0, |through| through.next().0.saturating_sub(height.0));
        let load = self.core.load();
        ChainLoad {
            behind: load.behind.max(pulled),
            ..load
        }
    }

    /// Tells everybody else how things stand, where that has changed.
    fn publish(&mut self) {
        let intake = self.core.intake();
        self.shared.intake.send_if_modified(|now| {
            let is_new = *now != intake;
            if is_new {
                *now = intake;
            }
            is_new
        });
        if !std::mem::take(&mut self.is_news) {
            return;
        }
        let mut status = self.core.status();
        self.suspicion.leader_is_known(status.leader.is_some());
        if status.leader.is_some() {
            self.asking.stop_asking_about_channel();
        }
        // With one or two members the loss of a leader is no more than logged (`docs/spec/behaviour.md` §5.8).
        match status.leader {
            Some(_) => self.shared.life.set_errored(false),
            None if status.members.len() > 2 => self.shared.life.set_errored(true),
            None => {}
        }
        if let Some(text) = self.asking.waits_for() {
            let reason = status.trouble.take().unwrap_or_default();
            status.trouble = Some(format!("{reason}. {text}"));
        }
        if let Some(reason) = &self.log_trouble {
            status.trouble = Some(format!("the disk of the log is full, waiting for room: {reason}"));
        }
        let load = self.load();
        self.shared.see(status, self.core.members(), load);
    }
}
