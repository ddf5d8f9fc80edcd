//! `ordain bench`

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Failure;
use super::broadcast::AcknowledgeArg;
use super::connect::ConnectionArgs;
use super::genesis::duration;
use super::output;
use crate::broadcast::Acknowledge;
use crate::load::{self, LoadReport, LoadSpec, Progress};

const REDRAW: Duration = Duration::from_millis(100);

/// Measures a channel, and checks that it keeps its promises.
///
/// Signs all envelopes beforehand, sends them on several streams, follows the blocks, and checks that every
/// acknowledged envelope is in them exactly once, byte by byte. Prints throughput and latencies from send to the
/// block that holds the envelope, then one line of JSON. Exits with 1 if an acknowledged envelope is missing or
/// came twice, or if anything was refused or broke.
///
/// It takes its own share of the machine: on the node's machine the numbers are those of both together.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain bench -c ordain-quickstart/connection.json
  ordain bench -c connection.json -n 200000 --streams 8 --acknowledge committed
  ordain bench -c connection.json --rate 5000 --payload 256 --json    latency at a fixed rate")]
pub(super) struct Args {
    /// How many envelopes to send.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50_000)]
    envelopes: usize,
    /// Bytes of random data in each.
    #[arg(long, value_name = "BYTES", default_value_t = 1024)]
    payload: usize,
    /// Broadcast streams, each on a connection of its own, dealt out to all orderers.
    #[arg(long, value_name = "N", default_value_t = 4)]
    streams: usize,
    /// How many envelopes of a stream may be unanswered.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    in_flight: usize,
    /// What an acknowledgement shall mean; as the node is configured if not given.
    #[arg(long, value_enum)]
    acknowledge: Option<AcknowledgeArg>,
    /// Envelopes per second over all streams; as fast as they are answered if not given.
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
    /// How long to wait for another block while acknowledged envelopes are missing.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    patience: Duration,
    /// Prints the line of JSON only.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let connection = self.connection.resolve()?;
        let spec = LoadSpec {
            targets: connection.targets()?,
            signer: connection.signer()?,
            envelopes: self.envelopes,
            payload_bytes: self.payload,
            streams: self.streams,
            in_flight_max: self.in_flight,
            acknowledge: self.acknowledge.map(Into::into),
            rate: self.rate,
            patience: self.patience,
        };
        let progress = Arc::new(Progress::default());
        let bar = show(&progress, self.envelopes);
        let report = load::run(&spec, &progress).await;
        bar.finish_and_clear();
        let report = report?;
        if !self.json {
            output::line(&report)?;
        }
        output::line(serde_json::to_string(&report).map_err(Failure::new)?)?;
        if report.ok {
            return Ok(());
        }
        Err(verdict(&report))
    }
}

fn verdict(report: &LoadReport) -> Failure {
    if (report.missing, report.duplicated) == (0, 0) {
        return Failure::new("not everything was acknowledged").hint("the failures above name the reasons");
    }
    let failure = Failure::new(format!(
        "promises were broken: {} acknowledged envelopes are missing, {} came twice",
        report.missing, report.duplicated
    ));
    if report.acknowledge == Acknowledge::Committed.as_str() {
        return failure.hint("keep the node's data folder and log: this must never happen");
    }
    failure
        .hint("if the node was killed: only --acknowledge committed promises that an envelope outlives that")
}

/// A bar on a terminal; elsewhere one that nobody sees.
fn show(progress: &Arc<Progress>, envelopes: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(envelopes as u64);
    if let Ok(style) = ProgressStyle::with_template("{msg:10} {wide_bar} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    let (watched, drawn) = (progress.clone(), bar.clone());
    // Signing keeps this thread's runtime busy, so the bar has a thread of its own.
    std::thread::spawn(move || {
        while !drawn.is_finished() {
            let delivered = watched.delivered.load(Ordering::Relaxed);
            let signed = watched.signed.load(Ordering::Relaxed);
            let sending = signed >= envelopes as u64;
            drawn.set_message(if sending { "delivered" } else { "signed" });
            drawn.set_position(if sending { delivered } else { signed });
            std::thread::sleep(REDRAW);
        }
    });
    bar
}
