//! The service `orderer.Cluster/Step`: who calls, for which channel, and what it says.
//!
//! Each message is authorised by itself: the channel it names must be ordered here, and the public key of the
//! caller's TLS certificate must be that of one of the channel's consenters. That makes the sender's id; nothing in
//! the message does. What is wrong ends the stream, and no other (`docs/spec/behaviour.md` §6.1).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use consensus::{Chain, ReceiveError};
use http::{Request, Response};
use hyper::body::Body;
use protos::ChannelId;
use tokio::sync::watch;
use tonic::{Code, Status};

use super::counters::Refused;
use super::message::{self, MessageError};
use super::tls_key::{TlsKey, describe};
use super::{Cluster, LOGGER};
use crate::codec::budget::LARGE_BYTES_MIN;
use crate::codec::{self, MessageStream, ReceiveBudget, ReplyBody};
use crate::metrics::Metrics;
use crate::shutdown;
use crate::tls::Peer;

/// Messages read together.
const BATCH_COUNT_MAX: usize = 64;
/// And their bytes.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Refusals of the same words are said once within this. Somebody may wait for the text after each start of a node
/// that was removed, so not much longer (`docs/spec/dropin.md` §2).
const SAID_TIME: Duration = Duration::from_secs(1);
/// How often a stream looks at its caller's certificate.
const CERTIFICATE_PAUSE: Duration = Duration::from_mins(5);

/// Where messages go: the chains of this node.
pub trait Receivers: Send + Sync {
    /// The chain of `channel`; none where this node does not order it.
    fn chain(&self, channel: &ChannelId) -> Option<Arc<dyn Chain>>;
}

/// The service, as a listener has it.
#[derive(Clone)]
pub struct Step {
    cluster: Arc<Cluster>,
    receivers: Arc<dyn Receivers>,
    recv_bytes_max: usize,
    budget: ReceiveBudget,
    stopping: watch::Receiver<bool>,
}

/// Why a stream is ended.
#[derive(Debug)]
struct Refusal {
    reason: Refused,
    status: Status,
    /// For the log, beside the status.
    detail: String,
    /// As far as the message told.
    channel: String,
}

impl Step {
    /// Serves messages of at most `recv_bytes_max` bytes until `stopping`.
    ///
    /// Large messages take room of a budget of their own, and only while they are received: what clients hold may not
    /// keep entries from being replicated, since their room comes back only then. Behind that, the inbox of each chain
    /// is bounded.
    pub fn new(
        cluster: Arc<Cluster>,
        receivers: Arc<dyn Receivers>,
        recv_bytes_max: usize,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            cluster,
            receivers,
            recv_bytes_max,
            budget: ReceiveBudget::default(),
            stopping,
        }
    }

    /// Where its calls are counted.
    pub fn metrics(&self) -> &Arc<Metrics> {
        self.cluster.metrics()
    }

    /// Serves one call; must be made within a `tokio` runtime, which runs the stream.
    pub fn call<B>(&self, request: Request<B>, peer: &Peer) -> Response<ReplyBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: std::fmt::Display + Send,
    {
        let families = self.cluster.metrics().families();
        let call = families.grpc.step.begin();
        let Some((certificate, key)) = caller_key(peer) else {
            let refusal = no_certificate();
            self.tell(&refusal, peer.remote_addr);
            return codec::refusal(&refusal.status, call);
        };
        self.cluster.directory.heard_of(&key, Instant::now());
        // A stranger is told after its first message why it is refused, and takes no room before.
        let bytes_max = if self.cluster.directory.knows(&key) {
            self.recv_bytes_max
        } else {
            self.recv_bytes_max.min(LARGE_BYTES_MIN)
        };
        let messages = MessageStream::new(request.into_body(), bytes_max, self.budget.clone())
            .with_room_while_receiving()
            .counting(call.method().messages_received());
        let (sink, response) = codec::reply_channel(1, call);
        let stream = Stream {
            step: self.clone(),
            certificate,
            key,
            address: peer.remote_addr,
        };
        let counted = families.cluster.ingress_streams.count_one();
        tokio::spawn(async move {
            let status = stream.run(messages).await;
            drop(counted);
            sink.end(status).await;
        });
        response
    }

    fn tell(&self, refusal: &Refusal, address: SocketAddr) {
        let counters = self.cluster.counters();
        counters.count_refused(refusal.reason);
        let count = counters.refused(refusal.reason);
        let text = format!(
            "Stream of {} ended: {}{}",
            address.ip(),
            refusal.status.message(),
            refusal.detail,
        );
        let tail = format!(
            "({count} of this kind since the start) channel={}",
            refusal.channel
        );
        let said = format!("{text} {}", refusal.channel);
        if self.cluster.said().is_news(&said, SAID_TIME, Instant::now()) {
            tracing::info!(target: LOGGER, "{text} {tail}");
        } else {
            tracing::debug!(target: LOGGER, "{text} {tail}");
        }
    }
}

/// The caller's certificate in DER, and its public key.
fn caller_key(peer: &Peer) -> Option<(Bytes, TlsKey)> {
    let certificate = peer.certificate()?;
    let key = TlsKey::of_der(certificate).ok()?;
    Some((Bytes::copy_from_slice(certificate), key))
}

/// One stream.
struct Stream {
    step: Step,
    /// The caller's, in DER.
    certificate: Bytes,
    key: TlsKey,
    address: SocketAddr,
}

impl Stream {
    /// Takes messages until the caller is done, or something is wrong.
    async fn run<B>(self, mut messages: MessageStream<B>) -> Status
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: std::fmt::Display,
    {
        let mut stopping = self.step.stopping.clone();
        let mut batch = Vec::new();
        let mut looked_at = None;
        loop {
            let read = tokio::select! {
                biased;
                read = messages.next_batch(&mut batch, BATCH_COUNT_MAX, BATCH_BYTES_MAX) => read,
                () = shutdown::begun(&mut stopping) => return Status::unavailable("the node is stopping"),
            };
            let half_closed = batch.is_empty() && read.is_ok();
            self.look_at_certificate(&mut looked_at);
            let taken = batch.drain(..).try_for_each(|message| self.take(message));
            if let Err(refusal) = taken {
                self.step.tell(&refusal, self.address);
                return refusal.status;
            }
            if half_closed {
                return Status::ok("");
            }
            if let Err(status) = read {
                return self.broken(status);
            }
        }
    }

    /// A stream that could not be read on.
    fn broken(&self, status: Status) -> Status {
        let reason = match status.code() {
            Code::ResourceExhausted => Refused::TooLarge,
            // The connection is gone, or the caller gave the stream up.
            Code::Cancelled => return status,
            _ => Refused::Undecodable,
        };
        let refusal = Refusal {
            reason,
            status,
            detail: format!("; the caller is {}", describe(&self.certificate)),
            channel: String::new(),
        };
        self.step.tell(&refusal, self.address);
        refusal.status
    }

    fn take(&self, message: Bytes) -> Result<(), Refusal> {
        let (name, message) = message::decode(message).map_err(|error| undecodable(&error))?;
        let directory = &self.step.cluster.directory;
        let (channel, from) = directory
            .caller(&name, &self.key)
            .map_err(|reason| self.not_authorized(reason, &name))?;
        let Some(chain) = self.step.receivers.chain(&channel) else {
            return Err(self.not_authorized(Refused::UnknownChannel, &name));
        };
        match chain.receive(from, message) {
            Ok(()) => Ok(()),
            Err(ReceiveError::Full) => {
                self.step.cluster.counters().count_inbox_full();
                Ok(())
            }
            Err(error) => Err(not_taken(&error, from.0, name)),
        }
    }

    fn not_authorized(&self, reason: Refused, channel: &str) -> Refusal {
        let presented = describe(&self.certificate);
        let (status, detail) = if reason == Refused::UnknownChannel {
            let text = format!("channel {channel:.300} is not ordered by this node");
            (Status::not_found(text), format!("; the caller is {presented}"))
        } else {
            let known = self.step.cluster.directory.describe(channel);
            let text = "certificate extracted from TLS connection isn't authorized";
            (
                Status::permission_denied(text),
                format!("; presented: {presented}; consenters: {known}"),
            )
        };
        Refusal {
            reason,
            status,
            detail,
            channel: channel.chars().take(300).collect(),
        }
    }

    fn look_at_certificate(&self, looked_at: &mut Option<Instant>) {
        let now = Instant::now();
        if looked_at.is_none_or(|last| now.saturating_duration_since(last) >= CERTIFICATE_PAUSE) {
            *looked_at = Some(now);
            let whose = format!("client certificate of {}", self.address.ip());
            self.step.cluster.expiry().check(&self.certificate, &whose);
        }
    }
}

fn no_certificate() -> Refusal {
    Refusal {
        reason: Refused::NoCertificate,
        status: Status::unauthenticated("no TLS certificate sent"),
        detail: String::new(),
        channel: String::new(),
    }
}

fn undecodable(error: &MessageError) -> Refusal {
    let reason = match error {
        MessageError::Decode(_) => Refused::Undecodable,
        MessageError::NeitherKind => Refused::NeitherKind,
    };
    Refusal {
        reason,
        status: Status::invalid_argument(error.to_string()),
        detail: String::new(),
        channel: String::new(),
    }
}

fn not_taken(error: &ReceiveError, from: u64, channel: String) -> Refusal {
    let text = error.to_string();
    let (reason, status) = match error {
        ReceiveError::Bad { .. } => (Refused::Bad, Status::invalid_argument(text)),
        ReceiveError::NoCluster { .. } => (Refused::NotRunning, Status::failed_precondition(text)),
        ReceiveError::Stopped | ReceiveError::Full => (Refused::NotRunning, Status::unavailable(text)),
    };
    Refusal {
        reason,
        status,
        detail: format!("; it came from consenter {from}"),
        channel,
    }
}
