//! Connections to an orderer: address, TCP, TLS, HTTP/2 with windows wide enough for blocks.

mod transport;

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_stream::Stream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use crate::codec::RawCodec;
use crate::tls::{ClientTls, TlsError};
use transport::{Plain, Transport};

/// How long TCP and TLS may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a server that is spoken to in plain text may take for the first byte of its answer.
const FIRST_ANSWER_TIME_MAX: Duration = Duration::from_secs(1);
/// Bytes a server may send ahead on one stream: a few large blocks, so that a fetch does not wait on acks.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// The same for all streams of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;
/// How often a connection with open streams is pinged. Orderers turn away who pings more than once in 60 s
/// (`docs/spec/behaviour.md` §10.2, `ServerMinInterval`).
const PING_INTERVAL: Duration = Duration::from_secs(75);
/// A connection without an answer for so long is dead: a stream that only receives would never notice otherwise.
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Largest message taken; an orderer's own limit is the same by default (`docs/spec/behaviour.md` §1.2).
const MESSAGE_BYTES_MAX: usize = 100 << 20;

/// Where a server listens: `host:port`. A scheme in front (`grpcs://`, `https://`) is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

/// A text that is no [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address; it should look like orderer.example.com:7050")]
pub struct AddressError(String);

impl Address {
    /// Name or IP address; IPv6 without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The same port under another name.
    pub(crate) fn with_host(&self, host: &str) -> Self {
        Self {
            host: host.to_owned(),
            port: self.port,
        }
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
        let refuse = || AddressError(text.to_owned());
        let (host, port) = bare.rsplit_once(':').ok_or_else(refuse)?;
        let unbracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let host = unbracketed.unwrap_or(host);
        if host.is_empty() || host.contains('/') || (host.contains(':') && unbracketed.is_none()) {
            return Err(refuse());
        }
        Ok(Self {
            host: host.to_owned(),
            port: port.parse().map_err(|_| refuse())?,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", HostPort(&self.host, self.port))
    }
}

/// A host and a TCP port, printed as they are written together: an IPv6 address stands in brackets.
#[derive(Clone, Copy, Debug)]
pub struct HostPort<'a>(pub &'a str, pub u16);

impl fmt::Display for HostPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(host, port) = self;
        if host.contains(':') {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers there.
    #[error("cannot connect to {address}: {source}")]
    Tcp {
        /// Who was dialled.
        address: Address,
        /// What the system said.
        source: io::Error,
    },
    /// One side did not accept the other in TLS.
    #[error("TLS with {address} failed: {source}")]
    Tls {
        /// Who was dialled.
        address: Address,
        /// What TLS said.
        source: io::Error,
    },
    /// The host cannot be a certificate's name.
    #[error(transparent)]
    Name(#[from] TlsError),
    /// No answer in time.
    #[error("no answer from {address} within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout {
        /// Who was dialled.
        address: Address,
    },
    /// The server does not speak HTTP/2.
    #[error("no HTTP/2 with {address}: {reason}")]
    Http {
        /// Who was dialled.
        address: Address,
        /// What went wrong.
        reason: String,
    },
}

/// Where to dial and how. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server.
    pub address: Address,
    /// None: plain text.
    pub tls: Option<ClientTls>,
}

/// One HTTP/2 connection. Clones share it; when it broke, the next stream dials again.
#[derive(Clone, Debug)]
pub struct Connection {
    channel: Channel,
    certificate_hash: Option<Bytes>,
    server_certificate: Option<Bytes>,
}

impl Target {
    /// Dials and returns once HTTP/2 may be spoken.
    pub async fn connect(&self) -> Result<Connection, ConnectError> {
        let mut first = self.dial_in_time().await?;
        let server_certificate = first.inner().server_certificate();
        let answer = first.inner_mut().first_byte();
        let channel = self.channel(first).await?;
        if let Some(answer) = answer {
            self.check(answer).await?;
        }
        Ok(Connection {
            channel,
            server_certificate,
            certificate_hash: self.tls.as_ref().and_then(|tls| tls.certificate_hash().cloned()),
        })
    }

    /// Finds out at once what would otherwise look like a connection that breaks again and again. A server that takes its
    /// time is given the benefit of the doubt.
    async fn check(&self, first_byte: oneshot::Receiver<u8>) -> Result<(), ConnectError> {
        let answer = tokio::time::timeout(FIRST_ANSWER_TIME_MAX, first_byte).await;
        let Ok(Ok(byte)) = answer else { return Ok(()) };
        match transport::fault(byte) {
            None => Ok(()),
            Some(fault) => Err(ConnectError::Http {
                address: self.address.clone(),
                reason: fault.to_owned(),
            }),
        }
    }

    /// HTTP/2 over `first`, and over newly dialled connections later.
    async fn channel(&self, first: TokioIo<Box<dyn Transport>>) -> Result<Channel, ConnectError> {
        let first = Arc::new(Mutex::new(Some(first)));
        let target = self.clone();
        let connector = tower::service_fn(move |_| {
            let (first, target) = (first.clone(), target.clone());
            async move {
                let ready = first.lock().take();
                match ready {
                    Some(stream) => Ok(stream),
                    None => target.dial_in_time().await,
                }
            }
        });
        let http = |error: &(dyn std::error::Error + 'static)| ConnectError::Http {
            address: self.address.clone(),
            reason: innermost(error),
        };
        Endpoint::from_shared(format!("http://{}", self.address))
            .map_err(|error| http(&error))?
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_adaptive_window(false)
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .connect_with_connector(connector)
            .await
            .map_err(|error| http(&error))
    }

    /// Dials and returns the bytes in both directions, for whoever speaks HTTP/2 on them himself.
    pub async fn open(&self) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<>, ConnectError> {
        self.dial_in_time().await.map(TokioIo::into_inner)
    }

    async fn dial_in_time(&self) -> Result<TokioIo<Box<dyn Transport>>, ConnectError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.dial()).await {
            Ok(dialled) => dialled.map(TokioIo::new),
            Err(_) => Err(ConnectError::Timeout {
                address: self.address.clone(),
            }),
        }
    }

    async fn dial(&self) -> Result<Box<dyn Transport>, ConnectError> {
        let Address { host, port } = &self.address;
        let address = || self.address.clone();
        let tcp = TcpStream::connect((host.as_str(), *port))
            .await
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|source| ConnectError::Tcp {
                address: address(),
                source,
            })?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(Plain::from(tcp)));
        };
        let name = tls.name_for(host)?;
        let stream = TlsConnector::from(Arc::new(tls.config_for("h2")))
            .connect(name, tcp)
            .await
            .map_err(|source| ConnectError::Tls {
                address: address(),
                source,
            })?;
        Ok(Box::new(stream))
    }
}

impl Connection {
    /// SHA-256 of the client certificate shown on this connection.
    pub fn certificate_hash(&self) -> Option<&Bytes> {
        self.certificate_hash.as_ref()
    }

    /// The certificate that the server showed when this connection was made first, in DER; none without TLS.
    pub fn server_certificate(&self) -> Option<&Bytes> {
        self.server_certificate.as_ref()
    }

    /// Starts one stream of raw messages in both directions. Resolves when the server's headers are in,
    /// which may be no earlier than its first answer.
    pub(crate) async fn stream(
        &self,
        path: &'static str,
        request: Request<impl Stream<Item = Bytes> + Send + 'static>,
    ) -> Result<Streaming<Bytes>, Status> {
        let mut grpc =
            tonic::client::Grpc::new(self.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        grpc.ready()
            .await
            .map_err(|error| Status::unavailable(innermost(&error)))?;
        let path = PathAndQuery::from_static(path);
        grpc.streaming(request, path, RawCodec)
            .await
            .map(Response::into_inner)
    }
}

/// What a gRPC failure says, in one clause.
pub(crate) fn describe(status: &Status) -> String {
    match std::error::Error::source(status) {
        Some(cause) => innermost(cause),
        None => format!("{} ({})", status.message(), status.code()),
    }
}

/// The first cause, which says more than the layers around it.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match cause.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset) => {
            "the connection was cut".into()
        }
        _ => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        for (text, host, port) in [
            ("localhost:7050", "localhost", 7050),
            ("grpcs://o1.example.com:443", "o1.example.com", 443),
            ("[::1]:7050", "::1", 7050),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!((address.host(), address.port()), (host, port));
            assert_eq!(address.to_string().parse::<Address>().unwrap(), address);
        }
        for bad in ["", "localhost", ":7050", "a:b", "a:70000", "::1:7050", "a/b:1"] {
            assert!(bad.parse::<Address>().is_err(), "{bad} was taken");
        }
    }

    #[tokio::test]
    async fn a_closed_port_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
        drop(listener);
        let target = Target {
            address: address.clone(),
            tls: None,
        };
        let error = target.connect().await.unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }

    /// A server that answers whatever comes with `answer`, and keeps the connection.
    async fn connect_to(answer: &[u8]) -> Result<Connection, ConnectError> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: Address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let answer = answer.to_vec();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut preface = [0; 24];
            stream.read_exact(&mut preface).await.unwrap();
            stream.write_all(&answer).await.unwrap();
            std::future::pending::<()>().await;
        });
        Target { address, tls: None }.connect().await
    }

    #[tokio::test]
    async fn a_server_that_wants_tls_or_speaks_http_1_is_told_apart_at_once() {
        let (alert, line): (&[u8], &[u8]) = (&[0x15, 3, 3, 0, 2, 2, 70], b"HTTP/1.1 400 Bad Request\r\n\r\n");
        for (answer, told) in [(alert, "it wants TLS"), (line, "it speaks HTTP/1")] {
            let error = connect_to(answer).await.unwrap_err().to_string();
            assert!(
                error.starts_with("no HTTP/2 with 127.0.0.1:") && error.ends_with(told),
                "{error}"
            );
        }
        let settings = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
        connect_to(settings).await.unwrap();
    }
}
