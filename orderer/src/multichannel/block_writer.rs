//! The writer of one channel: metadata, signature, append and sync, on a thread of its own.
//!
//! Blocks are taken as they come; all that wait when the thread is free are appended together and made durable by
//! one sync. A full disk is waited out. Any other fault ends the writer: it writes nothing more, and its chain
//! learns why from the block's answer.
//!
//! Metadata and signature are those of `docs/spec/rules.md` §2.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use configtx::Bundle;
use configtx::identity::SigningIdentity;
use consensus::{ConsenterMetadata, WriteError};
use crossbeam_channel::{Receiver, Sender};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ledger::{AppendError, BlockStore, SyncError};
use prost::Message;
use protos::block::{self, SLOT_LAST_CONFIG, SLOT_SIGNATURES, SealError};
use protos::wire::common::{Block, LastConfig, Metadata, MetadataSignature, SignatureHeader};
use protos::{BlockNumber, ChannelId, SealedBlock};
use tokio::sync::{oneshot, watch};

use super::LOGGER;
use super::disk_space::DiskSpace;
use super::refused::{self, Reports};
use crate::processor::Rules;

/// Blocks that one sync covers at most.
const GROUP_MAX: usize = 64;
/// Blocks queued for the writer; a chain keeps far fewer open, so nobody waits at this bound.
const QUEUED_MAX: usize = 1024;
/// Pause before a write is tried again on a full disk.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Random bytes in the header of each block signature.
const NONCE_BYTES: usize = 24;

/// Sends blocks to the writer's thread. The thread ends when the last of these is dropped.
#[derive(Clone, Debug)]
pub struct BlockWriter(Sender<Job>);

#[derive(Debug)]
struct Job {
    block: Block,
    metadata: ConsenterMetadata,
    is_config: bool,
    done: oneshot::Sender<Result<(), WriteError>>,
}

/// What the thread works with.
pub struct Writing {
    /// The channel.
    pub channel: ChannelId,
    /// Its ledger.
    pub store: BlockStore,
    /// In whose name blocks are signed.
    pub identity: Arc<SigningIdentity>,
    /// The newest config block so far.
    pub last_config: BlockNumber,
    /// Replaced when a config block is durable.
    pub rules: Arc<ArcSwap<Rules>>,
    /// The newest rules, perhaps not durable yet.
    pub newest: Arc<Rules>,
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
}

impl BlockWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// The operating system refused it.
    pub fn start(writing: Writing) -> std::io::Result<Self> {
        let (sender, jobs) = crossbeam_channel::bounded(QUEUED_MAX);
        std::thread::Builder::new()
            .name(format!("write-{}", writing.channel))
            .spawn(move || writing.run(&jobs))?;
        Ok(Self(sender))
    }

    /// Hands over a block of normal or config envelopes; the answer comes once it is durable, and for a config
    /// block once its config is in force.
    pub fn write(
        &self,
        block: Block,
        metadata: ConsenterMetadata,
        is_config: bool,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        let number = number_of(&block);
        let (done, answer) = oneshot::channel();
        let job = Job {
            block,
            metadata,
            is_config,
            done,
        };
        // Fails when the thread is gone; then `done` is dropped, which the answer reports.
        let _ = self.0.send(job);
        async move {
            answer
                .await
                .unwrap_or_else(|_| Err(failed(number, "the channel's writer has stopped")))
        }
        .boxed()
    }
}

fn number_of(block: &Block) -> BlockNumber {
    BlockNumber(block.header.as_ref().map_or(0, |header| header.number))
}

fn failed(number: BlockNumber, reason: &(impl ToString + ?Sized)) -> WriteError {
    WriteError {
        number,
        reason: reason.to_string(),
    }
}

/// A block that is ready for the ledger, and what follows when it is durable.
struct Ready {
    block: SealedBlock,
    rules: Option<Arc<Rules>>,
    done: oneshot::Sender<Result<(), WriteError>>,
}

impl Writing {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(first) = jobs.recv() {
            let group: Vec<_> = std::iter::once(first)
                .chain(jobs.try_iter().take(GROUP_MAX - 1))
                .collect();
            if let Err(error) = self.write_group(group) {
                tracing::error!(target: LOGGER, "channel {}: {error}", self.channel);
                jobs.iter()
                    .for_each(|job| answer(job.done, Err(failed(number_of(&job.block), &error.reason))));
            }
        }
    }

    /// Writes a group of blocks. After an error the blocks before the faulty one are durable or answered with it.
    fn write_group(&mut self, group: Vec<Job>) -> Result<(), WriteError> {
        let mut ready = Vec::with_capacity(group.len());
        let mut fault = None;
        for job in group {
            let number = number_of(&job.block);
            let prepared = match &fault {
                Some(error) => Err(failed(number, error)),
                None => self.prepare(job.block, job.metadata, job.is_config),
            };
            match prepared {
                Ok((block, rules)) => ready.push(Ready {
                    block,
                    rules,
                    done: job.done,
                }),
                Err(error) => {
                    answer(job.done, Err(error.clone()));
                    fault.get_or_insert(error);
                }
            }
        }
        let persisted = self.persist(&ready);
        for Ready { block, rules, done } in ready {
            if let (Some(rules), Ok(())) = (rules, &persisted) {
                self.rules.store(rules);
                self.configs.send_modify(|count| *count += 1);
            }
            let outcome = persisted
                .as_ref()
                .copied()
                .map_err(|error| failed(block.number(), &error.reason));
            answer(done, outcome);
        }
        persisted.and(fault.map_or(Ok(()), Err))
    }

    fn prepare(
        &mut self,
        block: Block,
        metadata: ConsenterMetadata,
        is_config: bool,
    ) -> Result<(SealedBlock, Option<Arc<Rules>>), WriteError> {
        let number = number_of(&block);
        let rules = if is_config {
            let bundle = self.next_config(&block)?;
            let rules = Rules::new(Arc::new(bundle), self.no_expiration_checks);
            let rules = Arc::new(rules.map_err(|error| failed(number, &error))?);
            self.last_config = number;
            self.newest = Arc::clone(&rules);
            Some(rules)
        } else {
            None
        };
        let sealed = seal(block, metadata, self.last_config, &self.identity, &rand::random());
        Ok((sealed.map_err(|error| failed(number, &error))?, rules))
    }

    /// Checks a config block once more, against the config before it. What fails here is a fork or a bug of ours.
    fn next_config(&self, block: &Block) -> Result<Bundle, WriteError> {
        refused::validate(self.newest.bundle(), self.last_config, block)
            .map_err(|refused| failed(refused.block, &self.reports.write(&self.channel, &refused)))
    }

    /// Makes blocks durable; waits while the disk is full.
    fn persist(&mut self, ready: &[Ready]) -> Result<(), WriteError> {
        let mut waiting = None;
        loop {
            let error = match self.try_persist(ready) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if !error.is_disk_full() {
                return Err(failed(self.store.next_number(), &error));
            }
            if waiting.is_none() {
                waiting = Some(self.space.wait());
                tracing::error!(target: LOGGER, "channel {}: intake pauses until there is room: {error}", self.channel);
            }
            std::thread::sleep(RETRY_PAUSE);
        }
    }

    fn try_persist(&mut self, ready: &[Ready]) -> Result<(), PersistError> {
        // After a full disk the store says which blocks it still has.
        let next = self.store.next_number();
        for Ready { block, .. } in ready.iter().filter(|ready| ready.block.number() >= next) {
            tracing::debug!(target: LOGGER, "Writing block [{}] channel={}", block.number(), self.channel);
            self.store.append(block)?;
        }
        self.store.sync()?;
        Ok(())
    }
}

/// The chain may have stopped listening.
fn answer(done: oneshot::Sender<Result<(), WriteError>>, outcome: Result<(), WriteError>) {
    let _ = done.send(outcome);
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

/// Fills metadata slots 0 and 1 and signs (`docs/spec/rules.md` §2), then serializes the block once.
pub fn seal(
    mut block: Block,
    metadata: ConsenterMetadata,
    last_config: BlockNumber,
    identity: &SigningIdentity,
    nonce: &[u8; NONCE_BYTES],
) -> Result<SealedBlock, SealError> {
    let header = block.header.as_ref().ok_or(SealError::NoHeader)?;
    let value = block::orderer_metadata_value(last_config, metadata.0);
    let signature_header = SignatureHeader {
        creator: identity.serialized().clone(),
        nonce: Bytes::copy_from_slice(nonce),
    };
    let signature_header = Bytes::from(signature_header.encode_to_vec());
    let signature = identity.sign(&block::signed_bytes(&value, &signature_header, header));
    let signatures = Metadata {
        value,
        signatures: vec![MetadataSignature {
            signature_header,
            signature: signature.into(),
            identifier_header: Bytes::new(),
        }],
    };
    let last = Metadata {
        value: LastConfig { index: last_config.0 }.encode_to_vec().into(),
        signatures: Vec::new(),
    };
    let slots = &mut block.metadata.get_or_insert_default().metadata;
    slots.resize(block::METADATA_SLOTS.max(slots.len()), Bytes::new());
    slots[SLOT_SIGNATURES] = signatures.encode_to_vec().into();
    slots[SLOT_LAST_CONFIG] = last.encode_to_vec().into();
    SealedBlock::seal(&block)
}
