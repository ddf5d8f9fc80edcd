//! What this node does on a channel, and the change from one part to another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use configtx::Bundle;
use configtx::block_verify::accepts_signer;
use consensus::{Chain, Consenter, ConsenterSupport as _, Ended, HandleChainError};
use protos::ConsenterId;

use super::Channel;
use crate::multichannel::LOGGER;
use crate::multichannel::chain_support::{ChainSupport, NodeParts};
use crate::multichannel::health::Health;
use crate::multichannel::membership::{Place, UntilConsenter, place_in, raft_id};
use crate::multichannel::others::{Follower, ToFollow};
use crate::onboarding::FollowerEnd;

/// A part that ends sooner than this was not worth its beginning.
const SHORT_PART: Duration = Duration::from_secs(2);
/// So many short parts may follow each other without a pause: one is what a node sees that was made a consenter
/// while it was away.
const SHORT_PARTS_MAX: u32 = 3;
/// The pause after more of them.
const SHORT_PARTS_PAUSE: Duration = Duration::from_secs(5);

/// How long the last blocks of a part may take to be durable.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(10);

/// What this node does on a channel.
pub enum Part {
    /// Nothing: the channel is out of order, or not begun.
    Nothing,
    /// It orders.
    Chain {
        /// How.
        chain: Arc<dyn Chain>,
        /// The consensus type it is made for.
        kind: String,
    },
    /// It takes the blocks of others.
    Follower {
        /// Who does.
        follower: Arc<dyn Follower>,
        /// Why, if it is a consenter by the config.
        reason: Option<String>,
    },
}

/// What is to be begun.
enum Next {
    /// What the config says.
    ByConfig,
    /// A follower until the config gives this node another id than this.
    Follow {
        unfit: Option<ConsenterId>,
        reason: Option<String>,
    },
}

/// A part that was made and is not begun.
enum Made {
    Chain {
        chain: Arc<dyn Chain>,
        kind: String,
    },
    Follower {
        unfit: Option<ConsenterId>,
        reason: Option<String>,
    },
}

impl Part {
    /// The chain, while there is one.
    pub fn chain(&self) -> Option<&Arc<dyn Chain>> {
        match self {
            Self::Chain { chain, .. } => Some(chain),
            Self::Nothing | Self::Follower { .. } => None,
        }
    }
}

/// Begins what the config says, and goes on from one part to the next for as long as the channel is open.
pub(super) fn begin(channel: &Arc<Channel>, node: &NodeParts) {
    let turns = Turns {
        channel: Arc::clone(channel),
        node: node.clone(),
        began: Instant::now(),
        short: 0,
    };
    match turns.make(Next::ByConfig) {
        Ok(made) => {
            turns.take(made);
            tokio::spawn(turns.keep());
        }
        Err(reason) => turns.quarantine(reason),
    }
}

/// The parts of one channel, one after the other.
struct Turns {
    channel: Arc<Channel>,
    node: NodeParts,
    /// The present part.
    began: Instant,
    /// Parts that ended early, in a row.
    short: u32,
}

impl Turns {
    async fn keep(mut self) {
        while let Some(next) = self.end_of_part().await {
            self.pause().await;
            self.settle().await;
            let turns = Self {
                channel: Arc::clone(&self.channel),
                node: self.node.clone(),
                ..self
            };
            // It reads the consenter's log.
            let made = tokio::task::spawn_blocking(move || turns.make(next)).await;
            match made.map_err(|error| error.to_string()).and_then(|made| made) {
                Ok(made) => self.take(made),
                Err(reason) => return self.quarantine(reason),
            }
            self.began = Instant::now();
        }
    }

    /// Waits for the end of the present part; what comes after it, if anything does.
    async fn end_of_part(&self) -> Option<Next> {
        match &*self.channel.part() {
            Part::Nothing => None,
            Part::Chain { chain, .. } => match chain.ended().await {
                Ok(Ended::Halted) => self.stopped(),
                Ok(Ended::OtherType) => Some(Next::ByConfig),
                Ok(Ended::NotMember) => Some(self.after_not_member(&**chain)),
                Ok(Ended::LostLog { reason }) => Some(Next::Follow {
                    unfit: own_id(&**chain),
                    reason: Some(reason),
                }),
                Err(failure) => self.broken(failure.to_string()),
            },
            Part::Follower { follower, .. } => match follower.ended().await {
                FollowerEnd::Stopped => self.stopped(),
                FollowerEnd::Consenter => Some(Next::ByConfig),
                FollowerEnd::Failed(error) => self.broken(error.to_string()),
                FollowerEnd::Panicked(message) => self.broken(format!("follower panicked: {message}")),
            },
        }
    }

    /// A chain that is no member under its id may be one under another by a config that is in force already.
    fn after_not_member(&self, chain: &dyn Chain) -> Next {
        let unfit = own_id(chain);
        match self.id_by_config() {
            Some(id) if Some(id) != unfit => Next::ByConfig,
            Some(_) => Next::Follow { unfit, reason: None },
            None => Next::Follow {
                unfit: None,
                reason: None,
            },
        }
    }

    /// The raft id that the newest block gives this node.
    fn id_by_config(&self) -> Option<ConsenterId> {
        let support = self.channel.support.as_ref()?;
        let place = place_in(support.rules().bundle(), &*self.node.others).ok()?;
        let Place::Consenter(place) = place else {
            return None;
        };
        raft_id(support.reader(), support.reader().height().tip()?, place)
    }

    fn stopped(&self) -> Option<Next> {
        self.channel.health.set(&Health::Stopped);
        None
    }

    fn broken(&self, reason: String) -> Option<Next> {
        self.quarantine(reason);
        None
    }

    fn quarantine(&self, reason: String) {
        self.channel.health.set(&Health::Quarantined(reason));
    }

    /// Keeps parts that end at once from following each other without end.
    async fn pause(&mut self) {
        let is_short = self.began.elapsed() < SHORT_PART;
        self.short = if is_short { self.short + 1 } else { 0 };
        if self.short > SHORT_PARTS_MAX {
            tokio::time::sleep(SHORT_PARTS_PAUSE).await;
        }
    }

    /// Waits for blocks that the part before has handed over: the next one begins with what is durable.
    async fn settle(&self) {
        let Some(support) = &self.channel.support else {
            return;
        };
        let (mut heights, taken) = (support.view().heights(), support.height());
        let durable = heights.wait_for(|height| *height >= taken);
        // On a disk that is full for longer the next part finds out by itself.
        let _ = tokio::time::timeout(SETTLE_TIME_MAX, durable).await;
    }

    /// Makes the next part. Reads the disk on the calling thread.
    fn make(&self, next: Next) -> Result<Made, String> {
        let support = self.channel.support.as_ref().ok_or("channel is not open")?;
        let rules = support.rules();
        let bundle = rules.bundle();
        bundle.check_supported().map_err(|error| error.to_string())?;
        if bundle.has_consortiums() {
            return Err("config contains consortiums: system channel not supported".to_owned());
        }
        let kind = &bundle.orderer().consensus_type.kind;
        let consenter = self
            .node
            .consenters
            .get(kind)
            .map_err(|error| error.to_string())?;
        let place = place_in(bundle, &*self.node.others)?;
        let made = match next {
            Next::Follow { unfit, reason } => Made::Follower { unfit, reason },
            Next::ByConfig if self.channel.is_onboarding() || !place.orders() => Made::follower(),
            Next::ByConfig => self.make_chain(&*consenter, kind, support)?,
        };
        if let Made::Follower { .. } = made {
            consenter.before_following(&self.channel.id)?;
        }
        Ok(made)
    }

    fn make_chain(
        &self,
        consenter: &dyn Consenter,
        kind: &str,
        support: &Arc<ChainSupport>,
    ) -> Result<Made, String> {
        let metadata = support.consenter_metadata().map_err(|error| error.to_string())?;
        match consenter.handle_chain(Arc::clone(support) as _, metadata) {
            Ok(chain) => {
                self.tell_of_signature(support.rules().bundle());
                Ok(Made::Chain {
                    chain,
                    kind: kind.to_owned(),
                })
            }
            Err(HandleChainError::NotMember) => Ok(Made::follower()),
            Err(HandleChainError::LostLog { reason }) => Ok(Made::Follower {
                unfit: self.id_by_config(),
                reason: Some(reason),
            }),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Says so where nobody would take the blocks that this node signs. It still takes part: the others order with it,
    /// and an update may be on its way.
    fn tell_of_signature(&self, bundle: &Bundle) {
        let identity = &self.node.identity;
        if let Err(error) = accepts_signer(bundle, identity) {
            let (subject, msp_id) = (identity.certificate().subject(), identity.msp_id());
            tracing::error!(
                target: LOGGER,
                "channel {}: nobody will take the blocks that this node signs, as {subject} of {msp_id}: {error}. Are \
                 General.LocalMSPID and LocalMSPDir those of an orderer organisation of the channel?",
                self.channel.id
            );
        }
    }

    /// Begins a part, unless the channel was closed meanwhile.
    fn take(&self, made: Made) {
        let channel = &self.channel;
        let is_closed = channel.is_closed.lock();
        if *is_closed {
            channel.part.store(Arc::new(Part::Nothing));
            channel.health.set(&Health::Stopped);
            return;
        }
        match made {
            Made::Chain { chain, kind } => {
                chain.start();
                channel.part.store(Arc::new(Part::Chain { chain, kind }));
                channel.health.set(&Health::Running);
                tracing::info!(target: LOGGER, "Created and started new channel {}", channel.id);
                self.forget_join();
            }
            Made::Follower { unfit, reason } => self.follow(unfit, reason),
        }
    }

    fn follow(&self, unfit: Option<ConsenterId>, reason: Option<String>) {
        let channel = &self.channel;
        let Some(support) = &channel.support else {
            return;
        };
        let host = UntilConsenter {
            others: Arc::clone(&self.node.others),
            reader: support.reader().clone(),
            unfit,
        };
        let joined = channel.joined.as_ref().filter(|_| channel.is_onboarding());
        let follower = self.node.others.follow(ToFollow {
            appender: support.appender(),
            host: Arc::new(host),
            join: joined.map(|joined| joined.block.clone()),
        });
        if let Some(reason) = &reason {
            tracing::warn!(target: LOGGER, "channel {} is only followed: {reason}", channel.id);
        }
        let part = Part::Follower {
            follower,
            reason: reason.clone(),
        };
        channel.part.store(Arc::new(part));
        channel.health.set(&Health::Following { reason });
        tracing::info!(target: LOGGER, "Created and started a follower.Chain for channel {}", channel.id);
    }

    /// A consenter needs its join file no longer. One that stays is looked at again at the next start, to no effect.
    fn forget_join(&self) {
        if let Some(joined) = &self.channel.joined
            && let Err(error) = joined.files.remove(&self.channel.id)
        {
            tracing::warn!(target: LOGGER, "channel {}: cannot delete the join file: {error}", self.channel.id);
        }
    }
}

impl Made {
    fn follower() -> Self {
        Self::Follower {
            unfit: None,
            reason: None,
        }
    }
}

/// The id under which `chain` takes part.
fn own_id(chain: &dyn Chain) -> Option<ConsenterId> {
    chain.status().cluster.map(|cluster| cluster.id)
}
