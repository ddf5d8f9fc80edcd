//! The follower of one channel.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use configtx::Bundle;
use configtx::bundle::BundleError;
use consensus::WriteError;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use protos::block::SealError;
use protos::wire::common::Block;
use protos::{BlockNumber, Height, SealedBlock};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::genesis::{self, Genesis};
use super::{FollowerEnd, FollowerState, FollowerStatus, GoOn, Host, LOGGER};
use crate::catchup::driver::{Job, Watcher, drive};
use crate::catchup::endpoints::sources;
use crate::catchup::link::Link;
use crate::catchup::plan::Goal;
use crate::catchup::report;
use crate::catchup::verifier::Anchor;
use crate::catchup::{Appender, Puller};
use crate::verify_pool::panic_text;

/// Pause before all are asked for block 0 again, the first time; it doubles up to the retry timeout.
const GENESIS_PAUSE_FIRST: Duration = Duration::from_millis(100);

/// The block that this node was given to join a channel with.
#[derive(Clone, Debug)]
pub struct JoinBlock {
    block: SealedBlock,
    config: Arc<Bundle>,
}

/// Why a block is no [`JoinBlock`].
#[derive(Debug, thiserror::Error)]
pub enum JoinBlockError {
    /// It is no block.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It has no config, or a bad one.
    #[error(transparent)]
    Bundle(#[from] BundleError),
}

impl JoinBlock {
    /// Reads a join block that was checked when it was given.
    pub fn read(block: &Block) -> Result<Self, JoinBlockError> {
        Ok(Self {
            block: SealedBlock::seal(block)?,
            config: Arc::new(Bundle::from_block(block)?),
        })
    }

    /// Its number.
    pub fn number(&self) -> BlockNumber {
        self.block.number()
    }

    /// The config it carries.
    pub fn config(&self) -> &Arc<Bundle> {
        &self.config
    }
}

/// What a follower works with.
pub struct Following {
    /// This node.
    pub puller: Arc<Puller>,
    /// The channel's ledger, which may be empty while there is a join block.
    pub appender: Arc<dyn Appender>,
    /// The join block; none for a ledger that had it before.
    pub join: Option<JoinBlock>,
    /// Whoever runs the follower.
    pub host: Arc<dyn Host>,
}

/// Takes a channel's blocks from other orderers until it is stopped. Dropping it stops it as well.
pub struct Follower {
    appender: Arc<dyn Appender>,
    join: Option<BlockNumber>,
    trouble: Arc<Mutex<Option<String>>>,
    /// What the sources say to have.
    known: Arc<AtomicU64>,
    stop: CancellationToken,
    end: watch::Receiver<Option<FollowerEnd>>,
}

impl Follower {
    /// Starts it; must be called within a `tokio` runtime.
    pub fn start(following: Following) -> Self {
        let trouble = Arc::<Mutex<Option<String>>>::default();
        let stop = CancellationToken::new();
        let known = Arc::<AtomicU64>::default();
        let (ended, end) = watch::channel(None);
        let follower = Self {
            appender: Arc::clone(&following.appender),
            join: following.join.as_ref().map(JoinBlock::number),
            trouble: Arc::clone(&trouble),
            known: Arc::clone(&known),
            stop: stop.clone(),
            end,
        };
        tokio::spawn(async move {
            let work = Work {
                following,
                trouble,
                known,
                stopped_by_host: false,
            };
            let end = work.run_until(&stop).await;
            ended.send_replace(Some(end));
        });
        follower
    }

    /// How it stands.
    pub fn status(&self) -> FollowerStatus {
        let height = self.appender.tip().height;
        let is_onboarding = self.join.is_some_and(|join| height.0 <= join.0);
        FollowerStatus {
            state: if is_onboarding {
                FollowerState::Onboarding
            } else {
                FollowerState::Active
            },
            height,
            known: Height(self.known.load(Ordering::Relaxed)),
            trouble: self.trouble.lock().clone(),
        }
    }

    /// Stops it; ready when it takes no block any more. May be called any number of times.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.ended().await;
    }

    /// Ready when it has ended, with how.
    pub fn ended(&self) -> BoxFuture<'static, FollowerEnd> {
        let mut end = self.end.clone();
        async move {
            match end.wait_for(Option::is_some).await {
                Ok(end) => end.clone().unwrap_or(FollowerEnd::Stopped),
                // The runtime has dropped the task.
                Err(_) => FollowerEnd::Stopped,
            }
        }
        .boxed()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// The task.
struct Work {
    following: Following,
    trouble: Arc<Mutex<Option<String>>>,
    known: Arc<AtomicU64>,
    stopped_by_host: bool,
}

impl Work {
    async fn run_until(mut self, stop: &CancellationToken) -> FollowerEnd {
        let work = AssertUnwindSafe(self.run()).catch_unwind();
        let ended = tokio::select! {
            biased;
            () = stop.cancelled() => return FollowerEnd::Stopped,
            ended = work => ended,
        };
        match ended {
            Ok(Ok(end)) => end,
            Ok(Err(error)) => FollowerEnd::Failed(error),
            Err(panic) => FollowerEnd::Panicked(panic_text(&*panic)),
        }
    }

    async fn run(&mut self) -> Result<FollowerEnd, WriteError> {
        if let Some(join) = self.following.join.clone()
            && self.following.appender.tip().height.0 <= join.number().0
        {
            self.onboard(&join).await?;
        }
        while !self.stopped_by_host {
            self.fetch(Goal::Follow, None).await?;
        }
        Ok(FollowerEnd::Consenter)
    }

    /// Takes the blocks up to the join block.
    async fn onboard(&mut self, join: &JoinBlock) -> Result<(), WriteError> {
        let (channel, number) = (self.following.appender.channel().clone(), join.number());
        let height = self.following.appender.tip().height;
        tracing::info!(target: LOGGER, %channel, "Onboarding from block [{height}] to the join block [{number}]");
        if height.tip().is_none() {
            let genesis = self.genesis(join).await;
            let config = Arc::clone(&genesis.config);
            let appended = self
                .following
                .appender
                .append(genesis.block, Some(genesis.config));
            appended.await?;
            if number == BlockNumber::GENESIS {
                self.config_in_force(number, &config);
            }
        }
        if self.following.appender.tip().height.0 <= number.0 {
            self.fetch(Goal::Through(number), Some(join)).await?;
        }
        tracing::info!(target: LOGGER, %channel, "Onboarding has reached the join block [{number}]");
        Ok(())
    }

    /// Block 0: the join block itself, or what the orderers have.
    async fn genesis(&mut self, join: &JoinBlock) -> Genesis {
        if join.number() == BlockNumber::GENESIS {
            return Genesis {
                block: join.block.clone(),
                config: Arc::clone(&join.config),
            };
        }
        let puller = &self.following.puller;
        let channel = self.following.appender.channel();
        let links: Vec<_> = sources(&join.config)
            .into_iter()
            .map(|endpoint| Link::new(Arc::clone(puller), endpoint, channel.clone()))
            .collect();
        let mut pause = GENESIS_PAUSE_FIRST;
        let mut known = vec![None; links.len()];
        loop {
            let round = genesis::ask(&links, channel, puller.limits().pull_timeout).await;
            let mut texts = Vec::new();
            for (at, trouble) in round.troubles {
                let address = &links[at].endpoint().address;
                links[at].reset();
                let text = trouble.to_string();
                texts.push(format!("{address}: {text}"));
                if known[at].as_ref() != Some(&text) {
                    report::log(channel, address, Some(&trouble));
                    known[at] = Some(text);
                }
            }
            if let Some(genesis) = round.chosen {
                *self.trouble.lock() = None;
                return genesis;
            }
            *self.trouble.lock() = Some(format!("no orderer gives block 0: {}", texts.join("; ")));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(puller.limits().retry_pause);
        }
    }

    /// Fetches up to `goal`: with a join block up to that, from those it lists.
    async fn fetch(&mut self, goal: Goal, join: Option<&JoinBlock>) -> Result<(), WriteError> {
        let job = Job {
            puller: Arc::clone(&self.following.puller),
            appender: Arc::clone(&self.following.appender),
            goal,
            endpoints: join.map(|join| sources(&join.config)),
            anchor: join.map(|join| Anchor {
                number: join.number(),
                hash: *join.block.hash(),
            }),
        };
        drive(job, self).await
    }
}

impl Watcher for Work {
    fn config_in_force(&mut self, number: BlockNumber, config: &Arc<Bundle>) -> bool {
        let is_old = self
            .following
            .join
            .as_ref()
            .is_some_and(|join| number < join.number());
        if !is_old && self.following.host.config_in_force(number, config) == GoOn::Stop {
            self.stopped_by_host = true;
        }
        !self.stopped_by_host
    }

    fn trouble(&mut self, trouble: Option<String>) {
        *self.trouble.lock() = trouble;
    }

    fn height_known(&mut self, height: Height) {
        self.known.store(height.0, Ordering::Relaxed);
    }
}
