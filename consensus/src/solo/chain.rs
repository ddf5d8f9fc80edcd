//! `SoloChain`: the [`Chain`] in front of driver and writer; [`SoloConsenter`] makes it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use configtx::Bundle;
use configtx::orderer_config::ConsensusType;
use futures::future::{BoxFuture, FutureExt};
use protos::ConsenterId;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::SOLO;
use super::driver::{Driver, Ending};
use super::writer::Writer;
use crate::chain::{Chain, ChainFailure, ChainStatus, Ended, EnqueueError, Phase, ReceiveError, Submission};
use crate::consenter::{
    ConfigChange, Consenter, ConsenterMetadata, HandleChainError, MetadataError, MetadataValidator,
};
use crate::life::{Life, panic, panicked};
use crate::mailbox::{Closed, Mailbox, MailboxReceiver, mailbox};
use crate::meter::ChainLoad;
use crate::support::ConsenterSupport;
use crate::ticket::Tickets;
use crate::transport::ClusterMessage;

/// Runs channels whose consensus type is `solo`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoloConsenter;

impl Consenter for SoloConsenter {
    fn handle_chain(
        &self,
        support: Arc<dyn ConsenterSupport>,
        ConsenterMetadata(metadata): ConsenterMetadata,
    ) -> Result<Arc<dyn Chain>, HandleChainError> {
        if metadata.is_empty() {
            return Ok(Arc::new(SoloChain::new(support)));
        }
        let bytes = metadata.len();
        Err(HandleChainError::ForeignMetadata {
            consenter: SOLO,
            bytes,
        })
    }
}

impl MetadataValidator for SoloConsenter {
    fn validate(&self, change: &ConfigChange<'_>) -> Result<(), MetadataError> {
        let kind = |bundle: &Bundle| bundle.orderer().consensus_type.clone();
        validate(change.old.map(kind).as_ref(), &kind(change.new))
    }
}

/// Solo has no settings and no way to another type (`docs/spec/rules.md` §8.3).
pub(super) fn validate(old: Option<&ConsensusType>, new: &ConsensusType) -> Result<(), MetadataError> {
    if let Some(old) = old.filter(|old| old.kind != new.kind) {
        return Err(MetadataError::TypeChange {
            old: old.kind.clone(),
            new: new.kind.clone(),
        });
    }
    if new.metadata.is_empty() {
        return Ok(());
    }
    Err(MetadataError::NotEmpty {
        kind: new.kind.clone(),
        bytes: new.metadata.len(),
    })
}

/// One channel's chain.
struct SoloChain {
    support: Arc<dyn ConsenterSupport>,
    mailbox: Mailbox,
    /// Taken by the start.
    receiver: Mutex<Option<MailboxReceiver>>,
    halt: watch::Sender<bool>,
    life: Arc<Life>,
    /// Counted up by the driver.
    dropped: Arc<AtomicU64>,
}

impl SoloChain {
    fn new(support: Arc<dyn ConsenterSupport>) -> Self {
        let (mailbox, receiver) = mailbox();
        Self {
            support,
            mailbox,
            receiver: Mutex::new(Some(receiver)),
            halt: watch::Sender::new(false),
            life: Arc::new(Life::new()),
            dropped: Arc::default(),
        }
    }

    fn take_receiver(&self) -> Option<MailboxReceiver> {
        self.receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Chain for SoloChain {
    fn enqueue_all(&self, submissions: Vec<Submission>) -> BoxFuture<'_, Result<Tickets, EnqueueError>> {
        async move {
            if self.life.phase() == Phase::NotStarted {
                return Err(EnqueueError::NotStarted);
            }
            match self.mailbox.offer(submissions).await {
                Ok(tickets) => Ok(tickets),
                Err(Closed) => Err(self.life.refusal().await),
            }
        }
        .boxed()
    }

    fn errored(&self) -> watch::Receiver<bool> {
        self.life.errored()
    }

    fn receive(&self, _from: ConsenterId, _message: ClusterMessage) -> Result<(), ReceiveError> {
        Err(ReceiveError::NoCluster { consenter: SOLO })
    }

    fn status(&self) -> ChainStatus {
        ChainStatus {
            phase: self.life.phase(),
            dropped: self.dropped.load(Ordering::Relaxed),
            cluster: None,
        }
    }

    fn load(&self) -> ChainLoad {
        ChainLoad {
            mailbox_bytes: self.mailbox.waiting_bytes(),
            ..ChainLoad::default()
        }
    }

    fn start(&self) {
        if !self.life.enter(Phase::Running) {
            return;
        }
        self.life.set_errored(false);
        let Some(receiver) = self.take_receiver() else {
            return; // a halt came in between, and says so itself
        };
        let (writer, ends) = Writer::new(Arc::clone(&self.support));
        let halt = self.halt.subscribe();
        let dropped = Arc::clone(&self.dropped);
        let driver = Driver::new(Arc::clone(&self.support), receiver, halt, ends, dropped);
        let writer = tokio::spawn(writer.run());
        let driver = tokio::spawn(driver.run());
        tokio::spawn(supervise(Arc::clone(&self.life), driver, writer));
    }

    fn halt(&self) -> BoxFuture<'_, ()> {
        async move {
            self.life.enter(Phase::Halting);
            if self.take_receiver().is_some() {
                self.life.enter(Phase::Halted); // it never ran
            }
            self.halt.send_replace(true);
            self.life.wait_until(Phase::is_over).await;
        }
        .boxed()
    }

    fn ended(&self) -> BoxFuture<'static, Result<Ended, ChainFailure>> {
        let life = Arc::clone(&self.life);
        async move {
            match life.wait_until(Phase::is_over).await {
                Phase::Failed(failure) => Err(failure),
                _ => Ok(Ended::Halted),
            }
        }
        .boxed()
    }
}

/// Waits for both tasks and says how the chain ended; no panic is lost.
async fn supervise(life: Arc<Life>, driver: JoinHandle<Ending>, writer: JoinHandle<()>) {
    let ending = match driver.await {
        Ok(Ending::Halted) => Phase::Halted,
        Ok(Ending::Failed(error)) => Phase::Failed(error.into()),
        Ok(Ending::WriterGone) => Phase::Failed(match writer.await {
            Ok(()) => panic("writer", "it ended before its driver"),
            Err(error) => panicked("writer", error),
        }),
        Err(error) => Phase::Failed(panicked("driver", error)),
    };
    life.enter(ending);
}
