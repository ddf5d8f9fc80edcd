//! The writer of one channel: blocks in order, to the disk, many with one sync.
//!
//! Blocks are taken as they come; all that wait when a thread of the [`WriterPool`] is free are appended together and
//! made durable by one sync. A full disk is waited out, off the threads. Any other fault ends the writer: it writes
//! nothing more, and its chain learns why from the block's answer.
//!
//! Blocks of the channel's own chain are given metadata and signature (`docs/spec/rules.md` §2); those of other
//! orderers are kept as they were received.

mod writing;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use configtx::Bundle;
use configtx::identity::SigningIdentity;
use consensus::{ConsenterMetadata, WriteError};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use prost::Message;
use protos::block::{self, SLOT_LAST_CONFIG, SLOT_SIGNATURES, SealError};
use protos::wire::common::{Block, LastConfig, Metadata, MetadataSignature, SignatureHeader};
use protos::{BlockNumber, SealedBlock};
use tokio::sync::oneshot;

use super::writer_pool::{After, Work, WriterPool};
use crate::verify_pool::panic_text;

pub use writing::{Writing, WritingParts};

/// Blocks that one sync covers at most.
const GROUP_MAX: usize = 64;
/// Pause before a write is tried again on a full disk.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Random bytes in the header of each block signature.
const NONCE_BYTES: usize = 24;

/// Sends blocks to the writer of one channel. The ledger is closed when the last of these is dropped and what was
/// sent is written.
#[derive(Clone)]
pub struct BlockWriter(Arc<Handle>);

/// Tells the writer when nobody is left who could wait for it.
struct Handle {
    slot: Arc<Slot>,
    pool: WriterPool,
}

/// A channel's place in the pool.
struct Slot {
    queue: Mutex<Queue>,
    /// Used by the one thread whose turn it is.
    writing: Mutex<Writing>,
}

/// A chain keeps a bounded number of blocks open, and so does whoever fetches them: that bounds it.
#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// It stands in the pool's row, or has its turn.
    is_scheduled: bool,
    /// Why nothing is to be waited for any more.
    given_up: Option<&'static str>,
}

struct Job {
    number: BlockNumber,
    content: Content,
    /// When it was handed over.
    since: Instant,
    done: oneshot::Sender<Result<(), WriteError>>,
}

enum Content {
    /// Of this channel's chain.
    Ordered {
        block: Block,
        metadata: ConsenterMetadata,
        is_config: bool,
    },
    /// Of another orderer, verified.
    Received {
        block: SealedBlock,
        /// What a config block brings into force.
        config: Option<Arc<Bundle>>,
    },
}

impl std::fmt::Debug for BlockWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BlockWriter({} queued)", self.0.slot.queue.lock().jobs.len())
    }
}

impl BlockWriter {
    /// A writer whose work is done by `pool`.
    pub fn new(writing: Writing, pool: WriterPool) -> Self {
        let slot = Arc::new(Slot {
            queue: Mutex::default(),
            writing: Mutex::new(writing),
        });
        Self(Arc::new(Handle { slot, pool }))
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
        let content = Content::Ordered {
            block,
            metadata,
            is_config,
        };
        self.send(number, content)
    }

    /// Hands over a block of another orderer, which was verified, with what it brings into force; the answer comes as
    /// for [`write`](Self::write).
    pub fn append(
        &self,
        block: SealedBlock,
        config: Option<Arc<Bundle>>,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        self.send(block.number(), Content::Received { block, config })
    }

    /// Waits for the disk no longer: what is not durable by now is answered with an error, and so is what comes.
    pub fn abandon(&self) {
        self.0.give_up("the channel is being removed");
    }

    fn send(&self, number: BlockNumber, content: Content) -> BoxFuture<'static, Result<(), WriteError>> {
        let (done, answer) = oneshot::channel();
        self.0.push(Job {
            number,
            content,
            since: Instant::now(),
            done,
        });
        let gone = move |_| Err(failed(number, "the channel's writer has stopped"));
        answer.map(move |answer| answer.unwrap_or_else(gone)).boxed()
    }
}

impl Handle {
    fn push(&self, job: Job) {
        let mut queue = self.slot.queue.lock();
        queue.jobs.push_back(job);
        self.schedule(&mut queue);
    }

    fn give_up(&self, reason: &'static str) {
        let mut queue = self.slot.queue.lock();
        queue.given_up.get_or_insert(reason);
        self.schedule(&mut queue);
    }

    fn schedule(&self, queue: &mut Queue) {
        if std::mem::replace(&mut queue.is_scheduled, true) {
            return;
        }
        if let Err(error) = self.pool.schedule(Arc::clone(&self.slot) as _) {
            queue.is_scheduled = false;
            let reason = format!("cannot start a thread to write with: {error}");
            for job in queue.jobs.drain(..) {
                answer(job.done, Err(failed(job.number, &reason)));
            }
        }
    }
}

impl Drop for Handle {
    /// A writer that waits for room on the disk would hold its ledger for as long as that takes, for nobody.
    fn drop(&mut self) {
        let mut queue = self.slot.queue.lock();
        if queue.is_scheduled {
            queue.given_up.get_or_insert("nobody waits for it any more");
        }
    }
}

impl Work for Slot {
    fn turn(&self) -> After {
        let mut writing = self.writing.lock();
        let (group, given_up) = self.next_group(writing.is_waiting());
        let turn = catch_unwind(AssertUnwindSafe(|| writing.turn(group, given_up)));
        match turn {
            Ok(None) => {}
            Ok(Some(pause)) => return After::Later(pause),
            // The answers of its group are gone with it, which reports them.
            Err(panic) => writing.fail(&format!("its writer panicked: {}", panic_text(&*panic))),
        }
        let mut queue = self.queue.lock();
        if queue.jobs.is_empty() {
            queue.is_scheduled = false;
            return After::Idle;
        }
        After::Again
    }
}

impl Slot {
    /// What is to be written now: nothing while older blocks wait for room.
    fn next_group(&self, is_waiting: bool) -> (Vec<Job>, Option<&'static str>) {
        let mut queue = self.queue.lock();
        let count = match (is_waiting, queue.given_up) {
            (true, None) => 0,
            _ => queue.jobs.len().min(GROUP_MAX),
        };
        let group = queue.jobs.drain(..count).collect();
        (group, queue.given_up)
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

/// The chain may have stopped listening.
fn answer(done: oneshot::Sender<Result<(), WriteError>>, outcome: Result<(), WriteError>) {
    let _ = done.send(outcome);
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
