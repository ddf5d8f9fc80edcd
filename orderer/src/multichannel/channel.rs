//! One channel of this node: its support, the chain that runs on it, and its health.

use std::sync::Arc;

use consensus::{Chain, Consenter, ConsenterMetadata, consenters};
use ledger::{BlockReader, BlockStore};
use protos::{ChannelId, Height};

use super::LOGGER;
use super::chain_support::{ChainSupport, NodeParts, SupportError};
use super::health::{Health, HealthCell};
use super::refused::RefusedConfig;
use super::view::View;
use crate::processor::{ProcessError, Rules};

/// One channel. What can be had of a quarantined one depends on how far it could be opened.
pub struct Channel {
    id: ChannelId,
    health: Arc<HealthCell>,
    view: Option<Arc<View>>,
    support: Option<Arc<ChainSupport>>,
    chain: Option<Arc<dyn Chain>>,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Channel({}, {})", self.id, self.health.get())
    }
}

impl Channel {
    /// Opens a channel whose ledger has at least its genesis block, and starts its chain. Must be called within a
    /// `tokio` runtime. Whatever goes wrong ends as a quarantine.
    pub fn open(id: ChannelId, store: BlockStore, node: &NodeParts) -> Self {
        let health = HealthCell::starting(&id);
        let reader = store.reader();
        let (support, metadata) = match ChainSupport::open(id.clone(), store, node) {
            Ok(opened) => opened,
            Err(SupportError::Refused(refused)) => return Self::refused(id, reader, node, &refused),
            Err(error) => return Self::quarantined(id, &error),
        };
        let mut channel = Self {
            id,
            health: Arc::new(health),
            view: Some(Arc::clone(support.view())),
            support: Some(Arc::clone(&support)),
            chain: None,
        };
        match start_chain(support, metadata) {
            Ok(chain) => channel.run(chain),
            Err(reason) => channel.health.set(&Health::Quarantined(reason)),
        }
        channel
    }

    /// A channel of which nothing can be had but the reason.
    pub fn quarantined(id: ChannelId, reason: &(impl ToString + ?Sized)) -> Self {
        let health = HealthCell::starting(&id);
        health.set(&Health::Quarantined(reason.to_string()));
        Self {
            id,
            health: Arc::new(health),
            view: None,
            support: None,
            chain: None,
        }
    }

    /// A channel whose newest config does not follow the one before it, under which `reader` goes on being read.
    fn refused(id: ChannelId, reader: BlockReader, node: &NodeParts, refused: &RefusedConfig) -> Self {
        let reason = node.reports.write(&id, refused);
        let mut channel = Self::quarantined(id, &reason);
        // It was in force, so its limits are good.
        let view = View::under(Arc::clone(&refused.in_force), reader, node);
        channel.view = view.ok().map(Arc::new);
        channel
    }

    /// A channel whose ledger is damaged, of which `reader` has the blocks before the damage.
    pub fn damaged(
        id: ChannelId,
        reader: BlockReader,
        node: &NodeParts,
        reason: &(impl ToString + ?Sized),
    ) -> Self {
        let view = View::open(&id, reader, node);
        let mut channel = Self::quarantined(id, reason);
        match view {
            Ok((view, _)) => channel.view = Some(Arc::new(view)),
            Err(error) => {
                tracing::warn!(target: LOGGER, "channel {}: nothing of it can be read: {error}", channel.id);
            }
        }
        channel
    }

    fn run(&mut self, chain: Arc<dyn Chain>) {
        self.health.set(&Health::Running);
        chain.start();
        let (ended, health) = (chain.ended(), Arc::clone(&self.health));
        tokio::spawn(async move {
            match ended.await {
                Ok(_) => health.set(&Health::Stopped),
                Err(failure) => health.set(&Health::Quarantined(failure.to_string())),
            }
        });
        self.chain = Some(chain);
    }

    /// Its name.
    pub fn id(&self) -> &ChannelId {
        &self.id
    }

    /// How it stands.
    pub fn health(&self) -> Health {
        self.health.get()
    }

    /// Config, reader and heights, where the channel could be opened so far.
    pub fn view(&self) -> Option<&Arc<View>> {
        self.view.as_ref()
    }

    /// What it lends to its chain, where the channel could be opened so far.
    pub fn support(&self) -> Option<&Arc<ChainSupport>> {
        self.support.as_ref()
    }

    /// Its ordering, where there is one.
    pub fn chain(&self) -> Option<&Arc<dyn Chain>> {
        self.chain.as_ref()
    }

    /// How many blocks are durable; 0 where that cannot be said.
    pub fn height(&self) -> Height {
        self.view
            .as_ref()
            .map_or(Height::EMPTY, |view| view.reader().height())
    }

    /// What orders on this channel, with the rules in force; or why nothing does.
    pub fn ordering(&self) -> Result<(&Arc<dyn Chain>, Arc<Rules>), ProcessError> {
        match (&self.chain, &self.support) {
            (Some(chain), Some(support)) => Ok((chain, support.rules())),
            _ => Err(ProcessError::Unavailable {
                reason: format!("channel is {}", self.health.get()),
            }),
        }
    }

    /// Stops the chain; ready when all it took in is durable.
    pub async fn halt(&self) {
        if let Some(chain) = &self.chain {
            chain.halt().await;
        }
    }
}

/// Makes the chain of the channel's consensus type.
fn start_chain(support: Arc<ChainSupport>, metadata: ConsenterMetadata) -> Result<Arc<dyn Chain>, String> {
    let rules = support.rules();
    let bundle = rules.bundle();
    bundle.check_supported().map_err(|error| error.to_string())?;
    if bundle.has_consortiums() {
        return Err("config contains consortiums: system channel not supported".to_owned());
    }
    let kind = &bundle.orderer().consensus_type.kind;
    let consenter: Arc<dyn Consenter> = consenters().get(kind).map_err(|error| error.to_string())?;
    let chain = consenter
        .handle_chain(support, metadata)
        .map_err(|error| error.to_string())?;
    tracing::info!(target: LOGGER, "Created and started new channel {}", bundle.channel_id());
    Ok(chain)
}

#[cfg(test)]
mod tests;
