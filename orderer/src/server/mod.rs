//! Wiring: from a checked configuration to a node that serves, and back down.
//!
//! ```text
//! Config -> identity, Manager (all channels) -> gRPC listener -> routes -> Broadcast, Deliver, health
//!                                            -> admin listener -> channel participation
//! signal -> shutdown: health NOT_SERVING, intake, chains, streams, listeners
//! SIGHUP -> TLS files of all listeners again
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`routes`] | which gRPC method is served by whom |
//! | [`connections`] | HTTP/2 connections of the gRPC listener |
//!
//! Not here: reading the configuration, logging, and exit codes; those are the binary's.

pub mod connections;
pub mod routes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use consensus::consenters;
use ledger::LedgerOptions;
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::admin;
use crate::broadcast::Broadcast;
use crate::codec::ReceiveBudget;
use crate::config::{Config, Listen};
use crate::deliver::Deliver;
use crate::local_msp::{self, LocalMspError};
use crate::multichannel::chain_support::NodeParts;
use crate::multichannel::manager::{Manager, OpenError};
use crate::multichannel::refused::Reports;
use crate::multichannel::registrar::Participation;
use crate::shutdown;
use crate::tls::{self, Acceptor, Incoming, TlsError};
use crate::verify_pool::VerifyPool;
use connections::Http2;
use routes::Routes;

/// Logger of this part; the name is the one operators know from the reference.
pub const LOGGER: &str = "orderer.common.server";

/// How long tasks may go on after everything else has stopped.
const RUNTIME_STOP_TIME_MAX: Duration = Duration::from_secs(1);

/// How long ledgers may take to close.
const WRITERS_STOP_TIME_MAX: Duration = Duration::from_secs(1);

/// Why the node does not serve.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Threads, or signal handlers.
    #[error("cannot start: {0}")]
    Runtime(std::io::Error),
    /// This node's certificate and key.
    #[error(transparent)]
    LocalMsp(#[from] LocalMspError),
    /// The data folder.
    #[error(transparent)]
    Manager(#[from] OpenError),
    /// A listener's TLS files.
    #[error("TLS of the {listener} listener: {source}")]
    Tls {
        /// Which listener.
        listener: &'static str,
        /// What is wrong.
        source: Box<TlsError>,
    },
    /// A listener's address.
    #[error("cannot listen on {address} ({listener}): {source}")]
    Listen {
        /// Which listener.
        listener: &'static str,
        /// As configured.
        address: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// Runs the node until a signal ends it.
pub fn run(config: &Config) -> Result<(), RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let writers = runtime.block_on(async {
        let signals = shutdown::Signals::install().map_err(RunError::Runtime)?;
        let node = Node::start(config).await?;
        tracing::info!(target: LOGGER, "Beginning to serve requests");
        signals.ended(|| node.reload_tls()).await;
        let writers = Arc::clone(&node.manager().node().writers);
        node.stop().await;
        Ok::<_, RunError>(writers)
    });
    // With the tasks go the last holders of the channels, and then their writers close the ledgers.
    runtime.shutdown_timeout(RUNTIME_STOP_TIME_MAX);
    wait_for_writers(&writers?);
    Ok(())
}

/// Waits until every ledger is closed, so that the next start has nothing to repair. One that hangs on its disk is
/// left behind: what it has acknowledged is durable.
fn wait_for_writers(writers: &Arc<()>) {
    let began = Instant::now();
    while Arc::strong_count(writers) > 1 && began.elapsed() < WRITERS_STOP_TIME_MAX {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A node that serves.
pub struct Node {
    manager: Arc<Manager>,
    /// What the health service says.
    health: HealthReporter,
    grpc: Listening,
    admin: Listening,
    /// Set once the chains have stopped.
    stopping: watch::Sender<bool>,
    /// Cancelled last: listeners close.
    stop: CancellationToken,
}

/// One listener that is served.
struct Listening {
    name: &'static str,
    acceptor: Acceptor,
    address: std::net::SocketAddr,
    serving: JoinHandle<()>,
}

impl Node {
    /// Opens all channels and listeners. Must be called within a `tokio` runtime.
    pub async fn start(config: &Config) -> Result<Self, RunError> {
        let manager = Arc::new(open_manager(config)?);
        let (stopping, stopping_seen) = watch::channel(false);
        let stop = CancellationToken::new();
        let health = HealthReporter::new();
        let front = FrontEnd {
            health: health.clone(),
            stopping: stopping_seen,
            stop: stop.clone(),
        };
        let grpc = start_grpc(config, &manager, front).await?;
        let admin = start_admin(config, &manager, stop.clone()).await?;
        Ok(Self {
            manager,
            health,
            grpc,
            admin,
            stopping,
            stop,
        })
    }

    /// The channels.
    pub fn manager(&self) -> &Arc<Manager> {
        &self.manager
    }

    /// Where gRPC is served.
    pub fn grpc_address(&self) -> std::net::SocketAddr {
        self.grpc.address
    }

    /// Where the admin API is served.
    pub fn admin_address(&self) -> std::net::SocketAddr {
        self.admin.address
    }

    /// Reads the TLS files of all listeners again. Connections from now on use them; a listener whose files are
    /// not good goes on with what it had.
    pub fn reload_tls(&self) {
        for Listening { name, acceptor, .. } in [&self.grpc, &self.admin] {
            match acceptor.reload() {
                Ok(()) => tracing::info!(target: LOGGER, "TLS files of the {name} listener are read again"),
                Err(error) => {
                    tracing::error!(target: LOGGER, "TLS files of the {name} listener are kept as they were: {error}");
                }
            }
        }
    }

    /// Stops in the order of [`shutdown`]; ready within a bound.
    pub async fn stop(self) {
        let Self {
            manager,
            health,
            grpc,
            admin,
            stopping,
            stop,
        } = self;
        // Before anything else stops: whoever spreads the load over nodes should look elsewhere from now on.
        health.set_service_status("", ServingStatus::NotServing).await;
        shutdown::drain(&manager, &stopping, &stop, [grpc.serving, admin.serving]).await;
    }
}

fn open_manager(config: &Config) -> Result<Manager, RunError> {
    let identity = local_msp::load(&config.general)?;
    let reports = Reports::below(&config.ledger.location);
    let node = NodeParts {
        no_expiration_checks: config.general.authentication.no_expiration_checks,
        ..NodeParts::alone(Arc::new(identity), reports, consenters())
    };
    Ok(Manager::open(&LedgerOptions::at(&config.ledger.location), node)?)
}

/// What the gRPC listener learns of the node's life, and says about it.
struct FrontEnd {
    health: HealthReporter,
    stopping: watch::Receiver<bool>,
    stop: CancellationToken,
}

async fn start_grpc(config: &Config, manager: &Arc<Manager>, front: FrontEnd) -> Result<Listening, RunError> {
    let general = &config.general;
    let listener = "general";
    let acceptor =
        Acceptor::for_grpc(general.tls.as_ref(), general.connection_timeout).map_err(|source| {
            RunError::Tls {
                listener,
                source: Box::new(source),
            }
        })?;
    if general.tls.as_ref().is_some_and(|tls| tls.client_auth_required) {
        tokio::spawn(follow_authorities(Arc::clone(manager), acceptor.clone()));
    }
    let incoming = listen(listener, &general.listen, acceptor.clone()).await?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let budget = ReceiveBudget::default();
    let broadcast = Broadcast {
        intake: Arc::clone(manager) as _,
        pool: VerifyPool::start(threads).map_err(RunError::Runtime)?,
        acknowledge: general.acknowledge,
        recv_bytes_max: general.recv_bytes_max,
        budget: budget.clone(),
        stopping: front.stopping.clone(),
    };
    let deliver = Deliver {
        channels: Arc::clone(manager) as _,
        time_window: general.authentication.time_window,
        no_expiration_checks: general.authentication.no_expiration_checks,
        binds_to_tls: general.tls.as_ref().is_some_and(|tls| tls.client_auth_required),
        recv_bytes_max: general.recv_bytes_max,
        budget,
        stopping: front.stopping,
    };
    let http2 = Http2 {
        keepalive: general.keepalive.clone(),
    };
    let address = incoming.local_addr();
    let serving = tokio::spawn(connections::serve(
        incoming,
        http2,
        Routes::new(broadcast, deliver, front.health),
        front.stop,
    ));
    Ok(Listening {
        name: listener,
        acceptor,
        address,
        serving,
    })
}

/// Keeps the authorities that clients are verified against at those of the channels' organisations.
async fn follow_authorities(manager: Arc<Manager>, acceptor: Acceptor) {
    let mut configs = manager.node().configs.subscribe();
    configs.mark_changed();
    while configs.changed().await.is_ok() {
        let roots = manager.tls_authorities();
        let roots = roots
            .iter()
            .map(|der| CertificateDer::from(der.to_vec()))
            .collect();
        if let Err(error) = acceptor.set_channel_roots(roots) {
            tracing::error!(target: LOGGER, "client authorities stay as they were: {error}");
        }
    }
}

async fn start_admin(
    config: &Config,
    manager: &Arc<Manager>,
    stop: CancellationToken,
) -> Result<Listening, RunError> {
    let listener = "admin";
    let time_max = config.general.connection_timeout;
    let acceptor =
        Acceptor::for_http(config.admin.tls.as_ref(), time_max).map_err(|source| RunError::Tls {
            listener,
            source: Box::new(source),
        })?;
    let incoming = listen(listener, &config.admin.listen, acceptor.clone()).await?;
    let registrar = Arc::new(Participation(Arc::clone(manager)));
    let router = admin::router(registrar, config.participation.request_body_bytes_max);
    let address = incoming.local_addr();
    let serving = tokio::spawn(admin::serve(incoming, router, stop));
    Ok(Listening {
        name: listener,
        acceptor,
        address,
        serving,
    })
}

async fn listen(listener: &'static str, listen: &Listen, acceptor: Acceptor) -> Result<Incoming, RunError> {
    let failed = |source| RunError::Listen {
        listener,
        address: listen.to_string(),
        source,
    };
    let bound = tls::bind(listen).await.map_err(failed)?;
    Incoming::new(bound, acceptor).map_err(failed)
}

#[cfg(test)]
mod tests;
