//! The Deliver RPC: seek requests in; blocks and one status for each, in their order.
//!
//! ```text
//! SeekInfo envelope -> request: parse, time, TLS hash -> channel -> seek: cursor steps -> block bytes as stored
//!                                  400                     404        access before each block: 403
//! ```
//!
//! SUCCESS keeps the stream open for the next request; any other status ends it with gRPC status OK
//! (`docs/spec/behaviour.md` §2). Requests that come early wait in the stream.
//!
//! | module | holds |
//! |---|---|
//! | [`request`] | a request's headers and the checks on them; pure |
//! | [`access`] | who may read, asked again as the config moves; pure |
//! | [`message`] | responses: blocks as they are stored, headers alone, statuses |
//! | `seek` | one seek request from start to status |
//! | [`source`] | what the streams read from: a channel of this node |
//!
//! Not here: positions (`ledger::cursor`), policies (`configtx`).

pub mod access;
pub mod message;
pub mod request;
mod seek;
pub mod source;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Body;
use protos::wire::common::Status as WireStatus;
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tonic::Status;

use crate::codec::budget::LARGE_BYTES_MIN;
use crate::codec::{self, ClientGone, MessageStream, ReceiveBudget, ReplyBody, ReplySink};
use crate::logging::seldom::Mistakes;
use crate::metrics::{ChannelMetrics, Metrics};
use crate::report::tasks::Tasks;
use crate::shutdown;
use crate::telemetry::Telemetry;
use crate::trace::Trace;
use request::SeekRequest;
use source::Channels;

/// Logger of this service; the name is the one operators know from the reference.
pub const LOGGER: &str = "common.deliver";

/// Frames queued for a client that reads slowly: about four blocks of two frames each.
const REPLIES_MAX: usize = 8;

/// The Deliver service of one listener.
#[derive(Clone)]
pub struct Deliver {
    /// The channels of this node.
    pub channels: Arc<dyn Channels>,
    /// How far a request's timestamp may be from ours.
    pub time_window: Duration,
    /// Expired certificates are let in, for repair.
    pub no_expiration_checks: bool,
    /// Whether requests must carry the hash of the client's TLS certificate: on listeners with mutual TLS.
    pub binds_to_tls: bool,
    /// Longest request taken, in bytes; a large one is taken by no listener ([`LARGE_BYTES_MIN`]).
    pub recv_bytes_max: usize,
    /// Room for large messages; requests need none.
    pub budget: ReceiveBudget,
    /// True once the node stops: streams that have sent what there is end then.
    pub stopping: watch::Receiver<bool>,
    /// What was said of refusals.
    pub refusals: Arc<Mistakes>,
    /// Where streams and requests are counted.
    pub tasks: Tasks,
    /// Where requests are kept as files, if they are.
    pub trace: Option<Trace>,
    /// Who follows some envelopes, if anybody does.
    pub telemetry: Option<Telemetry>,
    /// Where requests and blocks are counted.
    pub metrics: Arc<Metrics>,
}

/// Who is at the other end of a stream.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its address.
    pub address: SocketAddr,
    /// Hash of its TLS certificate, if it showed one.
    pub tls_hash: Option<[u8; 32]>,
}

impl Client {
    /// A client that showed this TLS certificate, in DER.
    pub fn new(address: SocketAddr, tls_certificate: Option<&[u8]>) -> Self {
        Self {
            address,
            tls_hash: tls_certificate.map(|der| Sha256::digest(der).into()),
        }
    }
}

impl Deliver {
    /// Serves one call; must be made within a `tokio` runtime, which runs the stream.
    pub fn call<B>(&self, request: Request<B>, client: Client) -> Response<ReplyBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::fmt::Display + Send,
    {
        let method = &self.metrics.families().grpc.deliver;
        let (sink, response) = codec::reply_channel(REPLIES_MAX, method.begin());
        let bytes_max = self.recv_bytes_max.min(LARGE_BYTES_MIN);
        let messages = MessageStream::new(request.into_body(), bytes_max, self.budget.clone())
            .counting(method.messages_received());
        let running = self.tasks.begin("deliver stream", "");
        let serving = self.clone().run(messages, sink, client);
        tokio::spawn(async move {
            let _running = running;
            serving.await;
        });
        response
    }

    async fn run<B>(self, mut messages: MessageStream<B>, sink: ReplySink, client: Client)
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let streams = &self.metrics.families().deliver;
        streams.streams_opened.inc();
        let ended = self.serve(&mut messages, &sink, &client).await;
        streams.streams_closed.inc();
        if let Ok(status) = ended {
            sink.end(status).await;
        }
    }

    /// Serves request after request; how the call ends.
    async fn serve<B>(
        &self,
        messages: &mut MessageStream<B>,
        sink: &ReplySink,
        client: &Client,
    ) -> Result<Status, ClientGone>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        loop {
            let received = match self.next_request(messages).await {
                Ok(Some(received)) => received,
                Ok(None) => return Ok(Status::ok("")),
                Err(status) => return Ok(status),
            };
            // A copy: a stream that follows for days must not keep the frame in which its request came.
            let received = Bytes::copy_from_slice(&received);
            if let Some(trace) = &self.trace {
                trace.keep(&received);
            }
            let status = self.answer(received, sink, client).await?;
            sink.send_messages(message::status(status), 1).await?;
            if status != WireStatus::Success {
                return Ok(Status::ok(""));
            }
        }
    }

    /// The next request; none at the client's half-close. An idle stream ends when the node stops.
    async fn next_request<B>(&self, messages: &mut MessageStream<B>) -> Result<Option<Bytes>, Status>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let mut stopping = self.stopping.clone();
        tokio::select! {
            biased;
            next = messages.next() => next,
            () = shutdown::begun(&mut stopping) => Err(Status::unavailable("the node is stopping")),
        }
    }

    /// Carries out one request; the status that ends it.
    async fn answer(
        &self,
        received: Bytes,
        sink: &ReplySink,
        client: &Client,
    ) -> Result<WireStatus, ClientGone> {
        match self.accept(received, client) {
            Ok(seek) => {
                let _running = self.tasks.begin("deliver request", seek.channel());
                seek.run(sink).await
            }
            Err(status) => Ok(status),
        }
    }

    /// The checks before the first block, in the order of `docs/spec/behaviour.md` §2.2.
    fn accept(&self, received: Bytes, client: &Client) -> Result<seek::Seek, WireStatus> {
        let now = SystemTime::now();
        let checked = SeekRequest::parse(received).and_then(|request| {
            request.check_time(now, self.time_window)?;
            if self.binds_to_tls {
                request.check_tls(client.tls_hash.as_ref())?;
            }
            Ok(request)
        });
        let request = checked.map_err(|error| {
            if let Some(more) = self.refusals.tell("", error.kind()) {
                tracing::warn!(target: LOGGER, "rejecting deliver request from {}: {error}{more}", client.address);
            }
            WireStatus::BadRequest
        })?;
        let source = self
            .channels
            .find(request.channel())
            .inspect_err(|status| self.tell_unserved(&request, client, *status))?;
        seek::Seek::begin(request, source, client.address, self)
    }

    fn tell_unserved(&self, request: &SeekRequest, client: &Client, status: WireStatus) {
        let (channel, status) = (request.channel(), status.as_str_name());
        if let Some(more) = self.refusals.tell(channel, status) {
            tracing::warn!(
                target: LOGGER,
                "rejecting deliver for channel '{channel}' from {} with {status}: channel is not here or cannot be \
                 read{more}",
                client.address
            );
        }
    }
}

/// One request in the metrics of its channel, counted as completed when it is dropped.
struct Counted {
    channel: Option<Arc<ChannelMetrics>>,
    is_success: bool,
}

impl Counted {
    /// A request came. A channel that is being removed is not counted for.
    fn begin(metrics: &Metrics, channel: &str) -> Self {
        let channel = metrics.channel(channel);
        if let Some(channel) = &channel {
            channel.deliver().requests_received.inc();
        }
        Self {
            channel,
            is_success: false,
        }
    }

    /// A block went out. The handle is kept with the channel: no lock is taken.
    fn block_sent(&self) {
        if let Some(channel) = &self.channel {
            channel.deliver().blocks_sent.inc();
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(channel) = &self.channel {
            channel.deliver().completed(self.is_success);
        }
    }
}

#[cfg(test)]
mod tests;
