//! TCP, with or without TLS on it.
//!
//! Without TLS nothing in the handshake says whom one has reached. The first byte of the answer does: an HTTP/2 server
//! begins with a frame, one that wants TLS with an alert, one of HTTP/1 with a status line.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::client::TlsStream;

/// First byte of a TLS alert.
const TLS_ALERT: u8 = 0x15;
/// First byte of `HTTP/1.1`.
const STATUS_LINE: u8 = b'H';

/// Bytes in both directions.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {
    /// What the server showed, in DER.
    fn server_certificate(&self) -> Option<Bytes> {
        None
    }

    /// The first byte that the server answers with, once it comes. None where TLS has told already.
    fn first_byte(&mut self) -> Option<oneshot::Receiver<u8>> {
        None
    }
}

impl Transport for TlsStream<TcpStream> {
    fn server_certificate(&self) -> Option<Bytes> {
        let shown = self.get_ref().1.peer_certificates()?;
        shown.first().map(|leaf| Bytes::copy_from_slice(leaf))
    }
}

/// Why a server whose answer begins like this speaks no HTTP/2.
pub(super) fn fault(first_byte: u8) -> Option<&'static str> {
    match first_byte {
        TLS_ALERT => Some("it wants TLS"),
        STATUS_LINE => Some("it speaks HTTP/1"),
        _ => None,
    }
}

/// A connection in plain text that tells of the first byte it reads.
pub(super) struct Plain {
    tcp: TcpStream,
    first: Option<oneshot::Sender<u8>>,
}

impl From<TcpStream> for Plain {
    fn from(tcp: TcpStream) -> Self {
        Self { tcp, first: None }
    }
}

impl Transport for Plain {
    fn first_byte(&mut self) -> Option<oneshot::Receiver<u8>> {
        let (sender, receiver) = oneshot::channel();
        self.first = Some(sender);
        Some(receiver)
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let polled = Pin::new(&mut self.tcp).poll_read(context, into);
        if let Some(byte) = into.filled().get(before)
            && let Some(first) = self.first.take()
        {
            let _ = first.send(*byte); // whoever asked may have stopped waiting
        }
        polled
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(context)
    }
}
