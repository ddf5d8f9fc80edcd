//! How far a run is, for whoever shows it, and the way to end one early.

use std::sync::atomic::AtomicU64;

use tokio::sync::watch;

/// Counters of a running load or reading.
#[derive(Debug, Default)]
pub struct Progress {
    /// Envelopes signed.
    pub signed: AtomicU64,
    /// Envelopes acknowledged.
    pub acknowledged: AtomicU64,
    /// Distinct envelopes seen in blocks; of a reading, blocks read.
    pub delivered: AtomicU64,
    stopped: watch::Sender<bool>,
}

impl Progress {
    /// Ends the run early: nothing more is signed or sent, what is in flight is still waited for, and the report
    /// tells what was done so far.
    pub fn stop(&self) {
        self.stopped.send_replace(true);
    }

    /// Whether [`stop`](Self::stop) was called.
    pub fn is_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// Resolves once [`stop`](Self::stop) was called.
    pub(super) async fn stopped(&self) {
        // Cannot fail: the other end lives as long as this.
        let _ = self.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }
}
