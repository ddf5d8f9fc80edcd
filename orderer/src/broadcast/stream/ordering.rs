//! The second stage of a stream: what passed the checks goes to its chains.

use std::sync::Arc;
use std::time::Duration;

use consensus::{Chain, EnqueueError, Submission, Tickets};
use protos::ChannelId;
use protos::wire::common::Status as WireStatus;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use super::reading::Judged;
use super::{Answer, Read, Stream, to_count, unavailable};
use crate::broadcast::{Accepted, LOGGER, Refusal};
use crate::metrics::MessageType;
use crate::metrics::channel::Answers;
use crate::telemetry::journey::Journey;

/// Why envelopes that passed their checks are not with their chain. The text is what the client reads.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error(transparent)]
    Chain(EnqueueError),
    #[error("intake is paused: the disk of this node is full")]
    DiskFull,
}

impl NotTaken {
    /// Why, in a word for metrics.
    fn reason(&self) -> &'static str {
        match self {
            Self::Chain(EnqueueError::NotStarted) => "not_started",
            Self::Chain(EnqueueError::Halted) => "halted",
            Self::Chain(EnqueueError::Failed(_)) => "chain_failed",
            Self::Chain(EnqueueError::NoLeader { .. }) => "no_leader",
            Self::DiskFull => "disk_full",
        }
    }
}

/// A run of verdicts that is handed on as one.
enum Run {
    Accepted {
        channel: ChannelId,
        chain: Arc<dyn Chain>,
        kind: MessageType,
        submissions: Vec<Submission>,
        /// Of the only submission.
        journey: Option<Journey>,
    },
    Refused(Refusal, Option<Journey>),
}

impl Stream {
    /// Hands on what became of each batch; the last answer says how the stream ends.
    pub(super) async fn order(&self, mut read: mpsc::Receiver<Read>, next: mpsc::UnboundedSender<Answer>) {
        while let Some(read) = read.recv().await {
            let last = match read {
                Read::Batch { judged, room } => match judged.result().await {
                    Ok(judged) => self.hand_over(judged, &room, &next).await,
                    Err(error) => {
                        tracing::error!(target: LOGGER, "stream of {} ends: {error}", self.client);
                        Some(Answer::End(Status::internal(error.to_string())))
                    }
                },
                Read::End(status) => Some(Answer::End(status)),
            };
            if let Some(last) = last {
                // Fails when the client has gone.
                let _ = next.send(last);
                return;
            }
        }
    }

    /// Hands a batch to its chains; the answer that ends the stream, if there is one.
    async fn hand_over(
        &self,
        judged: Judged,
        room: &Arc<OwnedSemaphorePermit>,
        next: &mpsc::UnboundedSender<Answer>,
    ) -> Option<Answer> {
        let Judged {
            verdicts,
            took,
            at,
            journeys,
        } = judged;
        for run in runs(verdicts, journeys) {
            let (channel, chain, kind, submissions, mut journey) = match run {
                Run::Accepted {
                    channel,
                    chain,
                    kind,
                    submissions,
                    journey,
                } => (channel, chain, kind, submissions, journey),
                Run::Refused(refusal, journey) => {
                    self.count_checks_refused(&refusal, took);
                    self.tell_refused(journey, &refusal);
                    return Some(Answer::Refused(refusal));
                }
            };
            let count = submissions.len();
            let counted = self.count_checks(&channel, kind, count, took);
            let tickets = match self.enqueue(&*chain, submissions).await {
                Ok(tickets) => tickets,
                Err(error) => {
                    self.count_not_taken(&channel, &*chain, count);
                    let refusal = unavailable(&channel, kind, error.reason(), &error);
                    self.tell_refused(journey, &refusal);
                    return Some(Answer::Refused(refusal));
                }
            };
            counted.enqueue.observe_since(at, to_count(count));
            if let Some(journey) = &mut journey {
                journey.handed_over();
            }
            let taken = Answer::Taken {
                channel,
                kind,
                count,
                tickets,
                processed: counted.processed,
                room: Arc::clone(room),
                journey,
            };
            if next.send(taken).is_err() {
                return Some(Answer::End(Status::cancelled("client has gone")));
            }
        }
        None
    }

    /// A followed envelope was refused.
    fn tell_refused(&self, journey: Option<Journey>, refusal: &Refusal) {
        if let Some((telemetry, journey)) = self.telemetry.as_ref().zip(journey) {
            telemetry.refused(&journey, &refusal.channel, &refusal.info);
        }
    }

    /// Counts the checks of envelopes that passed them. One look-up without a lock for a whole run.
    fn count_checks(&self, channel: &ChannelId, kind: MessageType, count: usize, took: Duration) -> Answers {
        let (seconds, count) = (took.as_secs_f64(), to_count(count));
        let counted = match self.metrics.channel(channel.as_str()) {
            Some(channel) => {
                channel.validated().observe_many(seconds, count);
                channel.taken(kind).clone()
            }
            // It was removed a moment ago.
            None => self.metrics.answered(channel.as_str(), kind, WireStatus::Success),
        };
        counted.validate.observe_many(seconds, count);
        counted
    }

    fn count_checks_refused(&self, refusal: &Refusal, took: Duration) {
        let counted = self
            .metrics
            .answered(&refusal.channel, refusal.kind, refusal.status);
        counted.validate.observe_time(took);
        if let Some(channel) = self.metrics.channel(&refusal.channel) {
            channel.validated().observe_time(took);
        }
    }

    fn count_not_taken(&self, channel: &ChannelId, chain: &dyn Chain, count: usize) {
        let is_raft = chain.status().cluster.is_some();
        if let Some(channel) = self.metrics.channel(channel.as_str()).filter(|_| is_raft) {
            channel.raft().proposal_failures.add(to_count(count));
        }
    }

    /// Hands envelopes to their chain; waits while it is full, or the disk, but not for long.
    async fn enqueue(&self, chain: &dyn Chain, submissions: Vec<Submission>) -> Result<Tickets, NotTaken> {
        let taken = async {
            self.intake.ready().await;
            chain.enqueue_all(submissions).await
        };
        tokio::select! {
            biased;
            taken = taken => taken.map_err(NotTaken::Chain),
            () = self.intake.paused() => Err(NotTaken::DiskFull),
        }
    }
}

/// Joins verdicts that follow each other, go to the same chain and are of the same type. A refusal is the last run.
fn runs(verdicts: Vec<Result<Accepted, Refusal>>, journeys: Vec<(usize, Journey)>) -> Vec<Run> {
    let mut runs = Vec::with_capacity(1);
    let count = verdicts.len();
    let mut journeys = journeys.into_iter().peekable();
    for (place, verdict) in verdicts.into_iter().enumerate() {
        let followed = journeys.next_if(|(of, _)| *of == place);
        let journey = followed.map(|(_, journey)| journey);
        let Accepted {
            channel,
            chain,
            kind,
            submission,
        } = match verdict {
            Ok(accepted) => accepted,
            Err(refusal) => {
                runs.push(Run::Refused(refusal, journey));
                break;
            }
        };
        match runs.last_mut() {
            Some(Run::Accepted {
                chain: last,
                kind: last_kind,
                submissions,
                journey: None,
                ..
            }) if Arc::ptr_eq(last, &chain) && *last_kind == kind && journey.is_none() => {
                submissions.push(submission);
            }
            _ => {
                let mut submissions = Vec::with_capacity(count);
                submissions.push(submission);
                runs.push(Run::Accepted {
                    channel,
                    chain,
                    kind,
                    submissions,
                    journey,
                });
            }
        }
    }
    runs
}
