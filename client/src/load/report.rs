//! The outcome of a run: what was promised, what was kept, how fast.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::LoadSpec;
use super::follow::Followed;
use super::send::{Loss, Outcome};
use super::tally::Tally;
use crate::broadcast::Acknowledge;
use crate::envelope::EnvelopeSigner;

/// A run's numbers. One JSON object when serialized.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LoadReport {
    /// Whether every acknowledged envelope was delivered exactly once, nothing went wrong, and nobody ended the run
    /// early.
    pub ok: bool,
    /// Whether the run was ended early.
    pub interrupted: bool,
    /// The channels.
    pub channels: Vec<String>,
    /// What SUCCESS meant: `accepted`, `committed`, or `default` where the node chose.
    pub acknowledge: &'static str,
    /// Keys that signed, such as `Ed25519`.
    pub key: String,
    /// Envelopes per second that were asked for; none: as many as were answered.
    pub rate: Option<u32>,
    /// Envelopes to send.
    pub envelopes: usize,
    /// Data bytes of each envelope.
    pub payload_bytes: usize,
    /// Broadcast streams.
    pub streams: usize,
    /// Unanswered envelopes a stream may have.
    pub in_flight_max: usize,
    /// Envelopes handed to streams.
    pub sent: u64,
    /// Envelopes acknowledged with SUCCESS.
    pub acknowledged: u64,
    /// Envelopes that were sent and never acknowledged, since their orderer was lost or turned them away. Each of them
    /// is in a block or not, and at most once.
    pub unanswered: u64,
    /// Envelopes that were sent twice, the second time when it was certain that the first had been lost.
    pub resent: u64,
    /// Distinct envelopes found in blocks.
    pub delivered: u64,
    /// Acknowledged envelopes found in no block that was read.
    pub missing: u64,
    /// Whether every chain was read up to the tip that stood after the last answer. If not, what is missing may be
    /// there all the same.
    pub read_to_tip: bool,
    /// Envelopes found more than once.
    pub duplicated: u64,
    /// Block entries that this run did not send.
    pub foreign: u64,
    /// Blocks seen.
    pub blocks: u64,
    /// Seconds spent on signing, before the clock started.
    pub signing_seconds: f64,
    /// Seconds from the first send to the last delivery.
    pub seconds: f64,
    /// Delivered envelopes per second.
    pub throughput: f64,
    /// From send, or with a rate from when it was due, to the block that holds it.
    pub delivery: Latency,
    /// From the same moment to its acknowledgement.
    pub acknowledgement: Latency,
    /// Orderers that streams lost and went on without, in words.
    pub losses: Vec<String>,
    /// What went wrong, in words.
    pub failures: Vec<String>,
}

/// Latencies in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Latency {
    /// Half were faster.
    pub p50_ms: f64,
    /// Nine in ten were faster.
    pub p90_ms: f64,
    /// All but one in a hundred were faster.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// Digits that latencies keep.
const DIGITS: u8 = 3;

impl Latency {
    pub(super) fn of(times: impl Iterator<Item = Duration>) -> Self {
        // Three digits are always a valid precision.
        let Ok(mut histogram) = Histogram::<u64>::new(DIGITS) else {
            return Self::default();
        };
        for time in times {
            // It grows as needed, up to hundreds of thousands of years.
            let _ = histogram.record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        }
        let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
        Self {
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            max_ms: milliseconds(histogram.max()),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a latency stays far below 2^52 microseconds"
)]
fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

/// What there is to judge, beside the tally.
pub(super) struct Run {
    pub(super) signing_time: Duration,
    pub(super) outcome: Outcome,
    pub(super) resent: u64,
    pub(super) followed: Followed,
}

pub(super) fn judge(spec: &LoadSpec, tally: &Tally, run: Run) -> LoadReport {
    let Run {
        signing_time,
        outcome: Outcome { mut failures, losses },
        resent,
        followed,
    } = run;
    failures.extend(followed.failures);
    let fates: Vec<_> = tally.fates().collect();
    let count = |test: &dyn Fn(&super::tally::Fate) -> bool| {
        fates
            .iter()
            .filter(|fate| test(fate))
            .count()
            .try_into()
            .unwrap_or(u64::MAX)
    };
    let missing = count(&|fate| fate.acknowledged.is_some() && fate.deliveries == 0);
    let duplicated = count(&|fate| fate.deliveries > 1);
    let delivered: u64 = count(&|fate| fate.deliveries > 0);
    let last_delivered = tally.last_delivery();
    let interrupted = tally.progress().is_stopped();
    LoadReport {
        ok: missing == 0 && duplicated == 0 && failures.is_empty() && !interrupted,
        interrupted,
        channels: spec
            .channels()
            .iter()
            .map(|signer| signer.channel().to_string())
            .collect(),
        acknowledge: spec.acknowledge.map_or("default", Acknowledge::as_str),
        key: keys(spec),
        rate: spec.rate,
        envelopes: spec.envelopes,
        payload_bytes: spec.payload_bytes,
        streams: spec.streams,
        in_flight_max: spec.in_flight_max,
        sent: count(&|_| true),
        acknowledged: count(&|fate| fate.acknowledged.is_some()),
        unanswered: count(&|fate| fate.acknowledged.is_none()),
        resent,
        delivered,
        missing,
        read_to_tip: followed.whole,
        duplicated,
        foreign: followed.seen.foreign,
        blocks: followed.seen.blocks,
        signing_seconds: signing_time.as_secs_f64(),
        seconds: last_delivered.as_secs_f64(),
        throughput: per_second(delivered, last_delivered),
        delivery: Latency::of(fates.iter().filter_map(|fate| fate.delivered)),
        acknowledgement: Latency::of(fates.iter().filter_map(|fate| fate.acknowledged)),
        losses: losses.iter().map(|loss| told(spec, loss)).collect(),
        failures,
    }
}

fn told(spec: &LoadSpec, loss: &Loss) -> String {
    let address = spec
        .targets
        .get(loss.target)
        .map(|target| target.address.to_string());
    format!("{}: {}", address.unwrap_or_default(), loss.reason)
}

/// Each kind of key once.
fn keys(spec: &LoadSpec) -> String {
    let mut names: Vec<_> = spec.signers.iter().map(EnvelopeSigner::key_name).collect();
    names.sort_unstable();
    names.dedup();
    names.join(" and ")
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub(super) fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() {
        return 0.0;
    }
    count as f64 / time.as_secs_f64()
}

impl LoadReport {
    fn headline(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.rate.map(|rate| format!(" at {rate}/s"));
        writeln!(
            f,
            "sent            {} of {} envelopes of {} bytes to {}{}{}",
            self.sent,
            self.envelopes,
            self.payload_bytes,
            self.channels.join(", "),
            rate.unwrap_or_default(),
            if self.interrupted {
                ", then interrupted"
            } else {
                ""
            },
        )?;
        writeln!(
            f,
            "with            {} keys, {} streams, {} in flight each, acknowledge {}",
            self.key, self.streams, self.in_flight_max, self.acknowledge
        )
    }
}

impl fmt::Display for LoadReport {
    /// A few lines for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.headline(f)?;
        writeln!(
            f,
            "throughput      {:.0} envelopes/s ({} delivered in {:.2} s, {} blocks)",
            self.throughput, self.delivered, self.seconds, self.blocks
        )?;
        let since = self.rate.map_or("", |_| " after it was due");
        for (name, latency) in [
            ("delivered", self.delivery),
            ("acknowledged", self.acknowledgement),
        ] {
            writeln!(
                f,
                "{name:<15} p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms{since}",
                latency.p50_ms, latency.p90_ms, latency.p99_ms, latency.max_ms
            )?;
        }
        write!(
            f,
            "kept promises   {} acknowledged, {} missing, {} duplicated",
            self.acknowledged, self.missing, self.duplicated
        )?;
        for loss in &self.losses {
            write!(f, "\nlost            {loss}")?;
        }
        for failure in &self.failures {
            write!(f, "\nfailure         {failure}")?;
        }
        Ok(())
    }
}
