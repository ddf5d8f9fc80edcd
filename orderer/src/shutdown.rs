//! The end of a node: the order of stopping.
//!
//! 1. Intake: every further envelope is refused with `SERVICE_UNAVAILABLE`.
//! 2. Chains: what was taken in is ordered and written; where this node leads, another member is made the leader
//!    before the chain ends.
//! 3. Streams: deliver streams send what there is by then, and end; idle broadcast streams end.
//! 4. Listeners: connections are closed.
//!
//! Each step has a bound, so the process is gone within [`TIME_MAX`] whatever hangs: a member that is down, a majority
//! that is missing, a disk that is full, a client that reads nothing.

use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::multichannel::Manager;
use crate::server::LOGGER;

/// Bound of the whole.
pub const TIME_MAX: Duration = Duration::from_secs(10);
/// Bound of the chains' part.
const CHAINS_TIME_MAX: Duration = Duration::from_secs(6);

/// Ready when `stopping` is true: streams are to end. Never when its sender is gone without having said so.
pub async fn begun(stopping: &mut watch::Receiver<bool>) {
    if stopping.wait_for(|stopping| *stopping).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits for `tasks`, of which no more come, but no longer than `time_max`. True: all have ended.
pub async fn ended(tasks: &TaskTracker, time_max: Duration) -> bool {
    tasks.close();
    tokio::time::timeout(time_max, tasks.wait()).await.is_ok()
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
    let began = Instant::now();
    if tokio::time::timeout(TIME_MAX, whole).await.is_err() {
        tracing::warn!(target: LOGGER, "stopping took more than {TIME_MAX:?}; what is left is cut off");
    }
    tracing::info!(target: LOGGER, "Stopped after {:.3} s", began.elapsed().as_secs_f64());
}
