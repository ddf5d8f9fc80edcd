//! The way of single envelopes, told to an OpenTelemetry collector (`General.Tracing.*`).
//!
//! ```text
//! broadcast: sampled? ─> Journey ─ validated ─ handed over ─ in block n ──> Telemetry::arrived ─┐
//! writer: block n from .. to ──────────────────────────> blocks ────────────────────────────────┼─> spans ─> exporter
//! deliver: block n from .. to ─────────────────────────> blocks ────────────────────────────────┘   OTLP over HTTP
//! ```
//!
//! One trace for each sampled envelope: `broadcast` is its root, from receiving it until it is durable; below it stand
//! `validate`, `order` (to the chain's intake), `consensus` (until its block comes back to be written), `write`, and
//! `deliver`, the first time that a client was sent the block. All carry the channel, and those of a block its number.
//!
//! | module | holds |
//! |---|---|
//! | [`journey`] | one sampled envelope on its way |
//! | `blocks` | when blocks were written and delivered, for a while |
//! | [`span`] | spans, and their form in OTLP |
//! | `export` | the task that sends them |
//!
//! Off by default, and then an envelope meets one comparison. What is sampled costs its stream a hand-over of its own.
//! Nothing here is waited for: queues are bounded, and what a collector that is slow or gone does not take is dropped,
//! counted and said now and then.
//!
//! The JSON form of OTLP is written here, without a crate for it: the SDK would bring some thirty packages into every
//! build for five kinds of spans.

mod blocks;
mod export;
pub mod journey;
pub mod span;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use protos::{BlockNumber, ChannelId};
use tokio::sync::mpsc;

use crate::config::Tracing;
use blocks::{Blocks, Period};
use journey::Journey;
use span::Span;

/// Traces that wait for the exporter.
const QUEUE_MAX: usize = 4096;
/// How long an envelope is followed until its block is durable.
const JOURNEY_TIME_MAX: Duration = Duration::from_mins(2);

/// Whoever follows envelopes. Clones share everything.
#[derive(Clone, Debug)]
pub struct Telemetry(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// An envelope is followed if a random number is below.
    threshold: u64,
    blocks: Mutex<Blocks>,
    queue: mpsc::Sender<Vec<Span>>,
    lost: Arc<export::Lost>,
}

impl Telemetry {
    /// Begins to send what is sampled to the collector. Must be called within a `tokio` runtime.
    pub fn start(settings: &Tracing) -> Self {
        let (queue, queued) = mpsc::channel(QUEUE_MAX);
        let lost = Arc::<export::Lost>::default();
        tokio::spawn(export::run(settings.endpoint.clone(), queued, Arc::clone(&lost)));
        Self(Arc::new(Shared {
            threshold: threshold(settings.sample_ratio),
            blocks: Mutex::default(),
            queue,
            lost,
        }))
    }

    /// A journey for one envelope that was received just now, if it is to be followed.
    pub fn sample(&self) -> Option<Journey> {
        let is_followed = self.0.threshold == u64::MAX || rand::random::<u64>() < self.0.threshold;
        is_followed.then(|| Journey::begin(SystemTime::now()))
    }

    /// A block of `channel` is durable; it was handed over to be written at `since`.
    pub fn written(&self, channel: &ChannelId, number: BlockNumber, since: SystemTime) {
        let period = Period::since(since);
        self.0.blocks.lock().written(channel, number, period);
    }

    /// A client was sent a block of `channel`, from `since` on. Only the first one counts.
    pub fn delivered(&self, channel: &str, number: BlockNumber, since: SystemTime) {
        let period = Period::since(since);
        let waiting = self.0.blocks.lock().delivered(channel, number, period);
        if !waiting.is_empty() {
            self.export(waiting);
        }
    }

    /// Whether a block could be one that somebody follows: asked before the clock is.
    pub fn follows(&self, channel: &str, number: BlockNumber) -> bool {
        self.0.blocks.lock().is_undelivered(channel, number)
    }

    /// The journey has ended: in this block, or with what went wrong.
    pub fn arrived(&self, journey: &Journey, channel: &ChannelId, outcome: Result<BlockNumber, String>) {
        match outcome {
            Ok(number) => {
                let now = SystemTime::now();
                let spans = self.0.blocks.lock().arrived(journey, channel, number, now);
                self.export(spans);
            }
            Err(reason) => self.refused(journey, channel.as_str(), &reason),
        }
    }

    /// The journey has ended without a block.
    pub fn refused(&self, journey: &Journey, channel: &str, reason: &str) {
        self.export(journey.failed(channel, reason, SystemTime::now()));
    }

    /// Waits for the end of a journey whose client does not.
    pub fn follow(
        &self,
        journey: Journey,
        channel: ChannelId,
        outcome: impl Future<Output = Result<BlockNumber, String>> + Send + 'static,
    ) {
        let telemetry = self.clone();
        tokio::spawn(async move {
            let ended = tokio::time::timeout(JOURNEY_TIME_MAX, outcome).await;
            let outcome = ended.unwrap_or_else(|_| Err(format!("no outcome within {JOURNEY_TIME_MAX:?}")));
            telemetry.arrived(&journey, &channel, outcome);
        });
    }

    fn export(&self, spans: Vec<Span>) {
        let count = spans.len();
        if self.0.queue.try_send(spans).is_err() {
            self.0
                .lost
                .add(count, "they come faster than the collector takes them");
        }
    }
}

/// The share of all numbers that is `ratio`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a ratio between 0 and 1 of a range; what is lost is far below a sample's chance"
)]
fn threshold(ratio: f64) -> u64 {
    // The cast saturates: 1 is all of them.
    (ratio.clamp(0.0, 1.0) * u64::MAX as f64) as u64
}

#[cfg(test)]
mod tests;
