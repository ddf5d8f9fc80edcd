//! Where a chain is in its life, for everybody who waits on it, and what became of its tasks.

use tokio::sync::watch;
use tokio::task::JoinError;

use crate::chain::{ChainFailure, EnqueueError, Phase};

/// A chain's phase, and whether fresh blocks can be promised.
#[derive(Debug)]
pub(crate) struct Life {
    phase: watch::Sender<Phase>,
    errored: watch::Sender<bool>,
}

impl Life {
    pub(crate) fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::NotStarted),
            errored: watch::Sender::new(true),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// Moves to `next` if that is ahead; tells whether it was. At an end nothing fresh can be promised any more.
    pub(crate) fn enter(&self, next: Phase) -> bool {
        self.phase.send_if_modified(|phase| {
            let ahead = phase.rank() < next.rank();
            if ahead {
                if next.is_over() {
                    self.errored.send_replace(true);
                }
                *phase = next;
            }
            ahead
        })
    }

    /// Says whether fresh blocks can be promised; without effect on a chain that does not run.
    pub(crate) fn set_errored(&self, errored: bool) {
        let phase = self.phase.borrow();
        if matches!(*phase, Phase::Running | Phase::Halting) {
            self.errored
                .send_if_modified(|now| std::mem::replace(now, errored) != errored);
        }
    }

    pub(crate) fn errored(&self) -> watch::Receiver<bool> {
        self.errored.subscribe()
    }

    pub(crate) async fn wait_until(&self, reached: impl FnMut(&Phase) -> bool) -> Phase {
        let mut phase = self.phase.subscribe();
        let found = phase.wait_for(reached).await.map(|phase| phase.clone());
        // Only without a sender would it be an error, and `self` is one.
        found.unwrap_or(Phase::Halted)
    }

    /// Why the mailbox is closed. The driver closes it a moment before the chain's end is known.
    pub(crate) async fn refusal(&self) -> EnqueueError {
        match self.wait_until(|phase| *phase != Phase::Running).await {
            Phase::Failed(failure) => EnqueueError::Failed(failure),
            _ => EnqueueError::Halted,
        }
    }
}

/// What a task's end without a result means.
pub(crate) fn panicked(task: &'static str, error: JoinError) -> ChainFailure {
    let Ok(thrown) = error.try_into_panic() else {
        return panic(task, "cancelled: the runtime is shutting down");
    };
    panic(task, panic_text(&*thrown))
}

/// What a panic said.
pub(crate) fn panic_text(thrown: &(dyn std::any::Any + Send)) -> &str {
    let text = thrown.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| thrown.downcast_ref::<&str>().copied());
    text.unwrap_or("without a message")
}

pub(crate) fn panic(task: &'static str, message: &str) -> ChainFailure {
    let message = message.to_owned();
    ChainFailure::Panic { task, message }
}
