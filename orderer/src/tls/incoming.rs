//! The accept loop: handshakes side by side, finished connections in a queue.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::AbortHandle;

use super::acceptor::{Acceptor, HandshakeError};
use super::connection::Connection;
use crate::config::Listen;
use crate::logging::seldom::Mistakes;

/// Handshakes that may be under way on one listener; past it, connections wait in the system's backlog. Each ends
/// within the handshake time limit, so slow clients can delay others by that much and no more.
const HANDSHAKES_MAX: usize = 1_024;

/// Finished connections that may wait for the server to take them.
const READY_MAX: usize = 64;

/// Pause after an accept that failed for lack of resources, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections of one listener, as a stream that never ends. Dropping it closes the listener.
#[derive(Debug)]
pub struct Incoming {
    ready: mpsc::Receiver<Connection>,
    local_addr: SocketAddr,
    accepting: AbortHandle,
}

/// Opens `listen`; an empty host means every interface, of IPv4 where the system has no IPv6.
pub async fn bind(listen: &Listen) -> io::Result<TcpListener> {
    match TcpListener::bind(listen.target()).await {
        Err(error) if listen.host.is_empty() && error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind(("0.0.0.0", listen.port)).await
        }
        bound => bound,
    }
}

impl Incoming {
    /// Starts to accept on `listener`. Must be called inside a tokio runtime.
    pub fn new(listener: TcpListener, acceptor: Acceptor) -> io::Result<Self> {
        let local_addr = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(READY_MAX);
        let accepting = tokio::spawn(accept_all(listener, acceptor, sender)).abort_handle();
        Ok(Self {
            ready,
            local_addr,
            accepting,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The next connection.
    pub async fn accept(&mut self) -> Option<Connection> {
        self.ready.recv().await
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ready.poll_recv(context).map(|ready| ready.map(Ok))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept_all(listener: TcpListener, acceptor: Acceptor, ready: mpsc::Sender<Connection>) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let said = Arc::<Mistakes>::default();
    loop {
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else {
            return; // the semaphore is never closed
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let shaking = shake_hands(stream, acceptor.clone(), ready.clone(), Arc::clone(&said), permit);
                tokio::spawn(shaking);
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!("cannot accept connections: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The client was gone before it was accepted: nothing to do with the listener.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

/// Another orderer whose authority is not known yet, or a client that does not know ours, tries again and again: that is
/// said a few times. `_permit` is held until the connection is handed over, so that waiting ones count too.
async fn shake_hands(
    stream: TcpStream,
    acceptor: Acceptor,
    ready: mpsc::Sender<Connection>,
    said: Arc<Mistakes>,
    _permit: OwnedSemaphorePermit,
) {
    let remote = stream.peer_addr().ok();
    let (host, remote) = match remote {
        Some(address) => (address.ip().to_string(), address.to_string()),
        None => ("unknown".to_owned(), "unknown".to_owned()),
    };
    // Small answers must not wait for more: a client that waits for each answer would see 40 ms each.
    let _ = stream.set_nodelay(true);
    match acceptor.accept(stream).await {
        Ok(connection) => {
            let _ = ready.send(connection).await; // fails only when the server is gone
        }
        Err(HandshakeError::Failed(error)) if is_hang_up(&error) => {
            tracing::debug!("TLS handshake: client hung up remoteaddress={remote}");
        }
        Err(error) => {
            let error = error.to_string();
            if let Some(more) = said.tell(&host, &error) {
                tracing::warn!("TLS handshake failed with error {error} remoteaddress={remote}{more}");
            }
        }
    }
}

/// Port scans and load balancers connect and leave without a word.
fn is_hang_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(
        error.kind(),
        UnexpectedEof | ConnectionReset | BrokenPipe | NotConnected
    )
}
