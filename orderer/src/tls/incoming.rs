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
use super::connection::{Connection, Place};
use crate::config::{Limits, Listen};
use crate::logging::seldom::Mistakes;
use crate::metrics::Counter;

/// Connections above the bound that are told so at a time; any more are closed without a word.
const SURPLUS_MAX: usize = 64;

/// Finished connections that may wait for the server to take them.
const READY_MAX: usize = 64;

/// Pause after an accept that failed for lack of resources, such as file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a listener lets in.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Connections that are served.
    pub connections: usize,
    /// Handshakes that may be under way; past it, connections wait in the system's backlog. Each ends within the
    /// handshake time limit, so slow clients can delay others by that much and no more.
    pub handshakes: usize,
    /// How long a client may take for the head of a request.
    pub header_time: Duration,
    /// Connections that were one too many.
    pub refused: Counter,
}

impl Bounds {
    /// As the settings say; counts into `refused`.
    pub fn of(limits: &Limits, refused: Counter) -> Self {
        Self {
            connections: limits.connections,
            handshakes: limits.handshakes,
            header_time: limits.header_time,
            refused,
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connections: 10_000,
            handshakes: 1024,
            header_time: Duration::from_secs(10),
            refused: Counter::default(),
        }
    }
}

/// Connections of one listener, as a stream that never ends. Dropping it closes the listener.
#[derive(Debug)]
pub struct Incoming {
    ready: mpsc::Receiver<Connection>,
    local_addr: SocketAddr,
    header_time: Duration,
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
    /// Starts to accept on `listener`, with bounds as by default. Must be called inside a tokio runtime.
    pub fn new(listener: TcpListener, acceptor: Acceptor) -> io::Result<Self> {
        Self::bounded(listener, acceptor, Bounds::default())
    }

    /// Starts to accept on `listener` within `bounds`. Must be called inside a tokio runtime.
    pub fn bounded(listener: TcpListener, acceptor: Acceptor, bounds: Bounds) -> io::Result<Self> {
        let local_addr = listener.local_addr()?;
        let header_time = bounds.header_time;
        let (sender, ready) = mpsc::channel(READY_MAX);
        let accepting = tokio::spawn(accept_all(listener, acceptor, bounds, sender)).abort_handle();
        Ok(Self {
            ready,
            local_addr,
            header_time,
            accepting,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// How long its clients may take for the head of a request.
    pub fn header_time(&self) -> Duration {
        self.header_time
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

async fn accept_all(
    listener: TcpListener,
    acceptor: Acceptor,
    bounds: Bounds,
    ready: mpsc::Sender<Connection>,
) {
    let handshakes = Arc::new(Semaphore::new(bounds.handshakes.min(Semaphore::MAX_PERMITS)));
    let places = Places::new(&bounds);
    let said = Arc::<Mistakes>::default();
    loop {
        let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else {
            return; // the semaphore is never closed
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Some(place) = places.take() {
                    let place = (place, permit);
                    tokio::spawn(shake_hands(
                        stream,
                        acceptor.clone(),
                        ready.clone(),
                        Arc::clone(&said),
                        place,
                    ));
                }
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!("cannot accept connections: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// The places of one listener.
struct Places {
    served: Arc<Semaphore>,
    surplus: Arc<Semaphore>,
    refused: Counter,
}

impl Places {
    fn new(bounds: &Bounds) -> Self {
        let served = bounds.connections.min(Semaphore::MAX_PERMITS);
        Self {
            served: Arc::new(Semaphore::new(served)),
            surplus: Arc::new(Semaphore::new(SURPLUS_MAX)),
            refused: bounds.refused.clone(),
        }
    }

    /// None: not even room to say that there is none.
    fn take(&self) -> Option<Place> {
        if let Ok(permit) = Arc::clone(&self.served).try_acquire_owned() {
            return Some(Place::Served(permit));
        }
        self.refused.inc();
        let surplus = Arc::clone(&self.surplus).try_acquire_owned();
        surplus.ok().map(Place::Surplus)
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
    (place, _shaking): (Place, OwnedSemaphorePermit),
) {
    let remote = stream.peer_addr().ok();
    let (host, remote) = match remote {
        Some(address) => (address.ip().to_string(), address.to_string()),
        None => ("unknown".to_owned(), "unknown".to_owned()),
    };
    // Small answers must not wait for more: a client that waits for each answer would see 40 ms each.
    let _ = stream.set_nodelay(true);
    match acceptor.accept(stream).await {
        Ok(mut connection) => {
            connection.take_place(place);
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
