//! The Manager as the admin API sees it.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use protos::wire::common::Block;
use protos::{BlockNumber, ChannelId, SealedBlock};

use super::channel::Channel;
use super::health::Health;
use super::manager::Manager;
use crate::admin::{
    BlockChoice, ChannelInfo, FetchError, JoinError, Registrar, Relation, RemoveError, Status, UpdateError,
};

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
        self.0.get(channel.as_str()).map(|channel| info(&channel))
    }

    fn join(&self, block: Block) -> BoxFuture<'_, Result<ChannelInfo, JoinError>> {
        async move { self.0.join(block).await.map(|channel| info(&channel)) }.boxed()
    }

    fn update(&self, envelope: Bytes) -> BoxFuture<'_, Result<ChannelInfo, UpdateError>> {
        async move { self.0.update(envelope).await.map(|channel| info(&channel)) }.boxed()
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

fn info(channel: &Channel) -> ChannelInfo {
    ChannelInfo {
        name: channel.id().clone(),
        // A solo channel has one orderer, the one that joined it.
        relation: Relation::Consenter,
        status: match channel.health() {
            Health::Running | Health::Starting => Status::Active,
            Health::Stopped | Health::Quarantined(_) => Status::Inactive,
        },
        height: channel.height(),
    }
}

fn fetch(channel: &Channel, choice: BlockChoice) -> Result<SealedBlock, FetchError> {
    let failed = |error: &dyn std::fmt::Display| FetchError::Failed(error.to_string());
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
