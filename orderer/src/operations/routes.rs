//! Paths, who may call them, and what they do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{Method, Response, StatusCode};
use axum::middleware::{self, Next};
use axum::routing::any;
use bytes::Bytes;
use serde_json::Value;

use super::readiness::{Code, Reason, Report, judge};
use super::reply::{self, Verdict};
use super::{LOGGER, Shared};
use crate::admin::{no_such_path, with_request_id};
use crate::tls::Peer;

/// Longest body that a logging spec comes in.
const SPEC_BYTES_MAX: usize = 64 * 1024;
/// How long that may take to come.
const BODY_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the disk may take to say how full it is.
const DISK_TIME_MAX: Duration = Duration::from_secs(5);

/// What every handler is given.
type Node = State<Arc<Shared>>;

/// All routes over `shared`.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let protected = Router::new()
        .route("/logspec", any(logspec))
        .route("/metrics", any(metrics))
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), known_only));
    Router::new()
        .route("/healthz", any(healthz))
        .route("/readyz", any(readyz))
        .route("/version", any(version))
        .merge(protected)
        .layer(middleware::from_fn(with_request_id))
        .fallback(async || no_such_path())
        .layer(DefaultBodyLimit::max(SPEC_BYTES_MAX))
        .with_state(shared)
}

/// With TLS, only who showed a certificate gets on; that it is a good one, the handshake has seen to.
async fn known_only(State(shared): Node, request: Request, next: Next) -> Response<Body> {
    if is_known(&shared, &request) {
        next.run(request).await
    } else {
        reply::empty(StatusCode::UNAUTHORIZED)
    }
}

fn is_known(shared: &Shared, request: &Request) -> bool {
    !shared.is_tls || peer(request).is_some_and(|peer| peer.certificate().is_some())
}

fn peer(request: &Request) -> Option<&Peer> {
    request.extensions().get::<Peer>()
}

async fn healthz(State(shared): Node, method: Method) -> Response<Body> {
    if method != Method::GET {
        return reply::empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    reply::health(&shared.failed_checks(Instant::now()))
}

async fn version(method: Method) -> Response<Body> {
    if method == Method::GET {
        reply::version()
    } else {
        reply::version_wrong_method(&method)
    }
}

async fn metrics(State(shared): Node) -> Response<Body> {
    let Some(exposition) = shared.exposition.get().map(Arc::clone) else {
        return no_such_path();
    };
    match tokio::task::spawn_blocking(move || exposition()).await {
        Ok((content_type, text)) => reply::metrics(content_type, text),
        Err(error) => {
            tracing::error!(target: LOGGER, "metrics cannot be rendered: {error}");
            reply::empty(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

async fn logspec(State(shared): Node, method: Method, request: Request) -> Response<Body> {
    match method {
        Method::GET => reply::spec(&shared.loggers.spec()),
        Method::PUT => set_logspec(&shared, request).await,
        other => reply::bad_request(&reply::wrong_method(&other)),
    }
}

async fn set_logspec(shared: &Shared, request: Request) -> Response<Body> {
    let who = peer(&request).map_or_else(|| "unknown".to_owned(), |peer| peer.remote_addr.to_string());
    let reading = axum::body::to_bytes(request.into_body(), SPEC_BYTES_MAX);
    let body = match tokio::time::timeout(BODY_TIME_MAX, reading).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return reply::bad_request(&error.to_string()),
        Err(_) => return reply::bad_request(&format!("the body has not come within {BODY_TIME_MAX:?}")),
    };
    let set = spec_of(&body).and_then(|spec| shared.loggers.set_spec(&spec));
    match set {
        Ok(()) => {
            let spec = shared.loggers.spec();
            tracing::info!(target: LOGGER, "logging spec is now {spec}, set by {who}");
            reply::empty(StatusCode::NO_CONTENT)
        }
        Err(reason) => reply::bad_request(&reason),
    }
}

/// The spec in a body. As where the reference comes from, the key's case does not matter, a missing one is an empty
/// spec, and what else is there is not looked at.
fn spec_of(body: &Bytes) -> Result<String, String> {
    if body.is_empty() {
        return Err("EOF".to_owned());
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let Value::Object(members) = value else {
        return Err("expected an object such as {\"spec\":\"info\"}".to_owned());
    };
    let spec = members
        .into_iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("spec"));
    match spec.map(|(_, spec)| spec) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(spec)) => Ok(spec),
        Some(other) => Err(format!("spec is {other}, but a text is expected")),
    }
}

/// What `/readyz` is asked.
#[derive(Debug, Default, PartialEq, Eq)]
struct Question {
    /// Only these channels; empty: all.
    channels: Vec<String>,
    /// One ready channel is enough.
    any: bool,
    verbose: bool,
}

async fn readyz(State(shared): Node, method: Method, request: Request) -> Response<Body> {
    if method != Method::GET {
        return reply::empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    let question = match Question::parse(request.uri().query().unwrap_or_default()) {
        Ok(question) => question,
        Err(reason) => return reply::bad_request(&reason),
    };
    if question.verbose && !is_known(&shared, &request) {
        return reply::empty(StatusCode::UNAUTHORIZED);
    }
    let mut report = look(shared).await;
    let verdict = question.ask(&mut report);
    reply::readiness(&report, verdict, question.verbose)
}

/// Reads files and asks file systems, which may hang.
async fn look(shared: Arc<Shared>) -> Report {
    let looking = tokio::task::spawn_blocking(move || judge(shared.facts()));
    match tokio::time::timeout(DISK_TIME_MAX, looking).await {
        Ok(Ok(report)) => report,
        Ok(Err(error)) => blocked(format!("looking at the node failed: {error}")),
        Err(_) => blocked(format!("the disk has not answered within {DISK_TIME_MAX:?}")),
    }
}

fn blocked(reason: String) -> Report {
    Report {
        reasons: vec![Reason::blocking(Code::DiskHangs, reason)],
        disks: Vec::new(),
        certificates: Vec::new(),
        channels: Vec::new(),
    }
}

impl Question {
    /// Channel names have no character that would be escaped.
    fn parse(query: &str) -> Result<Self, String> {
        let mut question = Self::default();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match (name, value) {
                ("channel", name) => question.channels.push(name.to_owned()),
                ("require", "any") => question.any = true,
                ("require", "all") => question.any = false,
                ("verbose", "" | "1" | "true") => question.verbose = true,
                ("verbose", "0" | "false") => question.verbose = false,
                _ => {
                    return Err(format!(
                        "unknown parameter '{parameter}': channel=NAME, require=all, require=any and verbose exist"
                    ));
                }
            }
        }
        Ok(question)
    }

    /// Leaves in `report` what was asked for, and says what comes of it.
    fn ask(&self, report: &mut Report) -> Verdict {
        let is_here = |name: &String| {
            let mut channels = report.channels.iter();
            channels.any(|channel| channel.info.name.as_str() == name)
        };
        let missing: Vec<_> = self.channels.iter().filter(|name| !is_here(name)).collect();
        let missing = missing
            .first()
            .map(|name| format!("channel {name} is not on this node"));
        if !self.channels.is_empty() {
            let channels = &mut report.channels;
            channels.retain(|channel| {
                self.channels
                    .iter()
                    .any(|name| name == channel.info.name.as_str())
            });
        }
        let node_is_ready = report.node_is_ready();
        if let Some(missing) = missing.filter(|_| node_is_ready) {
            let reason = Reason::blocking(Code::NoSuchChannel, missing);
            report.reasons.push(reason);
            return Verdict::NoSuchChannel;
        }
        let ready = report
            .channels
            .iter()
            .filter(|channel| channel.is_ready())
            .count();
        let enough = if self.any {
            ready > 0 || report.channels.is_empty()
        } else {
            ready == report.channels.len()
        };
        if node_is_ready && enough {
            Verdict::Ready
        } else {
            Verdict::NotReady
        }
    }
}

#[cfg(test)]
mod tests;
