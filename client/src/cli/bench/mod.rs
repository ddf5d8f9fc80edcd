//! `ordain bench`

mod bar;
mod identities;
mod stop;

use std::sync::Arc;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;
use serde::Serialize;

use super::Failure;
use super::broadcast::AcknowledgeArg;
use super::connect::NodeArgs;
use super::genesis::duration;
use super::output;
use crate::broadcast::Acknowledge;
use crate::connection_file::ConnectionFile;
use crate::envelope::EnvelopeSigner;
use crate::load::{self, Chain, LoadReport, LoadSpec, Progress, ReadReport, ReadSpec};
use identities::KeyArg;

/// More would be a mistake: each is a connection of its own.
const STREAMS_MAX: u64 = 1000;
const IN_FLIGHT_MAX: u64 = 1_000_000;
/// No node takes larger messages.
const PAYLOAD_BYTES_MAX: u64 = 100 << 20;

/// Measures channels, and checks that they keep their promises.
///
/// Signs all envelopes beforehand, sends them on several streams, follows the blocks of each channel, and checks
/// that every acknowledged envelope is in them exactly once, byte by byte. Prints throughput and latencies up to the
/// block that holds the envelope, then one line of JSON. Latencies count from the moment of sending; with --rate from
/// the moment at which the envelope was due, so that waiting for a node that stalls is counted.
///
/// Envelopes wait in memory until they are sent: about 2.1 KiB each with the usual payload of 1 KiB, 106 MB for
/// 50,000 (--memory sets how much is allowed). The load takes its own share of the machine: on the node's machine the
/// numbers are those of both together.
///
/// With --read nothing is sent: the chains that are there are read from block 0 on, and that is timed.
///
/// Exits with 1 if an acknowledged envelope is missing or came twice, or if anything was refused or broke; with 130
/// after Ctrl-C, which ends the sending, waits for what is in flight, and reports on what was done.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain bench -c ordain-quickstart/connection.json
  ordain bench -c connection.json -n 200000 --streams 8 --acknowledge committed
  ordain bench -c connection.json --rate 5000 --payload 256 --json     latency at a fixed rate
  ordain bench -c connection.json --key p256 --channel one --channel two
  ordain bench -c connection.json --read --no-verify                   how fast blocks come back")]
pub(super) struct Args {
    /// How many envelopes to send, over all streams and channels.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50_000, value_parser = between::<usize>(1, u64::from(u32::MAX)))]
    envelopes: usize,
    /// Bytes of random data in each.
    #[arg(long, value_name = "BYTES", default_value_t = 1024, value_parser = between::<usize>(0, PAYLOAD_BYTES_MAX))]
    payload: usize,
    /// Broadcast streams, each on a connection of its own, dealt out to all orderers.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = between::<usize>(1, STREAMS_MAX))]
    streams: usize,
    /// How many envelopes of a stream may be unanswered.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = between::<usize>(1, IN_FLIGHT_MAX))]
    in_flight: usize,
    /// What an acknowledgement shall mean; as the node is configured if not given.
    #[arg(long, value_enum)]
    acknowledge: Option<AcknowledgeArg>,
    /// Envelopes per second over all streams; as fast as they are answered if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Type of key that shall sign; the connection file must list an identity with it. Several take turns.
    #[arg(long, value_enum, value_delimiter = ',')]
    key: Vec<KeyArg>,
    /// Channel; that of the connection file if not given. May be repeated: envelopes are dealt out to all in turn.
    #[arg(long, value_name = "NAME")]
    channel: Vec<String>,
    /// How long to wait for another answer, or another block, while some are missing.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    patience: Duration,
    /// Memory that signed envelopes may take, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = load::MEMORY_BYTES_MAX >> 20, value_parser = between::<u64>(1, 1 << 30))]
    memory: u64,
    /// Reads the channels in place of writing to them.
    #[arg(long, conflicts_with_all = ["envelopes", "payload", "streams", "in_flight", "acknowledge", "rate", "patience", "memory"])]
    read: bool,
    /// With --read: checks no links, hashes and signatures.
    #[arg(long, requires = "read")]
    no_verify: bool,
    /// Prints the line of JSON only.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    node: NodeArgs,
}

fn between<T>(min: u64, max: u64) -> RangedU64ValueParser<T>
where
    T: TryFrom<u64> + Clone + Send + Sync + 'static,
    <T as TryFrom<u64>>::Error: Send + Sync + 'static + std::error::Error + ToString,
{
    RangedU64ValueParser::new().range(min..=max)
}

impl Args {
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let channels = std::mem::take(&mut self.channel);
        let connection = std::mem::take(&mut self.node).resolve(channels.first().cloned())?;
        let channels = if channels.is_empty() {
            vec![connection.channel.clone()]
        } else {
            channels
        };
        let signers = identities::signers(&connection, &self.key, &channels)?;
        let progress = Arc::new(Progress::default());
        if self.read {
            let report = stop::on_signal(self.read(&connection, &signers, &progress), &progress).await?;
            return self.tell(&report, || {
                if report.ok {
                    Ok(())
                } else {
                    Err(stop::interrupted())
                }
            });
        }
        let spec = self.spec(&connection, signers)?;
        let bar = bar::of_load(&progress, spec.envelopes);
        let run = async { Ok(load::run(&spec, &progress).await?) };
        let report = stop::on_signal(run, &progress).await;
        bar.finish_and_clear();
        let report = report?;
        self.tell(&report, || verdict(&report))
    }

    fn spec(&self, connection: &ConnectionFile, signers: Vec<EnvelopeSigner>) -> Result<LoadSpec, Failure> {
        Ok(LoadSpec {
            envelopes: self.envelopes,
            payload_bytes: self.payload,
            streams: self.streams,
            in_flight_max: self.in_flight,
            acknowledge: self.acknowledge.map(Into::into),
            rate: self.rate,
            patience: self.patience,
            memory_bytes_max: self.memory << 20,
            ..LoadSpec::new(connection.targets()?, signers)
        })
    }

    /// Each channel once, one after the other.
    async fn read(
        &self,
        connection: &ConnectionFile,
        signers: &[EnvelopeSigner],
        progress: &Arc<Progress>,
    ) -> Result<ReadReport, Failure> {
        let mut reports: Option<ReadReport> = None;
        let mut known = Vec::new();
        for signer in signers {
            if known.contains(&signer.channel()) {
                continue;
            }
            known.push(signer.channel());
            let chain = Chain::open(self.read_spec(connection, signer)?).await?;
            let bar = bar::of_reading(progress, chain.blocks());
            let report = chain.read(progress).await;
            bar.finish_and_clear();
            let report = report?;
            reports = Some(match reports {
                Some(before) => before.and(report),
                None => report,
            });
        }
        reports.ok_or_else(|| Failure::usage("no channel is given"))
    }

    /// The genesis block in the connection file is that of its own channel.
    fn read_spec(&self, connection: &ConnectionFile, signer: &EnvelopeSigner) -> Result<ReadSpec, Failure> {
        let targets = connection.targets()?;
        let target = targets.into_iter().next();
        let own = signer.channel().as_str() == connection.channel;
        let genesis = connection.genesis.as_deref().filter(|_| own && !self.no_verify);
        Ok(ReadSpec {
            target: target.ok_or_else(|| Failure::usage("no orderer is given"))?,
            signer: signer.clone(),
            verify: !self.no_verify,
            genesis: genesis.map(super::deliver::read_block).transpose()?,
        })
    }

    fn tell<R: Serialize + std::fmt::Display>(
        &self,
        report: &R,
        verdict: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        if !self.json {
            output::line(report)?;
        }
        output::json(report)?;
        verdict()
    }
}

fn verdict(report: &LoadReport) -> Result<(), Failure> {
    if report.ok {
        return Ok(());
    }
    if (report.missing, report.duplicated) == (0, 0) {
        if report.interrupted && report.failures.is_empty() {
            return Err(stop::interrupted());
        }
        return Err(Failure::new("not everything was acknowledged and delivered").hint(reasons(report)));
    }
    if report.duplicated == 0 && !report.read_to_tip {
        return Err(Failure::new(format!(
            "{} acknowledged envelopes were not found, and the chain could not be read to its end: {}",
            report.missing,
            report.failures.join("; ")
        ))
        .hint("whether they are lost is not known; with the node back, ordain deliver shows what it has"));
    }
    let failure = Failure::new(format!(
        "promises were broken: {} acknowledged envelopes are missing, {} came twice",
        report.missing, report.duplicated
    ));
    if report.acknowledge == Acknowledge::Committed.as_str() {
        return Err(failure.hint("keep the node's data folder and log: this must never happen"));
    }
    Err(failure
        .hint("if the node was killed: only --acknowledge committed promises that an envelope outlives that"))
}

fn reasons(report: &LoadReport) -> String {
    match report.failures.first() {
        Some(first) => format!("the first reason was: {first}"),
        None => "look at the node's log".to_owned(),
    }
}
