//! What a raft channel of one member costs an envelope, beside a solo channel over the same support. The raft log is
//! on the disk; blocks are made and hashed, and kept nowhere.
//!
//! `cargo bench -p consensus --bench raft`, or `-- 5` for five times as many envelopes.
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark is the one place here that reads a clock"
)]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use blockcutter::BatchLimits;
use bytes::Bytes;
use consensus::raft::{EngineLog, RaftConsenter, RaftNode};
use consensus::solo::SoloConsenter;
use consensus::{
    BatchConfig, Chain, Consenter, ConsenterMetadata, ConsenterSupport, Members, Revalidate, RevalidateError,
    Submission, SubmissionKind, WriteError,
};
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use prost::Message;
use protos::block::{self, header_hash};
use protos::wire::common::Block;
use protos::wire::etcdraft::{ConfigMetadata, Consenter as Member, Options};
use protos::{BlockNumber, ChannelId, ConfigSeq, Envelope, Height};

const ENVELOPES: usize = 300_000;
const ENVELOPE_BYTES: usize = 1024;
/// Submissions a call: what a stream gathers.
const CALL_LEN: usize = 64;
const BATCH_LEN: u32 = 500;

/// A support that makes blocks and keeps the last one.
struct Tip {
    channel: ChannelId,
    block: Mutex<Block>,
}

impl Tip {
    fn new() -> Self {
        Self {
            channel: ChannelId::parse("bench").expect("a legal name"),
            block: Mutex::new(block::next(
                BlockNumber(0),
                &[0; 32],
                vec![Bytes::from_static(b"config")],
            )),
        }
    }

    fn take(&self, block: Block) -> BoxFuture<'static, Result<(), WriteError>> {
        *self.block.lock().expect("not poisoned") = block;
        futures::future::ready(Ok(())).boxed()
    }
}

impl Revalidate for Tip {
    fn config_seq(&self) -> ConfigSeq {
        ConfigSeq(0)
    }

    fn revalidate_normal(&self, _: &Envelope) -> Result<(), RevalidateError> {
        Ok(())
    }

    fn revalidate_config(&self, envelope: &Envelope, _: &Members) -> Result<Envelope, RevalidateError> {
        Ok(envelope.clone())
    }
}

impl ConsenterSupport for Tip {
    fn channel_id(&self) -> &ChannelId {
        &self.channel
    }

    fn height(&self) -> Height {
        let block = self.block.lock().expect("not poisoned");
        Height(block.header.as_ref().expect("a header").number + 1)
    }

    fn batch_config(&self) -> BatchConfig {
        BatchConfig {
            limits: BatchLimits::new(BATCH_LEN, 10 << 20, 2 << 20).expect("legal limits"),
            timeout: Duration::from_secs(2),
        }
    }

    fn consensus_type(&self) -> String {
        "etcdraft".to_owned()
    }

    fn consensus_metadata(&self) -> Bytes {
        let metadata = ConfigMetadata {
            consenters: vec![Member::default()],
            options: Some(Options {
                tick_interval: "500ms".to_owned(),
                election_tick: 10,
                heartbeat_tick: 1,
                max_inflight_blocks: 5,
                snapshot_interval_size: 0,
            }),
        };
        metadata.encode_to_vec().into()
    }

    fn block(&self, _number: BlockNumber) -> Result<Option<Block>, String> {
        Ok(Some(self.block.lock().expect("not poisoned").clone()))
    }

    fn own_place(&self, _consenters: &[Member]) -> Option<usize> {
        Some(0)
    }

    fn transport(&self) -> Arc<dyn consensus::Transport> {
        Arc::new(consensus::transport::Alone)
    }

    fn block_source(&self) -> Arc<dyn consensus::BlockSource> {
        Arc::new(consensus::block_source::NoSource)
    }

    fn create_next_block(&self, batch: Vec<Envelope>) -> Block {
        let tip = self.block.lock().expect("not poisoned");
        let header = tip.header.as_ref().expect("a header");
        let entries = batch.iter().map(|envelope| envelope.entry().clone()).collect();
        block::next(BlockNumber(header.number + 1), &header_hash(header), entries)
    }

    fn write_block(&self, block: Block, _: ConsenterMetadata) -> BoxFuture<'static, Result<(), WriteError>> {
        self.take(block)
    }

    fn write_config_block(
        &self,
        block: Block,
        _: ConsenterMetadata,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        self.take(block)
    }
}

fn submission(number: usize) -> Submission {
    let mut entry = vec![0x0a, 0x80, 0x08];
    entry.extend_from_slice(&number.to_le_bytes());
    entry.resize(3 + ENVELOPE_BYTES, 0);
    Submission {
        envelope: Envelope::from_received(Bytes::from(entry)).expect("a well-formed envelope"),
        kind: SubmissionKind::Normal,
        config_seq: ConfigSeq(0),
    }
}

/// One caller that gathers [`CALL_LEN`] submissions a call and waits for all tickets at the end.
async fn run(what: &str, consenter: &dyn Consenter, envelopes: usize) {
    let support: Arc<dyn ConsenterSupport> = Arc::new(Tip::new());
    let chain: Arc<dyn Chain> = consenter
        .handle_chain(support, ConsenterMetadata::default())
        .expect("a chain");
    chain.start();
    let calls: Vec<Vec<_>> = (0..envelopes / CALL_LEN)
        .map(|call| {
            (0..CALL_LEN)
                .map(|one| submission(call * CALL_LEN + one))
                .collect()
        })
        .collect();
    let started = Instant::now();
    let mut waiting = Vec::new();
    for submissions in calls {
        waiting.push(chain.enqueue_all(submissions).await.expect("a running chain"));
    }
    chain.halt().await;
    for tickets in waiting {
        assert!(tickets.all(|outcome| async move { outcome.is_ok() }).await);
    }
    let nanoseconds = started.elapsed().as_nanos() / envelopes as u128;
    println!("{what:<48} {nanoseconds:>6} ns an envelope");
}

fn main() {
    let factor = std::env::args().find_map(|argument| argument.parse().ok());
    let envelopes = ENVELOPES * factor.unwrap_or(1_usize);
    let folder = tempfile::tempdir().expect("a folder");
    let log = EngineLog::open(&folder.path().join("wal"), &folder.path().join("snap")).expect("a log");
    let log = Arc::new(log);
    let raft = RaftConsenter::new(RaftNode {
        log: Arc::clone(&log) as _,
        tick_override: None,
        eviction_suspicion: Duration::from_mins(10),
        leader_wait: None,
    });
    let one_core = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    one_core.block_on(async {
        run("solo, 64 a call", &SoloConsenter, envelopes).await;
        run("raft of one member, 64 a call", &raft, envelopes).await;
    });
    println!("{} syncs of the raft log", log.syncs());
}
