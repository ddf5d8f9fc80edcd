//! One Broadcast stream: read, order, answer, all three at the same time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use consensus::{Chain, EnqueueError, Submission, TicketError, Tickets};
use futures::{FutureExt as _, StreamExt as _};
use hyper::body::Body;
use protos::ChannelId;
use protos::wire::common::Status as WireStatus;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tonic::Status;

use super::followed::Followed;
use super::refusals::Refusals;
use super::{Accepted, Intake, LOGGER, Refusal, reply};
use crate::codec::budget::LARGE_BYTES_MIN;
use crate::codec::{ClientGone, MessageStream, ReplySink};
use crate::config::Acknowledge;
use crate::metrics::channel::Answers;
use crate::metrics::{Counter, MessageType, Metrics};
use crate::shutdown;
use crate::telemetry::Telemetry;
use crate::telemetry::journey::Journey;
use crate::throttle::{self, Client, Throttle};
use crate::trace::Trace;
use crate::verify_pool::{Pending, VerifyPool};

/// Replies queued for a client that reads slowly; each may stand for a whole batch.
pub(super) const REPLIES_MAX: usize = 16;
/// Messages checked together: enough for batch verification, few enough to spread over the pool.
const BATCH_COUNT_MAX: usize = reply::SUCCESSES_MAX;
/// A batch is closed by this many bytes.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Batches that are being checked.
const BATCHES_MAX: usize = 8;
/// Room a stream has for messages that are not answered yet, in units of [`ROOM_UNIT_BYTES`]. It also bounds the
/// answers that wait for a client which does not read them.
const ROOM: usize = 16 * 1024;
/// A message takes one unit, and one more for each full unit of its length.
const ROOM_UNIT_BYTES: usize = 1024;
/// The most that one batch takes. A large message takes no more: the budget of the process bounds those.
const BATCH_ROOM: u32 = 128 + (1 << 10) + (256 << 10 >> 10);
const _: () =
    assert!(BATCH_ROOM as usize == BATCH_COUNT_MAX + (BATCH_BYTES_MAX + LARGE_BYTES_MIN) / ROOM_UNIT_BYTES);

/// What one stream works with.
pub(super) struct Stream {
    pub(super) intake: Arc<dyn Intake>,
    pub(super) pool: VerifyPool,
    pub(super) level: Acknowledge,
    pub(super) client: SocketAddr,
    /// None: the client is not held back.
    pub(super) paced: Option<Paced>,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) refusals: Arc<Refusals>,
    pub(super) trace: Option<Trace>,
    pub(super) telemetry: Option<Telemetry>,
    pub(super) metrics: Arc<Metrics>,
}

/// What came of the checks of a batch.
struct Judged {
    verdicts: Vec<Result<Accepted, Refusal>>,
    /// How long they took.
    took: Duration,
    /// When they were done.
    at: Instant,
    /// Those that are followed, with their places in the batch.
    journeys: Vec<(usize, Journey)>,
}

/// A client that is held back to its share.
pub(super) struct Paced {
    pub(super) throttle: Throttle,
    pub(super) client: Client,
}

/// What the reading stage hands on.
enum Read {
    Batch {
        judged: Pending<Judged>,
        room: Arc<OwnedSemaphorePermit>,
    },
    End(Status),
}

/// What the ordering stage hands on.
enum Answer {
    /// So many envelopes of one channel are in its chain's intake.
    Taken {
        channel: ChannelId,
        kind: MessageType,
        count: usize,
        tickets: Tickets,
        /// Counts those that are told SUCCESS.
        processed: Counter,
        room: Arc<OwnedSemaphorePermit>,
        /// Of the one envelope, if it is followed.
        journey: Option<Journey>,
    },
    /// The stream ends with this response.
    Refused(Refusal),
    /// The stream ends with this status.
    End(Status),
}

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

/// The same for envelopes that were taken and lost.
fn loss_reason(error: &TicketError) -> &'static str {
    match error {
        TicketError::Dropped { .. } => "dropped",
        TicketError::Halted => "halted",
        TicketError::Unknown { .. } => "outcome_unknown",
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
    /// Serves the stream to its end.
    pub(super) async fn run<B>(self, messages: MessageStream<B>, sink: ReplySink)
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let (read_sender, read) = mpsc::channel(BATCHES_MAX);
        // Bounded by `ROOM`. A bound of its own would let a client that reads no answers keep what it sent from being
        // ordered, and with it the memory.
        let (answer_sender, answers) = mpsc::unbounded_channel();
        let work = async {
            tokio::join!(self.read(messages, read_sender), self.order(read, answer_sender));
        };
        let answer = self.answer(answers, &sink);
        tokio::pin!(answer);
        // The answering stage decides when the stream is over: after a refusal the others are dropped as they stand.
        let ended = tokio::select! {
            biased;
            ended = &mut answer => ended,
            () = work => answer.await,
        };
        if let Ok(status) = ended {
            sink.end(status).await;
        }
    }

    async fn read<B>(&self, mut messages: MessageStream<B>, next: mpsc::Sender<Read>)
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let room = Arc::new(Semaphore::new(ROOM));
        let mut stopping = self.stopping.clone();
        loop {
            // Taken before anything is read: who waits for it must not hold messages meanwhile.
            let Ok(room) = Arc::clone(&room).acquire_many_owned(BATCH_ROOM).await else {
                return; // it is never closed
            };
            let count_max = self.batch_count_max();
            let mut batch = Vec::with_capacity(count_max);
            let read = tokio::select! {
                biased;
                read = messages.next_batch(&mut batch, count_max, BATCH_BYTES_MAX) => read,
                () = shutdown::begun(&mut stopping) => Err(Status::unavailable("the node is stopping")),
            };
            let half_closed = batch.is_empty() && read.is_ok();
            self.pace(batch.len(), &mut stopping).await;
            if !batch.is_empty() && !self.check(batch, room, &next).await {
                return;
            }
            let end = match read {
                Ok(()) if half_closed => Status::ok(""),
                Ok(()) => continue,
                Err(status) => status,
            };
            // Fails when the stream is over already.
            let _ = next.send(Read::End(end)).await;
            return;
        }
    }

    fn batch_count_max(&self) -> usize {
        match self.paced {
            Some(_) => throttle::BATCH_COUNT_MAX,
            None => BATCH_COUNT_MAX,
        }
    }

    /// Waits until the client may have so many envelopes judged; no longer once the node stops.
    async fn pace(&self, count: usize, stopping: &mut watch::Receiver<bool>) {
        if let Some(Paced { throttle, client }) = &self.paced
            && count > 0
        {
            tokio::select! {
                () = throttle.pace(client, count) => {}
                () = shutdown::begun(stopping) => {}
            }
        }
    }

    /// Puts a batch onto the pool; false when the stream is over.
    async fn check(
        &self,
        batch: Vec<Bytes>,
        mut room: OwnedSemaphorePermit,
        next: &mpsc::Sender<Read>,
    ) -> bool {
        if let Some(trace) = &self.trace {
            for envelope in &batch {
                trace.keep(envelope);
            }
        }
        drop(room.split(room.num_permits().saturating_sub(room_for(&batch))));
        let intake = Arc::clone(&self.intake);
        let journeys = self.sample(batch.len());
        let judged = self.pool.submit(move || judge(&*intake, batch, journeys)).await;
        let room = Arc::new(room);
        next.send(Read::Batch { judged, room }).await.is_ok()
    }

    /// Those of a batch that are followed.
    fn sample(&self, count: usize) -> Vec<(usize, Journey)> {
        let Some(telemetry) = &self.telemetry else {
            return Vec::new();
        };
        let journeys = (0..count).filter_map(|place| Some((place, telemetry.sample()?)));
        journeys.collect()
    }

    /// A followed envelope was refused.
    fn tell_refused(&self, journey: Option<Journey>, refusal: &Refusal) {
        if let Some((telemetry, journey)) = self.telemetry.as_ref().zip(journey) {
            telemetry.refused(&journey, &refusal.channel, &refusal.info);
        }
    }

    async fn order(&self, mut read: mpsc::Receiver<Read>, next: mpsc::UnboundedSender<Answer>) {
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

    async fn answer(
        &self,
        mut answers: mpsc::UnboundedReceiver<Answer>,
        sink: &ReplySink,
    ) -> Result<Status, ClientGone> {
        while let Some(answer) = answers.recv().await {
            let refusal = match answer {
                Answer::Taken {
                    channel,
                    kind,
                    count,
                    tickets,
                    processed,
                    room,
                    journey,
                } => {
                    let sink = Counting { sink, processed };
                    let lost = match self.followed(journey, &channel) {
                        None => self.acknowledge(count, tickets, &sink).await?,
                        Some(followed) => self.acknowledge_followed(followed, tickets, &sink).await?,
                    };
                    drop(room);
                    lost.map(|error| unavailable(&channel, kind, loss_reason(&error), &error))
                }
                Answer::Refused(refusal) => Some(refusal),
                Answer::End(status) => return Ok(status),
            };
            if let Some(refusal) = refusal {
                self.log(&refusal);
                sink.send_messages(reply::refused(&refusal), 1).await?;
                return Ok(Status::ok(""));
            }
        }
        Err(ClientGone)
    }

    async fn acknowledge(
        &self,
        count: usize,
        tickets: Tickets,
        sink: &Counting<'_>,
    ) -> Result<Option<TicketError>, ClientGone> {
        match self.level {
            Acknowledge::Accepted => sink.successes(count).await.map(|()| None),
            Acknowledge::Committed => acknowledge_committed(tickets, sink).await,
        }
    }

    fn followed(&self, journey: Option<Journey>, channel: &ChannelId) -> Option<Followed> {
        let (telemetry, journey) = self.telemetry.clone().zip(journey)?;
        let channel = channel.clone();
        Some(Followed {
            telemetry,
            journey,
            channel,
        })
    }

    /// The same for one envelope that is followed.
    async fn acknowledge_followed(
        &self,
        followed: Followed,
        tickets: Tickets,
        sink: &Counting<'_>,
    ) -> Result<Option<TicketError>, ClientGone> {
        if self.level == Acknowledge::Accepted {
            sink.successes(1).await?;
            followed.go_on(tickets);
            return Ok(None);
        }
        let lost = followed.end(tickets).await;
        if lost.is_none() {
            sink.successes(1).await?;
        }
        Ok(lost)
    }

    fn log(&self, refusal: &Refusal) {
        self.refusals.tell(refusal, self.client);
        let Refusal {
            channel,
            kind,
            status,
            ..
        } = refusal;
        self.metrics.answered(channel, *kind, *status).processed.inc();
        self.metrics.refused(channel, refusal.reason);
    }
}

/// Says SUCCESS for each ticket once it is durable, several at a time where they are; the first that failed ends
/// it.
async fn acknowledge_committed(
    mut tickets: Tickets,
    sink: &Counting<'_>,
) -> Result<Option<TicketError>, ClientGone> {
    while let Some(first) = tickets.next().await {
        let mut outcome = Some(first);
        let mut successes = 0;
        while let Some(Ok(_)) = outcome {
            successes += 1;
            outcome = tickets.next().now_or_never().flatten();
        }
        if successes > 0 {
            sink.successes(successes).await?;
        }
        if let Some(Err(error)) = outcome {
            return Ok(Some(error));
        }
    }
    Ok(None)
}

/// A sink that counts what is told SUCCESS.
struct Counting<'a> {
    sink: &'a ReplySink,
    processed: Counter,
}

impl Counting<'_> {
    async fn successes(&self, count: usize) -> Result<(), ClientGone> {
        self.processed.add(to_count(count));
        self.sink.send_messages(reply::successes(count), count).await
    }
}

/// Judges a batch, on the pool.
fn judge(intake: &dyn Intake, batch: Vec<Bytes>, mut journeys: Vec<(usize, Journey)>) -> Judged {
    let began = Instant::now();
    let verdicts = intake.check(batch, SystemTime::now());
    let at = Instant::now();
    for (_, journey) in &mut journeys {
        journey.validated();
    }
    Judged {
        verdicts,
        took: at - began,
        at,
        journeys,
    }
}

fn to_count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn room_for(batch: &[Bytes]) -> usize {
    batch
        .iter()
        .map(|message| 1 + message.len() / ROOM_UNIT_BYTES)
        .sum()
}

/// The refusal of an envelope that passed its checks, and was not taken or was lost.
fn unavailable(
    channel: &ChannelId,
    kind: MessageType,
    reason: &'static str,
    error: &dyn std::fmt::Display,
) -> Refusal {
    Refusal {
        status: WireStatus::ServiceUnavailable,
        info: error.to_string(),
        channel: channel.to_string(),
        kind,
        reason,
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
