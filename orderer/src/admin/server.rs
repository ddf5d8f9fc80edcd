//! Connections of an HTTP listener (admin, operations): one HTTP/1.1 task each, with time limits, ended together.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::StatusCode;
use http::header::{CONNECTION, CONTENT_TYPE};
use hyper::body::Incoming as RequestBody;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::shutdown;
use crate::tls::{Connection, Incoming};

/// How long requests that are under way may go on once the server is asked to stop.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// Serves `router` until `stop`; then requests under way may finish for a few seconds.
///
/// The listener is closed when this returns.
pub async fn serve(mut incoming: Incoming, router: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let header_time = incoming.header_time();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            next = incoming.accept() => match next {
                Some(connection) => {
                    let router = if connection.is_surplus() { no_room() } else { router.clone() };
                    connections.spawn(serve_connection(connection, router, header_time, stop.clone()));
                }
                None => break,
            },
        }
    }
    drop(incoming);
    if !shutdown::ended(&connections, DRAIN_TIME_MAX).await {
        tracing::warn!("HTTP requests were cut off after {DRAIN_TIME_MAX:?}");
    }
}

/// What is served on a connection that is one too many: that it is, and its end.
fn no_room() -> Router {
    let text =
        r#"{"error":"this listener has as many connections as it may have (General.Limits.Connections)"}"#;
    let headers = [(CONTENT_TYPE, "application/json"), (CONNECTION, "close")];
    Router::new().fallback(move || async move { (StatusCode::SERVICE_UNAVAILABLE, headers, text) })
}

/// An idle connection is kept for as long as the head of a request may take.
async fn serve_connection(
    connection: Connection,
    router: Router,
    header_time: Duration,
    stop: CancellationToken,
) {
    let peer = connection.peer().clone();
    let service = service_fn(move |request: http::Request<RequestBody>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request)
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_time)
        .title_case_headers(true) // as the reference spells them, for scripts that search
        .serve_connection(TokioIo::new(connection), service);
    let mut serving = std::pin::pin!(serving);
    let outcome = tokio::select! {
        outcome = serving.as_mut() => outcome,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!("HTTP connection ended: {error}");
    }
}
