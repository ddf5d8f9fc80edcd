//! HTTP/2 connections of the gRPC listeners.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming as RequestBody;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::LOGGER;
use super::guarded::{Guarded, Manners};
use super::routes::{self, Serve};
use crate::config::Keepalive;
use crate::shutdown;
use crate::tls::{Connection, Incoming};

/// Bytes a client may send on one stream ahead of what the handler has taken. That much memory a stream costs while
/// its handler waits; at 50 ms of round trip it still lets 20 MiB/s through.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// And on all streams of a connection. Streams whose handlers wait must not fill it for the others.
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// Largest HTTP/2 frame taken. Messages within one frame are not copied.
const FRAME_BYTES_MAX: u32 = 64 << 10;
/// Bytes of replies buffered for one stream before its handler waits.
const SEND_BUFFER_BYTES: usize = 1 << 20;
/// How long calls under way may go on once the listener stops.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a connection that is one too many is kept to be told so.
const SURPLUS_TIME_MAX: Duration = Duration::from_secs(5);

/// Settings of the connections.
#[derive(Clone, Debug)]
pub struct Http2 {
    /// Pings of idle connections.
    pub keepalive: Keepalive,
    /// Calls under way on one connection; clients wait with any more.
    pub streams_max: u32,
    /// What clients may do.
    pub manners: Manners,
}

impl Http2 {
    fn builder(&self) -> Builder<TokioExecutor> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(self.streams_max)
            .max_frame_size(FRAME_BYTES_MAX)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .keep_alive_interval(self.keepalive.server_interval)
            .keep_alive_timeout(self.keepalive.server_timeout);
        builder
    }
}

/// Serves connections until `stop`; then calls under way may finish for a short while.
///
/// Each connection is a task of `connections`. The listener is closed when this returns.
pub async fn serve(
    mut incoming: Incoming,
    http2: Http2,
    routes: impl Serve,
    connections: TaskTracker,
    stop: CancellationToken,
) {
    let builder = http2.builder();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            next = incoming.accept() => match next {
                Some(connection) if connection.is_surplus() => {
                    connections.spawn(refuse_connection(connection, builder.clone(), http2.manners.clone()));
                }
                Some(connection) => {
                    let manners = http2.manners.clone();
                    let serving =
                        serve_connection(connection, builder.clone(), manners, routes.clone(), stop.clone());
                    connections.spawn(serving);
                }
                None => break,
            },
        }
    }
    drop(incoming);
    if !shutdown::ended(&connections, DRAIN_TIME_MAX).await {
        tracing::info!(target: LOGGER, "calls still under way were cut off after {DRAIN_TIME_MAX:?}");
    }
}

async fn serve_connection(
    connection: Connection,
    builder: Builder<TokioExecutor>,
    manners: Manners,
    routes: impl Serve,
    stop: CancellationToken,
) {
    let _open = routes.connected();
    let peer = connection.peer().clone();
    let address = peer.remote_addr;
    let service = service_fn(move |request: Request<RequestBody>| {
        let (routes, peer) = (routes.clone(), peer.clone());
        async move { Ok::<_, Infallible>(routes.serve(request, &peer).await) }
    });
    let guarded = TokioIo::new(Guarded::new(connection, manners));
    let mut serving = std::pin::pin!(builder.serve_connection(guarded, service));
    let outcome = tokio::select! {
        outcome = serving.as_mut() => outcome,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(target: LOGGER, "connection from {address} ended: {error}");
    }
}

/// Answers the first call of a connection for which there is no room, and ends it. Clients try again, or elsewhere.
async fn refuse_connection(connection: Connection, builder: Builder<TokioExecutor>, manners: Manners) {
    tracing::debug!(target: LOGGER, "no room for the connection from {}", connection.peer().remote_addr);
    let answered = Arc::new(Notify::new());
    let service = service_fn(|_: Request<RequestBody>| {
        answered.notify_one();
        async { Ok::<_, Infallible>(routes::too_many_connections()) }
    });
    let guarded = TokioIo::new(Guarded::new(connection, manners));
    let mut serving = std::pin::pin!(builder.serve_connection(guarded, service));
    let told = async {
        tokio::select! {
            ended = serving.as_mut() => drop(ended),
            () = answered.notified() => {
                serving.as_mut().graceful_shutdown();
                // However it ends, it has ended.
                drop(serving.await);
            }
        }
    };
    // A client that asks for nothing has nothing to be told.
    let _ = tokio::time::timeout(SURPLUS_TIME_MAX, told).await;
}
