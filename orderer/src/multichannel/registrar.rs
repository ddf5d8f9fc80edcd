//! The Manager as the admin API sees it.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use protos::wire::common::Block;
use protos::{BlockNumber, ChannelId, Height, SealedBlock};

use super::chain_support::NodeParts;
use super::channel::{Channel, Part};
use super::health::Health;
use super::manager::{Joined, Manager};
use super::membership::Place;
use crate::admin::{
    BlockChoice, ChannelInfo, ConsensusInfo, FetchError, JoinError, Registrar, Relation, RemoveError, Status,
    UpdateError,
};
use crate::onboarding::FollowerState;

/// The admin API's handle on the Manager.
#[derive(Clone)]
pub struct Participation(pub Arc<Manager>);

impl Registrar for Participation {
    fn channels(&self) -> Vec<ChannelId> {
        let mut names: Vec<_> = self.0.channels().keys().cloned().collect();
        names.sort();
        names
    }

    fn channel(&self, channel: &ChannelId) -> Option<ChannelInfo> {
        let node = self.0.node();
        self.0.get(channel.as_str()).map(|channel| info(&channel, node))
    }

    fn join(&self, block: Block) -> BoxFuture<'_, Result<ChannelInfo, JoinError>> {
        async move { self.0.join(block).await.map(|done| joined(&done, self.0.node())) }.boxed()
    }

    fn update(&self, envelope: Bytes) -> BoxFuture<'_, Result<ChannelInfo, UpdateError>> {
        async move {
            self.0
                .update(envelope)
                .await
                .map(|channel| info(&channel, self.0.node()))
        }
        .boxed()
    }

    fn remove<'a>(&'a self, channel: &'a ChannelId) -> BoxFuture<'a, Result<(), RemoveError>> {
        self.0.remove(channel.clone()).boxed()
    }

    fn block<'a>(
        &'a self,
        channel: &'a ChannelId,
        choice: BlockChoice,
    ) -> BoxFuture<'a, Result<SealedBlock, FetchError>> {
        let found = self.0.get(channel.as_str()).ok_or(FetchError::NoChannel);
        async move {
            let channel = found?;
            let read = tokio::task::spawn_blocking(move || fetch(&channel, choice));
            read.await
                .map_err(|error| FetchError::Failed(error.to_string()))?
        }
        .boxed()
    }
}

/// How a channel stands (`docs/spec/behaviour.md` §4.2).
fn info(channel: &Channel, node: &NodeParts) -> ChannelInfo {
    let part = channel.part();
    let (relation, status) = match (&*part, channel.health()) {
        (_, Health::HalfRemoved(_)) => (Relation::Consenter, Status::Failed),
        (Part::Follower { follower, .. }, Health::Following { .. }) => {
            following(follower.status().state, channel, node)
        }
        (Part::Follower { .. }, _) => (Relation::Follower, Status::Inactive),
        (Part::Chain { .. }, Health::Running) if channel.ordering().is_ok() => {
            (Relation::Consenter, Status::Active)
        }
        _ => (Relation::Consenter, Status::Inactive),
    };
    ChannelInfo {
        name: channel.id().clone(),
        relation,
        status,
        height: channel.height(),
        consensus: consensus(channel, &part),
        reason: reason(channel, &part),
    }
}

/// A follower that is onboarding to become a consenter is shown as one.
fn following(state: FollowerState, channel: &Channel, node: &NodeParts) -> (Relation, Status) {
    let place = channel.place(node);
    match state {
        FollowerState::Onboarding if place.is_some_and(Place::orders) => {
            (Relation::Consenter, Status::Onboarding)
        }
        FollowerState::Onboarding => (Relation::Follower, Status::Onboarding),
        FollowerState::Active => (Relation::Follower, Status::Active),
    }
}

/// The cluster as this member sees it, for types that have one.
fn consensus(channel: &Channel, part: &Part) -> Option<ConsensusInfo> {
    let Part::Chain { chain, kind } = part else {
        return None;
    };
    let cluster = chain.status().cluster?;
    // What it knew when it ended is not how things stand.
    (channel.health() == Health::Running).then(|| ConsensusInfo {
        kind: kind.clone(),
        cluster,
    })
}

/// What an operator should know of a channel that is not simply active.
fn reason(channel: &Channel, part: &Part) -> Option<String> {
    match (channel.health(), part) {
        (Health::Quarantined(reason) | Health::HalfRemoved(reason), _) => Some(reason),
        (Health::Following { reason }, Part::Follower { follower, .. }) => {
            reason.or_else(|| follower.status().trouble)
        }
        (Health::Running, Part::Chain { .. }) => channel.ordering().err().map(|error| error.to_string()),
        _ => None,
    }
}

/// What a join answers: nothing is asked of a follower that has just begun.
fn joined(joined: &Joined, node: &NodeParts) -> ChannelInfo {
    let info = info(&joined.channel, node);
    if !joined.follows_first {
        return info;
    }
    let relation = if joined.place.orders() {
        Relation::Consenter
    } else {
        Relation::Follower
    };
    ChannelInfo {
        relation,
        status: Status::Onboarding,
        height: Height::EMPTY,
        consensus: None,
        ..info
    }
}

fn fetch(channel: &Channel, choice: BlockChoice) -> Result<SealedBlock, FetchError> {
    let failed = |error: &dyn std::fmt::Display| FetchError::Failed(error.to_string());
    // Tools take this as the sign that the node is no member any more (`docs/spec/dropin.md` §3).
    if let Part::Follower { reason: None, .. } = &*channel.part() {
        return Err(FetchError::Follower);
    }
    let Some(view) = channel.view() else {
        return Err(failed(&format!("channel is {}", channel.health())));
    };
    let reader = view.reader();
    let tip = reader.height().tip().unwrap_or(BlockNumber::GENESIS);
    let number = match choice {
        BlockChoice::Newest => tip,
        BlockChoice::Oldest => BlockNumber::GENESIS,
        BlockChoice::Number(number) => number,
        BlockChoice::Config => last_config(channel).map_err(|error| failed(&error))?,
    };
    reader
        .get(number)
        .map_err(|error| failed(&error))?
        .ok_or(FetchError::NoBlock(number))
}

fn last_config(channel: &Channel) -> Result<BlockNumber, String> {
    let reader = channel.view().ok_or("channel cannot be read")?.reader();
    let tip = reader
        .tip()
        .map_err(|error| error.to_string())?
        .ok_or("ledger is empty")?;
    let tip = tip.decode().map_err(|error| error.to_string())?;
    protos::block::last_config(&tip).map_err(|error| error.to_string())
}
