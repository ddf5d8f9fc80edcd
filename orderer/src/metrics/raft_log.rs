//! A raft log whose writes are timed.

use std::sync::Arc;
use std::time::Instant;

use consensus::raft::log::{LogError, LogState, LogWrite, RaftLog, Retired};
use protos::ChannelId;

use super::Metrics;
use super::instrument::{Histogram, to_f64};

/// Hands everything on to another log. One durable write of all channels is timed as one.
pub struct TimedLog {
    log: Arc<dyn RaftLog>,
    fsync: Histogram,
    writes: Histogram,
}

impl TimedLog {
    /// Times `log`.
    pub fn new(log: Arc<dyn RaftLog>, metrics: &Metrics) -> Self {
        let families = metrics.families();
        Self {
            log,
            fsync: families.consensus.fsync.clone(),
            writes: families.ours.path.log_sync_writes.clone(),
        }
    }
}

impl RaftLog for TimedLog {
    fn load(&self, channel: &ChannelId) -> Result<LogState, LogError> {
        self.log.load(channel)
    }

    fn write(&self, writes: &[(ChannelId, LogWrite)]) -> Result<(), LogError> {
        let began = Instant::now();
        self.log.write(writes)?;
        self.fsync.observe_time(began.elapsed());
        self.writes.observe(to_f64(writes.len() as u64));
        Ok(())
    }

    fn retire(&self, channel: &ChannelId, retired: Retired) -> Result<(), LogError> {
        self.log.retire(channel, retired)
    }

    fn remove(&self, channel: &ChannelId) -> Result<(), LogError> {
        self.log.remove(channel)
    }
}
