//! What config updates cost a channel under load: `cargo bench -p tests --bench config_updates`.
//!
//! Runs come in pairs, one without updates and one with an update every second, in turns. What is looked at is the
//! ratio within a pair: whatever else the machine does, it does to both. Nothing is asserted about it.
//!
//! | variable | default | says |
//! |---|---|---|
//! | `ORDAIN_BENCH_PAIRS` | 10 | how many pairs |
//! | `ORDAIN_BENCH_ENVELOPES` | 250000 | envelopes of 1 KiB in each run; it should last some seconds |
//! | `ORDAIN_ORDERER` | built by cargo | the node's binary |

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use client::broadcast::{self, Acknowledge, BroadcastOptions};
use client::envelope::EnvelopeSigner;
use client::genesis::BatchSpec;
use client::load::{self, LoadSpec, Progress};
use configtx::Bundle;
use configtx::compute_update::compute_update;
use configtx::encode::encode_config_update;
use configtx::identity::SigningIdentity;
use configtx::validator::propose_config_update;
use prost::Message as _;
use protos::wire::common::{ConfigSignature, ConfigUpdateEnvelope, HeaderType, SignatureHeader};
use protos::wire::orderer::BatchTimeout;
use tests::fixture::cpu;
use tests::fixture::network::{Network, NetworkSpec};
use tokio::time::Instant;

const UPDATE_INTERVAL: Duration = Duration::from_secs(1);
const BLOCK_ENVELOPES: u32 = 500;
/// Short, as an update leaves a last block that is not full, which waits for so long.
const BATCH_TIMEOUT: Duration = Duration::from_millis(50);
const PATIENCE: Duration = Duration::from_mins(1);
/// How often the end of signing is looked for.
const LOOK: Duration = Duration::from_millis(1);

fn number(variable: &str, default: usize) -> usize {
    let text = std::env::var(variable).ok();
    text.map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}: {text:?} is no number"))
    })
}

/// `cargo bench` says `--bench`; whoever builds all targets and runs them wants no minutes of load.
fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let pairs = number("ORDAIN_BENCH_PAIRS", 10);
    let envelopes = number("ORDAIN_BENCH_ENVELOPES", 250_000);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    println!(
        "{pairs} pairs of {envelopes} envelopes; {BLOCK_ENVELOPES} a block, Ed25519, TLS, level accepted"
    );
    let mut ratios: Vec<f64> = (0..pairs)
        .map(|pair| runtime.block_on(measure(pair, envelopes)))
        .collect();
    ratios.sort_by(f64::total_cmp);
    if let (Some(least), Some(most)) = (ratios.first(), ratios.last()) {
        let median = f64::midpoint(ratios[(ratios.len() - 1) / 2], ratios[ratios.len() / 2]);
        println!("median ratio {median:.3}, from {least:.3} to {most:.3}");
    }
}

/// One pair on a node of its own; every other one begins with the updates.
async fn measure(pair: usize, envelopes: usize) -> f64 {
    let mut network = Network::new(&NetworkSpec {
        batch: BatchSpec {
            max_message_count: BLOCK_ENVELOPES,
            timeout: BATCH_TIMEOUT,
            ..BatchSpec::default()
        },
        ..NetworkSpec::default()
    });
    network.node.start();
    network.join().await;
    let (with, without, updates);
    if pair.is_multiple_of(2) {
        without = run(&network, envelopes, &Arc::default()).await;
        (with, updates) = run_with_updates(&network, envelopes).await;
    } else {
        (with, updates) = run_with_updates(&network, envelopes).await;
        without = run(&network, envelopes, &Arc::default()).await;
    }
    let ratio = with / without;
    println!(
        "pair {pair:>2}: {without:>6.0} envelopes/s without, {with:>6.0} with {updates} updates, ratio {ratio:.3}, \
         load average {}",
        cpu::load_average()
    );
    ratio
}

/// Envelopes a second, from the first sent to the last delivered.
async fn run(network: &Network, envelopes: usize, progress: &Arc<Progress>) -> f64 {
    let spec = LoadSpec {
        envelopes,
        acknowledge: Some(Acknowledge::Accepted),
        patience: PATIENCE,
        ..LoadSpec::new(vec![network.target()], vec![network.signer()])
    };
    let report = load::run(&spec, progress).await;
    let report = report.expect("a load that runs");
    assert!(report.ok, "{report}");
    report.throughput
}

async fn run_with_updates(network: &Network, envelopes: usize) -> (f64, u32) {
    let mut updates = 0;
    let progress = Arc::new(Progress::default());
    let sending = async {
        // What is signed beforehand is not measured.
        while progress.signed.load(Ordering::Relaxed) < envelopes as u64 {
            tokio::time::sleep(LOOK).await;
        }
        update_for_ever(network, &mut updates).await;
    };
    let throughput = tokio::select! {
        throughput = run(network, envelopes, &progress) => throughput,
        () = sending => unreachable!("it has no end"),
    };
    (throughput, updates)
}

/// The configs are computed here as well, so that no block has to be read for the next update.
async fn update_for_ever(network: &Network, updates: &mut u32) {
    let connection = network.connect().await;
    let admin = Arc::new(network.orderer_admin());
    let signer = EnvelopeSigner::new(Arc::clone(&admin), network.channel().clone());
    let mut bundle = Bundle::from_block(network.genesis()).expect("a config");
    let mut due = tokio::time::interval_at(Instant::now() + UPDATE_INTERVAL, UPDATE_INTERVAL);
    loop {
        due.tick().await;
        let update = next_update(&bundle, &admin);
        let (nonce, now) = ([7; 24], SystemTime::now());
        let envelope = signer.sign(HeaderType::ConfigUpdate, update.clone(), nonce, now);
        let options = BroadcastOptions {
            acknowledge: Some(Acknowledge::Committed),
            ..BroadcastOptions::default()
        };
        let ordered = broadcast::submit_all(&connection, options, [envelope.bytes]).await;
        ordered.expect("an update that is ordered");
        bundle = propose_config_update(&bundle, update)
            .expect("an update that applies")
            .bundle;
        *updates += 1;
    }
}

/// A signed update that sets the batch timeout, to another value each time.
fn next_update(bundle: &Bundle, admin: &SigningIdentity) -> Bytes {
    let config = bundle.config();
    let mut updated = config.clone();
    let root = updated.channel_group.as_mut().expect("a root");
    let orderer = root.groups.get_mut("Orderer").expect("the group Orderer");
    let value = BatchTimeout {
        timeout: format!(
            "{}ms",
            BATCH_TIMEOUT.as_millis() + u128::from((config.sequence + 1) % 2)
        ),
    };
    let timeout = orderer.values.get_mut("BatchTimeout").expect("the value");
    timeout.value = value.encode_to_vec().into();
    let update = compute_update(bundle.channel_id().as_str(), config, &updated).expect("a difference");
    let update = Bytes::from(encode_config_update(&update));
    let header = SignatureHeader {
        creator: admin.serialized().clone(),
        nonce: Bytes::from_static(b"nonce"),
    };
    let header = Bytes::from(header.encode_to_vec());
    let envelope = ConfigUpdateEnvelope {
        signatures: vec![ConfigSignature {
            signature: admin.sign(&[&header[..], &update[..]].concat()).into(),
            signature_header: header,
        }],
        config_update: update,
    };
    envelope.encode_to_vec().into()
}
