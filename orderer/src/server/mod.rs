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
//! | [`routes`] | which gRPC method is served by whom |
//! | [`connections`] | HTTP/2 connections of the gRPC listeners |
//! | [`guarded`] | clients that ping too often, or never finish a head |
//! | `gauges` | what is read off the node when somebody looks at its metrics |
//! | `answering` | what signals ask of the node |
//! | `others` | the other orderers, as the channels get them |
//!
//! Not here: reading the configuration, logging, and exit codes; those are the binary's.

mod answering;
pub mod connections;
mod gauges;
pub mod guarded;
mod others;
pub mod routes;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use configtx::identity::SigningIdentity;
use consensus::consenters;
use consensus::raft::log::RaftLog;
use consensus::raft::{BrokenLog, EngineLog, RaftConsenter, RaftNode};
use ledger::LedgerOptions;
use rustls::pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::admin;
use crate::broadcast::Broadcast;
use crate::catchup::{Puller, PullerError};
use crate::cluster::{Cluster, Step};
use crate::codec::ReceiveBudget;
use crate::config::{Config, General, Listen, MetricsProvider, ServerTls};
use crate::config_check::private::keys_that_others_read;
use crate::deliver::Deliver;
use crate::disk_guard;
use crate::expiry;
use crate::file_modes;
use crate::foreign::{self, ForeignError};
use crate::local_msp::{self, LocalMspError};
use crate::metrics::raft_log::TimedLog;
use crate::metrics::{Counter, Metrics, statsd};
use crate::multichannel::chain_support::NodeParts;
use crate::multichannel::manager::{Manager, OpenError};
use crate::multichannel::refused::Reports;
use crate::multichannel::registrar::Participation;
use crate::open_files;
use crate::operations::{Loggers, Operations};
use crate::reload;
use crate::report::tasks::Tasks;
use crate::shutdown;
use crate::signals::{Answering, Signals};
use crate::telemetry::Telemetry;
use crate::throttle::Throttle;
use crate::tls::{self, Acceptor, Bounds, Incoming, TlsError};
use crate::trace::Trace;
use crate::verify_pool::VerifyPool;
use answering::{Listener, Running};
use connections::Http2;
use gauges::{CertificateEnd, Sources};
use guarded::Manners;
use others::Fellows;
use routes::{ClusterRoutes, Routes, Serve};

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

/// A node that serves.
pub struct Node {
    manager: Arc<Manager>,
    cluster: Arc<Cluster>,
    puller: Arc<Puller>,
    /// What is counted.
    metrics: Arc<Metrics>,
    /// Writes them to a statsd server, where the settings say so.
    statsd: Option<JoinHandle<()>>,
    tasks: Tasks,
    /// Chains rest until this is true.
    serving: watch::Sender<bool>,
    /// What the health service says.
    health: HealthReporter,
    grpc: Listening,
    /// None: other orderers come to `grpc`.
    orderers: Option<Listening>,
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
    /// A task for each connection; none where they are not counted.
    connections: Option<TaskTracker>,
    serving: JoinHandle<()>,
}

impl Node {
    /// Opens all channels and listeners, and counts into `metrics`. Must be called within a `tokio` runtime.
    pub async fn start(config: &Config, metrics: Arc<Metrics>) -> Result<Self, RunError> {
        let node = Self::prepare(config, metrics).await?;
        node.begin();
        Ok(node)
    }

    /// Ends the rest of the chains: they elect leaders from now on.
    fn begin(&self) {
        self.serving.send_replace(true);
    }

    /// As [`start`](Self::start), but for the chains, which rest: envelopes wait as they do for a leader.
    async fn prepare(config: &Config, metrics: Arc<Metrics>) -> Result<Self, RunError> {
        // First, so that what is wrong with the usual pair of files is told as that of its listener.
        acceptor("general", config.general.tls.as_ref(), &config.general)?;
        let cluster = Cluster::new(&config.general, Arc::clone(&metrics))
            .map_err(|source| RunError::ClusterTls(Box::new(source)))?;
        let identity = Arc::new(local_msp::load(&config.general)?);
        let enrolment_end = identity.certificate().expires_at();
        let puller = Arc::new(Puller::load(&config.general, Arc::clone(&identity))?);
        let others = Fellows {
            cluster: Arc::clone(&cluster),
            puller: Arc::clone(&puller),
        };
        let serving = watch::Sender::new(false);
        let telemetry = config.general.tracing.as_ref().map(Telemetry::start);
        let common = Common {
            metrics: Arc::clone(&metrics),
            telemetry: telemetry.clone(),
            serving: serving.subscribe(),
        };
        let manager = open_manager(config, identity, others, common)?;
        let manager = Arc::new(manager);
        let (stopping, stopping_seen) = watch::channel(false);
        let stop = CancellationToken::new();
        let health = HealthReporter::new();
        let tasks = Tasks::default();
        let front = FrontEnd {
            health: health.clone(),
            tasks: tasks.clone(),
            stopping: stopping_seen,
            stop: stop.clone(),
            metrics: Arc::clone(&metrics),
            budget: ReceiveBudget::default(),
            telemetry,
            deliver_trace: trace(config.debug.deliver_trace.as_ref(), "Deliver")?,
        };
        let ingress = Step::new(
            Arc::clone(&cluster),
            Arc::clone(&manager) as _,
            config.general.recv_bytes_max,
            front.stopping.clone(),
        );
        let orderers = start_cluster(config, &manager, ingress.clone(), &front).await?;
        let shared = orderers.is_none().then_some(ingress);
        let grpc = start_grpc(config, &manager, shared, front).await?;
        let acceptors = [Some(&grpc), orderers.as_ref()].into_iter().flatten();
        let acceptors = acceptors.map(|listening| listening.acceptor.clone()).collect();
        start_authorities(&manager, &cluster, acceptors);
        let admin = start_admin(config, &manager, stop.clone()).await?;
        let listeners = [Some(&grpc), orderers.as_ref(), Some(&admin)];
        let sources = Sources {
            manager: Arc::downgrade(&manager),
            cluster: Arc::clone(&cluster),
            folders: gauges::folders(config),
            certificates: certificates(enrolment_end, &cluster, listeners),
        };
        metrics.sample_with(move |metrics| sources.sample(metrics));
        let statsd = start_statsd(config, &metrics, &stop);
        for finding in keys_that_others_read(config) {
            tracing::warn!(target: LOGGER, "{}", finding.text);
        }
        expiry::start(config, &manager);
        disk_guard::start(config, &manager);
        Ok(Self {
            manager,
            cluster,
            puller,
            metrics,
            statsd,
            tasks,
            serving,
            health,
            grpc,
            orderers,
            admin,
            stopping,
            stop,
        })
    }

    /// This node among the orderers.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// What is counted and measured.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The channels.
    pub fn manager(&self) -> &Arc<Manager> {
        &self.manager
    }

    /// Where gRPC is served.
    pub fn grpc_address(&self) -> std::net::SocketAddr {
        self.grpc.address
    }

    /// Where other orderers are served.
    pub fn cluster_address(&self) -> std::net::SocketAddr {
        self.orderers.as_ref().unwrap_or(&self.grpc).address
    }

    /// The tasks that serve its listeners, by name.
    pub fn listeners(&self) -> Vec<(&'static str, AbortHandle)> {
        let listeners = [Some(&self.grpc), self.orderers.as_ref(), Some(&self.admin)];
        let listeners = listeners.into_iter().flatten();
        listeners
            .map(|listening| (listening.name, listening.serving.abort_handle()))
            .collect()
    }

    /// Where the admin API is served.
    pub fn admin_address(&self) -> std::net::SocketAddr {
        self.admin.address
    }

    /// What signals ask of this node, with its operations listener.
    pub fn answering(&self, operations: &Operations) -> impl Answering + use<> {
        let listeners = [Some(&self.grpc), self.orderers.as_ref(), Some(&self.admin)];
        let listener = |listening: &Listening| Listener {
            name: listening.name,
            address: listening.address,
            acceptor: listening.acceptor.clone(),
            connections: listening.connections.clone(),
        };
        let listeners = listeners.into_iter().flatten().map(listener);
        let operations = Listener {
            name: "operations",
            address: operations.address(),
            acceptor: operations.acceptor().clone(),
            connections: None,
        };
        Running {
            manager: Arc::downgrade(&self.manager),
            cluster: Arc::clone(&self.cluster),
            puller: Arc::clone(&self.puller),
            listeners: listeners.chain([operations]).collect(),
            tasks: self.tasks.clone(),
        }
    }

    /// Stops in the order of [`shutdown`]; ready within a bound.
    pub async fn stop(self) {
        let Self {
            manager,
            health,
            grpc,
            orderers,
            admin,
            stopping,
            stop,
            statsd,
            ..
        } = self;
        // Before anything else stops: whoever spreads the load over nodes should look elsewhere from now on.
        health.set_service_status("", ServingStatus::NotServing).await;
        let listeners = [Some(grpc), orderers, Some(admin)].into_iter().flatten();
        let servers = listeners.map(|listening| listening.serving).collect();
        shutdown::drain(&manager, &stopping, &stop, servers).await;
        if let Some(statsd) = statsd {
            // It ends by itself, a bounded time after `stop`.
            let _ = statsd.await;
        }
    }
}

/// What all channels are given.
struct Common {
    metrics: Arc<Metrics>,
    telemetry: Option<Telemetry>,
    /// Chains rest until this is true.
    serving: watch::Receiver<bool>,
}

fn open_manager(
    config: &Config,
    identity: Arc<SigningIdentity>,
    others: Fellows,
    common: Common,
) -> Result<Manager, RunError> {
    foreign::refuse(config)?;
    let reports = Reports::below(&config.ledger.location);
    let raft = raft(config, &common.metrics).resting_until(common.serving);
    let node = NodeParts {
        no_expiration_checks: config.general.authentication.no_expiration_checks,
        others: Arc::new(others),
        metrics: common.metrics,
        telemetry: common.telemetry,
        ..NodeParts::alone(identity, reports, consenters(Some(raft)))
    };
    Ok(Manager::open(&LedgerOptions::at(&config.ledger.location), node)?)
}

/// The consenter of raft channels. A log that cannot be opened sets them aside, and no other channels.
fn raft(config: &Config, metrics: &Metrics) -> RaftConsenter {
    let consensus = &config.consensus;
    let log: Arc<dyn RaftLog> = match EngineLog::open(&consensus.wal_dir, &consensus.snap_dir) {
        Ok(log) => Arc::new(TimedLog::new(Arc::new(log), metrics)),
        Err(error) => {
            tracing::warn!(target: LOGGER, "the raft log is not usable, and no raft channel will run: {error}");
            Arc::new(BrokenLog(error))
        }
    };
    RaftConsenter::new(RaftNode {
        log,
        tick_override: consensus.tick_override,
        eviction_suspicion: consensus.eviction_suspicion,
        leader_wait: config.general.leader_wait,
    })
}

/// Writes metrics to a statsd server, where the settings say so.
fn start_statsd(config: &Config, metrics: &Arc<Metrics>, stop: &CancellationToken) -> Option<JoinHandle<()>> {
    let MetricsProvider::Statsd(settings) = &config.metrics else {
        return None;
    };
    let writing = statsd::run(Arc::clone(metrics), settings.clone(), stop.clone());
    Some(tokio::spawn(writing))
}

/// When each certificate ends that the node uses.
fn certificates(
    enrolment_end: SystemTime,
    cluster: &Arc<Cluster>,
    listeners: [Option<&Listening>; 3],
) -> Vec<(&'static str, CertificateEnd)> {
    let cluster = Arc::clone(cluster);
    let own: [(_, CertificateEnd); 2] = [
        ("enrolment", Box::new(move || Some(enrolment_end))),
        ("cluster_client_tls", Box::new(move || cluster.certificate_end())),
    ];
    let listeners = listeners.into_iter().flatten().map(|listening| {
        let role = match listening.name {
            "general" => "server_tls",
            "cluster" => "cluster_server_tls",
            _ => "admin_tls",
        };
        let acceptor = listening.acceptor.clone();
        let end: CertificateEnd = Box::new(move || acceptor.certificate_end());
        (role, end)
    });
    own.into_iter().chain(listeners).collect()
}

/// What the gRPC listener learns of the node's life, and says about it.
struct FrontEnd {
    health: HealthReporter,
    tasks: Tasks,
    telemetry: Option<Telemetry>,
    /// Where requests to Deliver are kept as files, if they are.
    deliver_trace: Option<Trace>,
    stopping: watch::Receiver<bool>,
    stop: CancellationToken,
    metrics: Arc<Metrics>,
    /// Room for large messages.
    budget: ReceiveBudget,
}

async fn start_grpc(
    config: &Config,
    manager: &Arc<Manager>,
    step: Option<Step>,
    front: FrontEnd,
) -> Result<Listening, RunError> {
    let general = &config.general;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let broadcast = Broadcast {
        intake: Arc::clone(manager) as _,
        pool: VerifyPool::start(threads).map_err(RunError::Runtime)?,
        acknowledge: general.acknowledge,
        recv_bytes_max: general.recv_bytes_max,
        budget: front.budget.clone(),
        stopping: front.stopping.clone(),
        refusals: Arc::default(),
        tasks: front.tasks.clone(),
        trace: trace(config.debug.broadcast_trace.as_ref(), "Broadcast")?,
        telemetry: front.telemetry.clone(),
        metrics: Arc::clone(&front.metrics),
        throttle: throttle(general, &manager.node().metrics),
    };
    let deliver = deliver(config, manager, general.tls.as_ref(), &front);
    let routes = Routes::new(broadcast, deliver, step, front.health);
    let place = ("general", &general.listen, general.tls.as_ref());
    start_http2(config, &manager.node().metrics, place, routes, front.stop).await
}

/// Where requests are kept as files, if they are.
fn trace(folder: Option<&PathBuf>, function: &'static str) -> Result<Option<Trace>, RunError> {
    let started = folder.map(|folder| Trace::start(folder.clone(), function));
    started.transpose().map_err(RunError::Runtime)
}

/// Deliver on a listener with this TLS.
fn deliver(config: &Config, manager: &Arc<Manager>, tls: Option<&ServerTls>, front: &FrontEnd) -> Deliver {
    let general = &config.general;
    Deliver {
        channels: Arc::clone(manager) as _,
        time_window: general.authentication.time_window,
        no_expiration_checks: general.authentication.no_expiration_checks,
        binds_to_tls: tls.is_some_and(|tls| tls.client_auth_required),
        recv_bytes_max: general.recv_bytes_max,
        budget: front.budget.clone(),
        stopping: front.stopping.clone(),
        refusals: Arc::default(),
        tasks: front.tasks.clone(),
        trace: front.deliver_trace.clone(),
        telemetry: front.telemetry.clone(),
        metrics: Arc::clone(&front.metrics),
    }
}

/// Holds back clients, where the settings say so.
fn throttle(general: &General, metrics: &Metrics) -> Option<Throttle> {
    let throttled = metrics.families().protection.throttled.clone();
    general
        .throttling
        .map(|settings| Throttle::new(settings, throttled))
}

/// The listener for other orderers alone, where there is one.
async fn start_cluster(
    config: &Config,
    manager: &Arc<Manager>,
    step: Step,
    front: &FrontEnd,
) -> Result<Option<Listening>, RunError> {
    let Some(listener) = &config.general.cluster.listener else {
        return Ok(None);
    };
    let place = ("cluster", &listener.listen, Some(&listener.tls));
    let deliver = deliver(config, manager, Some(&listener.tls), front);
    let routes = ClusterRoutes { step, deliver };
    start_http2(config, &manager.node().metrics, place, routes, front.stop.clone())
        .await
        .map(Some)
}

/// Reads the TLS files of a gRPC listener.
fn acceptor(
    listener: &'static str,
    tls: Option<&ServerTls>,
    general: &General,
) -> Result<Acceptor, RunError> {
    Acceptor::for_grpc(tls, general.connection_timeout).map_err(|source| RunError::Tls {
        listener,
        source: Box::new(source),
    })
}

/// Opens a gRPC listener: its name, where, and with what TLS.
async fn start_http2(
    config: &Config,
    metrics: &Metrics,
    (name, at, tls): (&'static str, &Listen, Option<&ServerTls>),
    routes: impl Serve,
    stop: CancellationToken,
) -> Result<Listening, RunError> {
    let general = &config.general;
    let acceptor = acceptor(name, tls, general)?;
    let incoming = listen(name, at, acceptor.clone(), bounds(name, general, metrics)).await?;
    let http2 = Http2 {
        keepalive: general.keepalive.clone(),
        streams_max: general.limits.streams_per_connection,
        manners: Manners {
            ping_interval_min: general.keepalive.server_interval_min,
            preface_time: general.connection_timeout,
            header_time: general.limits.header_time,
            pinged: refused(metrics, name, "pings"),
            slow: refused(metrics, name, "slow_head"),
        },
    };
    let address = incoming.local_addr();
    let connections = TaskTracker::new();
    let serving = connections::serve(incoming, http2, routes, connections.clone(), stop);
    let serving = tokio::spawn(serving);
    Ok(Listening {
        name,
        acceptor,
        address,
        connections: Some(connections),
        serving,
    })
}

/// Takes the authorities of the channels' organisations for those that callers, and the called, are verified against:
/// now, and whenever a config comes into force.
fn start_authorities(manager: &Arc<Manager>, cluster: &Arc<Cluster>, acceptors: Vec<Acceptor>) {
    let mut configs = manager.node().configs.subscribe();
    configs.mark_unchanged();
    take_authorities(manager, cluster, &acceptors);
    // Whoever stops the node waits until nobody has the channels any more.
    let (manager, cluster) = (Arc::downgrade(manager), Arc::clone(cluster));
    tokio::spawn(async move {
        while configs.changed().await.is_ok() {
            let Some(manager) = manager.upgrade() else {
                return;
            };
            take_authorities(&manager, &cluster, &acceptors);
        }
    });
}

fn take_authorities(manager: &Manager, cluster: &Cluster, acceptors: &[Acceptor]) {
    let roots = manager.tls_authorities();
    let roots: Vec<_> = roots
        .iter()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    let taken = acceptors
        .iter()
        .try_for_each(|acceptor| acceptor.set_channel_roots(roots.clone()))
        .and_then(|()| cluster.set_channel_roots(roots.clone()));
    if let Err(error) = taken {
        tracing::error!(target: LOGGER, "authorities of the channels stay as they were: {error}");
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
    let bounds = bounds(listener, &config.general, &manager.node().metrics);
    let incoming = listen(listener, &config.admin.listen, acceptor.clone(), bounds).await?;
    let registrar = Arc::new(Participation(Arc::clone(manager)));
    let router = admin::router(registrar, config.participation.request_body_bytes_max);
    let address = incoming.local_addr();
    let serving = tokio::spawn(admin::serve(incoming, router, stop));
    Ok(Listening {
        name: listener,
        acceptor,
        address,
        connections: None,
        serving,
    })
}

/// What the listener of this name lets in.
fn bounds(listener: &'static str, general: &General, metrics: &Metrics) -> Bounds {
    Bounds::of(&general.limits, refused(metrics, listener, "too_many"))
}

/// Counts connections of `listener` that are refused or ended for this reason.
fn refused(metrics: &Metrics, listener: &'static str, reason: &'static str) -> Counter {
    let connections = &metrics.families().protection.connections;
    connections.with(&[listener, reason])
}

/// Opens `listener` at an address.
pub(crate) async fn listen(
    listener: &'static str,
    listen: &Listen,
    acceptor: Acceptor,
    bounds: Bounds,
) -> Result<Incoming, RunError> {
    let failed = |source| RunError::Listen {
        listener,
        address: listen.to_string(),
        source,
    };
    let bound = tls::bind(listen).await.map_err(failed)?;
    Incoming::bounded(bound, acceptor, bounds).map_err(failed)
}

#[cfg(test)]
mod tests;
