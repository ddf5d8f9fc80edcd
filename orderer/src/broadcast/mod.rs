//! The Broadcast RPC: envelopes in, one response each, in their order.
//!
//! ```text
//!          up to 128 ready ones       verify pool            chain mailbox           ticket, if `committed`
//! client ──────────────────────> read ───────────> order ──────────────────> answer ────────────────> client
//! ```
//!
//! The three stages of a stream run at the same time, so a client that pipelines never waits for a round trip.
//! Order is kept because each stage hands on in the order it was given. The first answer that is not SUCCESS
//! ends the stream with gRPC status OK; what came after it is never looked at, and was not ordered
//! (`docs/spec/behaviour.md` §1.1).
//!
//! | module | holds |
//! |---|---|
//! | [`acknowledge`] | when SUCCESS is said: setting and request metadata |
//! | [`refusals`] | what is said of them in the log |
//! | [`reply`] | responses, encoded once |
//! | `stream` | the three stages, a file each |
//! | `followed` | envelopes whose way is told to a collector |
//!
//! Not here: what is checked ([`Intake`]; see `processor`), and ordering (`consensus`).

pub mod acknowledge;
mod followed;
pub mod refusals;
pub mod reply;
mod stream;

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use consensus::{Chain, Submission};
use futures::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Body;
use protos::ChannelId;
use protos::wire::common::Status as WireStatus;
use tokio::sync::watch;

use crate::codec::{self, MessageStream, ReceiveBudget, ReplyBody};
use crate::config::Acknowledge;
use crate::metrics::{MessageType, Metrics};
use crate::report::tasks::Tasks;
use crate::telemetry::Telemetry;
use crate::throttle::{Client, Throttle};
use crate::tls::Peer;
use crate::trace::Trace;
use crate::verify_pool::VerifyPool;
use refusals::Refusals;
use stream::Paced;

/// Logger of this service; the name is the one operators know from the reference.
pub const LOGGER: &str = "orderer.common.broadcast";

/// What stands behind the streams: the channels of this node and their checks.
pub trait Intake: Send + Sync {
    /// Judges a batch: one verdict for each message, in their order. Costs processor time; called on the pool.
    fn check(&self, received: Vec<Bytes>, now: SystemTime) -> Vec<Result<Accepted, Refusal>>;

    /// Ready while envelopes may be handed to the chains; waits while the disk is full.
    fn ready(&self) -> BoxFuture<'_, ()>;

    /// Ready once the disk has been full for longer than a client should wait.
    fn paused(&self) -> BoxFuture<'_, ()>;
}

/// An envelope that passed all checks, and where it goes.
#[derive(Clone)]
pub struct Accepted {
    /// The channel it is for.
    pub channel: ChannelId,
    /// The channel's ordering.
    pub chain: Arc<dyn Chain>,
    /// The type in its header.
    pub kind: MessageType,
    /// What it is to order.
    pub submission: Submission,
}

/// An envelope that is turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the client gets.
    pub status: WireStatus,
    /// And the text beside it.
    pub info: String,
    /// The channel it named, as far as it could be read.
    pub channel: String,
    /// The type in its header, as far as it could be read.
    pub kind: MessageType,
    /// Why, in a word for metrics.
    pub reason: &'static str,
}

/// The Broadcast service of one listener.
#[derive(Clone)]
pub struct Broadcast {
    /// Channels and checks.
    pub intake: Arc<dyn Intake>,
    /// Where the checks run.
    pub pool: VerifyPool,
    /// When SUCCESS is said on streams that do not ask for anything else.
    pub acknowledge: Acknowledge,
    /// Longest message taken, in bytes.
    pub recv_bytes_max: usize,
    /// Room for large messages.
    pub budget: ReceiveBudget,
    /// True once the node stops: idle streams end then.
    pub stopping: watch::Receiver<bool>,
    /// What was said of refusals.
    pub refusals: Arc<Refusals>,
    /// Where streams are counted.
    pub tasks: Tasks,
    /// Where envelopes are kept as files, if they are.
    pub trace: Option<Trace>,
    /// Who follows some of them, if anybody does.
    pub telemetry: Option<Telemetry>,
    /// Where envelopes are counted.
    pub metrics: Arc<Metrics>,
    /// Holds back clients that send more than their share; none: nobody is.
    pub throttle: Option<Throttle>,
}

impl Broadcast {
    /// Serves one call of `peer`; must be made within a `tokio` runtime, which runs the stream.
    pub fn call<B>(&self, request: Request<B>, peer: &Peer) -> Response<ReplyBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::fmt::Display + Send,
    {
        let method = &self.metrics.families().grpc.broadcast;
        let level = match acknowledge::asked(request.headers(), self.acknowledge) {
            Ok(level) => level,
            Err(status) => return codec::refusal(&status, method.begin()),
        };
        let (sink, response) = codec::reply_channel(stream::REPLIES_MAX, method.begin());
        let stream = stream::Stream {
            intake: Arc::clone(&self.intake),
            pool: self.pool.clone(),
            level,
            client: peer.remote_addr,
            paced: self.paced(peer),
            stopping: self.stopping.clone(),
            refusals: Arc::clone(&self.refusals),
            trace: self.trace.clone(),
            telemetry: self.telemetry.clone(),
            metrics: Arc::clone(&self.metrics),
        };
        let running = self.tasks.begin("broadcast stream", "");
        let messages = MessageStream::new(request.into_body(), self.recv_bytes_max, self.budget.clone())
            .counting(method.messages_received());
        tokio::spawn(async move {
            let _running = running;
            stream.run(messages, sink).await;
        });
        response
    }

    /// The throttle with the client that it knows by its certificate.
    fn paced(&self, peer: &Peer) -> Option<Paced> {
        let throttle = self.throttle.clone()?;
        let client = Client::of_certificate(peer.certificate()?)?;
        Some(Paced { throttle, client })
    }
}

#[cfg(test)]
mod tests;
