//! The writer task: makes blocks and hands them to the support, in order, many at a time.
//!
//! A task of its own, so that hashing, signing and syncing of one block overlap with cutting the next ones.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt};
use futures::stream::{FuturesOrdered, StreamExt};
use protos::wire::common::Block;
use protos::{BlockNumber, Envelope};
use tokio::sync::mpsc;

use super::core::{BLOCKS_CUT_MAX, Event};
use crate::consenter::ConsenterMetadata;
use crate::support::{ConsenterSupport, WriteError};

/// A block to make and write.
#[derive(Debug)]
pub(super) enum Job {
    /// Of normal envelopes.
    Block {
        number: BlockNumber,
        batch: Vec<Envelope>,
    },
    /// Of one config envelope.
    ConfigBlock { number: BlockNumber, envelope: Envelope },
}

/// The driver's ends: where jobs go, where their events come from. Neither is ever full: the core cuts no more than
/// [`BLOCKS_CUT_MAX`] blocks ahead of the last event.
pub(super) type Ends = (mpsc::Sender<Job>, mpsc::Receiver<Event>);

/// Makes blocks of jobs, writes them and reports each.
pub(super) struct Writer {
    support: Arc<dyn ConsenterSupport>,
    jobs: mpsc::Receiver<Job>,
    events: mpsc::Sender<Event>,
}

impl Writer {
    /// A writer and the driver's ends.
    pub(super) fn new(support: Arc<dyn ConsenterSupport>) -> (Self, Ends) {
        let (job_sender, jobs) = mpsc::channel(BLOCKS_CUT_MAX);
        let (events, event_receiver) = mpsc::channel(BLOCKS_CUT_MAX);
        let writer = Self {
            support,
            jobs,
            events,
        };
        (writer, (job_sender, event_receiver))
    }

    /// Runs until the driver is gone and every block is reported, or a write failed.
    pub(super) async fn run(mut self) {
        let mut writing = FuturesOrdered::new();
        let mut more = true;
        while more || !writing.is_empty() {
            tokio::select! {
                biased; // hand over all there is before waiting: one sync then covers it
                job = self.jobs.recv(), if more => match job {
                    Some(job) => writing.push_back(self.hand_over(job)),
                    None => more = false,
                },
                Some(event) = writing.next(), if !writing.is_empty() => {
                    let failed = matches!(event, Event::WriteFailed(_));
                    // Without a driver nobody needs the event, but the blocks are still awaited.
                    let _ = self.events.send(event).await;
                    if failed {
                        return;
                    }
                }
            }
        }
    }

    /// Gives the block to the support now; the future reports it.
    fn hand_over(&self, job: Job) -> BoxFuture<'static, Event> {
        match job {
            Job::Block { number, batch } => {
                let block = self.make(number, batch);
                let written = self.support.write_block(block, ConsenterMetadata::default());
                written
                    .map(move |result| report(result, || Event::Written { number }))
                    .boxed()
            }
            Job::ConfigBlock { number, envelope } => {
                let block = self.make(number, vec![envelope]);
                let written = self
                    .support
                    .write_config_block(block, ConsenterMetadata::default());
                let support = Arc::clone(&self.support);
                written
                    .map(move |result| {
                        report(result, || Event::ConfigApplied {
                            number,
                            config_seq: support.config_seq(),
                            batch: support.batch_config(),
                        })
                    })
                    .boxed()
            }
        }
    }

    fn make(&self, number: BlockNumber, batch: Vec<Envelope>) -> Block {
        let block = self.support.create_next_block(batch);
        let made = block.header.as_ref().map(|header| header.number);
        assert_eq!(made, Some(number.0), "core and support number blocks differently");
        block
    }
}

fn report(result: Result<(), WriteError>, written: impl FnOnce() -> Event) -> Event {
    match result {
        Ok(()) => written(),
        Err(error) => Event::WriteFailed(error),
    }
}
