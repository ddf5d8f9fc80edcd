//! Statuses and JSON of the answers. Those of `/healthz`, `/version` and `/logspec` are the reference's.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, Response, StatusCode};
use bytes::Bytes;
use serde::Serialize;

use super::health::FailedCheck;
use super::readiness::{Certificate, ChannelReport, Code, Disk, Reason, Report};
use super::version::{COMMIT, VERSION};
use crate::admin::reply::{InfoJson, info_json};

const JSON: &str = "application/json";

#[derive(Serialize)]
struct HealthJson<'a> {
    status: &'static str,
    time: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    failed_checks: &'a [FailedCheck],
}

#[derive(Serialize)]
struct VersionJson {
    #[serde(rename = "CommitSHA")]
    commit: &'static str,
    #[serde(rename = "Version")]
    version: &'static str,
}

#[derive(Serialize)]
struct SpecJson<'a> {
    spec: &'a str,
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    error: &'a str,
}

#[derive(Serialize)]
struct CapitalErrorJson<'a> {
    #[serde(rename = "Error")]
    error: &'a str,
}

/// What anybody may read: no names, no files.
#[derive(Serialize)]
struct ShortJson {
    status: &'static str,
    time: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<CountJson>,
}

#[derive(Serialize)]
struct CountJson {
    code: Code,
    blocking: bool,
    /// How many channels, certificates or folders it is about.
    count: usize,
}

#[derive(Serialize)]
struct VerboseJson<'a> {
    status: &'static str,
    time: String,
    version: &'static str,
    reasons: &'a [Reason],
    disks: &'a [Disk],
    certificates: &'a [Certificate],
    channels: Vec<ChannelJson<'a>>,
}

#[derive(Serialize)]
struct ChannelJson<'a> {
    ready: bool,
    behind: u64,
    #[serde(flatten)]
    info: InfoJson<'a>,
    reasons: &'a [Reason],
}

/// 200, or 503 with what failed.
pub(super) fn health(failed_checks: &[FailedCheck]) -> Response<Body> {
    let (code, status) = if failed_checks.is_empty() {
        (StatusCode::OK, "OK")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
    };
    let body = HealthJson {
        status,
        time: now(),
        failed_checks,
    };
    json(code, &body, "")
}

/// 200 with version and commit.
pub(super) fn version() -> Response<Body> {
    let body = VersionJson {
        commit: COMMIT,
        version: VERSION,
    };
    json(StatusCode::OK, &body, "")
}

/// 400 for another method, with the reference's capital letter.
pub(super) fn version_wrong_method(method: &Method) -> Response<Body> {
    let error = &wrong_method(method);
    json(StatusCode::BAD_REQUEST, &CapitalErrorJson { error }, "")
}

/// 200 with the logging spec in force.
pub(super) fn spec(spec: &str) -> Response<Body> {
    json(StatusCode::OK, &SpecJson { spec }, "\n")
}

/// 400 and why.
pub(super) fn bad_request(error: &str) -> Response<Body> {
    json(StatusCode::BAD_REQUEST, &ErrorJson { error }, "\n")
}

/// `invalid request method: POST`.
pub(super) fn wrong_method(method: &Method) -> String {
    format!("invalid request method: {method}")
}

/// A status and nothing else.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut reply = Response::new(Body::empty());
    *reply.status_mut() = status;
    reply
}

/// A text in the format of monitoring systems.
pub(super) fn metrics(content_type: &'static str, text: Bytes) -> Response<Body> {
    let mut reply = Response::new(Body::from(text));
    let content_type = HeaderValue::from_static(content_type);
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

/// Whether the node is ready, and in `verbose` form all that is known of it.
pub(super) fn readiness(report: &Report, verdict: Verdict, verbose: bool) -> Response<Body> {
    let (code, status) = (verdict.status(), verdict.word(report));
    if !verbose {
        let body = ShortJson {
            status,
            time: now(),
            reasons: counted(report),
        };
        return json(code, &body, "\n");
    }
    let body = VerboseJson {
        status,
        time: now(),
        version: VERSION,
        reasons: &report.reasons,
        disks: &report.disks,
        certificates: &report.certificates,
        channels: report.channels.iter().map(channel).collect(),
    };
    json(code, &body, "\n")
}

/// What is answered in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Ready,
    NotReady,
    /// A channel that was asked for is not here.
    NoSuchChannel,
}

impl Verdict {
    fn status(self) -> StatusCode {
        match self {
            Self::Ready => StatusCode::OK,
            Self::NotReady => StatusCode::SERVICE_UNAVAILABLE,
            Self::NoSuchChannel => StatusCode::NOT_FOUND,
        }
    }

    fn word(self, report: &Report) -> &'static str {
        let is_about = |code| report.reasons.iter().any(|reason| reason.code == code);
        match self {
            Self::Ready => "ready",
            _ if is_about(Code::Starting) => "starting",
            _ if is_about(Code::Stopping) => "stopping",
            _ => "not_ready",
        }
    }
}

fn channel(report: &ChannelReport) -> ChannelJson<'_> {
    ChannelJson {
        ready: report.is_ready(),
        behind: report.behind,
        info: info_json(&report.info),
        reasons: &report.reasons,
    }
}

fn counted(report: &Report) -> Vec<CountJson> {
    let of_channels = report.channels.iter().flat_map(|channel| &channel.reasons);
    let mut counts = BTreeMap::new();
    for reason in report.reasons.iter().chain(of_channels) {
        *counts.entry((reason.code, reason.blocking)).or_insert(0) += 1;
    }
    let count = |((code, blocking), count)| CountJson {
        code,
        blocking,
        count,
    };
    counts.into_iter().map(count).collect()
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// `end` is what the reference puts behind this body.
fn json(status: StatusCode, body: &impl Serialize, end: &str) -> Response<Body> {
    // These types have text keys and no map: they always serialize.
    let text = serde_json::to_string(body).unwrap_or_default();
    let mut reply = Response::new(Body::from(text + end));
    *reply.status_mut() = status;
    let kind = HeaderValue::from_static(JSON);
    reply.headers_mut().insert(CONTENT_TYPE, kind);
    reply
}
