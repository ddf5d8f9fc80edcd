//! Taking a channel off this node, its blocks included (`docs/spec/behaviour.md` §4.5).
//!
//! ```text
//! nothing comes in ─> chain or follower halts ─> marker ─> consenter's log, join file ─> index, files ─> marker gone ─> 204
//!   streams end        what is owed is kept       from here on, a crash only delays it
//! ```
//!
//! While it goes on, the channel is shown as being removed. One that fails leaves it half removed, with the reason;
//! asking again, or the next start, goes on with it.

use std::sync::Arc;

use consensus::RemovedChain;
use protos::{BlockNumber, ChannelId};

use super::LOGGER;
use super::channel::Channel;
use super::health::Health;
use super::manager::{LET_GO_TIME_MAX, Manager};
use super::view::View;
use crate::admin::RemoveError;

impl Manager {
    /// Removes `channel`; ready when nothing of it is left.
    pub async fn remove(self: &Arc<Self>, channel: ChannelId) -> Result<(), RemoveError> {
        if self.get(channel.as_str()).is_none() {
            return Err(RemoveError::NoChannel);
        }
        if !self.removing().lock().insert(channel.clone()) {
            return Err(RemoveError::Pending);
        }
        let manager = Arc::clone(self);
        // On a task of its own, so that a client that goes away does not leave it half done.
        let removing = tokio::spawn(async move {
            let removed = manager.remove_whole(&channel).await;
            manager.removing().lock().remove(&channel);
            removed
        });
        removing
            .await
            .map_err(|error| RemoveError::Failed(error.to_string()))?
    }

    /// Has the consenters keep what they owe to the other nodes, which may keep the channel.
    fn retire(&self, channel: &Channel) -> Result<(), String> {
        let Some(chain) = channel.view().and_then(|view| removed_chain(view)) else {
            return Ok(()); // nothing is known of it that it could be known again by
        };
        for consenter in self.node().consenters.all() {
            consenter.retire_channel(channel.id(), chain.clone())?;
        }
        Ok(())
    }

    async fn remove_whole(self: &Arc<Self>, name: &ChannelId) -> Result<(), RemoveError> {
        let _one_at_a_time = self.joining().lock().await;
        let channel = self.get(name.as_str()).ok_or(RemoveError::NoChannel)?;
        tracing::info!(target: LOGGER, "Removing channel {name}");
        self.keep(&Channel::in_health(name.clone(), &Health::Removing));
        let halted = tokio::time::timeout(LET_GO_TIME_MAX, channel.halt()).await;
        if let (Err(_), Some(support)) = (halted, channel.support()) {
            // It waits for room on the disk, say, which this very removal may be to make.
            tracing::warn!(target: LOGGER, "channel {name} does not stop, and is removed with what it was writing");
            support.abandon();
        }
        let manager = Arc::clone(self);
        let removed = tokio::task::spawn_blocking(move || {
            let name = channel.id().clone();
            manager.retire(&channel)?;
            drop(channel);
            manager.remove_ledger(&name)
        });
        let removed = removed.await;
        match removed
            .map_err(|error| error.to_string())
            .and_then(|removed| removed)
        {
            Ok(()) => {
                self.forget(name);
                Ok(())
            }
            Err(reason) => {
                self.keep(&Channel::in_health(
                    name.clone(),
                    &Health::HalfRemoved(reason.clone()),
                ));
                Err(RemoveError::Failed(reason))
            }
        }
    }
}

/// By what the chain in this ledger is known again; none if its first blocks cannot be read.
fn removed_chain(view: &View) -> Option<RemovedChain> {
    let hash = |number| {
        view.reader()
            .get(BlockNumber(number))
            .map(|block| block.map(|block| *block.hash()))
    };
    Some(RemovedChain {
        genesis: hash(0).ok()??,
        first: hash(1).ok()?,
        metadata: view.rules().bundle().orderer().consensus_type.metadata.clone(),
    })
}
