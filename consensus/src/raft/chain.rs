//! `RaftChain`: the [`Chain`] in front of the driver of one raft channel.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use protos::ConsenterId;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::core::{Action, Intake, OpenError, RaftCore, Start};
use super::driver::{Driver, Ending, Parts};
use super::inbox::Inbox;
use super::log_writer::ChannelLog;
use crate::chain::{
    Chain, ChainFailure, ChainStatus, ClusterStatus, Ended, EnqueueError, Phase, ReceiveError, Submission,
};
use crate::consenter::{HandleChainError, Members};
use crate::life::{Life, panic_text, panicked};
use crate::mailbox::{Closed, Mailbox, mailbox};
use crate::meter::ChainLoad;
use crate::support::ConsenterSupport;
use crate::ticket::Tickets;
use crate::transport::ClusterMessage;

/// What was chosen for a chain, by its channel and its node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    /// Length of a tick.
    pub(super) tick: Duration,
    /// The node chose it, not the channel.
    pub(super) is_overridden: bool,
    /// Ticks of an election together.
    pub(super) election_timeout: Duration,
    /// Without a leader for so long, the node asks whether it was removed.
    pub(super) eviction_suspicion: Duration,
    /// How long a submission waits for a leader.
    pub(super) leader_wait: Duration,
}

/// What the driver tells and everybody reads.
pub(super) struct Shared {
    pub(super) life: Life,
    /// Whether there is a leader to order for.
    pub(super) intake: watch::Sender<Intake>,
    /// Submissions dropped since the start.
    pub(super) dropped: AtomicU64,
    pub(super) inbox: Inbox,
    /// The driver is to offer leadership at its next tick.
    pub(super) is_to_step_aside: AtomicBool,
    view: Mutex<View>,
}

/// How the driver saw the cluster last.
#[derive(Debug, Default)]
struct View {
    cluster: Option<ClusterStatus>,
    members: Members,
    load: ChainLoad,
    ended: Option<Ended>,
}

impl Shared {
    /// The cluster as it is now.
    pub(super) fn see(&self, cluster: ClusterStatus, members: Members, load: ChainLoad) {
        self.with_view(|view| {
            view.cluster = Some(cluster);
            view.members = members;
            view.load = load;
        });
    }

    fn with_view<T>(&self, access: impl FnOnce(&mut View) -> T) -> T {
        // It holds nothing that a panic could leave half-made.
        access(&mut self.view.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One channel's chain.
pub(super) struct RaftChain {
    mailbox: Mailbox,
    /// Taken by the start.
    driver: Mutex<Option<Driver>>,
    halt: watch::Sender<bool>,
    shared: Arc<Shared>,
    leader_wait: Duration,
}

impl RaftChain {
    /// A chain that is not started.
    ///
    /// # Errors
    /// What the ledger and the log say cannot be gone on with.
    pub(super) fn new(
        support: Arc<dyn ConsenterSupport>,
        start: Start,
        log: ChannelLog,
        chosen: Chosen,
        serving: watch::Receiver<bool>,
    ) -> Result<Self, HandleChainError> {
        if let Some(checkpoint) = &start.log.checkpoint {
            support.meter().checkpoint(checkpoint.block_number);
        }
        let (core, first) = open_core(start)?;
        let (mailbox, receiver) = mailbox();
        let halt = watch::Sender::new(false);
        let shared = Arc::new(Shared {
            life: Life::new(),
            intake: watch::Sender::new(core.intake()),
            dropped: AtomicU64::new(0),
            inbox: Inbox::default(),
            is_to_step_aside: AtomicBool::new(false),
            view: Mutex::default(),
        });
        shared.see(core.status(), core.members(), core.load());
        let driver = Driver::new(Parts {
            support,
            core,
            first,
            log,
            chosen,
            serving,
            mailbox: receiver,
            halt: halt.subscribe(),
            shared: Arc::clone(&shared),
        });
        Ok(Self {
            mailbox,
            driver: Mutex::new(Some(driver)),
            halt,
            shared,
            leader_wait: chosen.leader_wait,
        })
    }

    fn take_driver(&self) -> Option<Driver> {
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        driver.take()
    }

    /// Waits until there is somebody to order, as long as that may take.
    async fn wait_for_leader(&self, intake: &mut watch::Receiver<Intake>) -> Result<(), EnqueueError> {
        let mut reason = String::new();
        let known = intake.wait_for(|intake| match intake {
            Intake::NoLeader {
                reason: why,
                known_lost,
            } => {
                reason.clone_from(why);
                *known_lost
            }
            _ => true,
        });
        match timeout(self.leader_wait, known).await {
            Ok(Ok(intake)) if !matches!(*intake, Intake::NoLeader { .. }) => return Ok(()),
            _ => {}
        }
        Err(EnqueueError::NoLeader { reason })
    }

    /// Ready when the leader is lost and nobody follows in the time a submission may wait.
    async fn leader_lost(&self, intake: &mut watch::Receiver<Intake>) -> EnqueueError {
        loop {
            let lost = intake.wait_for(|intake| matches!(intake, Intake::NoLeader { .. }));
            if lost.await.is_err() {
                return EnqueueError::Halted;
            }
            if let Err(error) = self.wait_for_leader(intake).await {
                return error;
            }
        }
    }

    async fn offer(&self, submissions: Vec<Submission>) -> Result<Tickets, EnqueueError> {
        if self.shared.life.phase() == Phase::NotStarted {
            return Err(EnqueueError::NotStarted);
        }
        let mut intake = self.shared.intake.subscribe();
        self.wait_for_leader(&mut intake).await?;
        tokio::select! {
            biased;
            offered = self.mailbox.offer(submissions) => match offered {
                Ok(tickets) => Ok(tickets),
                Err(Closed) => Err(self.shared.life.refusal().await),
            },
            error = self.leader_lost(&mut intake) => Err(error),
        }
    }
}

impl Chain for RaftChain {
    fn enqueue_all(&self, submissions: Vec<Submission>) -> BoxFuture<'_, Result<Tickets, EnqueueError>> {
        self.offer(submissions).boxed()
    }

    fn errored(&self) -> watch::Receiver<bool> {
        self.shared.life.errored()
    }

    fn receive(&self, from: ConsenterId, message: ClusterMessage) -> Result<(), ReceiveError> {
        match self.shared.life.phase() {
            Phase::Running | Phase::Halting => self.shared.inbox.put(from, message),
            _ => Err(ReceiveError::Stopped),
        }
    }

    fn members(&self) -> Members {
        self.shared.with_view(|view| view.members.clone())
    }

    fn status(&self) -> ChainStatus {
        ChainStatus {
            phase: self.shared.life.phase(),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
            cluster: self.shared.with_view(|view| view.cluster.clone()),
        }
    }

    fn load(&self) -> ChainLoad {
        ChainLoad {
            mailbox_bytes: self.mailbox.waiting_bytes(),
            ..self.shared.with_view(|view| view.load)
        }
    }

    fn start(&self) {
        if !self.shared.life.enter(Phase::Running) {
            return;
        }
        let Some(driver) = self.take_driver() else {
            return; // a halt came in between, and says so itself
        };
        let driver = tokio::spawn(driver.run());
        tokio::spawn(supervise(Arc::clone(&self.shared), driver));
    }

    fn step_aside(&self) {
        self.shared.is_to_step_aside.store(true, Ordering::Relaxed);
    }

    fn halt(&self) -> BoxFuture<'_, ()> {
        async move {
            self.shared.life.enter(Phase::Halting);
            if self.take_driver().is_some() {
                self.shared.life.enter(Phase::Halted); // it never ran
            }
            self.halt.send_replace(true);
            self.shared.life.wait_until(Phase::is_over).await;
        }
        .boxed()
    }

    fn ended(&self) -> BoxFuture<'static, Result<Ended, ChainFailure>> {
        let shared = Arc::clone(&self.shared);
        async move {
            match shared.life.wait_until(Phase::is_over).await {
                Phase::Failed(failure) => Err(failure),
                _ => Ok(shared
                    .with_view(|view| view.ended.clone())
                    .unwrap_or(Ended::Halted)),
            }
        }
        .boxed()
    }
}

/// Makes the core. A panic in it would be a bug of ours or of raft's, and is no reason to take the process down.
fn open_core(start: Start) -> Result<(RaftCore, Vec<Action>), HandleChainError> {
    let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| RaftCore::open(start)));
    let opened = opened.map_err(|panic| HandleChainError::Unusable {
        reason: format!("the log cannot be gone on with: {}", panic_text(&*panic)),
    })?;
    opened.map_err(|error| match error {
        OpenError::LostLog { reason } => HandleChainError::LostLog { reason },
        OpenError::Unusable { reason } => HandleChainError::Unusable { reason },
    })
}

/// Waits for the driver and says how the chain ended; no panic is lost.
async fn supervise(shared: Arc<Shared>, driver: JoinHandle<Ending>) {
    let phase = match driver.await {
        Ok(Ending::Ended(ended)) => {
            shared.with_view(|view| view.ended = Some(ended));
            Phase::Halted
        }
        Ok(Ending::Failed(failure)) => Phase::Failed(failure),
        Err(error) => Phase::Failed(panicked("driver", error)),
    };
    shared.inbox.close();
    // Whoever waits for a leader learns that the chain is over.
    shared.intake.send_replace(Intake::Paused);
    shared.life.enter(phase);
}
