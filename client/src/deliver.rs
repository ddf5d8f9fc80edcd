//! Fetching and following blocks (`docs/spec/behaviour.md` §2).
//!
//! [`Seek`] says which blocks; [`DeliverStream`] yields each exactly once, in order, with the bytes it came
//! with. When the connection breaks it asks again from the next number, after a pause that grows. (A request
//! up to [`Position::Newest`] is resumed only before its first block: what is newest is another block later.)

mod seek;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::StreamExt as _;
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use protos::wire::common::{self, HeaderType};
use protos::{BlockNumber, SealedBlock};
use tokio::sync::oneshot;
use tonic::{Request, Status, Streaming};

use crate::broadcast::status_name;
use crate::connection::{Connection, describe};
use crate::envelope::EnvelopeSigner;

pub use seek::{Position, Seek};

const PATH: &str = "/orderer.AtomicBroadcast/Deliver";

/// What to do when the connection breaks or the node says it is unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resume {
    /// Tries in a row without a single block between them; 0 never resumes.
    pub tries_max: u32,
    /// Pause before the first try; it doubles from try to try.
    pub pause_first: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl Resume {
    /// An end of the connection is an error.
    pub const NEVER: Self = Self {
        tries_max: 0,
        pause_first: Duration::ZERO,
        pause_max: Duration::ZERO,
    };

    fn pause(&self, tries: u32) -> Duration {
        let factor = 2_u32.saturating_pow(tries.saturating_sub(1));
        self.pause_first.saturating_mul(factor).min(self.pause_max)
    }
}

impl Default for Resume {
    /// Holds out about two minutes.
    fn default() -> Self {
        Self {
            tries_max: 30,
            pause_first: Duration::from_millis(100),
            pause_max: Duration::from_secs(5),
        }
    }
}

/// Why delivery ended early.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The node answered with a status other than SUCCESS. It gives no reason with it.
    #[error("the node ended delivery with {}{}", status_name(*status), explanation(*status))]
    Refused {
        /// `common.Status`.
        status: i32,
    },
    /// The connection broke, and resuming was not wanted or did not help.
    #[error("the deliver stream broke: {}", describe(source))]
    Broken {
        /// What gRPC said last.
        source: Box<Status>,
    },
    /// A message that is no `orderer.DeliverResponse` with a usable block.
    #[error("an answer does not decode: {reason}")]
    Malformed {
        /// Where reading failed.
        reason: String,
    },
    /// A block out of turn.
    #[error("block {got} came where block {expected} was due")]
    OutOfTurn {
        /// The number that was due.
        expected: BlockNumber,
        /// The number that came.
        got: BlockNumber,
    },
}

/// What a bare status most often means (`docs/spec/behaviour.md` §2.2).
fn explanation(status: i32) -> &'static str {
    match common::Status::try_from(status) {
        Ok(common::Status::BadRequest) => {
            ": the request is malformed, or the clocks differ by more than 15 minutes, or the TLS client \
             certificate is not the one the request names"
        }
        Ok(common::Status::Forbidden) => {
            ": the identity does not meet the channel's readers policy, or has expired"
        }
        Ok(common::Status::NotFound) => ": the node does not serve this channel, or has no such block",
        Ok(common::Status::ServiceUnavailable) => ": the channel has no working consensus at the moment",
        _ => "",
    }
}

/// Blocks of one channel, in order.
#[derive(Debug)]
pub struct DeliverStream {
    connection: Connection,
    signer: EnvelopeSigner,
    seek: Seek,
    resume: Resume,
    stream: Option<Open>,
    /// The number due next, once one block came.
    next: Option<BlockNumber>,
    tries: u32,
    ended: bool,
}

/// A call under way.
#[derive(Debug)]
struct Open {
    blocks: Streaming<Bytes>,
    /// The request ends when this is dropped. Without that end a call that is given up would stay open, on both sides,
    /// for as long as its connection.
    _request: oneshot::Sender<()>,
}

/// What one message of the stream says.
enum Answer {
    Block(Bytes),
    Status(i32),
}

/// A failure that may pass.
enum Setback {
    Broken(Status),
    Unavailable,
}

impl DeliverStream {
    /// Prepares the stream; the request is sent when the first block is asked for.
    pub fn new(connection: &Connection, signer: EnvelopeSigner, seek: Seek, resume: Resume) -> Self {
        Self {
            signer: signer.bound_to(connection.certificate_hash()),
            connection: connection.clone(),
            seek,
            resume,
            stream: None,
            next: None,
            tries: 0,
            ended: false,
        }
    }

    /// The next block; none once the stop was reached. May be cancelled and called again.
    pub async fn next(&mut self) -> Result<Option<SealedBlock>, DeliverError> {
        loop {
            if self.ended || self.is_past_stop() {
                return Ok(None);
            }
            match self.receive().await {
                Ok(Answer::Block(bytes)) => return self.accept(bytes).map(Some),
                Ok(Answer::Status(status)) if status == common::Status::Success as i32 => {
                    self.ended = true;
                    return Ok(None);
                }
                Ok(Answer::Status(status)) if status == common::Status::ServiceUnavailable as i32 => {
                    self.retreat(Setback::Unavailable).await?;
                }
                Ok(Answer::Status(status)) => {
                    self.ended = true;
                    return Err(DeliverError::Refused { status });
                }
                Err(Failure::Stream(status)) => self.retreat(Setback::Broken(status)).await?,
                Err(Failure::Malformed(reason)) => {
                    self.ended = true;
                    return Err(DeliverError::Malformed { reason });
                }
            }
        }
    }

    fn accept(&mut self, bytes: Bytes) -> Result<SealedBlock, DeliverError> {
        let block = SealedBlock::from_bytes(bytes).map_err(|error| {
            self.ended = true;
            DeliverError::Malformed {
                reason: error.to_string(),
            }
        })?;
        let got = block.number();
        if let Some(expected) = self.expected().filter(|expected| *expected != got) {
            self.ended = true;
            return Err(DeliverError::OutOfTurn { expected, got });
        }
        self.next = Some(got.next());
        self.tries = 0;
        Ok(block)
    }

    fn expected(&self) -> Option<BlockNumber> {
        self.next.or(match self.seek.start {
            Position::Oldest => Some(BlockNumber::GENESIS),
            Position::Number(number) => Some(number),
            Position::Newest | Position::NextCommit => None,
        })
    }

    /// True when the stream broke between the last block and its closing status.
    fn is_past_stop(&self) -> bool {
        match (self.stream.as_ref(), self.next, self.seek.stop) {
            (None, Some(next), Some(Position::Number(stop))) => next > stop,
            _ => false,
        }
    }

    /// A stop that the node resolved when it read the request would mean another block the second time.
    fn is_resumable(&self) -> bool {
        self.next.is_none() || matches!(self.seek.stop, None | Some(Position::Number(_)))
    }

    async fn receive(&mut self) -> Result<Answer, Failure> {
        if self.stream.is_none() {
            self.stream = Some(self.request().await?);
        }
        let Some(open) = &mut self.stream else {
            return Err(Failure::Stream(Status::internal("no stream")));
        };
        match open.blocks.message().await? {
            Some(message) => parse(message).map_err(|e| Failure::Malformed(e.to_string())),
            None => Err(Failure::Stream(Status::unavailable(
                "the node ended the stream without a status",
            ))),
        }
    }

    /// Sends the request, with the number due next in place of a start that was already passed.
    async fn request(&self) -> Result<Open, Status> {
        let seek = Seek {
            start: self.next.map_or(self.seek.start, Position::Number),
            ..self.seek
        };
        let data = Bytes::from(seek.to_wire().encode_to_vec());
        let kind = HeaderType::DeliverSeekInfo;
        let envelope = self.signer.sign(kind, data, rand::random(), SystemTime::now());
        // Kept open after the request: some servers take its end as the client's farewell.
        let (request, given_up) = oneshot::channel::<()>();
        let end = futures::stream::once(given_up).filter_map(|_| std::future::ready(None));
        let messages = futures::stream::iter([envelope.bytes]).chain(end);
        Ok(Open {
            blocks: self.connection.stream(PATH, Request::new(messages)).await?,
            _request: request,
        })
    }

    /// Drops the stream and waits before the next try, or gives up.
    async fn retreat(&mut self, setback: Setback) -> Result<(), DeliverError> {
        self.stream = None;
        if self.tries >= self.resume.tries_max || !self.is_resumable() {
            self.ended = true;
            return Err(match setback {
                Setback::Broken(source) => DeliverError::Broken {
                    source: Box::new(source),
                },
                Setback::Unavailable => DeliverError::Refused {
                    status: common::Status::ServiceUnavailable as i32,
                },
            });
        }
        self.tries += 1;
        tokio::time::sleep(self.resume.pause(self.tries)).await;
        Ok(())
    }
}

enum Failure {
    Stream(Status),
    Malformed(String),
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Stream(status)
    }
}

/// Reads a `orderer.DeliverResponse` without decoding the block inside: the last known field counts.
fn parse(message: Bytes) -> Result<Answer, prost::DecodeError> {
    let mut rest = message;
    let mut answer = Answer::Status(common::Status::Unknown as i32);
    while !rest.is_empty() {
        match decode_key(&mut rest)? {
            (1, WireType::Varint) => {
                let status = decode_varint(&mut rest)?;
                answer = Answer::Status(i32::try_from(status).unwrap_or(i32::MAX));
            }
            (2, WireType::LengthDelimited) => {
                let mut block = Bytes::new();
                let context = DecodeContext::default();
                prost::encoding::bytes::merge(WireType::LengthDelimited, &mut block, &mut rest, context)?;
                answer = Answer::Block(block);
            }
            (number, wire_type) => skip_field(wire_type, number, &mut rest, DecodeContext::default())?,
        }
    }
    Ok(answer)
}
