//! Submitting envelopes: one stream, many in flight, answers in order (`docs/spec/behaviour.md` §1).
//!
//! ```text
//! BroadcastSender ──envelopes──> orderer ──one answer each, in order──> BroadcastAnswers
//!        └──────────── waits while `in_flight_max` are unanswered ─────────────┘
//! ```
//!
//! After the first answer that is not SUCCESS the server ends the stream, and what was sent after it was never
//! read. Nothing is sent again here: which envelopes are unanswered is told, and whether a second copy would
//! be harmful only the caller knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use prost::Message as _;
use protos::wire::common;
use protos::wire::orderer::BroadcastResponse;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status, Streaming};

use crate::connection::{Connection, describe};

const PATH: &str = "/orderer.AtomicBroadcast/Broadcast";
/// Request metadata that chooses the acknowledgement level of a stream.
const ACKNOWLEDGE: &str = "x-acknowledge";
/// An answer of SUCCESS without text: field 1 = 200. Nearly all answers are these bytes.
const PLAIN_SUCCESS: [u8; 3] = [0x08, 0xc8, 0x01];

/// How the text of a refusal begins after which an envelope may still turn up in a block.
const OUTCOME_UNKNOWN: &str = "outcome unknown";

/// What SUCCESS shall mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// The envelope is in the ordering service's hands.
    Accepted,
    /// It stands in a block that is durable on the answering node. Servers other than ours do not know this
    /// level and answer as for [`Accepted`](Self::Accepted).
    Committed,
}

impl Acknowledge {
    /// As the request metadata states it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Committed => "committed",
        }
    }
}

/// How to submit.
#[derive(Clone, Copy, Debug)]
pub struct BroadcastOptions {
    /// None: as the server is configured.
    pub acknowledge: Option<Acknowledge>,
    /// How many envelopes may be unanswered at a time, at least 1.
    pub in_flight_max: usize,
}

impl Default for BroadcastOptions {
    fn default() -> Self {
        Self {
            acknowledge: None,
            in_flight_max: 128,
        }
    }
}

/// Why a stream ended before everything was acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum BroadcastError {
    /// The server said no to one envelope. Those after it were not read.
    #[error("envelope {index} was refused: {} {info}", status_name(*status))]
    Refused {
        /// Which envelope of this stream, from 0. All before it were acknowledged.
        index: u64,
        /// `common.Status`.
        status: i32,
        /// The server's reason.
        info: String,
    },
    /// The connection broke. Whether unanswered envelopes were ordered is not known.
    #[error(
        "the stream broke with {unanswered} envelopes unanswered: {}",
        describe(source)
    )]
    Broken {
        /// How many were acknowledged on this stream.
        acknowledged: u64,
        /// How many were sent and not answered.
        unanswered: u64,
        /// What gRPC said.
        source: Box<Status>,
    },
    /// The server ended the stream in order although envelopes were unanswered.
    #[error("the server ended the stream with {unanswered} envelopes unanswered")]
    Ended {
        /// How many were acknowledged on this stream.
        acknowledged: u64,
        /// How many were sent and not answered.
        unanswered: u64,
    },
    /// More answers than envelopes.
    #[error("the server answered {index} envelopes and then once more, for nothing")]
    Unasked {
        /// How many were sent, and answered before.
        index: u64,
    },
    /// An answer that is no `orderer.BroadcastResponse`.
    #[error("answer {index} does not decode: {source}")]
    Malformed {
        /// Which answer, from 0.
        index: u64,
        /// Where decoding failed.
        source: prost::DecodeError,
    },
}

impl BroadcastError {
    /// Whether the envelope that was refused may be in a block all the same: our servers begin their text so when
    /// they cannot tell.
    pub fn is_outcome_unknown(&self) -> bool {
        match self {
            Self::Refused { info, .. } => info.starts_with(OUTCOME_UNKNOWN),
            _ => true,
        }
    }

    /// Whether another orderer, or the same one later, may take what this one did not.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status == common::Status::ServiceUnavailable as i32,
            Self::Broken { .. } | Self::Ended { .. } => true,
            Self::Unasked { .. } | Self::Malformed { .. } => false,
        }
    }
}

/// Name of a `common.Status`, or its number.
pub fn status_name(status: i32) -> String {
    common::Status::try_from(status).map_or_else(
        |_| format!("status {status}"),
        |known| known.as_str_name().to_owned(),
    )
}

/// The stream has ended; [`BroadcastAnswers::next`] tells why.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the broadcast stream has ended")]
pub struct StreamEnded;

/// The sending half. Dropping it ends the request stream; answers still come.
#[derive(Debug)]
pub struct BroadcastSender {
    messages: mpsc::Sender<Bytes>,
    window: Arc<Semaphore>,
    sent: Arc<AtomicU64>,
}

/// The receiving half. It must be read for the sender to get on.
#[derive(Debug)]
pub struct BroadcastAnswers {
    stream: Answers,
    window: Arc<Semaphore>,
    sent: Arc<AtomicU64>,
    answered: u64,
}

/// A server may send its headers only with its first answer, so sending must go on while they are awaited.
#[derive(Debug)]
enum Answers {
    Opening(JoinHandle<Result<Streaming<Bytes>, Status>>),
    Open(Box<Streaming<Bytes>>),
    Ended,
}

/// Opens a stream. Failures to open it show at the first [`BroadcastAnswers::next`].
///
/// Needs a tokio runtime, on which the stream is driven.
pub fn open(connection: &Connection, options: BroadcastOptions) -> (BroadcastSender, BroadcastAnswers) {
    let in_flight_max = options.in_flight_max.clamp(1, Semaphore::MAX_PERMITS);
    let (messages, queue) = mpsc::channel(in_flight_max);
    let mut request = Request::new(ReceiverStream::new(queue));
    if let Some(level) = options.acknowledge {
        let value = MetadataValue::from_static(level.as_str());
        request.metadata_mut().insert(ACKNOWLEDGE, value);
    }
    let connection = connection.clone();
    let opening = tokio::spawn(async move { connection.stream(PATH, request).await });
    let window = Arc::new(Semaphore::new(in_flight_max));
    let sent = Arc::new(AtomicU64::new(0));
    let answers = BroadcastAnswers {
        stream: Answers::Opening(opening),
        window: window.clone(),
        sent: sent.clone(),
        answered: 0,
    };
    (
        BroadcastSender {
            messages,
            window,
            sent,
        },
        answers,
    )
}

/// Submits `envelopes` one after another on a stream of their own and waits for all answers.
pub async fn submit_all(
    connection: &Connection,
    options: BroadcastOptions,
    envelopes: impl IntoIterator<Item = Bytes>,
) -> Result<u64, BroadcastError> {
    let (sender, mut answers) = open(connection, options);
    let send = async {
        for envelope in envelopes {
            if sender.send(envelope).await.is_err() {
                break;
            }
        }
        drop(sender);
    };
    let receive = async {
        while answers.next().await?.is_some() {}
        Ok(answers.acknowledged())
    };
    tokio::join!(send, receive).1
}

impl BroadcastSender {
    /// Sends one serialized envelope; waits while the window is full.
    pub async fn send(&self, envelope: Bytes) -> Result<(), StreamEnded> {
        self.ready().await?.send(envelope)
    }

    /// Waits until one more envelope may be unanswered.
    pub async fn ready(&self) -> Result<Slot<'_>, StreamEnded> {
        let permit = self.window.acquire().await.map_err(|_| StreamEnded)?;
        Ok(Slot { sender: self, permit })
    }
}

/// Room for one envelope in the window of a stream. Dropping it gives the room back.
#[derive(Debug)]
pub struct Slot<'a> {
    sender: &'a BroadcastSender,
    permit: SemaphorePermit<'a>,
}

impl Slot<'_> {
    /// Sends one serialized envelope, at once.
    pub fn send(self, envelope: Bytes) -> Result<(), StreamEnded> {
        // Counted first: an answer may arrive before this task runs again.
        self.sender.sent.fetch_add(1, Ordering::AcqRel);
        // The queue is as long as the window, so it has room for whatever is in the window.
        if self.sender.messages.try_send(envelope).is_err() {
            self.sender.sent.fetch_sub(1, Ordering::AcqRel);
            return Err(StreamEnded);
        }
        self.permit.forget();
        Ok(())
    }
}

/// Nobody reads answers any more, so no room will come.
impl Drop for BroadcastAnswers {
    fn drop(&mut self) {
        self.window.close();
    }
}

impl BroadcastAnswers {
    /// How many envelopes were acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.answered
    }

    /// The next acknowledgement: the index of its envelope on this stream, from 0. None once the sender was
    /// dropped and everything is acknowledged. After an error there is nothing more.
    pub async fn next(&mut self) -> Result<Option<u64>, BroadcastError> {
        let outcome = self.receive().await;
        if !matches!(outcome, Ok(Some(_))) {
            self.stream = Answers::Ended;
            self.window.close();
        }
        outcome
    }

    async fn receive(&mut self) -> Result<Option<u64>, BroadcastError> {
        if matches!(self.stream, Answers::Ended) {
            return Ok(None);
        }
        let Some(answer) = self.message().await.map_err(|source| self.broken(source))? else {
            return self.ended();
        };
        let index = self.answered;
        if answer[..] != PLAIN_SUCCESS {
            let response = BroadcastResponse::decode(answer)
                .map_err(|source| BroadcastError::Malformed { index, source })?;
            if response.status != common::Status::Success as i32 {
                return Err(BroadcastError::Refused {
                    index,
                    status: response.status,
                    info: response.info,
                });
            }
        }
        if self.unanswered() == 0 {
            return Err(BroadcastError::Unasked { index });
        }
        self.answered += 1;
        self.window.add_permits(1);
        Ok(Some(index))
    }

    async fn message(&mut self) -> Result<Option<Bytes>, Status> {
        if let Answers::Opening(opening) = &mut self.stream {
            let opened = opening
                .await
                .map_err(|_| Status::cancelled("the runtime is shutting down"))??;
            self.stream = Answers::Open(Box::new(opened));
        }
        match &mut self.stream {
            Answers::Open(stream) => stream.message().await,
            Answers::Opening(_) | Answers::Ended => Ok(None),
        }
    }

    fn unanswered(&self) -> u64 {
        self.sent.load(Ordering::Acquire).saturating_sub(self.answered)
    }

    fn broken(&self, source: Status) -> BroadcastError {
        BroadcastError::Broken {
            acknowledged: self.answered,
            unanswered: self.unanswered(),
            source: Box::new(source),
        }
    }

    fn ended(&self) -> Result<Option<u64>, BroadcastError> {
        match self.unanswered() {
            0 => Ok(None),
            unanswered => Err(BroadcastError::Ended {
                acknowledged: self.answered,
                unanswered,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
