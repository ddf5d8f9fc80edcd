//! One outgoing connection: TCP, TLS to the expected key, HTTP/2.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::HostPort;
use h2::client::{Builder, Connection, SendRequest};
use rustls::pki_types::{CertificateDer, ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client_tls::{ClientTls, Pinned};
use super::tls_key::TlsKey;

/// Streams we open before the other side has said how many it takes. Ours take 1024 on a connection.
const STREAMS_BEFORE_SETTINGS: usize = 1024;
/// Bytes of one stream that may wait in HTTP/2 beyond what the other side lets in.
const STREAM_SEND_BUFFER_BYTES: usize = 256 << 10;
/// Idle connections are probed by the system after this, so that one whose other side is gone is found out.
const TCP_IDLE_TIME: Duration = Duration::from_secs(10);

/// Who is called, and whom we expect there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    /// Name or address.
    pub(super) host: String,
    /// TCP port.
    pub(super) port: u16,
    /// The server must show this key.
    pub(super) key: TlsKey,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", HostPort(&self.host, self.port))
    }
}

/// Bounds of an outgoing connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// On TCP, TLS and the first of HTTP/2 together.
    pub(super) dial: Duration,
    /// On bytes that the other side's machine does not acknowledge.
    pub(super) unacknowledged: Duration,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("cannot connect to {target}: {source}")]
    Tcp { target: Target, source: io::Error },
    #[error(
        "{target} shows another public key than the channel config has for it: expected {}, presented {presented}",
        .target.key
    )]
    OtherKey { target: Target, presented: String },
    #[error("TLS with {target} failed: {source}; it presented {presented}")]
    Tls {
        target: Target,
        presented: String,
        source: io::Error,
    },
    #[error("cannot verify {target}: {reason}")]
    Unverifiable { target: Target, reason: String },
    #[error("no HTTP/2 with {target}: {source}")]
    Http { target: Target, source: h2::Error },
    #[error("no answer from {target} within {within:?}")]
    Timeout { target: Target, within: Duration },
}

/// A connection that nothing was sent on yet. The second half must be polled for the first to work.
pub(super) struct Dialled {
    pub(super) requests: SendRequest<Bytes>,
    pub(super) connection: Connection<TlsStream<TcpStream>, Bytes>,
    /// The server's certificate.
    pub(super) certificate: Option<CertificateDer<'static>>,
}

/// Connects to `target`.
pub(super) async fn dial(target: &Target, tls: &ClientTls, bounds: Bounds) -> Result<Dialled, DialError> {
    match tokio::time::timeout(bounds.dial, connect(target, tls, bounds)).await {
        Ok(dialled) => dialled,
        Err(_) => Err(DialError::Timeout {
            target: target.clone(),
            within: bounds.dial,
        }),
    }
}

async fn connect(target: &Target, tls: &ClientTls, bounds: Bounds) -> Result<Dialled, DialError> {
    let unverifiable = |reason: String| DialError::Unverifiable {
        target: target.clone(),
        reason,
    };
    let name = ServerName::try_from(target.host.clone())
        .map_err(|_| unverifiable(format!("{:?} is no server name", target.host)))?;
    let (config, pinned) = tls
        .expecting(target.key.clone())
        .map_err(|error| unverifiable(error.to_string()))?;
    let tcp = TcpStream::connect((target.host.as_str(), target.port))
        .await
        .and_then(|stream| prepare(&stream, bounds).map(|()| stream))
        .map_err(|source| DialError::Tcp {
            target: target.clone(),
            source,
        })?;
    let stream = TlsConnector::from(config)
        .connect(name, tcp)
        .await
        .map_err(|source| tls_error(target, &pinned, source))?;
    let (requests, connection) = http2()
        .handshake(stream)
        .await
        .map_err(|source| DialError::Http {
            target: target.clone(),
            source,
        })?;
    Ok(Dialled {
        requests,
        connection,
        certificate: pinned.presented(),
    })
}

fn http2() -> Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_max_send_streams(STREAMS_BEFORE_SETTINGS)
        .max_send_buffer_size(STREAM_SEND_BUFFER_BYTES);
    builder
}

/// A peer that vanished without a word must be found out soon: once the network is back, TCP alone would wait for as
/// long again before it tries, and HTTP/2 pings may not be sent often enough (the reference hangs up on who pings
/// more than once a minute).
fn prepare(stream: &TcpStream, bounds: Bounds) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(bounds.unacknowledged))?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(TCP_IDLE_TIME)
            .with_interval(TCP_IDLE_TIME),
    )
}

fn tls_error(target: &Target, pinned: &Arc<Pinned>, source: io::Error) -> DialError {
    let target = target.clone();
    let presented = pinned.describe_presented();
    let refused_by_us = source
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some_and(|error| matches!(error, rustls::Error::InvalidCertificate(_)));
    if refused_by_us && pinned.is_other_key() {
        return DialError::OtherKey { target, presented };
    }
    DialError::Tls {
        target,
        presented,
        source,
    }
}
