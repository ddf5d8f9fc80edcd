//! gRPC messages in and out of HTTP/2 bodies, without copying and without decoding them.
//!
//! ```text
//! DATA frames -> Deframer -> MessageStream::next_batch -> handler -> ReplySink -> ReplyBody -> DATA frames, trailers
//! ```
//!
//! What is hashed or signed is always the bytes that came over the wire, so the handlers are given exactly
//! those: a message that lies within one DATA frame is a slice of it. The size limit is checked from the
//! five-byte prefix, before anything is buffered, and a large message must find room first.
//!
//! | module | holds |
//! |---|---|
//! | `messages` | [`MessageStream`]: a request body as messages |
//! | `deframe` | [`Deframer`]: chunks of bytes as messages, no IO |
//! | [`budget`] | [`ReceiveBudget`]: room for large messages, one for the process |
//!
//! Compression is never offered, so a compressed message is an error of the client.

pub mod budget;
mod deframe;
mod messages;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;
use tonic::Status;

use crate::metrics::{Call, Counter};

pub use budget::ReceiveBudget;
pub use deframe::{Deframer, FrameError, PREFIX_BYTES, Pulled};
pub use messages::MessageStream;

enum Reply {
    Data(Bytes),
    End(Box<Status>),
}

/// Where a handler puts its replies; bounded, so a slow client slows its handler.
#[derive(Clone, Debug)]
pub struct ReplySink {
    replies: mpsc::Sender<Reply>,
    sent: Counter,
}

/// The client has gone, or the stream was ended already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("client has gone")]
pub struct ClientGone;

impl ReplySink {
    /// Queues bytes that are framed already: whole messages with their prefixes, or a part of one.
    pub async fn send_framed(&self, bytes: Bytes) -> Result<(), ClientGone> {
        self.replies
            .send(Reply::Data(bytes))
            .await
            .map_err(|_| ClientGone)
    }

    /// Queues `count` whole messages that are framed already.
    pub async fn send_messages(&self, bytes: Bytes, count: usize) -> Result<(), ClientGone> {
        self.send_framed(bytes).await?;
        self.count_sent(count);
        Ok(())
    }

    /// Counts messages that were queued in parts.
    pub fn count_sent(&self, count: usize) {
        self.sent.add(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Queues one message.
    pub async fn send(&self, message: &[u8]) -> Result<(), ClientGone> {
        self.send_messages(framed(message), 1).await
    }

    /// Ends the stream with `status`. Dropping all sinks without it ends it as an internal error.
    pub async fn end(&self, status: Status) {
        // A client that has gone needs no status.
        let _ = self.replies.send(Reply::End(Box::new(status))).await;
    }

    /// Resolves once nobody reads the replies any more.
    pub async fn closed(&self) {
        self.replies.closed().await;
    }
}

/// One message with its prefix.
pub fn framed(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    put_prefix(&mut out, message.len());
    out.put_slice(message);
    out.freeze()
}

/// Writes the prefix of a message of `bytes` bytes, which the protocol cannot express above 4 GiB.
pub fn put_prefix(out: &mut BytesMut, bytes: usize) {
    out.put_u8(0);
    out.put_u32(u32::try_from(bytes).unwrap_or(u32::MAX));
}

/// The body of a response: replies as they come, then the trailers with the status.
#[derive(Debug)]
pub struct ReplyBody {
    replies: mpsc::Receiver<Reply>,
    ended: bool,
    call: Call,
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let status = match ready!(self.replies.poll_recv(cx)) {
            Some(Reply::Data(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
            Some(Reply::End(status)) => *status,
            None => Status::internal("the handler of this stream stopped"),
        };
        self.ended = true;
        self.call.end(status.code());
        Poll::Ready(Some(Ok(Frame::trailers(trailers(&status)))))
    }

    /// Lets a refusal's headers end the stream. With an empty data frame behind them, clients that go by the
    /// letter (grpc-js) take them for headers of a reply, and miss the status.
    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from_static("13"));
    }
    trailers
}

/// A sink for up to `replies_max` queued replies, and the response that carries them; `call` ends with it.
pub fn reply_channel(replies_max: usize, call: Call) -> (ReplySink, Response<ReplyBody>) {
    let (sender, replies) = mpsc::channel(replies_max);
    let sent = call.method().messages_sent().clone();
    let mut response = Response::new(ReplyBody {
        replies,
        ended: false,
        call,
    });
    let content_type = HeaderValue::from_static("application/grpc");
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, content_type);
    let sink = ReplySink {
        replies: sender,
        sent,
    };
    (sink, response)
}

/// A response without messages, for calls that are refused before they begin.
pub fn refusal(status: &Status, mut call: Call) -> Response<ReplyBody> {
    call.end(status.code());
    let (sink, mut response) = reply_channel(1, call);
    drop(sink);
    response.body_mut().ended = true;
    let headers = response.headers_mut();
    headers.extend(trailers(status));
    response
}

/// Reads a whole reply body back: what tests of the handlers look at.
#[cfg(test)]
pub(crate) async fn collect(response: Response<ReplyBody>) -> (Vec<Bytes>, tonic::Code) {
    use http_body_util::BodyExt as _;

    let mut trailing = response.headers().clone();
    let mut body = response.into_body();
    let mut deframer = Deframer::new(usize::MAX);
    while let Some(Ok(frame)) = body.frame().await {
        match frame.into_data() {
            Ok(data) => deframer.push(data),
            Err(frame) => trailing.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let messages = std::iter::from_fn(|| match deframer.pull().unwrap() {
        Pulled::Message(message) => Some(message),
        Pulled::Large(_) | Pulled::Incomplete => None,
    })
    .collect();
    let status = Status::from_header_map(&trailing).expect("a status");
    (messages, status.code())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    #[tokio::test]
    async fn replies_and_status_reach_the_body_in_order() {
        let (sink, response) = reply_channel(4, Call::unseen());
        sink.send(b"x").await.unwrap();
        sink.send(b"y").await.unwrap();
        sink.end(Status::ok("")).await;
        let (messages, code) = collect(response).await;
        assert_eq!(
            (messages, code),
            (vec![Bytes::from("x"), Bytes::from("y")], tonic::Code::Ok)
        );
    }

    #[tokio::test]
    async fn the_headers_of_a_refusal_end_the_stream() {
        let response = refusal(&Status::invalid_argument("no"), Call::unseen());
        assert!(response.body().is_end_stream());
        assert_eq!(
            collect(response).await,
            (Vec::new(), tonic::Code::InvalidArgument)
        );
        let (_sink, response) = reply_channel(1, Call::unseen());
        assert!(!response.body().is_end_stream());
    }

    #[tokio::test]
    async fn a_handler_that_stops_without_a_status_is_an_internal_error() {
        let (sink, response) = reply_channel(4, Call::unseen());
        drop(sink);
        assert_eq!(collect(response).await.1, tonic::Code::Internal);
    }

    #[tokio::test]
    async fn a_refusal_has_its_status_in_the_headers() {
        let response = refusal(&Status::unimplemented("no such method"), Call::unseen());
        assert_eq!(response.headers()[Status::GRPC_STATUS], "12");
        let body = response.into_body().collect().await.unwrap();
        assert!(body.to_bytes().is_empty());
    }
}
