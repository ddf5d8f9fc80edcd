//! One channel of this node: its ledger and config, what this node does on it, and its health.
//!
//! ```text
//!            ┌──── config lists this node, or its new id ────┐
//!            v                                               │
//! open ─> Chain ── not a member any more, or log lost ──> Follower <─ joined with a later block, or not a member
//!            └── broken ──> quarantine <── ledger broken ────┘
//! ```
//!
//! A change from one to the other leaves ledger, config and deliver streams as they are.

mod part;

use std::sync::Arc;

use arc_swap::ArcSwap;
use consensus::Chain;
use ledger::{BlockReader, BlockStore};
use parking_lot::Mutex;
use protos::{ChannelId, Height};

use super::LOGGER;
use super::chain_support::{ChainSupport, NodeParts, SupportError};
use super::health::{Health, HealthCell};
use super::join::JoinFiles;
use super::membership::{Place, place_in};
use super::refused::RefusedConfig;
use super::view::View;
use crate::onboarding::JoinBlock;
use crate::processor::{ProcessError, Rules};

pub use part::Part;

/// One channel. What can be had of a quarantined one depends on how far it could be opened.
pub struct Channel {
    id: ChannelId,
    health: HealthCell,
    view: Option<Arc<View>>,
    support: Option<Arc<ChainSupport>>,
    joined: Option<Joined>,
    /// What this node does on the channel now.
    part: ArcSwap<Part>,
    /// True once no other part may begin. Held while one begins.
    is_closed: Mutex<bool>,
}

/// How a channel was joined, while its join file stands.
#[derive(Clone)]
pub struct Joined {
    /// The block it was joined with.
    pub block: JoinBlock,
    /// Where its join file is.
    pub files: JoinFiles,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Channel({}, {})", self.id, self.health.get())
    }
}

impl Channel {
    /// Opens a channel and begins what this node does on it: orders it, or follows it. Its ledger has at least the
    /// genesis block, or it was `joined` with a later one. Must be called within a `tokio` runtime. Whatever goes
    /// wrong ends as a quarantine.
    pub fn open(id: ChannelId, store: BlockStore, joined: Option<Joined>, node: &NodeParts) -> Arc<Self> {
        let reader = store.reader();
        let join = joined.as_ref().map(|joined| Arc::clone(joined.block.config()));
        let support = match ChainSupport::open(id.clone(), store, join, node) {
            Ok(support) => support,
            Err(SupportError::Refused(refused)) => return Self::refused(id, reader, node, &refused),
            Err(error) => return Self::quarantined(id, &error),
        };
        let mut channel = Self::closed(id);
        channel.view = Some(Arc::clone(support.view()));
        channel.support = Some(support);
        channel.joined = joined;
        *channel.is_closed.get_mut() = false;
        let channel = Arc::new(channel);
        part::begin(&channel, node);
        channel
    }

    /// A channel of which nothing can be had but the reason.
    pub fn quarantined(id: ChannelId, reason: &(impl ToString + ?Sized)) -> Arc<Self> {
        Self::in_health(id, &Health::Quarantined(reason.to_string()))
    }

    /// A channel of which nothing is to be had.
    pub fn in_health(id: ChannelId, health: &Health) -> Arc<Self> {
        let channel = Self::closed(id);
        channel.health.set(health);
        Arc::new(channel)
    }

    fn closed(id: ChannelId) -> Self {
        Self {
            health: HealthCell::starting(&id),
            id,
            view: None,
            support: None,
            joined: None,
            part: ArcSwap::from_pointee(Part::Nothing),
            is_closed: Mutex::new(true),
        }
    }

    /// A channel whose newest config does not follow the one before it, under which `reader` goes on being read.
    fn refused(id: ChannelId, reader: BlockReader, node: &NodeParts, refused: &RefusedConfig) -> Arc<Self> {
        let reason = node.reports.write(&id, refused);
        // It was in force, so its limits are good.
        let view = View::under(Arc::clone(&refused.in_force), reader, node);
        Self::readable(id, view.ok(), &reason)
    }

    /// A channel whose ledger is damaged, of which `reader` has the blocks before the damage.
    pub fn damaged(
        id: ChannelId,
        reader: BlockReader,
        node: &NodeParts,
        reason: &(impl ToString + ?Sized),
    ) -> Arc<Self> {
        let view = View::open(&id, reader, node).map(|(view, _)| view);
        if let Err(error) = &view {
            tracing::warn!(target: LOGGER, "channel {id}: nothing of it can be read: {error}");
        }
        Self::readable(id, view.ok(), &reason.to_string())
    }

    fn readable(id: ChannelId, view: Option<View>, reason: &str) -> Arc<Self> {
        let mut channel = Self::closed(id);
        channel.view = view.map(Arc::new);
        channel.health.set(&Health::Quarantined(reason.to_owned()));
        Arc::new(channel)
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

    /// What this node does on it now.
    pub fn part(&self) -> Arc<Part> {
        self.part.load_full()
    }

    /// Its ordering, while this node orders it.
    pub fn chain(&self) -> Option<Arc<dyn Chain>> {
        self.part.load().chain().map(Arc::clone)
    }

    /// How many blocks are durable; 0 where that cannot be said.
    pub fn height(&self) -> Height {
        self.view
            .as_ref()
            .map_or(Height::EMPTY, |view| view.reader().height())
    }

    /// True until the ledger has the block that the channel was joined with.
    pub fn is_onboarding(&self) -> bool {
        let number = self.joined.as_ref().map(|joined| joined.block.number());
        number.is_some_and(|number| self.height().0 <= number.0)
    }

    /// This node's place by the config in force, or while it is onboarding by the one it was joined with; none where
    /// that cannot be said.
    pub fn place(&self, node: &NodeParts) -> Option<Place> {
        let joined = self.joined.as_ref().filter(|_| self.is_onboarding());
        let bundle = match joined {
            Some(joined) => Arc::clone(joined.block.config()),
            None => Arc::clone(self.view.as_ref()?.rules().bundle()),
        };
        place_in(&bundle, &*node.others).ok()
    }

    /// What orders on this channel, with the rules in force; or why nothing does.
    pub fn ordering(&self) -> Result<(Arc<dyn Chain>, Arc<Rules>), ProcessError> {
        let unavailable = |reason| Err(ProcessError::Unavailable { reason });
        let (part, support) = (self.part.load(), self.support.as_ref());
        match (&**part, support) {
            (Part::Chain { chain, kind }, Some(support)) => {
                let rules = support.rules();
                let now = &rules.bundle().orderer().consensus_type.kind;
                if now != kind {
                    return unavailable(format!("consenter {now} is not available"));
                }
                Ok((Arc::clone(chain), rules))
            }
            // Clients take this as the sign that they should ask another node.
            (Part::Follower { reason: None, .. }, _) => Err(ProcessError::UnknownChannel),
            _ => unavailable(format!("channel is {}", self.health.get())),
        }
    }

    /// Stops what this node does here; ready when all it took in is durable.
    pub async fn halt(&self) {
        *self.is_closed.lock() = true;
        match &*self.part() {
            Part::Chain { chain, .. } => chain.halt().await,
            Part::Follower { follower, .. } => follower.halt().await,
            Part::Nothing => {}
        }
    }
}

#[cfg(test)]
mod tests;
