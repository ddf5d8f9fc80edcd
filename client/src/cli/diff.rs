//! `ordain diff`

use std::path::{Path, PathBuf};

use configtx::compute_update::{ComputeUpdateError, compute_update};
use configtx::encode::encode_config_update;
use prost::Message as _;
use protos::wire::common::Config;

use super::files::{self, Output};
use super::{Failure, decode};

/// Computes the config update that turns one config into another.
///
/// Edit a copy of the config in force, and this says what to submit: a common.ConfigUpdate with what it relies on and
/// what it changes. Versions need no care, the update gets the right ones. It is not signed and stands in no envelope
/// yet. The result is the same that configtxlator computes.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  ordain diff --channel mychannel --original config.pb --updated edited.pb --output update.pb
  ordain diff --channel mychannel --original config.pb --updated edited.pb --json

  The whole way, from the newest config block:
    ordain block config.block | jq .data.data[0].payload.data.config > config.json
    jq '.channel_group.groups.Orderer.values.BatchTimeout.value.timeout = \"1s\"' config.json > edited.json
    ordain encode common.Config --input config.json --output config.pb
    ordain encode common.Config --input edited.json --output edited.pb
    ordain diff --channel mychannel --original config.pb --updated edited.pb --output update.pb")]
pub(super) struct Args {
    /// Channel that the update is for.
    #[arg(long, value_name = "NAME")]
    channel: String,
    /// Config in force: a serialized common.Config.
    #[arg(long, value_name = "FILE")]
    original: PathBuf,
    /// Config wanted: a serialized common.Config.
    #[arg(long, value_name = "FILE")]
    updated: PathBuf,
    /// Shows the update as JSON, to read it before it is submitted.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    output: Output,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (original, updated) = (config(&self.original)?, config(&self.updated)?);
        let update = encode_config_update(&compute_update(&self.channel, &original, &updated)?);
        if !self.json {
            return self.output.write(&update);
        }
        let text = decode::decoded("common.ConfigUpdate", &update, true)?;
        self.output.write(text.as_bytes())
    }
}

fn config(path: &Path) -> Result<Config, Failure> {
    let content = files::read(path)?;
    Config::decode(&content[..]).map_err(|error| {
        Failure::new(format!("{}: not a common.Config: {error}", path.display()))
            .hint("ordain encode common.Config makes one of JSON")
    })
}

impl From<ComputeUpdateError> for Failure {
    fn from(error: ComputeUpdateError) -> Self {
        Self::new(error)
    }
}
