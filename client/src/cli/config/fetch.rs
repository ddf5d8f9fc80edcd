//! `ordain config fetch`

use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use prost::Message as _;

use super::super::connect::ConnectionArgs;
use super::super::{Failure, output};
use super::file;
use super::session::Session;
use crate::json;

/// Fetches the config in force.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example:
  ordain config fetch -c connection.json | jq .channel_group.groups.Orderer.values.BatchSize.value")]
pub(super) struct Args {
    /// The whole block that holds it, in place of the config alone.
    #[arg(long)]
    block: bool,
    /// How to write it.
    #[arg(long, value_enum, default_value_t = Format::Json)]
    format: Format,
    /// File to write to; standard output if not given.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The JSON form, with all that is nested decoded.
    Json,
    /// The serialized message; a block as the node stores it.
    Protobuf,
}

impl Args {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(self.connection).await?;
        let fetched = session.config().await?;
        let (kind, bytes) = if self.block {
            ("common.Block", fetched.block.bytes().clone())
        } else {
            ("common.Config", fetched.bundle.config().encode_to_vec().into())
        };
        let content = match self.format {
            Format::Protobuf => bytes.to_vec(),
            Format::Json => {
                let text = json::decode(kind, &bytes, json::Options::default());
                text.map_err(Failure::new)?.into_bytes()
            }
        };
        match self.output {
            Some(path) => file::write(&path, &content)?,
            None => print(&content)?,
        }
        eprintln!(
            "config {} of channel {}, from block {}",
            fetched.bundle.sequence(),
            fetched.bundle.channel_id(),
            fetched.block.number()
        );
        Ok(())
    }
}

fn print(content: &[u8]) -> Result<(), Failure> {
    match std::str::from_utf8(content) {
        Ok(text) => output::line(text.trim_end()),
        Err(_) => std::io::stdout()
            .write_all(content)
            .map_err(|error| Failure::new(format!("cannot write to standard output: {error}"))),
    }
}
