//! What the writer of one channel works with, and how a group of blocks goes to the disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use configtx::Bundle;
use configtx::identity::SigningIdentity;
use consensus::{ConsenterMetadata, WriteError};
use ledger::{AppendError, BlockStore, SyncError};
use protos::wire::common::Block;
use protos::{BlockNumber, ChannelId, SealedBlock};
use tokio::sync::{oneshot, watch};

use super::{Content, Job, RETRY_PAUSE, answer, failed, number_of, seal};
use crate::metrics::ChannelMetrics;
use crate::multichannel::LOGGER;
use crate::multichannel::disk_space::{DiskSpace, Waiting};
use crate::multichannel::refused::{self, Reports};
use crate::processor::Rules;

/// What the writer of one channel works with.
pub struct Writing {
    channel: ChannelId,
    store: BlockStore,
    parts: WritingParts,
    /// The newest config block so far.
    last_config: BlockNumber,
    /// Replaced when a config block is durable.
    rules: Arc<ArcSwap<Rules>>,
    /// The newest rules, perhaps not durable yet; none before the first block.
    newest: Option<Arc<Rules>>,
    /// Blocks that wait for room on the disk.
    waiting: Option<(Vec<Ready>, Waiting)>,
    /// Why nothing more is written.
    broken: Option<String>,
}

/// What the writers of all channels have in common.
#[derive(Clone)]
pub struct WritingParts {
    /// In whose name blocks are signed.
    pub identity: Arc<SigningIdentity>,
    /// The node's setting for rules made from a config block.
    pub no_expiration_checks: bool,
    /// Where the writer says that it waits for room.
    pub space: DiskSpace,
    /// Where a config that is refused is reported.
    pub reports: Reports,
    /// Held until the ledger is closed.
    pub alive: Arc<()>,
    /// Counted up when a config comes into force.
    pub configs: watch::Sender<u64>,
    /// What is counted for the channel.
    pub metrics: Arc<ChannelMetrics>,
}

/// A block that is ready for the ledger, and what follows when it is durable.
struct Ready {
    block: SealedBlock,
    rules: Option<Arc<Rules>>,
    /// When it was handed over.
    since: Instant,
    done: oneshot::Sender<Result<(), WriteError>>,
}

impl Writing {
    /// Goes on with `store`. `in_force` is its newest config and the block that has it, none if the ledger is empty;
    /// `rules` is where the config in force is replaced.
    pub fn new(
        channel: ChannelId,
        store: BlockStore,
        in_force: Option<(BlockNumber, Arc<Rules>)>,
        rules: Arc<ArcSwap<Rules>>,
        parts: WritingParts,
    ) -> Self {
        let (last_config, newest) = in_force.unzip();
        Self {
            channel,
            store,
            parts,
            last_config: last_config.unwrap_or(BlockNumber::GENESIS),
            rules,
            newest,
            waiting: None,
            broken: None,
        }
    }

    /// True while blocks wait for room on the disk.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Writes what waits for room, then `group`; how long to pause if there is no room.
    pub(super) fn turn(&mut self, group: Vec<Job>, given_up: Option<&'static str>) -> Option<Duration> {
        if let Some((ready, waiting)) = self.waiting.take() {
            self.finish(ready, Some(waiting), given_up);
        }
        if self.waiting.is_none() && !group.is_empty() {
            let ready = self.prepare_all(group);
            self.finish(ready, None, given_up);
        }
        self.waiting.as_ref().map(|_| RETRY_PAUSE)
    }

    /// Ends the writer, once.
    pub(super) fn fail(&mut self, reason: &str) {
        if self.broken.is_none() {
            tracing::error!(target: LOGGER, "channel {}: nothing more is written: {reason}", self.channel);
            self.broken = Some(reason.to_owned());
        }
    }

    /// Prepares blocks up to the first that cannot be; that one and those behind it are answered.
    fn prepare_all(&mut self, group: Vec<Job>) -> Vec<Ready> {
        let mut ready = Vec::with_capacity(group.len());
        for Job {
            number,
            content,
            since,
            done,
        } in group
        {
            let prepared = match &self.broken {
                Some(reason) => Err(failed(number, reason)),
                None => self.prepare(number, content),
            };
            match prepared {
                Ok((block, rules)) => ready.push(Ready {
                    block,
                    rules,
                    since,
                    done,
                }),
                Err(error) => {
                    self.fail(&error.to_string());
                    answer(done, Err(error));
                }
            }
        }
        ready
    }

    fn prepare(
        &mut self,
        number: BlockNumber,
        content: Content,
    ) -> Result<(SealedBlock, Option<Arc<Rules>>), WriteError> {
        match content {
            Content::Ordered {
                block,
                metadata,
                is_config,
            } => {
                let config = is_config.then(|| self.next_config(&block)).transpose()?;
                let rules = config.map(|config| self.advance(number, config)).transpose()?;
                Ok((self.seal(number, block, metadata)?, rules))
            }
            Content::Received { block, config } => {
                let rules = config.map(|config| self.advance(number, config)).transpose()?;
                Ok((block, rules))
            }
        }
    }

    fn seal(
        &self,
        number: BlockNumber,
        block: Block,
        metadata: ConsenterMetadata,
    ) -> Result<SealedBlock, WriteError> {
        let identity = &self.parts.identity;
        seal(block, metadata, self.last_config, identity, &rand::random())
            .map_err(|error| failed(number, &error))
    }

    /// Makes `bundle`, of block `number`, the newest config.
    fn advance(&mut self, number: BlockNumber, bundle: Arc<Bundle>) -> Result<Arc<Rules>, WriteError> {
        let rules = Rules::new(bundle, self.parts.no_expiration_checks);
        let rules = Arc::new(rules.map_err(|error| failed(number, &error))?);
        self.last_config = number;
        self.newest = Some(Arc::clone(&rules));
        Ok(rules)
    }

    /// Checks a config block once more, against the config before it. What fails here is a fork or a bug of ours.
    fn next_config(&self, block: &Block) -> Result<Arc<Bundle>, WriteError> {
        let Some(newest) = &self.newest else {
            return Err(failed(number_of(block), "no config is in force before it"));
        };
        refused::validate(newest.bundle(), self.last_config, block)
            .map(Arc::new)
            .map_err(|refused| failed(refused.block, &self.parts.reports.write(&self.channel, &refused)))
    }

    /// Makes blocks durable and answers them, or puts them aside while the disk is full.
    fn finish(&mut self, ready: Vec<Ready>, waiting: Option<Waiting>, given_up: Option<&'static str>) {
        let persisted = match self.try_persist(&ready) {
            Err(error) if error.is_disk_full() && given_up.is_none() => {
                let waiting = waiting.unwrap_or_else(|| self.begin_to_wait(&error));
                self.waiting = Some((ready, waiting));
                return;
            }
            persisted => persisted.map_err(|error| given_up.map_or_else(|| error.to_string(), str::to_owned)),
        };
        // Who reads an answer may look at once whether there is room.
        drop(waiting);
        if let Err(reason) = &persisted {
            self.fail(reason);
        }
        for Ready {
            block,
            rules,
            since,
            done,
        } in ready
        {
            if persisted.is_ok() {
                self.parts.metrics.writing().durable(since);
            }
            if let (Some(rules), Ok(())) = (rules, &persisted) {
                self.rules.store(rules);
                self.parts.configs.send_modify(|count| *count += 1);
            }
            let outcome = persisted
                .as_ref()
                .map_err(|reason| failed(block.number(), reason));
            answer(done, outcome.copied());
        }
    }

    fn begin_to_wait(&self, error: &PersistError) -> Waiting {
        tracing::error!(target: LOGGER, "channel {}: intake pauses until there is room: {error}", self.channel);
        self.parts.space.wait()
    }

    fn try_persist(&mut self, ready: &[Ready]) -> Result<(), PersistError> {
        let began = Instant::now();
        let height = self.store.height();
        // After a full disk the store says which blocks it still has.
        let next = self.store.next_number();
        for Ready { block, .. } in ready.iter().filter(|ready| ready.block.number() >= next) {
            tracing::debug!(target: LOGGER, "Writing block [{}] channel={}", block.number(), self.channel);
            self.store.append(block)?;
        }
        let durable = self.store.sync()?.0 - height.0;
        let blocks = usize::try_from(durable).unwrap_or(usize::MAX);
        self.parts.metrics.writing().synced(blocks, began.elapsed());
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
enum PersistError {
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error(transparent)]
    Sync(#[from] SyncError),
}

impl PersistError {
    fn is_disk_full(&self) -> bool {
        match self {
            Self::Append(error) => error.is_disk_full(),
            Self::Sync(error) => error.is_disk_full(),
        }
    }
}
