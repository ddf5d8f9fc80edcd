//! One Broadcast stream: read, order, answer, all three at the same time.
//!
//! | module | holds |
//! |---|---|
//! | `reading` | the first stage: batches of what the client sends, put onto the pool to be checked |
//! | `ordering` | the second: what passed the checks goes to its chains |
//! | `answering` | the third: a response for each envelope, until one is refused |

mod answering;
mod ordering;
mod reading;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use consensus::Tickets;
use hyper::body::Body;
use protos::ChannelId;
use protos::wire::common::Status as WireStatus;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tonic::Status;

use super::refusals::Refusals;
use super::{Intake, Refusal};
use crate::codec::{MessageStream, ReplySink};
use crate::config::Acknowledge;
use crate::metrics::{Counter, MessageType, Metrics};
use crate::telemetry::Telemetry;
use crate::telemetry::journey::Journey;
use crate::throttle::{Client, Throttle};
use crate::trace::Trace;
use crate::verify_pool::{Pending, VerifyPool};
use reading::Judged;

/// Replies queued for a client that reads slowly; each may stand for a whole batch.
pub(super) const REPLIES_MAX: usize = 16;
/// Batches that are being checked.
const BATCHES_MAX: usize = 8;

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

impl Stream {
    /// Serves the stream to its end.
    pub(super) async fn run<B>(self, messages: MessageStream<B>, sink: ReplySink)
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let (read_sender, read) = mpsc::channel(BATCHES_MAX);
        // Bounded by the room that the reading stage has. A bound of its own would let a client that reads no answers
        // keep what it sent from being ordered, and with it the memory.
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
}

fn to_count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
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
