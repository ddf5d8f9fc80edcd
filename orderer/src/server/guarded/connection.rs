//! The bytes of a connection, watched; and its end where the client has no manners.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::Manners;
use super::frames::{Frame, Frames, go_away};
use super::pings::Pings;

/// How long the farewell may take to go out, and then the client to close the connection. Closed from here, what it has
/// not read yet might be lost to it.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(1);

/// What gRPC clients look for.
const TOO_MANY_PINGS: &str = "too_many_pings";

/// A connection whose client is watched.
#[derive(Debug)]
pub struct Guarded<S> {
    stream: S,
    manners: Manners,
    incoming: Frames,
    outgoing: Frames,
    pings: Pings,
    /// When what is owed must have come, or the farewell must be out.
    deadline: Option<Pin<Box<Sleep>>>,
    farewell: Farewell,
    /// The writer that waits for the farewell.
    writer: Option<Waker>,
}

#[derive(Debug)]
enum Farewell {
    /// There is none to say.
    None,
    /// So much of it is out.
    Begun { frame: Vec<u8>, sent: usize },
    /// All of it is out; the client closes the connection now.
    Sent,
    /// The connection is over.
    Said,
}

impl<S> Guarded<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    /// Watches a connection that begins now. Must be called within a `tokio` runtime.
    pub fn new(stream: S, manners: Manners) -> Self {
        Self {
            deadline: Some(Box::pin(tokio::time::sleep(manners.preface_time))),
            stream,
            pings: Pings::new(manners.ping_interval_min),
            manners,
            incoming: Frames::of_client(),
            outgoing: Frames::of_server(),
            farewell: Farewell::None,
            writer: None,
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        let (now, pings) = (Instant::now(), &mut self.pings);
        let mut is_too_many = false;
        self.incoming.feed(bytes, |frame| {
            is_too_many |= frame == Frame::Ping && pings.is_too_many(now);
        });
        if is_too_many {
            self.manners.pinged.inc();
            return self.say_farewell(TOO_MANY_PINGS);
        }
        if !self.incoming.is_owing() {
            self.deadline = None;
        } else if self.deadline.is_none() {
            self.deadline = Some(Box::pin(tokio::time::sleep(self.manners.header_time)));
        }
    }

    fn sent(&mut self, bytes: &[u8]) {
        let pings = &mut self.pings;
        self.outgoing.feed(bytes, |frame| {
            if matches!(frame, Frame::Data | Frame::Headers) {
                pings.replied();
            }
        });
    }

    fn say_farewell(&mut self, reason: &str) {
        self.deadline = Some(Box::pin(tokio::time::sleep(FAREWELL_TIME_MAX)));
        self.farewell = Farewell::Begun {
            frame: go_away(reason),
            sent: 0,
        };
    }

    /// True once the time of what is owed is over.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        let deadline = self.deadline.as_mut();
        deadline.is_some_and(|deadline| deadline.as_mut().poll(context).is_ready())
    }

    /// Notices that what is owed has not come.
    fn look_at_the_clock(&mut self, context: &mut Context<'_>) {
        if !matches!(self.farewell, Farewell::None) || !self.is_late(context) {
            return;
        }
        self.manners.slow.inc();
        if self.incoming.is_begun() {
            let time = self.manners.header_time;
            self.say_farewell(&format!("the head of a request took longer than {time:?}"));
        } else {
            // It does not speak HTTP/2, or not at all.
            self.farewell = Farewell::Said;
        }
    }

    /// Sends what is left of the farewell once no other frame is under way.
    fn poll_farewell(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_late(context) && self.outgoing.rest() > 0 {
            return Poll::Pending; // the writer finishes it
        }
        while let Farewell::Begun { frame, sent } = &mut self.farewell {
            if *sent == frame.len() || self.outgoing.rest() > 0 {
                break;
            }
            match Pin::new(&mut self.stream).poll_write(context, &frame[*sent..]) {
                Poll::Ready(Ok(count)) if count > 0 => *sent += count,
                Poll::Ready(_) => break,
                Poll::Pending if self.is_late(context) => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        // What the system takes is not ours to wait for.
        let _ = Pin::new(&mut self.stream).poll_flush(context);
        self.farewell = Farewell::Sent;
        self.deadline = Some(Box::pin(tokio::time::sleep(FAREWELL_TIME_MAX)));
        Poll::Ready(())
    }

    /// Reads on until the client has closed the connection, or takes too long over it.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 1024];
        let mut rest = ReadBuf::new(&mut bytes);
        while !self.is_late(context) {
            rest.clear();
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut rest));
            if read.is_err() || rest.filled().is_empty() {
                break;
            }
        }
        self.farewell = Farewell::Said;
        self.deadline = None;
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
        Poll::Ready(())
    }

    /// How many of `len` bytes may be written now.
    fn poll_room(&mut self, context: &Context<'_>, len: usize) -> Poll<io::Result<usize>> {
        match self.farewell {
            Farewell::None => Poll::Ready(Ok(len)),
            Farewell::Begun { .. } if self.outgoing.rest() > 0 => {
                Poll::Ready(Ok(len.min(self.outgoing.rest())))
            }
            Farewell::Begun { .. } | Farewell::Sent => {
                self.writer = Some(context.waker().clone());
                Poll::Pending
            }
            Farewell::Said => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl<S> AsyncRead for Guarded<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if matches!(this.farewell, Farewell::None) {
            let before = buffer.filled().len();
            let read = Pin::new(&mut this.stream).poll_read(context, buffer)?;
            this.received(&buffer.filled()[before..]);
            this.look_at_the_clock(context);
            if matches!(this.farewell, Farewell::None) {
                return read.map(Ok);
            }
            // What came with it is not looked at any more.
            buffer.set_filled(before);
        }
        if matches!(this.farewell, Farewell::Begun { .. }) {
            ready!(this.poll_farewell(context));
        }
        if matches!(this.farewell, Farewell::Sent) {
            ready!(this.poll_end(context));
        }
        // Nothing more comes.
        Poll::Ready(Ok(()))
    }
}

impl<S> AsyncWrite for Guarded<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let room = ready!(this.poll_room(context, bytes.len()))?;
        let count = ready!(Pin::new(&mut this.stream).poll_write(context, &bytes[..room]))?;
        this.sent(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !matches!(self.farewell, Farewell::None) {
            let first = slices.iter().find(|slice| !slice.is_empty());
            return self.poll_write(context, first.map_or(&[], |slice| slice));
        }
        let this = self.get_mut();
        let count = ready!(Pin::new(&mut this.stream).poll_write_vectored(context, slices))?;
        let mut left = count;
        for slice in slices {
            let taken = left.min(slice.len());
            this.sent(&slice[..taken]);
            left -= taken;
        }
        Poll::Ready(Ok(count))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
