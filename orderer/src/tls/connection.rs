//! One connection, encrypted or not, and what is known about its other side.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::server::TlsStream;

/// A connection that is ready for its protocol. Goes into tonic and hyper alike.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    peer: Peer,
    /// None: nobody counts connections here.
    place: Option<Place>,
}

/// A connection's place among those that its listener lets in, held for as long as it lives.
#[derive(Debug)]
pub enum Place {
    /// It is served.
    Served(OwnedSemaphorePermit),
    /// It is one too many, and only told so.
    Surplus(OwnedSemaphorePermit),
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// The other side of a connection. Handlers find it in the request's extensions.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Address and port it comes from.
    pub remote_addr: SocketAddr,
    /// What it showed, its own certificate first, in DER; empty: nothing, or no TLS. Whether any of it was
    /// verified depends on the listener ([`ClientCertificates`](super::ClientCertificates)).
    pub certificates: Arc<[CertificateDer<'static>]>,
}

impl Peer {
    /// The client's own certificate in DER, if it showed one.
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificates.first().map(AsRef::as_ref)
    }
}

impl Connection {
    /// A connection without TLS.
    pub(super) fn plain(stream: TcpStream) -> io::Result<Self> {
        let peer = Peer {
            remote_addr: stream.peer_addr()?,
            certificates: Arc::from([]),
        };
        Ok(Self {
            stream: Stream::Plain(stream),
            peer,
            place: None,
        })
    }

    /// A connection after its handshake.
    pub(super) fn tls(stream: TlsStream<TcpStream>) -> io::Result<Self> {
        let (tcp, session) = stream.get_ref();
        let peer = Peer {
            remote_addr: tcp.peer_addr()?,
            certificates: Arc::from(session.peer_certificates().unwrap_or_default()),
        };
        Ok(Self {
            stream: Stream::Tls(Box::new(stream)),
            peer,
            place: None,
        })
    }

    pub(super) fn take_place(&mut self, place: Place) {
        self.place = Some(place);
    }

    /// True for a connection that is one too many: whoever serves it only says so.
    pub fn is_surplus(&self) -> bool {
        matches!(self.place, Some(Place::Surplus(_)))
    }

    /// The other side.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl tonic::transport::server::Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Plain(stream) => stream.is_write_vectored(),
            Stream::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
