//! Taking a channel off this node, its blocks included (`docs/spec/behaviour.md` §4.5).
//!
//! ```text
//! out of the table ─> chain halts ─> join file gone ─> ledger: marker, files, index, marker gone ─> 204
//!   nothing comes in   streams end                      from the marker on, a crash only delays it
//! ```
//!
//! One that fails leaves the channel in quarantine with the reason; asking again goes on with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ledger::RemoveError as LedgerError;
use protos::ChannelId;

use super::LOGGER;
use super::channel::Channel;
use super::manager::Manager;
use crate::admin::RemoveError;

/// How long the chain, and whoever holds on to its ledger, may take to let go. A chain that waits for room on the disk
/// takes longer.
const LET_GO_TIME_MAX: Duration = Duration::from_secs(10);
/// Pause between two tries.
const LET_GO_PAUSE: Duration = Duration::from_millis(10);

impl Manager {
    /// Removes `channel`; ready when nothing of it is left.
    pub async fn remove(self: &Arc<Self>, channel: ChannelId) -> Result<(), RemoveError> {
        let manager = Arc::clone(self);
        // On a task of its own, so that a client that goes away does not leave it half done.
        let removing = tokio::spawn(async move { manager.remove_whole(&channel).await });
        removing
            .await
            .map_err(|error| RemoveError::Failed(error.to_string()))?
    }

    async fn remove_whole(self: &Arc<Self>, name: &ChannelId) -> Result<(), RemoveError> {
        let _one_at_a_time = self.joining().lock().await;
        let channel = self.get(name.as_str()).ok_or(RemoveError::NoChannel)?;
        tracing::info!(target: LOGGER, "Removing channel {name}");
        self.forget(name);
        let halted = tokio::time::timeout(LET_GO_TIME_MAX, channel.halt()).await;
        if halted.is_err() {
            // It goes on as it was.
            self.keep(&channel);
            return Err(RemoveError::Failed("its chain does not stop".to_owned()));
        }
        drop(channel);
        let (manager, channel) = (Arc::clone(self), name.clone());
        let removed = tokio::task::spawn_blocking(move || manager.remove_files(&channel)).await;
        let removed = removed
            .map_err(|error| error.to_string())
            .and_then(|removed| removed);
        removed.map_err(|reason| {
            let left = format!("its removal did not finish: {reason}");
            self.keep(&Arc::new(Channel::quarantined(name.clone(), &left)));
            RemoveError::Failed(reason)
        })
    }

    fn remove_files(&self, channel: &ChannelId) -> Result<(), String> {
        self.joins().remove(channel).map_err(|error| error.to_string())?;
        let began = Instant::now();
        loop {
            match self.ledgers().remove(channel) {
                // A channel in quarantine may have had no ledger.
                Ok(()) | Err(LedgerError::Unknown { .. }) => return Ok(()),
                Err(LedgerError::StillOpen { .. }) if began.elapsed() < LET_GO_TIME_MAX => {
                    std::thread::sleep(LET_GO_PAUSE);
                }
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}
