//! One node: what it is made of, and the order in which that starts and stops.

use std::sync::Arc;
use std::time::SystemTime;

use configtx::identity::SigningIdentity;
use consensus::consenters;
use consensus::raft::log::{LogError, RaftLog};
use consensus::raft::{BrokenLog, EngineLog, RaftConsenter, RaftNode};
use ledger::LedgerOptions;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::answering::{Listener, Running};
use super::gauges::{self, CertificateEnd, Sources};
use super::listeners::{FrontEnd, Listening, acceptor, start_admin, start_cluster, start_grpc, trace};
use super::others::Fellows;
use super::{LOGGER, RunError, authorities};
use crate::catchup::Puller;
use crate::cluster::{Cluster, Step};
use crate::codec::ReceiveBudget;
use crate::config::{Config, MetricsProvider};
use crate::config_check::authorities::authorities_that_cannot_be_read;
use crate::config_check::private::keys_that_others_read;
use crate::disk_guard;
use crate::expiry;
use crate::foreign;
use crate::local_msp;
use crate::metrics::raft_log::TimedLog;
use crate::metrics::{Metrics, statsd};
use crate::multichannel::chain_support::NodeParts;
use crate::multichannel::manager::{Manager, once_unlocked};
use crate::multichannel::refused::Reports;
use crate::operations::Operations;
use crate::report::tasks::Tasks;
use crate::shutdown;
use crate::signals::Answering;
use crate::telemetry::Telemetry;

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

impl Node {
    /// Opens all channels and listeners, and counts into `metrics`. Must be called within a `tokio` runtime.
    pub async fn start(config: &Config, metrics: Arc<Metrics>) -> Result<Self, RunError> {
        let node = Self::prepare(config, metrics).await?;
        node.begin();
        Ok(node)
    }

    /// Ends the rest of the chains: they elect leaders from now on.
    pub(super) fn begin(&self) {
        self.serving.send_replace(true);
    }

    /// As [`start`](Self::start), but for the chains, which rest: envelopes wait as they do for a leader.
    pub(super) async fn prepare(config: &Config, metrics: Arc<Metrics>) -> Result<Self, RunError> {
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
        authorities::start(&manager, &cluster, acceptors);
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
        for finding in keys_that_others_read(config)
            .into_iter()
            .chain(authorities_that_cannot_be_read(config))
        {
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
    let open = || EngineLog::open(&consensus.wal_dir, &consensus.snap_dir);
    let log: Arc<dyn RaftLog> = match once_unlocked(open, |error: &LogError| error.is_in_use) {
        Ok(log) => Arc::new(TimedLog::new(Arc::new(log), metrics)),
        Err(error) => {
            tracing::error!(target: LOGGER, "the raft log is not usable, and no raft channel will run: {error}");
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
