//! What each stage of an envelope's path costs, on one thread: `cargo bench -p tests --bench stages`.
//!
//! Processor time of this thread, in nanoseconds for each envelope of 1 KiB, the best of some rounds, beside the
//! budget of `docs/architecture.md`. Only the sync waits for something else; its time is that of the clock.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use blockcutter::Receiver;
use bytes::Bytes;
use client::crypto::KeyType;
use client::genesis::BatchSpec;
use configtx::Bundle;
use configtx::identity::{SignatureCheck, verify_batch, verify_each};
use consensus::solo::core::{Action, Event, SoloCore};
use consensus::ticket::TicketId;
use consensus::{
    BatchConfig, ConsenterMetadata, Members, Revalidate, RevalidateError, Submission, SubmissionKind,
};
use ledger::{BlockStore, LedgerFactory, LedgerOptions};
use orderer::broadcast::Intake;
use orderer::deliver::message;
use orderer::multichannel::block_writer::seal;
use orderer::multichannel::chain_support::NodeParts;
use orderer::multichannel::manager::Manager;
use orderer::multichannel::refused::Reports;
use orderer::processor::{Prepared, Rules};
use protos::block::{self, Hash};
use protos::envelope::Opened;
use protos::wire::common::Block;
use protos::{BlockNumber, ConfigSeq, Envelope, Height, SealedBlock};
use rustix::time::{ClockId, clock_gettime};
use tests::fixture::cpu;
use tests::fixture::network::{Network, NetworkSpec};

const PAYLOAD_BYTES: usize = 1024;
const BLOCK_ENVELOPES: usize = 500;
/// What one batch of a stream holds, at most.
const BATCH: usize = 128;
const ROUNDS: usize = 30;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("load average {}", cpu::load_average());
    println!("{:<44} {:>9}   budget (us)", "stage", "ns");
    let network = network(KeyType::Ed25519);
    intake_stages(&network);
    for key in [KeyType::Ed25519, KeyType::P256] {
        signature_stages(key);
    }
    ordering_stages(&network);
    block_stages(&network);
}

fn network(key: KeyType) -> Network {
    Network::new(&NetworkSpec {
        key,
        batch: BatchSpec {
            max_message_count: u32::try_from(BLOCK_ENVELOPES).expect("a small number"),
            ..BatchSpec::default()
        },
        ..NetworkSpec::default()
    })
}

/// Times `run` over and over, each time with a fresh value of `prepare`, and prints the best time for each of
/// `count` envelopes. `row` is the stage's row in the budget.
fn stage<T, R>(
    name: &str,
    row: Option<&str>,
    count: usize,
    mut prepare: impl FnMut() -> T,
    mut run: impl FnMut(T) -> R,
) {
    let best = (0..ROUNDS)
        .map(|_| {
            let input = prepare();
            let began = thread_time();
            let output = run(black_box(input));
            let used = thread_time().saturating_sub(began);
            black_box(output);
            used
        })
        .min();
    print_row(name, row, count, best.unwrap_or_default());
}

fn print_row(name: &str, row: Option<&str>, count: usize, time: Duration) {
    let nanos = time.as_nanos() / count as u128;
    println!("{name:<44} {nanos:>9}   {}", row.map(budget).unwrap_or_default());
}

/// Processor time of this thread.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("clocks run forward")
}

/// The cost that the architecture's table states for a stage.
fn budget(row: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/architecture.md");
    let text = std::fs::read_to_string(path).expect("docs/architecture.md");
    let (_, section) = text.split_once("## Budget").expect("a budget");
    let cell = section.lines().find_map(|line| {
        let (stage, cost) = line.strip_prefix("| ")?.split_once(" | ")?;
        stage
            .starts_with(row)
            .then(|| cost.trim_end_matches(" |").to_owned())
    });
    cell.unwrap_or_else(|| panic!("no row {row:?} in the budget"))
}

fn envelopes(network: &Network, count: usize) -> Vec<Bytes> {
    let signer = network.signer();
    (0..count)
        .map(|i| {
            let data = vec![i.to_le_bytes()[0]; PAYLOAD_BYTES];
            signer.transaction(data.into()).bytes
        })
        .collect()
}

fn rules(network: &Network) -> Arc<Rules> {
    let bundle = Bundle::from_block(network.genesis()).expect("a config");
    Arc::new(Rules::new(Arc::new(bundle), false).expect("batch limits"))
}

fn open(entries: &[Bytes]) -> Vec<Opened> {
    let open = |entry: &Bytes| Opened::open(entry.clone()).expect("an envelope");
    entries.iter().map(open).collect()
}

fn prepare(rules: &Arc<Rules>, opened: Vec<Opened>) -> Vec<Prepared> {
    let now = SystemTime::now();
    let prepare = |opened| rules.prepare(opened, now).expect("it passes");
    opened.into_iter().map(prepare).collect()
}

fn intake_stages(network: &Network) {
    let (entries, rules) = (envelopes(network, BLOCK_ENVELOPES), rules(network));
    stage(
        "open",
        Some("decode"),
        BLOCK_ENVELOPES,
        || (),
        |()| open(&entries),
    );
    let creator = open(&entries)[0].signature_header().expect("a header").creator;
    let identify = |()| (0..BLOCK_ENVELOPES).for_each(|_| drop(black_box(rules.bundle().identify(&creator))));
    stage(
        "identity, cached",
        Some("identity"),
        BLOCK_ENVELOPES,
        || (),
        identify,
    );
    stage(
        "filters and policy, signer known",
        None,
        BLOCK_ENVELOPES,
        || open(&entries),
        |opened| prepare(&rules, opened),
    );
}

fn signature_stages(key: KeyType) {
    let network = network(key);
    let entries = envelopes(&network, BATCH);
    let prepared = prepare(&rules(&network), open(&entries));
    let checks: Vec<SignatureCheck<'_>> = prepared.iter().map(Prepared::signature).collect();
    let row = Some(match key {
        KeyType::Ed25519 => "signature: Ed25519",
        KeyType::P256 => "signature: ECDSA P-256",
    });
    let single = format!("signature {key:?}, one by one");
    stage(&single, None, BATCH, || &checks[..], verify_each);
    for size in [32, 64, BATCH] {
        let name = format!("signature {key:?}, {size} at a time");
        stage(&name, row, size, || &checks[..size], verify_batch);
    }
    check_stage(&network, key, &entries);
}

/// All that the node does for a batch of one stream, before it is ordered.
fn check_stage(network: &Network, key: KeyType, entries: &[Bytes]) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let reports = Reports::below(&network.data_folder());
        let node = NodeParts::alone(
            Arc::new(network.node_identity()),
            reports,
            consensus::consenters(None),
        );
        let options = LedgerOptions::at(network.data_folder());
        let manager = Arc::new(Manager::open(&options, node).expect("a data folder"));
        manager
            .join(network.genesis().clone())
            .await
            .expect("the channel");
        let name = format!("check {key:?}, all of it, {BATCH} at a time");
        let check = |batch| manager.check(batch, SystemTime::now());
        stage(&name, None, BATCH, || entries.to_vec(), check);
        manager.halt().await;
    });
}

fn ordering_stages(network: &Network) {
    let batch: Vec<Envelope> = open(&envelopes(network, BLOCK_ENVELOPES))
        .into_iter()
        .map(|opened| opened.envelope)
        .collect();
    let limits = rules(network).batch();
    let cut = |batch: Vec<Envelope>| {
        let mut cutter = Receiver::new(limits.limits);
        let mut batches = Vec::new();
        for envelope in batch {
            batches.extend(cutter.ordered(envelope).batches);
        }
        batches
    };
    stage("cutter", None, BLOCK_ENVELOPES, || batch.clone(), cut);
    let core = |batch| order(limits, batch);
    stage(
        "core, cutter included",
        None,
        BLOCK_ENVELOPES,
        || batch.clone(),
        core,
    );
    let entries: Vec<Bytes> = batch.into_iter().map(Envelope::into_entry).collect();
    let next = |entries| block::next(BlockNumber(1), &Hash::default(), entries);
    stage(
        "next block, with its hash",
        Some("SHA-256"),
        BLOCK_ENVELOPES,
        || entries.clone(),
        next,
    );
    let identity = network.node_identity();
    let seal_next = |block| {
        seal(
            block,
            ConsenterMetadata::default(),
            BlockNumber(0),
            &identity,
            &[0; 24],
        )
    };
    let make = || block::next(BlockNumber(1), &Hash::default(), entries.clone());
    stage(
        "seal: metadata, signature, encoding",
        Some("block assembly"),
        BLOCK_ENVELOPES,
        make,
        seal_next,
    );
}

/// One block's way through a core.
fn order(limits: BatchConfig, batch: Vec<Envelope>) -> Vec<Action> {
    let mut core = SoloCore::new(Height(1), ConfigSeq(0), limits);
    let mut actions = Vec::new();
    for (ticket, envelope) in (1..).map(TicketId).zip(batch) {
        let submission = Submission {
            envelope,
            kind: SubmissionKind::Normal,
            config_seq: ConfigSeq(0),
        };
        core.step(Event::Submitted { ticket, submission }, &Unchanged, &mut actions);
    }
    let number = BlockNumber(1);
    core.step(Event::Written { number }, &Unchanged, &mut actions);
    actions
}

/// A config that never changes.
struct Unchanged;

impl Revalidate for Unchanged {
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

/// Real blocks on the disk that holds temporary folders.
fn block_stages(network: &Network) {
    let entries = envelopes(network, BLOCK_ENVELOPES);
    let folder = tempfile::TempDir::with_prefix("ordain-stages-").expect("a temporary folder");
    let ledgers = LedgerFactory::open(LedgerOptions::at(folder.path())).expect("a data folder");
    let mut store = ledgers.open_channel(network.channel()).expect("a channel");
    let mut chain = Chain::new(&entries);
    let (mut append, mut sync_cpu, mut sync) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let sealed = chain.next();
        append.push(timed(|| store.append(&sealed).expect("a block that follows")).0);
        let (cpu, clock) = timed(|| store.sync().expect("a disk that works"));
        sync_cpu.push(cpu);
        sync.push(clock);
    }
    let best = |times: &[Duration]| times.iter().min().copied().unwrap_or_default();
    print_row("ledger: append", Some("ledger"), BLOCK_ENVELOPES, best(&append));
    print_row(
        "ledger: sync, processor time",
        None,
        BLOCK_ENVELOPES,
        best(&sync_cpu),
    );
    sync.sort();
    print_row(
        "ledger: sync, median by the clock",
        None,
        BLOCK_ENVELOPES,
        sync[ROUNDS / 2],
    );
    deliver_stages(&store, &entries);
}

fn deliver_stages(store: &BlockStore, entries: &[Bytes]) {
    let reader = store.reader();
    let read = |number| reader.get(number).expect("a disk that works").expect("a block");
    stage(
        "ledger: read, not cached",
        None,
        entries.len(),
        || BlockNumber(1),
        read,
    );
    let tip = Height(reader.height().0 - 1);
    stage(
        "ledger: read, cached",
        None,
        entries.len(),
        || BlockNumber(tip.0),
        read,
    );
    let sealed = read(BlockNumber(1));
    stage(
        "deliver frame",
        Some("deliver"),
        entries.len(),
        || &sealed,
        message::block,
    );
}

/// Processor time and clock time of `run`.
fn timed<R>(run: impl FnOnce() -> R) -> (Duration, Duration) {
    let (began, clock) = (thread_time(), Instant::now());
    black_box(run());
    (thread_time().saturating_sub(began), clock.elapsed())
}

/// Makes blocks that follow one another.
struct Chain<'a> {
    entries: &'a [Bytes],
    last: Option<SealedBlock>,
}

impl<'a> Chain<'a> {
    fn new(entries: &'a [Bytes]) -> Self {
        Self { entries, last: None }
    }

    fn next(&mut self) -> SealedBlock {
        let sealed = SealedBlock::seal(&self.next_block()).expect("a block with a header");
        self.last = Some(sealed.clone());
        sealed
    }

    fn next_block(&self) -> Block {
        let number = self
            .last
            .as_ref()
            .map_or(BlockNumber(0), |last| last.number().next());
        let mut block = block::next(number, &Hash::default(), self.entries.to_vec());
        if let Some(header) = &mut block.header {
            header.previous_hash = match &self.last {
                Some(last) => Bytes::copy_from_slice(last.hash()),
                None => Bytes::new(),
            };
        }
        block
    }
}
