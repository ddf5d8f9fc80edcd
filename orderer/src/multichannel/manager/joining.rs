//! Joining: asked for while the node runs, and by a join file at its start.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use ledger::BlockStore;
use prost::Message as _;
use protos::wire::common::Block;
use protos::{BlockNumber, ChannelId, SealedBlock};

use super::{Manager, guard, log_recovery};
use crate::admin::JoinError;
use crate::multichannel::LOGGER;
use crate::multichannel::channel::{self, Channel};
use crate::multichannel::health::Health;
use crate::multichannel::join::CheckedJoin;
use crate::multichannel::membership::Place;
use crate::onboarding::JoinBlock;

/// A channel that was joined just now.
#[derive(Debug)]
pub struct Joined {
    /// The channel.
    pub channel: Arc<Channel>,
    /// This node's place in it by the block it was joined with.
    pub place: Place,
    /// It began as a follower, whatever became of it meanwhile.
    pub follows_first: bool,
}

impl Manager {
    /// Joins the channel of `join`. Ready when that survives a crash and chain or follower has started.
    pub async fn join(self: &Arc<Self>, join: Block) -> Result<Joined, JoinError> {
        let join = CheckedJoin::check(join, &self.node, SystemTime::now())?;
        let channel = join.channel.clone();
        if self.is_being_removed(&channel) {
            return Err(JoinError::PendingRemoval);
        }
        let _one_at_a_time = self.joining.lock().await;
        match self.get(channel.as_str()).map(|channel| channel.health()) {
            None => {}
            Some(Health::HalfRemoved(_)) => return Err(JoinError::RemovalFailed),
            Some(Health::Removing) => return Err(JoinError::PendingRemoval),
            Some(_) => return Err(JoinError::AlreadyExists),
        }
        tracing::info!(target: LOGGER, "Joining channel {channel}");
        let manager = Arc::clone(self);
        let runtime = tokio::runtime::Handle::current();
        let joined = tokio::task::spawn_blocking(move || {
            let _entered = runtime.enter();
            manager.join_blocking(&join)
        });
        joined
            .await
            .map_err(|error| JoinError::Internal(error.to_string()))?
    }

    fn join_blocking(&self, join: &CheckedJoin) -> Result<Joined, JoinError> {
        let (name, place) = (join.channel.clone(), join.place);
        let follows_first = !join.orders_at_once();
        // A ledger that somebody put there while the node runs is not ours to remove.
        let existed = self.ledgers.channels().contains(&name);
        let bytes = Bytes::from(join.block.encode_to_vec());
        self.joins
            .save(&name, &bytes)
            .map_err(|error| JoinError::Internal(error.to_string()))?;
        let opened = guard(|| self.join_ledger(&name, join));
        let opened = opened.map_err(JoinError::Internal).and_then(|opened| opened);
        let channel = opened.inspect_err(|_| self.undo_join(&name, existed))?;
        if let Health::Quarantined(reason) = channel.health() {
            drop(channel);
            self.undo_join(&name, existed);
            return Err(JoinError::Internal(reason));
        }
        self.keep(&channel);
        Ok(Joined {
            channel,
            place,
            follows_first,
        })
    }

    /// The joined channel. With a genesis block, that is in its ledger, durable.
    pub(super) fn join_ledger(
        &self,
        channel: &ChannelId,
        join: &CheckedJoin,
    ) -> Result<Arc<Channel>, JoinError> {
        let internal = |error: &dyn std::fmt::Display| JoinError::Internal(error.to_string());
        if join.channel != *channel {
            let reason = format!("it is for channel {}", join.channel);
            return Err(JoinError::InvalidBlock(reason));
        }
        let mut store = self
            .ledgers
            .open_channel(channel)
            .map_err(|error| internal(&error))?;
        log_recovery(channel, store.recovery());
        if join.number() == BlockNumber::GENESIS {
            put_genesis(&mut store, &join.block)?;
        }
        let joined = channel::Joined {
            block: JoinBlock::read(&join.block).map_err(|error| internal(&error))?,
            files: self.joins.clone(),
        };
        Ok(Channel::open(channel.clone(), store, Some(joined), &self.node))
    }

    /// Takes back what a failed join left; what cannot be taken back now is at the next start.
    fn undo_join(&self, channel: &ChannelId, keeps_ledger: bool) {
        self.node.metrics.forget_channel(channel);
        let removed = if keeps_ledger {
            self.joins.remove(channel).map_err(|error| error.to_string())
        } else {
            self.remove_ledger(channel)
        };
        if let Err(error) = removed {
            tracing::warn!(target: LOGGER, "channel {channel}: cleaning up a failed join: {error}");
        }
    }
}

/// Puts the genesis block into a ledger, or finds it there.
fn put_genesis(store: &mut BlockStore, join: &Block) -> Result<(), JoinError> {
    let internal = |error: &dyn std::fmt::Display| JoinError::Internal(error.to_string());
    let genesis = SealedBlock::seal(join).map_err(|error| internal(&error))?;
    if store.next_number() == BlockNumber::GENESIS {
        store.append(&genesis).map_err(|error| internal(&error))?;
        return store.sync().map(drop).map_err(|error| internal(&error));
    }
    let first = store.reader().get(BlockNumber::GENESIS);
    let first = first.map_err(|error| internal(&error))?;
    if first.is_none_or(|first| first.hash() != genesis.hash()) {
        let reason = "the channel's ledger begins with another block";
        return Err(JoinError::Refused(reason.to_owned()));
    }
    Ok(())
}
