//! Spans, and the JSON form of OTLP: `opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest` with ids in
//! hexadecimal and 64-bit numbers as text.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::blocks::Period;

/// A part of a journey.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    trace: [u8; 16],
    id: [u8; 8],
    parent: Option<[u8; 8]>,
    /// What was done.
    pub name: &'static str,
    period: Period,
    /// What about.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// What went wrong.
    pub error: Option<String>,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// Text.
    Text(String),
    /// A whole number.
    Number(u64),
}

/// A trace, and its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    trace: [u8; 16],
    root: [u8; 8],
}

impl Ids {
    /// Fresh ones.
    pub(super) fn random() -> Self {
        Self {
            trace: rand::random(),
            root: rand::random(),
        }
    }

    pub(super) fn root(&self, name: &'static str, period: Period, channel: &str) -> Span {
        Span {
            trace: self.trace,
            id: self.root,
            parent: None,
            name,
            period,
            attributes: of_channel(channel),
            error: None,
        }
    }

    pub(super) fn child(&self, name: &'static str, period: Period, channel: &str) -> Span {
        Span {
            id: rand::random(),
            parent: Some(self.root),
            ..self.root(name, period, channel)
        }
    }
}

fn of_channel(channel: &str) -> Vec<(&'static str, Attribute)> {
    vec![("ordain.channel", Attribute::Text(channel.to_owned()))]
}

/// A request to the collector, of the process that `service` names.
pub fn request(service: &[(&'static str, String)], spans: &[Span]) -> Value {
    let resource: Vec<_> = service
        .iter()
        .map(|(key, value)| attribute(key, &Attribute::Text(value.clone())))
        .collect();
    let spans: Vec<_> = spans.iter().map(span).collect();
    json!({
        "resourceSpans": [{
            "resource": { "attributes": resource },
            "scopeSpans": [{
                "scope": { "name": "ordain", "version": env!("CARGO_PKG_VERSION") },
                "spans": spans,
            }],
        }],
    })
}

/// `SpanKind` and `StatusCode` of OTLP.
const KIND_INTERNAL: u8 = 1;
const KIND_SERVER: u8 = 2;
const STATUS_OK: u8 = 1;
const STATUS_ERROR: u8 = 2;

fn span(span: &Span) -> Value {
    let attributes: Vec<_> = span
        .attributes
        .iter()
        .map(|(key, value)| attribute(key, value))
        .collect();
    let status = match &span.error {
        None => json!({ "code": STATUS_OK }),
        Some(reason) => json!({ "code": STATUS_ERROR, "message": reason }),
    };
    let is_called = matches!(span.name, "broadcast" | "deliver");
    json!({
        "traceId": format!("{:032x}", u128::from_be_bytes(span.trace)),
        "spanId": hex(span.id),
        "parentSpanId": span.parent.map_or_else(String::new, hex),
        "name": span.name,
        "kind": if is_called { KIND_SERVER } else { KIND_INTERNAL },
        "startTimeUnixNano": nanos(span.period.begin),
        "endTimeUnixNano": nanos(span.period.end.max(span.period.begin)),
        "attributes": attributes,
        "status": status,
    })
}

fn attribute(key: &str, value: &Attribute) -> Value {
    let value = match value {
        Attribute::Text(text) => json!({ "stringValue": text }),
        Attribute::Number(number) => json!({ "intValue": number.to_string() }),
    };
    json!({ "key": key, "value": value })
}

fn nanos(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos().to_string()
}

fn hex(id: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(id))
}
