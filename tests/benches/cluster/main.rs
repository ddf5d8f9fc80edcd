//! Three real nodes on one machine: `cargo bench -p tests --bench cluster`.
//!
//! | part | measures |
//! |---|---|
//! | `failover` | from SIGKILL of the leader to the next envelope that is accepted, and to the next that is committed |
//! | `catch_up` | how fast a new node has a chain, from one source and from three |
//! | `start` | from the start of the process to the first accepted envelope: 10,000 blocks, 500 channels |
//! | `idle` | resident memory, threads, sockets, and use of a core at rest, with 1 and with 500 channels |
//! | `throughput` | envelopes a second through the leader and through a follower |
//!
//! | variable | default | says |
//! |---|---|---|
//! | `ORDAIN_BENCH_PARTS` | all of them | which parts |
//! | `ORDAIN_BENCH_KILLS` | 20 | how often the leader is killed |
//! | `ORDAIN_BENCH_CHAIN_MIB` | 256 | the chain that is caught up with |
//! | `ORDAIN_BENCH_CHANNELS` | 500 | many channels |
//! | `ORDAIN_BENCH_ENVELOPES` | 60000 | how many in each run of `throughput` |
//! | `ORDAIN_BENCH_ROUNDS` | 3 | runs of each kind of `throughput`; the median is told |
//!
//! Nothing is asserted about time: that is for whoever reads it. Times of election are in units of one election
//! timeout: ticks of 500 ms, 10 of them.

mod catch_up;
mod failover;
mod many;
mod throughput;

use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use tests::fixture::cpu;

/// A part by name.
type Part = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

const PARTS: [Part; 5] = [
    ("failover", || Box::pin(failover::run())),
    ("catch_up", || Box::pin(catch_up::run())),
    ("start", || Box::pin(many::start())),
    ("idle", || Box::pin(many::idle())),
    ("throughput", || Box::pin(throughput::run())),
];

/// `cargo bench` says `--bench`; whoever builds all targets and runs them wants no minutes of load.
fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let chosen = std::env::var("ORDAIN_BENCH_PARTS").ok();
    let wanted = |name: &str| {
        let parts = chosen.as_deref();
        parts.is_none_or(|parts| parts.split(',').any(|part| part == name))
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    println!("| measured | value |\n|---|---|");
    for (name, part) in PARTS {
        if wanted(name) {
            runtime.block_on(part());
        }
    }
    row("load average at the end", &cpu::load_average());
}

/// One line of the table, as soon as it is known.
fn row(what: &str, value: &str) {
    println!("| {what} | {value} |");
}

fn number<T: FromStr>(variable: &str, default: T) -> T {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable}: {text:?} is no number")),
        Err(_) => default,
    }
}

/// The value below which this share of them lies.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some dozens of values"
    )]
    let place = (values.len() as f64 * share).ceil() as usize;
    values[place.clamp(1, values.len()) - 1]
}
