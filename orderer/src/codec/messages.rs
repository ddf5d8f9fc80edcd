//! The messages of one request body.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tonic::Status;

use super::budget::{ReceiveBudget, hold};
use super::deframe::{Deframer, FrameError, Pulled};
use crate::metrics::Counter;

/// The messages of one request body.
#[derive(Debug)]
pub struct MessageStream<B> {
    body: B,
    deframer: Deframer,
    budget: ReceiveBudget,
    /// Whether a large message keeps its room after it was received.
    keeps_room: bool,
    ended: bool,
    /// Counts messages that were handed out.
    received: Counter,
}

/// Why a batch is handed out.
enum Cut {
    /// It is what was there, or at its limit.
    Batch,
    /// A large message of so many bytes comes next.
    Large(usize),
}

/// A batch that grows, and its limits.
struct Batch<'a> {
    messages: &'a mut Vec<Bytes>,
    bytes: usize,
    count_max: usize,
    bytes_max: usize,
}

impl Batch<'_> {
    fn push(&mut self, message: Bytes) {
        self.bytes += message.len();
        self.messages.push(message);
    }

    fn is_full(&self) -> bool {
        self.messages.len() >= self.count_max || self.bytes >= self.bytes_max
    }
}

impl<B> MessageStream<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    /// Reads messages of at most `bytes_max` bytes out of `body`; large ones need room in `budget`.
    pub fn new(body: B, bytes_max: usize, budget: ReceiveBudget) -> Self {
        Self {
            body,
            deframer: Deframer::new(bytes_max),
            budget,
            keeps_room: true,
            ended: false,
            received: Counter::default(),
        }
    }

    /// Counts messages into `received`, once for each batch.
    #[must_use]
    pub fn counting(mut self, received: &Counter) -> Self {
        self.received = received.clone();
        self
    }

    /// Large messages give their room back once they are received, and not with their last reference: for receivers
    /// that are bounded by themselves, and must not wait for what others hold.
    #[must_use]
    pub fn with_room_while_receiving(mut self) -> Self {
        self.keeps_room = false;
        self
    }

    /// The next message; none at the client's half-close.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let mut batch = Vec::with_capacity(1);
        self.next_batch(&mut batch, 1, usize::MAX).await?;
        Ok(batch.pop())
    }

    /// Waits for one message, then adds to `batch` all that are there already, until it holds `count_max`
    /// messages or `bytes_max` bytes (the last one may reach past that). A large message is a batch of its own.
    /// Nothing is added at the client's half-close.
    ///
    /// Dropping the future ends the stream: what it had of a large message is lost.
    ///
    /// # Errors
    /// What is wrong with the stream; messages before the fault were handed out by earlier calls or stand in `batch`.
    pub async fn next_batch(
        &mut self,
        batch: &mut Vec<Bytes>,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<(), Status> {
        let before = batch.len();
        let read = self.read_batch(batch, count_max, bytes_max).await;
        let came = batch.len() - before;
        self.received.add(u64::try_from(came).unwrap_or(u64::MAX));
        read
    }

    async fn read_batch(
        &mut self,
        batch: &mut Vec<Bytes>,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<(), Status> {
        let mut small = Batch {
            messages: batch,
            bytes: 0,
            count_max,
            bytes_max,
        };
        let cut = std::future::poll_fn(|cx| self.poll_batch(cx, &mut small)).await?;
        match cut {
            // Its room is taken only now, when nothing keeps the handler from taking the whole of it.
            Cut::Large(bytes) if batch.is_empty() => batch.push(self.receive_large(bytes).await?),
            Cut::Large(_) | Cut::Batch => {}
        }
        Ok(())
    }

    fn poll_batch(&mut self, cx: &mut Context<'_>, batch: &mut Batch<'_>) -> Poll<Result<Cut, Status>> {
        loop {
            match self.deframer.pull()? {
                Pulled::Message(message) => batch.push(message),
                Pulled::Large(bytes) => return Poll::Ready(Ok(Cut::Large(bytes))),
                Pulled::Incomplete if self.ended => {
                    self.deframer.finish()?;
                    return Poll::Ready(Ok(Cut::Batch));
                }
                Pulled::Incomplete => match self.poll_chunk(cx) {
                    Poll::Ready(received) => received?,
                    Poll::Pending if batch.messages.is_empty() => return Poll::Pending,
                    Poll::Pending => return Poll::Ready(Ok(Cut::Batch)),
                },
            }
            if batch.is_full() {
                return Poll::Ready(Ok(Cut::Batch));
            }
        }
    }

    /// Takes the next chunk of the body, or notes its end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => self.push(frame),
            Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(broken(&error))),
            Poll::Ready(None) => self.ended = true,
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(Ok(()))
    }

    fn push(&mut self, frame: Frame<Bytes>) {
        if let Ok(chunk) = frame.into_data() {
            self.deframer.push(chunk);
        }
    }

    /// Takes room for the large message that comes next, then the message.
    async fn receive_large(&mut self, bytes: usize) -> Result<Bytes, Status> {
        let share = self.budget.take(bytes).await?;
        let mut message = Vec::new();
        message
            .try_reserve_exact(bytes)
            .map_err(|error| Status::resource_exhausted(format!("no memory for {bytes} bytes: {error}")))?;
        let mut pace = self.budget.pace();
        loop {
            if self.deframer.pull_large(&mut message) {
                return Ok(if self.keeps_room {
                    hold(message, share)
                } else {
                    Bytes::from(message)
                });
            }
            if self.ended {
                return Err(FrameError::Truncated.into());
            }
            tokio::select! {
                biased;
                received = std::future::poll_fn(|cx| self.poll_chunk(cx)) => received?,
                () = pace.window_end() => pace.next_window(message.len(), bytes, self.budget.is_wanted())?,
            }
        }
    }
}

fn broken(error: &impl std::fmt::Display) -> Status {
    Status::cancelled(format!("request stream broke: {error}"))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use futures::FutureExt as _;
    use futures::stream::{self, StreamExt as _};
    use http_body_util::StreamBody;

    use super::super::budget::LARGE_BYTES_MIN;
    use super::super::framed;
    use super::*;

    fn body_of(chunks: Vec<Bytes>) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        StreamBody::new(stream::iter(chunks).map(|chunk| Ok(Frame::data(chunk))))
    }

    fn stream_of(chunks: Vec<Bytes>) -> MessageStream<impl Body<Data = Bytes, Error = Infallible> + Unpin> {
        MessageStream::new(body_of(chunks), usize::MAX, ReceiveBudget::default())
    }

    #[tokio::test]
    async fn a_batch_is_what_is_ready_up_to_its_limits() {
        let chunks = vec![
            [framed(b"a"), framed(b"b"), framed(b"c")].concat().into(),
            framed(b"d"),
        ];
        let mut stream = stream_of(chunks);
        let mut sizes = Vec::new();
        for (count_max, bytes_max) in [(2, 100), (100, 1), (100, 100), (100, 100)] {
            let mut batch = Vec::new();
            stream.next_batch(&mut batch, count_max, bytes_max).await.unwrap();
            sizes.push(batch.len());
        }
        assert_eq!(sizes, [2, 1, 1, 0]);
    }

    #[tokio::test]
    async fn a_large_message_comes_whole_and_alone() {
        let large = vec![5; LARGE_BYTES_MIN + 1];
        let all = Bytes::from([&framed(b"a"), &framed(&large), &framed(b"b")[..]].concat());
        for step in [1000, LARGE_BYTES_MIN, all.len()] {
            let chunks = all.chunks(step).map(Bytes::copy_from_slice).collect();
            let mut stream = stream_of(chunks);
            for expected in [&b"a"[..], &large, b"b"] {
                let mut batch = Vec::new();
                stream.next_batch(&mut batch, 100, 1 << 30).await.unwrap();
                assert_eq!(batch, [expected], "chunks of {step}");
            }
            assert_eq!(stream.next().await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_large_message_that_ends_early_is_truncated() {
        let cut = framed(&vec![5; LARGE_BYTES_MIN + 1]).slice(..LARGE_BYTES_MIN);
        let error = stream_of(vec![cut]).next().await.unwrap_err();
        assert_eq!(error.code(), tonic::Code::Internal);
        assert_eq!(error.message(), "request ended within a message");
    }

    #[tokio::test]
    async fn room_comes_back_once_a_message_is_received_where_that_is_asked_for() {
        let bytes = LARGE_BYTES_MIN + 1;
        let budget = ReceiveBudget::of_bytes(u32::try_from(bytes).unwrap());
        let body = body_of(vec![framed(&vec![6; bytes])]);
        let mut stream = MessageStream::new(body, usize::MAX, budget.clone()).with_room_while_receiving();
        let held = stream.next().await.unwrap().unwrap();
        assert!(budget.take(bytes).now_or_never().is_some());
        assert_eq!(held.len(), bytes);
    }

    #[tokio::test]
    async fn a_large_message_that_stalls_loses_its_room_to_one_that_waits() {
        let bytes = LARGE_BYTES_MIN + 1;
        let room = u32::try_from(bytes).unwrap();
        let budget = ReceiveBudget::of_bytes(room).with_pace_window(Duration::from_millis(50));
        let first_frame = stream::iter([framed(&vec![5; bytes]).slice(..1000)]);
        let stalled = first_frame.chain(stream::pending());
        let stalled = StreamBody::new(stalled.map(|chunk| Ok::<_, Infallible>(Frame::data(chunk))));
        let mut stalled = MessageStream::new(stalled, usize::MAX, budget.clone());
        let whole = body_of(vec![framed(&vec![6; bytes])]);
        let mut whole = MessageStream::new(whole, usize::MAX, budget);
        let (given_up, received) = tokio::join!(stalled.next(), async {
            tokio::task::yield_now().await;
            whole.next().await
        });
        let given_up = given_up.unwrap_err();
        assert_eq!(given_up.code(), tonic::Code::ResourceExhausted);
        assert!(given_up.message().contains("too slowly"), "{given_up}");
        assert_eq!(received.unwrap().map(|message| message.len()), Some(bytes));
    }
}
