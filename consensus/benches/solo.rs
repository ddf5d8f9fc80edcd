//! What a solo chain costs an envelope, without filters, signatures and disk.
//!
//! `cargo bench -p consensus`, or `cargo bench -p consensus -- 5` for five times as many envelopes.
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark is the one place here that reads a clock"
)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use blockcutter::{BatchLimits, Receiver};
use bytes::Bytes;
use consensus::solo::SoloConsenter;
use consensus::solo::core::{Action, Event, SoloCore};
use consensus::ticket::TicketId;
use consensus::{
    BatchConfig, Chain, Consenter, ConsenterMetadata, ConsenterSupport, Members, Revalidate, RevalidateError,
    Submission, SubmissionKind, WriteError,
};
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use protos::wire::common::{Block, BlockHeader};
use protos::{ChannelId, ConfigSeq, Envelope, Height};

const ENVELOPES: usize = 1_000_000;
const ENVELOPE_BYTES: usize = 1024;
/// Submissions a call: what a stream gathers.
const CALL_LEN: usize = 64;
const BATCH_LEN: u32 = 500;

/// A support that makes empty blocks and writes them nowhere.
struct Nowhere {
    channel: ChannelId,
    height: AtomicU64,
    written: Mutex<u64>,
}

impl Revalidate for Nowhere {
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

impl ConsenterSupport for Nowhere {
    fn channel_id(&self) -> &ChannelId {
        &self.channel
    }

    fn height(&self) -> Height {
        Height(self.height.load(Ordering::Relaxed))
    }

    fn batch_config(&self) -> BatchConfig {
        batch_config()
    }

    fn consensus_type(&self) -> String {
        "solo".to_owned()
    }

    fn consensus_metadata(&self) -> bytes::Bytes {
        bytes::Bytes::new()
    }

    fn block(&self, _number: protos::BlockNumber) -> Result<Option<Block>, String> {
        Ok(None)
    }

    fn own_place(&self, _consenters: &[protos::wire::etcdraft::Consenter]) -> Option<usize> {
        None
    }

    fn transport(&self) -> Arc<dyn consensus::Transport> {
        Arc::new(consensus::transport::Alone)
    }

    fn block_source(&self) -> Arc<dyn consensus::BlockSource> {
        Arc::new(consensus::block_source::NoSource)
    }

    fn create_next_block(&self, batch: Vec<Envelope>) -> Block {
        *self.written.lock().unwrap() += batch.len() as u64;
        let number = self.height.fetch_add(1, Ordering::Relaxed);
        let header = BlockHeader {
            number,
            ..BlockHeader::default()
        };
        Block {
            header: Some(header),
            ..Block::default()
        }
    }

    fn write_block(&self, _: Block, _: ConsenterMetadata) -> BoxFuture<'static, Result<(), WriteError>> {
        futures::future::ready(Ok(())).boxed()
    }

    fn write_config_block(
        &self,
        _: Block,
        _: ConsenterMetadata,
    ) -> BoxFuture<'static, Result<(), WriteError>> {
        futures::future::ready(Ok(())).boxed()
    }
}

fn nowhere() -> Arc<Nowhere> {
    Arc::new(Nowhere {
        channel: ChannelId::parse("bench").expect("a legal name"),
        height: AtomicU64::new(1),
        written: Mutex::new(0),
    })
}

fn batch_config() -> BatchConfig {
    BatchConfig {
        limits: BatchLimits::new(BATCH_LEN, 10 << 20, 2 << 20).expect("legal limits"),
        timeout: Duration::from_secs(2),
    }
}

fn envelope() -> Envelope {
    let mut entry = vec![0x0a, 0x80, 0x08];
    entry.resize(entry.len() + ENVELOPE_BYTES, 0);
    Envelope::from_received(Bytes::from(entry)).expect("a well-formed envelope")
}

fn submission(envelope: &Envelope) -> Submission {
    Submission {
        envelope: envelope.clone(),
        kind: SubmissionKind::Normal,
        config_seq: ConfigSeq(0),
    }
}

fn report(what: &str, envelopes: usize, started: Instant) {
    let nanoseconds = started.elapsed().as_nanos() / envelopes as u128;
    println!("{what:<48} {nanoseconds:>6} ns an envelope");
}

fn cutter(envelopes: usize) {
    let envelope = envelope();
    let mut receiver = Receiver::new(batch_config().limits);
    let started = Instant::now();
    for _ in 0..envelopes {
        drop(receiver.ordered(envelope.clone()));
    }
    report("cutter", envelopes, started);
}

fn core(envelopes: usize) {
    let (envelope, rules) = (envelope(), nowhere());
    let mut core = SoloCore::new(Height(1), ConfigSeq(0), batch_config());
    let mut actions = Vec::new();
    let started = Instant::now();
    for ticket in 1..=envelopes as u64 {
        let event = Event::Submitted {
            ticket: TicketId(ticket),
            submission: submission(&envelope),
        };
        core.step(event, &*rules, &mut actions);
        let written = actions.drain(..).find_map(|action| match action {
            Action::WriteBlock { number, .. } => Some(number),
            _ => None,
        });
        if let Some(number) = written {
            core.step(Event::Written { number }, &*rules, &mut actions);
            actions.clear();
        }
    }
    report("core", envelopes, started);
}

/// One caller that gathers `call_len` submissions a call, and waits for the tickets or drops them.
async fn chain(what: &str, envelopes: usize, call_len: usize, wait: bool) {
    let (envelope, support) = (envelope(), nowhere());
    let chain: Arc<dyn Chain> = SoloConsenter
        .handle_chain(
            Arc::clone(&support) as Arc<dyn ConsenterSupport>,
            ConsenterMetadata::default(),
        )
        .expect("no metadata");
    chain.start();
    let started = Instant::now();
    let mut waiting = Vec::new();
    for _ in 0..envelopes / call_len {
        let submissions = (0..call_len).map(|_| submission(&envelope)).collect();
        let tickets = chain.enqueue_all(submissions).await.expect("a running chain");
        if wait {
            waiting.push(tickets);
        }
    }
    chain.halt().await;
    for tickets in waiting {
        assert!(tickets.all(|outcome| async move { outcome.is_ok() }).await);
    }
    report(what, envelopes, started);
    let ordered = *support.written.lock().unwrap();
    assert_eq!(ordered, (envelopes / call_len * call_len) as u64);
}

fn main() {
    let factor = std::env::args().find_map(|argument| argument.parse().ok());
    let envelopes = ENVELOPES * factor.unwrap_or(1_usize);
    cutter(envelopes);
    core(envelopes);
    let one_core = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    one_core.block_on(async {
        chain("chain, 64 a call, tickets dropped", envelopes, CALL_LEN, false).await;
        chain("chain, 64 a call, tickets awaited", envelopes, CALL_LEN, true).await;
        chain("chain, 1 a call, tickets dropped", envelopes, 1, false).await;
    });
}
