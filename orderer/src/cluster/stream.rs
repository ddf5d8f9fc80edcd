//! One `Cluster/Step` stream after another for one lane, over one connection.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, SendStream};
use http::{HeaderMap, Method, Request, Uri, Version};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Status;

use super::backoff::StreamPauses;
use super::lane::Lane;
use super::link::Shared;
use super::message::Outgoing;
use super::{LOGGER, STEP};

/// Bytes handed to HTTP/2 at a time, so that a long message that is being taken is seen to proceed.
const SLICE_BYTES: usize = 128 << 10;
/// Refusals of the same words are said once within this.
const SAID_TIME: Duration = Duration::from_mins(1);

/// No stream can be opened on the connection any more: it is broken, or used up.
pub(super) struct NoStreams;

/// A peer that was heard of within this may soon take what it refused before.
const RECENT: Duration = Duration::from_secs(2);

/// How a stream ended.
enum Ended {
    /// The lane was closed.
    Closed,
    /// The connection is gone.
    Connection,
    /// The peer ended it.
    ByPeer(Status),
    /// The peer takes nothing from it.
    Stalled,
}

/// Serves `lane` until it is closed, or until no stream can be opened on the connection any more.
pub(super) async fn serve(
    lane: Arc<Lane>,
    requests: SendRequest<Bytes>,
    link: Arc<Shared>,
) -> Result<(), NoStreams> {
    let _working = lane.worked_off();
    let mut pauses = StreamPauses::new();
    loop {
        lane.wanted().await;
        if lane.is_closed() {
            return Ok(());
        }
        let began = Instant::now();
        let ended = carry(&lane, requests.clone(), &link).await;
        let reason = match ended {
            Ended::Closed => return Ok(()),
            Ended::Connection => return Err(NoStreams),
            Ended::ByPeer(status) => format!("{} ({})", status.message(), status.code()),
            Ended::Stalled => {
                link.counters.count_stalled();
                format!("nothing was taken from it for {:?}", link.settings.rpc_timeout)
            }
        };
        lane.ended(true);
        tell(&lane, &link, &reason);
        pause(&mut pauses, began.elapsed(), link.heard()).await;
        lane.ready_again();
    }
}

/// Waits before the next stream, `lived` after the last one's beginning. The pause is short when the peer calls us:
/// it may just have joined the channel, or be about to.
async fn pause(pauses: &mut StreamPauses, lived: Duration, mut heard: watch::Receiver<Option<Instant>>) {
    let is_recent = |heard: &Option<Instant>| heard.is_some_and(|heard| heard.elapsed() < RECENT);
    let shortest = StreamPauses::SHORTEST;
    tokio::time::sleep(shortest).await;
    let rest = pauses.next(lived).saturating_sub(shortest);
    tokio::select! {
        () = tokio::time::sleep(rest) => {}
        Ok(_) = heard.wait_for(is_recent) => {}
    }
}

/// A peer that does not know the channel yet, or us not any more, heals by itself.
fn tell(lane: &Lane, link: &Shared, reason: &str) {
    let text = format!(
        "Stream to consenter {} at {} ended: {reason} channel={}",
        lane.to(),
        link.target,
        lane.channel()
    );
    if link.said.is_news(&text, SAID_TIME, std::time::Instant::now()) {
        tracing::info!(target: LOGGER, "{text}");
    } else {
        tracing::debug!(target: LOGGER, "{text}");
    }
}

/// One stream from its opening to its end.
async fn carry(lane: &Lane, requests: SendRequest<Bytes>, link: &Shared) -> Ended {
    let Ok(mut requests) = requests.ready().await else {
        return Ended::Connection;
    };
    let Ok((response, mut body)) = requests.send_request(request(&link.authority), false) else {
        return Ended::Connection;
    };
    lane.opened();
    let _open = lane.stream_opened();
    tokio::select! {
        biased;
        ended = answer(response) => ended,
        ended = write(lane, &mut body, link.settings.rpc_timeout) => {
            match ended {
                Ended::Stalled => body.send_reset(Reason::CANCEL),
                // A stream that is gone already needs no end.
                Ended::Closed => drop(body.send_data(Bytes::new(), true)),
                Ended::Connection | Ended::ByPeer(_) => {}
            }
            ended
        }
    }
}

fn request(authority: &Uri) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    let mut parts = authority.clone().into_parts();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static(STEP));
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    let headers = request.headers_mut();
    headers.insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/grpc"),
    );
    headers.insert(http::header::TE, http::HeaderValue::from_static("trailers"));
    request
}

/// Ready when the other side ends the stream; it says nothing else on it.
async fn answer(response: ResponseFuture) -> Ended {
    match read_answer(response).await {
        Ok(status) => Ended::ByPeer(status),
        Err(error) if error.is_io() || error.is_go_away() => Ended::Connection,
        Err(error) => Ended::ByPeer(Status::cancelled(error.to_string())),
    }
}

async fn read_answer(response: ResponseFuture) -> Result<Status, h2::Error> {
    let response = response.await?;
    let http_status = response.status();
    if let Some(status) = status_in(response.headers()) {
        return Ok(status);
    }
    let mut body = response.into_body();
    while let Some(chunk) = body.data().await {
        let taken = chunk?.len();
        body.flow_control().release_capacity(taken)?;
    }
    let trailers = body.trailers().await?;
    Ok(trailers.as_ref().and_then(status_in).unwrap_or_else(|| {
        Status::unknown(format!("ended without a gRPC status, HTTP status {http_status}"))
    }))
}

fn status_in(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers)
}

/// Sends what comes into the lane.
async fn write(lane: &Lane, body: &mut SendStream<Bytes>, time_max: Duration) -> Ended {
    let mut outgoing = Outgoing::default();
    loop {
        if !lane.take(&mut outgoing).await {
            return Ended::Closed;
        }
        let (count, began) = (outgoing.count(), Instant::now());
        for piece in outgoing.take() {
            if let Err(ended) = send(body, piece, time_max).await {
                return ended;
            }
        }
        lane.sent(count, began.elapsed());
    }
}

/// Hands `piece` to HTTP/2 as the other side takes it; `time_max` bounds each step, not the whole.
async fn send(body: &mut SendStream<Bytes>, mut piece: Bytes, time_max: Duration) -> Result<(), Ended> {
    while !piece.is_empty() {
        body.reserve_capacity(piece.len().min(SLICE_BYTES));
        if body.capacity() == 0 {
            let room = poll_fn(|context| body.poll_capacity(context));
            match tokio::time::timeout(time_max, room).await {
                Ok(Some(Ok(_))) => continue,
                // The answer, which is awaited beside this, says why.
                Ok(Some(Err(_)) | None) => std::future::pending().await,
                Err(_) => return Err(Ended::Stalled),
            }
        }
        let slice = piece.split_to(body.capacity().min(piece.len()));
        if body.send_data(slice, false).is_err() {
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}
