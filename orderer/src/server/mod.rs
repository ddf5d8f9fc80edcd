//! Wiring: from a checked configuration to a node that serves, and back down.
//!
//! ```text
//! Config -> operations listener, which stays to the end
//!        -> identity, Cluster, Manager (all channels) -> gRPC listener -> routes -> Broadcast, Deliver, health
//!                                                     -> cluster listener, or the same one -> Step
//!                                                     -> admin listener -> channel participation
//! signal -> shutdown: health NOT_SERVING, intake, chains, streams, listeners
//! SIGHUP -> TLS files of all listeners again
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `node` | [`Node`]: what it is made of, and the order in which that starts and stops |
//! | `listeners` | opening each listener with what is served on it |
//! | `authorities` | whom callers are verified against, as configs come into force |
//! | [`routes`] | which gRPC method is served by whom |
//! | [`connections`] | HTTP/2 connections of the gRPC listeners |
//! | [`guarded`] | clients that ping too often, or never finish a head |
//! | `gauges` | what is read off the node when somebody looks at its metrics |
//! | `answering` | what signals ask of the node |
//! | `others` | the other orderers, as the channels get them |
//!
//! Not here: reading the configuration, logging, and exit codes; those are the binary's.

mod answering;
mod authorities;
pub mod connections;
mod gauges;
pub mod guarded;
mod listeners;
mod node;
mod others;
pub mod routes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catchup::PullerError;
use crate::config::{Config, MetricsProvider};
use crate::file_modes;
use crate::foreign::ForeignError;
use crate::local_msp::LocalMspError;
use crate::metrics::Metrics;
use crate::multichannel::manager::OpenError;
use crate::open_files;
use crate::operations::{Loggers, Operations};
use crate::reload;
use crate::signals::{Answering, Signals};
use crate::tls::TlsError;

pub(crate) use listeners::listen;
pub use node::Node;

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
    #[error("General.LocalMSPDir: {0}")]
    LocalMsp(#[from] LocalMspError),
    /// The data folder.
    #[error("FileLedger.Location: {0}")]
    Manager(#[from] OpenError),
    /// A folder of another program.
    #[error(transparent)]
    Foreign(#[from] ForeignError),
    /// A listener's TLS files.
    #[error("TLS of the {listener} listener: {source}")]
    Tls {
        /// Which listener.
        listener: &'static str,
        /// What is wrong.
        source: Box<TlsError>,
    },
    /// The TLS files for calling other orderers.
    #[error("TLS of calls to other orderers: {0}")]
    ClusterTls(Box<TlsError>),
    /// What blocks are pulled with.
    #[error(transparent)]
    Puller(#[from] PullerError),
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

/// Runs the node until a signal ends it. `loggers` are what the operations listener changes.
pub fn run(config: &Config, loggers: Arc<dyn Loggers>) -> Result<(), RunError> {
    file_modes::keep_private();
    let files_max = open_files::raise_bound();
    tracing::debug!(target: LOGGER, "at most {files_max:?} files may be open");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(RunError::Runtime)?;
    let mut signals = Signals::install().map_err(RunError::Runtime)?;
    let served = runtime.block_on(async {
        let operations = Operations::start(config, Arc::clone(&loggers)).await?;
        let metrics = Arc::<Metrics>::default();
        metrics.sample_with(move |metrics| gauges::sample_log(metrics, &loggers.counted()));
        let acceptor = operations.acceptor().clone();
        metrics.sample_with(move |metrics| {
            gauges::sample_certificate(metrics, "operations_tls", acceptor.certificate_end());
        });
        if config.metrics == MetricsProvider::Prometheus {
            let metrics = Arc::clone(&metrics);
            operations.expose(Arc::new(move || metrics.render()));
        }
        let node = Node::prepare(config, metrics).await?;
        operations.serving(&node);
        let answering: Arc<dyn Answering> = Arc::new(node.answering(&operations));
        signals.serve(Arc::clone(&answering));
        reload::start(config, answering);
        tracing::info!(target: LOGGER, "Beginning to serve requests");
        node.begin();
        signals.ended().await;
        operations.stopping();
        let writers = Arc::clone(&node.manager().node().writers);
        node.stop().await;
        Ok::<_, RunError>((writers, operations))
    });
    // With the tasks go the last holders of the channels, and then their writers close the ledgers.
    runtime.shutdown_timeout(RUNTIME_STOP_TIME_MAX);
    let (writers, operations) = served?;
    wait_for_writers(&writers);
    operations.stop();
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

#[cfg(test)]
mod tests;
