//! The end of the process: signals, and the order of stopping.
//!
//! 1. Intake: every further envelope is refused with `SERVICE_UNAVAILABLE`.
//! 2. Chains: what was taken in is ordered and written.
//! 3. Streams: deliver streams send what there is by then, and end; idle broadcast streams end.
//! 4. Listeners: connections are closed.
//!
//! Each step has a bound, so the process is gone within [`TIME_MAX`] whatever hangs.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::multichannel::Manager;
use crate::server::LOGGER;

/// Bound of the whole.
pub const TIME_MAX: Duration = Duration::from_secs(10);
/// Bound of the chains' part.
const CHAINS_TIME_MAX: Duration = Duration::from_secs(6);

/// The signals this process handles.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    report: Signal,
    reload: Signal,
}

impl Signals {
    /// Takes the signals from their default actions. Must be called within a `tokio` runtime.
    pub fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            report: signal(SignalKind::user_defined1())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    /// Ready when the process is asked to end. Meanwhile SIGUSR1 is answered with a report, and SIGHUP with
    /// `reload`: better than the reference, which it ends.
    pub async fn ended(mut self, reload: impl Fn()) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => {
                    tracing::info!(target: LOGGER, "Received signal: 15 (terminated)");
                    return;
                }
                _ = self.interrupt.recv() => {
                    tracing::info!(target: LOGGER, "Received signal: 2 (interrupt)");
                    return;
                }
                _ = self.report.recv() => report(),
                _ = self.reload.recv() => {
                    tracing::info!(target: LOGGER, "Received signal: 1 (hangup)");
                    reload();
                }
            }
        }
    }
}

/// What tools look for after the signal; a program without goroutines counts its tasks.
fn report() {
    tracing::info!(target: LOGGER, "Received signal: 10 (user defined signal 1)");
    let metrics = tokio::runtime::Handle::current().metrics();
    tracing::info!(
        target: "orderer.common.server.diag",
        "Go routines report: {} tasks on {} threads, {} waiting to run",
        metrics.num_alive_tasks(),
        metrics.num_workers(),
        metrics.global_queue_depth()
    );
}

/// Ready when `stopping` is true: streams are to end. Never when its sender is gone without having said so.
pub async fn begun(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|stopping| *stopping).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Stops a node in order; `servers` are the tasks of its listeners.
pub async fn drain(
    manager: &Manager,
    stopping: &watch::Sender<bool>,
    stop: &CancellationToken,
    servers: Vec<JoinHandle<()>>,
) {
    let whole = async {
        manager.close_intake();
        if tokio::time::timeout(CHAINS_TIME_MAX, manager.halt())
            .await
            .is_err()
        {
            tracing::warn!(target: LOGGER, "chains did not stop within {CHAINS_TIME_MAX:?}; going on without them");
        }
        stopping.send_replace(true);
        stop.cancel();
        futures::future::join_all(servers).await;
    };
    if tokio::time::timeout(TIME_MAX, whole).await.is_err() {
        tracing::warn!(target: LOGGER, "stopping took more than {TIME_MAX:?}; what is left is cut off");
    }
}
