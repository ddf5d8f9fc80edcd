//! `ordain broadcast`

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use clap::ValueEnum;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::Failure;
use super::connect::ConnectionArgs;
use super::output;
use crate::broadcast::{self, Acknowledge, BroadcastAnswers, BroadcastOptions, BroadcastSender};
use crate::envelope::EnvelopeSigner;

/// Submits data to a channel.
///
/// Each line of standard input becomes one signed envelope, or each file, if files are given. The transaction id
/// of every acknowledged envelope is printed, one a line, or with --json an object a line. It stops at the first refusal, which names the reason;
/// nothing is ever sent twice.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  echo hello | ordain broadcast -c ordain-quickstart/connection.json
  ordain broadcast -c connection.json --acknowledge committed report.pdf
  seq 1000 | ordain broadcast -c connection.json --in-flight 100")]
pub(super) struct Args {
    /// Files to submit, each whole as one envelope; without any, the lines of standard input.
    files: Vec<PathBuf>,
    /// Files hold signed, serialized envelopes and are sent as they are.
    #[arg(long, requires = "files")]
    raw: bool,
    /// What an acknowledgement shall mean; as the node is configured if not given.
    #[arg(long, value_enum)]
    acknowledge: Option<AcknowledgeArg>,
    /// How many envelopes may be unanswered at a time.
    #[arg(long, value_name = "N", default_value = "128")]
    in_flight: NonZeroUsize,
    /// Prints an object a line, with index, from 0, and `tx_id`, or file with --raw.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum AcknowledgeArg {
    /// The ordering service has it in hand.
    Accepted,
    /// It stands in a durable block.
    Committed,
}

impl From<AcknowledgeArg> for Acknowledge {
    fn from(level: AcknowledgeArg) -> Self {
        match level {
            AcknowledgeArg::Accepted => Self::Accepted,
            AcknowledgeArg::Committed => Self::Committed,
        }
    }
}

/// What is printed when its envelope is acknowledged.
#[derive(Debug, Serialize)]
struct Label {
    /// Of the envelope, among those of this command, from 0.
    index: u64,
    #[serde(flatten)]
    name: Name,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    TxId(String),
    File(String),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::TxId(name) | Self::File(name)) = self;
        f.write_str(name)
    }
}

/// In the order sent.
type Labels = Arc<Mutex<VecDeque<Name>>>;

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let connection = self.connection.resolve()?;
        let signer = connection.signer()?;
        let targets = connection.targets()?;
        let Some(target) = targets.first() else {
            return Err(Failure::usage("no orderer is given"));
        };
        let open = target.connect().await?;
        let options = BroadcastOptions {
            acknowledge: self.acknowledge.map(Acknowledge::from),
            in_flight_max: self.in_flight.get(),
        };
        let (sender, answers) = broadcast::open(&open, options);
        let labels = Labels::default();
        let source = Source {
            signer,
            sender,
            labels: labels.clone(),
        };
        let mut sending = Box::pin(source.send(self.files, self.raw));
        let mut receiving = Box::pin(receive(answers, labels, self.json));
        // A refusal ends the command even while standard input stays open.
        tokio::select! {
            sent = &mut sending => sent.and(receiving.await),
            received = &mut receiving => received,
        }
    }
}

struct Source {
    signer: EnvelopeSigner,
    sender: BroadcastSender,
    labels: Labels,
}

impl Source {
    async fn send(self, files: Vec<PathBuf>, raw: bool) -> Result<(), Failure> {
        if files.is_empty() {
            return self.send_lines().await;
        }
        for file in files {
            let content = tokio::fs::read(&file)
                .await
                .map_err(|error| Failure::unreadable(&file, &error))?;
            if raw {
                let name = Name::File(file.display().to_string());
                self.submit(name, content.into()).await;
            } else {
                self.sign_and_submit(content.into()).await;
            }
        }
        Ok(())
    }

    async fn send_lines(&self) -> Result<(), Failure> {
        let mut lines = BufReader::new(tokio::io::stdin()).split(b'\n');
        while let Some(line) = lines.next_segment().await.map_err(Failure::new)? {
            self.sign_and_submit(line.into()).await;
        }
        Ok(())
    }

    async fn sign_and_submit(&self, data: Bytes) {
        let signed = self.signer.transaction(data);
        self.submit(Name::TxId(signed.tx_id.to_string()), signed.bytes)
            .await;
    }

    /// When the stream has ended, the receiving side knows why and says so.
    async fn submit(&self, name: Name, envelope: Bytes) {
        self.labels.lock().push_back(name);
        if self.sender.send(envelope).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn receive(mut answers: BroadcastAnswers, labels: Labels, json: bool) -> Result<(), Failure> {
    while let Some(index) = answers.next().await? {
        let Some(name) = labels.lock().pop_front() else {
            continue;
        };
        if json {
            output::json(&Label { index, name })?;
        } else {
            output::line(name)?;
        }
    }
    Ok(())
}
