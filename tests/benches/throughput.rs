//! A real node under load, on one machine: `cargo bench -p tests --bench throughput`.
//!
//! ```text
//! this process: load ──TLS──> node process: solo, one channel, 500 envelopes a block
//!       └──────── both read from /proc: who used the cores ────────┘
//! ```
//!
//! | variable | default | says |
//! |---|---|---|
//! | `ORDAIN_BENCH_KEYS` | `ed25519,p256` | which keys sign |
//! | `ORDAIN_BENCH_LEVELS` | `accepted,committed` | when the node answers |
//! | `ORDAIN_BENCH_ENVELOPES` | 60000 | how many in each run |
//! | `ORDAIN_BENCH_STREAMS` | 4 | on how many connections |
//! | `ORDAIN_BENCH_IN_FLIGHT` | 1000 | unanswered ones of each |
//! | `ORDAIN_BENCH_ROUNDS` | 1 | runs of each kind |
//! | `ORDAIN_ORDERER` | built by cargo | the node's binary: compare two in turns, never one after the other |
//!
//! Nothing is asserted about time: that is for whoever reads it. The ceiling is what the processor time of node and
//! load together would allow if no core ever waited; it moves less with the load of the machine than the rate does.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use client::broadcast::Acknowledge;
use client::crypto::KeyType;
use client::genesis::BatchSpec;
use client::load::{self, LoadReport, LoadSpec, Progress};
use tests::fixture::cpu::{self, CpuTimes};
use tests::fixture::network::{Network, NetworkSpec};

const PAYLOAD_BYTES: usize = 1024;
const BLOCK_ENVELOPES: u32 = 500;
const PATIENCE: Duration = Duration::from_mins(1);
/// How often the end of signing is looked for.
const LOOK: Duration = Duration::from_millis(1);
/// The machine the targets are stated for.
const CORES: f64 = 2.0;

struct Options {
    keys: Vec<KeyType>,
    levels: Vec<Acknowledge>,
    envelopes: usize,
    streams: usize,
    in_flight_max: usize,
    rounds: usize,
}

impl Options {
    fn from_environment() -> Self {
        Self {
            keys: list("ORDAIN_BENCH_KEYS", "ed25519,p256", |name| match name {
                "ed25519" => Some(KeyType::Ed25519),
                "p256" => Some(KeyType::P256),
                _ => None,
            }),
            levels: list("ORDAIN_BENCH_LEVELS", "accepted,committed", |name| match name {
                "accepted" => Some(Acknowledge::Accepted),
                "committed" => Some(Acknowledge::Committed),
                _ => None,
            }),
            envelopes: number("ORDAIN_BENCH_ENVELOPES", 60_000),
            streams: number("ORDAIN_BENCH_STREAMS", 4),
            in_flight_max: number("ORDAIN_BENCH_IN_FLIGHT", 1000),
            rounds: number("ORDAIN_BENCH_ROUNDS", 1),
        }
    }

    fn load(&self, network: &Network, acknowledge: Acknowledge) -> LoadSpec {
        LoadSpec {
            envelopes: self.envelopes,
            payload_bytes: PAYLOAD_BYTES,
            streams: self.streams,
            in_flight_max: self.in_flight_max,
            acknowledge: Some(acknowledge),
            patience: PATIENCE,
            ..LoadSpec::new(vec![network.target()], vec![network.signer()])
        }
    }
}

fn list<T>(variable: &str, default: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
    let text = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    let item = |name: &str| read(name).unwrap_or_else(|| panic!("{variable}: {name:?} is not known"));
    text.split(',').map(item).collect()
}

fn number<T: FromStr>(variable: &str, default: T) -> T {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable}: {text:?} is no number")),
        Err(_) => default,
    }
}

/// `cargo bench` says `--bench`; whoever builds all targets and runs them wants no minutes of load.
fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let options = Options::from_environment();
    println!(
        "{} envelopes of {PAYLOAD_BYTES} bytes, {} streams, {} in flight each, {BLOCK_ENVELOPES} a block, TLS",
        options.envelopes, options.streams, options.in_flight_max
    );
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for _ in 0..options.rounds {
        for key in &options.keys {
            runtime.block_on(measure_key(&options, *key));
        }
    }
}

async fn measure_key(options: &Options, key: KeyType) {
    let mut network = Network::new(&NetworkSpec {
        key,
        batch: BatchSpec {
            max_message_count: BLOCK_ENVELOPES,
            ..BatchSpec::default()
        },
        ..NetworkSpec::default()
    });
    network.node.start();
    network.join().await;
    for level in &options.levels {
        let run = Run::make(options, &network, *level).await;
        println!("\n{key:?}, {}", level.as_str());
        run.print();
    }
}

/// One load, and what both processes used from the end of signing to the last delivery.
struct Run {
    report: LoadReport,
    node: CpuTimes,
    load: CpuTimes,
}

impl Run {
    async fn make(options: &Options, network: &Network, level: Acknowledge) -> Self {
        let (node, own) = (network.node.id(), std::process::id());
        let progress = Arc::new(Progress::default());
        let before = tokio::spawn(after_signing(progress.clone(), options.envelopes, [node, own]));
        let report = load::run(&options.load(network, level), &progress).await;
        let after = [node, own].map(CpuTimes::of);
        let before = before.await.expect("reading /proc does not panic");
        let [node, load] = [0, 1].map(|i: usize| after[i].since(&before[i]));
        Self {
            report: report.expect("a load that runs"),
            node,
            load,
        }
    }

    fn print(&self) {
        let Self { report, node, load } = self;
        let micros = |time: Duration| micros_each(time, report.delivered);
        let (node_micros, load_micros) = (micros(node.total()), micros(load.total()));
        println!(
            "  {:.0} envelopes/s at load average {}; ceiling of {CORES} free cores {:.0}, {:.0} without the load",
            report.throughput,
            cpu::load_average(),
            CORES * 1e6 / (node_micros + load_micros),
            CORES * 1e6 / node_micros,
        );
        for (name, latency) in [("block", report.delivery), ("answer", report.acknowledgement)] {
            println!(
                "  to {name:<7} p50 {:.1}, p90 {:.1}, p99 {:.1}, at most {:.1} ms",
                latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.max_ms
            );
        }
        println!(
            "  processor   node {:.2} s, load {:.2} s, in {:.2} s",
            node.total().as_secs_f64(),
            load.total().as_secs_f64(),
            report.seconds
        );
        println!("  each        node {node_micros:.1} us, load {load_micros:.1} us");
        for (group, time) in node.groups() {
            println!("              node {group:<10} {:.1} us", micros(time));
        }
        if !report.ok {
            println!("  NOT OK: {report}");
        }
    }
}

/// Processor times at the moment when signing is over and sending begins.
async fn after_signing(progress: Arc<Progress>, envelopes: usize, processes: [u32; 2]) -> [CpuTimes; 2] {
    while progress.signed.load(Ordering::Relaxed) < envelopes as u64 {
        tokio::time::sleep(LOOK).await;
    }
    processes.map(CpuTimes::of)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn micros_each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count.max(1) as f64
}
