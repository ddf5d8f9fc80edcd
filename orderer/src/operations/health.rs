//! Whether the process should be started anew: what `/healthz` says.
//!
//! Whoever asks here restarts the process when the answer is bad. So the answer is bad only where a restart is the
//! cure: the tasks of the node do not run any more, or one of its listeners has ended by itself. A channel in
//! quarantine, a full disk, a lost quorum and an expired certificate are none of that: a restart would not mend them,
//! and would take the channels that are well down with it. [`readiness`](super::readiness) tells of those.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::AbortHandle;

/// How often the node's runtime shows that it is alive.
const BEAT_INTERVAL: Duration = Duration::from_secs(1);
/// A runtime without a sign of life for so long does not come back by itself. Paused machines, and disks that hang
/// for a while, are not to be taken for that.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// Something that only a restart mends.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct FailedCheck {
    /// What is broken.
    pub component: String,
    /// How.
    pub reason: String,
}

/// Signs of life of a node.
#[derive(Debug)]
pub(super) struct Health {
    pulse: Arc<Pulse>,
    /// The tasks that serve listeners.
    listeners: Mutex<Vec<(&'static str, AbortHandle)>>,
}

/// When the runtime ran one of our tasks last.
#[derive(Debug)]
struct Pulse {
    began: Instant,
    /// Milliseconds after `began`.
    last_beat: AtomicU64,
}

impl Health {
    /// Watches the runtime that this is called in.
    pub(super) fn watch_runtime() -> Self {
        let pulse = Arc::new(Pulse {
            began: Instant::now(),
            last_beat: AtomicU64::new(0),
        });
        // Dies with the runtime, or with whoever asks.
        let beating = Arc::downgrade(&pulse);
        tokio::spawn(async move {
            while let Some(pulse) = beating.upgrade() {
                pulse.beat(Instant::now());
                drop(pulse);
                tokio::time::sleep(BEAT_INTERVAL).await;
            }
        });
        Self {
            pulse,
            listeners: Mutex::default(),
        }
    }

    /// Watches the tasks of these listeners as well, until given others.
    pub(super) fn watch_listeners(&self, listeners: Vec<(&'static str, AbortHandle)>) {
        *self.listeners.lock() = listeners;
    }

    /// What is broken as of `now`.
    pub(super) fn failed_checks(&self, now: Instant) -> Vec<FailedCheck> {
        let ended = |(name, task): &(&str, AbortHandle)| {
            task.is_finished().then(|| FailedCheck {
                component: format!("{name} listener"),
                reason: "it has ended".to_owned(),
            })
        };
        let listeners = self.listeners.lock();
        let listeners = listeners.iter().filter_map(ended);
        self.pulse.silence(now).into_iter().chain(listeners).collect()
    }
}

impl Pulse {
    fn beat(&self, now: Instant) {
        let since = now.saturating_duration_since(self.began).as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        self.last_beat.store(since, Ordering::Relaxed);
    }

    fn silence(&self, now: Instant) -> Option<FailedCheck> {
        let last = Duration::from_millis(self.last_beat.load(Ordering::Relaxed));
        let silent = now.saturating_duration_since(self.began).saturating_sub(last);
        (silent > SILENCE_MAX).then(|| FailedCheck {
            component: "runtime".to_owned(),
            reason: format!("no task has run for {} s", silent.as_secs()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_runtime_without_a_sign_of_life_is_broken() {
        let health = Health::watch_runtime();
        let now = Instant::now();
        assert_eq!(health.failed_checks(now), []);
        let failed = health.failed_checks(now + SILENCE_MAX + Duration::from_secs(10));
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].component, "runtime");
        assert!(failed[0].reason.starts_with("no task has run for "), "{failed:?}");
    }

    #[tokio::test]
    async fn a_listener_that_ended_by_itself_is_broken() {
        let health = Health::watch_runtime();
        let serving = tokio::spawn(std::future::pending::<()>());
        health.watch_listeners(vec![("general", serving.abort_handle())]);
        assert_eq!(health.failed_checks(Instant::now()), []);
        serving.abort();
        let _ = serving.await;
        let failed = health.failed_checks(Instant::now());
        assert_eq!(failed[0].component, "general listener");
    }
}
