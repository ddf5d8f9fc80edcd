//! Calls of the gRPC listeners: begun, their messages, and how they ended.

use std::sync::Arc;
use std::time::Instant;

use tonic::Code;

use super::family::{Description, Family};
use super::instrument::{Counter, Histogram};
use super::registry::{DEFAULT_BOUNDS, Registry};

/// `grpc_comm_*`, `grpc_server_*`.
pub struct Grpc {
    /// Connections taken.
    pub conn_opened: Counter,
    /// Those that ended.
    pub conn_closed: Counter,
    /// `orderer.AtomicBroadcast/Broadcast`.
    pub broadcast: Arc<Method>,
    /// `orderer.AtomicBroadcast/Deliver`.
    pub deliver: Arc<Method>,
    /// `orderer.Cluster/Step`.
    pub step: Arc<Method>,
    /// `grpc.health.v1.Health/Check`, the one call that is no stream.
    pub health_check: Arc<Method>,
}

/// A connection that is open, counted at both ends.
#[derive(Debug)]
pub struct OpenConnection(Counter);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.inc();
    }
}

/// One method of a service.
#[derive(Debug)]
pub struct Method {
    service: &'static str,
    name: &'static str,
    received: Counter,
    messages_received: Counter,
    messages_sent: Counter,
    completed: Family<Counter>,
    duration: Family<Histogram>,
}

const METHOD: &[&str] = &["service", "method"];
const METHOD_AND_CODE: &[&str] = &["service", "method", "code"];

impl Grpc {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let (conn_opened, conn_closed) = (
            registry.counter(
                "grpc.comm.conn_opened",
                "Connections taken by the gRPC listeners. Those that are open now are these minus the closed ones.",
            ),
            registry.counter("grpc.comm.conn_closed", "Connections of the gRPC listeners that ended."),
        );
        let streams = Streams::new(registry);
        let unary = Unary::new(registry);
        Self {
            conn_opened,
            conn_closed,
            broadcast: streams.method("orderer_AtomicBroadcast", "Broadcast"),
            deliver: streams.method("orderer_AtomicBroadcast", "Deliver"),
            step: streams.method("orderer_Cluster", "Step"),
            health_check: unary.method("grpc_health_v1_Health", "Check"),
        }
    }

    /// A connection was taken; it is open as long as the answer lives.
    pub fn connected(&self) -> OpenConnection {
        self.conn_opened.inc();
        OpenConnection(self.conn_closed.clone())
    }
}

struct Streams {
    messages_received: Family<Counter>,
    messages_sent: Family<Counter>,
    received: Family<Counter>,
    completed: Family<Counter>,
    duration: Family<Histogram>,
}

impl Streams {
    fn new(registry: &mut Registry) -> Self {
        Self {
            messages_received: registry.counters(
                "grpc.server.stream_messages_received",
                "Messages received on streams.",
                METHOD,
            ),
            messages_sent: registry.counters(
                "grpc.server.stream_messages_sent",
                "Messages sent on streams.",
                METHOD,
            ),
            received: registry.counters(
                "grpc.server.stream_requests_received",
                "Streams that were opened.",
                METHOD,
            ),
            completed: registry.counters(
                "grpc.server.stream_requests_completed",
                "Streams that ended, by the code; Canceled where the client went first.",
                METHOD_AND_CODE,
            ),
            duration: registry.histograms(
                "grpc.server.stream_request_duration",
                "Seconds from the opening of a stream to its end.",
                METHOD_AND_CODE,
                DEFAULT_BOUNDS,
            ),
        }
    }

    fn method(&self, service: &'static str, name: &'static str) -> Arc<Method> {
        let labels = [service, name];
        show_good_end(&self.completed, &self.duration, labels);
        Arc::new(Method {
            service,
            name,
            received: self.received.with(&labels),
            messages_received: self.messages_received.with(&labels),
            messages_sent: self.messages_sent.with(&labels),
            completed: self.completed.clone(),
            duration: self.duration.clone(),
        })
    }
}

struct Unary {
    received: Family<Counter>,
    completed: Family<Counter>,
    duration: Family<Histogram>,
}

impl Unary {
    fn new(registry: &mut Registry) -> Self {
        Self {
            received: registry.counters(
                "grpc.server.unary_requests_received",
                "Calls of one message that came.",
                METHOD,
            ),
            completed: registry.counters(
                "grpc.server.unary_requests_completed",
                "Calls of one message that were answered, by the code.",
                METHOD_AND_CODE,
            ),
            duration: registry.histograms(
                "grpc.server.unary_request_duration",
                "Seconds from a call of one message to its answer.",
                METHOD_AND_CODE,
                DEFAULT_BOUNDS,
            ),
        }
    }

    fn method(&self, service: &'static str, name: &'static str) -> Arc<Method> {
        show_good_end(&self.completed, &self.duration, [service, name]);
        Arc::new(Method {
            service,
            name,
            received: self.received.with(&[service, name]),
            messages_received: Counter::default(),
            messages_sent: Counter::default(),
            completed: self.completed.clone(),
            duration: self.duration.clone(),
        })
    }
}

/// Shows from the start how many calls ended well: a rate needs a first value.
fn show_good_end(completed: &Family<Counter>, duration: &Family<Histogram>, [service, name]: [&str; 2]) {
    let labels = [service, name, code_name(Code::Ok)];
    completed.with(&labels);
    duration.with(&labels);
}

impl Method {
    /// A call has come.
    pub fn begin(self: &Arc<Self>) -> Call {
        self.received.inc();
        Call {
            method: Arc::clone(self),
            began: Instant::now(),
            has_ended: false,
        }
    }

    /// One that nobody is shown.
    pub fn unseen() -> Arc<Self> {
        let description = Description {
            path: "unseen",
            help: "",
            labels: METHOD_AND_CODE,
        };
        Arc::new(Self {
            service: "",
            name: "",
            received: Counter::default(),
            messages_received: Counter::default(),
            messages_sent: Counter::default(),
            completed: Family::new(description, &[]),
            duration: Family::new(description, DEFAULT_BOUNDS),
        })
    }

    /// Messages received on all of its calls.
    pub fn messages_received(&self) -> &Counter {
        &self.messages_received
    }

    /// Messages sent on all of its calls.
    pub fn messages_sent(&self) -> &Counter {
        &self.messages_sent
    }
}

/// A call under way. Dropped before it has ended, it was given up by the client.
#[derive(Debug)]
pub struct Call {
    method: Arc<Method>,
    began: Instant,
    has_ended: bool,
}

impl Call {
    /// One that nobody is shown: of a method that is not served, say.
    pub fn unseen() -> Self {
        Method::unseen().begin()
    }

    /// What it is a call of.
    pub fn method(&self) -> &Arc<Method> {
        &self.method
    }

    /// It ended with this code. Only the first end counts.
    pub fn end(&mut self, code: Code) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let labels = [self.method.service, self.method.name, code_name(code)];
        self.method.completed.with(&labels).inc();
        self.method
            .duration
            .with(&labels)
            .observe_time(self.began.elapsed());
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled);
    }
}

/// Codes as the reference spells them.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn a_call_is_counted_at_both_ends_and_once() {
        let metrics = Metrics::default();
        let deliver = &metrics.families().grpc.deliver;
        let mut ended = deliver.begin();
        ended.end(Code::Ok);
        ended.end(Code::Internal);
        drop(ended);
        drop(deliver.begin());
        let (_, text) = metrics.render();
        let text = String::from_utf8_lossy(&text).into_owned();
        let of = |name: &str, code: &str| {
            format!("{name}{{code=\"{code}\",method=\"Deliver\",service=\"orderer_AtomicBroadcast\"}} 1\n")
        };
        for code in ["OK", "Canceled"] {
            assert!(
                text.contains(&of("grpc_server_stream_requests_completed", code)),
                "{text}"
            );
            assert!(
                text.contains(&of("grpc_server_stream_request_duration_count", code)),
                "{text}"
            );
        }
        assert!(!text.contains("Internal"));
        let received = "grpc_server_stream_requests_received{method=\"Deliver\",service=\"orderer_AtomicBroadcast\"} 2\n";
        assert!(text.contains(received), "{text}");
    }
}
