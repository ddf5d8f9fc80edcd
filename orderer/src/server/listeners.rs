//! Opening the listeners, each with what is served on it.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic_health::server::HealthReporter;

use super::RunError;
use super::connections::{self, Http2};
use super::guarded::Manners;
use super::routes::{ClusterRoutes, Routes, Serve};
use crate::admin;
use crate::broadcast::Broadcast;
use crate::cluster::Step;
use crate::codec::ReceiveBudget;
use crate::config::{Config, General, Listen, ServerTls};
use crate::deliver::Deliver;
use crate::metrics::{Counter, Metrics};
use crate::multichannel::manager::Manager;
use crate::multichannel::registrar::Participation;
use crate::report::tasks::Tasks;
use crate::telemetry::Telemetry;
use crate::throttle::Throttle;
use crate::tls::{self, Acceptor, Bounds, Incoming};
use crate::trace::Trace;
use crate::verify_pool::VerifyPool;

/// One listener that is served.
pub(super) struct Listening {
    pub(super) name: &'static str,
    pub(super) acceptor: Acceptor,
    pub(super) address: std::net::SocketAddr,
    /// A task for each connection; none where they are not counted.
    pub(super) connections: Option<TaskTracker>,
    pub(super) serving: JoinHandle<()>,
}

/// What the gRPC listener learns of the node's life, and says about it.
pub(super) struct FrontEnd {
    pub(super) health: HealthReporter,
    pub(super) tasks: Tasks,
    pub(super) telemetry: Option<Telemetry>,
    /// Where requests to Deliver are kept as files, if they are.
    pub(super) deliver_trace: Option<Trace>,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) stop: CancellationToken,
    pub(super) metrics: Arc<Metrics>,
    /// Room for large messages.
    pub(super) budget: ReceiveBudget,
}

pub(super) async fn start_grpc(
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
pub(super) fn trace(folder: Option<&PathBuf>, function: &'static str) -> Result<Option<Trace>, RunError> {
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
pub(super) async fn start_cluster(
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
pub(super) fn acceptor(
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

pub(super) async fn start_admin(
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
