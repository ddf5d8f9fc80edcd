//! The operations listener: is the node alive, is it ready, what does it log, what does it measure, what is it
//! (`docs/spec/behaviour.md` §9, `docs/operating/operations.md`).
//!
//! ```text
//! own thread: TLS Incoming ─► server (HTTP/1.1) ─► routes ─┬─ /healthz  health: does a restart help?
//!                                                          ├─ /readyz   facts ─► readiness: is it of use now?
//!                                                          ├─ /logspec  logging
//!                                                          ├─ /metrics  whatever renders them
//!                                                          └─ /version
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`routes`] | paths, who may call them, parameters |
//! | [`health`] | what only a restart mends |
//! | [`readiness`] | the judgement over a node's facts, pure |
//! | `facts` | folders, certificates and channels, as they are now |
//! | `reply` | statuses and JSON |
//! | [`version`] | what this program is |
//!
//! It has a thread and a runtime of its own, so that it answers while the rest of the node is busy, or stuck. It is
//! there before the channels are opened, and goes when nothing else is left.
//!
//! With TLS, whoever calls `/metrics`, `/logspec` or `/readyz?verbose` must have shown a certificate that verified;
//! the others are for probes, which have none, and tell no names.

mod facts;
pub mod health;
pub mod readiness;
mod reply;
pub mod routes;
pub mod version;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::admin;
use crate::config::{Config, Listen};
use crate::logging::Logging;
use crate::logging::entries::Counted;
use crate::metrics::Counter;
use crate::server::{Node, RunError, listen};
use crate::tls::{Acceptor, Bounds, Incoming};
use facts::{Life, Watched};
use health::{FailedCheck, Health};
use readiness::Facts;

/// Logger of this part.
pub const LOGGER: &str = "orderer.operations";

/// Name of the listener.
const LISTENER: &str = "operations";
/// How long answers that are under way may take once the node has stopped.
const STOP_TIME_MAX: Duration = Duration::from_secs(1);

/// Renders all measurements: content type, and text. May take its time.
pub type Exposition = Arc<dyn Fn() -> (&'static str, Bytes) + Send + Sync>;

/// The logging spec in force, and how to change it.
pub trait Loggers: Send + Sync + 'static {
    /// In its normal form.
    fn spec(&self) -> String;

    /// Puts another in force.
    ///
    /// # Errors
    /// In the reference's words: it is none. The old one stays.
    fn set_spec(&self, spec: &str) -> Result<(), String>;

    /// Entries checked and written so far, by level; nothing where they are not counted.
    fn counted(&self) -> Vec<Counted> {
        Vec::new()
    }
}

impl Loggers for Logging {
    fn spec(&self) -> String {
        Self::spec(self)
    }

    fn set_spec(&self, spec: &str) -> Result<(), String> {
        Self::set_spec(self, spec).map_err(|error| error.to_string())
    }

    fn counted(&self) -> Vec<Counted> {
        self.entries().counted().collect()
    }
}

/// The running listener.
#[derive(Debug)]
pub struct Operations {
    shared: Arc<Shared>,
    acceptor: Acceptor,
    address: SocketAddr,
    stop: CancellationToken,
    /// Closed when the listener is.
    ended: mpsc::Receiver<()>,
}

/// What the routes work with.
pub(super) struct Shared {
    is_tls: bool,
    health: Health,
    life: RwLock<Life>,
    watched: Watched,
    loggers: Arc<dyn Loggers>,
    /// Unset: there is nothing for scrapers.
    exposition: OnceLock<Exposition>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn failed_checks(&self, now: Instant) -> Vec<FailedCheck> {
        // The end of a node is bounded; it should not be hurried.
        if matches!(*self.life.read(), Life::Stopping) {
            return Vec::new();
        }
        self.health.failed_checks(now)
    }

    fn facts(&self) -> Facts {
        // Not held while the disk is waited for.
        let life = self.life.read().clone();
        self.watched.facts(&life)
    }
}

impl Operations {
    /// Opens the listener of a node that is about to start, on a thread of its own. The runtime that this is called in
    /// is the one whose life `/healthz` tells of.
    pub async fn start(config: &Config, loggers: Arc<dyn Loggers>) -> Result<Self, RunError> {
        let tls = config.operations.tls.as_ref();
        let acceptor = Acceptor::for_http(tls, config.general.connection_timeout);
        let acceptor = acceptor.map_err(|source| RunError::Tls {
            listener: LISTENER,
            source: Box::new(source),
        })?;
        let shared = Arc::new(Shared {
            is_tls: acceptor.is_tls(),
            health: Health::watch_runtime(),
            life: RwLock::new(Life::Starting),
            watched: Watched::of(config),
            loggers,
            exposition: OnceLock::new(),
        });
        let stop = CancellationToken::new();
        let (address, ended) = spawn(
            config.operations.listen.clone(),
            Bounds::of(&config.general.limits, Counter::default()),
            acceptor.clone(),
            Arc::clone(&shared),
            stop.clone(),
        )
        .await?;
        let protocol = if acceptor.is_tls() { "https" } else { "http" };
        tracing::info!(target: LOGGER, "Operations are served at {protocol}://{address}");
        Ok(Self {
            shared,
            acceptor,
            address,
            stop,
            ended,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on `/metrics` answers with what `exposition` renders; before, and without it, with 404. Counts once.
    pub fn expose(&self, exposition: Exposition) {
        let _ = self.shared.exposition.set(exposition);
    }

    /// From now on `node` serves.
    pub fn serving(&self, node: &Node) {
        self.shared.health.watch_listeners(node.listeners());
        *self.shared.life.write() = Life::Serving(Arc::downgrade(node.manager()));
    }

    /// From now on the node stops.
    pub fn stopping(&self) {
        *self.shared.life.write() = Life::Stopping;
    }

    /// Its TLS, which can be read again.
    pub fn acceptor(&self) -> &Acceptor {
        &self.acceptor
    }

    /// Closes the listener, within a bound.
    pub fn stop(self) {
        self.stop.cancel();
        // Ends with an error as soon as the thread has let go of the other end.
        let _ = self.ended.recv_timeout(STOP_TIME_MAX);
    }
}

impl Drop for Operations {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Starts the thread; ready when it listens, or cannot.
async fn spawn(
    at: Listen,
    bounds: Bounds,
    acceptor: Acceptor,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> Result<(SocketAddr, mpsc::Receiver<()>), RunError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let (told, opened) = oneshot::channel();
    let (alive, ended) = mpsc::channel::<()>();
    let work = move || {
        let _alive = alive;
        runtime.block_on(serve(at, bounds, acceptor, shared, stop, told));
        // A look at a disk that hangs must not be waited for.
        runtime.shutdown_background();
    };
    thread::Builder::new()
        .name(LISTENER.to_owned())
        .spawn(work)
        .map_err(RunError::Runtime)?;
    let gone = || {
        RunError::Runtime(std::io::Error::other(
            "the thread of the operations listener is gone",
        ))
    };
    let address = opened.await.map_err(|_| gone())??;
    Ok((address, ended))
}

async fn serve(
    at: Listen,
    bounds: Bounds,
    acceptor: Acceptor,
    shared: Arc<Shared>,
    stop: CancellationToken,
    told: oneshot::Sender<Result<SocketAddr, RunError>>,
) {
    let incoming: Incoming = match listen(LISTENER, &at, acceptor, bounds).await {
        Ok(incoming) => incoming,
        Err(error) => {
            // Fails only when nobody waits any more.
            let _ = told.send(Err(error));
            return;
        }
    };
    let _ = told.send(Ok(incoming.local_addr()));
    admin::serve(incoming, routes::router(shared), stop).await;
}
